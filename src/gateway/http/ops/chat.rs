//! What operators do about a message: change it, or take it back, whoever said it and wherever.

use actix_web::HttpRequest;
use actix_web::web::{self, Payload};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::deeds::deed;
use crate::actors::channels;
use crate::gateway::http::body::Fields;
use crate::gateway::http::reply::{Answer, success};
use crate::gateway::http::state::HttpState;
use crate::wire::error::Reason;

type State = web::Data<HttpState>;
/// A channel and a message in it.
type Line = web::Path<(String, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    content: String,
}

/// Puts other words in a message's place; the members of its channel are told as if its author had.
pub(super) async fn edit(state: State, req: HttpRequest, line: Line, payload: Payload) -> Answer {
    let edit: Edit = Fields::read(payload).await?.typed()?;
    let (channel, message) = line.into_inner();
    let details = json!({"message_id": message, "content": edit.content});
    deed(&state, &req, "chat.edit", &channel, &details, change(&state, &channel, &message, Some(edit.content))).await
}

/// Takes a message back.
pub(super) async fn delete(state: State, req: HttpRequest, line: Line) -> Answer {
    let (channel, message) = line.into_inner();
    let details = json!({"message_id": message});
    deed(&state, &req, "chat.delete", &channel, &details, change(&state, &channel, &message, None)).await
}

async fn change(state: &State, channel: &str, message: &str, content: Option<String>) -> Answer {
    let message_id = message.parse().map_err(|_| Reason::MessageNotFound)?;
    let (tell, told) = oneshot::channel();
    let done = Box::new(move |outcome| drop(tell.send(outcome)));
    channels::moderate(&state.running()?.realm, channel, message_id, content, done)?;
    told.await.map_err(|_| Reason::Busy)??;
    success()
}
