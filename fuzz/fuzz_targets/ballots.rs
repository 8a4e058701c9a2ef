//! Any election, counted four ways: afresh, with equal ballots grouped, as a tally that ballots come to and go from, and
//! by the second implementation that the tests argue with (`tests/oracle`), which is slow and by the book. All agree, in
//! status, winners, scores, rounds, matrix and whether a tie was broken.
#![no_main]

#[path = "../../tests/oracle/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod oracle;

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
    assert_eq!(oracle::disagreement(&rules, &cast), None);
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
