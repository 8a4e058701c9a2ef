//! Any election, counted four ways: afresh, with equal ballots grouped, as a tally that ballots come to and go from,
//! and, where the rule is short, by the slowest way to write it down. All agree.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use tessera::engine::votes::count::{Elimination, Strength, Truncated};
use tessera::engine::votes::{
    Ballot, BallotInput, BallotKind, Count, CountRules, CountStatus, METHODS, OptionIx, Profile, TieBreak,
};

fuzz_target!(|data: &[u8]| {
    // A ballot as a client writes it is read whatever it is.
    if let Ok(input) = serde_json::from_slice::<BallotInput>(data) {
        let written = serde_json::to_string(&input).unwrap();
        assert_eq!(serde_json::from_str::<BallotInput>(&written).unwrap(), input);
    }
    let _ = election(&mut Unstructured::new(data));
});

fn election(u: &mut Unstructured<'_>) -> Result<()> {
    let method = u.choose(METHODS)?;
    let options = u.int_in_range(1..=6)?;
    let mut rules = CountRules::new(method, (0..options).map(|n| format!("o{n}")).collect());
    if method.seats {
        rules.seats = u.int_in_range(1..=options)?;
    }
    rules.elimination = *u.choose(&[Elimination::Single, Elimination::Batch])?;
    rules.strength = *u.choose(&[Strength::Wv, Strength::Margins, Strength::Opposition])?;
    rules.truncated = *u.choose(&[Truncated::Average, Truncated::Zero, Truncated::Modified])?;
    rules.max_score = u.int_in_range(1..=10)?;
    rules.threshold_bp = u.int_in_range(1..=10_000)?;
    rules.eligible = u.int_in_range(0..=40)?;
    rules.tie_break = (0..u.int_in_range(0..=3)?).map(|_| u.choose(&TieBreak::ALL).copied()).collect::<Result<_>>()?;
    rules.seed = u.arbitrary::<[u8; 32]>()?.to_vec();
    if !method.check(&rules).is_empty() {
        return Ok(());
    }
    let mut profile = Profile::new(method.ballot, options);
    let mut live = method.live(&rules);
    let mut cast: Vec<(Ballot, u64)> = Vec::new();
    while !u.is_empty() && cast.len() < 32 {
        let ballot = ballot(u, method.ballot, &rules, method.equal_ranks)?;
        let weight = if u.ratio(1, 8)? { u64::from(u.arbitrary::<u32>()?) } else { u.int_in_range(1..=3)? };
        let taken = profile.push(&ballot, weight).is_ok();
        assert_eq!(live.add(&ballot, weight).is_ok(), taken, "{ballot:?}");
        if taken {
            cast.push((ballot, weight));
            // Somebody thinks again, and then again.
            if u.ratio(1, 4)? {
                let (ballot, weight) = u.choose(&cast)?;
                live.remove(ballot, *weight).expect("a ballot that was added");
                live.add(ballot, *weight).expect("and is added again");
            }
        }
    }
    let count = method.count(&rules, &profile);
    assert_eq!(method.count(&rules, &profile.grouped()), count, "grouping changes nothing");
    assert_eq!(live.snapshot(), count, "the live tally is the count");
    sane(&rules, &count);
    slowly(&rules, &cast, &count);
    Ok(())
}

/// A ballot of the kind, mostly; sometimes one that must be refused.
fn ballot(u: &mut Unstructured<'_>, kind: BallotKind, rules: &CountRules, equal: bool) -> Result<Ballot> {
    let options = rules.options.len() as OptionIx;
    let stray = u.ratio(1, 32)?;
    let one = |u: &mut Unstructured<'_>| u.int_in_range(0..=if stray { options } else { options - 1 });
    Ok(match kind {
        _ if u.ratio(1, 32)? => Ballot::Blank,
        BallotKind::Choice => Ballot::Choice(one(u)?),
        BallotKind::Approvals | BallotKind::Ranking => {
            let mut named: Vec<OptionIx> = Vec::new();
            for _ in 0..u.int_in_range(0..=options)? {
                let option = one(u)?;
                if stray || !named.contains(&option) {
                    named.push(option);
                }
            }
            if kind == BallotKind::Approvals {
                return Ok(Ballot::Approvals(named));
            }
            let mut tiers: Vec<Vec<OptionIx>> = Vec::new();
            for option in named {
                match tiers.last_mut() {
                    Some(tier) if equal && u.ratio(1, 4)? => tier.push(option),
                    _ => tiers.push(vec![option]),
                }
            }
            Ballot::Ranking(tiers)
        }
        BallotKind::Scores => {
            let many = if stray { options + 1 } else { options };
            Ballot::Scores((0..many).map(|_| u.int_in_range(0..=rules.max_score)).collect::<Result<_>>()?)
        }
    })
}

