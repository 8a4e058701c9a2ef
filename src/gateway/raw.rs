//! The raw transport: a pump as a task that owns its TCP stream.
//!
//! HTTP gives the connection away when it becomes a socket ([`answer`]), and with it its parser, both of its buffers and
//! its thread. What stays per connection is a [`RawSocket`]: no buffer unless a message is half here or half gone. Bytes
//! come and go through [`Scratch`], one per thread, since a thread moves the bytes of one socket at a time.
//!
//! Facts that shape it:
//!
//! - The task is polled whatever its client does, so what ends a connection from outside only has to wake it: no
//!   duplicate of the descriptor, and a client that does not read is cut by the task that serves it.
//! - Whatever waits leaves in one write per [`Batch`], made of frames copied behind each other; a frame larger than a
//!   batch is sent from where it is, beside the batch and in the same write.
//! - While the client does not take what was written, nothing more is said, and what it sends is heard only as long as
//!   the outbox has room for the answers.

mod batch;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix::ArbiterHandle;
use actix_codec::{Encoder, Framed, FramedParts};
use actix_http::h1::{Codec, Message};
use actix_http::{ConnectionType, HttpMessage, Request, Response};
use actix_service::Service;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::rt::net::TcpStream;
use actix_web::{HttpRequest, HttpResponse};
use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use self::batch::{Batch, PONG};
use super::guard::Guard;
use super::pump::{Brain, Heard, Pump, Said};
use super::sentinel::now_ms;
use crate::actors::Bell;
use crate::limits::{SOCKET_EVENTS_MAX, SOCKET_READ_BYTES, SOCKET_READS_MAX, WRITE_BYTES_MAX};

// From HTTP to a socket

/// Where a route leaves the pump that is to have its request's connection. In the request's extensions, where the
/// transport can give the connection away: to another thread, so that the sockets of players live beside their matches
/// and what a tick says wakes nobody else.
#[derive(Clone, Default)]
pub(super) struct Handover(Rc<RefCell<Option<Begin>>>);

/// Begins a socket on a stream that holds unsent bytes of HTTP, with bytes that came after the request.
type Begin = Box<dyn FnOnce(TcpStream, Bytes, Bytes) -> io::Result<()>>;

impl Handover {
    /// That of a request, if its connection can be given away.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Once the answer to the request is written, its connection is that of the pump which `make` makes on the thread
    /// of its `home`, or on this one.
    pub(super) fn prepare<B: Brain>(
        &self,
        home: Option<&ArbiterHandle>,
        make: impl FnOnce() -> Pump<B> + Send + 'static,
        guard: Guard,
    ) {
        let home = home.cloned();
        *self.0.borrow_mut() = Some(Box::new(move |stream, unsent, early| {
            let Some(home) = home else {
                actix_web::rt::spawn(RawSocket::new(stream, make(), guard, unsent, early));
                return Ok(());
            };
            let stream = stream.into_std()?;
            // A home that is gone drops what it is given, and with it the connection.
            home.spawn_fn(move || {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    actix_web::rt::spawn(RawSocket::new(stream, make(), guard, unsent, early));
                }
            });
            Ok(())
        }));
    }
}

/// Answers a request to upgrade as the routes say, and serves the socket if that is what they say. Otherwise the
/// connection ends with the answer: what follows such a request need not be HTTP.
pub(super) async fn answer<S>(
    routes: Rc<S>,
    request: Request,
    framed: Framed<TcpStream, Codec>,
) -> Result<(), Infallible>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = HttpResponse>,
{
    let handover = Handover::default();
    request.extensions_mut().insert(handover.clone());
    let response: Response<BoxBody> = match routes.call(request).await {
        Ok(response) => response.into(),
        Err(response) => response.into(),
    };
    let begin = handover.0.take();
    let FramedParts { io, mut codec, read_buf, mut write_buf, .. } = framed.into_parts();
    // A client that is gone needs no answer.
    let _ = match begin {
        Some(begin) => {
            let (head, _) = response.into_parts();
            let answered = codec.encode(Message::Item((head, BodySize::None)), &mut write_buf);
            answered.and_then(|()| begin(io, write_buf.freeze(), read_buf.freeze()))
        }
        None => send(io, codec, write_buf, response).await,
    };
    Ok(())
}

