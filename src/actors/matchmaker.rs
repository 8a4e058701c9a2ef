//! The matchmaker: one pool of tickets per mode, looked at when something changed and when time alone could change
//! something. Nothing polls. What it says about those who wait is in [`status`].

mod messages;
mod recording;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::directory::Member;
use super::lobby::unknown_mode;
use super::matches::{QueuedGroup, Reinforce};
use super::realm::{MatchOrder, NoMatch, Realm};
use super::sessions::{SnapshotPart, refusal_of};
use crate::engine::matchmaking::{AddRefused, Added, Backfill, Group, Pool, RemoveRefused, Rules, Ticket};
use crate::ids::{PlayerId, TicketId};
use crate::limits::QUEUE_STATUS_EVERY_MS;
use crate::wire::matchmaking as says;
use crate::wire::{Outbound, Reason, Refusal};

pub use messages::*;
pub use recording::DescribeArrivals;
pub use status::{DescribeQueue, DescribeTicket};

use recording::Recording;
use status::clear_status;

/// The actor.
pub struct MatchmakerActor {
    realm: Arc<Realm>,
    pools: BTreeMap<Arc<str>, Pool>,
    /// Which pool a ticket is in.
    tickets: HashMap<TicketId, Arc<str>>,
    /// Players whose other tickets are set aside, and since when: monotonic milliseconds.
    aside: HashMap<PlayerId, u64>,
    /// The last ticket that was told how it stands, where there are too many to tell all at once.
    told_up_to: usize,
    recording: Recording,
    wake: Option<SpawnHandle>,
}

impl MatchmakerActor {
    /// A matchmaker with an empty pool for every mode whose rules are sound; the faults of the others were said when
    /// the configuration was checked.
    pub fn new(realm: Arc<Realm>) -> Self {
        let tickets_max = realm.rules.limits.tickets_max as usize;
        let pools = realm.modes().into_iter().filter_map(|(name, mode)| {
            let rules = Rules::new(&mode.matchmaking, mode.players).ok()?;
            Some((name, Pool::new(rules, tickets_max)))
        });
        Self {
            pools: pools.collect(),
            realm,
            tickets: HashMap::new(),
            aside: HashMap::new(),
            told_up_to: 0,
            recording: Recording::default(),
            wake: None,
        }
    }

    /// Adds a ticket, answers, and seats whoever that completes.
    fn queue(
        &mut self,
        member: &Member,
        add: says::Add,
        ctx: &mut Context<Self>,
        answer: impl FnOnce(Result<says::Queued, Refusal>),
    ) {
        let party = add.party.clone();
        let added = match self.add(member, add) {
            Ok(added) => added,
            Err(refusal) => return answer(Err(refusal)),
        };
        // Looked at before the answer, so that it says how many are really missing; seated after it, so that nobody is
        // matched before they are queued.
        let groups = self.poll();
        let waits_in = self.tickets.get(&added.ticket_id).and_then(|mode| self.pools.get(mode));
        let needed = waits_in.map_or(0, |pool| pool.players_needed(added.ticket_id));
        let queued = says::Queued::new(added.ticket_id, Some(needed), added.already_queued);
        if !added.already_queued && party.iter().any(|player| *player != member.player) {
            // Whoever is taken along learns the ticket's name from this: they may withdraw it as well.
            let frame = queued.push();
            let along = party.iter().filter(|player| **player != member.player);
            along.filter_map(|player| self.realm.directory.member(*player)).for_each(|it| it.outlet.push(&frame));
        }
        answer(Ok(queued));
        self.seat_all(groups, ctx);
    }

