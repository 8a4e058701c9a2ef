//! How much longer: from how long those waited who were matched lately.

use std::collections::VecDeque;

/// Waits remembered.
const REMEMBERED: usize = 128;

/// The recent waits of a pool.
#[derive(Debug, Default)]
pub(super) struct Waits {
    recent_ms: VecDeque<u64>,
    /// The same, ascending: thousands of tickets ask at once.
    sorted_ms: Vec<u64>,
}

impl Waits {
    /// A ticket was matched after so many milliseconds.
    pub(super) fn matched_after(&mut self, waited_ms: u64) {
        if self.recent_ms.len() == REMEMBERED
            && let Some(oldest) = self.recent_ms.pop_front()
        {
            self.sorted_ms.remove(self.sorted_ms.partition_point(|&wait| wait < oldest));
        }
        self.recent_ms.push_back(waited_ms);
        self.sorted_ms.insert(self.sorted_ms.partition_point(|&wait| wait < waited_ms), waited_ms);
    }

    /// Of the recent waits that lasted at least as long as this one has so far, the median, less what has passed: a
    /// ticket that has outwaited most is compared with those that did too. `None` when nobody did.
    pub(super) fn remaining_ms(&self, waited_ms: u64) -> Option<u64> {
        let longer = &self.sorted_ms[self.sorted_ms.partition_point(|&wait| wait < waited_ms)..];
        longer.get(longer.len() / 2).map(|median| median - waited_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_compares_with_those_who_waited_as_long() {
        let mut waits = Waits::default();
        assert_eq!(waits.remaining_ms(0), None, "nobody was matched yet");
        for wait in [10_000, 2_000, 3_000, 1_000, 50_000] {
            waits.matched_after(wait);
        }
        assert_eq!(waits.remaining_ms(0), Some(3_000));
        assert_eq!(waits.remaining_ms(2_500), Some(7_500));
        assert_eq!(waits.remaining_ms(50_000), Some(0));
        assert_eq!(waits.remaining_ms(50_001), None);
        for _ in 0..REMEMBERED {
            waits.matched_after(5);
        }
        assert_eq!(waits.remaining_ms(0), Some(5));
        assert_eq!(waits.remaining_ms(6), None, "old waits are forgotten");
    }
}
