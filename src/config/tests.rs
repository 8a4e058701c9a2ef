use super::*;

/// What a text's faults read, one per line; `fine` when there are none.
fn faults_of(text: &str, env: &[(&str, &str)], flags: &Flags) -> String {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match Config::read(text, env, flags) {
        Ok(_) => "fine".into(),
        Err(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(faults_of(text, &[], &Flags::default()), expected, "in\n{text}");
}

fn read(text: &str, env: &[(&str, &str)]) -> (Config, Origins) {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(text, env, &Flags::default()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn nothing_at_all_is_a_working_server() {
    let (config, origins) = read("", &[]);
    assert_eq!(config, Config::default());
    assert_eq!(origins.of("server.listen"), Origin::Default);
    let names: Vec<_> = config.modes.keys().map(String::as_str).collect();
    assert_eq!(names, ["arena", "bench", "default", "demo", "skirmish", "smoke"]);
    assert_eq!(config.modes["default"], config.modes["demo"]);
    assert_eq!(config.modes["smoke"].tick_hz, 30);
    assert_eq!((config.modes["skirmish"].players.max, config.modes["arena"].players.max), (8, 2));
}

/// The example of the documentation, whole.
const EXAMPLE: &str = include_str!("../../tests/fixtures/config/whole.toml");

#[test]
fn the_documented_example_is_fine() {
    let (config, origins) = read(EXAMPLE, &[]);
    let skirmish = &config.modes["skirmish"];
    assert_eq!(skirmish.matchmaking.strategy, "skill");
    assert_eq!(skirmish.votes[0].when, "start");
    assert_eq!(skirmish.votes[0].vote["template"], "map_vote");
    assert_eq!(config.vote_templates["map_vote"]["window_ms"], 20_000);
    assert!(matches!(origins.of("modes.skirmish.matchmaking.size"), Origin::Line(_)));
}

#[test]
fn every_fault_is_told_at_once_with_its_line_and_the_nearest_name() {
    check(
        r#"
[server]
listn = "127.0.0.1:80"
listen = "play.example"
echo = "yes"
trusted_proxies = ["10.0.0.0/8", "10.0.0.0/40"]
dialect = "lastest"
frames_per_s = 3

[limit]
ping_s = 1
[limits]
ping_s = 80
frame_bytes_max = 0x7fffffff
tickets_max = 1.5

[modes.duel]
tick_hz = 300
players = { min = 3, max = 2 }
game = "built-in:duel"
motions = ["kik"]
reconnect = { grace_s = 60, on_expire = "quit" }
[modes.duel.matchmaking]
strategy = "skil"
size = 9
teams = [1, 1, 1]
widen = { per_s = 20, max = 50 }
[[modes.duel.votes]]
when = "tick 5"
options = ["a"]
[[modes.duel.votes]]
template = "map_vote"
"#,
        r#"line 3: server.listn: unknown key "listn", did you mean "listen"?
line 4: server.listen: expected an address and a port such as 127.0.0.1:8084 or [::]:8084, found "play.example"
line 5: server.echo: expected true or false, found "yes"
line 6: server.trusted_proxies[1]: expected an IP address or a network such as 10.0.0.0/8, found "10.0.0.0/40"
line 7: server.dialect: expected one of "", "2026-04", "latest", found "lastest", did you mean "latest"?
line 8: server.frames_per_s: unknown key "frames_per_s" here, it belongs in [limits]
line 10: limit: unknown key "limit", did you mean "limits"?
line 13: limits.ping_s: silent_s is 75 and ping_s 80, expected silent_s > ping_s: a quiet client is silent until it is pinged
line 14: limits.frame_bytes_max: expected an integer from 1024 to 1048576, found 2147483647
line 15: limits.tickets_max: expected an integer from 1 to 4294967295, found 1.5
line 18: modes.duel.tick_hz: expected an integer from 1 to 128, found 300
line 19: modes.duel.players.min: players.min is 3 and players.max 2, expected min <= max
line 20: modes.duel.game: expected builtin:NAME or lua:FOLDER/SCRIPT.lua, found "built-in:duel"
line 21: modes.duel.motions[0]: unknown motion "kik", did you mean "kick"?
line 22: modes.duel.reconnect.on_expire: expected one of "leave", "forfeit", "bot", found "quit"
line 24: modes.duel.matchmaking.strategy: unknown strategy "skil", did you mean "skill"?
line 27: modes.duel.matchmaking.widen.max: widen.max is 50 and window 100, expected widen.max >= window: a window that widens cannot end narrower
line 29: modes.duel.votes[0].when: expected start, tick:N, every_s:N or finish with N at least 1, found "tick 5"
line 31: modes.duel.votes[1]: the key "when" is missing"#,
    );
}

#[test]
fn what_fits_no_mode_is_refused() {
    check(
        r#"
[modes."a b"]
[modes.duel]
game = "lua:../secrets.lua"
matchmaking.teams = [2, 2]
[modes.trio]
players = { min = 3, max = 3 }
matchmaking.size = 2
[[modes.trio.votes]]
when = "every_s:0"
options = ["a"]
"#,
        r#"line 2: modes.a b: expected a name of 1 to 64 letters, digits, '_' or '-', found "a b"
line 4: modes.duel.game: expected builtin:NAME or lua:FOLDER/SCRIPT.lua, found "lua:../secrets.lua": a script is named from inside the games folder
line 5: modes.duel.matchmaking.teams: expected 2 to 2 players, the mode's own bounds, not 4
line 8: modes.trio.matchmaking.size: expected 3 to 3 players, the mode's own bounds, not 2
line 10: modes.trio.votes[0].when: expected start, tick:N, every_s:N or finish with N at least 1, found "every_s:0""#,
    );
    for good in ["start", "finish", "tick:1", "tick:900", "every_s:1"] {
        check(&format!("[[modes.demo.votes]]\nwhen = {good:?}\noptions = [\"a\"]"), "fine");
    }
}

#[test]
fn votes_are_checked_by_the_votes_themselves() {
    check(
        r#"
[vote_templates.map]
method = "rankd"
window_ms = "soon"
vissibility = "hidden"
[vote_templates.fine]
method = "approval"
tie_break = "declared_order"
[motions.kick]
threshold_bp = 20000
[[modes.demo.votes]]
when = "start"
template = "map"
options = ["a", "b"]
[[modes.demo.votes]]
when = "start"
template = "fine"
options = [{ id = "a" },
  { id = "a" }]
[[modes.demo.votes]]
when = "finish"
method = "plurality"
"#,
        r#"line 3: vote_templates.map.method: unknown method "rankd"; did you mean "ranked"?
line 4: vote_templates.map.window_ms: expected an integer of at least 0, found "soon"
line 5: vote_templates.map.vissibility: unknown key "vissibility", did you mean "visibility"?
line 10: motions.kick.threshold_bp: expected 1 to 10000, got 20000
line 19: modes.demo.votes[1].options[1].id: "a" is there twice
line 20: modes.demo.votes[2].options: expected at least one option"#,
    );
}

#[test]
fn several_syntax_errors_are_told_together_and_do_not_hide_the_rest() {
    let said = faults_of("[server]\necho = \nlisten = \"\n[limits]\nping_s = 0\nping_s = 1\n", &[], &Flags::default());
    let lines: Vec<_> = said.lines().map(|line| line.split(": ").next().unwrap_or("")).collect();
    assert_eq!(lines, ["line 2", "line 3", "line 5", "line 6"], "{said}");
    assert!(said.ends_with("line 6: duplicate key ping_s"), "{said}");
}

#[test]
fn the_environment_lies_over_the_file_and_flags_over_both() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\ndata = \"file\"\n[modes.last-man]\ntick_hz = 5\n";
    let env = [
        ("TESSERA__SERVER__LISTEN", "127.0.0.1:2"),
        ("TESSERA__SERVER__DATA", "env"),
        ("TESSERA__SERVER__ALLOWED_ORIGINS", "https://a.example, https://b.example"),
        ("TESSERA__SERVER__TRUSTED_PROXIES", "[\"10.0.0.1\"]"),
        ("TESSERA__SERVER__ECHO", "true"),
        ("TESSERA__LIMITS__PING_S", "7"),
        ("TESSERA__MODES__LAST_MAN__PLAYERS__MAX", "9"),
        ("TESSERA__MODES__SKIRMISH__GAME_OPTIONS", "{ duration_s = 3 }"),
        ("TESSERA__VOTE_TEMPLATES__MAP__METHOD", "approval"),
        ("PATH", "/bin"),
        ("TESSERA_UNRELATED", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let flags = Flags { listen: Some("127.0.0.1:3".into()), ..Flags::default() };
    let (config, origins) = Config::read(text, env, &flags).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:3".parse().unwrap());
    assert_eq!(origins.of("server.listen"), Origin::Flag("listen"));
    assert_eq!(config.server.data, "env");
    assert_eq!(origins.of("server.data"), Origin::Env("TESSERA__SERVER__DATA".into()));
    assert_eq!(config.server.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.server.trusted_proxies, ["10.0.0.1".parse().unwrap()]);
    assert!(config.server.echo);
    assert_eq!(config.limits.ping_s, 7);
    assert_eq!(config.modes["last-man"].players.max, 9);
    assert_eq!(config.modes["last-man"].tick_hz, 5);
    assert_eq!(origins.of("modes.last-man.tick_hz"), Origin::Line(5));
    assert_eq!(config.modes["skirmish"].game_options["duration_s"], 3);
    assert_eq!(config.vote_templates["map"]["method"], "approval");
}

#[test]
fn faults_of_environment_and_flags_are_named() {
    let env = [("TESSERA__LIMITS__PING", "3"), ("TESSERA__LIMITS__SILENT_S", "soon"), ("TESSERA__SERVR__ECHO", "true")];
    let flags = Flags { listen: Some("8084".into()), ..Flags::default() };
    assert_eq!(
        faults_of("", &env, &flags),
        r#"TESSERA__LIMITS__PING: limits.ping: unknown key "ping", did you mean "ping_s"?
TESSERA__LIMITS__SILENT_S: limits.silent_s: expected an integer from 2 to 86400, found "soon"
TESSERA__SERVR__ECHO: servr: unknown key "servr", did you mean "server"?
--listen: server.listen: expected an address and a port such as 127.0.0.1:8084 or [::]:8084, found "8084""#,
    );
}

#[test]
fn a_secret_is_read_and_never_shown() {
    const TOKEN: &str = "correct-horse-battery";
    let shown = |config: &Config| format!("{config:?} {:?} {}", config.flat(), serde_json::to_string(config).unwrap());

    let (config, _) = read("", &[("TESSERA__SERVER__OPS_TOKEN", TOKEN)]);
    assert_eq!(config.server.ops_token.as_ref().map(Secret::reveal), Some(TOKEN));
    assert!(config.flat().contains(&("server.ops_token".into(), "(set)".into())));
    assert!(!shown(&config).contains(TOKEN));

    let folder = std::env::temp_dir().join(format!("tessera-secret-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let (config, _) = read("", &[("TESSERA__SERVER__OPS_TOKEN_FILE", file.to_str().unwrap())]);
    assert_eq!(config.server.ops_token.as_ref().map(Secret::reveal), Some(TOKEN));
    assert!(!shown(&config).contains(TOKEN));

    std::fs::write(&file, "\n").unwrap();
    let said = faults_of(&format!("[server]\nops_token_file = {file:?}\n"), &[], &Flags::default());
    assert!(said.starts_with("line 2: server.ops_token_file: cannot read the token from"), "{said}");
    assert!(said.ends_with("it is empty"), "{said}");
    std::fs::remove_dir_all(&folder).unwrap();

    let said = faults_of(&format!("[server]\nops_token = {TOKEN:?}\n"), &[], &Flags::default());
    assert!(said.starts_with("line 2: server.ops_token: a secret does not belong here"), "{said}");
    assert!(!said.contains(TOKEN));
    // A line with a syntax error may hold a secret too.
    let said = faults_of(&format!("[server]\nops_token = \"{TOKEN}\n"), &[], &Flags::default());
    assert!(said.starts_with("line 2: ") && !said.contains(TOKEN), "{said}");
    // Nobody set it, so nobody is let in.
    assert_eq!(read("", &[("TESSERA__SERVER__OPS_TOKEN", "")]).0.server.ops_token, None);
}

#[test]
fn games_are_tried_by_who_knows_them_and_their_faults_stand_among_the_others() {
    let tried =
        |mode: &Mode| if mode.game == "builtin:duel" { Err(("game", "no such game".to_owned())) } else { Ok(()) };
    let text = "[modes.duel]\ngame = \"builtin:duel\"\ntick_hz = 300\n";
    let games: GamesCheck<'_> = &|config, origins| config.try_games(origins, &tried);
    let faults = Config::read_with(text, [], &Flags::default(), games).unwrap_err();
    let said: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(said[0], "line 2: modes.duel.game: no such game");
    assert!(said[1].starts_with("line 3: modes.duel.tick_hz"), "{said:?}");
}

#[test]
fn the_schema_accepts_what_is_accepted_and_refuses_what_is_refused() {
    let schema = jsonschema::validator_for(&Config::schema()).unwrap();
    let json = |text: &str| serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    assert!(schema.is_valid(&json(EXAMPLE)));
    for bad in ["[server]\nlistn = 1", "[modes.x]\ntick_hz = 129", "[limits]\nping_s = \"1\""] {
        assert!(!schema.is_valid(&json(bad)), "{bad}");
        assert_ne!(faults_of(bad, &[], &Flags::default()), "fine");
    }
}
