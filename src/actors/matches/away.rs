//! Players who lost their connection: the seat is held for a while, and then given up, forfeited or played on by a bot.

use std::time::Duration;

use actix::prelude::*;

use super::{MatchActor, Parting, PlayerAway, PlayerBack, says};
use crate::actors::directory::Member;
use crate::actors::sessions::SnapshotPart;
use crate::engine::matches::Phase;
use crate::engine::modes::OnExpire;
use crate::ids::PlayerId;
use crate::wire::Outbound;

impl Handler<PlayerAway> for MatchActor {
    type Result = ();

    fn handle(&mut self, PlayerAway { player, session }: PlayerAway, ctx: &mut Context<Self>) {
        if self.members.get(&player).is_none_or(|member| member.session_id != session) {
            return;
        }
        self.away(player, ctx);
    }
}

impl MatchActor {
    /// The seat of a player who is gone is held, and everybody else learns for how long.
    pub(super) fn away(&mut self, player: PlayerId, ctx: &mut Context<Self>) {
        if !self.stage.roster.set_present(player, false, self.realm.clock.now_us()) {
            return;
        }
        let grace_ms = Some(u64::from(self.stage.mode.reconnect.grace_s) * 1_000);
        let away = says::PlayerDisconnected { match_id: self.stage.id, player_id: player, grace_ms };
        self.push_others(player, &away.push());
        for vote in self.votes.values() {
            vote.roster_changed(&self.stage.roster);
        }
        self.await_return(player, ctx);
    }

    /// Gives the seat of a player who is away up when what is left of their grace is over. While an operator holds the
    /// match no grace runs: going on calls this again.
    fn await_return(&mut self, player: PlayerId, ctx: &mut Context<Self>) {
        if let Some(earlier) = self.graces.remove(&player) {
            ctx.cancel_future(earlier);
        }
        let seat = self.stage.roster.seats().iter().find(|seat| seat.player == player && !seat.present);
        let Some(seat) = seat.filter(|_| self.stage.phase() != Phase::Paused) else { return };
        let until_us = seat.heard_us + u64::from(self.stage.mode.reconnect.grace_s) * 1_000_000;
        let left = Duration::from_micros(until_us.saturating_sub(self.realm.clock.now_us()));
        let expire = ctx.run_later(left, move |this, ctx| {
            this.graces.remove(&player);
            this.in_turn(ctx, move |this, ctx| {
                if this.stage.roster.seats().iter().any(|seat| seat.player == player && !seat.present) {
                    this.expire(player, ctx);
                }
            });
        });
        self.graces.insert(player, expire);
    }

    /// An operator holds the match: no grace runs.
    pub(super) fn hold_graces(&mut self, ctx: &mut Context<Self>) {
        for (_, grace) in self.graces.drain() {
            ctx.cancel_future(grace);
        }
    }

    /// The match goes on, and so does what was left of every grace.
    pub(super) fn resume_graces(&mut self, ctx: &mut Context<Self>) {
        let away = self.stage.roster.seats().iter().filter(|seat| !seat.present).map(|seat| seat.player);
        for player in away.collect::<Vec<_>>() {
            self.await_return(player, ctx);
        }
    }

    /// Whether this player's seat is held because the match is.
    pub(super) fn is_held_for(&self, player: PlayerId) -> bool {
        self.stage.phase() == Phase::Paused && self.stage.roster.is_seated(player)
    }

    /// A player did not come back in time.
    pub(super) fn expire(&mut self, player: PlayerId, ctx: &mut Context<Self>) {
        match self.stage.mode.reconnect.on_expire {
            OnExpire::Leave => {
                let why = Parting::Expired.reason();
                self.tell_expired(player, why.unwrap_or_default(), false);
                self.leave(player, why, ctx);
            }
            OnExpire::Forfeit => {
                self.tell_expired(player, "forfeited", false);
                if self.stage.roster.is_seated(player) && !self.forfeited.contains(&player) {
                    self.forfeited.push(player);
                }
                self.leave(player, Some("forfeited"), ctx);
            }
            OnExpire::Bot => {
                if !self.stage.hand_to_bot(player, self.realm.clock.unix_us()) {
                    // Who only watched has no seat to play on in.
                    return self.leave(player, Parting::Expired.reason(), ctx);
                }
                // Bots do not play on among themselves: then the match ends, and nothing is kept.
                let kept = self.stage.roster.seats().iter().any(|seat| !seat.bot);
                self.tell_expired(player, "bot", kept);
                self.gone(player, true, Some("bot"));
                self.carry_out(ctx);
            }
        }
    }

    /// The player takes over again from the bot in their seat; false when there is none.
    pub(super) fn take_back(&mut self, player: PlayerId) -> bool {
        let clock = self.realm.clock;
        self.stage.roster.is_bot(player)
            && self.realm.directory.claim_seat(player, self.stage.id).is_ok()
            && self.stage.take_back(player, clock.now_us(), clock.unix_us())
    }
}

impl Handler<PlayerBack> for MatchActor {
    type Result = ();

    fn handle(&mut self, PlayerBack { member, snapshot }: PlayerBack, ctx: &mut Context<Self>) {
        self.in_turn(ctx, move |this, ctx| this.back(member, snapshot, ctx));
    }
}

impl MatchActor {
    fn back(&mut self, member: Member, snapshot: bool, ctx: &mut Context<Self>) {
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
        // What was on its way to the connection it lost may never have come.
        self.showing.forget(player);
        for (seen_by, outlet) in self.crowd.borrow_mut().iter_mut() {
            if *seen_by == player {
                *outlet = member.outlet.clone();
            }
        }
        self.tell_seated(&member, self.stage.roster.is_spectator(player));
        self.members.insert(player, member);
        if let Some(grace) = self.graces.remove(&player) {
            ctx.cancel_future(grace);
        }
        if self.stage.roster.set_present(player, true, self.realm.clock.now_us()) {
            self.push_others(player, &says::PlayerResumed { match_id: self.stage.id, player_id: player }.push());
            for vote in self.votes.values() {
                vote.roster_changed(&self.stage.roster);
            }
        }
    }
}
