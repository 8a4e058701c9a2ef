//! `/health`: the process answers. `/ready`: new clients should come here.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

use super::path;
use super::reply::{Answer, ok};
use super::state::HttpState;
use crate::wire::error::Reason;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/health", [(Method::GET, web::to(health))]);
    path(cfg, "/ready", [(Method::GET, web::to(ready))]);
}

async fn health() -> Answer {
    ok(&serde_json::json!({"status": "ok"}))
}

async fn ready(state: web::Data<HttpState>) -> Answer {
    match state.live.is_ready() {
        true => ok(&serde_json::json!({"status": "ready"})),
        false => Err(Reason::NotReady.into()),
    }
}
