//! How an expectation meets what was seen.
//!
//! | expected | meets |
//! |---|---|
//! | a table | a table that has these keys, each meeting its value; or a list: `{ len = 2 }`, `{ has = [..] }` |
//! | a list | a list of as many items, each meeting its own |
//! | `"*"` | anything that is there and not null |
//! | `"-"` | nothing: the key is absent or null |
//! | `">= 3"` `"<= 3"` `"> 3"` `"< 3"` | a number that is so |
//! | `"!= x"` | anything else than this |
//! | `"~ part"` | a text that contains this |
//! | `"= text"` | exactly this text, whatever it begins with |
//! | `"$name"` | the value that was saved under this name, or a player's id |
//! | anything else | the same value; numbers by their value |

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Values by the names that `$name` says.
pub type Saved = BTreeMap<String, Value>;

/// Whether `found` meets `expected`, and if not, the first thing that differs, by its path.
///
/// # Errors
/// A sentence about what was expected where and what came.
pub fn meets(expected: &Value, found: &Value, path: &str) -> Result<(), String> {
    match expected {
        Value::Null => Ok(()),
        Value::Object(keys) if found.is_array() => meets_list(keys, found, path),
        Value::Object(keys) => {
            for (key, expected) in keys {
                let inner = join(path, key);
                meets(expected, found.get(key).unwrap_or(&Value::Null), &inner)?;
            }
            if found.is_object() { Ok(()) } else { differs(path, "a table", found) }
        }
        Value::Array(items) => match found {
            Value::Array(seen) if seen.len() == items.len() => items
                .iter()
                .zip(seen)
                .enumerate()
                .try_for_each(|(at, (expected, found))| meets(expected, found, &join(path, &at.to_string()))),
            _ => differs(path, &format!("{expected}"), found),
        },
        Value::String(text) => meets_text(text, found, path),
        Value::Number(_) => {
            let same = compare(expected, found) == Some(Ordering::Equal);
            if same { Ok(()) } else { differs(path, &expected.to_string(), found) }
        }
        Value::Bool(_) => {
            if expected == found {
                Ok(())
            } else {
                differs(path, &expected.to_string(), found)
            }
        }
    }
}

fn meets_list(keys: &Map<String, Value>, found: &Value, path: &str) -> Result<(), String> {
    let items = found.as_array().map(Vec::as_slice).unwrap_or_default();
    for (key, expected) in keys {
        match key.as_str() {
            "len" => meets(expected, &Value::from(items.len()), &join(path, "len"))?,
            "has" => {
                for wanted in expected.as_array().map(Vec::as_slice).unwrap_or_default() {
                    if !items.iter().any(|item| meets(wanted, item, path).is_ok()) {
                        return differs(path, &format!("a list that has {wanted}"), found);
                    }
                }
            }
            _ => return differs(path, "a table", found),
        }
    }
    Ok(())
}

fn meets_text(text: &str, found: &Value, path: &str) -> Result<(), String> {
    let holds = match Word::of(text) {
        Word::There => !found.is_null(),
        Word::Absent => found.is_null(),
        Word::Compared(word, number) => compare(found, &number).is_some_and(|order| match word {
            ">=" => order.is_ge(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_lt(),
        }),
        Word::Other(value) => !found.is_null() && *found != value && found.as_str() != value.as_str(),
        Word::Contains(part) => found.as_str().is_some_and(|found| found.contains(part)),
        Word::Exactly(text) => found.as_str() == Some(text),
    };
    if holds { Ok(()) } else { differs(path, &format!("{text:?}"), found) }
}

/// What a text means as an expectation.
enum Word<'a> {
    There,
    Absent,
    Compared(&'a str, Value),
    Other(Value),
    Contains(&'a str),
    Exactly(&'a str),
}

impl<'a> Word<'a> {
    fn of(text: &'a str) -> Self {
        match text.split_once(' ') {
            None if text == "*" => Self::There,
            None if text == "-" => Self::Absent,
            Some((word @ (">=" | "<=" | ">" | "<"), number)) => match serde_json::from_str(number) {
                Ok(number @ Value::Number(_)) => Self::Compared(word, number),
                _ => Self::Exactly(text),
            },
            Some(("!=", value)) => {
                Self::Other(serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into())))
            }
            Some(("~", part)) => Self::Contains(part),
            Some(("=", text)) => Self::Exactly(text),
            _ => Self::Exactly(text),
        }
    }
}

/// Numbers by their value: 1 and 1.0 are the same.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn differs(path: &str, expected: &str, found: &Value) -> Result<(), String> {
    let at = if path.is_empty() { "the payload" } else { path };
    let found = match found {
        Value::Null => "nothing".to_owned(),
        found => shortened(&found.to_string()),
    };
    Err(format!("{at}: expected {expected}, found {found}"))
}

/// The first 200 characters of a long text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

/// The value at a path such as `match_id` or `players.0`.
pub fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, key| match value {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        value => value.get(key),
    })
}

/// Puts saved values in the place of their names, in texts and in keys. A text that is a name alone becomes the value
/// itself, whatever its type.
pub fn filled(value: &Value, saved: &Saved) -> Value {
    match value {
        Value::String(text) => {
            match text.strip_prefix('$').filter(|name| is_name(name)).and_then(|name| saved.get(name)) {
                Some(value) => value.clone(),
                None => Value::String(filled_text(text, saved)),
            }
        }
        Value::Array(items) => items.iter().map(|item| filled(item, saved)).collect(),
        Value::Object(keys) => {
            Value::Object(keys.iter().map(|(key, value)| (filled_text(key, saved), filled(value, saved))).collect())
        }
        other => other.clone(),
    }
}

