//! What waits: a party of one or more players, and what is known about them.

use std::sync::Arc;

use crate::ids::{PlayerId, TicketId};

/// Skills and ranges are kept in thousandths, so that a client's 1500.5 is neither refused nor compared as a float.
pub const THOUSANDTHS: i64 = 1_000;

/// Players who want to play together, waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its name.
    pub ticket_id: TicketId,
    /// The party, whoever queued it first. Never split.
    pub players: Vec<PlayerId>,
    /// What the pool pairs by.
    pub traits: Traits,
    /// When it was added, on the pool's clock.
    pub added_ms: u64,
}

/// What a pool pairs by, read from a ticket's properties by [`super::Rules::traits`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traits {
    /// Skill in thousandths of a point; a party's is what its leader gave. 0 when none was given.
    pub skill: i64,
    /// Region, at most 64 bytes.
    pub region: Option<Arc<str>>,
    /// One value per `ranges` rule, in the order of their names, in thousandths.
    pub ranges: Vec<i64>,
    /// The properties that must be equal, as one canonical text; empty when the mode requires none.
    pub require: Arc<str>,
}

/// The answer to a ticket that is waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// The ticket that waits: the new one, or the one that was open already.
    pub ticket_id: TicketId,
    /// Whether it was open already.
    pub already_queued: bool,
}

/// Why a ticket was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddRefused {
    /// As many tickets wait as the server allows.
    #[error("the queue is full: {tickets_max} tickets are waiting")]
    QueueFull {
        /// The bound.
        tickets_max: usize,
    },
    /// The mode takes no parties.
    #[error("this mode takes players one by one, not parties")]
    PartiesOff,
    /// No team of the mode has room for the party.
    #[error("a party of {size} does not fit: a team has {max} seats")]
    PartyTooLarge {
        /// Players in the party.
        size: usize,
        /// Seats of the largest team.
        max: u32,
    },
    /// A player is named twice, or nobody is.
    #[error("a party names each of its players once")]
    PartyRepeats,
    /// Somebody in the party waits in another ticket.
    #[error("player {0} waits in another ticket")]
    PartyMemberUnavailable(PlayerId),
    /// A property that the mode's rules need is absent.
    #[error("properties.{0} is missing: this mode pairs by it")]
    PropertyMissing(String),
    /// A property is not what the rules need.
    #[error("properties.{name} should be {expected}")]
    PropertyInvalid {
        /// Which.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Why a ticket was not removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoveRefused {
    /// No such ticket waits.
    #[error("no such ticket is waiting")]
    NotFound,
    /// Whoever asked is not in its party.
    #[error("only the ticket's own players can remove it")]
    NotOwner,
}
