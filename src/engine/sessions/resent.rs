//! Requests that may be sent twice: a client that lost its connection cannot know which of its requests arrived, so it
//! sends them again with the same `cid`. Whoever remembers them answers each once and does it once.

use crate::limits::REQUESTS_REMEMBERED_MAX;
use std::collections::VecDeque;
use std::num::NonZeroU64;

/// Milliseconds after a resume during which a request may be one that was sent before it. Many clients use one constant
/// `cid`, so later an equal request is a new one.
pub const RESENT_WITHIN_MS: u64 = 10_000;

/// A request as it is remembered: not what it said, only enough to know it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Fingerprint of `cid`, type and payload.
    pub print: u64,
    /// Counted frames that had been sent to the client when it came: the answer has a higher number.
    pub counted: u64,
    /// Which request of the session it is, from 1: its answer is known by this.
    pub number: NonZeroU64,
}

/// The requests of one session that may come again.
#[derive(Debug, Default)]
pub struct Resent {
    /// Asked over the connection there is now.
    now: VecDeque<Asked>,
    /// Asked over earlier ones, and not come again yet.
    before: VecDeque<Asked>,
    /// What the client had received when it resumed, and until when it may send again.
    resumed: Option<(u64, u64)>,
    /// Requests that were numbered.
    numbered: u64,
}

impl Resent {
    /// A request came and is being executed: its number. `counted` frames had been sent to the client.
    pub fn ask(&mut self, print: u64, counted: u64) -> NonZeroU64 {
        let number = NonZeroU64::MIN.saturating_add(self.numbered);
        self.numbered += 1;
        self.note(Asked { print, counted, number });
        number
    }

    /// A request came again and is not executed again: it may come once more.
    pub fn note(&mut self, asked: Asked) {
        keep(&mut self.now, asked);
    }

    /// The client is back, having `received` so many counted frames.
    pub fn resumed(&mut self, received: u64, now_ms: u64) {
        for asked in std::mem::take(&mut self.now) {
            keep(&mut self.before, asked);
        }
        self.resumed = Some((received, now_ms.saturating_add(RESENT_WITHIN_MS)));
    }

    /// Whether a request came before the client's latest resume, and what it had received by then. Each is known again
    /// once per resume.
    pub fn again(&mut self, print: u64, now_ms: u64) -> Option<(Asked, u64)> {
        let (received, until_ms) = self.resumed?;
        if now_ms >= until_ms {
            self.before = VecDeque::new();
            self.resumed = None;
            return None;
        }
        let at = self.before.iter().position(|asked| asked.print == print)?;
        let asked = self.before.remove(at)?;
        Some((asked, received))
    }
}

fn keep(asked: &mut VecDeque<Asked>, one: Asked) {
    if asked.len() == REQUESTS_REMEMBERED_MAX {
        asked.pop_front();
    }
    asked.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_again_once_and_only_right_after_a_resume() {
        let mut resent = Resent::default();
        let number = resent.ask(1, 7);
        let asked = |print| Asked { print, counted: 7, number };
        assert_eq!(resent.again(1, 0), None, "an equal request over the same connection is a new one");
        resent.resumed(5, 1_000);
        assert_eq!(resent.again(2, 1_000), None);
        assert_eq!(resent.again(1, 1_000), Some((asked(1), 5)));
        assert_eq!(resent.again(1, 1_000), None);

        // Sent again and lost again.
        resent.note(asked(1));
        resent.resumed(6, 2_000);
        assert_eq!(resent.again(1, 2_000 + RESENT_WITHIN_MS), None, "by then it is a new request");
        resent.resumed(6, 20_000);
        assert_eq!(resent.again(1, 20_000), None, "what nobody sent again in time is forgotten");
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut resent = Resent::default();
        for print in 0..=REQUESTS_REMEMBERED_MAX as u64 {
            resent.ask(print, print);
        }
        resent.resumed(0, 0);
        assert_eq!(resent.again(0, 0), None);
        assert!(resent.again(1, 0).is_some() && resent.again(REQUESTS_REMEMBERED_MAX as u64, 0).is_some());
    }
}
