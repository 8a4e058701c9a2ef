//! What the store holds, as plain rows: ids, text and numbers. The store never looks into JSON text or bytes that it
//! is handed; whoever wrote them reads them back.
//!
//! Every `*_unix_ms` is milliseconds since 1970 by the server's clock. Secrets appear only as hashes.

use crate::ids::{MatchId, MessageId, NotificationId, PlayerId, VoteId};

/// SHA-256 of an opaque token, of a device id or of a device secret.
pub type SecretHash = [u8; 32];

/// One sign-in and everything that rotation made of it; revoked as a whole.
pub type Family = [u8; 16];

/// A player about to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlayer {
    /// The id it will have.
    pub id: PlayerId,
    /// As the player wrote it.
    pub username: String,
    /// The username folded to one case: what sign-in looks up; unique.
    pub username_key: String,
    /// The username with look-alike letters made equal; unique.
    pub skeleton: String,
    /// What others see.
    pub display_name: String,
    /// PHC string; `None` for a guest.
    pub password_hash: Option<String>,
    /// When.
    pub created_unix_ms: u64,
}

/// A player as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayerRow {
    /// The id.
    pub id: PlayerId,
    /// As the player wrote it.
    pub username: String,
    /// What others see.
    pub display_name: String,
    /// PHC string; `None` for a guest.
    pub password_hash: Option<String>,
    /// Whether this is a guest that nobody has claimed yet.
    pub guest: bool,
    /// When the player was created.
    pub created_unix_ms: u64,
    /// The last ban written, even when it has run out: see [`BanRow::holds`].
    pub ban: Option<BanRow>,
}

/// The device that a guest signs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Hash of the device id; unique.
    pub device: SecretHash,
    /// Hash of the device secret.
    pub secret: SecretHash,
    /// Whose device.
    pub player_id: PlayerId,
}

/// A pair of tokens about to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTokens {
    /// To whom.
    pub player_id: PlayerId,
    /// The sign-in they belong to.
    pub family: Family,
    /// The pair itself.
    pub pair: TokenPair,
    /// When: decides whether a ban still holds.
    pub issued_unix_ms: u64,
}

/// The hashes of an access and a refresh token and when each runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// Hash of the access token.
    pub access: SecretHash,
    /// From then on the access token is worth nothing.
    pub access_expires_unix_ms: u64,
    /// Hash of the refresh token.
    pub refresh: SecretHash,
    /// From then on the refresh token is worth nothing.
    pub refresh_expires_unix_ms: u64,
}

/// What became of a registration, a new guest or a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// Done, and the tokens are good.
    Created,
    /// Somebody has that username, whatever the case of its letters.
    UsernameTaken,
    /// Somebody has a username that looks the same.
    LookAlike,
    /// The device already has a player (a race of two first sign-ins): sign in with it instead.
    DeviceTaken,
    /// A claim of a player who is no guest.
    NotAGuest,
}

/// A guest claims an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The guest.
    pub player_id: PlayerId,
    /// The name it takes, as in [`NewPlayer`].
    pub username: String,
    /// As in [`NewPlayer`].
    pub username_key: String,
    /// As in [`NewPlayer`].
    pub skeleton: String,
    /// What others see from now on.
    pub display_name: String,
    /// PHC string.
    pub password_hash: String,
}

/// Whether tokens were handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issue {
    /// They are good.
    Issued,
    /// The player is banned; nothing was written.
    Banned(BanRow),
}

/// What an access token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRow {
    /// Who.
    pub player: PlayerRow,
    /// The sign-in it belongs to.
    pub family: Family,
    /// From then on it opens nothing; the reader compares.
    pub expires_unix_ms: u64,
}

/// A refresh token was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// Its hash.
    pub presented: SecretHash,
    /// When.
    pub now_unix_ms: u64,
    /// What takes its place.
    pub next: TokenPair,
}

/// What became of a presented refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It is used up and the next pair is good.
    Rotated(SignIn),
    /// It had been used before: somebody holds a copy, so its family is revoked.
    Reused(SignIn),
    /// It ran out.
    Expired,
    /// Nobody was given it, or it was revoked.
    Unknown,
    /// Its player is banned.
    Banned(BanRow),
}

/// One sign-in of one player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignIn {
    /// Who.
    pub player_id: PlayerId,
    /// Which sign-in.
    pub family: Family,
}

/// Which tokens to revoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoke {
    /// The family of this access token.
    Access(SecretHash),
    /// The family of this refresh token.
    Refresh(SecretHash),
    /// Everything a player has.
    Player(PlayerId),
}

/// A ban. One per player: a new one replaces the old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanRow {
    /// Who is banned.
    pub player_id: PlayerId,
    /// Why, for the player to read.
    pub reason: String,
    /// Until when; `None` for good.
    pub until_unix_ms: Option<u64>,
    /// When it was written.
    pub created_unix_ms: u64,
}

impl BanRow {
    /// Whether the ban holds at that moment.
    pub fn holds(&self, unix_ms: u64) -> bool {
        self.until_unix_ms.is_none_or(|until| unix_ms < until)
    }
}

/// A mute of one player, in one channel or everywhere. A new one for the same place replaces the old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteRow {
    /// Who is muted.
    pub player_id: PlayerId,
    /// Where; `None` everywhere.
    pub channel_id: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until_unix_ms: u64,
}

