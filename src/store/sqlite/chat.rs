//! Chat lines and direct messages, numbered per channel.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{int, uint};
use crate::ids::{MessageId, PlayerId};
use crate::store::rows::*;

pub(super) fn append_chat(db: &Connection, line: ChatRow) -> rusqlite::Result<u64> {
    // Deleted lines keep their row, so a number is never given twice.
    db.prepare_cached(
        "INSERT INTO chat_messages (channel_id, seq, message_id, sender_id, content, sent_unix_ms)
         VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM chat_messages WHERE channel_id = ?1), ?2, ?3, ?4, ?5)
         RETURNING seq",
    )?
    .query_row(params![line.channel_id, line.message_id, line.sender_id, line.content, int(line.sent_unix_ms)], |row| {
        row.get(0).map(uint)
    })
}

pub(super) fn change_chat(db: &Connection, change: ChatChange) -> rusqlite::Result<Changed> {
    let Some(line) = chat_line(db, change.channel_id, change.message_id)? else { return Ok(Changed::NotFound) };
    if change.only_sender.is_some_and(|sender| line.sender_id != Some(sender)) {
        return Ok(Changed::NotSender);
    }
    db.prepare_cached("UPDATE chat_messages SET content = ?, edited_unix_ms = ? WHERE message_id = ?")?
        .execute(params![change.content, int(change.unix_ms), change.message_id])?;
    Ok(Changed::Done)
}

const LINE_COLUMNS: &str = "message_id, channel_id, seq, sender_id, content, sent_unix_ms, edited_unix_ms";

fn line(row: &Row<'_>) -> rusqlite::Result<ChatRow> {
    Ok(ChatRow {
        message_id: row.get(0)?,
        channel_id: row.get(1)?,
        seq: uint(row.get(2)?),
        sender_id: row.get::<_, Option<PlayerId>>(3)?,
        content: row.get(4)?,
        sent_unix_ms: uint(row.get(5)?),
        edited_unix_ms: row.get::<_, Option<i64>>(6)?.map(uint),
    })
}

pub(super) fn chat_line(
    db: &Connection,
    channel_id: String,
    message_id: MessageId,
) -> rusqlite::Result<Option<ChatRow>> {
    db.prepare_cached(&format!(
        "SELECT {LINE_COLUMNS} FROM chat_messages WHERE message_id = ? AND channel_id = ? AND content IS NOT NULL"
    ))?
    .query_row(params![message_id, channel_id], line)
    .optional()
}

pub(super) fn chat_history(db: &Connection, channel_id: String, limit: u32) -> rusqlite::Result<Vec<ChatRow>> {
    let mut newest_first = db
        .prepare_cached(&format!(
            "SELECT {LINE_COLUMNS} FROM chat_messages WHERE channel_id = ? AND content IS NOT NULL
             ORDER BY seq DESC LIMIT ?"
        ))?
        .query_map(params![channel_id, limit], line)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    newest_first.reverse();
    Ok(newest_first)
}
