//! Where frames for one session go in.
//!
//! Matches, votes and channels hold an `Arc<Outlet>` and push to it directly, whatever thread they live on; the pump
//! of the attached connection drains it. Order, counting and bounds are the [`Outbox`]'s, under one lock, so they are
//! one thing in one place. An outlet outlives its connection: without one it goes on counting for the resume.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;

use super::connection::{CloseCode, Connection, Cut};
use super::socket_metrics::SocketMetrics;
use crate::engine::sessions::{Asked, Bounds, Gone, Lane, Outbox, Pushed, Replied, SlotKind};
use crate::limits::{self, Limits};
use crate::wire::{Dialect, Frame};

/// The way out of one session. See the module.
pub struct Outlet {
    inner: Mutex<Inner>,
    deltas: AtomicBool,
    bounds: Bounds,
    metrics: Arc<SocketMetrics>,
}

/// One message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

/// What waits. Only the echo says anything binary.
#[derive(Debug, Clone)]
enum Waiting {
    Frame(Frame),
    Binary(Bytes),
}

impl Waiting {
    fn bytes(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.latest.len(),
            Self::Binary(data) => data.len(),
        }
    }

    fn said(self, dialect: Dialect) -> Outgoing {
        match self {
            Self::Frame(frame) => Outgoing::Text(frame.into_text(dialect)),
            Self::Binary(data) => Outgoing::Binary(data),
        }
    }
}

struct Inner {
    outbox: Outbox<Waiting>,
    connection: Option<Arc<Connection>>,
    dialect: Option<Dialect>,
}

impl Inner {
    fn serves(&self, connection: &Connection) -> bool {
        self.connection.as_deref().is_some_and(|attached| std::ptr::eq(attached, connection))
    }
}

/// A session has its client back.
#[derive(Debug)]
pub struct Resumed {
    /// Counted frames that are being replayed to it.
    pub missed: usize,
    /// The connection it had until now, if that was still there: it drains nothing any more, close it.
    pub replaced: Option<Arc<Connection>>,
}

impl Outlet {
    /// An outlet without a connection, not counting yet.
    pub fn new(bounds: Bounds, metrics: Arc<SocketMetrics>) -> Arc<Self> {
        let inner = Mutex::new(Inner { outbox: Outbox::new(bounds), connection: None, dialect: None });
        Arc::new(Self { inner, deltas: AtomicBool::new(false), bounds, metrics })
    }

    /// The bounds that `limits` give an outlet.
    pub fn bounds(limits: &Limits) -> Bounds {
        Bounds {
            frames_max: limits.outbox_frames_max as usize,
            bytes_max: limits.outbox_bytes_max as usize,
            slots_max: limits::OUTBOX_SLOTS_MAX,
            replay_frames_max: limits::REPLAY_FRAMES_MAX,
            replay_bytes_max: limits::REPLAY_BYTES_MAX,
        }
    }

    /// Takes one frame and wakes the socket. Never waits; a full outbox costs the client its connection.
    pub fn push(&self, frame: &Frame) {
        self.push_all(std::iter::once(frame));
    }

