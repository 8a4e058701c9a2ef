//! Plays a scenario's steps against a server and keeps account of what came of each.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::client::{self, Base};

use super::account::{Account, Line, Outcome, StepAccount};
use super::file::{Act, Frame, Scenario, Step};
use super::pattern::{self, Saved, filled, filled_text, meets, shortened};
use super::player::{Inbox, Player, Seen};

/// The server that a scenario is played against.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub base: Base,
    /// The operators' token, for scenarios in which an operator acts.
    pub ops_token: Option<String>,
}

/// Plays `scenario`, which came from `file`, against `target`. Needs a current-thread runtime with local tasks, as an
/// actix system is.
pub async fn run(scenario: &Scenario, file: &str, target: &Target) -> Account {
    let began = Instant::now();
    let mut run =
        Run { target, players: Vec::new(), saved: Saved::new(), cids: 0, began, logged: Vec::new(), lines: Vec::new() };
    let mut steps = Vec::new();
    let opening = run.open(scenario).await;
    let mut held = opening.is_ok();
    if let Err(why) = opening {
        steps.push(run.account(0, "everybody signs in and connects".into(), began, Err(vec![why])));
    }
    for (at, step) in scenario.steps.iter().enumerate() {
        let text = if step.say.is_empty() { in_words(step) } else { step.say.clone() };
        if !held {
            steps.push(StepAccount::not_run(at + 1, text));
            continue;
        }
        let began = Instant::now();
        let outcome = run.step(step).await;
        held = outcome.is_ok();
        steps.push(run.account(at + 1, text, began, outcome));
    }
    if held && !scenario.never.is_empty() {
        let began = Instant::now();
        let outcome = run.nothing_forbidden(scenario);
        steps.push(run.account(scenario.steps.len() + 1, "nobody saw what nobody may".into(), began, outcome));
    }
    Account {
        file: file.to_owned(),
        title: scenario.title.clone(),
        about: scenario.about.clone(),
        took: began.elapsed(),
        steps,
    }
}

struct Run<'a> {
    target: &'a Target,
    players: Vec<Player>,
    saved: Saved,
    cids: u64,
    began: Instant,
    /// How much of each player's inbox is in the account already.
    logged: Vec<usize>,
    lines: Vec<Line>,
}

type Held = Result<(), Vec<String>>;

