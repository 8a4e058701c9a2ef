//! Every game that one server can play: the built-in ones, and the scripts of its games folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value};

use super::lua::{
    Allowance, Birth, Fault, LuaGame, NOT_A_MATCH, Script, ScriptMode, Sources, read_mode, read_what_works,
};
use super::{BuildError, GAMES, Game, built_in};
use crate::engine::modes::{Mode, OnExpire};
use crate::engine::votes::config::nearest;

/// The games of one server.
#[derive(Default)]
pub struct Catalogue {
    folder: PathBuf,
    allowance: Allowance,
    sources: RwLock<Arc<Sources>>,
    /// By their path in the folder: those that modes name, and those that were asked for later.
    scripts: Mutex<BTreeMap<String, Arc<Script>>>,
    /// The modes of the manifest, and those that only the configuration makes of a script.
    modes: Vec<ScriptMode>,
    /// Those whose script the configuration names: what the manifest says of them is not followed.
    chosen: BTreeSet<String>,
    /// The script of every mode, as of the last change in the folder.
    played: Mutex<BTreeMap<String, String>>,
    /// What the configuration itself says of each mode, in the shape of its table.
    configured: BTreeMap<String, Map<String, Value>>,
    /// What authors of scripts should know.
    pub warnings: Vec<Fault>,
    /// Whether scripts ask for guests to be let in; none says nothing about it.
    pub guest_auth: Option<bool>,
}

/// What became of a change in the folder.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// The rules of the modes as their scripts say now, for matches that begin from now on.
    pub modes: Vec<(String, Mode)>,
    /// Vote templates as they read now, by name.
    pub vote_templates: Vec<(String, Map<String, Value>)>,
    /// The scripts that play their new files from now on.
    pub taken: Vec<String>,
    /// What does not load. Scripts that do not, play on with the files they had.
    pub faults: Vec<Fault>,
    /// What their author should know; it keeps nothing from being played.
    pub warnings: Vec<Fault>,
}

impl Catalogue {
    /// The built-in games and, where `folder` exists, its scripts, each with this allowance. A folder without a manifest and without a
    /// `match.lua` has no modes of its own, and scripts that a configuration may name.
    ///
    /// # Errors
    /// Every fault of the folder: a script that does not load, a manifest that names one that is not there.
    pub fn open(folder: &Path, allowance: Allowance) -> Result<Self, Vec<Fault>> {
        if folder.as_os_str().is_empty() || !folder.is_dir() {
            return Ok(Self::default());
        }
        let sources = Arc::new(Sources::read(folder)?);
        let mut this =
            Self { folder: folder.to_owned(), sources: RwLock::new(sources.clone()), allowance, ..Self::default() };
        if !sources.has("config.lua") && !sources.has("match.lua") {
            return Ok(this);
        }
        let (games, faults) = read_what_works(&sources, allowance);
        if !faults.is_empty() {
            return Err(faults);
        }
        this.warnings = games.warnings;
        this.warnings.extend(games.modes.iter().flat_map(|mode| mode.warnings.clone()));
        this.guest_auth = games.guest_auth;
        for mode in games.modes {
            this.adopt(mode);
        }
        Ok(this)
    }

    /// Takes a mode in, over the script that is known already.
    fn adopt(&mut self, mut mode: ScriptMode) {
        let file = mode.script.file().to_owned();
        mode.script = self.scripts.lock().entry(file).or_insert_with(|| mode.script.clone()).clone();
        self.modes.retain(|known| known.name != mode.name);
        self.modes.push(mode);
    }

    /// Whether there is any script to watch.
    pub fn has_scripts(&self) -> bool {
        !self.scripts.lock().is_empty()
    }

