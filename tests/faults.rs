//! Nothing that was said is lost, doubled or out of order, whatever the network does, and what was acknowledged as kept
//! is there after a restart.

mod proxy;
mod support;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proxy::{Fault, Plan, Proxy, proxy};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use support::{Client, config, guest, run, server, stranger};
use tessera::actors::realm::Realm;
use tessera::client::{Base, Event, Socket, connect};
use tessera::engine::sessions::{Lane, SlotKind};
use tessera::ids::PlayerId;
use tessera::limits::REPLAY_FRAMES_MAX;
use tessera::server::{Threads, in_background};
use tessera::store::ask;
use tessera::wire::Frame;

/// Clients whose connections are cut, and events that each of them must hear.
const CLIENTS: usize = 20;
const EVENTS_EACH: u64 = 5_000;
/// Connections that the proxy has to end before that counts as a trial.
const CUTS_MIN: u64 = 1_000;
/// Clients whose requests are cut, what each of them asks (all of what a channel carries at once, and no more), and how
/// much of it at once.
const SPEAKERS: usize = 12;
const SAID_EACH: u64 = 200;
const IN_FLIGHT: u64 = 8;
/// Connections that the proxy has to spoil on their way to the server before that counts as a trial.
const CUTS_UP_MIN: u64 = 100;
/// Events a client may be behind: well within what a session remembers.
const BEHIND_MAX: u64 = 400;

fn event(n: u64) -> Frame {
    let text = format!(r#"{{"type":"module.message","payload":{{"module":"test","message":{n}}}}}"#);
    Frame { latest: text.into(), seed: None, lane: Lane::Counted, answers: None }
}

/// A client as the wire asks for one: it counts what counts, and comes back with that count.
struct Survivor {
    base: Base,
    token: String,
    session: Option<String>,
    player: Option<PlayerId>,
    received: u64,
    /// The last event it heard.
    heard: Rc<Cell<u64>>,
}

impl Survivor {
    /// One connection, until it ends. Nothing of what may go wrong with a network is an error here.
    async fn connection(&mut self) -> Option<()> {
        let mut socket: Socket = patient(connect(&self.base, "/ws", &[])).await?.ok()?;
        let mut ask = json!({"token": self.token});
        if let Some(session) = &self.session {
            ask["resume"] = json!({"session_id": session, "received": self.received});
        }
        socket.text(&json!({"type": "session.connect", "payload": ask}).to_string()).await.ok()?;
        while self.heard.get() < EVENTS_EACH {
            let Event::Text(text) = patient(socket.next()).await?.ok()?? else { return None };
            self.hear(&serde_json::from_str(&text).expect("frames arrive whole or not at all"));
        }
        Some(())
    }

    fn hear(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().expect("a type");
        match kind {
            "session.connected" => {
                let session = frame["payload"]["session_id"].as_str().map(str::to_owned);
                assert_eq!(frame["payload"]["resumed"], self.session.is_some(), "nobody was away too long");
                assert!(self.session.is_none() || self.session == session);
                self.session = session;
                self.player = frame["payload"]["player_id"].as_str().and_then(|id| id.parse().ok());
                return;
            }
            "session.heartbeat" => return,
            _ if SlotKind::ALL.iter().any(|(_, replaceable)| *replaceable == kind) => return,
            "module.message" => {
                let n = frame["payload"]["message"].as_u64().expect("a number");
                assert_eq!(n, self.heard.get() + 1, "once each, and in order");
                self.heard.set(n);
            }
            other => panic!("nobody said {other}"),
        }
        self.received += 1;
    }
}

/// Waits as long as a client would that gives a silent connection up; the producer never pauses that long.
async fn patient<T>(what: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_millis(400), what).await.ok()
}

/// Says every event to a session as soon as its client is not too far behind, connected or not.
async fn say_all(realm: Arc<Realm>, player: PlayerId, heard: Rc<Cell<u64>>) {
    for n in 1..=EVENTS_EACH {
        while n > heard.get() + BEHIND_MAX {
            tokio::task::yield_now().await;
        }
        realm.directory.member(player).expect("the session lives").outlet.push(&event(n));
    }
}

