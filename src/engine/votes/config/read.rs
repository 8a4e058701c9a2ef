//! From JSON to a configuration, key by key; what cannot be read stands at its default and is a fault.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::faults::{Faults, kind};
use super::{Act, Fault, Spectators, Turn, TurnDefault, VoteConfig, VoteOption};
use crate::engine::votes::input::BallotInput;
use crate::engine::votes::methods;
use crate::engine::votes::ties::TieBreak;
use crate::ids::PlayerId;
use crate::limits::{VOTE_OPTIONS_MAX, VOTE_TURNS_MAX};

impl VoteConfig {
    /// Reads every key; what cannot be read stands at its default and is a fault.
    pub(in crate::engine::votes) fn read(map: &Map<String, Value>) -> (Self, Vec<Fault>) {
        let mut config = Self::default();
        let mut faults = Faults::default();
        let method_given = map.get("method").and_then(Value::as_str).and_then(methods::method);
        if method_given.is_some_and(|method| method.name == "motion") {
            config.options = ["yes", "no", "abstain"].map(|id| VoteOption { id: id.into(), label: id.into() }).into();
        }
        for (key, value) in map {
            if value.is_null() {
                continue; // a Lua or JSON caller's way to say "not given"
            }
            config.read_key(key, value, &mut faults);
        }
        (config, faults.0)
    }

    fn read_key(&mut self, key: &str, value: &Value, faults: &mut Faults) {
        match key {
            "template" => faults.string(key, value, &mut self.template),
            "vote_id" => match value.as_str().map(str::parse) {
                Some(Ok(id)) => self.vote_id = Some(id),
                _ => faults.add(key, "expected 1 to 64 of letters, digits, '_', '.', ':' and '-'"),
            },
            "options" => self.options = read_options(value, faults),
            "method" => faults.string(key, value, &mut self.method),
            "window_ms" => faults.integer(key, value, &mut self.window_ms),
            "window_type" => faults.word(key, value, &mut self.window_type),
            "min_window_ms" => faults.integer(key, value, &mut self.min_window_ms),
            "grace_ms" => faults.integer(key, value, &mut self.grace_ms),
            "visibility" => faults.word(key, value, &mut self.visibility),
            "tie_break" => read_tie_break(value, &mut self.tie_break, faults),
            "seats" => faults.integer(key, value, &mut self.seats),
            "max_choices" => {
                let mut most = 1;
                faults.integer(key, value, &mut most);
                self.max_choices = Some(most);
            }
            "elimination" => faults.word(key, value, &mut self.elimination),
            "strength" => faults.word(key, value, &mut self.strength),
            "truncated" => faults.word(key, value, &mut self.truncated),
            "max" => faults.integer(key, value, &mut self.max),
            "allow_blank" => faults.boolean(key, value, &mut self.allow_blank),
            "max_revotes" => faults.integer(key, value, &mut self.max_revotes),
            "veto_enabled" => faults.boolean(key, value, &mut self.veto_enabled),
            "veto_threshold" => faults.integer(key, value, &mut self.veto_threshold),
            "weights" => {
                self.weights = read_players(key, value, faults, |path, value, faults| {
                    let mut weight = 1;
                    faults.integer(path, value, &mut weight);
                    Some(weight)
                });
            }
            "quorum_bp" => faults.integer(key, value, &mut self.quorum_bp),
            "supermajority_bp" => faults.integer(key, value, &mut self.supermajority_bp),
            "require_supermajority" => faults.boolean(key, value, &mut self.require_supermajority),
            "close_on_quorum" => faults.boolean(key, value, &mut self.close_on_quorum),
            "spectators" => self.spectators = read_spectators(value, faults),
            "spectator_share_bp" => faults.integer(key, value, &mut self.spectator_share_bp),
            "default_votes" => {
                // Any JSON is a ballot of some shape; whether it is one of this vote is checked with the rest.
                self.default_votes =
                    read_players(key, value, faults, |_, value, _| BallotInput::deserialize(value).ok());
            }
            "delegation" => {
                self.delegation = read_players(key, value, faults, |path, value, faults| {
                    let delegate = value.as_str().and_then(|text| text.parse().ok());
                    if delegate.is_none() {
                        faults.add(path, "expected a player id");
                    }
                    delegate
                });
            }
            "late_join" => faults.word(key, value, &mut self.late_join),
            "concurrent" => faults.boolean(key, value, &mut self.concurrent),
            "fallback" => faults.string(key, value, self.fallback.insert(String::new())),
            "threshold_bp" => faults.integer(key, value, &mut self.threshold_bp),
            "basis" => faults.word(key, value, &mut self.basis),
            "caller_cooldown_s" => faults.integer(key, value, &mut self.caller_cooldown_s),
            "failed_cooldown_s" => faults.integer(key, value, &mut self.failed_cooldown_s),
            "exclude_target" => faults.boolean(key, value, &mut self.exclude_target),
            "on_pass" => faults.word(key, value, &mut self.on_pass),
            "target" => match value.as_str().map(str::parse) {
                Some(Ok(id)) => self.target = Some(id),
                _ => faults.add(key, "expected a player id"),
            },
            "turns" => self.turns = read_turns(value, faults),
            unknown => faults.unknown(unknown, "key", unknown, KEYS.iter().copied()),
        }
    }
}

