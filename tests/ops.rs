//! The operators' side, and what lives over REST, against a whole server with players on real sockets.

use serde_json::{Value, json};
use tessera::client::{Base, Event, Socket, connect, request};
use tessera::config::{Config, Secret};
use tessera::ids::PlayerId;
use tessera::limits::Limits;
use tessera::server::{Background, Threads, in_background};

const TOKEN: &str = "correct-horse-battery-staple";

fn config(data: &str) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().expect("an address");
    config.server.data = data.into();
    config.server.ops_token = Some(Secret::new(TOKEN));
    config.limits = Limits { registers_per_s: 0, auths_per_s: 0, api_per_s: 0, ..Limits::default() };
    config
}

struct Server(Background);

impl Server {
    fn start(config: Config) -> Self {
        Self(in_background(config, Threads { workers: 1, arbiters: 1 }, None).expect("the server starts"))
    }

    fn base(&self) -> Base {
        self.0.addr.into()
    }

    async fn call(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = (!body.is_null()).then(|| body.to_string());
        let bearer = format!("Bearer {token}");
        let (base, headers) = (self.base(), [("Authorization", bearer.as_str())]);
        let answer = request(&base, method, path, &headers, body.as_deref()).await.expect("an answer");
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body)))
    }

    async fn look(&self, path: &str) -> Value {
        let (status, body) = self.call(TOKEN, "GET", &format!("/ops/v1/{path}"), Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn deed(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(TOKEN, "POST", &format!("/ops/v1/{path}"), body).await
    }

    /// The status and code of a deed that is refused.
    async fn refused(&self, path: &str, body: Value) -> (u16, String) {
        let (status, body) = self.deed(path, body).await;
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    async fn guest(&self, device: &str) -> (u16, Value) {
        let wanted = json!({"device_id": device, "device_secret": format!("{device:0>44}")});
        self.call("", "POST", "/api/v1/auth/guest", wanted).await
    }

    async fn player(&self, device: &str) -> Player {
        let (status, body) = self.guest(device).await;
        assert_eq!(status, 200, "{body}");
        let text = |name: &str| body[name].as_str().expect("a text").to_owned();
        let mut player = Player {
            id: text("player_id"),
            token: text("access_token"),
            socket: connect(&self.base(), "/ws", &[]).await.expect("a socket"),
        };
        player.send(json!({"type": "session.connect", "payload": {"token": player.token}})).await;
        player.until("session.connected").await;
        player
    }
}

const DONE: (u16, Value) = (200, Value::Null);

/// A deed's answer with its `{"success":true}` folded away.
fn done(answer: (u16, Value)) -> (u16, Value) {
    match answer {
        (status, body) if body == json!({"success": true}) => (status, Value::Null),
        other => other,
    }
}

struct Player {
    id: String,
    token: String,
    socket: Socket,
}

impl Player {
    async fn send(&mut self, message: Value) {
        self.socket.text(&message.to_string()).await.expect("the connection stands");
    }

    /// The payload of the next frame of that type; others pass by, except an error that nobody expects.
    async fn until(&mut self, kind: &str) -> Value {
        loop {
            match self.socket.next().await.expect("frames") {
                Some(Event::Text(text)) => {
                    let mut frame: Value = serde_json::from_str(&text).expect("JSON");
                    if frame["type"] == kind {
                        return frame["payload"].take();
                    }
                    assert_ne!(frame["type"], "error", "before {kind}: {frame}");
                }
                Some(Event::Closed(why)) => panic!("closed {why:?} before {kind}"),
                Some(_) => {}
                None => panic!("gone before {kind}"),
            }
        }
    }

    /// The reason of the next error, and how the connection ends after it.
    async fn thrown_out(&mut self) -> (Value, Option<u16>) {
        let error = self.until("error").await;
        loop {
            match self.socket.next().await.expect("frames") {
                Some(Event::Closed(why)) => return (error, why.map(|(code, _)| code)),
                Some(_) => {}
                None => return (error, None),
            }
        }
    }
}

#[actix_web::test]
async fn without_a_token_there_is_no_operators_side_and_without_the_right_one_no_way_in() {
    let mut off = config(":memory:");
    off.server.ops_token = None;
    let off = Server::start(off);
    let on = Server::start(config(":memory:"));
    for path in ["stats", "matches", "config", "nothing"] {
        let path = format!("/ops/v1/{path}");
        let (status, body) = off.call(TOKEN, "GET", &path, Value::Null).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")), "{path}");
        for wrong in ["", "correct-horse-battery-stapl", "correct-horse-battery-staple2"] {
            let (status, body) = on.call(wrong, "GET", &path, Value::Null).await;
            assert_eq!((status, &body["error"]["code"]), (401, &json!("unauthenticated")), "{path} {wrong:?}");
        }
    }
    assert_eq!(on.call(TOKEN, "GET", "/ops/v1/nothing", Value::Null).await.0, 404);
    assert_eq!(on.call(TOKEN, "GET", "/ops/v1/announce", Value::Null).await.0, 405);
    let guest = on.player("phone").await;
    assert_eq!(on.call(&guest.token, "GET", "/ops/v1/stats", Value::Null).await.0, 401, "a player is no operator");
    let text = on.look("config").await.to_string();
    assert!(!text.contains(TOKEN), "no secret is shown");
    assert!(text.contains(r#""path":"limits.tickets_max""#), "{text}");

    let mut slow = config(":memory:");
    slow.limits.auths_per_s = 5;
    let slow = Server::start(slow);
    let mut last = 401;
    for _ in 0..40 {
        last = slow.call("guess", "GET", "/ops/v1/stats", Value::Null).await.0;
    }
    assert_eq!(last, 429, "guessing is slow");
    assert_eq!(slow.look("stats").await["matches"], 0, "and does not lock the operator out");
}

#[actix_web::test]
async fn an_operator_runs_a_match_from_its_first_seat_to_its_end() {
    let server = Server::start(config(":memory:"));
    let (mut ada, mut bob) = (server.player("ada").await, server.player("bob").await);
    let sessions = server.look("sessions").await;
    assert_eq!((&sessions["total"], &sessions["sessions"][0]["connected"]), (&json!(2), &json!(true)));

    for (wrong, status, code) in [
        (json!({}), 400, "missing_field"),
        (json!({"mode": "nowhere"}), 400, "matchmaker.unknown_mode"),
        (json!({"mode": "demo", "player": []}), 400, "invalid_field"),
        (json!({"mode": "demo", "players": ["x"]}), 400, "invalid_field"),
        (json!({"mode": "demo", "players": [ada.id, ada.id]}), 409, "matchmaker.party_member_unavailable"),
        (json!({"mode": "demo", "players": [ada.id, bob.id, ada.id]}), 400, "invalid_field"),
    ] {
        assert_eq!(server.refused("matches", wrong.clone()).await, (status, code.into()), "{wrong}");
    }
    let (status, made) = server.deed("matches", json!({"mode": "demo", "players": [ada.id, bob.id]})).await;
    assert_eq!(status, 201, "{made}");
    let id = made["match_id"].as_str().expect("an id").to_owned();
    assert_eq!(ada.until("match.matched").await["match_id"], id);
    bob.until("match.state").await;
    let busy = server.refused("matches", json!({"mode": "demo", "players": [ada.id]})).await;
    assert_eq!(busy, (409, "matchmaker.party_member_unavailable".into()), "one seat at a time");

    let listed = server.look("matches?mode=demo").await;
    assert_eq!((&listed["total"], &listed["matches"][0]["match_id"]), (&json!(1), &json!(id)));
    assert_eq!(server.look("matches?mode=smoke").await["total"], 0);
    let seen = server.look(&format!("matches/{id}")).await;
    assert_eq!((&seen["status"], &seen["player_count"]), (&json!("running"), &json!(2)));
    assert!(
        seen["state"]["players"].get(&ada.id).is_some()
            && ["p50_us", "p99_us", "max_us"].iter().all(|part| seen["lateness"][part].is_u64()),
        "{seen}"
    );

    let (status, faults) =
        server.deed(&format!("matches/{id}/votes"), json!({"method": "coin", "window_ms": -1})).await;
    assert_eq!((status, &faults["error"]["code"]), (422, &json!("vote.invalid")));
    assert!(faults["error"]["details"]["faults"].as_array().is_some_and(|all| all.len() >= 2), "{faults}");
    let vote = json!({"template": "map", "method": "plurality", "window_ms": 60000, "visibility": "hidden",
                      "options": [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]});
    let (status, opened) = server.deed(&format!("matches/{id}/votes"), vote).await;
    assert_eq!(status, 201, "{opened}");
    let vote_id = opened["vote_id"].as_str().expect("an id").to_owned();
    assert_eq!(ada.until("match.vote_start").await["vote_id"], vote_id);
    ada.send(json!({"type": "vote.cast", "cid": 1, "payload": {"vote_id": vote_id, "option_id": "a"}})).await;
    ada.until("vote.cast_ok").await;
    let watched = server.look(&format!("votes/{vote_id}")).await;
    assert_eq!((&watched["state"], &watched["total_votes"]), (&json!("open"), &json!(1)), "{watched}");
    assert_eq!(watched.get("tallies"), None, "hidden is hidden from operators, too");

    assert_eq!(done(server.deed(&format!("matches/{id}/pause"), Value::Null).await), DONE);
    assert_eq!(server.look(&format!("matches/{id}")).await["status"], "paused");
    assert_eq!(server.look(&format!("votes/{vote_id}")).await["state"], "paused", "its votes stand still with it");
    assert_eq!(done(server.deed(&format!("matches/{id}/resume"), Value::Null).await), DONE);
    assert_eq!(server.look(&format!("matches/{id}")).await["status"], "running");

    let grant = |tokens: u32| json!({"match_id": id, "tokens": tokens});
    assert_eq!(done(server.deed(&format!("players/{}/grant_veto", ada.id), grant(2)).await), DONE);
    let seen = server.look(&format!("matches/{id}")).await;
    assert_eq!(seen["players"][0]["veto_tokens"], 2, "{seen}");

    assert_eq!(done(server.deed(&format!("votes/{vote_id}/cancel"), Value::Null).await), DONE);
    assert_eq!(bob.until("match.vote_result").await["status"], "cancelled");
    assert_eq!(server.refused(&format!("votes/{vote_id}/cancel"), Value::Null).await, (409, "vote.closed".into()));
    assert_eq!(server.look(&format!("votes/{vote_id}")).await["status"], "cancelled", "its record");

    assert_eq!(done(server.deed(&format!("matches/{id}/end"), Value::Null).await), DONE);
    assert_eq!(bob.until("match.finished").await["match_id"], id);
    for (path, code) in [("matches/x/end", "match.not_found"), ("votes/none/cancel", "vote.not_found")] {
        assert_eq!(server.refused(path, Value::Null).await, (404, code.into()));
    }

    let trail = server.look("audit?limit=200").await;
    let actions: Vec<_> =
        trail["audit"].as_array().expect("a list").iter().rev().map(|line| line["action"].as_str().unwrap()).collect();
    for action in
        ["match.create", "vote.open", "match.pause", "match.resume", "player.grant_veto", "vote.cancel", "match.end"]
    {
        assert!(actions.contains(&action), "{action} in {actions:?}");
    }
    let newest = &trail["audit"][0];
    assert_eq!((&newest["target"], &newest["details"]["refused"]), (&json!("none"), &json!("vote.not_found")));
    assert_eq!(newest["address"], "127.0.0.1");

    let stats = server.look("stats").await;
    assert!(stats["modes"]["demo"]["ticks"].as_u64().is_some_and(|ticks| ticks > 0), "{stats}");
    assert!(stats["store"]["writes"]["count"].as_u64().is_some_and(|writes| writes > 0), "{stats}");
    let (status, text) = server.call("", "GET", "/metrics", Value::Null).await;
    let text = text.as_str().expect("text");
    assert_eq!(status, 200);
    for line in
        ["# TYPE tessera_ticks_total counter", "tessera_ticks_total{mode=\"demo\"} ", "tessera_votes_opened_total 1"]
    {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains(&ada.id), "no player is a label");
    assert!(server.look("modes").await["modes"]["demo"]["tick_hz"].is_u64());
    assert!(server.look("matchmaker").await["modes"]["demo"]["tickets"].is_array());
}

#[actix_web::test]
async fn a_banned_player_is_out_at_once_and_stays_out_after_a_restart() {
    let folder = std::env::temp_dir().join(format!("tessera-ops-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let data = folder.to_str().expect("a plain path").to_owned();
    let (ada, bob);
    {
        let server = Server::start(config(&data));
        let mut eve = server.player("eve").await;
        let kicked = json!({"reason": "time for bed"});
        assert_eq!(done(server.deed(&format!("players/{}/kick", eve.id), kicked.clone()).await), DONE);
        let (error, code) = eve.thrown_out().await;
        assert_eq!((&error["error"]["code"], code), (&json!("auth.kicked"), Some(1008)));
        assert_eq!(error["error"]["details"], kicked);
        server.player("eve").await;

        let mut player = server.player("ada").await;
        bob = server.player("bob").await.id;
        let ban = json!({"reason": "cheating", "seconds": 3600});
        assert_eq!(done(server.deed(&format!("players/{}/ban", player.id), ban).await), DONE);
        let (error, code) = player.thrown_out().await;
        assert_eq!((&error["error"]["code"], code), (&json!("auth.banned"), Some(1008)));
        assert_eq!(error["error"]["details"]["reason"], "cheating");
        let (status, body) = server.call(&player.token, "GET", "/api/v1/notifications", Value::Null).await;
        assert_eq!((status, &body["error"]["code"]), (403, &json!("auth.banned")), "the token opens nothing");
        ada = player.id;
        let mute = json!({"seconds": 3600, "reason": "loud"});
        assert_eq!(done(server.deed(&format!("players/{bob}/mute"), mute).await), DONE);
        let room = json!({"members": [bob]});
        assert_eq!(done(server.call(TOKEN, "PUT", "/ops/v1/rooms/den", room).await), DONE);
        for (path, body) in [
            ("players/x/ban", json!({"reason": "x"})),
            ("players/00000000-0000-0000-0000-000000000000/ban", json!({"reason": "x"})),
            ("players/00000000-0000-0000-0000-000000000000/unban", Value::Null),
            ("players/00000000-0000-0000-0000-000000000000/kick", Value::Null),
            ("players/00000000-0000-0000-0000-000000000000/mute", json!({"seconds": 1, "reason": "x"})),
        ] {
            assert_eq!(server.refused(path, body).await, (404, "player.not_found".into()), "{path}");
        }
        assert_eq!(server.refused(&format!("players/{bob}/ban"), json!({})).await.0, 400, "a ban needs a reason");
    }
    let server = Server::start(config(&data));
    let (status, body) = server.guest("ada").await;
    assert_eq!((status, &body["error"]["code"]), (403, &json!("auth.banned")), "{body}");
    let mut player = server.player("bob").await;
    assert_eq!(player.id, bob);
    player.send(json!({"type": "chat.join", "payload": {"channel_id": "room:den"}})).await;
    player.until("chat.joined").await;
    player.send(json!({"type": "chat.send", "cid": 1, "payload": {"channel_id": "room:den", "content": "hi"}})).await;
    assert_eq!(player.until("error").await["error"]["code"], "chat.muted", "rooms and mutes are remembered, too");
    assert_eq!(done(server.deed(&format!("players/{ada}/unban"), Value::Null).await), DONE);
    assert_eq!(server.guest("ada").await.0, 200);
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}

#[actix_web::test]
async fn an_operator_keeps_order_in_the_chat() {
    let server = Server::start(config(":memory:"));
    let (mut ada, mut bob) = (server.player("ada").await, server.player("bob").await);
    let join = |channel: &str| json!({"type": "chat.join", "payload": {"channel_id": channel}});
    let say =
        |channel: &str| json!({"type": "chat.send", "cid": 1, "payload": {"channel_id": channel, "content": "hi"}});
    for player in [&mut ada, &mut bob] {
        player.send(join("lobby")).await;
        player.until("chat.joined").await;
    }
    let muted_for = |seconds: u32, channel: Value| json!({"seconds": seconds, "channel_id": channel, "reason": "loud"});
    let mute = format!("players/{}/mute", ada.id);
    let nowhere = server.refused(&mute, muted_for(60, json!("elsewhere"))).await;
    assert_eq!(nowhere, (400, "chat.invalid_channel_id".into()), "there is no such channel to be silent in");
    assert_eq!(done(server.deed(&mute, muted_for(0, json!("elsewhere"))).await), DONE, "what was open once is lifted");
    for (body, silent) in [
        (muted_for(60, json!("room:elsewhere")), false),
        (muted_for(60, json!("lobby")), true),
        (muted_for(0, json!("lobby")), false),
        (muted_for(60, Value::Null), true),
        (muted_for(0, Value::Null), false),
    ] {
        assert_eq!(done(server.deed(&mute, body.clone()).await), DONE);
        ada.send(say("lobby")).await;
        match silent {
            true => {
                let error = ada.until("error").await;
                assert_eq!(error["error"]["code"], "chat.muted", "{body}");
                assert!(error["error"]["details"]["retry_ms"].as_u64().is_some_and(|ms| ms <= 60_000), "{error}");
            }
            false => assert_eq!(ada.until("chat.sent").await["channel_id"], "lobby", "{body}"),
        }
    }

    ada.send(join("room:den")).await;
    assert_eq!(ada.until("error").await["reason"], "not_authorized");
    let members = |who: &[&str]| json!({"members": who});
    assert_eq!(done(server.call(TOKEN, "PUT", "/ops/v1/rooms/den", members(&[&ada.id])).await), DONE);
    ada.send(join("room:den")).await;
    ada.until("chat.joined").await;
    bob.send(join("room:den")).await;
    assert_eq!(bob.until("error").await["reason"], "not_authorized");
    assert_eq!(done(server.call(TOKEN, "PUT", "/ops/v1/rooms/den", members(&[&bob.id])).await), DONE);
    ada.send(say("room:den")).await;
    assert_eq!(ada.until("error").await["reason"], "not_authorized", "no longer a member");
    assert_eq!(server.call(TOKEN, "PUT", "/ops/v1/rooms/a%20b", members(&[])).await.0, 400);
    let crowd = |n: u128| -> Vec<_> { (1..=n).map(|n| PlayerId::from_u128(n).to_string()).collect() };
    let (most, too_many) = (crowd(10_000), crowd(10_001));
    assert_eq!(done(server.call(TOKEN, "PUT", "/ops/v1/rooms/hall", json!({"members": most})).await), DONE);
    let (status, refused) = server.call(TOKEN, "PUT", "/ops/v1/rooms/hall", json!({"members": too_many})).await;
    assert_eq!((status, &refused["error"]["details"]["field"]), (400, &json!("members")), "{refused}");
    let huge = json!({"members": ["x".repeat(1 << 20)]});
    assert_eq!(server.call(TOKEN, "PUT", "/ops/v1/rooms/hall", huge).await.0, 413);

    let line = json!({"content": "restart at nine", "channel_id": "lobby"});
    assert_eq!(done(server.deed("announce", line).await), DONE);
    let heard = bob.until("chat.message").await;
    let heard = if heard["sender_id"] == "server" { heard } else { bob.until("chat.message").await };
    assert_eq!((&heard["sender_id"], &heard["content"]), (&json!("server"), &json!("restart at nine")));
    assert_eq!(done(server.deed("announce", json!({"content": "hello all"})).await), DONE);
    for player in [&mut ada, &mut bob] {
        let note = player.until("notification.new").await;
        assert_eq!((&note["type"], &note["content"]), (&json!("announcement"), &json!("hello all")));
    }
    let (_, kept) = server.call(&ada.token, "GET", "/api/v1/notifications", Value::Null).await;
    assert_eq!(kept["notifications"][0]["content"], "hello all");
    for (field, value) in [("type", "x".repeat(65)), ("subject", "x".repeat(2_001)), ("content", "x".repeat(17_000))] {
        let mut notice = json!({"type": "gift"});
        notice[field] = value.into();
        let (status, body) = server.deed(&format!("players/{}/notify", ada.id), notice).await;
        assert_eq!((status, &body["error"]["details"]["field"]), (400, &json!(field)), "{body}");
    }
    for (body, status, code) in [
        (json!({"content": "x", "channel_id": "nowhere"}), 400, "chat.invalid_channel_id"),
        (json!({"content": "x", "channel_id": "room:none"}), 404, "chat.room_not_found"),
        (json!({"content": ""}), 400, "invalid_field"),
        (json!({"text": "x"}), 400, "invalid_field"),
    ] {
        assert_eq!(server.refused("announce", body.clone()).await, (status, code.into()), "{body}");
    }
}

#[actix_web::test]
async fn tickets_matches_and_messages_over_rest_obey_the_rules_of_the_socket() {
    let mut listed = config(":memory:");
    listed.modes.get_mut("demo").expect("a built-in mode").listed = true;
    let server = Server::start(listed);
    let (mut ada, mut bob) = (server.player("ada").await, server.player("bob").await);
    let add = |mode: &str| json!({"mode": mode});
    let (status, ticket) = server.call(&ada.token, "POST", "/api/v1/matchmaker", add("demo")).await;
    assert_eq!((status, &ticket["status"]), (200, &json!("pending")), "{ticket}");
    let path = format!("/api/v1/matchmaker/{}", ticket["ticket_id"].as_str().expect("an id"));
    let (_, shown) = server.call(&ada.token, "GET", &path, Value::Null).await;
    assert_eq!((&shown["id"], &shown["mode"]), (&ticket["ticket_id"], &json!("demo")), "{shown}");
    for method in ["GET", "DELETE"] {
        assert_eq!(server.call(&bob.token, method, &path, Value::Null).await.0, 403, "somebody else's");
    }
    assert_eq!(server.call(&ada.token, "DELETE", &path, Value::Null).await, (200, json!({"success": true})));
    assert_eq!(server.call(&ada.token, "GET", &path, Value::Null).await.0, 404);
    let (status, body) = server.call(&ada.token, "POST", "/api/v1/matchmaker", add("nowhere")).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("matchmaker.unknown_mode")));
    let (_, offline) = server.guest("carol").await;
    let token = offline["access_token"].as_str().expect("a token");
    let (status, body) = server.call(token, "POST", "/api/v1/matchmaker", add("demo")).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("matchmaker.party_member_unavailable")), "no socket");

    for player in [&ada, &bob] {
        assert_eq!(
            server.call(&player.token, "POST", "/api/v1/matchmaker", Value::Null).await.0,
            200,
            "the default mode"
        );
    }
    let matched = ada.until("match.matched").await;
    bob.until("match.matched").await;
    let (_, live) = server.call(&ada.token, "GET", "/api/v1/matches/live", Value::Null).await;
    let known = live["matches"].as_array().expect("a list").iter().all(|one| one["match_id"] == matched["match_id"]);
    assert!(known, "{live}");
    assert_eq!(server.call(&ada.token, "GET", "/api/v1/matches/live?joinable=maybe", Value::Null).await.0, 400);

    let dm = |to: &str, content: &str| json!({"recipient_id": to, "content": content});
    let (status, sent) = server.call(&ada.token, "POST", "/api/v1/dm", dm(&bob.id, "psst")).await;
    assert_eq!((status, &sent["success"]), (200, &json!(true)), "{sent}");
    let heard = bob.until("dm.message").await;
    assert_eq!((&heard["content"], &heard["message_id"]), (&json!("psst"), &sent["message_id"]));
    for (body, status, code) in [
        (dm(&bob.id, ""), 400, "dm.content_empty"),
        (dm(&bob.id, &"x".repeat(2_001)), 413, "dm.content_too_large"),
        (dm("00000000-0000-0000-0000-000000000000", "x"), 404, "player.not_found"),
        (json!({"content": "x"}), 400, "missing_field"),
    ] {
        let (got, answer) = server.call(&ada.token, "POST", "/api/v1/dm", body).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)));
    }
}
