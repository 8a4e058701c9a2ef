//! `tessera demo`: a server on an ephemeral port and player clients over real sockets, from sign-in to the finish, for
//! a person to watch. Exits 0 only when every client saw everything it should have seen.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};

use self::player::{Seen, play};
use self::screen::Screen;
use super::{Failure, Outcome};
use crate::actors::meters::Summary;
use crate::client::Base;
use crate::config::Config;
use crate::engine::modes::{Mode, Players, ScheduledVote};
use crate::server::{self, Background, Threads};

mod games;
mod player;
mod screen;
#[cfg(test)]
mod tests;

/// The mode the demo plays.
const MODE: &str = "skirmish";

/// Show what the server does: sign-in, queue, a ticking match, chat, votes with live tallies, the finish
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Players per match, 2 to 8; 4 unless several matches are played, then 2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=8))]
    players: Option<u32>,
    /// Matches at once; more than one shows lateness instead of a match
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    matches: u32,
    /// Seconds a match lasts; 8, and with --games at most 60
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(7..=600))]
    seconds: Option<u64>,
    /// Ticks per second; 20 for one match, 60 for several
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=128))]
    hz: Option<u32>,
    /// Play every mode of this folder of Lua games instead; the project's own examples unless a folder is named
    #[arg(
        long, value_name = "DIR", num_args = 0..=1, default_missing_value = "scenarios/games",
        conflicts_with_all = ["players", "matches", "hz"]
    )]
    games: Option<PathBuf>,
}

/// Plays and tells.
pub fn run(args: Args) -> Outcome {
    if let Some(folder) = &args.games {
        return games::run(folder, args.seconds.unwrap_or(60));
    }
    let seconds = args.seconds.unwrap_or(8);
    let many = args.matches > 1;
    let players = args.players.unwrap_or(if many { 2 } else { 4 });
    let hz = args.hz.unwrap_or(if many { 60 } else { 20 });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Many matches are a measurement: the server has one core to itself, and its clients another.
    let core = (many && cores > 1).then_some(0);
    let threads = if many { Threads { workers: 1, arbiters: 1 } } else { Threads::default() };
    let began = Instant::now();
    let server = server::in_background(config(players, hz, seconds), threads, core).map_err(Failure::failed)?;
    let ready = began.elapsed();
    if core.is_some() {
        server::pin_to(1);
    }
    let base = Base::from(server.addr);
    let screen = Rc::new(RefCell::new(Screen::new(!many)));
    screen.borrow_mut().opening(&base, ready, players, args.matches, hz);
    let clients = players * args.matches;
    let limit = Duration::from_secs(seconds + 20);
    let progress = if many { bar(seconds) } else { ProgressBar::hidden() };
    let seen = actix_web::rt::System::new().block_on(async {
        let ticking = progress.clone();
        let pulse = actix_web::rt::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(250)).await;
                ticking.set_position(began.elapsed().as_millis() as u64);
            }
        });
        // Clients come a few at a time, as players do.
        let gate = Rc::new(tokio::sync::Semaphore::new(32));
        let all = (0..clients).map(|n| {
            let (base, screen, gate) = (base.clone(), screen.clone(), gate.clone());
            async move {
                match tokio::time::timeout(limit, play(base, n, players, screen, gate)).await {
                    Ok(seen) => seen,
                    Err(_) => Seen::failed("it took too long"),
                }
            }
        });
        let seen = join_all(all).await;
        pulse.abort();
        seen
    });
    progress.finish_and_clear();
    summary(&server, &screen.borrow(), &seen, began.elapsed(), core)
}

