//! What the server, an operator or a game tells a player outside any of the other nouns.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::frame::{Dialect, Lane, Outbound, SlotKind};
use super::time::SentAt;
use crate::ids::{MatchId, NotificationId};

/// `notification.new`: something that waits until it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// What kind: `announcement`, or a game's own word.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line.
    pub subject: String,
    /// Any JSON.
    pub content: Box<RawValue>,
    /// When, by the server's clock.
    pub sent_at: SentAt,
}

impl Outbound for Notification {
    const KIND: &'static str = "notification.new";
    fn in_seed(&self) -> Option<Self> {
        Some(Self { sent_at: SentAt::of(self.sent_at.unix_ms(), Dialect::Seed202604), ..self.clone() })
    }
}

/// `module.message`: a word from the game to one player. `game.send` of a script arrives with `module: "lua"`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModuleMessage {
    /// Who says it.
    pub module: Cow<'static, str>,
    /// Any JSON.
    pub message: Box<RawValue>,
}

impl Outbound for ModuleMessage {
    const KIND: &'static str = "module.message";
}

/// `module.error`: a script failed on what this player sent, told only on servers that say so (`server.dev_errors`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleError {
    /// Who failed: `lua`.
    pub module: Cow<'static, str>,
    /// In which callback.
    pub callback: Cow<'static, str>,
    /// The file, relative to the games folder.
    pub script: String,
    /// The line, from 1, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What it said.
    pub message: String,
}

impl Outbound for ModuleError {
    const KIND: &'static str = "module.error";
}

/// `server.lag`: a match runs late, and the client may want to smooth over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Which match.
    pub match_id: MatchId,
    /// How far its last tick was behind, in milliseconds.
    pub behind_ms: u64,
    /// How many ticks it has skipped so far.
    pub skipped_ticks: u64,
}

impl Outbound for Lag {
    const KIND: &'static str = "server.lag";
    fn lane(&self) -> Lane {
        Lane::Latest(SlotKind::ServerLag, self.match_id.as_u128())
    }
}
