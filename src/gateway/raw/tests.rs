//! The raw socket on a stream that takes and gives exactly what a test says, and counts.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use bytestring::ByteString;

use super::*;
use crate::actors::{CloseCode, Connection, Cut, Outlet};
use crate::config::Transport;
use crate::engine::sessions::Lane;
use crate::gateway::gate::Gate;
use crate::gateway::pump::{InboundFault, SocketRules};
use crate::limits::Limits;
use crate::wire::Frame;

/// A kernel's side of a connection.
#[derive(Default)]
struct Wire {
    /// What the client sends, a read each; the end of it is the end of this.
    sends: VecDeque<Vec<u8>>,
    is_gone: bool,
    /// Bytes there is room for.
    room: usize,
    taken: Vec<u8>,
    writes: usize,
    is_shut: bool,
    is_reset: bool,
}

#[derive(Clone)]
struct Fake(Rc<RefCell<Wire>>);

impl Stream for Fake {
    fn reset(&self) {
        self.0.borrow_mut().is_reset = true;
    }
}

impl AsyncRead for Fake {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.borrow_mut();
        match wire.sends.pop_front() {
            Some(bytes) => buffer.put_slice(&bytes),
            None if wire.is_gone => {}
            None => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Fake {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.borrow_mut();
        let bytes = parts.iter().map(|part| &**part).collect::<Vec<&[u8]>>().concat();
        assert!(!bytes.is_empty(), "a write of nothing");
        let step = wire.room.min(bytes.len());
        if step == 0 {
            return Poll::Pending;
        }
        wire.room -= step;
        wire.writes += 1;
        wire.taken.extend_from_slice(&bytes[..step]);
        Poll::Ready(Ok(step))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().is_shut = true;
        Poll::Ready(Ok(()))
    }
}

/// Says everything back; `panic` panics.
struct Parrot;

impl Brain for Parrot {
    fn text(&mut self, connection: &Arc<Connection>, text: ByteString) {
        assert_ne!(text, "panic", "as told");
        connection.outlet().push(&frame(&text));
    }

    fn binary(&mut self, connection: &Arc<Connection>, data: Bytes) {
        connection.outlet().push_binary(data);
    }

    fn fault(&mut self, _: &Arc<Connection>, _: InboundFault) {}
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Bench {
    wire: Rc<RefCell<Wire>>,
    connection: Arc<Connection>,
    outlet: Arc<Outlet>,
    socket: Option<RawSocket<Fake, Parrot>>,
    wakes: Arc<Wakes>,
    gate: Arc<Gate>,
}

fn frame(text: &str) -> Frame {
    Frame { latest: text.into(), seed: None, lane: Lane::Counted, answers: None }
}

/// A client's frame, under a mask of nothing.
fn masked(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = unmasked(first, body);
    out[1] |= 0x80;
    let header = out.len() - body.len();
    out.splice(header..header, [0; 4]);
    out
}

fn unmasked(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match body.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
    out
}

fn said(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| unmasked(0x81, text.as_bytes())).collect()
}

/// An open socket whose client has taken the answer to its handshake and takes all it is given.
fn bench(limits: Limits) -> Bench {
    let gate = Gate::new(&limits, &[], Transport::Raw, Vec::new());
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Ok(permit) = gate.admit(local, None, 0, true) else { panic!("nobody else is here") };
    let rules = SocketRules { frames_per_s: 0, ..SocketRules::players(&limits) };
    let outlet = Outlet::new(rules.outbox, gate.metrics().clone());
    let connection = Connection::new(local, 0, outlet.clone(), None, gate.metrics().clone());
    let wire = Rc::new(RefCell::new(Wire { room: usize::MAX, ..Wire::default() }));
    let pump = Pump::new(Parrot, connection.clone(), rules, permit);
    let head = Bytes::from_static(b"101");
    let socket = RawSocket::new(Fake(wire.clone()), pump, Guard::new(rules.size), head, Bytes::new());
    let mut bench = Bench { wire, connection, outlet, socket: Some(socket), wakes: Arc::default(), gate };
    assert!(bench.poll().is_pending());
    assert_eq!(std::mem::take(&mut bench.wire.borrow_mut().taken), b"101");
    bench.wire.borrow_mut().writes = 0;
    // It was attached before it began, and looks once more.
    assert_eq!(bench.wakes(), 1);
    bench
}

impl Bench {
    fn poll(&mut self) -> Poll<()> {
        let waker = Waker::from(self.wakes.clone());
        let socket = self.socket.as_mut().expect("it is open");
        let polled = Pin::new(socket).poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            self.socket = None;
        }
        polled
    }

    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.wire.borrow_mut().taken)
    }

    fn writes(&self) -> usize {
        std::mem::take(&mut self.wire.borrow_mut().writes)
    }

    fn wakes(&self) -> usize {
        self.wakes.0.swap(0, Ordering::Relaxed)
    }

    fn send(&self, bytes: Vec<u8>) {
        self.wire.borrow_mut().sends.push_back(bytes);
    }
}