fn bar(seconds: u64) -> ProgressBar {
    let bar = ProgressBar::new((seconds + 3) * 1_000);
    if let Ok(style) = ProgressStyle::with_template("  playing {bar:40} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// A server for this process alone: nothing is kept, and all clients come from this machine.
fn quiet_config() -> Config {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.server.data = ":memory:".into();
    // Only what is asked for is shown, whatever lies around where this is run.
    config.server.games = String::new();
    config.server.dev_errors = true;
    // The demo's players are guests, whatever the games say.
    config.server.guests = Some(true);
    config.limits.connects_per_s = 0;
    config.limits.auths_per_s = 0;
    config.limits.registers_per_s = 0;
    config.limits.api_per_s = 0;
    config.limits.connections_per_addr_max = 0;
    config
}

/// The built-in skirmish with two votes of its own: a ranked one on the map, and one that can be vetoed.
fn config(players: u32, hz: u32, seconds: u64) -> Config {
    let mut config = quiet_config();
    let votes = [
        serde_json::json!({
            "template": "map_vote", "method": "ranked", "window_ms": 4000, "window_type": "ready_up",
            "options": [
                {"id": "jungle", "label": "Jungle Path"}, {"id": "volcano", "label": "Volcano Path"},
                {"id": "harbour", "label": "Old Harbour"},
            ],
        }),
        serde_json::json!({
            "template": "power_up", "method": "plurality", "window_ms": 2500, "veto_enabled": true,
            "options": [{"id": "double", "label": "Double sparks"}, {"id": "none", "label": "As it is"}],
        }),
    ];
    let scheduled = ["start".to_owned(), format!("tick:{}", u64::from(hz) * 7 / 2)].into_iter().zip(votes);
    let votes =
        scheduled.filter_map(|(when, vote)| Some(ScheduledVote { when, vote: vote.as_object()?.clone() })).collect();
    let known = config.modes.remove(MODE).unwrap_or_default();
    let options = serde_json::json!({"duration_s": seconds});
    let mode = Mode {
        tick_hz: hz,
        players: Players { min: players, max: players },
        game_options: options.as_object().cloned().unwrap_or_default(),
        veto_tokens_per_player: 1,
        votes,
        ..known
    };
    config.modes.insert(MODE.into(), mode);
    config
}

/// What was seen, in a few lines; an error names what was missing.
fn summary(server: &Background, screen: &Screen, seen: &[Seen], took: Duration, core: Option<usize>) -> Outcome {
    let name: std::sync::Arc<str> = MODE.into();
    let meters = server.realm.meters.mode(&name);
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let frames: u64 = seen.iter().map(|seen| seen.frames).sum();
    let Summary { p50_us, p99_us, max_us, .. } = meters.lateness.summary();
    let work = meters.work.summary();
    screen.line("");
    screen.line(&format!(
        "  matches  {} played by {} players in {:.1} s",
        load(&meters.finished),
        seen.len(),
        took.as_secs_f64()
    ));
    screen.line(&format!("  frames   {frames} received by clients, {} ticks run", load(&meters.ticks)));
    screen.line(&format!(
        "  lateness p50 {p50_us} us   p99 {p99_us} us   max {max_us} us   ({} ticks skipped)",
        load(&meters.skipped)
    ));
    screen.line(&format!("  work     p50 {} us   p99 {} us per tick, encoding included", work.p50_us, work.p99_us));
    if let Some(error) = server.realm.meters.period_error(&name) {
        screen.line(&format!("  period   mean error {:.5} % over {} matches", error.mean_percent, error.matches));
    }
    let placed = match core {
        Some(core) => format!("server on core {core}, its {} clients on core 1 of this machine", seen.len()),
        None => format!("server and its {} clients share this machine's cores", seen.len()),
    };
    screen.line(&format!("  machine  {placed}"));
    for vote in screen.votes() {
        screen.line(&format!("  vote     {vote}"));
    }
    let missing: Vec<_> = seen.iter().enumerate().filter_map(|(n, seen)| Some((n + 1, seen.missing()?))).collect();
    match missing.first() {
        None => {
            screen.line("\n  everything was seen: sign-in, queue, match, inputs, chat, votes, veto, finish\n");
            Ok(())
        }
        Some((n, what)) => Err(Failure::failed(format!(
            "{} of {} clients did not see everything; client {n}: {what}",
            missing.len(),
            seen.len()
        ))),
    }
}
