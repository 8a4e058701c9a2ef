//! `/metrics` as Prometheus reads it: a strict reader of the text format, and a server with something to tell.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use support::{Client, run, server};
use tessera::client::{Base, request};

/// Every label there may be. What players and operators name endlessly (players, matches, votes, channels) is none.
const LABELS: [&str; 8] = ["actor", "code", "kind", "le", "mode", "quantile", "version", "why"];

#[derive(Debug, Default)]
struct Family {
    kind: String,
    /// By name and labels, as written.
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

/// Reads an exposition; the first thing that is wrong with it.
fn read(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut helped, mut current) = (None, String::new());
    if !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    for line in text.lines() {
        let wrong = |what: &str| Err(format!("{what}: {line:?}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return wrong("no help") };
            if help.trim().is_empty() {
                return wrong("no help");
            }
            helped = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("no type") };
            if helped.take().as_deref() != Some(name) {
                return wrong("a type without its help before it");
            }
            if !["counter", "gauge", "histogram", "summary"].contains(&kind) {
                return wrong("no type that we use");
            }
            if (kind == "counter") != name.ends_with("_total") {
                return wrong("counters, and they alone, end in _total");
            }
            let family = Family { kind: kind.to_owned(), ..Family::default() };
            if !name.starts_with("tessera_") || families.insert(name.to_owned(), family).is_some() {
                return wrong("not ours, or twice");
            }
            current = name.to_owned();
        } else {
            let (name, labels, value) = sample(line)?;
            let Some(family) = families.get_mut(&current) else { return wrong("a sample of no family") };
            let parts: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["", "_sum", "_count"],
                _ => &[""],
            };
            if !parts.iter().any(|part| name == format!("{current}{part}")) {
                return wrong("a sample under another family's head");
            }
            if let Some(label) = labels.keys().find(|label| !LABELS.contains(&label.as_str())) {
                return Err(format!("{label:?} is no label of ours: {line:?}"));
            }
            if (name.ends_with("_bucket") && family.kind == "histogram") != labels.contains_key("le") {
                return wrong("buckets, and they alone, have a bound");
            }
            if (name == current && family.kind == "summary") != labels.contains_key("quantile") {
                return wrong("quantiles, and they alone, say which");
            }
            if family.samples.insert((name, labels), value).is_some() {
                return wrong("twice");
            }
        }
    }
    for (name, family) in families.iter().filter(|(_, family)| family.kind == "histogram") {
        histogram(name, family)?;
    }
    Ok(families)
}

/// `name{label="value",...} number`.
fn sample(line: &str) -> Result<(String, BTreeMap<String, String>, f64), String> {
    let wrong = |what: &str| format!("{what}: {line:?}");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = line.find(|c| !word(c)).ok_or_else(|| wrong("no value"))?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, value) = rest.split_once("=\"").ok_or_else(|| wrong("no label"))?;
            if label.is_empty() || !label.chars().all(word) {
                return Err(wrong("no label"));
            }
            let (mut text, mut escaped, mut end) = (String::new(), false, None);
            for (at, c) in value.char_indices() {
                match (escaped, c) {
                    (true, '\\' | '"') => text.push(c),
                    (true, 'n') => text.push('\n'),
                    (true, _) => return Err(wrong("no such escape")),
                    (false, '"') => {
                        end = Some(at);
                        break;
                    }
                    (false, '\\') => {}
                    (false, _) => text.push(c),
                }
                escaped = !escaped && c == '\\';
            }
            let end = end.ok_or_else(|| wrong("a label without an end"))?;
            if labels.insert(label.to_owned(), text).is_some() {
                return Err(wrong("a label twice"));
            }
            rest = &value[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').ok_or_else(|| wrong("labels without an end"))?;
    }
    let value = rest.strip_prefix(' ').ok_or_else(|| wrong("no value"))?;
    let value: f64 = value.parse().map_err(|_| wrong("no number"))?;
    if !value.is_finite() || value < 0.0 {
        return Err(wrong("a number that nothing here can have"));
    }
    Ok((name.to_owned(), labels, value))
}

