//! `/ops/v1`: the operators' side. [`looks`] shows, [`deeds`] change; every deed leaves a line in the audit trail before
//! it is done.
//!
//! Whoever knows the token is an operator. Without a configured token nothing is here: the paths answer as unknown
//! ones do.

mod chat;
mod deeds;
mod looks;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, ResponseError, Route};

use super::caller::bearer;
use super::front_door::{count_refusal, find_address};
use super::reply::{Refused, rate_limited};
use super::state::HttpState;
use super::{not_found, path};
use crate::engine::accounts::{same_secret, token_hash};
use crate::engine::rate::address_key;
use crate::wire::error::Reason;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    let get = |route: Route| (Method::GET, route);
    let post = |route: Route| (Method::POST, route);
    path(cfg, "/stats", [get(web::to(looks::stats))]);
    path(cfg, "/matches", [get(web::get().to(looks::matches)), post(web::post().to(deeds::create_match))]);
    path(cfg, "/matches/{id}", [get(web::to(looks::one_match))]);
    path(cfg, "/matches/{id}/end", [post(web::to(deeds::end_match))]);
    path(cfg, "/matches/{id}/pause", [post(web::to(deeds::pause_match))]);
    path(cfg, "/matches/{id}/resume", [post(web::to(deeds::resume_match))]);
    path(cfg, "/matches/{id}/votes", [post(web::to(deeds::open_vote))]);
    path(cfg, "/votes/{id}", [get(web::to(looks::vote))]);
    path(cfg, "/votes/{id}/cancel", [post(web::to(deeds::cancel_vote))]);
    path(cfg, "/matchmaker", [get(web::to(looks::matchmaker))]);
    path(cfg, "/matchmaker/recording", [get(web::to(looks::recording))]);
    path(cfg, "/sessions", [get(web::to(looks::sessions))]);
    path(cfg, "/modes", [get(web::to(looks::modes))]);
    path(cfg, "/config", [get(web::to(looks::config))]);
    path(cfg, "/audit", [get(web::to(looks::audit))]);
    path(cfg, "/players/{id}/kick", [post(web::to(deeds::kick))]);
    path(cfg, "/players/{id}/ban", [post(web::to(deeds::ban))]);
    path(cfg, "/players/{id}/unban", [post(web::to(deeds::unban))]);
    path(cfg, "/players/{id}/mute", [post(web::to(deeds::mute))]);
    path(cfg, "/players/{id}/notify", [post(web::to(deeds::notify_player))]);
    path(cfg, "/players/{id}/grant_veto", [post(web::to(deeds::grant_veto))]);
    path(cfg, "/rooms/{name}", [(Method::PUT, web::to(deeds::set_room))]);
    let line = [(Method::PUT, web::put().to(chat::edit)), (Method::DELETE, web::delete().to(chat::delete))];
    path(cfg, "/chat/{channel_id}/{message_id}", line);
    path(cfg, "/announce", [post(web::to(deeds::announce))]);
    cfg.default_service(web::to(not_found));
}

/// Lets operators through. The presented token is compared by its hash, in constant time; a wrong one is paid for from
/// the budget of sign-ins, so that guessing is slow from any one address.
pub(super) async fn only_operators(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let refuse = |req: ServiceRequest, refused: Refused| Ok(req.into_response(refused.error_response()));
    let state = req.app_data::<web::Data<HttpState>>().cloned();
    let known = state.as_ref().and_then(|state| state.running.as_ref()?.ops_token);
    let (Some(state), Some(known)) = (state, known) else { return refuse(req, Reason::RouteNotFound.into()) };
    let client = find_address(&req, &state);
    let presented = bearer(req.request()).map(token_hash);
    if presented.is_some_and(|presented| same_secret(&presented, &known)) {
        let response = next.call(req).await?.map_into_boxed_body();
        count_refusal(&state, response.response());
        return Ok(response);
    }
    let now_ms = state.clock.now().monotonic_ms;
    let admitted = state.budgets.auth.lock().take(address_key(client), now_ms);
    let refused = match admitted {
        Ok(()) => Reason::NotOperator.into(),
        Err(limited) => rate_limited(limited.retry_ms),
    };
    let refused = refused.error_response();
    count_refusal(&state, &refused);
    Ok(req.into_response(refused))
}
