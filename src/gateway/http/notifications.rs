//! `/api/v1/notifications`: the caller's own, and nobody else's. Somebody else's looks like one that never was.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use serde::Serialize;
use serde_json::Value;

use super::caller::Caller;
use super::path;
use super::query::Params;
use super::reply::{Answer, Refused, ok, success};
use super::state::HttpState;
use crate::ids::NotificationId;
use crate::store::ask;
use crate::store::rows::NotificationRow;
use crate::wire::error::Reason;

type State = web::Data<HttpState>;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/notifications", [(Method::GET, web::to(list))]);
    path(cfg, "/notifications/{id}/read", [(Method::PUT, web::to(read))]);
    path(cfg, "/notifications/{id}", [(Method::DELETE, web::to(delete))]);
}

#[derive(Serialize)]
struct Notification<'a> {
    id: NotificationId,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    content: Value,
    sent_at: u64,
    read: bool,
}

impl<'a> Notification<'a> {
    fn new(row: &'a NotificationRow) -> Self {
        Self {
            id: row.id,
            kind: &row.kind,
            subject: &row.subject,
            // What was stored as JSON is shown as JSON; plain text as text.
            content: serde_json::from_str(&row.content).unwrap_or_else(|_| row.content.as_str().into()),
            sent_at: row.sent_unix_ms,
            read: row.read,
        }
    }
}

async fn list(state: State, req: HttpRequest, caller: Caller) -> Answer {
    let params = Params::of(&req);
    let (read, limit) = (params.flag("read")?, params.limit()?);
    let rows = ask(|done| state.store.notifications(caller.id(), read, limit, done)).await?;
    let notifications: Vec<_> = rows.iter().map(Notification::new).collect();
    ok(&serde_json::json!({"notifications": notifications}))
}

async fn read(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let id = read_id(&id)?;
    match ask(|done| state.store.read_notification(caller.id(), id, done)).await? {
        Some(row) => ok(&Notification::new(&row)),
        None => Err(Reason::NotificationNotFound.into()),
    }
}

async fn delete(state: State, id: web::Path<String>, caller: Caller) -> Answer {
    let id = read_id(&id)?;
    match ask(|done| state.store.delete_notification(caller.id(), id, done)).await? {
        true => success(),
        false => Err(Reason::NotificationNotFound.into()),
    }
}

fn read_id(text: &str) -> Result<NotificationId, Refused> {
    text.parse().map_err(|_| Reason::NotificationNotFound.into())
}
