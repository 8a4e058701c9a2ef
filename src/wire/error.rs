//! The closed table of everything that can be refused: the flat word old clients read, the namespaced code new ones
//! branch on, the HTTP status, the sentence for a person, whether trying again can help, and whether the connection
//! closes. Logs and metrics use the same codes.
//!
//! A new refusal is one line in `reasons!`. Text from a client or a script never becomes a word or a code; at most it
//! is a detail.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::frame::{Cid, Frame, encode};

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The flat word: `payload.reason`. Two rows may share one where asobi's clients expect it.
    pub word: &'static str,
    /// The contract: `error.code`, namespaced, or bare where it cuts across.
    pub code: &'static str,
    /// The HTTP status of the same refusal over REST.
    pub status: u16,
    /// For a person; clients must not parse it.
    pub message: &'static str,
    /// Whether the same request may succeed later without being changed.
    pub retryable: bool,
    /// The WebSocket close code that follows, if the connection does not survive.
    pub closes: Option<u16>,
}

macro_rules! reasons {
    ($($name:ident $word:literal $code:literal $status:literal $retry:ident $closes:expr, $message:literal;)+) => {
        /// Everything that can be refused; see [`Reason::row`] for what each says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = concat!("`", $word, "`: `", $message, "`")] $name,)+
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &[Reason] = &[$(Reason::$name),+];

            /// Its line of the table.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Reason::$name => &Row {
                        word: $word,
                        code: $code,
                        status: $status,
                        message: $message,
                        retryable: reasons!(@ $retry),
                        closes: $closes,
                    },)+
                }
            }
        }
    };
    (@ later) => { true };
    (@ never) => { false };
}

