//! Single transferable vote, by the Scottish rules: an integer Droop quota; one surplus per round, the largest first,
//! each ballot passed on at its value times surplus over total, cut to five decimals; else the lowest is excluded.

use std::cmp::Reverse;

use super::grouped::{Grouped, ReadsRankings, next_standing};
use super::{Method, no_faults};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Count, CountRules, CountStatus, Round, TieFor, Transfer};
use crate::engine::votes::live;
use crate::engine::votes::profile::Profile;
use crate::engine::votes::ties::Ties;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "stv",
    aliases: &[],
    ballot: BallotKind::Ranking,
    about: "fills several seats in proportion: surpluses and eliminated options pass their ballots on",
    seats: true,
    rounds: true,
    equal_ranks: false,
    keys: &["seats"],
    check: no_faults,
    count: Transferable::read,
    live: live::live::<Grouped<Transferable>>,
};

/// What a whole ballot is worth: five decimals.
pub(super) const SCALE: u32 = 100_000;

pub(super) struct Transferable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Hopeful,
    /// Elected, with a surplus that may still be passed on.
    Elected,
    /// Elected, and keeping exactly the quota.
    Settled,
    Excluded,
}

struct Table<'a> {
    profile: &'a Profile,
    /// Rows of each option, with what one ballot of the row is worth.
    piles: Vec<Vec<(u32, u32)>>,
    held: Vec<u128>,
    states: Vec<State>,
    /// Not open to ballots any more: every state but hopeful.
    closed: Vec<bool>,
}

impl ReadsRankings for Transferable {
    fn read(rules: &CountRules, profile: &Profile) -> Count {
        let mut table = Table::deal(rules.options.len(), profile);
        let firsts: Vec<u128> = table.held.iter().map(|held| held / u128::from(SCALE)).collect();
        let valid: u128 = firsts.iter().sum();
        let mut count = Count::of_scores(firsts.clone());
        count.first_preferences = Some(firsts);
        count.scale = SCALE;
        if valid == 0 {
            count.rounds.push(table.round());
            return count;
        }
        let seats = rules.seats.min(rules.options.len());
        let quota = valid / (rules.seats as u128 + 1) + 1;
        count.quota = Some(quota);
        let quota = quota * u128::from(SCALE);

        let mut ties = Ties::new(rules);
        loop {
            let mut round = table.round();
            // Everybody who has the quota is elected at once, the higher first.
            let mut reached = table.options(|at| table.states[at] == State::Hopeful && table.held[at] >= quota);
            reached.sort_by_key(|&option| Reverse(table.held[usize::from(option)]));
            for &option in &reached {
                table.close(option, State::Elected);
            }
            round.elected = reached;
            let taken = count.winners.len() + round.elected.len();
            let mut hopeful = table.options(|at| table.states[at] == State::Hopeful);
            // As many left as seats: they fill them, whatever they have.
            if hopeful.len() + taken <= seats {
                hopeful.sort_by_key(|&option| Reverse(table.held[usize::from(option)]));
                round.elected.append(&mut hopeful);
            }
            count.winners.extend(&round.elected);
            if count.winners.len() >= seats {
                count.rounds.push(round);
                count.status = CountStatus::Decided;
                break;
            }

            let largest = table.extreme(|at| table.states[at] == State::Elected && table.held[at] > quota, Reverse);
            let decided = if largest.is_empty() {
                let lowest = table.extreme(|at| table.states[at] == State::Hopeful, |held| held);
                ties.least(&lowest, &count.rounds).map(|option| {
                    round.transfers = table.exclude(option);
                    round.eliminated.push(option);
                })
            } else {
                ties.favoured(TieFor::Order, &largest, 1, &count.rounds).map(|first| {
                    round.transfers = table.pass_surplus(first[0], quota);
                })
            };
            count.rounds.push(round);
            if decided.is_none() {
                // Whoever is in is in; who else is, the chain left open.
                count.status = CountStatus::Tie;
                count.winners.extend(table.options(|at| table.states[at] == State::Hopeful));
                break;
            }
        }
        count.tie_events = ties.into_events();
        count
    }
}

impl<'a> Table<'a> {
    fn deal(options: usize, profile: &'a Profile) -> Self {
        let mut table = Self {
            profile,
            piles: vec![Vec::new(); options],
            held: vec![0; options],
            states: vec![State::Hopeful; options],
            closed: vec![false; options],
        };
        for (at, (row, weight)) in profile.rows().enumerate() {
            if let Some(first) = row.single_first() {
                table.piles[usize::from(first)].push((at as u32, SCALE));
                table.held[usize::from(first)] += weight * u128::from(SCALE);
            }
        }
        table
    }

    /// The tallies as they stand. What no option holds is exhausted, be it for want of a name or lost to rounding.
    fn round(&self) -> Round {
        let shown = |(&held, &state): (&u128, &State)| (state != State::Excluded).then_some(held);
        Round {
            tally: self.held.iter().zip(&self.states).map(shown).collect(),
            exhausted: self.profile.weight() * u128::from(SCALE) - self.held.iter().sum::<u128>(),
            ..Round::default()
        }
    }

    fn options(&self, keep: impl Fn(usize) -> bool) -> Vec<OptionIx> {
        (0..self.held.len()).filter(|&at| keep(at)).map(|at| at as OptionIx).collect()
    }

    /// Of the options to `keep`, those that hold the least by `key`.
    fn extreme<K: Ord>(&self, keep: impl Fn(usize) -> bool, key: impl Fn(u128) -> K) -> Vec<OptionIx> {
        let mut options = self.options(keep);
        let best = options.iter().map(|&option| key(self.held[usize::from(option)])).min();
        options.retain(|&option| Some(key(self.held[usize::from(option)])) == best);
        options
    }

    fn close(&mut self, option: OptionIx, state: State) {
        self.states[usize::from(option)] = state;
        self.closed[usize::from(option)] = true;
    }

    fn exclude(&mut self, option: OptionIx) -> Vec<Transfer> {
        self.close(option, State::Excluded);
        self.pass(option, 0, |value| value)
    }

    fn pass_surplus(&mut self, option: OptionIx, quota: u128) -> Vec<Transfer> {
        let total = self.held[usize::from(option)];
        self.close(option, State::Settled);
        self.pass(option, quota, |value| {
            // At most the value itself, so it fits again.
            (u128::from(value) * (total - quota) / total) as u32
        })
    }

    /// Passes on all ballots of an option at a new value each; the option keeps `kept`.
    fn pass(&mut self, from: OptionIx, kept: u128, worth: impl Fn(u32) -> u32) -> Vec<Transfer> {
        let options = self.held.len();
        let mut moved = vec![0u128; options];
        for (at, value) in std::mem::take(&mut self.piles[usize::from(from)]) {
            let (row, weight) = self.profile.row(at as usize);
            let value = worth(value);
            if let Some(to) = next_standing(row, &self.closed).filter(|_| value > 0) {
                self.piles[to].push((at, value));
                moved[to] += u128::from(value) * weight;
            }
        }
        let passed: u128 = moved.iter().sum();
        let lost = self.held[usize::from(from)] - kept - passed;
        self.held[usize::from(from)] = kept;
        let mut transfers = Vec::new();
        for (to, amount) in moved.into_iter().enumerate().filter(|(_, amount)| *amount > 0) {
            self.held[to] += amount;
            transfers.push(Transfer { from, to: Some(to as OptionIx), amount });
        }
        if lost > 0 {
            transfers.push(Transfer { from, to: None, amount: lost });
        }
        transfers
    }
}
