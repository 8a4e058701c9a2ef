//! `ticks`: matches that play. Every client knows from the ticks it is told when the next is due, so it can say how far
//! off the schedule each arrived; the states of mode `bench` carry the moment they were emitted and how many inputs the
//! game has seen of each player.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::Notify;

use crate::bench::board::{Board, Recorder};
use crate::bench::figures::Better;
use crate::bench::hear::{find, kind, number_after};
use crate::bench::link::Event;
use crate::bench::metrics::Metrics;
use crate::bench::pace::pace;
use crate::bench::process::watch;
use crate::bench::sign_in::refusal;
use crate::bench::stage::{Seat, mode_config, seat};
use crate::bench::{BenchError, Cx, Round, Wire};

/// What a player does: one step, so that the game counts it.
const INPUT: &[u8] = br#"{"type":"match.input","payload":{"move_x":1,"move_y":0}}"#;

/// How long the last inputs are waited for.
const LAST_INPUTS: Duration = Duration::from_secs(2);

/// Ticks as clients see them: off the schedule by how much, how old on arrival, and when inputs show
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Ticks {
    /// Matches
    #[arg(long, value_name = "M", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) matches: u32,
    /// Players per match
    #[arg(long, value_name = "P", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) players: u32,
    /// Ticks per second
    #[arg(long, value_name = "HZ", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=128))]
    pub(super) hz: u32,
    /// Inputs per second and player
    #[arg(long, value_name = "HZ", default_value_t = 10.0, value_parser = super::rate)]
    pub(super) inputs_per_s: f64,
    /// Pads each state to about so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=49_152))]
    pub(super) state_bytes: u32,
    /// How players ask to be shown states
    #[arg(long, value_enum, default_value_t = Wire::Json)]
    pub(super) wire: Wire,
    /// The mode to play; a server given by address must have it, of as many players and ticks
    #[arg(long, value_name = "NAME", default_value = "bench")]
    pub(super) mode: String,
    /// Which of the load's accounts the first player has.
    #[arg(skip)]
    #[serde(skip)]
    pub(super) first_player: usize,
}

impl Ticks {
    pub(super) fn cases(&self) -> Vec<String> {
        let wire = if self.wire == Wire::Delta { ", as deltas" } else { "" };
        vec![format!(
            "{} matches x {} players at {} Hz, {} inputs/s each{wire}",
            self.matches, self.players, self.hz, self.inputs_per_s
        )]
    }

    /// The floor shows whole states only.
    pub(super) fn has_floor(&self) -> bool {
        self.wire == Wire::Json
    }

    pub(super) fn server_config(&self) -> String {
        mode_config(&self.mode, self.players, self.hz, self.state_bytes)
    }

    pub(super) async fn round(&self, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let admission = Board::new(Duration::ZERO, Duration::ZERO);
        cx.target.wire.set(self.wire);
        let count = (self.matches * self.players) as usize;
        let mut seats = seat(cx, &self.mode, self.first_player, count, &admission).await?;
        let mut round = self.measure(cx, &mut seats).await?;
        let metrics = Metrics::of(&cx.target.base).await;
        for (quantile, name) in [("0.5", "p50"), ("0.99", "p99")] {
            let sample =
                format!("tessera_tick_lateness_quantile_seconds{{mode=\"{}\",quantile=\"{quantile}\"}}", self.mode);
            if let Some(seconds) = metrics.get(&sample) {
                round.tell(&format!("server's own lateness, {name}"), "us", Better::Neither, seconds * 1e6);
            }
        }
        for (code, count) in admission.refusals() {
            *round.refused.entry(code).or_default() += count;
        }
        Ok(round)
    }