    /// Takes frames that belong together: they leave together, for one wake.
    pub fn push_all<'a>(&self, frames: impl IntoIterator<Item = &'a Frame>) {
        self.take(frames.into_iter().map(|frame| (frame.lane, Waiting::Frame(frame.clone()))));
    }

    /// As [`Outlet::push`], for a frame that nobody else is sent.
    pub fn push_own(&self, frame: Frame) {
        self.take(std::iter::once((frame.lane, Waiting::Frame(frame))));
    }

    /// Takes binary data in its turn among the frames, uncounted.
    pub fn push_binary(&self, data: Bytes) {
        self.take(std::iter::once((Lane::Uncounted, Waiting::Binary(data))));
    }

    fn take(&self, waiting: impl Iterator<Item = (Lane, Waiting)>) {
        let mut inner = self.inner.lock();
        let mut replaced = 0;
        let mut overflowed = false;
        for (lane, one) in waiting {
            match inner.outbox.push(lane, one.bytes(), one) {
                Pushed::Queued | Pushed::Kept => {}
                Pushed::Replaced => replaced += 1,
                Pushed::Overflow => overflowed = true,
            }
        }
        let waits = inner.outbox.is_attached() && !inner.outbox.is_empty();
        let connection = if waits || overflowed { inner.connection.clone() } else { None };
        drop(inner);
        if replaced > 0 {
            self.metrics.replaced.add(replaced);
        }
        match connection {
            Some(connection) if overflowed => connection.cut(Cut::Overflow),
            Some(connection) => connection.wake(),
            None => {}
        }
    }

    /// Forgets what waits of a replaceable kind: with a result its tally, on leaving a match its state.
    pub fn clear_slot(&self, kind: SlotKind, id: u128) {
        self.inner.lock().outbox.clear_slot(kind, id);
    }

    /// Whether its client asked for states as what changed, and so is to be given them.
    pub fn wants_deltas(&self) -> bool {
        self.deltas.load(Ordering::Relaxed)
    }

    /// See [`Outlet::wants_deltas`].
    pub fn set_wants_deltas(&self, wanted: bool) {
        let before = self.deltas.swap(wanted, Ordering::Relaxed);
        if before && !wanted {
            self.inner.lock().outbox.clear_slots(SlotKind::MatchDelta);
        }
    }

    /// Which form of the protocol the session's client speaks, once that is known: it speaks it over its next connection,
    /// too.
    pub fn dialect(&self) -> Option<Dialect> {
        self.inner.lock().dialect
    }

    /// See [`Outlet::dialect`].
    pub fn set_dialect(&self, dialect: Option<Dialect>) {
        self.inner.lock().dialect = dialect;
    }

    /// A session begins: `connected` (`session.connected`) leaves uncounted, and every counted frame after it is
    /// number 1, 2, ...
    pub fn begin(&self, connected: &Frame) {
        let mut inner = self.inner.lock();
        inner.outbox.begin();
        drop(inner);
        self.push(&Frame { lane: Lane::Uncounted, ..connected.clone() });
    }

    /// From now on everything waits until [`Outlet::release`] says what comes first: a session that begins with a snapshot
    /// is told nothing before it.
    pub fn hold(&self) {
        self.inner.lock().outbox.hold();
    }

    /// Sends `first`, and then everything that was held for it.
    pub fn release(&self, first: &Frame) {
        let mut inner = self.inner.lock();
        inner.outbox.release(Waiting::Frame(first.clone()), first.latest.len());
        let connection = if inner.outbox.is_attached() { inner.connection.clone() } else { None };
        drop(inner);
        if let Some(connection) = connection {
            connection.wake();
        }
    }

    /// Whether a request of the session has been answered.
    pub fn replied(&self, asked: &Asked) -> Replied {
        let answers = |one: &Waiting| matches!(one, Waiting::Frame(frame) if frame.answers == Some(asked.number));
        self.inner.lock().outbox.reply(asked.counted, answers)
    }

    /// Counted frames so far.
    pub fn counted(&self) -> u64 {
        self.inner.lock().outbox.counted()
    }

    /// How many frames a client that has `received` of them would be replayed, or [`Gone`].
    pub fn missed(&self, received: u64) -> Result<usize, Gone> {
        self.inner.lock().outbox.missed(received)
    }

    /// Makes `connection` the one that drains this outlet. What it was still owed by its outlet before comes along;
    /// answers the connection this outlet had, which drains nothing any more: close it.
    pub fn attach(self: &Arc<Self>, connection: &Arc<Connection>) -> Option<Arc<Connection>> {
        let (_, owed) = self.take_over(connection);
        self.adopt(connection, owed)
    }

    /// As [`Outlet::attach`] for a client that says it has `received` counted frames: `connected` leaves first, then
    /// exactly what it missed, then everything after. On [`Gone`] nothing changed.
    pub fn resume(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        received: u64,
        connected: &Frame,
    ) -> Result<Resumed, Gone> {
        self.missed(received)?;
        let (before, owed) = self.take_over(connection);
        let connected = Waiting::Frame(connected.clone());
        let lead = owed.iter().chain([&connected]).map(|one| (one.clone(), one.bytes()));
        let mut inner = self.inner.lock();
        let Ok(missed) = inner.outbox.resume(received, lead) else {
            // The ring moved on between the question and the answer.
            drop(inner);
            before.adopt(connection, owed);
            connection.switch_outlet(before);
            return Err(Gone);
        };
        let replaced = inner.connection.replace(connection.clone());
        drop(inner);
        connection.wake();
        Ok(Resumed { missed, replaced: self.cast_off(replaced, connection) })
    }

    /// `connection` is gone. Does nothing if another one has taken its place.
    pub fn detach(&self, connection: &Connection) {
        let mut inner = self.inner.lock();
        if inner.serves(connection) {
            inner.connection = None;
            inner.outbox.detach();
        }
    }

    /// The connection that drains this outlet, if any.
    pub fn connection(&self) -> Option<Arc<Connection>> {
        self.inner.lock().connection.clone()
    }

    /// Cuts the connection, if any. The session stays resumable.
    pub fn evict(&self, why: Cut) {
        if let Some(connection) = self.connection() {
            connection.cut(why);
        }
    }

    /// Closes the connection, if any, with a farewell, after what waits.
    pub fn close(&self, code: CloseCode, reason: &str) {
        if let Some(connection) = self.connection() {
            connection.close(code, reason);
        }
    }

    /// Hands up to `bytes_max` bytes of waiting frames (at least one frame) to `send` in order, if `connection` is the
    /// one attached. Answers the bytes handed over and whether more wait.
    pub fn drain(
        &self,
        connection: &Connection,
        dialect: Dialect,
        bytes_max: usize,
        mut send: impl FnMut(Outgoing),
    ) -> (usize, bool) {
        let mut inner = self.inner.lock();
        if !inner.serves(connection) {
            return (0, false);
        }
        let (mut frames, mut bytes) = (0u64, 0);
        while bytes < bytes_max
            && let Some((waiting, _)) = inner.outbox.pop()
        {
            let said = waiting.said(dialect);
            frames += 1;
            bytes += match &said {
                Outgoing::Text(text) => text.len(),
                Outgoing::Binary(data) => data.len(),
            };
            send(said);
        }
        let more = inner.outbox.is_attached() && !inner.outbox.is_empty();
        drop(inner);
        if frames > 0 {
            self.metrics.frames_out.add(frames);
            self.metrics.bytes_out.add(bytes as u64);
            self.metrics.batches_out.one();
        }
        (bytes, more)
    }

    /// Bytes that still have room among what waits.
    pub fn room(&self) -> usize {
        self.inner.lock().outbox.room()
    }

    /// Whether so much waits that whoever causes more of it should be heard later.
    pub fn is_filling(&self) -> bool {
        self.inner.lock().outbox.is_filling()
    }

    /// Points `connection` here; answers the outlet it had and what that still owed it.
    fn take_over(self: &Arc<Self>, connection: &Arc<Connection>) -> (Arc<Self>, Vec<Waiting>) {
        let before = connection.switch_outlet(self.clone());
        let mut owed = Vec::new();
        if !Arc::ptr_eq(&before, self) {
            let mut inner = before.inner.lock();
            if inner.serves(connection) {
                owed.extend(std::iter::from_fn(|| inner.outbox.pop()).map(|(one, _)| one));
                inner.outbox.detach();
                inner.connection = None;
            }
        }
        (before, owed)
    }

    /// Serves `connection`, beginning with what it is owed.
    fn adopt(&self, connection: &Arc<Connection>, owed: Vec<Waiting>) -> Option<Arc<Connection>> {
        let mut inner = self.inner.lock();
        inner.outbox.attach();
        for one in owed {
            inner.outbox.push(Lane::Uncounted, one.bytes(), one);
        }
        let replaced = inner.connection.replace(connection.clone());
        drop(inner);
        connection.wake();
        self.cast_off(replaced, connection)
    }

    /// A connection that lost this outlet to `by` is left with an empty one of its own.
    fn cast_off(&self, replaced: Option<Arc<Connection>>, by: &Arc<Connection>) -> Option<Arc<Connection>> {
        let replaced = replaced.filter(|replaced| !Arc::ptr_eq(replaced, by))?;
        let empty = Self::new(self.bounds, self.metrics.clone());
        replaced.switch_outlet(empty.clone());
        let mut inner = empty.inner.lock();
        inner.outbox.attach();
        inner.connection = Some(replaced.clone());
        drop(inner);
        Some(replaced)
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("outbox", &self.inner.lock().outbox).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn outlet(frames_max: usize) -> Arc<Outlet> {
        let bounds = Bounds { frames_max, ..Outlet::bounds(&Limits::default()) };
        Outlet::new(bounds, Arc::default())
    }

    fn connection(outlet: &Arc<Outlet>) -> Arc<Connection> {
        Connection::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0, outlet.clone(), None, Arc::default())
    }

    fn frame(text: &str, lane: Lane) -> Frame {
        Frame { latest: text.into(), seed: None, lane, answers: None }
    }

    fn drained(connection: &Arc<Connection>) -> String {
        let mut seen = Vec::new();
        connection.listened();
        let outlet = connection.outlet();
        outlet.drain(connection, connection.dialect(), usize::MAX, |said| match said {
            Outgoing::Text(text) => seen.push(text.to_string()),
            Outgoing::Binary(data) => seen.push(format!("{data:?}")),
        });
        seen.join(" ")
    }

    #[test]
    fn a_resumed_connection_gets_what_it_was_owed_then_what_it_missed() {
        let session = outlet(16);
        let first = connection(&session);
        session.begin(&frame("connected", Lane::Counted));
        session.push(&frame("a", Lane::Counted));
        assert_eq!(drained(&first), "connected a");
        session.push(&frame("b", Lane::Counted));

        let own = outlet(16);
        let second = connection(&own);
        own.push(&frame("unauthenticated", Lane::Counted));
        let resumed =
            session.resume(&second, 1, &frame("connected again", Lane::Uncounted)).expect("the ring reaches back");
        session.push(&frame("c", Lane::Counted));
        assert_eq!(resumed.missed, 1);
        assert_eq!(drained(&second), "unauthenticated connected again b c");

        // The one it replaced is still open, and sees nothing of the session any more, nor disturbs it when it goes.
        let replaced = resumed.replaced.expect("the first was there");
        assert!(Arc::ptr_eq(&replaced, &first));
        assert_eq!(drained(&first), "");
        first.outlet().push(&frame("bye", Lane::Uncounted));
        assert_eq!(drained(&first), "bye");
        first.ended();
        session.push(&frame("d", Lane::Counted));
        assert_eq!(drained(&second), "d");
    }

    #[test]
    fn what_cannot_be_resumed_leaves_everything_as_it_was() {
        let session = outlet(16);
        session.begin(&frame("connected", Lane::Counted));
        let own = outlet(16);
        let second = connection(&own);
        assert_eq!(session.resume(&second, 1, &frame("connected", Lane::Uncounted)).err(), Some(Gone));
        own.push(&frame("still here", Lane::Counted));
        assert_eq!(drained(&second), "still here");
    }

    #[test]
    fn an_outlet_without_its_connection_counts_on() {
        let session = outlet(2);
        let first = connection(&session);
        session.begin(&frame("connected", Lane::Counted));
        first.ended();
        assert!(session.connection().is_none());
        for _ in 0..10 {
            session.push(&frame("x", Lane::Counted));
        }
        assert_eq!((session.counted(), session.missed(3)), (10, Ok(7)));
        assert!(session.inner.lock().outbox.is_empty());
    }

    #[test]
    fn the_dialect_is_the_connections() {
        let session = outlet(16);
        let first = connection(&session);
        let both = Frame { seed: Some("seed".into()), ..frame("latest", Lane::Counted) };
        session.push(&both);
        assert_eq!(drained(&first), "latest");
        first.set_dialect(Dialect::Seed202604);
        session.push(&both);
        assert_eq!(drained(&first), "seed");
    }

    #[test]
    fn a_drain_takes_an_allowance_and_says_whether_more_waits() {
        let session = outlet(16);
        let first = connection(&session);
        session.push_all(&[frame("aaaa", Lane::Counted), frame("bbbb", Lane::Counted), frame("cccc", Lane::Counted)]);
        let drain = |bytes_max| session.drain(&first, Dialect::Latest, bytes_max, |_| ());
        assert_eq!(drain(5), (8, true));
        assert_eq!(drain(5), (4, false));
        assert_eq!(drain(5), (0, false));
    }

    #[test]
    fn binary_data_keeps_its_place() {
        let session = outlet(16);
        let first = connection(&session);
        session.push(&frame("before", Lane::Counted));
        session.push_binary(Bytes::from_static(b"data"));
        session.push(&frame("after", Lane::Counted));
        assert_eq!(drained(&first), "before b\"data\" after");
    }

    #[test]
    fn a_close_reason_is_cut_at_a_character() {
        let first = connection(&outlet(1));
        first.close(CloseCode::Policy, &"é".repeat(100));
        first.close(CloseCode::Restart, "too late");
        let closing = first.closing().expect("it closes");
        assert_eq!((closing.code, closing.reason.len()), (CloseCode::Policy, 122));
    }
}
