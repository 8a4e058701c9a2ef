//! `votes`: matches that vote all the time. Every player casts and changes their mind in an open loop; a vote that
//! closes is followed by the next.
//!
//! A cast's own tally is the first one after its reply: the wire promises that a reply comes before any tally that
//! counts it. The server tells the first tally after a quiet interval at once and then one per interval, so the two are
//! told apart.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::Notify;

use crate::bench::board::{Board, Recorder};
use crate::bench::figures::Better;
use crate::bench::hear::{ask, cid, kind, number_after, text_after};
use crate::bench::link::{Event, Receiver, Sender};
use crate::bench::pace::pace;
use crate::bench::process::watch;
use crate::bench::sign_in::refusal;
use crate::bench::stage::{mode_config, seat};
use crate::bench::{BenchError, Cx, Round};

/// A cast this long after the one before in its match is told of at once: that one was told of within 100 ms, and
/// another 100 ms have passed since.
const QUIET: Duration = Duration::from_millis(200);

/// Nobody casts in the last of a vote: a ballot that crosses with the close is rightly refused, and not what is asked.
const MARGIN: Duration = Duration::from_millis(250);

/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Casts until their reply and until their tally, and results after a close
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Votes {
    /// Matches, each with one vote open at a time
    #[arg(long, value_name = "M", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) matches: u32,
    /// Players per match
    #[arg(long, value_name = "P", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) players: u32,
    /// Casts per second, all players together
    #[arg(long, value_name = "N", default_value_t = 2_000.0, value_parser = super::rate)]
    pub(super) casts_per_s: f64,
    /// How long a vote is open, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(500..=600_000))]
    pub(super) window_ms: u64,
    /// How ballots are counted
    #[arg(long, value_name = "METHOD", default_value = "plurality")]
    pub(super) method: String,
    /// Which of the load's accounts the first player has.
    #[arg(skip)]
    #[serde(skip)]
    pub(super) first_player: usize,
}

impl Votes {
    /// A mode of its own, so that it can be played beside others.
    fn mode(&self) -> &'static str {
        "bench_votes"
    }

    pub(super) fn cases(&self) -> Vec<String> {
        vec![format!("{} matches x {} players, {} casts/s", self.matches, self.players, self.casts_per_s)]
    }

    pub(super) fn server_config(&self) -> String {
        mode_config(self.mode(), self.players, 10, 0)
    }

    pub(super) async fn round(&self, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let admission = Board::new(Duration::ZERO, Duration::ZERO);
        let seats =
            seat(cx, self.mode(), self.first_player, (self.matches * self.players) as usize, &admission).await?;
        let board = Board::new(cx.timing.warm_up, cx.timing.measured);
        let seen = Rc::new(Seen {
            reply: board.recorder("cast to reply, from when it was due"),
            quiet: board.recorder("cast to own tally, first after quiet"),
            tally: board.recorder("cast to own tally, within an interval"),
            result: board.recorder("deadline to result"),
            late: board.recorder("how late the load itself was"),
            results: Cell::new(0),
            idle: Cell::new(0),
            board: board.clone(),
            opening: opening(self),
        });
        let stop = Rc::new(Notify::new());
        // Per match: who is told when anybody casts, how many players, and which match it is.
        let mut matches: BTreeMap<String, (LastCast, usize)> = BTreeMap::new();
        let mut voters = Vec::new();
        let mut listening = Vec::new();
        for seat in seats {
            let (last_cast, players) = matches.entry(seat.match_id).or_default();
            let place = *players;
            *players += 1;
            let voter = Voter { sender: seat.sender, place, last_cast: last_cast.clone(), state: RefCell::default() };
            let voter = Rc::new(voter);
            voters.push(voter.clone());
            listening.push(tokio::task::spawn_local(listen(voter, seat.receiver, seen.clone(), stop.clone())));
        }
        // Neighbours in time belong to different matches.
        voters.sort_by_key(|voter| voter.place);
        // Votes that all opened at once would all close at once.
        let openers: Vec<_> = voters.iter().filter(|voter| voter.place == 0).cloned().collect();
        let (opening, between) = (seen.clone(), cx.timing.warm_up / openers.len().max(1) as u32);
        let opening = tokio::task::spawn_local(async move {
            for (n, voter) in openers.iter().enumerate() {
                voter.open_next(&opening);
                if n % 8 == 7 {
                    tokio::time::sleep(between * 8).await;
                }
            }
        });
        let (casting, paced, per_s) = (voters.clone(), seen.clone(), self.casts_per_s);
        let pacing = tokio::task::spawn_local(async move {
            let mut text = Vec::new();
            pace(&paced.board, per_s, &paced.late, |n, due| {
                casting[n as usize % casting.len()].cast(n, due, &paced, &mut text);
            })
            .await
        });
        let usage = watch(cx, &board, || format!("reply p99 {:.0} us", seen.reply.p99().as_secs_f64() * 1e6)).await;
        pacing.await.map_err(|_| BenchError::unexpected("the load stopped"))??;
        let patience = Instant::now() + LAST_ANSWERS;
        while voters.iter().any(|voter| !voter.state.borrow().asked.is_empty()) && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        opening.abort();
        // Starts and results are never replaced: all of a match must have been told the same.
        let told = || voters.iter().map(|voter| (Rc::as_ptr(&voter.last_cast), voter.state.borrow().told));
        while lost(told()) > 0 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (0..lost(told())).for_each(|_| board.refused("lost_frame"));
        stop.notify_waiters();
        for task in listening {
            let _ = task.await;
        }
        for voter in &voters {
            voter.state.borrow().asked.iter().for_each(|_| board.refused("unanswered"));
        }
        let mut round = Round::of(&board, &[&seen.reply, &seen.quiet, &seen.tally, &seen.result, &seen.late], &usage);
        round.tell("casts", "/s", Better::Higher, round.answered as f64 / usage.measured_s);
        round.tell("casts due between two votes, not sent", "", Better::Neither, seen.idle.get() as f64);
        round.tell("results received", "/s", Better::Neither, seen.results.get() as f64 / usage.measured_s);
        round.tell_usage(&usage, "cast, ticks and results included", round.answered);
        Ok(round)
    }
}

