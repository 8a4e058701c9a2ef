//! Who comes and who goes: joining, watching, being matched, dropping out and coming back.

use std::sync::atomic::Ordering::Relaxed;

use actix::prelude::*;

use super::{Join, Leave, MatchActor, Parting, PlayerBack, QueuedGroup, Reinforce, Wanted, says};
use crate::actors::directory::Member;
use crate::actors::lobby::FindAgain;
use crate::actors::matchmaker::{AskBackfill, PutBack, TakeUp};
use crate::actors::overload::Pressure;
use crate::actors::sessions::{Seated, Unseated};
use crate::engine::matches::Phase;
use crate::engine::matches::roster::NoPlace;
use crate::engine::matchmaking::Playing;
use crate::engine::sessions::SlotKind;
use crate::games::stage::Denied;
use crate::ids::PlayerId;
use crate::limits::TURNED_AWAY_PER_MATCH_MAX;
use crate::wire::matches::Role;
use crate::wire::matchmaking::Failed;
use crate::wire::{Frame, Outbound, Reason, Refusal};

impl MatchActor {
    pub(super) fn player_joined(&self, player: PlayerId) -> Frame {
        let player_count = Some(self.stage.roster.seats().len() as u32);
        let name = self.stage.bot_name(player).map(str::to_owned);
        says::PlayerJoined {
            match_id: self.stage.id,
            player_id: player,
            player_count,
            bot: name.is_some().then_some(true),
            name,
        }
        .push()
    }

    pub(super) fn tell_seated(&self, member: &Member, spectator: bool) {
        let Some(card) = &self.card else { return };
        // `do_send` on purpose: once per seat, and a session that is full must still learn where it sits.
        member.session.do_send(Seated {
            card: card.clone(),
            tick_hz: self.stage.mode.tick_hz,
            spectator,
            grace_s: self.stage.mode.reconnect.grace_s,
        });
    }

    /// Lets a member see everything from now on.
    pub(super) fn admit(&mut self, member: Member, spectator: bool) {
        self.crowd.borrow_mut().retain(|(seen_by, _)| *seen_by != member.player);
        self.crowd.borrow_mut().push((member.player, member.outlet.clone()));
        self.tell_seated(&member, spectator);
        if let Some(card) = &self.card {
            // Another session may have taken over, or this one ended, while the join was on its way here.
            match self.realm.directory.member(member.player) {
                Some(now) if now.session_id != member.session_id => {
                    card.addr.do_send(PlayerBack { member: now, snapshot: true });
                }
                Some(_) => {}
                None => {
                    let session = Some(member.session_id);
                    let why = Parting::Expired;
                    let leave = Leave { player: member.player, session, why, reply: None, turn: None };
                    card.addr.do_send(leave);
                }
            }
        }
        if !spectator && !self.everyone.contains(&member.player) {
            self.everyone.push(member.player);
            if let Some(card) = &self.card {
                card.seated.lock().insert(member.player);
            }
            if self.started_ms > 0 {
                self.note_players(vec![member.player]);
            }
        }
        self.members.insert(member.player, member);
    }

    /// A member sees nothing more.
    pub(super) fn dismiss(&mut self, player: PlayerId) -> Option<Member> {
        let member = self.members.remove(&player)?;
        self.showing.forget(player);
        // When the match is over, everybody still gets its last state and what its votes came to.
        if !self.over {
            self.crowd.borrow_mut().retain(|(seen_by, _)| *seen_by != player);
            member.outlet.clear_slot(SlotKind::MatchState, self.stage.id.as_u128());
            member.outlet.clear_slot(SlotKind::MatchDelta, self.stage.id.as_u128());
            member.outlet.clear_slot(SlotKind::MatchAck, self.stage.id.as_u128());
        }
        self.realm.directory.release_seat(player, self.stage.id);
        member.session.do_send(Unseated { match_id: self.stage.id });
        Some(member)
    }

