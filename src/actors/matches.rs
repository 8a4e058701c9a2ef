//! A match's shell: messages in, the [`Stage`] changes, frames out.
//!
//! It lives on a match arbiter beside its ticker and its votes. It pushes to outlets directly and never waits for
//! anybody. When it dies of a panic, its drop tells the players and cleans the directory; nobody else notices.
//!
//! Here are the actor, its opening and its tick. What else it does is a file each: who comes and goes (`seats`), who
//! loses the connection (`away`), what viewers are shown (`showing`), what games ask for (`effects`), its votes (`votes`), how it ends (`ending`), what operators may (`operators`),
//! and whose turn it is (`turn`).

mod away;
mod effects;
mod ending;
mod messages;
mod operators;
mod seats;
mod showing;
mod turn;
mod votes;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use actix::prelude::*;

pub use self::ending::Farewell;
pub use self::messages::*;
use super::directory::{CardState, MatchCard, Member};
use super::matchmaker::PutBack;
use super::outlet::Outlet;
use super::realm::Realm;
use super::ticker::{Enroll, Enrolled, Pace, Retire, SlowTick, Tick, Ticker};
use super::votes::VoteHandle;
use crate::engine::matches::Phase;
use crate::engine::matchmaking::{Playing, Traits};
use crate::engine::modes::{Json, Mode};
use crate::engine::votes::VoteConfig;
use crate::engine::votes::frustration::Frustration;
use crate::engine::votes::motions::Motions;
use crate::games::stage::{Act, Stage};
use crate::games::{BuildError, Game, GameCx, JoinRefused, ScriptFault};
use crate::ids::{MatchId, PlayerId, VoteId};
use crate::wire::matches as says;
use crate::wire::{Cid, Frame, Outbound, Refusal};

/// Everyone who sees what happens in a match, in order of coming; its votes read it too, on the same thread.
pub type Crowd = Rc<RefCell<Vec<(PlayerId, Arc<Outlet>)>>>;

/// The actor.
pub struct MatchActor {
    realm: Arc<Realm>,
    ticker: Addr<Ticker>,
    stage: Stage,
    /// The game could not be built; said when the match opens.
    broken: Option<String>,
    card: Option<Arc<MatchCard>>,
    /// What the card says: only what changed is written there, so that a tick may ask for it.
    shown: Cell<Option<CardState>>,
    members: HashMap<PlayerId, Member>,
    crowd: Crowd,
    /// Open votes; ids sort by time, and so does what newcomers are shown.
    votes: BTreeMap<VoteId, VoteHandle>,
    /// The votes it opened, to forget with the match.
    vote_ids: VecDeque<VoteId>,
    /// Open votes that the end waits for.
    finish_votes: Vec<VoteId>,
    frustration: Frustration,
    motions: Motions,
    /// Open votes that players called, with their rules.
    called: HashMap<VoteId, VoteConfig>,
    enrolled: bool,
    /// It was made for players who asked for it: without any it ends.
    founded: bool,
    pace: Pace,
    /// Who is let in as soon as the game is ready for them, in order, and until when they wait at most.
    coming: VecDeque<turn::Coming>,
    /// The result of a match whose open votes are being called off.
    last_word: Option<Json>,
    over: bool,
    /// The result, until the store has it and everybody is told.
    unsaid: Option<Json>,
    started_ms: u64,
    everyone: Vec<PlayerId>,
    /// Who did not come back in time, where the mode calls that a forfeit.
    forfeited: Vec<PlayerId>,
    /// How many players the game asked the queue for; without, as many as are missing.
    wanted: Option<u32>,
    /// What the queue was asked for last; `None` where it may have sent somebody since, so that it is asked again.
    asked_for: Option<Wanted>,
    /// Whom the queue sent and the game turned away, until the door opens anew.
    turned_away: Vec<PlayerId>,
    /// Whether newcomers could take a seat when that was looked at last: a game opens and closes its door unasked.
    door_open: bool,
    /// What the queue knew of those who play here and came by it.
    traits: HashMap<PlayerId, Traits>,
    showing: showing::Showing,
    /// When the seat of each player who is away is given up. None of these runs while an operator holds the match.
    graces: HashMap<PlayerId, SpawnHandle>,
    /// The latest errors of its script, for operators.
    faults: VecDeque<ScriptFault>,
    meters: Arc<super::meters::ModeMeters>,
    own: super::meters::Durations,
    /// The first and the last wake: when each was due and when it came, monotonic microseconds.
    wakes: Option<[(u64, u64); 2]>,
}

