//! `/api/v1/matches` and `/api/v1/votes`: what is over. Anybody signed in may read how a match ended; who took part,
//! and the votes, are for those who were in it.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::path;
use super::query::Params;
use super::reply::{Answer, Refused, ok};
use super::state::HttpState;
use crate::engine::matches::verdict::is_status;
use crate::ids::{MatchId, PlayerId, VoteId};
use crate::limits::VOTES_LISTED_MAX;
use crate::store::ask;
use crate::store::rows::{MatchFilter, MatchRow, ParticipantRow, VoteRow};
use crate::wire::error::Reason;
use crate::wire::time::Iso;

type State = web::Data<HttpState>;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/matches", [(Method::GET, web::to(list))]);
    path(cfg, "/matches/{id}", [(Method::GET, web::to(show))]);
    path(cfg, "/matches/{id}/votes", [(Method::GET, web::to(votes_of_match))]);
    path(cfg, "/votes/{id}", [(Method::GET, web::to(vote))]);
    path(cfg, "/votes/{id}/audit", [(Method::GET, web::to(vote_audit))]);
}

/// A finished match. `result` is what the game published.
#[derive(Serialize)]
struct Record<'a> {
    id: MatchId,
    match_id: MatchId,
    mode: &'a str,
    status: &'a str,
    result: Value,
    started_at: Iso,
    finished_at: Iso,
    inserted_at: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    players: Option<Vec<Part>>,
}

/// One player's part in it.
#[derive(Serialize)]
struct Part {
    player_id: PlayerId,
    bot: bool,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Value>,
}

impl Part {
    fn new(row: &ParticipantRow) -> Self {
        Self {
            player_id: row.player_id,
            bot: row.bot,
            outcome: row.outcome.as_str(),
            stats: row.stats.as_deref().map(stored),
        }
    }
}

impl<'a> Record<'a> {
    fn new(row: &'a MatchRow, players: Option<&[ParticipantRow]>) -> Self {
        Self {
            id: row.id,
            match_id: row.id,
            mode: &row.mode,
            status: &row.status,
            result: stored(&row.result),
            started_at: Iso(row.started_unix_ms),
            finished_at: Iso(row.finished_unix_ms),
            inserted_at: Iso(row.finished_unix_ms),
            players: players.map(|players| players.iter().map(Part::new).collect()),
        }
    }
}

/// JSON that we stored ourselves; what cannot be read shows as null rather than losing the rest.
fn stored(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

async fn list(state: State, req: HttpRequest, _caller: Caller) -> Answer {
    let params = Params::of(&req);
    let status = params.get("status").map(str::to_owned);
    if status.as_deref().is_some_and(|word| !is_status(word)) {
        return Err(Reason::InvalidStatusFilter.into());
    }
    let limit = params.limit().map_err(|_| Reason::InvalidLimitFilter)?;
    let filter = MatchFilter { mode: params.mode()?, status, player_id: None, limit };
    let rows = ask(|done| state.store.matches(filter, done)).await?;
    let matches: Vec<_> = rows.iter().map(|row| Record::new(row, None)).collect();
    ok(&serde_json::json!({"matches": matches}))
}

async fn show(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let id: MatchId = id.parse().map_err(|_| Reason::MatchNotFound)?;
    let Some((row, players)) = ask(|done| state.store.match_record(id, done)).await? else {
        // Whoever could know that it is played is told so; to others it is like one that never was.
        let id_known = state.live.is_listed(id) || state.live.was_in_match(caller.id(), id).await;
        return Err(if id_known { Reason::MatchNotOver } else { Reason::MatchNotFound }.into());
    };
    let took_part = players.iter().any(|part| part.player_id == caller.id());
    ok(&Record::new(&row, took_part.then_some(players.as_slice())))
}

/// A match that is over, with everybody who took part.
pub(super) async fn finished(state: &State, id: MatchId) -> Answer {
    match ask(|done| state.store.match_record(id, done)).await? {
        Some((row, players)) => ok(&Record::new(&row, Some(&players))),
        None => Err(Reason::MatchNotFound.into()),
    }
}

async fn votes_of_match(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let id: MatchId = id.parse().map_err(|_| Reason::Forbidden)?;
    only_participants(&state, id, caller.id()).await?;
    let rows = ask(|done| state.store.votes_of_match(id, VOTES_LISTED_MAX, done)).await?;
    let votes: Vec<_> = rows.iter().map(show_vote).collect();
    ok(&serde_json::json!({"votes": votes}))
}

async fn vote(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let row = participants_vote(&state, &id, &caller).await?;
    ok(&show_vote(&row))
}

/// The audit as it was written when the vote closed: what its visibility keeps secret is not in it.
async fn vote_audit(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let row = participants_vote(&state, &id, &caller).await?;
    let Some(audit) = ask(|done| state.store.vote_audit(row.id, done)).await? else {
        return Err(Reason::VoteNotOnRecord.into());
    };
    // Byte for byte: a recount hashes it.
    Ok(HttpResponse::Ok().content_type("application/json").body(audit))
}

async fn participants_vote(state: &State, id: &str, caller: &Caller) -> Result<VoteRow, Refused> {
    let id: VoteId = id.parse().map_err(|_| Reason::VoteNotOnRecord)?;
    let Some(row) = ask(|done| state.store.vote(id, done)).await? else { return Err(Reason::VoteNotOnRecord.into()) };
    only_participants(state, row.match_id, caller.id()).await?;
    Ok(row)
}

/// Those who have or had a seat in a match, while it runs as when it is over, and whoever watches it. A match that never was looks like one of others.
async fn only_participants(state: &State, id: MatchId, player: PlayerId) -> Result<(), Refused> {
    if state.live.was_in_match(player, id).await || took_part(state, id, player).await? {
        return Ok(());
    }
    Err(Reason::Forbidden.into())
}

pub(super) async fn took_part(state: &State, id: MatchId, player: PlayerId) -> Result<bool, Refused> {
    let record = ask(|done| state.store.match_record(id, done)).await?;
    Ok(record.is_some_and(|(_, players)| players.iter().any(|part| part.player_id == player)))
}

/// The vote's record with what identifies it in front; a vote that ended with a result shows that as it was pushed.
pub(super) fn show_vote(row: &VoteRow) -> Value {
    let mut vote = match stored(&row.record) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in [
        ("id", row.id.as_str()),
        ("vote_id", row.id.as_str()),
        ("match_id", row.match_id.to_string().as_str()),
        ("template", &row.template),
        ("status", &row.status),
        ("visibility", &row.visibility),
    ] {
        vote.insert(name.into(), value.into());
    }
    for (name, unix_ms) in [("opened_at", row.opened_unix_ms), ("closed_at", row.closed_unix_ms)] {
        vote.insert(name.into(), serde_json::to_value(Iso(unix_ms)).unwrap_or_default());
    }
    Value::Object(vote)
}
