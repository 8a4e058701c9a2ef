//! Who may cast, how often, what is told to whom, and what comes out.

use super::*;
use crate::engine::votes::frustration::Frustration;
use crate::engine::votes::veto::{VetoRefusal, VetoTokens};

#[test]
fn the_start_tells_everything_a_client_needs() {
    let mut play = Play::open(abc(json!({"template": "map_vote", "window_ms": 9_000, "veto_enabled": true})), 3);
    let Some(VoteEffect::Started(start)) = play.said.pop() else { panic!("expected a start") };
    let start = serde_json::to_value(start).unwrap();
    for (key, value) in [
        ("vote_id", json!("v1")),
        ("template", json!("map_vote")),
        ("options", json!([{"id": "a", "label": "a"}, {"id": "b", "label": "b"}, {"id": "c", "label": "c"}])),
        ("window_ms", json!(9_000)),
        ("deadline_ms", json!(START_UNIX_MS + 9_000)),
        ("method", json!("plurality")),
        ("ballot", json!("choice")),
        ("visibility", json!("live")),
        ("veto_enabled", json!(true)),
        ("eligible_count", json!(3)),
    ] {
        assert_eq!(start[key], value, "{key}");
    }
    // SHA-256 of 32 bytes of 07, by any other tool.
    assert_eq!(start["seed_commit"], "4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0");
}

#[test]
fn the_last_cast_counts_and_only_so_many_are_taken() {
    let mut play = Play::open(abc(json!({"max_revotes": 2})), 2);
    for (cast, revision) in [("a", Ok(1)), ("b", Ok(2)), ("a", Ok(3)), ("b", Err("rate_limited"))] {
        let answer = play.cast(1, cast);
        assert_eq!(answer.map(|ok| ok.revision).map_err(|refusal| refusal.reason()), revision, "{cast}");
    }
    play.casts("2a");
    let result = play.result();
    assert_eq!(result["counts"], json!({"a": 2, "b": 0, "c": 0}));
    assert_eq!(result["total_votes"], 2);
    let mut none = Play::open(abc(json!({"max_revotes": 0})), 2);
    assert_eq!((reason(none.cast(1, "a")), reason(none.cast(1, "b"))), ("ok", "rate_limited"));
}

#[test]
fn a_refused_ballot_changes_nothing() {
    let mut play = Play::open(abc(json!({"max_revotes": 0})), 2);
    for (player, ballot, expected) in [
        (9, json!("a"), "not_eligible"),
        (11, json!("a"), "not_eligible"),
        (1, json!("x"), "invalid_option"),
        (1, json!(["a"]), "invalid_ballot"),
        (1, json!({"a": 1}), "invalid_ballot"),
        (1, json!(7), "invalid_ballot"),
        (1, json!([]), "invalid_ballot"),
        (1, json!(null), "invalid_ballot"),
        (1, json!("b"), "ok"),
    ] {
        assert_eq!(reason(play.cast(player, ballot.clone())), expected, "{player} {ballot}");
    }
    assert_eq!(play.result()["counts"], json!({"a": 0, "b": 1, "c": 0}));
}

#[test]
fn the_same_cast_sent_again_is_answered_again_and_changes_nothing() {
    let mut play = Play::open(abc(json!({"max_revotes": 1, "window_type": "ready_up"})), 2);
    let first = play.cast_as(1, Some("1"), json!("a")).unwrap();
    assert_eq!(play.cast_as(1, Some("1"), json!("a")), Ok(first));
    let second = play.cast_as(1, Some("2"), json!("b")).unwrap();
    assert_eq!((first.revision, second.revision), (1, 2));
    // A resumed connection sends both again, in order: neither undoes the other.
    assert_eq!(play.cast_as(1, Some("1"), json!("a")), Ok(first));
    assert_eq!(play.cast_as(1, Some("2"), json!("b")), Ok(second));
    assert_eq!(reason(play.cast_as(1, Some("3"), json!("a"))), "rate_limited");
    play.casts("2b");
    assert_eq!(play.result()["counts"]["b"], 2);
    assert_eq!(play.cast_as(1, Some("2"), json!("b")), Ok(second), "answered even after the close");
}

