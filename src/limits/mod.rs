//! Every bound of the server in one place: its value, its unit in its name, why it is that, and what happens when it
//! is reached. The ones an operator may move are fields of [`Limits`] and [`Scripts`] (`[limits]` and `[scripts]` in the
//! configuration); the ones that nobody should are constants.

pub mod scripts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use scripts::Scripts;

/// The bounds an operator may move. A rate of 0 switches it off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one inbound frame or reassembled message. Over: the body is skipped and answered `payload_too_large`;
    /// far over (see [`FRAME_SKIP_BYTES_MAX`]) or before authentication: close 1009.
    #[schemars(range(min = 1_024, max = 1_048_576))]
    pub frame_bytes_max: u32,
    /// Messages per second and connection (token bucket). Over: `rate_limited`; ten times over for 5 s: close 1008.
    pub frames_per_s: u32,
    /// The token bucket's depth, in messages.
    #[schemars(range(min = 1))]
    pub frames_burst: u32,
    /// WebSocket upgrades per second and address. Over: 429 before the upgrade.
    pub connects_per_s: u32,
    /// Registrations per second and address, burst 30. Over: 429.
    pub registers_per_s: u32,
    /// Other authentication calls per second and address, burst 30. Over: 429.
    pub auths_per_s: u32,
    /// Other REST calls per second and address. Over: 429.
    pub api_per_s: u32,
    /// Match joins per minute and player. Over: `join_rate_limited`.
    pub joins_per_min: u32,
    /// Milliseconds a connection may stay without `session.connect`. Over: close 1008 `idle_auth_timeout`.
    #[schemars(range(min = 1))]
    pub auth_timeout_ms: u32,
    /// Seconds between pings.
    #[schemars(range(min = 1, max = 3_600))]
    pub ping_s: u32,
    /// Seconds without any frame or pong. Over: the socket is cut.
    #[schemars(range(min = 2, max = 86_400))]
    pub silent_s: u32,
    /// Connections in all. Over: 503 before the upgrade. Clamped to the descriptors the process may open.
    #[schemars(range(min = 1))]
    pub connections_max: u32,
    /// Connections per address. Over: 429 before the upgrade.
    #[schemars(range(min = 1))]
    pub connections_per_addr_max: u32,
    /// Chat channels one session may be in. Over: `too_many_channels`.
    #[schemars(range(min = 1))]
    pub channels_per_connection_max: u32,
    /// Waiting tickets. Over: `queue_full`.
    #[schemars(range(min = 1))]
    pub tickets_max: u32,
    /// Live matches. Over: `match_capacity_reached`.
    #[schemars(range(min = 1))]
    pub matches_max: u32,
    /// Inputs one player may queue between two ticks. Over: the oldest is dropped, counted, and told once per second
    /// as `input_overflow`.
    #[schemars(range(min = 1, max = 65_536))]
    pub inputs_per_player_max: u32,
    /// Frames waiting in one session's outbox. Over: the socket is cut, the session stays resumable.
    #[schemars(range(min = 16))]
    pub outbox_frames_max: u32,
    /// Bytes waiting in one session's outbox. Over: as above.
    #[schemars(range(min = 1_024))]
    pub outbox_bytes_max: u32,
    /// Signed-in players, connected or within their grace. Over: `session.connect` is answered `capacity_reached`, but
    /// for players who have a seat or a session already.
    #[schemars(range(min = 1))]
    pub players_max: u32,
    /// Milliseconds that the 99th percentile of ticks may be late. Half of it for a while: no new matches until it is
    /// calmer. Over for a while: players are told by `server.lag`, and the server sheds spectators, then replaceable frames,
    /// never votes or seated players. 0: lateness does not count.
    #[schemars(range(max = 10_000))]
    pub lag_budget_ms: u32,
    /// Percent of its cores that the server may use. Over for a while: no new matches until it is calmer. 0: that does not
    /// count, since a server may be busy with much that makes no tick late.
    #[schemars(range(max = 100))]
    pub cpu_percent_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 65_536,
            frames_per_s: 60,
            frames_burst: 120,
            connects_per_s: 60,
            registers_per_s: 3,
            auths_per_s: 5,
            api_per_s: 300,
            joins_per_min: 10,
            auth_timeout_ms: 10_000,
            ping_s: 30,
            silent_s: 75,
            connections_max: 50_000,
            connections_per_addr_max: 1_000,
            channels_per_connection_max: 32,
            tickets_max: 100_000,
            matches_max: 10_000,
            inputs_per_player_max: 64,
            outbox_frames_max: 1_024,
            outbox_bytes_max: 262_144,
            players_max: 50_000,
            lag_budget_ms: 10,
            cpu_percent_max: 0,
        }
    }
}

