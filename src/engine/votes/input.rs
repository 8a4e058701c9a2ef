//! What a client sent as `option_id`, before anybody knows which vote it is for.
//!
//! The wire reads any JSON into this; only the vote can say whether the shape fits its method, so a wrong shape is the
//! vote's `invalid_ballot` and spoils nothing for anybody else.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of `option_id`, as its shape says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BallotInput {
    /// `null`: a blank ballot, where the vote allows one.
    Null,
    /// `"jungle"`.
    Scalar(String),
    /// `["jungle", "caves"]`: approvals, or a ranking with the best first; `[]` is a blank one.
    List(Vec<BallotEntry>),
    /// `{"jungle": 5, "caves": 2}`: scores, in the order they were written.
    Map(Vec<(String, i64)>),
    /// JSON of any other shape, which fits no method.
    Other,
}

/// One place of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BallotEntry {
    /// One option.
    One(String),
    /// Options that share the place: `["jungle", ["caves", "volcano"]]`.
    Tied(Vec<String>),
}

impl<'de> Deserialize<'de> for BallotInput {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = BallotInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a ballot")
            }
            fn visit_str<E>(self, id: &str) -> Result<BallotInput, E> {
                Ok(BallotInput::Scalar(id.to_owned()))
            }
            fn visit_unit<E>(self) -> Result<BallotInput, E> {
                Ok(BallotInput::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<BallotInput, E> {
                Ok(BallotInput::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<BallotInput, E> {
                Ok(BallotInput::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<BallotInput, E> {
                Ok(BallotInput::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<BallotInput, E> {
                Ok(BallotInput::Other)
            }
            // A misfit does not stop the reading: the rest of the text still has to be walked to its end.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<BallotInput, A::Error> {
                let mut entries = Some(Vec::new());
                while let Some(place) = seq.next_element::<BallotInput>()? {
                    let entry = match place {
                        BallotInput::Scalar(id) => Some(BallotEntry::One(id)),
                        BallotInput::List(tied) => {
                            tied.into_iter().map(BallotEntry::alone).collect::<Option<_>>().map(BallotEntry::Tied)
                        }
                        _ => None,
                    };
                    entries = entries.zip(entry).map(|(mut entries, entry)| {
                        entries.push(entry);
                        entries
                    });
                }
                Ok(entries.map_or(BallotInput::Other, BallotInput::List))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BallotInput, A::Error> {
                let mut scores = Some(Vec::new());
                while let Some(id) = map.next_key::<String>()? {
                    let Score(score) = map.next_value()?;
                    scores = scores.zip(score).map(|(mut scores, score)| {
                        scores.push((id, score));
                        scores
                    });
                }
                Ok(scores.map_or(BallotInput::Other, BallotInput::Map))
            }
        }
        from.deserialize_any(Shape)
    }
}

impl BallotEntry {
    fn alone(self) -> Option<String> {
        match self {
            BallotEntry::One(id) => Some(id),
            BallotEntry::Tied(_) => None,
        }
    }
}

/// A whole number, or anything else.
struct Score(Option<i64>);

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Score;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E>(self, score: i64) -> Result<Score, E> {
                Ok(Score(Some(score)))
            }
            fn visit_u64<E>(self, score: u64) -> Result<Score, E> {
                Ok(Score(i64::try_from(score).ok()))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Score, E> {
                Ok(Score(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Score, E> {
                Ok(Score(None))
            }
            fn visit_unit<E>(self) -> Result<Score, E> {
                Ok(Score(None))
            }
            fn visit_str<E>(self, _: &str) -> Result<Score, E> {
                Ok(Score(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Score, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Score(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Score, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Score(None))
            }
        }
        from.deserialize_any(Whole)
    }
}

/// Writes the JSON that reads back as the same ballot; [`BallotInput::Other`] becomes `false`, which does too.
impl Serialize for BallotInput {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            BallotInput::Null => to.serialize_unit(),
            BallotInput::Scalar(id) => to.serialize_str(id),
            BallotInput::List(entries) => {
                let mut seq = to.serialize_seq(Some(entries.len()))?;
                for entry in entries {
                    match entry {
                        BallotEntry::One(id) => seq.serialize_element(id)?,
                        BallotEntry::Tied(ids) => seq.serialize_element(ids)?,
                    }
                }
                seq.end()
            }
            BallotInput::Map(scores) => {
                let mut map = to.serialize_map(Some(scores.len()))?;
                for (id, score) in scores {
                    map.serialize_entry(id, score)?;
                }
                map.end()
            }
            BallotInput::Other => to.serialize_bool(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> BallotInput {
        serde_json::from_str(text).unwrap()
    }

    fn one(id: &str) -> BallotEntry {
        BallotEntry::One(id.into())
    }

    #[test]
    fn every_shape_is_read_and_written_back() {
        let shapes = [
            ("null", BallotInput::Null),
            (r#""a""#, BallotInput::Scalar("a".into())),
            ("[]", BallotInput::List(vec![])),
            (r#"["a","b"]"#, BallotInput::List(vec![one("a"), one("b")])),
            (r#"["a",["b","c"]]"#, BallotInput::List(vec![one("a"), BallotEntry::Tied(vec!["b".into(), "c".into()])])),
            (r#"{"a":5,"b":-1}"#, BallotInput::Map(vec![("a".into(), 5), ("b".into(), -1)])),
            ("false", BallotInput::Other),
        ];
        for (text, ballot) in shapes {
            assert_eq!(read(text), ballot, "{text}");
            assert_eq!(serde_json::to_string(&ballot).unwrap(), text);
        }
    }

    #[test]
    fn a_misfit_is_other_and_never_an_error() {
        for text in [
            "7",
            "1.5",
            "true",
            "[1]",
            "[null]",
            r#"["a",1,"b"]"#,
            r#"[["a",["b"]]]"#,
            r#"[{"a":1}]"#,
            r#"{"a":"x"}"#,
            r#"{"a":1.5}"#,
            r#"{"a":null}"#,
            r#"{"a":[1]}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":18446744073709551615}"#,
        ] {
            assert_eq!(read(text), BallotInput::Other, "{text}");
        }
    }
}
