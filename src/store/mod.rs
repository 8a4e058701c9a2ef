//! What must outlive the process: accounts, tokens, bans, chat, finished matches, votes and their audits, notifications,
//! the operators' audit trail, and what games keep. [`Store`] is a trait so that another database can take SQLite's
//! place; [`SqliteStore`] is the one that ships.
//!
//! Two promises. **Acknowledged is durable**: a write's completion runs after the bytes are on disk, never before. And
//! **nobody waits**: every call returns at once; when too much is queued the completion runs immediately with
//! [`StoreError::Busy`]. Completions run on the store's threads, so they hand over and return; an actor sends itself a
//! message, an HTTP handler uses [`ask`].
//!
//! Rows are bytes and words to the store. It knows no rules, except those that only a single writer can keep: names are
//! unique, a refresh token works once, a banned player gets no tokens.

mod metrics;
pub mod rows;
mod sqlite;

use crate::ids::{MatchId, MessageId, NotificationId, PlayerId, VoteId};

pub use metrics::{LatencyStats, StoreStats};
use rows::*;
pub use sqlite::SqliteStore;

/// What a caller leaves behind to be told the outcome. Runs once, on a thread of the store: it must not block.
pub type Done<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

/// Why the store could not do it. Nothing of a failed write is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The queue is full: try again later. Nothing was done.
    #[error("the store is busy")]
    Busy,
    /// The store was closed before this could be done. Nothing was done.
    #[error("the store is closed")]
    Closed,
    /// The database answered with an error, or holds what it should not.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Calls the store and waits for the answer without blocking a thread: for HTTP handlers and tests, never for actors.
pub async fn ask<T: Send + 'static>(call: impl FnOnce(Done<T>)) -> Result<T, StoreError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    call(Box::new(move |outcome| {
        // The asker may have gone away; the write stands all the same.
        let _ = tell.send(outcome);
    }));
    told.await.unwrap_or(Err(StoreError::Closed))
}

