//! Presence: who is online and what they say about it, told to subscribers and to those who share a match. The rules
//! are [`Presence`]'s; this shell hands it the clock and pushes what it says.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::directory::Member;
use super::realm::Realm;
use crate::engine::presence::{Change, Circle, Presence, PresenceRefused, Shown};
use crate::ids::{ChannelId, MatchId, PlayerId, SessionId};
use crate::limits;
use crate::wire::presence as says;
use crate::wire::{Cid, Outbound, Refusal};

/// A session began.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SessionBegan(
    /// Whose.
    pub PlayerId,
    /// Which.
    pub SessionId,
);

/// A session is over; a connection that is gone is not.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SessionEnded(
    /// Whose.
    pub PlayerId,
    /// Which.
    pub SessionId,
);

/// A player is in a match.
#[derive(Message)]
#[rtype(result = "()")]
pub struct InMatch {
    /// Who.
    pub player: PlayerId,
    /// Which.
    pub match_id: MatchId,
    /// The mode they play; `None` for those who watch.
    pub plays: Option<Arc<str>>,
}

/// And no longer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct OutOfMatch {
    /// Who.
    pub player: PlayerId,
    /// Which.
    pub match_id: MatchId,
}

/// Who belongs to a room changed: its members see each other.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomChanged {
    /// The channel, `room:<name>`.
    pub room: ChannelId,
    /// Who came.
    pub came: Vec<PlayerId>,
    /// Who went.
    pub went: Vec<PlayerId>,
}

/// A player sets their status.
#[derive(Message)]
#[rtype(result = "()")]
pub struct UpdatePresence {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// To what.
    pub update: says::Update,
}

/// A player wants to hear of others, or no longer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// Of whom.
    pub players: Vec<PlayerId>,
    /// Whether they want to.
    pub wanted: bool,
}

/// The actor: one per server, since whoever looks sees the same.
pub struct PresenceActor {
    realm: Arc<Realm>,
    presence: Presence,
    wake: Option<SpawnHandle>,
}

impl PresenceActor {
    /// Nobody is there yet.
    pub fn new(realm: Arc<Realm>) -> Self {
        Self { presence: Presence::new(realm.rules.presence), realm, wake: None }
    }

    /// Pushes what is news and sets the one timer for what is not yet.
    fn tell(&mut self, changes: Vec<Change>, ctx: &mut Context<Self>) {
        for change in changes {
            let frame = changed(change.player, &change.shown).push();
            for member in change.to.iter().filter_map(|viewer| self.realm.directory.member(*viewer)) {
                member.outlet.push(&frame);
            }
        }
        if let Some(wake) = self.wake.take() {
            ctx.cancel_future(wake);
        }
        if let Some(next_ms) = self.presence.next_wake_ms() {
            let wait = Duration::from_millis(next_ms.saturating_sub(self.realm.clock.now_ms()) + 1);
            self.wake = Some(ctx.run_later(wait, |this, ctx| {
                let changes = this.presence.poll(this.realm.clock.now_ms());
                this.tell(changes, ctx);
            }));
        }
    }

    /// Lets others ask whether a player looks absent, without asking this actor.
    fn hide(&self, player: PlayerId) {
        self.realm.directory.set_hidden(player, self.presence.is_hidden(player));
    }

    fn refuse(&self, member: &Member, cid: Option<&Cid>, refusal: Refusal) {
        self.realm.meters.refused(refusal.reason.row().code);
        member.outlet.push(&refusal.frame(cid, None));
    }
}

/// How the wire says what is seen of a player.
fn changed(player_id: PlayerId, shown: &Shown) -> says::Changed {
    let metadata = shown.metadata.as_ref();
    // It came as JSON text that was checked, or was written by us.
    let metadata = metadata.and_then(|text| serde_json::value::RawValue::from_string(text.to_string()).ok());
    says::Changed { player_id, status: shown.status.to_string(), metadata }
}

