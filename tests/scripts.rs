//! Scripted games over real sockets: what an author saves while matches are played, what they are told, and what
//! their script's calls come to for players.

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use support::{Client, pair, run, server};
use tessera::client::{Base, request};
use tessera::config::{Reload, Secret};
use tessera::engine::modes::{Players, Private};
use tessera::server::Background;

const OPS_TOKEN: &str = "correct-horse-battery-staple";

/// A games folder for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn of(match_lua: &str) -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let n = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tessera-scripts-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.save("match.lua", match_lua);
        folder
    }

    fn save(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // As careful editors do: nobody ever sees half a file.
        let half = self.0.join(".saving");
        std::fs::write(&half, text).unwrap();
        std::fs::rename(half, path).unwrap();
    }

    fn serve(&self, change: impl FnOnce(&mut tessera::config::Config)) -> Background {
        server(|config| {
            config.server.games = self.0.display().to_string();
            config.server.ops_token = Some(Secret::new(OPS_TOKEN));
            change(config);
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn look(base: &Base, path: &str) -> Value {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let answer = request(base, "GET", &format!("/ops/v1/{path}"), &[("Authorization", &bearer)], None).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

fn counter(globals: &str, step: &str) -> String {
    format!(
        "match_size = 2 state_strategy = 'shared' tick_hz = 50 {globals}
         function init() return {{ n = 0 }} end
         function tick(state) state.n = state.n + {step} return state end"
    )
}

#[test]
fn a_saved_script_reaches_running_matches_and_a_bad_one_reaches_nobody() {
    let folder = Folder::of(&counter("", "1"));
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, _b, _) = pair(&base, "default").await;
        a.expect_where("match.state", |state| state["n"] == 3).await;
        // A step that no count of the old one reaches, on the state that is there.
        folder.save("match.lua", &counter("max_players = 3", "0.25"));
        let at = a.expect_where("match.state", |state| state["n"].as_f64().unwrap().fract() != 0.0).await;
        assert!(at["payload"]["n"].as_f64().unwrap() > 3.0, "the state was kept: {at}");
        folder.save("match.lua", "function tick(state) return");
        folder.save("match.lua", "function tick(state) state.n = 'broken' error('at load') end error('no')");
        let n = at["payload"]["n"].as_f64().unwrap();
        a.expect_where("match.state", |state| state["n"].as_f64().is_some_and(|now| now > n + 10.0)).await;
        // A match that begins now takes three, as the last good file says, and plays it.
        let mut later = Vec::new();
        for name in ["carol", "dave"] {
            let mut client = Client::new(&base, name).await;
            client.send("matchmaker.add", json!({"mode": "default"})).await;
            later.push(client);
        }
        let matched = later[0].expect("match.matched").await;
        let card = look(&base, "matches").await;
        let card = card["matches"].as_array().unwrap().iter().find(|m| m["match_id"] == matched["payload"]["match_id"]);
        assert_eq!(card.unwrap()["max_players"], 3, "{card:?}");
        later[0].expect_where("match.state", |state| state["n"].as_f64().is_some_and(|n| n.fract() == 0.25)).await;
    });
}

/// It passes the look that the server takes at it as it starts.
#[test]
fn a_game_that_cannot_be_made_is_told_as_that_whatever_way_one_asks() {
    let folder = Folder::of(
        "quick_play = true
         function init(config)
           if not config.match_id:find('^01907a31%-5c00%-7000%-') then error('no luck') end
           return {}
         end",
    );
    let server = folder.serve(|config| {
        let mode = config.modes.entry("default".into()).or_default();
        (mode.game, mode.create, mode.quick_play) = ("lua:match.lua".into(), true, true);
        mode.matchmaking.size = Some(1);
        mode.players = Players { min: 1, max: 2 };
    });
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        for kind in ["match.find_or_create", "match.create"] {
            assert_eq!(a.refused(kind, json!({"mode": "default"})).await, "game_unavailable", "{kind}");
        }
        a.send("matchmaker.add", json!({"mode": "default"})).await;
        assert_eq!(a.expect("match.matchmaker_failed").await["payload"]["reason"], "game_unavailable");
    });
}

#[test]
fn nothing_is_reloaded_where_that_is_off() {
    let folder = Folder::of(&counter("", "1"));
    let server = folder.serve(|config| config.server.reload = Reload::Off);
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, _b, _) = pair(&base, "default").await;
        a.expect("match.state").await;
        folder.save("match.lua", &counter("", "0.25"));
        // Two seconds of ticks: forty times what a watched folder takes to be noticed.
        let last = a.expect_where("match.state", |state| state["n"].as_f64().unwrap() >= 100.0).await;
        assert_eq!(last["payload"]["n"].as_f64().unwrap().fract(), 0.0);
    });
}

const FAILS: &str = "match_size = 2
state_strategy = 'shared'
function init() return { n = 0 } end
function handle_input(id, input, state)
  state.n = state.n + input.by
  return state
