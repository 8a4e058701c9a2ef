//! What is said in a channel, and what is changed of it: admitted by the [`Channel`](crate::engine::chat::Channel)'s
//! rules, judged by the game of its match, stored, and told once the store has it.

use actix::prelude::*;

use super::{ChannelActor, Listener, Moderated, Reply, Sent, message_of, muted};
use crate::actors::matches::JudgeChat;
use crate::engine::chat::{
    ChangeRefused, Content, ContentRefused, Editor, FilterVerdict, Line, Place, SayRefused, Sender,
};
use crate::ids::{MessageId, PlayerId, SessionId};
use crate::store::StoreError;
use crate::store::rows::{Block, Changed, ChatChange, ChatRow};
use crate::wire::chat as says;
use crate::wire::{Cid, Frame, Outbound, Reason, Refusal};

/// The store has a message, or has not.
#[derive(Message)]
#[rtype(result = "()")]
struct Kept {
    line: Line,
    sender: Sender,
    waits: Waits,
    outcome: Result<(), Reason>,
}

/// Who waits to hear that something was said.
pub(super) enum Waits {
    /// Nobody: the server said it.
    Nobody,
    /// A member.
    Member(Reply),
    /// Whoever wrote a direct message, through a session or none.
    Writer(Option<SessionId>, Sent),
    /// An operator.
    Operator(Moderated),
}

impl Waits {
    /// The session whose turn it is until it hears.
    fn asker(&self) -> Option<SessionId> {
        match self {
            Self::Nobody | Self::Operator(_) => None,
            Self::Member(reply) => Some(reply.session),
            Self::Writer(session, _) => *session,
        }
    }
}

/// The store has a change, or has not.
#[derive(Message)]
#[rtype(result = "()")]
struct ChangeKept {
    message_id: MessageId,
    content: Option<Content>,
    by: By,
    outcome: Result<Changed, Reason>,
}

/// Who changes a message, and how they are told what became of it.
enum By {
    Author(PlayerId, Reply),
    Operator(Moderated),
}

/// What waits for its game's judgement.
enum Judging {
    Say { sender: Sender, reply: Reply },
    Edit { player: PlayerId, message_id: MessageId, reply: Reply },
}

impl Judging {
    /// The session that waits for it.
    fn asker(&self) -> SessionId {
        match self {
            Self::Say { reply, .. } | Self::Edit { reply, .. } => reply.session,
        }
    }

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
        match filtered {
            Ok(content) => self.judged(content, what, ctx),
            Err(refused) => {
                let asker = what.asker();
                self.unsaid(what, not_content(refused));
                self.told_one();
                self.answered(asker, ctx);
            }
        }
        self.retire_if_empty(ctx);
    }
}

