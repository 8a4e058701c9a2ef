//! The processor time of one match: what it has at once, and how it comes back.

use std::cell::Cell;
use std::time::Instant;

use super::budget::Allowance;

/// In how much time an empty purse is full again, by each of the two clocks: a match that uses up all it gets has a
/// quarter of a core.
pub(super) const REFILL_US: u64 = 100_000;

/// What a full purse holds: half of what a match may make its neighbours late.
pub(super) fn purse_us(allowance: Allowance) -> u64 {
    allowance.cpu_us / 2
}

/// The processor time that a match has left. It fills up with the match's time and with the world's, whichever moves:
/// a match that is late runs several ticks at once, one that waits for players does not tick at all, and both have to
/// make do with what passes.
pub(super) struct Purse {
    pub(super) full_us: i64,
    left_ns: Cell<i64>,
    filled: Cell<(Instant, u64)>,
}

impl Purse {
    pub(super) fn new(full_us: u64) -> Self {
        let full_us = i64::try_from(full_us.max(1)).unwrap_or(i64::MAX).min(i64::MAX / 2_000);
        Self { full_us, left_ns: Cell::new(full_us * 1_000), filled: Cell::new((Instant::now(), 0)) }
    }

    pub(super) fn fill(&self, now: Instant, match_us: u64) {
        let (then, then_us) = self.filled.get();
        let passed_us = now.duration_since(then).as_micros() as u64 + match_us.saturating_sub(then_us);
        let more = i128::from(self.full_us) * 1_000 * i128::from(passed_us) / i128::from(REFILL_US);
        if passed_us > 0 {
            self.filled.set((now, match_us));
            let left = i128::from(self.left_ns.get()) + more;
            self.left_ns.set(left.min(i128::from(self.full_us) * 1_000) as i64);
        }
    }

    /// What there is to spend; nothing while it pays back what the last step took beyond it.
    pub(super) fn left_us(&self) -> u64 {
        u64::try_from(self.left_ns.get() / 1_000).unwrap_or(0)
    }

    pub(super) fn spend(&self, us: u64) {
        self.left_ns.set(self.left_ns.get().saturating_sub_unsigned(us.saturating_mul(1_000)));
    }

    /// Full from now on, at the beginning of the match's time.
    pub(super) fn refill(&self) {
        self.left_ns.set(self.full_us * 1_000);
        self.filled.set((Instant::now(), 0));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_purse_fills_with_time_and_pays_its_debts_first() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let purse = Purse::new(12_000);
        purse.filled.set((began, 0));
        purse.fill(at(500), 0);
        assert_eq!(purse.left_us(), 12_000, "no more than it holds");
        purse.spend(15_000);
        assert_eq!(purse.left_us(), 0);
        purse.fill(at(510), 0);
        assert_eq!(purse.left_us(), 0, "1,200 more, and still in debt");
        purse.fill(at(510), 20_000);
        assert_eq!(purse.left_us(), 600, "the match's time counts as well");
        // A look every microsecond does not stop it from filling.
        for us in 1..=50_000u64 {
            purse.fill(at(510) + Duration::from_micros(us), 20_000);
        }
        assert!((6_500..=6_600).contains(&purse.left_us()), "{}", purse.left_us());
    }
}
