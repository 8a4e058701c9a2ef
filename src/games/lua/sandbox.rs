//! One machine for one match: Lua with the parts removed that loop unseen, differ between runs or open a door, the
//! meter watching it, and the modules of one folder.
//!
//! Scripts get the base library, `string`, `table`, `math`, `utf8`, a small `os`, their folder by `require`, and
//! `game`. They do not get io, load, package, coroutines, debug, finalisers or weak tables.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use mlua::chunk::ChunkMode;
use mlua::state::{GcIncParams, GcMode};
use mlua::{Function, Lua, LuaString, StdLib, Table, Value};

use super::budget::{Allowance, Entry, LARGE_CHARGE, Meter, cpu_now_us};
use super::heap::Heap;
use super::host::Host;
use super::report::Fault;
use super::script::Sources;
use super::{api, clock, strings};
use crate::limits::scripts::LATE_MODULE_BYTES_MAX;

const PRELUDE: &str = include_str!("prelude.lua");

/// Where Lua looks for the names of functions, in its registry (`LUA_LOADED_TABLE`).
const NAMED: &str = "_LOADED";

/// Live memory, in percent of what the last collection left, at which the next one begins.
const GC_PAUSE_PERCENT: i32 = 118;

/// A machine ready to run a script's body.
pub(super) struct Machine {
    pub(super) lua: Heap,
    pub(super) meter: Rc<Meter>,
    pub(super) host: Rc<Host>,
    /// What the host asks of the prelude: see its end.
    own: Own,
}

struct Own {
    require_for: Function,
    forget_modules: Function,
    recall_modules: Function,
    remember: Function,
    undo: Function,
    copy: Function,
    put: Function,
}

impl Machine {
    /// A fresh machine over `sources`. Nothing of the script has run yet.
    pub(super) fn new(sources: Arc<Sources>, allowance: Allowance, host: Rc<Host>) -> mlua::Result<Self> {
        let libs = StdLib::STRING | StdLib::TABLE | StdLib::MATH | StdLib::UTF8;
        let lua = Heap::new(libs)?;
        let meter = Meter::watch(&lua, allowance)?;
        host.set_sources(sources);
        host.set_meter(meter.clone());
        let helpers = lua.create_table()?;
        strings::install(&lua, &helpers, &meter)?;
        clock::install(&lua, &helpers, &host)?;
        install_helpers(&lua, &helpers, &meter, &host)?;
        let game = api::install(&lua, &host)?;
        lua.globals().raw_set("game", &game)?;
        let own: Table = lua.load(prelude(&lua)?).set_name("=tessera").set_mode(ChunkMode::Binary).call(helpers)?;
        game.raw_set("spatial", own.raw_get::<Table>("spatial")?)?;
        lua.set_named_registry_value(NAMED, own.raw_get::<Table>("loaded")?)?;
        let own = Own {
            require_for: own.raw_get("require_for")?,
            forget_modules: own.raw_get("forget_modules")?,
            recall_modules: own.raw_get("recall_modules")?,
            remember: own.raw_get("remember")?,
            undo: own.raw_get("undo")?,
            copy: own.raw_get("copy")?,
            put: own.raw_get("put")?,
        };
        // A match waits for the next collection until it holds a sixth more, not twice as much: many small
        // machines live side by side, and the work is spread over their ticks.
        lua.gc_set_mode(GcMode::Incremental(GcIncParams::default().pause(GC_PAUSE_PERCENT)));
        lua.gc_collect()?;
        meter.bare();
        Ok(Self { lua, meter, host, own })
    }

    /// Runs the body of `file` (a path inside the folder) with globals of `env`, as its modules will.
    pub(super) fn run(&self, file: &str, env: &Table) -> mlua::Result<Value> {
        let text = self
            .host
            .sources()
            .text(file)
            .unwrap_or_else(|| Err(Fault::of_file(file, "no such file in the games folder")));
        let text = text.map_err(mlua::Error::runtime)?;
        let base = file.rsplit_once('/').map_or("", |(dir, _)| dir);
        self.entry(Entry::Load, || {
            env.raw_set("require", self.own.require_for.call::<Function>((base, env))?)?;
            let chunk = self.lua.load(text.as_ref()).set_name(format!("@{file}")).set_mode(ChunkMode::Text);
            let chunk = chunk.set_environment(env.clone());
            // What a file is compiled to has all the memory of a match, in as many pieces as it has functions.
            self.meter.compiles(&self.lua, text.len(), || chunk.into_function())?.call::<Value>(())
        })
    }

