//! What went wrong in a script, said so that its author finds the place: file, line, message, traceback.

use std::fmt;

use crate::limits::scripts::{FAULT_BYTES_MAX, TRACEBACK_BYTES_MAX};
use mlua::Lua;
use mlua::debug::Debug;

/// Something wrong with a script or a games folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, relative to the games folder.
    pub file: String,
    /// The line, from 1, where one is known.
    pub line: Option<u32>,
    /// What was expected and what came.
    pub text: String,
}

impl Fault {
    /// A fault of a whole file.
    pub fn of_file(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.text),
            None => write!(f, "{}: {}", self.file, self.text),
        }
    }
}

/// An error of the machine, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) file: String,
    pub(super) line: Option<u32>,
    pub(super) message: String,
    pub(super) traceback: String,
}

/// A line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Calls between a function of the library and the line of a script that led to it: more is a library that calls itself.
const LEVELS_MAX: usize = 16;

/// The innermost line of a script that is being run: where it called what runs now.
pub(super) fn place_on_stack(lua: &Lua) -> Option<Place> {
    let of = |at: &Debug<'_>| {
        let source = at.source().source?;
        let file = source.strip_prefix('@')?.to_owned();
        Some(Place { file, line: u32::try_from(at.current_line()?).ok()? })
    };
    (0..LEVELS_MAX).map_while(|level| lua.inspect_stack(level, of)).flatten().next()
}

impl Told {
    /// Takes `error` apart; `file` is the script it happened in, for errors that do not say.
    pub(super) fn of(error: &mlua::Error, file: &str) -> Self {
        let (message, traceback) = split(error);
        let (place, message) = match place_at_start(&message) {
            Some((place, rest)) => (Some(place), rest.to_owned()),
            None => (traceback.lines().find_map(|line| place_at_start(line.trim()).map(|(place, _)| place)), message),
        };
        let (file, line) = place.map_or_else(|| (file.to_owned(), None), |(file, line)| (file, Some(line)));
        // A fault of a whole file names it already.
        let message = message.strip_prefix(&format!("{file}: ")).map(str::to_owned).unwrap_or(message);
        // One line of the log: what players send ends up in errors, and must not look like lines of its own.
        let message = message.replace(|c: char| c.is_control(), " ");
        Self { file, line, message: cut(message, FAULT_BYTES_MAX), traceback: cut(traceback, TRACEBACK_BYTES_MAX) }
    }

    pub(super) fn fault(self) -> Fault {
        Fault { file: self.file, line: self.line, text: self.message }
    }
}

/// The message of an error without its traceback.
pub(super) fn message_of(error: &mlua::Error) -> String {
    split(error).0
}

/// The traceback of an error without its message.
pub(super) fn traceback_of(error: &mlua::Error) -> String {
    split(error).1
}

fn split(error: &mlua::Error) -> (String, String) {
    let (message, traceback) = split_whole(error);
    // The prelude has no lines of its own to show.
    let message = message.strip_prefix("?:-1: ").map(str::to_owned).unwrap_or(message);
    (without_address(message), traceback)
}

/// What an error that is no text is shown as: Lua gives its kind (or the `__name` of its kind) and where in memory it is,
/// which is another place in every process.
fn without_address(message: String) -> String {
    let address = |at: &str| at.len() >= 8 && at.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match message.rsplit_once(": 0x") {
        Some((kind, at)) if address(at) => format!("(a {kind})"),
        _ => message,
    }
}

fn split_whole(error: &mlua::Error) -> (String, String) {
    match error {
        mlua::Error::CallbackError { traceback, cause } => {
            // The cause knows what, the outermost traceback knows where.
            let (message, inner) = split(cause);
            let outer = traceback.trim_start_matches("stack traceback:").trim();
            (message, if outer.is_empty() { inner } else { outer.to_owned() })
        }
        mlua::Error::MemoryError(_) => ("not enough memory".into(), String::new()),
        mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => {
            match text.split_once("\nstack traceback:") {
                Some((message, traceback)) => (head(message), traceback.trim().to_owned()),
                None => (head(text), String::new()),
            }
        }
        other => (other.to_string(), String::new()),
    }
}

/// As much of a message as could be shown of it, and the place before it: a script may raise one of any length, and it is
/// looked through a few times.
fn head(message: &str) -> String {
    message[..message.floor_char_boundary(4 * FAULT_BYTES_MAX)].to_owned()
}

/// What a value is, with its article: a table, an integer.
pub(super) fn kind_of(value: &mlua::Value) -> &'static str {
    match value {
        mlua::Value::Nil => "nil",
        mlua::Value::Boolean(_) => "a boolean",
        mlua::Value::Integer(_) => "an integer",
        mlua::Value::Number(_) => "a number",
        mlua::Value::String(_) => "a string",
        mlua::Value::Table(_) => "a table",
        mlua::Value::Function(_) => "a function",
        _ => "something else",
    }
}

/// `file.lua:12: rest` taken apart.
fn place_at_start(text: &str) -> Option<((String, u32), &str)> {
    let at = text.find(".lua:")? + 4;
    let (file, rest) = (&text[..at], &text[at + 1..]);
    if file.contains(['\n', ' ', '\'', '"']) {
        return None;
    }
    let (line, rest) = rest.split_once(':')?;
    Some(((file.to_owned(), line.parse().ok()?), rest.trim_start()))
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // The library's own error type holds its cause in an Arc.
    #[allow(clippy::arc_with_non_send_sync)]
    #[test]
    fn errors_say_where() {
        let error = mlua::Error::RuntimeError("arena/match.lua:12: boom\nstack traceback:\n\t[C]: in ?".into());
        let told = Told::of(&error, "x.lua");
        assert_eq!((told.file.as_str(), told.line, told.message.as_str()), ("arena/match.lua", Some(12), "boom"));
        let error = mlua::Error::CallbackError {
            traceback: "stack traceback:\n\t[C]: in ?\n\tmatch.lua:3: in function 'spin'\n\tmatch.lua:9: in ?".into(),
            cause: std::sync::Arc::new(mlua::Error::RuntimeError("over budget".into())),
        };
        let told = Told::of(&error, "x.lua");
        assert_eq!((told.file.as_str(), told.line, told.message.as_str()), ("match.lua", Some(3), "over budget"));
        assert_eq!(Told::of(&mlua::Error::StackError, "x.lua").file, "x.lua");
    }
}
