//! What the globals of a script say about its mode, and what they say wrongly.

use mlua::{Table, Value};
use serde_json::{Map, Value as Json, json};

use super::calls::CALLBACKS;
use super::discover::merge;
use super::host::Host;
use super::report::{Fault, kind_of};
use super::sandbox::Machine;
use crate::engine::modes::Mode;
use crate::limits::GROUP_PLAYERS_MAX;
use crate::limits::scripts::{BOTS_TO_MAX, GLOBAL_BYTES_MAX};

/// What a script's body says when it is run once.
pub(super) struct Found {
    pub(super) overrides: Map<String, Json>,
    pub(super) vote_templates: Map<String, Json>,
    pub(super) guest_auth: Option<bool>,
    pub(super) warnings: Vec<Fault>,
}

impl Found {
    pub(super) fn empty() -> Self {
        Self { overrides: Map::new(), vote_templates: Map::new(), guest_auth: None, warnings: Vec::new() }
    }
}

/// What a global has to be.
#[derive(Clone, Copy)]
enum Want {
    Count { min: i64, max: i64 },
    Number { min: f64, max: f64 },
    Bool,
    Word(&'static [(&'static str, &'static str)]),
    Object,
    Objects,
    Words,
}

/// One row per global that is read as it is: its name, where it goes in the mode's table, and what it has to be.
const GLOBALS: &[(&str, &str, Want)] = &[
    ("match_size", "matchmaking.size", Want::Count { min: 1, max: GROUP_PLAYERS_MAX as i64 }),
    ("max_players", "players.max", Want::Count { min: 1, max: 1_000 }),
    ("min_players", "players.min", Want::Count { min: 1, max: 1_000 }),
    ("strategy", "matchmaking.strategy", Want::Word(&[("fill", "fill"), ("skill", "skill"), ("skill_based", "skill")])),
    ("skill_window", "matchmaking.window", Want::Count { min: 0, max: 1_000_000 }),
    ("skill_expand_rate", "matchmaking.widen.per_s", Want::Count { min: 0, max: 1_000_000 }),
    ("listed", "listed", Want::Bool),
    ("quick_play", "quick_play", Want::Bool),
    ("create", "create", Want::Bool),
    ("tick_hz", "tick_hz", Want::Count { min: 1, max: 128 }),
    ("spectators", "spectators", Want::Count { min: 0, max: 100_000 }),
    ("private", "private", Want::Word(&[("off", "off"), ("allowed", "allowed"), ("always", "always")])),
    ("veto_tokens_per_player", "veto_tokens_per_player", Want::Count { min: 0, max: 1_000 }),
    ("frustration_bonus_bp", "frustration_bonus_bp", Want::Count { min: 0, max: 1_000_000 }),
    ("waiting_timeout_s", "waiting_timeout_s", Want::Count { min: 1, max: 86_400 }),
    ("state_full_every", "state_full_every", Want::Count { min: 1, max: 10_000 }),
    ("idle_s", "idle_s", Want::Count { min: 0, max: 86_400 }),
    ("motions", "motions", Want::Words),
    ("reconnect", "reconnect", Want::Object),
    ("matchmaking", "matchmaking", Want::Object),
    ("game_options", "game_options", Want::Object),
    ("votes", "votes", Want::Objects),
];

/// Reads the globals of one script.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) source: &'a str,
    pub(super) machine: &'a Machine,
    pub(super) globals: Table,
    pub(super) found: Found,
}

