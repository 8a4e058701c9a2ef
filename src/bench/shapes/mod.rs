//! What can be measured: one file per shape, and [`Shape`] is the table of them. A shape says what it wants of a server
//! that is started for it, which cases it has, and plays one round of one case.

use serde::Serialize;

use super::{BenchError, Cx, Round};

mod echo;
mod idle;

pub use echo::Echo;
pub use idle::Idle;

/// Every shape there is.
#[derive(Debug, Clone, clap::Subcommand, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Round trips per second: every connection sends, waits for the answer, and sends again; pipelined too
    Echo(Echo),
    /// Memory per connection that does nothing
    Idle(Idle),
}

impl Shape {
    /// Its name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Echo(_) => "echo",
            Self::Idle(_) => "idle",
        }
    }

    /// What it wants of a server that is started for it, as the text of a configuration file.
    pub fn server_config(&self) -> String {
        COMMON_CONFIG.to_owned()
    }

    /// The cases that are measured apart, in their order.
    pub fn cases(&self) -> Vec<String> {
        match self {
            Self::Echo(shape) => shape.cases(),
            Self::Idle(shape) => shape.cases(),
        }
    }

    /// Whether the floor can be measured with it too.
    pub fn has_floor(&self) -> bool {
        match self {
            Self::Echo(shape) => !shape.signed_in(),
            Self::Idle(shape) => !shape.signed_in(),
        }
    }

    /// Plays one round of the case of this index. Needs a `LocalSet`.
    ///
    /// # Errors
    /// When the server is not there, is no server of ours, or this machine does not let us.
    pub async fn round(&self, case: usize, cx: &Cx<'_>) -> Result<Round, BenchError> {
        match self {
            Self::Echo(shape) => shape.round(case, cx).await,
            Self::Idle(shape) => shape.round(cx).await,
        }
    }
}

/// A server for measuring keeps nothing, takes everybody from one address at any rate, and echoes.
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
"#;
