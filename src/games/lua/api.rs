//! The `game` table. Wrong arguments answer `{error = "..."}` at the call site, naming the shape that was wanted;
//! what the calls ask for becomes an [`Effect`] that the match carries out after the callback.

use std::rc::Rc;

use mlua::{Lua, Table, Value, Variadic};
use serde_json::value::RawValue;

use super::host::{BOT, Host, StoreKey};
use super::rations::Row;
use super::{clock, convert, report};
use crate::engine::chat::{Content, InvalidChannelId, Place as ChatPlace, is_plain};
use crate::engine::matches::events::{RESERVED_LEAVES, is_leaf};
use crate::games::{Effect, Json};
use crate::ids::{PlayerId, VoteId};
use crate::limits::scripts::{
    CHANNEL_ID_BYTES_MAX, LOG_CHARS_MAX, META_BYTES_MAX, SCRIPT_NOTICES_BURST, SCRIPT_ROOM_MEMBERS_MAX,
    STORED_BYTES_MAX, STORED_NAME_BYTES_MAX, VOTE_KEYS_MAX,
};
use crate::limits::{EVENT_BYTES_MAX, NOTICE_TYPE_BYTES_MAX, OPS_TEXT_BYTES_MAX};

/// Calls of the public interface that this server has no floor for. They answer an error instead of being nil, so
/// that a script which checks `result.error` plays on.
const NOT_HERE: &[(&str, &[&str])] = &[
    ("economy", &["grant", "debit", "balance", "purchase"]),
    ("leaderboard", &["submit", "top", "rank", "around"]),
    ("zone", &["spawn", "despawn", "apply"]),
    ("terrain", &["get_chunk", "preload"]),
];

const NOT_AVAILABLE: &str = "not available on this server";

/// What an API function gives back: an answer, or the shape it wanted.
pub(super) type Answer = Result<Value, String>;

pub(super) type Call = fn(&Lua, &Host, &[Value]) -> Answer;

/// One row per function: where it lives, its name, and whether a file's body may call it.
pub(super) const CALLS: &[(&str, &str, bool, Call)] = &[
    ("", "id", false, id),
    ("", "log", true, log),
    ("", "broadcast", false, broadcast),
    ("", "send", false, send),
    ("", "notify", false, notify),
    ("", "notify_many", false, notify_many),
    ("", "object", true, object),
    ("", "random", false, random),
    ("match", "id", true, match_id),
    ("match", "set_joinable", false, set_joinable),
    ("match", "finish", false, finish),
    ("match", "backfill", false, backfill),
    ("match", "kick", false, kick),
    ("bots", "add", false, bots_add),
    ("bots", "remove", false, bots_remove),
    ("bots", "list", false, bots_list),
    ("chat", "send", false, chat_send),
    ("chat", "set_room", false, chat_set_room),
    ("vote", "open", false, vote_open),
    ("vote", "cancel", false, vote_cancel),
    ("vote", "list", false, vote_list),
    ("storage", "get", false, storage_get),
    ("storage", "set", false, storage_set),
    ("storage", "player_get", false, storage_player_get),
    ("storage", "player_set", false, storage_player_set),
];

/// Builds the `game` table. `game.spatial` comes from the prelude.
pub(super) fn install(lua: &Lua, host: &Rc<Host>) -> mlua::Result<Table> {
    let game = lua.create_table()?;
    // Shared by every object, and nobody's to add to: a finaliser put there would be everybody's.
    let mark = lua.create_table()?;
    mark.raw_set("__metatable", false)?;
    host.set_object_mark(mark);
    for (space, name, while_loading, call) in CALLS.iter().copied() {
        let host = host.clone();
        let function = lua.create_function(move |lua, args: Variadic<Value>| {
            let answer = if host.loading() && !while_loading {
                Err(format!("game.{name} is not available while the file loads"))
            } else {
                call(lua, &host, &args)
            };
            // What ran out within the call ran out at the line of it, not wherever the hook fires next.
            host.stop_if_spent(lua)?;
            answer.or_else(|wanted| {
                let told = || match space {
                    "" => format!("game.{name} answers an error: {wanted}"),
                    _ => format!("game.{space}.{name} answers an error: {wanted}"),
                };
                // No mistakes, but answers like others.
                if ![LOADING, NOT_FOUND].contains(&wanted.as_str()) {
                    host.refused_call(told, || report::place_on_stack(lua));
                }
                error_table(lua, &wanted)
            })
        })?;
        in_space(lua, &game, space)?.raw_set(name, function)?;
    }
    let host = host.clone();
    let not_here = lua.create_function(move |lua, _: Variadic<Value>| {
        host.refused_call(|| format!("a call answers an error: {NOT_AVAILABLE}"), || report::place_on_stack(lua));
        error_table(lua, NOT_AVAILABLE)
    })?;
    for (space, names) in NOT_HERE {
        for name in *names {
            in_space(lua, &game, space)?.raw_set(*name, &not_here)?;
        }
    }
    Ok(game)
}

