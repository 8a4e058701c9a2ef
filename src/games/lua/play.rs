//! One match of a script. Its state is a table that never leaves the machine; the callbacks get it, change it and
//! give it back, and only a view of it is written out.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use mlua::{FromLuaMulti, Function, IntoLuaMulti, Lua, LuaString, Table, Value};
use serde_json::value::RawValue;

use super::budget::Entry;
use super::host::{Birth, Host};
use super::phases::{Phases, Step};
use super::report::{Fault, Told};
use super::sandbox::Machine;
use super::script::Script;
use super::{api, convert};
use crate::games::{Audience, Effect, Game, GameCx, JoinRefused, Json, OpenVote, ScriptFault};
use crate::ids::PlayerId;
use crate::limits::EVENT_BYTES_MAX;

/// What a script may define, as a global function or as `function game.NAME`.
pub(super) const CALLBACKS: &[&str] = &[
    "init",
    "join",
    "leave",
    "handle_input",
    "tick",
    "get_state",
    "vote_requested",
    "vote_resolved",
    "vote_vetoed",
    "phases",
    "on_phase_started",
    "on_phase_ended",
    "spectate",
    "think",
    "snapshot",
    "restore",
];

/// What is called within a tick or for the views after it, and draws on its account.
const IN_TURN: &[&str] =
    &["handle_input", "tick", "get_state", "spectate", "think", "vote_requested", "on_phase_started", "on_phase_ended"];

/// Bytes of one view. Over: it is not sent, and its author is told. Half of what an outbox holds by default.
pub const VIEW_BYTES_MAX: usize = 128 * 1024;

/// Bytes of one snapshot. Over: there is none, and its author is told.
const SNAPSHOT_BYTES_MAX: usize = 1 << 20;

/// Bytes of a refusal's reason; it has to be printable ASCII to be passed on.
const REASON_BYTES_MAX: usize = 64;

/// What a fault of all callbacks of one tick together is filed under.
const TURN: &str = "turn";

/// Bytes of a bot's name, and how many of a script's names are read.
const BOT_NAME_BYTES_MAX: usize = 32;
const BOT_NAMES_MAX: usize = 64;

/// Players' ids kept as strings of the machine.
const IDS_MAX: usize = 64;

/// Faults of one callback that are told per window, and the window in microseconds of match time.
const FAULTS_TOLD: u32 = 3;
const FAULTS_WINDOW_US: u64 = 10_000_000;

/// A match could not be made of a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScriptError(pub Fault);

/// A match that a script plays. Lives and dies on one thread.
pub struct LuaGame {
    machine: Machine,
    script: Arc<Script>,
    version: u64,
    state: Table,
    audience: Audience,
    phases: Phases,
    bots: Option<Table>,
    bot_names: Vec<String>,
    lookup: Lookup,
    ids: Vec<(PlayerId, LuaString)>,
    troubles: BTreeMap<&'static str, Trouble>,
    /// The match has its result: nothing ticks, but its last state may still be looked at.
    over: bool,
    /// A callback was over its budget too often: nothing of the script runs any more.
    barred: bool,
    /// The tick that the callbacks of this turn belong to, and whether one of them found the account empty.
    turn: Option<u64>,
    turn_told: bool,
}

/// How one callback has been doing.
#[derive(Default)]
struct Trouble {
    strikes: u32,
    window_us: u64,
    told: u32,
    suppressed: u64,
}

/// What became of a call.
enum Called<R> {
    /// The script has no such callback.
    Absent,
    /// It failed, and its author has been told.
    Failed,
    Done(R),
}

impl<R> Called<R> {
    fn done(self) -> Option<R> {
        match self {
            Called::Done(value) => Some(value),
            Called::Absent | Called::Failed => None,
        }
    }
}

/// Where callbacks are looked for, and their names as the machine knows them. They are looked up at every call, as a
/// script may give itself another `tick` while it plays.
pub(super) struct Lookup {
    globals: Table,
    game: Table,
    names: Vec<(&'static str, LuaString)>,
}

impl Lookup {
    pub(super) fn new(lua: &Lua) -> mlua::Result<Self> {
        let globals = lua.globals();
        let game = globals.raw_get("game")?;
        let names = CALLBACKS.iter().map(|name| Ok((*name, lua.create_string(name)?))).collect::<mlua::Result<_>>()?;
        Ok(Self { globals, game, names })
    }

