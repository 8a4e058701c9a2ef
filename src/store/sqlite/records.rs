//! Finished matches, who took part, their statistics, and the votes that were held.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter};

use super::columns::{int, uint};
use crate::ids::{MatchId, PlayerId, VoteId};
use crate::store::rows::*;

pub(super) fn begin_match(db: &Connection, running: RunningRow, players: Vec<PlayerId>) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO running_matches (id, mode, started_unix_ms) VALUES (?, ?, ?)")?
        .execute(params![running.id, running.mode, int(running.started_unix_ms)])?;
    for player in players {
        db.prepare_cached(
            "INSERT OR IGNORE INTO participants (match_id, seat, player_id, bot, outcome)
             SELECT ?1, COUNT(*), ?2, 0, ?3 FROM participants WHERE match_id = ?1",
        )?
        .execute(params![running.id, player, Outcome::Played])?;
    }
    Ok(())
}

pub(super) fn end_interrupted(db: &Connection, now_unix_ms: u64) -> rusqlite::Result<u64> {
    db.prepare_cached(
        r#"INSERT OR IGNORE INTO matches (id, mode, status, result, started_unix_ms, finished_unix_ms)
           SELECT id, mode, 'interrupted', '{"status":"interrupted"}', started_unix_ms, ? FROM running_matches"#,
    )?
    .execute([int(now_unix_ms)])?;
    Ok(db.prepare_cached("DELETE FROM running_matches")?.execute([])? as u64)
}

pub(super) fn finish_match(
    db: &Connection,
    record: MatchRow,
    participants: Vec<ParticipantRow>,
) -> rusqlite::Result<bool> {
    db.prepare_cached("DELETE FROM running_matches WHERE id = ?")?.execute([record.id])?;
    let new =
        db.prepare_cached(
            "INSERT OR IGNORE INTO matches (id, mode, status, result, started_unix_ms, finished_unix_ms)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            record.id,
            record.mode,
            record.status,
            record.result,
            int(record.started_unix_ms),
            int(record.finished_unix_ms),
        ])? > 0;
    if !new {
        return Ok(false);
    }
    // What was noted while it ran gives way to how it ended.
    db.prepare_cached("DELETE FROM participants WHERE match_id = ?")?.execute([record.id])?;
    for (seat, part) in participants.iter().enumerate() {
        db.prepare_cached(
            "INSERT OR REPLACE INTO participants (match_id, seat, player_id, bot, outcome, stats)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![record.id, int(seat as u64), part.player_id, part.bot, part.outcome, part.stats])?;
        if !part.bot && part.outcome != Outcome::Cancelled {
            count_outcome(db, part.player_id, &record.mode, part.outcome)?;
        }
    }
    Ok(true)
}

fn count_outcome(db: &Connection, id: PlayerId, mode: &str, outcome: Outcome) -> rusqlite::Result<()> {
    let one_if = |which: Outcome| i64::from(outcome == which);
    db.prepare_cached(
        "INSERT INTO player_stats (player_id, mode, played, won, lost, drawn, forfeited) VALUES (?, ?, 1, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET played = played + 1, won = won + excluded.won, lost = lost + excluded.lost,
         drawn = drawn + excluded.drawn, forfeited = forfeited + excluded.forfeited",
    )?
    .execute(params![
        id,
        mode,
        one_if(Outcome::Won),
        one_if(Outcome::Lost),
        one_if(Outcome::Drawn),
        one_if(Outcome::Forfeited),
    ])
    .map(drop)
}

const MATCH_COLUMNS: &str = "m.id, m.mode, m.status, m.result, m.started_unix_ms, m.finished_unix_ms";

fn match_row(row: &Row<'_>) -> rusqlite::Result<MatchRow> {
    Ok(MatchRow {
        id: row.get(0)?,
        mode: row.get(1)?,
        status: row.get(2)?,
        result: row.get(3)?,
        started_unix_ms: uint(row.get(4)?),
        finished_unix_ms: uint(row.get(5)?),
    })
}

