//! A ballot: what one voter says, and what is wrong with it when it says nothing that can be counted.
//!
//! A ballot is checked once, when it is cast. Everything behind this file may rely on a checked one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An option's place in the declared order, from 0.
pub type OptionIx = u16;

/// Options one vote may have: the pairwise matrix is quadratic in them, and bit 15 of an [`OptionIx`] is ours.
pub const OPTIONS_MAX: usize = 1_024;

/// What a method wants to hear from a voter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BallotKind {
    /// One option.
    Choice,
    /// Any number of options, all equal.
    Approvals,
    /// Options in order of preference, best first.
    Ranking,
    /// A number for every option.
    Scores,
}

impl BallotKind {
    /// The word for it on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Choice => "choice",
            Self::Approvals => "approvals",
            Self::Ranking => "ranking",
            Self::Scores => "scores",
        }
    }
}

/// What one voter says. Options that a ballot does not name are unranked, unapproved, or scored 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ballot {
    /// Cast, and empty: it counts as a ballot and for nobody.
    Blank,
    /// One option.
    Choice(OptionIx),
    /// Approved options, each once.
    Approvals(Vec<OptionIx>),
    /// Tiers of options, best first; the options of one tier are ranked equally.
    Ranking(Vec<Vec<OptionIx>>),
    /// One score per option, in declared order.
    Scores(Vec<u32>),
}

/// What a vote takes beyond the shape of its ballots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BallotRules {
    /// What kind the method counts.
    pub kind: BallotKind,
    /// How many options there are.
    pub options: usize,
    /// How many options one ballot may name (approvals and rankings).
    pub choices_max: usize,
    /// The highest score (scores).
    pub score_max: u32,
    /// Whether a ranking may hold options of equal rank.
    pub equal_ranks: bool,
    /// Whether an empty ballot may be cast.
    pub blank: bool,
}

/// Why a ballot cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BallotFault {
    /// It names an option that is not there.
    #[error("option {0} does not exist")]
    UnknownOption(usize),
    /// It names an option twice.
    #[error("option {0} is named more than once")]
    DuplicateOption(OptionIx),
    /// Its shape is not what the method counts.
    #[error("expected a ballot of kind {expected}")]
    WrongShape {
        /// The wire's word for the kind that was expected.
        expected: &'static str,
    },
    /// It names more options than allowed.
    #[error("at most {max} options may be named, {got} were")]
    TooMany {
        /// How many may be named.
        max: usize,
        /// How many were.
        got: usize,
    },
    /// It does not score every option.
    #[error("expected {expected} scores, one per option, got {got}")]
    ScoreCount {
        /// How many options there are.
        expected: usize,
        /// How many scores came.
        got: usize,
    },
    /// A score is above the highest allowed.
    #[error("a score is at most {max}, {got} was given")]
    ScoreOutOfRange {
        /// The highest score allowed.
        max: u32,
        /// The score given.
        got: u32,
    },
    /// Options share a rank where they must not.
    #[error("options of equal rank are not allowed here")]
    EqualRanks,
    /// It is empty where that is not allowed.
    #[error("an empty ballot is not allowed here")]
    Blank,
}

impl Ballot {
    /// Whether the ballot says nothing about any option. A ballot of zero scores does say something.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Blank => true,
            Self::Choice(_) => false,
            Self::Approvals(marks) => marks.is_empty(),
            Self::Ranking(tiers) => tiers.iter().all(Vec::is_empty),
            Self::Scores(scores) => scores.is_empty(),
        }
    }

    /// Checks the ballot against the rules of a vote. A single choice is taken as a ranking of one or as one approval;
    /// a list where one option is wanted is refused rather than guessed at.
    ///
    /// # Errors
    /// The first [`BallotFault`] found.
    pub fn check(&self, rules: &BallotRules) -> Result<(), BallotFault> {
        if self.is_blank() {
            return if rules.blank { Ok(()) } else { Err(BallotFault::Blank) };
        }
        let named: Vec<OptionIx> = match (self, rules.kind) {
            (Self::Choice(option), BallotKind::Choice | BallotKind::Approvals | BallotKind::Ranking) => vec![*option],
            (Self::Approvals(marks), BallotKind::Approvals) => marks.clone(),
            (Self::Ranking(tiers), BallotKind::Ranking) => {
                if !rules.equal_ranks && tiers.iter().any(|tier| tier.len() > 1) {
                    return Err(BallotFault::EqualRanks);
                }
                tiers.concat()
            }
            (Self::Scores(scores), BallotKind::Scores) => return check_scores(scores, rules),
            _ => return Err(BallotFault::WrongShape { expected: rules.kind.name() }),
        };
        if named.len() > rules.choices_max {
            return Err(BallotFault::TooMany { max: rules.choices_max, got: named.len() });
        }
        check_named(&named, rules.options)
    }
}

