//! The main job over real sockets: sign in, queue, be paired, play, vote, finish; and what must hold around it.

#[macro_use]
mod support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use support::{Client, pair, run, server, stranger, transports};
use tessera::actors::matches::Command;
use tessera::actors::realm::MatchOrder;
use tessera::client::{Base, request};
use tessera::engine::modes::{Mode, Players, ScheduledVote};
use tessera::games::catalogue::Catalogue;
use tessera::games::{Game, GameCx, JoinRefused};
use tessera::ids::PlayerId;
use tessera::server::{Background, Threads, in_background_with};

on_both_transports! {
    the_smoke_flow_of_existing_clients_in_both_dialects,
    one_input_is_one_step_and_the_match_ends_at_tick_150,
    forty_tickets_in_order_are_twenty_pairs_of_neighbours,
    two_racing_find_or_create_meet,
    a_second_connect_on_a_live_socket_never_doubles_a_push,
    a_newer_session_of_a_player_takes_over_the_seat_and_the_older_is_told,
    a_wrong_ballot_is_refused_with_its_cid_and_spoils_nothing_for_anybody,
    casts_around_the_close_are_counted_or_refused_and_the_match_goes_on,
    a_veto_spends_one_token_and_ends_the_vote_without_a_result,
    every_message_answers_what_is_wrong_with_it_and_echoes_the_cid,
    a_match_that_ends_calls_its_open_votes_off_first_and_a_leave_frees_the_seat_at_once,
    a_direct_message_is_acknowledged_and_arrives,
    a_seat_survives_a_lost_connection_and_a_resume_tells_exactly_what_was_missed,
    whoever_belongs_to_a_match_comes_back_while_the_server_drains_and_nobody_else,
    beside_a_client_that_never_reads_a_neighbour_ticks_on,
    a_game_that_panics_ends_its_match_alone,
    a_match_that_dies_calls_its_open_votes_off_first,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("text, not {value}"))
}

fn the_smoke_flow_of_existing_clients_in_both_dialects() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        for dialect in ["2026-04", "latest"] {
            let mut players = Vec::new();
            for label in ["a", "b"] {
                let name = format!("smoke_{label}_{}", dialect.replace('-', "_"));
                let body = json!({"username": name, "password": "smoke_pw_12345", "display_name": name}).to_string();
                let answer = request(&base, "POST", "/api/v1/auth/register", &[], Some(&body)).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                let account: Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(account["session_token"], account["access_token"]);
                let mut client = stranger(&base).await;
                let connect = json!({"token": account["access_token"], "dialect": dialect});
                client.send("session.connect", connect).await;
                let connected = client.expect("session.connected").await;
                assert_eq!(connected["payload"]["player_id"], account["player_id"]);
                assert_eq!(connected["payload"]["wire"], "json");
                players.push((text(&account["player_id"]).to_owned(), client));
            }
            for (_, client) in &mut players {
                client.send("matchmaker.add", json!({"mode": "demo"})).await;
                client.expect("matchmaker.queued").await;
            }
            let mut ids = Vec::new();
            for (_, client) in &mut players {
                let matched = client.expect("match.matched").await;
                assert_eq!(matched["payload"], client.expect("matchmaker.matched").await["payload"]);
                client.expect("match.started").await;
                ids.push(matched["payload"]["match_id"].clone());
            }
            assert_eq!(ids[0], ids[1]);
            let (me, client) = &mut players[0];
            let first = client.expect("match.state").await["payload"]["players"][&*me]["x"].as_f64().unwrap();
            // The older form of an input: one key `data`, and no cid.
            client.text(r#"{"type":"match.input","payload":{"data":{"move_x":1,"move_y":0}}}"#).await;
            let arrived = |state: &Value| state["players"][&*me]["x"].as_f64().unwrap() > (first + 10.0).min(799.0);
            client.expect_where("match.state", arrived).await;
            let channel = format!("match:{}", text(&ids[0]));
            client.send("chat.join", json!({"channel_id": channel})).await;
            client.expect("chat.joined").await;
            client.send("chat.send", json!({"channel_id": channel, "content": "hi"})).await;
            let said = client.expect("chat.message").await;
            let sent_at = &said["payload"]["sent_at"];
            assert_eq!(sent_at.is_string(), dialect == "2026-04", "{said}");
            client.expect("chat.sent").await;
        }
    });
}

