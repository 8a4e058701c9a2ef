//! How a match calls its script: where callbacks are looked for, what each may cost, and what becomes of those that
//! fail.

use mlua::{FromLuaMulti, Function, IntoLuaMulti, Lua, LuaString, Table, Value};
use serde_json::value::RawValue;

use super::budget::{Entry, Spent};
use super::host::Complaint;
use super::pace::ms;
use super::play::LuaGame;
use super::report::Told;
use super::sandbox::Machine;
use crate::games::{Effect, GameCx, ScriptFault};
use crate::ids::PlayerId;
use crate::limits::scripts::{FAULTS_TOLD_MAX, FAULTS_WINDOW_US};

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
    "judge_chat",
];

/// What is called within a tick or for the views after it, and draws on its account.
const IN_TURN: &[&str] =
    &["tick", "get_state", "spectate", "think", "vote_requested", "on_phase_started", "on_phase_ended"];

fn entry_of(callback: &str) -> Entry {
    match callback {
        "handle_input" => Entry::Input,
        name if IN_TURN.contains(&name) => Entry::Turn,
        _ => Entry::Callback,
    }
}

/// What a fault of all callbacks of one tick together is filed under.
const TURN: &str = "turn";

/// Whose fault something is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The script's, which used more than it may: so many in a row end the match.
    OverBudget,
    /// The script's, one step of which took beyond all measure: the match ends for it at once.
    Gross,
    /// The script's, which raised an error: it ended by itself, and the row with it.
    Raised,
    /// Nobody's that the match could end for: what players sent, what others had used up, what the host left out.
    None,
}

/// Callbacks that are never the last straw: while new files are no good the old ones play on.
const FORGIVEN: &[&str] = &["reload"];

/// What a call or a tick that overspent adds to its count; a good one takes one off. Who overspends in more than one
/// of five comes to `strikes` of these sooner or later, however it spreads them; one of five may be a hiccup for ever.
const OVERSPENT: u32 = 4;

/// How one callback has been doing.
#[derive(Default)]
pub(super) struct Trouble {
    /// Times in a row that it was over its budget, and the count that leaks.
    strikes: u32,
    overspent: u32,
    window_us: u64,
    told: u32,
    suppressed: u64,
}

impl Trouble {
    fn did_well(&mut self) {
        self.strikes = 0;
        self.overspent = self.overspent.saturating_sub(1);
    }
}

/// What became of a call.
pub(super) enum Called<R> {
    /// The script has no such callback.
    Absent,
    /// It failed, and its author has been told.
    Failed,
    Done(R),
}

impl<R> Called<R> {
    pub(super) fn done(self) -> Option<R> {
        match self {
            Called::Done(value) => Some(value),
            Called::Absent | Called::Failed => None,
        }
    }
}

/// Where callbacks are looked for, and their names as the machine knows them. They are looked up at every call, as a
/// script may give itself another `tick` while it plays.
pub(super) struct Lookup {
    pub(super) globals: Table,
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

impl Lookup {
    /// Every callback that there is.
    pub(super) fn callbacks(&self) -> Vec<(&'static str, Function)> {
        self.names.iter().filter_map(|(name, _)| Some((*name, self.find(name)?))).collect()
    }

    /// The file and the line where a callback begins.
    fn begins(&self, callback: &str) -> Option<(String, u32)> {
        let info = self.find(callback)?.info();
        Some((info.source?.strip_prefix('@')?.to_owned(), u32::try_from(info.line_defined?).ok()?))
    }

    /// Where a callback begins, as `file:line: `, for what is wrong with what it gave back.
    pub(super) fn begins_at(&self, callback: &str) -> String {
        self.begins(callback).map(|(file, line)| format!("{file}:{line}: ")).unwrap_or_default()
    }

    /// Removes a callback where it is still this function.
    pub(super) fn forget(&self, name: &str, old: &Function) -> mlua::Result<()> {
        for table in [&self.globals, &self.game] {
            if matches!(table.raw_get::<Value>(name)?, Value::Function(now) if now == *old) {
                table.raw_set(name, Value::Nil)?;
            }
        }
        Ok(())
    }
}

impl LuaGame {
    /// As [`Lookup::begins_at`].
    pub(super) fn begins_at(&self, callback: &str) -> String {
        self.lookup.begins_at(callback)
    }

