//! `/metrics`: what the server knows of itself in the text format that Prometheus reads. Labels are modes, codes and
//! words of ours, never a player or a match. Durations are histograms in seconds, which can be added up over servers
//! and looked at over any span of time.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

use super::path;
use super::reply::Answer;
use super::state::HttpState;
use crate::actors::connection::Cut;
use crate::actors::mail::Depth;
use crate::actors::meters::{Durations, ModeMeters};
use crate::actors::realm::Realm;
use crate::actors::socket_metrics::{Counter, SocketMetrics};
use crate::durations::Buckets;
use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::store::StoreStats;
use crate::wire::Reason;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/metrics", [(Method::GET, web::to(metrics))]);
}

async fn metrics(state: web::Data<HttpState>) -> Answer {
    let running = state.running()?;
    let mut text = Text(String::with_capacity(32_768));
    of_server(&mut text, &running.realm);
    of_sockets(&mut text, &running.sockets);
    of_modes(&mut text, &running.realm);
    of_queue_and_votes(&mut text, &running.realm);
    of_mail(&mut text, &running.realm);
    of_errors(&mut text, &running.realm);
    of_store(&mut text, &running.realm, &state.store.stats());
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text.0))
}

fn of_server(text: &mut Text, realm: &Realm) {
    let version = label("version", env!("CARGO_PKG_VERSION"));
    text.family("build_info", "gauge", "1, with the version as a label", [(version, 1)]);
    text.one("sessions", "gauge", "Signed-in sessions, connected or resumable", realm.directory.sessions_live());
    text.one("matches", "gauge", "Live matches", realm.directory.matches_live());
    let pressure = &realm.pressure;
    let lags = u8::from(pressure.is_lagging());
    text.one("lagging", "gauge", "1 while ticks have been late for so long that players are told", lags);
    let help = "What is shed: 0 nothing, 1 new matches, 2 spectators too, 3 every other state too";
    text.one("load_level", "gauge", help, pressure.load() as u8);
    for (name, help, count) in [
        ("lagging_windows_total", "Windows in which players were told of lag", &pressure.lagging_windows),
        ("matches_shed_total", "Matches that were not opened under load", &pressure.matches_refused),
        ("spectators_shed_total", "Newcomers not let in to watch under load", &pressure.spectators_refused),
        ("states_shed_total", "States that viewers were not sent under load", &pressure.states_shed),
    ] {
        text.one(name, "counter", help, count.load(Relaxed));
    }
}

fn of_sockets(text: &mut Text, sockets: &SocketMetrics) {
    text.one("connections", "gauge", "Open sockets", sockets.open());
    let counters: [(&str, &str, &Counter); 8] = [
        ("connections_opened_total", "Sockets opened", &sockets.opened),
        ("messages_in_total", "Messages received whole", &sockets.messages_in),
        ("bytes_in_total", "Bytes of those messages", &sockets.bytes_in),
        ("messages_refused_total", "Messages too large or too many", &sockets.refused_in),
        ("frames_out_total", "Frames sent", &sockets.frames_out),
        ("bytes_out_total", "Bytes of those frames", &sockets.bytes_out),
        ("batches_out_total", "Writes those frames left in", &sockets.batches_out),
        ("frames_replaced_total", "Replaceable frames dropped from outboxes for a newer one", &sockets.replaced),
    ];
    for (name, help, counter) in counters {
        text.one(name, "counter", help, counter.get());
    }
    let cuts = Cut::ALL.iter().map(|(cut, name)| (label("why", name), sockets.cut(*cut)));
    let help = "Sockets that the server cut; outbox_overflow is an outbox that was full of what may not be dropped";
    text.family("connections_cut_total", "counter", help, cuts);
}

fn of_modes(text: &mut Text, realm: &Realm) {
    let modes = realm.meters.modes();
    type Count = fn(&ModeMeters) -> &std::sync::atomic::AtomicU64;
    let counts: [(&str, &str, Count); 7] = [
        ("ticks_total", "Ticks run", |m| &m.ticks),
        ("ticks_skipped_total", "Ticks given up because the match was late", |m| &m.skipped),
        ("inputs_dropped_total", "Inputs dropped because their sender flooded", |m| &m.inputs_dropped),
        ("effects_refused_total", "Wishes of games that had to be refused", |m| &m.effects_refused),
        ("matches_started_total", "Matches that began", |m| &m.started),
        ("matches_finished_total", "Matches that ended in order", |m| &m.finished),
        ("matches_died_total", "Matches that died", |m| &m.died),
    ];
    for (name, help, count) in counts {
        let samples = modes.iter().map(|(mode, meters)| (label("mode", mode), count(meters).load(Relaxed)));
        text.family(name, "counter", help, samples);
    }
    type Spread = fn(&ModeMeters) -> &Durations;
    let spreads: [(&str, &str, Spread); 3] = [
        ("tick_lateness_seconds", "Actual minus scheduled, per wake", |m| &m.lateness),
        ("tick_work_seconds", "Running the game and encoding, per wake", |m| &m.work),
        ("tick_emit_seconds", "Tick begun until the last outbox was filled, per wake", |m| &m.emit),
    ];
    for (name, help, spread) in spreads {
        let each = modes.iter().map(|(mode, meters)| (label("mode", mode), spread(meters).buckets()));
        text.histogram(name, help, each);
    }
    // Buckets tell quantiles to within a bucket. Whoever reads one server alone, as the bench does, may have them whole.
    text.head("tick_lateness_quantile_seconds", "summary", "tick_lateness_seconds in exact quantiles since the start");
    for (mode, meters) in &modes {
        let (mode, seen, buckets) = (label("mode", mode), meters.lateness.summary(), meters.lateness.buckets());
        let quantiles = [("0.5", seen.p50_us), ("0.99", seen.p99_us), ("0.999", seen.p999_us), ("1", seen.max_us)];
        for (quantile, us) in quantiles {
            text.line("tick_lateness_quantile_seconds", &format!("{mode},quantile=\"{quantile}\""), seconds(us));
        }
        text.line("tick_lateness_quantile_seconds_sum", &mode, seconds(buckets.sum_us()));
        text.line("tick_lateness_quantile_seconds_count", &mode, buckets.count());
    }
}

