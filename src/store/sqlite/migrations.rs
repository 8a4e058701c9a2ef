//! The shape of the database, as the list of steps that made it. A step is never changed once released; a new shape is
//! a new line at the end. `PRAGMA user_version` says how many steps a file has seen.
//!
//! Ids are kept as text, so that a person with the sqlite3 shell can read the file. There are no foreign keys: bots
//! take part in matches without being players, and records outlive what they mention.

use rusqlite::{Connection, TransactionBehavior};

use super::failed;
use crate::store::StoreError;

/// Step n brings a file from version n to n + 1.
pub(super) const MIGRATIONS: &[&str] = &[
    // 1: accounts, chat, records, notifications, the operators' trail, what games keep
    "
    CREATE TABLE players (
        id TEXT PRIMARY KEY,
        username TEXT NOT NULL,
        username_key TEXT NOT NULL UNIQUE,
        skeleton TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        password_hash TEXT,
        created_unix_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE devices (
        device BLOB PRIMARY KEY,
        secret BLOB NOT NULL,
        player_id TEXT NOT NULL UNIQUE
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE access_tokens (
        hash BLOB PRIMARY KEY,
        player_id TEXT NOT NULL,
        family BLOB NOT NULL,
        expires_unix_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX access_by_family ON access_tokens (family);
    CREATE INDEX access_by_player ON access_tokens (player_id);
    CREATE INDEX access_by_expiry ON access_tokens (expires_unix_ms);
    CREATE TABLE refresh_tokens (
        hash BLOB PRIMARY KEY,
        player_id TEXT NOT NULL,
        family BLOB NOT NULL,
        expires_unix_ms INTEGER NOT NULL,
        used INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX refresh_by_family ON refresh_tokens (family);
    CREATE INDEX refresh_by_player ON refresh_tokens (player_id);
    CREATE INDEX refresh_by_expiry ON refresh_tokens (expires_unix_ms);
    CREATE TABLE bans (
        player_id TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        until_unix_ms INTEGER,
        created_unix_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE mutes (
        player_id TEXT NOT NULL,
        channel_id TEXT NOT NULL, -- '' is everywhere
        reason TEXT NOT NULL,
        until_unix_ms INTEGER NOT NULL,
        PRIMARY KEY (player_id, channel_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE blocks (
        player_id TEXT NOT NULL,
        blocked_id TEXT NOT NULL,
        PRIMARY KEY (player_id, blocked_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_messages (
        channel_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        message_id TEXT NOT NULL UNIQUE,
        sender_id TEXT,
        content TEXT, -- NULL once deleted
        sent_unix_ms INTEGER NOT NULL,
        edited_unix_ms INTEGER,
        PRIMARY KEY (channel_id, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE matches (
        id TEXT PRIMARY KEY,
        mode TEXT NOT NULL,
        status TEXT NOT NULL,
        result TEXT NOT NULL,
        started_unix_ms INTEGER NOT NULL,
        finished_unix_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX matches_by_end ON matches (finished_unix_ms);
    CREATE INDEX matches_by_mode ON matches (mode, finished_unix_ms);
    CREATE TABLE participants (
        match_id TEXT NOT NULL,
        seat INTEGER NOT NULL, -- order of joining
        player_id TEXT NOT NULL,
        bot INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        stats TEXT,
        PRIMARY KEY (match_id, player_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX participants_by_player ON participants (player_id);
    CREATE TABLE player_stats (
        player_id TEXT NOT NULL,
        mode TEXT NOT NULL,
        played INTEGER NOT NULL,
        won INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        drawn INTEGER NOT NULL,
        forfeited INTEGER NOT NULL,
        PRIMARY KEY (player_id, mode)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE votes (
        id TEXT PRIMARY KEY,
        match_id TEXT NOT NULL,
        template TEXT NOT NULL,
        status TEXT NOT NULL,
        visibility TEXT NOT NULL,
        opened_unix_ms INTEGER NOT NULL,
        closed_unix_ms INTEGER NOT NULL,
        record TEXT NOT NULL,
        audit TEXT NOT NULL
    ) STRICT;
    CREATE INDEX votes_by_match ON votes (match_id, closed_unix_ms);
    CREATE TABLE notifications (
        id TEXT PRIMARY KEY,
        player_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        content TEXT NOT NULL,
        sent_unix_ms INTEGER NOT NULL,
        read INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX notifications_by_player ON notifications (player_id, sent_unix_ms);
    CREATE TABLE audit_trail (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        unix_ms INTEGER NOT NULL,
        address TEXT NOT NULL,
        action TEXT NOT NULL,
        target TEXT NOT NULL,
        details TEXT NOT NULL
    ) STRICT;
    CREATE TABLE game_values (
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        updated_unix_ms INTEGER NOT NULL,
        PRIMARY KEY (scope, key)
    ) STRICT, WITHOUT ROWID;
    ",
    // 2: matches that run are on record; votes of different matches may be called the same
    "
    CREATE TABLE running_matches (
        id TEXT PRIMARY KEY,
        mode TEXT NOT NULL,
        started_unix_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE votes RENAME TO votes_by_id;
    DROP INDEX votes_by_match;
    CREATE TABLE votes (
        id TEXT NOT NULL,
        match_id TEXT NOT NULL,
        template TEXT NOT NULL,
        status TEXT NOT NULL,
        visibility TEXT NOT NULL,
        opened_unix_ms INTEGER NOT NULL,
        closed_unix_ms INTEGER NOT NULL,
        record TEXT NOT NULL,
        audit TEXT NOT NULL,
        PRIMARY KEY (id, match_id)
    ) STRICT;
    INSERT INTO votes SELECT id, match_id, template, status, visibility, opened_unix_ms, closed_unix_ms, record, audit
        FROM votes_by_id;
    DROP TABLE votes_by_id;
    CREATE INDEX votes_by_match ON votes (match_id, closed_unix_ms);
    ",
];

/// Runs the steps that the file has not seen, each with its version number in one transaction, so that a crash between
/// two leaves a file of a known version. A file of a version we do not know is refused untouched.
pub(super) fn bring_up_to_date(db: &mut Connection) -> Result<(), StoreError> {
    loop {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let version: i64 = step.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        let Some(next) = usize::try_from(version).ok().filter(|seen| *seen <= MIGRATIONS.len()) else {
            return Err(StoreError::Failed(format!(
                "the database has version {version}, written by a newer Tessera; this one knows up to {}",
                MIGRATIONS.len()
            )));
        };
        let Some(sql) = MIGRATIONS.get(next) else { return Ok(()) };
        step.execute_batch(sql).map_err(failed)?;
        step.execute_batch(&format!("PRAGMA user_version = {}", next + 1)).map_err(failed)?;
        step.commit().map_err(failed)?;
    }
}
