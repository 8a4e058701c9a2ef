//! `tessera demo --games`: plays every mode of a games folder, one after the other, with clients of its own over real
//! sockets, and shows what its votes come to. A script this file knows is played as its players would and has to end;
//! of another it is enough that it plays, holds the votes it opens, and fails nowhere.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::player::{enter, spoken};
use super::screen::Screen;
use super::{Failure, Outcome};
use crate::client::{Base, Event, Socket};
use crate::config::Origins;
use crate::engine::modes::Mode;
use crate::ids::VoteId;
use crate::server::{self, Threads};
use crate::wire::ServerMsg;
use crate::wire::client::Incoming;
use crate::wire::votes::Start;

/// How often a client sends an input.
const INPUT_EVERY: Duration = Duration::from_millis(150);
/// How long a player whose game failed waits to be let out of it.
const LEAVE_WAIT: Duration = Duration::from_secs(2);
/// How often the narrator says how the state stands.
const STATE_EVERY: Duration = Duration::from_millis(2_000);
/// Characters of one line of the story.
const LINE_CHARS_MAX: usize = 150;
/// Lines of one kind of event that are told of one match.
const EVENTS_TOLD: u32 = 6;

/// A script that the demo knows how to play.
struct Part {
    /// Its path in the examples' folder.
    file: &'static str,
    /// What it is played with, so that it ends soon.
    options: &'static str,
    /// What a player sends, knowing the seat, how many inputs came before, and the state.
    input: fn(usize, u64, &str, &Value) -> Option<Value>,
    /// Frames that every player has to have seen.
    shows: &'static [&'static str],
}

/// The examples under `scenarios/games`. Another game is another row.
const PARTS: &[Part] = &[
    Part {
        file: "arena/match.lua",
        options: r#"{"length_s":8,"bots":1}"#,
        input: shoot,
        shows: &["match.player_joined", "match.frag"],
    },
    Part {
        file: "crawl/match.lua",
        options: r#"{"rooms":3,"fight_ticks":30}"#,
        input: strike,
        shows: &["match.vote_start", "match.vote_result", "match.vote_vetoed", "match.room"],
    },
    Part { file: "gate/match.lua", options: r#"{"turns":12}"#, input: turn, shows: &[] },
    Part {
        file: "rps/match.lua",
        options: "{}",
        input: throw,
        shows: &["match.vote_start", "match.vote_result", "match.shown"],
    },
];

/// For a script nobody here knows: what clients of many kinds send.
fn anything(seat: usize, n: u64, _: &str, _: &Value) -> Option<Value> {
    let step = [1.0, 0.5, -1.0, -0.5][(n as usize + seat) % 4];
    Some(json!({"move_x": step, "move_y": -step, "action": "attack", "throw": "rock", "right": step > 0.0}))
}

/// Walks up to whoever is nearest and shoots.
fn shoot(_: usize, _: u64, me: &str, state: &Value) -> Option<Value> {
    let at = |p: &Value| Some((p["x"].as_f64()?, p["y"].as_f64()?));
    let players = state["players"].as_object()?;
    let (x, y) = at(players.get(me)?)?;
    let others = players.iter().filter(|(id, _)| *id != me).filter_map(|(_, p)| at(p));
    let near = |(ax, ay): &(f64, f64)| (ax - x).hypot(ay - y);
    let (aim_x, aim_y) = others.min_by(|a, b| near(a).total_cmp(&near(b)))?;
    let towards = |from: f64, to: f64| if (to - from).abs() < 120.0 { 0.0 } else { (to - from).signum() };
    Some(
        json!({"move_x": towards(x, aim_x), "move_y": towards(y, aim_y), "shoot": true, "aim_x": aim_x, "aim_y": aim_y}),
    )
}

fn strike(_: usize, _: u64, _: &str, state: &Value) -> Option<Value> {
    (state["phase"] == "fight").then(|| json!({"action": "attack"}))
}

/// Opens the door that is shut, and shuts the one that is open.
fn turn(_: usize, _: u64, _: &str, state: &Value) -> Option<Value> {
    state["open"].as_bool().map(|open| json!({"open": !open}))
}

/// One throw a round, another one each round.
fn throw(seat: usize, _: u64, me: &str, state: &Value) -> Option<Value> {
    let open = state["phase"] == "choose" && state["players"][me]["threw"] == false;
    let round = state["round"].as_u64().unwrap_or(0) as usize;
    let throws = ["rock", "paper", "scissors"];
    open.then(|| json!({"throw": throws[(round * (seat + 1) + seat) % throws.len()]}))
}

/// Plays the folder and tells.
///
/// # Errors
/// The first thing of the first mode that should have been seen and was not.
pub fn run(folder: &Path, seconds: u64) -> Outcome {
    if !folder.is_dir() {
        return Err(Failure::failed(format!("there is no games folder {}", folder.display())));
    }
    let mut config = super::quiet_config();
    config.server.games = folder.display().to_string();
    // Laid out once to know the modes, and once more with what the demo wants of them.
    let mut laid = config.clone();
    let catalogue = server::games(&mut laid, &Origins::default()).map_err(Failure::failed)?;
    let scripts: Vec<(String, Mode)> =
        laid.modes.into_iter().filter(|(_, mode)| mode.game.starts_with("lua:")).collect();
    if !catalogue.has_scripts() {
        return Err(Failure::failed(format!("{} has no game", folder.display())));
    }
    for (name, mode) in &scripts {
        let Some(part) = part_of(mode) else { continue };
        let options: Map<String, Value> = serde_json::from_str(part.options).map_err(Failure::failed)?;
        config.modes.insert(name.clone(), Mode { game: mode.game.clone(), game_options: options, ..Mode::default() });
    }
    let began = Instant::now();
    let server = server::in_background(config, Threads::default(), None).map_err(Failure::failed)?;
    let base = Base::from(server.addr);
    let screen = Rc::new(RefCell::new(Screen::new(true)));
    screen.borrow_mut().folder(&base, began.elapsed(), folder, scripts.len());
    let mut faults = Vec::new();
    for (name, mode) in &scripts {
        if let Err(why) = one_mode(&base, name, mode, seconds, &screen) {
            faults.push(format!("{name}: {why}"));
        }
    }
    let screen = screen.borrow();
    screen.line("");
    for vote in screen.votes() {
        screen.line(&format!("  vote     {vote}"));
    }
    match faults.first() {
        None => {
            screen.line(&format!("\n  everything was seen of {} games\n", scripts.len()));
            Ok(())
        }
        Some(_) => Err(Failure::failed(faults.join("\n"))),
    }
}

fn part_of(mode: &Mode) -> Option<&'static Part> {
    PARTS.iter().find(|part| mode.game.strip_prefix("lua:") == Some(part.file))
}

