//! The command line: one file per command, and [`Command`] is the table of them.
//!
//! A command is a file here with `pub struct Args` (clap) and `pub fn run(Args) -> Outcome`, its `mod` line, its
//! variant in [`Command`] and its arm in [`Command::run`]. Help, usage errors and the README's list follow from that.
//!
//! Exit codes are one rule for all: 0 done, 1 the thing asked about failed and stderr says so in one line, 2 the
//! command line itself was wrong.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod bench;
mod check;
mod demo;
mod new;
mod panics;
mod queue;
mod recount;
pub mod scenario;
mod serve;
pub mod tally;

/// Exit code of a command line that could not be understood; clap uses the same.
const EXIT_USAGE: u8 = 2;

/// An actor-model, authoritative match and vote server.
#[derive(Debug, Parser)]
#[command(name = "tessera", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Every command there is.
#[derive(Debug, Subcommand)]
enum Command {
    /// Say everything that is wrong with a configuration, or what it comes to
    Check(check::Args),
    /// Begin something of your own: a game in Lua
    New(new::Args),
    /// Play files that say who must, or must never, see what
    Scenario(scenario::Args),
    /// Count an election from a file by any method
    Tally(tally::Args),
    /// Derive a vote's result from its audit record again, and say whether it is the recorded one
    Recount(recount::Args),
    /// Show what the server does: sign-in, queue, a ticking match, chat, votes with live tallies, the finish
    Demo(demo::Args),
    /// Measure a server: echo, idle connections, ticks, votes, queues, with every figure reproducible
    Bench(bench::Args),
    /// Run a server
    Serve(serve::Args),
}

impl Command {
    fn run(self) -> Outcome {
        match self {
            Self::Check(args) => check::run(args),
            Self::New(args) => new::run(args),
            Self::Scenario(args) => scenario::run(args),
            Self::Tally(args) => tally::run(args),
            Self::Recount(args) => recount::run(args),
            Self::Demo(args) => demo::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Serve(args) => serve::run(args),
        }
    }
}

/// What a command comes to.
pub type Outcome = Result<(), Failure>;

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The thing asked about failed; one line for stderr, exit code 1.
    Failed(String),
    /// The arguments make no sense together, which clap could not see; one line for stderr, exit code 2.
    Usage(String),
    /// Whoever read our output went away, as `head` does: nothing to say and nothing wrong.
    NobodyReads,
}

impl Failure {
    /// The thing asked about failed, for the reason that `why` gives in one line.
    pub fn failed(why: impl std::fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(err: io::Error) -> Self {
        match err.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Failed(err.to_string()),
        }
    }
}

/// Runs the command that `args` name (the program's own name first) and says what the process should exit with.
/// Installs the panic hook, so call it once, from `main`.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    panics::install();
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(said) => {
            // Help and version arrive here too, with exit code 0 and stdout as their place. If they cannot be
            // printed there is nobody left to tell.
            let _ = said.print();
            return ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    match command.run() {
        Ok(()) | Err(Failure::NobodyReads) => ExitCode::SUCCESS,
        Err(Failure::Failed(why)) => {
            eprintln!("tessera: {}", one_line(&why));
            ExitCode::FAILURE
        }
        Err(Failure::Usage(why)) => {
            eprintln!("tessera: {}", one_line(&why));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Name and one-line description of every command, in the order of the table: what the README's list is held to.
pub fn commands() -> Vec<(String, String)> {
    Cli::command()
        .get_subcommands()
        .map(|command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            (command.get_name().to_owned(), about)
        })
        .collect()
}

/// A failure is one line, whatever library wrote it.
fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Sends the log to stderr, `info` and above unless `RUST_LOG` says otherwise; in colours where somebody looks.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    // A second call (tests) finds the log set already.
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let _ = log.try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_commands_is_sound() {
        Cli::command().debug_assert();
        for (name, about) in commands() {
            assert!(!about.is_empty(), "{name} does not say what it does");
        }
    }

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(one_line("no such file\n\n  at line 3\n"), "no such file; at line 3");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)), Failure::NobodyReads);
        assert!(matches!(Failure::from(io::Error::other("disk full")), Failure::Failed(why) if why == "disk full"));
    }
}
