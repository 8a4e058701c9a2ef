//! A match being played: the engine's roster, inputs and clock with a game on top. Still a plain value: the actor
//! around it hands in the time and carries out what [`Stage::take`] returns.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde_json::value::RawValue;

use super::{Audience, BuildError, Effect, FilterVerdict, Game, GameCx, Json, OpenVote, Stored};
use crate::engine::matches::Phase;
use crate::engine::matches::clock::{Due, TickClock};
use crate::engine::matches::inputs::{Input, InputQueue, Pushed};
use crate::engine::matches::roster::{NoPlace, Roster};
use crate::engine::modes::Mode;
use crate::engine::votes::config::Templates;
use crate::ids::{MatchId, PlayerId};

/// Something the shell has to do for the match, in order.
#[derive(Debug)]
pub enum Act {
    /// What the game asked for and the stage could not do itself.
    Game(Effect),
    /// Enough players came: tell everyone.
    Started,
    /// Open the mode's scheduled vote of this index.
    OpenScheduled(usize),
    /// A player's seat was freed (kicked by the game, or idle); the reason is for them to read.
    Freed(PlayerId, String),
    /// A player did nothing for a while and is about to lose the seat.
    WarnIdle(PlayerId),
    /// The match is over.
    Finished(Json),
}

/// Why somebody did not get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The match is over.
    Over,
    /// They were kicked out of this match.
    Barred,
    /// No seat is free.
    Full,
    /// The game or an operator closed the door.
    Locked,
    /// The game turned them away, in its own word.
    Refused(String),
}

/// When a mode's vote opens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With the first tick.
    Start,
    /// After this many ticks.
    Tick(u64),
    /// Every so many seconds of match time.
    EveryS(u64),
    /// When the game is over; the match ends after the vote.
    Finish,
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |n: &str| n.parse::<u64>().ok().filter(|n| *n > 0);
        match text.split_once(':') {
            None if text == "start" => Some(When::Start),
            None if text == "finish" => Some(When::Finish),
            Some(("tick", n)) => number(n).map(When::Tick),
            Some(("every_s", n)) => number(n).map(When::EveryS),
            _ => None,
        }
        .ok_or_else(|| format!("when is \"{text}\", expected start, tick:N, every_s:N or finish with N at least 1"))
    }
}

/// A match being played.
pub struct Stage {
    /// The match's id.
    pub id: MatchId,
    /// The mode's name.
    pub mode_name: Arc<str>,
    /// The mode's rules.
    pub mode: Arc<Mode>,
    /// Who is in.
    pub roster: Roster,
    game: Box<dyn Game>,
    rng: ChaCha8Rng,
    inputs: InputQueue,
    applied: Vec<(PlayerId, u64)>,
    phase: Phase,
    clock: Option<TickClock>,
    tick: u64,
    joinable: bool,
    when: Vec<When>,
    ending: Option<Json>,
    /// What the bots in it are called.
    bots: Vec<(PlayerId, String)>,
    /// When it was paused last, monotonic microseconds.
    paused_us: u64,
    effects: Vec<Effect>,
    acts: Vec<Act>,
}

impl Stage {
    /// A match that waits for players. `seed` alone decides its randomness.
    pub fn new(
        id: MatchId,
        mode_name: Arc<str>,
        mode: Arc<Mode>,
        game: Box<dyn Game>,
        seed: u64,
    ) -> Result<Self, BuildError> {
        let when = mode.votes.iter().map(|v| v.when.parse()).collect::<Result<_, _>>().map_err(BuildError)?;
        Ok(Self {
            id,
            mode_name,
            roster: Roster::new(mode.players.max, mode.spectators, mode.veto_tokens_per_player)
                .with_teams(&mode.matchmaking.teams),
            mode,
            game,
            rng: ChaCha8Rng::seed_from_u64(seed),
            inputs: InputQueue::default(),
            applied: Vec::new(),
            phase: Phase::Waiting,
            clock: None,
            tick: 0,
            joinable: true,
            when,
            ending: None,
            bots: Vec::new(),
            paused_us: 0,
            effects: Vec::new(),
            acts: Vec::new(),
        })
    }

    /// Where the match is in its life.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Ticks run so far.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// Whether newcomers may take a seat, were one free.
    pub fn joinable(&self) -> bool {
        self.joinable && self.phase != Phase::Finished && self.ending.is_none()
    }

