//! Games: what a match plays. One file per built-in game and one row in [`GAMES`]; `lua/` hosts scripts as one more.
//!
//! A game is a function of (state, inputs, seed): time, randomness and every outside event are handed in through
//! [`GameCx`], and the only way out is an [`Effect`]. The same inputs give the same match, byte for byte.

pub mod bench;
pub mod body;
pub mod catalogue;
pub mod demo;
pub mod lua;
pub mod skirmish;
pub mod smoke;
pub mod stage;

use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use serde_json::value::RawValue;

pub use crate::engine::chat::FilterVerdict;
pub use crate::engine::modes::Json;
use crate::engine::votes::config::Templates;
use crate::ids::{MatchId, PlayerId, VoteId};

/// A value that a game stored.
#[derive(Debug)]
pub struct Stored {
    /// Its collection.
    pub collection: String,
    /// Its key.
    pub key: String,
    /// The value.
    pub value: Json,
}

/// What a match plays. Methods are called by the match alone, one at a time, never concurrently; a panic ends that
/// match and nothing else.
pub trait Game {
    /// A player takes a seat, or is told why not. `ctx` is the flat object the client sent with its join.
    fn join(&mut self, cx: &mut GameCx<'_>, player: PlayerId, ctx: Option<&RawValue>) -> Result<(), JoinRefused>;

    /// A player gave up the seat.
    fn leave(&mut self, cx: &mut GameCx<'_>, player: PlayerId);

    /// One input of a seated player: a JSON object, as it came. A game ignores what it does not understand.
    fn input(&mut self, cx: &mut GameCx<'_>, player: PlayerId, input: &RawValue);

    /// One tick, after the inputs that arrived before it.
    fn tick(&mut self, cx: &mut GameCx<'_>);

    /// The match does not tick for now, as it waits for players or is paused: what is called until the next tick is
    /// part of none. Said before each such call, to games that count what a tick costs.
    fn be_still(&mut self) {}

    /// Whether everyone sees the same state.
    fn audience(&self) -> Audience {
        Audience::Shared
    }

    /// Whether spectators share a view of their own where players have one each.
    fn has_gallery(&self) -> bool {
        false
    }

    /// Writes the state as one JSON value: the payload of `match.state`. `viewer` is `None` for a shared view
    /// and for the spectators' own.
    /// Returning without writing sends nothing this tick.
    fn view(&mut self, viewer: Option<PlayerId>, out: &mut Vec<u8>);

    /// Asked after each tick: a vote's configuration (JSON object) if the game wants one opened now.
    fn vote_requested(&mut self, _cx: &mut GameCx<'_>) -> Option<Json> {
        None
    }

    /// A vote that it asked for with this configuration could not be opened; false where it has nobody to tell.
    fn vote_refused(&mut self, _cx: &mut GameCx<'_>, _config: &RawValue, _why: &str) -> bool {
        false
    }

    /// A line that it asked for, there, could not be said; false where it has nobody to tell.
    fn chat_refused(&mut self, _cx: &mut GameCx<'_>, _place: Option<&str>, _why: &str) -> bool {
        false
    }

    /// The templates that votes may be opened from, by name; told before the first call that may ask for one, and when
    /// they change.
    fn vote_templates(&mut self, _templates: &Arc<Templates>) {}

    /// A vote closed; `result` is the payload of `match.vote_result`.
    fn vote_resolved(&mut self, _cx: &mut GameCx<'_>, _template: &str, _result: &RawValue) {}

    /// A vote was vetoed.
    fn vote_vetoed(&mut self, _cx: &mut GameCx<'_>, _template: &str, _by: PlayerId) {}

    /// A bot of that name took a seat (`join` was called for it before). Games with bots act for them in `tick`.
    fn bot_added(&mut self, _cx: &mut GameCx<'_>, _bot: PlayerId, _name: &str) {}

    /// What bots of this game are called, in order; those beyond the list are numbered.
    fn bot_names(&self) -> &[String] {
        &[]
    }

    /// Whether those who are `coming` should wait: it was not told yet of somebody who left, for lack of time (it is told now
    /// if there is some again), or it waits for what is stored of them.
    fn is_behind(&mut self, _cx: &mut GameCx<'_>, _coming: &[PlayerId]) -> bool {
        false
    }

    /// Those players were let in, or are not coming after all.
    fn came(&mut self, _players: &[PlayerId]) {}

    /// What becomes of something a player says in the match's channel, before anybody reads it: it passes, reads
    /// differently, or is refused. The game's state stays as it is: what is said is not an input.
    fn judge_chat(&mut self, _sender: PlayerId, _text: &str) -> FilterVerdict {
        FilterVerdict::Pass
    }

    /// Whether bots can play it. Without, no mode of it may let a bot take over a seat.
    fn plays_bots(&self) -> bool {
        false
    }

    /// The player is back in a seat that a bot played on in.
    fn bot_removed(&mut self, _cx: &mut GameCx<'_>, _player: PlayerId) {}

    /// The votes open in this match now; told whenever one opens or closes.
    fn open_votes(&mut self, _open: &[OpenVote]) {}

    /// The answer to an [`Effect::LoadAll`]: collection, key and value each. `None` where that is more than one may ask for,
    /// or could not be read.
    fn loaded_all(&mut self, _cx: &mut GameCx<'_>, _owner: Option<PlayerId>, _values: Option<Vec<Stored>>) {}

    /// The answer to an [`Effect::Load`]; no value where nothing was stored under that key.
    fn loaded(
        &mut self,
        _cx: &mut GameCx<'_>,
        _owner: Option<PlayerId>,
        _collection: &str,
        _key: &str,
        _value: Option<&RawValue>,
    ) {
    }

    /// The state as bytes that [`Game::restore`] takes back; `None` where the game cannot.
    fn snapshot(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// Takes a snapshot back; false when it is not one of this game's.
    fn restore(&mut self, _snapshot: &[u8]) -> bool {
        false
    }
}

/// Whether everyone sees the same state: a shared view is encoded once for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// One view for all.
    Shared,
    /// A view for each player.
    PerPlayer,
}

/// A game turned a player away; `reason` is the game's own word, shown as `details.refused_reason`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JoinRefused {
    /// The game's own word, at most 256 bytes; empty when it gave none that can be passed on.
    pub reason: String,
}

/// What a game is given at each call, and its only way out.
pub struct GameCx<'a> {
    /// The match being played.
    pub match_id: MatchId,
    /// The tick being run, from 0; between ticks the next one.
    pub tick: u64,
    /// Match time in microseconds: `tick / tick_hz`, frozen while paused.
    pub elapsed_us: u64,
    /// Length of one tick in microseconds.
    pub dt_us: u64,
    /// Unix microseconds of this call. For display only: a game that decides by it is no longer replayable.
    pub unix_us: u64,
    /// The match's own random source, seeded when it was created.
    pub rng: &'a mut ChaCha8Rng,
    /// Who is seated, in order of joining.
    pub players: &'a [PlayerId],
    /// What the game wants done, in order.
    pub effects: &'a mut Vec<Effect>,
}

impl GameCx<'_> {
    /// Asks for something to be done after this call.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}

/// Something a game wants done. The match does it after the call, in order, and counts what it had to refuse.
#[derive(Debug, Clone)]
pub enum Effect {
    /// `match.<event>` to everyone in the match: leaf 1-64 of `[A-Za-z0-9_-]`, not reserved, payload up to 64 KiB.
    Broadcast {
        /// The leaf.
        event: String,
        /// The payload.
        payload: Json,
    },
    /// `module.message` to one player.
    Send {
        /// To whom.
        to: PlayerId,
        /// Which module says it, `lua` for scripts.
        module: &'static str,
        /// What.
        message: Json,
    },
    /// Opens a vote from a configuration (JSON object).
    OpenVote(Json),
    /// Cancels an open vote.
    CancelVote(VoteId),
    /// Opens or closes the door.
    SetJoinable(bool),
    /// Frees a seat.
    Kick {
        /// Whose.
        player: PlayerId,
        /// Why, for the player to read.
        reason: String,
    },
    /// Adds a bot, if a seat is free.
    AddBot {
        /// Its name.
        name: String,
    },
    /// Takes a bot's seat away.
    RemoveBot(PlayerId),
    /// Asks the matchmaker for this many players.
    Backfill(u32),
    /// Stores and pushes a notification to each player.
    Notify {
        /// To whom.
        to: Vec<PlayerId>,
        /// `type`, `subject` and `content` as a JSON object.
        notification: Json,
    },
    /// A line in a chat channel, from `server`.
    Chat {
        /// Which channel.
        channel: String,
        /// What.
        content: String,
        /// Where its author asked for it, as `file:line`, for [`Game::chat_refused`].
        place: Option<String>,
    },
    /// Sets who belongs to `room:<name>`, whoever set it before.
    SetRoom {
        /// The name.
        name: String,
        /// Who.
        members: Vec<PlayerId>,
    },
    /// A line for the author: bounded and rate limited by the match.
    Log(String),
    /// Ends the match with a result (JSON value).
    Finish(Json),
    /// Reads all stored values of a player, or of the game itself; they come as [`Game::loaded_all`].
    LoadAll {
        /// As in [`Effect::Load`].
        owner: Option<PlayerId>,
    },
    /// Reads a stored value; the answer comes as [`Game::loaded`] in some later tick.
    Load {
        /// Whose value; the game's own, shared by all its matches, where there is none.
        owner: Option<PlayerId>,
        /// Its collection, 1 to 128 bytes.
        collection: String,
        /// Its key, 1 to 128 bytes.
        key: String,
    },
    /// Stores a value, replacing what was there.
    Store {
        /// As in [`Effect::Load`].
        owner: Option<PlayerId>,
        /// As in [`Effect::Load`].
        collection: String,
        /// As in [`Effect::Load`].
        key: String,
        /// The value, up to 64 KiB.
        value: Json,
    },
    /// Something went wrong in a script: for the log, the operator API and, in development mode, the player whose
    /// message it was (`module.error`). Already limited to a few per callback and ten seconds.
    ScriptFault(Box<ScriptFault>),
}

/// One error of a script, for its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFault {
    /// Whose input or join it was.
    pub player: Option<PlayerId>,
    /// The callback, as the script names it.
    pub callback: &'static str,
    /// The file, relative to the games folder.
    pub file: String,
    /// The line, from 1, where one is known.
    pub line: Option<u32>,
    /// What it said, at most 500 bytes.
    pub message: String,
    /// How it came there, at most 2000 bytes.
    pub traceback: String,
    /// Whether the callback was stopped because its budget was spent.
    pub over_budget: bool,
    /// Faults of this callback that were not told since the last one that was.
    pub suppressed: u64,
}

/// A vote that is open in a match, as its game may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenVote {
    /// Its id.
    pub id: VoteId,
    /// Its label.
    pub template: String,
}

/// Why a game could not be built: its options were wrong. Said to whoever wrote the mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub String);

/// The options of a built-in game, as its mode gives them.
fn options<T: serde::de::DeserializeOwned>(given: &serde_json::value::RawValue) -> Result<T, BuildError> {
    serde_json::from_str(given.get()).map_err(|error| {
        // Where in the text it stands means nothing to who wrote it in another language.
        let said = error.to_string();
        BuildError(said.split(" at line ").next().unwrap_or(&said).to_owned())
    })
}

/// One row of [`GAMES`].
pub struct BuiltIn {
    /// What a mode writes after `builtin:`.
    pub name: &'static str,
    /// One sentence for the README.
    pub about: &'static str,
    /// Builds a fresh game from the mode's `game_options` (a JSON object).
    pub build: fn(&RawValue) -> Result<Box<dyn Game>, BuildError>,
}

/// Every built-in game.
pub const GAMES: &[BuiltIn] = &[
    BuiltIn {
        name: "skirmish",
        about: "two to eight players race for sparks, with votes",
        build: skirmish::Skirmish::build,
    },
    BuiltIn { name: "demo", about: "two players walk an 800 x 600 arena for a minute", build: demo::Demo::build },
    BuiltIn { name: "smoke", about: "for test suites: one input is one step, 150 ticks", build: smoke::Smoke::build },
    BuiltIn {
        name: "bench",
        about: "for measuring: timestamps, padding, votes on request",
        build: bench::Bench::build,
    },
];

/// The built-in game of that name.
pub fn built_in(name: &str) -> Option<&'static BuiltIn> {
    GAMES.iter().find(|game| game.name == name)
}