fn one_input_is_one_step_and_the_match_ends_at_tick_150() {
    let server = server(|config| {
        let smoke = config.modes.get_mut("smoke").unwrap();
        smoke.tick_hz = 128;
    });
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, match_id) = pair(&base, "smoke").await;
        a.text(r#"{"type":"match.input","seq":7,"payload":{"move_x":1,"move_y":0}}"#).await;
        let me = a.player.clone();
        let ack = a.expect("match.ack").await;
        assert_eq!((&ack["payload"]["match_id"], &ack["payload"]["seq"]), (&json!(match_id), &json!(7)));
        let finished = b.expect("match.finished").await;
        assert_eq!(finished["payload"]["match_id"], match_id);
        assert_eq!(finished["payload"]["result"]["tick"], 150);
        let last = b.last("match.state").expect("the last state comes before the finish");
        assert_eq!((&last["payload"]["tick"], &last["payload"]["phase"]), (&json!(150), &json!("finished")));
        a.expect("match.finished").await;
        let state = finished["payload"]["result"]["players"][&me].clone();
        assert_eq!(state, json!({"x": 1, "y": 0, "inputs_seen": 1}));
        // The seat is free again, and the record is there for those who played.
        a.send("matchmaker.add", json!({"mode": "smoke"})).await;
        assert_eq!(a.expect("matchmaker.queued").await["payload"]["players_needed"], 1);
        let path = format!("/api/v1/matches/{match_id}");
        let bearer = format!("Bearer {}", a.token);
        let answer = request(&base, "GET", &path, &[("Authorization", &bearer)], None).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    });
}

fn forty_tickets_in_order_are_twenty_pairs_of_neighbours() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut clients = Vec::new();
        for n in 0..40 {
            clients.push(Client::new(&base, &format!("n{n}")).await);
        }
        for client in &mut clients {
            client.send("matchmaker.add", json!({"mode": "bench"})).await;
            client.expect("matchmaker.queued").await;
        }
        let mut matches = Vec::new();
        for client in &mut clients {
            let matched = client.expect("match.matched").await;
            matches.push((text(&matched["payload"]["match_id"]).to_owned(), matched["payload"]["players"].clone()));
        }
        for pair in 0..20 {
            let (first, second) = (2 * pair, 2 * pair + 1);
            assert_eq!(matches[first], matches[second], "pair {pair}");
            assert_eq!(matches[first].1, json!([clients[first].player, clients[second].player]));
        }
        let mut ids: Vec<_> = matches.into_iter().map(|(id, _)| id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 20);
    });
}

fn two_racing_find_or_create_meet() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        for round in 0..10 {
            let mut a = Client::new(&base, &format!("a{round}")).await;
            let mut b = Client::new(&base, &format!("b{round}")).await;
            // arena takes two: each round fills the match that it makes.
            let find = json!({"mode": "arena"});
            tokio::join!(a.send("match.find_or_create", find.clone()), b.send("match.find_or_create", find.clone()));
            let (in_a, in_b) = tokio::join!(a.expect("match.joined"), b.expect("match.joined"));
            assert_eq!(in_a["payload"]["match_id"], in_b["payload"]["match_id"], "round {round}");
            assert_eq!(in_a["cid"], "match.find_or_create");
            assert_eq!(a.refused("match.find_or_create", find).await, "already_in_match");
        }
    });
}

#[test]
fn whoever_looks_for_a_match_finds_the_oldest_with_room_no_matter_who_made_it() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut players = Vec::new();
        for name in ["ann", "ben", "cat", "dan", "eve"] {
            players.push(Client::new(&base, name).await);
        }
        let find = json!({"mode": "arena"});
        let mut seated_in = Vec::new();
        // The first two fill a match; the third opens one of her own; the fourth is to meet her there. The last finds
        // nobody waiting.
        for (i, client) in players.iter_mut().enumerate() {
            client.send(if i == 2 { "match.create" } else { "match.find_or_create" }, find.clone()).await;
            seated_in.push(client.expect("match.joined").await["payload"]["match_id"].clone());
        }
        assert_eq!(seated_in[0], seated_in[1]);
        assert_eq!(seated_in[2], seated_in[3]);
        assert_ne!(seated_in[0], seated_in[2]);
        assert!(!seated_in[..4].contains(&seated_in[4]));
        // A seat that is free again is found before a younger match's.
        players[0].send("match.leave", json!({"match_id": seated_in[0]})).await;
        players[0].expect("match.left").await;
        let mut late = Client::new(&base, "fay").await;
        late.send("match.find_or_create", find).await;
        assert_eq!(late.expect("match.joined").await["payload"]["match_id"], seated_in[0]);
    });
}

fn a_second_connect_on_a_live_socket_never_doubles_a_push() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut a = Client::new(&base, "alice").await;
        a.send("chat.join", json!({"channel_id": "lobby"})).await;
        a.expect("chat.joined").await;
        let token = a.token.clone();
        for _ in 0..3 {
            a.send("session.connect", json!({"token": token})).await;
            let again = a.expect("session.connected").await;
            assert_eq!(again["payload"]["session_id"], a.session);
        }
        assert_eq!(a.refused("session.connect", json!({"token": "wrong"})).await, "invalid_token");
        a.send("chat.send", json!({"channel_id": "lobby", "content": "once"})).await;
        a.expect("chat.sent").await;
        assert_eq!(a.heard_of("chat.message").await.len(), 1);
    });
}

