//! What a match does between its ticks, one slow match at a time.

use actix::prelude::*;

use super::MatchActor;

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

    fn take(&mut self, ctx: &mut Context<Self>, what: impl FnOnce(&mut Self, &mut Context<Self>)) {
        let began_us = self.realm.clock.now_us();
        what(self, ctx);
        self.pace.rose_to(self.realm.clock.now_us().saturating_sub(began_us));
    }
}
