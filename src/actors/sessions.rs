//! A signed-in player: who they are, where they sit, what they are in. Outlives its socket for a grace period.
//!
//! It routes what its player says to the actor that owns the thing, which answers the player's outlet directly. It
//! never waits for an answer itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::channels::{self as chat, ChannelActor, ChatChanged, ChatSaid, ChatTyping};
use super::connection::{CloseCode, Connection};
use super::directory::{Member, VotePlace};
use super::lobby::{self, FindOrCreate};
use super::matches::{CallVote, Join, Leave, MatchActor, PlayerAway, PlayerBack, PlayerInput, SpendVeto};
use super::matchmaker::{AddTicket, FreezeTickets, RemoveTicket, ThawTickets, WithdrawPlayer};
use super::outlet::Outlet;
use super::presence::{InMatch, OutOfMatch, SessionBegan, SessionEnded, UpdatePresence, Watch};
use super::realm::{MatchOrder, NoMatch, Realm};
use super::votes::{Cast, Prove};
use crate::engine::matches::inputs::Input;
use crate::engine::modes::Private;
use crate::engine::rate::{Bucket, Rate};
use crate::engine::votes::audit::Hash;
use crate::engine::votes::record::AuditRecord;
use crate::ids::{ChannelId, MatchId, MessageId, PlayerId, SessionId};
use crate::store::rows::Family;
use crate::wire::matches::{Door, Role};
use crate::wire::{self, Cid, ClientMsg, Dialect, Outbound, Reason, Refusal, Request};

/// How often a player is told that input goes nowhere.
const NOT_IN_MATCH_EVERY_MS: u64 = 5_000;

/// A decoded message of the session's own client.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Inbound {
    /// What it says.
    pub request: Request,
    /// When the frame was received, monotonic milliseconds: votes close by this, not by when we got to it.
    pub received_ms: u64,
}

/// A match took the player in, or says again where it is.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Seated {
    /// Which.
    pub match_id: MatchId,
    /// Its mode.
    pub mode: Arc<str>,
    /// Its rate: the client may send at least twice that.
    pub tick_hz: u32,
    /// Where it is.
    pub addr: Addr<MatchActor>,
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
}

/// The session ends now: signed out, banned, kicked, replaced by another.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EndSession {
    /// What the client is told before it is closed; `None` where a newer session took over silently.
    pub refusal: Option<Refusal>,
    /// Whether seat and tickets go with it. Not when another session of the player takes over.
    pub give_up: bool,
}

struct Seat {
    match_id: MatchId,
    addr: Addr<MatchActor>,
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
    channels: HashSet<ChannelId>,
    joins: Bucket,
    not_in_match_told_ms: Option<u64>,
    grace: Option<SpawnHandle>,
    ended: bool,
    /// The sign-in it came by: revoking that ends the session.
    family: Family,
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
    pub snapshot: bool,
}

