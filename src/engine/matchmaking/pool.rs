//! The pool: the tickets of one mode, from queueing to a match, expiry or withdrawal.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::backfill::{Backfill, BackfillRefused, Standing};
use super::estimate::Waits;
use super::hash::IdMap;
use super::line::Spot;
use super::regions::{Homes, Parts, homes};
use super::rules::Rules;
use super::search::{Found, Search};
use super::ticket::{AddRefused, Added, RemoveRefused, Ticket};
use super::why::{Look, WhyNot};
use crate::ids::{MatchId, PlayerId, TicketId};
use crate::limits::BACKFILL_LOOK_MAX;

/// Tickets that play together, no longer in the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The tickets, oldest first.
    pub tickets: Vec<Ticket>,
    /// The turn in line of each, to put it back with [`Pool::put_back`].
    pub turns: Vec<u64>,
    /// Their players, in that order.
    pub players: Vec<PlayerId>,
    /// The players of each team, in the order of the mode's teams; empty when it has none.
    pub teams: Vec<Vec<PlayerId>>,
    /// Seats left for bots.
    pub bots: u32,
    /// The running match they join; `None` for a new one.
    pub backfill: Option<MatchId>,
}

/// What a look at the pool brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// Groups to be seated, in the order they were found.
    pub groups: Vec<Group>,
    /// Tickets whose time is over, oldest first.
    pub expired: Vec<Ticket>,
}

/// How a ticket stands in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketStatus {
    /// Which.
    pub ticket_id: TicketId,
    /// Its place among the pool's tickets by age, 1 first.
    pub position: usize,
    /// How long it has waited, in milliseconds.
    pub waited_ms: u64,
    /// How much longer such tickets waited lately, in milliseconds; `None` when there is nothing to go by.
    pub estimate_ms: Option<u64>,
    /// When it expires, on the pool's clock.
    pub expires_ms: Option<u64>,
    /// Whether one of its players is disconnected.
    pub frozen: bool,
}

/// A ticket and what the pool computed for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ticket: Ticket,
    /// Age: tickets are numbered as they come.
    pub(super) seq: u64,
    pub(super) size: u32,
    /// Where it lies on the strategy's line.
    pub(super) place: i64,
    pub(super) home: u32,
    pub(super) anywhere: Option<u32>,
    kept_back: Vec<(PlayerId, KeptBack)>,
    due_ms: Option<u64>,
}

impl Entry {
    /// Whether it can be matched: everybody in it is connected, and on their way to no other match.
    pub(super) fn is_listed(&self) -> bool {
        self.kept_back.is_empty()
    }

    /// Whether one of its players is disconnected.
    pub(super) fn is_frozen(&self) -> bool {
        self.kept_back.iter().any(|(_, why)| *why == KeptBack::Disconnected)
    }
}

/// Why somebody's ticket keeps its place and is not matched meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeptBack {
    /// The connection is lost.
    Disconnected,
    /// Another match may have them in a moment.
    Seating,
}

/// The tickets of one mode.
#[derive(Debug)]
pub struct Pool {
    rules: Rules,
    tickets_max: usize,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_ticket: IdMap<TicketId, u32>,
    by_player: IdMap<PlayerId, u32>,
    parts: Parts,
    /// By age, with gaps where tickets left.
    ages: VecDeque<(u64, u32)>,
    /// When a ticket's window widens, any region will do, or bots may join. May hold what is no longer true.
    due: BinaryHeap<Reverse<(u64, u64, u32)>>,
    /// Tickets that may have become matchable since the last look.
    fresh: Vec<(u64, u32)>,
    backfills: Vec<Standing>,
    waits: Waits,
    /// Players in tickets that can be matched.
    players: u32,
    next_seq: u64,
    /// The first ticket that these rules find in what they pair by.
    understood_from: u64,
    now_ms: u64,
    /// No new group is formed for now.
    held: bool,
    /// Tickets that could have been in one since.
    withheld: Vec<(u64, u32)>,
}

impl Pool {
    /// An empty pool that holds at most `tickets_max` tickets.
    pub fn new(rules: Rules, tickets_max: usize) -> Self {
        Self {
            rules,
            tickets_max,
            entries: Vec::new(),
            free: Vec::new(),
            by_ticket: IdMap::default(),
            by_player: IdMap::default(),
            parts: Parts::default(),
            ages: VecDeque::new(),
            due: BinaryHeap::new(),
            fresh: Vec::new(),
            backfills: Vec::new(),
            waits: Waits::default(),
            players: 0,
            next_seq: 0,
            understood_from: 0,
            now_ms: 0,
            held: false,
            withheld: Vec::new(),
        }
    }