impl Reader<'_> {
    pub(super) fn read(&mut self) {
        for (name, path, want) in GLOBALS {
            if let Some(value) = self.take(name, *want) {
                self.put(path, value);
            }
        }
        // One number says both how many players are matched and how many make a match.
        let size = self.at("matchmaking.size").and_then(Json::as_i64);
        let max = self.at("players.max").and_then(Json::as_i64);
        if let Some(size) = size {
            if self.at("players.min").is_none() {
                self.put("players.min", json!(size.min(max.unwrap_or(size))));
            }
            if max.is_none() {
                self.put("players.max", json!(size));
            } else if max < Some(size) {
                self.warn("max_players", "max_players is less than match_size");
                self.put("players.max", json!(size));
            }
        } else if let (None, Some(max)) = (self.at("players.min"), max) {
            self.put("players.min", json!(max.min(2)));
        }
        if let (Some(Json::Number(ms)), None) =
            (self.take("tick_rate", Want::Number { min: 1.0, max: 1_000.0 }), self.at("tick_hz"))
        {
            // Milliseconds per tick, as the public interface has it.
            let hz = (1_000.0 / ms.as_f64().unwrap_or(100.0)).round().clamp(1.0, 128.0) as u32;
            self.put("tick_hz", json!(hz));
        }
        if let Some(bonus) = self.take("frustration_bonus", Want::Number { min: 0.0, max: 100.0 }) {
            self.put("frustration_bonus_bp", json!((bonus.as_f64().unwrap_or(0.0) * 10_000.0).round() as u32));
        }
        self.read_bots();
        self.read_callbacks();
        self.take("state_strategy", Want::Word(&[("shared", "shared"), ("per_player", "per_player")]));
        if let Some(Json::Bool(guests)) = self.take("guest_auth", Want::Bool) {
            self.found.guest_auth = Some(guests);
        }
        if let Some(Json::Object(templates)) = self.take("vote_templates", Want::Object) {
            self.found.vote_templates = templates;
        }
        self.read_players();
        self.seat_bots(max.is_some());
        let whole = Json::Object(self.found.overrides.clone());
        if let Err(e) = serde_json::from_value::<Mode>(whole) {
            // Every scalar was checked above, so this is a key inside one of the tables.
            for table in ["matchmaking", "reconnect", "votes"] {
                if let Some(value) = self.found.overrides.get(table).cloned()
                    && serde_json::from_value::<Mode>(json!({ table: value })).is_err()
                {
                    self.warn(table, &e.to_string());
                    self.found.overrides.remove(table);
                }
            }
        }
    }

    /// Functions that are nearly called like a callback that is not there: nobody would call them.
    fn read_near_callbacks(&mut self) {
        let mut functions: Vec<_> = self
            .globals
            .pairs::<Value, Value>()
            .filter_map(Result::ok)
            .filter_map(|(name, value)| Some((name.as_string()?.to_string_lossy(), value)))
            .filter(|(name, value)| value.is_function() && !CALLBACKS.contains(&name.as_str()))
            .map(|(name, _)| name)
            .collect();
        functions.sort();
        let game = self.globals.raw_get::<Option<Table>>("game").ok().flatten();
        let tables = [Some(self.globals.clone()), game];
        for callback in CALLBACKS {
            let is_there = |table: &Table| table.raw_get::<Value>(*callback).is_ok_and(|it| !it.is_nil());
            if tables.iter().flatten().any(is_there) {
                continue;
            }
            let far = if callback.len() > 5 { 2 } else { 1 };
            let near = functions
                .iter()
                .find(|name| name.len().abs_diff(callback.len()) <= far && strsim::osa_distance(name, callback) <= far);
            if let Some(name) = near.filter(|name| line_of(self.source, name).is_some()) {
                self.warn(
                    name,
                    &format!("the server calls {callback}, which is not there, and not {name}: did you mean that?"),
                );
            }
        }
    }

    /// Names of callbacks that are something else: they would never be called.
    fn read_callbacks(&mut self) {
        self.read_near_callbacks();
        let game = self.globals.raw_get::<Value>("game").ok();
        for name in CALLBACKS {
            let in_game = match &game {
                Some(Value::Table(game)) => game.raw_get::<Value>(*name).ok(),
                _ => None,
            };
            for found in [self.globals.raw_get::<Value>(*name).ok(), in_game].into_iter().flatten() {
                if !matches!(found, Value::Nil | Value::Function(_)) {
                    self.warn(
                        name,
                        &format!("{name} is called by the server: expected a function, got {}", shown(&found)),
                    );
                }
            }
        }
    }

    /// `bots = {script =, min_players =, enabled =}`: declaring it lets bots fill groups that wait, to `min_players`
    /// where that is more than a group has.
    fn read_bots(&mut self) {
        match self.globals.raw_get::<Value>("bots") {
            Ok(Value::Table(bots)) => {
                let enabled = !matches!(bots.raw_get::<Value>("enabled"), Ok(Value::Boolean(false)));
                let script = bots.raw_get::<Value>("script").unwrap_or(Value::Nil);
                let here = match &script {
                    Value::Nil => true,
                    Value::String(path) => {
                        let path = super::play::beside(self.file, &path.to_string_lossy());
                        self.machine.host.sources().has(&path)
                    }
                    _ => false,
                };
                if !here {
                    self.warn("bots", "bots.script names no file of the games folder");
                }
                let min_players = bots.raw_get::<Value>("min_players").unwrap_or(Value::Nil);
                match fit(&self.machine.host, &min_players, Want::Count { min: 1, max: BOTS_TO_MAX }) {
                    Ok(players) => {
                        let size = self.at("matchmaking.size").and_then(Json::as_i64);
                        if players.as_i64() < size {
                            self.warn("bots", "bots.min_players is less than match_size, which bots fill all the same");
                        } else if players.as_i64() > size {
                            self.put("matchmaking.bots_to", players);
                        }
                    }
                    Err(_) if min_players.is_nil() => {}
                    Err(wanted) => {
                        let text = format!("bots.min_players: expected {wanted}, got {}", shown(&min_players));
                        self.warn("bots", &text);
                    }
                }
                if enabled && self.at("matchmaking.bots_after_s").is_none() {
                    // As long as the public interface lets a queue wait before it looks for bots.
                    self.put("matchmaking.bots_after_s", json!(8));
                }
            }
            Ok(Value::Nil | Value::Boolean(_)) | Err(_) => {}
            Ok(other) => self.warn("bots", &format!("bots: expected a table, got {}", shown(&other))),
        }
    }

    /// `bots.min_players` is no more than the match has seats: those that `match_size` alone spoke of become as many, those
    /// that the author counted stay.
    fn seat_bots(&mut self, counted: bool) {
        let Some(bots_to) = self.at("matchmaking.bots_to").and_then(Json::as_i64) else { return };
        let counted = counted
            || matches!(self.globals.raw_get::<Value>("players"), Ok(Value::Table(players))
                if matches!(players.raw_get::<Value>("max"), Ok(Value::Integer(1..=1_000))));
        let default = i64::from(Mode::default().players.max);
        let max = self.at("players.max").and_then(Json::as_i64).unwrap_or(default);
        if bots_to <= max {
            return;
        }
        if counted {
            self.warn("bots", &format!("bots.min_players is more than the {max} seats there are, which bots fill"));
        } else {
            self.put("players.max", json!(bots_to));
        }
    }

    /// `players = {min =, max =}`: a common name for other things, so only that shape is taken.
    fn read_players(&mut self) {
        let Ok(Value::Table(players)) = self.globals.raw_get::<Value>("players") else { return };
        for key in ["min", "max"] {
            if let Ok(Value::Integer(n @ 1..=1_000)) = players.raw_get::<Value>(key) {
                self.put(&format!("players.{key}"), json!(n));
            }
        }
    }

    /// The global of that name where it is what is wanted; otherwise says what it is instead.
    fn take(&mut self, name: &str, want: Want) -> Option<Json> {
        let value = self.globals.raw_get::<Value>(name).ok()?;
        if matches!(value, Value::Nil | Value::Function(_)) {
            return None;
        }
        match fit(&self.machine.host, &value, want) {
            Ok(json) => Some(json),
            // `votes = {}` and the like are a script's own variables, not a wrong list of ours.
            Err(_) if matches!(want, Want::Objects) => None,
            Err(wanted) => {
                self.warn(name, &format!("{name}: expected {wanted}, got {}", shown(&value)));
                None
            }
        }
    }

    fn at(&self, path: &str) -> Option<&Json> {
        let mut parts = path.split('.');
        let mut at = self.found.overrides.get(parts.next()?)?;
        for part in parts {
            at = at.get(part)?;
        }
        Some(at)
    }

    fn put(&mut self, path: &str, value: Json) {
        let mut wrapped = Map::new();
        let mut parts = path.rsplit('.');
        if let Some(last) = parts.next() {
            wrapped.insert(last.to_owned(), value);
        }
        for part in parts {
            wrapped = Map::from_iter([(part.to_owned(), Json::Object(wrapped))]);
        }
        merge(&mut self.found.overrides, &wrapped);
    }

    fn warn(&mut self, global: &str, text: &str) {
        let line = line_of(self.source, global);
        self.found.warnings.push(Fault { file: self.file.to_owned(), line, text: text.to_owned() });
    }
}

