//! A mode's `[matchmaking]` table, checked once and brought into the units that the pool computes in.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::strategies::{STRATEGIES, Strategy, strategy};
use super::ticket::{AddRefused, THOUSANDTHS, Ticket, Traits};
use super::widening::Widening;
use crate::engine::modes::{Matchmaking, Players, Region};
use crate::limits::{GROUP_PLAYERS_MAX, REGION_BYTES_MAX, REQUIRE_BYTES_MAX};

/// When a ticket that never expires stops insisting on its region (`region = "prefer"`).
const PREFER_WITHOUT_EXPIRY_MS: u64 = 30_000;

/// The rules of one pool.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(crate) strategy: &'static Strategy,
    /// Whether tickets lie on no line and are taken by age.
    pub(crate) by_age: bool,
    /// Seats per team; a single entry when there are no teams.
    pub(crate) seats: Vec<u32>,
    pub(crate) has_teams: bool,
    pub(crate) size: u32,
    pub(crate) parties: bool,
    pub(crate) backfill: bool,
    pub(crate) widening: Widening,
    pub(crate) region: Region,
    pub(crate) bots_after_ms: Option<u64>,
    pub(crate) expire_ms: Option<u64>,
    pub(crate) ranges: BTreeMap<String, u32>,
    pub(crate) require: Vec<String>,
}

/// Something wrong with a `[matchmaking]` table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("matchmaking.{key}: {message}")]
pub struct RuleFault {
    /// The key within `[modes.NAME.matchmaking]`.
    pub key: &'static str,
    /// What was expected and what came.
    pub message: String,
}

impl Rules {
    /// Checks a table against the seats of its mode and names every fault of it.
    pub fn new(table: &Matchmaking, players: Players) -> Result<Self, Vec<RuleFault>> {
        let mut faults = Vec::new();
        let mut fault = |key, message| faults.push(RuleFault { key, message });
        let known = strategy(&table.strategy);
        if known.is_none() {
            let names: Vec<_> = STRATEGIES.iter().map(|strategy| strategy.name).collect();
            fault("strategy", format!("expected one of {}, not {:?}", names.join(", "), table.strategy));
        }
        let has_teams = !table.teams.is_empty();
        let seats = if has_teams { table.teams.clone() } else { vec![table.size.unwrap_or(players.max)] };
        let size = seats.iter().fold(0u32, |sum, &team| sum.saturating_add(team));
        let key = if has_teams { "teams" } else { "size" };
        if seats.contains(&0) {
            fault(key, "expected at least one seat".into());
        }
        if has_teams && table.size.is_some_and(|given| given != size) {
            fault("size", format!("expected {size}, the sum of teams, or nothing"));
        }
        if !(players.min..=players.max).contains(&size) {
            let Players { min, max } = players;
            fault(key, format!("expected {min} to {max} players, the mode's own bounds, not {size}"));
        } else if size > GROUP_PLAYERS_MAX {
            fault(key, format!("expected at most {GROUP_PLAYERS_MAX} players, not {size}"));
        }
        let Some(strategy) = known else { return Err(faults) };
        if !faults.is_empty() {
            return Err(faults);
        }
        let sample = Traits { ranges: vec![0; table.ranges.len()], ..Traits::default() };
        let in_ms = |seconds: u32| (seconds > 0).then(|| u64::from(seconds) * 1_000);
        let mut rules = Self {
            strategy,
            by_age: false,
            seats,
            has_teams,
            size,
            parties: table.parties,
            backfill: table.backfill,
            widening: Widening::new(table.window, table.widen.per_s, table.widen.max),
            region: table.region,
            bots_after_ms: in_ms(table.bots_after_s),
            expire_ms: in_ms(table.expire_s),
            ranges: table.ranges.clone(),
            require: table.require.clone(),
        };
        rules.by_age = (strategy.place)(&rules, &sample).is_none();
        Ok(rules)
    }

