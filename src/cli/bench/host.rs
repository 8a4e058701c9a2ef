//! Starts what is measured: every server is a process of its own, pinned before its first thread, and gone after its
//! round.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::thread::JoinHandle;

use super::{Failure, Outcome};
use crate::bench::{floor, process};
use crate::client::Base;
use crate::server::pin_to;

/// Which cores the server and the load are kept on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// The first two, where there are two.
    Auto,
    /// Wherever the system puts them.
    Off,
    /// The server's, and the load's.
    At(usize, usize),
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected auto, off, or two cores such as 0,1, found {text:?}");
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => {
                let (server, load) = text.split_once(',').ok_or_else(wrong)?;
                Ok(Self::At(server.parse().map_err(|_| wrong())?, load.parse().map_err(|_| wrong())?))
            }
        }
    }
}

/// `NAME=PROGRAM` of `--beside`.
pub fn beside(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=PROGRAM, such as old=/usr/local/bin/tessera")?;
    match name {
        "" | "tessera" | "floor" => Err(format!("the name {name:?} is not free")),
        _ => Ok((name.to_owned(), path.into())),
    }
}

/// `KEY=VALUE` of `--set`.
pub fn set(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as limits.ping_s=20")?;
    match key.contains('.') {
        true => Ok((key.to_owned(), value.to_owned())),
        false => Err(format!("expected a key with its section, such as limits.{key}")),
    }
}

/// Whom a round measures.
pub enum Subject {
    /// A program of ours, by a name and where it lies.
    Program(String, PathBuf),
    /// The floor, inside this program.
    Floor(PathBuf),
    /// A server that runs already.
    Given(Base),
}

impl Subject {
    /// What it is called in a report.
    pub fn name(&self) -> &str {
        match self {
            Self::Program(name, _) => name,
            Self::Floor(_) => "floor",
            Self::Given(_) => "server",
        }
    }
}

/// Starts servers.
pub struct Host {
    cores: Option<(usize, usize)>,
    config: String,
    environment: Vec<(String, String)>,
    workers: usize,
    arbiters: usize,
    /// Whether a started server keeps files.
    keeps_files: bool,
}

impl Host {
    /// For servers configured as `config` says, with the values of `set` over it.
    pub fn new(
        cores: Cores,
        config: String,
        set: &[(String, String)],
        workers: usize,
        arbiters: usize,
        keeps_files: bool,
    ) -> Result<Self, Failure> {
        let there = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = match cores {
            Cores::Auto if there > 1 => Some((0, 1)),
            Cores::Auto | Cores::Off => None,
            Cores::At(server, load) => Some((server, load)),
        };
        let environment = set
            .iter()
            .map(|(key, value)| (format!("TESSERA__{}", key.to_uppercase().replace('.', "__")), value.clone()))
            .collect();
        // Somebody who says where data goes has decided.
        let keeps_files = keeps_files && set.iter().all(|(key, _)| key != "server.data");
        Ok(Self { cores, config, environment, workers, arbiters, keeps_files })
    }

    /// What a started server is configured as.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Puts this thread, which is the load's, where it belongs, and says who is where; `given` is a server that runs
    /// already, wherever that is.
    pub fn place_load(&self, given: Option<&Base>) -> String {
        if let Some(base) = given {
            let load = match self.cores {
                Some((_, load)) if pin_to(load) => format!("load on core {load}"),
                _ => "load not pinned".to_owned(),
            };
            return match process::listening(base) {
                Some(server) => {
                    let name = process::name(server).unwrap_or_default();
                    format!(
                        "server {base} is process {server} ({name}) of this machine, placed by whoever started it; {load}"
                    )
                }
                None => format!("server {base} is not ours to look into, so its CPU and memory are not known; {load}"),
            };
        }
        let threads = format!("server with {} HTTP and {} match threads", self.workers, self.arbiters);
        match self.cores {
            Some((server, load)) if pin_to(load) => format!("{threads} on core {server}, load on core {load}"),
            Some(_) => format!("{threads}; pinning failed: server and load share the machine's cores"),
            None => format!("{threads}; not pinned: server and load share the machine's cores"),
        }
    }

