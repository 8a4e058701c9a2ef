//! A vote's shell: casts in, the engine's [`Vote`] changes, frames out. It lives beside its match on the same arbiter
//! and pushes to the match's crowd directly. When it dies, its drop closes it as cancelled: the match goes on.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix::prelude::*;
use rand::Rng;

use super::matches::{Crowd, Farewell, MatchActor, RefundVeto, SpendVeto, VoteEnd, VoteOver};
use super::outlet::Outlet;
use super::realm::Realm;
use crate::engine::matches::roster::Roster;
use crate::engine::modes::Json;
use crate::engine::votes::audit::Hash;
use crate::engine::votes::frustration::Moods;
use crate::engine::votes::motions::Called;
use crate::engine::votes::parts::RecordParts;
use crate::engine::votes::pools::Weigh;
use crate::engine::votes::told::{Closed, Vetoed, VoteEffect, VoteView};
use crate::engine::votes::veto::VetoRefusal;
use crate::engine::votes::vote::Viewer;
use crate::engine::votes::{BallotInput, CastRefusal, Fault, Vote, VoteConfig, VoteOpen};
use crate::ids::{MatchId, PlayerId, VoteId};
use crate::limits::{RECORD_WAIT_MS, VOTE_LINGER_MS};
use crate::store::rows::{AuditText, VoteRow};
use crate::wire::frame::Lane;
use crate::wire::votes as says;
use crate::wire::{Cid, Frame, Outbound, Reason, Refusal};

/// A ballot of a player in the match.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Cast {
    /// Who.
    pub voter: PlayerId,
    /// Where the answer goes.
    pub outlet: Arc<Outlet>,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// What.
    pub ballot: BallotInput,
    /// When the server received it, monotonic milliseconds.
    pub received_ms: u64,
}

/// Somebody asks for the proof that a receipt is in the tally.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Prove {
    /// Where the answer goes.
    pub outlet: Arc<Outlet>,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// The receipt.
    pub receipt: Hash,
}

/// What the match tells its votes.
#[derive(Message)]
#[rtype(result = "()")]
enum FromMatch {
    /// Who sits there now, and who of them is connected.
    Roster(Vec<(PlayerId, bool)>, Vec<PlayerId>),
    Pause,
    Resume,
    Cancel(String),
    /// The match died; what is left of it waits for this vote's result.
    Died(Arc<Farewell>),
    Veto(SpendVeto),
}

/// What an operator may ask of an open vote.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Oversee {
    /// Call it off; the result says why.
    Cancel(String),
    /// How it stands, JSON text. Of a hidden vote an operator learns how many have cast, and no more.
    Describe(tokio::sync::oneshot::Sender<String>),
}

/// A vote as its match holds it.
pub struct VoteHandle {
    vote_id: VoteId,
    template: String,
    concurrent: bool,
    addr: Addr<VoteActor>,
    vote: Rc<RefCell<Vote>>,
}

impl VoteHandle {
    /// Its name.
    pub fn vote_id(&self) -> &VoteId {
        &self.vote_id
    }

    /// Its template.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Tells it who is there now.
    pub fn roster_changed(&self, roster: &Roster) {
        let humans = roster.seats().iter().filter(|seat| !seat.bot);
        let seats = humans.map(|seat| (seat.player, seat.present)).collect();
        self.tell(FromMatch::Roster(seats, roster.spectators().to_vec()));
    }

    /// Stops its clock.
    pub fn pause(&self) {
        self.tell(FromMatch::Pause);
    }

    /// Starts its clock again.
    pub fn resume(&self) {
        self.tell(FromMatch::Resume);
    }

    /// Calls it off; the result says why.
    pub fn cancel(&self, reason: &str) {
        self.tell(FromMatch::Cancel(reason.to_owned()));
    }

    /// The match died: the vote is called off, and lets go of what is left of it when its result is said.
    pub fn outlive(&self, farewell: Arc<Farewell>) {
        self.tell(FromMatch::Died(farewell));
    }

    /// Passes on a veto for which a token is held; the vote answers the player.
    pub fn veto(&self, spend: SpendVeto) {
        self.tell(FromMatch::Veto(spend));
    }

