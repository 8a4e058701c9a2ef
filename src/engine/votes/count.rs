//! What a count is told and what it answers: [`CountRules`] in, [`Count`] out.
//!
//! A count carries its own evidence, so that anybody can follow how the winner came about: rounds with every transfer,
//! the pairwise matrix, strongest paths, locked pairs, quotas, and each place where a tie had to be broken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ballot::{OPTIONS_MAX, OptionIx};
use super::methods::Method;
use super::ties::TieBreak;

/// Whom a run-off eliminates in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Elimination {
    /// The lowest option alone.
    #[default]
    Single,
    /// The largest set of lowest options that together stay below the next one, and so cannot catch up.
    Batch,
}

/// How strong a pairwise victory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Ballots on the winning side.
    #[default]
    Wv,
    /// Winning side minus losing side.
    Margins,
    /// Ballots preferring the rival, victory or not (minimax only).
    Opposition,
}

/// What a Borda count gives to options that a ballot does not rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Truncated {
    /// They share the places left over equally: the tournament count.
    #[default]
    Average,
    /// Nothing, while ranked options keep their full points.
    Zero,
    /// Nothing, and a ballot of m ranks gives only m, m-1, .. 1 points: ranking more gives more.
    Modified,
}

/// What a motion's threshold is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The ballots that say yes or no: an abstention takes no side.
    #[default]
    Cast,
    /// Everybody who may vote: an abstention and an absence both weigh against the motion.
    Eligible,
}

/// How ballots are to be counted. [`Method::check`] says what is wrong with it; a count expects that to be nothing.
#[derive(Debug, Clone)]
pub struct CountRules {
    /// The way to count.
    pub method: &'static Method,
    /// The options' ids in declared order, 1 to [`OPTIONS_MAX`].
    pub options: Vec<String>,
    /// How many are elected (approval, stv), at least 1.
    pub seats: usize,
    /// Whom a run-off eliminates in one round (ranked).
    pub elimination: Elimination,
    /// How strong a pairwise victory is (schulze, ranked_pairs, minimax).
    pub strength: Strength,
    /// What unranked options get (borda).
    pub truncated: Truncated,
    /// The highest score (score, star).
    pub max_score: u32,
    /// A motion passes at this share of its basis, in basis points.
    pub threshold_bp: u32,
    /// What a motion's threshold is a share of.
    pub basis: Basis,
    /// The weight of everybody who may vote (motions with [`Basis::Eligible`]).
    pub eligible: u128,
    /// How equals are told apart, first word first. Empty is the same as `none`: ties stay ties.
    pub tie_break: Vec<TieBreak>,
    /// What the lot is drawn from; 32 random bytes in a vote.
    pub seed: Vec<u8>,
}

impl CountRules {
    /// The rules of `method` over `options` with every default of `VOTES.md`, except that ties stay ties.
    pub fn new(method: &'static Method, options: Vec<String>) -> Self {
        Self {
            method,
            options,
            seats: 1,
            elimination: Elimination::default(),
            strength: Strength::default(),
            truncated: Truncated::default(),
            max_score: 5,
            threshold_bp: 5_001,
            basis: Basis::default(),
            eligible: 0,
            tie_break: Vec::new(),
            seed: Vec::new(),
        }
    }

    /// How many options there are.
    pub fn options_len(&self) -> usize {
        self.options.len()
    }

    /// Every fault that any method would find.
    pub(super) fn check(&self, faults: &mut Vec<RuleFault>) {
        let options = self.options.len();
        if !(1..=OPTIONS_MAX).contains(&options) {
            faults.push(RuleFault::new("options", format!("expected 1 to {OPTIONS_MAX}, got {options}")));
        }
        let mut sorted: Vec<&String> = self.options.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            faults.push(RuleFault::new("options", format!("expected different ids, got {:?} twice", twice[0])));
        }
        if self.seats == 0 {
            faults.push(RuleFault::new("seats", "expected at least 1, got 0"));
        }
        if self.seats > 1 && !self.method.seats {
            let message = format!("{} elects one option, got {}", self.method.name, self.seats);
            faults.push(RuleFault::new("seats", message));
        }
        if self.strength == Strength::Opposition && self.method.name != "minimax" {
            faults.push(RuleFault::new("strength", "expected wv or margins: opposition is for minimax"));
        }
        if self.max_score == 0 {
            faults.push(RuleFault::new("max", "expected at least 1, got 0"));
        }
    }
}

/// One thing that is wrong with the rules of a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// The option of the vote that is wrong, as `VOTES.md` calls it.
    pub key: &'static str,
    /// What was expected and what came.
    pub message: String,
}

impl RuleFault {
    /// A fault at `key`.
    pub fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self { key, message: message.into() }
    }
}

/// How a count ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountStatus {
    /// Exactly the elected are the winners.
    Decided,
    /// The tie chain left it open: the winners are everybody who could still win.
    Tie,
    /// No ballot spoke for anybody.
    NoVotes,
}

