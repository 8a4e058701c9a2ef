//! The load generator behind `tessera bench`: clients of the wire that are cheap enough to leave the server as the
//! slow one, and figures that a stranger can repeat.
//!
//! Read in this order: [`shapes`] is what can be measured, one file each; a shape's round drives [`link`]s (sockets with
//! a frame pump of their own), notes what it sees on a [`board`], and comes back as a [`figures::Round`]; several rounds
//! become a [`result::Report`], which [`print`](mod@print) tells a terminal or a pipe, [`report`] draws on a page, and
//! [`compare`] holds against another one.
//!
//! Rules that hold for every shape:
//!
//! - latency is measured by the client, on its monotonic clock; in an open loop from the moment a message was *meant* to
//!   be sent, so a server that stalls cannot hide what it kept waiting;
//! - every reply is looked at: a refusal is counted by its code, apart, and never as an answer;
//! - what is measured is one server process's own CPU and memory, read from its `/proc` entry;
//! - this module knows a server by its address and the wire, and nothing else of it.

pub mod alarm;
pub mod board;
pub mod compare;
pub mod figures;
pub mod floor;
pub mod frame;
pub mod hear;
pub mod link;
pub mod machine;
pub mod metrics;
pub mod pace;
pub mod print;
pub mod process;
pub mod report;
pub mod result;
pub mod shapes;
pub mod sign_in;
pub mod stage;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::client::{Base, ClientError};

pub use figures::Round;
pub use result::Report;
pub use shapes::Shape;

/// What is measured: where it listens, and its process where that is on this machine.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub base: Base,
    /// Its process, for CPU and memory; `None` for a server elsewhere.
    pub process: Option<u32>,
    /// How its players come by their tokens, as far as the load has found out.
    way: Rc<Cell<sign_in::Way>>,
    /// How its players ask to be shown states.
    wire: Rc<Cell<Wire>>,
}

/// How players ask to be shown states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Whole
    #[default]
    Json,
    /// As what changed since one that was whole
    Delta,
}

impl Target {
    /// A server that nobody has signed in on yet.
    pub fn new(base: Base, process: Option<u32>) -> Self {
        Self { base, process, way: Rc::default(), wire: Rc::default() }
    }
}

/// How long a round takes.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Load before anything is noted.
    pub warm_up: Duration,
    /// Load that is noted.
    pub measured: Duration,
}

/// What a round is given.
pub struct Cx<'a> {
    /// Whom to load.
    pub target: &'a Target,
    /// For how long.
    pub timing: Timing,
    /// Told what goes on, some times a second; for people who watch.
    pub progress: &'a dyn Fn(&str),
}

/// Why a round came to nothing. A refusal of what is measured is no such reason: it is a result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The server could not be reached or spoke no WebSocket.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// This machine does not let us.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server would not do what a shape needs before there is anything to measure.
    #[error("{what}: {code}")]
    Refused {
        /// What it was asked for.
        what: String,
        /// The code it refused with.
        code: String,
    },
    /// The server said something that the shape cannot go on from.
    #[error("{0}")]
    Unexpected(String),
}

impl BenchError {
    /// The server would not do `what`.
    pub fn refused(what: impl Into<String>, code: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), code: code.into() }
    }

    /// As what it is counted where a round goes on without whoever met it.
    pub fn code(&self) -> String {
        match self {
            Self::Refused { code, .. } => code.clone(),
            Self::Client(_) | Self::Io(_) | Self::Unexpected(_) => format!("broken ({self})"),
        }
    }

    /// The server said something that the shape cannot go on from.
    pub fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected(what.into())
    }
}