/// Every named option exists and is named once.
pub(super) fn check_named(named: &[OptionIx], options: usize) -> Result<(), BallotFault> {
    // Ballots are short and most votes have few options: one word of bits serves nearly all of them.
    let mut seen_few = 0u64;
    let mut seen_many = if options > 64 { vec![false; options] } else { Vec::new() };
    for &option in named {
        let at = usize::from(option);
        if at >= options {
            return Err(BallotFault::UnknownOption(at));
        }
        let again = if options > 64 {
            std::mem::replace(&mut seen_many[at], true)
        } else {
            let again = seen_few >> at & 1 == 1;
            seen_few |= 1 << at;
            again
        };
        if again {
            return Err(BallotFault::DuplicateOption(option));
        }
    }
    Ok(())
}

fn check_scores(scores: &[u32], rules: &BallotRules) -> Result<(), BallotFault> {
    if scores.len() != rules.options {
        return Err(BallotFault::ScoreCount { expected: rules.options, got: scores.len() });
    }
    match scores.iter().find(|&&score| score > rules.score_max) {
        Some(&got) => Err(BallotFault::ScoreOutOfRange { max: rules.score_max, got }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ballot_is_refused_for_what_is_wrong_with_it() {
        let rules =
            |kind| BallotRules { kind, options: 3, choices_max: 2, score_max: 5, equal_ranks: false, blank: false };
        use BallotKind::*;
        let cases: [(BallotKind, Ballot, &str); 16] = [
            (Choice, Ballot::Choice(2), "ok"),
            (Choice, Ballot::Choice(3), "option 3 does not exist"),
            (Choice, Ballot::Approvals(vec![0]), "expected a ballot of kind choice"),
            (Choice, Ballot::Blank, "an empty ballot is not allowed here"),
            (Approvals, Ballot::Choice(1), "ok"),
            (Approvals, Ballot::Approvals(vec![1, 0]), "ok"),
            (Approvals, Ballot::Approvals(vec![1, 1]), "option 1 is named more than once"),
            (Approvals, Ballot::Approvals(vec![0, 1, 2]), "at most 2 options may be named, 3 were"),
            (Approvals, Ballot::Approvals(vec![]), "an empty ballot is not allowed here"),
            (Ranking, Ballot::Choice(1), "ok"),
            (Ranking, Ballot::Ranking(vec![vec![2], vec![0]]), "ok"),
            (Ranking, Ballot::Ranking(vec![vec![2, 0]]), "options of equal rank are not allowed here"),
            (Ranking, Ballot::Ranking(vec![vec![2], vec![2]]), "option 2 is named more than once"),
            (Scores, Ballot::Scores(vec![0, 5, 1]), "ok"),
            (Scores, Ballot::Scores(vec![0, 6, 1]), "a score is at most 5, 6 was given"),
            (Scores, Ballot::Scores(vec![0, 1]), "expected 3 scores, one per option, got 2"),
        ];
        for (kind, ballot, expected) in cases {
            let got = ballot.check(&rules(kind)).map_or_else(|fault| fault.to_string(), |()| "ok".into());
            assert_eq!(got, expected, "{kind:?} {ballot:?}");
        }
    }

    #[test]
    fn many_options_are_checked_like_few() {
        assert_eq!(check_named(&[700, 3, 700], 1_000), Err(BallotFault::DuplicateOption(700)));
        assert_eq!(check_named(&[999, 0], 1_000), Ok(()));
        assert_eq!(check_named(&[63, 0, 63], 64), Err(BallotFault::DuplicateOption(63)));
    }
}
