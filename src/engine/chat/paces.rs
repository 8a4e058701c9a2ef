//! What channels that ended leave behind for those of their names that begin again: without it, whoever is alone in a
//! channel would escape its slow mode by leaving and coming back.

use std::collections::{BTreeSet, HashMap};

use super::channel::Pace;
use crate::ids::ChannelId;

/// The paces of channels that nobody is in, until they have run out.
#[derive(Debug)]
pub struct Paces {
    weight_max: usize,
    weight: usize,
    kept: HashMap<ChannelId, Pace>,
    by_end: BTreeSet<(u64, ChannelId)>,
}

impl Paces {
    /// With room for so many players' waits, and as many channels. Beyond it, what runs out first is forgotten.
    pub fn new(weight_max: usize) -> Self {
        Self { weight_max, weight: 0, kept: HashMap::new(), by_end: BTreeSet::new() }
    }

    /// Keeps the pace of a channel that ends, in the place of what was kept before; none forgets that.
    pub fn keep(&mut self, channel: &ChannelId, pace: Option<Pace>, now_ms: u64) {
        self.forget(channel);
        if let Some(pace) = pace {
            self.weight += pace.weight();
            self.by_end.insert((pace.until_ms(), channel.clone()));
            self.kept.insert(channel.clone(), pace);
        }
        while let Some((until_ms, first)) = self.by_end.first().cloned()
            && (until_ms <= now_ms || self.weight > self.weight_max)
        {
            self.forget(&first);
        }
    }

    /// The pace at which a channel that begins goes on, if it is one that ended lately.
    pub fn take(&mut self, channel: &ChannelId) -> Option<Pace> {
        self.forget(channel)
    }

    fn forget(&mut self, channel: &ChannelId) -> Option<Pace> {
        let pace = self.kept.remove(channel)?;
        self.weight -= pace.weight();
        self.by_end.remove(&(pace.until_ms(), channel.clone()));
        Some(pace)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Channel, ChannelRules, Place, SayRefused, Sender};
    use super::*;
    use crate::engine::rate::Rate;
    use crate::ids::{PlayerId, SessionId};

    const RULES: fn() -> ChannelRules = || ChannelRules { slow_mode_ms: 10_000, ..ChannelRules::default() };

    fn channel(now_ms: u64) -> Channel<()> {
        let mut channel = Channel::new(Place::Open("lobby".into()), RULES(), now_ms);
        channel.join(SessionId::from_u128(1), PlayerId::from_u128(1), ());
        channel
    }

    fn say(channel: &mut Channel<()>, now_ms: u64) -> Result<(), SayRefused> {
        let ann = Sender::Player(PlayerId::from_u128(1), SessionId::from_u128(1));
        channel.admit(ann, "hello", &(), now_ms).map(drop)
    }

    fn said_at(now_ms: u64) -> Option<Pace> {
        let mut channel = channel(now_ms);
        say(&mut channel, now_ms).unwrap();
        channel.pace(now_ms)
    }

    #[test]
    fn whoever_leaves_and_comes_back_waits_all_the_same() {
        let (lobby, mut paces) = (ChannelId::from("lobby"), Paces::new(100));
        paces.keep(&lobby, said_at(1_000), 1_000);
        let mut again = channel(2_000);
        again.go_on_at(paces.take(&lobby).expect("it was kept"));
        assert_eq!(say(&mut again, 2_000), Err(SayRefused::SlowMode { retry_ms: 9_000 }));
        paces.keep(&lobby, again.pace(2_000), 2_000);
        assert!(again.pace(11_000).is_none(), "by then a new one knows as much");
        // Another channel's end clears what has run out.
        paces.keep(&"help".into(), None, 11_000);
        assert!(paces.take(&lobby).is_none() && paces.by_end.is_empty() && paces.weight == 0);
    }

    #[test]
    fn what_all_together_said_counts_on() {
        let mut busy = channel(0);
        let rules = ChannelRules { slow_mode_ms: 0, rate_each: Rate::OFF, ..RULES() };
        let mut crowd = Channel::new(Place::Open("lobby".into()), rules, 0);
        crowd.join(SessionId::from_u128(1), PlayerId::from_u128(1), ());
        while say(&mut crowd, 0).is_ok() {}
        busy.go_on_at(crowd.pace(0).expect("the bucket is empty"));
        assert!(matches!(say(&mut busy, 0), Err(SayRefused::Busy { .. })));
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_runs_out_first_goes_first() {
        let mut paces = Paces::new(4);
        for (n, at_ms) in [(1, 3_000), (2, 1_000), (3, 2_000)] {
            paces.keep(&format!("dm{n}").into(), said_at(at_ms), 0);
        }
        let kept = |paces: &mut Paces, n: u8| paces.take(&format!("dm{n}").into()).is_some();
        assert_eq!([1, 2, 3].map(|n| kept(&mut paces, n)), [true, false, true]);
        assert_eq!((paces.weight, paces.kept.len(), paces.by_end.len()), (0, 0, 0));
    }
}