    /// What somebody who comes in is shown of it.
    pub fn view(&self, viewer: Viewer, now_ms: u64) -> Option<VoteView> {
        // Borrowed only while the vote's own handler runs, which is never at the same time on one thread; a vote that
        // died holding it is shown to nobody.
        let vote = self.vote.try_borrow().ok().filter(|vote| !vote.closed())?;
        // This runs in the match: a fault of the vote must not be the end of it.
        catch_unwind(AssertUnwindSafe(|| vote.view(viewer, now_ms))).ok()
    }

    /// As [`Self::view`], ready for `open_votes`.
    pub fn for_newcomer(&self, viewer: PlayerId, now_ms: u64) -> Option<Json> {
        self.view(Viewer::Member(viewer), now_ms).and_then(|view| serde_json::value::to_raw_value(&view).ok())
    }

    /// `do_send` on purpose: same thread, a few messages per roster change, and none of them may be lost.
    fn tell(&self, message: FromMatch) {
        self.addr.do_send(message);
    }
}

/// What a vote is opened with.
pub struct Opening<'a> {
    /// Everything shared.
    pub realm: &'a Arc<Realm>,
    /// The match.
    pub match_id: MatchId,
    /// Who is in it.
    pub roster: &'a Roster,
    /// What lost votes add to ballots.
    pub weigh: Weigh,
    /// Votes that are open now.
    pub open: Vec<&'a VoteHandle>,
    /// Who sees it.
    pub crowd: Crowd,
    /// Whom it tells when it is over.
    pub parent: Addr<MatchActor>,
}

/// Where a vote's rules come from.
#[expect(clippy::large_enum_variant, reason = "made once per vote and taken apart at once")]
pub enum Asked<'a> {
    /// A game, a mode or an operator wrote them.
    Written(&'a Json),
    /// A player called one of the mode's motions.
    Called(Called),
}

fn say(faults: Vec<Fault>) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// Opens a vote on this thread, or says every fault.
pub fn open_vote(opening: Opening<'_>, asked: Asked<'_>) -> Result<VoteHandle, Vec<String>> {
    let Opening { realm, match_id, roster, weigh, open, crowd, parent } = opening;
    let (config, electorate, called_by, args) = match asked {
        Asked::Written(json) => {
            (VoteConfig::from_json(json.get(), &realm.vote_templates()).map_err(say)?, None, None, None)
        }
        Asked::Called(call) => (call.config, call.electorate, Some(call.called_by), call.args),
    };
    let template = config.template.clone();
    if let Some(other) =
        open.iter().find(|other| other.template == template && !(config.concurrent && other.concurrent))
    {
        return Err(vec![format!(
            "template {template:?} is open already as {}; set concurrent to allow more",
            other.vote_id
        )]);
    }
    let (seed, secret, fresh) = realm.make(|now_ms, rng| {
        let (mut seed, mut secret) = ([0; 32], [0; 32]);
        rng.fill_bytes(&mut seed);
        rng.fill_bytes(&mut secret);
        (seed, secret, VoteId::new(now_ms, rng))
    });
    let vote_id = config.vote_id.clone().unwrap_or(fresh);
    if realm.directory.has_vote(&vote_id) {
        return Err(vec![format!("vote_id {vote_id} is taken")]);
    }
    let present = roster.seats().iter().filter(|seat| seat.present).map(|seat| seat.player).collect();
    let mut humans: Vec<_> = roster.seats().iter().filter(|seat| !seat.bot).map(|seat| seat.player).collect();
    if let Some(electorate) = &electorate {
        humans.retain(|player| electorate.contains(player));
    }
    let concurrent = config.concurrent;
    let clock = realm.clock;
    let opened = VoteOpen {
        config,
        vote_id: vote_id.clone(),
        match_id: Some(match_id),
        seed,
        secret,
        eligible: humans,
        present,
        spectators: roster.spectators().to_vec(),
        teams: roster.teams(),
        weigh,
        called_by,
        args,
        now_ms: clock.now_ms(),
        unix_ms: clock.unix_ms(),
    };
    let opened_unix_ms = opened.unix_ms;
    let visibility = serde_json::to_value(opened.config.visibility)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default();
    let (vote, effects) = Vote::open(opened).map_err(say)?;
    let vote = Rc::new(RefCell::new(vote));
    let mut actor = VoteActor {
        realm: realm.clone(),
        match_id,
        vote_id: vote_id.clone(),
        template: template.clone(),
        visibility,
        opened_unix_ms,
        vote: vote.clone(),
        crowd,
        parent,
        timer: None,
        seats: roster.seats().iter().filter(|seat| !seat.bot).map(|seat| (seat.player, seat.present)).collect(),
        ending: None,
        farewell: None,
        over: false,
        lingers: false,
    };
    // Known before it is announced: a player on another thread may cast as soon as the start is out, and that cast
    // waits in the mailbox until the start has gone to everyone. Two matches may race for one name: one of them wins.
    let mut ctx = Context::new();
    let addr = ctx.address();
    if !realm.directory.add_vote(vote_id.clone(), match_id, addr.clone()) {
        actor.over = true;
        return Err(vec![format!("vote_id {vote_id} is taken")]);
    }
    realm.meters.votes_opened.fetch_add(1, Relaxed);
    actor.carry_out(effects, &mut ctx);
    ctx.run(actor);
    Ok(VoteHandle { vote_id, template, concurrent, addr, vote })
}

