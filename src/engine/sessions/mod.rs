//! Sessions: what waits for a client, and what a client that comes back has missed.
//!
//! A session outlives its socket. Everything it is sent passes through one [`Outbox`], which decides three things in
//! one place, under one lock: the order frames leave in, which of them a resume counts, and what happens when the
//! client does not read. Nothing in here knows what a frame says.

mod outbox;
mod resent;

pub use outbox::{Bounds, Gone, Outbox, Pushed, Replied};
pub use resent::{Asked, Resent};

/// How a frame may be treated on its way to a client. Clients count frames by this, so it is part of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Delivered exactly once and counted for a resume: everything that is not one of the other two.
    Counted,
    /// Delivered once while a socket is attached, never counted and never replayed: `session.connected`,
    /// `session.heartbeat` (each carries its own `cid`, so none replaces another) and answers before authentication.
    Uncounted,
    /// Only the newest of this kind about this thing matters (a match, a vote, a channel): it takes the place of one
    /// that still waits. Never counted.
    Latest(SlotKind, u128),
}

/// The replaceable kinds. The list is closed: a client counts every other frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotKind {
    /// `match.state`, by match.
    MatchState,
    /// `match.state` as what changed since one that was whole, by match: waits beside that one.
    MatchDelta,
    /// `match.ack`, by match.
    MatchAck,
    /// `match.vote_tally`, by vote.
    VoteTally,
    /// `matchmaker.status`, by ticket.
    MatchmakerStatus,
    /// `server.lag`.
    ServerLag,
    /// `chat.typing`, by channel and typist.
    ChatTyping,
}

impl SlotKind {
    /// Every replaceable kind with its type on the wire.
    pub const ALL: &[(SlotKind, &str)] = &[
        (SlotKind::MatchState, "match.state"),
        (SlotKind::MatchDelta, "match.state"),
        (SlotKind::MatchAck, "match.ack"),
        (SlotKind::VoteTally, "match.vote_tally"),
        (SlotKind::MatchmakerStatus, "matchmaker.status"),
        (SlotKind::ServerLag, "server.lag"),
        (SlotKind::ChatTyping, "chat.typing"),
    ];
}