    /// Players per group.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Seats of the largest team: the largest party that is taken.
    pub fn party_max(&self) -> u32 {
        if self.parties { self.seats.iter().copied().max().unwrap_or(1) } else { 1 }
    }

    /// Whether a party of that many finds room in one match.
    pub(crate) fn have_room_for(&self, ticket: &Ticket) -> bool {
        ticket.players.len() <= self.party_max() as usize
    }

    /// Whether these rules find in a ticket what they pair by, which was read by `others`.
    pub(crate) fn understand(&self, others: &Rules) -> bool {
        let skill = self.strategy.name != "skill" || others.strategy.name == "skill";
        let region = self.region == Region::Ignore || self.region == others.region;
        skill && region && self.require == others.require && self.ranges.keys().eq(others.ranges.keys())
    }

    /// Reads what the pool pairs by from a ticket's properties. Unknown properties are the game's business.
    pub fn traits(&self, properties: &Map<String, Value>) -> Result<Traits, AddRefused> {
        let skill = match properties.get("skill") {
            Some(value) if self.strategy.name == "skill" => thousandths("skill", value)?,
            _ => 0,
        };
        let ranges = self.ranges.keys().map(|name| match properties.get(name) {
            Some(value) => thousandths(name, value),
            None => Err(AddRefused::PropertyMissing(name.clone())),
        });
        let ranges = ranges.collect::<Result<_, _>>()?;
        Ok(Traits { skill, region: self.region(properties)?, ranges, require: self.required(properties)? })
    }

    fn region(&self, properties: &Map<String, Value>) -> Result<Option<Arc<str>>, AddRefused> {
        match properties.get("region") {
            _ if self.region == Region::Ignore => Ok(None),
            None | Some(Value::Null) if self.region == Region::Prefer => Ok(None),
            None | Some(Value::Null) => Err(AddRefused::PropertyMissing("region".into())),
            Some(Value::String(name)) if name.len() <= REGION_BYTES_MAX => Ok(Some(name.as_str().into())),
            Some(_) => Err(invalid("region", "text of at most 64 bytes")),
        }
    }

    /// The required properties as one text that is equal exactly when they are. An absent one equals an absent one.
    fn required(&self, properties: &Map<String, Value>) -> Result<Arc<str>, AddRefused> {
        let mut canonical = String::new();
        for name in &self.require {
            let text = match properties.get(name) {
                None => String::new(),
                Some(Value::Array(_) | Value::Object(_)) => return Err(invalid(name, "text, a number or a boolean")),
                Some(value) => value.to_string(),
            };
            if text.len() > REQUIRE_BYTES_MAX {
                return Err(invalid(name, "at most 256 bytes"));
            }
            // JSON text holds no raw line feed, so it cannot forge a boundary.
            canonical.push_str(&text);
            canonical.push('\n');
        }
        Ok(canonical.into())
    }

    /// The widest differences of `ranges`, in the order of their names, in thousandths.
    pub(crate) fn range_limits(&self) -> impl Iterator<Item = i64> {
        self.ranges.values().map(|&limit| i64::from(limit) * THOUSANDTHS)
    }

    /// The widest difference on the strategy's line when the longest waiter waited this long.
    pub(crate) fn window(&self, waited_ms: u64) -> i64 {
        (self.strategy.window)(self, waited_ms)
    }

    /// After how long a ticket takes any region.
    pub(crate) fn any_region_after_ms(&self) -> Option<u64> {
        match self.region {
            Region::Ignore => Some(0),
            Region::Require => None,
            Region::Prefer => Some(self.expire_ms.map_or(PREFER_WITHOUT_EXPIRY_MS, |expire_ms| expire_ms / 2)),
        }
    }

