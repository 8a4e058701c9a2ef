//! A WebSocket from the client's side: whole, answering pings by itself, or split in two halves for who sends and
//! receives at once.

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{CloseReason, Codec, Frame, Message, hash_key};
use bytes::BytesMut;
use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Base, ClientError, http};

/// Bytes of one frame that we are ready to receive: more than any frame the wire allows.
const FRAME_BYTES_MAX: usize = 32 << 20;

/// What a server did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It sent a text frame.
    Text(String),
    /// It sent a binary frame.
    Binary(Vec<u8>),
    /// It asked whether we are there: answer with [`Sender::pong`]. A whole [`Socket`] does so itself.
    Ping(Vec<u8>),
    /// It closed: with a code and a reason, or without either. Nothing comes after this.
    Closed(Option<(u16, String)>),
}

/// Both halves of one connection.
pub struct Socket {
    sender: Sender,
    receiver: Receiver,
}

/// The half that sends.
pub struct Sender {
    stream: OwnedWriteHalf,
    codec: Codec,
    out: BytesMut,
}

/// The half that receives.
pub struct Receiver {
    stream: OwnedReadHalf,
    codec: Codec,
    bytes: BytesMut,
    closed: bool,
}

/// Upgrades a connection at `path` (such as `/ws`), with `headers` beside those of the upgrade itself.
///
/// # Errors
/// When the connection fails, the server refuses ([`ClientError::Refused`]), or its answer is no WebSocket upgrade.
pub async fn connect(base: &Base, path: &str, headers: &[(&str, &str)]) -> Result<Socket, ClientError> {
    let (stream, rest) = upgrade(base, path, headers).await?;
    let (reads, writes) = stream.into_split();
    let codec = || Codec::new().client_mode().max_size(FRAME_BYTES_MAX);
    Ok(Socket {
        sender: Sender { stream: writes, codec: codec(), out: BytesMut::new() },
        receiver: Receiver { stream: reads, codec: codec(), bytes: BytesMut::from(&rest[..]), closed: false },
    })
}

/// As [`connect`], for who frames messages without this module's help: the upgraded stream, and the bytes that came
/// right behind the server's answer.
///
/// # Errors
/// As [`connect`].
pub async fn upgrade(base: &Base, path: &str, headers: &[(&str, &str)]) -> Result<(TcpStream, Vec<u8>), ClientError> {
    let mut stream = TcpStream::connect(base.authority()).await?;
    stream.set_nodelay(true)?;
    let key = fresh_key();
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n",
        base.authority()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;

    let mut bytes = Vec::new();
    let (answer, body_at) = http::read_head(&mut stream, &mut bytes).await?;
    let rest = &bytes[body_at..];
    if answer.status != 101 {
        let mut body = rest.to_vec();
        let len = answer.header("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
        while body.len() < len && stream.read_buf(&mut body).await? > 0 {}
        return Err(ClientError::Refused { status: answer.status, body: String::from_utf8_lossy(&body).into_owned() });
    }
    if answer.header("sec-websocket-accept").map(str::as_bytes) != Some(&hash_key(key.as_bytes())[..]) {
        return Err(ClientError::Protocol("sec-websocket-accept does not answer our key".into()));
    }
    let rest = rest.to_vec();
    Ok((stream, rest))
}

/// Sixteen random bytes in base64, as the handshake wants them.
fn fresh_key() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut rng = rand::rng();
    let mut key: String = (0..21).map(|_| DIGITS[rng.random_range(0..64)] as char).collect();
    // The last of 22 digits carries two bits; the others of it are zero.
    key.push(DIGITS[16 * rng.random_range(0..4)] as char);
    key + "=="
}

impl Socket {
    /// Sends one text frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn text(&mut self, text: &str) -> Result<(), ClientError> {
        self.sender.text(text).await
    }

    /// Says goodbye with a code, or without one.
    ///
    /// # Errors
    /// When the connection is gone already.
    pub async fn close(&mut self, code: Option<u16>) -> Result<(), ClientError> {
        self.sender.close(code).await
    }

    /// Waits for what the server does next, answering its pings on the way. `None` after the end.
    ///
    /// # Errors
    /// As [`Receiver::next`].
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            match self.receiver.next().await? {
                Some(Event::Ping(bytes)) => self.sender.pong(&bytes).await?,
                event => return Ok(event),
            }
        }
    }

    /// Both halves, for sending and receiving at once. Whoever receives then answers the pings.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

