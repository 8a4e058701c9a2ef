//! BLT, the ballot files of STV counts: a head `options seats`, withdrawn options as negative numbers, ballots
//! `count option option .. 0`, a lone `0`, the options' names and a title in quotes.
//!
//! Later dialects are read too: `1=2` for equal ranks, `-` for a rank left out, `#` for comments.

use indicatif::ProgressBar;

use super::{Election, Fault, name, options_len, push};
use crate::engine::votes::{Ballot, BallotKind, OptionIx, Profile};

/// Whether text begins as a BLT file does: with two numbers on the first line.
pub(super) fn looks(text: &str) -> bool {
    let mut words = text.lines().next().unwrap_or_default().split('#').next().unwrap_or_default().split_whitespace();
    let mut number = || words.next().is_some_and(|word| word.parse::<u32>().is_ok());
    number() && number() && words.next().is_none()
}

pub(super) fn read(text: &str, progress: &ProgressBar) -> Result<Election, Fault> {
    let mut words = Words { rest: text, line: 1 };
    let options = options_len(words.number("the number of options")?)?;
    let seats: usize = words.number("the number of seats")?;
    let mut withdrawn = vec![false; options];
    let mut profile = Profile::new(BallotKind::Ranking, options);
    loop {
        let word = words.word("a ballot, or 0 after the last")?;
        let line = words.line;
        let fault = |why: String| Fault::Line(line, why);
        // Ballot papers may carry an id in round brackets.
        if word.starts_with('(') && word.ends_with(')') {
            continue;
        }
        if let Some(number) = word.strip_prefix('-') {
            let option = option(number, options).map_err(fault)?;
            withdrawn[usize::from(option)] = true;
            continue;
        }
        let count: u64 = word.parse().map_err(|_| fault(format!("expected a whole count of ballots, got {word:?}")))?;
        if count == 0 {
            break;
        }
        let mut tiers: Vec<Vec<OptionIx>> = Vec::new();
        loop {
            let word = words.word("an option, or 0 after the last")?;
            let line = words.line;
            match word {
                "0" => break,
                "-" => {}
                _ => {
                    let tier: Result<Vec<OptionIx>, String> = word.split('=').map(|one| option(one, options)).collect();
                    tiers.push(tier.map_err(|why| Fault::Line(line, why))?);
                }
            }
            if tiers.len() > options {
                return Err(Fault::Line(line, format!("expected at most {options} ranks")));
            }
        }
        push(&mut profile, &Ballot::Ranking(tiers), count).map_err(|why| Fault::Line(line, why))?;
        if profile.rows_len().is_multiple_of(4_096) {
            progress.set_position((text.len() - words.rest.len()) as u64);
        }
    }
    let mut names = Vec::with_capacity(options);
    for _ in 0..options {
        names.push(name(words.word("the name of every option, in quotes")?)?);
    }
    let title = if words.rest_is_empty() { String::new() } else { name(words.word("a title in quotes")?)? };
    Ok(without(
        &withdrawn,
        Election {
            title,
            options: names,
            numbers: (0..options).collect(),
            profiles: vec![profile],
            seats: (seats > 0).then_some(seats),
            max_score: None,
        },
    ))
}

/// An option's number from 1, as its index.
fn option(word: &str, options: usize) -> Result<OptionIx, String> {
    let number: usize = word.parse().map_err(|_| format!("expected the number of an option, got {word:?}"))?;
    if (1..=options).contains(&number) {
        Ok((number - 1) as OptionIx)
    } else {
        Err(format!("expected an option from 1 to {options}, got {number}"))
    }
}

/// The election as if the withdrawn options had never stood. When all are withdrawn, nobody is.
fn without(withdrawn: &[bool], election: Election) -> Election {
    if withdrawn.iter().all(|&gone| gone) || !withdrawn.contains(&true) {
        return election;
    }
    let kept: Vec<usize> = (0..withdrawn.len()).filter(|&option| !withdrawn[option]).collect();
    let profiles = election.profiles.iter().map(|profile| profile.restricted(&kept)).collect();
    let options = kept.iter().map(|&option| election.options[option].clone()).collect();
    Election { options, numbers: kept, profiles, ..election }
}

