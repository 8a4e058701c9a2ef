//! How loaded the server is: measured a few times a second, decided by the engine's [`Governor`], told to players, and
//! obeyed by whoever would add to it. Votes and seated players never ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::matchmaker::Hold;
use super::realm::Realm;
use crate::engine::overload::{Budget, Governor, Load, Verdict, Window};
use crate::limits::{LAG_TOLD_EVERY_MS, LOAD_WINDOW_MS, Limits};
use crate::wire::notices::Lag;
use crate::wire::{Outbound, Reason, Refusal};

/// What the server sheds now, and what it has shed so far.
#[derive(Debug, Default)]
pub struct Pressure {
    load: AtomicU8,
    lagging: AtomicBool,
    /// Windows in which ticks were late for so long that players were told.
    pub lagging_windows: AtomicU64,
    /// Matches that were not opened.
    pub matches_refused: AtomicU64,
    /// Newcomers who were not let in to watch.
    pub spectators_refused: AtomicU64,
    /// States that viewers were not sent.
    pub states_shed: AtomicU64,
}

impl Pressure {
    /// What is shed now.
    pub fn load(&self) -> Load {
        Load::ALL[usize::from(self.load.load(Relaxed)) % Load::ALL.len()]
    }

    /// Whether ticks have been late for a while.
    pub fn is_lagging(&self) -> bool {
        self.lagging.load(Relaxed)
    }

    fn set(&self, verdict: Verdict) {
        self.load.store(verdict.load as u8, Relaxed);
        self.lagging.store(verdict.lagging, Relaxed);
    }

    /// What is said to whoever asks for something that is shed: it can be had again once it was calm for a while.
    pub fn refusal() -> Refusal {
        Reason::Busy.with("retry_ms", LAG_TOLD_EVERY_MS)
    }
}

/// The budget that these limits set.
pub fn budget(limits: &Limits) -> Budget {
    Budget { lateness_us: u64::from(limits.lag_budget_ms) * 1_000, cpu_percent: limits.cpu_percent_max }
}

/// Measures and decides for as long as the server runs; on a thread that ticks nothing.
pub async fn watch(realm: Arc<Realm>) {
    let budget = budget(&realm.rules.limits);
    let mut governor = Governor::new(budget);
    let mut meter = CpuMeter::new(&realm);
    let (mut told_ms, mut told) = (0, Load::Normal);
    let mut every = tokio::time::interval(Duration::from_millis(LOAD_WINDOW_MS));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let lateness = realm.meters.recent.take();
        let lateness_us = (lateness.count > 0).then_some(lateness.p99_us);
        let verdict = governor.observe(Window { lateness_us, cpu_percent: meter.percent(&realm) });
        if verdict.lagging {
            realm.pressure.lagging_windows.fetch_add(1, Relaxed);
        }
        let held_before = !realm.pressure.load().takes_matches();
        realm.pressure.set(verdict);
        if held_before == verdict.load.takes_matches() {
            // `do_send` on purpose: a few times a minute at most, and the queue must not stay held.
            realm.matchmaker().do_send(Hold(!verdict.load.takes_matches()));
        }
        if verdict.changed {
            tracing::warn!(
                load = ?verdict.load, lagging = verdict.lagging, lateness_p99_us = lateness.p99_us,
                budget_us = budget.lateness_us, "the server's load changed"
            );
        }
        let now_ms = realm.clock.now_ms();
        // Whoever was told that something is shed is told when it no longer is.
        let news = verdict.changed && (verdict.lagging || told > Load::Normal);
        if news || (verdict.lagging && now_ms >= told_ms + LAG_TOLD_EVERY_MS) {
            (told_ms, told) = (now_ms, verdict.load);
            let lag = Lag {
                lagging: verdict.lagging,
                lateness_us: lateness.p99_us,
                budget_us: budget.lateness_us,
                shedding: verdict.load.shedding().iter().map(|word| (*word).into()).collect(),
            };
            let frame = lag.push();
            realm.directory.for_each_seated(|member| member.outlet.push(&frame));
        }
    }
}

/// How much of its cores this process uses.
struct CpuMeter {
    cores: u64,
    used_us: u64,
    at_us: u64,
}

impl CpuMeter {
    fn new(realm: &Realm) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        Self { cores, used_us: process_us(), at_us: realm.clock.now_us() }
    }

    /// Percent of all of them since the last time; none where no time went by.
    fn percent(&mut self, realm: &Realm) -> Option<u32> {
        let (used_us, at_us) = (process_us(), realm.clock.now_us());
        let could_us = (at_us - self.at_us) * self.cores;
        let percent = (could_us > 0).then(|| (used_us.saturating_sub(self.used_us) * 100 / could_us) as u32);
        (self.used_us, self.at_us) = (used_us, at_us);
        percent
    }
}

/// Processor time of this process so far, microseconds.
fn process_us() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000 + used.tv_nsec as u64 / 1_000
}