reasons! {
    // Frames
    InvalidJson "invalid_json" "invalid_json" 400 never None, "The text is not JSON we accept: one value, nesting up to 32, no key twice, whole numbers within 2^53; see details.problem and details.at";
    InvalidMessage "invalid_message" "invalid_message" 400 never None, "A message is an object with a string `type`, and a `cid` of at most 256 bytes if any";
    InvalidPayload "invalid_payload" "invalid_payload" 400 never None, "`payload` must be a JSON object";
    MissingField "missing_field" "missing_field" 400 never None, "The payload lacks the field named in details.field";
    InvalidField "invalid_field" "invalid_field" 400 never None, "The field named in details.field is not what details.expected says";
    UnknownType "unknown_type" "unknown_type" 400 never None, "No message has this `type`; see the README for those there are";
    NotSupported "not_supported" "not_supported" 501 never None, "This server knows the message but does not serve it";
    BinaryUplink "binary_uplink_unsupported" "binary_uplink_unsupported" 400 never None, "Send text frames; binary ones are not read";
    RequestTimeout "request_timeout" "request_timeout" 408 later None, "The body of the request did not arrive in time; send it at once";
    PayloadTooLarge "payload_too_large" "payload_too_large" 413 never None, "The message is larger than this server reads; see details.bytes_max where given";
    FrameTooLarge "payload_too_large" "payload_too_large" 413 never Some(1009), "The frame is far larger than this server reads";
    // Who and how often
    Unauthenticated "unauthenticated" "unauthenticated" 401 never None, "Sign in first: send session.connect, or a Bearer access token over HTTP";
    NotOperator "unauthenticated" "unauthenticated" 401 never None, "Only operators come in here: send the operators' token as a Bearer token; the one that was sent, if any, is not it";
    InvalidToken "invalid_token" "unauthenticated" 401 never None, "The access token is wrong or has expired; refresh it, or sign in again";
    SessionRevoked "session_revoked" "auth.session_revoked" 401 never Some(1008), "This session was signed out; sign in again";
    SessionReplaced "session_replaced" "auth.session_replaced" 409 never Some(1008), "Another connection goes on with this session";
    IdleAuthTimeout "idle_auth_timeout" "auth.idle_timeout" 401 later Some(1008), "No session.connect arrived in time";
    Banned "banned" "auth.banned" 403 never Some(1008), "This account is banned; see details.reason and details.until_ms where given";
    Kicked "kicked" "auth.kicked" 403 later Some(1008), "An operator ended this session; see details.reason where given";
    Forbidden "forbidden" "forbidden" 403 never None, "The caller may not do this";
    NotAuthorized "not_authorized" "forbidden" 403 never None, "You are not in this channel; chat.join lets you in, or says why it does not";
    NotLetIn "not_authorized" "forbidden" 403 never None, "This channel is not open to you: a room's members are named by its game or an operator, a match's channel is for who plays or watches it (and may be read over HTTP afterwards by those who played), a direct one is for its two players";
    OriginRejected "origin_rejected" "origin_rejected" 403 never None, "This Origin is not on the server's allowlist";
    RateLimited "rate_limited" "rate_limited" 429 later None, "Too many requests; wait `retry_ms` milliseconds, where that is given, and send it again";
    Flood "rate_limited" "rate_limited" 429 later Some(1008), "Far too many messages for too long";
    JoinRateLimited "join_rate_limited" "join_rate_limited" 429 later None, "Too many joins; wait before the next";
    Busy "busy" "busy" 503 later None, "The server is too busy to take this now; retry shortly";
    Draining "draining" "draining" 503 later Some(1012), "The server is restarting; connect again shortly";
    CapacityReached "capacity_reached" "capacity_reached" 503 later None, "The server holds as many players or connections as it allows; retry later";
    NotReady "not_ready" "not_ready" 503 later None, "The server is starting or stopping; retry shortly";
    Internal "internal" "internal" 500 later None, "The server failed on this request; nothing you sent was wrong";
    // Matches
    MatchNotFound "match_not_found" "match.not_found" 404 never None, "No such match; it may have ended";
    MatchNotOver "match_not_found" "match.not_found" 404 later None, "The match is still played; its record is here when it is over";
    MatchFull "match_full" "match.full" 409 later None, "The match has no free place; one may free up when somebody leaves";
    MatchLocked "match_locked" "match.locked" 409 later None, "The match takes no new players now";
    MatchPrivate "match_private" "match.private" 403 never None, "The match is private; join with its join_code";
    JoinRefused "join_refused" "match.join_refused" 403 never None, "The game refused this join; see details.refused_reason";
    JoinRefusedUnsaid "join_refused" "match.join_refused" 403 never None, "The game refused this join and gave no reason that can be passed on";
    GameUnavailable "game_unavailable" "match.game_unavailable" 503 later None, "This mode's game could not be started; the server's log says why, and its operator can mend it";
    AlreadyInMatch "already_in_match" "match.already_in_match" 409 later None, "A player holds one seat at a time; leave the other match first";
    Watching "already_in_match" "match.already_in_match" 409 later None, "You watch this match; send match.leave, then join it to play";
    NotInMatch "not_in_match" "match.not_in_match" 409 never None, "You are not in a match; join or queue first";
    OnlyWatching "not_in_match" "match.not_in_match" 409 never None, "You watch this match, and only players play it; send match.leave, then join it to play";
    InputOverflow "input_overflow" "match.input_overflow" 429 later None, "Inputs come faster than the match ticks; the oldest were dropped";
    MatchPaused "match_paused" "match.paused" 409 later None, "The match is paused; retry when it resumes";
    MatchNotStarted "match_not_started" "match.not_started" 409 later None, "The match has not started yet";
    CreateDisabled "create_disabled" "match.create_disabled" 403 never None, "Matches of this mode are not created by players; queue, or use match.find_or_create";
    OnlyQueued "create_disabled" "match.create_disabled" 403 never None, "Matches of this mode are not created by players; use matchmaker.add";
    QuickPlayDisabled "quick_play_disabled" "match.quick_play_disabled" 403 never None, "This mode has no quick play; use matchmaker.add";
    MatchCapacityReached "match_capacity_reached" "match.capacity_reached" 503 later None, "The server runs as many matches as it allows; retry later";
    PrivateDisabled "private_disabled" "match.private_disabled" 403 never None, "This mode has no private matches";
    SpectatingDisabled "spectating_disabled" "match.spectating_disabled" 403 never None, "This match takes no spectators";
    InvalidModeFilter "invalid_mode_filter" "match.invalid_mode_filter" 400 never None, "`mode` must be a string of at most 64 bytes";
    InvalidCapacityFilter "invalid_has_capacity_filter" "match.invalid_has_capacity_filter" 400 never None, "`has_capacity` must be true or false";
    InvalidJoinableFilter "invalid_joinable_filter" "match.invalid_joinable_filter" 400 never None, "`joinable` must be true or false";
    InvalidStatusFilter "invalid_status_filter" "match.invalid_status_filter" 400 never None, "`status` must be the word a match ended with, 1 to 64 bytes";
    InvalidLimitFilter "invalid_limit_filter" "match.invalid_limit_filter" 400 never None, "`limit` must be a whole number, and is cut to 1 to 200";
    InvalidJoinCtx "invalid_join_ctx" "match.invalid_join_ctx" 400 never None, "`ctx` must be a flat object";
    InvalidJoinCtxKey "invalid_join_ctx_key" "match.invalid_join_ctx_key" 400 never None, "A key of `ctx` must not be empty";
    JoinCtxTooManyKeys "join_ctx_too_many_keys" "match.join_ctx_too_many_keys" 400 never None, "`ctx` may have 8 keys";
    JoinCtxKeyTooLong "join_ctx_key_too_long" "match.join_ctx_key_too_long" 400 never None, "A key of `ctx` may have 64 bytes";
    JoinCtxValueTooLong "join_ctx_value_too_long" "match.join_ctx_value_too_long" 400 never None, "A string in `ctx` may have 256 bytes";
    InvalidJoinCtxValue "invalid_join_ctx_value" "match.invalid_join_ctx_value" 400 never None, "A value of `ctx` is a string, a whole number, true or false";
    // Matchmaking
    UnknownMode "unknown_mode" "matchmaker.unknown_mode" 400 never None, "No mode has this name; see details.known where given";
    QueueFull "queue_full" "matchmaker.queue_full" 503 later None, "The queue is full; retry shortly";
    PartyMemberUnavailable "party_member_unavailable" "matchmaker.party_member_unavailable" 409 later None, "A party member cannot be taken along now, being offline, in a match or in another queue, say; see details.player_id where given";
    NoSocket "party_member_unavailable" "matchmaker.party_member_unavailable" 409 later None, "Connect over the WebSocket before you queue: a match that is found is told there";
    InvalidParty "invalid_party" "matchmaker.invalid_party" 400 never None, "The party does not fit this mode; see details.expected where given";
    NotOwner "not_owner" "forbidden" 403 never None, "The ticket is another player's";
    TicketNotFound "not_found" "matchmaker.ticket_not_found" 404 never None, "No such ticket; it may have been matched, expired or withdrawn";
    // Chat
    InvalidChannelId "invalid_channel_id" "chat.invalid_channel_id" 400 never None, "A channel is match:<id>, room:<name>, dm:<lo>:<hi>, global:<name> or an open one of this server";
    DirectChannel "not_authorized" "chat.direct_channel" 403 never None, "A direct channel is between two players; leave either a notification, or say it in another channel";
    RoomNotFound "not_found" "chat.room_not_found" 404 never None, "No room has this name; a game or an operator (PUT /ops/v1/rooms/:name) says who is in it";
    TooManyChannels "too_many_channels" "chat.too_many_channels" 429 never None, "You are in as many channels as allowed; leave one first";
    Muted "muted" "chat.muted" 403 later None, "You are muted; see details.retry_ms and details.reason where given";
    SlowMode "slow_mode" "chat.slow_mode" 429 later None, "This channel is in slow mode; see details.retry_ms";
    ContentEmpty "content_empty" "chat.content_empty" 400 never None, "A message needs content";
    ContentTooLarge "content_too_large" "chat.content_too_large" 413 never None, "A message may have 2000 bytes";
    ContentRefused "content_refused" "chat.content_refused" 400 never None, "The message holds characters or words that are not allowed here; see details.problem";
    NotAuthor "not_authorized" "forbidden" 403 never None, "Only whoever wrote a message changes it or takes it back";
    MessageNotFound "not_found" "chat.message_not_found" 404 never None, "No such message in this channel; it may have been deleted";
    DmEmpty "content_empty" "dm.content_empty" 400 never None, "A direct message needs content";
    DmTooLarge "content_too_large" "dm.content_too_large" 413 never None, "A direct message may have 2000 bytes";
    Blocked "blocked" "dm.blocked" 403 never None, "The recipient takes no messages from you";
    OwnBlock "blocked" "dm.blocked" 403 never None, "You have blocked this player, and neither of you writes to the other then; lift the block to write";
    TooManyBlocks "too_many_blocks" "player.too_many_blocks" 429 never None, "You have blocked as many players as allowed; lift a block first";
    PlayerNotFound "player_not_found" "player.not_found" 404 never None, "No player has this id; it is the `player_id` that signing in answers, and no name";
    PlayerOffline "player_offline" "player.offline" 409 later None, "The player is not online; there is no session to end";
    // Votes
    VoteNotFound "vote_not_found" "vote.not_found" 404 never None, "No such vote is open in this match";
    VoteNotOnRecord "vote_not_found" "vote.not_found" 404 never None, "No such vote is on record; one that is open is recorded when it is over";
    VoteClosed "vote_closed" "vote.closed" 409 never None, "The vote is over";
    NotEligible "not_eligible" "vote.not_eligible" 403 never None, "You have no say in this vote";
    InvalidOption "invalid_option" "vote.invalid_option" 400 never None, "The ballot names an option that this vote does not have";
    InvalidBallot "invalid_ballot" "vote.invalid_ballot" 400 never None, "The ballot is not of the kind this vote takes; see details.expected where given";
    TooManyRevotes "rate_limited" "rate_limited" 429 never None, "You have changed this vote as often as allowed; your last ballot counts";
    NoVetoTokens "no_veto_tokens" "vote.no_veto_tokens" 403 never None, "You have no veto left in this match";
    VetoDisabled "veto_disabled" "vote.veto_disabled" 403 never None, "This vote cannot be vetoed";
    VoteNotAllowed "not_allowed" "vote.not_allowed" 403 never None, "This mode does not let players call this vote";
    Cooldown "cooldown" "vote.cooldown" 429 later None, "This was called a moment ago; see details.retry_ms";
    AlreadyOpen "already_open" "vote.already_open" 409 later None, "A vote of this kind is open; wait for its result";
    ReceiptUnknown "receipt_unknown" "vote.receipt_unknown" 404 never None, "The vote holds no cast with this receipt";
    InvalidVote "invalid_vote" "vote.invalid" 422 never None, "The vote cannot be opened like this; details.faults lists every fault";
    // Remote calls
    RpcUnknownMethod "rpc.unknown_method" "rpc.unknown_method" 404 never None, "No method has this name";
    RpcInvalidCid "rpc.invalid_cid" "rpc.invalid_cid" 400 never None, "rpc.call needs a `cid` of 1 to 64 printable ASCII characters";
    RpcUnsupportedProtocol "rpc.unsupported_protocol" "rpc.unsupported_protocol" 400 never None, "`protocol` must be one of details.supported";
    RpcInvalidParams "rpc.invalid_params" "rpc.invalid_params" 400 never None, "`params` must be an object that the method understands";
    // Accounts, over HTTP
    ValidationFailed "validation_failed" "validation_failed" 422 never None, "Some fields are not acceptable; see fields";
    UsernameTaken "username_taken" "auth.username_taken" 409 never None, "That name, or one that looks like it, is taken";
    InvalidCredentials "invalid_credentials" "auth.invalid_credentials" 401 never None, "The name or the password is wrong";
    InvalidRefreshToken "invalid_refresh_token" "auth.invalid_refresh_token" 401 never None, "The refresh token is wrong, used or expired; sign in again";
    GuestDisabled "guest_disabled" "guest.disabled" 403 never None, "This server takes no guests; register or sign in";
    GuestInvalidDevice "invalid_device_id" "guest.invalid_device_id" 400 never None, "`device_id` must be a text of 1 to 255 bytes";
    GuestWeakSecret "weak_device_secret" "guest.weak_device_secret" 400 never None, "`device_secret` must be 32 random bytes or more, as text (base64, hex) of at most 1024 bytes";
    GuestWrongSecret "invalid_device_secret" "guest.invalid_device_secret" 401 never None, "The secret is not this device's";
    GuestUpgraded "already_upgraded" "guest.already_upgraded" 401 never None, "This guest became an account; sign in with its name and password";
    GuestNotUnclaimed "not_unclaimed" "guest.not_unclaimed" 409 never None, "Only a guest can be upgraded";
    NotificationNotFound "notification_not_found" "notification.not_found" 404 never None, "No such notification; it may have been deleted: list them again";
    RouteNotFound "not_found" "not_found" 404 never None, "Nothing is served at this path";
    MethodNotAllowed "method_not_allowed" "method_not_allowed" 405 never None, "This path takes another method; see the Allow header";
}