fn a_newer_session_of_a_player_takes_over_the_seat_and_the_older_is_told() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, match_id) = pair(&base, "bench").await;
        let mut again = Client::new(&base, "alice").await;
        assert_eq!(again.player, a.player);
        let told = a.expect("error").await;
        assert_eq!(told["payload"]["reason"], "session_replaced");
        again.expect("match.state").await;
        again.text(r#"{"type":"match.input","payload":{"move_x":1}}"#).await;
        let me = again.player.clone();
        b.expect_where("match.state", |state| state["players"][&me]["inputs_seen"] == 1).await;
        assert!(b.heard_of("match.player_left").await.is_empty());
        again.send("match.leave", json!({})).await;
        assert_eq!(again.expect("match.left").await["payload"], json!({"success": true}));
        let left = b.expect("match.player_left").await;
        assert_eq!((&left["payload"]["match_id"], &left["payload"]["player_id"]), (&json!(match_id), &json!(me)));
    });
}

fn with_vote(config: &mut tessera::config::Config, vote: Value) {
    let vote = ScheduledVote { when: "start".into(), vote: vote.as_object().unwrap().clone() };
    config.modes.insert(
        "ballot".into(),
        Mode {
            game: "builtin:bench".into(),
            players: Players { min: 2, max: 2 },
            veto_tokens_per_player: 1,
            votes: vec![vote],
            ..Mode::default()
        },
    );
}

fn a_wrong_ballot_is_refused_with_its_cid_and_spoils_nothing_for_anybody() {
    let server = server(|config| {
        with_vote(
            config,
            json!({"template": "map", "options": ["x", "y"], "window_type": "ready_up", "window_ms": 10000}),
        );
    });
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, _) = pair(&base, "ballot").await;
        let start = a.expect("match.vote_start").await;
        let vote_id = start["payload"]["vote_id"].clone();
        for (ballot, reason) in [
            (json!(["x"]), "invalid_ballot"),
            (json!({"x": 1}), "invalid_ballot"),
            (json!(7), "invalid_ballot"),
            (json!("z"), "invalid_option"),
            (json!([["x", ["y"]]]), "invalid_ballot"),
        ] {
            let cast = json!({"vote_id": vote_id, "option_id": ballot});
            assert_eq!(a.refused("vote.cast", cast).await, reason, "{ballot}");
        }
        assert_eq!(a.refused("vote.cast", json!({"vote_id": vote_id})).await, "missing_field");
        let elsewhere = json!({"vote_id": "no-such-vote", "option_id": "x"});
        assert_eq!(a.refused("vote.cast", elsewhere).await, "vote_not_found");
        let mut other = Client::new(&base, "carol").await;
        let cast = json!({"vote_id": vote_id, "option_id": "x"});
        assert_eq!(other.refused("vote.cast", cast.clone()).await, "not_in_match");
        // The answer to a cast comes before any tally that counts it.
        a.send("vote.cast", cast.clone()).await;
        let first = a.expect_where("vote.cast_ok", |_| true).await;
        assert_eq!(first["payload"]["revision"], 1);
        let tally = a.expect("match.vote_tally").await;
        assert_eq!(tally["payload"]["tallies"], json!({"x": 1, "y": 0}));
        b.send("vote.cast", json!({"vote_id": vote_id, "option_id": "x"})).await;
        for client in [&mut a, &mut b] {
            let result = client.expect("match.vote_result").await;
            assert_eq!(result["payload"]["winner"], "x");
            assert_eq!(result["payload"]["counts"], json!({"x": 2, "y": 0}));
            assert_eq!(result["payload"]["distribution"], json!({"x": 1.0, "y": 0.0}));
            assert_eq!(result["payload"]["turnout"].to_string(), "1.0");
        }
        // Under a cid of its own: a cast that is sent again gets the answer it got before.
        a.text(&json!({"type": "vote.cast", "cid": "late", "payload": cast}).to_string()).await;
        let late = a.expect("error").await;
        assert_eq!((&late["cid"], &late["payload"]["reason"]), (&json!("late"), &json!("vote_closed")));
    });
}

fn casts_around_the_close_are_counted_or_refused_and_the_match_goes_on() {
    let server = server(|config| {
        with_vote(
            config,
            json!({
                "template": "map", "options": ["x", "y"], "window_ms": 1000, "grace_ms": 50, "max_revotes": 900,
            }),
        );
        config.limits.frames_per_s = 0;
    });
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, _) = pair(&base, "ballot").await;
        let start = a.expect("match.vote_start").await;
        let vote_id = start["payload"]["vote_id"].clone();
        let (mut taken, mut closed) = (0, 0);
        while closed == 0 {
            let cast = json!({"type": "vote.cast", "cid": taken, "payload": {"vote_id": vote_id, "option_id": "y"}});
            a.text(&cast.to_string()).await;
            loop {
                let frame = a.next().await.expect("the match goes on");
                match text(&frame["type"]) {
                    "vote.cast_ok" => taken += 1,
                    "error" => {
                        let reason = text(&frame["payload"]["reason"]);
                        if reason == "rate_limited" {
                            taken += 1;
                        } else {
                            assert_eq!(reason, "vote_closed");
                            closed += 1;
                        }
                    }
                    _ => continue,
                }
                break;
            }
        }
        assert!(taken > 10, "{taken} casts before the close");
        let result = b.expect("match.vote_result").await;
        assert_eq!(result["payload"]["winner"], "y");
        assert_eq!(result["payload"]["total_votes"], 1, "one voter has one ballot");
        let before = b.expect("match.state").await["payload"]["tick"].as_u64().unwrap();
        b.expect_where("match.state", |state| state["tick"].as_u64().unwrap() > before + 5).await;
    });
}

