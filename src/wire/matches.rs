//! Matches: finding, joining, playing, leaving, and what everybody in one is told.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::decode::{Fields, as_bool, as_raw, as_text};
use super::error::{Reason, Refusal};
use super::frame::{Cid, Frame, Lane, Outbound, SlotKind, wrap, wrap_beside};
use super::messages::Inbound;
use super::scan::{is_object, scan};
pub use crate::engine::matches::events::RESERVED_LEAVES;
pub(super) use crate::engine::matches::events::is_leaf;
use crate::ids::{MatchId, PlayerId};
use crate::limits::{EVENT_BYTES_MAX, MODE_BYTES_MAX};

/// `match.list`: which live matches there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct List {
    /// Only of this mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `true`: only with a free place. `false` asks for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_capacity: Option<bool>,
    /// `true`: only those that take players; `false`: only those that do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joinable: Option<bool>,
}

impl Inbound for List {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        let flag = |name, wrong: Reason| fields.opt(name).map(|v| as_bool(v).ok_or(wrong)).transpose();
        let mode = fields.opt("mode").map(|v| as_text(v).filter(|mode| mode.len() <= MODE_BYTES_MAX));
        Ok(Self {
            mode: mode.map(|mode| mode.ok_or(Reason::InvalidModeFilter)).transpose()?,
            has_capacity: flag("has_capacity", Reason::InvalidCapacityFilter)?,
            joinable: flag("joinable", Reason::InvalidJoinableFilter)?,
        })
    }
}

/// `match.create`: a match of one's own.
#[derive(Debug, Clone, Serialize)]
pub struct Create {
    /// Of which mode.
    pub mode: String,
    /// What the game is told about the creator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<JoinCtx>,
    /// Whether only a join code opens it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
}

impl Inbound for Create {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        Ok(Self {
            mode: fields.text("mode")?,
            ctx: JoinCtx::of(fields)?,
            private: fields.opt_bool("private")?.unwrap_or(false),
        })
    }
}

/// `match.find_or_create`: any open match of a mode, or a new one.
#[derive(Debug, Clone, Serialize)]
pub struct FindOrCreate {
    /// Of which mode.
    pub mode: String,
    /// What the game is told about the player.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<JoinCtx>,
}

impl Inbound for FindOrCreate {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        Ok(Self { mode: fields.text("mode")?, ctx: JoinCtx::of(fields)? })
    }
}

/// `match.join`: into one match.
#[derive(Debug, Clone, Serialize)]
pub struct Join {
    /// Which match.
    #[serde(flatten)]
    pub door: Door,
    /// What the game is told about the player.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<JoinCtx>,
    /// In which role.
    #[serde(rename = "as", skip_serializing_if = "Role::is_player")]
    pub role: Role,
}

/// How a joiner names a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Door {
    /// By its id, which opens public matches only.
    #[serde(rename = "match_id")]
    Id(MatchId),
    /// By a code, which opens a private one too. Where both are sent, the code counts.
    #[serde(rename = "join_code")]
    Code(String),
}

/// In which role a joiner comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// With a seat.
    #[default]
    Player,
    /// Watching.
    Spectator,
}

impl Role {
    fn is_player(&self) -> bool {
        *self == Role::Player
    }
}

impl Inbound for Join {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        let door = match fields.opt_text("join_code")? {
            Some(code) => Door::Code(code),
            None => Door::Id(fields.id("match_id", Reason::MatchNotFound)?),
        };
        let role = match fields.opt("as") {
            None | Some("\"player\"") => Role::Player,
            Some("\"spectator\"") => Role::Spectator,
            Some(_) => return Err(Refusal::invalid("as", "\"player\" or \"spectator\"")),
        };
        Ok(Self { door, ctx: JoinCtx::of(fields)?, role })
    }
}

/// What a client tells a game with its join: a flat object, checked, and passed on as it came. Nobody but the game
/// reads it.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct JoinCtx(Box<RawValue>);

impl JoinCtx {
    /// Keys of a context. Over: `join_ctx_too_many_keys`.
    pub const KEYS_MAX: usize = 8;
    /// Bytes of a key. Over: `join_ctx_key_too_long`.
    pub const KEY_BYTES_MAX: usize = 64;
    /// Bytes of a string. Over: `join_ctx_value_too_long`.
    pub const VALUE_BYTES_MAX: usize = 256;

    /// The object, as it came.
    pub fn get(&self) -> &RawValue {
        &self.0
    }

