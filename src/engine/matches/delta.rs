//! Leaner states: what changed since the last state that was shown whole.
//!
//! Every so many ticks a state is shown whole and numbered; in between a viewer is told how to get from *that* state to
//! the newest, never from one delta to the next. So any delta may take the place of an older one that still waits, a
//! lost one costs nothing, and one encoding serves everybody who has the same whole state.
//!
//! A delta is a JSON Merge Patch (RFC 7396), which any library applies. What such a patch cannot say (a member that
//! becomes `null`, a state that is no object) is shown whole instead, and so is what would not be smaller as a patch.

/// How the newest state is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Whole, under this number.
    Whole(u32),
    /// As the patch that was written, on top of the whole state of this number.
    Patch(u32),
}

/// The states of one audience: everybody, or one viewer.
#[derive(Debug, Default)]
pub struct DeltaTrack {
    /// The last state that was shown whole; empty before the first.
    whole: String,
    number: Option<u32>,
    /// States shown since then.
    since: u32,
}

impl DeltaTrack {
    /// Takes the newest state. Where it is [`Shown::Patch`], `patch` holds it; its content before is given up. A state
    /// is shown whole after `every - 1` patches at the latest, under the number after `numbers`.
    pub fn show(&mut self, state: &str, every: u32, numbers: &mut u32, patch: &mut String) -> Shown {
        patch.clear();
        self.since += 1;
        if let Some(base) = self.number.filter(|_| self.since < every)
            && merge_patch(&self.whole, state, patch).is_some()
            && patch.len() < state.len()
        {
            return Shown::Patch(base);
        }
        patch.clear();
        self.whole.clear();
        self.whole.push_str(state);
        *numbers = numbers.wrapping_add(1);
        self.number = Some(*numbers);
        self.since = 0;
        Shown::Whole(*numbers)
    }
}

/// Writes the merge patch that leads from one JSON object to another; `None` when there is none, or when a text is not
/// what a serialiser writes. `out` may hold a part of it then.
pub fn merge_patch(from: &str, to: &str, out: &mut String) -> Option<()> {
    let (from, to) = (Members::of(from)?, Members::of(to)?);
    out.push('{');
    let mut first = true;
    let mut name = |key: &str, out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        out.push_str(key);
        out.push(':');
    };
    let (mut old, mut new) = (from.0.iter().peekable(), to.0.iter().peekable());
    loop {
        // Both are sorted by name.
        let order = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        match order {
            std::cmp::Ordering::Less => {
                let (key, _) = old.next()?;
                name(key, out);
                out.push_str("null");
            }
            std::cmp::Ordering::Greater => {
                let (key, value) = new.next()?;
                survives(value)?;
                name(key, out);
                out.push_str(value);
            }
            std::cmp::Ordering::Equal => {
                let ((key, before), (_, after)) = (old.next()?, new.next()?);
                if before == after {
                    continue;
                }
                name(key, out);
                if before.starts_with('{') && after.starts_with('{') {
                    merge_patch(before, after, out)?;
                } else {
                    survives(after)?;
                    out.push_str(after);
                }
            }
        }
    }
    out.push('}');
    Some(())
}

/// Whether a value arrives as it is when a patch puts it where there was none: a patch takes members that are `null`
/// for members to remove, at any depth of objects but not inside arrays.
fn survives(value: &str) -> Option<()> {
    if value == "null" {
        return None;
    }
    if value.starts_with('{') {
        for (_, value) in Members::of(value)?.0 {
            survives(value)?;
        }
    }
    Some(())
}

