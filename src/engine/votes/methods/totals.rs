//! What most methods share: a sum per option, and the highest (or the unbeaten) win.

use std::cmp::Reverse;
use std::marker::PhantomData;

use crate::engine::votes::ballot::OptionIx;
use crate::engine::votes::count::{Count, CountRules, CountStatus, TieFor};
use crate::engine::votes::live::Summary;
use crate::engine::votes::profile::{Row, option_of};
use crate::engine::votes::ties::Ties;

/// How a method reads the sums of [`Named`].
pub(super) trait ReadsTotals: Send + 'static {
    /// The count that these sums come to.
    fn read(rules: &CountRules, totals: &[u128]) -> Count;
}

/// A summary of choices or approvals: each ballot adds its weight to every option it names, O(named).
pub(super) struct Named<M>(Vec<u128>, PhantomData<M>);

impl<M: ReadsTotals> Summary for Named<M> {
    fn empty(rules: &CountRules) -> Self {
        Self(vec![0; rules.options.len()], PhantomData)
    }

    fn add(&mut self, _: &CountRules, row: Row<'_>, weight: u128) {
        for &mark in row.marks() {
            self.0[option_of(mark)] += weight;
        }
    }

    fn remove(&mut self, _: &CountRules, row: Row<'_>, weight: u128) {
        for &mark in row.marks() {
            take(&mut self.0[option_of(mark)], weight);
        }
    }

    fn count(&self, rules: &CountRules) -> Count {
        M::read(rules, &self.0)
    }
}

/// The reading that most methods want: the highest `seats` totals win.
pub(super) struct HighestWins;

impl ReadsTotals for HighestWins {
    fn read(rules: &CountRules, totals: &[u128]) -> Count {
        let mut count = Count::of_scores(totals.to_vec());
        // When nobody has any, nobody wins: silence elects no one.
        if totals.iter().any(|&total| total > 0) {
            elect_highest(rules, &mut count, |option| totals[option], rules.seats);
        }
        count
    }
}

/// Takes back what was added before.
pub(super) fn take(from: &mut u128, weight: u128) {
    debug_assert!(*from >= weight, "only what was added is taken back");
    *from = from.saturating_sub(weight);
}

/// Fills `seats` with the options of the highest `rank`, ties by the chain. Winners are in declared order.
pub(super) fn elect_highest<K: Ord + Copy>(
    rules: &CountRules,
    count: &mut Count,
    rank: impl Fn(usize) -> K,
    seats: usize,
) {
    let options = rules.options.len();
    let seats = seats.min(options);
    let mut order: Vec<usize> = (0..options).collect();
    order.sort_by_key(|&option| Reverse(rank(option)));
    let Some(edge) = seats.checked_sub(1).map(|last| rank(order[last])) else { return };
    let pick = |keep: &dyn Fn(K) -> bool| -> Vec<OptionIx> {
        (0..options).filter(|&option| keep(rank(option))).map(|option| option as OptionIx).collect()
    };
    let safe = pick(&|key| key > edge);
    let level = pick(&|key| key == edge);
    fill(rules, count, safe, level, seats);
}

/// Elects `safe` and fills what is left of `seats` from `level`, ties by the chain.
pub(super) fn fill(rules: &CountRules, count: &mut Count, safe: Vec<OptionIx>, level: Vec<OptionIx>, seats: usize) {
    let mut ties = Ties::new(rules);
    let decided = ties.favoured(TieFor::Win, &level, seats - safe.len(), &[]);
    count.status = if decided.is_some() { CountStatus::Decided } else { CountStatus::Tie };
    count.winners = safe;
    count.winners.extend(decided.unwrap_or(level));
    count.winners.sort_unstable();
    count.tie_events.extend(ties.into_events());
}
