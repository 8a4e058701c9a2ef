//! Plurality: one option each, most votes wins.

use super::totals::{Totals, highest_win};
use super::{Method, no_faults};
use crate::engine::votes::ballot::BallotKind;
use crate::engine::votes::count::{Count, CountRules};
use crate::engine::votes::live::{self, Summary};
use crate::engine::votes::profile::Row;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "plurality",
    aliases: &["fptp"],
    ballot: BallotKind::Choice,
    about: "one option each; most votes wins",
    seats: false,
    rounds: false,
    equal_ranks: false,
    keys: &[],
    check: no_faults,
    count: live::count::<Votes>,
    live: live::live::<Votes>,
};

pub(super) struct Votes(Totals);

impl Summary for Votes {
    fn empty(rules: &CountRules) -> Self {
        Self(Totals::zero(rules))
    }

    fn add(&mut self, row: Row<'_>, weight: u64) {
        self.0.add_named(row, weight);
    }

    fn remove(&mut self, row: Row<'_>, weight: u64) {
        self.0.remove_named(row, weight);
    }

    fn count(&self, rules: &CountRules) -> Count {
        highest_win(rules, &self.0.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::votes::*;

    #[test]
    fn most_votes_win_and_silence_elects_nobody() {
        use CountStatus::{Decided, NoVotes, Tie};
        use TieBreak::DeclaredOrder;
        type Case<'a> = (&'a [u64], &'a [TieBreak], CountStatus, &'a [OptionIx]);
        let cases: [Case; 5] = [
            (&[2, 5, 1], &[], Decided, &[1]),
            (&[2, 2, 1], &[], Tie, &[0, 1]),
            (&[1, 2, 2], &[DeclaredOrder], Decided, &[1]),
            (&[0, 0, 0], &[DeclaredOrder], NoVotes, &[]),
            (&[u64::MAX, u64::MAX, 1], &[DeclaredOrder], Decided, &[0]),
        ];
        for (votes, chain, status, winners) in cases {
            let mut rules = CountRules::new(method("plurality").unwrap(), ["a", "b", "c"].map(String::from).to_vec());
            rules.tie_break = chain.to_vec();
            let mut live = rules.method.live(&rules);
            let mut profile = Profile::new(BallotKind::Choice, 3);
            for (option, &weight) in votes.iter().enumerate() {
                let ballot = Ballot::Choice(option as OptionIx);
                profile.push(&ballot, weight).unwrap();
                live.add(&ballot, weight).unwrap();
            }
            let count = rules.method.count(&rules, &profile);
            assert_eq!((count.status, count.winners.as_slice()), (status, winners), "{votes:?}");
            assert_eq!(live.snapshot(), count, "{votes:?}");
        }
    }
}
