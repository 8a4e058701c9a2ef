//! What must hold for every election, whoever counts: drawn at random, larger than the ones that can be walked.

mod oracle;

use proptest::prelude::*;
use tessera::engine::votes::count::{CountRules, Elimination, Matrix, Strength, Truncated};
use tessera::engine::votes::{
    Ballot, BallotKind, Count, CountStatus, METHODS, Method, OptionIx, Profile, TieBreak, method,
};

const OPTIONS_MAX: usize = 5;
const SCORE_MAX: u32 = 4;

/// Any rules of the chosen methods over 2 to 5 options.
fn any_rules(chosen: fn(&Method) -> bool) -> impl Strategy<Value = CountRules> {
    let methods: Vec<&'static Method> = METHODS.iter().filter(|method| chosen(method)).collect();
    let chain = prop_oneof![
        Just(vec![]),
        Just(vec![TieBreak::DeclaredOrder]),
        Just(vec![TieBreak::SeededLot]),
        Just(vec![TieBreak::PreviousRounds, TieBreak::SeededLot]),
        Just(vec![TieBreak::PreviousRounds, TieBreak::None, TieBreak::DeclaredOrder]),
    ];
    (prop::sample::select(methods), 2..=OPTIONS_MAX, 1..=4usize, 0..3usize, chain, any::<u8>()).prop_map(
        |(method, options, seats, variant, chain, seed)| {
            let ids =
                if method.name == "motion" { vec!["no", "yes", "abstain"] } else { vec!["a", "b", "c", "d", "e"] };
            let options = options.min(ids.len());
            let mut rules = CountRules::new(method, ids[..options].iter().map(|id| (*id).to_owned()).collect());
            rules.seats = if method.seats { seats } else { 1 };
            rules.elimination = [Elimination::Single, Elimination::Batch][variant % 2];
            rules.truncated = [Truncated::Average, Truncated::Zero, Truncated::Modified][variant];
            let strengths = [Strength::Wv, Strength::Margins, Strength::Opposition];
            rules.strength = if method.name == "minimax" { strengths[variant] } else { strengths[variant % 2] };
            rules.max_score = SCORE_MAX;
            rules.tie_break = chain;
            rules.seed = vec![seed];
            assert_eq!(method.check(&rules), []);
            rules
        },
    )
}

fn any_ballot(kind: BallotKind, options: usize) -> BoxedStrategy<Ballot> {
    let order = Just((0..options as OptionIx).collect::<Vec<_>>()).prop_shuffle();
    match kind {
        BallotKind::Choice => {
            prop_oneof![1 => Just(Ballot::Blank), 9 => (0..options as OptionIx).prop_map(Ballot::Choice)].boxed()
        }
        BallotKind::Approvals => (order, 0..=options)
            .prop_map(|(mut order, len)| {
                order.truncate(len);
                Ballot::Approvals(order)
            })
            .boxed(),
        BallotKind::Scores => prop_oneof![
            1 => Just(Ballot::Blank),
            9 => prop::collection::vec(0..=SCORE_MAX, options).prop_map(Ballot::Scores)
        ]
        .boxed(),
        BallotKind::Ranking => (order, 0..=options, prop::collection::vec(prop::bool::weighted(0.15), options))
            .prop_map(|(mut order, len, level)| {
                order.truncate(len);
                let mut tiers: Vec<Vec<OptionIx>> = vec![];
                for (option, level) in order.into_iter().zip(level) {
                    match tiers.last_mut().filter(|_| level) {
                        Some(tier) => tier.push(option),
                        None => tiers.push(vec![option]),
                    }
                }
                Ballot::Ranking(tiers)
            })
            .boxed(),
    }
}

/// Rules and ballots with weights. Small weights make ties likely, large ones make overflow likely.
fn any_election(voters_max: usize) -> impl Strategy<Value = (CountRules, Vec<(Ballot, u64)>)> {
    election_of(voters_max, |_| true)
}

fn election_of(
    voters_max: usize,
    chosen: fn(&Method) -> bool,
) -> impl Strategy<Value = (CountRules, Vec<(Ballot, u64)>)> {
    any_rules(chosen).prop_flat_map(move |rules| {
        let weight = prop_oneof![8 => 1..4u64, 1 => Just(0), 1 => (1u64 << 40)..(1 << 41)];
        let ballot = any_ballot(rules.method.ballot, rules.options.len());
        (Just(rules), prop::collection::vec((ballot, weight), 0..=voters_max))
    })
}

