//! What a count costs: every method over a million ballots of ten options, against tallystick over the same hundred
//! thousand where it has the method on a stable compiler (not borda, irv, schulze and stv), what one cast costs a live tally, and a room's run-off from cast to result.
//!
//! `cargo bench --bench tally`. Ballots are uniform permutations, the worst case for grouping: nearly none are alike.
//! A ratio is worth more than a figure; both sides of one are timed in the same run, from ballots in memory to winners.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tessera::engine::votes::methods::plurality::count_packed;
use tessera::engine::votes::{Ballot, BallotKind, CountRules, METHODS, OptionIx, Profile, TieBreak, method};

const OPTIONS: usize = 10;
const MILLION: usize = 1_000_000;
const COMPARED: usize = 100_000;

fn rankings(ballots: usize, seed: u64) -> Vec<Vec<OptionIx>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<OptionIx> = (0..OPTIONS as OptionIx).collect();
    (0..ballots)
        .map(|_| {
            for at in (1..OPTIONS).rev() {
                order.swap(at, rng.random_range(0..=at));
            }
            order.clone()
        })
        .collect()
}

/// A ranking as a ballot of any kind: its first, its first three, its order, or points by place.
fn ballot(kind: BallotKind, order: &[OptionIx]) -> Ballot {
    match kind {
        BallotKind::Choice => Ballot::Choice(order[0]),
        BallotKind::Approvals => Ballot::Approvals(order[..3].to_vec()),
        BallotKind::Ranking => Ballot::Ranking(order.iter().map(|&option| vec![option]).collect()),
        BallotKind::Scores => {
            let mut scores = vec![0; OPTIONS];
            for (place, &option) in order.iter().enumerate() {
                scores[usize::from(option)] = (5 - place.min(5)) as u32;
            }
            Ballot::Scores(scores)
        }
    }
}

fn rules(name: &str) -> CountRules {
    let method = method(name).expect("a method of the table");
    let ids = if name == "motion" {
        vec!["yes".into(), "no".into()]
    } else {
        (0..OPTIONS).map(|o| format!("o{o}")).collect()
    };
    let mut rules = CountRules::new(method, ids);
    rules.seats = if name == "stv" { 3 } else { 1 };
    rules.tie_break = vec![TieBreak::PreviousRounds, TieBreak::SeededLot];
    rules
}

fn profile(rules: &CountRules, ballots: &[Vec<OptionIx>]) -> Profile {
    let mut profile = Profile::new(rules.method.ballot, rules.options.len());
    for order in ballots {
        profile.push(&fitting(rules, order), 1).expect("a good ballot");
    }
    profile
}

/// A motion has two options only.
fn fitting(rules: &CountRules, order: &[OptionIx]) -> Ballot {
    match ballot(rules.method.ballot, order) {
        Ballot::Choice(option) => Ballot::Choice(option % rules.options.len() as OptionIx),
        other => other,
    }
}

/// Ballots counted per second, packed ballots in, winners and evidence out.
fn counts(c: &mut Criterion) {
    let mut group = c.benchmark_group("count 1M x 10");
    group.sample_size(10).throughput(Throughput::Elements(MILLION as u64));
    let ballots = rankings(MILLION, 1);
    for method in METHODS {
        let rules = rules(method.name);
        let profile = profile(&rules, &ballots);
        group.bench_function(method.name, |b| b.iter(|| rules.method.count(&rules, black_box(&profile))));
    }
    let firsts: Vec<u8> = ballots.iter().map(|order| order[0] as u8).collect();
    group.bench_function("plurality, packed first choices", |b| {
        b.iter(|| count_packed(black_box(&firsts), OPTIONS as u8));
    });
    group.finish();
}