/// Every key that [`VoteConfig::read_key`] knows; a test holds the two together.
pub(in crate::engine::votes) const KEYS: &[&str] = &[
    "template",
    "vote_id",
    "options",
    "method",
    "window_ms",
    "window_type",
    "min_window_ms",
    "grace_ms",
    "visibility",
    "tie_break",
    "seats",
    "max_choices",
    "elimination",
    "strength",
    "truncated",
    "max",
    "allow_blank",
    "max_revotes",
    "veto_enabled",
    "veto_threshold",
    "weights",
    "quorum_bp",
    "supermajority_bp",
    "require_supermajority",
    "close_on_quorum",
    "spectators",
    "spectator_share_bp",
    "default_votes",
    "delegation",
    "late_join",
    "concurrent",
    "fallback",
    "threshold_bp",
    "basis",
    "caller_cooldown_s",
    "failed_cooldown_s",
    "exclude_target",
    "on_pass",
    "target",
    "turns",
];

fn read_options(value: &Value, faults: &mut Faults) -> Vec<VoteOption> {
    let Some(list) = value.as_array() else {
        faults.add("options", format!("expected a list of options, got {}", kind(value)));
        return Vec::new();
    };
    let mut options = Vec::with_capacity(list.len().min(VOTE_OPTIONS_MAX));
    for (i, entry) in list.iter().enumerate() {
        let path = format!("options[{i}]");
        match entry {
            Value::String(id) => options.push(VoteOption { id: id.clone(), label: id.clone() }),
            Value::Object(fields) => {
                let mut id = None;
                let mut label = None;
                for (key, field) in fields {
                    let slot = match key.as_str() {
                        "id" => &mut id,
                        "label" => &mut label,
                        unknown => {
                            faults.unknown(&format!("{path}.{unknown}"), "key", unknown, ["id", "label"].into_iter());
                            continue;
                        }
                    };
                    faults.string(&format!("{path}.{key}"), field, slot.insert(String::new()));
                }
                match id {
                    Some(id) => options.push(VoteOption { label: label.unwrap_or_else(|| id.clone()), id }),
                    None => faults.add(format!("{path}.id"), "is missing"),
                }
            }
            other => faults.add(path, format!("expected a string or {{id, label}}, got {}", kind(other))),
        }
    }
    options
}

fn read_tie_break(value: &Value, chain: &mut Vec<TieBreak>, faults: &mut Faults) {
    let one = std::slice::from_ref(value);
    let words = value.as_array().map_or(one, Vec::as_slice);
    chain.clear();
    for (i, word) in words.iter().enumerate() {
        let path = if value.is_array() { format!("tie_break[{i}]") } else { "tie_break".into() };
        let mut read = TieBreak::SeededLot;
        faults.word(&path, word, &mut read);
        chain.push(read);
    }
}

fn read_spectators(value: &Value, faults: &mut Faults) -> Spectators {
    match value {
        Value::Bool(all) => Spectators::Match(*all),
        Value::Array(list) => {
            let mut ids = Vec::with_capacity(list.len());
            for (i, entry) in list.iter().enumerate() {
                match entry.as_str().map(str::parse) {
                    Some(Ok(id)) => ids.push(id),
                    _ => faults.add(format!("spectators[{i}]"), "expected a player id"),
                }
            }
            Spectators::List(ids)
        }
        other => {
            faults.add("spectators", format!("expected true or a list of ids, got {}", kind(other)));
            Spectators::None
        }
    }
}

fn read_players<T>(
    key: &str,
    value: &Value,
    faults: &mut Faults,
    mut read: impl FnMut(&str, &Value, &mut Faults) -> Option<T>,
) -> BTreeMap<PlayerId, T> {
    let mut players = BTreeMap::new();
    // An empty Lua table is an empty list in JSON: it holds no player either way.
    if value.as_array().is_some_and(Vec::is_empty) {
        return players;
    }
    let Some(map) = value.as_object() else {
        faults.add(key, format!("expected a map by player id, got {}", kind(value)));
        return players;
    };
    for (id, entry) in map {
        let path = format!("{key}.{id}");
        match id.parse() {
            Ok(player) => {
                if let Some(read) = read(&path, entry, faults) {
                    players.insert(player, read);
                }
            }
            Err(error) => faults.add(path, error.to_string()),
        }
    }
    players
}

fn read_turns(value: &Value, faults: &mut Faults) -> Vec<Turn> {
    let Some(list) = value.as_array() else {
        faults.add("turns", format!("expected a list of turns, got {}", kind(value)));
        return Vec::new();
    };
    let mut turns = Vec::with_capacity(list.len().min(VOTE_TURNS_MAX));
    for (i, entry) in list.iter().enumerate() {
        let path = |key: &str| format!("turns[{i}].{key}");
        let Some(fields) = entry.as_object() else {
            faults
                .add(format!("turns[{i}]"), format!("expected {{who, act, window_ms, default}}, got {}", kind(entry)));
            continue;
        };
        let mut who = None;
        let mut act = None;
        let mut window_ms = 15_000;
        let mut default = TurnDefault::Random;
        for (key, field) in fields {
            match key.as_str() {
                "who" => match field.as_str().map(str::parse) {
                    Some(Ok(read)) => who = Some(read),
                    _ => faults.add(path(key), "expected a player id, team:N or captain:N"),
                },
                "act" => faults.word(&path(key), field, act.insert(Act::Ban)),
                "window_ms" => faults.integer(&path(key), field, &mut window_ms),
                "default" => faults.word(&path(key), field, &mut default),
                unknown => {
                    let known = ["who", "act", "window_ms", "default"];
                    faults.unknown(&path(unknown), "key", unknown, known.into_iter());
                }
            }
        }
        if who.is_none() && !fields.contains_key("who") {
            faults.add(path("who"), "is missing");
        }
        if act.is_none() {
            faults.add(path("act"), "is missing");
        }
        if let (Some(who), Some(act)) = (who, act) {
            turns.push(Turn { who, act, window_ms, default });
        }
    }
    turns
}
