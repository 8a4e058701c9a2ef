//! Players of the load: guests like any stranger's, signed in over HTTP and connected over one WebSocket each.

use std::rc::Rc;

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::link::{self, Event, Receiver, Sender};
use super::{BenchError, board::Board};
use crate::client::{Base, ClientError, request};
use crate::wire::client::Incoming;

/// How many come in at once: a server that has to take them one by one would measure its queue.
pub const AT_ONCE: usize = 64;

/// A player who is signed in and connected.
pub struct Player {
    /// The player's id.
    pub id: String,
    /// Where to send.
    pub sender: Sender,
    /// Where to listen.
    pub receiver: Receiver,
}

#[derive(Deserialize)]
struct Account {
    access_token: String,
}

#[derive(Deserialize)]
struct Connected {
    player_id: String,
}

/// What came of an attempt that a server may refuse.
pub enum Came<T> {
    /// It went well.
    In(T),
    /// It was refused, with this code.
    Refused(String),
}

/// An access token for the `n`th guest of the load: the same account at every run.
///
/// # Errors
/// When the server is not there or does not speak HTTP.
pub async fn token(base: &Base, n: usize) -> Result<Came<String>, BenchError> {
    let body = format!("{{\"device_id\":\"bench-device-{n:06}\",\"device_secret\":\"{:0>43}=\"}}", format!("bench{n}"));
    let answer = request(base, "POST", "/api/v1/auth/guest", &[], Some(&body)).await?;
    match serde_json::from_str::<Account>(&answer.body) {
        Ok(account) if answer.status < 300 => Ok(Came::In(account.access_token)),
        _ => Ok(Came::Refused(format!("http:{}", answer.status))),
    }
}

/// Connects with a token.
///
/// # Errors
/// When the server is not there or does not speak its protocol.
pub async fn connect(base: &Base, token: &str) -> Result<Came<Player>, BenchError> {
    let (sender, mut receiver) = match open(base, "/ws").await? {
        Came::In(halves) => halves,
        Came::Refused(code) => return Ok(Came::Refused(code)),
    };
    sender.text(
        format!("{{\"cid\":\"in\",\"type\":\"session.connect\",\"payload\":{{\"token\":\"{token}\"}}}}").as_bytes(),
    );
    sender.flush().await?;
    loop {
        match receiver.next().await? {
            Event::Text(range) => {
                let text = std::str::from_utf8(receiver.bytes(range)).unwrap_or_default();
                if let Some(code) = refusal(text) {
                    return Ok(Came::Refused(code));
                }
                let Ok(frame) = Incoming::read(text) else { continue };
                if frame.kind == "session.connected" {
                    let connected: Connected = serde_json::from_str(frame.payload.get())
                        .map_err(|_| BenchError::unexpected("session.connected has no player_id"))?;
                    return Ok(Came::In(Player { id: connected.player_id, sender, receiver }));
                }
            }
            Event::Binary(_) => {}
            Event::Closed(code) => return Ok(Came::Refused(format!("closed:{code}"))),
        }
    }
}

/// Signs the `n`th guest in and connects.
///
/// # Errors
/// As [`token`] and [`connect`].
pub async fn arrive(base: &Base, n: usize) -> Result<Came<Player>, BenchError> {
    match token(base, n).await? {
        Came::In(token) => connect(base, &token).await,
        Came::Refused(code) => Ok(Came::Refused(code)),
    }
}

/// Opens a socket that nobody signs in on.
///
/// # Errors
/// When the server is not there. An upgrade that it declines is a refusal.
pub async fn open(base: &Base, path: &str) -> Result<Came<(Sender, Receiver)>, BenchError> {
    match link::connect(base, path).await {
        Ok(halves) => Ok(Came::In(halves)),
        Err(ClientError::Refused { status, .. }) => Ok(Came::Refused(format!("http:{status}"))),
        Err(error) => Err(error.into()),
    }
}

/// Signs in and connects `count` players, some at a time. Refused ones are on the board and not in the answer.
///
/// # Errors
/// As [`token`] and [`connect`]; when nobody got in at all.
pub async fn players(base: &Base, count: usize, board: &Board) -> Result<Vec<Player>, BenchError> {
    let all = together(count, async |n| arrive(base, n).await);
    admitted(all.await?, board)
}

/// Opens `count` sockets at `path`, some at a time.
///
/// # Errors
/// As [`open`]; when none was let in.
pub async fn sockets(
    base: &Base,
    path: &str,
    count: usize,
    board: &Board,
) -> Result<Vec<(Sender, Receiver)>, BenchError> {
    admitted(together(count, async |_| open(base, path).await).await?, board)
}

/// Runs `count` attempts, [`AT_ONCE`] at a time, and keeps their order.
pub async fn together<T>(
    count: usize,
    attempt: impl AsyncFn(usize) -> Result<Came<T>, BenchError>,
) -> Result<Vec<Came<T>>, BenchError> {
    let gate = Rc::new(Semaphore::new(AT_ONCE));
    futures_util::future::try_join_all((0..count).map(async |n| {
        let _turn = gate.acquire().await;
        attempt(n).await
    }))
    .await
}

/// Those who got in; the others' refusals go on the board.
///
/// # Errors
/// When nobody did.
pub fn admitted<T>(all: Vec<Came<T>>, board: &Board) -> Result<Vec<T>, BenchError> {
    let mut admitted = Vec::with_capacity(all.len());
    let mut why = String::new();
    for came in all {
        match came {
            Came::In(one) => admitted.push(one),
            Came::Refused(code) => {
                board.refused(&code);
                why = code;
            }
        }
    }
    match admitted.len() {
        0 => Err(BenchError::unexpected(format!("the server let nobody in: {why}"))),
        _ => Ok(admitted),
    }
}

/// The code of a frame that is a refusal; `None` for every other frame.
pub fn refusal(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        reason: Option<String>,
        error: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        code: Option<String>,
    }
    // Cheap first: a frame that does not say so anywhere is none.
    if !text.contains("error") {
        return None;
    }
    let frame = Incoming::read(text).ok()?;
    if frame.kind != "error" && frame.kind != "rpc.error" {
        return None;
    }
    let said: Option<Said> = serde_json::from_str(frame.payload.get()).ok();
    let code = said.and_then(|said| said.error.and_then(|inner| inner.code).or(said.reason));
    Some(code.unwrap_or_else(|| "error".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_kind_and_named_by_its_code() {
        let text = r#"{"type":"error","cid":1,"payload":{"reason":"match_full","error":{"code":"match.full","message":"x","details":{}}}}"#;
        assert_eq!(refusal(text).as_deref(), Some("match.full"));
        assert_eq!(refusal(r#"{"type":"error","payload":{"reason":"rate_limited"}}"#).as_deref(), Some("rate_limited"));
        assert_eq!(refusal(r#"{"type":"error","payload":7}"#).as_deref(), Some("error"));
        assert_eq!(refusal(r#"{"type":"chat.message","payload":{"content":"error"}}"#), None);
        assert_eq!(refusal("not a frame, error"), None);
    }
}
