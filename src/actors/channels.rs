//! Chat channels: who hears what, in one order for all. A message is encoded once, pushed at once, and acknowledged to
//! its sender when the store has it.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::directory::Member;
use super::realm::Realm;
use crate::ids::{ChannelId, MatchId, MessageId, PlayerId};
use crate::store::rows::ChatRow;
use crate::wire::chat as says;
use crate::wire::time::SentAt;
use crate::wire::{Cid, Dialect, Frame, Outbound, Reason, Refusal};

/// Bytes of one message.
pub const CONTENT_BYTES_MAX: usize = 2_000;

/// A player wants to hear the channel; whether they may was decided before.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChatJoin {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
}

/// A player hears no more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChatLeave {
    /// Who.
    pub player: PlayerId,
}

/// A member says something.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChatSaid {
    /// Who.
    pub member: Member,
    /// Their correlation id: without one there is no `chat.sent`.
    pub cid: Option<Cid>,
    /// What.
    pub content: String,
}

/// The server, a game or an operator says something.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ServerSays(
    /// What.
    pub String,
);

/// The store told what was said before.
#[derive(Message)]
#[rtype(result = "()")]
struct HistoryLoaded(Vec<ChatRow>);

/// The actor.
pub struct ChannelActor {
    realm: Arc<Realm>,
    name: ChannelId,
    members: Vec<Member>,
    history: VecDeque<says::Message>,
    /// Joins that wait for the history; `None` once it is there.
    waiting: Option<Vec<ChatJoin>>,
}

impl ChannelActor {
    /// An empty channel.
    pub fn new(realm: Arc<Realm>, name: ChannelId) -> Self {
        Self { realm, name, members: Vec::new(), history: VecDeque::new(), waiting: Some(Vec::new()) }
    }

    fn join(&mut self, join: ChatJoin) {
        let ChatJoin { member, cid } = join;
        let history = (!self.history.is_empty()).then(|| self.history.iter().cloned().collect());
        member.outlet.push(&says::Joined { channel_id: self.name.to_string(), history }.frame(cid.as_ref()));
        match self.members.iter_mut().find(|known| known.player == member.player) {
            Some(known) => *known = member,
            None => self.members.push(member),
        }
    }

    fn push_all(&self, frame: &Frame) {
        for member in &self.members {
            member.outlet.push(frame);
        }
    }

    fn say(&mut self, sender: Option<PlayerId>, content: String, sent: impl FnOnce(MessageId) + Send + 'static) {
        let (message_id, now_ms) = self.realm.make(|now_ms, rng| (MessageId::new(now_ms, rng), now_ms));
        let message = says::Message {
            channel_id: self.name.to_string(),
            message_id,
            sender_id: sender.map_or_else(|| "server".into(), |sender| sender.to_string()),
            content: content.clone(),
            sent_at: SentAt::of(now_ms, Dialect::Latest),
        };
        self.push_all(&message.push());
        self.history.push_back(message);
        while self.history.len() > self.realm.rules.chat_history {
            self.history.pop_front();
        }
        let row = ChatRow {
            message_id,
            channel_id: self.name.to_string(),
            seq: 0,
            sender_id: sender,
            content,
            sent_unix_ms: now_ms,
            edited_unix_ms: None,
        };
        self.realm.store.append_chat(
            row,
            Box::new(move |stored| match stored {
                Ok(_) => sent(message_id),
                Err(error) => tracing::error!(%message_id, %error, "a chat message could not be stored"),
            }),
        );
    }
}

impl Actor for ChannelActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let me = ctx.address();
        let limit = self.realm.rules.chat_history as u32;
        self.realm.store.chat_history(
            self.name.to_string(),
            limit,
            // Once per channel.
            Box::new(move |lines| me.do_send(HistoryLoaded(lines.unwrap_or_default()))),
        );
    }
}

impl Handler<HistoryLoaded> for ChannelActor {
    type Result = ();

