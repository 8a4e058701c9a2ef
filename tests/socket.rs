//! The socket against clients that misbehave: raw TCP, by hand. One test per promise of the design's section on the
//! socket; framing cases by the dozen are in `ws_conformance.rs`.

#[macro_use]
mod raw;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use raw::{
    BINARY, CLOSE, FIN, PING, PONG, Raw, Seen, Server, TEXT, counted, header, transports, upgrade_request, wait_until,
};
use tessera::actors::{CloseCode, Cut, Outlet};
use tessera::config::Transport;
use tessera::engine::sessions::{Lane, SlotKind};
use tessera::gateway::pump::End;
use tessera::limits::Limits;
use tessera::wire::Frame;

on_both_transports! {
    everything_that_waits_leaves_in_one_batch_and_in_order,
    a_client_that_does_not_read_is_cut_when_its_outbox_is_full_and_stays_resumable,
    a_client_that_reads_late_gets_the_newest_state_and_few_stale_ones,
    a_resumed_connection_is_served_by_its_old_session,
    a_message_over_the_limit_is_refused_in_its_place,
    fragments_are_put_together_under_the_same_limit,
    a_message_far_over_the_limit_ends_the_connection_at_its_header,
    a_stranger_is_not_even_skipped,
    bad_text_closes_1007_and_bad_framing_1002,
    a_binary_frame_is_answered_and_the_connection_stays,
    too_many_messages_are_refused_one_by_one,
    a_hopeless_flood_is_closed_1008,
    bytes_one_at_a_time_are_as_good_as_any,
    frames_behind_the_handshake_in_one_segment_are_read,
    an_answered_close_ends_the_connection_at_once,
    our_close_follows_what_waits_and_its_answer_ends_it,
    a_close_that_is_not_answered_is_cut,
    a_close_after_much_that_waits_loses_none_of_it,
    who_does_not_sign_in_is_closed_1008,
    the_silent_are_pinged_and_then_cut,
    a_client_that_vanishes_leaves_nothing_behind,
    a_brain_that_panics_takes_its_own_connection_only,
    a_restart_says_goodbye_to_everyone_and_lets_nobody_in,
    the_gate_refuses_before_the_upgrade,
    what_is_no_websocket_handshake_is_refused,
    a_request_to_upgrade_what_is_no_socket_is_answered_and_done_with,
    a_body_that_nobody_reads_ends_the_connection,
    #[cfg(target_os = "linux")]
    an_announced_gigabyte_costs_a_stranger_its_connection_and_us_nothing,
    #[cfg(target_os = "linux")]
    #[ignore = "takes 20,000 descriptors; run by hand"]
    ten_thousand_idle_connections_fit_in_150_mib,
}

fn limits() -> Limits {
    Limits { connects_per_s: 0, ..Limits::default() }
}

/// A connection on `/ws` that has signed in.
fn signed_in(server: &Server) -> Raw {
    let mut raw = Raw::open(server.addr, "/ws");
    raw.text("auth");
    raw.expect_text("auth");
    raw
}

fn state(text: &str) -> Frame {
    Frame { lane: Lane::Latest(SlotKind::MatchState, 1), ..counted(text) }
}

// What leaves

fn everything_that_waits_leaves_in_one_batch_and_in_order() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    let outlet = server.opened().outlet();
    let before = server.gate.metrics().batches_out.get();
    let tally = |text: &str| Frame { lane: Lane::Latest(SlotKind::VoteTally, 7), ..counted(text) };
    let mut frames = vec![counted("vote_start"), state("state 1"), tally("tally 1"), counted("chat"), tally("tally 2")];
    frames.extend((0..50).map(|n| counted(&format!("event {n}"))));
    frames.push(state("state 2"));
    outlet.push_all(&frames);
    for expected in ["vote_start", "chat", "tally 2"] {
        raw.expect_text(expected);
    }
    for n in 0..50 {
        raw.expect_text(&format!("event {n}"));
    }
    raw.expect_text("state 2");
    assert_eq!(server.gate.metrics().batches_out.get() - before, 1);
    assert_eq!(server.gate.metrics().replaced.get(), 2);
}

