//! Motions: votes that players call themselves, where the mode lets them, and not too often.
//!
//! A motion is a template: a built-in one, changed or added to by `[motions.NAME]` key by key, or any vote template
//! that the mode lists. What is left of the rules is here: who waits how long before calling again.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::config::{Fault, LateJoin, OnPass, Templates, VoteConfig};
use super::draft::Teams;
use crate::ids::PlayerId;

/// The motions that exist without being configured, and how each differs from a vote's defaults.
pub fn builtin(name: &str) -> Option<Map<String, Value>> {
    let keys = match name {
        // Everyone but the target is asked: three friends who are fast enough must not outvote a sleeping majority.
        "kick" => json!({"on_pass": "kick", "exclude_target": true, "basis": "eligible"}),
        "surrender" => json!({"on_pass": "surrender", "basis": "eligible"}),
        "rematch" => json!({"on_pass": "rematch", "basis": "eligible", "caller_cooldown_s": 10}),
        "extend" => json!({"on_pass": "extend", "basis": "cast"}),
        _ => return None,
    };
    let mut motion = json!({
        "method": "motion",
        "window_type": "ready_up",
        "caller_cooldown_s": 30,
        "failed_cooldown_s": 60,
    });
    let (Value::Object(motion), Value::Object(keys)) = (&mut motion, keys) else { return None };
    motion.extend(keys);
    Some(std::mem::take(motion))
}

/// The template of a motion: the built-in one with the configured keys over it, or a vote template of that name.
pub fn template(name: &str, configured: &Templates, votes: &Templates) -> Option<Map<String, Value>> {
    let Some(mut motion) = builtin(name).or_else(|| configured.get(name).map(|_| Map::new())) else {
        return votes.get(name).cloned();
    };
    motion.extend(configured.get(name).cloned().unwrap_or_default());
    motion.entry("method").or_insert_with(|| "motion".into());
    Some(motion)
}

/// A player's `vote.call`, and the match it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Who calls.
    pub caller: PlayerId,
    /// Which motion.
    pub name: &'a str,
    /// What it is about.
    pub args: Option<&'a Map<String, Value>>,
    /// The players of the match.
    pub seated: &'a [PlayerId],
    /// Its teams, by number.
    pub teams: &'a Teams,
}

