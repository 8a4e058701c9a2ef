//! Players, devices, tokens, bans, mutes and blocks.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::columns::{int, uint};
use crate::ids::PlayerId;
use crate::store::rows::*;

pub(super) fn create_player(db: &Connection, player: NewPlayer, tokens: NewTokens) -> rusqlite::Result<Creation> {
    if let Some(refusal) = name_refusal(db, &player.username_key, &player.skeleton, None)? {
        return Ok(refusal);
    }
    insert_player(db, &player)?;
    insert_tokens(db, &SignIn { player_id: tokens.player_id, family: tokens.family }, &tokens.pair)?;
    Ok(Creation::Created)
}

pub(super) fn create_guest(
    db: &Connection,
    player: NewPlayer,
    new: DeviceRow,
    tokens: NewTokens,
) -> rusqlite::Result<Creation> {
    if device(db, new.device)?.is_some() {
        return Ok(Creation::DeviceTaken);
    }
    if let Some(refusal) = name_refusal(db, &player.username_key, &player.skeleton, None)? {
        return Ok(refusal);
    }
    insert_player(db, &player)?;
    db.prepare_cached("INSERT INTO devices (device, secret, player_id) VALUES (?, ?, ?)")?.execute(params![
        new.device,
        new.secret,
        new.player_id
    ])?;
    insert_tokens(db, &SignIn { player_id: tokens.player_id, family: tokens.family }, &tokens.pair)?;
    Ok(Creation::Created)
}

pub(super) fn claim_guest(
    db: &Connection,
    claim: Claim,
    tokens: NewTokens,
) -> rusqlite::Result<(Creation, Vec<SignIn>)> {
    if player(db, claim.player_id)?.is_none_or(|row| !row.guest) {
        return Ok((Creation::NotAGuest, Vec::new()));
    }
    if let Some(refusal) = name_refusal(db, &claim.username_key, &claim.skeleton, Some(claim.player_id))? {
        return Ok((refusal, Vec::new()));
    }
    db.prepare_cached(
        "UPDATE players SET username = :username, username_key = :username_key, skeleton = :skeleton,
         display_name = :display_name, password_hash = :password_hash WHERE id = :id",
    )?
    .execute(named_params! {
        ":id": claim.player_id,
        ":username": claim.username,
        ":username_key": claim.username_key,
        ":skeleton": claim.skeleton,
        ":display_name": claim.display_name,
        ":password_hash": claim.password_hash,
    })?;
    // The device stays known, and its secret opens nothing: it is told that its guest became an account, and makes no
    // second player in silence.
    let ended = revoke(db, Revoke::Player(claim.player_id))?;
    insert_tokens(db, &SignIn { player_id: tokens.player_id, family: tokens.family }, &tokens.pair)?;
    Ok((Creation::Created, ended))
}

/// Why a name cannot be had, looking past the player who asks for it.
fn name_refusal(
    db: &Connection,
    username_key: &str,
    skeleton: &str,
    by: Option<PlayerId>,
) -> rusqlite::Result<Option<Creation>> {
    let taken = |column: &str, value: &str| -> rusqlite::Result<bool> {
        db.prepare_cached(&format!("SELECT 1 FROM players WHERE {column} = ? AND id IS NOT ?"))?
            .exists(params![value, by])
    };
    Ok(if taken("username_key", username_key)? {
        Some(Creation::UsernameTaken)
    } else if taken("skeleton", skeleton)? {
        Some(Creation::LookAlike)
    } else {
        None
    })
}

fn insert_player(db: &Connection, player: &NewPlayer) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO players (id, username, username_key, skeleton, display_name, password_hash, created_unix_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        player.id,
        player.username,
        player.username_key,
        player.skeleton,
        player.display_name,
        player.password_hash,
        int(player.created_unix_ms),
    ])
    .map(drop)
}

/// The columns of [`player_row`], from `players p LEFT JOIN bans b`.
const PLAYER_COLUMNS: &str = "p.id, p.username, p.display_name, p.password_hash, p.created_unix_ms,
    b.reason, b.until_unix_ms, b.created_unix_ms";

