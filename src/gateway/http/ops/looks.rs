//! What an operator may look at.

use std::sync::atomic::Ordering::Relaxed;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::actors::connection::Cut;
use crate::actors::directory::{MatchCard, VotePlace};
use crate::actors::matches::Command;
use crate::actors::matchmaker::{DescribeArrivals, DescribeQueue};
use crate::actors::votes::Oversee;
use crate::gateway::http::query::Params;
use crate::gateway::http::records::{finished, show_vote};
use crate::gateway::http::reply::{Answer, Refused, ok};
use crate::gateway::http::state::HttpState;
use crate::ids::{MatchId, VoteId};
use crate::store::ask;
use crate::wire::error::Reason;
use crate::wire::time::Iso;

type State = web::Data<HttpState>;

/// JSON text of an actor's own making, as it is.
fn described(json: String) -> Answer {
    Ok(HttpResponse::Ok().content_type("application/json").body(json))
}

/// How the server does: ticks per mode, sockets, the queue, votes, refusals, the store.
pub(super) async fn stats(state: State) -> Answer {
    let running = state.running()?;
    let realm = &running.realm;
    let modes: serde_json::Map<String, Value> = realm
        .meters
        .modes()
        .into_iter()
        .map(|(name, meters)| {
            let of_mode = json!({
                "lateness": meters.lateness.summary(),
                "work": meters.work.summary(),
                "emit": meters.emit.summary(),
                "period_error": realm.meters.period_error(&name),
                "ticks": meters.ticks.load(Relaxed),
                "ticks_skipped": meters.skipped.load(Relaxed),
                "inputs_dropped": meters.inputs_dropped.load(Relaxed),
                "effects_refused": meters.effects_refused.load(Relaxed),
                "matches_started": meters.started.load(Relaxed),
                "matches_finished": meters.finished.load(Relaxed),
                "matches_died": meters.died.load(Relaxed),
            });
            (name.to_string(), of_mode)
        })
        .collect();
    let refusals: std::collections::BTreeMap<_, _> =
        realm.meters.refusals.iter().map(|row| (*row.key(), row.value().load(Relaxed))).collect();
    let sockets = &running.sockets;
    let cut: serde_json::Map<String, Value> =
        Cut::ALL.iter().map(|(cut, name)| ((*name).into(), sockets.cut(*cut).into())).collect();
    let store = state.store.stats();
    ok(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_ms": state.clock.now().unix_ms.saturating_sub(running.started_unix_ms),
        "draining": realm.is_draining(),
        "sessions": realm.directory.sessions_live(),
        "matches": realm.directory.matches_live(),
        "load": {
            "lagging": realm.pressure.is_lagging(),
            "shedding": realm.pressure.load().shedding(),
            "matches_refused": realm.pressure.matches_refused.load(Relaxed),
            "spectators_refused": realm.pressure.spectators_refused.load(Relaxed),
            "states_shed": realm.pressure.states_shed.load(Relaxed),
        },
        "modes": modes,
        "matchmaker": {"wait": realm.meters.queue_wait.summary()},
        "votes": {
            "opened": realm.meters.votes_opened.load(Relaxed),
            "closed": realm.meters.votes_closed.load(Relaxed),
            "died": realm.meters.votes_died.load(Relaxed),
        },
        "sockets": {
            "open": sockets.open(),
            "opened": sockets.opened.get(),
            "messages_in": sockets.messages_in.get(),
            "bytes_in": sockets.bytes_in.get(),
            "refused_in": sockets.refused_in.get(),
            "frames_out": sockets.frames_out.get(),
            "bytes_out": sockets.bytes_out.get(),
            "batches_out": sockets.batches_out.get(),
            "replaced": sockets.replaced.get(),
            "cut": cut,
        },
        "store": {
            "writes": latency(&store.writes),
            "reads": latency(&store.reads),
            "commits": store.commits,
            "queue_len": store.queue_len,
            "busy": store.busy,
            "errors": store.errors,
        },
        "refusals": refusals,
        "tells_lost": realm.meters.tells_lost.load(Relaxed),
    }))
}

fn latency(stats: &crate::store::LatencyStats) -> Value {
    json!({"count": stats.count, "p50_us": stats.p50_us, "p99_us": stats.p99_us, "max_us": stats.max_us})
}

fn card(card: &MatchCard) -> Value {
    let state = *card.state.lock();
    json!({
        "match_id": card.match_id,
        "mode": *card.mode,
        "status": state.phase.word(),
        "player_count": state.players,
        "max_players": card.players_max,
        "joinable": state.joinable,
        "listed": card.listed,
        "private": card.join_code.is_some(),
        "join_code": card.join_code.as_deref(),
        "created_at": Iso(card.created_ms),
    })
}

