//! What the server knows about itself: lateness, work and counts per mode, from the first tick on.
//! Labels are modes and codes, never a player or a match.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dashmap::DashMap;
use parking_lot::Mutex;
use serde::Serialize;

pub use crate::durations::{Durations, Summary};
use crate::limits::FAULTS_TOLD_EVERY_MS;

/// The meters of one mode, shared by its matches.
#[derive(Debug, Default)]
pub struct ModeMeters {
    /// Actual minus scheduled, per wake.
    pub lateness: Durations,
    /// Time spent running the game and encoding, per wake.
    pub work: Durations,
    /// Tick begun until the last outbox was filled, per wake.
    pub emit: Durations,
    /// Ticks run.
    pub ticks: AtomicU64,
    /// Ticks given up because the match was late.
    pub skipped: AtomicU64,
    /// Inputs dropped because their sender flooded.
    pub inputs_dropped: AtomicU64,
    /// Matches that began.
    pub started: AtomicU64,
    /// Matches that ended in order.
    pub finished: AtomicU64,
    /// Matches that died.
    pub died: AtomicU64,
    /// Per finished match, how far its mean tick period was off, in parts per billion: count and sum.
    pub period_error: Mutex<(u64, u64)>,
    /// Events and wishes of games that had to be refused.
    pub effects_refused: AtomicU64,
    /// Votes that games or their modes wanted and could not have, where no author is told.
    pub votes_refused: Faults,
}

/// How far the mean tick period of finished matches was off what it should have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct PeriodError {
    /// Matches that were looked at.
    pub matches: u64,
    /// Mean over them of |mean period / asked period - 1|, in percent.
    pub mean_percent: f64,
}

/// Lateness since it was looked at last: two digits, which is what a budget needs, and what is gone through twice a second.
#[derive(Debug)]
pub struct Recent(Durations);

impl Default for Recent {
    fn default() -> Self {
        Self(Durations::two_digits())
    }
}

impl std::ops::Deref for Recent {
    type Target = Durations;

    fn deref(&self) -> &Durations {
        &self.0
    }
}

/// Every meter of the server.
#[derive(Debug, Default)]
pub struct Meters {
    modes: DashMap<Arc<str>, Arc<ModeMeters>>,
    /// Lateness of all modes since the watch over the load looked last.
    pub recent: Recent,
    /// Refusals by code, which is the contract: several reasons may share a word.
    pub refusals: DashMap<&'static str, AtomicU64>,
    /// Time from the ticket to the seat.
    pub queue_wait: Durations,
    /// Tickets that wait, by mode: kept up to date by the matchmaker.
    tickets_waiting: DashMap<Arc<str>, u64>,
    /// Votes opened.
    pub votes_opened: AtomicU64,
    /// Votes closed, whatever their status.
    pub votes_closed: AtomicU64,
    /// Votes that died.
    pub votes_died: AtomicU64,
    /// Messages that found a mailbox full or closed where nobody could be told.
    pub tells_lost: AtomicU64,
    /// What games and the server itself wanted stored, and the store did not take.
    pub rows_lost: Faults,
}

/// What may go wrong a thousand times a second: counted each time, said at most once in [`FAULTS_TOLD_EVERY_MS`].
#[derive(Debug, Default)]
pub struct Faults {
    all: AtomicU64,
    told: AtomicU64,
    next_ms: AtomicU64,
}

impl Faults {
    /// Counts one at this time; how many there were since one was said, where this one is to be said.
    pub fn add(&self, now_ms: u64) -> Option<u64> {
        let all = self.all.fetch_add(1, Relaxed) + 1;
        let next_ms = self.next_ms.load(Relaxed);
        let due = now_ms >= next_ms;
        // Of several threads at once the first one says it.
        let mine =
            due && self.next_ms.compare_exchange(next_ms, now_ms + FAULTS_TOLD_EVERY_MS, Relaxed, Relaxed).is_ok();
        mine.then(|| all.saturating_sub(self.told.swap(all, Relaxed)))
    }

    /// How many there were in all.
    pub fn all(&self) -> u64 {
        self.all.load(Relaxed)
    }
}

impl Meters {
    /// The meters of a mode, made on first use.
    pub fn mode(&self, name: &Arc<str>) -> Arc<ModeMeters> {
        self.modes.entry(name.clone()).or_default().clone()
    }

    /// Every mode that had a match, by name.
    pub fn modes(&self) -> Vec<(Arc<str>, Arc<ModeMeters>)> {
        let mut modes: Vec<_> = self.modes.iter().map(|row| (row.key().clone(), row.value().clone())).collect();
        modes.sort_by(|a, b| a.0.cmp(&b.0));
        modes
    }

    /// How exact the ticks of a mode's finished matches were; `None` before the first of them.
    pub fn period_error(&self, mode: &Arc<str>) -> Option<PeriodError> {
        let (matches, sum_ppb) = *self.mode(mode).period_error.lock();
        (matches > 0).then(|| PeriodError { matches, mean_percent: sum_ppb as f64 / matches as f64 / 10_000_000.0 })
    }

    /// Says how many tickets of a mode wait now.
    pub fn set_tickets_waiting(&self, mode: &Arc<str>, waiting: usize) {
        match self.tickets_waiting.get_mut(mode) {
            Some(mut known) => *known = waiting as u64,
            None => drop(self.tickets_waiting.insert(mode.clone(), waiting as u64)),
        }
    }

    /// How many tickets of each mode wait, by name.
    pub fn tickets_waiting(&self) -> Vec<(Arc<str>, u64)> {
        let mut waiting: Vec<_> = self.tickets_waiting.iter().map(|row| (row.key().clone(), *row.value())).collect();
        waiting.sort_by(|a, b| a.0.cmp(&b.0));
        waiting
    }

    /// Counts a refusal.
    pub fn refused(&self, code: &'static str) {
        self.refusals.entry(code).or_default().fetch_add(1, Relaxed);
    }
}
