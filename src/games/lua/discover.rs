//! What a games folder offers: `config.lua` returning `{mode = "script.lua"}`, or a lone `match.lua` as the mode
//! `default`; and what the globals of each script say about its mode.

use std::path::Path;
use std::sync::Arc;

use mlua::{Table, Value};
use serde_json::{Map, Value as Json, json};

use super::budget::Allowance;
use super::host::{Birth, Host};
use super::report::{Fault, Told};
use super::sandbox::Machine;
use super::script::{Script, Sources};
use crate::engine::modes::Mode;

/// A games folder, read and tried.
#[derive(Debug)]
pub struct Games {
    /// Its modes, by name.
    pub modes: Vec<ScriptMode>,
    /// What its author should know; nothing here keeps it from being served.
    pub warnings: Vec<Fault>,
    /// Whether its scripts ask for guests to be let in; none says nothing about it.
    pub guest_auth: Option<bool>,
}

/// One mode of a games folder.
#[derive(Debug, Clone)]
pub struct ScriptMode {
    /// The mode's name, from the manifest.
    pub name: String,
    /// The script that plays it.
    pub script: Arc<Script>,
    /// What the script's globals say, in the shape of a `[modes.NAME]` table.
    pub overrides: Map<String, Json>,
    /// Vote templates the script declares, by name, in the shape of `[vote_templates]`.
    pub vote_templates: Map<String, Json>,
    /// Globals that were not understood.
    pub warnings: Vec<Fault>,
}

impl ScriptMode {
    /// The mode's rules: the script's globals, and over them `configured` (the keys of the configuration's own
    /// `[modes.NAME]` table, where it has one).
    pub fn mode(&self, configured: Option<&Map<String, Json>>) -> Result<Mode, Fault> {
        let mut all = self.overrides.clone();
        if let Some(configured) = configured {
            merge(&mut all, configured);
        }
        all.insert("game".into(), json!(format!("lua:{}", self.script.file())));
        serde_json::from_value(Json::Object(all)).map_err(|e| Fault::of_file(self.script.file(), e.to_string()))
    }
}

/// Lays `over` onto `under`, key by key.
fn merge(under: &mut Map<String, Json>, over: &Map<String, Json>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Json::Object(a)), Json::Object(b)) => merge(a, b),
            _ => drop(under.insert(key.clone(), value.clone())),
        }
    }
}

/// Reads a games folder and runs every script's body once, so that what does not load is known before anyone plays.
pub fn discover(folder: &Path) -> Result<Games, Vec<Fault>> {
    discover_with(folder, Allowance::default())
}

/// [`discover`] with another allowance for the scripts.
pub fn discover_with(folder: &Path, allowance: Allowance) -> Result<Games, Vec<Fault>> {
    read_games(Arc::new(Sources::read(folder)?), allowance)
}

/// [`discover`] over files already read.
///
/// # Errors
/// Every fault: one is enough to refuse the folder.
pub(super) fn read_games(sources: Arc<Sources>, allowance: Allowance) -> Result<Games, Vec<Fault>> {
    let (games, faults) = read_what_works(&sources, allowance);
    if faults.is_empty() { Ok(games) } else { Err(faults) }
}

/// The modes that can be played, and the faults of the others.
pub fn read_what_works(sources: &Arc<Sources>, allowance: Allowance) -> (Games, Vec<Fault>) {
    let mut games = Games { modes: Vec::new(), warnings: Vec::new(), guest_auth: None };
    let named = match manifest(sources, allowance, &mut games) {
        Ok(named) => named,
        Err(faults) => return (games, faults),
    };
    let mut faults = Vec::new();
    for (name, file) in named {
        if !sources.has(&file) {
            faults.push(Fault::of_file("config.lua", format!("mode {name}: there is no {file} in the folder")));
            continue;
        }
        match read_mode(&name, &file, sources, allowance) {
            Ok(Some((mode, guest_auth))) => {
                games.guest_auth = games.guest_auth.or(guest_auth);
                games.modes.push(mode);
            }
            Ok(None) => games.warnings.push(Fault::of_file(file, format!("mode {name} is left out: {NOT_A_MATCH}"))),
            Err(fault) => faults.push(fault),
        }
    }
    games.modes.sort_by(|a, b| a.name.cmp(&b.name));
    // What a script needs and cannot have is its fault above; the rest is worth a word.
    games.warnings.extend(sources.faults().filter(|fault| !faults.contains(fault)).cloned());
    (games, faults)
}

