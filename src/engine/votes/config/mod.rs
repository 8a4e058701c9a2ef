//! What a vote is told when it is opened: every option of a vote with its default, read from JSON, merged with a
//! template, and checked before the first ballot, never later.
//!
//! Reading is forgiving about shape where two shapes can only mean one thing (`tie_break` a word or a list, an option
//! a string or `{id, label}`) and strict about everything else: every fault is listed at once, a wrong name together
//! with the nearest right one.

mod check;
mod faults;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ballot::BallotRules;
use super::count::{Basis, CountRules, Elimination, Strength, Truncated};
use super::input::BallotInput;
use super::methods::{self, Method};
use super::ties::TieBreak;
use crate::ids::{PlayerId, VoteId};

pub use self::faults::nearest;
use self::faults::root;
#[cfg(test)]
pub(super) use self::read::KEYS;

/// The method of votes that are played in turns rather than counted.
pub const DRAFT: &str = "draft";

/// A whole in basis points.
pub const BP: u32 = 10_000;

/// Templates by name: `[vote_templates.NAME]` of the configuration, as JSON objects.
pub type Templates = BTreeMap<String, Map<String, Value>>;

/// Something wrong with a vote's configuration: where, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Fault {
    /// The key, as `options[2].id`; empty for the whole.
    pub path: String,
    /// What was expected and what came, without a full stop.
    pub message: String,
}

impl Fault {
    /// A fault at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// One thing that can be voted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoteOption {
    /// What ballots and results call it: 1 to 64 bytes, no control characters, unique in its vote.
    pub id: String,
    /// What people read, up to 256 bytes; the id when none was given.
    pub label: String,
}

/// A closed set of words in a configuration.
pub trait Word: Sized + Copy + 'static {
    /// Each word and what it stands for.
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$word_doc])* #[serde(rename = $word)] $variant,)+ }

        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
        }
    )+};
}

words! {
    /// When a vote's window closes; `window_ms` is always the upper bound.
    WindowType {
        /// At the deadline.
        Fixed = "fixed",
        /// When every present eligible player has voted.
        ReadyUp = "ready_up",
        /// As `ready_up`, but not before `min_window_ms`.
        Hybrid = "hybrid",
        /// The deadline shrinks once to three seconds when the leader has the supermajority of all eligible weight.
        Adaptive = "adaptive",
    }

    /// What is shown before the close.
    Visibility {
        /// Coalesced tallies.
        Live = "live",
        /// Nothing per option until the result.
        Hidden = "hidden",
        /// As `hidden`, and ballots never leave the actor: the record holds grouped ballots only.
        Secret = "secret",
    }

    /// What a player who joins while the vote is open may do.
    LateJoin {
        /// Vote, and be counted among the eligible from then on.
        Eligible = "eligible",
        /// Watch.
        Observe = "observe",
    }

    /// What a passed motion does.
    OnPass {
        /// Its target leaves the match.
        Kick = "kick",
        /// The caller's side gives up: the match finishes.
        Surrender = "surrender",
        /// The match is played again by the same players.
        Rematch = "rematch",
        /// The match is given more time.
        Extend = "extend",
        /// The game decides: it is told the result like any other.
        Game = "game",
    }

    /// What a draft's turn does to an option.
    Act {
        /// Takes it out.
        Ban = "ban",
        /// Chooses it.
        Pick = "pick",
    }

    /// What happens when a draft's turn runs out.
    TurnDefault {
        /// One of what remains, by the vote's committed seed.
        Random = "random",
        /// The first of what remains, in declared order.
        First = "first",
    }
}

impl Word for TieBreak {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("previous_rounds", Self::PreviousRounds),
        ("declared_order", Self::DeclaredOrder),
        ("seeded_lot", Self::SeededLot),
        ("none", Self::None),
    ];
}

impl Word for Basis {
    const WORDS: &'static [(&'static str, Self)] = &[("cast", Self::Cast), ("eligible", Self::Eligible)];
}

impl Word for Elimination {
    const WORDS: &'static [(&'static str, Self)] = &[("single", Self::Single), ("batch", Self::Batch)];
}

impl Word for Strength {
    const WORDS: &'static [(&'static str, Self)] =
        &[("wv", Self::Wv), ("margins", Self::Margins), ("opposition", Self::Opposition)];
}

impl Word for Truncated {
    const WORDS: &'static [(&'static str, Self)] =
        &[("average", Self::Average), ("zero", Self::Zero), ("modified", Self::Modified)];
}

/// Who votes in the spectators' pool: `true` for the spectators of the match, or a list of ids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Spectators {
    /// Nobody.
    #[default]
    #[schemars(skip)]
    None,
    /// `true`: the spectators of the match.
    Match(bool),
    /// These.
    List(Vec<PlayerId>),
}

impl Spectators {
    /// Whether anybody could be in the pool.
    pub fn any(&self) -> bool {
        match self {
            Self::None | Self::Match(false) => false,
            Self::Match(true) => true,
            Self::List(ids) => !ids.is_empty(),
        }
    }
}

