//! What is said about those who wait: to themselves every two seconds, and to whoever asks.

use actix::prelude::*;

use super::MatchmakerActor;
use crate::actors::realm::Realm;
use crate::engine::matchmaking::{Pool, Ticket, TicketStatus};
use crate::engine::sessions::SlotKind;
use crate::ids::{PlayerId, TicketId};
use crate::limits::{QUEUE_ROWS_MAX, QUEUE_STATUSES_AT_ONCE_MAX};
use crate::wire::Outbound;
use crate::wire::matchmaking as says;

/// The queue for an operator.
#[derive(Message)]
#[rtype(result = "String")]
pub struct DescribeQueue;

/// One ticket, for its owner or an operator: JSON text, `None` when it is not waiting.
#[derive(Message)]
#[rtype(result = "Option<(Vec<PlayerId>, String)>")]
pub struct DescribeTicket(
    /// Which.
    pub TicketId,
);

impl MatchmakerActor {
    /// Tells everybody who waits how they stand. Of more than can be told at once, others are told the next time.
    pub(super) fn tell_statuses(&mut self) {
        let now_ms = self.realm.clock.now_ms();
        let waiting: usize = self.pools.values().map(Pool::len).sum();
        if waiting <= QUEUE_STATUSES_AT_ONCE_MAX || self.told_up_to >= waiting {
            self.told_up_to = 0;
        }
        let all = self.pools.values().flat_map(|pool| pool.statuses(now_ms).map(move |status| (pool, status)));
        for (pool, status) in all.skip(self.told_up_to).take(QUEUE_STATUSES_AT_ONCE_MAX) {
            let Some(ticket) = pool.get(status.ticket_id) else { continue };
            let frame = says::Status {
                ticket_id: status.ticket_id,
                position: status.position as u32,
                estimate_ms: status.estimate_ms,
                waited_ms: status.waited_ms,
                why_not: pool.why_not(status.ticket_id).map(|why| why.code().into()),
            };
            let frame = frame.push();
            for member in ticket.players.iter().filter_map(|player| self.realm.directory.member(*player)) {
                member.outlet.push(&frame);
            }
        }
        self.told_up_to += QUEUE_STATUSES_AT_ONCE_MAX;
    }

    fn describe(mode: &str, pool: &Pool, status: &TicketStatus, now_ms: u64) -> Option<serde_json::Value> {
        let ticket = pool.get(status.ticket_id)?;
        let why = pool.why_not(status.ticket_id);
        Some(serde_json::json!({
            "ticket_id": status.ticket_id,
            "mode": mode,
            "status": "pending",
            "players": ticket.players,
            "position": status.position,
            "waited_ms": status.waited_ms,
            "estimate_ms": status.estimate_ms,
            "expires_in_ms": status.expires_ms.map(|at_ms| at_ms.saturating_sub(now_ms)),
            "frozen": status.frozen,
            "players_needed": pool.players_needed(status.ticket_id),
            "why": why.as_ref().map(|why| serde_json::json!({"code": why.code(), "message": why.to_string()})),
        }))
    }
}

/// A ticket that waits no more has no status that anybody should still see.
pub(super) fn clear_status(realm: &Realm, ticket: &Ticket) {
    for member in ticket.players.iter().filter_map(|player| realm.directory.member(*player)) {
        member.outlet.clear_slot(SlotKind::MatchmakerStatus, ticket.ticket_id.as_u128());
    }
}

impl Handler<DescribeQueue> for MatchmakerActor {
    type Result = String;

    fn handle(&mut self, _: DescribeQueue, _: &mut Self::Context) -> String {
        let now_ms = self.realm.clock.now_ms();
        let modes: serde_json::Map<_, _> = self
            .pools
            .iter()
            .map(|(mode, pool)| {
                let oldest = pool.statuses(now_ms).take(QUEUE_ROWS_MAX);
                let tickets: Vec<_> = oldest.filter_map(|status| Self::describe(mode, pool, &status, now_ms)).collect();
                (mode.to_string(), serde_json::json!({"tickets": tickets, "waiting": pool.len()}))
            })
            .collect();
        serde_json::json!({"modes": modes, "wait": self.realm.meters.queue_wait.summary()}).to_string()
    }
}

impl Handler<DescribeTicket> for MatchmakerActor {
    type Result = Option<(Vec<PlayerId>, String)>;

    fn handle(&mut self, DescribeTicket(ticket_id): DescribeTicket, _: &mut Self::Context) -> Self::Result {
        let (mode, pool) = self.pools.get_key_value(self.tickets.get(&ticket_id)?)?;
        let players = pool.get(ticket_id)?.players.clone();
        let now_ms = self.realm.clock.now_ms();
        let status = pool.status(ticket_id, now_ms)?;
        Some((players, Self::describe(mode, pool, &status, now_ms)?.to_string()))
    }
}
