//! What a whole measurement comes to: rounds folded into medians with their spread, and everything a stranger needs to
//! repeat it. This is what `--json` prints and what a report and a comparison read.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::figures::{Better, Round};
use super::machine::Machine;

/// The form of this file; a comparison refuses others.
pub const FORMAT: u32 = 1;

/// A measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The shape that was measured.
    pub shape: String,
    /// The command line.
    pub command: String,
    /// When it began, ISO 8601.
    pub started: String,
    /// The version of the program.
    pub version: String,
    /// The commit it was built from, where the build knew.
    pub commit: Option<String>,
    /// `release`, or `debug`, whose figures mean nothing.
    pub build: String,
    /// Where it ran.
    pub machine: Machine,
    /// Which core the server had, and which the load.
    pub placed: String,
    /// Rounds per case and subject.
    pub rounds: u32,
    /// Seconds of load before each round is noted.
    pub warm_up_s: f64,
    /// Seconds of each round that are noted.
    pub measured_s: f64,
    /// The shape's settings.
    pub settings: serde_json::Value,
    /// What the server that was started was configured as; `None` for one given by address.
    pub server_config: Option<String>,
    /// One per case and subject, in the order they were measured.
    pub results: Vec<Outcome>,
    /// Figures of one subject over those of another, where several were measured in the same run.
    pub ratios: Vec<Ratio>,
    /// What a reader should know before believing the numbers.
    pub notes: Vec<String>,
}

/// What one case of one subject came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Who was measured: `tessera`, `floor`, or a name given to another build.
    pub subject: String,
    /// Which case of the shape.
    pub case: String,
    /// Numbers.
    pub figures: Vec<FigureSeen>,
    /// Latencies.
    pub latencies: Vec<LatencySeen>,
    /// Messages, all rounds together.
    pub counts: Counts,
    /// Seconds (rounds one after another), the server's share of a core, the load's; percent.
    pub cpu_over_time: Vec<[f64; 3]>,
    /// Seconds (rounds one after another), the server's memory in MiB.
    #[serde(default)]
    pub memory_over_time: Vec<[f64; 2]>,
    /// Where the load was raised, every round's steps: asked for per second, delivered, p99 in microseconds, the
    /// server's share of a core in percent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<[f64; 4]>,
    /// What must not be and was, in any round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// Messages of all rounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Sent inside the windows.
    pub sent: u64,
    /// Answered inside the windows as they should be.
    pub answered: u64,
    /// Refused at any time, by code.
    pub refused: BTreeMap<String, u64>,
}

impl Counts {
    /// Refusals of any code.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// A number over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FigureSeen {
    /// What it is of.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Which way it is better.
    pub better: Better,
    /// Median and spread.
    #[serde(flatten)]
    pub seen: Spread,
}

/// A latency over the rounds, in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencySeen {
    /// From what to what.
    pub name: String,
    /// How many, all rounds together.
    pub count: u64,
    /// Mean.
    pub mean: Spread,
    /// Median.
    pub p50: Spread,
    /// 90th percentile.
    pub p90: Spread,
    /// 99th percentile.
    pub p99: Spread,
    /// 99.9th percentile.
    pub p999: Spread,
    /// Longest.
    pub max: Spread,
    /// All rounds together: quantile and microseconds, ever closer to 1.
    pub curve: Vec<[f64; 2]>,
    /// Seconds (rounds one after another), and p50, p99 and maximum there.
    pub over_time: Vec<[f64; 4]>,
}

/// A number over the rounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median of the rounds.
    pub median: f64,
    /// The least of them.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Each.
    pub rounds: Vec<f64>,
}

impl Spread {
    /// Of these rounds.
    pub fn of(rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        };
        let (min, max) = (sorted.first().copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0));
        Self { median, min, max, rounds }
    }
}

/// A figure of one subject over that of another: the median over the rounds, each of which measured both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Which case.
    pub case: String,
    /// Which figure.
    pub figure: String,
    /// Of whom.
    pub of: String,
    /// Over whose.
    pub over: String,
    /// The ratio.
    #[serde(flatten)]
    pub seen: Spread,
}

