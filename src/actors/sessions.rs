//! A signed-in player: who they are, where they sit, what they are in. Outlives its socket for a grace period.
//!
//! It routes what its player says to the actor that owns the thing ([`requests`]), which answers the player's outlet
//! directly. It never waits for an answer itself; only what a newcomer's snapshot holds is gathered here ([`snapshot`]).

mod requests;
mod snapshot;
mod turns;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::channels::{ChatCommand, DmAnswers};
use super::connection::{CloseCode, Connection};
use super::directory::{MatchCard, Member};
use super::matches::{Leave, Parting, PlayerAway, PlayerBack, Resync};
use super::matchmaker::{FreezeTickets, ThawTickets, WithdrawPlayer};
use super::outlet::Outlet;
use super::presence::{InMatch, OutOfMatch, SessionBegan, SessionEnded};
use super::realm::Realm;
use crate::engine::rate::{Bucket, Rate};
use crate::engine::sessions::Resent;
use crate::ids::{ChannelId, MatchId, PlayerId, SessionId};
use crate::store::rows::Family;
use crate::wire::chat::Left;
use crate::wire::session::Resume;
use crate::wire::{Outbound, Reason, Refusal, Request};

pub use requests::{dialect_given_away, refusal_of};
pub use snapshot::SnapshotPart;
pub use turns::Turn;

use snapshot::Gathering;

/// How often a player is told that input goes nowhere.
const NOT_IN_MATCH_EVERY_MS: u64 = 5_000;

/// How often a player is told that inputs are dropped.
const OVERFLOW_EVERY_MS: u64 = 1_000;

/// A decoded message of the session's own client.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Inbound {
    /// The socket it came by: once a newer one has taken its place it is heard no more, since the client says again over
    /// that one what was not answered.
    pub opened: u64,
    /// What it says.
    pub request: Request,
    /// When the frame was received, monotonic milliseconds: votes close by this, not by when we got to it.
    pub received_ms: u64,
    /// Fingerprint of the whole text, where it has a `cid` and a counted answer: to know it again when it is sent again.
    pub print: Option<u64>,
}

/// A match took the player in, or says again where it is.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Seated {
    /// Which, and how it is reached.
    pub card: Arc<MatchCard>,
    /// Its rate: the client may send at least twice that.
    pub tick_hz: u32,
    /// Whether the player only watches.
    pub spectator: bool,
    /// How long it holds the seat of a player who is away, seconds.
    pub grace_s: u32,
}

/// A match let the player go.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unseated {
    /// Which.
    pub match_id: MatchId,
}

/// The socket is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SocketGone {
    /// Which one: a newer one may have taken its place.
    pub opened: u64,
}

/// A new socket took over and the client was told what it missed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SocketBack {
    /// The new one.
    pub opened: u64,
    /// Its connection.
    pub connection: Arc<Connection>,
    /// The sign-in it came by.
    pub family: Family,
    /// Counted frames that the client had received: what it asks again was asked before these.
    pub received: u64,
}

/// The client signed in again over its live socket, perhaps by another sign-in.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SignedInAgain {
    /// The sign-in that counts from now on.
    pub family: Family,
    /// It is to be shown states differently from now on: what it was shown before counts for nothing.
    pub resync: bool,
}

/// A channel let the session go, or did not let it in.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LetGo {
    /// Which.
    pub channel: ChannelId,
    /// Whether the client was told that it is in it: then it is told that it no longer is.
    pub was_in: bool,
}

/// The session ends now: signed out, banned, kicked, replaced by another.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EndSession {
    /// What the client is told before it is closed; `None` where a newer session took over silently.
    pub refusal: Option<Refusal>,
    /// Whether seat and tickets go with it. Not when another session of the player takes over.
    pub give_up: bool,
    /// The session that goes on for the same client and takes its channels over.
    pub heir: Option<Addr<SessionActor>>,
}

struct Seat {
    match_id: MatchId,
    card: Arc<MatchCard>,
    spectator: bool,
    grace_s: u32,
}

