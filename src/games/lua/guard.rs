//! Closes three doors before Lua sees a file. The first is to-be-closed variables. When the budget's hook raises an error inside a
//! function that has one, the variable is closed while hooks are off, and a `__close` that loops would never be
//! stopped. So `local x <close>` is refused, with its line, and a generic `for` is given its first three values only
//! (the fourth would be closed too): `in EXPLIST do` becomes `in (function(a,b,c)return a,b,c end)(EXPLIST) do`, on
//! the same line.
//!
//! The second is strings with zero bytes. Lua compares strings from one zero byte to the next, so that comparing two
//! that are full of them takes longer, for their length, than anything else one instruction can do: no meter could
//! look in time. A file that writes one is refused, with its line; the library makes none either.
//!
//! The third is what takes Lua long to compile, which nothing interrupts and which every match begins with: it goes along
//! all jumps of an expression or a chain of `elseif` at each new one, along all of `goto`, `break` and labels, along all
//! variables of all functions around a name, and along all constants that fall into one place of its table of them.
//!
//! Everything else of the language stays as it is. The reader below knows strings, comments and words exactly as
//! Lua's does; a file it cannot read Lua would not read either.

use std::collections::{HashMap, HashSet};

use super::heap::hash_of_float;

const THREE: &str = "(function(a,b,c)return a,b,c end)(";

const ZERO: &str = "a zero byte in a string is not available";

/// What is closed twice would close what is written here around the values of a loop.
const UNBALANCED: &str = "a bracket or a block is closed that was not the last to be opened";

/// `and` and `or` of one expression, and `elseif` of one `if`. Half a thousand of them take Lua half a millisecond, and
/// four times as long twice as many.
const JUMPS_MAX: u32 = 500;

const TOO_MANY_JUMPS: &str = "more than 500 of `and` and `or` in one expression, or of `elseif` in one `if`";

/// `goto`, `break` and labels of one file, of which a label is two.
const PLACES_MAX: u32 = 3_000;

const TOO_MANY_PLACES: &str = "more than 3000 of `goto`, `break` and labels in one file";

/// Variables that Lua may have to look at for the names of one file: of every function around a name those that are
/// declared there and those it has from outside. Some ten milliseconds; honest files come to a twentieth of it.
const LOOKS_MAX: u64 = 20_000_000;

const TOO_MANY_LOOKS: &str = "too many names within too many functions with too many variables for one file";

/// Numbers of one file that are reckoned from numbers as it is compiled, as in `1 << 4`; sums and products aside, which are
/// reckoned here as well.
const FOLDED_MAX: u64 = 4_000;

const TOO_MANY_FOLDED: &str = "more than 4000 numbers reckoned from numbers in one file";

const COLLIDING: &str = "too many large numbers that collide in Lua's table of constants for one file";

