//! Votes over real sockets: what players, spectators, operators and files are shown of them, and when.
//!
//! The rules themselves are told with a clock of their own beside the code (`src/engine/votes/tests`) and as scenarios
//! (`scenarios/votes`); here is what needs a whole server.

#[path = "../support/mod.rs"]
mod support;

mod drafts;
mod hostile;
mod integrity;
mod live;
mod motions;
mod secrecy;

use serde_json::{Value, json};
use support::{Client, run};
use tessera::client::{Base, request};
use tessera::config::{Config, Secret};
use tessera::engine::modes::{Mode, Players};
use tessera::server::Background;

/// The operators' token of [`server`].
const OPERATOR: &str = "correct-horse-battery-staple";

/// A server with one mode, `room`, of the game `bench`: 2 to 16 players come in by `match.find_or_create`.
fn server(change: impl FnOnce(&mut Config, &mut Mode)) -> Background {
    support::server(|config| {
        config.server.ops_token = Some(Secret::new(OPERATOR));
        config.limits.frames_per_s = 0;
        let mut mode = Mode {
            game: "builtin:bench".into(),
            tick_hz: 20,
            players: Players { min: 2, max: 16 },
            quick_play: true,
            spectators: 4,
            ..Mode::default()
        };
        change(config, &mut mode);
        config.modes.insert("room".into(), mode);
    })
}

/// `N` players in one running match, and its id.
async fn room<const N: usize>(base: &Base) -> ([Client; N], String) {
    let mut match_id = String::new();
    let mut players = Vec::new();
    for n in 0..N {
        let mut client = Client::new(base, &format!("player-{n}")).await;
        client.send("match.find_or_create", json!({"mode": "room"})).await;
        let joined = client.expect("match.joined").await;
        match_id = joined["payload"]["match_id"].as_str().unwrap().to_owned();
        players.push(client);
    }
    for client in &mut players {
        client.expect("match.state").await;
    }
    (players.try_into().unwrap_or_else(|_| unreachable!("as many as asked for")), match_id)
}

/// Lets the game of `client`'s match open a vote and waits until everybody knows of it; its id.
async fn opened(players: &mut [Client], vote: Value) -> String {
    players[0].text(&json!({"type": "match.input", "payload": {"start_vote": vote}}).to_string()).await;
    let mut vote_id = String::new();
    for client in players {
        vote_id = client.expect("match.vote_start").await["payload"]["vote_id"].as_str().unwrap().to_owned();
    }
    vote_id
}

async fn cast(client: &mut Client, vote_id: &str, ballot: impl Into<Value>) -> Value {
    client.send("vote.cast", json!({"vote_id": vote_id, "option_id": ballot.into()})).await;
    client.expect("vote.cast_ok").await["payload"].take()
}

async fn result(client: &mut Client, vote_id: &str) -> Value {
    client.expect_where("match.vote_result", |result| result["vote_id"] == vote_id).await["payload"].take()
}

/// The status and the body of a request with a bearer token.
async fn http(base: &Base, token: &str, method: &str, path: &str, body: Value) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let body = (!body.is_null()).then(|| body.to_string());
    let answer = request(base, method, path, &[("Authorization", &bearer)], body.as_deref()).await.expect("an answer");
    (answer.status, answer.body)
}

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body}"))
}

/// The fault behind it: a second vote under a name that is taken would take the first one's ballots.
#[test]
fn two_votes_never_share_one_id_even_in_two_matches() {
    let server = server(|_, mode| mode.players = Players { min: 2, max: 2 });
    let base = Base::from(server.addr);
    run(async move {
        let (mut first, here) = room::<2>(&base).await;
        let vote = json!({"vote_id": "final", "options": ["x", "y"], "window_type": "ready_up", "window_ms": 20000});
        assert_eq!(opened(&mut first, vote.clone()).await, "final");
        let mut others = Vec::new();
        for name in ["carol", "dave"] {
            let mut client = Client::new(&base, name).await;
            client.send("match.find_or_create", json!({"mode": "room"})).await;
            let joined = client.expect("match.joined").await;
            others.push((client, joined["payload"]["match_id"].as_str().unwrap().to_owned()));
        }
        let there = others[1].1.clone();
        assert_ne!(here, there);
        others[1].0.expect("match.state").await;
        let mut again = vote.clone();
        again["template"] = "another".into();
        for id in [&here, &there] {
            let (status, body) =
                http(&base, OPERATOR, "POST", &format!("/ops/v1/matches/{id}/votes"), again.clone()).await;
            assert_eq!(status, 422, "{body}");
            assert!(body.contains("vote_id final is taken"), "{body}");
        }
        // The first one is untouched, and its name stays taken when it is over.
        for client in &mut first {
            cast(client, "final", "x").await;
        }
        assert_eq!(result(&mut first[0], "final").await["counts"], json!({"x": 2, "y": 0}));
        let (status, _) = http(&base, OPERATOR, "POST", &format!("/ops/v1/matches/{there}/votes"), vote).await;
        assert_eq!(status, 422, "a record of that name exists");
    });
}

/// The fault behind it: leaving and joining again gave a player fresh tokens.
#[test]
fn leaving_and_joining_again_refills_no_veto_token() {
    let server = server(|_, mode| mode.veto_tokens_per_player = 1);
    let base = Base::from(server.addr);
    run(async move {
        let (mut players, match_id) = room::<3>(&base).await;
        let vote = |template: &str| json!({"template": template, "veto_enabled": true, "window_ms": 20000});
        let first = opened(&mut players, vote("first")).await;
        players[0].send("vote.veto", json!({"vote_id": first})).await;
        players[0].expect("vote.veto_ok").await;
        players[0].send("match.leave", json!({})).await;
        players[0].expect("match.left").await;
        players[0].send("match.join", json!({"match_id": match_id})).await;
        players[0].expect("match.joined").await;
        let second = opened(&mut players, vote("second")).await;
        assert_eq!(players[0].refused("vote.veto", json!({"vote_id": second})).await, "no_veto_tokens");
        players[1].send("vote.veto", json!({"vote_id": second})).await;
        assert_eq!(players[1].expect("vote.veto_ok").await["payload"], json!({"success": true}));
    });
}
