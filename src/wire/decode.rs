//! Text in, message out, in two steps so that whoever holds the connection can decide in between.
//!
//! [`envelope`] says whether the text is JSON, what `type` it names and which `cid` it carries; [`Envelope::message`]
//! reads the payload into its type. Between the two a session asks whether the sender has signed in, so that a stranger
//! hears `unauthenticated` and nothing about the message. [`decode`] does both.

use serde_json::value::RawValue;

use super::error::{Reason, Refusal};
use super::frame::{Cid, Frame};
use super::messages::{ClientMsg, MESSAGES, MessageRow};
use super::scan::{Member, Problem, scan, unquoted};
use crate::limits::CID_BYTES_MAX;

/// A message that was understood.
#[derive(Debug, Clone)]
pub struct Request {
    /// To be echoed on the reply, and on the error.
    pub cid: Option<Cid>,
    /// The whole number beside `type`, if the sender counts its inputs.
    pub seq: Option<u64>,
    /// What it asks.
    pub msg: ClientMsg,
}

/// A message that was not understood or is not served.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// To be echoed; found whenever the text is readable JSON at all.
    pub cid: Option<Cid>,
    /// Why.
    pub refusal: Refusal,
    /// The type it named, if that is one of ours. Never the sender's own text.
    pub about_type: Option<&'static str>,
}

impl Refused {
    /// The frame that says so: `rpc.error` to a remote call that went wrong as one, `error` to everything else.
    pub fn frame(&self) -> Frame {
        let rpc = self.about_type == Some("rpc.call") && self.refusal.reason != Reason::NotSupported;
        if rpc {
            self.refusal.rpc_frame(self.cid.as_ref())
        } else {
            self.refusal.frame(self.cid.as_ref(), self.about_type)
        }
    }
}

/// A message whose type is known and whose payload has not been read.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// To be echoed.
    pub cid: Option<Cid>,
    /// The whole number beside `type`.
    pub seq: Option<u64>,
    /// What kind of message it is.
    pub row: &'static MessageRow,
    payload: Fields<'a>,
}

/// Reads `text` as one message: [`envelope`], then [`Envelope::message`].
pub fn decode(text: &str) -> Result<Request, Refused> {
    envelope(text)?.message()
}

/// Whether `text` is JSON we accept. The bodies of requests obey the same rules as frames.
pub fn check_json(text: &str) -> Result<(), Refusal> {
    match scan(text).fault {
        None => Ok(()),
        Some(fault) => Err(Reason::InvalidJson.with("problem", fault.problem.word()).with("at", fault.at as u64)),
    }
}

/// Reads everything of a message but its payload's fields.
pub fn envelope(text: &str) -> Result<Envelope<'_>, Refused> {
    let found = scan(text);
    let bare = |refusal: Refusal| Refused { cid: None, refusal, about_type: None };
    let fault =
        found.fault.map(|fault| Reason::InvalidJson.with("problem", fault.problem.word()).with("at", fault.at as u64));
    if found.fault.is_some_and(|fault| fault.problem == Problem::Syntax) {
        return Err(bare(fault.unwrap_or_else(|| Reason::InvalidJson.into())));
    }
    let (mut cid, mut kind, mut seq, mut payload) = (None, None, None, None);
    for (key, value) in &found.envelope {
        match &**key {
            "cid" => cid = Some(*value),
            "type" => kind = Some(*value),
            "seq" => seq = value.parse().ok(),
            "payload" => payload = Some(*value),
            _ => {}
        }
    }
    if let Some(fault) = fault {
        return Err(Refused { cid: cid.and_then(echo_beside_a_fault), ..bare(fault) });
    }
    if cid.is_some_and(|cid| cid.len() > CID_BYTES_MAX) {
        return Err(bare(Reason::InvalidMessage.with("field", "cid")));
    }
    let cid = cid.map(Cid::checked);
    let Some(kind) = kind.filter(|kind| kind.starts_with('"')) else {
        return Err(Refused { cid, ..bare(Reason::InvalidMessage.with("field", "type")) });
    };
    let kind = unquoted(kind, kind.contains('\\'));
    let Some(row) = MESSAGES.iter().find(|row| row.name == kind) else {
        return Err(Refused { cid, ..bare(Reason::UnknownType.into()) });
    };
    let payload = Fields { raw: payload.unwrap_or("{}"), members: found.payload };
    Ok(Envelope { cid, seq, row, payload })
}

/// The cid of a readable text that we do not accept, unless it is what is wrong with it. Too large a number comes back
/// as it was written: nobody computes with it.
fn echo_beside_a_fault(cid: &str) -> Option<Cid> {
    let fault = scan(cid).fault.map(|fault| fault.problem);
    let fits = cid.len() <= CID_BYTES_MAX && matches!(fault, None | Some(Problem::IntegerTooLarge));
    fits.then(|| Cid::checked(cid))
}