#[test]
fn a_thousand_cut_connections_lose_double_and_disorder_nothing() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let plan = |nth: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(nth);
            // Towards the server there is little more than the handshake and the sign-in.
            Plan { down: fault(&mut rng, 12_000), up: fault(&mut rng, 4_000) }
        };
        let proxy = proxy(server.addr, plan).await;
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let token = guest(&base, &format!("survivor-{n}")).await;
            let (base, realm) = (Base::from(proxy.addr), realm.clone());
            clients.push(actix_rt::spawn(async move {
                let heard = Rc::new(Cell::new(0));
                let mut client =
                    Survivor { base, token, session: None, player: None, received: 0, heard: heard.clone() };
                let mut producer = None;
                while heard.get() < EVENTS_EACH {
                    // Until a session is known there is nothing to come back to, and nothing is said in it.
                    if let (None, Some(player)) = (&producer, client.player) {
                        producer = Some(actix_rt::spawn(say_all(realm.clone(), player, heard.clone())));
                    }
                    client.connection().await;
                }
                assert_eq!(client.received, EVENTS_EACH);
            }));
        }
        for client in clients {
            client.await.expect("a client hears everything");
        }
        let (down, up) = struck(&proxy);
        assert!(down >= CUTS_MIN, "only {down} connections were cut");
        assert!(up >= CUTS_UP_MIN, "only {up} connections were cut towards the server");
    });
}

/// What happens to one direction of a connection, within so many bytes.
fn fault(rng: &mut ChaCha8Rng, within: u64) -> Fault {
    let end = rng.random_range(0..within);
    match rng.random_range(0..50) {
        0 => Fault::Blackhole(end),
        1..5 => Fault::Trickle(rng.random_range(1..64), end),
        5..8 => Fault::Delay(Duration::from_millis(rng.random_range(1..5)), end),
        _ => Fault::Cut(end),
    }
}

/// How many connections the proxy has spoilt, towards the client and towards the server.
fn struck(proxy: &Proxy) -> (u64, u64) {
    (proxy.struck_down.load(Ordering::Relaxed), proxy.struck_up.load(Ordering::Relaxed))
}

/// A client that asks for things and, when it comes back, asks again for what was not answered.
struct Speaker {
    base: Base,
    token: String,
    session: Option<String>,
    player: String,
    received: u64,
    /// To whom it speaks, and how much it has said.
    to: String,
    asked: u64,
    /// The ids of what was acknowledged, in order.
    acked: Vec<String>,
}

impl Speaker {
    fn new(base: Base, token: String, to: &str) -> Self {
        let (player, to) = (String::new(), to.to_owned());
        Self { base, token, session: None, player, received: 0, to, asked: 0, acked: Vec::new() }
    }

    fn is_done(&self) -> bool {
        self.acked.len() as u64 == SAID_EACH
    }

    fn request(&self, n: u64) -> String {
        let payload = json!({"recipient_id": self.to, "content": n.to_string()});
        json!({"type": "dm.send", "cid": n, "payload": payload}).to_string()
    }

    /// One connection, until it ends or everything is answered.
    async fn connection(&mut self) -> Option<()> {
        let mut socket: Socket = patient(connect(&self.base, "/ws", &[])).await?.ok()?;
        let mut ask = json!({"token": self.token});
        if let Some(session) = &self.session {
            ask["resume"] = json!({"session_id": session, "received": self.received});
        }
        socket.text(&json!({"type": "session.connect", "payload": ask}).to_string()).await.ok()?;
        let mut again = self.acked.len() as u64 + 1;
        while !self.is_done() {
            let Event::Text(text) = patient(socket.next()).await?.ok()?? else { return None };
            self.hear(&serde_json::from_str(&text).expect("frames arrive whole or not at all"))?;
            // First what was asked before, then as much more as may be in flight.
            while again <= self.asked.max((self.acked.len() as u64 + IN_FLIGHT).min(SAID_EACH)) {
                self.asked = self.asked.max(again);
                socket.text(&self.request(again)).await.ok()?;
                again += 1;
            }
        }
        Some(())
    }

    /// None when the server is going down.
    fn hear(&mut self, frame: &Value) -> Option<()> {
        match frame["type"].as_str().expect("a type") {
            "session.connected" => {
                let session = frame["payload"]["session_id"].as_str().map(str::to_owned);
                assert_eq!(frame["payload"]["resumed"], self.session.is_some(), "nobody was away too long");
                self.session = session;
                self.player = frame["payload"]["player_id"].as_str().expect("an id").to_owned();
                return Some(());
            }
            "dm.sent" => {
                assert_eq!(frame["cid"], self.acked.len() as u64 + 1, "answered once each, in the order of asking");
                self.acked.push(frame["payload"]["message_id"].as_str().expect("an id").to_owned());
            }
            "error" if frame["payload"]["reason"] == "draining" => return None,
            other => panic!("nobody asked for {other}: {frame}"),
        }
        self.received += 1;
        Some(())
    }
}