#[test]
fn a_client_with_one_cid_for_everything_may_still_change_its_mind() {
    let mut play = Play::open(abc(json!({})), 2);
    for (ballot, revision) in [("a", 1), ("a", 1), ("b", 2), ("b", 2), ("a", 3), ("a", 3)] {
        assert_eq!(play.cast_as(1, Some("vote"), json!(ballot)).unwrap().revision, revision, "{ballot}");
    }
    assert_eq!(play.result()["counts"]["a"], 1);
}

#[test]
fn blank_ballots_are_cast_and_count_for_nobody() {
    let mut play = Play::open(abc(json!({"allow_blank": true})), 4);
    play.cast(1, json!([])).unwrap();
    play.cast(2, json!(null)).unwrap();
    play.casts("3b");
    let result = play.result();
    assert_eq!(result["status"], "decided");
    assert_eq!(
        (&result["total_votes"], &result["turnout"], &result["counts"]["b"]),
        (&json!(3), &json!(0.75), &json!(1))
    );
}

#[test]
fn numbers_are_cut_and_never_rounded() {
    let mut play = Play::open(abc(json!({})), 3);
    play.casts("1a 2a 3b");
    let closed = play.close();
    for part in [
        r#""distribution":{"a":0.666,"b":0.333,"c":0.0}"#,
        r#""turnout":1.0"#,
        r#""counts":{"a":2,"b":1,"c":0}"#,
        r#""total_votes":3"#,
        r#""counted":3"#,
        r#""tie_broken":false"#,
        r#""status":"decided""#,
        r#""winner":"a","winners":["a"]"#,
    ] {
        assert!(closed.payload.contains(part), "expected {part} in {}", closed.payload);
    }
}

#[test]
fn ties_are_drawn_from_the_seed_that_was_committed_to() {
    let mut play = Play::open(abc(json!({})), 2);
    play.casts("1a 2b");
    let result = play.result();
    assert_eq!(result["status"], "decided");
    assert_eq!(result["tie_broken"], true);
    assert_eq!(result["ties"][0]["tied"], json!(["a", "b"]));
    assert_eq!(result["ties"][0]["by"], "seeded_lot");
    let favoured = ["a", "b"].into_iter().min_by_key(|option| crate::engine::votes::ties::lot(&[7; 32], option));
    assert_eq!(result["winner"].as_str(), favoured);
    assert_eq!(result["seed"], "07".repeat(32));

    for (chain, status, winners) in
        [(json!("none"), "tie", json!(["a", "b"])), (json!(["declared_order"]), "decided", json!(["a"]))]
    {
        let mut play = Play::open(abc(json!({"tie_break": chain})), 2);
        play.casts("1b 2a");
        let result = play.result();
        assert_eq!((&result["status"], &result["winners"]), (&json!(status), &winners), "{chain}");
        assert_eq!(result["winner"], if status == "tie" { Value::Null } else { json!("a") });
    }
}

#[test]
fn how_a_vote_may_end() {
    // config, casts of 4 eligible -> status, winner
    for (config, casts, status, winner) in [
        (json!({}), "", "no_votes", Value::Null),
        (json!({"fallback": "c"}), "", "no_votes", json!("c")),
        (json!({"quorum_bp": 5_001}), "1a 2a", "no_quorum", Value::Null),
        (json!({"quorum_bp": 5_000}), "1a 2a", "decided", json!("a")),
        (json!({"quorum_bp": 5_000, "fallback": "c"}), "", "no_votes", json!("c")),
        (json!({"require_supermajority": true}), "1a 2a 3a 4b", "decided", json!("a")),
        (json!({"require_supermajority": true}), "1a 2a 3b", "no_consensus", Value::Null),
        (json!({"require_supermajority": true, "supermajority_bp": 5_000}), "1a 2b", "decided", json!("a")),
        (json!({"require_supermajority": true, "supermajority_bp": 5_001}), "1a 2b", "no_consensus", Value::Null),
        (json!({"tie_break": "none"}), "1a 2b", "tie", Value::Null),
    ] {
        let mut config = abc(config);
        if config.get("tie_break").is_none() {
            config["tie_break"] = json!("declared_order");
        }
        let mut play = Play::open(config.clone(), 4);
        let result = play.casts(casts).result();
        assert_eq!((&result["status"], &result["winner"]), (&json!(status), &winner), "{config} {casts}");
    }
}

