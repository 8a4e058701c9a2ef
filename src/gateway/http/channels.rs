//! `/api/v1/chat/:channel_id/history` and `/api/v1/dm/:player_id/history`: what was said, for those who may hear it.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use serde::Serialize;

use super::caller::Caller;
use super::path;
use super::query::Params;
use super::records::took_part;
use super::reply::{Answer, Refused, ok};
use super::state::HttpState;
use crate::actors::channels::is_channel_id;
use crate::ids::{MessageId, PlayerId};
use crate::store::ask;
use crate::store::rows::ChatRow;
use crate::wire::error::Reason;

type State = web::Data<HttpState>;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/chat/{channel_id}/history", [(Method::GET, web::to(channel_history))]);
    path(cfg, "/dm/{player_id}/history", [(Method::GET, web::to(dm_history))]);
}

/// One line, under the names that the history and the live message have for it. `sender_id` is `server` for the
/// server's own lines; `sent_at` is unix milliseconds.
#[derive(Serialize)]
struct Line<'a> {
    id: MessageId,
    message_id: MessageId,
    channel_id: &'a str,
    sender_id: Sender,
    content: &'a str,
    sent_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Sender {
    Player(PlayerId),
    Server(&'static str),
}

fn lines(rows: &[ChatRow]) -> Vec<Line<'_>> {
    rows.iter()
        .map(|row| Line {
            id: row.message_id,
            message_id: row.message_id,
            channel_id: &row.channel_id,
            sender_id: row.sender_id.map_or(Sender::Server("server"), Sender::Player),
            content: &row.content,
            sent_at: row.sent_unix_ms,
            edited_at: row.edited_unix_ms,
        })
        .collect()
}

async fn channel_history(state: State, req: HttpRequest, channel_id: web::Path<String>, caller: Caller) -> Answer {
    let limit = Params::of(&req).limit()?;
    let channel_id = channel_id.into_inner();
    if !may_read(&state, caller.id(), &channel_id).await? {
        let possible = state.running.as_ref().is_none_or(|running| is_channel_id(&running.realm, &channel_id));
        return Err(if possible { Reason::NotLetIn } else { Reason::InvalidChannelId }.into());
    }
    let rows = ask(|done| state.store.chat_history(channel_id, limit, done)).await?;
    ok(&serde_json::json!({"messages": lines(&rows)}))
}

/// A direct channel belongs to its two players, a match's to whoever has or had a seat in it, while it runs as when it is
/// over, and to spectators while they watch (nobody keeps who watched); a public one to everybody, and any other to its members of the moment. A channel that does not exist is nobody's.
async fn may_read(state: &State, player: PlayerId, channel_id: &str) -> Result<bool, Refused> {
    if let Some(pair) = channel_id.strip_prefix("dm:") {
        // Who writes to themselves is both of the two.
        let mut ids = pair.split(':').filter_map(|id| id.parse().ok());
        return Ok(ids.any(|other| dm_channel(player, other) == channel_id));
    }
    if state.rules.public_channels.iter().any(|public| public == channel_id) {
        return Ok(true);
    }
    if let Some(Ok(match_id)) = channel_id.strip_prefix("match:").map(str::parse)
        && (state.live.was_in_match(player, match_id).await || took_part(state, match_id, player).await?)
    {
        return Ok(true);
    }
    Ok(state.live.is_member(player, channel_id).await)
}

async fn dm_history(state: State, req: HttpRequest, with: web::Path<String>, caller: Caller) -> Answer {
    let limit = Params::of(&req).limit()?;
    let with: PlayerId = with.parse().map_err(|_| Reason::PlayerNotFound)?;
    let channel_id = dm_channel(caller.id(), with);
    let rows = ask(|done| state.store.chat_history(channel_id.clone(), limit, done)).await?;
    ok(&serde_json::json!({"messages": lines(&rows), "channel_id": channel_id}))
}

/// `dm:<lo>:<hi>`: the same channel whoever asks.
fn dm_channel(a: PlayerId, b: PlayerId) -> String {
    format!("dm:{}:{}", a.min(b), a.max(b))
}
