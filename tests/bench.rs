//! `tessera bench` as a stranger runs it: each shape for a moment against a server of its own, and what its JSON holds.
//! Nothing here asserts how fast anything is.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `tessera bench` with as short a round as says anything.
fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera"))
        .arg("bench")
        .args(args)
        .args(["--rounds", "2", "--seconds", "0.2", "--warm-up", "0.05", "--cores", "off", "--json"])
        .output()
        .expect("the program starts")
}

/// The report of a run in which nothing was refused.
fn report(args: &[&str]) -> Value {
    let report = report_of(args);
    assert!(report["machine"]["cores"].as_u64() >= Some(1) && report["started"].as_str().unwrap().ends_with('Z'));
    for result in report["results"].as_array().unwrap() {
        let counts = &result["counts"];
        assert!(counts["answered"].as_u64() > Some(0), "{args:?}: {result}");
        assert_eq!(counts["refused"], serde_json::json!({}), "{args:?}");
        for figure in result["figures"].as_array().unwrap() {
            assert_eq!(figure["rounds"].as_array().unwrap().len(), 2, "{figure}");
        }
        for latency in result["latencies"].as_array().unwrap() {
            let at = |quantile: &str| latency[quantile]["median"].as_f64().unwrap();
            assert!(at("p50") > 0.0 && at("p50") <= at("p99") && at("p99") <= at("max"), "{latency}");
        }
    }
    report
}

fn report_of(args: &[&str]) -> Value {
    let out = bench(args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&report["format"], &report["shape"]), (&1.into(), &args[0].into()));
    report
}

fn figure<'a>(result: &'a Value, name: &str) -> &'a Value {
    let figures = result["figures"].as_array().unwrap();
    figures.iter().find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("a figure {name:?} in {figures:?}"))
}

#[test]
fn echo_measures_each_depth_beside_the_floor() {
    let report = report(&["echo", "--connections", "4", "--depth", "1,3", "--floor"]);
    let results = report["results"].as_array().unwrap();
    let measured: Vec<_> = results.iter().map(|r| (r["subject"].as_str(), r["case"].as_str())).collect();
    let (one, three) = (Some("one in flight, 64 B"), Some("3 in flight, 64 B"));
    let (ours, floor) = (Some("tessera"), Some("floor"));
    assert_eq!(measured, [(ours, one), (floor, one), (ours, three), (floor, three)]);
    for result in results {
        assert_eq!(result["latencies"][0]["count"], result["counts"]["answered"]);
        assert_eq!(figure(result, "round trips")["better"], "higher");
        #[cfg(target_os = "linux")]
        assert!(figure(result, "server CPU per round trip")["median"].as_f64() > Some(0.0));
    }
    assert!(report["ratios"].as_array().unwrap().iter().any(|ratio| ratio["figure"] == "round trips"));
}

#[test]
fn echo_goes_through_a_signed_in_session_too() {
    let report = report(&["echo", "--connections", "3", "--depth", "2", "--size", "80", "--via", "heartbeat"]);
    assert_eq!(report["settings"]["echo"]["via"], "heartbeat");
}

#[test]
fn idle_counts_the_connections_that_stayed() {
    for via in ["echo", "heartbeat"] {
        let report = report(&["idle", "--connections", "20", "--via", via]);
        assert_eq!(report["results"][0]["counts"]["answered"], 40, "20 in each of two rounds");
        #[cfg(target_os = "linux")]
        figure(&report["results"][0], "server memory per connection");
    }
}

#[test]
fn paced_sends_what_it_was_asked_to_and_everything_comes_back() {
    let report = report(&["paced", "--connections", "10", "--per-s", "20", "--floor"]);
    for result in report["results"].as_array().unwrap() {
        let counts = &result["counts"];
        assert_eq!(counts["sent"], counts["answered"]);
        // 200 a second for 0.2 s, twice.
        assert!((78..=82).contains(&counts["sent"].as_u64().unwrap()), "{counts}");
        assert_eq!(result["latencies"][0]["count"], counts["answered"]);
    }
}

#[test]
fn ticks_sees_states_their_age_and_every_input() {
    let report = report(&["ticks", "--matches", "3", "--players", "2", "--hz", "50", "--inputs-per-s", "40"]);
    let result = &report["results"][0];
    assert_eq!(result["counts"]["sent"], result["counts"]["answered"], "every input is seen by the game");
    assert!(figure(result, "states received")["median"].as_f64() > Some(0.0));
    let names: Vec<_> = result["latencies"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "off the schedule",
            "emitted to received",
            "input to state, from when it was due",
            "how late the load itself was"
        ]
    );
    assert!(report["server_config"].as_str().unwrap().contains("tick_hz = 50"));
}

#[test]
fn votes_has_every_cast_replied_to() {
    let args = ["votes", "--matches", "3", "--casts-per-s", "60", "--window-ms", "500"];
    let result = &report(&args)["results"][0];
    assert_eq!(result["counts"]["sent"], result["counts"]["answered"]);
    let names: Vec<_> = result["latencies"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"cast to reply, from when it was due"), "{names:?}");
}