    /// After how much waiting, beyond `waited_ms`, a ticket could be matched with somebody it could not be before.
    pub(crate) fn next_change_ms(&self, waited_ms: u64) -> Option<u64> {
        let later = |at: Option<u64>| at.filter(|&at_ms| at_ms > waited_ms);
        // Only `skill` widens; asking the strategy keeps that knowledge out of here.
        let widens = self.window(waited_ms) != self.window(u64::MAX);
        let step = if widens { self.widening.next_step_ms(waited_ms) } else { None };
        [step, later(self.any_region_after_ms()), later(self.bots_after_ms)].into_iter().flatten().min()
    }
}

fn invalid(name: &str, expected: &'static str) -> AddRefused {
    AddRefused::PropertyInvalid { name: name.into(), expected }
}

/// A number within +-10^12 as thousandths.
fn thousandths(name: &str, value: &Value) -> Result<i64, AddRefused> {
    let number = value.as_f64().filter(|number| number.abs() <= 1e12);
    let number = number.ok_or_else(|| invalid(name, "a number within +-10^12"))?;
    // Within 10^15 after scaling, where f64 still holds every integer.
    Ok((number * THOUSANDTHS as f64).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table(text: &str) -> Matchmaking {
        toml::from_str(text).expect("a matchmaking table")
    }

    #[test]
    fn every_fault_of_a_table_is_named_at_once() {
        let check = |text: &str, expected: &[&str]| {
            let faults = Rules::new(&table(text), Players { min: 2, max: 8 }).err().unwrap_or_default();
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            assert_eq!(faults, expected, "{text}");
        };
        check("", &[]);
        check("strategy = 'skill'\nteams = [2, 2]\nsize = 4", &[]);
        check(
            "strategy = 'elo'\nsize = 9",
            &[
                "matchmaking.strategy: expected one of fill, skill, not \"elo\"",
                "matchmaking.size: expected 2 to 8 players, the mode's own bounds, not 9",
            ],
        );
        check("teams = [3, 0]", &["matchmaking.teams: expected at least one seat"]);
        check("teams = [2, 2]\nsize = 5", &["matchmaking.size: expected 4, the sum of teams, or nothing"]);
        check(
            "teams = [4294967295, 2]",
            &["matchmaking.teams: expected 2 to 8 players, the mode's own bounds, not 4294967295"],
        );
    }

    #[test]
    fn properties_are_read_by_the_rules_that_need_them() {
        let rules = |text: &str| Rules::new(&table(text), Players { min: 2, max: 8 }).expect("good rules");
        let read = |rules: &Rules, properties: Value| rules.traits(properties.as_object().expect("an object"));

        let skill = rules("strategy = 'skill'");
        assert_eq!(read(&skill, json!({"skill": 1500.5})).map(|t| t.skill), Ok(1_500_500));
        assert_eq!(read(&skill, json!({})).map(|t| t.skill), Ok(0), "a newcomer without a skill is not turned away");
        assert_eq!(
            read(&skill, json!({"skill": "high"})),
            Err(AddRefused::PropertyInvalid { name: "skill".into(), expected: "a number within +-10^12" })
        );
        assert_eq!(read(&rules(""), json!({"skill": "high"})), Ok(Traits::default()), "fill does not look at skill");

        let strict = rules("region = 'require'\nrequire = ['map', 'build']\nranges = { ping = 50 }");
        let traits = read(&strict, json!({"region": "eu", "map": "a", "ping": 12}));
        let expected =
            Traits { skill: 0, region: Some("eu".into()), ranges: vec![12_000], require: "\"a\"\n\n".into() };
        assert_eq!(traits, Ok(expected));
        let missing = |name: &str| Err(AddRefused::PropertyMissing(name.into()));
        assert_eq!(read(&strict, json!({"ping": 1})), missing("region"));
        assert_eq!(read(&strict, json!({"region": "eu"})), missing("ping"));
        assert!(read(&strict, json!({"region": "eu", "ping": 1, "map": ["a"]})).is_err());
        assert!(read(&strict, json!({"region": "x".repeat(65), "ping": 1})).is_err());
    }
}
