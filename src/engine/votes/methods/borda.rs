//! Borda: places are points. Points are doubled here, so that options that share places share them in whole numbers.

use super::totals::{elect_highest, take};
use super::{Method, no_faults};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Count, CountRules, Truncated};
use crate::engine::votes::live::{self, Summary};
use crate::engine::votes::profile::{Row, option_of};

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "borda",
    aliases: &[],
    ballot: BallotKind::Ranking,
    about: "a point for every option ranked below; most points wins",
    seats: false,
    rounds: false,
    equal_ranks: true,
    keys: &["truncated"],
    check: no_faults,
    count: live::count::<Points>,
    live: live::live::<Points>,
};

pub(super) struct Points {
    doubled: Vec<u128>,
    /// Doubled points that every option has besides.
    base: u128,
    firsts: Vec<u128>,
    total: u128,
    spoken: u128,
}

/// Calls `give` with each ranked option and its doubled points, and returns what every option gets besides: with
/// `average`, the share of the unranked, so that a ballot costs O(ranked) and not O(options).
fn points(truncated: Truncated, options: usize, row: Row<'_>, mut give: impl FnMut(usize, u128)) -> u128 {
    let ranked = row.named_len();
    // The best place is worth one point for each of the others, or, modified, one for each ranked option.
    let best = if truncated == Truncated::Modified { ranked } else { options.saturating_sub(1) };
    let base = if truncated == Truncated::Average && ranked < options { options - 1 - ranked } else { 0 };
    let mut place = 0;
    for tier in row.tiers() {
        // Places `place` to `place + len - 1` are shared: twice their mean is first plus last.
        let shared = 2 * best - (2 * place + tier.len() - 1);
        for &mark in tier {
            give(option_of(mark), (shared - base) as u128);
        }
        place += tier.len();
    }
    base as u128
}

impl Summary for Points {
    fn empty(rules: &CountRules) -> Self {
        let zeros = vec![0; rules.options.len()];
        Self { doubled: zeros.clone(), base: 0, firsts: zeros, total: 0, spoken: 0 }
    }

    fn add(&mut self, rules: &CountRules, row: Row<'_>, weight: u128) {
        let doubled = &mut self.doubled;
        let options = doubled.len();
        self.base += weight * points(rules.truncated, options, row, |option, got| doubled[option] += got * weight);
        if let Some(first) = row.single_first() {
            self.firsts[usize::from(first)] += weight;
        }
        self.total += weight;
        self.spoken += if row.is_blank() { 0 } else { weight };
    }

    fn remove(&mut self, rules: &CountRules, row: Row<'_>, weight: u128) {
        let doubled = &mut self.doubled;
        let options = doubled.len();
        let base = points(rules.truncated, options, row, |option, got| take(&mut doubled[option], got * weight));
        take(&mut self.base, weight * base);
        if let Some(first) = row.single_first() {
            take(&mut self.firsts[usize::from(first)], weight);
        }
        take(&mut self.total, weight);
        take(&mut self.spoken, if row.is_blank() { 0 } else { weight });
    }

    fn count(&self, rules: &CountRules) -> Count {
        let mut count = Count::of_scores(self.doubled.iter().map(|points| points + self.base).collect());
        count.first_preferences = Some(self.firsts.clone());
        if self.spoken > 0 {
            elect_highest(rules, &mut count, |option| self.doubled[option], 1);
        } else if self.total > 0 {
            // Everybody is level, and nobody was meant.
            count.winners = (0..rules.options.len() as OptionIx).collect();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::votes::count::Truncated;
    use crate::engine::votes::*;

    #[test]
    fn places_are_points() {
        // Options are 0 to 3. Points are doubled.
        type Case<'a> = (&'a [&'a [OptionIx]], Truncated, [u128; 4]);
        let cases: [Case; 8] = [
            (&[&[0], &[1], &[2], &[3]], Truncated::Average, [6, 4, 2, 0]),
            (&[&[0], &[1], &[2], &[3]], Truncated::Zero, [6, 4, 2, 0]),
            (&[&[0], &[1], &[2], &[3]], Truncated::Modified, [8, 6, 4, 2]),
            (&[&[2]], Truncated::Average, [2, 2, 6, 2]),
            (&[&[2]], Truncated::Zero, [0, 0, 6, 0]),
            (&[&[2]], Truncated::Modified, [0, 0, 2, 0]),
            (&[&[1, 2], &[0]], Truncated::Average, [2, 5, 5, 0]),
            (&[], Truncated::Average, [3, 3, 3, 3]),
        ];
        for (tiers, truncated, doubled) in cases {
            let ids = ["a", "b", "c", "d"].map(String::from).to_vec();
            let mut rules = CountRules::new(method("borda").unwrap(), ids);
            rules.truncated = truncated;
            let mut profile = Profile::new(BallotKind::Ranking, 4);
            profile.push(&Ballot::Ranking(tiers.iter().map(|tier| tier.to_vec()).collect()), 1).unwrap();
            assert_eq!(rules.method.count(&rules, &profile).scores, doubled, "{tiers:?} {truncated:?}");
        }
    }
}
