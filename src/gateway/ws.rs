//! The pump: moves bytes between one socket and one outlet, and knows no game.
//!
//! This is the only file that names `actix_web_actors`, and the one to replace if another transport earns it. What the
//! pump does with what arrives is its [`Brain`]'s business; what leaves comes out of the connection's
//! [`Outlet`], a batch per [`Wake`], in one write. Facts about the transport that shape it:
//!
//! - The actor *is* the response body. While the client does not read, nobody polls it: no mailbox, no timers, no
//!   `stop()`. So nothing here is counted on to end a connection; the [sentinel](super::sentinel) does that.
//! - Everything an actor has said by the end of one poll becomes one chunk, and chunks are written together.
//! - Its own frame reader buffers before it judges. It is given a stream that never says anything; bytes come in
//!   through the [`Guard`] instead.

use std::cell::Cell;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::{Actor, ActorContext, AsyncContext, Handler, StreamHandler};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use actix_web_actors::ws::{self, WebsocketContext};
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::Stream;

use super::gate::{CutHandle, Gate, Permit, refuse};
use super::guard::{Fault, Guard, Inbound, SizeRules};
use super::sentinel::now_ms;
use crate::actors::{CloseCode, Connection, Outlet, Wake};
use crate::engine::rate::{Admission, FrameBudget};
use crate::engine::sessions::Bounds;
use crate::limits::{FRAME_SKIP_BYTES_MAX, Limits, WRITE_BYTES_MAX};

/// What a connection is for. Lives in the pump, on its thread; must not block it.
///
/// Answers go to `connection.outlet()`, asked for each time: a resume changes it.
pub trait Brain: Unpin + 'static {
    /// The connection is open.
    fn opened(&mut self, _connection: &Arc<Connection>) {}

    /// A text message within all limits.
    fn text(&mut self, connection: &Arc<Connection>, text: ByteString);

    /// A binary message within all limits. What is returned goes straight back, after what waits in the outlet.
    fn binary(&mut self, connection: &Arc<Connection>, data: Bytes) -> Option<Bytes>;

    /// A message was refused, in its place among the others; the connection stays.
    fn fault(&mut self, connection: &Arc<Connection>, fault: InboundFault);

    /// The connection is over; its outlet is without a socket.
    fn closed(&mut self, _connection: &Arc<Connection>, _end: End) {}
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboundFault {
    /// It is larger than a message may be; so many bytes were announced.
    TooLarge(u64),
    /// Messages come too fast.
    RateLimited {
        /// The message, for its `cid`; none if it was binary.
        text: Option<ByteString>,
        /// Milliseconds until one more would pass.
        retry_ms: u64,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed, with this code if it gave one.
    Peer(Option<u16>),
    /// We closed.
    Ours(CloseCode),
    /// It broke, or was cut.
    Lost,
}

/// What one kind of socket allows.
#[derive(Debug, Clone, Copy)]
pub struct SocketRules {
    /// How large a message may be.
    pub size: SizeRules,
    /// Messages per second, 0 for any, and how many at once.
    pub frames_per_s: u32,
    /// See `frames_per_s`.
    pub frames_burst: u32,
    /// How much may wait for the client.
    pub outbox: Bounds,
}

impl SocketRules {
    /// The rules for players' sockets.
    pub fn players(limits: &Limits) -> Self {
        Self {
            size: SizeRules {
                message_bytes_max: u64::from(limits.frame_bytes_max),
                skip_bytes_max: FRAME_SKIP_BYTES_MAX,
            },
            frames_per_s: limits.frames_per_s,
            frames_burst: limits.frames_burst,
            outbox: Outlet::bounds(limits),
        }
    }
}

/// Upgrades a request to a socket with the brain that `make` gives it, or answers why not. `peer` is the client's
/// address, as far as proxies can be trusted to tell it.
pub fn upgrade<B: Brain>(
    request: &HttpRequest,
    payload: web::Payload,
    gate: &Arc<Gate>,
    peer: IpAddr,
    rules: SocketRules,
    make: impl FnOnce(&Arc<Connection>) -> B,
) -> HttpResponse {
    let opened_ms = now_ms();
    let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    let permit = match gate.admit(peer, origin, opened_ms) {
        Ok(permit) => permit,
        Err(refusal) => return refuse(&refusal),
    };
    if let Err(error) = ws::handshake(request) {
        return no_handshake(error);
    }
    let socket = request.conn_data::<CutHandle>().and_then(CutHandle::take);
    let outlet = Outlet::new(rules.outbox, gate.metrics().clone());
    let connection = Connection::new(peer, opened_ms, outlet, socket, gate.metrics().clone());
    let pace = Rc::new(Pace { allowance: Cell::new(WRITE_BYTES_MAX), more: Cell::new(false) });
    let pump = Pump {
        brain: make(&connection),
        inbound: Some(InboundStream {
            payload,
            chunk: Bytes::new(),
            guard: Guard::new(rules.size),
            connection: connection.clone(),
        }),
        budget: FrameBudget::new(rules.frames_per_s, rules.frames_burst, opened_ms),
        rules,
        floor_per_s: 0,
        pace: pace.clone(),
        connection: connection.clone(),
        leave: None,
        farewell: false,
        end: End::Lost,
        _permit: permit,
    };
    gate.metrics().opened.one();
    let silent = futures_util::stream::pending::<Result<Bytes, actix_web::error::PayloadError>>();
    match ws::WsResponseBuilder::new(pump, request, silent).start() {
        Ok(response) => {
            gate.sentinel().watch(&connection);
            response.map_body(|_, body| BoxBody::new(PacedBody { body, pace, connection }))
        }
        Err(error) => error.error_response(),
    }
}

/// The answer to what is no handshake; the transport does not tell a client with another version which one we speak.
fn no_handshake(error: ws::HandshakeError) -> HttpResponse {
    match error {
        ws::HandshakeError::UnsupportedVersion | ws::HandshakeError::NoVersionHeader => {
            HttpResponse::build(StatusCode::UPGRADE_REQUIRED)
                .insert_header((header::SEC_WEBSOCKET_VERSION, "13"))
                .insert_header((header::UPGRADE, "websocket"))
                .finish()
        }
        other => other.error_response(),
    }
}

struct Pump<B: Brain> {
    brain: B,
    inbound: Option<InboundStream>,
    rules: SocketRules,
    budget: FrameBudget,
    floor_per_s: u32,
    pace: Rc<Pace>,
    connection: Arc<Connection>,
    /// The connection ends with this as soon as nothing waits any more.
    leave: Option<Leave>,
    /// Our close is on its way; only the client's answer is waited for.
    farewell: bool,
    end: End,
    _permit: Permit,
}

/// A close that follows what waits.
struct Leave {
    code: Option<u16>,
    reason: String,
    /// Whether no answer is waited for: the client closed first, or what it sends means nothing.
    answered: bool,
}

impl<B: Brain> Actor for Pump<B> {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(inbound) = self.inbound.take() {
            ctx.add_stream(inbound);
        }
        self.connection.started(ctx.address().recipient());
        self.brain.opened(&self.connection);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.connection.ended();
        // This also runs while a panic of the brain unwinds, and a second one would end the process.
        if !std::thread::panicking() {
            self.brain.closed(&self.connection, self.end);
        }
    }
}

