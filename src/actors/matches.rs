//! A match's shell: messages in, the [`Stage`] changes, frames out.
//!
//! It lives on a match arbiter beside its ticker and its votes. It pushes to outlets directly and never waits for
//! anybody. When it dies of a panic, its drop tells the players and cleans the directory; nobody else notices.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use actix::prelude::*;

use super::directory::{CardState, MatchCard, Member};
use super::lobby::{FindAgain, FindOrCreate};
use super::outlet::Outlet;
use super::realm::Realm;
use super::sessions::{Seated, Unseated};
use super::ticker::{Enroll, Enrolled, Retire, Tick, Ticker};
use super::votes::{Asked, Opening, VoteHandle, open_vote};
use crate::engine::matches::Phase;
use crate::engine::matches::inputs::{Input, Pushed};
use crate::engine::matches::roster::NoPlace;
use crate::engine::modes::{Json, Mode};
use crate::engine::sessions::SlotKind;
use crate::engine::votes::VoteConfig;
use crate::engine::votes::config::OnPass;
use crate::engine::votes::draft::{Teams, teams_of};
use crate::engine::votes::frustration::Frustration;
use crate::engine::votes::frustration::Moods;
use crate::engine::votes::motions::{Call, CallRefusal, Motions};
use crate::engine::votes::told::Passed;
use crate::games::stage::{Act, Denied, Stage};
use crate::games::{Audience, BuildError, Effect, Game, GameCx, JoinRefused, OpenVote, ScriptFault};
use crate::ids::{MatchId, PlayerId, VoteId};
use crate::limits::{EVENT_BYTES_MAX, SCRIPT_FAULTS_KEPT_MAX, VOTES_PER_MATCH_MAX};
use crate::store::rows::{KvRow, MatchRow, Outcome, ParticipantRow};
use crate::wire::matches as says;
use crate::wire::matches::Role;
use crate::wire::matchmaking::Failed;
use crate::wire::notices::ModuleMessage;
use crate::wire::session::Snapshot;
use crate::wire::{Cid, Frame, Outbound, Reason, Refusal};

/// Everyone who sees what happens in a match, in order of coming; its votes read it too, on the same thread.
pub type Crowd = Rc<RefCell<Vec<(PlayerId, Arc<Outlet>)>>>;

/// The first message: the card, and who was matched.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Open {
    /// What others know of the match.
    pub card: Arc<MatchCard>,
    /// The group a queue made, in order.
    pub matched: Vec<Member>,
    /// Bots to seat after them.
    pub bots: u32,
}

/// Somebody wants in. Answered with `match.joined` or a refusal.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Join {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// What they tell the game.
    pub ctx: Option<Json>,
    /// To watch instead of play.
    pub spectate: bool,
    /// They came with the join code.
    pub invited: bool,
    /// A seat was promised to them by the lobby, which wants them back if this match cannot take them.
    pub promised: Option<FindOrCreate>,
}

/// Somebody leaves; answered with `match.left` where `reply` says so.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave {
    /// Who.
    pub player: PlayerId,
    /// Why, where it was not their own wish; others see it.
    pub reason: Option<&'static str>,
    /// Where to answer.
    pub reply: Option<(Arc<Outlet>, Option<Cid>)>,
}

/// An input of a seated player.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PlayerInput {
    /// Who, what and the sender's own number.
    pub input: Input,
    /// Where an overflow is told.
    pub outlet: Arc<Outlet>,
    /// The sender's correlation id.
    pub cid: Option<Cid>,
}

/// A seated player's connection is gone; the seat is held.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PlayerAway(
    /// Who.
    pub PlayerId,
);

/// A player is back, perhaps with another session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PlayerBack {
    /// Who, and how they are reached now.
    pub member: Member,
    /// Push `session.snapshot` first: they could not be told what they missed.
    pub snapshot: bool,
}

/// A vote of this match is over.
#[derive(Message)]
#[rtype(result = "()")]
pub struct VoteOver {
    /// Which.
    pub vote_id: VoteId,
    /// Its template.
    pub template: String,
    /// How it ended.
    pub outcome: VoteEnd,
}

/// How a vote ended.
pub enum VoteEnd {
    /// With a result.
    Result {
        /// The payload of `match.vote_result`.
        result: Json,
        /// How it left its voters.
        moods: Moods,
        /// What a motion that passed asks for.
        passed: Option<Passed>,
    },
    /// By a veto of this player.
    Vetoed(PlayerId),
}

/// A player wants to spend a veto token on an open vote.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SpendVeto {
    /// Who.
    pub player: PlayerId,
    /// Their outlet.
    pub outlet: Arc<Outlet>,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// The vote.
    pub vote_id: VoteId,
    /// Whether the match holds a token of theirs for it; the session does not know.
    pub held: bool,
}

/// A player calls one of the mode's motions.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CallVote {
    /// Who.
    pub player: PlayerId,
    /// Where the answer goes.
    pub outlet: Arc<Outlet>,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// Which.
    pub template: String,
    /// What it is about.
    pub args: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A veto token bought nothing: the vote refused it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RefundVeto(
    /// Whose.
    pub PlayerId,
);

/// Players that the matchmaker found for a running match.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reinforce(
    /// Who.
    pub Vec<Member>,
);

/// What an operator may tell a match.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Command {
    /// End it now; the result's status.
    End(String),
    /// Stop the clock.
    Pause,
    /// Go on.
    Resume,
    /// Open or close the door.
    SetJoinable(bool),
    /// Free a seat.
    Kick(PlayerId, String),
    /// Give veto tokens.
    GrantVeto(PlayerId, u32),
    /// Open a vote; the answer is its id or every fault.
    OpenVote(Json, tokio::sync::oneshot::Sender<Result<VoteId, Vec<String>>>),
    /// The live state for an operator: JSON text.
    Describe(tokio::sync::oneshot::Sender<String>),
}