fn a_client_that_does_not_read_is_cut_when_its_outbox_is_full_and_stays_resumable() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    let connection = server.opened();
    let outlet = connection.outlet();
    outlet.begin(&counted("connected"));
    raw.expect_text("connected");
    let frame = counted(&"x".repeat(1_000));
    let mut pushed = 0u64;
    wait_until("the outbox overflows", || {
        outlet.push(&frame);
        pushed += 1;
        server.gate.metrics().cut(Cut::Overflow) == 1
    });
    let cut = Instant::now();
    assert_eq!(server.ended(), End::Lost);
    assert!(cut.elapsed() < Duration::from_secs(1), "a frozen socket took {:?} to end", cut.elapsed());
    wait_until("the session is without a socket", || outlet.connection().is_none());
    // It comes back and misses nothing that the ring still holds.
    let mut again = Raw::open(server.addr, "/ws");
    let second = server.opened();
    outlet.push(&counted("last"));
    assert_eq!(outlet.counted(), pushed + 1);
    let resumed = outlet.resume(&second, pushed - 99, &counted("connected")).expect("the ring reaches back");
    assert_eq!(resumed.missed, 100);
    again.expect_text("connected");
    for _ in 0..99 {
        again.expect_text(&frame.latest);
    }
    again.expect_text("last");
}

fn a_client_that_reads_late_gets_the_newest_state_and_few_stale_ones() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    let outlet = server.opened().outlet();
    // What the two kernels hold is theirs: first fill them, until the pump is seen to have stopped taking.
    let replaced = || server.gate.metrics().replaced.get();
    let body = "x".repeat(4_000);
    let mut n = 0;
    wait_until("states replace each other", || {
        for _ in 0..100 {
            n += 1;
            outlet.push(&state(&format!("{n} {body}")));
        }
        replaced() > 20_000
    });
    outlet.push(&counted("end"));
    let (states, mut stale, mut newest) = (n, 0, 0);
    while let Seen::Text(text) = raw.next() {
        if text == "end" {
            break;
        }
        stale += 1;
        newest = text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    }
    assert_eq!(newest, states, "the newest state came last");
    println!("{stale} of {states} states were sent to a client that did not read");
    assert!(stale < 500, "{stale} of {states} states were sent to a client that did not read");
    assert_eq!(server.gate.metrics().cut(Cut::Overflow), 0);
}

fn a_resumed_connection_is_served_by_its_old_session() {
    let server = Server::start(limits());
    let mut first = signed_in(&server);
    let session = server.opened().outlet();
    session.begin(&counted("connected"));
    session.push(&counted("one"));
    session.push(&counted("two"));
    first.expect_text("connected");
    first.expect_text("one");
    let mut second = signed_in(&server);
    let connection = server.opened();
    let resumed = session.resume(&connection, 1, &counted("resumed")).expect("the ring reaches back");
    session.push(&counted("three"));
    for expected in ["resumed", "two", "three"] {
        second.expect_text(expected);
    }
    // What the second connection's brain says goes through the session now, and is counted there.
    second.text("hello");
    second.expect_text("hello");
    assert_eq!(session.counted(), 4);
    let replaced = resumed.replaced.expect("the first is still there");
    replaced.close(CloseCode::Policy, "replaced");
    first.expect_text("two");
    assert_eq!(first.next(), Seen::Close(Some(1008), "replaced".into()));
    first.close(1008);
    first.expect_eof();
    assert_eq!(server.ended(), End::Ours(CloseCode::Policy));
    assert!(session.connection().is_some_and(|now| Arc::ptr_eq(&now, &connection)));
}

// What arrives

fn a_message_over_the_limit_is_refused_in_its_place() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    raw.text("before");
    raw.text(&"x".repeat(65_536));
    raw.text(&"x".repeat(65_537));
    raw.text(&"x".repeat(1 << 20));
    raw.text("after");
    raw.expect_text("before");
    raw.expect_text(&"x".repeat(65_536));
    raw.expect_text("payload_too_large");
    raw.expect_text("payload_too_large");
    raw.expect_text("after");
    // At the header: the answer does not wait for the body.
    raw.bytes(&header(FIN | TEXT, 100_000, [0; 4]));
    raw.expect_text("payload_too_large");
}

