//! Direct messages: stored first, then pushed to the recipient wherever they are, then acknowledged.

use std::sync::Arc;

use super::{clean, muted};
use crate::actors::directory::Member;
use crate::actors::realm::Realm;
use crate::actors::sessions::DmAnswered;
use crate::ids::{MessageId, PlayerId};
use crate::store::rows::ChatRow;
use crate::wire::chat as says;
use crate::wire::time::SentAt;
use crate::wire::{Cid, Dialect, Outbound, Reason, Refusal};

/// A direct message that a session wants to be sent.
pub struct Dm {
    /// To whom.
    pub to: PlayerId,
    /// What.
    pub content: String,
    /// The sender's correlation id.
    pub cid: Option<Cid>,
}

/// Sends a direct message on behalf of a session, which is answered over its outlet and then told so: the readers of
/// the store overtake each other, so it sends the next one when this one is kept.
pub fn send_dm(realm: &Arc<Realm>, from: Member, dm: Dm) {
    let Dm { to, content, cid } = dm;
    let for_answer = realm.clone();
    deliver_dm(realm, from.player, to, &content, move |outcome| {
        match outcome {
            Ok(sent) => from.outlet.push(&sent.frame(cid.as_ref())),
            Err(refusal) => {
                for_answer.meters.refused(refusal.reason.row().code);
                from.outlet.push(&refusal.frame(cid.as_ref(), None));
            }
        }
        // `do_send` on purpose: one at a time, and the session waits for it.
        from.session.do_send(DmAnswered);
    });
}

/// Sends a direct message: stored first, then pushed to the recipient and acknowledged to `done`, which may run on a
/// thread of the store.
pub fn deliver_dm(
    realm: &Arc<Realm>,
    from: PlayerId,
    to: PlayerId,
    content: &str,
    done: impl FnOnce(Result<says::DmSent, Refusal>) + Send + 'static,
) {
    let channel_id = format!("dm:{}:{}", from.min(to), from.max(to));
    if let Some(refusal) = muted(realm, from, &channel_id) {
        return done(Err(refusal));
    }
    let content = match clean(content) {
        Ok(content) => content,
        Err(refusal) => {
            return done(Err(match refusal.reason {
                Reason::ContentEmpty => Reason::DmEmpty.into(),
                Reason::ContentTooLarge => Reason::DmTooLarge.into(),
                _ => refusal,
            }));
        }
    };
    let realm = realm.clone();
    let store = realm.store.clone();
    store.player(
        to,
        Box::new(move |recipient| {
            match recipient {
                Ok(Some(_)) => {}
                Ok(None) => return done(Err(Reason::PlayerNotFound.into())),
                Err(_) => return done(Err(Reason::Busy.into())),
            }
            let store = realm.store.clone();
            store.blocked_between(
                from,
                to,
                Box::new(move |blocked| match blocked {
                    Ok(false) => store_dm(&realm, from, to, channel_id, content, done),
                    Ok(true) => done(Err(Reason::Blocked.into())),
                    Err(_) => done(Err(Reason::Busy.into())),
                }),
            );
        }),
    );
}

fn store_dm(
    realm: &Arc<Realm>,
    from: PlayerId,
    to: PlayerId,
    channel_id: String,
    content: String,
    done: impl FnOnce(Result<says::DmSent, Refusal>) + Send + 'static,
) {
    let (message_id, now_ms) = realm.make(|now_ms, rng| (MessageId::new(now_ms, rng), now_ms));
    let row = ChatRow {
        message_id,
        channel_id: channel_id.clone(),
        seq: 0,
        sender_id: Some(from),
        content: content.clone(),
        sent_unix_ms: now_ms,
        edited_unix_ms: None,
    };
    let for_push = realm.clone();
    realm.store.append_chat(
        row,
        Box::new(move |stored| {
            if stored.is_err() {
                return done(Err(Reason::Busy.into()));
            }
            let message = says::DmMessage {
                channel_id: channel_id.clone(),
                message_id,
                sender_id: from.to_string(),
                content,
                sent_at: SentAt::of(now_ms, Dialect::Latest),
            };
            if let Some(member) = for_push.directory.member(to) {
                member.outlet.push(&message.push());
            }
            done(Ok(says::DmSent { channel_id, message_id }));
        }),
    );
}
