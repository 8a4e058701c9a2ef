//! What integration tests share: a server on threads of its own, and clients that see what strangers' clients see.
#![allow(dead_code, reason = "each test binary uses its own part")]

#[macro_use]
#[path = "../transports/mod.rs"]
pub mod transports;

use std::time::Duration;

use serde_json::{Value, json};
use tessera::client::{Base, Event, Socket, connect, request};
use tessera::config::Config;
use tessera::server::{self, Background, Threads};

/// Longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// A server with a configuration changed by `change`, on an ephemeral port, in memory.
pub fn server(change: impl FnOnce(&mut Config)) -> Background {
    server::in_background(config(change), Threads { workers: 2, arbiters: 2 }, None).expect("the server starts")
}

/// The configuration of [`server`].
pub fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.server.data = ":memory:".into();
    config.server.transport = transports::transport();
    config.limits.connects_per_s = 0;
    config.limits.registers_per_s = 0;
    config.limits.auths_per_s = 0;
    config.limits.api_per_s = 0;
    // How busy the machine is with other tests is not what these ask about.
    config.limits.lag_budget_ms = 0;
    change(&mut config);
    config
}

/// Runs a client-side test to its end.
pub fn run<F: Future<Output = ()>>(test: F) {
    actix_web::rt::System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test ends within a minute");
    });
}

/// A signed-in client.
pub struct Client {
    pub player: String,
    pub session: String,
    pub token: String,
    socket: Socket,
    /// Frames received and not asked for yet.
    heard: Vec<Value>,
}

/// A guest account's access token.
pub async fn guest(base: &Base, name: &str) -> String {
    let body = json!({"device_id": format!("device-{name}"), "device_secret": format!("{name:0>43}=")}).to_string();
    let answer = request(base, "POST", "/api/v1/auth/guest", &[], Some(&body)).await.expect("an answer");
    let account: Value = serde_json::from_str(&answer.body).expect("JSON");
    account["access_token"].as_str().unwrap_or_else(|| panic!("an account, not {}", answer.body)).to_owned()
}

/// A socket that has not signed in.
pub async fn stranger(base: &Base) -> Client {
    let socket = connect(base, "/ws", &[]).await.expect("a socket");
    Client { player: String::new(), session: String::new(), token: String::new(), socket, heard: Vec::new() }
}

impl Client {
    /// A guest called `name`, signed in.
    pub async fn new(base: &Base, name: &str) -> Self {
        Self::with(base, name, json!({})).await
    }

    /// As [`Self::new`], with more in the payload of `session.connect`.
    pub async fn with(base: &Base, name: &str, more: Value) -> Self {
        let token = guest(base, name).await;
        let mut client = stranger(base).await;
        client.token = token.clone();
        let mut payload = json!({"token": token});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.send("session.connect", payload).await;
        let connected = client.expect("session.connected").await;
        client.player = connected["payload"]["player_id"].as_str().unwrap().to_owned();
        client.session = connected["payload"]["session_id"].as_str().unwrap().to_owned();
        client
    }

    /// Sends text as it is.
    pub async fn text(&mut self, text: &str) {
        self.socket.text(text).await.expect("the socket is open");
    }

    /// Sends a message whose cid is its type.
    pub async fn send(&mut self, kind: &str, payload: Value) {
        self.text(&json!({"type": kind, "cid": kind, "payload": payload}).to_string()).await;
    }

    /// The next frame, whatever it is; `None` once the server closed.
    pub async fn next(&mut self) -> Option<Value> {
        if !self.heard.is_empty() {
            return Some(self.heard.remove(0));
        }
        self.read().await
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a frame in time") {
                Ok(Some(Event::Text(text))) => return Some(serde_json::from_str(&text).expect("frames are JSON")),
                Ok(Some(Event::Closed(_)) | None) | Err(_) => return None,
                Ok(Some(_)) => {}
            }
        }
    }

    /// The next frame of this type; others are kept for later calls, in order.
    pub async fn expect(&mut self, kind: &str) -> Value {
        self.expect_where(kind, |_| true).await
    }

    /// The next frame of this type whose payload satisfies `fits`.
    pub async fn expect_where(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let found = |frame: &Value| frame["type"] == kind && fits(&frame["payload"]);
        if let Some(at) = self.heard.iter().position(found) {
            return self.heard.remove(at);
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let late = tokio::time::Instant::now() > deadline;
            assert!(!late, "{kind} within {PATIENCE:?}; heard {:?}", self.heard.iter().take(40).collect::<Vec<_>>());
            let frame =
                self.read().await.unwrap_or_else(|| panic!("{kind} before the server closed; heard {:?}", self.heard));
            if found(&frame) {
                return frame;
            }
            self.heard.push(frame);
        }
    }

    /// Sends and expects the refusal of it: its reason, with the cid echoed.
    pub async fn refused(&mut self, kind: &str, payload: Value) -> String {
        self.send(kind, payload).await;
        let error = self.expect("error").await;
        assert_eq!(error["cid"], kind, "the cid is echoed: {error}");
        assert!(error["payload"]["error"]["code"].is_string() && error["payload"]["error"]["details"].is_object());
        error["payload"]["reason"].as_str().unwrap().to_owned()
    }

    /// Everything of this type heard so far that nobody asked for, after a round trip to the server.
    pub async fn heard_of(&mut self, kind: &str) -> Vec<Value> {
        self.send("session.heartbeat", json!({})).await;
        let pulse = self.expect("session.heartbeat").await;
        drop(pulse);
        self.heard.iter().filter(|frame| frame["type"] == kind).cloned().collect()
    }

    /// The last frame of this type heard so far that nobody asked for.
    pub fn last(&self, kind: &str) -> Option<&Value> {
        self.heard.iter().rev().find(|frame| frame["type"] == kind)
    }

    /// The code the server closes with, after whatever comes before that.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a close in time") {
                Ok(Some(Event::Closed(why))) => return why.map(|(code, _)| code),
                Ok(None) | Err(_) => return None,
                Ok(Some(_)) => {}
            }
        }
    }

    /// Closes as a client does.
    pub async fn close(mut self) {
        let _ = self.socket.close(Some(1000)).await;
    }
}

/// Two clients in one match of `mode`, made by the queue.
pub async fn pair(base: &Base, mode: &str) -> (Client, Client, String) {
    let (mut a, mut b) = (Client::new(base, "alice").await, Client::new(base, "bob").await);
    for client in [&mut a, &mut b] {
        client.send("matchmaker.add", json!({"mode": mode})).await;
        client.expect("matchmaker.queued").await;
    }
    let matched = a.expect("match.matched").await;
    b.expect("match.matched").await;
    let match_id = matched["payload"]["match_id"].as_str().unwrap().to_owned();
    (a, b, match_id)
}
