//! Tickets in order of place and age, kept in short runs that lie together in memory.
//!
//! A search wants one spot and its neighbours to both sides, thousands of times more often than anything else. Here
//! that is two binary searches and then reading on, where a tree would walk down from its root for every end of every
//! range. Coming and going moves at most one run, and every thirty-odd comings the list of runs.

/// Spots in a run before it is cut in two: their bytes are moved in less time than one cache line takes to come.
const RUN_MAX: usize = 64;

/// Where a ticket lies: ordered by place, then by age.
pub(super) type Key = (i64, u64);

/// A ticket on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) place: i64,
    pub(super) seq: u64,
    pub(super) slot: u32,
}

impl Spot {
    fn key(&self) -> Key {
        (self.place, self.seq)
    }
}

/// Tickets in order.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// None of them empty.
    runs: Vec<Vec<Spot>>,
    /// The last key of each, beside one another so that looking for a run touches no other.
    lasts: Vec<Key>,
}

impl Line {
    pub(super) fn insert(&mut self, spot: Spot) {
        let key = spot.key();
        let at = self.run_of(key).min(self.runs.len().saturating_sub(1));
        let Some(run) = self.runs.get_mut(at) else {
            self.runs.push(Vec::with_capacity(RUN_MAX));
            self.runs[0].push(spot);
            self.lasts.push(key);
            return;
        };
        let nth = run.partition_point(|other| other.key() < key);
        run.insert(nth, spot);
        if nth + 1 == run.len() {
            self.lasts[at] = key;
        }
        if run.len() == RUN_MAX {
            let mut upper = Vec::with_capacity(RUN_MAX);
            upper.extend(run.drain(RUN_MAX / 2..));
            self.lasts.insert(at, run[RUN_MAX / 2 - 1].key());
            self.runs.insert(at + 1, upper);
        }
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: Key) -> bool {
        let at = self.run_of(key);
        let Some(run) = self.runs.get_mut(at) else { return false };
        let Ok(nth) = run.binary_search_by_key(&key, Spot::key) else { return false };
        run.remove(nth);
        match run.last() {
            None => {
                self.runs.remove(at);
                self.lasts.remove(at);
            }
            Some(last) => {
                self.lasts[at] = last.key();
                self.join_next(at);
            }
        }
        true
    }

    /// Two runs that have become short are one, so that a line that was long once is not all gaps for ever.
    fn join_next(&mut self, at: usize) {
        let [run, next, ..] = &self.runs[at..] else { return };
        if run.len() + next.len() <= RUN_MAX / 2 {
            let next = self.runs.remove(at + 1);
            self.lasts.remove(at);
            self.runs[at].extend(next);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The spots at or after `from`, in order.
    pub(super) fn up(&self, from: Key) -> impl Iterator<Item = &Spot> {
        let at = self.run_of(from);
        let first = self.runs.get(at).map_or(&[][..], |run| &run[run.partition_point(|spot| spot.key() < from)..]);
        first.iter().chain(self.runs.iter().skip(at + 1).flatten())
    }

    /// The spots before `from`, the nearest first.
    pub(super) fn down(&self, from: Key) -> impl Iterator<Item = &Spot> {
        let at = self.run_of(from);
        let first = self.runs.get(at).map_or(&[][..], |run| &run[..run.partition_point(|spot| spot.key() < from)]);
        first.iter().rev().chain(self.runs[..at].iter().rev().flat_map(|run| run.iter().rev()))
    }

    /// Whether some `count` spots in a row, the one at `key` among them, lie within `width`. Copies nothing: nearly every
    /// ticket that comes has too few neighbours, and is done with here.
    pub(super) fn is_crowded(&self, key: Key, count: usize, width: i64) -> bool {
        let run = self.run_of(key);
        let Some(nth) = self.runs.get(run).and_then(|run| run.binary_search_by_key(&key, Spot::key).ok()) else {
            return false;
        };
        let here = At { run, nth };
        let (mut first, mut last) = (here, here);
        for _ in 1..count {
            // Where the line begins, the row reaches further up instead.
            if !first.step_down(self) && !last.step_up(self) {
                return false;
            }
        }
        loop {
            if self.place(last).abs_diff(self.place(first)) <= width.unsigned_abs() {
                return true;
            }
            if first == here || !last.step_up(self) {
                return false;
            }
            first.step_up(self);
        }
    }

    fn place(&self, at: At) -> i64 {
        self.runs[at.run][at.nth].place
    }

    /// The first run whose last key is not before `key`; as many as there are runs when there is none.
    fn run_of(&self, key: Key) -> usize {
        self.lasts.partition_point(|last| *last < key)
    }
}

/// A spot by its position; valid until the line changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    run: usize,
    nth: usize,
}

impl At {
    /// False at the end of the line.
    fn step_up(&mut self, line: &Line) -> bool {
        if self.nth + 1 < line.runs[self.run].len() {
            self.nth += 1;
            return true;
        }
        if self.run + 1 < line.runs.len() {
            (self.run, self.nth) = (self.run + 1, 0);
            return true;
        }
        false
    }

    /// False at the beginning of the line.
    fn step_down(&mut self, line: &Line) -> bool {
        if self.nth > 0 {
            self.nth -= 1;
            return true;
        }
        if self.run > 0 {
            self.run -= 1;
            self.nth = line.runs[self.run].len() - 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// A tree says the same, more slowly.
        #[test]
        fn a_line_is_an_ordered_map(
            steps in prop::collection::vec((any::<bool>(), 0i64..60, 0u64..20), 1..1_500),
            looks in prop::collection::vec((0i64..60, 0u64..20), 20),
            count in 1usize..12,
            width in 0i64..4,
        ) {
            let (mut line, mut tree) = (Line::default(), BTreeMap::new());
            for (slot, &(comes, place, seq)) in steps.iter().enumerate() {
                let slot = slot as u32;
                // Three come for each that goes, until half way; then it empties.
                if (comes || slot.is_multiple_of(2)) && slot < 900 {
                    if tree.insert((place, seq), slot).is_none() {
                        line.insert(Spot { place, seq, slot });
                    } else {
                        line.remove((place, seq));
                        line.insert(Spot { place, seq, slot });
                    }
                } else {
                    prop_assert_eq!(line.remove((place, seq)), tree.remove(&(place, seq)).is_some());
                }
                prop_assert!(line.runs.iter().all(|run| !run.is_empty() && run.len() < RUN_MAX));
            }
            let row: Vec<_> = tree.keys().collect();
            for from in looks {
                let crowded = row.windows(count).any(|row| {
                    row.contains(&&from) && row[count - 1].0 - row[0].0 <= width
                });
                prop_assert_eq!(line.is_crowded(from, count, width), crowded, "{:?}", from);
                let up: Vec<_> = line.up(from).map(|spot| (spot.key(), spot.slot)).collect();
                prop_assert_eq!(up, tree.range(from..).map(|(key, slot)| (*key, *slot)).collect::<Vec<_>>());
                let down: Vec<_> = line.down(from).map(|spot| (spot.key(), spot.slot)).collect();
                prop_assert_eq!(down, tree.range(..from).rev().map(|(key, slot)| (*key, *slot)).collect::<Vec<_>>());
            }
            let half_empty = line.runs.windows(2).filter(|two| two[0].len() + two[1].len() <= RUN_MAX / 4).count();
            prop_assert!(half_empty <= line.runs.len() / 2 + 1, "{} runs for {}", line.runs.len(), tree.len());
        }
    }
}