/// What Lua keeps of each kind per function at most.
const LOCALS_MAX: u64 = 200;
const UPVALUES_MAX: u64 = 255;

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
    let mut open = vec![Open::of(What::Block)];
    let mut places = 0;
    let mut scopes = Scopes::default();
    let mut constants = Constants::default();
    let mut last: [Option<Token<'_>>; 2] = [None, None];
    while let Some((start, token)) = reader.next()? {
        let line = reader.line;
        let top = open.last_mut().ok_or((line, UNBALANCED))?;
        match token {
            Token::Word("and" | "or") => top.joined += 1,
            Token::Word("elseif") => (top.branches, top.joined) = (top.branches + 1, 0),
            Token::Word("local" | "return" | "while" | "for" | "then" | "else") | Token::Symbol(b',' | b';') => {
                top.joined = 0;
            }
            // Not that of a comparison.
            Token::Symbol(b'=')
                if reader.peek(0) != Some(b'=')
                    && !matches!(last[1], Some(Token::Symbol(b'=' | b'~' | b'<' | b'>'))) =>
            {
                top.joined = 0;
            }
            Token::Word("goto" | "break") => (places, top.joined) = (places + 1, 0),
            Token::Symbol(b':') if last[1] == Some(Token::Symbol(b':')) => places += 1,
            _ => {}
        }
        if top.joined.max(top.branches) > JUMPS_MAX {
            return Err((line, TOO_MANY_JUMPS));
        }
        if places > PLACES_MAX {
            return Err((line, TOO_MANY_PLACES));
        }
        scopes.see(token);
        if let Token::Word(word) = token
            && is_numeral(word)
        {
            constants.see(word, last);
            if constants.folded > FOLDED_MAX {
                return Err((line, TOO_MANY_FOLDED));
            }
        }
        if scopes.looks > LOOKS_MAX {
            return Err((line, TOO_MANY_LOOKS));
        }
        match token {
            Token::Word("in") => {
                out.push_str(&text[copied..reader.at]);
                out.push_str(THREE);
                copied = reader.at;
                open.push(Open::of(What::Values));
            }
            Token::Word("do") if top.what == What::Values => {
                out.push_str(&text[copied..start]);
                out.push_str(") ");
                copied = start;
                *top = Open::of(What::Block);
            }
            Token::Word("do" | "if" | "repeat") => {
                top.joined = 0;
                open.push(Open::of(What::Block));
            }
            Token::Word("function") => {
                open.push(Open::of(What::Block));
                scopes.functions.push(Scope { opened_at: open.len(), ..Scope::default() });
            }
            Token::Word("end" | "until") => {
                if top.what != What::Block {
                    return Err((line, UNBALANCED));
                }
                // One too many Lua sees itself.
                if open.len() > 1 {
                    if scopes.functions.last().is_some_and(|scope| scope.opened_at == open.len()) {
                        scopes.functions.pop();
                    }
                    open.pop();
                }
                if token == Token::Word("until")
                    && let Some(top) = open.last_mut()
                {
                    top.joined = 0;
                }
            }
            Token::Symbol(bracket @ (b'(' | b'[' | b'{')) => {
                let calls = match last[1] {
                    Some(Token::Word(word)) => !KEYWORDS.contains(&word),
                    before => matches!(before, Some(Token::Symbol(b')' | b']' | b'}'))),
                };
                open.push(Open { calls, ..Open::of(What::Bracket(bracket)) });
            }
            Token::Symbol(close @ (b')' | b']' | b'}')) => {
                let bracket = if close == b')' { b'(' } else { close - 2 };
                if top.what != What::Bracket(bracket) {
                    return Err((line, UNBALANCED));
                }
                let within = if top.calls { 0 } else { top.joined };
                open.pop();
                // The jumps of what stands in round brackets are those of the expression around it.
                if close == b')'
                    && let Some(top) = open.last_mut()
                {
                    top.joined += within;
                }
            }
            Token::Symbol(b'>') if last == [Some(Token::Symbol(b'<')), Some(Token::Word("close"))] => {
                return Err((line, "<close> is not available: what it closes could not be metered"));
            }
            _ => {}
        }
        last = [last[1], Some(token)];
    }
    if constants.cost() > LOOKS_MAX {
        return Err((reader.line, COLLIDING));
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// The numbers of a file, which a table keeps by their remainder: below 65,536 there are too few of one remainder.
#[derive(Default)]
struct Constants {
    /// What the remainder is taken of, and what tells two apart that have it in common.
    large: HashSet<(u64, u64)>,
    large_uses: u64,
    uses: u64,
    /// What numbers come to so far that stand between signs, and which sign: none where it is more than a sum or a product.
    running: Option<(u64, Option<u8>)>,
    /// Numbers reckoned from numbers whose value is not known here.
    folded: u64,
}

fn is_numeral(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit() || first == '.')
}

/// The whole number that a numeral stands for, if it does.
fn whole_of(word: &str) -> Option<u64> {
    match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
        // It wraps around, as in Lua.
        Some(hex) => hex.bytes().try_fold(0u64, |n, digit| {
            Some(n.wrapping_mul(16).wrapping_add(u64::from(char::from(digit).to_digit(16)?)))
        }),
        // A longer one is a float.
        None => word.parse::<i64>().ok().map(|number| number as u64),
    }
}