    fn add(&mut self, member: &Member, add: says::Add) -> Result<Added, Refusal> {
        if self.realm.is_draining() {
            return Err(Reason::Draining.into());
        }
        let now_ms = self.realm.clock.now_ms();
        let (mode, pool) = match self.pools.get_key_value(add.mode.as_str()) {
            Some((mode, _)) => {
                let mode = mode.clone();
                // Before anything else could be refused: who waits already asks for nothing new.
                if let Some(open) = self.pools[&mode].ticket_of(member.player) {
                    return Ok(Added { ticket_id: open.ticket_id, already_queued: true });
                }
                let waiting: usize = self.pools.values().map(Pool::len).sum();
                if waiting >= self.realm.rules.limits.tickets_max as usize {
                    return Err(Reason::QueueFull.into());
                }
                let pool = self.pools.get_mut(&mode).ok_or(Reason::UnknownMode)?;
                (mode, pool)
            }
            None => return Err(unknown_mode(&self.realm, |_| true)),
        };
        let mut players = vec![member.player];
        players.extend(add.party.iter().filter(|player| **player != member.player));
        for player in &players {
            let seated = self.realm.directory.seat(*player).is_some();
            let itself = *player == member.player;
            let here = match itself {
                true => self.realm.directory.is_connected(*player),
                false => self.realm.directory.looks_connected(*player),
            };
            let reason = match (itself, seated || !here) {
                (_, false) => continue,
                (false, true) => Reason::PartyMemberUnavailable,
                (true, true) if seated => Reason::AlreadyInMatch,
                // Lost a moment ago: the ticket keeps its place until they are back.
                (true, true) => continue,
            };
            return Err(reason.with("player_id", player.to_string()));
        }
        let traits = pool.rules().traits(&add.properties).map_err(refused)?;
        let ticket_id = self.realm.make(TicketId::new);
        let party = players.len();
        let ticket = Ticket { ticket_id, players, traits, added_ms: now_ms };
        let added = pool.add(ticket, now_ms).map_err(refused)?;
        if !added.already_queued {
            let properties = serde_json::to_string(&add.properties).unwrap_or_default();
            self.recording.came(added.ticket_id, mode.clone(), now_ms, party, properties);
        }
        self.tickets.insert(added.ticket_id, mode.clone());
        self.keep_back(&mode, added.ticket_id);
        Ok(added)
    }

    /// Keeps a ticket back that came into its pool now: who lost the connection meanwhile told a pool that did not have
    /// it, and who has a seat may be about to be refused it.
    fn keep_back(&mut self, mode: &Arc<str>, ticket_id: TicketId) {
        let Some(pool) = self.pools.get_mut(mode) else { return };
        let players = pool.get(ticket_id).map(|ticket| ticket.players.clone()).unwrap_or_default();
        let (directory, now_ms) = (&self.realm.directory, self.realm.clock.now_ms());
        for player in players {
            if !directory.is_connected(player) {
                pool.freeze(player);
            }
            if directory.seat(player).is_some() {
                pool.set_aside(player);
                self.aside.insert(player, now_ms);
            }
        }
    }

