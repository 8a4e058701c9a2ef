//! How a match ends: everybody learns the result, the record is written, nothing is left behind.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix::prelude::*;

use super::{MatchActor, says};
use crate::actors::ticker::Retire;
use crate::engine::matches::Phase;
use crate::engine::modes::Json;
use crate::ids::PlayerId;
use crate::limits::RECORD_WAIT_MS;
use crate::store::rows::{MatchRow, Outcome, ParticipantRow, RunningRow};
use crate::wire::Outbound;

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

/// The part of a result that a record's status is taken from.
#[derive(serde::Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    status: Option<std::borrow::Cow<'a, str>>,
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
        self.release_seats();
        self.push_everyone(&says::Finished { match_id: self.stage.id, result }.push());
        self.clean_up();
        // Whoever asked while it ended is still answered, and cancelled votes have their result to tell.
        ctx.run_later(LINGER, |_, ctx| ctx.stop());
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

    pub(super) fn part_of(&self, player: PlayerId) -> ParticipantRow {
        let stayed = self.members.contains_key(&player);
        let outcome = if stayed { Outcome::Played } else { Outcome::Forfeited };
        ParticipantRow { player_id: player, bot: false, outcome, stats: None }
    }

    /// Before anybody hears that it is over: whoever hears may queue again at once.
    pub(super) fn release_seats(&self) {
        for player in self.members.keys() {
            self.realm.directory.release_seat(*player, self.stage.id);
        }
    }

    /// Leaves nothing behind in directory, ticker or sessions.
    pub(super) fn clean_up(&mut self) {
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
            card.inputs.lock().close();
            // A match that dies has not reached this phase by itself.
            self.realm.directory.update(card, |state| state.phase = Phase::Finished);
        }
        self.realm.directory.remove_match(self.stage.id);
        self.ask_for_players();
    }
}

/// A match that ended in order has nothing left to do here. One that died of a panic tells its players and leaves the
/// directory clean; this runs while unwinding, so it must not panic itself.
impl Drop for MatchActor {
    fn drop(&mut self) {
        if let Some(result) = self.unsaid.take() {
            self.release_seats();
            self.push_everyone(&says::Finished { match_id: self.stage.id, result }.push());
            return self.clean_up();
        }
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
            self.write_record(&result, || {});
        }
        self.clean_up();
    }
}
