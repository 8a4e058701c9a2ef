//! What a scenario file may say. The JSON Schema that editors complete from is derived from these structs.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::MESSAGES;
use crate::wire::messages::PUSHES;

use super::pattern;

/// Milliseconds an expectation waits unless it says otherwise.
pub const WITHIN_MS: u64 = 5_000;

/// Milliseconds during which what must never be seen is looked out for, unless the step says otherwise.
pub const NEVER_FOR_MS: u64 = 300;

/// One file under `scenarios/`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Tessera scenario")]
pub struct Scenario {
    /// What holds, in a sentence.
    pub title: String,
    /// Why anybody would want to know.
    #[serde(default)]
    pub about: String,
    /// Who takes part. Each is signed in and connected before the first step, unless it says otherwise.
    pub players: Vec<Player>,
    /// Configuration of a server of its own, laid over the defaults: `[config.modes.duel]` and so on. `server.games`
    /// is a path from this file. A server given by address must be configured like that already.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// What must not be seen from the first step to the last.
    #[serde(default)]
    pub never: Vec<Never>,
    /// What happens, in order. The first step that does not hold ends the scenario.
    pub steps: Vec<Step>,
}

/// Somebody who takes part: a name alone, or a table.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Player {
    /// A guest of this name, connected, speaking the latest dialect.
    Named(String),
    /// With habits of its own.
    Told(PlayerTable),
}

/// A player with habits of its own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlayerTable {
    /// What the steps call it; `$name` is its player id.
    pub name: String,
    /// The dialect it announces: `2026-04` or `latest`.
    #[serde(default)]
    pub dialect: Option<String>,
    /// How it got an account.
    #[serde(default)]
    pub account: AccountKind,
    /// Whether it is connected before the first step.
    #[serde(default = "yes")]
    pub connect: bool,
}

/// How a player got an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// As a guest.
    #[default]
    Guest,
    /// Registered with a user name, which is `$name_username`, and a password, `$name_password`.
    Register,
}

impl Player {
    /// The table it stands for.
    pub fn table(&self) -> PlayerTable {
        match self {
            Self::Told(table) => table.clone(),
            Self::Named(name) => {
                PlayerTable { name: name.clone(), dialect: None, account: AccountKind::Guest, connect: true }
            }
        }
    }
}

/// What must not be seen from the first step to the last.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Never {
    /// By whom: a name or a list; everybody when left out.
    #[serde(default)]
    pub who: Names,
    /// The frame.
    pub frame: Frame,
}

/// A frame as an expectation: `type`, and as much of the payload as matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What its payload holds; keys that are left out do not matter. See the module `pattern` for the words.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
}

/// A message as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its payload; an empty one when left out.
    #[serde(default)]
    pub payload: Option<Value>,
    /// Its cid; a fresh number when left out and a reply is expected.
    #[serde(default)]
    pub cid: Option<Value>,
    /// The number beside `type` that asks for a `match.ack`.
    #[serde(default)]
    pub seq: Option<u64>,
}

/// One thing that happens. What it does comes first (`do`, `send`, `raw`, `http`), then what is seen of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The step in words; made from what it does when left out.
    #[serde(default)]
    pub say: String,
    /// Who does it and who sees it: a name or a list. Everybody sends before anybody waits.
    #[serde(default)]
    pub who: Names,
    /// What happens to the connection.
    #[serde(default, rename = "do")]
    pub act: Option<Act>,
    /// A message.
    #[serde(default)]
    pub send: Option<Sent>,
    /// A text frame that need not be a message.
    #[serde(default)]
    pub raw: Option<String>,
    /// How often it is sent; `$n` counts from 1.
    #[serde(default = "once")]
    pub repeat: u32,
    /// A request over HTTP.
    #[serde(default)]
    pub http: Option<Http>,
    /// The frame that carries the message's cid back.
    #[serde(default)]
    pub reply: Option<Frame>,
    /// Frames that arrive, or have arrived and were not expected by an earlier step. Each frame answers one expectation.
    #[serde(default)]
    pub sees: Frames,
    /// Whether `sees` looks only at what arrives in this step.
    #[serde(default)]
    pub fresh: bool,
    /// Whether the frames of `sees` must come in their order.
    #[serde(default)]
    pub in_order: bool,
    /// Frames that must not arrive from the beginning of this step on.
    #[serde(default)]
    pub never: Frames,
    /// Whether `never` looks at everything that no expectation was met by yet, and not only at what arrives in this step.
    #[serde(default)]
    pub ever: bool,
    /// Milliseconds for which `never` is looked out for.
    #[serde(default = "never_for_ms")]
    pub for_ms: u64,
    /// The code that the server closes the connection with.
    #[serde(default)]
    pub closes: Option<u16>,
    /// Milliseconds to wait for each thing that is expected.
    #[serde(default = "within_ms")]
    pub within_ms: u64,
    /// Values to remember, by name: a path into the reply, else into the answer, else into the last frame of `sees`,
    /// such as `match_id` or `players.0`. Later steps say `$name`.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Opens one and sends `session.connect`; `reply` sees `session.connected`.
    Connect,
    /// The same with `resume`, as a client that lost its connection would; `reply` sees `session.connected`.
    Resume,
    /// Drops it without a word.
    Disconnect,
}