/// Sends a response, and ends the connection.
async fn send(
    mut stream: TcpStream,
    mut codec: Codec,
    mut unsent: BytesMut,
    response: Response<BoxBody>,
) -> io::Result<()> {
    let (mut head, mut body) = response.into_parts();
    head.head_mut().set_connection_type(ConnectionType::Close);
    codec.encode(Message::Item((head, body.size())), &mut unsent)?;
    while let Some(chunk) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        let chunk = chunk.map_err(|error| io::Error::other(error.to_string()))?;
        codec.encode(Message::Chunk(Some(chunk)), &mut unsent)?;
        stream.write_all_buf(&mut unsent).await?;
    }
    codec.encode(Message::Chunk(None), &mut unsent)?;
    stream.write_all_buf(&mut unsent).await?;
    stream.shutdown().await
}

// The socket

/// What bytes come from and go to.
trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Makes the end of it a reset, so that the kernel keeps nothing for a client that does not read.
    fn reset(&self);
}

impl Stream for TcpStream {
    fn reset(&self) {
        // Only a socket that is no longer connected refuses, and that one is at its end already.
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

/// One socket: a future that is over when it is. See the module.
struct RawSocket<S, B: Brain> {
    stream: S,
    pump: Pump<B>,
    guard: Guard,
    /// Bytes of the client that were read and are not heard yet.
    early: Bytes,
    /// What was said and the kernel did not take.
    unsent: VecDeque<Bytes>,
    /// The answer to the newest ping that came while something was unsent.
    pong: Option<Bytes>,
    is_open: bool,
    /// The client may still send.
    is_read: bool,
    /// Nothing more is said: it is over when what was said has left.
    is_over: bool,
}

impl<S: Stream, B: Brain> RawSocket<S, B> {
    fn new(stream: S, pump: Pump<B>, guard: Guard, unsent: Bytes, early: Bytes) -> Self {
        Self {
            stream,
            pump,
            guard,
            early: kept(early),
            unsent: VecDeque::from([unsent]),
            pong: None,
            is_open: false,
            is_read: true,
            is_over: false,
        }
    }
}

/// Nothing, where there is nothing: an empty part of a buffer would keep all of it.
fn kept(bytes: Bytes) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { bytes }
}

impl<S: Stream, B: Brain> Future for RawSocket<S, B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.is_open {
            this.is_open = true;
            this.pump.connection().started(Bell::Task(cx.waker().clone()));
            this.pump.opened();
        }
        SCRATCH.with_borrow_mut(|scratch| {
            // A brain that panicked may have left something of its own client's here.
            scratch.batch.clear();
            match ready!(this.turn(scratch, cx)) {
                // How the client went is all the same: it is gone.
                Ok(()) | Err(_) => Poll::Ready(()),
            }
        })
    }
}

