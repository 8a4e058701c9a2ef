//! Who comes and who goes: joining, watching, being matched, dropping out and coming back.

use actix::prelude::*;

use super::{Join, Leave, MatchActor, Parting, PlayerAway, PlayerBack, Reinforce, says};
use crate::actors::directory::Member;
use crate::actors::lobby::FindAgain;
use crate::actors::sessions::{Seated, SnapshotPart, Unseated};
use crate::engine::matches::roster::NoPlace;
use crate::engine::sessions::SlotKind;
use crate::games::stage::Denied;
use crate::ids::PlayerId;
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
                    let leave = Leave { player: member.player, session, why: Parting::Expired, reply: None };
                    card.addr.do_send(leave);
                }
            }
        }
        if !spectator && !self.everyone.contains(&member.player) {
            self.everyone.push(member.player);
            if self.started_ms > 0 {
                self.note_players(vec![member.player]);
            }
        }
        self.members.insert(member.player, member);
    }

    /// A member sees nothing more.
    pub(super) fn dismiss(&mut self, player: PlayerId) -> Option<Member> {
        let member = self.members.remove(&player)?;
        // When the match is over, everybody still gets its last state and what its votes came to.
        if !self.over {
            self.crowd.borrow_mut().retain(|(seen_by, _)| *seen_by != player);
            member.outlet.clear_slot(SlotKind::MatchState, self.stage.id.as_u128());
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
        let Join { member, cid, ctx: join_ctx, spectate, invited, promised } = join;
        let player = member.player;
        let outlet = member.outlet.clone();
        let already = self.stage.roster.is_seated(player) || (spectate && self.stage.roster.is_spectator(player));
        let outcome = if already {
            Ok(false)
        } else if self.over {
            Err(Refusal::from(Reason::MatchNotFound))
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
                    for vote in self.votes.values() {
                        vote.roster_changed(&self.stage.roster);
                    }
                }
                self.start_if_enough(ctx);
                self.carry_out(ctx);
            }
            Err(refusal) => match promised {
                // The match filled up or closed since it was promised: that is ours to solve, not the player's.
                Some(again)
                    if matches!(refusal.reason, Reason::MatchFull | Reason::MatchLocked | Reason::MatchNotFound)
                        || self.stage.roster.is_barred(player) =>
                {
                    self.realm.lobby().do_send(FindAgain(again, self.stage.id));
                }
                _ => self.refuse(&outlet, cid.as_ref(), refusal),
            },
        }
    }

    pub(super) fn spectate(&mut self, player: PlayerId) -> Result<bool, Refusal> {
        if self.stage.mode.spectators == 0 {
            return Err(Refusal::from(Reason::SpectatingDisabled));
        }
        self.realm.directory.claim_seat(player, self.stage.id).map_err(|_| Refusal::from(Reason::AlreadyInMatch))?;
        self.stage.roster.spectate(player).map(|()| true).map_err(|no_place| {
            if !self.stage.roster.is_seated(player) {
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
            return Err(Reason::AlreadyInMatch.into());
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
                Denied::Refused(word) if word.is_empty() => Refusal::from(Reason::JoinRefused),
                Denied::Refused(word) => Reason::JoinRefused.with("refused_reason", word),
            }
        })
    }

    pub(super) fn leave(&mut self, player: PlayerId, reason: Option<&str>, ctx: &mut Context<Self>) {
        let seated = self.stage.roster.is_seated(player);
        self.stage.leave(player, self.realm.clock.unix_us());
        self.gone(player, seated, reason);
        self.carry_out(ctx);
    }

    /// After a seat was freed: everybody learns it.
    pub(super) fn gone(&mut self, player: PlayerId, seated: bool, reason: Option<&str>) {
        self.dismiss(player);
        self.update_card();
        if seated {
            let left = says::PlayerLeft {
                match_id: self.stage.id,
                player_id: player,
                reason: reason.map(|reason| reason.to_owned().into()),
                player_count: Some(self.stage.roster.seats().len() as u32),
            };
            self.push_everyone(&left.push());
            for vote in self.votes.values() {
                vote.roster_changed(&self.stage.roster);
            }
        }
    }

    /// Seats a group that the matchmaker made; each hears of the match before its first state.
    pub(super) fn seat_group(&mut self, mut group: Vec<Member>, ctx: &mut Context<Self>) {
        // Seats first, so that everybody is told of the same group.
        group.retain(|member| match self.take_seat(member.player, None) {
            // Who had joined by themselves meanwhile is in already.
            Ok(newly) => newly,
            Err(refusal) => {
                member.outlet.push(&failed(refusal.reason.row().word));
                false
            }
        });
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
    }
}

impl Handler<Join> for MatchActor {
    type Result = ();

    fn handle(&mut self, join: Join, ctx: &mut Context<Self>) {
        self.join(join, ctx);
    }
}

impl Handler<Leave> for MatchActor {
    type Result = ();

    fn handle(&mut self, leave: Leave, ctx: &mut Context<Self>) {
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
        if !stale {
            self.leave(leave.player, leave.why.reason(), ctx);
        }
    }
}

impl Handler<Reinforce> for MatchActor {
    type Result = ();

    fn handle(&mut self, Reinforce(group): Reinforce, ctx: &mut Context<Self>) {
        if self.over {
            for member in &group {
                member.outlet.push(&failed(Reason::MatchNotFound.row().word));
            }
            return;
        }
        self.seat_group(group, ctx);
    }
}

impl Handler<PlayerAway> for MatchActor {
    type Result = ();

    fn handle(&mut self, PlayerAway { player, session }: PlayerAway, _: &mut Context<Self>) {
        if self.members.get(&player).is_none_or(|member| member.session_id != session) {
            return;
        }
        if self.stage.roster.set_present(player, false, self.realm.clock.now_us()) {
            let grace_ms = u64::from(self.stage.mode.reconnect.grace_s) * 1_000;
            let away =
                says::PlayerDisconnected { match_id: self.stage.id, player_id: player, grace_ms: Some(grace_ms) };
            self.push_others(player, &away.push());
            for vote in self.votes.values() {
                vote.roster_changed(&self.stage.roster);
            }
        }
    }
}

impl Handler<PlayerBack> for MatchActor {
    type Result = ();

    fn handle(&mut self, PlayerBack { member, snapshot }: PlayerBack, ctx: &mut Context<Self>) {
        let player = member.player;
        let here = self.stage.roster.is_seated(player) || self.stage.roster.is_spectator(player);
        if snapshot {
            let joined = (here && !self.over).then(|| Box::new(self.joined(player)));
            // `do_send` on purpose: once per session, which waits for it.
            member.session.do_send(SnapshotPart::Match(joined));
        }
        if !here || self.over {
            return;
        }
        if self.realm.directory.member(player).is_none() {
            // The session ended while this was on its way, and could not say so of a seat that was not yet its own.
            self.leave(player, Parting::Expired.reason(), ctx);
            return;
        }
        for (seen_by, outlet) in self.crowd.borrow_mut().iter_mut() {
            if *seen_by == player {
                *outlet = member.outlet.clone();
            }
        }
        self.tell_seated(&member, self.stage.roster.is_spectator(player));
        self.members.insert(player, member);
        if self.stage.roster.set_present(player, true, self.realm.clock.now_us()) {
            self.push_others(player, &says::PlayerResumed { match_id: self.stage.id, player_id: player }.push());
            for vote in self.votes.values() {
                vote.roster_changed(&self.stage.roster);
            }
        }
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
