//! One match of a script. Its state is a table that never leaves the machine; the callbacks get it, change it and
//! give it back, and only a view of it is written out.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use mlua::{LuaString, MultiValue, Table, Value};
use serde_json::value::RawValue;

use super::budget::Entry;
use super::calls::{Blame, Called, Lookup, Trouble};
use super::facts::Fact;
use super::filter::WordFilter;
use super::host::{Birth, Host};
use super::phases::{Phases, Step};
use super::renew::{Body, Renewal};
use super::report::{Fault, Told, kind_of};
use super::sandbox::{Machine, guarded};
use super::script::Script;
use super::{api, convert};
use crate::engine::chat::{FilterVerdict, is_plain};
use crate::engine::votes::config::Templates;
use crate::games::{Audience, Effect, Game, GameCx, JoinRefused, Json, OpenVote, Stored};
use crate::ids::PlayerId;
use crate::limits::EVENT_BYTES_MAX;
use crate::limits::scripts::{
    IDS_KEPT_MAX, INPUT_VALUES_MAX, REASON_BYTES_MAX, SNAPSHOT_BYTES_MAX, STATE_TEXT_BYTES_MAX, VIEW_BYTES_MAX,
};

/// What a player is told who comes while a match is behind with telling its script who left.
const CATCHING_UP: &str = "the game is catching up: try again in a moment";

/// What a refused vote is known by.
#[derive(serde::Deserialize)]
struct AskedVote {
    vote_id: Option<String>,
}

/// A match could not be made of a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScriptError(pub Fault);

