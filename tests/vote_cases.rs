//! Elections with known results, counted again: every check of every file must come out equal.
//!
//! Two shelves hold them. `tests/fixtures/elections` is ours and always there. `../shared/vote-cases` holds real
//! elections whose results other tools have verified; where that folder exists, something in it must be compared.
//! What cannot be compared is named with its reason.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tessera::engine::votes::count::{CountRules, Elimination, Matrix, Strength, Truncated};
use tessera::engine::votes::{Ballot, BallotKind, Count, CountStatus, OptionIx, Profile, TieBreak, method};

#[derive(Deserialize)]
struct Case {
    id: String,
    options: Vec<String>,
    kind: String,
    ballots: Vec<(u64, Value)>,
    weights: Option<Vec<u64>>,
    max_score: Option<u32>,
    checks: Vec<Check>,
    #[serde(default)]
    checks_own_reference_only: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    method: String,
    #[serde(default)]
    options: BTreeMap<String, Value>,
    seats: Option<usize>,
    tie_break: Option<Value>,
    expected: Value,
}

/// What became of one check.
enum Outcome {
    Equal,
    Skipped(&'static str),
}

#[test]
fn every_election_comes_out_as_it_is_known_to() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = walk(&root.join("tests/fixtures/elections"));
    assert!(own > 0, "our own elections were not found");
    let shared = root.join("../shared/vote-cases");
    if shared.is_dir() {
        assert!(walk(&shared) > 0, "{} exists, and nothing in it was compared", shared.display());
    }
}

fn walk(folder: &Path) -> usize {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            (name.ends_with(".json") || name.ends_with(".json.gz")) && name != "INDEX.json"
        })
        .collect();
    files.sort();
    let (mut compared, mut skipped, mut wrong) = (0, Vec::new(), Vec::new());
    for path in &files {
        let case = read(path);
        let profile = profile(&case);
        for check in case.checks.iter().chain(&case.checks_own_reference_only) {
            let what = format!("{} {} {:?} {:?}", case.id, check.method, check.options, check.tie_break);
            match compare(&case, &profile, check) {
                Ok(Outcome::Equal) => compared += 1,
                Ok(Outcome::Skipped(why)) => skipped.push(format!("{}: {} ({why})", case.id, check.method)),
                Err(difference) => wrong.push(format!("{what}: {difference}")),
            }
        }
    }
    println!(
        "{}: {compared} checks of {} elections compared, {} skipped",
        folder.display(),
        files.len(),
        skipped.len()
    );
    skipped.iter().for_each(|line| println!("  skipped {line}"));
    assert!(wrong.is_empty(), "{} checks differ:\n{}", wrong.len(), wrong.join("\n"));
    compared
}

