//! Records that were recounted, and records that somebody tampered with.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::engine::votes::recount::recount;
use crate::engine::votes::{BallotKind, METHODS};
use crate::limits::VOTE_RECORD_BYTES_MAX;

/// What was broadcast and the record's text.
fn record_of(play: &mut Play) -> (String, String) {
    let closed = play.close();
    (closed.payload.to_string(), closed.record.write().to_json())
}

fn agrees(payload: &str, record: &str, what: &str) {
    let again = recount(record).unwrap_or_else(|broken| panic!("{what}: {broken}"));
    assert_eq!(again.payload, payload, "{what}");
    assert_eq!(again.disagrees, None, "{what}");
}

/// A ballot of `kind` drawn from `rng`.
fn drawn(kind: BallotKind, rng: &mut ChaCha8Rng) -> Value {
    let mut options = vec!["a", "b", "c"];
    let first = options.remove(rng.random_range(0..3));
    let second = options.remove(rng.random_range(0..2));
    match kind {
        BallotKind::Choice => json!(first),
        BallotKind::Scores => json!({first: rng.random_range(0..6), second: rng.random_range(0..6)}),
        BallotKind::Approvals | BallotKind::Ranking if rng.random_bool(0.3) => json!([first]),
        BallotKind::Approvals | BallotKind::Ranking => json!([first, second]),
    }
}

#[test]
fn every_method_in_every_visibility_is_recounted_byte_for_byte() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for method in METHODS.iter().filter(|method| method.name != "motion") {
        for visibility in ["live", "hidden", "secret"] {
            for round in 0..8 {
                let mut config = abc(json!({
                    "method": method.name,
                    "visibility": visibility,
                    "allow_blank": true,
                    "tie_break": ["previous_rounds", "seeded_lot"],
                    "delegation": {(id(5).to_string()): id(1).to_string()},
                    "default_votes": {(id(6).to_string()): drawn(method.ballot, &mut rng)},
                }));
                if round % 2 == 0 {
                    config["spectators"] = json!(true);
                }
                if round % 4 == 1 && method.name != "plurality" {
                    config["weights"] = json!({(id(1).to_string()): 3, (id(2).to_string()): 0});
                }
                let mut open = opening(config, 6).unwrap();
                if round % 3 == 2 {
                    open.weigh = Weigh { losses: [(id(1), 2)].into(), bonus_bp: 2_500 };
                }
                let mut play = Play::opened(open);
                for player in [1, 2, 3, 1, 11, 12, 4, 2] {
                    let _ = play.cast(player, drawn(method.ballot, &mut rng));
                    if rng.random_bool(0.2) {
                        let _ = play.cast(player, Value::Null);
                    }
                }
                play.join(7);
                let (payload, record) = record_of(&mut play);
                agrees(&payload, &record, &format!("{} {visibility} {round}", method.name));
            }
        }
    }
}