/// The actor.
pub struct SessionActor {
    realm: Arc<Realm>,
    player: PlayerId,
    session_id: SessionId,
    outlet: Arc<Outlet>,
    /// The connection that is attached now, and its number.
    connection: Option<Arc<Connection>>,
    opened: u64,
    seat: Option<Seat>,
    /// What its client asked first and is not done yet, and what waits for that.
    queue: turns::Queue,
    leaving: Option<turns::Leaving>,
    channels: HashSet<ChannelId>,
    /// Those it left lately: they may still owe it answers.
    left: VecDeque<ChannelId>,
    /// Answers to direct messages that wait for the one before.
    dms: Arc<DmAnswers>,
    joins: Bucket,
    not_in_match_told_ms: Option<u64>,
    overflow_told_ms: Option<u64>,
    grace: Option<SpawnHandle>,
    /// Nobody came back in time.
    is_overdue: bool,
    ended: bool,
    /// The sign-in it came by last: revoking that ends the session.
    family: Family,
    /// Requests that may come again.
    resent: Resent,
    /// The snapshot that its client waits for.
    gathering: Option<Gathering>,
}

/// What a session begins with.
pub struct Begin {
    /// Everything shared.
    pub realm: Arc<Realm>,
    /// Who.
    pub player: PlayerId,
    /// The session's id.
    pub session_id: SessionId,
    /// What the player is sent.
    pub outlet: Arc<Outlet>,
    /// The connection it began on.
    pub connection: Arc<Connection>,
    /// Its number.
    pub opened: u64,
    /// The sign-in it came by.
    pub family: Family,
    /// The client asked for a resume that was not possible: it gets a snapshot.
    pub resume: Option<Resume>,
}

impl SessionActor {
    /// A session on the arbiter it is started in; it enters the directory in the place of the player's former one.
    pub fn begin(begin: Begin) -> Addr<Self> {
        let Begin { realm, player, session_id, outlet, connection, opened, family, resume } = begin;
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(crate::limits::MAILBOX_MESSAGES_MAX);
            let member = Member { player, session_id, outlet: outlet.clone(), session: ctx.address() };
            let snapshot = resume.is_some();
            if snapshot {
                // Nothing is told before the snapshot, and everything from when it was gathered follows it.
                outlet.hold();
            }
            // Entered before anything the client says is read, so that the former session's seat and tickets know
            // where to go.
            let former = realm.directory.enter(member.clone());
            let mut awaited = 0;
            if let Some(former) = former {
                // Channels go to a client that comes back to its own session, not to another of the same player.
                let mine = resume.is_some_and(|resume| resume.session_id == Some(former.session_id));
                let heir = (mine && former.session.connected()).then(|| ctx.address());
                awaited += usize::from(heir.is_some());
                let refusal = Some(Reason::SessionReplaced.into());
                former.session.do_send(EndSession { refusal, give_up: false, heir });
            }
            let seat = realm.directory.seat(player).and_then(|match_id| realm.directory.card(match_id));
            if let Some(card) = seat {
                awaited += 1;
                card.addr.do_send(PlayerBack { member: member.clone(), snapshot });
            }
            awaited += 1;
            realm.matchmaker().do_send(ThawTickets { member: member.clone(), snapshot });
            // Before the former one's end is told, so that nobody sees the player go.
            realm.presence().do_send(SessionBegan(player, session_id));
            let joins = Rate::per_minute(realm.rules.limits.joins_per_min, realm.rules.limits.joins_per_min);
            let dms = DmAnswers::new(outlet.clone());
            Self {
                joins: Bucket::full(joins, realm.clock.now_ms()),
                gathering: snapshot.then(|| Gathering::begin(awaited, ctx)),
                realm,
                player,
                session_id,
                outlet,
                connection: Some(connection),
                opened,
                seat: None,
                queue: turns::Queue::default(),
                leaving: None,
                channels: HashSet::new(),
                left: VecDeque::new(),
                dms,
                not_in_match_told_ms: None,
                overflow_told_ms: None,
                grace: None,
                is_overdue: false,
                ended: false,
                family,
                resent: Resent::default(),
            }
        })
    }

    /// How long the session lives without a socket.
    fn grace(&self) -> Duration {
        let seat_s = self.seat.as_ref().map_or(0, |seat| seat.grace_s);
        Duration::from_secs(self.realm.rules.resume_grace_s.max(seat_s).into())
    }

    /// Everything that was held for the player is given up, or left to the session that took over.
    fn end(&mut self, give_up: bool, why: Parting) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        for channel in self.channels.drain() {
            let leave = ChatCommand::Leave { session: self.session_id, reply: None, hears_out: false };
            self.realm.directory.oblige_channel(&channel, leave);
        }
        let was_mine = self.realm.directory.exit(self.player, self.session_id);
        self.realm.presence().do_send(SessionEnded(self.player, self.session_id));
        if give_up && was_mine {
            // A seat that was taken a moment ago may not have been told to us yet; the directory knows it.
            let seat = self.seat.take().map(|seat| seat.card).or_else(|| {
                let match_id = self.realm.directory.seat(self.player)?;
                self.realm.directory.card(match_id)
            });
            if let Some(card) = seat {
                self.realm.presence().do_send(OutOfMatch { player: self.player, match_id: card.match_id });
                // `do_send` on purpose: once per session, and the seat must not be lost to a full mailbox.
                let session = Some(self.session_id);
                card.addr.do_send(Leave { player: self.player, session, why, reply: None, turn: None });
            }
            self.realm.matchmaker().do_send(WithdrawPlayer { player: self.player });
        }
    }

    /// Nobody is there: the match is told, and the session ends when the grace does.
    fn go_away(&mut self, ctx: &mut Context<Self>) {
        if let Some(seat) = &self.seat {
            seat.card.addr.do_send(PlayerAway { player: self.player, session: self.session_id });
        }
        if let Some(earlier) = self.grace.take() {
            ctx.cancel_future(earlier);
        }
        let grace = self.grace();
        self.grace = Some(ctx.run_later(grace, |this, ctx| this.grace_over(ctx)));
    }

    /// The grace is over, and the session with it, unless its match holds the seat still, as one does whose clock an operator
    /// held: then it ends when that lets go.
    fn grace_over(&mut self, ctx: &mut Context<Self>) {
        self.grace = None;
        self.is_overdue = true;
        self.end_if_overdue(ctx);
    }

    fn end_if_overdue(&self, ctx: &mut Context<Self>) {
        let is_held = self.seat.as_ref().is_some_and(|seat| !seat.spectator);
        if self.is_overdue && !is_held {
            ctx.stop();
        }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.end(true, Parting::Expired);
    }
}