    /// A context of our own making, held to the same rules.
    pub fn new(ctx: &str) -> Result<Self, Refusal> {
        let found = scan(ctx);
        if found.fault.is_some() || !ctx.starts_with('{') {
            return Err(Reason::InvalidJoinCtx.into());
        }
        if found.envelope.len() > Self::KEYS_MAX {
            return Err(Reason::JoinCtxTooManyKeys.into());
        }
        for (key, value) in &found.envelope {
            if key.is_empty() {
                return Err(Reason::InvalidJoinCtxKey.into());
            }
            if key.len() > Self::KEY_BYTES_MAX {
                return Err(Reason::JoinCtxKeyTooLong.into());
            }
            match as_text(value) {
                Some(text) if text.len() > Self::VALUE_BYTES_MAX => return Err(Reason::JoinCtxValueTooLong.into()),
                Some(_) => {}
                None if as_bool(value).is_some() || value.parse::<i64>().is_ok() => {}
                None => return Err(Reason::InvalidJoinCtxValue.into()),
            }
        }
        as_raw(ctx).map(Self).ok_or_else(|| Reason::InvalidJoinCtx.into())
    }

    fn of(fields: &Fields<'_>) -> Result<Option<Self>, Refusal> {
        fields.opt("ctx").map(Self::new).transpose()
    }
}

/// `match.input`: what a player does. The payload is the input itself, a JSON object as it came.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Input(pub Box<RawValue>);

impl Inbound for Input {
    /// Two older forms wrap the input in a sole field `data`: as an object, or as JSON text in a string.
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        let whole = fields.whole()?;
        let input = match fields.sole("data") {
            Some(object) if object.starts_with('{') => as_raw(object),
            Some(quoted) if quoted.starts_with('"') => {
                as_text(quoted).filter(|text| is_object(text)).and_then(|text| as_raw(text.trim()))
            }
            _ => as_raw(whole),
        };
        input.map(Self).ok_or_else(|| Reason::InvalidPayload.into())
    }
}

/// `match.list` as the server answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The matches, newest first.
    pub matches: Vec<Listed>,
}

impl Outbound for Listing {
    const KIND: &'static str = "match.list";
}

/// One match of a list. Who is in it is for those who join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its id.
    pub match_id: MatchId,
    /// Its mode.
    pub mode: String,
    /// `waiting`, `running`, `paused` or `finished`.
    pub status: Cow<'static, str>,
    /// Seats taken.
    pub player_count: u32,
    /// Seats.
    pub max_players: u32,
    /// Whether it takes players now.
    pub joinable: bool,
}

/// `match.joined`: the reply to a join, a create or a find, and an entry of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Joined {
    /// Its id.
    pub match_id: MatchId,
    /// Its mode.
    pub mode: String,
    /// `waiting`, `running`, `paused` or `finished`.
    pub status: Cow<'static, str>,
    /// Seats taken.
    pub player_count: u32,
    /// Seats.
    pub max_players: u32,
    /// Who has one, in order of joining.
    pub players: Vec<PlayerId>,
    /// Those of them that are bots; left out where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bots: Vec<PlayerId>,
    /// Whether `match.list` shows it.
    pub listed: bool,
    /// Whether it takes players now.
    pub joinable: bool,
    /// Ticks per second.
    pub tick_hz: u32,
    /// Votes open in it, with the reader's own ballot: each reads as an [`OpenVote`](super::votes::OpenVote).
    pub open_votes: Vec<Box<RawValue>>,
    /// What opens it, if it is private and the reader may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_code: Option<String>,
    /// The reader's role, said only to spectators.
    #[serde(default, rename = "as", skip_serializing_if = "Role::is_player")]
    pub role: Role,
}

impl Outbound for Joined {
    const KIND: &'static str = "match.joined";
}

/// `match.left`: the reply to a leave, whether or not one was in a match; as a push, that a seat was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Always true.
    pub success: bool,
    /// Why, if it was not by choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Default for Left {
    fn default() -> Self {
        Self { success: true, reason: None }
    }
}

impl Left {
    /// The push to somebody whose seat was taken away.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { success: true, reason: Some(reason.into()) }
    }
}

impl Outbound for Left {
    const KIND: &'static str = "match.left";
}

/// `match.ack`: the highest numbered input that has been applied. Only to senders that number theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// In which match.
    pub match_id: MatchId,
    /// The number of the input.
    pub seq: u64,
    /// The tick that applied it.
    pub tick: u64,
}

impl Outbound for Ack {
    const KIND: &'static str = "match.ack";
    fn lane(&self) -> Lane {
        Lane::Latest(SlotKind::MatchAck, self.match_id.as_u128())
    }
}

