//! Chat channels: who hears what, in one order for all. What is said is stored first, then encoded once and pushed to
//! every member, then acknowledged to whoever said it: nobody has read what a crash could take back.
//!
//! The rules are [`Channel`]'s; this shell brings it the store's answers.

use std::collections::HashSet;
use std::sync::Arc;

use actix::prelude::*;

use super::directory::Member;
use super::outlet::Outlet;
use super::realm::Realm;
use crate::engine::chat::{
    ChangeRefused, Channel, ChannelRules, Content, ContentRefused, Door, Editor, Line, Place, SayRefused, Sender,
};
use crate::ids::{ChannelId, MessageId, PlayerId, SessionId};
use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::store::rows::{Changed, ChatChange, ChatRow, KvRow};
use crate::store::{StoreError, ask};
use crate::wire::chat as says;
use crate::wire::time::SentAt;
use crate::wire::{Cid, Dialect, Frame, Outbound, Reason, Refusal};

/// How long a channel that nobody is in any more passes on what was sent to it before everyone knew.
const RETIRED_FOR: std::time::Duration = std::time::Duration::from_secs(1);

/// A player wants to hear the channel; whether they may was decided before.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChatJoin {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
}

/// A session hears no more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChatLeave {
    /// Which.
    pub session: SessionId,
}

/// The door closed on a player: none of their sessions hears more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Expel(
    /// Whom.
    pub PlayerId,
);

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

/// A member changes what they said, or takes it back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChatChanged {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// Which message.
    pub message_id: MessageId,
    /// The new text; `None` takes it back.
    pub content: Option<String>,
}

/// A member is typing.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChatTyping {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
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

/// The store has a message, or has not.
#[derive(Message)]
#[rtype(result = "()")]
struct Kept {
    line: Line,
    sender: Sender,
    reply: Option<Reply>,
    outcome: Result<(), Reason>,
}

/// The store has a change, or has not.
#[derive(Message)]
#[rtype(result = "()")]
struct ChangeKept {
    message_id: MessageId,
    content: Option<Content>,
    reply: Reply,
    outcome: Result<Changed, StoreError>,
}

/// To whom an answer goes.
struct Reply {
    session: SessionId,
    outlet: Arc<Outlet>,
    cid: Option<Cid>,
}

impl Reply {
    fn to(member: &Member, cid: Option<Cid>) -> Self {
        Self { session: member.session_id, outlet: member.outlet.clone(), cid }
    }

    fn refuse(&self, realm: &Realm, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        realm.meters.refused(refusal.reason.row().word);
        self.outlet.push(&refusal.frame(self.cid.as_ref(), None));
    }
}

/// What came before the history did.
enum Early {
    Join(ChatJoin),
    Said(ChatSaid),
}

/// The actor.
pub struct ChannelActor {
    realm: Arc<Realm>,
    name: ChannelId,
    channel: Channel<Arc<Outlet>>,
    /// What waits for the history; `None` once it is there.
    early: Option<Vec<Early>>,
    /// Messages on their way into the store.
    keeping: usize,
    /// Nobody was in it: another one has taken its place, or will.
    retired: bool,
}

impl ChannelActor {
    /// An empty channel; the name was checked by [`may_join`].
    pub fn new(realm: Arc<Realm>, name: ChannelId) -> Self {
        let place = place_of(&realm, &name).unwrap_or_else(|_| Place::Open(name.clone()));
        let rules = ChannelRules {
            history_max: realm.rules.chat_history,
            slow_mode_ms: u64::from(realm.rules.chat_slow_mode_s) * 1_000,
            ..ChannelRules::default()
        };
        let channel = Channel::new(place, rules, realm.clock.now_ms());
        Self { realm, name, channel, early: Some(Vec::new()), keeping: 0, retired: false }
    }

    fn join(&mut self, join: ChatJoin) {
        let ChatJoin { member, cid } = join;
        let history: Vec<_> = self.channel.history().map(|line| message_of(&self.name, line)).collect();
        let history = (!history.is_empty()).then_some(history);
        member.outlet.push(&says::Joined { channel_id: self.name.to_string(), history }.frame(cid.as_ref()));
        self.channel.join(member.session_id, member.player, member.outlet);
    }

    fn say(&mut self, said: ChatSaid, ctx: &mut Context<Self>) {
        let ChatSaid { member, cid, content } = said;
        let sender = Sender::Player(member.player, member.session_id);
        let reply = Reply::to(&member, cid);
        if let Some(refusal) = muted(&self.realm, member.player, &self.name) {
            return reply.refuse(&self.realm, refusal);
        }
        match self.channel.admit(sender, &content, &(), self.realm.clock.now_ms()) {
            Ok(content) => self.keep(sender, content, Some(reply), ctx),
            Err(refused) => reply.refuse(&self.realm, not_said(refused)),
        }
    }

