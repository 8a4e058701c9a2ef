//! `/api/v1/players`: who somebody is, for everybody signed in; what others see of oneself, to change.

use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use serde::Serialize;

use super::body::Fields;
use super::caller::Caller;
use super::path;
use super::reply::{Answer, Faults, Refused, ok};
use super::state::HttpState;
use crate::engine::accounts::display_name;
use crate::ids::PlayerId;
use crate::store::ask;
use crate::store::rows::{PlayerRow, StatsRow};
use crate::wire::error::Reason;
use crate::wire::time::Iso;

type State = web::Data<HttpState>;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/players/{id}", [(Method::GET, web::get().to(show)), (Method::PUT, web::put().to(change))]);
}

/// A player as everybody sees them; `stats` by mode, of finished matches.
#[derive(Serialize)]
struct Profile<'a> {
    id: PlayerId,
    player_id: PlayerId,
    username: &'a str,
    display_name: &'a str,
    guest: bool,
    inserted_at: Iso,
    stats: Vec<Stats<'a>>,
}

#[derive(Serialize)]
struct Stats<'a> {
    mode: &'a str,
    played: u64,
    won: u64,
    lost: u64,
    drawn: u64,
    forfeited: u64,
}

async fn show(state: State, id: web::Path<String>, _caller: Caller) -> Answer {
    let id = read_id(&id)?;
    let Some(player) = ask(|done| state.store.player(id, done)).await? else {
        return Err(Reason::PlayerNotFound.into());
    };
    profile(&state, &player).await
}

async fn change(state: State, id: web::Path<String>, caller: Caller, payload: Payload) -> Answer {
    if read_id(&id)? != caller.id() {
        return Err(Reason::Forbidden.into());
    }
    let fields = Fields::read(payload).await?;
    let Some(wanted) = fields.text_if_any("display_name")? else { return profile(&state, &caller.player).await };
    let mut faults = Faults::default();
    let Some(name) = faults.take("display_name", display_name(wanted)) else { return Err(faults.into_refused()) };
    let Some(player) = ask(|done| state.store.set_display_name(caller.id(), name, done)).await? else {
        return Err(Reason::PlayerNotFound.into());
    };
    profile(&state, &player).await
}

/// A text that is no id is nobody's.
fn read_id(text: &str) -> Result<PlayerId, Refused> {
    text.parse().map_err(|_| Reason::PlayerNotFound.into())
}

async fn profile(state: &State, player: &PlayerRow) -> Answer {
    let stats: Vec<StatsRow> = ask(|done| state.store.stats_of(player.id, done)).await?;
    ok(&Profile {
        id: player.id,
        player_id: player.id,
        username: &player.username,
        display_name: &player.display_name,
        guest: player.guest,
        inserted_at: Iso(player.created_unix_ms),
        stats: stats
            .iter()
            .map(|row| Stats {
                mode: &row.mode,
                played: row.played,
                won: row.won,
                lost: row.lost,
                drawn: row.drawn,
                forfeited: row.forfeited,
            })
            .collect(),
    })
}