/// What a match asks of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Wanted {
    /// Seats per team; empty when it wants nobody.
    seats: Vec<u32>,
    /// Whom newcomers must suit.
    playing: Option<Playing>,
    /// Whom it does not take.
    barred: Vec<PlayerId>,
}

/// Plays nothing: stands in where a mode's game could not be built, until the match is cancelled.
struct NoGame;

impl Game for NoGame {
    fn join(
        &mut self,
        _: &mut GameCx<'_>,
        _: PlayerId,
        _: Option<&serde_json::value::RawValue>,
    ) -> Result<(), JoinRefused> {
        Ok(())
    }
    fn leave(&mut self, _: &mut GameCx<'_>, _: PlayerId) {}
    fn input(&mut self, _: &mut GameCx<'_>, _: PlayerId, _: &serde_json::value::RawValue) {}
    fn tick(&mut self, _: &mut GameCx<'_>) {}
    fn view(&mut self, _: Option<PlayerId>, _: &mut Vec<u8>) {}
}

impl MatchActor {
    /// A match that waits for its card and its players.
    pub fn new(
        realm: Arc<Realm>,
        ticker: Addr<Ticker>,
        pace: Pace,
        match_id: MatchId,
        mode_name: Arc<str>,
        mode: Arc<Mode>,
        seed: u64,
    ) -> Self {
        let meters = realm.meters.mode(&mode_name);
        let frustration = Frustration::new(mode.frustration_bonus_bp);
        let motions = Motions::new(&mode.motions, &realm.rules.motions, &realm.vote_templates());
        let built = realm
            .build_game(&mode, match_id, seed)
            .and_then(|game| Stage::new(match_id, mode_name.clone(), mode.clone(), game, seed));
        let (mut stage, broken) = match built {
            Ok(stage) => (stage, None),
            Err(BuildError(why)) => {
                let quiet = Mode { votes: Vec::new(), ..(*mode).clone() };
                let stage = Stage::new(match_id, mode_name, Arc::new(quiet), Box::new(NoGame), seed)
                    .expect("a mode without votes has no fault in them");
                (stage, Some(why))
            }
        };
        stage.vote_templates(&realm.vote_templates());
        Self {
            realm,
            ticker,
            stage,
            broken,
            card: None,
            shown: Cell::new(None),
            members: HashMap::new(),
            crowd: Crowd::default(),
            votes: BTreeMap::new(),
            vote_ids: VecDeque::new(),
            finish_votes: Vec::new(),
            frustration,
            motions,
            called: HashMap::new(),
            enrolled: false,
            founded: false,
            pace,
            coming: VecDeque::new(),
            last_word: None,
            over: false,
            unsaid: None,
            started_ms: 0,
            everyone: Vec::new(),
            forfeited: Vec::new(),
            wanted: None,
            asked_for: Some(Wanted::default()),
            turned_away: Vec::new(),
            door_open: true,
            traits: HashMap::new(),
            showing: showing::Showing::default(),
            graces: HashMap::new(),
            faults: VecDeque::new(),
            meters,
            own: super::meters::Durations::coarse(),
            wakes: None,
        }
    }

    fn push_everyone(&self, frame: &Frame) {
        for (_, outlet) in self.crowd.borrow().iter() {
            outlet.push(frame);
        }
    }

    fn push_others(&self, but: PlayerId, frame: &Frame) {
        for (player, outlet) in self.crowd.borrow().iter() {
            if *player != but {
                outlet.push(frame);
            }
        }
    }

    fn refuse(&self, outlet: &Outlet, cid: Option<&Cid>, refusal: Refusal) {
        self.realm.meters.refused(refusal.reason.row().code);
        outlet.push(&refusal.frame(cid, None));
    }

    /// Shows in the directory what others may know of the match without asking it, where that changed.
    fn update_card(&self) {
        let now = CardState {
            phase: self.stage.phase(),
            players: self.stage.roster.seats().len() as u32,
            joinable: self.stage.joinable(),
        };
        if let Some(card) = &self.card
            && self.shown.replace(Some(now)) != Some(now)
        {
            self.realm.directory.update(card, |state| *state = now);
        }
    }

    fn start_if_enough(&mut self, ctx: &mut Context<Self>) {
        if self.enrolled || !self.stage.may_start() {
            return;
        }
        self.enrolled = true;
        // Same arbiter, once per match.
        self.ticker.do_send(Enroll {
            match_id: self.stage.id,
            hz: self.stage.mode.tick_hz,
            tick: ctx.address().recipient(),
            slow: ctx.address().recipient(),
            pace: self.pace.clone(),
            enrolled: ctx.address().recipient(),
        });
    }

    /// Carries out what the stage asks for, until it asks for nothing more.
    fn carry_out(&mut self, ctx: &mut Context<Self>) {
        loop {
            let acts = self.stage.take();
            if acts.is_empty() {
                self.update_card();
                self.look_at_door();
                return;
            }
            let last_scheduled = acts.iter().rposition(|act| matches!(act, Act::OpenScheduled(_)));
            for (i, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Started => {
                        self.started_ms = self.realm.clock.unix_ms();
                        self.note_players(self.everyone.clone());
                        self.meters.started.fetch_add(1, Relaxed);
                        let players = self.stage.roster.players().to_vec();
                        self.push_everyone(&says::Started { match_id: self.stage.id, players }.push());
                        self.update_card();
                        self.ask_for_players();
                    }
                    Act::OpenScheduled(scheduled) => {
                        self.open_scheduled(scheduled, ctx);
                        if Some(i) == last_scheduled && self.stage.is_ending() && self.finish_votes.is_empty() {
                            // None of the last votes could be opened: there is nothing to wait for.
                            self.stage.finish_votes_closed();
                        }
                    }
                    Act::Freed(player, reason) => {
                        self.tell_kicked(player, &reason);
                        self.gone(player, true, Some(&reason));
                    }
                    Act::WarnIdle(player) => {
                        if let Some(member) = self.members.get(&player) {
                            let left_ms = u64::from(self.stage.mode.idle_s) * 1_000;
                            let warning = serde_json::json!({"match_id": self.stage.id, "idle_ms_left": left_ms});
                            if let Some(frame) = effects::own_event("idle_warning", &warning) {
                                member.outlet.push(&frame);
                            }
                        }
                    }
                    Act::Finished(result) => self.finish(result, ctx),
                    Act::Game(effect) => self.effect(effect, ctx),
                }
            }
        }
    }

    /// Hands the stage what its players did, in the order in which it came.
    fn take_inputs(&mut self, now_us: u64) {
        let Some(card) = &self.card else { return };
        let (inputs, heard) = {
            let mut waiting = card.inputs.lock();
            (waiting.take(), waiting.take_heard())
        };
        for player in heard {
            self.stage.roster.heard(player, now_us);
        }
        let max = self.realm.rules.limits.inputs_per_player_max;
        for input in inputs {
            // Who has left meanwhile is not heard.
            self.stage.input(input, max, now_us);
        }
    }

    fn acknowledge(&mut self) {
        let tick = self.stage.tick();
        for (player, seq) in self.stage.take_applied() {
            if let Some(member) = self.members.get(&player) {
                member.outlet.push(&says::Ack { match_id: self.stage.id, seq, tick }.push());
            }
        }
    }
}

impl Actor for MatchActor {
    type Context = Context<Self>;
}

impl Handler<Open> for MatchActor {
    type Result = ();

    fn handle(&mut self, open: Open, ctx: &mut Context<Self>) {
        self.card = Some(open.card.clone());
        let coming = open.matched.iter().map(|member| member.player).collect();
        self.let_in(ctx, coming, Box::new(move |this, ctx| this.open(open, ctx)));
    }
}

impl Handler<Enrolled> for MatchActor {
    type Result = ();

    fn handle(&mut self, enrolled: Enrolled, ctx: &mut Context<Self>) {
        if self.stage.start(enrolled.t0_us) {
            self.carry_out(ctx);
        } else if !self.over {
            // Somebody left between the enrolment and now.
            self.enrolled = false;
            self.ticker.do_send(Retire(self.stage.id));
        }
    }
}

impl Handler<Tick> for MatchActor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        self.tick(ctx);
    }
}