#[test]
fn hidden_votes_show_nothing_before_the_close_and_everything_after() {
    for visibility in ["hidden", "secret"] {
        let mut play = Play::open(abc(json!({"visibility": visibility})), 3);
        play.casts("1a 2b").at(5_000);
        assert_eq!(play.told(), ["start"], "{visibility}");
        let view = play.view(1);
        assert_eq!((view.get("tallies"), view.get("leading"), view.get("total_votes")), (None, None, None));
        assert_eq!(view["own_ballot"], "a");
        assert_eq!(play.view(3).get("own_ballot"), None);
        let operator = serde_json::to_value(play.vote.view(Viewer::Operator, play.now_ms)).unwrap();
        assert_eq!((operator.get("tallies"), &operator["total_votes"]), (None, &json!(2)), "{visibility}");
        assert_eq!(play.result()["counts"], json!({"a": 1, "b": 1, "c": 0}), "{visibility}");
    }
}

#[test]
fn live_votes_show_who_comes_in_what_everybody_saw() {
    let mut play = Play::open(abc(json!({})), 3);
    play.casts("1a 2a");
    let view = play.at(5_000).view(1);
    assert_eq!(view["tallies"], json!({"a": 2, "b": 0, "c": 0}));
    assert_eq!((&view["leading"], &view["total_votes"]), (&json!("a"), &json!(2)));
    assert_eq!((&view["own_ballot"], &view["revision"]), (&json!("a"), &json!(1)));
    assert_eq!(view["time_remaining_ms"], 10_000);
}