    /// Opens or closes the door.
    pub fn set_joinable(&mut self, joinable: bool) {
        self.joinable = joinable;
    }

    /// A player takes a seat. `Ok(false)`: they had it already.
    pub fn join(
        &mut self,
        player: PlayerId,
        bot: bool,
        ctx: Option<&RawValue>,
        now_us: u64,
        unix_us: u64,
    ) -> Result<bool, Denied> {
        if self.phase == Phase::Finished || self.ending.is_some() {
            return Err(Denied::Over);
        }
        if self.roster.is_seated(player) {
            return Ok(false);
        }
        if !self.joinable {
            return Err(Denied::Locked);
        }
        // The game sees the newcomer in its list of players only once it took them: the seat is taken for the call
        // and given back if the game says no.
        match self.roster.seat(player, bot, now_us) {
            Ok(()) => {}
            Err(NoPlace::Barred) => return Err(Denied::Barred),
            Err(NoPlace::Full | NoPlace::AlreadyIn) => return Err(Denied::Full),
        }
        if let Err(refused) = self.with_game(unix_us, |game, cx| game.join(cx, player, ctx)) {
            self.roster.unseat(player);
            // What it has to say of that, in the first place to its author.
            self.settle();
            return Err(Denied::Refused(refused.reason));
        }
        if bot {
            let name = self.bot_name(player).unwrap_or_default().to_owned();
            self.with_game(unix_us, |game, cx| game.bot_added(cx, player, &name));
        }
        self.settle();
        Ok(true)
    }

