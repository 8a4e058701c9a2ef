//! Running matches that want players back: the match asks, the pool sends the oldest tickets that fit.

use super::rules::Rules;
use super::ticket::Traits;
use crate::ids::{MatchId, PlayerId};

/// What a running match asks for. It stands until its seats are filled or it is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Who asks.
    pub match_id: MatchId,
    /// Free seats per team, in the order of the mode's teams; one entry where there are none.
    pub seats: Vec<u32>,
    /// Whom newcomers must suit; `None` takes anyone.
    pub playing: Option<Playing>,
}

/// A request that stands, and who is not sent: they were shown out of that match, or its game turned them away.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) request: Backfill,
    pub(super) barred: Vec<PlayerId>,
}

/// Those who play already, as the rules compare newcomers with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playing {
    /// Their mean skill; the rest of whoever sits there longest.
    mean: Traits,
    /// How far they reach in each of the mode's ranges: a newcomer must suit every one of them.
    reach: Vec<(i64, i64)>,
}

impl Playing {
    /// Of the traits of each player who came by the queue, the longest seated first; `None` where nobody did.
    pub fn of<'a>(players: impl IntoIterator<Item = &'a Traits>) -> Option<Self> {
        let mut players = players.into_iter();
        let first = players.next()?;
        let (mut skills, mut count) = (i128::from(first.skill), 1);
        let mut reach: Vec<_> = first.ranges.iter().map(|&value| (value, value)).collect();
        for player in players {
            skills += i128::from(player.skill);
            count += 1;
            for ((low, high), &value) in reach.iter_mut().zip(&player.ranges) {
                (*low, *high) = (value.min(*low), value.max(*high));
            }
        }
        let skill = i64::try_from(skills / count).unwrap_or(first.skill);
        Some(Self { mean: Traits { skill, ..first.clone() }, reach })
    }
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackfillRefused {
    /// `matchmaking.backfill` is off.
    #[error("this mode does not backfill its matches")]
    Off,
    /// The seats do not name the mode's teams, or all are taken.
    #[error("expected free seats for each of the mode's {teams} teams")]
    Seats {
        /// Entries that `seats` should have.
        teams: usize,
    },
}

impl Backfill {
    pub(super) fn check(&self, rules: &Rules) -> Result<(), BackfillRefused> {
        if !rules.backfill {
            return Err(BackfillRefused::Off);
        }
        let fits = self.seats.len() == rules.seats.len() && self.seats.iter().zip(&rules.seats).all(|(a, b)| a <= b);
        if fits && self.seats.iter().any(|&free| free > 0) {
            return Ok(());
        }
        Err(BackfillRefused::Seats { teams: rules.seats.len() })
    }

    /// Whether a ticket that waited so long may join, apart from room.
    pub(super) fn suits(&self, rules: &Rules, ticket: &Traits, waited_ms: u64) -> bool {
        let Some(Playing { mean, reach }) = &self.playing else { return true };
        let any_region = rules.any_region_after_ms().is_some_and(|after_ms| waited_ms >= after_ms);
        let placed = |traits| (rules.strategy.place)(rules, traits);
        let near = match (placed(mean), placed(ticket)) {
            (Some(here), Some(there)) => here.abs_diff(there) <= rules.window(waited_ms).unsigned_abs(),
            _ => true,
        };
        let in_range = |((&(low, high), &value), limit): ((&(i64, i64), &i64), i64)| {
            high.max(value).abs_diff(low.min(value)) <= limit.unsigned_abs()
        };
        near && mean.require == ticket.require
            && (any_region || mean.region == ticket.region)
            && reach.iter().zip(&ticket.ranges).zip(rules.range_limits()).all(in_range)
    }

    /// The team that has room for a party, the roomiest first.
    pub(super) fn room_for(&self, size: u32) -> Option<usize> {
        let team = (0..self.seats.len()).rev().max_by_key(|&team| self.seats[team])?;
        (self.seats[team] >= size).then_some(team)
    }
}
