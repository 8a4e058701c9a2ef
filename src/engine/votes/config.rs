//! What a vote is told when it is opened: every option of a vote with its default, read from JSON, merged with a
//! template, and checked before the first ballot, never later.
//!
//! Reading is forgiving about shape where two shapes can only mean one thing (`tie_break` a word or a list, an option
//! a string or `{id, label}`) and strict about everything else: every fault is listed at once, a wrong name together
//! with the nearest right one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ballot::BallotRules;
use super::cast;
use super::count::{Basis, CountRules, Elimination, Strength, Truncated};
use super::input::BallotInput;
use super::methods::{self, Method};
use super::ties::TieBreak;
use crate::ids::{PlayerId, VoteId};
use crate::limits::{
    VOTE_GRACE_MS_MAX, VOTE_ID_BYTES_MAX, VOTE_LABEL_BYTES_MAX, VOTE_OPTIONS_MAX, VOTE_REVOTES_MAX, VOTE_SCORE_MAX,
    VOTE_TURNS_MAX, VOTE_WINDOW_MS_MAX,
};

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

    /// The faults of a template alone: of its keys, not of what a call must add (such as `options`).
    pub fn check_template(template: &Map<String, Value>) -> Vec<Fault> {
        let (config, mut faults) = Self::read(template);
        if template.contains_key("options") || template.contains_key("turns") {
            let told: BTreeSet<String> = faults.iter().map(|fault| root(&fault.path).to_owned()).collect();
            faults.extend(config.check(Roll::default()).into_iter().filter(|fault| !told.contains(root(&fault.path))));
        } else {
            faults.extend(
                config
                    .check(Roll::default())
                    .into_iter()
                    .filter(|fault| template.contains_key(root(&fault.path)) && root(&fault.path) != "fallback"),
            );
        }
        faults
    }

    /// Everything that would keep this vote from being tallied or from ever closing, at once.
    pub fn check(&self, roll: Roll<'_>) -> Vec<Fault> {
        let mut faults = Faults::default();
        self.check_options(&mut faults);
        self.check_numbers(&mut faults);
        let method = self.check_method(&mut faults);
        if let (Some(method), true) = (method, faults.0.iter().all(|fault| root(&fault.path) != "options")) {
            self.check_ballots(method, &mut faults);
        }
        self.check_roll(roll, &mut faults);
        faults.0
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

    fn check_options(&self, faults: &mut Faults) {
        if self.options.is_empty() {
            faults.add("options", "expected at least one option");
        } else if self.options.len() > VOTE_OPTIONS_MAX {
            faults.add("options", format!("expected at most {VOTE_OPTIONS_MAX}, got {}", self.options.len()));
        }
        let mut seen = BTreeSet::new();
        for (i, option) in self.options.iter().enumerate().take(VOTE_OPTIONS_MAX) {
            if option.id.is_empty() || option.id.len() > VOTE_ID_BYTES_MAX || option.id.chars().any(char::is_control) {
                faults.add(
                    format!("options[{i}].id"),
                    format!("expected 1 to {VOTE_ID_BYTES_MAX} bytes without control characters"),
                );
            } else if !seen.insert(&option.id) {
                faults.add(format!("options[{i}].id"), format!("{:?} is there twice", option.id));
            }
            if option.label.len() > VOTE_LABEL_BYTES_MAX {
                faults.add(format!("options[{i}].label"), format!("expected at most {VOTE_LABEL_BYTES_MAX} bytes"));
            }
        }
        if let Some(fallback) = &self.fallback
            && !self.options.iter().any(|option| option.id == *fallback)
        {
            faults.unknown("fallback", "option", fallback, self.options.iter().map(|option| option.id.as_str()));
        }
    }

    fn check_numbers(&self, faults: &mut Faults) {
        if self.template.is_empty() || self.template.len() > VOTE_ID_BYTES_MAX {
            faults.add("template", format!("expected 1 to {VOTE_ID_BYTES_MAX} bytes"));
        }
        faults.within("window_ms", self.window_ms, 1, VOTE_WINDOW_MS_MAX);
        faults.within("grace_ms", self.grace_ms, 0, VOTE_GRACE_MS_MAX);
        if self.window_type == WindowType::Hybrid && self.min_window_ms > self.window_ms {
            faults.add(
                "min_window_ms",
                format!("expected at most window_ms ({}), got {}", self.window_ms, self.min_window_ms),
            );
        }
        faults.within("quorum_bp", self.quorum_bp.into(), 0, BP.into());
        faults.within("supermajority_bp", self.supermajority_bp.into(), 1, BP.into());
        faults.within("spectator_share_bp", self.spectator_share_bp.into(), 0, BP.into());
        faults.within("threshold_bp", self.threshold_bp.into(), 1, BP.into());
        faults.within("max_revotes", self.max_revotes.into(), 0, VOTE_REVOTES_MAX.into());
        faults.within("veto_threshold", self.veto_threshold.into(), 1, u32::MAX.into());
        faults.within("seats", self.seats.into(), 1, VOTE_OPTIONS_MAX as u64);
        faults.within("max", self.max.into(), 1, VOTE_SCORE_MAX.into());
        if self.max_choices == Some(0) {
            faults.add("max_choices", "expected at least 1, got 0");
        }
        if self.close_on_quorum && self.quorum_bp == 0 {
            faults.add("close_on_quorum", "expected quorum_bp above 0 beside it");
        }
        if self.tie_break.is_empty() {
            faults.add("tie_break", "expected at least one word; \"none\" leaves ties open");
        }
        for (i, word) in self.tie_break.iter().enumerate() {
            if self.tie_break[..i].contains(word) {
                faults.add(format!("tie_break[{i}]"), "is there twice");
            }
            if *word == TieBreak::None && i + 1 < self.tie_break.len() {
                faults.add(format!("tie_break[{i}]"), "expected \"none\" at the end only");
            }
        }
    }

    fn check_method(&self, faults: &mut Faults) -> Option<&'static Method> {
        let Some(method) = self.method() else {
            let names =
                methods::METHODS.iter().flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()));
            faults.unknown("method", "method", &self.method, names.chain([DRAFT]));
            return None;
        };
        let name = self.method_name();
        if ["plurality", "motion", DRAFT].contains(&name) && !self.weights.is_empty() {
            faults.add("weights", format!("{name} gives everyone one vote; expected method \"weighted\""));
        }
        if ["motion", DRAFT].contains(&name) && self.spectators.any() {
            faults.add("spectators", format!("have no part in a {name}"));
        }
        if self.seats > 1 && self.require_supermajority {
            faults.add("require_supermajority", "expected seats = 1 beside it");
        }
        match name {
            "motion" => self.check_motion(faults),
            DRAFT => self.check_draft(faults),
            _ if !self.turns.is_empty() => faults.add("turns", format!("are for drafts, not for {name}")),
            _ => {}
        }
        Some(method)
    }

    fn check_motion(&self, faults: &mut Faults) {
        if self.on_pass == OnPass::Kick && self.target.is_none() {
            faults.add("target", "expected the player whom the motion is about");
        }
    }

    fn check_draft(&self, faults: &mut Faults) {
        if self.turns.is_empty() {
            faults.add("turns", "a draft needs at least one turn");
        } else if self.turns.len() > VOTE_TURNS_MAX {
            faults.add("turns", format!("expected at most {VOTE_TURNS_MAX}, got {}", self.turns.len()));
        }
        let picks = self.turns.iter().any(|turn| turn.act == Act::Pick);
        if self.turns.len() > self.options.len() || (!picks && self.turns.len() == self.options.len()) {
            faults.add("turns", format!("{} turns leave nothing of {} options", self.turns.len(), self.options.len()));
        }
        for (i, turn) in self.turns.iter().enumerate().take(VOTE_TURNS_MAX) {
            faults.within(&format!("turns[{i}].window_ms"), turn.window_ms, 1, VOTE_WINDOW_MS_MAX);
        }
        let whole_ms = self.turns.iter().fold(0, |sum: u64, turn| sum.saturating_add(turn.window_ms));
        if whole_ms > VOTE_WINDOW_MS_MAX {
            faults.add("turns", format!("expected at most {VOTE_WINDOW_MS_MAX} ms together, got {whole_ms}"));
        }
        if !self.default_votes.is_empty() || !self.delegation.is_empty() {
            faults.add("turns", "a draft's turns have their own defaults; default_votes and delegation do not apply");
        }
        if self.visibility != Visibility::Live {
            faults.add("visibility", "a draft is played in the open; expected \"live\"");
        }
    }

    /// What the counting side says about the rules, and every default ballot against them.
    fn check_ballots(&self, method: &'static Method, faults: &mut Faults) {
        for fault in method.check(&self.count_rules(method, &[], 1)) {
            if !faults.0.iter().any(|known| root(&known.path) == fault.key) {
                faults.add(fault.key, fault.message);
            }
        }
        let rules = self.ballot_rules(method);
        for (player, input) in &self.default_votes {
            if let Err(refusal) = cast::ballot(input, &self.options, &rules) {
                faults.add(format!("default_votes.{player}"), refusal.to_string());
            }
        }
    }

    /// Names of players, once they are known.
    fn check_roll(&self, roll: Roll<'_>, faults: &mut Faults) {
        for (player, delegate) in &self.delegation {
            if player == delegate {
                faults.add(format!("delegation.{player}"), "a player cannot delegate to themself");
            }
        }
        let Some(eligible) = roll.eligible else { return };
        let known: BTreeSet<&PlayerId> = eligible.iter().collect();
        let newcomers = self.late_join == LateJoin::Eligible;
        let stranger = |player: &PlayerId| !known.contains(player) && !newcomers;
        let complaint = "is not an eligible player of this vote";
        for player in self.weights.keys().filter(|player| stranger(player) && !roll.spectators.contains(player)) {
            faults.add(format!("weights.{player}"), complaint);
        }
        for player in self.default_votes.keys().filter(|player| stranger(player)) {
            faults.add(format!("default_votes.{player}"), complaint);
        }
        for (player, delegate) in &self.delegation {
            if stranger(player) {
                faults.add(format!("delegation.{player}"), complaint);
            }
            // A newcomer brings weight and ballot of their own; nobody's ballot waits for somebody who may never come.
            if !known.contains(delegate) {
                faults.add(format!("delegation.{player}"), format!("{delegate} {complaint}"));
            }
        }
        // Each player vetoes a vote once, so more than there are can never be enough.
        if self.veto_enabled && self.veto_threshold as usize > known.len() {
            faults.add(
                "veto_threshold",
                format!("expected at most the {} eligible players, got {}", known.len(), self.veto_threshold),
            );
        }
    }

    /// Reads every key; what cannot be read stands at its default and is a fault.
    pub(super) fn read(map: &Map<String, Value>) -> (Self, Vec<Fault>) {
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
pub(super) const KEYS: &[&str] = &[
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

/// The first key of a path: `options` of `options[2].id`.
fn root(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// What a JSON value is, in a player's words.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "a boolean".into(),
        Value::Number(number) => format!("{number}"),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// The name most like `name`, when one is like it at all.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Faults as they are found, and the few ways to read a JSON value that add to them.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault::new(path, message));
    }

    fn unknown<'a>(&mut self, path: &str, noun: &str, name: &str, known: impl Iterator<Item = &'a str>) {
        let shown: String = name.chars().take(64).collect();
        let hint = nearest(name, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        self.add(path, format!("unknown {noun} {shown:?}{hint}"));
    }

    fn within(&mut self, path: &str, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            self.add(path, format!("expected {least} to {most}, got {value}"));
        }
    }

    fn string(&mut self, path: &str, value: &Value, into: &mut String) {
        match value.as_str() {
            Some(text) => text.clone_into(into),
            None => self.add(path, format!("expected a string, got {}", kind(value))),
        }
    }

    fn boolean(&mut self, path: &str, value: &Value, into: &mut bool) {
        match value.as_bool() {
            Some(read) => *into = read,
            None => self.add(path, format!("expected true or false, got {}", kind(value))),
        }
    }

    /// A whole number; `15000.0`, which Lua may write, is one too.
    fn integer<T: TryFrom<u64>>(&mut self, path: &str, value: &Value, into: &mut T) {
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..9.0e15).contains(float))?;
            Some(float as u64)
        });
        match whole.and_then(|read| T::try_from(read).ok()) {
            Some(read) => *into = read,
            None => {
                let most = if size_of::<T>() == 4 { u64::from(u32::MAX) } else { u64::MAX };
                self.add(path, format!("expected a whole number from 0 to {most}, got {}", kind(value)));
            }
        }
    }

    fn word<W: Word>(&mut self, path: &str, value: &Value, into: &mut W) {
        let Some(text) = value.as_str() else {
            self.add(path, format!("expected a word, got {}", kind(value)));
            return;
        };
        match W::WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, word)) => *into = *word,
            None => {
                let all: Vec<&str> = W::WORDS.iter().map(|(word, _)| *word).collect();
                let hint = nearest(text, all.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
                let shown: String = text.chars().take(64).collect();
                let hint = hint.unwrap_or_default();
                self.add(path, format!("expected one of {}, got {shown:?}{hint}", all.join(", ")));
            }
        }
    }
}