    /// What `match.joined` says.
    pub(super) fn joined(&self, viewer: PlayerId) -> says::Joined {
        let stage = &self.stage;
        let now_ms = self.realm.clock.now_ms();
        let open_votes = self.votes.values().filter_map(|vote| vote.for_newcomer(viewer, now_ms)).collect();
        says::Joined {
            match_id: stage.id,
            mode: stage.mode_name.to_string(),
            status: stage.phase().word().into(),
            player_count: stage.roster.seats().len() as u32,
            max_players: stage.mode.players.max,
            players: stage.roster.players().to_vec(),
            bots: stage.roster.seats().iter().filter(|seat| seat.bot).map(|seat| seat.player).collect(),
            listed: self.card.as_ref().is_some_and(|card| card.listed),
            joinable: stage.joinable(),
            tick_hz: stage.mode.tick_hz,
            open_votes,
            join_code: self
                .card
                .as_ref()
                .and_then(|card| card.join_code.as_deref())
                .filter(|_| stage.roster.is_seated(viewer))
                .map(str::to_owned),
            role: if stage.roster.is_spectator(viewer) { Role::Spectator } else { Role::Player },
        }
    }

    pub(super) fn join(&mut self, join: Join, ctx: &mut Context<Self>) {
        // Given back when all that comes of this is said.
        let Join { member, cid, ctx: join_ctx, spectate, invited, promised, founds, turn: _turn } = join;
        self.founded |= founds;
        let player = member.player;
        let outlet = member.outlet.clone();
        let lives = self.realm.directory.member(player).is_some();
        let reclaims = lives && !self.over && !spectate && self.take_back(player);
        // A seat that a bot plays on in is theirs to take back, and no place where they are already.
        let sits = self.stage.roster.is_seated(player) && !self.stage.roster.is_bot(player);
        let already = !self.over && (sits || (spectate && self.stage.roster.is_spectator(player)));
        let outcome = if !lives {
            // Shown out of the server while they waited: nobody is told of somebody who never was here.
            Err(Refusal::from(Reason::MatchNotFound))
        } else if reclaims {
            Ok(true)
        } else if already {
            Ok(false)
        } else if self.over {
            Err(Refusal::from(if self.broken.is_some() { Reason::GameUnavailable } else { Reason::MatchNotFound }))
        } else if self.card.as_ref().is_some_and(|card| card.join_code.is_some()) && !invited {
            Err(Refusal::from(Reason::MatchPrivate))
        } else if spectate {
            self.spectate(player)
        } else {
            self.take_seat(player, join_ctx.as_deref())
        };
        if promised.is_some()
            && let Some(card) = &self.card
        {
            self.update_card();
            card.settle_promise();
        }
        match outcome {
            Ok(false) => {
                self.showing.forget(player);
                for (seen_by, outlet) in self.crowd.borrow_mut().iter_mut() {
                    if *seen_by == player {
                        *outlet = member.outlet.clone();
                    }
                }
                self.tell_seated(&member, self.stage.roster.is_spectator(player));
                self.members.insert(player, member);
                outlet.push(&self.joined(player).frame(cid.as_ref()));
            }
            Ok(true) => {
                self.admit(member, spectate);
                self.update_card();
                outlet.push(&self.joined(player).frame(cid.as_ref()));
                if !spectate {
                    self.push_others(player, &self.player_joined(player));
                }
                // A spectator may have a say, too.
                for vote in self.votes.values() {
                    vote.roster_changed(&self.stage.roster);
                }
                self.start_if_enough(ctx);
                self.carry_out(ctx);
                self.ask_for_players();
            }
            Err(refusal) => match promised {
                // The match filled up or closed since it was promised: that is ours to solve, not the player's.
                Some(again)
                    if matches!(refusal.reason, Reason::MatchFull | Reason::MatchLocked | Reason::MatchNotFound)
                        || self.stage.roster.is_barred(player) =>
                {
                    self.realm.lobby().do_send(FindAgain(again, self.stage.id));
                }
                _ => {
                    self.refuse(&outlet, cid.as_ref(), refusal);
                    // A group of the queue may have found the seat claimed while the game was asked. Should the queue be
                    // too busy to hear it, it looks by itself after a while.
                    let _ = self.realm.matchmaker().try_send(TakeUp(player));
                }
            },
        }
        self.carry_out(ctx);
        self.end_if_nobody_came(ctx);
    }

