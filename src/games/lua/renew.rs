//! A match that plays takes new files, and plays on with the old ones where those are no good.

use mlua::{Table, Value};

use super::play::{LuaGame, audience};
use super::sandbox::Machine;
use crate::games::Effect;

impl LuaGame {
    /// Takes the script's new files, keeping the state. When the new body fails, everything is as it was.
    pub(super) fn reload(&mut self) {
        self.version = self.script.version();
        let old = self.host().sources();
        let outcome = self.kept().and_then(|kept| {
            self.host().set_sources(self.script.sources());
            self.host().set_loading(true);
            let ran = self.machine.run(self.script.file(), &self.machine.lua.globals());
            self.host().set_loading(false);
            if ran.is_err() {
                self.host().set_sources(old);
                kept.put_back(&self.machine)?;
            }
            ran.map(drop)
        });
        match outcome {
            Ok(()) => {
                self.audience = audience(&self.lookup);
                self.load_bots();
                self.host().tell(Effect::Log(format!("reloaded {}", self.script.file())));
            }
            Err(error) => self.fail("reload", None, &error),
        }
    }

    fn kept(&self) -> mlua::Result<Kept> {
        let globals = self.machine.lua.globals();
        let game = globals.raw_get::<Option<Table>>("game").ok().flatten();
        Ok(Kept {
            globals: entries(&globals)?,
            game: game.map(|game| Ok::<_, mlua::Error>((entries(&game)?, game))).transpose()?,
            modules: self.machine.forget_modules()?,
        })
    }
}

/// What a reload replaces, to put it back when the new files are no good.
struct Kept {
    globals: Vec<(Value, Value)>,
    game: Option<(Vec<(Value, Value)>, Table)>,
    modules: Table,
}

impl Kept {
    fn put_back(self, machine: &Machine) -> mlua::Result<()> {
        refill(&machine.lua.globals(), self.globals)?;
        if let Some((entries, game)) = self.game {
            refill(&game, entries)?;
        }
        machine.recall_modules(self.modules)
    }
}

fn entries(t: &Table) -> mlua::Result<Vec<(Value, Value)>> {
    let mut entries = Vec::new();
    t.for_each(|key: Value, value: Value| {
        entries.push((key, value));
        Ok(())
    })?;
    Ok(entries)
}

fn refill(t: &Table, with: Vec<(Value, Value)>) -> mlua::Result<()> {
    for (key, _) in entries(t)? {
        t.raw_set(key, Value::Nil)?;
    }
    with.into_iter().try_for_each(|(key, value)| t.raw_set(key, value))
}
