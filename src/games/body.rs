//! What the built-in games share: a player's two-number input, positions, and writing them as JSON without a tree.

use std::io::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The input of every built-in game, each axis -1 to 1; anything else in it is ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Move {
    /// Right is positive.
    #[serde(default)]
    pub move_x: f64,
    /// Down is positive.
    #[serde(default)]
    pub move_y: f64,
}

impl Move {
    /// Reads an input, each axis clamped to -1..=1; `None` when it is not of this shape.
    pub fn read(input: &RawValue) -> Option<Self> {
        // serde would also read a struct from an array; a move is an object.
        let wanted: Move = input.get().starts_with('{').then(|| serde_json::from_str(input.get()).ok())??;
        Some(Self { move_x: wanted.move_x.clamp(-1.0, 1.0), move_y: wanted.move_y.clamp(-1.0, 1.0) })
    }
}

/// Writes `number` as JSON does for integers where it is whole, so that a position of 4 reads `4` and not `4.0`.
pub fn write_number(out: &mut Vec<u8>, number: f64) {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        let _ = write!(out, "{}", number as i64);
    } else if number.is_finite() {
        let _ = write!(out, "{number}");
    } else {
        out.extend_from_slice(b"0");
    }
}

/// Writes `{"<key>":<value>,...}` from an iterator, each value by `write`.
pub fn write_map<K: std::fmt::Display, V>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (K, V)>,
    mut write: impl FnMut(&mut Vec<u8>, V),
) {
    out.push(b'{');
    for (i, (key, value)) in entries.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let _ = write!(out, "\"{key}\":");
        write(out, value);
    }
    out.push(b'}');
}

/// JSON bytes that we wrote ourselves, as a value to pass on.
pub fn own_json(bytes: Vec<u8>) -> crate::engine::modes::Json {
    let text = String::from_utf8(bytes).expect("built-in games write UTF-8");
    RawValue::from_string(text).expect("built-in games write JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_clamped_and_strangers_shapes_ignored() {
        for (input, expected) in [
            (r#"{"move_x":1,"move_y":-0.5}"#, Some((1.0, -0.5))),
            (r#"{"move_x":99}"#, Some((1.0, 0.0))),
            (r#"{"jump":true}"#, Some((0.0, 0.0))),
            (r#"{"move_x":"left"}"#, None),
            ("[]", None),
            ("null", None),
        ] {
            let raw = RawValue::from_string(input.into()).unwrap();
            assert_eq!(Move::read(&raw).map(|m| (m.move_x, m.move_y)), expected, "{input}");
        }
    }

    #[test]
    fn whole_numbers_read_as_whole() {
        for (number, text) in [(4.0, "4"), (-0.5, "-0.5"), (0.0, "0"), (f64::NAN, "0")] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, text.as_bytes());
        }
    }
}