fn in_space(lua: &Lua, game: &Table, space: &str) -> mlua::Result<Table> {
    if space.is_empty() {
        return Ok(game.clone());
    }
    if let Some(t) = game.raw_get::<Option<Table>>(space)? {
        return Ok(t);
    }
    let t = lua.create_table()?;
    game.raw_set(space, &t)?;
    Ok(t)
}

fn error_table(lua: &Lua, text: &str) -> mlua::Result<Value> {
    Ok(Value::Table(lua.create_table_from([("error", text)])?))
}

fn ok_table(lua: &Lua, value: Value) -> Answer {
    lua.create_table_from([("ok", value)]).map(Value::Table).map_err(said)
}

fn said(error: mlua::Error) -> String {
    super::report::message_of(&error)
}

fn text(value: Option<&Value>) -> Option<String> {
    match value {
        Some(Value::String(s)) => s.to_str().ok().map(|s| s.to_owned()),
        _ => None,
    }
}

fn whole(value: Option<&Value>) -> Option<i64> {
    match value {
        Some(Value::Integer(n)) => Some(*n),
        Some(Value::Number(n)) if n.fract() == 0.0 && n.abs() < 9e15 => Some(*n as i64),
        _ => None,
    }
}

fn player(value: Option<&Value>) -> Option<PlayerId> {
    text(value)?.parse().ok()
}

fn plain_name(name: &str, max: usize) -> bool {
    (1..=max).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// Takes so many rows of the match's ration for what `call` asks for. Few scripts look at what such calls answer, so
/// their author is told as well.
fn ration(lua: &Lua, host: &Host, call: &'static str, row: Row, count: usize) -> Result<(), String> {
    host.ration(row, count).inspect_err(|refused| host.complain(call, || report::place_on_stack(lua), refused))
}

fn ask(host: &Host, effect: Effect) -> Answer {
    if host.push(effect) { Ok(Value::Boolean(true)) } else { Err("too much was asked for in one tick".into()) }
}

/// `game.id()`: a fresh UUIDv7 by the match's clock and seed.
fn id(lua: &Lua, host: &Host, _: &[Value]) -> Answer {
    let id = host.random(|rng| PlayerId::new(host.unix_ms(), rng)).to_string();
    lua.create_string(id).map(Value::String).map_err(said)
}

/// `game.log(level, message[, meta])`: false when over 30 lines in a second.
fn log(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    const WANTED: &str = "log requires (level, message[, meta]) with level debug, info, warn, warning or error";
    let level = text(args.first()).ok_or(WANTED)?;
    if !["debug", "info", "warn", "warning", "error"].contains(&level.as_str()) {
        return Err(WANTED.into());
    }
    let message = match args.get(1) {
        Some(Value::String(s)) => s.to_string_lossy(),
        Some(other) => match host.json(other, META_BYTES_MAX, false) {
            Ok(json) => json.get().to_owned(),
            Err(_) => "{\"_unencodable\":true}".into(),
        },
        None => return Err(WANTED.into()),
    };
    if !host.may_log() {
        return Ok(Value::Boolean(false));
    }
    let mut line: String = format!("{level}: ");
    line.extend(message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LOG_CHARS_MAX));
    if let Some(meta) = args.get(2).filter(|meta| !meta.is_nil()) {
        line.push(' ');
        match host.json(meta, META_BYTES_MAX, true) {
            Ok(json) => line.push_str(json.get()),
            Err(e) if e.to_string().contains("bytes") => line.push_str("{\"_truncated\":true}"),
            Err(_) => line.push_str("{\"_unencodable\":true}"),
        }
    }
    ask(host, Effect::Log(line))
}

