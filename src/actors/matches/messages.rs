//! What a match is told, and by whom.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::super::channels::Judged;
use super::super::directory::{MatchCard, Member};
use super::super::lobby::FindOrCreate;
use super::super::outlet::Outlet;
use super::super::sessions::Turn;
use crate::engine::matches::Phase;
use crate::engine::matchmaking::Ticket;
use crate::engine::modes::Json;
use crate::engine::votes::frustration::Moods;
use crate::engine::votes::told::Passed;
use crate::ids::{PlayerId, SessionId, VoteId};
use crate::wire::Cid;

/// The first message: the card, and who was matched.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Open {
    /// What others know of the match.
    pub card: Arc<MatchCard>,
    /// The group a queue made, in order.
    pub matched: Vec<Member>,
    /// Bots to seat after them.
    pub bots: u32,
    /// The tickets it came from, if a queue made it.
    pub queued: Option<QueuedGroup>,
}

/// What a group of a queue was made of: its teams, and the tickets as they are put back if it comes to nothing.
#[derive(Debug, Clone, Default)]
pub struct QueuedGroup {
    /// Its tickets, each with its turn in line.
    pub tickets: Vec<(Ticket, u64)>,
    /// The players of each team, in the order of the mode's teams; empty where it has none.
    pub teams: Vec<Vec<PlayerId>>,
}

/// Somebody wants in. Answered with `match.joined` or a refusal.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Join {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// What they tell the game.
    pub ctx: Option<Json>,
    /// To watch instead of play.
    pub spectate: bool,
    /// They came with the join code.
    pub invited: bool,
    /// A seat was promised to them by the lobby, which wants them back if this match cannot take them.
    pub promised: Option<FindOrCreate>,
    /// What the same client asks behind it waits for it.
    pub turn: Turn,
    /// The match was made for them.
    pub founds: bool,
}

/// Somebody leaves; answered with `match.left` where `reply` says so.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave {
    /// Who.
    pub player: PlayerId,
    /// The session that says so; one that another has taken over from is not obeyed. `None`: whichever there is.
    pub session: Option<SessionId>,
    /// Why.
    pub why: Parting,
    /// Where to answer.
    pub reply: Option<(Arc<Outlet>, Option<Cid>)>,
    /// What the same client asks behind it waits for it.
    pub turn: Option<Turn>,
}

/// Why a player goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// They wanted to.
    Asked,
    /// Their session was ended: signed out, kicked, banned.
    Ended,
    /// They lost the connection and did not come back in time.
    Expired,
}

impl Parting {
    /// What the others are told, where it was not the player's own wish.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Asked => None,
            Self::Ended => Some("disconnected"),
            // The word that the player is told who comes back too late.
            Self::Expired => Some("expired"),
        }
    }
}

/// A viewer has lost track of the state: the next one is shown to them whole.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Resync(
    /// Who.
    pub PlayerId,
);

/// A seated player's connection is gone; the seat is held.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PlayerAway {
    /// Who.
    pub player: PlayerId,
    /// Which session lost it; one that another has taken over from is not heard.
    pub session: SessionId,
}

/// A player is back, perhaps with another session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PlayerBack {
    /// Who, and how they are reached now.
    pub member: Member,
    /// The session wants to know what to show of the match: its client could not be told what it missed.
    pub snapshot: bool,
}

/// A vote of this match is over.
#[derive(Message)]
#[rtype(result = "()")]
pub struct VoteOver {
    /// Which.
    pub vote_id: VoteId,
    /// Its template.
    pub template: String,
    /// How it ended.
    pub outcome: VoteEnd,
}

/// How a vote ended.
pub enum VoteEnd {
    /// With a result.
    Result {
        /// The payload of `match.vote_result`.
        result: Json,
        /// How it left its voters.
        moods: Moods,
        /// What a motion that passed asks for.
        passed: Option<Passed>,
    },
    /// By a veto of this player.
    Vetoed(PlayerId),
}

/// A player wants to spend a veto token on an open vote.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SpendVeto {
    /// Who.
    pub player: PlayerId,
    /// Their outlet.
    pub outlet: Arc<Outlet>,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// The vote.
    pub vote_id: VoteId,
    /// Whether the match holds a token of theirs for it; the session does not know.
    pub held: bool,
}

/// A player calls one of the mode's motions.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CallVote {
    /// Who.
    pub player: PlayerId,
    /// Where the answer goes.
    pub outlet: Arc<Outlet>,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// Which.
    pub template: String,
    /// What it is about.
    pub args: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A veto token bought nothing: the vote refused it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RefundVeto(
    /// Whose.
    pub PlayerId,
);

/// Players that the matchmaker found for a running match.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reinforce {
    /// Who.
    pub group: Vec<Member>,
    /// The tickets they came from.
    pub queued: QueuedGroup,
}

/// Something said in the match's channel, which its game may judge before anybody reads it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct JudgeChat {
    /// Who says it.
    pub sender: PlayerId,
    /// What.
    pub text: Arc<str>,
    /// Who wants to know.
    pub judged: Judged,
}

/// What an operator may tell a match.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Command {
    /// End it now; the result's status.
    End(String),
    /// Stop the clock; answered with where the match is then.
    Pause(oneshot::Sender<Phase>),
    /// Go on; answered with where the match is then.
    Resume(oneshot::Sender<Phase>),
    /// Open or close the door.
    SetJoinable(bool),
    /// Free a seat.
    Kick(PlayerId, String),
    /// Give veto tokens.
    GrantVeto(PlayerId, u32),
    /// Open a vote; the answer is its id or every fault.
    OpenVote(Json, oneshot::Sender<Result<VoteId, Vec<String>>>),
    /// The live state for an operator: JSON text.
    Describe(oneshot::Sender<String>),
}
