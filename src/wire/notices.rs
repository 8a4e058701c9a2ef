//! What the server, an operator or a game tells a player outside any of the other nouns.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::frame::{Dialect, Lane, Outbound, SlotKind};
use super::time::SentAt;
use crate::ids::NotificationId;

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

/// `server.lag`: ticks have been late for a while, and what the server does about it. Told when it begins, when what is
/// shed changes, every few seconds meanwhile, and once with `lagging: false` when it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Whether ticks are late.
    pub lagging: bool,
    /// The 99th percentile of how late they were in the last window, microseconds.
    pub lateness_us: u64,
    /// What of that would still be on time, microseconds.
    pub budget_us: u64,
    /// What the server does without for now, in the order in which it was given up: `new_matches`, `spectators`,
    /// `replaceable_frames`.
    pub shedding: Vec<Cow<'static, str>>,
}

impl Outbound for Lag {
    const KIND: &'static str = "server.lag";
    fn lane(&self) -> Lane {
        Lane::Latest(SlotKind::ServerLag, 0)
    }
}