/// `game.broadcast(event, payload)`: `match.<event>` to everyone in the match.
fn broadcast(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    let event = text(args.first()).ok_or("broadcast requires (event, payload)")?;
    if !is_leaf(&event) {
        return Err("an event's name is 1 to 64 characters of [A-Za-z0-9_-]".into());
    }
    if RESERVED_LEAVES.contains(&event.as_str()) {
        return Err(format!("the event name \"{event}\" is reserved"));
    }
    // The payload of a frame is an object, also where there is nothing to say.
    let payload = match args.get(1) {
        None | Some(Value::Nil) => RawValue::from_string("{}".to_owned()).map_err(|error| error.to_string())?,
        Some(given) => host.json(given, EVENT_BYTES_MAX, true).map_err(said)?,
    };
    ask(host, Effect::Broadcast { event, payload })
}

/// `game.send(player_id, message)`: `module.message` to one player.
fn send(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    if args.len() < 2 {
        return Err("send requires (player_id, message)".into());
    }
    let to = player(args.first()).ok_or("send requires (player_id, message)")?;
    let message = host.json(&args[1], EVENT_BYTES_MAX, false).map_err(said)?;
    ask(host, Effect::Send { to, module: "lua", message })
}

fn notification(host: &Host, args: &[Value], wanted: &str) -> Result<Json, String> {
    let (kind, subject) = (text(args.get(1)).ok_or(wanted)?, text(args.get(2)).ok_or(wanted)?);
    // As for an operator's: whoever lists notifications need not care who wrote them.
    if kind.is_empty() || kind.len() > NOTICE_TYPE_BYTES_MAX || !is_plain(&kind) {
        return Err(format!(
            "a notification's type is 1 to {NOTICE_TYPE_BYTES_MAX} bytes without control or bidi characters"
        ));
    }
    if subject.len() > OPS_TEXT_BYTES_MAX || !is_plain(&subject) {
        return Err(format!(
            "a notification's subject is at most {OPS_TEXT_BYTES_MAX} bytes without control or bidi characters"
        ));
    }
    let content = match args.get(3) {
        None | Some(Value::Nil) => "{}".to_owned(),
        // Said of this argument: the notification around it may well be longer.
        Some(data) => match host.json(data, META_BYTES_MAX, true) {
            Ok(json) => json.get().to_owned(),
            Err(error) => return Err(said(error).replacen("the message", "a notification's data", 1)),
        },
    };
    let quoted = |s: &str| serde_json::to_string(s).map_err(|e| e.to_string());
    let json = format!("{{\"type\":{},\"subject\":{},\"content\":{content}}}", quoted(&kind)?, quoted(&subject)?);
    RawValue::from_string(json).map_err(|e| e.to_string())
}

/// `game.notify(player_id, type, subject[, data])`.
fn notify(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    const WANTED: &str = "notify requires (player_id, type, subject[, data])";
    let to = player(args.first()).ok_or(WANTED)?;
    let notification = notification(host, args, WANTED)?;
    ration(lua, host, "game.notify", Row::Notice, 1)?;
    ask(host, Effect::Notify { to: vec![to], notification })?;
    ok_table(lua, Value::Boolean(true))
}

/// `game.notify_many(player_ids, type, subject[, data])`.
fn notify_many(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    const WANTED: &str = "notify_many requires (player_ids, type, subject[, data])";
    let Some(Value::Table(ids)) = args.first() else { return Err(WANTED.into()) };
    let mut to = Vec::new();
    for id in ids.sequence_values::<Value>().take(SCRIPT_NOTICES_BURST as usize) {
        let id = player(Some(&id.map_err(said)?)).ok_or(WANTED)?;
        // Named twice, told once.
        if !to.contains(&id) {
            to.push(id);
        }
    }
    let notification = notification(host, args, WANTED)?;
    let reached = lua.create_sequence_from(to.iter().map(PlayerId::to_string)).map_err(said)?;
    ration(lua, host, "game.notify_many", Row::Notice, to.len())?;
    ask(host, Effect::Notify { to, notification })?;
    ok_table(lua, Value::Table(reached))
}

