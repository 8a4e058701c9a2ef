//! What came of a scenario, step by step, for people to read.

use std::fmt;
use std::time::Duration;

use super::file::Scenario;
use super::pattern::shortened;

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Account {
    /// The file it came from.
    pub file: String,
    /// What it says holds.
    pub title: String,
    /// Why anybody would want to know.
    pub about: String,
    /// How long it took.
    pub took: Duration,
    /// Each step, in order; step 0 is signing in, where that failed.
    pub steps: Vec<StepAccount>,
}

impl Account {
    /// Of a scenario whose server could not be had.
    pub fn not_played(scenario: &Scenario, file: &str, why: String) -> Self {
        let (text, outcome, lines) = ("a server as [config] says".into(), Outcome::Failed(vec![why]), Vec::new());
        let no_server = StepAccount { number: 0, text, took: Duration::ZERO, outcome, lines };
        Self {
            file: file.to_owned(),
            title: scenario.title.clone(),
            about: scenario.about.clone(),
            took: Duration::ZERO,
            steps: vec![no_server],
        }
    }

    /// Whether every step held.
    pub fn held(&self) -> bool {
        self.steps.iter().all(|step| step.outcome == Outcome::Held)
    }

    /// The step that did not hold.
    pub fn failed(&self) -> Option<&StepAccount> {
        self.steps.iter().find(|step| matches!(step.outcome, Outcome::Failed(_)))
    }
}

/// What came of one step.
#[derive(Debug, Clone)]
pub struct StepAccount {
    /// Its number in the file, from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// What was said meanwhile.
    pub lines: Vec<Line>,
}

impl StepAccount {
    pub(super) fn not_run(number: usize, text: String) -> Self {
        Self { number, text, took: Duration::ZERO, outcome: Outcome::NotRun, lines: Vec::new() }
    }
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it says.
    Held,
    /// It is not, for these reasons.
    Failed(Vec<String>),
    /// An earlier step did not hold.
    NotRun,
}

/// One frame, request or answer.
#[derive(Debug, Clone)]
pub struct Line {
    /// When, since the scenario began.
    pub at: Duration,
    /// Whose.
    pub who: String,
    /// Whether the server was told it; else the server said it.
    pub sent: bool,
    /// The text, shortened.
    pub text: String,
}

impl Line {
    pub(super) fn new(at: Duration, who: &str, sent: bool, text: &str) -> Self {
        Self { at, who: who.to_owned(), sent, text: shortened(text) }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.file, self.title)?;
        for step in &self.steps {
            let (word, why) = match &step.outcome {
                Outcome::Held => ("ok", &[][..]),
                Outcome::Failed(why) => ("FAILED", &why[..]),
                Outcome::NotRun => ("not run", &[][..]),
            };
            writeln!(f, "  {word:>7} {:>6} ms  {:>2}. {}", step.took.as_millis(), step.number, step.text)?;
            for why in why {
                writeln!(f, "                        {why}")?;
            }
        }
        Ok(())
    }
}
