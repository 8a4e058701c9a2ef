//! The floor: an echo server that does nothing but echo, to tell how much of a figure is the machine's. Raw sockets,
//! the frame pump of [`frame`], no actors, no limits, no pings; what one read brings leaves in one write.
//!
//! It is for measuring beside a server and for nothing else: it trusts its clients.

use actix_http::ws::hash_key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::frame::{self, Op};

/// Accepts and echoes until the process ends. Needs a `LocalSet`.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that goes away ends its own task and nothing else.
        drop(tokio::task::spawn_local(echo(stream)));
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
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
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let Some(key) = key else {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    };
    let mut answer =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
            .to_vec();
    answer.extend_from_slice(&hash_key(key.as_bytes()));
    answer.extend_from_slice(b"\r\n\r\n");
    stream.write_all(&answer).await?;
    bytes.drain(..head);

    let mut out = Vec::new();
    loop {
        let mut at = 0;
        while let Some((found, used)) = frame::read(&mut bytes[at..]).map_err(std::io::Error::other)? {
            let payload = &bytes[at + found.payload.start..at + found.payload.end];
            match found.op {
                Op::Text | Op::Binary => frame::write(&mut out, found.op, payload, None),
                Op::Ping => frame::write(&mut out, Op::Pong, payload, None),
                Op::Pong => {}
                Op::Close => {
                    frame::write(&mut out, Op::Close, payload, None);
                    return stream.write_all(&out).await;
                }
            }
            at += used;
        }
        bytes.drain(..at);
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}