fn one_mode(base: &Base, name: &str, mode: &Mode, seconds: u64, screen: &Rc<RefCell<Screen>>) -> Result<(), String> {
    let players = mode.matchmaking.size.unwrap_or(mode.players.min).max(mode.players.min);
    screen.borrow().mode(name, &mode.game, players, mode.tick_hz);
    let part = part_of(mode);
    let seen = actix_web::rt::System::new().block_on(join_all((0..players).map(|n| {
        let (base, name, screen) = (base.clone(), name.to_owned(), screen.clone());
        async move {
            let limit = Duration::from_secs(seconds + 30);
            tokio::time::timeout(limit, play(base, n, name, part, seconds, screen))
                .await
                .unwrap_or_else(|_| Err("it took too long".into()))
        }
    })));
    seen.into_iter().enumerate().try_for_each(|(n, seen)| seen.map_err(|why| format!("player{} {why}", n + 1)))
}

struct Client {
    socket: Socket,
    name: String,
    mode: String,
    seat: usize,
    me: String,
    part: Option<&'static Part>,
    screen: Rc<RefCell<Screen>>,
    narrates: bool,
    seconds: u64,
    state: Value,
    states: u64,
    inputs: u64,
    /// Kinds of frames that came, and how often.
    heard: std::collections::BTreeMap<String, u32>,
    votes: u32,
    open: Vec<(VoteId, String)>,
    casts: Vec<(Instant, VoteId, Value)>,
    vetoes: Vec<(Instant, VoteId)>,
    next_input: Option<Instant>,
    next_state: Option<Instant>,
    leaves: Option<Instant>,
    finished: bool,
}

/// Plays one seat from sign-in to the finish.
async fn play(
    base: Base,
    n: u32,
    mode: String,
    part: Option<&'static Part>,
    seconds: u64,
    screen: Rc<RefCell<Screen>>,
) -> Result<(), String> {
    let mut client = Client {
        socket: enter(&base, n).await?,
        name: format!("player{}", n + 1),
        mode,
        seat: n as usize,
        me: String::new(),
        part,
        screen,
        narrates: n == 0,
        seconds,
        state: Value::Null,
        states: 0,
        inputs: 0,
        heard: Default::default(),
        votes: 0,
        open: Vec::new(),
        casts: Vec::new(),
        vetoes: Vec::new(),
        next_input: None,
        next_state: None,
        leaves: None,
        finished: false,
    };
    if let Err(why) = client.play().await {
        // The next game is played by the same players, who must not sit in this one any more.
        let _ = tokio::time::timeout(LEAVE_WAIT, client.get_up()).await;
        return Err(why);
    }
    let _ = client.socket.close(Some(1000)).await;
    client.missing().map_or(Ok(()), Err)
}

