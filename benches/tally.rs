//! What a count costs: every method over a million ballots of ten options, against tallystick over the same hundred
//! thousand where it has the method on a stable compiler (not borda, irv, schulze and stv), what one cast costs a live tally,
//! a room's run-off from cast to result, and what the match waits for when a vote of a thousand closes.
//!
//! `cargo bench --bench tally`. Ballots are uniform permutations, the worst case for grouping: nearly none are alike.
//! A ratio is worth more than a figure; both sides of one are timed in the same run, from ballots in memory to winners.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tessera::engine::votes::methods::plurality::count_packed;
use tessera::engine::votes::told::VoteEffect;
use tessera::engine::votes::{
    Ballot, BallotInput, BallotKind, CountRules, METHODS, OptionIx, Profile, TieBreak, Vote, VoteConfig, VoteOpen,
    method,
};
use tessera::ids::PlayerId;

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

/// What a vote of a thousand keeps its match waiting for when it closes: the result with its rounds, the root over all
/// receipts, and the parts of its record. Writing the record out is measured beside it; the store's thread does that.
fn closes(c: &mut Criterion) {
    let mut group = c.benchmark_group("close of a vote of 1000 x 10");
    let orders = rankings(1_000, 5);
    let voters: Vec<PlayerId> = (1..=1_000).map(PlayerId::from_u128).collect();
    let full = |method: &str, visibility: &str| {
        let options: Vec<String> = (0..OPTIONS).map(|option| format!("o{option}")).collect();
        let config = serde_json::json!({"method": method, "visibility": visibility, "options": options});
        let open = VoteOpen {
            config: VoteConfig::from_json(&config.to_string(), &Default::default()).expect("a good vote"),
            vote_id: "bench".parse().expect("a name"),
            match_id: None,
            seed: [7; 32],
            secret: [9; 32],
            eligible: voters.clone(),
            present: voters.clone(),
            spectators: Vec::new(),
            teams: Default::default(),
            weigh: Default::default(),
            called_by: None,
            args: None,
            now_ms: 0,
            unix_ms: 0,
        };
        let (mut vote, mut effects) = Vote::open(open).expect("it opens");
        for (voter, order) in voters.iter().zip(&orders) {
            let names = order.iter().map(|&option| options[usize::from(option)].as_str());
            let ballot = serde_json::to_string(&names.collect::<Vec<_>>()).expect("JSON");
            let ballot: BallotInput = serde_json::from_str(&ballot).expect("a ballot");
            vote.cast(*voter, Some("1"), ballot, 1, 1, &mut effects).expect("a good cast");
        }
        vote
    };
    let close = |vote: &mut Vote| {
        let mut effects = Vec::new();
        vote.poll(1_000_000, &mut effects);
        match effects.pop() {
            Some(VoteEffect::Closed(closed)) => closed,
            other => unreachable!("expected the vote to close, got {other:?}"),
        }
    };
    for (method, visibility) in [("ranked", "live"), ("ranked", "secret"), ("schulze", "hidden"), ("stv", "live")] {
        let name = format!("{method}, {visibility}");
        group.bench_function(BenchmarkId::new("the match waits", &name), |b| {
            b.iter_batched(
                || full(method, visibility),
                |mut vote| {
                    let closed = close(&mut vote);
                    (vote, closed)
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("the store writes", &name), |b| {
            b.iter_batched(
                || close(&mut full(method, visibility)).record,
                |record| record.write().to_json(),
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("what is left is dropped", |b| {
        b.iter_batched(
            || {
                let mut vote = full("ranked", "live");
                drop(close(&mut vote));
                vote
            },
            drop,
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, counts, against_tallystick, casts, results, closes);
criterion_main!(benches);
