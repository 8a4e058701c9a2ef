//! Lua tables to JSON bytes and JSON bytes to Lua tables, without a tree of values in between.
//!
//! A table with the keys 1 to n and no other is an array; every other is an object, its keys in byte order, so that
//! the same state always gives the same bytes. An empty table is `[]` unless it is the root of a state or carries the
//! mark of `game.object`. Whole floats read as integers (`4`, not `4.0`). What JSON has no word for is counted in
//! [`Oddities`] and said to the author: NaN and infinities become `null`, functions and other references are left out
//! (`null` in arrays), bytes that are not UTF-8 become U+FFFD. Two keys that read the same are an error: `1` and `"1"`.

use std::fmt;

use mlua::{Lua, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::budget::Meter;
use crate::limits::scripts::{INPUT_VALUES_MAX, VALUE_DEPTH_MAX};

/// What could not be said in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    pub(super) not_finite: bool,
    pub(super) references: bool,
    pub(super) not_utf8: bool,
}

impl Oddities {
    /// Which of these were not in `before`, in words.
    pub(super) fn new_since(self, before: Self) -> Vec<&'static str> {
        [
            (self.not_finite && !before.not_finite, "NaN or an infinity was sent as null"),
            (self.references && !before.references, "a function or other reference was left out of a message"),
            (self.not_utf8 && !before.not_utf8, "bytes that are not UTF-8 were replaced in a message"),
        ]
        .into_iter()
        .filter_map(|(new, text)| new.then_some(text))
        .collect()
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.not_finite |= other.not_finite;
        self.references |= other.references;
        self.not_utf8 |= other.not_utf8;
    }
}

/// How one value is to be written.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// The metatable that marks tables as objects.
    pub(super) object: &'a Table,
    /// Bytes of the whole text. Over: an error.
    pub(super) bytes_max: usize,
    /// Whether an empty root reads `{}`.
    pub(super) root_object: bool,
    /// Who pays for every entry that is looked at: one that is left out costs as much as one that is written.
    pub(super) meter: &'a Meter,
}

/// Writes `value`, or leaves `out` as it was and says why not.
pub(super) fn encode(value: &Value, rules: Rules<'_>, out: &mut Vec<u8>) -> mlua::Result<Oddities> {
    let start = out.len();
    let mut encoder = Encoder {
        rules,
        end: start + rules.bytes_max,
        odd: Oddities::default(),
        scratch: Vec::new(),
        seen: 0,
        tables: 0,
    };
    let root = match value {
        Value::Table(t) => encoder.table(t, 1, rules.root_object, out),
        other => encoder.scalar(other, out),
    };
    if let Err(error) = root {
        out.truncate(start);
        return Err(error);
    }
    Ok(encoder.odd)
}

/// Writes `value` as a JSON text of its own.
pub(super) fn to_raw(value: &Value, rules: Rules<'_>) -> mlua::Result<(Box<RawValue>, Oddities)> {
    let mut out = Vec::new();
    let odd = encode(value, rules, &mut out)?;
    let text = String::from_utf8(out).map_err(mlua::Error::external)?;
    Ok((RawValue::from_string(text).map_err(mlua::Error::external)?, odd))
}

struct Encoder<'a> {
    rules: Rules<'a>,
    end: usize,
    odd: Oddities,
    scratch: Vec<u8>,
    /// Entries looked at that are not yet paid for.
    seen: u64,
    /// Tables looked at so far.
    tables: u64,
}

/// Entries between two payments, each of which looks at the clock; two are worth an instruction. The way to the next of
/// keys that were chosen to collide is as long as there are keys: so many of them take two milliseconds.
const SEEN_UNPAID: u64 = 64;

/// Tables between two looks at the clock: one that was emptied has no entries to pay for, and a tenth of a millisecond of
/// room for them.
const TABLES_UNASKED: u64 = 32;

