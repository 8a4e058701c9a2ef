//! What a demo does not show: a vote with a bug in it.

use std::time::Duration;

use actix::prelude::*;
use serde_json::{Value, json};

use crate::actors::directory::VotePlace;
use crate::actors::votes::VoteActor;
use crate::client::{Base, Event, Socket, connect, request};
use crate::config::Config;
use crate::engine::modes::{Mode, ScheduledVote};
use crate::server::{Threads, in_background};

/// What no client can send: a bug in a vote.
#[derive(Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for VoteActor {
    type Result = ();

    fn handle(&mut self, _: Die, _: &mut Context<Self>) {
        panic!("a vote's bug");
    }
}

async fn hear(socket: &mut Socket, kind: &str) -> Value {
    loop {
        match socket.next().await.expect("the socket is open").expect("a frame") {
            Event::Text(text) => {
                let frame: Value = serde_json::from_str(&text).expect("JSON");
                if frame["type"] == kind {
                    return frame["payload"].clone();
                }
            }
            other => panic!("{kind}, not {other:?}"),
        }
    }
}

#[test]
fn a_vote_that_panics_is_cancelled_and_its_match_goes_on() {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.server.data = ":memory:".into();
    let vote = json!({"template": "map", "options": ["x", "y"], "window_ms": 60000});
    let vote = vote.as_object().expect("an object").clone();
    let votes = vec![ScheduledVote { when: "start".into(), vote }];
    let mode = Mode { game: "builtin:bench".into(), votes, ..Mode::default() };
    config.modes.insert("ballot".into(), mode);
    let server = in_background(config, Threads { workers: 1, arbiters: 1 }, None).expect("it starts");
    let (base, realm) = (Base::from(server.addr), server.realm.clone());
    let play = async move {
        let mut sockets = Vec::new();
        for name in ["alice", "bob"] {
            let secret = format!("{name:0>43}=");
            let body = json!({"device_id": format!("device-{name}"), "device_secret": secret}).to_string();
            let answer = request(&base, "POST", "/api/v1/auth/guest", &[], Some(&body)).await.expect("an answer");
            let account: Value = serde_json::from_str(&answer.body).expect("JSON");
            let mut socket = connect(&base, "/ws", &[]).await.expect("a socket");
            let sign_in = json!({"type": "session.connect", "payload": {"token": account["access_token"]}});
            socket.text(&sign_in.to_string()).await.expect("sent");
            hear(&mut socket, "session.connected").await;
            let queue = json!({"type": "matchmaker.add", "payload": {"mode": "ballot"}});
            socket.text(&queue.to_string()).await.expect("sent");
            sockets.push(socket);
        }
        let start = hear(&mut sockets[0], "match.vote_start").await;
        let vote_id = start["vote_id"].as_str().expect("an id").parse().expect("an id");
        let Some(VotePlace::Open(_, addr)) = realm.directory.vote(&vote_id) else { panic!("an open vote") };
        addr.do_send(Die);
        for socket in &mut sockets {
            let result = hear(socket, "match.vote_result").await;
            assert_eq!((&result["status"], &result["winner"]), (&json!("cancelled"), &Value::Null));
        }
        let tick = hear(&mut sockets[1], "match.state").await["tick"].as_u64().expect("a tick");
        while hear(&mut sockets[1], "match.state").await["tick"].as_u64().expect("a tick") < tick + 3 {}
        assert_eq!(realm.directory.matches_live(), 1);
    };
    actix_web::rt::System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(30), play).await.expect("it ends");
    });
}
