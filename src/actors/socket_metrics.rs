//! What the sockets of a server have done so far, as counters that cost an uncontended addition each.

use std::sync::atomic::{AtomicU64, Ordering};

use super::connection::Cut;

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn one(&self) {
        self.add(1);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters shared by every socket of one server.
#[derive(Debug, Default)]
pub struct SocketMetrics {
    /// Connections that were upgraded.
    pub opened: Counter,
    /// Connections that ended; `opened - ended` are open.
    pub ended: Counter,
    /// Messages received whole.
    pub messages_in: Counter,
    /// Bytes of those messages.
    pub bytes_in: Counter,
    /// Messages refused: too large, or over the rate.
    pub refused_in: Counter,
    /// Frames handed to sockets.
    pub frames_out: Counter,
    /// Bytes of those frames, without their headers.
    pub bytes_out: Counter,
    /// Batches those frames left in; `frames_out / batches_out` is what coalescing gains.
    pub batches_out: Counter,
    /// Replaceable frames that a newer one replaced before it was sent.
    pub replaced: Counter,
    cut: [Counter; Cut::ALL.len()],
}

impl SocketMetrics {
    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.opened.get().saturating_sub(self.ended.get())
    }

    /// Counts a cut connection.
    pub fn count_cut(&self, cut: Cut) {
        self.cut[cut as usize].one();
    }

    /// Connections that were cut for this reason.
    pub fn cut(&self, cut: Cut) -> u64 {
        self.cut[cut as usize].get()
    }
}
