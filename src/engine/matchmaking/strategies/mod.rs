//! The strategies: one file each, one row in [`STRATEGIES`]. A strategy is three small answers; the search that uses
//! them (`../search.rs`) is the same for all, so parties, teams, regions, ranges, bots and backfill work with each.

mod fill;
mod skill;

use super::rules::Rules;
use super::ticket::Traits;

/// How a mode's tickets are brought together.
#[derive(Debug)]
pub struct Strategy {
    /// The word in the configuration.
    pub name: &'static str,
    /// One sentence for people who choose one.
    pub about: &'static str,
    /// Where a ticket lies on the line along which its neighbours are looked for, in thousandths; `None` when there is
    /// no such line and tickets are simply taken by age.
    pub place: fn(&Rules, &Traits) -> Option<i64>,
    /// How far apart on that line the members of a group may lie when its longest waiter has waited this long.
    pub window: fn(&Rules, waited_ms: u64) -> i64,
    /// Which of a waiter's possible groups is taken.
    pub better: Better,
}

/// Which of a waiter's possible groups is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The one whose members came first.
    Older,
    /// The one whose members lie closest together; among equals the older.
    Closer,
}

/// Every strategy there is.
pub static STRATEGIES: &[Strategy] = &[fill::FILL, skill::SKILL];

/// The strategy of this name.
pub fn strategy(name: &str) -> Option<&'static Strategy> {
    STRATEGIES.iter().find(|strategy| strategy.name == name)
}
