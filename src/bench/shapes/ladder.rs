//! `ladder`: the load is raised step by step until a latency breaks its limit, something is refused, or the load
//! generator itself has no more to give. The last step that held is the knee.

use std::time::Duration;

use serde::Serialize;

use super::echo::{Via, links};
use super::paced::Lines;
use super::ticks::Ticks;
use crate::bench::board::Board;
use crate::bench::figures::{Better, Round};
use crate::bench::stage::{mode_config, seat};
use crate::bench::{BenchError, Cx, Wire};

/// What is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Matches: states per second, held against how far they are off the schedule
    Ticks,
    /// Messages per second through `/ws/echo`, held against their latency
    Paced,
}

/// Raise the load until its 99th percentile breaks, and say where
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Ladder {
    /// What is raised
    #[arg(long, value_enum, default_value_t = Of::Ticks)]
    of: Of,
    /// The 99th percentile that must hold, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5.0, value_parser = super::rate)]
    p99_ms: f64,
    /// The first step: states or messages per second
    #[arg(long, value_name = "N", default_value_t = 15_000.0, value_parser = super::rate)]
    from: f64,
    /// Each step's part of the one before
    #[arg(long, value_name = "X", default_value_t = 1.25, value_parser = factor)]
    by: f64,
    /// Steps at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    steps: u32,
    /// Players per match, or connections in all
    #[arg(long, value_name = "N", help = "Players per match (10), or connections in all (1000)")]
    players: Option<u32>,
    /// Ticks per second of the matches
    #[arg(long, value_name = "HZ", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=128))]
    hz: u32,
    /// Inputs per second and player
    #[arg(long, value_name = "HZ", default_value_t = 0.0, value_parser = super::rate)]
    inputs_per_s: f64,
    /// The mode to play; a server given by address must have it, of as many players and ticks
    #[arg(long, value_name = "NAME", default_value = "bench")]
    mode: String,
    /// Through what messages go round, where those are raised
    #[arg(long, value_enum, default_value_t = Via::Echo)]
    via: Via,
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (1.01..=10.0).contains(&factor) => Ok(factor),
        _ => Err("expected a factor, 1.01 to 10".into()),
    }
}

impl Ladder {
    pub(super) fn cases(&self) -> Vec<String> {
        let what = match self.of {
            Of::Ticks => format!("states of {} players at {} Hz", self.players_of_match(), self.hz),
            Of::Paced => format!("messages over {} connections", self.connections()),
        };
        vec![format!("{what}, p99 within {} ms", self.p99_ms)]
    }

    pub(super) fn has_floor(&self) -> bool {
        self.of == Of::Ticks || self.via == Via::Echo
    }

    pub(super) fn server_config(&self) -> String {
        match self.of {
            Of::Ticks => mode_config(&self.mode, self.players_of_match(), self.hz, 0),
            Of::Paced => String::new(),
        }
    }

    fn players_of_match(&self) -> u32 {
        self.players.unwrap_or(10).clamp(1, 1_000)
    }

    fn connections(&self) -> u32 {
        self.players.unwrap_or(1_000).clamp(1, 100_000)
    }

