//! Every election of up to 3 options and 4 voters, by every method, against a second way to count.

mod oracle;

use tessera::engine::votes::count::{Basis, CountRules, Elimination, Strength, Truncated};
use tessera::engine::votes::{Ballot, METHODS, TieBreak};

const OPTIONS_MAX: usize = 3;
const VOTERS_MAX: usize = 4;
const SCORE_MAX: u32 = 2;

/// Every set of rules that changes what a method does.
fn variants(name: &str, options: usize) -> Vec<CountRules> {
    let method = METHODS.iter().find(|method| method.name == name).unwrap();
    let ids = if name == "motion" { ["yes", "no", "abstain"] } else { ["a", "b", "c"] };
    let mut base = CountRules::new(method, ids[..options].iter().map(|id| (*id).to_owned()).collect());
    base.max_score = SCORE_MAX;
    base.seed = b"exhaustive".to_vec();
    base.eligible = 4;
    let with = |change: &dyn Fn(&mut CountRules)| {
        let mut rules = base.clone();
        change(&mut rules);
        rules
    };
    match name {
        "approval" | "stv" => (1..=options).map(|seats| with(&|rules| rules.seats = seats)).collect(),
        "ranked" => [Elimination::Single, Elimination::Batch].map(|e| with(&|rules| rules.elimination = e)).to_vec(),
        "borda" => [Truncated::Average, Truncated::Zero, Truncated::Modified]
            .map(|truncated| with(&|rules| rules.truncated = truncated))
            .to_vec(),
        "schulze" | "ranked_pairs" => {
            [Strength::Wv, Strength::Margins].map(|strength| with(&|rules| rules.strength = strength)).to_vec()
        }
        "minimax" => [Strength::Wv, Strength::Margins, Strength::Opposition]
            .map(|strength| with(&|rules| rules.strength = strength))
            .to_vec(),
        "motion" => [(5_001, Basis::Cast), (6_667, Basis::Cast), (5_000, Basis::Eligible), (10_000, Basis::Eligible)]
            .map(|(bp, basis)| with(&|rules| (rules.threshold_bp, rules.basis) = (bp, basis)))
            .to_vec(),
        _ => vec![base],
    }
}

type Cast = Vec<(Ballot, u64)>;

/// Every multiset of at most `VOTERS_MAX` ballots: voters have no names, so their order is not tried here.
fn profiles(ballots: &[Ballot], from: usize, cast: &mut Cast, each: &mut dyn FnMut(&Cast)) {
    each(cast);
    if cast.len() == VOTERS_MAX {
        return;
    }
    for at in from..ballots.len() {
        cast.push((ballots[at].clone(), 1));
        profiles(ballots, at, cast, each);
        cast.pop();
    }
}

fn argue(names: &[&str]) {
    let chains = [
        vec![],
        vec![TieBreak::PreviousRounds, TieBreak::DeclaredOrder],
        vec![TieBreak::PreviousRounds, TieBreak::SeededLot],
    ];
    for name in names {
        let mut argued = 0u64;
        for options in 1..=OPTIONS_MAX {
            if *name == "motion" && options < 2 {
                continue;
            }
            let variants = variants(name, options);
            let ballots = oracle::every_ballot(variants[0].method.ballot, options, SCORE_MAX);
            let mut number = 0usize;
            profiles(&ballots, 0, &mut vec![], &mut |cast| {
                number += 1;
                for rules in &variants {
                    // Elections without any tie need no second chain; the chains take turns where there are many.
                    let mut rules = rules.clone();
                    rules.tie_break.clone_from(&chains[number % chains.len()]);
                    argued += 1;
                    // One by one and all at once share most of their way: a part of the elections is enough for that.
                    let alone = number.is_multiple_of(16).then(|| oracle::self_contradiction(&rules, cast)).flatten();
                    if let Some(said) = oracle::disagreement(&rules, cast).or(alone) {
                        panic!("{said}");
                    }
                }
            });
        }
        println!("{name}: {argued} elections");
        assert!(argued > 50, "{name}");
    }
}

#[test]
fn choices_and_approvals() {
    argue(&["plurality", "weighted", "motion", "approval"]);
}

#[test]
fn scores() {
    argue(&["score", "star"]);
}

#[test]
fn run_offs() {
    argue(&["ranked", "stv"]);
}

#[test]
fn pairs() {
    argue(&["borda", "copeland", "minimax"]);
}

#[test]
fn cycles() {
    argue(&["schulze", "ranked_pairs"]);
}

#[test]
fn no_method_is_left_out() {
    let argued = [
        "plurality",
        "weighted",
        "motion",
        "approval",
        "score",
        "star",
        "ranked",
        "stv",
        "borda",
        "copeland",
        "minimax",
        "schulze",
        "ranked_pairs",
    ];
    for method in METHODS {
        assert!(argued.contains(&method.name), "{} has no second opinion", method.name);
    }
}
