//! What a client asks for: each request is passed to the actor that owns the thing, which answers the client itself.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use actix::prelude::*;

use super::turns::{Asked, Leaving, SEAT_TOLD_LOOK};
use super::{Inbound, NOT_IN_MATCH_EVERY_MS, OVERFLOW_EVERY_MS, SessionActor};
use crate::actors::channels::{self as chat, ChatCommand, Letter, Listener, Reply, Welcome};
use crate::actors::directory::{Member, VotePlace};
use crate::actors::lobby::{self, FindOrCreate};
use crate::actors::mail::{Mail, Waiting};
use crate::actors::matches::{CallVote, Join, Leave, Parting, Resync, SpendVeto};
use crate::actors::matchmaker::{AddTicket, RemoveTicket, may_take_along};
use crate::actors::overload::Pressure;
use crate::actors::presence::{UpdatePresence, Watch};
use crate::actors::realm::{MatchOrder, NoMatch};
use crate::actors::votes::{Cast, Prove, VoteActor};
use crate::engine::matches::inputs::{Input, Pushed};
use crate::engine::modes::Private;
use crate::engine::rate::Rate;
use crate::engine::sessions::Replied;
use crate::engine::votes::audit::Hash;
use crate::engine::votes::record::AuditRecord;
use crate::ids::{ChannelId, PlayerId, VoteId};
use crate::limits::{CHANNELS_LEFT_MAX, SEAT_TOLD_MS};
use crate::wire::matches::{Door, Role};
use crate::wire::{self, Cid, ClientMsg, Dialect, Frame, Outbound, Reason, Refusal, Request};

impl SessionActor {
    pub(super) fn me(&self, ctx: &Context<Self>) -> Member {
        Member { player: self.player, session_id: self.session_id, outlet: self.outlet.clone(), session: ctx.address() }
    }

    pub(super) fn refuse(&self, cid: Option<&Cid>, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        self.realm.meters.refused(refusal.reason.row().code);
        self.outlet.push(&refusal.frame(cid, None));
    }

    /// The number of a request, which is remembered by it in case it comes again. None for one that was sent before the
    /// connection was lost and came again after the resume: its answer was replayed, or is still to come.
    fn number(&mut self, print: u64) -> Option<NonZeroU64> {
        while let Some((asked, received)) = self.resent.again(print, self.realm.clock.now_ms()) {
            match self.outlet.replied(&asked) {
                // One that the client has had its answer to is an equal request of a client with one cid for everything,
                // and there may be another of those that it still waits for.
                Replied::At(number) if number <= received => {}
                Replied::Forgotten => {}
                Replied::At(_) | Replied::NotYet => {
                    self.resent.note(asked);
                    return None;
                }
            }
        }
        Some(self.resent.ask(print, self.outlet.counted()))
    }

    /// Passes a message on, or says that its owner is too busy (or gone: `gone`).
    fn tell<A, M>(&self, to: &Mail<A>, message: M, cid: Option<&Cid>, gone: Reason)
    where
        A: Actor<Context = Context<A>> + Handler<Waiting<M>>,
        M: Message<Result = ()> + Send + 'static,
    {
        match to.try_send(message) {
            Ok(()) => {}
            Err(SendError::Full(_)) => self.refuse(cid, Reason::Busy),
            Err(SendError::Closed(_)) => self.refuse(cid, gone),
        }
    }

    pub(super) fn dispatch(&mut self, inbound: Inbound, ctx: &mut Context<Self>) {
        let Inbound { opened: _, request: Request { cid, seq, msg }, received_ms, print } = inbound;
        let cid = match (cid, print) {
            (Some(cid), Some(print)) => {
                let Some(number) = self.number(print) else { return };
                Some(cid.of_request(number))
            }
            (cid, _) => cid,
        };
        if let Some(asked) = self.queue.admit(Asked { cid, seq, msg, received_ms }) {
            match asked {
                Ok(asked) => self.execute(asked, ctx),
                Err(cid) => self.refuse(cid.as_ref(), Reason::Busy),
            }
        }
    }