end
function get_state(state) return state end";

#[test]
fn a_script_that_fails_tells_operators_always_and_players_only_in_development() {
    for dev_errors in [true, false] {
        let folder = Folder::of(FAILS);
        let server = folder.serve(|config| config.server.dev_errors = dev_errors);
        let base = Base::from(server.addr);
        run(async move {
            let (mut a, mut b, match_id) = pair(&base, "default").await;
            a.text(r#"{"type":"match.input","payload":{}}"#).await;
            b.text(r#"{"type":"match.input","payload":{"by":2}}"#).await;
            b.expect_where("match.state", |state| state["n"] == 2).await;
            let told = a.heard_of("module.error").await;
            let error = json!({
                "module": "lua", "callback": "handle_input", "script": "match.lua", "line": 5,
                "message": "attempt to perform arithmetic on a nil value (field 'by')",
            });
            assert_eq!(told.first().map(|frame| &frame["payload"]), dev_errors.then_some(&error), "{told:?}");
            assert!(b.heard_of("module.error").await.is_empty(), "it was not theirs");
            let seen = look(&base, &format!("matches/{match_id}")).await;
            let fault = &seen["script_faults"][0];
            assert_eq!(
                (&fault["callback"], &fault["file"], &fault["line"]),
                (&json!("handle_input"), &json!("match.lua"), &json!(5))
            );
            assert!(fault["traceback"].as_str().unwrap().contains("match.lua:5: in function"), "{fault}");
        });
    }
}

#[test]
fn what_a_script_asks_for_reaches_players() {
    let folder = Folder::of(
        r#"
        match_size = 2
        max_players = 3
        listed = true
        function init() return { players = {} } end
        function join(id, state)
          if state.quiet then return nil, state.quiet end
          state.players[id] = true
          return state
        end
        function leave(id, state) state.players[id] = nil return state end
        function handle_input(id, input, state)
          local other
          for p in pairs(state.players) do if p ~= id then other = p end end
          if input.say then game.broadcast("boom", { by = id }) game.send(other, { secret = 7 }) end
          if input.gift then game.notify(id, "gift", "For you", { gold = 5 }) end
          if input.chat then game.chat.send("lobby", id, "the game is on") end
          if input.store then game.storage.player_set(id, "box", "gold", { n = input.store }) end
          if input.door ~= nil then state.door = input.door game.match.set_joinable(input.door) end
          if input.quiet ~= nil then state.quiet = input.quiet end
          if input.kick then game.match.kick(other, "asleep") end
          if input.vote then game.vote.open({ template = "map", options = { "a", "b" }, window_ms = 30000 }) end
          if input.cancel then game.vote.cancel(game.vote.list()[1].vote_id) end
          if input.finish then game.match.finish({ winner = id }) end
          return state
        end
        function get_state(id, state)
          local box = game.storage.player_get(id, "box", "gold")
          return { gold = box.ok and box.ok.n, why = box.error, door = state.door, quiet = state.quiet }
        end
        "#,
    );
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, match_id) = pair(&base, "default").await;
        a.expect_where("match.state", |state| state["why"] == "not_found").await;
        a.send("chat.join", json!({"channel_id": "lobby"})).await;
        a.expect("chat.joined").await;
        a.text(r#"{"type":"match.input","payload":{"say":1,"gift":1,"chat":1,"store":30}}"#).await;
        assert_eq!(b.expect("match.boom").await["payload"], json!({"by": a.player}));
        assert_eq!(b.expect("module.message").await["payload"], json!({"module": "lua", "message": {"secret": 7}}));
        assert!(a.heard_of("module.message").await.is_empty());
        let gift = a.expect("notification.new").await;
        assert_eq!(
            (&gift["payload"]["subject"], &gift["payload"]["content"]),
            (&json!("For you"), &json!({"gold": 5}))
        );
        let line = a.expect("chat.message").await;
        assert_eq!(
            (&line["payload"]["sender_id"], &line["payload"]["content"]),
            (&json!("server"), &json!("the game is on"))
        );
        a.expect_where("match.state", |state| state["gold"] == 30).await;

        a.text(r#"{"type":"match.input","payload":{"vote":1}}"#).await;
        let vote = b.expect("match.vote_start").await["payload"]["vote_id"].clone();
        a.text(r#"{"type":"match.input","payload":{"cancel":1}}"#).await;
        let called_off = b.expect("match.vote_result").await;
        assert_eq!((&called_off["payload"]["vote_id"], &called_off["payload"]["status"]), (&vote, &json!("cancelled")));

        let mut c = Client::new(&base, "carol").await;
        let join = json!({"match_id": match_id});
        a.text(r#"{"type":"match.input","payload":{"door":false}}"#).await;
        a.expect_where("match.state", |state| state["door"] == false).await;
        assert_eq!(c.refused("match.join", join.clone()).await, "match_locked");
        a.text(r#"{"type":"match.input","payload":{"door":true}}"#).await;
        a.text(r#"{"type":"match.input","payload":{"kick":1}}"#).await;
        assert_eq!(b.expect("match.kicked").await["payload"]["reason"], "asleep");
        a.text(r#"{"type":"match.input","payload":{"quiet":"wir sind m\u00fcde"}}"#).await;
        a.expect_where("match.state", |state| state["quiet"] == "wir sind m\u{fc}de").await;
        c.send("match.join", join.clone()).await;
        let refused = c.expect("error").await;
        assert_eq!(refused["payload"]["error"]["details"]["refused_reason"], "wir sind m\u{fc}de");
        a.text(r#"{"type":"match.input","payload":{"quiet":"\u0007"}}"#).await;
        a.expect_where("match.state", |state| state["quiet"] == "\u{7}").await;
        c.send("match.join", join.clone()).await;
        let refused = &c.expect("error").await["payload"];
        assert_eq!((&refused["reason"], &refused["error"]["details"]), (&json!("join_refused"), &json!({})));
        assert_eq!(
            refused["error"]["message"], "The game refused this join and gave no reason that can be passed on",
            "nobody is sent to look at details that are not there"
        );
        a.text(r#"{"type":"match.input","payload":{"quiet":false}}"#).await;
        a.expect_where("match.state", |state| state["quiet"] == false).await;
        c.send("match.join", join).await;
        c.expect("match.joined").await;
        a.text(r#"{"type":"match.input","payload":{"finish":1}}"#).await;
        assert_eq!(c.expect("match.finished").await["payload"]["result"], json!({"winner": a.player}));

        // What was stored is there in the next match.
        for client in [&mut a, &mut c] {
            client.send("matchmaker.add", json!({"mode": "default"})).await;
        }
        a.expect("match.matched").await;
        a.expect_where("match.state", |state| state["gold"] == 30).await;
        c.expect_where("match.state", |state| state["why"] == "not_found").await;
    });
}

#[test]
fn the_door_of_a_private_match_is_its_code_whatever_its_game_asks_for() {
    let folder = Folder::of(
        "max_players = 3
         state_strategy = 'shared'
         function init() return { asked = false } end
         function handle_input(id, input, state)
           game.match.backfill(2)
           state.asked = true
           return state
         end",
    );
    let server = folder.serve(|config| {
        let mode = config.modes.get_mut("default").unwrap();
        mode.create = true;
        mode.private = Private::Allowed;
        mode.players = Players { min: 1, max: 3 };
        mode.matchmaking.size = Some(2);
        mode.matchmaking.backfill = true;
    });
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        a.send("match.create", json!({"mode": "default", "private": true})).await;
        let joined = a.expect("match.joined").await["payload"].clone();
        let mut stranger = Client::new(&base, "carol").await;
        stranger.send("matchmaker.add", json!({"mode": "default"})).await;
        stranger.expect("matchmaker.queued").await;
        a.text(r#"{"type":"match.input","payload":{}}"#).await;
        a.expect_where("match.state", |state| state["asked"] == true).await;
        // As somebody types it who was told it.
        let code = format!(" {} ", joined["join_code"].as_str().unwrap().to_lowercase());
        let mut b = Client::new(&base, "bob").await;
        b.send("match.join", json!({"join_code": code})).await;
        assert_eq!(b.expect("match.joined").await["payload"]["match_id"], joined["match_id"]);
        assert!(stranger.heard_of("match.matched").await.is_empty(), "there were two free seats");
    });
}

const WITH_BOTS: &str = r#"
match_size = 2
max_players = 5
bots = { script = "bots/idler.lua" }
function init() return { steps = {} } end
function join(id, state) state.steps[id] = 0 return state end
function leave(id, state) state.steps[id] = nil return state end
function handle_input(id, input, state)
  if input.step then state.steps[id] = state.steps[id] + 1 end
  if input.add then game.bots.add(input.add) end
  if input.remove then game.bots.remove(input.remove) end
  if input.vote then game.vote.open({ template = "map", options = { "a", "b" }, window_type = "ready_up", window_ms = 60000 }) end
  return state
end
"#;

/// A match begins with two, and its game may ask for as many as have a place.
#[test]
fn a_game_may_ask_the_queue_for_more_than_it_began_with() {
    let folder = Folder::of(
        "match_size = 2 max_players = 4
         function handle_input(id, input, state) game.match.backfill(input.want) return state end",
    );
    let server = folder.serve(|config| {
        let mode = config.modes.entry("default".into()).or_default();
        mode.game = "lua:match.lua".into();
        mode.players = Players { min: 2, max: 4 };
        (mode.matchmaking.size, mode.matchmaking.backfill) = (Some(2), true);
    });
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, _b, match_id) = pair(&base, "default").await;
        a.send("match.input", json!({"want": 2})).await;
        for name in ["carol", "dave"] {
            let mut client = Client::new(&base, name).await;
            client.send("matchmaker.add", json!({"mode": "default"})).await;
            assert_eq!(client.expect("match.matched").await["payload"]["match_id"], match_id.as_str(), "{name}");
        }
    });
}

#[test]
fn bots_bring_a_match_to_min_players() {
    let folder = Folder::of(&WITH_BOTS.replace("bots/idler.lua\"", "bots/idler.lua\", min_players = 4"));
    folder.save("bots/idler.lua", "names = { 'Spark', 'Blitz' } function think(id, state) return { step = true } end");
    let server = folder.serve(|config| config.modes.get_mut("default").unwrap().matchmaking.bots_after_s = 1);
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        a.send("matchmaker.add", json!({"mode": "default"})).await;
        for (name, count) in [("Spark", 2), ("Blitz", 3)] {
            let bot = a.expect("match.player_joined").await["payload"].clone();
            assert_eq!((&bot["name"], &bot["player_count"]), (&json!(name), &json!(count)));
        }
        assert_eq!(a.expect("match.player_joined").await["payload"]["player_count"], 4);
        a.expect_where("match.state", |state| state["steps"].as_object().is_some_and(|steps| steps.len() == 4)).await;
    });
}

#[test]
fn bots_fill_a_group_play_are_known_as_bots_and_hold_up_no_vote() {
    let folder = Folder::of(WITH_BOTS);
    folder.save("bots/idler.lua", "names = { 'Spark', 'Blitz' } function think(id, state) return { step = true } end");
    let server = folder.serve(|config| {
        let mode = config.modes.get_mut("default").unwrap();
        mode.matchmaking.bots_after_s = 1;
    });
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        a.send("matchmaker.add", json!({"mode": "default"})).await;
        let matched = a.expect("match.matched").await;
        let match_id = matched["payload"]["match_id"].clone();
        let spark = a.expect("match.player_joined").await["payload"].clone();
        assert_eq!((&spark["bot"], &spark["name"], &spark["player_count"]), (&json!(true), &json!("Spark"), &json!(2)));
        let id = spark["player_id"].as_str().unwrap().to_owned();
        a.expect_where("match.state", |state| state["steps"][&id].as_u64() > Some(2)).await;
        // Another by the script's own wish, under a name that is taken by nobody.
        a.text(r#"{"type":"match.input","payload":{"add":"Rusty"}}"#).await;
        let rusty = a.expect("match.player_joined").await["payload"].clone();
        assert_eq!((&rusty["bot"], &rusty["name"]), (&json!(true), &json!("Rusty")));
        // Whoever comes later sees who is a bot, and so do operators.
        let mut b = Client::new(&base, "bob").await;
        b.send("match.join", json!({"match_id": match_id})).await;
        let joined = b.expect("match.joined").await["payload"].clone();
        assert_eq!(joined["bots"], json!([spark["player_id"], rusty["player_id"]]));
        assert_eq!(joined["players"].as_array().unwrap().len(), 4);
        assert!(a.expect("match.player_joined").await["payload"]["bot"].is_null(), "people are not bots");
        let seen = look(&base, &format!("matches/{}", match_id.as_str().unwrap())).await;
        let names: Vec<_> = seen["players"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
        assert_eq!(names, [Value::Null, json!("Spark"), json!("Rusty"), Value::Null]);
        // The vote asks the two people, and is over when both have voted.
        a.text(r#"{"type":"match.input","payload":{"vote":true}}"#).await;
        let vote = b.expect("match.vote_start").await["payload"].clone();
        assert_eq!(vote["eligible_count"], 2);
        for client in [&mut a, &mut b] {
            client.send("vote.cast", json!({"vote_id": vote["vote_id"], "option_id": "b"})).await;
        }
        let result = a.expect("match.vote_result").await["payload"].clone();
        assert_eq!((&result["winner"], &result["turnout"]), (&json!("b"), &json!(1.0)));
        // By name or by id, and nobody minds one that is not there.
        a.text(r#"{"type":"match.input","payload":{"remove":"nobody"}}"#).await;
        a.text(r#"{"type":"match.input","payload":{"remove":"Rusty"}}"#).await;
        assert_eq!(b.expect("match.player_left").await["payload"]["player_id"], rusty["player_id"]);
        a.text(&json!({"type": "match.input", "payload": {"remove": id}}).to_string()).await;
        assert_eq!(b.expect("match.player_left").await["payload"]["player_id"], spark["player_id"]);
        b.expect_where("match.state", |state| state["steps"].as_object().unwrap().len() == 2).await;
    });
}

#[test]
fn a_hostile_script_ends_and_its_neighbours_play_on() {
    let folder = Folder::of(&counter("", "1"));
    folder.save("config.lua", "return { good = 'match.lua', bad = 'bad.lua' }");
    folder.save(
        "bad.lua",
        "match_size = 2 function tick(s) while true do pcall(function() while true do end end) end end",
    );
    let config = support::config(|config| config.server.games = folder.0.display().to_string());
    let threads = tessera::server::Threads { workers: 1, arbiters: 1 };
    let server = tessera::server::in_background(config, threads, None).unwrap();
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b) = (Client::new(&base, "alice").await, Client::new(&base, "bob").await);
        let (mut c, mut d) = (Client::new(&base, "carol").await, Client::new(&base, "dave").await);
        for client in [&mut a, &mut b] {
            client.send("matchmaker.add", json!({"mode": "good"})).await;
        }
        let before = a.expect("match.state").await["payload"]["n"].as_u64().unwrap();
        for client in [&mut c, &mut d] {
            client.send("matchmaker.add", json!({"mode": "bad"})).await;
        }
        let finished = c.expect("match.finished").await["payload"]["result"].clone();
        assert_eq!(finished, json!({"status": "script_failed", "callback": "tick"}));
        d.expect("match.finished").await;
        a.expect_where("match.state", |state| state["n"].as_u64() > Some(before + 50)).await;
        c.send("matchmaker.add", json!({"mode": "good"})).await;
        c.expect("matchmaker.queued").await;
    });
}

#[test]
fn a_game_decides_whether_guests_are_let_in_unless_the_configuration_does() {
    for (globals, configured, status) in [
        ("", None, 200),
        ("guest_auth = false", None, 403),
        ("guest_auth = false", Some(true), 200),
        ("", Some(false), 403),
    ] {
        let folder = Folder::of(&counter(globals, "1"));
        let server = folder.serve(|config| config.server.guests = configured);
        let base = Base::from(server.addr);
        run(async move {
            let body = json!({"device_id": "device-of-zoe", "device_secret": format!("{:0>44}", "zoe")}).to_string();
            let answer = request(&base, "POST", "/api/v1/auth/guest", &[], Some(&body)).await.unwrap();
            assert_eq!(answer.status, status, "{globals:?} {configured:?}: {}", answer.body);
            assert_eq!(answer.body.contains("guest.disabled"), status == 403);
        });
    }
}

#[test]
fn every_bad_save_is_told_by_the_matches_that_play_on() {
    let good = |step: &str| counter("", step);
    let folder = Folder::of(&good("1"));
    folder.save("lib/util.lua", "return 1");
    let server = folder.serve(|config| config.server.dev_errors = true);
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, _b, match_id) = pair(&base, "default").await;
        a.expect("match.state").await;
        let saves: [(&str, &str, String, &str, Value); 5] = [
            ("match.lua", "a syntax error", "function tick(state)\n  return = 1\nend".into(), "near '='", json!(2)),
            ("match.lua", "one right after it", good("1") + "\nerror('boom at load')", "boom at load", json!(4)),
            ("match.lua", "needs a module", format!("require('lib.util') {}", good("0.5")), "", Value::Null),
            ("lib/util.lua", "which is broken", "return = 1".into(), "near '='", json!(1)),
            ("match.lua", "a wrong global", counter("max_players = 'many'", "0.25"), "max_players: expected", json!(1)),
        ];
        for (file, what, text, said, line) in saves {
            folder.save(file, &text);
            if said.is_empty() {
                a.expect_where("match.state", |state| state["n"].as_f64().is_some_and(|n| n.fract() == 0.5)).await;
                continue;
            }
            let error = a.expect("module.error").await["payload"].clone();
            assert!(error["message"].as_str().unwrap().contains(said), "{what}: {error}");
            assert_eq!((&error["script"], &error["callback"], &error["line"]), (&json!(file), &json!("reload"), &line));
            let seen = look(&base, &format!("matches/{match_id}")).await;
            let newest = seen["script_faults"].as_array().and_then(|faults| faults.last()).cloned();
            assert!(newest.is_some_and(|fault| fault["message"] == error["message"]), "{what}: {seen}");
        }
        // The last one was no refusal: it plays.
        a.expect_where("match.state", |state| state["n"].as_f64().is_some_and(|n| n.fract() == 0.25)).await;
    });
}