/// `match.matched`: the matchmaker found a match, and its players are seated already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// Which match.
    pub match_id: MatchId,
    /// Everybody in it.
    pub players: Vec<PlayerId>,
}

impl Outbound for Matched {
    const KIND: &'static str = "match.matched";
}

impl Matched {
    /// `match.matched` and `matchmaker.matched`: old and new clients each know one of the names.
    pub fn frames(&self) -> [Frame; 2] {
        [self.push(), super::frame::encode("matchmaker.matched", None, self)]
    }
}

/// `match.started`: play begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Which match.
    pub match_id: MatchId,
    /// Everybody in it.
    pub players: Vec<PlayerId>,
}

impl Outbound for Started {
    const KIND: &'static str = "match.started";
}

/// `match.finished`: a match is over, however it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finished {
    /// Which match.
    pub match_id: MatchId,
    /// What the game or the server says about the end.
    pub result: Box<RawValue>,
}

impl Outbound for Finished {
    const KIND: &'static str = "match.finished";
}

macro_rules! about_player {
    ($($(#[$doc:meta])* $name:ident $kind:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// In which match.
            pub match_id: MatchId,
            /// Who.
            pub player_id: PlayerId,
            $(
                $(#[$field_doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl Outbound for $name {
            const KIND: &'static str = $kind;
        }
    )+};
}

about_player! {
    /// `match.player_joined`: somebody took a seat.
    PlayerJoined "match.player_joined" {
        /// Seats taken now.
        player_count: u32,
        /// True for a bot; left out for people.
        bot: bool,
        /// What the bot is called.
        name: String,
    }
    /// `match.player_left`: a seat is free, or a bot plays on in it.
    PlayerLeft "match.player_left" {
        /// Why, if it was not by choice: `kicked`, `idle`, `disconnected` (the session was ended), or, after a lost
        /// connection, `expired`, `forfeited`, `bot`; the player who comes back too late reads the same.
        reason: Cow<'static, str>,
        /// Seats taken now.
        player_count: u32,
        /// Said to that player alone: whether a join takes the seat back from the bot.
        seat_kept: bool,
    }
    /// `match.player_disconnected`: a connection is gone, the seat is held.
    PlayerDisconnected "match.player_disconnected" {
        /// For how many milliseconds.
        grace_ms: u64,
    }
    /// `match.player_resumed`: and is back.
    PlayerResumed "match.player_resumed" {}
}

/// The `match.state` frame around a view that is JSON already: no wrapper, nothing forced in, nothing encoded again.
/// `None` when the view is not UTF-8, which only a faulty game writes.
pub fn state_frame(match_id: MatchId, view: &[u8]) -> Option<Frame> {
    wrap("match.state", view, Lane::Latest(SlotKind::MatchState, match_id.as_u128()))
}

/// As [`state_frame`], for viewers of deltas: its number stands beside the payload as `full`.
pub fn whole_state_frame(match_id: MatchId, number: u32, view: &[u8]) -> Option<Frame> {
    let lane = Lane::Latest(SlotKind::MatchState, match_id.as_u128());
    wrap_beside("match.state", Some(("full", number)), view, lane)
}

/// What changed since the whole state of number `base`, which stands beside the payload; the payload is an RFC 7396 merge
/// patch.
pub fn delta_frame(match_id: MatchId, base: u32, patch: &[u8]) -> Option<Frame> {
    let lane = Lane::Latest(SlotKind::MatchDelta, match_id.as_u128());
    wrap_beside("match.state", Some(("base", base)), patch, lane)
}

/// Why a game's event is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// The leaf is not 1 to 64 of `[A-Za-z0-9_-]`.
    #[error("an event's name must be 1 to 64 of A-Z a-z 0-9 _ -")]
    Leaf,
    /// The leaf is one of [`RESERVED_LEAVES`].
    #[error("this event's name is the server's own")]
    Reserved,
    /// The payload is larger than [`EVENT_BYTES_MAX`].
    #[error("an event's payload must be at most 65536 bytes")]
    TooLarge,
}

/// The `match.<leaf>` frame of a game's own event.
pub fn event_frame(leaf: &str, payload: &RawValue) -> Result<Frame, EventFault> {
    if !is_leaf(leaf) {
        return Err(EventFault::Leaf);
    }
    if RESERVED_LEAVES.contains(&leaf) {
        return Err(EventFault::Reserved);
    }
    if payload.get().len() > EVENT_BYTES_MAX {
        return Err(EventFault::TooLarge);
    }
    wrap(&format!("match.{leaf}"), payload.get().as_bytes(), Lane::Counted).ok_or(EventFault::TooLarge)
}
