//! The pairwise matrix that all Condorcet methods share, and what can be read off it at a glance.

use super::ballot::OptionIx;
use super::count::{CountRules, Matrix};
use super::profile::{Profile, Row, is_tied, option_of};

/// Everything that the Condorcet methods want to know about the ballots.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    pub(super) matrix: Matrix,
    pub(super) firsts: Vec<u128>,
    /// The weight of all ballots, and of those that rank anybody.
    pub(super) total: u128,
    pub(super) spoken: u128,
    /// Room to find out whom a ballot leaves unranked; kept to spare an allocation per ballot.
    named: Vec<bool>,
    unranked: Vec<usize>,
}

impl Pairs {
    pub(super) fn empty(rules: &CountRules) -> Self {
        Self::over(rules.options.len())
    }

    fn over(options: usize) -> Self {
        Self {
            matrix: Matrix::zero(options),
            firsts: vec![0; options],
            total: 0,
            spoken: 0,
            named: vec![false; options],
            unranked: Vec::new(),
        }
    }

    /// One more (or less) ballot: each ranked option over everything that stands behind it, O(ranked x options).
    pub(super) fn change(&mut self, row: Row<'_>, change: impl Fn(&mut u128)) {
        change(&mut self.total);
        if row.is_blank() {
            return;
        }
        change(&mut self.spoken);
        if let Some(first) = row.single_first() {
            change(&mut self.firsts[usize::from(first)]);
        }
        let marks = row.marks();
        self.unranked.clear();
        if marks.len() < self.firsts.len() {
            row.named().for_each(|option| self.named[usize::from(option)] = true);
            self.unranked.extend((0..self.firsts.len()).filter(|&option| !self.named[option]));
            row.named().for_each(|option| self.named[usize::from(option)] = false);
        }
        let mut behind = marks;
        for tier in row.tiers() {
            behind = &behind[tier.len()..];
            for &above in tier {
                let cells = self.matrix.row_mut(option_of(above));
                behind.iter().for_each(|&below| change(&mut cells[option_of(below)]));
                self.unranked.iter().for_each(|&below| change(&mut cells[below]));
            }
        }
    }

    /// A whole profile. Ballots of weight 1 go through byte lanes where the options fit.
    pub(super) fn of(options: usize, profile: &Profile) -> Self {
        match options {
            0..=16 => Self::in_lanes::<16>(options, profile),
            17..=32 => Self::in_lanes::<32>(options, profile),
            33..=64 => Self::in_lanes::<64>(options, profile),
            _ => {
                let mut pairs = Self::over(options);
                for (row, weight) in profile.rows() {
                    pairs.change(row, |cell| *cell += weight);
                }
                pairs
            }
        }
    }

    /// A ballot compares one option with all others at once: their places lie side by side in bytes, and what stands
    /// behind adds 1 to its lane. 255 ballots fill a lane, and then the lanes are emptied into the matrix.
    fn in_lanes<const LANES: usize>(options: usize, profile: &Profile) -> Self {
        let mut pairs = Self::over(options);
        let mut lanes = [[0u8; LANES]; LANES];
        let mut firsts = [0u64; LANES];
        let mut filled = 0;
        let (mut units, mut spoken) = (0u128, 0u128);
        for (row, weight) in profile.rows() {
            if weight != 1 {
                pairs.change(row, |cell| *cell += weight);
                continue;
            }
            units += 1;
            let marks = row.marks();
            if marks.is_empty() {
                continue;
            }
            spoken += 1;
            if let Some(first) = row.single_first() {
                firsts[usize::from(first)] += 1;
            }
            let mut places = [u8::MAX; LANES];
            let mut place = 0u8;
            for (i, &mark) in marks.iter().enumerate() {
                place += u8::from(i > 0 && !is_tied(mark));
                places[option_of(mark)] = place;
            }
            for &mark in marks {
                let above = option_of(mark);
                let place = places[above];
                for (lane, &other) in lanes[above].iter_mut().zip(&places) {
                    *lane += u8::from(other > place);
                }
            }
            filled += 1;
            if filled == u8::MAX {
                pairs.empty_lanes(&mut lanes);
                filled = 0;
            }
        }
        pairs.empty_lanes(&mut lanes);
        pairs.total += units;
        pairs.spoken += spoken;
        for (first, lane) in pairs.firsts.iter_mut().zip(firsts) {
            *first += u128::from(lane);
        }
        pairs
    }

    fn empty_lanes<const LANES: usize>(&mut self, lanes: &mut [[u8; LANES]; LANES]) {
        for (above, lane) in lanes.iter_mut().enumerate().take(self.matrix.size()) {
            for (cell, count) in self.matrix.row_mut(above).iter_mut().zip(lane.iter_mut()) {
                *cell += u128::from(std::mem::take(count));
            }
            // Lanes beyond the last option hold no place and count as unranked: what they gathered means nothing.
            *lane = [0; LANES];
        }
    }
}

