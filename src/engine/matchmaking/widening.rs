//! How a skill window widens: in whole seconds of waiting, so that "when could this ticket be matched next" has an
//! exact answer and the pool sleeps until then.

use super::ticket::THOUSANDTHS;

/// A window of skill and how it grows, in thousandths of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Widening {
    base: i64,
    per_s: i64,
    max: i64,
}

impl Widening {
    /// From points; a `max` below the first window means that it never widens.
    pub(crate) fn new(base: u32, per_s: u32, max: u32) -> Self {
        let milli = |points: u32| i64::from(points) * THOUSANDTHS;
        Self { base: milli(base), per_s: milli(per_s), max: milli(max.max(base)) }
    }

    /// The window after so many milliseconds.
    pub(crate) fn window(&self, waited_ms: u64) -> i64 {
        let seconds = i64::try_from(waited_ms / 1_000).unwrap_or(i64::MAX);
        self.per_s.saturating_mul(seconds).saturating_add(self.base).min(self.max)
    }

    /// After how many milliseconds of waiting it widens next; `None` once it is as wide as it becomes.
    pub(crate) fn next_step_ms(&self, waited_ms: u64) -> Option<u64> {
        (self.per_s > 0 && self.window(waited_ms) < self.max).then(|| (waited_ms / 1_000 + 1) * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_widen_by_whole_seconds_up_to_their_bound() {
        let check = |base, per_s, max, expected: &[(u64, i64, Option<u64>)]| {
            let widening = Widening::new(base, per_s, max);
            for &(waited_ms, points, next) in expected {
                assert_eq!(widening.window(waited_ms), points * 1_000, "window after {waited_ms} ms");
                assert_eq!(widening.next_step_ms(waited_ms), next, "next step after {waited_ms} ms");
            }
        };
        check(
            100,
            20,
            150,
            &[
                (0, 100, Some(1_000)),
                (999, 100, Some(1_000)),
                (1_000, 120, Some(2_000)),
                (2_500, 140, Some(3_000)),
                (3_000, 150, None),
                (u64::MAX, 150, None),
            ],
        );
        check(100, 0, 600, &[(0, 100, None), (60_000, 100, None)]);
        check(100, 20, 50, &[(0, 100, None), (60_000, 100, None)]);
    }
}
