//! Elections from files: one file per format, one row each in [`FORMATS`].
//!
//! Files come from strangers. Each is read under bounds on its bytes, rows and options, and what is wrong with one is
//! said in one line with the place where it is wrong.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::engine::votes::ballot::OPTIONS_MAX;
use crate::engine::votes::{Ballot, BallotFault, BallotKind, Profile};

mod blt;
mod csv;
mod preflib;
mod vote_case;

/// Bytes of one election, after decompression. Over: refused. Several million different rankings fit.
pub const BYTES_MAX: u64 = 256 << 20;

/// Rows of one election. Over: refused.
pub const ROWS_MAX: usize = 8_000_000;

/// Bytes of one option's name. Over: refused, so that a table stays one.
pub const NAME_BYTES_MAX: usize = 1_024;

/// A way to write elections down.
struct Format {
    /// How names of such files end.
    endings: &'static [&'static str],
    /// Whether text without a telling name looks like it.
    looks: fn(&str) -> bool,
    read: fn(&str, &ProgressBar) -> Result<Election, Fault>,
}

const FORMATS: &[Format] = &[
    Format { endings: &["json"], looks: |text| text.starts_with('{'), read: vote_case::read },
    Format {
        endings: &["soc", "soi", "toc", "toi", "cat"],
        looks: |text| text.starts_with("# FILE NAME:"),
        read: preflib::read,
    },
    Format { endings: &["blt"], looks: blt::looks, read: blt::read },
    Format { endings: &["csv"], looks: |text| text.contains(','), read: csv::read },
];

/// One election: the options and what the voters said about them.
#[derive(Debug, Clone)]
pub struct Election {
    /// What it calls itself; may be empty.
    pub title: String,
    /// The options' names in the file's order, all different.
    pub options: Vec<String>,
    /// Each option's number in the file, from 0: its place, unless options before it were withdrawn.
    pub numbers: Vec<usize>,
    /// The ballots, in every kind that the file speaks of; the first is what it mainly is.
    pub profiles: Vec<Profile>,
    /// How many seats it fills, where it says so.
    pub seats: Option<usize>,
    /// The highest score, where it says so.
    pub max_score: Option<u32>,
}

impl Election {
    /// The ballots as `kind`, heard as that kind where nothing is lost (see [`Profile::heard_as`]).
    pub fn ballots(&self, kind: BallotKind) -> Option<Profile> {
        let own = self.profiles.iter().find(|profile| profile.kind() == kind).cloned();
        own.or_else(|| self.profiles.iter().find_map(|profile| profile.heard_as(kind)))
    }
}

/// What is wrong with a file, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It could not be opened or read.
    #[error("{0}")]
    Io(String),
    /// It is too large to be read at all.
    #[error("more than {max} {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        max: u64,
    },
    /// Neither its name nor its first bytes tell what it is.
    #[error("expected vote-case JSON, BLT, PrefLib (.soc .soi .toc .toi .cat) or CSV, plain or .gz")]
    UnknownFormat,
    /// Something in it is wrong.
    #[error("{0}")]
    Content(String),
    /// Something on one of its lines is wrong.
    #[error("line {0}: {1}")]
    Line(usize, String),
}

/// Reads the election in the file at `path`, or on stdin for `-`.
///
/// # Errors
/// The [`Fault`] that was found first.
pub fn read_file(path: &Path, progress: &ProgressBar) -> Result<Election, Fault> {
    let io = |error: std::io::Error| Fault::Io(error.to_string());
    let bytes = if path == Path::new("-") {
        bounded(std::io::stdin().lock())?
    } else {
        bounded(std::fs::File::open(path).map_err(io)?)?
    };
    read_bytes(&path.to_string_lossy(), &bytes, progress)
}

