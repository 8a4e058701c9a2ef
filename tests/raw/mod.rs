//! A server on a port of its own, and a client that speaks WebSocket by hand so that it can misbehave.
//!
//! Nothing here sleeps: every wait is a read that a server's answer ends, with a deadline only so that a missing answer
//! fails instead of hanging.
#![allow(dead_code)]

#[macro_use]
#[path = "../transports/mod.rs"]
pub mod transports;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use bytestring::ByteString;
use tessera::actors::{CloseCode, Connection};
use tessera::engine::sessions::Lane;
use tessera::gateway::echo::Echo;
use tessera::gateway::gate::Gate;
use tessera::gateway::listen;
use tessera::gateway::pump::{Brain, End, InboundFault, SocketRules};
use tessera::gateway::upgrade::upgrade;
use tessera::limits::Limits;
use tessera::wire::Frame;

/// How long an answer may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server with `/ws` (the [`Tester`] brain under players' rules) and `/ws/echo`.
pub struct Server {
    pub addr: SocketAddr,
    pub gate: Arc<Gate>,
    /// What each connection on `/ws` reports, in the order they opened.
    pub opened: mpsc::Receiver<Arc<Connection>>,
    pub ended: mpsc::Receiver<End>,
    handle: actix_web::dev::ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(limits: Limits) -> Self {
        Self::with_origins(limits, &[])
    }

    pub fn with_origins(limits: Limits, origins: &[&str]) -> Self {
        Self::listening("127.0.0.1:0", limits, origins)
    }

    pub fn listening(listen: &str, limits: Limits, origins: &[&str]) -> Self {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let gate = Gate::new(&limits, &origins, transports::transport(), Vec::new());
        let (opened_tx, opened) = mpsc::channel();
        let (ended_tx, ended) = mpsc::channel();
        let (ready_tx, ready) = mpsc::channel();
        let (of_gate, listen) = (gate.clone(), listen.to_owned());
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let shared = Shared { gate: of_gate.clone(), opened: opened_tx, ended: ended_tx };
                let routes = move |config: &mut web::ServiceConfig| {
                    config.app_data(web::Data::new(shared.clone()));
                    config.route("/ws", web::get().to(players)).route("/ws/echo", web::get().to(echo));
                };
                let (addrs, server) = listen::serve(&of_gate, listen, 1, routes).expect("a port");
                ready_tx.send((addrs[0], server.handle())).expect("the test waits");
                server.await.expect("the server runs");
            });
        });
        let (addr, handle) = ready.recv().expect("the server starts");
        Self { addr, gate, opened, ended, handle, thread: Some(thread) }
    }

    /// The connection that opened next.
    pub fn opened(&self) -> Arc<Connection> {
        self.opened.recv_timeout(PATIENCE).expect("a connection opens")
    }

    /// How the connection that ended next ended.
    pub fn ended(&self) -> End {
        self.ended.recv_timeout(PATIENCE).expect("a connection ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stop = self.handle.stop(false);
        drop(stop);
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || std::thread::panicking(), "the server's thread panicked");
        }
    }
}

#[derive(Clone)]
struct Shared {
    gate: Arc<Gate>,
    opened: mpsc::Sender<Arc<Connection>>,
    ended: mpsc::Sender<End>,
}

async fn players(request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    let peer = request.peer_addr().expect("a TCP peer").ip();
    let rules = SocketRules::players(shared.gate.limits());
    let tester = Tester { shared: shared.get_ref().clone() };
    upgrade(&request, payload, &shared.gate, peer, rules, |_| tester)
}

async fn echo(request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    let peer = request.peer_addr().expect("a TCP peer").ip();
    upgrade(&request, payload, &shared.gate, peer, Echo::rules(), |_| Echo)
}

/// Does what it is told: `auth` signs in, `panic` panics, `close` closes; the rest it says back.
struct Tester {
    shared: Shared,
}

pub fn counted(text: &str) -> Frame {
    Frame { latest: text.into(), seed: None, lane: Lane::Counted, answers: None }
}

impl Brain for Tester {
    fn opened(&mut self, connection: &Arc<Connection>) {
        let _ = self.shared.opened.send(connection.clone());
    }

    fn text(&mut self, connection: &Arc<Connection>, text: ByteString) {
        match &*text {
            "auth" => connection.set_authenticated(),
            "panic" => panic!("as told"),
            "close" => connection.close(CloseCode::Restart, "as told"),
            _ => {}
        }
        connection.outlet().push(&counted(&text));
    }

    fn binary(&mut self, connection: &Arc<Connection>, _: Bytes) {
        connection.outlet().push(&counted("binary_uplink_unsupported"));
    }

