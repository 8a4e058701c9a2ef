//! What a game's result says that a record keeps apart: the word for how it ended, who won, and each player's own
//! numbers.
//!
//! A result is any JSON value and the game's own business. Of an object, these members are read besides being kept:
//!
//! | member | means |
//! |---|---|
//! | `status` | the record's status, 1 to 64 bytes; `finished` without one |
//! | `winner`, `winners` | the player or players who won; the others lost. `null` or an empty list is a draw |
//! | `forfeited` | the players who gave it up, whatever else is said of them |
//! | `stats` | an object by player id: what the record shows as that player's `stats` |
//!
//! Whatever else stands there means nothing here: a `winner` that is a team's name says nothing of any player.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::ids::PlayerId;
use crate::limits::MATCH_STATUS_BYTES_MAX;

/// The status of a match whose result names none.
const FINISHED: &str = "finished";

/// A result as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended, in a word.
    pub status: String,
    /// Who won; `None` where the result does not say.
    winners: Option<Vec<PlayerId>>,
    /// Who gave it up.
    forfeited: Vec<PlayerId>,
    /// JSON text by player.
    stats: BTreeMap<PlayerId, String>,
}

/// How it ended for one player, as far as the result says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The result names no winner.
    Unsaid,
    /// Named as a winner.
    Won,
    /// Somebody else is.
    Lost,
    /// The result says that nobody won.
    Drawn,
    /// Named as one who gave it up.
    Forfeited,
}

/// Whether a match can have ended with this word.
pub fn is_status(word: &str) -> bool {
    (1..=MATCH_STATUS_BYTES_MAX).contains(&word.len()) && !word.contains(char::is_control)
}

impl Verdict {
    /// Reads a result (JSON text).
    pub fn of(result: &str) -> Self {
        let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(result).unwrap_or_default();
        let mut read = |name: &str| members.remove(name).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let status = read("status").and_then(|status| status.as_str().map(str::to_owned));
        let named = read("winners").or_else(|| read("winner"));
        let forfeited = read("forfeited").as_ref().and_then(players);
        let stats = members.remove("stats").and_then(|raw| serde_json::from_str(raw.get()).ok());
        let stats: BTreeMap<String, &RawValue> = stats.unwrap_or_default();
        Self {
            status: status.filter(|word| is_status(word)).unwrap_or_else(|| FINISHED.to_owned()),
            winners: named.and_then(|named| players(&named)),
            forfeited: forfeited.unwrap_or_default(),
            stats: stats
                .into_iter()
                .filter_map(|(player, stats)| Some((player.parse().ok()?, stats.get().to_owned())))
                .collect(),
        }
    }

    /// How it ended for this player.
    pub fn standing(&self, player: PlayerId) -> Standing {
        match &self.winners {
            _ if self.forfeited.contains(&player) => Standing::Forfeited,
            None => Standing::Unsaid,
            Some(winners) if winners.is_empty() => Standing::Drawn,
            Some(winners) if winners.contains(&player) => Standing::Won,
            Some(_) => Standing::Lost,
        }
    }

    /// The game's own numbers for this player: JSON text.
    pub fn stats(&self, player: PlayerId) -> Option<&str> {
        self.stats.get(&player).map(String::as_str)
    }
}

/// The players that a `winner`, `winners` or `forfeited` names; `None` where it names something else.
fn players(named: &Value) -> Option<Vec<PlayerId>> {
    match named {
        Value::Null => Some(Vec::new()),
        Value::String(one) => one.parse().ok().map(|player| vec![player]),
        Value::Array(several) => several.iter().map(|one| one.as_str()?.parse().ok()).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(n: u128) -> PlayerId {
        PlayerId::from_u128(n)
    }

    #[test]
    fn a_result_says_who_won_and_what_each_did() {
        let check = |result: Value, status: &str, standings: [Standing; 2]| {
            let verdict = Verdict::of(&result.to_string());
            let read = [1, 2].map(|n| verdict.standing(id(n)));
            assert_eq!((verdict.status.as_str(), read), (status, standings), "{result}");
        };
        use Standing::{Drawn, Forfeited, Lost, Unsaid, Won};
        check(json!({"winner": id(1)}), "finished", [Won, Lost]);
        check(json!({"winners": [id(2), id(1)], "winner": "x"}), "finished", [Won, Won]);
        check(json!({"winners": [id(3)], "status": "overtime"}), "overtime", [Lost, Lost]);
        check(json!({"winner": null}), "finished", [Drawn, Drawn]);
        check(json!({"winners": []}), "finished", [Drawn, Drawn]);
        check(json!({"forfeited": [id(1)]}), "finished", [Forfeited, Unsaid]);
        check(json!({"winners": [id(1)], "forfeited": [id(1)]}), "finished", [Forfeited, Lost]);
        for nothing in [
            json!({}),
            json!({"winner": "red"}),
            json!({"winners": [id(1), "blue"]}),
            json!({"winner": {"id": id(1)}, "stats": [1], "status": 7}),
            json!({"status": ""}),
            json!({"forfeited": true}),
            json!({"forfeited": ["red", id(1)]}),
            json!({"status": "x".repeat(65)}),
            json!({"status": "new\nline"}),
            json!([id(1)]),
            json!("won"),
        ] {
            check(nothing, "finished", [Unsaid, Unsaid]);
        }
        assert_eq!(Verdict::of("not JSON").status, "finished");
    }

    #[test]
    fn numbers_stay_as_the_game_wrote_them() {
        let result =
            format!(r#"{{"stats": {{"{}": {{"kills": 3.50, "deaths": 0}}, "red": 1, "{}": 7}}}}"#, id(1), id(2));
        let verdict = Verdict::of(&result);
        assert_eq!(verdict.stats(id(1)), Some(r#"{"kills": 3.50, "deaths": 0}"#));
        assert_eq!((verdict.stats(id(2)), verdict.stats(id(3))), (Some("7"), None));
    }
}