    /// A match that was made for players none of whom got in is nobody's.
    fn end_if_nobody_came(&mut self, ctx: &mut Context<Self>) {
        let nobody = self.stage.roster.seats().is_empty() && self.stage.roster.spectators().is_empty();
        let none_on_the_way = || self.card.as_ref().is_some_and(|card| card.promised.load(Relaxed) == 0);
        if self.founded && nobody && !self.over && self.stage.phase() == Phase::Waiting && none_on_the_way() {
            self.stage.cancel("empty");
            self.carry_out(ctx);
        }
    }

    pub(super) fn spectate(&mut self, player: PlayerId) -> Result<bool, Refusal> {
        if self.stage.mode.spectators == 0 {
            return Err(Refusal::from(Reason::SpectatingDisabled));
        }
        if !self.realm.pressure.load().takes_spectators() {
            self.realm.pressure.spectators_refused.fetch_add(1, Relaxed);
            return Err(Pressure::refusal());
        }
        self.realm.directory.claim_seat(player, self.stage.id).map_err(|_| Refusal::from(Reason::AlreadyInMatch))?;
        self.stage.roster.spectate(player).map(|()| true).map_err(|no_place| {
            if !self.stage.roster.is_seated(player) || self.stage.roster.is_bot(player) {
                self.realm.directory.release_seat(player, self.stage.id);
            }
            Refusal::from(match no_place {
                NoPlace::Full => Reason::MatchFull,
                NoPlace::AlreadyIn => Reason::AlreadyInMatch,
                NoPlace::Barred => return kicked_before(),
            })
        })
    }

    pub(super) fn take_seat(
        &mut self,
        player: PlayerId,
        join_ctx: Option<&serde_json::value::RawValue>,
    ) -> Result<bool, Refusal> {
        if self.stage.roster.is_spectator(player) {
            return Err(Reason::Watching.into());
        }
        if self.take_back(player) {
            return Ok(true);
        }
        self.realm.directory.claim_seat(player, self.stage.id).map_err(|_| Refusal::from(Reason::AlreadyInMatch))?;
        let clock = self.realm.clock;
        self.stage.join(player, false, join_ctx, clock.now_us(), clock.unix_us()).map_err(|denied| {
            self.realm.directory.release_seat(player, self.stage.id);
            match denied {
                Denied::Over => Refusal::from(Reason::MatchNotFound),
                Denied::Full => Refusal::from(Reason::MatchFull),
                Denied::Barred => kicked_before(),
                Denied::Locked => Refusal::from(Reason::MatchLocked),
                Denied::Refused(word) if word.is_empty() => Refusal::from(Reason::JoinRefusedUnsaid),
                Denied::Refused(word) => Reason::JoinRefused.with("refused_reason", word),
            }
        })
    }

    pub(super) fn leave(&mut self, player: PlayerId, reason: Option<&str>, ctx: &mut Context<Self>) {
        if self.over {
            // It is on record, and everybody was told: nobody hears of it after its end.
            self.dismiss(player);
            return;
        }
        let seated = self.stage.roster.is_seated(player);
        self.stage.leave(player, self.realm.clock.unix_us());
        self.gone(player, seated, reason);
        self.carry_out(ctx);
    }