/// The actor.
pub struct MatchActor {
    realm: Arc<Realm>,
    ticker: Addr<Ticker>,
    stage: Stage,
    /// The game could not be built; said when the match opens.
    broken: Option<String>,
    card: Option<Arc<MatchCard>>,
    members: HashMap<PlayerId, Member>,
    crowd: Crowd,
    /// Open votes; ids sort by time, and so does what newcomers are shown.
    votes: BTreeMap<VoteId, VoteHandle>,
    /// Every vote it ever opened, to forget with the match.
    vote_ids: Vec<VoteId>,
    /// Open votes that the end waits for.
    finish_votes: Vec<VoteId>,
    frustration: Frustration,
    motions: Motions,
    /// Open votes that players called, with their rules.
    called: HashMap<VoteId, VoteConfig>,
    enrolled: bool,
    /// The result of a match whose open votes are being called off.
    last_word: Option<Json>,
    over: bool,
    started_ms: u64,
    everyone: Vec<PlayerId>,
    view: Vec<u8>,
    overflow_told_us: HashMap<PlayerId, u64>,
    /// The latest errors of its script, for operators.
    faults: VecDeque<ScriptFault>,
    meters: Arc<super::meters::ModeMeters>,
    own: super::meters::Durations,
    /// The first and the last wake: when each was due and when it came, monotonic microseconds.
    wakes: Option<[(u64, u64); 2]>,
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
        match_id: MatchId,
        mode_name: Arc<str>,
        mode: Arc<Mode>,
        seed: u64,
    ) -> Self {
        let meters = realm.meters.mode(&mode_name);
        let frustration = Frustration::new(mode.frustration_bonus_bp);
        let motions = Motions::new(&mode.motions, &realm.rules.motions, &realm.rules.vote_templates);
        let built = realm
            .build_game(&mode, seed)
            .and_then(|game| Stage::new(match_id, mode_name.clone(), mode.clone(), game, seed));
        let (stage, broken) = match built {
            Ok(stage) => (stage, None),
            Err(BuildError(why)) => {
                let quiet = Mode { votes: Vec::new(), ..(*mode).clone() };
                let stage = Stage::new(match_id, mode_name, Arc::new(quiet), Box::new(NoGame), seed)
                    .expect("a mode without votes has no fault in them");
                (stage, Some(why))
            }
        };
        Self {
            realm,
            ticker,
            stage,
            broken,
            card: None,
            members: HashMap::new(),
            crowd: Crowd::default(),
            votes: BTreeMap::new(),
            vote_ids: Vec::new(),
            finish_votes: Vec::new(),
            frustration,
            motions,
            called: HashMap::new(),
            enrolled: false,
            last_word: None,
            over: false,
            started_ms: 0,
            everyone: Vec::new(),
            view: Vec::new(),
            overflow_told_us: HashMap::new(),
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

    fn player_joined(&self, player: PlayerId) -> Frame {
        let player_count = Some(self.stage.roster.seats().len() as u32);
        says::PlayerJoined { match_id: self.stage.id, player_id: player, player_count }.push()
    }

    fn refuse(&self, outlet: &Outlet, cid: Option<&Cid>, refusal: Refusal) {
        self.realm.meters.refused(refusal.reason.row().word);
        outlet.push(&refusal.frame(cid, None));
    }

    fn update_card(&self) {
        if let Some(card) = &self.card {
            *card.state.lock() = CardState {
                phase: self.stage.phase(),
                players: self.stage.roster.seats().len() as u32,
                joinable: self.stage.joinable(),
            };
        }
    }

    fn tell_seated(&self, member: &Member, spectator: bool) {
        let Some(card) = &self.card else { return };
        // `do_send` on purpose: once per seat, and a session that is full must still learn where it sits.
        member.session.do_send(Seated {
            match_id: self.stage.id,
            mode: self.stage.mode_name.clone(),
            tick_hz: self.stage.mode.tick_hz,
            addr: card.addr.clone(),
            spectator,
            grace_s: self.stage.mode.reconnect.grace_s,
        });
    }

    /// Lets a member see everything from now on.
    fn admit(&mut self, member: Member, spectator: bool) {
        self.crowd.borrow_mut().retain(|(seen_by, _)| *seen_by != member.player);
        self.crowd.borrow_mut().push((member.player, member.outlet.clone()));
        self.tell_seated(&member, spectator);
        if let Some(card) = &self.card {
            // Another session may have taken over, or this one ended, while the join was on its way here.
            match self.realm.directory.member(member.player) {
                Some(now) if now.session_id != member.session_id => {
                    card.addr.do_send(PlayerBack { member: now, snapshot: true });
                }
                Some(_) => {}
                None => {
                    let leave = Leave { player: member.player, reason: Some("disconnected"), reply: None };
                    card.addr.do_send(leave);
                }
            }
        }
        if !spectator && !self.everyone.contains(&member.player) {
            self.everyone.push(member.player);
        }
        self.members.insert(member.player, member);
    }

    /// A member sees nothing more.
    fn dismiss(&mut self, player: PlayerId) -> Option<Member> {
        let member = self.members.remove(&player)?;
        // When the match is over, everybody still gets its last state and what its votes came to.
        if !self.over {
            self.crowd.borrow_mut().retain(|(seen_by, _)| *seen_by != player);
            member.outlet.clear_slot(SlotKind::MatchState, self.stage.id.as_u128());
            member.outlet.clear_slot(SlotKind::MatchAck, self.stage.id.as_u128());
        }
        self.realm.directory.release_seat(player, self.stage.id);
        member.session.do_send(Unseated { match_id: self.stage.id });
        Some(member)
    }

    /// What `match.joined` says.
    fn joined(&self, viewer: PlayerId) -> says::Joined {
        let stage = &self.stage;
        let now_ms = self.realm.clock.now_ms();
        let open_votes = self.votes.values().filter_map(|vote| vote.for_newcomer(viewer, now_ms)).collect();
        says::Joined {
            match_id: stage.id,
            mode: stage.mode_name.to_string(),
            status: stage.phase().word().into(),
            player_count: stage.roster.seats().len() as u32,
            max_players: stage.mode.players.max,
            players: stage.roster.players().to_vec(),
            listed: self.card.as_ref().is_some_and(|card| card.listed),
            joinable: stage.joinable(),
            tick_hz: stage.mode.tick_hz,
            open_votes,
            join_code: self
                .card
                .as_ref()
                .and_then(|card| card.join_code.as_deref())
                .filter(|_| stage.roster.is_seated(viewer))
                .map(str::to_owned),
            role: if stage.roster.is_spectator(viewer) { Role::Spectator } else { Role::Player },
        }
    }

    fn join(&mut self, join: Join, ctx: &mut Context<Self>) {
        let Join { member, cid, ctx: join_ctx, spectate, invited, promised } = join;
        let player = member.player;
        let outlet = member.outlet.clone();
        let already = self.stage.roster.is_seated(player) || (spectate && self.stage.roster.is_spectator(player));
        let outcome = if already {
            Ok(false)
        } else if self.over {
            Err(Refusal::from(Reason::MatchNotFound))
        } else if self.card.as_ref().is_some_and(|card| card.join_code.is_some()) && !invited {
            Err(Refusal::from(Reason::MatchPrivate))
        } else if spectate {
            self.spectate(player)
        } else {
            self.take_seat(player, join_ctx.as_deref())
        };
        if promised.is_some()
            && let Some(card) = &self.card
        {
            self.update_card();
            card.settle_promise();
        }
        match outcome {
            Ok(false) => {
                for (seen_by, outlet) in self.crowd.borrow_mut().iter_mut() {
                    if *seen_by == player {
                        *outlet = member.outlet.clone();
                    }
                }
                self.tell_seated(&member, self.stage.roster.is_spectator(player));
                self.members.insert(player, member);
                outlet.push(&self.joined(player).frame(cid.as_ref()));
            }
            Ok(true) => {
                self.admit(member, spectate);
                self.update_card();
                outlet.push(&self.joined(player).frame(cid.as_ref()));
                if !spectate {
                    self.push_others(player, &self.player_joined(player));
                    for vote in self.votes.values() {
                        vote.roster_changed(&self.stage.roster);
                    }
                }
                self.start_if_enough(ctx);
                self.carry_out(ctx);
            }
            Err(refusal) => match promised {
                // The match filled up or closed since it was promised: that is ours to solve, not the player's.
                Some(again)
                    if matches!(refusal.reason, Reason::MatchFull | Reason::MatchLocked | Reason::MatchNotFound) =>
                {
                    self.realm.lobby().do_send(FindAgain(again, self.stage.id));
                }
                _ => self.refuse(&outlet, cid.as_ref(), refusal),
            },
        }
    }

    fn spectate(&mut self, player: PlayerId) -> Result<bool, Refusal> {
        if self.stage.mode.spectators == 0 {
            return Err(Refusal::from(Reason::SpectatingDisabled));
        }
        self.realm.directory.claim_seat(player, self.stage.id).map_err(|_| Refusal::from(Reason::AlreadyInMatch))?;
        self.stage.roster.spectate(player).map(|()| true).map_err(|no_place| {
            if !self.stage.roster.is_seated(player) {
                self.realm.directory.release_seat(player, self.stage.id);
            }
            Refusal::from(match no_place {
                NoPlace::Full => Reason::MatchFull,
                NoPlace::AlreadyIn => Reason::AlreadyInMatch,
            })
        })
    }

    fn take_seat(&mut self, player: PlayerId, join_ctx: Option<&serde_json::value::RawValue>) -> Result<bool, Refusal> {
        if self.stage.roster.is_spectator(player) {
            return Err(Reason::AlreadyInMatch.into());
        }
        self.realm.directory.claim_seat(player, self.stage.id).map_err(|_| Refusal::from(Reason::AlreadyInMatch))?;
        let clock = self.realm.clock;
        self.stage.join(player, false, join_ctx, clock.now_us(), clock.unix_us()).map_err(|denied| {
            self.realm.directory.release_seat(player, self.stage.id);
            match denied {
                Denied::Over => Refusal::from(Reason::MatchNotFound),
                Denied::Full => Refusal::from(Reason::MatchFull),
                Denied::Locked => Refusal::from(Reason::MatchLocked),
                Denied::Refused(word) if word.is_empty() => Refusal::from(Reason::JoinRefused),
                Denied::Refused(word) => Reason::JoinRefused.with("refused_reason", word),
            }
        })
    }

    fn leave(&mut self, player: PlayerId, reason: Option<&str>, ctx: &mut Context<Self>) {
        let seated = self.stage.roster.is_seated(player);
        self.stage.leave(player, self.realm.clock.unix_us());
        self.gone(player, seated, reason);
        self.carry_out(ctx);
    }

    /// After a seat was freed: everybody learns it.
    fn gone(&mut self, player: PlayerId, seated: bool, reason: Option<&str>) {
        self.dismiss(player);
        self.update_card();
        if seated {
            let left = says::PlayerLeft {
                match_id: self.stage.id,
                player_id: player,
                reason: reason.map(|reason| reason.to_owned().into()),
                player_count: Some(self.stage.roster.seats().len() as u32),
            };
            self.push_everyone(&left.push());
            for vote in self.votes.values() {
                vote.roster_changed(&self.stage.roster);
            }
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
            enrolled: ctx.address().recipient(),
        });
    }

    /// Carries out what the stage asks for, until it asks for nothing more.
    fn carry_out(&mut self, ctx: &mut Context<Self>) {
        loop {
            let acts = self.stage.take();
            if acts.is_empty() {
                return;
            }
            for act in acts {
                match act {
                    Act::Started => {
                        self.started_ms = self.realm.clock.unix_ms();
                        self.meters.started.fetch_add(1, Relaxed);
                        let players = self.stage.roster.players().to_vec();
                        self.push_everyone(&says::Started { match_id: self.stage.id, players }.push());
                        self.update_card();
                    }
                    Act::OpenScheduled(i) => self.open_scheduled(i, ctx),
                    Act::Freed(player, reason) => {
                        self.gone(player, true, Some(&reason));
                    }
                    Act::WarnIdle(player) => {
                        if let Some(member) = self.members.get(&player) {
                            let left_ms = u64::from(self.stage.mode.idle_s) * 1_000;
                            let warning = serde_json::json!({"match_id": self.stage.id, "idle_ms_left": left_ms});
                            if let Some(frame) = own_event("idle_warning", &warning) {
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

    fn effect(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        let done = match effect {
            Effect::Broadcast { event, payload } => match says::event_frame(&event, &payload) {
                Ok(frame) => {
                    self.push_everyone(&frame);
                    true
                }
                Err(fault) => {
                    tracing::warn!(match_id = %self.stage.id, mode = %self.stage.mode_name, event, %fault, "a game's event was not sent");
                    false
                }
            },
            Effect::Send { to, module, message } => match self.members.get(&to) {
                Some(member) if message.get().len() <= EVENT_BYTES_MAX => {
                    member.outlet.push(&ModuleMessage { module: module.into(), message }.push());
                    true
                }
                _ => false,
            },
            Effect::OpenVote(config) => match self.open_vote(&config, ctx) {
                Ok(_) => true,
                Err(faults) => {
                    tracing::warn!(match_id = %self.stage.id, mode = %self.stage.mode_name, ?faults, "a game's vote was refused");
                    false
                }
            },
            Effect::CancelVote(vote_id) => match self.votes.get(&vote_id) {
                Some(vote) => {
                    vote.cancel("game");
                    true
                }
                None => false,
            },
            Effect::Kick { player, reason } => {
                let seated = self.stage.roster.is_seated(player);
                if seated {
                    let told = serde_json::json!({"match_id": self.stage.id, "reason": reason});
                    if let (Some(member), Some(frame)) = (self.members.get(&player), own_event("kicked", &told)) {
                        member.outlet.push(&frame);
                    }
                    self.leave(player, Some("kicked"), ctx);
                }
                seated
            }
            Effect::AddBots(count) => self.add_bots(count, ctx),
            Effect::RemoveBot(bot) => {
                let is_bot = self.stage.roster.seats().iter().any(|seat| seat.player == bot && seat.bot);
                if is_bot {
                    self.leave(bot, None, ctx);
                }
                is_bot
            }
            Effect::Chat { channel, content } => super::channels::say(&self.realm, &channel, &content),
            Effect::Notify { to, notification } => super::notifications::notify(&self.realm, &to, &notification),
            Effect::Backfill(seats) => {
                super::matchmaker::ask_backfill(&self.realm, self.card.as_ref(), seats);
                true
            }
            Effect::Log(line) => {
                tracing::info!(match_id = %self.stage.id, mode = %self.stage.mode_name, "game: {line}");
                true
            }
            Effect::Load { owner, collection, key } => {
                self.load(owner, collection, key, ctx);
                true
            }
            Effect::Store { owner, collection, key, value } => {
                let row = KvRow { key, value: value.get().into(), updated_unix_ms: self.realm.clock.unix_ms() };
                let match_id = self.stage.id;
                self.realm.store.kv_put(
                    scope(&self.stage.mode_name, owner, &collection),
                    row,
                    Box::new(move |stored| {
                        if let Err(error) = stored {
                            tracing::error!(%match_id, %error, "a game's value could not be stored");
                        }
                    }),
                );
                true
            }
            Effect::ScriptFault(fault) => {
                let ScriptFault { callback, file, line, message, traceback, over_budget, suppressed, .. } = &*fault;
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                tracing::warn!(
                    match_id = %self.stage.id, mode = %self.stage.mode_name, over_budget, suppressed,
                    "{file}{line}: {callback}: {message}\n{traceback}"
                );
                self.faults.push_back(*fault);
                while self.faults.len() > SCRIPT_FAULTS_KEPT_MAX {
                    self.faults.pop_front();
                }
                true
            }
            Effect::SetJoinable(_) | Effect::Finish(_) => true,
        };
        if !done {
            self.meters.effects_refused.fetch_add(1, Relaxed);
        }
        self.update_card();
    }

    /// Reads a stored value; the game hears of it in some later turn.
    fn load(&self, owner: Option<PlayerId>, collection: String, key: String, ctx: &Context<Self>) {
        let me = ctx.address();
        self.realm.store.kv_get(
            scope(&self.stage.mode_name, owner, &collection),
            key.clone(),
            Box::new(move |found| {
                let value = found.ok().flatten().and_then(|row| String::from_utf8(row.value).ok());
                // Bounded by what the game asked for; a match that is gone needs no answer.
                me.do_send(Loaded { owner, collection, key, value });
            }),
        );
    }

    /// Tells the game which votes are open.
    fn tell_open_votes(&mut self) {
        let open: Vec<_> = self
            .votes
            .values()
            .map(|vote| OpenVote { id: vote.vote_id().clone(), template: vote.template().to_owned() })
            .collect();
        self.stage.open_votes(&open);
    }

    fn add_bots(&mut self, count: u32, ctx: &mut Context<Self>) -> bool {
        let clock = self.realm.clock;
        let mut added = 0;
        while added < count && self.stage.roster.free() > 0 {
            let bot = self.realm.make(PlayerId::new);
            if self.stage.join(bot, true, None, clock.now_us(), clock.unix_us()).is_err() {
                break;
            }
            self.push_everyone(&self.player_joined(bot));
            added += 1;
        }
        self.update_card();
        self.start_if_enough(ctx);
        added == count
    }

    fn open_scheduled(&mut self, i: usize, ctx: &mut Context<Self>) {
        let Some(scheduled) = self.stage.mode.votes.get(i) else { return };
        let opened = serde_json::value::to_raw_value(&scheduled.vote)
            .map_err(|error| vec![error.to_string()])
            .and_then(|config| self.open_vote(&config, ctx));
        match opened {
            Ok(vote_id) if self.stage.is_ending() => self.finish_votes.push(vote_id),
            Ok(_) => {}
            Err(faults) => {
                tracing::warn!(match_id = %self.stage.id, mode = %self.stage.mode_name, ?faults, "a scheduled vote was refused");
                self.meters.effects_refused.fetch_add(1, Relaxed);
                if self.stage.is_ending() && self.finish_votes.is_empty() {
                    self.stage.finish_votes_closed();
                }
            }
        }
    }

    /// Opens a vote on this arbiter, or says every fault.
    fn open_vote(&mut self, config: &Json, ctx: &mut Context<Self>) -> Result<VoteId, Vec<String>> {
        self.open_asked(Asked::Written(config), ctx)
    }

    fn open_asked(&mut self, asked: Asked<'_>, ctx: &mut Context<Self>) -> Result<VoteId, Vec<String>> {
        if self.stage.phase() != Phase::Running {
            return Err(vec![format!("the match is {}, votes open while it is running", self.stage.phase().word())]);
        }
        if self.vote_ids.len() >= VOTES_PER_MATCH_MAX {
            return Err(vec![format!("a match holds at most {VOTES_PER_MATCH_MAX} votes")]);
        }
        let opened = open_vote(
            Opening {
                realm: &self.realm,
                match_id: self.stage.id,
                roster: &self.stage.roster,
                weigh: self.frustration.weigh(),
                open: self.votes.values().collect(),
                crowd: self.crowd.clone(),
                parent: ctx.address(),
                team_sizes: &self.stage.mode.matchmaking.teams,
            },
            asked,
        )?;
        let vote_id = opened.vote_id().clone();
        self.vote_ids.push(vote_id.clone());
        self.votes.insert(vote_id.clone(), opened);
        self.tell_open_votes();
        Ok(vote_id)
    }

    /// Opens a motion for a player, or says why not.
    fn call_vote(&mut self, call: &CallVote, ctx: &mut Context<Self>) -> Result<VoteId, Refusal> {
        match self.stage.phase() {
            Phase::Running => {}
            Phase::Paused => return Err(Reason::MatchPaused.into()),
            Phase::Waiting => return Err(Reason::MatchNotStarted.into()),
            Phase::Finished => return Err(Reason::NotInMatch.into()),
        }
        let seated: Vec<_> = self.stage.roster.seats().iter().map(|seat| seat.player).collect();
        let sizes = &self.stage.mode.matchmaking.teams;
        // Only a mode with teams has sides that could give up by themselves.
        let teams = if sizes.is_empty() { Teams::new() } else { teams_of(sizes, &seated) };
        let asked = Call {
            caller: call.player,
            name: &call.template,
            args: call.args.as_ref(),
            seated: &seated,
            teams: &teams,
        };
        let now_ms = self.realm.clock.now_ms();
        let open = |name: &str| self.votes.values().any(|vote| vote.template() == name);
        let called = self.motions.call(&asked, open, now_ms).map_err(|refusal| match refusal {
            CallRefusal::NotAllowed => Reason::VoteNotAllowed.into(),
            CallRefusal::Cooldown { retry_ms } => Reason::Cooldown.with("retry_ms", retry_ms),
            CallRefusal::AlreadyOpen => Reason::AlreadyOpen.into(),
            CallRefusal::BadArgs { field, expected } => Reason::InvalidField.with("field", field).with("expected", expected),
            CallRefusal::BadTemplate(faults) => {
                tracing::warn!(match_id = %self.stage.id, template = call.template, ?faults, "a motion cannot be opened");
                Reason::VoteNotAllowed.into()
            }
        })?;
        let vote_id = self.open_asked(Asked::Called(called.clone()), ctx).map_err(|faults| {
            tracing::warn!(match_id = %self.stage.id, template = call.template, ?faults, "a motion was refused");
            Refusal::from(Reason::VoteNotAllowed)
        })?;
        self.motions.opened(&called, now_ms);
        self.called.insert(vote_id.clone(), called.config);
        Ok(vote_id)
    }

    /// Does what a passed motion asks for.
    fn motion_passed(&mut self, passed: Passed, ctx: &mut Context<Self>) {
        match (passed.on_pass, passed.target) {
            (OnPass::Kick, Some(player)) => self.effect(Effect::Kick { player, reason: "voted_out".into() }, ctx),
            (OnPass::Surrender, _) => self.stage.cancel("surrendered"),
            // The game has heard of it through `vote_resolved`, and knows what to do.
            _ => {}
        }
    }

    /// Everybody learns the result, the record is written, the match is gone.
    fn finish(&mut self, result: Json, ctx: &mut Context<Self>) {
        if self.over {
            return;
        }
        if !self.votes.is_empty() {
            // A vote has its result before its match is over; `VoteOver` brings us back here.
            for vote in self.votes.values() {
                vote.cancel("match_over");
            }
            self.last_word = Some(result);
            return;
        }
        self.over = true;
        self.meters.finished.fetch_add(1, Relaxed);
        if let Some([first, last]) = self.wakes.filter(|[first, last]| last.0 > first.0) {
            let (asked, took) = (last.0 - first.0, last.1 - first.1);
            let off_ppb = u128::from(took.abs_diff(asked)) * 1_000_000_000 / u128::from(asked);
            let mut error = self.meters.period_error.lock();
            *error = (error.0 + 1, error.1 + off_ppb as u64);
        }
        self.emit_state();
        self.release_seats();
        self.push_everyone(&says::Finished { match_id: self.stage.id, result: result.clone() }.push());
        self.write_record(&result);
        self.clean_up();
        // Whoever asked while it ended is still answered, and cancelled votes have their result to tell.
        ctx.run_later(LINGER, |_, ctx| ctx.stop());
    }

    fn write_record(&self, result: &Json) {
        let now_ms = self.realm.clock.unix_ms();
        let created_ms = self.card.as_ref().map_or(now_ms, |card| card.created_ms);
        let status = serde_json::from_str::<Status>(result.get()).ok().and_then(|r| r.status);
        let record = MatchRow {
            id: self.stage.id,
            mode: self.stage.mode_name.to_string(),
            status: status.map_or_else(|| "finished".into(), |s| s.into_owned()),
            result: result.get().to_owned(),
            started_unix_ms: if self.started_ms > 0 { self.started_ms } else { created_ms },
            finished_unix_ms: now_ms,
        };
        let participants = self.everyone.iter().map(|player| self.part_of(*player)).collect();
        let match_id = self.stage.id;
        self.realm.store.finish_match(
            record,
            participants,
            Box::new(move |written| {
                if let Err(error) = written {
                    tracing::error!(%match_id, %error, "a finished match could not be recorded");
                }
            }),
        );
    }

    fn part_of(&self, player: PlayerId) -> ParticipantRow {
        let stayed = self.members.contains_key(&player);
        let outcome = if stayed { Outcome::Played } else { Outcome::Forfeited };
        ParticipantRow { player_id: player, bot: false, outcome, stats: None }
    }

    /// Before anybody hears that it is over: whoever hears may queue again at once.
    fn release_seats(&self) {
        for player in self.members.keys() {
            self.realm.directory.release_seat(*player, self.stage.id);
        }
    }

    /// Leaves nothing behind in directory, ticker or sessions.
    fn clean_up(&mut self) {
        self.ticker.do_send(Retire(self.stage.id));
        let players: Vec<_> = self.members.keys().copied().collect();
        for player in players {
            self.dismiss(player);
        }
        for vote_id in &self.vote_ids {
            self.realm.directory.remove_vote(vote_id);
        }
        self.update_card();
        if let Some(card) = &self.card {
            // A match that dies has not reached this phase by itself.
            card.state.lock().phase = Phase::Finished;
        }
        self.realm.directory.remove_match(self.stage.id);
        if self.stage.mode.matchmaking.backfill {
            super::matchmaker::ask_backfill(&self.realm, self.card.as_ref(), 0);
        }
    }

    /// Encodes the state once per distinct view and hands it out.
    fn emit_state(&mut self) {
        match self.stage.audience() {
            Audience::Shared => {
                self.view.clear();
                if self.stage.view(None, &mut self.view)
                    && let Some(frame) = says::state_frame(self.stage.id, &self.view)
                {
                    self.push_everyone(&frame);
                }
            }
            Audience::PerPlayer => {
                let crowd = self.crowd.clone();
                for (player, outlet) in crowd.borrow().iter() {
                    self.view.clear();
                    if self.stage.view(Some(*player), &mut self.view)
                        && let Some(frame) = says::state_frame(self.stage.id, &self.view)
                    {
                        outlet.push(&frame);
                    }
                }
            }
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

/// Where a game's stored values live: apart by mode, and by player where they are one's own.
fn scope(mode: &str, owner: Option<PlayerId>, collection: &str) -> String {
    match owner {
        Some(player) => format!("player:{player}:{mode}:{collection}"),
        None => format!("game:{mode}:{collection}"),
    }
}

/// A value that a game asked for.
#[derive(Message)]
#[rtype(result = "()")]
struct Loaded {
    owner: Option<PlayerId>,
    collection: String,
    key: String,
    value: Option<String>,
}

impl Handler<Loaded> for MatchActor {
    type Result = ();

    fn handle(&mut self, loaded: Loaded, ctx: &mut Context<Self>) {
        let Loaded { owner, collection, key, value } = loaded;
        let value = value.and_then(|text| serde_json::value::RawValue::from_string(text).ok());
        self.stage.loaded(owner, &collection, &key, value.as_deref(), self.realm.clock.unix_us());
        self.carry_out(ctx);
    }
}

/// `match.matchmaker_failed`.
fn failed(reason: &'static str) -> Frame {
    Failed { reason: reason.into() }.push()
}

/// An event of the server's own that is not one of the protocol's: clients read it as a game's.
fn own_event(leaf: &str, payload: &serde_json::Value) -> Option<Frame> {
    serde_json::value::to_raw_value(payload).ok().and_then(|payload| says::event_frame(leaf, &payload).ok())
}

/// How long a match (or a vote) that is over still answers those who asked before they knew.
pub(super) const LINGER: std::time::Duration = std::time::Duration::from_secs(5);

/// The part of a result that a record's status is taken from.
#[derive(serde::Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    status: Option<std::borrow::Cow<'a, str>>,
}

impl Actor for MatchActor {
    type Context = Context<Self>;
}

/// A match that ended in order has nothing left to do here. One that died of a panic tells its players and leaves the
/// directory clean; this runs while unwinding, so it must not panic itself.
impl Drop for MatchActor {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.over = true;
        self.meters.died.fetch_add(1, Relaxed);
        for vote in self.votes.values() {
            vote.cancel("match_died");
        }
        self.release_seats();
        if let Ok(result) = serde_json::value::RawValue::from_string(r#"{"status":"died"}"#.into()) {
            self.push_everyone(&says::Finished { match_id: self.stage.id, result: result.clone() }.push());
            self.write_record(&result);
        }
        self.clean_up();
    }
}

impl Handler<Open> for MatchActor {
    type Result = ();

    fn handle(&mut self, open: Open, ctx: &mut Context<Self>) {
        self.card = Some(open.card);
        let waiting = open.matched;
        let wanted = waiting.len();
        if let Some(why) = self.broken.take() {
            tracing::error!(match_id = %self.stage.id, mode = %self.stage.mode_name, %why, "a match's game could not be built");
            for member in &waiting {
                member.outlet.push(&failed("game_unavailable"));
            }
            self.stage.cancel("game_unavailable");
            self.carry_out(ctx);
            return;
        }
        self.seat_group(waiting, ctx);
        if open.bots > 0 {
            self.add_bots(open.bots, ctx);
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
}

impl MatchActor {
    /// Seats a group that the matchmaker made; each hears of the match before its first state.
    fn seat_group(&mut self, mut group: Vec<Member>, ctx: &mut Context<Self>) {
        // Seats first, so that everybody is told of the same group.
        group.retain(|member| match self.take_seat(member.player, None) {
            // Who had joined by themselves meanwhile is in already.
            Ok(newly) => newly,
            Err(refusal) => {
                member.outlet.push(&failed(refusal.reason.row().word));
                false
            }
        });
        let players = self.stage.roster.players().to_vec();
        let frames = says::Matched { match_id: self.stage.id, players }.frames();
        // Whoever was there before hears of each newcomer; the newcomers hear of one another by `match.matched`.
        let before: Vec<_> = self.crowd.borrow().iter().map(|(_, outlet)| outlet.clone()).collect();
        for member in group {
            let (player, outlet) = (member.player, member.outlet.clone());
            let joined = self.player_joined(player);
            for outlet in &before {
                outlet.push(&joined);
            }
            self.admit(member, false);
            outlet.push_all(&frames);
        }
        for vote in self.votes.values() {
            vote.roster_changed(&self.stage.roster);
        }
        self.update_card();
        self.start_if_enough(ctx);
        self.carry_out(ctx);
    }
}

impl Handler<Reinforce> for MatchActor {
    type Result = ();

    fn handle(&mut self, Reinforce(group): Reinforce, ctx: &mut Context<Self>) {
        if self.over {
            for member in &group {
                member.outlet.push(&failed(Reason::MatchNotFound.row().word));
            }
            return;
        }
        self.seat_group(group, ctx);
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
        let clock = self.realm.clock;
        let begun_us = clock.now_us();
        let Some(due) = self.stage.due(begun_us) else { return };
        let late_us = begun_us.saturating_sub(due.scheduled_us);
        self.meters.lateness.record(late_us);
        self.own.record(late_us);
        let wake = (due.scheduled_us, begun_us);
        self.wakes = Some([self.wakes.map_or(wake, |[first, _]| first), wake]);
        self.meters.ticks.fetch_add(due.run.into(), Relaxed);
        self.meters.skipped.fetch_add(due.skipped, Relaxed);
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
        self.meters.emit.record(clock.now_us() - begun_us);
    }
}

impl Handler<Join> for MatchActor {
    type Result = ();

    fn handle(&mut self, join: Join, ctx: &mut Context<Self>) {
        self.join(join, ctx);
    }
}

impl Handler<Leave> for MatchActor {
    type Result = ();

    fn handle(&mut self, leave: Leave, ctx: &mut Context<Self>) {
        if let Some((outlet, cid)) = &leave.reply {
            // Answered before others hear of it, and before the session forgets the match; the seat is free by then.
            self.realm.directory.release_seat(leave.player, self.stage.id);
            outlet.clear_slot(SlotKind::MatchState, self.stage.id.as_u128());
            outlet.push(&says::Left::default().frame(cid.as_ref()));
        }
        self.leave(leave.player, leave.reason, ctx);
    }
}

impl Handler<PlayerInput> for MatchActor {
    type Result = ();

    fn handle(&mut self, message: PlayerInput, _: &mut Context<Self>) {
        let player = message.input.player;
        let now_us = self.realm.clock.now_us();
        let max = self.realm.rules.limits.inputs_per_player_max;
        if self.stage.input(message.input, max, now_us) == Some(Pushed::DroppedOldest) {
            self.meters.inputs_dropped.fetch_add(1, Relaxed);
            let told_us = self.overflow_told_us.entry(player).or_insert(0);
            if *told_us == 0 || now_us - *told_us >= 1_000_000 {
                *told_us = now_us;
                let refusal = Refusal::from(Reason::InputOverflow);
                self.realm.meters.refused(refusal.reason.row().word);
                message.outlet.push(&refusal.frame(message.cid.as_ref(), Some("match.input")));
            }
        }
    }
}

impl Handler<PlayerAway> for MatchActor {
    type Result = ();

    fn handle(&mut self, PlayerAway(player): PlayerAway, _: &mut Context<Self>) {
        if self.stage.roster.set_present(player, false, self.realm.clock.now_us()) {
            let grace_ms = u64::from(self.stage.mode.reconnect.grace_s) * 1_000;
            let away =
                says::PlayerDisconnected { match_id: self.stage.id, player_id: player, grace_ms: Some(grace_ms) };
            self.push_others(player, &away.push());
            for vote in self.votes.values() {
                vote.roster_changed(&self.stage.roster);
            }
        }
    }
}

impl Handler<PlayerBack> for MatchActor {
    type Result = ();

    fn handle(&mut self, PlayerBack { member, snapshot }: PlayerBack, _: &mut Context<Self>) {
        let player = member.player;
        if self.over || (!self.stage.roster.is_seated(player) && !self.stage.roster.is_spectator(player)) {
            if snapshot {
                member.outlet.push(&Snapshot::default().push());
            }
            return;
        }
        if snapshot {
            member.outlet.push(&Snapshot { matches: vec![self.joined(player)], ..Snapshot::default() }.push());
        }
        for (seen_by, outlet) in self.crowd.borrow_mut().iter_mut() {
            if *seen_by == player {
                *outlet = member.outlet.clone();
            }
        }
        self.tell_seated(&member, self.stage.roster.is_spectator(player));
        self.members.insert(player, member);
        if self.stage.roster.set_present(player, true, self.realm.clock.now_us()) {
            self.push_others(player, &says::PlayerResumed { match_id: self.stage.id, player_id: player }.push());
            for vote in self.votes.values() {
                vote.roster_changed(&self.stage.roster);
            }
        }
    }
}

impl Handler<SpendVeto> for MatchActor {
    type Result = ();

    fn handle(&mut self, mut spend: SpendVeto, _: &mut Context<Self>) {
        match self.votes.get(&spend.vote_id) {
            Some(vote) => {
                // The vote answers; a token that buys nothing comes back as `RefundVeto`.
                spend.held = self.stage.roster.veto_tokens.hold(spend.player);
                vote.veto(spend);
            }
            None => self.refuse(&spend.outlet, spend.cid.as_ref(), Reason::VoteClosed.into()),
        }
    }
}

impl Handler<CallVote> for MatchActor {
    type Result = ();

    fn handle(&mut self, call: CallVote, ctx: &mut Context<Self>) {
        match self.call_vote(&call, ctx) {
            Ok(vote_id) => call.outlet.push(&crate::wire::votes::Called { vote_id }.frame(call.cid.as_ref())),
            Err(refusal) => self.refuse(&call.outlet, call.cid.as_ref(), refusal),
        }
    }
}

impl Handler<RefundVeto> for MatchActor {
    type Result = ();

    fn handle(&mut self, RefundVeto(player): RefundVeto, _: &mut Context<Self>) {
        self.stage.roster.veto_tokens.free(player);
    }
}

impl Handler<VoteOver> for MatchActor {
    type Result = ();

    fn handle(&mut self, over: VoteOver, ctx: &mut Context<Self>) {
        self.votes.remove(&over.vote_id);
        if self.over {
            return;
        }
        if self.votes.is_empty()
            && let Some(result) = self.last_word.take()
        {
            self.finish(result, ctx);
            return;
        }
        self.tell_open_votes();
        if let Some(config) = self.called.remove(&over.vote_id) {
            let passed = matches!(over.outcome, VoteEnd::Result { passed: Some(_), .. });
            self.motions.closed(&config, passed, self.realm.clock.now_ms());
        }
        let unix_us = self.realm.clock.unix_us();
        match over.outcome {
            VoteEnd::Result { result, moods, passed } => {
                self.frustration.remember(&moods);
                self.stage.vote_resolved(&over.template, &result, unix_us);
                if let Some(passed) = passed {
                    self.motion_passed(passed, ctx);
                }
            }
            VoteEnd::Vetoed(by) => self.stage.vote_vetoed(&over.template, by, unix_us),
        }
        let awaited = self.finish_votes.len();
        self.finish_votes.retain(|vote_id| *vote_id != over.vote_id);
        if awaited > 0 && self.finish_votes.is_empty() {
            self.stage.finish_votes_closed();
        }
        self.carry_out(ctx);
    }
}

impl Handler<Command> for MatchActor {
    type Result = ();

    fn handle(&mut self, command: Command, ctx: &mut Context<Self>) {
        match command {
            Command::End(status) => {
                self.stage.cancel(&status);
                self.carry_out(ctx);
            }
            Command::Pause => {
                if self.stage.pause() {
                    for vote in self.votes.values() {
                        vote.pause();
                    }
                    self.update_card();
                }
            }
            Command::Resume => {
                if self.stage.resume(self.realm.clock.now_us()) {
                    for vote in self.votes.values() {
                        vote.resume();
                    }
                    self.update_card();
                }
            }
            Command::SetJoinable(joinable) => {
                self.stage.set_joinable(joinable);
                self.update_card();
            }
            Command::Kick(player, reason) => {
                self.effect(Effect::Kick { player, reason }, ctx);
            }
            Command::GrantVeto(player, tokens) => self.stage.roster.veto_tokens.grant(player, tokens),
            Command::OpenVote(config, answer) => {
                let _ = answer.send(self.open_vote(&config, ctx));
            }
            Command::Describe(answer) => {
                let _ = answer.send(self.describe());
            }
        }
    }
}

impl MatchActor {
    /// The match as an operator sees it, JSON text.
    fn describe(&mut self) -> String {
        self.view.clear();
        let state = if self.stage.audience() == Audience::Shared && self.stage.view(None, &mut self.view) {
            std::str::from_utf8(&self.view).ok().and_then(|text| serde_json::from_str::<Json>(text).ok())
        } else {
            None
        };
        let roster = &self.stage.roster;
        let players: Vec<_> = roster
            .seats()
            .iter()
            .map(|seat| {
                serde_json::json!({
                    "player_id": seat.player, "bot": seat.bot, "present": seat.present,
                    "veto_tokens": roster.veto_tokens.left(seat.player),
                })
            })
            .collect();
        serde_json::json!({
            "match_id": self.stage.id,
            "mode": *self.stage.mode_name,
            "status": self.stage.phase().word(),
            "tick": self.stage.tick(),
            "tick_hz": self.stage.mode.tick_hz,
            "joinable": self.stage.joinable(),
            "players": players,
            "spectators": roster.spectators(),
            "lateness": self.own.summary(),
            "skipped": self.stage.skipped(),
            "inputs_dropped": self.stage.inputs_dropped(),
            "votes": self.votes.keys().collect::<Vec<_>>(),
            "script_faults": self
                .faults
                .iter()
                .map(|fault| serde_json::json!({
                    "callback": fault.callback, "file": fault.file, "line": fault.line, "message": fault.message,
                    "traceback": fault.traceback, "over_budget": fault.over_budget,
                }))
                .collect::<Vec<_>>(),
            "state": state,
        })
        .to_string()
    }
}