/// The actor.
pub struct VoteActor {
    realm: Arc<Realm>,
    match_id: MatchId,
    vote_id: VoteId,
    template: String,
    visibility: String,
    opened_unix_ms: u64,
    vote: Rc<RefCell<Vote>>,
    crowd: Crowd,
    parent: Addr<MatchActor>,
    timer: Option<(u64, SpawnHandle)>,
    /// Who sat there when the match last said so, and whether they were connected.
    seats: Vec<(PlayerId, bool)>,
    /// What is said of its end, as soon as the store has it.
    ending: Option<(Frame, VoteEnd)>,
    /// What is left of a match that died, until the result is said.
    farewell: Option<Arc<Farewell>>,
    over: bool,
    /// Whether it is over and waits for the last stragglers.
    lingers: bool,
}

impl VoteActor {
    fn push_everyone(&self, frame: &Frame) {
        for (_, outlet) in self.crowd.borrow().iter() {
            outlet.push(frame);
        }
    }

    fn clear_tally(&self) {
        if let Lane::Latest(kind, key) = says::tally_lane(&self.vote_id) {
            for (_, outlet) in self.crowd.borrow().iter() {
                outlet.clear_slot(kind, key);
            }
        }
    }

    /// Lets the engine's vote do something and sees to what comes of it.
    fn act(&mut self, ctx: &mut Context<Self>, act: impl FnOnce(&mut Vote, u64, &mut Vec<VoteEffect>)) {
        let mut effects = Vec::new();
        act(&mut self.vote.borrow_mut(), self.realm.clock.now_ms(), &mut effects);
        self.carry_out(effects, ctx);
        self.sleep(ctx);
    }