/// Everything the server asks of its store. Reads see every write whose completion has run.
pub trait Store: Send + Sync + 'static {
    // Accounts

    /// Registers a player and hands out the first tokens, or neither.
    fn create_player(&self, player: NewPlayer, tokens: NewTokens, done: Done<Creation>);
    /// Creates a guest, remembers its device and hands out the first tokens, or none of these.
    fn create_guest(&self, player: NewPlayer, device: DeviceRow, tokens: NewTokens, done: Done<Creation>);
    /// Turns a guest into an account: revokes its tokens and hands out these; its device stays known. Says which sign-ins
    /// ended; the one that `tokens` continue is among them when it held tokens before.
    fn claim_guest(&self, claim: Claim, tokens: NewTokens, done: Done<(Creation, Vec<SignIn>)>);
    /// One player.
    fn player(&self, id: PlayerId, done: Done<Option<PlayerRow>>);
    /// The player with that folded username.
    fn player_by_username(&self, username_key: String, done: Done<Option<PlayerRow>>);
    /// The device with that hash.
    fn device(&self, device: SecretHash, done: Done<Option<DeviceRow>>);
    /// Changes what others see; the row as it is now, `None` when there is no such player.
    fn set_display_name(&self, id: PlayerId, display_name: String, done: Done<Option<PlayerRow>>);

    // Tokens

    /// Hands out tokens for a new sign-in unless the player is banned.
    fn issue_tokens(&self, tokens: NewTokens, done: Done<Issue>);
    /// What that access token opens; the caller compares its expiry and the ban with the clock.
    fn access_token(&self, hash: SecretHash, done: Done<Option<AccessRow>>);
    /// Exchanges a refresh token. One that was used before revokes its whole family, in the same step.
    fn rotate_refresh(&self, rotate: Rotate, done: Done<Rotation>);
    /// Revokes tokens; says which sign-ins ended, so that their sockets can be closed.
    fn revoke(&self, what: Revoke, done: Done<Vec<SignIn>>);
    /// Forgets tokens, bans and mutes that have run out; how many rows that were.
    fn sweep(&self, now_unix_ms: u64, done: Done<u64>);

    // Bans, mutes, blocks

    /// Bans a player: none of their tokens opens anything again, and as long as the ban holds each tells why. Says which
    /// sign-ins ended. `None`: no such player.
    fn ban(&self, ban: BanRow, done: Done<Option<Vec<SignIn>>>);
    /// Lifts a ban and forgets the tokens from before it; whether there was one.
    fn unban(&self, id: PlayerId, done: Done<bool>);
    /// Mutes a player.
    fn mute(&self, mute: MuteRow, done: Done<()>);
    /// A player's mutes, run out or not.
    fn mutes(&self, id: PlayerId, done: Done<Vec<MuteRow>>);
    /// Everybody's mutes that have not run out.
    fn active_mutes(&self, now_unix_ms: u64, done: Done<Vec<MuteRow>>);
    /// `player` no longer hears from `blocked`.
    fn block(&self, player: PlayerId, blocked: PlayerId, done: Done<()>);
    /// Lifts a block; whether there was one.
    fn unblock(&self, player: PlayerId, blocked: PlayerId, done: Done<bool>);
    /// Whom that player has blocked.
    fn blocks(&self, player: PlayerId, done: Done<Vec<PlayerId>>);
    /// Whether either of the two has blocked the other, and which, as the first of them may be told it.
    fn blocked_between(&self, by: PlayerId, other: PlayerId, done: Done<Option<Block>>);
    /// The first of these players who blocked that one, or whom that one blocked.
    fn blocked_among(&self, player: PlayerId, others: Vec<PlayerId>, done: Done<Option<PlayerId>>);

    // Chat and direct messages

    /// Appends a line; its place in the channel, from 1.
    fn append_chat(&self, line: ChatRow, done: Done<u64>);
    /// Edits or deletes a line.
    fn change_chat(&self, change: ChatChange, done: Done<Changed>);
    /// One line, unless it was deleted.
    fn chat_line(&self, channel_id: String, message_id: MessageId, done: Done<Option<ChatRow>>);
    /// The newest `limit` lines of a channel, oldest first, without deleted ones.
    fn chat_history(&self, channel_id: String, limit: u32, done: Done<Vec<ChatRow>>);

    // Finished matches and votes

    /// Notes that a match runs and who plays in it; again for whoever joins later. Should the process end before the
    /// match, they still find what it left: its votes, and that it was interrupted.
    fn begin_match(&self, running: RunningRow, players: Vec<PlayerId>, done: Done<()>);
    /// Ends the matches that a process before this one left running, with the status `interrupted`; how many.
    fn end_interrupted(&self, now_unix_ms: u64, done: Done<u64>);
    /// Records a finished match and adds it to its players' statistics; false when it was recorded before.
    fn finish_match(&self, record: MatchRow, participants: Vec<ParticipantRow>, done: Done<bool>);
    /// Finished matches, newest first.
    fn matches(&self, filter: MatchFilter, done: Done<Vec<MatchRow>>);
    /// One finished match and who took part, in order of joining.
    fn match_record(&self, id: MatchId, done: Done<Option<(MatchRow, Vec<ParticipantRow>)>>);
    /// What a player did so far, by mode.
    fn stats_of(&self, id: PlayerId, done: Done<Vec<StatsRow>>);
    /// Records a vote that is over with its audit (JSON text), which is written out on the store's own thread; false
    /// when that match has one of that id.
    fn record_vote(&self, vote: VoteRow, audit: AuditText, done: Done<bool>);
    /// One recorded vote; one whose record is still waiting to be written counts as recorded.
    fn vote(&self, id: VoteId, done: Done<Option<VoteRow>>);
    /// The audit of one recorded vote as JSON text; as for [`Self::vote`].
    fn vote_audit(&self, id: VoteId, done: Done<Option<String>>);
    /// The recorded votes of a match, newest first.
    fn votes_of_match(&self, id: MatchId, limit: u32, done: Done<Vec<VoteRow>>);

    // Notifications

    /// Stores notifications, all or none.
    fn notify(&self, notifications: Vec<NotificationRow>, done: Done<()>);
    /// A player's newest notifications, newest first; only read or unread ones when asked.
    fn notifications(&self, id: PlayerId, read: Option<bool>, limit: u32, done: Done<Vec<NotificationRow>>);
    /// Marks one of the player's own notifications as read; the row as it is now, `None` when it is not theirs.
    fn read_notification(&self, of: PlayerId, id: NotificationId, done: Done<Option<NotificationRow>>);
    /// Deletes one of the player's own notifications; whether there was one.
    fn delete_notification(&self, of: PlayerId, id: NotificationId, done: Done<bool>);

    // Operators and games

    /// Leaves a line in the operators' audit trail.
    fn audit(&self, row: AuditRow, done: Done<()>);
    /// The newest lines of the audit trail, newest first.
    fn audit_trail(&self, limit: u32, done: Done<Vec<AuditRow>>);
    /// Keeps a value for a game.
    fn kv_put(&self, scope: String, row: KvRow, done: Done<()>);
    /// A kept value.
    fn kv_get(&self, scope: String, key: String, done: Done<Option<KvRow>>);
    /// Forgets a kept value; whether there was one.
    fn kv_delete(&self, scope: String, key: String, done: Done<bool>);
    /// The kept values of a scope whose keys begin with `prefix`, by key.
    fn kv_list(&self, scope: String, prefix: String, limit: u32, done: Done<Vec<KvRow>>);
    /// The kept values of all scopes that begin with `scopes`, which ends with a `:`, each with the rest of its scope;
    /// with everything in it that was put before.
    fn kv_within(&self, scopes: String, limit: u32, done: Done<Vec<(String, KvRow)>>);

    // The store itself

    /// What the store has been doing; costs a lock and some arithmetic.
    fn stats(&self) -> StoreStats;
    /// Takes nothing more, finishes what is queued and returns once it is on disk. Blocks; may be called twice.
    fn close(&self);
}
