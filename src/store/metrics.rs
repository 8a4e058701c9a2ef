//! What the store tells about itself: how long writes and reads took from call to completion, how much is waiting,
//! what was refused and what failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Longest latency told apart, in microseconds: a minute. Longer ones count as that.
const LATENCY_US_MAX: u64 = 60_000_000;

/// What the store has been doing since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Writes, from call to completion (which is after the fsync).
    pub writes: LatencyStats,
    /// Reads, from call to completion.
    pub reads: LatencyStats,
    /// Transactions committed: `writes.count / commits` is the mean batch.
    pub commits: u64,
    /// Calls waiting or running right now.
    pub queue_len: u64,
    /// Calls refused because the queue was full.
    pub busy: u64,
    /// Calls that failed.
    pub errors: u64,
}

/// A latency distribution in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatencyStats {
    /// How many.
    pub count: u64,
    /// Half were faster.
    pub p50_us: u64,
    /// 99 of 100 were faster.
    pub p99_us: u64,
    /// The slowest.
    pub max_us: u64,
}

/// One latency distribution being filled.
pub(super) struct Latency(Mutex<Histogram<u64>>);

impl Latency {
    fn new() -> Self {
        // Two digits are plenty for a latency and keep the table at some tens of KiB.
        Self(Mutex::new(Histogram::new_with_max(LATENCY_US_MAX, 2).expect("1 <= bound and 0 <= digits <= 5")))
    }

    pub(super) fn record(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.lock().saturating_record(took_us);
    }

    fn stats(&self) -> LatencyStats {
        let histogram = self.0.lock();
        LatencyStats {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}

/// The counters behind [`StoreStats`], shared by callers and threads.
pub(super) struct Metrics {
    pub(super) writes: Latency,
    pub(super) reads: Latency,
    pub(super) commits: AtomicU64,
    pub(super) queue_len: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) errors: AtomicU64,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            writes: Latency::new(),
            reads: Latency::new(),
            commits: AtomicU64::new(0),
            queue_len: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    pub(super) fn stats(&self) -> StoreStats {
        StoreStats {
            writes: self.writes.stats(),
            reads: self.reads.stats(),
            commits: self.commits.load(Ordering::Relaxed),
            queue_len: self.queue_len.load(Ordering::Relaxed),
            busy: self.busy.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}