/// `game.object([t])`: marks a table, so that it is written as an object even when it is empty.
fn object(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    let t = match args.first() {
        Some(Value::Table(t)) => t.clone(),
        None | Some(Value::Nil) => lua.create_table().map_err(said)?,
        Some(_) => return Err("object requires ([table])".into()),
    };
    let mark = host.rules(0, true).map_err(said)?.object.clone();
    t.set_metatable(Some(mark)).map_err(said)?;
    Ok(Value::Table(t))
}

/// `game.random()`, `(n)`, `(a, b)`: the match's own randomness, as `math.random`.
fn random(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    clock::random(host, args).map_err(said)
}

/// `game.match.id()`: what the match is called everywhere else, as in `match:<id>` or a web page of its own.
fn match_id(lua: &Lua, host: &Host, _: &[Value]) -> Answer {
    lua.create_string(host.birth().match_id.to_string()).map(Value::String).map_err(said)
}

/// `game.match.set_joinable(open)`.
fn set_joinable(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    match args {
        [Value::Boolean(open)] => ask(host, Effect::SetJoinable(*open)),
        _ => Err("set_joinable requires (true or false)".into()),
    }
}

/// `game.match.finish(result)`.
fn finish(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    let result = host.json(args.first().unwrap_or(&Value::Nil), EVENT_BYTES_MAX, true).map_err(said)?;
    ask(host, Effect::Finish(result))
}

/// `game.match.backfill(n)`: asks the matchmaker for players.
fn backfill(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    match whole(args.first()) {
        Some(n @ 1..=1000) => ask(host, Effect::Backfill(n as u32)),
        _ => Err("backfill requires (n), 1 to 1000".into()),
    }
}

/// `game.match.kick(player_id[, reason])`.
fn kick(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    let player = player(args.first()).ok_or("kick requires (player_id[, reason])")?;
    let reason: String = text(args.get(1)).unwrap_or_default().chars().take(256).collect();
    if !is_plain(&reason) {
        return Err("a kick's reason is a text without control or bidi characters".into());
    }
    ask(host, Effect::Kick { player, reason })
}

/// `game.bots.add(name)`: the bot sits down after the callback, if a seat is free. One that is there is not added again.
fn bots_add(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    let name = text(args.first()).filter(|n| plain_name(n, 32));
    let name = name.ok_or("bots.add requires (name), 1 to 32 characters of [A-Za-z0-9_-]")?;
    let name = name.strip_prefix(BOT).filter(|rest| !rest.is_empty()).unwrap_or(&name);
    if host.expects_bot(name) {
        return Ok(Value::Boolean(true));
    }
    ask(host, Effect::AddBot { name: name.to_owned() })
}

/// `game.bots.remove(bot_id or name)`: nothing happens where there is no such bot.
fn bots_remove(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    let which = text(args.first()).ok_or("bots.remove requires (bot_id or name)")?;
    match host.bot(&which) {
        Some(bot) => ask(host, Effect::RemoveBot(bot)),
        None => Ok(Value::Boolean(true)),
    }
}

/// `game.bots.list()`: the bots in this match, `{id =, name =}` each; a seat that a bot plays on in for its player is one
/// without a name. Ids are players' ids and say nothing.
fn bots_list(lua: &Lua, host: &Host, _: &[Value]) -> Answer {
    let list = || {
        let list = lua.create_table()?;
        for (id, name) in host.bots_by_name() {
            let entry = lua.create_table_from([("id", id.to_string())])?;
            if !name.is_empty() {
                entry.raw_set("name", name)?;
            }
            list.raw_push(entry)?;
        }
        Ok(Value::Table(list))
    };
    list().map_err(said)
}

