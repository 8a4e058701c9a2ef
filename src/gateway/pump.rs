//! The pump: what one socket does with what arrives and with what waits for it, whichever way the bytes move.
//!
//! A [`Pump`] is a value between a [`Brain`], which knows what messages mean, and a transport, which knows how bytes
//! move. The transport hands it every event its [`Guard`](super::guard::Guard) read ([`Pump::hear`]) and asks it, when
//! there is room, to say what waits ([`Pump::say`]). Everything that is the same on every transport is here: the budget
//! of messages, refusals in their place, the closing handshake from either side, and how it all ends.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::gate::Permit;
use super::guard::{Fault, Inbound, SizeRules};
use super::sentinel::now_ms;
use crate::actors::{CloseCode, Connection, Outgoing, Outlet};
use crate::engine::rate::{Admission, FrameBudget};
use crate::engine::sessions::Bounds;
use crate::limits::{FRAME_SKIP_BYTES_MAX, Limits};

/// What a connection is for. Lives in the pump, on its thread; must not block it.
///
/// Answers go to `connection.outlet()`, asked for each time: a resume changes it.
pub trait Brain: Unpin + 'static {
    /// The connection is open.
    fn opened(&mut self, _connection: &Arc<Connection>) {}

    /// A text message within all limits.
    fn text(&mut self, connection: &Arc<Connection>, text: ByteString);

    /// A binary message within all limits.
    fn binary(&mut self, connection: &Arc<Connection>, data: Bytes);

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
    /// Whether one address may open only so many of them, at once and per second.
    pub by_address: bool,
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
            by_address: true,
        }
    }
}

/// What a transport does with an event it had the pump hear.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The brain knows of it. What it answered waits in the outlet: have it said.
    Answered,
    /// A ping: a pong with these bytes follows what waits.
    Ping(Bytes),
    /// The connection is ending, and it meant nothing any more.
    Nothing,
    /// The connection is over once everything that was said has left.
    Over,
}

/// What a transport does after it had the pump say what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing waits any more; a wake tells when something does.
    All,
    /// More waits: ask again, without a wake, when there is room.
    More,
    /// The connection is over once everything that was said has left.
    Over,
}

/// The frames a pump says, in the form a transport sends them.
pub(super) trait Say {
    fn text(&mut self, text: ByteString);
    fn binary(&mut self, data: Bytes);
    fn ping(&mut self);
    fn close(&mut self, code: Option<u16>, reason: &str);
}

/// One socket's state that does not depend on how its bytes move. See the module.
pub(super) struct Pump<B: Brain> {
    brain: B,
    rules: SocketRules,
    budget: FrameBudget,
    floor_per_s: u32,
    connection: Arc<Connection>,
    /// The connection ends with this as soon as nothing waits any more.
    leave: Option<Leave>,
    /// Our close is on its way; only the client's answer is waited for.
    farewell: bool,
    end: End,
    is_ended: bool,
    _permit: Permit,
}

/// A close that follows what waits.
struct Leave {
    code: Option<u16>,
    reason: String,
    /// Whether no answer is waited for: the client closed first, or what it sends means nothing.
    answered: bool,
}

impl<B: Brain> Pump<B> {
    /// A pump for a fresh connection.
    pub(super) fn new(brain: B, connection: Arc<Connection>, rules: SocketRules, permit: Permit) -> Self {
        connection.metrics().opened.one();
        Self {
            brain,
            rules,
            budget: FrameBudget::new(rules.frames_per_s, rules.frames_burst, connection.opened_ms()),
            floor_per_s: 0,
            connection,
            leave: None,
            farewell: false,
            end: End::Lost,
            is_ended: false,
            _permit: permit,
        }
    }

    /// The connection it serves.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The transport is ready.
    pub(super) fn opened(&mut self) {
        self.brain.opened(&self.connection);
    }