/// The members of a JSON object, sorted by name: names with their quotes, values as they are written.
struct Members<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Members<'a> {
    /// `None` for anything but an object, and where names cannot be told apart by their text: with an escape in one
    /// (two texts may be one name) or one that is there twice.
    fn of(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut members = Vec::new();
        let mut at = blank(bytes, 0);
        if bytes.get(at) != Some(&b'{') {
            return None;
        }
        at = blank(bytes, at + 1);
        if bytes.get(at) == Some(&b'}') {
            return Some(Self(members));
        }
        loop {
            let key_end = string_end(bytes, at)?;
            let key = text.get(at..key_end).filter(|key| !key.contains('\\'))?;
            at = blank(bytes, key_end);
            if bytes.get(at) != Some(&b':') {
                return None;
            }
            at = blank(bytes, at + 1);
            let value_end = value_end(bytes, at)?;
            members.push((key, text.get(at..value_end)?));
            at = blank(bytes, value_end);
            match bytes.get(at) {
                Some(b',') => at = blank(bytes, at + 1),
                Some(b'}') => break,
                _ => return None,
            }
        }
        members.sort_unstable();
        let twice = members.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!twice).then_some(Self(members))
    }
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of the value that begins at `at`. Nothing is checked but that it ends.
fn value_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match bytes.get(at)? {
            b'"' => at = string_end(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                // The end of what holds a number or a word is not a part of it.
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => {
                at += 1;
                continue;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => return None,
            _ => {
                while bytes.get(at).is_some_and(|byte| !b",:{}[]\" \t\n\r".contains(byte)) {
                    at += 1;
                }
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn patch(from: &str, to: &str) -> Option<String> {
        let mut out = String::new();
        merge_patch(from, to, &mut out).map(|()| out)
    }

    /// RFC 7396, section 2, word for word.
    fn apply(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else { return patch.clone() };
        let mut target = match target {
            Value::Object(target) => target,
            _ => Map::new(),
        };
        for (name, value) in patch {
            if value.is_null() {
                target.remove(name);
            } else {
                let before = target.remove(name).unwrap_or(Value::Null);
                target.insert(name.clone(), apply(before, value));
            }
        }
        Value::Object(target)
    }

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_patch_says_what_changed_and_nothing_else() {
        for (from, to, expected) in [
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#, Some("{}")),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, Some(r#"{"b":3}"#)),
            (r#"{"a":1,"b":2}"#, r#"{"b":2}"#, Some(r#"{"a":null}"#)),
            (r#"{"b":2}"#, r#"{"b":2,"c":{"x":[1,null]}}"#, Some(r#"{"c":{"x":[1,null]}}"#)),
            // Whatever the order of members.
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, Some("{}")),
            (r#"{"p":{"u":{"x":1,"y":2}}}"#, r#"{"p":{"u":{"x":1,"y":3}}}"#, Some(r#"{"p":{"u":{"y":3}}}"#)),
            // Arrays are replaced whole, and so is what changed its kind.
            (r#"{"a":[1,2]}"#, r#"{"a":[1,3]}"#, Some(r#"{"a":[1,3]}"#)),
            (r#"{"a":{"b":1}}"#, r#"{"a":[]}"#, Some(r#"{"a":[]}"#)),
            (r#"{"a":7}"#, r#"{"a":{"b":1}}"#, Some(r#"{"a":{"b":1}}"#)),
            (r#"{"a":"x,}\"{"}"#, r#"{"a":"x,}\"["}"#, Some(r#"{"a":"x,}\"["}"#)),
            (" { \"a\" : 1 ,\n\"b\" : [ 1 , { } ] } ", r#"{"a":2,"b":[1]}"#, Some(r#"{"a":2,"b":[1]}"#)),
            ("{}", "{}", Some("{}")),
            // A null that stays is nothing new.
            (r#"{"a":null,"b":1}"#, r#"{"a":null,"b":2}"#, Some(r#"{"b":2}"#)),
            (r#"{"a":null}"#, "{}", Some(r#"{"a":null}"#)),
            // What a patch cannot say.
            (r#"{"a":1}"#, r#"{"a":null}"#, None),
            ("{}", r#"{"a":{"b":{"c":null}}}"#, None),
            (r#"{"a":1}"#, r#"{"a":{"c":null}}"#, None),
            ("[1]", "[2]", None),
            ("{}", "7", None),
            // Names that their text does not tell apart.
            (r#"{"a\n":1}"#, r#"{"a\n":2}"#, None),
            (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":3}"#, None),
            // No JSON: a faulty game's own affair, and never a panic.
            ("{", "{}", None),
            ("{}", r#"{"a"#, None),
            ("{}", r#"{"a":"#, None),
            ("{}", r#"{"a":}"#, None),
            ("{}", r#"{"a":[1}"#, None),
            ("{}", r#"{"a":"\"#, None),
            ("", "", None),
        ] {
            let made = patch(from, to);
            // A faulty array may pass for one; what matters is that nothing sound is told wrongly.
            if expected.is_none() && serde_json::from_str::<Value>(to).is_err() {
                continue;
            }
            assert_eq!(made.as_deref(), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn every_so_many_states_one_is_whole() {
        let mut track = DeltaTrack::default();
        let (mut numbers, mut patch) = (0, String::new());
        let pad = "x".repeat(64);
        let mut seen = String::new();
        for tick in 0..8 {
            let state = format!(r#"{{"tick":{tick},"pad":"{pad}"}}"#);
            seen += &match track.show(&state, 3, &mut numbers, &mut patch) {
                Shown::Whole(number) => format!("whole {number}; "),
                Shown::Patch(base) => format!("{patch} on {base}; "),
            };
        }
        assert_eq!(
            seen,
            r#"whole 1; {"tick":1} on 1; {"tick":2} on 1; whole 2; {"tick":4} on 2; {"tick":5} on 2; whole 3; {"tick":7} on 3; "#
        );
        // With nothing saved, or nothing that a patch can say, it is whole at once.
        assert_eq!(track.show(r#"{"tick":8}"#, 3, &mut numbers, &mut patch), Shown::Whole(4));
        assert_eq!(track.show(r#"{"tick":null}"#, 3, &mut numbers, &mut patch), Shown::Whole(5));
        assert_eq!(track.show("[]", 3, &mut numbers, &mut patch), Shown::Whole(6));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9i64..9).prop_map(Value::from),
            (-9.0f64..9.0).prop_map(Value::from),
            "[a-c\"\\\\{},:\\[\\]é\n ]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-dé\" ]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever the states: what a client makes of a patch is the state, to the letter of the standard.
        #[test]
        fn a_patch_leads_to_the_state(from in json(), to in json()) {
            if let Some(made) = patch(&from.to_string(), &to.to_string()) {
                prop_assert_eq!(apply(from, &value(&made)), to, "{}", made);
            }
        }

        /// Over any run of states, a client that follows sees each of them, and so does one that misses some.
        #[test]
        fn a_client_that_misses_deltas_is_never_wrong(
            states in proptest::collection::vec(json(), 1..20),
            heard in proptest::collection::vec(any::<bool>(), 20),
            every in 1u32..6,
        ) {
            let (mut track, mut numbers, mut text) = (DeltaTrack::default(), 0, String::new());
            let (mut whole, mut number) = (Value::Null, 0);
            for (state, heard) in states.iter().zip(heard) {
                let shown = match track.show(&state.to_string(), every, &mut numbers, &mut text) {
                    Shown::Whole(n) => {
                        // Those are never missed: see the outbox.
                        (whole, number) = (state.clone(), n);
                        state.clone()
                    }
                    Shown::Patch(base) => {
                        prop_assert_eq!(base, number);
                        if !heard {
                            continue;
                        }
                        apply(whole.clone(), &value(&text))
                    }
                };
                prop_assert_eq!(&shown, state);
            }
        }

        /// Nothing that a faulty game writes makes it panic.
        #[test]
        fn text_of_any_kind_is_survived(from in "[{}\\[\\]\",:a0\\\\ é]{0,24}", to in "[{}\\[\\]\",:a0\\\\ é]{0,24}") {
            let _ = patch(&from, &to);
        }
    }
}