impl Run<'_> {
    async fn open(&mut self, scenario: &Scenario) -> Result<(), String> {
        for table in scenario.players.iter().map(super::file::Player::table) {
            let connects = table.connect;
            let mut player = Player::sign_in(&self.target.base, table).await?;
            let name = player.table.name.clone();
            self.saved.insert(name.clone(), json!(player.id));
            if let Some((username, password)) = &player.credentials {
                self.saved.insert(format!("{name}_username"), json!(username));
                self.saved.insert(format!("{name}_password"), json!(password));
            }
            if connects {
                let cid = player.connect(&self.target.base, false).await?;
                let answer = |inbox: &mut Inbox| take(inbox, |seen| seen.cid.as_ref() == Some(&cid));
                match player.wait(Instant::now() + Duration::from_secs(1), answer).await {
                    Some(seen) if seen.kind == "session.connected" => {}
                    Some(seen) => return Err(format!("{name} cannot sign in: {}", seen.text)),
                    None => return Err(format!("{name} cannot sign in: session.connect was not answered")),
                }
            }
            self.logged.push(player.inbox().seen.len());
            self.players.push(player);
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Held {
        let began = Instant::now();
        let who: Vec<usize> = step.who.list().into_iter().filter_map(|name| self.index_of(name)).collect();
        let marks: Vec<usize> = self.players.iter().map(|player| player.inbox().seen.len()).collect();
        let within = Duration::from_millis(step.within_ms);

        let mut asked: Vec<(usize, Value)> = Vec::new();
        for &player in &who {
            match step.act {
                Some(Act::Disconnect) => self.players[player].disconnect(),
                Some(act) => {
                    let cid = self.players[player].connect(&self.target.base, act == Act::Resume).await.map_err(one)?;
                    asked.push((player, cid));
                }
                None => {}
            }
        }
        for n in 1..=step.repeat {
            self.saved.insert("n".into(), json!(n));
            for &player in &who {
                asked.extend(self.send(step, player).map_err(one)?.map(|cid| (player, cid)));
            }
        }
        let mut source = None;
        if let Some(http) = &step.http {
            source = Some(self.http(http, within).await?);
        }
        if let Some(expected) = &step.reply {
            for (player, cid) in &asked {
                source = Some(self.reply(*player, cid, expected, within).await?);
            }
        }
        for &player in &who {
            let mut after = if step.fresh { marks[player] } else { 0 };
            for expected in step.sees.list() {
                let (at, payload) = self.sees(player, expected, after, marks[player], began, within).await?;
                if step.in_order {
                    after = at + 1;
                }
                if step.reply.is_none() && step.http.is_none() {
                    source = Some(payload);
                }
            }
        }
        if let Some(code) = step.closes {
            for &player in &who {
                self.closes(player, code, within).await?;
            }
        }
        for expected in step.never.list() {
            for &player in &who {
                let mark = if step.ever { 0 } else { marks[player] };
                self.never(player, expected, mark, began + Duration::from_millis(step.for_ms)).await?;
            }
        }
        for (name, path) in &step.save {
            let source = source.as_ref().unwrap_or(&Value::Null);
            match pattern::at(source, path) {
                Some(value) => self.saved.insert(name.clone(), value.clone()),
                None => {
                    return Err(vec![format!(
                        "there is no {path} to save as ${name} in {}",
                        shortened(&source.to_string())
                    )]);
                }
            };
        }
        Ok(())
    }

    /// Sends what a step says; returns the cid that a reply will carry, where one is expected.
    fn send(&mut self, step: &Step, player: usize) -> Result<Option<Value>, String> {
        let sender = &self.players[player];
        if let Some(raw) = &step.raw {
            let text = filled_text(raw, &self.saved);
            sender.send(&text)?;
            self.lines.push(Line::new(self.began.elapsed(), &sender.table.name, true, &text));
        }
        let Some(sent) = &step.send else { return Ok(None) };
        let cid = match &sent.cid {
            Some(cid) => Some(filled(cid, &self.saved)),
            None if step.reply.is_some() => {
                self.cids += 1;
                Some(json!(self.cids))
            }
            None => None,
        };
        let mut message = json!({"type": sent.kind});
        message["payload"] = sent.payload.as_ref().map_or(json!({}), |payload| filled(payload, &self.saved));
        for (key, value) in [("cid", cid.clone()), ("seq", sent.seq.map(|seq| json!(seq)))] {
            if let Some(value) = value {
                message[key] = value;
            }
        }
        let text = message.to_string();
        sender.send(&text)?;
        self.lines.push(Line::new(self.began.elapsed(), &sender.table.name, true, &text));
        Ok(cid.filter(|_| step.reply.is_some()))
    }

    async fn http(&mut self, http: &super::file::Http, within: Duration) -> Result<Value, Vec<String>> {
        let token = match http.caller.as_deref() {
            None => None,
            Some("operator") => match &self.target.ops_token {
                Some(token) => Some(token.clone()),
                None => return Err(one("an operator acts here, and no operator's token is known".into())),
            },
            Some(saved) if saved.starts_with('$') => Some(filled_text(saved, &self.saved)),
            Some(name) => self.index_of(name).map(|player| self.players[player].token.clone()),
        };
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        let path = filled_text(&http.path, &self.saved);
        let body = http.body.as_ref().map(|body| filled(body, &self.saved).to_string());
        let caller = http.caller.as_deref().unwrap_or("somebody");
        let request = format!("{} {path} {}", http.method, body.as_deref().unwrap_or(""));
        self.lines.push(Line::new(self.began.elapsed(), caller, true, &request));
        let asked = client::request(&self.target.base, &http.method, &path, &headers, body.as_deref());
        let answer = match timeout(within, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(err)) => return Err(one(format!("{} {path}: {err}", http.method))),
            Err(_) => return Err(one(format!("{} {path}: no answer in {} ms", http.method, within.as_millis()))),
        };
        let said = format!("{} {}", answer.status, answer.body);
        self.lines.push(Line::new(self.began.elapsed(), caller, false, &said));
        if answer.status != http.status {
            let told = shortened(&answer.body);
            return Err(vec![format!("expected status {}, found {}: {told}", http.status, answer.status)]);
        }
        let read: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        meets(&filled(&http.answer, &self.saved), &read, "").map_err(one)?;
        Ok(read)
    }

    async fn reply(
        &self,
        player: usize,
        cid: &Value,
        expected: &Frame,
        within: Duration,
    ) -> Result<Value, Vec<String>> {
        let waiting = &self.players[player];
        let mine = |inbox: &mut Inbox| take(inbox, |seen| seen.cid.as_ref() == Some(cid));
        let Some(seen) = waiting.wait(Instant::now() + within, mine).await else {
            let name = &waiting.table.name;
            return Err(vec![format!("{name} was not answered in {} ms", within.as_millis()), self.told(player, 0)]);
        };
        let expected = self.filled_frame(expected);
        match frame_meets(&expected, &seen.kind, &seen.payload) {
            Ok(()) => Ok(seen.payload),
            Err(why) => Err(vec![format!("the reply: {why}"), shortened(&seen.text)]),
        }
    }

    /// Waits for a frame and takes it: where in the inbox it was, and its payload.
    async fn sees(
        &self,
        player: usize,
        expected: &Frame,
        after: usize,
        mark: usize,
        began: Instant,
        within: Duration,
    ) -> Result<(usize, Value), Vec<String>> {
        let expected = self.filled_frame(expected);
        let waiting = &self.players[player];
        let look = |inbox: &mut Inbox| {
            let mut rest = inbox.seen.iter_mut().enumerate().skip(after);
            let (at, seen) =
                rest.find(|(_, seen)| !seen.taken && frame_meets(&expected, &seen.kind, &seen.payload).is_ok())?;
            seen.taken = true;
            Some((at, seen.payload.clone()))
        };
        // A step's time runs from its beginning, or from when the frame before it was seen.
        let deadline = began.max(Instant::now()) + within;
        match waiting.wait(deadline, look).await {
            Some(found) => Ok(found),
            None => Err(self.unseen(player, &expected, mark, within)),
        }
    }

    /// Why a frame was not seen: the nearest one of its type, and what was seen instead.
    fn unseen(&self, player: usize, expected: &Frame, mark: usize, within: Duration) -> Vec<String> {
        let name = &self.players[player].table.name;
        let inbox = self.players[player].inbox();
        let mut why = vec![format!("{name} did not see {} within {} ms", shown(expected), within.as_millis())];
        if let Some(near) = inbox.seen.iter().rfind(|seen| seen.kind == expected.kind) {
            let differs = match frame_meets(expected, &near.kind, &near.payload) {
                Err(differs) => differs,
                Ok(()) => "it was seen, and an earlier expectation took it".into(),
            };
            why.push(format!("the last {}: {differs}", near.kind));
            why.push(shortened(&near.text));
        }
        drop(inbox);
        why.push(self.told(player, mark));
        why
    }

    async fn never(&self, player: usize, expected: &Frame, mark: usize, until: Instant) -> Held {
        let expected = self.filled_frame(expected);
        let look = |inbox: &mut Inbox| {
            let mut rest = inbox.seen.iter().skip(mark);
            let fits = |seen: &&Seen| !seen.taken && frame_meets(&expected, &seen.kind, &seen.payload).is_ok();
            rest.find(fits).map(|seen| seen.text.clone())
        };
        match self.players[player].wait(until, look).await {
            None => Ok(()),
            Some(text) => {
                let name = &self.players[player].table.name;
                Err(vec![format!("{name} saw {}, which must not be", shown(&expected)), shortened(&text)])
            }
        }
    }

    async fn closes(&self, player: usize, code: u16, within: Duration) -> Held {
        let closed = self.players[player].wait(Instant::now() + within, |inbox| inbox.closed).await;
        let name = &self.players[player].table.name;
        match closed {
            Some(Some(found)) if found == code => Ok(()),
            Some(Some(found)) => Err(vec![format!("{name} was closed with {found}, expected {code}")]),
            Some(None) => Err(vec![format!("{name}'s connection ended without a code, expected {code}")]),
            None => Err(vec![format!("{name} is still connected after {} ms", within.as_millis())]),
        }
    }

    fn nothing_forbidden(&self, scenario: &Scenario) -> Held {
        for never in &scenario.never {
            let expected = self.filled_frame(&never.frame);
            let named = never.who.list();
            for player in self.players.iter().filter(|p| named.is_empty() || named.contains(&p.table.name.as_str())) {
                let inbox = player.inbox();
                let seen = inbox.seen.iter().find(|seen| frame_meets(&expected, &seen.kind, &seen.payload).is_ok());
                if let Some(seen) = seen {
                    let why = format!("{} saw {}, which must not be", player.table.name, shown(&expected));
                    return Err(vec![why, shortened(&seen.text)]);
                }
            }
        }
        Ok(())
    }

    fn filled_frame(&self, frame: &Frame) -> Frame {
        Frame { kind: frame.kind.clone(), payload: filled(&frame.payload, &self.saved) }
    }

    /// What a player was sent since `mark`, counted by type.
    fn told(&self, player: usize, mark: usize) -> String {
        let inbox = self.players[player].inbox();
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for seen in inbox.seen.iter().skip(mark) {
            match counts.iter_mut().find(|(kind, _)| *kind == seen.kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((&seen.kind, 1)),
            }
        }
        let name = &self.players[player].table.name;
        let told: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} x {count}")).collect();
        let told = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
        let ended = if inbox.closed.is_some() { "; the connection has ended" } else { "" };
        format!("{name} was sent {told}{ended}")
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.players.iter().position(|player| player.table.name == name)
    }

    fn account(&mut self, number: usize, text: String, began: Instant, outcome: Held) -> StepAccount {
        for (at, player) in self.players.iter().enumerate() {
            let inbox = player.inbox();
            for seen in &inbox.seen[self.logged[at]..] {
                let when = seen.at.saturating_duration_since(self.began);
                self.lines.push(Line::new(when, &player.table.name, false, &seen.text));
            }
            self.logged[at] = inbox.seen.len();
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.sort_by_key(|line| line.at);
        let outcome = match outcome {
            Ok(()) => Outcome::Held,
            Err(why) => Outcome::Failed(why),
        };
        StepAccount { number, text, took: began.elapsed(), outcome, lines }
    }
}

