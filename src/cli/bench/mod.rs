//! `tessera bench`: measures a server. Without `--against` it starts one of its own as a process of its own, so that
//! CPU and memory are that server's alone, on a core apart from the load's.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use self::host::{Cores, Host, Subject};
use super::{Failure, Outcome};
use crate::bench::{Cx, Report, Round, Shape, Target, Timing, compare, machine, print, report, result};
use crate::client::Base;

mod host;

/// Measure a server: echo, idle connections, ticks, votes, queues, with every figure reproducible
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
#[command(subcommand_help_heading = "Shapes", subcommand_value_name = "SHAPE")]
enum Verb {
    #[command(flatten)]
    Shape(Shape),
    /// Hold two reports (from --json) against each other and name what moved beyond noise
    Compare(CompareArgs),
    /// Draw the page of a report that --json has written
    Page(PageArgs),
    /// Run the floor: a server that does nothing but echo and tick
    #[command(hide = true)]
    Floor,
}

#[derive(Debug, clap::Args)]
struct CompareArgs {
    /// The older
    before: PathBuf,
    /// The newer
    after: PathBuf,
    /// Exit with 1 when anything is worse beyond noise
    #[arg(long)]
    fail_on_worse: bool,
}

#[derive(Debug, clap::Args)]
struct PageArgs {
    /// The report, as --json wrote it
    file: PathBuf,
}

/// How any shape is measured and told.
#[derive(Debug, clap::Args)]
struct How {
    /// A running server, such as http://127.0.0.1:8084; else one is started for every round
    #[arg(long, global = true, value_name = "URL", help_heading = "Whom", conflicts_with_all = ["beside", "floor", "set"])]
    against: Option<Base>,
    /// Measure another build too, alternating with this one in the same run, such as old=/usr/local/bin/tessera
    #[arg(long, global = true, value_name = "NAME=PROGRAM", help_heading = "Whom", value_parser = host::beside)]
    beside: Vec<(String, PathBuf)>,
    /// Measure a server that does nothing else too, alternating, and tell the ratio (echo, paced and idle without players,
    /// ticks, ladder)
    #[arg(long, global = true, help_heading = "Whom")]
    floor: bool,
    /// A value of the started server's configuration, such as limits.ping_s=20
    #[arg(long, global = true, value_name = "KEY=VALUE", help_heading = "Whom", value_parser = host::set)]
    set: Vec<(String, String)>,
    /// Rounds; figures are their medians
    #[arg(long, global = true, value_name = "N", help_heading = "How", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each round that are noted
    #[arg(long, global = true, value_name = "S", help_heading = "How", default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Seconds of load before that
    #[arg(long, global = true, value_name = "S", help_heading = "How", default_value_t = 1.0, value_parser = seconds)]
    warm_up: f64,
    /// The server's core and the load's, such as 0,1; `auto` takes the first two, `off` pins nothing
    #[arg(long, global = true, value_name = "S,L", help_heading = "How", default_value = "auto")]
    cores: Cores,
    /// Threads for HTTP of a started server
    #[arg(long, global = true, value_name = "N", help_heading = "How", default_value_t = 1)]
    workers: usize,
    /// Threads for matches and players' sockets of a started server
    #[arg(long, global = true, value_name = "N", help_heading = "How", default_value_t = 1)]
    arbiters: usize,
    /// Also draw everything on one page of HTML, complete in itself
    #[arg(long, global = true, value_name = "FILE", help_heading = "What is told")]
    report: Option<PathBuf>,
    /// Print everything as JSON instead
    #[arg(long, global = true, help_heading = "What is told", conflicts_with = "csv")]
    json: bool,
    /// Print the figures as CSV instead
    #[arg(long, global = true, help_heading = "What is told")]
    csv: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, 0 to 86400".into()),
    }
}

/// Measures and tells.
///
/// # Errors
/// When a server does not start or is not there, and when anything was refused: figures with refusals in them are told
/// and are no success.
pub fn run(args: Args) -> Outcome {
    match args.verb {
        Verb::Floor => host::run_floor(),
        Verb::Shape(shape) => measure(&shape, &args.how),
        Verb::Compare(files) => hold(&files),
        Verb::Page(PageArgs { file }) => {
            let out = args.how.report.ok_or_else(|| Failure::Usage("--report FILE says where the page goes".into()))?;
            write_page(&read(&file)?, &out)
        }
    }
}

fn read(file: &Path) -> Result<Report, Failure> {
    let why = |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| why(&error))?;
    serde_json::from_str(&text).map_err(|error| why(&format!("not a report of tessera bench --json: {error}")))
}

fn write_page(report: &Report, file: &Path) -> Outcome {
    fs::write(file, report::page(report))
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", file.display())))
}

fn hold(files: &CompareArgs) -> Outcome {
    let found = compare::compare(&read(&files.before)?, &read(&files.after)?).map_err(Failure::failed)?;
    write!(io::stdout(), "{}", found.text())?;
    match files.fail_on_worse && found.is_worse() {
        true => Err(Failure::failed("something is worse beyond noise")),
        false => Ok(()),
    }
}