#[test]
fn a_vote_that_is_refused_is_told_like_any_other_fault() {
    let folder = Folder::of(
        "match_size = 2 tick_hz = 50
         function tick(state)
           state.n = (state.n or 0) + 1
           if not state.asked then
             state.asked = game.vote.open({ template = 'gone', options = { 'a' }, method = 'luck' }).error or 'opened'
           end
           return state
         end
         function vote_requested(state) return { template = 't', options = { 'a', 'b' }, method = 'luck' } end
         function get_state(id, state) return state end",
    );
    let server = folder.serve(|config| config.server.dev_errors = true);
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, _b, match_id) = pair(&base, "default").await;
        let asked = a.expect_where("match.state", |state| state["asked"].is_string()).await;
        assert!(asked["payload"]["asked"].as_str().unwrap().contains("method"), "{asked}");
        let mut told = Vec::new();
        for _ in 0..2 {
            told.push(a.expect("module.error").await["payload"].clone());
        }
        told.sort_by_key(|error| error["callback"].to_string());
        let places: Vec<_> = told.iter().map(|error| (error["callback"].clone(), error["line"].clone())).collect();
        assert_eq!(places, [(json!("game.vote.open"), json!(5)), (json!("vote_requested"), json!(9))]);
        assert!(told.iter().all(|error| error["message"].as_str().unwrap().contains("method")), "{told:?}");
        // Fifty ticks a second ask again: told three times in ten seconds, not fifty times in one.
        a.expect_where("match.state", |state| state["n"].as_u64() > Some(60)).await;
        let seen = look(&base, &format!("matches/{match_id}")).await;
        assert_eq!(seen["script_faults"].as_array().unwrap().len(), 4, "{seen}");
    });
}

