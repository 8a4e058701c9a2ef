//! `string.find`, `match`, `gmatch`, `gsub`, `rep` and `table.concat`: the library functions that loop without
//! instructions, written so that every byte and every step is paid for.

use std::rc::Rc;

use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::budget::{LARGE_CHARGE, Meter, Spent};
use super::pattern::{Capture, Fault, Matcher};

/// Steps of a match, and sixteenths of copied bytes, that cost as much as one instruction.
const STEPS_PER_UNIT: u64 = 4;

/// Pieces of what is put together between two looks at the clock: to write a number takes a microsecond.
const PIECES_UNASKED: i64 = 256;

/// Puts the functions into the table that the prelude takes them from.
pub(super) fn install(lua: &Lua, host: &Table, meter: &Rc<Meter>) -> mlua::Result<()> {
    let m = meter.clone();
    host.raw_set("find", lua.create_function(move |lua, args| find(lua, &m, args, true))?)?;
    let m = meter.clone();
    host.raw_set("match", lua.create_function(move |lua, args| find(lua, &m, args, false))?)?;
    let m = meter.clone();
    host.raw_set("gmatch_step", lua.create_function(move |lua, args| gmatch_step(lua, &m, args))?)?;
    host.raw_set("gmatch_start", lua.create_function(|_, args| gmatch_start(args))?)?;
    let m = meter.clone();
    host.raw_set("gsub", lua.create_function(move |lua, args| gsub(lua, &m, args))?)?;
    let m = meter.clone();
    host.raw_set("rep", lua.create_function(move |lua, args| rep(lua, &m, args))?)?;
    let m = meter.clone();
    host.raw_set("concat", lua.create_function(move |lua, args| concat(lua, &m, args))?)
}

/// Runs one search on the meter's account.
fn metered<T>(
    lua: &Lua,
    meter: &Rc<Meter>,
    subject: &[u8],
    pattern: &[u8],
    run: impl FnOnce(&mut Matcher<'_>) -> Result<T, Fault>,
) -> mlua::Result<T> {
    meter.check()?;
    let steps = meter.left().saturating_mul(STEPS_PER_UNIT);
    let late = || meter.late();
    let mut matcher = Matcher::new(subject, pattern, steps, &late);
    let done = run(&mut matcher);
    let units = (steps - matcher.steps_left()) / STEPS_PER_UNIT + 1;
    match done {
        Ok(done) => meter.charge(lua, units).map(|()| done),
        Err(Fault::Malformed(why)) => meter.charge(lua, units).and(Err(mlua::Error::runtime(why))),
        Err(Fault::Late) => {
            meter.charge(lua, units)?;
            meter.stop(lua, Spent::Cpu)?;
            meter.check().and(Err(mlua::Error::runtime("pattern too slow")))
        }
        Err(Fault::Steps) => {
            meter.stop(lua, Spent::Instructions)?;
            meter.check().and(Err(mlua::Error::runtime("pattern too long")))
        }
    }
}

/// Where a search that was asked to begin at `init` (from 1; negative from the end) begins, from 0; `None` past the end.
fn start_of(init: Option<i64>, len: usize) -> Option<usize> {
    let len_i = i64::try_from(len).unwrap_or(i64::MAX);
    let at = match init.unwrap_or(1) {
        n if n > 0 => n - 1,
        0 => 0,
        n => (len_i + n).max(0),
    };
    usize::try_from(at).ok().filter(|at| *at <= len)
}

fn push_captures(lua: &Lua, subject: &[u8], caught: &[Capture], into: &mut Vec<Value>) -> mlua::Result<()> {
    for capture in caught {
        into.push(match capture {
            Capture::Text(a, b) => Value::String(lua.create_string(&subject[*a..*b])?),
            Capture::Position(n) => Value::Integer(*n as i64),
        });
    }
    Ok(())
}

fn find(
    lua: &Lua,
    meter: &Rc<Meter>,
    (subject, pattern, init, plain): (LuaString, LuaString, Option<i64>, Option<Value>),
    positions: bool,
) -> mlua::Result<MultiValue> {
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let Some(from) = start_of(init, subject.len()) else {
        return Ok(MultiValue::from_vec(vec![Value::Nil]));
    };
    let plain = plain.is_some_and(|v| !matches!(v, Value::Nil | Value::Boolean(false)));
    if positions && (plain || !pattern.iter().any(|b| b"^$*+?.([%-".contains(b))) {
        let found = find_plain(lua, meter, &subject, &pattern, from)?;
        return Ok(MultiValue::from_vec(match found {
            Some(at) => vec![Value::Integer(at as i64 + 1), Value::Integer((at + pattern.len()) as i64)],
            None => vec![Value::Nil],
        }));
    }
    let found = metered(lua, meter, &subject, &pattern, |m| match m.search(from)? {
        Some((start, end)) => Ok(Some((start, end, m.caught(start, end, !positions)?))),
        None => Ok(None),
    })?;
    let Some((start, end, caught)) = found else { return Ok(MultiValue::from_vec(vec![Value::Nil])) };
    let mut values = Vec::with_capacity(caught.len() + 2);
    if positions {
        values.push(Value::Integer(start as i64 + 1));
        values.push(Value::Integer(end as i64));
    }
    push_captures(lua, &subject, &caught, &mut values)?;
    Ok(MultiValue::from_vec(values))
}

/// The first place of `needle` at or after `from`, paying for every comparison.
fn find_plain(lua: &Lua, meter: &Rc<Meter>, hay: &[u8], needle: &[u8], from: usize) -> mlua::Result<Option<usize>> {
    let Some(&first) = needle.first() else { return Ok(Some(from)) };
    let mut at = from;
    while at + needle.len() <= hay.len() {
        let Some(skip) = hay[at..].iter().position(|b| *b == first) else {
            meter.charge(lua, (hay.len() - at) as u64 / 64 + 1)?;
            return Ok(None);
        };
        meter.charge(lua, (skip as u64 + needle.len() as u64) / 64 + 1)?;
        at += skip;
        if hay[at..].starts_with(needle) {
            return Ok(Some(at));
        }
        at += 1;
    }
    Ok(None)
}

/// What `string.gmatch` begins with: subject and pattern as strings, and where it looks first. The prelude keeps them: an
/// iterator that kept them here would take two of the places that the host has for what it holds of a machine, and those
/// are not many.
fn gmatch_start(
    (subject, pattern, init): (LuaString, LuaString, Option<i64>),
) -> mlua::Result<(LuaString, LuaString, Option<usize>)> {
    let from = start_of(init, subject.as_bytes().len());
    Ok((subject, pattern, from))
}

/// The next match of an iterator: where it ends, and its captures.
fn gmatch_step(
    lua: &Lua,
    meter: &Rc<Meter>,
    (subject, pattern, mut at, last_end): (LuaString, LuaString, usize, Option<usize>),
) -> mlua::Result<MultiValue> {
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let found = metered(lua, meter, &subject, &pattern, |m| {
        // In gmatch an anchor has no meaning of its own, as the manual says; a match may not end where the last did.
        while at <= subject.len() {
            if let Some(end) = m.match_at(at)?
                && Some(end) != last_end
            {
                return Ok(Some((end, m.caught(at, end, true)?)));
            }
            at += 1;
        }
        Ok(None)
    })?;
    let Some((end, caught)) = found else { return Ok(MultiValue::from_vec(vec![Value::Nil])) };
    let mut values = Vec::with_capacity(caught.len() + 1);
    values.push(Value::Integer(end as i64));
    push_captures(lua, &subject, &caught, &mut values)?;
    Ok(MultiValue::from_vec(values))
}

/// Bytes being put together, never more than one callback may keep.
struct Joined<'a> {
    lua: &'a Lua,
    meter: &'a Rc<Meter>,
    bytes: Vec<u8>,
}

