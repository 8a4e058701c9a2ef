//! The standings of a vote in play: kept ballot by ballot, read whenever a tally is due.
//!
//! Who leads is worked out by the very function that decides at the close, only without the lot, whose seed nobody may
//! learn anything about yet.

use super::ballot::Ballot;
use super::config::{VoteConfig, VoteOption};
use super::count::{Count, CountRules, CountStatus};
use super::live::LiveTally;
use super::methods::Method;
use super::pools::{Group, Pool, Turnout, profile, scales};
use super::result::{Amount, PerOption, WireRound, add_raw, wire_rounds};

/// The standings.
pub(super) struct Board {
    rules: CountRules,
    unit: u64,
    /// What `counts` will say: ballots, or weights in a weighted vote.
    raw: Vec<u128>,
    /// What the players' ballots weigh for each option.
    backed: Vec<u128>,
    /// The players' ballots; with spectators' among them the pools are laid over each other when somebody asks.
    live: Box<dyn LiveTally>,
    weighted: bool,
}

/// One ballot on the board.
#[derive(Clone, Copy)]
pub(super) struct Posted<'a> {
    pub(super) pool: Pool,
    pub(super) ballot: &'a Ballot,
    pub(super) weight: u64,
}

/// Who leads and how it came about.
pub(super) struct Standing {
    pub(super) tallies: PerOption<Amount>,
    pub(super) leading: Option<String>,
    pub(super) rounds: Vec<WireRound>,
}

impl Board {
    pub(super) fn new(config: &VoteConfig, method: &'static Method, unit: u64, eligible: u64) -> Self {
        let mut rules = config.count_rules(method, &[], eligible.into());
        rules.tie_break.clear();
        let options = config.options.len();
        Self {
            live: method.live(&rules),
            unit: if method.name == "weighted" { unit } else { 1 },
            raw: vec![0; options],
            backed: vec![0; options],
            weighted: method.name == "weighted",
            rules,
        }
    }

    /// Adds a ballot, and takes back the one it replaces.
    pub(super) fn post(&mut self, new: Posted<'_>, old: Option<Posted<'_>>) {
        // Ballots were checked when they were cast, so the live tally takes every one of them.
        if let Some(old) = old {
            let each = if self.weighted { old.weight } else { 1 };
            add_raw(&mut self.raw, old.ballot, |sum, times| {
                *sum = sum.saturating_sub(u128::from(each) * u128::from(times));
            });
            if old.pool == Pool::Players {
                add_raw(&mut self.backed, old.ballot, |sum, times| {
                    *sum = sum.saturating_sub(u128::from(old.weight) * u128::from(times));
                });
                let taken = self.live.remove(old.ballot, old.weight);
                debug_assert!(taken.is_ok(), "expected a checked ballot, got {taken:?}");
            }
        }
        let each = if self.weighted { new.weight } else { 1 };
        add_raw(&mut self.raw, new.ballot, |sum, times| *sum += u128::from(each) * u128::from(times));
        if new.pool == Pool::Players {
            add_raw(&mut self.backed, new.ballot, |sum, times| *sum += u128::from(new.weight) * u128::from(times));
            let added = self.live.add(new.ballot, new.weight);
            debug_assert!(added.is_ok(), "expected a checked ballot, got {added:?}");
        }
    }

    /// The weight behind the option that most players' weight is behind.
    pub(super) fn most_backed(&self) -> u128 {
        self.backed.iter().copied().max().unwrap_or(0)
    }

    /// The standings; `groups` are asked for only where spectators have cast.
    pub(super) fn standing(
        &self,
        config: &VoteConfig,
        turnout: Turnout,
        groups: impl FnOnce() -> Vec<Group>,
    ) -> Standing {
        let count: Count = if turnout.spectators == 0 {
            self.live.snapshot()
        } else {
            let profile =
                profile(&groups(), self.rules.method.ballot, self.rules.options.len(), scales(config, turnout));
            self.rules.method.count(&self.rules, &profile)
        };
        let leading = match (count.status, count.winners.as_slice()) {
            (CountStatus::Decided, [alone]) => Some(self.rules.options[usize::from(*alone)].clone()),
            _ => None,
        };
        Standing {
            tallies: self.tallies(&config.options),
            leading,
            rounds: wire_rounds(&count.rounds, &config.options),
        }
    }

    /// The raw counts.
    pub(super) fn tallies(&self, options: &[VoteOption]) -> PerOption<Amount> {
        PerOption::new(options, self.raw.iter().map(|sum| Amount::parts(*sum, self.unit)))
    }
}