    /// Does what a client asked, in its turn.
    pub(super) fn execute(&mut self, asked: Asked, ctx: &mut Context<Self>) {
        let Asked { cid, seq, msg, received_ms } = asked;
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
            ClientMsg::MatchResync(_) => self.resync(cid),
            ClientMsg::MatchLeave(_) => self.leave_match(cid, ctx),
            ClientMsg::MatchmakerAdd(add) => self.add_ticket(add, cid, ctx),
            ClientMsg::MatchmakerRemove(remove) => {
                let (ticket_id, turn) = (remove.ticket_id, self.take_turn(ctx));
                let message = RemoveTicket { member: self.me(ctx), cid: cid.cloned(), ticket_id, turn };
                self.tell(self.realm.matchmaker(), message, cid, Reason::Busy);
            }
            ClientMsg::ChatJoin(join) => self.join_channel(&join.channel_id, cid),
            ClientMsg::ChatLeave(leave) => self.leave_channel(&leave.channel_id, cid),
            ClientMsg::ChatSend(send) => {
                let (who, cid_sent) = (self.listener(), cid.cloned());
                let command = ChatCommand::Say { who, cid: cid_sent, content: send.content };
                self.tell_channel(&send.channel_id, command, cid);
            }
            ClientMsg::DmSend(dm) => {
                let Some(sent) = self.dms.place(&self.realm, cid.cloned()) else {
                    return self.refuse(cid, Reason::Busy);
                };
                let (from, session) = (self.player, Some(self.session_id));
                chat::send_dm(&self.realm, dm.recipient_id, Letter { from, session, content: dm.content, sent });
            }
            ClientMsg::VoteCast(cast) => self.cast(cast, received_ms, cid),
            ClientMsg::VoteVeto(veto) => self.veto(&veto.vote_id, cid),
            ClientMsg::VoteCall(call) => self.call_vote(call, cid),
            ClientMsg::VoteVerify(verify) => self.verify(&verify, cid),
            ClientMsg::ChatEdit(edit) => {
                let (who, cid_sent) = (self.listener(), cid.cloned());
                let (message_id, content) = (edit.message_id, Some(edit.content));
                let command = ChatCommand::Change { who, cid: cid_sent, message_id, content };
                self.tell_channel(&edit.channel_id, command, cid);
            }
            ClientMsg::ChatDelete(delete) => {
                let (who, cid_sent, message_id) = (self.listener(), cid.cloned(), delete.message_id);
                let command = ChatCommand::Change { who, cid: cid_sent, message_id, content: None };
                self.tell_channel(&delete.channel_id, command, cid);
            }
            ClientMsg::ChatTyping(typing) => {
                let command = ChatCommand::Type { who: self.listener(), cid: cid.cloned() };
                self.tell_channel(&typing.channel_id, command, cid);
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
            return self.refuse(cid, lobby::unknown_mode(&self.realm, |mode| mode.create));
        };
        if !mode.create {
            return self.refuse(cid, if mode.quick_play { Reason::CreateDisabled } else { Reason::OnlyQueued });
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
        let order = MatchOrder {
            mode: mode_name,
            private: create.private,
            matched: Vec::new(),
            bots: 0,
            promised: 0,
            queued: None,
            insists: false,
        };
        match self.realm.start_match(order) {
            Ok(card) => {
                let join = Join {
                    member: self.me(ctx),
                    cid: cid.cloned(),
                    ctx: create.ctx.map(|ctx| ctx.get().to_owned()),
                    spectate: false,
                    invited: true,
                    promised: None,
                    founds: true,
                    turn: self.take_turn(ctx),
                };
                self.tell(&card.addr, join, cid, Reason::MatchNotFound);
            }
            Err(no_match) => self.refuse(cid, refusal_of(no_match)),
        }
    }

    fn find_or_create(&mut self, find: wire::matches::FindOrCreate, cid: Option<&Cid>, ctx: &Context<Self>) {
        let Some((mode_name, mode)) = self.realm.mode(&find.mode) else {
            return self.refuse(cid, lobby::unknown_mode(&self.realm, |mode| mode.quick_play));
        };
        if !mode.quick_play {
            return self.refuse(cid, Reason::QuickPlayDisabled);
        }
        if !self.may_join(cid) {
            return;
        }
        let join_ctx = find.ctx.map(|ctx| ctx.get().to_owned());
        let find = FindOrCreate::new(self.me(ctx), cid.cloned(), join_ctx, mode_name, self.take_turn(ctx));
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
            founds: false,
            turn: self.take_turn(ctx),
        };
        self.tell(&card.addr, join, cid, Reason::MatchNotFound);
    }

