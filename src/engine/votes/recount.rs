//! Recounting: from an audit record back to the result that was broadcast, trusting nothing in the file.
//!
//! Checked in the order of the file's story, so that the first thing that is wrong is what is named: the rules, who
//! could vote, the seed, every cast with its receipt, the turns of a draft, and at last the result itself. A record
//! may come from anywhere: whatever is in it, reading it neither panics nor runs away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::audit::{self, Hash, LeafBallot, Tree};
use super::ballot::{Ballot, BallotRules};
use super::cast::{ballot, ballot_json, ballot_of_json};
use super::config::{Visibility, VoteConfig};
use super::draft::DraftOutcome;
use super::parts::sort_groups;
use super::pools::{Group, Pool, Turnout, Weigh, groups};
use super::record::{AuditRecord, EndEntry, SealedCasts};
use super::result::{End, Facts, VoteResult, result};
use super::vote::check_weights;
use crate::ids::PlayerId;
use crate::limits::VOTE_RECORD_BYTES_MAX;

/// What a record comes to.
#[derive(Debug, Clone)]
pub struct Recount {
    /// The result as it follows from the record.
    pub result: VoteResult,
    /// Its payload: the bytes of `match.vote_result`.
    pub payload: String,
    /// How many casts were checked against their receipts.
    pub casts: usize,
    /// Whether the recorded result is another one, and where it first differs.
    pub disagrees: Option<Broken>,
}

/// The first entry of a record that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry}: {message}")]
pub struct Broken {
    /// Which, as `casts[3].receipt`.
    pub entry: String,
    /// What was expected and what is there.
    pub message: String,
}

fn broken<T>(entry: impl Into<String>, message: impl Into<String>) -> Result<T, Broken> {
    Err(Broken { entry: entry.into(), message: message.into() })
}

/// Recounts a record.
///
/// # Errors
/// The first entry from which no result follows.
pub fn recount(text: &str) -> Result<Recount, Broken> {
    if text.len() > VOTE_RECORD_BYTES_MAX {
        return broken("file", format!("expected at most {VOTE_RECORD_BYTES_MAX} bytes, got {}", text.len()));
    }
    let record: AuditRecord = match serde_json::from_str(text) {
        Ok(record) => record,
        Err(error) => return broken("file", error.to_string()),
    };
    if record.format != audit::FORMAT {
        let shown: String = record.format.chars().take(64).collect();
        return broken("format", format!("expected {:?}, got {shown:?}", audit::FORMAT));
    }
    let config = read_config(&record.config)?;
    let Some(method) = config.method() else { return broken("config.method", "is not in the table") };
    let rules = config.ballot_rules(method);

    check_roll(&record, &config)?;
    if audit::seed_commit(&record.seed) != record.seed_commit {
        return broken("seed", "is not the one that was committed to");
    }
    let checked = match (&record.casts, &record.sealed, config.visibility) {
        (Some(_), None, Visibility::Live | Visibility::Hidden) => open_casts(&record, &config, &rules)?,
        (None, Some(sealed), Visibility::Secret) => sealed_casts(sealed, &record, &config, &rules)?,
        (_, _, Visibility::Secret) => {
            return broken("sealed", "expected the sealed casts of a secret vote and no others");
        }
        _ => return broken("casts", "expected the casts of the vote and no sealed ones"),
    };
    let end = match &record.end {
        EndEntry::Counted { .. } => End::Counted,
        EndEntry::Cancelled { reason } => End::Cancelled { reason: reason.clone() },
        EndEntry::Vetoed { by } => {
            let players: BTreeSet<_> = record.eligible.iter().chain(&record.late).collect();
            let enough = by.iter().filter(|player| players.contains(player)).collect::<BTreeSet<_>>().len();
            if !config.veto_enabled || enough < config.veto_threshold as usize {
                return broken("end", "expected as many eligible players as a veto needs");
            }
            End::Vetoed
        }
    };
    let draft = match (&record.turns, config.is_draft()) {
        (Some(_), true) => Some(replay(&record, &config, &checked, end == End::Counted)?),
        (None, false) => None,
        _ => return broken("turns", "expected the turns of a draft, and of a draft only"),
    };
    let derived = result(&Facts {
        vote_id: &record.vote_id,
        config: &config,
        method,
        seed: record.seed,
        eligible: (record.eligible.len() + record.late.len()) as u64,
        turnout: checked.turnout,
        groups: if draft.is_some() || end != End::Counted { &[] } else { &checked.groups },
        unit: Weigh { losses: BTreeMap::new(), bonus_bp: record.frustration_bonus_bp }.unit(),
        root: Tree::of(checked.receipts.iter().copied()).root(),
        end: &end,
        draft: draft.as_ref(),
        args: record.args.as_ref(),
    });
    let payload = derived.to_json();
    let disagrees = difference(&payload, record.result.get());
    Ok(Recount { result: derived, payload, casts: checked.receipts.len(), disagrees })
}

