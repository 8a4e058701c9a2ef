//! `/api/v1/blocks`: whom the caller hears nothing from. Neither of the two sends the other direct messages then.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

use super::caller::Caller;
use super::path;
use super::reply::{Answer, Refused, ok, success};
use super::state::HttpState;
use crate::ids::PlayerId;
use crate::limits::BLOCKS_MAX;
use crate::store::ask;
use crate::wire::error::{Reason, Refusal};

type State = web::Data<HttpState>;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/blocks", [(Method::GET, web::to(list))]);
    path(
        cfg,
        "/blocks/{player_id}",
        [(Method::PUT, web::put().to(block)), (Method::DELETE, web::delete().to(unblock))],
    );
}

async fn list(state: State, caller: Caller) -> Answer {
    let blocked = ask(|done| state.store.blocks(caller.id(), done)).await?;
    ok(&serde_json::json!({"player_ids": blocked}))
}

async fn block(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let id = read_id(&id)?;
    if id == caller.id() {
        return Err(Refusal::invalid("player_id", "another player").into());
    }
    if ask(|done| state.store.player(id, done)).await?.is_none() {
        return Err(Reason::PlayerNotFound.into());
    }
    let blocked = ask(|done| state.store.blocks(caller.id(), done)).await?;
    if blocked.len() >= BLOCKS_MAX && !blocked.contains(&id) {
        return Err(Reason::TooManyBlocks.with("blocks_max", BLOCKS_MAX as u64).into());
    }
    ask(|done| state.store.block(caller.id(), id, done)).await?;
    success()
}

/// Whether or not there was one.
async fn unblock(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let id = read_id(&id)?;
    ask(|done| state.store.unblock(caller.id(), id, done)).await?;
    success()
}

fn read_id(text: &str) -> Result<PlayerId, Refused> {
    text.parse().map_err(|_| Reason::PlayerNotFound.into())
}
