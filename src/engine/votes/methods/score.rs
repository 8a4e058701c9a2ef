//! Score: every option gets a number, the highest sum wins.

use super::totals::{elect_highest, take};
use super::{Method, no_faults};
use crate::engine::votes::ballot::BallotKind;
use crate::engine::votes::count::{Count, CountRules};
use crate::engine::votes::live::{self, Summary};
use crate::engine::votes::profile::Row;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "score",
    aliases: &["range"],
    ballot: BallotKind::Scores,
    about: "a number from 0 to max for every option; the highest sum wins",
    seats: false,
    rounds: false,
    equal_ranks: false,
    keys: &["max"],
    check: no_faults,
    count: live::count::<Sums>,
    live: live::live::<Sums>,
};

/// The sum per option, and how much weight spoke at all: a ballot of zeros is an opinion, an empty one is none.
pub(super) struct Sums {
    pub(super) sums: Vec<u128>,
    pub(super) spoken: u128,
}

impl Sums {
    /// Changes what a ballot speaks for by its weight, and every sum by its score times that.
    fn change(&mut self, row: Row<'_>, weight: u128, change: impl Fn(&mut u128, u128)) {
        if !row.is_blank() {
            change(&mut self.spoken, weight);
        }
        let scored = self.sums.iter_mut().zip(row.scores());
        match u32::try_from(weight) {
            // The weights of nearly all ballots: one multiplication instead of several.
            Ok(small) => scored.for_each(|(sum, &score)| change(sum, u128::from(u64::from(score) * u64::from(small)))),
            Err(_) => scored.for_each(|(sum, &score)| change(sum, u128::from(score) * weight)),
        }
    }
}

impl Summary for Sums {
    fn empty(rules: &CountRules) -> Self {
        Self { sums: vec![0; rules.options.len()], spoken: 0 }
    }

    fn add(&mut self, _: &CountRules, row: Row<'_>, weight: u128) {
        self.change(row, weight, |sum, due| *sum += due);
    }

    fn remove(&mut self, _: &CountRules, row: Row<'_>, weight: u128) {
        self.change(row, weight, take);
    }

    fn count(&self, rules: &CountRules) -> Count {
        let mut count = Count::of_scores(self.sums.clone());
        if self.spoken > 0 {
            elect_highest(rules, &mut count, |option| self.sums[option], 1);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::votes::*;

    #[test]
    fn the_highest_sum_wins() {
        type Case<'a> = (&'a [&'a [u32]], CountStatus, &'a [OptionIx], [u128; 3]);
        let cases: [Case; 4] = [
            (&[&[5, 0, 3], &[0, 1, 3]], CountStatus::Decided, &[2], [5, 1, 6]),
            (&[&[5, 5, 3]], CountStatus::Tie, &[0, 1], [5, 5, 3]),
            (&[&[0, 0, 0]], CountStatus::Tie, &[0, 1, 2], [0, 0, 0]),
            (&[&[], &[]], CountStatus::NoVotes, &[], [0, 0, 0]),
        ];
        for (ballots, status, winners, sums) in cases {
            let rules = CountRules::new(method("score").unwrap(), ["a", "b", "c"].map(String::from).to_vec());
            let mut profile = Profile::new(BallotKind::Scores, 3);
            for scores in ballots {
                profile.push(&Ballot::Scores(scores.to_vec()), 1).unwrap();
            }
            let count = rules.method.count(&rules, &profile);
            assert_eq!((count.status, count.winners.as_slice()), (status, winners), "{ballots:?}");
            assert_eq!(count.scores, sums, "{ballots:?}");
        }
    }
}
