//! What a vote can be told, and what it says to what it cannot.

use super::*;
use crate::engine::votes::Templates;

fn faults(config: Value) -> Vec<String> {
    match VoteConfig::from_json(&config.to_string(), &Templates::new()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(Fault::to_string).collect(),
    }
}

#[test]
fn every_fault_is_listed_at_once_with_the_nearest_name() {
    let mut got = faults(json!({
        "methd": "ranked",
        "method": "pluralty",
        "options": ["a", {"id": "a"}, {"label": "x"}, 7, {"id": "", "lable": "y"}],
        "window_ms": 0,
        "window_type": "fixd",
        "grace_ms": -1,
        "tie_break": ["seeded_lott", "declared_order"],
        "quorum_bp": 10_001,
        "weights": {"nobody": 1, (id(1).to_string()): -3},
        "delegation": {(id(1).to_string()): id(1).to_string()},
        "supermajority_bp": "most",
        "fallback": "b",
    }));
    got.sort();
    let expected = [
        "delegation.00000000-0000-0000-0000-000000000001: a player cannot delegate to themself",
        "grace_ms: expected a whole number from 0 to 18446744073709551615, got -1",
        "methd: unknown key \"methd\"; did you mean \"method\"?",
        "method: unknown method \"pluralty\"; did you mean \"plurality\"?",
        "options[2].id: is missing",
        "options[3]: expected a string or {id, label}, got 7",
        "options[4].lable: unknown key \"lable\"; did you mean \"label\"?",
        "quorum_bp: expected 0 to 10000, got 10001",
        "supermajority_bp: expected a whole number from 0 to 4294967295, got a string",
        "tie_break[0]: expected one of previous_rounds, declared_order, seeded_lot, none, got \"seeded_lott\"; did you mean \"seeded_lot\"?",
        "weights.00000000-0000-0000-0000-000000000001: expected a whole number from 0 to 4294967295, got -3",
        "weights.nobody: expected an id such as 0199a4c0-1000-7000-8000-0000000000b1, in lowercase and with its hyphens",
        "window_ms: expected 1 to 604800000, got 0",
        "window_type: expected one of fixed, ready_up, hybrid, adaptive, got \"fixd\"; did you mean \"fixed\"?",
    ];
    for line in expected {
        assert!(got.iter().any(|fault| fault == line), "expected {line:?} among {got:#?}");
    }
}

#[test]
fn what_cannot_be_tallied_is_refused() {
    let weights = json!({(id(1).to_string()): 2});
    for (config, key) in [
        (json!({}), "options"),
        (json!({"options": []}), "options"),
        (json!({"options": "a"}), "options"),
        (json!({"options": ["a", "a"]}), "options"),
        (json!({"options": ["a"], "fallback": "b"}), "fallback"),
        (json!({"options": ["a"], "tie_break": []}), "tie_break"),
        (json!({"options": ["a"], "tie_break": ["none", "seeded_lot"]}), "tie_break"),
        (json!({"options": ["a"], "tie_break": ["seeded_lot", "seeded_lot"]}), "tie_break"),
        (json!({"options": ["a"], "close_on_quorum": true}), "close_on_quorum"),
        (json!({"options": ["a"], "window_type": "hybrid", "min_window_ms": 20_000}), "min_window_ms"),
        (json!({"options": ["a"], "weights": weights}), "weights"),
        (json!({"options": ["a", "b"], "seats": 2}), "seats"),
        (json!({"options": ["a"], "turns": [{"who": "team:1", "act": "ban"}]}), "turns"),
        (json!({"options": ["a"], "method": "draft"}), "turns"),
        (json!({"options": ["a"], "method": "draft", "turns": [{"who": "team:1", "act": "ban"}]}), "turns"),
        (json!({"options": ["a", "b"], "method": "draft", "turns": [{"who": "x", "act": "ban"}]}), "turns"),
        (json!({"options": ["a"], "max_choices": 0}), "max_choices"),
        (json!({"options": ["a"], "veto_threshold": 0}), "veto_threshold"),
        (json!({"options": ["a"], "weights": [1]}), "weights"),
    ] {
        let got = faults(config.clone());
        assert!(!got.is_empty() && got.iter().all(|fault| fault.starts_with(key)), "{config}: {got:#?}");
    }
}

