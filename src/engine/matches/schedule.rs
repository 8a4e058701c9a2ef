//! Which match ticks when, for all matches of one arbiter: phases spread over the period, deadlines in one heap.
//!
//! Staggering is what keeps a client's p99 low: a thousand sessions ticking in phase wait for each other's sends
//! (12 ms against 0.6 ms measured at 30 Hz), spread over slots they do not.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::clock::TickClock;
use crate::limits::PHASE_SLOTS;

/// The deadlines of every match on one arbiter. `K` names a match.
#[derive(Debug)]
pub struct TickSchedule<K> {
    epoch_us: u64,
    loads: HashMap<u32, Vec<u32>>,
    entries: HashMap<K, Entry>,
    heap: BinaryHeap<Reverse<(u64, u64, K)>>,
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    hz: u32,
    slot: usize,
    t0_us: u64,
    generation: u64,
}

impl<K: Copy + Ord + std::hash::Hash + Eq> TickSchedule<K> {
    /// An empty schedule whose raster starts at `epoch_us`, monotonic microseconds.
    pub fn new(epoch_us: u64) -> Self {
        Self { epoch_us, loads: HashMap::new(), entries: HashMap::new(), heap: BinaryHeap::new(), generation: 0 }
    }

    /// Adds a match of `hz` in the least loaded phase slot; returns when its tick 0 is due, at least one slot after
    /// `now_us`. A match that is already in keeps its place.
    pub fn add(&mut self, key: K, hz: u32, now_us: u64) -> u64 {
        let hz = hz.max(1);
        if let Some(entry) = self.entries.get(&key) {
            return entry.t0_us;
        }
        let loads = self.loads.entry(hz).or_insert_with(|| vec![0; PHASE_SLOTS as usize]);
        // Slots in bit-reversed order, so that the first few matches are already far apart.
        let slot = (0..PHASE_SLOTS)
            .map(|i| (i.reverse_bits() >> (32 - PHASE_SLOTS.trailing_zeros())) as usize)
            .min_by_key(|slot| loads[*slot])
            .unwrap_or(0);
        loads[slot] += 1;
        let t0_us = self.first_deadline(hz, slot, now_us);
        self.generation += 1;
        self.entries.insert(key, Entry { hz, slot, t0_us, generation: self.generation });
        self.heap.push(Reverse((t0_us, self.generation, key)));
        t0_us
    }

    /// The first moment after `now_us` on the raster of `hz` that lies in `slot`.
    fn first_deadline(&self, hz: u32, slot: usize, now_us: u64) -> u64 {
        let period = 1_000_000 / u64::from(hz);
        let phase = period * slot as u64 / u64::from(PHASE_SLOTS);
        let periods = TickClock::new(hz, self.epoch_us + phase);
        let mut n = now_us.saturating_sub(self.epoch_us + phase) * u64::from(hz) / 1_000_000;
        while periods.deadline_us(n) <= now_us {
            n += 1;
        }
        periods.deadline_us(n)
    }

    /// Takes a match out.
    pub fn remove(&mut self, key: K) {
        if let Some(entry) = self.entries.remove(&key)
            && let Some(loads) = self.loads.get_mut(&entry.hz)
        {
            loads[entry.slot] -= 1;
        }
    }

    /// When the next match is due, in monotonic microseconds.
    pub fn next_us(&mut self) -> Option<u64> {
        loop {
            let Reverse((due_us, generation, key)) = *self.heap.peek()?;
            if self.entries.get(&key).is_some_and(|entry| entry.generation == generation) {
                return Some(due_us);
            }
            self.heap.pop();
        }
    }

    /// Calls `tick(match, deadline)` once for every match with a deadline at or before `now_us`, oldest deadline
    /// first, and moves each on to its first deadline after `now_us`: a match that was overslept is told once and
    /// finds out from its own clock how many ticks it owes.
    pub fn take_due(&mut self, now_us: u64, mut tick: impl FnMut(K, u64)) {
        while let Some(Reverse((due_us, generation, key))) = self.heap.peek().copied() {
            if due_us > now_us {
                break;
            }
            self.heap.pop();
            let Some(entry) = self.entries.get(&key).filter(|entry| entry.generation == generation) else { continue };
            tick(key, due_us);
            let clock = TickClock::new(entry.hz, entry.t0_us);
            let mut n = (u128::from(now_us - entry.t0_us) * u128::from(entry.hz) / 1_000_000) as u64;
            while clock.deadline_us(n) <= now_us {
                n += 1;
            }
            self.heap.push(Reverse((clock.deadline_us(n), generation, key)));
        }
    }

    /// How many matches are scheduled.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is scheduled.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_of_one_rate_spread_over_the_period() {
        let mut schedule = TickSchedule::new(0);
        let mut phases: Vec<u64> = (0..PHASE_SLOTS).map(|i| schedule.add(i, 10, 1_000_000) % 100_000).collect();
        phases.sort_unstable();
        phases.dedup();
        assert_eq!(phases.len(), PHASE_SLOTS as usize, "one slot each");
        let apart = 100_000 / u64::from(PHASE_SLOTS);
        assert!(phases.windows(2).all(|pair| pair[1] - pair[0] >= apart), "evenly apart");
        let shared = schedule.add(PHASE_SLOTS, 10, 1_000_000) % 100_000;
        assert!(phases.contains(&shared), "one more shares a slot exactly, and with it a wake");
    }

    #[test]
    fn every_match_is_told_of_every_deadline_once() {
        let mut schedule = TickSchedule::new(500);
        for (key, hz) in [(1u32, 128), (2, 60), (3, 1)] {
            schedule.add(key, hz, 10_000);
        }
        let mut told = [0u32; 4];
        let end = 10_000 + 3_000_000;
        while let Some(next) = schedule.next_us().filter(|next| *next <= end) {
            schedule.take_due(next, |key, due| {
                assert_eq!(due, next);
                told[key as usize] += 1;
            });
        }
        assert!((383..=385).contains(&told[1]) && (179..=181).contains(&told[2]) && told[3] == 3, "{told:?}");
    }

    #[test]
    fn an_overslept_match_is_told_once_and_keeps_its_raster() {
        let mut schedule = TickSchedule::new(0);
        let t0 = schedule.add(7u32, 10, 0);
        let mut told = 0;
        schedule.take_due(t0 + 1_050_000, |_, due| {
            told += 1;
            assert_eq!(due, t0);
        });
        assert_eq!(told, 1);
        assert_eq!(schedule.next_us(), Some(t0 + 1_100_000));
    }

    #[test]
    fn a_removed_match_is_never_told_and_frees_its_slot() {
        let mut schedule = TickSchedule::new(0);
        let first = schedule.add(1u32, 10, 0);
        schedule.remove(1);
        assert_eq!(schedule.next_us(), None);
        assert!(schedule.is_empty());
        assert_eq!(schedule.add(2, 10, 0), first);
        schedule.take_due(first, |key, _| assert_eq!(key, 2));
        assert_eq!(schedule.len(), 1);
    }
}