/// `game.chat.send(channel_id, sender_id, content)`: a line from the server; who it is said to be from is not asked. What
/// can be known here is refused here; which rooms, matches and open names there are the match finds out, and tells.
fn chat_send(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    const WANTED: &str = "chat.send requires (channel_id, sender_id, content)";
    let (channel, content) = (text(args.first()).ok_or(WANTED)?, text(args.get(2)).ok_or(WANTED)?);
    text(args.get(1)).ok_or(WANTED)?;
    let content = Content::new(&content).map_err(|refused| refused.to_string())?.as_str().to_owned();
    match ChatPlace::parse(&channel, |_| true, |_| true) {
        Ok(ChatPlace::Dm(..)) => return Err("a direct channel is between two players; game.notify reaches one".into()),
        Ok(_) if (1..=CHANNEL_ID_BYTES_MAX).contains(&channel.len()) => {}
        _ => return Err(InvalidChannelId.to_string()),
    }
    ration(lua, host, "game.chat.send", Row::Line, 1)?;
    let place = report::place_on_stack(lua).map(|place| place.to_string());
    ask(host, Effect::Chat { channel, content, place })
}

/// `game.chat.set_room(name, player_ids)`: who belongs to `room:<name>` from now on, whoever set it before; none closes it
/// to everybody. It outlives the match.
fn chat_set_room(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    const WANTED: &str = "chat.set_room requires (name, player_ids)";
    let name = text(args.first()).ok_or(WANTED)?;
    if ChatPlace::room(&name).is_err() {
        return Err("a room's name has 1 to 64 bytes without spaces, `:`, control or bidi characters".into());
    }
    let Some(Value::Table(ids)) = args.get(1) else { return Err(WANTED.into()) };
    let mut members = Vec::new();
    for id in ids.sequence_values::<Value>().take(SCRIPT_ROOM_MEMBERS_MAX + 1) {
        members.push(player(Some(&id.map_err(said)?)).ok_or(WANTED)?);
    }
    if members.len() > SCRIPT_ROOM_MEMBERS_MAX {
        return Err(format!("a game gives a room {SCRIPT_ROOM_MEMBERS_MAX} members at most"));
    }
    ration(lua, host, "game.chat.set_room", Row::Value, 1)?;
    ask(host, Effect::SetRoom { name, members })?;
    ok_table(lua, Value::Boolean(true))
}

/// `game.vote.open(config)`: the new vote's id.
fn vote_open(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    const WANTED: &str = "vote.open requires (configuration with template and options)";
    let Some(Value::Table(config)) = args.first() else { return Err(WANTED.into()) };
    let config = with_plain_options(lua, config).map_err(said)?;
    let id = match config.raw_get::<Value>("vote_id").map_err(said)? {
        Value::Nil => {
            let id = host.random(|rng| VoteId::new(host.unix_ms(), rng)).to_string();
            config.raw_set("vote_id", id.as_str()).map_err(said)?;
            id
        }
        given => {
            let id = text(Some(&given)).filter(|id| id.parse::<VoteId>().is_ok());
            id.ok_or("vote_id is 1 to 64 bytes of [A-Za-z0-9_.:-]")?
        }
    };
    let json = host.json(&Value::Table(config), EVENT_BYTES_MAX, true).map_err(said)?;
    let place = report::place_on_stack(lua);
    host.admit_vote(&json).inspect_err(|why| host.complain("game.vote.open", || place.clone(), why))?;
    ask(host, Effect::OpenVote(json))?;
    host.vote_asked(&id, place);
    lua.create_string(id).map(Value::String).map_err(said)
}

/// A copy of a vote's configuration with each option as `{id =, label =}`, also where the author wrote bare strings.
pub(super) fn with_plain_options(lua: &Lua, config: &Table) -> mlua::Result<Table> {
    let (copy, mut keys) = (lua.create_table()?, 0);
    config.for_each(|key: Value, value: Value| {
        keys += 1;
        if keys > VOTE_KEYS_MAX {
            return Err(mlua::Error::runtime(format!("a vote's configuration has at most {VOTE_KEYS_MAX} keys")));
        }
        copy.raw_set(key, value)
    })?;
    if let Value::Table(options) = copy.raw_get("options")? {
        let plain = lua.create_table()?;
        for option in options.sequence_values::<Value>().take(1_000) {
            match option? {
                Value::Table(option) => plain.raw_push(option)?,
                bare => {
                    let entry = lua.create_table()?;
                    let id = lua.coerce_string(bare)?;
                    entry.raw_set("id", id.clone())?;
                    entry.raw_set("label", id)?;
                    plain.raw_push(entry)?;
                }
            }
        }
        copy.raw_set("options", plain)?;
    }
    Ok(copy)
}

