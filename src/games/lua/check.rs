//! `tessera check GAMES/`: loads every script and plays each mode for a while with made-up players, twice on two
//! threads, and says what it would do wrong in front of real ones.

use std::path::Path;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::discover::{ScriptMode, discover};
use super::host::Birth;
use super::play::LuaGame;
use super::report::Fault;
use super::script::Script;
use crate::engine::modes::Mode;
use crate::engine::votes::config::{Templates, VoteConfig};
use crate::games::{Audience, Effect, Game, GameCx, Json, OpenVote};
use crate::ids::{MatchId, PlayerId, VoteId};

/// Ticks each mode is played for unless it is over before.
pub const TICKS: u64 = 300;

/// Players made up for one match at most.
const PLAYERS_MAX: u32 = 8;

/// Ticks a vote that a script opens stays open here.
const VOTE_TICKS: u64 = 20;

/// What clients of many kinds send; a script has to live with all of them.
const INPUTS: &[&str] = &[
    "{}",
    r#"{"move_x":1,"move_y":-0.5}"#,
    r#"{"right":true,"up":true}"#,
    r#"{"shoot":true,"aim_x":100,"aim_y":50}"#,
    r#"{"throw":"rock"}"#,
    r#"{"throw":"paper"}"#,
    r#"{"action":"attack"}"#,
    r#"{"move_x":"left","throw":7,"action":{}}"#,
    r#"{"type":"boon_pick","boon_id":"x"}"#,
];

/// What a games folder was found to be.
#[derive(Debug, Default)]
pub struct Checked {
    /// One line for each mode that was played.
    pub played: Vec<String>,
    /// What keeps the folder, or one of its scripts, from working.
    pub faults: Vec<Fault>,
    /// What its author should know.
    pub warnings: Vec<Fault>,
}

/// Loads and plays everything in `folder`, each mode for `ticks` ticks.
pub fn check(folder: &Path, ticks: u64) -> Checked {
    let mut checked = Checked::default();
    let games = match discover(folder) {
        Ok(games) => games,
        Err(faults) => return Checked { faults, ..checked },
    };
    checked.warnings = games.warnings;
    for mode in &games.modes {
        checked.warnings.extend(mode.warnings.iter().cloned());
        let file = mode.script.file();
        match (on_a_thread(mode, ticks), on_a_thread(mode, ticks)) {
            (Ok(first), Ok(second)) => {
                if first.digest != second.digest {
                    let text = "two matches of one seed and the same inputs did not show the same frames";
                    checked.faults.push(Fault::of_file(file, text));
                }
                checked.played.push(first.line);
                checked.faults.extend(first.faults);
                checked.warnings.extend(first.warnings);
            }
            (Err(fault), _) | (_, Err(fault)) => checked.faults.push(fault),
        }
    }
    checked
}

/// Two machines on two threads differ in every address, and so in everything that depends on one.
fn on_a_thread(mode: &ScriptMode, ticks: u64) -> Result<Run, Fault> {
    let panicked = || Fault::of_file(mode.script.file(), "the match panicked: this is a fault of the server");
    std::thread::scope(|scope| scope.spawn(|| play(mode, ticks)).join().map_err(|_| panicked())?)
}

