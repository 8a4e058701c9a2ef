//! CSV ranks, in the three shapes that people keep them:
//!
//! - options as columns, `anna,ben,cara`, and each ballot gives numbers: 1 is best, equal numbers share a rank, empty is
//!   unranked. For methods that want scores the same numbers are scores, and empty is 0;
//! - ranks as columns, `rank1,rank2,rank3` (or `1,2,3`), and each ballot gives names, best first;
//! - no head at all, and each line gives names, best first.
//!
//! A column called `count`, `weight` or `votes` says how often a line counts.

use std::collections::HashMap;

use ::csv::{ReaderBuilder, StringRecord};
use indicatif::ProgressBar;

use super::{Election, Fault, name, options_len, push};
use crate::engine::votes::ballot::OPTIONS_MAX;
use crate::engine::votes::{Ballot, BallotKind, OptionIx, Profile};

pub(super) fn read(text: &str, progress: &ProgressBar) -> Result<Election, Fault> {
    let mut rows = Rows::new(text, progress);
    let head = rows.next().transpose()?.ok_or_else(|| Fault::Content("expected at least one line".into()))?.1;
    let count_at = head.iter().position(is_count);
    let columns: Vec<usize> = (0..head.len()).filter(|&at| Some(at) != count_at).collect();
    if columns.iter().all(|&at| is_rank(&head[at])) {
        return names_in_ranks(rows, None, &columns, count_at);
    }
    // Numbers under names, or names and no head: the second line tells.
    let mut ahead = Rows::new(text, &ProgressBar::hidden()).skip(1);
    let numbers = ahead.next().transpose()?.is_none_or(|(_, row)| {
        columns.iter().all(|&at| row.get(at).is_none_or(|cell| cell.is_empty() || cell.parse::<u32>().is_ok()))
    });
    if numbers {
        let names = columns.iter().map(|&at| name(&head[at])).collect::<Result<Vec<_>, _>>()?;
        numbers_under_names(rows, names, &columns, count_at)
    } else if count_at.is_some() {
        Err(Fault::Content("expected rank1,rank2,.. or the options as the first line, beside a count".into()))
    } else {
        names_in_ranks(rows, Some(head), &columns, None)
    }
}

fn is_count(head: &str) -> bool {
    ["count", "weight", "votes"].iter().any(|word| head.eq_ignore_ascii_case(word))
}

/// `rank1`, `Choice 2`, `pref_3`, `4`.
fn is_rank(head: &str) -> bool {
    let head = head.to_ascii_lowercase();
    let word = head.trim_end_matches(|c: char| c.is_ascii_digit());
    let word_is = |names: &[&str]| names.contains(&word.trim_end_matches([' ', '_', '-', '.']));
    word.len() < head.len() && (word.is_empty() || word_is(&["rank", "choice", "preference", "pref"]))
}

fn numbers_under_names(
    rows: Rows<'_>,
    names: Vec<String>,
    columns: &[usize],
    count_at: Option<usize>,
) -> Result<Election, Fault> {
    let options = options_len(names.len())?;
    let mut rankings = Profile::new(BallotKind::Ranking, options);
    let mut scores = Profile::new(BallotKind::Scores, options);
    for row in rows {
        let (line, row) = row?;
        let fault = |why: String| Fault::Line(line, why);
        if row.len() > columns.len() + usize::from(count_at.is_some()) {
            return Err(fault(format!("expected {options} options, got more cells")));
        }
        let mut numbers: Vec<Option<u32>> = Vec::with_capacity(options);
        for &at in columns {
            numbers.push(match row.get(at).unwrap_or_default() {
                "" => None,
                cell => Some(cell.parse().map_err(|_| fault(format!("expected a number or nothing, got {cell:?}")))?),
            });
        }
        let mut ranked: Vec<(u32, OptionIx)> = numbers
            .iter()
            .enumerate()
            .filter_map(|(option, &rank)| rank.map(|rank| (rank, option as OptionIx)))
            .collect();
        ranked.sort_unstable();
        let tiers = ranked.chunk_by(|a, b| a.0 == b.0).map(|tier| tier.iter().map(|&(_, option)| option).collect());
        let count = count(&row, count_at, line)?;
        push(&mut rankings, &Ballot::Ranking(tiers.collect()), count).map_err(fault)?;
        let scored = Ballot::Scores(numbers.into_iter().map(Option::unwrap_or_default).collect());
        push(&mut scores, if ranked.is_empty() { &Ballot::Blank } else { &scored }, count).map_err(fault)?;
    }
    Ok(election(names, vec![rankings, scores]))
}