    /// Runs a file of the host's own with globals of `env`.
    pub(super) fn run_own(&self, text: &str, env: &Table) -> mlua::Result<()> {
        self.entry(Entry::Own, || {
            let chunk = self.lua.load(text).set_name("=bots").set_mode(ChunkMode::Text);
            chunk.set_environment(env.clone()).call::<()>(())
        })
    }

    /// Runs `work` on a fresh allowance; an error that a script swallowed still counts once the allowance is spent.
    pub(super) fn entry<T>(&self, entry: Entry, work: impl FnOnce() -> mlua::Result<T>) -> mlua::Result<T> {
        self.meter.begin(&self.lua, entry);
        let done = work();
        self.meter.end();
        if done.as_ref().err().is_some_and(ran_out_of_memory) {
            let _ = self.meter.stop(&self.lua, self.meter.lacked());
        }
        let Some(spent) = self.meter.spent() else { return done };
        let place = self.meter.place().map(|place| format!("{place}: ")).unwrap_or_default();
        let traceback = done.err().map(|error| super::report::traceback_of(&error)).unwrap_or_default();
        Err(mlua::Error::RuntimeError(format!("{place}{}\nstack traceback:\n{traceback}", spent.as_str())))
    }

    /// Runs `work` of the host's own within an entry, without the entry's limit of memory: it fails for no fault of the
    /// script's, and what it makes is bounded by what came in.
    pub(super) fn unlimited<T>(&self, work: impl FnOnce() -> mlua::Result<T>) -> mlua::Result<T> {
        self.meter.unlimit();
        let done = work();
        self.meter.came_in(&self.lua);
        done
    }

    /// The module cache so far, forgetting it, so that a reload reads every module anew.
    pub(super) fn forget_modules(&self) -> mlua::Result<Table> {
        self.entry(Entry::Own, || self.own.forget_modules.call(()))
    }

    /// Takes a cache back that [`Machine::forget_modules`] gave.
    pub(super) fn recall_modules(&self, modules: Table) -> mlua::Result<()> {
        self.entry(Entry::Own, || self.own.recall_modules.call(modules))
    }

    /// What the state holds now, for [`Machine::undo`]; none for a state of more than a thousand entries, or one
    /// that takes long to go through. It is the host's wish, so the script does not pay for it.
    pub(super) fn remember(&self, state: &Table) -> mlua::Result<Option<Table>> {
        let remembered = self.entry(Entry::Lent(self.part_of_time(8)), || self.own.remember.call(state));
        if self.meter.spent().is_some() { Ok(None) } else { remembered }
    }

    /// The same value in tables of its own. At nobody's account of instructions, like [`Machine::remember`]; its time is
    /// the script's, and its memory bounds it.
    pub(super) fn copy(&self, value: &Value) -> mlua::Result<Value> {
        let began = Instant::now();
        let copy = self.entry(Entry::Lent(self.meter.purse_us()), || self.own.copy.call(value));
        self.meter.bill(began.elapsed());
        copy
    }

    /// Puts every table of the state back to what it held. Fails where the script made too much of its state meanwhile: then
    /// it is neither what it was nor what the script made of it.
    pub(super) fn undo(&self, journal: Table) -> mlua::Result<()> {
        let began = Instant::now();
        let done = self.entry(Entry::Lent(self.part_of_time(4)), || self.own.undo.call(journal));
        self.meter.bill(began.elapsed());
        done
    }

    /// Such a part of the time by which a match may make its neighbours late.
    fn part_of_time(&self, part: u64) -> u64 {
        self.meter.allowance().cpu_us / part
    }

    /// Makes these the entries of a table of the script's, as far as it may have them: it may have become a metatable. Fails
    /// as [`Machine::undo`] does.
    pub(super) fn refill(&self, t: &Table, with: Vec<(Value, Value)>) -> mlua::Result<()> {
        // Held here they need memory of the machine, which has no limit between two entries. What takes too long to find
        // is left there.
        let old = entries(t).unwrap_or_default();
        self.entry(Entry::Lent(self.part_of_time(4)), || {
            let gone = old.into_iter().map(|(key, _)| (key, Value::Nil));
            gone.chain(with).try_for_each(|(key, value)| self.own.put.call((t, key, value)))
        })
    }
}

/// Makes something of a machine that is new. What the library underneath panics over is a fault of the script like any
/// other, and not the end of the thread that makes it.
pub(super) fn guarded<T>(file: &str, make: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // Nothing of it is looked at again.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(make)).unwrap_or_else(|_| {
        Err(Fault::of_file(file, "it broke the machine that was made for it, as no honest script does"))
    })
}

/// Processor microseconds in which a script's table is gone through for it: ten times what thousands of entries take, and
/// far less than as many whose keys were chosen to collide.
const ENTRIES_US: u64 = 3_000;

