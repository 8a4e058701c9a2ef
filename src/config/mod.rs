//! What operators write: TOML, over it environment variables `TESSERA__SECTION__KEY`, over those the flags.
//!
//! Everything has a default, so no file at all is a working server with the built-in modes. What is wrong is said all
//! at once, each fault with its line and the nearest known name; a faulty configuration is never half obeyed.
//!
//! A new key is a field of its section's struct: the JSON Schema is derived from the struct and the file is checked
//! against that schema ([`shape`](self)), so range, spelling, `--schema` and `--print` follow. What one key cannot
//! know about another stands in `rules.rs`.
//!
//! | file | what |
//! |---|---|
//! | `sections.rs` | `[server]`, `[chat]` and `[presence]`; `[limits]` and `[scripts]` are [`crate::limits`], a mode [`crate::engine::modes::Mode`] |
//! | `builtin.rs` | the modes that are there without a file |
//! | `source.rs` | file, environment and flags become one tree that knows where each value came from |
//! | `shape.rs` | the tree against the schema: unknown keys, wrong types, ranges |
//! | `formats.rs` | texts with a form of their own: addresses, origins, networks |
//! | `rules.rs` | what must hold between keys |
//! | `votes.rs` | the votes in it, checked by `engine::votes` |

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::modes::Mode;
use crate::limits::{Limits, Scripts};

mod builtin;
mod formats;
mod rules;
mod secret;
mod sections;
mod shape;
mod source;
mod votes;

pub use formats::Network;
pub use secret::Secret;
pub use sections::{Chat, DialectChoice, Presence, Reload, Server, Transport};

/// A configuration that passed every check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Tessera configuration", inline)]
pub struct Config {
    /// Where the server listens, what it keeps, and whom it trusts.
    pub server: Server,
    /// Every bound an operator may move. A rate of 0 switches it off.
    pub limits: Limits,
    /// What scripts may cost.
    pub scripts: Scripts,
    /// Chat channels and their habits.
    pub chat: Chat,
    /// Who sees who is there.
    pub presence: Presence,
    /// Defaults of votes by name: a vote that says `template = NAME` starts from these keys.
    #[schemars(extend("propertyNames" = formats::text("name")))]
    pub vote_templates: BTreeMap<String, VoteKeys>,
    /// Motions that modes may let players call, by name; changes a built-in one or adds to them.
    #[schemars(extend("propertyNames" = formats::text("name")))]
    pub motions: BTreeMap<String, VoteKeys>,
    /// Kinds of match by name. A table named like a built-in mode changes that mode key by key.
    #[schemars(extend("propertyNames" = formats::text("name")))]
    pub modes: BTreeMap<String, Mode>,
}

/// Keys of a vote's configuration, as `engine::votes` reads them when a vote opens.
pub type VoteKeys = serde_json::Map<String, serde_json::Value>;

impl Default for Config {
    fn default() -> Self {
        Self {
            server: Server::default(),
            limits: Limits::default(),
            scripts: Scripts::default(),
            chat: Chat::default(),
            presence: Presence::default(),
            vote_templates: BTreeMap::new(),
            motions: BTreeMap::new(),
            modes: builtin::modes(),
        }
    }
}

/// What the command line overrides. Secrets are not among them: other users of the machine read command lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--listen`
    pub listen: Option<String>,
    /// `--data`
    pub data: Option<String>,
    /// `--games`
    pub games: Option<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// Nobody said anything.
    #[default]
    Default,
    /// This line of the file, counted from 1.
    Line(usize),
    /// The environment variable of this name.
    Env(String),
    /// The flag of this name.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Where each value came from, by its path (`modes.skirmish.votes[0].when`). A path that is absent is a default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Where the value at `path` came from. A value inside a list or table given whole came from where that did.
    pub fn of(&self, path: &str) -> Origin {
        let mut path = path;
        loop {
            if let Some(origin) = self.0.get(path) {
                return origin.clone();
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return Origin::Default,
            }
        }
    }

    /// As [`Self::of`]; a table that nobody gave whole comes from where the first value in it did.
    pub fn of_table(&self, path: &str) -> Origin {
        let inside = |key: &&String| key.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']));
        match self.of(path) {
            Origin::Default => self.0.keys().find(inside).and_then(|key| self.0.get(key)).cloned(),
            origin => Some(origin),
        }
        .unwrap_or(Origin::Default)
    }
}

/// What is wrong with a mode: the key, and a sentence about it.
pub type ModeFault = (&'static str, String);

/// Says everything that is wrong with the games of a configuration.
pub type GamesCheck<'a> = &'a dyn Fn(&mut Config, &Origins) -> Vec<Fault>;

/// One thing that is wrong, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key it is about, such as `modes.skirmish.tick_hz`; empty when the text is not TOML there.
    pub path: String,
    /// Where that was written.
    pub origin: Origin,
    /// What was found, what was expected, and the nearest known name where there is one.
    pub message: String,
}

