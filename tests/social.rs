//! Chat and presence as strangers' clients meet them: real sockets, a server of their own, nothing but the wire.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tessera::actors::channels::{ChatCommand, Listener, Welcome};
use tessera::actors::{Connection, Outgoing, Outlet};
use tessera::client::{Base, Event, Socket, connect, request};
use tessera::config::Config;
use tessera::engine::modes::Mode;
use tessera::engine::sessions::Bounds;
use tessera::games::{FilterVerdict, Game, GameCx, JoinRefused};
use tessera::ids::{ChannelId, PlayerId, SessionId};
use tessera::limits::{Limits, SUBSCRIPTIONS_MAX};
use tessera::server::{Background, Threads, in_background, in_background_with};

/// How long an answer may take before the test has failed; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

fn server(change: impl FnOnce(&mut Config)) -> Background {
    in_background(config(change), Threads { workers: 1, arbiters: 1 }, None).expect("a server")
}

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.server.data = ":memory:".into();
    config.limits.connects_per_s = 0;
    config.limits.auths_per_s = 0;
    change(&mut config);
    config
}

/// A signed-in client that remembers what it was sent and not asked about yet.
struct Client {
    id: String,
    token: String,
    session: String,
    socket: Socket,
    heard: VecDeque<Value>,
    asked: u32,
}

impl Client {
    async fn new(server: &Background, name: &str) -> Self {
        let base = Base::from(server.addr);
        let secret = format!("{name:0>43}=");
        let body = json!({"device_id": format!("device-of-{name}"), "device_secret": secret}).to_string();
        let answer = request(&base, "POST", "/api/v1/auth/guest", &[], Some(&body)).await.expect("an answer");
        let account: Value = serde_json::from_str(&answer.body).expect("JSON");
        let token = account["access_token"].as_str().expect("a token");
        let mut client = Self::socket(server, token).await;
        let connected = client.ask("session.connect", json!({"token": token})).await;
        assert_eq!(connected["type"], "session.connected", "{connected}");
        client.session = connected["payload"]["session_id"].as_str().expect("an id").to_owned();
        client.id = connected["payload"]["player_id"].as_str().expect("an id").to_owned();
        client
    }

    /// A connection that has not signed in.
    async fn socket(server: &Background, token: &str) -> Self {
        let socket = connect(&Base::from(server.addr), "/ws", &[]).await.expect("a socket");
        let (id, session) = (String::new(), String::new());
        Self { id, token: token.to_owned(), session, socket, heard: VecDeque::new(), asked: 0 }
    }

    async fn send(&mut self, kind: &str, cid: Option<&str>, payload: Value) {
        let mut message = json!({"type": kind, "payload": payload});
        if let Some(cid) = cid {
            message["cid"] = cid.into();
        }
        self.socket.text(&message.to_string()).await.expect("the socket takes it");
    }

    async fn next(&mut self) -> Value {
        let event = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something comes in time");
        match event.expect("the socket lives") {
            Some(Event::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("expected a text, not {other:?}"),
        }
    }

    /// Sends with a cid and waits for the answer to it; what comes in between is kept.
    async fn ask(&mut self, kind: &str, payload: Value) -> Value {
        self.asked += 1;
        let cid = format!("ask-{}", self.asked);
        self.send(kind, Some(&cid), payload).await;
        loop {
            let message = self.next().await;
            if message["cid"] == cid.as_str() {
                return message;
            }
            self.heard.push_back(message);
        }
    }

    /// Why an ask was refused.
    async fn refused(&mut self, kind: &str, payload: Value) -> String {
        let answer = self.ask(kind, payload).await;
        assert_eq!(answer["type"], "error", "{answer}");
        answer["payload"]["reason"].as_str().expect("a reason").to_owned()
    }

    /// The payload of the next message of this type, kept or yet to come.
    async fn hears(&mut self, kind: &str) -> Value {
        if let Some(at) = self.heard.iter().position(|message| message["type"] == kind) {
            return self.heard.remove(at).map(|message| message["payload"].clone()).unwrap_or_default();
        }
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message["payload"].clone();
            }
            self.heard.push_back(message);
        }
    }

    /// Everything of these types that came up to now and was not asked about.
    fn left(&self, kinds: &[&str]) -> Vec<&Value> {
        self.heard.iter().filter(|message| kinds.iter().any(|kind| message["type"] == *kind)).collect()
    }
}

fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

#[test]
fn what_is_said_reaches_everyone_and_can_be_changed() {
    run(async {
        let server = server(|_| {});
        let (mut ann, mut bob) = (Client::new(&server, "ann").await, Client::new(&server, "bob").await);
        let lobby = json!({"channel_id": "lobby"});
        for client in [&mut ann, &mut bob] {
            assert_eq!(client.ask("chat.join", lobby.clone()).await["type"], "chat.joined");
        }
        let sent = ann.ask("chat.send", json!({"channel_id": "lobby", "content": "e\u{301}t voila"})).await;
        assert_eq!(sent["type"], "chat.sent");
        let message_id = sent["payload"]["message_id"].clone();
        let said = bob.hears("chat.message").await;
        assert_eq!((&said["content"], &said["sender_id"]), (&json!("\u{e9}t voila"), &json!(ann.id)));
        assert_eq!(said["message_id"], message_id);
        assert_eq!(ann.left(&["chat.message"]).len(), 1, "whoever said it hears it too, before it is acknowledged");

        let change = |content: &str| json!({"channel_id": "lobby", "message_id": message_id, "content": content});
        assert_eq!(bob.refused("chat.edit", change("mine now")).await, "not_authorized");
        assert_eq!(ann.ask("chat.edit", change("voil\u{e0}")).await["type"], "chat.updated");
        assert_eq!(bob.hears("chat.updated").await["content"], "voil\u{e0}");
        ann.send("chat.typing", None, lobby.clone()).await;
        assert_eq!(bob.hears("chat.typing").await["player_id"], ann.id.as_str());

        let mut cy = Client::new(&server, "cy").await;
        let joined = cy.ask("chat.join", lobby.clone()).await;
        assert_eq!(joined["payload"]["history"][0]["content"], "voil\u{e0}", "{joined}");
        assert_eq!(cy.refused("chat.delete", change("")).await, "not_authorized");
        assert_eq!(ann.ask("chat.delete", change("")).await["type"], "chat.deleted");
        assert_eq!(bob.hears("chat.deleted").await["message_id"], message_id);
        assert_eq!(ann.refused("chat.delete", change("")).await, "not_found");
        assert_eq!(ann.ask("chat.join", lobby).await["payload"]["history"], Value::Null);
        assert!(ann.left(&["chat.typing", "chat.updated", "chat.deleted"]).is_empty(), "an answer is not told twice");
    });
}

#[test]
fn a_channel_says_why_not() {
    run(async {
        let server = server(|config| config.chat.slow_mode_s = 3_600);
        let (mut ann, mut bob) = (Client::new(&server, "ann").await, Client::new(&server, "bob").await);
        let say = |content: &str| json!({"channel_id": "lobby", "content": content});
        assert_eq!(ann.refused("chat.send", say("hi")).await, "not_authorized");
        ann.ask("chat.join", json!({"channel_id": "lobby"})).await;
        for (content, reason) in [
            ("", "content_empty"),
            (" \u{200b}", "content_empty"),
            ("\u{202e}cba", "content_refused"),
            (&"x".repeat(2_001), "content_too_large"),
        ] {
            assert_eq!(ann.refused("chat.send", say(content)).await, reason, "{content:?}");
        }
        assert_eq!(ann.ask("chat.send", say("hi")).await["type"], "chat.sent");
        let slow = ann.ask("chat.send", say("hi again")).await;
        assert_eq!(slow["payload"]["reason"], "slow_mode");
        let retry_ms = slow["payload"]["error"]["details"]["retry_ms"].as_u64().expect("when");
        assert!((3_500_000..=3_600_000).contains(&retry_ms), "{retry_ms}");
        let dm = |lo: &str, hi: &str| json!({"channel_id": format!("dm:{lo}:{hi}")});
        let (lo, hi) = (ann.id.clone().min(bob.id.clone()), ann.id.clone().max(bob.id.clone()));
        for (channel, reason) in [
            (json!({"channel_id": "nowhere"}), "invalid_channel_id"),
            (json!({"channel_id": "room:secret"}), "not_authorized"),
            (dm(&hi, &lo), "invalid_channel_id"),
            (dm("00000000-0000-7000-8000-000000000001", &lo), "not_authorized"),
        ] {
            assert_eq!(bob.refused("chat.join", channel.clone()).await, reason, "{channel}");
        }
        assert_eq!(bob.ask("chat.join", dm(&lo, &hi)).await["type"], "chat.joined");
        let say = json!({"channel_id": format!("dm:{lo}:{hi}"), "content": "just us"});
        assert_eq!(bob.ask("chat.send", say).await["type"], "chat.sent");
        assert_eq!(
            ann.hears("dm.message").await["content"],
            "just us",
            "the other side hears it outside of the channel"
        );
    });
}

