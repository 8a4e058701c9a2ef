//! Ids: UUIDv7 newtypes made from a clock and a random source that the caller hands in.
//!
//! An id names a thing and opens nothing: knowing one is never a capability.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod players;

/// A fresh UUIDv7 from `unix_ms` (milliseconds since 1970) and ten random bytes.
fn uuid_v7(unix_ms: u64, rng: &mut impl Rng) -> Uuid {
    let mut random = [0u8; 10];
    rng.fill_bytes(&mut random);
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid()
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id at `unix_ms` milliseconds since 1970.
            pub fn new(unix_ms: u64, rng: &mut impl Rng) -> Self {
                Self(uuid_v7(unix_ms, rng))
            }

            /// The id as a number: what outbox slots are keyed by.
            pub fn as_u128(self) -> u128 {
                self.0.as_u128()
            }

            /// The id that `number` stands for; the inverse of [`Self::as_u128`].
            pub const fn from_u128(number: u128) -> Self {
                Self(Uuid::from_u128(number))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )+};
}

/// How an id reads, wherever it is nothing but its UUID.
macro_rules! uuid_text {
    ($($name:ident)+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(to)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                std::borrow::Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            /// Reads the hyphenated lowercase form that [`fmt::Display`] writes, and no other.
            fn from_str(text: &str) -> Result<Self, BadId> {
                read_uuid(text).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "format": "uuid"})
            }
        }
    )+};
}

/// Reads the hyphenated lowercase form, and no other.
fn read_uuid(text: &str) -> Result<Uuid, BadId> {
    if text.len() != 36 || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(BadId);
    }
    Uuid::try_parse(text).map_err(|_| BadId)
}

uuid_id! {
    /// A player: an account, a guest, or a bot, whose id reads otherwise ([`PlayerId::bot`]).
    PlayerId;
    /// One signed-in session of a player; outlives its socket for a grace period.
    SessionId;
    /// One match, from its first seat to its record.
    MatchId;
    /// One matchmaking ticket.
    TicketId;
    /// One chat message.
    MessageId;
    /// One stored notification.
    NotificationId;
}

uuid_text! { SessionId MatchId TicketId MessageId NotificationId }

/// The text was not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an id such as 0199a4c0-1000-7000-8000-0000000000b1, in lowercase and with its hyphens")]
pub struct BadId;

/// The name of one vote: a UUIDv7 unless whoever opened it named it (1 to 64 bytes of `[A-Za-z0-9_.:-]`).
/// Unique over the whole server while the vote is open and in its record afterwards.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct VoteId(Arc<str>);

impl VoteId {
    /// A new id at `unix_ms` milliseconds since 1970.
    pub fn new(unix_ms: u64, rng: &mut impl Rng) -> Self {
        Self(uuid_v7(unix_ms, rng).hyphenated().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VoteId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let fits =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
        if fits { Ok(Self(text.into())) } else { Err(BadId) }
    }
}

impl<'de> Deserialize<'de> for VoteId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for VoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for VoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoteId({})", self.0)
    }
}

/// A chat channel's name, already checked: see `engine::chat` for the kinds.
pub type ChannelId = Arc<str>;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let early = PlayerId::new(1_000, &mut rng);
        let late = PlayerId::new(2_000, &mut rng);
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(PlayerId::from_u128(early.as_u128()), early);
        for bad in ["", "x", &early.to_string().to_uppercase(), &early.to_string().replace('-', "")] {
            assert_eq!(bad.parse::<PlayerId>(), Err(BadId), "{bad}");
        }
    }

    #[test]
    fn vote_names_are_short_and_plain() {
        assert!("map-vote.1".parse::<VoteId>().is_ok());
        for bad in ["", "a b", "\u{202e}", &"x".repeat(65)] {
            assert!(bad.parse::<VoteId>().is_err(), "{bad}");
        }
    }
}
