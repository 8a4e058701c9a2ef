//! Presence: what a player wants others to know, and what one knows of others.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::decode::Fields;
use super::error::Refusal;
use super::frame::{Cid, Outbound};
use super::messages::Inbound;
use crate::engine::chat::is_plain;
use crate::ids::PlayerId;
use crate::limits::{METADATA_BYTES_MAX, STATUS_BYTES_MAX};

/// `presence.update`: one's own status.
#[derive(Debug, Clone, Serialize)]
pub struct Update {
    /// `online` unless said; `away`, `in_game`, `busy`, `invisible`, or any other word.
    pub status: String,
    /// Whatever friends should see beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
}

impl Inbound for Update {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        let status = fields.opt_text("status")?.unwrap_or_else(|| "online".into());
        if status.is_empty() || status.len() > STATUS_BYTES_MAX || !is_plain(&status) {
            return Err(Refusal::invalid("status", "1 to 32 bytes without control or bidi characters"));
        }
        let metadata = fields.opt_object("metadata", METADATA_BYTES_MAX, "an object of at most 1024 bytes")?;
        Ok(Self { status, metadata })
    }
}

macro_rules! player_list {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub struct $name {
            /// Whom.
            pub player_ids: Vec<PlayerId>,
        }

        impl Inbound for $name {
            fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
                fields.whole()?;
                let ids: Option<Vec<PlayerId>> = serde_json::from_str::<Vec<String>>(fields.must("player_ids")?)
                    .ok()
                    .and_then(|ids| ids.iter().map(|id| id.parse().ok()).collect());
                ids.map(|player_ids| Self { player_ids })
                    .ok_or_else(|| Refusal::invalid("player_ids", "a list of player ids"))
            }
        }
    )+};
}

player_list! {
    /// `presence.subscribe`: hears of these players from now on.
    Subscribe;
    /// `presence.unsubscribe`: and no longer.
    Unsubscribe;
}

/// `presence.updated`: the reply to an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// The status as it is now.
    pub status: String,
}

impl Outbound for Updated {
    const KIND: &'static str = "presence.updated";
}

/// `presence.changed`: another player's status, and an entry of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changed {
    /// Whose.
    pub player_id: PlayerId,
    /// What they say, or `offline`.
    pub status: String,
    /// And what they show beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
}

impl Outbound for Changed {
    const KIND: &'static str = "presence.changed";
}

/// `presence.snapshot`: how everybody stands whom one has subscribed to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// One entry each.
    pub players: Vec<Changed>,
}

impl Outbound for Snapshot {
    const KIND: &'static str = "presence.snapshot";
}
