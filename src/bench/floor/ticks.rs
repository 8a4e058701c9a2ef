//! Seats whoever asks, and shows matches the states that mode `bench` shows: each written once, and sent to every player
//! in turn from the one thread there is.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Write};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use crate::bench::alarm::Alarm;
use crate::bench::frame::{self, Op};
use crate::bench::hear::{cid, kind, text_after};

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    /// Players per match.
    pub players: usize,
    /// Ticks per second.
    pub hz: u32,
    /// Pads each state by so many bytes.
    pub state_bytes: usize,
}

/// Who waits for a match, and how many there are.
pub(super) struct Lobby {
    play: Play,
    waiting: Vec<Rc<Player>>,
    players: u64,
    matches: u32,
}

impl Lobby {
    pub(super) fn new(play: Play) -> Self {
        Self { play, waiting: Vec::new(), players: 0, matches: 0 }
    }
}

struct Player {
    id: String,
    stream: OwnedWriteHalf,
    inputs: Cell<u64>,
    is_gone: Cell<bool>,
}

impl Player {
    /// Sends all of it; a client that is gone is remembered as gone.
    async fn send(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_gone.get() {
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_gone.set(self.stream.writable().await.is_err());
                }
                Err(_) => self.is_gone.set(true),
            }
        }
    }

    async fn say(&self, text: &str) {
        let mut out = Vec::new();
        frame::write(&mut out, Op::Text, text.as_bytes(), None);
        self.send(&out).await;
    }
}

/// Plays as one client until it closes; `bytes` came with its request.
pub(super) async fn serve(stream: TcpStream, mut bytes: Vec<u8>, lobby: &Rc<RefCell<Lobby>>) -> std::io::Result<()> {
    let number = {
        let mut lobby = lobby.borrow_mut();
        lobby.players += 1;
        lobby.players
    };
    let id = format!("00000000-0000-7000-8000-{number:012}");
    let (mut receiving, stream) = stream.into_split();
    let player = Rc::new(Player { id, stream, inputs: Cell::new(0), is_gone: Cell::new(false) });
    loop {
        let mut at = 0;
        while let Some((found, used)) = frame::read(&mut bytes[at..]).map_err(std::io::Error::other)? {
            let payload = &bytes[at + found.payload.start..at + found.payload.end];
            at += used;
            match found.op {
                Op::Text => hear(&player, payload, lobby).await?,
                Op::Close => {
                    player.is_gone.set(true);
                    return Ok(());
                }
                Op::Binary | Op::Ping | Op::Pong => {}
            }
        }
        bytes.drain(..at);
        // As an error it is remembered too: its match must not send to it for ever.
        if !matches!(receiving.read_buf(&mut bytes).await, Ok(1..)) {
            player.is_gone.set(true);
            return Ok(());
        }
    }
}

async fn hear(player: &Rc<Player>, text: &[u8], lobby: &Rc<RefCell<Lobby>>) -> std::io::Result<()> {
    // Echoed as it came: a number, or a word in quotes.
    let cid = match cid(text) {
        Some(number) => number.to_string(),
        None => format!("\"{}\"", text_after(text, b"\"cid\":\"").unwrap_or_default()),
    };
    // Our own load writes `cid` before `type`, and `type` first where there is no cid.
    let kind = match text_after(text, b"\"type\":\"") {
        Some(found) => found.to_owned(),
        None => kind(text).into_owned(),
    };
    match &*kind {
        "match.input" => player.inputs.set(player.inputs.get() + 1),
        "session.connect" => {
            let id = &player.id;
            player
                .say(&format!(
                    "{{\"type\":\"session.connected\",\"cid\":{cid},\"payload\":{{\"player_id\":\"{id}\",\"session_id\":\"{id}\",\
                     \"wire\":\"json\",\"resumed\":false,\"server_time\":0}}}}"
                ))
                .await;
        }
        "matchmaker.add" => {
            player.say(&format!("{{\"type\":\"matchmaker.queued\",\"cid\":{cid},\"payload\":{{}}}}")).await;
            let begins = {
                let mut lobby = lobby.borrow_mut();
                lobby.waiting.push(player.clone());
                (lobby.waiting.len() == lobby.play.players).then(|| {
                    lobby.matches += 1;
                    (lobby.matches, std::mem::take(&mut lobby.waiting), lobby.play)
                })
            };
            if let Some((number, players, play)) = begins {
                let alarm = Alarm::new()?;
                drop(tokio::task::spawn_local(tick(number, players, play, alarm)));
            }
        }
        _ => {}
    }
    Ok(())
}

/// One match: never early, never drifting, as long as anybody is there.
async fn tick(number: u32, players: Vec<Rc<Player>>, play: Play, alarm: Alarm) {
    let matched =
        format!("{{\"type\":\"match.matched\",\"payload\":{{\"match_id\":\"00000000-0000-7000-8000-{number:012}\"}}}}");
    for player in &players {
        player.say(&matched).await;
    }
    let period = Duration::from_secs(1) / play.hz;
    // Spread over the period by the golden section, so that any number of matches is.
    let begin = Instant::now() + period.mul_f64(f64::from(number) * 0.618_033_988_749_895 % 1.0);
    let padding = "x".repeat(play.state_bytes);
    let (mut text, mut out) = (Vec::new(), Vec::new());
    for n in 1.. {
        if alarm.until(begin + period * n).await.is_err() || players.iter().all(|player| player.is_gone.get()) {
            return;
        }
        let ts = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        text.clear();
        // Writing to memory does not fail.
        let _ = write!(text, "{{\"type\":\"match.state\",\"payload\":{{\"tick\":{n},\"ts\":{ts},\"players\":{{");
        for (at, player) in players.iter().enumerate() {
            let (comma, id, inputs) = (if at > 0 { "," } else { "" }, &player.id, player.inputs.get());
            let _ = write!(text, "{comma}\"{id}\":{{\"x\":{inputs},\"y\":0,\"inputs_seen\":{inputs}}}");
        }
        let _ = write!(text, "}}");
        if !padding.is_empty() {
            let _ = write!(text, ",\"padding\":\"{padding}\"");
        }
        text.extend_from_slice(b"}}");
        out.clear();
        frame::write(&mut out, Op::Text, &text, None);
        for player in &players {
            player.send(&out).await;
        }
    }
}