impl Fault {
    /// The line of the file, counted from 1, if it was written there.
    pub fn line(&self) -> Option<usize> {
        match self.origin {
            Origin::Line(line) => Some(line),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl Config {
    /// Reads `file` (none: defaults alone) with `env` and `flags` laid over it. `env` may hold every variable of the
    /// process; those that do not begin with `TESSERA__` are not looked at. What is wrong with the games of its modes
    /// is for `games` to say, who knows them.
    ///
    /// # Errors
    /// Every fault there is, in the order of their lines, then those of the environment and the flags.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
        games: GamesCheck<'_>,
    ) -> Result<(Self, Origins), Vec<Fault>> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read(path).map_err(|err| err.to_string()).and_then(utf8).map_err(|why| {
                let message = format!("cannot read {}: {why}", path.display());
                vec![Fault { path: String::new(), origin: Origin::Default, message }]
            })?,
        };
        Self::read_with(&text, env, flags, games)
    }

    /// [`Config::load`] from the text of a file, whatever games its modes name. Secrets' files are still read from disk.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read(
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<(Self, Origins), Vec<Fault>> {
        Self::read_with(text, env, flags, &|_, _| Vec::new())
    }

    fn read_with(
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
        games: GamesCheck<'_>,
    ) -> Result<(Self, Origins), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut env = source::ours(env);
        let secret = secret::take_from_env(&mut env);
        let mut tree = source::read_toml(text, &mut faults);
        source::lay_env_over(&mut tree, &env);
        source::lay_flags_over(&mut tree, flags);

        let schema = Self::schema();
        let (said, mut origins) = shape::check(&schema, &tree, &mut faults);
        let config = Self::from_said(said).map_err(|why| {
            // The schema let through what the struct refuses: a gap in our own table, still no reason to go on.
            faults.push(Fault { path: String::new(), origin: Origin::Default, message: why.to_string() });
        });
        if let Ok(mut config) = config {
            // A mode of a script is what the script says where the file is silent: only the whole can be right or wrong.
            let mut whole = config.clone();
            let of_games = games(&mut whole, &origins);
            rules::check(&whole, &origins, &mut faults);
            votes::check(&whole, &origins, &mut faults);
            faults.extend(of_games);
            let (token, origin) = secret::resolve(secret, &config.server, &origins, &mut faults);
            config.server.ops_token = token;
            origins.0.insert("server.ops_token".into(), origin);
            if faults.is_empty() {
                return Ok((config, origins));
            }
        }
        source::sort_faults(&mut faults);
        Err(faults)
    }

    /// Lays what was said over the defaults. A mode that is not built in starts from [`Mode::default`].
    fn from_said(said: serde_json::Value) -> serde_json::Result<Self> {
        let mut whole = serde_json::to_value(Self::default())?;
        if let Some(names) = said.get("modes").and_then(|modes| modes.as_object()) {
            let plain = serde_json::to_value(Mode::default())?;
            for name in names.keys() {
                if whole["modes"].get(name).is_none() {
                    whole["modes"][name] = plain.clone();
                }
            }
        }
        source::lay_over(&mut whole, said);
        serde_json::from_value(whole)
    }

    /// The JSON Schema of a configuration file: what editors complete from and what files are checked against.
    pub fn schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self).to_value();
        votes::describe(&mut schema);
        schema
    }

    /// Tries the game of every mode, so that whoever knows the games can refuse a mode before it is played. `tried`
    /// answers with the key of the mode that is wrong and a sentence about it.
    pub fn try_games(&self, origins: &Origins, tried: &dyn Fn(&Mode) -> Result<(), ModeFault>) -> Vec<Fault> {
        let wrong = |(name, mode): (&String, &Mode)| {
            let (key, message) = tried(mode).err()?;
            let path = format!("modes.{name}.{key}");
            Some(Fault { origin: origins.of_table(&path), path, message })
        };
        self.modes.iter().filter_map(wrong).collect()
    }

    /// Checks again what must hold between keys, after modes were added that no file describes.
    ///
    /// # Errors
    /// Every fault.
    pub fn recheck(&self, origins: &Origins) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        rules::check(self, origins, &mut faults);
        votes::check(self, origins, &mut faults);
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Every effective value by its path, in the order of the sections, as `--print` shows them. Secrets read
    /// `(set)` or `(not set)`.
    pub fn flat(&self) -> Vec<(String, String)> {
        source::flatten(self)
    }
}

impl Server {
    /// The data folder, or `None` when nothing is kept (`:memory:`).
    pub fn data_dir(&self) -> Option<PathBuf> {
        (self.data != ":memory:").then(|| PathBuf::from(&self.data))
    }
}

/// The variables of this process, for [`Config::load`]. One that is not UTF-8 cannot be ours, and is passed over.
pub fn process_env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|err| format!("byte {} is not UTF-8", err.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests;
