//! `churn`: a storm of whole visits. Sign in over HTTP, connect, authenticate, queue, be seated, leave, close, and again,
//! by so many visitors at once. What is measured is each step and whether memory comes back.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::board::{Board, Recorder};
use crate::bench::figures::Better;
use crate::bench::hear::ask;
use crate::bench::process::{rss_kib, watch};
use crate::bench::sign_in::{self, Came};
use crate::bench::stage::{mode_config, until};
use crate::bench::{BenchError, Cx, Round, Target};

/// A mode of its own, so that it can be played beside others.
const MODE: &str = "bench_churn";

/// Accounts per visitor: the next visit is by somebody whose last one is long over.
const ACCOUNTS_EACH: usize = 4;

/// How long visits that began in time may take to end.
const LAST_VISITS: Duration = Duration::from_secs(10);

/// Visits from sign-in to goodbye, as many at once as they say, over and over
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Churn {
    /// Visitors at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub(super) visitors: u32,
    /// The mode they queue for; a server given by address must have it, and begin it with one player
    #[arg(long, value_name = "NAME", default_value = MODE)]
    pub(super) mode: String,
    /// Visit without a match: sign in, connect, authenticate, close
    #[arg(long)]
    pub(super) no_match: bool,
    /// Milliseconds that a visitor stays away between two visits
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    pub(super) pause_ms: u64,
    /// Which of the load's accounts the first visitor has.
    #[arg(skip)]
    #[serde(skip)]
    pub(super) first_player: usize,
}

impl Churn {
    pub(super) fn cases(&self) -> Vec<String> {
        let what = if self.no_match { ", without a match" } else { "" };
        let pause = if self.pause_ms > 0 { format!(", {} ms apart", self.pause_ms) } else { String::new() };
        vec![format!("{} visitors at once{pause}{what}", self.visitors)]
    }

    pub(super) fn server_config(&self) -> String {
        // Alone in a match: a visit is about the server, not about who else comes.
        mode_config(&self.mode, 1, 10, 0)
    }

    pub(super) async fn round(&self, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let before = cx.target.process.and_then(rss_kib);
        let board = Board::new(cx.timing.warm_up, cx.timing.measured);
        let seen = Rc::new(Seen {
            account: board.recorder("sign in over HTTP"),
            connect: board.recorder("connect and authenticate"),
            matched: board.recorder("add to matched"),
            left: board.recorder("leave to left"),
            visit: board.recorder("whole visit"),
            board: board.clone(),
            mode: (!self.no_match).then(|| self.mode.clone()),
        });
        let visitors: Vec<_> = (0..self.visitors as usize)
            .map(|place| {
                let (target, seen, first) = (cx.target.clone(), seen.clone(), self.first_player);
                let pause = Duration::from_millis(self.pause_ms);
                tokio::task::spawn_local(async move {
                    let mut visits = 0;
                    while Instant::now() < seen.board.until() {
                        let account = first + place * ACCOUNTS_EACH + visits % ACCOUNTS_EACH;
                        if let Err(why) = visit(&target, account, &seen).await {
                            seen.board.refused(&why);
                        }
                        visits += 1;
                        if !pause.is_zero() {
                            tokio::time::sleep(pause).await;
                        }
                    }
                })
            })
            .collect();
        let usage = watch(cx, &board, || format!("{} visits", board.answered_ever.get())).await;
        let last = board.until() + LAST_VISITS;
        for visitor in visitors {
            if tokio::time::timeout_at(last.into(), visitor).await.is_err() {
                board.refused("unanswered");
            }
        }
        let latencies = [&seen.visit, &seen.account, &seen.connect, &seen.matched, &seen.left];
        let mut round = Round::of(&board, &latencies, &usage);
        round.tell("visits", "/s", Better::Higher, round.answered as f64 / usage.measured_s);
        round.tell_usage(&usage, "visit", round.answered);
        let after = cx.target.process.and_then(rss_kib);
        if let (Some(before), Some(after)) = (before, after) {
            let grown = (after as f64 - before as f64) / board.answered_ever.get().max(1) as f64;
            round.tell("memory kept per visit", "KiB", Better::Lower, grown);
        }
        Ok(round)
    }
}

struct Seen {
    account: Recorder,
    connect: Recorder,
    matched: Recorder,
    left: Recorder,
    visit: Recorder,
    board: Rc<Board>,
    /// What to queue for, if anything.
    mode: Option<String>,
}

/// One visit; what ended it early, if something did.
async fn visit(target: &Target, account: usize, seen: &Seen) -> Result<(), String> {
    let step = |came: Result<Came<_>, BenchError>| match came {
        Ok(Came::In(one)) => Ok(one),
        Ok(Came::Refused(code)) => Err(code),
        Err(why) => Err(why.code()),
    };
    let began = Instant::now();
    seen.board.sent(began, 1);
    let token = step(sign_in::token(target, account).await)?;
    let signed_in = Instant::now();
    seen.account.record(began, signed_in - began);
    let mut player = match sign_in::connect(target, &token).await {
        Ok(Came::In(player)) => player,
        Ok(Came::Refused(code)) => return Err(code),
        Err(why) => return Err(why.code()),
    };
    let connected = Instant::now();
    seen.connect.record(signed_in, connected - signed_in);
    let mut text = Vec::new();
    let mut ask_for = async |kind: &str, payload: &str, answer: &str| {
        ask(&mut text, kind, 1, payload);
        player.sender.text(&text);
        player.sender.flush().await.map_err(|_| "broken".to_owned())?;
        until(&mut player.receiver, answer).await.map(drop).map_err(|why| why.code())
    };
    if let Some(mode) = &seen.mode {
        ask_for("matchmaker.add", &format!("{{\"mode\":\"{mode}\"}}"), "match.matched").await?;
        let matched = Instant::now();
        seen.matched.record(connected, matched - connected);
        ask_for("match.leave", "{}", "match.left").await?;
        seen.left.record(matched, matched.elapsed());
    }
    player.sender.close();
    seen.visit.record(began, began.elapsed());
    seen.board.answered(began, 1);
    Ok(())
}