#[test]
fn both_of_two_are_told_once_what_becomes_of_a_direct_message() {
    run(async {
        let server = server(|_| {});
        let (mut ann, mut bob) = (Client::new(&server, "ann").await, Client::new(&server, "bob").await);
        let sent = ann.ask("dm.send", json!({"recipient_id": bob.id, "content": "helo"})).await["payload"].clone();
        let channel = json!({"channel_id": sent["channel_id"]});
        let edit = |content: &str| json!({"channel_id": sent["channel_id"], "message_id": sent["message_id"], "content": content});
        ann.ask("chat.join", channel.clone()).await;
        // Bob out of the channel, then in it; with a cid, and without.
        for (round, content) in ["hello", "hello you"].into_iter().enumerate() {
            assert_eq!(ann.ask("chat.edit", edit(content)).await["payload"]["content"], content);
            assert_eq!(bob.hears("chat.updated").await["content"], content);
            ann.send("chat.edit", None, edit("...")).await;
            for client in [&mut ann, &mut bob] {
                assert_eq!(client.hears("chat.updated").await["content"], "...");
            }
            if round == 0 {
                bob.ask("chat.join", channel.clone()).await;
            }
        }
        ann.ask("chat.delete", edit("")).await;
        assert_eq!(bob.hears("chat.deleted").await["message_id"], sent["message_id"]);
        for client in [&mut ann, &mut bob] {
            client.ask("session.heartbeat", json!({})).await;
            assert!(client.left(&["chat.updated", "chat.deleted"]).is_empty(), "once each");
        }
    });
}

#[test]
fn everybody_hears_the_same_order() {
    run(async {
        let server = server(|_| {});
        let mut clients = Vec::new();
        for name in ["ann", "bob", "cy", "dee"] {
            let mut client = Client::new(&server, name).await;
            client.ask("chat.join", json!({"channel_id": "lobby"})).await;
            clients.push(client);
        }
        for round in 0..12 {
            for client in &mut clients {
                client.send("chat.send", None, json!({"channel_id": "lobby", "content": format!("{round}")})).await;
            }
        }
        let mut orders = Vec::new();
        for client in &mut clients {
            let mut order = Vec::new();
            for _ in 0..48 {
                let said = client.hears("chat.message").await;
                order.push((said["sender_id"].to_string(), said["content"].to_string()));
            }
            orders.push(order);
        }
        assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "{orders:?}");
        for client in &clients {
            let me = json!(client.id).to_string();
            let own = orders[0].iter().filter(|(sender, _)| *sender == me);
            let own: Vec<_> = own.map(|(_, content)| content.clone()).collect();
            assert_eq!(own, (0..12).map(|round| format!("\"{round}\"")).collect::<Vec<_>>(), "each in their own order");
        }
    });
}