/// The float that a numeral stands for.
fn float_of(word: &str) -> Option<f64> {
    let Some(hex) = word.strip_prefix("0x").or(word.strip_prefix("0X")) else { return word.parse().ok() };
    let (digits, power) = hex.split_once(['p', 'P']).unwrap_or((hex, "0"));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let (mut value, mut dropped) = (0.0, 0);
    for digit in whole.chars().chain(part.chars()) {
        let digit = f64::from(digit.to_digit(16)?);
        // What is far beyond a float's precision, and would be beyond its range.
        if value < 1e200 { value = value * 16.0 + digit } else { dropped += 4 }
    }
    let is_small = power.starts_with('-');
    let power: i64 = power.parse().unwrap_or(if is_small { i64::MIN / 2 } else { i64::MAX / 2 });
    let power = (power + dropped - 4 * part.len() as i64).clamp(-4_000, 4_000) as i32;
    // In steps, none of which leaves the range that the number itself stays in.
    let step = power / 4;
    Some((0..3).fold(value, |value, _| value * 2.0_f64.powi(step)) * 2.0_f64.powi(power - 3 * step))
}

impl Constants {
    fn see(&mut self, word: &str, before: [Option<Token<'_>>; 2]) {
        let after_number = match before[0] {
            Some(Token::Word(word)) => is_numeral(word),
            // `>>` and `//`, of which the first half was seen as a sign.
            other => other == Some(Token::Symbol(b')')) || (other.is_some() && other == before[1]),
        };
        let sign = match before[1] {
            Some(Token::Symbol(sign @ (b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'&' | b'|' | b'~' | b'>'))) => {
                Some(sign)
            }
            // `<<`, or a text.
            Some(Token::Text) => Some(b'<'),
            _ => None,
        };
        let number = whole_of(word);
        self.uses += 1;
        match number {
            Some(_) => self.keep(number),
            // By what is left of it in the table's reckoning; the sign changes that for all alike.
            None => {
                if let Some(float) = float_of(word) {
                    self.large.insert((u64::from(hash_of_float(float)), float.to_bits()));
                    self.large_uses += 1;
                }
            }
        }
        let Some(sign) = sign.filter(|_| after_number) else {
            self.running = number.map(|number| (number, None));
            return;
        };
        let reckoned = self.running.zip(number).and_then(|((so_far, with), number)| match sign {
            _ if with.is_some_and(|with| with != sign) => None,
            b'+' => Some(so_far.wrapping_add(number)),
            b'-' => Some(so_far.wrapping_sub(number)),
            b'*' => Some(so_far.wrapping_mul(number)),
            _ => None,
        });
        self.keep(reckoned);
        self.folded += u64::from(reckoned.is_none());
        self.running = reckoned.map(|reckoned| (reckoned, Some(sign)));
    }

    fn keep(&mut self, number: Option<u64>) {
        if let Some(number) = number.filter(|number| *number > 0xffff) {
            self.large.insert((number, number));
            self.large_uses += 1;
        }
    }

    /// Looks that the fullest place of the table costs while it fills and is asked.
    fn cost(&self) -> u64 {
        let fullest = |log: u32| {
            let mut places: HashMap<u64, u64> = HashMap::new();
            for (number, _) in &self.large {
                *places.entry(number % ((1 << log) - 1)).or_default() += 1;
            }
            places.values().max().copied().unwrap_or(0)
        };
        // As large as the table becomes, and every size before that.
        let worst =
            if self.large.len() < 256 { self.large.len() as u64 } else { (8..=16).map(fullest).max().unwrap_or(0) };
        worst * self.large_uses + self.folded * self.uses
    }
}

/// How much Lua looks for names: never less than it does.
#[derive(Default)]
struct Scopes {
    /// The functions around a place, outermost first; the file itself is the first.
    functions: Vec<Scope>,
    declares: Declares,
    looks: u64,
}

/// One of them.
#[derive(Default)]
struct Scope {
    /// How much was open with it.
    opened_at: usize,
    declared: u64,
    names: u64,
}

/// Whose names come now.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Declares {
    #[default]
    Nothing,
    /// `local a, b <const>`, or `for a, b`: a name.
    Variable,
    /// What may follow one: another, or `<const>`.
    AfterVariable,
    Attribute,
    /// `function name`, whose parameters come in brackets.
    Head,
    Parameters,
}

