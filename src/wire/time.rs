//! Times on the wire: unix milliseconds, or `2026-04-15T10:30:00Z` where the seed dialect wants text.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::frame::Dialect;

/// When a message was sent: the one field that the dialects write differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentAt {
    /// Unix milliseconds (latest).
    Ms(u64),
    /// Unix milliseconds, written as ISO-8601 text to the second (seed).
    Iso(u64),
}

impl SentAt {
    /// `unix_ms` as `dialect` writes it.
    pub fn of(unix_ms: u64, dialect: Dialect) -> Self {
        match dialect {
            Dialect::Latest => Self::Ms(unix_ms),
            Dialect::Seed202604 => Self::Iso(unix_ms),
        }
    }

    /// Unix milliseconds, to the second where the text gave no more.
    pub fn unix_ms(self) -> u64 {
        match self {
            Self::Ms(ms) | Self::Iso(ms) => ms,
        }
    }
}

impl Serialize for SentAt {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ms(ms) => to.serialize_u64(*ms),
            Self::Iso(ms) => to.collect_str(&Iso(*ms)),
        }
    }
}

impl<'de> Deserialize<'de> for SentAt {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = SentAt;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("unix milliseconds or a time like 2026-04-15T10:30:00Z")
            }
            fn visit_u64<E>(self, ms: u64) -> Result<SentAt, E> {
                Ok(SentAt::Ms(ms))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<SentAt, E> {
                parse_iso(text).map(SentAt::Iso).ok_or_else(|| E::custom("expected a time like 2026-04-15T10:30:00Z"))
            }
        }
        from.deserialize_any(Either)
    }
}

/// Unix milliseconds shown as `2026-04-15T10:30:00Z`, cut to the second.
#[derive(Debug, Clone, Copy)]
pub struct Iso(pub u64);

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        let (year, month, day) = civil(seconds / 86_400);
        let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
    }
}

/// Reads what [`Iso`] writes; `None` for any other text or for a day that no calendar has.
pub fn parse_iso(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if bytes.len() != 20 || marks.iter().any(|&(at, mark)| bytes[at] != mark) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = &bytes[from..to];
        digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (h, m, s) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || h > 23 || m > 59 || s > 59 {
        return None;
    }
    let days = days(year, month, day);
    (civil(days) == (year, month, day)).then_some((days * 86_400 + h * 3600 + m * 60 + s) * 1000)
}

/// Year, month and day of the `days`th day after 1970-01-01. The year is taken to begin in March, so that the leap day
/// is its last and months have lengths that one line computes; 400 years are 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil`] for years from 1970.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day.saturating_sub(1);
    let of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + of_year;
    year / 400 * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_are_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_776_249_000_000, "2026-04-15T10:30:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Iso(ms).to_string(), text);
            assert_eq!(parse_iso(text), Some(ms), "{text}");
        }
        assert_eq!(Iso(1_776_249_000_999).to_string(), "2026-04-15T10:30:00Z", "cut, not rounded");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for n in 0..146_097 {
            assert_eq!(civil(n), (year, month, day));
            assert_eq!(days(year, month, day), n);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (day == last, month == 12) {
                (true, true) => (year + 1, 1, 1),
                (true, false) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn other_texts_are_no_time() {
        for text in [
            "",
            "2026-04-15",
            "2026-04-15 10:30:00Z",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-04-00T00:00:00Z",
            "2026-04-15T24:00:00Z",
            "+026-04-15T10:30:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }
}
