//! How long things took: a histogram for quantiles, and beside it counts up to fixed bounds, which is what can be added
//! up over servers and over time. It knows nobody, so every floor may keep one.

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

/// Bounds of the counts, in microseconds: from a tick that is exact to a ticket that waited a minute, three to a decade.
pub const BOUNDS_US: [u64; 21] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Longest duration a histogram tells apart, in microseconds: a minute.
const DURATION_US_MAX: u64 = 60_000_000;

/// Durations in microseconds, as they come.
#[derive(Debug)]
pub struct Durations(Mutex<Seen>);

/// Both under one lock: whoever reads them reads the same durations.
#[derive(Debug)]
struct Seen {
    histogram: Histogram<u64>,
    counts: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Default for Durations {
    fn default() -> Self {
        Self::of(DURATION_US_MAX, 3)
    }
}

impl Durations {
    fn of(us_max: u64, digits: u8) -> Self {
        let histogram = Histogram::new_with_bounds(1, us_max, digits).expect("constant bounds are valid");
        Self(Mutex::new(Seen { histogram, counts: [0; BOUNDS_US.len() + 1], sum_us: 0 }))
    }

    /// Two significant digits up to a minute: some tens of KiB.
    pub fn two_digits() -> Self {
        Self::of(DURATION_US_MAX, 2)
    }

    /// One significant digit up to ten seconds: small enough to have one per match.
    pub fn coarse() -> Self {
        Self::of(10_000_000, 1)
    }

    /// Notes one duration; to a quantile, longer than a minute is a minute.
    pub fn record(&self, us: u64) {
        let place = BOUNDS_US.partition_point(|bound| *bound < us);
        let mut seen = self.0.lock();
        seen.histogram.saturating_record(us.max(1));
        seen.counts[place] += 1;
        seen.sum_us = seen.sum_us.saturating_add(us);
    }

    /// What was seen so far.
    pub fn summary(&self) -> Summary {
        summary_of(&self.0.lock().histogram)
    }

    /// What was seen since the last time this was asked.
    pub fn take(&self) -> Summary {
        let mut seen = self.0.lock();
        if seen.histogram.is_empty() {
            // Asked for many times a second, also where nothing plays.
            return Summary::default();
        }
        let summary = summary_of(&seen.histogram);
        seen.histogram.reset();
        (seen.counts, seen.sum_us) = Default::default();
        summary
    }

    /// The same as counts up to [`BOUNDS_US`].
    pub fn buckets(&self) -> Buckets {
        let seen = self.0.lock();
        Buckets { counts: seen.counts, sum_us: seen.sum_us }
    }
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

/// How many durations lie within each of [`BOUNDS_US`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buckets {
    counts: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Buckets {
    /// Every bound in microseconds, and how many durations were no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        BOUNDS_US.iter().zip(self.counts).map(move |(bound, count)| {
            sum += count;
            (*bound, sum)
        })
    }

    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_up_to_the_first_bound_that_it_does_not_pass() {
        let seen = Durations::default();
        for us in [0, 10, 11, 1_000, 60_000_000, 61_000_000] {
            seen.record(us);
        }
        let buckets = seen.buckets();
        let up_to: std::collections::BTreeMap<u64, u64> = buckets.cumulative().collect();
        assert_eq!([10, 25, 500, 1_000, 30_000_000, 60_000_000].map(|bound| up_to[&bound]), [2, 3, 3, 4, 4, 5]);
        assert_eq!((buckets.count(), buckets.sum_us()), (6, 121_001_021), "the longest is beyond every bound");
        assert_eq!(seen.summary().count, 6);
        assert!(BOUNDS_US.is_sorted());
    }

    #[test]
    fn quantiles_are_of_what_was_recorded() {
        let seen = Durations::coarse();
        (1..=100).for_each(|ms| seen.record(ms * 1_000));
        let Summary { count, p50_us, p99_us, max_us, .. } = seen.summary();
        assert_eq!(count, 100);
        let about = |us: u64, ms: u64| us >= ms * 1_000 && us <= ms * 1_070;
        assert!(about(p50_us, 50) && about(p99_us, 99) && about(max_us, 100), "{:?}", seen.summary());
        assert_eq!((seen.take().count, seen.take(), seen.buckets()), (100, Summary::default(), Buckets::default()));
    }
}
