//! What a closed vote hands over to be put on record.
//!
//! A result is worked out where the vote lives, because the match waits for it; the record of a thousand ballots takes
//! milliseconds to write out, and nobody waits for that. So the close only gathers what the record will say, sharing
//! the ballots instead of copying them, and [`RecordParts::write`] makes the record wherever there is time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::audit::{self, Hash};
use super::ballot::Ballot;
use super::cast::ballot_json;
use super::config::{Visibility, VoteConfig};
use super::draft::{Taken, TurnEntry};
use super::pools::{Group, Turnout, Weigh};
use super::record::{AuditRecord, CastEntry, EndEntry, GroupEntry, SealedCasts};
use crate::ids::{MatchId, PlayerId, VoteId};

/// One accepted cast.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    pub(super) voter: PlayerId,
    pub(super) revision: u32,
    pub(super) ballot: Arc<Ballot>,
}

/// Everything that an audit record is written from. Of a secret vote it holds no cast and no word about single players.
#[derive(Debug, Clone)]
pub struct RecordParts {
    pub(super) vote_id: VoteId,
    pub(super) match_id: Option<MatchId>,
    pub(super) opened_at: u64,
    pub(super) closed_at: u64,
    pub(super) config: Arc<VoteConfig>,
    pub(super) eligible: Vec<PlayerId>,
    pub(super) eligible_hash: Hash,
    pub(super) late: Vec<PlayerId>,
    pub(super) spectators: Vec<PlayerId>,
    pub(super) called_by: Option<PlayerId>,
    pub(super) args: Option<Value>,
    pub(super) weigh: Weigh,
    pub(super) seed: Hash,
    pub(super) receipts: Vec<Hash>,
    /// Empty where the vote was secret.
    pub(super) casts: Arc<Vec<Cast>>,
    pub(super) turnout: Turnout,
    pub(super) groups: Vec<Group>,
    pub(super) taken: Option<Vec<Taken>>,
    pub(super) end: EndEntry,
    /// What was broadcast, or what is kept in its stead.
    pub(super) result: Arc<str>,
}

impl RecordParts {
    /// The record. It takes time in proportion to the casts, some microseconds each.
    pub fn write(&self) -> AuditRecord {
        let config = &*self.config;
        let secret = config.visibility == Visibility::Secret;
        AuditRecord {
            format: audit::FORMAT.into(),
            vote_id: self.vote_id.clone(),
            match_id: self.match_id,
            opened_at: self.opened_at,
            closed_at: self.closed_at,
            config: recorded_config(config),
            eligible: self.eligible.clone(),
            eligible_hash: self.eligible_hash,
            late: self.late.clone(),
            spectators: self.spectators.clone(),
            called_by: self.called_by,
            args: self.args.clone(),
            frustration_bonus_bp: self.weigh.bonus_bp,
            losses: if secret { BTreeMap::new() } else { self.weigh.losses.clone() },
            seed_commit: audit::seed_commit(&self.seed),
            seed: self.seed,
            casts: (!secret).then(|| self.cast_entries()),
            sealed: secret.then(|| self.sealed()),
            turns: self.taken.as_ref().map(|taken| self.turn_entries(taken)),
            end: self.end.clone(),
            result: RawValue::from_string(self.result.to_string())
                .unwrap_or_else(|error| unreachable!("an encoded result is JSON: {error}")),
        }
    }

    fn cast_entries(&self) -> Vec<CastEntry> {
        let entry = |(seq, (cast, receipt)): (usize, (&Cast, &Hash))| CastEntry {
            seq: seq as u64,
            voter: cast.voter,
            revision: cast.revision,
            ballot: ballot_json(&cast.ballot, &self.config.options),
            receipt: *receipt,
        };
        self.casts.iter().zip(&self.receipts).enumerate().map(entry).collect()
    }

    fn sealed(&self) -> SealedCasts {
        let mut groups = self.groups.clone();
        sort_groups(&self.config, &mut groups);
        SealedCasts {
            receipts: self.receipts.clone(),
            cast: self.turnout,
            groups: groups.iter().map(|group| group_entry(group, &self.config)).collect(),
        }
    }

    fn turn_entries(&self, taken: &[Taken]) -> Vec<TurnEntry> {
        let entry = |(turn, taken): (usize, &Taken)| TurnEntry {
            turn: turn as u32,
            option: self.config.options[usize::from(taken.option)].id.clone(),
            by: taken.by,
        };
        taken.iter().enumerate().map(entry).collect()
    }
}

/// Puts groups in an order that depends on the ballots alone: it says nothing about who cast when.
pub(super) fn sort_groups(config: &VoteConfig, groups: &mut [Group]) {
    groups.sort_by_cached_key(|group| (group.pool, audit::canonical(&ballot_json(&group.ballot, &config.options))));
}

fn group_entry(group: &Group, config: &VoteConfig) -> GroupEntry {
    GroupEntry {
        pool: group.pool,
        ballot: ballot_json(&group.ballot, &config.options),
        ballots: group.ballots,
        weight: u64::try_from(group.weight).unwrap_or(u64::MAX),
    }
}

/// The rules as a record keeps them: of a secret vote, without what they say about single players.
fn recorded_config(config: &VoteConfig) -> Value {
    let mut kept = config.clone();
    if kept.visibility == Visibility::Secret {
        kept.weights.clear();
        kept.default_votes.clear();
        kept.delegation.clear();
    }
    serde_json::to_value(kept).unwrap_or_else(|error| unreachable!("a configuration is plain data: {error}"))
}