/// What is said of a script of a kind that is not served.
pub const NOT_A_MATCH: &str = "game_type \"world\" is not served, only matches are";

/// The mode that the script at `file` makes, and whether it asks for guests; `None` for a kind that is not served.
///
/// # Errors
/// Why it does not load.
pub fn read_mode(
    name: &str,
    file: &str,
    sources: &Arc<Sources>,
    allowance: Allowance,
) -> Result<Option<(ScriptMode, Option<bool>)>, Fault> {
    let Some(found) = probe(file, sources.clone(), allowance)? else { return Ok(None) };
    let mode = ScriptMode {
        name: name.to_owned(),
        script: Script::new(file, sources.clone(), allowance),
        overrides: found.overrides,
        vote_templates: found.vote_templates,
        warnings: found.warnings,
    };
    Ok(Some((mode, found.guest_auth)))
}

/// Mode names and the scripts they name.
fn manifest(
    sources: &Arc<Sources>,
    allowance: Allowance,
    games: &mut Games,
) -> Result<Vec<(String, String)>, Vec<Fault>> {
    if !sources.has("config.lua") {
        if sources.has("match.lua") {
            return Ok(vec![("default".into(), "match.lua".into())]);
        }
        return Err(vec![Fault::of_file(".", "a games folder has a config.lua or a match.lua, and this one neither")]);
    }
    let machine = quiet_machine(sources.clone(), allowance).map_err(|e| vec![Told::of(&e, "config.lua").fault()])?;
    let globals = machine.lua.globals();
    let value = machine.run("config.lua", &globals).map_err(|e| vec![Told::of(&e, "config.lua").fault()])?;
    if let Ok(Value::Boolean(guests)) = globals.raw_get("guest_auth") {
        games.guest_auth = Some(guests);
    }
    let Value::Table(modes) = value else {
        let text = format!("expected `return {{ mode = \"script.lua\" }}`, it returned a {}", value.type_name());
        return Err(vec![Fault::of_file("config.lua", text)]);
    };
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for pair in modes.pairs::<Value, Value>() {
        match pair {
            Ok((Value::String(name), Value::String(file))) => {
                let (name, file) = (name.to_string_lossy(), file.to_string_lossy());
                if (1..=64).contains(&name.len()) && !name.contains(char::is_control) {
                    found.push((name, file.trim_start_matches("./").to_owned()));
                } else {
                    faults.push(Fault::of_file("config.lua", "a mode's name is 1 to 64 bytes"));
                }
            }
            Ok((key, value)) => faults.push(Fault::of_file(
                "config.lua",
                format!("expected mode names and script files, got a {} for a {}", value.type_name(), key.type_name()),
            )),
            Err(e) => faults.push(Told::of(&e, "config.lua").fault()),
        }
    }
    found.sort();
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// What a script's body says when it is run once.
pub(super) struct Found {
    overrides: Map<String, Json>,
    vote_templates: Map<String, Json>,
    guest_auth: Option<bool>,
    warnings: Vec<Fault>,
}

/// Runs a script's body in a machine of its own and reads its globals; `None` for a kind of game we do not serve.
pub(super) fn probe(file: &str, sources: Arc<Sources>, allowance: Allowance) -> Result<Option<Found>, Fault> {
    let fault = |e: &mlua::Error| Told::of(e, file).fault();
    let machine = quiet_machine(sources.clone(), allowance).map_err(|e| fault(&e))?;
    let globals = machine.lua.globals();
    machine.run(file, &globals).map_err(|e| fault(&e))?;
    if text(&globals, "game_type").as_deref() == Some("world") {
        return Ok(None);
    }
    let lookup = super::play::Lookup::new(&machine.lua).map_err(|e| fault(&e))?;
    if !super::play::CALLBACKS.iter().any(|name| lookup.find(name).is_some()) {
        return Err(Fault::of_file(file, "no callback is defined: expected functions such as init, join and tick"));
    }
    let source = sources.text(file).and_then(Result::ok).unwrap_or_default();
    let mut reader = Reader { file, source: &source, machine: &machine, globals, found: Found::empty() };
    reader.read();
    Ok(Some(reader.found))
}

fn quiet_machine(sources: Arc<Sources>, allowance: Allowance) -> mlua::Result<Machine> {
    // No match plays on this thread, so nobody is late: instructions alone decide.
    let allowance = Allowance { cpu_us: allowance.cpu_us * 400, ..allowance };
    Machine::new(sources, allowance, Host::new(Birth { seed: 0, unix_us: 0 }).into())
}

fn text(globals: &Table, name: &str) -> Option<String> {
    globals.raw_get::<Option<String>>(name).ok().flatten()
}

impl Found {
    fn empty() -> Self {
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
    ("match_size", "matchmaking.size", Want::Count { min: 1, max: 1_000 }),
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
struct Reader<'a> {
    file: &'a str,
    source: &'a str,
    machine: &'a Machine,
    globals: Table,
    found: Found,
}

impl Reader<'_> {
    fn read(&mut self) {
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
        self.take("state_strategy", Want::Word(&[("shared", "shared"), ("per_player", "per_player")]));
        if let Some(Json::Bool(guests)) = self.take("guest_auth", Want::Bool) {
            self.found.guest_auth = Some(guests);
        }
        if let Some(Json::Object(templates)) = self.take("vote_templates", Want::Object) {
            self.found.vote_templates = templates;
        }
        self.read_players();
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
            Ok(other) => self.warn("bots", &format!("expected a table, got a {}", other.type_name())),
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

/// The line of the first assignment to a global.
fn line_of(source: &str, global: &str) -> Option<u32> {
    let assigns = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix(global).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    source.lines().position(assigns).and_then(|i| u32::try_from(i + 1).ok())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Boolean(b) => b.to_string(),
        Value::Integer(n) => n.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => format!("\"{}\"", s.to_string_lossy().chars().take(40).collect::<String>()),
        other => format!("a {}", other.type_name()),
    }
}

/// Players that `bots.min_players` may ask for, as the public interface has it.
const BOTS_TO_MAX: i64 = 64;

/// Bytes of one table-valued global as JSON.
const TABLE_BYTES_MAX: usize = 65_536;

fn fit(host: &Host, value: &Value, want: Want) -> Result<Json, String> {
    let object = || {
        let json = host.json(value, TABLE_BYTES_MAX, true).map_err(|e| e.to_string())?;
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
                "match.lua:2: match_size: expected a whole number from 1 to 1000, got \"two\"",
            ),
            ("listed = 0", "match.lua:1: listed: expected true or false, got 0"),
            (
                "strategy = 'random'",
                "match.lua:1: strategy: expected \"fill\" or \"skill\" or \"skill_based\", got \"random\"",
            ),
            ("tick_hz = 1000", "match.lua:1: tick_hz: expected a whole number from 1 to 128, got 1000"),
            ("bots = 3", "match.lua:1: expected a table, got a integer"),
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
        let (mode, warning) = found("matchmaking = {stratgy = 'fill'}");
        assert_eq!(mode, json!({}));
        assert!(warning.contains("stratgy"), "{warning}");
    }

    #[test]
    fn manifests_are_read_and_their_faults_all_told() {
        let read = |files: &[(&str, &str)]| {
            let sources = Arc::new(Sources::from_texts(files.iter().copied()).unwrap());
            match read_games(sources, Allowance::default()) {
                Ok(games) => {
                    let modes: Vec<_> = games.modes.iter().map(|m| format!("{}={}", m.name, m.script.file())).collect();
                    let warnings: Vec<_> = games.warnings.iter().map(Fault::to_string).collect();
                    format!("{} {}", modes.join(" "), warnings.join(" "))
                }
                Err(faults) => faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "),
            }
        };
        let game = "function tick(s) return s end";
        assert_eq!(read(&[("match.lua", game)]), "default=match.lua ");
        let config = "return { b = 'match.lua', a = 'arena/match.lua', w = 'w.lua' }";
        let world = "game_type = 'world' function tick() end";
        let told = read(&[("config.lua", config), ("match.lua", game), ("arena/match.lua", game), ("w.lua", world)]);
        assert!(told.starts_with("a=arena/match.lua b=match.lua w.lua: mode w is left out"), "{told}");
        let told =
            read(&[("config.lua", "return { a = 'none.lua', b = '../out.lua', c = 'bad.lua' }"), ("bad.lua", "x =")]);
        assert!(
            told.contains("no none.lua") && told.contains("no ../out.lua") && told.contains("bad.lua:1:"),
            "{told}"
        );
        assert!(read(&[]).contains("neither"));
        assert!(read(&[("config.lua", "return 5")]).contains("it returned a integer"));
        assert!(read(&[("match.lua", "x = 1")]).contains("no callback"));
        assert_eq!(read(&[("match.lua", "while true do end")]), "match.lua:1: over its budget of instructions");
    }
}
