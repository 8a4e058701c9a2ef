//! The tree against the schema: unknown keys, wrong types, words that are not in the list, numbers out of range.
//!
//! The schema is the one derived from the structs, so what is refused here and what `--schema` tells an editor are
//! the same thing. What passes is JSON that the structs are certain to accept.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::formats::{FORMATS, Format};
use super::source::{self, Node, Table, Value};
use super::{Fault, Origin, Origins};

/// Checks `tree` and returns what of it is sound, with where each value came from.
pub(super) fn check(schema: &Json, tree: &Node, faults: &mut Vec<Fault>) -> (Json, Origins) {
    let mut shape = Shape { root: schema, faults, origins: Origins::default() };
    let said = shape.value(schema, "", tree).unwrap_or(Json::Object(Map::new()));
    (said, shape.origins)
}

/// The schema that takes everything.
static ANY: Json = Json::Bool(true);

struct Shape<'a> {
    root: &'a Json,
    faults: &'a mut Vec<Fault>,
    origins: Origins,
}

impl<'a> Shape<'a> {
    fn value(&mut self, schema: &'a Json, path: &str, node: &Node) -> Option<Json> {
        let schema = self.resolved(schema);
        let node = self.typed(schema, node);
        if let Some(words) = words(schema) {
            return self.word(&words, path, &node);
        }
        if let Some(choices) = choices(schema) {
            return self.choice(choices, path, &node);
        }
        let is = |kind: &str| kinds(schema).any(|known| known == kind);
        let value = match &node.value {
            _ if kinds(schema).next().is_none() => self.anything(path, &node)?,
            Value::Table(table) if is("object") => return self.table(schema, path, &node.origin, table),
            Value::List(list) if is("array") => self.list(schema, path, &node, list),
            Value::Text(text) if is("string") => self.text(schema, path, &node, text)?,
            Value::Int(int) if is("integer") || is("number") => self.int(schema, path, &node, *int)?,
            Value::Float(float) if is("number") => match serde_json::Number::from_f64(*float) {
                Some(number) => Json::Number(number),
                None => return self.refuse(path, &node, &self.expected(schema)),
            },
            Value::Bool(flag) if is("boolean") => Json::Bool(*flag),
            _ => return self.refuse(path, &node, &self.expected(schema)),
        };
        self.origins.0.insert(path.into(), node.origin.clone());
        Some(value)
    }

