//! What the Condorcet methods share: one pairwise matrix of the ballots, and a way to settle who wins it.

use std::marker::PhantomData;

use super::totals::{fill, take};
use crate::engine::votes::ballot::OptionIx;
use crate::engine::votes::count::{Count, CountRules, Matrix, Strength};
use crate::engine::votes::live::Summary;
use crate::engine::votes::pairwise::Pairs;
use crate::engine::votes::profile::{Profile, Row};

/// How a method reads the matrix: it fills in `scores` and `evidence` and says who could win.
pub(super) trait ReadsPairs: Send + 'static {
    /// The options that win before any tie is broken: at least one.
    fn read(rules: &CountRules, matrix: &Matrix, count: &mut Count) -> Vec<OptionIx>;
}

/// The summary of every Condorcet method.
pub(super) struct Pairwise<M>(Pairs, PhantomData<M>);

impl<M: ReadsPairs> Summary for Pairwise<M> {
    fn empty(rules: &CountRules) -> Self {
        Self(Pairs::empty(rules), PhantomData)
    }

    fn add(&mut self, _: &CountRules, row: Row<'_>, weight: u128) {
        self.0.change(row, |cell| *cell += weight);
    }

    fn remove(&mut self, _: &CountRules, row: Row<'_>, weight: u128) {
        self.0.change(row, |cell| take(cell, weight));
    }

    fn of(rules: &CountRules, profile: &Profile) -> Self {
        Self(Pairs::of(rules.options.len(), profile), PhantomData)
    }

    fn count(&self, rules: &CountRules) -> Count {
        let pairs = &self.0;
        let mut count = Count::of_scores(Vec::new());
        let unbeaten = M::read(rules, &pairs.matrix, &mut count);
        count.matrix = Some(pairs.matrix.clone());
        count.first_preferences = Some(pairs.firsts.clone());
        if pairs.spoken > 0 {
            fill(rules, &mut count, Vec::new(), unbeaten, 1);
        } else if pairs.total > 0 {
            // Everybody is level, and nobody was meant: no vote, and no lot to draw.
            count.winners = unbeaten;
        }
        count
    }
}

/// How strong the victory of `a` over `b` is; 0 when it is none.
pub(super) fn victory(strength: Strength, matrix: &Matrix, a: usize, b: usize) -> u128 {
    let (above, below) = (matrix.get(a, b), matrix.get(b, a));
    match strength {
        Strength::Opposition => above,
        _ if above <= below => 0,
        Strength::Wv => above,
        Strength::Margins => above - below,
    }
}

/// The options for which `wins` holds.
pub(super) fn options_where(size: usize, wins: impl Fn(usize) -> bool) -> Vec<OptionIx> {
    (0..size).filter(|&option| wins(option)).map(|option| option as OptionIx).collect()
}
