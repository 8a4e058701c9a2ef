//! Every game that one server can play: the built-in ones, and the scripts of its games folder.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::lua::{Birth, Fault, LuaGame, Script, ScriptMode, discover};
use super::{BuildError, GAMES, Game, built_in};
use crate::engine::modes::Mode;

/// The games of one server.
#[derive(Default)]
pub struct Catalogue {
    scripts: HashMap<String, Arc<Script>>,
    modes: Vec<ScriptMode>,
    /// What authors of scripts should know.
    pub warnings: Vec<Fault>,
}

impl Catalogue {
    /// The built-in games and, where `folder` exists and holds scripts, those.
    ///
    /// # Errors
    /// Every fault of the folder: a script that does not load, a manifest that names one that is not there.
    pub fn open(folder: &Path) -> Result<Self, Vec<Fault>> {
        if folder.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        if !folder.join("config.lua").is_file() && !folder.join("match.lua").is_file() {
            return Ok(Self::default());
        }
        let games = discover(folder)?;
        let scripts = games.modes.iter().map(|mode| (mode.script.file().to_owned(), mode.script.clone())).collect();
        let mut warnings = games.warnings;
        warnings.extend(games.modes.iter().flat_map(|mode| mode.warnings.clone()));
        Ok(Self { scripts, modes: games.modes, warnings })
    }

    /// Whether there is any script.
    pub fn has_scripts(&self) -> bool {
        !self.scripts.is_empty()
    }

    /// The scripts, to be watched for changes.
    pub fn scripts(&self) -> Vec<Arc<Script>> {
        self.scripts.values().cloned().collect()
    }

    /// Lays the scripts' modes under `modes`: what a script's globals say holds where the configuration says nothing
    /// about that mode, or only what every mode has by default.
    ///
    /// # Errors
    /// A global that no mode can have.
    pub fn add_modes(
        &self,
        modes: &mut BTreeMap<String, Mode>,
        built_in: &BTreeMap<String, Mode>,
    ) -> Result<(), Fault> {
        for script in &self.modes {
            let configured = match modes.get(&script.name) {
                Some(mode) if built_in.get(&script.name) != Some(mode) => said_of(mode),
                _ => Map::new(),
            };
            modes.insert(script.name.clone(), script.mode(Some(&configured))?);
        }
        Ok(())
    }

    /// Vote templates that scripts declare, by name.
    pub fn vote_templates(&self) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
        self.modes
            .iter()
            .flat_map(|mode| &mode.vote_templates)
            .filter_map(|(name, template)| Some((name, template.as_object()?)))
    }

    /// Builds the game of `mode`, on the thread that will play it: a script's machine never changes threads.
    ///
    /// # Errors
    /// A sentence: the games there are, or what the game says about its options.
    pub fn build(&self, mode: &Mode, birth: Birth) -> Result<Box<dyn Game>, BuildError> {
        let options =
            serde_json::value::to_raw_value(&mode.game_options).map_err(|error| BuildError(error.to_string()))?;
        if let Some(game) = mode.game.strip_prefix("builtin:").and_then(built_in) {
            return (game.build)(&options);
        }
        if let Some(script) = mode.game.strip_prefix("lua:").and_then(|file| self.scripts.get(file)) {
            let game = LuaGame::new(script.clone(), &options, birth).map_err(|error| BuildError(error.to_string()))?;
            return Ok(Box::new(game));
        }
        let built_in = GAMES.iter().map(|game| format!("builtin:{}", game.name));
        let scripts = self.scripts.keys().map(|file| format!("lua:{file}"));
        let known: Vec<_> = built_in.chain(scripts).collect();
        Err(BuildError(format!("game is {:?}, expected one of {}", mode.game, known.join(", "))))
    }
}

/// The keys of a configured mode that differ from what every mode has by default.
fn said_of(mode: &Mode) -> Map<String, Value> {
    let object = |mode: &Mode| match serde_json::to_value(mode) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let default = object(&Mode::default());
    object(mode).into_iter().filter(|(key, value)| key != "game" && default.get(key) != Some(value)).collect()
}