impl Sender {
    /// Sends one text frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn text(&mut self, text: &str) -> Result<(), ClientError> {
        self.send(Message::Text(text.into())).await
    }

    /// Sends one binary frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn binary(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.send(Message::Binary(bytes.to_vec().into())).await
    }

    /// Answers a ping with what it carried.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn pong(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.send(Message::Pong(bytes.to_vec().into())).await
    }

    /// Says goodbye with a code, or without one.
    ///
    /// # Errors
    /// When the connection is gone already.
    pub async fn close(&mut self, code: Option<u16>) -> Result<(), ClientError> {
        self.send(Message::Close(code.map(|code| CloseReason { code: code.into(), description: None }))).await
    }

    async fn send(&mut self, message: Message) -> Result<(), ClientError> {
        self.codec.encode(message, &mut self.out).map_err(|err| ClientError::Protocol(err.to_string()))?;
        self.stream.write_all(&self.out.split()).await?;
        Ok(())
    }
}

impl Receiver {
    /// Waits for what the server does next. `None` after the end. Dropping the future loses nothing: what was read
    /// of a frame stays here.
    ///
    /// # Errors
    /// When the connection breaks without an end, or the server breaks the protocol.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        while !self.closed {
            let frame = self.codec.decode(&mut self.bytes).map_err(|err| ClientError::Protocol(err.to_string()))?;
            match frame {
                Some(Frame::Text(bytes)) => {
                    let text = std::str::from_utf8(&bytes).map_err(|err| ClientError::Protocol(err.to_string()))?;
                    return Ok(Some(Event::Text(text.to_owned())));
                }
                Some(Frame::Binary(bytes)) => return Ok(Some(Event::Binary(bytes.to_vec()))),
                Some(Frame::Ping(bytes)) => return Ok(Some(Event::Ping(bytes.to_vec()))),
                Some(Frame::Pong(_)) => {}
                Some(Frame::Continuation(_)) => {
                    return Err(ClientError::Protocol("a fragmented message: the wire has none".into()));
                }
                Some(Frame::Close(reason)) => {
                    self.closed = true;
                    let said = reason.map(|reason| (reason.code.into(), reason.description.unwrap_or_default()));
                    return Ok(Some(Event::Closed(said)));
                }
                None => {
                    if self.stream.read_buf(&mut self.bytes).await? == 0 {
                        self.closed = true;
                        return Ok(Some(Event::Closed(None)));
                    }
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that upgrades with `accept` (its key hashed when `None`), pings, echoes one text and closes with 1012.
    async fn serve_one(listener: TcpListener, accept: Option<&str>) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = BytesMut::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut bytes).await.unwrap();
        }
        let head = String::from_utf8(bytes.split().to_vec()).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let hashed = hash_key(key.as_bytes());
        let accept = accept.unwrap_or_else(|| std::str::from_utf8(&hashed).unwrap());
        let mut out = BytesMut::from(
            format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
                .as_bytes(),
        );
        let mut codec = Codec::new();
        codec.encode(Message::Ping("are you there".into()), &mut out).unwrap();
        stream.write_all(&out.split()).await.unwrap();
        while let Ok(1..) = stream.read_buf(&mut bytes).await {
            while let Ok(Some(frame)) = codec.decode(&mut bytes) {
                match frame {
                    Frame::Pong(said) => {
                        codec.encode(Message::Text(format!("pong {said:?}").into()), &mut out).unwrap()
                    }
                    Frame::Text(said) => {
                        let said = String::from_utf8(said.to_vec()).unwrap();
                        codec.encode(Message::Text(said.into()), &mut out).unwrap();
                        let reason = CloseReason { code: 1012.into(), description: Some("restart".into()) };
                        codec.encode(Message::Close(Some(reason)), &mut out).unwrap();
                    }
                    _ => {}
                }
            }
            stream.write_all(&out.split()).await.unwrap();
        }
    }

    #[actix_rt::test]
    async fn a_socket_pongs_talks_and_hears_why_it_was_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Base::from(listener.local_addr().unwrap());
        let server = actix_rt::spawn(serve_one(listener, None));
        let mut socket = connect(&base, "/ws", &[("Origin", "https://play.example")]).await.unwrap();
        assert_eq!(socket.next().await.unwrap(), Some(Event::Text("pong b\"are you there\"".into())));
        socket.text("hello").await.unwrap();
        assert_eq!(socket.next().await.unwrap(), Some(Event::Text("hello".into())));
        assert_eq!(socket.next().await.unwrap(), Some(Event::Closed(Some((1012, "restart".into())))));
        assert_eq!(socket.next().await.unwrap(), None);
        drop(socket);
        server.await.unwrap();
    }

    #[actix_rt::test]
    async fn a_server_that_does_not_know_our_key_is_no_websocket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Base::from(listener.local_addr().unwrap());
        let server = actix_rt::spawn(serve_one(listener, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        assert!(matches!(connect(&base, "/ws", &[]).await, Err(ClientError::Protocol(_))));
        server.await.unwrap();
    }
}