    fn carry_out(&mut self, effects: Vec<VoteEffect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                VoteEffect::Started(start) => self.push_everyone(&says::said("match.vote_start", &start)),
                VoteEffect::Tally(tally) => {
                    self.push_everyone(&says::said("match.vote_tally", &tally).on(says::tally_lane(&self.vote_id)));
                }
                VoteEffect::Deadline(deadline) => self.push_everyone(&says::said("match.vote_deadline", &deadline)),
                VoteEffect::Turn(turn) => self.push_everyone(&says::said("match.vote_turn", &turn)),
                VoteEffect::Closed(closed) => {
                    let Closed { result, payload, record, moods, passed } = *closed;
                    self.record(result.status.word(), &payload, record, ctx);
                    let frame = says::result_frame(&payload);
                    let Ok(result) = serde_json::value::RawValue::from_string(payload.to_string()) else { continue };
                    self.ending = Some((frame, VoteEnd::Result { result, moods, passed }));
                }
                VoteEffect::Vetoed(vetoed) => {
                    let Vetoed { push, payload, record } = *vetoed;
                    self.record("vetoed", &payload, record, ctx);
                    let frame = says::said("match.vote_vetoed", &push);
                    self.ending = Some((frame, VoteEnd::Vetoed(push.vetoed_by)));
                }
            }
        }
    }

    /// Everything the result was derived from goes to the store. The result is said when it is there: whoever has heard
    /// it will find it, whatever happens to this process next. A store that does not answer holds nobody up for long.
    ///
    /// Writing a thousand ballots out takes longer than a tick may wait, so the store's thread does that.
    fn record(&mut self, status: &str, payload: &str, record: RecordParts, ctx: &mut Context<Self>) {
        self.clear_tally();
        self.realm.directory.close_vote(&self.vote_id);
        let me = ctx.address();
        // Once per vote.
        self.keep(status, payload, Box::new(move || record.write().to_json()), move || me.do_send(Recorded));
        ctx.run_later(Duration::from_millis(RECORD_WAIT_MS), |this, ctx| {
            if this.ending.is_some() {
                tracing::error!(vote_id = %this.vote_id, "a vote's result is said before its record is known to be kept");
            }
            this.announce(ctx);
        });
    }

    /// `kept` is called when the store has the row, or said that it will not; perhaps on a thread of its own.
    fn keep(&self, status: &str, payload: &str, audit: AuditText, kept: impl FnOnce() + Send + 'static) {
        let row = VoteRow {
            id: self.vote_id.clone(),
            match_id: self.match_id,
            template: self.template.clone(),
            status: status.to_owned(),
            visibility: self.visibility.clone(),
            opened_unix_ms: self.opened_unix_ms,
            closed_unix_ms: self.realm.clock.unix_ms(),
            record: payload.to_owned(),
        };
        let vote_id = self.vote_id.clone();
        let written = move |written: Result<bool, _>| {
            if let Err(error) = written {
                tracing::error!(%vote_id, %error, "a vote's record could not be written");
            }
            kept();
        };
        self.realm.store.record_vote(row, audit, Box::new(written));
    }

    /// Everybody learns how it ended.
    fn announce(&mut self, ctx: &mut Context<Self>) {
        if let Some((frame, outcome)) = self.ending.take() {
            self.tell_match(outcome);
            self.push_everyone(&frame);
            self.farewell = None;
            self.sleep(ctx);
        }
    }

    /// Told before the players are, so that whatever one of them does next finds the vote over; the match hears it
    /// after this handler, so what follows from the vote is still seen after its result.
    fn tell_match(&mut self, outcome: VoteEnd) {
        self.over = true;
        self.realm.meters.votes_closed.fetch_add(1, Relaxed);
        self.realm.directory.close_vote(&self.vote_id);
        // `do_send` on purpose: once per vote, same thread.
        self.parent.do_send(VoteOver { vote_id: self.vote_id.clone(), template: self.template.clone(), outcome });
    }

    /// Sets the one timer to when the engine wants to be looked at; a vote that is over stops soon.
    fn sleep(&mut self, ctx: &mut Context<Self>) {
        if self.over {
            // A cast that found the vote open in the directory may still be on its way here; it is owed its answer.
            if !std::mem::replace(&mut self.lingers, true) {
                ctx.run_later(Duration::from_millis(VOTE_LINGER_MS), |_, ctx| ctx.stop());
            }
            return;
        }
        let next = self.vote.borrow().next_deadline_ms();
        if next == self.timer.as_ref().map(|(at, _)| *at) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(at) = next {
            let wait = Duration::from_millis(at.saturating_sub(self.realm.clock.now_ms()));
            let timer = ctx.run_later(wait, |this, ctx| {
                this.timer = None;
                this.act(ctx, |vote, now_ms, effects| vote.poll(now_ms, effects));
            });
            self.timer = Some((at, timer));
        }
    }

    fn refuse(&self, outlet: &Outlet, cid: Option<&Cid>, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        self.realm.meters.refused(refusal.reason.row().code);
        outlet.push(&refusal.frame(cid, None));
    }
}

impl Actor for VoteActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(crate::limits::MAILBOX_MESSAGES_MAX);
        self.sleep(ctx);
    }
}

