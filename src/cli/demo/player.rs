//! One player of the demo: a client of the wire like any stranger's, with a script.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::MODE;
use super::screen::Screen;
use crate::client::{Base, Event, Socket, connect, request};
use crate::ids::{PlayerId, VoteId};
use crate::wire::ServerMsg;
use crate::wire::client::Incoming;

/// How each seat ranks the maps; the first round is split so that a run-off has something to show.
const RANKINGS: [&[&str]; 4] =
    [&["jungle", "harbour"], &["jungle", "volcano"], &["volcano", "harbour"], &["harbour", "volcano"]];

/// What they say to each other.
const LINES: [&str; 4] = ["hello", "good luck, have fun", "volcano again?", "anything but the harbour"];

/// What one client saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Frames received.
    pub frames: u64,
    signed_in: bool,
    queued: bool,
    matched: bool,
    states: u64,
    moved: bool,
    chat: bool,
    vote_started: bool,
    cast: bool,
    tally: bool,
    result: bool,
    vetoed: bool,
    finished: bool,
    trouble: Option<String>,
}

impl Seen {
    /// A client that came to nothing.
    pub fn failed(why: &str) -> Self {
        Self { trouble: Some(why.to_owned()), ..Self::default() }
    }

    /// The first thing it should have seen and did not.
    pub fn missing(&self) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.clone());
        }
        let steps = [
            (self.signed_in, "session.connected"),
            (self.queued, "matchmaker.queued"),
            (self.matched, "match.matched"),
            (self.states > 10, "match.state"),
            (self.moved, "its own input in match.state"),
            (self.chat, "chat.message"),
            (self.vote_started, "match.vote_start"),
            (self.cast, "vote.cast_ok"),
            (self.tally, "match.vote_tally"),
            (self.result, "a decided match.vote_result"),
            (self.vetoed, "match.vote_vetoed"),
            (self.finished, "match.finished"),
        ];
        steps.iter().find(|(seen, _)| !seen).map(|(_, what)| format!("never saw {what}"))
    }
}

/// Something the script does at a moment.
enum Due {
    Move,
    Cast(VoteId, serde_json::Value),
    Veto(VoteId),
    Say,
}

struct Client {
    socket: Socket,
    name: String,
    seat: usize,
    me: Option<PlayerId>,
    first_x: Option<f64>,
    due: Vec<(Instant, Due)>,
    channel: Option<String>,
    template: String,
    seen: Seen,
    screen: Rc<RefCell<Screen>>,
    /// Only one client tells the story of what all of them see.
    narrates: bool,
    players: u32,
}

/// Plays from sign-in to the finish.
pub async fn play(base: Base, n: u32, players: u32, screen: Rc<RefCell<Screen>>, gate: Rc<Semaphore>) -> Seen {
    match sign_in(&base, n, players, screen, gate).await {
        Ok(mut client) => {
            if let Err(why) = client.play().await {
                client.seen.trouble.get_or_insert(why);
            }
            let _ = client.socket.close(Some(1000)).await;
            client.seen
        }
        Err(why) => Seen::failed(&why),
    }
}

async fn sign_in(
    base: &Base,
    n: u32,
    players: u32,
    screen: Rc<RefCell<Screen>>,
    gate: Rc<Semaphore>,
) -> Result<Client, String> {
    let _turn = gate.acquire().await.map_err(|error| error.to_string())?;
    let socket = enter(base, n).await?;
    let narrates = n == 0;
    Ok(Client {
        socket,
        name: format!("player{}", n + 1),
        seat: (n % players) as usize,
        me: None,
        first_x: None,
        due: Vec::new(),
        channel: None,
        template: String::new(),
        seen: Seen::default(),
        screen,
        narrates,
        players,
    })
}