/// A block between two players, as one of them may be told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Their own, whether or not the other has one as well.
    Own,
    /// The other's alone.
    Theirs,
}

/// One chat line or direct message (whose channel is `dm:<lo>:<hi>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatRow {
    /// The message.
    pub message_id: MessageId,
    /// Its channel.
    pub channel_id: String,
    /// Its place in the channel, from 1; given by the store, ignored when appending.
    pub seq: u64,
    /// Who said it; `None` is the server.
    pub sender_id: Option<PlayerId>,
    /// What was said.
    pub content: String,
    /// When.
    pub sent_unix_ms: u64,
    /// When it was last changed.
    pub edited_unix_ms: Option<u64>,
}

/// A chat line is edited (`content` is some) or deleted (it is none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatChange {
    /// The message's channel.
    pub channel_id: String,
    /// The message.
    pub message_id: MessageId,
    /// Refuse unless this player said it; `None` for moderators.
    pub only_sender: Option<PlayerId>,
    /// What it says now; `None` deletes it, text and all.
    pub content: Option<String>,
    /// When.
    pub unix_ms: u64,
}

/// What became of a [`ChatChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Done.
    Done,
    /// No such message in that channel, or it is already deleted.
    NotFound,
    /// Somebody else said it.
    NotSender,
}

/// A match that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningRow {
    /// The match.
    pub id: MatchId,
    /// Its mode.
    pub mode: String,
    /// When the first tick ran.
    pub started_unix_ms: u64,
}

/// A finished match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchRow {
    /// The match.
    pub id: MatchId,
    /// Its mode.
    pub mode: String,
    /// How it ended: `finished`, `cancelled`, `died`, `interrupted` (the process ended while it ran), ...
    pub status: String,
    /// The game's result as JSON text.
    pub result: String,
    /// When the first tick ran, or when it was created if none did.
    pub started_unix_ms: u64,
    /// When it ended.
    pub finished_unix_ms: u64,
}

/// How a match ended for one player. Counted per mode in [`StatsRow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Took part; the game named no winner.
    Played,
    /// Won.
    Won,
    /// Lost.
    Lost,
    /// Neither.
    Drawn,
    /// Left for good before the end.
    Forfeited,
    /// The match was over before it began: in the record, and in nobody's statistics.
    Cancelled,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [Self::Played, Self::Won, Self::Lost, Self::Drawn, Self::Forfeited, Self::Cancelled];

    /// The word it is stored as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Played => "played",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Drawn => "drawn",
            Self::Forfeited => "forfeited",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One player's part in a finished match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantRow {
    /// Who.
    pub player_id: PlayerId,
    /// A bot takes part in the record and in nobody's statistics.
    pub bot: bool,
    /// How it ended for them.
    pub outcome: Outcome,
    /// The game's own numbers for them as JSON text.
    pub stats: Option<String>,
}

/// Which finished matches to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MatchFilter {
    /// Only of this mode.
    pub mode: Option<String>,
    /// Only of this status.
    pub status: Option<String>,
    /// Only those this player took part in.
    pub player_id: Option<PlayerId>,
    /// At most this many.
    pub limit: u32,
}

/// What a player did in one mode so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsRow {
    /// The mode.
    pub mode: String,
    /// Finished matches that had begun.
    pub played: u64,
    /// Of these, won.
    pub won: u64,
    /// Lost.
    pub lost: u64,
    /// Drawn.
    pub drawn: u64,
    /// Forfeited.
    pub forfeited: u64,
}

/// A text that takes time to write out, and is when its row is written.
pub type AuditText = Box<dyn FnOnce() -> String + Send>;

/// A vote that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteRow {
    /// The vote.
    pub id: VoteId,
    /// The match it was held in: its participants may read it.
    pub match_id: MatchId,
    /// Its template, empty without one.
    pub template: String,
    /// How it ended: `decided`, `tie`, `cancelled`, `vetoed`, ...
    pub status: String,
    /// `live` or `hidden`, as the configuration said.
    pub visibility: String,
    /// When it opened.
    pub opened_unix_ms: u64,
    /// When it ended.
    pub closed_unix_ms: u64,
    /// What was pushed when it ended, as JSON text.
    pub record: String,
}

/// Something a player is told even when offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationRow {
    /// The notification.
    pub id: NotificationId,
    /// For whom.
    pub player_id: PlayerId,
    /// Its kind, such as `announcement`.
    pub kind: String,
    /// One line.
    pub subject: String,
    /// The rest, as JSON text.
    pub content: String,
    /// When.
    pub sent_unix_ms: u64,
    /// Whether the player has read it.
    pub read: bool,
}

/// What an operator, or the server in their name, did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub unix_ms: u64,
    /// From where.
    pub address: String,
    /// What, such as `player.ban`.
    pub action: String,
    /// To whom or what.
    pub target: String,
    /// The rest as JSON text.
    pub details: String,
}

/// One value that a game keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvRow {
    /// Its key within the scope.
    pub key: String,
    /// Its bytes.
    pub value: Vec<u8>,
    /// When it was written.
    pub updated_unix_ms: u64,
}