    fn table(&mut self, schema: &'a Json, path: &str, origin: &Origin, table: &Table) -> Option<Json> {
        let named = schema["properties"].as_object();
        let others = ["additionalProperties", "unevaluatedProperties"].iter().find_map(|key| schema.get(key));
        let mut said = Map::new();
        for (key, (written, node)) in table {
            let inner = join(path, key);
            if let Some(form) = form(&schema["propertyNames"])
                && !(form.fits)(key)
            {
                self.fault(&inner, written, format!("expected {}, found {key:?}", form.expected));
                continue;
            }
            let schema = match (named.and_then(|named| named.get(key)), others) {
                (Some(schema), _) => schema,
                (None, Some(schema @ (Json::Object(_) | Json::Bool(true)))) => schema,
                (None, _) => {
                    self.unknown(named, inner, key, written);
                    continue;
                }
            };
            if let Some(value) = self.value(schema, &inner, node) {
                said.insert(key.clone(), value);
            }
        }
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if !table.contains_key(key) {
                self.fault(path, origin, format!("the key {key:?} is missing"));
                return None;
            }
        }
        Some(Json::Object(said))
    }

    fn unknown(&mut self, named: Option<&Map<String, Json>>, path: String, key: &str, written: &Origin) {
        if path == "server.ops_token" {
            let message = "a secret does not belong here: set TESSERA__SERVER__OPS_TOKEN, or name a file that holds it \
                           in ops_token_file";
            return self.fault(&path, written, message.into());
        }
        let names: Vec<&str> = named.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let message = match (nearest(key, names.iter().copied()), self.home_of(key)) {
            (Some(near), _) => format!("unknown key {key:?}, did you mean {near:?}?"),
            (None, Some(section)) => format!("unknown key {key:?} here, it belongs in [{section}]"),
            (None, None) => format!("unknown key {key:?}, expected one of {}", names.join(", ")),
        };
        self.fault(&path, written, message);
    }

    /// The section that has a key of this name.
    fn home_of(&self, key: &str) -> Option<&'a str> {
        let sections = self.root["properties"].as_object()?;
        let has = |schema: &'a Json| self.resolved(schema)["properties"].get(key).is_some();
        sections.iter().find(|(_, schema)| has(schema)).map(|(name, _)| name.as_str())
    }

    fn list(&mut self, schema: &'a Json, path: &str, node: &Node, list: &[Node]) -> Json {
        // A list is one value to whoever asks where it came from; its items are where each of them was written.
        self.origins.0.insert(path.into(), node.origin.clone());
        let items = schema.get("items").unwrap_or(&ANY);
        let each = list.iter().enumerate().filter_map(|(at, item)| {
            let path = format!("{path}[{at}]");
            self.origins.0.insert(path.clone(), item.origin.clone());
            self.value(items, &path, item)
        });
        Json::Array(each.collect())
    }

    fn text(&mut self, schema: &Json, path: &str, node: &Node, text: &str) -> Option<Json> {
        let long_enough = schema["minLength"].as_u64().is_none_or(|min| text.chars().count() as u64 >= min);
        match form(schema) {
            Some(form) if !(form.fits)(text) => self.refuse(path, node, form.expected),
            _ if !long_enough => self.refuse(path, node, &self.expected(schema)),
            _ => Some(Json::String(text.to_owned())),
        }
    }

    fn int(&mut self, schema: &Json, path: &str, node: &Node, int: i128) -> Option<Json> {
        let (min, max) = range(schema);
        match i64::try_from(int) {
            Ok(fits) if (min..=max).contains(&int) => Some(Json::from(fits)),
            _ => self.refuse(path, node, &self.expected(schema)),
        }
    }

    fn word(&mut self, words: &[&str], path: &str, node: &Node) -> Option<Json> {
        match &node.value {
            Value::Text(text) if words.contains(&text.as_str()) => {
                self.origins.0.insert(path.into(), node.origin.clone());
                Some(Json::String(text.clone()))
            }
            Value::Text(text) => {
                let near = nearest(text, words.iter().copied());
                let hint = near.map(|near| format!(", did you mean {near:?}?")).unwrap_or_default();
                let message = format!("expected {}, found {}{hint}", one_of(words), found(&node.value));
                self.fault(path, &node.origin, message);
                None
            }
            _ => self.refuse(path, node, &one_of(words)),
        }
    }

    /// A value that may be of several kinds: the one whose type fits is the one that is meant.
    fn choice(&mut self, choices: &'a [Json], path: &str, node: &Node) -> Option<Json> {
        for schema in choices {
            let mut faults = Vec::new();
            let mut trial = Shape { root: self.root, faults: &mut faults, origins: Origins::default() };
            let value = trial.value(schema, path, node);
            let origins = trial.origins;
            if faults.is_empty() {
                self.origins.0.extend(origins.0);
                return value;
            }
        }
        let meant: Vec<&Json> = choices.iter().filter(|schema| self.same_kind(schema, node)).collect();
        match meant[..] {
            [only] => self.value(only, path, node),
            _ => {
                let all: Vec<String> =
                    choices.iter().map(|schema| self.expected(schema)).filter(|text| !text.is_empty()).collect();
                self.refuse(path, node, &all.join(", or "))
            }
        }
    }

    fn same_kind(&self, schema: &'a Json, node: &Node) -> bool {
        let schema = self.resolved(schema);
        let kind = match node.value {
            Value::Text(_) if words(schema).is_some() => return true,
            Value::Text(_) | Value::Raw(_) | Value::Date(_) => "string",
            Value::Int(_) => "integer",
            Value::Float(_) => "number",
            Value::Bool(_) => "boolean",
            Value::List(_) => "array",
            Value::Table(_) => "object",
        };
        kinds(schema).any(|known| known == kind)
    }

    /// Where the schema does not care: what was written, as it is.
    fn anything(&mut self, path: &str, node: &Node) -> Option<Json> {
        self.origins.0.insert(path.into(), node.origin.clone());
        match &node.value {
            Value::Text(text) | Value::Raw(text) => Some(Json::String(text.clone())),
            Value::Bool(flag) => Some(Json::Bool(*flag)),
            Value::Int(int) => match i64::try_from(*int) {
                Ok(int) => Some(Json::from(int)),
                Err(_) => self.refuse(path, node, "a number of at most 64 bits"),
            },
            Value::Float(float) => match serde_json::Number::from_f64(*float) {
                Some(number) => Some(Json::Number(number)),
                None => self.refuse(path, node, "a number that JSON can hold"),
            },
            Value::Date(_) => self.refuse(path, node, "text, a number, true or false, a list or a table"),
            Value::List(list) => {
                let each = list.iter().enumerate();
                Some(each.filter_map(|(at, item)| self.anything(&format!("{path}[{at}]"), item)).collect())
            }
            Value::Table(table) => {
                let each = table.iter();
                Some(
                    each.filter_map(|(key, (_, node))| Some((key.clone(), self.anything(&join(path, key), node)?)))
                        .collect(),
                )
            }
        }
    }

    /// What a text from the environment means where this schema is expected.
    fn typed<'n>(&self, schema: &'a Json, node: &'n Node) -> Cow<'n, Node> {
        let Value::Raw(text) = &node.value else { return Cow::Borrowed(node) };
        let plain_text = || Node { origin: node.origin.clone(), value: Value::Text(text.clone()) };
        let only_text = words(schema).is_some() || kinds(schema).eq(["string"]);
        let read = if only_text {
            plain_text()
        } else if kinds(schema).any(|kind| kind == "array") && !text.trim_start().starts_with('[') {
            // A list may be written with commas alone.
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let item = |item: &str| Node { origin: node.origin.clone(), value: Value::Raw(item.to_owned()) };
            Node { origin: node.origin.clone(), value: Value::List(items.map(item).collect()) }
        } else {
            source::read_inline(text.trim(), &node.origin).unwrap_or_else(plain_text)
        };
        Cow::Owned(read)
    }

    /// What a schema wants, in words.
    fn expected(&self, schema: &Json) -> String {
        let schema = self.resolved_any(schema);
        if let Some(words) = words(schema) {
            return one_of(&words);
        }
        if let Some(form) = form(schema) {
            return form.expected.into();
        }
        let all: Vec<String> = kinds(schema)
            .filter(|kind| *kind != "null")
            .map(|kind| match kind {
                "integer" => match range(schema) {
                    (min, max) if max == i64::MAX.into() => format!("an integer of at least {min}"),
                    (min, max) => format!("an integer from {min} to {max}"),
                },
                "number" => "a number".into(),
                "boolean" => "true or false".into(),
                "string" if schema["minLength"].as_u64().unwrap_or(0) > 0 => "text that is not empty".into(),
                "string" => "text".into(),
                "array" => match self.expected(&schema["items"]) {
                    items if items.is_empty() => "a list".into(),
                    items => format!("a list, each {items}"),
                },
                _ => "a table".into(),
            })
            .collect();
        all.join(" or ")
    }

    fn resolved(&self, schema: &'a Json) -> &'a Json {
        match schema["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
            Some(place) => self.root.pointer(place).unwrap_or(schema),
            None => schema,
        }
    }

    fn resolved_any<'s>(&'s self, schema: &'s Json) -> &'s Json {
        match schema["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
            Some(place) => self.root.pointer(place).unwrap_or(schema),
            None => schema,
        }
    }

    fn refuse(&mut self, path: &str, node: &Node, expected: &str) -> Option<Json> {
        self.fault(path, &node.origin, format!("expected {expected}, found {}", found(&node.value)));
        None
    }

    fn fault(&mut self, path: &str, origin: &Origin, message: String) {
        self.faults.push(Fault { path: path.into(), origin: origin.clone(), message });
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

fn kinds(schema: &Json) -> impl Iterator<Item = &str> {
    let of = &schema["type"];
    let untold = if of.is_null() && schema["properties"].is_object() { Some("object") } else { None };
    of.as_str().into_iter().chain(of.as_array().into_iter().flatten().filter_map(Json::as_str)).chain(untold)
}

fn form(schema: &Json) -> Option<&'static Format> {
    // Formats that are not ours (`uint32`) are other readers' business.
    let name = schema["format"].as_str()?;
    FORMATS.iter().find(|format| format.name == name)
}

/// The words of an enumeration, when the schema is one.
fn words(schema: &Json) -> Option<Vec<&str>> {
    if let Some(listed) = schema["enum"].as_array() {
        return listed.iter().filter(|word| !word.is_null()).map(Json::as_str).collect();
    }
    if let Some(word) = schema["const"].as_str() {
        return Some(vec![word]);
    }
    let mut all = Vec::new();
    for choice in choices(schema)? {
        all.extend(words(choice)?);
    }
    Some(all)
}

fn choices(schema: &Json) -> Option<&[Json]> {
    ["anyOf", "oneOf"].iter().find_map(|key| schema[*key].as_array()).map(Vec::as_slice)
}

fn range(schema: &Json) -> (i128, i128) {
    let bound = |key: &str| schema[key].as_i64().map(i128::from).or_else(|| schema[key].as_f64().map(|f| f as i128));
    let (least, most) = match schema["format"].as_str() {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64" | "uint") => (0, i64::MAX.into()),
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    (bound("minimum").unwrap_or(least), bound("maximum").unwrap_or(most))
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match &quoted[..] {
        [only] => only.clone(),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Raw(text) if text.chars().count() <= 80 => format!("{text:?}"),
        Value::Text(_) | Value::Raw(_) => "a long text".into(),
        Value::Int(i128::MAX) => "an integer beyond 64 bits".into(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Date(date) => format!("the date {date}"),
        Value::List(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
    }
}

/// The known name that a wrong one most likely meant.
pub(super) fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_");
    let wrong = plain(wrong);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &plain(name)), name))
        .filter(|(edits, name)| {
            // A third of the letters may be wrong; a name that was cut short or lengthened at a `_` is near too.
            let longest = wrong.chars().count().max(name.chars().count());
            let extended = |long: &str, short: &str| short.len() >= 3 && long.starts_with(&format!("{short}_"));
            *edits <= longest.div_ceil(3) || extended(name, &wrong) || extended(&wrong, name)
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}
