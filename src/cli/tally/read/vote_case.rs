//! vote-case/1: one JSON object with options, a kind, and rows of `[count, ballot]`.
//!
//! The rows are kept flat while they are read, because what they are rows of may stand behind them in the file.

use std::fmt;

use indicatif::ProgressBar;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::{Election, Fault, ROWS_MAX, name, options_len, push};
use crate::engine::votes::ballot::OPTIONS_MAX;
use crate::engine::votes::{Ballot, BallotKind, OptionIx, Profile};

#[derive(Deserialize)]
struct Case {
    schema: Option<String>,
    #[serde(default)]
    title: String,
    options: Vec<String>,
    kind: String,
    ballots: Rows,
    weights: Option<Vec<u64>>,
    max_score: Option<u32>,
    seats: Option<usize>,
}

pub(super) fn read(text: &str, progress: &ProgressBar) -> Result<Election, Fault> {
    let content = |error: serde_json::Error| Fault::Content(error.to_string());
    // A bar is worth the slower reader only where somebody would wait.
    let case: Case = if text.len() > 8 << 20 && !progress.is_hidden() {
        let from = std::io::BufReader::with_capacity(1 << 16, progress.wrap_read(text.as_bytes()));
        serde_json::from_reader(from).map_err(content)?
    } else {
        serde_json::from_str(text).map_err(content)?
    };
    if let Some(other) = case.schema.filter(|schema| schema != "vote-case/1") {
        return Err(Fault::Content(format!("expected schema vote-case/1, got {other:?}")));
    }
    let kind = match case.kind.as_str() {
        "ranking" => BallotKind::Ranking,
        "approval" | "approvals" => BallotKind::Approvals,
        "scores" => BallotKind::Scores,
        "choice" => BallotKind::Choice,
        other => return Err(Fault::Content(format!("expected kind ranking, approval or scores, got {other:?}"))),
    };
    let options = options_len(case.options.len())?;
    if let Some(weights) = case.weights.as_ref().filter(|weights| weights.len() != case.ballots.counts.len()) {
        let rows = case.ballots.counts.len();
        return Err(Fault::Content(format!("expected one weight per row, got {} for {rows} rows", weights.len())));
    }
    let mut profile = Profile::new(kind, options);
    for at in 0..case.ballots.counts.len() {
        let fault = |why: String| Fault::Content(format!("ballots[{at}]: {why}"));
        let weight = case.weights.as_ref().map_or(1, |weights| weights[at]);
        let count = case.ballots.counts[at].checked_mul(weight).ok_or_else(|| fault("count times weight".into()))?;
        let ballot = case.ballots.ballot(at, kind).map_err(fault)?;
        if let (Ballot::Scores(scores), Some(max)) = (&ballot, case.max_score)
            && let Some(over) = scores.iter().find(|&&score| score > max)
        {
            return Err(fault(format!("a score is at most {max}, {over} was given")));
        }
        push(&mut profile, &ballot, count).map_err(fault)?;
    }
    Ok(Election {
        title: name(&case.title)?,
        options: case.options.iter().map(|option| name(option)).collect::<Result<_, _>>()?,
        numbers: (0..options).collect(),
        profiles: vec![profile],
        seats: case.seats,
        max_score: case.max_score,
    })
}

/// Rows of ballots, flat: a cell is an option or a score, and a flag says that it shares the list of the one before.
#[derive(Default)]
struct Rows {
    counts: Vec<u64>,
    ends: Vec<usize>,
    cells: Vec<u32>,
    nested: Vec<bool>,
}

impl Rows {
    /// The ballot in row `at`.
    fn ballot(&self, at: usize, kind: BallotKind) -> Result<Ballot, String> {
        let span = if at == 0 { 0 } else { self.ends[at - 1] }..self.ends[at];
        let (cells, nested) = (&self.cells[span.clone()], &self.nested[span]);
        if kind == BallotKind::Scores {
            return Ok(if cells.is_empty() { Ballot::Blank } else { Ballot::Scores(cells.to_vec()) });
        }
        let mut tiers: Vec<Vec<OptionIx>> = Vec::new();
        for (&cell, &with_last) in cells.iter().zip(nested) {
            let option = OptionIx::try_from(cell).map_err(|_| format!("option {cell} does not exist"))?;
            match tiers.last_mut().filter(|_| with_last) {
                Some(tier) => tier.push(option),
                None => tiers.push(vec![option]),
            }
        }
        Ok(match kind {
            BallotKind::Ranking => Ballot::Ranking(tiers),
            BallotKind::Choice if tiers.is_empty() => Ballot::Blank,
            BallotKind::Choice if cells.len() == 1 => Ballot::Choice(tiers[0][0]),
            BallotKind::Choice => return Err("expected one option".into()),
            _ if nested.contains(&true) => return Err("expected options, got a list among them".into()),
            _ => Ballot::Approvals(tiers.concat()),
        })
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Every(Rows);
        impl<'de> Visitor<'de> for Every {
            type Value = Rows;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of [count, ballot]")
            }
            fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<Rows, A::Error> {
                while rows.next_element_seed(Row(&mut self.0))?.is_some() {
                    if self.0.counts.len() > ROWS_MAX {
                        return Err(A::Error::custom(format!("more than {ROWS_MAX} rows")));
                    }
                }
                Ok(self.0)
            }
        }
        from.deserialize_seq(Every(Rows::default()))
    }
}