#[test]
fn friends_see_each_other_come_play_hide_and_go() {
    run(async {
        let server = server(|config| config.server.resume_grace_s = 1);
        let (mut ann, mut bob) = (Client::new(&server, "ann").await, Client::new(&server, "bob").await);
        let ids = json!({"player_ids": [bob.id]});
        let snapshot = ann.ask("presence.subscribe", ids.clone()).await;
        assert_eq!(snapshot["payload"]["players"], json!([{"player_id": bob.id, "status": "online"}]));

        let update = json!({"status": "away", "metadata": {"brb": true}});
        assert_eq!(bob.ask("presence.update", update).await["payload"]["status"], "away");
        let seen = ann.hears("presence.changed").await;
        assert_eq!(seen, json!({"player_id": bob.id, "status": "away", "metadata": {"brb": true}}));
        assert_eq!(bob.refused("presence.update", json!({"status": "x".repeat(33)})).await, "invalid_field");

        bob.ask("presence.update", json!({"status": "invisible"})).await;
        assert_eq!(ann.hears("presence.changed").await["status"], "offline");
        bob.ask("presence.update", json!({})).await;
        assert_eq!(ann.hears("presence.changed").await["status"], "online");

        for client in [&mut ann, &mut bob] {
            assert_eq!(client.ask("matchmaker.add", json!({"mode": "demo"})).await["type"], "matchmaker.queued");
        }
        let playing = ann.hears("presence.changed").await;
        assert_eq!((&playing["status"], &playing["metadata"]), (&json!("in_game"), &json!({"mode": "demo"})));

        // Another connection of the same player takes over: nobody sees them go.
        let again = Client::new(&server, "bob").await;
        assert_eq!(again.id, bob.id);
        drop(bob);
        let mut bob = again;
        bob.ask("presence.update", json!({"status": "busy"})).await;
        assert_eq!(ann.hears("presence.changed").await["status"], "busy");

        bob.ask("match.leave", json!({})).await;
        bob.socket.close(Some(1000)).await.expect("it closes");
        assert_eq!(ann.hears("presence.changed").await["status"], "offline", "once the grace is over");
        let snapshot = ann.ask("presence.unsubscribe", ids).await;
        assert_eq!(snapshot["payload"]["players"], json!([]));
        assert!(ann.left(&["presence.changed"]).is_empty(), "and that is all there was to tell");
    });
}

#[test]
fn a_connection_that_comes_and_goes_is_nobodys_news_and_an_end_is_told_once() {
    run(async {
        let server = server(|config| config.server.resume_grace_s = 1);
        let (mut ann, mut bob) = (Client::new(&server, "ann").await, Client::new(&server, "bob").await);
        ann.ask("presence.subscribe", json!({"player_ids": [bob.id]})).await;
        for round in 0..5 {
            // Lost and back, or taken over by another connection while the old one still stands.
            let mut again = Client::socket(&server, &bob.token).await;
            if round % 2 == 0 {
                bob.socket.close(None).await.expect("it closes");
            }
            let resume = json!({"session_id": bob.session, "received": 0});
            let connected = again.ask("session.connect", json!({"token": bob.token, "resume": resume})).await;
            assert_eq!(connected["payload"]["resumed"], true, "round {round}: {connected}");
            (again.id, again.session) = (bob.id.clone(), bob.session.clone());
            bob = again;
        }
        bob.socket.close(None).await.expect("it closes");
        assert_eq!(ann.hears("presence.changed").await["status"], "offline", "when the grace is over");
        ann.ask("presence.subscribe", json!({"player_ids": []})).await;
        assert!(ann.left(&["presence.changed"]).is_empty(), "once");

        // Over the bound, whoever asks is told where it is.
        let crowd: Vec<_> = (1..=SUBSCRIPTIONS_MAX as u128 + 1).map(PlayerId::from_u128).collect();
        let answer = ann.ask("presence.subscribe", json!({"player_ids": crowd})).await;
        let details = &answer["payload"]["error"]["details"];
        assert_eq!(details["field"], "player_ids", "{answer}");
        assert!(details["expected"].as_str().is_some_and(|it| it.contains("512")), "{answer}");
    });
}

