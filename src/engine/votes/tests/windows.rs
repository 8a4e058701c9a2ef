//! Windows, grace, pauses, coalescing: every rule about time.

use super::*;

#[test]
fn a_fixed_window_closes_at_its_deadline_after_the_grace_and_not_before() {
    let mut play = Play::open(abc(json!({"window_ms": 10_000})), 2);
    play.casts("1a 2a").at(10_499);
    assert!(!play.vote.closed(), "everybody has voted, and a fixed window does not care");
    play.at(10_520);
    assert_eq!(play.told(), ["start", "tally 1", "tally 2", "decided a"]);
}

#[test]
fn what_was_received_before_the_end_of_the_grace_counts_and_nothing_after() {
    // (received, handled) after the start -> the answer
    for (received, handled, expected) in [
        (9_999, 9_999, "ok"),
        (10_000, 10_000, "ok"),
        (10_499, 10_499, "ok"),
        (10_499, 10_515, "ok"),
        (10_500, 10_500, "vote_closed"),
        (10_500, 10_515, "vote_closed"),
        (10_499, 10_520, "vote_closed"),
    ] {
        let mut play = Play::open(abc(json!({"window_ms": 10_000})), 2);
        play.at(handled);
        let input = BallotInput::Scalar("a".into());
        let answer = play.vote.cast(id(1), None, input, START_MS + received, play.now_ms, &mut play.said);
        assert_eq!(reason(answer), expected, "received at {received}, handled at {handled}");
        assert_eq!(play.result()["total_votes"], u64::from(expected == "ok"));
    }
}

#[test]
fn the_grace_is_a_state_that_can_be_seen() {
    let mut play = Play::open(abc(json!({"window_ms": 10_000, "grace_ms": 2_000})), 2);
    for (at, state, remaining) in
        [(0, "open", 10_000), (9_999, "open", 1), (10_000, "closing", 0), (11_999, "closing", 0)]
    {
        let view = play.at(at).view(1);
        assert_eq!(
            (view["state"].as_str(), view["time_remaining_ms"].as_u64()),
            (Some(state), Some(remaining)),
            "{at}"
        );
    }
    assert_eq!(play.at(12_100).view(1)["state"], "closed");
}

#[test]
fn ready_up_closes_when_every_present_eligible_player_has_voted() {
    let mut play = Play::open(abc(json!({"window_type": "ready_up"})), 3);
    play.at(100).casts("1a 2b");
    assert!(!play.vote.closed());
    play.at(300).casts("3b");
    // No grace: nobody is left who could use it.
    assert_eq!(play.told(), ["start", "tally 1", "tally 2", "tally 3", "decided b"]);
    assert_eq!(reason(play.cast(1, "a")), "vote_closed");
}

#[test]
fn ready_up_and_hybrid_wait_for_window_ms_at_most() {
    for kind in ["ready_up", "hybrid"] {
        let mut play = Play::open(abc(json!({"window_type": kind, "window_ms": 9_000})), 3);
        play.casts("1a 2b 2a").at(9_519);
        assert!(!play.vote.closed(), "{kind}: the third is still there and still silent");
        play.at(9_520);
        assert_eq!(play.closed().result.winner.as_deref(), Some("a"), "{kind}");
    }
}

#[test]
fn hybrid_closes_at_its_minimum_at_once_and_not_before() {
    let config = abc(json!({"window_type": "hybrid", "min_window_ms": 4_000, "window_ms": 9_000}));
    let mut play = Play::open(config.clone(), 2);
    play.at(1_000).casts("1a 2a").at(3_999);
    assert!(!play.vote.closed());
    assert_eq!(play.vote.next_deadline_ms(), Some(START_MS + 4_000));
    play.at(4_000);
    assert_eq!(play.closed().record.write().closed_at, START_UNIX_MS + 4_000);
    let mut play = Play::open(config, 2);
    play.at(5_000).casts("1a 2a");
    assert!(play.vote.closed(), "past the minimum: with the last ballot");
}

#[test]
fn who_leaves_is_not_waited_for_and_who_comes_back_is() {
    let config = abc(json!({"window_type": "ready_up"}));
    let mut play = Play::open(config.clone(), 3);
    play.casts("1a 2a").at(1_000).leave(3);
    assert!(play.vote.closed(), "the only one missing has left");

    let mut play = Play::open(config.clone(), 3);
    play.leave(3).casts("1a").join(3).casts("2a");
    assert!(!play.vote.closed(), "3 is back and has not voted");
    play.casts("3b");
    assert_eq!(play.result()["turnout"], 1.0);

    let mut play = Play::open(config, 3);
    play.casts("1a").leave(1).leave(2).leave(3);
    let result = play.result();
    assert_eq!((&result["winner"], &result["turnout"]), (&json!("a"), &json!(0.333)), "a leaver's ballot stands");
}

#[test]
fn a_room_that_everybody_left_decides_nothing_early() {
    let mut play = Play::open(abc(json!({"window_type": "ready_up", "window_ms": 5_000})), 2);
    play.leave(1).leave(2).at(100);
    assert!(!play.vote.closed());
    play.join(1).casts("1b");
    assert_eq!(play.closed().result.winner.as_deref(), Some("b"), "one came back and is everybody there is");
}