/// A vote that ended in order has nothing left to do here. One that died of a panic, or whose match did, is closed as
/// cancelled, so that nobody waits for it; this may run while unwinding, so it must not panic itself.
impl Drop for VoteActor {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if let Some((frame, outcome)) = self.ending.take() {
            self.push_everyone(&frame);
            return self.tell_match(outcome);
        }
        self.realm.meters.votes_died.fetch_add(1, Relaxed);
        self.clear_tally();
        let (payload, audit) = self.called_off().unwrap_or_else(|| {
            let payload = serde_json::json!({
                "vote_id": self.vote_id, "template": self.template, "status": "cancelled", "winner": null, "winners": [],
                "counts": {}, "distribution": {}, "total_votes": 0, "counted": 0, "turnout": 0.0, "tie_broken": false,
                "reason": DIED, "seed": "", "ballots_root": "",
            });
            // What a recount would need is lost with it.
            (payload.to_string(), Box::new(|| "null".to_owned()))
        });
        // Nobody is left to wait for the record.
        self.keep("cancelled", &payload, audit, || ());
        self.push_everyone(&says::result_frame(&payload));
        if let Ok(result) = serde_json::value::RawValue::from_string(payload) {
            self.tell_match(VoteEnd::Result { result, moods: Moods::default(), passed: None });
        }
    }
}

/// Why a vote says that it was called off when it died.
const DIED: &str = "failed";

impl VoteActor {
    /// The result of a vote that died, and its audit, if the engine's vote is still good for them.
    fn called_off(&self) -> Option<(String, AuditText)> {
        let mut vote = self.vote.try_borrow_mut().ok()?;
        let mut effects = Vec::new();
        let now_ms = self.realm.clock.now_ms();
        // What broke it once may break it again.
        catch_unwind(AssertUnwindSafe(|| vote.cancel(DIED, now_ms, &mut effects))).ok()?;
        effects.into_iter().find_map(|effect| match effect {
            VoteEffect::Closed(closed) => {
                let Closed { payload, record, .. } = *closed;
                let audit: AuditText = Box::new(move || record.write().to_json());
                Some((payload.to_string(), audit))
            }
            _ => None,
        })
    }
}

/// The store has the record of the vote, or said that it will not.
#[derive(Message)]
#[rtype(result = "()")]
struct Recorded;

impl Handler<Recorded> for VoteActor {
    type Result = ();

    fn handle(&mut self, _: Recorded, ctx: &mut Context<Self>) {
        self.announce(ctx);
    }
}

impl Handler<Cast> for VoteActor {
    type Result = ();

    fn handle(&mut self, cast: Cast, ctx: &mut Context<Self>) {
        let mut effects = Vec::new();
        let answer = self.vote.borrow_mut().cast(
            cast.voter,
            cast.cid.as_ref().map(Cid::as_json),
            cast.ballot,
            cast.received_ms,
            self.realm.clock.now_ms(),
            &mut effects,
        );
        // The answer first: no tally may count a cast before its caster knows.
        match answer {
            Ok(ok) => {
                cast.outlet.push(&says::CastOk::new(ok.receipt.to_string(), ok.revision).frame(cast.cid.as_ref()));
            }
            Err(refusal) => self.refuse(&cast.outlet, cast.cid.as_ref(), refused(&refusal)),
        }
        self.carry_out(effects, ctx);
        self.sleep(ctx);
    }
}

impl Handler<Prove> for VoteActor {
    type Result = ();

    fn handle(&mut self, ask: Prove, _: &mut Context<Self>) {
        let proof = self.vote.borrow().verify(ask.receipt);
        match proof {
            Some(proof) => ask.outlet.push(&says::proof_frame(&proof, ask.cid.as_ref())),
            None => self.refuse(&ask.outlet, ask.cid.as_ref(), Reason::ReceiptUnknown),
        }
    }
}

impl Handler<Oversee> for VoteActor {
    type Result = ();

    fn handle(&mut self, message: Oversee, ctx: &mut Context<Self>) {
        match message {
            Oversee::Cancel(reason) => {
                self.act(ctx, |vote, now_ms, effects| vote.cancel(&reason, now_ms, effects));
            }
            Oversee::Describe(answer) => {
                let view = self.vote.borrow().view(Viewer::Operator, self.realm.clock.now_ms());
                let mut shown = serde_json::to_value(view).unwrap_or_default();
                if let Some(members) = shown.as_object_mut() {
                    members.insert("match_id".into(), self.match_id.to_string().into());
                }
                let _ = answer.send(shown.to_string());
            }
        }
    }
}