#[test]
fn a_line_that_is_not_said_is_told_like_any_other_fault() {
    let folder = Folder::of(
        "match_size = 2 tick_hz = 50
         function tick(state)
           if state.asked then return state end
           state.asked = {
             game.chat.send('nowhere', 'x', 'hello') == true,
             game.chat.send('room:none', 'x', 'hello') == true,
             game.chat.send('match:00000000-0000-7000-8000-000000000001', 'x', 'hello') == true,
             game.chat.send('match:' .. game.match.id(), 'x', 'welcome') == true,
           }
           state.wrong = game.chat.send('lobby', 'x', 'bad\u{202e}').error
           return state
         end
         function get_state(id, state) return state end",
    );
    let server = folder.serve(|config| config.server.dev_errors = true);
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, _b, match_id) = pair(&base, "default").await;
        let asked = a.expect_where("match.state", |state| state["asked"].is_array()).await;
        assert_eq!(asked["payload"]["asked"], json!([true, true, true, true]), "only the match finds out");
        assert!(asked["payload"]["wrong"].as_str().unwrap().contains("U+202E"), "{asked}");
        for (line, said) in [(5, "open one"), (6, "rooms/:name"), (7, "may have ended")] {
            let error = a.expect("module.error").await["payload"].clone();
            assert_eq!((&error["callback"], &error["line"]), (&json!("game.chat.send"), &json!(line)), "{error}");
            assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        }
        let seen = look(&base, &format!("matches/{match_id}")).await;
        assert_eq!(seen["script_faults"].as_array().unwrap().len(), 3, "{seen}");
        // What was said before anybody listened is there for who comes.
        a.send("chat.join", json!({"channel_id": format!("match:{match_id}")})).await;
        let joined = a.expect("chat.joined").await["payload"].clone();
        assert_eq!(joined["history"][0]["content"], "welcome", "{joined}");
    });
}