/// A call that may be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// The vote's rules.
    pub config: VoteConfig,
    /// Who may vote, where that is not everybody seated: the side that would give up.
    pub electorate: Option<Vec<PlayerId>>,
    /// Who called it.
    pub called_by: PlayerId,
    /// What they said beside it.
    pub args: Option<Value>,
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallRefusal {
    /// The mode does not let players call it, or there is no such motion.
    #[error("players may not call this here")]
    NotAllowed,
    /// It is too early; `retry_ms` says how much.
    #[error("too early by {retry_ms} ms")]
    Cooldown {
        /// Until it may be called.
        retry_ms: u64,
    },
    /// A vote of its template is open.
    #[error("one is open already")]
    AlreadyOpen,
    /// Something in `args` is missing or wrong.
    #[error("{field}: expected {expected}")]
    BadArgs {
        /// Which, as `args.target`.
        field: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// The motion's own configuration is at fault, which its author has to mend.
    #[error("the motion cannot be opened: {0:?}")]
    BadTemplate(Vec<Fault>),
}

/// The motions of one match and when each was last called.
#[derive(Debug, Clone, Default)]
pub struct Motions {
    allowed: BTreeMap<String, Map<String, Value>>,
    /// When a caller may call a template again.
    callers: BTreeMap<(PlayerId, String), u64>,
    /// When a motion about somebody, or about nobody, that failed may be called again.
    failed: BTreeMap<(String, Option<PlayerId>), u64>,
}

impl Motions {
    /// The motions that a mode allows, by name; names without a template are left out.
    pub fn new(allowed: &[String], configured: &Templates, votes: &Templates) -> Self {
        let known = |name: &String| template(name, configured, votes).map(|keys| (name.clone(), keys));
        Self { allowed: allowed.iter().filter_map(known).collect(), ..Self::default() }
    }

    /// What opening this call would be; nothing has happened yet. `open` says whether a vote of a template is open.
    ///
    /// # Errors
    /// A [`CallRefusal`].
    pub fn call(&self, call: &Call<'_>, open: impl Fn(&str) -> bool, now_ms: u64) -> Result<Called, CallRefusal> {
        let &Call { caller, name, args, seated, teams } = call;
        let keys = self.allowed.get(name).filter(|_| seated.contains(&caller)).ok_or(CallRefusal::NotAllowed)?;
        let (mut config, faults) = VoteConfig::read(keys);
        if !faults.is_empty() {
            return Err(CallRefusal::BadTemplate(faults));
        }
        name.clone_into(&mut config.template);
        if open(name) && !config.concurrent {
            return Err(CallRefusal::AlreadyOpen);
        }
        let target = args.and_then(|args| args.get("target")).filter(|target| !target.is_null());
        if let Some(target) = target {
            let target = target.as_str().and_then(|id| id.parse().ok()).filter(|id| seated.contains(id));
            config.target = Some(target.ok_or(BAD_TARGET)?);
        }
        if config.on_pass == OnPass::Kick && config.target.is_none_or(|target| target == caller) {
            return Err(BAD_TARGET);
        }
        let until = [self.callers.get(&(caller, name.to_owned())), self.failed.get(&(name.to_owned(), config.target))];
        if let Some(until) = until.into_iter().flatten().max().filter(|until| **until > now_ms) {
            return Err(CallRefusal::Cooldown { retry_ms: until - now_ms });
        }
        let faults = config.check(super::config::Roll::default());
        if !faults.is_empty() {
            return Err(CallRefusal::BadTemplate(faults));
        }
        let side = teams.values().find(|team| team.contains(&caller)).filter(|_| config.on_pass == OnPass::Surrender);
        if side.is_some() {
            // Whoever comes in later is not of that side.
            config.late_join = LateJoin::Observe;
        }
        Ok(Called { electorate: side.cloned(), called_by: caller, args: args.cloned().map(Value::Object), config })
    }

    /// A call was opened at `now_ms`: its caller waits before calling it again.
    pub fn opened(&mut self, called: &Called, now_ms: u64) {
        let wait_ms = u64::from(called.config.caller_cooldown_s) * 1_000;
        if wait_ms > 0 {
            self.callers.insert((called.called_by, called.config.template.clone()), now_ms.saturating_add(wait_ms));
        }
    }

    /// A called vote closed: one that did not pass waits before anybody may call it again.
    pub fn closed(&mut self, config: &VoteConfig, passed: bool, now_ms: u64) {
        let wait_ms = u64::from(config.failed_cooldown_s) * 1_000;
        if !passed && wait_ms > 0 {
            // What is over is forgotten here, so that a long match remembers only what still matters.
            self.failed.retain(|_, until| *until > now_ms);
            self.callers.retain(|_, until| *until > now_ms);
            self.failed.insert((config.template.clone(), config.target), now_ms.saturating_add(wait_ms));
        }
    }
}

const BAD_TARGET: CallRefusal =
    CallRefusal::BadArgs { field: "args.target", expected: "the id of another player in the match" };

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> PlayerId {
        PlayerId::from_u128(u128::from(n))
    }

    /// A match of four that allows everything there is.
    fn motions(configured: Value) -> Motions {
        let read = |value: &Value| -> Templates {
            let map = value.as_object().cloned().unwrap_or_default();
            map.into_iter().map(|(name, keys)| (name, keys.as_object().cloned().unwrap_or_default())).collect()
        };
        let votes = json!({"map_vote": {"options": ["a", "b"]}});
        let names = ["kick", "surrender", "rematch", "extend", "nominate", "map_vote", "nothing"].map(String::from);
        Motions::new(&names, &read(&configured), &read(&votes))
    }

    fn call(motions: &Motions, caller: u8, name: &str, args: Value, now_ms: u64) -> Result<Called, CallRefusal> {
        let seated = [1, 2, 3, 4].map(id);
        let teams = [(1, vec![id(1), id(2)]), (2, vec![id(3), id(4)])].into();
        let call = Call { caller: id(caller), name, args: args.as_object(), seated: &seated, teams: &teams };
        motions.call(&call, |open| open == "extend", now_ms)
    }

    #[test]
    fn who_may_call_what() {
        let motions = motions(json!({"nominate": {"on_pass": "game", "threshold_bp": 6_667}}));
        let (two, stranger) = (json!({"target": id(2).to_string()}), json!({"target": id(9).to_string()}));
        for (caller, name, args, expected) in [
            (1, "kick", two.clone(), "ok"),
            (1, "kick", json!({}), "args.target: expected the id of another player in the match"),
            (2, "kick", two.clone(), "args.target: expected the id of another player in the match"),
            (1, "kick", stranger, "args.target: expected the id of another player in the match"),
            (1, "kick", json!({"target": 7}), "args.target: expected the id of another player in the match"),
            (9, "kick", two, "players may not call this here"),
            (1, "nothing", json!({}), "players may not call this here"),
            (1, "unheard_of", json!({}), "players may not call this here"),
            (1, "extend", json!({}), "one is open already"),
            (1, "rematch", json!({}), "ok"),
            (1, "nominate", json!({"option": "volcano"}), "ok"),
            (1, "map_vote", json!(null), "ok"),
        ] {
            let got = call(&motions, caller, name, args.clone(), 0)
                .map_or_else(|refusal| refusal.to_string(), |_| "ok".into());
            assert_eq!(got, expected, "{caller} {name} {args}");
        }
    }

    #[test]
    fn what_is_configured_changes_what_is_built_in_key_by_key() {
        let motions = motions(json!({"kick": {"threshold_bp": 8_000}, "nominate": {}}));
        let kick = call(&motions, 1, "kick", json!({"target": id(2).to_string()}), 0).unwrap();
        assert_eq!((kick.config.threshold_bp, kick.config.on_pass), (8_000, OnPass::Kick));
        assert!(kick.config.exclude_target && kick.config.target == Some(id(2)));
        assert_eq!(kick.config.template, "kick");
        let nominate = call(&motions, 1, "nominate", json!({"option": "volcano"}), 0).unwrap();
        assert_eq!((nominate.config.method.as_str(), nominate.config.on_pass), ("motion", OnPass::Game));
        assert_eq!(nominate.args, Some(json!({"option": "volcano"})));
        assert_eq!(call(&motions, 1, "map_vote", json!({}), 0).unwrap().config.options.len(), 2);
    }

    #[test]
    fn a_side_gives_up_by_itself() {
        let motions = motions(json!({}));
        assert_eq!(call(&motions, 3, "surrender", json!({}), 0).unwrap().electorate, Some(vec![id(3), id(4)]));
        assert_eq!(call(&motions, 3, "rematch", json!({}), 0).unwrap().electorate, None);
    }

    #[test]
    fn a_caller_waits_and_a_motion_that_failed_waits_longer() {
        let mut motions = motions(json!({}));
        let target = |n: u8| json!({"target": id(n).to_string()});
        let wait = |motions: &Motions, caller, about, now_ms| match call(motions, caller, "kick", target(about), now_ms)
        {
            Ok(_) => 0,
            Err(CallRefusal::Cooldown { retry_ms }) => retry_ms,
            Err(other) => panic!("{other}"),
        };
        let called = call(&motions, 1, "kick", target(2), 0).unwrap();
        motions.opened(&called, 1_000);
        assert_eq!(wait(&motions, 1, 3, 1_500), 29_500, "the caller waits, whoever it is about");
        assert_eq!(wait(&motions, 4, 2, 1_500), 0, "nobody else does");
        motions.closed(&called.config, false, 10_000);
        assert_eq!(wait(&motions, 4, 2, 12_000), 58_000, "it failed: nobody calls it about the same player");
        assert_eq!(wait(&motions, 4, 3, 12_000), 0, "about another one they may");
        assert_eq!(wait(&motions, 1, 2, 70_000), 0);
        motions.opened(&called, 70_000);
        motions.closed(&called.config, true, 80_000);
        assert_eq!(wait(&motions, 4, 2, 80_000), 0, "it passed");
    }
}
