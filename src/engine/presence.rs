//! Presence: who is online, what they want others to know, and whom that is told.
//!
//! A player is online from their first session to the end of their last; a session outlives its connections, so a
//! replaced or flapping connection is never seen here at all. What others see is computed from what the player chose
//! and what they play, and is told to subscribers and to those who share a match or a room. It is told at once after a
//! quiet moment and then at most every [`limits::PRESENCE_EVERY_MS`], the newest only, and never when it is what was
//! told before; going offline always waits that long, so signing in again at once is no absence.
//!
//! Invisible looks exactly like offline, and lasts until the player chooses something else, over sessions too. Switched off, nothing is kept and nobody sees anybody.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::chat::is_plain;
use crate::ids::{MatchId, PlayerId, SessionId};
use crate::limits;
use crate::limits::{METADATA_BYTES_MAX, STATUS_BYTES_MAX};

/// The status of whoever wants to look as if they were not there.
const INVISIBLE: &str = "invisible";
const OFFLINE: &str = "offline";

/// What others see of a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `online`, `away`, `in_game`, `busy`, `offline` or a word of the player's own.
    pub status: Arc<str>,
    /// A JSON object, if there is anything to show beside it. For `in_game` without one of the player's own:
    /// `{"mode": ..}`.
    pub metadata: Option<Arc<str>>,
}

/// Something to tell: `player` is now seen as `shown`, by each of `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// About whom.
    pub player: PlayerId,
    /// What they look like now.
    pub shown: Shown,
    /// Who is told, in order of their ids. Not all of them need to be online.
    pub to: Vec<PlayerId>,
}

/// What brings players together: those who share one see each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Circle {
    /// A match: those who play it and watch it.
    Match(MatchId),
    /// A room.
    Room(Arc<str>),
}

/// Why a status or a subscription was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PresenceRefused {
    /// Not 1 to 32 bytes, or with a control character.
    #[error("a status has 1 to {STATUS_BYTES_MAX} bytes without control characters")]
    Status,
    /// Over [`METADATA_BYTES_MAX`].
    #[error("metadata may have {METADATA_BYTES_MAX} bytes")]
    Metadata,
    /// Over [`limits::SUBSCRIPTIONS_MAX`].
    #[error("a player may subscribe to {} others", limits::SUBSCRIPTIONS_MAX)]
    Subscriptions,
}

/// One player, while anything is known of them.
#[derive(Debug, Default)]
struct Person {
    sessions: BTreeSet<SessionId>,
    chosen: Option<Chosen>,
    /// The modes being played, the latest last.
    playing: Vec<(MatchId, Arc<str>)>,
    circles: BTreeSet<Circle>,
    subscribers: BTreeSet<PlayerId>,
    subscribed_to: BTreeSet<PlayerId>,
    /// What was told last; `None` is offline, which needs no telling at first.
    told: Option<Shown>,
    /// When something may be told again.
    quiet_until_ms: u64,
    /// When something waits to be told.
    due_ms: Option<u64>,
}

#[derive(Debug, Clone)]
struct Chosen {
    status: Arc<str>,
    metadata: Option<Arc<str>>,
}

impl Person {
    fn shown(&self) -> Option<Shown> {
        if self.sessions.is_empty() {
            return None;
        }
        let metadata = self.chosen.as_ref().and_then(|chosen| chosen.metadata.clone());
        match (self.chosen.as_ref().map(|chosen| &chosen.status), self.playing.last()) {
            (Some(status), _) if &**status == INVISIBLE => None,
            (Some(status), _) if &**status != "online" => Some(Shown { status: status.clone(), metadata }),
            (_, Some((_, mode))) => {
                let shows_mode = || serde_json::json!({"mode": &**mode}).to_string().into();
                Some(Shown { status: "in_game".into(), metadata: Some(metadata.unwrap_or_else(shows_mode)) })
            }
            (_, None) => Some(Shown { status: "online".into(), metadata }),
        }
    }

    fn is_forgettable(&self) -> bool {
        self.sessions.is_empty()
            && self.subscribers.is_empty()
            && self.subscribed_to.is_empty()
            && self.circles.is_empty()
            && self.playing.is_empty()
            && self.told.is_none()
            && self.due_ms.is_none()
    }
}

