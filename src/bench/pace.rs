//! An open loop: messages leave at the moments they were meant to, whatever became of those before them.

use std::io;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::board::{Board, Recorder};

/// Moments closer than this to now are waited for together: waking for each would cost more than it tells.
const BATCH: Duration = Duration::from_micros(20);

/// Calls `send` with 0, 1, 2 ... and the moment each was due, `per_s` times a second, evenly, from now until the board's
/// window closes. How late the load itself is goes into `late`: it is part of every latency that begins at the moment a
/// message was due.
///
/// # Errors
/// When the system's timer fails.
pub async fn pace(board: &Board, per_s: f64, late: &Recorder, mut send: impl FnMut(u64, Instant)) -> io::Result<()> {
    let alarm = Alarm::new()?;
    let start = Instant::now();
    let due = |n: u64| start + Duration::from_secs_f64(n as f64 / per_s);
    let mut n = 0;
    while due(n) < board.until() {
        let now = Instant::now();
        while due(n) <= now && due(n) < board.until() {
            late.record(due(n), now - due(n));
            send(n, due(n));
            n += 1;
        }
        alarm.until(due(n).max(now + BATCH).min(board.until())).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn everything_due_is_sent_in_order_and_counted_from_when_it_was_due() {
        let board = Board::new(Duration::ZERO, Duration::from_millis(20));
        let late = board.recorder("late");
        let mut sent = Vec::new();
        pace(&board, 1_000.0, &late, |n, due| sent.push((n, due))).await.unwrap();
        assert_eq!(sent.len(), 20, "one per millisecond, however late");
        assert!(sent.iter().enumerate().all(|(at, (n, _))| *n == at as u64));
        assert_eq!(sent[19].1 - sent[0].1, Duration::from_millis(19));
    }
}