    /// The folder of the scripts.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lays the scripts' modes under the configured ones: what a script's globals say holds where the configuration
    /// says nothing. A configured mode may be played by any script of the folder (`game = "lua:FILE"`), and one that
    /// names another game than the manifest does is played by that.
    ///
    /// `built_in` are the modes as nobody configured them; `said` tells whether somebody wrote the value at a path
    /// such as `modes.rps.listed`, which a value equal to its default does not show.
    ///
    /// # Errors
    /// Scripts that are not there or do not load, and values that no mode can have.
    pub fn configure(
        &mut self,
        modes: &mut BTreeMap<String, Mode>,
        built_in: &BTreeMap<String, Mode>,
        said: &dyn Fn(&str) -> bool,
    ) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        for (name, mode) in modes.iter() {
            let default = built_in.get(name).cloned().unwrap_or_default();
            let mut keys = Map::new();
            if let (Value::Object(now), Value::Object(default)) = (as_json(mode), as_json(&default)) {
                keys = keys_said(&now, &default, &format!("modes.{name}"), said);
            }
            let other_game = keys.remove("game").is_some();
            self.configured.insert(name.clone(), keys);
            if other_game {
                self.chosen.insert(name.clone());
            }
            match mode.game.strip_prefix("lua:") {
                Some(file) if !self.modes.iter().any(|known| known.name == *name && known.script.file() == file) => {
                    match self.read(name, file) {
                        Ok(found) => {
                            self.warnings.extend(found.warnings.iter().cloned());
                            self.adopt(found);
                        }
                        Err(fault) => faults.push(fault),
                    }
                }
                None if other_game => self.modes.retain(|known| known.name != *name),
                _ => {}
            }
        }
        for mode in &self.modes {
            match mode.mode(self.configured.get(&mode.name)) {
                Ok(rules) => drop(modes.insert(mode.name.clone(), rules)),
                Err(fault) => faults.push(fault),
            }
        }
        *self.played.lock() =
            self.modes.iter().map(|mode| (mode.name.clone(), mode.script.file().to_owned())).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The mode that a script makes by itself.
    fn read(&self, name: &str, file: &str) -> Result<ScriptMode, Fault> {
        let sources = self.sources.read().clone();
        let why = |text: &str| Fault::of_file(file, format!("mode {name}: {text}"));
        if !sources.has(file) {
            let folder = self.folder.display();
            return Err(match self.folder.as_os_str().is_empty() {
                true => why("there is no games folder"),
                false => why(&format!("there is no such file in {folder}")),
            });
        }
        read_mode(name, file, &sources, self.allowance)?.map(|(mode, _)| mode).ok_or_else(|| why(NOT_A_MATCH))
    }

    /// Vote templates that scripts declare, by name.
    pub fn vote_templates(&self) -> Vec<(String, Map<String, Value>)> {
        templates_of(&self.modes)
    }

    /// Reads the folder again and gives each script its new files where it still loads: running matches take them at
    /// their next tick. `None` when nothing is different.
    pub fn refresh(&self) -> Option<Refreshed> {
        let mut refreshed = Refreshed::default();
        let sources = match Sources::read(&self.folder) {
            Ok(sources) => Arc::new(sources),
            Err(faults) => return Some(Refreshed { faults, ..refreshed }),
        };
        if *self.sources.read() == sources {
            return None;
        }
        *self.sources.write() = sources.clone();
        let scripts: Vec<_> = self.scripts.lock().values().cloned().collect();
        let mut refused = BTreeMap::new();
        for script in &scripts {
            match script.replace(sources.clone()) {
                Ok(false) => {}
                Ok(true) => refreshed.taken.push(script.file().to_owned()),
                Err(fault) => {
                    if !refreshed.faults.contains(&fault) {
                        refreshed.faults.push(fault.clone());
                    }
                    refused.insert(script.file().to_owned(), fault);
                }
            }
        }
        let (games, faults) = read_what_works(&sources, self.allowance);
        let mut modes = games.modes;
        let mut found = faults;
        if let Some(guests) = games.guest_auth
            && self.guest_auth != Some(guests)
        {
            let text = format!("guest_auth = {guests} takes effect when the server is started again");
            refreshed.warnings.push(Fault::of_file(".", text));
        }
        let mut played = self.played.lock();
        // Those that the configuration gave a built-in game.
        modes.retain(|mode| played.contains_key(&mode.name) || !self.chosen.contains(&mode.name));
        for (name, file) in played.iter() {
            match modes.iter().position(|mode| mode.name == *name) {
                Some(at) if modes[at].script.file() == file || !self.chosen.contains(name) => {}
                // Whose script the configuration chose, or what the manifest does not name, or not any more.
                other => match self.read(name, file) {
                    Ok(mode) => {
                        other.map(|at| modes.remove(at));
                        if other.is_none() && found.is_empty() && !self.chosen.contains(name) {
                            let text = format!(
                                "mode {name} is named here no more; it is there until the server is started again"
                            );
                            refreshed.warnings.push(Fault::of_file("config.lua", text));
                        }
                        modes.push(mode);
                    }
                    // Said above, in the words of its script.
                    Err(_) if refused.contains_key(file) => {}
                    Err(fault) => found.push(fault),
                },
            }
        }
        played.extend(modes.iter().map(|mode| (mode.name.clone(), mode.script.file().to_owned())));
        drop(played);
        for fault in found {
            if !refreshed.faults.contains(&fault) {
                refreshed.faults.push(fault);
            }
        }
        refreshed.warnings.extend(games.warnings);
        refreshed.warnings.extend(modes.iter().flat_map(|mode| mode.warnings.clone()));
        let faults = &refreshed.faults;
        refreshed.warnings.retain(|warning| !faults.contains(warning));
        refreshed.warnings.dedup();
        for script in scripts {
            let taken = refreshed.taken.iter().any(|file| file == script.file());
            let said = modes.iter().filter(|mode| taken && mode.script.file() == script.file());
            let mut notes: Vec<_> = refused.remove(script.file()).into_iter().collect();
            for warning in said.flat_map(|mode| &mode.warnings) {
                if !notes.contains(warning) {
                    notes.push(warning.clone());
                }
            }
            script.note(notes);
        }
        refreshed.vote_templates = templates_of(&modes);
        for mode in modes {
            match mode.mode(self.configured.get(&mode.name)) {
                Ok(rules) => refreshed.modes.push((mode.name, rules)),
                Err(fault) => refreshed.faults.push(fault),
            }
        }
        Some(refreshed)
    }