impl Handler<SlowTick> for MatchActor {
    type Result = ();

    fn handle(&mut self, SlowTick(turn): SlowTick, ctx: &mut Context<Self>) {
        self.pace.came();
        self.tick(ctx);
        drop(turn);
    }
}

impl MatchActor {
    fn open(&mut self, open: Open, ctx: &mut Context<Self>) {
        let (waiting, queued) = (open.matched, open.queued);
        let wanted = waiting.len();
        if let Some(why) = &self.broken {
            tracing::error!(match_id = %self.stage.id, mode = %self.stage.mode_name, %why, "a match's game could not be built");
            for member in &waiting {
                self.realm.directory.release_seat(member.player, self.stage.id);
                member.outlet.push(&seats::failed("game_unavailable"));
            }
            // Their tickets for this are gone, which is told; whatever else they wait for goes on.
            let gone = waiting.iter().map(|member| member.player).collect();
            let tickets = queued.map(|queued| queued.tickets).unwrap_or_default();
            self.realm.matchmaker().do_send(PutBack { mode: self.stage.mode_name.clone(), tickets, gone });
            self.stage.cancel("game_unavailable");
            self.carry_out(ctx);
            return;
        }
        let bots = self.stage.mode.bots_for(wanted, open.bots);
        self.seat_group(waiting, queued, bots, ctx);
        if self.over {
            return;
        }
        for _ in 0..bots {
            self.add_bot(None);
        }
        self.update_card();
        if wanted > 0 && self.stage.roster.is_deserted() {
            self.stage.cancel("cancelled");
        }
        let timeout = std::time::Duration::from_secs(self.stage.mode.waiting_timeout_s.into());
        if !timeout.is_zero() {
            ctx.run_later(timeout, |this, ctx| {
                if this.stage.phase() == Phase::Waiting {
                    this.stage.cancel("waiting_timeout");
                    this.carry_out(ctx);
                }
            });
        }
        self.start_if_enough(ctx);
        self.carry_out(ctx);
    }

    /// Runs the ticks that are due, and shows what came of them.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        let clock = self.realm.clock;
        let begun_us = clock.now_us();
        let Some(due) = self.stage.due(begun_us) else { return };
        let late_us = begun_us.saturating_sub(due.scheduled_us);
        self.meters.lateness.record(late_us);
        self.realm.meters.recent.record(late_us);
        self.own.record(late_us);
        let wake = (due.scheduled_us, begun_us);
        self.wakes = Some([self.wakes.map_or(wake, |[first, _]| first), wake]);
        self.meters.ticks.fetch_add(due.run.into(), Relaxed);
        self.meters.skipped.fetch_add(due.skipped, Relaxed);
        self.take_inputs(begun_us);
        // A reload may have brought others.
        self.stage.vote_templates(&self.realm.vote_templates());
        for _ in 0..due.run {
            self.stage.run_tick(begun_us, clock.unix_us());
        }
        self.meters.work.record(clock.now_us() - begun_us);
        // A finishing tick emits its last state itself, before `match.finished`.
        self.acknowledge();
        self.carry_out(ctx);
        if !self.over {
            self.emit_state();
        }
        let took_us = clock.now_us() - begun_us;
        self.meters.emit.record(took_us);
        self.pace.took(took_us);
    }
}