/// One `"key":value` of an object, by its place in the output.
#[derive(Clone, Copy)]
struct Pair {
    start: usize,
    key_end: usize,
    end: usize,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Value, depth: usize, out: &mut Vec<u8>) -> mlua::Result<()> {
        match value {
            Value::Table(t) => self.table(t, depth + 1, false, out),
            other => self.scalar(other, out),
        }
    }

    /// One more entry of a table.
    fn see(&mut self) -> mlua::Result<()> {
        self.seen += 1;
        if self.seen < SEEN_UNPAID {
            return Ok(());
        }
        self.rules.meter.pay(std::mem::take(&mut self.seen) / 2)?;
        self.rules.meter.in_time()
    }

    fn scalar(&mut self, value: &Value, out: &mut Vec<u8>) -> mlua::Result<()> {
        match value {
            Value::Nil => out.extend_from_slice(b"null"),
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::Integer(n) => serde_json::to_writer(&mut *out, n).map_err(mlua::Error::external)?,
            Value::Number(n) => self.number(*n, out)?,
            Value::String(s) => self.string(&s.as_bytes(), out)?,
            _ => {
                self.odd.references = true;
                out.extend_from_slice(b"null");
            }
        }
        self.room(out)
    }

    fn room(&self, out: &[u8]) -> mlua::Result<()> {
        if out.len() > self.end { Err(self.too_long()) } else { Ok(()) }
    }

    fn too_long(&self) -> mlua::Error {
        mlua::Error::runtime(format!("the message is over {} bytes", self.rules.bytes_max))
    }

    fn number(&mut self, n: f64, out: &mut Vec<u8>) -> mlua::Result<()> {
        if !n.is_finite() {
            self.odd.not_finite = true;
            out.extend_from_slice(b"null");
        } else if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 {
            serde_json::to_writer(&mut *out, &(n as i64)).map_err(mlua::Error::external)?;
        } else {
            serde_json::to_writer(&mut *out, &n).map_err(mlua::Error::external)?;
        }
        Ok(())
    }

    fn string(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> mlua::Result<()> {
        // Refused before it is copied.
        if out.len() + bytes.len() > self.end {
            return Err(self.too_long());
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => {
                self.odd.not_utf8 = true;
                String::from_utf8_lossy(bytes)
            }
        };
        serde_json::to_writer(&mut *out, text.as_ref()).map_err(mlua::Error::external)
    }

    fn table(&mut self, t: &Table, depth: usize, root_object: bool, out: &mut Vec<u8>) -> mlua::Result<()> {
        if depth > VALUE_DEPTH_MAX {
            return Err(mlua::Error::runtime(format!(
                "tables are nested more than {VALUE_DEPTH_MAX} deep, or in a circle"
            )));
        }
        self.tables += 1;
        if self.tables.is_multiple_of(TABLES_UNASKED) {
            self.rules.meter.in_time()?;
        }
        let marked = t.metatable().is_some_and(|mt| mt == *self.rules.object);
        if !marked && t.raw_len() > 0 && self.array(t, depth, out)? {
            return Ok(());
        }
        self.object(t, depth, marked || root_object, out)
    }

    /// Writes `t` as an array if its keys are 1 to n. The keys are looked at first: to write and take back would
    /// double the work at every level of a mixed table.
    fn array(&mut self, t: &Table, depth: usize, out: &mut Vec<u8>) -> mlua::Result<bool> {
        let (mut keys, mut highest, mut in_order, mut whole) = (0i64, 0, true, true);
        t.for_each(|key: Value, _: Value| {
            self.see()?;
            keys += 1;
            in_order &= matches!(key, Value::Integer(i) if i == keys);
            match key {
                Value::Integer(i @ 1..) => highest = highest.max(i),
                _ => whole = false,
            }
            Ok(())
        })?;
        // Not by the table's length: with a hole in it that may be as much as there are keys.
        if !whole || highest != keys {
            return Ok(false);
        }
        out.push(b'[');
        if in_order {
            let mut first = true;
            t.for_each(|_: Value, value: Value| {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                self.value(&value, depth, out)
            })?;
        } else {
            // It grew backwards, say: an array all the same.
            for i in 1..=keys {
                if i > 1 {
                    out.push(b',');
                }
                self.value(&t.raw_get::<Value>(i)?, depth, out)?;
            }
        }
        out.push(b']');
        self.room(out)?;
        Ok(true)
    }

    fn object(&mut self, t: &Table, depth: usize, empty_object: bool, out: &mut Vec<u8>) -> mlua::Result<()> {
        let start = out.len();
        out.push(b'{');
        let mut pairs: Vec<Pair> = Vec::new();
        let mut sorted = true;
        t.for_each(|key: Value, value: Value| {
            self.see()?;
            if matches!(value, Value::Function(_) | Value::UserData(_) | Value::Thread(_) | Value::LightUserData(_)) {
                self.odd.references = true;
                return Ok(());
            }
            if !pairs.is_empty() {
                out.push(b',');
            }
            let from = out.len();
            match &key {
                Value::String(s) => self.string(&s.as_bytes(), out)?,
                Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => {
                    out.push(b'"');
                    self.scalar(&key, out)?;
                    out.push(b'"');
                }
                _ => {
                    self.odd.references = true;
                    if !pairs.is_empty() {
                        out.pop();
                    }
                    return Ok(());
                }
            }
            let key_end = out.len();
            out.push(b':');
            self.value(&value, depth, out)?;
            if let Some(last) = pairs.last() {
                sorted &= out[last.start..last.key_end] < out[from..key_end];
            }
            pairs.push(Pair { start: from, key_end, end: out.len() });
            Ok(())
        })?;
        if pairs.is_empty() {
            out.truncate(start);
            out.extend_from_slice(if empty_object { b"{}" } else { b"[]" });
            return self.room(out);
        }
        if !sorted {
            let key = |pair: &Pair| &out[pair.start..pair.key_end];
            pairs.sort_by(|a, b| key(a).cmp(key(b)));
            // Which of two would stand first, or alone, only the order of the table knows, and that depends on addresses.
            if let Some(same) = pairs.windows(2).find(|two| key(&two[0]) == key(&two[1])) {
                let key = String::from_utf8_lossy(key(&same[0])).into_owned();
                return Err(mlua::Error::runtime(format!("two keys of one table both read {key} in JSON")));
            }
            self.scratch.clear();
            for (i, pair) in pairs.iter().enumerate() {
                if i > 0 {
                    self.scratch.push(b',');
                }
                self.scratch.extend_from_slice(&out[pair.start..pair.end]);
            }
            out.truncate(start + 1);
            out.extend_from_slice(&self.scratch);
        }
        out.push(b'}');
        self.room(out)
    }
}

