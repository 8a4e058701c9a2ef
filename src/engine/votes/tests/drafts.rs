//! Drafts in play: turns with a clock and a default.

use super::*;

fn map_veto() -> Value {
    abc(json!({"method": "draft", "turns": [
        {"who": "captain:1", "act": "ban", "window_ms": 5_000, "default": "first"},
        {"who": "team:2", "act": "ban", "window_ms": 7_000, "default": "first"},
    ]}))
}

#[test]
fn turns_are_taken_by_whose_they_are() {
    let mut play = Play::open(map_veto(), 4);
    let Some(VoteEffect::Turn(turn)) = play.said.last() else { panic!("expected a turn") };
    let turn = serde_json::to_value(turn).unwrap();
    assert_eq!(
        turn,
        json!({"vote_id": "v1", "turn": 0, "who": "captain:1", "act": "ban", "remaining": ["a", "b", "c"],
               "time_remaining_ms": 5_000, "deadline_ms": START_UNIX_MS + 5_000})
    );
    for (player, option, expected) in [
        (3, "a", "not_eligible"),
        (2, "a", "not_eligible"),
        (1, "x", "invalid_option"),
        (1, "a", "ok"),
        (1, "b", "not_eligible"),
        (3, "a", "invalid_option"),
        (4, "c", "ok"),
    ] {
        assert_eq!(reason(play.cast(player, option)), expected, "{player} {option}");
    }
    assert_eq!(play.told(), ["start", "turn 0", "turn 1", "decided b"]);
}

#[test]
fn a_clock_that_runs_out_takes_the_turn() {
    let mut play = Play::open(map_veto(), 4);
    play.at(5_520);
    assert_eq!(play.told(), ["start", "turn 0", "turn 1"]);
    assert_eq!(reason(play.cast(3, "a")), "invalid_option", "the clock banned the first that was left");
    play.at(12_999);
    assert_eq!(reason(play.cast(3, "c")), "ok");
    let closed = play.closed();
    assert_eq!((closed.result.winner.as_deref(), closed.result.turnout.0), (Some("b"), 250));
    assert_eq!(closed.record.write().turns.as_ref().unwrap().len(), 2);
}

#[test]
fn a_turn_resent_is_answered_and_taken_once() {
    let mut play = Play::open(map_veto(), 4);
    let first = play.cast_as(1, Some("t"), json!("a")).unwrap();
    assert_eq!(play.cast_as(1, Some("t"), json!("a")), Ok(first));
    assert_eq!(play.told(), ["start", "turn 0", "turn 1"]);
}

#[test]
fn a_paused_turn_waits_and_a_captain_who_left_hands_over() {
    let mut play = Play::open(map_veto(), 4);
    play.at(4_000).pause().at(90_000).resume().leave(1);
    assert_eq!(play.told(), ["start", "turn 0", "deadline paused 1000", "deadline resumed 1000"]);
    assert_eq!(reason(play.cast(2, "b")), "ok");
}

#[test]
fn a_turn_of_nobody_is_refused_at_the_start() {
    let config = abc(json!({"method": "draft", "turns": [{"who": "team:9", "act": "ban"}]}));
    let faults = Vote::open(opening(config, 4).unwrap()).unwrap_err();
    assert_eq!(faults[0].path, "turns[0].who");
}