fn a_veto_spends_one_token_and_ends_the_vote_without_a_result() {
    let server = server(|config| {
        with_vote(config, json!({"template": "map", "options": ["x", "y"], "window_ms": 3000, "veto_enabled": true}));
    });
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b, _) = pair(&base, "ballot").await;
        let start = a.expect("match.vote_start").await;
        let vote_id = start["payload"]["vote_id"].clone();
        a.send("vote.veto", json!({"vote_id": vote_id})).await;
        assert_eq!(a.expect("vote.veto_ok").await["payload"], json!({"success": true}));
        let vetoed = b.expect("match.vote_vetoed").await;
        assert_eq!(vetoed["payload"], json!({"vote_id": vote_id, "vetoed_by": a.player}));
        assert_eq!(a.refused("vote.veto", json!({"vote_id": vote_id})).await, "vote_closed");
        assert!(b.heard_of("match.vote_result").await.is_empty());
        // The next vote of the match finds the token spent.
        a.text(r#"{"type":"match.input","payload":{"start_vote":{"veto_enabled":true}}}"#).await;
        let second = a.expect("match.vote_start").await["payload"]["vote_id"].clone();
        assert_eq!(a.refused("vote.veto", json!({"vote_id": second})).await, "no_veto_tokens");
        b.send("vote.veto", json!({"vote_id": second})).await;
        b.expect("vote.veto_ok").await;
    });
}

fn every_message_answers_what_is_wrong_with_it_and_echoes_the_cid() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut nobody = stranger(&base).await;
        assert_eq!(nobody.refused("match.list", json!({})).await, "unauthenticated");
        assert_eq!(nobody.refused("session.connect", json!({})).await, "missing_field");
        assert_eq!(nobody.refused("session.connect", json!({"token": 7})).await, "invalid_field");
        assert_eq!(nobody.refused("session.connect", json!({"token": "wrong"})).await, "invalid_token");
        nobody.send("session.heartbeat", json!({})).await;
        assert!(nobody.expect("session.heartbeat").await["payload"]["ts"].is_u64());

        let mut a = Client::new(&base, "alice").await;
        let long = "x".repeat(2_001);
        for (kind, payload, reason) in [
            ("match.list", json!({"mode": 7}), "invalid_mode_filter"),
            ("match.list", json!({"has_capacity": 1}), "invalid_has_capacity_filter"),
            ("match.list", json!({"joinable": "yes"}), "invalid_joinable_filter"),
            ("match.join", json!({}), "missing_field"),
            ("match.join", json!({"match_id": "01a20372-8d3c-77e1-8f79-23ff854b858c"}), "match_not_found"),
            ("match.join", json!({"match_id": "01a20372-8d3c-77e1-8f79-23ff854b858c", "ctx": []}), "invalid_join_ctx"),
            ("match.find_or_create", json!({"mode": "nope"}), "unknown_mode"),
            ("match.find_or_create", json!({"mode": "demo"}), "quick_play_disabled"),
            ("match.create", json!({"mode": "demo"}), "create_disabled"),
            ("match.input", json!({"data": "{"}), "invalid_payload"),
            ("matchmaker.add", json!({"mode": "nope"}), "unknown_mode"),
            ("matchmaker.add", json!({"mode": 7}), "invalid_field"),
            ("matchmaker.remove", json!({}), "missing_field"),
            ("matchmaker.remove", json!({"ticket_id": "01a20372-8d3c-77e1-8f79-23ff854b858c"}), "not_found"),
            ("chat.join", json!({"channel_id": "no such"}), "invalid_channel_id"),
            ("chat.join", json!({"channel_id": "room:guild"}), "not_authorized"),
            ("chat.send", json!({"channel_id": "lobby", "content": "hi"}), "not_authorized"),
            (
                "dm.send",
                json!({"recipient_id": "01a20372-8d3c-77e1-8f79-23ff854b858c", "content": ""}),
                "content_empty",
            ),
            (
                "dm.send",
                json!({"recipient_id": "01a20372-8d3c-77e1-8f79-23ff854b858c", "content": long}),
                "content_too_large",
            ),
            ("vote.cast", json!({"vote_id": "v", "option_id": "x"}), "not_in_match"),
            ("presence.update", json!({"status": "x".repeat(33)}), "invalid_field"),
            ("no.such", json!({}), "unknown_type"),
            ("rpc.call", json!({"protocol": 1, "method": "m"}), "not_supported"),
        ] {
            assert_eq!(a.refused(kind, payload.clone()).await, reason, "{kind} {payload}");
        }
        for (frame, reason) in [("{", "invalid_json"), ("[]", "invalid_message"), (r#"{"type":7}"#, "invalid_message")]
        {
            a.text(frame).await;
            assert_eq!(a.expect("error").await["payload"]["reason"], reason, "{frame}");
        }
        a.text(r#"{"type":"match.input","cid":5,"payload":{"move_x":1}}"#).await;
        let dropped = a.expect("error").await;
        assert_eq!(dropped["cid"], 5);
        assert_eq!(
            (&dropped["payload"]["reason"], &dropped["payload"]["type"]),
            (&json!("not_in_match"), &json!("match.input"))
        );
        a.send("match.leave", json!({})).await;
        assert_eq!(a.expect("match.left").await["payload"], json!({"success": true}));
    });
}