/// Whether a JSON text is small enough to be read where players send it: what it becomes is many times its length.
pub(super) fn is_small(json: &RawValue) -> bool {
    json.get().len() <= INPUT_VALUES_MAX
        || json.get().bytes().filter(|b| b"[{,".contains(b)).count() <= INPUT_VALUES_MAX
}

/// Reads a JSON text into the machine. Nesting is bounded by the reader (128), and by the wire before it (32).
pub(super) fn decode(lua: &Lua, json: &RawValue) -> mlua::Result<Value> {
    let mut from = serde_json::Deserializer::from_str(json.get());
    Seed(lua).deserialize(&mut from).map_err(mlua::Error::external)
}

#[derive(Clone, Copy)]
struct Seed<'a>(&'a Lua);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Boolean(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Integer(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(i64::try_from(v).map_or(Value::Number(v as f64), Value::Integer))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Number(v))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Value, E> {
        // No string of a script has a zero byte: see the guard.
        if v.contains('\0') {
            return self.0.create_string(v.replace('\0', "\u{fffd}")).map(Value::String).map_err(E::custom);
        }
        self.0.create_string(v).map(Value::String).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let t = self.0.create_table().map_err(A::Error::custom)?;
        let mut i = 0i64;
        while let Some(item) = items.next_element_seed(self)? {
            i += 1;
            t.raw_set(i, item).map_err(A::Error::custom)?;
        }
        Ok(Value::Table(t))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let t = self.0.create_table().map_err(A::Error::custom)?;
        while let Some(key) = entries.next_key_seed(self)? {
            let value = entries.next_value_seed(self)?;
            t.raw_set(key, value).map_err(A::Error::custom)?;
        }
        Ok(Value::Table(t))
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Allowance;
    use super::super::heap::Heap;
    use super::*;

    fn written(source: &str, root_object: bool) -> String {
        let lua = Heap::new(mlua::StdLib::STRING).unwrap();
        let object = lua.create_table().unwrap();
        lua.globals().set("mark", object.clone()).unwrap();
        let value: Value = lua.load(source).eval().unwrap();
        let mut out = Vec::new();
        let meter = Meter::watch(&lua, Allowance::default()).unwrap();
        match encode(&value, Rules { object: &object, bytes_max: 200, root_object, meter: &meter }, &mut out) {
            Ok(odd) if odd == Oddities::default() => String::from_utf8(out).unwrap(),
            Ok(odd) => format!("{} odd {odd:?}", String::from_utf8(out).unwrap()),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn tables_read_as_arrays_or_objects_in_byte_order() {
        for (source, json) in [
            ("{}", "[]"),
            ("setmetatable({}, mark)", "{}"),
            ("{1, 2.0, 'x', true}", r#"[1,2,"x",true]"#),
            ("{b=1, a=2, ['a\"']={}}", r#"{"a":2,"a\"":[],"b":1}"#),
            ("setmetatable({'one'}, mark)", r#"{"1":"one"}"#),
            ("{[1]='a', [2]='b', [4]='d', [7]='g'}", r#"{"1":"a","2":"b","4":"d","7":"g"}"#),
            ("{[1]='a', [3]='c'}", r#"{"1":"a","3":"c"}"#),
            ("{'a', x=1}", r#"{"1":"a","x":1}"#),
            ("{[3]='c', [1]='a', [2]='b'}", r#"["a","b","c"]"#),
            ("{[2.5]=1, [true]=2}", r#"{"2.5":1,"true":2}"#),
            ("0.5", "0.5"),
            ("-3", "-3"),
            ("1e300", "1e+300"),
        ] {
            assert_eq!(written(source, false), json, "{source}");
        }
        assert_eq!(written("{}", true), "{}");
        assert_eq!(written("{x={}}", true), r#"{"x":[]}"#);
    }

    #[test]
    fn what_json_has_no_word_for_is_said() {
        assert!(written("{x=0/0}", false).starts_with(r#"{"x":null} odd"#));
        assert!(written("{1/0}", false).starts_with("[null] odd"));
        assert!(written("{f=print, a=1}", false).starts_with(r#"{"a":1} odd"#));
        assert!(written("{[{}]=1}", false).starts_with("[] odd"));
        assert!(written("{'\\xff'}", false).starts_with("[\"\u{fffd}\"] odd"));
    }

    #[test]
    fn deep_round_and_large_tables_are_refused() {
        assert!(written("(function() local t = {} t.t = t return t end)()", false).contains("in a circle"));
        assert!(written("('x'):rep(1000)", false).contains("over 200 bytes"));
        let branching = "(function() local t = {} t[1], t[2] = t, t return t end)()";
        assert!(written(branching, false).contains("circle") || written(branching, false).contains("over"));
    }

    #[test]
    fn json_comes_in_as_tables() {
        let lua = Lua::new();
        let raw = RawValue::from_string(r#"{"a":[1,2.5,"x",null,true],"b":{"c":{}},"big":1e20}"#.into()).unwrap();
        lua.globals().set("v", decode(&lua, &raw).unwrap()).unwrap();
        let ok: bool = lua
            .load("return v.a[1] == 1 and math.type(v.a[1]) == 'integer' and v.a[2] == 2.5 and v.a[3] == 'x' and v.a[4] == nil and v.a[5] and next(v.b.c) == nil and v.big == 1e20")
            .eval()
            .unwrap();
        assert!(ok);
    }
}
