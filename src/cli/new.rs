//! `tessera new game NAME`: a folder with a commented match in Lua, vote included, ready to be played and changed.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, Outcome};

/// The starter, with the game's name in its first line.
pub const STARTER: &str = include_str!("starter.lua");

/// What `tessera new` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A folder with a match in Lua
    Game {
        /// The folder to make: letters, digits, - and _
        #[arg(value_parser = plain_name)]
        name: String,
        /// Where to make it
        #[arg(long = "in", value_name = "DIR", default_value = ".")]
        parent: PathBuf,
    },
}

/// Writes the starter.
///
/// # Errors
/// When the folder is there already, or cannot be written.
pub fn run(args: Args) -> Outcome {
    let What::Game { name, parent } = args.what;
    let folder = parent.join(&name);
    fs::create_dir(&folder).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::failed(format!("{} is there already: choose another name, or remove it first", folder.display()))
        }
        io::ErrorKind::NotFound => Failure::failed(format!("there is no folder {}", parent.display())),
        _ => Failure::failed(format!("{} cannot be made: {e}", folder.display())),
    })?;
    let file = folder.join("match.lua");
    fs::write(&file, STARTER.replace("NAME", &name))
        .map_err(|e| Failure::failed(format!("{}: {e}", file.display())))?;
    let folder = folder.display();
    writeln!(
        io::stdout(),
        "{} written\ncheck it: tessera check {folder}\nplay it:  tessera serve --games {folder}",
        file.display()
    )?;
    Ok(())
}

fn plain_name(name: &str) -> Result<String, String> {
    let plain = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if plain { Ok(name.to_owned()) } else { Err("expected 1 to 64 letters, digits, - and _".into()) }
}