    fn handle(&mut self, HistoryLoaded(lines): HistoryLoaded, _: &mut Context<Self>) {
        let said_meanwhile = std::mem::take(&mut self.history);
        self.history = lines.iter().map(message_of).collect();
        for message in said_meanwhile {
            if self.history.iter().all(|known| known.message_id != message.message_id) {
                self.history.push_back(message);
            }
        }
        for join in self.waiting.take().unwrap_or_default() {
            self.join(join);
        }
    }
}

impl Handler<ChatJoin> for ChannelActor {
    type Result = ();

    fn handle(&mut self, join: ChatJoin, _: &mut Context<Self>) {
        match &mut self.waiting {
            Some(waiting) => waiting.push(join),
            None => self.join(join),
        }
    }
}

impl Handler<ChatLeave> for ChannelActor {
    type Result = ();

    fn handle(&mut self, leave: ChatLeave, ctx: &mut Context<Self>) {
        self.members.retain(|member| member.player != leave.player);
        if let Some(waiting) = &mut self.waiting {
            waiting.retain(|join| join.member.player != leave.player);
        }
        if self.members.is_empty() && self.waiting.is_none() {
            self.realm.directory.remove_channel(&self.name, &ctx.address());
            ctx.stop();
        }
    }
}

impl Handler<ChatSaid> for ChannelActor {
    type Result = ();

    fn handle(&mut self, said: ChatSaid, _: &mut Context<Self>) {
        let ChatSaid { member, cid, content } = said;
        match clean(&content) {
            Ok(content) => {
                let (outlet, channel_id) = (member.outlet.clone(), self.name.to_string());
                self.say(Some(member.player), content, move |message_id| {
                    if let Some(cid) = cid {
                        outlet.push(&says::Sent { channel_id, message_id }.frame(Some(&cid)));
                    }
                });
            }
            Err(reason) => {
                self.realm.meters.refused(reason.row().word);
                member.outlet.push(&Refusal::from(reason).frame(cid.as_ref(), None));
            }
        }
    }
}

impl Handler<ServerSays> for ChannelActor {
    type Result = ();

    fn handle(&mut self, ServerSays(content): ServerSays, _: &mut Context<Self>) {
        self.say(None, content, |_| {});
    }
}

/// A stored line as the wire shows it.
fn message_of(row: &ChatRow) -> says::Message {
    says::Message {
        channel_id: row.channel_id.clone(),
        message_id: row.message_id,
        sender_id: row.sender_id.map_or_else(|| "server".into(), |sender| sender.to_string()),
        content: row.content.clone(),
        sent_at: SentAt::of(row.sent_unix_ms, Dialect::Latest),
    }
}

/// Content as it is stored and shown: NFC, neither empty nor too large, without control or bidi characters.
fn clean(content: &str) -> Result<String, Reason> {
    let content: String = content.nfc().collect();
    if content.trim().is_empty() {
        return Err(Reason::ContentEmpty);
    }
    if content.len() > CONTENT_BYTES_MAX {
        return Err(Reason::ContentTooLarge);
    }
    let deceives = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if content.chars().any(deceives) { Err(Reason::ContentRefused) } else { Ok(content) }
}

/// Whether `player` may hear the channel called `name`; the name as channels are keyed.
pub fn may_join(realm: &Realm, player: PlayerId, name: &str) -> Result<ChannelId, Reason> {
    if name.is_empty() || name.len() > 128 {
        return Err(Reason::InvalidChannelId);
    }
    let channel: ChannelId = name.into();
    let may = match name.split_once(':') {
        None => return if realm.rules.chat_open.contains(name) { Ok(channel) } else { Err(Reason::InvalidChannelId) },
        Some(("global", rest)) if realm.rules.chat_global.contains(rest) => true,
        Some(("match", id)) => {
            let match_id: MatchId = id.parse().map_err(|_| Reason::InvalidChannelId)?;
            realm.is_in_match(player, match_id)
        }
        Some(("room", rest)) if !rest.is_empty() => {
            realm.directory.room(&channel).is_some_and(|members| members.contains(&player))
        }
        Some(("dm", pair)) => {
            let (lo, hi) = pair.split_once(':').ok_or(Reason::InvalidChannelId)?;
            let ids = |id: &str| id.parse::<PlayerId>().map_err(|_| Reason::InvalidChannelId);
            let (lo, hi) = (ids(lo)?, ids(hi)?);
            if lo >= hi {
                return Err(Reason::InvalidChannelId);
            }
            player == lo || player == hi
        }
        Some(_) => return Err(Reason::InvalidChannelId),
    };
    if may { Ok(channel) } else { Err(Reason::NotAuthorized) }
}

