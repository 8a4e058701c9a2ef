//! Channel ids: which there are, and who may enter.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use unicode_normalization::is_nfc;

use crate::ids::{ChannelId, MatchId, PlayerId};
use crate::limits::CHANNEL_NAME_BYTES_MAX;

/// The names that a server's configuration opens.
#[derive(Debug, Clone, Default)]
pub struct Places {
    open: BTreeSet<String>,
    global: BTreeSet<String>,
}

/// What a channel id stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// `match:<id>`: those who play or watch.
    Match(MatchId),
    /// `room:<name>`: members that a game or an operator names.
    Room(Arc<str>),
    /// `dm:<lo>:<hi>`: two players, the smaller id first.
    Dm(PlayerId, PlayerId),
    /// `global:<name>`: everyone signed in.
    Global(Arc<str>),
    /// An open name without a prefix: everyone signed in.
    Open(Arc<str>),
}

/// Who may enter a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Everyone signed in.
    Anyone,
    /// These two.
    Two(PlayerId, PlayerId),
    /// The roster and the spectators of this match; ask the match.
    Roster(MatchId),
    /// The members of this room; ask whoever keeps the rooms. A room that does not exist has none.
    Members(Arc<str>),
}

/// The id names no channel of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected match:<id>, room:<name>, dm:<lo>:<hi>, global:<name> or an open name of this server")]
pub struct InvalidChannelId;

impl Places {
    /// The names in `[chat] open` and `[chat] global`.
    pub fn new(open: impl IntoIterator<Item = String>, global: impl IntoIterator<Item = String>) -> Self {
        Self { open: open.into_iter().collect(), global: global.into_iter().collect() }
    }

    /// What `id` stands for on this server.
    pub fn parse(&self, id: &str) -> Result<Place, InvalidChannelId> {
        Place::parse(id, |name| self.open.contains(name), |name| self.global.contains(name))
    }
}

impl Place {
    /// What `id` stands for on a server that opens these names. Each place has exactly one id.
    pub fn parse(
        id: &str,
        is_open: impl Fn(&str) -> bool,
        is_global: impl Fn(&str) -> bool,
    ) -> Result<Self, InvalidChannelId> {
        let place = match id.split_once(':') {
            None if is_open(id) => Self::Open(id.into()),
            Some(("global", name)) if is_global(name) => Self::Global(name.into()),
            Some(("match", text)) => Self::Match(text.parse().map_err(|_| InvalidChannelId)?),
            Some(("room", name)) if is_name(name) => Self::Room(name.into()),
            Some(("dm", both)) => {
                let (lo, hi) = both.split_once(':').ok_or(InvalidChannelId)?;
                let player = |text: &str| text.parse::<PlayerId>().map_err(|_| InvalidChannelId);
                let (lo, hi) = (player(lo)?, player(hi)?);
                if lo > hi {
                    return Err(InvalidChannelId);
                }
                Self::Dm(lo, hi)
            }
            _ => return Err(InvalidChannelId),
        };
        Ok(place)
    }

    /// The channel of two players, whoever writes to whom.
    pub fn dm(a: PlayerId, b: PlayerId) -> Self {
        Self::Dm(a.min(b), a.max(b))
    }

    /// The channel of a room, if it may have this name: see [`is_name`].
    pub fn room(name: &str) -> Result<Self, InvalidChannelId> {
        if is_name(name) { Ok(Self::Room(name.into())) } else { Err(InvalidChannelId) }
    }

    /// Its id: the inverse of [`Places::parse`].
    pub fn id(&self) -> ChannelId {
        self.to_string().into()
    }

    /// Who may enter.
    pub fn door(&self) -> Door {
        match self {
            Self::Match(id) => Door::Roster(*id),
            Self::Room(name) => Door::Members(name.clone()),
            Self::Dm(lo, hi) => Door::Two(*lo, *hi),
            Self::Global(_) | Self::Open(_) => Door::Anyone,
        }
    }
}

impl Door {
    /// Whether a player may enter, where that can be said without asking anyone.
    pub fn admits(&self, player: PlayerId) -> Option<bool> {
        match self {
            Self::Anyone => Some(true),
            Self::Two(lo, hi) => Some(player == *lo || player == *hi),
            Self::Roster(_) | Self::Members(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Match(id) => write!(f, "match:{id}"),
            Self::Room(name) => write!(f, "room:{name}"),
            Self::Dm(lo, hi) => write!(f, "dm:{lo}:{hi}"),
            Self::Global(name) => write!(f, "global:{name}"),
            Self::Open(name) => f.write_str(name),
        }
    }
}

/// Whether a room or a channel of the configuration may have this name: 1 to 64 bytes in normal form C without spaces,
/// `:`, control characters or such as turn the direction of text.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c != ':' && !c.is_whitespace() && !super::content::is_forbidden(c);
    // One way to write it: what looks like one room is one.
    (1..=CHANNEL_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(plain) && is_nfc(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_id() {
        let places = Places::new(["lobby".into(), "help".into()], ["news".into()]);
        let (a, b) = ("00000000-0000-7000-8000-00000000000a", "00000000-0000-7000-8000-00000000000b");
        let good = [
            format!("match:{a}"),
            "room:red".into(),
            "room:Ünïted-1".into(),
            format!("dm:{a}:{b}"),
            format!("dm:{a}:{a}"),
            "global:news".into(),
            "lobby".into(),
        ];
        for id in good {
            assert_eq!(places.parse(&id).map(|place| place.to_string()), Ok(id));
        }
        let bad = [
            "".into(),
            "arena".into(),
            "Lobby".into(),
            ":lobby".into(),
            "global:".into(),
            "global:lobby".into(),
            "news".into(),
            "match:".into(),
            "match:1".into(),
            format!("match:{}", a.to_uppercase()),
            "room:".into(),
            "room:a b".into(),
            "room:a:b".into(),
            "room:\u{202e}".into(),
            // Looks like the one above.
            "room:U\u{308}ni\u{308}ted-1".into(),
            format!("room:{}", "x".repeat(65)),
            format!("dm:{b}:{a}"),
            format!("dm:{a}"),
            format!("dm:{a}:{b}:{b}"),
            format!("DM:{a}:{b}"),
        ];
        for id in bad {
            assert_eq!(places.parse(&id), Err(InvalidChannelId), "{id}");
        }
    }

    #[test]
    fn doors_know_whom_they_admit() {
        let [a, b, c] = [1, 2, 3].map(PlayerId::from_u128);
        assert_eq!(Place::dm(b, a), Place::Dm(a, b));
        let door = Place::dm(b, a).door();
        assert_eq!([a, b, c].map(|player| door.admits(player)), [Some(true), Some(true), Some(false)]);
        assert_eq!(Place::Open("lobby".into()).door().admits(c), Some(true));
        assert_eq!(Place::room("red").map(|place| place.door()), Ok(Door::Members("red".into())));
        assert_eq!(Place::Match(MatchId::from_u128(9)).door().admits(a), None);
    }
}