/// One more fact beside a refusal.
#[derive(Debug, Clone)]
pub enum Detail {
    /// Text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(u64),
    /// Any JSON.
    Json(Box<RawValue>),
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Detail::Text(text) => to.serialize_str(text),
            Detail::Number(number) => to.serialize_u64(*number),
            Detail::Json(json) => json.serialize(to),
        }
    }
}

impl PartialEq for Detail {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Detail::Text(a), Detail::Text(b)) => a == b,
            (Detail::Number(a), Detail::Number(b)) => a == b,
            (Detail::Json(a), Detail::Json(b)) => a.get() == b.get(),
            _ => false,
        }
    }
}

impl From<&'static str> for Detail {
    fn from(text: &'static str) -> Self {
        Detail::Text(text.into())
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Detail::Text(text.into())
    }
}

impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        Detail::Number(number)
    }
}

impl From<Box<RawValue>> for Detail {
    fn from(json: Box<RawValue>) -> Self {
        Detail::Json(json)
    }
}

/// A player was wrong: which rule, and the facts that help.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Which rule.
    pub reason: Reason,
    /// The facts, by name: `error.details`.
    pub details: Vec<(&'static str, Detail)>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, details: Vec::new() }
    }
}

impl Reason {
    /// The refusal with one detail.
    pub fn with(self, name: &'static str, value: impl Into<Detail>) -> Refusal {
        Refusal::from(self).with(name, value)
    }
}