/// Whose turn of a draft it is: a player id, `team:N` (any of them) or `captain:N` (the first seated of them).
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub enum Who {
    /// This player.
    Player(PlayerId),
    /// Any player of this team.
    Team(u32),
    /// The first seated player of this team who is still there.
    Captain(u32),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Player(id) => id.fmt(f),
            Self::Team(n) => write!(f, "team:{n}"),
            Self::Captain(n) => write!(f, "captain:{n}"),
        }
    }
}

impl std::str::FromStr for Who {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected a player id, team:N or captain:N";
        match text.split_once(':') {
            Some(("team", n)) => n.parse().map(Self::Team).map_err(|_| wrong),
            Some(("captain", n)) => n.parse().map(Self::Captain).map_err(|_| wrong),
            _ => text.parse().map(Self::Player).map_err(|_| wrong),
        }
    }
}

impl Serialize for Who {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One turn of a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Turn {
    /// Whose turn it is.
    pub who: Who,
    /// What it does.
    pub act: Act,
    /// Its clock in milliseconds (15000).
    pub window_ms: u64,
    /// What happens when it runs out (`random`).
    pub default: TurnDefault,
}

/// Everything a vote is told when it is opened. Every key has a default except `options`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VoteConfig {
    /// A label; where the configuration has a template of that name, its keys are the defaults.
    pub template: String,
    /// The vote's name, 1 to 64 of `[A-Za-z0-9_.:-]`; made up when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vote_id: Option<VoteId>,
    /// What can be voted for, in declared order: strings or `{id, label}`.
    pub options: Vec<VoteOption>,
    /// How it is counted: a name or an alias of the METHODS table.
    pub method: String,
    /// The longest the vote stays open, in milliseconds.
    pub window_ms: u64,
    /// When it closes earlier.
    pub window_type: WindowType,
    /// The earliest a `hybrid` window closes, in milliseconds.
    pub min_window_ms: u64,
    /// How long after the deadline a ballot may still arrive, in milliseconds.
    pub grace_ms: u64,
    /// What is shown before the close.
    pub visibility: Visibility,
    /// The chain that decides ties, a list or one word; a word always favours.
    pub tie_break: Vec<TieBreak>,
    /// How many options are elected (approval and stv).
    pub seats: u32,
    /// The most options one ballot may hold; any number when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_choices: Option<u32>,
    /// How a run-off eliminates.
    pub elimination: Elimination,
    /// How a head-to-head victory is measured (schulze, ranked_pairs, minimax).
    pub strength: Strength,
    /// What borda gives to unranked options.
    pub truncated: Truncated,
    /// The highest score (score and star).
    pub max: u32,
    /// Whether an empty ballot may be cast.
    pub allow_blank: bool,
    /// How often a voter may change a ballot; the first cast is free.
    pub max_revotes: u32,
    /// Whether veto tokens may be spent.
    pub veto_enabled: bool,
    /// How many players must veto.
    pub veto_threshold: u32,
    /// Weight of each player's ballot, 1 when missing.
    pub weights: BTreeMap<PlayerId, u32>,
    /// The part of the eligible players who must cast, in basis points; 0 for none.
    pub quorum_bp: u32,
    /// The supermajority, in basis points.
    pub supermajority_bp: u32,
    /// Whether a winner without the supermajority is none: status `no_consensus`.
    pub require_supermajority: bool,
    /// Whether the vote closes as soon as `quorum_bp` is reached.
    pub close_on_quorum: bool,
    /// Who votes in the spectators' pool.
    pub spectators: Spectators,
    /// The spectators' share of the merged count, in basis points.
    pub spectator_share_bp: u32,
    /// Ballots of those who cast none, by player id.
    #[schemars(with = "BTreeMap<PlayerId, Value>")]
    pub default_votes: BTreeMap<PlayerId, BallotInput>,
    /// Whose ballot counts for a player who casts none, by player id.
    pub delegation: BTreeMap<PlayerId, PlayerId>,
    /// What players who join while it is open may do.
    pub late_join: LateJoin,
    /// Whether it may be open beside another vote of its template.
    pub concurrent: bool,
    /// The option that wins when nobody voted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Motions: the part of `basis` that must say yes, in basis points.
    pub threshold_bp: u32,
    /// Motions: what the threshold is a part of.
    pub basis: Basis,
    /// Motions: how long a caller waits before calling another, in seconds.
    pub caller_cooldown_s: u32,
    /// Motions: how long a failed motion cannot be called again, in seconds.
    pub failed_cooldown_s: u32,
    /// Motions: whether its target may not vote on it.
    pub exclude_target: bool,
    /// Motions: what passing it does.
    pub on_pass: OnPass,
    /// Motions: whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PlayerId>,
    /// Drafts: the turns, in order.
    pub turns: Vec<Turn>,
}