/// The words of a file: white space parts them, quotes hold them together, `#` hides the rest of a line.
struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Words<'a> {
    fn skip(&mut self) {
        loop {
            let trimmed = self.rest.trim_start();
            self.line += self.rest[..self.rest.len() - trimmed.len()].matches('\n').count();
            self.rest = trimmed;
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = &comment[comment.find('\n').unwrap_or(comment.len())..],
                None => return,
            }
        }
    }

    fn rest_is_empty(&mut self) -> bool {
        self.skip();
        self.rest.is_empty()
    }

    fn word(&mut self, expected: &str) -> Result<&'a str, Fault> {
        self.skip();
        let (word, rest) = if let Some(quoted) = self.rest.strip_prefix('"') {
            let end = quoted.find('"').ok_or_else(|| Fault::Line(self.line, "a quote is never closed".into()))?;
            (&quoted[..end], &quoted[end + 1..])
        } else {
            self.rest.split_at(self.rest.find(|c: char| c.is_whitespace()).unwrap_or(self.rest.len()))
        };
        // An empty name in quotes is a word; no word at all is the end.
        if word.is_empty() && rest.len() == self.rest.len() {
            return Err(Fault::Line(self.line, format!("expected {expected}, got the end of the file")));
        }
        self.line += word.matches('\n').count();
        self.rest = rest;
        Ok(word)
    }

    fn number(&mut self, expected: &str) -> Result<usize, Fault> {
        let word = self.word(expected)?;
        word.parse().map_err(|_| Fault::Line(self.line, format!("expected {expected}, got {word:?}")))
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::tally::read::tests::{read, shown};

    #[test]
    fn ballots_names_and_dialects_are_read() {
        let text = "4 2 # four options, two seats\n3 1 4 0\n2 2=3 - 1 0\n(b7) 1 0\n0\n\"a\" \"b b\"\n\"c\"\n\"d\"\n\"Title\"\n";
        assert_eq!(shown("x.blt", text), "a b b c d\n3x [[0], [3]]\n2x [[1, 2], [0]]\n1x nothing");
        let election = read("x.blt", text).unwrap();
        assert_eq!((election.seats, election.title.as_str()), (Some(2), "Title"));
    }

    #[test]
    fn the_withdrawn_never_stood() {
        let text = "3 1\n-2\n4 2 3 0\n1 2 0\n5 1 2 3 0\n0\n\"a\"\n\"b\"\n\"c\"\n\"t\"\n";
        assert_eq!(shown("x.blt", text), "a c\n4x [[1]]\n1x nothing\n5x [[0], [1]]");
        assert_eq!(read("x.blt", text).unwrap().numbers, [0, 2]);
    }

    #[test]
    fn faults_have_a_line() {
        let cases = [
            ("", "line 1: expected the number of options, got the end of the file"),
            ("x 2", "line 1: expected the number of options, got \"x\""),
            ("0 1", "expected at least 1 option, got 0"),
            ("5000 1", "more than 1024 options"),
            ("2 1\n1 3 0\n0", "line 2: expected an option from 1 to 2, got 3"),
            ("2 1\n1 1 1 0\n0", "line 2: option 0 is named more than once"),
            ("2 1\n1.5 1 0\n0", "line 2: expected a whole count of ballots, got \"1.5\""),
            ("2 1\n1 1\n", "line 3: expected an option, or 0 after the last, got the end of the file"),
            ("2 1\n0\n\"a\"\n", "line 4: expected the name of every option, in quotes, got the end of the file"),
            ("2 1\n0\n\"a\n", "line 3: a quote is never closed"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown("x.blt", text), expected, "{text:?}");
        }
    }
}