/// For each set of labels: buckets that grow, the last without a bound and equal to the count, and a sum.
fn histogram(name: &str, family: &Family) -> Result<(), String> {
    let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for ((sample, labels), value) in &family.samples {
        let mut labels = labels.clone();
        let le = labels.remove("le");
        let of = buckets.entry(labels).or_default();
        if sample.ends_with("_bucket") {
            let le = le.as_deref().unwrap_or_default();
            let bound = if le == "+Inf" { f64::INFINITY } else { le.parse().map_err(|_| format!("{name}: {le:?}"))? };
            of.push((bound, *value));
        }
    }
    for (labels, mut buckets) in buckets {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let value = |part: &str| family.samples.get(&(format!("{name}{part}"), labels.clone())).copied();
        let grows = buckets.is_sorted_by(|a, b| a.1 <= b.1);
        let last = buckets.last().copied();
        if !grows || last.is_none_or(|last| last.0.is_finite() || Some(last.1) != value("_count")) {
            return Err(format!("{name}{labels:?}: buckets that do not add up: {buckets:?}"));
        }
        if value("_sum").is_none() {
            return Err(format!("{name}{labels:?}: no sum"));
        }
    }
    Ok(())
}

async fn scrape(base: &Base) -> (String, BTreeMap<String, Family>) {
    let answer = request(base, "GET", "/metrics", &[], None).await.expect("an answer");
    assert_eq!(answer.status, 200);
    let families = read(&answer.body).unwrap_or_else(|wrong| panic!("{wrong}"));
    (answer.body, families)
}

fn value(families: &BTreeMap<String, Family>, family: &str, sample: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: BTreeMap<_, _> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let of = families.get(family).unwrap_or_else(|| panic!("a family {family:?}"));
    let found = of.samples.get(&(format!("{family}{sample}"), labels.clone()));
    *found.unwrap_or_else(|| panic!("{family}{sample}{labels:?} among {:?}", of.samples.keys()))
}

#[test]
fn what_a_server_tells_is_what_prometheus_reads_and_what_happened() {
    let server = server(|config| {
        let tessera::config::Config { modes, .. } = config;
        modes.get_mut("bench").expect("it is built in").tick_hz = 50;
    });
    run(async move {
        let base = Base::from(server.addr);
        let (_, before) = scrape(&base).await;
        assert_eq!(value(&before, "tessera_tickets_waiting", "", &[("mode", "bench")]), 0.0, "there from the start");
        assert_eq!(
            value(&before, "tessera_errors_total", "", &[("code", "unknown_type")]),
            0.0,
            "there from the start"
        );

        let (mut ada, mut bob) = (Client::new(&base, "ada").await, Client::new(&base, "bob").await);
        for player in [&mut ada, &mut bob] {
            player.send("chat.join", json!({"channel_id": "lobby"})).await;
            player.expect("chat.joined").await;
            player.send("matchmaker.add", json!({"mode": "bench"})).await;
        }
        let match_id = ada.expect("match.matched").await["payload"]["match_id"].as_str().unwrap().to_owned();
        ada.send("chat.send", json!({"channel_id": "lobby", "content": "hello"})).await;
        ada.expect("chat.sent").await;
        ada.send("match.input", json!({"start_vote": {"template": "next", "window_ms": 60_000}})).await;
        let vote_id = ada.expect("match.vote_start").await["payload"]["vote_id"].as_str().unwrap().to_owned();
        ada.send("vote.cast", json!({"vote_id": vote_id, "option_id": "a"})).await;
        ada.expect("vote.cast_ok").await;
        ada.send("vote.cast", json!({"vote_id": vote_id, "option_id": "no such option"})).await;
        ada.expect("error").await;
        for _ in 0..3 {
            bob.expect("match.state").await;
        }
        let mut eve = Client::new(&base, "eve").await;
        eve.send("matchmaker.add", json!({"mode": "bench"})).await;
        eve.expect("matchmaker.queued").await;
        eve.send("no.such.type", json!({})).await;
        eve.expect("error").await;
        let refused = request(&base, "GET", "/api/v1/notifications", &[], None).await.expect("an answer");
        assert_eq!(refused.status, 401);

        let (text, seen) = scrape(&base).await;
        let bench = ("mode", "bench");
        for (family, labels, expected) in [
            ("tessera_sessions", &[][..], 3.0),
            ("tessera_connections", &[], 3.0),
            ("tessera_matches", &[], 1.0),
            ("tessera_tickets_waiting", &[bench], 1.0),
            ("tessera_votes_open", &[], 1.0),
            ("tessera_votes_opened_total", &[], 1.0),
            ("tessera_matches_started_total", &[bench], 1.0),
            ("tessera_errors_total", &[("code", "unknown_type")], 1.0),
            ("tessera_errors_total", &[("code", "unauthenticated")], 1.0),
            ("tessera_errors_total", &[("code", "vote.invalid_option")], 1.0),
        ] {
            assert_eq!(value(&seen, family, "", labels), expected, "{family}{labels:?}");
        }
        for family in ["tessera_tick_lateness_seconds", "tessera_tick_work_seconds", "tessera_tick_emit_seconds"] {
            assert!(value(&seen, family, "_count", &[bench]) >= 3.0, "{family}");
            assert!(value(&seen, family, "_sum", &[bench]) > 0.0, "{family}");
        }
        assert_eq!(value(&seen, "tessera_queue_wait_seconds", "_count", &[]), 2.0);
        assert!(value(&seen, "tessera_load_level", "", &[]) <= 3.0);
        assert!(value(&seen, "tessera_store_latency_seconds", "_count", &[("kind", "write")]) >= 3.0);
        assert!(value(&seen, "tessera_tick_lateness_quantile_seconds", "", &[bench, ("quantile", "0.99")]) > 0.0);
        let actors = ["channels", "lobby", "matches", "matchmaker", "presence", "votes"];
        for depth in ["tessera_mailbox_messages", "tessera_mailbox_messages_max"] {
            let told: BTreeSet<_> = seen[depth].samples.keys().map(|(_, labels)| labels["actor"].as_str()).collect();
            assert_eq!(told, actors.into(), "{depth}");
        }
        for id in [&ada.player, &bob.player, &eve.player, &match_id, &vote_id] {
            assert!(!text.contains(id.as_str()), "nobody and no match is a label");
        }
        // A counter never falls, and no series that was there goes.
        for (name, family) in &before {
            for (series, count) in &family.samples {
                let now = seen[name].samples.get(series).unwrap_or_else(|| panic!("{series:?} is gone"));
                assert!(family.kind == "gauge" || now >= count, "{series:?} fell from {count} to {now}");
            }
        }
    });
}