#[test]
fn a_long_match_that_closes_its_votes_never_runs_out_of_them() {
    let folder = Folder::of(
        "match_size = 2 tick_hz = 40 state_strategy = 'shared'
         function init() return { opened = 0, refused = 0 } end
         function tick(state)
           local open = game.vote.list()
           for i = 1, #open do game.vote.cancel(open[i].vote_id) end
           for i = #open + 1, 40 do
             local r = game.vote.open({ template = 't' .. i, options = { 'a', 'b' } })
             if type(r) == 'table' then state.refused = state.refused + 1 else state.opened = state.opened + 1 end
           end
           return state
         end
         function get_state(state) return state end",
    );
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, _b, match_id) = pair(&base, "default").await;
        let at = a.expect_where("match.state", |state| state["opened"].as_u64() > Some(1_500)).await;
        assert!(at["payload"]["refused"].as_u64() > Some(0), "eight of forty at once: {at}");
        let seen = look(&base, &format!("matches/{match_id}")).await;
        assert!(seen["votes"].as_array().unwrap().len() <= 32, "{seen}");
    });
}

/// What the end of a match says is stored, and so must be told: the doors of its channel close behind it.
#[test]
fn what_a_game_says_last_reaches_everybody_in_its_channel() {
    let folder = Folder::of(
        r#"
        match_size = 2
        state_strategy = "shared"
        function init() return {} end
        function handle_input(id, input, state)
          game.chat.send("match:" .. game.match.id(), id, "well played")
          game.match.finish({})
          return state
        end
        "#,
    );
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, mut match_id) = pair(&base, "default").await;
        for round in 0..10 {
            for client in [&mut a, &mut b] {
                client.send("chat.join", json!({"channel_id": format!("match:{match_id}")})).await;
                client.expect("chat.joined").await;
            }
            a.text(r#"{"type":"match.input","payload":{}}"#).await;
            for client in [&mut a, &mut b] {
                assert_eq!(client.expect("chat.message").await["payload"]["content"], "well played", "round {round}");
                client.expect("match.finished").await;
            }
            for client in [&mut a, &mut b] {
                client.send("matchmaker.add", json!({"mode": "default"})).await;
            }
            match_id = a.expect("match.matched").await["payload"]["match_id"].as_str().unwrap().to_owned();
            b.expect("match.matched").await;
        }
    });
}