/// What the casts of a record come to.
struct Checked {
    receipts: Vec<Hash>,
    /// Voter and ballot of each cast, in order; empty where casts are sealed.
    casts: Vec<(PlayerId, Ballot)>,
    groups: Vec<Group>,
    turnout: Turnout,
}

fn read_config(value: &Value) -> Result<VoteConfig, Broken> {
    let Some(map) = value.as_object() else { return broken("config", "expected an object") };
    let mut faults = match VoteConfig::from_map(map, &BTreeMap::new()) {
        Ok(config) => {
            let mut faults = Vec::new();
            check_weights(&config, &Weigh::default(), &mut faults);
            if faults.is_empty() {
                return Ok(config);
            }
            faults
        }
        Err(faults) => faults,
    };
    let first = faults.swap_remove(0);
    broken(format!("config.{}", first.path), first.message)
}

fn check_roll(record: &AuditRecord, config: &VoteConfig) -> Result<(), Broken> {
    if audit::eligible_hash(&record.eligible) != record.eligible_hash {
        return broken("eligible", "is not the list whose hash was announced");
    }
    let mut seen = BTreeSet::new();
    for (list, ids) in [("eligible", &record.eligible), ("late", &record.late), ("spectators", &record.spectators)] {
        if let Some(at) = ids.iter().position(|id| !seen.insert(*id)) {
            return broken(format!("{list}[{at}]"), "is there twice");
        }
    }
    let mut faults = Vec::new();
    let weigh = Weigh { losses: record.losses.clone(), bonus_bp: record.frustration_bonus_bp };
    check_weights(config, &weigh, &mut faults);
    match faults.pop() {
        Some(fault) => broken("frustration_bonus_bp", fault.message),
        None => Ok(()),
    }
}

