//! What lives, over REST: open matches, tickets, direct messages. The same rules and the same actors as over a socket;
//! what becomes of a ticket is told over the socket.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::body::Fields;
use super::caller::Caller;
use super::path;
use super::query::Params;
use super::reply::{Answer, Refused, ok, success};
use super::state::HttpState;
use crate::actors::channels::{Letter, send_dm as send_letter};
use crate::actors::directory::Member;
use crate::actors::lobby::open_matches;
use crate::actors::matchmaker::{DescribeTicket, Queue, Withdraw, may_take_along};
use crate::actors::realm::Realm;
use crate::ids::{PlayerId, TicketId};
use crate::limits::{SOCKET_LOOK_MS, SOCKET_WAIT_MS};
use crate::wire::error::Reason;
use crate::wire::{ClientMsg, decode, matches};

type State = web::Data<HttpState>;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/matches/live", [(Method::GET, web::to(live))]);
    path(cfg, "/matchmaker", [(Method::POST, web::to(queue))]);
    path(
        cfg,
        "/matchmaker/{ticket_id}",
        [(Method::GET, web::get().to(ticket)), (Method::DELETE, web::delete().to(withdraw))],
    );
    path(cfg, "/dm", [(Method::POST, web::to(send_dm))]);
    path(cfg, "/rpc/{method}", [(Method::POST, web::to(rpc))]);
}

async fn live(state: State, req: HttpRequest, _caller: Caller) -> Answer {
    let params = Params::of(&req);
    let filter = matches::List {
        mode: params.mode()?,
        has_capacity: params.flag("has_capacity").map_err(|_| Reason::InvalidCapacityFilter)?,
        joinable: params.flag("joinable").map_err(|_| Reason::InvalidJoinableFilter)?,
    };
    ok(&open_matches(&state.running()?.realm, &filter))
}

/// The body read as the payload of a message of that type: one set of rules for both ways in.
async fn message(kind: &str, payload: Payload) -> Result<ClientMsg, Refused> {
    let fields = Fields::read_or_empty(payload).await?.into_json()?;
    let text = format!(r#"{{"type":"{kind}","payload":{fields}}}"#);
    decode(&text).map(|request| request.msg).map_err(|refused| refused.refusal.into())
}

async fn queue(state: State, caller: Caller, payload: Payload) -> Answer {
    let ClientMsg::MatchmakerAdd(add) = message("matchmaker.add", payload).await? else {
        return Err(Reason::Internal.into());
    };
    let realm = &state.running()?.realm;
    // A match that is found is told over the socket, so a player without one cannot be matched.
    let Some(member) = connected(realm, caller.id()).await else {
        return Err(Reason::NoSocket.with("player_id", caller.id().to_string()).into());
    };
    let (may, told) = oneshot::channel();
    may_take_along(realm, member.player, &add.party, move |along| drop(may.send(along)));
    told.await.map_err(|_| Reason::Busy)??;
    let (answer, answered) = oneshot::channel();
    realm.matchmaker().try_send(Queue { member, add, answer }).map_err(|_| Reason::Busy)?;
    ok(&answered.await.map_err(|_| Reason::Busy)??)
}

/// The player once their connection is there: clients open it and ask for a match in one breath, and this request may
/// be the first to arrive.
async fn connected(realm: &Realm, player: PlayerId) -> Option<Member> {
    for waited_ms in (0..=SOCKET_WAIT_MS).step_by(SOCKET_LOOK_MS as usize) {
        if waited_ms > 0 {
            tokio::time::sleep(Duration::from_millis(SOCKET_LOOK_MS)).await;
        }
        if realm.directory.is_connected(player) {
            return realm.directory.member(player);
        }
    }
    None
}

fn ticket_id(text: &str) -> Result<TicketId, Refused> {
    text.parse().map_err(|_| Reason::TicketNotFound.into())
}

async fn ticket(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let id = ticket_id(&id)?;
    let asked = state.running()?.realm.matchmaker().send(DescribeTicket(id)).await;
    let Some((players, text)) = asked.map_err(|_| Reason::Busy)? else { return Err(Reason::TicketNotFound.into()) };
    if !players.contains(&caller.id()) {
        return Err(Reason::NotOwner.into());
    }
    let mut shown: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Value::Object(members) = &mut shown {
        // Public clients read the ticket's name as `id` here.
        members.insert("id".into(), json!(id));
    }
    ok(&shown)
}

async fn withdraw(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let ticket_id = ticket_id(&id)?;
    let (answer, answered) = oneshot::channel();
    let withdraw = Withdraw { player: caller.id(), ticket_id, answer };
    state.running()?.realm.matchmaker().try_send(withdraw).map_err(|_| Reason::Busy)?;
    answered.await.map_err(|_| Reason::Busy)??;
    success()
}

async fn send_dm(state: State, caller: Caller, payload: Payload) -> Answer {
    let ClientMsg::DmSend(dm) = message("dm.send", payload).await? else {
        return Err(Reason::Internal.into());
    };
    let (answer, answered) = oneshot::channel();
    let sent = Box::new(move |outcome| drop(answer.send(outcome)));
    let letter = Letter { from: caller.id(), session: None, content: dm.content, sent };
    send_letter(&state.running()?.realm, dm.recipient_id, letter);
    let sent = answered.await.map_err(|_| Reason::Busy)??;
    ok(&json!({"success": true, "channel_id": sent.channel_id, "message_id": sent.message_id}))
}

async fn rpc(_caller: Caller) -> Answer {
    Err(Reason::NotSupported.into())
}
