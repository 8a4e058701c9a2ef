//! `--set key=value`: the options of a vote that mean something to a count, spelled as in a vote.

use serde::de::DeserializeOwned;

use crate::cli::Failure;
use crate::cli::tally::read::Election;
use crate::engine::votes::count::{Basis, CountRules, Elimination, Strength, Truncated};
use crate::engine::votes::{BallotKind, Method, TieBreak};

/// One key that `--set` knows.
struct Key {
    name: &'static str,
    about: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), String>,
}

const KEYS: &[Key] = &[
    Key { name: "seats", about: "how many are elected", set: |s, v| number(v).map(|n| s.seats = Some(n)) },
    Key { name: "elimination", about: "single or batch", set: |s, v| word(v).map(|w| s.elimination = Some(w)) },
    Key { name: "strength", about: "wv, margins or opposition", set: |s, v| word(v).map(|w| s.strength = Some(w)) },
    Key { name: "truncated", about: "average, zero or modified", set: |s, v| word(v).map(|w| s.truncated = Some(w)) },
    Key { name: "max", about: "the highest score", set: |s, v| number(v).map(|n| s.max = Some(n)) },
    Key {
        name: "threshold_bp",
        about: "a motion's threshold",
        set: |s, v| number(v).map(|n| s.threshold_bp = Some(n)),
    },
    Key { name: "basis", about: "cast or eligible", set: |s, v| word(v).map(|w| s.basis = Some(w)) },
    Key { name: "eligible", about: "how many may vote", set: |s, v| number(v).map(|n| s.eligible = Some(n)) },
    Key { name: "tie_break", about: "words, comma-separated", set: set_tie_break },
    Key { name: "seed", about: "of the lot: 64 hex digits, or any text", set: set_seed },
];

/// What was set; the rest keeps its default.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    seats: Option<usize>,
    elimination: Option<Elimination>,
    strength: Option<Strength>,
    truncated: Option<Truncated>,
    max: Option<u32>,
    threshold_bp: Option<u32>,
    basis: Option<Basis>,
    eligible: Option<u64>,
    tie_break: Vec<TieBreak>,
    seed: Vec<u8>,
}

impl Settings {
    /// Reads every `key=value`.
    ///
    /// # Errors
    /// A usage failure for an unknown key or a value that fits no key.
    pub fn read(given: &[String]) -> Result<Self, Failure> {
        let mut settings = Self::default();
        for entry in given {
            let usage = |why: String| Failure::Usage(format!("--set {entry}: {why}"));
            let (key, value) = entry.split_once('=').ok_or_else(|| usage("expected key=value".into()))?;
            let known = KEYS.iter().find(|known| known.name == key.trim()).ok_or_else(|| usage(keys(key.trim())))?;
            (known.set)(&mut settings, value.trim()).map_err(usage)?;
        }
        Ok(settings)
    }

    /// The rules of `method` over an election with these settings. In a comparison of methods (`lenient`), what means
    /// nothing to a method is left out instead of refused.
    pub fn rules(&self, method: &'static Method, election: &Election, lenient: bool) -> CountRules {
        let mut rules = CountRules::new(method, election.options.clone());
        let seats = self.seats.or(election.seats.filter(|_| method.seats));
        rules.seats = seats.filter(|_| method.seats || !lenient).unwrap_or(1);
        rules.elimination = self.elimination.unwrap_or_default();
        let fits = |strength: &Strength| !lenient || *strength != Strength::Opposition || method.name == "minimax";
        rules.strength = self.strength.filter(fits).unwrap_or_default();
        rules.truncated = self.truncated.unwrap_or_default();
        rules.max_score = self.max.or(election.max_score).unwrap_or_else(|| highest_score(election).max(5));
        rules.threshold_bp = self.threshold_bp.unwrap_or(rules.threshold_bp);
        rules.basis = self.basis.unwrap_or_default();
        let cast = election.profiles.first().map_or(0, |profile| profile.weight());
        rules.eligible = self.eligible.map_or(cast, u128::from);
        rules.tie_break = self.tie_break.clone();
        rules.seed = self.seed.clone();
        rules
    }

    /// Whether a lot may be drawn although nobody gave a seed.
    pub fn lot_without_seed(&self) -> bool {
        self.tie_break.contains(&TieBreak::SeededLot) && self.seed.is_empty()
    }
}

/// The highest score that anybody gave.
pub fn highest_score(election: &Election) -> u32 {
    let scores = election.profiles.iter().filter(|profile| profile.kind() == BallotKind::Scores);
    scores.flat_map(|profile| profile.rows().flat_map(|(row, _)| row.scores().iter().copied())).max().unwrap_or(0)
}

fn keys(unknown: &str) -> String {
    let near = KEYS.iter().map(|key| (strsim::jaro(key.name, unknown), key.name));
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, name)) if likeness > 0.8 => format!("there is no key {unknown}; did you mean {name}?"),
        _ => {
            let all: Vec<String> = KEYS.iter().map(|key| format!("{} ({})", key.name, key.about)).collect();
            format!("there is no key {unknown}; expected one of {}", all.join(", "))
        }
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("expected a whole number in range, got {value:?}"))
}

fn word<T: DeserializeOwned>(value: &str) -> Result<T, String> {
    serde_json::from_value(value.into()).map_err(|error| error.to_string().replace('`', ""))
}

fn set_tie_break(settings: &mut Settings, value: &str) -> Result<(), String> {
    settings.tie_break = value.split(',').map(|one| word(one.trim())).collect::<Result<_, _>>()?;
    Ok(())
}

fn set_seed(settings: &mut Settings, value: &str) -> Result<(), String> {
    let digit = |b: &u8| char::from(*b).to_digit(16);
    let digits: Option<Vec<u32>> = value.as_bytes().iter().map(digit).collect();
    settings.seed = match digits {
        Some(digits) if digits.len() == 64 => digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect(),
        _ => value.as_bytes().to_vec(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_set_is_said() {
        let said = |entry: &str| match Settings::read(&[entry.to_owned()]) {
            Ok(_) => "ok".to_owned(),
            Err(Failure::Usage(why)) => why,
            Err(other) => panic!("{other:?}"),
        };
        let cases = [
            ("seats=3", "ok"),
            ("tie_break=previous_rounds,declared_order", "ok"),
            ("seats=-1", "--set seats=-1: expected a whole number in range, got \"-1\""),
            ("strenght=wv", "--set strenght=wv: there is no key strenght; did you mean strength?"),
            ("seats", "--set seats: expected key=value"),
            (
                "tie_break=coin",
                "--set tie_break=coin: unknown variant coin, expected one of previous_rounds, declared_order, \
                 seeded_lot, none",
            ),
        ];
        for (entry, expected) in cases {
            assert_eq!(said(entry), expected, "{entry}");
        }
        assert!(said("zzz=1").contains("expected one of seats (how many are elected), elimination"));
    }

    #[test]
    fn a_seed_is_hex_or_text() {
        let seed = |value: &str| Settings::read(&[format!("seed={value}")]).unwrap().seed;
        assert_eq!(seed("case-seed-1"), b"case-seed-1");
        assert_eq!(seed(&"0f".repeat(32)), [15; 32]);
        assert_eq!(seed("0f"), b"0f");
    }
}