/// Joins a room that is on its way through the store, and is in no other that is left meanwhile.
async fn come_in(client: &mut Client, room: &Value) {
    for _ in 0..200 {
        client.send("chat.join", room.clone()).await;
        loop {
            match client.next().await.unwrap()["type"].as_str().unwrap() {
                "chat.joined" => return,
                "error" => break,
                heard => assert_ne!(heard, "chat.left"),
            }
        }
    }
    panic!("never let in to {room}");
}

#[test]
fn a_game_says_who_belongs_to_a_room() {
    let folder = Folder::of(
        r#"
        match_size = 2
        state_strategy = "shared"
        function init() return { players = {} } end
        function join(id, state) table.insert(state.players, id) return state end
        function handle_input(id, input, state)
          local everybody = input.all and state.players or { id }
          if input.twice then game.chat.set_room("reds", {}) end
          local r = game.chat.set_room("reds", everybody)
          if input.twice then game.chat.set_room("blues", everybody) end
          game.broadcast("set", { ok = r.ok, error = r.error })
          return state
        end
        "#,
    );
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, _) = pair(&base, "default").await;
        let room = json!({"channel_id": "room:reds"});
        assert_eq!(a.refused("chat.join", room.clone()).await, "not_authorized");
        a.text(r#"{"type":"match.input","payload":{"all":true}}"#).await;
        assert_eq!(b.expect("match.set").await["payload"], json!({"ok": true}));
        come_in(&mut b, &room).await;
        // Shown out and let in again in one tick: nobody is told of it, and they stay.
        a.text(r#"{"type":"match.input","payload":{"all":true,"twice":true}}"#).await;
        assert_eq!(b.expect("match.set").await["payload"], json!({"ok": true}));
        come_in(&mut b, &json!({"channel_id": "room:blues"})).await;
        b.send("chat.send", json!({"channel_id": "room:reds", "content": "still here"})).await;
        assert_eq!(b.expect("chat.sent").await["payload"]["channel_id"], "room:reds");
        a.text(r#"{"type":"match.input","payload":{"all":false}}"#).await;
        assert_eq!(b.expect("chat.left").await["payload"], room, "no longer named");
        a.send("chat.join", room.clone()).await;
        a.expect("chat.joined").await;
    });
}

