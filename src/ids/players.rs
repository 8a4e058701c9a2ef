//! How players' ids read: a UUID for people, `bot_Spark_0f3a91c27de` for bots. Scripts of the public asobi interface know
//! bots by that beginning, and so does whoever reads a roster.
//!
//! A bot's id is a UUID of version 8, whose bits are its maker's to give: its name, so that the id says it wherever it
//! goes, and chance.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, Version};

use super::{BadId, PlayerId, read_uuid};

/// What a bot's id begins with.
const BOT: &str = "bot_";

/// Letters of a bot's name in its id: sixty-four, six bits each.
const LETTERS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// How many of them an id has room for. The rest of a longer name is not in it.
const NAME_LEN_MAX: usize = 12;

/// Bits of chance, and the hexadecimal digits that they are: bots that live at once are far fewer than the root of it.
const CHANCE_BITS: u32 = 44;
const CHANCE_DIGITS: usize = 11;

/// The 122 bits of a UUID that its version and variant leave, as one number.
fn bits(id: u128) -> u128 {
    (id >> 80 << 74) | (id >> 64 & 0xfff) << 62 | id & ((1 << 62) - 1)
}

fn with_bits(bits: u128) -> Uuid {
    let id = (bits >> 74 << 80) | (8 << 76) | (bits >> 62 & 0xfff) << 64 | (2 << 62) | bits & ((1 << 62) - 1);
    Uuid::from_u128(id)
}

/// A name as a number: its length, then six bits a letter.
fn packed(name: &[u8]) -> Option<u128> {
    if !(1..=NAME_LEN_MAX).contains(&name.len()) {
        return None;
    }
    name.iter().try_fold(name.len() as u128, |sum, letter| Some(sum << 6 | LETTERS.binary_search(letter).ok()? as u128))
}

impl PlayerId {
    /// The id of a bot of that name. What an id has no letters for reads as `-`.
    pub fn bot(name: &str, rng: &mut impl Rng) -> Self {
        let letter = |c: char| u8::try_from(c).ok().filter(|c| LETTERS.binary_search(c).is_ok()).unwrap_or(b'-');
        let name: Vec<u8> = name.chars().take(NAME_LEN_MAX).map(letter).collect();
        let name = packed(&name).or_else(|| packed(b"bot")).unwrap_or_default();
        Self(with_bits(name << CHANCE_BITS | u128::from(rng.next_u64() >> (u64::BITS - CHANCE_BITS))))
    }

    /// Whether it is a bot's.
    pub fn is_bot(self) -> bool {
        self.as_bot().is_some()
    }

    /// The name in a bot's id, and its chance; `None` for people, and for numbers that are nobody's id.
    fn as_bot(self) -> Option<(String, u128)> {
        if self.0.get_version() != Some(Version::Custom) {
            return None;
        }
        let bits = bits(self.as_u128());
        let (name, chance) = (bits >> CHANCE_BITS, bits & ((1 << CHANCE_BITS) - 1));
        let len = (1..=NAME_LEN_MAX).find(|len| name >> (6 * len) == *len as u128)?;
        let letter = |at: usize| char::from(LETTERS[(name >> (6 * at) & 63) as usize]);
        Some(((0..len).rev().map(letter).collect(), chance))
    }
}

impl fmt::Display for PlayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_bot() {
            None => self.0.hyphenated().fmt(f),
            Some((name, chance)) => write!(f, "{BOT}{name}_{chance:0CHANCE_DIGITS$x}"),
        }
    }
}

impl FromStr for PlayerId {
    type Err = BadId;
    /// Reads what [`fmt::Display`] writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, BadId> {
        let Some(bot) = text.strip_prefix(BOT) else {
            return read_uuid(text).map(Self).and_then(|id| if id.as_bot().is_none() { Ok(id) } else { Err(BadId) });
        };
        let (name, chance) = bot.rsplit_once('_').ok_or(BadId)?;
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if chance.len() != CHANCE_DIGITS || !chance.bytes().all(is_hex) {
            return Err(BadId);
        }
        let chance = u128::from_str_radix(chance, 16).map_err(|_| BadId)?;
        let name = packed(name.as_bytes()).ok_or(BadId)?;
        Ok(Self(with_bits(name << CHANCE_BITS | chance)))
    }
}

impl Serialize for PlayerId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.get_version() == Some(Version::Custom) { to.collect_str(self) } else { self.0.serialize(to) }
    }
}

impl<'de> Deserialize<'de> for PlayerId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PlayerId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PlayerId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "anyOf": [
            {"format": "uuid"},
            {"pattern": "^bot_[-0-9A-Z_a-z]{1,12}_[0-9a-f]{11}$"},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    #[test]
    fn a_bots_id_says_its_name_and_reads_back() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (name, shown) in [
            ("Spark", "Spark"),
            ("a", "a"),
            ("-", "-"),
            ("---", "---"),
            ("z_Z-09", "z_Z-09"),
            ("", "bot"),
            ("Old Crow", "Old-Crow"),
            ("\u{e9}t\u{e9}", "-t-"),
            ("exactly12let", "exactly12let"),
            ("a_name_of_more_letters", "a_name_of_mo"),
        ] {
            let id = PlayerId::bot(name, &mut rng);
            let text = id.to_string();
            let (begin, chance) = text.rsplit_once('_').unwrap();
            assert_eq!((begin, chance.len()), (format!("bot_{shown}").as_str(), CHANCE_DIGITS), "{text}");
            assert_eq!(text.parse(), Ok(id), "{text}");
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<PlayerId>(&format!("{text:?}")).unwrap(), id);
            assert_eq!(PlayerId::from_u128(id.as_u128()), id);
            // Its bits are nobody else's text.
            assert!(id.0.hyphenated().to_string().parse::<PlayerId>().is_err(), "{text}");
        }
        assert_ne!(PlayerId::bot("Spark", &mut rng), PlayerId::bot("Spark", &mut rng));
    }

    #[test]
    fn nothing_else_is_a_bots_id() {
        let chance = "0123456789a";
        for bad in
            ["bot_", "bot_Spark", "bot_Spark_", "bot__0123456789a", "bot_Spark_0123456789A", "bot_Spark_+123456789a"]
        {
            assert_eq!(bad.parse::<PlayerId>(), Err(BadId), "{bad}");
        }
        for name in ["a b", "\u{e9}", "thirteen_lett"] {
            assert_eq!(format!("bot_{name}_{chance}").parse::<PlayerId>(), Err(BadId), "{name}");
        }
        // A number of that version that holds no name is shown as it is.
        let nobody = PlayerId(with_bits(0));
        assert_eq!(nobody.to_string(), nobody.0.hyphenated().to_string());
    }
}
