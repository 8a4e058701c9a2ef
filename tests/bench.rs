//! `tessera bench` as a stranger runs it: each shape for a moment against a server of its own, and what its JSON holds.
//! Nothing here asserts how fast anything is.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `tessera bench` with as short a round as says anything.
fn bench(args: &[&str]) -> Output {
    let seconds: &[&str] = if args.contains(&"--seconds") { &[] } else { &["--seconds", "0.2"] };
    Command::new(env!("CARGO_BIN_EXE_tessera"))
        .arg("bench")
        .args(args)
        .args(seconds)
        .args(["--rounds", "2", "--warm-up", "0.05", "--cores", "off", "--json"])
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
fn ticks_are_held_against_a_floor_that_shows_the_same() {
    let report =
        report(&["ticks", "--matches", "2", "--players", "3", "--hz", "50", "--state-bytes", "300", "--floor"]);
    let results = report["results"].as_array().unwrap();
    let subjects: Vec<_> = results.iter().map(|result| result["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["tessera", "floor"]);
    let bytes = |result| figure(result, "bytes per state")["median"].as_f64().unwrap();
    // The same states of the same size, but for how many digits their numbers have.
    assert!(
        (bytes(&results[0]) - bytes(&results[1])).abs() < 30.0,
        "{} and {}",
        bytes(&results[0]),
        bytes(&results[1])
    );
}

#[test]
fn ticks_shown_as_deltas_are_smaller() {
    let args = ["ticks", "--matches", "2", "--players", "3", "--hz", "50", "--state-bytes", "2000"];
    let of = |wire: &str| {
        let report = report(&[&args[..], &["--wire", wire]].concat());
        figure(&report["results"][0], "bytes per state")["median"].as_f64().unwrap()
    };
    let (whole, deltas) = (of("json"), of("delta"));
    assert!(deltas < whole / 2.0, "{deltas} and {whole} bytes");
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

/// The short form of the hour that a release soaks for: every input, cast and visit is answered, every start and result
/// of a vote reaches all of its match, and memory stays within what sessions may keep for a resume.
#[test]
fn soak_loses_nothing_and_stays_flat() {
    let small = ["--matches", "2", "--players", "2", "--vote-matches", "2", "--casts-per-s", "40", "--visitors", "2"];
    let result = &report(&[&["soak", "--flat-within", "16"], &small[..], &["--seconds", "1"]].concat())["results"][0];
    assert_eq!(result["counts"]["sent"], result["counts"]["answered"]);
    #[cfg(target_os = "linux")]
    {
        figure(result, "memory gained, first quarter to last");
        assert!(!result["memory_over_time"].as_array().unwrap().is_empty());
        // It can fail: a server that has just met everybody holds more than before.
        let out = bench(&[&["soak", "--flat-within", "0"], &small[..], &["--seconds", "1"]].concat());
        assert_eq!(out.status.code(), Some(1), "{out:?}");
        assert!(String::from_utf8_lossy(&out.stderr).contains("memory grew by"), "{out:?}");
        let report: Value = serde_json::from_slice(&out.stdout).expect("it is told all the same");
        assert!(!report["results"][0]["faults"].as_array().unwrap().is_empty());
    }
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

/// The same of every shape: whatever it asks, a server that says no is heard, by the code it says it with.
#[test]
fn a_refusal_is_a_refusal_in_every_shape() {
    let slow = ["--set", "limits.frames_per_s=1", "--set", "limits.frames_burst=4"];
    let few = ["--set", "limits.connections_max=3"];
    let cases: [(&[&str], &[&str], &str); 6] = [
        (&["paced", "--connections", "2", "--per-s", "200", "--via", "heartbeat"], &slow, "rate_limited"),
        (&["ticks", "--matches", "1", "--players", "2", "--hz", "5", "--inputs-per-s", "200"], &slow, "rate_limited"),
        (&["votes", "--matches", "1", "--casts-per-s", "400", "--window-ms", "2000"], &slow, "rate_limited"),
        (
            &["queue", "--players", "8", "--match-size", "4"],
            &["--set", "limits.tickets_max=1"],
            "matchmaker.queue_full",
        ),
        (&["idle", "--connections", "9", "--via", "echo"], &few, "http:503"),
        (&["churn", "--visitors", "8"], &few, "http:503"),
    ];
    for (shape, limits, code) in cases {
        let out = bench(&[shape, limits].concat());
        assert_eq!(out.status.code(), Some(1), "{shape:?}: {out:?}");
        let report: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{shape:?}: {out:?}"));
        let counts = &report["results"][0]["counts"];
        assert!(counts["refused"][code].as_u64() > Some(0), "{shape:?}: {counts}");
        let (answered, sent) = (counts["answered"].as_u64().unwrap(), counts["sent"].as_u64().unwrap());
        assert!(answered == 0 || answered < sent, "{shape:?}: {counts}");
    }
}

/// A ladder that finds the server unwilling to take more has found its end, and no refusal that spoils the knee.
#[test]
fn a_server_that_takes_no_more_is_the_end_of_the_ladder() {
    let args = ["ladder", "--from", "60", "--by", "2", "--steps", "4", "--p99-ms", "10000", "--players", "2"];
    let report = report_of(&[&args[..], &["--set", "limits.matches_max=3"]].concat());
    let result = &report["results"][0];
    // Three matches fit and the third step wants four. A busy machine may end a round before that, never after.
    let steps = result["steps"].as_array().unwrap().len();
    assert!((2..=2 * 2).contains(&steps), "one match, then two, in each of two rounds at most: {result}");
    figure(result, "knee");
    let notes = report["notes"].as_array().unwrap().iter().filter_map(Value::as_str);
    let whys: Vec<_> = notes.filter_map(|note| Some(note.split_once("the ladder ended because ")?.1)).collect();
    let refused = |why: &str| why.starts_with("the server refused more") && why.contains("server_busy");
    assert!(
        !whys.is_empty() && whys.iter().all(|why| refused(why) || *why == "less came than was asked for"),
        "{whys:?}"
    );
}

/// A server that somebody else started, and that knows no guests: all it needs is the wire. It is on this machine, so
/// its CPU and memory are known all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_server_given_by_address_needs_the_wire_and_nothing_else() {
    let mut config = tessera::config::Config::default();
    config.server.listen = "127.0.0.1:0".parse().expect("an address");
    config.server.data = ":memory:".into();
    config.server.guests = Some(false);
    let limits = tessera::limits::Limits { registers_per_s: 0, auths_per_s: 0, connects_per_s: 0, ..config.limits };
    config.limits = limits;
    let server = tessera::server::in_background(config, tessera::server::Threads { workers: 1, arbiters: 1 }, None);
    let server = server.expect("the server starts");
    let url = format!("http://{}", server.addr);
    let here = std::process::id().to_string();
    for shape in [
        &["paced", "--connections", "4", "--per-s", "20", "--via", "heartbeat"][..],
        &["queue", "--mode", "arena", "--players", "4", "--matches-per-s", "20"],
        &["churn", "--no-match", "--visitors", "2"],
    ] {
        let report = report(&[shape, &["--against", &url]].concat());
        let result = &report["results"][0];
        assert_eq!(result["subject"], "server");
        assert!(figure(result, "server memory")["median"].as_f64() > Some(0.0), "{result}");
        assert!(report["placed"].as_str().unwrap().contains(&format!("process {here}")), "{}", report["placed"]);
        assert_eq!(report["server_config"], Value::Null);
    }
}

#[test]
fn csv_is_a_line_per_number_with_nothing_beside_them() {
    let args = ["bench", "echo", "--connections", "2", "--depth", "1", "--rounds", "1", "--seconds", "0.1"];
    let out = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(args)
        .args(["--warm-up", "0", "--cores", "off", "--csv"])
        .output()
        .expect("the program starts");
    assert!(out.status.success() && out.stderr.is_empty(), "a pipe hears no progress: {out:?}");
    let mut rows = csv::Reader::from_reader(&out.stdout[..]);
    assert_eq!(rows.headers().unwrap(), vec!["shape", "subject", "case", "name", "unit", "median", "min", "max"]);
    let rows: Vec<csv::StringRecord> = rows.records().map(|row| row.expect("as many cells as heads")).collect();
    let row = |name: &str| rows.iter().find(|row| &row[3] == name).unwrap_or_else(|| panic!("{name} in {rows:?}"));
    for name in ["round trips", "round trip p50", "round trip p99.9", "answered", "refused"] {
        assert!(row(name)[5].parse::<f64>().is_ok(), "{:?}", row(name));
    }
    assert_eq!((&row("round trips")[0], &row("round trips")[2]), ("echo", "one in flight, 64 B"));
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
