//! What a vote tells: the payloads of its pushes as plain values, field for field as the wire names them, and the
//! effects that carry them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::audit::{Hash, Sibling};
use super::config::{Act, OnPass, Visibility, VoteOption, Who};
use super::frustration::Moods;
use super::parts::RecordParts;
use super::result::{Amount, PerOption, VoteResult, WireRound};
use crate::ids::{PlayerId, VoteId};

/// Something that a vote wants done, in order.
#[derive(Debug, Clone)]
pub enum VoteEffect {
    /// `match.vote_start` to everyone in the match.
    Started(VoteStart),
    /// `match.vote_tally` to everyone; replaceable, keyed by the vote.
    Tally(VoteTally),
    /// `match.vote_deadline` to everyone.
    Deadline(VoteDeadline),
    /// `match.vote_turn` to everyone.
    Turn(VoteTurn),
    /// `match.vote_result` to everyone; the vote is over.
    Closed(Box<Closed>),
    /// `match.vote_vetoed` to everyone; the vote is over and has no result push.
    Vetoed(Box<Vetoed>),
}

/// The payload of `match.vote_start`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteStart {
    /// Which vote.
    pub vote_id: VoteId,
    /// Its label.
    pub template: String,
    /// What can be voted for.
    pub options: Vec<VoteOption>,
    /// The longest it stays open, in milliseconds; of a draft, all turns together.
    pub window_ms: u64,
    /// When that is, unix milliseconds.
    pub deadline_ms: u64,
    /// How it is counted.
    pub method: String,
    /// What to cast: choice, approvals, ranking or scores.
    pub ballot: &'static str,
    /// The most options one ballot may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_choices: Option<u32>,
    /// The highest score, where ballots are scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How many are elected, where that is not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<u32>,
    /// What is shown before the close.
    pub visibility: Visibility,
    /// Whether it can be vetoed.
    pub veto_enabled: bool,
    /// How many players may vote.
    pub eligible_count: u64,
    /// The hash of who they are.
    pub eligible_hash: Hash,
    /// SHA-256 of the seed that ties are drawn from.
    pub seed_commit: Hash,
    /// Who called it, for motions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called_by: Option<PlayerId>,
    /// Whom it is about, for motions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PlayerId>,
    /// What its caller said beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
}

/// The payload of `match.vote_tally`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteTally {
    /// Which vote.
    pub vote_id: VoteId,
    /// As `counts` of the result.
    pub tallies: PerOption<Amount>,
    /// Until the deadline.
    pub time_remaining_ms: u64,
    /// Ballots cast.
    pub total_votes: u64,
    /// Who would win now; absent while nobody, or more than one, would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leading: Option<String>,
    /// The rounds as they would be now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<WireRound>,
}

/// The payload of `match.vote_deadline`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteDeadline {
    /// Which vote.
    pub vote_id: VoteId,
    /// Until the deadline; stands still while paused.
    pub time_remaining_ms: u64,
    /// The deadline, unix milliseconds; while paused, what it would be if the match went on now.
    pub deadline_ms: u64,
    /// `adaptive`, `paused` or `resumed`.
    pub reason: &'static str,
}

/// The payload of `match.vote_turn`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteTurn {
    /// Which vote.
    pub vote_id: VoteId,
    /// Which turn, from 0.
    pub turn: u32,
    /// Whose.
    pub who: Who,
    /// What it does.
    pub act: Act,
    /// What it can be done to.
    pub remaining: Vec<String>,
    /// Until its clock runs out.
    pub time_remaining_ms: u64,
    /// When that is, unix milliseconds.
    pub deadline_ms: u64,
}

/// A vote closed.
#[derive(Debug, Clone)]
pub struct Closed {
    /// What came out.
    pub result: VoteResult,
    /// The payload of `match.vote_result`, encoded: broadcast these bytes and no others, the record holds the same.
    pub payload: Arc<str>,
    /// Everything it was derived from, to be written down where nobody waits.
    pub record: RecordParts,
    /// How it left its voters, for the match's frustration.
    pub moods: Moods,
    /// What to do, when it was a motion that passed.
    pub passed: Option<Passed>,
}

/// A motion passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// What it does.
    pub on_pass: OnPass,
    /// To whom.
    pub target: Option<PlayerId>,
    /// Who called it.
    pub called_by: Option<PlayerId>,
}

/// A vote was vetoed.
#[derive(Debug, Clone)]
pub struct Vetoed {
    /// The payload of `match.vote_vetoed`.
    pub push: VoteVetoed,
    /// What is kept instead of a result, encoded.
    pub payload: Arc<str>,
    /// Everything that was cast until then, to be written down where nobody waits.
    pub record: RecordParts,
}

/// The payload of `match.vote_vetoed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteVetoed {
    /// Which vote.
    pub vote_id: VoteId,
    /// Whose veto was the last that was needed.
    pub vetoed_by: PlayerId,
}

/// The payload of `vote.proof`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proof {
    /// Which vote.
    pub vote_id: VoteId,
    /// The receipt that was asked about.
    pub receipt: Hash,
    /// Whether the vote is over; while it is open its tree still grows, and only that the receipt is known is said.
    pub closed: bool,
    /// The cast's place, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// How many casts there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<u64>,
    /// The canonical text whose hash the receipt is; never for a `secret` vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// The siblings on the way to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<Sibling>>,
    /// The root, as in the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ballots_root: Option<Hash>,
}

/// One entry of `open_votes` for somebody who comes in, or an operator's view.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteView {
    /// As in `match.vote_start`.
    #[serde(flatten)]
    pub start: VoteStart,
    /// `open`, `closing`, `paused` or `closed`.
    pub state: &'static str,
    /// Until the deadline.
    pub time_remaining_ms: u64,
    /// As in `match.vote_tally`, where that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tallies: Option<PerOption<Amount>>,
    /// Ballots cast, where tallies are shown or an operator asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_votes: Option<u64>,
    /// Who would win now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leading: Option<String>,
    /// The ballot that the viewer has cast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_ballot: Option<Value>,
    /// How often the viewer has cast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The turn being played (drafts).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<VoteTurn>,
}
