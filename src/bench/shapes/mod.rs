//! What can be measured: one file per shape, and [`Shape`] is the table of them. A shape says what it wants of a server
//! that is started for it, which cases it has, and plays one round of one case.

use serde::Serialize;

use super::{BenchError, Cx, Round};

mod churn;
mod echo;
mod idle;
mod ladder;
mod paced;
mod queue;
mod soak;
mod ticks;
mod votes;

pub use churn::Churn;
pub use echo::Echo;
pub use idle::Idle;
pub use ladder::Ladder;
pub use paced::Paced;
pub use queue::Queue;
pub use soak::Soak;
pub use ticks::Ticks;
pub use votes::Votes;

/// Every shape there is.
#[derive(Debug, Clone, clap::Subcommand, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Round trips per second: every connection sends, waits for the answer, and sends again; pipelined too
    Echo(Echo),
    /// Latency of messages that leave when they are due, whether or not the server keeps up
    Paced(Paced),
    /// Ticks as clients see them: off the schedule by how much, how old on arrival, and when inputs show
    Ticks(Ticks),
    /// Casts until their reply and until their tally, and results after a close
    Votes(Votes),
    /// From the ticket to the seat: players queue, are matched, leave, and queue again
    Queue(Queue),
    /// Memory per connection that does nothing
    Idle(Idle),
    /// Visits from sign-in to goodbye, as many at once as they say, over and over
    Churn(Churn),
    /// Raise the load until its 99th percentile breaks, and say where
    Ladder(Ladder),
    /// Ticks, votes and visits together, for as long as asked: whether memory stays flat and nothing is lost
    Soak(Soak),
}

impl Shape {
    /// Its name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Echo(_) => "echo",
            Self::Paced(_) => "paced",
            Self::Ticks(_) => "ticks",
            Self::Votes(_) => "votes",
            Self::Queue(_) => "queue",
            Self::Idle(_) => "idle",
            Self::Churn(_) => "churn",
            Self::Ladder(_) => "ladder",
            Self::Soak(_) => "soak",
        }
    }

    /// What it wants of a server that is started for it, as the text of a configuration file.
    pub fn server_config(&self) -> String {
        let own = match self {
            Self::Echo(_) | Self::Paced(_) | Self::Idle(_) => String::new(),
            Self::Ticks(shape) => shape.server_config(),
            Self::Votes(shape) => shape.server_config(),
            Self::Queue(shape) => shape.server_config(),
            Self::Churn(shape) => shape.server_config(),
            Self::Ladder(shape) => shape.server_config(),
            Self::Soak(shape) => shape.server_config(),
        };
        format!("{COMMON_CONFIG}{own}")
    }

    /// Whether a server that is started for it keeps what it stores in files, as one that is played on does. Elsewhere
    /// that would measure the disk; over an hour, what is kept in memory would be all there is to see of memory.
    pub fn keeps_files(&self) -> bool {
        matches!(self, Self::Soak(_))
    }

    /// The cases that are measured apart, in their order.
    pub fn cases(&self) -> Vec<String> {
        match self {
            Self::Echo(shape) => shape.cases(),
            Self::Paced(shape) => shape.cases(),
            Self::Ticks(shape) => shape.cases(),
            Self::Votes(shape) => shape.cases(),
            Self::Queue(shape) => shape.cases(),
            Self::Idle(shape) => shape.cases(),
            Self::Churn(shape) => shape.cases(),
            Self::Ladder(shape) => shape.cases(),
            Self::Soak(shape) => shape.cases(),
        }
    }

    /// Whether the floor can be measured with it too.
    pub fn has_floor(&self) -> bool {
        match self {
            Self::Echo(shape) => !shape.signed_in(),
            Self::Paced(shape) => !shape.signed_in(),
            Self::Idle(shape) => !shape.signed_in(),
            Self::Ladder(shape) => shape.has_floor(),
            Self::Ticks(shape) => shape.has_floor(),
            Self::Votes(_) | Self::Queue(_) | Self::Churn(_) | Self::Soak(_) => false,
        }
    }

    /// Plays one round of the case of this index. Needs a `LocalSet`.
    ///
    /// # Errors
    /// When the server is not there, is no server of ours, or this machine does not let us.
    pub async fn round(&self, case: usize, cx: &Cx<'_>) -> Result<Round, BenchError> {
        match self {
            Self::Echo(shape) => shape.round(case, cx).await,
            Self::Paced(shape) => shape.round(cx).await,
            Self::Ticks(shape) => shape.round(cx).await,
            Self::Votes(shape) => shape.round(cx).await,
            Self::Queue(shape) => shape.round(cx).await,
            Self::Idle(shape) => shape.round(cx).await,
            Self::Churn(shape) => shape.round(cx).await,
            Self::Ladder(shape) => Box::pin(shape.round(cx)).await,
            Self::Soak(shape) => shape.round(cx).await,
        }
    }
}

/// A rate or a time on a command line: nothing negative, nothing absurd.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=10_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number, 0 to 10000000".into()),
    }
}

/// A server for measuring keeps nothing (but see [`Shape::keeps_files`]), takes everybody from one address at any rate, and echoes.
const COMMON_CONFIG: &str = r#"[server]
listen = "127.0.0.1:0"
data = ":memory:"
games = "./tessera-bench-plays-built-in-games"
access_token_s = 86400
echo = true

[limits]
frames_per_s = 0
connects_per_s = 0
registers_per_s = 0
auths_per_s = 0
api_per_s = 0
joins_per_min = 0
connections_max = 1000000
connections_per_addr_max = 1000000
players_max = 1000000
"#;