fn a_match_that_ends_calls_its_open_votes_off_first_and_a_leave_frees_the_seat_at_once() {
    let server = server(|config| {
        with_vote(config, json!({"template": "map", "options": ["x", "y"], "window_ms": 60000}));
    });
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let (mut a, mut b, match_id) = pair(&base, "ballot").await;
        a.expect("match.vote_start").await;
        let card = realm.directory.card(match_id.parse().unwrap()).unwrap();
        card.addr.do_send(Command::End("cancelled".into()));
        let finished = a.expect("match.finished").await;
        assert_eq!(finished["payload"]["result"], json!({"status": "cancelled"}));
        let result = a.last("match.vote_result").expect("the vote's result comes before the finish");
        assert_eq!(result["payload"]["status"], "cancelled");
        b.expect("match.finished").await;

        for client in [&mut a, &mut b] {
            client.send("matchmaker.add", json!({"mode": "bench"})).await;
        }
        a.expect("match.matched").await;
        // Both in one breath: the seat is free for whatever follows the leave.
        a.send("match.leave", json!({})).await;
        a.send("matchmaker.add", json!({"mode": "bench"})).await;
        a.expect("match.left").await;
        a.expect_where("matchmaker.queued", |queued| queued["players_needed"] == 1).await;
    });
}

fn a_direct_message_is_acknowledged_and_arrives() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut a, mut b) = (Client::new(&base, "alice").await, Client::new(&base, "bob").await);
        a.send("dm.send", json!({"recipient_id": b.player, "content": "psst"})).await;
        let sent = a.expect("dm.sent").await;
        let heard = b.expect("dm.message").await;
        assert_eq!(sent["payload"]["message_id"], heard["payload"]["message_id"]);
        assert_eq!((&heard["payload"]["content"], &heard["payload"]["sender_id"]), (&json!("psst"), &json!(a.player)));
        let (lo, hi) = if a.player < b.player { (&a.player, &b.player) } else { (&b.player, &a.player) };
        assert_eq!(heard["payload"]["channel_id"], format!("dm:{lo}:{hi}"));
    });
}

fn a_seat_survives_a_lost_connection_and_a_resume_tells_exactly_what_was_missed() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (a, mut b, match_id) = pair(&base, "bench").await;
        let (token, session, player) = (a.token.clone(), a.session.clone(), a.player.clone());
        drop(a);
        let away = b.expect("match.player_disconnected").await;
        assert_eq!(away["payload"]["player_id"], player);
        let channel = format!("match:{match_id}");
        b.send("chat.join", json!({"channel_id": channel})).await;
        b.expect("chat.joined").await;

        let mut back = stranger(&base).await;
        // queued, match.matched, matchmaker.matched and match.started had arrived.
        back.send("session.connect", json!({"token": token, "resume": {"session_id": session, "received": 4}})).await;
        let connected = back.expect("session.connected").await;
        assert_eq!(
            (&connected["payload"]["resumed"], &connected["payload"]["session_id"]),
            (&json!(true), &json!(session))
        );
        assert_eq!(b.expect("match.player_resumed").await["payload"]["player_id"], player);
        back.expect("match.state").await;
        assert!(back.heard_of("match.matched").await.is_empty(), "what was received is not sent again");

        // Whoever claims to have received more than was sent starts again from a snapshot.
        let mut lost = stranger(&base).await;
        lost.send("session.connect", json!({"token": token, "resume": {"session_id": session, "received": 999}})).await;
        assert_eq!(lost.expect("session.connected").await["payload"]["resumed"], false);
        let snapshot = lost.next().await.unwrap();
        assert_eq!(snapshot["type"], "session.snapshot", "{snapshot}");
        assert_eq!(snapshot["payload"]["matches"][0]["match_id"], match_id);
    });
}