/// Folds the rounds of one case of one subject.
pub fn outcome(subject: &str, case: &str, rounds: &[Round], measured_s: f64) -> Outcome {
    let mut counts = Counts::default();
    for round in rounds {
        counts.sent += round.sent;
        counts.answered += round.answered;
        for (code, count) in &round.refused {
            *counts.refused.entry(code.clone()).or_default() += count;
        }
    }
    let offset = |n: usize| n as f64 * measured_s;
    let cpu_over_time = rounds.iter().enumerate().flat_map(|(n, round)| {
        round.cpu_over_time.iter().map(move |[at, server, load]| [at + offset(n), *server, *load])
    });
    let memory_over_time = rounds
        .iter()
        .enumerate()
        .flat_map(|(n, round)| round.memory_over_time.iter().map(move |[at, mib]| [at + offset(n), *mib]));
    Outcome {
        subject: subject.to_owned(),
        case: case.to_owned(),
        figures: figures(rounds),
        latencies: latencies(rounds, measured_s),
        counts,
        cpu_over_time: cpu_over_time.map(|point| point.map(rounded)).collect(),
        memory_over_time: memory_over_time.map(|point| point.map(rounded)).collect(),
        steps: rounds.iter().flat_map(|round| &round.steps).map(|step| step.map(rounded)).collect(),
        faults: rounds.iter().flat_map(|round| &round.faults).cloned().collect(),
    }
}

fn figures(rounds: &[Round]) -> Vec<FigureSeen> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let of = |name: &str| -> Vec<f64> {
        rounds
            .iter()
            .filter_map(|round| round.figures.iter().find(|f| f.name == name))
            .map(|f| rounded(f.value))
            .collect()
    };
    let seen = first.figures.iter().map(|figure| FigureSeen {
        name: figure.name.clone(),
        unit: figure.unit.to_owned(),
        better: figure.better,
        seen: Spread::of(of(&figure.name)),
    });
    seen.collect()
}

fn latencies(rounds: &[Round], measured_s: f64) -> Vec<LatencySeen> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let seen = first.latencies.iter().enumerate().filter_map(|(at, latency)| {
        let all: Vec<_> = rounds.iter().filter_map(|round| round.latencies.get(at)).collect();
        let mut together = latency.histogram.clone();
        for other in all.iter().skip(1) {
            // The same bounds everywhere: nothing in one does not fit into the other.
            let _ = together.add(&other.histogram);
        }
        if together.is_empty() {
            return None;
        }
        let spread = |of: &dyn Fn(&Histogram<u64>) -> f64| {
            Spread::of(all.iter().map(|seen| rounded(of(&seen.histogram) / 1e3)).collect())
        };
        let at_quantile = |q: f64| spread(&|seen| seen.value_at_quantile(q) as f64);
        let over_time = all.iter().enumerate().flat_map(|(n, seen)| {
            let offset = n as f64 * measured_s;
            seen.over_time.iter().map(move |[at, p50, p99, max]| [at + offset, *p50, *p99, *max].map(rounded))
        });
        Some(LatencySeen {
            name: latency.name.clone(),
            count: together.len(),
            mean: spread(&|seen| seen.mean()),
            p50: at_quantile(0.5),
            p90: at_quantile(0.9),
            p99: at_quantile(0.99),
            p999: at_quantile(0.999),
            max: spread(&|seen| seen.max() as f64),
            curve: curve(&together),
            over_time: over_time.collect(),
        })
    });
    seen.collect()
}

/// Points of the percentile curve, a tenth of a decade apart towards 1, as far as there are samples for them.
fn curve(seen: &Histogram<u64>) -> Vec<[f64; 2]> {
    let decades = (seen.len() as f64).log10();
    let steps = (decades * 10.0).floor() as u32;
    let points = (0..=steps).map(|step| 1.0 - 10f64.powf(-f64::from(step) / 10.0)).chain([1.0]);
    points.map(|q| [q, rounded(seen.value_at_quantile(q) as f64 / 1e3)]).collect()
}