/// One `[count, ballot]`.
struct Row<'a>(&'a mut Rows);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[count, ballot]")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<(), A::Error> {
        let missing = || A::Error::custom("expected [count, ballot]");
        let count = row.next_element()?.ok_or_else(missing)?;
        row.next_element_seed(Cells { rows: self.0, inside: false })?.ok_or_else(missing)?;
        if row.next_element::<serde::de::IgnoredAny>()?.is_some() {
            return Err(missing());
        }
        self.0.counts.push(count);
        self.0.ends.push(self.0.cells.len());
        Ok(())
    }
}

/// A ballot, or a list of equals inside one.
struct Cells<'a> {
    rows: &'a mut Rows,
    inside: bool,
}

impl<'de> DeserializeSeed<'de> for Cells<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Cells<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ballot")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        let start = self.rows.ends.last().copied().unwrap_or(0);
        let mut first = true;
        loop {
            let cell = Cell { rows: self.rows, inside: self.inside, with_last: self.inside && !first };
            if cells.next_element_seed(cell)?.is_none() {
                return Ok(());
            }
            first = false;
            if self.rows.cells.len() - start > OPTIONS_MAX {
                return Err(A::Error::custom(format!("more than {OPTIONS_MAX} options on one ballot")));
            }
        }
    }
}

/// One option or score, or, on the outer level, a list of equals.
struct Cell<'a> {
    rows: &'a mut Rows,
    inside: bool,
    with_last: bool,
}

impl<'de> DeserializeSeed<'de> for Cell<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.inside { "an option's index" } else { "an option's index, a list of equals, or a score" })
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        let cell = u32::try_from(number).map_err(|_| E::custom(format!("{number} is too large")))?;
        self.rows.cells.push(cell);
        self.rows.nested.push(self.with_last);
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, cells: A) -> Result<(), A::Error> {
        if self.inside {
            return Err(A::Error::custom("expected an option's index, got a list in a list"));
        }
        Cells { rows: self.rows, inside: true }.visit_seq(cells)
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::tally::read::tests::shown;

    #[test]
    fn every_kind_is_read_and_every_fault_has_a_place() {
        let case = |kind: &str, rest: &str| format!(r#"{{"options":["a","b","c"],"kind":"{kind}",{rest}}}"#);
        let cases = [
            ("ranking", r#""ballots":[[2,[2,[0,1]]],[1,[]]]"#, "a b c\n2x [[2], [0, 1]]\n1x nothing"),
            ("ranking", r#""ballots":[[2,[[2],[0,1]]]]"#, "a b c\n2x [[2], [0, 1]]"),
            ("ranking", r#""ballots":[[2,[2]],[3,[0]]],"weights":[10,0]"#, "a b c\n20x [[2]]\n0x [[0]]"),
            ("approval", r#""ballots":[[1,[2,0]]],"checks":[{"x":[1.5]}]"#, "a b c\n1x approves [0, 2]"),
            ("scores", r#""max_score":5,"ballots":[[1,[5,0,1]]]"#, "a b c\n1x scores [5, 0, 1]"),
            ("scores", r#""max_score":5,"ballots":[[1,[6,0,1]]]"#, "ballots[0]: a score is at most 5, 6 was given"),
            ("scores", r#""ballots":[[1,[1]]]"#, "ballots[0]: expected 3 scores, one per option, got 1"),
            ("ranking", r#""ballots":[[1,[0]],[1,[3]]]"#, "ballots[1]: option 3 does not exist"),
            ("ranking", r#""ballots":[[1,[0,0]]]"#, "ballots[0]: option 0 is named more than once"),
            ("ranking", r#""ballots":[[1,[70000]]]"#, "ballots[0]: option 70000 does not exist"),
            ("approval", r#""ballots":[[1,[[0,1]]]]"#, "ballots[0]: expected options, got a list among them"),
            ("ranking", r#""ballots":[[2,[2]]],"weights":[]"#, "expected one weight per row, got 0 for 1 rows"),
            ("votes", r#""ballots":[]"#, "expected kind ranking, approval or scores, got \"votes\""),
            ("ranking", r#""schema":"vote-case/2","ballots":[]"#, "expected schema vote-case/1, got \"vote-case/2\""),
        ];
        for (kind, rest, expected) in cases {
            assert_eq!(shown("x.json", &case(kind, rest)), expected, "{kind} {rest}");
        }
        for broken in
            [r#"[[1]]"#, r#"[[-1,[0]]]"#, r#"[[1,[0.5]]]"#, r#"[[1,[[[0]]]]]"#, r#"[[1,["a"]]]"#, r#"[[1,[0],2]]"#]
        {
            let said = shown("x.json", &case("ranking", &format!(r#""ballots":{broken}"#)));
            assert!(said.contains(" at line 1 column "), "{broken}: {said}");
        }
        let deep = "[".repeat(100_000);
        assert!(shown("x.json", &case("ranking", &format!(r#""ballots":{deep}"#))).contains("line 1"));
        let many = format!("[[1,[{}]]]", vec!["0"; 5_000].join(","));
        assert!(
            shown("x.json", &case("ranking", &format!(r#""ballots":{many}"#))).starts_with("more than 1024 options")
        );
    }
}
