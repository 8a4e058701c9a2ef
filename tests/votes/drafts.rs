//! Drafts over sockets: whose turn it is, and what happens when they sleep.

use serde_json::json;

use super::support::run;
use super::*;

#[test]
fn a_draft_is_played_in_timed_turns_that_act_by_themselves_when_nobody_does() {
    let server = server(|_, mode| mode.matchmaking.teams = vec![1, 1]);
    let base = Base::from(server.addr);
    run(async move {
        let (mut players, _) = room::<2>(&base).await;
        let draft = json!({
            "template": "map", "method": "draft", "options": ["jungle", "volcano", "harbour", "desert"],
            "turns": [
                {"who": "captain:1", "act": "ban", "window_ms": 20000, "default": "first"},
                {"who": "team:2", "act": "ban", "window_ms": 300, "default": "first"},
                {"who": players[0].player, "act": "ban", "window_ms": 20000, "default": "random"},
            ],
        });
        let vote_id = opened(&mut players, draft).await;
        let [ann, bob] = &mut players;
        let turn = bob.expect("match.vote_turn").await["payload"].take();
        assert_eq!((&turn["turn"], &turn["who"], &turn["act"]), (&json!(0), &json!("captain:1"), &json!("ban")));
        assert_eq!(turn["remaining"], json!(["jungle", "volcano", "harbour", "desert"]));
        assert!(turn["time_remaining_ms"].as_u64().is_some_and(|ms| ms <= 20_000) && turn["deadline_ms"].is_u64());

        let ban = |option: &str| json!({"vote_id": vote_id, "option_id": option});
        assert_eq!(bob.refused("vote.cast", ban("jungle")).await, "not_eligible", "it is not bob's turn");
        assert_eq!(ann.refused("vote.cast", ban("moon")).await, "invalid_option");
        assert_eq!(
            ann.refused("vote.cast", json!({"vote_id": vote_id, "option_id": ["jungle"]})).await,
            "invalid_ballot"
        );
        cast(ann, &vote_id, "jungle").await;
        assert_eq!(ann.refused("vote.cast", ban("volcano")).await, "not_eligible", "once is enough");

        // Bob sleeps: the first that remains is banned, and the next turn is announced.
        let second = ann.expect_where("match.vote_turn", |turn| turn["turn"] == 1).await;
        assert_eq!(second["payload"]["remaining"], json!(["volcano", "harbour", "desert"]));
        let third = ann.expect_where("match.vote_turn", |turn| turn["turn"] == 2).await["payload"].take();
        assert_eq!((&third["who"], &third["remaining"]), (&json!(ann.player), &json!(["harbour", "desert"])));
        assert_eq!(ann.refused("vote.cast", ban("volcano")).await, "invalid_option", "gone is gone");
        cast(ann, &vote_id, "desert").await;
        let result = result(bob, &vote_id).await;
        assert_eq!((&result["status"], &result["winners"]), (&json!("decided"), &json!(["harbour"])));
        assert!(bob.heard_of("match.vote_tally").await.is_empty(), "turns are told, not tallied");
    });
}
