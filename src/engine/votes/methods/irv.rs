//! Ranked choice, or instant run-off: every ballot counts for its highest continuing option; with more than half of
//! the continuing ballots an option is elected, else the lowest is eliminated and its ballots move on.

use super::grouped::{Grouped, ReadsRankings, next_standing};
use super::{Method, no_faults, packed};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Count, CountRules, CountStatus, Elimination, Round, Transfer};
use crate::engine::votes::live;
use crate::engine::votes::profile::Profile;
use crate::engine::votes::ties::Ties;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "ranked",
    aliases: &["irv", "rcv"],
    ballot: BallotKind::Ranking,
    about: "the lowest is eliminated and its ballots move on, until one has more than half of those that still count",
    seats: false,
    rounds: true,
    equal_ranks: false,
    keys: &["elimination"],
    check: no_faults,
    count: RunOff::read,
    live: live::live::<Grouped<RunOff>>,
};

pub(super) struct RunOff;

impl ReadsRankings for RunOff {
    fn read(rules: &CountRules, profile: &Profile) -> Count {
        match packed::deal(rules.options.len(), profile) {
            Some(piles) => run(rules, profile, piles),
            None => run(rules, profile, Piles::deal(rules.options.len(), profile)),
        }
    }
}

fn run<P: Paper>(rules: &CountRules, profile: &Profile, mut piles: Piles<P>) -> Count {
    let mut count = Count::of_scores(piles.held.clone());
    count.first_preferences = Some(piles.held.clone());
    let mut ties = Ties::new(rules);
    loop {
        let continuing: u128 = piles.held.iter().sum();
        let mut round = Round { tally: piles.tally(), exhausted: profile.weight() - continuing, ..Round::default() };
        let standing = piles.standing();
        let leader = standing.iter().copied().max_by_key(|&option| piles.held[usize::from(option)]);
        if let Some(leader) = leader.filter(|&leader| piles.held[usize::from(leader)] * 2 > continuing) {
            round.elected.push(leader);
            count.rounds.push(round);
            (count.status, count.winners) = (CountStatus::Decided, vec![leader]);
            break;
        }
        if continuing == 0 {
            count.rounds.push(round);
            break;
        }
        round.eliminated = lowest(rules, &piles, &standing, &mut ties, &count.rounds);
        if round.eliminated.is_empty() {
            count.rounds.push(round);
            (count.status, count.winners) = (CountStatus::Tie, standing);
            break;
        }
        round.transfers = piles.move_on(profile, &round.eliminated);
        count.rounds.push(round);
    }
    count.tie_events = ties.into_events();
    count
}

/// Who is eliminated: in declared order, and nobody when a tie was left open.
fn lowest<P>(
    rules: &CountRules,
    piles: &Piles<P>,
    standing: &[OptionIx],
    ties: &mut Ties<'_>,
    earlier: &[Round],
) -> Vec<OptionIx> {
    let held = |option: OptionIx| piles.held[usize::from(option)];
    if rules.elimination == Elimination::Batch {
        let mut rising = standing.to_vec();
        rising.sort_by_key(|&option| held(option));
        let mut sum = 0;
        let mut hopeless = 0;
        for (at, pair) in rising.windows(2).enumerate() {
            sum += held(pair[0]);
            if sum < held(pair[1]) {
                hopeless = at + 1;
            }
        }
        if hopeless > 1 {
            rising.truncate(hopeless);
            rising.sort_unstable();
            return rising;
        }
    }
    let least = standing.iter().map(|&option| held(option)).min().unwrap_or(0);
    let tied: Vec<OptionIx> = standing.iter().copied().filter(|&option| held(option) == least).collect();
    ties.least(&tied, earlier).into_iter().collect()
}

/// A ballot on a pile: a few bytes that can tell where it goes next.
pub(super) trait Paper: Copy {
    /// What it counts for.
    fn weight(self, profile: &Profile) -> u128;
    /// The highest option on it that is not gone. It may forget about those that are.
    fn next_standing(&mut self, profile: &Profile, gone: &[bool]) -> Option<usize>;
}

/// The number of a row in the profile.
impl Paper for u32 {
    fn weight(self, profile: &Profile) -> u128 {
        profile.row(self as usize).1
    }
    fn next_standing(&mut self, profile: &Profile, gone: &[bool]) -> Option<usize> {
        next_standing(profile.row(*self as usize).0, gone)
    }
}

/// The ballots of each option, as piles on a table.
pub(super) struct Piles<P> {
    pub(super) papers: Vec<Vec<P>>,
    pub(super) held: Vec<u128>,
    gone: Vec<bool>,
}

impl Piles<u32> {
    fn deal(options: usize, profile: &Profile) -> Self {
        let mut piles = Self::empty(options, 0);
        for (at, (row, weight)) in profile.rows().enumerate() {
            if let Some(first) = row.single_first() {
                piles.papers[usize::from(first)].push(at as u32);
                piles.held[usize::from(first)] += weight;
            }
        }
        piles
    }
}

impl<P> Piles<P> {
    pub(super) fn empty(options: usize, capacity: usize) -> Self {
        let papers = (0..options).map(|_| Vec::with_capacity(capacity)).collect();
        Self { papers, held: vec![0; options], gone: vec![false; options] }
    }

    fn standing(&self) -> Vec<OptionIx> {
        (0..self.gone.len()).filter(|&option| !self.gone[option]).map(|option| option as OptionIx).collect()
    }

    fn tally(&self) -> Vec<Option<u128>> {
        self.held.iter().zip(&self.gone).map(|(&held, &gone)| (!gone).then_some(held)).collect()
    }
}

impl<P: Paper> Piles<P> {
    /// Deals the piles of the eliminated onto the others. Only these ballots are looked at again.
    fn move_on(&mut self, profile: &Profile, eliminated: &[OptionIx]) -> Vec<Transfer> {
        for &option in eliminated {
            self.gone[usize::from(option)] = true;
        }
        let options = self.gone.len();
        let mut transfers = Vec::new();
        for &from in eliminated {
            // One more place than options: ballots that name nobody who is left.
            let mut moved = vec![0u128; options + 1];
            self.held[usize::from(from)] = 0;
            for mut paper in std::mem::take(&mut self.papers[usize::from(from)]) {
                match paper.next_standing(profile, &self.gone) {
                    Some(to) => {
                        moved[to] += paper.weight(profile);
                        self.papers[to].push(paper);
                    }
                    None => moved[options] += paper.weight(profile),
                }
            }
            for (to, amount) in moved.into_iter().enumerate().filter(|(_, amount)| *amount > 0) {
                let to = (to < options).then_some(to as OptionIx);
                transfers.push(Transfer { from, to, amount });
                if let Some(to) = to {
                    self.held[usize::from(to)] += amount;
                }
            }
        }
        transfers
    }
}
