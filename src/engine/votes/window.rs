//! When a vote takes ballots and when it closes: one clock that only moves forward, stands still while the match is
//! paused, and is shortened at most once.
//!
//! Milliseconds here are of the caller's monotonic clock. A window is open until its deadline, closing until the grace
//! is over (a ballot that the server *received* by then still counts), and closed after. A window that closes early,
//! because everybody has voted, has no grace: nobody is left who could use it.

use super::config::{VoteConfig, WindowType};

/// What is left of an adaptive window once the leader has the supermajority.
pub const ADAPTIVE_SHRINK_MS: u64 = 3_000;

/// How long after the grace a closing vote waits for ballots that were received in time and are still on their way
/// through the server.
pub const IN_FLIGHT_MS: u64 = 20;

/// Where a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the deadline.
    Open,
    /// Past the deadline, within the grace.
    Closing,
    /// Over: nothing counts any more.
    Over,
}

/// A vote's clock.
#[derive(Debug, Clone)]
pub struct Window {
    kind: WindowType,
    deadline_ms: u64,
    /// The earliest early close.
    earliest_ms: u64,
    grace_ms: u64,
    shrunk: bool,
    paused_at_ms: Option<u64>,
}

impl Window {
    /// A window that opens at `now_ms` by the rules of `config`.
    pub fn open(config: &VoteConfig, now_ms: u64) -> Self {
        let earliest = if config.window_type == WindowType::Hybrid { config.min_window_ms } else { 0 };
        Self {
            kind: config.window_type,
            deadline_ms: now_ms.saturating_add(config.window_ms),
            earliest_ms: now_ms.saturating_add(earliest),
            grace_ms: config.grace_ms,
            shrunk: false,
            paused_at_ms: None,
        }
    }

    /// The deadline; it stands still with the clock while paused.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Time to the deadline, 0 after it.
    pub fn remaining_ms(&self, now_ms: u64) -> u64 {
        self.deadline_ms.saturating_sub(self.clock(now_ms))
    }

    /// Where the window is at `now_ms`.
    pub fn phase(&self, now_ms: u64) -> Phase {
        let now = self.clock(now_ms);
        if now < self.deadline_ms {
            Phase::Open
        } else if now < self.last_ms() {
            Phase::Closing
        } else {
            Phase::Over
        }
    }

    /// Whether a ballot that was received at `received_ms` counts.
    pub fn takes(&self, received_ms: u64) -> bool {
        received_ms < self.last_ms()
    }

    /// Whether the window is over at `now_ms` and every ballot received in time has had time to arrive.
    pub fn over(&self, now_ms: u64) -> bool {
        self.paused_at_ms.is_none() && now_ms >= self.last_ms().saturating_add(IN_FLIGHT_MS)
    }

    /// Whether it may close early at `now_ms`, given whether everybody present has voted.
    pub fn may_close_early(&self, everyone_voted: bool, now_ms: u64) -> bool {
        everyone_voted
            && matches!(self.kind, WindowType::ReadyUp | WindowType::Hybrid)
            && self.paused_at_ms.is_none()
            && now_ms >= self.earliest_ms
    }

    /// When to look again, given whether everybody present has voted: never while paused.
    pub fn next_ms(&self, everyone_voted: bool) -> Option<u64> {
        if self.paused_at_ms.is_some() {
            return None;
        }
        let over = self.last_ms().saturating_add(IN_FLIGHT_MS);
        let early = everyone_voted && matches!(self.kind, WindowType::ReadyUp | WindowType::Hybrid);
        Some(if early { over.min(self.earliest_ms) } else { over })
    }

    /// Shortens an adaptive window to [`ADAPTIVE_SHRINK_MS`] from `now_ms`, once, and never lengthens it. Whether the
    /// deadline moved.
    pub fn shrink(&mut self, now_ms: u64) -> bool {
        if self.kind != WindowType::Adaptive || self.shrunk || self.paused_at_ms.is_some() {
            return false;
        }
        self.shrunk = true;
        let sooner = now_ms.saturating_add(ADAPTIVE_SHRINK_MS);
        if sooner >= self.deadline_ms {
            return false;
        }
        self.deadline_ms = sooner;
        true
    }

    /// Whether the clock stands still.
    pub fn paused(&self) -> bool {
        self.paused_at_ms.is_some()
    }

