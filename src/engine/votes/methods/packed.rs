//! Rankings of few options as nibbles of one word, so that a run-off carries ballots instead of looking them up: a
//! million ballots no longer fit the caches, and a pile that is read from end to end does not have to.

use super::irv::{Paper, Piles};
use crate::engine::votes::profile::{Profile, is_tied};

/// Options that leave one nibble free to say that a ballot ends.
const OPTIONS_MAX: usize = 15;

/// Behind the last option of a ballot.
const END: u64 = 0xf;

/// A strict ranking, best in the lowest nibble, and what it counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    ranks: u64,
    weight: u64,
}

impl Paper for Packed {
    fn weight(self, _: &Profile) -> u128 {
        u128::from(self.weight)
    }

    fn next_standing(&mut self, _: &Profile, gone: &[bool]) -> Option<usize> {
        loop {
            let option = self.ranks & 0xf;
            if option == END {
                return None;
            }
            if !gone[option as usize] {
                return Some(option as usize);
            }
            // Who is gone stays gone: the ballot forgets about it. What moves in at the top is never reached, because
            // no ballot names 16 options.
            self.ranks = self.ranks >> 4 | END << 60;
        }
    }
}

/// The piles of the first round; `None` when the options or a weight are too many to pack.
pub(super) fn deal(options: usize, profile: &Profile) -> Option<Piles<Packed>> {
    if options > OPTIONS_MAX {
        return None;
    }
    // A little more than an even share each: few piles have to grow.
    let share = profile.rows_len() / options.max(1);
    let mut piles = Piles::empty(options, share + share / 4);
    for (row, weight) in profile.rows() {
        let weight = u64::try_from(weight).ok()?;
        let marks = row.marks();
        // A tier of equals ends the ballot.
        let strict = match marks.iter().position(|&mark| is_tied(mark)) {
            Some(second) => second - 1,
            None => marks.len(),
        };
        let ranks = marks[..strict].iter().rev().fold(u64::MAX, |ranks, &mark| ranks << 4 | u64::from(mark));
        if let Some(&first) = marks[..strict].first() {
            piles.papers[usize::from(first)].push(Packed { ranks, weight });
            piles.held[usize::from(first)] += u128::from(weight);
        }
    }
    Some(piles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::votes::{Ballot, BallotKind};

    #[test]
    fn a_packed_ballot_goes_where_it_should_and_ends() {
        let mut profile = Profile::new(BallotKind::Ranking, 15);
        let full: Vec<Vec<u16>> = (0..15).rev().map(|option| vec![option]).collect();
        for tiers in [full, vec![vec![3], vec![1], vec![0, 2], vec![4]], vec![vec![0, 1]], vec![]] {
            profile.push(&Ballot::Ranking(tiers), 2).unwrap();
        }
        let piles = deal(15, &profile).unwrap();
        assert_eq!((piles.held[14], piles.held[3], piles.held.iter().sum::<u128>()), (2, 2, 4));
        let way = |mut paper: Packed| {
            let mut gone = [false; 15];
            let mut way = vec![];
            while let Some(option) = paper.next_standing(&profile, &gone) {
                way.push(option);
                gone[option] = true;
            }
            way
        };
        assert_eq!(way(piles.papers[14][0]), (0..15).rev().collect::<Vec<_>>());
        assert_eq!(way(piles.papers[3][0]), [3, 1]);
    }

    #[test]
    fn what_cannot_be_packed_is_left_alone() {
        assert!(deal(16, &Profile::new(BallotKind::Ranking, 16)).is_none());
        let mut heavy = Profile::new(BallotKind::Ranking, 2);
        for _ in 0..2 {
            heavy.push(&Ballot::Choice(1), u64::MAX).unwrap();
        }
        assert!(deal(2, &heavy).is_some());
        assert!(deal(2, &heavy.grouped()).is_none());
    }
}