fn sane(rules: &CountRules, count: &Count) {
    let mut winners = count.winners.clone();
    winners.sort_unstable();
    winners.dedup();
    assert_eq!(winners.len(), count.winners.len(), "nobody wins twice");
    assert!(winners.iter().all(|winner| usize::from(*winner) < rules.options.len()));
    let fits = match count.status {
        CountStatus::Decided => (1..=rules.seats.max(1)).contains(&winners.len()),
        // A place in star's run-off may stay open although the same option wins whoever takes it.
        CountStatus::Tie => winners.len() > 1 || (rules.method.name == "star" && winners.len() == 1),
        // Blank ballots alone leave everybody level where pairs are compared.
        CountStatus::NoVotes => winners.is_empty() || winners.len() == rules.options.len(),
    };
    assert!(fits, "{} ended as {count:?} by {rules:?}", rules.method.name);
}

/// The slowest way to count that is short enough to be seen right.
fn slowly(rules: &CountRules, cast: &[(Ballot, u64)], count: &Count) {
    let options = 0..rules.options.len() as OptionIx;
    let sum = |worth: &dyn Fn(&Ballot) -> u128| -> u128 { cast.iter().map(|(b, w)| worth(b) * u128::from(*w)).sum() };
    let sums: Option<Vec<u128>> = match rules.method.name {
        "plurality" | "weighted" => {
            Some(options.clone().map(|o| sum(&|b| u128::from(*b == Ballot::Choice(o)))).collect())
        }
        "approval" => Some(
            options
                .clone()
                .map(|o| sum(&|b| u128::from(matches!(b, Ballot::Approvals(m) if m.contains(&o)))))
                .collect(),
        ),
        "score" => Some(
            options
                .clone()
                .map(|o| sum(&|b| if let Ballot::Scores(s) = b { u128::from(s[usize::from(o)]) } else { 0 }))
                .collect(),
        ),
        _ => None,
    };
    if let Some(sums) = sums {
        assert_eq!(count.scores, sums);
        let best = sums.iter().max().copied().unwrap_or(0);
        if count.tie_events.is_empty() && count.status == CountStatus::Decided && rules.seats == 1 {
            assert_eq!(sums[usize::from(count.winners[0])], best);
        }
    }
    let place = |b: &Ballot, o: OptionIx| match b {
        Ballot::Ranking(tiers) => tiers.iter().position(|tier| tier.contains(&o)).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    if let (Some(matrix), BallotKind::Ranking) = (&count.matrix, rules.method.ballot) {
        for a in options.clone() {
            for b in options.clone().filter(|b| *b != a) {
                let above = sum(&|ballot| u128::from(place(ballot, a) < place(ballot, b)));
                assert_eq!(matrix.get(a.into(), b.into()), above, "{a} above {b}");
            }
        }
    }
    if rules.method.name == "ranked" && rules.elimination == Elimination::Single && count.tie_events.is_empty() {
        assert_eq!(count.winners, run_off(rules, cast, &place), "the same survivor");
    }
}

/// One at a time, lowest first, until one holds more than half.
fn run_off(rules: &CountRules, cast: &[(Ballot, u64)], place: &dyn Fn(&Ballot, OptionIx) -> usize) -> Vec<OptionIx> {
    let mut left: Vec<OptionIx> = (0..rules.options.len() as OptionIx).collect();
    loop {
        let mut held = vec![0_u128; rules.options.len()];
        for (ballot, weight) in cast {
            let first = left.iter().copied().min_by_key(|o| place(ballot, *o));
            if let Some(first) = first.filter(|o| place(ballot, *o) < usize::MAX) {
                held[usize::from(first)] += u128::from(*weight);
            }
        }
        let all: u128 = held.iter().sum();
        if all == 0 {
            return Vec::new();
        }
        if let Some(winner) = left.iter().find(|o| held[usize::from(**o)] * 2 > all) {
            return vec![*winner];
        }
        let lowest = left.iter().copied().min_by_key(|o| held[usize::from(*o)]).expect("somebody is left");
        left.retain(|o| *o != lowest);
    }
}
