//! What a round notes while it runs: latencies inside the measured window, and what was sent, answered and refused.
//! Shared by the clients of one thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::figures::Distribution;

/// The longest duration that is told apart from longer ones: a minute, in nanoseconds.
const DURATION_NS_MAX: u64 = 60_000_000_000;

/// Into how many slots the measured time is cut to show how a latency went.
const SLOTS: u32 = 60;

/// The shortest slot: in less, a percentile means nothing.
const SLOT_MIN: Duration = Duration::from_millis(100);

/// The board of one round.
pub struct Board {
    from: Instant,
    until: Instant,
    /// Messages sent inside the window.
    pub sent: Cell<u64>,
    /// Those of any time that were answered as they should be, for whoever watches.
    pub answered_ever: Cell<u64>,
    /// Answers inside the window.
    pub answered: Cell<u64>,
    refused: RefCell<BTreeMap<String, u64>>,
}

impl Board {
    /// A board whose window opens after `warm_up` and stays open for `measured`.
    pub fn new(warm_up: Duration, measured: Duration) -> Rc<Self> {
        let from = Instant::now() + warm_up;
        Rc::new(Self {
            from,
            until: from + measured,
            sent: Cell::new(0),
            answered_ever: Cell::new(0),
            answered: Cell::new(0),
            refused: RefCell::default(),
        })
    }

    /// When the window opens.
    pub fn from(&self) -> Instant {
        self.from
    }

    /// When it closes.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Whether a moment is inside the window.
    pub fn sees(&self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }

    /// Notes that `count` messages were sent at `at`.
    pub fn sent(&self, at: Instant, count: u64) {
        if self.sees(at) {
            self.sent.set(self.sent.get() + count);
        }
    }

    /// Notes that `count` of them were answered at `at` as they should be.
    pub fn answered(&self, at: Instant, count: u64) {
        self.answered_ever.set(self.answered_ever.get() + count);
        if self.sees(at) {
            self.answered.set(self.answered.get() + count);
        }
    }

    /// Notes a refusal, inside the window or not: `code` is the server's own word, or `closed:CODE`, `http:STATUS`,
    /// `unanswered`, `wrong_answer` for what has none.
    pub fn refused(&self, code: &str) {
        let mut refused = self.refused.borrow_mut();
        match refused.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(refused.insert(code.to_owned(), 1)),
        }
    }

    /// Takes over the refusals of another board: those of whoever did not get in.
    pub fn carry(&self, other: &Self) {
        let mut refused = self.refused.borrow_mut();
        for (code, count) in other.refused.borrow().iter() {
            *refused.entry(code.clone()).or_default() += count;
        }
    }

    /// How many refusals there were, and of which code.
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        self.refused.borrow().clone()
    }

    /// A recorder for latencies of this window.
    pub fn recorder(self: &Rc<Self>, name: &'static str) -> Recorder {
        let measured = self.until - self.from;
        let slot = (measured / SLOTS).max(SLOT_MIN);
        let slots = measured.as_nanos().div_ceil(slot.as_nanos()).max(1) as usize;
        Recorder(Rc::new(Recording {
            name,
            board: self.clone(),
            slot,
            all: RefCell::new(histogram(3)),
            slots: RefCell::new(vec![histogram(2); slots]),
        }))
    }
}

fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, DURATION_NS_MAX, digits).expect("constant bounds are valid")
}

/// A latency by name: a histogram of the whole window, and one per slot of it. Clone it freely.
#[derive(Clone)]
pub struct Recorder(Rc<Recording>);

struct Recording {
    name: &'static str,
    board: Rc<Board>,
    slot: Duration,
    all: RefCell<Histogram<u64>>,
    slots: RefCell<Vec<Histogram<u64>>>,
}

impl Recorder {
    /// Notes what took `took` and belongs to the moment `at`, if the window sees that. Longer than a minute counts as a
    /// minute.
    pub fn record(&self, at: Instant, took: Duration) {
        if !self.0.board.sees(at) {
            return;
        }
        let ns = took.as_nanos().min(u128::from(DURATION_NS_MAX)) as u64;
        self.0.all.borrow_mut().saturating_record(ns.max(1));
        let slot = (at - self.0.board.from).as_nanos() / self.0.slot.as_nanos();
        if let Some(slot) = self.0.slots.borrow_mut().get_mut(slot as usize) {
            slot.saturating_record(ns.max(1));
        }
    }

    /// The 99th percentile so far, for whoever watches.
    pub fn p99(&self) -> Duration {
        Duration::from_nanos(self.0.all.borrow().value_at_quantile(0.99))
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.0.all.borrow().is_empty()
    }

    /// What was noted.
    pub fn distribution(&self) -> Distribution {
        let slots = self.0.slots.borrow();
        let over_time = slots.iter().enumerate().filter(|(_, slot)| !slot.is_empty()).map(|(n, slot)| {
            let at_s = self.0.slot.as_secs_f64() * (n as f64 + 0.5);
            let us = |q| slot.value_at_quantile(q) as f64 / 1e3;
            [at_s, us(0.5), us(0.99), slot.max() as f64 / 1e3]
        });
        Distribution {
            name: self.0.name.to_owned(),
            histogram: self.0.all.borrow().clone(),
            over_time: over_time.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_window_is_noted_but_every_refusal() {
        let board = Board::new(Duration::from_secs(1), Duration::from_secs(2));
        let recorder = board.recorder("round trip");
        let at = |ms: u64| board.from() - Duration::from_secs(1) + Duration::from_millis(ms);
        for ms in [0, 999, 1_000, 2_999, 3_000] {
            board.sent(at(ms), 1);
            board.answered(at(ms), 1);
            board.refused("rate_limited");
            recorder.record(at(ms), Duration::from_micros(ms));
        }
        assert_eq!((board.sent.get(), board.answered.get(), board.answered_ever.get()), (2, 2, 5));
        assert_eq!(board.refusals(), BTreeMap::from([("rate_limited".to_owned(), 5)]));
        let seen = recorder.distribution();
        assert_eq!(seen.histogram.len(), 2);
        assert_eq!(seen.over_time.len(), 2, "the first slot and the last");
    }
}
