//! What a script's calls to `game.*` read and leave behind: the outside as the current callback may see it. Shared by
//! the functions inside the machine and the game around it, never by two matches.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mlua::{Lua, Table, Value};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde_json::value::RawValue;

use super::budget::Meter;
use super::convert::{self, Oddities, Rules};
use super::rations::{Rations, Row};
use super::report::Place;
use super::script::Sources;
use crate::engine::votes::config::{Templates, VoteConfig};
use crate::games::{Effect, GameCx, Json, OpenVote, Stored};
use crate::ids::{MatchId, PlayerId};
use crate::limits::VOTES_OPEN_PER_MATCH_MAX;
use crate::limits::scripts::{
    COMPLAINTS_MAX, EFFECT_BYTES_MAX, EFFECTS_MAX, LOGS_PER_S, STORED_KEPT_BYTES_MAX, STORED_KEYS_MAX,
    STORED_OWNERS_MAX, STORED_UNASKED_MAX, VITAL_BYTES_MAX, VITAL_MAX,
};

/// What every bot's id begins with; a name may be given with it.
pub(super) const BOT: &str = "bot_";

fn is_vital(effect: &Effect) -> bool {
    matches!(effect, Effect::Finish(_) | Effect::SetJoinable(_) | Effect::CancelVote(_) | Effect::RemoveBot(_))
}

/// How many effects, and how many bytes, one counts for.
fn weight(effect: &Effect) -> (usize, usize) {
    match effect {
        Effect::Broadcast { payload, .. } => (1, payload.get().len()),
        Effect::Send { message, .. } => (1, message.get().len()),
        Effect::Notify { to, notification } => (to.len(), notification.get().len() * to.len().max(1)),
        Effect::Store { value, .. } => (1, value.get().len()),
        Effect::Chat { content, .. } => (1, content.len()),
        Effect::SetRoom { members, .. } => (16, members.len() * size_of::<PlayerId>()),
        Effect::Finish(result) => (1, result.get().len()),
        // A vote is a thing of its own that lives on, and so is a bot.
        Effect::OpenVote(config) => (16, config.get().len()),
        Effect::AddBot { .. } => (16, 0),
        _ => (1, 0),
    }
}

/// A call of the script's that was refused for a reason its author should know also where the script asks for none.
pub(super) struct Complaint {
    /// The call, as `game.notify`.
    pub(super) call: &'static str,
    pub(super) place: Option<Place>,
    pub(super) text: String,
}

/// What a match is born with: everything its name, its randomness and its clock come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// The match itself, as a script may know it.
    pub match_id: MatchId,
    /// Seeds `math.random` and ids.
    pub seed: u64,
    /// Unix microseconds at which the match's clock (`os.time`) begins.
    pub unix_us: u64,
}

impl Birth {
    /// What a script is born with that is only tried. No match has its id, which looks like any other: what a script does
    /// in matches it has to do when it is tried.
    pub fn trial(seed: u64, unix_us: u64) -> Self {
        let id = 0x0190_7a31_5c00_7000_8000_0000_0000_0000 | u128::from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16);
        Self { match_id: MatchId::from_u128(id), seed, unix_us }
    }
}

/// Whose value of which key: no owner is the game's own, shared by its matches.
pub(super) type StoreKey = (Option<PlayerId>, String, String);

/// Whose stored values are in sight before anybody asks for one.
#[derive(Default)]
struct Ahead {
    /// Whose were asked for and did not come yet.
    asked: BTreeSet<Option<PlayerId>>,
    /// Whose came, for a join that is on its way; and the game's own, once and for all.
    ready: BTreeSet<Option<PlayerId>>,
    /// Whose values are in sight, all of them: any other key of theirs has none.
    whole: BTreeSet<Option<PlayerId>>,
}

/// A stored value in sight, and when it was asked for last.
struct Kept {
    value: Option<Json>,
    asked: Cell<u64>,
    /// Whether the script asked for it, or stored it.
    wanted: Cell<bool>,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.get().len())
    }
}