fn player_row(row: &Row<'_>) -> rusqlite::Result<PlayerRow> {
    let id = row.get(0)?;
    let password_hash: Option<String> = row.get(3)?;
    let banned_for: Option<String> = row.get(5)?;
    let ban = match banned_for {
        None => None,
        Some(reason) => Some(BanRow {
            player_id: id,
            reason,
            until_unix_ms: row.get::<_, Option<i64>>(6)?.map(uint),
            created_unix_ms: uint(row.get(7)?),
        }),
    };
    Ok(PlayerRow {
        id,
        username: row.get(1)?,
        display_name: row.get(2)?,
        guest: password_hash.is_none(),
        password_hash,
        created_unix_ms: uint(row.get(4)?),
        ban,
    })
}

fn player_where(db: &Connection, column: &str, value: &dyn rusqlite::ToSql) -> rusqlite::Result<Option<PlayerRow>> {
    db.prepare_cached(&format!(
        "SELECT {PLAYER_COLUMNS} FROM players p LEFT JOIN bans b ON b.player_id = p.id WHERE p.{column} = ?"
    ))?
    .query_row([value], player_row)
    .optional()
}

pub(super) fn player(db: &Connection, id: PlayerId) -> rusqlite::Result<Option<PlayerRow>> {
    player_where(db, "id", &id)
}

pub(super) fn player_by_username(db: &Connection, username_key: String) -> rusqlite::Result<Option<PlayerRow>> {
    player_where(db, "username_key", &username_key)
}

pub(super) fn device(db: &Connection, device: SecretHash) -> rusqlite::Result<Option<DeviceRow>> {
    db.prepare_cached("SELECT device, secret, player_id FROM devices WHERE device = ?")?
        .query_row([device], |row| Ok(DeviceRow { device: row.get(0)?, secret: row.get(1)?, player_id: row.get(2)? }))
        .optional()
}

pub(super) fn set_display_name(
    db: &Connection,
    id: PlayerId,
    display_name: String,
) -> rusqlite::Result<Option<PlayerRow>> {
    db.prepare_cached("UPDATE players SET display_name = ? WHERE id = ?")?.execute(params![display_name, id])?;
    player(db, id)
}

pub(super) fn issue_tokens(db: &Connection, tokens: NewTokens) -> rusqlite::Result<Issue> {
    // Asked here and not only by the caller: a ban that was written since then must not be outrun by a sign-in.
    match player(db, tokens.player_id)?.and_then(|row| row.ban) {
        Some(ban) if ban.holds(tokens.issued_unix_ms) => return Ok(Issue::Banned(ban)),
        // It ran out: what was handed out before it goes now, so that whatever stands beside a ban is older than it.
        Some(_) => drop(unban(db, tokens.player_id)?),
        None => {}
    }
    insert_tokens(db, &SignIn { player_id: tokens.player_id, family: tokens.family }, &tokens.pair)?;
    Ok(Issue::Issued)
}

fn insert_tokens(db: &Connection, whose: &SignIn, pair: &TokenPair) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO access_tokens (hash, player_id, family, expires_unix_ms) VALUES (?, ?, ?, ?)")?
        .execute(params![pair.access, whose.player_id, whose.family, int(pair.access_expires_unix_ms)])?;
    db.prepare_cached("INSERT INTO refresh_tokens (hash, player_id, family, expires_unix_ms) VALUES (?, ?, ?, ?)")?
        .execute(params![pair.refresh, whose.player_id, whose.family, int(pair.refresh_expires_unix_ms)])?;
    Ok(())
}

pub(super) fn access_token(db: &Connection, hash: SecretHash) -> rusqlite::Result<Option<AccessRow>> {
    db.prepare_cached(&format!(
        "SELECT {PLAYER_COLUMNS}, t.family, t.expires_unix_ms FROM access_tokens t
         JOIN players p ON p.id = t.player_id LEFT JOIN bans b ON b.player_id = p.id WHERE t.hash = ?"
    ))?
    .query_row([hash], |row| {
        Ok(AccessRow { player: player_row(row)?, family: row.get(8)?, expires_unix_ms: uint(row.get(9)?) })
    })
    .optional()
}

