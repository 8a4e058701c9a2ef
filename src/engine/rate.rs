//! How often something may happen: token buckets over a time that is handed in.
//!
//! - [`Bucket`] is one budget: 16 bytes, integers only, so a refill is exact whatever the steps of the clock.
//! - [`FrameBudget`] is a connection's budget of messages, and notices a client that will never stop.
//! - [`Budgets`] is one bucket per key (an address, a player), bounded however many keys there are.
//!
//! A rate of 0 is switched off: everything passes. Nothing here waits; a refusal says when to come back.

use crate::limits::BUDGET_KEYS_MAX;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// So many tokens per so many milliseconds, and how many may be saved up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    tokens: u32,
    per_ms: u32,
    burst: u32,
}

impl Rate {
    /// Switched off: everything passes.
    pub const OFF: Self = Self { tokens: 0, per_ms: 1, burst: 0 };

    /// `tokens` per second, at most `burst` (at least 1) at once. 0 tokens: off.
    pub const fn per_second(tokens: u32, burst: u32) -> Self {
        Self::per(tokens, 1_000, burst)
    }

    /// `tokens` per minute, at most `burst` (at least 1) at once. 0 tokens: off.
    pub const fn per_minute(tokens: u32, burst: u32) -> Self {
        Self::per(tokens, 60_000, burst)
    }

    /// `tokens` per `per_ms` milliseconds (at least 1), at most `burst` (at least 1) at once. 0 tokens: off.
    pub const fn per(tokens: u32, per_ms: u32, burst: u32) -> Self {
        Self { tokens, per_ms: if per_ms == 0 { 1 } else { per_ms }, burst: if burst == 0 { 1 } else { burst } }
    }

    /// Whether everything passes.
    pub const fn is_off(&self) -> bool {
        self.tokens == 0
    }

    /// A full bucket, in the bucket's own unit: 1/`per_ms` of a token, so that each millisecond adds `tokens` of them.
    fn full(&self) -> u64 {
        u64::from(self.burst) * u64::from(self.per_ms)
    }
}

/// Over the rate: what was asked for is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too often, try again in {retry_ms} ms")]
pub struct RateLimited {
    /// Milliseconds until one more would pass, at least 1.
    pub retry_ms: u64,
}

/// One budget. The rate is handed in at each call, so a million buckets do not carry a million copies of it and a
/// changed rate holds at once.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// What is left, in 1/`per_ms` of a token, as of `at_ms`.
    level: u64,
    at_ms: u64,
}

impl Bucket {
    /// A full bucket.
    pub fn full(rate: Rate, now_ms: u64) -> Self {
        Self { level: rate.full(), at_ms: now_ms }
    }

    /// Takes one token, or says when there will be one. A refusal takes nothing.
    pub fn take(&mut self, rate: Rate, now_ms: u64) -> Result<(), RateLimited> {
        if rate.is_off() {
            return Ok(());
        }
        self.refill(rate, now_ms);
        let price = u64::from(rate.per_ms);
        if self.level >= price {
            self.level -= price;
            return Ok(());
        }
        Err(RateLimited { retry_ms: (price - self.level).div_ceil(u64::from(rate.tokens)) })
    }

    /// Gives one token back: what it was taken for did not happen.
    pub fn give_back(&mut self, rate: Rate) {
        self.level = (self.level + u64::from(rate.per_ms)).min(rate.full());
    }

    /// Whether the bucket says no more than a new one would.
    fn is_full(&self, rate: Rate, now_ms: u64) -> bool {
        let mut later = *self;
        later.refill(rate, now_ms);
        later.level == rate.full()
    }

    /// Milliseconds until the bucket says no more than a new one would.
    pub fn full_in_ms(&self, rate: Rate, now_ms: u64) -> u64 {
        let mut later = *self;
        later.refill(rate, now_ms);
        if rate.is_off() { 0 } else { (rate.full() - later.level).div_ceil(u64::from(rate.tokens)) }
    }