    fn fault(&mut self, connection: &Arc<Connection>, fault: InboundFault) {
        connection.outlet().push(&counted(match fault {
            InboundFault::TooLarge(_) => "payload_too_large",
            InboundFault::RateLimited { .. } => "rate_limited",
        }));
    }

    fn closed(&mut self, _: &Arc<Connection>, end: End) {
        let _ = self.shared.ended.send(end);
    }
}

pub const FIN: u8 = 0x80;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// What a client saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code (none for an empty body) and reason.
    Close(Option<u16>, String),
    /// The end of the connection, by FIN or by RST.
    Eof,
}

/// A client that does exactly what it is told.
pub struct Raw {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// An upgrade request, with more header lines (each ending in CRLF) if wanted.
pub fn upgrade_request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

impl Raw {
    /// A TCP connection that has said nothing yet.
    pub fn tcp(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option");
        Self { stream, buffer: Vec::new() }
    }

    /// An upgraded connection.
    pub fn open(addr: SocketAddr, path: &str) -> Self {
        let mut raw = Self::tcp(addr);
        let head = raw.request(&upgrade_request(path, ""));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        raw
    }

    /// Sends a request and answers the head of what came back.
    pub fn request(&mut self, request: &str) -> String {
        self.bytes(request.as_bytes());
        loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.buffer.split_off(at + 4);
                return String::from_utf8_lossy(&std::mem::replace(&mut self.buffer, rest)).into_owned();
            }
            assert!(self.fill(), "the connection ended in the head");
        }
    }

    /// Everything until the end of the connection.
    pub fn rest(&mut self) -> String {
        while self.fill() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    /// Sends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.try_bytes(bytes).expect("the server takes it");
    }

    pub fn try_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a frame with this first byte.
    pub fn frame(&mut self, first: u8, body: &[u8]) {
        self.bytes(&frame(first, body));
    }

    pub fn text(&mut self, text: &str) {
        self.frame(FIN | TEXT, text.as_bytes());
    }

    pub fn close(&mut self, code: u16) {
        self.frame(FIN | CLOSE, &code.to_be_bytes());
    }

    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("a shutdown");
    }

    /// The next frame.
    pub fn next(&mut self) -> Seen {
        loop {
            if let Some((first, body, length)) = parse(&self.buffer) {
                self.buffer.drain(..length);
                return seen(first, body);
            }
            if !self.fill() {
                assert!(self.buffer.is_empty(), "cut inside a frame: {:?}", self.buffer);
                return Seen::Eof;
            }
        }
    }

    /// The next frames until one that is not text, without it; and it.
    pub fn texts(&mut self) -> (Vec<String>, Seen) {
        let mut texts = Vec::new();
        loop {
            match self.next() {
                Seen::Text(text) => texts.push(text),
                other => return (texts, other),
            }
        }
    }

    pub fn expect_text(&mut self, text: &str) {
        assert_eq!(self.next(), Seen::Text(text.to_owned()));
    }

    /// A close with this code and nothing but the end after it, without an answer from us.
    pub fn expect_close(&mut self, code: u16) -> String {
        let Seen::Close(seen, reason) = self.next() else { panic!("expected a close {code}") };
        assert_eq!(seen, Some(code), "{reason}");
        self.expect_eof();
        reason
    }

    pub fn expect_eof(&mut self) {
        assert_eq!(self.next(), Seen::Eof);
    }

    /// Reads once; false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut chunk = vec![0; 1 << 16];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                true
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => false,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// A masked frame.
pub fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = header(first, body.len() as u64, mask);
    out.extend(body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// A masked frame's header.
pub fn header(first: u8, length: u64, mask: [u8; 4]) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..=125 => out.push(0x80 | length as u8),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out
}

/// An unmasked frame at the start of `bytes`: first byte, body, and its length in all.
fn parse(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert_eq!(second & 0x80, 0, "a server's frames are not masked");
    let (start, length) = match second {
        126 => (4, usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(rest.get(..8)?.try_into().ok()?) as usize),
        length => (2, usize::from(*length)),
    };
    let body = bytes.get(start..start + length)?.to_vec();
    Some((*first, body, start + length))
}

fn seen(first: u8, body: Vec<u8>) -> Seen {
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).expect("a server's text is UTF-8");
    match first {
        0x81 => Seen::Text(text(&body)),
        0x82 => Seen::Binary(body),
        0x88 if body.is_empty() => Seen::Close(None, String::new()),
        0x88 => Seen::Close(Some(u16::from_be_bytes([body[0], body[1]])), text(&body[2..])),
        0x89 => Seen::Ping(body),
        0x8a => Seen::Pong(body),
        other => panic!("a server's frames are whole and plain, not {other:#x}"),
    }
}

/// Asks until it holds, and fails when it never does.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}
