//! Schulze: the option whose strongest chain of victories to any other is at least as strong as the chain back.

use super::condorcet::{Pairwise, ReadsPairs, options_where, victory};
use super::{Method, no_faults};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Count, CountRules, Evidence, Matrix};
use crate::engine::votes::live;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "schulze",
    aliases: &["beatpath"],
    ballot: BallotKind::Ranking,
    about: "the option that no other beats by a stronger chain of victories",
    seats: false,
    rounds: false,
    equal_ranks: true,
    keys: &["strength"],
    check: no_faults,
    count: live::count::<Pairwise<Schulze>>,
    live: live::live::<Pairwise<Schulze>>,
};

pub(super) struct Schulze;

impl ReadsPairs for Schulze {
    fn read(rules: &CountRules, matrix: &Matrix, count: &mut Count) -> Vec<OptionIx> {
        let size = matrix.size();
        let mut paths = Matrix::zero(size);
        for a in 0..size {
            for b in (0..size).filter(|&b| b != a) {
                paths.row_mut(a)[b] = victory(rules.strength, matrix, a, b);
            }
        }
        // Widest paths the way Floyd and Warshall find shortest ones: a chain is as strong as its weakest link.
        for via in 0..size {
            let onward = paths.row(via).to_vec();
            for from in (0..size).filter(|&from| from != via) {
                let cells = paths.row_mut(from);
                let reach = cells[via];
                if reach > 0 {
                    for (to, (cell, link)) in cells.iter_mut().zip(&onward).enumerate() {
                        if to != from {
                            *cell = (*cell).max(reach.min(*link));
                        }
                    }
                }
            }
        }
        count.scores = (0..size).map(|a| (0..size).filter(|&b| paths.beats(a, b)).count() as u128).collect();
        let winners = options_where(size, |a| (0..size).all(|b| !paths.beats(b, a)));
        count.evidence = Evidence::Paths(paths);
        winners
    }
}