    /// The callback of that name: a global function, or one put into `game`.
    pub(super) fn find(&self, name: &str) -> Option<Function> {
        let (_, key) = self.names.iter().find(|(known, _)| *known == name)?;
        let in_table = |t: &Table| match t.raw_get::<Value>(key) {
            Ok(Value::Function(f)) => Some(f),
            _ => None,
        };
        in_table(&self.globals).or_else(|| in_table(&self.game))
    }
}

/// The path of `other` as written in `file`: relative to the directory of the script.
pub(super) fn beside(file: &str, other: &str) -> String {
    let other = other.trim_start_matches("./");
    match file.rsplit_once('/') {
        Some((dir, _)) => format!("{dir}/{other}"),
        None => other.to_owned(),
    }
}

impl LuaGame {
    /// Runs the script's body and its `init(options)`. `options` is the mode's `game_options`, a JSON object.
    pub fn new(script: Arc<Script>, options: &RawValue, birth: Birth) -> Result<Self, ScriptError> {
        let fault = |e: mlua::Error| ScriptError(Told::of(&e, script.file()).fault());
        let version = script.version();
        let host = Rc::new(Host::new(birth));
        let machine = Machine::new(script.sources(), script.allowance(), host).map_err(fault)?;
        let globals = machine.lua.globals();
        machine.run(script.file(), &globals).map_err(fault)?;
        machine.host.set_loading(false);
        let lookup = Lookup::new(&machine.lua).map_err(fault)?;
        let state = begin(&machine, &lookup, options).map_err(fault)?;
        let mut game = Self {
            audience: audience(&lookup),
            machine,
            script: script.clone(),
            version,
            state,
            phases: Phases::default(),
            bots: None,
            bot_names: Vec::new(),
            lookup,
            ids: Vec::new(),
            troubles: BTreeMap::new(),
            over: false,
            barred: false,
            turn: None,
            turn_told: false,
        };
        game.load_bots();
        game.read_phases(options);
        Ok(game)
    }

    /// Bytes the machine holds now.
    pub fn memory_bytes(&self) -> usize {
        self.machine.lua.used_memory()
    }

    /// Hands over what views, which have no way out, left behind.
    #[cfg(test)]
    pub(super) fn hand_over(&mut self, cx: &mut GameCx<'_>) {
        self.host().leave(cx);
    }

    fn host(&self) -> &Rc<Host> {
        &self.machine.host
    }

    /// Runs `work` between taking in what the match says and handing over what the script asked for.
    fn within<T>(&mut self, cx: &mut GameCx<'_>, work: impl FnOnce(&mut Self) -> T) -> T {
        self.host().enter(cx);
        let done = work(self);
        self.host().leave(cx);
        done
    }

    /// Calls a callback on a fresh allowance.
    fn call<R: FromLuaMulti>(
        &mut self,
        name: &'static str,
        player: Option<PlayerId>,
        args: impl IntoLuaMulti,
    ) -> Called<R> {
        match self.lookup.find(name) {
            Some(f) => self.call_function(name, player, &f, args),
            None => Called::Absent,
        }
    }

    fn call_function<R: FromLuaMulti>(
        &mut self,
        name: &'static str,
        player: Option<PlayerId>,
        f: &Function,
        args: impl IntoLuaMulti,
    ) -> Called<R> {
        self.run(name, player, |_| f.call::<R>(args))
    }

    /// Runs `work` as the callback of that name.
    fn run<R>(
        &mut self,
        name: &'static str,
        player: Option<PlayerId>,
        work: impl FnOnce(&Machine) -> mlua::Result<R>,
    ) -> Called<R> {
        if self.barred {
            return Called::Failed;
        }
        let entry = if IN_TURN.contains(&name) { Entry::Turn } else { Entry::Callback };
        if self.machine.meter.is_over(entry) {
            self.turn_is_over(name);
            return Called::Failed;
        }
        match self.machine.entry(entry, || work(&self.machine)) {
            Ok(value) => {
                if !self.troubles.is_empty()
                    && let Some(trouble) = self.troubles.get_mut(name)
                {
                    trouble.strikes = 0;
                }
                Called::Done(value)
            }
            Err(_) if self.machine.meter.ran_short() => {
                self.turn_is_over(name);
                Called::Failed
            }
            Err(error) => {
                self.fail(name, player, &error);
                Called::Failed
            }
        }
    }

