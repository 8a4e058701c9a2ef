//! `idle`: what a connection costs that does nothing. Memory of the server's process, exact, before and after so many
//! came; what the kernel holds for their sockets is named apart, since no process shows it and both ends of a local
//! connection are in it.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::echo::Via;
use crate::bench::board::Board;
use crate::bench::figures::Better;
use crate::bench::process::{kernel_kib, rss_kib_exact, watch};
use crate::bench::sign_in::{self, Came};
use crate::bench::{BenchError, Cx, Round};

/// Connections that come and stay before anything is counted: what they make the server allocate is not per connection.
const FIRST: usize = 16;

/// How long memory is left to settle before it is counted.
const SETTLE: Duration = Duration::from_millis(500);

/// Memory per connection that does nothing
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Idle {
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// Where they come to: signed in at /ws, or at /ws/echo, where nobody is anybody
    #[arg(long, value_enum, default_value_t = Via::Heartbeat)]
    via: Via,
}

impl Idle {
    pub(super) fn cases(&self) -> Vec<String> {
        let what = if self.signed_in() { "signed in" } else { "bare" };
        vec![format!("{} {what} connections", self.connections)]
    }

    pub(super) fn signed_in(&self) -> bool {
        self.via == Via::Heartbeat
    }

    pub(super) async fn round(&self, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let (base, count) = (&cx.target.base, self.connections as usize);
        // The window is all there is: coming in is measured too.
        let board = Board::new(Duration::ZERO, Duration::from_secs(24 * 3_600));
        // Accounts are there before anything is counted: they belong to the store, not to a connection.
        let mut tokens = Vec::new();
        if self.signed_in() {
            (cx.progress)("accounts");
            for came in sign_in::together(FIRST + count, async |n| sign_in::token(cx.target, n).await).await? {
                match came {
                    Came::In(token) => tokens.push(token),
                    Came::Refused(code) => return Err(BenchError::refused("no account", code)),
                }
            }
        }
        let recorder = board.recorder("connect");
        let come = async |n: usize| {
            let began = Instant::now();
            let came = match tokens.get(n) {
                Some(token) => match sign_in::connect(cx.target, token).await? {
                    Came::In(player) => Came::In((player.sender, player.receiver)),
                    Came::Refused(code) => Came::Refused(code),
                },
                None => sign_in::open(base, "/ws/echo").await?,
            };
            Ok::<_, BenchError>((came, began))
        };
        let mut there = Vec::new();
        for n in 0..FIRST {
            match come(n).await? {
                (Came::In(halves), _) => there.push(stay(halves)),
                (Came::Refused(code), _) => board.refused(&code),
            }
        }
        tokio::time::sleep(SETTLE).await;
        let before = (cx.target.process.and_then(rss_kib_exact), kernel_kib());
        let began = Instant::now();
        let came = sign_in::together(count, async |n| {
            let (came, began) = come(FIRST + n).await?;
            let now = Instant::now();
            board.sent(began, 1);
            if matches!(came, Came::In(_)) {
                recorder.record(now, now - began);
                board.answered(now, 1);
            }
            Ok(came)
        })
        .await?;
        let took = began.elapsed();
        for came in came {
            match came {
                Came::In(halves) => there.push(stay(halves)),
                Came::Refused(code) => board.refused(&code),
            }
        }
        // What coming in left behind goes before it is counted, and idling costs CPU too: look at it for a while.
        tokio::time::sleep(SETTLE).await;
        let quiet = Board::new(cx.timing.warm_up, cx.timing.measured);
        let usage = watch(cx, &quiet, || format!("{} idle connections", there.len())).await;
        let after = (cx.target.process.and_then(rss_kib_exact), kernel_kib());
        for gone in there.iter().filter(|task| task.is_finished()) {
            gone.abort();
            board.refused("closed");
        }

        let mut round = Round::of(&board, &[&recorder], &usage);
        let each = |before: u64, after: u64| (after as f64 - before as f64) / round.answered.max(1) as f64;
        let mut told = Vec::new();
        if let (Some(before), Some(after)) = (before.0, after.0) {
            told.push(("server memory per connection", Better::Lower, each(before, after)));
        }
        if let (true, Some(before), Some(after)) = (cx.target.process.is_some(), before.1, after.1) {
            told.push(("socket buffers per connection, both ends", Better::Neither, each(before.0, after.0)));
            told.push(("kernel objects per connection, both ends", Better::Neither, each(before.1, after.1)));
        }
        for (name, better, value) in told {
            round.tell(name, "KiB", better, value);
        }
        round.tell("connections made", "/s", Better::Higher, round.answered as f64 / took.as_secs_f64());
        round.tell_usage(&usage, "connection", 0);
        for task in there {
            task.abort();
        }
        Ok(round)
    }
}

/// Keeps a connection open and answers the server's pings.
fn stay(halves: (crate::bench::link::Sender, crate::bench::link::Receiver)) -> tokio::task::JoinHandle<()> {
    let (_sender, mut receiver) = halves;
    tokio::task::spawn_local(async move {
        use crate::bench::link::Event;
        while !matches!(receiver.next().await, Ok(Event::Closed(_)) | Err(_)) {}
    })
}
