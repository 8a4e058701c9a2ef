//! Faults as they are found, and what their sentences are made of.

use serde_json::Value;

use super::{Fault, Word};

/// The first key of a path: `options` of `options[2].id`.
pub(super) fn root(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// What a JSON value is, in a player's words.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "a boolean".into(),
        Value::Number(number) => format!("{number}"),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// The name most like `name`, when one is like it at all.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Characters of a wrong name that are shown; a longer one is like none.
const NAME_CHARS_MAX: usize = 64;

/// Faults before a wrong name is not compared with the known ones any more: a configuration comes from strangers too, and
/// ten thousand wrong keys are no misspellings.
const HINTED_MAX: usize = 64;

/// Faults as they are found, and the few ways to read a JSON value that add to them.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault::new(path, message));
    }

    pub(super) fn unknown<'a>(&mut self, path: &str, noun: &str, name: &str, known: impl Iterator<Item = &'a str>) {
        let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
        let hint = self.hint(name, known);
        self.add(path, format!("unknown {noun} {shown:?}{hint}"));
    }

    fn hint<'a>(&self, name: &str, known: impl Iterator<Item = &'a str>) -> String {
        let misspelt = self.0.len() < HINTED_MAX && name.len() <= 4 * NAME_CHARS_MAX;
        let near = misspelt.then(|| nearest(name, known)).flatten();
        near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
    }

    pub(super) fn within(&mut self, path: &str, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            self.add(path, format!("expected {least} to {most}, got {value}"));
        }
    }

    pub(super) fn string(&mut self, path: &str, value: &Value, into: &mut String) {
        match value.as_str() {
            Some(text) => text.clone_into(into),
            None => self.add(path, format!("expected a string, got {}", kind(value))),
        }
    }

    pub(super) fn boolean(&mut self, path: &str, value: &Value, into: &mut bool) {
        match value.as_bool() {
            Some(read) => *into = read,
            None => self.add(path, format!("expected true or false, got {}", kind(value))),
        }
    }

    /// A whole number; `15000.0`, which Lua may write, is one too.
    pub(super) fn integer<T: TryFrom<u64>>(&mut self, path: &str, value: &Value, into: &mut T) {
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..9.0e15).contains(float))?;
            Some(float as u64)
        });
        match whole.and_then(|read| T::try_from(read).ok()) {
            Some(read) => *into = read,
            None => {
                let most = if size_of::<T>() == 4 { u64::from(u32::MAX) } else { u64::MAX };
                self.add(path, format!("expected a whole number from 0 to {most}, got {}", kind(value)));
            }
        }
    }

    pub(super) fn word<W: Word>(&mut self, path: &str, value: &Value, into: &mut W) {
        let Some(text) = value.as_str() else {
            self.add(path, format!("expected a word, got {}", kind(value)));
            return;
        };
        match W::WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, word)) => *into = *word,
            None => {
                let all: Vec<&str> = W::WORDS.iter().map(|(word, _)| *word).collect();
                let hint = self.hint(text, all.iter().copied());
                let shown: String = text.chars().take(NAME_CHARS_MAX).collect();
                self.add(path, format!("expected one of {}, got {shown:?}{hint}", all.join(", ")));
            }
        }
    }
}
