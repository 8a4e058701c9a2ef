//! Chat channels: who hears what, in one order for all. What is said is stored first, then encoded once and pushed to
//! every member, then acknowledged to whoever said it: nobody has read what a crash could take back.
//!
//! The rules are [`Channel`]'s; this shell brings it the store's answers.

mod direct;
mod rooms;

use std::sync::Arc;

use actix::prelude::*;

use super::directory::Member;
use super::matches::JudgeChat;
use super::outlet::Outlet;
use super::realm::Realm;
use super::sessions::{SessionActor, SnapshotPart};
use crate::engine::chat::{
    ChangeRefused, Channel, ChannelRules, Content, ContentRefused, Editor, FilterVerdict, Line, Place, SayRefused,
    Sender,
};
use crate::ids::{ChannelId, MessageId, PlayerId, SessionId};
use crate::limits::{HISTORY_SHOWN_BYTES_MAX, MAILBOX_MESSAGES_MAX};
use crate::store::StoreError;
use crate::store::rows::{Changed, ChatChange, ChatRow};
use crate::wire::chat as says;
use crate::wire::time::SentAt;
use crate::wire::{Cid, Dialect, Frame, Outbound, Reason, Refusal};

pub use direct::{deliver_dm, send_dm};
pub use rooms::{announce, may_join, remember_rooms, say, set_room};

/// What a message costs in a history beside its text: ids, times and names of fields.
const MESSAGE_FRAME_BYTES: usize = 240;

/// A session as a channel reaches it.
#[derive(Clone)]
pub struct Listener {
    /// Whose.
    pub player: PlayerId,
    /// Which session.
    pub session_id: SessionId,
    /// What it is sent.
    pub outlet: Arc<Outlet>,
}

impl From<&Member> for Listener {
    fn from(member: &Member) -> Self {
        Self { player: member.player, session_id: member.session_id, outlet: member.outlet.clone() }
    }
}

/// Everything that is told a channel from outside. One type and one handler, so that what a client sent in a row is
/// answered in that order, whether or not the history has arrived by then.
#[derive(Message)]
#[rtype(result = "()")]
pub enum ChatCommand {
    /// A session wants to hear the channel; whether it may was decided before.
    Join {
        /// Who.
        who: Listener,
        /// How it is answered.
        welcome: Welcome,
    },
    /// A session hears no more.
    Leave {
        /// Which.
        session: SessionId,
        /// To whom `chat.left` goes, if anybody waits for it.
        reply: Option<Reply>,
    },
    /// The door closed on a player: none of their sessions hears more.
    Expel(
        /// Whom.
        PlayerId,
    ),
    /// A member says something.
    Say {
        /// Who.
        who: Listener,
        /// Their correlation id: without one there is no `chat.sent`.
        cid: Option<Cid>,
        /// What.
        content: String,
    },
    /// A member changes what they said, or takes it back.
    Change {
        /// Who.
        who: Listener,
        /// Their correlation id.
        cid: Option<Cid>,
        /// Which message.
        message_id: MessageId,
        /// The new text; `None` takes it back.
        content: Option<String>,
    },
    /// A member is typing.
    Type {
        /// Who.
        who: Listener,
        /// Their correlation id.
        cid: Option<Cid>,
    },
    /// The server, a game or an operator says something.
    Announce(
        /// What.
        String,
    ),
}

/// How a join is answered.
pub enum Welcome {
    /// With `chat.joined`, carrying this correlation id.
    Joined(Option<Cid>),
    /// With the history as a part of a session's snapshot.
    Snapshot {
        /// The session.
        to: Addr<SessionActor>,
        /// How many channels share the room that a snapshot has for history.
        shares: usize,
    },
}

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
pub struct Reply {
    session: SessionId,
    outlet: Arc<Outlet>,
    cid: Option<Cid>,
}

impl Reply {
    /// To this session, with its correlation id.
    pub fn to(who: &Listener, cid: Option<Cid>) -> Self {
        Self { session: who.session_id, outlet: who.outlet.clone(), cid }
    }

