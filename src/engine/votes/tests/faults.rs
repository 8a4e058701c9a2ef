//! Faults that other servers have, each by its name with our rule. The ones that take a whole server to show (two votes
//! under one id, tokens refilled by rejoining, a hidden vote readable afterwards) are told again over sockets in
//! `tests/votes`.

use super::*;
use crate::engine::votes::BallotKind;

#[test]
fn repeated_options_do_not_stuff_an_approval_ballot() {
    let Ok(mut play) = opening(abc(json!({"method": "approval"})), 2).map(Play::opened) else { panic!("approval") };
    assert_eq!(reason(play.cast(1, json!(["a", "a", "a"]))), "invalid_ballot");
    play.cast(1, json!(["a"])).unwrap();
    assert_eq!(play.result()["counts"]["a"], 1);
}

#[test]
fn a_list_in_a_plurality_vote_silences_nobody() {
    let mut play = Play::open(abc(json!({})), 3);
    play.casts("1a");
    assert_eq!(reason(play.cast(2, json!(["b", "c"]))), "invalid_ballot");
    play.casts("3a");
    assert_eq!(play.result()["winner"], "a");
}

#[test]
fn no_ballots_elect_nobody() {
    for method in crate::engine::votes::METHODS.iter().filter(|method| method.name != "motion") {
        let config = abc(json!({"method": method.name, "tie_break": "declared_order"}));
        let result = Play::open(config, 3).result();
        assert_eq!(
            (&result["status"], &result["winner"], &result["winners"]),
            (&json!("no_votes"), &Value::Null, &json!([])),
            "{}",
            method.name
        );
    }
}

#[test]
fn a_first_ballot_of_ten_is_no_supermajority() {
    let mut play = Play::open(abc(json!({"window_type": "adaptive"})), 10);
    play.casts("1a");
    assert!(!play.told().iter().any(|told| told.starts_with("deadline")), "one of one is not three quarters of ten");
    play.at(14_000);
    assert!(!play.vote.closed());
}

#[test]
fn hybrid_closes_at_its_minimum() {
    let mut play = Play::open(abc(json!({"window_type": "hybrid", "min_window_ms": 3_000})), 2);
    play.at(10).casts("1a 2b").at(3_000);
    assert!(play.vote.closed(), "no further ballot is needed to notice");
}

#[test]
fn spectators_neither_close_nor_veto_nor_make_quorum_nor_zero_the_players() {
    let config = abc(json!({"window_type": "ready_up", "spectators": true, "veto_enabled": true, "quorum_bp": 5_000}));
    let mut play = Play::open(config, 2);
    play.casts("11a 12a 13a");
    assert!(!play.vote.closed());
    assert!(play.vote.veto(id(11), true, play.now_ms, &mut play.said).is_err());
    assert_eq!(play.result()["status"], "no_quorum");

    let mut play = Play::open(abc(json!({"spectators": true, "spectator_share_bp": 10_000})), 2);
    let result = play.casts("1a 2a").result();
    assert_eq!((&result["winner"], &result["distribution"]["a"]), (&json!("a"), &json!(1.0)));
}

#[test]
fn a_leaver_does_not_hang_ready_up() {
    let mut play = Play::open(abc(json!({"window_type": "ready_up", "window_ms": 60_000})), 2);
    play.casts("1a").leave(2);
    assert!(play.vote.closed());
}

#[test]
fn an_unknown_default_vote_cannot_win_it_is_refused_at_the_start() {
    let faults = opening(abc(json!({"default_votes": {id(1).to_string(): "z"}})), 2).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].path, format!("default_votes.{}", id(1)));
}

#[test]
fn delegation_does_not_depend_on_the_order_of_a_list() {
    // 1 -> 2 -> 3, whichever of them is listed first.
    for eligible in [[1, 2, 3], [3, 2, 1], [2, 1, 3], [1, 3, 2]] {
        let delegation = json!({id(1).to_string(): id(2).to_string(), id(2).to_string(): id(3).to_string()});
        let mut open = opening(abc(json!({"delegation": delegation})), 3).unwrap();
        open.eligible = eligible.map(id).to_vec();
        let mut play = Play::opened(open);
        assert_eq!(play.casts("3b").result()["counts"]["b"], 3, "{eligible:?}");
    }
}

