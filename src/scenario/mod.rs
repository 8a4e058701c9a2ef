//! Scenarios: files that say who sends what, and who must, or must never, see what, within which time.
//!
//! A scenario is a client and nothing else: it knows the wire and an address, so the same file runs against a server of
//! its own and against one that somebody else runs. Read in this order: [`mod@file`] is what a file may say, [`pattern`] how
//! an expectation meets a frame, `player` one connection and all it was sent, [`run`](mod@run) plays the steps,
//! [`account`] and `html` tell what happened, [`invert`] turns each expectation round so that a test can see it fail.

pub mod account;
pub mod file;
mod html;
pub mod invert;
pub mod pattern;
mod player;
pub mod run;

pub use account::{Account, Outcome, StepAccount};
pub use file::Scenario;
pub use html::report;
pub use run::{Target, run};
