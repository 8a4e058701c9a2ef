//! What viewers are shown of the game: every distinct view encoded once, whole, or as what changed for those who asked
//! for that.
//!
//! A viewer of deltas is given a whole state first, and remembered with its number; what was given before a connection
//! was lost counts for nothing. A whole state takes the place of a delta that still waits, and a delta that of an older
//! one, so no delta leaves ahead of the state it stands on.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;

use actix::prelude::*;

use super::{MatchActor, Resync};
use crate::actors::outlet::Outlet;
use crate::engine::matches::Phase;
use crate::engine::matches::delta::{DeltaTrack, Shown};
use crate::engine::overload::Load;
use crate::engine::sessions::SlotKind;
use crate::games::Audience;
use crate::ids::{MatchId, PlayerId};
use crate::wire::Frame;
use crate::wire::matches as says;

/// What a match remembers of what it showed.
#[derive(Default)]
pub(super) struct Showing {
    view: Vec<u8>,
    /// The tick whose state everybody shares and `view` holds, if it is one; empty where there was nothing to show.
    made_at: Option<u64>,
    patch: String,
    /// States that were to be shown. Of these one in so many is, under load, and not of ticks: a match that is late runs
    /// several of those for one state.
    turns: u64,
    /// Numbers of whole states, never used twice in a match.
    numbers: u32,
    /// The states of everybody, or of each viewer; only where somebody asked for deltas.
    followed: HashMap<Seen, Followed>,
    /// The number of the whole state that a viewer of deltas was given last.
    given: HashMap<PlayerId, u32>,
}

/// Whose view of the state it is. A game that changes its mind between a view for all and one each shows nobody what was
/// made for others.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Seen {
    Shared,
    Gallery,
    Own(PlayerId),
}

impl Seen {
    /// As the game is asked for it.
    fn viewer(self) -> Option<PlayerId> {
        match self {
            Self::Shared | Self::Gallery => None,
            Self::Own(player) => Some(player),
        }
    }
}

/// The states of one audience, and the frames of the newest.
#[derive(Default)]
struct Followed {
    track: DeltaTrack,
    whole: Option<Frame>,
}

impl Showing {
    /// The viewer has nothing that a delta could stand on any more.
    pub(super) fn forget(&mut self, viewer: PlayerId) {
        self.given.remove(&viewer);
        self.followed.remove(&Seen::Own(viewer));
    }

    /// Takes the newest state of an audience; what the next [`Showing::hand_out`] hands out. None where it is no text.
    fn follow(&mut self, audience: Seen, match_id: MatchId, every: u32) -> Option<(Shown, Option<Frame>)> {
        let state = std::str::from_utf8(&self.view).ok()?;
        let followed = self.followed.entry(audience).or_default();
        let shown = followed.track.show(state, every, &mut self.numbers, &mut self.patch);
        match shown {
            Shown::Whole(number) => {
                followed.whole = says::whole_state_frame(match_id, number, &self.view);
                Some((shown, None))
            }
            Shown::Patch(base) => Some((shown, says::delta_frame(match_id, base, self.patch.as_bytes()))),
        }
    }

    /// Gives a viewer of deltas the newest state of an audience, with the whole state it stands on if they lack it.
    fn hand_out(
        &mut self,
        audience: Seen,
        match_id: MatchId,
        (shown, patch): &(Shown, Option<Frame>),
        (viewer, outlet): (PlayerId, &Outlet),
    ) {
        let (Shown::Whole(number) | Shown::Patch(number)) = *shown;
        if self.given.get(&viewer) != Some(&number)
            && let Some(whole) = self.followed.get(&audience).and_then(|followed| followed.whole.as_ref())
        {
            outlet.clear_slot(SlotKind::MatchDelta, match_id.as_u128());
            outlet.push(whole);
            self.given.insert(viewer, number);
        }
        if let Some(patch) = patch {
            outlet.push(patch);
        }
    }
}

