//! The matchmaker: one pool of tickets per mode, looked at when something changed and when time alone could change
//! something. Nothing polls.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::directory::{MatchCard, Member};
use super::matches::Reinforce;
use super::realm::{MatchOrder, Realm};
use super::sessions::{SnapshotPart, refusal_of};
use crate::engine::matchmaking::{AddRefused, Added, Backfill, Group, Pool, RemoveRefused, Rules, Ticket};
use crate::ids::{MatchId, PlayerId, SessionId, TicketId};
use crate::wire::matchmaking as says;
use crate::wire::{Cid, Outbound, Reason, Refusal};

/// A player queues, perhaps with a party.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AddTicket {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// What they asked for.
    pub add: says::Add,
}

/// A player takes a ticket back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RemoveTicket {
    /// Who.
    pub member: Member,
    /// Their correlation id.
    pub cid: Option<Cid>,
    /// Which.
    pub ticket_id: TicketId,
}

/// As [`AddTicket`], asked by somebody who waits for the answer: HTTP.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Queue {
    /// Who.
    pub member: Member,
    /// What they asked for.
    pub add: says::Add,
    /// Where the answer goes.
    pub answer: tokio::sync::oneshot::Sender<Result<says::Queued, Refusal>>,
}

/// As [`RemoveTicket`], asked by somebody who waits for the answer: HTTP.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Withdraw {
    /// Who.
    pub player: PlayerId,
    /// Which.
    pub ticket_id: TicketId,
    /// Where the answer goes.
    pub answer: tokio::sync::oneshot::Sender<Result<(), Refusal>>,
}

/// A player is seated or gone for good: their tickets are withdrawn.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WithdrawPlayer {
    /// Who.
    pub player: PlayerId,
}

/// A player's connection is gone: their tickets keep their places but are not matched.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FreezeTickets {
    /// Who.
    pub player: PlayerId,
    /// Whose connection it was; of a session that another has taken over from it says nothing.
    pub session: SessionId,
}

/// A player is back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ThawTickets {
    /// Who, and how they are reached now.
    pub member: Member,
    /// The session wants to know which there are: its client could not be told what it missed.
    pub snapshot: bool,
}

/// A running match wants players.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AskBackfill {
    /// Its mode.
    pub mode: Arc<str>,
    /// Which; `seats` 0 takes the wish back.
    pub match_id: MatchId,
    /// How many.
    pub seats: u32,
}

/// The queue for an operator.
#[derive(Message)]
#[rtype(result = "String")]
pub struct DescribeQueue;

/// One ticket, for its owner or an operator: JSON text, `None` when it is not waiting.
#[derive(Message)]
#[rtype(result = "Option<(Vec<PlayerId>, String)>")]
pub struct DescribeTicket(
    /// Which.
    pub TicketId,
);