fn refused(refusal: PresenceRefused) -> Refusal {
    match refusal {
        PresenceRefused::Status => Refusal::invalid("status", "1 to 32 bytes without control characters"),
        PresenceRefused::Metadata => Refusal::invalid("metadata", "an object of at most 1024 bytes"),
        PresenceRefused::Subscriptions => {
            let expected = format!("so many that you follow at most {} in all", limits::SUBSCRIPTIONS_MAX);
            Refusal::invalid("player_ids", expected).with("subscriptions_max", limits::SUBSCRIPTIONS_MAX as u64)
        }
    }
}

impl Actor for PresenceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(limits::MAILBOX_MESSAGES_MAX);
    }
}

impl Handler<SessionBegan> for PresenceActor {
    type Result = ();

    fn handle(&mut self, SessionBegan(player, session): SessionBegan, ctx: &mut Context<Self>) {
        let changes = self.presence.session_began(player, session, self.realm.clock.now_ms());
        self.hide(player);
        self.tell(changes, ctx);
    }
}

impl Handler<SessionEnded> for PresenceActor {
    type Result = ();

    fn handle(&mut self, SessionEnded(player, session): SessionEnded, ctx: &mut Context<Self>) {
        let changes = self.presence.session_ended(player, session, self.realm.clock.now_ms());
        self.hide(player);
        self.tell(changes, ctx);
    }
}

impl Handler<InMatch> for PresenceActor {
    type Result = ();

    fn handle(&mut self, is: InMatch, ctx: &mut Context<Self>) {
        self.presence.enter(is.player, Circle::Match(is.match_id));
        if let Some(mode) = is.plays {
            let changes = self.presence.plays(is.player, is.match_id, &mode, self.realm.clock.now_ms());
            self.tell(changes, ctx);
        }
    }
}

impl Handler<OutOfMatch> for PresenceActor {
    type Result = ();

    fn handle(&mut self, is: OutOfMatch, ctx: &mut Context<Self>) {
        self.presence.leave(is.player, &Circle::Match(is.match_id));
        let changes = self.presence.stops_playing(is.player, is.match_id, self.realm.clock.now_ms());
        self.tell(changes, ctx);
    }
}

impl Handler<RoomChanged> for PresenceActor {
    type Result = ();

    fn handle(&mut self, RoomChanged { room, came, went }: RoomChanged, _: &mut Context<Self>) {
        let circle = Circle::Room(room);
        for player in went {
            self.presence.leave(player, &circle);
        }
        for player in came {
            self.presence.enter(player, circle.clone());
        }
    }
}

impl Handler<UpdatePresence> for PresenceActor {
    type Result = ();

    fn handle(&mut self, message: UpdatePresence, ctx: &mut Context<Self>) {
        let UpdatePresence { member, cid, update } = message;
        let metadata = update.metadata.as_ref().map(|metadata| metadata.get());
        let now_ms = self.realm.clock.now_ms();
        match self.presence.update(member.player, &update.status, metadata, now_ms) {
            Ok(changes) => {
                self.hide(member.player);
                member.outlet.push(&says::Updated { status: update.status }.frame(cid.as_ref()));
                self.tell(changes, ctx);
            }
            Err(refusal) => self.refuse(&member, cid.as_ref(), refused(refusal)),
        }
    }
}

impl Handler<Watch> for PresenceActor {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Context<Self>) {
        let Watch { member, cid, players, wanted } = watch;
        if wanted {
            if let Err(refusal) = self.presence.subscribe(member.player, &players) {
                return self.refuse(&member, cid.as_ref(), refused(refusal));
            }
        } else {
            self.presence.unsubscribe(member.player, &players);
        }
        let players = self.presence.subscriptions(member.player);
        let players = players.iter().map(|(player, shown)| changed(*player, shown)).collect();
        member.outlet.push(&says::Snapshot { players }.frame(cid.as_ref()));
    }
}
