//! The audit record of a closed vote: everything its result was derived from, as one JSON object a person can read.
//!
//! An open or hidden vote's record holds every cast in order with its receipt. A secret vote's holds the receipts
//! alone, without saying whose, and the ballots grouped and sorted, so that nothing in it leads from a voter to a
//! ballot; what its configuration said about single players (weights, defaults, delegations) is left out too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::audit::{self, Hash, LeafBallot, Tree};
use super::draft::TurnEntry;
use super::pools::{Pool, Turnout};
use super::told::Proof;
use crate::ids::{MatchId, PlayerId, VoteId};

/// The record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// [`super::audit::FORMAT`].
    pub format: String,
    /// Which vote.
    pub vote_id: VoteId,
    /// In which match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_id: Option<MatchId>,
    /// When it opened, unix milliseconds.
    pub opened_at: u64,
    /// When it closed, unix milliseconds.
    pub closed_at: u64,
    /// Its rules: every key of a vote's configuration.
    pub config: Value,
    /// Who could vote from the start.
    pub eligible: Vec<PlayerId>,
    /// Their hash, as announced.
    pub eligible_hash: Hash,
    /// Who joined while it was open and could vote too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<PlayerId>,
    /// Who could vote in the spectators' pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spectators: Vec<PlayerId>,
    /// Who called it, for motions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_by: Option<PlayerId>,
    /// What the caller said beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// What each lost vote in a row added to a ballot, in basis points.
    #[serde(default)]
    pub frustration_bonus_bp: u32,
    /// Lost votes in a row, of those who had any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub losses: BTreeMap<PlayerId, u32>,
    /// The commitment that was announced.
    pub seed_commit: Hash,
    /// The seed.
    pub seed: Hash,
    /// Every cast, in order; of an open or hidden vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub casts: Option<Vec<CastEntry>>,
    /// What is kept of a secret vote's casts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedCasts>,
    /// The turns of a draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<Vec<TurnEntry>>,
    /// What put an end to it.
    pub end: EndEntry,
    /// The result: what was broadcast, byte for byte (of a vetoed vote, what is kept in its stead).
    pub result: Box<RawValue>,
}

/// One cast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CastEntry {
    /// Its place, from 0.
    pub seq: u64,
    /// Whose.
    pub voter: PlayerId,
    /// The voter's own count of casts, from 1.
    pub revision: u32,
    /// What it says, in the shape a client casts it.
    pub ballot: Value,
    /// Its leaf's hash.
    pub receipt: Hash,
}

/// What is kept of a secret vote's casts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedCasts {
    /// The receipts, in order of casting.
    pub receipts: Vec<Hash>,
    /// How many cast.
    pub cast: Turnout,
    /// The ballots counted, sorted.
    pub groups: Vec<GroupEntry>,
}

/// Identical ballots of a secret vote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// Whose.
    pub pool: Pool,
    /// What they say.
    pub ballot: Value,
    /// How many there are.
    pub ballots: u64,
    /// Their weight together.
    pub weight: u64,
}

/// What put an end to a vote, in its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case", deny_unknown_fields)]
pub enum EndEntry {
    /// It was counted.
    Counted {
        /// `deadline`, `everyone_voted`, `quorum` or `last_turn`.
        why: String,
    },
    /// It was called off.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// Players vetoed it.
    Vetoed {
        /// Who.
        by: Vec<PlayerId>,
    },
}

impl AuditRecord {
    /// The proof that a closed vote holds the cast of this receipt, from its record's text; `None` when it does not, or
    /// when the text is no record. Whoever doubts the record recounts it; this only finds the way to its root.
    pub fn prove(text: &str, receipt: Hash) -> Option<Proof> {
        let record: Self = serde_json::from_str(text).ok()?;
        let receipts: Vec<Hash> = match (&record.casts, &record.sealed) {
            (Some(casts), _) => casts.iter().map(|cast| cast.receipt).collect(),
            (None, Some(sealed)) => sealed.receipts.clone(),
            (None, None) => return None,
        };
        let at = receipts.iter().position(|known| *known == receipt)?;
        let tree = Tree::of(receipts);
        let leaf = record.casts.as_ref().and_then(|casts| casts.get(at)).map(|cast| {
            let said = LeafBallot::Open(cast.ballot.clone());
            audit::leaf_text(&record.vote_id, cast.seq, cast.voter, cast.revision, &said)
        });
        Some(Proof {
            path: tree.path(at),
            ballots_root: Some(tree.root()),
            index: Some(at as u64),
            leaves: Some(tree.leaves().len() as u64),
            vote_id: record.vote_id,
            receipt,
            closed: true,
            leaf,
        })
    }

    /// The record's text: what the store keeps and `tessera recount` reads.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("a record is plain data: {error}"))
    }
}