impl Envelope<'_> {
    /// Reads the payload into its type; `not_supported` for a message that this build does not serve.
    pub fn message(self) -> Result<Request, Refused> {
        if !self.row.served {
            return Err(self.refuse(Reason::NotSupported));
        }
        self.message_when_served()
    }

    /// What [`Envelope::message`] says once the message is served: tests hold it to the contract before that day.
    pub fn message_when_served(self) -> Result<Request, Refused> {
        match self.row.read(self.cid.as_ref(), &self.payload) {
            Ok(msg) => Ok(Request { cid: self.cid, seq: self.seq, msg }),
            Err(refusal) => Err(self.refuse(refusal)),
        }
    }

    /// The refusal of this message for a reason found elsewhere, such as `unauthenticated`.
    pub fn refuse(self, refusal: impl Into<Refusal>) -> Refused {
        let refusal = refusal.into();
        // The one reply whose cid is checked does not echo it when the check fails.
        let cid = self.cid.filter(|_| refusal.reason != Reason::RpcInvalidCid);
        Refused { cid, refusal, about_type: Some(self.row.name) }
    }
}

/// The fields of a payload, each still the text it came in.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    raw: &'a str,
    members: Vec<Member<'a>>,
}

impl<'a> Fields<'a> {
    /// The whole payload; refused unless it is an object.
    pub(super) fn whole(&self) -> Result<&'a str, Refusal> {
        if self.raw.starts_with('{') { Ok(self.raw) } else { Err(Reason::InvalidPayload.into()) }
    }

    /// The value of the only field, if it is called `name`.
    pub(super) fn sole(&self, name: &str) -> Option<&'a str> {
        match &self.members[..] {
            [(key, value)] if key == name => Some(value),
            _ => None,
        }
    }

    /// A field as it came.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// A field that may be left out; `null` counts as left out, since some clients write every field they know.
    pub(super) fn opt(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|value| *value != "null")
    }

    /// A field that must be there.
    pub(super) fn must(&self, name: &'static str) -> Result<&'a str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    /// A string that must be there.
    pub(super) fn text(&self, name: &'static str) -> Result<String, Refusal> {
        as_text(self.must(name)?).ok_or_else(|| Refusal::invalid(name, "a string"))
    }

    /// A string that may be left out.
    pub(super) fn opt_text(&self, name: &'static str) -> Result<Option<String>, Refusal> {
        self.opt(name).map(|value| as_text(value).ok_or_else(|| Refusal::invalid(name, "a string"))).transpose()
    }

    /// True or false, which may be left out.
    pub(super) fn opt_bool(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        self.opt(name).map(|value| as_bool(value).ok_or_else(|| Refusal::invalid(name, "true or false"))).transpose()
    }

    /// An object that may be left out, with a bound on its text.
    pub(super) fn opt_object(
        &self,
        name: &'static str,
        bytes_max: usize,
        expected: &'static str,
    ) -> Result<Option<Box<RawValue>>, Refusal> {
        self.opt(name)
            .map(|value| {
                let fits = value.starts_with('{') && value.len() <= bytes_max;
                fits.then(|| as_raw(value)).flatten().ok_or_else(|| Refusal::invalid(name, expected))
            })
            .transpose()
    }

    /// A string that names something. One that cannot be such a name is answered as the name of nothing: `unknown`.
    pub(super) fn id<T: std::str::FromStr>(&self, name: &'static str, unknown: Reason) -> Result<T, Refusal> {
        self.text(name)?.parse().map_err(|_| unknown.into())
    }
}

/// The text of a JSON string.
pub(super) fn as_text(value: &str) -> Option<String> {
    value.starts_with('"').then(|| unquoted(value, value.contains('\\')).into_owned())
}

