//! The pure core: votes, matches, matchmaking, sessions, chat and presence as plain values.
//!
//! **Architecture invariant:** nothing in here knows actix, tokio, a clock, a global random source, IO or a log.
//! Callers hand in the time and the randomness; the values return what should happen.

pub mod accounts;
pub mod chat;
pub mod matches;
pub mod matchmaking;
pub mod modes;
pub mod overload;
pub mod presence;
pub mod rate;
pub mod sessions;
pub mod votes;