/// What a table holds. Fails where it takes too long to find out.
pub(super) fn entries(t: &Table) -> mlua::Result<Vec<(Value, Value)>> {
    let (mut entries, began_us) = (Vec::new(), cpu_now_us());
    t.for_each(|key: Value, value: Value| {
        entries.push((key, value));
        if entries.len().is_multiple_of(SEEN_UNPAID as usize) && cpu_now_us() - began_us > ENTRIES_US {
            return Err(mlua::Error::runtime(
                "the globals are too many, or collide, so that a reload could not be taken back",
            ));
        }
        Ok(())
    })?;
    Ok(entries)
}

/// The prelude, compiled once for all machines and without the names and lines that only its own errors would show.
fn prelude(lua: &Lua) -> mlua::Result<&'static [u8]> {
    static COMPILED: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(compiled) = COMPILED.get() {
        return Ok(compiled);
    }
    let compiled = lua.load(PRELUDE).set_name("=tessera").set_mode(ChunkMode::Text).into_function()?.dump(true);
    Ok(COMPILED.get_or_init(|| compiled))
}

fn install_helpers(lua: &Lua, helpers: &Table, meter: &Rc<Meter>, host: &Rc<Host>) -> mlua::Result<()> {
    let m = meter.clone();
    helpers.raw_set("check", lua.create_function(move |_, ()| m.check())?)?;
    let m = meter.clone();
    helpers.raw_set("out_of_memory", lua.create_function(move |lua, ()| m.stop(lua, m.lacked()))?)?;
    let m = meter.clone();
    helpers.raw_set("charge", lua.create_function(move |lua, units: u64| m.charge(lua, units))?)?;
    let m = meter.clone();
    helpers.raw_set("entry", lua.create_function(move |_, ()| Ok(m.entry()))?)?;
    helpers.raw_set("metatable", lua.create_function(|_, t: Table| Ok(t.metatable()))?)?;
    helpers.raw_set("set_metatable", lua.create_function(|_, (t, mt): (Table, Table)| t.set_metatable(Some(mt)))?)?;
    helpers.raw_set("error_text", lua.create_function(|_, value: Value| Ok(error_text(&value)))?)?;
    let h = host.clone();
    let m = meter.clone();
    helpers.raw_set("order", lua.create_function(move |lua, t: Table| ordered_keys(lua, &m, &h, &t))?)?;
    let h = host.clone();
    let m = meter.clone();
    helpers.raw_set(
        "after_key",
        lua.create_function(move |lua, (t, key): (Table, Value)| {
            let after = key_after(lua, &m, &t, &key)?;
            if rank(&after) == 3 && !after.is_nil() {
                h.saw_unordered_keys();
            }
            Ok(after)
        })?,
    )?;
    helpers.raw_set(
        "locate",
        lua.create_function(|_, (base, module): (LuaString, LuaString)| {
            module_file(&base.to_str()?, &module.to_str()?)
        })?,
    )?;
    let h = host.clone();
    let m = meter.clone();
    helpers.raw_set(
        "compile",
        lua.create_function(move |lua, (file, module, env): (LuaString, LuaString, Table)| {
            let (file, module) = (file.to_str()?, module.to_str()?);
            let Some(text) = h.sources().text(&file) else {
                return Err(mlua::Error::runtime(format!("module '{module}' not found: there is no {file}")));
            };
            let text = text.map_err(mlua::Error::runtime)?;
            // Compiling is one step that nothing interrupts.
            if !h.loading() && text.len() > LATE_MODULE_BYTES_MAX {
                return Err(mlua::Error::runtime(format!(
                    "module '{module}' has {} bytes: while a match plays it may have {LATE_MODULE_BYTES_MAX}, larger ones \
                     are required at the top of a file",
                    text.len()
                )));
            }
            m.charge(lua, text.len() as u64 / 4 + LARGE_CHARGE)?;
            let chunk = lua.load(text.as_ref()).set_name(format!("@{file}")).set_mode(ChunkMode::Text);
            m.compiles(lua, text.len(), || chunk.set_environment(env).into_function())
        })?,
    )
}

/// The file that `require(module)` means in a script whose directory is `base`.
fn module_file(base: &str, module: &str) -> mlua::Result<String> {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if module.len() > 128 || !module.split('.').all(plain) {
        return Err(mlua::Error::runtime("require wants a name like \"physics\" or \"bots.chaser\""));
    }
    let slash = if base.is_empty() { "" } else { "/" };
    Ok(format!("{base}{slash}{}.lua", module.replace('.', "/")))
}