    fn input(&mut self, input: wire::matches::Input, seq: Option<u64>, cid: Option<&Cid>) {
        let Some(seat) = self.seat.as_ref().filter(|seat| !seat.spectator) else {
            return self.not_in_match(cid);
        };
        let input = Input { player: self.player, json: input.0, seq };
        let max = self.realm.rules.limits.inputs_per_player_max;
        let pushed = seat.card.inputs.lock().push(input, max);
        match pushed {
            Pushed::Queued => {}
            Pushed::DroppedOldest => {
                self.realm.meters.mode(&seat.card.mode).inputs_dropped.fetch_add(1, Relaxed);
                self.input_overflow(cid);
            }
            Pushed::Closed => self.not_in_match(cid),
        }
    }

    /// Tells once in a while that inputs are dropped.
    fn input_overflow(&mut self, cid: Option<&Cid>) {
        let now_ms = self.realm.clock.now_ms();
        if self.overflow_told_ms.is_none_or(|told_ms| now_ms >= told_ms + OVERFLOW_EVERY_MS) {
            self.overflow_told_ms = Some(now_ms);
            self.realm.meters.refused(Reason::InputOverflow.row().code);
            self.outlet.push(&Refusal::from(Reason::InputOverflow).frame(cid, Some("match.input")));
        }
    }

    /// The next state is the answer.
    fn resync(&self, cid: Option<&Cid>) {
        match &self.seat {
            Some(seat) => self.tell(&seat.card.addr, Resync(self.player), cid, Reason::NotInMatch),
            None => self.refuse(cid, Reason::NotInMatch),
        }
    }

    /// Tells once in a while that input goes nowhere.
    fn not_in_match(&mut self, cid: Option<&Cid>) {
        let watches = self.seat.as_ref().is_some_and(|seat| seat.spectator);
        let why = if watches { Reason::OnlyWatching } else { Reason::NotInMatch };
        let now_ms = self.realm.clock.now_ms();
        if self.not_in_match_told_ms.is_none_or(|told_ms| now_ms >= told_ms + NOT_IN_MATCH_EVERY_MS) {
            self.not_in_match_told_ms = Some(now_ms);
            self.realm.meters.refused(why.row().code);
            self.outlet.push(&Refusal::from(why).frame(cid, Some("match.input")));
        }
    }

    /// Leaves the seat there is. Every join that was asked before has been answered by now; a seat that the queue gives is
    /// claimed a moment before it is told.
    fn leave_match(&mut self, cid: Option<&Cid>, ctx: &mut Context<Self>) {
        if self.seat.is_none() && self.realm.directory.seat(self.player).is_none() {
            return self.outlet.push(&wire::matches::Left::default().frame(cid));
        }
        let until_ms = self.realm.clock.now_ms() + SEAT_TOLD_MS;
        self.leaving = Some(Leaving { cid: cid.cloned(), turn: self.take_turn(ctx), until_ms });
        self.go_on_leaving(ctx);
    }

    /// Leaves as soon as the seat is known; whoever is not given the seat after all has none to leave.
    pub(super) fn go_on_leaving(&mut self, ctx: &mut Context<Self>) {
        let Some(Leaving { cid, turn, until_ms }) = self.leaving.take() else { return };
        let claimed = self.realm.directory.seat(self.player);
        let is_late = self.realm.clock.now_ms() >= until_ms;
        let card = match (&self.seat, claimed) {
            (Some(seat), _) => Some(seat.card.clone()),
            (None, Some(match_id)) if is_late => self.realm.directory.card(match_id),
            (None, Some(_)) => {
                self.leaving = Some(Leaving { cid, turn, until_ms });
                ctx.run_later(SEAT_TOLD_LOOK, |this, ctx| this.go_on_leaving(ctx));
                return;
            }
            (None, None) => None,
        };
        let Some(card) = card else { return self.outlet.push(&wire::matches::Left::default().frame(cid.as_ref())) };
        let reply = Some((self.outlet.clone(), cid.clone()));
        let (player, session, why) = (self.player, Some(self.session_id), Parting::Asked);
        match card.addr.try_send(Leave { player, session, why, reply, turn: Some(turn) }) {
            Ok(()) => {}
            Err(SendError::Full(_)) => self.refuse(cid.as_ref(), Reason::Busy),
            Err(SendError::Closed(_)) => self.outlet.push(&wire::matches::Left::default().frame(cid.as_ref())),
        }
    }