#[test]
fn a_batch_is_one_wake_and_one_write() {
    let mut bench = bench(Limits::default());
    let texts: Vec<_> = (0..50).map(|n| format!("event {n}")).collect();
    for round in 0..3 {
        for text in &texts {
            bench.outlet.push(&frame(text));
        }
        assert_eq!(bench.wakes(), 1, "round {round}");
        assert!(bench.poll().is_pending());
        assert_eq!(bench.writes(), 1, "round {round}");
        assert_eq!(bench.taken(), said(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    // And nothing is written where nothing waits.
    assert!(bench.poll().is_pending());
    assert_eq!((bench.writes(), bench.wakes()), (0, 0));
}

#[test]
fn what_one_read_brings_is_answered_in_one_write() {
    let mut bench = bench(Limits::default());
    bench.send((0..16).flat_map(|_| masked(0x81, b"again")).collect());
    assert!(bench.poll().is_pending());
    assert_eq!((bench.writes(), bench.wakes()), (1, 0));
    assert_eq!(bench.taken(), said(&["again"; 16]));
}

#[test]
fn a_frame_larger_than_a_batch_leaves_with_it() {
    let mut bench = bench(Limits::default());
    let large = "x".repeat(100_000);
    bench.outlet.push_all(&[frame("before"), frame(&large), frame("after")]);
    assert!(bench.poll().is_pending());
    assert_eq!(bench.taken(), said(&["before", &large, "after"]));
    assert_eq!(bench.writes(), 2, "the large one fills the first batch");
}

#[test]
fn a_client_that_takes_a_little_at_a_time_gets_everything_in_order() {
    for room in [1, 2, 3, 7, 1_000, 16_383, 99_999] {
        let mut bench = bench(Limits::default());
        bench.wire.borrow_mut().room = 0;
        let large = "x".repeat(if room < 100 { 17_000 } else { 100_000 });
        let texts = ["before", &large, "after", "and after that"];
        bench.outlet.push_all(&texts.map(frame));
        let expected = said(&texts);
        let mut taken = Vec::new();
        while taken.len() < expected.len() {
            bench.wire.borrow_mut().room = room;
            assert!(bench.poll().is_pending());
            let step = bench.taken();
            assert!(!step.is_empty(), "{room} at a time: it stands still after {} bytes", taken.len());
            taken.extend(step);
        }
        assert!(taken == expected, "{room} at a time");
    }
}

#[test]
fn while_a_client_does_not_take_anything_nothing_is_woken_and_the_newest_pong_is_kept() {
    let mut bench = bench(Limits::default());
    bench.wire.borrow_mut().room = 2;
    bench.outlet.push(&frame("one"));
    assert!(bench.poll().is_pending());
    let _ = bench.wakes();
    bench.outlet.push(&frame("two"));
    bench.send([masked(0x89, b"old"), masked(0x89, b"new"), masked(0x81, b"three")].concat());
    assert!(bench.poll().is_pending());
    assert_eq!(bench.wakes(), 0);
    assert!(bench.connection.progress().1, "the sentinel sees that something waits");
    bench.wire.borrow_mut().room = usize::MAX;
    assert!(bench.poll().is_pending());
    assert_eq!(bench.taken(), [said(&["one"]), unmasked(0x8a, b"new"), said(&["two", "three"])].concat());
}

#[test]
fn who_does_not_read_is_not_heard_without_end() {
    let limits = Limits { outbox_frames_max: 400, ..Limits::default() };
    let mut bench = bench(limits);
    bench.wire.borrow_mut().room = 0;
    let burst: Vec<u8> = (0..64).flat_map(|_| masked(0x81, b"x")).collect();
    for _ in 0..100 {
        bench.send(burst.clone());
        let _ = bench.poll();
    }
    let unread = bench.wire.borrow().sends.len();
    assert!((90..100).contains(&unread), "{unread} of 100 bursts are left to the kernel");
    assert_eq!(bench.gate.metrics().cut(Cut::Overflow), 0);
    // What it did send is answered once it reads.
    bench.wire.borrow_mut().room = usize::MAX;
    while !bench.wire.borrow().sends.is_empty() {
        assert!(bench.poll().is_pending());
    }
    assert_eq!(bench.taken(), said(&["x"; 6_400]));
}

#[test]
fn a_burst_of_the_smallest_messages_does_not_fill_the_outbox() {
    let mut bench = bench(Limits { outbox_frames_max: 128, ..Limits::default() });
    bench.send((0..4_000).flat_map(|_| masked(0x81, b"x")).collect());
    assert!(bench.poll().is_pending());
    assert_eq!(bench.taken(), said(&["x"; 4_000]));
}

#[test]
fn one_socket_does_not_keep_the_others_of_its_thread_waiting() {
    let mut bench = bench(Limits::default());
    for _ in 0..10 {
        bench.send(masked(0x81, b"x"));
    }
    assert!(bench.poll().is_pending());
    assert_eq!((bench.taken(), bench.wakes()), (said(&["x"; SOCKET_READS_MAX as usize]), 1));
}

#[test]
fn a_close_is_answered_after_what_waits_and_the_stream_shut() {
    let mut bench = bench(Limits::default());
    bench.wire.borrow_mut().room = 0;
    bench.outlet.push(&frame("last"));
    bench.send([masked(0x88, &1000u16.to_be_bytes()), masked(0x81, b"too late")].concat());
    assert!(bench.poll().is_pending());
    assert!(bench.connection.is_closing() && !bench.connection.is_ended());
    bench.wire.borrow_mut().room = usize::MAX;
    assert!(bench.poll().is_ready());
    assert_eq!(bench.taken(), [said(&["last"]), unmasked(0x88, &1000u16.to_be_bytes())].concat());
    let wire = bench.wire.borrow();
    assert!(wire.is_shut && !wire.is_reset && bench.connection.is_ended() && bench.gate.metrics().open() == 0);
}

#[test]
fn our_close_waits_for_its_answer() {
    let mut bench = bench(Limits::default());
    bench.connection.close(CloseCode::Restart, "bye");
    assert_eq!(bench.wakes(), 1);
    assert!(bench.poll().is_pending());
    assert_eq!(bench.taken(), unmasked(0x88, b"\x03\xf4bye"));
    bench.send(masked(0x81, b"too late"));
    assert!(bench.poll().is_pending());
    bench.send(masked(0x88, &1012u16.to_be_bytes()));
    bench.send(masked(0x81, b"behind it"));
    assert!(bench.poll().is_ready());
    assert_eq!(bench.taken(), b"");
    assert!(bench.wire.borrow().sends.is_empty(), "nothing is left for the kernel to take amiss");
}

#[test]
fn a_cut_wakes_a_socket_whose_client_does_not_read() {
    let mut bench = bench(Limits::default());
    bench.wire.borrow_mut().room = 0;
    bench.outlet.push(&frame("one"));
    assert!(bench.poll().is_pending());
    let _ = bench.wakes();
    bench.connection.cut(Cut::Stalled);
    assert_eq!(bench.wakes(), 1);
    assert!(bench.poll().is_ready());
    let wire = bench.wire.borrow();
    assert!(wire.is_reset && !wire.is_shut, "the kernel keeps nothing for it");
}

#[test]
fn a_client_that_is_gone_ends_it_and_one_that_closed_before_still_gets_what_waits() {
    let mut gone = bench(Limits::default());
    gone.wire.borrow_mut().is_gone = true;
    assert!(gone.poll().is_ready());

    let mut done = bench(Limits::default());
    done.wire.borrow_mut().room = 0;
    done.outlet.push(&frame("last"));
    done.send(masked(0x88, b""));
    done.wire.borrow_mut().is_gone = true;
    assert!(done.poll().is_pending());
    done.wire.borrow_mut().room = usize::MAX;
    assert!(done.poll().is_ready());
    assert_eq!(done.taken(), [said(&["last"]), unmasked(0x88, b"")].concat());
}

#[test]
fn a_panic_leaves_nothing_of_its_client_to_the_next() {
    let mut bad = bench(Limits::default());
    bad.send([masked(0x89, b"secret"), masked(0x81, b"panic")].concat());
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bad.poll()));
    assert!(died.is_err());
    bad.socket = None;
    assert!(bad.connection.is_ended() && bad.gate.metrics().open() == 0);
    let mut good = bench(Limits::default());
    good.outlet.push(&frame("mine"));
    assert!(good.poll().is_pending());
    assert_eq!(good.taken(), said(&["mine"]));
}