/// Who is online, and who sees it.
#[derive(Debug)]
pub struct Presence {
    enabled: bool,
    people: HashMap<PlayerId, Person>,
    circles: HashMap<Circle, BTreeSet<PlayerId>>,
    /// Players with something to be told, by when.
    due: BTreeMap<u64, BTreeSet<PlayerId>>,
    unseen: Unseen,
}

/// Who went as invisible, and comes back so: nobody could ask for it before they were seen.
#[derive(Debug, Default)]
struct Unseen {
    since: HashMap<PlayerId, u64>,
    order: VecDeque<(u64, PlayerId)>,
    next: u64,
}

impl Unseen {
    fn went(&mut self, player: PlayerId) {
        self.since.insert(player, self.next);
        self.order.push_back((self.next, player));
        self.next += 1;
        if self.order.len() > limits::UNSEEN_REMEMBERED_MAX
            && let Some((since, oldest)) = self.order.pop_front()
            && self.since.get(&oldest) == Some(&since)
        {
            self.since.remove(&oldest);
        }
    }

    fn came_back(&mut self, player: PlayerId) -> bool {
        self.since.remove(&player).is_some()
    }
}

/// What is shown of a player who is not there, or does not want to be seen.
pub fn offline() -> Shown {
    Shown { status: OFFLINE.into(), metadata: None }
}

impl Presence {
    /// Nobody is there. Not enabled: nobody ever is.
    pub fn new(enabled: bool) -> Self {
        Self {
            enabled,
            people: HashMap::new(),
            circles: HashMap::new(),
            due: BTreeMap::new(),
            unseen: Unseen::default(),
        }
    }

    /// Whether presence is kept at all.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// A session of a player began. A resumed one did not begin again; saying so twice changes nothing. Whoever went as
    /// invisible is so still.
    pub fn session_began(&mut self, player: PlayerId, session: SessionId, now_ms: u64) -> Vec<Change> {
        let unseen = self.unseen.came_back(player);
        self.change(player, now_ms, |person| {
            person.sessions.insert(session);
            if unseen && person.chosen.is_none() {
                person.chosen = Some(Chosen { status: INVISIBLE.into(), metadata: None });
            }
        })
    }

    /// A session ended: signed out, or its grace is over. What the player chose is forgotten with their last one, but that
    /// they do not want to be seen.
    pub fn session_ended(&mut self, player: PlayerId, session: SessionId, now_ms: u64) -> Vec<Change> {
        self.change(player, now_ms, |person| {
            person.sessions.remove(&session);
        })
    }

    /// A player chose what others should see. Refused: nothing changes.
    pub fn update(
        &mut self,
        player: PlayerId,
        status: &str,
        metadata: Option<&str>,
        now_ms: u64,
    ) -> Result<Vec<Change>, PresenceRefused> {
        if status.is_empty() || status.len() > STATUS_BYTES_MAX || !is_plain(status) {
            return Err(PresenceRefused::Status);
        }
        if metadata.is_some_and(|metadata| metadata.len() > METADATA_BYTES_MAX) {
            return Err(PresenceRefused::Metadata);
        }
        // Whoever says so wants to look it: to be shown as it with a word beside it would tell that they are there.
        let status = if status == OFFLINE { INVISIBLE } else { status };
        let chosen = Chosen { status: status.into(), metadata: metadata.map(Into::into) };
        Ok(self.change(player, now_ms, |person| person.chosen = Some(chosen)))
    }

    /// A player took a seat: `online` shows as `in_game` with the mode until they give it up.
    pub fn plays(&mut self, player: PlayerId, match_id: MatchId, mode: &str, now_ms: u64) -> Vec<Change> {
        self.change(player, now_ms, |person| {
            person.playing.retain(|(playing, _)| *playing != match_id);
            person.playing.push((match_id, mode.into()));
        })
    }

    /// A player gave up the seat, or the match is over.
    pub fn stops_playing(&mut self, player: PlayerId, match_id: MatchId, now_ms: u64) -> Vec<Change> {
        // Their session may end with the seat it was held for, and one match may follow another: neither is a moment of
        // being online.
        let later_ms = now_ms + limits::PRESENCE_EVERY_MS;
        self.change_and_tell(player, now_ms, later_ms, |person| {
            person.playing.retain(|(playing, _)| *playing != match_id)
        })
    }