    fn add_ticket(&mut self, add: wire::matchmaking::Add, cid: Option<&Cid>, ctx: &Context<Self>) {
        if self.realm.mode(&add.mode).is_none() {
            return self.refuse(cid, lobby::unknown_mode(&self.realm, |_| true));
        }
        if self.realm.directory.seat(self.player).is_some() {
            return self.refuse(cid, Reason::AlreadyInMatch);
        }
        let (realm, member, cid, turn) = (self.realm.clone(), self.me(ctx), cid.cloned(), self.take_turn(ctx));
        may_take_along(&self.realm, self.player, &add.party.clone(), move |may| {
            let outlet = member.outlet.clone();
            let told = may.and_then(|()| {
                let message = AddTicket { member, cid: cid.clone(), add, turn };
                realm.matchmaker().try_send(message).map_err(|_| Reason::Busy.into())
            });
            if let Err(refusal) = told {
                realm.meters.refused(refusal.reason.row().code);
                outlet.push(&refusal.frame(cid.as_ref(), None));
            }
        });
    }

    pub(super) fn listener(&self) -> Listener {
        Listener { player: self.player, session_id: self.session_id, outlet: self.outlet.clone() }
    }

    fn join_channel(&mut self, name: &str, cid: Option<&Cid>) {
        let channel = match chat::may_join(&self.realm, self.player, name) {
            Ok(channel) => channel,
            Err(refusal) => return self.refuse_in_turn(name, cid, refusal),
        };
        let max = self.realm.rules.limits.channels_per_connection_max as usize;
        if !self.channels.contains(&channel) && self.channels.len() >= max {
            return self.refuse_in_turn(name, cid, Reason::TooManyChannels.with("channels_max", max as u64));
        }
        let join = ChatCommand::Join { who: self.listener(), welcome: Welcome::Joined(cid.cloned()) };
        match self.realm.tell_channel(&channel, join) {
            Ok(()) => drop(self.channels.insert(channel)),
            Err(_) => self.refuse(cid, Reason::Busy),
        }
    }

    /// The channel answers, in the order of what was asked of it; leaving what one is not in is no mistake.
    fn leave_channel(&mut self, name: &str, cid: Option<&Cid>) {
        match self.channels.take(name) {
            Some(channel) if self.realm.directory.has_channel(&channel) => {
                self.remember_left(channel.clone());
                let reply = Some(Reply::to(&self.listener(), cid.cloned()));
                let leave = ChatCommand::Leave { session: self.session_id, reply, hears_out: false };
                self.realm.directory.oblige_channel(&channel, leave);
            }
            None if !chat::is_channel_id(&self.realm, name) => self.refuse(cid, Reason::InvalidChannelId),
            _ => self.answer_in_turn(name, wire::chat::Left { channel_id: name.into() }.frame(cid)),
        }
    }

    /// Remembers a channel for a while that the session is no longer in.
    pub(super) fn remember_left(&mut self, channel: ChannelId) {
        self.left.retain(|left| *left != channel);
        if self.left.len() >= CHANNELS_LEFT_MAX {
            self.left.pop_front();
        }
        self.left.push_back(channel);
    }

    fn refuse_in_turn(&self, channel: &str, cid: Option<&Cid>, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        self.realm.meters.refused(refusal.reason.row().code);
        self.answer_in_turn(channel, refusal.frame(cid, None));
    }

    /// Says what needs no channel to say, behind what that channel has still to answer.
    fn answer_in_turn(&self, name: &str, answer: Frame) {
        let known = self.channels.get(name).or_else(|| self.left.iter().find(|left| ***left == *name));
        let Some(channel) = known else { return self.outlet.push_own(answer) };
        let answer = ChatCommand::Answer { who: self.listener(), answer: Box::new(answer) };
        match self.realm.directory.tell_channel(channel, answer) {
            Ok(()) => {}
            // A channel that is gone owes nothing, and one with a full mailbox has no place in line to give.
            Err(SendError::Full(answer) | SendError::Closed(answer)) => {
                if let ChatCommand::Answer { answer, .. } = answer {
                    self.outlet.push_own(*answer);
                }
            }
        }
    }