/// What an error value says, without running anything of the script's and without addresses.
pub(super) fn error_text(value: &Value) -> String {
    match value {
        Value::Error(e) => super::report::message_of(e),
        Value::String(s) => s.to_string_lossy(),
        other => format!("(a {})", other.type_name()),
    }
}

/// Where a key stands in the order of `pairs`.
fn rank(key: &Value) -> u8 {
    match key {
        Value::Integer(_) | Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Boolean(_) => 2,
        _ => 3,
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    let number = |v: &Value| match v {
        Value::Integer(n) => *n as f64,
        Value::Number(n) => *n,
        _ => 0.0,
    };
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(&b.as_bytes()),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)).then_with(|| number(a).total_cmp(&number(b))).then_with(|| match (a, b) {
            // The nearest float of a large integer may be a key of its own.
            (Value::Integer(a), Value::Number(b)) => i128::from(*a).cmp(&(*b as i128)),
            (Value::Number(a), Value::Integer(b)) => (*a as i128).cmp(&i128::from(*b)),
            _ => Ordering::Equal,
        }),
    }
}

/// Whether memory ran out, also within a function of the library.
fn ran_out_of_memory(error: &mlua::Error) -> bool {
    match error {
        mlua::Error::MemoryError(_) => true,
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => ran_out_of_memory(cause),
        _ => false,
    }
}

/// The keys of `t` in the defined order, as a sequence.
fn ordered_keys(lua: &Lua, meter: &Rc<Meter>, host: &Host, t: &Table) -> mlua::Result<Table> {
    let mut keys: Vec<Value> = Vec::new();
    t.for_each(|key: Value, _: Value| {
        keys.push(key);
        pay_as_one_goes(lua, meter, keys.len() as u64, 4)
    })?;
    keys.sort_by(compare);
    if keys.last().is_some_and(|key| rank(key) == 3) {
        host.saw_unordered_keys();
    }
    lua.create_sequence_from(keys)
}

/// The first key of `t` after `key` in the defined order; the very first for nil. Never one key twice, whatever the
/// script did to the table in between.
fn key_after(lua: &Lua, meter: &Rc<Meter>, t: &Table, key: &Value) -> mlua::Result<Value> {
    let mut best = Value::Nil;
    let mut seen = 0u64;
    if rank(key) == 3 && !key.is_nil() {
        // Things without an order follow each other as they come.
        let (mut found, mut after) = (false, Value::Nil);
        t.for_each(|k: Value, _: Value| {
            seen += 1;
            pay_as_one_goes(lua, meter, seen, 2)?;
            if found && after.is_nil() && rank(&k) == 3 {
                after = k;
            } else if k == *key {
                found = true;
            }
            Ok(())
        })?;
        return Ok(after);
    }
    t.for_each(|k: Value, _: Value| {
        seen += 1;
        pay_as_one_goes(lua, meter, seen, 2)?;
        let later = key.is_nil() || compare(&k, key) == Ordering::Greater;
        if later && (best.is_nil() || compare(&k, &best) == Ordering::Less) {
            best = k;
        }
        Ok(())
    })?;
    Ok(best)
}

/// Entries between two payments of those who go through a table: the way to the next of keys that were chosen to collide
/// is as long as there are keys.
const SEEN_UNPAID: u64 = 64;

fn pay_as_one_goes(lua: &Lua, meter: &Rc<Meter>, seen: u64, each: u64) -> mlua::Result<()> {
    if seen.is_multiple_of(SEEN_UNPAID) { meter.charge(lua, SEEN_UNPAID * each) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_panics_over_is_a_fault_of_the_file() {
        let broken = guarded::<()>("match.lua", || panic!("out of auxiliary stack space"));
        assert_eq!(broken.unwrap_err().file, "match.lua");
        assert_eq!(guarded("match.lua", || Ok(1)), Ok(1));
    }

    #[test]
    fn numbers_that_are_one_as_floats_have_an_order() {
        let (large, float) = (Value::Integer(i64::MAX), Value::Number(9_223_372_036_854_775_808.0));
        assert_eq!((compare(&large, &float), compare(&float, &large)), (Ordering::Less, Ordering::Greater));
        assert_eq!(compare(&Value::Integer(2), &Value::Number(1.5)), Ordering::Greater);
    }

    #[test]
    fn modules_stay_in_the_folder() {
        assert_eq!(module_file("arena", "bots.chaser").unwrap(), "arena/bots/chaser.lua");
        assert_eq!(module_file("", "physics").unwrap(), "physics.lua");
        for bad in ["..", "../x", "/etc/passwd", "a..b", "", "a/b", "a.lua\0", "x y"] {
            assert!(module_file("arena", bad).is_err(), "{bad}");
        }
    }
}