    /// Stops the clock; stopping it twice is stopping it once. Whether it was running.
    pub fn pause(&mut self, now_ms: u64) -> bool {
        if self.paused_at_ms.is_some() {
            return false;
        }
        self.paused_at_ms = Some(now_ms);
        true
    }

    /// Lets the clock run on: every deadline moves by the time it stood still. Whether it stood still.
    pub fn resume(&mut self, now_ms: u64) -> bool {
        let Some(since) = self.paused_at_ms.take() else { return false };
        let stood = now_ms.saturating_sub(since);
        self.deadline_ms = self.deadline_ms.saturating_add(stood);
        self.earliest_ms = self.earliest_ms.saturating_add(stood);
        true
    }

    /// Starts over with a clock of `window_ms` from `now_ms`: the next turn of a draft.
    pub fn restart(&mut self, window_ms: u64, now_ms: u64) {
        self.deadline_ms = now_ms.saturating_add(window_ms);
        if self.paused_at_ms.is_some() {
            self.paused_at_ms = Some(now_ms);
        }
    }

    /// The first moment at which a received ballot is late.
    fn last_ms(&self) -> u64 {
        self.deadline_ms.saturating_add(self.grace_ms)
    }

    fn clock(&self, now_ms: u64) -> u64 {
        self.paused_at_ms.unwrap_or(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kind: WindowType) -> Window {
        let config = VoteConfig { window_type: kind, window_ms: 10_000, min_window_ms: 4_000, ..VoteConfig::default() };
        Window::open(&config, 1_000)
    }

    #[test]
    fn grace_is_a_state_of_its_own() {
        let window = window(WindowType::Fixed);
        for (at, phase, takes, over) in [
            (1_000, Phase::Open, true, false),
            (10_999, Phase::Open, true, false),
            (11_000, Phase::Closing, true, false),
            (11_499, Phase::Closing, true, false),
            (11_500, Phase::Over, false, false),
            (11_519, Phase::Over, false, false),
            (11_520, Phase::Over, false, true),
        ] {
            assert_eq!((window.phase(at), window.takes(at), window.over(at)), (phase, takes, over), "at {at}");
        }
    }

    #[test]
    fn only_ready_up_and_hybrid_close_early() {
        for (kind, at_2000, at_5000, looks_at) in [
            (WindowType::Fixed, false, false, 11_520),
            (WindowType::ReadyUp, true, true, 1_000),
            (WindowType::Hybrid, false, true, 5_000),
            (WindowType::Adaptive, false, false, 11_520),
        ] {
            let window = window(kind);
            assert_eq!(window.may_close_early(true, 2_000), at_2000, "{kind:?}");
            assert_eq!(window.may_close_early(true, 5_000), at_5000, "{kind:?}");
            assert!(!window.may_close_early(false, 9_000), "{kind:?}");
            assert_eq!(window.next_ms(true), Some(looks_at), "{kind:?}");
            assert_eq!(window.next_ms(false), Some(11_520), "{kind:?}");
        }
    }

    #[test]
    fn an_adaptive_window_shrinks_once_and_never_grows() {
        let mut early = window(WindowType::Adaptive);
        assert!(early.shrink(2_000));
        assert_eq!(early.deadline_ms(), 5_000);
        assert!(!early.shrink(1_000) && early.deadline_ms() == 5_000);
        let mut late = window(WindowType::Adaptive);
        assert!(!late.shrink(9_000) && late.deadline_ms() == 11_000, "two seconds are left: three would lengthen it");
        assert!(!window(WindowType::Fixed).shrink(2_000));
    }

    #[test]
    fn a_paused_clock_stands_still_and_moves_every_deadline() {
        let mut window = window(WindowType::Hybrid);
        assert!(window.pause(3_000) && !window.pause(3_500));
        assert_eq!((window.remaining_ms(90_000), window.phase(90_000)), (8_000, Phase::Open));
        assert_eq!(window.next_ms(true), None);
        assert!(!window.over(1_000_000) && !window.may_close_early(true, 90_000));
        assert!(window.resume(53_000) && !window.resume(53_001));
        assert_eq!((window.deadline_ms(), window.next_ms(true)), (61_000, Some(55_000)));
    }

    #[test]
    fn a_pause_within_the_grace_keeps_what_is_left_of_it() {
        let mut window = window(WindowType::Fixed);
        window.pause(11_200);
        assert_eq!(window.phase(99_000), Phase::Closing);
        window.resume(21_200);
        assert!(window.takes(21_499) && !window.takes(21_500));
    }
}