/// A match that a script plays. Lives and dies on one thread.
pub struct LuaGame {
    pub(super) machine: Machine,
    pub(super) script: Arc<Script>,
    pub(super) version: u64,
    pub(super) renewal: Renewal,
    /// How many bad saves of its script the match was told of.
    pub(super) noted: u64,
    pub(super) state: Table,
    pub(super) audience: Audience,
    pub(super) phases: Phases,
    pub(super) bots: Option<Table>,
    pub(super) bot_names: Vec<String>,
    pub(super) body: Body,
    pub(super) lookup: Lookup,
    /// Whether the script says anything of stored values: those of who comes are there before they do.
    pub(super) stores: bool,
    /// The options of an `init` that asked for stored values which were not there yet: it is called again once they are.
    again: Option<Json>,
    pub(super) ids: Vec<(PlayerId, LuaString)>,
    pub(super) troubles: BTreeMap<&'static str, Trouble>,
    /// The match has its result: nothing ticks, but its last state may still be looked at.
    pub(super) over: bool,
    /// A callback was over its budget too often: nothing of the script runs any more.
    pub(super) barred: bool,
    /// The tick that the callbacks of this turn belong to, and whether one of them found the account empty.
    pub(super) turn: Option<u64>,
    pub(super) turn_told: bool,
    /// Whether something of this turn was over its budget.
    pub(super) turn_overspent: bool,
    /// Inputs of this turn that were left out.
    pub(super) inputs_left_out: u64,
    /// What happened and the script was not told yet, oldest first.
    pub(super) owed: VecDeque<Fact>,
    /// What judges what is said, once something was: for which version of the script, and none where that has no good
    /// one.
    pub(super) filter: Option<(u64, Option<WordFilter>)>,
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
        let file = script.file().to_owned();
        guarded(&file, || Self::made(script, options, birth).map_err(|ScriptError(fault)| fault)).map_err(ScriptError)
    }

    fn made(script: Arc<Script>, options: &RawValue, birth: Birth) -> Result<Self, ScriptError> {
        let fault = |e: mlua::Error| ScriptError(Told::of(&e, script.file()).fault());
        let (version, noted) = (script.version(), script.noted());
        let host = Rc::new(Host::new(birth));
        let machine = Machine::new(script.sources(), script.allowance(), host).map_err(fault)?;
        let globals = machine.lua.globals();
        machine.run(script.file(), &globals).map_err(fault)?;
        machine.host.set_loading(false);
        let lookup = Lookup::new(&machine.lua).map_err(fault)?;
        let body = Body::of(&lookup);
        let state = begin(&machine, &lookup, options).map_err(fault)?;
        let again = machine.host.take_missed().then(|| options.to_owned());
        let mut game = Self {
            body,
            stores: machine.host.sources().store,
            again,
            audience: audience(&lookup),
            machine,
            script: script.clone(),
            version,
            renewal: Renewal::default(),
            noted,
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
            turn_overspent: false,
            inputs_left_out: 0,
            owed: VecDeque::new(),
            filter: None,
        };
        game.load_bots();
        game.read_phases(options);
        game.machine.meter.loaded();
        Ok(game)
    }

    /// Bytes the machine holds now.
    pub fn memory_bytes(&self) -> usize {
        self.machine.lua.used_memory()
    }

    /// The state as JSON, to see whether something changed it; none where it cannot be written or is large.
    pub(super) fn state_text(&self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let rules = self.host().rules(STATE_TEXT_BYTES_MAX, true).ok()?;
        convert::encode(&Value::Table(self.state.clone()), rules, &mut text).ok().map(|_| text)
    }

    /// Hands over what views, which have no way out, left behind.
    #[cfg(test)]
    pub(super) fn hand_over(&mut self, cx: &mut GameCx<'_>) {
        self.host().leave(cx);
    }

    pub(super) fn host(&self) -> &Rc<Host> {
        &self.machine.host
    }

    /// Runs `work` between taking in what the match says and handing over what the script asked for.
    fn within<T>(&mut self, cx: &mut GameCx<'_>, work: impl FnOnce(&mut Self) -> T) -> T {
        self.host().enter(cx);
        let done = work(self);
        self.tell_complaints();
        self.host().leave(cx);
        done
    }

    /// Takes the state that a callback gave back; nothing keeps the one there is.
    pub(super) fn take_state(&mut self, callback: &'static str, returned: Value) {
        match returned {
            Value::Table(state) => self.state = state,
            Value::Nil => {}
            other => {
                let (at, kind) = (self.begins_at(callback), kind_of(&other));
                let text = format!("{at}{callback} returned {kind}, expected the state");
                self.fail(callback, None, &mlua::Error::runtime(text), Blame::None);
            }
        }
    }

    /// A player's id as the machine knows it.
    pub(super) fn id(&mut self, player: PlayerId) -> mlua::Result<LuaString> {
        if let Some((_, id)) = self.ids.iter().find(|(known, _)| *known == player) {
            return Ok(id.clone());
        }
        let id = self.machine.lua.create_string(player.to_string())?;
        // Refused players and old ones are here too; who plays comes back at once.
        if self.ids.len() >= IDS_KEPT_MAX {
            self.ids.clear();
        }
        self.ids.push((player, id.clone()));
        Ok(id)
    }

    /// Makes something of what a player (or, without one, a spectator or everyone) may see: within the callback that
    /// says it, so that a large view is paid for.
    pub(super) fn seen_by<R>(
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

    pub(super) fn apply_input(&mut self, player: PlayerId, input: impl FnOnce(&Machine) -> mlua::Result<Value>) {
        let (Some(f), Ok(id)) = (self.lookup.find("handle_input"), self.id(player)) else { return };
        let state = self.state.clone();
        let called = self.run("handle_input", Some(player), |machine| f.call((id, input(machine)?, state)));
        if let Some(returned) = called.done() {
            self.take_state("handle_input", returned);
        }
    }

    /// Calls an `init` again that asked for stored values before they were there. Nobody is in yet, and whatever else it
    /// asked for is forgotten.
    fn begin_again(&mut self) {
        let Some(options) = self.again.take() else { return };
        self.host().forget_effects();
        self.machine.meter.load_again(true);
        let begun = begin(&self.machine, &self.lookup, &options);
        self.machine.meter.load_again(false);
        match begun {
            Ok(state) => self.state = state,
            Err(error) => self.fail("init", None, &error, Blame::None),
        }
    }

    fn read_phases(&mut self, options: &RawValue) {
        let Ok(config) = config(&self.machine, options) else { return };
        let Some(phases) = self.lookup.find("phases") else { return };
        // Read within the callback: what it names is paid for.
        let read = self.run("phases", None, |_| Phases::read(&phases.call(config)?));
        if let Some(phases) = read.done() {
            self.phases = phases;
        }
    }

    fn walk_phases(&mut self) {
        // A phase that the script could not be told of begins or ends at the next tick.
        while self.owed.is_empty() && self.machine.meter.has_quarters(1) && !self.machine.meter.is_over(Entry::Turn) {
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
                    self.fail("tick", None, &error, Blame::None);
                    None
                }
            },
        };
        let result = written.or_else(|| RawValue::from_string(otherwise.to_owned()).ok());
        if let Some(result) = result {
            self.host().tell(Effect::Finish(result));
        }
    }
}

/// The state a match begins with: what `init` returns, or an empty table.
fn begin(machine: &Machine, lookup: &Lookup, options: &RawValue) -> mlua::Result<Table> {
    let Some(init) = lookup.find("init") else { return machine.lua.create_table() };
    let config = config(machine, options)?;
    match machine.entry(Entry::Load, || init.call::<Value>(config))? {
        Value::Table(state) => Ok(state),
        other => {
            let (at, kind) = (lookup.begins_at("init"), kind_of(&other));
            Err(mlua::Error::runtime(format!("{at}init returned {kind}, expected the state")))
        }
    }
}

