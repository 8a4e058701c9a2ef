//! `echo`: a closed loop. Every connection keeps so many messages in flight and sends the next when one is answered.
//! It tells what a round trip costs; it cannot tell how late a server is under a load that does not wait for it, which
//! is what `paced` is for.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::board::{Board, Recorder};
use crate::bench::figures::Better;
use crate::bench::link::{Event, Receiver, Sender};
use crate::bench::process::watch;
use crate::bench::sign_in::{self, refusal};
use crate::bench::{BenchError, Cx, Round};
use crate::client::ClientError;

/// How long unanswered messages are waited for after the window closed.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Through what a message goes round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// `/ws/echo`: the socket code alone; it says everything back
    Echo,
    /// `/ws`, signed in: `session.heartbeat`, which every server of the protocol answers
    Heartbeat,
}

/// Round trips per second: every connection sends, waits for the answer, and sends again; pipelined too
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Echo {
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Messages in flight per connection; several depths are measured one after another
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [1, 16], value_parser = clap::value_parser!(u32).range(1..=4_096))]
    depth: Vec<u32>,
    /// Bytes per message, 24 and more; several sizes are measured one after another
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [64], value_parser = clap::value_parser!(u32).range(24..=1_048_576))]
    size: Vec<u32>,
    /// Through what a message goes round
    #[arg(long, value_enum, default_value_t = Via::Echo)]
    via: Via,
}

impl Echo {
    fn plan(&self) -> impl Iterator<Item = (u32, u32)> {
        self.size.iter().flat_map(|size| self.depth.iter().map(|depth| (*depth, *size)))
    }

    pub(super) fn cases(&self) -> Vec<String> {
        self.plan()
            .map(|(depth, size)| match depth {
                1 => format!("one in flight, {size} B"),
                _ => format!("{depth} in flight, {size} B"),
            })
            .collect()
    }

    pub(super) fn signed_in(&self) -> bool {
        self.via == Via::Heartbeat
    }

    pub(super) async fn round(&self, case: usize, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let (depth, size) = self.plan().nth(case).unwrap_or((1, 64));
        let admission = Board::new(Duration::ZERO, Duration::ZERO);
        let links = links(self.via, cx, self.connections, &admission).await?;
        let board = Board::new(cx.timing.warm_up, cx.timing.measured);
        board.carry(&admission);
        let recorder = board.recorder("round trip");
        let talks: Vec<_> = links
            .into_iter()
            .map(|(sender, receiver)| {
                let talk = Talk {
                    message: Message::new(self.via, size as usize),
                    depth: depth as usize,
                    board: board.clone(),
                    recorder: recorder.clone(),
                    in_flight: VecDeque::with_capacity(depth as usize),
                };
                tokio::task::spawn_local(talk.run(sender, receiver))
            })
            .collect();
        let began = Instant::now();
        let usage = watch(cx, &board, || {
            let per_s = board.answered_ever.get() as f64 / began.elapsed().as_secs_f64();
            format!("{per_s:.0} round trips/s")
        })
        .await;
        let last = board.until() + LAST_ANSWERS;
        for talk in talks {
            if tokio::time::timeout_at(last.into(), talk).await.is_err() {
                board.refused("unanswered");
            }
        }
        let mut round = Round::of(&board, &[&recorder], &usage);
        round.tell("round trips", "/s", Better::Higher, round.answered as f64 / usage.measured_s);
        round.tell_usage(&usage, "round trip", round.answered);
        Ok(round)
    }
}

/// The connections of a round through `via`.
pub(super) async fn links(
    via: Via,
    cx: &Cx<'_>,
    count: u32,
    board: &Board,
) -> Result<Vec<(Sender, Receiver)>, BenchError> {
    match via {
        Via::Echo => sign_in::sockets(&cx.target.base, "/ws/echo", count as usize, board).await,
        Via::Heartbeat => {
            let players = sign_in::players(cx.target, count as usize, board).await?;
            Ok(players.into_iter().map(|player| (player.sender, player.receiver)).collect())
        }
    }
}

/// A numbered message and how its answer is known.
pub(super) struct Message {
    via: Via,
    text: Vec<u8>,
}

/// Digits of a message's number.
const DIGITS: usize = 16;

impl Message {
    /// Messages of `size` bytes, as far as their form lets them be that short.
    pub(super) fn new(via: Via, size: usize) -> Self {
        let text = match via {
            Via::Echo => vec![b'.'; size],
            Via::Heartbeat => {
                let zero = "0".repeat(DIGITS);
                let mut text =
                    format!("{{\"cid\":\"{zero}\",\"type\":\"session.heartbeat\",\"payload\":{{}}}}").into_bytes();
                // White space is JSON: a longer message costs what its bytes cost.
                text.resize(text.len().max(size), b' ');
                text
            }
        };
        Self { via, text }
    }

