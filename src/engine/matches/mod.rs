//! A match without its game: who sits where, which inputs wait, when ticks are due and which phase it is in.
//!
//! `games::stage` puts a game on top of it; `actors::matches` is the shell around both.

pub mod clock;
pub mod delta;
pub mod events;
pub mod inputs;
pub mod roster;
pub mod schedule;
pub mod verdict;

use serde::Serialize;

/// The life of a match, in order; `paused` may interrupt `running` any number of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Fewer players than the mode's minimum: nothing ticks yet.
    Waiting,
    /// Ticking.
    Running,
    /// Stopped by an operator or the game: ticks, vote clocks and deadlines stand still.
    Paused,
    /// Over; only its record remains.
    Finished,
}

impl Phase {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Running => "running",
            Phase::Paused => "paused",
            Phase::Finished => "finished",
        }
    }
}