    fn refuse(&self, realm: &Realm, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        realm.meters.refused(refusal.reason.row().word);
        self.outlet.push(&refusal.frame(self.cid.as_ref(), None));
    }
}

/// What waits for its game's judgement.
enum Judging {
    Say { sender: Sender, reply: Reply },
    Edit { player: PlayerId, message_id: MessageId, reply: Reply },
}

impl Judging {
    fn player(&self) -> Option<PlayerId> {
        match self {
            Self::Say { sender, .. } => sender.player(),
            Self::Edit { player, .. } => Some(*player),
        }
    }
}

/// A line that a game judges. Dropped without an answer, it passes: a match that ends silences nobody.
pub struct Judged {
    to: Addr<ChannelActor>,
    line: Option<(Content, Judging)>,
}

impl Judged {
    /// What the game makes of it.
    pub fn answer(mut self, verdict: FilterVerdict) {
        self.tell(verdict);
    }

    fn tell(&mut self, verdict: FilterVerdict) {
        if let Some((content, what)) = self.line.take() {
            // `do_send` on purpose: whoever said it waits, and no more of these come than were taken in.
            self.to.do_send(Verdict { content, what, verdict });
        }
    }
}

impl Drop for Judged {
    fn drop(&mut self) {
        self.tell(FilterVerdict::Pass);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Verdict {
    content: Content,
    what: Judging,
    verdict: FilterVerdict,
}

impl Handler<Verdict> for ChannelActor {
    type Result = ();

    fn handle(&mut self, Verdict { content, what, verdict }: Verdict, ctx: &mut Context<Self>) {
        self.keeping -= 1;
        let filtered = content.filtered(&|_: &Place, _, _: &str| verdict.clone(), self.channel.place(), what.player());
        match (filtered, what) {
            (Ok(content), what) => self.judged(content, what, ctx),
            (Err(refused), Judging::Say { sender, reply }) => {
                self.channel.withdraw(sender);
                reply.refuse(&self.realm, not_content(refused));
            }
            (Err(refused), Judging::Edit { reply, .. }) => reply.refuse(&self.realm, not_content(refused)),
        }
        self.retire_if_empty(ctx);
    }
}

/// The actor.
pub struct ChannelActor {
    realm: Arc<Realm>,
    name: ChannelId,
    channel: Channel<Arc<Outlet>>,
    /// What waits for the history; `None` once it is there.
    early: Option<Vec<ChatCommand>>,
    /// Messages on their way into the store.
    keeping: usize,
    /// Commands that were handled, to know whether any is still on its way.
    heard: u64,
}

impl ChannelActor {
    /// An empty channel; the name was checked by [`may_join`].
    pub fn new(realm: Arc<Realm>, name: ChannelId) -> Self {
        let place = rooms::place_of(&realm, &name).unwrap_or_else(|_| Place::Open(name.clone()));
        let rules = ChannelRules {
            history_max: realm.rules.chat_history,
            slow_mode_ms: u64::from(realm.rules.chat_slow_mode_s) * 1_000,
            ..ChannelRules::default()
        };
        let channel = Channel::new(place, rules, realm.clock.now_ms());
        Self { realm, name, channel, early: Some(Vec::new()), keeping: 0, heard: 0 }
    }

    /// One command, once the history is there.
    fn obey(&mut self, command: ChatCommand, ctx: &mut Context<Self>) {
        match command {
            ChatCommand::Join { who, welcome } => self.join(who, welcome),
            ChatCommand::Leave { session, reply } => {
                self.channel.leave(session);
                if let Some(reply) = reply {
                    let left = says::Left { channel_id: self.name.to_string() };
                    reply.outlet.push(&left.frame(reply.cid.as_ref()));
                }
            }
            ChatCommand::Expel(player) => drop(self.channel.expel(player)),
            ChatCommand::Say { who, cid, content } => self.say(&who, cid, &content, ctx),
            ChatCommand::Change { who, cid, message_id, content } => {
                self.change(&who, cid, message_id, content.as_deref(), ctx);
            }
            ChatCommand::Type { who, cid } => self.typing(&who, cid),
            ChatCommand::Announce(content) => {
                let now_ms = self.realm.clock.now_ms();
                if let Ok(content) = self.channel.admit(Sender::Server, &content, &(), now_ms) {
                    self.keep(Sender::Server, content, None, ctx);
                }
            }
        }
    }

    /// Says that a command which came too early cannot wait.
    fn no_room(&self, command: ChatCommand) {
        let reply = match command {
            ChatCommand::Join { who, welcome: Welcome::Joined(cid) }
            | ChatCommand::Say { who, cid, .. }
            | ChatCommand::Change { who, cid, .. }
            | ChatCommand::Type { who, cid } => Reply::to(&who, cid),
            // The snapshot is told without it, and whoever announces has no one waiting.
            _ => return,
        };
        reply.refuse(&self.realm, Reason::Busy);
    }

    fn join(&mut self, who: Listener, welcome: Welcome) {
        let channel_id = self.name.to_string();
        match welcome {
            Welcome::Joined(cid) => {
                let history = self.recent(HISTORY_SHOWN_BYTES_MAX);
                let history = (!history.is_empty()).then_some(history);
                who.outlet.push(&says::Joined { channel_id, history }.frame(cid.as_ref()));
            }
            // `do_send` on purpose: once per channel and snapshot, and the session waits for it.
            Welcome::Snapshot { to, shares } => {
                let history = self.recent(HISTORY_SHOWN_BYTES_MAX / shares.max(1));
                to.do_send(SnapshotPart::Channel(says::History { channel_id, history }));
            }
        }
        self.channel.join(who.session_id, who.player, who.outlet);
    }

    /// The newest messages whose text fits, oldest first.
    fn recent(&self, bytes_max: usize) -> Vec<says::Message> {
        let mut bytes = 0;
        let fits = |line: &&Line| {
            bytes += line.content.len() + MESSAGE_FRAME_BYTES;
            bytes <= bytes_max
        };
        let newest: Vec<_> = self.channel.history().rev().take_while(fits).collect();
        newest.into_iter().rev().map(|line| message_of(&self.name, line)).collect()
    }

    fn say(&mut self, who: &Listener, cid: Option<Cid>, content: &str, ctx: &mut Context<Self>) {
        let sender = Sender::Player(who.player, who.session_id);
        let reply = Reply::to(who, cid);
        if let Some(refusal) = muted(&self.realm, who.player, &self.name) {
            return reply.refuse(&self.realm, refusal);
        }
        match self.channel.admit(sender, content, &(), self.realm.clock.now_ms()) {
            Ok(content) => self.judge(content, Judging::Say { sender, reply }, ctx),
            Err(refused) => reply.refuse(&self.realm, not_said(refused)),
        }
    }

    /// Lets the game of a match judge what is said in its channel; elsewhere nobody does. One mailbox there and one here
    /// keep the order.
    fn judge(&mut self, content: Content, what: Judging, ctx: &mut Context<Self>) {
        let Place::Match(match_id) = self.channel.place() else { return self.judged(content, what, ctx) };
        let Some(card) = self.realm.directory.card(*match_id) else { return self.judged(content, what, ctx) };
        let (sender, text) = (what.player(), content.shared());
        let Some(sender) = sender else { return self.judged(content, what, ctx) };
        self.keeping += 1;
        let judged = Judged { to: ctx.address(), line: Some((content, what)) };
        // A match that is too busy, or over, lets it pass: that is what dropping the message does.
        let _ = card.addr.try_send(JudgeChat { sender, text, judged });
    }

    /// What nobody minds is stored.
    fn judged(&mut self, content: Content, what: Judging, ctx: &mut Context<Self>) {
        match what {
            Judging::Say { sender, reply } => self.keep(sender, content, Some(reply), ctx),
            Judging::Edit { player, message_id, reply } => {
                self.keep_change(player, message_id, Some(content), reply, ctx);
            }
        }
    }

    fn change(
        &mut self,
        who: &Listener,
        cid: Option<Cid>,
        message_id: MessageId,
        content: Option<&str>,
        ctx: &mut Context<Self>,
    ) {
        let reply = Reply::to(who, cid);
        if content.is_some()
            && let Some(refusal) = muted(&self.realm, who.player, &self.name)
        {
            return reply.refuse(&self.realm, refusal);
        }
        let by = Editor::Author(who.player, who.session_id);
        let now_ms = self.realm.clock.now_ms();
        let admitted = match content {
            Some(text) => self.channel.admit_edit(by, message_id, text, &(), now_ms).map(Some),
            None => self.channel.admit_deletion(by, message_id, now_ms).map(|()| None),
        };
        let content = match admitted {
            Ok(Some(content)) => {
                return self.judge(content, Judging::Edit { player: who.player, message_id, reply }, ctx);
            }
            Ok(None) => None,
            Err(ChangeRefused::NotAuthor) => return reply.refuse(&self.realm, Reason::NotAuthorized),
            Err(ChangeRefused::Say(refused)) => return reply.refuse(&self.realm, not_said(refused)),
        };
        self.keep_change(who.player, message_id, content, reply, ctx);
    }

    /// Stores a change; it is told when [`ChangeKept`] comes back.
    fn keep_change(
        &mut self,
        player: PlayerId,
        message_id: MessageId,
        content: Option<Content>,
        reply: Reply,
        ctx: &mut Context<Self>,
    ) {
        let change = ChatChange {
            channel_id: self.name.to_string(),
            message_id,
            only_sender: Some(player),
            content: content.as_ref().map(|content| content.as_str().to_owned()),
            unix_ms: self.realm.clock.unix_ms(),
        };
        self.keeping += 1;
        let me = ctx.address();
        let done = move |outcome| me.do_send(ChangeKept { message_id, content, reply, outcome });
        self.realm.store.change_chat(change, Box::new(done));
    }

    fn typing(&mut self, who: &Listener, cid: Option<Cid>) {
        match self.channel.typing(who.player, who.session_id, self.realm.clock.now_ms()) {
            Ok(true) => {
                let frame = says::IsTyping { channel_id: self.name.to_string(), player_id: who.player }.push();
                for (session, _, outlet) in self.channel.members() {
                    if session != who.session_id {
                        outlet.push(&frame);
                    }
                }
            }
            Ok(false) => {}
            Err(refused) => Reply::to(who, cid).refuse(&self.realm, not_said(refused)),
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

    /// Ends a channel that nobody is in, unless somebody is on the way into it.
    fn retire_if_empty(&mut self, ctx: &mut Context<Self>) {
        let busy = self.channel.members().len() > 0 || self.early.is_some() || self.keeping > 0;
        if !busy && self.realm.directory.retire_channel(&self.name, self.heard) {
            ctx.stop();
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
        for command in self.early.take().unwrap_or_default() {
            self.obey(command, ctx);
        }
        self.retire_if_empty(ctx);
    }
}

impl Handler<ChatCommand> for ChannelActor {
    type Result = ();

    fn handle(&mut self, command: ChatCommand, ctx: &mut Context<Self>) {
        self.heard += 1;
        // What must not be lost waits however many wait already: a leave and an expulsion follow a join each.
        let must_wait = matches!(command, ChatCommand::Leave { .. } | ChatCommand::Expel(_));
        match &mut self.early {
            None => {
                self.obey(command, ctx);
                self.retire_if_empty(ctx);
            }
            Some(early) if must_wait || early.len() < MAILBOX_MESSAGES_MAX => early.push(command),
            Some(_) => self.no_room(command),
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

/// `muted` with the time left, when the player is silenced in that channel.
fn muted(realm: &Realm, player: PlayerId, channel: &str) -> Option<Refusal> {
    let now_ms = realm.clock.unix_ms();
    let until_ms = realm.directory.muted_until(player, channel, now_ms)?;
    Some(Reason::Muted.with("retry_ms", until_ms - now_ms))
}
