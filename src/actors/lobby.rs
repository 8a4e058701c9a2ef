//! Finds a live match with a free seat or starts one, one request after the other, so that two players who ask at the
//! same moment meet.

use std::sync::Arc;

use actix::prelude::*;

use super::directory::{MatchCard, Member};
use super::matches::Join;
use super::realm::{MatchOrder, Realm};
use super::sessions::{Turn, refusal_of};
use crate::engine::matches::Phase;
use crate::engine::modes::{Json, Mode};
use crate::ids::MatchId;
use crate::limits::{FIND_TRIES_MAX, MATCH_LIST_ROWS_MAX, MODES_TOLD_MAX};
use crate::wire::{Cid, Reason, Refusal};

/// A player wants into any match of a mode.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct FindOrCreate {
    member: Member,
    cid: Option<Cid>,
    ctx: Option<Json>,
    mode: Arc<str>,
    turn: Turn,
    tries: u32,
}

impl FindOrCreate {
    /// A first try.
    pub fn new(member: Member, cid: Option<Cid>, ctx: Option<Json>, mode: Arc<str>, turn: Turn) -> Self {
        Self { member, cid, ctx, mode, turn, tries: 0 }
    }
}

/// The match that was found could not take the player after all.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FindAgain(
    /// The request.
    pub FindOrCreate,
    /// The match that is out of the question.
    pub MatchId,
);

/// The actor.
pub struct LobbyActor {
    realm: Arc<Realm>,
}

impl LobbyActor {
    /// The one lobby.
    pub fn new(realm: Arc<Realm>) -> Self {
        Self { realm }
    }

    /// `but`: a match that could not take the player a moment ago.
    fn find(&self, find: &FindOrCreate, but: Option<MatchId>) {
        if self.realm.directory.seat(find.member.player).is_some() {
            return self.refuse(find, Reason::AlreadyInMatch.into());
        }
        if find.tries >= FIND_TRIES_MAX {
            return self.refuse(find, Reason::Busy.into());
        }
        let (card, founds) = match self.realm.directory.promise_seat(&find.mode, but) {
            Some(card) => (card, false),
            None => {
                let order = MatchOrder {
                    mode: find.mode.clone(),
                    private: false,
                    matched: Vec::new(),
                    bots: 0,
                    promised: 1,
                    queued: None,
                    insists: false,
                };
                match self.realm.start_match(order) {
                    Ok(card) => (card, true),
                    Err(no_match) => return self.refuse(find, refusal_of(no_match)),
                }
            }
        };
        let join = Join {
            member: find.member.clone(),
            cid: find.cid.clone(),
            ctx: find.ctx.clone(),
            spectate: false,
            // A match with a code is found by nobody: it was made for this player.
            invited: card.join_code.is_some(),
            promised: Some(FindOrCreate { tries: find.tries + 1, ..find.clone() }),
            founds,
            turn: find.turn.clone(),
        };
        match card.addr.try_send(join) {
            Ok(()) => {}
            Err(_) => {
                card.settle_promise();
                self.refuse(find, Reason::Busy.into());
            }
        }
    }

    fn refuse(&self, find: &FindOrCreate, refusal: Refusal) {
        self.realm.meters.refused(refusal.reason.row().code);
        find.member.outlet.push(&refusal.frame(find.cid.as_ref(), None));
    }
}

/// A match as `match.list` shows it.
pub fn listed(card: &MatchCard) -> crate::wire::matches::Listed {
    let state = *card.state.lock();
    crate::wire::matches::Listed {
        match_id: card.match_id,
        mode: card.mode.to_string(),
        status: state.phase.word().into(),
        player_count: state.players,
        max_players: card.players_max,
        joinable: state.joinable,
    }
}

/// The listed matches that pass a filter, oldest first.
pub fn open_matches(realm: &Realm, filter: &crate::wire::matches::List) -> crate::wire::matches::Listing {
    let mut cards = realm.directory.cards();
    cards.sort_by_key(|card| std::cmp::Reverse(card.match_id));
    let matches = cards
        .iter()
        .filter(|card| card.listed && filter.mode.as_deref().is_none_or(|mode| *mode == *card.mode))
        .map(|card| listed(card))
        // `false` asks for nothing, as it always did in the protocol: a full match is still a match to be seen.
        .filter(|row| filter.has_capacity != Some(true) || row.player_count < row.max_players)
        .filter(|row| filter.joinable.is_none_or(|wanted| wanted == row.joinable))
        .filter(|row| row.status != Phase::Finished.word())
        .take(MATCH_LIST_ROWS_MAX)
        .collect();
    crate::wire::matches::Listing { matches }
}

/// What is told whoever names a mode that there is not: which of the listed ones `enters` lets in, by name.
pub fn unknown_mode(realm: &Realm, enters: impl Fn(&Mode) -> bool) -> Refusal {
    let modes = realm.modes();
    let known = modes.iter().filter(|(_, mode)| mode.listed && enters(mode)).map(|(name, _)| &**name);
    let known: Vec<_> = known.take(MODES_TOLD_MAX).collect();
    match serde_json::value::to_raw_value(&known) {
        Ok(known) => Reason::UnknownMode.with("known", known),
        Err(_) => Reason::UnknownMode.into(),
    }
}

impl Actor for LobbyActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(crate::limits::MAILBOX_MESSAGES_MAX);
    }
}

impl Handler<FindOrCreate> for LobbyActor {
    type Result = ();

    fn handle(&mut self, find: FindOrCreate, _: &mut Self::Context) {
        self.find(&find, None);
    }
}

impl Handler<FindAgain> for LobbyActor {
    type Result = ();

    fn handle(&mut self, FindAgain(find, gone): FindAgain, _: &mut Self::Context) {
        self.find(&find, Some(gone));
    }
}
