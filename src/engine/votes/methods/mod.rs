//! Every way to count: one file and one row each.
//!
//! A new method is a file with a [`Summary`](super::live::Summary) and a `pub const METHOD`, and its line in
//! [`METHODS`]; validation, the CLI, the law tests and the benches follow from the table.

use super::ballot::BallotKind;
use super::count::{Count, CountRules, RuleFault};
use super::live::LiveTally;
use super::profile::Profile;

mod condorcet;
mod grouped;
mod packed;
mod totals;

mod approval;
mod borda;
mod copeland;
mod irv;
mod minimax;
mod motion;
pub mod plurality;
mod ranked_pairs;
mod schulze;
mod score;
mod star;
mod stv;
mod weighted;

/// Every method, in the order of `VOTES.md`. (`draft` is not here: it counts nothing, its turns decide.)
pub static METHODS: &[Method] = &[
    plurality::METHOD,
    approval::METHOD,
    weighted::METHOD,
    irv::METHOD,
    borda::METHOD,
    schulze::METHOD,
    ranked_pairs::METHOD,
    minimax::METHOD,
    copeland::METHOD,
    score::METHOD,
    star::METHOD,
    stv::METHOD,
    motion::METHOD,
];

/// One way to count.
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// Other names it is known by.
    pub aliases: &'static [&'static str],
    /// What it counts.
    pub ballot: BallotKind,
    /// Who wins, in a line.
    pub about: &'static str,
    /// Whether it can elect several.
    pub seats: bool,
    /// Whether it counts in rounds.
    pub rounds: bool,
    /// Whether a ranking may hold options of equal rank.
    pub equal_ranks: bool,
    /// Which options of a vote mean something to it, beyond those that mean something to all.
    pub keys: &'static [&'static str],
    pub(super) check: fn(&CountRules, &mut Vec<RuleFault>),
    pub(super) count: fn(&CountRules, &Profile) -> Count,
    pub(super) live: fn(&CountRules) -> Box<dyn LiveTally>,
}

/// The method of this name or alias.
pub fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name || method.aliases.contains(&name))
}

impl Method {
    /// Everything that is wrong with `rules` for this method; empty when it can be counted.
    pub fn check(&self, rules: &CountRules) -> Vec<RuleFault> {
        let mut faults = Vec::new();
        rules.check(&mut faults);
        (self.check)(rules, &mut faults);
        faults
    }

    /// Counts a profile. Ballots of another kind than the method's are heard as that kind where it loses nothing
    /// (see [`Profile::heard_as`]); where it would, nobody has voted.
    pub fn count(&self, rules: &CountRules, profile: &Profile) -> Count {
        if profile.kind() == self.ballot {
            return (self.count)(rules, profile);
        }
        let heard = profile.heard_as(self.ballot).unwrap_or_else(|| Profile::new(self.ballot, rules.options.len()));
        (self.count)(rules, &heard)
    }

    /// An empty tally that ballots can be added to and removed from.
    pub fn live(&self, rules: &CountRules) -> Box<dyn LiveTally> {
        (self.live)(rules)
    }
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Method({})", self.name)
    }
}

/// The `check` column of a method that has nothing to add.
pub(super) fn no_faults(_: &CountRules, _: &mut Vec<RuleFault>) {}
