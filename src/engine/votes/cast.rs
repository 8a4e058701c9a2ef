//! From what a client casts to the ballot it means in one vote.
//!
//! Nothing is guessed: an option that does not exist, one that is named twice, a shape that the method does not count
//! are told apart and refused, and nobody else's ballot is touched by it.

use serde::Deserialize;
use serde_json::Value;

use super::ballot::{Ballot, BallotFault, BallotKind, BallotRules, OptionIx};
use super::config::VoteOption;
use super::input::{BallotEntry, BallotInput};

/// Why a cast holds no ballot of this vote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputFault {
    /// It names an option that is not there: `invalid_option`.
    #[error("an option that this vote does not have")]
    UnknownOption,
    /// Everything else: `invalid_ballot`.
    #[error("{0}")]
    Ballot(BallotFault),
    /// A score below zero or above any limit: `invalid_ballot`.
    #[error("a score is a whole number from 0 to {max}")]
    Score {
        /// The highest score of the vote.
        max: u32,
    },
    /// Neither a string, nor a list, nor a map of numbers: `invalid_ballot`.
    #[error("expected an option id, a list of them, or a map from option id to score")]
    Shape,
}

impl From<BallotFault> for InputFault {
    fn from(fault: BallotFault) -> Self {
        match fault {
            BallotFault::UnknownOption(_) => Self::UnknownOption,
            other => Self::Ballot(other),
        }
    }
}

/// The ballot that `input` means in a vote over `options`, checked against `rules`. A scalar is a ranking of one or
/// one approval; a list where one option is wanted is refused.
///
/// # Errors
/// The first fault found.
pub fn ballot(input: &BallotInput, options: &[VoteOption], rules: &BallotRules) -> Result<Ballot, InputFault> {
    let mut ballot = match (input, rules.kind) {
        (BallotInput::List(entries), _) if entries.is_empty() => Ballot::Blank,
        (BallotInput::Map(scores), _) if scores.is_empty() => Ballot::Blank,
        (BallotInput::Null, _) => Ballot::Blank,
        (BallotInput::Other, _) => return Err(InputFault::Shape),
        (BallotInput::Scalar(id), BallotKind::Choice) => Ballot::Choice(find(options, id)?),
        (BallotInput::Scalar(id), BallotKind::Approvals) => Ballot::Approvals(vec![find(options, id)?]),
        (BallotInput::Scalar(id), BallotKind::Ranking) => Ballot::Ranking(vec![vec![find(options, id)?]]),
        (BallotInput::List(entries), BallotKind::Approvals) => {
            let mark = |entry: &BallotEntry| match entry {
                BallotEntry::One(id) => find(options, id),
                BallotEntry::Tied(_) => Err(shape(rules)),
            };
            Ballot::Approvals(bounded(entries, rules)?.iter().map(mark).collect::<Result<_, _>>()?)
        }
        (BallotInput::List(entries), BallotKind::Ranking) => {
            let tier = |entry: &BallotEntry| match entry {
                BallotEntry::One(id) => find(options, id).map(|option| vec![option]),
                BallotEntry::Tied(ids) => {
                    bounded(ids, rules)?.iter().map(|id| find(options, id)).collect::<Result<_, _>>()
                }
            };
            let tiers: Vec<Vec<OptionIx>> = bounded(entries, rules)?.iter().map(tier).collect::<Result<_, _>>()?;
            Ballot::Ranking(tiers.into_iter().filter(|tier| !tier.is_empty()).collect())
        }
        (BallotInput::Map(given), BallotKind::Scores) => {
            let mut scores = vec![None; options.len()];
            for (id, score) in given {
                let option = find(options, id)?;
                let score = u32::try_from(*score).ok().filter(|score| *score <= rules.score_max);
                let score = score.ok_or(InputFault::Score { max: rules.score_max })?;
                if scores[usize::from(option)].replace(score).is_some() {
                    return Err(BallotFault::DuplicateOption(option).into());
                }
            }
            Ballot::Scores(scores.into_iter().map(Option::unwrap_or_default).collect())
        }
        _ => return Err(shape(rules)),
    };
    ballot.check(rules)?;
    // Ballots that say the same are the same from here on, in whatever order they named equals.
    match &mut ballot {
        Ballot::Approvals(marks) => marks.sort_unstable(),
        Ballot::Ranking(tiers) => tiers.iter_mut().for_each(|tier| tier.sort_unstable()),
        Ballot::Blank | Ballot::Choice(_) | Ballot::Scores(_) => {}
    }
    Ok(if ballot.is_blank() { Ballot::Blank } else { ballot })
}

fn shape(rules: &BallotRules) -> InputFault {
    InputFault::Ballot(BallotFault::WrongShape { expected: rules.kind.name() })
}

/// A list no longer than a ballot may name, before any of it is looked up: a long one costs its sender only.
fn bounded<'a, T>(list: &'a [T], rules: &BallotRules) -> Result<&'a [T], InputFault> {
    let max = rules.options.max(rules.choices_max);
    if list.len() > max {
        Err(BallotFault::TooMany { max: rules.choices_max, got: list.len() }.into())
    } else {
        Ok(list)
    }
}

