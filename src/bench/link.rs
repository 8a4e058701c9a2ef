//! One client's socket, in two halves that share it: whoever paces the load sends through one while whoever listens
//! waits on the other. What is queued between two flushes leaves in one write; what one read brings is handed out frame
//! by frame, in place.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::rc::Rc;

use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::frame::{self, Op};
use crate::client::{Base, ClientError, upgrade};

/// What a connection reads into at first; it grows with what comes.
const READ_BYTES: usize = 4_096;

/// What it grows to without being asked to by one large frame.
const READ_BYTES_MAX: usize = 65_536;

/// The half that sends. Clone it freely.
#[derive(Clone)]
pub struct Sender(Rc<Sending>);

struct Sending {
    stream: OwnedWriteHalf,
    out: RefCell<Vec<u8>>,
    mask: Cell<u32>,
}

/// The half that receives.
pub struct Receiver {
    stream: OwnedReadHalf,
    sender: Sender,
    bytes: Vec<u8>,
    /// What of `bytes` is not handed out yet.
    fresh: Range<usize>,
}

/// What a server did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It sent text: look at it with [`Receiver::bytes`].
    Text(Range<usize>),
    /// It sent bytes.
    Binary(Range<usize>),
    /// It closed, with this code; 1005 where it gave none and 1006 where it did not even close. Nothing comes after this.
    Closed(u16),
}

/// Connects to `path` of a server.
///
/// # Errors
/// As [`upgrade`].
pub async fn connect(base: &Base, path: &str) -> Result<(Sender, Receiver), ClientError> {
    let (stream, rest) = upgrade(base, path, &[]).await?;
    let (receiving, sending) = stream.into_split();
    let sender = Sender(Rc::new(Sending {
        stream: sending,
        out: RefCell::new(Vec::new()),
        mask: Cell::new(rand::random::<u32>() | 1),
    }));
    let fresh = 0..rest.len();
    Ok((sender.clone(), Receiver { stream: receiving, sender, bytes: rest, fresh }))
}

impl Sender {
    /// Queues one text frame for the next flush.
    pub fn text(&self, text: &[u8]) {
        self.queue(Op::Text, text);
    }

    fn queue(&self, op: Op, payload: &[u8]) {
        // Another mask for every frame, as the protocol wants, at the price of a multiplication.
        let mask = self.0.mask.get().wrapping_mul(0x9e37_79b1).wrapping_add(0x7f4a_7c15);
        self.0.mask.set(mask);
        frame::write(&mut self.0.out.borrow_mut(), op, payload, Some(mask.to_ne_bytes()));
    }

    /// Writes what is queued as far as the socket takes it at once; true when nothing is left.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn flush_now(&self) -> io::Result<bool> {
        let mut out = self.0.out.borrow_mut();
        while !out.is_empty() {
            match self.0.stream.try_write(&out) {
                Ok(written) if written == out.len() => out.clear(),
                Ok(written) => drop(out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn flush(&self) -> io::Result<()> {
        while !self.flush_now()? {
            self.0.stream.writable().await?;
        }
        Ok(())
    }

    /// Says goodbye as clients do; a connection that is gone already needs none.
    pub fn close(&self) {
        self.queue(Op::Close, &1000u16.to_be_bytes());
        let _ = self.flush_now();
    }
}

impl Receiver {
    /// Waits until there is something to hand out, then hands it out. Pings are answered on the way.
    ///
    /// # Errors
    /// When the server breaks the WebSocket protocol.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.next_now()? {
                return Ok(event);
            }
            if self.fill().await? == 0 {
                return Ok(Event::Closed(1006));
            }
        }
    }

    /// The next of what has been read already; `None` when the rest of it is still under way.
    ///
    /// # Errors
    /// When the server breaks the WebSocket protocol.
    pub fn next_now(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            let start = self.fresh.start;
            let fresh = &mut self.bytes[self.fresh.clone()];
            let found = frame::read(fresh).map_err(|what| ClientError::Protocol(what.into()))?;
            let Some((found, used)) = found else { return Ok(None) };
            self.fresh.start += used;
            let payload = start + found.payload.start..start + found.payload.end;
            match found.op {
                Op::Text => return Ok(Some(Event::Text(payload))),
                Op::Binary => return Ok(Some(Event::Binary(payload))),
                Op::Pong => {}
                Op::Ping => {
                    self.sender.queue(Op::Pong, &self.bytes[payload]);
                    self.sender.flush_now()?;
                }
                Op::Close => {
                    let code = self.bytes.get(payload.start..payload.end.min(payload.start + 2));
                    let code = code.and_then(|code| Some(u16::from_be_bytes(code.try_into().ok()?)));
                    return Ok(Some(Event::Closed(code.unwrap_or(1005))));
                }
            }
        }
    }

    /// Waits for bytes; 0 at the end of the connection, however it came about. What was handed out before is overwritten.
    ///
    /// # Errors
    /// None of its own: a broken connection is an ended one.
    pub async fn fill(&mut self) -> Result<usize, ClientError> {
        self.make_room();
        // A read that does not fill the buffer has emptied the socket: nothing is asked twice.
        let count = self.stream.read(&mut self.bytes[self.fresh.end..]).await.unwrap_or(0);
        self.fresh.end += count;
        Ok(count)
    }

    fn make_room(&mut self) {
        if self.fresh.is_empty() {
            self.fresh = 0..0;
        } else if self.fresh.start > 0 {
            self.bytes.copy_within(self.fresh.clone(), 0);
            self.fresh = 0..self.fresh.len();
        }
        let len = self.bytes.len();
        if len < READ_BYTES {
            self.bytes.resize(READ_BYTES, 0);
        } else if self.fresh.end * 2 > len {
            // Half of the buffer waits for its rest: the frames here are long.
            self.bytes.resize(if len < READ_BYTES_MAX { len * 4 } else { len * 2 }, 0);
        }
    }

    /// What an event named, until the next fill.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// The other half.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }
}
