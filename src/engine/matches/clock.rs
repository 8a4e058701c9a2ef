//! When ticks are due. Tick `n` is due at `t0 + n/hz`, whatever happened before: a late match catches up a little and
//! skips the rest, it never drifts and never spirals.

use crate::limits::CATCH_UP_TICKS_MAX;

const US_PER_S: u128 = 1_000_000;

/// The deadlines of one match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickClock {
    hz: u32,
    t0_us: u64,
    next: u64,
    skipped: u64,
}

/// What [`TickClock::due`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Ticks to run now, at most [`CATCH_UP_TICKS_MAX`].
    pub run: u32,
    /// Ticks that were given up for good.
    pub skipped: u64,
    /// When the first of them was due, in monotonic microseconds; lateness is measured from here.
    pub scheduled_us: u64,
}

impl TickClock {
    /// A clock of `hz` (1 to 128) whose tick 0 is due at `t0_us`, monotonic microseconds.
    pub fn new(hz: u32, t0_us: u64) -> Self {
        Self { hz: hz.max(1), t0_us, next: 0, skipped: 0 }
    }

    /// When deadline `n` is, in monotonic microseconds, rounded down.
    pub fn deadline_us(&self, n: u64) -> u64 {
        self.t0_us + (u128::from(n) * US_PER_S / u128::from(self.hz)) as u64
    }

    /// When the next tick is due.
    pub fn next_us(&self) -> u64 {
        self.deadline_us(self.next)
    }

    /// Takes every tick due by `now_us`; `None` when there is none yet.
    pub fn due(&mut self, now_us: u64) -> Option<Due> {
        let scheduled_us = self.next_us();
        if now_us < scheduled_us {
            return None;
        }
        let mut passed = (u128::from(now_us - self.t0_us) * u128::from(self.hz) / US_PER_S) as u64 + 1;
        // Rounding down a deadline may put it one microsecond before its exact place; it is due all the same.
        passed = passed.max(self.next + 1);
        let waiting = passed - self.next;
        let run = waiting.min(u64::from(CATCH_UP_TICKS_MAX)) as u32;
        let skipped = waiting - u64::from(run);
        self.next = passed;
        self.skipped += skipped;
        Some(Due { run, skipped, scheduled_us })
    }

    /// Goes on after a pause with the first deadline of the old raster that is not before `now_us`: the phase slot is
    /// kept and the time spent paused is nobody's lateness.
    pub fn resume(&mut self, now_us: u64) {
        while self.next_us() < now_us {
            let behind = u128::from(now_us - self.next_us());
            self.next += ((behind * u128::from(self.hz) / US_PER_S) as u64).max(1);
        }
    }

    /// Ticks given up since the beginning.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// One tick in microseconds, rounded down.
    pub fn period_us(&self) -> u64 {
        (US_PER_S / u128::from(self.hz)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tick_n_is_due_at_t0_plus_n_over_hz() {
        let clock = TickClock::new(60, 1_000);
        for (n, at) in [(0, 1_000), (1, 17_666), (2, 34_333), (3, 51_000), (60, 1_001_000), (216_000, 3_600_001_000)] {
            assert_eq!(clock.deadline_us(n), at, "tick {n}");
        }
    }

    #[test]
    fn every_deadline_runs_exactly_one_tick_for_an_hour() {
        for hz in [1, 3, 7, 30, 60, 64, 127, 128] {
            let mut clock = TickClock::new(hz, 77);
            for n in 0..u64::from(hz) * 3600 {
                let at = clock.deadline_us(n);
                assert_eq!(clock.next_us(), at);
                assert_eq!(clock.due(at), Some(Due { run: 1, skipped: 0, scheduled_us: at }), "{hz} Hz tick {n}");
                assert_eq!(clock.due(at), None, "{hz} Hz tick {n} twice");
            }
        }
    }

    #[test]
    fn late_matches_catch_up_a_little_and_skip_the_rest() {
        // (how late in microseconds at 10 Hz, ticks run, ticks skipped)
        for (late, run, skipped) in [(0, 1, 0), (99_999, 1, 0), (100_000, 2, 0), (350_000, 4, 0), (1_000_000, 4, 7)] {
            let mut clock = TickClock::new(10, 0);
            let due = clock.due(late).unwrap();
            assert_eq!((due.run, due.skipped), (run, skipped), "{late} us late");
            assert_eq!(clock.skipped(), skipped);
            assert_eq!(clock.next_us() % 100_000, 0, "the raster never moves");
            assert!(clock.next_us() > late);
        }
    }

    #[test]
    fn a_pause_is_not_lateness_and_keeps_the_raster() {
        let mut clock = TickClock::new(10, 5_000);
        clock.due(5_000).unwrap();
        clock.resume(1_234_567);
        assert_eq!(clock.next_us(), 1_305_000);
        assert_eq!(clock.skipped(), 0);
        let mut early = TickClock::new(10, 5_000);
        early.resume(1_000);
        assert_eq!(early.next_us(), 5_000);
    }
}