impl Matrix {
    /// The matrix of a profile of rankings.
    pub fn of(profile: &Profile) -> Self {
        Pairs::of(profile.options(), profile).matrix
    }

    /// The option that beats every other, if there is one.
    pub fn condorcet_winner(&self) -> Option<OptionIx> {
        (0..self.size()).find(|&a| (0..self.size()).all(|b| a == b || self.beats(a, b))).map(|a| a as OptionIx)
    }

    /// The option that every other beats, if there is one and there is another.
    pub fn condorcet_loser(&self) -> Option<OptionIx> {
        let loser = (0..self.size()).find(|&a| (0..self.size()).all(|b| a == b || self.beats(b, a)))?;
        (self.size() > 1).then_some(loser as OptionIx)
    }

    /// The smallest set of options that each beat every option outside it.
    pub fn smith_set(&self) -> Vec<OptionIx> {
        let size = self.size();
        // Whoever beats most is in it, and so is everybody whom a member does not beat.
        let points = |a: usize| (0..size).map(|b| 2 * u32::from(self.beats(a, b)) + u32::from(!self.beats(b, a))).sum();
        let Some(seed) = (0..size).max_by_key(|&a| -> u32 { points(a) }) else { return Vec::new() };
        let mut inside = vec![false; size];
        inside[seed] = true;
        let mut open = vec![seed];
        while let Some(member) = open.pop() {
            for other in (0..size).filter(|&other| other != member && !self.beats(member, other)) {
                if !std::mem::replace(&mut inside[other], true) {
                    open.push(other);
                }
            }
        }
        (0..size).filter(|&option| inside[option]).map(|option| option as OptionIx).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::votes::ballot::{Ballot, BallotKind};

    fn profile(options: usize, rows: &[(u64, &[&[OptionIx]])]) -> Profile {
        let mut profile = Profile::new(BallotKind::Ranking, options);
        for (weight, tiers) in rows {
            profile.push(&Ballot::Ranking(tiers.iter().map(|tier| tier.to_vec()).collect()), *weight).unwrap();
        }
        profile
    }

    #[test]
    fn unranked_options_stand_together_below_the_ranked() {
        let matrix = Matrix::of(&profile(4, &[(1, &[&[2], &[0, 1]]), (2, &[&[1]]), (5, &[])]));
        let rows: Vec<&[u128]> = (0..4).map(|a| matrix.row(a)).collect();
        assert_eq!(rows, [[0, 0, 0, 1], [2, 0, 2, 3], [1, 1, 0, 1], [0, 0, 0, 0]]);
        assert_eq!((matrix.condorcet_winner(), matrix.condorcet_loser()), (Some(1), Some(3)));
        assert_eq!(matrix.smith_set(), [1]);
    }

    #[test]
    fn a_circle_has_no_winner_and_is_its_own_smith_set() {
        let circle: [(u64, &[&[OptionIx]]); 3] =
            [(1, &[&[0], &[1], &[2], &[3]]), (1, &[&[1], &[2], &[0], &[3]]), (1, &[&[2], &[0], &[1], &[3]])];
        let matrix = Matrix::of(&profile(4, &circle));
        assert_eq!((matrix.condorcet_winner(), matrix.condorcet_loser()), (None, Some(3)));
        assert_eq!(matrix.smith_set(), [0, 1, 2]);
    }

    /// Lanes, their emptying, weights and the plain way agree at every width.
    #[test]
    fn lanes_count_like_the_plain_way() {
        for options in [1usize, 3, 16, 17, 32, 33, 64, 65] {
            let mut ballots = Profile::new(BallotKind::Ranking, options);
            let mut plain = Pairs::over(options);
            let mut state = 7usize;
            for i in 0..700usize {
                let mut order: Vec<OptionIx> = (0..options as OptionIx).collect();
                for at in (1..options).rev() {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    order.swap(at, (state >> 33) % (at + 1));
                }
                order.truncate(i % (options + 1));
                let tiers = order.chunks(1 + i % 2).map(<[_]>::to_vec).collect();
                ballots.push(&Ballot::Ranking(tiers), if i % 50 == 0 { 3 } else { 1 }).unwrap();
            }
            for (row, weight) in ballots.rows() {
                plain.change(row, |cell| *cell += weight);
            }
            let fast = Pairs::of(options, &ballots);
            assert_eq!(fast.matrix, plain.matrix, "{options}");
            assert_eq!((fast.firsts, fast.total, fast.spoken), (plain.firsts, plain.total, plain.spoken), "{options}");
        }
    }
}