    /// A bot takes a seat, called as `asked`, or by the first name of the game's that no bot here has.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub fn join_bot(
        &mut self,
        asked: Option<&str>,
        make_id: impl FnOnce(&str) -> PlayerId,
        now_us: u64,
        unix_us: u64,
    ) -> Result<PlayerId, Denied> {
        let name = asked.map_or_else(|| self.free_bot_name(), str::to_owned);
        let bot = make_id(&name);
        self.bots.push((bot, name));
        let joined = self.join(bot, true, None, now_us, unix_us);
        if joined.is_err() {
            self.bots.retain(|(id, _)| *id != bot);
        }
        joined.map(|_| bot)
    }

    /// What that bot is called; none for people.
    pub fn bot_name(&self, player: PlayerId) -> Option<&str> {
        self.bots.iter().find(|(id, _)| *id == player).map(|(_, name)| name.as_str())
    }

    fn free_bot_name(&self) -> String {
        let taken = |name: &str| self.bots.iter().any(|(_, known)| known == name);
        let names = self.game.bot_names().iter().find(|name| !taken(name)).cloned();
        let numbered = || (1..).map(|n| format!("bot{n}")).find(|name| !taken(name));
        names.or_else(numbered).unwrap_or_default()
    }

    /// A seat or a spectator's place becomes free; false when the player had neither.
    pub fn leave(&mut self, player: PlayerId, unix_us: u64) -> bool {
        if self.roster.unspectate(player) {
            return true;
        }
        if !self.roster.unseat(player) {
            return false;
        }
        self.with_game(unix_us, |game, cx| game.leave(cx, player));
        self.bots.retain(|(id, _)| *id != player);
        self.settle();
        if self.roster.is_deserted() && self.phase != Phase::Finished {
            self.end(r#"{"status":"empty"}"#);
        }
        true
    }

    /// A bot plays on in the seat of a player who did not come back; false when they have none. With nobody but bots
    /// left, the match ends.
    pub fn hand_to_bot(&mut self, player: PlayerId, unix_us: u64) -> bool {
        if !self.roster.hand_to_bot(player) {
            return false;
        }
        self.with_game(unix_us, |game, cx| game.bot_added(cx, player, ""));
        self.settle();
        if self.roster.is_deserted() && self.phase != Phase::Finished {
            self.end(r#"{"status":"empty"}"#);
        }
        true
    }

    /// The player is back in the seat that a bot played on in; false when none does.
    pub fn take_back(&mut self, player: PlayerId, now_us: u64, unix_us: u64) -> bool {
        if !self.roster.is_bot(player) {
            return false;
        }
        if let Some(seat) = self.roster.seat_mut(player) {
            seat.bot = false;
        }
        self.roster.heard(player, now_us);
        self.with_game(unix_us, |game, cx| game.bot_removed(cx, player));
        self.settle();
        true
    }

    /// Starts ticking at `t0_us` once enough players are here; false while not.
    pub fn start(&mut self, t0_us: u64) -> bool {
        if self.phase != Phase::Waiting || !self.may_start() {
            return false;
        }
        self.phase = Phase::Running;
        self.clock = Some(TickClock::new(self.mode.tick_hz, t0_us));
        self.acts.push(Act::Started);
        self.open_scheduled(|when| when == When::Start);
        true
    }

    /// Whether enough players are here to start.
    pub fn may_start(&self) -> bool {
        self.phase == Phase::Waiting && self.roster.seats().len() >= self.mode.players.min as usize
    }

    /// Queues an input for the next tick; `None` when the sender has no seat here.
    pub fn input(&mut self, input: Input, per_player_max: u32, now_us: u64) -> Option<Pushed> {
        if !self.roster.is_seated(input.player) {
            return None;
        }
        self.roster.heard(input.player, now_us);
        if self.ending.is_some() {
            // Nobody plays any more; only its last votes are awaited.
            return Some(Pushed::Closed);
        }
        Some(self.inputs.push(input, per_player_max))
    }

    /// The ticks due by `now_us`, taken from the clock; `None` while not running or none is due.
    pub fn due(&mut self, now_us: u64) -> Option<Due> {
        if self.phase != Phase::Running {
            return None;
        }
        self.clock.as_mut()?.due(now_us)
    }

    /// Runs one tick: inputs in arrival order, the game, its wishes. Catch-up ticks call this again with no inputs.
    pub fn run_tick(&mut self, now_us: u64, unix_us: u64) {
        if self.phase != Phase::Running || self.ending.is_some() {
            return;
        }
        let inputs = self.inputs.take();
        for input in inputs {
            self.with_game(unix_us, |game, cx| game.input(cx, input.player, &input.json));
            if let Some(seq) = input.seq {
                match self.applied.iter_mut().find(|(player, _)| *player == input.player) {
                    Some((_, highest)) => *highest = seq.max(*highest),
                    None => self.applied.push((input.player, seq)),
                }
            }
        }
        self.with_game(unix_us, |game, cx| game.tick(cx));
        self.tick += 1;
        if let Some(vote) = self.with_game(unix_us, |game, cx| game.vote_requested(cx)) {
            self.effects.push(Effect::OpenVote(vote));
        }
        let tick = self.tick;
        let per_s = u64::from(self.mode.tick_hz);
        self.open_scheduled(|when| match when {
            When::Tick(at) => at == tick,
            When::EveryS(seconds) => tick.is_multiple_of(seconds * per_s),
            When::Start | When::Finish => false,
        });
        self.free_idle(now_us, unix_us);
        self.settle();
    }

    /// Highest input sequence applied per sender since the last call: what `match.ack` says.
    pub fn take_applied(&mut self) -> Vec<(PlayerId, u64)> {
        std::mem::take(&mut self.applied)
    }

    /// Whether the game shows everyone the same.
    pub fn audience(&self) -> Audience {
        self.game.audience()
    }

    /// Whether this viewer shares a view with others, and has none of their own.
    pub fn shares_view(&self, viewer: PlayerId) -> bool {
        match self.game.audience() {
            Audience::Shared => true,
            Audience::PerPlayer => !self.roster.is_seated(viewer) && self.game.has_gallery(),
        }
    }

    /// Writes what `viewer` (or everyone) sees; false when the game had nothing to show.
    pub fn view(&mut self, viewer: Option<PlayerId>, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        self.say_if_still();
        self.game.view(viewer, out);
        out.len() > before
    }

    /// A vote that the game asked for was refused; false where it has nobody to tell.
    pub fn vote_refused(&mut self, config: &RawValue, why: &str, unix_us: u64) -> bool {
        let told = self.with_game(unix_us, |game, cx| game.vote_refused(cx, config, why));
        self.settle();
        told
    }

    /// A line that the game asked for was refused; false where it has nobody to tell.
    pub fn chat_refused(&mut self, place: Option<&str>, why: &str, unix_us: u64) -> bool {
        let told = self.with_game(unix_us, |game, cx| game.chat_refused(cx, place, why));
        self.settle();
        told
    }

    /// The templates there are for votes.
    pub fn vote_templates(&mut self, templates: &Arc<Templates>) {
        self.game.vote_templates(templates);
    }

    /// A vote closed.
    pub fn vote_resolved(&mut self, template: &str, result: &RawValue, unix_us: u64) {
        if self.phase != Phase::Finished {
            self.with_game(unix_us, |game, cx| game.vote_resolved(cx, template, result));
            self.settle();
        }
    }

    /// A vote was vetoed.
    pub fn vote_vetoed(&mut self, template: &str, by: PlayerId, unix_us: u64) {
        if self.phase != Phase::Finished {
            self.with_game(unix_us, |game, cx| game.vote_vetoed(cx, template, by));
            self.settle();
        }
    }

    /// The votes that are open now.
    pub fn open_votes(&mut self, open: &[OpenVote]) {
        self.game.open_votes(open);
    }

    /// A stored value that the game asked for.
    pub fn loaded(
        &mut self,
        owner: Option<PlayerId>,
        collection: &str,
        key: &str,
        value: Option<&RawValue>,
        unix_us: u64,
    ) {
        if self.phase != Phase::Finished {
            self.with_game(unix_us, |game, cx| game.loaded(cx, owner, collection, key, value));
            self.settle();
        }
    }

    /// All values that the game asked for, of one owner; `None` where it cannot have them at once.
    pub fn loaded_all(&mut self, owner: Option<PlayerId>, values: Option<Vec<Stored>>, unix_us: u64) {
        if self.phase != Phase::Finished {
            self.with_game(unix_us, |game, cx| game.loaded_all(cx, owner, values));
            self.settle();
        }
    }

    /// Those were let in, or are not coming after all.
    pub fn came(&mut self, players: &[PlayerId]) {
        self.game.came(players);
    }

    /// Whether those who are coming should wait. See [`Game::is_behind`].
    pub fn is_behind(&mut self, coming: &[PlayerId], unix_us: u64) -> bool {
        let behind = self.with_game(unix_us, |game, cx| game.is_behind(cx, coming));
        self.settle();
        behind
    }

    /// What becomes of something a player says in the match's channel.
    pub fn judge_chat(&mut self, sender: PlayerId, text: &str) -> FilterVerdict {
        self.game.judge_chat(sender, text)
    }

    /// Stops the clock; false when it was not running.
    pub fn pause(&mut self, now_us: u64) -> bool {
        let running = self.phase == Phase::Running;
        if running {
            self.phase = Phase::Paused;
            self.paused_us = now_us;
        }
        running
    }

    /// Goes on after a pause, in the same phase slot; false when it was not paused.
    pub fn resume(&mut self, now_us: u64) -> bool {
        let paused = self.phase == Phase::Paused;
        if paused {
            self.phase = Phase::Running;
            // Nobody is idle in a match that stands still.
            let paused_us = now_us.saturating_sub(self.paused_us);
            for seat in self.roster.seats_mut() {
                seat.heard_us = (seat.heard_us + paused_us).min(now_us);
            }
            if let Some(clock) = &mut self.clock {
                clock.resume(now_us);
            }
        }
        paused
    }

    /// Ends the match with a status of ours, such as `cancelled`.
    pub fn cancel(&mut self, status: &str) {
        if self.phase != Phase::Finished {
            let quoted = serde_json::to_string(status).unwrap_or_else(|_| "\"cancelled\"".into());
            self.end(&format!("{{\"status\":{quoted}}}"));
        }
    }

    /// The votes that were to be held before the end are over: now it ends.
    pub fn finish_votes_closed(&mut self) {
        if let Some(result) = self.ending.take() {
            self.over(result);
        }
    }

    /// Whether the game is over and only its last votes are awaited.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Ticks this match gave up because it was late.
    pub fn skipped(&self) -> u64 {
        self.clock.as_ref().map_or(0, TickClock::skipped)
    }

    /// What is to be done, in order.
    pub fn take(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    /// Calls the game with its context.
    fn say_if_still(&mut self) {
        if matches!(self.phase, Phase::Waiting | Phase::Paused) {
            self.game.be_still();
        }
    }

    fn with_game<T>(&mut self, unix_us: u64, call: impl FnOnce(&mut dyn Game, &mut GameCx<'_>) -> T) -> T {
        self.say_if_still();
        let hz = u64::from(self.mode.tick_hz.max(1));
        let mut cx = GameCx {
            match_id: self.id,
            tick: self.tick,
            elapsed_us: (u128::from(self.tick) * 1_000_000 / u128::from(hz)) as u64,
            dt_us: 1_000_000 / hz,
            unix_us,
            rng: &mut self.rng,
            players: self.roster.players(),
            effects: &mut self.effects,
        };
        call(self.game.as_mut(), &mut cx)
    }

    /// Does what the stage itself can do of the game's wishes and leaves the rest to the shell.
    fn settle(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::SetJoinable(open) => self.joinable = open,
                Effect::Finish(result) => {
                    if self.phase == Phase::Finished || self.ending.is_some() {
                        continue;
                    }
                    let before = self.acts.len();
                    self.open_scheduled(|when| when == When::Finish);
                    if self.acts.len() > before {
                        self.ending = Some(result);
                    } else {
                        self.over(result);
                    }
                }
                other => self.acts.push(Act::Game(other)),
            }
        }
    }

    fn open_scheduled(&mut self, due: impl Fn(When) -> bool) {
        for (i, when) in self.when.iter().enumerate() {
            if due(*when) {
                self.acts.push(Act::OpenScheduled(i));
            }
        }
    }

    /// Warns whoever did nothing for `idle_s` and frees the seat after as long again.
    fn free_idle(&mut self, now_us: u64, unix_us: u64) {
        let idle_us = u64::from(self.mode.idle_s) * 1_000_000;
        if idle_us == 0 {
            return;
        }
        let mut gone = Vec::new();
        for seat in self.roster.seats_mut() {
            let silent_us = now_us.saturating_sub(seat.heard_us);
            if seat.bot || !seat.present || silent_us < idle_us {
                continue;
            }
            // Warned first, always: a match that stalled may find both times over at once.
            if silent_us >= 2 * idle_us && seat.warned_idle {
                gone.push(seat.player);
            } else if !seat.warned_idle {
                seat.warned_idle = true;
                self.acts.push(Act::WarnIdle(seat.player));
            }
        }
        for player in gone {
            self.acts.push(Act::Freed(player, "idle".into()));
            self.leave(player, unix_us);
        }
    }

    fn end(&mut self, result: &str) {
        self.ending = None;
        let result = RawValue::from_string(result.to_owned()).expect("we write JSON");
        self.over(result);
    }

    fn over(&mut self, result: Json) {
        self.phase = Phase::Finished;
        self.acts.push(Act::Finished(result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::modes::ScheduledVote;
    use crate::games::built_in;

    fn id(n: u128) -> PlayerId {
        PlayerId::from_u128(n)
    }

    fn stage(mode: Mode) -> Stage {
        let name = mode.game.strip_prefix("builtin:").unwrap().to_owned();
        let options = serde_json::value::to_raw_value(&mode.game_options).unwrap();
        let game = (built_in(&name).unwrap().build)(&options).unwrap();
        Stage::new(MatchId::from_u128(1), "test".into(), Arc::new(mode), game, 7).unwrap()
    }

    fn smoke() -> Mode {
        Mode { game: "builtin:smoke".into(), tick_hz: 30, ..Mode::default() }
    }

    fn raw(text: &str) -> Json {
        RawValue::from_string(text.into()).unwrap()
    }

    fn acts(stage: &mut Stage) -> String {
        let words = stage.take().into_iter().map(|act| match act {
            Act::Game(effect) => format!("{effect:?}").split(['(', ' ']).next().unwrap_or_default().to_owned(),
            Act::Started => "started".into(),
            Act::OpenScheduled(i) => format!("vote{i}"),
            Act::Freed(player, reason) => format!("freed{}:{reason}", player.as_u128()),
            Act::WarnIdle(player) => format!("warn{}", player.as_u128()),
            Act::Finished(result) => format!("finished:{}", result.get()),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn seen(stage: &mut Stage) -> serde_json::Value {
        let mut out = Vec::new();
        assert!(stage.view(None, &mut out));
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn one_input_moves_once_and_150_ticks_finish() {
        let mut stage = stage(smoke());
        assert_eq!(stage.join(id(1), false, None, 0, 0), Ok(true));
        assert!(!stage.start(1_000), "one of two is not enough");
        assert_eq!(stage.join(id(2), false, None, 0, 0), Ok(true));
        assert_eq!(stage.join(id(2), false, None, 0, 0), Ok(false), "joining again is idempotent");
        assert_eq!(stage.join(id(3), false, None, 0, 0), Err(Denied::Full));
        assert!(stage.start(1_000));
        let input = Input { player: id(1), json: raw(r#"{"move_x":1,"move_y":0}"#), seq: Some(9) };
        assert_eq!(stage.input(input, 64, 0), Some(Pushed::Queued));
        for _ in 0..149 {
            stage.run_tick(0, 0);
        }
        assert_eq!(acts(&mut stage), "started");
        let state = seen(&mut stage);
        assert_eq!(state["players"][id(1).to_string()], serde_json::json!({"x":1,"y":0,"inputs_seen":1}));
        assert_eq!(stage.take_applied(), [(id(1), 9)]);
        stage.run_tick(0, 0);
        assert_eq!(stage.phase(), Phase::Finished);
        assert!(acts(&mut stage).starts_with("finished:{\"tick\":150,"));
        assert_eq!(stage.join(id(1), false, None, 0, 0), Err(Denied::Over));
    }

    #[test]
    fn inputs_one_to_five_in_one_tick_apply_as_one_to_five() {
        struct Tape(Vec<String>);
        impl Game for Tape {
            fn join(
                &mut self,
                _: &mut GameCx<'_>,
                _: PlayerId,
                _: Option<&RawValue>,
            ) -> Result<(), super::super::JoinRefused> {
                Ok(())
            }
            fn leave(&mut self, _: &mut GameCx<'_>, _: PlayerId) {}
            fn input(&mut self, _: &mut GameCx<'_>, _: PlayerId, input: &RawValue) {
                self.0.push(input.get().to_owned());
            }
            fn tick(&mut self, _: &mut GameCx<'_>) {}
            fn view(&mut self, _: Option<PlayerId>, out: &mut Vec<u8>) {
                out.extend_from_slice(format!("[{}]", self.0.join(",")).as_bytes());
            }
        }
        let mut stage =
            Stage::new(MatchId::from_u128(1), "t".into(), Arc::new(smoke()), Box::new(Tape(vec![])), 1).unwrap();
        for player in [1, 2] {
            stage.join(id(player), false, None, 0, 0).unwrap();
        }
        stage.start(0);
        for n in 1..=5u128 {
            stage.input(Input { player: id(1 + n % 2), json: raw(&n.to_string()), seq: None }, 64, 0);
        }
        stage.run_tick(0, 0);
        assert_eq!(seen(&mut stage), serde_json::json!([1, 2, 3, 4, 5]));
    }

    #[test]
    fn the_same_seed_and_inputs_give_the_same_frames() {
        let play = |seed: u64| {
            let game = (built_in("demo").unwrap().build)(&raw("{}")).unwrap();
            let mut stage =
                Stage::new(MatchId::from_u128(1), "demo".into(), Arc::new(Mode::default()), game, seed).unwrap();
            stage.join(id(1), false, None, 0, 0).unwrap();
            stage.join(id(2), false, None, 0, 0).unwrap();
            stage.start(0);
            let mut frames = Vec::new();
            for _ in 0..50 {
                stage.input(Input { player: id(1), json: raw(r#"{"move_x":0.5}"#), seq: None }, 64, 0);
                stage.run_tick(0, 0);
                stage.view(None, &mut frames);
            }
            frames
        };
        assert_eq!(play(3), play(3));
        assert_ne!(play(3), play(4));
    }

    #[test]
    fn scheduled_votes_open_when_they_say_and_the_end_waits_for_the_last() {
        let vote = |when: &str| ScheduledVote { when: when.into(), vote: serde_json::Map::new() };
        let votes = vec![vote("start"), vote("tick:2"), vote("every_s:1"), vote("finish")];
        let mut stage = stage(Mode { votes, ..smoke() });
        for player in [1, 2] {
            stage.join(id(player), false, None, 0, 0).unwrap();
        }
        stage.start(0);
        assert_eq!(acts(&mut stage), "started vote0");
        let mut opened = Vec::new();
        for tick in 1..=150 {
            stage.run_tick(0, 0);
            let acts = acts(&mut stage);
            if !acts.is_empty() {
                opened.push(format!("{tick}:{acts}"));
            }
        }
        assert_eq!(opened, ["2:vote1", "30:vote2", "60:vote2", "90:vote2", "120:vote2", "150:vote2 vote3"]);
        assert!(stage.is_ending() && !stage.joinable());
        stage.run_tick(0, 0);
        assert_eq!(stage.tick(), 150, "nothing ticks while the last vote is held");
        stage.finish_votes_closed();
        assert!(acts(&mut stage).starts_with("finished:{\"tick\":150"));
    }

    #[test]
    fn an_empty_match_ends_with_its_status_and_a_cancelled_one_says_so() {
        let mut empty = stage(smoke());
        empty.join(id(1), false, None, 0, 0).unwrap();
        assert!(empty.leave(id(1), 0) && !empty.leave(id(1), 0));
        assert_eq!(acts(&mut empty), r#"finished:{"status":"empty"}"#);
        let mut cancelled = stage(smoke());
        cancelled.cancel("cancelled");
        assert_eq!(acts(&mut cancelled), r#"finished:{"status":"cancelled"}"#);
    }

    #[test]
    fn a_bot_plays_on_in_the_seat_of_who_is_gone_until_they_are_back() {
        let mut stage = stage(Mode { game: "builtin:skirmish".into(), tick_hz: 20, ..Mode::default() });
        for player in [1, 2] {
            stage.join(id(player), false, None, 0, 0).unwrap();
        }
        stage.start(0);
        acts(&mut stage);
        assert!(!stage.hand_to_bot(id(3), 0), "a stranger has no seat");
        assert!(stage.hand_to_bot(id(1), 0) && stage.roster.is_bot(id(1)));
        assert_eq!(stage.roster.players(), [id(1), id(2)], "the seat stays theirs");
        assert_eq!(acts(&mut stage), "");
        assert!(stage.take_back(id(1), 0, 0) && !stage.take_back(id(1), 0, 0));
        assert!(stage.hand_to_bot(id(1), 0) && stage.hand_to_bot(id(2), 0));
        assert_eq!(acts(&mut stage), r#"finished:{"status":"empty"}"#, "bots do not play for nobody");
    }

    #[test]
    fn idle_players_are_warned_then_freed_and_heard_ones_stay() {
        let mut stage = stage(Mode { idle_s: 10, ..smoke() });
        for player in [1, 2] {
            stage.join(id(player), false, None, 0, 0).unwrap();
        }
        stage.start(0);
        acts(&mut stage);
        let move_2 = |stage: &mut Stage, at: u64| {
            stage.input(Input { player: id(2), json: raw("{}"), seq: None }, 64, at);
            stage.run_tick(at, 0);
            acts(stage)
        };
        assert_eq!(move_2(&mut stage, 9_999_999), "");
        assert_eq!(move_2(&mut stage, 10_000_000), "warn1");
        assert_eq!(move_2(&mut stage, 19_999_999), "");
        assert_eq!(move_2(&mut stage, 20_000_000), "freed1:idle");
        assert_eq!(stage.roster.players(), [id(2)]);
    }

    #[test]
    fn nobody_is_idle_while_the_match_stands_still_nor_freed_without_a_warning() {
        let mut stage = stage(Mode { idle_s: 10, ..smoke() });
        for player in [1, 2] {
            stage.join(id(player), false, None, 0, 0).unwrap();
        }
        stage.start(0);
        acts(&mut stage);
        stage.run_tick(4_000_000, 0);
        stage.pause(4_000_000);
        stage.resume(64_000_000);
        let mut tick = |at: u64| {
            stage.run_tick(at, 0);
            acts(&mut stage)
        };
        assert_eq!(tick(69_999_999), "");
        assert_eq!(tick(70_000_000), "warn1 warn2");
        // A stall of a minute: both times are over at once for whoever comes now.
        stage.join(id(1), false, None, 0, 0).unwrap();
        stage.input(Input { player: id(1), json: raw("{}"), seq: None }, 64, 70_000_000);
        stage.run_tick(130_000_000, 0);
        assert_eq!(acts(&mut stage), "warn1 freed2:idle");
    }

    #[test]
    fn when_is_read_strictly() {
        for (text, when) in [("start", When::Start), ("tick:5", When::Tick(5)), ("every_s:2", When::EveryS(2))] {
            assert_eq!(text.parse(), Ok(when));
        }
        for bad in ["", "tick", "tick:0", "tick:-1", "every_s:x", "end"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pause_stops_the_clock_and_nothing_is_owed_afterwards() {
        let mut stage = stage(smoke());
        for player in [1, 2] {
            stage.join(id(player), false, None, 0, 0).unwrap();
        }
        stage.start(0);
        assert!(stage.due(0).is_some());
        assert!(stage.pause(0) && !stage.pause(0));
        assert_eq!(stage.due(5_000_000), None);
        assert!(stage.resume(5_000_000) && !stage.resume(5_000_000));
        assert_eq!(stage.due(5_000_000).map(|due| (due.run, due.skipped)), Some((1, 0)));
    }
}
