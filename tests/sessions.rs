//! Sessions that survive: what a client that lost its connection finds when it comes back, over real sockets.

mod support;

use serde_json::{Value, json};
use support::{Client, pair, run, server, stranger};
use tessera::actors::matches::{Leave, Parting};
use tessera::actors::matchmaker::{TakeUp, WithdrawPlayer};
use tessera::actors::sessions::Inbound;
use tessera::client::{Base, request};
use tessera::engine::modes::{Matchmaking, Mode, Players, ScheduledVote};
use tessera::ids::{MatchId, PlayerId, SessionId};
use tessera::store::rows::BanRow;
use tessera::wire;

/// Signs in as whoever `of` was and asks for its session, as a client that says it has `received` counted frames.
async fn come_back(base: &Base, of: &Client, received: u64) -> (Client, Value) {
    let mut client = stranger(base).await;
    let resume = json!({"session_id": of.session, "received": received});
    client.send("session.connect", json!({"token": of.token, "resume": resume})).await;
    let connected = client.next().await.expect("an answer");
    assert_eq!(connected["type"], "session.connected", "{connected}");
    client.player.clone_from(&of.player);
    client.token.clone_from(&of.token);
    client.session = connected["payload"]["session_id"].as_str().unwrap_or_default().to_owned();
    (client, connected)
}

#[test]
fn a_client_that_cannot_be_told_what_it_missed_is_told_where_it_stands() {
    let server = server(|config| {
        let vote = json!({
            "template": "map", "options": [{"id": "a"}, {"id": "b"}], "method": "plurality", "window_ms": 600_000,
            "visibility": "live",
        });
        let vote = ScheduledVote { when: "start".into(), vote: vote.as_object().unwrap().clone() };
        let mode = Mode { game: "builtin:bench".into(), votes: vec![vote], ..Mode::default() };
        config.modes.insert("voting".into(), mode);
    });
    let base = Base::from(server.addr);
    run(async move {
        let (mut ann, mut bob, match_id) = pair(&base, "voting").await;
        let vote = ann.expect("match.vote_start").await["payload"]["vote_id"].clone();
        ann.send("vote.cast", json!({"vote_id": vote, "option_id": "b"})).await;
        ann.expect("vote.cast_ok").await;
        for client in [&mut ann, &mut bob] {
            client.send("chat.join", json!({"channel_id": "lobby"})).await;
            client.expect("chat.joined").await;
        }
        bob.send("chat.send", json!({"channel_id": "lobby", "content": "before"})).await;
        ann.expect("chat.message").await;

        // More than it can have received: the ring is of no use, and the client is told everything anew.
        let (mut ann, connected) = come_back(&base, &ann, 10_000).await;
        assert_eq!(connected["payload"]["resumed"], false);
        let snapshot = ann.next().await.expect("a frame");
        assert_eq!(snapshot["type"], "session.snapshot", "nothing comes before it: {snapshot}");
        let snapshot = &snapshot["payload"];
        assert_eq!(snapshot["matches"][0]["match_id"], match_id.as_str());
        let open = &snapshot["matches"][0]["open_votes"][0];
        assert_eq!((&open["vote_id"], &open["own_ballot"]), (&vote, &json!("b")), "{open}");
        assert!(open["deadline_ms"].is_u64(), "{open}");
        assert_eq!(snapshot["channels"][0]["channel_id"], "lobby");
        assert_eq!(snapshot["channels"][0]["history"][0]["content"], "before");
        assert_eq!(snapshot["tickets"], json!([]));

        // It goes on in the channel and in the match, where nobody saw it go.
        bob.send("chat.send", json!({"channel_id": "lobby", "content": "after"})).await;
        assert_eq!(ann.expect("chat.message").await["payload"]["content"], "after");
        ann.expect("match.state").await;
        assert!(bob.heard_of("match.player_disconnected").await.is_empty());

        // A ticket keeps its wait.
        let mut cid = Client::new(&base, "cid").await;
        cid.send("matchmaker.add", json!({"mode": "demo"})).await;
        let ticket = cid.expect("matchmaker.queued").await["payload"]["ticket_id"].clone();
        let (mut cid, _) = come_back(&base, &cid, 10_000).await;
        let snapshot = cid.next().await.expect("a frame")["payload"].clone();
        assert_eq!(snapshot["tickets"][0]["ticket_id"], ticket);
        assert_eq!(
            (&snapshot["tickets"][0]["mode"], &snapshot["tickets"][0]["status"]),
            (&json!("demo"), &json!("pending"))
        );
        assert!(snapshot["tickets"][0]["waited_ms"].is_u64());
    });
}