impl ChannelActor {
    pub(super) fn say(&mut self, who: &Listener, cid: Option<Cid>, content: &str, ctx: &mut Context<Self>) {
        let sender = Sender::Player(who.player, who.session_id);
        let reply = Reply::to(who, cid);
        if let Place::Match(match_id) = self.channel.place()
            && self.realm.directory.card(*match_id).is_none()
        {
            // Some have left already, and what is said is for all.
            return reply.refuse(&self.realm, Reason::NotAuthorized);
        }
        if let Some(refusal) = muted(&self.realm, who.player, &self.name) {
            return reply.refuse(&self.realm, refusal);
        }
        match self.channel.admit(sender, content, &(), self.realm.clock.now_ms()) {
            Ok(content) => {
                self.turns.begin(who.session_id);
                self.judge(content, Judging::Say { sender, reply }, ctx);
            }
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
        let judged = Judged { to: ctx.address(), line: Some((content, what)) };
        self.keeping += 1;
        match card.addr.try_send(JudgeChat { sender, text, judged }) {
            // A match that is over lets it pass: that is what dropping the message does.
            Ok(()) | Err(SendError::Closed(_)) => {}
            // One that is too busy does not: a flood of inputs must not be a way past the filter.
            Err(SendError::Full(JudgeChat { mut judged, .. })) => {
                self.keeping -= 1;
                if let Some((_, what)) = judged.line.take() {
                    self.turns.end(&what.asker());
                    self.unsaid(what, Reason::Busy);
                }
            }
        }
    }

    /// Refuses what was admitted.
    fn unsaid(&mut self, what: Judging, why: impl Into<Refusal>) {
        match what {
            Judging::Say { sender, reply } => {
                self.channel.withdraw(sender);
                reply.refuse(&self.realm, why);
            }
            Judging::Edit { reply, .. } => reply.refuse(&self.realm, why),
        }
    }

    /// What nobody minds is stored.
    fn judged(&mut self, content: Content, what: Judging, ctx: &mut Context<Self>) {
        match what {
            Judging::Say { sender, reply } => self.keep(sender, content, Waits::Member(reply), ctx),
            Judging::Edit { player, message_id, reply } => {
                self.keep_change(By::Author(player, reply), message_id, Some(content), ctx);
            }
        }
    }

    pub(super) fn change(
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
                self.turns.begin(who.session_id);
                return self.judge(content, Judging::Edit { player: who.player, message_id, reply }, ctx);
            }
            Ok(None) => None,
            Err(ChangeRefused::NotAuthor) => return reply.refuse(&self.realm, Reason::NotAuthor),
            Err(ChangeRefused::Say(refused)) => return reply.refuse(&self.realm, not_said(refused)),
        };
        self.turns.begin(who.session_id);
        self.keep_change(By::Author(who.player, reply), message_id, content, ctx);
    }

    pub(super) fn moderate(
        &mut self,
        message_id: MessageId,
        content: Option<&str>,
        done: Moderated,
        ctx: &mut Context<Self>,
    ) {
        match content.map(Content::new).transpose() {
            Ok(content) => self.keep_change(By::Operator(done), message_id, content, ctx),
            Err(refused) => done(Err(not_content(refused))),
        }
    }

    /// Stores a change; it is told when [`ChangeKept`] comes back.
    fn keep_change(&mut self, by: By, message_id: MessageId, content: Option<Content>, ctx: &mut Context<Self>) {
        let change = ChatChange {
            channel_id: self.name.to_string(),
            message_id,
            only_sender: match &by {
                By::Author(player, _) => Some(*player),
                By::Operator(_) => None,
            },
            content: content.as_ref().map(|content| content.as_str().to_owned()),
            unix_ms: self.realm.clock.unix_ms(),
        };
        self.keeping += 1;
        let me = ctx.address();
        let (said_by, edits) = (change.only_sender, content.is_some());
        let done = move |outcome| me.do_send(ChangeKept { message_id, content, by, outcome });
        let store = self.realm.store.clone();
        // Taking something back tells nobody anything, so that is left to whoever is blocked.
        match said_by.and_then(|player| self.other_of(player)).filter(|_| edits) {
            Some((player, other)) => {
                let then = store.clone();
                let checked = move |blocked| match blocked {
                    Ok(None) => then.change_chat(change, Box::new(move |kept| done(kept.map_err(unkept)))),
                    Ok(Some(block)) => done(Err(blocked_by(block))),
                    Err(error) => done(Err(unkept(error))),
                };
                store.blocked_between(player, other, Box::new(checked));
            }
            None => store.change_chat(change, Box::new(move |kept| done(kept.map_err(unkept)))),
        }
    }

    /// A player in a direct channel, and the other side of it; none elsewhere.
    pub(super) fn other_of(&self, player: PlayerId) -> Option<(PlayerId, PlayerId)> {
        match self.channel.place() {
            Place::Dm(lo, hi) => Some((player, if player == *lo { *hi } else { *lo })),
            _ => None,
        }
    }

    /// Stores a message; it is said when [`Kept`] comes back.
    pub(super) fn keep(&mut self, sender: Sender, content: Content, waits: Waits, ctx: &mut Context<Self>) {
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
        let done = move |outcome| me.do_send(Kept { line, sender, waits, outcome });
        let store = self.realm.store.clone();
        match sender.player().and_then(|player| self.other_of(player)) {
            Some((player, other)) => {
                let then = store.clone();
                let checked = move |blocked| match blocked {
                    Ok(None) => then.append_chat(row, Box::new(move |kept| done(kept.map(drop).map_err(unkept)))),
                    Ok(Some(block)) => done(Err(blocked_by(block))),
                    Err(error) => done(Err(unkept(error))),
                };
                store.blocked_between(player, other, Box::new(checked));
            }
            None => store.append_chat(row, Box::new(move |kept| done(kept.map(drop).map_err(unkept)))),
        }
    }

    fn push_all(&self, frame: &Frame) {
        for (_, _, outlet) in self.channel.members() {
            outlet.push(frame);
        }
        for (_, outlet, _) in &self.parting {
            outlet.push(frame);
        }
    }

    /// One of the messages that were on their way is told, or will not be: whoever left meanwhile waits for one less.
    pub(super) fn told_one(&mut self) {
        self.parting.iter_mut().for_each(|(.., left)| *left -= 1);
        let none = self.keeping == 0;
        self.parting.retain(|(.., left)| *left > 0 && !none);
    }

    /// Tells everyone a change; the one who made it finds their `cid` on it. What is said in a direct channel reaches
    /// either of the two in the channel or out of it, and so does what becomes of it.
    fn push_change(&self, change: &impl Outbound, by: &By) {
        let answered = match by {
            By::Author(_, reply) if reply.cid.is_some() => Some(reply),
            _ => None,
        };
        let frame = change.push();
        for (session, _, outlet) in self.channel.members() {
            if answered.is_none_or(|reply| reply.session != session) {
                outlet.push(&frame);
            }
        }
        for (session, outlet, _) in &self.parting {
            if answered.is_none_or(|reply| reply.session != *session) {
                outlet.push(&frame);
            }
        }
        if let Place::Dm(lo, hi) = *self.channel.place() {
            let both = [Some(lo), Some(hi).filter(|hi| *hi != lo)];
            for member in both.into_iter().flatten().filter_map(|player| self.realm.directory.member(player)) {
                let was_told = answered.is_some_and(|reply| reply.session == member.session_id);
                if !was_told && !self.channel.has(member.session_id) {
                    member.outlet.push(&frame);
                }
            }
        }
        if let Some(reply) = answered {
            reply.outlet.push(&change.frame(reply.cid.as_ref()));
        }
    }

    /// What is said in a direct channel reaches its other side in the channel or out of it.
    fn tell_absent(&self, line: &Line) {
        let Some((sender, other)) = line.sender.and_then(|sender| self.other_of(sender)) else { return };
        if !self.channel.members().any(|(_, player, _)| player == other) {
            self.tell_dm(line, sender, other);
        }
    }
}