fn find(options: &[VoteOption], id: &str) -> Result<OptionIx, InputFault> {
    options.iter().position(|option| option.id == id).map(|at| at as OptionIx).ok_or(InputFault::UnknownOption)
}

/// A ballot as JSON, with option ids, in the shape a client casts it: a string, a list, a map; null for a blank one.
/// This form is what receipts are made of and what audit records hold.
pub fn ballot_json(ballot: &Ballot, options: &[VoteOption]) -> Value {
    let id = |option: &OptionIx| Value::from(options[usize::from(*option)].id.as_str());
    match ballot {
        _ if ballot.is_blank() => Value::Null,
        Ballot::Blank => Value::Null,
        Ballot::Choice(option) => id(option),
        Ballot::Approvals(marks) => marks.iter().map(id).collect(),
        Ballot::Ranking(tiers) => tiers
            .iter()
            .map(|tier| match tier.as_slice() {
                [alone] => id(alone),
                equals => equals.iter().map(id).collect(),
            })
            .collect(),
        Ballot::Scores(scores) => Value::Object(
            scores.iter().zip(options).map(|(score, option)| (option.id.clone(), Value::from(*score))).collect(),
        ),
    }
}

/// Reads [`ballot_json`] back.
///
/// # Errors
/// As [`ballot`].
pub fn ballot_of_json(value: &Value, options: &[VoteOption], rules: &BallotRules) -> Result<Ballot, InputFault> {
    let input = BallotInput::deserialize(value).map_err(|_| InputFault::Shape)?;
    ballot(&input, options, rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options() -> Vec<VoteOption> {
        ["a", "b", "c"].map(|id| VoteOption { id: id.into(), label: id.into() }).to_vec()
    }

    #[test]
    fn what_a_client_casts_is_the_ballot_it_means_or_is_refused_by_name() {
        use BallotKind::{Approvals, Choice, Ranking, Scores};
        let cases = [
            (Choice, json!("b"), Ok(json!("b"))),
            (Choice, json!(["b"]), Err("expected a ballot of kind choice")),
            (Choice, json!({"b": 1}), Err("expected a ballot of kind choice")),
            (Choice, json!("x"), Err("an option that this vote does not have")),
            (Choice, json!([]), Err("an empty ballot is not allowed here")),
            (Approvals, json!("b"), Ok(json!(["b"]))),
            (Approvals, json!(["c", "a"]), Ok(json!(["a", "c"]))),
            (Approvals, json!(["a", "a"]), Err("option 0 is named more than once")),
            (Approvals, json!([["a"]]), Err("expected a ballot of kind approvals")),
            (Approvals, json!(["a", "b", "c", "a"]), Err("at most 3 options may be named, 4 were")),
            (Ranking, json!("c"), Ok(json!(["c"]))),
            (Ranking, json!(["c", "a"]), Ok(json!(["c", "a"]))),
            (Ranking, json!(["c", ["b", "a"]]), Err("options of equal rank are not allowed here")),
            (Ranking, json!(["c", "c"]), Err("option 2 is named more than once")),
            (Ranking, json!({"c": 1}), Err("expected a ballot of kind ranking")),
            (Scores, json!({"c": 5, "a": 2}), Ok(json!({"a": 2, "b": 0, "c": 5}))),
            (Scores, json!({"c": 6}), Err("a score is a whole number from 0 to 5")),
            (Scores, json!({"c": -1}), Err("a score is a whole number from 0 to 5")),
            (Scores, json!({"c": 1.5}), Err("expected an option id, a list of them, or a map from option id to score")),
            (Scores, json!({"x": 1}), Err("an option that this vote does not have")),
            (Scores, json!("a"), Err("expected a ballot of kind scores")),
            (Choice, json!(7), Err("expected an option id, a list of them, or a map from option id to score")),
        ];
        for (kind, cast, expected) in cases {
            let rules =
                BallotRules { kind, options: 3, choices_max: 3, score_max: 5, equal_ranks: false, blank: false };
            let got = ballot(&BallotInput::deserialize(&cast).unwrap(), &options(), &rules);
            match (got, expected) {
                (Ok(ballot), Ok(json)) => {
                    assert_eq!(ballot_json(&ballot, &options()), json, "{cast}");
                    assert_eq!(ballot_of_json(&json, &options(), &rules), Ok(ballot), "{cast}");
                }
                (Err(fault), Err(text)) => assert_eq!(fault.to_string(), text, "{kind:?} {cast}"),
                (got, expected) => panic!("{kind:?} {cast}: got {got:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn tiers_and_blanks_are_taken_where_the_vote_allows_them() {
        let rules = BallotRules {
            kind: BallotKind::Ranking,
            options: 3,
            choices_max: 3,
            score_max: 5,
            equal_ranks: true,
            blank: true,
        };
        for (cast, json) in
            [(json!(["c", ["b", "a"]]), json!(["c", ["a", "b"]])), (json!([]), json!(null)), (json!(null), json!(null))]
        {
            let ballot = ballot(&BallotInput::deserialize(&cast).unwrap(), &options(), &rules).unwrap();
            assert_eq!(ballot_json(&ballot, &options()), json);
            assert_eq!(ballot_of_json(&json, &options(), &rules), Ok(ballot));
        }
    }
}