    /// Whether a player is there and does not want to be seen.
    pub fn is_hidden(&self, player: PlayerId) -> bool {
        let hides = |person: &Person| {
            !person.sessions.is_empty() && person.chosen.as_ref().is_some_and(|chosen| &*chosen.status == INVISIBLE)
        };
        self.people.get(&player).is_some_and(hides)
    }

    /// A player came into a match or a room: they and the others in it hear of each other's changes from now on.
    pub fn enter(&mut self, player: PlayerId, circle: Circle) {
        if self.enabled {
            self.people.entry(player).or_default().circles.insert(circle.clone());
            self.circles.entry(circle).or_default().insert(player);
        }
    }

    /// A player left it.
    pub fn leave(&mut self, player: PlayerId, circle: &Circle) {
        if let Some(inside) = self.circles.get_mut(circle) {
            inside.remove(&player);
            if inside.is_empty() {
                self.circles.remove(circle);
            }
        }
        if let Some(person) = self.people.get_mut(&player) {
            person.circles.remove(circle);
        }
        self.forget(player);
    }

    /// `player` hears of these from now on. Refused as a whole when they would be too many.
    pub fn subscribe(&mut self, player: PlayerId, to: &[PlayerId]) -> Result<(), PresenceRefused> {
        if !self.enabled {
            return Ok(());
        }
        let mut wanted = self.people.get(&player).map(|person| person.subscribed_to.clone()).unwrap_or_default();
        wanted.extend(to.iter().copied().take(limits::SUBSCRIPTIONS_MAX + 1));
        if wanted.len() > limits::SUBSCRIPTIONS_MAX || to.len() > limits::SUBSCRIPTIONS_MAX {
            return Err(PresenceRefused::Subscriptions);
        }
        self.people.entry(player).or_default().subscribed_to = wanted;
        for other in to {
            self.people.entry(*other).or_default().subscribers.insert(player);
        }
        Ok(())
    }

    /// Everybody a player has subscribed to and how they look now, by id.
    pub fn subscriptions(&self, player: PlayerId) -> Vec<(PlayerId, Shown)> {
        let person = self.people.get(&player);
        person.into_iter().flat_map(|it| &it.subscribed_to).map(|&other| (other, self.shown(other))).collect()
    }

    /// `player` hears of these no longer.
    pub fn unsubscribe(&mut self, player: PlayerId, from: &[PlayerId]) {
        for &other in from {
            if let Some(person) = self.people.get_mut(&player) {
                person.subscribed_to.remove(&other);
            }
            if let Some(person) = self.people.get_mut(&other) {
                person.subscribers.remove(&player);
            }
            self.forget(other);
        }
        self.forget(player);
    }

    /// What others see of a player: what they were told last, so that a look says no more than a push.
    pub fn shown(&self, player: PlayerId) -> Shown {
        self.people.get(&player).and_then(|person| person.told.clone()).unwrap_or_else(offline)
    }

    /// What waited to be told until now.
    pub fn poll(&mut self, now_ms: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(entry) = self.due.first_entry() {
            if *entry.key() > now_ms {
                break;
            }
            for player in entry.remove() {
                if let Some(person) = self.people.get_mut(&player) {
                    person.due_ms = None;
                    changes.extend(self.tell(player, now_ms));
                }
            }
        }
        changes
    }

