//! One pass over inbound text that says whether it is JSON we accept, and where the parts of a message lie in it.
//!
//! Stricter than a parser has to be, because what passes here is handed on as raw text: to games, to votes, to the
//! store. No object may hold a key twice (readers disagree about which one counts), no whole number may lie beyond 2^53
//! (JavaScript would round it), no string may hold half a surrogate pair (it has no UTF-8), nothing may nest deeper than
//! [`JSON_DEPTH_MAX`]. These faults do not stop the pass: the text is readable, so the `cid` is found and the sender
//! gets it back. Only broken syntax stops it.
//!
//! The stack is ours, not the machine's: hostile nesting costs one byte a level.

use std::borrow::Cow;

use crate::limits::JSON_DEPTH_MAX;

/// What is wrong with a text, in the words of `details.problem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Syntax,
    TooDeep,
    DuplicateKey,
    IntegerTooLarge,
    NumberTooLarge,
    LoneSurrogate,
}

impl Problem {
    pub(super) fn word(self) -> &'static str {
        match self {
            Problem::Syntax => "syntax",
            Problem::TooDeep => "too_deep",
            Problem::DuplicateKey => "duplicate_key",
            Problem::IntegerTooLarge => "integer_too_large",
            Problem::NumberTooLarge => "number_too_large",
            Problem::LoneSurrogate => "lone_surrogate",
        }
    }
}

/// The first fault of a text and the byte it lies at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) problem: Problem,
    pub(super) at: usize,
}

/// A member of an object: its key, unescaped, and its value as the text it came in.
pub(super) type Member<'a> = (Cow<'a, str>, &'a str);

/// What one pass found.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    /// The members of the outermost object; empty when the text is another kind of value.
    pub(super) envelope: Vec<Member<'a>>,
    /// The members of the object under its key `payload`.
    pub(super) payload: Vec<Member<'a>>,
    /// The first fault, if any. After [`Problem::Syntax`] the members mean nothing.
    pub(super) fault: Option<Fault>,
}

/// Reads `text` once.
pub(super) fn scan(text: &str) -> Scan<'_> {
    let mut scanner = Scanner {
        text,
        bytes: text.as_bytes(),
        at: 0,
        open: Vec::new(),
        deep: Vec::new(),
        keys: Vec::new(),
        found: Scan::default(),
        in_payload: false,
    };
    if scanner.run().is_err() {
        // Syntax outranks what was noted before it: the text is not JSON at all.
        scanner.found.fault = Some(Fault { problem: Problem::Syntax, at: scanner.at });
    }
    scanner.found
}

/// Whether `text` is one JSON object that we accept.
pub(super) fn is_object(text: &str) -> bool {
    scan(text).fault.is_none() && text.trim_start().starts_with('{')
}

struct Broken;