impl Handler<FromMatch> for VoteActor {
    type Result = ();

    fn handle(&mut self, message: FromMatch, ctx: &mut Context<Self>) {
        match message {
            FromMatch::Roster(seats, spectators) => self.roster_changed(&seats, &spectators, ctx),
            FromMatch::Pause => self.act(ctx, |vote, now_ms, effects| vote.pause(now_ms, effects)),
            FromMatch::Resume => self.act(ctx, |vote, now_ms, effects| vote.resume(now_ms, effects)),
            FromMatch::Cancel(reason) => {
                self.act(ctx, |vote, now_ms, effects| vote.cancel(&reason, now_ms, effects));
            }
            FromMatch::Died(farewell) => {
                if !self.over {
                    self.farewell = Some(farewell);
                    self.act(ctx, |vote, now_ms, effects| vote.cancel("match_died", now_ms, effects));
                }
            }
            FromMatch::Veto(spend) => self.veto(spend, ctx),
        }
    }
}

impl VoteActor {
    /// Tells the engine what is different since the last time.
    fn roster_changed(&mut self, seats: &[(PlayerId, bool)], spectators: &[PlayerId], ctx: &mut Context<Self>) {
        let known = std::mem::replace(&mut self.seats, seats.to_vec());
        self.act(ctx, |vote, now_ms, effects| {
            let was_there = |player: &PlayerId| known.iter().any(|(seated, present)| seated == player && *present);
            for (player, present) in seats {
                match (was_there(player), present) {
                    (false, true) => vote.player_joined(*player, now_ms, effects),
                    (true, false) => vote.player_absent(*player, now_ms, effects),
                    _ => {}
                }
            }
            for (player, _) in &known {
                if !seats.iter().any(|(seated, _)| seated == player) {
                    vote.player_left(*player, now_ms, effects);
                }
            }
            for spectator in spectators {
                vote.spectator_joined(*spectator);
            }
        });
    }

    fn veto(&mut self, spend: SpendVeto, ctx: &mut Context<Self>) {
        let mut effects = Vec::new();
        let answer = self.vote.borrow_mut().veto(spend.player, spend.held, self.realm.clock.now_ms(), &mut effects);
        let spent = matches!(&answer, Ok(ok) if ok.spent);
        if spend.held && !spent {
            // Same thread, once per veto.
            self.parent.do_send(RefundVeto(spend.player));
        }
        match answer {
            Ok(_) => spend.outlet.push(&says::VetoOk::default().frame(spend.cid.as_ref())),
            Err(refusal) => {
                let reason = match refusal {
                    VetoRefusal::VoteClosed => Reason::VoteClosed,
                    VetoRefusal::VetoDisabled => Reason::VetoDisabled,
                    VetoRefusal::NotEligible => Reason::NotEligible,
                    VetoRefusal::NoVetoTokens => Reason::NoVetoTokens,
                };
                self.refuse(&spend.outlet, spend.cid.as_ref(), reason);
            }
        }
        self.carry_out(effects, ctx);
        self.sleep(ctx);
    }
}

/// A vote's refusal as the client reads it.
fn refused(refusal: &CastRefusal) -> Refusal {
    match refusal {
        CastRefusal::NotEligible => Reason::NotEligible.into(),
        CastRefusal::VoteClosed => Reason::VoteClosed.into(),
        CastRefusal::MatchPaused => Reason::MatchPaused.into(),
        CastRefusal::InvalidOption(_) => Reason::InvalidOption.into(),
        CastRefusal::InvalidBallot(fault) => Reason::InvalidBallot.with("expected", fault.to_string()),
        CastRefusal::RateLimited => Reason::TooManyRevotes.into(),
    }
}

/// Breaks the vote, as a bug would.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Break;

#[cfg(test)]
impl Handler<Break> for VoteActor {
    type Result = ();

    fn handle(&mut self, _: Break, _: &mut Context<Self>) {
        panic!("a vote's bug");
    }
}