    fn refill(&mut self, rate: Rate, now_ms: u64) {
        // A clock that steps back adds nothing; it does not take away either.
        let elapsed_ms = now_ms.saturating_sub(self.at_ms);
        self.level = self.level.saturating_add(elapsed_ms.saturating_mul(u64::from(rate.tokens))).min(rate.full());
        self.at_ms = self.at_ms.max(now_ms);
    }
}

/// How many times over its rate a connection has to send, in each of [`HOPELESS_SECONDS`] seconds in a row, until it
/// is closed instead of answered: no correct client does, and answering it costs more than losing it.
pub const HOPELESS_FACTOR: u32 = 10;

/// See [`HOPELESS_FACTOR`].
pub const HOPELESS_SECONDS: u32 = 5;

/// What becomes of one message of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is handled.
    Pass,
    /// It is answered `rate_limited`; the connection stays.
    Refuse(RateLimited),
    /// The client floods and will not stop: close 1008.
    Hopeless,
}

/// A connection's budget of messages.
#[derive(Debug, Clone, Copy)]
pub struct FrameBudget {
    rate: Rate,
    bucket: Bucket,
    second_began_ms: u64,
    in_this_second: u32,
    flooded_seconds: u32,
}

impl FrameBudget {
    /// A full budget of `per_s` messages per second (0: off), `burst` of them at once.
    pub fn new(per_s: u32, burst: u32, now_ms: u64) -> Self {
        let rate = Rate::per_second(per_s, burst);
        let bucket = Bucket::full(rate, now_ms);
        Self { rate, bucket, second_began_ms: now_ms, in_this_second: 0, flooded_seconds: 0 }
    }

    /// Another rate from now on, as when the player enters a match that ticks faster than the usual budget allows
    /// inputs for. What is left carries over; a rate that was off begins full.
    pub fn set_rate(&mut self, per_s: u32, burst: u32, now_ms: u64) {
        let was_off = self.rate.is_off();
        self.bucket.refill(self.rate, now_ms);
        self.rate = Rate::per_second(per_s, burst);
        if was_off {
            self.bucket = Bucket::full(self.rate, now_ms);
        }
    }

    /// One message arrived.
    pub fn admit(&mut self, now_ms: u64) -> Admission {
        if self.rate.is_off() {
            return Admission::Pass;
        }
        if self.floods(now_ms) {
            return Admission::Hopeless;
        }
        match self.bucket.take(self.rate, now_ms) {
            Ok(()) => Admission::Pass,
            Err(limited) => Admission::Refuse(limited),
        }
    }

    /// Counts the message in its second. A second is hot once it holds ten times what the rate allows; five hot ones
    /// in a row are hopeless. A pause, or one second below, forgives everything.
    fn floods(&mut self, now_ms: u64) -> bool {
        let hot = self.rate.tokens.saturating_mul(HOPELESS_FACTOR);
        let elapsed_ms = now_ms.saturating_sub(self.second_began_ms);
        if elapsed_ms >= 1_000 {
            let was_hot = self.in_this_second >= hot && elapsed_ms < 2_000;
            self.flooded_seconds = if was_hot { self.flooded_seconds + 1 } else { 0 };
            self.second_began_ms += elapsed_ms / 1_000 * 1_000;
            self.in_this_second = 0;
        }
        self.in_this_second = self.in_this_second.saturating_add(1);
        self.flooded_seconds + u32::from(self.in_this_second >= hot) >= HOPELESS_SECONDS
    }
}

/// One bucket per key. A bucket that has refilled is forgotten, so memory follows those who are active; beyond
/// [`BUDGET_KEYS_MAX`] active ones, newcomers share a single bucket: whoever has that many addresses is slowed down,
/// and nobody who is already known suffers for it.
#[derive(Debug)]
pub struct Budgets<K> {
    rate: Rate,
    buckets: HashMap<K, Bucket>,
    overflow: Bucket,
    sweep_at: usize,
    swept_ms: u64,
    keys_max: usize,
}