/// How many starts and results some players of a match have seen and others of it have not, of all players: their match
/// and how many each has seen.
fn lost<M: Ord>(told: impl Iterator<Item = (M, u64)> + Clone) -> u64 {
    let mut most: BTreeMap<M, u64> = BTreeMap::new();
    for (of, told) in told.clone() {
        let most = most.entry(of).or_default();
        *most = told.max(*most);
    }
    told.map(|(of, told)| most.get(&of).map_or(0, |most| most - told)).sum()
}

/// The input that opens a vote.
fn opening(votes: &Votes) -> Vec<u8> {
    let vote = serde_json::json!({"type": "match.input", "payload": {"start_vote": {
        "template": "bench", "method": votes.method, "options": ["a", "b", "c"], "window_ms": votes.window_ms,
        "window_type": "fixed", "grace_ms": 0, "visibility": "live", "max_revotes": 1_000,
    }}});
    vote.to_string().into_bytes()
}

/// What all voters of a window note together.
struct Seen {
    reply: Recorder,
    quiet: Recorder,
    tally: Recorder,
    result: Recorder,
    late: Recorder,
    results: Cell<u64>,
    /// Casts that were due while there was nothing to cast in.
    idle: Cell<u64>,
    board: Rc<Board>,
    opening: Vec<u8>,
}

/// When anybody in a match last cast.
type LastCast = Rc<Cell<Option<Instant>>>;

/// One voter, shared between who casts and who listens.
struct Voter {
    sender: Sender,
    /// Which of the match's players this is; the first opens its votes.
    place: usize,
    /// When anybody in the match last cast.
    last_cast: LastCast,
    state: RefCell<VoterState>,
}

#[derive(Default)]
struct VoterState {
    vote: Option<OpenVote>,
    /// Starts and results heard.
    told: u64,
    /// Casts without a reply: number, when due, whether after quiet.
    asked: VecDeque<(u64, Instant, bool)>,
    /// Casts with a reply and without a tally.
    replied: VecDeque<(Instant, bool)>,
}

struct OpenVote {
    id: String,
    /// Whether its ballots are lists.
    ranks: bool,
    last_cast: Instant,
    deadline_ms: u64,
}

impl Voter {
    fn open_next(&self, seen: &Seen) {
        self.sender.text(&seen.opening);
        let _ = self.sender.flush_now();
    }