#[test]
fn the_queue_gathers_by_what_was_saved_last() {
    let folder = Folder::of(&counter("", "1"));
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        a.send("matchmaker.add", json!({"mode": "default"})).await;
        assert_eq!(a.expect("matchmaker.queued").await["payload"]["players_needed"], 1);
        // Who waits is gathered by the new rules too, and plays by them.
        folder.save("match.lua", &counter("", "0.25").replace("match_size = 2", "match_size = 1"));
        a.expect("match.matched").await;
        a.expect_where("match.state", |state| state["n"].as_f64().is_some_and(|n| n.fract() == 0.25)).await;
        // And the other way round: one alone is not enough any more.
        folder.save("match.lua", &counter("", "1").replace("match_size = 2", "match_size = 3"));
        a.expect_where("match.state", |state| state["n"].as_f64().is_some_and(|n| n > 50.0)).await;
        let mut others = Vec::new();
        for (name, needed) in [("bob", 2), ("carol", 1), ("dave", 0)] {
            let mut client = Client::new(&base, name).await;
            client.send("matchmaker.add", json!({"mode": "default"})).await;
            assert_eq!(client.expect("matchmaker.queued").await["payload"]["players_needed"], needed, "{name}");
            others.push(client);
        }
        for client in &mut others {
            assert_eq!(client.expect("match.matched").await["payload"]["players"].as_array().unwrap().len(), 3);
        }
    });
}

#[test]
fn the_manifest_is_followed_while_the_server_runs() {
    let folder = Folder::of(&counter("", "1"));
    folder.save("config.lua", "return { default = 'match.lua' }");
    folder.save("second.lua", &counter("", "0.25"));
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, _) = pair(&base, "default").await;
        a.expect("match.state").await;
        assert_eq!(a.refused("matchmaker.add", json!({"mode": "more"})).await, "unknown_mode");
        folder.save("config.lua", "return { default = 'second.lua', more = 'match.lua' }");
        let mut clients = Vec::new();
        for name in ["carol", "dave"] {
            let mut client = Client::new(&base, name).await;
            // Until the folder was read again.
            while {
                client.send("matchmaker.add", json!({"mode": "more"})).await;
                let heard = loop {
                    let heard = client.next().await.unwrap()["type"].as_str().unwrap().to_owned();
                    if heard == "matchmaker.queued" || heard == "error" {
                        break heard;
                    }
                };
                heard == "error"
            } {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            clients.push(client);
        }
        for client in &mut clients {
            client.expect("match.matched").await;
            client.expect_where("match.state", |state| state["n"] == 3).await;
        }
        // The old match plays on by its script; the mode begins new ones with the other.
        let n = a.expect("match.state").await["payload"]["n"].as_f64().unwrap();
        assert_eq!(n.fract(), 0.0);
        for client in [&mut a, &mut b] {
            client.send("match.leave", json!({})).await;
            client.expect("match.left").await;
            client.send("matchmaker.add", json!({"mode": "default"})).await;
        }
        a.expect("match.matched").await;
        a.expect_where("match.state", |state| state["n"].as_f64().is_some_and(|n| n.fract() == 0.25)).await;
    });
}