    /// Looks at every pool and sees to what came of it.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let groups = self.poll();
        self.seat_all(groups, ctx);
    }

    /// What the pools say by now: groups to seat; who expired is told at once.
    fn poll(&mut self) -> Vec<(Arc<str>, Group)> {
        if !self.realm.may_start_matches() {
            // Before anybody is withdrawn from another queue for a match that is not opened. That we may go on will be told.
            self.hold(true);
        }
        let now_ms = self.realm.clock.now_ms();
        let mut groups = Vec::new();
        let modes: Vec<_> = self.pools.keys().cloned().collect();
        for mode in modes {
            let Some(pool) = self.pools.get_mut(&mode) else { continue };
            let polled = pool.poll(now_ms);
            // Set aside in the other queues before those are looked at: nobody is matched twice. A seat withdraws those
            // tickets; without one they go on.
            for player in polled.groups.iter().flat_map(|group| &group.players) {
                self.set_aside(*player);
            }
            groups.extend(polled.groups.into_iter().map(|group| (mode.clone(), group)));
            for ticket in polled.expired {
                self.tickets.remove(&ticket.ticket_id);
                clear_status(&self.realm, &ticket);
                let frame = says::Expired { ticket_id: ticket.ticket_id }.push();
                for player in &ticket.players {
                    if let Some(member) = self.realm.directory.member(*player) {
                        member.outlet.push(&frame);
                    }
                }
            }
        }
        groups
    }

    fn seat_all(&mut self, mut groups: Vec<(Arc<str>, Group)>, ctx: &mut Context<Self>) {
        // Each round that brings another one withdrew a ticket, so they come to an end.
        while !groups.is_empty() {
            let mut again = false;
            for (mode, group) in groups.drain(..) {
                again |= !self.seat(mode, group);
            }
            if again {
                groups = self.poll();
            }
        }
        self.sleep(ctx);
    }

    /// Says how many wait, for whoever watches the server.
    fn count(&self) {
        for (mode, pool) in &self.pools {
            self.realm.meters.set_tickets_waiting(mode, pool.len());
        }
    }

    /// Sets the one timer to when time alone could change something.
    fn sleep(&mut self, ctx: &mut Context<Self>) {
        self.count();
        if let Some(wake) = self.wake.take() {
            ctx.cancel_future(wake);
        }
        let now_ms = self.realm.clock.now_ms();
        if let Some(next_ms) = self.pools.values().filter_map(Pool::next_wake_ms).min() {
            // A timer that fires a little early would only look in vain and go back to sleep.
            let wait = Duration::from_millis(next_ms.saturating_sub(now_ms) + 1);
            self.wake = Some(ctx.run_later(wait, |this, ctx| this.look(ctx)));
        }
    }

    /// Seats a group; false when it came to nothing and others may be possible now.
    fn seat(&mut self, mode: Arc<str>, group: Group) -> bool {
        let now_ms = self.realm.clock.now_ms();
        let Group { tickets, turns, players, teams, bots, backfill } = group;
        for ticket in &tickets {
            self.tickets.remove(&ticket.ticket_id);
            clear_status(&self.realm, ticket);
        }
        let waits: Vec<_> = tickets.iter().map(|ticket| now_ms.saturating_sub(ticket.added_ms)).collect();
        let queued = QueuedGroup { tickets: tickets.into_iter().zip(turns).collect(), teams };
        let directory = &self.realm.directory;
        let gone: Vec<_> = players.iter().copied().filter(|player| directory.member(*player).is_none()).collect();
        // Whoever has a seat by now may be about to be refused it: their ticket waits for that.
        if !gone.is_empty() || players.iter().any(|player| directory.seat(*player).is_some()) {
            self.put_back(&mode, queued.tickets, &gone);
            return false;
        }
        // Team by team, so that whoever reads the order of seats sees the sides.
        let in_order = if queued.teams.is_empty() { players.clone() } else { queued.teams.concat() };
        let matched: Vec<_> = in_order.iter().filter_map(|player| directory.member(*player)).collect();
        if let Some(match_id) = backfill {
            let Some(card) = self.realm.directory.card(match_id) else {
                if let Some(pool) = self.pools.get_mut(&mode) {
                    pool.cancel_backfill(match_id);
                }
                self.put_back(&mode, queued.tickets, &[]);
                return false;
            };
            // Claimed before the match knows of them, as for a new one: a leave right behind finds the seat.
            if let Some(taken) = players.iter().position(|player| directory.claim_seat(*player, match_id).is_err()) {
                players[..taken].iter().for_each(|player| directory.release_seat(*player, match_id));
                self.put_back(&mode, queued.tickets, &[]);
                return false;
            }
            // `do_send` on purpose: no more than the seats it asked for.
            card.addr.do_send(Reinforce { group: matched, queued });
        } else {
            let tickets = queued.tickets.clone();
            let order = MatchOrder {
                mode: mode.clone(),
                private: false,
                matched: matched.clone(),
                bots,
                promised: 0,
                queued: Some(queued),
                insists: false,
            };
            match self.realm.start_match(order) {
                Ok(_) => {}
                Err(no_match @ (NoMatch::Overloaded | NoMatch::Capacity | NoMatch::SeatTaken(_))) => {
                    if !matches!(no_match, NoMatch::SeatTaken(_)) {
                        // Sooner than we were told to hold; that we may go on will be told.
                        self.hold(true);
                    }
                    self.put_back(&mode, tickets, &[]);
                    return false;
                }
                Err(no_match) => {
                    let frame = says::Failed { reason: refusal_of(no_match).reason.row().word.into() }.push();
                    matched.iter().for_each(|member| member.outlet.push(&frame));
                    self.put_back(&mode, tickets, &players);
                }
            }
        }
        for waited_ms in waits {
            self.realm.meters.queue_wait.record(waited_ms * 1_000);
        }
        true
    }

    fn hold(&mut self, held: bool) {
        self.pools.values_mut().for_each(|pool| pool.hold(held));
    }

    /// The player's tickets keep their places and are not matched until it is known whether a match has them.
    fn set_aside(&mut self, player: PlayerId) {
        self.aside.insert(player, self.realm.clock.now_ms());
        for pool in self.pools.values_mut() {
            pool.set_aside(player);
        }
    }

    /// The match has them not: what was set aside goes on.
    fn take_up(&mut self, player: PlayerId) {
        if self.realm.directory.seat(player).is_none() && self.aside.remove(&player).is_some() {
            for pool in self.pools.values_mut() {
                pool.take_up(player);
            }
        }
    }

    /// A match that ended or died before it had them says nothing of it: after a while the seat tells.
    fn take_up_forgotten(&mut self, ctx: &mut Context<Self>) {
        let now_ms = self.realm.clock.now_ms();
        let directory = &self.realm.directory;
        let is_over = |(player, since_ms): &(&PlayerId, &u64)| {
            **since_ms + QUEUE_STATUS_EVERY_MS <= now_ms && directory.seat(**player).is_none()
        };
        let over: Vec<_> = self.aside.iter().filter(is_over).map(|(player, _)| *player).collect();
        over.iter().for_each(|player| self.take_up(*player));
        if !over.is_empty() {
            self.look(ctx);
        }
    }

    /// Tickets of a group that came to nothing go back in their turn, but for those that have somebody who is `gone`.
    fn put_back(&mut self, mode: &Arc<str>, tickets: Vec<(Ticket, u64)>, gone: &[PlayerId]) {
        for player in tickets.iter().flat_map(|(ticket, _)| &ticket.players).chain(gone) {
            self.take_up(*player);
        }
        for (ticket, turn) in tickets {
            let Some(pool) = self.pools.get_mut(mode) else { return };
            let ticket_id = ticket.ticket_id;
            let players = ticket.players.clone();
            if !players.iter().any(|player| gone.contains(player)) && pool.put_back(ticket, turn) {
                self.tickets.insert(ticket_id, mode.clone());
                self.keep_back(mode, ticket_id);
                continue;
            }
            let frame = says::Removed::of(ticket_id).push();
            for member in players.iter().filter_map(|player| self.realm.directory.member(*player)) {
                member.outlet.push(&frame);
            }
        }
    }

    /// Withdraws a player's tickets; everybody in them is told where `tell` says so.
    fn withdraw(&mut self, player: PlayerId, tell: bool) {
        self.aside.remove(&player);
        for pool in self.pools.values_mut() {
            let Some(ticket) = pool.withdraw_player(player) else { continue };
            self.tickets.remove(&ticket.ticket_id);
            withdrawn(&self.realm, &ticket, tell);
        }
    }

    fn remove(&mut self, ticket_id: TicketId, by: PlayerId) -> Result<(), Refusal> {
        let mode = self.tickets.get(&ticket_id).ok_or(Reason::TicketNotFound)?;
        let pool = self.pools.get_mut(mode).ok_or(Reason::TicketNotFound)?;
        match pool.remove(ticket_id, by) {
            Ok(ticket) => {
                self.tickets.remove(&ticket_id);
                self.recording.gave_up(ticket_id, self.realm.clock.now_ms());
                clear_status(&self.realm, &ticket);
                self.count();
                // Whoever withdrew it has the reply.
                let frame = says::Removed::of(ticket_id).push();
                let others = ticket.players.iter().filter(|player| **player != by);
                others.filter_map(|player| self.realm.directory.member(*player)).for_each(|it| it.outlet.push(&frame));
                Ok(())
            }
            Err(RemoveRefused::NotOwner) => Err(Reason::NotOwner.into()),
            Err(RemoveRefused::NotFound) => Err(Reason::TicketNotFound.into()),
        }
    }
}

