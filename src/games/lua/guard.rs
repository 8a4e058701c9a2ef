//! Closes two doors before Lua sees a file. The first is to-be-closed variables. When the budget's hook raises an error inside a
//! function that has one, the variable is closed while hooks are off, and a `__close` that loops would never be
//! stopped. So `local x <close>` is refused, with its line, and a generic `for` is given its first three values only
//! (the fourth would be closed too): `in EXPLIST do` becomes `in (function(a,b,c)return a,b,c end)(EXPLIST) do`, on
//! the same line.
//!
//! The second is strings with zero bytes. Lua compares strings from one zero byte to the next, so that comparing two
//! that are full of them takes longer, for their length, than anything else one instruction can do: no meter could
//! look in time. A file that writes one is refused, with its line; the library makes none either.
//!
//! Everything else of the language stays as it is. The reader below knows strings, comments and words exactly as
//! Lua's does; a file it cannot read Lua would not read either.

const THREE: &str = "(function(a,b,c)return a,b,c end)(";

const ZERO: &str = "a zero byte in a string is not available";

/// Why a file is refused: the line, from 1, and the reason.
pub(super) type Refused = (u32, &'static str);

/// The text with its loops closed to a fourth value, or the line of what is refused.
pub(super) fn harden(text: &str) -> Result<String, Refused> {
    if let Some(at) = text.find('\0') {
        let line = text[..at].bytes().filter(|b| *b == b'\n').count() + 1;
        return Err((u32::try_from(line).unwrap_or(u32::MAX), ZERO));
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    let mut reader = Reader { bytes: text.as_bytes(), at: 0, line: 1 };
    // Open blocks; true for a loop's list of expressions, which ends at its own `do`.
    let mut blocks: Vec<bool> = Vec::new();
    let mut last: [Option<Token<'_>>; 2] = [None, None];
    while let Some((start, token)) = reader.next()? {
        match token {
            Token::Word("in") => {
                out.push_str(&text[copied..reader.at]);
                out.push_str(THREE);
                copied = reader.at;
                blocks.push(true);
            }
            Token::Word("do") if blocks.last() == Some(&true) => {
                blocks.pop();
                out.push_str(&text[copied..start]);
                out.push_str(") ");
                copied = start;
                blocks.push(false);
            }
            Token::Word("do" | "function" | "if" | "repeat") => blocks.push(false),
            Token::Word("end" | "until") => drop(blocks.pop()),
            Token::Symbol(b'>') if last == [Some(Token::Symbol(b'<')), Some(Token::Word("close"))] => {
                return Err((reader.line, "<close> is not available: what it closes could not be metered"));
            }
            _ => {}
        }
        last = [last[1], Some(token)];
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'a> {
    Word(&'a str),
    Symbol(u8),
    Text,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Reader<'a> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == Some(b'\n') {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<Option<(usize, Token<'a>)>, Refused> {
        loop {
            let Some(byte) = self.peek(0) else { return Ok(None) };
            let start = self.at;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => self.skip(1),
                b'-' if self.peek(1) == Some(b'-') => {
                    self.skip(2);
                    match self.long_bracket() {
                        Some(level) => self.long(level)?,
                        None => {
                            while !matches!(self.peek(0), None | Some(b'\n' | b'\r')) {
                                self.skip(1);
                            }
                        }
                    }
                }
                b'[' => {
                    if let Some(level) = self.long_bracket() {
                        self.long(level)?;
                        return Ok(Some((start, Token::Text)));
                    }
                    self.skip(1);
                    return Ok(Some((start, Token::Symbol(b'['))));
                }
                b'"' | b'\'' => {
                    self.quoted(byte)?;
                    return Ok(Some((start, Token::Text)));
                }
                b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                    while self.peek(0).is_some_and(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                        self.at += 1;
                    }
                    let word = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
                    return Ok(Some((start, Token::Word(word))));
                }
                b'<' if matches!(self.peek(1), Some(b'<' | b'=')) => {
                    self.skip(2);
                    return Ok(Some((start, Token::Text)));
                }
                other => {
                    self.skip(1);
                    return Ok(Some((start, Token::Symbol(other))));
                }
            }
        }
    }

    /// The level of the long bracket that opens here, if one does.
    fn long_bracket(&self) -> Option<usize> {
        if self.peek(0) != Some(b'[') {
            return None;
        }
        let level = (1..).take_while(|i| self.peek(*i) == Some(b'=')).count();
        (self.peek(level + 1) == Some(b'[')).then_some(level)
    }

    fn long(&mut self, level: usize) -> Result<(), Refused> {
        let began = self.line;
        self.skip(level + 2);
        loop {
            match self.peek(0) {
                None => return Err((began, "unfinished long string or comment")),
                Some(b']') => {
                    let equals = (1..=level).take_while(|i| self.peek(*i) == Some(b'=')).count();
                    if equals == level && self.peek(level + 1) == Some(b']') {
                        self.skip(level + 2);
                        return Ok(());
                    }
                    self.skip(1);
                }
                Some(_) => self.skip(1),
            }
        }
    }

    /// Whether the escape that begins here stands for a zero byte: `\0`, `\000`, `\x00`, `\u{0}`.
    fn escapes_zero(&self) -> bool {
        let rest = &self.bytes[self.at + 1..];
        match rest {
            [b'x', b'0', b'0', ..] => true,
            [b'u', b'{', digits @ ..] => {
                let zeros = digits.iter().take_while(|b| **b == b'0').count();
                zeros > 0 && digits.get(zeros) == Some(&b'}')
            }
            [b'0', more @ ..] => more.iter().take(2).take_while(|b| b.is_ascii_digit()).all(|b| *b == b'0'),
            _ => false,
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<(), Refused> {
        let began = self.line;
        self.skip(1);
        loop {
            match self.peek(0) {
                None | Some(b'\n' | b'\r') => return Err((began, "unfinished string")),
                Some(b'\\') => match (self.peek(1), self.peek(2)) {
                    (Some(b'z'), _) => {
                        self.skip(2);
                        while self.peek(0).is_some_and(|b| b.is_ascii_whitespace() || b == 0x0b) {
                            self.skip(1);
                        }
                    }
                    (Some(b'\r'), Some(b'\n')) | (Some(b'\n'), Some(b'\r')) => self.skip(3),
                    _ if self.escapes_zero() => return Err((self.line, ZERO)),
                    _ => self.skip(2),
                },
                Some(byte) => {
                    self.skip(1);
                    if byte == quote {
                        return Ok(());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_is_refused_wherever_it_hides_and_nowhere_else() {
        for (text, line) in [
            ("local x <close> = y", 1),
            ("local a\nlocal x<close>=y", 2),
            ("local x <--[[no]] close --x\n> = y", 2),
            ("s = 'it\\'s' local x < close > = 1", 1),
            ("s = [==[ ]] ]==] local x <close> = 1", 1),
            ("s = \"\\z \n \" local x <close> = 1", 2),
        ] {
            assert_eq!(harden(text).map_err(|(line, _)| line), Err(line), "{text}");
        }
        for text in [
            "local x <const> = 1",
            "s = 'local x <close> = 1'",
            "-- local x <close> = 1",
            "--[[ local x <close> = 1 ]] s = [[<close>]]",
            "if a << close > b then close() end",
            "x = a <= close and close > b",
        ] {
            assert_eq!(harden(text).as_deref(), Ok(text));
        }
        assert!(harden("s = 'x").is_err() && harden("s = [[x").is_err());
    }

    #[test]
    fn zero_bytes_are_refused_however_they_are_written_and_other_escapes_are_not() {
        for (text, line) in [
            ("s = 'a\\0'", 1),
            ("\ns = \"\\0a\"", 2),
            ("s = '\\00' t = 1", 1),
            ("s = '\\000'", 1),
            ("s = '\\0001'", 1),
            ("s = '\\x00'", 1),
            ("s = '\\u{0}'", 1),
            ("s = '\\u{000}'", 1),
            ("s = [[\n\0]]", 2),
            ("-- \0", 1),
        ] {
            assert_eq!(harden(text), Err((line, ZERO)), "{text:?}");
        }
        for text in ["'\\1'", "'\\01'", "'\\001'", "'\\010'", "'\\x0a'", "'\\u{0a}'", "'\\\\0'", "[[\\0]]", "-- \\0"] {
            assert_eq!(harden(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn loops_get_three_values_on_the_same_lines() {
        let three = THREE;
        for (text, hardened) in [
            ("for k in f() do end", format!("for k in{three} f() ) do end")),
            ("for i = 1, 2 do end", "for i = 1, 2 do end".into()),
            (
                "for k in f(function() for a in b do end while x do end end) -- do\ndo end",
                format!("for k in{three} f(function() for a in{three} b ) do end while x do end end) -- do\n) do end"),
            ),
            (
                "for k in f(function() if a then repeat until b end end) do end",
                format!("for k in{three} f(function() if a then repeat until b end end) ) do end"),
            ),
        ] {
            assert_eq!(harden(text).as_deref(), Ok(hardened.as_str()));
        }
    }
}
