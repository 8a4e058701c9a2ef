//! File, environment and flags become one tree of values, each of which knows where it was written.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, Fault, Flags, Origin};

/// Variables that begin so are ours; one of them that names no key is a fault, not somebody else's.
const ENV_PREFIX: &str = "TESSERA__";

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// What was written, as far as its writing tells.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Int(i128),
    Float(f64),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(Table),
    /// From the environment: what it means depends on what is expected there.
    Raw(String),
}

/// Keys, each with where the key itself was written, and their values.
pub(super) type Table = BTreeMap<String, (Origin, Node)>;

/// Reads a file's text. Syntax errors become faults, and what could be read around them is still checked.
pub(super) fn read_toml(text: &str, faults: &mut Vec<Fault>) -> Node {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // The word at a duplicate key helps; anything else at the span may be part of a value, and so of a secret.
        let message = match (error.message(), text.get(span.clone())) {
            ("duplicate key", Some(key)) => format!("duplicate key {key}"),
            (said, _) => said.to_owned(),
        };
        faults.push(Fault { path: String::new(), origin: lines.at(span.start), message });
    }
    Node { origin: Origin::Default, value: Value::Table(read_table(table.get_ref(), &lines)) }
}

/// The lines at which bytes of a text stand, or the one place that a whole text came from.
enum Lines {
    Starts(Vec<usize>),
    All(Origin),
}

impl Lines {
    fn of(text: &str) -> Self {
        Self::Starts(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect())
    }

    fn at(&self, byte: usize) -> Origin {
        match self {
            Self::Starts(starts) => Origin::Line(1 + starts.partition_point(|start| *start <= byte)),
            Self::All(origin) => origin.clone(),
        }
    }
}

fn read_table(table: &DeTable<'_>, lines: &Lines) -> Table {
    table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), (lines.at(key.span().start), read_value(value, lines))))
        .collect()
}

fn read_value(value: &Spanned<DeValue<'_>>, lines: &Lines) -> Node {
    let origin = lines.at(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        // TOML promises 64 bits; whatever is larger is out of every range of ours.
        DeValue::Integer(int) => Value::Int(i128::from_str_radix(int.as_str(), int.radix()).unwrap_or(i128::MAX)),
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(list) => Value::List(list.iter().map(|each| read_value(each, lines)).collect()),
        DeValue::Table(table) => Value::Table(read_table(table, lines)),
    };
    Node { origin, value }
}

/// A text from the environment read as one TOML value: how lists and tables are written there.
pub(super) fn read_inline(text: &str, origin: &Origin) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(read_value(&value, &Lines::All(origin.clone())))
}

/// The variables that are ours, in the order of their names.
pub(super) fn ours(env: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut ours: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    ours.sort();
    ours
}

/// Lays `TESSERA__SECTION__KEY` variables over the tree. A name in the tree that differs only in case, or in `-` for
/// `_`, is the one that is meant, since variables can be written in one way only.
pub(super) fn lay_env_over(tree: &mut Node, env: &[(String, String)]) {
    for (name, text) in env {
        let origin = Origin::Env(name.clone());
        let path: Vec<String> = name[ENV_PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        set(tree, &path, &origin, Value::Raw(text.clone()));
    }
}

/// Lays the flags over the tree.
pub(super) fn lay_flags_over(tree: &mut Node, flags: &Flags) {
    for (key, given) in [("listen", &flags.listen), ("data", &flags.data), ("games", &flags.games)] {
        if let Some(text) = given {
            set(tree, &["server".into(), key.into()], &Origin::Flag(key), Value::Text(text.clone()));
        }
    }
}

fn set(node: &mut Node, path: &[String], origin: &Origin, value: Value) {
    let Some((name, rest)) = path.split_first() else {
        *node = Node { origin: origin.clone(), value };
        return;
    };
    if let Value::Raw(text) = &node.value
        && let Some(read) = read_inline(text, &node.origin)
    {
        *node = read;
    }
    // Where the file has no table, it is at fault already, and there is nothing to lay over.
    let Value::Table(table) = &mut node.value else { return };
    let same = |known: &String| known.to_ascii_lowercase().replace('-', "_") == *name;
    let name = table.keys().find(|known| same(known)).unwrap_or(name).clone();
    let empty = || (origin.clone(), Node { origin: origin.clone(), value: Value::Table(Table::new()) });
    let entry = table.entry(name).or_insert_with(empty);
    if rest.is_empty() {
        entry.0 = origin.clone();
    }
    set(&mut entry.1, rest, origin, value);
}

/// Lays `over` over `under`: tables key by key, everything else whole.
pub(super) fn lay_over(under: &mut Json, over: Json) {
    match (under, over) {
        (Json::Object(under), Json::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Json::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// Faults in the order a reader meets them, and none twice. A line that is not TOML is not blamed for its content too.
pub(super) fn sort_faults(faults: &mut Vec<Fault>) {
    let broken: Vec<Origin> = faults.iter().filter(|f| f.path.is_empty()).map(|f| f.origin.clone()).collect();
    faults.retain(|fault| fault.path.is_empty() || fault.line().is_none() || !broken.contains(&fault.origin));
    faults.sort_by_key(|fault| match fault.origin {
        Origin::Line(line) => (0, line),
        Origin::Default => (1, 0),
        Origin::Env(_) => (2, 0),
        Origin::Flag(_) => (3, 0),
    });
    faults.dedup();
}

/// Every value of a configuration by its path.
pub(super) fn flatten(config: &Config) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    // A configuration is made of strings, numbers and tables with text keys: nothing in it refuses to be JSON.
    let Ok(Json::Object(mut sections)) = serde_json::to_value(config) else { return rows };
    for name in ["server", "limits", "scripts", "chat", "presence", "vote_templates", "motions", "modes"] {
        let Some(section) = sections.remove(name) else { continue };
        flatten_into(name, &section, &mut rows);
        if name == "server" {
            let set = if config.server.ops_token.is_some() { "(set)" } else { "(not set)" };
            rows.push(("server.ops_token".into(), set.into()));
        }
    }
    rows
}

fn flatten_into(path: &str, value: &Json, rows: &mut Vec<(String, String)>) {
    match value {
        Json::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                flatten_into(&format!("{path}.{key}"), value, rows);
            }
        }
        Json::Null => rows.push((path.into(), "(none)".into())),
        leaf => rows.push((path.into(), leaf.to_string())),
    }
}