#[test]
fn a_request_that_is_sent_again_after_a_resume_is_done_and_answered_once() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut bob = Client::new(&base, "bob").await;
        let mut ann = Client::new(&base, "ann").await;
        for client in [&mut ann, &mut bob] {
            client.send("chat.join", json!({"channel_id": "lobby"})).await;
            client.expect("chat.joined").await;
        }
        // Sent, done, and lost before the answer was read.
        let said = json!({"type": "chat.send", "cid": 7, "payload": {"channel_id": "lobby", "content": "once"}});
        let said = said.to_string();
        ann.text(&said).await;
        bob.expect("chat.message").await;
        let before = ann;
        let (mut ann, connected) = come_back(&base, &before, 1).await;
        assert_eq!(connected["payload"]["resumed"], true);
        ann.text(&said).await;
        ann.send("chat.send", json!({"channel_id": "lobby", "content": "last"})).await;
        bob.expect_where("chat.message", |payload| payload["content"] == "last").await;
        assert!(bob.heard_of("chat.message").await.is_empty(), "it was said once");
        ann.expect_where("chat.message", |payload| payload["content"] == "last").await;
        ann.expect("chat.sent").await;
        let answers = ann.heard_of("chat.sent").await;
        assert_eq!(answers.len(), 1, "one answer to each: {answers:?}");

        // A client with one cid for everything: what it has had its answer to is a new request.
        let list = json!({"type": "match.list", "cid": 1, "payload": {}}).to_string();
        ann.text(&list).await;
        ann.expect("match.list").await;
        // chat.joined, the two messages, their two answers, and this list.
        let before = ann;
        let (mut ann, connected) = come_back(&base, &before, 6).await;
        assert_eq!(connected["payload"]["resumed"], true);
        ann.text(&list).await;
        assert_eq!(ann.expect("match.list").await["cid"], 1);
    });
}

#[test]
fn with_one_cid_for_everything_each_request_that_comes_again_finds_its_own_answer() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut ann, mut bob) = (Client::new(&base, "ann").await, Client::new(&base, "bob").await);
        for client in [&mut ann, &mut bob] {
            client.send("chat.join", json!({"channel_id": "lobby"})).await;
            client.expect("chat.joined").await;
        }
        let said = |content: &'static str| move |payload: &Value| payload["content"] == content;
        let say = |content: &str| ("chat.send", json!({"channel_id": "lobby", "content": content}));
        // Of each two the answer to the first was read, and that to the second was lost with the connection.
        let mut received = 1;
        for ((kind, first), answer, second) in [
            (("match.list", json!({})), "match.list", "behind a list"),
            (say("one"), "chat.sent", "two"),
            (say("same"), "chat.sent", "same"),
        ] {
            let again = json!({"type": "chat.send", "cid": 1, "payload": say(second).1}).to_string();
            ann.text(&json!({"type": kind, "cid": 1, "payload": first}).to_string()).await;
            ann.text(&again).await;
            loop {
                received += 1;
                if ann.next().await.expect("a frame")["type"] == answer {
                    break;
                }
            }
            for content in first["content"].as_str().into_iter().chain([second]) {
                bob.expect_where("chat.message", |payload| payload["content"] == content).await;
            }
            let (back, connected) = come_back(&base, &ann, received).await;
            assert_eq!(connected["payload"]["resumed"], true);
            ann = back;
            ann.text(&again).await;
            ann.send("chat.send", say("end").1).await;
            bob.expect_where("chat.message", said("end")).await;
            assert!(bob.heard_of("chat.message").await.is_empty(), "{second} was said once");
            let mut answers = 0;
            loop {
                received += 1;
                let frame = ann.next().await.expect("a frame");
                answers += u32::from(frame["cid"] == 1);
                if frame["cid"] == "chat.send" {
                    break;
                }
            }
            assert_eq!(answers, 1, "and answered once");
        }
    });
}

