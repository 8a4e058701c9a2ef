//! The latest arrivals, as `tessera scenario queue` reads them: designers try other rules on the players they have.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::prelude::*;
use serde_json::json;

use super::MatchmakerActor;
use crate::ids::TicketId;
use crate::limits::{QUEUE_RECORDED_BYTES_MAX, QUEUE_RECORDED_MAX};

/// One ticket that was added.
struct Arrival {
    ticket_id: TicketId,
    mode: Arc<str>,
    at_ms: u64,
    players: usize,
    /// JSON text.
    properties: String,
    gave_up_ms: Option<u64>,
}

/// The latest arrivals of all modes, within bounds.
#[derive(Default)]
pub(super) struct Recording {
    arrivals: VecDeque<Arrival>,
    bytes: usize,
}

impl Recording {
    /// A ticket was added.
    pub(super) fn came(&mut self, ticket_id: TicketId, mode: Arc<str>, at_ms: u64, players: usize, properties: String) {
        self.bytes += properties.len();
        self.arrivals.push_back(Arrival { ticket_id, mode, at_ms, players, properties, gave_up_ms: None });
        while self.arrivals.len() > QUEUE_RECORDED_MAX || self.bytes > QUEUE_RECORDED_BYTES_MAX {
            let Some(oldest) = self.arrivals.pop_front() else { return };
            self.bytes -= oldest.properties.len();
        }
    }

    /// Its players took it back.
    pub(super) fn gave_up(&mut self, ticket_id: TicketId, now_ms: u64) {
        // They gave up lately, or never.
        if let Some(arrival) = self.arrivals.iter_mut().rev().find(|arrival| arrival.ticket_id == ticket_id) {
            arrival.gave_up_ms = Some(now_ms.saturating_sub(arrival.at_ms));
        }
    }

    /// One JSON object per line, the times from the first of them.
    fn lines(&self, mode: Option<&str>) -> String {
        let of_mode = || self.arrivals.iter().filter(|arrival| mode.is_none_or(|mode| mode == &*arrival.mode));
        let first_ms = of_mode().next().map_or(0, |arrival| arrival.at_ms);
        let mut text = String::new();
        for arrival in of_mode() {
            let properties: serde_json::Value = serde_json::from_str(&arrival.properties).unwrap_or_default();
            let mut line =
                json!({"at_ms": arrival.at_ms - first_ms, "players": arrival.players, "properties": properties});
            if let Some(gave_up_ms) = arrival.gave_up_ms {
                line["gives_up_after_ms"] = gave_up_ms.into();
            }
            text += &line.to_string();
            text.push('\n');
        }
        text
    }
}

/// The latest arrivals of a mode, or of all: one JSON object per line.
#[derive(Message)]
#[rtype(result = "String")]
pub struct DescribeArrivals {
    /// Which mode's.
    pub mode: Option<String>,
}

impl Handler<DescribeArrivals> for MatchmakerActor {
    type Result = String;

    fn handle(&mut self, DescribeArrivals { mode }: DescribeArrivals, _: &mut Self::Context) -> String {
        self.recording.lines(mode.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::matchmaking::Arrival as Replayable;

    fn id(n: u128) -> TicketId {
        TicketId::from_u128(n)
    }

    #[test]
    fn a_recording_reads_as_the_simulator_wants_it() {
        let mut recording = Recording::default();
        recording.came(id(1), "duel".into(), 500, 1, r#"{"skill":7}"#.into());
        recording.came(id(2), "other".into(), 600, 2, "{}".into());
        recording.came(id(3), "duel".into(), 900, 2, "{}".into());
        recording.gave_up(id(3), 1_000);
        let lines = recording.lines(Some("duel"));
        let read: Vec<Replayable> = lines.lines().map(|line| serde_json::from_str(line).expect("an arrival")).collect();
        assert_eq!((read[0].at_ms, read[0].players, &read[0].properties["skill"]), (0, 1, &json!(7)));
        assert_eq!((read[1].at_ms, read[1].players, read[1].gives_up_after_ms), (400, 2, Some(100)));
        assert_eq!((read.len(), recording.lines(None).lines().count()), (2, 3));
    }

    #[test]
    fn a_recording_forgets_the_oldest() {
        let mut recording = Recording::default();
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(QUEUE_RECORDED_BYTES_MAX / 2));
        for n in 0..3 {
            recording.came(id(n), "duel".into(), n as u64, 1, large.clone());
        }
        assert_eq!(recording.arrivals.len(), 1);
        for n in 0..=QUEUE_RECORDED_MAX as u128 {
            recording.came(id(n), "duel".into(), n as u64, 1, "{}".into());
        }
        assert_eq!(recording.arrivals.len(), QUEUE_RECORDED_MAX);
    }
}