impl MatchActor {
    /// Encodes the state once per distinct view and hands it out; to nobody who does without it while the server is
    /// overloaded, but for the last state of a match.
    pub(super) fn emit_state(&mut self) {
        let load = if self.over { Load::Normal } else { self.realm.pressure.load() };
        self.showing.turns += 1;
        let turn = self.showing.turns;
        if load.takes_spectators() {
            return self.show(&|_| true);
        }
        let spectators: HashSet<_> = self.stage.roster.spectators().iter().copied().collect();
        let sees = |viewer: PlayerId| turn.is_multiple_of(load.shows_one_in(spectators.contains(&viewer)));
        let shed = self.crowd.borrow().iter().filter(|(viewer, _)| !sees(*viewer)).count();
        self.realm.pressure.states_shed.fetch_add(shed as u64, Relaxed);
        self.show(&sees);
    }

    /// Shows the state to those of the crowd who are to see it.
    fn show(&mut self, sees: &dyn Fn(PlayerId) -> bool) {
        let crowd = self.crowd.clone();
        let crowd = crowd.borrow();
        let viewers = crowd.iter().filter(|(viewer, _)| sees(*viewer)).map(|(viewer, outlet)| (*viewer, &**outlet));
        if self.stage.audience() == Audience::Shared {
            return self.show_one_view(Seen::Shared, viewers);
        }
        let (gallery, players): (Vec<_>, Vec<_>) = viewers.partition(|(viewer, _)| self.stage.shares_view(*viewer));
        for (player, outlet) in players {
            self.show_one_view(Seen::Own(player), std::iter::once((player, outlet)));
        }
        self.show_one_view(Seen::Gallery, gallery.into_iter());
    }

    /// Shows one view of the state, that of `audience`, to those who have it; none is made for nobody.
    fn show_one_view<'a>(&mut self, audience: Seen, viewers: impl Iterator<Item = (PlayerId, &'a Outlet)>) {
        let (match_id, every) = (self.stage.id, self.stage.mode.state_full_every);
        let mut viewers = viewers.peekable();
        if viewers.peek().is_none() {
            return;
        }
        self.showing.view.clear();
        self.showing.made_at = None;
        if !self.stage.view(audience.viewer(), &mut self.showing.view) {
            return;
        }
        self.showing.made_at = Some(self.stage.tick()).filter(|_| self.stage.audience() == Audience::Shared);
        // Each made when the first viewer wants it.
        let (mut plain, mut lean) = (None, None);
        for (viewer, outlet) in viewers {
            if outlet.wants_deltas() {
                let lean = lean.get_or_insert_with(|| self.showing.follow(audience, match_id, every));
                if let Some(lean) = lean {
                    self.showing.hand_out(audience, match_id, lean, (viewer, outlet));
                }
            } else {
                let plain = plain.get_or_insert_with(|| says::state_frame(match_id, &self.showing.view));
                plain.as_ref().inspect(|frame| outlet.push(frame));
            }
        }
    }
}

impl MatchActor {
    /// What everybody sees, where that is one thing. Made once a tick at most: who looks at a match often does not use up
    /// the time that its game has.
    pub(super) fn shared_view(&mut self) -> Option<&str> {
        if self.stage.audience() != Audience::Shared {
            return None;
        }
        let now = Some(self.stage.tick());
        if self.showing.made_at != now || self.stage.phase() != Phase::Running {
            self.showing.view.clear();
            self.stage.view(None, &mut self.showing.view);
            self.showing.made_at = now;
        }
        std::str::from_utf8(&self.showing.view).ok()
    }
}

impl Handler<Resync> for MatchActor {
    type Result = ();

    fn handle(&mut self, Resync(viewer): Resync, ctx: &mut Context<Self>) {
        self.in_turn(ctx, move |this, _| this.resync(viewer));
    }
}

impl MatchActor {
    fn resync(&mut self, viewer: PlayerId) {
        if !self.members.contains_key(&viewer) {
            // They left, or were told that it is over: nothing of this match may follow that.
            return;
        }
        self.showing.forget(viewer);
        if self.stage.phase() != Phase::Running {
            // No tick will come by itself.
            self.show(&|other| other == viewer);
        }
    }
}