/// A session that dies of a panic holds nothing for ever either.
impl Drop for SessionActor {
    fn drop(&mut self) {
        self.end(true, Parting::Expired);
    }
}

impl Handler<Inbound> for SessionActor {
    type Result = ();

    fn handle(&mut self, inbound: Inbound, ctx: &mut Context<Self>) {
        if inbound.opened == self.opened {
            self.dispatch(inbound, ctx);
        }
    }
}

impl Handler<Seated> for SessionActor {
    type Result = ();

    fn handle(&mut self, seated: Seated, ctx: &mut Context<Self>) {
        let Seated { card, tick_hz, spectator, grace_s } = seated;
        if let Some(connection) = &self.connection {
            connection.set_frames_per_s_floor(tick_hz * 2);
        }
        self.realm.matchmaker().do_send(WithdrawPlayer { player: self.player });
        let plays = (!spectator).then(|| card.mode.clone());
        self.realm.presence().do_send(InMatch { player: self.player, match_id: card.match_id, plays });
        self.seat = Some(Seat { match_id: card.match_id, card, spectator, grace_s });
        self.go_on_leaving(ctx);
        if self.connection.is_none() {
            // The socket went while the seat was being taken: the match has not been told yet.
            self.go_away(ctx);
        }
    }
}

impl Handler<Unseated> for SessionActor {
    type Result = ();