fn open_casts(record: &AuditRecord, config: &VoteConfig, rules: &BallotRules) -> Result<Checked, Broken> {
    let entries = record.casts.as_deref().unwrap_or_default();
    let voters: BTreeSet<_> = record.eligible.iter().chain(&record.late).chain(&record.spectators).collect();
    let mut revisions: BTreeMap<PlayerId, u32> = BTreeMap::new();
    let mut last: BTreeMap<PlayerId, Arc<Ballot>> = BTreeMap::new();
    let mut receipts = Vec::with_capacity(entries.len());
    let mut casts = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let here = |key: &str| format!("casts[{at}].{key}");
        if entry.seq != at as u64 {
            return broken(here("seq"), format!("expected {at}, got {}", entry.seq));
        }
        let said = LeafBallot::Open(entry.ballot.clone());
        let leaf = audit::leaf(&audit::leaf_text(&record.vote_id, entry.seq, entry.voter, entry.revision, &said));
        if leaf != entry.receipt {
            return broken(format!("casts[{at}]"), format!("its receipt is {leaf}, recorded is {}", entry.receipt));
        }
        if !voters.contains(&entry.voter) {
            return broken(here("voter"), format!("{} could not vote", entry.voter));
        }
        let revision = revisions.entry(entry.voter).or_default();
        *revision += 1;
        if entry.revision != *revision {
            return broken(here("revision"), format!("expected {revision}, got {}", entry.revision));
        }
        if !config.is_draft() && *revision > config.max_revotes.saturating_add(1) {
            return broken(here("revision"), format!("expected at most {} changes", config.max_revotes));
        }
        let ballot = match ballot_of_json(&entry.ballot, &config.options, rules) {
            Ok(ballot) => ballot,
            Err(fault) => return broken(here("ballot"), fault.to_string()),
        };
        if ballot_json(&ballot, &config.options) != entry.ballot {
            return broken(here("ballot"), "is not in the form that ballots are recorded in");
        }
        receipts.push(entry.receipt);
        if config.is_draft() {
            casts.push((entry.voter, ballot.clone()));
        }
        last.insert(entry.voter, Arc::new(ballot));
    }
    let defaults = config
        .default_votes
        .iter()
        .filter_map(|(player, input)| Some((*player, Arc::new(ballot(input, &config.options, rules).ok()?))))
        .collect();
    let players: Vec<PlayerId> = record.eligible.iter().chain(&record.late).copied().collect();
    let weigh = Weigh { losses: record.losses.clone(), bonus_bp: record.frustration_bonus_bp };
    let (groups, turnout) = groups(config, &weigh, &players, &record.spectators, &last, &defaults);
    Ok(Checked { receipts, casts, groups, turnout })
}

fn sealed_casts(
    sealed: &SealedCasts,
    record: &AuditRecord,
    config: &VoteConfig,
    rules: &BallotRules,
) -> Result<Checked, Broken> {
    let players = (record.eligible.len() + record.late.len()) as u64;
    let cast = sealed.cast;
    if cast.players > players || cast.spectators > record.spectators.len() as u64 {
        return broken("sealed.cast", "more have cast than could vote");
    }
    if cast.players.saturating_add(cast.spectators) > sealed.receipts.len() as u64 {
        return broken("sealed.receipts", "there are fewer of them than voters");
    }
    if matches!(record.end, EndEntry::Counted { .. }) && sealed.receipts.is_empty() != (cast == Turnout::default()) {
        return broken("sealed.receipts", "expected some where somebody cast, and none where nobody did");
    }
    let mut groups = Vec::with_capacity(sealed.groups.len());
    let mut ballots = Turnout::default();
    for (at, entry) in sealed.groups.iter().enumerate() {
        let here = |key: &str| format!("sealed.groups[{at}].{key}");
        let ballot = match ballot_of_json(&entry.ballot, &config.options, rules) {
            Ok(ballot) if ballot_json(&ballot, &config.options) == entry.ballot => ballot,
            Ok(_) => return broken(here("ballot"), "is not in the form that ballots are recorded in"),
            Err(fault) => return broken(here("ballot"), fault.to_string()),
        };
        if entry.ballots == 0 {
            return broken(here("ballots"), "expected at least 1, got 0");
        }
        let of_pool = match entry.pool {
            Pool::Players => &mut ballots.players,
            Pool::Spectators => &mut ballots.spectators,
        };
        *of_pool = of_pool.saturating_add(entry.ballots);
        groups.push(Group {
            pool: entry.pool,
            ballot: Arc::new(ballot),
            ballots: entry.ballots,
            weight: entry.weight.into(),
        });
    }
    let mut sorted = groups.clone();
    sort_groups(config, &mut sorted);
    if let Some(at) = (0..groups.len()).find(|at| groups[*at] != sorted[*at]) {
        return broken(format!("sealed.groups[{at}]"), "is out of order");
    }
    if let Some(at) = (1..groups.len()).find(|at| {
        let (a, b) = (&groups[at - 1], &groups[*at]);
        a.pool == b.pool && a.ballot == b.ballot
    }) {
        return broken(format!("sealed.groups[{at}]"), "is there twice");
    }
    // Defaults and delegations add players' ballots to those cast; nothing adds spectators'.
    let counted = matches!(record.end, EndEntry::Counted { .. });
    let fits = if counted {
        (cast.players..=players).contains(&ballots.players) && ballots.spectators == cast.spectators
    } else {
        groups.is_empty()
    };
    if !fits {
        return broken("sealed.groups", "hold another number of ballots than were counted");
    }
    Ok(Checked { receipts: sealed.receipts.clone(), casts: Vec::new(), groups, turnout: cast })
}

