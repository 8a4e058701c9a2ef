//! `tessera scenario`: plays files that say who must, or must never, see what.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use rand::RngExt;
use serde_json::{Value, json};

use crate::client::Base;
use crate::config::{Config, Flags, Secret};
use crate::scenario::{self, Account, Scenario, Target};
use crate::server::{self, Threads};

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
    /// A running server, such as http://127.0.0.1:8084, configured as the files say; else each file gets its own
    #[arg(long, value_name = "URL")]
    against: Option<Base>,
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
    let given = args.against.clone().map(|base| Target { base, ops_token: std::env::var(OPS_TOKEN_ENV).ok() });
    let accounts = actix_rt::System::new().block_on(async {
        let mut accounts = Vec::new();
        for (file, scenario) in &scenarios {
            let account = match &given {
                Some(target) => scenario::run(scenario, file, target).await,
                None => on_its_own_server(scenario, file).await,
            };
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

/// Plays `scenario` on a server that is started for it on a free port, keeps nothing, and is gone afterwards. Needs an
/// actix system.
/// One whose `config` is at fault, or whose server does not start, does not hold.
pub async fn on_its_own_server(scenario: &Scenario, file: &str) -> Account {
    match try_on_its_own_server(scenario, file).await {
        Ok(account) => account,
        Err(why) => Account::not_played(scenario, file, why),
    }
}

async fn try_on_its_own_server(scenario: &Scenario, file: &str) -> Result<Account, String> {
    let token: String = (0..32).map(|_| char::from(b'a' + rand::rng().random_range(0..26))).collect();
    let config = own_config(scenario, file, &token).map_err(|why| format!("config: {why}"))?;
    // One thread of each kind: scenarios are about what happens, not how fast.
    let threads = Threads { workers: 1, arbiters: 1 };
    let server = server::start(config, threads).await.map_err(|why| format!("no server: {why}"))?;
    let target = Target { base: Base::from(server.addr()), ops_token: Some(token) };
    let account = scenario::run(scenario, file, &target).await;
    server.stop(Duration::ZERO).await;
    Ok(account)
}

/// What a scenario says of the configuration, over defaults without limits per address (all of its players come from
/// one) and without a budget for late ticks (how busy this machine is with other work is not what it asks about).
fn own_config(scenario: &Scenario, file: &str, token: &str) -> Result<Config, String> {
    let mut told = scenario.config.clone();
    let limits = told.entry("limits").or_insert_with(|| json!({}));
    for rate in ["connects_per_s", "registers_per_s", "auths_per_s", "api_per_s", "joins_per_min", "lag_budget_ms"] {
        if limits.get(rate).is_none() {
            limits[rate] = json!(0);
        }
    }
    if let Some(Value::String(games)) = told.get_mut("server").and_then(|server| server.get_mut("games")) {
        // Wherever it is played from, a file means the folder beside it.
        let beside = Path::new(file).parent().unwrap_or(Path::new("")).join(&*games);
        *games = beside.display().to_string();
    }
    let text = toml::to_string(&told).map_err(|err| err.to_string())?;
    let flags = Flags { listen: Some("127.0.0.1:0".into()), data: Some(":memory:".into()), games: None };
    match Config::read(&text, [], &flags) {
        Ok((mut config, _)) => {
            config.server.ops_token = Some(Secret::new(token));
            Ok(config)
        }
        // The lines are those of a text that nobody wrote: the paths have to do.
        Err(faults) => Err(faults.iter().map(|f| format!("{}: {}", f.path, f.message)).collect::<Vec<_>>().join("; ")),
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