#[test]
fn no_input_is_taken_for_one_that_came_before_the_connection_was_lost() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut ann, _bob, _) = pair(&base, "bench").await;
        let input = json!({"type": "match.input", "cid": 1, "payload": {"move_x": 1}}).to_string();
        for seen in [3, 6] {
            for _ in 0..3 {
                ann.text(&input).await;
            }
            let player = ann.player.clone();
            ann.expect_where("match.state", |state| state["players"][&player]["inputs_seen"] == seen).await;
            let (back, connected) = come_back(&base, &ann, 0).await;
            assert_eq!(connected["payload"]["resumed"], true);
            ann = back;
        }
    });
}

#[test]
fn a_session_that_was_taken_over_from_can_no_longer_leave_the_match() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let (mut ann, mut bob, match_id) = pair(&base, "arena").await;
        let card = realm.directory.card(match_id.parse().unwrap()).expect("it lives");
        let player: PlayerId = ann.player.parse().unwrap();
        let older: SessionId = realm.make(SessionId::new);
        let leave = |session| Leave { player, session: Some(session), why: Parting::Asked, reply: None, turn: None };
        card.addr.send(leave(older)).await.expect("it is handled");
        assert!(bob.heard_of("match.player_left").await.is_empty());
        assert!(realm.is_in_match(player, card.match_id));
        ann.expect("match.state").await;
        card.addr.send(leave(ann.session.parse().unwrap())).await.expect("it is handled");
        assert_eq!(bob.expect("match.player_left").await["payload"]["player_id"], ann.player.as_str());
    });
}

/// Seats and tickets belong to actors that know nothing of each other.
#[test]
fn what_is_asked_in_one_breath_is_done_and_answered_in_order() {
    let server = server(|config| {
        let hall = Mode {
            game: "builtin:bench".into(),
            create: true,
            quick_play: true,
            players: Players { min: 1, max: 4 },
            ..Mode::default()
        };
        config.modes.insert("hall".into(), hall);
        (config.limits.joins_per_min, config.limits.frames_per_s) = (100_000, 100_000);
    });
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        // Somebody plays, so that quick play finds a match; it is made in another thread than the others.
        let mut host = Client::new(&base, "host").await;
        host.send("match.create", json!({"mode": "hall"})).await;
        let hosted = host.expect("match.joined").await["payload"]["match_id"].clone();
        let ask = |what: char| match what {
            'c' => ("match.create", json!({"mode": "hall"}), "match.joined"),
            'f' => ("match.find_or_create", json!({"mode": "hall"}), "match.joined"),
            'j' => ("match.join", json!({"match_id": hosted}), "match.joined"),
            'q' => ("matchmaker.add", json!({"mode": "demo"}), "matchmaker.queued"),
            'l' => ("match.leave", json!({}), "match.left"),
            'm' => ("chat.join", json!({"channel_id": format!("match:{}", hosted.as_str().unwrap())}), "chat.joined"),
            other => unreachable!("{other}"),
        };
        let mut ann = Client::new(&base, "ann").await;
        let player: PlayerId = ann.player.parse().unwrap();
        for breath in ["clq", "flflf", "jlflc", "clfljlcl", "fljm", "lflclq", "qlf", "jm"].repeat(12) {
            for (number, what) in breath.chars().enumerate() {
                let (kind, payload, _) = ask(what);
                ann.text(&json!({"type": kind, "cid": format!("{number}"), "payload": payload}).to_string()).await;
            }
            let (mut seated, mut queued) = (false, false);
            for (number, what) in breath.chars().enumerate() {
                let answer = loop {
                    let frame = ann.next().await.expect("it is answered");
                    if frame["cid"].is_string() {
                        break frame;
                    }
                };
                assert_eq!(answer["cid"], format!("{number}"), "{breath}: {answer}");
                assert_eq!(answer["type"], ask(what).2, "{breath}: {answer}");
                (seated, queued) = match what {
                    'c' | 'f' | 'j' => (true, false),
                    'l' => (false, queued),
                    'q' => (seated, true),
                    _ => (seated, queued),
                };
            }
            assert_eq!(realm.directory.seat(player).is_some(), seated, "{breath}");
            ann.send("match.leave", json!({})).await;
            ann.expect("match.left").await;
            ann.send("matchmaker.add", json!({"mode": "demo"})).await;
            let waits = ann.expect("matchmaker.queued").await["payload"].clone();
            assert_eq!(waits["already_queued"], queued, "{breath}");
            ann.send("matchmaker.remove", json!({"ticket_id": waits["ticket_id"]})).await;
            ann.expect_where("matchmaker.removed", |removed| removed["ticket_id"].is_null()).await;
            ann.heard_of("match.state").await;
        }
    });
}