/// A guest account of this machine's `n`th player, and a socket on which it has begun to sign in.
pub async fn enter(base: &Base, n: u32) -> Result<Socket, String> {
    let secret = format!("{:0>43}=", format!("demo{n}"));
    let body = json!({"device_id": format!("demo-device-{n:04}"), "device_secret": secret}).to_string();
    let answer =
        request(base, "POST", "/api/v1/auth/guest", &[], Some(&body)).await.map_err(|error| error.to_string())?;
    let account: serde_json::Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
    let token = account["access_token"].as_str().ok_or_else(|| format!("no account: {}", answer.body))?.to_owned();
    let mut socket = connect(base, "/ws", &[]).await.map_err(|error| error.to_string())?;
    let hello = json!({"type": "session.connect", "cid": "session.connect", "payload": {"token": token}}).to_string();
    socket.text(&hello).await.map_err(|error| error.to_string())?;
    Ok(socket)
}

impl Client {
    async fn send(&mut self, kind: &str, payload: serde_json::Value) -> Result<(), String> {
        let text = json!({"type": kind, "cid": kind, "payload": payload}).to_string();
        self.socket.text(&text).await.map_err(|error| error.to_string())
    }

    fn tell(&self, what: &str) {
        self.screen.borrow().tell(&self.name, what);
    }

    async fn play(&mut self) -> Result<(), String> {
        while !self.seen.finished {
            let next = self.due.iter().map(|(at, _)| *at).min();
            let wait = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
            tokio::select! {
                event = self.socket.next() => match event.map_err(|error| error.to_string())? {
                    Some(Event::Text(text)) => self.hear(&text).await?,
                    Some(Event::Closed(_)) | None => return Err("the server closed the socket".into()),
                    Some(_) => {}
                },
                () = sleep_until(wait), if next.is_some() => self.act().await?,
            }
        }
        Ok(())
    }

