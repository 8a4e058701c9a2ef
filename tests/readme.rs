//! What the README says is held to the code: its tables are generated from ours, its paths exist, its quick start has
//! two commands. `TESSERA_BLESS=1 cargo test --test readme` writes the tables anew.

use std::fs;
use std::path::Path;

use tessera::config::Config;
use tessera::engine::votes::METHODS;
use tessera::wire::Reason;

/// Each generated table by the name that the README marks it with.
/// A table's name in the README, and what writes it.
type Table = (&'static str, fn() -> String);

const TABLES: &[Table] = &[("commands", commands), ("modes", modes), ("methods", methods), ("errors", errors)];

fn commands() -> String {
    let rows = tessera::cli::commands();
    table(["command", "what it does"], rows.iter().map(|(name, about)| [format!("`tessera {name}`"), about.clone()]))
}

fn modes() -> String {
    let modes = Config::default().modes;
    table(
        ["mode", "game", "ticks per second", "players", "entry"],
        modes.iter().map(|(name, mode)| {
            let doors = [(true, "queue"), (mode.quick_play, "quick play"), (mode.create, "create")];
            let open: Vec<_> = doors.iter().filter(|(open, _)| *open).map(|(_, door)| *door).collect();
            let (min, max) = (mode.players.min, mode.players.max);
            let players = if min == max { min.to_string() } else { format!("{min} to {max}") };
            [format!("`{name}`"), format!("`{}`", mode.game), mode.tick_hz.to_string(), players, open.join(", ")]
        }),
    )
}

fn methods() -> String {
    table(
        ["method", "ballot", "who wins"],
        METHODS.iter().map(|method| {
            let names: Vec<_> = [method.name].iter().chain(method.aliases).map(|name| format!("`{name}`")).collect();
            [names.join(" = "), format!("{:?}", method.ballot).to_lowercase(), method.about.to_owned()]
        }),
    )
}

fn errors() -> String {
    table(
        ["reason", "error.code", "HTTP", "closes", "what it says"],
        Reason::ALL.iter().map(|reason| {
            let row = reason.row();
            let closes = row.closes.map(|code| code.to_string()).unwrap_or_default();
            let code = |text: &str| format!("`{text}`");
            [code(row.word), code(row.code), row.status.to_string(), closes, row.message.to_owned()]
        }),
    )
}

#[test]
fn tables_say_what_the_code_says() {
    let readme = readme();
    let mut wanted = readme.clone();
    for (name, rows) in TABLES {
        let (begin, end) = (format!("<!-- table: {name} -->\n"), "<!-- /table -->");
        let at = wanted.find(&begin).unwrap_or_else(|| panic!("the README has no {begin}")) + begin.len();
        let until = at + wanted[at..].find(end).unwrap_or_else(|| panic!("the table {name} has no end"));
        wanted.replace_range(at..until, &rows());
    }
    if std::env::var_os("TESSERA_BLESS").is_some() {
        // Whole or not at all: other tests read it meanwhile.
        fs::write(path("README.md.new"), &wanted).unwrap();
        fs::rename(path("README.md.new"), path("README.md")).unwrap();
        return;
    }
    assert!(readme == wanted, "run TESSERA_BLESS=1 cargo test --test readme; the README should read\n{wanted}");
}

#[test]
fn no_table_is_left_out() {
    let readme = readme();
    let marked: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("<!-- table: ")).collect();
    assert_eq!(marked.len(), TABLES.len(), "{marked:?}");
}

#[test]
fn the_quick_start_has_exactly_its_two_commands() {
    let readme = readme();
    let section = readme.split("## Quick start").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let commands: Vec<_> = section.split("```sh\n").skip(1).flat_map(|rest| rest.split("```").next()).collect();
    assert_eq!(commands, ["cargo run --release -- demo\ncargo test\n"]);
}

/// The endpoints are listed by hand, in words; that none is left out or made up is checked where they are registered.
#[test]
fn the_http_tables_have_the_paths_that_are_served() {
    let mut served = std::collections::BTreeSet::new();
    for folder in ["src/gateway/http", "src/gateway/http/ops"] {
        for file in fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file()) {
            let prefix = match file.file_stem().unwrap().to_str().unwrap() {
                "health" | "metrics" => "",
                _ if folder.ends_with("ops") => "/ops/v1",
                _ => "/api/v1",
            };
            let source = fs::read_to_string(file).unwrap();
            let calls = source.split("path(").skip(1);
            let literals =
                calls.filter_map(|call| call.trim_start().strip_prefix("cfg,")?.trim_start().strip_prefix('"'));
            for literal in literals.filter_map(|rest| rest.split('"').next()) {
                served.insert(format!("{prefix}{}", literal.replace('{', ":").replace('}', "")));
            }
        }
    }
    let readme = readme();
    let rows = readme.lines().filter(|line| line.starts_with("| GET") || line.starts_with("| P"));
    let cells = rows.filter_map(|row| row.split(" | ").nth(1));
    let listed: Vec<_> = cells.flat_map(|cell| cell.split('`').filter(|path| path.starts_with('/'))).collect();
    assert!(served.len() > 40, "{served:?}");
    assert_eq!(listed.iter().map(|path| path.to_string()).collect::<std::collections::BTreeSet<_>>(), served);
    assert_eq!(listed.len(), served.len(), "each once");
}

#[test]
fn every_path_that_is_named_exists() {
    let readme = readme();
    let named = readme.split(['`', '(', ')']).filter(|word| {
        let ours = ["src/", "tests/", "scenarios/", "benches/", "fuzz/", ".ci/", "LICENSE"];
        ours.iter().any(|folder| word.starts_with(folder)) && !word.contains(char::is_whitespace)
    });
    let mut seen = 0;
    for word in named {
        assert!(path(word).exists(), "the README names {word}, which is not there");
        seen += 1;
    }
    assert!(seen > 10, "the map names {seen} paths");
}

/// A Markdown table. A cell's own `|` would end it.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| {
        format!("| {} |\n", cells.iter().map(|c| c.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
    };
    let mut text = line(&head.map(str::to_owned));
    text += &format!("|{}\n", "---|".repeat(N));
    rows.for_each(|row| text += &line(&row));
    text
}

fn readme() -> String {
    fs::read_to_string(path("README.md")).unwrap()
}

fn path(inside: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inside)
}