/// Live matches, oldest first; `mode` narrows them, `limit` cuts them.
pub(super) async fn matches(state: State, req: HttpRequest) -> Answer {
    let params = Params::of(&req);
    let mut cards = state.running()?.realm.directory.cards();
    cards.retain(|card| params.get("mode").is_none_or(|mode| *card.mode == *mode));
    cards.sort_by_key(|card| card.match_id);
    let total = cards.len();
    let shown: Vec<_> = cards.iter().take(params.limit()? as usize).map(|one| card(one)).collect();
    ok(&json!({"matches": shown, "total": total}))
}

/// One match: its live state, tick lateness and roster, or its record when it is over.
pub(super) async fn one_match(state: State, id: web::Path<String>) -> Answer {
    let id: MatchId = id.parse().map_err(|_| Reason::MatchNotFound)?;
    let Some(live) = state.running()?.realm.directory.card(id) else { return finished(&state, id).await };
    let (tell, told) = oneshot::channel();
    live.addr.try_send(Command::Describe(tell)).map_err(|_| Reason::Busy)?;
    // A match that ended meanwhile never answers; it is a record now, or soon.
    let Ok(text) = told.await else { return finished(&state, id).await };
    let mut shown = card(&live);
    if let (Value::Object(shown), Ok(Value::Object(more))) = (&mut shown, serde_json::from_str(&text)) {
        shown.extend(more);
    }
    ok(&shown)
}

/// One vote: as it stands, or its record.
pub(super) async fn vote(state: State, id: web::Path<String>) -> Answer {
    let id: VoteId = id.parse().map_err(|_| Reason::VoteNotOnRecord)?;
    if let Some(VotePlace::Open(_, addr)) = state.running()?.realm.directory.vote(&id) {
        let (tell, told) = oneshot::channel();
        addr.try_send(Oversee::Describe(tell)).map_err(|_| Reason::Busy)?;
        if let Ok(text) = told.await {
            return described(text);
        }
    }
    match ask(|done| state.store.vote(id, done)).await? {
        Some(row) => ok(&show_vote(&row)),
        None => Err(Reason::VoteNotOnRecord.into()),
    }
}

/// Tickets by mode, how long they wait, and why they are not matched.
pub(super) async fn matchmaker(state: State) -> Answer {
    let asked = state.running()?.realm.matchmaker().send(DescribeQueue).await;
    described(asked.map_err(|_| Refused::from(Reason::Busy))?)
}

/// The latest arrivals in the queue of `mode`, or of all, one JSON object per line: what `tessera scenario queue` reads.
pub(super) async fn recording(state: State, req: HttpRequest) -> Answer {
    let mode = Params::of(&req).get("mode").map(str::to_owned);
    let asked = state.running()?.realm.matchmaker().send(DescribeArrivals { mode }).await;
    let lines = asked.map_err(|_| Refused::from(Reason::Busy))?;
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").body(lines))
}

/// Signed-in players, by id.
pub(super) async fn sessions(state: State, req: HttpRequest) -> Answer {
    let directory = &state.running()?.realm.directory;
    let mut members = directory.members();
    members.sort_by_key(|member| member.player);
    let total = members.len();
    let shown: Vec<_> = members
        .iter()
        .take(Params::of(&req).limit()? as usize)
        .map(|member| {
            json!({
                "player_id": member.player,
                "session_id": member.session_id,
                "connected": member.outlet.connection().is_some(),
                "match_id": directory.seat(member.player),
            })
        })
        .collect();
    ok(&json!({"sessions": shown, "total": total}))
}

/// Every mode as it is played.
pub(super) async fn modes(state: State) -> Answer {
    let modes: std::collections::BTreeMap<_, _> =
        state.running()?.realm.modes().into_iter().map(|(name, mode)| (name.to_string(), mode)).collect();
    ok(&json!({"modes": modes}))
}

/// Every value of the configuration and where it came from; secrets only say whether they are set.
pub(super) async fn config(state: State) -> Answer {
    let values: Vec<_> = state
        .running()?
        .config
        .iter()
        .map(|(path, value, origin)| {
            // Values are shown as TOML, which for numbers, texts and flags is JSON as well.
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value.as_str()));
            json!({"path": path, "value": value, "origin": origin})
        })
        .collect();
    ok(&json!({"config": values}))
}

/// The newest lines of the audit trail, newest first.
pub(super) async fn audit(state: State, req: HttpRequest) -> Answer {
    let limit = Params::of(&req).limit()?;
    let rows = ask(|done| state.store.audit_trail(limit, done)).await?;
    let lines: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "at": Iso(row.unix_ms),
                "address": row.address,
                "action": row.action,
                "target": row.target,
                "details": serde_json::from_str::<Value>(&row.details).unwrap_or_default(),
            })
        })
        .collect();
    ok(&json!({"audit": lines}))
}
