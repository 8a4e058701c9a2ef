//! Players in matches, as every shape that plays needs them: signed in, queued, seated.

use super::board::Board;
use super::hear::{ask, kind, text_after};
use super::link::{Event, Receiver, Sender};
use super::sign_in::{self, Player, refusal};
use super::{BenchError, Cx};

/// A player in a match.
pub struct Seat {
    /// The player's id.
    pub id: String,
    /// Which match.
    pub match_id: String,
    /// Where to send.
    pub sender: Sender,
    /// Where to listen.
    pub receiver: Receiver,
    /// Inputs sent so far: the state tells how many of them the game has seen.
    pub inputs: u64,
}

/// Signs in players `from..from + count` and queues them for `mode` until all have a seat.
///
/// # Errors
/// When the server is not there, or somebody gets no seat: a match that lacks players does not begin, so there would be
/// nothing to measure.
pub async fn seat(cx: &Cx<'_>, mode: &str, from: usize, count: usize, board: &Board) -> Result<Vec<Seat>, BenchError> {
    let began = std::cell::Cell::new(0);
    let queued = sign_in::together(count, async |n| {
        began.set(began.get() + 1);
        (cx.progress)(&format!("player {} of {count}", began.get()));
        sign_in::arrive(cx.target, from + n).await
    });
    let mut players: Vec<Player> = sign_in::admitted(queued.await?, board)?;
    if players.len() < count {
        let why = board.refusals().into_keys().collect::<Vec<_>>().join(", ");
        let missing = count - players.len();
        return Err(BenchError::refused(format!("{missing} of {count} players did not get in"), why));
    }
    let mut text = Vec::new();
    for player in &mut players {
        ask(&mut text, "matchmaker.add", 0, &format!("{{\"mode\":\"{mode}\"}}"));
        player.sender.text(&text);
        player.sender.flush().await?;
        until(&mut player.receiver, "matchmaker.queued").await?;
    }
    (cx.progress)("waiting for seats");
    let seats = players.into_iter().map(async |mut player: Player| {
        let said = until(&mut player.receiver, "match.matched").await?;
        let match_id = text_after(&said, b"\"match_id\":\"").unwrap_or_default().to_owned();
        Ok(Seat { id: player.id, match_id, sender: player.sender, receiver: player.receiver, inputs: 0 })
    });
    let all = futures_util::future::try_join_all(seats);
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, all)
        .await
        // A server that has enough to do keeps tickets waiting: that is its way of saying no.
        .map_err(|_| {
            BenchError::refused(format!("not everybody in the queue of {mode:?} got a seat within 30 s"), "not_matched")
        })?
}

/// How often in a row, two seconds apart, a server says that it opens no matches before that is taken for its last word.
const BUSY_MAX: u32 = 3;

/// Waits for a frame of this type, or for a refusal, which is an error here: staging is not what is measured.
///
/// # Errors
/// When the server refuses, closes or breaks its protocol.
pub async fn until(receiver: &mut Receiver, wanted: &str) -> Result<Vec<u8>, BenchError> {
    let mut busy = 0;
    loop {
        match receiver.next().await? {
            Event::Text(range) => {
                let text = receiver.bytes(range);
                match &*kind(text) {
                    kind if kind == wanted => return Ok(text.to_vec()),
                    "matchmaker.status"
                        if text_after(text, b"\"why_not\":\"").is_some_and(|why| why == "server_busy") =>
                    {
                        busy += 1;
                        if busy >= BUSY_MAX {
                            let why = format!("kept in the queue while waiting for {wanted}");
                            return Err(BenchError::refused(why, "server_busy"));
                        }
                    }
                    kind if sign_in::says_no(kind) => {
                        let code = refusal(&String::from_utf8_lossy(text)).unwrap_or_default();
                        return Err(BenchError::refused(format!("refused while waiting for {wanted}"), code));
                    }
                    _ => {}
                }
            }
            Event::Binary(_) => {}
            Event::Closed(code) => {
                return Err(BenchError::refused(
                    format!("closed while waiting for {wanted}"),
                    format!("closed:{code}"),
                ));
            }
        }
    }
}

/// The configuration of a mode that the shapes play.
pub fn mode_config(name: &str, players: u32, hz: u32, state_bytes: u32) -> String {
    format!(
        "\n[modes.{name}]\ngame = \"builtin:bench\"\ntick_hz = {hz}\nplayers = {{ min = {players}, max = {players} }}\n\
         game_options = {{ state_bytes = {state_bytes} }}\nreconnect = {{ grace_s = 0 }}\n"
    )
}