/// Says something in a channel on behalf of the server or a game; false when the channel does not live.
pub fn say(realm: &Realm, channel: &str, content: &str) -> bool {
    let Ok(content) = clean(content) else { return false };
    let channel: ChannelId = channel.into();
    realm.directory.live_channel(&channel).is_some_and(|addr| addr.try_send(ServerSays(content)).is_ok())
}

/// Sends a direct message: stored first, then pushed to the recipient and acknowledged.
pub fn send_dm(realm: &Arc<Realm>, from: Member, to: PlayerId, content: &str, cid: Option<Cid>) {
    let refuse = {
        let (realm, outlet, cid) = (realm.clone(), from.outlet.clone(), cid.clone());
        move |reason: Reason| {
            realm.meters.refused(reason.row().word);
            outlet.push(&Refusal::from(reason).frame(cid.as_ref(), None));
        }
    };
    let content = match clean(content) {
        Ok(content) => content,
        Err(Reason::ContentEmpty) => return refuse(Reason::DmEmpty),
        Err(Reason::ContentTooLarge) => return refuse(Reason::DmTooLarge),
        Err(reason) => return refuse(reason),
    };
    let (lo, hi) = if from.player < to { (from.player, to) } else { (to, from.player) };
    let channel_id = format!("dm:{lo}:{hi}");
    let realm = realm.clone();
    let store = realm.store.clone();
    store.player(
        to,
        Box::new(move |recipient| {
            match recipient {
                Ok(Some(_)) => {}
                Ok(None) => return refuse(Reason::PlayerNotFound),
                Err(_) => return refuse(Reason::Busy),
            }
            let store = realm.store.clone();
            store.blocked_between(
                from.player,
                to,
                Box::new(move |blocked| match blocked {
                    Ok(false) => store_dm(&realm, from, to, channel_id, content, cid, refuse),
                    Ok(true) => refuse(Reason::Blocked),
                    Err(_) => refuse(Reason::Busy),
                }),
            );
        }),
    );
}

fn store_dm(
    realm: &Arc<Realm>,
    from: Member,
    to: PlayerId,
    channel_id: String,
    content: String,
    cid: Option<Cid>,
    refuse: impl FnOnce(Reason) + Send + 'static,
) {
    let (message_id, now_ms) = realm.make(|now_ms, rng| (MessageId::new(now_ms, rng), now_ms));
    let row = ChatRow {
        message_id,
        channel_id: channel_id.clone(),
        seq: 0,
        sender_id: Some(from.player),
        content: content.clone(),
        sent_unix_ms: now_ms,
        edited_unix_ms: None,
    };
    let for_push = realm.clone();
    realm.store.append_chat(
        row,
        Box::new(move |stored| {
            if stored.is_err() {
                return refuse(Reason::Busy);
            }
            let message = says::DmMessage {
                channel_id: channel_id.clone(),
                message_id,
                sender_id: from.player.to_string(),
                content,
                sent_at: SentAt::of(now_ms, Dialect::Latest),
            };
            if let Some(member) = for_push.directory.member(to) {
                member.outlet.push(&message.push());
            }
            from.outlet.push(&says::DmSent { channel_id, message_id }.frame(cid.as_ref()));
        }),
    );
}