impl<B: Brain> Drop for Pump<B> {
    fn drop(&mut self) {
        self.connection.ended();
        self.connection.metrics().ended.one();
    }
}

impl<B: Brain> Handler<Wake> for Pump<B> {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.send_waiting(ctx);
    }
}

impl<B: Brain> StreamHandler<Inbound> for Pump<B> {
    fn handle(&mut self, inbound: Inbound, ctx: &mut Self::Context) {
        if self.farewell || self.leave.is_some() || self.connection.is_closing() {
            return self.part(inbound, ctx);
        }
        // Whatever the brain says now is sent below: nobody needs to wake us for it.
        self.connection.will_listen();
        match inbound {
            Inbound::Text(text) => self.text(text),
            Inbound::Binary(data) => {
                if let Some(answer) = self.binary(data) {
                    self.send_waiting(ctx);
                    ctx.binary(answer);
                }
            }
            Inbound::Ping(data) => {
                if self.admit().is_ok() {
                    ctx.pong(&data);
                }
            }
            Inbound::Pong => {
                let _ = self.admit();
            }
            Inbound::TooLarge(bytes) => {
                self.connection.metrics().refused_in.one();
                let _ = self.admit();
                self.brain.fault(&self.connection, InboundFault::TooLarge(bytes));
            }
            Inbound::Close(_) | Inbound::Fault(_) => return self.part(inbound, ctx),
        }
        self.send_waiting(ctx);
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        // A client that closed and then ended its side may still be reading what waits.
        if self.leave.is_none() {
            ctx.stop();
        }
    }
}

/// The transport's own reader never says anything; see the module.
impl<B: Brain> StreamHandler<Result<ws::Message, ws::ProtocolError>> for Pump<B> {
    fn handle(&mut self, _: Result<ws::Message, ws::ProtocolError>, _: &mut Self::Context) {}
}

impl<B: Brain> Pump<B> {
    /// What arrives when the connection is ending, or ends it.
    fn part(&mut self, inbound: Inbound, ctx: &mut WebsocketContext<Self>) {
        let leave = match inbound {
            Inbound::Close(_) | Inbound::Fault(_) if self.farewell => return ctx.stop(),
            Inbound::Close(code) => Leave { code, reason: String::new(), answered: true },
            Inbound::Fault(fault) => {
                let (code, reason) = match fault {
                    Fault::Protocol(rule) => (CloseCode::Protocol, rule),
                    Fault::BadText => (CloseCode::BadText, "text is not UTF-8"),
                    Fault::TooBig => (CloseCode::TooBig, "payload_too_large"),
                };
                self.end = End::Ours(code);
                Leave { code: Some(code as u16), reason: reason.to_owned(), answered: true }
            }
            _ => return,
        };
        if let Inbound::Close(code) = inbound {
            self.end = End::Peer(code);
        }
        self.leave = Some(leave);
        // From here on the sentinel's clock runs.
        self.connection.close(CloseCode::Normal, "");
        self.send_waiting(ctx);
    }

