//! One request, one answer, one connection: enough for signing in and for asking.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Base, ClientError};

/// Bytes of an answer's head. A longer one is not an answer of ours.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Bytes of an answer that are read before giving up on it.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers in their order, names in lowercase.
    pub headers: Vec<(String, String)>,
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl Answer {
    /// The first header of this name (lowercase).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Sends one request and reads its answer. `headers` go out as they are; a body is announced as JSON.
///
/// # Errors
/// When the connection fails or the answer is not HTTP. A refusal by status is an answer, not an error.
pub async fn request(
    base: &Base,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Result<Answer, ClientError> {
    let mut stream = TcpStream::connect(base.authority()).await?;
    stream.set_nodelay(true)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", base.authority());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    head.push_str(body.unwrap_or(""));
    stream.write_all(head.as_bytes()).await?;

    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
    let Some((mut answer, body_at)) = parse_head(&bytes)? else {
        return Err(ClientError::NotHttp("the connection ended before the headers did".into()));
    };
    let body = &bytes[body_at..];
    let body = match answer.header("transfer-encoding") {
        Some("chunked") => unchunked(body)?,
        _ => body.to_vec(),
    };
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

/// Reads the head of an answer from `stream`, and whatever came with it into `bytes`; says where the body begins.
pub(super) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
) -> Result<(Answer, usize), ClientError> {
    loop {
        if let Some(head) = parse_head(bytes)? {
            return Ok(head);
        }
        if bytes.len() > HEAD_BYTES_MAX || stream.read_buf(bytes).await? == 0 {
            return Err(ClientError::NotHttp(format!("no end of the headers in {} bytes", bytes.len())));
        }
    }
}

/// The head of an answer and where its body begins, once all of the head is there.
fn parse_head(bytes: &[u8]) -> Result<Option<(Answer, usize)>, ClientError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(body_at)) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            let headers = head.headers.iter().map(|h| (h.name.to_lowercase(), text(h.value))).collect();
            let status = head.code.unwrap_or(0);
            Ok(Some((Answer { status, headers, body: String::new() }, body_at)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(err) => Err(ClientError::NotHttp(err.to_string())),
    }
}

fn unchunked(mut bytes: &[u8]) -> Result<Vec<u8>, ClientError> {
    let wrong = || ClientError::NotHttp("a chunk of the body is broken".into());
    let mut body = Vec::new();
    loop {
        match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((_, 0))) => return Ok(body),
            Ok(httparse::Status::Complete((at, len))) => {
                let end = usize::try_from(len).ok().and_then(|len| at.checked_add(len)).ok_or_else(wrong)?;
                body.extend_from_slice(bytes.get(at..end).ok_or_else(wrong)?);
                bytes = bytes.get(end..).and_then(|rest| rest.strip_prefix(b"\r\n")).ok_or_else(wrong)?;
            }
            _ => return Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_put_together_and_a_broken_one_refused() {
        assert_eq!(unchunked(b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n").unwrap(), b"abc0123456789");
        for bad in [&b"3\r\nab"[..], b"zz\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"ffffffffffffffff\r\na"] {
            assert!(unchunked(bad).is_err());
        }
    }

    #[test]
    fn a_head_waits_until_it_is_whole() {
        let whole = b"HTTP/1.1 404 Not Found\r\nX-Thing:  a b \r\n\r\nbody";
        assert_eq!(parse_head(&whole[..30]).unwrap(), None);
        let (answer, at) = parse_head(whole).unwrap().unwrap();
        assert_eq!((answer.status, answer.header("x-thing"), &whole[at..]), (404, Some("a b"), &b"body"[..]));
        assert!(parse_head(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
    }
}