    /// Handles one event.
    pub(super) fn hear(&mut self, inbound: Inbound) -> Heard {
        if self.farewell || self.leave.is_some() || self.connection.is_closing() {
            return self.part(inbound);
        }
        // Whatever the brain says now is said right after: nobody needs to wake us for it.
        self.connection.will_listen();
        match inbound {
            Inbound::Text(text) => match self.admit() {
                Ok(()) => {
                    self.count(text.len());
                    self.brain.text(&self.connection, text);
                }
                Err(retry_ms) => self.refuse(Some(text), retry_ms),
            },
            Inbound::Binary(data) => match self.admit() {
                Ok(()) => {
                    self.count(data.len());
                    self.brain.binary(&self.connection, data);
                }
                Err(retry_ms) => self.refuse(None, retry_ms),
            },
            Inbound::Ping(data) => {
                if self.admit().is_ok() {
                    return Heard::Ping(data);
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
            Inbound::Close(_) | Inbound::Fault(_) => return self.part(inbound),
        }
        Heard::Answered
    }

    /// The client says nothing more. Whether that ends the connection: one that closed before may still be reading
    /// what waits.
    pub(super) fn is_over_at_eof(&self) -> bool {
        self.leave.is_none()
    }

    /// Says what waits for the client, up to `allowance` bytes and at least one frame if it is not 0, and our close if
    /// that is next. Takes what was said off the allowance.
    pub(super) fn say(&mut self, allowance: &mut usize, out: &mut impl Say) -> Said {
        if self.connection.was_cut() {
            return Said::Over;
        }
        if self.farewell {
            // Nothing more is said: no wake is needed, and none counts as progress.
            self.connection.will_listen();
            return Said::All;
        }
        self.connection.listened();
        if self.connection.take_ping() {
            out.ping();
        }
        let more = *allowance == 0 || {
            let outlet = self.connection.outlet();
            let (bytes, more) =
                outlet.drain(&self.connection, self.connection.dialect(), *allowance, |said| match said {
                    Outgoing::Text(text) => out.text(text),
                    Outgoing::Binary(data) => out.binary(data),
                });
            *allowance = allowance.saturating_sub(bytes);
            more
        };
        if more {
            self.connection.will_listen();
            return Said::More;
        }
        if let Some(leave) = self.leave.take().or_else(|| self.asked_to_leave()) {
            self.farewell = true;
            out.close(leave.code, &leave.reason);
            if leave.answered {
                return Said::Over;
            }
        }
        Said::All
    }

    /// The socket is gone, or as good as gone. Also happens when the pump is dropped.
    pub(super) fn ended(&mut self) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        self.connection.ended();
        self.connection.metrics().ended.one();
        // This also runs while a panic of the brain unwinds, and a second one would end the process.
        if !std::thread::panicking() {
            self.brain.closed(&self.connection, self.end);
        }
    }

    /// What arrives when the connection is ending, or ends it.
    fn part(&mut self, inbound: Inbound) -> Heard {
        let leave = match inbound {
            Inbound::Close(_) | Inbound::Fault(_) if self.farewell => return Heard::Over,
            Inbound::Close(code) => {
                self.end = End::Peer(code);
                Leave { code, reason: String::new(), answered: true }
            }
            Inbound::Fault(fault) => {
                let (code, reason) = match fault {
                    Fault::Protocol(rule) => (CloseCode::Protocol, rule),
                    Fault::BadText => (CloseCode::BadText, "text is not UTF-8"),
                    Fault::TooBig => (CloseCode::TooBig, "payload_too_large"),
                };
                self.end = End::Ours(code);
                Leave { code: Some(code as u16), reason: reason.to_owned(), answered: true }
            }
            _ => return Heard::Nothing,
        };
        self.leave = Some(leave);
        // From here on the sentinel's clock runs.
        self.connection.close(CloseCode::Normal, "");
        Heard::Answered
    }

    fn asked_to_leave(&mut self) -> Option<Leave> {
        let closing = self.connection.closing()?;
        self.end = End::Ours(closing.code);
        Some(Leave { code: Some(closing.code as u16), reason: closing.reason, answered: false })
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
        if self.rules.frames_per_s == 0 {
            return Ok(());
        }
        let now_ms = now_ms();
        let floor_per_s = self.connection.frames_per_s_floor();
        if floor_per_s != self.floor_per_s {
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
}

impl<B: Brain> Drop for Pump<B> {
    fn drop(&mut self) {
        self.ended();
    }
}