/// The queue claims a seat before it is told: a leave right behind the ticket finds it, in a new match and in one that plays.
#[test]
fn a_leave_right_behind_a_ticket_leaves_the_seat_that_the_queue_gives() {
    let server = server(|config| {
        for (name, backfill) in [("pairs", false), ("hall", true)] {
            let mode = Mode {
                game: "builtin:bench".into(),
                quick_play: true,
                players: Players { min: 1, max: 4 },
                matchmaking: Matchmaking { size: Some(2), backfill, ..Matchmaking::default() },
                ..Mode::default()
            };
            config.modes.insert(name.into(), mode);
        }
        (config.limits.joins_per_min, config.limits.frames_per_s) = (100_000, 100_000);
    });
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let mut host = Client::new(&base, "host").await;
        host.send("match.find_or_create", json!({"mode": "hall"})).await;
        host.expect("match.started").await;
        for (mode, round) in (0..20).map(|round| ("pairs", round)).chain((0..20).map(|round| ("hall", round))) {
            let (mut ann, mut bob) = (Client::new(&base, &format!("a{mode}{round}")).await, None);
            let player: PlayerId = ann.player.parse().unwrap();
            if mode == "pairs" {
                let mut other = Client::new(&base, &format!("b{round}")).await;
                other.send("matchmaker.add", json!({"mode": mode})).await;
                other.expect("matchmaker.queued").await;
                bob = Some(other);
            }
            for (cid, kind, payload) in
                [("queue", "matchmaker.add", json!({"mode": mode})), ("leave", "match.leave", json!({}))]
            {
                ann.text(&json!({"type": kind, "cid": cid, "payload": payload}).to_string()).await;
            }
            let mut is_matched = false;
            loop {
                let frame = ann.next().await.expect("it is answered");
                is_matched |= frame["type"] == "match.matched";
                if frame["cid"] == "leave" {
                    break;
                }
            }
            // A match that plays may ask for somebody after the leave: then she is seated after it.
            assert!(mode == "hall" || is_matched, "{mode} {round}");
            assert!(!is_matched || realm.directory.seat(player).is_none(), "{mode} {round}");
            ann.close().await;
            if let Some(bob) = bob {
                bob.close().await;
            }
            realm.matchmaker().try_send(WithdrawPlayer { player }).expect("it has room");
        }
    });
}