    /// Stores a message; it is said when [`Kept`] comes back.
    fn keep(&mut self, sender: Sender, content: Content, reply: Option<Reply>, ctx: &mut Context<Self>) {
        let (message_id, sent_unix_ms) = self.realm.make(|now_ms, rng| (MessageId::new(now_ms, rng), now_ms));
        let line = Line { message_id, sender: sender.player(), content: content.shared(), sent_unix_ms, edited: false };
        let row = ChatRow {
            message_id,
            channel_id: self.name.to_string(),
            seq: 0,
            sender_id: line.sender,
            content: content.as_str().to_owned(),
            sent_unix_ms,
            edited_unix_ms: None,
        };
        self.keeping += 1;
        let me = ctx.address();
        // `do_send` on purpose: what is on disk must be said, and no more of these come than were taken in.
        let done = move |outcome| me.do_send(Kept { line, sender, reply, outcome });
        let store = self.realm.store.clone();
        match (self.channel.place(), sender.player()) {
            (Place::Dm(lo, hi), Some(player)) => {
                let other = if player == *lo { *hi } else { *lo };
                let then = store.clone();
                let checked = move |blocked| match blocked {
                    Ok(false) => then.append_chat(row, Box::new(move |kept| done(kept.map(drop).map_err(unkept)))),
                    Ok(true) => done(Err(Reason::Blocked)),
                    Err(error) => done(Err(unkept(error))),
                };
                store.blocked_between(player, other, Box::new(checked));
            }
            _ => store.append_chat(row, Box::new(move |kept| done(kept.map(drop).map_err(unkept)))),
        }
    }

    fn push_all(&self, frame: &Frame) {
        for (_, _, outlet) in self.channel.members() {
            outlet.push(frame);
        }
    }

    /// Tells everyone a change; the one who made it finds their `cid` on it.
    fn push_change(&self, change: &impl Outbound, reply: &Reply) {
        let frame = change.push();
        for (session, _, outlet) in self.channel.members() {
            if session != reply.session || reply.cid.is_none() {
                outlet.push(&frame);
            }
        }
        if reply.cid.is_some() {
            reply.outlet.push(&change.frame(reply.cid.as_ref()));
        }
    }

    /// A direct message reaches its other side in the channel or out of it.
    fn tell_absent(&self, line: &Line) {
        let (Place::Dm(lo, hi), Some(sender)) = (self.channel.place(), line.sender) else { return };
        let other = if sender == *lo { *hi } else { *lo };
        if self.channel.members().any(|(_, player, _)| player == other) {
            return;
        }
        if let Some(member) = self.realm.directory.member(other) {
            let message = says::DmMessage {
                channel_id: self.name.to_string(),
                message_id: line.message_id,
                sender_id: sender.to_string(),
                content: line.content.to_string(),
                sent_at: SentAt::of(line.sent_unix_ms, Dialect::Latest),
            };
            member.outlet.push(&message.push());
        }
    }

    /// The channel that has taken this one's place, once it has.
    fn successor(&self) -> Option<Addr<Self>> {
        if self.retired { self.realm.channel(&self.name) } else { None }
    }

    /// Ends a channel that nobody is in. It leaves the directory first and the world a little later: what was sent to
    /// it in between is passed on instead of lost.
    fn retire_if_empty(&mut self, ctx: &mut Context<Self>) {
        let busy = self.channel.members().len() > 0 || self.early.is_some() || self.keeping > 0;
        if !busy && !std::mem::replace(&mut self.retired, true) {
            self.realm.directory.remove_channel(&self.name, &ctx.address());
            ctx.run_later(RETIRED_FOR, |_, ctx| ctx.stop());
        }
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

    fn handle(&mut self, HistoryLoaded(rows): HistoryLoaded, ctx: &mut Context<Self>) {
        self.channel.recall(rows.into_iter().map(|row| Line {
            message_id: row.message_id,
            sender: row.sender_id,
            content: row.content.into(),
            sent_unix_ms: row.sent_unix_ms,
            edited: row.edited_unix_ms.is_some(),
        }));
        for early in self.early.take().unwrap_or_default() {
            match early {
                Early::Join(join) => self.join(join),
                Early::Said(said) => self.say(said, ctx),
            }
        }
        self.retire_if_empty(ctx);
    }
}

impl Handler<ChatJoin> for ChannelActor {
    type Result = ();

