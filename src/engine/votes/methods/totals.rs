//! What plurality, approval, weighted, motion and score share: one sum per option, and the highest wins.

use crate::engine::votes::ballot::OptionIx;
use crate::engine::votes::count::{Count, CountRules, CountStatus, TieFor};
use crate::engine::votes::profile::{Row, option_of};
use crate::engine::votes::ties::Ties;

/// One sum per option.
#[derive(Debug, Clone)]
pub(super) struct Totals(pub(super) Vec<u128>);

impl Totals {
    pub(super) fn zero(rules: &CountRules) -> Self {
        Self(vec![0; rules.options.len()])
    }

    /// Adds `weight` to every option the ballot names: O(named).
    pub(super) fn add_named(&mut self, row: Row<'_>, weight: u64) {
        for &mark in row.marks() {
            self.0[option_of(mark)] += u128::from(weight);
        }
    }

    /// The opposite of [`Self::add_named`].
    pub(super) fn remove_named(&mut self, row: Row<'_>, weight: u64) {
        for &mark in row.marks() {
            let total = &mut self.0[option_of(mark)];
            *total = total.saturating_sub(u128::from(weight));
        }
    }
}

/// The highest `rules.seats` scores win. When nobody has any score, nobody wins: silence elects no one.
pub(super) fn highest_win(rules: &CountRules, scores: &[u128]) -> Count {
    let mut count = Count::of_scores(scores.to_vec());
    if scores.iter().any(|&score| score > 0) {
        elect_highest(rules, &mut count, |option| scores[option], rules.seats);
    }
    count
}

/// Fills `seats` with the options of the highest `rank`, ties by the chain.
pub(super) fn elect_highest<K: Ord + Copy>(
    rules: &CountRules,
    count: &mut Count,
    rank: impl Fn(usize) -> K,
    seats: usize,
) {
    let options = rules.options.len();
    let seats = seats.min(options);
    let mut order: Vec<usize> = (0..options).collect();
    order.sort_by_key(|&option| std::cmp::Reverse(rank(option)));
    let Some(&last_in) = order.get(seats.wrapping_sub(1)) else { return };
    let edge = rank(last_in);
    let pick = |keep: &dyn Fn(K) -> bool| -> Vec<OptionIx> {
        (0..options).filter(|&option| keep(rank(option))).map(|option| option as OptionIx).collect()
    };
    let safe = pick(&|key| key > edge);
    let level = pick(&|key| key == edge);

    let mut ties = Ties::new(rules);
    let decided = ties.favoured(TieFor::Win, &level, seats - safe.len(), &[]);
    count.status = if decided.is_some() { CountStatus::Decided } else { CountStatus::Tie };
    count.winners = safe;
    count.winners.extend(decided.unwrap_or(level));
    count.winners.sort_unstable();
    count.tie_events.extend(ties.into_events());
}
