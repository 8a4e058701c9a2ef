//! Our own clients of the wire, for the demo, scenarios, measurements and tests.
//!
//! They know an address and text, nothing of the server: what they see is what a stranger's client sees. HTTP/1.1 and
//! WebSocket over plain TCP, as a server behind a proxy speaks them. Not built on awc, because awc cannot be compiled
//! without HTTP/2, which nothing here uses and which carries an open advisory (RUSTSEC-2026-0258).
//!
//! No call here has a time limit of its own: who calls knows how long an answer is worth waiting for.

use std::fmt;
use std::str::FromStr;

mod http;
mod socket;

pub use http::{Answer, request};
pub use socket::{Event, Receiver, Sender, Socket, connect, upgrade};

/// Where a server is: `http://HOST:PORT`, or `HOST:PORT` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    host: String,
    port: u16,
}

impl Base {
    /// Host and port, as a TCP connection and a `Host` header want them.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

impl From<std::net::SocketAddr> for Base {
    fn from(addr: std::net::SocketAddr) -> Self {
        let host = match addr.ip() {
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            std::net::IpAddr::V4(ip) => ip.to_string(),
        };
        Self { host, port: addr.port() }
    }
}

impl FromStr for Base {
    type Err = ClientError;
    fn from_str(text: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address(text.to_owned());
        let rest = match text.split_once("://") {
            None => text,
            Some(("http" | "ws", rest)) => rest,
            Some(_) => return Err(wrong()),
        };
        let authority = rest.strip_suffix("/ws").unwrap_or(rest).trim_end_matches('/');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (authority, 80),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Why a request or a socket came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one that we can speak to.
    #[error("expected an address such as http://127.0.0.1:8084, found {0:?} (TLS is a proxy's work)")]
    Address(String),
    /// The connection failed or broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The other side does not speak HTTP.
    #[error("the answer is not HTTP: {0}")]
    NotHttp(String),
    /// The other side does not want a WebSocket.
    #[error("the upgrade was answered with {status}: {body}")]
    Refused {
        /// Its HTTP status.
        status: u16,
        /// What it said.
        body: String,
    },
    /// The other side broke the WebSocket protocol.
    #[error("the peer broke the WebSocket protocol: {0}")]
    Protocol(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("http://127.0.0.1:8084", "http://127.0.0.1:8084"),
            ("http://127.0.0.1:8084/", "http://127.0.0.1:8084"),
            ("ws://play.example:9000/ws", "http://play.example:9000"),
            ("localhost:1", "http://localhost:1"),
            ("http://[::1]:8084", "http://[::1]:8084"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://play.example", "http://play.example:80"),
        ] {
            assert_eq!(text.parse::<Base>().unwrap().to_string(), expected);
        }
        for bad in ["", "https://play.example", "http://", "http://a:b", "http://a/b c", "a:70000"] {
            assert!(bad.parse::<Base>().is_err(), "{bad}");
        }
    }
}
