//! Nothing that was said is lost, doubled or out of order, whatever the network does, and what was acknowledged as kept
//! is there after a restart.

mod proxy;
mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proxy::{Fault, proxy};
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
use tessera::wire::Frame;

/// Clients whose connections are cut, and events that each of them must hear.
const CLIENTS: usize = 20;
const EVENTS_EACH: u64 = 5_000;
/// Connections that the proxy has to end before that counts as a trial.
const CUTS_MIN: u64 = 1_000;
/// Events a client may be behind: well within what a session remembers.
const BEHIND_MAX: u64 = 400;

fn event(n: u64) -> Frame {
    let text = format!(r#"{{"type":"module.message","payload":{{"module":"test","message":{n}}}}}"#);
    Frame { latest: text.into(), seed: None, lane: Lane::Counted }
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
            let end = rng.random_range(0..12_000);
            match nth % 50 {
                0 => Fault::Blackhole(end),
                1..5 => Fault::Trickle(rng.random_range(1..64), end),
                5..8 => Fault::Delay(Duration::from_millis(rng.random_range(1..5)), end),
                _ => Fault::Cut(end),
            }
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
        let ended = proxy.ended.load(Ordering::Relaxed);
        assert!(ended >= CUTS_MIN, "only {ended} connections were cut");
    });
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
            config.limits.frames_per_s = 0;
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