impl Scopes {
    fn see(&mut self, token: Token<'_>) {
        if self.functions.is_empty() {
            self.functions.push(Scope { opened_at: 1, ..Scope::default() });
        }
        let before = self.declares;
        self.declares = match (before, token) {
            (_, Token::Word("local" | "for")) => Declares::Variable,
            (_, Token::Word("function")) => Declares::Head,
            (Declares::Head, Token::Symbol(b'(')) => Declares::Parameters,
            (Declares::Head, _) => Declares::Head,
            (Declares::Parameters, Token::Symbol(b')')) => Declares::Nothing,
            (Declares::Parameters, _) => Declares::Parameters,
            (Declares::Variable, Token::Word(_)) => Declares::AfterVariable,
            (Declares::AfterVariable, Token::Symbol(b',')) => Declares::Variable,
            (Declares::AfterVariable, Token::Symbol(b'<')) => Declares::Attribute,
            (Declares::Attribute, Token::Symbol(b'>')) => Declares::AfterVariable,
            (Declares::Attribute, _) => Declares::Attribute,
            _ => Declares::Nothing,
        };
        let Token::Word(word) = token else {
            if token == Token::Symbol(b';') {
                // At every statement Lua goes along the constants among a function's variables.
                self.looks += self.functions.last().map_or(0, |scope| scope.declared.min(LOCALS_MAX));
            }
            return;
        };
        // `local function f` is one, too.
        if before == Declares::Variable || before == Declares::Parameters {
            self.functions.last_mut().into_iter().for_each(|scope| scope.declared += 1);
        }
        if is_numeral(word) {
            return;
        }
        if KEYWORDS.contains(&word) {
            // As above: most of them begin or end a statement.
            self.looks += self.functions.last().map_or(0, |scope| scope.declared.min(LOCALS_MAX));
            return;
        }
        let (mut outer, mut looks) = (0, 0);
        for scope in &mut self.functions {
            scope.names += 1;
            // A name from outside is one of those that were used.
            looks += scope.declared.min(LOCALS_MAX) + scope.names.min(outer).min(UPVALUES_MAX);
            outer += scope.declared;
        }
        self.looks += looks;
    }
}

const KEYWORDS: [&str; 22] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// What is open at a place of the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// A block, to its `end` or `until`; the whole file.
    Block,
    /// The values of a generic `for`, to its own `do`.
    Values,
    Bracket(u8),
}

struct Open {
    what: What,
    /// `and` and `or` since an expression began here.
    joined: u32,
    /// Round brackets around what a function is called with: every value there is an expression of its own.
    calls: bool,
    /// `elseif` of the `if` that this is.
    branches: u32,
}