/// Everything a count answers. Sums are weights of ballots unless a method says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// How it ended.
    pub status: CountStatus,
    /// The elected: in order of election where that has one (stv), else in declared order.
    pub winners: Vec<OptionIx>,
    /// What the method adds up, per option: votes, approvals, weight, sums; first preferences in run-offs; borda and
    /// copeland doubled; minimax the worst defeat; schulze and ranked_pairs the rivals beaten.
    pub scores: Vec<u128>,
    /// First preferences per option, for methods that count rankings.
    pub first_preferences: Option<Vec<u128>>,
    /// What the tallies of `rounds` are multiples of: 1, or 100 000 for stv.
    pub scale: u32,
    /// The rounds of a run-off.
    pub rounds: Vec<Round>,
    /// The pairwise matrix, for methods that look at pairs.
    pub matrix: Option<Matrix>,
    /// What else the method shows for its answer.
    pub evidence: Evidence,
    /// Every tie that mattered, broken or left open, in the order they came up.
    pub tie_events: Vec<TieEvent>,
    /// What an option needed to be elected (stv), in whole ballots.
    pub quota: Option<u128>,
}

impl Count {
    /// A count in which nobody has won yet.
    pub(super) fn of_scores(scores: Vec<u128>) -> Self {
        Self {
            status: CountStatus::NoVotes,
            winners: Vec::new(),
            scores,
            first_preferences: None,
            scale: 1,
            rounds: Vec::new(),
            matrix: None,
            evidence: Evidence::None,
            tie_events: Vec::new(),
            quota: None,
        }
    }

    /// Whether any tie was settled by the chain.
    pub fn tie_broken(&self) -> bool {
        self.tie_events.iter().any(|event| event.by.is_some())
    }
}

/// One round of a run-off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Round {
    /// What each option holds; `None` once it is eliminated.
    pub tally: Vec<Option<u128>>,
    /// What no option holds any more: empty ballots, ballots without a continuing option, and what rounding took.
    pub exhausted: u128,
    /// Elected in this round.
    pub elected: Vec<OptionIx>,
    /// Eliminated at the end of this round.
    pub eliminated: Vec<OptionIx>,
    /// What moved at the end of this round.
    pub transfers: Vec<Transfer>,
}

/// Weight that moved from one option to another at the end of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Whose it was.
    pub from: OptionIx,
    /// Whose it is; `None` when it is exhausted.
    pub to: Option<OptionIx>,
    /// How much, in the rounds' scale.
    pub amount: u128,
}

/// The pairwise matrix: for each two options the weight of the ballots that rank the first strictly above the second.
/// Unranked options stand together below every ranked one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    size: usize,
    cells: Vec<u128>,
}

impl Matrix {
    /// A matrix of zeros over `size` options.
    pub fn zero(size: usize) -> Self {
        Self { size, cells: vec![0; size * size] }
    }

    /// How many options it compares.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The weight that ranks `above` strictly above `below`.
    pub fn get(&self, above: usize, below: usize) -> u128 {
        self.cells[above * self.size + below]
    }

    /// Whether more weight ranks `a` above `b` than the other way round.
    pub fn beats(&self, a: usize, b: usize) -> bool {
        self.get(a, b) > self.get(b, a)
    }

    /// All of one option's cells.
    pub fn row(&self, above: usize) -> &[u128] {
        &self.cells[above * self.size..][..self.size]
    }

    pub(super) fn row_mut(&mut self, above: usize) -> &mut [u128] {
        &mut self.cells[above * self.size..][..self.size]
    }
}

/// What a method shows for its answer beside scores, rounds and matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The scores say it all.
    None,
    /// The strength of the strongest path between each two options (schulze).
    Paths(Matrix),
    /// Majorities in the order they were looked at, and whether each was locked (ranked_pairs).
    Locked(Vec<Lock>),
    /// The two finalists of a star count and the ballots preferring each.
    Runoff {
        /// First and second by score.
        finalists: [OptionIx; 2],
        /// Weight of the ballots that score one above the other.
        preferred: [u128; 2],
    },
    /// What a motion needed and got.
    Motion {
        /// Weight for it.
        yes: u128,
        /// Weight that its threshold is a share of.
        of: u128,
        /// The share it needed, in basis points.
        threshold_bp: u32,
    },
}

/// One majority in a ranked-pairs count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// The majority's option.
    pub winner: OptionIx,
    /// The minority's.
    pub loser: OptionIx,
    /// How strong it is.
    pub strength: u128,
    /// Whether it was locked; `false` when it would have closed a circle.
    pub locked: bool,
}

/// What a tie was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TieFor {
    /// Who wins, or fills the last seats.
    Win,
    /// Who is eliminated.
    Elimination,
    /// Whose surplus is transferred first, or who is elected first of several at once.
    Order,
    /// Who enters the run-off.
    Runoff,
    /// Whose majority is locked, of several that are equally clear.
    Lock,
}

/// One tie that mattered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TieEvent {
    /// The round it came up in, from 0; `None` where a method has no rounds.
    pub round: Option<usize>,
    /// What it was about.
    pub about: TieFor,
    /// Who was equal, in declared order.
    pub tied: Vec<OptionIx>,
    /// Who was favoured (of an elimination: who survived), in declared order; empty when left open.
    pub favoured: Vec<OptionIx>,
    /// The word that settled it; `None` when the chain left it open.
    pub by: Option<TieBreak>,
}