/// A game may take its time to refuse a join, and the seat is claimed meanwhile.
#[test]
fn a_join_that_comes_to_nothing_costs_nobody_a_ticket() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        for (first, second, is_told) in [("ann", "bob", true), ("cid", "dan", false)] {
            let (mut ann, mut bob) = (Client::new(&base, first).await, Client::new(&base, second).await);
            let player: PlayerId = ann.player.parse().unwrap();
            ann.send("matchmaker.add", json!({"mode": "demo"})).await;
            let ticket = ann.expect("matchmaker.queued").await["payload"]["ticket_id"].as_str().unwrap().to_owned();
            let elsewhere = realm.make(MatchId::new);
            realm.directory.claim_seat(player, elsewhere).expect("she has none");
            bob.send("matchmaker.add", json!({"mode": "demo"})).await;
            bob.expect("matchmaker.queued").await;
            let bearer = format!("Bearer {}", ann.token);
            let path = format!("/api/v1/matchmaker/{ticket}");
            let answer = request(&base, "GET", &path, &[("Authorization", &bearer)], None).await.unwrap();
            let waits: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(waits["why"]["code"], "seating", "{waits}");
            realm.directory.release_seat(player, elsewhere);
            if is_told {
                realm.matchmaker().try_send(TakeUp(player)).expect("it has room");
            }
            let matched = ann.expect("match.matched").await["payload"].clone();
            assert_eq!(bob.expect("match.matched").await["payload"], matched);
        }
    });
}

#[test]
fn every_command_is_answered_though_the_channel_is_not_there_yet() {
    // Twelve rounds in a row are more than a player's share of a channel.
    let server = server(|config| config.chat.per_player_per_s = 0);
    let base = Base::from(server.addr);
    run(async move {
        let mut ann = Client::new(&base, "ann").await;
        for round in 0..12 {
            let nobody = "00000000-0000-7000-8000-000000000001";
            let lobby = |more: Value| {
                let mut payload = json!({"channel_id": "lobby"});
                payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                payload
            };
            // All at once, and the channel begins anew each round: nobody else is in it.
            ann.send("chat.join", lobby(json!({}))).await;
            ann.send("chat.typing", lobby(json!({}))).await;
            ann.send("chat.edit", lobby(json!({"message_id": nobody, "content": "x"}))).await;
            ann.send("chat.delete", lobby(json!({"message_id": nobody}))).await;
            ann.send("chat.send", lobby(json!({"content": "hello"}))).await;
            ann.send("chat.leave", lobby(json!({}))).await;
            ann.send("chat.send", lobby(json!({"content": "too late"}))).await;
            ann.send("chat.leave", lobby(json!({}))).await;
            let answers = answers(&mut ann, 7).await;
            let expected = [
                ("chat.join", None),
                ("chat.edit", Some("not_found")),
                ("chat.delete", Some("not_found")),
                ("chat.send", None),
                ("chat.leave", None),
                ("chat.send", Some("not_authorized")),
                ("chat.leave", None),
            ];
            let expected = expected.map(|(cid, reason)| (json!(cid), json!(reason)));
            assert_eq!(answers, expected, "round {round}");
        }
    });
}

/// The next answers: to what, and why not if it was refused.
async fn answers(client: &mut Client, how_many: usize) -> Vec<(Value, Value)> {
    let mut answers = Vec::new();
    while answers.len() < how_many {
        let frame = client.next().await.expect("a frame");
        if !frame["cid"].is_null() {
            answers.push((frame["cid"].clone(), frame["payload"]["reason"].clone()));
        }
    }
    answers
}

#[test]
fn a_client_with_one_cid_for_everything_knows_which_of_its_messages_was_refused() {
    let server = server(|config| config.chat.slow_mode_s = 3_600);
    let base = Base::from(server.addr);
    run(async move {
        let (mut ann, mut bob) = (Client::new(&base, "ann").await, Client::new(&base, "bob").await);
        ann.send("chat.join", json!({"channel_id": "lobby"})).await;
        ann.expect("chat.joined").await;
        // The first waits for the store; why the others are not said is known at once.
        for content in ["one", "two", ""] {
            ann.send("chat.send", json!({"channel_id": "lobby", "content": content})).await;
        }
        let why = async |client: &mut Client, how_many| -> Vec<Value> {
            answers(client, how_many).await.into_iter().map(|(_, why)| why).collect()
        };
        assert_eq!(why(&mut ann, 3).await, [json!(null), json!("slow_mode"), json!("content_empty")]);

        let nobody = "00000000-0000-7000-8000-000000000001";
        for (to, content) in [(bob.player.as_str(), "one"), (&bob.player, ""), (nobody, "two"), (&bob.player, "three")]
        {
            ann.send("dm.send", json!({"recipient_id": to, "content": content})).await;
        }
        assert_eq!(
            why(&mut ann, 4).await,
            [json!(null), json!("content_empty"), json!("player_not_found"), json!("slow_mode")]
        );
        assert_eq!(bob.expect("dm.message").await["payload"]["content"], "one");
    });
}

