//! Approval: mark every option you can live with, most approvals wins. With several seats, block approval: the most
//! approved fill them.

use super::totals::{HighestWins, Named};
use super::{Method, no_faults};
use crate::engine::votes::ballot::BallotKind;
use crate::engine::votes::live;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "approval",
    aliases: &["block_approval"],
    ballot: BallotKind::Approvals,
    about: "any number of options each; most approvals win, as many as there are seats",
    seats: true,
    rounds: false,
    equal_ranks: false,
    keys: &["seats", "max_choices"],
    check: no_faults,
    count: live::count::<Named<HighestWins>>,
    live: live::live::<Named<HighestWins>>,
};

#[cfg(test)]
mod tests {
    use crate::engine::votes::*;

    #[test]
    fn the_most_approved_fill_the_seats() {
        use CountStatus::{Decided, NoVotes, Tie};
        type Case<'a> = (&'a [&'a [OptionIx]], usize, &'a [TieBreak], CountStatus, &'a [OptionIx]);
        let cases: [Case; 8] = [
            (&[&[0, 1], &[1], &[1, 2]], 1, &[], Decided, &[1]),
            (&[&[0, 1], &[1], &[1, 2]], 2, &[], Tie, &[0, 1, 2]),
            (&[&[0, 1], &[1], &[1, 2]], 2, &[TieBreak::DeclaredOrder], Decided, &[0, 1]),
            (&[&[0, 1], &[1], &[1, 2]], 3, &[], Decided, &[0, 1, 2]),
            (&[&[0, 1], &[1]], 3, &[], Tie, &[0, 1, 2, 3]),
            (&[&[3]], 9, &[], Decided, &[0, 1, 2, 3]),
            (&[&[], &[]], 1, &[TieBreak::DeclaredOrder], NoVotes, &[]),
            (&[], 2, &[], NoVotes, &[]),
        ];
        for (ballots, seats, chain, status, winners) in cases {
            let ids = ["a", "b", "c", "d"].map(String::from).to_vec();
            let mut rules = CountRules::new(method("approval").unwrap(), ids);
            rules.seats = seats;
            rules.tie_break = chain.to_vec();
            let mut profile = Profile::new(BallotKind::Approvals, 4);
            for marks in ballots {
                profile.push(&Ballot::Approvals(marks.to_vec()), 1).unwrap();
            }
            let count = rules.method.count(&rules, &profile);
            assert_eq!((count.status, count.winners.as_slice()), (status, winners), "{ballots:?} {seats}");
        }
    }

    #[test]
    fn a_seat_without_approvals_is_filled_only_when_nobody_else_is_left() {
        let mut rules = CountRules::new(method("approval").unwrap(), ["a", "b"].map(String::from).to_vec());
        rules.seats = 2;
        let mut profile = Profile::new(BallotKind::Approvals, 2);
        profile.push(&Ballot::Approvals(vec![1]), 1).unwrap();
        let count = rules.method.count(&rules, &profile);
        assert_eq!((count.status, count.winners), (CountStatus::Decided, vec![0, 1]));
    }
}
