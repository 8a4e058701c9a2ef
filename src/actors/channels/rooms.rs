//! Which channels there are, who may hear them, and what is said in them by nobody in particular.

use std::collections::HashSet;
use std::sync::Arc;

use actix::prelude::SendError;

use super::said::unkept;
use super::{ChatCommand, Moderated, clean};
use crate::actors::presence::RoomChanged;
use crate::actors::realm::Realm;
use crate::engine::chat::{Door, Place};
use crate::ids::{ChannelId, MessageId, PlayerId};
use crate::limits::ROOMS_MAX;
use crate::store::rows::{ChatRow, KvRow};
use crate::store::{StoreError, ask};
use crate::wire::{Reason, Refusal};

/// What a channel id stands for on this server.
pub(super) fn place_of(realm: &Realm, name: &str) -> Result<Place, Reason> {
    let rules = &realm.rules;
    let place = Place::parse(name, |name| rules.chat_open.contains(name), |name| rules.chat_global.contains(name));
    place.map_err(|_| Reason::InvalidChannelId)
}

/// Whether there could be a channel called `name` on this server.
pub fn is_channel_id(realm: &Realm, name: &str) -> bool {
    place_of(realm, name).is_ok()
}

/// Whether `player` may hear the channel called `name`; the name as channels are keyed.
pub fn may_join(realm: &Realm, player: PlayerId, name: &str) -> Result<ChannelId, Reason> {
    let place = place_of(realm, name)?;
    let door = place.door();
    let may = door.admits(player).unwrap_or_else(|| match &door {
        Door::Roster(match_id) => realm.is_in_match(player, *match_id),
        Door::Members(_) => realm.directory.room(&place.id()).is_some_and(|members| members.contains(&player)),
        Door::Anyone | Door::Two(..) => false,
    });
    if may { Ok(place.id()) } else { Err(Reason::NotLetIn) }
}

/// Changes a message as an operator, or takes it back where `content` is `None`: whoever said it, and whether or not
/// anybody is in its channel. The channel does it, so that everybody sees one order of changes.
pub fn moderate(
    realm: &Arc<Realm>,
    channel: &str,
    message_id: MessageId,
    content: Option<String>,
    done: Moderated,
) -> Result<(), Reason> {
    let name = place_of(realm, channel)?.id();
    realm.tell_channel(&name, ChatCommand::Moderate { message_id, content, done }).map_err(|_| Reason::Busy)
}

/// Says something as the server, for an operator or a game, in any channel there is but a direct one. One that nobody is
/// in keeps it in its history. `done`, where somebody waits to know, is told once the store has it or could not take it.
pub fn announce(realm: &Arc<Realm>, channel: &str, content: &str, done: Option<Moderated>) -> Result<(), Refusal> {
    let content = clean(content)?;
    let place = place_of(realm, channel)?;
    let name = place.id();
    match place.door() {
        Door::Two(..) => return Err(Reason::DirectChannel.into()),
        Door::Members(_) if realm.directory.room(&name).is_none() => return Err(Reason::RoomNotFound.into()),
        Door::Roster(match_id) if realm.directory.card(match_id).is_none() => return Err(Reason::MatchNotFound.into()),
        Door::Anyone | Door::Members(_) | Door::Roster(_) => {}
    }
    let (content, done) = match realm.directory.tell_channel(&name, ChatCommand::Announce { content, done }) {
        Ok(()) => return Ok(()),
        Err(SendError::Full(_)) => return Err(Reason::Busy.into()),
        Err(SendError::Closed(ChatCommand::Announce { content, done })) => (content, done),
        Err(SendError::Closed(_)) => return Err(Reason::Internal.into()),
    };
    let (message_id, now_ms) = realm.make(|now_ms, rng| (MessageId::new(now_ms, rng), now_ms));
    let row = ChatRow {
        message_id,
        channel_id: channel.into(),
        seq: 0,
        sender_id: None,
        content,
        sent_unix_ms: now_ms,
        edited_unix_ms: None,
    };
    let told = move |stored: Result<u64, StoreError>| match (stored, done) {
        (stored, Some(done)) => done(stored.map(drop).map_err(|error| unkept(error).into())),
        (Err(error), None) => tracing::error!(%message_id, %error, "a chat message could not be stored"),
        (Ok(_), None) => {}
    };
    realm.store.append_chat(row, Box::new(told));
    Ok(())
}

/// The scope under which rooms are kept; a game's scopes are called by its name and cannot hold a `:`.
const ROOMS_SCOPE: &str = "tessera:rooms";

/// Sets who belongs to a room, across restarts; whoever no longer does hears no more of it.
///
/// # Errors
/// When the store does not take it, or there are as many rooms as there may be.
pub async fn set_room(realm: &Arc<Realm>, room: &str, members: HashSet<PlayerId>) -> Result<(), Refusal> {
    let number = realm.next_number();
    realm.directory.ask_room(&room.into(), number);
    set_room_asked(realm, room, members, number).await
}

/// As [`set_room`], for one that was asked for in its turn among others, under this number.
///
/// # Errors
/// As of [`set_room`].
pub async fn set_room_asked(
    realm: &Arc<Realm>,
    room: &str,
    members: HashSet<PlayerId>,
    number: u64,
) -> Result<(), Refusal> {
    let name: ChannelId = room.into();
    if realm.directory.room(&name).is_none() && realm.directory.rooms() >= ROOMS_MAX as usize {
        realm.directory.answer_room(&name, number);
        return Err(Refusal::invalid("name", "that of a room there is: this server has as many as it keeps"));
    }
    let kept = KvRow {
        key: room.into(),
        value: serde_json::to_vec(&members).unwrap_or_default(),
        updated_unix_ms: realm.clock.unix_ms(),
    };
    let stored = ask(|done| realm.store.kv_put(ROOMS_SCOPE.into(), kept, done)).await;
    let is_last = realm.directory.answer_room(&name, number);
    stored.map_err(unkept)?;
    if !is_last {
        // A game may set a room several times in one tick: nobody is shown out whom the last word lets in again.
        return Ok(());
    }
    let before = realm.directory.room(&name);
    // Set before anybody is expelled: who was on the way in is judged by the new list, or expelled with the others.
    realm.directory.set_room(name.clone(), members.clone());
    // `do_send` on purpose: an operator's word.
    realm.presence().do_send(changed(&name, before.as_deref(), &members));
    for gone in before.iter().flat_map(|before| before.difference(&members)) {
        realm.directory.oblige_channel(&name, ChatCommand::Expel(*gone));
    }
    Ok(())
}

/// Who came into a room and who went.
fn changed(room: &ChannelId, before: Option<&HashSet<PlayerId>>, now: &HashSet<PlayerId>) -> RoomChanged {
    let (nobody, room) = (HashSet::new(), room.clone());
    let before = before.unwrap_or(&nobody);
    let came = now.difference(before).copied().collect();
    RoomChanged { room, came, went: before.difference(now).copied().collect() }
}

/// The rooms that were set before this start.
pub async fn remember_rooms(realm: &Arc<Realm>) -> Result<(), StoreError> {
    for row in ask(|done| realm.store.kv_list(ROOMS_SCOPE.into(), String::new(), ROOMS_MAX, done)).await? {
        if let Ok(members) = serde_json::from_slice(&row.value) {
            let name: ChannelId = row.key.into();
            realm.presence().do_send(changed(&name, None, &members));
            realm.directory.set_room(name, members);
        }
    }
    Ok(())
}