    /// The script at this path, also when it is new in the folder.
    fn script(&self, file: &str) -> Option<Arc<Script>> {
        if let Some(script) = self.scripts.lock().get(file) {
            return Some(script.clone());
        }
        let sources = self.sources.read().clone();
        if !sources.has(file) {
            return None;
        }
        let script = Script::new(file, sources, self.allowance);
        Some(self.scripts.lock().entry(file.to_owned()).or_insert(script).clone())
    }

    /// Whether there is a game of that name, such as `builtin:demo` or `lua:arena/match.lua`.
    pub fn knows(&self, game: &str) -> bool {
        let built_in = game.strip_prefix("builtin:").and_then(built_in).is_some();
        built_in || game.strip_prefix("lua:").is_some_and(|file| self.script(file).is_some())
    }

    /// Builds the game of `mode`, on the thread that will play it: a script's machine never changes threads.
    ///
    /// # Errors
    /// A sentence: the games there are, or what the game says about its options.
    pub fn build(&self, mode: &Mode, birth: Birth) -> Result<Box<dyn Game>, BuildError> {
        let game = self.build_any(mode, birth)?;
        if mode.reconnect.on_expire == OnExpire::Bot && !game.plays_bots() {
            let why =
                format!("reconnect.on_expire is \"bot\", and {} has no bots: expected leave or forfeit", mode.game);
            return Err(BuildError(why));
        }
        Ok(game)
    }

    fn build_any(&self, mode: &Mode, birth: Birth) -> Result<Box<dyn Game>, BuildError> {
        let options =
            serde_json::value::to_raw_value(&mode.game_options).map_err(|error| BuildError(error.to_string()))?;
        if let Some(game) = mode.game.strip_prefix("builtin:").and_then(built_in) {
            return (game.build)(&options);
        }
        if let Some(script) = mode.game.strip_prefix("lua:").and_then(|file| self.script(file)) {
            let game = LuaGame::new(script, &options, birth).map_err(|error| BuildError(error.to_string()))?;
            return Ok(Box::new(game));
        }
        let built_in = GAMES.iter().map(|game| format!("builtin:{}", game.name));
        let scripts = self.scripts.lock();
        let scripts = scripts.keys().map(|file| format!("lua:{file}"));
        let known: Vec<_> = built_in.chain(scripts).collect();
        let meant = nearest(&mode.game, known.iter().map(String::as_str));
        let meant = meant.map(|meant| format!(", did you mean {meant:?}?")).unwrap_or_default();
        Err(BuildError(format!("game is {:?}, expected one of {}{meant}", mode.game, known.join(", "))))
    }
}

fn templates_of(modes: &[ScriptMode]) -> Vec<(String, Map<String, Value>)> {
    let all = modes.iter().flat_map(|mode| &mode.vote_templates);
    all.filter_map(|(name, template)| Some((name.clone(), template.as_object()?.clone()))).collect()
}

fn as_json(mode: &Mode) -> Value {
    serde_json::to_value(mode).unwrap_or_default()
}

