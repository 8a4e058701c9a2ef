//! The floor: servers that do nothing but what is measured, to tell how much of a figure is the machine's. One thread,
//! raw sockets, the frames of [`super::frame`], no actors, no limits, no pings; what belongs together leaves in one
//! write.
//!
//! `/ws/echo` echoes ([`echo`]); `/ws` seats whoever asks and plays ([`ticks`]). It is for measuring beside a server and
//! for nothing else: it trusts its clients.

mod echo;
mod ticks;

use std::cell::RefCell;
use std::rc::Rc;

use actix_http::ws::hash_key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub use ticks::Play;

use ticks::Lobby;

/// Accepts and serves until the process ends; whoever comes to play, plays `play`. Needs a `LocalSet`.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve(listener: TcpListener, play: Play) -> std::io::Result<()> {
    let lobby = Rc::new(RefCell::new(Lobby::new(play)));
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that goes away ends its own task and nothing else.
        drop(tokio::task::spawn_local(answer(stream, lobby.clone())));
    }
}

/// Reads one request, and does what it asks.
async fn answer(mut stream: TcpStream, lobby: Rc<RefCell<Lobby>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(4_096);
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if bytes.len() > 8_192 || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let header = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let Some(key) = header("sec-websocket-key") else {
        let body = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0usize);
        while bytes.len() < head + body {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        // Everybody is let in, and nothing else is known.
        let (status, said) = match text.starts_with("POST /api/v1/auth/guest ") {
            true => ("200 OK", r#"{"access_token":"anybody"}"#),
            false => ("404 Not Found", "{}"),
        };
        let length = said.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{said}"
        );
        return stream.write_all(answer.as_bytes()).await;
    };
    let mut answer =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
            .to_vec();
    answer.extend_from_slice(&hash_key(key.as_bytes()));
    answer.extend_from_slice(b"\r\n\r\n");
    stream.write_all(&answer).await?;
    bytes.drain(..head);
    match text.starts_with("GET /ws/echo") {
        true => echo::serve(stream, bytes).await,
        false => ticks::serve(stream, bytes, &lobby).await,
    }
}