impl Handler<Kept> for ChannelActor {
    type Result = ();

    fn handle(&mut self, kept: Kept, ctx: &mut Context<Self>) {
        let Kept { line, sender, waits, outcome } = kept;
        self.keeping -= 1;
        let asker = waits.asker();
        match outcome {
            Ok(()) => {
                let (channel_id, message_id) = (self.name.to_string(), line.message_id);
                match &waits {
                    Waits::Writer(session, _) => self.tell_written(&line, *session),
                    Waits::Member(_) | Waits::Operator(_) | Waits::Nobody => {
                        self.push_all(&message_of(&self.name, &line).push());
                        self.tell_absent(&line);
                    }
                }
                self.channel.said(line);
                match waits {
                    Waits::Writer(_, sent) => sent(Ok(says::DmSent { channel_id, message_id })),
                    Waits::Member(reply) if reply.cid.is_some() => {
                        reply.outlet.push(&says::Sent { channel_id, message_id }.frame(reply.cid.as_ref()));
                    }
                    Waits::Operator(done) => done(Ok(())),
                    Waits::Member(_) | Waits::Nobody => {}
                }
            }
            Err(reason) => {
                self.channel.withdraw(sender);
                match waits {
                    Waits::Writer(_, sent) => sent(Err(reason.into())),
                    Waits::Member(reply) => reply.refuse(&self.realm, reason),
                    Waits::Operator(done) => done(Err(reason.into())),
                    Waits::Nobody => {
                        if let Some(refused) = self.realm.meters.rows_lost.add(self.realm.clock.now_ms()) {
                            tracing::error!(channel = %self.name, refused, "a message of the server could not be stored");
                        }
                    }
                }
            }
        }
        self.told_one();
        if let Some(asker) = asker {
            self.answered(asker, ctx);
        }
        self.retire_if_empty(ctx);
    }
}

