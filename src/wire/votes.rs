//! Votes: opened, cast, tallied, vetoed, decided.
//!
//! Numbers by option are JSON objects in declared order. Shares are cut to thousandths, never rounded up.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::decode::Fields;
use super::error::{Reason, Refusal};
use super::frame::{Cid, Lane, Outbound, SlotKind};
use super::matches::success;
use super::messages::Inbound;
use crate::engine::votes::BallotInput;
use crate::ids::{PlayerId, VoteId};

/// `vote.cast`: a ballot. Whether its shape fits is the vote's to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cast {
    /// In which vote.
    pub vote_id: VoteId,
    /// The ballot.
    pub option_id: BallotInput,
}

impl Inbound for Cast {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        let vote_id = fields.text("vote_id")?;
        let option_id = fields.must("option_id")?;
        let vote_id = vote_id.parse().map_err(|_| Reason::VoteNotFound)?;
        // The scanner has read the text already, so only an absurd one fails here.
        Ok(Self { vote_id, option_id: serde_json::from_str(option_id).unwrap_or(BallotInput::Other) })
    }
}

/// `vote.veto`: spends a token on ending a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Veto {
    /// Which vote.
    pub vote_id: VoteId,
}

impl Inbound for Veto {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        Ok(Self { vote_id: fields.id("vote_id", Reason::VoteNotFound)? })
    }
}

/// `vote.call`: raises a motion or a nomination.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Which template.
    pub template: String,
    /// What it is about, such as `{"target": "<player id>"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Box<RawValue>>,
}

impl Inbound for Call {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        let args = fields.opt_object("args", 4_096, "an object of at most 4096 bytes")?;
        Ok(Self { template: fields.text("template")?, args })
    }
}

/// `vote.verify`: asks for the proof that a cast was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verify {
    /// In which vote.
    pub vote_id: VoteId,
    /// What `vote.cast_ok` gave.
    pub receipt: String,
}

impl Inbound for Verify {
    fn read(_: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.whole()?;
        let receipt = fields.text("receipt");
        Ok(Self { vote_id: fields.id("vote_id", Reason::VoteNotFound)?, receipt: receipt? })
    }
}

/// `vote.cast_ok`: the ballot is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastOk {
    /// Always true.
    pub success: bool,
    /// What to verify with later: lowercase hex.
    pub receipt: String,
    /// This voter's own count of casts, 1 first.
    pub revision: u32,
}

impl CastOk {
    /// The reply to a cast.
    pub fn new(receipt: String, revision: u32) -> Self {
        Self { success: true, receipt, revision }
    }
}

impl Outbound for CastOk {
    const KIND: &'static str = "vote.cast_ok";
}

success! {
    /// `vote.veto_ok`: the token is spent.
    VetoOk "vote.veto_ok"
}

/// `vote.called`: the motion is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// As which vote.
    pub vote_id: VoteId,
}

impl Outbound for Called {
    const KIND: &'static str = "vote.called";
}

/// `vote.proof`: that a cast is one of those the result was counted from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(pub Box<RawValue>);

impl Outbound for Proof {
    const KIND: &'static str = "vote.proof";
}

/// What can be voted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteOption {
    /// What ballots call it.
    pub id: Arc<str>,
    /// What people read.
    pub label: Arc<str>,
}

/// `match.vote_start`: a vote is open; and an entry of `open_votes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its id.
    pub vote_id: VoteId,
    /// What it is called.
    pub template: String,
    /// What can be voted for, in declared order.
    pub options: Vec<VoteOption>,
    /// How long it is open at most, in milliseconds.
    pub window_ms: u64,
    /// When it closes: unix milliseconds of the server's clock.
    pub deadline_ms: u64,
    /// How it is counted.
    pub method: Cow<'static, str>,
    /// What a ballot looks like: `choice`, `approvals`, `ranking` or `scores`.
    pub ballot: Cow<'static, str>,
    /// How many options one ballot may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_choices: Option<u32>,
    /// `live`, `hidden` or `secret`.
    pub visibility: Cow<'static, str>,
    /// Whether it can be vetoed.
    pub veto_enabled: bool,
    /// How many players may vote.
    pub eligible_count: u32,
    /// SHA-256 of the seed that breaks ties, in lowercase hex.
    pub seed_commit: String,
    /// Milliseconds left; in `open_votes` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_remaining_ms: Option<u64>,
    /// The reader's own ballot, as `option_id` takes it; in `open_votes` only, once cast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_ballot: Option<BallotInput>,
}

impl Outbound for Start {
    const KIND: &'static str = "match.vote_start";
}

/// `match.vote_tally`: how it stands, where that is public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Which vote.
    pub vote_id: VoteId,
    /// What each option has, those without votes too.
    pub tallies: ByOption<u128>,
    /// Milliseconds left.
    pub time_remaining_ms: u64,
    /// Ballots cast.
    pub total_votes: u64,
    /// Who would win now, if that is clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leading: Option<Arc<str>>,
}

impl Outbound for Tally {
    const KIND: &'static str = "match.vote_tally";
    fn lane(&self) -> Lane {
        Lane::Latest(SlotKind::VoteTally, slot_key(&self.vote_id))
    }
}