#[test]
fn leaving_says_whether_there_could_be_such_a_channel() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let mut ann = Client::new(&base, "ann").await;
        for nonsense in ["", "nowhere", "match:7", "dm:me:you", "global:unheard"] {
            assert_eq!(
                ann.refused("chat.leave", json!({"channel_id": nonsense})).await,
                "invalid_channel_id",
                "{nonsense}"
            );
        }
        // Not being in it is no mistake.
        for channel in ["lobby", "room:red"] {
            ann.send("chat.leave", json!({"channel_id": channel})).await;
            assert_eq!(ann.expect("chat.left").await["payload"]["channel_id"], channel);
        }
    });
}

#[test]
fn a_socket_that_was_replaced_is_heard_no_more() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let mut ann = Client::new(&base, "ann").await;
        ann.send("chat.join", json!({"channel_id": "lobby"})).await;
        ann.expect("chat.joined").await;
        // What a socket read before it was replaced comes when the client has said it again over the new one.
        let said = r#"{"type": "chat.send", "cid": 1, "payload": {"channel_id": "lobby", "content": "twice?"}}"#;
        let session = realm.directory.member(ann.player.parse().unwrap()).expect("she is here").session;
        let request = wire::decode(said).expect("it is a request");
        let late = Inbound { opened: realm.next_number(), request, received_ms: 0, print: None };
        session.send(late).await.expect("it is handled");
        ann.text(said).await;
        ann.expect("chat.sent").await;
        ann.expect("chat.message").await;
        assert!(ann.heard_of("chat.message").await.is_empty(), "it was said once");
    });
}

#[test]
fn a_ban_that_lands_while_its_player_signs_in_ends_the_session_all_the_same() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let ann = Client::new(&base, "ann").await;
        let (player, token) = (ann.player.clone(), ann.token.clone());
        ann.close().await;
        let player: PlayerId = player.parse().unwrap();
        // What her first sign-in still asks of the store is not counted below.
        while realm.store.stats().queue_len > 0 {
            tokio::task::yield_now().await;
        }
        // The store stands still: the look at the token is in its queue, and the ban behind it.
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        realm.store.player(player, Box::new(move |_| wait.recv().expect("it goes on")));
        let mut again = stranger(&base).await;
        again.send("session.connect", json!({"token": token})).await;
        while realm.store.stats().queue_len < 2 {
            tokio::task::yield_now().await;
        }
        let ban = BanRow { player_id: player, reason: "cheating".into(), until_unix_ms: None, created_unix_ms: 0 };
        // Whoever bans finds no session to end: it has not begun yet.
        realm.store.ban(ban, Box::new(|banned| assert!(matches!(banned, Ok(Some(_))))));
        go_on.send(()).expect("the store waits");
        assert_eq!(again.next().await.expect("an answer")["type"], "session.connected", "the token was good");
        let told = again.next().await.expect("a frame");
        assert_eq!((&told["type"], &told["payload"]["reason"]), (&json!("error"), &json!("banned")), "{told}");
        assert_eq!(told["payload"]["error"]["details"]["reason"], "cheating");
        assert!(again.next().await.is_none(), "and the socket is closed");
    });
}