/// A ticket is in no pool any more; everybody in it is told where `tell` says so.
fn withdrawn(realm: &Realm, ticket: &Ticket, tell: bool) {
    clear_status(realm, ticket);
    if tell {
        let frame = says::Removed::of(ticket.ticket_id).push();
        let members = ticket.players.iter().filter_map(|player| realm.directory.member(*player));
        members.for_each(|member| member.outlet.push(&frame));
    }
}

/// A pool's refusal as the client reads it.
fn refused(refusal: AddRefused) -> Refusal {
    match &refusal {
        AddRefused::QueueFull { .. } => Reason::QueueFull.into(),
        AddRefused::PartiesOff | AddRefused::PartyTooLarge { .. } | AddRefused::PartyRepeats => {
            Reason::InvalidParty.with("expected", refusal.to_string())
        }
        AddRefused::PartyMemberUnavailable(player) => {
            Reason::PartyMemberUnavailable.with("player_id", player.to_string())
        }
        AddRefused::PropertyMissing(name) => Reason::MissingField.with("field", format!("properties.{name}")),
        AddRefused::PropertyInvalid { name, expected } => {
            Reason::InvalidField.with("field", format!("properties.{name}")).with("expected", *expected)
        }
    }
}

impl Actor for MatchmakerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(crate::limits::MAILBOX_MESSAGES_MAX);
        self.count();
        ctx.run_interval(Duration::from_millis(QUEUE_STATUS_EVERY_MS), |this, ctx| {
            this.take_up_forgotten(ctx);
            this.tell_statuses();
        });
    }
}

impl Handler<AddTicket> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, message: AddTicket, ctx: &mut Self::Context) {
        let AddTicket { member, cid, add, turn: _turn } = message;
        let (outlet, realm) = (member.outlet.clone(), self.realm.clone());
        self.queue(&member, add, ctx, |outcome| match outcome {
            Ok(queued) => outlet.push(&queued.frame(cid.as_ref())),
            Err(refusal) => {
                realm.meters.refused(refusal.reason.row().code);
                outlet.push(&refusal.frame(cid.as_ref(), None));
            }
        });
    }
}

