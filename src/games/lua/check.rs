//! `tessera check GAMES/`: loads every script and plays each mode for a while with made-up players, twice on two
//! threads, and says what it would do wrong in front of real ones.

use std::path::Path;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::budget::{Allowance, cpu_now_us};
use super::discover::{ScriptMode, discover_with};
use super::host::Birth;
use super::pace::{Pace, ms};
use super::play::LuaGame;
use super::report::Fault;
use super::sandbox::guarded;
use super::script::Script;
use crate::engine::modes::Mode;
use crate::engine::votes::config::{Templates, VoteConfig};
use crate::games::{Audience, Effect, Game, GameCx, Json, OpenVote};
use crate::ids::{MatchId, PlayerId, VoteId};

/// Ticks each mode is played for unless it is over before.
pub const TICKS: u64 = 300;

/// Players made up for one match at most.
const PLAYERS_MAX: u32 = 8;

/// Of them, bots at most, where the script has any.
const BOTS_MAX: u32 = 2;

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

/// What players say now and then, for a script that judges it.
const SAID: &[&str] = &["gg", "lol", "well played! \u{1f389}", "%d [a-z]* ((", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"];

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
    check_with(folder, ticks, Allowance::default(), &|_, _| {})
}

/// [`check`] with another allowance, saying as it goes which mode it plays and how many ticks of it were played.
pub fn check_with(folder: &Path, ticks: u64, allowance: Allowance, progress: &(dyn Fn(&str, u64) + Sync)) -> Checked {
    let mut checked = Checked::default();
    let games = match discover_with(folder, allowance) {
        Ok(games) => games,
        Err(faults) => return Checked { faults, ..checked },
    };
    checked.warnings = games.warnings;
    for mode in &games.modes {
        checked.warnings.extend(mode.warnings.iter().cloned());
        let file = mode.script.file();
        match two_runs(mode, ticks, progress) {
            (Ok(first), Ok(second)) => {
                if first.digest != second.digest && first.pace.ticks_us.len() == second.pace.ticks_us.len() {
                    let text = "two matches of one seed and the same inputs did not show the same frames";
                    checked.faults.push(Fault::of_file(file, text));
                }
                let pace = first.pace.best(second.pace);
                let (making, slowest) = (ms(pace.making_us), ms(pace.slowest_us()));
                let frames = digits(&first.digest);
                let line = first.line;
                checked.played.push(format!("{line}, made in {making}, slowest tick {slowest}, frames {frames}"));
                checked.faults.extend(first.faults);
                checked.faults.extend(pace.faults(file, mode.script.allowance(), first.hz));
                checked.warnings.extend(first.warnings);
            }
            (Err(fault), _) | (_, Err(fault)) => checked.faults.push(fault),
        }
    }
    checked
}

/// Two runs, of which none was stopped at a tick that only a busy machine made slow.
fn two_runs(
    mode: &ScriptMode,
    ticks: u64,
    progress: &(dyn Fn(&str, u64) + Sync),
) -> (Result<Run, Fault>, Result<Run, Fault>) {
    let run = || on_a_thread(mode, ticks, progress);
    match (run(), run()) {
        (Ok(first), Ok(second)) if first.stopped && !second.stopped => (run(), Ok(second)),
        (Ok(first), Ok(second)) if second.stopped && !first.stopped => (Ok(first), run()),
        both => both,
    }
}

/// Two machines on two threads differ in every address, and so in everything that depends on one.
fn on_a_thread(mode: &ScriptMode, ticks: u64, progress: &(dyn Fn(&str, u64) + Sync)) -> Result<Run, Fault> {
    let panicked = || Fault::of_file(mode.script.file(), "the match panicked: this is a fault of the server");
    std::thread::scope(|scope| scope.spawn(|| play(mode, ticks, progress)).join().map_err(|_| panicked())?)
}