impl<S: Stream, B: Brain> RawSocket<S, B> {
    /// Moves what can be moved now.
    fn turn(&mut self, scratch: &mut Scratch, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for reads in 0.. {
            if let Some(cut) = self.pump.connection().cut_for() {
                if cut.resets() {
                    self.stream.reset();
                }
                return Poll::Ready(Ok(()));
            }
            let has_room = self.send(&mut scratch.batch, cx)?;
            if self.is_over && has_room {
                return self.hang_up(scratch, cx);
            }
            let listens = self.is_read && !self.is_over && (has_room || !self.pump.connection().outlet().is_filling());
            if !listens {
                return Poll::Pending;
            }
            if reads == SOCKET_READS_MAX {
                // The others on this thread first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(self.receive(scratch, cx))?;
        }
        Poll::Pending
    }

    /// Ends the stream after what was said. What the client sent meanwhile is read for nobody, as far as it is here: a
    /// socket that is closed with something unread is reset, and its client may lose what it was told last.
    fn hang_up(&mut self, scratch: &mut Scratch, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        for _ in 0..SOCKET_READS_MAX {
            let mut buffer = ReadBuf::new(&mut scratch.inbound);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says what waits, until nothing does or the client does not take it; answers whether it took everything.
    fn send(&mut self, batch: &mut Batch, cx: &mut Context<'_>) -> io::Result<bool> {
        loop {
            if !self.flush(cx)? {
                // It is written on before anything else: no wake is needed until then.
                self.pump.connection().will_listen();
                return Ok(false);
            }
            if let Some(data) = self.pong.take() {
                batch.frame(PONG, &data);
            }
            if self.pump.connection().is_woken() {
                self.say(batch);
            }
            if batch.is_empty() {
                return Ok(true);
            }
            let written = batch.poll_write(Pin::new(&mut self.stream), cx)?;
            batch.take_rest(written, &mut self.unsent);
        }
    }

    /// Adds to the batch what waits.
    fn say(&mut self, batch: &mut Batch) -> Said {
        if self.is_over {
            return Said::Over;
        }
        let mut allowance = WRITE_BYTES_MAX;
        let said = self.pump.say(&mut allowance, batch);
        self.is_over = said == Said::Over;
        said
    }

    /// Writes on what the kernel did not take before; answers whether it took all of it now.
    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        while let Some(part) = self.unsent.front_mut() {
            if part.is_empty() {
                self.unsent.pop_front();
                continue;
            }
            match Pin::new(&mut self.stream).poll_write(cx, part)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => {
                    part.advance(written);
                    self.pump.connection().took();
                }
                Poll::Pending => return Ok(false),
            }
        }
        self.unsent = VecDeque::new();
        Ok(true)
    }

    /// Reads once, and hears what came.
    fn receive(&mut self, scratch: &mut Scratch, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            let left = self.hear(&early, &mut scratch.batch, cx)?;
            self.early = kept(early.split_off(early.len() - left));
            return Poll::Ready(Ok(()));
        }
        let mut buffer = ReadBuf::new(&mut scratch.inbound);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let came = buffer.filled();
        if came.is_empty() {
            self.is_read = false;
            self.is_over |= self.pump.is_over_at_eof();
            return Poll::Ready(Ok(()));
        }
        self.pump.connection().seen(now_ms());
        let left = self.hear(came, &mut scratch.batch, cx)?;
        if left > 0 {
            self.early = Bytes::copy_from_slice(&came[came.len() - left..]);
        }
        Poll::Ready(Ok(()))
    }

    /// Hears what came; answers how many bytes of it have to wait until the client takes its answers.
    fn hear(&mut self, mut came: &[u8], batch: &mut Batch, cx: &mut Context<'_>) -> io::Result<usize> {
        // What the brain says meanwhile is said when all of this is heard, in one batch.
        self.pump.connection().will_listen();
        let mut events = 0;
        while let Some(event) = self.guard.read(&mut came, self.pump.connection().is_authenticated()) {
            match self.pump.hear(event) {
                Heard::Answered | Heard::Nothing => {}
                Heard::Ping(data) if self.unsent.is_empty() && self.say(batch) == Said::All => batch.frame(PONG, &data),
                Heard::Ping(data) => self.pong = Some(data),
                Heard::Over => self.is_over = true,
            }
            if self.is_over {
                return Ok(0);
            }
            self.pump.connection().will_listen();
            events += 1;
            if events % SOCKET_EVENTS_MAX == 0 || batch.len() >= WRITE_BYTES_MAX {
                // Many small messages in one read: their answers must not wait for the last of them.
                if !self.send(batch, cx)? && self.pump.connection().outlet().is_filling() {
                    return Ok(came.len());
                }
                self.pump.connection().will_listen();
            }
        }
        Ok(0)
    }
}

// What a thread has for all of its sockets

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        inbound: vec![0; SOCKET_READ_BYTES].into_boxed_slice(),
        batch: Batch::default(),
    });
}

struct Scratch {
    inbound: Box<[u8]>,
    batch: Batch,
}