impl Handler<RemoveTicket> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, message: RemoveTicket, _: &mut Self::Context) {
        let RemoveTicket { member, cid, ticket_id, turn: _turn } = message;
        match self.remove(ticket_id, member.player) {
            Ok(()) => member.outlet.push(&says::Removed::reply().frame(cid.as_ref())),
            Err(refusal) => {
                self.realm.meters.refused(refusal.reason.row().code);
                member.outlet.push(&refusal.frame(cid.as_ref(), None));
            }
        }
    }
}

impl Handler<Queue> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, Queue { member, add, answer }: Queue, ctx: &mut Self::Context) {
        self.queue(&member, add, ctx, |outcome| {
            // Whoever asked may have hung up; the ticket stands.
            let _ = answer.send(outcome);
        });
    }
}

impl Handler<Withdraw> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, Withdraw { player, ticket_id, answer }: Withdraw, _: &mut Self::Context) {
        let _ = answer.send(self.remove(ticket_id, player));
    }
}

impl Handler<WithdrawPlayer> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, message: WithdrawPlayer, ctx: &mut Self::Context) {
        self.withdraw(message.player, true);
        self.sleep(ctx);
    }
}

impl Handler<TakeUp> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, TakeUp(player): TakeUp, ctx: &mut Self::Context) {
        if self.aside.contains_key(&player) {
            self.take_up(player);
            self.look(ctx);
        }
    }
}

impl Handler<FreezeTickets> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, message: FreezeTickets, _: &mut Self::Context) {
        if !self.realm.directory.is_current(message.player, message.session) {
            return;
        }
        for pool in self.pools.values_mut() {
            pool.freeze(message.player);
        }
    }
}

impl Handler<ThawTickets> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, message: ThawTickets, ctx: &mut Self::Context) {
        let ThawTickets { member, snapshot } = message;
        let mut thawed = false;
        for pool in self.pools.values_mut() {
            thawed |= pool.unfreeze(member.player).is_some();
        }
        if snapshot {
            let now_ms = self.realm.clock.now_ms();
            let waiting = self.pools.iter().filter_map(|(mode, pool)| {
                let ticket = pool.ticket_of(member.player)?;
                Some(says::Waiting {
                    ticket_id: ticket.ticket_id,
                    mode: mode.to_string(),
                    status: "pending".into(),
                    waited_ms: now_ms.saturating_sub(ticket.added_ms),
                })
            });
            // `do_send` on purpose: once per session, which waits for it.
            member.session.do_send(SnapshotPart::Tickets(waiting.collect()));
        }
        if thawed {
            self.look(ctx);
        }
    }
}

impl Handler<AskBackfill> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, ask: AskBackfill, ctx: &mut Self::Context) {
        let AskBackfill { mode, match_id, seats, playing, barred } = ask;
        let Some(pool) = self.pools.get_mut(&mode) else { return };
        pool.cancel_backfill(match_id);
        if seats.is_empty() {
            return;
        }
        if let Err(error) = pool.backfill_without(Backfill { match_id, seats, playing }, barred) {
            tracing::warn!(%match_id, %mode, %error, "a match asked for players in vain");
        }
        self.look(ctx);
    }
}

impl Handler<Hold> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, Hold(held): Hold, ctx: &mut Self::Context) {
        self.hold(held);
        self.look(ctx);
    }
}

impl Handler<ModeChanged> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, ModeChanged(name): ModeChanged, ctx: &mut Self::Context) {
        let Some((name, mode)) = self.realm.mode(&name) else { return };
        // Faults were said where the mode was read.
        let Ok(rules) = Rules::new(&mode.matchmaking, mode.players) else { return };
        match self.pools.get_mut(&name) {
            Some(pool) => {
                let gone = pool.set_rules(rules);
                if !gone.is_empty() {
                    tracing::info!(mode = %name, tickets = gone.len(), "tickets were given back that the new rules have no place for");
                }
                for ticket in gone {
                    self.tickets.remove(&ticket.ticket_id);
                    withdrawn(&self.realm, &ticket, true);
                }
            }
            None => drop(self.pools.insert(name, Pool::new(rules, self.realm.rules.limits.tickets_max as usize))),
        }
        self.look(ctx);
    }
}

impl Handler<PutBack> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, PutBack { mode, tickets, gone }: PutBack, ctx: &mut Self::Context) {
        self.put_back(&mode, tickets, &gone);
        self.look(ctx);
    }
}
