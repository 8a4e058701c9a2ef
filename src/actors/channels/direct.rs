//! Direct messages: the channel of the two keeps them in one order with what either says in it, so they go through its
//! actor, whoever has joined it. Stored first, then pushed to the recipient wherever they are, then acknowledged.

use std::sync::Arc;

use actix::prelude::*;
use parking_lot::Mutex;

use super::said::Waits;
use super::{ChannelActor, ChatCommand, not_said};
use crate::actors::outlet::Outlet;
use crate::actors::realm::Realm;
use crate::engine::chat::{InOrder, Line, Place, Sender};
use crate::ids::{PlayerId, SessionId};
use crate::limits::TURNS_WAITING_MAX;
use crate::store::{Done, Store};
use crate::wire::chat as says;
use crate::wire::time::SentAt;
use crate::wire::{Cid, Dialect, Frame, Outbound, Reason, Refusal};

/// How whoever writes a direct message is told what became of it, on whatever thread that is known. Dropped uncalled
/// where the channel dies first.
pub type Sent = Box<dyn FnOnce(Result<says::DmSent, Refusal>) + Send>;

/// A direct message on its way to its channel.
pub struct Letter {
    /// From whom.
    pub from: PlayerId,
    /// Through which session, if any: what each asks of a channel is done in its order.
    pub session: Option<SessionId>,
    /// What.
    pub content: String,
    /// Told what became of it.
    pub sent: Sent,
}

/// Sends a direct message. The channel is told at once, so that it comes in its turn among what else the sender says
/// there.
pub fn send_dm(realm: &Arc<Realm>, to: PlayerId, letter: Letter) {
    let channel = Place::dm(letter.from, to).id();
    let (Err(SendError::Full(back)) | Err(SendError::Closed(back))) =
        realm.tell_channel(&channel, ChatCommand::Write(letter))
    else {
        return;
    };
    if let ChatCommand::Write(letter) = back {
        (letter.sent)(Err(Reason::Busy.into()));
    }
}

/// The answers to a session's direct messages. Their channels know nothing of each other, so what is ready first waits
/// here for what was asked first.
pub struct DmAnswers {
    outlet: Arc<Outlet>,
    line: Mutex<InOrder<Frame>>,
}

impl DmAnswers {
    /// Answers over this outlet.
    pub fn new(outlet: Arc<Outlet>) -> Arc<Self> {
        Arc::new(Self { outlet, line: Mutex::new(InOrder::new(TURNS_WAITING_MAX)) })
    }

    /// A place for the answer to the message that is sent now; none where too many wait.
    pub fn place(self: &Arc<Self>, realm: &Arc<Realm>, cid: Option<Cid>) -> Option<Sent> {
        let number = self.line.lock().ask()?;
        let answer = Answer { answers: self.clone(), realm: realm.clone(), number: Some(number), cid };
        Some(Box::new(move |outcome| answer.give(outcome)))
    }

    fn answer(&self, number: u64, frame: Frame) {
        // Held while pushing: two threads that both have an answer must not pass each other.
        let mut line = self.line.lock();
        line.answer(number, frame);
        while let Some(frame) = line.pop() {
            self.outlet.push_own(frame);
        }
    }
}

/// The answer to one direct message. Dropped without being given it is `busy`: the others wait for it.
struct Answer {
    answers: Arc<DmAnswers>,
    realm: Arc<Realm>,
    number: Option<u64>,
    cid: Option<Cid>,
}

impl Answer {
    fn give(mut self, outcome: Result<says::DmSent, Refusal>) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Result<says::DmSent, Refusal>) {
        let Some(number) = self.number.take() else { return };
        let frame = match outcome {
            Ok(sent) => sent.frame(self.cid.as_ref()),
            Err(refusal) => {
                self.realm.meters.refused(refusal.reason.row().code);
                refusal.frame(self.cid.as_ref(), None)
            }
        };
        self.answers.answer(number, frame);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.tell(Err(Reason::Busy.into()));
    }
}

/// Whether there are players of both ids: a direct channel with nobody at one end is none.
pub(super) fn both_exist(store: &Arc<dyn Store>, a: PlayerId, b: PlayerId, done: Done<bool>) {
    let then = store.clone();
    let first = move |found: Result<Option<_>, _>| match found {
        Ok(Some(_)) => then.player(b, Box::new(move |found| done(found.map(|player| player.is_some())))),
        Ok(None) => done(Ok(false)),
        Err(error) => done(Err(error)),
    };
    store.player(a, Box::new(first));
}

impl ChannelActor {
    /// Either of the two writes to the other: as what a member says, but for joining.
    pub(super) fn write(&mut self, letter: Letter, ctx: &mut Context<Self>) {
        let Letter { from, session, content, sent } = letter;
        if let Some(refusal) = super::muted(&self.realm, from, &self.name) {
            return sent(Err(refusal));
        }
        let sender = Sender::Writer(from);
        match self.channel.admit(sender, &content, &(), self.realm.clock.now_ms()) {
            Ok(content) => {
                if let Some(reason) = self.shut {
                    self.channel.withdraw(sender);
                    return sent(Err(reason.into()));
                }
                if let Some(session) = session {
                    self.turns.begin(session);
                }
                self.keep(sender, content, Waits::Writer(session, sent), ctx);
            }
            Err(refused) => sent(Err(as_dm(not_said(refused)))),
        }
    }

    /// Tells a direct message: its recipient has it as such wherever they are, and its sender by the acknowledgement,
    /// save where they listen by another way than they wrote.
    pub(super) fn tell_written(&self, line: &Line, writer: Option<SessionId>) {
        let Some((sender, other)) = line.sender.and_then(|sender| self.other_of(sender)) else { return };
        self.tell_dm(line, sender, other);
        let message = super::message_of(&self.name, line);
        for (session, player, outlet) in self.channel.members() {
            if player != other && writer != Some(session) {
                outlet.push(&message.push());
            }
        }
    }

    /// Pushes a line to a player as a direct message.
    pub(super) fn tell_dm(&self, line: &Line, sender: PlayerId, to: PlayerId) {
        if let Some(member) = self.realm.directory.member(to) {
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
}

/// A refusal under the name it has for direct messages.
fn as_dm(refusal: Refusal) -> Refusal {
    match refusal.reason {
        Reason::ContentEmpty => Reason::DmEmpty.into(),
        Reason::ContentTooLarge => Reason::DmTooLarge.into(),
        _ => refusal,
    }
}