/// The outside of one match.
pub(super) struct Host {
    /// While a file's body runs nothing may be asked for: it runs again at every reload.
    loading: Cell<bool>,
    effects: RefCell<Vec<Effect>>,
    /// Effects and their bytes that were asked for in this tick, and the vital ones among them.
    asked: Cell<(usize, usize)>,
    asked_vital: Cell<(usize, usize)>,
    players: RefCell<Vec<PlayerId>>,
    tick: Cell<u64>,
    elapsed_us: Cell<u64>,
    birth: Birth,
    rng: RefCell<ChaCha8Rng>,
    votes: RefCell<Vec<OpenVote>>,
    /// Votes that were asked for in this tick, and where the last ones were: refusals come later.
    votes_asked: Cell<usize>,
    vote_places: RefCell<VecDeque<(String, Option<Place>)>>,
    templates: RefCell<Option<Arc<Templates>>>,
    bots: RefCell<Vec<(PlayerId, String)>>,
    stored: RefCell<BTreeMap<StoreKey, Kept>>,
    /// Counts what is kept and asked for, to know what was longest ago.
    stored_asks: Cell<u64>,
    /// Keys that were asked for and did not come yet.
    awaited: RefCell<BTreeSet<StoreKey>>,
    ahead: RefCell<Ahead>,
    /// Whether a call was answered that a value is on its way.
    missed: Cell<bool>,
    rations: Rations,
    complaints: RefCell<Vec<Complaint>>,
    /// Calls that answered an error: file, line, what was said. None where nobody wants to know.
    refused_calls: RefCell<Option<BTreeSet<(String, u32, String)>>>,
    logs: Cell<(u64, u32)>,
    oddities: Cell<Oddities>,
    unordered_keys: Cell<bool>,
    sources: RefCell<Arc<Sources>>,
    object_mark: OnceCell<Table>,
    meter: OnceCell<Rc<Meter>>,
}

impl Host {
    pub(super) fn new(birth: Birth) -> Self {
        Self {
            loading: Cell::new(true),
            effects: RefCell::default(),
            asked: Cell::default(),
            asked_vital: Cell::default(),
            players: RefCell::default(),
            tick: Cell::new(0),
            elapsed_us: Cell::new(0),
            birth,
            rng: RefCell::new(ChaCha8Rng::seed_from_u64(birth.seed)),
            votes: RefCell::default(),
            votes_asked: Cell::default(),
            vote_places: RefCell::default(),
            templates: RefCell::default(),
            bots: RefCell::default(),
            stored: RefCell::default(),
            stored_asks: Cell::default(),
            awaited: RefCell::default(),
            ahead: RefCell::default(),
            missed: Cell::new(false),
            rations: Rations::default(),
            complaints: RefCell::default(),
            refused_calls: RefCell::default(),
            logs: Cell::default(),
            oddities: Cell::default(),
            unordered_keys: Cell::new(false),
            sources: RefCell::default(),
            object_mark: OnceCell::new(),
            meter: OnceCell::new(),
        }
    }

    /// Takes in what a call from the match brings.
    pub(super) fn enter(&self, cx: &GameCx<'_>) {
        // While nothing ticks, each callback is one of its own.
        let still = || self.meter.get().is_some_and(|meter| meter.is_still());
        if self.tick.replace(cx.tick) != cx.tick || still() {
            self.ask_anew();
        }
        self.elapsed_us.set(cx.elapsed_us);
        let mut players = self.players.borrow_mut();
        if *players != cx.players {
            cx.players.clone_into(&mut players);
        }
    }

    /// Whatever was asked for so far is not counted any more.
    pub(super) fn ask_anew(&self) {
        self.votes_asked.set(0);
        self.asked.set((0, 0));
        self.asked_vital.set((0, 0));
    }