#[test]
fn a_folder_that_is_put_in_the_place_of_another_is_followed() {
    let folder = Folder::of(&counter("", "1"));
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, _b, _) = pair(&base, "default").await;
        a.expect_where("match.state", |state| state["n"] == 3).await;
        // As a deployment does it: the new one is whole before it is there.
        let (new, old) = (Folder::of(&counter("", "0.25")), folder.0.with_extension("old"));
        std::fs::rename(&folder.0, &old).unwrap();
        std::fs::rename(&new.0, &folder.0).unwrap();
        a.expect_where("match.state", |state| state["n"].as_f64().is_some_and(|n| n.fract() == 0.25)).await;
        folder.save("match.lua", &counter("", "0.125"));
        a.expect_where("match.state", |state| state["n"].as_f64().is_some_and(|n| n.fract() % 0.25 > 0.0)).await;
        std::fs::remove_dir_all(&old).unwrap();
    });
}

#[test]
fn a_fault_of_join_is_told_before_the_match_began() {
    let folder =
        Folder::of("match_size = 1 max_players = 2 function init() return {} end\nfunction join(id, state) end");
    let server = folder.serve(|config| {
        config.server.dev_errors = true;
        config.modes.entry("default".into()).or_default().game = "lua:match.lua".into();
        config.modes.entry("default".into()).or_default().quick_play = true;
    });
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        a.send("match.find_or_create", json!({"mode": "default"})).await;
        let told = a.expect("module.error").await["payload"].clone();
        assert_eq!((&told["callback"], &told["line"]), (&json!("join"), &json!(2)), "{told}");
        assert!(told["message"].as_str().unwrap().contains("join returned nothing"), "{told}");
        a.send("matchmaker.add", json!({"mode": "default"})).await;
        a.expect("match.matchmaker_failed").await;
        a.expect("module.error").await;
    });
}

#[test]
fn spectators_see_what_spectate_shows_and_nobodys_own_view() {
    let folder = Folder::of(
        "match_size = 1 max_players = 2 spectators = 4 tick_hz = 50
         function init() return { n = 0, hands = {} } end
         function join(id, state) state.hands[id] = 'secret' return state end
         function tick(state) state.n = state.n + 1 return state end
         function get_state(id, state) return { mine = state.hands[id]:upper() } end
         function spectate(state) return { watching = state.n } end",
    );
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        a.send("matchmaker.add", json!({"mode": "default"})).await;
        let match_id = a.expect("match.matched").await["payload"]["match_id"].clone();
        let mut watchers = Vec::new();
        for name in ["bob", "carol"] {
            let mut client = Client::new(&base, name).await;
            client.send("match.join", json!({"match_id": match_id, "as": "spectator"})).await;
            client.expect("match.joined").await;
            watchers.push(client);
        }
        for client in &mut watchers {
            let seen = client.expect("match.state").await["payload"].clone();
            assert!(seen["watching"].is_u64() && seen.get("mine").is_none(), "{seen}");
        }
        assert_eq!(a.expect("match.state").await["payload"], json!({"mine": "SECRET"}));
        assert!(look(&base, &format!("matches/{}", match_id.as_str().unwrap())).await["script_faults"] == json!([]));
    });
}

#[test]
fn what_a_player_stored_is_there_when_they_join_the_next_match() {
    let folder = Folder::of(
        "match_size = 1 max_players = 2 tick_hz = 50
         function init()
           local r = game.storage.get('all', 'level')
           return { xp = {}, level = r.ok or r.error }
         end
         function join(id, state)
           local r = game.storage.player_get(id, 'progress', 'xp')
           state.xp[id] = r.ok or 0
           return state
         end
         function handle_input(id, input, state)
           state.xp[id] = state.xp[id] + 10
           game.storage.player_set(id, 'progress', 'xp', state.xp[id])
           game.storage.set('all', 'level', 'cave')
           return state
         end
         function get_state(id, state) return { xp = state.xp[id], level = state.level } end",
    );
    let server = folder.serve(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        for (xp, level) in [(0, "not_found"), (10, "cave"), (20, "cave")] {
            a.send("matchmaker.add", json!({"mode": "default"})).await;
            a.expect("match.matched").await;
            let seen = a.expect("match.state").await["payload"].clone();
            assert_eq!(seen, json!({"xp": xp, "level": level}), "from the first state on");
            a.send("match.input", json!({"go": true})).await;
            a.expect_where("match.state", |state| state["xp"] == xp + 10).await;
            a.send("match.leave", json!({})).await;
            a.expect("match.left").await;
        }
    });
}
