//! Chat channels: who hears what, in one order for all. What is said is stored first, then encoded once and pushed to
//! every member, then acknowledged to whoever said it: nobody has read what a crash could take back.
//!
//! The rules are [`Channel`]'s; this shell brings it the store's answers. Here is who is in a channel and what it is
//! told; [`said`] has what is said in it, [`rooms`] which channels there are, [`direct`] the messages to one player.

mod direct;
mod rooms;
mod said;

use std::sync::Arc;

use actix::prelude::*;

use super::directory::Member;
use super::outlet::Outlet;
use super::realm::Realm;
use super::sessions::{LetGo, SessionActor, SnapshotPart};
use crate::engine::chat::{Channel, ChannelRules, Content, Line, Place, Sender, Turns};
use crate::ids::{ChannelId, MessageId, PlayerId, SessionId};
use crate::limits::{HISTORY_SHOWN_BYTES_MAX, MAILBOX_MESSAGES_MAX, TURNS_WAITING_MAX};
use crate::store::rows::{Block, ChatRow};
use crate::wire::chat as says;
use crate::wire::time::SentAt;
use crate::wire::{Cid, Dialect, Frame, Outbound, Reason, Refusal};

pub use direct::{DmAnswers, Letter, Sent, send_dm};
pub use rooms::{announce, is_channel_id, may_join, moderate, remember_rooms, set_room, set_room_asked};
pub use said::Judged;

use said::{Waits, blocked_by, not_content, not_said, unkept};

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
/// done and answered in that order, whether or not the history has arrived by then, and though one thing has to wait
/// for the store and the next could be refused at once.
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
        /// The door closes behind everybody: what was said before is still told to them.
        hears_out: bool,
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
    /// What a session can answer by itself about a channel that may still owe it answers: it follows those.
    Answer {
        /// Who.
        who: Listener,
        /// What they are told.
        answer: Box<Frame>,
    },
    /// An operator changes a message, whoever said it.
    Moderate {
        /// Which message.
        message_id: MessageId,
        /// The new text; `None` takes it back.
        content: Option<String>,
        /// Told what became of it, on whatever thread that is known.
        done: Moderated,
    },
    /// Either of the two of a direct channel writes to the other, joined or not.
    Write(Letter),
    /// The server, a game or an operator says something.
    Announce {
        /// What.
        content: String,
        /// Told what became of it, where somebody waits to know.
        done: Option<Moderated>,
    },
}

impl ChatCommand {
    /// The session that asks, if one does: what each asks is done and answered in its order.
    fn asker(&self) -> Option<SessionId> {
        match self {
            Self::Join { who, .. }
            | Self::Say { who, .. }
            | Self::Change { who, .. }
            | Self::Type { who, .. }
            | Self::Answer { who, .. } => Some(who.session_id),
            Self::Leave { session, .. } => Some(*session),
            Self::Write(letter) => letter.session,
            Self::Expel(_) | Self::Moderate { .. } | Self::Announce { .. } => None,
        }
    }

    /// Whether it must not be lost, however much waits already: a leave and an expulsion follow a join each.
    fn must_wait(&self) -> bool {
        matches!(self, Self::Leave { .. } | Self::Expel(_))
    }
}

/// What an operator who changed a message, or said one, is told.
pub type Moderated = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

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

/// The store told what was said before, or that there can be no such channel.
#[derive(Message)]
#[rtype(result = "()")]
struct Began(Result<Vec<ChatRow>, Reason>);

/// The store told whether a block stands between one side of a direct channel, who is typing, and the other. Where it does
/// not know, they are not told: nobody misses much.
#[derive(Message)]
#[rtype(result = "()")]
struct TypingChecked {
    who: Listener,
    cid: Option<Cid>,
    refused: Option<Reason>,
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
        realm.meters.refused(refusal.reason.row().code);
        self.outlet.push(&refusal.frame(self.cid.as_ref(), None));
    }
}