/// How one match went.
struct Run {
    line: String,
    digest: [u8; 32],
    pace: Pace,
    hz: u32,
    /// Before its time, as a tick took far more than there is.
    stopped: bool,
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
    /// The last of them, whom the script itself plays.
    bots: Vec<PlayerId>,
    tick: u64,
    rng: ChaCha8Rng,
    /// Processor time of the game since the last tick.
    used_us: u64,
    pace: Pace,
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

fn play(mode: &ScriptMode, ticks: u64, progress: &(dyn Fn(&str, u64) + Sync)) -> Result<Run, Fault> {
    guarded(mode.script.file(), || play_it(mode, ticks, progress))
}

fn play_it(mode: &ScriptMode, ticks: u64, progress: &(dyn Fn(&str, u64) + Sync)) -> Result<Run, Fault> {
    let rules = mode.mode(None)?;
    let file = mode.script.file();
    let options =
        serde_json::value::to_raw_value(&rules.game_options).map_err(|e| Fault::of_file(file, e.to_string()))?;
    // Nobody waits for this match, so it goes the same way on a busy machine.
    let script = Script::new(file, mode.script.sources(), mode.script.allowance().unhurried());
    let began_us = cpu_now_us();
    let game = LuaGame::new(script, &options, Birth::trial(1, 0)).map_err(|e| e.0)?;
    let making_us = cpu_now_us().saturating_sub(began_us);
    let object = |value: &serde_json::Value| value.as_object().cloned().unwrap_or_default();
    let mut table = Table {
        mode,
        game,
        templates: mode.vote_templates.iter().map(|(name, value)| (name.clone(), object(value))).collect(),
        players: Vec::new(),
        bots: Vec::new(),
        tick: 0,
        used_us: 0,
        pace: Pace { making_us, ticks_us: Vec::new() },
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
    table.game.machine.host.note_refused_calls();
    let seats = table.rules.players.max.min(PLAYERS_MAX);
    let bots = if table.game.plays_bots() { (seats / 2).min(BOTS_MAX) } else { 0 };
    for n in 1..=seats {
        table.join(PlayerId::from_u128(u128::from(n)), n > seats - bots);
    }
    let (mut bytes_max, mut stopped) = (0, false);
    while table.tick < ticks && !table.finished && !stopped {
        progress(&mode.name, table.tick);
        table.one_tick();
        stopped = table.pace.is_hopeless(mode.script.allowance());
        bytes_max = bytes_max.max(table.game.memory_bytes());
        if table.tick == ticks * 3 / 4
            && let Some(first) = table.players.first().copied()
        {
            table.players.remove(0);
            table.call(|game, cx| game.leave(cx, first));
        }
    }
    table.digest_frames();
    if !stopped {
        table.come_back();
    }
    for (file, line, text) in table.game.machine.host.take_refused_calls() {
        let line = Some(line).filter(|line| *line > 0);
        // What was told as a fault stands there.
        if !table.faults.iter().any(|fault| fault.line == line && fault.text.contains(&text)) {
            table.warn(Fault { file: if file.is_empty() { mode.script.file().to_owned() } else { file }, line, text });
        }
    }
    let digest: [u8; 32] = table.shown.finalize().into();
    let ended = match (table.finished, stopped) {
        (true, _) => "finished",
        (false, true) => "stopped",
        (false, false) => "still playing",
    };
    let bots = match table.bots.len() {
        0 => String::new(),
        bots => format!(" ({bots} of them bots)"),
    };
    let line = format!(
        "{} ({file}): {seats} players{bots}, {ended} after {} ticks, {} KB of memory, {} bytes of views",
        mode.name,
        table.tick,
        bytes_max.div_ceil(1024),
        table.shown_bytes,
    );
    let hz = table.rules.tick_hz;
    Ok(Run { line, digest, pace: table.pace, hz, stopped, faults: table.faults, warnings: table.warnings })
}

/// Twelve digits that two runs share only if they showed the same.
fn digits(digest: &[u8]) -> String {
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl Table<'_> {
    fn join(&mut self, player: PlayerId, bot: bool) {
        self.players.push(player);
        let file = self.mode.script.file();
        if bot {
            self.bots.push(player);
        }
        // Nothing is stored yet, of anybody.
        if self.call(|game, cx| game.is_behind(cx, &[player])) {
            self.call(|game, cx| game.loaded_all(cx, None, Some(Vec::new())));
            self.call(|game, cx| game.loaded_all(cx, Some(player), Some(Vec::new())));
        }
        if let Err(refused) = self.call(|game, cx| game.join(cx, player, None)) {
            self.players.retain(|p| *p != player);
            self.bots.retain(|p| *p != player);
            let text = format!("join without a ctx was refused: \"{}\"", refused.reason);
            self.warn(Fault::of_file(file, text));
        } else if bot {
            let name = self.game.bot_names().get(self.bots.len() - 1).cloned().unwrap_or_else(|| "bot".into());
            self.call(|game, cx| game.bot_added(cx, player, &name));
        }
    }

    fn warn(&mut self, warning: Fault) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Those who sit at a screen.
    fn people(&self) -> Vec<PlayerId> {
        self.players.iter().filter(|player| !self.bots.contains(player)).copied().collect()
    }

    fn one_tick(&mut self) {
        if self.tick == 0 {
            // What joins took was theirs.
            self.used_us = 0;
        }
        for player in self.people() {
            let input = INPUTS[self.rng.random_range(0..INPUTS.len())];
            if let Ok(input) = serde_json::from_str::<Box<RawValue>>(input) {
                self.call(|game, cx| game.input(cx, player, &input));
            }
        }
        if let Some(player) = self.people().first().copied() {
            let said = SAID[self.tick as usize % SAID.len()];
            self.call(|game, _| game.judge_chat(player, said));
        }
        self.call(|game, cx| game.tick(cx));
        self.tick += 1;
        if let Some(config) = self.call(|game, cx| game.vote_requested(cx)) {
            self.open(&config);
        }
        self.close_votes();
        match self.game.audience() {
            Audience::Shared => self.look(None),
            Audience::PerPlayer => {
                for player in self.people() {
                    self.look(Some(player));
                }
                // Spectators, where they are shown anything.
                self.look(None);
            }
        }
        self.pace.ticks_us.push(std::mem::take(&mut self.used_us));
        self.frames.push(b'\n');
        self.digest_frames();
    }

    /// Whether what `snapshot` saves is what `restore` brings back: saved again, it has to read the same.
    fn come_back(&mut self) {
        let Some(saved) = self.call(|game, _| game.snapshot()) else { return };
        let text = if !self.call(|game, _| game.restore(&saved)) {
            "restore does not take what snapshot returned, or returns no table"
        } else if self.call(|game, _| game.snapshot()).is_none_or(|again| again != saved) {
            "restore(snapshot(state)) is another state: saved once more it reads differently"
        } else {
            return;
        };
        self.warn(Fault::of_file(self.mode.script.file(), text));
    }

    /// Shows `viewer` (or everyone, or spectators) what there is to see.
    fn look(&mut self, viewer: Option<PlayerId>) {
        let callback = match (self.game.audience(), viewer) {
            (Audience::PerPlayer, None) => "spectate",
            _ => "get_state",
        };
        let file = self.mode.script.file();
        let (before, start) = (self.game.state_text(), self.frames.len());
        let began_us = cpu_now_us();
        self.game.view(viewer, &mut self.frames);
        self.used_us += cpu_now_us().saturating_sub(began_us);
        let shown = &self.frames[start..];
        if shown.first().is_some_and(|byte| !b"{[".contains(byte)) {
            let shown: String = String::from_utf8_lossy(shown).chars().take(40).collect();
            self.warn(Fault::of_file(file, format!("{callback} returned no table: clients are sent {shown}")));
        }
        if before != self.game.state_text() {
            let text = format!("{callback} changes the state: how often it is called depends on who looks");
            self.warn(Fault::of_file(file, text));
        }
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
        let began_us = cpu_now_us();
        let done = call(&mut self.game, &mut cx);
        self.used_us += cpu_now_us().saturating_sub(began_us);
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
                self.warn(Fault::of_file(self.mode.script.file(), text));
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

    /// What is said of a lone `match.lua`.
    fn told(name: &str, text: &str, ticks: u64) -> (Vec<String>, Vec<String>) {
        let folder = std::env::temp_dir().join(format!("tessera-check-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("match.lua"), text).unwrap();
        let checked = check(&folder, ticks);
        std::fs::remove_dir_all(&folder).unwrap();
        (checked.faults.iter().chain(&checked.warnings).map(Fault::to_string).collect(), checked.played)
    }

    #[test]
    fn what_would_be_odd_in_play_is_said() {
        for (name, text, expected) in [
            (
                "view",
                "function tick(s) end function get_state(id, s) return 5 end",
                "match.lua: get_state returned no table: clients are sent 5",
            ),
            (
                "changing",
                "function tick(s) end function get_state(id, s) s.seen = (s.seen or 0) + 1 return {} end",
                "match.lua: get_state changes the state",
            ),
            (
                "watching",
                "function get_state(id, s) return {} end function spectate(s) s.seen = (s.seen or 0) + 1 return {} end",
                "match.lua: spectate changes the state",
            ),
            (
                "join",
                "function join(id, s) return true end",
                "match.lua:1: join: join returned a boolean, and the player is refused: expected the state, or nil and a reason to refuse",
            ),
            (
                "callback",
                "function init() return {} end\ntick = 5",
                "match.lua:2: tick is called by the server: expected a function, got 5",
            ),
            (
                "phases",
                "function phases() return {{name = 'a'}, {}} end",
                "match.lua:1: phases: phase 2: its name is nil, expected a string",
            ),
            (
                "next",
                "function tick(s) local t, k = {[{}] = 1, [{}] = 2}, nil repeat k = next(t, k) until not k end",
                "match.lua: pairs() over tables or functions as keys has no defined order, nor has next()",
            ),
            (
                "bots",
                "max_players = 2 bots = {} function think(id, s) error('what now') end",
                "match.lua:1: think: what now",
            ),
        ] {
            let (told, _) = told(name, text, 20);
            assert!(told.iter().any(|line| line.starts_with(expected)), "{name}: {told:#?}");
        }
    }

    #[test]
    fn a_state_that_does_not_come_back_is_said() {
        let script = |restore: &str| {
            format!(
                "function init() return {{ n = 0, hidden = 7 }} end
                 function tick(s) s.n = s.n + 1 return s end
                 function snapshot(s) return {{ n = s.n, hidden = s.hidden }} end {restore}"
            )
        };
        for (name, restore, expected) in [
            ("restores", "function restore(data) return data end", None),
            ("restores-not", "", Some("match.lua: restore does not take what snapshot returned")),
            (
                "restores-half",
                "function restore(data) return { n = data.n, hidden = 0 } end",
                Some("match.lua: restore(snapshot(state)) is another state"),
            ),
        ] {
            let (told, _) = told(name, &script(restore), 20);
            let said = |expected| told.iter().any(|line: &String| line.starts_with(expected));
            assert!(expected.map_or(told.is_empty(), said), "{name}: {told:#?}");
        }
    }

    #[test]
    fn a_script_that_is_too_slow_to_be_played_is_found_soon() {
        // Some hundred instructions, each of which reads a quarter of a megabyte as a number.
        let slow = "local s = (' '):rep(240000) .. '1' for i = 1, 2000 do local x = s + 1 end";
        let began = std::time::Instant::now();
        let (faults, played) = told("slow", &format!("function tick(state) {slow} return state end"), 300);
        assert!(
            faults.iter().any(|line| line.contains(" of processor time here, and a match has 12.5 ms left for it")),
            "{faults:#?}"
        );
        assert!(played[0].contains("stopped after 1 ticks") && played[0].contains("slowest tick"), "{played:?}");
        let (faults, _) = told("making", &format!("{slow} {slow}\nfunction tick(state) return state end"), 5);
        let said = ["making a match takes ", "over its budget of processor time"];
        assert!(faults.iter().any(|line| said.iter().any(|said| line.contains(said))), "{faults:#?}");
        assert!(began.elapsed() < std::time::Duration::from_secs(60));
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
