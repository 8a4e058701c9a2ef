//! `tessera recount FILE`: derives a vote's result from its audit record again, and says whether it is the one that was
//! broadcast.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use crate::cli::{Failure, Outcome};
use crate::engine::votes::recount::{Recount, recount};
use crate::engine::votes::result::VoteResult;
use crate::limits::VOTE_RECORD_BYTES_MAX;

/// Arguments of `tessera recount`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The audit record of a closed vote: what `GET /api/v1/votes/:id/audit` answers; `-` reads it from standard input
    pub file: PathBuf,
    /// Print the payload of match.vote_result and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Recounts the file: done when the result is the recorded one.
pub fn run(args: Args) -> Outcome {
    let named = |why: &dyn std::fmt::Display| Failure::failed(format!("{}: {why}", args.file.display()));
    let text = read(&args.file).map_err(|why| named(&why))?;
    let again = recount(&text).map_err(|why| named(&why))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", again.payload)?;
    } else {
        write!(out, "{}", table(&again))?;
    }
    out.flush()?;
    match &again.disagrees {
        None => Ok(()),
        Some(why) => Err(named(why)),
    }
}

/// Reads at most one byte more than a record may have: the rest of an endless file is nobody's business.
fn read(file: &PathBuf) -> std::io::Result<String> {
    let mut text = String::new();
    let most = VOTE_RECORD_BYTES_MAX as u64 + 1;
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_string(&mut text)?;
    } else {
        File::open(file)?.take(most).read_to_string(&mut text)?;
    }
    Ok(text)
}

/// The result for people: a bar for each option, and what was checked.
fn table(again: &Recount) -> String {
    let VoteResult { vote_id, template, counts, distribution, total_votes, counted, .. } = &again.result;
    let json = serde_json::to_value(&again.result).unwrap_or_default();
    let status = json["status"].as_str().unwrap_or_default();
    let winners = again.result.winners.join(", ");
    let mut out = format!("{vote_id} ({template}): {status}");
    if !winners.is_empty() {
        out += &format!(", {winners}");
    }
    out.push('\n');
    let widest = counts.0.iter().map(|(id, _)| id.chars().count()).max().unwrap_or(0);
    for ((id, _), (_, share)) in counts.0.iter().zip(&distribution.0) {
        let bar = "█".repeat((share.0 / 40) as usize);
        let won = if again.result.winners.contains(id) { "*" } else { " " };
        out += &format!("{won} {id:<widest$}  {:>8}  {bar}\n", json["counts"][id].to_string());
    }
    out += &format!("{total_votes} cast, {counted} counted, turnout {}\n", json["turnout"]);
    let checked = match again.disagrees {
        None => "the recorded result is the one that follows from them",
        Some(_) => "the recorded result is another one",
    };
    out += &format!("{} casts checked against their receipts; {checked}\n", again.casts);
    out += &format!("ballots_root {}\n", again.result.ballots_root);
    out
}
