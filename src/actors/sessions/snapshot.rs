//! What a client is told when it cannot be told what it missed: its match, its channels, its tickets.
//!
//! Each part is told by the actor that owns it, in the same turn in which that actor begins to send its news to the new
//! session. The session's outlet holds everything back until all parts are there, so nothing comes before the snapshot
//! and nothing between it and the news is lost.

use std::time::Duration;

use actix::prelude::*;

use super::SessionActor;
use crate::actors::channels::{ChatCommand, Welcome, may_join};
use crate::ids::ChannelId;
use crate::wire::Outbound;
use crate::wire::chat::History;
use crate::wire::matches::Joined;
use crate::wire::matchmaking::Waiting;
use crate::wire::session::Snapshot;

/// How long the parts are waited for. Only an actor that dies just now does not answer.
const GATHER_FOR: Duration = Duration::from_secs(2);

/// One part of a snapshot.
#[derive(Message)]
#[rtype(result = "()")]
pub enum SnapshotPart {
    /// The match the player has a seat in; none if that is over.
    Match(Option<Box<Joined>>),
    /// The tickets the player waits on.
    Tickets(Vec<Waiting>),
    /// The channels that the session before this one was in.
    Channels(Vec<ChannelId>),
    /// One of them, and what was said in it.
    Channel(History),
}

/// A snapshot that is not complete.
pub(super) struct Gathering {
    awaited: usize,
    snapshot: Snapshot,
}

impl Gathering {
    /// Waits for so many parts, at least one.
    pub(super) fn begin(awaited: usize, ctx: &mut Context<SessionActor>) -> Self {
        ctx.run_later(GATHER_FOR, |session, _| session.tell_snapshot());
        Self { awaited, snapshot: Snapshot::default() }
    }
}

impl SessionActor {
    /// Tells what was gathered, and then everything that was held back for it.
    fn tell_snapshot(&mut self) {
        if let Some(gathering) = self.gathering.take() {
            self.outlet.release(&gathering.snapshot.push());
        }
    }

    /// Goes on in the channels of the session before; how many will tell their history.
    fn inherit(&mut self, channels: Vec<ChannelId>, ctx: &Context<Self>) -> usize {
        let shares = channels.len();
        let mut joined = 0;
        for channel in channels {
            if may_join(&self.realm, self.player, &channel).is_err() {
                continue;
            }
            let welcome = Welcome::Snapshot { to: ctx.address(), shares };
            let join = ChatCommand::Join { who: self.listener(), welcome };
            if self.realm.tell_channel(&channel, join).is_ok() {
                self.channels.insert(channel);
                joined += 1;
            }
        }
        joined
    }
}

impl Handler<SnapshotPart> for SessionActor {
    type Result = ();

    fn handle(&mut self, part: SnapshotPart, ctx: &mut Context<Self>) {
        let inherited = match &part {
            SnapshotPart::Channels(channels) if !self.ended => self.inherit(channels.clone(), ctx),
            _ => 0,
        };
        let Some(gathering) = &mut self.gathering else {
            // A match that took the player in while this session took over from another.
            if let SnapshotPart::Match(Some(joined)) = part {
                self.outlet.push(&Snapshot { matches: vec![*joined], ..Snapshot::default() }.push());
            }
            return;
        };
        match part {
            SnapshotPart::Match(joined) => gathering.snapshot.matches.extend(joined.map(|joined| *joined)),
            SnapshotPart::Tickets(tickets) => gathering.snapshot.tickets = tickets,
            SnapshotPart::Channel(history) => gathering.snapshot.channels.push(history),
            SnapshotPart::Channels(_) => {}
        }
        gathering.awaited = (gathering.awaited + inherited).saturating_sub(1);
        if gathering.awaited == 0 {
            self.tell_snapshot();
        }
    }
}