impl<'a> Joined<'a> {
    fn new(lua: &'a Lua, meter: &'a Rc<Meter>) -> Self {
        Self { lua, meter, bytes: Vec::new() }
    }

    fn push(&mut self, more: &[u8]) -> mlua::Result<()> {
        if self.bytes.len() + more.len() > self.meter.allowance().growth_bytes {
            return Err(mlua::Error::runtime("resulting string too large"));
        }
        self.meter.charge(self.lua, more.len() as u64 / 64 + 1)?;
        self.bytes.extend_from_slice(more);
        Ok(())
    }
}

fn gsub(
    lua: &Lua,
    meter: &Rc<Meter>,
    (subject, pattern, with, max): (LuaString, LuaString, Value, Option<i64>),
) -> mlua::Result<(LuaString, i64)> {
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    if !matches!(with, Value::String(_) | Value::Integer(_) | Value::Number(_) | Value::Table(_) | Value::Function(_)) {
        return Err(mlua::Error::runtime(format!(
            "bad argument #3 to 'gsub' (string/function/table expected, got {})",
            with.type_name()
        )));
    }
    let template = match &with {
        Value::Table(_) | Value::Function(_) => None,
        other => lua.coerce_string(other.clone())?,
    };
    let anchored = pattern.first() == Some(&b'^');
    let max = max.unwrap_or(i64::MAX);
    let mut out = Joined::new(lua, meter);
    let (mut at, mut count, mut last_end) = (0usize, 0i64, None);
    while count < max {
        let found = metered(lua, meter, &subject, &pattern, |m| match m.match_at(at)? {
            Some(end) if Some(end) != last_end => Ok(Some((end, m.caught(at, end, true)?))),
            _ => Ok(None),
        })?;
        if let Some((end, caught)) = found {
            count += 1;
            last_end = Some(end);
            replace(&mut out, &subject, (at, end), &caught, &with, template.as_ref())?;
            at = end;
        } else if let Some(byte) = subject.get(at) {
            out.push(&[*byte])?;
            at += 1;
        } else {
            break;
        }
        if anchored {
            break;
        }
    }
    out.push(&subject[at.min(subject.len())..])?;
    Ok((lua.create_string(&out.bytes)?, count))
}

