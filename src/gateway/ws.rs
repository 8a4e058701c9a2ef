//! The transport of actors: a pump as an actix-web-actors actor.
//!
//! This is the only file that names `actix_web_actors`. Facts about it that shape this file:
//!
//! - The actor *is* the response body. While the client does not read, nobody polls it: no mailbox, no timers, no
//!   `stop()`. So nothing here is counted on to end a connection; the [sentinel](super::sentinel) does that, with a
//!   duplicate of the socket's descriptor.
//! - Everything an actor has said by the end of one poll becomes one chunk, and chunks are written together.
//! - Its own frame reader buffers before it judges. It is given a stream that never says anything; bytes come in
//!   through the [`Guard`] instead.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::{Actor, ActorContext, AsyncContext, Handler, StreamHandler};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use actix_web_actors::ws::{self, WebsocketContext};
use bytes::{Buf, Bytes};
use bytestring::ByteString;
use futures_util::Stream;

use super::guard::{Guard, Inbound};
use super::pump::{Brain, Heard, Pump, Said, Say};
use super::sentinel::now_ms;
use crate::actors::{Bell, Connection, Wake};
use crate::limits::WRITE_BYTES_MAX;

pub(super) use ws::HandshakeError;

/// The answer that makes a request's connection a socket, or what is wrong with its handshake.
pub(super) fn handshake(request: &HttpRequest) -> Result<HttpResponseBuilder, HandshakeError> {
    ws::handshake(request)
}

/// Makes the connection of `request` a socket with this pump.
pub(super) fn start<B: Brain>(
    pump: Pump<B>,
    guard: Guard,
    request: &HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let connection = pump.connection().clone();
    let pace = Rc::new(Pace { allowance: Cell::new(WRITE_BYTES_MAX), more: Cell::new(false) });
    let inbound = InboundStream { payload, chunk: Bytes::new(), guard, connection: connection.clone() };
    let actor = SocketActor { pump, inbound: Some(inbound), pace: pace.clone() };
    let silent = futures_util::stream::pending::<Result<Bytes, actix_web::error::PayloadError>>();
    match ws::WsResponseBuilder::new(actor, request, silent).start() {
        Ok(response) => response.map_body(|_, body| BoxBody::new(PacedBody { body, pace, connection })),
        Err(error) => error.error_response(),
    }
}

struct SocketActor<B: Brain> {
    pump: Pump<B>,
    inbound: Option<InboundStream>,
    pace: Rc<Pace>,
}

impl<B: Brain> Actor for SocketActor<B> {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(inbound) = self.inbound.take() {
            ctx.add_stream(inbound);
        }
        self.pump.connection().started(Bell::Actor(ctx.address().recipient()));
        self.pump.opened();
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.pump.ended();
    }
}

impl<B: Brain> Handler<Wake> for SocketActor<B> {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.say(ctx);
    }
}

impl<B: Brain> StreamHandler<Inbound> for SocketActor<B> {
    fn handle(&mut self, inbound: Inbound, ctx: &mut Self::Context) {
        match self.pump.hear(inbound) {
            Heard::Answered => self.say(ctx),
            Heard::Ping(data) => {
                self.say(ctx);
                ctx.pong(&data);
            }
            Heard::Nothing => {}
            Heard::Over => ctx.stop(),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        if self.pump.is_over_at_eof() {
            ctx.stop();
        }
    }
}

/// The transport's own reader never says anything; see the module.
impl<B: Brain> StreamHandler<Result<ws::Message, ws::ProtocolError>> for SocketActor<B> {
    fn handle(&mut self, _: Result<ws::Message, ws::ProtocolError>, _: &mut Self::Context) {}
}

impl<B: Brain> SocketActor<B> {
    /// Hands the client what waits for it, as much as may leave at once.
    fn say(&mut self, ctx: &mut WebsocketContext<Self>) {
        let mut allowance = self.pace.allowance.get();
        match self.pump.say(&mut allowance, &mut Through(ctx)) {
            Said::All => {}
            // The body says when there is room again.
            Said::More => self.pace.more.set(true),
            Said::Over => ctx.stop(),
        }
        self.pace.allowance.set(allowance);
    }
}

/// Frames for the client, through the actor's context.
struct Through<'a, B: Brain>(&'a mut WebsocketContext<SocketActor<B>>);

impl<B: Brain> Say for Through<'_, B> {
    fn text(&mut self, text: ByteString) {
        self.0.text(text);
    }

    fn binary(&mut self, data: Bytes) {
        self.0.binary(data);
    }

    fn ping(&mut self) {
        self.0.ping(b"");
    }

    fn close(&mut self, code: Option<u16>, reason: &str) {
        let description = (!reason.is_empty()).then(|| reason.to_owned());
        self.0.close(code.map(|code| ws::CloseReason { code: code.into(), description }));
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
            if !this.chunk.is_empty() {
                let mut rest = &this.chunk[..];
                let event = this.guard.read(&mut rest, this.connection.is_authenticated());
                let read = this.chunk.len() - rest.len();
                this.chunk.advance(read);
                if event.is_some() {
                    return Poll::Ready(event);
                }
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
