//! Matchmaking: who plays with whom, decided by plain values over a time that is handed in.
//!
//! ```text
//! Rules (a mode's [matchmaking], checked)      rules.rs
//! Ticket -> Pool::add                          ticket.rs  pool.rs
//! Pool::poll(now) -> groups, expired           pool.rs    search.rs
//!   tickets lie in order on a line             line.rs
//!   a strategy says which axis tickets lie on, how far apart they may lie, and which group is better
//!                                              strategies/  (one file each, one row in STRATEGIES)
//!   windows widen                              widening.rs
//!   regions and required properties part       regions.rs
//!   parties stay whole, teams are filled       parties.rs
//!   running matches get players back           backfill.rs
//! replay(rules, arrivals) -> waits, quality    replay.rs
//! WhyNot, positions, estimates                 why.rs     estimate.rs
//! ```
//!
//! **What is promised** (and held by the property tests in `laws.rs`):
//!
//! - A player is in at most one ticket of a pool, a ticket in at most one group. A party is never split.
//! - The longest waiter who can be served is served first. Among the groups that waiter could have, `skill` takes the
//!   one with the smallest difference and `fill` the one that came first; among equals the older ticket goes first.
//!   (Where a mode has `ranges` the smallest difference is a close guess: then only a ticket that is alike in
//!   everything is never passed over by a younger one.)
//! - In every group the difference of skill is at most the window of its longest waiter, at the moment of pairing.
//! - A running match that asks gets the oldest tickets that fit its seats and those who play in it.
//! - A ticket expires exactly `expire_s` after it was added, frozen or not, and is never matched from then on.
//!
//! Nothing here polls: [`Pool::next_wake_ms`] says when time alone could change something.

mod backfill;
mod estimate;
mod hash;
mod line;
mod parties;
mod pool;
mod regions;
mod replay;
mod rules;
mod search;
pub mod strategies;
mod ticket;
mod why;
mod widening;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tables;

pub use backfill::{Backfill, BackfillRefused, Playing};
pub use pool::{Group, Polled, Pool, TicketStatus};
pub use replay::{Arrival, Replayed, replay};
pub use rules::{RuleFault, Rules};
pub use ticket::{AddRefused, Added, RemoveRefused, Ticket, Traits};
pub use why::WhyNot;
