//! `soak`: a long day. Matches that tick, matches that vote and visitors who come and go, all at once on one server, for
//! as long as one has patience (`--seconds 3600 --rounds 1`). Memory is looked at all the while; every input, cast and
//! visit has to be answered, and every start and result of a vote has to reach all of its match.

use std::time::Duration;

use serde::Serialize;

use super::churn::Churn;
use super::ticks::Ticks;
use super::votes::Votes;
use crate::bench::board::Board;
use crate::bench::figures::Better;
use crate::bench::process::watch;
use crate::bench::{BenchError, Cx, Round, Wire};

/// Ticks, votes and visits together, for as long as asked: whether memory stays flat and nothing is lost
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Soak {
    /// Matches that tick, at 20 Hz
    #[arg(long, value_name = "M", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    matches: u32,
    /// Players in each of them, with 5 inputs a second each
    #[arg(long, value_name = "P", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    players: u32,
    /// Matches of two that vote all the time
    #[arg(long, value_name = "M", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    vote_matches: u32,
    /// Casts per second in all of those
    #[arg(long, value_name = "N", default_value_t = 200.0, value_parser = super::rate)]
    casts_per_s: f64,
    /// Fail when the server holds more than so many MiB more in the last quarter than in the first, of what is measured
    /// after --settle-s
    #[arg(long, value_name = "MIB", value_parser = super::rate)]
    flat_within: Option<f64>,
    /// Seconds that memory may take to fill up what every session may ask for again, and that do not count for flatness
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = super::rate)]
    settle_s: f64,
    /// Visitors who come and go
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    visitors: u32,
    /// Milliseconds that a visitor stays away between two visits; with 0 signing in takes all that a core has left
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    pause_ms: u64,
}

impl Soak {
    pub(super) fn cases(&self) -> Vec<String> {
        vec![format!(
            "{} matches x {} players, {} voting matches, {} visitors",
            self.matches, self.players, self.vote_matches, self.visitors
        )]
    }

    pub(super) fn server_config(&self) -> String {
        let (ticks, votes, churn) = self.parts();
        format!("{}{}{}", ticks.server_config(), votes.server_config(), churn.server_config())
    }

    /// The three, each with accounts of its own.
    fn parts(&self) -> (Ticks, Votes, Churn) {
        let ticks = Ticks {
            matches: self.matches,
            players: self.players,
            hz: 20,
            inputs_per_s: 5.0,
            state_bytes: 0,
            wire: Wire::Json,
            mode: "bench".into(),
            first_player: 0,
        };
        let voters = (self.matches * self.players) as usize;
        let votes = Votes {
            matches: self.vote_matches,
            players: 2,
            casts_per_s: self.casts_per_s,
            // A match holds so many votes that these last for more than an hour.
            window_ms: 4_000,
            method: "plurality".into(),
            first_player: voters,
        };
        let churn = Churn {
            visitors: self.visitors,
            mode: "bench_churn".into(),
            no_match: false,
            pause_ms: self.pause_ms,
            first_player: voters + 2 * self.vote_matches as usize,
        };
        (ticks, votes, churn)
    }

    pub(super) async fn round(&self, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let (ticks, votes, churn) = self.parts();
        let quiet = |_: &str| {};
        let inner = Cx { target: cx.target, timing: cx.timing, progress: &quiet };
        let board = Board::new(cx.timing.warm_up, cx.timing.measured);
        let (usage, ticks, votes, churn) = tokio::join!(
            watch(cx, &board, || "ticks, votes and visits".to_owned()),
            Box::pin(ticks.round(&inner)),
            Box::pin(votes.round(&inner)),
            Box::pin(churn.round(&inner)),
        );
        let mut round = Round::of(&board, &[], &usage);
        for part in [ticks?, votes?, churn?] {
            let news: Vec<_> = part.notes.into_iter().filter(|note| !round.notes.contains(note)).collect();
            round.notes.extend(news);
            round.sent += part.sent;
            round.answered += part.answered;
            for (code, count) in part.refused {
                *round.refused.entry(code).or_default() += count;
            }
            let own = ["states received", "casts", "visits", "mean period error"];
            round.figures.extend(part.figures.into_iter().filter(|figure| own.contains(&&*figure.name)));
            for latency in part.latencies {
                round.add_latency(latency);
            }
        }
        if let Some(gained) = gained_mib(&usage.memory_over_time, self.settle_s) {
            round.tell("memory gained, first quarter to last", "MiB", Better::Lower, gained);
            round.faults.extend(grown(gained, self.flat_within));
        }
        round.tell_usage(&usage, "answer", 0);
        if cx.timing.measured < Duration::from_secs(600) {
            round.notes.push(
                "sessions of those who left are kept for a minute, and what others may ask for again after a resume fills \
                 up for some more: in less than ten, memory has not settled"
                    .into(),
            );
        }
        Ok(round)
    }
}

/// What is wrong with having gained so much, if it is more than allowed.
fn grown(gained_mib: f64, flat_within_mib: Option<f64>) -> Option<String> {
    let allowed = flat_within_mib.filter(|allowed| gained_mib > *allowed)?;
    Some(format!("the server's memory grew by {gained_mib:.1} MiB, more than the {allowed} allowed by --flat-within"))
}

/// The mean of the last quarter less that of the first, of what came after so many seconds.
fn gained_mib(memory: &[[f64; 2]], settle_s: f64) -> Option<f64> {
    let memory = &memory[memory.partition_point(|point| point[0] < settle_s)..];
    let quarter = memory.len().div_ceil(4);
    let mean = |part: &[[f64; 2]]| part.iter().map(|point| point[1]).sum::<f64>() / part.len() as f64;
    (quarter > 0).then(|| mean(&memory[memory.len() - quarter..]) - mean(&memory[..quarter]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_gained_is_between_the_quarters() {
        let memory = [1.0, 2.0, 10.0, 12.0, 50.0, 50.0, 50.0, 50.0, 20.0, 22.0];
        let memory: Vec<_> = (0..).zip(memory).map(|(at, mib)| [f64::from(at), mib]).collect();
        assert_eq!(gained_mib(&memory, 2.0), Some(10.0));
        assert_eq!(gained_mib(&memory[2..], 0.0), Some(10.0));
        assert_eq!(gained_mib(&memory, 10.0), None);
        assert_eq!((gained_mib(&[], 0.0), gained_mib(&[[0.0, 5.0]], 0.0)), (None, Some(0.0)));
        assert!(grown(10.0, Some(9.5)).is_some());
        assert_eq!((grown(9.5, Some(9.5)), grown(-3.0, Some(0.0)), grown(10.0, None)), (None, None, None));
    }
}
