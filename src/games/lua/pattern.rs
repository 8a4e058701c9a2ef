//! Lua's patterns, matched with a bound on the work: the reference manual's meaning (§6.4.1), on bytes, where every
//! step is paid for, so that a hostile pattern ends as an error and not as a hang.

/// Captures one pattern may hold, as in Lua itself.
const CAPTURES_MAX: usize = 32;

/// Nesting of one match, as in Lua itself: deeper is "pattern too complex".
const DEPTH_MAX: u32 = 200;

/// Why a match was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its time was over.
    Late,
    /// It took more steps than it was given.
    Steps,
    /// The pattern is not one, and why.
    Malformed(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Open,
    Closed(usize),
    Position,
}

/// What one capture caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capture {
    /// The bytes from here to there.
    Text(usize, usize),
    /// `()`: a position, counted from 1.
    Position(usize),
}

/// Steps between two looks at the clock: less than a tenth of a millisecond.
const STEPS_UNASKED: u64 = 2_048;

/// One search of `pattern` in `subject`.
pub(super) struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    captures: [(usize, Span); CAPTURES_MAX],
    level: usize,
    depth: u32,
    steps_left: u64,
    /// Whether its time is over; asked now and then.
    late: &'a dyn Fn() -> bool,
}

type Matched = Result<Option<usize>, Fault>;

impl<'a> Matcher<'a> {
    /// A matcher that may take `steps` steps in all, and ends when it is `late`.
    pub(super) fn new(subject: &'a [u8], pattern: &'a [u8], steps: u64, late: &'a dyn Fn() -> bool) -> Self {
        let captures = [(0, Span::Open); CAPTURES_MAX];
        Self { subject, pattern, captures, level: 0, depth: 0, steps_left: steps, late }
    }

    /// Steps not yet taken.
    pub(super) fn steps_left(&self) -> u64 {
        self.steps_left
    }

    /// The first match at or after `from`: its start and end.
    pub(super) fn search(&mut self, from: usize) -> Result<Option<(usize, usize)>, Fault> {
        let anchored = self.pattern.first() == Some(&b'^');
        let mut at = from;
        loop {
            if let Some(end) = self.match_at(at)? {
                return Ok(Some((at, end)));
            }
            at += 1;
            if anchored || at > self.subject.len() {
                return Ok(None);
            }
        }
    }

    /// A match that begins exactly at `at` (an anchor is skipped): its end.
    pub(super) fn match_at(&mut self, at: usize) -> Matched {
        self.level = 0;
        self.depth = 0;
        let anchored = self.pattern.first() == Some(&b'^');
        self.walk(at, usize::from(anchored))
    }

    /// What the last match caught; all of it where the pattern has no captures and `whole` says so.
    pub(super) fn caught(&self, start: usize, end: usize, whole: bool) -> Result<Vec<Capture>, Fault> {
        if self.level == 0 && whole {
            return Ok(vec![Capture::Text(start, end)]);
        }
        self.captures[..self.level]
            .iter()
            .map(|(at, span)| match span {
                Span::Closed(end) => Ok(Capture::Text(*at, *end)),
                Span::Position => Ok(Capture::Position(at + 1)),
                Span::Open => Err(Fault::Malformed("unfinished capture")),
            })
            .collect()
    }

    fn pay(&mut self, steps: usize) -> Result<(), Fault> {
        let left = self.steps_left.checked_sub(steps as u64).ok_or(Fault::Steps)?;
        let asks = left / STEPS_UNASKED != self.steps_left / STEPS_UNASKED;
        self.steps_left = left;
        if asks && (self.late)() { Err(Fault::Late) } else { Ok(()) }
    }

