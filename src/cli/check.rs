//! `tessera check`: every fault of a configuration at once, or what it comes to.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::{Config, Fault, Flags, Origin, Origins, process_env};
use crate::engine::modes::Mode;
use crate::server::{self, try_games};

use super::{Failure, Outcome};

/// What `tessera check` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to check, or a folder of games to try; none checks the environment over the defaults
    file: Option<PathBuf>,
    /// Print every effective value and where it came from; secrets are shown as (set)
    #[arg(long)]
    print: bool,
    /// Print the JSON Schema that editors complete from, and check nothing
    #[arg(long, conflicts_with_all = ["file", "print"])]
    schema: bool,
    /// Ticks that each mode of a folder of games is played for, unless it is over before
    #[arg(long, value_name = "N", default_value_t = crate::games::lua::CHECK_TICKS, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    ticks: u64,
    /// A configuration whose `[scripts]` says what the scripts of a folder of games may cost
    #[arg(long, value_name = "FILE", conflicts_with = "schema")]
    config: Option<PathBuf>,
}

/// Checks, and says everything that is wrong: faults on stdout, one line about how many on stderr.
///
/// # Errors
/// When there is any fault, or nobody to print to.
pub fn run(args: Args) -> Outcome {
    let mut out = io::stdout().lock();
    if args.schema {
        writeln!(out, "{:#}", Config::schema())?;
        return Ok(());
    }
    if let Some(folder) = args.file.as_deref().filter(|path| path.is_dir()) {
        return games(folder, args.ticks, args.config.as_deref(), &mut out);
    }
    if args.config.is_some() {
        return Err(Failure::Usage("--config goes with a folder of games: tessera check GAMES --config FILE".into()));
    }
    let name = args.file.as_ref().map_or_else(|| "the defaults".into(), |file| file.display().to_string());
    match Config::load(args.file.as_deref(), process_env(), &Flags::default(), &try_games) {
        Ok((config, origins)) if args.print => print(config, &origins, &name, &mut out),
        Ok((mut config, origins)) => {
            server::games(&mut config, &origins).map_err(Failure::failed)?;
            let modes: Vec<&str> = config.modes.keys().map(String::as_str).collect();
            writeln!(out, "{name}: fine ({} modes: {})", modes.len(), modes.join(", "))?;
            Ok(())
        }
        Err(faults) => tell_faults(&name, &faults, &mut out),
    }
}

/// Every value as it is served, and where it came from.
fn print(config: Config, origins: &Origins, name: &str, out: &mut impl Write) -> Outcome {
    let mut whole = config.clone();
    server::games(&mut whole, origins).map_err(Failure::failed)?;
    let written: BTreeMap<_, _> = config.flat().into_iter().collect();
    let plain = Config { modes: [("".to_owned(), Mode::default())].into(), ..Config::default() };
    let plain: BTreeMap<_, _> = plain.flat().into_iter().collect();
    let is_default = |path: &str, value: &str| {
        let key = path.strip_prefix("modes.").and_then(|rest| rest.split_once('.'));
        key.is_some_and(|(_, key)| plain.get(&format!("modes..{key}")).is_some_and(|default| default == value))
    };
    for (path, value) in whole.flat() {
        let origin = match origins.of(&path) {
            Origin::Line(line) => format!("{name}:{line}"),
            Origin::Default if written.get(&path) != Some(&value) && !is_default(&path, &value) => {
                format!("{}/", config.server.games)
            }
            other => other.to_string(),
        };
        writeln!(out, "{path} = {value}  # {origin}")?;
    }
    Ok(())
}

/// Everything that is wrong with a configuration, a line each.
fn tell_faults(name: &str, faults: &[Fault], out: &mut impl Write) -> Outcome {
    for fault in faults {
        writeln!(out, "{}", explained(name, fault))?;
    }
    let count = faults.len();
    Err(Failure::failed(format!("{count} fault{} in {name}", if count == 1 { "" } else { "s" })))
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{msg} {wide_bar} tick {pos} of {len}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Plays every script of a games folder with made-up players, and says what it would do wrong in front of real ones.
fn games(folder: &Path, ticks: u64, config: Option<&Path>, out: &mut impl Write) -> Outcome {
    let scripts = match Config::load(config, process_env(), &Flags::default(), &|_, _| Vec::new()) {
        Ok((config, _)) => config.scripts,
        Err(faults) => {
            let name = config.map_or_else(|| "the environment".into(), |file| file.display().to_string());
            return tell_faults(&name, &faults, out);
        }
    };
    // On a terminal alone, and gone when the result is said.
    let bar = ProgressBar::new(ticks).with_style(style());
    let checked = crate::games::lua::check_with(folder, ticks, (&scripts).into(), &|mode, tick| {
        bar.set_message(mode.to_owned());
        bar.set_position(tick);
    });
    bar.finish_and_clear();
    for line in &checked.played {
        writeln!(out, "{line}")?;
    }
    for warning in &checked.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    for fault in &checked.faults {
        writeln!(out, "{fault}")?;
    }
    // What scripts say of their modes and votes is held to the same rules as a configuration: a server would not start.
    let flags = Flags { games: Some(folder.display().to_string()), ..Flags::default() };
    let refused = Config::load(config, process_env(), &flags, &try_games).err().unwrap_or_default();
    let of_scripts = ["server.games", ".game", ".game_options"];
    let rules: Vec<_> =
        refused.iter().filter(|fault| !of_scripts.iter().any(|end| fault.path.ends_with(end))).collect();
    for fault in &rules {
        writeln!(out, "{}", explained(&folder.display().to_string(), fault))?;
    }
    match checked.faults.len() + rules.len() {
        0 => Ok(()),
        count => {
            Err(Failure::failed(format!("{count} fault{} in {}", if count == 1 { "" } else { "s" }, folder.display())))
        }
    }
}

/// `FILE:LINE: KEY: what is wrong`, as editors and people find their way by.
fn explained(name: &str, fault: &Fault) -> String {
    let place = match &fault.origin {
        Origin::Line(line) => format!("{name}:{line}"),
        Origin::Default => name.to_owned(),
        other => other.to_string(),
    };
    match fault.path.as_str() {
        "" => format!("{place}: {}", fault.message),
        path => format!("{place}: {path}: {}", fault.message),
    }
}
