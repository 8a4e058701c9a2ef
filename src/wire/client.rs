//! The other end: what a client of this server writes and reads. The demo, scenarios and the load generator are such
//! clients; they know nothing of the server but this module and an address.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::frame::Cid;
use super::messages::ServerMsg;

/// A frame whose type and cid are known and whose payload is still text. Reading this much is cheap: a client that
/// follows a thousand states looks into few of them.
#[derive(Debug, Clone, Deserialize)]
pub struct Incoming<'a> {
    /// Its `type`.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// The `cid` it answers.
    #[serde(borrow, default)]
    pub cid: Option<&'a RawValue>,
    /// The payload.
    #[serde(borrow)]
    pub payload: &'a RawValue,
}

/// The types that a newer frame replaces, and the two that belong to a connection and not to the session: everything
/// else is counted for a resume.
const UNCOUNTED: &[&str] = &[
    "match.state",
    "match.ack",
    "match.vote_tally",
    "matchmaker.status",
    "server.lag",
    "chat.typing",
    "session.heartbeat",
    "session.connected",
];

impl<'a> Incoming<'a> {
    /// Reads the outside of a frame.
    ///
    /// # Errors
    /// When the text is no frame: not JSON, no `type`, no `payload`.
    pub fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Whether a resume counts it, given that it came after `session.connected`.
    pub fn is_counted(&self) -> bool {
        !UNCOUNTED.contains(&&*self.kind)
    }

    /// The cid, kept.
    pub fn cid(&self) -> Option<Cid> {
        self.cid.map(|cid| Cid::checked(cid.get()))
    }

    /// Reads the payload into its type.
    ///
    /// # Errors
    /// When a type we know has a payload we do not.
    pub fn message(&self) -> Result<ServerMsg, serde_json::Error> {
        ServerMsg::read(&self.kind, self.payload)
    }
}

/// Reads a whole frame.
///
/// # Errors
/// As [`Incoming::read`] and [`Incoming::message`].
pub fn decode(text: &str) -> Result<(Option<Cid>, ServerMsg), serde_json::Error> {
    let incoming = Incoming::read(text)?;
    Ok((incoming.cid(), incoming.message()?))
}

/// Writes a message of either direction.
pub(super) fn encode<T: Serialize + ?Sized>(kind: &str, cid: Option<&Cid>, seq: Option<u64>, payload: &T) -> String {
    let cid = cid.map(|cid| format!(",\"cid\":{}", cid.as_json())).unwrap_or_default();
    let seq = seq.map(|seq| format!(",\"seq\":{seq}")).unwrap_or_default();
    let kind = serde_json::to_string(kind).unwrap_or_default();
    let payload = serde_json::to_string(payload).unwrap_or_else(|_| "{}".into());
    format!("{{\"type\":{kind}{cid}{seq},\"payload\":{payload}}}")
}
