//! Nothing that a client says about votes does more than be refused.

use std::sync::atomic::Ordering::Relaxed;

use serde_json::json;

use super::support::run;
use super::*;

#[test]
fn nothing_a_client_sends_about_votes_harms_anybody() {
    let server = server(|_, mode| {
        mode.motions = ["kick", "rematch"].map(String::from).to_vec();
        mode.veto_tokens_per_player = 1;
    });
    let base = Base::from(server.addr);
    let meters = server.realm.clone();
    run(async move {
        let (mut players, _) = room::<2>(&base).await;
        let mut votes = Vec::new();
        for (method, more) in [
            ("plurality", json!({})),
            ("approval", json!({"max_choices": 2})),
            ("ranked", json!({})),
            ("score", json!({"max": 3})),
            ("star", json!({})),
            ("motion", json!({"options": ["yes", "no"]})),
            ("draft", json!({"turns": [{"who": "captain:1", "act": "ban", "window_ms": 60000}]})),
        ] {
            let mut vote = json!({"template": method, "method": method, "window_ms": 60000});
            vote.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            votes.push(opened(&mut players, vote).await);
        }
        let [ann, bob] = &mut players;
        let deep = (0..30).fold(json!("a"), |inner, _| json!([inner]));
        let long = "a".repeat(40_000);
        let ballots = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1.5),
            json!(9_007_199_254_740_991i64),
            json!(""),
            json!("a\u{0}"),
            json!(long),
            json!([]),
            json!([[]]),
            json!([null]),
            json!(["a", "a"]),
            json!([["a", "a"]]),
            json!(["a", ["a"]]),
            json!([["a", "b"], "c", "c"]),
            json!(vec!["a"; 5_000]),
            json!({}),
            json!({"a": -1}),
            json!({"a": 4}),
            json!({"a": 1.5}),
            json!({"a": "1"}),
            json!({"a": null}),
            json!({"d": 1}),
            json!({"a": 4_294_967_296i64}),
            deep,
        ];
        // A map whose keys repeat cannot be written as a value.
        let twice = r#"{"a":1,"a":2}"#.to_owned();
        let mut asked = 0;
        for vote_id in &votes {
            for ballot in ballots.iter().map(Value::to_string).chain([twice.clone()]) {
                ann.text(&format!(
                    r#"{{"type":"vote.cast","cid":{asked},"payload":{{"vote_id":"{vote_id}","option_id":{ballot}}}}}"#
                ))
                .await;
                asked += 1;
            }
        }
        for payload in [
            json!({}),
            json!({"vote_id": 7}),
            json!({"vote_id": ""}),
            json!({"vote_id": "x".repeat(10_000)}),
            json!({"vote_id": "../../etc/passwd", "option_id": "a"}),
            json!({"vote_id": votes[0]}),
            json!({"vote_id": votes[0], "receipt": 7}),
            json!({"vote_id": votes[0], "receipt": "é".repeat(32)}),
            json!({"template": 7}),
            json!({"template": "kick", "args": []}),
            json!({"template": "kick", "args": {"target": {}}}),
            json!({"template": "rematch", "args": {"x": "y".repeat(5_000)}}),
            json!({"template": "", "args": null}),
            json!({"template": "k".repeat(20_000)}),
            json!({"option_id": "a"}),
            json!([]),
            json!(null),
        ] {
            for kind in ["vote.cast", "vote.veto", "vote.call", "vote.verify"] {
                ann.text(&json!({"type": kind, "cid": asked, "payload": payload}).to_string()).await;
                asked += 1;
            }
        }
        // Every one of them is answered, by a refusal or by what it asked for.
        let mut answered = std::collections::BTreeSet::new();
        while answered.len() < asked {
            let frame = ann.next().await.expect("the connection stands");
            if let Some(cid) = frame["cid"].as_u64() {
                let kind = frame["type"].as_str().unwrap();
                assert!(
                    ["error", "vote.cast_ok", "vote.veto_ok", "vote.called", "vote.proof"].contains(&kind),
                    "{frame}"
                );
                let reason = frame["payload"]["reason"].as_str().unwrap_or_default();
                assert_ne!(reason, "internal", "{frame}");
                answered.insert(cid);
            }
        }
        // And bob votes as if nothing had been.
        for (vote_id, ballot) in votes.iter().zip([
            json!("a"),
            json!(["a"]),
            json!(["b", "a"]),
            json!({"a": 3}),
            json!({"b": 5}),
            json!("yes"),
        ]) {
            assert_eq!(cast(bob, vote_id, ballot).await["revision"], 1);
        }
    });
    assert_eq!(meters.meters.votes_died.load(Relaxed), 0);
}