/// An object or array that has begun and not ended, within the allowed depth.
struct Open {
    object: bool,
    /// Where its keys begin in `Scanner::keys`.
    keys_from: usize,
    /// Where the value of its newest member begins.
    value_from: usize,
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    /// Levels beyond the allowed depth, already a fault: only whether each is an object, to follow the syntax.
    deep: Vec<bool>,
    /// The keys of all open objects, innermost last.
    keys: Vec<Cow<'a, str>>,
    found: Scan<'a>,
    /// Whether the value at hand lies in the object under `payload`.
    in_payload: bool,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) -> Result<(), Broken> {
        loop {
            self.space();
            self.begin_value();
            let start = self.at;
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    let object = open == b'{';
                    self.at += 1;
                    self.space();
                    if self.peek() == Some(if object { b'}' } else { b']' }) {
                        self.at += 1;
                        if self.open.len() == JSON_DEPTH_MAX {
                            self.fault(Problem::TooDeep, start);
                        }
                    } else {
                        self.push(object, start);
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return Err(Broken),
            }
            // A value has ended, and with it as many arrays and objects as close here.
            while let Some(object) = self.innermost() {
                self.end_member(object);
                self.space();
                match (self.peek(), object) {
                    (Some(b','), _) => {
                        self.at += 1;
                        if object {
                            self.space();
                            self.key()?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        self.pop();
                    }
                    _ => return Err(Broken),
                }
            }
            if self.innermost().is_none() {
                self.space();
                return if self.at == self.bytes.len() { Ok(()) } else { Err(Broken) };
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn fault(&mut self, problem: Problem, at: usize) {
        self.found.fault.get_or_insert(Fault { problem, at });
    }

    fn innermost(&self) -> Option<bool> {
        self.deep.last().copied().or_else(|| self.open.last().map(|open| open.object))
    }

    fn push(&mut self, object: bool, at: usize) {
        if self.open.len() < JSON_DEPTH_MAX {
            if self.open.len() == 1 {
                self.in_payload = object && self.keys.last().is_some_and(|key| key == "payload");
            }
            self.open.push(Open { object, keys_from: self.keys.len(), value_from: at });
        } else {
            self.fault(Problem::TooDeep, at);
            self.deep.push(object);
        }
    }

    fn pop(&mut self) {
        if self.deep.pop().is_some() {
            return;
        }
        if let Some(open) = self.open.pop() {
            if has_twins(&mut self.keys[open.keys_from..]) {
                // Said of where the object begins, which its parent remembers.
                let at = self.open.last().map_or(0, |parent| parent.value_from);
                self.fault(Problem::DuplicateKey, at);
            }
            self.keys.truncate(open.keys_from);
        }
    }

    fn begin_value(&mut self) {
        let at = self.at;
        if let (true, Some(open)) = (self.deep.is_empty(), self.open.last_mut()) {
            open.value_from = at;
        }
    }

    fn end_member(&mut self, object: bool) {
        let level = self.open.len();
        if !object || !self.deep.is_empty() || level > 2 || (level == 2 && !self.in_payload) {
            return;
        }
        if let (Some(open), Some(key)) = (self.open.last(), self.keys.last()) {
            let member = (key.clone(), &self.text[open.value_from..self.at]);
            match level {
                1 => self.found.envelope.push(member),
                _ => self.found.payload.push(member),
            }
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<(), Broken> {
        if self.peek() != Some(b'"') {
            return Err(Broken);
        }
        let start = self.at;
        let escaped = self.string()?;
        if self.deep.is_empty() {
            self.keys.push(unquoted(&self.text[start..self.at], escaped));
        }
        self.space();
        if self.peek() != Some(b':') {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }

    /// A string; whether it holds escapes.
    fn string(&mut self) -> Result<bool, Broken> {
        let mut escaped = false;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return Err(Broken),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Broken> {
        let start = self.at;
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = self.unit(start)?;
                self.at += 6;
                let paired = match unit {
                    0xd800..=0xdbff => {
                        let low = self.bytes[self.at..].starts_with(b"\\u")
                            && (0xdc00..=0xdfff).contains(&self.unit(self.at)?);
                        self.at += if low { 6 } else { 0 };
                        low
                    }
                    0xdc00..=0xdfff => false,
                    _ => true,
                };
                if !paired {
                    self.fault(Problem::LoneSurrogate, start);
                }
            }
            _ => return Err(Broken),
        }
        Ok(())
    }

    /// The four hex digits of the `\u` at `at`.
    fn unit(&self, at: usize) -> Result<u32, Broken> {
        let digits = self.bytes.get(at + 2..at + 6).ok_or(Broken)?;
        digits.iter().try_fold(0, |unit, &digit| Ok(unit * 16 + char::from(digit).to_digit(16).ok_or(Broken)?))
    }

    fn number(&mut self) -> Result<(), Broken> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole_from = self.at;
        match self.digits() {
            0 => return Err(Broken),
            many if many > 1 && self.bytes[whole_from] == b'0' => return Err(Broken),
            _ => {}
        }
        let whole = &self.text[whole_from..self.at];
        let mut fraction = false;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction = true;
            if self.digits() == 0 {
                return Err(Broken);
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            fraction = true;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(Broken);
            }
        }
        if fraction {
            // Only an exponent or a very long text can leave the range of a float.
            if self.text[start..self.at].parse::<f64>().is_ok_and(f64::is_infinite) {
                self.fault(Problem::NumberTooLarge, start);
            }
        } else if whole.len() > 15 && whole.parse::<u64>().map_or(true, |whole| whole > 1 << 53) {
            self.fault(Problem::IntegerTooLarge, start);
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Broken> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Broken);
        }
        self.at += word.len();
        Ok(())
    }
}

/// The text of a scanned JSON string. One that holds half a surrogate pair, already a fault, stays as it was written.
pub(super) fn unquoted(quoted: &str, escaped: bool) -> Cow<'_, str> {
    let inner = &quoted[1..quoted.len() - 1];
    if !escaped {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(quoted).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// Whether a key stands there twice. A few are compared pair by pair; many are sorted, so that an object full of keys
/// costs its sender more than us.
fn has_twins(keys: &mut [Cow<'_, str>]) -> bool {
    if keys.len() <= 8 {
        return keys.iter().enumerate().any(|(n, key)| keys[..n].contains(key));
    }
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<Problem> {
        scan(text).fault.map(|fault| fault.problem)
    }

    #[test]
    fn json_passes_and_its_parts_are_found() {
        let text =
            r#" {"cid" : [1, {"a":2}] ,"type":"x","payload": {"k":{"deep":[true,null]},"\u006c":-1.5e3}, "seq":7} "#;
        let found = scan(text);
        assert_eq!(found.fault, None);
        let parts = |members: &[Member<'_>]| {
            members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            parts(&found.envelope),
            r#"cid=[1, {"a":2}] type="x" payload={"k":{"deep":[true,null]},"\u006c":-1.5e3} seq=7"#
        );
        assert_eq!(parts(&found.payload), r#"k={"deep":[true,null]} l=-1.5e3"#);
        for text in [
            "0",
            "-0",
            "{}",
            "[]",
            "\"\"",
            "null",
            "[[],{}]",
            "[9007199254740992,-9007199254740992,1e300]",
            r#""\ud83d\ude00""#,
        ] {
            assert_eq!(problem(text), None, "{text}");
        }
    }

    #[test]
    fn broken_syntax_is_told_from_json() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            "{a:1}",
            "{1:1}",
            r#"{"a" 1}"#,
            r#"{"a":1]"#,
            "[1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "0x1",
            "NaN",
            "tru",
            "nulls",
            "1 2",
            "[] []",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud800\\u12\"",
            "\"\u{1}\"",
            "\"\n\"",
            "'a'",
            "\u{feff}{}",
            "//",
            "[1]//",
        ] {
            assert_eq!(problem(text), Some(Problem::Syntax), "{text:?}");
        }
    }

    #[test]
    fn readable_json_that_we_do_not_accept() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(problem(&nested(32)), None);
        assert_eq!(problem(&nested(33)), Some(Problem::TooDeep));
        assert_eq!(problem(&nested(60_000)), Some(Problem::TooDeep));
        assert_eq!(problem(&format!("{}1{}", "{\"a\":".repeat(32), "}".repeat(32))), None);
        assert_eq!(problem(&format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40))), Some(Problem::TooDeep));
        assert_eq!(problem(r#"{"a":1,"a":1}"#), Some(Problem::DuplicateKey));
        assert_eq!(problem(r#"{"a":1,"\u0061":1}"#), Some(Problem::DuplicateKey));
        assert_eq!(problem(r#"[{"b":{"a":1,"b":2}},{"a":[{"x":1,"y":1,"x":2}]}]"#), Some(Problem::DuplicateKey));
        let many = (0..5_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
        assert_eq!(problem(&format!("{{{many}}}")), None);
        assert_eq!(problem(&format!("{{{many},\"k77\":1}}")), Some(Problem::DuplicateKey));
        for text in ["9007199254740993", "-9007199254740993", "[123456789012345678901234567890]"] {
            assert_eq!(problem(text), Some(Problem::IntegerTooLarge), "{text}");
        }
        assert_eq!(problem("1e999"), Some(Problem::NumberTooLarge));
        for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800x""#, r#""\ud800\u0041""#, r#"{"\udfff":1}"#] {
            assert_eq!(problem(text), Some(Problem::LoneSurrogate), "{text}");
        }
    }

    /// Where both read, they agree: the scanner refuses what serde_json refuses, and of the rest only what it says.
    #[test]
    fn the_scanner_agrees_with_serde_json() {
        let pieces =
            ["{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "1", "-0", "1.5", "true", "null", " ", "\"\\n\"", "x"];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let text = [a, b, c, d].concat();
                        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                        assert_eq!(problem(&text) != Some(Problem::Syntax), theirs, "{text}");
                    }
                }
            }
        }
    }
}
