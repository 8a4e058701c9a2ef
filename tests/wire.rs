//! The wire as strangers read it: every frame of both directions is decoded into its type and written back identical,
//! every message answers bad input with its documented error and the cid, and what existing clients were promised is
//! still there.
//!
//! `tests/fixtures/wire/`: `client` and `server` hold one file per frame and variant (`type+variant.json`); `seed` the
//! bytes a client of the April-2026 dialect gets where they differ; `promised` and `asked` what the documentation of
//! each dialect says that a client may rely on, and may send.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tessera::engine::votes::pools::Weigh;
use tessera::engine::votes::told::VoteEffect;
use tessera::engine::votes::vote::{Viewer, Vote, VoteOpen};
use tessera::engine::votes::{BallotKind, METHODS, VoteConfig};
use tessera::ids::{MatchId, PlayerId};
use tessera::wire::client::{self, Incoming};
use tessera::wire::frame::{Lane, SlotKind};
use tessera::wire::matches::{self, EventFault, event_frame, state_frame};
use tessera::wire::messages::PUSHES;
use tessera::wire::votes::OpenVote;
use tessera::wire::{Cid, Dialect, MESSAGES, Reason, Refused, Request, ServerMsg, decode, envelope};

/// The fixtures of a folder: `type+variant` and text.
fn fixtures(folder: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire").join(folder);
    let found: BTreeMap<_, _> = fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| entry.unwrap().path())
        .map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            (name.strip_suffix(".json").unwrap().to_owned(), fs::read_to_string(&file).unwrap().trim_end().to_owned())
        })
        .collect();
    assert!(!found.is_empty());
    found
}

fn kind(name: &str) -> &str {
    name.split('+').next().unwrap()
}

/// Reads a message whether or not this build serves it: the contract does not wait.
fn read(text: &str) -> Result<Request, Refused> {
    envelope(text)?.message_when_served()
}

#[test]
fn client_frames_are_read_and_written_back_identical() {
    let mut seen = BTreeSet::new();
    for (name, text) in fixtures("client") {
        let request = read(&text).unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
        assert_eq!(request.msg.kind(), kind(&name));
        assert_eq!(request.msg.encode(request.cid.as_ref(), request.seq), text, "{name}");
        seen.insert(request.msg.kind());
    }
    let known: BTreeSet<_> = MESSAGES.iter().map(|row| row.name).collect();
    assert_eq!(seen, known, "a fixture for every message a client may send");
}

#[test]
fn server_frames_are_read_and_written_back_identical() {
    let mut seen = BTreeSet::new();
    for (name, text) in fixtures("server") {
        let (cid, msg) = client::decode(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(msg.kind(), kind(&name));
        assert!(!matches!(msg, ServerMsg::Unknown { .. }), "{name}");
        assert_eq!(msg.encode(cid.as_ref()), text, "{name}");
        if let Some(frame) = msg.frame(cid.as_ref()) {
            assert_eq!(frame.text(Dialect::Latest), text.as_str(), "{name}");
            // Client and server count the same frames, or a resume loses some.
            let counted = Incoming::read(&text).unwrap().is_counted();
            assert_eq!(frame.lane == Lane::Counted, counted, "{name} {:?}", frame.lane);
            if let Lane::Latest(slot, _) = frame.lane {
                assert!(SlotKind::ALL.contains(&(slot, kind(&name))), "{name} waits in the slot {slot:?}");
            }
        }
        seen.insert(kind(&name).to_owned());
    }
    for kind in PUSHES.iter().copied().chain(["match.state"]) {
        assert!(seen.contains(kind), "no fixture of {kind}");
    }
}

#[test]
fn the_dialects_differ_in_sent_at_alone() {
    let seed = fixtures("seed");
    for (name, text) in fixtures("server") {
        let (cid, msg) = client::decode(&text).unwrap();
        let Some(frame) = msg.frame(cid.as_ref()) else { continue };
        let ours = frame.text(Dialect::Seed202604);
        match seed.get(&name) {
            Some(theirs) => {
                assert_eq!(ours, theirs.as_str(), "{name}");
                assert_ne!(*ours, text, "{name} needs no seed fixture");
                assert!(text.contains("\"sent_at\":1776"), "{name}");
                // A client that reads either form learns the same second.
                assert!(client::decode(ours).is_ok(), "{name}");
            }
            None => {
                assert_eq!(frame.seed, None, "{name}: one buffer serves both dialects");
                assert!(!text.contains("\"sent_at\""), "{name} lacks its seed fixture");
            }
        }
    }
}

/// What a game, a sender or an option list fills in as it likes: only its kind is promised.
const FREE: &[&str] = &[
    "payload.result",
    "payload.players",
    "payload.content",
    "payload.counts",
    "payload.tallies",
    "payload.distribution",
    "payload.error.details",
];

/// Whether `ours` has everything that `theirs` has, with values of the same kind. `at` names the place.
fn keeps(name: &str, ours: &Value, theirs: &Value, at: &str) {
    assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(theirs), "{name}: {at}: {ours} for {theirs}");
    match (ours, theirs) {
        _ if FREE.contains(&at) => {}
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                // A script sends any value as its message.
                if at == "payload.message" {
                    continue;
                }
                keeps(name, ours.get(key).unwrap_or_else(|| panic!("{name}: {at} was promised")), value, &at);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if let (Some(mine), Some(value)) = (ours.first(), theirs.first()) {
                keeps(name, mine, value, &format!("{at}[0]"));
            }
        }
        _ => {}
    }
}

