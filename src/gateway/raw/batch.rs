//! What leaves for one client in one write.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use bytestring::ByteString;
use tokio::io::AsyncWrite;

use crate::gateway::pump::Say;
use crate::limits::WRITE_BYTES_MAX;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
/// The first byte of a pong.
pub(super) const PONG: u8 = 0x8a;

/// Frames on their way to one client. Empty between two polls.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// A body too large to be worth copying, and where in `bytes` it belongs.
    large: Option<(usize, Bytes)>,
}

impl Batch {
    fn header(&mut self, first: u8, length: usize) {
        self.bytes.push(first);
        match length {
            0..=125 => self.bytes.push(length as u8),
            126..=0xffff => {
                self.bytes.push(126);
                self.bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                self.bytes.push(127);
                self.bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
    }

    pub(super) fn frame(&mut self, first: u8, body: &[u8]) {
        self.header(first, body.len());
        self.bytes.extend_from_slice(body);
    }

    fn shared(&mut self, first: u8, body: Bytes) {
        if body.len() > WRITE_BYTES_MAX && self.large.is_none() {
            self.header(first, body.len());
            self.large = Some((self.bytes.len(), body));
        } else {
            self.frame(first, &body);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.large.as_ref().map_or(0, |(_, body)| body.len())
    }

    /// Offers everything in one write; answers how much was taken.
    pub(super) fn poll_write<S: AsyncWrite>(&self, stream: Pin<&mut S>, cx: &mut Context<'_>) -> io::Result<usize> {
        let written = match &self.large {
            None => stream.poll_write(cx, &self.bytes),
            Some((at, body)) => {
                let (before, after) = self.bytes.split_at(*at);
                stream.poll_write_vectored(cx, &[before, body, after].map(IoSlice::new))
            }
        };
        match written? {
            Poll::Ready(0) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(written) => Ok(written),
            Poll::Pending => Ok(0),
        }
    }

    /// Moves everything but the first `written` bytes to `unsent`, and is empty.
    pub(super) fn take_rest(&mut self, written: usize, unsent: &mut VecDeque<Bytes>) {
        if written < self.len() {
            let copy = Bytes::copy_from_slice;
            let parts = match self.large.take() {
                None => [copy(&self.bytes), Bytes::new(), Bytes::new()],
                Some((at, body)) => [copy(&self.bytes[..at]), body, copy(&self.bytes[at..])],
            };
            let mut skip = written;
            for mut part in parts {
                let step = skip.min(part.len());
                part.advance(step);
                skip -= step;
                if !part.is_empty() {
                    unsent.push_back(part);
                }
            }
        }
        self.clear();
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(4 * WRITE_BYTES_MAX);
        self.large = None;
    }
}

impl Say for Batch {
    fn text(&mut self, text: ByteString) {
        self.shared(TEXT, text.into_bytes());
    }

    fn binary(&mut self, data: Bytes) {
        self.shared(BINARY, data);
    }

    fn ping(&mut self) {
        self.header(PING, 0);
    }

    fn close(&mut self, code: Option<u16>, reason: &str) {
        match code {
            Some(code) => self.frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat()),
            None => self.header(CLOSE, 0),
        }
    }
}