/// Takes the first frame that fits and was not taken.
fn take(inbox: &mut Inbox, fits: impl Fn(&Seen) -> bool) -> Option<Seen> {
    let seen = inbox.seen.iter_mut().find(|seen| !seen.taken && fits(seen))?;
    seen.taken = true;
    Some(seen.clone())
}

fn frame_meets(expected: &Frame, kind: &str, payload: &Value) -> Result<(), String> {
    if expected.kind != "*" && expected.kind != kind {
        return Err(format!("expected {}, found {kind}", expected.kind));
    }
    meets(&expected.payload, payload, "")
}

fn one(why: String) -> Vec<String> {
    vec![why]
}

fn shown(frame: &Frame) -> String {
    match &frame.payload {
        Value::Null => frame.kind.clone(),
        payload => format!("{} {}", frame.kind, shortened(&payload.to_string())),
    }
}

/// A step that does not say what it is, in words.
fn in_words(step: &Step) -> String {
    let mut parts = Vec::new();
    if let Some(act) = step.act {
        parts.push(format!("{act:?}s").to_lowercase());
    }
    if let Some(sent) = &step.send {
        parts.push(format!("sends {}", sent.kind));
    }
    if step.raw.is_some() {
        parts.push("sends a text".into());
    }
    if step.repeat > 1 {
        parts.push(format!("{} times", step.repeat));
    }
    if let Some(reply) = &step.reply {
        parts.push(format!("is answered {}", shown(reply)));
    }
    parts.extend(step.sees.list().into_iter().map(|frame| format!("sees {}", shown(frame))));
    parts.extend(step.closes.map(|code| format!("is closed with {code}")));
    parts.extend(step.never.list().into_iter().map(|frame| format!("does not see {}", shown(frame))));
    let mut text = format!("{} {}", step.who.list().join(" and "), parts.join(", "));
    if let Some(http) = &step.http {
        let caller = http.caller.as_deref().unwrap_or("somebody");
        let seen = if text.trim().is_empty() { String::new() } else { format!("; {}", text.trim()) };
        text = format!("{caller} asks {} {}, answered {}{seen}", http.method, http.path, http.status);
    }
    text.trim().to_owned()
}