/// Reads an election out of bytes; `name` tells the format by its ending, else the first bytes do.
///
/// # Errors
/// The [`Fault`] that was found first.
pub fn read_bytes(name: &str, bytes: &[u8], progress: &ProgressBar) -> Result<Election, Fault> {
    let unzipped;
    let (name, bytes) = if bytes.starts_with(&[0x1f, 0x8b]) {
        unzipped = bounded(MultiGzDecoder::new(bytes))?;
        (name.strip_suffix(".gz").unwrap_or(name), unzipped.as_slice())
    } else {
        (name, bytes)
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Fault::Content(format!("expected UTF-8 text, byte {} is none", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let format = FORMATS
        .iter()
        .find(|format| format.endings.contains(&ending.as_str()))
        .or_else(|| FORMATS.iter().find(|format| (format.looks)(text.trim_start())))
        .ok_or(Fault::UnknownFormat)?;
    progress.set_length(text.len() as u64);
    let mut election = (format.read)(text, progress)?;
    progress.finish_and_clear();
    tell_apart(&mut election.options);
    Ok(election)
}

fn bounded(from: impl Read) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| Fault::Io(error.to_string()))?;
    if bytes.len() as u64 > BYTES_MAX { Err(Fault::TooMuch { what: "bytes", max: BYTES_MAX }) } else { Ok(bytes) }
}

/// Numbers names that occur again: the lot and the reader both need them different.
fn tell_apart(options: &mut [String]) {
    let mut seen = std::collections::HashSet::new();
    for name in options {
        let mut again = 1u32;
        let mut candidate = name.clone();
        while !seen.insert(candidate.clone()) {
            again += 1;
            candidate = format!("{name} ({again})");
        }
        *name = candidate;
    }
}

/// An option's name as it may be shown: trimmed, and without anything that could move a terminal's cursor.
fn name(text: &str) -> Result<String, Fault> {
    if text.len() > NAME_BYTES_MAX {
        return Err(Fault::TooMuch { what: "bytes in one name", max: NAME_BYTES_MAX as u64 });
    }
    Ok(text.trim().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
}

/// The number of options, if it is one we can count.
fn options_len(number: usize) -> Result<usize, Fault> {
    match number {
        0 => Err(Fault::Content("expected at least 1 option, got 0".into())),
        1..=OPTIONS_MAX => Ok(number),
        _ => Err(Fault::TooMuch { what: "options", max: OPTIONS_MAX as u64 }),
    }
}

/// Adds a row, as often as `count` says.
fn push(profile: &mut Profile, ballot: &Ballot, count: u64) -> Result<(), String> {
    if profile.rows_len() >= ROWS_MAX {
        return Err(format!("more than {ROWS_MAX} rows"));
    }
    profile.push(ballot, count).map_err(|fault: BallotFault| fault.to_string())
}

/// The lines of a text with their numbers from 1, while the bar moves.
fn lines<'a>(text: &'a str, progress: &'a ProgressBar) -> impl Iterator<Item = (usize, &'a str)> {
    let mut since = 0;
    text.lines().enumerate().map(move |(at, line)| {
        since += line.len() as u64 + 1;
        // Telling the bar costs more than reading a line.
        if at % 4_096 == 0 {
            progress.inc(std::mem::take(&mut since));
        }
        (at + 1, line)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Reads a file in memory without showing a bar.
    pub fn read(name: &str, text: &str) -> Result<Election, Fault> {
        read_bytes(name, text.as_bytes(), &ProgressBar::hidden())
    }

    /// What an election comes to, in a line per row.
    pub fn shown(name: &str, text: &str) -> String {
        let election = match read(name, text) {
            Ok(election) => election,
            Err(fault) => return fault.to_string(),
        };
        let mut lines = vec![election.options.join(" ")];
        for profile in &election.profiles {
            for (row, weight) in profile.rows() {
                lines.push(match row.to_ballot(profile.kind()) {
                    Ballot::Blank => format!("{weight}x nothing"),
                    Ballot::Choice(option) => format!("{weight}x choice {option}"),
                    Ballot::Approvals(marks) => format!("{weight}x approves {marks:?}"),
                    Ballot::Ranking(tiers) => format!("{weight}x {tiers:?}"),
                    Ballot::Scores(scores) => format!("{weight}x scores {scores:?}"),
                });
            }
        }
        lines.join("\n")
    }

    #[test]
    fn the_format_is_told_by_the_name_or_by_the_first_bytes() {
        let case = r#"{"options":["a"],"kind":"ranking","ballots":[[2,[0]]]}"#;
        assert_eq!(shown("x.json", case), "a\n2x [[0]]");
        assert_eq!(shown("-", case), "a\n2x [[0]]");
        assert_eq!(shown("-", "1 1\n2 1 0\n0\n\"a\"\n\"t\"\n"), "a\n2x [[0]]");
        assert_eq!(shown("x.txt", "hello"), Fault::UnknownFormat.to_string());
        assert_eq!(shown("x.json", ""), "EOF while parsing a value at line 1 column 0");
        let broken = read_bytes("x.json", &[0xff, 0xfe], &ProgressBar::hidden());
        assert_eq!(broken.unwrap_err().to_string(), "expected UTF-8 text, byte 0 is none");
    }

    #[test]
    fn zipped_files_are_read_and_bombs_are_not() {
        use std::io::Write;
        let zip = |bytes: &mut dyn Read| {
            let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::copy(bytes, &mut zipped).unwrap();
            zipped.flush().unwrap();
            zipped.finish().unwrap()
        };
        let plain = r#"{"options":["a"],"kind":"ranking","ballots":[[2,[0]]]}"#;
        let election = read_bytes("x.json.gz", &zip(&mut plain.as_bytes()), &ProgressBar::hidden()).unwrap();
        assert_eq!(election.profiles[0].weight(), 2);
        let cut = &zip(&mut plain.as_bytes())[..20];
        assert!(matches!(read_bytes("x.json.gz", cut, &ProgressBar::hidden()), Err(Fault::Io(_))));
        let bomb = zip(&mut std::io::repeat(b' ').take(BYTES_MAX + 1));
        let refused = read_bytes("x.json.gz", &bomb, &ProgressBar::hidden());
        assert_eq!(refused.unwrap_err(), Fault::TooMuch { what: "bytes", max: BYTES_MAX });
    }

    #[test]
    fn names_are_told_apart_and_harmless() {
        let mut names = ["a", "a (2)", "a", "a"].map(String::from);
        tell_apart(&mut names);
        assert_eq!(names, ["a", "a (2)", "a (3)", "a (4)"]);
        assert_eq!(name(" x\u{1b}[2J ").unwrap(), "x\u{fffd}[2J");
        assert!(name(&"x".repeat(2_000)).is_err());
    }

    /// Files cut off or changed anywhere are refused or read, and nothing worse.
    #[test]
    fn no_cut_and_no_changed_byte_makes_a_reader_fall_over() {
        let files = [
            (
                "a.json",
                r#"{"schema":"vote-case/1","options":["a","b"],"kind":"ranking","ballots":[[3,[0,[1]]],[1,[]]],"weights":[2,1]}"#,
            ),
            ("a.blt", "3 2\n-2\n4 1=3 - 2 0\n1 0\n0\n\"a\"\n\"b\"\n\"c\"\n\"t\"\n"),
            ("a.toc", "# NUMBER ALTERNATIVES: 3\n# ALTERNATIVE NAME 1: a\n# ALTERNATIVE NAME 3: c\n2: 1,{2,3}\n"),
            ("a.cat", "# NUMBER ALTERNATIVES: 3\n# NUMBER CATEGORIES: 2\n2: {1,2},3\n1: {},{}\n"),
            ("a.csv", "a,b,count\n1,2,5\n,1,2\n"),
        ];
        for (name, text) in files {
            for cut in 0..text.len() {
                let _ = read_bytes(name, &text.as_bytes()[..cut], &ProgressBar::hidden());
                for byte in [b'0', b'9', b'-', b'{', b'}', b'"', b',', b'\n', 0xff] {
                    let mut changed = text.as_bytes().to_vec();
                    changed[cut] = byte;
                    let _ = read_bytes(name, &changed, &ProgressBar::hidden());
                }
            }
            assert!(read(name, text).is_ok(), "{name}");
        }
    }
}