/// Cuts in both directions, soon.
fn hostile(nth: u64) -> Plan {
    let mut rng = ChaCha8Rng::seed_from_u64(nth);
    Plan { down: fault(&mut rng, 6_000), up: fault(&mut rng, 6_000) }
}

/// What two players said to each other, as the store has it: ids and contents, oldest first.
async fn said(realm: &Realm, a: &str, b: &str) -> (Vec<String>, Vec<String>) {
    let channel = format!("dm:{}:{}", a.min(b), a.max(b));
    let rows = ask(|done| realm.store.chat_history(channel, 10 * SAID_EACH as u32, done)).await.expect("it answers");
    rows.into_iter().map(|row| (row.message_id.to_string(), row.content)).unzip()
}

#[test]
fn what_is_asked_over_cut_connections_is_done_once_and_answered_in_order() {
    let server = server(|config| (config.limits.frames_per_s, config.chat.per_player_per_s) = (0, 0));
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let proxy = proxy(server.addr, hostile).await;
        let bob = Client::new(&base, "bob").await;
        let (bob_id, mut bob) = (bob.player.clone(), bob);
        let mut speakers = Vec::new();
        for n in 0..SPEAKERS {
            let token = guest(&base, &format!("speaker-{n}")).await;
            let mut speaker = Speaker::new(Base::from(proxy.addr), token, &bob_id);
            speakers.push(actix_rt::spawn(async move {
                while !speaker.is_done() {
                    speaker.connection().await;
                }
                speaker
            }));
        }
        let mut heard: HashMap<String, u64> = HashMap::new();
        for _ in 0..SPEAKERS as u64 * SAID_EACH {
            let message = bob.expect("dm.message").await["payload"].clone();
            let last = heard.entry(message["sender_id"].as_str().expect("an id").to_owned()).or_default();
            *last += 1;
            assert_eq!(message["content"], last.to_string(), "once each, and in order");
        }
        for speaker in speakers {
            let speaker = speaker.await.expect("a speaker is answered everything");
            let (ids, contents) = said(&realm, &speaker.player, &bob_id).await;
            assert_eq!(ids, speaker.acked, "what was acknowledged, as it was acknowledged");
            assert!(contents.iter().map(String::as_str).eq((1..=SAID_EACH).map(|n| n.to_string())));
        }
        let (down, up) = struck(&proxy);
        assert!(down >= CUTS_UP_MIN && up >= CUTS_UP_MIN, "only {down} and {up} connections were cut");
    });
}