impl<K: Hash + Eq> Budgets<K> {
    /// No key yet, each allowed `rate`.
    pub fn new(rate: Rate) -> Self {
        Self::bounded(rate, BUDGET_KEYS_MAX)
    }

    fn bounded(rate: Rate, keys_max: usize) -> Self {
        let sweep_at = keys_max.min(1_024);
        Self { rate, buckets: HashMap::new(), overflow: Bucket::full(rate, 0), sweep_at, swept_ms: 0, keys_max }
    }

    /// Takes one token of `key`, or says when there will be one.
    pub fn take(&mut self, key: K, now_ms: u64) -> Result<(), RateLimited> {
        if self.rate.is_off() {
            return Ok(());
        }
        if let Some(bucket) = self.buckets.get_mut(&key) {
            return bucket.take(self.rate, now_ms);
        }
        let at_bound = self.buckets.len() >= self.keys_max;
        if self.buckets.len() >= self.sweep_at && (!at_bound || now_ms >= self.swept_ms + 1_000) {
            self.sweep(now_ms);
        }
        if self.buckets.len() >= self.keys_max {
            return self.overflow.take(self.rate, now_ms);
        }
        let mut bucket = Bucket::full(self.rate, now_ms);
        let taken = bucket.take(self.rate, now_ms);
        self.buckets.insert(key, bucket);
        taken
    }

    /// Keys with a bucket that is not full yet, as of the last sweep.
    pub fn active(&self) -> usize {
        self.buckets.len()
    }

    /// Forgets full buckets. Run again only when as many have come as stayed, so it costs O(1) per newcomer; at the
    /// bound, where newcomers are likely an attack that should not buy a walk through the whole table, once a second.
    fn sweep(&mut self, now_ms: u64) {
        let rate = self.rate;
        self.buckets.retain(|_, bucket| !bucket.is_full(rate, now_ms));
        self.swept_ms = now_ms;
        self.sweep_at = (self.buckets.len() * 2).clamp(self.keys_max.min(1_024), self.keys_max);
    }
}