    /// Casts, if there is a vote to cast in; its `n` decides for what, so that minds change.
    fn cast(&self, n: u64, due: Instant, seen: &Seen, text: &mut Vec<u8>) {
        let mut state = self.state.borrow_mut();
        let VoterState { vote, asked, .. } = &mut *state;
        let Some(vote) = vote.as_ref().filter(|vote| due < vote.last_cast) else {
            return seen.idle.set(seen.idle.get() + u64::from(seen.board.sees(due)));
        };
        let option = ["a", "b", "c"][(n % 3) as usize];
        let ballot = if vote.ranks { format!("[\"{option}\"]") } else { format!("\"{option}\"") };
        ask(text, "vote.cast", n, &format!("{{\"vote_id\":\"{}\",\"option_id\":{ballot}}}", vote.id));
        let quiet = self.last_cast.replace(Some(due)).is_none_or(|last| due >= last + QUIET);
        asked.push_back((n, due, quiet));
        seen.board.sent(due, 1);
        self.sender.text(text);
        let _ = self.sender.flush_now();
    }

    fn hear(&self, text: &[u8], now: Instant, seen: &Seen) {
        let mut state = self.state.borrow_mut();
        match &*kind(text) {
            "vote.cast_ok" => {
                let Some((n, due, quiet)) = state.asked.pop_front() else { return };
                if cid(text) != Some(n) {
                    return seen.board.refused("wrong_answer");
                }
                seen.reply.record(due, now - due);
                seen.board.answered(due, 1);
                state.replied.push_back((due, quiet));
            }
            "match.vote_tally" => {
                for (due, quiet) in state.replied.drain(..) {
                    let recorder = if quiet { &seen.quiet } else { &seen.tally };
                    recorder.record(due, now - due);
                }
            }
            "match.vote_start" => {
                state.told += 1;
                let (Some(id), Some(window_ms)) =
                    (text_after(text, b"\"vote_id\":\""), number_after(text, b"\"window_ms\":", 0))
                else {
                    return seen.board.refused("wrong_vote_start");
                };
                state.vote = Some(OpenVote {
                    id: id.to_owned(),
                    ranks: text_after(text, b"\"ballot\":\"") != Some("choice"),
                    last_cast: (now + Duration::from_millis(window_ms)).checked_sub(MARGIN).unwrap_or(now),
                    deadline_ms: number_after(text, b"\"deadline_ms\":", 0).unwrap_or(0),
                });
            }
            "match.vote_result" => {
                state.told += 1;
                // Casts that the result counted and no tally did have none to wait for.
                state.replied.clear();
                if let Some(vote) = state.vote.take() {
                    let unix_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
                    let after_us = unix_us.saturating_sub(vote.deadline_ms * 1_000);
                    seen.result.record(now, Duration::from_micros(after_us));
                    if seen.board.sees(now) {
                        seen.results.set(seen.results.get() + 1);
                    }
                }
                if self.place == 0 && now < seen.board.until() {
                    self.open_next(seen);
                }
            }
            "error" => {
                seen.board.refused(&refusal(&String::from_utf8_lossy(text)).unwrap_or_default());
                // It answers the oldest cast, if it answers one at all.
                if cid(text).is_some() {
                    state.asked.pop_front();
                }
            }
            _ => {}
        }
    }
}

async fn listen(voter: Rc<Voter>, mut receiver: Receiver, seen: Rc<Seen>, stop: Rc<Notify>) {
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        let event = tokio::select! {
            event = receiver.next() => event,
            () = &mut stopped => return,
        };
        match event {
            Ok(Event::Text(range)) => voter.hear(receiver.bytes(range), Instant::now(), &seen),
            Ok(Event::Binary(_)) => {}
            Ok(Event::Closed(code)) => return seen.board.refused(&format!("closed:{code}")),
            Err(_) => return seen.board.refused("broken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_or_result_that_only_some_of_a_match_have_seen_is_lost() {
        let lost = |told: &[(char, u64)]| lost(told.iter().copied());
        assert_eq!(lost(&[]), 0);
        assert_eq!(lost(&[('a', 4), ('b', 6), ('a', 4), ('b', 6)]), 0);
        assert_eq!(lost(&[('a', 4), ('b', 6), ('a', 3), ('b', 4), ('b', 6)]), 3);
    }
}