    /// When [`Self::poll`] has something to tell; `None`: nothing waits.
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.due.keys().next().copied()
    }

    /// Changes a person and tells it, now or when the time has come.
    fn change(&mut self, player: PlayerId, now_ms: u64, change: impl FnOnce(&mut Person)) -> Vec<Change> {
        self.change_and_tell(player, now_ms, now_ms, change)
    }

    /// As [`Self::change`], told at `tell_ms` at the earliest.
    fn change_and_tell(
        &mut self,
        player: PlayerId,
        now_ms: u64,
        tell_ms: u64,
        change: impl FnOnce(&mut Person),
    ) -> Vec<Change> {
        if !self.enabled {
            return Vec::new();
        }
        let person = self.people.entry(player).or_default();
        change(person);
        // Absence is only believed when it lasts; until then even what an invisible player chose is kept.
        let gone = person.sessions.is_empty();
        if person.shown() == person.told && !gone {
            if let Some(due_ms) = person.due_ms.take() {
                self.not_due(due_ms, player);
            }
            return Vec::new();
        }
        let earliest_ms = if gone { now_ms + limits::PRESENCE_EVERY_MS } else { tell_ms };
        let at_ms = person.quiet_until_ms.max(earliest_ms);
        if at_ms <= now_ms {
            return self.tell(player, now_ms).into_iter().collect();
        }
        if person.due_ms.is_none_or(|due_ms| at_ms < due_ms) {
            if let Some(due_ms) = person.due_ms.replace(at_ms) {
                self.not_due(due_ms, player);
            }
            self.due.entry(at_ms).or_default().insert(player);
        }
        Vec::new()
    }

    /// Tells what a player looks like now, if that is news to anyone.
    fn tell(&mut self, player: PlayerId, now_ms: u64) -> Option<Change> {
        let person = self.people.get_mut(&player)?;
        if let Some(due_ms) = person.due_ms.take() {
            self.not_due(due_ms, player);
        }
        let person = self.people.get_mut(&player)?;
        let shown = person.shown();
        let news = person.told != shown;
        if news {
            person.told = shown.clone();
            person.quiet_until_ms = now_ms + limits::PRESENCE_EVERY_MS;
        }
        let mut to = person.subscribers.clone();
        for circle in &person.circles {
            to.extend(self.circles.get(circle).into_iter().flatten());
        }
        to.remove(&player);
        if person.sessions.is_empty() {
            self.gone(player);
        }
        let told = news && !to.is_empty();
        told.then(|| Change { player, shown: shown.unwrap_or_else(offline), to: to.into_iter().collect() })
    }

    /// The last session is over and everybody knows: what the player chose and asked for goes with it.
    fn gone(&mut self, player: PlayerId) {
        let Some(person) = self.people.get_mut(&player) else { return };
        if person.chosen.take().is_some_and(|chosen| &*chosen.status == INVISIBLE) {
            self.unseen.went(player);
        }
        let asked: Vec<PlayerId> = person.subscribed_to.iter().copied().collect();
        self.unsubscribe(player, &asked);
    }

    fn not_due(&mut self, due_ms: u64, player: PlayerId) {
        if let Some(players) = self.due.get_mut(&due_ms) {
            players.remove(&player);
            if players.is_empty() {
                self.due.remove(&due_ms);
            }
        }
    }

    fn forget(&mut self, player: PlayerId) {
        if self.people.get(&player).is_some_and(Person::is_forgettable) {
            self.people.remove(&player);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANN: PlayerId = PlayerId::from_u128(1);
    const BOB: PlayerId = PlayerId::from_u128(2);
    const CY: PlayerId = PlayerId::from_u128(3);
    const EVERY: u64 = limits::PRESENCE_EVERY_MS;

    fn session(number: u128) -> SessionId {
        SessionId::from_u128(number)
    }

    fn game(number: u128) -> MatchId {
        MatchId::from_u128(number)
    }

    /// `1 is away for 2,3` for each change.
    fn told(changes: Vec<Change>) -> String {
        let one = |change: Change| {
            let to: Vec<String> = change.to.iter().map(|player| player.as_u128().to_string()).collect();
            let beside = change.shown.metadata.map(|text| format!(" {text}")).unwrap_or_default();
            format!("{} is {}{beside} for {}", change.player.as_u128(), change.shown.status, to.join(","))
        };
        changes.into_iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// Ann and Bob are online and Bob has subscribed to Ann, long ago.
    fn friends() -> Presence {
        let mut presence = Presence::new(true);
        presence.session_began(ANN, session(11), 0);
        presence.session_began(BOB, session(12), 0);
        assert_eq!(presence.subscribe(BOB, &[ANN]), Ok(()));
        let seen: Vec<_> = presence.subscriptions(BOB).into_iter().map(|(who, shown)| (who, shown.status)).collect();
        assert_eq!(seen, [(ANN, "online".into())]);
        presence
    }

    #[test]
    fn subscribers_hear_of_changes_once() {
        let mut presence = friends();
        let update = |presence: &mut Presence, status, at| told(presence.update(ANN, status, None, at).expect("fine"));
        assert_eq!(update(&mut presence, "away", 10_000), "1 is away for 2");
        assert_eq!(update(&mut presence, "away", 20_000), "");
        assert_eq!(
            told(presence.update(ANN, "away", Some(r#"{"song":1}"#), 30_000).expect("fine")),
            r#"1 is away {"song":1} for 2"#
        );
        presence.unsubscribe(BOB, &[ANN]);
        assert_eq!(update(&mut presence, "busy", 40_000), "");
        assert_eq!(&*presence.shown(ANN).status, "busy");
    }

    #[test]
    fn a_flapping_player_is_never_seen_offline() {
        let mut presence = friends();
        let mut changes = Vec::new();
        for flap in 0..20u64 {
            let at = 10_000 + 200 * flap;
            changes.extend(presence.session_ended(ANN, session(u128::from(11 + flap)), at));
            changes.extend(presence.poll(at + 100));
            changes.extend(presence.session_began(ANN, session(u128::from(12 + flap)), at + 150));
        }
        changes.extend(presence.poll(100_000));
        assert_eq!(told(changes), "");
        assert_eq!(presence.next_wake_ms(), None);
    }

    #[test]
    fn an_expired_session_is_seen_offline_once() {
        let mut presence = friends();
        presence.session_began(ANN, session(13), 5_000);
        assert_eq!(told(presence.session_ended(ANN, session(11), 10_000)), "", "another session is left");
        assert_eq!(told(presence.session_ended(ANN, session(13), 20_000)), "");
        assert_eq!(presence.next_wake_ms(), Some(20_000 + EVERY));
        assert_eq!(told(presence.poll(20_000 + EVERY - 1)), "");
        assert_eq!(told(presence.poll(20_000 + EVERY)), "1 is offline for 2");
        assert_eq!(told(presence.session_ended(ANN, session(13), 30_000)), "");
        assert_eq!(told(presence.poll(90_000)), "");
        assert_eq!(told(presence.session_began(ANN, session(14), 100_000)), "1 is online for 2");
    }

    #[test]
    fn invisible_looks_like_offline() {
        let mut presence = friends();
        assert_eq!(told(presence.update(ANN, "invisible", Some("{}"), 10_000).expect("fine")), "1 is offline for 2");
        assert_eq!(presence.subscriptions(BOB), [(ANN, offline())]);
        assert_eq!(told(presence.plays(ANN, game(1), "arena", 20_000)), "");
        assert_eq!(told(presence.stops_playing(ANN, game(1), 29_000)), "");
        presence.session_ended(ANN, session(11), 30_000);
        assert_eq!(told(presence.poll(60_000)), "", "leaving is no news either");
        assert_eq!(told(presence.session_began(ANN, session(12), 70_000)), "", "nor is coming back");
        assert_eq!(presence.subscriptions(BOB), [(ANN, offline())]);
    }

    #[test]
    fn a_quick_change_is_told_late_and_only_as_it_ended() {
        let mut presence = friends();
        let update = |presence: &mut Presence, status, at| told(presence.update(ANN, status, None, at).expect("fine"));
        assert_eq!(update(&mut presence, "away", 10_000), "1 is away for 2");
        assert_eq!(update(&mut presence, "busy", 10_001), "");
        assert_eq!(update(&mut presence, "online", 10_002), "");
        assert_eq!(&*presence.shown(ANN).status, "away", "a look says what a push said");
        assert_eq!(told(presence.poll(10_000 + EVERY)), "1 is online for 2");
        assert_eq!(update(&mut presence, "away", 20_000), "1 is away for 2");
        assert_eq!(update(&mut presence, "busy", 20_001), "");
        assert_eq!(update(&mut presence, "away", 20_002), "");
        assert_eq!(told(presence.poll(90_000)), "", "back to what was told");
    }

    #[test]
    fn playing_shows_by_itself_to_those_who_share_the_match() {
        let mut presence = friends();
        presence.session_began(CY, session(13), 0);
        let arena = Circle::Match(game(1));
        for player in [ANN, CY] {
            presence.enter(player, arena.clone());
        }
        assert_eq!(told(presence.plays(ANN, game(1), "arena", 10_000)), r#"1 is in_game {"mode":"arena"} for 2,3"#);
        assert_eq!(told(presence.plays(CY, game(1), "arena", 10_000)), r#"3 is in_game {"mode":"arena"} for 1"#);
        assert_eq!(told(presence.update(CY, "busy", None, 20_000).expect("fine")), "3 is busy for 1");
        presence.leave(CY, &arena);
        assert_eq!(told(presence.stops_playing(CY, game(1), 30_000)), "", "what was chosen stays");
        assert_eq!(told(presence.stops_playing(ANN, game(1), 30_000)), "");
        assert_eq!(told(presence.poll(30_000 + EVERY)), "1 is online for 2");
    }

    #[test]
    fn a_seat_that_ends_shows_a_second_later_or_not_at_all() {
        let mut presence = friends();
        told(presence.plays(ANN, game(1), "arena", 20_000));
        // One match after another.
        let at_ms = 40_000;
        assert_eq!(told(presence.stops_playing(ANN, game(1), at_ms)), "");
        assert_eq!(told(presence.plays(ANN, game(2), "arena", at_ms + 10)), "");
        assert_eq!(told(presence.poll(at_ms + 20_000)), "");
        // The seat and the session that it was held for, within a moment.
        let at_ms = 80_000;
        assert_eq!(told(presence.stops_playing(ANN, game(2), at_ms)), "");
        assert_eq!(told(presence.session_ended(ANN, session(11), at_ms + 5)), "");
        let offline = told(presence.poll(at_ms + EVERY));
        assert!(offline.contains("offline"), "{offline}");
        assert_eq!(told(presence.poll(at_ms + 5 * EVERY)), "");
    }

    #[test]
    fn offline_by_choice_is_no_different_from_offline() {
        let mut presence = friends();
        let seen = presence.update(ANN, "offline", Some(r#"{"x":1}"#), 20_000).expect("a status");
        assert!(seen.iter().all(|change| change.shown == offline()), "{seen:?}");
        assert!(presence.is_hidden(ANN) && !presence.is_hidden(BOB));
        assert_eq!(told(presence.update(ANN, "invisible", None, 40_000).expect("a status")), "");
        presence.session_ended(ANN, session(11), 60_000);
        assert_eq!(told(presence.poll(80_000)), "", "nothing is said twice");
        assert!(!presence.is_hidden(ANN));
    }

    #[test]
    fn whoever_went_as_invisible_comes_back_so() {
        let mut presence = friends();
        assert_eq!(told(presence.update(ANN, "invisible", None, 10_000).expect("fine")), "1 is offline for 2");
        assert_eq!(told(presence.session_ended(ANN, session(11), 20_000)), "");
        assert_eq!(told(presence.poll(30_000)), "");
        assert_eq!(told(presence.session_began(ANN, session(2), 40_000)), "", "nobody sees her come");
        assert_eq!(presence.shown(ANN), offline());
        assert_eq!(told(presence.update(ANN, "online", None, 50_000).expect("fine")), "1 is online for 2");
        presence.session_ended(ANN, session(2), 60_000);
        assert_eq!(told(presence.poll(70_000)), "1 is offline for 2");
        assert_eq!(
            told(presence.session_began(ANN, session(3), 80_000)),
            "1 is online for 2",
            "anything else is not kept"
        );
    }

    #[test]
    fn only_so_many_are_remembered_as_invisible() {
        let mut unseen = Unseen::default();
        let player = |n: usize| PlayerId::from_u128(n as u128);
        (0..=limits::UNSEEN_REMEMBERED_MAX).for_each(|n| unseen.went(player(n)));
        assert!(!unseen.came_back(player(0)) && unseen.came_back(player(1)) && !unseen.came_back(player(1)));
        assert!(unseen.order.len() <= limits::UNSEEN_REMEMBERED_MAX);
    }

    #[test]
    fn what_is_refused_and_what_is_off() {
        let mut presence = friends();
        let long = "x".repeat(33);
        for bad in ["", "a\nb", "a\u{202e}b", long.as_str()] {
            assert_eq!(presence.update(ANN, bad, None, 0), Err(PresenceRefused::Status), "{bad:?}");
        }
        let heavy = "x".repeat(METADATA_BYTES_MAX + 1);
        assert_eq!(presence.update(ANN, "away", Some(&heavy), 0), Err(PresenceRefused::Metadata));
        let crowd: Vec<PlayerId> = (100..100 + limits::SUBSCRIPTIONS_MAX as u128).map(PlayerId::from_u128).collect();
        assert_eq!(presence.subscribe(BOB, &crowd), Err(PresenceRefused::Subscriptions), "with Ann one too many");
        assert!(presence.subscribe(CY, &crowd).is_ok());

        let mut off = Presence::new(false);
        off.enter(ANN, Circle::Room("red".into()));
        assert_eq!(off.session_began(ANN, session(1), 0), []);
        assert_eq!((off.subscribe(BOB, &[ANN]), off.subscriptions(BOB)), (Ok(()), vec![]));
        assert_eq!(off.update(ANN, "away", None, 0), Ok(vec![]));
        assert_eq!((off.shown(ANN), off.next_wake_ms(), off.people.len()), (offline(), None, 0));
    }

    proptest! {
        /// Whatever happens: nobody is told the same twice in a row or more often than allowed, in the end everybody
        /// knows how it is, and when all have left nothing is kept.
        #[test]
        fn news_only_and_all_of_it(steps in prop::collection::vec((0u64..700, 0u8..8, 0u128..2), 1..80)) {
            let mut presence = Presence::new(true);
            presence.session_began(BOB, session(99), 0);
            presence.subscribe(BOB, &[ANN]).expect("one is allowed");
            let (mut now_ms, mut seen, mut seen_ms) = (0, offline(), None::<u64>);
            let mut steps = steps;
            steps.push((0, 8, 0));
            steps.push((10 * EVERY, 9, 0));
            for (pass, step, which) in steps {
                now_ms += pass;
                let mut changes = presence.poll(now_ms);
                changes.extend(match step {
                    0 => presence.session_began(ANN, session(which), now_ms),
                    1 => presence.session_ended(ANN, session(which), now_ms),
                    2 => presence.update(ANN, "away", None, now_ms).expect("fine"),
                    3 => presence.update(ANN, "invisible", None, now_ms).expect("fine"),
                    4 => presence.update(ANN, "online", None, now_ms).expect("fine"),
                    5 => presence.plays(ANN, game(which), "arena", now_ms),
                    6 => presence.stops_playing(ANN, game(which), now_ms),
                    7 => { presence.enter(ANN, Circle::Room("red".into())); presence.enter(BOB, Circle::Room("red".into())); vec![] }
                    8 => {
                        let room = Circle::Room("red".into());
                        [ANN, BOB].iter().for_each(|&player| presence.leave(player, &room));
                        [0, 1].iter().flat_map(|&it| presence.stops_playing(ANN, game(it), now_ms)).collect::<Vec<_>>().into_iter()
                            .chain([0, 1].iter().flat_map(|&it| presence.session_ended(ANN, session(it), now_ms)).collect::<Vec<_>>()).collect()
                    }
                    _ => vec![],
                });
                for change in changes {
                    prop_assert_eq!((change.player, &change.to), (ANN, &vec![BOB]));
                    prop_assert_ne!(&change.shown, &seen, "told what was known");
                    prop_assert!(seen_ms.is_none_or(|at_ms| now_ms >= at_ms + EVERY), "told too often");
                    (seen, seen_ms) = (change.shown, Some(now_ms));
                    prop_assert_eq!(&seen, &presence.shown(ANN));
                }
                let waits = presence.next_wake_ms();
                prop_assert!(waits.is_none_or(|at_ms| at_ms > now_ms && at_ms <= now_ms + EVERY));
                let truth = presence.people.get(&ANN).and_then(Person::shown).unwrap_or_else(offline);
                prop_assert!(waits.is_some() || truth == seen, "{:?} was never told, {:?} was", truth, seen);
            }
            prop_assert_eq!(seen, offline());
            presence.session_ended(BOB, session(99), now_ms);
            presence.poll(now_ms + EVERY);
            prop_assert_eq!((presence.people.len(), presence.circles.len(), presence.due.len()), (0, 0, 0));
        }
    }
}