/// Every figure of every subject over that of `over`, case by case.
pub fn ratios(results: &[(String, String, Vec<Round>)], over: &str) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for (subject, case, rounds) in results.iter().filter(|(subject, ..)| subject != over) {
        let Some((.., others)) = results.iter().find(|(other, of, _)| other == over && of == case) else { continue };
        let Some(first) = rounds.first() else { continue };
        for figure in first.figures.iter().filter(|figure| figure.better != Better::Neither) {
            let value = |round: &Round| round.figures.iter().find(|f| f.name == figure.name).map(|f| f.value);
            let each = rounds.iter().zip(others).filter_map(|(a, b)| Some((value(a)?, value(b)?)));
            let each: Vec<f64> = each.filter(|(_, b)| *b > 0.0).map(|(a, b)| rounded(a / b)).collect();
            if each.len() == rounds.len() {
                ratios.push(Ratio {
                    case: case.clone(),
                    figure: figure.name.clone(),
                    of: subject.clone(),
                    over: over.to_owned(),
                    seen: Spread::of(each),
                });
            }
        }
    }
    ratios
}

/// Four significant digits and no less than three decimals: what is beyond is noise, and files stay readable.
pub fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 6);
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Distribution;

    fn round(rate: f64, us: &[u64]) -> Round {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        us.iter().for_each(|us| histogram.record(us * 1_000).unwrap());
        let mut round = Round { sent: 3, answered: 2, ..Round::default() };
        round.tell("round trips", "/s", Better::Higher, rate);
        round.refused.insert("rate_limited".into(), 1);
        round.latencies =
            vec![Distribution { name: "round trip".into(), histogram, over_time: vec![[0.5, 1.0, 2.0, 3.0]] }];
        round
    }

    #[test]
    fn rounds_become_medians_with_their_spread_and_one_curve() {
        let seen = outcome("tessera", "64 B", &[round(10.0, &[1, 2]), round(30.0, &[3, 9]), round(20.0, &[4])], 5.0);
        let Spread { median, min, max, rounds } = seen.figures[0].seen.clone();
        assert_eq!((median, min, max, rounds), (20.0, 10.0, 30.0, vec![10.0, 30.0, 20.0]));
        let latency = &seen.latencies[0];
        // To three digits, as the histograms are.
        let about = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.002;
        assert!(latency.count == 5 && about(latency.max.median, 4.0) && about(latency.max.max, 9.0), "{latency:?}");
        assert!(latency.curve.last().is_some_and(|[q, us]| *q == 1.0 && about(*us, 9.0)), "{latency:?}");
        assert_eq!(latency.over_time.iter().map(|point| point[0]).collect::<Vec<_>>(), [0.5, 5.5, 10.5]);
        assert_eq!((seen.counts.sent, seen.counts.answered, seen.counts.refusals()), (9, 6, 3));
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_own() {
        let of = |subject: &str, rates: &[f64]| {
            (subject.to_owned(), "x".to_owned(), rates.iter().map(|rate| round(*rate, &[1])).collect::<Vec<_>>())
        };
        let results = [of("tessera", &[8.0, 9.0, 30.0]), of("floor", &[10.0, 10.0, 10.0])];
        let ratios = ratios(&results, "floor");
        assert_eq!(ratios.len(), 1);
        assert_eq!((ratios[0].seen.median, ratios[0].of.as_str()), (0.9, "tessera"));
    }

    #[test]
    fn numbers_keep_what_means_something() {
        for (value, expected) in
            [(140_123.456, 140_123.0), (6.234_56, 6.235), (0.000_123_4, 0.000_123), (f64::NAN, 0.0)]
        {
            assert_eq!(rounded(value), expected);
        }
    }

    #[test]
    fn an_even_number_of_rounds_has_a_median_between_two() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of(vec![]).median, 0.0);
    }
}
