//! What a mode is: the rules a designer writes for one kind of match. Read by `config.rs`, obeyed by matches,
//! the matchmaker and votes. Every field has a default, so an empty table is a playable mode.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One mode, `[modes.NAME]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    /// Which game plays: `builtin:NAME` or `lua:FOLDER/SCRIPT.lua`.
    pub game: String,
    /// Ticks per second, 1 to 128.
    #[schemars(range(min = 1, max = 128))]
    pub tick_hz: u32,
    /// Handed to the game's constructor as it is.
    pub game_options: serde_json::Map<String, serde_json::Value>,
    /// How many players a match takes.
    pub players: Players,
    /// Whether `match.list` shows matches of this mode.
    pub listed: bool,
    /// Whether `match.find_or_create` may be used.
    pub quick_play: bool,
    /// Whether `match.create` may be used.
    pub create: bool,
    /// Spectators per match; 0 refuses them.
    pub spectators: u32,
    /// Private matches behind join codes.
    pub private: Private,
    /// Veto tokens per player per match, never refilled.
    pub veto_tokens_per_player: u32,
    /// Basis points added to a losing voter's weight per loss; 0 switches the accumulator off.
    #[schemars(range(max = 1_000_000))]
    pub frustration_bonus_bp: u32,
    /// Of how many states one is shown whole to those who asked for deltas, at least; 1 is every one.
    #[schemars(range(min = 1, max = 10_000))]
    pub state_full_every: u32,
    /// How long an empty seat is held, and what happens then.
    pub reconnect: Reconnect,
    /// Seconds a match waits for `players.min` before it is cancelled.
    #[schemars(range(min = 1, max = 86_400))]
    pub waiting_timeout_s: u32,
    /// Seconds without an input or a vote cast or called after which a player is warned, and as many again until the seat is freed; 0 never.
    pub idle_s: u32,
    /// Motions that players may call by name.
    pub motions: Vec<String>,
    /// How tickets of this mode are paired.
    pub matchmaking: Matchmaking,
    /// Votes that open by themselves.
    pub votes: Vec<ScheduledVote>,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            game: "builtin:demo".into(),
            tick_hz: 10,
            game_options: serde_json::Map::new(),
            players: Players::default(),
            listed: false,
            quick_play: false,
            create: false,
            spectators: 0,
            private: Private::Off,
            veto_tokens_per_player: 0,
            frustration_bonus_bp: 0,
            state_full_every: 30,
            reconnect: Reconnect::default(),
            waiting_timeout_s: 60,
            idle_s: 0,
            motions: Vec::new(),
            matchmaking: Matchmaking::default(),
            votes: Vec::new(),
        }
    }
}

/// How many players a match takes: it starts at `min` and is full at `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Players {
    /// Players present before the first tick, at least 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub min: u32,
    /// Seats, at least `min`.
    #[schemars(range(min = 1, max = 1_000))]
    pub max: u32,
}

impl Default for Players {
    fn default() -> Self {
        Self { min: 2, max: 2 }
    }
}

/// Whether matches of a mode may be private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Private {
    /// Never.
    Off,
    /// When `match.create` asks for it.
    Allowed,
    /// Always.
    Always,
}

/// How long an empty seat is held, and what happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reconnect {
    /// Seconds a disconnected player keeps the seat.
    #[schemars(range(max = 86_400))]
    pub grace_s: u32,
    /// What happens when they did not come back.
    pub on_expire: OnExpire,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { grace_s: 60, on_expire: OnExpire::Leave }
    }
}

/// What happens to a seat whose player did not come back in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExpire {
    /// The player leaves.
    Leave,
    /// The player leaves and the result says they forfeited.
    Forfeit,
    /// A bot plays on in their seat.
    Bot,
}

/// How tickets of a mode are paired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Matchmaking {
    /// `fill` (strictly first come) or `skill`.
    pub strategy: String,
    /// Players per match; unset means `players.max` for `fill` modes without teams.
    pub size: Option<u32>,
    /// Team sizes instead of `size`, such as `[2, 2]`.
    pub teams: Vec<u32>,
    /// Widest skill difference at first.
    pub window: u32,
    /// How the window widens with the longest wait in a group.
    pub widen: Widen,
    /// What a ticket's region means.
    pub region: Region,
    /// Whether party tickets are taken.
    pub parties: bool,
    /// Whether running matches may ask for players.
    pub backfill: bool,
    /// Seconds after which bots fill the group; 0 never.
    pub bots_after_s: u32,
    /// Players that a match is brought to where bots fill its group, at most `players.max`; 0: the group's size.
    pub bots_to: u32,
    /// Numeric properties that must lie close: name to the widest difference.
    pub ranges: BTreeMap<String, u32>,
    /// Properties that must be equal.
    pub require: Vec<String>,
    /// Seconds until an unmatched ticket expires; 0 never.
    #[schemars(range(max = 86_400))]
    pub expire_s: u32,
}

impl Default for Matchmaking {
    fn default() -> Self {
        Self {
            strategy: "fill".into(),
            size: None,
            teams: Vec::new(),
            window: 100,
            widen: Widen::default(),
            region: Region::Ignore,
            parties: true,
            backfill: false,
            bots_after_s: 0,
            bots_to: 0,
            ranges: BTreeMap::new(),
            require: Vec::new(),
            expire_s: 60,
        }
    }
}

impl Mode {
    /// Bots that sit down with a group of so many people which the matchmaker completes with `bots` of them.
    pub fn bots_for(&self, people: usize, bots: u32) -> u32 {
        if bots == 0 {
            return 0;
        }
        let people = u32::try_from(people).unwrap_or(u32::MAX);
        bots.max(self.matchmaking.bots_to.min(self.players.max).saturating_sub(people))
    }
}

/// How a skill window widens while its longest waiter waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Widen {
    /// Points per second.
    pub per_s: u32,
    /// The widest it becomes.
    pub max: u32,
}

impl Default for Widen {
    fn default() -> Self {
        Self { per_s: 20, max: 600 }
    }
}

/// What a ticket's region means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// Nothing.
    Ignore,
    /// The same region first, any after half of `expire_s`.
    Prefer,
    /// Only the same region.
    Require,
}

/// A vote that a mode opens by itself: `when`, and the vote's own configuration beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledVote {
    /// `start`, `tick:N`, `every_s:N` or `finish`.
    pub when: String,
    /// Every other key: the vote's configuration, checked by `engine::votes`.
    #[serde(flatten)]
    pub vote: serde_json::Map<String, serde_json::Value>,
}

/// JSON text that was checked once and is passed on as it is.
pub type Json = Box<RawValue>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bots_bring_a_match_to_what_its_mode_says_and_to_no_more_than_it_seats() {
        // People, bots that complete their group, and how many sit down.
        for (bots_to, people, bots, seated) in
            [(0, 1, 1, 1), (4, 1, 1, 3), (4, 2, 0, 0), (2, 1, 3, 3), (64, 1, 1, 5), (4, 5, 1, 1)]
        {
            let mut mode = Mode::default();
            mode.players.max = 6;
            mode.matchmaking.bots_to = bots_to;
            assert_eq!(mode.bots_for(people, bots), seated, "{bots_to} {people} {bots}");
        }
    }
}