/// Three voters who go round in a circle: no method can tell the options apart, whoever is declared first is favoured.
#[test]
fn a_tie_word_favours_in_every_method_and_eliminates_in_none() {
    for method in crate::engine::votes::METHODS.iter().filter(|method| method.name != "motion") {
        for declared in [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]] {
            let config = json!({"options": declared, "method": method.name, "tie_break": "declared_order"});
            let mut play = Play::open(config, 3);
            for (player, [first, second, third]) in [(1, ["a", "b", "c"]), (2, ["b", "c", "a"]), (3, ["c", "a", "b"])] {
                let ballot = match method.ballot {
                    BallotKind::Choice => json!(first),
                    BallotKind::Approvals => json!([first]),
                    BallotKind::Ranking => json!([first, second, third]),
                    BallotKind::Scores => json!({first: 5, second: 3, third: 1}),
                };
                play.cast(player, ballot).unwrap();
            }
            let result = play.result();
            let first = &result["ties"][0];
            let favoured = first["favoured"].as_array().unwrap_or_else(|| panic!("{}: {result}", method.name));
            assert!(favoured.contains(&json!(declared[0])), "{}: {first}", method.name);
            assert_eq!((&first["by"], &result["tie_broken"]), (&json!("declared_order"), &json!(true)));
            match first["about"].as_str() {
                Some("win") => assert_eq!(result["winner"], declared[0], "{}", method.name),
                // Who goes is whom the word does not favour; where their ballot goes may still decide.
                Some("elimination") => {
                    assert_eq!(result["rounds"][0]["eliminated"], json!([declared[2]]), "{}", method.name);
                }
                // Equal majorities are taken in an order of ranked pairs' own, which its definition fixes.
                about => {
                    assert!([("star", Some("runoff")), ("ranked_pairs", Some("lock"))].contains(&(method.name, about)))
                }
            }
        }
    }
}

#[test]
fn a_hidden_vote_is_not_readable_before_the_close_and_a_secret_one_never() {
    let mut play = Play::open(abc(json!({"visibility": "secret"})), 3);
    let receipt = play.cast(1, "a").unwrap().receipt;
    play.casts("2b 3a");
    let record = play.close().record.write().to_json();
    for player in [1, 2, 3] {
        let mentions = record.matches(&id(player).to_string()).count();
        assert_eq!(mentions, 1, "player {player} is named once, in the list of the eligible");
    }
    assert!(record.contains(&hex(receipt)));
    let proof = play.vote.verify(receipt).unwrap();
    assert_eq!((proof.leaf, proof.closed), (None, true), "a proof of a secret cast shows no ballot");
    assert_eq!(play.view(1).get("own_ballot"), None);
}

#[test]
fn rejoining_never_refills_tokens_or_revotes() {
    let mut play = Play::open(abc(json!({"max_revotes": 0, "veto_enabled": true, "veto_threshold": 2})), 3);
    let mut tokens = crate::engine::votes::veto::VetoTokens::new(1);
    assert!(tokens.hold(id(1)));
    play.vote.veto(id(1), true, play.now_ms, &mut play.said).unwrap();
    play.casts("1a").leave(1).join(1);
    assert!(!tokens.hold(id(1)));
    assert!(play.vote.veto(id(1), false, play.now_ms, &mut play.said).is_ok_and(|ok| !ok.spent));
    assert_eq!(reason(play.cast(1, "b")), "rate_limited");
    assert!(!play.vote.closed());
}

#[test]
fn a_paused_clock_does_not_run_on() {
    let mut play = Play::open(abc(json!({})), 2);
    play.at(14_999).pause().at(10_000_000);
    assert!(!play.vote.closed());
    play.resume().casts("1a");
    assert_eq!(play.result()["winner"], "a");
}

#[test]
fn turnout_is_never_above_one() {
    let mut play = Play::open(abc(json!({"spectators": true, "max_revotes": 3})), 1);
    play.casts("1a 1b 1a 11a 12a 13a").join(2).casts("2a");
    assert_eq!(play.result()["turnout"], 1.0);
}