fn profile(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Profile {
    let mut profile = Profile::new(rules.method.ballot, rules.options.len());
    for (ballot, weight) in ballots {
        profile.push(ballot, *weight).unwrap();
    }
    profile
}

fn count(rules: &CountRules, ballots: &[(Ballot, u64)]) -> Count {
    rules.method.count(rules, &profile(rules, ballots))
}

/// As many elections as `PROPTEST_CASES` says, else 400; the same ones in every run, so that a red run can be repeated.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(400);
    let rng_seed = prop::test_runner::RngSeed::Fixed(cases.into());
    ProptestConfig {
        cases,
        rng_seed,
        max_global_rejects: 100_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_second_way_to_count_agrees((rules, ballots) in any_election(14)) {
        prop_assert_eq!(oracle::disagreement(&rules, &ballots), None);
    }

    #[test]
    fn the_order_of_casts_and_grouping_never_matter(
        ((rules, ballots), shuffled) in any_election(10)
            .prop_flat_map(|election| (Just(election.clone()), Just(election.1).prop_shuffle()))
    ) {
        prop_assert_eq!(count(&rules, &ballots), count(&rules, &shuffled));
        prop_assert_eq!(oracle::self_contradiction(&rules, &ballots), None);
    }

    /// Casts and revotes one by one: after each, the live tally is what a recount of the standing ballots says.
    #[test]
    fn a_live_tally_equals_a_recount_after_every_prefix(
        (rules, ballots) in any_election(10),
        voters in prop::collection::vec(0..4usize, 10)
    ) {
        let mut live = rules.method.live(&rules);
        let mut standing: [Option<&(Ballot, u64)>; 4] = [None; 4];
        for (cast, &voter) in ballots.iter().zip(&voters) {
            if let Some((old, weight)) = standing[voter].replace(cast) {
                live.remove(old, *weight).unwrap();
            }
            live.add(&cast.0, cast.1).unwrap();
            let left: Vec<(Ballot, u64)> = standing.iter().flatten().map(|cast| (*cast).clone()).collect();
            prop_assert_eq!(live.snapshot(), count(&rules, &left));
        }
        for (ballot, weight) in standing.into_iter().flatten() {
            live.remove(ballot, *weight).unwrap();
        }
        prop_assert_eq!(live.snapshot(), count(&rules, &[]));
    }

    /// What a refused ballot leaves behind is nothing.
    #[test]
    fn a_refused_ballot_changes_no_tally((rules, ballots) in any_election(5), bad in 0..3usize) {
        let options = rules.options.len() as OptionIx;
        let bad = match (rules.method.ballot, bad) {
            (BallotKind::Choice, 0) => Ballot::Choice(options),
            (BallotKind::Choice, _) => Ballot::Approvals(vec![0]),
            (BallotKind::Approvals, 0) => Ballot::Approvals(vec![0, 0]),
            (BallotKind::Approvals, _) => Ballot::Approvals(vec![0, options]),
            (BallotKind::Ranking, 0) => Ballot::Ranking(vec![vec![1], vec![0, 1]]),
            (BallotKind::Ranking, 1) => Ballot::Ranking(vec![vec![0], vec![u16::MAX]]),
            (BallotKind::Ranking, _) => Ballot::Scores(vec![0; usize::from(options)]),
            (BallotKind::Scores, _) => Ballot::Scores(vec![0; usize::from(options) + 1]),
        };
        let mut live = rules.method.live(&rules);
        for (ballot, weight) in &ballots {
            live.add(ballot, *weight).unwrap();
            prop_assert!(live.add(&bad, 1).is_err());
        }
        prop_assert_eq!(live.snapshot(), count(&rules, &ballots));
    }

    /// Renaming the options renames the winners: no option is favoured but by the tie chain.
    #[test]
    fn no_option_is_favoured(
        ((mut rules, ballots), moved) in election_of(8, |method| method.name != "motion").prop_flat_map(|election| {
            let order = (0..election.0.options.len() as OptionIx).collect::<Vec<_>>();
            (Just(election), Just(order).prop_shuffle())
        })
    ) {
        rules.tie_break.clear();
        let to = |option: &OptionIx| moved[usize::from(*option)];
        let renamed: Vec<(Ballot, u64)> = ballots
            .iter()
            .map(|(ballot, weight)| {
                let ballot = match ballot {
                    Ballot::Blank => Ballot::Blank,
                    Ballot::Choice(option) => Ballot::Choice(to(option)),
                    Ballot::Approvals(marks) => Ballot::Approvals(marks.iter().map(to).collect()),
                    Ballot::Ranking(tiers) => {
                        Ballot::Ranking(tiers.iter().map(|tier| tier.iter().map(to).collect()).collect())
                    }
                    Ballot::Scores(scores) => {
                        let mut new = scores.clone();
                        for (option, score) in scores.iter().enumerate() {
                            new[usize::from(moved[option])] = *score;
                        }
                        Ballot::Scores(new)
                    }
                };
                (ballot, *weight)
            })
            .collect();
        let before = count(&rules, &ballots);
        // Ranked pairs takes equal majorities in a fixed order, which is a tie rule of its own; where that mattered it
        // says so, and where it says nothing it must not have.
        prop_assume!(!before.tie_broken());
        let mut expected: Vec<OptionIx> = before.winners.iter().map(to).collect();
        let mut after = count(&rules, &renamed);
        prop_assert_eq!(after.status, before.status);
        expected.sort_unstable();
        after.winners.sort_unstable();
        prop_assert_eq!(after.winners, expected);
    }

    #[test]
    fn a_majority_favourite_wins((rules, ballots) in election_of(10, |method| {
        ["plurality", "ranked", "schulze", "ranked_pairs", "minimax", "copeland"].contains(&method.name)
    })) {
        // Opposition counts lost support even without defeat, but a majority cannot be opposed by more than its rest.
        let profile = profile(&rules, &ballots);
        let favourite = (0..rules.options.len() as OptionIx).find(|&option| {
            let first: u128 = profile.rows().filter(|(row, _)| row.single_first() == Some(option)).map(|(_, w)| w).sum();
            first * 2 > profile.weight()
        });
        if let Some(favourite) = favourite {
            prop_assert_eq!(rules.method.count(&rules, &profile).winners, vec![favourite]);
        }
    }

    #[test]
    fn a_condorcet_winner_wins_and_a_smith_set_holds_the_winner((rules, ballots) in election_of(10, |method| {
        ["schulze", "ranked_pairs", "minimax", "copeland"].contains(&method.name)
    })) {
        prop_assume!(rules.strength != Strength::Opposition);
        let profile = profile(&rules, &ballots);
        prop_assume!(profile.marked_weight() > 0);
        let matrix = Matrix::of(&profile);
        let count = rules.method.count(&rules, &profile);
        if let Some(winner) = matrix.condorcet_winner() {
            prop_assert_eq!(&count.winners, &vec![winner]);
        }
        if rules.method.name != "minimax" {
            let smith = matrix.smith_set();
            prop_assert!(count.winners.iter().all(|winner| smith.contains(winner)), "{:?} {smith:?}", count.winners);
        }
    }

    /// Nothing is made and nothing is lost: what options hold and what is exhausted is every ballot, in every round.
    #[test]
    fn every_round_holds_every_ballot((rules, ballots) in election_of(12, |method| method.rounds)) {
        let count = count(&rules, &ballots);
        let all: u128 = ballots.iter().map(|(_, weight)| u128::from(*weight)).sum::<u128>() * u128::from(count.scale);
        prop_assert!(!count.rounds.is_empty());
        for (at, round) in count.rounds.iter().enumerate() {
            let held: u128 = round.tally.iter().flatten().sum();
            prop_assert_eq!(held + round.exhausted, all, "round {}", at);
            // The transfers of a round say exactly how the next one differs.
            if let Some(next) = count.rounds.get(at + 1) {
                for option in 0..rules.options.len() {
                    let ix = option as OptionIx;
                    let came: u128 = round.transfers.iter().filter(|t| t.to == Some(ix)).map(|t| t.amount).sum();
                    let went: u128 = round.transfers.iter().filter(|t| t.from == ix).map(|t| t.amount).sum();
                    let before = round.tally[option].unwrap_or(0);
                    prop_assert_eq!(before + came - went, next.tally[option].unwrap_or(0), "round {} option {}", at, option);
                }
            }
        }
    }

    #[test]
    fn as_many_are_elected_as_there_are_seats((rules, ballots) in any_election(10)) {
        let count = count(&rules, &ballots);
        let seats = rules.seats.min(rules.options.len());
        match count.status {
            CountStatus::Decided => prop_assert_eq!(count.winners.len(), seats),
            // Who meets whom in a star run-off can stay open although the same option would win either way.
            CountStatus::Tie => prop_assert!(count.winners.len() > seats || rules.method.name == "star", "{:?}", count),
            CountStatus::NoVotes => {}
        }
        let mut once = count.winners.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), count.winners.len());
        // A chain with a last word leaves nothing open.
        let last_word = |word: &&TieBreak| matches!(word, TieBreak::DeclaredOrder | TieBreak::SeededLot | TieBreak::None);
        if rules.tie_break.iter().find(last_word).is_some_and(|word| *word != TieBreak::None) {
            prop_assert_ne!(count.status, CountStatus::Tie);
        }
    }

    /// Eliminating the hopeless together never changes who wins when no tie had to be broken.
    #[test]
    fn batches_single_eliminations_and_one_seat_agree(
        (rules, ballots) in election_of(12, |method| method.name == "ranked")
    ) {
        let with = |name: &str, elimination| {
            let mut rules = rules.clone();
            (rules.method, rules.elimination, rules.tie_break) = (method(name).unwrap(), elimination, vec![]);
            count(&rules, &ballots)
        };
        let single = with("ranked", Elimination::Single);
        prop_assume!(single.status == CountStatus::Decided);
        prop_assert_eq!(&with("ranked", Elimination::Batch).winners, &single.winners);
        let stv = with("stv", Elimination::Single);
        if stv.status == CountStatus::Decided {
            prop_assert_eq!(&stv.winners, &single.winners);
        }
    }
}
