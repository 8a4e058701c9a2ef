//! `tessera scenario queue`: what the matchmaking of a mode would have done with a recorded queue, beside that of other
//! modes. Nothing is played; the clock jumps.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::config::{Config, Flags};
use crate::engine::matchmaking::{Arrival, Replayed, Rules, replay};
use crate::server::{games, try_games};

use super::{Failure, Outcome};

/// Faults of a ticket file that are told one by one.
const FAULTS_TOLD: usize = 10;

/// What `tessera scenario queue` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tickets, one JSON object per line: {"at_ms":1200,"players":2,"properties":{"skill":1500},
    /// "gives_up_after_ms":30000}; all but at_ms may be left out
    tickets: PathBuf,
    /// A mode whose rules are tried (may be given again, to compare)
    #[arg(long = "mode", value_name = "NAME", required = true)]
    modes: Vec<String>,
    /// The configuration that has the modes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Replays, and tells.
///
/// # Errors
/// When a file cannot be read or a mode is not there.
pub fn run(args: &Args) -> Outcome {
    let arrivals = read(args)?;
    let loaded = Config::load(args.config.as_deref(), std::iter::empty(), &Flags::default(), &try_games);
    let (mut config, origins) = loaded.map_err(|faults| {
        let name = args.config.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        Failure::failed(format!("{name} has {} faults; see tessera check", faults.len()))
    })?;
    // A script's mode is tried as it would be served.
    games(&mut config, &origins).map_err(Failure::failed)?;
    let mut runs = Vec::new();
    for name in &args.modes {
        let mode = config.modes.get(name).ok_or_else(|| {
            let known: Vec<&str> = config.modes.keys().map(String::as_str).collect();
            Failure::Usage(format!("there is no mode {name:?}; expected one of {}", known.join(", ")))
        })?;
        let rules = Rules::new(&mode.matchmaking, mode.players);
        let rules = rules.map_err(|faults| Failure::failed(format!("{name}: {}", faults[0])))?;
        runs.push((name.as_str(), replay(&rules, &arrivals)));
    }
    let mut out = io::stdout().lock();
    if args.json {
        let all: serde_json::Map<_, _> = runs.iter().map(|(name, run)| ((*name).to_owned(), json(run))).collect();
        writeln!(out, "{:#}", serde_json::Value::Object(all))?;
    } else {
        print(&mut out, &runs)?;
    }
    Ok(())
}

/// Every ticket of the file, or what is wrong with its lines.
fn read(args: &Args) -> Result<Vec<Arrival>, Failure> {
    let name = args.tickets.display();
    let text = fs::read_to_string(&args.tickets).map_err(|err| Failure::failed(format!("{name}: {err}")))?;
    let mut arrivals = Vec::new();
    let mut faults = 0;
    for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(arrival) => arrivals.push(arrival),
            Err(err) => {
                faults += 1;
                if faults <= FAULTS_TOLD {
                    // serde counts lines within this one line: only the column says something.
                    let why = err.to_string();
                    let why = why.split(" at line ").next().unwrap_or_default();
                    writeln!(io::stdout(), "{name}:{}:{}: {why}", nth + 1, err.column())?;
                }
            }
        }
    }
    match (faults, arrivals.is_empty()) {
        (0, false) => Ok(arrivals),
        (0, true) => Err(Failure::failed(format!("{name}: there is no ticket in it"))),
        (count, _) => Err(Failure::failed(format!("{count} fault{} in {name}", if count == 1 { "" } else { "s" }))),
    }
}

