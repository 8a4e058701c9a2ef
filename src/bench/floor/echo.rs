//! Says what it hears.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::frame::{self, Op};

/// Echoes on one socket until it closes; `bytes` came with its request.
pub(super) async fn serve(mut stream: TcpStream, mut bytes: Vec<u8>) -> std::io::Result<()> {
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