    /// The account of this tick could not pay for a callback: told once a tick.
    fn turn_is_over(&mut self, name: &str) {
        if !std::mem::replace(&mut self.turn_told, true) {
            let text = format!("the callbacks of one tick are over their budget together: {name} was left out");
            self.fail(TURN, None, &mlua::Error::runtime(text));
        }
    }

    /// The first input of a tick, or the tick itself: whatever comes until the next one draws on one account.
    fn begin_turn(&mut self, cx: &GameCx<'_>) {
        if self.turn == Some(cx.tick) {
            return;
        }
        self.turn = Some(cx.tick);
        self.machine.meter.new_turn(cx.elapsed_us);
        if !std::mem::take(&mut self.turn_told)
            && let Some(trouble) = self.troubles.get_mut(TURN)
        {
            trouble.strikes = 0;
        }
    }

    /// Tells the author what went wrong, and ends the match once a callback was over its budget too often in a row.
    fn fail(&mut self, callback: &'static str, player: Option<PlayerId>, error: &mlua::Error) {
        let spent = callback == TURN || self.machine.meter.spent().is_some();
        let now_us = self.host().elapsed_us();
        let trouble = self.troubles.entry(callback).or_default();
        if now_us >= trouble.window_us + FAULTS_WINDOW_US {
            trouble.window_us = now_us;
            trouble.told = 0;
        }
        trouble.strikes = if spent { trouble.strikes + 1 } else { 0 };
        let last_straw = trouble.strikes >= self.machine.meter.allowance().strikes.max(1);
        if trouble.told < FAULTS_TOLD || last_straw {
            trouble.told += 1;
            let suppressed = std::mem::take(&mut trouble.suppressed);
            let told = Told::of(error, self.script.file());
            let fault = ScriptFault {
                player,
                callback,
                file: told.file,
                line: told.line,
                message: told.message,
                traceback: told.traceback,
                over_budget: spent,
                suppressed,
            };
            self.machine.host.tell(Effect::ScriptFault(Box::new(fault)));
        } else {
            trouble.suppressed += 1;
        }
        self.barred |= last_straw;
        if last_straw && !self.over {
            self.over = true;
            let result = format!(r#"{{"status":"script_failed","callback":"{callback}"}}"#);
            if let Ok(result) = RawValue::from_string(result) {
                self.machine.host.tell(Effect::Finish(result));
            }
        }
    }

    /// Takes the state that a callback gave back; nothing keeps the one there is.
    fn take_state(&mut self, callback: &'static str, returned: Value) {
        match returned {
            Value::Table(state) => self.state = state,
            Value::Nil => {}
            other => {
                let text = format!("{callback} returned a {}, expected the state", other.type_name());
                self.fail(callback, None, &mlua::Error::runtime(text));
            }
        }
    }

    /// A player's id as the machine knows it.
    fn id(&mut self, player: PlayerId) -> mlua::Result<LuaString> {
        if let Some((_, id)) = self.ids.iter().find(|(known, _)| *known == player) {
            return Ok(id.clone());
        }
        let id = self.machine.lua.create_string(player.to_string())?;
        // Refused players and old ones are here too; who plays comes back at once.
        if self.ids.len() >= IDS_MAX {
            self.ids.clear();
        }
        self.ids.push((player, id.clone()));
        Ok(id)
    }

    /// Makes something of what a player (or, without one, a spectator or everyone) may see: within the callback that
    /// says it, so that a large view is paid for.
    fn seen_by<R>(
        &mut self,
        viewer: Option<PlayerId>,
        made: impl FnOnce(&Machine, Value) -> mlua::Result<R>,
    ) -> Called<R> {
        let state = self.state.clone();
        let (name, id) = match (self.audience, viewer) {
            (Audience::Shared, _) => ("get_state", None),
            (Audience::PerPlayer, None) => ("spectate", None),
            (Audience::PerPlayer, Some(player)) => match self.id(player) {
                Ok(id) => ("get_state", Some(id)),
                Err(_) => return Called::Failed,
            },
        };
        let callback = self.lookup.find(name);
        if callback.is_none() && name == "spectate" {
            return Called::Absent;
        }
        self.run(name, id.as_ref().and(viewer), |machine| {
            let seen = match (callback, id) {
                (Some(f), Some(id)) => f.call((id, state))?,
                (Some(f), None) => f.call(state)?,
                (None, _) => Value::Table(state),
            };
            made(machine, seen)
        })
    }

    fn apply_input(&mut self, player: PlayerId, input: impl FnOnce(&Machine) -> mlua::Result<Value>) {
        let (Some(f), Ok(id)) = (self.lookup.find("handle_input"), self.id(player)) else { return };
        let state = self.state.clone();
        let called = self.run("handle_input", Some(player), |machine| f.call((id, input(machine)?, state)));
        if let Some(returned) = called.done() {
            self.take_state("handle_input", returned);
        }
    }

    /// Lets every bot look at what its players see and answers with an input.
    fn think(&mut self) {
        for bot in self.host().bots() {
            let think = match &self.bots {
                Some(env) => env.raw_get::<Option<Function>>("think").ok().flatten(),
                None => self.lookup.find("think"),
            };
            let (Some(think), Ok(id)) = (think, self.id(bot)) else { return };
            let Some(seen) = self.seen_by(Some(bot), |_, seen| Ok(seen)).done() else { continue };
            if let Some(input @ Value::Table(_)) = self.call_function("think", None, &think, (id, seen)).done() {
                self.apply_input(bot, |_| Ok(input));
            }
        }
    }

    /// Runs the script that `bots = {script = "..."}` names, in an environment of its own: it sees the library but
    /// neither `game` nor the globals of the match.
    fn load_bots(&mut self) {
        self.bots = None;
        let lua = &self.machine.lua;
        let globals = lua.globals();
        let script = match globals.raw_get::<Value>("bots") {
            Ok(Value::Table(bots)) => bots.raw_get::<Option<String>>("script").ok().flatten(),
            _ => None,
        };
        let Some(script) = script else { return };
        let file = beside(self.script.file(), &script);
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
            self.machine.run(&file, &env)?;
            Ok(env)
        })();
        self.host().set_loading(false);
        match loaded {
            Ok(env) => {
                self.bot_names = names_of(&env);
                self.bots = Some(env);
            }
            Err(error) => self.fail("think", None, &error),
        }
    }

