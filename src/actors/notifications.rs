//! Notifications: stored for each player, pushed to those who are online.

use std::sync::Arc;

use serde::Deserialize;

use super::realm::Realm;
use crate::engine::modes::Json;
use crate::ids::{NotificationId, PlayerId};
use crate::store::StoreError;
use crate::store::rows::NotificationRow;
use crate::wire::notices::Notification;
use crate::wire::time::SentAt;
use crate::wire::{Dialect, Outbound};

/// What a game or an operator says: `type`, `subject`, `content`.
#[derive(Deserialize)]
struct Notice {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    content: Option<Json>,
}

/// Notifies on behalf of a game, which waits for nothing: what the store does not take is counted and logged. False when
/// it is no notification.
pub fn notify(realm: &Arc<Realm>, to: &[PlayerId], notification: &Json) -> bool {
    let told = realm.clone();
    notify_and_tell(realm, to, notification, move |stored| {
        if let Err(error) = stored
            && let Some(refused) = told.meters.rows_lost.add(told.clock.now_ms())
        {
            tracing::error!(%error, refused, "notifications could not be stored");
        }
    })
}

/// Stores a notification for each of `to`, pushes it to those online, and tells `done` that the store has all of them or
/// none, on a thread of the store; false when it is not one, and then `done` is told nothing.
pub fn notify_and_tell(
    realm: &Arc<Realm>,
    to: &[PlayerId],
    notification: &Json,
    done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
) -> bool {
    let Ok(notice) = serde_json::from_str::<Notice>(notification.get()) else { return false };
    let content = notice.content.unwrap_or_else(|| serde_json::value::RawValue::NULL.to_owned());
    let rows: Vec<_> = to
        .iter()
        .map(|player| {
            let (id, now_ms) = realm.make(|now_ms, rng| (NotificationId::new(now_ms, rng), now_ms));
            NotificationRow {
                id,
                player_id: *player,
                kind: notice.kind.clone(),
                subject: notice.subject.clone(),
                content: content.get().to_owned(),
                sent_unix_ms: now_ms,
                read: false,
            }
        })
        .collect();
    let pushes: Vec<_> = rows
        .iter()
        .map(|row| {
            let push = Notification {
                id: row.id,
                kind: row.kind.clone(),
                subject: row.subject.clone(),
                content: content.clone(),
                sent_at: SentAt::of(row.sent_unix_ms, Dialect::Latest),
            };
            (row.player_id, push.push())
        })
        .collect();
    let online = realm.clone();
    realm.store.notify(
        rows,
        Box::new(move |stored| {
            for (player, frame) in stored.is_ok().then_some(pushes).into_iter().flatten() {
                if let Some(member) = online.directory.member(player) {
                    member.outlet.push(&frame);
                }
            }
            done(stored);
        }),
    );
    true
}