fn whoever_belongs_to_a_match_comes_back_while_the_server_drains_and_nobody_else() {
    let mut server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (base, realm) = (&base, server.realm.clone());
        let (ann, mut bob, match_id) = pair(base, "bench").await;
        let newcomer = support::guest(base, "newcomer").await;
        let mut early = stranger(base).await;
        server.begin_to_stop(Duration::from_secs(30));
        while request(base, "GET", "/ready", &[], None).await.expect("an answer").status != 503 {
            tokio::task::yield_now().await;
        }

        // A connection is lost and the match goes on: over a new one its player does, too, and over one from before.
        let token = ann.token.clone();
        let resume = json!({"token": token, "resume": {"session_id": ann.session, "received": 0}});
        let mut late = stranger(base).await;
        drop(ann);
        bob.expect("match.player_disconnected").await;
        for client in [&mut late, &mut early] {
            client.send("session.connect", resume.clone()).await;
            assert_eq!(client.expect("session.connected").await["payload"]["resumed"], true);
            client.expect("match.state").await;
        }
        bob.expect("match.player_resumed").await;
        // So it does where its session is too old to be told what it missed.
        let mut anew = stranger(base).await;
        anew.send("session.connect", json!({"token": token, "resume": {"session_id": late.session, "received": 0}}))
            .await;
        assert_eq!(anew.expect("session.snapshot").await["payload"]["matches"][0]["match_id"], match_id.as_str());
        // Nobody else comes in, and nothing new begins.
        let mut other = stranger(base).await;
        assert_eq!(other.refused("session.connect", json!({"token": newcomer})).await, "draining");
        assert_eq!(other.closed().await, Some(1012));
        anew.send("match.leave", json!({})).await;
        anew.expect("match.left").await;
        assert_eq!(anew.refused("match.find_or_create", json!({"mode": "arena"})).await, "draining");
        assert_eq!(anew.refused("matchmaker.add", json!({"mode": "bench"})).await, "draining");

        for card in realm.directory.cards() {
            card.addr.do_send(Command::End("over".into()));
        }
        for client in [&mut anew, &mut bob] {
            assert_eq!(client.closed().await, Some(1012));
        }
    });
}

fn beside_a_client_that_never_reads_a_neighbour_ticks_on() {
    let config = support::config(|config| {
        let bench = config.modes.get_mut("bench").unwrap();
        bench.tick_hz = 10;
        bench.game_options.insert("state_bytes".into(), 48_000.into());
    });
    // One worker and one arbiter: whatever a stalled client holds up, it holds up for its neighbour.
    let server = tessera::server::in_background(config, Threads { workers: 1, arbiters: 1 }, None).unwrap();
    let base = Base::from(server.addr);
    let (realm, gate) = (server.realm.clone(), server.gate.clone());
    run(async move {
        let (_never_reads, mut neighbour, _) = pair(&base, "bench").await;
        let tick = |state: Value| state["payload"]["tick"].as_u64().expect("a tick");
        // Once states replace each other in its outbox, it has stopped taking them.
        let mut tries = 0;
        while gate.metrics().replaced.get() < 3 {
            neighbour.expect("match.state").await;
            tries += 1;
            assert!(tries < 300, "the client never stalled");
        }
        let first = tick(neighbour.expect("match.state").await);
        let mut last = first;
        for _ in 0..15 {
            let now = tick(neighbour.expect("match.state").await);
            assert!(now > last, "{now} after {last}");
            last = now;
        }
        // A loaded machine may lose the neighbour a state or two; one that waits for the other loses it nearly all.
        assert!(last - first <= 30, "15 states of {} ticks", last - first);
        assert!(realm.meters.mode(&"bench".into()).skipped.load(Ordering::Relaxed) <= 5, "the match waits for nobody");
        assert_eq!(gate.metrics().open(), 2, "it stalled, and is not cut yet");
    });
}

/// Plays nothing, and panics when it is told to.
struct Bomb;