#[test]
fn queue_seats_everybody_who_asked() {
    let result = &report(&["queue", "--players", "12", "--match-size", "3", "--matches-per-s", "50"])["results"][0];
    assert_eq!(result["counts"]["sent"], result["counts"]["answered"]);
}

#[test]
fn churn_goes_through_whole_visits() {
    let result = &report(&["churn", "--visitors", "3"])["results"][0];
    assert_eq!(result["latencies"].as_array().unwrap().len(), 5);
    assert!(figure(result, "visits")["median"].as_f64() > Some(0.0));
}

/// The short form of the hour that a release soaks for.
#[test]
fn soak_loses_nothing() {
    let small = ["--matches", "2", "--players", "2", "--vote-matches", "2", "--casts-per-s", "40", "--visitors", "2"];
    let result = &report(&[&["soak"], &small[..]].concat())["results"][0];
    #[cfg(target_os = "linux")]
    figure(result, "memory gained, first quarter to last");
    assert!(!result["memory_over_time"].as_array().unwrap().is_empty() || cfg!(not(target_os = "linux")));
}

#[test]
fn ladder_raises_the_load_and_names_a_knee() {
    for of in ["ticks", "paced"] {
        let args = ["ladder", "--of", of, "--from", "120", "--by", "2", "--steps", "2", "--p99-ms", "10000"];
        let args = [&args[..], &["--players", "2", "--inputs-per-s", "5"]].concat();
        let report = report_of(&args);
        let result = &report["results"][0];
        assert!(!result["steps"].as_array().unwrap().is_empty(), "{result}");
        figure(result, "knee");
    }
}

/// A server that lets five messages a second through refuses nearly all of a closed loop: they are counted as what they
/// are, not as answers, and the command does not succeed.
#[test]
fn a_refusal_is_never_an_answer() {
    let slow = ["--set", "limits.frames_per_s=1", "--set", "limits.frames_burst=5"];
    let out = bench(&[&["echo", "--connections", "2", "--depth", "1", "--via", "heartbeat"], &slow[..]].concat());
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("refusals"), "{out:?}");
    let report: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let counts = &report["results"][0]["counts"];
    let refused = counts["refused"]["rate_limited"].as_u64().unwrap_or(0);
    assert!(refused > 0, "{counts}");
    // Two connections, two rounds, five messages of a burst and what a second or two brings.
    assert!(counts["answered"].as_u64() <= Some(2 * 2 * 10), "{counts}");
}

/// What a stranger opens after the quick start: one file, no network, and an explanation of what is on it.
#[test]
fn a_report_is_one_page_and_two_can_be_compared() {
    let folder = std::env::temp_dir().join(format!("tessera-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = |name: &str| folder.join(name).to_str().expect("text").to_owned();
    let args = ["ticks", "--matches", "2", "--players", "2", "--report", &path("a.html")];
    let out = bench(&args);
    assert!(out.status.success(), "{out:?}");
    std::fs::write(path("a.json"), &out.stdout).expect("it can be written");
    let page = std::fs::read_to_string(path("a.html")).expect("the page is there");
    assert!(page.contains("default-src 'none'") && page.contains("<svg") && page.contains("off the schedule"));
    let outside = ["http://", "https://", "<script", "<link", "<img", "url(", "@import"];
    let named: Vec<_> = outside.iter().filter(|what| page.contains(**what)).collect();
    assert!(named.is_empty(), "the page needs nothing but itself: {named:?}");
    assert!(!page.contains("NaN") && !page.contains(">inf"));

    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_tessera")).arg("bench").args(args).output().expect("the program starts")
    };
    // A report against itself: nothing moved. Against one whose states cost ten times as much: that is named.
    let same = run(&["compare", &path("a.json"), &path("a.json"), "--fail-on-worse"]);
    assert!(same.status.success() && String::from_utf8_lossy(&same.stdout).contains("0 worse"), "{same:?}");
    let mut worse: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    for part in ["median", "min", "max"] {
        worse["results"][0]["latencies"][0]["p99"][part] = 9e9.into();
    }
    std::fs::write(path("b.json"), worse.to_string()).expect("it can be written");
    let moved = run(&["compare", &path("a.json"), &path("b.json"), "--fail-on-worse"]);
    assert_eq!(moved.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&moved.stdout).contains("WORSE   off the schedule p99"), "{moved:?}");
    let again = run(&["page", &path("b.json"), "--report", &path("b.html")]);
    assert!(again.status.success() && std::path::Path::new(&path("b.html")).exists());
    let neither = run(&["compare", &path("a.json"), &path("a.html")]);
    assert_eq!(neither.status.code(), Some(1), "{neither:?}");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn what_cannot_be_measured_is_said() {
    let out = bench(&["idle", "--floor"]);
    assert_eq!(out.status.code(), Some(2), "the floor signs nobody in");
    let out = bench(&["echo", "--against", "http://127.0.0.1:1"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&out.stderr).lines().count(), 1);
    let out = bench(&["echo", "--set", "limits.no_such_limit=1"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("did not start"), "{out:?}");
}
