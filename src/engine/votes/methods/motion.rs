//! Motion: yes or no, and perhaps abstain. It passes at a share of those who vote, or of all who may.

use super::Method;
use super::totals::{Named, ReadsTotals};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Basis, Count, CountRules, CountStatus, Evidence, RuleFault};
use crate::engine::votes::live;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "motion",
    aliases: &[],
    ballot: BallotKind::Choice,
    about: "yes or no; passes when yes reaches its threshold",
    seats: false,
    rounds: false,
    equal_ranks: false,
    keys: &["threshold_bp", "basis"],
    check,
    count: live::count::<Named<Motion>>,
    live: live::live::<Named<Motion>>,
};

pub(super) struct Motion;

fn find(rules: &CountRules, id: &str) -> Option<usize> {
    rules.options.iter().position(|option| option == id)
}

fn check(rules: &CountRules, faults: &mut Vec<RuleFault>) {
    let known = rules.options.iter().all(|id| matches!(id.as_str(), "yes" | "no" | "abstain"));
    if !known || find(rules, "yes").is_none() || find(rules, "no").is_none() {
        faults.push(RuleFault::new("options", "expected yes, no and perhaps abstain"));
    }
    if !(1..=10_000).contains(&rules.threshold_bp) {
        faults.push(RuleFault::new("threshold_bp", format!("expected 1 to 10000, got {}", rules.threshold_bp)));
    }
}

impl ReadsTotals for Motion {
    fn read(rules: &CountRules, totals: &[u128]) -> Count {
        let mut count = Count::of_scores(totals.to_vec());
        let (Some(yes_ix), Some(no_ix)) = (find(rules, "yes"), find(rules, "no")) else { return count };
        let cast: u128 = totals.iter().sum();
        let yes = totals[yes_ix];
        let of = match rules.basis {
            Basis::Cast => yes + totals[no_ix],
            // Whoever cast was eligible, whatever the caller thought of it.
            Basis::Eligible => rules.eligible.max(cast),
        };
        count.evidence = Evidence::Motion { yes, of, threshold_bp: rules.threshold_bp };
        if cast > 0 {
            // yes / of >= threshold / 10 000 without dividing. A motion that nobody wants never passes.
            let passes = yes > 0 && yes * 10_000 >= u128::from(rules.threshold_bp) * of;
            count.status = CountStatus::Decided;
            count.winners = vec![if passes { yes_ix } else { no_ix } as OptionIx];
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::votes::count::Basis;
    use crate::engine::votes::*;

    #[test]
    fn a_motion_passes_at_its_threshold_and_not_before() {
        use Basis::{Cast, Eligible};
        // yes, no, abstain, threshold, basis, eligible -> the winner
        let cases = [
            ([1, 1, 0], 5_001, Cast, 2, Some("no")),
            ([2, 1, 0], 5_001, Cast, 3, Some("yes")),
            ([2, 1, 0], 6_666, Cast, 3, Some("yes")),
            ([2, 1, 0], 6_667, Cast, 3, Some("no")),
            ([1, 0, 9], 5_001, Cast, 10, Some("yes")),
            ([1, 0, 9], 5_001, Eligible, 10, Some("no")),
            ([6, 0, 0], 6_000, Eligible, 10, Some("yes")),
            ([5, 0, 0], 6_000, Eligible, 10, Some("no")),
            ([3, 0, 0], 10_000, Eligible, 0, Some("yes")),
            ([0, 0, 3], 1, Cast, 3, Some("no")),
            ([0, 0, 0], 1, Eligible, 3, None),
        ];
        for (votes, threshold_bp, basis, eligible, winner) in cases {
            let ids = ["yes", "no", "abstain"].map(String::from).to_vec();
            let mut rules = CountRules::new(method("motion").unwrap(), ids);
            (rules.threshold_bp, rules.basis, rules.eligible) = (threshold_bp, basis, eligible);
            assert_eq!(rules.method.check(&rules), []);
            let mut profile = Profile::new(BallotKind::Choice, 3);
            for (option, weight) in votes.into_iter().enumerate() {
                profile.push(&Ballot::Choice(option as OptionIx), weight).unwrap();
            }
            let count = rules.method.count(&rules, &profile);
            let got = count.winners.first().map(|&option| rules.options[usize::from(option)].as_str());
            assert_eq!(got, winner, "{votes:?} {threshold_bp} {basis:?} {eligible}");
        }
    }

    #[test]
    fn a_motion_asks_yes_or_no() {
        let mut rules = CountRules::new(method("motion").unwrap(), ["yes", "maybe"].map(String::from).to_vec());
        rules.threshold_bp = 0;
        let keys: Vec<_> = rules.method.check(&rules).into_iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["options", "threshold_bp"]);
    }
}