#[test]
fn adaptive_shrinks_once_at_a_supermajority_of_all_eligible_weight() {
    let config = abc(json!({"window_type": "adaptive", "window_ms": 15_000}));
    let mut play = Play::open(config, 4);
    play.at(1_000).casts("1a 2a");
    assert_eq!(play.told(), ["start", "tally 1"], "two of four are no 75 %, though all who cast agree");
    play.at(2_000).casts("3a");
    assert_eq!(play.told(), ["tally 2", "tally 3", "deadline adaptive 3000"]);
    // Monotonic: neither a revote that breaks it nor a fourth vote that restores it moves the deadline again.
    play.at(3_000).casts("3b").at(3_500).casts("3a 4a");
    assert_eq!(play.told().iter().filter(|what| what.starts_with("deadline")).count(), 0);
    play.at(5_519);
    assert!(!play.vote.closed(), "the grace follows the moved deadline");
    play.at(5_520);
    assert!(play.vote.closed());
}

#[test]
fn adaptive_never_lengthens_and_counts_weights() {
    let mut play = Play::open(abc(json!({"window_type": "adaptive", "window_ms": 2_000})), 2);
    play.casts("1a 2a");
    assert_eq!(play.told(), ["start", "tally 1"], "three seconds would be more than what is left");

    let heavy = json!({id(1).to_string(): 8});
    let config = abc(json!({"window_type": "adaptive", "method": "plurality"}));
    let mut play = Play::open(config, 3);
    play.casts("1a 2a");
    assert!(play.told().iter().all(|what| !what.starts_with("deadline")));
    if crate::engine::votes::method("weighted").is_some() {
        let config = abc(json!({"window_type": "adaptive", "method": "weighted", "weights": heavy}));
        let mut play = Play::open(config, 3);
        play.casts("1a");
        assert_eq!(play.told(), ["start", "tally 1", "deadline adaptive 3000"], "8 of 10");
    }
}

#[test]
fn quorum_may_close_and_then_at_once() {
    let mut play = Play::open(abc(json!({"close_on_quorum": true, "quorum_bp": 5_000})), 4);
    play.casts("1a");
    assert!(!play.vote.closed());
    play.casts("2b");
    assert!(play.vote.closed());
}

#[test]
fn a_paused_match_stops_the_clock_the_ballots_and_nothing_else() {
    let mut play = Play::open(abc(json!({"window_ms": 10_000})), 2);
    play.at(4_000).pause().pause().at(60_000);
    assert_eq!(play.vote.next_deadline_ms(), None);
    assert_eq!(reason(play.cast(1, "a")), "match_paused");
    assert_eq!(play.view(1)["state"], "paused");
    assert_eq!(play.view(1)["time_remaining_ms"], 6_000);
    play.resume().resume();
    assert_eq!(play.told(), ["start", "deadline paused 6000", "deadline resumed 6000"]);
    assert_eq!(play.view(1)["deadline_ms"], START_UNIX_MS + 66_000);
    assert_eq!(reason(play.at(65_999).cast(1, "a")), "ok");
    play.at(66_519);
    assert!(!play.vote.closed());
    play.at(66_520);
    assert!(play.vote.closed());
}

#[test]
fn nobody_is_waited_for_during_a_pause_but_after_it() {
    let mut play = Play::open(abc(json!({"window_type": "ready_up"})), 2);
    play.casts("1a").pause().leave(2);
    assert!(!play.vote.closed(), "a vote does not close while its match stands still");
    play.at(9_000).resume();
    assert!(play.vote.closed());
}

#[test]
fn a_burst_of_ballots_is_one_tally() {
    let mut play = Play::open(abc(json!({})), 9);
    play.casts("1a 2a 3b").at(50).casts("4a 5b");
    assert_eq!(play.told(), ["start", "tally 1"], "the first after quiet at once");
    play.at(99);
    assert_eq!(play.told(), [""; 0]);
    play.at(100);
    assert_eq!(play.told(), ["tally 5"], "then one for all the rest");
    play.at(1_000);
    assert_eq!(play.told(), [""; 0], "nothing new, nothing told");
    play.casts("6a");
    assert_eq!(play.told(), ["tally 6"], "quiet since long: at once");
}

#[test]
fn cancelling_says_so_and_why_and_counts_nothing() {
    let mut play = Play::open(abc(json!({"visibility": "hidden"})), 2);
    play.casts("1a").at(2_000);
    play.vote.cancel("the operator said so", play.now_ms, &mut play.said);
    play.vote.cancel("again", play.now_ms, &mut play.said);
    assert_eq!(play.said.len(), 2, "start and one result");
    let result = play.result();
    assert_eq!(result["status"], "cancelled");
    assert_eq!(result["winner"], Value::Null);
    assert_eq!(result["reason"], "the operator said so");
    assert_eq!(result["counts"], json!({"a": 0, "b": 0, "c": 0}), "a hidden vote that was called off stays hidden");
    assert_eq!(result["total_votes"], 1);
}
