//! What viewers are shown: states as what changed for those who ask for that, and what an overloaded server does
//! without.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use support::{Client, config, pair, run, server, stranger};
use tessera::client::{Base, request};
use tessera::engine::modes::{Mode, Players};
use tessera::games::catalogue::Catalogue;
use tessera::games::{Audience, Game, GameCx, JoinRefused};
use tessera::ids::PlayerId;
use tessera::server::{Threads, in_background_with};

/// RFC 7396, section 2, word for word.
fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = match target {
        Value::Object(target) => target,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let before = target.remove(name).unwrap_or(Value::Null);
            target.insert(name.clone(), merge(before, value));
        }
    }
    Value::Object(target)
}

/// A client's side of `wire: "delta"`: the last whole state and its number.
#[derive(Default)]
struct Follower {
    whole: Option<(u64, Value)>,
    wholes: u32,
    patches: u32,
}

impl Follower {
    /// The state that a frame shows; none where it stands on one that never came.
    fn hear(&mut self, frame: &Value) -> Option<Value> {
        match (frame["full"].as_u64(), frame["base"].as_u64()) {
            (Some(number), None) => {
                self.wholes += 1;
                self.whole = Some((number, frame["payload"].clone()));
                Some(frame["payload"].clone())
            }
            (None, Some(base)) => {
                let (number, whole) = self.whole.as_ref()?;
                (*number == base).then(|| {
                    self.patches += 1;
                    merge(whole.clone(), &frame["payload"])
                })
            }
            _ => panic!("a state that is neither whole nor a delta: {frame}"),
        }
    }
}

fn tick_of(state: &Value) -> u64 {
    state["tick"].as_u64().unwrap_or_else(|| panic!("a tick in {state}"))
}

/// Listens until both have seen `ticks` of the same ticks; they saw the same states.
async fn see_the_same(plain: &mut Client, lean: &mut Client, follower: &mut Follower, ticks: usize) {
    let mut seen: HashMap<u64, Value> = HashMap::new();
    let mut same = 0;
    while same < ticks {
        let frame = plain.expect("match.state").await;
        assert!(frame["full"].is_null() && frame["base"].is_null(), "the plain wire is as ever: {frame}");
        seen.insert(tick_of(&frame["payload"]), frame["payload"].clone());
        let frame = lean.expect("match.state").await;
        let Some(state) = follower.hear(&frame) else { continue };
        if let Some(whole) = seen.remove(&tick_of(&state)) {
            assert_eq!(state, whole);
            same += 1;
        }
    }
}

#[test]
fn a_client_that_asks_for_deltas_sees_what_everybody_sees() {
    let server = server(|config| {
        let bench = config.modes.get_mut("bench").unwrap();
        bench.state_full_every = 6;
        bench.tick_hz = 30;
        // Something that stays the same in every state.
        bench.game_options.insert("state_bytes".into(), json!(600));
    });
    let base = Base::from(server.addr);
    run(async move {
        let mut lean = Client::with(&base, "lean", json!({"wire": "delta"})).await;
        let mut plain = Client::with(&base, "plain", json!({"wire": "anything"})).await;
        for client in [&mut lean, &mut plain] {
            client.send("matchmaker.add", json!({"mode": "bench"})).await;
            client.expect("matchmaker.queued").await;
        }
        let mut follower = Follower::default();
        see_the_same(&mut plain, &mut lean, &mut follower, 20).await;
        assert!(follower.wholes >= 2 && follower.patches >= 10, "{} and {}", follower.wholes, follower.patches);

        // Whoever lost track asks, and the next state is whole.
        lean.text(r#"{"type":"match.resync","payload":{}}"#).await;
        let wholes = follower.wholes;
        while follower.wholes == wholes {
            let frame = lean.expect("match.state").await;
            follower.hear(&frame);
        }
        see_the_same(&mut plain, &mut lean, &mut follower, 5).await;

        // After a resume nothing stands on what may never have come: a whole state comes first, or nothing is shown.
        let (token, session) = (lean.token.clone(), lean.session.clone());
        drop(lean);
        let mut back = stranger(&base).await;
        let resume = json!({"token": token, "wire": "delta", "resume": {"session_id": session, "received": 0}});
        back.send("session.connect", resume).await;
        let connected = back.expect("session.connected").await;
        assert_eq!((&connected["payload"]["wire"], &connected["payload"]["resumed"]), (&json!("delta"), &json!(true)));
        let mut follower = Follower::default();
        see_the_same(&mut plain, &mut back, &mut follower, 12).await;
        assert!(follower.wholes >= 1 && follower.patches >= 1);

        // And it may go on plainly.
        back.send("session.connect", json!({"token": token, "wire": "json"})).await;
        assert_eq!(back.expect("session.connected").await["payload"]["wire"], "json");
        loop {
            let frame = back.expect("match.state").await;
            if frame["full"].is_null() && frame["base"].is_null() {
                assert!(frame["payload"]["players"].is_object());
                break;
            }
        }
    });
}

#[test]
fn a_resync_is_for_those_who_are_in_a_match() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut client = Client::with(&base, "solo", json!({"wire": "delta"})).await;
        assert_eq!(client.refused("match.resync", json!({})).await, "not_in_match");
    });
}

