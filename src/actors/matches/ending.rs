//! How a match ends: everybody learns the result, the record is written, nothing is left behind.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix::prelude::*;

use super::{MatchActor, says};
use crate::actors::directory::{MatchCard, Member};
use crate::actors::outlet::Outlet;
use crate::actors::realm::Realm;
use crate::actors::sessions::Unseated;
use crate::actors::ticker::Retire;
use crate::engine::matches::Phase;
use crate::engine::matches::verdict::{Standing, Verdict};
use crate::engine::modes::Json;
use crate::ids::{MatchId, PlayerId, VoteId};
use crate::limits::RECORD_WAIT_MS;
use crate::store::rows::{MatchRow, Outcome, ParticipantRow, RunningRow};
use crate::wire::{Frame, Outbound};

/// How long a match that is over still answers those who asked before they knew.
const LINGER: Duration = Duration::from_secs(5);

/// How long the announcement of the end waits for the record.
const RECORD_WAIT: Duration = Duration::from_millis(RECORD_WAIT_MS);

/// The store has the record of the match, or said that it will not.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Recorded;

impl Handler<Recorded> for MatchActor {
    type Result = ();

    fn handle(&mut self, _: Recorded, ctx: &mut Context<Self>) {
        self.announce(ctx);
    }
}

/// What is left of a match that is over: the result is said and the directory forgets it when this is dropped. A match
/// that ended in order drops it at once. One that died hands it to the votes that were open, so that it is the last of
/// them who says the end: after their results, as ever.
pub struct Farewell {
    realm: Arc<Realm>,
    match_id: MatchId,
    card: Option<Arc<MatchCard>>,
    members: HashMap<PlayerId, Member>,
    crowd: Vec<Arc<Outlet>>,
    vote_ids: VecDeque<VoteId>,
    finished: Frame,
}

/// This may run while unwinding, so it must not panic itself.
impl Drop for Farewell {
    fn drop(&mut self) {
        let directory = &self.realm.directory;
        // Before anybody hears that it is over: whoever hears may queue again at once, and finds no trace of it.
        for player in self.members.keys() {
            directory.release_seat(*player, self.match_id);
        }
        for vote_id in &self.vote_ids {
            directory.remove_vote(vote_id);
        }
        if let Some(card) = &self.card {
            // A match that died has not reached this phase by itself.
            directory.update(card, |state| (state.phase, state.joinable) = (Phase::Finished, false));
        }
        directory.remove_match(self.match_id);
        self.realm.match_over();
        for outlet in &self.crowd {
            outlet.push(&self.finished);
        }
        for member in self.members.values() {
            member.session.do_send(Unseated { match_id: self.match_id });
        }
    }
}

impl MatchActor {
    /// Everybody learns the result, the record is written, the match is gone.
    pub(super) fn finish(&mut self, result: Json, ctx: &mut Context<Self>) {
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
        let result = self.with_forfeits(result);
        self.meters.finished.fetch_add(1, Relaxed);
        if let Some([first, last]) = self.wakes.filter(|[first, last]| last.0 > first.0) {
            let (asked, took) = (last.0 - first.0, last.1 - first.1);
            let off_ppb = u128::from(took.abs_diff(asked)) * 1_000_000_000 / u128::from(asked);
            let mut error = self.meters.period_error.lock();
            *error = (error.0 + 1, error.1 + off_ppb as u64);
        }
        self.emit_state();
        // Whoever hears that it is over finds the record, whatever happens to this process next. A store that does not
        // answer holds nobody up for long.
        let me = ctx.address();
        self.write_record(&result, move || me.do_send(Recorded));
        self.unsaid = Some(result);
        ctx.run_later(RECORD_WAIT, |this, ctx| {
            if this.unsaid.is_some() {
                tracing::error!(match_id = %this.stage.id, "a match is over before its record is known to be kept");
            }
            this.announce(ctx);
        });
    }

    /// Everybody learns that it is over.
    fn announce(&mut self, ctx: &mut Context<Self>) {
        let Some(result) = self.unsaid.take() else { return };
        drop(self.farewell(result));
        // Whoever asked while it ended is still answered, and cancelled votes have their result to tell.
        ctx.run_later(LINGER, |_, ctx| ctx.stop());
    }