fn of_queue_and_votes(text: &mut Text, realm: &Realm) {
    let waiting = realm.meters.tickets_waiting();
    let waiting = waiting.iter().map(|(mode, count)| (label("mode", mode), *count));
    text.family("tickets_waiting", "gauge", "Tickets in the queue", waiting);
    let wait = realm.meters.queue_wait.buckets();
    text.histogram("queue_wait_seconds", "From the ticket to the seat", [(String::new(), wait)]);
    text.one("votes_open", "gauge", "Votes that take ballots", realm.directory.votes_open());
    text.one("votes_opened_total", "counter", "Votes opened", realm.meters.votes_opened.load(Relaxed));
    text.one("votes_closed_total", "counter", "Votes closed", realm.meters.votes_closed.load(Relaxed));
    text.one("votes_died_total", "counter", "Votes that died", realm.meters.votes_died.load(Relaxed));
}

fn of_mail(text: &mut Text, realm: &Realm) {
    let alone = |name, waiting| (name, Depth { all: waiting, fullest: waiting });
    let mut depths: Vec<_> = realm.directory.mail().into();
    depths.push(alone("lobby", realm.lobby().waiting()));
    depths.push(alone("matchmaker", realm.matchmaker().waiting()));
    depths.push(alone("presence", realm.presence().waiting()));
    let each = |of: fn(&Depth) -> usize| {
        let samples = depths.iter().map(|(name, depth)| (label("actor", name), of(depth)));
        samples.collect::<Vec<_>>()
    };
    text.family("mailbox_messages", "gauge", "Messages that actors were told and have not taken up", each(|d| d.all));
    let help = format!(
        "The same in the fullest mailbox of that kind; players are answered busy from {MAILBOX_MESSAGES_MAX} on"
    );
    text.family("mailbox_messages_max", "gauge", &help, each(|d| d.fullest));
    let lost = realm.meters.tells_lost.load(Relaxed);
    text.one("tells_lost_total", "counter", "Messages that found a mailbox full and nobody to tell", lost);
}

/// Codes are the contract, and some are shared by several reasons. Every code there is has a sample from the start, so
/// that the first of a kind is a rise and not a new line.
fn of_errors(text: &mut Text, realm: &Realm) {
    let counted = |code: &str| realm.meters.refusals.get(code).map_or(0, |count| count.load(Relaxed));
    let codes = Reason::ALL.iter().map(|reason| reason.row().code);
    let by_code: BTreeMap<&str, u64> = codes.map(|code| (code, counted(code))).collect();
    let samples = by_code.into_iter().map(|(code, count)| (label("code", code), count));
    text.family("errors_total", "counter", "What clients were refused, over sockets and HTTP, by code", samples);
}

fn of_store(text: &mut Text, realm: &Realm, store: &StoreStats) {
    text.one("store_queue", "gauge", "Store calls waiting or running", store.queue_len);
    text.one("store_commits_total", "counter", "Transactions committed", store.commits);
    text.one("store_busy_total", "counter", "Store calls refused because the queue was full", store.busy);
    text.one("store_errors_total", "counter", "Store calls that failed", store.errors);
    let help = "Notifications, values and lines of games and of the server that the store did not take";
    text.one("rows_lost_total", "counter", help, realm.meters.rows_lost.all());
    let latencies = [("read", &store.reads), ("write", &store.writes)];
    let latencies = latencies.map(|(kind, seen)| (label("kind", kind), seen.buckets));
    text.histogram("store_latency_seconds", "From call to completion, writes after their fsync", latencies);
}

/// The text so far.
struct Text(String);

impl Text {
    /// One name with its samples: `(labels, value)`, the labels as [`label`] writes them.
    fn family<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in samples {
            self.line(name, &labels, value);
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help, [(String::new(), value)]);
    }

    /// Durations by label; an empty label for a family that has but one.
    fn histogram(&mut self, name: &str, help: &str, each: impl IntoIterator<Item = (String, Buckets)>) {
        self.head(name, "histogram", help);
        for (label, buckets) in each {
            let comma = if label.is_empty() { "" } else { "," };
            let (bucket, count) = (format!("{name}_bucket"), buckets.count());
            let bounds = buckets.cumulative().map(|(bound_us, count)| (seconds(bound_us).to_string(), count));
            for (bound, count) in bounds.chain([("+Inf".to_owned(), count)]) {
                self.line(&bucket, &format!("{label}{comma}le=\"{bound}\""), count);
            }
            self.line(&format!("{name}_sum"), &label, seconds(buckets.sum_us()));
            self.line(&format!("{name}_count"), &label, count);
        }
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "tessera_{name} {value}"),
            labels => writeln!(self.0, "tessera_{name}{{{labels}}} {value}"),
        };
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP tessera_{name} {help}\n# TYPE tessera_{name} {kind}");
    }
}

/// Codes and words are ours; a mode's name is the operator's, who may write anything.
fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
