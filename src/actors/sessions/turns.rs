//! One thing after the other: whoever asks for a seat or a ticket, or gives one up, and at once for something more, means
//! the more to come after. Those are done by other actors, which know nothing of each other, so what is asked behind one
//! of them waits here until it is done, and everything is answered in the order in which it was asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::SessionActor;
use crate::limits::REQUESTS_WAITING_MAX;
use crate::wire::{Cid, ClientMsg};

/// Goes with such a request wherever it is sent. When the last of it is dropped, which is after the answer, and also
/// where the request dies with a mailbox, its session goes on.
#[derive(Clone)]
pub struct Turn(#[allow(dead_code, reason = "what counts is when it is dropped")] Arc<Ends>);

struct Ends(Addr<SessionActor>);

impl Drop for Ends {
    fn drop(&mut self) {
        // `do_send` on purpose: one at a time, and the session waits for it.
        self.0.do_send(TurnOver);
    }
}

/// How often whoever leaves a seat that they were not told of yet looks for it.
pub(super) const SEAT_TOLD_LOOK: Duration = Duration::from_millis(5);

/// A leave that waits for its seat to be told.
pub(super) struct Leaving {
    pub(super) cid: Option<Cid>,
    pub(super) turn: Turn,
    pub(super) until_ms: u64,
}

/// A request is done.
#[derive(Message)]
#[rtype(result = "()")]
struct TurnOver;

/// What a client asked.
pub(super) struct Asked {
    pub(super) cid: Option<Cid>,
    pub(super) seq: Option<u64>,
    pub(super) msg: ClientMsg,
    pub(super) received_ms: u64,
}

/// What waits for its turn.
#[derive(Default)]
pub(super) struct Queue {
    /// A request is on its way, and not done.
    is_out: bool,
    waiting: VecDeque<Asked>,
}

impl Queue {
    /// What may be done now. None where it waits; an error, with its `cid`, where too much does.
    pub(super) fn admit(&mut self, asked: Asked) -> Option<Result<Asked, Option<Cid>>> {
        // Whether anybody is there is nobody's turn.
        if !self.is_out || matches!(asked.msg, ClientMsg::SessionHeartbeat(_)) {
            return Some(Ok(asked));
        }
        if self.waiting.len() >= REQUESTS_WAITING_MAX {
            return Some(Err(asked.cid));
        }
        self.waiting.push_back(asked);
        None
    }
}

impl SessionActor {
    /// For a request that is sent now: what comes behind it waits until it is done.
    pub(super) fn take_turn(&mut self, ctx: &Context<Self>) -> Turn {
        self.queue.is_out = true;
        Turn(Arc::new(Ends(ctx.address())))
    }
}

impl Handler<TurnOver> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: TurnOver, ctx: &mut Context<Self>) {
        self.queue.is_out = false;
        while !self.queue.is_out
            && let Some(asked) = self.queue.waiting.pop_front()
        {
            self.execute(asked, ctx);
        }
    }
}
