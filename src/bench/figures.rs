//! What one round comes to: named figures with a unit and a direction, and latencies as whole histograms.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::board::{Board, Recorder};
use super::process::Usage;

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// It only says how things were.
    Neither,
}

/// One number of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it is of, in lowercase words.
    pub name: String,
    /// Its unit, such as `/s`, `us`, `% of a core`, `KiB`.
    pub unit: &'static str,
    /// Which way it is better.
    pub better: Better,
    /// The number.
    pub value: f64,
}

/// One latency of a round.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// From what to what.
    pub name: String,
    /// Nanoseconds, three significant digits.
    pub histogram: Histogram<u64>,
    /// How it went: seconds into the window, and the median, 99th percentile and maximum there in microseconds.
    pub over_time: Vec<[f64; 4]>,
}

/// What one round came to.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Its numbers, in the order in which they are told.
    pub figures: Vec<Figure>,
    /// Its latencies.
    pub latencies: Vec<Distribution>,
    /// Messages sent inside the window.
    pub sent: u64,
    /// Messages answered inside the window as they should be.
    pub answered: u64,
    /// Refusals of any time, by code.
    pub refused: BTreeMap<String, u64>,
    /// Seconds into the window, the server's share of a core and the load's, in percent.
    pub cpu_over_time: Vec<[f64; 3]>,
    /// Seconds into the window, the server's memory in MiB.
    pub memory_over_time: Vec<[f64; 2]>,
    /// Where the load was raised: what was asked for per second, what came, the 99th percentile in microseconds, the
    /// server's share of a core in percent.
    pub steps: Vec<[f64; 4]>,
    /// What a reader should know before believing the numbers.
    pub notes: Vec<String>,
    /// What must not be and was: a run with one of these has failed, whatever its numbers.
    pub faults: Vec<String>,
}

impl Round {
    /// A round of what a board and its recorders noted and a server used.
    pub fn of(board: &Board, recorders: &[&Recorder], usage: &Usage) -> Self {
        let mut round = Self {
            latencies: recorders.iter().map(|recorder| recorder.distribution()).collect(),
            sent: board.sent.get(),
            answered: board.answered.get(),
            refused: board.refusals(),
            cpu_over_time: usage.over_time.clone(),
            memory_over_time: usage.memory_over_time.clone(),
            ..Self::default()
        };
        if usage.load_is_full() {
            round.notes.push(
                "the load generator's own core was full: the server may be able to do more than these figures say"
                    .into(),
            );
        }
        round
    }

    /// Adds a figure.
    pub fn tell(&mut self, name: &str, unit: &'static str, better: Better, value: f64) {
        self.figures.push(Figure { name: name.to_owned(), unit, better, value });
    }

    /// Adds a latency; one that is there by that name takes it in.
    pub fn add_latency(&mut self, more: Distribution) {
        match self.latencies.iter_mut().find(|known| known.name == more.name) {
            // They have the same bounds, so nothing is out of range.
            Some(known) => drop(known.histogram.add(&more.histogram)),
            None => self.latencies.push(more),
        }
    }

    /// Adds what the server used, per one of the `count` things named `each`.
    pub fn tell_usage(&mut self, usage: &Usage, each: &str, count: u64) {
        if let Some(cpu_s) = usage.server_cpu_s {
            if count > 0 {
                self.tell(&format!("server CPU per {each}"), "us", Better::Lower, cpu_s * 1e6 / count as f64);
            }
            self.tell("server CPU", "% of a core", Better::Lower, cpu_s / usage.measured_s * 100.0);
        }
        if let Some(kib) = usage.rss_kib {
            self.tell("server memory", "MiB", Better::Lower, kib as f64 / 1024.0);
        }
        self.tell("load CPU", "% of a core", Better::Neither, usage.load_cpu_s / usage.measured_s * 100.0);
    }
}
