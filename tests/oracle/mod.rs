//! A second way to count, slow and by the book, that knows nothing of the engine's.
//!
//! Every definition is written out as a voter would read it: ballots are asked again in every round, paths are walked
//! one by one, ties are one comparison. [`disagreement`] lets it argue with the engine, and
//! [`self_contradiction`] the engine with itself; tests and fuzz targets share it.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};
use tessera::engine::votes::count::{Basis, CountRules, Elimination, Strength, Truncated};
use tessera::engine::votes::{Ballot, BallotKind, Count, CountStatus, Profile, TieBreak};

/// What the slow way comes to.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: CountStatus,
    pub winners: Vec<usize>,
    /// `None` for methods whose scores are ours to choose.
    pub scores: Option<Vec<u128>>,
    pub rounds: Vec<Round>,
    pub matrix: Option<Vec<Vec<u128>>>,
    pub tie_broken: bool,
}

/// One round: tallies, exhausted, eliminated, elected.
pub type Round = (Vec<Option<u128>>, u128, Vec<usize>, Vec<usize>);

/// Where the engine and the slow way differ, if they do.
pub fn disagreement(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Option<String> {
    let mut profile = Profile::new(rules.method.ballot, rules.options.len());
    for (ballot, weight) in ballots {
        profile.push(ballot, *weight).expect("checked ballots");
    }
    let fast = rules.method.count(rules, &profile);
    let slow = count(rules, ballots);
    let read = answer(&fast, slow.scores.is_some(), slow.matrix.is_some());
    if read != slow {
        let what = format!("{} {:?} {ballots:?}", rules.method.name, rules.tie_break);
        return Some(format!("{what}\n fast {read:?}\n slow {slow:?}"));
    }
    None
}

/// Where the engine differs with itself: grouped ballots, or ballots that came one by one, against all at once.
pub fn self_contradiction(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Option<String> {
    let mut profile = Profile::new(rules.method.ballot, rules.options.len());
    let mut live = rules.method.live(rules);
    for (ballot, weight) in ballots {
        profile.push(ballot, *weight).expect("checked ballots");
        live.add(ballot, *weight).expect("checked ballots");
    }
    let at_once = rules.method.count(rules, &profile);
    let what = || format!("{} {:?} {ballots:?}\n at once {at_once:?}", rules.method.name, rules.tie_break);
    let grouped = rules.method.count(rules, &profile.grouped());
    if grouped != at_once {
        return Some(format!("{}\n grouped {grouped:?}", what()));
    }
    let kept = live.snapshot();
    (kept != at_once).then(|| format!("{}\n live {kept:?}", what()))
}

fn answer(count: &Count, scores: bool, matrix: bool) -> Answer {
    let all = |options: &[u16]| options.iter().map(|&option| usize::from(option)).collect::<Vec<_>>();
    Answer {
        status: count.status,
        winners: all(&count.winners),
        scores: scores.then(|| count.scores.clone()),
        rounds: count
            .rounds
            .iter()
            .map(|round| (round.tally.clone(), round.exhausted, all(&round.eliminated), all(&round.elected)))
            .collect(),
        matrix: count
            .matrix
            .as_ref()
            .filter(|_| matrix)
            .map(|matrix| (0..matrix.size()).map(|option| matrix.row(option).to_vec()).collect()),
        tie_broken: count.tie_broken(),
    }
}

/// Counts by the book.
pub fn count(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Answer {
    match rules.method.name {
        "plurality" | "weighted" | "approval" => named(rules, ballots),
        "motion" => motion(rules, ballots),
        "score" => score(rules, ballots),
        "star" => star(rules, ballots),
        "ranked" => ranked(rules, &papers(ballots)),
        "stv" => stv(rules, &papers(ballots)),
        "borda" => borda(rules, &papers(ballots)),
        "schulze" | "ranked_pairs" | "minimax" | "copeland" => condorcet(rules, &papers(ballots)),
        other => panic!("the slow way does not know {other}: teach it"),
    }
}

fn plain(status: CountStatus, winners: Vec<usize>, scores: Option<Vec<u128>>) -> Answer {
    Answer { status, winners, scores, rounds: vec![], matrix: None, tie_broken: false }
}

/// The first `n` of `tied` by the chain, if the chain parts them there. The flag tells whether it had to be asked.
fn choose(rules: &CountRules, tied: &[usize], n: usize, earlier: &[Round]) -> Option<(Vec<usize>, bool)> {
    if tied.len() <= n || n == 0 {
        return Some((tied[..n.min(tied.len())].to_vec(), false));
    }
    let by_chain = |a: &usize, b: &usize| {
        for word in &rules.tie_break {
            let order = match word {
                TieBreak::None => return Ordering::Equal,
                TieBreak::DeclaredOrder => a.cmp(b),
                TieBreak::SeededLot => {
                    let lot = |option: usize| {
                        let mut bytes = rules.seed.clone();
                        bytes.push(0);
                        bytes.extend_from_slice(rules.options[option].as_bytes());
                        Sha256::digest(bytes)
                    };
                    lot(*a).cmp(&lot(*b))
                }
                TieBreak::PreviousRounds => {
                    let mut order = Ordering::Equal;
                    for (tally, ..) in earlier {
                        // Later rounds overrule earlier ones.
                        order = tally[*b].cmp(&tally[*a]).then(order);
                    }
                    order
                }
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    };
    let mut order = tied.to_vec();
    order.sort_by(by_chain);
    let parted = by_chain(&order[n - 1], &order[n]) != Ordering::Equal;
    order.truncate(n);
    order.sort_unstable();
    parted.then_some((order, true))
}

/// The highest `seats` by `key` win.
fn elect<K: Ord>(rules: &CountRules, seats: usize, key: impl Fn(usize) -> K) -> (CountStatus, Vec<usize>, bool) {
    let all = 0..rules.options.len();
    let seats = seats.min(all.len());
    let above = |option: usize| all.clone().filter(|&other| key(other) > key(option)).count();
    let level = |option: usize| all.clone().filter(|&other| key(other) == key(option)).count();
    let safe: Vec<usize> = all.clone().filter(|&option| above(option) + level(option) <= seats).collect();
    let edge: Vec<usize> =
        all.clone().filter(|&option| above(option) < seats && above(option) + level(option) > seats).collect();
    let (status, chosen, broken) = match choose(rules, &edge, seats - safe.len(), &[]) {
        Some((chosen, broken)) => (CountStatus::Decided, chosen, broken),
        None => (CountStatus::Tie, edge, false),
    };
    let mut winners = [safe, chosen].concat();
    winners.sort_unstable();
    (status, winners, broken)
}

fn named(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Answer {
    let names = |ballot: &Ballot, option: usize| match ballot {
        Ballot::Choice(choice) => usize::from(*choice) == option,
        Ballot::Approvals(marks) => marks.iter().any(|&mark| usize::from(mark) == option),
        _ => false,
    };
    let scores: Vec<u128> = (0..rules.options.len())
        .map(|option| ballots.iter().filter(|(ballot, _)| names(ballot, option)).map(|(_, w)| u128::from(*w)).sum())
        .collect();
    if scores.iter().all(|&score| score == 0) {
        return plain(CountStatus::NoVotes, vec![], Some(scores));
    }
    let (status, winners, tie_broken) = elect(rules, rules.seats, |option| scores[option]);
    Answer { tie_broken, ..plain(status, winners, Some(scores)) }
}

fn motion(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Answer {
    let votes = named(&CountRules { tie_break: vec![], ..rules.clone() }, ballots).scores.expect("votes are scores");
    let of = |id: &str| rules.options.iter().position(|option| option == id).map_or(0, |at| votes[at]);
    let (yes, no, abstain) = (of("yes"), of("no"), of("abstain"));
    let cast = yes + no + abstain;
    let base = if rules.basis == Basis::Cast { yes + no } else { cast.max(rules.eligible) };
    // The least number of yes that reaches the threshold, found by looking for it.
    let needed = (base * u128::from(rules.threshold_bp)).div_ceil(10_000).max(1);
    let id = if yes >= needed { "yes" } else { "no" };
    let winner = rules.options.iter().position(|option| option == id).expect("a motion has yes and no");
    if cast == 0 {
        return plain(CountStatus::NoVotes, vec![], Some(votes));
    }
    plain(CountStatus::Decided, vec![winner], Some(votes))
}

fn scores_of(ballot: &Ballot) -> Option<&[u32]> {
    match ballot {
        Ballot::Scores(scores) if !scores.is_empty() => Some(scores),
        _ => None,
    }
}

fn sum_where(ballots: &[(Ballot, u64)], worth: impl Fn(&[u32]) -> u128) -> u128 {
    ballots.iter().filter_map(|(ballot, w)| scores_of(ballot).map(|scores| worth(scores) * u128::from(*w))).sum()
}

fn score(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Answer {
    let sums: Vec<u128> =
        (0..rules.options.len()).map(|option| sum_where(ballots, |scores| u128::from(scores[option]))).collect();
    if sum_where(ballots, |_| 1) == 0 {
        return plain(CountStatus::NoVotes, vec![], Some(sums));
    }
    let (status, winners, tie_broken) = elect(rules, 1, |option| sums[option]);
    Answer { tie_broken, ..plain(status, winners, Some(sums)) }
}

fn star(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Answer {
    let options = rules.options.len();
    let sums = score(rules, ballots).scores.expect("sums are scores");
    let prefer = |a: usize, b: usize| sum_where(ballots, |scores| u128::from(scores[a] > scores[b]));
    let tops = |a: usize| sum_where(ballots, |scores| u128::from(scores[a] == rules.max_score));
    let matrix = Some((0..options).map(|a| (0..options).map(|b| prefer(a, b)).collect()).collect());
    let answer = |status, winners, tie_broken| Answer {
        tie_broken,
        matrix: Clone::clone(&matrix),
        ..plain(status, winners, Some(sums.clone()))
    };
    if sum_where(ballots, |_| 1) == 0 {
        return answer(CountStatus::NoVotes, vec![], false);
    }
    if options == 1 {
        return answer(CountStatus::Decided, vec![0], false);
    }
    // Places are given level by level; whoever shares the edge goes to the next level.
    type Key<'a> = &'a dyn Fn(usize, &[usize]) -> u128;
    let keys: [Key; 3] = [
        &|option, _| sums[option],
        &|option, tied| tied.iter().map(|&other| prefer(option, other)).sum(),
        &|option, _| tops(option),
    ];
    let mut in_it: Vec<usize> = vec![];
    let mut tied: Vec<usize> = (0..options).collect();
    for key in keys {
        let ranks: Vec<(u128, usize)> = tied.iter().map(|&option| (key(option, &tied), option)).collect();
        let above = |rank: u128| ranks.iter().filter(|other| other.0 > rank).count();
        let level = |rank: u128| ranks.iter().filter(|other| other.0 == rank).count();
        let free = 2 - in_it.len();
        in_it.extend(ranks.iter().filter(|(rank, _)| above(*rank) + level(*rank) <= free).map(|(_, option)| option));
        tied = ranks
            .iter()
            .filter(|(rank, _)| above(*rank) < free && above(*rank) + level(*rank) > free)
            .map(|(_, option)| *option)
            .collect();
    }
    let runoff = |a: usize, b: usize| {
        let order = prefer(a, b).cmp(&prefer(b, a)).then(sums[a].cmp(&sums[b])).then(tops(a).cmp(&tops(b)));
        match order {
            Ordering::Greater => vec![a],
            Ordering::Less => vec![b],
            Ordering::Equal => vec![a.min(b), a.max(b)],
        }
    };
    let Some((places, first_broken)) = choose(rules, &tied, 2 - in_it.len(), &[]) else {
        let mut winners: Vec<usize> = vec![];
        for &a in if in_it.is_empty() { &tied } else { &in_it } {
            winners.extend(tied.iter().filter(|&&b| b != a).flat_map(|&b| runoff(a, b)));
        }
        winners.sort_unstable();
        winners.dedup();
        return answer(CountStatus::Tie, winners, false);
    };
    in_it.extend(places);
    let level = runoff(in_it[0], in_it[1]);
    match choose(rules, &level, 1, &[]) {
        Some((winner, broken)) => answer(CountStatus::Decided, winner, first_broken || broken),
        None => answer(CountStatus::Tie, level, first_broken),
    }
}

/// A ballot as tiers of options, read once per count.
type Paper = (Vec<Vec<usize>>, u64);

fn papers(ballots: &[(Ballot, u64)]) -> Vec<Paper> {
    ballots.iter().map(|(ballot, weight)| (tiers(ballot), *weight)).collect()
}

fn tiers(ballot: &Ballot) -> Vec<Vec<usize>> {
    match ballot {
        Ballot::Choice(option) => vec![vec![usize::from(*option)]],
        Ballot::Ranking(tiers) => tiers
            .iter()
            .filter(|tier| !tier.is_empty())
            .map(|tier| tier.iter().map(|&option| usize::from(option)).collect())
            .collect(),
        _ => vec![],
    }
}

/// The highest option of `open`; a tier of equals ends the ballot.
fn highest(tiers: &[Vec<usize>], open: &[bool]) -> Option<usize> {
    tiers.iter().map_while(|tier| if tier.len() == 1 { Some(tier[0]) } else { None }).find(|&o| open[o])
}

fn weight(ballots: &[Paper]) -> u128 {
    ballots.iter().map(|(_, w)| u128::from(*w)).sum()
}

fn ranked(rules: &CountRules, ballots: &[Paper]) -> Answer {
    let options = rules.options.len();
    let mut open = vec![true; options];
    let mut rounds: Vec<Round> = vec![];
    let (mut firsts, mut tie_broken) = (None, false);
    loop {
        let held = |option: usize| -> u128 {
            ballots.iter().filter(|(b, _)| highest(b, &open) == Some(option)).map(|(_, w)| u128::from(*w)).sum()
        };
        let tally: Vec<Option<u128>> = (0..options).map(|option| open[option].then(|| held(option))).collect();
        let continuing: u128 = tally.iter().flatten().sum();
        let exhausted = weight(ballots) - continuing;
        let scores =
            firsts.get_or_insert_with(|| tally.iter().map(|held| held.unwrap_or(0)).collect::<Vec<_>>()).clone();
        let standing: Vec<usize> = (0..options).filter(|&option| open[option]).collect();
        let end = |rounds: Vec<Round>, status, winners, tie_broken| Answer {
            rounds,
            tie_broken,
            ..plain(status, winners, Some(scores.clone()))
        };
        if let Some(&winner) = standing.iter().find(|&&option| tally[option].unwrap_or(0) * 2 > continuing) {
            rounds.push((tally, exhausted, vec![], vec![winner]));
            return end(rounds, CountStatus::Decided, vec![winner], tie_broken);
        }
        if continuing == 0 {
            rounds.push((tally, exhausted, vec![], vec![]));
            return end(rounds, CountStatus::NoVotes, vec![], tie_broken);
        }
        let mut gone: Vec<usize> = vec![];
        if rules.elimination == Elimination::Batch {
            // Every level of votes below which a set of options could be cut off; the largest that holds.
            for &bar in &standing {
                let low: Vec<usize> = standing.iter().copied().filter(|&o| tally[o] < tally[bar]).collect();
                let sum: u128 = low.iter().map(|&o| tally[o].unwrap_or(0)).sum();
                if low.len() > gone.len().max(1) && Some(sum) < tally[bar] {
                    gone = low;
                }
            }
        }
        if gone.is_empty() {
            let least = standing.iter().map(|&option| tally[option]).min().expect("somebody stands");
            let tied: Vec<usize> = standing.iter().copied().filter(|&option| tally[option] == least).collect();
            match choose(rules, &tied, tied.len() - 1, &rounds).filter(|_| tied.len() > 1) {
                Some((survivors, broken)) => {
                    tie_broken |= broken;
                    gone = tied.into_iter().filter(|option| !survivors.contains(option)).collect();
                }
                None if tied.len() == 1 => gone = tied,
                None => {
                    rounds.push((tally, exhausted, vec![], vec![]));
                    return end(rounds, CountStatus::Tie, standing, tie_broken);
                }
            }
        }
        gone.iter().for_each(|&option| open[option] = false);
        rounds.push((tally, exhausted, gone, vec![]));
    }
}

fn stv(rules: &CountRules, ballots: &[Paper]) -> Answer {
    const SCALE: u128 = 100_000;
    let options = rules.options.len();
    let mut hopeful = vec![true; options];
    let mut excluded = vec![false; options];
    // Each ballot lies with somebody (or nobody) and is worth something.
    let mut lies: Vec<(Option<usize>, u128)> = ballots.iter().map(|(b, _)| (highest(b, &hopeful), SCALE)).collect();
    let mut settled: Vec<Option<u128>> = vec![None; options];
    let firsts: Vec<u128> = (0..options)
        .map(|o| ballots.iter().zip(&lies).filter(|(_, lie)| lie.0 == Some(o)).map(|((_, w), _)| u128::from(*w)).sum())
        .collect();
    let valid: u128 = firsts.iter().sum();
    let seats = rules.seats.min(options);
    let quota = (valid / (rules.seats as u128 + 1) + 1) * SCALE;
    let (mut winners, mut rounds, mut tie_broken) = (vec![], Vec::<Round>::new(), false);
    let status = loop {
        let held = |option: usize| -> u128 {
            settled[option].unwrap_or_else(|| {
                let mine = ballots.iter().zip(&lies).filter(|(_, lie)| lie.0 == Some(option));
                mine.map(|((_, w), lie)| u128::from(*w) * lie.1).sum()
            })
        };
        let tally: Vec<u128> = (0..options).map(held).collect();
        let exhausted = weight(ballots) * SCALE - tally.iter().sum::<u128>();
        let shown: Vec<Option<u128>> = (0..options).map(|o| (!excluded[o]).then_some(tally[o])).collect();
        if valid == 0 {
            rounds.push((shown, exhausted, vec![], vec![]));
            break CountStatus::NoVotes;
        }
        let by_tally = |mut list: Vec<usize>| {
            list.sort_by(|a, b| tally[*b].cmp(&tally[*a]).then(a.cmp(b)));
            list
        };
        let mut elected = by_tally((0..options).filter(|&o| hopeful[o] && tally[o] >= quota).collect());
        elected.iter().for_each(|&o| hopeful[o] = false);
        let left: Vec<usize> = (0..options).filter(|&o| hopeful[o]).collect();
        if winners.len() + elected.len() + left.len() <= seats {
            elected.extend(by_tally(left.clone()));
        }
        winners.extend(elected.clone());
        if winners.len() >= seats {
            rounds.push((shown, exhausted, vec![], elected));
            break CountStatus::Decided;
        }
        let over: Vec<usize> = winners.iter().copied().filter(|&o| settled[o].is_none() && tally[o] > quota).collect();
        let most = over.iter().map(|&o| tally[o]).max();
        let least = left.iter().map(|&o| tally[o]).min();
        let mut tied: Vec<usize> = match most {
            Some(most) => over.into_iter().filter(|&o| tally[o] == most).collect(),
            None => left.iter().copied().filter(|&o| Some(tally[o]) == least).collect(),
        };
        tied.sort_unstable();
        let n = if most.is_some() { 1 } else { tied.len() - 1 };
        let chosen = if tied.len() == 1 { Some((tied.clone(), false)) } else { choose(rules, &tied, n, &rounds) };
        let Some((chosen, broken)) = chosen else {
            rounds.push((shown, exhausted, vec![], elected));
            winners.extend(left);
            break CountStatus::Tie;
        };
        tie_broken |= broken;
        let (from, surplus, gone) = if most.is_some() {
            settled[chosen[0]] = Some(quota);
            (chosen[0], Some(tally[chosen[0]] - quota), vec![])
        } else {
            let out = if tied.len() == 1 { tied[0] } else { *tied.iter().find(|o| !chosen.contains(o)).expect("one") };
            hopeful[out] = false;
            excluded[out] = true;
            (out, None, vec![out])
        };
        for ((ballot, _), lie) in ballots.iter().zip(&mut lies).filter(|(_, lie)| lie.0 == Some(from)) {
            if let Some(surplus) = surplus {
                lie.1 = lie.1 * surplus / tally[from];
            }
            lie.0 = highest(ballot, &hopeful);
        }
        rounds.push((shown, exhausted, gone, elected));
    };
    Answer { rounds, tie_broken, ..plain(status, winners, Some(firsts)) }
}

/// Where a ballot puts an option; whoever it does not rank shares the place behind all tiers.
fn place(tiers: &[Vec<usize>], option: usize) -> usize {
    tiers.iter().position(|tier| tier.contains(&option)).unwrap_or(tiers.len())
}

fn above(ballots: &[Paper], a: usize, b: usize) -> u128 {
    ballots.iter().filter(|(ballot, _)| place(ballot, a) < place(ballot, b)).map(|(_, w)| u128::from(*w)).sum()
}

fn borda(rules: &CountRules, ballots: &[Paper]) -> Answer {
    let options = rules.options.len();
    let all = 0..options;
    let points = |ballot: &Vec<Vec<usize>>, option: usize| -> u128 {
        let ranked: Vec<usize> = ballot.concat();
        let me = place(ballot, option);
        let others = all.clone().filter(|&other| other != option);
        let beaten = others.clone().filter(|&other| place(ballot, other) > me).count();
        let level = others.filter(|&other| place(ballot, other) == me).count();
        let duels = 2 * beaten + level;
        match rules.truncated {
            Truncated::Average => duels as u128,
            _ if !ranked.contains(&option) => 0,
            Truncated::Zero => duels as u128,
            // Against the ranked alone, and one point more for being ranked at all.
            Truncated::Modified => (duels - 2 * (options - ranked.len()) + 2) as u128,
        }
    };
    let scores: Vec<u128> = all
        .clone()
        .map(|option| ballots.iter().map(|(ballot, w)| points(ballot, option) * u128::from(*w)).sum())
        .collect();
    silent_or(ballots, all.collect(), || {
        let (status, winners, tie_broken) = elect(rules, 1, |option| scores[option]);
        Answer { tie_broken, ..plain(status, winners, None) }
    })
    .with(Some(scores), None)
}

/// When nobody ranks anybody there is no vote; whoever cast an empty ballot left all of them level.
fn silent_or(ballots: &[Paper], level: Vec<usize>, vote: impl FnOnce() -> Answer) -> Answer {
    let spoken = ballots.iter().any(|(ballot, w)| *w > 0 && !ballot.is_empty());
    match (weight(ballots), spoken) {
        (_, true) => vote(),
        (0, _) => plain(CountStatus::NoVotes, vec![], None),
        _ => plain(CountStatus::NoVotes, level, None),
    }
}

impl Answer {
    fn with(self, scores: Option<Vec<u128>>, matrix: Option<Vec<Vec<u128>>>) -> Self {
        Self { scores, matrix, ..self }
    }
}

fn condorcet(rules: &CountRules, ballots: &[Paper]) -> Answer {
    let size = rules.options.len();
    let all = 0..size;
    let m: Vec<Vec<u128>> = all.clone().map(|a| all.clone().map(|b| above(ballots, a, b)).collect()).collect();
    let victory = |a: usize, b: usize| match rules.strength {
        Strength::Opposition => m[a][b],
        _ if m[a][b] <= m[b][a] => 0,
        Strength::Wv => m[a][b],
        Strength::Margins => m[a][b] - m[b][a],
    };
    let others = |a: usize| all.clone().filter(move |&b| b != a);
    let mut order_mattered = false;
    let (scores, winners): (Option<Vec<u128>>, Vec<usize>) = match rules.method.name {
        "minimax" => {
            let worst: Vec<u128> = all.clone().map(|a| others(a).map(|b| victory(b, a)).max().unwrap_or(0)).collect();
            let winners = all.clone().filter(|&a| others(a).all(|b| worst[a] <= worst[b])).collect();
            (Some(worst), winners)
        }
        "copeland" => {
            let duel = |a: usize, b: usize| match m[a][b].cmp(&m[b][a]) {
                Ordering::Greater => 2,
                Ordering::Equal => 1,
                Ordering::Less => 0,
            };
            let duels: Vec<u128> = all.clone().map(|a| others(a).map(|b| duel(a, b)).sum()).collect();
            let winners = all.clone().filter(|&a| others(a).all(|b| duels[a] >= duels[b])).collect();
            (Some(duels), winners)
        }
        "schulze" => {
            let winners = all.clone().filter(|&a| {
                others(a)
                    .all(|b| widest(a, b, &mut vec![a], size, &victory) >= widest(b, a, &mut vec![b], size, &victory))
            });
            (None, winners.collect())
        }
        _ => {
            let mut majorities: Vec<(usize, usize)> =
                all.clone().flat_map(|a| others(a).map(move |b| (a, b))).filter(|&(a, b)| m[a][b] > m[b][a]).collect();
            majorities.sort_by(|&(a, b), &(c, d)| {
                victory(c, d).cmp(&victory(a, b)).then(m[b][a].cmp(&m[d][c])).then((a, b).cmp(&(c, d)))
            });
            let mut locked: Vec<(usize, usize)> = vec![];
            for (at, &(a, b)) in majorities.iter().enumerate() {
                if !leads(&locked, b, a) {
                    locked.push((a, b));
                    continue;
                }
                // Had it come first of those that are as clear as it is, would it have been locked?
                let clearer = |&(c, d): &(usize, usize)| (victory(c, d), m[d][c]) != (victory(a, b), m[b][a]);
                let before: Vec<_> =
                    locked.iter().copied().filter(|pair| majorities[..at].contains(pair) && clearer(pair)).collect();
                order_mattered |= !leads(&before, b, a);
            }
            (None, all.clone().filter(|&a| locked.iter().all(|&(_, loser)| loser != a)).collect())
        }
    };
    let level = winners.clone();
    silent_or(ballots, level, || match choose(rules, &winners, 1, &[]) {
        Some((winner, broken)) => {
            Answer { tie_broken: broken || order_mattered, ..plain(CountStatus::Decided, winner, None) }
        }
        None => Answer { tie_broken: order_mattered, ..plain(CountStatus::Tie, winners, None) },
    })
    .with(scores, Some(m))
}

/// The widest of all ways from `at` to `to`, walked one by one.
fn widest(at: usize, to: usize, seen: &mut Vec<usize>, size: usize, link: &dyn Fn(usize, usize) -> u128) -> u128 {
    if at == to {
        return u128::MAX;
    }
    let mut best = 0;
    for next in 0..size {
        if !seen.contains(&next) && link(at, next) > 0 {
            seen.push(next);
            best = best.max(link(at, next).min(widest(next, to, seen, size, link)));
            seen.pop();
        }
    }
    best
}

/// Whether the locked pairs lead from one option down to another.
fn leads(locked: &[(usize, usize)], from: usize, to: usize) -> bool {
    from == to || locked.iter().any(|&(a, b)| a == from && leads(locked, b, to))
}

#[allow(dead_code, reason = "not every user of the oracle walks them all")]
/// Every ballot of a kind over few options: rankings with ties and gaps, sets of approvals, scores up to `score_max`.
pub fn every_ballot(kind: BallotKind, options: usize, score_max: u32) -> Vec<Ballot> {
    let each = 0..options as u16;
    match kind {
        BallotKind::Choice => [Ballot::Blank].into_iter().chain(each.map(Ballot::Choice)).collect(),
        BallotKind::Approvals => (0..1u32 << options)
            .map(|set| Ballot::Approvals(each.clone().filter(|&option| set >> option & 1 == 1).collect()))
            .collect(),
        BallotKind::Scores => {
            let levels = score_max + 1;
            let all = (0..levels.pow(options as u32))
                .map(|number| Ballot::Scores((0..options as u32).map(|at| number / levels.pow(at) % levels).collect()));
            [Ballot::Blank].into_iter().chain(all).collect()
        }
        BallotKind::Ranking => {
            let mut rankings: Vec<Vec<Vec<u16>>> = vec![vec![]];
            let mut at = 0;
            while at < rankings.len() {
                let ranking = rankings[at].clone();
                let rest: Vec<u16> = each.clone().filter(|o| !ranking.concat().contains(o)).collect();
                for set in 1..1u32 << rest.len() {
                    let tier = rest.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1).map(|(_, &o)| o).collect();
                    rankings.push(ranking.iter().cloned().chain([tier]).collect());
                }
                at += 1;
            }
            rankings.into_iter().map(Ballot::Ranking).collect()
        }
    }
}
