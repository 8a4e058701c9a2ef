//! One connection as the rest of the server sees it: something to wake, to close politely, or to cut.
//!
//! What owns the bytes lives on a thread of its own choosing: a task beside the matches, an actor on the HTTP worker
//! that accepted it. The actor is frozen while its client does not read, so nothing here asks it for anything: what must
//! work on a frozen socket works from outside, on the socket itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use actix::{Message, Recipient};
use parking_lot::Mutex;
use socket2::Socket;

use super::outlet::Outlet;
use super::socket_metrics::SocketMetrics;
use crate::limits::CLOSE_REASON_BYTES_MAX;
use crate::wire::Dialect;

/// Tells the pump of a connection that something waits for it, or that it should close.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Wake;

/// How the pump of a connection is told that something waits for it, or that it should close.
#[derive(Debug)]
pub enum Bell {
    /// An actor, by a message.
    Actor(Recipient<Wake>),
    /// A task, by a poll.
    Task(Waker),
}

impl Bell {
    fn ring(&self) {
        match self {
            // The mailbox's bound is not what limits this: one wake at a time is in it, and one more for a cut.
            Self::Actor(actor) => actor.do_send(Wake),
            Self::Task(task) => task.wake_by_ref(),
        }
    }
}

/// The close codes this server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The connection has done its work.
    Normal = 1000,
    /// The client broke the framing rules.
    Protocol = 1002,
    /// Text that is not UTF-8.
    BadText = 1007,
    /// The client broke ours. Clients take it for "signed out", so it is never used for anything they should retry.
    Policy = 1008,
    /// A message far over the limit.
    TooBig = 1009,
    /// Something here broke.
    Internal = 1011,
    /// The server restarts: come back.
    Restart = 1012,
}

/// Why a connection was cut without a farewell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cut {
    /// Its outbox overflowed.
    Overflow,
    /// It did not take what waited for it.
    Stalled,
    /// Neither a frame nor a pong for too long.
    Silent,
    /// It was asked to close and did not.
    CloseTimeout,
    /// An operator or a drain ended it.
    Ended,
}

impl Cut {
    /// Every reason with its name in logs and metrics.
    pub const ALL: [(Cut, &str); 5] = [
        (Cut::Overflow, "outbox_overflow"),
        (Cut::Stalled, "stalled"),
        (Cut::Silent, "silent"),
        (Cut::CloseTimeout, "close_timeout"),
        (Cut::Ended, "ended"),
    ];

    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Whether the client learns it from a reset. One that does not read would not notice anything else, and what the
    /// kernel still holds for it would stay until it does.
    pub fn resets(self) -> bool {
        matches!(self, Self::Overflow | Self::Stalled)
    }
}

/// A duplicate of a socket's descriptor, which can end the socket from any thread. It must live no longer than the
/// pump: one that outlives it withholds the FIN from the client.
pub struct CutSocket {
    socket: Socket,
    spare: Option<Arc<AtomicU32>>,
}

impl CutSocket {
    /// From a duplicate.
    pub fn new(socket: Socket) -> Self {
        Self { socket, spare: None }
    }