impl Refusal {
    /// One more detail.
    pub fn with(mut self, name: &'static str, value: impl Into<Detail>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// `missing_field` naming `field`.
    pub fn missing(field: impl Into<Detail>) -> Self {
        Reason::MissingField.with("field", field)
    }

    /// `invalid_field` naming `field` and saying what belongs there.
    pub fn invalid(field: impl Into<Detail>, expected: impl Into<Detail>) -> Self {
        Reason::InvalidField.with("field", field).with("expected", expected)
    }

    /// The value of one detail.
    pub fn detail(&self, name: &str) -> Option<&Detail> {
        self.details.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The `error` frame. `about` is the type of the message that caused it, where there was one.
    pub fn frame(&self, cid: Option<&Cid>, about: Option<&'static str>) -> Frame {
        #[derive(Serialize)]
        struct Payload<'a> {
            reason: &'static str,
            error: Object<'a>,
            #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
            about: Option<&'static str>,
        }
        encode("error", cid, &Payload { reason: self.reason.row().word, error: Object(self), about })
    }

    /// The `rpc.error` frame, which carries the error object alone.
    pub fn rpc_frame(&self, cid: Option<&Cid>) -> Frame {
        #[derive(Serialize)]
        struct Payload<'a> {
            error: Object<'a>,
        }
        encode("rpc.error", cid, &Payload { error: Object(self) })
    }

