//! The program from outside: what it prints where, and with which exit code.

use std::fs;
use std::process::{Command, Output, Stdio};

fn tessera(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera")).args(args).output().expect("the program starts")
}

#[test]
fn a_wrong_command_line_exits_2_and_says_so_on_stderr() {
    for args in [&[][..], &["no-such-command"], &["--no-such-flag"]] {
        let out = tessera(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(out.stdout.is_empty(), "{args:?}");
        assert!(!out.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout_and_exit_0() {
    let help = tessera(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("match and vote server"));
    let version = tessera(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("tessera {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn check_says_every_fault_with_its_line() {
    let file = std::env::temp_dir().join(format!("tessera-check-{}.toml", std::process::id()));
    fs::write(&file, "[server]\nlistn = 1\n[modes.demo]\ntick_hz = 300\n").unwrap();
    let out = tessera(&["check", file.to_str().unwrap()]);
    fs::remove_file(&file).unwrap();
    assert_eq!(out.status.code(), Some(1));
    let name = file.display();
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        format!(
            "{name}:2: server.listn: unknown key \"listn\", did you mean \"listen\"?\n\
             {name}:4: modes.demo.tick_hz: expected an integer from 1 to 128, found 300\n"
        )
    );
    assert_eq!(String::from_utf8_lossy(&out.stderr), format!("tessera: 2 faults in {name}\n"));
}

#[test]
fn check_prints_where_each_value_came_from_and_no_secret() {
    let out = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["check", "--print", "tests/fixtures/config/whole.toml"])
        .env("TESSERA__SERVER__OPS_TOKEN", "correct-horse-battery")
        .env("TESSERA__LIMITS__PING_S", "20")
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(0));
    let printed = String::from_utf8_lossy(&out.stdout);
    for line in [
        "limits.ping_s = 20  # TESSERA__LIMITS__PING_S",
        "server.ops_token = (set)  # TESSERA__SERVER__OPS_TOKEN",
        "server.listen = \"127.0.0.1:8084\"  # tests/fixtures/config/whole.toml:2",
        "modes.smoke.tick_hz = 30  # default",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in\n{printed}");
    }
    assert!(!printed.contains("correct-horse"));
}

#[test]
fn check_prints_a_schema_and_refuses_to_do_two_things() {
    let out = tessera(&["check", "--schema"]);
    assert_eq!(out.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(schema["properties"]["modes"].is_object());
    assert_eq!(tessera(&["check", "--schema", "--print"]).status.code(), Some(2));
    assert_eq!(tessera(&["check", "no-such-file.toml"]).status.code(), Some(1));
}

#[test]
fn check_tries_the_games_that_modes_name() {
    let file = std::env::temp_dir().join(format!("tessera-check-games-{}.toml", std::process::id()));
    let text = "[modes.duel]\ngame = \"builtin:skirmis\"\n[modes.race]\ngame = \"lua:nope/x.lua\"\n\
                [modes.long]\ngame = \"builtin:skirmish\"\ngame_options = { durations = 3 }\ntick_hz = 300\n";
    fs::write(&file, text).unwrap();
    let out = tessera(&["check", file.to_str().unwrap()]);
    let served = tessera(&["serve", "--config", file.to_str().unwrap()]);
    fs::remove_file(&file).unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    let name = file.display();
    assert_eq!(out.status.code(), Some(1));
    for wanted in [
        format!("{name}:2: modes.duel.game: game is \"builtin:skirmis\", expected one of "),
        ", did you mean \"builtin:skirmish\"?\n".into(),
        format!("{name}:4: modes.race.game: nope/x.lua: "),
        format!("{name}:7: modes.long.game_options: unknown field `durations`, expected `duration_s`\n"),
        format!("{name}:8: modes.long.tick_hz: "),
    ] {
        assert!(said.contains(&wanted), "{wanted} in\n{said}");
    }
    // A server says the same, line by line, and does not start.
    assert_eq!(served.status.code(), Some(1));
    let served = String::from_utf8_lossy(&served.stderr);
    assert!(served.contains("line 2: modes.duel.game: ") && served.lines().count() == 5, "{served}");
}

#[test]
fn a_mode_of_a_script_is_checked_printed_and_tried_as_it_is_served() {
    let folder = games("rules", &[("match.lua", "match_size = 1\nmax_players = 3\nfunction tick(s) return s end")]);
    let file = folder.join("tessera.toml");
    let path = file.display().to_string();
    // One player is as good as the script says, and no match of the built-in mode of that name.
    let config =
        format!("[server]\ngames = {:?}\n[modes.default.matchmaking]\nsize = 1\n", folder.display().to_string());
    std::fs::write(&file, config).unwrap();
    let out = tessera(&["check", &path]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stdout));
    let printed = String::from_utf8(tessera(&["check", "--print", &path]).stdout).unwrap();
    for (value, from) in [
        ("game = \"lua:match.lua\"", format!("{}/", folder.display())),
        ("players.max = 3", format!("{}/", folder.display())),
        ("matchmaking.size = 1", format!("{path}:4")),
        ("matchmaking.backfill = false", "default".into()),
    ] {
        let line = format!("modes.default.{value}  # {from}\n");
        assert!(printed.contains(&line), "{line} is not in {printed}");
    }
    let tickets = folder.join("tickets.jsonl");
    std::fs::write(&tickets, "{\"at_ms\":0}\n{\"at_ms\":900}\n").unwrap();
    let tickets = tickets.display().to_string();
    let out = tessera(&["scenario", "queue", &tickets, "--config", &path, "--mode", "default", "--json"]);
    let replayed: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(replayed["default"]["matches"], 2, "{replayed}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn check_finds_in_a_games_folder_what_no_server_would_start_with() {
    let game = "match_size = 2\nvote_templates = { m = { metod = 'ranked' } }
        votes = { { when = 'sometimes', template = 'm', options = { 'a', 'b' } } }\nfunction tick(s) return s end";
    let folder = games("rules-of-votes", &[("match.lua", game)]);
    let out = tessera(&["check", &folder.display().to_string(), "--ticks", "5"]);
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(1), "{printed}");
    for said in ["vote_templates.m.metod", "did you mean \"method\"?", "modes.default.votes[0].when"] {
        assert!(printed.contains(said), "{said} is not in {printed}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_demo_is_seen_whole_by_as_few_and_as_many_players_as_it_takes() {
    let demos = ["2", "8"].map(|players| {
        let args = ["demo", "--players", players];
        Command::new(env!("CARGO_BIN_EXE_tessera")).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    });
    for demo in demos {
        let out = demo.unwrap().wait_with_output().unwrap();
        let (said, wrong) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert_eq!(out.status.code(), Some(0), "{said}\n{wrong}");
        assert!(said.contains("veto") && said.contains("finish"), "{said}");
    }
}

#[test]
fn a_recorded_queue_is_compared_under_several_rules() {
    let queue = |more: &[&str]| {
        let rules = ["--config", "scenarios/queues/rules.toml"];
        tessera(&[&["scenario", "queue", "scenarios/queues/evening.jsonl"][..], &rules, more].concat())
    };
    let out = queue(&["--mode", "first", "--mode", "teams"]);
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0));
    for line in [
        "tickets                           240         240",
        "  of several regions        56 (77 %)           0",
        "teams: 13 not taken: a party of 3 does not fit: a team has 2 seats",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} is missing in:\n{printed}");
    }
    let unknown = queue(&["--mode", "nope"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no mode \"nope\"; expected one of arena"));
}

#[test]
fn a_faulty_queue_is_told_line_by_line() {
    let file = std::env::temp_dir().join(format!("tessera-queue-{}.jsonl", std::process::id()));
    fs::write(&file, "{\"at_ms\":0}\n\n{\"at\":1}\n{\"at_ms\":-1}\n").unwrap();
    let out = tessera(&["scenario", "queue", file.to_str().unwrap(), "--mode", "demo"]);
    fs::remove_file(&file).unwrap();
    assert_eq!(out.status.code(), Some(1));
    let name = file.display();
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(printed.starts_with(&format!("{name}:3:5: unknown field `at`")), "{printed}");
    assert!(printed.contains(&format!("\n{name}:4:")), "{printed}");
    assert_eq!(String::from_utf8_lossy(&out.stderr), format!("tessera: 2 faults in {name}\n"));
}

/// A games folder for one test.
fn games(name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("tessera-cli-{name}-{}", std::process::id()));
    for (file, text) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn the_demo_plays_a_games_folder_and_shows_its_votes() {
    let rps = fs::read_to_string("scenarios/games/rps/match.lua").unwrap();
    let folder = games("demo", &[("config.lua", "return { duel = 'rps/match.lua' }"), ("rps/match.lua", &rps)]);
    let out = tessera(&["demo", "--games", folder.to_str().unwrap()]);
    fs::remove_dir_all(&folder).unwrap();
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{printed}\n{}", String::from_utf8_lossy(&out.stderr));
    for told in
        ["duel", "best_of opens: plurality", "result   best_of:", "shown {\"round\":1}", "finish   {\"rounds\":"]
    {
        assert!(printed.contains(told), "{told:?} is missing in:\n{printed}");
    }
    assert!(printed.ends_with("everything was seen of 1 games\n\n"), "{printed}");
}

#[test]
fn the_demo_says_what_a_game_did_wrong() {
    let folder = games("demo-bad", &[("match.lua", "match_size = 1\nfunction tick(s)\n  s.x.y = 1\nend")]);
    let out = tessera(&["demo", "--games", folder.to_str().unwrap(), "--seconds", "7"]);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(
        said,
        "tessera: default: player1 was told of an error: match.lua:3: attempt to index a nil value (field 'x')\n"
    );
    assert_eq!(tessera(&["demo", "--games", "no-such-folder"]).status.code(), Some(1));
    assert_eq!(tessera(&["demo", "--games", "--players", "3"]).status.code(), Some(2));
}

#[test]
fn who_played_a_game_that_failed_plays_the_next_one() {
    let bad = "match_size = 2\nfunction tick(s)\n  s.x.y = 1\nend";
    let rps = fs::read_to_string("scenarios/games/rps/match.lua").unwrap();
    let files = [
        ("config.lua", "return { a_bad = 'bad.lua', duel = 'rps/match.lua' }"),
        ("bad.lua", bad),
        ("rps/match.lua", &rps),
    ];
    let folder = games("demo-next", &files);
    let out = tessera(&["demo", "--games", folder.to_str().unwrap()]);
    fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.starts_with("tessera: a_bad: player1 was told of an error: bad.lua:3:"), "{said}");
    assert!(!said.contains("duel"), "{said}");
}

#[test]
fn the_log_has_colours_on_a_terminal_alone() {
    // What cannot be listened on is logged, and ends it.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let out = tessera(&["serve", "--listen", &listen, "--data", ":memory:"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() != Some(0) && !said.contains('\u{1b}'), "{said:?}");
}

/// Everything that could differ from one process to the next: orders, addresses, seeds, clocks, and what votes, leaves
/// and inputs do to them.
const RESTLESS: &str = r#"
match_size = 3
function init()
  local t = { bag = {}, log = {} }
  for i = 1, 60 do t.bag["key" .. i] = i end
  return t
end
function join(id, state) state.bag[id] = math.random(100) return state end
function leave(id, state) state.bag[id] = nil return state end
function handle_input(id, input, state)
  for k, v in pairs(input) do state.log[#state.log + 1] = k .. tostring(v) end
  return state
end
function tick(state, dt, index)
  local order = {}
  for k in pairs(state.bag) do order[#order + 1] = k end
  table.sort(order, function(a, b) return #a < #b end)
  state.bag["new" .. index] = math.random()
  state.bag[order[math.random(#order)]] = nil
  state.first, state.order = next(state.bag), table.concat(order, " ", 1, 20)
  state.said = tostring({}) .. tostring(print) .. os.date() .. os.clock() .. game.id()
  return state
end
function vote_requested(state)
  if #state.log % 50 == 0 then return { template = "t" .. #state.log, options = { "a", "b" } } end
end
"#;

#[test]
fn a_scripted_match_shows_the_same_frames_in_every_process() {
    let folder = games("same", &[("match.lua", RESTLESS)]);
    // The line of the mode, from its frames on: what a machine takes of memory is not the game's to say.
    let check = || {
        let out = tessera(&["check", folder.to_str().unwrap()]);
        let printed = String::from_utf8_lossy(&out.stdout).into_owned();
        assert_eq!((out.status.code(), printed.lines().count()), (Some(0), 1), "{printed}");
        let (line, frames) = printed.trim().split_once(", frames ").expect("the frames' digest");
        assert!(line.contains("300 ticks") && frames.len() == 12, "{printed}");
        frames.to_owned()
    };
    let first = check();
    for _ in 0..4 {
        // Another process has its code, its heap and its stack elsewhere.
        assert_eq!(check(), first);
    }
    fs::write(folder.join("match.lua"), RESTLESS.replace("math.random(100)", "math.random(101)")).unwrap();
    assert_ne!(check(), first, "another script shows something else");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_new_game_is_clean_can_be_played_and_is_never_written_over() {
    let parent = games("new", &[("keep.txt", "")]);
    let parent_name = parent.to_str().unwrap();
    let new = || tessera(&["new", "game", "duel", "--in", parent_name]);
    let out = new();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let folder = parent.join("duel");
    let checked = tessera(&["check", folder.to_str().unwrap()]);
    let printed = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!((checked.status.code(), printed.lines().count()), (Some(0), 1), "no warning: {printed}");
    assert!(fs::read_to_string(folder.join("match.lua")).unwrap().starts_with("-- duel: "));
    let again = new();
    assert_eq!(again.status.code(), Some(1), "what is there is kept");
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    let folder = folder.display();
    assert_eq!(said, format!("tessera: {folder} is there already: choose another name, or remove it first\n"));
    assert_eq!(tessera(&["new", "game", "../out"]).status.code(), Some(2));
    fs::remove_dir_all(&parent).unwrap();
}

#[test]
fn a_link_out_of_the_games_folder_leads_nowhere() {
    let folder = games("link", &[("game/match.lua", "local m = require('secret') function tick(s) return s end")]);
    fs::write(folder.join("secret.lua"), "return 1").unwrap();
    std::os::unix::fs::symlink(folder.join("secret.lua"), folder.join("game/secret.lua")).unwrap();
    std::os::unix::fs::symlink(&folder, folder.join("game/around")).unwrap();
    let out = tessera(&["check", folder.join("game").to_str().unwrap()]);
    fs::remove_dir_all(&folder).unwrap();
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(printed, "match.lua:1: module 'secret' not found: there is no secret.lua\n");
}