    /// A duplicate of `socket`, if one of the `spare` descriptors is left; it goes back there in the end.
    pub fn duplicate(socket: &Socket, spare: &Arc<AtomicU32>) -> Option<Self> {
        spare.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        match socket.try_clone() {
            Ok(socket) => Some(Self { socket, spare: Some(spare.clone()) }),
            Err(_) => {
                spare.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

impl Drop for CutSocket {
    fn drop(&mut self) {
        if let Some(spare) = &self.spare {
            spare.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A close that was asked for: it follows whatever waits already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The code the client is told.
    pub code: CloseCode,
    /// The reason the client is told, at most [`CLOSE_REASON_BYTES_MAX`] bytes.
    pub reason: String,
}

/// One connection, shared by its pump, the outlet it drains, and the sentinel that watches it.
pub struct Connection {
    peer: IpAddr,
    opened_ms: u64,
    metrics: Arc<SocketMetrics>,
    outlet: Mutex<Arc<Outlet>>,
    dialect: AtomicU8,
    authenticated: AtomicBool,
    frames_per_s_floor: AtomicU32,
    seen_ms: AtomicU64,
    drains: AtomicU64,
    woken: AtomicBool,
    pump: Mutex<Option<Bell>>,
    closing: Mutex<Option<Closing>>,
    is_closing: AtomicBool,
    ping: AtomicBool,
    is_ended: AtomicBool,
    /// One more than the [`Cut`], 0 while there is none.
    cut: AtomicU8,
    socket: Mutex<Option<CutSocket>>,
}

impl Connection {
    /// A connection from `peer`, opened at `opened_ms` of the server's monotonic clock, attached to `outlet`. Without
    /// `socket` it cannot be cut while it is frozen: the kernel's own patience ends it then.
    pub fn new(
        peer: IpAddr,
        opened_ms: u64,
        outlet: Arc<Outlet>,
        socket: Option<CutSocket>,
        metrics: Arc<SocketMetrics>,
    ) -> Arc<Self> {
        let connection = Arc::new(Self {
            peer,
            opened_ms,
            metrics,
            outlet: Mutex::new(outlet.clone()),
            dialect: AtomicU8::new(Dialect::Latest as u8),
            authenticated: AtomicBool::new(false),
            frames_per_s_floor: AtomicU32::new(0),
            seen_ms: AtomicU64::new(opened_ms),
            drains: AtomicU64::new(0),
            woken: AtomicBool::new(false),
            pump: Mutex::new(None),
            closing: Mutex::new(None),
            is_closing: AtomicBool::new(false),
            ping: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
            cut: AtomicU8::new(0),
            socket: Mutex::new(socket),
        });
        outlet.attach(&connection);
        connection
    }

    /// The client's address.
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// When it was opened, in milliseconds of the server's monotonic clock.
    pub fn opened_ms(&self) -> u64 {
        self.opened_ms
    }

    /// The outlet it drains now. A resume changes it.
    pub fn outlet(&self) -> Arc<Outlet> {
        self.outlet.lock().clone()
    }

    /// Puts another outlet in place and answers the one before.
    pub(super) fn switch_outlet(&self, outlet: Arc<Outlet>) -> Arc<Outlet> {
        std::mem::replace(&mut *self.outlet.lock(), outlet)
    }

    /// The counters it adds to.
    pub fn metrics(&self) -> &Arc<SocketMetrics> {
        &self.metrics
    }

    /// Which form of the protocol its client speaks.
    pub fn dialect(&self) -> Dialect {
        if self.dialect.load(Ordering::Relaxed) == Dialect::Latest as u8 {
            Dialect::Latest
        } else {
            Dialect::Seed202604
        }
    }

    /// From the next frame on, its client is spoken to in this form.
    pub fn set_dialect(&self, dialect: Dialect) {
        self.dialect.store(dialect as u8, Ordering::Relaxed);
    }

    /// Whether its client has signed in: the authentication timeout is over, and a message that is a little too large
    /// is answered instead of ending the connection.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    /// The client has signed in.
    pub fn set_authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    /// Messages per second it may send at least, whatever the configured rate: twice the tick rate of its match.
    pub fn set_frames_per_s_floor(&self, per_s: u32) {
        self.frames_per_s_floor.store(per_s, Ordering::Relaxed);
    }

    /// See [`Connection::set_frames_per_s_floor`]; 0 without a match.
    pub fn frames_per_s_floor(&self) -> u32 {
        self.frames_per_s_floor.load(Ordering::Relaxed)
    }

    /// Something arrived at `now_ms`.
    pub fn seen(&self, now_ms: u64) {
        self.seen_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When something last arrived, in milliseconds of the server's monotonic clock.
    pub fn seen_ms(&self) -> u64 {
        self.seen_ms.load(Ordering::Relaxed)
    }

    /// Tells the pump, unless it has been told and not listened yet: one wake per batch.
    pub fn wake(&self) {
        if self.woken.swap(true, Ordering::AcqRel) {
            return;
        }
        self.call_again();
    }

    /// The pump has listened: whatever comes from now on wakes it again. Called before it drains.
    pub fn listened(&self) {
        self.woken.store(false, Ordering::Release);
        self.drains.fetch_add(1, Ordering::Relaxed);
    }

    /// The pump has taken its allowance and will come back by itself: no wake is needed until then.
    pub fn will_listen(&self) {
        self.woken.store(true, Ordering::Release);
    }

    /// Whether the pump has been told that something waits, and has not listened since.
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// The client took a part of what left the pump: it is slow, not stalled.
    pub fn took(&self) {
        self.drains.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the pump has listened or the client taken, and whether it has been told to since.
    pub fn progress(&self) -> (u64, bool) {
        (self.drains.load(Ordering::Relaxed), self.woken.load(Ordering::Acquire))
    }

    /// The pump began: it is woken at once if something waits already.
    pub fn started(&self, pump: Bell) {
        *self.pump.lock() = Some(pump);
        if self.woken.load(Ordering::Acquire) {
            self.call_again();
        }
    }

    /// There is room again for a pump that took its allowance and left something waiting.
    pub fn call_again(&self) {
        if let Some(pump) = &*self.pump.lock() {
            pump.ring();
        }
    }

    /// The pump is to ping its client.
    pub fn ask_for_ping(&self) {
        self.ping.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Whether a ping is asked for; asks once.
    pub fn take_ping(&self) -> bool {
        self.ping.load(Ordering::Relaxed) && self.ping.swap(false, Ordering::Relaxed)
    }

    /// The pump ended: nothing waits for it any more, its descriptor is given back, and the session behind the outlet
    /// is without a socket.
    pub fn ended(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
        self.pump.lock().take();
        self.socket.lock().take();
        self.outlet().detach(self);
    }

    /// Whether the pump ended.
    pub fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }

    /// Closes with a farewell once everything that waits has left. The first close wins. A client that does not
    /// answer it, or does not even read it, is cut soon after.
    pub fn close(&self, code: CloseCode, reason: &str) {
        {
            let mut closing = self.closing.lock();
            if closing.is_some() {
                return;
            }
            *closing = Some(Closing { code, reason: fitting(reason).to_owned() });
        }
        self.is_closing.store(true, Ordering::Release);
        self.wake();
    }

    /// The close that was asked for, if any.
    pub fn closing(&self) -> Option<Closing> {
        if self.is_closing.load(Ordering::Acquire) { self.closing.lock().clone() } else { None }
    }

    /// Whether a close was asked for.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Ends the connection at once, from any thread. A pump that is a task is woken and ends it; for an actor, which may
    /// be frozen, the kernel shuts the socket and everything that waits for it learns that.
    pub fn cut(&self, why: Cut) {
        if self.cut.compare_exchange(0, why as u8 + 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        self.metrics.count_cut(why);
        if let Some(CutSocket { socket, .. }) = self.socket.lock().as_ref() {
            if why.resets() {
                // With this the socket is reset when the last descriptor goes.
                let _ = socket.set_linger(Some(Duration::ZERO));
            }
            // Only a socket that is no longer connected refuses, and that one is at its end already.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        // Also a pump that was told already, or needs no telling while its client does not read: this is something else.
        self.will_listen();
        self.call_again();
    }

    /// Whether it was cut: a pump that learns it this way stops.
    pub fn was_cut(&self) -> bool {
        self.cut_for().is_some()
    }

    /// Why it was cut, if it was.
    pub fn cut_for(&self) -> Option<Cut> {
        let (cut, _) = Cut::ALL.get(usize::from(self.cut.load(Ordering::Relaxed)).checked_sub(1)?)?;
        Some(*cut)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("opened_ms", &self.opened_ms)
            .finish_non_exhaustive()
    }
}

/// As much of a close reason as fits.
fn fitting(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)]
}
