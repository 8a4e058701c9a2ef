//! Who and what is where: the one shared table of live sessions, seats, matches, votes and channels.
//!
//! Lookups never wait for an actor. Everything in here is small, and each entry is removed by the actor that put it
//! in. A cluster would answer the same questions with a node beside the address.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use actix::Addr;
use actix::prelude::SendError;
use dashmap::mapref::entry::Entry;
use dashmap::{DashMap, DashSet};
use parking_lot::Mutex;

use super::channels::{ChannelActor, ChatCommand};
use super::mail::{Depth, Mail};
use super::matches::MatchActor;
use super::outlet::Outlet;
use super::sessions::SessionActor;
use super::votes::VoteActor;
use crate::engine::chat::{Pace, Paces};
use crate::engine::matches::Phase;
use crate::engine::matches::inputs::InputQueue;
use crate::ids::{ChannelId, MatchId, PlayerId, SessionId, VoteId};
use crate::limits::PACES_KEPT_MAX;
use crate::store::rows::MuteRow;

/// A signed-in player as others reach them: what to push to, and whom to tell.
#[derive(Clone)]
pub struct Member {
    /// Who.
    pub player: PlayerId,
    /// Their session.
    pub session_id: SessionId,
    /// What they are sent goes in here.
    pub outlet: Arc<Outlet>,
    /// Their session's actor.
    pub session: Addr<SessionActor>,
}

/// What everybody may know of a live match without asking it: kept up to date by the match.
pub struct MatchCard {
    /// Which.
    pub match_id: MatchId,
    /// Its mode.
    pub mode: Arc<str>,
    /// Seats.
    pub players_max: u32,
    /// Whether `match.list` shows it.
    pub listed: bool,
    /// The code that opens a private match.
    pub join_code: Option<Arc<str>>,
    /// When it began to wait for players, unix milliseconds.
    pub created_ms: u64,
    /// What changes; set through [`Directory::update`], which keeps the list of matches with room true.
    pub state: Mutex<CardState>,
    /// Whoever has or had a seat: what was said and voted there is theirs to read, now as when it is over. Grows as the
    /// record that is written of them then.
    pub seated: Mutex<HashSet<PlayerId>>,
    /// Seats promised to joins that are under way.
    pub promised: AtomicU32,
    /// What its players did since its last tick. Sessions put it here instead of telling the match: an input matters at
    /// the next tick, and a thread woken for each would do little but wake up.
    pub inputs: Mutex<InputQueue>,
    /// Its actor.
    pub addr: Mail<MatchActor>,
}

/// What changes on a [`MatchCard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardState {
    /// Where it is in its life.
    pub phase: Phase,
    /// Seats taken.
    pub players: u32,
    /// Whether the door is open.
    pub joinable: bool,
}

impl MatchCard {
    /// Whether anybody is still sent in: it has no code, its door is open, a seat is free, and it does not stand still.
    fn has_room(&self, state: &CardState) -> bool {
        let open = state.joinable && !matches!(state.phase, Phase::Finished | Phase::Paused);
        open && self.join_code.is_none() && state.players < self.players_max
    }

    /// Promises a seat to one more join, if there is one left to promise.
    pub fn promise_seat(&self) -> bool {
        let state = *self.state.lock();
        if !self.has_room(&state) {
            return false;
        }
        let free = self.players_max.saturating_sub(state.players);
        self.promised
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |promised| (promised < free).then_some(promised + 1))
            .is_ok()
    }

    /// Takes a promise back: kept or broken.
    pub fn settle_promise(&self) {
        let _ = self.promised.fetch_update(Ordering::AcqRel, Ordering::Acquire, |promised| promised.checked_sub(1));
    }
}

/// Where a vote is.
#[derive(Clone)]
pub enum VotePlace {
    /// It takes casts.
    Open(MatchId, Arc<Mail<VoteActor>>),
    /// It is over; its match still remembers it.
    Closed(MatchId),
}

impl VotePlace {
    /// The match it belongs to.
    pub fn match_id(&self) -> MatchId {
        match self {
            VotePlace::Open(match_id, _) | VotePlace::Closed(match_id) => *match_id,
        }
    }
}

/// The way to a live channel. Everything goes through it while its row is held: so one mailbox bound holds for all
/// senders (each clone of an address would bring a place of its own), and a channel that would end knows whether
/// something is still on its way.
struct ChannelDoor {
    addr: Mail<ChannelActor>,
    sent: AtomicU64,
}

impl ChannelDoor {
    fn new(start: impl FnOnce() -> Addr<ChannelActor>) -> Self {
        Self { addr: Mail::new(start()), sent: AtomicU64::new(0) }
    }

