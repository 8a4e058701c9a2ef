//! The votes of a match: opened by its mode, its game, its players or an operator; what their end means for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use actix::prelude::*;

use super::{CallVote, MatchActor, RefundVeto, SpendVeto, VoteEnd, VoteOver};
use crate::actors::votes::{Asked, Opening, open_vote};
use crate::engine::matches::Phase;
use crate::engine::modes::Json;
use crate::engine::votes::config::OnPass;
use crate::engine::votes::draft::Teams;
use crate::engine::votes::motions::{Call, CallRefusal};
use crate::engine::votes::told::Passed;
use crate::games::{Effect, OpenVote};
use crate::ids::VoteId;
use crate::limits::{VOTES_OPEN_PER_MATCH_MAX, VOTES_REMEMBERED_PER_MATCH_MAX};
use crate::wire::{Outbound, Reason, Refusal};

impl MatchActor {
    /// Tells the game which votes are open.
    pub(super) fn tell_open_votes(&mut self) {
        let open: Vec<_> = self
            .votes
            .values()
            .map(|vote| OpenVote { id: vote.vote_id().clone(), template: vote.template().to_owned() })
            .collect();
        self.stage.open_votes(&open);
    }

    /// Tells the game why it has no vote; the log, where it has nobody to tell.
    pub(super) fn refuse_vote(&mut self, config: &Json, faults: &[String]) {
        let (clock, why) = (self.realm.clock, faults.join("; "));
        if !self.stage.vote_refused(config, &why, clock.unix_us())
            && let Some(refused) = self.meters.votes_refused.add(clock.now_ms())
        {
            tracing::warn!(match_id = %self.stage.id, mode = %self.stage.mode_name, ?faults, refused, "a game's vote was refused");
        }
    }

    pub(super) fn open_scheduled(&mut self, i: usize, ctx: &mut Context<Self>) {
        let Some(scheduled) = self.stage.mode.votes.get(i) else { return };
        let opened = serde_json::value::to_raw_value(&scheduled.vote)
            .map_err(|error| vec![error.to_string()])
            .and_then(|config| self.open_vote(&config, ctx));
        match opened {
            Ok(vote_id) if self.stage.is_ending() => self.finish_votes.push(vote_id),
            Ok(_) => {}
            Err(faults) => {
                if let Some(refused) = self.meters.votes_refused.add(self.realm.clock.now_ms()) {
                    tracing::warn!(match_id = %self.stage.id, mode = %self.stage.mode_name, ?faults, refused, "a scheduled vote was refused");
                }
                self.meters.effects_refused.fetch_add(1, Relaxed);
            }
        }
    }

    /// Opens a vote on this arbiter, or says every fault.
    pub(super) fn open_vote(&mut self, config: &Json, ctx: &mut Context<Self>) -> Result<VoteId, Vec<String>> {
        self.open_asked(Asked::Written(config), ctx)
    }

    pub(super) fn open_asked(&mut self, asked: Asked<'_>, ctx: &mut Context<Self>) -> Result<VoteId, Vec<String>> {
        if self.stage.phase() != Phase::Running {
            return Err(vec![format!("the match is {}, votes open while it is running", self.stage.phase().word())]);
        }
        if self.votes.len() >= VOTES_OPEN_PER_MATCH_MAX {
            return Err(vec![format!(
                "{VOTES_OPEN_PER_MATCH_MAX} votes are open in this match, which is the most there may be"
            )]);
        }
        let opening = Opening {
            realm: &self.realm,
            match_id: self.stage.id,
            roster: &self.stage.roster,
            weigh: self.frustration.weigh(),
            open: self.votes.values().collect(),
            crowd: self.crowd.clone(),
            parent: ctx.address(),
        };
        // The vote has no actor of its own yet; its fault must not be the end of the match.
        let opened = catch_unwind(AssertUnwindSafe(|| open_vote(opening, asked)))
            .unwrap_or_else(|_| Err(vec!["the vote failed as it opened; the log says where".into()]))?;
        let vote_id = opened.vote_id().clone();
        self.remember_vote(vote_id.clone());
        self.votes.insert(vote_id.clone(), opened);
        self.tell_open_votes();
        Ok(vote_id)
    }

    /// To forget with the match, or with many votes after it.
    fn remember_vote(&mut self, vote_id: VoteId) {
        let (votes, ids) = (&self.votes, &mut self.vote_ids);
        if ids.len() >= VOTES_REMEMBERED_PER_MATCH_MAX
            && let Some(oldest) = ids.iter().position(|id| !votes.contains_key(id))
            && let Some(forgotten) = ids.remove(oldest)
        {
            self.realm.directory.remove_vote(&forgotten);
        }
        ids.push_back(vote_id);
    }

    /// Opens a motion for a player, or says why not.
    pub(super) fn call_vote(&mut self, call: &CallVote, ctx: &mut Context<Self>) -> Result<VoteId, Refusal> {
        match self.stage.phase() {
            Phase::Running => {}
            Phase::Paused => return Err(Reason::MatchPaused.into()),
            Phase::Waiting => return Err(Reason::MatchNotStarted.into()),
            Phase::Finished => return Err(Reason::NotInMatch.into()),
        }
        let seated: Vec<_> = self.stage.roster.seats().iter().map(|seat| seat.player).collect();
        // Only a mode with teams has sides that could give up by themselves.
        let has_teams = !self.stage.mode.matchmaking.teams.is_empty();
        let teams = if has_teams { self.stage.roster.teams() } else { Teams::new() };
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
    pub(super) fn motion_passed(&mut self, passed: Passed, ctx: &mut Context<Self>) {
        match (passed.on_pass, passed.target) {
            (OnPass::Kick, Some(player)) => self.effect(Effect::Kick { player, reason: "voted_out".into() }, ctx),
            (OnPass::Surrender, _) => self.stage.cancel("surrendered"),
            // The game has heard of it through `vote_resolved`, and knows what to do.
            _ => {}
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
        self.in_turn(ctx, move |this, ctx| this.vote_over(over, ctx));
    }
}

impl MatchActor {
    fn vote_over(&mut self, over: VoteOver, ctx: &mut Context<Self>) {
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