#[test]
fn what_was_acknowledged_over_cut_connections_is_there_once_after_a_restart() {
    let folder = std::env::temp_dir().join(format!("tessera-cut-restart-{}", std::process::id()));
    let begin = || {
        let config = config(|config| {
            config.server.data = folder.display().to_string();
            (config.limits.frames_per_s, config.chat.per_player_per_s) = (0, 0);
        });
        in_background(config, Threads { workers: 1, arbiters: 1 }, None).expect("the server starts")
    };
    let first = begin();
    let (addr, base) = (first.addr, Base::from(first.addr));
    let acked = std::sync::Mutex::new(Vec::new());
    run(async {
        let proxy = proxy(addr, hostile).await;
        // Nobody hears them: what is said is kept all the same.
        let bob_id = Client::new(&base, "bob").await.player;
        let (answers, down) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let mut speakers = Vec::new();
        for n in 0..SPEAKERS {
            let token = guest(&base, &format!("speaker-{n}")).await;
            let mut speaker = Speaker::new(Base::from(proxy.addr), token, &bob_id);
            let (answers, down) = (answers.clone(), down.clone());
            speakers.push(actix_rt::spawn(async move {
                while !speaker.is_done() && !down.get() {
                    let before = speaker.acked.len();
                    speaker.connection().await;
                    answers.set(answers.get() + speaker.acked.len() - before);
                }
                speaker
            }));
        }
        // The server goes down in the middle of it.
        while answers.get() < SPEAKERS * SAID_EACH as usize / 2 {
            tokio::task::yield_now().await;
        }
        let stopping = std::thread::spawn(move || drop(first));
        while !stopping.is_finished() {
            tokio::task::yield_now().await;
        }
        down.set(true);
        for speaker in speakers {
            let speaker = speaker.await.expect("a speaker");
            acked.lock().expect("no one panicked").push((speaker.player, bob_id.clone(), speaker.acked));
        }
    });
    let second = begin();
    let acked = acked.into_inner().expect("no one panicked");
    assert!(acked.iter().any(|(_, _, acked)| (acked.len() as u64) < SAID_EACH), "it went down in the middle");
    run(async {
        for (speaker, bob, acked) in acked {
            let (ids, contents) = said(&second.realm, &speaker, &bob).await;
            assert_eq!(ids[..acked.len()], acked, "what was acknowledged is there, as it was acknowledged");
            // Of what was in flight when it went down some may be there, once, and in order.
            assert!(contents.iter().map(String::as_str).eq((1..=contents.len()).map(|n| n.to_string())));
            assert!(ids.len() as u64 <= acked.len() as u64 + IN_FLIGHT);
        }
    });
    drop(second);
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn beyond_the_window_a_client_is_told_and_gets_a_snapshot() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let ann = Client::new(&base, "ann").await;
        let outlet = realm.directory.member(ann.player.parse().unwrap()).expect("she is here").outlet;
        for n in 0..=REPLAY_FRAMES_MAX as u64 {
            outlet.push(&event(n));
        }
        for why in ["the ring no longer reaches back", "another session has taken its place"] {
            let mut again = stranger(&base).await;
            let resume = json!({"session_id": ann.session, "received": 0});
            again.send("session.connect", json!({"token": ann.token, "resume": resume})).await;
            let connected = again.next().await.expect("an answer");
            assert_eq!(connected["payload"]["resumed"], false, "{why}");
            let snapshot = again.next().await.expect("a frame");
            assert_eq!(snapshot["type"], "session.snapshot");
            assert_eq!(snapshot["payload"], json!({"matches": [], "channels": [], "tickets": []}));
        }
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_drain_and_a_restart() {
    let folder = std::env::temp_dir().join(format!("tessera-restart-{}", std::process::id()));
    let begin = || {
        let config = config(|config| {
            config.server.data = folder.display().to_string();
            (config.limits.frames_per_s, config.chat.per_player_per_s) = (0, 0);
        });
        in_background(config, Threads { workers: 1, arbiters: 1 }, None).expect("the server starts")
    };
    let first = begin();
    let base = Base::from(first.addr);
    let (acked, token, session) = {
        let mut kept = None;
        run(async {
            let mut ann = Client::new(&base, "ann").await;
            ann.send("chat.join", json!({"channel_id": "lobby"})).await;
            ann.expect("chat.joined").await;
            let mut acked = Vec::new();
            for n in 0..150 {
                let said = json!({"type": "chat.send", "cid": n, "payload": {"channel_id": "lobby", "content": format!("{n}")}});
                ann.text(&said.to_string()).await;
            }
            // Half of them are known to be kept; the server goes down in the middle of the others.
            for _ in 0..75 {
                acked.push(ann.expect("chat.sent").await["payload"]["message_id"].clone());
            }
            let (token, session) = (ann.token.clone(), ann.session.clone());
            let stopping = std::thread::spawn(move || drop(first));
            while let Some(frame) = ann.next().await {
                if frame["type"] == "chat.sent" {
                    acked.push(frame["payload"]["message_id"].clone());
                }
            }
            stopping.join().expect("it stops");
            kept = Some((acked, token, session));
        });
        kept.expect("the test ran")
    };
    let second = begin();
    let base = Base::from(second.addr);
    run(async {
        // The token outlives the process, the session does not: the client is told so, and where it stands.
        let mut ann = stranger(&base).await;
        let resume = json!({"session_id": session, "received": 1});
        ann.send("session.connect", json!({"token": token, "resume": resume})).await;
        assert_eq!(ann.next().await.expect("an answer")["payload"]["resumed"], false);
        assert_eq!(ann.next().await.expect("a frame")["type"], "session.snapshot");
        ann.send("chat.join", json!({"channel_id": "lobby"})).await;
        let joined = ann.expect("chat.joined").await;
        let history = joined["payload"]["history"].as_array().expect("a history");
        let ids: Vec<&Value> = history.iter().map(|message| &message["message_id"]).collect();
        let found: Vec<_> = ids.iter().filter(|id| acked.contains(id)).collect();
        assert!(found.iter().copied().copied().eq(&acked), "each once, and in the order of the acknowledgements");
        let said: Vec<_> = history.iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert!(said.iter().enumerate().all(|(n, content)| *content == n.to_string()), "{said:?}");
    });
    drop(second);
    let _ = std::fs::remove_dir_all(folder);
}