    fn tell(&self, command: ChatCommand) -> Result<(), SendError<ChatCommand>> {
        self.addr.try_send(command)?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The paces of channels that ended.
struct Paced(Mutex<Paces>);

impl Default for Paced {
    fn default() -> Self {
        Self(Mutex::new(Paces::new(PACES_KEPT_MAX)))
    }
}

/// The table.
#[derive(Default)]
pub struct Directory {
    sessions: DashMap<PlayerId, Member>,
    /// Which match a player has a seat in: the one place that keeps a player from holding two.
    seats: DashMap<PlayerId, MatchId>,
    matches: DashMap<MatchId, Arc<MatchCard>>,
    /// Each mode's matches with room for anybody, whoever made them; ids sort by age. Its locks are taken inside a
    /// card's, never around one.
    with_room: DashMap<Arc<str>, BTreeSet<MatchId>>,
    join_codes: DashMap<Arc<str>, MatchId>,
    votes: DashMap<VoteId, VotePlace>,
    channels: DashMap<ChannelId, ChannelDoor>,
    /// What channels left behind that nobody is in.
    paces: Paced,
    rooms: DashMap<ChannelId, Arc<HashSet<PlayerId>>>,
    /// The number of the last word on a room that waits for the store.
    rooms_asked: DashMap<ChannelId, u64>,
    /// Who is here and looks absent.
    hidden: DashSet<PlayerId>,
    /// Whose chat is silenced: the rows of one player, run out or not.
    mutes: DashMap<PlayerId, Vec<MuteRow>>,
    /// Live matches, counted apart so that the limit holds under a race.
    matches_live: AtomicU32,
}

impl Directory {
    /// Makes this the player's session and returns the one it takes the place of.
    pub fn enter(&self, member: Member) -> Option<Member> {
        self.sessions.insert(member.player, member)
    }

    /// Removes the player's session, unless a newer one took its place.
    pub fn exit(&self, player: PlayerId, session_id: SessionId) -> bool {
        self.sessions.remove_if(&player, |_, member| member.session_id == session_id).is_some()
    }

    /// The player's live (or resumable) session.
    pub fn member(&self, player: PlayerId) -> Option<Member> {
        self.sessions.get(&player).map(|member| member.clone())
    }

    /// Whether that is the player's session, and no newer one took its place.
    pub fn is_current(&self, player: PlayerId, session_id: SessionId) -> bool {
        self.sessions.get(&player).is_some_and(|member| member.session_id == session_id)
    }

    /// Says whether a player who is here looks absent.
    pub fn set_hidden(&self, player: PlayerId, hidden: bool) {
        match hidden {
            true => drop(self.hidden.insert(player)),
            false => drop(self.hidden.remove(&player)),
        }
    }

    /// Whether others may see that the player has a session whose connection stands.
    pub fn looks_connected(&self, player: PlayerId) -> bool {
        self.is_connected(player) && !self.hidden.contains(&player)
    }

    /// Whether the player has a session whose connection stands.
    pub fn is_connected(&self, player: PlayerId) -> bool {
        self.sessions.get(&player).is_some_and(|member| member.outlet.connection().is_some())
    }

    /// Every live session.
    pub fn members(&self) -> Vec<Member> {
        self.sessions.iter().map(|member| member.clone()).collect()
    }

    /// How many sessions live.
    pub fn sessions_live(&self) -> usize {
        self.sessions.len()
    }

    /// Claims the player's one seat for a match; the match that has it already when that is another.
    pub fn claim_seat(&self, player: PlayerId, match_id: MatchId) -> Result<(), MatchId> {
        match self.seats.entry(player) {
            Entry::Occupied(mut taken) if *taken.get() != match_id => {
                let elsewhere = *taken.get();
                // A match that died before it could clean up holds nobody.
                if self.matches.get(&elsewhere).is_none_or(|card| card.addr.connected()) {
                    return Err(elsewhere);
                }
                taken.insert(match_id);
                Ok(())
            }
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(free) => {
                free.insert(match_id);
                Ok(())
            }
        }
    }

    /// Gives the seat up, if it is this match's.
    pub fn release_seat(&self, player: PlayerId, match_id: MatchId) {
        self.seats.remove_if(&player, |_, seat| *seat == match_id);
    }

    /// The match the player has a seat in.
    pub fn seat(&self, player: PlayerId) -> Option<MatchId> {
        self.seats.get(&player).map(|seat| *seat)
    }

    /// Calls this for everybody who has a seat and a session.
    pub fn for_each_seated(&self, mut each: impl FnMut(&Member)) {
        for seat in &self.seats {
            if let Some(member) = self.sessions.get(seat.key()) {
                each(&member);
            }
        }
    }

    /// Counts one more live match, unless there are `matches_max` already.
    pub fn admit_match(&self, matches_max: u32) -> bool {
        let more = |live: u32| (live < matches_max).then_some(live + 1);
        self.matches_live.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Whether one more match could be admitted.
    pub fn has_place_for_match(&self, matches_max: u32) -> bool {
        self.matches_live.load(Ordering::Acquire) < matches_max
    }

    /// Takes back an admission: the match did not begin.
    pub fn dismiss_match(&self) {
        self.matches_live.fetch_sub(1, Ordering::AcqRel);
    }

    /// Shows a match that was admitted.
    pub fn add_match(&self, card: Arc<MatchCard>) {
        if let Some(code) = &card.join_code {
            self.join_codes.insert(code.clone(), card.match_id);
        }
        self.matches.insert(card.match_id, card.clone());
        let state = card.state.lock();
        self.list_room(&card, &state);
    }

    /// Says what changed of a match.
    pub fn update(&self, card: &MatchCard, change: impl FnOnce(&mut CardState)) {
        let mut state = card.state.lock();
        let before = card.has_room(&state);
        change(&mut state);
        if card.has_room(&state) != before {
            self.list_room(card, &state);
        }
    }

    fn list_room(&self, card: &MatchCard, state: &CardState) {
        if card.has_room(state) {
            self.with_room.entry(card.mode.clone()).or_default().insert(card.match_id);
        } else if let Some(mut with_room) = self.with_room.get_mut(&card.mode) {
            with_room.remove(&card.match_id);
        }
    }

    /// Promises a seat in the oldest match of the mode that has one for anybody; not in `but`.
    pub fn promise_seat(&self, mode: &str, but: Option<MatchId>) -> Option<Arc<MatchCard>> {
        let mut after = Bound::Unbounded;
        loop {
            let match_id = *self.with_room.get(mode)?.range((after, Bound::Unbounded)).next()?;
            after = Bound::Excluded(match_id);
            if Some(match_id) != but
                && let Some(card) = self.card(match_id)
                && card.promise_seat()
            {
                return Some(card);
            }
        }
    }

    /// Removes a match with its votes and its code.
    pub fn remove_match(&self, match_id: MatchId) {
        if let Some((_, card)) = self.matches.remove(&match_id) {
            if let Some(code) = &card.join_code {
                self.join_codes.remove(code);
            }
            if let Some(mut with_room) = self.with_room.get_mut(&card.mode) {
                with_room.remove(&match_id);
            }
            self.matches_live.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// A live match.
    pub fn card(&self, match_id: MatchId) -> Option<Arc<MatchCard>> {
        self.matches.get(&match_id).map(|card| card.clone())
    }

    /// The match behind a join code.
    pub fn card_by_code(&self, code: &str) -> Option<Arc<MatchCard>> {
        // As people read it out or paste it: codes are capital letters and digits.
        let match_id = *self.join_codes.get(code.trim().to_ascii_uppercase().as_str())?;
        self.card(match_id)
    }

    /// Every live match.
    pub fn cards(&self) -> Vec<Arc<MatchCard>> {
        self.matches.iter().map(|card| card.clone()).collect()
    }

    /// How many matches live.
    pub fn matches_live(&self) -> u32 {
        self.matches_live.load(Ordering::Acquire)
    }

    /// Shows a vote; false when the name is taken.
    pub fn add_vote(&self, vote_id: VoteId, match_id: MatchId, addr: Addr<VoteActor>) -> bool {
        match self.votes.entry(vote_id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                // One address for all who look it up: each clone of one would bring a mailbox place of its own.
                free.insert(VotePlace::Open(match_id, Arc::new(Mail::new(addr))));
                true
            }
        }
    }

    /// Whether a vote of that name is known.
    pub fn has_vote(&self, vote_id: &VoteId) -> bool {
        self.votes.contains_key(vote_id)
    }

    /// Remembers that a vote is over, so that late casts learn why.
    pub fn close_vote(&self, vote_id: &VoteId) {
        if let Some(mut place) = self.votes.get_mut(vote_id) {
            *place = VotePlace::Closed(place.match_id());
        }
    }

    /// Forgets a vote: its match is over.
    pub fn remove_vote(&self, vote_id: &VoteId) {
        self.votes.remove(vote_id);
    }

    /// Where a vote is.
    pub fn vote(&self, vote_id: &VoteId) -> Option<VotePlace> {
        self.votes.get(vote_id).map(|place| place.clone())
    }

    /// Tells the channel of that name something, if it lives. The channel's own bound holds for all senders together.
    pub fn tell_channel(&self, channel: &ChannelId, command: ChatCommand) -> Result<(), SendError<ChatCommand>> {
        match self.channels.get(channel) {
            Some(door) => door.tell(command),
            None => Err(SendError::Closed(command)),
        }
    }

    /// Whether a channel of that name lives.
    pub fn has_channel(&self, channel: &ChannelId) -> bool {
        self.channels.get(channel).is_some_and(|door| door.addr.connected())
    }

    /// As [`Directory::tell_channel`] for what must not be lost to a channel that is busy: each follows a join that was
    /// bounded, or is an operator's word.
    pub fn oblige_channel(&self, channel: &ChannelId, command: ChatCommand) {
        if let Some(door) = self.channels.get(channel) {
            door.addr.do_send(command);
            door.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As [`Directory::tell_channel`], with a channel that `start` begins where none lives. Full where `channels_max`
    /// live already.
    pub fn tell_or_start_channel(
        &self,
        channel: &ChannelId,
        command: ChatCommand,
        channels_max: usize,
        start: impl FnOnce() -> Addr<ChannelActor>,
    ) -> Result<(), SendError<ChatCommand>> {
        if let Some(door) = self.channels.get(channel).filter(|door| door.addr.connected()) {
            return door.tell(command);
        }
        if self.channels.len() >= channels_max {
            return Err(SendError::Full(command));
        }
        let door = match self.channels.entry(channel.clone()) {
            Entry::Occupied(live) if live.get().addr.connected() => live.into_ref(),
            Entry::Occupied(mut stopped) => {
                stopped.insert(ChannelDoor::new(start));
                stopped.into_ref()
            }
            Entry::Vacant(free) => free.insert(ChannelDoor::new(start)),
        };
        door.tell(command)
    }

    /// What a channel of that name left behind that ended lately.
    pub fn take_pace(&self, channel: &ChannelId) -> Option<Pace> {
        self.paces.0.lock().take(channel)
    }

    /// Keeps what a channel leaves behind. Before it is removed: from then on the next one may begin.
    pub fn keep_pace(&self, channel: &ChannelId, pace: Option<Pace>, now_ms: u64) {
        self.paces.0.lock().keep(channel, pace, now_ms);
    }

    /// Removes a channel that nobody is in, if it has heard everything that was sent to it.
    pub fn retire_channel(&self, channel: &ChannelId, heard: u64) -> bool {
        let done = |door: &ChannelDoor| door.sent.load(Ordering::Relaxed) == heard;
        self.channels.remove_if(channel, |_, door| done(door)).is_some()
    }

    /// What waits in the mailboxes of channels, of matches and of votes.
    pub fn mail(&self) -> [(&'static str, Depth); 3] {
        let votes = self.votes.iter().filter_map(|row| match row.value() {
            VotePlace::Open(_, mail) => Some(mail.waiting()),
            VotePlace::Closed(_) => None,
        });
        [
            ("channels", self.channels.iter().map(|door| door.addr.waiting()).collect()),
            ("matches", self.matches.iter().map(|card| card.addr.waiting()).collect()),
            ("votes", votes.collect()),
        ]
    }

    /// How many votes are open.
    pub fn votes_open(&self) -> usize {
        self.votes.iter().filter(|row| matches!(row.value(), VotePlace::Open(..))).count()
    }

    /// Silences a player from now on; a row for the same place replaces the old one.
    pub fn mute(&self, row: MuteRow) {
        let mut rows = self.mutes.entry(row.player_id).or_default();
        rows.retain(|known| known.channel_id != row.channel_id);
        rows.push(row);
    }

    /// The mute that keeps the player silent in that channel, if one does: of several the one that lasts longest.
    pub fn mute_of(&self, player: PlayerId, channel: &str, unix_ms: u64) -> Option<MuteRow> {
        let rows = self.mutes.get(&player)?;
        let here = |row: &&MuteRow| row.channel_id.as_deref().is_none_or(|place| place == channel);
        let longest = rows.iter().filter(here).max_by_key(|row| row.until_unix_ms)?;
        (unix_ms < longest.until_unix_ms).then(|| longest.clone())
    }

    /// A word on a room is on its way through the store: later ones have higher numbers.
    pub fn ask_room(&self, room: &ChannelId, number: u64) {
        self.rooms_asked.insert(room.clone(), number);
    }

    /// The store has that word on a room, or refused it; whether it was the last one.
    pub fn answer_room(&self, room: &ChannelId, number: u64) -> bool {
        self.rooms_asked.remove_if(room, |_, last| *last == number).is_some()
    }

    /// Sets who belongs to a `room:` channel.
    pub fn set_room(&self, room: ChannelId, members: HashSet<PlayerId>) {
        self.rooms.insert(room, Arc::new(members));
    }

    /// How many `room:` channels have been set.
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// Who belongs to a `room:` channel.
    pub fn room(&self, room: &ChannelId) -> Option<Arc<HashSet<PlayerId>>> {
        self.rooms.get(room).map(|members| members.clone())
    }
}
