//! The scripts of one server: what its games folder offers, and matches made of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::budget::Allowance;
use super::discover::{self, Games};
use super::host::Birth;
use super::play::LuaGame;
use super::report::Fault;
use super::script::{Script, Sources};
use crate::games::{BuildError, Game};

/// The scripts of one games folder, by their path inside it.
#[derive(Debug)]
pub struct Library {
    /// The folder's modes, as its manifest and its scripts' globals say.
    pub games: Games,
    folder: PathBuf,
    sources: Arc<Sources>,
    allowance: Allowance,
    scripts: Mutex<BTreeMap<String, Arc<Script>>>,
}

impl Library {
    /// Reads and tries a games folder.
    ///
    /// # Errors
    /// Every fault of its files, at once.
    pub fn open(folder: &Path, allowance: Allowance) -> Result<Self, Vec<Fault>> {
        let sources = Arc::new(Sources::read(folder)?);
        let games = discover::read_games(folder, sources.clone(), allowance)?;
        let scripts = games.modes.iter().map(|mode| (mode.script.file().to_owned(), mode.script.clone())).collect();
        Ok(Self { games, folder: folder.to_owned(), sources, allowance, scripts: Mutex::new(scripts) })
    }

    /// The script at this path, also when only a configuration names it and the manifest does not.
    ///
    /// # Errors
    /// When there is none, or it does not load.
    pub fn script(&self, file: &str) -> Result<Arc<Script>, Fault> {
        if let Some(script) = self.scripts.lock().get(file) {
            return Ok(script.clone());
        }
        if self.sources.text(file).is_none() {
            return Err(Fault::of_file(file, "no such file in the games folder"));
        }
        discover::probe(file, self.sources.clone(), self.allowance)?
            .ok_or_else(|| Fault::of_file(file, "game_type \"world\" is not served, only matches are"))?;
        let script = Script::new(&self.folder, file, self.sources.clone(), self.allowance);
        self.scripts.lock().insert(file.to_owned(), script.clone());
        Ok(script)
    }

    /// Every script that was asked for so far: what [`super::watch`] keeps fresh.
    pub fn scripts(&self) -> Vec<Arc<Script>> {
        self.scripts.lock().values().cloned().collect()
    }

    /// A match of the script at this path, on the thread that is to play it.
    ///
    /// # Errors
    /// When there is no such script, or its body or its `init` fails.
    pub fn build(&self, file: &str, options: &RawValue, birth: Birth) -> Result<Box<dyn Game>, BuildError> {
        let script = self.script(file).map_err(|fault| BuildError(fault.to_string()))?;
        let game = LuaGame::new(script, options, birth).map_err(|error| BuildError(error.to_string()))?;
        Ok(Box::new(game))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_served_by_their_paths() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/games");
        let library = Library::open(&folder, Allowance::default()).unwrap();
        let names: Vec<_> = library.games.modes.iter().map(|mode| mode.name.as_str()).collect();
        assert_eq!(names, ["crawl", "lua_arena", "rps"]);
        let options = RawValue::from_string("{}".into()).unwrap();
        let build = |file: &str| library.build(file, &options, Birth { seed: 1, unix_us: 0 }).map(drop);
        assert_eq!(build("rps/match.lua"), Ok(()));
        for (file, why) in [
            ("none.lua", "none.lua: no such file in the games folder"),
            (
                "arena/shots.lua",
                "arena/shots.lua: no callback is defined: expected functions such as init, join and tick",
            ),
        ] {
            assert_eq!(build(file), Err(BuildError(why.into())));
        }
    }
}
