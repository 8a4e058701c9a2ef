//! Against the tyranny of a majority: whoever keeps losing votes weighs a little more in the next one.
//!
//! A ballot's weight is 1 + losses in a row x bonus. What a loss is depends on what was asked: whoever chose another
//! option, approved of everything but the winner, ranked somebody else first, or gave somebody else a higher score.

use std::collections::BTreeMap;

use super::ballot::{Ballot, OptionIx};
use super::pools::Weigh;
use crate::ids::PlayerId;
use crate::limits::LOSSES_MAX;

/// Losses in a row of the players of one match; the match owns it and hands it to each vote it opens.
#[derive(Debug, Clone, Default)]
pub struct Frustration {
    losses: BTreeMap<PlayerId, u32>,
    bonus_bp: u32,
}

/// Who won and who lost a decided vote, of those who cast. A `secret` vote tells nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moods {
    /// Their ballot spoke for a winner: their losses are forgotten.
    pub satisfied: Vec<PlayerId>,
    /// It did not: one more loss.
    pub frustrated: Vec<PlayerId>,
}

impl Frustration {
    /// Nobody lost yet; each loss adds `bonus_bp` basis points of a ballot, 0 switches it off.
    pub fn new(bonus_bp: u32) -> Self {
        Self { losses: BTreeMap::new(), bonus_bp }
    }

    /// What the next vote weighs ballots by.
    pub fn weigh(&self) -> Weigh {
        let losses = if self.bonus_bp > 0 { self.losses.clone() } else { BTreeMap::new() };
        Weigh { losses, bonus_bp: self.bonus_bp }
    }

    /// Remembers how a vote left its voters.
    pub fn remember(&mut self, moods: &Moods) {
        for player in &moods.satisfied {
            self.losses.remove(player);
        }
        for player in &moods.frustrated {
            let losses = self.losses.entry(*player).or_default();
            *losses = (*losses + 1).min(LOSSES_MAX);
        }
    }
}

/// Whether a ballot spoke for one of the winners; `None` when it spoke for nobody.
pub fn satisfied(ballot: &Ballot, winners: &[OptionIx]) -> Option<bool> {
    match ballot {
        _ if ballot.is_blank() => None,
        Ballot::Blank => None,
        Ballot::Choice(option) => Some(winners.contains(option)),
        Ballot::Approvals(marks) => Some(marks.iter().any(|mark| winners.contains(mark))),
        Ballot::Ranking(tiers) => tiers.first().map(|best| best.iter().any(|option| winners.contains(option))),
        Ballot::Scores(scores) => {
            let best = scores.iter().max()?;
            Some(winners.iter().any(|winner| scores.get(usize::from(*winner)) == Some(best)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_loss_is_depends_on_what_was_asked() {
        for (ballot, winner, expected) in [
            (Ballot::Choice(1), 1, Some(true)),
            (Ballot::Choice(1), 0, Some(false)),
            (Ballot::Approvals(vec![0, 1]), 1, Some(true)),
            (Ballot::Approvals(vec![0, 2]), 1, Some(false)),
            (Ballot::Ranking(vec![vec![2], vec![1]]), 1, Some(false)),
            (Ballot::Ranking(vec![vec![1, 2]]), 1, Some(true)),
            (Ballot::Scores(vec![5, 3, 5]), 2, Some(true)),
            (Ballot::Scores(vec![5, 3, 5]), 1, Some(false)),
            (Ballot::Blank, 1, None),
        ] {
            assert_eq!(satisfied(&ballot, &[winner]), expected, "{ballot:?}");
        }
    }

    #[test]
    fn losses_add_up_and_a_win_forgets_them() {
        let (loser, winner) = (PlayerId::from_u128(1), PlayerId::from_u128(2));
        let mut frustration = Frustration::new(5_000);
        let lost = Moods { satisfied: vec![winner], frustrated: vec![loser] };
        for _ in 0..3 {
            frustration.remember(&lost);
        }
        let weigh = frustration.weigh();
        let config = super::super::config::VoteConfig::default();
        assert_eq!((weigh.of(loser, &config), weigh.of(winner, &config)), (25_000, 10_000));
        frustration.remember(&Moods { satisfied: vec![loser], frustrated: vec![] });
        assert_eq!(frustration.weigh().of(loser, &config), 10_000);
        for _ in 0..1_000 {
            frustration.remember(&lost);
        }
        assert_eq!(frustration.weigh().losses[&loser], LOSSES_MAX);
        assert_eq!(Frustration::new(0).weigh(), Weigh::default());
    }
}