fn fragments_are_put_together_under_the_same_limit() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    let half = "é".repeat(16_384);
    raw.frame(TEXT, half.as_bytes());
    raw.frame(FIN | PING, b"between");
    raw.frame(FIN, half.as_bytes());
    assert_eq!(raw.next(), Seen::Pong(b"between".to_vec()));
    raw.expect_text(&half.repeat(2));
    for _ in 0..40 {
        raw.frame(TEXT, &[b'x'; 1_000]);
        for _ in 0..70 {
            raw.frame(0, &[b'x'; 1_000]);
        }
        raw.frame(FIN, b"end");
        raw.expect_text("payload_too_large");
    }
    raw.text("still here");
    raw.expect_text("still here");
    // Not without end, though. The server may be gone before all of it is sent.
    raw.frame(TEXT, b"");
    let drop = raw::frame(0, &[b'x'; 1_000]);
    let _ = (0..2_000).try_for_each(|_| raw.try_bytes(&drop));
    raw.expect_text("payload_too_large");
    assert!(matches!(raw.next(), Seen::Close(Some(1009), _)));
    raw.expect_eof();
}

fn a_message_far_over_the_limit_ends_the_connection_at_its_header() {
    let server = Server::start(limits());
    for first in [FIN | TEXT, FIN | BINARY, TEXT] {
        let mut raw = signed_in(&server);
        raw.text("before");
        raw.bytes(&header(first, (1 << 20) + 1, [0; 4]));
        raw.expect_text("before");
        raw.expect_close(1009);
    }
}

fn a_stranger_is_not_even_skipped() {
    let server = Server::start(limits());
    let mut raw = Raw::open(server.addr, "/ws");
    raw.text(&"x".repeat(65_536));
    raw.expect_text(&"x".repeat(65_536));
    raw.bytes(&header(FIN | TEXT, 65_537, [0; 4]));
    raw.expect_close(1009);
}

fn bad_text_closes_1007_and_bad_framing_1002() {
    let server = Server::start(limits());
    for (frames, code) in [
        (vec![(FIN | TEXT, &b"\xff"[..])], 1007),
        (vec![(TEXT, b"\xe2\x82"), (FIN, b"\x28")], 1007),
        (vec![(FIN | CLOSE, b"\x03\xe8\xff")], 1007),
        (vec![(FIN, b"orphan")], 1002),
        (vec![(FIN | CLOSE, b"\x03")], 1002),
        (vec![(FIN | CLOSE, b"\x03\xed")], 1002),
        (vec![(FIN | 0x40 | TEXT, b"reserved")], 1002),
        (vec![(PING, b"in fragments")], 1002),
    ] {
        let mut raw = signed_in(&server);
        for (first, body) in frames {
            raw.frame(first, body);
        }
        raw.expect_close(code);
    }
}

fn a_binary_frame_is_answered_and_the_connection_stays() {
    let server = Server::start(limits());
    let mut raw = Raw::open(server.addr, "/ws");
    raw.frame(FIN | BINARY, b"\x00\xff");
    raw.expect_text("binary_uplink_unsupported");
    raw.frame(FIN | PONG, b"unasked");
    raw.text("still here");
    raw.expect_text("still here");
}

fn too_many_messages_are_refused_one_by_one() {
    let server = Server::start(Limits { frames_per_s: 1, frames_burst: 20, ..limits() });
    let mut raw = Raw::open(server.addr, "/ws");
    for n in 0..25 {
        raw.text(&format!("{n}"));
    }
    for n in 0..20 {
        raw.expect_text(&format!("{n}"));
    }
    for _ in 20..25 {
        raw.expect_text("rate_limited");
    }
    // A match that ticks faster raises the budget.
    server.opened().set_frames_per_s_floor(1_000);
    wait_until("the new rate holds", || {
        raw.text("again");
        raw.next() == Seen::Text("again".into())
    });
}

