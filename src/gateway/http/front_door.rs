//! Before any handler: from which address, how often, and whether a browser may show the answer to its page.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};

use super::reply::rate_limited;
use super::state::HttpState;
use crate::engine::rate::address_key;
use crate::gateway::address::client_address;
use crate::wire::Reason;

/// The address that the front door found, for handlers that write it down.
#[derive(Debug, Clone, Copy)]
struct ClientAddress(IpAddr);

/// From where the request came, as the front door found out.
pub(super) fn address_of(req: &HttpRequest) -> IpAddr {
    req.extensions().get::<ClientAddress>().map_or(UNKNOWN, |address| address.0)
}

/// A connection without a peer address comes over a Unix socket.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Refuses what comes too often, answers preflights, and marks answers for the origins that may read them.
pub(super) async fn front_door(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(state) = req.app_data::<web::Data<HttpState>>().cloned() else {
        return Err(actix_web::error::ErrorInternalServerError("no HttpState"));
    };
    let allowed = allowed_origin(&state.rules.allowed_origins, req.headers());
    if req.method() == Method::OPTIONS && req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        let mut response = req.into_response(preflight());
        mark(response.headers_mut(), allowed);
        return Ok(response);
    }

    let client = find_address(&req, &state);
    let budgets = match req.path().strip_prefix("/api/v1/auth/") {
        Some("register") => &state.budgets.register,
        Some(_) => &state.budgets.auth,
        None => &state.budgets.api,
    };
    let now_ms = state.clock.now().monotonic_ms;
    let admitted = budgets.lock().take(address_key(client), now_ms);
    let mut response = match admitted {
        Ok(()) => next.call(req).await?.map_into_boxed_body(),
        Err(limited) => req.into_response(rate_limited(limited.retry_ms).error_response()),
    };
    count_refusal(&state, response.response());
    mark(response.headers_mut(), allowed);
    Ok(response)
}

/// Counts an answer that is a refusal, as those over sockets are.
pub(super) fn count_refusal(state: &HttpState, response: &HttpResponse<impl MessageBody>) {
    if let (Some(running), Some(reason)) = (&state.running, response.extensions().get::<Reason>()) {
        running.realm.meters.refused(reason.row().code);
    }
}

/// Finds out from where a request comes, and notes it for [`address_of`].
pub(super) fn find_address(req: &ServiceRequest, state: &HttpState) -> IpAddr {
    let peer = req.peer_addr().map_or(UNKNOWN, |peer| peer.ip());
    let client = client_address(peer, req.headers(), |ip| (state.rules.trusts_proxy)(ip));
    req.extensions_mut().insert(ClientAddress(client));
    client
}

/// What `Access-Control-Allow-Origin` says to this request, if anything.
fn allowed_origin(allowed: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    if allowed.iter().any(|known| known == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    allowed.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

fn preflight() -> HttpResponse {
    HttpResponse::build(StatusCode::NO_CONTENT)
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

/// An origin that may not read the answer gets no mark, and its browser keeps the answer from the page. The request is
/// not refused for it: the Bearer token decides what a request may do, and a browser never adds that by itself.
fn mark(headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    }
}
