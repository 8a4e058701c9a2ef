//! Copeland: who wins the most duels. A won duel is worth two and a level one is worth one, to stay in whole numbers.

use super::condorcet::{Pairwise, ReadsPairs, options_where};
use super::{Method, no_faults};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Count, CountRules, Matrix};
use crate::engine::votes::live;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "copeland",
    aliases: &["llull"],
    ballot: BallotKind::Ranking,
    about: "most duels won",
    seats: false,
    rounds: false,
    equal_ranks: true,
    keys: &[],
    check: no_faults,
    count: live::count::<Pairwise<Copeland>>,
    live: live::live::<Pairwise<Copeland>>,
};

pub(super) struct Copeland;

impl ReadsPairs for Copeland {
    fn read(_: &CountRules, matrix: &Matrix, count: &mut Count) -> Vec<OptionIx> {
        let size = matrix.size();
        let duel = |a: usize, b: usize| u128::from(matrix.beats(a, b)) + u128::from(!matrix.beats(b, a));
        let duels: Vec<u128> = (0..size).map(|a| (0..size).filter(|&b| b != a).map(|b| duel(a, b)).sum()).collect();
        let most = duels.iter().max().copied().unwrap_or(0);
        let winners = options_where(size, |a| duels[a] == most);
        count.scores = duels;
        winners
    }
}
