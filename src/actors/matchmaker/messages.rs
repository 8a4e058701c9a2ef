//! What the matchmaker is told and asked.

use std::sync::Arc;

use actix::Message;

use crate::actors::directory::Member;
use crate::actors::realm::Realm;
use crate::actors::sessions::Turn;
use crate::engine::matchmaking::{Playing, Ticket};
use crate::ids::{MatchId, PlayerId, SessionId, TicketId};
use crate::wire::matchmaking as says;
use crate::wire::{Cid, Reason, Refusal};

/// A player queues, perhaps with a party.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AddTicket {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// What they asked for.
    pub add: says::Add,
    /// What the same client asks behind it waits for it.
    pub turn: Turn,
}

/// A player takes a ticket back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RemoveTicket {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// Which.
    pub ticket_id: TicketId,
    /// As in [`AddTicket`].
    pub turn: Turn,
}

/// As [`AddTicket`], asked by somebody who waits for the answer: HTTP.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Queue {
    /// Who.
    pub member: Member,
    /// What they asked for.
    pub add: says::Add,
    /// Where the answer goes.
    pub answer: tokio::sync::oneshot::Sender<Result<says::Queued, Refusal>>,
}

/// As [`RemoveTicket`], asked by somebody who waits for the answer: HTTP.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Withdraw {
    /// Who.
    pub player: PlayerId,
    /// Which.
    pub ticket_id: TicketId,
    /// Where the answer goes.
    pub answer: tokio::sync::oneshot::Sender<Result<(), Refusal>>,
}

/// A player is seated or gone for good: their tickets are withdrawn.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WithdrawPlayer {
    /// Who.
    pub player: PlayerId,
}

/// A match that a player went to by themselves has them not: tickets that waited for that go on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TakeUp(
    /// Who.
    pub PlayerId,
);

/// A player's connection is gone: their tickets keep their places but are not matched.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FreezeTickets {
    /// Who.
    pub player: PlayerId,
    /// Whose connection it was; of a session that another has taken over from it says nothing.
    pub session: SessionId,
}

/// A player is back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ThawTickets {
    /// Who, and how they are reached now.
    pub member: Member,
    /// The session wants to know which there are: its client could not be told what it missed.
    pub snapshot: bool,
}

/// A running match wants players; what it asked for before no longer counts.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AskBackfill {
    /// Its mode.
    pub mode: Arc<str>,
    /// Which.
    pub match_id: MatchId,
    /// How many in each of the mode's teams; empty when it wants nobody.
    pub seats: Vec<u32>,
    /// Whom they must suit: those who play there and came by the queue.
    pub playing: Option<Playing>,
    /// Whom it does not take: shown out of it, or turned away by its game.
    pub barred: Vec<PlayerId>,
}

/// The server opens no matches, or does again: while it does not, nobody is matched into a new one, and everybody keeps
/// their turn.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hold(
    /// Whether it is.
    pub bool,
);

/// A group came to nothing: its tickets go back, as old as they were.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PutBack {
    /// Their mode.
    pub mode: Arc<str>,
    /// The tickets, each with its turn in line.
    pub tickets: Vec<(Ticket, u64)>,
    /// Whose fault it was: a ticket with one of these is withdrawn.
    pub gone: Vec<PlayerId>,
}

/// Tells `done` whether `leader` may take these along into a ticket: nobody whom a block parts from them, whoever set
/// it. Asked of the store before the matchmaker hears of it, which waits for nobody; `done` may run on a thread of the
/// store. The refusal does not say that it is a block.
pub fn may_take_along(
    realm: &Arc<Realm>,
    leader: PlayerId,
    party: &[PlayerId],
    done: impl FnOnce(Result<(), Refusal>) + Send + 'static,
) {
    let others: Vec<_> = party.iter().copied().filter(|player| *player != leader).collect();
    if others.is_empty() {
        return done(Ok(()));
    }
    let told = move |parted: Result<Option<PlayerId>, _>| {
        done(match parted {
            Ok(None) => Ok(()),
            Ok(Some(player)) => Err(Reason::PartyMemberUnavailable.with("player_id", player.to_string())),
            Err(_) => Err(Reason::Busy.into()),
        });
    };
    realm.store.blocked_among(leader, others, Box::new(told));
}

/// The rules of a mode are others now, or it is new.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ModeChanged(pub Arc<str>);
