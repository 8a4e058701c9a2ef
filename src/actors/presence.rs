//! Presence: who is online and what they say about it, told to those who share a match.

use super::directory::Member;
use super::matches::TellOthers;
use super::realm::Realm;
use crate::wire::presence as says;
use crate::wire::{Cid, Outbound};

/// A player sets their status.
pub fn update(realm: &Realm, member: &Member, update: says::Update, cid: Option<&Cid>) {
    member.outlet.push(&says::Updated { status: update.status.clone() }.frame(cid));
    if !realm.rules.presence {
        return;
    }
    let shown = if update.status == "invisible" { "offline".to_owned() } else { update.status };
    let changed = says::Changed { player_id: member.player, status: shown, metadata: update.metadata }.push();
    if let Some(card) = realm.directory.seat(member.player).and_then(|match_id| realm.directory.card(match_id)) {
        // A match too busy to pass this on leaves its players with the status before: nothing depends on it.
        if card.addr.try_send(TellOthers { player: member.player, frame: changed }).is_err() {
            realm.meters.tells_lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}