/// Puts saved values in the place of their names within a text.
pub fn filled_text(text: &str, saved: &Saved) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let name = name_at(&rest[at + 1..]);
        match saved.get(name) {
            Some(Value::String(value)) if !name.is_empty() => out.push_str(value),
            Some(value) if !name.is_empty() => out.push_str(&value.to_string()),
            _ => out.push_str(&rest[at..at + 1 + name.len()]),
        }
        rest = &rest[at + 1 + name.len()..];
    }
    out + rest
}

/// A name: lowercase letters, digits and `_`, beginning with a letter.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && name_at(text).len() == text.len()
}

fn name_at(text: &str) -> &str {
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return "";
    }
    let end = text.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

/// A sentence for each name that nothing stands for: an expectation of it would say nothing.
pub(super) fn unknown_names(value: &Value, known: &BTreeSet<String>) -> Vec<String> {
    let mut unknown = Vec::new();
    walk(value, &mut |text| {
        let names = text.match_indices('$').map(|(at, _)| name_at(&text[at + 1..]));
        unknown.extend(
            names
                .filter(|name| !name.is_empty() && !known.contains(*name))
                .map(|name| format!("nothing is saved as ${name}")),
        );
    });
    unknown
}

/// A sentence for each text that looks like a comparison and is none.
pub(super) fn faults(value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    walk(value, &mut |text| {
        let compares = [">=", "<=", ">", "<"].iter().any(|word| text.starts_with(&format!("{word} ")));
        if compares && !text.contains('$') && matches!(Word::of(text), Word::Exactly(_)) {
            faults.push(format!("expected a number behind the sign in {text:?}"));
        }
    });
    faults
}

fn walk(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| walk(item, each)),
        Value::Object(keys) => keys.iter().for_each(|(key, value)| {
            each(key);
            walk(value, each);
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(expected: Value, found: Value, verdict: &str) {
        let said = meets(&expected, &found, "").err().unwrap_or_else(|| "meets".into());
        assert_eq!(said, verdict, "{expected} and {found}");
    }

    #[test]
    fn expectations_meet_what_they_say() {
        let vote =
            json!({"status": "decided", "winner": "a", "counts": {"a": 2, "b": 0}, "turnout": 1.0, "list": [1, 2]});
        check(json!({}), vote.clone(), "meets");
        check(json!({"status": "decided", "counts": {"a": 2}}), vote.clone(), "meets");
        check(json!({"turnout": 1}), vote.clone(), "meets");
        check(json!({"turnout": ">= 0.5", "counts": {"b": "< 1"}}), vote.clone(), "meets");
        check(json!({"winner": "*", "rounds": "-"}), vote.clone(), "meets");
        check(json!({"winner": "!= b", "status": "~ cide"}), vote.clone(), "meets");
        check(json!({"list": {"len": 2, "has": [2]}}), vote.clone(), "meets");
        check(json!({"list": [1, "> 1"]}), vote.clone(), "meets");
    }

    /// Each leaf of an expectation matters: change any one and it is not met.
    #[test]
    fn expectations_do_not_meet_anything_else() {
        let vote = json!({"status": "decided", "winner": null, "counts": {"a": 2}, "list": [1, 2]});
        for (expected, verdict) in [
            (json!({"status": "tie"}), r#"status: expected "tie", found "decided""#),
            (json!({"winner": "*"}), r#"winner: expected "*", found nothing"#),
            (json!({"status": "-"}), r#"status: expected "-", found "decided""#),
            (json!({"counts": {"a": 3}}), "counts.a: expected 3, found 2"),
            (json!({"counts": {"a": "> 2"}}), r#"counts.a: expected "> 2", found 2"#),
            (json!({"counts": {"b": 0}}), "counts.b: expected 0, found nothing"),
            (json!({"counts": {"a": "2"}}), r#"counts.a: expected "2", found 2"#),
            (json!({"status": "!= decided"}), r#"status: expected "!= decided", found "decided""#),
            (json!({"status": "~ tie"}), r#"status: expected "~ tie", found "decided""#),
            (json!({"list": [2, 1]}), "list.0: expected 2, found 1"),
            (json!({"list": [1]}), "list: expected [1], found [1,2]"),
            (json!({"list": {"len": 3}}), "list.len: expected 3, found 2"),
            (json!({"list": {"has": [3]}}), "list: expected a list that has 3, found [1,2]"),
            (json!({"status": {"x": 1}}), "status.x: expected 1, found nothing"),
            (json!({"status": true}), r#"status: expected true, found "decided""#),
        ] {
            check(expected, vote.clone(), verdict);
        }
    }

    #[test]
    fn saved_values_take_the_place_of_their_names() {
        let saved: Saved = [("match".into(), json!("m-1")), ("n".into(), json!(3))].into();
        let value = json!({"id": "$match", "n": "$n", "path": "/matches/$match/end?n=$n", "$match": ["costs $5"]});
        let expected = json!({"id": "m-1", "n": 3, "path": "/matches/m-1/end?n=3", "m-1": ["costs $5"]});
        assert_eq!(filled(&value, &saved), expected);
        let known = ["match".to_owned()].into();
        assert_eq!(unknown_names(&value, &known), ["nothing is saved as $n", "nothing is saved as $n"]);
    }
}