    /// Plays with these players for a window. Those whose connection ends are gone afterwards.
    pub(super) async fn measure(&self, cx: &Cx<'_>, seats: &mut Vec<Seat>) -> Result<Round, BenchError> {
        let board = Board::new(cx.timing.warm_up, cx.timing.measured);
        let seen = Seen {
            deviation: board.recorder("off the schedule"),
            age: board.recorder("emitted to received"),
            input: board.recorder("input to state, from when it was due"),
            late: board.recorder("how late the load itself was"),
            states: std::cell::Cell::new(0),
            bytes: std::cell::Cell::new(0),
            missed: std::cell::Cell::new(0),
            lags: std::cell::Cell::new(0),
            board: board.clone(),
            period: Duration::from_secs(1) / self.hz,
        };
        let seen = Rc::new(seen);
        let stop = Rc::new(Notify::new());
        let senders: Vec<_> =
            seats.iter().map(|seat| (seat.sender.clone(), Rc::new(RefCell::new(VecDeque::new())))).collect();
        let players: Vec<_> = seats
            .drain(..)
            .zip(&senders)
            .map(|(seat, (_, waiting))| {
                tokio::task::spawn_local(follow(seat, waiting.clone(), seen.clone(), stop.clone()))
            })
            .collect();
        let matches = senders.len() as f64 / f64::from(self.players);
        let per_s = senders.len() as f64 * self.inputs_per_s;
        let waiting: Vec<_> = senders.iter().map(|(_, waiting)| waiting.clone()).collect();
        let (paced, board_of_pace) = (seen.clone(), board.clone());
        let pacing = tokio::task::spawn_local(async move {
            if per_s <= 0.0 {
                return Ok(());
            }
            pace(&board_of_pace, per_s, &paced.late, |n, due| {
                let (sender, waiting) = &senders[n as usize % senders.len()];
                waiting.borrow_mut().push_back(due);
                sender.text(INPUT);
                board_of_pace.sent(due, 1);
                let _ = sender.flush_now();
            })
            .await
        });
        let usage = watch(cx, &board, || {
            format!("{} states, age p99 {:.0} us", seen.states.get(), seen.age.p99().as_secs_f64() * 1e6)
        })
        .await;
        pacing.await.map_err(|_| BenchError::unexpected("the load stopped"))??;
        let patience = Instant::now() + LAST_INPUTS;
        while waiting.iter().any(|waiting| !waiting.borrow().is_empty()) && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.notify_waiters();
        let mut errors = Vec::new();
        for (player, waiting) in players.into_iter().zip(waiting) {
            let unseen = waiting.borrow().len();
            (0..unseen).for_each(|_| board.refused("input_not_seen"));
            if let Ok((seat, track)) = player.await {
                errors.extend(track.finish(&seen));
                seats.extend(seat);
            }
        }
        let mut round = Round::of(&board, &[&seen.deviation, &seen.age, &seen.input, &seen.late], &usage);
        let per_state = seen.bytes.get() as f64 / (seen.states.get() as f64).max(1.0);
        round.tell("bytes per state", "B", Better::Lower, per_state);
        round.tell("states received", "/s", Better::Higher, seen.states.get() as f64 / usage.measured_s);
        round.tell("states asked for", "/s", Better::Neither, matches * f64::from(self.players * self.hz));
        round.tell("states replaced by newer ones", "", Better::Lower, seen.missed.get() as f64);
        if !errors.is_empty() {
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            round.tell("mean period error", "%", Better::Lower, mean * 100.0);
        }
        round.tell_usage(&usage, "state", seen.states.get());
        if seen.lags.get() > 0 {
            round
                .notes
                .push("the server told its players that it is overloaded, and may have sent fewer states".into());
        }
        if seen.states.get() > 0 && seen.deviation.is_empty() {
            round.notes.push("states carry no `tick`: how far they are off the schedule cannot be told".into());
        }
        if seen.states.get() > 0 && seen.age.is_empty() {
            round.notes.push("states carry no `ts` (unix microseconds): how old they are cannot be told".into());
        }
        if let Some(cpu_s) = usage.server_cpu_s {
            let ticks = matches * f64::from(self.hz) * usage.measured_s;
            round.tell("server CPU per match tick", "us", Better::Lower, cpu_s * 1e6 / ticks);
        }
        Ok(round)
    }
}

/// What all players of a window note together.
struct Seen {
    deviation: Recorder,
    age: Recorder,
    input: Recorder,
    late: Recorder,
    states: std::cell::Cell<u64>,
    bytes: std::cell::Cell<u64>,
    missed: std::cell::Cell<u64>,
    /// How often a player was told that the server is overloaded.
    lags: std::cell::Cell<u64>,
    board: Rc<Board>,
    period: Duration,
}

/// One player's ticks of a window: arrival and number.
#[derive(Default)]
struct Track(Vec<(Instant, u64)>);

/// Ticks after which a schedule is fitted anew: a clock that drifts shows as period error, not as ever more deviation.
const FITTED_TOGETHER: usize = 4_096;

impl Track {
    /// Notes how far each arrival was off the schedule that fits them best; the relative error of the mean period.
    fn finish(&self, seen: &Seen) -> Option<f64> {
        for ticks in self.0.chunks(FITTED_TOGETHER) {
            let Some((start, first)) = ticks.first().copied() else { continue };
            let period = seen.period.as_nanos() as i64;
            let offset = |(at, tick): &(Instant, u64)| (*at - start).as_nanos() as i64 - (tick - first) as i64 * period;
            let mut offsets: Vec<i64> = ticks.iter().map(offset).collect();
            offsets.sort_unstable();
            let middle = offsets[offsets.len() / 2];
            for tick in ticks {
                seen.deviation.record(tick.0, Duration::from_nanos((offset(tick) - middle).unsigned_abs()));
            }
        }
        let ((start, first), (end, last)) = (*self.0.first()?, *self.0.last()?);
        let asked = seen.period.as_secs_f64() * (last - first) as f64;
        (asked > 0.0).then(|| ((end - start).as_secs_f64() / asked - 1.0).abs())
    }
}

