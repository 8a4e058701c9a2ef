//! What the run-offs share: rankings in groups of identical ones, and the way a ballot moves on.

use std::collections::HashMap;
use std::marker::PhantomData;

use crate::engine::votes::ballot::BallotKind;
use crate::engine::votes::count::{Count, CountRules};
use crate::engine::votes::live::Summary;
use crate::engine::votes::profile::{Profile, Row, is_tied, option_of};

/// A count that has to look at whole rankings.
pub(super) trait ReadsRankings: Send + 'static {
    /// The count of this profile.
    fn read(rules: &CountRules, profile: &Profile) -> Count;
}

/// The ballots in play, one row per different ranking: a room of players writes few different ones.
pub(super) struct Grouped<M> {
    rows: Profile,
    at: HashMap<Box<[u16]>, usize>,
    /// Rows whose ballots were all taken back.
    idle: usize,
    method: PhantomData<M>,
}

impl<M> Grouped<M> {
    /// Forgets rows that nobody holds any more once they are the most, so that revotes cannot fill the memory.
    fn tidy(&mut self) {
        if self.idle < 64 || self.idle * 2 < self.rows.rows_len() {
            return;
        }
        let mut rows = Profile::new(self.rows.kind(), self.rows.options());
        self.at.clear();
        for (row, weight) in self.rows.rows().filter(|(_, weight)| *weight > 0) {
            self.at.insert(row.marks().into(), rows.rows_len());
            rows.push_row(row, weight);
        }
        self.rows = rows;
        self.idle = 0;
    }
}

impl<M: ReadsRankings> Summary for Grouped<M> {
    fn empty(rules: &CountRules) -> Self {
        let rows = Profile::new(BallotKind::Ranking, rules.options.len());
        Self { rows, at: HashMap::new(), idle: 0, method: PhantomData }
    }

    fn add(&mut self, _: &CountRules, row: Row<'_>, weight: u128) {
        match self.at.get(row.marks()) {
            Some(&at) => {
                let (_, before) = self.rows.row(at);
                self.idle -= usize::from(before == 0 && weight > 0);
                self.rows.set_weight(at, before + weight);
            }
            None => {
                self.at.insert(row.marks().into(), self.rows.rows_len());
                self.rows.push_row(row, weight);
                self.idle += usize::from(weight == 0);
            }
        }
    }

    fn remove(&mut self, _: &CountRules, row: Row<'_>, weight: u128) {
        let Some(&at) = self.at.get(row.marks()) else {
            debug_assert!(false, "only what was added is taken back");
            return;
        };
        let (_, before) = self.rows.row(at);
        debug_assert!(before >= weight, "only what was added is taken back");
        let after = before.saturating_sub(weight);
        self.rows.set_weight(at, after);
        self.idle += usize::from(before > 0 && after == 0);
        self.tidy();
    }

    fn count(&self, rules: &CountRules) -> Count {
        M::read(rules, &self.rows)
    }
}

/// The highest option on the ballot that is not gone. A tier of equals ends the ballot: it does not say which one.
pub(super) fn next_standing(row: Row<'_>, gone: &[bool]) -> Option<usize> {
    let marks = row.marks();
    for (i, &mark) in marks.iter().enumerate() {
        if marks.get(i + 1).is_some_and(|&next| is_tied(next)) {
            return None;
        }
        let option = option_of(mark);
        if !gone[option] {
            return Some(option);
        }
    }
    None
}