impl SessionActor {
    /// A session on the arbiter it is started in; it enters the directory in the place of the player's former one.
    pub fn begin(begin: Begin) -> Addr<Self> {
        let Begin { realm, player, session_id, outlet, connection, opened, family, snapshot } = begin;
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(crate::limits::MAILBOX_MESSAGES_MAX);
            let member = Member { player, session_id, outlet: outlet.clone(), session: ctx.address() };
            // Entered before anything the client says is read, so that the former session's seat and tickets know
            // where to go.
            let former = realm.directory.enter(member.clone());
            if let Some(former) = former {
                former.session.do_send(EndSession { refusal: Some(Reason::SessionReplaced.into()), give_up: false });
            }
            let seat = realm.directory.seat(player).and_then(|match_id| realm.directory.card(match_id));
            match seat {
                Some(card) => card.addr.do_send(PlayerBack { member: member.clone(), snapshot }),
                None if snapshot => outlet.push(&wire::session::Snapshot::default().push()),
                None => {}
            }
            realm.matchmaker().do_send(ThawTickets { member: member.clone() });
            // Before the former one's end is told, so that nobody sees the player go.
            realm.presence().do_send(SessionBegan(player, session_id));
            let joins = Rate::per_minute(realm.rules.limits.joins_per_min, realm.rules.limits.joins_per_min);
            Self {
                joins: Bucket::full(joins, realm.clock.now_ms()),
                realm,
                player,
                session_id,
                outlet,
                connection: Some(connection),
                opened,
                seat: None,
                channels: HashSet::new(),
                not_in_match_told_ms: None,
                grace: None,
                ended: false,
                family,
            }
        })
    }

    fn me(&self, ctx: &Context<Self>) -> Member {
        Member { player: self.player, session_id: self.session_id, outlet: self.outlet.clone(), session: ctx.address() }
    }

    fn refuse(&self, cid: Option<&Cid>, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        self.realm.meters.refused(refusal.reason.row().word);
        self.outlet.push(&refusal.frame(cid, None));
    }

    /// Passes a message on, or says that its owner is too busy (or gone: `gone`).
    fn tell<A, M>(&self, to: &Addr<A>, message: M, cid: Option<&Cid>, gone: Reason)
    where
        A: Actor<Context = Context<A>> + Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        match to.try_send(message) {
            Ok(()) => {}
            Err(SendError::Full(_)) => self.refuse(cid, Reason::Busy),
            Err(SendError::Closed(_)) => self.refuse(cid, gone),
        }
    }

    fn dispatch(&mut self, inbound: Inbound, ctx: &mut Context<Self>) {
        let Inbound { request: Request { cid, seq, msg }, received_ms } = inbound;
        let cid = cid.as_ref();
        match msg {
            ClientMsg::SessionHeartbeat(_) => {
                self.outlet.push(&wire::session::Heartbeat { ts: self.realm.clock.unix_ms() }.frame(cid));
            }
            // The socket answers these before they get here.
            ClientMsg::SessionConnect(_) => {}
            ClientMsg::MatchList(filter) => self.list(filter, cid),
            ClientMsg::MatchCreate(create) => self.create_match(create, cid, ctx),
            ClientMsg::MatchFindOrCreate(find) => self.find_or_create(find, cid, ctx),
            ClientMsg::MatchJoin(join) => self.join_match(join, cid, ctx),
            ClientMsg::MatchInput(input) => self.input(input, seq, cid),
            ClientMsg::MatchLeave(_) => self.leave_match(cid),
            ClientMsg::MatchmakerAdd(add) => self.add_ticket(add, cid, ctx),
            ClientMsg::MatchmakerRemove(remove) => {
                let message = RemoveTicket { member: self.me(ctx), cid: cid.cloned(), ticket_id: remove.ticket_id };
                self.tell(self.realm.matchmaker(), message, cid, Reason::Busy);
            }
            ClientMsg::ChatJoin(join) => self.join_channel(&join.channel_id, cid, ctx),
            ClientMsg::ChatLeave(leave) => self.leave_channel(&leave.channel_id, cid),
            ClientMsg::ChatSend(send) => self.say(send, cid, ctx),
            ClientMsg::DmSend(dm) => {
                chat::send_dm(&self.realm, self.me(ctx), dm.recipient_id, &dm.content, cid.cloned())
            }
            ClientMsg::VoteCast(cast) => self.cast(cast, received_ms, cid),
            ClientMsg::VoteVeto(veto) => self.veto(&veto.vote_id, cid),
            ClientMsg::VoteCall(call) => self.call_vote(call, cid),
            ClientMsg::VoteVerify(verify) => self.verify(&verify, cid),
            ClientMsg::ChatEdit(edit) => {
                self.change_message(&edit.channel_id, edit.message_id, Some(edit.content), cid, ctx);
            }
            ClientMsg::ChatDelete(delete) => {
                self.change_message(&delete.channel_id, delete.message_id, None, cid, ctx);
            }
            ClientMsg::ChatTyping(typing) => {
                let Some(addr) = self.joined(&typing.channel_id) else {
                    return self.refuse(cid, Reason::NotAuthorized);
                };
                self.tell(&addr, ChatTyping { member: self.me(ctx), cid: cid.cloned() }, cid, Reason::Busy);
            }
            ClientMsg::PresenceUpdate(update) => {
                let update = UpdatePresence { member: self.me(ctx), cid: cid.cloned(), update };
                self.tell(self.realm.presence(), update, cid, Reason::Busy);
            }
            ClientMsg::PresenceSubscribe(watch) => self.watch(watch.player_ids, true, cid, ctx),
            ClientMsg::PresenceUnsubscribe(watch) => self.watch(watch.player_ids, false, cid, ctx),
            ClientMsg::RpcCall(_) => self.refuse(cid, Reason::NotSupported),
        }
    }

    fn list(&self, filter: wire::matches::List, cid: Option<&Cid>) {
        self.outlet.push(&lobby::open_matches(&self.realm, &filter).frame(cid));
    }

    /// One join more, if the player has not used up theirs.
    fn may_join(&mut self, cid: Option<&Cid>) -> bool {
        let per_min = self.realm.rules.limits.joins_per_min;
        let taken = self.joins.take(Rate::per_minute(per_min, per_min), self.realm.clock.now_ms());
        if let Err(limited) = taken {
            self.refuse(cid, Reason::JoinRateLimited.with("retry_ms", limited.retry_ms));
        }
        taken.is_ok()
    }

    fn create_match(&mut self, create: wire::matches::Create, cid: Option<&Cid>, ctx: &Context<Self>) {
        let Some((mode_name, mode)) = self.realm.mode(&create.mode) else {
            return self.refuse(cid, Reason::UnknownMode);
        };
        if !mode.create {
            return self.refuse(cid, Reason::CreateDisabled);
        }
        if create.private && mode.private == Private::Off {
            return self.refuse(cid, Reason::PrivateDisabled);
        }
        if self.realm.directory.seat(self.player).is_some() {
            return self.refuse(cid, Reason::AlreadyInMatch);
        }
        if !self.may_join(cid) {
            return;
        }
        let private = create.private || mode.private == Private::Always;
        let order = MatchOrder { mode: mode_name, private, matched: Vec::new(), bots: 0, promised: 0 };
        match self.realm.start_match(order) {
            Ok(card) => {
                let join = Join {
                    member: self.me(ctx),
                    cid: cid.cloned(),
                    ctx: create.ctx.map(|ctx| ctx.get().to_owned()),
                    spectate: false,
                    invited: true,
                    promised: None,
                };
                self.tell(&card.addr, join, cid, Reason::MatchNotFound);
            }
            Err(no_match) => self.refuse(cid, refusal_of(no_match)),
        }
    }

    fn find_or_create(&mut self, find: wire::matches::FindOrCreate, cid: Option<&Cid>, ctx: &Context<Self>) {
        let Some((mode_name, mode)) = self.realm.mode(&find.mode) else {
            return self.refuse(cid, Reason::UnknownMode);
        };
        if !mode.quick_play {
            return self.refuse(cid, Reason::QuickPlayDisabled);
        }
        if !self.may_join(cid) {
            return;
        }
        let find = FindOrCreate::new(self.me(ctx), cid.cloned(), find.ctx.map(|ctx| ctx.get().to_owned()), mode_name);
        self.tell(self.realm.lobby(), find, cid, Reason::Busy);
    }

    fn join_match(&mut self, join: wire::matches::Join, cid: Option<&Cid>, ctx: &Context<Self>) {
        if !self.may_join(cid) {
            return;
        }
        let (card, invited) = match &join.door {
            Door::Id(match_id) => (self.realm.directory.card(*match_id), false),
            Door::Code(code) => (self.realm.directory.card_by_code(code), true),
        };
        let Some(card) = card else { return self.refuse(cid, Reason::MatchNotFound) };
        let join = Join {
            member: self.me(ctx),
            cid: cid.cloned(),
            ctx: join.ctx.map(|ctx| ctx.get().to_owned()),
            spectate: join.role == Role::Spectator,
            invited,
            promised: None,
        };
        self.tell(&card.addr, join, cid, Reason::MatchNotFound);
    }

    fn input(&mut self, input: wire::matches::Input, seq: Option<u64>, cid: Option<&Cid>) {
        let Some(seat) = self.seat.as_ref().filter(|seat| !seat.spectator) else {
            return self.not_in_match(cid);
        };
        let input = Input { player: self.player, json: input.0, seq };
        match seat.addr.try_send(PlayerInput { input, outlet: self.outlet.clone(), cid: cid.cloned() }) {
            Ok(()) => {}
            Err(SendError::Full(_)) => {
                self.realm.meters.refused(Reason::Busy.row().word);
                self.outlet.push(&Refusal::from(Reason::Busy).frame(cid, Some("match.input")));
            }
            Err(SendError::Closed(_)) => self.not_in_match(cid),
        }
    }

    /// Tells once in a while that input goes nowhere.
    fn not_in_match(&mut self, cid: Option<&Cid>) {
        let now_ms = self.realm.clock.now_ms();
        if self.not_in_match_told_ms.is_none_or(|told_ms| now_ms >= told_ms + NOT_IN_MATCH_EVERY_MS) {
            self.not_in_match_told_ms = Some(now_ms);
            self.realm.meters.refused(Reason::NotInMatch.row().word);
            self.outlet.push(&Refusal::from(Reason::NotInMatch).frame(cid, Some("match.input")));
        }
    }

    fn leave_match(&mut self, cid: Option<&Cid>) {
        let told = self.seat.as_ref().map(|seat| {
            let reply = Some((self.outlet.clone(), cid.cloned()));
            (seat.match_id, seat.addr.try_send(Leave { player: self.player, reason: None, reply }))
        });
        match told {
            // Free at once: what the client sends right behind the leave may already claim another seat.
            Some((match_id, Ok(()))) => self.realm.directory.release_seat(self.player, match_id),
            Some((_, Err(SendError::Full(_)))) => self.refuse(cid, Reason::Busy),
            Some((_, Err(SendError::Closed(_)))) | None => {
                self.outlet.push(&wire::matches::Left::default().frame(cid));
            }
        }
    }

    fn add_ticket(&mut self, add: wire::matchmaking::Add, cid: Option<&Cid>, ctx: &Context<Self>) {
        if self.realm.mode(&add.mode).is_none() {
            return self.refuse(cid, Reason::UnknownMode);
        }
        if self.realm.directory.seat(self.player).is_some() {
            return self.refuse(cid, Reason::AlreadyInMatch);
        }
        let message = AddTicket { member: self.me(ctx), cid: cid.cloned(), add };
        self.tell(self.realm.matchmaker(), message, cid, Reason::Busy);
    }

    fn join_channel(&mut self, name: &str, cid: Option<&Cid>, ctx: &Context<Self>) {
        let channel = match chat::may_join(&self.realm, self.player, name) {
            Ok(channel) => channel,
            Err(refusal) => return self.refuse(cid, refusal),
        };
        let max = self.realm.rules.limits.channels_per_connection_max as usize;
        if !self.channels.contains(&channel) && self.channels.len() >= max {
            return self.refuse(cid, Reason::TooManyChannels.with("channels_max", max as u64));
        }
        let Some(addr) = self.realm.channel(&channel) else { return self.refuse(cid, Reason::Busy) };
        self.channels.insert(channel);
        let message = chat::ChatJoin { member: self.me(ctx), cid: cid.cloned() };
        self.tell(&addr, message, cid, Reason::Busy);
    }

    fn leave_channel(&mut self, name: &str, cid: Option<&Cid>) {
        if let Some(channel) = self.channels.take(name)
            && let Some(addr) = self.realm.directory.live_channel(&channel)
        {
            let _ = addr.try_send(chat::ChatLeave { session: self.session_id });
        }
        self.outlet.push(&wire::chat::Left { channel_id: name.into() }.frame(cid));
    }

    /// A channel that this session has joined and that lives.
    fn joined(&self, name: &str) -> Option<Addr<ChannelActor>> {
        self.channels.get(name).and_then(|channel| self.realm.directory.live_channel(channel))
    }

    fn say(&self, send: wire::chat::Send, cid: Option<&Cid>, ctx: &Context<Self>) {
        let Some(addr) = self.joined(&send.channel_id) else { return self.refuse(cid, Reason::NotAuthorized) };
        let said = ChatSaid { member: self.me(ctx), cid: cid.cloned(), content: send.content };
        self.tell(&addr, said, cid, Reason::Busy);
    }

    fn change_message(
        &self,
        channel: &str,
        message_id: MessageId,
        content: Option<String>,
        cid: Option<&Cid>,
        ctx: &Context<Self>,
    ) {
        let Some(addr) = self.joined(channel) else { return self.refuse(cid, Reason::NotAuthorized) };
        let changed = ChatChanged { member: self.me(ctx), cid: cid.cloned(), message_id, content };
        self.tell(&addr, changed, cid, Reason::Busy);
    }

    fn watch(&self, players: Vec<PlayerId>, wanted: bool, cid: Option<&Cid>, ctx: &Context<Self>) {
        let watch = Watch { member: self.me(ctx), cid: cid.cloned(), players, wanted };
        self.tell(self.realm.presence(), watch, cid, Reason::Busy);
    }

    /// The open vote of the player's own match, or why not.
    fn vote(&self, vote_id: &crate::ids::VoteId) -> Result<Addr<super::votes::VoteActor>, Reason> {
        let seat = self.seat.as_ref().ok_or(Reason::NotInMatch)?;
        match self.realm.directory.vote(vote_id) {
            Some(place) if place.match_id() != seat.match_id => Err(Reason::VoteNotFound),
            Some(VotePlace::Open(_, addr)) => Ok(addr),
            Some(VotePlace::Closed(_)) => Err(Reason::VoteClosed),
            None => Err(Reason::VoteNotFound),
        }
    }

    fn cast(&self, cast: wire::votes::Cast, received_ms: u64, cid: Option<&Cid>) {
        match self.vote(&cast.vote_id) {
            Ok(addr) => {
                let message = Cast {
                    voter: self.player,
                    outlet: self.outlet.clone(),
                    cid: cid.cloned(),
                    ballot: cast.option_id,
                    received_ms,
                };
                self.tell(&addr, message, cid, Reason::VoteClosed);
            }
            Err(reason) => self.refuse(cid, reason),
        }
    }

    fn veto(&self, vote_id: &crate::ids::VoteId, cid: Option<&Cid>) {
        match self.vote(vote_id) {
            Ok(_) => {
                let Some(seat) = &self.seat else { return };
                let spend = SpendVeto {
                    player: self.player,
                    outlet: self.outlet.clone(),
                    cid: cid.cloned(),
                    vote_id: vote_id.clone(),
                    held: false,
                };
                self.tell(&seat.addr, spend, cid, Reason::VoteNotFound);
            }
            Err(reason) => self.refuse(cid, reason),
        }
    }

    fn call_vote(&self, call: wire::votes::Call, cid: Option<&Cid>) {
        let Some(seat) = &self.seat else { return self.refuse(cid, Reason::NotInMatch) };
        let message = CallVote {
            player: self.player,
            outlet: self.outlet.clone(),
            cid: cid.cloned(),
            template: call.template,
            args: call.args.and_then(|args| serde_json::from_str(args.get()).ok()),
        };
        self.tell(&seat.addr, message, cid, Reason::NotInMatch);
    }

    /// A vote that is open answers by itself, of one that is over the record does.
    fn verify(&self, verify: &wire::votes::Verify, cid: Option<&Cid>) {
        let Some(receipt) = Hash::from_hex(&verify.receipt) else { return self.refuse(cid, Reason::ReceiptUnknown) };
        let outlet = self.outlet.clone();
        let cid_sent = cid.cloned();
        if let Some(VotePlace::Open(_, addr)) = self.realm.directory.vote(&verify.vote_id) {
            return self.tell(&addr, Prove { outlet, cid: cid_sent, receipt }, cid, Reason::Busy);
        }
        self.realm.store.vote_audit(
            verify.vote_id.clone(),
            Box::new(move |record| {
                let cid = cid_sent.as_ref();
                let answer = match record {
                    Ok(Some(record)) => AuditRecord::prove(&record, receipt)
                        .map(|proof| wire::votes::proof_frame(&proof, cid))
                        .ok_or(Reason::ReceiptUnknown),
                    Ok(None) => Err(Reason::VoteNotFound),
                    Err(_) => Err(Reason::Internal),
                };
                outlet.push(&answer.unwrap_or_else(|reason| Refusal::from(reason).frame(cid, None)));
            }),
        );
    }

    /// How long the session lives without a socket.
    fn grace(&self) -> Duration {
        let seat_s = self.seat.as_ref().map_or(0, |seat| seat.grace_s);
        Duration::from_secs(self.realm.rules.resume_grace_s.max(seat_s).into())
    }

    /// Everything that was held for the player is given up, or left to the session that took over.
    fn end(&mut self, give_up: bool) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        for channel in self.channels.drain() {
            if let Some(addr) = self.realm.directory.live_channel(&channel) {
                // `do_send` on purpose: a lost leave would keep the channel talking to nobody.
                addr.do_send(chat::ChatLeave { session: self.session_id });
            }
        }
        let was_mine = self.realm.directory.exit(self.player, self.session_id);
        self.realm.presence().do_send(SessionEnded(self.player, self.session_id));
        if give_up && was_mine {
            // A seat that was taken a moment ago may not have been told to us yet; the directory knows it.
            let seat = self.seat.take().map(|seat| (seat.match_id, seat.addr)).or_else(|| {
                let match_id = self.realm.directory.seat(self.player)?;
                Some((match_id, self.realm.directory.card(match_id)?.addr.clone()))
            });
            if let Some((match_id, addr)) = seat {
                self.realm.presence().do_send(OutOfMatch { player: self.player, match_id });
                // `do_send` on purpose: once per session, and the seat must not be lost to a full mailbox.
                addr.do_send(Leave { player: self.player, reason: Some("disconnected"), reply: None });
            }
            self.realm.matchmaker().do_send(WithdrawPlayer { player: self.player });
        }
    }
}

