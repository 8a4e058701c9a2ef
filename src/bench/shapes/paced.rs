//! `paced`: an open loop. Messages leave when they were meant to, whether or not the server kept up, and their latency
//! counts from that moment. A server that pauses for 50 ms shows it here, as it would show a player.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;

use super::echo::{Message, Via, links};
use crate::bench::board::{Board, Recorder};
use crate::bench::figures::Better;
use crate::bench::link::{Event, Receiver, Sender};
use crate::bench::pace::pace;
use crate::bench::process::watch;
use crate::bench::{BenchError, Cx, Round};
use crate::client::ClientError;

/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Latency of messages that leave when they are due, whether or not the server keeps up
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Paced {
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Messages per second and connection
    #[arg(long, value_name = "HZ", default_value_t = 8.0, value_parser = super::rate)]
    per_s: f64,
    /// Bytes per message, 24 and more
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(24..=1_048_576))]
    size: u32,
    /// Through what a message goes round
    #[arg(long, value_enum, default_value_t = Via::Echo)]
    via: Via,
}

impl Paced {
    pub(super) fn cases(&self) -> Vec<String> {
        vec![format!("{} connections x {}/s, {} B", self.connections, self.per_s, self.size)]
    }

    pub(super) fn signed_in(&self) -> bool {
        self.via == Via::Heartbeat
    }

    pub(super) async fn round(&self, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let admission = Board::new(Duration::ZERO, Duration::ZERO);
        let links = links(self.via, cx, self.connections, &admission).await?;
        let mut lines = Lines::new(links, self.via, self.size as usize);
        let mut round = lines.measure(cx, f64::from(self.connections) * self.per_s).await?;
        for (code, count) in admission.refusals() {
            *round.refused.entry(code).or_default() += count;
        }
        Ok(round)
    }
}

/// Connections that stay over several measurements.
pub(super) struct Lines {
    /// Each with its message and the number of the next one.
    lines: Vec<Line>,
}

struct Line {
    sender: Sender,
    receiver: Receiver,
    message: Message,
    next: u64,
}

/// One connection's messages under way, shared between who sends and who listens.
struct UnderWay {
    sender: Sender,
    message: RefCell<Message>,
    next: std::cell::Cell<u64>,
    due: RefCell<VecDeque<Instant>>,
}

impl Lines {
    pub(super) fn new(links: Vec<(Sender, Receiver)>, via: Via, size: usize) -> Self {
        let line = |(sender, receiver)| Line { sender, receiver, message: Message::new(via, size), next: 0 };
        Self { lines: links.into_iter().map(line).collect() }
    }

    /// Sends `per_s` messages a second over all of them, evenly. Connections that break are gone afterwards.
    pub(super) async fn measure(&mut self, cx: &Cx<'_>, per_s: f64) -> Result<Round, BenchError> {
        let board = Board::new(cx.timing.warm_up, cx.timing.measured);
        let recorder = board.recorder("round trip, from when it was due");
        let late = board.recorder("how late the load itself was");
        let stop = Rc::new(Notify::new());
        let mut under_way = Vec::new();
        let mut listening = Vec::new();
        for Line { sender, receiver, message, next } in self.lines.drain(..) {
            let way = Rc::new(UnderWay {
                sender,
                message: RefCell::new(message),
                next: next.into(),
                due: RefCell::default(),
            });
            under_way.push(way.clone());
            listening.push(tokio::task::spawn_local(listen(
                way,
                receiver,
                board.clone(),
                recorder.clone(),
                stop.clone(),
            )));
        }
        let count = under_way.len() as u64;
        let sent = under_way.clone();
        let (board_of_pace, pace_late) = (board.clone(), late.clone());
        let pacing = tokio::task::spawn_local(async move {
            pace(&board_of_pace, per_s, &pace_late, |n, due| {
                let way = &sent[(n % count) as usize];
                way.due.borrow_mut().push_back(due);
                let number = way.next.replace(way.next.get() + 1);
                way.sender.text(way.message.borrow_mut().numbered(number));
                board_of_pace.sent(due, 1);
                // What does not fit now goes with the next; a connection that is gone is told of where it is listened to.
                let _ = way.sender.flush_now();
            })
            .await
        });
        let usage = watch(cx, &board, || format!("p99 {:.0} us", recorder.p99().as_secs_f64() * 1e6)).await;
        pacing.await.map_err(|_| BenchError::unexpected("the load stopped"))??;
        let patience = Instant::now() + LAST_ANSWERS;
        let waits = || under_way.iter().any(|way| !way.due.borrow().is_empty());
        while waits() && Instant::now() < patience {
            for way in &under_way {
                let _ = way.sender.flush_now();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.notify_waiters();
        for (task, way) in listening.into_iter().zip(under_way) {
            let unanswered = way.due.borrow().len();
            (0..unanswered).for_each(|_| board.refused("unanswered"));
            if let Ok(Some(receiver)) = task.await {
                let way = Rc::try_unwrap(way).ok();
                self.lines.extend(way.map(|way| Line {
                    sender: way.sender,
                    receiver,
                    message: way.message.into_inner(),
                    next: way.next.get(),
                }));
            }
        }
        let mut round = Round::of(&board, &[&recorder, &late], &usage);
        round.tell("answered", "/s", Better::Higher, round.answered as f64 / usage.measured_s);
        round.tell_usage(&usage, "round trip", round.answered);
        Ok(round)
    }
}

/// Listens until told to stop, and gives the connection back; `None` when it is gone.
async fn listen(
    way: Rc<UnderWay>,
    mut receiver: Receiver,
    board: Rc<Board>,
    recorder: Recorder,
    stop: Rc<Notify>,
) -> Option<Receiver> {
    let mut answered = way.next.get();
    let stopped = stop.notified();
    tokio::pin!(stopped);
    let mut hear = async |receiver: &mut Receiver| -> Result<Option<u16>, ClientError> {
        if receiver.fill().await? == 0 {
            return Ok(Some(1006));
        }
        let now = Instant::now();
        while let Some(event) = receiver.next_now()? {
            let answer = match event {
                Event::Text(range) | Event::Binary(range) => receiver.bytes(range),
                Event::Closed(code) => return Ok(Some(code)),
            };
            let Some(due) = way.due.borrow_mut().pop_front() else { continue };
            match way.message.borrow_mut().check(answered, answer) {
                Ok(()) => {
                    recorder.record(due, now - due);
                    board.answered(due, 1);
                }
                Err(code) => board.refused(&code),
            }
            answered += 1;
        }
        Ok(None)
    };
    loop {
        let heard = tokio::select! {
            heard = hear(&mut receiver) => heard,
            () = &mut stopped => return Some(receiver),
        };
        match heard {
            Ok(None) => {}
            Ok(Some(code)) => {
                board.refused(&format!("closed:{code}"));
                return None;
            }
            Err(_) => {
                board.refused("broken");
                return None;
            }
        }
    }
}