    /// Calls a callback on a fresh allowance.
    pub(super) fn call<R: FromLuaMulti>(
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

    pub(super) fn call_function<R: FromLuaMulti>(
        &mut self,
        name: &'static str,
        player: Option<PlayerId>,
        f: &Function,
        args: impl IntoLuaMulti,
    ) -> Called<R> {
        self.run(name, player, |_| f.call::<R>(args))
    }

    /// Runs `work` as the callback of that name.
    pub(super) fn run<R>(
        &mut self,
        name: &'static str,
        player: Option<PlayerId>,
        work: impl FnOnce(&Machine) -> mlua::Result<R>,
    ) -> Called<R> {
        if self.barred {
            return Called::Failed;
        }
        let entry = entry_of(name);
        // What the script was not told yet, and its new files, come first: until then nothing of the turn takes what that needs.
        let waits = (!self.owed.is_empty() || self.renewal.waits) && entry != Entry::Callback;
        if waits || self.machine.meter.is_over(entry) {
            self.left_out(name, waits);
            return Called::Failed;
        }
        let done = self.machine.entry(entry, || work(&self.machine));
        if let Some(us) = self.machine.meter.gross_us() {
            let text = format!("{name} took {} of processor time in one step, many times what a match has", ms(us));
            self.fail(name, None, &mlua::Error::runtime(text), Blame::Gross);
            return Called::Failed;
        }
        match done {
            Ok(value) => {
                if !self.troubles.is_empty()
                    && let Some(trouble) = self.troubles.get_mut(name)
                {
                    trouble.did_well();
                }
                Called::Done(value)
            }
            Err(_) if self.machine.meter.ran_short() => {
                self.left_out(name, false);
                Called::Failed
            }
            Err(error) => {
                let blame = match self.machine.meter.spent() {
                    // It would be as slow in every callback from here on.
                    Some(Spent::Chains) => Blame::Gross,
                    Some(_) => Blame::OverBudget,
                    None => Blame::Raised,
                };
                self.fail(name, player, &error, blame);
                Called::Failed
            }
        }
    }

    /// There was not enough left for a callback. What the tick itself and its views cannot have is a strike, told once
    /// a tick; inputs are counted, as the players' doing; what comes between ticks is told.
    fn left_out(&mut self, name: &'static str, waits: bool) {
        match entry_of(name) {
            Entry::Input => self.inputs_left_out += 1,
            Entry::Turn if waits => {}
            Entry::Turn => {
                if !std::mem::replace(&mut self.turn_told, true) {
                    let text = format!("the callbacks of one tick are over their budget together: {name} was left out");
                    self.fail(TURN, None, &mlua::Error::runtime(text), Blame::OverBudget);
                }
            }
            Entry::Load | Entry::Callback | Entry::Own | Entry::Lent(_) => {
                let text = format!("{name} was left out: the match has no processor time left for it");
                self.fail(name, None, &mlua::Error::runtime(text), Blame::None);
            }
        }
    }

    /// Tells how many inputs of this tick found their half of its account used up.
    pub(super) fn tell_inputs_left_out(&mut self) {
        let count = std::mem::take(&mut self.inputs_left_out);
        if count > 0 {
            let text = format!("inputs of one tick were over their half of its budget together: {count} left out");
            self.fail("handle_input", None, &mlua::Error::runtime(text), Blame::None);
        }
    }

    /// The first input of a tick, or the tick itself: whatever comes until the next one draws on one account.
    pub(super) fn begin_turn(&mut self, cx: &GameCx<'_>) {
        if self.turn == Some(cx.tick) {
            return;
        }
        self.turn = Some(cx.tick);
        if self.machine.meter.is_still() {
            self.host().ask_anew();
        }
        self.machine.meter.new_turn(cx.elapsed_us);
        let (ran_out, overspent) = (std::mem::take(&mut self.turn_told), std::mem::take(&mut self.turn_overspent));
        if let Some(trouble) = self.troubles.get_mut(TURN) {
            if !ran_out {
                trouble.strikes = 0;
            }
            if !overspent {
                trouble.overspent = trouble.overspent.saturating_sub(1);
            }
        }
    }

    /// Tells the author which calls were refused.
    pub(super) fn tell_complaints(&mut self) {
        for Complaint { call, place, text } in self.host().take_complaints() {
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            self.fail(call, None, &mlua::Error::runtime(format!("{place}{text}")), Blame::None);
        }
    }

    /// Tells the author what went wrong, and ends the match once a callback, or its ticks, were over their budget too often.
    pub(super) fn fail(&mut self, callback: &'static str, player: Option<PlayerId>, error: &mlua::Error, blame: Blame) {
        let now_us = self.host().elapsed_us();
        let trouble = self.troubles.entry(callback).or_default();
        if now_us >= trouble.window_us + FAULTS_WINDOW_US {
            trouble.window_us = now_us;
            trouble.told = 0;
        }
        match blame {
            // One is enough.
            Blame::Gross => trouble.strikes = u32::MAX,
            Blame::OverBudget => {
                trouble.strikes = trouble.strikes.saturating_add(1);
                // Ticks are counted below, whichever callback of theirs it was.
                trouble.overspent = trouble.overspent.saturating_add(if callback == TURN { 0 } else { OVERSPENT });
            }
            Blame::Raised => trouble.strikes = 0,
            Blame::None => {}
        }
        let (strikes, overspent) = (trouble.strikes, trouble.overspent);
        let blamed = matches!(blame, Blame::OverBudget | Blame::Gross) && !FORGIVEN.contains(&callback);
        let in_turn = callback == TURN || entry_of(callback) == Entry::Turn;
        if blamed && in_turn && !std::mem::replace(&mut self.turn_overspent, true) {
            let turn = self.troubles.entry(TURN).or_default();
            turn.overspent = turn.overspent.saturating_add(OVERSPENT);
        }
        let turn_overspent = self.troubles.get(TURN).map_or(0, |turn| turn.overspent);
        let strikes_max = self.machine.meter.allowance().strikes.max(1);
        let last_straw = blamed
            && (strikes >= strikes_max || overspent.max(turn_overspent) >= strikes_max.saturating_mul(OVERSPENT));
        let trouble = self.troubles.entry(callback).or_default();
        if trouble.told < FAULTS_TOLD_MAX || last_straw {
            trouble.told += 1;
            let suppressed = std::mem::take(&mut trouble.suppressed);
            let mut told = Told::of(error, self.script.file());
            if blame != Blame::None
                && told.line.is_none()
                && let Some((file, line)) = self.lookup.begins(callback)
            {
                // What is wrong with what a callback gave back is wrong with the callback.
                (told.file, told.line) = (file, Some(line));
            }
            let fault = ScriptFault {
                player,
                callback,
                file: told.file,
                line: told.line,
                message: told.message,
                traceback: told.traceback,
                over_budget: matches!(blame, Blame::OverBudget | Blame::Gross),
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
}