#[test]
fn players_who_cannot_vote_are_named() {
    let stranger = id(9).to_string();
    let config = abc(
        json!({"late_join": "observe", "default_votes": {stranger.clone(): "a"}, "delegation": {stranger: id(1).to_string()}}),
    );
    let faults = Vote::open(opening(config, 2).unwrap()).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn nobody_delegates_to_an_outsider_and_no_veto_needs_more_than_there_are() {
    let open = |config: Value| {
        let faults = Vote::open(opening(abc(config), 2).unwrap()).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (one, two, stranger) = (id(1).to_string(), id(2).to_string(), id(9).to_string());
    // Spectators, who are 11 and 12, vote in a pool of their own: no player's ballot is theirs.
    for outsider in [id(9), id(11)] {
        for late_join in ["eligible", "observe"] {
            let delegation = json!({one.clone(): outsider, two.clone(): one.clone()});
            let config = json!({"late_join": late_join, "spectators": true, "delegation": delegation});
            let expected = format!("delegation.{one}: {outsider} is not an eligible player of this vote");
            assert_eq!(open(config), [expected], "{late_join}");
        }
    }
    // A newcomer may bring a weight, a default and a delegate who is here already.
    let newcomer = json!({"method": "weighted", "weights": {stranger.clone(): 3}, "default_votes": {stranger.clone(): "a"},
        "delegation": {stranger.clone(): one.clone()}});
    assert_eq!(open(newcomer), [""; 0]);

    let veto = |threshold: u32| json!({"veto_enabled": true, "veto_threshold": threshold});
    assert_eq!(open(veto(2)), [""; 0]);
    assert_eq!(open(veto(3)), ["veto_threshold: expected at most the 2 eligible players, got 3"]);
    assert_eq!(open(json!({"veto_threshold": 3})), [""; 0], "nobody may veto it anyway");
    // All faults at once, as ever.
    let both = json!({"veto_enabled": true, "veto_threshold": 4, "delegation": {one.clone(): stranger}});
    assert_eq!(open(both).len(), 2);
}

#[test]
fn a_template_gives_defaults_and_a_call_overrides_them_key_by_key() {
    let template = json!({"method": "plurality", "window_ms": 20_000, "visibility": "hidden", "options": ["x"]});
    let templates = Templates::from([("map_vote".to_owned(), template.as_object().unwrap().clone())]);
    let read = |call: Value| VoteConfig::from_json(&call.to_string(), &templates).unwrap();
    let merged =
        read(json!({"template": "map_vote", "window_ms": 5_000, "options": ["a", {"id": "b", "label": "Bee"}]}));
    assert_eq!((merged.window_ms, merged.template.as_str()), (5_000, "map_vote"));
    assert_eq!(merged.visibility, crate::engine::votes::config::Visibility::Hidden);
    let labels: Vec<_> = merged.options.iter().map(|option| (option.id.as_str(), option.label.as_str())).collect();
    assert_eq!(labels, [("a", "a"), ("b", "Bee")]);
    let plain = read(json!({"template": "a label like any other", "options": ["a"]}));
    assert_eq!((plain.window_ms, plain.template.as_str()), (15_000, "a label like any other"));
}

#[test]
fn two_shapes_that_mean_one_thing_are_both_read() {
    let read = |config: Value| VoteConfig::from_json(&abc(config).to_string(), &Templates::new()).unwrap();
    assert_eq!(read(json!({"tie_break": "declared_order"})), read(json!({"tie_break": ["declared_order"]})));
    assert_eq!(read(json!({"window_ms": 9_000.0})), read(json!({"window_ms": 9_000})));
    assert_eq!(read(json!({"weights": [], "fallback": null})), read(json!({})));
}

#[test]
fn every_default_is_the_documented_one_and_every_key_is_in_the_schema() {
    let config = VoteConfig::from_json(r#"{"options": ["a"]}"#, &Templates::new()).unwrap();
    let written = serde_json::to_value(&config).unwrap();
    for (key, value) in [
        ("template", json!("default")),
        ("method", json!("plurality")),
        ("window_ms", json!(15_000)),
        ("window_type", json!("fixed")),
        ("min_window_ms", json!(5_000)),
        ("grace_ms", json!(500)),
        ("visibility", json!("live")),
        ("tie_break", json!(["seeded_lot"])),
        ("seats", json!(1)),
        ("elimination", json!("single")),
        ("strength", json!("wv")),
        ("truncated", json!("average")),
        ("max", json!(5)),
        ("max_revotes", json!(3)),
        ("veto_enabled", json!(false)),
        ("veto_threshold", json!(1)),
        ("threshold_bp", json!(5_001)),
        ("basis", json!("cast")),
        ("concurrent", json!(false)),
    ] {
        assert_eq!(written[key], value, "{key}");
    }
    let read: VoteConfig = serde_json::from_value(written).unwrap();
    assert_eq!(read, config, "what is written reads back");

    let schema = serde_json::to_value(schemars::schema_for!(VoteConfig)).unwrap();
    let mut documented: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut known = crate::engine::votes::config::KEYS.to_vec();
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(documented, known);
}
