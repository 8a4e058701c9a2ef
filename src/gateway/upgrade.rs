//! From a request to a socket: who is let in, whether it is a handshake at all, and which transport carries it on.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};

use super::gate::{Gate, refuse};
use super::guard::Guard;
use super::listen::CutHandle;
use super::pump::{Brain, Pump, SocketRules};
use super::raw::Handover;
use super::sentinel::now_ms;
use super::ws::{self, HandshakeError};
use crate::actors::{Connection, Outlet};

/// Upgrades a request to a socket with the brain that `make` gives it, or answers why not. `peer` is the client's
/// address, as far as proxies can be trusted to tell it. `make` runs on the thread that the socket will live on.
pub fn upgrade<B: Brain>(
    request: &HttpRequest,
    payload: web::Payload,
    gate: &Arc<Gate>,
    peer: IpAddr,
    rules: SocketRules,
    make: impl FnOnce(&Arc<Connection>) -> B + Send + 'static,
) -> HttpResponse {
    let opened_ms = now_ms();
    let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    let permit = match gate.admit(peer, origin, opened_ms, rules.by_address) {
        Ok(permit) => permit,
        Err(refusal) => return refuse(&refusal),
    };
    let mut accepted = match ws::handshake(request) {
        Ok(accepted) => accepted,
        Err(error) => return no_handshake(error),
    };
    let socket = request.conn_data::<CutHandle>().and_then(CutHandle::take);
    let outlet = Outlet::new(rules.outbox, gate.metrics().clone());
    let connection = Connection::new(peer, opened_ms, outlet, socket, gate.metrics().clone());
    let watched = connection.clone();
    let pump = move || Pump::new(make(&connection), connection, rules, permit);
    let guard = Guard::new(rules.size);
    let response = match Handover::of(request) {
        // The transport that runs this request gives its connection away.
        Some(handover) => {
            handover.prepare(gate.next_home(), pump, guard);
            accepted.finish()
        }
        None => ws::start(pump(), guard, request, payload),
    };
    gate.sentinel().watch(&watched);
    response
}

/// The answer to what is no handshake; the transport does not tell a client with another version which one we speak.
fn no_handshake(error: HandshakeError) -> HttpResponse {
    match error {
        HandshakeError::UnsupportedVersion | HandshakeError::NoVersionHeader => {
            HttpResponse::build(StatusCode::UPGRADE_REQUIRED)
                .insert_header((header::SEC_WEBSOCKET_VERSION, "13"))
                .insert_header((header::UPGRADE, "websocket"))
                .finish()
        }
        other => other.error_response(),
    }
}