    fn handle(&mut self, unseated: Unseated, ctx: &mut Context<Self>) {
        // The next match's `Seated` may have overtaken this; what is left behind is left behind all the same.
        self.realm.presence().do_send(OutOfMatch { player: self.player, match_id: unseated.match_id });
        let channel: ChannelId = format!("match:{}", unseated.match_id).into();
        if self.channels.remove(&channel) {
            self.remember_left(channel.clone());
            let leave = ChatCommand::Leave { session: self.session_id, reply: None, hears_out: true };
            self.realm.directory.oblige_channel(&channel, leave);
        }
        if self.seat.as_ref().is_some_and(|seat| seat.match_id == unseated.match_id) {
            self.seat = None;
            if let Some(connection) = &self.connection {
                connection.set_frames_per_s_floor(0);
            }
            self.end_if_overdue(ctx);
        }
    }
}

impl Handler<LetGo> for SessionActor {
    type Result = ();

    fn handle(&mut self, LetGo { channel, was_in }: LetGo, _: &mut Context<Self>) {
        if !self.channels.remove(&channel) {
            return;
        }
        if was_in {
            self.outlet.push(&Left { channel_id: channel.to_string() }.push());
        }
        self.remember_left(channel.clone());
        // A join may have overtaken this, and been let in: the session is in what it counts, and in nothing else.
        let leave = ChatCommand::Leave { session: self.session_id, reply: None, hears_out: false };
        self.realm.directory.oblige_channel(&channel, leave);
    }
}

impl Handler<SocketGone> for SessionActor {
    type Result = ();

    fn handle(&mut self, gone: SocketGone, ctx: &mut Context<Self>) {
        if gone.opened != self.opened || self.ended {
            return;
        }
        self.connection = None;
        self.realm.matchmaker().do_send(FreezeTickets { player: self.player, session: self.session_id });
        self.go_away(ctx);
    }
}

impl Handler<SocketBack> for SessionActor {
    type Result = ();

    fn handle(&mut self, back: SocketBack, ctx: &mut Context<Self>) {
        if let Some(grace) = self.grace.take() {
            ctx.cancel_future(grace);
        }
        self.is_overdue = false;
        self.opened = back.opened;
        self.family = back.family;
        self.resent.resumed(back.received, self.realm.clock.now_ms());
        if let Some(seat) = &self.seat {
            seat.card.addr.do_send(PlayerBack { member: self.me(ctx), snapshot: false });
        }
        self.connection = Some(back.connection);
        self.realm.matchmaker().do_send(ThawTickets { member: self.me(ctx), snapshot: false });
    }
}

impl Handler<SignedInAgain> for SessionActor {
    type Result = ();

    fn handle(&mut self, SignedInAgain { family, resync }: SignedInAgain, _: &mut Context<Self>) {
        self.family = family;
        if let Some(seat) = self.seat.as_ref().filter(|_| resync) {
            // A match too busy to hear it shows a whole state before long anyway.
            let _ = seat.card.addr.try_send(Resync(self.player));
        }
    }
}

/// These sign-ins are over; the session that came by one of them ends.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Revoked {
    /// Which.
    pub families: Arc<[Family]>,
    /// What the client is told.
    pub refusal: Refusal,
}

impl Handler<Revoked> for SessionActor {
    type Result = ();

    fn handle(&mut self, revoked: Revoked, ctx: &mut Context<Self>) {
        if revoked.families.contains(&self.family) {
            let end = EndSession { refusal: Some(revoked.refusal), give_up: true, heir: None };
            <Self as Handler<EndSession>>::handle(self, end, ctx);
        }
    }
}

impl Handler<EndSession> for SessionActor {
    type Result = ();

    fn handle(&mut self, end: EndSession, ctx: &mut Context<Self>) {
        if let Some(refusal) = &end.refusal {
            self.realm.meters.refused(refusal.reason.row().code);
            self.outlet.push(&refusal.frame(None, None));
            if let Some(connection) = self.connection.take() {
                let code = match refusal.reason.row().closes {
                    Some(1012) => CloseCode::Restart,
                    _ => CloseCode::Policy,
                };
                connection.close(code, refusal.reason.row().word);
            }
        }
        if let Some(heir) = &end.heir {
            heir.do_send(SnapshotPart::Channels(self.channels.iter().cloned().collect()));
        }
        self.end(end.give_up, Parting::Ended);
        ctx.stop();
    }
}
