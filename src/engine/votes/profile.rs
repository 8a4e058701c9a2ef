//! A profile: many checked ballots of one kind, packed one behind the other.
//!
//! A row is one ballot with a weight, or many identical ballots with the sum of theirs: no count can tell them apart.
//! Packing matters because elections are walked millions of rows at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::ballot::{Ballot, BallotFault, BallotKind, OptionIx, check_named};

/// Set on an option that shares its tier with the option before it.
const TIED: u16 = 1 << 15;

/// Many ballots of one kind.
#[derive(Debug, Clone)]
pub struct Profile {
    kind: BallotKind,
    options: usize,
    /// Where each row ends in `marks` (or in `points`, for scores).
    ends: Vec<usize>,
    marks: Vec<u16>,
    points: Vec<u32>,
    weights: Vec<u128>,
    total: u128,
    marked: u128,
}

/// One row of a profile, packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row<'a> {
    marks: &'a [u16],
    points: &'a [u32],
}

impl Profile {
    /// An empty profile over `options` options (at most [`super::ballot::OPTIONS_MAX`]).
    pub fn new(kind: BallotKind, options: usize) -> Self {
        Self {
            kind,
            options,
            ends: Vec::new(),
            marks: Vec::new(),
            points: Vec::new(),
            weights: Vec::new(),
            total: 0,
            marked: 0,
        }
    }

    /// Adds a ballot that counts `weight` times. A single choice is taken as a ranking of one or as one approval.
    ///
    /// # Errors
    /// Unknown and repeated options and shapes of another kind; the profile is then unchanged.
    pub fn push(&mut self, ballot: &Ballot, weight: u64) -> Result<(), BallotFault> {
        let (marks, points) = (self.marks.len(), self.points.len());
        if let Err(fault) = pack(ballot, self.kind, self.options, &mut self.marks, &mut self.points) {
            self.marks.truncate(marks);
            self.points.truncate(points);
            return Err(fault);
        }
        self.close_row(u128::from(weight));
        Ok(())
    }

    /// Adds a row that another profile of the same shape packed.
    pub(super) fn push_row(&mut self, row: Row<'_>, weight: u128) {
        self.marks.extend_from_slice(row.marks);
        self.points.extend_from_slice(row.points);
        self.close_row(weight);
    }

    /// Gives the row at `at` another weight.
    pub(super) fn set_weight(&mut self, at: usize, weight: u128) {
        let (row, before) = self.row(at);
        let marked = !row.is_blank();
        self.weights[at] = weight;
        self.total = self.total - before + weight;
        if marked {
            self.marked = self.marked - before + weight;
        }
    }

    fn close_row(&mut self, weight: u128) {
        let before = self.ends.last().copied().unwrap_or(0);
        let end = if self.kind == BallotKind::Scores { self.points.len() } else { self.marks.len() };
        self.ends.push(end);
        self.weights.push(weight);
        self.total += weight;
        if end > before {
            self.marked += weight;
        }
    }

    /// What its ballots are.
    pub fn kind(&self) -> BallotKind {
        self.kind
    }

    /// How many options its ballots are about.
    pub fn options(&self) -> usize {
        self.options
    }

    /// How many rows it has: at most the number of ballots.
    pub fn rows_len(&self) -> usize {
        self.ends.len()
    }

    /// The weight of all ballots, empty ones included.
    pub fn weight(&self) -> u128 {
        self.total
    }

    /// The weight of the ballots that say something.
    pub fn marked_weight(&self) -> u128 {
        self.marked
    }