#[test]
fn presence_can_be_switched_off() {
    run(async {
        let server = server(|config| config.presence.enabled = false);
        let (mut ann, mut bob) = (Client::new(&server, "ann").await, Client::new(&server, "bob").await);
        let snapshot = ann.ask("presence.subscribe", json!({"player_ids": [bob.id]})).await;
        assert_eq!(snapshot["payload"]["players"], json!([]), "nobody is shown");
        assert_eq!(bob.ask("presence.update", json!({"status": "away"})).await["type"], "presence.updated");
        for client in [&mut ann, &mut bob] {
            client.ask("matchmaker.add", json!({"mode": "demo"})).await;
        }
        ann.hears("match.state").await;
        assert!(ann.left(&["presence.changed"]).is_empty(), "and nothing is told");
    });
}

#[test]
fn five_thousand_hear_a_message_that_was_encoded_once_and_a_slow_one_delays_nobody() {
    const CROWD: usize = 5_000;
    const MESSAGES: usize = 40;
    run(async {
        let server = server(|config| config.chat.per_player_per_s = 0);
        let realm = server.realm.clone();
        let lobby: ChannelId = "lobby".into();
        let mut ann = Client::new(&server, "ann").await;
        ann.ask("chat.join", json!({"channel_id": "lobby"})).await;
        let mut crowd = Vec::new();
        for n in 0..CROWD {
            // The first never reads, and has less room than there are messages.
            let frames_max = if n == 0 { 16 } else { 1_024 };
            let bounds = Bounds { frames_max, ..Outlet::bounds(&Limits::default()) };
            let outlet = Outlet::new(bounds, Arc::default());
            let connection = Connection::new([127, 0, 0, 1].into(), 0, outlet.clone(), None, Arc::default());
            let (player, session_id) = realm.make(|now, rng| (PlayerId::new(now, rng), SessionId::new(now, rng)));
            let who = Listener { player, session_id, outlet };
            let join = || ChatCommand::Join { who: who.clone(), welcome: Welcome::Joined(None) };
            while realm.tell_channel(&lobby, join()).is_err() {
                // As many wait as may: the channel is on another thread.
                tokio::task::yield_now().await;
            }
            crowd.push(connection);
        }
        for n in 0..MESSAGES {
            let sent = ann.ask("chat.send", json!({"channel_id": "lobby", "content": format!("hello {n}")})).await;
            assert_eq!(sent["type"], "chat.sent");
        }
        // Whoever said it is answered after all have been told.
        let mut buffers: Vec<Option<*const u8>> = vec![None; MESSAGES];
        for connection in &crowd[1..] {
            let mut heard = Vec::new();
            let outlet = connection.outlet();
            outlet.drain(connection, connection.dialect(), usize::MAX, |frame| match frame {
                Outgoing::Text(text) => heard.push(text),
                Outgoing::Binary(_) => panic!("chat is text"),
            });
            assert!(heard[0].contains("chat.joined"));
            assert_eq!(heard.len(), 1 + MESSAGES);
            for (n, text) in heard[1..].iter().enumerate() {
                assert!(text.contains(&format!("\"hello {n}\"")), "in order: {text}");
                let buffer = *buffers[n].get_or_insert(text.as_ptr());
                assert_eq!(buffer, text.as_ptr(), "all of them read the same bytes");
            }
        }
        assert!(crowd[0].was_cut(), "who does not read loses the connection, and nobody else anything");
    });
}