/// Appends what stands in for one match.
fn replace(
    out: &mut Joined<'_>,
    subject: &[u8],
    (start, end): (usize, usize),
    caught: &[Capture],
    with: &Value,
    template: Option<&LuaString>,
) -> mlua::Result<()> {
    let mut values = Vec::with_capacity(caught.len());
    if let Some(template) = template {
        let template = template.as_bytes();
        let mut bytes = template.iter();
        while let Some(&byte) = bytes.next() {
            if byte != b'%' {
                out.push(&[byte])?;
                continue;
            }
            match bytes.next() {
                Some(b'%') => out.push(b"%")?,
                Some(b'0') => out.push(&subject[start..end])?,
                Some(digit) if digit.is_ascii_digit() => match caught.get(usize::from(digit - b'1')) {
                    Some(Capture::Text(a, b)) => out.push(&subject[*a..*b])?,
                    Some(Capture::Position(n)) => out.push(n.to_string().as_bytes())?,
                    None => {
                        return Err(mlua::Error::runtime("invalid capture index in replacement string"));
                    }
                },
                _ => return Err(mlua::Error::runtime("invalid use of '%' in replacement string")),
            }
        }
        return Ok(());
    }
    push_captures(out.lua, subject, caught, &mut values)?;
    let value: Value = match with {
        Value::Function(f) => f.call(MultiValue::from_vec(values))?,
        Value::Table(t) => {
            if t.metatable().is_some() {
                // The entry may stand at the end of a chain of two thousand tables.
                out.meter.charge(out.lua, LARGE_CHARGE)?;
            }
            t.get(values.into_iter().next().unwrap_or(Value::Nil))?
        }
        _ => Value::Nil,
    };
    match value {
        Value::Nil | Value::Boolean(false) => out.push(&subject[start..end]),
        Value::String(s) => out.push(&s.as_bytes()),
        Value::Integer(_) | Value::Number(_) => match out.lua.coerce_string(value)? {
            Some(s) => out.push(&s.as_bytes()),
            None => Ok(()),
        },
        other => Err(mlua::Error::runtime(format!("invalid replacement value (a {})", other.type_name()))),
    }
}

fn rep(
    lua: &Lua,
    meter: &Rc<Meter>,
    (text, times, separator): (LuaString, i64, Option<LuaString>),
) -> mlua::Result<LuaString> {
    let Ok(times) = usize::try_from(times) else { return lua.create_string("") };
    let separator = separator.as_ref().map(LuaString::as_bytes);
    let separator: &[u8] = separator.as_deref().unwrap_or_default();
    let text = text.as_bytes();
    let each = text.len() + separator.len();
    if each.checked_mul(times).is_none_or(|all| all > meter.allowance().growth_bytes) {
        return Err(mlua::Error::runtime("resulting string too large"));
    }
    if each == 0 {
        return lua.create_string("");
    }
    meter.charge(lua, (each * times) as u64 / 64 + times as u64 / 16 + 1)?;
    let mut out = Vec::with_capacity(each * times);
    for i in 0..times {
        out.extend_from_slice(&text);
        if i + 1 < times {
            out.extend_from_slice(separator);
        }
    }
    lua.create_string(&out)
}

/// Joins `t[i..=j]` raw: the prelude copies tables that have a metatable first.
fn concat(
    lua: &Lua,
    meter: &Rc<Meter>,
    (t, separator, i, j): (Table, Option<LuaString>, i64, i64),
) -> mlua::Result<LuaString> {
    let separator = separator.as_ref().map(LuaString::as_bytes);
    let separator: &[u8] = separator.as_deref().unwrap_or_default();
    let mut out = Joined::new(lua, meter);
    let mut at = i;
    while at <= j {
        if at % PIECES_UNASKED == 0 {
            meter.charge(lua, LARGE_CHARGE)?;
        }
        match t.raw_get(at)? {
            Value::String(s) => out.push(&s.as_bytes())?,
            value @ (Value::Integer(_) | Value::Number(_)) => {
                if let Some(s) = lua.coerce_string(value)? {
                    out.push(&s.as_bytes())?;
                }
            }
            other => {
                return Err(mlua::Error::runtime(format!(
                    "invalid value (at index {at}) in table for 'concat' (a {})",
                    other.type_name()
                )));
            }
        }
        if at < j {
            out.push(separator)?;
        }
        let Some(next) = at.checked_add(1) else { break };
        at = next;
    }
    lua.create_string(&out.bytes)
}