fn a_hopeless_flood_is_closed_1008() {
    let server = Server::start(Limits { frames_per_s: 1, frames_burst: 1, ..limits() });
    let mut raw = Raw::open(server.addr, "/ws");
    let reason = loop {
        raw.text("again");
        match raw.next() {
            Seen::Text(_) => {}
            Seen::Close(Some(1008), reason) => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reason, "rate_limited");
    raw.close(1008);
    while raw.next() != Seen::Eof {}
}

fn bytes_one_at_a_time_are_as_good_as_any() {
    let server = Server::start(limits());
    let mut raw = Raw::tcp(server.addr);
    for byte in upgrade_request("/ws", "").bytes() {
        raw.bytes(&[byte]);
    }
    let head = raw.request("");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for byte in raw::frame(FIN | TEXT, "slowly".as_bytes()) {
        raw.bytes(&[byte]);
    }
    raw.expect_text("slowly");
}

fn frames_behind_the_handshake_in_one_segment_are_read() {
    let server = Server::start(limits());
    let mut raw = Raw::tcp(server.addr);
    raw.bytes(&[upgrade_request("/ws", "").as_bytes(), &raw::frame(FIN | TEXT, b"early")].concat());
    let head = raw.request("");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    raw.expect_text("early");
}

// How it ends

fn an_answered_close_ends_the_connection_at_once() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    let connection = server.opened();
    let started = Instant::now();
    raw.frame(FIN | CLOSE, b"\x0f\xa0bye");
    assert_eq!(raw.next(), Seen::Close(Some(4000), String::new()));
    raw.expect_eof();
    assert!(started.elapsed() < Duration::from_millis(900), "it took {:?}", started.elapsed());
    assert_eq!(server.ended(), End::Peer(Some(4000)));
    assert!(connection.is_ended());
}

fn our_close_follows_what_waits_and_its_answer_ends_it() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    raw.text("close");
    raw.text("too late");
    raw.expect_text("close");
    assert_eq!(raw.next(), Seen::Close(Some(1012), "as told".into()));
    raw.close(1012);
    raw.expect_eof();
    assert_eq!(server.ended(), End::Ours(CloseCode::Restart));
}

fn a_close_that_is_not_answered_is_cut() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    raw.text("close");
    raw.expect_text("close");
    assert_eq!(raw.next(), Seen::Close(Some(1012), "as told".into()));
    raw.expect_eof();
    assert_eq!(server.gate.metrics().cut(Cut::CloseTimeout), 1);
}

fn a_close_after_much_that_waits_loses_none_of_it() {
    let server = Server::start(limits());
    let mut raw = signed_in(&server);
    let outlet = server.opened().outlet();
    let frames: Vec<_> = (0..200).map(|n| counted(&format!("{n} {}", "x".repeat(1_000)))).collect();
    outlet.push_all(&frames);
    raw.close(1000);
    raw.half_close();
    let (texts, end) = raw.texts();
    assert_eq!((texts.len(), end), (200, Seen::Close(Some(1000), String::new())));
    raw.expect_eof();
}

fn who_does_not_sign_in_is_closed_1008() {
    let server = Server::start(Limits { auth_timeout_ms: 300, ..limits() });
    let mut signed = signed_in(&server);
    let mut raw = Raw::open(server.addr, "/ws");
    raw.text("not yet");
    raw.expect_text("not yet");
    assert_eq!(raw.next(), Seen::Close(Some(1008), "idle_auth_timeout".into()));
    raw.close(1008);
    raw.expect_eof();
    signed.text("still here");
    signed.expect_text("still here");
}

fn the_silent_are_pinged_and_then_cut() {
    let server = Server::start(Limits { ping_s: 1, silent_s: 3, ..limits() });
    let mut raw = signed_in(&server);
    assert_eq!(raw.next(), Seen::Ping(Vec::new()));
    raw.frame(FIN | PONG, b"");
    let answered = Instant::now();
    while raw.next() != Seen::Eof {}
    assert!(answered.elapsed() > Duration::from_secs(2), "the pong counts as a sign of life");
    assert_eq!(server.gate.metrics().cut(Cut::Silent), 1);
    assert_eq!(server.ended(), End::Lost);
}

fn a_client_that_vanishes_leaves_nothing_behind() {
    let server = Server::start(limits());
    let raw = signed_in(&server);
    let connection = server.opened();
    drop(raw);
    assert_eq!(server.ended(), End::Lost);
    wait_until("the connection is gone", || connection.is_ended() && server.gate.metrics().open() == 0);
    assert!(connection.outlet().connection().is_none());
}

