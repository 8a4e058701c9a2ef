//! Votes that players call themselves.

use serde_json::{Value, json};

use super::support::{Client, run};
use super::*;

/// Calls a motion; the payload of its `vote_start`.
async fn called(caller: &mut Client, template: &str, args: Value) -> Value {
    caller.send("vote.call", json!({"template": template, "args": args})).await;
    let vote_id = caller.expect("vote.called").await["payload"]["vote_id"].clone();
    caller.expect_where("match.vote_start", |start| start["vote_id"] == vote_id).await["payload"].take()
}

/// The refusal of a call: its reason and its details.
async fn refusal(caller: &mut Client, template: &str, args: Value) -> (String, Value) {
    caller.send("vote.call", json!({"template": template, "args": args})).await;
    let mut error = caller.expect("error").await["payload"].take();
    (error["reason"].as_str().unwrap().to_owned(), error["error"]["details"].take())
}

fn allowing(motions: &[&str]) -> impl FnOnce(&mut Config, &mut Mode) {
    let motions = motions.iter().map(|name| (*name).to_owned()).collect();
    move |_, mode| mode.motions = motions
}

#[test]
fn a_kick_that_passes_removes_its_target_who_had_no_say() {
    let server = server(allowing(&["kick"]));
    let base = Base::from(server.addr);
    run(async move {
        let ([mut ann, mut bob, mut cid], _) = room::<3>(&base).await;
        let start = called(&mut ann, "kick", json!({"target": cid.player, "why": "afk"})).await;
        assert_eq!((&start["called_by"], &start["target"]), (&json!(ann.player), &json!(cid.player)));
        assert_eq!(
            (&start["method"], &start["eligible_count"]),
            (&json!("motion"), &json!(2)),
            "the target has no say"
        );
        assert_eq!(start["args"], json!({"target": cid.player, "why": "afk"}));
        let vote_id = start["vote_id"].as_str().unwrap().to_owned();
        let ballot = json!({"vote_id": vote_id, "option_id": "no"});
        cid.expect("match.vote_start").await;
        assert_eq!(cid.refused("vote.cast", ballot).await, "not_eligible");
        cast(&mut ann, &vote_id, "yes").await;
        cast(&mut bob, &vote_id, "yes").await;
        let result = result(&mut bob, &vote_id).await;
        assert_eq!((&result["winner"], &result["target"]), (&json!("yes"), &json!(cid.player)));
        assert_eq!(cid.expect("match.kicked").await["payload"]["reason"], "voted_out");
        let gone = bob.expect("match.player_left").await;
        assert_eq!(gone["payload"]["player_id"], cid.player);
        let state = ann.expect_where("match.state", |state| state["players"].get(&cid.player).is_none()).await;
        assert!(state["payload"]["players"].get(&bob.player).is_some(), "the match goes on");
        cid.send("match.input", json!({"move_x": 1})).await;
        assert_eq!(cid.expect("error").await["payload"]["reason"], "not_in_match");
    });
}

#[test]
fn a_kick_below_its_threshold_of_all_eligible_removes_nobody_and_waits_before_it_comes_again() {
    let server = server(allowing(&["kick"]));
    let base = Base::from(server.addr);
    run(async move {
        let ([mut ann, mut bob, mut cid, mut dan], _) = room::<4>(&base).await;
        let about = |player: &Client| json!({"target": player.player});
        let start = called(&mut ann, "kick", about(&dan)).await;
        let vote_id = start["vote_id"].as_str().unwrap().to_owned();
        // While it is open, and after it failed.
        assert_eq!(refusal(&mut bob, "kick", about(&cid)).await.0, "already_open");
        cast(&mut ann, &vote_id, "yes").await;
        cast(&mut bob, &vote_id, "no").await;
        cast(&mut cid, &vote_id, "abstain").await;
        let result = result(&mut dan, &vote_id).await;
        assert_eq!((&result["winner"], &result["counts"]), (&json!("no"), &json!({"yes": 1, "no": 1, "abstain": 1})));
        let retry_ms = |details: &Value| details["retry_ms"].as_u64().unwrap();
        let (reason, details) = refusal(&mut bob, "kick", about(&dan)).await;
        assert_eq!(reason, "cooldown", "it failed: nobody calls it about the same player");
        assert!((50_000..=60_000).contains(&retry_ms(&details)), "{details}");
        let (reason, details) = refusal(&mut ann, "kick", about(&cid)).await;
        assert_eq!(reason, "cooldown", "the caller waits, whoever it is about");
        assert!((1..=30_000).contains(&retry_ms(&details)), "{details}");
        let other = called(&mut bob, "kick", about(&ann)).await;
        assert_eq!(other["target"], ann.player, "somebody else about somebody else");
    });
}