#[test]
fn what_existing_clients_were_promised_is_still_there() {
    let ours = fixtures("server");
    for (folder, dialect) in [("promised/2026-04", Dialect::Seed202604), ("promised/latest", Dialect::Latest)] {
        for (name, theirs) in fixtures(folder) {
            let text = ours.get(&name).unwrap_or_else(|| panic!("{folder} {name}: no such frame any more"));
            let (cid, msg) = client::decode(text).unwrap();
            let text = msg.frame(cid.as_ref()).map_or_else(|| text.clone(), |frame| frame.text(dialect).to_string());
            let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            keeps(&name, &parse(&text), &parse(&theirs), "");
        }
    }
}

#[test]
fn what_existing_clients_send_is_understood() {
    for folder in ["asked/2026-04", "asked/latest"] {
        for (name, text) in fixtures(folder) {
            let request = read(&text).unwrap_or_else(|refused| panic!("{folder} {name}: {refused:?}"));
            assert_eq!(request.msg.kind(), kind(&name));
        }
    }
}

/// type, payload, and what is said: the flat word, then the field it names.
const WRONG: &[(&str, &str, &str)] = &[
    ("session.connect", "{}", "missing_field token"),
    ("session.connect", r#"{"token":7}"#, "invalid_field token"),
    ("session.connect", r#"{"token":null}"#, "invalid_field token"),
    ("session.connect", r#"{"token":"t","dialect":"2025-01"}"#, "invalid_field dialect"),
    ("session.connect", r#"{"token":"t","dialect":7}"#, "invalid_field dialect"),
    ("session.connect", r#"{"token":"t","resume":true}"#, "invalid_field resume"),
    ("session.connect", r#"{"token":"t","resume":{"session_id":"s"}}"#, "invalid_field resume"),
    ("session.connect", r#"{"token":"t","resume":{"session_id":"s","received":-1}}"#, "invalid_field resume"),
    ("session.connect", r#"{"token":"t","wire":{}}"#, "invalid_field wire"),
    ("session.heartbeat", "[]", "invalid_payload"),
    ("match.list", r#"{"mode":7}"#, "invalid_mode_filter"),
    ("match.list", r#"{"has_capacity":"yes"}"#, "invalid_has_capacity_filter"),
    ("match.list", r#"{"joinable":1}"#, "invalid_joinable_filter"),
    ("match.create", "{}", "missing_field mode"),
    ("match.create", r#"{"mode":[]}"#, "invalid_field mode"),
    ("match.create", r#"{"mode":"m","private":"yes"}"#, "invalid_field private"),
    ("match.create", r#"{"mode":"m","ctx":[]}"#, "invalid_join_ctx"),
    ("match.find_or_create", "{}", "missing_field mode"),
    ("match.find_or_create", r#"{"mode":"m","ctx":7}"#, "invalid_join_ctx"),
    ("match.join", "{}", "missing_field match_id"),
    ("match.join", r#"{"match_id":7}"#, "invalid_field match_id"),
    ("match.join", r#"{"match_id":"nope"}"#, "match_not_found"),
    ("match.join", r#"{"join_code":7}"#, "invalid_field join_code"),
    ("match.join", r#"{"join_code":"K7","as":"judge"}"#, "invalid_field as"),
    ("match.join", r#"{"join_code":"K7","ctx":"x"}"#, "invalid_join_ctx"),
    ("match.join", r#"{"join_code":"K7","ctx":{"":1}}"#, "invalid_join_ctx_key"),
    (
        "match.join",
        r#"{"join_code":"K7","ctx":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}}"#,
        "join_ctx_too_many_keys",
    ),
    (
        "match.join",
        r#"{"join_code":"K7","ctx":{"0123456789012345678901234567890123456789012345678901234567890123x":1}}"#,
        "join_ctx_key_too_long",
    ),
    ("match.join", r#"{"join_code":"K7","ctx":{"a":{}}}"#, "invalid_join_ctx_value"),
    ("match.join", r#"{"join_code":"K7","ctx":{"a":null}}"#, "invalid_join_ctx_value"),
    ("match.join", r#"{"join_code":"K7","ctx":{"a":1.5}}"#, "invalid_join_ctx_value"),
    ("match.input", "7", "invalid_payload"),
    ("match.input", r#"{"data":"not json"}"#, "invalid_payload"),
    ("match.leave", "null", "invalid_payload"),
    ("match.resync", "null", "invalid_payload"),
    ("matchmaker.add", r#"{"mode":7}"#, "invalid_field mode"),
    ("matchmaker.add", r#"{"properties":[]}"#, "invalid_field properties"),
    ("matchmaker.add", r#"{"party":"me"}"#, "invalid_field party"),
    ("matchmaker.add", r#"{"party":[7]}"#, "invalid_field party"),
    ("matchmaker.add", r#"{"party":["nobody"]}"#, "party_member_unavailable"),
    ("matchmaker.remove", "{}", "missing_field ticket_id"),
    ("matchmaker.remove", r#"{"ticket_id":{}}"#, "invalid_field ticket_id"),
    ("matchmaker.remove", r#"{"ticket_id":"nope"}"#, "not_found"),
    ("chat.join", "{}", "missing_field channel_id"),
    ("chat.join", r#"{"channel_id":7}"#, "invalid_field channel_id"),
    ("chat.leave", "{}", "missing_field channel_id"),
    ("chat.send", r#"{"content":"x"}"#, "missing_field channel_id"),
    ("chat.send", r#"{"channel_id":"lobby"}"#, "missing_field content"),
    ("chat.send", r#"{"channel_id":"lobby","content":7}"#, "invalid_field content"),
    ("chat.edit", r#"{"channel_id":"lobby","content":"x"}"#, "missing_field message_id"),
    ("chat.edit", r#"{"channel_id":"lobby","message_id":"nope","content":"x"}"#, "not_found"),
    ("chat.delete", r#"{"channel_id":"lobby"}"#, "missing_field message_id"),
    ("chat.delete", r#"{"channel_id":"lobby","message_id":"nope"}"#, "not_found"),
    ("chat.typing", "{}", "missing_field channel_id"),
    ("dm.send", r#"{"content":"x"}"#, "missing_field recipient_id"),
    ("dm.send", r#"{"recipient_id":"nobody"}"#, "missing_field content"),
    ("dm.send", r#"{"recipient_id":"nobody","content":"x"}"#, "player_not_found"),
    ("vote.cast", "{}", "missing_field vote_id"),
    ("vote.cast", r#"{"vote_id":"v"}"#, "missing_field option_id"),
    ("vote.cast", r#"{"vote_id":7,"option_id":"a"}"#, "invalid_field vote_id"),
    ("vote.cast", r#"{"vote_id":"no such vote","option_id":"a"}"#, "vote_not_found"),
    ("vote.veto", "{}", "missing_field vote_id"),
    ("vote.veto", r#"{"vote_id":""}"#, "vote_not_found"),
    ("vote.call", "{}", "missing_field template"),
    ("vote.call", r#"{"template":"kick","args":[]}"#, "invalid_field args"),
    ("vote.verify", r#"{"receipt":"r"}"#, "missing_field vote_id"),
    ("vote.verify", r#"{"vote_id":"v"}"#, "missing_field receipt"),
    ("presence.update", r#"{"status":7}"#, "invalid_field status"),
    ("presence.update", r#"{"status":""}"#, "invalid_field status"),
    ("presence.update", r#"{"status":"0123456789012345678901234567890123"}"#, "invalid_field status"),
    ("presence.update", r#"{"status":"a\u202eb"}"#, "invalid_field status"),
    ("presence.update", r#"{"metadata":[]}"#, "invalid_field metadata"),
    ("presence.subscribe", "{}", "missing_field player_ids"),
    ("presence.subscribe", r#"{"player_ids":["nobody"]}"#, "invalid_field player_ids"),
    ("presence.unsubscribe", r#"{"player_ids":7}"#, "invalid_field player_ids"),
    ("rpc.call", r#"{"method":"m"}"#, "rpc.unsupported_protocol"),
    ("rpc.call", r#"{"protocol":2,"method":"m"}"#, "rpc.unsupported_protocol"),
    ("rpc.call", r#"{"protocol":1}"#, "missing_field method"),
    ("rpc.call", r#"{"protocol":1,"method":"m","params":[]}"#, "rpc.invalid_params"),
];

#[test]
fn every_message_answers_bad_input_with_its_error_and_the_cid() {
    let cid = r#"{"n": [1, "a"]}"#;
    for (kind, payload, expected) in WRONG {
        // Remote calls alone are particular about their cid.
        let cid = if *kind == "rpc.call" { "\"c-1\"" } else { cid };
        let text = format!(r#"{{"type":"{kind}","payload":{payload},"cid":{cid}}}"#);
        let refused = read(&text).map(|request| request.msg.kind()).expect_err(&text);
        let frame = refused.frame();
        let said: Value = serde_json::from_str(&frame.latest).unwrap();
        assert!(frame.latest.contains(&format!("\"cid\":{cid}")), "{}", frame.latest);
        assert_eq!(frame.lane, Lane::Counted);
        let row = refused.refusal.reason.row();
        let payload = &said["payload"];
        assert_eq!(payload["error"]["code"], row.code, "{text}");
        if *kind == "rpc.call" {
            assert_eq!(said["type"], "rpc.error");
        } else {
            assert_eq!(
                (&said["type"], &payload["reason"], &payload["type"]),
                (&"error".into(), &row.word.into(), &(*kind).into()),
                "{text}"
            );
        }
        let field = payload["error"]["details"]["field"].as_str().map(|field| format!(" {field}"));
        assert_eq!(format!("{}{}", row.word, field.unwrap_or_default()), *expected, "{text}");
        if row.word == "invalid_field" {
            assert!(payload["error"]["details"]["expected"].is_string(), "{text}");
        }
    }
    for row in MESSAGES {
        assert!(WRONG.iter().any(|(kind, ..)| *kind == row.name), "no bad input for {}", row.name);
    }
}

#[test]
fn what_is_not_served_yet_says_so_whatever_it_carries() {
    for row in MESSAGES.iter().filter(|row| !row.served) {
        let refused = decode(&format!(r#"{{"type":"{}","cid":"c-1","payload":[]}}"#, row.name)).unwrap_err();
        assert_eq!(refused.refusal.reason, Reason::NotSupported, "{}", row.name);
        assert_eq!(refused.cid, Some(Cid::text("c-1")));
        assert!(refused.frame().latest.starts_with(r#"{"type":"error","cid":"c-1""#));
    }
}

#[test]
fn remote_calls_need_a_printable_cid() {
    let call = |cid: &str| read(&format!(r#"{{"type":"rpc.call",{cid}"payload":{{"protocol":1,"method":"m"}}}}"#));
    assert!(call(r#""cid":"c-1","#).is_ok());
    let long = format!("\"cid\":\"{}\",", "x".repeat(65));
    for cid in ["", "\"cid\":7,", "\"cid\":\"\",", "\"cid\":\"\\u0007\",", "\"cid\":\"caf\u{e9}\",", &long] {
        let refused = call(cid).unwrap_err();
        assert_eq!((refused.refusal.reason, &refused.cid), (Reason::RpcInvalidCid, &None), "{cid}");
    }
}

#[test]
fn a_state_is_wrapped_and_never_read() {
    let id = MatchId::from_u128(7);
    let frame = state_frame(id, b"{\"x\" : 1}").unwrap();
    assert_eq!(&*frame.latest, r#"{"type":"match.state","payload":{"x" : 1}}"#);
    assert_eq!((frame.lane, frame.seed), (Lane::Latest(SlotKind::MatchState, 7), None));
    assert_eq!(state_frame(id, b"\xff"), None);
}

#[test]
fn a_games_events_keep_off_our_names() {
    let payload = serde_json::value::RawValue::from_string("{}".into()).unwrap();
    let event = |leaf: &str| event_frame(leaf, &payload);
    assert_eq!(&*event("round_start").unwrap().latest, r#"{"type":"match.round_start","payload":{}}"#);
    let long = "x".repeat(65);
    for leaf in ["", "a.b", "a b", "caf\u{e9}", "a\"", &long] {
        assert_eq!(event(leaf), Err(EventFault::Leaf), "{leaf}");
    }
    for leaf in matches::RESERVED_LEAVES {
        assert_eq!(event(leaf), Err(EventFault::Reserved), "{leaf}");
    }
    let large = serde_json::value::RawValue::from_string(format!("\"{}\"", "x".repeat(65_535))).unwrap();
    assert_eq!(event_frame("big", &large), Err(EventFault::TooLarge));
}

#[test]
fn a_joiner_reads_the_votes_that_were_open_before() {
    let text = &fixtures("server")["match.joined+spectator"];
    let (_, ServerMsg::MatchJoined(joined)) = client::decode(text).unwrap() else { panic!("not a join") };
    let raw = joined.open_votes[0].get();
    let vote: OpenVote = serde_json::from_str(raw).unwrap();
    assert_eq!(vote.tallies.as_ref().unwrap().get("jungle").unwrap().as_u64(), Some(1));
    assert_eq!(serde_json::to_string(&vote).unwrap(), raw);
}

#[test]
fn a_client_lets_pass_what_it_does_not_know() {
    let (_, msg) = client::decode(r#"{"type":"weather.changed","payload":{"rain":true},"later":1}"#).unwrap();
    assert!(matches!(&msg, ServerMsg::Unknown { kind, .. } if kind == "weather.changed"));
    assert!(client::decode(r#"{"type":"match.left"}"#).is_err(), "no payload, no frame");
    assert!(client::decode(r#"{"type":"match.left","payload":{}}"#).is_err());
}

/// What the engine says of a vote, as kind and payload.
fn told(effect: &VoteEffect) -> (&'static str, String) {
    fn json<T: serde::Serialize>(value: &T) -> String {
        serde_json::to_string(value).unwrap()
    }
    match effect {
        VoteEffect::Started(start) => ("match.vote_start", json(start)),
        VoteEffect::Tally(tally) => ("match.vote_tally", json(tally)),
        VoteEffect::Deadline(deadline) => ("match.vote_deadline", json(deadline)),
        VoteEffect::Turn(turn) => ("match.vote_turn", json(turn)),
        VoteEffect::Closed(closed) => ("match.vote_result", closed.payload.to_string()),
        VoteEffect::Vetoed(vetoed) => ("match.vote_vetoed", json(&vetoed.push)),
    }
}

/// Every kind of vote is played, and a client reads all of what the engine said, field for field.
#[test]
fn clients_read_everything_the_engine_says_of_a_vote() {
    let player = |n: u128| PlayerId::from_u128(n);
    let mut seen = BTreeSet::new();
    let methods = METHODS.iter().map(|method| match method.ballot {
        _ if method.name == "motion" => (json!({"method": "motion"}), [json!("yes"), json!("no")]),
        BallotKind::Choice => (json!({"method": method.name}), [json!("a"), json!("b")]),
        BallotKind::Scores => (json!({"method": method.name, "max": 4}), [json!({"a": 4, "b": 1}), json!({"b": 4})]),
        _ => (json!({"method": method.name}), [json!(["a", "c"]), json!(["b", "c"])]),
    });
    let turns = json!([{"who": "team:1", "act": "ban"}, {"who": "team:2", "act": "pick"}]);
    let draft = (json!({"method": "draft", "turns": turns}), [json!("a"), json!("b")]);
    for (mut config, ballots) in methods.chain([draft]) {
        // Motions have options of their own; neither they nor drafts have spectators or vetoes.
        let plain = config["method"] != "motion" && config["method"] != "draft";
        config["template"] = json!("t");
        if config["method"] != "motion" {
            config["options"] = json!(["a", "b", "c"]);
        }
        if plain {
            config["veto_enabled"] = json!(true);
            config["spectators"] = json!(true);
        }
        for end in ["window", "veto", "cancel"] {
            let parsed = VoteConfig::from_json(&config.to_string(), &Default::default())
                .unwrap_or_else(|faults| panic!("{config}: {faults:?}"));
            let (mut vote, mut said) = Vote::open(VoteOpen {
                config: parsed,
                vote_id: "v1".parse().unwrap(),
                match_id: None,
                seed: [7; 32],
                secret: [9; 32],
                present: vec![player(1), player(2)],
                eligible: vec![player(1), player(2)],
                spectators: vec![player(3)],
                teams: [(1, vec![player(1)]), (2, vec![player(2)])].into(),
                weigh: Weigh::default(),
                called_by: None,
                args: None,
                now_ms: 0,
                unix_ms: 1_776_249_000_000,
            })
            .unwrap();
            for (n, ballot) in ballots.iter().enumerate() {
                let input = serde_json::from_str(&ballot.to_string()).unwrap();
                vote.cast(player(n as u128 + 1), None, input, 10, 10, &mut said).unwrap();
            }
            if plain {
                let input = serde_json::from_str(&ballots[0].to_string()).unwrap();
                vote.cast(player(3), None, input, 10, 10, &mut said).unwrap();
            }
            vote.poll(400, &mut said);
            let view = serde_json::to_string(&vote.view(Viewer::Member(player(1)), 500)).unwrap();
            let open: OpenVote = serde_json::from_str(&view).unwrap();
            assert_eq!(serde_json::to_string(&open).unwrap(), view);
            vote.pause(500, &mut said);
            vote.resume(600, &mut said);
            match end {
                "veto" => drop(vote.veto(player(2), true, 700, &mut said)),
                "cancel" => vote.cancel("the match ended", 700, &mut said),
                _ => {}
            }
            for now_ms in [20_000, 40_000, 60_000] {
                vote.poll(now_ms, &mut said);
            }
            for (kind, payload) in said.iter().map(told) {
                let text = format!(r#"{{"type":"{kind}","payload":{payload}}}"#);
                let (_, msg) = client::decode(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                assert_eq!(msg.encode(None), text);
                seen.insert(kind);
            }
        }
    }
    let all: BTreeSet<_> = PUSHES.iter().copied().filter(|kind| kind.starts_with("match.vote_")).collect();
    assert_eq!(seen, all, "every push of a vote was heard");
}