impl Open {
    fn of(what: What) -> Self {
        Self { what, joined: 0, calls: false, branches: 0 }
    }
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
                b'.' if self.peek(1) == Some(b'.') => {
                    self.skip(if self.peek(2) == Some(b'.') { 3 } else { 2 });
                    return Ok(Some((start, Token::Symbol(b'.'))));
                }
                b'0'..=b'9' | b'.' if byte != b'.' || self.peek(1).is_some_and(|b| b.is_ascii_digit()) => {
                    self.numeral();
                    let word = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
                    return Ok(Some((start, Token::Word(word))));
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

    /// A numeral, as far as Lua reads it: `3`, `.5`, `0x1p-4`, `1e+9`.
    fn numeral(&mut self) {
        let hex = self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X'));
        let power = if hex { [b'p', b'P'] } else { [b'e', b'E'] };
        self.at += if hex { 2 } else { 1 };
        while let Some(byte) = self.peek(0) {
            if power.contains(&byte) {
                self.at += if matches!(self.peek(1), Some(b'+' | b'-')) { 2 } else { 1 };
            } else if byte == b'.' || byte == b'_' || byte.is_ascii_alphanumeric() {
                self.at += 1;
            } else {
                break;
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
    fn brackets_hide_no_jumps_and_numbers_do_not_collide() {
        let chain = |depth: usize, each: usize| {
            let mut inner = "A".to_owned();
            for _ in 0..depth {
                inner = format!("({inner}{})", " and A".repeat(each));
            }
            format!("local A local x = {inner}")
        };
        assert!(harden(&chain(4, 100)).is_ok());
        assert_eq!(harden(&chain(10, 490)), Err((1, TOO_MANY_JUMPS)));
        // As arguments and entries they are each an expression of its own.
        let apart = format!("f({} A and B)", "A and B, ".repeat(2_000));
        assert!(harden(&apart).is_ok());

        let numbers =
            |count: usize, step: usize| (9..9 + count).map(|n| format!("a={}\n", n * step)).collect::<String>();
        assert!(harden(&(numbers(8_000, 8_192) + &"a=73719\n".repeat(8_000))).is_ok());
        let colliding = numbers(8_000, 8_191) + &"a=73719\n".repeat(16_000);
        assert_eq!(harden(&colliding).unwrap_err().1, COLLIDING);
        let products = (9..8_009).map(|n| format!("a=8191*{n}\n")).collect::<String>();
        assert_eq!(harden(&products).unwrap_err().1, COLLIDING);
        let folded = (1..5_000).map(|n| format!("a=8191//{n}\n")).collect::<String>();
        assert_eq!(harden(&folded).unwrap_err().1, TOO_MANY_FOLDED);
        // A hash of a float is that of its first 31 bits: these have those in common, however they are written.
        for write in [
            |n: u64| format!("a={}\n", f64::from_bits(0.5_f64.to_bits() + n)),
            |n: u64| format!("a=.5{:014}\n", n),
            |n: u64| format!("a='x'..5.{:014}e-1\n", n),
            |n: u64| format!("a=-0x1.{:013x}p-1\n", n),
            |n: u64| format!("a={}\n", (1 << 63) + n * 2_048),
            |n: u64| format!("a=0x1{:012x}p-1060\n", n),
            |n: u64| format!("a=0x1{:012x}{}p-1200\n", n, "0".repeat(300)),
        ] {
            let floats: String = (1..6_000).map(write).collect();
            assert_eq!(harden(&floats).err().map(|refused| refused.1), Some(COLLIDING), "{}", write(7));
        }
        let hidden = (9..8_009).map(|n| format!("a='x'..{}\n", n * 8_191)).collect::<String>();
        assert_eq!(harden(&(hidden + &"a=73719\n".repeat(16_000))).unwrap_err().1, COLLIDING);
        let places: String =
            (0..6_000).map(|n| format!("{{x={}, y={}}},\n", n as f64 * 0.37, 1.0 / (n + 3) as f64)).collect();
        assert_eq!(harden(&format!("places = {{{places}}}")).err(), None);
        // Items, prices and times of an honest file.
        let items: String = (0..8_000)
            .map(|n| format!("{{id={}, cost={}, wait=60*{}, at={}}},\n", 100_000 + n, n * 250, n % 40, n as f64 * 0.5))
            .collect();
        assert_eq!(harden(&format!("items = {{{items}}}")).err(), None);
    }

    #[test]
    fn names_within_many_functions_are_counted_before_they_are_compiled() {
        let names = |range: std::ops::Range<usize>, between: &str| {
            range.map(|n| format!("v{n}")).collect::<Vec<_>>().join(between)
        };
        let nested = |depth: usize, lookups: usize| {
            format!(
                "local _ <const> = 1 local {} function A() local {} {} local u = {} local q = _{} {}end",
                names(0..190, ","),
                names(190..240, ","),
                "function A() ".repeat(depth),
                names(0..240, "+"),
                "+_".repeat(lookups),
                "end ".repeat(depth)
            )
        };
        assert!(harden(&nested(3, 2_000)).is_ok());
        assert_eq!(harden(&nested(80, 6_200)), Err((1, TOO_MANY_LOOKS)));
        let constants: String = (0..198).map(|n| format!("local c{n} <const> = 1 ")).collect();
        assert_eq!(harden(&(constants.clone() + &";".repeat(200_000))), Err((1, TOO_MANY_LOOKS)));
        assert!(harden(&(constants + &"x = 1; if x then x = 2 end;".repeat(2_000))).is_ok());
        // A large honest file: functions that use what stands at its top, and variables of their own.
        let top: String = (0..60).map(|n| format!("local top{n} = {n}\n")).collect();
        let one = |n: usize| {
            let (a, b) = (n % 60, (n + 7) % 60);
            format!(
                "function f{n}(a, b, state)\n local x, y = a + top{a}, b * top{b}\n for i = 1, 10 do x = x + i end\n \
                 local each = function(k) return k + x + y end\n return each(state.n)\nend\n"
            )
        };
        let text = top + &(0..2_500).map(one).collect::<String>();
        assert!(text.len() > 400_000 && harden(&text).is_ok());
    }

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
    fn nothing_closes_what_was_written_here() {
        for (text, line) in [
            // Both would be one list of four values, of which the last is closed.
            ("for k in next), {1}, nil, (x do end", 1),
            ("\nfor k in next\n), {1}, nil, (x do end", 3),
            ("for k in f{) do end", 1),
            ("for k in f end do end", 1),
            ("x = )", 1),
            ("x = {]", 1),
            ("x = (until)", 1),
        ] {
            assert_eq!(harden(text), Err((line, UNBALANCED)), "{text}");
        }
        for text in ["x = f(a[1], {b = {}, [c] = (d)}) end", "repeat local f = function() end until f((1)) end end"] {
            assert_eq!(harden(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_takes_long_to_compile_is_refused() {
        let many = |text: &str, n: usize| text.repeat(n);
        for (text, why) in [
            (format!("local a = x {}", many("or x ", 501)), TOO_MANY_JUMPS),
            (format!("local a = x {}", many("and x == y or x >= y ", 251)), TOO_MANY_JUMPS),
            (format!("local a = x {}", many("or (f(1, 2)) ", 501)), TOO_MANY_JUMPS),
            (format!("local a = x {}", many("or (function() local a = 1 end)() ", 501)), TOO_MANY_JUMPS),
            (format!("local a = x {}", many("or {a = 1, 2; 3} ", 501)), TOO_MANY_JUMPS),
            (format!("f(x {})", many("or x ", 501)), TOO_MANY_JUMPS),
            (format!("if a then {} end", many("elseif a then local b ", 501)), TOO_MANY_JUMPS),
            (format!("do {} ::z:: end", many("goto z ", 2_999)), TOO_MANY_PLACES),
            (format!("repeat {} until x", many("if x then break end ", 3_001)), TOO_MANY_PLACES),
            (many("::a:: x = 1 ", 1_501), TOO_MANY_PLACES),
        ] {
            assert_eq!(harden(&text), Err((1, why)), "{}", &text[..40]);
        }
        for text in [
            format!("local a = x {}", many("or x ", 500)),
            many("x = a or b ", 2_000),
            many("f(a or b) ", 2_000),
            many("local x = a and b or c; ", 2_000),
            format!("t = {{ {} }}", many("a or b, ", 2_000)),
            many("if a or b then c() elseif d and e then f() end ", 2_000),
            many("while a or b do c() end ", 2_000),
            many("repeat c() until a or b ", 2_000),
            format!("if a then {} end", many("elseif a or b then ", 500)),
            format!("while x do {} end", many("if x then break end ", 2_000)),
        ] {
            assert_eq!(harden(&text).as_deref(), Ok(text.as_str()));
        }
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