    /// Tells somebody who did not come back in time that the seat is lost, where their next connection will read it.
    /// `seat_kept`: a bot plays on in it, and a join takes it back.
    pub(super) fn tell_expired(&self, player: PlayerId, reason: &'static str, seat_kept: bool) {
        if let Some(member) = self.members.get(&player).filter(|_| self.stage.roster.is_seated(player)) {
            let left = says::PlayerLeft {
                match_id: self.stage.id,
                player_id: player,
                reason: Some(reason.into()),
                player_count: None,
                seat_kept: Some(seat_kept),
            };
            member.outlet.push(&left.push());
        }
    }

    /// After a seat was freed: everybody learns it.
    pub(super) fn gone(&mut self, player: PlayerId, seated: bool, reason: Option<&str>) {
        self.dismiss(player);
        self.traits.remove(&player);
        self.update_card();
        if seated {
            let left = says::PlayerLeft {
                match_id: self.stage.id,
                player_id: player,
                reason: reason.map(|reason| reason.to_owned().into()),
                player_count: Some(self.stage.roster.seats().len() as u32),
                seat_kept: None,
            };
            self.push_everyone(&left.push());
            for vote in self.votes.values() {
                vote.roster_changed(&self.stage.roster);
            }
            self.ask_for_players();
        }
    }

    /// Seats a group that the matchmaker made, before anybody is told of it. A group that is not complete comes to
    /// nothing where the match cannot begin without: whoever can still play goes back into the queue, in their turn.
    pub(super) fn seat_group(
        &mut self,
        mut group: Vec<Member>,
        queued: Option<QueuedGroup>,
        bots: u32,
        ctx: &mut Context<Self>,
    ) {
        let reinforces = self.stage.phase() != Phase::Waiting;
        for (team, players) in (1..).zip(queued.iter().flat_map(|queued| &queued.teams)) {
            players.iter().for_each(|player| self.stage.roster.place(*player, team));
        }
        let (mut gone, mut shut_out) = (Vec::new(), Vec::new());
        // Seats first, so that everybody is told of the same group.
        group.retain(|member| {
            let directory = &self.realm.directory;
            // Their seat is theirs since the group was made, unless they left while the match was not ready for them.
            let claimed = directory.seat(member.player) == Some(self.stage.id);
            if queued.is_some() && (!claimed || directory.member(member.player).is_none()) {
                self.realm.directory.release_seat(member.player, self.stage.id);
                gone.push(member.player);
                return false;
            }
            match self.take_seat(member.player, None) {
                // Who had joined by themselves meanwhile is in already.
                Ok(newly) => newly,
                Err(refusal)
                    if queued.is_some() && matches!(refusal.reason, Reason::MatchFull | Reason::MatchLocked) =>
                {
                    // Ours to solve, not the player's: there was room when the group was made.
                    shut_out.push(member.player);
                    false
                }
                Err(refusal)
                    if reinforces && matches!(refusal.reason, Reason::JoinRefused | Reason::JoinRefusedUnsaid) =>
                {
                    // They asked for a match, not for this one: they wait on, and are not sent here again.
                    self.turned_away.push(member.player);
                    shut_out.push(member.player);
                    false
                }
                Err(refusal) => {
                    member.outlet.push(&failed(refusal.reason.row().word));
                    gone.push(member.player);
                    false
                }
            }
        });
        let came = queued.iter().flat_map(|queued| &queued.tickets).map(|(ticket, _)| ticket);
        let known = came.flat_map(|ticket| ticket.players.iter().map(|player| (*player, ticket.traits.clone())));
        let known: Vec<_> = known.filter(|(player, _)| self.stage.roster.is_seated(*player)).collect();
        let short = self.stage.roster.seats().len() as u32 + bots < self.stage.mode.players.min;
        let is_whole = gone.is_empty() && shut_out.is_empty();
        let mut queued = queued.filter(|_| !is_whole);
        if let Some(queued) = queued.take_if(|_| reinforces || short) {
            for member in group {
                self.stage.leave(member.player, self.realm.clock.unix_us());
                self.realm.directory.release_seat(member.player, self.stage.id);
            }
            if !reinforces {
                self.stage.cancel("cancelled");
            }
            self.carry_out(ctx);
            // Before they are put back: else the order that still stands for another seat would have them sent again.
            self.ask_for_players();
            self.put_back(queued, gone);
            return;
        }
        if let Some(mut queued) = queued {
            // The others play. Whoever the door shut out waits on in their turn, and everybody wherever else they waited.
            let roster = &self.stage.roster;
            queued.tickets.retain(|(ticket, _)| !ticket.players.iter().any(|player| roster.is_seated(*player)));
            self.put_back(queued, gone);
        }
        self.traits.extend(known);
        if let Some(wanted) = self.wanted.as_mut().filter(|_| reinforces) {
            *wanted = wanted.saturating_sub(group.len() as u32);
        }
        let players = self.stage.roster.players().to_vec();
        let frames = says::Matched { match_id: self.stage.id, players }.frames();
        // Whoever was there before hears of each newcomer; the newcomers hear of one another by `match.matched`.
        let before: Vec<_> = self.crowd.borrow().iter().map(|(_, outlet)| outlet.clone()).collect();
        for member in group {
            let (player, outlet) = (member.player, member.outlet.clone());
            let joined = self.player_joined(player);
            for outlet in &before {
                outlet.push(&joined);
            }
            self.admit(member, false);
            outlet.push_all(&frames);
        }
        for vote in self.votes.values() {
            vote.roster_changed(&self.stage.roster);
        }
        self.update_card();
        self.start_if_enough(ctx);
        self.carry_out(ctx);
        self.ask_for_players();
    }

