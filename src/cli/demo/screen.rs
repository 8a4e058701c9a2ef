//! What a person watching the demo sees: one line per event, and tallies as bars.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Base;
use crate::wire::votes::{Outcome, Start, Tally};

/// Cells of a full bar.
const BAR_CELLS: usize = 24;

/// The terminal, or the pipe.
pub struct Screen {
    began: Instant,
    tells: bool,
    colour: bool,
    votes: Vec<String>,
    labels: Vec<(String, String)>,
    /// Ids and what a person would call them.
    names: Vec<(String, String)>,
}

impl Screen {
    /// A screen that tells events (`tells`) or stays quiet until the end.
    pub fn new(tells: bool) -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { began: Instant::now(), tells, colour, votes: Vec::new(), labels: Vec::new(), names: Vec::new() }
    }

    /// A line as it is.
    pub fn line(&self, text: &str) {
        // Whoever reads may be gone; the exit code still says how it went.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// What is about to happen.
    pub fn opening(&mut self, base: &Base, ready: Duration, players: u32, matches: u32, hz: u32) {
        self.line(&format!(
            "\n  {}  {}",
            self.bold("tessera demo"),
            self.faint(&format!("a server at {base}, ready in {} ms", ready.as_millis()))
        ));
        self.line(&format!(
            "  {}\n",
            self.faint(&format!(
                "{matches} match{} of {players} players at {hz} Hz, over real WebSockets",
                if matches == 1 { "" } else { "es" }
            ))
        ));
    }

    /// What is about to happen with a games folder.
    pub fn folder(&mut self, base: &Base, ready: Duration, folder: &Path, modes: usize) {
        self.line(&format!(
            "\n  {}  {}",
            self.bold("tessera demo"),
            self.faint(&format!(
                "{modes} games of {}, on a server at {base}, ready in {} ms",
                folder.display(),
                ready.as_millis()
            ))
        ));
    }

    /// The next mode of a folder.
    pub fn mode(&self, name: &str, game: &str, players: u32, hz: u32) {
        let how = format!("{game}, {players} players at {hz} Hz");
        self.line(&format!("\n  {}  {}\n", self.bold(name), self.faint(&how)));
    }

    /// From now on this player's id reads as that name.
    pub fn know(&mut self, id: String, name: &str) {
        self.names.push((id, name.to_owned()));
    }

    /// The text with every known id read as its name.
    pub fn named(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }

    /// One event of the story.
    pub fn tell(&self, who: &str, what: &str) {
        if self.tells {
            let at = format!("{:5.2}s", self.began.elapsed().as_secs_f64());
            self.line(&format!("  {}  {:<8} {what}", self.faint(&at), self.bold(who)));
        }
    }

    /// A vote opened.
    pub fn vote_started(&mut self, start: &Start) {
        self.labels = start.options.iter().map(|option| (option.id.clone(), option.label.clone())).collect();
        let veto = if start.veto_enabled { ", can be vetoed" } else { "" };
        self.tell("vote", &format!("{} opens: {}, {} ms{veto}", start.template, start.method, start.window_ms));
    }

    /// How it stands.
    pub fn tally(&self, tally: &Tally) {
        let most = tally.tallies.0.iter().map(|(_, number)| number.as_f64().unwrap_or(0.0)).fold(1.0, f64::max);
        let left = format!("{:.1} s left", tally.time_remaining_ms as f64 / 1000.0);
        for (i, (id, number)) in tally.tallies.0.iter().enumerate() {
            let note = if i == 0 { self.faint(&left) } else { String::new() };
            self.tell("", &format!("{} {note}", self.bar(id, number.as_f64().unwrap_or(0.0), most)));
        }
    }

    /// How it ended, with the rounds of a run-off.
    pub fn outcome(&mut self, outcome: &Outcome) {
        let scale = f64::from(outcome.scale.unwrap_or(1));
        for (i, round) in outcome.rounds.iter().enumerate() {
            let most = round
                .tally
                .0
                .iter()
                .filter_map(|(_, held)| held.as_ref())
                .map(|held| held.as_f64().unwrap_or(0.0) / scale)
                .fold(1.0, f64::max);
            for (j, (id, held)) in round.tally.0.iter().enumerate() {
                let head = if j == 0 { format!("round {}", i + 1) } else { String::new() };
                let row = match held {
                    Some(held) => self.bar(id, held.as_f64().unwrap_or(0.0) / scale, most),
                    None => self.faint(&format!("{} out", self.column(id))),
                };
                self.tell(&head, &row);
            }
        }
        let template = outcome.template.as_deref().unwrap_or("vote");
        let winner = outcome.winner.as_deref().map_or("nobody", |winner| winner);
        let tie = if outcome.tie_broken { ", a tie broken by lot" } else { "" };
        let said = format!(
            "{template}: {winner} ({}, {} of {} counted{tie})",
            outcome.status, outcome.counted, outcome.total_votes
        );
        self.tell("result", &self.bold(&said));
        self.votes.push(said);
    }

    /// It was vetoed.
    pub fn vetoed(&mut self, template: &str, by: &str) {
        self.tell("veto", &self.bold(&format!("{template} is off: {by} spent a veto token")));
        self.votes.push(format!("{template}: vetoed by {by}"));
    }

    /// What became of each vote, in order.
    pub fn votes(&self) -> &[String] {
        &self.votes
    }

    fn label(&self, id: &str) -> String {
        self.labels.iter().find(|(known, _)| known == id).map_or_else(|| id.to_owned(), |(_, label)| label.clone())
    }

    fn bar(&self, id: &str, number: f64, most: f64) -> String {
        let cells = ((number / most) * BAR_CELLS as f64).round() as usize;
        let bar = format!("{}{}", "█".repeat(cells), "░".repeat(BAR_CELLS - cells.min(BAR_CELLS)));
        let bar = if self.colour { format!("\x1b[36m{bar}\x1b[0m") } else { bar };
        format!("{} {bar} {number}", self.column(id))
    }

    /// An option's label, as wide as the widest of its vote.
    fn column(&self, id: &str) -> String {
        let widest = self.labels.iter().map(|(_, label)| label.chars().count()).fold(13, usize::max);
        format!("{:<widest$}", self.label(id))
    }

    fn bold(&self, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn faint(&self, text: &str) -> String {
        if self.colour { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}
