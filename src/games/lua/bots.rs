//! Bots by a script of their own: they see what players see, and answer with inputs.

use mlua::{Function, Table, Value};

use super::calls::Blame;
use super::play::{LuaGame, beside};
use crate::limits::scripts::{BOT_NAME_BYTES_MAX, BOT_NAMES_MAX};

/// What bots are called whose script has no `names`, as in the public interface.
const DEFAULT_NAMES: [&str; 5] = ["Spark", "Blitz", "Volt", "Neon", "Pulse"];

/// What bots do without a script.
const PLAIN: &str = include_str!("bots.lua");

impl LuaGame {
    /// Lets every bot look at what its players see and answers with an input.
    pub(super) fn think(&mut self) {
        for bot in self.host().bots() {
            let think = match &self.bots {
                Some(env) => env.raw_get::<Option<Function>>("think").ok().flatten(),
                None => self.lookup.find("think"),
            };
            let (Some(think), Ok(id)) = (think, self.id(bot)) else { return };
            let Some(seen) = self.seen_by(Some(bot), |_, seen| Ok(seen)).done() else { continue };
            // A view may be the state itself or hold parts of it, and a bot is a player: it looks, and answers with inputs.
            let copied = self.machine.copy(&seen);
            if let Some(us) = self.machine.meter.gross_us() {
                let text = format!("copying what a bot sees took {} ms in one step", us / 1_000);
                return self.fail("think", None, &mlua::Error::runtime(text), Blame::Gross);
            }
            let seen = match copied {
                Ok(seen) => seen,
                Err(error) => {
                    self.fail("think", None, &error, Blame::None);
                    continue;
                }
            };
            if let Some(input @ Value::Table(_)) = self.call_function("think", None, &think, (id, seen)).done() {
                self.apply_input(bot, |_| Ok(input));
            }
        }
    }

    /// Runs the script that `bots = {script = "..."}` names, or [`PLAIN`] where `bots` names none and the match has no
    /// `think` of its own, in an environment of its own: it sees the library but neither `game` nor the globals of the
    /// match.
    pub(super) fn load_bots(&mut self) {
        self.bots = None;
        self.bot_names = DEFAULT_NAMES.map(str::to_owned).into();
        let lua = &self.machine.lua;
        let globals = lua.globals();
        let Ok(Value::Table(bots)) = globals.raw_get::<Value>("bots") else { return };
        let file = match bots.raw_get::<Option<String>>("script").ok().flatten() {
            Some(script) => Some(beside(self.script.file(), &script)),
            None if self.lookup.find("think").is_some() => return,
            None => None,
        };
        self.host().set_loading(true);
        let loaded = (|| {
            let env = lua.create_table()?;
            for name in [
                "assert",
                "error",
                "getmetatable",
                "ipairs",
                "math",
                "next",
                "os",
                "pairs",
                "pcall",
                "rawequal",
                "rawget",
                "rawlen",
                "rawset",
                "select",
                "setmetatable",
                "string",
                "table",
                "tonumber",
                "tostring",
                "type",
                "utf8",
                "xpcall",
                "_VERSION",
            ] {
                env.raw_set(name, globals.raw_get::<Value>(name)?)?;
            }
            env.raw_set("_G", &env)?;
            match &file {
                Some(file) => drop(self.machine.run(file, &env)?),
                None => self.machine.run_own(PLAIN, &env)?,
            }
            Ok(env)
        })();
        self.host().set_loading(false);
        match loaded {
            Ok(env) => {
                let names = names_of(&env);
                if !names.is_empty() {
                    self.bot_names = names;
                }
                self.bots = Some(env);
            }
            Err(error) => self.fail("think", None, &error, Blame::None),
        }
    }
}

/// The `names` of a bots' script: those that can be shown.
fn names_of(env: &Table) -> Vec<String> {
    let Ok(Value::Table(names)) = env.raw_get::<Value>("names") else { return Vec::new() };
    let text = |name: Value| name.as_string().map(|name| name.to_string_lossy());
    let fits = |name: &String| {
        (1..=BOT_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| (b' '..=b'~').contains(&b))
    };
    let named = names.sequence_values::<Value>().take(BOT_NAMES_MAX).filter_map(Result::ok);
    named.filter_map(text).filter(fits).collect()
}
