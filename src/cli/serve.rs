//! `tessera serve`: runs a server until it is told to stop.

use std::path::PathBuf;
use std::time::Duration;

use super::{Failure, Outcome};
use crate::config::{Config, Flags};
use crate::server::{self, Threads};

/// Run a server
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; without one everything has its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, such as 127.0.0.1:8084
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Data folder, or :memory: to keep nothing
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// Folder of Lua games
    #[arg(long, value_name = "FOLDER")]
    games: Option<String>,
    /// Threads for HTTP; one per core unless said
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Threads for matches and the sockets of players; one per core unless said
    #[arg(long, value_name = "N")]
    arbiters: Option<usize>,
    /// Seconds that running matches get to end after SIGTERM
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    drain_s: u64,
}

/// Runs until SIGTERM or SIGINT, then drains.
pub fn run(args: Args) -> Outcome {
    let flags = Flags { listen: args.listen, data: args.data, games: args.games };
    let (config, origins) =
        Config::load(args.config.as_deref(), crate::config::process_env(), &flags, &server::try_games).map_err(
            |faults| {
                for fault in &faults {
                    eprintln!("{fault}");
                }
                let name =
                    args.config.as_ref().map_or_else(|| "the configuration".into(), |file| file.display().to_string());
                Failure::failed(format!("{} fault{} in {name}", faults.len(), if faults.len() == 1 { "" } else { "s" }))
            },
        )?;
    super::log_to_stderr();
    let default = Threads::default();
    let threads = Threads {
        workers: args.workers.unwrap_or(default.workers),
        arbiters: args.arbiters.unwrap_or(default.arbiters),
    };
    let drain = Duration::from_secs(args.drain_s);
    actix_web::rt::System::new().block_on(async move {
        let server = server::start_configured(config, &origins, threads).await.map_err(Failure::failed)?;
        println!("listening on http://{}", server.addr());
        let why = told_to_stop().await?;
        eprintln!("{why}: draining");
        server.stop(drain).await;
        Ok(())
    })
}

/// Waits for a signal and says which.
async fn told_to_stop() -> Result<&'static str, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    Ok(tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    })
}