/// How one match went.
struct Run {
    line: String,
    digest: [u8; 32],
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

/// A match with nobody in it but us.
struct Table<'a> {
    mode: &'a ScriptMode,
    game: LuaGame,
    rules: Mode,
    templates: Templates,
    players: Vec<PlayerId>,
    tick: u64,
    rng: ChaCha8Rng,
    /// What was shown since the last tick, and what was shown before: its digest and how much it was.
    frames: Vec<u8>,
    shown: Sha256,
    shown_bytes: usize,
    effects: Vec<Effect>,
    /// Open votes: when each closes, its label, its first option.
    votes: Vec<(u64, OpenVote, String)>,
    finished: bool,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

fn play(mode: &ScriptMode, ticks: u64) -> Result<Run, Fault> {
    let rules = mode.mode(None)?;
    let file = mode.script.file();
    let options =
        serde_json::value::to_raw_value(&rules.game_options).map_err(|e| Fault::of_file(file, e.to_string()))?;
    // Nobody waits for this match, so it goes the same way on a busy machine.
    let script = Script::new(file, mode.script.sources(), mode.script.allowance().unhurried());
    let game = LuaGame::new(script, &options, Birth { seed: 1, unix_us: 0 }).map_err(|e| e.0)?;
    let object = |value: &serde_json::Value| value.as_object().cloned().unwrap_or_default();
    let mut table = Table {
        mode,
        game,
        templates: mode.vote_templates.iter().map(|(name, value)| (name.clone(), object(value))).collect(),
        players: Vec::new(),
        tick: 0,
        rng: ChaCha8Rng::seed_from_u64(1),
        frames: Vec::new(),
        shown: Sha256::new(),
        shown_bytes: 0,
        effects: Vec::new(),
        votes: Vec::new(),
        finished: false,
        faults: Vec::new(),
        warnings: Vec::new(),
        rules,
    };
    table.game.vote_templates(&Arc::new(table.templates.clone()));
    let seats = table.rules.players.max.min(PLAYERS_MAX);
    for n in 1..=seats {
        table.join(PlayerId::from_u128(u128::from(n)));
    }
    let mut bytes_max = 0;
    while table.tick < ticks && !table.finished {
        table.one_tick();
        bytes_max = bytes_max.max(table.game.memory_bytes());
        if table.tick == ticks * 3 / 4
            && let Some(first) = table.players.first().copied()
        {
            table.players.remove(0);
            table.call(|game, cx| game.leave(cx, first));
        }
    }
    table.digest_frames();
    let digest: [u8; 32] = table.shown.finalize().into();
    let ended = if table.finished { "finished" } else { "still playing" };
    let line = format!(
        "{} ({file}): {seats} players, {ended} after {} ticks, {} KB of memory, {} bytes of views, frames {}",
        mode.name,
        table.tick,
        bytes_max.div_ceil(1024),
        table.shown_bytes,
        digits(&digest)
    );
    Ok(Run { line, digest, faults: table.faults, warnings: table.warnings })
}

/// Twelve digits that two runs share only if they showed the same.
fn digits(digest: &[u8]) -> String {
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl Table<'_> {
    fn join(&mut self, player: PlayerId) {
        self.players.push(player);
        let file = self.mode.script.file();
        if let Err(refused) = self.call(|game, cx| game.join(cx, player, None)) {
            self.players.retain(|p| *p != player);
            let text = format!("join without a ctx was refused: \"{}\"", refused.reason);
            self.warnings.push(Fault::of_file(file, text));
        }
    }

    fn one_tick(&mut self) {
        for player in self.players.clone() {
            let input = INPUTS[self.rng.random_range(0..INPUTS.len())];
            if let Ok(input) = serde_json::from_str::<Box<RawValue>>(input) {
                self.call(|game, cx| game.input(cx, player, &input));
            }
        }
        self.call(|game, cx| game.tick(cx));
        self.tick += 1;
        if let Some(config) = self.call(|game, cx| game.vote_requested(cx)) {
            self.open(&config);
        }
        self.close_votes();
        match self.game.audience() {
            Audience::Shared => self.game.view(None, &mut self.frames),
            Audience::PerPlayer => {
                for player in &self.players {
                    self.game.view(Some(*player), &mut self.frames);
                }
            }
        }
        self.frames.push(b'\n');
        self.digest_frames();
    }

    fn digest_frames(&mut self) {
        self.shown.update(&self.frames);
        self.shown_bytes += self.frames.len();
        self.frames.clear();
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut LuaGame, &mut GameCx<'_>) -> T) -> T {
        let hz = u64::from(self.rules.tick_hz.max(1));
        let mut cx = GameCx {
            match_id: MatchId::from_u128(1),
            tick: self.tick,
            elapsed_us: self.tick * 1_000_000 / hz,
            dt_us: 1_000_000 / hz,
            unix_us: 0,
            rng: &mut self.rng,
            players: &self.players,
            effects: &mut self.effects,
        };
        let done = call(&mut self.game, &mut cx);
        for effect in std::mem::take(&mut self.effects) {
            self.settle(effect);
        }
        done
    }

    fn settle(&mut self, effect: Effect) {
        match effect {
            Effect::ScriptFault(fault) => {
                let text = format!("{}: {}", fault.callback, fault.message);
                let told = Fault { file: fault.file, line: fault.line, text };
                // An input that fails changes nothing and is told to nobody but the author: worth knowing, no more.
                let strange_input = fault.callback == "handle_input" && !fault.over_budget;
                let list = if strange_input { &mut self.warnings } else { &mut self.faults };
                if !list.contains(&told) {
                    list.push(told);
                }
            }
            Effect::Log(line) if line.starts_with("warning: ") => {
                let text = line.trim_start_matches("warning: ");
                self.warnings.push(Fault::of_file(self.mode.script.file(), text));
            }
            Effect::OpenVote(config) => self.open(&config),
            Effect::Broadcast { event, payload } => {
                self.frames.extend_from_slice(event.as_bytes());
                self.frames.extend_from_slice(payload.get().as_bytes());
            }
            Effect::Finish(result) => {
                self.finished = true;
                self.frames.extend_from_slice(result.get().as_bytes());
            }
            _ => {}
        }
    }

    fn open(&mut self, config: &Json) {
        match VoteConfig::from_json(config.get(), &self.templates) {
            Err(faults) => {
                for fault in faults {
                    let fault = Fault::of_file(self.mode.script.file(), format!("a vote was asked for: {fault}"));
                    if !self.faults.contains(&fault) {
                        self.faults.push(fault);
                    }
                }
            }
            // One open vote per template: the rest is refused in play too.
            Ok(vote) if self.votes.iter().any(|(_, open, _)| open.template == vote.template) => {}
            Ok(vote) => {
                let winner = vote.options.first().map(|option| option.id.clone()).unwrap_or_default();
                let id = VoteId::new(self.tick, &mut self.rng);
                let open = OpenVote { id, template: vote.template };
                self.votes.push((self.tick + VOTE_TICKS, open, winner));
                self.tell_votes();
            }
        }
    }

    fn close_votes(&mut self) {
        let due = self.votes.iter().position(|(at, ..)| *at <= self.tick);
        let Some((_, open, winner)) = due.map(|i| self.votes.remove(i)) else { return };
        self.tell_votes();
        let counts = serde_json::json!({ &winner: 1 });
        let result = serde_json::json!({
            "vote_id": open.id.as_str(), "status": "decided", "winner": winner, "winners": [winner],
            "counts": counts, "distribution": counts, "total_votes": 1, "counted": 1, "turnout": 1.0,
        });
        if let Ok(result) = serde_json::value::to_raw_value(&result) {
            self.call(|game, cx| game.vote_resolved(cx, &open.template, &result));
        }
    }

    fn tell_votes(&mut self) {
        let open: Vec<OpenVote> = self.votes.iter().map(|(_, open, _)| open.clone()).collect();
        self.game.open_votes(&open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_clean() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/games");
        let checked = check(&folder, 120);
        assert_eq!((checked.faults, checked.warnings), (vec![], vec![]));
        let modes: Vec<_> = checked.played.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(modes, ["crawl", "gate", "lua_arena", "rps"]);
    }

    #[test]
    fn what_a_script_does_wrong_is_found() {
        let folder = std::env::temp_dir().join(format!("tessera-check-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = "max_players = 'two'
function init() return { keys = { [{}] = 1, [{}] = 2, [{}] = 3 } } end
function join(id, state) if false then return state end end
function handle_input(id, input, state) return state end
function tick(state) for k in pairs(state.keys) do end state.x = 0/0 return state end
function get_state(id, state) return state.keys.missing.x end
function vote_requested(state) return { template = 't', options = { 'a', 'b' }, method = 'luck' } end";
        std::fs::write(folder.join("match.lua"), text).unwrap();
        let checked = check(&folder, 40);
        std::fs::remove_dir_all(&folder).unwrap();
        let told: Vec<_> = checked.faults.iter().chain(&checked.warnings).map(Fault::to_string).collect();
        for expected in [
            "match.lua:1: max_players: expected a whole number",
            "join without a ctx was refused",
            "pairs() over tables",
            "a vote was asked for: method",
        ] {
            assert!(told.iter().any(|line| line.contains(expected)), "{expected}: {told:#?}");
        }
    }
}