    /// Leaves ticker and queue, and hands over what is still to be said and done.
    fn farewell(&mut self, result: Json) -> Farewell {
        self.ticker.do_send(Retire(self.stage.id));
        self.ask_for_players();
        if let Some(card) = &self.card {
            card.inputs.lock().close();
        }
        Farewell {
            realm: self.realm.clone(),
            match_id: self.stage.id,
            card: self.card.clone(),
            members: std::mem::take(&mut self.members),
            crowd: self.crowd.borrow().iter().map(|(_, outlet)| outlet.clone()).collect(),
            vote_ids: std::mem::take(&mut self.vote_ids),
            finished: says::Finished { match_id: self.stage.id, result }.push(),
        }
    }

    /// On record from the first tick on: should this process end before the match, its players still find what it left.
    pub(super) fn note_players(&self, players: Vec<PlayerId>) {
        let (id, mode) = (self.stage.id, self.stage.mode_name.to_string());
        let running = RunningRow { id, mode, started_unix_ms: self.started_ms };
        let noted = move |noted: Result<(), _>| {
            if let Err(error) = noted {
                tracing::error!(match_id = %id, %error, "a running match could not be noted");
            }
        };
        self.realm.store.begin_match(running, players, Box::new(noted));
    }

    /// `kept` is called when the store has the record, or said that it will not; perhaps on a thread of its own.
    fn write_record(&self, result: &Json, kept: impl FnOnce() + Send + 'static) {
        let now_ms = self.realm.clock.unix_ms();
        let created_ms = self.card.as_ref().map_or(now_ms, |card| card.created_ms);
        let verdict = Verdict::of(result.get());
        let record = MatchRow {
            id: self.stage.id,
            mode: self.stage.mode_name.to_string(),
            status: verdict.status.clone(),
            result: result.get().to_owned(),
            started_unix_ms: if self.started_ms > 0 { self.started_ms } else { created_ms },
            finished_unix_ms: now_ms,
        };
        let bots = self.stage.roster.seats().iter().filter(|seat| seat.bot && !self.everyone.contains(&seat.player));
        let everyone = self.everyone.iter().map(|player| (*player, false)).chain(bots.map(|seat| (seat.player, true)));
        let participants = everyone.map(|(player, bot)| self.part_of(player, bot, &verdict)).collect();
        let match_id = self.stage.id;
        self.realm.store.finish_match(
            record,
            participants,
            Box::new(move |written| {
                if let Err(error) = written {
                    tracing::error!(%match_id, %error, "a finished match could not be recorded");
                }
                kept();
            }),
        );
    }

    /// The result, which says who forfeited where anybody did and the game does not say so itself.
    fn with_forfeits(&self, result: Json) -> Json {
        if self.forfeited.is_empty() {
            return result;
        }
        let read = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(result.get());
        let told = read.ok().and_then(|mut members| {
            members.entry("forfeited").or_insert_with(|| serde_json::json!(self.forfeited));
            serde_json::value::to_raw_value(&members).ok()
        });
        told.unwrap_or(result)
    }

    /// One player's part, as the result tells it.
    fn part_of(&self, player: PlayerId, bot: bool, verdict: &Verdict) -> ParticipantRow {
        let stayed = bot || self.members.contains_key(&player);
        let outcome = match verdict.standing(player) {
            // Nobody can have played, won or left early what never began.
            _ if self.started_ms == 0 => Outcome::Cancelled,
            // A forfeit stands, though its player came back.
            Standing::Forfeited => Outcome::Forfeited,
            // Who left early may have won all the same: the game says so.
            Standing::Won => Outcome::Won,
            _ if !stayed => Outcome::Forfeited,
            Standing::Lost => Outcome::Lost,
            Standing::Drawn => Outcome::Drawn,
            Standing::Unsaid => Outcome::Played,
        };
        ParticipantRow { player_id: player, bot, outcome, stats: verdict.stats(player).map(str::to_owned) }
    }
}

/// A match that ended in order has nothing left to do here. One that died of a panic tells its players and leaves the
/// directory clean; this runs while unwinding, so it must not panic itself.
impl Drop for MatchActor {
    fn drop(&mut self) {
        if let Some(result) = self.unsaid.take() {
            drop(self.farewell(result));
        }
        if self.over {
            return;
        }
        self.over = true;
        self.meters.died.fetch_add(1, Relaxed);
        if let Ok(result) = serde_json::value::RawValue::from_string(r#"{"status":"died"}"#.into()) {
            self.write_record(&result, || {});
            let farewell = Arc::new(self.farewell(result));
            for vote in self.votes.values() {
                vote.outlive(farewell.clone());
            }
        }
    }
}
