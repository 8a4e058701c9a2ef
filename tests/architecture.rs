//! Holds the shape of the code: which floor may know which, what the pure core never touches, and where the one
//! deprecated dependency may be named. Reads the text under `src/`, so it holds for code nobody calls yet, too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which floors each floor may name. `ids`, `limits`, `durations` and `html` know nobody, so everybody may name them
/// (see [`LEAVES`]). Test modules obey too.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &["server", "config", "scenario", "bench", "client", "gateway", "actors", "wire", "games", "store", "engine"],
    ),
    ("server", &["gateway", "actors", "config", "wire", "games", "store", "engine"]),
    ("gateway", &["actors", "config", "wire", "games", "store", "engine"]),
    ("actors", &["wire", "games", "store", "engine"]),
    ("games", &["engine"]),
    ("wire", &["engine"]),
    ("store", &[]),
    ("engine", &[]),
    ("config", &["engine"]),
    // Clients: what they know of a server is its wire and its address.
    ("scenario", &["client", "wire"]),
    ("bench", &["client", "wire"]),
    ("client", &["wire"]),
    ("ids", &[]),
    ("limits", &[]),
    ("durations", &[]),
    ("html", &[]),
];

/// Words, numbers and text that everybody uses.
const LEAVES: &[&str] = &["ids", "limits", "durations", "html"];

/// What the pure core never names: a clock, a global random source, IO, a log, an actor.
const IMPURE: &[&str] = &[
    "actix",
    "tokio",
    "Instant::now",
    "SystemTime",
    "UNIX_EPOCH",
    "rand::rng",
    "thread_rng",
    "OsRng",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::io",
    "std::env",
    "std::thread",
    "std::process",
    "tracing",
    "println!",
];

#[test]
fn floors_know_only_the_floors_below_them() {
    let allowed: BTreeMap<_, _> = MAY_KNOW.iter().copied().collect();
    let mut wrong = Vec::new();
    for file in sources() {
        let floor = floor_of(&file.path);
        if floor == "lib" {
            continue;
        }
        let Some(may) = allowed.get(floor.as_str()) else {
            wrong.push(format!("{}: the floor {floor:?} is not in the table of this test", file.path.display()));
            continue;
        };
        for (line, named) in file.names_of_floors() {
            let fine = named == floor || may.contains(&named.as_str()) || LEAVES.contains(&named.as_str());
            if !fine {
                wrong.push(format!("{}:{line}: {floor} names {named}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports point one way:\n{}", wrong.join("\n"));
}

#[test]
fn the_engine_is_pure() {
    let mut wrong = Vec::new();
    for file in sources().filter(|file| floor_of(&file.path) == "engine") {
        for (at, line) in file.code().enumerate() {
            wrong.extend(
                IMPURE
                    .iter()
                    .filter(|word| names(line, word))
                    .map(|word| format!("{}:{}: names {word}", file.path.display(), at + 1)),
            );
        }
    }
    assert!(wrong.is_empty(), "time and randomness are handed in, effects are handed out:\n{}", wrong.join("\n"));
}

#[test]
fn one_file_names_actix_web_actors() {
    let named: Vec<_> = sources()
        .filter(|file| file.code().any(|line| line.contains("actix_web_actors")))
        .map(|file| file.path)
        .filter(|path| !path.ends_with("gateway/ws.rs"))
        .collect();
    assert!(named.is_empty(), "the seam is gateway/ws.rs alone: {named:?}");
}

#[test]
fn one_file_is_unsafe() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(lib.contains("#![deny(unsafe_code)]"));
    let named: Vec<_> = sources()
        .filter(|file| file.code().any(|line| line.contains("unsafe {") || line.contains("allow(unsafe_code)")))
        .map(|file| file.path)
        .filter(|path| !path.ends_with("games/lua/heap.rs"))
        .collect();
    assert!(named.is_empty(), "the allocator of a script's machine is games/lua/heap.rs alone: {named:?}");
}

/// This test must be able to fail: what it looks for is found where it stands.
#[test]
fn violations_are_found() {
    let file = |text: &str| Source { path: "src/engine/x.rs".into(), text: text.into() };
    let floors = |text: &str| file(text).names_of_floors().into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(floors("use crate::store::Store;"), ["store"]);
    assert_eq!(
        floors("use crate::{\n    ids,\n    wire::{Frame, frame},\n    store::Store,\n};"),
        ["ids", "wire", "store"]
    );
    assert_eq!(floors("fn f() -> crate::actors::X { tessera::cli::y() }"), ["actors"]);
    assert_eq!(floors("// as crate::store does\n//! crate::wire\nlet x = 1; // crate::cli"), [""; 0]);
    assert!(names("let t = Instant::now();", "Instant::now"));
    assert!(names("use tokio::time;", "tokio") && names("use actix_web::web;", "actix"));
    assert!(!names("let tracing_paper = 1;", "tracing") && !names("use rand::rngs::ChaCha8Rng;", "rand::rng"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Source {
    /// From the repository's root.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The file's lines without their comments, so that a sentence about a thing is not the thing.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or(""))
    }

    /// Every floor that the file names through `crate::`, with the line of the name.
    fn names_of_floors(&self) -> Vec<(usize, String)> {
        let code: Vec<&str> = self.code().collect();
        let code = code.join("\n");
        let mut found = Vec::new();
        for (at, _) in code.match_indices("crate::") {
            // `$crate::` of a macro is the same crate.
            let line_of = |at: usize| 1 + code[..at].matches('\n').count();
            let rest = &code[at + "crate::".len()..];
            if rest.starts_with('{') {
                for (offset, name) in heads_of_group(rest) {
                    found.push((line_of(at + "crate::".len() + offset), name));
                }
            } else {
                found.push((line_of(at), word(rest)));
            }
        }
        // Items at the crate's root (macros, functions) are no floor.
        found.retain(|(_, name)| MAY_KNOW.iter().any(|(floor, _)| floor == name));
        found
    }
}

/// The first word of each path of a `{...}` group, with its offset.
fn heads_of_group(text: &str) -> Vec<(usize, String)> {
    let (mut depth, mut heads, mut at_head) = (0, Vec::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            '{' => {
                depth += 1;
                at_head = depth == 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            ',' => at_head = depth == 1,
            c if at_head && !c.is_whitespace() => {
                heads.push((at, word(&text[at..])));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether a line names `what`: as a whole word, or as the beginning of a crate's name (`actix` in `actix_web`).
fn names(line: &str, what: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(what).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + what.len()..].chars().next());
        let whole = what.ends_with('!') || !part(after) || (what == "actix" && after == Some('_'));
        !part(before) && whole
    })
}

/// `engine` for `src/engine/votes/mod.rs` and for `src/engine.rs`.
fn floor_of(path: &Path) -> String {
    let first =
        path.components().nth(1).map(|part| part.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
    first.trim_end_matches(".rs").to_owned()
}

fn sources() -> impl Iterator<Item = Source> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    assert!(files.len() > 10, "there is code to look at");
    files.into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a source file is text");
        Source { path: path.strip_prefix(root()).expect("it is in the repository").to_owned(), text }
    })
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
    into.sort();
}
