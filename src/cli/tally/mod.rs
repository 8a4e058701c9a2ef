//! `tessera tally`: counts an election from a file by any method.
//!
//! Read in this order: [`read`] brings the election in, [`settings`] are the rules one may set, and a count goes out as
//! a table ([`print`]), as JSON ([`json`]), as a page ([`html`]) or beside all other methods ([`compare`]).

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{Failure, Outcome};
use crate::engine::votes::{BallotKind, METHODS, Method, method};

mod compare;
mod html;
mod json;
mod print;
pub mod read;
mod settings;

use read::Election;
use settings::Settings;

/// Count an election from a file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// vote-case/1 JSON, BLT, PrefLib (.soc .soi .toc .toi .cat) or CSV ranks, plain or .gz; - reads stdin
    file: PathBuf,
    /// The way to count
    #[arg(long, short, value_parser = parse_method, required_unless_present = "all_methods")]
    method: Option<&'static Method>,
    /// A rule of the count, like tie_break=previous_rounds,declared_order (may be given again)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Also write a page with pictures to this file; it needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Count by every method that fits the ballots, and say where they disagree
    #[arg(long, conflicts_with_all = ["method", "html"])]
    all_methods: bool,
}

fn parse_method(name: &str) -> Result<&'static Method, String> {
    method(name).ok_or_else(|| {
        let names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
        format!("there is no such method; expected one of {}", names.join(", "))
    })
}

/// Counts the file and prints what it comes to.
///
/// # Errors
/// Usage for settings that fit no count; a failure for a file that cannot be counted.
pub fn run(args: Args) -> Outcome {
    let settings = Settings::read(&args.set)?;
    let named = |why: &dyn std::fmt::Display| Failure::failed(format!("{}: {why}", args.file.display()));
    let election = read::read_file(&args.file, &progress()).map_err(|fault| named(&fault))?;
    let stdout = io::stdout();
    let mut out = BufWriter::new(stdout.lock());
    match args.method {
        Some(method) => {
            let counted = count(method, &settings, &election).map_err(|failure| match failure {
                Failure::Failed(why) => named(&why),
                other => other,
            })?;
            if settings.lot_without_seed() && !args.json {
                eprintln!("tessera: the lot is drawn without a seed; --set seed=.. gives it one");
            }
            if let Some(page) = &args.html {
                let text = html::page(&counted.rules, &election, &counted.count, counted.cast);
                std::fs::write(page, text).map_err(|error| Failure::failed(format!("{}: {error}", page.display())))?;
            }
            if args.json {
                line(&mut out, &json::printed(&counted.rules, &election, &counted.count))?;
            } else {
                print::print(&mut out, &counted.rules, &election, &counted.count, counted.cast)?;
            }
        }
        None => {
            let answers = compare::answers(&election, &settings);
            if args.json {
                let methods =
                    answers.iter().map(|answer| json::printed(&answer.rules, &election, &answer.count)).collect();
                line(&mut out, &All { methods, disagreements: compare::disagreements(&election, &answers) })?;
            } else {
                compare::print(&mut out, &election, &answers)?;
            }
        }
    }
    Ok(out.flush()?)
}

/// What `--all-methods --json` prints.
#[derive(Serialize)]
struct All {
    methods: Vec<json::Printed>,
    disagreements: Vec<String>,
}

struct Counted {
    rules: crate::engine::votes::CountRules,
    count: crate::engine::votes::Count,
    cast: u128,
}

fn count(method: &'static Method, settings: &Settings, election: &Election) -> Result<Counted, Failure> {
    let rules = settings.rules(method, election, false);
    if let Some(fault) = method.check(&rules).into_iter().next() {
        let why = format!("{}: {}", fault.key, fault.message);
        // The options come from the file, everything else from the command line.
        return Err(if fault.key == "options" { Failure::Failed(why) } else { Failure::Usage(why) });
    }
    let ballots = election.ballots(method.ballot).ok_or_else(|| {
        let has = election.profiles.first().map_or("no ballots", |profile| profile.kind().name());
        Failure::failed(format!("{} counts {}, and the file holds {has}", method.name, method.ballot.name()))
    })?;
    let highest = settings::highest_score(election);
    if method.ballot == BallotKind::Scores && highest > rules.max_score {
        return Err(Failure::failed(format!("a score is at most {}, {highest} was given", rules.max_score)));
    }
    Ok(Counted { count: method.count(&rules, &ballots), cast: ballots.weight(), rules })
}

fn line(out: &mut impl Write, value: &impl Serialize) -> Outcome {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// A bar for whoever waits at a terminal; nothing in a pipe.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("reading {wide_bar} {percent:>3}% {bytes_per_sec}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