impl Game for Bomb {
    fn join(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: Option<&RawValue>) -> Result<(), JoinRefused> {
        Ok(())
    }
    fn leave(&mut self, _: &mut GameCx<'_>, _: PlayerId) {}
    fn input(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: &RawValue) {
        panic!("a game's bug");
    }
    fn tick(&mut self, _: &mut GameCx<'_>) {}
    fn view(&mut self, _: Option<PlayerId>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{}");
    }
}

fn a_game_that_panics_ends_its_match_alone() {
    let config = support::config(|config| {
        config.modes.insert("bomb".into(), Mode { game: "bomb".into(), ..Mode::default() });
    });
    let built_in = Catalogue::default();
    let games = move |mode: &Mode, birth| match mode.game.as_str() {
        "bomb" => Ok(Box::new(Bomb) as Box<dyn Game>),
        _ => built_in.build(mode, birth),
    };
    let threads = Threads { workers: 1, arbiters: 1 };
    let server = in_background_with(config, threads, Arc::new(games)).unwrap();
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        // Neighbours on the same arbiter, played by bots.
        for _ in 0..199 {
            let order = MatchOrder {
                mode: "bench".into(),
                private: false,
                matched: Vec::new(),
                bots: 2,
                promised: 0,
                queued: None,
                insists: true,
            };
            assert!(realm.start_match(order).is_ok());
        }
        let (mut a, mut b, match_id) = pair(&base, "bomb").await;
        a.expect("match.state").await;
        a.text(r#"{"type":"match.input","payload":{}}"#).await;
        for client in [&mut a, &mut b] {
            let finished = client.expect("match.finished").await;
            assert_eq!(finished["payload"], json!({"match_id": match_id, "result": {"status": "died"}}));
        }
        // Nobody is stuck in the seat, and the neighbours tick on.
        a.send("matchmaker.add", json!({"mode": "smoke"})).await;
        a.expect("matchmaker.queued").await;
        b.send("matchmaker.add", json!({"mode": "smoke"})).await;
        let ticks = || realm.meters.mode(&"bench".into()).ticks.load(Ordering::Relaxed);
        let before = ticks();
        a.expect_where("match.state", |state| state["tick"].as_u64().is_some_and(|tick| tick > 60)).await;
        // Two seconds of smoke at 30 Hz are twenty ticks of each neighbour at 10 Hz.
        assert!(ticks() - before > 199 * 15, "{} ticks", ticks() - before);
        assert_eq!(realm.directory.cards().iter().filter(|card| &*card.mode == "bench").count(), 199);
        assert_eq!(realm.directory.cards().iter().filter(|card| &*card.mode == "bomb").count(), 0);
    });
}

/// As [`Bomb`], with two votes open from the first tick on.
struct VotingBomb {
    asked: u32,
}

impl Game for VotingBomb {
    fn join(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: Option<&RawValue>) -> Result<(), JoinRefused> {
        Ok(())
    }
    fn leave(&mut self, _: &mut GameCx<'_>, _: PlayerId) {}
    fn input(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: &RawValue) {
        panic!("a game's bug");
    }
    fn tick(&mut self, _: &mut GameCx<'_>) {}
    fn view(&mut self, _: Option<PlayerId>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{}");
    }
    fn vote_requested(&mut self, _: &mut GameCx<'_>) -> Option<Box<RawValue>> {
        self.asked += 1;
        let vote = json!({"template": format!("v{}", self.asked), "options": ["x", "y"], "window_ms": 60_000});
        (self.asked <= 2).then(|| RawValue::from_string(vote.to_string()).unwrap())
    }
}

/// A death keeps the order that an end in good order has: results of votes, then the end; and whoever hears of either
/// may go on at once.
fn a_match_that_dies_calls_its_open_votes_off_first() {
    let config = support::config(|config| {
        config.modes.insert("bomb".into(), Mode { game: "bomb".into(), ..Mode::default() });
    });
    let built_in = Catalogue::default();
    let games = move |mode: &Mode, birth| match mode.game.as_str() {
        "bomb" => Ok(Box::new(VotingBomb { asked: 0 }) as Box<dyn Game>),
        _ => built_in.build(mode, birth),
    };
    let threads = Threads { workers: 1, arbiters: 1 };
    let server = in_background_with(config, threads, Arc::new(games)).unwrap();
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let (mut a, mut b, match_id) = pair(&base, "bomb").await;
        let mut votes = Vec::new();
        for _ in 0..2 {
            votes.push(text(&a.expect("match.vote_start").await["payload"]["vote_id"]).to_owned());
            b.expect("match.vote_start").await;
        }
        a.text(r#"{"type":"match.input","payload":{}}"#).await;
        for client in [&mut a, &mut b] {
            let mut over = Vec::new();
            loop {
                let frame = client.next().await.expect("the connection stands");
                let payload = &frame["payload"];
                match text(&frame["type"]) {
                    "match.vote_result" => {
                        assert_eq!((text(&payload["status"]), text(&payload["reason"])), ("cancelled", "match_died"));
                        over.push(text(&payload["vote_id"]).to_owned());
                    }
                    "match.finished" => {
                        assert_eq!(*payload, json!({"match_id": match_id, "result": {"status": "died"}}));
                        break;
                    }
                    _ => {}
                }
            }
            over.sort();
            votes.sort();
            assert_eq!(over, votes, "both results came before the end");
        }
        assert!(realm.directory.cards().is_empty());
        for client in [&mut a, &mut b] {
            client.send("matchmaker.add", json!({"mode": "smoke"})).await;
            client.expect("matchmaker.queued").await;
        }
        // Both votes, and the match, are on record.
        let bearer = format!("Bearer {}", a.token);
        let headers = [("Authorization", bearer.as_str())];
        let kept = request(&base, "GET", &format!("/api/v1/matches/{match_id}/votes"), &headers, None).await.unwrap();
        assert_eq!(kept.body.matches(r#""status":"cancelled""#).count(), 2, "{}", kept.body);
    });
}

/// Says when it ticks, or is looked at where that takes long too, and takes its time.
struct Ticking {
    seen: Arc<Mutex<Vec<&'static str>>>,
    says: &'static str,
    takes: Duration,
    looks: Duration,
}

impl Game for Ticking {
    fn join(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: Option<&RawValue>) -> Result<(), JoinRefused> {
        Ok(())
    }
    fn leave(&mut self, _: &mut GameCx<'_>, _: PlayerId) {}
    fn input(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: &RawValue) {}
    fn tick(&mut self, _: &mut GameCx<'_>) {
        std::thread::sleep(self.takes);
        self.seen.lock().unwrap().push(self.says);
    }
    fn view(&mut self, _: Option<PlayerId>, out: &mut Vec<u8>) {
        if !self.looks.is_zero() {
            std::thread::sleep(self.looks);
            self.seen.lock().unwrap().push("looked at");
        }
        out.extend_from_slice(b"{}");
    }
}

/// A thread of a quick match at 100 Hz and of many others, and what is seen there.
struct OneThread {
    seen: Arc<Mutex<Vec<&'static str>>>,
    server: Background,
}

impl OneThread {
    /// The others take so long to be made, for a tick, of which they have `hz`, and to be looked at.
    fn new(made: Duration, hz: u32, ticks: Duration, looks: Duration) -> Self {
        let config = support::config(|config| {
            for (name, hz) in [("quick", 100), ("slow", hz)] {
                config.modes.insert(name.into(), Mode { game: name.into(), tick_hz: hz, ..Mode::default() });
            }
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        let games = move |mode: &Mode, _| {
            let quick = mode.game == "quick";
            if !quick {
                std::thread::sleep(made);
                told.lock().unwrap().push("made");
            }
            let says = if quick { "quick" } else { "slow" };
            let [takes, looks] = if quick { [Duration::ZERO; 2] } else { [ticks, looks] };
            Ok(Box::new(Ticking { seen: told.clone(), says, takes, looks }) as Box<dyn Game>)
        };
        let server = in_background_with(config, Threads { workers: 1, arbiters: 1 }, Arc::new(games)).unwrap();
        let this = Self { seen, server };
        this.start("quick");
        // It is quick when it has shown so.
        this.until(|seen| count(seen, "quick") > 30);
        this.seen.lock().unwrap().clear();
        this
    }

    fn start(&self, mode: &str) {
        let order = MatchOrder {
            mode: mode.into(),
            private: false,
            matched: Vec::new(),
            bots: 2,
            promised: 0,
            queued: None,
            insists: true,
        };
        assert!(self.server.realm.start_match(order).is_ok());
    }

    fn until(&self, done: impl Fn(&[&str]) -> bool) {
        let began = Instant::now();
        while !done(&self.seen.lock().unwrap()) {
            assert!(began.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn count(seen: &[&str], what: &str) -> usize {
    seen.iter().filter(|event| **event == what).count()
}

/// The most of them that came before the quick match ticked again.
fn in_a_row(seen: &[&str]) -> usize {
    seen.split(|event| *event == "quick").map(<[_]>::len).max().unwrap_or(0)
}

/// A queue that pairs sixty matches at once, each of a game that takes a while to be made, must not make those that play
/// wait for all of them.
#[test]
fn between_two_matches_that_are_made_others_may_tick() {
    const MADE: usize = 60;
    let thread = OneThread::new(Duration::from_millis(5), 1, Duration::ZERO, Duration::ZERO);
    for _ in 0..MADE {
        thread.start("slow");
    }
    thread.until(|seen| count(seen, "made") == MADE);
    let seen = thread.seen.lock().unwrap().clone();
    // Two of them take a tick's time. A machine that stalls may let a few more through, and not all of them.
    assert!(in_a_row(&seen) < MADE / 3, "{seen:?}");
}

/// More slow matches than their thread has time for: a quick one waits for one tick of theirs at a time, not for all.
#[test]
fn between_two_slow_ticks_whoever_is_quick_may_tick() {
    let thread = OneThread::new(Duration::ZERO, 20, Duration::from_millis(20), Duration::ZERO);
    for _ in 0..8 {
        thread.start("slow");
    }
    thread.until(|seen| count(seen, "slow") >= 60);
    let seen = thread.seen.lock().unwrap().clone();
    // A match that fell behind runs up to four ticks at once.
    let all_made = seen.iter().rposition(|event| *event == "made").unwrap();
    assert!(in_a_row(&seen[all_made..]) <= 5, "{seen:?}");
}

/// What slow matches do between their ticks is lined up as their ticks are: who joins or looks at a dozen of them at once
/// keeps a quick neighbour waiting for one of them at a time.
#[test]
fn between_two_slow_matches_that_are_looked_at_whoever_is_quick_may_tick() {
    const LOOKED_AT: usize = 12;
    let thread = OneThread::new(Duration::ZERO, 20, Duration::ZERO, Duration::from_millis(20));
    for _ in 0..LOOKED_AT {
        thread.start("slow");
    }
    // They are quick by their ticks, and the first look says that they are not.
    thread.until(|seen| count(seen, "slow") > 40 * LOOKED_AT);
    let looks = |rounds: usize| {
        for card in thread.server.realm.directory.cards() {
            card.addr.do_send(Command::Describe(tokio::sync::oneshot::channel().0));
        }
        thread.until(|seen| count(seen, "looked at") == LOOKED_AT * rounds);
    };
    looks(1);
    thread.seen.lock().unwrap().clear();
    looks(1);
    looks(2);
    looks(3);
    let mut seen = thread.seen.lock().unwrap().clone();
    // Their ticks take no time.
    seen.retain(|event| *event != "slow");
    assert!(in_a_row(&seen) <= 5, "{seen:?}");
}