pub(super) fn rotate_refresh(db: &Connection, rotate: Rotate) -> rusqlite::Result<Rotation> {
    let presented = db
        .prepare_cached("SELECT player_id, family, expires_unix_ms, used FROM refresh_tokens WHERE hash = ?")?
        .query_row([rotate.presented], |row| {
            let whose = SignIn { player_id: row.get(0)?, family: row.get(1)? };
            Ok((whose, uint(row.get(2)?), row.get::<_, bool>(3)?))
        })
        .optional()?;
    let Some((whose, expires_unix_ms, used)) = presented else { return Ok(Rotation::Unknown) };
    if used {
        revoke_family(db, &whose.family)?;
        return Ok(Rotation::Reused(whose));
    }
    if expires_unix_ms <= rotate.now_unix_ms {
        return Ok(Rotation::Expired);
    }
    match player(db, whose.player_id)?.and_then(|row| row.ban) {
        Some(ban) if ban.holds(rotate.now_unix_ms) => return Ok(Rotation::Banned(ban)),
        Some(_) => return Ok(Rotation::Unknown),
        None => {}
    }
    db.prepare_cached("UPDATE refresh_tokens SET used = 1 WHERE hash = ?")?.execute([rotate.presented])?;
    insert_tokens(db, &whose, &rotate.next)?;
    Ok(Rotation::Rotated(whose))
}

fn revoke_family(db: &Connection, family: &Family) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM access_tokens WHERE family = ?")?.execute([family])?;
    db.prepare_cached("DELETE FROM refresh_tokens WHERE family = ?")?.execute([family])?;
    Ok(())
}

pub(super) fn revoke(db: &Connection, what: Revoke) -> rusqlite::Result<Vec<SignIn>> {
    let by_hash = |table: &str, hash: SecretHash| {
        db.prepare_cached(&format!("SELECT player_id, family FROM {table} WHERE hash = ?"))?
            .query_map([hash], sign_in)?
            .collect::<rusqlite::Result<Vec<_>>>()
    };
    let ended = match what {
        Revoke::Access(hash) => by_hash("access_tokens", hash)?,
        Revoke::Refresh(hash) => by_hash("refresh_tokens", hash)?,
        Revoke::Player(id) => sign_ins_of(db, id)?,
    };
    for SignIn { family, .. } in &ended {
        revoke_family(db, family)?;
    }
    Ok(ended)
}

fn sign_ins_of(db: &Connection, id: PlayerId) -> rusqlite::Result<Vec<SignIn>> {
    db.prepare_cached(
        "SELECT player_id, family FROM access_tokens WHERE player_id = ?1
         UNION SELECT player_id, family FROM refresh_tokens WHERE player_id = ?1",
    )?
    .query_map([id], sign_in)?
    .collect()
}

fn sign_in(row: &Row<'_>) -> rusqlite::Result<SignIn> {
    Ok(SignIn { player_id: row.get(0)?, family: row.get(1)? })
}

pub(super) fn sweep(db: &Connection, now_unix_ms: u64) -> rusqlite::Result<u64> {
    let mut swept = 0;
    for sql in [
        // What a ban made worthless does not come back when it is over.
        "DELETE FROM access_tokens WHERE player_id IN (SELECT player_id FROM bans WHERE until_unix_ms <= ?)",
        "DELETE FROM refresh_tokens WHERE player_id IN (SELECT player_id FROM bans WHERE until_unix_ms <= ?)",
        "DELETE FROM access_tokens WHERE expires_unix_ms <= ?",
        "DELETE FROM refresh_tokens WHERE expires_unix_ms <= ?",
        "DELETE FROM bans WHERE until_unix_ms <= ?",
        "DELETE FROM mutes WHERE until_unix_ms <= ?",
    ] {
        swept += db.prepare_cached(sql)?.execute([int(now_unix_ms)])?;
    }
    Ok(swept as u64)
}