/// The reader must be able to say no.
#[test]
fn what_prometheus_would_not_read_is_found() {
    let counter = "# HELP tessera_a_total Things\n# TYPE tessera_a_total counter\n";
    let spread = "# HELP tessera_b Times\n# TYPE tessera_b histogram\n";
    let bucket = |le: &str, count: u32| format!("tessera_b_bucket{{le=\"{le}\"}} {count}\n");
    assert!(read(&format!("{counter}tessera_a_total{{code=\"x\\\"y\"}} 1\n")).is_ok());
    let whole = format!("{spread}{}{}tessera_b_sum 1.5\ntessera_b_count 3\n", bucket("0.5", 2), bucket("+Inf", 3));
    assert!(read(&whole).is_ok(), "{:?}", read(&whole));
    for (wrong, why) in [
        ("tessera_a_total 1\n".to_owned(), "no head"),
        (format!("{counter}tessera_a_total 1"), "no last line end"),
        ("# TYPE tessera_a_total counter\ntessera_a_total 1\n".into(), "no help"),
        ("# HELP tessera_a Things\n# TYPE tessera_a counter\n".into(), "a counter of another name"),
        ("# HELP tessera_a Things\n# TYPE tessera_a untyped\n".into(), "another type"),
        (
            "# HELP tessera_a Things\n# TYPE tessera_a gauge\ntessera_a{quantile=\"1\"} 1\n".into(),
            "a gauge of quantiles",
        ),
        (format!("{counter}{counter}"), "a head twice"),
        (format!("{counter}tessera_b_total 1\n"), "another family's sample"),
        (format!("{counter}tessera_a_total 1\ntessera_a_total 2\n"), "a series twice"),
        (format!("{counter}tessera_a_total{{player=\"x\"}} 1\n"), "a label that is not on the list"),
        (format!("{counter}tessera_a_total{{code=\"x\",code=\"y\"}} 1\n"), "a label twice"),
        (format!("{counter}tessera_a_total{{code=\"x}} 1\n"), "a label without an end"),
        (format!("{counter}tessera_a_total NaN\n"), "no number"),
        (whole.replace("0.5\"} 2", "0.5\"} 4"), "buckets that fall"),
        (whole.replace("+Inf", "7"), "no last bucket"),
        (whole.replace("_count 3", "_count 4"), "a count of its own"),
        (whole.replace("tessera_b_sum 1.5\n", ""), "no sum"),
        (whole.replace("{le=\"0.5\"}", ""), "a bucket without a bound"),
    ] {
        assert!(read(&wrong).is_err(), "{why}: {wrong}");
    }
}
