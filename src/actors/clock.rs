//! The one clock of a server: monotonic for deadlines, unix for people. Everything below is handed numbers from here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads the machine's clocks. Copy it freely; all copies agree.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Clock {
    /// Monotonic microseconds since the machine's own epoch: what deadlines are written in.
    pub fn now_us(self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
    }

    /// Monotonic milliseconds.
    pub fn now_ms(self) -> u64 {
        self.now_us() / 1_000
    }

    /// Microseconds since 1970.
    pub fn unix_us(self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as u64
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(self) -> u64 {
        self.unix_us() / 1_000
    }
}
