//! `/metrics`: what the server knows of itself in the text format that Prometheus reads. Labels are modes and codes,
//! never a player or a match. Durations are summaries in seconds.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

use super::path;
use super::reply::Answer;
use super::state::HttpState;
use crate::actors::connection::Cut;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/metrics", [(Method::GET, web::to(metrics))]);
}

async fn metrics(state: web::Data<HttpState>) -> Answer {
    let text = exposition(&state)?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

/// One name with its samples: `(labels, value)`.
struct Text(String);

impl Text {
    fn family<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) {
        let _ = writeln!(self.0, "# HELP tessera_{name} {help}\n# TYPE tessera_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "tessera_{name}{labels} {value}");
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help, [(String::new(), value)]);
    }
}

/// Mode names and codes are ours or the operator's: letters, digits, `_` and `-`, so nothing needs escaping but what an
/// operator may do all the same.
fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn exposition(state: &HttpState) -> Result<String, crate::wire::Reason> {
    let running = state.running()?;
    let (realm, sockets, store) = (&running.realm, &running.sockets, state.store.stats());
    let mut text = Text(String::with_capacity(8_192));
    text.one("sessions", "gauge", "Signed-in sessions, connected or resumable", realm.directory.sessions_live());
    text.one("matches", "gauge", "Live matches", realm.directory.matches_live());
    text.one("connections", "gauge", "Open sockets", sockets.open());
    for (name, help, counter) in [
        ("connections_opened_total", "Sockets opened", &sockets.opened),
        ("messages_in_total", "Messages received whole", &sockets.messages_in),
        ("bytes_in_total", "Bytes of those messages", &sockets.bytes_in),
        ("messages_refused_total", "Messages too large or too many", &sockets.refused_in),
        ("frames_out_total", "Frames sent", &sockets.frames_out),
        ("bytes_out_total", "Bytes of those frames", &sockets.bytes_out),
        ("batches_out_total", "Writes those frames left in", &sockets.batches_out),
        ("frames_replaced_total", "Replaceable frames that a newer one replaced", &sockets.replaced),
    ] {
        text.one(name, "counter", help, counter.get());
    }
    let cuts = Cut::ALL.iter().map(|(cut, name)| (format!("{{{}}}", label("why", name)), sockets.cut(*cut)));
    text.family("connections_cut_total", "counter", "Sockets that the server cut", cuts);

    let modes = realm.meters.modes();
    type Count = fn(&crate::actors::meters::ModeMeters) -> &std::sync::atomic::AtomicU64;
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
        let samples =
            modes.iter().map(|(mode, meters)| (format!("{{{}}}", label("mode", mode)), count(meters).load(Relaxed)));
        text.family(name, "counter", help, samples);
    }
    type Spread = fn(&crate::actors::meters::ModeMeters) -> &crate::actors::meters::Durations;
    let spreads: [(&str, &str, Spread); 3] = [
        ("tick_lateness_seconds", "Actual minus scheduled, per wake", |m| &m.lateness),
        ("tick_work_seconds", "Running the game and encoding, per wake", |m| &m.work),
        ("tick_emit_seconds", "Tick begun until the last outbox was filled", |m| &m.emit),
    ];
    for (name, help, spread) in spreads {
        let samples = modes.iter().flat_map(|(mode, meters)| {
            let mode = label("mode", mode);
            let seen = spread(meters).summary();
            [("0.5", seen.p50_us), ("0.99", seen.p99_us), ("0.999", seen.p999_us), ("1", seen.max_us)]
                .map(|(quantile, us)| (format!("{{{mode},{}}}", label("quantile", quantile)), seconds(us)))
        });
        text.family(name, "gauge", help, samples);
    }
    let wait = realm.meters.queue_wait.summary();
    let waits = [("0.5", wait.p50_us), ("0.99", wait.p99_us), ("1", wait.max_us)]
        .map(|(quantile, us)| (format!("{{{}}}", label("quantile", quantile)), seconds(us)));
    text.family("queue_wait_seconds", "gauge", "From the ticket to the seat", waits);
    text.one("votes_opened_total", "counter", "Votes opened", realm.meters.votes_opened.load(Relaxed));
    text.one("votes_closed_total", "counter", "Votes closed", realm.meters.votes_closed.load(Relaxed));
    text.one("votes_died_total", "counter", "Votes that died", realm.meters.votes_died.load(Relaxed));
    let refusals: Vec<_> = realm
        .meters
        .refusals
        .iter()
        .map(|row| (format!("{{{}}}", label("reason", row.key())), row.value().load(Relaxed)))
        .collect();
    text.family("refusals_total", "counter", "What players were refused, by reason", refusals);

    text.one("store_queue", "gauge", "Store calls waiting or running", store.queue_len);
    text.one("store_commits_total", "counter", "Transactions committed", store.commits);
    text.one("store_busy_total", "counter", "Store calls refused because the queue was full", store.busy);
    text.one("store_errors_total", "counter", "Store calls that failed", store.errors);
    let latencies = [("write", &store.writes), ("read", &store.reads)].into_iter().flat_map(|(kind, seen)| {
        let kind = label("kind", kind);
        [("0.5", seen.p50_us), ("0.99", seen.p99_us), ("1", seen.max_us)]
            .map(|(quantile, us)| (format!("{{{kind},{}}}", label("quantile", quantile)), seconds(us)))
    });
    text.family("store_latency_seconds", "gauge", "From call to completion, writes after their fsync", latencies);
    Ok(text.0)
}