#[test]
fn motions_drafts_silence_vetoes_and_cancellations_are_recounted() {
    let mut motion = Play::open(json!({"method": "motion", "basis": "eligible"}), 3);
    motion.casts("1yes 2yes 3abstain");
    let (payload, record) = record_of(&mut motion);
    assert!(payload.contains(r#""winner":"yes""#));
    agrees(&payload, &record, "motion");

    let turns = json!([{"who": "team:1", "act": "ban"}, {"who": "team:2", "act": "pick"}]);
    let mut draft = Play::open(abc(json!({"method": "draft", "turns": turns})), 4);
    draft.casts("2b");
    let (payload, record) = record_of(&mut draft);
    agrees(&payload, &record, "draft");
    let forged = record.replacen(r#""by":null"#, &format!(r#""by":"{}""#, id(3)), 1);
    assert_eq!(recount(&forged).unwrap_err().entry, "turns[1]");

    let (payload, record) = record_of(&mut Play::open(abc(json!({"fallback": "c"})), 3));
    agrees(&payload, &record, "silence");

    for visibility in ["live", "secret"] {
        let mut cancelled = Play::open(abc(json!({"visibility": visibility})), 3);
        cancelled.casts("1a");
        cancelled.vote.cancel("match_finished", cancelled.now_ms, &mut cancelled.said);
        let (payload, record) = record_of(&mut cancelled);
        agrees(&payload, &record, "cancelled");
    }

    let mut vetoed = Play::open(abc(json!({"veto_enabled": true})), 3);
    vetoed.casts("1a");
    vetoed.vote.veto(id(2), true, vetoed.now_ms, &mut vetoed.said).unwrap();
    let Some(VoteEffect::Vetoed(told)) = vetoed.said.last() else { panic!("expected a veto") };
    let again = recount(&told.record.write().to_json()).unwrap();
    assert_eq!(again.disagrees, None);
    assert!(again.payload.contains(r#""status":"vetoed""#));
}

#[test]
fn the_first_entry_that_was_tampered_with_is_named() {
    let mut play = Play::open(abc(json!({"template": "t"})), 4);
    play.casts("1a 2b 3b 1b");
    let (_, record) = record_of(&mut play);
    let record: Value = serde_json::from_str(&record).unwrap();
    assert!(recount(&serde_json::to_string_pretty(&record).unwrap()).unwrap().disagrees.is_none(), "another layout");
    let other = json!("00".repeat(32));
    type Tamper<'a> = (&'a str, Value, &'a str);
    let cases: [Tamper; 18] = [
        ("/format", json!("tessera/audit/2"), "format"),
        ("/config/method", json!("plurarity"), "config.method"),
        ("/config/options/0/id", json!("z"), "casts[0].ballot"),
        ("/eligible/0", json!(id(9).to_string()), "eligible"),
        ("/eligible_hash", other.clone(), "eligible"),
        ("/seed", other.clone(), "seed"),
        ("/seed_commit", other.clone(), "seed"),
        ("/casts/1/ballot", json!("a"), "casts[1]"),
        ("/casts/1/voter", json!(id(4).to_string()), "casts[1]"),
        ("/casts/2/seq", json!(3), "casts[2].seq"),
        ("/casts/2/receipt", other.clone(), "casts[2]"),
        ("/casts/3/revision", json!(1), "casts[3]"),
        ("/result/winner", json!("a"), "result.winner"),
        ("/result/counts/a", json!(3), "result.counts"),
        ("/result/ballots_root", other.clone(), "result.ballots_root"),
        ("/result/turnout", json!(0.9), "result.turnout"),
        ("/config/template", json!("u"), "result.template"),
        ("/end", json!({"how": "vetoed", "by": [id(1).to_string()]}), "end"),
    ];
    for (at, value, entry) in cases {
        let mut tampered = record.clone();
        *tampered.pointer_mut(at).unwrap() = value;
        let named = match recount(&tampered.to_string()) {
            Ok(again) => again.disagrees.unwrap_or_else(|| panic!("{at}: nobody noticed")).entry,
            Err(broken) => broken.entry,
        };
        assert_eq!(named, entry, "{at}");
    }
    // Dropping a cast is noticed where the next one stands, or, at the end, by the root.
    for (drop, entry) in [(1, "casts[1].seq"), (3, "result.ballots_root")] {
        let mut shorter = record.clone();
        shorter["casts"].as_array_mut().unwrap().remove(drop);
        let named = match recount(&shorter.to_string()) {
            Ok(again) => again.disagrees.unwrap().entry,
            Err(broken) => broken.entry,
        };
        assert_eq!(named, entry, "dropped {drop}");
    }
}

#[test]
fn a_secret_record_is_held_to_its_groups() {
    let mut play = Play::open(abc(json!({"visibility": "secret"})), 4);
    play.casts("1a 2b 3b 1b");
    let (_, record) = record_of(&mut play);
    let record: Value = serde_json::from_str(&record).unwrap();
    for (at, value, entry) in [
        ("/sealed/groups/0/ballots", json!(2), "sealed.groups"),
        ("/sealed/groups/0/ballots", json!(9), "sealed.groups"),
        ("/sealed/groups/0/ballot", json!("a"), "result.winner"),
        ("/sealed/cast/players", json!(9), "sealed.cast"),
        ("/sealed/receipts", json!([]), "sealed.receipts"),
        ("/config/visibility", json!("live"), "casts"),
    ] {
        let mut tampered = record.clone();
        *tampered.pointer_mut(at).unwrap() = value;
        let named = match recount(&tampered.to_string()) {
            Ok(again) => again.disagrees.unwrap_or_else(|| panic!("{at}: nobody noticed")).entry,
            Err(broken) => broken.entry,
        };
        assert!(named.starts_with(entry) || named.starts_with("result."), "{at}: {named}");
    }
}

#[test]
fn a_hostile_file_is_refused_and_nothing_worse() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut records = Vec::new();
    for visibility in ["live", "secret"] {
        let mut play = Play::open(abc(json!({"method": "ranked", "visibility": visibility})), 4);
        for (player, ballot) in [(1, json!(["a", "b"])), (2, json!(["b"])), (3, json!(["c", "b", "a"]))] {
            play.cast(player, ballot).unwrap();
        }
        records.push(record_of(&mut play).1);
    }
    for record in &records {
        for _ in 0..2_000 {
            let mut bytes = record.clone().into_bytes();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                match rng.random_range(0..3) {
                    0 => bytes[at] = rng.random_range(b' '..b'~'),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"0129{}[],:\"-e."[rng.random_range(0..14)]),
                }
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let _ = recount(&text);
        }
    }
    for (text, said) in [
        (String::new(), "EOF"),
        (format!("{{\"config\":{}", "[".repeat(100_000)), "recursion limit"),
        ("{}".into(), "missing field"),
        (" ".repeat(VOTE_RECORD_BYTES_MAX + 1), "expected at most"),
    ] {
        let broken = recount(&text).unwrap_err();
        assert!(broken.entry == "file" && broken.message.contains(said), "{broken}");
    }
}
