//! Players of the load: guests like any stranger's, or accounts where a server has no guests, signed in over HTTP and
//! connected over one WebSocket each.

use std::rc::Rc;

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::link::{self, Event, Receiver, Sender};
use super::{BenchError, Target, Wire, board::Board};
use crate::client::{Answer, Base, ClientError, request};
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

/// How players come by their tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// As guests.
    #[default]
    Guest,
    /// With a name and a password: the server knows no guests.
    Account,
}

/// Statuses with which a server says that it has no guests.
const NO_GUESTS: [u16; 4] = [403, 404, 405, 501];

/// A token by its newer name, or by the one that older servers of the protocol give it.
#[derive(Deserialize)]
struct Account {
    access_token: Option<String>,
    session_token: Option<String>,
}

#[derive(Deserialize)]
struct Connected {
    player_id: String,
    wire: Option<String>,
}

/// What came of an attempt that a server may refuse.
pub enum Came<T> {
    /// It went well.
    In(T),
    /// It was refused, with this code.
    Refused(String),
}

/// An access token for the `n`th player of the load: the same account at every run.
///
/// # Errors
/// When the server is not there or does not speak HTTP.
pub async fn token(target: &Target, n: usize) -> Result<Came<String>, BenchError> {
    let post = async |path: &str, body: String| request(&target.base, "POST", path, &[], Some(&body)).await;
    let secret = format!("{:0>43}=", format!("bench{n}"));
    if target.way.get() == Way::Guest {
        let body = format!("{{\"device_id\":\"bench-device-{n:06}\",\"device_secret\":\"{secret}\"}}");
        let answer = post("/api/v1/auth/guest", body).await?;
        if !NO_GUESTS.contains(&answer.status) {
            return Ok(token_of(&answer));
        }
        target.way.set(Way::Account);
    }
    let body = format!("{{\"username\":\"bench_{n:06}\",\"password\":\"{secret}\"}}");
    let known = post("/api/v1/auth/login", body.clone()).await?;
    match token_of(&known) {
        Came::In(token) => Ok(Came::In(token)),
        Came::Refused(_) => Ok(token_of(&post("/api/v1/auth/register", body).await?)),
    }
}

/// The token in an answer, or the code of the refusal that it is.
fn token_of(answer: &Answer) -> Came<String> {
    let account = serde_json::from_str(&answer.body).ok().filter(|_: &Account| answer.status < 300);
    match account.and_then(|account| account.access_token.or(account.session_token)) {
        Some(token) => Came::In(token),
        None => Came::Refused(code_of(&answer.body).unwrap_or_else(|| format!("http:{}", answer.status))),
    }
}

/// The code in a refusal's body, over HTTP or in a frame.
fn code_of(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        reason: Option<String>,
        error: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        code: Option<String>,
    }
    let said: Said = serde_json::from_str(body).ok()?;
    said.error.and_then(|inner| inner.code).or(said.reason)
}

/// Connects with a token.
///
/// # Errors
/// When the server is not there or does not speak its protocol.
pub async fn connect(target: &Target, token: &str) -> Result<Came<Player>, BenchError> {
    let (sender, mut receiver) = match open(&target.base, "/ws").await? {
        Came::In(halves) => halves,
        Came::Refused(code) => return Ok(Came::Refused(code)),
    };
    let wire = if target.wire.get() == Wire::Delta { ",\"wire\":\"delta\"" } else { "" };
    sender.text(
        format!("{{\"cid\":\"in\",\"type\":\"session.connect\",\"payload\":{{\"token\":\"{token}\"{wire}}}}}")
            .as_bytes(),
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
                    if target.wire.get() == Wire::Delta && connected.wire.as_deref() != Some("delta") {
                        return Ok(Came::Refused("wire_not_granted".into()));
                    }
                    return Ok(Came::In(Player { id: connected.player_id, sender, receiver }));
                }
            }
            Event::Binary(_) => {}
            Event::Closed(code) => return Ok(Came::Refused(format!("closed:{code}"))),
        }
    }
}

/// Signs the `n`th player in and connects.
///
/// # Errors
/// As [`token`] and [`connect`].
pub async fn arrive(target: &Target, n: usize) -> Result<Came<Player>, BenchError> {
    match token(target, n).await? {
        Came::In(token) => connect(target, &token).await,
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
pub async fn players(target: &Target, count: usize, board: &Board) -> Result<Vec<Player>, BenchError> {
    let all = together(count, async |n| arrive(target, n).await);
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
        0 => Err(BenchError::refused("the server let nobody in", why)),
        _ => Ok(admitted),
    }
}

/// Whether frames of this type say no: to a message, or to a ticket.
pub fn says_no(kind: &str) -> bool {
    matches!(kind, "error" | "rpc.error" | "match.matchmaker_failed" | "match.matchmaker_expired")
}

/// The code of a frame that is a refusal; `None` for every other frame.
pub fn refusal(text: &str) -> Option<String> {
    // Cheap first: a frame that does not say so anywhere is none.
    if !text.contains("error") && !text.contains("matchmaker_") {
        return None;
    }
    let frame = Incoming::read(text).ok()?;
    let kind = frame.kind.as_ref();
    says_no(kind).then(|| code_of(frame.payload.get()).unwrap_or_else(|| kind.to_owned()))
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
        let failed = r#"{"type":"match.matchmaker_failed","payload":{"reason":"match_capacity_reached"}}"#;
        assert_eq!(refusal(failed).as_deref(), Some("match_capacity_reached"));
        let expired = r#"{"type":"match.matchmaker_expired","payload":{"ticket_id":"t"}}"#;
        assert_eq!(refusal(expired).as_deref(), Some("match.matchmaker_expired"));
        assert_eq!(refusal(r#"{"type":"matchmaker.queued","payload":{"reason":"x"}}"#), None);
        assert_eq!(refusal(r#"{"type":"chat.message","payload":{"content":"error"}}"#), None);
        assert_eq!(refusal("not a frame, error"), None);
    }

    #[test]
    fn a_token_is_found_by_either_name_and_a_refusal_by_its_code() {
        let came = |status, body: &str| match token_of(&Answer { status, headers: Vec::new(), body: body.into() }) {
            Came::In(token) => token,
            Came::Refused(code) => format!("refused: {code}"),
        };
        assert_eq!(came(200, r#"{"access_token":"a","session_token":"s","player_id":"p"}"#), "a");
        assert_eq!(came(200, r#"{"session_token":"s"}"#), "s");
        assert_eq!(came(200, r#"{"player_id":"p"}"#), "refused: http:200");
        assert_eq!(came(429, r#"{"error":{"code":"rate_limited"}}"#), "refused: rate_limited");
        assert_eq!(came(502, "<html>"), "refused: http:502");
    }
}
