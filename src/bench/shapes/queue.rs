//! `queue`: from the ticket to the seat. So many players as fill a match queue at the same moment, again and again in an
//! open loop: nobody waits for an opponent, so what is left is the server's own time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Notify, mpsc};

use crate::bench::board::{Board, Recorder};
use crate::bench::figures::Better;
use crate::bench::hear::{ask, kind};
use crate::bench::link::{Event, Receiver};
use crate::bench::pace::pace;
use crate::bench::process::watch;
use crate::bench::sign_in::{self, Player, refusal};
use crate::bench::stage::{mode_config, until};
use crate::bench::{BenchError, Cx, Round};

/// How long the last seats are waited for.
const LAST_SEATS: Duration = Duration::from_secs(2);

/// From the ticket to the seat: players queue, are matched, leave, and queue again
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Queue {
    /// Players in all
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    players: u32,
    /// Players per match
    #[arg(long, value_name = "P", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    match_size: u32,
    /// Matches wanted per second
    #[arg(long, value_name = "N", default_value_t = 200.0, value_parser = super::rate)]
    matches_per_s: f64,
    /// The mode they queue for; a server given by address must have it, of as many players
    #[arg(long, value_name = "NAME", default_value = "bench")]
    mode: String,
}

impl Queue {
    pub(super) fn cases(&self) -> Vec<String> {
        vec![format!("{} players, {} matches of {} per second", self.players, self.matches_per_s, self.match_size)]
    }

    pub(super) fn server_config(&self) -> String {
        mode_config(&self.mode, self.match_size, 10, 0)
    }

    pub(super) async fn round(&self, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let groups = (self.players / self.match_size).max(1);
        let admission = Board::new(Duration::ZERO, Duration::ZERO);
        let players = sign_in::players(cx.target, (groups * self.match_size) as usize, &admission).await?;
        let board = Board::new(cx.timing.warm_up, cx.timing.measured);
        board.carry(&admission);
        let seen = Rc::new(Seen {
            queued: board.recorder("add to queued"),
            matched: board.recorder("add to matched, from when it was due"),
            late: board.recorder("how late the load itself was"),
            board: board.clone(),
            add: format!("{{\"mode\":\"{}\"}}", self.mode),
            busy: Cell::new(0),
            waiting: Cell::new(0),
        });
        let stop = Rc::new(Notify::new());
        let mut told = Vec::new();
        let mut tasks = Vec::new();
        for player in players {
            // A player who is not back from the last match is counted, not queued twice.
            let (orders, taking) = mpsc::channel(1);
            let ready = Rc::new(Cell::new(true));
            told.push((orders, ready.clone()));
            tasks.push(tokio::task::spawn_local(play(player, taking, ready, seen.clone(), stop.clone())));
        }
        let (size, paced, per_s) = (self.match_size as usize, seen.clone(), self.matches_per_s);
        let pacing = tokio::task::spawn_local(async move {
            let groups: Vec<_> = told.chunks(size).collect();
            pace(&paced.board, per_s, &paced.late, |n, due| {
                let group = groups[n as usize % groups.len()];
                // All of a group or none: half a group would wait for the next.
                if group.iter().all(|(_, ready)| ready.get()) {
                    for (orders, ready) in group {
                        ready.set(false);
                        // There is room for the one order of a player who is ready.
                        let _ = orders.try_send(due);
                    }
                } else {
                    paced.busy.set(paced.busy.get() + group.len() as u64);
                }
            })
            .await
        });
        let usage = watch(cx, &board, || format!("matched p99 {:.0} us", seen.matched.p99().as_secs_f64() * 1e6)).await;
        pacing.await.map_err(|_| BenchError::unexpected("the load stopped"))??;
        let patience = Instant::now() + LAST_SEATS;
        while seen.waiting.get() > 0 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (0..seen.waiting.get()).for_each(|_| board.refused("not_matched"));
        stop.notify_waiters();
        for task in tasks {
            let _ = task.await;
        }
        let mut round = Round::of(&board, &[&seen.matched, &seen.queued, &seen.late], &usage);
        round.tell("seats given", "/s", Better::Higher, round.answered as f64 / usage.measured_s);
        round.tell("players still busy when due", "", Better::Neither, seen.busy.get() as f64);
        round.tell_usage(&usage, "seat, queue to leaving", round.answered);
        Ok(round)
    }
}

struct Seen {
    queued: Recorder,
    matched: Recorder,
    late: Recorder,
    board: Rc<Board>,
    /// What they ask for.
    add: String,
    /// Orders that could not be given.
    busy: Cell<u64>,
    /// Players in the queue.
    waiting: Cell<u64>,
}

/// One player: queues when told, leaves when matched, is ready again when the match is left.
async fn play(
    mut player: Player,
    mut orders: mpsc::Receiver<Instant>,
    ready: Rc<Cell<bool>>,
    seen: Rc<Seen>,
    stop: Rc<Notify>,
) {
    let visits = async {
        while let Some(due) = orders.recv().await {
            seen.board.sent(due, 1);
            match play_once(&mut player, due, &seen).await {
                Ok(()) => ready.set(true),
                // Who was refused has no seat and no ticket to rely on: one refusal is counted, not a hundred.
                Err(code) => return seen.board.refused(&code),
            }
        }
    };
    tokio::select! {
        () = visits => {}
        () = stop.notified() => {}
    }
}

/// Queues, is seated and leaves; the code of what came instead.
async fn play_once(player: &mut Player, due: Instant, seen: &Seen) -> Result<(), String> {
    let mut text = Vec::new();
    ask(&mut text, "matchmaker.add", 0, &seen.add);
    player.sender.text(&text);
    let _ = player.sender.flush_now();
    seen.waiting.set(seen.waiting.get() + 1);
    let seated = seated(&mut player.receiver, due, seen).await;
    seen.waiting.set(seen.waiting.get() - 1);
    seated?;
    ask(&mut text, "match.leave", 1, "{}");
    player.sender.text(&text);
    let _ = player.sender.flush_now();
    until(&mut player.receiver, "match.left").await.map(drop).map_err(|why| why.code())
}

/// Waits for the seat; the code of what came instead.
async fn seated(receiver: &mut Receiver, due: Instant, seen: &Seen) -> Result<(), String> {
    loop {
        match receiver.next().await {
            Ok(Event::Text(range)) => {
                let text = receiver.bytes(range);
                let now = Instant::now();
                match &*kind(text) {
                    "matchmaker.queued" => seen.queued.record(due, now - due),
                    "match.matched" => {
                        seen.matched.record(due, now - due);
                        seen.board.answered(due, 1);
                        return Ok(());
                    }
                    kind if sign_in::says_no(kind) => {
                        return Err(refusal(&String::from_utf8_lossy(text)).unwrap_or_default());
                    }
                    _ => {}
                }
            }
            Ok(Event::Binary(_)) => {}
            Ok(Event::Closed(code)) => return Err(format!("closed:{code}")),
            Err(_) => return Err("broken".into()),
        }
    }
}
