//! The queue: tickets in, matches out.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::decode::Fields;
use super::error::{Reason, Refusal};
use super::frame::{Cid, Lane, Outbound, SlotKind};
use super::messages::Inbound;
use crate::ids::{PlayerId, TicketId};
use crate::limits::{PARTY_MAX, PROPERTIES_BYTES_MAX};

/// `matchmaker.add`: a ticket.
#[derive(Debug, Clone, Serialize)]
pub struct Add {
    /// For which mode; `default` unless said.
    pub mode: String,
    /// What the mode's rules look at, such as `{"skill": 1200, "region": "eu"}`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
    /// Who comes along; may name the sender.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub party: Vec<PlayerId>,
}

impl Inbound for Add {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        let mode = fields.opt_text("mode")?.unwrap_or_else(|| "default".into());
        let properties = fields.opt_object("properties", PROPERTIES_BYTES_MAX, "an object of at most 4096 bytes")?;
        let properties = properties.map_or(Ok(Map::new()), |object| serde_json::from_str(object.get()));
        let properties = properties.map_err(|_| Refusal::invalid("properties", "an object"))?;
        let party = fields.opt("party").map(|party| -> Result<Vec<PlayerId>, Refusal> {
            let names: Vec<String> = serde_json::from_str(party)
                .ok()
                .filter(|names: &Vec<String>| names.len() <= PARTY_MAX)
                .ok_or_else(|| Refusal::invalid("party", "a list of at most 64 player ids"))?;
            let ids: Result<_, _> = names.iter().map(|name| name.parse()).collect();
            ids.map_err(|_| Reason::PartyMemberUnavailable.into())
        });
        Ok(Self { mode, properties, party: party.transpose()?.unwrap_or_default() })
    }
}

/// `matchmaker.remove`: withdraws a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remove {
    /// Which.
    pub ticket_id: TicketId,
}

impl Inbound for Remove {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        Ok(Self { ticket_id: fields.id("ticket_id", Reason::TicketNotFound)? })
    }
}

/// `matchmaker.queued`: the ticket, new or the one that was open already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// Its id.
    pub ticket_id: TicketId,
    /// `pending`.
    pub status: Cow<'static, str>,
    /// How many players a match of the mode takes; `null` where that is open.
    pub players_needed: Option<u32>,
    /// Whether it was open before: the wait goes on, it does not start anew.
    pub already_queued: bool,
}

impl Queued {
    /// A pending ticket.
    pub fn new(ticket_id: TicketId, players_needed: Option<u32>, already_queued: bool) -> Self {
        Self { ticket_id, status: "pending".into(), players_needed, already_queued }
    }
}

impl Outbound for Queued {
    const KIND: &'static str = "matchmaker.queued";
}

/// `matchmaker.removed`: the reply to a withdrawal, and a push when being seated withdraws a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Always true.
    pub success: bool,
    /// Which ticket, said in pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_id: Option<TicketId>,
}

impl Removed {
    /// The reply.
    pub fn reply() -> Self {
        Self { success: true, ticket_id: None }
    }

    /// The push.
    pub fn of(ticket_id: TicketId) -> Self {
        Self { success: true, ticket_id: Some(ticket_id) }
    }
}

impl Outbound for Removed {
    const KIND: &'static str = "matchmaker.removed";
}

/// A ticket as a snapshot shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its id.
    pub ticket_id: TicketId,
    /// Its mode.
    pub mode: String,
    /// `pending`.
    pub status: Cow<'static, str>,
    /// Milliseconds since it was added.
    pub waited_ms: u64,
}

/// `matchmaker.status`: how the wait goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which ticket.
    pub ticket_id: TicketId,
    /// Its place, 1 first.
    pub position: u32,
    /// How much longer it may take, in milliseconds; `null` where nobody can say.
    pub estimate_ms: Option<u64>,
    /// Milliseconds since it was added.
    pub waited_ms: u64,
    /// Why it is not matched yet: `too_few`, `window`, `region`, `party_size`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<Cow<'static, str>>,
}

impl Outbound for Status {
    const KIND: &'static str = "matchmaker.status";
    fn lane(&self) -> Lane {
        Lane::Latest(SlotKind::MatchmakerStatus, self.ticket_id.as_u128())
    }
}

/// `match.matchmaker_expired`: a ticket waited too long and is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Which.
    pub ticket_id: TicketId,
}

impl Outbound for Expired {
    const KIND: &'static str = "match.matchmaker_expired";
}

/// `match.matchmaker_failed`: a group was found and its match could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// `match_start_failed` or `no_game_module`.
    pub reason: Cow<'static, str>,
}

impl Outbound for Failed {
    const KIND: &'static str = "match.matchmaker_failed";
}
