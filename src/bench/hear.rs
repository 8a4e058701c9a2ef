//! What a frame is and what of it is wanted, without reading the rest of it: a load that parsed every state would
//! measure its own parser.

use std::borrow::Cow;
use std::io::Write;

use crate::wire::client::Incoming;

/// A frame's type. Servers that write it first, as ours does, are read at a glance; of others the whole frame is.
pub fn kind(text: &[u8]) -> Cow<'_, str> {
    let glance = text.strip_prefix(b"{\"type\":\"").and_then(|rest| {
        let end = rest.iter().position(|byte| *byte == b'"')?;
        std::str::from_utf8(&rest[..end]).ok()
    });
    if let Some(kind) = glance {
        return Cow::Borrowed(kind);
    }
    let whole = std::str::from_utf8(text).ok().and_then(|text| Incoming::read(text).ok());
    Cow::Owned(whole.map(|frame| frame.kind.into_owned()).unwrap_or_default())
}

/// The whole number that follows `key`, which is written with its quotes and colon, at or after `from`.
pub fn number_after(text: &[u8], key: &[u8], from: usize) -> Option<u64> {
    let at = find(text, key, from)? + key.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut number: Option<u64> = None;
    for digit in digits {
        number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit - b'0'))?);
    }
    number
}

/// The text that follows `key` up to the next quote.
pub fn text_after<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a str> {
    let rest = &text[find(text, key, 0)? + key.len()..];
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Where `what` begins, at or after `from`.
pub fn find(text: &[u8], what: &[u8], from: usize) -> Option<usize> {
    Some(from + memchr::memmem::find(text.get(from..)?, what)?)
}

/// A message of the wire whose cid is a number, into `out`.
pub fn ask(out: &mut Vec<u8>, kind: &str, cid: u64, payload: &str) {
    out.clear();
    // Writing to memory does not fail.
    let _ = write!(out, "{{\"cid\":{cid},\"type\":\"{kind}\",\"payload\":{payload}}}");
}

/// The number that an answer carries as its cid.
pub fn cid(text: &[u8]) -> Option<u64> {
    number_after(text, b"\"cid\":", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &[u8] = br#"{"type":"match.state","payload":{"tick":41,"ts":1700000000000123,"players":{"p1":{"x":0.5,"y":-1,"inputs_seen":3},"p2":{"x":0,"y":0,"inputs_seen":14}}}}"#;

    #[test]
    fn a_frame_is_known_whatever_the_order_of_its_fields() {
        assert_eq!(kind(STATE), "match.state");
        assert_eq!(kind(br#"{"payload":{"type":"no"},"type":"match.state"}"#), "match.state");
        assert_eq!((kind(b"not json"), kind(br#"{"type":"unfinished"#)), ("".into(), "".into()));
    }

    #[test]
    fn what_is_wanted_of_a_state_is_found() {
        assert_eq!(number_after(STATE, b"\"tick\":", 0), Some(41));
        assert_eq!(number_after(STATE, b"\"ts\":", 0), Some(1_700_000_000_000_123));
        let me = find(STATE, b"\"p2\"", 0).unwrap();
        assert_eq!(number_after(STATE, b"\"inputs_seen\":", me), Some(14));
        assert_eq!(number_after(STATE, b"\"x\":", me + 1_000), None);
        assert_eq!(number_after(b"\"n\":99999999999999999999", b"\"n\":", 0), None, "more than a number holds");
        assert_eq!(text_after(br#"{"match_id":"abc","x":1}"#, b"\"match_id\":\""), Some("abc"));
    }

    #[test]
    fn an_answer_is_matched_by_its_number() {
        let mut out = Vec::new();
        ask(&mut out, "vote.cast", 17, r#"{"vote_id":"v"}"#);
        assert_eq!(out, br#"{"cid":17,"type":"vote.cast","payload":{"vote_id":"v"}}"#);
        assert_eq!(cid(br#"{"type":"vote.cast_ok","cid":17,"payload":{}}"#), Some(17));
        assert_eq!(cid(STATE), None);
    }
}
