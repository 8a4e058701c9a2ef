//! One tally for a burst of ballots: the first after quiet is told at once, then at most one per interval.

/// The least time between two tallies of one vote. A client redraws at most this often anyway, and with 256 voters a
/// tally per ballot is 65 times the deliveries.
pub const TALLY_INTERVAL_MS: u64 = 100;

/// When the next tally is due.
#[derive(Debug, Clone, Default)]
pub struct Coalesce {
    told_ms: Option<u64>,
    news: bool,
}

impl Coalesce {
    /// A ballot came: whether to tell now. If not, [`Self::due`] will say so later.
    pub fn ballot(&mut self, now_ms: u64) -> bool {
        self.news = true;
        self.due(now_ms)
    }

    /// Whether something untold may be told now; telling is up to the caller, once.
    pub fn due(&mut self, now_ms: u64) -> bool {
        let due = self.next_ms().is_some_and(|at| now_ms >= at);
        if due {
            self.told_ms = Some(now_ms);
            self.news = false;
        }
        due
    }

    /// When the next tally is due; `None` when nothing new is to be told.
    pub fn next_ms(&self) -> Option<u64> {
        self.news.then(|| self.told_ms.map_or(0, |told| told + TALLY_INTERVAL_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_after_quiet_at_once_then_one_per_interval() {
        let mut tally = Coalesce::default();
        // (ballot at, told at once, next due)
        for (at, told, next) in
            [(1_000, true, None), (1_001, false, Some(1_100)), (1_050, false, Some(1_100)), (1_100, true, None)]
        {
            assert_eq!((tally.ballot(at), tally.next_ms()), (told, next), "at {at}");
        }
        assert!(!tally.due(1_150), "nothing new");
        assert!(!tally.ballot(1_199));
        assert!(!tally.due(1_199) && tally.due(1_200) && !tally.due(1_200));
        assert!(tally.ballot(5_000), "quiet for long: at once");
    }
}
