//! What a match does between its ticks, one slow match at a time.

use std::time::Duration;

use actix::prelude::*;

use super::MatchActor;
use crate::ids::PlayerId;
use crate::limits::{BEHIND_AGAIN_MS, BEHIND_WAIT_MS, BEHIND_WAITING_MAX};

/// What is done for a match.
pub(super) type Deed = Box<dyn FnOnce(&mut MatchActor, &mut Context<MatchActor>)>;

/// Players who wait for the match to be ready for them, until then at most, and what lets them in.
pub(super) struct Coming {
    until_us: u64,
    players: Vec<PlayerId>,
    deed: Deed,
}

impl MatchActor {
    /// Does what may call the game: at once where the match is quick, in its turn among those that take long where it is
    /// not. Nothing else is done for the match until then, so everything keeps its order.
    pub(super) fn in_turn(
        &mut self,
        ctx: &mut Context<Self>,
        what: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        if !self.pace.is_slow() {
            return self.take(ctx, what);
        }
        let turn = actix::fut::wrap_future::<_, Self>(self.pace.turn());
        ctx.wait(turn.map(move |turn, this, ctx| {
            this.take(ctx, what);
            drop(turn);
        }));
    }

    /// Lets players in, in their turn, behind whoever came before, and once the game is ready for them. It has to know who
    /// left: to one that still counts them, whoever comes would be one too many, and whoever comes back would be gone by
    /// what it hears next. And what it stored of them has to be there: it is asked for where they join.
    pub(super) fn let_in(&mut self, ctx: &mut Context<Self>, coming: Vec<PlayerId>, deed: Deed) {
        if self.coming.len() >= BEHIND_WAITING_MAX {
            return self.in_turn(ctx, deed);
        }
        let until_us = self.realm.clock.now_us() + BEHIND_WAIT_MS * 1_000;
        self.coming.push_back(Coming { until_us, players: coming, deed });
        if self.coming.len() == 1 {
            return self.let_next_in(ctx);
        }
        // Asked for now, so that nobody waits for those before them and then for this.
        self.in_turn(ctx, |this, ctx| {
            if let Some(Coming { players, .. }) = this.coming.back() {
                this.stage.is_behind(players, this.realm.clock.unix_us());
                this.carry_out(ctx);
            }
        });
    }

    fn let_next_in(&mut self, ctx: &mut Context<Self>) {
        self.in_turn(ctx, |this, ctx| {
            let clock = this.realm.clock;
            while let Some(Coming { until_us, players, .. }) = this.coming.front() {
                let is_waiting = !this.over && clock.now_us() < *until_us;
                if is_waiting && this.stage.is_behind(players, clock.unix_us()) {
                    this.carry_out(ctx);
                    ctx.run_later(Duration::from_millis(BEHIND_AGAIN_MS), Self::let_next_in);
                    return;
                }
                if let Some(coming) = this.coming.pop_front() {
                    (coming.deed)(this, ctx);
                    this.stage.came(&coming.players);
                }
            }
        });
    }

    fn take(&mut self, ctx: &mut Context<Self>, what: impl FnOnce(&mut Self, &mut Context<Self>)) {
        let began_us = self.realm.clock.now_us();
        what(self, ctx);
        self.pace.rose_to(self.realm.clock.now_us().saturating_sub(began_us));
    }
}