    /// The row at `at` and its weight.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, at: usize) -> (Row<'_>, u128) {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        let span = start..self.ends[at];
        let row = if self.kind == BallotKind::Scores {
            Row { marks: &[], points: &self.points[span] }
        } else {
            Row { marks: &self.marks[span], points: &[] }
        };
        (row, self.weights[at])
    }

    /// All rows with their weights.
    pub fn rows(&self) -> impl Iterator<Item = (Row<'_>, u128)> {
        let mut start = 0;
        self.ends.iter().zip(&self.weights).map(move |(&end, &weight)| {
            let span = std::mem::replace(&mut start, end)..end;
            let row = if self.kind == BallotKind::Scores {
                Row { marks: &[], points: &self.points[span] }
            } else {
                Row { marks: &self.marks[span], points: &[] }
            };
            (row, weight)
        })
    }

    /// The same ballots with identical ones in one row. The rows keep the order in which they were first seen.
    pub fn grouped(&self) -> Self {
        let mut at: HashMap<Row<'_>, usize> = HashMap::new();
        let mut weights: Vec<(Row<'_>, u128)> = Vec::new();
        for (row, weight) in self.rows() {
            match at.entry(row) {
                Entry::Occupied(known) => weights[*known.get()].1 += weight,
                Entry::Vacant(new) => {
                    new.insert(weights.len());
                    weights.push((row, weight));
                }
            }
        }
        let mut grouped = Self::new(self.kind, self.options);
        for (row, weight) in weights {
            grouped.push_row(row, weight);
        }
        grouped
    }

    /// The same ballots as if only the options `kept` (in rising order) had ever stood; they are numbered anew.
    pub fn restricted(&self, kept: &[usize]) -> Self {
        let mut new = vec![None; self.options];
        for (number, &option) in kept.iter().enumerate() {
            new[option] = Some(number as u16);
        }
        let mut rest = Self::new(self.kind, kept.len());
        for (row, weight) in self.rows() {
            for tier in row.tiers() {
                let from = rest.marks.len();
                rest.marks.extend(tier.iter().filter_map(|&mark| new[option_of(mark)]));
                // Approvals and choices are no tiers: only a ranking can tie.
                if self.kind == BallotKind::Ranking {
                    rest.marks.iter_mut().skip(from + 1).for_each(|mark| *mark |= TIED);
                }
            }
            if !row.points.is_empty() {
                rest.points.extend(kept.iter().map(|&option| row.points[option]));
            }
            rest.close_row(weight);
        }
        rest
    }

    /// The same voters heard as ballots of another kind, where that loses nothing a count of that kind would want:
    /// a ranking says a choice (its first tier, when that is one option), a choice says a ranking or an approval,
    /// and approvals of exactly one option say a choice. `None` where guessing would begin.
    pub fn heard_as(&self, kind: BallotKind) -> Option<Self> {
        let mut heard = Self::new(kind, self.options);
        match (self.kind, kind) {
            (from, to) if from == to => return Some(self.clone()),
            (BallotKind::Ranking, BallotKind::Choice) => {
                for (row, weight) in self.rows() {
                    heard.marks.extend(row.single_first());
                    heard.close_row(weight);
                }
            }
            (BallotKind::Choice, BallotKind::Ranking | BallotKind::Approvals) => {
                for (row, weight) in self.rows() {
                    heard.push_row(row, weight);
                }
            }
            _ => return None,
        }
        Some(heard)
    }
}

impl<'a> Row<'a> {
    /// The row of a ballot packed into `marks` and `points` by [`pack`].
    pub(super) fn packed(marks: &'a [u16], points: &'a [u32]) -> Self {
        Self { marks, points }
    }

    /// Whether the ballot says nothing.
    pub fn is_blank(self) -> bool {
        self.marks.is_empty() && self.points.is_empty()
    }

    /// The options it names, best first where it is a ranking.
    pub fn named(self) -> impl Iterator<Item = OptionIx> + 'a {
        self.marks.iter().map(|mark| mark & !TIED)
    }

    /// How many options it names.
    pub fn named_len(self) -> usize {
        self.marks.len()
    }

    /// Each option it ranks with the number of its tier, from 0.
    pub fn ranked(self) -> impl Iterator<Item = (OptionIx, u16)> + 'a {
        let mut tier = 0;
        self.marks.iter().enumerate().map(move |(i, mark)| {
            if i > 0 && mark & TIED == 0 {
                tier += 1;
            }
            (mark & !TIED, tier)
        })
    }

    /// Its tiers, best first.
    pub fn tiers(self) -> impl Iterator<Item = &'a [u16]> {
        self.marks.chunk_by(|_, next| next & TIED != 0)
    }

    /// The option of the first tier, when that is one option alone.
    pub fn single_first(self) -> Option<OptionIx> {
        let first = *self.marks.first()?;
        let alone = self.marks.get(1).is_none_or(|next| next & TIED == 0);
        alone.then_some(first)
    }

    /// The scores, one per option; empty for a blank ballot and for other kinds.
    pub fn scores(self) -> &'a [u32] {
        self.points
    }

    /// The packed options; bit 15 marks an option that shares the tier of the one before.
    pub(super) fn marks(self) -> &'a [u16] {
        self.marks
    }

    /// The same ballot unpacked.
    pub fn to_ballot(self, kind: BallotKind) -> Ballot {
        match kind {
            _ if self.is_blank() => Ballot::Blank,
            BallotKind::Choice => self.named().next().map_or(Ballot::Blank, Ballot::Choice),
            BallotKind::Approvals => Ballot::Approvals(self.named().collect()),
            BallotKind::Ranking => {
                Ballot::Ranking(self.tiers().map(|tier| tier.iter().map(|mark| mark & !TIED).collect()).collect())
            }
            BallotKind::Scores => Ballot::Scores(self.points.to_vec()),
        }
    }
}

/// Whether a packed mark shares the tier of the mark before it.
pub(super) fn is_tied(mark: u16) -> bool {
    mark & TIED != 0
}

/// The option of a packed mark.
pub(super) fn option_of(mark: u16) -> usize {
    usize::from(mark & !TIED)
}

