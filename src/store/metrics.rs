//! What the store tells about itself: how long writes and reads took from call to completion, how much is waiting,
//! what was refused and what failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::durations::{Buckets, Durations, Summary};

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
    /// The same as counts up to fixed bounds.
    pub buckets: Buckets,
}

/// One latency distribution being filled.
pub(super) struct Latency(Durations);

impl Latency {
    fn new() -> Self {
        // Two digits are plenty for a latency and keep the table at some tens of KiB.
        Self(Durations::two_digits())
    }

    pub(super) fn record(&self, took: Duration) {
        self.0.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    fn stats(&self) -> LatencyStats {
        let Summary { count, p50_us, p99_us, max_us, .. } = self.0.summary();
        LatencyStats { count, p50_us, p99_us, max_us, buckets: self.0.buckets() }
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