fn read(path: &Path) -> Case {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|ending| ending == "gz") {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn profile(case: &Case) -> Profile {
    let kind = match case.kind.as_str() {
        "ranking" => BallotKind::Ranking,
        "approval" => BallotKind::Approvals,
        "scores" => BallotKind::Scores,
        other => panic!("{}: unknown kind {other}", case.id),
    };
    let mut profile = Profile::new(kind, case.options.len());
    for (at, (count, body)) in case.ballots.iter().enumerate() {
        let ballot = match kind {
            BallotKind::Ranking => Ballot::Ranking(body.as_array().unwrap().iter().map(indices).collect()),
            BallotKind::Approvals => Ballot::Approvals(indices(body)),
            _ => Ballot::Scores(serde_json::from_value(body.clone()).unwrap()),
        };
        let weight = case.weights.as_ref().map_or(1, |weights| weights[at]);
        profile.push(&ballot, count * weight).unwrap();
    }
    profile
}

/// An index, or a list of them.
fn indices(value: &Value) -> Vec<OptionIx> {
    match value {
        Value::Number(number) => vec![number.as_u64().unwrap() as OptionIx],
        list => serde_json::from_value(list.clone()).unwrap(),
    }
}

fn compare(case: &Case, profile: &Profile, check: &Check) -> Result<Outcome, String> {
    if check.method == "pairwise" {
        return compare_pairs(profile, &check.expected);
    }
    if check.options.contains_key("rctab_mode") {
        return Ok(Outcome::Skipped("RCTab's own rules for several seats"));
    }
    if check.options.get("eliminate_first").is_some_and(|list| list.as_array().is_some_and(|list| !list.is_empty())) {
        return Ok(Outcome::Skipped("eliminate_first"));
    }
    if check.options.get("continue_until_two") == Some(&Value::Bool(true)) {
        return Ok(Outcome::Skipped("continue_until_two"));
    }
    let rules = rules(case, check)?;
    assert_eq!(rules.method.check(&rules), [], "{}", case.id);
    let count = rules.method.count(&rules, profile);
    same_count(&rules, check, &count, profile)?;
    Ok(Outcome::Equal)
}

fn rules(case: &Case, check: &Check) -> Result<CountRules, String> {
    let method = method(&check.method).ok_or("unknown method")?;
    let mut rules = CountRules::new(method, case.options.clone());
    rules.seats = check.seats.unwrap_or(1);
    rules.max_score = case.max_score.unwrap_or(5);
    for (key, value) in &check.options {
        match (key.as_str(), value.as_str()) {
            ("strength", Some("wv")) => rules.strength = Strength::Wv,
            ("strength", Some("margins")) => rules.strength = Strength::Margins,
            ("strength", Some("opposition")) => rules.strength = Strength::Opposition,
            ("truncated", Some("average")) => rules.truncated = Truncated::Average,
            ("truncated", Some("zero")) => rules.truncated = Truncated::Zero,
            ("truncated", Some("modified")) => rules.truncated = Truncated::Modified,
            ("elimination", Some("single")) => rules.elimination = Elimination::Single,
            ("elimination", Some("batch")) => rules.elimination = Elimination::Batch,
            // How the rules are, said once more for the reader.
            ("majority_of" | "quota" | "surplus" | "places" | "one_transfer_per_round", _) => {}
            ("eliminate_first" | "continue_until_two" | "equal_strength_order" | "max", _) => {}
            ("tiebreak_scoring" | "tiebreak_runoff", _) => {}
            _ => return Err(format!("option {key} = {value} is new to this test")),
        }
    }
    rules.tie_break = match &check.tie_break {
        None => vec![],
        Some(Value::String(word)) if word == "declared_order" => vec![TieBreak::DeclaredOrder],
        Some(Value::String(word)) if word == "previous_rounds_then_declared_order" => {
            vec![TieBreak::PreviousRounds, TieBreak::DeclaredOrder]
        }
        Some(Value::String(word)) if word.starts_with("foreign:") => vec![TieBreak::DeclaredOrder],
        Some(Value::Object(map)) if map.contains_key("seeded_lot") => {
            rules.seed = map["seeded_lot"].as_str().unwrap().as_bytes().to_vec();
            vec![TieBreak::SeededLot]
        }
        Some(other) => return Err(format!("tie_break {other} is new to this test")),
    };
    Ok(rules)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}")) }
}

fn compare_pairs(profile: &Profile, expected: &Value) -> Result<Outcome, String> {
    let matrix = Matrix::of(profile);
    let rows: Vec<Vec<u128>> = (0..matrix.size()).map(|option| matrix.row(option).to_vec()).collect();
    same("matrix", rows, serde_json::from_value(expected["matrix"].clone()).unwrap())?;
    let winner = expected["condorcet_winner"].as_u64().map(|option| option as OptionIx);
    same("condorcet winner", matrix.condorcet_winner(), winner)?;
    same("smith set", matrix.smith_set(), indices(&expected["smith_set"]))?;
    Ok(Outcome::Equal)
}