    /// A group that came to nothing goes back into the queue, in its turn.
    fn put_back(&self, queued: QueuedGroup, gone: Vec<PlayerId>) {
        // `do_send` on purpose: once per group, and the tickets must not be lost.
        let back = PutBack { mode: self.stage.mode_name.clone(), tickets: queued.tickets, gone };
        self.realm.matchmaker().do_send(back);
    }

    /// Whether this match may ask the queue at all. A private one may not: its door is the code, whoever asks.
    pub(super) fn takes_from_queue(&self) -> bool {
        let private = self.card.as_ref().is_some_and(|card| card.join_code.is_some());
        self.stage.mode.matchmaking.backfill && !private
    }

    /// Asks the queue again, or no more, where the game opened or closed the door.
    pub(super) fn look_at_door(&mut self) {
        let open = self.stage.joinable();
        if open != std::mem::replace(&mut self.door_open, open) {
            if open {
                self.turned_away.clear();
            }
            self.ask_for_players();
        }
    }

    /// Asks the queue for whoever is missing, team by team, where the mode lets matches do that. What the game asked for
    /// comes first; without, a running match wants every seat of its size filled.
    pub(super) fn ask_for_players(&mut self) {
        let (Some(card), mode) = (&self.card, &self.stage.mode) else { return };
        // Whom an operator holds would be seated in a match that stands still.
        let playing = self.stage.phase() == Phase::Running && !self.over;
        let patient = self.turned_away.len() < TURNED_AWAY_PER_MATCH_MAX;
        let mut seats = Vec::new();
        if self.takes_from_queue() && playing && patient && self.stage.joinable() {
            let (size, max) = (mode.matchmaking.size.unwrap_or(mode.players.max), mode.players.max);
            // A game may ask for more than a match begins with, and the queue sends that many at a time.
            seats = self.stage.roster.free_in_teams(if self.wanted.is_some() { max } else { size });
            seats.iter_mut().for_each(|free| *free = size.min(*free));
            let mut too_many = seats.iter().sum::<u32>().saturating_sub(self.wanted.unwrap_or(u32::MAX));
            // The fullest teams are the last to be helped.
            while too_many > 0
                && let Some(least) = seats.iter_mut().filter(|free| **free > 0).min()
            {
                let less = too_many.min(*least);
                (*least, too_many) = (*least - less, too_many - less);
            }
            if seats.iter().all(|free| *free == 0) {
                seats.clear();
            }
        }
        let known = || self.stage.roster.players().iter().filter_map(|player| self.traits.get(player));
        let wanted = if seats.is_empty() {
            Wanted::default()
        } else {
            let barred = self.stage.roster.barred().chain(self.turned_away.iter().copied()).collect();
            Wanted { seats, playing: Playing::of(known()), barred }
        };
        if self.asked_for.as_ref() != Some(&wanted) {
            let Wanted { seats, playing, barred } = wanted.clone();
            let ask = AskBackfill { mode: card.mode.clone(), match_id: card.match_id, seats, playing, barred };
            // Refused when the queue is too busy: the next change of the roster asks again.
            if self.realm.matchmaker().try_send(ask).is_ok() {
                self.asked_for = Some(wanted);
            }
        }
    }
}

