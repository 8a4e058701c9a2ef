//! What lies on people's desks: players' notifications, the operators' audit trail, and what games keep.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{int, uint};
use crate::ids::{NotificationId, PlayerId};
use crate::store::rows::*;

pub(super) fn notify(db: &Connection, notifications: Vec<NotificationRow>) -> rusqlite::Result<()> {
    for new in notifications {
        db.prepare_cached(
            "INSERT INTO notifications (id, player_id, kind, subject, content, sent_unix_ms, read)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            new.id,
            new.player_id,
            new.kind,
            new.subject,
            new.content,
            int(new.sent_unix_ms),
            new.read
        ])?;
    }
    Ok(())
}

const NOTIFICATION_COLUMNS: &str = "id, player_id, kind, subject, content, sent_unix_ms, read";

fn notification(row: &Row<'_>) -> rusqlite::Result<NotificationRow> {
    Ok(NotificationRow {
        id: row.get(0)?,
        player_id: row.get(1)?,
        kind: row.get(2)?,
        subject: row.get(3)?,
        content: row.get(4)?,
        sent_unix_ms: uint(row.get(5)?),
        read: row.get(6)?,
    })
}

pub(super) fn notifications(
    db: &Connection,
    id: PlayerId,
    read: Option<bool>,
    limit: u32,
) -> rusqlite::Result<Vec<NotificationRow>> {
    db.prepare_cached(&format!(
        "SELECT {NOTIFICATION_COLUMNS} FROM notifications WHERE player_id = ?1 AND (?2 IS NULL OR read = ?2)
         ORDER BY sent_unix_ms DESC, id DESC LIMIT ?3"
    ))?
    .query_map(params![id, read, limit], notification)?
    .collect()
}

pub(super) fn read_notification(
    db: &Connection,
    of: PlayerId,
    id: NotificationId,
) -> rusqlite::Result<Option<NotificationRow>> {
    db.prepare_cached(&format!(
        "UPDATE notifications SET read = 1 WHERE id = ? AND player_id = ? RETURNING {NOTIFICATION_COLUMNS}"
    ))?
    .query_row(params![id, of], notification)
    .optional()
}

pub(super) fn delete_notification(db: &Connection, of: PlayerId, id: NotificationId) -> rusqlite::Result<bool> {
    Ok(db.prepare_cached("DELETE FROM notifications WHERE id = ? AND player_id = ?")?.execute(params![id, of])? > 0)
}

pub(super) fn audit(db: &Connection, row: AuditRow) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO audit_trail (unix_ms, address, action, target, details) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![int(row.unix_ms), row.address, row.action, row.target, row.details])
        .map(drop)
}

pub(super) fn audit_trail(db: &Connection, limit: u32) -> rusqlite::Result<Vec<AuditRow>> {
    db.prepare_cached("SELECT unix_ms, address, action, target, details FROM audit_trail ORDER BY id DESC LIMIT ?")?
        .query_map([limit], |row| {
            Ok(AuditRow {
                unix_ms: uint(row.get(0)?),
                address: row.get(1)?,
                action: row.get(2)?,
                target: row.get(3)?,
                details: row.get(4)?,
            })
        })?
        .collect()
}

fn value(row: &Row<'_>) -> rusqlite::Result<KvRow> {
    Ok(KvRow { key: row.get(0)?, value: row.get(1)?, updated_unix_ms: uint(row.get(2)?) })
}

pub(super) fn kv_put(db: &Connection, scope: String, row: KvRow) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO game_values (scope, key, value, updated_unix_ms) VALUES (?, ?, ?, ?)")?
        .execute(params![scope, row.key, row.value, int(row.updated_unix_ms)])
        .map(drop)
}

pub(super) fn kv_get(db: &Connection, scope: String, key: String) -> rusqlite::Result<Option<KvRow>> {
    db.prepare_cached("SELECT key, value, updated_unix_ms FROM game_values WHERE scope = ? AND key = ?")?
        .query_row([scope, key], value)
        .optional()
}

pub(super) fn kv_delete(db: &Connection, scope: String, key: String) -> rusqlite::Result<bool> {
    Ok(db.prepare_cached("DELETE FROM game_values WHERE scope = ? AND key = ?")?.execute([scope, key])? > 0)
}

pub(super) fn kv_within(db: &Connection, scopes: String, limit: u32) -> rusqlite::Result<Vec<(String, KvRow)>> {
    // All texts that begin with the colon's lie below the one with the next character in its place.
    let above = format!("{};", scopes.trim_end_matches(':'));
    let mut found = db.prepare_cached(
        "SELECT key, value, updated_unix_ms, scope FROM game_values
         WHERE scope >= ?1 AND scope < ?2 ORDER BY scope, key LIMIT ?3",
    )?;
    let row = |row: &rusqlite::Row<'_>| {
        let scope: String = row.get(3)?;
        Ok((scope[scopes.len()..].to_owned(), value(row)?))
    };
    found.query_map(params![scopes, above, limit], row)?.collect()
}

pub(super) fn kv_list(db: &Connection, scope: String, prefix: String, limit: u32) -> rusqlite::Result<Vec<KvRow>> {
    // Not LIKE: a prefix may hold its wildcards.
    db.prepare_cached(
        "SELECT key, value, updated_unix_ms FROM game_values
         WHERE scope = ?1 AND key >= ?2 AND substr(key, 1, length(?2)) = ?2 ORDER BY key LIMIT ?3",
    )?
    .query_map(params![scope, prefix, limit], value)?
    .collect()
}