/// What addresses are budgeted by: an IPv4 address itself, an IPv6 address by its /64, which is what one customer is
/// given and could otherwise walk through for ever.
pub fn address_key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many of the messages at these times pass.
    fn passed(rate: Rate, times_ms: impl IntoIterator<Item = u64>) -> usize {
        let mut bucket = Bucket::full(rate, 0);
        times_ms.into_iter().filter(|&at| bucket.take(rate, at).is_ok()).count()
    }

    #[test]
    fn a_bucket_allows_its_burst_and_then_its_rate() {
        let frames = Rate::per_second(60, 120);
        assert_eq!(passed(frames, [0; 500]), 120, "the burst");
        assert_eq!(passed(frames, (0..10_000).map(|i| i / 10)), 120 + 59, "the burst and 999 ms of 60 per second");
        assert_eq!(passed(frames, (0..600).map(|i| i * 17)), 600, "a little slower than the rate always passes");
        assert_eq!(passed(Rate::per_minute(10, 10), [0; 11]), 10);
        assert_eq!(passed(Rate::OFF, [0; 9_999]), 9_999);
        assert_eq!(passed(Rate::per_second(0, 5), [0; 9_999]), 9_999, "a rate of 0 is off");
        assert_eq!(passed(Rate::per_second(1, 0), [0; 3]), 1, "a burst of 0 would refuse everybody for ever");
    }

    #[test]
    fn a_refusal_says_exactly_when_one_more_passes() {
        let joins = Rate::per_minute(10, 10);
        let mut bucket = Bucket::full(joins, 5);
        for _ in 0..10 {
            assert_eq!(bucket.take(joins, 5), Ok(()));
        }
        assert_eq!(bucket.take(joins, 5), Err(RateLimited { retry_ms: 6_000 }));
        assert_eq!(bucket.take(joins, 6_004), Err(RateLimited { retry_ms: 1 }));
        assert_eq!(bucket.take(joins, 6_005), Ok(()));
        bucket.give_back(joins);
        assert_eq!(bucket.take(joins, 6_005), Ok(()), "what was given back can be taken again");
        assert_eq!(bucket.take(joins, 0), Err(RateLimited { retry_ms: 6_000 }), "a clock that steps back adds nothing");
    }

    #[test]
    fn only_a_lasting_tenfold_flood_is_hopeless() {
        let first_hopeless = |per_s: u64, seconds: u64| {
            let mut budget = FrameBudget::new(60, 120, 0);
            (0..per_s * seconds).map(|i| i * 1_000 / per_s).find(|&at| budget.admit(at) == Admission::Hopeless)
        };
        assert_eq!(first_hopeless(599, 60), None, "below ten times the rate it is only refused");
        let closed_at = first_hopeless(6_000, 60).expect("a hundredfold flood is closed");
        assert!((4_000..=5_000).contains(&closed_at), "in its fifth second, not at {closed_at}");
        assert_eq!(first_hopeless(6_000, 4), None, "four seconds are forgiven");

        let mut budget = FrameBudget::new(60, 120, 0);
        let rested = (0..12u64).all(|i| (0..5_000).all(|_| budget.admit(i * 2_500) != Admission::Hopeless));
        assert!(rested, "bursts with pauses between them are not a lasting flood");
    }

    #[test]
    fn a_faster_match_raises_the_budget() {
        let mut budget = FrameBudget::new(60, 60, 0);
        let pass = |budget: &mut FrameBudget, at| (0..1_000).filter(|_| budget.admit(at) == Admission::Pass).count();
        assert_eq!(pass(&mut budget, 0), 60);
        budget.set_rate(256, 512, 0);
        assert_eq!(pass(&mut budget, 0), 0, "a new rate is not a new burst");
        assert_eq!(pass(&mut budget, 1_000), 256);
        budget.set_rate(0, 0, 1_000);
        assert_eq!(pass(&mut budget, 1_000), 1_000);
    }

    #[test]
    fn keys_are_apart_until_there_are_too_many() {
        let mut budgets = Budgets::bounded(Rate::per_second(1, 2), 100);
        for key in 0..100 {
            assert_eq!((budgets.take(key, 0), budgets.take(key, 0)), (Ok(()), Ok(())));
            assert!(budgets.take(key, 0).is_err());
        }
        let newcomers = (100..1_000).filter(|&key| budgets.take(key, 0).is_ok()).count();
        assert_eq!(newcomers, 2, "beyond the bound newcomers share one bucket");
        assert_eq!(budgets.take(5, 1_000), Ok(()), "the known keep their own");
        assert_eq!(budgets.take(1_000, 10_000), Ok(()));
        assert!(budgets.active() <= 2, "full buckets are forgotten, {} are left", budgets.active());
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        let key = |text: &str| address_key(text.parse().expect("an address"));
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
    }

    proptest! {
        /// Over any stretch of time no more passes than the burst and the rate allow, and whoever waits as long as a
        /// refusal says is let through.
        #[test]
        fn never_more_than_the_rate(tokens in 1u32..500, per_ms in 1u32..100_000, burst in 1u32..50,
                                    steps in prop::collection::vec(0u64..300, 1..200)) {
            let rate = Rate::per(tokens, per_ms, burst);
            let mut bucket = Bucket::full(rate, 0);
            let (mut now_ms, mut passed) = (0u64, 0u64);
            for step in steps {
                now_ms += step;
                match bucket.take(rate, now_ms) {
                    Ok(()) => passed += 1,
                    Err(limited) => {
                        let mut later = bucket;
                        prop_assert!(later.take(rate, now_ms + limited.retry_ms - 1).is_err());
                        let mut later = bucket;
                        prop_assert!(later.take(rate, now_ms + limited.retry_ms).is_ok());
                    }
                }
                prop_assert!(passed <= u64::from(burst) + now_ms * u64::from(tokens) / u64::from(per_ms));
            }
        }
    }
}