    fn walk(&mut self, s: usize, p: usize) -> Matched {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::Malformed("pattern too complex"));
        }
        let matched = self.walk_on(s, p);
        self.depth -= 1;
        matched
    }

    fn walk_on(&mut self, mut s: usize, mut p: usize) -> Matched {
        loop {
            self.pay(1)?;
            match (self.pattern.get(p), self.pattern.get(p + 1)) {
                (None, _) => return Ok(Some(s)),
                (Some(b'('), Some(b')')) => return self.open(s, p + 2, Span::Position),
                (Some(b'('), _) => return self.open(s, p + 1, Span::Open),
                (Some(b')'), _) => return self.close(s, p + 1),
                (Some(b'$'), None) => return Ok((s == self.subject.len()).then_some(s)),
                (Some(b'%'), Some(b'b')) => match self.balance(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (Some(b'%'), Some(b'f')) => {
                    p += 2;
                    if self.pattern.get(p) != Some(&b'[') {
                        return Err(Fault::Malformed("missing '[' after '%f' in pattern"));
                    }
                    let end = self.item_end(p)?;
                    let before = if s == 0 { 0 } else { self.subject[s - 1] };
                    let here = self.subject.get(s).copied().unwrap_or(0);
                    if self.in_set(before, p, end)? || !self.in_set(here, p, end)? {
                        return Ok(None);
                    }
                    p = end;
                }
                (Some(b'%'), Some(digit)) if digit.is_ascii_digit() => match self.back_reference(s, *digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.item_end(p)?;
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if self.single(s, p, end)?
                                && let Some(matched) = self.walk(s + 1, end + 1)?
                            {
                                return Ok(Some(matched));
                            }
                            p = end + 1;
                        }
                        Some(b'+') => {
                            return if self.single(s, p, end)? { self.most(s + 1, p, end) } else { Ok(None) };
                        }
                        Some(b'*') => return self.most(s, p, end),
                        Some(b'-') => return self.fewest(s, p, end),
                        _ if self.single(s, p, end)? => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    /// `*` and `+`: as many as there are, then fewer.
    fn most(&mut self, s: usize, p: usize, end: usize) -> Matched {
        let mut count = 0;
        while self.single(s + count, p, end)? {
            count += 1;
        }
        loop {
            if let Some(matched) = self.walk(s + count, end + 1)? {
                return Ok(Some(matched));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    /// `-`: as few as do.
    fn fewest(&mut self, mut s: usize, p: usize, end: usize) -> Matched {
        loop {
            if let Some(matched) = self.walk(s, end + 1)? {
                return Ok(Some(matched));
            }
            if !self.single(s, p, end)? {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, span: Span) -> Matched {
        if self.level == CAPTURES_MAX {
            return Err(Fault::Malformed("too many captures"));
        }
        self.captures[self.level] = (s, span);
        self.level += 1;
        let matched = self.walk(s, p)?;
        if matched.is_none() {
            self.level -= 1;
        }
        Ok(matched)
    }

    fn close(&mut self, s: usize, p: usize) -> Matched {
        let open = (0..self.level).rev().find(|i| self.captures[*i].1 == Span::Open);
        let open = open.ok_or(Fault::Malformed("invalid pattern capture"))?;
        self.captures[open].1 = Span::Closed(s);
        let matched = self.walk(s, p)?;
        if matched.is_none() {
            self.captures[open].1 = Span::Open;
        }
        Ok(matched)
    }

    fn back_reference(&mut self, s: usize, digit: u8) -> Matched {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let Some((from, Span::Closed(to))) = self.captures[..self.level].get(index).copied() else {
            return Err(Fault::Malformed("invalid capture index"));
        };
        self.pay((to - from) / 16 + 1)?;
        let caught = &self.subject[from..to];
        Ok(self.subject[s..].starts_with(caught).then_some(s + caught.len()))
    }

    /// `%bxy`.
    fn balance(&mut self, s: usize, p: usize) -> Matched {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(Fault::Malformed("missing arguments to '%b'"));
        };
        if self.subject.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut nested = 1usize;
        for at in s + 1..self.subject.len() {
            self.pay(1)?;
            let byte = self.subject[at];
            if byte == close {
                nested -= 1;
                if nested == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                nested += 1;
            }
        }
        Ok(None)
    }

    /// Where the item that begins at `p` ends: one character, a class or a set.
    fn item_end(&mut self, p: usize) -> Result<usize, Fault> {
        match self.pattern[p] {
            b'%' if p + 1 == self.pattern.len() => Err(Fault::Malformed("malformed pattern (ends with '%')")),
            b'%' => Ok(p + 2),
            b'[' => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                loop {
                    self.pay(1)?;
                    let Some(&byte) = self.pattern.get(at) else {
                        return Err(Fault::Malformed("malformed pattern (missing ']')"));
                    };
                    at += 1;
                    if byte == b'%' {
                        at += 1;
                    }
                    // A `]` that comes first stands for itself, so the end is only looked for from here on.
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Whether the item `p..end` takes the byte at `s`.
    fn single(&mut self, s: usize, p: usize, end: usize) -> Result<bool, Fault> {
        self.pay(1)?;
        let Some(&byte) = self.subject.get(s) else { return Ok(false) };
        match self.pattern[p] {
            b'.' => Ok(true),
            b'%' => Ok(is_class(byte, self.pattern[p + 1])),
            b'[' => self.in_set(byte, p, end),
            literal => Ok(literal == byte),
        }
    }

    /// Whether `byte` is in the set `[...]` that fills `p..end`.
    fn in_set(&mut self, byte: u8, p: usize, end: usize) -> Result<bool, Fault> {
        self.pay((end - p) / 4)?;
        let inside = &self.pattern[p + 1..end - 1];
        let (inside, found) = match inside {
            [b'^', rest @ ..] => (rest, false),
            all => (all, true),
        };
        let mut rest = inside;
        loop {
            match rest {
                [] => return Ok(!found),
                [b'%', class, more @ ..] => {
                    if is_class(byte, *class) {
                        return Ok(found);
                    }
                    rest = more;
                }
                [low, b'-', high, more @ ..] => {
                    if (*low..=*high).contains(&byte) {
                        return Ok(found);
                    }
                    rest = more;
                }
                [one, more @ ..] => {
                    if *one == byte {
                        return Ok(found);
                    }
                    rest = more;
                }
            }
        }
    }
}

/// Whether `byte` is in the class `%class`; a class that is no letter of the manual stands for itself.
fn is_class(byte: u8, class: u8) -> bool {
    let member = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => return class == byte,
    };
    member != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(subject: &str, pattern: &str) -> String {
        let mut matcher = Matcher::new(subject.as_bytes(), pattern.as_bytes(), 10_000, &|| false);
        let (start, end) = match matcher.search(0) {
            Ok(Some(found)) => found,
            Ok(None) => return "no".into(),
            Err(Fault::Steps | Fault::Late) => return "steps".into(),
            Err(Fault::Malformed(why)) => return why.into(),
        };
        let caught = match matcher.caught(start, end, true) {
            Ok(caught) => caught,
            Err(fault) => return format!("{fault:?}"),
        };
        let texts: Vec<String> = caught
            .iter()
            .map(|c| match c {
                Capture::Text(a, b) => subject[*a..*b].to_owned(),
                Capture::Position(n) => n.to_string(),
            })
            .collect();
        texts.join("|")
    }

    #[test]
    fn patterns_mean_what_the_manual_says() {
        for (subject, pattern, expected) in [
            ("hello world", "o w", "o w"),
            ("hello world", "^world", "no"),
            ("hello world", "world$", "world"),
            ("key = value", "(%w+)%s*=%s*(%w+)", "key|value"),
            ("THE (quick) fox", "%((%a+)%)", "quick"),
            ("f(a(b)c)d", "%b()", "(a(b)c)"),
            ("THE (quick) fox", "%f[%a]%a+%f[%A]", "THE"),
            ("2024-01-02", "(%d+)-(%d+)-(%d+)", "2024|01|02"),
            ("abcabc", "(abc)%1", "abc"),
            ("hello", "()ll()", "3|5"),
            ("aaa", "a-", ""),
            ("aaab", "a-b", "aaab"),
            ("<<x>>", "<(.-)>", "<x"),
            ("colour", "colou?r", "colour"),
            ("color", "colou?r", "color"),
            ("a]b", "[]]", "]"),
            ("a-b", "[a%-]+", "a-"),
            ("x^y", "[x^]+", "x^"),
            ("abc", "[^a]+", "bc"),
            ("tab\there", "%s", "\t"),
            ("5%", "%d%%", "5%"),
            ("abc", "(a", "Malformed(\"unfinished capture\")"),
            ("abc", "a)", "invalid pattern capture"),
            ("abc", "[a", "malformed pattern (missing ']')"),
            ("abc", "a%", "malformed pattern (ends with '%')"),
            ("abc", "%1", "invalid capture index"),
            ("abc", "%f", "missing '[' after '%f' in pattern"),
            ("abc", "%b", "missing arguments to '%b'"),
        ] {
            assert_eq!(run(subject, pattern), expected, "{subject:?} {pattern:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_runs_out_of_steps() {
        let subject = "a".repeat(60);
        assert_eq!(run(&subject, &format!("{}b", "a-".repeat(20))), "steps");
        assert_eq!(run(&subject, &format!("{}b", "(.*)".repeat(6))), "steps");
        assert_eq!(run(&"a".repeat(400), &"a?".repeat(300)), "pattern too complex");
    }
}