/// What a client is told when no match could be started.
pub fn refusal_of(no_match: NoMatch) -> Refusal {
    match no_match {
        NoMatch::UnknownMode => Reason::UnknownMode,
        NoMatch::Capacity => Reason::MatchCapacityReached,
        NoMatch::Draining => Reason::Draining,
    }
    .into()
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.end(true);
    }
}

impl Handler<Inbound> for SessionActor {
    type Result = ();

    fn handle(&mut self, inbound: Inbound, ctx: &mut Context<Self>) {
        self.dispatch(inbound, ctx);
    }
}

impl Handler<Seated> for SessionActor {
    type Result = ();

    fn handle(&mut self, seated: Seated, ctx: &mut Context<Self>) {
        if let Some(connection) = &self.connection {
            connection.set_frames_per_s_floor(seated.tick_hz * 2);
        }
        self.realm.matchmaker().do_send(WithdrawPlayer { player: self.player });
        let plays = (!seated.spectator).then(|| seated.mode.clone());
        self.realm.presence().do_send(InMatch { player: self.player, match_id: seated.match_id, plays });
        self.seat = Some(Seat {
            match_id: seated.match_id,
            addr: seated.addr,
            spectator: seated.spectator,
            grace_s: seated.grace_s,
        });
        if self.connection.is_none() {
            // The socket went while the seat was being taken: the match has not been told yet.
            self.go_away(ctx);
        }
    }
}