    fn handle(&mut self, join: ChatJoin, _: &mut Context<Self>) {
        match (self.successor(), &mut self.early) {
            (Some(successor), _) => successor.do_send(join),
            (None, Some(early)) if early.len() >= MAILBOX_MESSAGES_MAX => {
                Reply::to(&join.member, join.cid).refuse(&self.realm, Reason::Busy);
            }
            (None, Some(early)) => early.push(Early::Join(join)),
            (None, None) => self.join(join),
        }
    }
}

impl Handler<ChatLeave> for ChannelActor {
    type Result = ();

    fn handle(&mut self, ChatLeave { session }: ChatLeave, ctx: &mut Context<Self>) {
        if let Some(successor) = self.successor() {
            return successor.do_send(ChatLeave { session });
        }
        self.channel.leave(session);
        if let Some(early) = &mut self.early {
            early.retain(|early| match early {
                Early::Join(join) => join.member.session_id != session,
                Early::Said(said) => said.member.session_id != session,
            });
        }
        self.retire_if_empty(ctx);
    }
}

impl Handler<Expel> for ChannelActor {
    type Result = ();

    fn handle(&mut self, Expel(player): Expel, ctx: &mut Context<Self>) {
        self.channel.expel(player);
        self.retire_if_empty(ctx);
    }
}

impl Handler<ChatSaid> for ChannelActor {
    type Result = ();

    fn handle(&mut self, said: ChatSaid, ctx: &mut Context<Self>) {
        match (self.successor(), &mut self.early) {
            (Some(successor), _) => successor.do_send(said),
            (None, Some(early)) if early.len() >= MAILBOX_MESSAGES_MAX => {
                Reply::to(&said.member, said.cid).refuse(&self.realm, Reason::Busy);
            }
            (None, Some(early)) => early.push(Early::Said(said)),
            (None, None) => self.say(said, ctx),
        }
    }
}

impl Handler<ServerSays> for ChannelActor {
    type Result = ();

    fn handle(&mut self, ServerSays(content): ServerSays, ctx: &mut Context<Self>) {
        if let Ok(content) = self.channel.admit(Sender::Server, &content, &(), self.realm.clock.now_ms()) {
            self.keep(Sender::Server, content, None, ctx);
        }
    }
}

impl Handler<Kept> for ChannelActor {
    type Result = ();

    fn handle(&mut self, kept: Kept, ctx: &mut Context<Self>) {
        let Kept { line, sender, reply, outcome } = kept;
        self.keeping -= 1;
        match outcome {
            Ok(()) => {
                self.push_all(&message_of(&self.name, &line).push());
                self.tell_absent(&line);
                if let Some(reply) = reply.filter(|reply| reply.cid.is_some()) {
                    let sent = says::Sent { channel_id: self.name.to_string(), message_id: line.message_id };
                    reply.outlet.push(&sent.frame(reply.cid.as_ref()));
                }
                self.channel.said(line);
            }
            Err(reason) => {
                self.channel.withdraw(sender);
                match reply {
                    Some(reply) => reply.refuse(&self.realm, reason),
                    None => tracing::error!(channel = %self.name, "a message of the server could not be stored"),
                }
            }
        }
        self.retire_if_empty(ctx);
    }
}

impl Handler<ChatChanged> for ChannelActor {
    type Result = ();

    fn handle(&mut self, changed: ChatChanged, ctx: &mut Context<Self>) {
        let ChatChanged { member, cid, message_id, content } = changed;
        let reply = Reply::to(&member, cid);
        if content.is_some()
            && let Some(refusal) = muted(&self.realm, member.player, &self.name)
        {
            return reply.refuse(&self.realm, refusal);
        }
        let by = Editor::Author(member.player, member.session_id);
        let now_ms = self.realm.clock.now_ms();
        let admitted = match &content {
            Some(text) => self.channel.admit_edit(by, message_id, text, &(), now_ms).map(Some),
            None => self.channel.admit_deletion(by, message_id, now_ms).map(|()| None),
        };
        let content = match admitted {
            Ok(content) => content,
            Err(ChangeRefused::NotAuthor) => return reply.refuse(&self.realm, Reason::NotAuthorized),
            Err(ChangeRefused::Say(refused)) => return reply.refuse(&self.realm, not_said(refused)),
        };
        let change = ChatChange {
            channel_id: self.name.to_string(),
            message_id,
            only_sender: Some(member.player),
            content: content.as_ref().map(|content| content.as_str().to_owned()),
            unix_ms: self.realm.clock.unix_ms(),
        };
        self.keeping += 1;
        let me = ctx.address();
        let done = move |outcome| me.do_send(ChangeKept { message_id, content, reply, outcome });
        self.realm.store.change_chat(change, Box::new(done));
    }
}

impl Handler<ChangeKept> for ChannelActor {
    type Result = ();