/// Listens as one player until told to stop; gives the seat back unless its connection ended.
async fn follow(
    mut seat: Seat,
    waiting: Rc<RefCell<VecDeque<Instant>>>,
    seen: Rc<Seen>,
    stop: Rc<Notify>,
) -> (Option<Seat>, Track) {
    let stopped = stop.notified();
    tokio::pin!(stopped);
    let me = format!("\"{}\"", seat.id).into_bytes();
    let (mut track, mut hint, mut last_tick) = (Track::default(), 0, None);
    loop {
        let filled = tokio::select! {
            filled = seat.receiver.fill() => filled,
            () = &mut stopped => return (Some(seat), track),
        };
        let now = Instant::now();
        let unix_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        if !matches!(filled, Ok(1..)) {
            seen.board.refused("closed:1006");
            return (None, track);
        }
        loop {
            let text = match seat.receiver.next_now() {
                Ok(Some(Event::Text(range))) => seat.receiver.bytes(range),
                Ok(Some(Event::Binary(_))) => continue,
                Ok(None) => break,
                Ok(Some(Event::Closed(code))) => {
                    seen.board.refused(&format!("closed:{code}"));
                    return (None, track);
                }
                Err(_) => {
                    seen.board.refused("broken");
                    return (None, track);
                }
            };
            match &*kind(text) {
                "match.state" => {}
                "server.lag" => {
                    seen.lags.set(seen.lags.get() + 1);
                    continue;
                }
                "error" => {
                    seen.board.refused(&refusal(&String::from_utf8_lossy(text)).unwrap_or_default());
                    continue;
                }
                "match.finished" => {
                    seen.board.refused("match_finished");
                    continue;
                }
                _ => continue,
            }
            let inside = seen.board.sees(now);
            seen.states.set(seen.states.get() + u64::from(inside));
            seen.bytes.set(seen.bytes.get() + if inside { text.len() as u64 } else { 0 });
            if let Some(tick) = number_after(text, b"\"tick\":", 0).filter(|_| inside) {
                if let Some(last) = last_tick.replace(tick) {
                    seen.missed.set(seen.missed.get() + tick.saturating_sub(last + 1));
                }
                track.0.push((now, tick));
            }
            if let Some(ts) = number_after(text, b"\"ts\":", 0).filter(|_| inside) {
                seen.age.record(now, Duration::from_micros(unix_us.saturating_sub(ts)));
            }
            if waiting.borrow().is_empty() {
                continue;
            }
            // Players stand in the same order in every state, so ours is about where it was.
            let Some(at) = find(text, &me, hint).or_else(|| find(text, &me, 0)) else { continue };
            hint = at.saturating_sub(64);
            let Some(shown) = number_after(text, b"\"inputs_seen\":", at) else { continue };
            let mut waiting = waiting.borrow_mut();
            while seat.inputs < shown {
                let Some(due) = waiting.pop_front() else { break };
                seat.inputs += 1;
                seen.input.record(due, now - due);
                seen.board.answered(due, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_says_how_far_off_its_ticks_were() {
        let board = Board::new(Duration::ZERO, Duration::from_secs(60));
        let (start, ms) = (board.from(), Duration::from_millis);
        let seen = Seen {
            deviation: board.recorder("off"),
            age: board.recorder("age"),
            input: board.recorder("input"),
            late: board.recorder("late"),
            states: 0.into(),
            bytes: 0.into(),
            missed: 0.into(),
            lags: 0.into(),
            board: board.clone(),
            period: ms(100),
        };
        // Ticks 7 to 11 and 13, of which one came 30 ms late and one was replaced.
        let track = Track(
            [(0, 7), (100, 8), (230, 9), (300, 10), (400, 11), (600, 13)].map(|(at, n)| (start + ms(at), n)).to_vec(),
        );
        assert!(track.finish(&seen).unwrap() < 1e-9, "the mean period is right");
        let off = seen.deviation.distribution().histogram;
        assert_eq!(off.len(), 6);
        assert!(off.value_at_quantile(0.5) <= 1, "most are where they should be");
        assert!((29_900_000..=30_100_000).contains(&off.max()));
        assert_eq!(Track::default().finish(&seen), None);
    }
}
