//! Votes: opened, cast, tallied, vetoed, decided.
//!
//! The server's pushes are the engine's own values (`engine::votes` names their fields as the wire does); the structs
//! here are what a client reads. Numbers by option are JSON objects in declared order.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use super::decode::Fields;
use super::error::{Reason, Refusal};
use super::frame::{Cid, Frame, Lane, Outbound, SlotKind, encode, raw};
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

/// `vote.veto_ok`: the token is spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VetoOk {
    /// Always true: what went wrong is an `error`.
    pub success: bool,
}

impl Default for VetoOk {
    fn default() -> Self {
        Self { success: true }
    }
}

impl Outbound for VetoOk {
    const KIND: &'static str = "vote.veto_ok";
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

/// `vote.proof`: that a cast is one of those the result was counted from, as the engine's audit puts it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(pub Box<RawValue>);

impl Outbound for Proof {
    const KIND: &'static str = "vote.proof";
}

/// The `vote.proof` frame of what the engine proves.
pub fn proof_frame(proof: &crate::engine::votes::told::Proof, cid: Option<&Cid>) -> Frame {
    encode(Proof::KIND, cid, proof)
}

/// What can be voted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteOption {
    /// What ballots call it.
    pub id: String,
    /// What people read.
    pub label: String,
}

/// `match.vote_start`: a vote is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub method: String,
    /// What a ballot looks like: `choice`, `approvals`, `ranking` or `scores`.
    pub ballot: String,
    /// How many options one ballot may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_choices: Option<u32>,
    /// The highest score, where ballots are scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How many are elected, where that is not one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<u32>,
    /// `live`, `hidden` or `secret`.
    pub visibility: String,
    /// Whether it can be vetoed.
    pub veto_enabled: bool,
    /// How many players may vote.
    pub eligible_count: u64,
    /// The hash of who they are, in lowercase hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligible_hash: Option<String>,
    /// SHA-256 of the seed that breaks ties, in lowercase hex.
    pub seed_commit: String,
    /// Who called it, for motions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_by: Option<PlayerId>,
    /// Whom it is about, for motions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PlayerId>,
    /// What its caller said beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
}

impl Outbound for Start {
    const KIND: &'static str = "match.vote_start";
}

/// An entry of `open_votes`: a vote that was open before its reader came, or came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenVote {
    /// As it was announced, with the deadline as it is now.
    #[serde(flatten)]
    pub start: Start,
    /// `open`, `closing` or `paused`.
    pub state: String,
    /// Milliseconds left.
    pub time_remaining_ms: u64,
    /// How it stands, where that is public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tallies: Option<ByOption<Number>>,
    /// Ballots cast, where tallies are public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_votes: Option<u64>,
    /// Who would win now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leading: Option<String>,
    /// The reader's own ballot, once cast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_ballot: Option<Value>,
    /// How often the reader has cast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The turn being played, in a draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
}

/// `match.vote_tally`: how it stands, where that is public.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Which vote.
    pub vote_id: VoteId,
    /// What each option has, those without votes too.
    pub tallies: ByOption<Number>,
    /// Milliseconds left.
    pub time_remaining_ms: u64,
    /// Ballots cast.
    pub total_votes: u64,
    /// Who would win now; absent while nobody, or more than one, would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leading: Option<String>,
    /// The rounds as they would be now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
}

impl Outbound for Tally {
    const KIND: &'static str = "match.vote_tally";
    fn lane(&self) -> Lane {
        tally_lane(&self.vote_id)
    }
}

/// The lane of a vote's tallies; a result clears this slot.
pub fn tally_lane(vote: &VoteId) -> Lane {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(vote.as_str())[..16]);
    Lane::Latest(SlotKind::VoteTally, u128::from_be_bytes(key))
}

/// `match.vote_result`: the vote is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which vote.
    pub vote_id: VoteId,
    /// What it was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// `decided`, `tie`, `no_votes`, `no_quorum`, `no_consensus` or `cancelled`.
    pub status: String,
    /// The winner, or the first of several; `null` when there is none.
    pub winner: Option<String>,
    /// All winners; in a tie, everybody who could be.
    pub winners: Vec<String>,
    /// What each option got, those without votes too. Raw: pools are added up as they are.
    pub counts: ByOption<Number>,
    /// The players' part of `counts`, where spectators cast too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub player_counts: Option<ByOption<Number>>,
    /// The spectators' part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectator_counts: Option<ByOption<Number>>,
    /// Each option's share of what decided, cut to three decimals.
    pub distribution: ByOption<f64>,
    /// What the method adds up, where that is not `counts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ByOption<Number>>,
    /// Ballots cast.
    pub total_votes: u64,
    /// Ballots in the tally, defaults and delegations included.
    pub counted: u64,
    /// Eligible players who cast, of all eligible, cut to three decimals.
    pub turnout: f64,
    /// The rounds of a run-off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// What the tallies of `rounds` are multiples of, where that is not 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// What an option needed (stv).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Number>,
    /// Whether a tie was broken.
    #[serde(default)]
    pub tie_broken: bool,
    /// Where, and by which word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ties: Vec<Tie>,
    /// Why it was called off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whom it was about, for motions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PlayerId>,
    /// What its caller said beside it, for motions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// What passing it does, for motions: `kick`, `surrender`, `rematch`, `extend`, or `game`, which decides by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_pass: Option<String>,
    /// The seed that broke ties, in lowercase hex.
    pub seed: String,
    /// The root over all casts, in lowercase hex.
    pub ballots_root: String,
}

impl Outbound for Outcome {
    const KIND: &'static str = "match.vote_result";
}

/// The `match.vote_result` frame around a result that is encoded already: the record holds the same bytes.
pub fn result_frame(payload: &str) -> Frame {
    encode("match.vote_result", None, &raw(payload))
}

/// What the engine says of a vote, under its type on the wire: its structs are the payloads, field for field.
pub fn said(kind: &'static str, payload: &impl Serialize) -> Frame {
    encode(kind, None, payload)
}

/// One round of a run-off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// What each option holds; `null` once it is out.
    pub tally: ByOption<Option<Number>>,
    /// What no option holds any more.
    pub exhausted: Number,
    /// Who left at the end of it.
    pub eliminated: Vec<String>,
    /// Who was elected in it.
    pub elected: Vec<String>,
    /// What moved at the end of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<Transfer>,
}

/// Weight that moved; `to` is `null` when no option holds it any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Whose it was.
    pub from: String,
    /// Whose it is.
    pub to: Option<String>,
    /// How much.
    pub amount: Number,
}

/// One tie that mattered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tie {
    /// What it was about: `win`, `elimination`, `order` or `runoff`.
    pub about: String,
    /// The round it came up in, from 0, where there are rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Who was equal.
    pub tied: Vec<String>,
    /// Who was favoured.
    pub favoured: Vec<String>,
    /// The word that settled it: `previous_rounds`, `declared_order` or `seeded_lot`; `null` when nothing did.
    pub by: Option<String>,
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
    /// Why: `adaptive`, `paused` or `resumed`.
    pub reason: String,
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
    pub act: String,
    /// What is left to choose from.
    pub remaining: Vec<String>,
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
pub struct ByOption<V>(pub Vec<(String, V)>);

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