    /// The rules it pairs by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// From now on it pairs by these rules. Whoever waits keeps their place, with what their ticket said when it came;
    /// tickets that say too little for the rules, or for which they have no room any more, are given back.
    pub fn set_rules(&mut self, rules: Rules) -> Vec<Ticket> {
        let waiting: Vec<_> = self.ages.iter().copied().filter(|&(seq, slot)| self.live(seq, slot).is_some()).collect();
        let understood = rules.understand(&self.rules);
        let room = |entry: &Entry| understood && rules.have_room_for(&entry.ticket);
        if !understood {
            self.understood_from = self.next_seq;
            // They name what the matches' players said, too.
            self.backfills.clear();
        }
        let (stay, go): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|&(seq, slot)| self.live(seq, slot).is_some_and(room));
        let gone = go.into_iter().filter_map(|(_, slot)| self.take(slot)).collect();
        let listed: Vec<_> = stay.iter().filter(|&&(seq, slot)| self.is_listed(seq, slot)).map(|&(_, it)| it).collect();
        listed.iter().for_each(|&slot| self.unlist(slot));
        self.rules = rules;
        for (_, slot) in stay {
            if let Some(entry) = self.entries[slot as usize].as_mut() {
                entry.place = (self.rules.strategy.place)(&self.rules, &entry.ticket.traits).unwrap_or(0);
            }
        }
        listed.into_iter().for_each(|slot| self.list(slot));
        gone
    }

    /// Tickets waiting, frozen ones among them.
    pub fn len(&self) -> usize {
        self.by_ticket.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.by_ticket.is_empty()
    }

    /// Queues a ticket; `now_ms` becomes its `added_ms`. Whoever waits already gets that ticket back instead. The
    /// groups this makes possible come with the next [`Self::poll`].
    pub fn add(&mut self, mut ticket: Ticket, now_ms: u64) -> Result<Added, AddRefused> {
        self.now_ms = self.now_ms.max(now_ms);
        let leader = ticket.players.first().ok_or(AddRefused::PartyRepeats)?;
        if let Some(&slot) = self.by_player.get(leader)
            && let Some(open) = &self.entries[slot as usize]
        {
            return Ok(Added { ticket_id: open.ticket.ticket_id, already_queued: true });
        }
        self.check(&ticket)?;
        ticket.added_ms = self.now_ms;
        let (ticket_id, seq) = (ticket.ticket_id, self.next_seq);
        self.next_seq += 1;
        let slot = self.insert(ticket, seq);
        self.ages.push_back((seq, slot));
        self.list(slot);
        Ok(Added { ticket_id, already_queued: false })
    }

    /// Puts a ticket of a [`Group`] that came to nothing back in its turn: it is as old as it was. Its group comes with
    /// the next [`Self::poll`]. False when one of its players waits in another ticket by now, or the rules changed and have no
    /// room for it.
    pub fn put_back(&mut self, ticket: Ticket, turn: u64) -> bool {
        let known = |player: &PlayerId| self.by_player.contains_key(player);
        let fits = turn >= self.understood_from && self.rules.have_room_for(&ticket);
        if !fits || ticket.players.iter().any(known) || self.by_ticket.contains_key(&ticket.ticket_id) {
            return false;
        }
        let slot = self.insert(ticket, turn);
        let at = self.ages.partition_point(|&(seq, _)| seq < turn);
        match self.ages.get_mut(at) {
            // The gap it left.
            Some(gap) if gap.0 == turn => gap.1 = slot,
            _ => self.ages.insert(at, (turn, slot)),
        }
        self.list(slot);
        true
    }

    /// Gives a ticket a slot.
    fn insert(&mut self, ticket: Ticket, seq: u64) -> u32 {
        let ticket_id = ticket.ticket_id;
        let place = (self.rules.strategy.place)(&self.rules, &ticket.traits).unwrap_or(0);
        let size = ticket.players.len() as u32;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as u32 - 1
        });
        self.by_ticket.insert(ticket_id, slot);
        for &player in &ticket.players {
            self.by_player.insert(player, slot);
        }
        let kept_back = Vec::new();
        let entry = Entry { ticket, seq, size, place, home: 0, anywhere: None, kept_back, due_ms: None };
        self.entries[slot as usize] = Some(entry);
        slot
    }

    fn check(&self, ticket: &Ticket) -> Result<(), AddRefused> {
        let size = ticket.players.len();
        if size > 1 && !self.rules.parties {
            return Err(AddRefused::PartiesOff);
        }
        if (1..size).any(|nth| ticket.players[..nth].contains(&ticket.players[nth])) {
            return Err(AddRefused::PartyRepeats);
        }
        if size > self.rules.party_max() as usize {
            return Err(AddRefused::PartyTooLarge { size, max: self.rules.party_max() });
        }
        for player in &ticket.players {
            if self.by_player.contains_key(player) {
                return Err(AddRefused::PartyMemberUnavailable(*player));
            }
        }
        if let Some(name) = self.rules.ranges.keys().nth(ticket.traits.ranges.len()) {
            return Err(AddRefused::PropertyMissing(name.clone()));
        }
        // A ticket's name is unique over all pools; a second use would orphan the first.
        if self.by_ticket.len() >= self.tickets_max || self.by_ticket.contains_key(&ticket.ticket_id) {
            return Err(AddRefused::QueueFull { tickets_max: self.tickets_max });
        }
        Ok(())
    }

    /// Withdraws a ticket on behalf of one of its players.
    pub fn remove(&mut self, ticket_id: TicketId, by: PlayerId) -> Result<Ticket, RemoveRefused> {
        let entry = self.entry(ticket_id).ok_or(RemoveRefused::NotFound)?;
        if !entry.ticket.players.contains(&by) {
            return Err(RemoveRefused::NotOwner);
        }
        let slot = self.by_ticket[&ticket_id];
        self.take(slot).ok_or(RemoveRefused::NotFound)
    }

    /// Withdraws the ticket a player waits in, whole party and all: they were seated elsewhere or are gone for good.
    pub fn withdraw_player(&mut self, player: PlayerId) -> Option<Ticket> {
        let slot = *self.by_player.get(&player)?;
        self.take(slot)
    }

    /// The ticket a player waits in.
    pub fn ticket_of(&self, player: PlayerId) -> Option<&Ticket> {
        let slot = *self.by_player.get(&player)?;
        self.entries[slot as usize].as_ref().map(|entry| &entry.ticket)
    }

    /// A ticket by its name.
    pub fn get(&self, ticket_id: TicketId) -> Option<&Ticket> {
        self.entry(ticket_id).map(|entry| &entry.ticket)
    }

    /// A player lost the connection: their ticket cannot be matched until every absent player of it is back. It keeps
    /// its place and expires as ever. The ticket's name if they wait in one.
    pub fn freeze(&mut self, player: PlayerId) -> Option<TicketId> {
        self.keep_back(player, KeptBack::Disconnected)
    }

    /// The player is back. The ticket's name if they wait in one.
    pub fn unfreeze(&mut self, player: PlayerId) -> Option<TicketId> {
        self.let_go(player, KeptBack::Disconnected)
    }

    /// A player is on the way into another match: as [`Self::freeze`], until it is known whether that match has them.
    pub fn set_aside(&mut self, player: PlayerId) -> Option<TicketId> {
        self.keep_back(player, KeptBack::Seating)
    }

    /// That match has them not. The ticket's name if they wait in one.
    pub fn take_up(&mut self, player: PlayerId) -> Option<TicketId> {
        self.let_go(player, KeptBack::Seating)
    }

    fn keep_back(&mut self, player: PlayerId, why: KeptBack) -> Option<TicketId> {
        let slot = *self.by_player.get(&player)?;
        let entry = self.entries[slot as usize].as_mut()?;
        let was_listed = entry.is_listed();
        if !entry.kept_back.contains(&(player, why)) {
            entry.kept_back.push((player, why));
        }
        let ticket_id = entry.ticket.ticket_id;
        if was_listed {
            self.unlist(slot);
        }
        Some(ticket_id)
    }

    fn let_go(&mut self, player: PlayerId, why: KeptBack) -> Option<TicketId> {
        let slot = *self.by_player.get(&player)?;
        let entry = self.entries[slot as usize].as_mut()?;
        let was_kept = !entry.is_listed();
        entry.kept_back.retain(|kept| *kept != (player, why));
        let (back, ticket_id) = (was_kept && entry.is_listed(), entry.ticket.ticket_id);
        if back {
            self.list(slot);
        }
        Some(ticket_id)
    }

    /// A running match asks for players. The tickets that suit it come with the next [`Self::poll`], in groups with
    /// `backfill` set. A second request of the same match replaces its first.
    pub fn backfill(&mut self, request: Backfill) -> Result<(), BackfillRefused> {
        self.backfill_without(request, Vec::new())
    }

    /// The same, but no ticket with one of these players is sent.
    pub fn backfill_without(&mut self, request: Backfill, barred: Vec<PlayerId>) -> Result<(), BackfillRefused> {
        request.check(&self.rules)?;
        self.cancel_backfill(request.match_id);
        self.backfills.push(Standing { request, barred });
        let waiting = self.ages.iter().copied().filter(|&(seq, slot)| self.is_listed(seq, slot));
        let oldest: Vec<_> = waiting.take(BACKFILL_LOOK_MAX).collect();
        self.fresh.extend(oldest);
        Ok(())
    }

    /// The match needs nobody any more.
    pub fn cancel_backfill(&mut self, match_id: MatchId) {
        self.backfills.retain(|standing| standing.request.match_id != match_id);
    }

    /// While a pool is held no new group is formed: tickets come, go, wait, expire and are sent to running matches as
    /// ever, and keep their turns.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
        if !held {
            self.fresh.append(&mut self.withheld);
        }
    }

    /// Brings the pool to `now_ms`: what expired leaves first, then whoever can be matched is. Times never go back; an
    /// earlier one counts as the latest that was seen.
    pub fn poll(&mut self, now_ms: u64) -> Polled {
        self.now_ms = self.now_ms.max(now_ms);
        let mut polled = Polled { groups: Vec::new(), expired: self.expire() };
        self.collect_due();
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable();
        fresh.dedup();
        let is_only_news = fresh.len() == 1;
        for (seq, slot) in fresh.drain(..) {
            while self.is_listed(seq, slot) {
                match self.match_one(slot, is_only_news) {
                    Some(group) => polled.groups.push(group),
                    None => {
                        self.schedule(slot);
                        if self.held {
                            self.withheld.push((seq, slot));
                        }
                        break;
                    }
                }
            }
        }
        self.fresh = fresh;
        self.forget_stale();
        polled
    }

    /// When [`Self::poll`] should be called though nothing was asked of the pool: the next expiry, widening, region or
    /// bots. `None`: never. At or before the latest time seen means now.
    pub fn next_wake_ms(&self) -> Option<u64> {
        let expiry = self.ages.iter().find_map(|&(seq, slot)| self.live(seq, slot)).and_then(|it| self.expires_ms(it));
        if !self.fresh.is_empty() {
            return Some(self.now_ms);
        }
        let due = self.due.peek().map(|Reverse((due_ms, ..))| *due_ms);
        expiry.into_iter().chain(due).min()
    }

    /// Players that a ticket still lacks, as of the latest poll: 0 when none is missing, or the ticket is not waiting.
    pub fn players_needed(&self, ticket_id: TicketId) -> u32 {
        self.why_not(ticket_id).map_or(0, |why| why.needed())
    }

    /// Why a ticket was not matched at the latest poll; `None` when there is no such ticket.
    pub fn why_not(&self, ticket_id: TicketId) -> Option<WhyNot> {
        self.entry(ticket_id).map(|entry| self.why(entry))
    }

    /// How one ticket stands in line. Walks the line up to it; for all of them use [`Self::statuses`].
    pub fn status(&self, ticket_id: TicketId, now_ms: u64) -> Option<TicketStatus> {
        self.entry(ticket_id)?;
        self.statuses(now_ms).find(|status| status.ticket_id == ticket_id)
    }

    /// How every ticket stands in line, oldest first.
    pub fn statuses(&self, now_ms: u64) -> impl Iterator<Item = TicketStatus> {
        let waiting = self.ages.iter().filter_map(|&(seq, slot)| self.live(seq, slot));
        waiting.enumerate().map(move |(ahead, entry)| {
            let waited_ms = now_ms.saturating_sub(entry.ticket.added_ms);
            TicketStatus {
                ticket_id: entry.ticket.ticket_id,
                position: ahead + 1,
                waited_ms,
                estimate_ms: self.waits.remaining_ms(waited_ms),
                expires_ms: self.expires_ms(entry),
                frozen: entry.is_frozen(),
            }
        })
    }

    /// Every ticket, oldest first.
    pub fn tickets(&self) -> impl Iterator<Item = &Ticket> {
        self.ages.iter().filter_map(|&(seq, slot)| self.live(seq, slot)).map(|entry| &entry.ticket)
    }

    fn entry(&self, ticket_id: TicketId) -> Option<&Entry> {
        let slot = *self.by_ticket.get(&ticket_id)?;
        self.entries[slot as usize].as_ref()
    }

    /// The entry in a slot, if it is still the ticket it was.
    fn live(&self, seq: u64, slot: u32) -> Option<&Entry> {
        self.entries[slot as usize].as_ref().filter(|entry| entry.seq == seq)
    }

    fn is_listed(&self, seq: u64, slot: u32) -> bool {
        self.live(seq, slot).is_some_and(|entry| entry.is_listed())
    }

    fn expires_ms(&self, entry: &Entry) -> Option<u64> {
        self.rules.expire_ms.map(|expire_ms| entry.ticket.added_ms.saturating_add(expire_ms))
    }

    /// Makes a ticket findable.
    fn list(&mut self, slot: u32) {
        let Some(entry) = self.entries[slot as usize].as_mut() else { return };
        let spot = Spot { place: entry.place, seq: entry.seq, slot };
        let Homes { home, anywhere } = homes(self.rules.region, &entry.ticket.traits);
        entry.home = self.parts.number(&home);
        self.parts.insert(entry.home, entry.size, spot);
        entry.anywhere = anywhere.map(|key| self.parts.number(&key));
        if let Some(anywhere) = entry.anywhere {
            self.parts.insert(anywhere, entry.size, spot);
        }
        entry.due_ms = None;
        self.players += entry.size;
        self.fresh.push((entry.seq, slot));
    }

    /// Makes a ticket unfindable.
    fn unlist(&mut self, slot: u32) {
        let Some(entry) = self.entries[slot as usize].as_mut() else { return };
        let place = (entry.place, entry.seq);
        entry.due_ms = None;
        self.players -= entry.size;
        self.parts.remove(entry.home, entry.size, place);
        let Homes { home, anywhere } = homes(self.rules.region, &entry.ticket.traits);
        self.parts.forget_if_empty(entry.home, &home);
        if let (Some(number), Some(key)) = (entry.anywhere, &anywhere) {
            self.parts.remove(number, entry.size, place);
            self.parts.forget_if_empty(number, key);
        }
    }

    /// Takes a ticket out for good.
    fn take(&mut self, slot: u32) -> Option<Ticket> {
        if self.entries[slot as usize].as_ref()?.is_listed() {
            self.unlist(slot);
        }
        let entry = self.entries[slot as usize].take()?;
        self.free.push(slot);
        self.by_ticket.remove(&entry.ticket.ticket_id);
        for player in &entry.ticket.players {
            self.by_player.remove(player);
        }
        Some(entry.ticket)
    }

    fn expire(&mut self) -> Vec<Ticket> {
        let mut expired = Vec::new();
        while let Some(&(seq, slot)) = self.ages.front() {
            match self.live(seq, slot) {
                Some(entry) if self.expires_ms(entry).is_none_or(|at_ms| at_ms > self.now_ms) => break,
                Some(_) => expired.extend(self.take(slot)),
                None => {}
            }
            self.ages.pop_front();
        }
        expired
    }

    /// Moves the tickets whose moment has come to `fresh`.
    fn collect_due(&mut self) {
        while let Some(&Reverse((due_ms, seq, slot))) = self.due.peek() {
            let current = self.live(seq, slot).is_some_and(|entry| entry.due_ms == Some(due_ms));
            if current && due_ms > self.now_ms {
                break;
            }
            self.due.pop();
            if current {
                self.fresh.push((seq, slot));
            }
        }
    }

    /// Notes when a ticket that stays should be looked at again.
    fn schedule(&mut self, slot: u32) {
        let Some(entry) = self.entries[slot as usize].as_mut() else { return };
        let waited_ms = self.now_ms - entry.ticket.added_ms;
        let due_ms = self.rules.next_change_ms(waited_ms).map(|after_ms| entry.ticket.added_ms + after_ms);
        if entry.due_ms != due_ms {
            entry.due_ms = due_ms;
            self.due.extend(due_ms.map(|due_ms| Reverse((due_ms, entry.seq, slot))));
        }
    }

    /// Tickets that leave are not looked for in the heap and the line; once most of either is gone it is swept.
    fn forget_stale(&mut self) {
        let live = self.by_ticket.len();
        if self.ages.len() > 2 * live + 64 {
            let mut ages = std::mem::take(&mut self.ages);
            ages.retain(|&(seq, slot)| self.live(seq, slot).is_some());
            self.ages = ages;
        }
        if self.due.len() > 2 * live + 64 {
            let mut due = std::mem::take(&mut self.due);
            due.retain(|&Reverse((due_ms, seq, slot))| {
                self.live(seq, slot).is_some_and(|entry| entry.due_ms == Some(due_ms))
            });
            self.due = due;
        }
        if self.withheld.len() > 2 * live + 64 {
            let mut withheld = std::mem::take(&mut self.withheld);
            withheld.sort_unstable();
            withheld.dedup();
            withheld.retain(|&(seq, slot)| self.live(seq, slot).is_some());
            self.withheld = withheld;
        }
    }

    /// Seats one ticket in a running match or a new group.
    fn match_one(&mut self, slot: u32, is_only_news: bool) -> Option<Group> {
        if let Some(group) = self.match_backfill(slot) {
            return Some(group);
        }
        if self.held {
            return None;
        }
        let oldest_ms = self.ages.iter().find_map(|&(seq, slot)| self.live(seq, slot))?.ticket.added_ms;
        let Self { rules, parts, entries, now_ms, .. } = &*self;
        let search = Search { rules, parts, entries, oldest_ms, now_ms: *now_ms, is_only_news };
        let found = search.group_for(slot)?;
        Some(self.form(found))
    }

    fn form(&mut self, found: Found) -> Group {
        let seats = if self.rules.has_teams { self.rules.seats.as_slice() } else { &[] };
        let teams = seats.iter().map(|&seats| Vec::with_capacity(seats as usize)).collect();
        let tickets = Vec::with_capacity(found.members.len());
        let turns = Vec::with_capacity(found.members.len());
        let players = Vec::with_capacity(self.rules.size as usize);
        let mut group = Group { tickets, turns, players, teams, bots: found.bots, backfill: None };
        for (nth, slot) in found.members.into_iter().enumerate() {
            let turn = self.entries[slot as usize].as_ref().map_or(0, |entry| entry.seq);
            let Some(ticket) = self.take(slot) else { continue };
            self.waits.matched_after(self.now_ms - ticket.added_ms);
            group.players.extend_from_slice(&ticket.players);
            if let Some(&team) = found.teams.get(nth) {
                group.teams[team].extend_from_slice(&ticket.players);
            }
            group.tickets.push(ticket);
            group.turns.push(turn);
        }
        group
    }

    fn match_backfill(&mut self, slot: u32) -> Option<Group> {
        let entry = self.entries[slot as usize].as_ref()?;
        let waited_ms = self.now_ms - entry.ticket.added_ms;
        let (nth, team) = self.backfills.iter().enumerate().find_map(|(nth, Standing { request, barred })| {
            // What other rules had room for waits for them to come back, or for its match to end.
            let suits = request.check(&self.rules).is_ok()
                && !entry.ticket.players.iter().any(|player| barred.contains(player))
                && request.suits(&self.rules, &entry.ticket.traits, waited_ms);
            request.room_for(entry.size).filter(|_| suits).map(|team| (nth, team))
        })?;
        let request = &mut self.backfills[nth].request;
        request.seats[team] -= entry.size;
        let match_id = request.match_id;
        if request.seats.iter().all(|&free| free == 0) {
            self.backfills.remove(nth);
        }
        let teams = if self.rules.has_teams { vec![team] } else { Vec::new() };
        let group = self.form(Found { members: vec![slot], teams, bots: 0 });
        Some(Group { backfill: Some(match_id), ..group })
    }

    fn why(&self, entry: &Entry) -> WhyNot {
        if self.held && entry.is_listed() {
            return WhyNot::Held;
        }
        if self.fresh.iter().any(|&(seq, _)| seq == entry.seq) && entry.is_listed() {
            return WhyNot::AboutToMatch;
        }
        let Self { rules, parts, entries, players, now_ms, .. } = self;
        Look { rules, parts, entries, players: *players, now_ms: *now_ms }.why(entry)
    }
}