/// The value of `true` or `false`.
pub(super) fn as_bool(value: &str) -> Option<bool> {
    match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// JSON text to be passed on as it is.
pub(super) fn as_raw(value: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(value.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reason of a refusal, its field if it names one, and whether the cid came back.
    fn refusal(text: &str) -> String {
        let refused = decode(text).map(|request| request.msg.kind()).expect_err(text);
        let detail = |name| refused.refusal.details.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
        let field = match detail("field").or(detail("problem")) {
            Some(crate::wire::Detail::Text(field)) => format!(" {field}"),
            _ => String::new(),
        };
        let cid = refused.cid.map(|cid| format!(" cid={}", cid.as_json())).unwrap_or_default();
        format!("{}{field}{cid}", refused.refusal.reason.row().word)
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_cid_wherever_it_can_be_read() {
        let deep =
            format!(r#"{{"type":"match.input","payload":{{"a":{}{}}},"cid":"c"}}"#, "[".repeat(40), "]".repeat(40));
        let long = format!(r#"{{"cid":"{}","type":"match.leave"}}"#, "x".repeat(255));
        let table = [
            ("nonsense", "invalid_json syntax"),
            ("", "invalid_json syntax"),
            (r#"{"cid":"c","type":"match.leave""#, "invalid_json syntax"),
            (r#"{"type":"match.leave","payload":{"a":1,"a":2},"cid":"c"}"#, "invalid_json duplicate_key cid=\"c\""),
            (&deep, "invalid_json too_deep cid=\"c\""),
            (
                r#"{"type":"match.input","payload":{"n":9007199254740993},"cid":7}"#,
                "invalid_json integer_too_large cid=7",
            ),
            (r#"{"type":"match.input","payload":{"s":"\ud800"},"cid":[1]}"#, "invalid_json lone_surrogate cid=[1]"),
            (
                r#"{"type":"match.leave","cid":18446744073709551615}"#,
                "invalid_json integer_too_large cid=18446744073709551615",
            ),
            (r#"{"type":"match.leave","cid":"\ud800"}"#, "invalid_json lone_surrogate"),
            (r#"{"type":"match.leave","cid":{"a":1,"a":2}}"#, "invalid_json duplicate_key"),
            ("[]", "invalid_message type"),
            ("7", "invalid_message type"),
            (r#"{"cid":"c"}"#, "invalid_message type cid=\"c\""),
            (r#"{"cid":"c","type":7}"#, "invalid_message type cid=\"c\""),
            (r#"{"cid":null,"type":null}"#, "invalid_message type cid=null"),
            (&long, "invalid_message cid"),
            (r#"{"cid":"c","type":"match.fly"}"#, "unknown_type cid=\"c\""),
            (r#"{"cid":"c","type":"match.fly","payload":7}"#, "unknown_type cid=\"c\""),
            (r#"{"cid":"c","type":"match.leave","payload":7}"#, "invalid_payload cid=\"c\""),
            (r#"{"cid":"c","type":"match.leave","payload":null}"#, "invalid_payload cid=\"c\""),
            (r#"{"cid":"c","type":"rpc.call","payload":7}"#, "not_supported cid=\"c\""),
        ];
        for (text, expected) in table {
            assert_eq!(refusal(text), expected, "{text}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_the_sender() {
        let refused = decode(r#"{"type":"<script>","payload":{"<b>":1}}"#).unwrap_err();
        assert!(!refused.frame().latest.contains('<'));
        assert_eq!(refused.about_type, None);
    }

    #[test]
    fn the_envelope_is_read_whatever_its_order_and_escapes() {
        let request =
            decode(r#" {"payload":{},"seq":5,"x":[],"cid":{"a":[1, 2]},"type":"match\u002eleave"} "#).unwrap();
        assert_eq!((request.msg.kind(), request.seq), ("match.leave", Some(5)));
        assert_eq!(request.cid.unwrap().as_json(), r#"{"a":[1, 2]}"#);
        let bare = decode(r#"{"type":"match.leave"}"#).unwrap();
        assert_eq!((bare.cid, bare.seq), (None, None));
        for seq in ["-1", "1.0", "\"5\"", "null"] {
            assert_eq!(decode(&format!(r#"{{"type":"match.leave","seq":{seq}}}"#)).unwrap().seq, None, "{seq}");
        }
    }

    #[test]
    fn inputs_come_in_three_forms() {
        let input = |payload: &str| match decode(&format!(r#"{{"type":"match.input","payload":{payload}}}"#)) {
            Ok(Request { msg: ClientMsg::MatchInput(input), .. }) => input.0.get().to_owned(),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => refused.refusal.reason.row().word.to_owned(),
        };
        assert_eq!(input(r#"{"x" : 1}"#), r#"{"x" : 1}"#, "as it came");
        assert_eq!(input("{}"), "{}");
        assert_eq!(input(r#"{"data":{"x":1}}"#), r#"{"x":1}"#);
        assert_eq!(input(r#"{"data":" {\"x\":1} "}"#), r#"{"x":1}"#);
        assert_eq!(input(r#"{"data":{"x":1},"y":2}"#), r#"{"data":{"x":1},"y":2}"#, "not the only field");
        assert_eq!(input(r#"{"data":7}"#), r#"{"data":7}"#);
        for payload in
            [r#"{"data":"x"}"#, r#"{"data":"[]"}"#, r#"{"data":"{\"a\":1,\"a\":2}"}"#, "7", "[]", "null", "\"{}\""]
        {
            assert_eq!(input(payload), "invalid_payload", "{payload}");
        }
    }
}