    /// The HTTP status that goes with [`Refusal::http_body`].
    pub fn status(&self) -> u16 {
        self.reason.row().status
    }

    /// The body of the same refusal over HTTP. `fields` and `retry_after` stand beside `error` as well, where old
    /// clients look for them.
    pub fn http_body(&self) -> String {
        struct Body<'a>(&'a Refusal);
        impl Serialize for Body<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut map = to.serialize_map(None)?;
                map.serialize_entry("error", &Object(self.0))?;
                for (name, value) in &self.0.details {
                    if matches!(*name, "fields" | "retry_after") {
                        map.serialize_entry(name, value)?;
                    }
                }
                map.end()
            }
        }
        serde_json::to_string(&Body(self)).unwrap_or_default()
    }
}

/// `{"code","message","details":{}}`.
struct Object<'a>(&'a Refusal);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Details<'a>(&'a [(&'static str, Detail)]);
        impl Serialize for Details<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
            }
        }
        let row = self.0.reason.row();
        let mut map = to.serialize_map(Some(3))?;
        map.serialize_entry("code", row.code)?;
        map.serialize_entry("message", row.message)?;
        map.serialize_entry("details", &Details(&self.0.details))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for reason in Reason::ALL {
            let row = reason.row();
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b"._0123456789".contains(&b));
            assert!(plain(row.word) && plain(row.code), "{row:?}");
            assert!((400..600).contains(&row.status), "{row:?}");
            assert!(!row.message.ends_with('.') && row.message.len() > 10, "{row:?}");
            // A status that invites a retry, and only such a one, says so.
            assert!(!matches!(row.status, 429 | 503) || row.retryable || row.closes.is_none(), "{row:?}");
            if let Some(close) = row.closes {
                assert!(matches!(close, 1008 | 1009 | 1012), "{row:?}");
            }
        }
        // One code has one status wherever it appears: REST and the socket agree.
        for a in Reason::ALL {
            for b in Reason::ALL {
                assert!(a.row().code != b.row().code || a.row().status == b.row().status, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn an_error_frame_carries_both_forms() {
        let cid = Cid::text("c-1");
        let refusal = Reason::JoinRefused.with("refused_reason", "wrong_code");
        assert_eq!(
            &*refusal.frame(Some(&cid), None).latest,
            r#"{"type":"error","cid":"c-1","payload":{"reason":"join_refused","error":{"code":"match.join_refused","message":"The game refused this join; see details.refused_reason","details":{"refused_reason":"wrong_code"}}}}"#
        );
        assert_eq!(
            &*Refusal::from(Reason::NotInMatch).frame(None, Some("match.input")).latest,
            r#"{"type":"error","payload":{"reason":"not_in_match","error":{"code":"match.not_in_match","message":"You are not in a match; join or queue first","details":{}},"type":"match.input"}}"#
        );
    }

    #[test]
    fn http_keeps_fields_where_old_clients_look() {
        let fields = RawValue::from_string(r#"{"username":["too short"]}"#.into()).unwrap();
        assert_eq!(
            Reason::ValidationFailed.with("fields", fields).http_body(),
            r#"{"error":{"code":"validation_failed","message":"Some fields are not acceptable; see fields","details":{"fields":{"username":["too short"]}}},"fields":{"username":["too short"]}}"#
        );
    }
}