    /// Does what the script wants by now.
    async fn act(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.due).into_iter().partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.due = later;
        for (_, due) in due {
            match due {
                Due::Move => {
                    let turn = self.seen.states / 12 + self.seat as u64;
                    let (x, y) = [(1.0, 0.2), (0.2, 1.0), (-1.0, -0.4), (0.1, -1.0)][(turn % 4) as usize];
                    let text = json!({"type": "match.input", "payload": {"move_x": x, "move_y": y}}).to_string();
                    self.socket.text(&text).await.map_err(|error| error.to_string())?;
                    self.due.push((now + Duration::from_millis(200), Due::Move));
                }
                Due::Cast(vote_id, ballot) => {
                    self.tell(&format!("votes {}", spoken(&ballot)));
                    self.send("vote.cast", json!({"vote_id": vote_id, "option_id": ballot})).await?;
                }
                Due::Veto(vote_id) => {
                    self.tell("objects");
                    self.send("vote.veto", json!({"vote_id": vote_id})).await?;
                }
                Due::Say => {
                    if let Some(channel) = self.channel.clone() {
                        let content = LINES[self.seat % LINES.len()];
                        self.send("chat.send", json!({"channel_id": channel, "content": content})).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn hear(&mut self, text: &str) -> Result<(), String> {
        self.seen.frames += 1;
        let incoming = Incoming::read(text).map_err(|error| error.to_string())?;
        let message = incoming.message().map_err(|error| format!("{}: {error}", incoming.kind))?;
        let now = Instant::now();
        match message {
            ServerMsg::SessionConnected(connected) => {
                self.seen.signed_in = true;
                self.me = Some(connected.player_id);
                self.tell("signs in");
                self.send("matchmaker.add", json!({"mode": MODE})).await?;
            }
            ServerMsg::MatchmakerQueued(queued) => {
                self.seen.queued = true;
                match queued.players_needed {
                    Some(needed) if needed > 0 => self.tell(&format!("queues, {needed} more needed")),
                    _ => self.tell("queues, and the group is complete"),
                }
            }
            ServerMsg::MatchMatched(matched) => {
                self.seen.matched = true;
                // The script goes by the place in this match, whoever was paired with whom.
                if let Some(seat) = self.me.and_then(|me| matched.players.iter().position(|player| *player == me)) {
                    self.seat = seat;
                }
                if self.narrates {
                    self.screen.borrow().tell("match", &format!("{} players are seated", matched.players.len()));
                }
                let channel = format!("match:{}", matched.match_id);
                self.send("chat.join", json!({"channel_id": channel})).await?;
                self.channel = Some(channel);
                self.due.push((now + Duration::from_millis(100), Due::Move));
                self.due.push((now + Duration::from_millis(300 + 350 * self.seat as u64), Due::Say));
            }
            ServerMsg::MatchState(state) => self.state(state.get()),
            ServerMsg::ChatMessage(line) => {
                self.seen.chat = true;
                if self.narrates {
                    self.screen.borrow().tell("chat", &format!("\"{}\"", line.content));
                }
            }
            ServerMsg::VoteStart(start) => {
                self.seen.vote_started = true;
                if self.narrates {
                    self.screen.borrow_mut().vote_started(&start);
                }
                self.template = start.template.clone();
                // Everybody has cast before the last of them spends the veto, however many they are.
                let step = 1_800 / u64::from(self.players.max(1));
                let after = Duration::from_millis(500 + step * self.seat as u64);
                if start.method == "ranked" || start.method == "irv" {
                    let ranking = RANKINGS[self.seat % RANKINGS.len()];
                    self.due.push((now + after, Due::Cast(start.vote_id, json!(ranking))));
                } else {
                    let choice = if self.seat.is_multiple_of(2) { "double" } else { "none" };
                    self.due.push((now + after / 2, Due::Cast(start.vote_id.clone(), json!(choice))));
                    if self.seat as u32 + 1 == self.players {
                        self.due.push((now + Duration::from_millis(1800), Due::Veto(start.vote_id)));
                    }
                }
            }
            ServerMsg::VoteCastOk(_) => self.seen.cast = true,
            ServerMsg::VoteTally(tally) => {
                self.seen.tally = true;
                if self.narrates {
                    self.screen.borrow().tally(&tally);
                }
            }
            ServerMsg::VoteResult(outcome) => {
                self.seen.result |= outcome.status == "decided";
                if self.narrates {
                    self.screen.borrow_mut().outcome(&outcome);
                }
            }
            ServerMsg::VoteVetoed(vetoed) => {
                self.seen.vetoed = true;
                if self.narrates {
                    let who = format!("player {}", vetoed.vetoed_by.to_string().get(..8).unwrap_or_default());
                    let template = self.template.clone();
                    self.screen.borrow_mut().vetoed(&template, &who);
                }
            }
            ServerMsg::MatchFinished(finished) => {
                self.seen.finished = true;
                if self.narrates {
                    self.screen.borrow().tell("finish", finished.result.get());
                }
            }
            ServerMsg::Error(error) => {
                self.seen.trouble.get_or_insert(format!("was refused: {}", error.reason));
            }
            _ => {}
        }
        Ok(())
    }

    fn state(&mut self, state: &str) {
        self.seen.states += 1;
        if self.seen.moved {
            return;
        }
        let Some(me) = self.me.map(|me| me.to_string()) else { return };
        let state: serde_json::Value = serde_json::from_str(state).unwrap_or_default();
        if let Some(x) = state["players"][&me]["x"].as_f64() {
            let first = *self.first_x.get_or_insert(x);
            self.seen.moved = (x - first).abs() > 0.5;
        }
    }
}

/// A ballot as a person would say it.
pub fn spoken(ballot: &serde_json::Value) -> String {
    match ballot {
        serde_json::Value::String(choice) => choice.clone(),
        serde_json::Value::Array(ranking) => {
            ranking.iter().filter_map(|option| option.as_str()).collect::<Vec<_>>().join(" > ")
        }
        other => other.to_string(),
    }
}