impl Handler<Unseated> for SessionActor {
    type Result = ();

    fn handle(&mut self, unseated: Unseated, _: &mut Context<Self>) {
        // The next match's `Seated` may have overtaken this; what is left behind is left behind all the same.
        self.realm.presence().do_send(OutOfMatch { player: self.player, match_id: unseated.match_id });
        let channel: ChannelId = format!("match:{}", unseated.match_id).into();
        if self.channels.remove(&channel)
            && let Some(addr) = self.realm.directory.live_channel(&channel)
        {
            // `do_send` on purpose: a lost leave would keep the channel talking to us.
            addr.do_send(chat::ChatLeave { session: self.session_id });
        }
        if self.seat.as_ref().is_some_and(|seat| seat.match_id == unseated.match_id) {
            self.seat = None;
            if let Some(connection) = &self.connection {
                connection.set_frames_per_s_floor(0);
            }
        }
    }
}

impl Handler<SocketGone> for SessionActor {
    type Result = ();

    fn handle(&mut self, gone: SocketGone, ctx: &mut Context<Self>) {
        if gone.opened != self.opened || self.ended {
            return;
        }
        self.connection = None;
        self.realm.matchmaker().do_send(FreezeTickets { player: self.player });
        self.go_away(ctx);
    }
}

impl SessionActor {
    /// Nobody is there: the match is told, and the session ends when the grace does.
    fn go_away(&mut self, ctx: &mut Context<Self>) {
        if let Some(seat) = &self.seat {
            seat.addr.do_send(PlayerAway(self.player));
        }
        if let Some(earlier) = self.grace.take() {
            ctx.cancel_future(earlier);
        }
        let grace = self.grace();
        self.grace = Some(ctx.run_later(grace, |_, ctx| ctx.stop()));
    }
}