    /// Hands over what was asked for.
    pub(super) fn leave(&self, cx: &mut GameCx<'_>) {
        cx.effects.append(&mut self.effects.borrow_mut());
    }

    /// Asks for something; false when too much was asked for in this tick already.
    pub(super) fn push(&self, effect: Effect) -> bool {
        let (account, count_max, bytes_max) = match is_vital(&effect) {
            true => (&self.asked_vital, VITAL_MAX, VITAL_BYTES_MAX),
            false => (&self.asked, EFFECTS_MAX, EFFECT_BYTES_MAX),
        };
        let ((count, bytes), (more, more_bytes)) = (account.get(), weight(&effect));
        let asked = (count + more, bytes + more_bytes);
        let room = asked.0 <= count_max && asked.1 <= bytes_max;
        if room {
            account.set(asked);
            self.effects.borrow_mut().push(effect);
        }
        room
    }

    /// Nothing was asked for; what is said of the script itself stays said.
    pub(super) fn forget_effects(&self) {
        self.effects.borrow_mut().retain(|effect| matches!(effect, Effect::ScriptFault(_)));
        self.awaited.borrow_mut().clear();
        self.ask_anew();
    }

    /// Says something about the script itself: such words are few and always have room.
    pub(super) fn tell(&self, effect: Effect) {
        self.effects.borrow_mut().push(effect);
    }

    /// What the match was born with.
    pub(super) fn birth(&self) -> Birth {
        self.birth
    }

    /// Takes so many rows from what the match may have stored, or says why not.
    pub(super) fn ration(&self, row: Row, count: usize) -> Result<(), String> {
        self.rations.take(row, count, self.elapsed_us.get())
    }

    /// From now on every refused call is remembered, for whoever tries the script.
    pub(super) fn note_refused_calls(&self) {
        *self.refused_calls.borrow_mut() = Some(BTreeSet::new());
    }

    /// A call that answered an error, where that is remembered.
    pub(super) fn refused_call(&self, told: impl FnOnce() -> String, place: impl FnOnce() -> Option<Place>) {
        let mut refused = self.refused_calls.borrow_mut();
        if let Some(refused) = refused.as_mut().filter(|refused| refused.len() < COMPLAINTS_MAX) {
            let (file, line) = place().map(|place| (place.file, place.line)).unwrap_or_default();
            refused.insert((file, line, told()));
        }
    }

    /// Where which call answered which error.
    pub(super) fn take_refused_calls(&self) -> BTreeSet<(String, u32, String)> {
        self.refused_calls.borrow_mut().take().unwrap_or_default()
    }

    /// Remembers a refusal that the author is to be told.
    pub(super) fn complain(&self, call: &'static str, place: impl FnOnce() -> Option<Place>, text: &str) {
        let mut complaints = self.complaints.borrow_mut();
        if complaints.len() < COMPLAINTS_MAX {
            complaints.push(Complaint { call, place: place(), text: text.to_owned() });
        }
    }

    pub(super) fn take_complaints(&self) -> Vec<Complaint> {
        self.complaints.take()
    }

    pub(super) fn loading(&self) -> bool {
        self.loading.get()
    }

    pub(super) fn set_loading(&self, loading: bool) {
        self.loading.set(loading);
    }

    pub(super) fn tick(&self) -> u64 {
        self.tick.get()
    }

    pub(super) fn elapsed_us(&self) -> u64 {
        self.elapsed_us.get()
    }

    /// Unix seconds of the match's own clock.
    pub(super) fn unix_s(&self) -> i64 {
        ((self.birth.unix_us + self.elapsed_us.get()) / 1_000_000) as i64
    }

    /// Unix milliseconds of the match's own clock.
    pub(super) fn unix_ms(&self) -> u64 {
        (self.birth.unix_us + self.elapsed_us.get()) / 1_000
    }