    fn number_at(&self) -> usize {
        match self.via {
            Via::Echo => 0,
            Via::Heartbeat => "{\"cid\":\"".len(),
        }
    }

    /// The message of this number.
    pub(super) fn numbered(&mut self, n: u64) -> &[u8] {
        let at = self.number_at();
        for (place, digit) in self.text[at..at + DIGITS].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(n >> (4 * (DIGITS - 1 - place)) & 15) as usize];
        }
        &self.text
    }

    /// What an answer comes to, which should be the one to message `n`; else the code it is counted under.
    pub(super) fn check(&mut self, n: u64, answer: &[u8]) -> Result<(), String> {
        let right = match self.via {
            Via::Echo => answer == self.numbered(n),
            Via::Heartbeat => {
                let at = self.number_at();
                let cid = &self.numbered(n)[at..at + DIGITS];
                let ours = answer.strip_prefix(b"{\"type\":\"session.heartbeat\",\"cid\":\"");
                ours.is_some_and(|rest| rest.starts_with(cid)) || is_heartbeat(answer, cid)
            }
        };
        match right {
            true => Ok(()),
            false => Err(refusal(&String::from_utf8_lossy(answer)).unwrap_or_else(|| "wrong_answer".into())),
        }
    }
}

/// The same for a server that writes its fields in another order.
fn is_heartbeat(answer: &[u8], cid: &[u8]) -> bool {
    let text = std::str::from_utf8(answer).unwrap_or_default();
    crate::wire::client::Incoming::read(text).is_ok_and(|frame| {
        frame.kind == "session.heartbeat"
            && frame.cid.is_some_and(|said| said.get().as_bytes().get(1..=DIGITS) == Some(cid))
    })
}

/// One connection's closed loop.
struct Talk {
    message: Message,
    depth: usize,
    board: Rc<Board>,
    recorder: Recorder,
    in_flight: VecDeque<Instant>,
}

impl Talk {
    async fn run(mut self, sender: Sender, mut receiver: Receiver) {
        let ended = self.talk(&sender, &mut receiver).await;
        match ended {
            Ok(Some(code)) => self.board.refused(&format!("closed:{code}")),
            Ok(None) => {}
            Err(_) => self.board.refused("broken"),
        }
        sender.close();
    }

    /// Talks until the window has closed and everything is answered; the close code if the server closed before.
    async fn talk(&mut self, sender: &Sender, receiver: &mut Receiver) -> Result<Option<u16>, ClientError> {
        let (mut asked, mut answered) = (0, 0);
        let mut now = Instant::now();
        loop {
            if now < self.board.until() {
                let room = self.depth - self.in_flight.len();
                for _ in 0..room {
                    sender.text(self.message.numbered(asked));
                    asked += 1;
                    self.in_flight.push_back(now);
                }
                self.board.sent(now, room as u64);
            } else if self.in_flight.is_empty() {
                return Ok(None);
            }
            sender.flush().await?;
            if receiver.fill().await? == 0 {
                return Ok(Some(1006));
            }
            now = Instant::now();
            while let Some(event) = receiver.next_now()? {
                let answer = match event {
                    Event::Text(range) | Event::Binary(range) => receiver.bytes(range),
                    Event::Closed(code) => return Ok(Some(code)),
                };
                let Some(sent) = self.in_flight.pop_front() else { continue };
                match self.message.check(answered, answer) {
                    Ok(()) => {
                        self.recorder.record(now, now - sent);
                        self.board.answered(now, 1);
                    }
                    Err(code) => self.board.refused(&code),
                }
                answered += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_one_to_its_question_or_counted_as_what_it_is() {
        let mut echo = Message::new(Via::Echo, 24);
        let said = echo.numbered(0xa1).to_vec();
        assert_eq!(said.len(), 24);
        assert_eq!(echo.check(0xa1, &said), Ok(()));
        assert_eq!(echo.check(0xa2, &said), Err("wrong_answer".into()));

        let mut pulse = Message::new(Via::Heartbeat, 100);
        assert_eq!(pulse.numbered(7).len(), 100);
        for right in [
            r#"{"type":"session.heartbeat","cid":"0000000000000007","payload":{"ts":1}}"#,
            r#"{"cid":"0000000000000007","payload":{"ts":1},"type":"session.heartbeat"}"#,
        ] {
            assert_eq!(pulse.check(7, right.as_bytes()), Ok(()), "{right}");
            assert_eq!(pulse.check(8, right.as_bytes()), Err("wrong_answer".into()));
        }
        let refused = br#"{"type":"error","cid":"0000000000000007","payload":{"reason":"rate_limited","error":{"code":"rate_limited"}}}"#;
        assert_eq!(pulse.check(7, refused), Err("rate_limited".into()));
        assert_eq!(pulse.check(7, b""), Err("wrong_answer".into()));
    }
}