fn same_count(rules: &CountRules, check: &Check, count: &Count, profile: &Profile) -> Result<(), String> {
    // Another tool's own random order, of use to us only where it had no tie to break.
    let foreign = check.expected["tie_broken"] != Value::Bool(false)
        && check.tie_break.as_ref().and_then(Value::as_str).is_some_and(|word| word.starts_with("foreign:"));
    let fields = check.expected.as_object().unwrap();
    for (key, expected) in fields {
        let numbers = || -> Vec<u128> { serde_json::from_value(expected.clone()).unwrap() };
        match key.as_str() {
            "winners" => same(key, count.winners.clone(), indices(expected))?,
            "committees" => same_committees(rules, profile, expected)?,
            "scores" | "scores_x2" | "worst" => same(key, count.scores.clone(), numbers())?,
            "winner" => {
                // The other tool drew its own lots: only the set of possible winners binds us.
                if !foreign {
                    let winner = expected.as_u64().map(|option| option as OptionIx);
                    same(key, count.winners.first().copied(), winner)?;
                }
            }
            "winners_over_all_tie_orders" => {
                let possible = indices(expected);
                if !count.winners.iter().all(|winner| possible.contains(winner)) {
                    return Err(format!("winner {:?} is not among {possible:?}", count.winners));
                }
                same(
                    "possible winners",
                    open_winners(rules, profile).is_subset(&possible.into_iter().collect()),
                    true,
                )?;
            }
            "tie_broken" => same(key, count.tie_broken(), expected.as_bool().unwrap())?,
            "rounds" if !foreign => same_rounds(count, expected)?,
            "quota" => same(key, count.quota, expected.as_u64().map(u128::from))?,
            "scale" => same(key, u64::from(count.scale), expected.as_u64().unwrap())?,
            "lot_order" => {
                let mut order: Vec<OptionIx> = (0..rules.options.len() as OptionIx).collect();
                let lot = |option: &OptionIx| {
                    tessera::engine::votes::ties::lot(&rules.seed, &rules.options[usize::from(*option)])
                };
                order.sort_by_key(lot);
                same(key, order, indices(expected))?;
            }
            "preference_matrix" => {
                let matrix = count.matrix.as_ref().ok_or("no matrix")?;
                let rows: Vec<Vec<u128>> = (0..matrix.size()).map(|option| matrix.row(option).to_vec()).collect();
                same(key, rows, serde_json::from_value(expected.clone()).unwrap())?;
            }
            "unbreakable_tie" => same(key, count.status, CountStatus::Tie)?,
            "final_threshold" if !foreign => {
                let last = count.rounds.last().ok_or("no rounds")?;
                let continuing: u128 = last.tally.iter().flatten().sum();
                same(key, (continuing / 2 + 1).to_string(), expected.as_str().unwrap().into())?;
            }
            "no_equal_strengths" | "top_score_counts" | "undervotes" | "final_threshold" | "rounds" => {}
            other => return Err(format!("expected.{other} is new to this test")),
        }
    }
    Ok(())
}

/// The winners of all the ways a tie chain could go, as far as lots of some seeds show them.
fn open_winners(rules: &CountRules, profile: &Profile) -> std::collections::BTreeSet<OptionIx> {
    let mut rules = rules.clone();
    rules.tie_break = vec![TieBreak::SeededLot];
    (0..8u8)
        .flat_map(|seed| {
            rules.seed = vec![seed];
            rules.method.count(&rules, profile).winners
        })
        .collect()
}

/// One of the tied optimal committees is elected; left open, the winners are all that are in any of them.
fn same_committees(rules: &CountRules, profile: &Profile, expected: &Value) -> Result<(), String> {
    let committees: Vec<Vec<OptionIx>> = serde_json::from_value(expected.clone()).unwrap();
    let mut all: Vec<OptionIx> = committees.concat();
    all.sort_unstable();
    all.dedup();
    same("union of committees", rules.method.count(rules, profile).winners, all)?;
    let mut rules = rules.clone();
    rules.tie_break = vec![TieBreak::DeclaredOrder];
    let elected = rules.method.count(&rules, profile).winners;
    if committees.contains(&elected) { Ok(()) } else { Err(format!("{elected:?} is not among {committees:?}")) }
}

fn same_rounds(count: &Count, expected: &Value) -> Result<(), String> {
    let expected = expected.as_array().unwrap();
    same("number of rounds", count.rounds.len(), expected.len())?;
    for (at, (round, expected)) in count.rounds.iter().zip(expected).enumerate() {
        let mut fields = expected.as_object().unwrap().clone();
        let field = |fields: &mut serde_json::Map<String, Value>, key: &str| fields.remove(key);
        if let Some(tally) = field(&mut fields, "tally") {
            let tally: Vec<Option<u128>> = serde_json::from_value(tally).unwrap();
            same(&format!("tally of round {at}"), round.tally.clone(), tally)?;
        }
        if let Some(exhausted) = field(&mut fields, "exhausted") {
            same(&format!("exhausted in round {at}"), round.exhausted, u128::from(exhausted.as_u64().unwrap()))?;
        }
        let eliminated = field(&mut fields, "eliminated").map_or(vec![], |list| indices(&list));
        same(&format!("eliminated in round {at}"), round.eliminated.clone(), eliminated)?;
        let elected = field(&mut fields, "elected").map_or(vec![], |list| indices(&list));
        same(&format!("elected in round {at}"), round.elected.clone(), elected)?;
        if let Some(from) = field(&mut fields, "transfer") {
            let passed = round.transfers.first().map(|transfer| vec![transfer.from]);
            same(&format!("surplus of round {at}"), passed, Some(indices(&from)))?;
        }
        if let Some(threshold) = field(&mut fields, "threshold") {
            let continuing: u128 = round.tally.iter().flatten().sum();
            same("threshold", (continuing / 2 + 1).to_string(), threshold.as_str().unwrap().to_string())?;
        }
        same(&format!("unread fields of round {at}"), fields.keys().cloned().collect::<Vec<_>>(), vec![])?;
    }
    Ok(())
}