#[test]
fn a_session_ends_with_the_sign_in_it_came_by_last() {
    let server = server(|_| {});
    let base = Base::from(server.addr);
    run(async move {
        let credentials = json!({"username": "ann_two", "password": "ann_pw_12345"}).to_string();
        let account = async |path: &str| -> Value {
            let answer = request(&base, "POST", path, &[], Some(&credentials)).await.expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.body);
            serde_json::from_str(&answer.body).expect("JSON")
        };
        let first = account("/api/v1/auth/register").await;
        let second = account("/api/v1/auth/login").await;
        let sign_out = async |account: &Value| {
            let bearer = format!("Bearer {}", account["access_token"].as_str().unwrap());
            let body = json!({"refresh_token": account["refresh_token"]}).to_string();
            let headers = [("Authorization", bearer.as_str())];
            request(&base, "POST", "/api/v1/auth/logout", &headers, Some(&body)).await.expect("an answer");
        };
        let mut client = stranger(&base).await;
        for account in [&first, &second] {
            client.send("session.connect", json!({"token": account["access_token"]})).await;
            client.expect("session.connected").await;
        }
        sign_out(&first).await;
        client.send("session.heartbeat", json!({})).await;
        client.expect("session.heartbeat").await;
        sign_out(&second).await;
        assert_eq!(client.expect("error").await["payload"]["reason"], "session_revoked");

        // So it is after a resume by another sign-in.
        let third = account("/api/v1/auth/login").await;
        let fourth = account("/api/v1/auth/login").await;
        let mut before = stranger(&base).await;
        before.send("session.connect", json!({"token": third["access_token"]})).await;
        let connected = before.expect("session.connected").await;
        let mut client = stranger(&base).await;
        let resume = json!({"session_id": connected["payload"]["session_id"], "received": 0});
        client.send("session.connect", json!({"token": fourth["access_token"], "resume": resume})).await;
        assert_eq!(client.expect("session.connected").await["payload"]["resumed"], true);
        sign_out(&third).await;
        client.send("session.heartbeat", json!({})).await;
        client.expect("session.heartbeat").await;
        sign_out(&fourth).await;
        assert_eq!(client.expect("error").await["payload"]["reason"], "session_revoked");
    });
}

#[test]
fn a_group_that_shrinks_before_it_is_seated_goes_back_in_its_turn() {
    let server = server(|config| {
        let matchmaking = Matchmaking { size: Some(3), ..Matchmaking::default() };
        let players = Players { min: 3, max: 3 };
        let mode = Mode { game: "builtin:bench".into(), players, matchmaking, ..Mode::default() };
        config.modes.insert("trio".into(), mode);
    });
    let base = Base::from(server.addr);
    let realm = server.realm.clone();
    run(async move {
        let mut waiting = Vec::new();
        for name in ["ann", "bob"] {
            let mut client = Client::new(&base, name).await;
            client.send("matchmaker.add", json!({"mode": "trio"})).await;
            client.expect("matchmaker.queued").await;
            waiting.push(client);
        }
        // Bob finds a seat elsewhere at the very moment in which the group is made.
        let elsewhere = realm.make(tessera::ids::MatchId::new);
        let bob: PlayerId = waiting[1].player.parse().unwrap();
        realm.directory.claim_seat(bob, elsewhere).expect("he has none");
        for name in ["cid", "dan"] {
            let mut client = Client::new(&base, name).await;
            client.send("matchmaker.add", json!({"mode": "trio"})).await;
            client.expect("matchmaker.queued").await;
            waiting.push(client);
        }
        // The seat is really his: that is what his session says then.
        realm.matchmaker().try_send(WithdrawPlayer { player: bob }).expect("it has room");
        waiting[1].expect("matchmaker.removed").await;
        let ids = [&waiting[0].player, &waiting[2].player, &waiting[3].player].map(Clone::clone);
        for nth in [0, 2, 3] {
            let matched = waiting[nth].expect("match.matched").await;
            assert_eq!(matched["payload"]["players"], json!(ids), "in the order in which they came");
        }
        assert!(waiting[1].heard_of("match.matched").await.is_empty());
    });
}