fn a_brain_that_panics_takes_its_own_connection_only() {
    let server = Server::start(limits());
    let mut other = signed_in(&server);
    let mut raw = signed_in(&server);
    raw.text("panic");
    // The FIN comes although a duplicate of the descriptor existed: it went with the actor.
    raw.expect_eof();
    other.text("unharmed");
    other.expect_text("unharmed");
    wait_until("it is counted out", || server.gate.metrics().open() == 1);
}

fn a_restart_says_goodbye_to_everyone_and_lets_nobody_in() {
    let server = Server::start(limits());
    let mut players: Vec<_> = (0..5).map(|_| signed_in(&server)).collect();
    server.gate.drain();
    let mut late = Raw::tcp(server.addr);
    assert!(late.request(&upgrade_request("/ws", "")).starts_with("HTTP/1.1 503 "));
    server.gate.close_all(CloseCode::Restart, "restart");
    for raw in &mut players {
        assert_eq!(raw.next(), Seen::Close(Some(1012), "restart".into()));
        raw.close(1012);
        raw.expect_eof();
    }
}

// Who is let in

fn the_gate_refuses_before_the_upgrade() {
    let status = |server: &Server, more: &str| {
        let mut raw = Raw::tcp(server.addr);
        let head = raw.request(&upgrade_request("/ws", more));
        (head[9..12].to_owned(), raw)
    };
    let server = Server::start(Limits { connects_per_s: 2, ..Limits::default() });
    let statuses: Vec<_> = (0..4).map(|_| status(&server, "").0).collect();
    assert_eq!(statuses, ["101", "101", "429", "429"]);

    let server = Server::start(Limits { connections_per_addr_max: 2, ..limits() });
    let held = [status(&server, ""), status(&server, "")];
    let (refused, mut raw) = status(&server, "");
    assert_eq!(refused, "429");
    assert!(raw.rest().contains(r#""code":"rate_limited""#));
    drop(held);
    wait_until("room again", || status(&server, "").0 == "101");

    let server = Server::start(Limits { connections_max: 1, ..limits() });
    let _held = status(&server, "");
    let (refused, mut raw) = status(&server, "");
    assert_eq!(refused, "503");
    assert!(raw.rest().contains("capacity_reached"));

    let server = Server::with_origins(limits(), &["https://play.example"]);
    for (origin, expected) in
        [("", "101"), ("Origin: https://play.example\r\n", "101"), ("Origin: https://evil.example\r\n", "403")]
    {
        assert_eq!(status(&server, origin).0, expected, "{origin}");
    }
}

fn what_is_no_websocket_handshake_is_refused() {
    let server = Server::start(limits());
    let request = |text: &str| Raw::tcp(server.addr).request(text)[9..12].to_owned();
    assert_eq!(request("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"), "400");
    assert_eq!(request(&upgrade_request("/ws", "").replace("Version: 13", "Version: 99")), "426");
    assert_eq!(request(&upgrade_request("/ws", "").replace("GET", "POST")), "404");
    assert_eq!(request(&upgrade_request("/nowhere", "")), "404");
    wait_until("nothing was admitted for good", || server.gate.metrics().open() == 0);
}

fn a_request_to_upgrade_what_is_no_socket_is_answered_and_done_with() {
    let server = Server::start(limits());
    let mut raw = Raw::tcp(server.addr);
    // A request before it on the same connection is nothing special.
    assert!(raw.request("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(raw.request(&upgrade_request("/nowhere", "")).starts_with("HTTP/1.1 404 "));
    assert_eq!(raw.rest(), "", "what would follow need not be HTTP");
    // Both in one segment, and then frames at once.
    let mut raw = Raw::tcp(server.addr);
    let plain = "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";
    raw.bytes(&[plain.as_bytes(), upgrade_request("/ws", "").as_bytes(), &raw::frame(FIN | TEXT, b"early")].concat());
    assert!(raw.request("").starts_with("HTTP/1.1 404 "));
    assert!(raw.request("").starts_with("HTTP/1.1 101 "));
    raw.expect_text("early");
}

fn a_body_that_nobody_reads_ends_the_connection() {
    let server = Server::start(limits());
    let mut raw = Raw::tcp(server.addr);
    raw.bytes(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    let head = raw.request("");
    assert!(head.starts_with("HTTP/1.1 404 ") && head.contains("connection: close"), "{head}");
    assert_eq!(raw.rest(), "", "and not only when the last chunk comes");
}

// What it costs, measured on a server in a process of its own

/// A server process: this test binary again, told to run [`serve_for_another_process`].
struct OtherProcess {
    child: Child,
    addr: std::net::SocketAddr,
}

const LISTEN: &str = "TESSERA_SOCKET_TEST_LISTEN";
const TRANSPORT: &str = "TESSERA_SOCKET_TEST_TRANSPORT";

impl OtherProcess {
    fn start() -> Self {
        use std::io::{BufRead, BufReader};
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--ignored", "--exact", "serve_for_another_process", "--nocapture"])
            .env(LISTEN, "127.0.0.1:0")
            .env(TRANSPORT, format!("{:?}", transports::transport()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let addr = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("listening on ").nth(1).and_then(|addr| addr.trim().parse().ok()))
            .expect("it listens");
        Self { child, addr }
    }

    /// Its resident size in KiB.
    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        // It also ends by itself when its standard input closes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the server of [`OtherProcess`], or one to look at by hand with `ss` and `strace`. Its connections are
/// pushed 4 KB states and events as fast as `TESSERA_SOCKET_TEST_PUSH_MS` says.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn serve_for_another_process() {
    let Ok(listen) = std::env::var(LISTEN) else { return };
    let raw = std::env::var(TRANSPORT).is_ok_and(|transport| transport == "Raw");
    transports::on(if raw { Transport::Raw } else { Transport::Actors }, || serve(&listen));
}

fn serve(listen: &str) {
    let push_ms: u64 = std::env::var("TESSERA_SOCKET_TEST_PUSH_MS").ok().and_then(|ms| ms.parse().ok()).unwrap_or(0);
    let server = Server::listening(listen, Limits { connections_per_addr_max: 0, ..limits() }, &[]);
    println!("listening on {}", server.addr);
    let (eof_tx, eof) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(eof_tx);
    });
    let wait = if push_ms == 0 { Duration::from_secs(3_600) } else { Duration::from_millis(push_ms) };
    let mut connections = Vec::new();
    let body = "x".repeat(4_000);
    while eof.recv_timeout(wait) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        connections.extend(server.opened.try_iter());
        connections.retain(|connection| !connection.is_ended());
        for connection in &connections {
            connection.set_authenticated();
            connection.outlet().push(&state(&body));
        }
    }
}

#[cfg(target_os = "linux")]
fn an_announced_gigabyte_costs_a_stranger_its_connection_and_us_nothing() {
    let server = OtherProcess::start();
    Raw::open(server.addr, "/ws").text("warm");
    let before = server.resident_kib();
    let mut raw = Raw::open(server.addr, "/ws");
    raw.bytes(&header(FIN | BINARY, 1 << 30, [1, 2, 3, 4]));
    let megabyte = vec![0u8; 1 << 20];
    let taken = (0..200).take_while(|_| raw.try_bytes(&megabyte).is_ok()).count();
    assert!(taken < 200, "the connection did not end");
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 5 * 1_024, "{grown} KiB after {taken} MiB");
}

#[cfg(target_os = "linux")]
fn ten_thousand_idle_connections_fit_in_150_mib() {
    let server = OtherProcess::start();
    let empty = server.resident_kib();
    let idle: Vec<_> = (0..10_000).map(|_| Raw::open(server.addr, "/ws/echo")).collect();
    let full = server.resident_kib();
    println!("{} KiB resident with {} idle connections, {empty} KiB without", full, idle.len());
    assert!(full < 150 * 1_024, "{full} KiB");
}

#[test]
fn outlets_have_the_configured_bounds() {
    let bounds = Outlet::bounds(&Limits { outbox_frames_max: 7, outbox_bytes_max: 9, ..Limits::default() });
    assert_eq!((bounds.frames_max, bounds.bytes_max), (7, 9));
}