impl Client {
    async fn play(&mut self) -> Result<(), String> {
        while !self.finished {
            let casts = self.casts.iter().map(|(at, ..)| *at);
            let vetoes = self.vetoes.iter().map(|(at, _)| *at);
            let next = casts.chain(vetoes).chain(self.next_input).chain(self.leaves).min();
            let wait = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
            tokio::select! {
                event = self.socket.next() => match event.map_err(|error| error.to_string())? {
                    Some(Event::Text(text)) => self.hear(&text).await?,
                    Some(Event::Closed(_)) | None => return Err("was cut off".into()),
                    Some(_) => {}
                },
                () = sleep_until(wait), if next.is_some() => self.act().await?,
            }
        }
        Ok(())
    }

    /// Out of the match, and told so.
    async fn get_up(&mut self) -> Result<(), String> {
        self.send("match.leave", json!({})).await?;
        loop {
            match self.socket.next().await.map_err(|error| error.to_string())? {
                Some(Event::Text(text)) if text.contains(r#""cid":"match.leave""#) => break,
                Some(Event::Closed(_)) | None => break,
                Some(_) => {}
            }
        }
        self.socket.close(Some(1000)).await.map_err(|error| error.to_string())
    }

    /// The first thing it should have seen and did not.
    fn missing(&self) -> Option<String> {
        let never = |what: &str| Some(format!("never saw {what}"));
        if self.states < 5 {
            return never("match.state");
        }
        if self.inputs == 0 {
            return Some("never had anything to send".into());
        }
        if let Some((_, template)) = self.open.first().filter(|_| self.part.is_some()) {
            return never(&format!("how the vote {template} ended"));
        }
        let shows = self.part.map_or(&[][..], |part| part.shows);
        shows.iter().find(|kind| !self.heard.contains_key(**kind)).and_then(|kind| never(kind))
    }

    async fn send(&mut self, kind: &str, payload: Value) -> Result<(), String> {
        let text = json!({"type": kind, "cid": kind, "payload": payload}).to_string();
        self.socket.text(&text).await.map_err(|error| error.to_string())
    }

    fn tell(&self, who: &str, what: &str) {
        let screen = self.screen.borrow();
        screen.tell(who, &cut(&screen.named(what), LINE_CHARS_MAX));
    }

    /// Does what is due by now.
    async fn act(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let due = |at: &Instant| *at <= now;
        if self.leaves.as_ref().is_some_and(due) {
            // A game that goes on for ever, or longer than anybody wants to watch.
            self.finished = true;
            if self.narrates {
                self.tell("match", &format!("goes on; everybody leaves after {} s", self.seconds));
            }
            return match self.part {
                Some(_) => Err("never saw match.finished".into()),
                None => self.send("match.leave", json!({})).await,
            };
        }
        let (casts, later) = std::mem::take(&mut self.casts).into_iter().partition::<Vec<_>, _>(|(at, ..)| due(at));
        self.casts = later;
        for (_, vote_id, ballot) in casts {
            if self.open.iter().any(|(open, _)| *open == vote_id) {
                self.tell(&self.name, &format!("votes {}", spoken(&ballot)));
                self.send("vote.cast", json!({"vote_id": vote_id, "option_id": ballot})).await?;
            }
        }
        let (vetoes, later) = std::mem::take(&mut self.vetoes).into_iter().partition::<Vec<_>, _>(|(at, _)| due(at));
        self.vetoes = later;
        for (_, vote_id) in vetoes {
            self.tell(&self.name, "objects");
            self.send("vote.veto", json!({"vote_id": vote_id})).await?;
        }
        if self.next_input.as_ref().is_some_and(due) {
            self.next_input = Some(now + INPUT_EVERY);
            let input = self.part.map_or(anything as fn(_, _, &_, &_) -> _, |part| part.input);
            if let Some(input) = input(self.seat, self.inputs, &self.me, &self.state) {
                self.inputs += 1;
                let text = json!({"type": "match.input", "payload": input}).to_string();
                self.socket.text(&text).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    async fn hear(&mut self, text: &str) -> Result<(), String> {
        let incoming = Incoming::read(text).map_err(|error| error.to_string())?;
        let told = self.heard.entry(incoming.kind.clone().into_owned()).or_default();
        *told += 1;
        let few = *told <= EVENTS_TOLD;
        let message = incoming.message().map_err(|error| format!("{}: {error}", incoming.kind))?;
        let now = Instant::now();
        match message {
            ServerMsg::SessionConnected(connected) => {
                self.me = connected.player_id.to_string();
                self.screen.borrow_mut().know(self.me.clone(), &self.name);
                let mode = self.mode.clone();
                self.send("matchmaker.add", json!({"mode": mode})).await?;
            }
            ServerMsg::MatchMatched(matched) => {
                let seat = matched.players.iter().position(|player| player.to_string() == self.me);
                self.seat = seat.unwrap_or(self.seat);
                if self.narrates {
                    self.tell("match", &format!("{} players are seated", matched.players.len()));
                }
                self.next_input = Some(now + INPUT_EVERY);
                self.leaves = Some(now + Duration::from_secs(self.seconds));
            }
            ServerMsg::PlayerJoined(joined) if self.narrates => {
                let id = joined.player_id.to_string();
                if let Some(name) = joined.name {
                    self.screen.borrow_mut().know(id.clone(), &format!("the bot {name}"));
                }
                self.tell("match", &format!("{id} takes a seat"));
            }
            ServerMsg::MatchState(state) => {
                self.states += 1;
                self.state = serde_json::from_str(state.get()).unwrap_or_default();
                if self.narrates && self.next_state.is_none_or(|at| at <= now) {
                    self.next_state = Some(now + STATE_EVERY);
                    self.tell("state", &in_words(&self.state));
                }
            }
            ServerMsg::VoteStart(start) => {
                if self.narrates {
                    self.screen.borrow_mut().vote_started(&start);
                }
                self.vote_started(&start, now);
            }
            ServerMsg::VoteTally(tally) if self.narrates => self.screen.borrow().tally(&tally),
            ServerMsg::VoteResult(outcome) => {
                self.open.retain(|(open, _)| *open != outcome.vote_id);
                if self.narrates {
                    self.screen.borrow_mut().outcome(&outcome);
                }
            }
            ServerMsg::VoteVetoed(vetoed) => {
                let at = self.open.iter().position(|(open, _)| *open == vetoed.vote_id);
                let template = at.map(|at| self.open.remove(at).1).unwrap_or_default();
                if self.narrates {
                    let by = self.screen.borrow().named(&vetoed.vetoed_by.to_string());
                    self.screen.borrow_mut().vetoed(&template, &by);
                }
            }
            ServerMsg::Event { leaf, payload } if self.narrates && few => {
                self.tell("event", &format!("{leaf} {}", payload.get()));
            }
            ServerMsg::ModuleMessage(said) if self.narrates && few => self.tell("game", said.message.get()),
            ServerMsg::ModuleError(error) => {
                let line = error.line.map(|line| format!(":{line}")).unwrap_or_default();
                return Err(format!("was told of an error: {}{line}: {}", error.script, error.message));
            }
            ServerMsg::MatchFinished(finished) => {
                self.finished = true;
                if self.narrates {
                    self.tell("finish", finished.result.get());
                }
                let result: Value = serde_json::from_str(finished.result.get()).unwrap_or_default();
                if ["script_failed", "died", "game_unavailable"].iter().any(|bad| result["status"] == *bad) {
                    return Err(format!("saw the match end with {}", finished.result.get()));
                }
            }
            ServerMsg::Error(error) if error.reason != "vote_closed" => {
                return Err(format!("was refused: {}", error.reason));
            }
            _ => {}
        }
        Ok(())
    }

    /// Everybody votes a little later than the one before; the last seat objects to the second vote that allows it.
    fn vote_started(&mut self, start: &Start, now: Instant) {
        self.votes += 1;
        self.open.push((start.vote_id.clone(), start.template.clone()));
        let after = Duration::from_millis(400 + 350 * self.seat as u64);
        let mut ids: Vec<&str> = start.options.iter().map(|option| option.id.as_str()).collect();
        let turn = self.seat % ids.len().max(1);
        ids.rotate_left(turn);
        if start.veto_enabled && self.votes == 2 && self.seat as u64 + 1 == start.eligible_count {
            self.vetoes.push((now + after, start.vote_id.clone()));
            return;
        }
        let ballot = match start.ballot.as_str() {
            "ranking" => json!(ids),
            "approvals" => json!(ids[..1]),
            "scores" => {
                let max = start.max.unwrap_or(5);
                let given = ids.iter().enumerate().map(|(i, id)| ((*id).to_owned(), json!(max - (i as u32).min(max))));
                Value::Object(given.collect())
            }
            _ => json!(ids.first()),
        };
        self.casts.push((now + after, start.vote_id.clone(), ballot));
    }
}

/// The simple values at the top of a state, as a person would want them.
fn in_words(state: &Value) -> String {
    let Some(keys) = state.as_object() else { return state.to_string() };
    let words = keys.iter().filter_map(|(key, value)| match value {
        Value::String(text) => Some(format!("{key} {text}")),
        Value::Number(number) => Some(format!("{key} {number}")),
        Value::Bool(flag) => Some(format!("{key} {flag}")),
        _ => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