/// The actor.
pub struct ChannelActor {
    realm: Arc<Realm>,
    name: ChannelId,
    channel: Channel<Arc<Outlet>>,
    /// What waits for the history; `None` once it is there.
    early: Option<Vec<ChatCommand>>,
    /// Why nobody hears or says anything here: a direct channel with nobody at one end. What was said before there was
    /// such a rule can still be moderated.
    shut: Option<Reason>,
    /// What sessions asked while something else they asked is on its way into the store.
    turns: Turns<SessionId, ChatCommand>,
    /// Messages on their way into the store.
    keeping: usize,
    /// Who left as their match ended, and how much of what was on its way then is still to be told to them.
    parting: Vec<(SessionId, Arc<Outlet>, usize)>,
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
            rate_each: realm.rules.chat_rate_each,
            ..ChannelRules::default()
        };
        let mut channel = Channel::new(place, rules, realm.clock.now_ms());
        if let Some(pace) = realm.directory.take_pace(&name) {
            channel.go_on_at(pace);
        }
        let turns = Turns::new(TURNS_WAITING_MAX);
        Self {
            realm,
            name,
            channel,
            early: Some(Vec::new()),
            shut: None,
            turns,
            keeping: 0,
            parting: Vec::new(),
            heard: 0,
        }
    }

    /// One command, once the history is there: in its asker's turn.
    fn take(&mut self, command: ChatCommand, ctx: &mut Context<Self>) {
        let must_wait = command.must_wait();
        // What is written is looked at before whom it is for, wherever that is known.
        let all_the_same = must_wait || matches!(command, ChatCommand::Moderate { .. } | ChatCommand::Write(_));
        if let Some(reason) = self.shut.filter(|_| !all_the_same) {
            return self.refuse(command, reason);
        }
        let Some(asker) = command.asker() else { return self.obey(command, ctx) };
        match self.turns.ask(asker, command, must_wait) {
            Ok(()) => self.go_on(asker, ctx),
            Err(command) => self.refuse(command, Reason::Busy),
        }
    }

    /// What a session asked lately was answered: the next thing it asked.
    fn answered(&mut self, asker: SessionId, ctx: &mut Context<Self>) {
        self.turns.end(&asker);
        self.go_on(asker, ctx);
    }

    fn go_on(&mut self, asker: SessionId, ctx: &mut Context<Self>) {
        while let Some(command) = self.turns.next(&asker) {
            self.obey(command, ctx);
        }
    }

    /// One command in its turn.
    fn obey(&mut self, command: ChatCommand, ctx: &mut Context<Self>) {
        match command {
            ChatCommand::Join { who, welcome } => self.join(who, welcome),
            ChatCommand::Leave { session, reply, hears_out } => {
                if hears_out && self.keeping > 0 {
                    let leaver = self.channel.members().find(|(member, ..)| *member == session);
                    self.parting.extend(leaver.map(|(_, _, outlet)| (session, outlet.clone(), self.keeping)));
                }
                self.channel.leave(session);
                if let Some(reply) = reply {
                    let left = says::Left { channel_id: self.name.to_string() };
                    reply.outlet.push(&left.frame(reply.cid.as_ref()));
                }
            }
            // Who was let in again meanwhile stays.
            ChatCommand::Expel(player) if may_join(&self.realm, player, &self.name).is_ok() => {}
            ChatCommand::Expel(player) => {
                for session in self.channel.expel(player) {
                    self.let_go(player, session, true);
                }
            }
            ChatCommand::Say { who, cid, content } => self.say(&who, cid, &content, ctx),
            ChatCommand::Change { who, cid, message_id, content } => {
                self.change(&who, cid, message_id, content.as_deref(), ctx);
            }
            ChatCommand::Type { who, cid } => self.typing(who, cid, ctx),
            ChatCommand::Answer { who, answer } => who.outlet.push_own(*answer),
            ChatCommand::Write(letter) => self.write(letter, ctx),
            ChatCommand::Moderate { message_id, content, done } => {
                self.moderate(message_id, content.as_deref(), done, ctx);
            }
            ChatCommand::Announce { content, done } => {
                let now_ms = self.realm.clock.now_ms();
                match (self.channel.admit(Sender::Server, &content, &(), now_ms), done) {
                    (Ok(content), done) => {
                        let waits = done.map_or(Waits::Nobody, Waits::Operator);
                        self.keep(Sender::Server, content, waits, ctx);
                    }
                    (Err(refused), Some(done)) => done(Err(not_said(refused))),
                    (Err(_), None) => {}
                }
            }
        }
    }

    /// Says that a command is not done.
    fn refuse(&self, command: ChatCommand, reason: Reason) {
        let reply = match command {
            ChatCommand::Join { who, welcome } if self.shut.is_some() => {
                return self.turn_away(&who, welcome, reason.into());
            }
            ChatCommand::Join { who, welcome: Welcome::Joined(cid) }
            | ChatCommand::Say { who, cid, .. }
            | ChatCommand::Change { who, cid, .. }
            | ChatCommand::Type { who, cid } => Reply::to(&who, cid),
            ChatCommand::Answer { who, answer } => return who.outlet.push_own(*answer),
            ChatCommand::Write(letter) => return (letter.sent)(Err(reason.into())),
            ChatCommand::Moderate { done, .. } | ChatCommand::Announce { done: Some(done), .. } => {
                return done(Err(reason.into()));
            }
            // The snapshot is told without it, and a game that says something has no one waiting.
            _ => return,
        };
        reply.refuse(&self.realm, reason);
    }

    fn join(&mut self, who: Listener, welcome: Welcome) {
        // Asked again: it may have waited for its turn while the door was closed to them.
        if let Err(reason) = may_join(&self.realm, who.player, &self.name) {
            return self.turn_away(&who, welcome, reason.into());
        }
        self.welcome(&who, self.name.to_string(), welcome);
        // Back before all was told that was on its way when they left: told to them once.
        self.parting.retain(|(session, ..)| *session != who.session_id);
        self.channel.join(who.session_id, who.player, who.outlet);
    }

    /// Does not let a session in, which counts the channel among its own since it asked.
    fn turn_away(&self, who: &Listener, welcome: Welcome, refusal: Refusal) {
        let was_in = match welcome {
            Welcome::Joined(cid) => {
                Reply::to(who, cid).refuse(&self.realm, refusal);
                false
            }
            // The session before this one was in it; what it is told follows the snapshot.
            Welcome::Snapshot { to, .. } => {
                let (channel_id, history) = (self.name.to_string(), Vec::new());
                to.do_send(SnapshotPart::Channel(says::History { channel_id, history }));
                true
            }
        };
        self.let_go(who.player, who.session_id, was_in);
    }

    /// Tells a session that the channel is none of its own.
    fn let_go(&self, player: PlayerId, session: SessionId, was_in: bool) {
        let member = self.realm.directory.member(player).filter(|member| member.session_id == session);
        if let Some(member) = member {
            // `do_send` on purpose: one for each join, and the place must not be lost to a full mailbox.
            member.session.do_send(LetGo { channel: self.name.clone(), was_in });
        }
    }

    fn welcome(&self, who: &Listener, channel_id: String, welcome: Welcome) {
        match welcome {
            Welcome::Joined(cid) => {
                // Several joins in one breath share the way out: none of them may fill it.
                let history = self.recent(HISTORY_SHOWN_BYTES_MAX.min(who.outlet.room() / 4));
                let history = (!history.is_empty()).then_some(history);
                who.outlet.push(&says::Joined { channel_id, history }.frame(cid.as_ref()));
            }
            // `do_send` on purpose: once per channel and snapshot, and the session waits for it.
            Welcome::Snapshot { to, shares } => {
                let history = self.recent(HISTORY_SHOWN_BYTES_MAX / shares.max(1));
                to.do_send(SnapshotPart::Channel(says::History { channel_id, history }));
            }
        }
    }

    /// The newest messages that fit as they are written, oldest first.
    fn recent(&self, bytes_max: usize) -> Vec<says::Message> {
        let mut bytes = 0;
        let fits = |line: &&Line| {
            let escaped = line.content.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
            bytes += line.content.len() + escaped + MESSAGE_FRAME_BYTES;
            bytes <= bytes_max
        };
        let newest: Vec<_> = self.channel.history().rev().take_while(fits).collect();
        newest.into_iter().rev().map(|line| message_of(&self.name, line)).collect()
    }

    fn typing(&mut self, who: Listener, cid: Option<Cid>, ctx: &mut Context<Self>) {
        if let Some(refusal) = muted(&self.realm, who.player, &self.name) {
            return Reply::to(&who, cid).refuse(&self.realm, refusal);
        }
        match self.channel.typing(who.player, who.session_id, self.realm.clock.now_ms()) {
            Ok(true) => match self.other_of(who.player) {
                Some((player, other)) => {
                    // In its turn, as what is said; and once in a while only, so the store is not kept busy with it.
                    self.turns.begin(who.session_id);
                    self.keeping += 1;
                    let me = ctx.address();
                    let done = move |block: Result<Option<Block>, _>| {
                        let refused = block.map_or_else(|error| Some(unkept(error)), |block| block.map(blocked_by));
                        me.do_send(TypingChecked { who, cid, refused });
                    };
                    self.realm.store.blocked_between(player, other, Box::new(done));
                }
                None => self.tell_typing(&who),
            },
            Ok(false) => {}
            Err(refused) => Reply::to(&who, cid).refuse(&self.realm, not_said(refused)),
        }
    }

    fn tell_typing(&self, who: &Listener) {
        let frame = says::IsTyping { channel_id: self.name.to_string(), player_id: who.player }.push();
        for (session, _, outlet) in self.channel.members() {
            if session != who.session_id {
                outlet.push(&frame);
            }
        }
    }

    /// Ends a channel that nobody is in, unless somebody is on the way into it. What it leaves behind is kept first: as
    /// soon as it is out of the directory, another thread may begin it again.
    fn retire_if_empty(&mut self, ctx: &mut Context<Self>) {
        let busy = self.channel.members().len() > 0 || self.early.is_some() || self.keeping > 0;
        if busy {
            return;
        }
        let now_ms = self.realm.clock.now_ms();
        self.realm.directory.keep_pace(&self.name, self.channel.pace(now_ms), now_ms);
        if self.realm.directory.retire_channel(&self.name, self.heard) {
            ctx.stop();
        }
    }
}