    fn read_phases(&mut self, options: &RawValue) {
        let Ok(config) = convert::decode(&self.machine.lua, options) else { return };
        if let Some(list) = self.call::<Value>("phases", None, config).done() {
            match Phases::read(&list) {
                Ok(phases) => self.phases = phases,
                Err(error) => self.fail("phases", None, &error),
            }
        }
    }

    fn walk_phases(&mut self) {
        loop {
            let (now_us, players) = (self.host().elapsed_us(), self.host().player_count());
            let Some(step) = self.phases.poll(now_us, players) else { break };
            let (callback, name) = match step {
                Step::Started(name) => ("on_phase_started", name),
                Step::Ended(name) => ("on_phase_ended", name),
            };
            let state = self.state.clone();
            if let Some(returned) = self.call(callback, None, (name, state)).done() {
                self.take_state(callback, returned);
            }
            if self.phases.complete() {
                self.finish(&Value::Nil, r#"{"status":"phases_complete"}"#);
            }
        }
    }

    /// Ends the match, with the script's own result where it gave one.
    fn finish(&mut self, result: &Value, otherwise: &str) {
        if self.over {
            return;
        }
        self.over = true;
        let written = match result {
            Value::Nil => None,
            given => match self.host().json(given, EVENT_BYTES_MAX, true) {
                Ok(json) => Some(json),
                Err(error) => {
                    self.fail("tick", None, &error);
                    None
                }
            },
        };
        let result = written.or_else(|| RawValue::from_string(otherwise.to_owned()).ok());
        if let Some(result) = result {
            self.host().tell(Effect::Finish(result));
        }
    }

    /// Takes the script's new files, keeping the state. When the new body fails, everything is as it was.
    fn reload(&mut self) {
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

/// The state a match begins with: what `init` returns, or an empty table.
fn begin(machine: &Machine, lookup: &Lookup, options: &RawValue) -> mlua::Result<Table> {
    let Some(init) = lookup.find("init") else { return machine.lua.create_table() };
    let config = convert::decode(&machine.lua, options)?;
    match machine.entry(Entry::Load, || init.call::<Value>(config))? {
        Value::Table(state) => Ok(state),
        other => Err(mlua::Error::runtime(format!("init returned a {}, expected the state", other.type_name()))),
    }
}

fn audience(lookup: &Lookup) -> Audience {
    let strategy = lookup.globals.raw_get::<Value>("state_strategy").ok();
    let shared = strategy.as_ref().and_then(Value::as_string).is_some_and(|s| s.as_bytes() == *b"shared");
    if shared || lookup.find("get_state").is_none() { Audience::Shared } else { Audience::PerPlayer }
}

fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Nil | Value::Boolean(false))
}

impl Game for LuaGame {
    fn join(&mut self, cx: &mut GameCx<'_>, player: PlayerId, ctx: Option<&RawValue>) -> Result<(), JoinRefused> {
        self.within(cx, |game| {
            let arguments = game.id(player).and_then(|id| {
                let lua = &game.machine.lua;
                let ctx = ctx.map_or_else(|| lua.create_table().map(Value::Table), |ctx| convert::decode(lua, ctx))?;
                // A state too large to be remembered within the budget is not put back after a refusal.
                let can = !game.barred && !game.machine.meter.is_over(Entry::Callback);
                Ok((id, ctx, can.then(|| game.machine.remember(&game.state).ok()).flatten()))
            });
            let (id, ctx, journal) = match arguments {
                Ok(arguments) => arguments,
                Err(error) => {
                    game.fail("join", Some(player), &error);
                    return Err(JoinRefused::default());
                }
            };
            let state = game.state.clone();
            let refused = match game.call::<(Value, Value)>("join", Some(player), (id, state, ctx)) {
                Called::Absent => return Ok(()),
                Called::Done((state @ Value::Table(_), _)) => {
                    game.take_state("join", state);
                    return Ok(());
                }
                Called::Done((_, reason)) => JoinRefused { reason: fit_reason(&reason) },
                Called::Failed => JoinRefused::default(),
            };
            // A refusal leaves no trace: nobody drives a script by being turned away over and over.
            if let Some(Err(error)) = journal.map(|journal| game.machine.undo(journal)) {
                game.fail("join", Some(player), &error);
            }
            Err(refused)
        })
    }

