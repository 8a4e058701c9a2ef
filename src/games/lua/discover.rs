//! What a games folder offers: `config.lua` returning `{mode = "script.lua"}`, or a lone `match.lua` as the mode
//! `default`; and what the globals of each script say about its mode.

use std::path::Path;
use std::sync::Arc;

use mlua::{Table, Value};
use serde_json::{Map, Value as Json, json};

use super::budget::Allowance;
use super::globals::{Found, Reader};
use super::host::{Birth, Host};
use super::report::{Fault, Told, kind_of};
use super::sandbox::{Machine, guarded};
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
pub(super) fn merge(under: &mut Map<String, Json>, over: &Map<String, Json>) {
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
        let text = format!("expected `return {{ mode = \"script.lua\" }}`, it returned {}", kind_of(&value));
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
            Ok((Value::String(name), value)) => {
                let (name, kind) = (name.to_string_lossy(), kind_of(&value));
                let text = format!("mode {name:?}: expected the file of its script, found {kind}");
                faults.push(Fault::of_file("config.lua", text));
            }
            Ok((key, value)) => {
                let (key, value) = (kind_of(&key), kind_of(&value));
                let text = format!("expected names of modes and files of scripts, found {value} under {key}");
                faults.push(Fault::of_file("config.lua", text));
            }
            Err(e) => faults.push(Told::of(&e, "config.lua").fault()),
        }
    }
    found.sort();
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// Runs a script's body in a machine of its own and reads its globals; `None` for a kind of game we do not serve.
pub(super) fn probe(file: &str, sources: Arc<Sources>, allowance: Allowance) -> Result<Option<Found>, Fault> {
    guarded(file, || look_into(file, sources, allowance))
}

fn look_into(file: &str, sources: Arc<Sources>, allowance: Allowance) -> Result<Option<Found>, Fault> {
    let fault = |e: &mlua::Error| Told::of(e, file).fault();
    let machine = quiet_machine(sources.clone(), allowance).map_err(|e| fault(&e))?;
    let globals = machine.lua.globals();
    machine.run(file, &globals).map_err(|e| fault(&e))?;
    if text(&globals, "game_type").as_deref() == Some("world") {
        return Ok(None);
    }
    let lookup = super::calls::Lookup::new(&machine.lua).map_err(|e| fault(&e))?;
    if !super::calls::CALLBACKS.iter().any(|name| lookup.find(name).is_some()) {
        return Err(Fault::of_file(file, "no callback is defined: expected functions such as init, join and tick"));
    }
    let source = sources.text(file).and_then(Result::ok).unwrap_or_default();
    let mut reader = Reader { file, source: &source, machine: &machine, globals, found: Found::empty() };
    reader.read();
    Ok(Some(reader.found))
}

fn quiet_machine(sources: Arc<Sources>, allowance: Allowance) -> mlua::Result<Machine> {
    // No match plays on this thread, so nobody is late: instructions alone decide.
    let allowance = allowance.unhurried();
    Machine::new(sources, allowance, Host::new(Birth::trial(0, 0)).into())
}

fn text(globals: &Table, name: &str) -> Option<String> {
    globals.raw_get::<Option<String>>(name).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(read(&[("config.lua", "return 5")]).contains("it returned an integer"));
        assert!(read(&[("match.lua", "x = 1")]).contains("no callback"));
        assert_eq!(read(&[("match.lua", "while true do end")]), "match.lua:1: over its budget of instructions");
    }
}