impl Actor for ChannelActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (realm, channel, me) = (self.realm.clone(), self.name.clone(), ctx.address());
        let Place::Dm(lo, hi) = *self.channel.place() else { return recall(&realm, channel, me) };
        let checked = move |exist| match exist {
            Ok(true) => recall(&realm, channel, me),
            // `do_send` on purpose: once per channel.
            Ok(false) => me.do_send(Began(Err(Reason::PlayerNotFound))),
            Err(_) => me.do_send(Began(Err(Reason::Busy))),
        };
        direct::both_exist(&self.realm.store, lo, hi, Box::new(checked));
    }
}

/// Asks the store what was said in a channel that begins.
fn recall(realm: &Realm, channel: ChannelId, me: Addr<ChannelActor>) {
    let (name, limit) = (channel.to_string(), realm.rules.chat_history as u32);
    let told = move |lines: Result<_, _>| {
        let lines = lines.unwrap_or_else(|error| {
            tracing::error!(%channel, %error, "a channel begins without its history");
            Vec::new()
        });
        // `do_send` on purpose: once per channel.
        me.do_send(Began(Ok(lines)));
    };
    realm.store.chat_history(name, limit, Box::new(told));
}

impl Handler<Began> for ChannelActor {
    type Result = ();

    fn handle(&mut self, Began(rows): Began, ctx: &mut Context<Self>) {
        match rows {
            Ok(rows) => self.channel.recall(rows.into_iter().map(|row| Line {
                message_id: row.message_id,
                sender: row.sender_id,
                content: row.content.into(),
                sent_unix_ms: row.sent_unix_ms,
                edited: row.edited_unix_ms.is_some(),
            })),
            Err(reason) => self.shut = Some(reason),
        }
        for command in self.early.take().unwrap_or_default() {
            self.take(command, ctx);
        }
        self.retire_if_empty(ctx);
    }
}