    fn leave(&mut self, cx: &mut GameCx<'_>, player: PlayerId) {
        self.within(cx, |game| {
            game.host().bot_left(player);
            let Ok(id) = game.id(player) else { return };
            let state = game.state.clone();
            if let Some(returned) = game.call("leave", Some(player), (id, state)).done() {
                game.take_state("leave", returned);
            }
        });
    }

    fn input(&mut self, cx: &mut GameCx<'_>, player: PlayerId, input: &RawValue) {
        self.begin_turn(cx);
        self.within(cx, |game| {
            if convert::is_small(input) {
                game.apply_input(player, |machine| machine.unlimited(|| convert::decode(&machine.lua, input)));
            } else {
                let text = format!("an input was left out: it holds more than {} values", convert::VALUES_MAX);
                game.fail("handle_input", Some(player), &mlua::Error::runtime(text));
            }
        });
    }

    fn tick(&mut self, cx: &mut GameCx<'_>) {
        let dt_s = cx.dt_us as f64 / 1e6;
        self.begin_turn(cx);
        self.within(cx, |game| {
            if game.over {
                return;
            }
            if game.script.version() != game.version {
                game.reload();
            }
            game.walk_phases();
            game.think();
            let (state, index) = (game.state.clone(), game.host().tick());
            let returned = game.call::<Value>("tick", None, (state, dt_s, index)).done();
            if let Some(Value::Table(returned)) = &returned
                && *returned != game.state
                && truthy(&returned.raw_get("finished").unwrap_or(Value::Nil))
            {
                // `return {finished = true, result = ...}` ends the match without touching the state.
                let result = returned.raw_get("result").unwrap_or(Value::Nil);
                return game.finish(&result, r#"{"status":"completed"}"#);
            }
            if let Some(returned) = returned {
                game.take_state("tick", returned);
            }
            if truthy(&game.state.raw_get("_finished").unwrap_or(Value::Nil)) {
                let result = game.state.raw_get("_result").unwrap_or(Value::Nil);
                game.finish(&result, r#"{"status":"completed"}"#);
            }
        });
    }

    fn audience(&self) -> Audience {
        self.audience
    }

    fn view(&mut self, viewer: Option<PlayerId>, out: &mut Vec<u8>) {
        let start = out.len();
        let written = self
            .seen_by(viewer, |machine, seen| convert::encode(&seen, machine.host.rules(VIEW_BYTES_MAX, true)?, out));
        match written.done() {
            Some(odd) => self.host().note(odd),
            None => out.truncate(start),
        }
    }

    fn vote_requested(&mut self, cx: &mut GameCx<'_>) -> Option<Json> {
        self.within(cx, |game| {
            let state = game.state.clone();
            let Value::Table(config) = game.call::<Value>("vote_requested", None, state).done()? else { return None };
            let json = api::with_plain_options(&game.machine.lua, &config)
                .and_then(|config| game.host().json(&Value::Table(config), EVENT_BYTES_MAX, true));
            json.map_err(|error| game.fail("vote_requested", None, &error)).ok()
        })
    }

    fn vote_resolved(&mut self, cx: &mut GameCx<'_>, template: &str, result: &RawValue) {
        self.within(cx, |game| {
            let Ok(result) = convert::decode(&game.machine.lua, result) else { return };
            let state = game.state.clone();
            if let Some(returned) = game.call("vote_resolved", None, (template, result, state)).done() {
                game.take_state("vote_resolved", returned);
            }
        });
    }

    fn vote_vetoed(&mut self, cx: &mut GameCx<'_>, template: &str, by: PlayerId) {
        self.within(cx, |game| {
            let Ok(by) = game.id(by) else { return };
            let state = game.state.clone();
            if let Some(returned) = game.call("vote_vetoed", None, (template, by, state)).done() {
                game.take_state("vote_vetoed", returned);
            }
        });
    }

    fn bot_added(&mut self, _cx: &mut GameCx<'_>, bot: PlayerId, name: &str) {
        self.host().bot_came(bot, name);
    }

    fn bot_names(&self) -> &[String] {
        &self.bot_names
    }

    /// A script that declares `bots` has them, unless it says that they are not enabled.
    fn plays_bots(&self) -> bool {
        match self.machine.lua.globals().raw_get::<Value>("bots") {
            Ok(Value::Table(bots)) => !matches!(bots.raw_get::<Value>("enabled"), Ok(Value::Boolean(false))),
            _ => false,
        }
    }

    fn bot_removed(&mut self, _cx: &mut GameCx<'_>, player: PlayerId) {
        self.host().bot_left(player);
    }

    fn open_votes(&mut self, open: &[OpenVote]) {
        self.host().set_votes(open);
    }

    fn loaded(
        &mut self,
        _cx: &mut GameCx<'_>,
        owner: Option<PlayerId>,
        collection: &str,
        key: &str,
        value: Option<&RawValue>,
    ) {
        let key = (owner, collection.to_owned(), key.to_owned());
        // What the match stored meanwhile is newer than what it asked for.
        if self.host().stored(&key).is_none() {
            self.host().keep(key, value.map(RawValue::to_owned));
        }
    }

    /// What the script's own `snapshot(state)` returns, as JSON; none where it defines none.
    fn snapshot(&mut self) -> Option<Vec<u8>> {
        let (snapshot, state) = (self.lookup.find("snapshot")?, self.state.clone());
        let written = self.run("snapshot", None, |machine| {
            let (value, mut out) = (snapshot.call::<Value>(state)?, Vec::new());
            convert::encode(&value, machine.host.rules(SNAPSHOT_BYTES_MAX, true)?, &mut out)?;
            Ok(out)
        });
        written.done()
    }

    /// Hands a snapshot to the script's `restore(data)`, which returns the state.
    fn restore(&mut self, snapshot: &[u8]) -> bool {
        let Ok(raw) = serde_json::from_slice::<&RawValue>(snapshot) else { return false };
        let Ok(data) = convert::decode(&self.machine.lua, raw) else { return false };
        match self.call::<Value>("restore", None, data).done() {
            Some(Value::Table(state)) => {
                self.state = state;
                true
            }
            _ => false,
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

/// A refusal's reason where it can be passed on: short printable ASCII.
fn fit_reason(reason: &Value) -> String {
    let Value::String(reason) = reason else { return String::new() };
    let reason = reason.as_bytes();
    let fits = reason.len() <= REASON_BYTES_MAX && reason.iter().all(|b| (b' '..=b'~').contains(b));
    if fits { String::from_utf8_lossy(&reason).into_owned() } else { String::new() }
}
