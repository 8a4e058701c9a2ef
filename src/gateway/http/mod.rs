//! The REST side: accounts, records, histories, what lives, the operators' side and health. `server.rs` makes one [`HttpState`] and hands [`configure`]
//! to the application; everything a request needs comes from that state, the clock included.
//!
//! A request passes the [`front_door`] (whose address, how often, which origin), its handler reads a bounded body and
//! asks the store, and the answer is JSON or one row of the error table.

mod auth;
mod blocks;
mod body;
mod caller;
mod channels;
mod front_door;
mod health;
mod lives;
mod metrics;
mod notifications;
mod ops;
mod passwords;
mod players;
mod query;
mod records;
mod reply;
mod state;

use actix_web::http::Method;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, ResponseError, Route};

pub use passwords::Passwords;
pub use state::{Clock, Ended, HttpRates, HttpRules, HttpState, Live, NothingLive, Now, Running};

use crate::wire::error::Reason;
use reply::Refused;

/// Every route of the REST side. The application's data must hold a `web::Data<HttpState>`. Register other services
/// (the socket) before: this one answers whatever is left with a JSON 404.
pub fn configure(cfg: &mut ServiceConfig) {
    cfg.service(
        web::scope("/api/v1")
            .wrap(from_fn(front_door::front_door))
            .configure(auth::routes)
            .configure(players::routes)
            .configure(lives::routes)
            .configure(records::routes)
            .configure(channels::routes)
            .configure(notifications::routes)
            .configure(blocks::routes)
            .default_service(web::to(not_found)),
    )
    .service(web::scope("/ops/v1").wrap(from_fn(ops::only_operators)).configure(ops::routes))
    .configure(health::routes)
    .configure(metrics::routes)
    .default_service(web::to(not_found));
}

/// One path and what it does under each method; any other method is a 405 that names these.
fn path(cfg: &mut ServiceConfig, path: &str, routes: impl IntoIterator<Item = (Method, Route)>) {
    let mut resource = web::resource(path);
    let mut allowed = Vec::new();
    for (method, route) in routes {
        allowed.push(method.to_string());
        resource = resource.route(route.method(method));
    }
    let allowed = allowed.join(", ");
    cfg.service(resource.default_service(web::to(move || {
        let allowed = allowed.clone();
        async move {
            let mut response = Refused::from(Reason::MethodNotAllowed).error_response();
            if let Ok(allowed) = header::HeaderValue::from_str(&allowed) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            response
        }
    })));
}

async fn not_found() -> HttpResponse {
    Refused::from(Reason::RouteNotFound).error_response()
}