/// A request over HTTP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Whose token it carries: a player's name, `operator`, or `$name` of one that was saved; none when left out.
    #[serde(default, rename = "as")]
    pub caller: Option<String>,
    /// Its body.
    #[serde(default)]
    pub body: Option<Value>,
    /// The status that is expected.
    #[serde(default = "ok")]
    pub status: u16,
    /// What the answer holds.
    #[serde(default)]
    pub answer: Value,
}

/// A name or a list of names.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Names {
    /// Not said.
    #[default]
    #[schemars(skip)]
    Unsaid,
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Names {
    /// The names.
    pub fn list(&self) -> Vec<&str> {
        match self {
            Self::Unsaid => Vec::new(),
            Self::One(name) => vec![name],
            Self::Many(names) => names.iter().map(String::as_str).collect(),
        }
    }
}

/// A frame or a list of frames.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Frames {
    /// None.
    #[default]
    #[schemars(skip)]
    Unsaid,
    /// One.
    One(Frame),
    /// Several.
    Many(Vec<Frame>),
}

impl Frames {
    /// The frames.
    pub fn list(&self) -> Vec<&Frame> {
        match self {
            Self::Unsaid => Vec::new(),
            Self::One(frame) => vec![frame],
            Self::Many(frames) => frames.iter().collect(),
        }
    }
}

fn yes() -> bool {
    true
}

fn once() -> u32 {
    1
}

fn ok() -> u16 {
    200
}

fn within_ms() -> u64 {
    WITHIN_MS
}

fn never_for_ms() -> u64 {
    NEVER_FOR_MS
}

impl Scenario {
    /// Reads a file's text.
    ///
    /// # Errors
    /// A syntax error or an unknown key with its line; or everything in it that cannot mean anything: names nobody has,
    /// message types that do not exist, values that no earlier step saved.
    pub fn read(text: &str) -> Result<Self, Vec<String>> {
        let scenario: Self = toml::from_str(text).map_err(|err| {
            let line = err.span().map(|span| 1 + text[..span.start].matches('\n').count());
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            vec![format!("{place}{}", err.message().replace('\n', ", "))]
        })?;
        let faults = scenario.faults();
        if faults.is_empty() { Ok(scenario) } else { Err(faults) }
    }