/// The same ballots, added one by one and then asked for winners: by us, who check each, and by tallystick.
fn against_tallystick(c: &mut Criterion) {
    let mut group = c.benchmark_group("against tallystick, 100k x 10");
    group.sample_size(10).throughput(Throughput::Elements(COMPARED as u64));
    let orders = rankings(COMPARED, 2);
    let ours = |group: &mut criterion::BenchmarkGroup<'_, _>, name: &str| {
        let rules = rules(name);
        let cast: Vec<Ballot> = orders.iter().map(|order| ballot(rules.method.ballot, order)).collect();
        group.bench_function(BenchmarkId::new(name, "tessera"), |b| {
            b.iter(|| {
                let mut tally = rules.method.live(&rules);
                for ballot in &cast {
                    tally.add(black_box(ballot), 1).expect("a good ballot");
                }
                tally.snapshot()
            });
        });
    };
    ours(&mut group, "plurality");
    group.bench_function(BenchmarkId::new("plurality", "tallystick"), |b| {
        b.iter(|| {
            let mut tally = tallystick::plurality::DefaultPluralityTally::with_capacity(1, OPTIONS);
            orders.iter().for_each(|order| tally.add(order[0]));
            tally.winners()
        });
    });
    ours(&mut group, "approval");
    group.bench_function(BenchmarkId::new("approval", "tallystick"), |b| {
        b.iter(|| {
            let mut tally = tallystick::approval::DefaultApprovalTally::with_capacity(1, OPTIONS);
            orders.iter().for_each(|order| tally.add_ref(&order[..3]));
            tally.winners()
        });
    });
    ours(&mut group, "score");
    let scored: Vec<Vec<(OptionIx, u64)>> = orders
        .iter()
        .map(|order| order.iter().enumerate().map(|(place, &o)| (o, (5 - place.min(5)) as u64)).collect())
        .collect();
    group.bench_function(BenchmarkId::new("score", "tallystick"), |b| {
        b.iter(|| {
            let mut tally = tallystick::score::DefaultScoreTally::with_capacity(1, OPTIONS);
            scored.iter().for_each(|scores| tally.add_ref(scores));
            tally.winners()
        });
    });
    // Its Condorcet tally builds the same matrix and takes the winners off it.
    ours(&mut group, "copeland");
    group.bench_function(BenchmarkId::new("copeland", "tallystick"), |b| {
        b.iter(|| {
            let candidates = (0..OPTIONS as OptionIx).collect();
            let mut tally = tallystick::condorcet::DefaultCondorcetTally::with_candidates(1, candidates);
            orders.iter().for_each(|order| tally.add(order).expect("a good ballot"));
            tally.winners()
        });
    });
    group.finish();
}

/// One cast and one revote in a tally that holds a room's ballots.
fn casts(c: &mut Criterion) {
    let mut group = c.benchmark_group("one live cast among 1000 x 10");
    let orders = rankings(1_000, 3);
    for method in METHODS {
        let rules = rules(method.name);
        let cast: Vec<Ballot> = orders.iter().map(|order| fitting(&rules, order)).collect();
        let mut live = rules.method.live(&rules);
        for ballot in &cast {
            live.add(ballot, 1).expect("a good ballot");
        }
        let mut at = 0;
        group.throughput(Throughput::Elements(2));
        group.bench_function(method.name, |b| {
            b.iter(|| {
                at = (at + 1) % cast.len();
                live.remove(&cast[at], 1).expect("a good ballot");
                live.add(black_box(&cast[at]), 1).expect("a good ballot");
            });
        });
    }
    group.finish();
}

/// The result of a room of a thousand, out of its live tally.
fn results(c: &mut Criterion) {
    let mut group = c.benchmark_group("result of 1000 x 10");
    let orders = rankings(1_000, 4);
    for method in METHODS {
        let rules = rules(method.name);
        let mut live = rules.method.live(&rules);
        for order in &orders {
            live.add(&fitting(&rules, order), 1).expect("a good ballot");
        }
        group.bench_function(method.name, |b| b.iter_batched(|| (), |()| live.snapshot(), BatchSize::SmallInput));
    }
    group.finish();
}

criterion_group!(benches, counts, against_tallystick, casts, results);
criterion_main!(benches);
