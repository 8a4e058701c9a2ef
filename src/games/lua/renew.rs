//! A match that plays takes new files, and plays on with the old ones where those are no good.

use mlua::{Function, Table, Value};

use super::budget::Spent;
use super::calls::{Blame, Lookup};
use super::play::{LuaGame, audience};
use super::report::Fault;
use super::sandbox::{Machine, entries};
use crate::games::{Effect, ScriptFault};
use crate::limits::scripts::RELOAD_TRIES_MAX;

/// Globals that say how a running match is played, as its script's body has them: what the new one does not say no longer
/// holds.
const SAID_BY_BODIES: &[&str] = &["state_strategy", "bots"];

/// The callbacks that a script's body defined, as against those that it was given while it played.
#[derive(Default)]
pub(super) struct Body(Vec<(&'static str, Function)>);

impl Body {
    /// Those that are there after it ran.
    pub(super) fn of(lookup: &Lookup) -> Self {
        Self(lookup.callbacks())
    }

    /// A new body ran: callbacks of the old one that it did not define again are gone, like the lines that were.
    fn forget_old(&mut self, lookup: &Lookup) -> mlua::Result<()> {
        for (name, old) in std::mem::take(&mut self.0) {
            lookup.forget(name, &old)?;
        }
        *self = Self::of(lookup);
        Ok(())
    }
}

/// New files that a match could not take yet.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    version: u64,
    tries: u32,
    /// They ran out of processor time: until there is more, nothing of a tick takes any.
    pub(super) waits: bool,
}

impl LuaGame {
    /// Tells what was wrong with what was saved. Every save is somebody's deed, so all of them are told.
    pub(super) fn tell_notes(&mut self) {
        let noted = self.script.noted();
        if std::mem::replace(&mut self.noted, noted) == noted {
            return;
        }
        for Fault { file, line, text } in self.script.notes().iter().cloned() {
            let fault = ScriptFault {
                player: None,
                callback: "reload",
                file,
                line,
                message: text,
                traceback: String::new(),
                over_budget: false,
                suppressed: 0,
            };
            self.host().tell(Effect::ScriptFault(Box::new(fault)));
        }
    }

    /// Takes the script's new files, keeping the state. When the new body fails, everything is as it was; when only
    /// what it needed was not there, the next tick tries again.
    pub(super) fn reload(&mut self) {
        let (old_version, version) = (self.version, self.script.version());
        if self.renewal.version != version {
            self.renewal = Renewal { version, ..Renewal::default() };
        }
        if !self.machine.meter.has_quarters(if self.renewal.waits { 4 } else { 1 }) {
            self.renewal.waits = true;
            return;
        }
        self.renewal.waits = false;
        self.version = version;
        let (mut spent, mut half_done) = (None, false);
        let old = self.host().sources();
        let outcome = self.kept().and_then(|kept| {
            self.host().set_sources(self.script.sources());
            self.host().set_loading(true);
            for name in SAID_BY_BODIES {
                self.machine.lua.globals().raw_set(*name, Value::Nil)?;
            }
            let ran = self.machine.run(self.script.file(), &self.machine.lua.globals());
            self.host().set_loading(false);
            if ran.is_ok() {
                self.body.forget_old(&self.lookup)?;
            }
            spent = self.machine.meter.spent().filter(|_| ran.is_err());
            if ran.is_err() {
                self.host().set_sources(old);
                half_done = kept.put_back(&self.machine).is_err();
            }
            ran.map(drop)
        });
        match outcome {
            Ok(()) => {
                self.audience = audience(&self.lookup);
                self.stores = self.host().sources().store;
                self.troubles.remove("reload");
                self.load_bots();
                self.host().tell(Effect::Log(format!("reloaded {}", self.script.file())));
            }
            Err(error) => {
                self.renewal.tries += 1;
                if self.renewal.tries < RELOAD_TRIES_MAX && matches!(spent, Some(Spent::Cpu | Spent::Memory)) {
                    self.version = old_version;
                    self.renewal.waits = spent == Some(Spent::Cpu);
                }
                // What the tick cannot have now is not the fault of the functions that play on.
                self.turn_told = true;
                let blame = match spent {
                    // Neither the old globals nor the new ones.
                    _ if half_done => Blame::Gross,
                    Some(_) => Blame::OverBudget,
                    None => Blame::Raised,
                };
                self.fail("reload", None, &error, blame);
            }
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
        machine.refill(&machine.lua.globals(), self.globals)?;
        if let Some((entries, game)) = self.game {
            machine.refill(&game, entries)?;
        }
        machine.recall_modules(self.modules)
    }
}
