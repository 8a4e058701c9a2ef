//! `tessera scenario`: plays files that say who must, or must never, see what.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::client::Base;
use crate::scenario::{self, Scenario, Target};

use super::{Failure, Outcome, queue};

/// The operators' token of a server given by address, where a scenario needs one: the variable its server reads too.
const OPS_TOKEN_ENV: &str = "TESSERA__SERVER__OPS_TOKEN";

/// What `tessera scenario` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Play scenario files and say what came of each step
    Run(RunArgs),
    /// Put a recorded queue through the matchmaking of one or more modes, and compare waits and quality
    Queue(queue::Args),
    /// Print the JSON Schema of a scenario file, for editors
    Schema,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The files to play; a folder stands for the .toml files in it
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A running server, such as http://127.0.0.1:8084, configured as the files say
    #[arg(long, value_name = "URL")]
    against: Base,
    /// Also write the account as one HTML page
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Plays, and tells. Every file is played even when one does not hold.
///
/// # Errors
/// When a file cannot be read or a scenario does not hold.
pub fn run(args: Args) -> Outcome {
    match args.verb {
        Verb::Schema => {
            writeln!(io::stdout(), "{:#}", Scenario::schema())?;
            Ok(())
        }
        Verb::Run(args) => play(&args),
        Verb::Queue(args) => queue::run(&args),
    }
}

fn play(args: &RunArgs) -> Outcome {
    let scenarios = read_all(&args.files)?;
    let target = Target { base: args.against.clone(), ops_token: std::env::var(OPS_TOKEN_ENV).ok() };
    let accounts = actix_rt::System::new().block_on(async {
        let mut accounts = Vec::new();
        for (file, scenario) in &scenarios {
            let account = scenario::run(scenario, file, &target).await;
            writeln!(io::stdout(), "{account}")?;
            accounts.push(account);
        }
        Ok::<_, Failure>(accounts)
    })?;
    if let Some(file) = &args.report {
        fs::write(file, scenario::report(&accounts))
            .map_err(|err| Failure::failed(format!("cannot write {}: {err}", file.display())))?;
    }
    let failed: Vec<&str> = accounts.iter().filter(|account| !account.held()).map(|a| a.file.as_str()).collect();
    writeln!(io::stdout(), "{} of {} scenarios hold", accounts.len() - failed.len(), accounts.len())?;
    match failed[..] {
        [] => Ok(()),
        _ => Err(Failure::failed(format!("does not hold: {}", failed.join(", ")))),
    }
}

/// Reads all files before any is played, so that a typing error in the last does not cost the time of the others.
fn read_all(named: &[PathBuf]) -> Result<Vec<(String, Scenario)>, Failure> {
    let mut files = Vec::new();
    for path in named {
        match path.is_dir() {
            true => files.extend(files_in(path)?),
            false => files.push(path.clone()),
        }
    }
    let mut faults = Vec::new();
    let mut scenarios = Vec::new();
    for file in &files {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|err| vec![err.to_string()]);
        match text.and_then(|text| Scenario::read(&text)) {
            Ok(scenario) => scenarios.push((name, scenario)),
            Err(wrong) => faults.extend(wrong.into_iter().map(|why| format!("{name}: {why}"))),
        }
    }
    for fault in &faults {
        writeln!(io::stdout(), "{fault}")?;
    }
    match faults.len() {
        0 if scenarios.is_empty() => Err(Failure::failed("there is no scenario to play")),
        0 => Ok(scenarios),
        count => Err(Failure::failed(format!("{count} fault{} in the files", if count == 1 { "" } else { "s" }))),
    }
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |err: io::Error| Failure::failed(format!("cannot read {}: {err}", folder.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