/// What the tally slot of a vote is keyed by: a result clears the slot by it.
pub fn slot_key(vote: &VoteId) -> u128 {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(vote.as_str())[..16]);
    u128::from_be_bytes(key)
}

/// `match.vote_result`: the vote is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which vote.
    pub vote_id: VoteId,
    /// `decided`, `tie`, `no_votes`, `no_quorum`, `no_consensus` or `cancelled`.
    pub status: Cow<'static, str>,
    /// The winner, or the first of several; `null` when there is none.
    pub winner: Option<Arc<str>>,
    /// All winners.
    pub winners: Vec<Arc<str>>,
    /// What each option got, those without votes too.
    pub counts: ByOption<u128>,
    /// Each option's share of that.
    pub distribution: ByOption<Thousandths>,
    /// Ballots cast.
    pub total_votes: u64,
    /// Ballots in the tally, defaults and delegations included.
    pub counted: u64,
    /// Eligible players who cast, of all eligible.
    pub turnout: Thousandths,
    /// The rounds of a run-off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// Every tie that had to be broken, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tie_broken: Vec<TieBroken>,
    /// The seed that broke ties, in lowercase hex.
    pub seed: String,
    /// The root over all casts, in lowercase hex.
    pub ballots_root: String,
}

impl Outbound for Outcome {
    const KIND: &'static str = "match.vote_result";
}

/// One round of a run-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// What each option holds; `null` once it is out.
    pub tally: ByOption<Option<u128>>,
    /// What no option holds any more.
    pub exhausted: u128,
    /// Who left in this round.
    pub eliminated: Vec<Arc<str>>,
    /// Who was elected in it.
    pub elected: Vec<Arc<str>>,
}

/// One tie that mattered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TieBroken {
    /// The round it came up in, from 1, where there are rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// What it was about: `win`, `elimination`, `order` or `runoff`.
    pub about: Cow<'static, str>,
    /// Who was equal.
    pub tied: Vec<Arc<str>>,
    /// Who was favoured.
    pub favoured: Vec<Arc<str>>,
    /// The word that settled it: `previous_rounds`, `declared_order` or `seeded_lot`; `null` when nothing did.
    pub by: Option<Cow<'static, str>>,
}

/// `match.vote_deadline`: a vote closes at another time than was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Which vote.
    pub vote_id: VoteId,
    /// Milliseconds left.
    pub time_remaining_ms: u64,
    /// When it closes: unix milliseconds of the server's clock.
    pub deadline_ms: u64,
    /// Why: `adaptive`, `paused`, `resumed`, ...
    pub reason: Cow<'static, str>,
}

impl Outbound for Deadline {
    const KIND: &'static str = "match.vote_deadline";
}

/// `match.vote_turn`: whose turn it is in a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Which vote.
    pub vote_id: VoteId,
    /// The turn, from 0.
    pub turn: u32,
    /// A player's id, `team:N` or `captain:N`.
    pub who: String,
    /// `ban` or `pick`.
    pub act: Cow<'static, str>,
    /// What is left to choose from.
    pub remaining: Vec<Arc<str>>,
    /// Milliseconds left.
    pub time_remaining_ms: u64,
    /// When it ends: unix milliseconds of the server's clock.
    pub deadline_ms: u64,
}

impl Outbound for Turn {
    const KIND: &'static str = "match.vote_turn";
}

/// `match.vote_vetoed`: the vote is over and has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vetoed {
    /// Which vote.
    pub vote_id: VoteId,
    /// By whom.
    pub vetoed_by: PlayerId,
}

impl Outbound for Vetoed {
    const KIND: &'static str = "match.vote_vetoed";
}

/// A value for each option: a JSON object that keeps its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByOption<V>(pub Vec<(Arc<str>, V)>);

impl<V> ByOption<V> {
    /// The value of one option.
    pub fn get(&self, id: &str) -> Option<&V> {
        self.0.iter().find(|(known, _)| &**known == id).map(|(_, value)| value)
    }
}

impl<V: Serialize> Serialize for ByOption<V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(id, value)| (id, value)))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for ByOption<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = ByOption<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value for each option")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByOption<V>, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(ByOption(entries))
            }
        }
        from.deserialize_map(Entries(std::marker::PhantomData))
    }
}

/// A share from 0 to 1 in thousandths, shown as `0.666` or `1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thousandths(pub u32);

impl Thousandths {
    /// `part` of `whole`, cut to thousandths; 0 of nothing.
    pub fn of(part: u128, whole: u128) -> Self {
        let share = match part.checked_mul(1000) {
            Some(thousand) => thousand / whole.max(1),
            // Sums beyond 2^118 lose digits far below a thousandth.
            None => part / (whole / 1000).max(1),
        };
        Self(u32::try_from(share.min(1000)).unwrap_or(1000))
    }
}

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Thousandths {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(from)?;
        if !(0.0..=1.0).contains(&share) {
            return Err(serde::de::Error::custom("expected a share from 0 to 1"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000 after the check above")]
        Ok(Self((share * 1000.0).round() as u32))
    }
}