/// The keys of a table that somebody wrote, or that differ from what is there when nobody does.
fn keys_said(
    now: &Map<String, Value>,
    default: &Map<String, Value>,
    path: &str,
    said: &dyn Fn(&str) -> bool,
) -> Map<String, Value> {
    let mut keys = Map::new();
    for (key, value) in now {
        let path = format!("{path}.{key}");
        match (value, default.get(key)) {
            (Value::Object(inner), Some(Value::Object(default))) => {
                let inner = keys_said(inner, default, &path, said);
                if !inner.is_empty() {
                    keys.insert(key.clone(), Value::Object(inner));
                }
            }
            (value, default) if default != Some(value) || said(&path) => drop(keys.insert(key.clone(), value.clone())),
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder for one test, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tessera-catalogue-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn save(&self, file: &str, text: &str) {
            let path = self.0.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const GAME: &str = "function tick(s) return s end\n";

    fn birth() -> Birth {
        Birth::trial(1, 0)
    }

    fn lua(file: &str) -> Mode {
        Mode { game: format!("lua:{file}"), ..Mode::default() }
    }

    #[test]
    fn the_examples_are_served_by_their_paths() {
        let catalogue =
            Catalogue::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/games"), Allowance::default())
                .unwrap();
        let names: Vec<_> = catalogue.modes.iter().map(|mode| mode.name.as_str()).collect();
        assert_eq!(names, ["crawl", "gate", "lua_arena", "rps"]);
        let build = |file: &str| catalogue.build(&lua(file), birth()).map(drop);
        assert_eq!(build("rps/match.lua"), Ok(()));
        let none = build("none.lua").unwrap_err().0;
        assert!(none.contains("game is \"lua:none.lua\", expected one of builtin:skirmish"), "{none}");
        assert!(none.contains("lua:rps/match.lua"), "{none}");
    }

    #[test]
    fn a_bot_takes_over_only_in_games_that_have_bots() {
        let folder = Folder::new("bots");
        folder.save("with.lua", &format!("bots = {{}}\n{GAME}"));
        folder.save("off.lua", &format!("bots = {{enabled = false}}\n{GAME}"));
        folder.save("without.lua", GAME);
        let catalogue = Catalogue::open(&folder.0, Allowance::default()).unwrap();
        for (game, has_bots) in [
            ("builtin:skirmish", true),
            ("builtin:bench", false),
            ("lua:with.lua", true),
            ("lua:off.lua", false),
            ("lua:without.lua", false),
        ] {
            let mut mode = Mode { game: game.into(), ..Mode::default() };
            assert!(catalogue.build(&mode, birth()).is_ok(), "{game}");
            mode.reconnect.on_expire = OnExpire::Bot;
            let refused = catalogue.build(&mode, birth()).err().map(|why| why.0);
            let expected = format!("reconnect.on_expire is \"bot\", and {game} has no bots: expected leave or forfeit");
            assert_eq!(refused, (!has_bots).then_some(expected));
        }
    }

    #[test]
    fn the_configuration_lies_over_what_a_script_says() {
        let folder = Folder::new("configure");
        folder.save("config.lua", "return { a = 'a.lua', b = 'b.lua', c = 'a.lua' }");
        folder.save("a.lua", &format!("match_size = 3 listed = true tick_hz = 30 guest_auth = false\n{GAME}"));
        folder.save("b.lua", &format!("match_size = 4\n{GAME}"));
        let mut catalogue = Catalogue::open(&folder.0, Allowance::default()).unwrap();
        assert_eq!(catalogue.guest_auth, Some(false));
        // `listed = false` was written although it is the default; `mine` is a script of no manifest's mode.
        let mut modes = BTreeMap::from([
            ("a".into(), Mode { tick_hz: 5, ..Mode::default() }),
            ("b".into(), Mode { game: "builtin:smoke".into(), ..Mode::default() }),
            ("c".into(), lua("b.lua")),
            ("mine".into(), Mode { spectators: 2, ..lua("a.lua") }),
        ]);
        catalogue.configure(&mut modes, &BTreeMap::new(), &|path| path == "modes.a.listed").unwrap();
        let said: Vec<_> = modes
            .iter()
            .map(|(name, m)| format!("{name} {} {} {} {} {}", m.game, m.players.min, m.tick_hz, m.listed, m.spectators))
            .collect();
        assert_eq!(
            said,
            [
                "a lua:a.lua 3 5 false 0",
                "b builtin:smoke 2 10 false 0",
                "c lua:b.lua 4 10 false 0",
                "mine lua:a.lua 3 30 true 2"
            ]
        );
        let mut modes = BTreeMap::from([("x".into(), lua("none.lua"))]);
        let faults = catalogue.configure(&mut modes, &BTreeMap::new(), &|_| false).unwrap_err();
        assert!(faults[0].to_string().starts_with("none.lua: mode x: there is no such file"), "{faults:?}");
    }

    #[test]
    fn a_folder_without_a_manifest_has_the_scripts_that_a_configuration_names() {
        let folder = Folder::new("bare");
        folder.save("duel/fight.lua", &format!("match_size = 2 tick_hz = 25\n{GAME}"));
        folder.save("notes.lua", "this is no Lua 'at all");
        let mut catalogue = Catalogue::open(&folder.0, Allowance::default()).unwrap();
        assert!(!catalogue.has_scripts());
        let mut modes = BTreeMap::from([("duel".into(), lua("duel/fight.lua"))]);
        catalogue.configure(&mut modes, &BTreeMap::new(), &|_| false).unwrap();
        assert_eq!((modes["duel"].tick_hz, catalogue.has_scripts()), (25, true));
    }

    #[test]
    fn a_change_reaches_the_scripts_that_see_it_and_new_matches_get_the_new_rules() {
        let folder = Folder::new("refresh");
        folder.save("config.lua", "return { a = 'a/match.lua', b = 'b/match.lua' }");
        folder.save("a/match.lua", GAME);
        folder.save("b/match.lua", GAME);
        let mut catalogue = Catalogue::open(&folder.0, Allowance::default()).unwrap();
        let mut modes = BTreeMap::from([("a".into(), Mode { spectators: 7, ..Mode::default() })]);
        catalogue.configure(&mut modes, &BTreeMap::new(), &|_| false).unwrap();
        let versions = || ["a/match.lua", "b/match.lua"].map(|file| catalogue.script(file).unwrap().version());
        assert!(catalogue.refresh().is_none(), "nothing changed");

        folder.save("a/match.lua", &format!("match_size = 3 vote_templates = {{ t = {{ window_ms = 5 }} }}\n{GAME}"));
        let fresh = catalogue.refresh().unwrap();
        assert_eq!(fresh.faults, []);
        let a = &fresh.modes.iter().find(|(name, _)| name == "a").unwrap().1;
        assert_eq!((a.players.min, a.spectators), (3, 7), "the new global, under what is configured");
        assert_eq!(fresh.vote_templates[0].0, "t");
        assert_eq!(versions(), [1, 0], "the neighbour is left alone");

        // A bad file is told, with its line; its neighbour's change arrives all the same.
        folder.save("a/match.lua", "function tick(s) return 'unfinished\nend");
        folder.save("b/match.lua", &format!("match_size = 5\n{GAME}"));
        let fresh = catalogue.refresh().unwrap();
        let told: Vec<_> = fresh.faults.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a/match.lua:1: unfinished string"]);
        assert_eq!(versions(), [1, 1]);
        assert_eq!(fresh.modes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(catalogue.build(&lua("a/match.lua"), birth()).is_ok(), "the old one plays on, in new matches too");

        // Whether guests are let in was settled at the start.
        folder.save("b/match.lua", &format!("guest_auth = false\n{GAME}"));
        folder.save("a/match.lua", GAME);
        let told: Vec<_> = catalogue.refresh().unwrap().warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told, [".: guest_auth = false takes effect when the server is started again"]);
        folder.save("b/match.lua", &format!("match_size = 5\n{GAME}"));

        // A mode that was not there before can be played at once.
        folder.save("config.lua", "return { a = 'a/match.lua', b = 'b/match.lua', c = 'c.lua' }");
        folder.save("c.lua", GAME);
        let fresh = catalogue.refresh().unwrap();
        assert_eq!((fresh.faults.len(), fresh.modes.len()), (0, 3));
        assert!(catalogue.build(&lua("c.lua"), birth()).is_ok());
    }

    #[test]
    fn a_saved_file_is_noticed() {
        let folder = Folder::new("watch");
        folder.save("match.lua", GAME);
        let catalogue = Arc::new(Catalogue::open(&folder.0, Allowance::default()).unwrap());
        let (told, tales) = std::sync::mpsc::channel();
        let watched = catalogue.clone();
        let tell = move || drop(watched.refresh().map(|fresh| told.send(fresh)));
        let watch = crate::games::lua::watch(&folder.0, tell).unwrap();
        folder.save("match.lua", &format!("match_size = 3\n{GAME}"));
        // The deadline is for a machine that never tells; the wait ends with the change.
        let patience = std::time::Duration::from_secs(30);
        // A file may be seen while it is half written: the last word counts.
        while tales
            .recv_timeout(patience)
            .expect("a change")
            .modes
            .first()
            .is_none_or(|(_, mode)| mode.players.min != 3)
        {}
        drop(watch);
    }
}