#[test]
fn the_leader_of_a_tie_is_nobody_before_the_lot_is_revealed() {
    let mut play = Play::open(abc(json!({})), 2);
    play.casts("1a").at(1_000).casts("2b");
    let tallies: Vec<_> = play
        .said
        .iter()
        .filter_map(|effect| match effect {
            VoteEffect::Tally(tally) => Some(tally.leading.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(tallies, [Some("a".into()), None]);
}

#[test]
fn newcomers_vote_or_watch_as_the_vote_says() {
    for (late_join, answer, turnout) in [("eligible", "ok", json!(0.333)), ("observe", "not_eligible", json!(0.0))] {
        let mut play = Play::open(abc(json!({"late_join": late_join})), 2);
        play.at(1_000).join(3);
        assert_eq!(reason(play.cast(3, "a")), answer, "{late_join}");
        assert_eq!(play.result()["turnout"], turnout, "{late_join}");
    }
}

#[test]
fn spectators_vote_in_a_pool_of_their_own() {
    let config = abc(json!({"spectators": true, "spectator_share_bp": 3_000}));
    let mut play = Play::open(config.clone(), 2);
    play.casts("1a 2b 11b 12b 13b");
    let result = play.result();
    // Players 35 % each way, spectators 30 % for b.
    assert_eq!(result["winner"], "b");
    assert_eq!(result["distribution"], json!({"a": 0.35, "b": 0.65, "c": 0.0}));
    assert_eq!(result["counts"], json!({"a": 1, "b": 4, "c": 0}), "counts are raw");
    assert_eq!(result["player_counts"], json!({"a": 1, "b": 1, "c": 0}));
    assert_eq!(result["spectator_counts"], json!({"a": 0, "b": 3, "c": 0}));
    assert_eq!((&result["turnout"], &result["total_votes"]), (&json!(1.0), &json!(5)));

    let mut listed = Play::open(abc(json!({"spectators": [id(12).to_string()]})), 2);
    assert_eq!((reason(listed.cast(11, "a")), reason(listed.cast(12, "a"))), ("not_eligible", "ok"));
}

#[test]
fn absent_players_count_by_delegates_and_defaults_at_the_close_only() {
    let (one, two, three, four) = (id(1).to_string(), id(2).to_string(), id(3).to_string(), id(4).to_string());
    let config = abc(json!({
        "delegation": {two.clone(): one.clone(), three.clone(): two.clone()},
        "default_votes": {four: "c", two: "c", one: "c"},
    }));
    let mut play = Play::open(config, 4);
    play.casts("1a");
    let Some(VoteEffect::Tally(tally)) = play.said.last() else { panic!("expected a tally") };
    assert_eq!(tally.total_votes, 1);
    let result = play.result();
    assert_eq!(result["counts"], json!({"a": 3, "b": 0, "c": 1}));
    assert_eq!((&result["total_votes"], &result["counted"]), (&json!(1), &json!(4)));
    assert_eq!(result["turnout"], 0.25);
}

#[test]
fn a_veto_ends_a_vote_when_enough_players_spent_a_token() {
    let mut play = Play::open(abc(json!({"veto_enabled": true, "veto_threshold": 2, "spectators": true})), 3);
    let mut tokens = VetoTokens::new(1);
    let mut veto = |play: &mut Play, player: u8| {
        let held = tokens.hold(id(player));
        let answer = play.vote.veto(id(player), held, play.now_ms, &mut play.said);
        if held && !answer.is_ok_and(|ok| ok.spent) {
            tokens.free(id(player));
        }
        (answer.map(|ok| ok.spent).map_err(VetoRefusal::reason), tokens.left(id(player)))
    };
    assert_eq!(veto(&mut play, 1), (Ok(true), 0));
    assert_eq!(veto(&mut play, 1), (Ok(false), 0), "twice is once");
    assert_eq!(veto(&mut play, 11), (Err("not_eligible"), 1), "spectators never veto, and keep their tokens");
    assert!(!play.vote.closed());
    assert_eq!(veto(&mut play, 2), (Ok(true), 0));
    assert_eq!(veto(&mut play, 3), (Err("vote_closed"), 1));
    play.at(60_000);
    assert_eq!(play.told(), ["start", "vetoed"], "a vetoed vote has no result push");

    let mut plain = Play::open(abc(json!({})), 2);
    assert_eq!(veto(&mut plain, 3).0, Err("veto_disabled"));
    let mut spent = Play::open(abc(json!({"veto_enabled": true})), 2);
    assert_eq!(veto(&mut spent, 1).0, Err("no_veto_tokens"));
}

#[test]
fn losers_weigh_more_next_time() {
    let mut frustration = Frustration::new(5_000);
    for (round, winner) in [(1, "a"), (2, "a"), (3, "b")] {
        let mut open = opening(abc(json!({"tie_break": "none"})), 3).unwrap();
        open.weigh = frustration.weigh();
        let mut play = Play::opened(open);
        play.casts("1a 2a 3b");
        let closed = play.close();
        // Player 3 weighs 1, 1.5, and at last 2 against 2: a tie that nobody wins; then the third loss decides.
        if round < 3 {
            assert_eq!(closed.result.winner.as_deref(), Some(winner), "round {round}");
            assert_eq!(closed.moods.frustrated, [id(3)], "round {round}");
        } else {
            assert_eq!(closed.result.winners, ["a", "b"], "2 against 2");
        }
        assert_eq!(
            serde_json::to_value(&closed.result.counts).unwrap(),
            json!({"a": 2, "b": 1, "c": 0}),
            "counts are raw"
        );
        frustration.remember(&closed.moods);
    }
}
