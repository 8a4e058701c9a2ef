//! What a script may have stored: rows that outlive its match share one writer with everybody's accounts, so each kind
//! has a bucket. Buckets fill with the match's own time: a replay refuses what the first time refused.

use std::cell::Cell;

use crate::limits::scripts::{
    SCRIPT_LINES_BURST, SCRIPT_LINES_PER_S, SCRIPT_NOTICES_BURST, SCRIPT_NOTICES_PER_S, SCRIPT_VALUES_BURST,
    SCRIPT_VALUES_PER_S,
};

/// A kind of row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// Notifications, one for each who is notified.
    Notice,
    /// Lines of chat.
    Line,
    /// Stored values.
    Value,
}

/// The buckets of one match.
#[derive(Debug, Default)]
pub(super) struct Rations([Bucket; 3]);

impl Rations {
    /// Takes so many rows at this time of the match, or says why not.
    pub(super) fn take(&self, row: Row, count: usize, now_us: u64) -> Result<(), String> {
        let (burst, per_s, what) = match row {
            Row::Notice => (SCRIPT_NOTICES_BURST, SCRIPT_NOTICES_PER_S, "notifications"),
            Row::Line => (SCRIPT_LINES_BURST, SCRIPT_LINES_PER_S, "lines of chat"),
            Row::Value => (SCRIPT_VALUES_BURST, SCRIPT_VALUES_PER_S, "stored values"),
        };
        if self.0[row as usize].take(count as u64, burst, per_s, now_us) {
            return Ok(());
        }
        Err(format!("a match has {per_s} {what} a second and {burst} at once, and this is over that"))
    }
}

/// A bucket that is full at the beginning: what was taken of it, in millionths, as of a time.
#[derive(Debug, Default)]
struct Bucket(Cell<(u64, u64)>);

impl Bucket {
    fn take(&self, count: u64, burst: u32, per_s: u32, now_us: u64) -> bool {
        let (taken, at_us) = self.0.get();
        let back = now_us.saturating_sub(at_us).saturating_mul(u64::from(per_s));
        let taken = taken.saturating_sub(back);
        let wanted = taken.saturating_add(count.saturating_mul(1_000_000));
        let room = wanted <= u64::from(burst) * 1_000_000;
        self.0.set((if room { wanted } else { taken }, now_us.max(at_us)));
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let bucket = Bucket::default();
        let mut given = Vec::new();
        for (now_s, tries) in [(0, 10), (0, 10), (1, 10), (3, 10), (1_000, 10), (999, 1)] {
            given.push((0..tries).filter(|_| bucket.take(1, 5, 2, now_s * 1_000_000)).count());
        }
        assert_eq!(given, [5, 0, 2, 4, 5, 0]);
        assert!(!Bucket::default().take(6, 5, 2, 0) && Bucket::default().take(5, 5, 2, 0));
    }
}
