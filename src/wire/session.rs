//! Signing in, staying alive, and what a client is told when its missed frames are gone.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::chat::History;
use super::decode::Fields;
use super::error::Refusal;
use super::frame::{Cid, Dialect, Lane, Outbound};
use super::matches::Joined;
use super::matchmaking::Waiting;
use super::messages::Inbound;
use crate::ids::{PlayerId, SessionId};

/// `session.connect`: who is there, and what they already have.
#[derive(Debug, Clone, Serialize)]
pub struct Connect {
    /// The access token.
    pub token: String,
    /// The dialect it asks for.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "dialect_name")]
    pub dialect: Option<Dialect>,
    /// The session it wants to go on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// The encoding it asks for: `json` or `delta`. What it gets is said by [`Connected`]; what we do not know is `json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire: Option<String>,
}

impl Connect {
    /// Whether it asks for states as what changed.
    pub fn wants_deltas(&self) -> bool {
        self.wire.as_deref() == Some(DELTA)
    }
}

/// The plain encoding, the default.
const PLAIN: &str = "json";
/// `match.state` whole every so often, and as merge patches in between.
const DELTA: &str = "delta";

/// What a returning client has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resume {
    /// Which session; `None` for text that cannot name one, which resumes nothing.
    pub session_id: Option<SessionId>,
    /// How many counted frames of it have arrived, over all its connections.
    pub received: u64,
}

fn dialect_name<S: serde::Serializer>(dialect: &Option<Dialect>, to: S) -> Result<S::Ok, S::Error> {
    dialect.map(Dialect::name).serialize(to)
}

impl Inbound for Connect {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Sent {
            session_id: Option<String>,
            received: u64,
        }
        fields.whole()?;
        let token = fields.text("token")?;
        let dialect = fields.opt_text("dialect")?;
        let resume = fields.opt("resume").map(|resume| -> Result<Resume, Refusal> {
            let sent: Sent = serde_json::from_str(resume)
                .map_err(|_| Refusal::invalid("resume", "an object with session_id and received"))?;
            Ok(Resume { session_id: sent.session_id.and_then(|id| id.parse().ok()), received: sent.received })
        });
        Ok(Self {
            token,
            dialect: dialect
                .map(|name| {
                    Dialect::named(&name).ok_or_else(|| Refusal::invalid("dialect", "\"2026-04\" or \"latest\""))
                })
                .transpose()?,
            resume: resume.transpose()?,
            wire: fields.opt_text("wire")?,
        })
    }
}

/// `session.heartbeat` as a client sends it, and every other message without fields.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Nothing {}

impl Inbound for Nothing {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        Ok(Self {})
    }
}

/// `session.connected`: the session that this connection now speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// Who signed in.
    pub player_id: PlayerId,
    /// What to resume later.
    pub session_id: SessionId,
    /// The encoding in use: `json`, or `delta` where that was asked for.
    pub wire: Cow<'static, str>,
    /// Whether everything missed follows; if not, a [`Snapshot`] does where a resume was asked for.
    pub resumed: bool,
    /// Unix milliseconds of the server's clock.
    pub server_time: u64,
}

impl Connected {
    /// The reply to a connect at `unix_ms`.
    pub fn new(player_id: PlayerId, session_id: SessionId, deltas: bool, resumed: bool, unix_ms: u64) -> Self {
        let wire = if deltas { DELTA } else { PLAIN };
        Self { player_id, session_id, wire: wire.into(), resumed, server_time: unix_ms }
    }
}

impl Outbound for Connected {
    const KIND: &'static str = "session.connected";
    fn lane(&self) -> Lane {
        Lane::Uncounted
    }
}

/// `session.heartbeat` as the server answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Unix milliseconds of the server's clock.
    pub ts: u64,
}

impl Outbound for Heartbeat {
    const KIND: &'static str = "session.heartbeat";
    fn lane(&self) -> Lane {
        Lane::Uncounted
    }
}

/// `session.snapshot`: everything a client needs when what it missed cannot be replayed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// The matches it is in, as a join would tell them.
    pub matches: Vec<Joined>,
    /// The channels it is in.
    pub channels: Vec<History>,
    /// The tickets it waits on.
    pub tickets: Vec<Waiting>,
}

impl Outbound for Snapshot {
    const KIND: &'static str = "session.snapshot";
    fn in_seed(&self) -> Option<Self> {
        let mut seed = self.clone();
        let mut differs = false;
        for channel in &mut seed.channels {
            differs |= channel.date_for(Dialect::Seed202604);
        }
        differs.then_some(seed)
    }
}

/// `error`: something was refused. See [`Refusal`] for how the server writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Error {
    /// The flat word.
    pub reason: String,
    /// The error object.
    pub error: ErrorObject,
    /// The type of the message that caused it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl Outbound for Error {
    const KIND: &'static str = "error";
}

/// The error object of the socket, of remote calls and of REST.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorObject {
    /// What clients branch on.
    pub code: String,
    /// For a person.
    pub message: String,
    /// An object, `{}` when there is nothing to add.
    pub details: Box<RawValue>,
}