    pub(super) fn random<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.rng.borrow_mut())
    }

    pub(super) fn player_count(&self) -> usize {
        self.players.borrow().len()
    }

    pub(super) fn votes(&self) -> Vec<OpenVote> {
        self.votes.borrow().clone()
    }

    pub(super) fn set_votes(&self, votes: &[OpenVote]) {
        votes.clone_into(&mut self.votes.borrow_mut());
    }

    pub(super) fn set_templates(&self, templates: &Arc<Templates>) {
        let mut known = self.templates.borrow_mut();
        if known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, templates)) {
            *known = Some(templates.clone());
        }
    }

    /// Takes room for one more vote of this configuration, or says why there can be none.
    pub(super) fn admit_vote(&self, config: &RawValue) -> Result<(), String> {
        if self.votes.borrow().len() + self.votes_asked.get() >= VOTES_OPEN_PER_MATCH_MAX {
            return Err(format!(
                "{VOTES_OPEN_PER_MATCH_MAX} votes are open in this match, which is the most there may be"
            ));
        }
        if let Some(templates) = self.templates.borrow().as_ref() {
            let began = Instant::now();
            let read = VoteConfig::from_json(config.get(), templates);
            if let Some(meter) = self.meter.get() {
                meter.bill(began.elapsed());
            }
            read.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        }
        self.votes_asked.set(self.votes_asked.get() + 1);
        Ok(())
    }

    /// Remembers where a vote was asked for.
    pub(super) fn vote_asked(&self, id: &str, place: Option<Place>) {
        let mut places = self.vote_places.borrow_mut();
        if places.len() == VOTES_OPEN_PER_MATCH_MAX {
            places.pop_front();
        }
        places.push_back((id.to_owned(), place));
    }

    /// Where the vote of this id was asked for; none where `vote_requested` returned it.
    pub(super) fn take_vote_place(&self, id: &str) -> Option<Option<Place>> {
        let mut places = self.vote_places.borrow_mut();
        let at = places.iter().position(|(known, _)| known == id)?;
        places.remove(at).map(|(_, place)| place)
    }

    pub(super) fn bot_came(&self, bot: PlayerId, name: &str) {
        self.bots.borrow_mut().push((bot, name.to_owned()));
    }

    pub(super) fn bot_left(&self, bot: PlayerId) {
        self.bots.borrow_mut().retain(|(id, _)| *id != bot);
    }

    /// The bots, with what they are called.
    pub(super) fn bots_by_name(&self) -> Vec<(PlayerId, String)> {
        self.bots.borrow().clone()
    }

    /// The bot of that id, that name, or that name as ids begin with it.
    pub(super) fn bot(&self, id_or_name: &str) -> Option<PlayerId> {
        let bots = self.bots.borrow();
        let found = bots.iter().find(|(id, name)| {
            let named = id_or_name.strip_prefix(BOT).unwrap_or(id_or_name);
            !name.is_empty() && (name == id_or_name || name == named) || id.to_string() == id_or_name
        });
        found.map(|(id, _)| *id)
    }

    /// Whether a bot of that name is there or was asked for.
    pub(super) fn expects_bot(&self, name: &str) -> bool {
        let asked = |effect: &Effect| matches!(effect, Effect::AddBot { name: asked } if asked == name);
        self.bots.borrow().iter().any(|(_, known)| known == name) || self.effects.borrow().iter().any(asked)
    }

    pub(super) fn bots(&self) -> Vec<PlayerId> {
        self.bots.borrow().iter().map(|(id, _)| *id).collect()
    }

    /// What is known of a stored key: nothing yet, or its value.
    pub(super) fn stored(&self, key: &StoreKey) -> Option<Option<Json>> {
        self.kept(key).or_else(|| {
            // A bot is a new one in every match.
            let is_whole = key.0.is_some_and(PlayerId::is_bot) || self.ahead.borrow().whole.contains(&key.0);
            is_whole.then_some(None)
        })
    }

    /// Whether others may have stored something under that key since the match read all there was.
    pub(super) fn may_be_old(&self, key: &StoreKey) -> bool {
        key.0.is_none() && !self.stored.borrow().contains_key(key)
    }

    /// A value in sight.
    pub(super) fn kept(&self, key: &StoreKey) -> Option<Option<Json>> {
        let stored = self.stored.borrow();
        let kept = stored.get(key)?;
        kept.asked.set(self.next_ask());
        kept.wanted.set(true);
        Some(kept.value.clone())
    }

    /// Whether somebody's stored values are on their way; they are asked for now if they were not.
    pub(super) fn awaits_all_of(&self, owner: Option<PlayerId>, effects: &mut Vec<Effect>) -> bool {
        let mut ahead = self.ahead.borrow_mut();
        let plays = owner.is_some_and(|player| self.players.borrow().contains(&player));
        if plays || ahead.ready.contains(&owner) {
            return false;
        }
        if !ahead.asked.contains(&owner) {
            if ahead.asked.len() >= STORED_OWNERS_MAX {
                return false;
            }
            effects.push(Effect::LoadAll { owner });
            ahead.asked.insert(owner);
            // What they stored elsewhere since they were here last is newer than what is in sight.
            ahead.whole.remove(&owner);
            self.stored.borrow_mut().retain(|key, _| key.0 != owner);
        }
        true
    }

    /// Somebody's stored values came, or cannot be had at once: then each is loaded when it is asked for.
    pub(super) fn all_came(&self, owner: Option<PlayerId>, values: Option<Vec<Stored>>) {
        // Nobody waits for them any more, and what is in sight may be newer.
        if !self.ahead.borrow_mut().asked.remove(&owner) {
            return;
        }
        let unasked = self.stored.borrow().values().filter(|kept| !kept.wanted.get()).count();
        let values = values.filter(|values| unasked + values.len() <= STORED_UNASKED_MAX);
        let is_whole = values.is_some();
        let mut ahead = self.ahead.borrow_mut();
        ahead.ready.insert(owner);
        if is_whole {
            ahead.whole.insert(owner);
        }
        drop(ahead);
        for Stored { collection, key, value } in values.into_iter().flatten() {
            let key = (owner, collection, key);
            // What the match stored meanwhile is newer than what it asked for.
            if !self.stored.borrow().contains_key(&key) {
                self.keep_in_sight(key, Some(value), false);
            }
        }
    }

    /// Nobody waits for that player's values any more: should they come again, it will be asked anew.
    pub(super) fn came(&self, player: PlayerId) {
        let mut ahead = self.ahead.borrow_mut();
        ahead.ready.remove(&Some(player));
        ahead.asked.remove(&Some(player));
    }

    /// What nobody asked for of a player who left need not be in sight.
    pub(super) fn forget_unasked(&self, player: PlayerId) {
        let owner = Some(player);
        self.ahead.borrow_mut().whole.remove(&owner);
        self.stored.borrow_mut().retain(|key, kept| key.0 != owner || kept.wanted.get());
    }

    pub(super) fn miss(&self) {
        self.missed.set(true);
    }

    /// Whether a call was answered that a value is on its way, since this was asked last.
    pub(super) fn take_missed(&self) -> bool {
        self.missed.replace(false)
    }

    fn next_ask(&self) -> u64 {
        self.stored_asks.replace(self.stored_asks.get() + 1)
    }

    /// Whether a value of that key could be kept.
    pub(super) fn may_keep(&self, key: &StoreKey) -> bool {
        let (stored, awaited) = (self.stored.borrow(), self.awaited.borrow());
        let wanted = stored.values().filter(|kept| kept.wanted.get()).count();
        wanted + awaited.len() < STORED_KEYS_MAX || stored.contains_key(key) || awaited.contains(key)
    }

    /// Whether that value was asked for and did not come yet: it is not asked for twice.
    pub(super) fn is_awaited(&self, key: &StoreKey) -> bool {
        self.awaited.borrow().contains(key)
    }

    pub(super) fn await_value(&self, key: StoreKey) {
        self.awaited.borrow_mut().insert(key);
    }

    /// Keeps a value in sight; false when there are too many.
    pub(super) fn keep(&self, key: StoreKey, value: Option<Json>) -> bool {
        let room = self.may_keep(&key);
        self.awaited.borrow_mut().remove(&key);
        if room {
            self.keep_in_sight(key, value, true);
        }
        room
    }

    /// Keeps a value in sight that the script asked for, or stored (`wanted`), or that came before it did.
    fn keep_in_sight(&self, key: StoreKey, value: Option<Json>, wanted: bool) {
        let mut stored = self.stored.borrow_mut();
        stored.insert(key, Kept { value, asked: Cell::new(self.next_ask()), wanted: Cell::new(wanted) });
        let mut bytes: usize = stored.values().map(Kept::bytes).sum();
        while bytes > STORED_KEPT_BYTES_MAX {
            let longest_ago = stored.iter().min_by_key(|(_, kept)| kept.asked.get()).map(|(key, _)| key.clone());
            let Some((key, gone)) = longest_ago.and_then(|key| stored.remove_entry(&key)) else { break };
            self.ahead.borrow_mut().whole.remove(&key.0);
            bytes -= gone.bytes();
        }
    }

    /// Whether another log line fits into this second.
    pub(super) fn may_log(&self) -> bool {
        let second = self.elapsed_us.get() / 1_000_000;
        let (at, said) = self.logs.get();
        let said = if at == second { said } else { 0 };
        self.logs.set((second, said + u32::from(said < LOGS_PER_S)));
        said < LOGS_PER_S
    }

    /// Remembers what a message could not say; the words for what is new go to the author.
    pub(super) fn note(&self, odd: Oddities) {
        let before = self.oddities.get();
        let mut all = before;
        all.merge(odd);
        self.oddities.set(all);
        for text in odd.new_since(before) {
            self.tell(Effect::Log(format!("warning: {text}")));
        }
    }

    pub(super) fn saw_unordered_keys(&self) {
        if !self.unordered_keys.replace(true) {
            self.tell(Effect::Log(
                "warning: pairs() over tables or functions as keys has no defined order, nor has next(), so this match may not replay"
                    .into(),
            ));
        }
    }

    pub(super) fn set_sources(&self, sources: Arc<Sources>) {
        *self.sources.borrow_mut() = sources;
    }

    pub(super) fn sources(&self) -> Arc<Sources> {
        self.sources.borrow().clone()
    }

    pub(super) fn set_object_mark(&self, mark: Table) {
        let _ = self.object_mark.set(mark);
    }

    /// Who pays for what is written.
    /// Fails, and remembers the line, where the script's allowance is spent.
    pub(super) fn stop_if_spent(&self, lua: &Lua) -> mlua::Result<()> {
        let spent = self.meter.get().and_then(|meter| Some((meter, meter.spent()?)));
        spent.map_or(Ok(()), |(meter, spent)| meter.stop(lua, spent))
    }

    pub(super) fn set_meter(&self, meter: Rc<Meter>) {
        let _ = self.meter.set(meter);
    }

    /// How values of this machine are written.
    pub(super) fn rules(&self, bytes_max: usize, root_object: bool) -> mlua::Result<Rules<'_>> {
        let (object, meter) = self.object_mark.get().zip(self.meter.get()).ok_or(mlua::Error::BindError)?;
        Ok(Rules { object, bytes_max, root_object, meter })
    }

    /// Writes a value as JSON of its own.
    pub(super) fn json(&self, value: &Value, bytes_max: usize, root_object: bool) -> mlua::Result<Json> {
        let (json, odd) = convert::to_raw(value, self.rules(bytes_max, root_object)?)?;
        self.note(odd);
        Ok(json)
    }
}