impl Handler<Join> for MatchActor {
    type Result = ();

    fn handle(&mut self, join: Join, ctx: &mut Context<Self>) {
        if self.card.is_none() {
            // Found in the directory a moment before it opened: `Open` is the next message.
            return ctx.notify(join);
        }
        // What is stored of somebody who plays already is in sight.
        let newly = !join.spectate && !self.stage.roster.is_seated(join.member.player);
        let coming = if newly { vec![join.member.player] } else { Vec::new() };
        self.let_in(ctx, coming, Box::new(move |this, ctx| this.join(join, ctx)));
    }
}

impl Handler<Leave> for MatchActor {
    type Result = ();

    fn handle(&mut self, leave: Leave, ctx: &mut Context<Self>) {
        self.in_turn(ctx, move |this, ctx| this.part(leave, ctx));
    }
}

impl Handler<Reinforce> for MatchActor {
    type Result = ();

    fn handle(&mut self, Reinforce { group, queued }: Reinforce, ctx: &mut Context<Self>) {
        let coming = group.iter().map(|member| member.player).collect();
        self.let_in(ctx, coming, Box::new(move |this, ctx| this.reinforce(group, queued, ctx)));
    }
}

impl MatchActor {
    fn part(&mut self, leave: Leave, ctx: &mut Context<Self>) {
        let seated = self.members.get(&leave.player);
        let stale = seated.is_some_and(|member| leave.session.is_some_and(|said| said != member.session_id));
        if let Some((outlet, cid)) = &leave.reply {
            // Answered before others hear of it, and before the session forgets the match; the seat is free by then.
            if !stale {
                self.realm.directory.release_seat(leave.player, self.stage.id);
            }
            outlet.clear_slot(SlotKind::MatchState, self.stage.id.as_u128());
            outlet.push(&says::Left::default().frame(cid.as_ref()));
        }
        match leave.why {
            _ if stale => {}
            // A session may end before the match that an operator holds goes on; the seat is held for the next one.
            Parting::Expired if self.is_held_for(leave.player) => self.away(leave.player, ctx),
            // Else it lives at least as long as the seat is held for it.
            Parting::Expired if !self.over => self.expire(leave.player, ctx),
            why => self.leave(leave.player, why.reason(), ctx),
        }
    }

    fn reinforce(&mut self, group: Vec<Member>, queued: QueuedGroup, ctx: &mut Context<Self>) {
        // The queue holds these seats as given: whatever becomes of the group, it has to be asked anew.
        self.asked_for = None;
        if self.over || self.stage.phase() == Phase::Paused {
            for member in &group {
                self.realm.directory.release_seat(member.player, self.stage.id);
            }
            self.ask_for_players();
            return self.put_back(queued, Vec::new());
        }
        self.seat_group(group, Some(queued), 0, ctx);
    }
}

/// What somebody hears who was shown out of this match and asks to come back.
fn kicked_before() -> Refusal {
    Reason::JoinRefused.with("refused_reason", "kicked")
}

/// `match.matchmaker_failed`.
pub(super) fn failed(reason: &'static str) -> Frame {
    Failed { reason: reason.into() }.push()
}
