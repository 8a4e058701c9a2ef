//! `tessera tally` from outside: what it reads, what it prints where, and with which exit code.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn tally(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera")).arg("tally").args(args).output().expect("the program starts")
}

fn election(name: &str) -> String {
    format!("{}/tests/fixtures/elections/{name}.json", env!("CARGO_MANIFEST_DIR"))
}

fn printed(out: &Output) -> Value {
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert!(out.stderr.is_empty(), "{out:?}");
    serde_json::from_slice(&out.stdout).expect("one JSON object")
}

/// A file of our own that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tessera-tally-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }
    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn json_is_the_count_by_option_index() {
    let irv = printed(&tally(&[&election("lunch"), "--method", "irv", "--json"]));
    assert_eq!(
        irv,
        json!({
            "method": "ranked",
            "status": "decided",
            "winners": [0],
            "scores": {"0": 5, "1": 2, "2": 4},
            "rounds": [
                {"tally": {"0": 5, "1": 2, "2": 4}, "exhausted": 0, "eliminated": [1], "elected": [],
                 "transfers": [{"from": 1, "to": null, "amount": 2}]},
                {"tally": {"0": 5, "1": null, "2": 4}, "exhausted": 2, "eliminated": [], "elected": [0]},
            ],
            "tie_broken": false,
        })
    );
    let stv = printed(&tally(&[&election("garden"), "-m", "stv", "--set", "seats=2", "--json"]));
    assert_eq!((&stv["winners"], &stv["quota"], &stv["scale"]), (&json!([0, 1]), &json!(4), &json!(100_000)));
    let minimax = printed(&tally(&[&election("circle"), "-m", "minimax", "--set", "strength=margins", "--json"]));
    assert_eq!(minimax["scores"], json!({"0": 1, "1": 3, "2": 5}));
    assert_eq!(minimax["matrix"], json!([[0, 6, 4], [3, 0, 7], [5, 2, 0]]));
    let nobody = printed(&tally(&[&election("silence"), "-m", "plurality", "--json"]));
    assert_eq!((&nobody["status"], &nobody["winners"]), (&json!("no_votes"), &json!([])));
}

#[test]
fn a_tie_chain_is_a_list_and_none_by_default() {
    let level = |set: &[&str]| {
        let file = election("level");
        let args: Vec<&str> = [&file, "-m", "ranked", "--json"].into_iter().chain(set.iter().copied()).collect();
        printed(&tally(&args))
    };
    let open = level(&[]);
    assert_eq!(
        (&open["status"], &open["winners"], &open["tie_broken"]),
        (&json!("tie"), &json!([0, 1]), &json!(false))
    );
    let broken = level(&["--set", "tie_break=previous_rounds,declared_order"]);
    assert_eq!(
        (&broken["status"], &broken["winners"], &broken["tie_broken"]),
        (&json!("decided"), &json!([0]), &json!(true))
    );
    let drawn = level(&["--set", "tie_break=seeded_lot", "--set", "seed=a"]);
    assert_eq!((&drawn["status"], &drawn["tie_broken"]), (&json!("decided"), &json!(true)));
}

