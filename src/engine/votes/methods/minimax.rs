//! Minimax: the option whose worst defeat is the mildest.

use super::condorcet::{Pairwise, ReadsPairs, options_where, victory};
use super::{Method, no_faults};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Count, CountRules, Matrix};
use crate::engine::votes::live;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "minimax",
    aliases: &["simpson"],
    ballot: BallotKind::Ranking,
    about: "the option whose worst defeat is the mildest",
    seats: false,
    rounds: false,
    equal_ranks: true,
    keys: &["strength"],
    check: no_faults,
    count: live::count::<Pairwise<Minimax>>,
    live: live::live::<Pairwise<Minimax>>,
};

pub(super) struct Minimax;

impl ReadsPairs for Minimax {
    fn read(rules: &CountRules, matrix: &Matrix, count: &mut Count) -> Vec<OptionIx> {
        let size = matrix.size();
        let defeats = |a: usize| (0..size).filter(move |&b| b != a).map(move |b| (b, a));
        let worst: Vec<u128> = (0..size)
            .map(|a| defeats(a).map(|(b, a)| victory(rules.strength, matrix, b, a)).max().unwrap_or(0))
            .collect();
        let mildest = worst.iter().min().copied().unwrap_or(0);
        let winners = options_where(size, |a| worst[a] == mildest);
        count.scores = worst;
        winners
    }
}