/// A session that dies of a panic holds nothing for ever either.
impl Drop for SessionActor {
    fn drop(&mut self) {
        self.end(true);
    }
}

impl Handler<SocketBack> for SessionActor {
    type Result = ();

    fn handle(&mut self, back: SocketBack, ctx: &mut Context<Self>) {
        if let Some(grace) = self.grace.take() {
            ctx.cancel_future(grace);
        }
        self.opened = back.opened;
        if let Some(seat) = &self.seat {
            seat.addr.do_send(PlayerBack { member: self.me(ctx), snapshot: false });
        }
        self.connection = Some(back.connection);
        self.realm.matchmaker().do_send(ThawTickets { member: self.me(ctx) });
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
            let end = EndSession { refusal: Some(revoked.refusal), give_up: true };
            <Self as Handler<EndSession>>::handle(self, end, ctx);
        }
    }
}

impl Handler<EndSession> for SessionActor {
    type Result = ();

    fn handle(&mut self, end: EndSession, ctx: &mut Context<Self>) {
        if let Some(refusal) = &end.refusal {
            self.outlet.push(&refusal.frame(None, None));
            if let Some(connection) = self.connection.take() {
                let code = match refusal.reason.row().closes {
                    Some(1012) => CloseCode::Restart,
                    _ => CloseCode::Policy,
                };
                connection.close(code, refusal.reason.row().word);
            }
        }
        self.end(end.give_up);
        ctx.stop();
    }
}

/// The dialect that an unprefixed channel gives away: only the seed's clients use those.
pub fn dialect_given_away(msg: &ClientMsg) -> Option<Dialect> {
    match msg {
        ClientMsg::ChatJoin(join) if !join.channel_id.contains(':') => Some(Dialect::Seed202604),
        _ => None,
    }
}