/// Whoever comes back joins all of their channels at once. What was said there must fit through their way out together.
#[test]
fn all_channels_joined_in_one_breath_are_answered() {
    const CHANNELS: usize = 24;
    run(async {
        let names: Vec<String> = (0..CHANNELS).map(|n| format!("c{n}")).collect();
        let open = names.clone();
        let server = server(move |config| {
            config.chat.per_player_per_s = 0;
            config.chat.open = open;
            config.limits.frames_per_s = 0;
            // Three times what any of them shows, and far less than all of them do.
            config.limits.outbox_bytes_max = 3 * 65_536;
        });
        let mut ann = Client::new(&server, "ann").await;
        for channel in &names {
            ann.ask("chat.join", json!({"channel_id": channel})).await;
            for _ in 0..20 {
                // Twice as long as it is written.
                let said = json!({"channel_id": channel, "content": "\"".repeat(2_000)});
                assert_eq!(ann.ask("chat.send", said).await["type"], "chat.sent");
            }
        }
        let mut bob = Client::new(&server, "bob").await;
        for channel in &names {
            bob.send("chat.join", None, json!({"channel_id": channel})).await;
        }
        for channel in &names {
            let joined = bob.hears("chat.joined").await;
            assert_eq!(&joined["channel_id"], channel);
            if channel == "c0" {
                assert!(joined["history"].as_array().is_some_and(|shown| shown.len() > 5), "some of it");
            }
        }
    });
}

/// Plays nothing, and minds what is said: shouting is lowered, swearing is refused.
struct Prim;

impl Game for Prim {
    fn join(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: Option<&RawValue>) -> Result<(), JoinRefused> {
        Ok(())
    }
    fn leave(&mut self, _: &mut GameCx<'_>, _: PlayerId) {}
    fn input(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: &RawValue) {}
    fn tick(&mut self, _: &mut GameCx<'_>) {}
    fn view(&mut self, _: Option<PlayerId>, _: &mut Vec<u8>) {}

    fn judge_chat(&mut self, _: PlayerId, text: &str) -> FilterVerdict {
        match text {
            "darn" => FilterVerdict::Refuse,
            "blank" => FilterVerdict::Replace(String::new()),
            _ if text.chars().any(char::is_uppercase) => FilterVerdict::Replace(text.to_lowercase()),
            _ => FilterVerdict::Pass,
        }
    }
}

#[test]
fn a_game_judges_what_is_said_in_its_match() {
    run(async {
        let games = Arc::new(|_: &Mode, _| Ok(Box::new(Prim) as Box<dyn Game>));
        let threads = Threads { workers: 1, arbiters: 1 };
        let server = in_background_with(config(|_| {}), threads, games).expect("a server");
        let (mut ann, mut bob) = (Client::new(&server, "ann").await, Client::new(&server, "bob").await);
        for client in [&mut ann, &mut bob] {
            client.ask("matchmaker.add", json!({"mode": "demo"})).await;
        }
        let match_id = ann.hears("match.matched").await["match_id"].clone();
        let channel = format!("match:{}", match_id.as_str().expect("an id"));
        bob.hears("match.matched").await;
        for client in [&mut ann, &mut bob] {
            assert_eq!(client.ask("chat.join", json!({"channel_id": channel})).await["type"], "chat.joined");
        }
        let say = |content: &str| json!({"channel_id": channel, "content": content});
        assert_eq!(ann.refused("chat.send", say("darn")).await, "content_refused");
        assert_eq!(ann.refused("chat.send", say("blank")).await, "content_refused", "nothing she wrote was empty");
        let sent = ann.ask("chat.send", say("GOOD Game")).await;
        assert_eq!(bob.hears("chat.message").await["content"], "good game");
        // An edit is judged as what it replaces was.
        let edit = |content: &str| json!({"channel_id": channel, "message_id": sent["payload"]["message_id"], "content": content});
        assert_eq!(ann.refused("chat.edit", edit("darn")).await, "content_refused");
        assert_eq!(ann.ask("chat.edit", edit("WELL played")).await["type"], "chat.updated");
        assert_eq!(bob.hears("chat.updated").await["content"], "well played");
        // Elsewhere nobody minds.
        ann.ask("chat.join", json!({"channel_id": "lobby"})).await;
        let sent = ann.ask("chat.send", json!({"channel_id": "lobby", "content": "darn"})).await;
        assert_eq!(sent["type"], "chat.sent");
        assert!(bob.left(&["chat.message"]).is_empty());
    });
}