pub(super) fn matches(db: &Connection, filter: MatchFilter) -> rusqlite::Result<Vec<MatchRow>> {
    // Only the conditions that are asked for, so that each question can use its index.
    let mut from = "matches m";
    let mut conditions = Vec::new();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    if let Some(id) = &filter.player_id {
        from = "participants p JOIN matches m ON m.id = p.match_id";
        conditions.push("p.player_id = ?");
        values.push(id);
    }
    if let Some(mode) = &filter.mode {
        conditions.push("m.mode = ?");
        values.push(mode);
    }
    if let Some(status) = &filter.status {
        conditions.push("m.status = ?");
        values.push(status);
    }
    values.push(&filter.limit);
    let where_ = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    db.prepare_cached(&format!(
        "SELECT {MATCH_COLUMNS} FROM {from} {where_} ORDER BY m.finished_unix_ms DESC, m.id DESC LIMIT ?"
    ))?
    .query_map(params_from_iter(values), match_row)?
    .collect()
}

pub(super) fn match_record(db: &Connection, id: MatchId) -> rusqlite::Result<Option<(MatchRow, Vec<ParticipantRow>)>> {
    let record = db
        .prepare_cached(&format!("SELECT {MATCH_COLUMNS} FROM matches m WHERE m.id = ?"))?
        .query_row([id], match_row)
        .optional()?;
    let Some(record) = record else { return Ok(None) };
    let participants = db
        .prepare_cached("SELECT player_id, bot, outcome, stats FROM participants WHERE match_id = ? ORDER BY seat")?
        .query_map([id], |row| {
            Ok(ParticipantRow { player_id: row.get(0)?, bot: row.get(1)?, outcome: row.get(2)?, stats: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some((record, participants)))
}

pub(super) fn stats_of(db: &Connection, id: PlayerId) -> rusqlite::Result<Vec<StatsRow>> {
    db.prepare_cached(
        "SELECT mode, played, won, lost, drawn, forfeited FROM player_stats WHERE player_id = ? ORDER BY mode",
    )?
    .query_map([id], |row| {
        Ok(StatsRow {
            mode: row.get(0)?,
            played: uint(row.get(1)?),
            won: uint(row.get(2)?),
            lost: uint(row.get(3)?),
            drawn: uint(row.get(4)?),
            forfeited: uint(row.get(5)?),
        })
    })?
    .collect()
}

pub(super) fn record_vote(db: &Connection, vote: VoteRow, audit: AuditText) -> rusqlite::Result<bool> {
    Ok(db
        .prepare_cached(
            "INSERT OR IGNORE INTO votes
             (id, match_id, template, status, visibility, opened_unix_ms, closed_unix_ms, record, audit)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            vote.id,
            vote.match_id,
            vote.template,
            vote.status,
            vote.visibility,
            int(vote.opened_unix_ms),
            int(vote.closed_unix_ms),
            vote.record,
            audit(),
        ])?
        > 0)
}

const VOTE_COLUMNS: &str = "id, match_id, template, status, visibility, opened_unix_ms, closed_unix_ms, record";

/// Two matches may each have had a vote of one name, one after the other: the later one is meant.
const NEWEST: &str = "ORDER BY closed_unix_ms DESC LIMIT 1";

fn vote_row(row: &Row<'_>) -> rusqlite::Result<VoteRow> {
    Ok(VoteRow {
        id: row.get(0)?,
        match_id: row.get(1)?,
        template: row.get(2)?,
        status: row.get(3)?,
        visibility: row.get(4)?,
        opened_unix_ms: uint(row.get(5)?),
        closed_unix_ms: uint(row.get(6)?),
        record: row.get(7)?,
    })
}

pub(super) fn vote(db: &Connection, id: VoteId) -> rusqlite::Result<Option<VoteRow>> {
    db.prepare_cached(&format!("SELECT {VOTE_COLUMNS} FROM votes WHERE id = ? {NEWEST}"))?
        .query_row([id], vote_row)
        .optional()
}

pub(super) fn vote_audit(db: &Connection, id: VoteId) -> rusqlite::Result<Option<String>> {
    db.prepare_cached(&format!("SELECT audit FROM votes WHERE id = ? {NEWEST}"))?
        .query_row([id], |row| row.get(0))
        .optional()
}

pub(super) fn votes_of_match(db: &Connection, id: MatchId, limit: u32) -> rusqlite::Result<Vec<VoteRow>> {
    db.prepare_cached(&format!(
        "SELECT {VOTE_COLUMNS} FROM votes WHERE match_id = ? ORDER BY closed_unix_ms DESC, id DESC LIMIT ?"
    ))?
    .query_map(params![id, limit], vote_row)?
    .collect()
}
