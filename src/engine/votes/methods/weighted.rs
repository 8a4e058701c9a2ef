//! Weighted: plurality in which ballots carry weights.

use super::totals::{HighestWins, Named};
use super::{Method, no_faults};
use crate::engine::votes::ballot::BallotKind;
use crate::engine::votes::live;

/// The row of METHODS. Any method counts weights; this one says so by its name.
pub(super) const METHOD: Method = Method {
    name: "weighted",
    aliases: &[],
    ballot: BallotKind::Choice,
    about: "one option each, ballots weigh what the vote says; most weight wins",
    seats: false,
    rounds: false,
    equal_ranks: false,
    keys: &["weights"],
    check: no_faults,
    count: live::count::<Named<HighestWins>>,
    live: live::live::<Named<HighestWins>>,
};

#[cfg(test)]
mod tests {
    use crate::engine::votes::*;

    #[test]
    fn weights_add_up_beyond_64_bits_and_a_weight_of_zero_is_silent() {
        let rules = CountRules::new(method("weighted").unwrap(), ["a", "b"].map(String::from).to_vec());
        let mut profile = Profile::new(BallotKind::Choice, 2);
        for (option, weight) in [(0, u64::MAX), (1, u64::MAX), (1, 1), (0, 0)] {
            profile.push(&Ballot::Choice(option), weight).unwrap();
        }
        let count = rules.method.count(&rules, &profile);
        let full = u128::from(u64::MAX);
        assert_eq!((count.winners, count.scores), (vec![1], vec![full, full + 1]));
    }
}