impl Handler<ChangeKept> for ChannelActor {
    type Result = ();

    fn handle(&mut self, kept: ChangeKept, ctx: &mut Context<Self>) {
        let ChangeKept { message_id, content, by, outcome } = kept;
        self.keeping -= 1;
        let channel_id = self.name.to_string();
        let refusal = match (outcome, content) {
            (Ok(Changed::Done), Some(content)) => {
                self.channel.edited(message_id, &content);
                let content = content.as_str().to_owned();
                self.push_change(&says::Updated { channel_id, message_id, content }, &by);
                None
            }
            (Ok(Changed::Done), None) => {
                self.channel.deleted(message_id);
                self.push_change(&says::Deleted { channel_id, message_id }, &by);
                None
            }
            (Ok(Changed::NotFound), _) => Some(Reason::MessageNotFound),
            (Ok(Changed::NotSender), _) => Some(Reason::NotAuthor),
            (Err(reason), _) => Some(reason),
        };
        match by {
            By::Author(_, reply) => {
                if let Some(reason) = refusal {
                    reply.refuse(&self.realm, reason);
                }
                self.answered(reply.session, ctx);
            }
            By::Operator(done) => done(refusal.map_or(Ok(()), |reason| Err(reason.into()))),
        }
        self.told_one();
        self.retire_if_empty(ctx);
    }
}

/// What a player is told whose message was not said.
pub(super) fn not_said(refused: SayRefused) -> Refusal {
    match refused {
        SayRefused::NotMember => Reason::NotAuthorized.into(),
        SayRefused::Muted { retry_ms } => Reason::Muted.with("retry_ms", retry_ms),
        SayRefused::SlowMode { retry_ms } => Reason::SlowMode.with("retry_ms", retry_ms),
        SayRefused::TooFast { retry_ms } | SayRefused::Busy { retry_ms } => {
            Reason::RateLimited.with("retry_ms", retry_ms)
        }
        SayRefused::Content(refused) => not_content(refused),
    }
}

pub(super) fn not_content(refused: ContentRefused) -> Refusal {
    match refused {
        ContentRefused::Empty => Reason::ContentEmpty.into(),
        ContentRefused::TooLarge => Reason::ContentTooLarge.into(),
        ContentRefused::Forbidden(_) | ContentRefused::Filtered => {
            Reason::ContentRefused.with("problem", refused.to_string())
        }
    }
}

/// What a player is told who writes to somebody in spite of a block: of their own, which they can lift, or of the other's.
pub(super) fn blocked_by(block: Block) -> Reason {
    match block {
        Block::Own => Reason::OwnBlock,
        Block::Theirs => Reason::Blocked,
    }
}

/// What a player is told whose message the store did not take.
pub(super) fn unkept(error: StoreError) -> Reason {
    match error {
        StoreError::Busy | StoreError::Closed => Reason::Busy,
        StoreError::Failed(error) => {
            tracing::error!(%error, "a chat message could not be stored");
            Reason::Internal
        }
    }
}