#[test]
fn every_format_is_counted() {
    let blt = Scratch::new("a.blt", "3 2\n5 1 2 0\n2 2 0\n2 3 2 0\n0\n\"rose\"\n\"tulip\"\n\"oak\"\n\"garden\"\n");
    let counted = printed(&tally(&[blt.path(), "-m", "stv", "--json"]));
    assert_eq!(counted["winners"], json!([0, 1]), "the file says two seats");
    let head = "# NUMBER ALTERNATIVES: 3\n# ALTERNATIVE NAME 1: rose\n";
    let toc = Scratch::new("a.toc", &format!("{head}2: 1,{{2,3}}\n1: 2\n"));
    assert_eq!(printed(&tally(&[toc.path(), "-m", "schulze", "--json"]))["winners"], json!([0]));
    let cat = Scratch::new("a.cat", &format!("{head}# NUMBER CATEGORIES: 2\n2: {{1,2}},3\n1: 2,{{1,3}}\n"));
    let approved = printed(&tally(&[cat.path(), "-m", "approval", "--json"]));
    assert_eq!((&approved["winners"], &approved["scores"]), (&json!([1]), &json!({"0": 2, "1": 3, "2": 0})));
    let csv = Scratch::new("a.csv", "anna,ben\n1,2\n2,1\n,1\n");
    assert_eq!(printed(&tally(&[csv.path(), "-m", "plurality", "--json"]))["scores"], json!({"0": 1, "1": 2}));
    let withdrawn = Scratch::new("b.blt", "3 1\n-1\n2 1 2 0\n3 3 0\n0\n\"a\"\n\"b\"\n\"c\"\n\"t\"\n");
    let counted = printed(&tally(&[withdrawn.path(), "-m", "irv", "--json"]));
    assert_eq!(
        (&counted["winners"], &counted["scores"]),
        (&json!([2]), &json!({"1": 2, "2": 3})),
        "numbers of the file"
    );
}

#[test]
fn what_is_wrong_is_one_line_and_an_exit_code() {
    let broken = Scratch::new("broken.json", r#"{"options":["a"],"kind":"ranking","ballots":[[1,[1]]]}"#);
    let lunch = election("lunch");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["/no/such/file", "-m", "irv"], 1, "/no/such/file: No such file or directory"),
        (&[broken.path(), "-m", "irv"], 1, "ballots[0]: option 1 does not exist"),
        (&[&lunch, "-m", "score"], 1, "score counts scores, and the file holds ranking"),
        (&[&lunch, "-m", "motion"], 1, "options: expected yes, no and perhaps abstain"),
        (&[&lunch, "-m", "coin"], 2, "there is no such method; expected one of plurality, approval"),
        (&[&lunch, "-m", "irv", "--set", "sets=2"], 2, "there is no key sets; did you mean seats?"),
        (&[&lunch, "-m", "irv", "--set", "seats=2"], 2, "seats: ranked elects one option, got 2"),
        (&[&lunch, "-m", "schulze", "--set", "strength=opposition"], 2, "opposition is for minimax"),
        (&[&lunch], 2, "--method"),
    ];
    for (args, code, said) in cases {
        let out = tally(args);
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?} {stderr}");
        assert!(stderr.contains(said), "{args:?} {stderr}");
        assert!(out.stdout.is_empty(), "{args:?}");
        assert!(code == 2 || stderr.lines().count() == 1, "{args:?} {stderr}");
    }
}

#[test]
fn people_get_a_table_and_a_page() {
    let page = Scratch::new("page.html", "");
    let out = tally(&[&election("lunch"), "-m", "ranked", "--html", page.path()]);
    assert_eq!(out.status.code(), Some(0));
    assert!(out.stderr.is_empty(), "a pipe is left in peace: {out:?}");
    let table = String::from_utf8(out.stdout).unwrap();
    for line in ["pizza wins.", "Round 2", "    soup -> nobody: 2", "* pizza"] {
        assert!(table.contains(line), "{line}\n{table}");
    }
    let page = fs::read_to_string(&page.0).unwrap();
    assert!(page.contains("<svg") && page.contains("pizza wins."), "{page}");
    assert!(!page.contains("://"), "the page asks nobody for anything");
}

#[test]
fn all_methods_side_by_side_name_what_they_disagree_about() {
    let out = tally(&[&election("lunch"), "--all-methods"]);
    let said = String::from_utf8(out.stdout).unwrap();
    for line in [
        "pizza by plurality, ranked, stv",
        "Condorcet winner soup loses by plurality, ranked, stv.",
        "Spoiler by ranked: without curry, soup would win instead of pizza.",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let json = printed(&tally(&[&election("lunch"), "--all-methods", "--json"]));
    assert!(json["methods"].as_array().unwrap().len() >= 8);
    assert!(json["disagreements"][0].as_str().unwrap().starts_with("The methods disagree"));
}
