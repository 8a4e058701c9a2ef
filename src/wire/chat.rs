//! Chat: channels, what is said in them, and messages from one player to another.
//!
//! Contents and channel names are the engine's to judge: here they are text.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::decode::Fields;
use super::error::{Reason, Refusal};
use super::frame::{Cid, Dialect, Lane, Outbound, SlotKind};
use super::messages::Inbound;
use super::time::SentAt;
use crate::ids::{MessageId, PlayerId};

macro_rules! channel_only {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub struct $name {
            /// The channel.
            pub channel_id: String,
        }

        impl Inbound for $name {
            fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
                fields.whole()?;
                Ok(Self { channel_id: fields.text("channel_id")? })
            }
        }
    )+};
}

channel_only! {
    /// `chat.join`: hears a channel from now on.
    Join;
    /// `chat.leave`: and no longer.
    Leave;
    /// `chat.typing`: is writing something.
    Typing;
}

/// `chat.send`: says something in a joined channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Send {
    /// Where.
    pub channel_id: String,
    /// What.
    pub content: String,
}

impl Inbound for Send {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        Ok(Self { channel_id: fields.text("channel_id")?, content: fields.text("content")? })
    }
}

/// `chat.edit`: says it differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// Where.
    pub channel_id: String,
    /// Which message.
    pub message_id: MessageId,
    /// The new text.
    pub content: String,
}

impl Inbound for Edit {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        Ok(Self {
            channel_id: fields.text("channel_id")?,
            message_id: fields.id("message_id", Reason::MessageNotFound)?,
            content: fields.text("content")?,
        })
    }
}

/// `chat.delete`: takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delete {
    /// Where.
    pub channel_id: String,
    /// Which message.
    pub message_id: MessageId,
}

impl Inbound for Delete {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        Ok(Self {
            channel_id: fields.text("channel_id")?,
            message_id: fields.id("message_id", Reason::MessageNotFound)?,
        })
    }
}

/// `dm.send`: a message for one player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DmSend {
    /// For whom.
    pub recipient_id: PlayerId,
    /// What.
    pub content: String,
}

impl Inbound for DmSend {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        // Both fields are looked at before either is doubted: what is missing is said first.
        let content = fields.text("content");
        let recipient_id = fields.text("recipient_id")?;
        let content = content?;
        let recipient_id = recipient_id.parse().map_err(|_| Reason::PlayerNotFound)?;
        Ok(Self { recipient_id, content })
    }
}

/// `chat.joined`: the reply to a join, with what was said lately where the channel keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The channel.
    pub channel_id: String,
    /// The latest messages, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<Message>>,
}

impl Outbound for Joined {
    const KIND: &'static str = "chat.joined";
    fn in_seed(&self) -> Option<Self> {
        let history = self.history.as_ref().filter(|history| !history.is_empty())?;
        Some(Self { history: Some(history.iter().map(Message::seeded).collect()), ..self.clone() })
    }
}

/// A channel and what was said in it, as a snapshot shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The channel.
    pub channel_id: String,
    /// The latest messages, oldest first.
    pub history: Vec<Message>,
}

impl History {
    /// Dates every message as `dialect` does; whether there was any.
    pub(super) fn date_for(&mut self, dialect: Dialect) -> bool {
        for message in &mut self.history {
            message.sent_at = SentAt::of(message.sent_at.unix_ms(), dialect);
        }
        !self.history.is_empty()
    }
}

/// `chat.left`: the reply to a leave, whether or not one was in the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The channel.
    pub channel_id: String,
}

impl Outbound for Left {
    const KIND: &'static str = "chat.left";
}

macro_rules! about_message {
    ($($(#[$doc:meta])* $name:ident $kind:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// The channel.
            pub channel_id: String,
            /// The message.
            pub message_id: MessageId,
        }

        impl Outbound for $name {
            const KIND: &'static str = $kind;
        }
    )+};
}

about_message! {
    /// `chat.sent`: the message is in the store. Only to senders that gave a `cid`.
    Sent "chat.sent";
    /// `chat.deleted`: a message was taken back.
    Deleted "chat.deleted";
    /// `dm.sent`: the message is in the store; the channel is the one both sides share.
    DmSent "dm.sent";
}

macro_rules! said {
    ($($(#[$doc:meta])* $name:ident $kind:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// Where.
            pub channel_id: String,
            /// The message's own id.
            pub message_id: MessageId,
            /// A player's id, or `server`.
            pub sender_id: String,
            /// What.
            pub content: String,
            /// When, by the server's clock.
            pub sent_at: SentAt,
        }

        impl $name {
            /// The same for a client of the seed dialect.
            fn seeded(&self) -> Self {
                Self { sent_at: SentAt::of(self.sent_at.unix_ms(), Dialect::Seed202604), ..self.clone() }
            }
        }

        impl Outbound for $name {
            const KIND: &'static str = $kind;
            fn in_seed(&self) -> Option<Self> {
                Some(self.seeded())
            }
        }
    )+};
}

said! {
    /// `chat.message`: something was said in a channel.
    Message "chat.message";
    /// `dm.message`: and to one player alone.
    DmMessage "dm.message";
}

/// `chat.updated`: a message reads differently now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// Where.
    pub channel_id: String,
    /// Which.
    pub message_id: MessageId,
    /// The new text.
    pub content: String,
}

impl Outbound for Updated {
    const KIND: &'static str = "chat.updated";
}

/// `chat.typing`: a member is writing something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsTyping {
    /// Where.
    pub channel_id: String,
    /// Who.
    pub player_id: PlayerId,
}

impl Outbound for IsTyping {
    const KIND: &'static str = "chat.typing";
    fn lane(&self) -> Lane {
        let digest = Sha256::new().chain_update(&self.channel_id).chain_update(self.player_id.as_u128().to_be_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest.finalize()[..16]);
        Lane::Latest(SlotKind::ChatTyping, u128::from_be_bytes(key))
    }
}