    fn handle(&mut self, kept: ChangeKept, ctx: &mut Context<Self>) {
        let ChangeKept { message_id, content, reply, outcome } = kept;
        self.keeping -= 1;
        let channel_id = self.name.to_string();
        match (outcome, content) {
            (Ok(Changed::Done), Some(content)) => {
                self.channel.edited(message_id, &content);
                let content = content.as_str().to_owned();
                self.push_change(&says::Updated { channel_id, message_id, content }, &reply);
            }
            (Ok(Changed::Done), None) => {
                self.channel.deleted(message_id);
                self.push_change(&says::Deleted { channel_id, message_id }, &reply);
            }
            (Ok(Changed::NotFound), _) => reply.refuse(&self.realm, Reason::MessageNotFound),
            (Ok(Changed::NotSender), _) => reply.refuse(&self.realm, Reason::NotAuthorized),
            (Err(error), _) => reply.refuse(&self.realm, unkept(error)),
        }
        self.retire_if_empty(ctx);
    }
}

impl Handler<ChatTyping> for ChannelActor {
    type Result = ();

    fn handle(&mut self, typing: ChatTyping, _: &mut Context<Self>) {
        let ChatTyping { member, cid } = typing;
        match self.channel.typing(member.player, member.session_id, self.realm.clock.now_ms()) {
            Ok(true) => {
                let frame = says::IsTyping { channel_id: self.name.to_string(), player_id: member.player }.push();
                for (session, _, outlet) in self.channel.members() {
                    if session != member.session_id {
                        outlet.push(&frame);
                    }
                }
            }
            Ok(false) => {}
            Err(refused) => Reply::to(&member, cid).refuse(&self.realm, not_said(refused)),
        }
    }
}

/// A line as the wire shows it.
fn message_of(channel: &str, line: &Line) -> says::Message {
    says::Message {
        channel_id: channel.to_owned(),
        message_id: line.message_id,
        sender_id: line.sender.map_or_else(|| "server".into(), |sender| sender.to_string()),
        content: line.content.to_string(),
        sent_at: SentAt::of(line.sent_unix_ms, Dialect::Latest),
    }
}

/// What a player is told whose message was not said.
fn not_said(refused: SayRefused) -> Refusal {
    match refused {
        SayRefused::NotMember => Reason::NotAuthorized.into(),
        SayRefused::Muted { retry_ms } => Reason::Muted.with("retry_ms", retry_ms),
        SayRefused::SlowMode { retry_ms } => Reason::SlowMode.with("retry_ms", retry_ms),
        SayRefused::Busy { retry_ms } => Reason::RateLimited.with("retry_ms", retry_ms),
        SayRefused::Content(refused) => not_content(refused).into(),
    }
}

fn not_content(refused: ContentRefused) -> Reason {
    match refused {
        ContentRefused::Empty => Reason::ContentEmpty,
        ContentRefused::TooLarge => Reason::ContentTooLarge,
        ContentRefused::Forbidden(_) | ContentRefused::Filtered => Reason::ContentRefused,
    }
}

/// What a player is told whose message the store did not take.
fn unkept(error: StoreError) -> Reason {
    match error {
        StoreError::Busy | StoreError::Closed => Reason::Busy,
        StoreError::Failed(error) => {
            tracing::error!(%error, "a chat message could not be stored");
            Reason::Internal
        }
    }
}

/// Content as it is stored and shown.
fn clean(content: &str) -> Result<String, Reason> {
    Content::new(content).map(|content| content.as_str().to_owned()).map_err(not_content)
}

/// What a channel id stands for on this server.
fn place_of(realm: &Realm, name: &str) -> Result<Place, Reason> {
    let rules = &realm.rules;
    let place = Place::parse(name, |name| rules.chat_open.contains(name), |name| rules.chat_global.contains(name));
    place.map_err(|_| Reason::InvalidChannelId)
}

/// Whether `player` may hear the channel called `name`; the name as channels are keyed.
pub fn may_join(realm: &Realm, player: PlayerId, name: &str) -> Result<ChannelId, Reason> {
    let place = place_of(realm, name)?;
    let door = place.door();
    let may = door.admits(player).unwrap_or_else(|| match &door {
        Door::Roster(match_id) => realm.is_in_match(player, *match_id),
        Door::Members(_) => realm.directory.room(&place.id()).is_some_and(|members| members.contains(&player)),
        Door::Anyone | Door::Two(..) => false,
    });
    if may { Ok(place.id()) } else { Err(Reason::NotAuthorized) }
}

/// Says something in a channel on behalf of the server or a game; false when the channel does not live.
pub fn say(realm: &Realm, channel: &str, content: &str) -> bool {
    let Ok(content) = clean(content) else { return false };
    let channel: ChannelId = channel.into();
    realm.directory.live_channel(&channel).is_some_and(|addr| addr.try_send(ServerSays(content)).is_ok())
}

/// `muted` with the time left, when the player is silenced in that channel.
fn muted(realm: &Realm, player: PlayerId, channel: &str) -> Option<Refusal> {
    let now_ms = realm.clock.unix_ms();
    let until_ms = realm.directory.muted_until(player, channel, now_ms)?;
    Some(Reason::Muted.with("retry_ms", until_ms - now_ms))
}

/// Says something as the server in any channel there could be but a direct one. One that nobody is in keeps it in its history.
pub fn announce(realm: &Arc<Realm>, channel: &str, content: &str) -> Result<(), Reason> {
    let content = clean(content)?;
    let name: ChannelId = channel.into();
    if let Some(addr) = realm.directory.live_channel(&name) {
        return addr.try_send(ServerSays(content)).map_err(|_| Reason::Busy);
    }
    let known = match place_of(realm, channel)?.door() {
        Door::Anyone => true,
        Door::Members(_) => realm.directory.room(&name).is_some(),
        Door::Roster(match_id) => realm.directory.card(match_id).is_some(),
        Door::Two(..) => false,
    };
    if !known {
        return Err(Reason::InvalidChannelId);
    }
    let (message_id, now_ms) = realm.make(|now_ms, rng| (MessageId::new(now_ms, rng), now_ms));
    let row = ChatRow {
        message_id,
        channel_id: channel.into(),
        seq: 0,
        sender_id: None,
        content,
        sent_unix_ms: now_ms,
        edited_unix_ms: None,
    };
    let log = move |stored: Result<u64, _>| {
        if let Err(error) = stored {
            tracing::error!(%message_id, %error, "a chat message could not be stored");
        }
    };
    realm.store.append_chat(row, Box::new(log));
    Ok(())
}

/// The scope under which rooms are kept; a game's scopes are called by its name and cannot hold a `:`.
const ROOMS_SCOPE: &str = "tessera:rooms";

/// Rooms that are kept, at most. Those beyond are forgotten at a restart.
const ROOMS_MAX: u32 = 10_000;

/// Sets who belongs to a room, across restarts; whoever no longer does hears no more of it.
pub async fn set_room(realm: &Arc<Realm>, room: &str, members: HashSet<PlayerId>) -> Result<(), StoreError> {
    let name: ChannelId = room.into();
    let kept = KvRow {
        key: room.into(),
        value: serde_json::to_vec(&members).unwrap_or_default(),
        updated_unix_ms: realm.clock.unix_ms(),
    };
    ask(|done| realm.store.kv_put(ROOMS_SCOPE.into(), kept, done)).await?;
    // First: nobody who is shown out may walk in again.
    let before = realm.directory.room(&name);
    realm.directory.set_room(name.clone(), members.clone());
    if let (Some(before), Some(addr)) = (before, realm.directory.live_channel(&name)) {
        for gone in before.difference(&members) {
            // `do_send` on purpose: an operator's word must not be lost to a busy channel.
            addr.do_send(Expel(*gone));
        }
    }
    Ok(())
}

/// The rooms that were set before this start.
pub async fn remember_rooms(realm: &Arc<Realm>) -> Result<(), StoreError> {
    for row in ask(|done| realm.store.kv_list(ROOMS_SCOPE.into(), String::new(), ROOMS_MAX, done)).await? {
        if let Ok(members) = serde_json::from_slice(&row.value) {
            realm.directory.set_room(row.key.into(), members);
        }
    }
    Ok(())
}

/// Sends a direct message on behalf of a session, which is answered over its outlet.
pub fn send_dm(realm: &Arc<Realm>, from: Member, to: PlayerId, content: &str, cid: Option<Cid>) {
    let for_answer = realm.clone();
    deliver_dm(realm, from.player, to, content, move |outcome| match outcome {
        Ok(sent) => from.outlet.push(&sent.frame(cid.as_ref())),
        Err(refusal) => {
            for_answer.meters.refused(refusal.reason.row().word);
            from.outlet.push(&refusal.frame(cid.as_ref(), None));
        }
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
        Err(Reason::ContentEmpty) => return done(Err(Reason::DmEmpty.into())),
        Err(Reason::ContentTooLarge) => return done(Err(Reason::DmTooLarge.into())),
        Err(reason) => return done(Err(reason.into())),
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