/// A row of the table: what it is called and what it is for a run.
type Row = (&'static str, fn(&Replayed) -> String);

/// The table, top to bottom.
const ROWS: &[Row] = &[
    ("tickets", |run| run.tickets.to_string()),
    ("  matched", |run| share(run.matched, run.tickets)),
    ("  expired", |run| share(run.expired, run.tickets)),
    ("  gave up", |run| share(run.gave_up, run.tickets)),
    ("  left waiting", |run| share(run.left, run.tickets)),
    ("  not taken", |run| share(run.refused.values().sum(), run.tickets)),
    ("matches", |run| run.matches.to_string()),
    ("  bots in them", |run| run.bots.to_string()),
    ("  of several regions", |run| share(run.mixed_regions, run.matches)),
    ("wait, median", |run| seconds(&run.waits, 500)),
    ("  nine in ten within", |run| seconds(&run.waits, 900)),
    ("  99 in 100 within", |run| seconds(&run.waits, 990)),
    ("  longest", |run| seconds(&run.waits, 1_000)),
    ("skill difference, median", |run| points(&run.spreads, 500)),
    ("  nine in ten within", |run| points(&run.spreads, 900)),
    ("  widest", |run| points(&run.spreads, 1_000)),
    ("between teams, median", |run| points(&run.team_gaps, 500)),
    ("  widest", |run| points(&run.team_gaps, 1_000)),
];

fn print(out: &mut impl Write, runs: &[(&str, Replayed)]) -> io::Result<()> {
    let cells = |row: &Row| runs.iter().map(|(_, run)| row.1(run)).collect::<Vec<_>>();
    let widths: Vec<usize> = runs
        .iter()
        .map(|(name, run)| ROWS.iter().map(|row| row.1(run).chars().count()).chain([name.chars().count()]).max())
        .map(|width| width.unwrap_or(0))
        .collect();
    let line = |out: &mut dyn Write, first: &str, cells: &[String]| {
        write!(out, "{first:24}")?;
        for (cell, width) in cells.iter().zip(&widths) {
            write!(out, "  {cell:>width$}")?;
        }
        writeln!(out)
    };
    let names: Vec<String> = runs.iter().map(|(name, _)| (*name).to_owned()).collect();
    line(out, "", &names)?;
    for row in ROWS {
        let cells = cells(row);
        // What never happened under any of the rules says nothing.
        if cells.iter().any(|cell| cell != "-" && cell != "0" && !cell.starts_with("0 (")) {
            line(out, row.0, &cells)?;
        }
    }
    for (name, run) in runs {
        for (why, count) in &run.refused {
            writeln!(out, "{name}: {count} not taken: {why}")?;
        }
    }
    Ok(())
}

fn json(run: &Replayed) -> serde_json::Value {
    let milli = |values: &[i64], permille| at(values, permille).map(|value| value as f64 / 1_000.0);
    serde_json::json!({
        "tickets": run.tickets, "players": run.players, "matched": run.matched, "expired": run.expired,
        "gave_up": run.gave_up, "left": run.left, "refused": run.refused, "matches": run.matches, "bots": run.bots,
        "mixed_regions": run.mixed_regions,
        "wait_ms": {
            "p50": at(&run.waits, 500), "p90": at(&run.waits, 900), "p99": at(&run.waits, 990),
            "max": at(&run.waits, 1_000),
        },
        "skill_difference": {
            "p50": milli(&run.spreads, 500), "p90": milli(&run.spreads, 900), "max": milli(&run.spreads, 1_000),
        },
        "team_difference": {"p50": milli(&run.team_gaps, 500), "max": milli(&run.team_gaps, 1_000)},
    })
}

/// The smallest value that so many of a thousand do not exceed.
fn at<T: Copy>(ascending: &[T], permille: usize) -> Option<T> {
    let rank = (ascending.len() * permille).div_ceil(1_000).max(1);
    ascending.get(rank - 1).copied()
}

fn share(part: u64, whole: u64) -> String {
    match part {
        0 => "0".into(),
        _ => format!("{part} ({:.0} %)", part as f64 / whole.max(1) as f64 * 100.0),
    }
}

fn seconds(waits: &[u64], permille: usize) -> String {
    at(waits, permille).map_or_else(|| "-".into(), |ms| format!("{:.1} s", ms as f64 / 1_000.0))
}

fn points(values: &[i64], permille: usize) -> String {
    at(values, permille).map_or_else(|| "-".into(), |milli| format!("{:.0}", milli as f64 / 1_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_thousand_is_reached_not_guessed() {
        let values = [1, 2, 3, 4];
        assert_eq!([0, 250, 251, 500, 750, 1_000].map(|permille| at(&values, permille)), [1, 1, 2, 2, 3, 4].map(Some));
        assert_eq!(at::<u64>(&[], 500), None);
        assert_eq!(at(&[7], 990), Some(7));
    }
}
