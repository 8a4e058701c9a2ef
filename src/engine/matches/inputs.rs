//! Inputs that wait for the next tick: applied in arrival order over all players, bounded for each of them.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::engine::modes::Json;
use crate::ids::PlayerId;
use crate::limits::INPUT_GAPS_MAX;

/// One input as it came.
#[derive(Debug, Clone)]
pub struct Input {
    /// Who sent it: the session says so, never the payload.
    pub player: PlayerId,
    /// The JSON object.
    pub json: Json,
    /// The sender's own sequence number, acknowledged once applied.
    pub seq: Option<u64>,
}

/// What [`InputQueue::push`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits.
    Queued,
    /// It waits, and the player's oldest input was dropped for it.
    DroppedOldest,
    /// The match is over: it goes nowhere.
    Closed,
}

/// The inputs of one match between two ticks.
#[derive(Debug, Default)]
pub struct InputQueue {
    queue: VecDeque<Option<Input>>,
    /// Absolute positions (index + `taken`) of each player's waiting inputs.
    waiting: HashMap<PlayerId, VecDeque<u64>>,
    taken: u64,
    dropped: u64,
    closed: bool,
    /// Who did something else than an input, as to vote.
    heard: BTreeSet<PlayerId>,
}

impl InputQueue {
    /// Queues an input behind all others. A player with `per_player_max` waiting loses their oldest: the newest input
    /// is the one they mean.
    pub fn push(&mut self, input: Input, per_player_max: u32) -> Pushed {
        if self.closed {
            return Pushed::Closed;
        }
        let waiting = self.waiting.entry(input.player).or_default();
        let mut outcome = Pushed::Queued;
        if waiting.len() >= per_player_max.max(1) as usize
            && let Some(at) = waiting.pop_front()
        {
            self.queue[(at - self.taken) as usize] = None;
            self.dropped += 1;
            outcome = Pushed::DroppedOldest;
        }
        if outcome == Pushed::DroppedOldest && self.queue.len() > 2 * self.len() + INPUT_GAPS_MAX {
            self.close_gaps();
        }
        let waiting = self.waiting.entry(input.player).or_default();
        waiting.push_back(self.taken + self.queue.len() as u64);
        self.queue.push_back(Some(input));
        outcome
    }

    /// Forgets where dropped inputs were: nothing takes from a match that waits or is paused, for however long.
    fn close_gaps(&mut self) {
        self.queue.retain(Option::is_some);
        self.taken = 0;
        self.waiting.values_mut().for_each(VecDeque::clear);
        for (at, input) in self.queue.iter().flatten().enumerate() {
            self.waiting.entry(input.player).or_default().push_back(at as u64);
        }
    }

    /// Takes everything that waits, in arrival order.
    pub fn take(&mut self) -> impl Iterator<Item = Input> + use<> {
        self.waiting.clear();
        self.taken = 0;
        std::mem::take(&mut self.queue).into_iter().flatten()
    }

    /// A player did something that is no input: they are there, and not idle.
    pub fn hear(&mut self, player: PlayerId) {
        if !self.closed {
            self.heard.insert(player);
        }
    }

    /// Takes whoever did.
    pub fn take_heard(&mut self) -> BTreeSet<PlayerId> {
        std::mem::take(&mut self.heard)
    }

    /// The match is over: what waits is given up, and nothing is taken any more.
    pub fn close(&mut self) {
        self.closed = true;
        drop((self.take(), self.take_heard()));
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Inputs dropped since the beginning.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn input(player: u128, n: u32) -> Input {
        Input {
            player: PlayerId::from_u128(player),
            json: RawValue::from_string(n.to_string()).unwrap(),
            seq: Some(n.into()),
        }
    }

    fn order(queue: &mut InputQueue) -> Vec<String> {
        queue.take().map(|i| format!("{}:{}", i.player.as_u128(), i.json.get())).collect()
    }

    #[test]
    fn arrival_order_over_all_players() {
        let mut queue = InputQueue::default();
        for (player, n) in [(1, 1), (2, 2), (1, 3), (2, 4), (1, 5)] {
            assert_eq!(queue.push(input(player, n), 64), Pushed::Queued);
        }
        assert_eq!(order(&mut queue), ["1:1", "2:2", "1:3", "2:4", "1:5"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_flooding_player_loses_their_own_oldest_and_nobody_elses() {
        let mut queue = InputQueue::default();
        queue.push(input(2, 0), 2);
        for n in 1..=4 {
            let expected = if n > 2 { Pushed::DroppedOldest } else { Pushed::Queued };
            assert_eq!(queue.push(input(1, n), 2), expected, "input {n}");
        }
        assert_eq!(order(&mut queue), ["2:0", "1:3", "1:4"]);
        assert_eq!(queue.dropped(), 2);
        queue.push(input(1, 9), 2);
        assert_eq!(order(&mut queue), ["1:9"]);
    }

    #[test]
    fn a_flood_that_nobody_takes_does_not_grow() {
        let mut queue = InputQueue::default();
        queue.push(input(2, 7), 3);
        for n in 0..10_000 {
            queue.push(input(1, n), 3);
        }
        assert!(queue.queue.len() <= 2 * 4 + INPUT_GAPS_MAX + 1, "{}", queue.queue.len());
        queue.push(input(2, 8), 3);
        assert_eq!((queue.len(), queue.dropped()), (5, 9_997));
        assert_eq!(order(&mut queue), ["2:7", "1:9997", "1:9998", "1:9999", "2:8"]);
    }

    #[test]
    fn a_match_that_is_over_takes_nothing() {
        let mut queue = InputQueue::default();
        queue.push(input(1, 1), 2);
        queue.close();
        assert_eq!(queue.push(input(1, 2), 2), Pushed::Closed);
        assert!(queue.is_empty() && order(&mut queue).is_empty());
    }
}