impl Handler<TypingChecked> for ChannelActor {
    type Result = ();

    fn handle(&mut self, TypingChecked { who, cid, refused }: TypingChecked, ctx: &mut Context<Self>) {
        self.keeping -= 1;
        self.told_one();
        match refused {
            Some(reason) => Reply::to(&who, cid).refuse(&self.realm, reason),
            None => self.tell_typing(&who),
        }
        self.answered(who.session_id, ctx);
        self.retire_if_empty(ctx);
    }
}

impl Handler<ChatCommand> for ChannelActor {
    type Result = ();

    fn handle(&mut self, command: ChatCommand, ctx: &mut Context<Self>) {
        self.heard += 1;
        match &mut self.early {
            None => {
                self.take(command, ctx);
                self.retire_if_empty(ctx);
            }
            Some(early) if command.must_wait() || early.len() < MAILBOX_MESSAGES_MAX => early.push(command),
            Some(_) => self.refuse(command, Reason::Busy),
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

/// Content as it is stored and shown, whoever says it.
pub fn clean(content: &str) -> Result<String, Refusal> {
    Content::new(content).map(|content| content.as_str().to_owned()).map_err(not_content)
}

/// `muted` with the time left and what for, when the player is silenced in that channel.
fn muted(realm: &Realm, player: PlayerId, channel: &str) -> Option<Refusal> {
    let now_ms = realm.clock.unix_ms();
    let mute = realm.directory.mute_of(player, channel, now_ms)?;
    let refusal = Reason::Muted.with("retry_ms", mute.until_unix_ms - now_ms);
    Some(if mute.reason.is_empty() { refusal } else { refusal.with("reason", mute.reason) })
}