    fn text(&mut self, text: ByteString) {
        match self.admit() {
            Ok(()) => {
                self.count(text.len());
                self.brain.text(&self.connection, text);
            }
            Err(retry_ms) => self.refuse(Some(text), retry_ms),
        }
    }

    fn binary(&mut self, data: Bytes) -> Option<Bytes> {
        match self.admit() {
            Ok(()) => {
                self.count(data.len());
                return self.brain.binary(&self.connection, data);
            }
            Err(retry_ms) => self.refuse(None, retry_ms),
        }
        None
    }

    fn count(&self, bytes: usize) {
        let metrics = self.connection.metrics();
        metrics.messages_in.one();
        metrics.bytes_in.add(bytes as u64);
    }

    fn refuse(&mut self, text: Option<ByteString>, retry_ms: u64) {
        self.connection.metrics().refused_in.one();
        if !self.connection.is_closing() {
            self.brain.fault(&self.connection, InboundFault::RateLimited { text, retry_ms });
        }
    }

    /// Whether one more message is within the budget; else milliseconds until it would be. A client that floods
    /// without end is closed.
    fn admit(&mut self) -> Result<(), u64> {
        let now_ms = now_ms();
        let floor_per_s = self.connection.frames_per_s_floor();
        if floor_per_s != self.floor_per_s && self.rules.frames_per_s > 0 {
            self.floor_per_s = floor_per_s;
            let per_s = self.rules.frames_per_s.max(floor_per_s);
            self.budget.set_rate(per_s, self.rules.frames_burst.max(per_s.saturating_mul(2)), now_ms);
        }
        match self.budget.admit(now_ms) {
            Admission::Pass => Ok(()),
            Admission::Refuse(limited) => Err(limited.retry_ms),
            Admission::Hopeless => {
                self.connection.close(CloseCode::Policy, "rate_limited");
                Err(0)
            }
        }
    }

    /// Hands the client what waits for it, as much as may leave at once, and our close if that is next.
    fn send_waiting(&mut self, ctx: &mut WebsocketContext<Self>) {
        if self.connection.was_cut() {
            return ctx.stop();
        }
        if self.farewell {
            // Nothing more is said: no wake is needed, and none counts as progress.
            return self.connection.will_listen();
        }
        self.connection.listened();
        if self.connection.take_ping() {
            ctx.ping(b"");
        }
        let allowance = self.pace.allowance.get();
        let more = if allowance == 0 {
            true
        } else {
            let outlet = self.connection.outlet();
            let (bytes, more) =
                outlet.drain(&self.connection, self.connection.dialect(), allowance, |text| ctx.text(text));
            self.pace.allowance.set(allowance.saturating_sub(bytes));
            more
        };
        if more {
            // The body says when there is room again.
            self.connection.will_listen();
            self.pace.more.set(true);
        } else if let Some(leave) = self.leave.take().or_else(|| self.asked_to_leave()) {
            self.farewell = true;
            let description = (!leave.reason.is_empty()).then_some(leave.reason);
            ctx.close(leave.code.map(|code| ws::CloseReason { code: code.into(), description }));
            if leave.answered {
                ctx.stop();
            }
        }
    }

    fn asked_to_leave(&mut self) -> Option<Leave> {
        let closing = self.connection.closing()?;
        self.end = End::Ours(closing.code);
        Some(Leave { code: Some(closing.code as u16), reason: closing.reason, answered: false })
    }
}

/// What arrives, judged frame by frame, and no faster than it is handled: the next bytes are taken off the socket's
/// buffer when all events of the ones before are.
struct InboundStream {
    payload: web::Payload,
    chunk: Bytes,
    guard: Guard,
    connection: Arc<Connection>,
}

impl Stream for InboundStream {
    type Item = Inbound;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        let this = &mut *self;
        loop {
            if !this.chunk.is_empty()
                && let Some(event) = this.guard.read(&mut this.chunk, this.connection.is_authenticated())
            {
                return Poll::Ready(Some(event));
            }
            // An empty chunk would still hold on to the transport's whole read buffer.
            this.chunk = Bytes::new();
            match Pin::new(&mut this.payload).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    this.connection.seen(now_ms());
                    this.chunk = chunk;
                }
                // The client is gone, with or without a word.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What the pump may say until the transport has room again.
struct Pace {
    allowance: Cell<usize>,
    more: Cell<bool>,
}

/// The pump as a response body. Being polled means that there is room: the pump is given its next allowance, and
/// called if it left something waiting.
struct PacedBody {
    body: BoxBody,
    pace: Rc<Pace>,
    connection: Arc<Connection>,
}

impl MessageBody for PacedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.pace.allowance.set(WRITE_BYTES_MAX);
        if self.pace.more.take() {
            self.connection.call_again();
        }
        Pin::new(&mut self.body).poll_next(cx)
    }
}