fn measure(shape: &Shape, how: &How) -> Outcome {
    if how.floor && !shape.has_floor() {
        return Err(Failure::Usage(format!(
            "--floor: the floor only echoes and ticks, and `{}` as asked needs more",
            shape.name()
        )));
    }
    if how.floor && how.set.iter().any(|(key, _)| key.starts_with("modes.")) {
        let why = "--floor with --set modes.*: the floor would play something else; use the shape's own options";
        return Err(Failure::Usage(why.into()));
    }
    machine::raise_descriptors();
    let report = Measurement::new(shape, how)?.run()?;
    if let Some(file) = &how.report {
        write_page(&report, file)?;
    }
    let mut out = io::stdout().lock();
    if how.json {
        let json = serde_json::to_string_pretty(&report).map_err(Failure::failed)?;
        writeln!(out, "{json}")?;
    } else if how.csv {
        write!(out, "{}", print::csv(&report))?;
    } else {
        write!(out, "{}", print::text(&report))?;
    }
    let refused: u64 = report.results.iter().map(|result| result.counts.refusals()).sum();
    let fault = report.results.iter().flat_map(|result| &result.faults).next();
    match (refused, fault) {
        (0, None) => Ok(()),
        (0, Some(fault)) => Err(Failure::failed(fault)),
        (count, _) => Err(Failure::failed(format!("{count} refusals; they are not in the figures"))),
    }
}

/// One run of the command.
struct Measurement<'a> {
    shape: &'a Shape,
    how: &'a How,
    host: Host,
    subjects: Vec<Subject>,
    bar: ProgressBar,
    timing: Timing,
}

impl<'a> Measurement<'a> {
    fn new(shape: &'a Shape, how: &'a How) -> Result<Self, Failure> {
        let host =
            Host::new(how.cores, shape.server_config(), &how.set, how.workers, how.arbiters, shape.keeps_files())?;
        let mut subjects = match &how.against {
            Some(base) => vec![Subject::Given(base.clone())],
            None => vec![Subject::Program("tessera".into(), std::env::current_exe()?)],
        };
        subjects.extend(how.beside.iter().map(|(name, path)| Subject::Program(name.clone(), path.clone())));
        if how.floor {
            subjects.push(Subject::Floor(std::env::current_exe()?));
        }
        let bar = if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        let timing = Timing {
            warm_up: Duration::from_secs_f64(how.warm_up),
            measured: Duration::from_secs_f64(how.seconds.max(0.05)),
        };
        Ok(Self { shape, how, host, subjects, bar, timing })
    }

    fn run(self) -> Result<Report, Failure> {
        let machine = machine::Machine::this();
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let placed = self.host.place_load(self.how.against.as_ref());
        let cases = self.shape.cases();
        let mut results: Vec<(String, String, Vec<Round>)> = Vec::new();
        for case in &cases {
            for subject in &self.subjects {
                results.push((subject.name().to_owned(), case.clone(), Vec::new()));
            }
        }
        // Subjects alternate within a round, so that a machine that drifts drifts for all of them.
        for n in 0..self.how.rounds {
            for (at, case) in cases.iter().enumerate() {
                for (which, subject) in self.subjects.iter().enumerate() {
                    let said = format!("round {} of {}, {}, {case}", n + 1, self.how.rounds, subject.name());
                    let round = self.round(subject, at, &said)?;
                    results[at * self.subjects.len() + which].2.push(round);
                }
            }
        }
        self.bar.finish_and_clear();
        Ok(self.report(machine, started, placed, &results))
    }

    fn round(&self, subject: &Subject, case: usize, said: &str) -> Result<Round, Failure> {
        self.bar.set_message(said.to_owned());
        self.bar.tick();
        let mut server = self.host.start(subject)?;
        let target = Target::new(server.base(), server.process());
        let progress = |what: &str| {
            self.bar.set_message(format!("{said}: {what}"));
            self.bar.tick();
        };
        let cx = Cx { target: &target, timing: self.timing, progress: &progress };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let round = tokio::task::LocalSet::new()
            .block_on(&runtime, self.shape.round(case, &cx))
            .map_err(|why| Failure::failed(format!("{said}: {why}{}", server.last_words())))?;
        // The sockets go before the server does.
        drop(runtime);
        Ok(round)
    }

    fn report(
        &self,
        machine: machine::Machine,
        started: Duration,
        placed: String,
        results: &[(String, String, Vec<Round>)],
    ) -> Report {
        let measured_s = self.timing.measured.as_secs_f64();
        let mut notes: Vec<String> = Vec::new();
        if machine::build() == "debug" {
            notes.push("this is a debug build: its figures mean nothing; use cargo run --release -- bench ...".into());
        }
        let busy = machine.load_average > 0.5 * machine.cores as f64;
        if busy {
            notes.push(format!(
                "the machine was busy before this began (load {:.2}): expect worse than it can do",
                machine.load_average
            ));
        }
        for (subject, case, rounds) in results {
            for note in rounds.iter().flat_map(|round| &round.notes) {
                let note = format!("{subject}, {case}: {note}");
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
        let over = if self.how.floor { Some("floor") } else { self.how.beside.first().map(|(name, _)| name.as_str()) };
        let mut words = std::env::args().skip(1);
        let command = std::iter::once("tessera".to_owned()).chain(words.by_ref()).collect::<Vec<_>>().join(" ");
        Report {
            format: result::FORMAT,
            shape: self.shape.name().to_owned(),
            command,
            started: crate::wire::time::Iso(started.as_millis() as u64).to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: machine::commit().map(str::to_owned),
            build: machine::build().to_owned(),
            machine,
            placed,
            rounds: self.how.rounds,
            warm_up_s: self.how.warm_up,
            measured_s,
            settings: serde_json::to_value(self.shape).unwrap_or_default(),
            server_config: self.how.against.is_none().then(|| self.host.config().to_owned()),
            results: results
                .iter()
                .map(|(subject, case, rounds)| result::outcome(subject, case, rounds, measured_s))
                .collect(),
            ratios: over.map(|over| result::ratios(results, over)).unwrap_or_default(),
            notes,
        }
    }
}