pub(super) fn ban(db: &Connection, ban: BanRow) -> rusqlite::Result<Option<Vec<SignIn>>> {
    if player(db, ban.player_id)?.is_none() {
        return Ok(None);
    }
    db.prepare_cached(
        "INSERT OR REPLACE INTO bans (player_id, reason, until_unix_ms, created_unix_ms) VALUES (?, ?, ?, ?)",
    )?
    .execute(params![ban.player_id, ban.reason, ban.until_unix_ms.map(int), int(ban.created_unix_ms)])?;
    // The tokens stay as long as the ban does, and open nothing: whoever shows one is told why.
    sign_ins_of(db, ban.player_id).map(Some)
}

pub(super) fn unban(db: &Connection, id: PlayerId) -> rusqlite::Result<bool> {
    if player(db, id)?.is_none_or(|row| row.ban.is_none()) {
        return Ok(false);
    }
    revoke(db, Revoke::Player(id))?;
    Ok(db.prepare_cached("DELETE FROM bans WHERE player_id = ?")?.execute([id])? > 0)
}

pub(super) fn mute(db: &Connection, mute: MuteRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO mutes (player_id, channel_id, reason, until_unix_ms) VALUES (?, ?, ?, ?)",
    )?
    .execute(params![mute.player_id, mute.channel_id.unwrap_or_default(), mute.reason, int(mute.until_unix_ms)])
    .map(drop)
}

pub(super) fn mutes(db: &Connection, id: PlayerId) -> rusqlite::Result<Vec<MuteRow>> {
    db.prepare_cached("SELECT player_id, channel_id, reason, until_unix_ms FROM mutes WHERE player_id = ?")?
        .query_map([id], mute_row)?
        .collect()
}

pub(super) fn active_mutes(db: &Connection, now_unix_ms: u64) -> rusqlite::Result<Vec<MuteRow>> {
    db.prepare_cached("SELECT player_id, channel_id, reason, until_unix_ms FROM mutes WHERE until_unix_ms > ?")?
        .query_map([int(now_unix_ms)], mute_row)?
        .collect()
}

fn mute_row(row: &Row<'_>) -> rusqlite::Result<MuteRow> {
    let channel_id: String = row.get(1)?;
    Ok(MuteRow {
        player_id: row.get(0)?,
        channel_id: Some(channel_id).filter(|id| !id.is_empty()),
        reason: row.get(2)?,
        until_unix_ms: uint(row.get(3)?),
    })
}

pub(super) fn block(db: &Connection, player: PlayerId, blocked: PlayerId) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO blocks (player_id, blocked_id) VALUES (?, ?)")?
        .execute([player, blocked])
        .map(drop)
}

pub(super) fn unblock(db: &Connection, player: PlayerId, blocked: PlayerId) -> rusqlite::Result<bool> {
    Ok(db.prepare_cached("DELETE FROM blocks WHERE player_id = ? AND blocked_id = ?")?.execute([player, blocked])? > 0)
}

pub(super) fn blocks(db: &Connection, player: PlayerId) -> rusqlite::Result<Vec<PlayerId>> {
    db.prepare_cached("SELECT blocked_id FROM blocks WHERE player_id = ?")?
        .query_map([player], |row| row.get(0))?
        .collect()
}

pub(super) fn blocked_between(db: &Connection, by: PlayerId, other: PlayerId) -> rusqlite::Result<Option<Block>> {
    let mut blocks = db.prepare_cached("SELECT 1 FROM blocks WHERE player_id = ?1 AND blocked_id = ?2")?;
    Ok(if blocks.exists([by, other])? {
        Some(Block::Own)
    } else if blocks.exists([other, by])? {
        Some(Block::Theirs)
    } else {
        None
    })
}

pub(super) fn blocked_among(
    db: &Connection,
    player: PlayerId,
    others: Vec<PlayerId>,
) -> rusqlite::Result<Option<PlayerId>> {
    for other in others {
        if blocked_between(db, player, other)?.is_some() {
            return Ok(Some(other));
        }
    }
    Ok(None)
}