/// An announced frame length up to which the body is skipped and refused politely; above it the connection is closed
/// with 1009, because skipping would cost us the stranger's upload.
pub const FRAME_SKIP_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a `cid`, echoed as it came. Over: the frame is `invalid_message` (a longer one would let a client choose
/// the size of our answers).
pub const CID_BYTES_MAX: usize = 256;

/// Nesting of inbound JSON. Over: `invalid_json`.
pub const JSON_DEPTH_MAX: usize = 32;

/// Bytes of an event payload that a game broadcasts. Over: dropped, counted, told to the author.
pub const EVENT_BYTES_MAX: usize = 65_536;

/// Bytes of the word for how a match ended: of `status` in a game's result, and of the filter that asks for it. Over:
/// the record says `finished`; a filter is refused.
pub const MATCH_STATUS_BYTES_MAX: usize = 64;

/// Ticks a late match runs at once before it skips the rest: enough to hide one scheduling hiccup at 60 Hz, too few
/// to spiral.
pub const CATCH_UP_TICKS_MAX: u32 = 4;

/// Microseconds of a tick above which its match waits for those that are quicker: one at a time, and whoever else is due
/// comes first. So the ticks of several slow matches on one thread do not add up for their neighbours.
pub const SLOW_TICK_US: u32 = 2_000;

/// Milliseconds that somebody waits for a game to hear who left before them, and to have what is stored of them. Over: the
/// game is asked all the same; it refuses for the first, and reads what is stored when it asks for it for the second.
pub const BEHIND_WAIT_MS: u64 = 2_000;

/// How many of them wait for one match. Over: as above, at once.
pub const BEHIND_WAITING_MAX: usize = 1_024;

/// Milliseconds until it is asked again whether it has.
pub const BEHIND_AGAIN_MS: u64 = 20;

/// Phase slots that matches of one rate are spread over within a tick period.
pub const PHASE_SLOTS: u32 = 64;

/// Messages waiting in an actor's mailbox on edges that a player can trigger. Over: the player is answered `busy`.
pub const MAILBOX_MESSAGES_MAX: usize = 1_024;

/// Registration's burst and that of other authentication calls, per address.
pub const AUTH_BURST: u32 = 30;

/// Store calls that wait for the writer. Over: `StoreError::Busy` at once, which players read as `busy`: some seconds
/// of writes on a slow disk, and a few MiB.
pub const STORE_WRITES_WAITING_MAX: usize = 8_192;

/// Store calls that wait for a reader. Over: as above.
pub const STORE_READS_WAITING_MAX: usize = 4_096;

/// Writes committed together at most: enough to share one fsync, few enough that the last of them waits milliseconds.
pub const STORE_BATCH_MAX: usize = 512;

/// Threads that read from the store. Reads are short and mostly cached; two keep one slow list from stalling sign-in.
pub const STORE_READERS: usize = 2;

/// Prepared statements kept per connection: more than there are different ones.
pub const STORE_STATEMENTS_CACHED: usize = 128;

/// Replaceable things (states, tallies, statuses) that may wait in one outbox at once. Over: the one that was written
/// longest ago is given up; its next update brings it back.
pub const OUTBOX_SLOTS_MAX: usize = 64;

/// Counted frames a session remembers for a resume: what a lost connection had in flight and a minute of events.
/// Over: the oldest is forgotten and a client that missed it gets a snapshot.
pub const REPLAY_FRAMES_MAX: usize = 1_024;

/// Bytes of counted frames a session remembers for a resume. Over: as above.
pub const REPLAY_BYTES_MAX: usize = 262_144;

/// Bytes that leave an outbox towards one socket before the socket has to ask again. What has left can be neither
/// replaced nor bounded any more, so it stays small; it is still several states in one write.
pub const WRITE_BYTES_MAX: usize = 16_384;

/// Bytes of a close reason: what the protocol leaves of a control frame's 125. Over: cut at a character.
pub const CLOSE_REASON_BYTES_MAX: usize = 123;

/// Options of a vote in play: its tallies are broadcast, and pairwise methods keep a matrix of this squared. More are
/// refused when the vote is opened.
pub const VOTE_OPTIONS_MAX: usize = 256;

/// Bytes of an option's id, and of a template's name. Longer ones are refused when the vote is opened.
pub const VOTE_ID_BYTES_MAX: usize = 64;

/// Bytes of an option's label. Longer ones are refused when the vote is opened.
pub const VOTE_LABEL_BYTES_MAX: usize = 256;

/// The longest window of a vote or of a draft's turn: a week, for games that are not played at one sitting. Refused
/// when the vote is opened.
pub const VOTE_WINDOW_MS_MAX: u64 = 7 * 24 * 3_600 * 1_000;

/// The longest grace of a vote: what is later than this is not latency. Refused when the vote is opened.
pub const VOTE_GRACE_MS_MAX: u64 = 60_000;

/// Changes of mind one voter may have: every one is a leaf of the audit record. Refused when the vote is opened.
pub const VOTE_REVOTES_MAX: u32 = 1_000;

/// The highest score of a scale. Refused when the vote is opened.
pub const VOTE_SCORE_MAX: u32 = 1_000_000;

/// Turns of a draft. Refused when the vote is opened.
pub const VOTE_TURNS_MAX: usize = 256;
/// Milliseconds a client has to answer our close before its socket is cut: a round trip to anywhere, with room.
pub const CLOSE_ANSWER_MS: u64 = 1_000;

/// Milliseconds a socket may leave untouched what waits for it before it is cut. Its session stays resumable, so a
/// client that only lost its network comes back to everything it missed.
pub const STALLED_MS: u64 = 10_000;

/// Milliseconds between two rounds of the sentinel over all sockets.
pub const SENTINEL_MS: u64 = 200;

/// Bytes of kernel memory asked for to hold what a socket has sent and not seen acknowledged; Linux doubles it. A
/// quarter of this makes large messages wait for delayed acknowledgements: 2 MB/s on loopback instead of 20.
pub const SOCKET_SEND_BYTES: usize = 131_072;

/// Bytes of kernel memory asked for to hold what a client has sent and we have not taken; Linux doubles it. Left to
/// itself the kernel lets a client that floods and does not read fill 3 MB of it.
pub const SOCKET_RECEIVE_BYTES: usize = 65_536;

/// Unsent bytes above which a socket does not ask for more. What is in the kernel can no longer be replaced by newer,
/// and this, not the buffer above, is what a client that does not read holds of it.
pub const SOCKET_UNSENT_BYTES: u32 = 16_384;

/// Milliseconds for which sent bytes may stay unacknowledged before the kernel gives the connection up.
pub const SOCKET_UNACKED_MS: u64 = 20_000;

/// Response bytes collected per connection before they are written; above it the outbox is left to wait.
pub const SOCKET_WRITE_BUFFER_BYTES: usize = 16_384;

/// Connections that wait to be accepted: a storm of them, for as long as a worker is busy. Over: the kernel ignores
/// them, and they try again.
pub const SOCKET_BACKLOG: i32 = 4_096;

/// Bytes that the raw transport reads at once, into a buffer that a thread's sockets share. Over: read again.
pub const SOCKET_READ_BYTES: usize = 65_536;

/// Reads of one socket before the others of its thread have their turn.
pub const SOCKET_READS_MAX: u32 = 4;

/// Messages of one read that are handled before their answers are sent: few enough that answers to a burst of the
/// smallest do not fill the outbox.
pub const SOCKET_EVENTS_MAX: u32 = 64;

/// Descriptors kept for everything but players' sockets: the store, timers, logs, the listener.
pub const DESCRIPTORS_RESERVED: u64 = 256;

/// Bytes of one message on `/ws/echo`, the test aid; also what may wait to be echoed, twice over.
pub const ECHO_BYTES_MAX: u32 = 16 << 20;

/// Bytes of a request's body. Over: 413 `payload_too_large`, and the rest of it is not read.
pub const HTTP_BODY_BYTES_MAX: usize = 65_536;
/// Milliseconds that the body of a request may take to arrive. Over: `request_timeout`, and the connection closes.
pub const HTTP_BODY_WAIT_MS: u64 = 5_000;

/// Threads that hash passwords: 19 MiB and some 25 ms of a core each. One signs in 40 players a second and leaves the
/// other cores to the ticks.
pub const HASH_THREADS: usize = 1;

/// Passwords that wait for a hash: about two seconds of work. Over: 503 `busy`.
pub const HASHES_WAITING_MAX: usize = 64;

/// Days a refresh token lives: how long a player may stay away and need no password.
pub const REFRESH_TOKEN_DAYS: u64 = 30;

/// Messages per second that one chat channel carries, all its players together. Over: `rate_limited` to whoever speaks.
/// A person reads two a second; this is for the sake of everyone's sockets, not their eyes.
pub const CHANNEL_MESSAGES_PER_S: u32 = 50;

/// How many of them at once.
pub const CHANNEL_MESSAGES_BURST: u32 = 200;

/// Messages and edits per second that one player may put into one chat channel, unless `[chat] per_player_per_s` says
/// otherwise. Over: `rate_limited` to them, and nothing taken from what the channel carries. More than anybody types, and
/// a fifth of the channel: it takes five who do nothing else to keep the others waiting.
pub const CHANNEL_MESSAGES_PER_PLAYER_PER_S: u32 = 10;

/// How many of them at once, unless `[chat] per_player_burst` says otherwise.
pub const CHANNEL_MESSAGES_PER_PLAYER_BURST: u32 = 20;

/// At most one `chat.typing` per typist and channel in so many milliseconds. Over: not told, not refused.
pub const TYPING_EVERY_MS: u64 = 2_000;

/// A player's presence is told at most once in so many milliseconds, the newest only; an absence shorter than this is
/// none.
pub const PRESENCE_EVERY_MS: u64 = 1_000;

/// Players whose presence one player may subscribe to. Over: refused as a whole, so that a client knows where it is.
pub const SUBSCRIPTIONS_MAX: usize = 512;
/// Kicked players one match keeps out. Over: the one who was kicked first may come back.
pub const BARRED_PER_MATCH_MAX: usize = 256;
/// Players from the queue whom one match's game turned away, and who are not sent to it again. Over: it asks the queue for
/// nobody more until its door opens anew.
pub const TURNED_AWAY_PER_MATCH_MAX: usize = 256;

/// Votes open in one match at once: more than players can follow, few enough that the end of a match, which closes them
/// all at once, costs its neighbours some milliseconds at most. Over: the vote is refused and its author told.
pub const VOTES_OPEN_PER_MATCH_MAX: usize = 32;
/// Votes of one match that are remembered until it ends, so that a late cast hears that its vote is closed: late by more
/// votes than may be open at once is not late but lost. Over: the oldest closed one is forgotten, and such a cast hears
/// that there is none.
pub const VOTES_REMEMBERED_PER_MATCH_MAX: usize = 4 * VOTES_OPEN_PER_MATCH_MAX;

/// What one session may ask of one channel while an earlier thing it asked there is on its way to the store, and direct
/// messages that wait for the one before: twice the burst of frames, so only a server that counts none gets there. Over:
/// `busy`, which then comes ahead of their answers.
pub const TURNS_WAITING_MAX: usize = 256;

/// Names of modes told to whoever names one that there is not. Over: the first by name are told; a refusal costs less than
/// what it refuses.
pub const MODES_TOLD_MAX: usize = 32;

/// Players that one player may block. Over: `too_many_blocks`.
pub const BLOCKS_MAX: usize = 1_000;

/// Channels that a session remembers having left, so that it refuses in its turn what is still said to them. Over: the
/// one it left first is refused at once.
pub const CHANNELS_LEFT_MAX: usize = 32;

/// Players' waits (slow mode, typing, mutes, shares) that are kept of channels which nobody is in any more, and such channels.
/// Over: those of the channel that would be done with waiting first are forgotten, as nobody is to keep others out of
/// theirs by filling this.
pub const PACES_KEPT_MAX: usize = 65_536;

/// Live chat channels. Over: `busy`; channels end when their last member leaves.
pub const CHANNELS_MAX: usize = 100_000;

/// Matches that `match.find_or_create` tries for one request. Over: `busy`.
pub const FIND_TRIES_MAX: u32 = 8;

/// Frames that wait while a connection's token is looked up. A client that comes back says again what it had in flight
/// right behind its token. Over: `busy`.
pub const PENDING_FRAMES_MAX: usize = REQUESTS_REMEMBERED_MAX;

/// Bytes of those together. Over: as above.
pub const PENDING_BYTES_MAX: usize = 256 * 1024;

/// Errors of its script that a match keeps for operators. Over: the oldest is forgotten; the log has them all.
pub const SCRIPT_FAULTS_KEPT_MAX: usize = 16;

/// How long the result of a vote or a match waits for the store to have it. Over: it is said without, and logged as an
/// error; a store that hangs must not hang matches.
pub const RECORD_WAIT_MS: u64 = 2_000;
/// Milliseconds that a closed vote stays to refuse casts that were sent to it while it was open. Far longer than any
/// mailbox takes; afterwards the directory alone says that it is closed.
pub const VOTE_LINGER_MS: u64 = 2_000;

/// Rows of one `match.list`, newest matches first: the reply stays well below what an outbox holds. Over: the older ones
/// are left out; filters find them.
pub const MATCH_LIST_ROWS_MAX: usize = 500;

/// Bytes of history that a join or a snapshot shows, the newest messages: well within what an outbox and its ring hold.
/// Over: the older ones are left out; `GET chat/:channel_id/history` has them.
pub const HISTORY_SHOWN_BYTES_MAX: usize = 65_536;

/// Arrivals that the matchmaker remembers for designers. Over: the oldest is forgotten.
pub const QUEUE_RECORDED_MAX: usize = 10_000;

/// Bytes of properties in them. Over: as above.
pub const QUEUE_RECORDED_BYTES_MAX: usize = 1 << 20;

/// Milliseconds between two `matchmaker.status` of one ticket, at least.
pub const QUEUE_STATUS_EVERY_MS: u64 = 2_000;

/// Tickets whose players are told their status at once. Over: the others are told the next time, so that a long queue
/// costs its thread no more than a short one.
pub const QUEUE_STATUSES_AT_ONCE_MAX: usize = 2_000;

/// Milliseconds over which the load is measured at a time: long enough for a 99th percentile, short enough to act on.
pub const LOAD_WINDOW_MS: u64 = 500;

/// Milliseconds between two `server.lag` while nothing changes; also when to ask again for what was shed.
pub const LAG_TOLD_EVERY_MS: u64 = 5_000;

/// Steps of the search for a group in which a mode's `ranges` allow not everybody beside everybody. Over: the ticket waits for
/// the next look, which another ticket or a wider window brings.
pub const PAIRING_STEPS_MAX: u32 = 2_048;

/// Milliseconds between two lines of the log about one kind of fault that may come with every tick. Over: counted in the
/// metrics, and with the next line.
pub const FAULTS_TOLD_EVERY_MS: u64 = 1_000;

/// Places of dropped inputs that a queue keeps, beside as many as there are inputs. Over: the oldest is forgotten, and told
/// with the next.
pub const INPUT_GAPS_MAX: usize = 64;

/// Bytes of a chat message, after normalisation. Over: `content_too_large`.
pub const CONTENT_BYTES_MAX: usize = 2_000;

/// Bytes of a room's or an open channel's name. Over: `invalid_channel_id`.
pub const CHANNEL_NAME_BYTES_MAX: usize = 64;

/// Requests that are remembered: what a client has in flight at once. Over: the oldest is forgotten, and executed if it
/// comes again.
pub const REQUESTS_REMEMBERED_MAX: usize = 256;

/// Players who are remembered as invisible after they went. Over: the one who went first is shown when they come back.
pub const UNSEEN_REMEMBERED_MAX: usize = 100_000;

/// Milliseconds that a leave waits for a seat that was claimed and not told yet; it is told at once. Over: the match whose
/// seat it is hears the leave.
pub const SEAT_TOLD_MS: u64 = 1_000;

/// Requests of one session that wait while the one before them takes or frees a seat or a ticket. Over: `busy`.
pub const REQUESTS_WAITING_MAX: usize = 64;

/// Tickets of each mode that operators are shown at once, the oldest. Over: the rest is a number.
pub const QUEUE_ROWS_MAX: usize = 1_000;

/// Tickets looked at for one backfill request at the moment it is made; later ones reach it as they come.
pub const BACKFILL_LOOK_MAX: usize = 1_024;

/// Steps of one search for how parties fit into teams: thousands of times what team sizes that people play with need. Over:
/// they wait for the next look.
pub const PACKING_STEPS_MAX: u32 = 4_096;

/// Bytes of a region's name. Over: `invalid_field`.
pub const REGION_BYTES_MAX: usize = 64;

/// Bytes of the text of one required property. Over: `invalid_field`.
pub const REQUIRE_BYTES_MAX: usize = 256;

/// Players per group that a pool forms. Over: a fault of the configuration.
pub const GROUP_PLAYERS_MAX: u32 = 256;

/// How long a request for a match over HTTP waits for its player's connection. Over: `party_member_unavailable`.
pub const SOCKET_WAIT_MS: u64 = 2_000;

/// How often it looks meanwhile.
pub const SOCKET_LOOK_MS: u64 = 50;

/// Bytes of a player's status. Over: `invalid_field`.
pub const STATUS_BYTES_MAX: usize = 32;

/// Bytes of the metadata beside it (a JSON object). Over: `invalid_field`.
pub const METADATA_BYTES_MAX: usize = 1_024;

/// Losses beyond this many weigh no more: a bound, so that weights cannot overflow.
pub const LOSSES_MAX: u32 = 100;

/// Casts of one voter that a re-sent one is compared with. Over: the oldest is forgotten, and counted again if it comes.
pub const RESENT_CASTS_MAX: usize = 8;

/// Bytes of a vote's record that is read back: more than a thousand voters with every change of mind they may have. What
/// is read of it takes a small multiple of this. Over: it is not read.
pub const VOTE_RECORD_BYTES_MAX: usize = 16 << 20;

/// Keys (addresses, players) whose rates are kept apart at once. Over: newcomers share one bucket.
pub const BUDGET_KEYS_MAX: usize = 65_536;

/// Bytes of a ticket's properties. Over: `invalid_field`. A ticket is kept while it waits, and a hundred thousand may.
pub const PROPERTIES_BYTES_MAX: usize = 4_096;

/// Members of a party, whatever the mode. Over: `invalid_field`.
pub const PARTY_MAX: usize = 64;

/// Bytes of a `mode` that a list is asked for. Over: the filter is refused.
pub const MODE_BYTES_MAX: usize = 64;

/// Rooms that are kept, at most. Those beyond are forgotten at a restart.
pub const ROOMS_MAX: u32 = 10_000;

/// Bytes of an operator's reason or announcement, and of a notification's subject. Over: 400 `invalid_field`; to a script
/// the call answers `{error=...}`.
pub const OPS_TEXT_BYTES_MAX: usize = 2_000;

/// Bytes of a notification's type. Over: as above.
pub const NOTICE_TYPE_BYTES_MAX: usize = 64;

/// Bytes of a notification's content as JSON text. Over: as above.
pub const NOTICE_BYTES_MAX: usize = 16_384;

/// Members of a room. Over: as above.
pub const ROOM_MEMBERS_MAX: usize = 10_000;

/// Bytes of the request that names a room's members, which only operators send: an id in quotes and what stands around
/// it, on a line of its own, for as many as a room may have. Over: 413 `payload_too_large`.
pub const ROOM_BODY_BYTES_MAX: usize = 1 << 20;

/// Votes of one match that are listed at most. Over: the latest are.
pub const VOTES_LISTED_MAX: u32 = 50;

/// Rows a list holds when the request does not say.
pub const ROWS_DEFAULT: u32 = 50;

/// Rows a list holds at most. A request for more gets so many.
pub const ROWS_MAX: u32 = 200;
