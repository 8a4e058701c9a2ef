//! The frame: one encoded message that many readers share, and the lane it waits in.
//!
//! Encoding happens once per frame, straight into bytes. The two dialects differ in one field (`sent_at`), so a second
//! buffer exists only for the few frames that carry it.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytestring::ByteString;
use serde::Serialize;
use serde_json::value::RawValue;

pub use crate::engine::sessions::{Lane, SlotKind};

/// Which form of the protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// The newest form: `sent_at` in unix milliseconds.
    #[default]
    Latest,
    /// The April-2026 documentation form: `sent_at` as ISO-8601 text.
    Seed202604,
}

impl Dialect {
    /// The dialect that `session.connect`, `/ws?dialect=` or the configuration names: `latest` or `2026-04`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "latest" => Some(Self::Latest),
            "2026-04" => Some(Self::Seed202604),
            _ => None,
        }
    }

    /// Its name; the inverse of [`Dialect::named`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Seed202604 => "2026-04",
        }
    }
}

/// One encoded message. Cloning copies two reference counts, never the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The text for clients of the latest dialect.
    pub latest: ByteString,
    /// The text for clients of the seed dialect, where it differs.
    pub seed: Option<ByteString>,
    /// How it waits in an outbox.
    pub lane: Lane,
    /// The request of its session that it answers; see [`Cid::of_request`].
    pub answers: Option<NonZeroU64>,
}

impl Frame {
    /// The text for a client of this dialect.
    pub fn text(&self, dialect: Dialect) -> &ByteString {
        match (dialect, &self.seed) {
            (Dialect::Seed202604, Some(seed)) => seed,
            _ => &self.latest,
        }
    }

    /// As [`Frame::text`], where the frame itself is needed no more.
    pub fn into_text(self, dialect: Dialect) -> ByteString {
        match (dialect, self.seed) {
            (Dialect::Seed202604, Some(seed)) => seed,
            _ => self.latest,
        }
    }

    /// The same frame on another lane.
    pub fn on(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }
}

/// A correlation id: any JSON value up to [`CID_BYTES_MAX`](crate::limits::CID_BYTES_MAX) bytes, kept as the text it
/// came in and echoed so. Cheap to clone.
///
/// Many clients use one for everything, so inside the server it also knows the number of the request it came with, and
/// so does every frame that echoes it: which of them answers which is not told by the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cid {
    text: Arc<str>,
    request: Option<NonZeroU64>,
}

impl Cid {
    /// From JSON text that the scanner has accepted and measured.
    pub(super) fn checked(raw: &str) -> Self {
        Self { text: raw.into(), request: None }
    }

    /// A cid for our own clients: the JSON string of `text`.
    pub fn text(text: &str) -> Self {
        Self::checked(&serde_json::to_string(text).unwrap_or_default())
    }

    /// The same, of the session's request of that number: [`Frame::answers`] of what echoes it.
    pub fn of_request(self, number: NonZeroU64) -> Self {
        Self { request: Some(number), ..self }
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        &self.text
    }
}

/// What the server says: one struct per frame type, whose fields are the payload.
pub trait Outbound: Serialize + Sized {
    /// The `type`.
    const KIND: &'static str;

    /// How it waits in an outbox.
    fn lane(&self) -> Lane {
        Lane::Counted
    }

    /// The same for the seed dialect, where its bytes differ.
    fn in_seed(&self) -> Option<Self> {
        None
    }

    /// Encodes it once for everybody: as a reply with a `cid`, as a push without.
    fn frame(&self, cid: Option<&Cid>) -> Frame {
        Frame {
            latest: text(Self::KIND, cid, self),
            seed: self.in_seed().map(|seed| text(Self::KIND, cid, &seed)),
            lane: self.lane(),
            answers: cid.and_then(|cid| cid.request),
        }
    }

    /// Encodes it as a push.
    fn push(&self) -> Frame {
        self.frame(None)
    }
}

/// Encodes `payload` on the counted lane, the same in both dialects.
pub(super) fn encode<T: Serialize + ?Sized>(kind: &str, cid: Option<&Cid>, payload: &T) -> Frame {
    let answers = cid.and_then(|cid| cid.request);
    Frame { latest: text(kind, cid, payload), seed: None, lane: Lane::Counted, answers }
}

/// Wraps a payload that is JSON text already, without reading it. `None` when it is not UTF-8.
pub(super) fn wrap(kind: &str, payload: &[u8], lane: Lane) -> Option<Frame> {
    wrap_beside(kind, None, payload, lane)
}

/// As [`wrap`], with a number of that name beside the payload.
pub(super) fn wrap_beside(kind: &str, beside: Option<(&str, u32)>, payload: &[u8], lane: Lane) -> Option<Frame> {
    let mut out = open(kind, beside, None, payload.len());
    out.extend_from_slice(payload);
    out.push(b'}');
    Some(Frame { latest: String::from_utf8(out).ok()?.into(), seed: None, lane, answers: None })
}

fn text<T: Serialize + ?Sized>(kind: &str, cid: Option<&Cid>, payload: &T) -> ByteString {
    let mut out = open(kind, None, cid, 160);
    // Our payloads are structs with text keys: writing them to memory cannot fail, and if one ever did, the frame
    // would carry no half-written payload.
    let start = out.len();
    if serde_json::to_writer(&mut out, payload).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"{}");
    }
    close(out)
}

/// JSON text that we wrote, as a value; `null` for text that is not JSON, which ours always is.
pub(super) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn open(kind: &str, beside: Option<(&str, u32)>, cid: Option<&Cid>, payload_len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + kind.len() + cid.map_or(0, |cid| cid.text.len()) + payload_len);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    if let Some((name, number)) = beside {
        out.extend_from_slice(format!(",\"{name}\":{number}").as_bytes());
    }
    if let Some(cid) = cid {
        out.extend_from_slice(b",\"cid\":");
        out.extend_from_slice(cid.text.as_bytes());
    }
    out.extend_from_slice(b",\"payload\":");
    out
}

fn close(mut out: Vec<u8>) -> ByteString {
    out.push(b'}');
    // Everything written above is UTF-8; the check costs tens of nanoseconds and keeps `unsafe` out.
    String::from_utf8(out).unwrap_or_default().into()
}