/// The actor.
pub struct MatchmakerActor {
    realm: Arc<Realm>,
    pools: BTreeMap<Arc<str>, Pool>,
    /// Which pool a ticket is in.
    tickets: HashMap<TicketId, Arc<str>>,
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
        Self { pools: pools.collect(), realm, tickets: HashMap::new(), wake: None }
    }

    /// Adds a ticket, answers, and seats whoever that completes.
    fn queue(
        &mut self,
        member: &Member,
        add: says::Add,
        ctx: &mut Context<Self>,
        answer: impl FnOnce(Result<says::Queued, Refusal>),
    ) {
        let added = match self.add(member, add) {
            Ok(added) => added,
            Err(refusal) => return answer(Err(refusal)),
        };
        // Looked at before the answer, so that it says how many are really missing; seated after it, so that nobody is
        // matched before they are queued.
        let groups = self.poll();
        let waits_in = self.tickets.get(&added.ticket_id).and_then(|mode| self.pools.get(mode));
        let needed = waits_in.map_or(0, |pool| pool.players_needed(added.ticket_id));
        answer(Ok(says::Queued::new(added.ticket_id, Some(needed), added.already_queued)));
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
                let waiting: usize = self.pools.values().map(Pool::len).sum();
                if waiting >= self.realm.rules.limits.tickets_max as usize {
                    return Err(Reason::QueueFull.into());
                }
                let pool = self.pools.get_mut(&mode).ok_or(Reason::UnknownMode)?;
                (mode, pool)
            }
            None => return Err(Reason::UnknownMode.into()),
        };
        let mut players = vec![member.player];
        players.extend(add.party.iter().filter(|player| **player != member.player));
        for player in &players {
            if self.realm.directory.member(*player).is_none() || self.realm.directory.seat(*player).is_some() {
                let reason =
                    if *player == member.player { Reason::AlreadyInMatch } else { Reason::PartyMemberUnavailable };
                return Err(reason.with("player_id", player.to_string()));
            }
        }
        let traits = pool.rules().traits(&add.properties).map_err(refused)?;
        let ticket_id = self.realm.make(TicketId::new);
        let ticket = Ticket { ticket_id, players, traits, added_ms: now_ms };
        let added = pool.add(ticket, now_ms).map_err(refused)?;
        self.tickets.insert(added.ticket_id, mode);
        Ok(added)
    }

    /// Looks at every pool and sees to what came of it.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let groups = self.poll();
        self.seat_all(groups, ctx);
    }

    /// What the pools say by now: groups to seat; who expired is told at once.
    fn poll(&mut self) -> Vec<(Arc<str>, Group)> {
        let now_ms = self.realm.clock.now_ms();
        let mut groups = Vec::new();
        let modes: Vec<_> = self.pools.keys().cloned().collect();
        for mode in modes {
            let Some(pool) = self.pools.get_mut(&mode) else { continue };
            let polled = pool.poll(now_ms);
            // Withdrawn from the other queues before those are looked at: nobody is matched twice in one look.
            for player in polled.groups.iter().flat_map(|group| &group.players) {
                self.withdraw(*player, true);
            }
            groups.extend(polled.groups.into_iter().map(|group| (mode.clone(), group)));
            for ticket in polled.expired {
                self.tickets.remove(&ticket.ticket_id);
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

    fn seat_all(&mut self, groups: Vec<(Arc<str>, Group)>, ctx: &mut Context<Self>) {
        let now_ms = self.realm.clock.now_ms();
        for (mode, group) in groups {
            self.seat(mode, group, now_ms);
        }
        self.sleep(ctx);
    }

    /// Sets the one timer to when time alone could change something.
    fn sleep(&mut self, ctx: &mut Context<Self>) {
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

    fn seat(&mut self, mode: Arc<str>, group: Group, now_ms: u64) {
        for ticket in &group.tickets {
            self.tickets.remove(&ticket.ticket_id);
            self.realm.meters.queue_wait.record(now_ms.saturating_sub(ticket.added_ms) * 1_000);
        }
        let matched: Vec<_> = group.players.iter().filter_map(|player| self.realm.directory.member(*player)).collect();
        // Their tickets in other queues go before they are seated, so that nobody is matched twice.
        for member in &matched {
            self.withdraw(member.player, true);
        }
        let failed = |refusal: Refusal, members: &[Member]| {
            let frame = says::Failed { reason: refusal.reason.row().word.into() }.push();
            for member in members {
                member.outlet.push(&frame);
            }
        };
        if let Some(match_id) = group.backfill {
            let told = self.realm.directory.card(match_id).map(|card| card.addr.try_send(Reinforce(matched.clone())));
            if !matches!(told, Some(Ok(()))) {
                failed(Reason::MatchNotFound.into(), &matched);
            }
            return;
        }
        let order = MatchOrder { mode, private: false, matched: matched.clone(), bots: group.bots, promised: 0 };
        if let Err(no_match) = self.realm.start_match(order) {
            failed(refusal_of(no_match), &matched);
        }
    }

    /// Withdraws a player's tickets; everybody in them is told where `tell` says so.
    fn withdraw(&mut self, player: PlayerId, tell: bool) {
        for pool in self.pools.values_mut() {
            let Some(ticket) = pool.withdraw_player(player) else { continue };
            self.tickets.remove(&ticket.ticket_id);
            let frame = says::Removed::of(ticket.ticket_id).push();
            for member in ticket.players.iter().filter_map(|player| self.realm.directory.member(*player)) {
                if tell {
                    member.outlet.push(&frame);
                }
            }
        }
    }

    fn remove(&mut self, ticket_id: TicketId, by: PlayerId) -> Result<(), Refusal> {
        let mode = self.tickets.get(&ticket_id).ok_or(Reason::TicketNotFound)?;
        let pool = self.pools.get_mut(mode).ok_or(Reason::TicketNotFound)?;
        match pool.remove(ticket_id, by) {
            Ok(_) => {
                self.tickets.remove(&ticket_id);
                Ok(())
            }
            Err(RemoveRefused::NotOwner) => Err(Reason::NotOwner.into()),
            Err(RemoveRefused::NotFound) => Err(Reason::TicketNotFound.into()),
        }
    }

    fn describe(mode: &str, pool: &Pool, ticket_id: TicketId, now_ms: u64) -> Option<serde_json::Value> {
        let ticket = pool.get(ticket_id)?;
        let status = pool.status(ticket_id, now_ms)?;
        let why = pool.why_not(ticket_id);
        Some(serde_json::json!({
            "ticket_id": ticket_id,
            "mode": mode,
            "status": "pending",
            "players": ticket.players,
            "position": status.position,
            "waited_ms": status.waited_ms,
            "estimate_ms": status.estimate_ms,
            "frozen": status.frozen,
            "players_needed": pool.players_needed(ticket_id),
            "why": why.as_ref().map(|why| serde_json::json!({"code": why.code(), "message": why.to_string()})),
        }))
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

/// A running match asks for players, where its mode allows that.
pub fn ask_backfill(realm: &Realm, card: Option<&Arc<MatchCard>>, seats: u32) -> bool {
    let Some(card) = card else { return false };
    let allowed = realm.mode(&card.mode).is_some_and(|(_, mode)| mode.matchmaking.backfill);
    allowed
        && realm.matchmaker().try_send(AskBackfill { mode: card.mode.clone(), match_id: card.match_id, seats }).is_ok()
}

impl Actor for MatchmakerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(crate::limits::MAILBOX_MESSAGES_MAX);
    }
}

impl Handler<AddTicket> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, message: AddTicket, ctx: &mut Self::Context) {
        let AddTicket { member, cid, add } = message;
        let (outlet, realm) = (member.outlet.clone(), self.realm.clone());
        self.queue(&member, add, ctx, |outcome| match outcome {
            Ok(queued) => outlet.push(&queued.frame(cid.as_ref())),
            Err(refusal) => {
                realm.meters.refused(refusal.reason.row().word);
                outlet.push(&refusal.frame(cid.as_ref(), None));
            }
        });
    }
}

impl Handler<RemoveTicket> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, message: RemoveTicket, _: &mut Self::Context) {
        let RemoveTicket { member, cid, ticket_id } = message;
        match self.remove(ticket_id, member.player) {
            Ok(()) => member.outlet.push(&says::Removed::reply().frame(cid.as_ref())),
            Err(refusal) => {
                self.realm.meters.refused(refusal.reason.row().word);
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
        if let Some(pool) = self.pools.get_mut(&ask.mode) {
            pool.cancel_backfill(ask.match_id);
            if ask.seats > 0 {
                let _ = pool.backfill(Backfill { match_id: ask.match_id, seats: vec![ask.seats], traits: None });
            }
            self.look(ctx);
        }
    }
}

impl Handler<DescribeQueue> for MatchmakerActor {
    type Result = String;

    fn handle(&mut self, _: DescribeQueue, _: &mut Self::Context) -> String {
        let now_ms = self.realm.clock.now_ms();
        let modes: serde_json::Map<_, _> = self
            .pools
            .iter()
            .map(|(mode, pool)| {
                let tickets: Vec<_> =
                    pool.tickets().filter_map(|ticket| Self::describe(mode, pool, ticket.ticket_id, now_ms)).collect();
                (mode.to_string(), serde_json::json!({"tickets": tickets, "waiting": pool.len()}))
            })
            .collect();
        serde_json::json!({"modes": modes, "wait": self.realm.meters.queue_wait.summary()}).to_string()
    }
}

impl Handler<DescribeTicket> for MatchmakerActor {
    type Result = Option<(Vec<PlayerId>, String)>;

    fn handle(&mut self, DescribeTicket(ticket_id): DescribeTicket, _: &mut Self::Context) -> Self::Result {
        let (mode, pool) = self.pools.get_key_value(self.tickets.get(&ticket_id)?)?;
        let players = pool.get(ticket_id)?.players.clone();
        Some((players, Self::describe(mode, pool, ticket_id, self.realm.clock.now_ms())?.to_string()))
    }
}