/// The line of the first assignment to a global, or of the function of that name.
fn line_of(source: &str, global: &str) -> Option<u32> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.:".contains(c);
    let assigns = |line: &str| {
        let line = line.split("--").next().unwrap_or_default();
        line.match_indices(global).any(|(at, _)| {
            let (before, after) = (&line[..at], line[at + global.len()..].trim_start());
            let is_set = after.starts_with('=') && !after.starts_with("==");
            let is_function = after.starts_with('(') && before.trim_end().ends_with("function");
            !before.ends_with(is_part) && (is_set || is_function)
        })
    };
    source.lines().position(assigns).and_then(|i| u32::try_from(i + 1).ok())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Boolean(b) => b.to_string(),
        Value::Integer(n) => n.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => format!("\"{}\"", s.to_string_lossy().chars().take(40).collect::<String>()),
        other => kind_of(other).to_owned(),
    }
}

fn fit(host: &Host, value: &Value, want: Want) -> Result<Json, String> {
    let object = || {
        let json = host.json(value, GLOBAL_BYTES_MAX, true).map_err(|e| e.to_string())?;
        serde_json::from_str::<Json>(json.get()).map_err(|e| e.to_string())
    };
    match (want, value) {
        (Want::Count { min, max }, Value::Integer(n)) if (min..=max).contains(n) => Ok(json!(n)),
        (Want::Count { min, max }, Value::Number(n)) if n.fract() == 0.0 && *n >= min as f64 && *n <= max as f64 => {
            Ok(json!(*n as i64))
        }
        (Want::Count { min, max }, _) => Err(format!("a whole number from {min} to {max}")),
        (Want::Number { min, max }, Value::Integer(n)) if (min..=max).contains(&(*n as f64)) => Ok(json!(*n as f64)),
        (Want::Number { min, max }, Value::Number(n)) if (min..=max).contains(n) => Ok(json!(n)),
        (Want::Number { min, max }, _) => Err(format!("a number from {min} to {max}")),
        (Want::Bool, Value::Boolean(b)) => Ok(json!(b)),
        (Want::Bool, _) => Err("true or false".into()),
        (Want::Word(words), value) => {
            let given = value.as_string().map(|s| s.to_string_lossy());
            let known = words.iter().find(|(word, _)| given.as_deref() == Some(*word));
            known.map(|(_, ours)| json!(ours)).ok_or_else(|| {
                let words: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                words.join(" or ")
            })
        }
        (Want::Object, Value::Table(_)) => match object()? {
            json @ Json::Object(_) => Ok(json),
            _ => Err("a table with named keys".into()),
        },
        (Want::Object, _) => Err("a table with named keys".into()),
        (Want::Objects, Value::Table(_)) => match object()? {
            Json::Array(items) if items.iter().all(|item| item.get("when").is_some()) => Ok(Json::Array(items)),
            _ => Err("a list of votes with `when`".into()),
        },
        (Want::Objects, _) => Err("a list of votes with `when`".into()),
        (Want::Words, Value::Table(_)) => match object()? {
            Json::Array(items) if items.iter().all(Json::is_string) => Ok(Json::Array(items)),
            Json::Object(none) if none.is_empty() => Ok(json!([])),
            _ => Err("a list of names".into()),
        },
        (Want::Words, _) => Err("a list of names".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::budget::Allowance;
    use super::super::discover::read_games;
    use super::super::script::Sources;
    use super::*;

    fn found(text: &str) -> (Json, String) {
        let text = format!("{text}\nfunction tick(state) return state end");
        let sources = Arc::new(Sources::from_texts([("match.lua", text.as_str())]).unwrap());
        let games = read_games(sources, Allowance::default()).unwrap();
        let mode = &games.modes[0];
        mode.mode(None).expect("globals that were taken make a mode");
        let warnings: Vec<_> = mode.warnings.iter().map(Fault::to_string).collect();
        (Json::Object(mode.overrides.clone()), warnings.join("; "))
    }

    #[test]
    fn globals_become_the_mode() {
        for (globals, mode) in [
            ("", json!({})),
            ("match_size = 2", json!({"matchmaking": {"size": 2}, "players": {"min": 2, "max": 2}})),
            (
                "match_size = 1 max_players = 8 strategy = 'skill_based' skill_window = 50 skill_expand_rate = 5.0",
                json!({"matchmaking": {"size": 1, "strategy": "skill", "window": 50, "widen": {"per_s": 5}},
                       "players": {"min": 1, "max": 8}}),
            ),
            ("min_players = 3 max_players = 4", json!({"players": {"min": 3, "max": 4}})),
            ("tick_rate = 50", json!({"tick_hz": 20})),
            ("tick_hz = 30 tick_rate = 50", json!({"tick_hz": 30})),
            (
                "frustration_bonus = 0.5 veto_tokens_per_player = 1",
                json!({"frustration_bonus_bp": 5000, "veto_tokens_per_player": 1}),
            ),
            ("bots = {}", json!({"matchmaking": {"bots_after_s": 8}})),
            ("bots = {enabled = false}", json!({})),
            (
                "match_size = 2 max_players = 6 bots = {min_players = 4}",
                json!({"matchmaking": {"size": 2, "bots_after_s": 8, "bots_to": 4}, "players": {"min": 2, "max": 6}}),
            ),
            (
                "match_size = 2 bots = {min_players = 2}",
                json!({"matchmaking": {"size": 2, "bots_after_s": 8}, "players": {"min": 2, "max": 2}}),
            ),
            (
                "match_size = 2 bots = {min_players = 4}",
                json!({"matchmaking": {"size": 2, "bots_after_s": 8, "bots_to": 4}, "players": {"min": 2, "max": 4}}),
            ),
            (
                "bots = {min_players = 4}",
                json!({"matchmaking": {"bots_after_s": 8, "bots_to": 4}, "players": {"max": 4}}),
            ),
            ("players = {} votes = {} my_own = 'x'", json!({})),
            (
                "players = {min = 2, max = 5} motions = {'kick'}",
                json!({"players": {"min": 2, "max": 5}, "motions": ["kick"]}),
            ),
            (
                "votes = {{when = 'start', template = 't', options = {'a', 'b'}}}",
                json!({"votes": [{"when": "start", "template": "t", "options": ["a", "b"]}]}),
            ),
        ] {
            assert_eq!(found(globals), (mode, String::new()), "{globals}");
        }
    }

    #[test]
    fn wrong_globals_are_said_with_their_line_and_left_out() {
        for (globals, warning) in [
            (
                "x = 1\nmatch_size = 'two'",
                "match.lua:2: match_size: expected a whole number from 1 to 256, got \"two\"",
            ),
            ("listed = 0", "match.lua:1: listed: expected true or false, got 0"),
            (
                "strategy = 'random'",
                "match.lua:1: strategy: expected \"fill\" or \"skill\" or \"skill_based\", got \"random\"",
            ),
            ("tick_hz = 1000", "match.lua:1: tick_hz: expected a whole number from 1 to 128, got 1000"),
            ("bots = 3", "match.lua:1: bots: expected a table, got 3"),
            (
                "bots = {min_players = 65, enabled = false}",
                "match.lua:1: bots.min_players: expected a whole number from 1 to 64, got 65",
            ),
            (
                "x = 1\nbots = {min_players = 'four', enabled = false}",
                "match.lua:2: bots.min_players: expected a whole number from 1 to 64, got \"four\"",
            ),
            ("vote_templates = 'x'", "match.lua:1: vote_templates: expected a table with named keys, got \"x\""),
            (
                "bots = {script = '../x.lua', enabled = false}",
                "match.lua:1: bots.script names no file of the games folder",
            ),
        ] {
            assert_eq!(found(globals), (json!({}), warning.to_owned()), "{globals}");
        }
        for globals in ["match_size = 2 max_players = 3\nbots", "match_size = 2 players = {max = 3}\nbots"] {
            let (mode, warning) = found(&format!("{globals} = {{min_players = 4}}"));
            assert_eq!(mode["players"]["max"], json!(3), "{globals}");
            assert_eq!(warning, "match.lua:2: bots.min_players is more than the 3 seats there are, which bots fill");
        }
        let (mode, warning) = found("matchmaking = {stratgy = 'fill'}");
        assert_eq!(mode, json!({}));
        assert!(warning.contains("stratgy"), "{warning}");
    }
}