/// Shows each player their own number, and everybody's tick; takes as long for a tick as it is told.
struct Toll {
    us: Arc<AtomicU64>,
    ticks: u64,
}

impl Game for Toll {
    fn join(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: Option<&RawValue>) -> Result<(), JoinRefused> {
        Ok(())
    }
    fn leave(&mut self, _: &mut GameCx<'_>, _: PlayerId) {}
    fn input(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: &RawValue) {}
    fn tick(&mut self, _: &mut GameCx<'_>) {
        self.ticks += 1;
        std::thread::sleep(std::time::Duration::from_micros(self.us.load(Ordering::Relaxed)));
    }
    fn audience(&self) -> Audience {
        Audience::PerPlayer
    }
    fn view(&mut self, viewer: Option<PlayerId>, out: &mut Vec<u8>) {
        let own = viewer.map(|viewer| viewer.to_string()).unwrap_or_default();
        let pad = "-".repeat(100);
        out.extend_from_slice(json!({"tick": self.ticks, "own": own, "pad": pad}).to_string().as_bytes());
    }
}

/// A server on one match thread whose mode `toll` costs as many microseconds a tick as the answer says.
fn toll_server(change: impl FnOnce(&mut tessera::config::Config)) -> (tessera::server::Background, Arc<AtomicU64>) {
    let us = Arc::new(AtomicU64::new(0));
    let config = config(|config| {
        let players = Players { min: 2, max: 4 };
        let mode = Mode {
            game: "toll".into(),
            tick_hz: 50,
            players,
            create: true,
            quick_play: true,
            spectators: 4,
            ..Mode::default()
        };
        config.modes.insert(
            "toll".into(),
            Mode { matchmaking: tessera::engine::modes::Matchmaking { size: Some(2), ..Default::default() }, ..mode },
        );
        change(config);
    });
    let (built_in, cost) = (Catalogue::default(), us.clone());
    let games = move |mode: &Mode, birth| match mode.game.as_str() {
        "toll" => Ok(Box::new(Toll { us: cost.clone(), ticks: 0 }) as Box<dyn Game>),
        _ => built_in.build(mode, birth),
    };
    let threads = Threads { workers: 1, arbiters: 1 };
    (in_background_with(config, threads, Arc::new(games)).unwrap(), us)
}

#[test]
fn a_view_of_ones_own_comes_as_deltas_too() {
    let (server, _) = toll_server(|config| config.modes.get_mut("toll").unwrap().state_full_every = 5);
    let base = Base::from(server.addr);
    run(async move {
        let mut clients = Vec::new();
        for name in ["ann", "ben"] {
            clients.push(Client::with(&base, name, json!({"wire": "delta"})).await);
        }
        for client in &mut clients {
            client.send("matchmaker.add", json!({"mode": "toll"})).await;
        }
        for client in &mut clients {
            let (mut follower, mut last) = (Follower::default(), 0);
            while follower.patches < 8 || follower.wholes < 2 {
                let frame = client.expect("match.state").await;
                let state = follower.hear(&frame).expect("nothing is lost on a quiet line");
                assert_eq!(state["own"], client.player.as_str());
                assert!(tick_of(&state) > last, "{state} after {last}");
                last = tick_of(&state);
            }
        }
    });
}

#[test]
fn an_overloaded_server_sheds_matches_then_spectators_then_states_and_takes_them_back() {
    // One thread, ticks every 20 ms: three matches of 25 ms each cannot be on time.
    let (server, cost) = toll_server(|config| {
        config.limits.lag_budget_ms = 40;
        config.server.ops_token = Some(tessera::config::Secret::new("an-operator-of-this-test"));
    });
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let mut players = Vec::new();
        for n in 0..6 {
            let mut player = Client::new(&base, &format!("player{n}")).await;
            player.send("matchmaker.add", json!({"mode": "toll"})).await;
            players.push(player);
        }
        let match_id = players[0].expect("match.matched").await["payload"]["match_id"].clone();
        for player in &mut players {
            player.expect("match.state").await;
        }
        let mut watcher = Client::new(&base, "watcher").await;
        watcher.send("match.join", json!({"match_id": match_id, "as": "spectator"})).await;
        watcher.expect("match.joined").await;

        cost.store(25_000, Ordering::Relaxed);
        let lag = players[0].expect_where("server.lag", |lag| lag["shedding"] == json!(["new_matches"])).await;
        assert_eq!(lag["payload"]["lagging"], true);
        assert!(lag["payload"]["lateness_us"].as_u64() > lag["payload"]["budget_us"].as_u64(), "{lag}");
        assert_eq!(lag["payload"]["budget_us"], 40_000);

        // No new matches: said so to who makes one, and who queues keeps the place and is told why.
        let mut late = Client::new(&base, "late").await;
        for kind in ["match.create", "match.find_or_create"] {
            // A seat in a match that runs is no new match.
            let expected = if kind == "match.create" { "busy" } else { "joined" };
            if expected == "busy" {
                late.send(kind, json!({"mode": "toll"})).await;
                let refused = late.expect("error").await;
                assert_eq!((&refused["cid"], &refused["payload"]["reason"]), (&json!(kind), &json!("busy")));
                assert!(refused["payload"]["error"]["details"]["retry_ms"].is_u64(), "{refused}");
            } else {
                late.send(kind, json!({"mode": "toll"})).await;
                late.expect("match.joined").await;
                late.send("match.leave", json!({})).await;
                late.expect("match.left").await;
            }
        }
        late.send("matchmaker.add", json!({"mode": "demo"})).await;
        late.expect("matchmaker.queued").await;
        let mut later = Client::new(&base, "later").await;
        later.send("matchmaker.add", json!({"mode": "demo"})).await;
        later.expect("matchmaker.queued").await;
        let status = late.expect("matchmaker.status").await;
        assert_eq!(status["payload"]["why_not"], "server_busy", "{status}");

        // Then spectators, then every other state; never a vote, never a seat.
        players[0]
            .expect_where("server.lag", |lag| lag["shedding"].as_array().is_some_and(|shed| shed.len() == 3))
            .await;
        let mut onlooker = Client::new(&base, "onlooker").await;
        assert_eq!(onlooker.refused("match.join", json!({"match_id": match_id, "as": "spectator"})).await, "busy");
        let shed = || realm.pressure.states_shed.load(Ordering::Relaxed);
        let before = shed();
        while shed() == before {
            players[1].expect("match.state").await;
        }
        // Fewer of them, and never none.
        watcher.expect("match.state").await;
        let token = [("authorization", "Bearer an-operator-of-this-test")];
        let vote = json!({"template": "on", "method": "plurality", "options": [{"id": "a"}, {"id": "b"}], "window_type": "ready_up"});
        let path = format!("/ops/v1/matches/{}/votes", match_id.as_str().unwrap());
        let opened = request(&base, "POST", &path, &token, Some(&vote.to_string())).await.expect("an answer");
        assert_eq!(opened.status, 201, "{}", opened.body);
        let vote_id = players[0].expect("match.vote_start").await["payload"]["vote_id"].clone();
        for player in &mut players[..2] {
            player.send("vote.cast", json!({"vote_id": vote_id, "option_id": "a"})).await;
        }
        for player in &mut players[..2] {
            player.expect("vote.cast_ok").await;
            assert_eq!(player.expect("match.vote_result").await["payload"]["winner"], "a");
        }
        // An operator's match is opened all the same.
        let made =
            request(&base, "POST", "/ops/v1/matches", &token, Some(r#"{"mode":"toll"}"#)).await.expect("an answer");
        assert_eq!(made.status, 201, "{}", made.body);
        let stats = request(&base, "GET", "/ops/v1/stats", &token, None).await.expect("an answer");
        let stats: Value = serde_json::from_str(&stats.body).unwrap();
        assert_eq!(stats["load"]["lagging"], true, "{stats}");

        // Calm again: it is all taken back, whoever queued is matched, and everybody is told that it is over.
        cost.store(0, Ordering::Relaxed);
        players[0].expect_where("server.lag", |lag| lag["lagging"] == json!(false)).await;
        late.expect("match.matched").await;
        later.expect("match.matched").await;
        onlooker.send("match.join", json!({"match_id": match_id, "as": "spectator"})).await;
        onlooker.expect("match.joined").await;
    });
}

#[test]
fn a_full_server_takes_back_whoever_was_there_and_nobody_else() {
    let server = server(|config| config.limits.players_max = 2);
    let base = Base::from(server.addr);
    run(async move {
        let (ann, mut ben, _) = pair(&base, "bench").await;
        let token = support::guest(&base, "one-too-many").await;
        let mut third = stranger(&base).await;
        assert_eq!(third.refused("session.connect", json!({"token": token})).await, "capacity_reached");
        // The socket stays open for another try, and whoever has a session comes back to it.
        let (token, session) = (ann.token.clone(), ann.session.clone());
        drop(ann);
        ben.expect("match.player_disconnected").await;
        let resume = json!({"token": token, "resume": {"session_id": session, "received": 0}});
        third.send("session.connect", resume).await;
        assert_eq!(third.expect("session.connected").await["payload"]["resumed"], true);
    });
}