    /// The JSON Schema of a scenario file.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Everything in it that cannot mean anything.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let players: Vec<String> = self.players.iter().map(|player| player.table().name).collect();
        let mut known: BTreeSet<String> = players.iter().cloned().chain(["n".into()]).collect();
        for (at, name) in players.iter().enumerate() {
            if players[..at].contains(name) {
                faults.push(format!("there are two players {name:?}"));
            }
            if !pattern::is_name(name) || name == "n" || name == "operator" {
                faults.push(format!("expected a player's name of lowercase letters, digits and '_', found {name:?}"));
            }
        }
        for player in self.players.iter().map(Player::table) {
            if player.account == AccountKind::Register {
                known.extend(["username", "password"].map(|what| format!("{}_{what}", player.name)));
            }
        }
        if self.steps.is_empty() {
            faults.push("there is no step".into());
        }
        let unknown =
            |name: &str| (!players.iter().any(|player| player == name)).then(|| format!("nobody is {name:?}"));
        let frame_faults = |frame: &Frame, known: &BTreeSet<String>| {
            let mut faults = pattern::unknown_names(&frame.payload, known);
            faults.extend(unknown_push(&frame.kind));
            faults.extend(pattern::faults(&frame.payload));
            faults
        };
        for (at, step) in self.steps.iter().enumerate() {
            let mut wrong: Vec<String> = step.who.list().into_iter().filter_map(unknown).collect();
            let talks = step.send.is_some() || step.raw.is_some() || step.act.is_some();
            let watches = step.reply.is_some()
                || step.closes.is_some()
                || !step.sees.list().is_empty()
                || !step.never.list().is_empty();
            if (talks || watches) && step.who.list().is_empty() {
                wrong.push("nobody does it: say who".into());
            }
            if !talks && !watches && step.http.is_none() {
                wrong.push("nothing happens in it".into());
            }
            if let Some(sent) = &step.send {
                if !MESSAGES.iter().any(|row| row.name == sent.kind) {
                    wrong.push(format!("no message has the type {:?}; send other texts with raw", sent.kind));
                }
                wrong.extend(sent.payload.iter().flat_map(|payload| pattern::unknown_names(payload, &known)));
            }
            if step.reply.is_some() && step.send.is_none() && !matches!(step.act, Some(Act::Connect | Act::Resume)) {
                wrong.push("a reply answers a send or a connect".into());
            }
            if let Some(http) = &step.http {
                let caller = http.caller.as_deref().filter(|caller| *caller != "operator");
                wrong.extend(match caller {
                    Some(token) if token.starts_with('$') => pattern::unknown_names(&token.into(), &known),
                    named => named.and_then(unknown).into_iter().collect(),
                });
                wrong.extend(pattern::unknown_names(&Value::String(http.path.clone()), &known));
                wrong.extend(http.body.iter().flat_map(|body| pattern::unknown_names(body, &known)));
                wrong.extend(pattern::unknown_names(&http.answer, &known));
                wrong.extend(pattern::faults(&http.answer));
            }
            for frame in step.reply.iter().chain(step.sees.list()).chain(step.never.list()) {
                wrong.extend(frame_faults(frame, &known));
            }
            if !step.save.is_empty() && step.reply.is_none() && step.http.is_none() && step.sees.list().is_empty() {
                wrong.push("there is nothing to save from".into());
            }
            known.extend(step.save.keys().cloned());
            faults.extend(wrong.into_iter().map(|why| format!("step {}: {why}", at + 1)));
        }
        for never in &self.never {
            faults.extend(never.who.list().into_iter().filter_map(unknown));
            faults.extend(frame_faults(&never.frame, &known));
        }
        faults
    }
}

/// A type that the server cannot say. `match.<leaf>` may be a game's own.
fn unknown_push(kind: &str) -> Option<String> {
    let known = PUSHES.contains(&kind) || kind == "match.state" || kind == "*" || kind.starts_with("match.");
    (!known).then(|| format!("the server says nothing of the type {kind:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        Scenario::read(text).map_or_else(|faults| faults.join("\n"), |_| "fine".into())
    }

    #[test]
    fn what_cannot_mean_anything_is_told_at_once() {
        let text = r#"
            title = "x"
            players = ["ann", "ann", "Bob"]
            [[steps]]
            who = "carl"
            send = { type = "match.jion", payload = { match_id = "$match" } }
            sees = { type = "match_joined", payload = { tick = ">= soon" } }
            [[steps]]
            say = "nothing"
            [[steps]]
            sees = { type = "match.state" }
            save = { match = "match_id" }
            [[steps]]
            who = "ann"
            reply = { type = "match.joined", payload = { match_id = "$match" } }
            [[steps]]
            http = { method = "GET", path = "/ops/v1/matches/$mach", as = "operators" }
        "#;
        assert_eq!(
            faults(text),
            r#"there are two players "ann"
expected a player's name of lowercase letters, digits and '_', found "Bob"
step 1: nobody is "carl"
step 1: no message has the type "match.jion"; send other texts with raw
step 1: nothing is saved as $match
step 1: the server says nothing of the type "match_joined"
step 1: expected a number behind the sign in ">= soon"
step 2: nothing happens in it
step 3: nobody does it: say who
step 4: a reply answers a send or a connect
step 5: nobody is "operators"
step 5: nothing is saved as $mach"#
        );
    }

    #[test]
    fn a_typing_error_is_found_by_its_line() {
        let text = "title = \"x\"\nplayers = []\n[[steps]]\nwho = \"ann\"\nsend_ = {}\n";
        assert!(faults(text).starts_with("line 5: unknown field `send_`"), "{}", faults(text));
    }

    #[test]
    fn the_schema_knows_the_keys_of_a_step() {
        let schema = Scenario::schema();
        let step = &schema["$defs"]["Step"]["properties"];
        for key in ["who", "send", "reply", "sees", "never", "within_ms", "do"] {
            assert!(step[key].is_object(), "{key}");
        }
    }
}