impl Default for VoteConfig {
    fn default() -> Self {
        Self {
            template: "default".into(),
            vote_id: None,
            options: Vec::new(),
            method: "plurality".into(),
            window_ms: 15_000,
            window_type: WindowType::Fixed,
            min_window_ms: 5_000,
            grace_ms: 500,
            visibility: Visibility::Live,
            tie_break: vec![TieBreak::SeededLot],
            seats: 1,
            max_choices: None,
            elimination: Elimination::Single,
            strength: Strength::Wv,
            truncated: Truncated::Average,
            max: 5,
            allow_blank: false,
            max_revotes: 3,
            veto_enabled: false,
            veto_threshold: 1,
            weights: BTreeMap::new(),
            quorum_bp: 0,
            supermajority_bp: 7_500,
            require_supermajority: false,
            close_on_quorum: false,
            spectators: Spectators::None,
            spectator_share_bp: 3_000,
            default_votes: BTreeMap::new(),
            delegation: BTreeMap::new(),
            late_join: LateJoin::Eligible,
            concurrent: false,
            fallback: None,
            threshold_bp: 5_001,
            basis: Basis::Cast,
            caller_cooldown_s: 0,
            failed_cooldown_s: 0,
            exclude_target: false,
            on_pass: OnPass::Game,
            target: None,
            turns: Vec::new(),
        }
    }
}

/// Who a configuration is checked against; nobody in particular when a file is checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Roll<'a> {
    /// The eligible players, `None` when not known yet.
    pub eligible: Option<&'a [PlayerId]>,
    /// The spectators who may vote.
    pub spectators: &'a [PlayerId],
}

impl VoteConfig {
    /// Reads a vote's configuration from JSON text, with the keys of its template as defaults.
    ///
    /// # Errors
    /// Every fault of reading and of [`Self::check`] (against nobody in particular) at once.
    pub fn from_json(text: &str, templates: &Templates) -> Result<Self, Vec<Fault>> {
        match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(call) => Self::from_map(&call, templates),
            Err(error) => Err(vec![Fault::new("", format!("expected a JSON object: {error}"))]),
        }
    }

    /// As [`Self::from_json`], from an object that was read already.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_map(call: &Map<String, Value>, templates: &Templates) -> Result<Self, Vec<Fault>> {
        let name = call.get("template").and_then(Value::as_str).unwrap_or("default");
        let mut merged = templates.get(name).cloned().unwrap_or_default();
        merged.extend(call.iter().map(|(key, value)| (key.clone(), value.clone())));
        merged.insert("template".into(), call.get("template").cloned().unwrap_or_else(|| "default".into()));
        let (config, mut faults) = Self::read(&merged);
        // Keys that could not be read stand at their defaults, so checking them too would only repeat the complaint.
        let told: BTreeSet<String> = faults.iter().map(|fault| root(&fault.path).to_owned()).collect();
        faults.extend(config.check(Roll::default()).into_iter().filter(|fault| !told.contains(root(&fault.path))));
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// The row of the METHODS table that counts this vote, if there is one of that name. A draft is played rather
    /// than counted; the ballots of its turns are choices, and plurality's row reads them.
    pub fn method(&self) -> Option<&'static Method> {
        methods::method(if self.is_draft() { "plurality" } else { &self.method })
    }

    /// Whether it is played in turns.
    pub fn is_draft(&self) -> bool {
        self.method == DRAFT
    }

    /// The method's one name on the wire, whichever alias was written.
    pub fn method_name(&self) -> &str {
        if self.is_draft() { DRAFT } else { self.method().map_or(&self.method, |method| method.name) }
    }

    /// The rules of the count: the lot's seed and the weight of everybody eligible (for motions) are the vote's.
    pub fn count_rules(&self, method: &'static Method, seed: &[u8], eligible: u128) -> CountRules {
        CountRules {
            method,
            options: self.options.iter().map(|option| option.id.clone()).collect(),
            seats: self.seats as usize,
            elimination: self.elimination,
            strength: self.strength,
            truncated: self.truncated,
            max_score: self.max,
            threshold_bp: self.threshold_bp,
            basis: self.basis,
            eligible,
            tie_break: self.tie_break.clone(),
            seed: seed.to_vec(),
        }
    }

    /// What one ballot of this vote must look like.
    pub fn ballot_rules(&self, method: &'static Method) -> BallotRules {
        BallotRules {
            kind: method.ballot,
            options: self.options.len(),
            choices_max: self.max_choices.map_or(self.options.len(), |most| most as usize),
            score_max: self.max,
            equal_ranks: method.equal_ranks,
            blank: self.allow_blank,
        }
    }
}

impl<'de> Deserialize<'de> for VoteConfig {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (config, faults) = Self::read(&Map::deserialize(from)?);
        if faults.is_empty() {
            return Ok(config);
        }
        let all: Vec<String> = faults.iter().map(Fault::to_string).collect();
        Err(serde::de::Error::custom(all.join("; ")))
    }
}