    /// Tells a channel that this session is in something, or says why it cannot.
    fn tell_channel(&self, name: &str, command: ChatCommand, cid: Option<&Cid>) {
        let Some(channel) = self.channels.get(name) else {
            let possible = chat::is_channel_id(&self.realm, name);
            let why = if possible { Reason::NotAuthorized } else { Reason::InvalidChannelId };
            return self.refuse_in_turn(name, cid, why);
        };
        match self.realm.directory.tell_channel(channel, command) {
            Ok(()) => {}
            Err(SendError::Full(_)) => self.refuse(cid, Reason::Busy),
            Err(SendError::Closed(_)) => self.refuse(cid, Reason::NotAuthorized),
        }
    }

    fn watch(&self, players: Vec<PlayerId>, wanted: bool, cid: Option<&Cid>, ctx: &Context<Self>) {
        let watch = Watch { member: self.me(ctx), cid: cid.cloned(), players, wanted };
        self.tell(self.realm.presence(), watch, cid, Reason::Busy);
    }

    /// The open vote of the player's own match, or why not.
    fn vote(&self, vote_id: &VoteId) -> Result<Arc<Mail<VoteActor>>, Reason> {
        let seat = self.seat.as_ref().ok_or(Reason::NotInMatch)?;
        // Whoever votes is there.
        seat.card.inputs.lock().hear(self.player);
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

    fn veto(&self, vote_id: &VoteId, cid: Option<&Cid>) {
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
                self.tell(&seat.card.addr, spend, cid, Reason::VoteNotFound);
            }
            Err(reason) => self.refuse(cid, reason),
        }
    }

    fn call_vote(&self, call: wire::votes::Call, cid: Option<&Cid>) {
        let Some(seat) = &self.seat else { return self.refuse(cid, Reason::NotInMatch) };
        seat.card.inputs.lock().hear(self.player);
        let message = CallVote {
            player: self.player,
            outlet: self.outlet.clone(),
            cid: cid.cloned(),
            template: call.template,
            args: call.args.and_then(|args| serde_json::from_str(args.get()).ok()),
        };
        self.tell(&seat.card.addr, message, cid, Reason::NotInMatch);
    }

    /// A vote that is open answers by itself, of one that is over the record does.
    fn verify(&self, verify: &wire::votes::Verify, cid: Option<&Cid>) {
        let Some(receipt) = Hash::from_hex(&verify.receipt) else { return self.refuse(cid, Reason::ReceiptUnknown) };
        let outlet = self.outlet.clone();
        let cid_sent = cid.cloned();
        if let Some(VotePlace::Open(_, addr)) = self.realm.directory.vote(&verify.vote_id) {
            return self.tell(&addr, Prove { outlet, cid: cid_sent, receipt }, cid, Reason::Busy);
        }
        let realm = self.realm.clone();
        self.realm.store.vote_audit(
            verify.vote_id.clone(),
            Box::new(move |record| {
                let cid = cid_sent.as_ref();
                let answer = match record {
                    Ok(Some(record)) => AuditRecord::prove(&record, receipt)
                        .map(|proof| wire::votes::proof_frame(&proof, cid))
                        .ok_or(Reason::ReceiptUnknown),
                    Ok(None) => Err(Reason::VoteNotOnRecord),
                    Err(_) => Err(Reason::Internal),
                };
                outlet.push(&answer.unwrap_or_else(|reason| {
                    realm.meters.refused(reason.row().code);
                    Refusal::from(reason).frame(cid, None)
                }));
            }),
        );
    }
}

/// What a client is told when no match could be started.
pub fn refusal_of(no_match: NoMatch) -> Refusal {
    match no_match {
        NoMatch::UnknownMode => Reason::UnknownMode,
        NoMatch::Capacity => Reason::MatchCapacityReached,
        NoMatch::Overloaded => return Pressure::refusal(),
        NoMatch::Draining => Reason::Draining,
        NoMatch::SeatTaken(player) => {
            return Reason::PartyMemberUnavailable.with("player_id", player.to_string());
        }
    }
    .into()
}

/// The dialect that an unprefixed channel gives away: only the seed's clients use those.
pub fn dialect_given_away(msg: &ClientMsg) -> Option<Dialect> {
    match msg {
        ClientMsg::ChatJoin(join) if !join.channel_id.contains(':') => Some(Dialect::Seed202604),
        _ => None,
    }
}