/// `game.vote.cancel(vote_id)`.
fn vote_cancel(_: &Lua, host: &Host, args: &[Value]) -> Answer {
    let id = text(args.first()).and_then(|id| id.parse().ok()).ok_or("vote.cancel requires (vote_id)")?;
    ask(host, Effect::CancelVote(id))
}

/// `game.vote.list()`: the votes open in this match, `{vote_id =, template =}` each.
fn vote_list(lua: &Lua, host: &Host, _: &[Value]) -> Answer {
    let list = || {
        let list = lua.create_table()?;
        for vote in host.votes() {
            let entry = lua.create_table_from([("vote_id", vote.id.as_str()), ("template", &vote.template)])?;
            list.raw_push(entry)?;
        }
        Ok(Value::Table(list))
    };
    list().map_err(said)
}

fn storage_get(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    let key = key(None, args).ok_or("storage.get requires (collection, key)")?;
    stored(lua, host, key)
}

fn storage_player_get(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    const WANTED: &str = "storage.player_get requires (player_id, collection, key)";
    let owner = player(args.first()).ok_or(WANTED)?;
    stored(lua, host, key(Some(owner), &args[1..]).ok_or(WANTED)?)
}

fn storage_set(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    let key = key(None, args).ok_or("storage.set requires (collection, key, value)")?;
    store(lua, host, key, args.get(2))
}

fn storage_player_set(lua: &Lua, host: &Host, args: &[Value]) -> Answer {
    const WANTED: &str = "storage.player_set requires (player_id, collection, key, value)";
    let owner = player(args.first()).ok_or(WANTED)?;
    store(lua, host, key(Some(owner), &args[1..]).ok_or(WANTED)?, args.get(3))
}

const LOADING: &str = "loading";
const NOT_FOUND: &str = "not_found";
const TOO_MANY_KEYS: &str = "too many keys in one match";

fn key(owner: Option<PlayerId>, args: &[Value]) -> Option<StoreKey> {
    let fits = |s: &String| (1..=STORED_NAME_BYTES_MAX).contains(&s.len());
    Some((owner, text(args.first()).filter(fits)?, text(args.get(1)).filter(fits)?))
}

/// A stored value is `{ok = value}`; the first time a match asks for a key it is `{error = "loading"}`, because a
/// match never waits, and the value is there some ticks later. A key nobody stored is `{error = "not_found"}`.
fn stored(lua: &Lua, host: &Host, key: StoreKey) -> Answer {
    match host.stored(&key) {
        Some(Some(json)) => {
            let value = convert::decode(lua, &json).map_err(said)?;
            ok_table(lua, value)
        }
        Some(None) => {
            if host.may_be_old(&key) && host.may_keep(&key) && !host.is_awaited(&key) {
                load(host, key)?;
            }
            Err(NOT_FOUND.into())
        }
        None => {
            if !host.may_keep(&key) {
                return Err(TOO_MANY_KEYS.into());
            }
            if !host.is_awaited(&key) {
                load(host, key)?;
            }
            host.miss();
            Err(LOADING.into())
        }
    }
}

fn load(host: &Host, key: StoreKey) -> Answer {
    let (owner, collection, name) = key.clone();
    let asked = ask(host, Effect::Load { owner, collection, key: name })?;
    host.await_value(key);
    Ok(asked)
}

fn store(lua: &Lua, host: &Host, key: StoreKey, value: Option<&Value>) -> Answer {
    let value = host.json(value.unwrap_or(&Value::Nil), STORED_BYTES_MAX, true).map_err(said)?;
    if !host.may_keep(&key) {
        return Err(TOO_MANY_KEYS.into());
    }
    ration(lua, host, "game.storage.set", Row::Value, 1)?;
    // What is not stored is not shown as if it were.
    let (owner, collection, name) = key.clone();
    ask(host, Effect::Store { owner, collection, key: name, value: value.clone() })?;
    host.keep(key, Some(value));
    ok_table(lua, Value::Boolean(true))
}