/// Appends a ballot's packed form, so that ballots that mean the same are packed the same.
///
/// # Errors
/// Unknown and repeated options and shapes of another kind; what was appended until then is left to the caller.
pub(super) fn pack(
    ballot: &Ballot,
    kind: BallotKind,
    options: usize,
    marks: &mut Vec<u16>,
    points: &mut Vec<u32>,
) -> Result<(), BallotFault> {
    let start = marks.len();
    let shape = BallotFault::WrongShape { expected: kind.name() };
    match (ballot, kind) {
        (Ballot::Blank, _) => return Ok(()),
        (Ballot::Choice(_), BallotKind::Scores) => return Err(shape),
        (Ballot::Choice(option), _) => marks.push(*option),
        (Ballot::Approvals(named), BallotKind::Approvals) => {
            marks.extend_from_slice(named);
            marks[start..].sort_unstable();
        }
        (Ballot::Ranking(tiers), BallotKind::Ranking) => {
            for tier in tiers {
                let from = marks.len();
                marks.extend_from_slice(tier);
                marks[from..].sort_unstable();
            }
        }
        (Ballot::Scores(scores), BallotKind::Scores) => {
            if scores.len() != options && !scores.is_empty() {
                return Err(BallotFault::ScoreCount { expected: options, got: scores.len() });
            }
            points.extend_from_slice(scores);
            return Ok(());
        }
        _ => return Err(shape),
    }
    check_named(&marks[start..], options)?;
    if let Ballot::Ranking(tiers) = ballot {
        // Only now that every option is known to be below bit 15.
        let mut at = start;
        for tier in tiers.iter().filter(|tier| !tier.is_empty()) {
            marks[at + 1..at + tier.len()].iter_mut().for_each(|mark| *mark |= TIED);
            at += tier.len();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(tiers: &[&[OptionIx]]) -> Ballot {
        Ballot::Ranking(tiers.iter().map(|tier| tier.to_vec()).collect())
    }

    #[test]
    fn rankings_come_back_as_they_were_cast() {
        let mut profile = Profile::new(BallotKind::Ranking, 5);
        for ballot in [ranking(&[&[4], &[1, 3], &[0]]), ranking(&[&[0, 2]]), Ballot::Choice(2), Ballot::Blank] {
            profile.push(&ballot, 3).unwrap();
        }
        let read: Vec<_> = profile.rows().map(|(row, weight)| (row.to_ballot(BallotKind::Ranking), weight)).collect();
        assert_eq!(
            read,
            [(ranking(&[&[4], &[1, 3], &[0]]), 3), (ranking(&[&[0, 2]]), 3), (ranking(&[&[2]]), 3), (Ballot::Blank, 3)]
        );
        assert_eq!((profile.weight(), profile.marked_weight()), (12, 9));
        let firsts: Vec<_> = profile.rows().map(|(row, _)| row.single_first()).collect();
        assert_eq!(firsts, [Some(4), None, Some(2), None]);
        let ranks: Vec<_> = profile.row(0).0.ranked().collect();
        assert_eq!(ranks, [(4, 0), (1, 1), (3, 1), (0, 2)]);
    }

    #[test]
    fn without_an_option_the_others_move_up() {
        let mut profile = Profile::new(BallotKind::Ranking, 4);
        for ballot in [ranking(&[&[1], &[0, 2, 3]]), ranking(&[&[0, 1], &[3]]), ranking(&[&[0]])] {
            profile.push(&ballot, 1).unwrap();
        }
        let rest = profile.restricted(&[1, 3]);
        let read: Vec<_> = rest.rows().map(|(row, _)| row.to_ballot(BallotKind::Ranking)).collect();
        assert_eq!(read, [ranking(&[&[0], &[1]]), ranking(&[&[0], &[1]]), Ballot::Blank]);
        assert_eq!(rest.marked_weight(), 2);
    }

    #[test]
    fn a_refused_ballot_leaves_nothing_behind() {
        let mut profile = Profile::new(BallotKind::Ranking, 3);
        for bad in [
            ranking(&[&[0], &[3]]),
            ranking(&[&[0], &[0]]),
            Ballot::Approvals(vec![1]),
            Ballot::Choice(u16::MAX),
            Ballot::Scores(vec![1, 2, 3]),
        ] {
            assert!(profile.push(&bad, 1).is_err(), "{bad:?}");
        }
        profile.push(&ranking(&[&[1]]), 1).unwrap();
        assert_eq!(profile.rows_len(), 1);
        assert_eq!(profile.row(0).0.single_first(), Some(1));
    }

    #[test]
    fn identical_ballots_share_a_row_whatever_order_they_were_written_in() {
        let mut profile = Profile::new(BallotKind::Approvals, 4);
        for marks in [vec![3, 1], vec![1, 3], vec![0]] {
            profile.push(&Ballot::Approvals(marks), u64::MAX).unwrap();
        }
        let grouped = profile.grouped();
        assert_eq!(grouped.weight(), profile.weight());
        assert_eq!((grouped.rows_len(), grouped.row(0).1), (2, 2 * u128::from(u64::MAX)));
        let mut small = Profile::new(BallotKind::Ranking, 4);
        for tier in [[3, 1], [1, 3]] {
            small.push(&ranking(&[&tier]), 2).unwrap();
        }
        assert_eq!((small.grouped().rows_len(), small.grouped().row(0).1), (1, 4));
    }
}