/// Plays a draft again: every turn was taken by a cast, or by the default that the seed says.
fn replay(record: &AuditRecord, config: &VoteConfig, checked: &Checked, whole: bool) -> Result<DraftOutcome, Broken> {
    let entries = record.turns.as_deref().unwrap_or_default();
    let mut outcome = DraftOutcome::new(config.options.len());
    let mut casts = checked.casts.iter();
    for (at, entry) in entries.iter().enumerate() {
        let here = format!("turns[{at}]");
        let Some(turn) = config.turns.get(at) else { return broken(here, "is beyond the last turn") };
        if entry.turn as usize != at {
            return broken(here, format!("expected turn {at}, got {}", entry.turn));
        }
        let option = match entry.by {
            None => outcome.default_option(entry.turn, turn.default, &record.seed, &config.options),
            Some(player) => match casts.next() {
                Some((voter, Ballot::Choice(option))) if *voter == player => Some(*option),
                _ => return broken(here, "was not cast by whom it says"),
            },
        };
        let known = option.and_then(|option| config.options.get(usize::from(option)));
        let (Some(option), Some(known)) = (option, known) else { return broken(here, "has nothing left to take") };
        if known.id != entry.option || !outcome.take(turn.act, option, entry.by) {
            return broken(here, format!("expected {:?} to be taken", known.id));
        }
    }
    if casts.next().is_some() {
        return broken("turns", "there are more casts than turns");
    }
    if whole && entries.len() != config.turns.len() {
        return broken("turns", format!("expected all {}, got {}", config.turns.len(), entries.len()));
    }
    Ok(outcome)
}

/// Where the recorded result first differs from the derived one: not at all when the bytes are equal, or when only
/// the file's layout changed.
fn difference(derived: &str, recorded: &str) -> Option<Broken> {
    if derived == recorded {
        return None;
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let (derived, recorded) = (read(derived), read(recorded));
    let (Some(ours), Some(theirs)) = (derived.as_object(), recorded.as_object()) else {
        return Some(Broken { entry: "result".into(), message: "expected an object".into() });
    };
    let stranger = theirs.keys().find(|key| !ours.contains_key(*key)).map(|key| (key, &Value::Null));
    let (key, expected) = ours.iter().find(|(key, value)| !same(value, theirs.get(*key))).or(stranger)?;
    let shown: String = expected.to_string().chars().take(200).collect();
    let found: String = theirs.get(key).map_or("nothing".into(), |value| value.to_string().chars().take(200).collect());
    Some(Broken { entry: format!("result.{key}"), message: format!("expected {shown}, recorded is {found}") })
}

/// Equal as JSON; a number equals itself however it is written.
fn same(a: &Value, b: Option<&Value>) -> bool {
    match (a, b) {
        (Value::Number(a), Some(Value::Number(b))) => {
            a == b || (a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64()))
        }
        (Value::Array(a), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, Some(b)))
        }
        (Value::Object(a), Some(Value::Object(b))) => {
            a.len() == b.len() && a.iter().all(|(key, value)| same(value, b.get(key)))
        }
        (a, b) => b == Some(a),
    }
}
