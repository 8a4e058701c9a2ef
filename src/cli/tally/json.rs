//! `--json`: the count as one object, options by their number in the file.

use std::collections::BTreeMap;

use serde::Serialize;

use super::read::Election;
use crate::engine::votes::count::{Evidence, Matrix, Round};
use crate::engine::votes::{Count, CountRules, CountStatus, OptionIx};

/// A count as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Printed {
    method: &'static str,
    status: CountStatus,
    winners: Vec<usize>,
    scores: BTreeMap<usize, u128>,
    rounds: Vec<PrintedRound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matrix: Option<Vec<Vec<u128>>>,
    tie_broken: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<u128>,
    #[serde(skip_serializing_if = "is_one")]
    scale: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ties: Vec<PrintedTie>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<PrintedEvidence>,
}

#[derive(Debug, Serialize)]
struct PrintedRound {
    tally: BTreeMap<usize, Option<u128>>,
    exhausted: u128,
    eliminated: Vec<usize>,
    elected: Vec<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transfers: Vec<PrintedTransfer>,
}

/// Weight on its way; `to` is null when it is exhausted.
#[derive(Debug, Serialize)]
struct PrintedTransfer {
    from: usize,
    to: Option<usize>,
    amount: u128,
}

#[derive(Debug, Serialize)]
struct PrintedTie {
    round: Option<usize>,
    about: crate::engine::votes::count::TieFor,
    tied: Vec<usize>,
    favoured: Vec<usize>,
    by: Option<crate::engine::votes::TieBreak>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum PrintedEvidence {
    /// Strongest paths, as the matrix is written.
    Paths(Vec<Vec<u128>>),
    /// Majorities in the order they were looked at: winner, loser, strength, locked.
    Locked(Vec<(usize, usize, u128, bool)>),
    Runoff {
        finalists: [usize; 2],
        preferred: [u128; 2],
    },
    Motion {
        yes: u128,
        of: u128,
        threshold_bp: u32,
    },
}

fn is_one(scale: &u32) -> bool {
    *scale == 1
}

/// The count of an election as it is printed.
pub fn printed(rules: &CountRules, election: &Election, count: &Count) -> Printed {
    let numbers = &election.numbers;
    let number = |option: &OptionIx| numbers[usize::from(*option)];
    let all = |options: &[OptionIx]| -> Vec<usize> { options.iter().map(number).collect() };
    let round = |round: &Round| PrintedRound {
        tally: numbers.iter().copied().zip(round.tally.iter().copied()).collect(),
        exhausted: round.exhausted,
        eliminated: all(&round.eliminated),
        elected: all(&round.elected),
        transfers: round
            .transfers
            .iter()
            .map(|t| PrintedTransfer { from: number(&t.from), to: t.to.as_ref().map(number), amount: t.amount })
            .collect(),
    };
    let evidence = match &count.evidence {
        Evidence::None => None,
        Evidence::Paths(paths) => Some(PrintedEvidence::Paths(square(paths, numbers))),
        Evidence::Locked(locks) => Some(PrintedEvidence::Locked(
            locks.iter().map(|lock| (number(&lock.winner), number(&lock.loser), lock.strength, lock.locked)).collect(),
        )),
        Evidence::Runoff { finalists, preferred } => Some(PrintedEvidence::Runoff {
            finalists: [number(&finalists[0]), number(&finalists[1])],
            preferred: *preferred,
        }),
        &Evidence::Motion { yes, of, threshold_bp } => Some(PrintedEvidence::Motion { yes, of, threshold_bp }),
    };
    Printed {
        method: rules.method.name,
        status: count.status,
        winners: all(&count.winners),
        scores: numbers.iter().copied().zip(count.scores.iter().copied()).collect(),
        rounds: count.rounds.iter().map(round).collect(),
        matrix: count.matrix.as_ref().map(|matrix| square(matrix, numbers)),
        tie_broken: count.tie_broken(),
        quota: count.quota,
        scale: count.scale,
        ties: count
            .tie_events
            .iter()
            .map(|tie| PrintedTie {
                round: tie.round,
                about: tie.about,
                tied: all(&tie.tied),
                favoured: all(&tie.favoured),
                by: tie.by,
            })
            .collect(),
        evidence,
    }
}

/// Rows of the matrix by the options' numbers in the file; a withdrawn option's row and column are 0.
fn square(matrix: &Matrix, numbers: &[usize]) -> Vec<Vec<u128>> {
    let size = numbers.last().map_or(0, |last| last + 1);
    let mut rows = vec![vec![0; size]; size];
    for (a, &row) in numbers.iter().enumerate() {
        for (b, &column) in numbers.iter().enumerate() {
            rows[row][column] = matrix.get(a, b);
        }
    }
    rows
}