/// What `init` and `phases` are handed: the mode's options, and which match it is.
fn config(machine: &Machine, options: &RawValue) -> mlua::Result<Value> {
    let config = convert::decode(&machine.lua, options)?;
    if let Value::Table(config) = &config {
        config.raw_set("match_id", machine.host.birth().match_id.to_string())?;
    }
    Ok(config)
}

pub(super) fn audience(lookup: &Lookup) -> Audience {
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
            game.machine.meter.fill(Entry::Callback);
            game.tell_owed();
            if game.owes_a_leave() {
                // To a script that still counts them, whoever comes back would be gone by what it hears next.
                return Err(JoinRefused { reason: CATCHING_UP.into() });
            }
            let arguments = game.id(player).and_then(|id| {
                let lua = &game.machine.lua;
                let ctx = ctx.map_or_else(|| lua.create_table().map(Value::Table), |ctx| convert::decode(lua, ctx))?;
                // A state too large to be remembered is not put back after a refusal.
                let can = !game.barred && !game.machine.meter.is_over(Entry::Callback);
                Ok((id, ctx, can.then(|| game.machine.remember(&game.state).ok().flatten()).flatten()))
            });
            game.again = None;
            let (id, ctx, journal) = match arguments {
                Ok(arguments) => arguments,
                Err(error) => {
                    game.fail("join", Some(player), &error, Blame::None);
                    return Err(JoinRefused::default());
                }
            };
            let state = game.state.clone();
            let refused = match game.call::<MultiValue>("join", Some(player), (id, state, ctx)) {
                Called::Absent => return Ok(()),
                Called::Done(returned) => {
                    let says_nothing = returned.is_empty();
                    let mut returned = returned.into_iter();
                    let (first, reason) =
                        (returned.next().unwrap_or(Value::Nil), returned.next().unwrap_or(Value::Nil));
                    if let Value::Table(_) = first {
                        game.take_state("join", first);
                        return Ok(());
                    }
                    // It refuses, and hardly anybody means to: the state was not given back.
                    if says_nothing || truthy(&first) {
                        let kind = if says_nothing { "nothing" } else { kind_of(&first) };
                        let at = game.begins_at("join");
                        let text = format!(
                            "{at}join returned {kind}, and the player is refused: \
                             expected the state, or nil and a reason to refuse"
                        );
                        game.fail("join", Some(player), &mlua::Error::runtime(text), Blame::None);
                    }
                    let reason = fit_reason(&reason).unwrap_or_else(|wrong| {
                        let text = format!("{}join {wrong}; the player is told none", game.begins_at("join"));
                        game.fail("join", Some(player), &mlua::Error::runtime(text), Blame::None);
                        String::new()
                    });
                    JoinRefused { reason }
                }
                Called::Failed => JoinRefused::default(),
            };
            // A refusal leaves no trace: nobody drives a script by being turned away over and over.
            if let Some(Err(error)) = journal.map(|journal| game.machine.undo(journal)) {
                // Nobody can play on with what is half undone.
                let over = game.machine.meter.spent().is_some();
                game.fail("join", Some(player), &error, if over { Blame::Gross } else { Blame::None });
            }
            Err(refused)
        })
    }

    fn is_behind(&mut self, cx: &mut GameCx<'_>, coming: &[PlayerId]) -> bool {
        let mut behind = false;
        if self.stores {
            // Handing over nothing else: what `init` asked for is for those who come.
            self.host().enter(cx);
            let owners = std::iter::once(None).chain(coming.iter().copied().map(Some));
            for owner in owners {
                behind |= self.host().awaits_all_of(owner, cx.effects);
            }
        }
        if self.owed.is_empty() {
            return behind;
        }
        self.within(cx, |game| {
            game.machine.meter.fill(Entry::Callback);
            game.tell_owed();
            behind || game.owes_a_leave()
        })
    }

    fn came(&mut self, players: &[PlayerId]) {
        players.iter().for_each(|player| self.host().came(*player));
    }

    fn leave(&mut self, cx: &mut GameCx<'_>, player: PlayerId) {
        self.within(cx, |game| {
            game.host().bot_left(player);
            game.learn(Fact::Left(player));
            game.host().forget_unasked(player);
        });
    }

    fn input(&mut self, cx: &mut GameCx<'_>, player: PlayerId, input: &RawValue) {
        self.begin_turn(cx);
        self.within(cx, |game| {
            game.tell_owed();
            if convert::is_small(input) {
                game.apply_input(player, |machine| machine.unlimited(|| convert::decode(&machine.lua, input)));
            } else {
                let text = format!("an input was left out: it holds more than {} values", INPUT_VALUES_MAX);
                game.fail("handle_input", Some(player), &mlua::Error::runtime(text), Blame::None);
            }
        });
    }

    fn tick(&mut self, cx: &mut GameCx<'_>) {
        let dt_s = cx.dt_us as f64 / 1e6;
        self.begin_turn(cx);
        self.within(cx, |game| {
            game.tell_owed();
            game.tell_inputs_left_out();
            if game.over {
                return;
            }
            game.tell_notes();
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

    fn has_gallery(&self) -> bool {
        self.audience == Audience::PerPlayer && self.lookup.find("spectate").is_some()
    }

    fn be_still(&mut self) {
        self.machine.meter.be_still();
    }

    fn view(&mut self, viewer: Option<PlayerId>, out: &mut Vec<u8>) {
        let start = out.len();
        self.machine.meter.look_in();
        self.tell_owed();
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
            let asked = game.lookup.find("vote_requested")?;
            // Written within the callback that gave it back: a large configuration is paid for.
            let written = game.run("vote_requested", None, |machine| {
                Ok(match asked.call::<Value>(state)? {
                    // As good as none: a configuration that says nothing asks for nothing.
                    Value::Table(config) if config.is_empty() => None,
                    Value::Table(config) => {
                        let config = api::with_plain_options(&machine.lua, &config)?;
                        Some(Ok(machine.host.json(&Value::Table(config), EVENT_BYTES_MAX, true)?))
                    }
                    Value::Nil | Value::Boolean(false) => None,
                    other => Some(Err(kind_of(&other))),
                })
            });
            match written.done()?? {
                Ok(config) => Some(config),
                Err(kind) => {
                    let at = game.begins_at("vote_requested");
                    let text = format!("{at}vote_requested returned {kind}, expected a vote's configuration or nil");
                    game.fail("vote_requested", None, &mlua::Error::runtime(text), Blame::None);
                    None
                }
            }
        })
    }

    fn vote_refused(&mut self, cx: &mut GameCx<'_>, config: &RawValue, why: &str) -> bool {
        self.within(cx, |game| {
            let id = serde_json::from_str::<AskedVote>(config.get()).ok().and_then(|vote| vote.vote_id);
            let (callback, place) = match id.and_then(|id| game.host().take_vote_place(&id)) {
                Some(place) => ("game.vote.open", place.map(|place| format!("{place}: ")).unwrap_or_default()),
                None => ("vote_requested", game.begins_at("vote_requested")),
            };
            let text = format!("{place}the vote is refused: {why}");
            game.fail(callback, None, &mlua::Error::runtime(text), Blame::None);
        });
        true
    }

    fn chat_refused(&mut self, cx: &mut GameCx<'_>, place: Option<&str>, why: &str) -> bool {
        self.within(cx, |game| {
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            let text = format!("{place}the line is not said: {why}");
            game.fail("game.chat.send", None, &mlua::Error::runtime(text), Blame::None);
        });
        true
    }

    fn vote_templates(&mut self, templates: &Arc<Templates>) {
        self.host().set_templates(templates);
    }

    fn vote_resolved(&mut self, cx: &mut GameCx<'_>, template: &str, result: &RawValue) {
        self.within(cx, |game| {
            game.learn(Fact::Resolved(template.to_owned(), result.to_owned()));
        });
    }

    fn vote_vetoed(&mut self, cx: &mut GameCx<'_>, template: &str, by: PlayerId) {
        self.within(cx, |game| {
            game.learn(Fact::Vetoed(template.to_owned(), by));
        });
    }

    fn bot_added(&mut self, _cx: &mut GameCx<'_>, bot: PlayerId, name: &str) {
        self.host().bot_came(bot, name);
    }

    fn bot_names(&self) -> &[String] {
        &self.bot_names
    }

    fn judge_chat(&mut self, sender: PlayerId, text: &str) -> FilterVerdict {
        self.filter_chat(sender, text)
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

    fn loaded_all(&mut self, cx: &mut GameCx<'_>, owner: Option<PlayerId>, values: Option<Vec<Stored>>) {
        // As above.
        self.host().enter(cx);
        let is_whole = values.is_some();
        self.host().all_came(owner, values);
        if owner.is_none() && is_whole {
            self.begin_again();
        }
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
        let value = self.host().kept(&key).unwrap_or_else(|| value.map(RawValue::to_owned));
        self.host().keep(key, value);
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

/// A refusal's reason as it is passed on: plain text, cut where it is long. None given is no mistake; of one that cannot
/// be passed on, what is wrong with it.
fn fit_reason(reason: &Value) -> Result<String, String> {
    let text = match reason {
        Value::Nil => return Ok(String::new()),
        Value::String(text) => text.to_str().map_err(|_| "refused for a reason that is not UTF-8".to_owned())?,
        other => return Err(format!("refused for a reason that is {}, expected a text", kind_of(other))),
    };
    match is_plain(&text) {
        true => Ok(text[..text.floor_char_boundary(REASON_BYTES_MAX)].to_owned()),
        false => Err("refused for a reason with control or bidi characters, expected plain text".into()),
    }
}