#[test]
fn what_may_not_be_called_is_refused_with_its_reason() {
    let server = server(allowing(&["kick", "rematch"]));
    let base = Base::from(server.addr);
    run(async move {
        let ([mut ann, mut bob], _) = room::<2>(&base).await;
        assert_eq!(refusal(&mut ann, "surrender", json!({})).await.0, "not_allowed", "the mode does not list it");
        assert_eq!(refusal(&mut ann, "coup", json!({})).await.0, "not_allowed");
        for args in [json!({}), json!({"target": 7}), json!({"target": ann.player}), json!({"target": "nobody"})] {
            let (reason, details) = refusal(&mut ann, "kick", args.clone()).await;
            assert_eq!((reason.as_str(), &details["field"]), ("invalid_field", &json!("args.target")), "{args}");
        }
        assert_eq!(ann.refused("vote.call", json!({"template": "rematch", "args": 7})).await, "invalid_field");
        let mut stranger = Client::new(&base, "stranger").await;
        assert_eq!(stranger.refused("vote.call", json!({"template": "rematch"})).await, "not_in_match");
        assert!(bob.heard_of("match.vote_start").await.is_empty());
    });
}

#[test]
fn a_surrender_that_passes_ends_the_match_and_says_so() {
    let server = server(allowing(&["surrender"]));
    let base = Base::from(server.addr);
    run(async move {
        let ([mut ann, mut bob], match_id) = room::<2>(&base).await;
        let start = called(&mut ann, "surrender", json!({})).await;
        let vote_id = start["vote_id"].as_str().unwrap().to_owned();
        cast(&mut ann, &vote_id, "yes").await;
        cast(&mut bob, &vote_id, "yes").await;
        let result = result(&mut bob, &vote_id).await;
        assert_eq!((&result["winner"], &result["on_pass"]), (&json!("yes"), &json!("surrender")));
        let over = bob.expect("match.finished").await;
        assert_eq!(over["payload"], json!({"match_id": match_id, "result": {"status": "surrendered"}}));
    });
}

/// Skirmish acts on both: more time, or everything from the beginning.
#[test]
fn skirmish_is_extended_and_played_again_when_its_players_say_so() {
    let server = server(|_, mode| {
        mode.game = "builtin:skirmish".into();
        mode.motions = ["extend", "rematch"].map(String::from).to_vec();
        mode.game_options = json!({"duration_s": 20}).as_object().unwrap().clone();
    });
    let base = Base::from(server.addr);
    run(async move {
        let ([mut ann, mut bob], _) = room::<2>(&base).await;
        let before = ann.expect_where("match.state", |state| state["elapsed_ms"].as_u64() >= Some(400)).await;
        assert_eq!(before["payload"]["duration_ms"], 20_000);
        for template in ["extend", "rematch"] {
            let start = called(&mut ann, template, json!({})).await;
            let vote_id = start["vote_id"].as_str().unwrap().to_owned();
            cast(&mut ann, &vote_id, "yes").await;
            cast(&mut bob, &vote_id, "yes").await;
            assert_eq!(result(&mut bob, &vote_id).await["winner"], "yes", "{template}");
            match template {
                "extend" => {
                    let state = ann.expect_where("match.state", |state| state["duration_ms"] != 20_000).await;
                    assert_eq!(state["payload"]["duration_ms"], 40_000, "as long again");
                }
                _ => {
                    // Twenty ticks a second: the match is the same one, and its clock was put back.
                    let ms = |state: &Value, key: &str, each: u64| state[key].as_u64().unwrap() * each;
                    let anew = |state: &Value| ms(state, "elapsed_ms", 1) + 300 < ms(state, "tick", 50);
                    let state = bob.expect_where("match.state", anew).await;
                    assert_eq!(state["payload"]["duration_ms"], 20_000, "as at the first time");
                }
            }
        }
    });
}

/// A nomination carries what is nominated; a vote template may be called by its name.
#[test]
fn a_map_is_nominated_or_put_to_the_vote_by_players() {
    let server = server(|config, mode| {
        let keys = |keys: Value| keys.as_object().unwrap().clone();
        config.motions.insert("nominate".into(), keys(json!({"threshold_bp": 5001, "window_type": "ready_up"})));
        let maps = json!({"method": "approval", "options": ["jungle", "volcano"], "window_type": "ready_up"});
        config.vote_templates.insert("map_vote".into(), keys(maps));
        mode.game = "builtin:skirmish".into();
        mode.motions = ["nominate", "map_vote"].map(String::from).to_vec();
    });
    let base = Base::from(server.addr);
    run(async move {
        let ([mut ann, mut bob], _) = room::<2>(&base).await;
        let start = called(&mut ann, "nominate", json!({"option": "volcano"})).await;
        let vote_id = start["vote_id"].as_str().unwrap().to_owned();
        cast(&mut ann, &vote_id, "yes").await;
        cast(&mut bob, &vote_id, "yes").await;
        let nominated = result(&mut bob, &vote_id).await;
        assert_eq!((&nominated["winner"], &nominated["args"]), (&json!("yes"), &json!({"option": "volcano"})));

        let start = called(&mut bob, "map_vote", json!({})).await;
        assert_eq!((&start["ballot"], &start["called_by"]), (&json!("approvals"), &json!(bob.player)));
        let vote_id = start["vote_id"].as_str().unwrap().to_owned();
        cast(&mut ann, &vote_id, json!(["jungle"])).await;
        cast(&mut bob, &vote_id, json!(["jungle", "volcano"])).await;
        assert_eq!(result(&mut ann, &vote_id).await["winner"], "jungle");
        ann.expect_where("match.state", |state| state["map"] == "jungle").await;
    });
}
