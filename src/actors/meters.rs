//! What the server knows about itself: lateness, work and counts per mode, from the first tick on.
//! Labels are modes and codes, never a player or a match.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dashmap::DashMap;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

/// Longest duration a histogram tells apart, in microseconds: a minute.
const DURATION_US_MAX: u64 = 60_000_000;

/// A histogram of durations in microseconds, three significant digits.
#[derive(Debug)]
pub struct Durations(Mutex<Histogram<u64>>);

impl Default for Durations {
    fn default() -> Self {
        Self(Mutex::new(Histogram::new_with_bounds(1, DURATION_US_MAX, 3).expect("constant bounds are valid")))
    }
}

impl Durations {
    /// One significant digit up to ten seconds: small enough to have one per match.
    pub fn coarse() -> Self {
        Self(Mutex::new(Histogram::new_with_bounds(1, 10_000_000, 1).expect("constant bounds are valid")))
    }

    /// Notes one duration; longer than a minute counts as a minute.
    pub fn record(&self, us: u64) {
        self.0.lock().saturating_record(us.max(1));
    }

    /// What was seen so far.
    pub fn summary(&self) -> Summary {
        Self::summary_of(&self.0.lock())
    }

    fn summary_of(seen: &Histogram<u64>) -> Summary {
        Summary {
            count: seen.len(),
            p50_us: seen.value_at_quantile(0.5),
            p99_us: seen.value_at_quantile(0.99),
            p999_us: seen.value_at_quantile(0.999),
            max_us: seen.max(),
        }
    }

    /// What was seen since the last time this was asked.
    pub fn take(&self) -> Summary {
        let mut seen = self.0.lock();
        let summary = Self::summary_of(&seen);
        seen.reset();
        summary
    }

    /// A copy, for whoever wants other quantiles.
    pub fn histogram(&self) -> Histogram<u64> {
        self.0.lock().clone()
    }
}

/// A histogram in five numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many durations.
    pub count: u64,
    /// Median, microseconds.
    pub p50_us: u64,
    /// 99th percentile, microseconds.
    pub p99_us: u64,
    /// 99.9th percentile, microseconds.
    pub p999_us: u64,
    /// Longest, microseconds.
    pub max_us: u64,
}

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
}

/// How far the mean tick period of finished matches was off what it should have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct PeriodError {
    /// Matches that were looked at.
    pub matches: u64,
    /// Mean over them of |mean period / asked period - 1|, in percent.
    pub mean_percent: f64,
}

/// Every meter of the server.
#[derive(Debug, Default)]
pub struct Meters {
    modes: DashMap<Arc<str>, Arc<ModeMeters>>,
    /// Lateness of all modes since the watch over the load looked last.
    pub recent: Durations,
    /// Refusals by reason word.
    pub refusals: DashMap<&'static str, AtomicU64>,
    /// Time from the ticket to the seat.
    pub queue_wait: Durations,
    /// Votes opened.
    pub votes_opened: AtomicU64,
    /// Votes closed, whatever their status.
    pub votes_closed: AtomicU64,
    /// Votes that died.
    pub votes_died: AtomicU64,
    /// Messages that found a mailbox full or closed where nobody could be told.
    pub tells_lost: AtomicU64,
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

    /// Counts a refusal.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.entry(reason).or_default().fetch_add(1, Relaxed);
    }
}