    /// Starts `subject` and waits until it accepts.
    pub fn start(&self, subject: &Subject) -> Result<Running, Failure> {
        let mut folder = None;
        let mut command = match subject {
            Subject::Given(base) => {
                let found = process::listening(base);
                return Ok(Running { base: base.clone(), child: None, found, folder });
            }
            Subject::Program(_, path) => {
                let mut command = self.serve(path);
                if self.keeps_files {
                    let folder = folder.insert(Folder::new()?);
                    command.arg("--data").arg(&folder.0);
                }
                command
            }
            Subject::Floor(path) => {
                let mut command = Command::new(path);
                command.args(["bench", "floor"]);
                command
            }
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A child inherits the place of the thread that starts it: before its own first thread, so all of them stay.
        if let Some((server, _)) = self.cores {
            pin_to(server);
        }
        let child = command.spawn();
        if let Some((_, load)) = self.cores {
            pin_to(load);
        }
        let mut child =
            child.map_err(|error| Failure::failed(format!("cannot start {:?}: {error}", command.get_program())))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A server that does not read it will not start, which is told below.
            let _ = stdin.write_all(self.config.as_bytes());
        }
        let said = child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        let words = words_of(&mut child);
        let line = said.and_then(|mut lines| lines.next()?.ok()).unwrap_or_default();
        let mut running = Running {
            base: Base::from(SocketAddr::from(([127, 0, 0, 1], 0))),
            child: Some((child, words)),
            found: None,
            folder,
        };
        match line.strip_prefix("listening on ").and_then(|base| base.parse().ok()) {
            Some(base) => running.base = base,
            None => return Err(Failure::failed(format!("the server did not start{}", running.last_words()))),
        }
        Ok(running)
    }

    /// `tessera serve` with our configuration. Environment variables that configure servers are ours alone to set: a
    /// figure must not depend on the shell it was asked from.
    fn serve(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["serve", "--config", "/dev/stdin"]).args([
            "--workers",
            &self.workers.to_string(),
            "--arbiters",
            &self.arbiters.to_string(),
        ]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TESSERA__") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().cloned()).env("RUST_LOG", "error");
        command
    }
}

/// The last line a server said on stderr, once it has ended. Somebody has to read them all: a full pipe would stop it.
type Words = JoinHandle<String>;

fn words_of(child: &mut Child) -> Words {
    let stderr = child.stderr.take();
    std::thread::spawn(move || {
        let lines = stderr.map(|stderr| BufReader::new(stderr).lines().map_while(Result::ok));
        lines.and_then(Iterator::last).unwrap_or_default()
    })
}

/// A server while it runs; gone when dropped.
pub struct Running {
    base: Base,
    child: Option<(Child, Words)>,
    /// The process of a server that we did not start.
    found: Option<u32>,
    /// What it keeps; gone after it.
    #[expect(dead_code, reason = "held until it is dropped")]
    folder: Option<Folder>,
}

/// A folder of this process's own, until it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("tessera-bench-data-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Running {
    /// Where it listens.
    pub fn base(&self) -> Base {
        self.base.clone()
    }

    /// Its process, if it is on this machine.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(|(child, _)| child.id()).or(self.found)
    }

    /// Ends it, and says the last that it said on stderr, as the end of a sentence.
    pub fn last_words(&mut self) -> String {
        let Some((mut child, words)) = self.child.take() else { return String::new() };
        let _ = child.kill();
        let _ = child.wait();
        let said = words.join().unwrap_or_default();
        if said.is_empty() { said } else { format!("; it said: {said}") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.child {
            // It keeps nothing, so it needs no goodbye.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a server of this configuration would play in its first mode; what it does not say is as in mode `bench`.
fn played(config: &str) -> floor::Play {
    let config: toml::Table = config.parse().unwrap_or_default();
    let mode = config.get("modes").and_then(toml::Value::as_table).and_then(|modes| modes.values().next());
    let number = |of: Option<&toml::Value>, or: i64| of.and_then(toml::Value::as_integer).unwrap_or(or).max(0) as usize;
    let in_mode = |key: &str| mode.and_then(|mode| mode.get(key));
    floor::Play {
        players: number(in_mode("players").and_then(|players| players.get("max")), 2).max(1),
        hz: number(in_mode("tick_hz"), 10).max(1) as u32,
        state_bytes: number(in_mode("game_options").and_then(|options| options.get("state_bytes")), 0),
    }
}

/// `tessera bench floor`: serves until it is killed.
pub fn run_floor() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut config = String::new();
        if !io::stdin().is_terminal() {
            io::stdin().read_to_string(&mut config)?;
        }
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("listening on {}", Base::from(listener.local_addr()?));
        floor::serve(listener, played(&config)).await?;
        Ok(())
    })
}