    pub(super) async fn round(&self, cx: &Cx<'_>) -> Result<Round, BenchError> {
        let admission = Board::new(Duration::ZERO, Duration::ZERO);
        let mut rung = match self.of {
            Of::Ticks => {
                let ticks = Ticks {
                    matches: 0,
                    players: self.players_of_match(),
                    hz: self.hz,
                    inputs_per_s: self.inputs_per_s,
                    state_bytes: 0,
                    wire: Wire::Json,
                    mode: self.mode.clone(),
                    first_player: 0,
                };
                Rung::Ticks(ticks, Vec::new())
            }
            Of::Paced => {
                let links = links(self.via, cx, self.connections(), &admission).await?;
                Rung::Paced(Lines::new(links, self.via, 64))
            }
        };
        // Who did not get in before the first step is missing on all of them.
        let missing = admission.refusals();
        let (mut load, mut steps, mut held, mut why) = (self.from, Vec::new(), None, "it has no more steps".to_owned());
        let mut is_servers_end = false;
        for n in 0..self.steps {
            let progress = |what: &str| (cx.progress)(&format!("step {}, {load:.0}/s: {what}", n + 1));
            let cx = Cx { target: cx.target, timing: cx.timing, progress: &progress };
            let (asked, delivered, round) = match rung.climb(&cx, load, &admission).await {
                // To take in no more than can be served in order is what a server should do at its end.
                Err(BenchError::Refused { what, code }) if held.is_some() => {
                    why = format!("the server refused more ({what}: {code})");
                    is_servers_end = true;
                    break;
                }
                climbed => climbed?,
            };
            let seen = round.latencies.first().filter(|seen| !seen.histogram.is_empty());
            let Some(seen) = seen else {
                return Err(BenchError::unexpected(
                    "nothing came whose latency could be told, so no limit could break",
                ));
            };
            let p99_us = seen.histogram.value_at_quantile(0.99) as f64 / 1e3;
            let cpu =
                round.figures.iter().find(|figure| figure.name == "server CPU").map_or(0.0, |figure| figure.value);
            steps.push([asked, delivered, p99_us, cpu]);
            let broke = if !round.refused.is_empty() {
                Some("something was refused")
            } else if p99_us > self.p99_ms * 1e3 {
                Some("the 99th percentile broke")
            } else if delivered < asked * 0.98 {
                Some("less came than was asked for")
            } else {
                None
            };
            let full = round.notes.iter().any(|note| note.contains("load generator"));
            match (broke, full) {
                (Some(broke), _) => {
                    why = broke.to_owned();
                    is_servers_end = true;
                    if held.is_none() {
                        held = Some((asked, 0.0, round));
                    }
                    break;
                }
                (None, true) => {
                    why = "the load generator has no more to give".to_owned();
                    held = Some((asked, delivered, round));
                    break;
                }
                (None, false) => held = Some((asked, delivered, round)),
            }
            load *= self.by;
        }
        let Some((_, delivered, mut round)) = held else { return Err(BenchError::unexpected("no step was taken")) };
        // What was refused beyond the knee is why it is the knee; up to it, nothing may be.
        round.tell("knee", "/s", Better::Higher, delivered);
        let cpu = round.figures.iter().find(|figure| figure.name == "server CPU").map_or(0.0, |figure| figure.value);
        // Where the load ended first, what the server would have done with the rest of its core was not seen.
        if cpu > 0.0 && is_servers_end {
            round.tell("knee, per core of server CPU", "/s", Better::Higher, delivered / cpu * 100.0);
        }
        round.steps = steps;
        round.notes.push(format!("the ladder ended because {why}"));
        for (code, count) in missing {
            *round.refused.entry(code).or_default() += count;
        }
        Ok(round)
    }
}

/// What carries the load, growing.
enum Rung {
    Ticks(Ticks, Vec<crate::bench::stage::Seat>),
    Paced(Lines),
}

impl Rung {
    /// Takes one step: what was asked for, what came, and the round of it.
    async fn climb(&mut self, cx: &Cx<'_>, load: f64, admission: &Board) -> Result<(f64, f64, Round), BenchError> {
        match self {
            Self::Ticks(ticks, seats) => {
                let matches = (load / f64::from(ticks.players * ticks.hz)).round().max(1.0) as usize;
                let wanted = matches * ticks.players as usize;
                if wanted > seats.len() {
                    seats.extend(seat(cx, &ticks.mode, seats.len(), wanted - seats.len(), admission).await?);
                }
                let round = ticks.measure(cx, seats).await?;
                let delivered = round.figures.iter().find(|figure| figure.name == "states received");
                let delivered = delivered.map_or(0.0, |figure| figure.value);
                Ok((wanted as f64 * f64::from(ticks.hz), delivered, round))
            }
            Self::Paced(lines) => {
                let round = lines.measure(cx, load).await?;
                let delivered = round.figures.first().map_or(0.0, |figure| figure.value);
                Ok((load, delivered, round))
            }
        }
    }
}