/// Options are numbered as they first appear.
fn names_in_ranks(
    rows: Rows<'_>,
    first: Option<StringRecord>,
    columns: &[usize],
    count_at: Option<usize>,
) -> Result<Election, Fault> {
    let mut names: Vec<String> = Vec::new();
    let mut known: HashMap<String, OptionIx> = HashMap::new();
    let mut ballots: Vec<(Vec<OptionIx>, u64, usize)> = Vec::new();
    for row in first.map(|row| Ok((1, row))).into_iter().chain(rows) {
        let (line, row) = row?;
        let mut ranked = Vec::new();
        for (at, cell) in row.iter().enumerate() {
            let blank = ["", "skipped", "undervote", "overvote"].iter().any(|word| cell.eq_ignore_ascii_case(word));
            if blank || Some(at) == count_at {
                continue;
            }
            if count_at.is_some() && !columns.contains(&at) {
                return Err(Fault::Line(line, "expected no more cells than the first line has".into()));
            }
            let option = match known.get(cell) {
                Some(&option) => option,
                None => {
                    if names.len() == OPTIONS_MAX {
                        return Err(Fault::TooMuch { what: "options", max: OPTIONS_MAX as u64 });
                    }
                    let option = names.len() as OptionIx;
                    names.push(name(cell)?);
                    known.insert(cell.to_owned(), option);
                    option
                }
            };
            ranked.push(option);
        }
        ballots.push((ranked, count(&row, count_at, line)?, line));
    }
    let mut profile = Profile::new(BallotKind::Ranking, options_len(names.len())?);
    for (ranked, count, line) in ballots {
        let tiers = ranked.into_iter().map(|option| vec![option]).collect();
        push(&mut profile, &Ballot::Ranking(tiers), count).map_err(|why| Fault::Line(line, why))?;
    }
    Ok(election(names, vec![profile]))
}

fn election(options: Vec<String>, profiles: Vec<Profile>) -> Election {
    let numbers = (0..options.len()).collect();
    Election { title: String::new(), options, numbers, profiles, seats: None, max_score: None }
}

fn count(row: &StringRecord, count_at: Option<usize>, line: usize) -> Result<u64, Fault> {
    let Some(cell) = count_at.map(|at| row.get(at).unwrap_or_default()) else { return Ok(1) };
    cell.parse().map_err(|_| Fault::Line(line, format!("expected a whole count, got {cell:?}")))
}

/// The records of a text with the lines they begin on, while the bar moves. Empty lines are none; a line of nothing
/// but commas is an empty ballot.
struct Rows<'a> {
    records: ::csv::StringRecordsIntoIter<&'a [u8]>,
    progress: ProgressBar,
}

impl<'a> Rows<'a> {
    fn new(text: &'a str, progress: &ProgressBar) -> Self {
        let reader =
            ReaderBuilder::new().has_headers(false).flexible(true).trim(::csv::Trim::All).from_reader(text.as_bytes());
        Self { records: reader.into_records(), progress: progress.clone() }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<(usize, StringRecord), Fault>;
    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        let position = self.records.reader().position();
        if position.record().is_multiple_of(4_096) {
            self.progress.set_position(position.byte());
        }
        Some(match record {
            Ok(row) => {
                let line = row.position().map_or(0, |position| position.line() as usize);
                Ok((line, row))
            }
            Err(error) => Err(Fault::Content(error.to_string())),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::tally::read::tests::shown;

    #[test]
    fn three_shapes_of_ranks_are_read() {
        let cases = [
            (
                "anna,ben,cara\n1,2,3\n2,,1\n1,1,\n,,\n",
                "anna ben cara\n1x [[0], [1], [2]]\n1x [[2], [0]]\n1x [[0, 1]]\n1x nothing\n\
                 1x scores [1, 2, 3]\n1x scores [2, 0, 1]\n1x scores [1, 1, 0]\n1x nothing",
            ),
            ("count,rank1,rank2\n5,ben,anna\n2,,anna\n1,skipped,\n", "ben anna\n5x [[0], [1]]\n2x [[1]]\n1x nothing"),
            ("1,2\nben,anna\n", "ben anna\n1x [[0], [1]]"),
            ("ben,anna\nanna,ben\ncara\n", "ben anna cara\n1x [[0], [1]]\n1x [[1], [0]]\n1x [[2]]"),
            ("a,b,weight\n1,2,7\n", "a b\n7x [[0], [1]]\n7x scores [1, 2]"),
            ("\"a,a\",b\n2,1\n", "a,a b\n1x [[1], [0]]\n1x scores [2, 1]"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown("x.csv", text), expected, "{text:?}");
        }
    }

    #[test]
    fn faults_have_a_line() {
        let cases = [
            ("", "expected at least one line"),
            ("a,b\n1,2\n1,x\n", "line 3: expected a number or nothing, got \"x\""),
            ("a,b\n1,2,3\n", "line 2: expected 2 options, got more cells"),
            ("rank1,rank2\nben,ben\n", "line 2: option 0 is named more than once"),
            ("rank1,count\nben,-1\n", "line 2: expected a whole count, got \"-1\""),
            ("rank1,rank2\n,\n", "expected at least 1 option, got 0"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown("x.csv", text), expected, "{text:?}");
        }
    }
}
