//! What a closed vote comes to: one function from groups of ballots to the payload of `match.vote_result`. The vote in
//! play and the recount of its record both end here, so that the two are equal byte for byte.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::audit::Hash;
use super::ballot::{BallotKind, OptionIx};
use super::config::{BP, OnPass, VoteConfig, VoteOption};
use super::count::{Count, CountStatus, Evidence, Round, TieFor};
use super::draft::DraftOutcome;
use super::methods::Method;
use super::pools::{Group, Pool, Turnout, profile, scales};
use super::profile::Profile;
use super::ties::TieBreak;
use crate::ids::{PlayerId, VoteId};

/// How a vote ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// There is a winner.
    Decided,
    /// The tie chain left it open; `winners` holds everybody who could still win.
    Tie,
    /// Nobody voted for anything; the winner is the configured `fallback`, if any.
    NoVotes,
    /// Too few of the eligible cast.
    NoQuorum,
    /// The winner stayed below the required supermajority.
    NoConsensus,
    /// It was called off, or failed.
    Cancelled,
    /// Players vetoed it; only records say so.
    Vetoed,
}

impl Status {
    /// The word on the wire and in records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Tie => "tie",
            Self::NoVotes => "no_votes",
            Self::NoQuorum => "no_quorum",
            Self::NoConsensus => "no_consensus",
            Self::Cancelled => "cancelled",
            Self::Vetoed => "vetoed",
        }
    }
}

/// What put an end to a vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Its window: the ballots are counted.
    Counted,
    /// Somebody called it off; nothing is counted.
    Cancelled {
        /// Why, in a word or a sentence.
        reason: String,
    },
    /// Players vetoed it; nothing is counted.
    Vetoed,
}

/// Everything that a result is derived from.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Its name.
    pub vote_id: &'a VoteId,
    /// Its rules.
    pub config: &'a VoteConfig,
    /// How it is counted.
    pub method: &'static Method,
    /// The seed of its lots.
    pub seed: Hash,
    /// How many players may vote.
    pub eligible: u64,
    /// How many cast.
    pub turnout: Turnout,
    /// What is counted.
    pub groups: &'a [Group],
    /// The weight that stands for one ballot.
    pub unit: u64,
    /// The root over all casts.
    pub root: Hash,
    /// What put an end to it.
    pub end: &'a End,
    /// What a draft came to; `None` for votes that are counted.
    pub draft: Option<&'a DraftOutcome>,
    /// What its caller said beside it, for motions.
    pub args: Option<&'a Value>,
}

/// The payload of `match.vote_result`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteResult {
    /// Which vote.
    pub vote_id: VoteId,
    /// Its label.
    pub template: String,
    /// How it ended.
    pub status: Status,
    /// Who won; null when nobody did.
    pub winner: Option<String>,
    /// Everybody who won, or, in a tie, who could.
    pub winners: Vec<String>,
    /// Votes, approvals, weight or sums of each option; first preferences where ballots are rankings. Raw: pools are
    /// added up as they are.
    pub counts: PerOption<Amount>,
    /// The players' part of `counts`, where spectators cast too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub player_counts: Option<PerOption<Amount>>,
    /// The spectators' part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectator_counts: Option<PerOption<Amount>>,
    /// Each option's part of what decided, cut to three decimals.
    pub distribution: PerOption<Milli>,
    /// What the method adds up, where that is not `counts`: points, sums, victories, worst defeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<PerOption<Amount>>,
    /// Ballots cast.
    pub total_votes: u64,
    /// Ballots in the tally, defaults and delegations included.
    pub counted: u64,
    /// Eligible players who cast, of all eligible players, cut to three decimals.
    pub turnout: Milli,
    /// The rounds of a run-off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<WireRound>,
    /// What the tallies of `rounds` are multiples of, where that is not 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// What an option needed (stv).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Amount>,
    /// Whether a tie was broken.
    pub tie_broken: bool,
    /// Where, and by which word.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ties: Vec<WireTie>,
    /// Why it was called off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whom it was about, for motions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PlayerId>,
    /// What its caller said beside it, for motions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// What passing it does, for motions: games read it, so that a motion may have any name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_pass: Option<OnPass>,
    /// What the lots were drawn from; its SHA-256 was announced at the start.
    pub seed: Hash,
    /// The root over all casts.
    pub ballots_root: Hash,
}

impl VoteResult {
    /// The payload's bytes: what is broadcast, stored, and recounted.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("a result is plain data: {error}"))
    }
}

/// One round of a run-off with option ids.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WireRound {
    /// What each option holds; null once it is out.
    pub tally: PerOption<Option<Amount>>,
    /// What no option holds any more.
    pub exhausted: Amount,
    /// Who goes at the end of it.
    pub eliminated: Vec<String>,
    /// Who is elected in it.
    pub elected: Vec<String>,
    /// What moved at the end of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<WireTransfer>,
}

/// Weight that moved; `to` is null when it is exhausted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WireTransfer {
    /// Whose it was.
    pub from: String,
    /// Whose it is.
    pub to: Option<String>,
    /// How much.
    pub amount: Amount,
}

/// A tie that mattered, with option ids.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WireTie {
    /// What it was about.
    pub about: TieFor,
    /// The round it came up in, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<usize>,
    /// Who was equal.
    pub tied: Vec<String>,
    /// Who was favoured.
    pub favoured: Vec<String>,
    /// The word that settled it; null when it was left open.
    pub by: Option<TieBreak>,
}

/// A value for every option, in declared order, options without votes included.
#[derive(Debug, Clone, PartialEq)]
pub struct PerOption<T>(pub Vec<(String, T)>);

impl<T> PerOption<T> {
    /// One value per option of `options`.
    pub fn new(options: &[VoteOption], values: impl IntoIterator<Item = T>) -> Self {
        Self(options.iter().map(|option| option.id.clone()).zip(values).collect())
    }
}

impl<T: Serialize> Serialize for PerOption<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (id, value) in &self.0 {
            map.serialize_entry(id, value)?;
        }
        map.end()
    }
}

/// A sum of weights: whole ballots, or ten-thousandths of one where losses add fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    value: u128,
    unit: u64,
}

impl Amount {
    /// A whole number.
    pub fn whole(value: u128) -> Self {
        Self { value, unit: 1 }
    }

    /// `value` in multiples of `1 / unit`.
    pub fn parts(value: u128, unit: u64) -> Self {
        Self { value, unit: unit.max(1) }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let unit = u128::from(self.unit);
        if !self.value.is_multiple_of(unit) {
            return to.serialize_f64(self.value as f64 / self.unit as f64);
        }
        let whole = self.value / unit;
        match u64::try_from(whole) {
            Ok(small) => to.serialize_u64(small),
            Err(_) => to.serialize_u128(whole),
        }
    }
}

/// A number with three decimals, cut, shown with at least one: `0.666`, `1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Milli(pub u64);

impl Milli {
    /// `part` of `whole`, cut to three decimals; 0 of nothing.
    pub fn cut(part: u128, whole: u128) -> Self {
        if whole == 0 {
            return Self(0);
        }
        // A sum too large to be multiplied by a thousand has digits to spare.
        let (part, whole) = if part > u128::MAX / 1_000 { (part >> 10, whole >> 10) } else { (part, whole) };
        Self(u64::try_from(part * 1_000 / whole).unwrap_or(u64::MAX))
    }
}

impl Serialize for Milli {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.0 as f64 / 1_000.0)
    }
}

/// The result of a vote.
pub fn result(facts: &Facts<'_>) -> VoteResult {
    let config = facts.config;
    let options = &config.options;
    let zero = || PerOption::new(options, options.iter().map(|_| Amount::whole(0)));
    let mut result = VoteResult {
        vote_id: facts.vote_id.clone(),
        template: config.template.clone(),
        status: Status::Cancelled,
        winner: None,
        winners: Vec::new(),
        counts: zero(),
        player_counts: None,
        spectator_counts: None,
        distribution: PerOption::new(options, options.iter().map(|_| Milli(0))),
        scores: None,
        total_votes: facts.turnout.players + facts.turnout.spectators,
        counted: 0,
        turnout: Milli::cut(facts.turnout.players.into(), facts.eligible.into()),
        rounds: Vec::new(),
        scale: None,
        quota: None,
        tie_broken: false,
        ties: Vec::new(),
        reason: None,
        target: config.target,
        args: facts.args.cloned(),
        on_pass: (facts.method.name == "motion").then_some(config.on_pass),
        seed: facts.seed,
        ballots_root: facts.root,
    };
    match (facts.end, facts.draft) {
        (End::Counted, Some(draft)) => drafted(&mut result, facts, draft),
        (End::Counted, None) => counted(&mut result, facts),
        (End::Cancelled { reason }, _) => result.reason = Some(reason.clone()),
        (End::Vetoed, _) => result.status = Status::Vetoed,
    }
    result
}

fn drafted(result: &mut VoteResult, facts: &Facts<'_>, draft: &DraftOutcome) {
    let options = &facts.config.options;
    let winners = draft.winners();
    let held = |at: usize| u128::from(winners.iter().any(|winner| usize::from(*winner) == at));
    result.status = Status::Decided;
    result.counted = draft.turns_taken() as u64;
    result.counts = PerOption::new(options, (0..options.len()).map(|at| Amount::whole(held(at))));
    let all = winners.len() as u128;
    result.distribution = PerOption::new(options, (0..options.len()).map(|at| Milli::cut(held(at), all)));
    result.winners = names(options, winners);
    result.winner = result.winners.first().cloned();
}

fn counted(result: &mut VoteResult, facts: &Facts<'_>) {
    let config = facts.config;
    let options = &config.options;
    let profile = profile(facts.groups, facts.method.ballot, options.len(), scales(config, facts.turnout));
    let rules = config.count_rules(facts.method, &facts.seed.0, facts.eligible.into());
    let count = facts.method.count(&rules, &profile);

    result.counted = facts.groups.iter().map(|group| group.ballots).sum();
    let raw = |pool| raw_counts(facts.groups, facts.method, options.len(), facts.unit, pool);
    result.counts = PerOption::new(options, raw(None));
    if facts.turnout.players > 0 && facts.turnout.spectators > 0 {
        result.player_counts = Some(PerOption::new(options, raw(Some(Pool::Players))));
        result.spectator_counts = Some(PerOption::new(options, raw(Some(Pool::Spectators))));
    }
    let decided_by = count.first_preferences.as_ref().unwrap_or(&count.scores);
    let whole: u128 = decided_by.iter().sum();
    result.distribution = PerOption::new(options, decided_by.iter().map(|part| Milli::cut(*part, whole)));
    if count.first_preferences.as_ref().is_some_and(|firsts| *firsts != count.scores) {
        result.scores = Some(PerOption::new(options, count.scores.iter().copied().map(Amount::whole)));
    }
    result.rounds = wire_rounds(&count.rounds, options);
    result.scale = (count.scale != 1).then_some(count.scale);
    result.quota = count.quota.map(Amount::whole);
    result.tie_broken = count.tie_broken();
    result.ties = count
        .tie_events
        .iter()
        .map(|tie| WireTie {
            about: tie.about,
            round: tie.round,
            tied: names(options, &tie.tied),
            favoured: names(options, &tie.favoured),
            by: tie.by,
        })
        .collect();

    let quorum =
        u128::from(facts.turnout.players) * u128::from(BP) >= u128::from(config.quorum_bp) * u128::from(facts.eligible);
    result.status = match count.status {
        CountStatus::NoVotes => Status::NoVotes,
        _ if !quorum => Status::NoQuorum,
        CountStatus::Tie => Status::Tie,
        CountStatus::Decided if config.require_supermajority && !has_supermajority(config, &count, &profile) => {
            Status::NoConsensus
        }
        CountStatus::Decided => Status::Decided,
    };
    match result.status {
        Status::Decided => {
            result.winners = names(options, &count.winners);
            result.winner = result.winners.first().cloned();
        }
        Status::Tie => result.winners = names(options, &count.winners),
        Status::NoVotes => {
            result.winner = config.fallback.clone();
            result.winners = config.fallback.iter().cloned().collect();
        }
        _ => {}
    }
}

/// Whether the winner reached `supermajority_bp` of the ballots that say something.
fn has_supermajority(config: &VoteConfig, count: &Count, profile: &Profile) -> bool {
    let Some(&winner) = count.winners.first() else { return false };
    support(config, count, profile, usize::from(winner))
        .into_iter()
        .all(|(part, whole)| whole > 0 && at_least(part, whole, config.supermajority_bp))
}

/// What a winner holds of what, by method: shares that each have to reach a supermajority.
fn support(config: &VoteConfig, count: &Count, profile: &Profile, winner: usize) -> Vec<(u128, u128)> {
    if let Evidence::Motion { yes, of, .. } = count.evidence {
        return vec![(yes, of)];
    }
    if let Evidence::Runoff { finalists, preferred } = count.evidence {
        let at = usize::from(usize::from(finalists[0]) != winner);
        return vec![(preferred[at], preferred[0] + preferred[1])];
    }
    if let Some(last) = count.rounds.last() {
        let held = |option: &Option<u128>| option.unwrap_or(0);
        return vec![(last.tally.get(winner).map_or(0, held), last.tally.iter().map(held).sum())];
    }
    if let Some(matrix) = &count.matrix {
        // Head to head: the winner must hold the supermajority against every rival that anybody compared it with.
        let rivals = (0..matrix.size()).filter(|rival| *rival != winner);
        return rivals
            .map(|rival| (matrix.get(winner, rival), matrix.get(winner, rival) + matrix.get(rival, winner)))
            .filter(|(_, whole)| *whole > 0)
            .collect();
    }
    let scores = count.first_preferences.as_ref().unwrap_or(&count.scores);
    let most = if profile.kind() == BallotKind::Scores { u128::from(config.max) } else { 1 };
    vec![(scores[winner], profile.marked_weight().saturating_mul(most))]
}

/// `part / whole >= bp / 10,000`, by cross-multiplication.
pub fn at_least(part: u128, whole: u128, bp: u32) -> bool {
    part.saturating_mul(BP.into()) >= whole.saturating_mul(bp.into())
}

/// Raw counts of one pool, or of both.
pub fn raw_counts(
    groups: &[Group],
    method: &Method,
    options: usize,
    unit: u64,
    pool: Option<Pool>,
) -> impl Iterator<Item = Amount> + use<> {
    let mut sums = vec![0u128; options];
    let weighted = method.name == "weighted";
    for group in groups.iter().filter(|group| pool.is_none_or(|pool| group.pool == pool)) {
        let each = if weighted { group.weight } else { group.ballots.into() };
        add_raw(&mut sums, &group.ballot, |sum, times| *sum += each * u128::from(times));
    }
    let unit = if weighted { unit } else { 1 };
    sums.into_iter().map(move |sum| Amount::parts(sum, unit))
}

/// Calls `add` for every option that a ballot adds to on the wire, with how often it does: marks once, scores by their
/// value, of a ranking the first preference alone.
pub fn add_raw(sums: &mut [u128], ballot: &super::ballot::Ballot, mut add: impl FnMut(&mut u128, u32)) {
    use super::ballot::Ballot;
    match ballot {
        Ballot::Blank => {}
        Ballot::Choice(option) => add(&mut sums[usize::from(*option)], 1),
        Ballot::Approvals(marks) => marks.iter().for_each(|mark| add(&mut sums[usize::from(*mark)], 1)),
        Ballot::Ranking(tiers) => {
            if let Some([first]) = tiers.first().map(Vec::as_slice) {
                add(&mut sums[usize::from(*first)], 1);
            }
        }
        Ballot::Scores(scores) => sums.iter_mut().zip(scores).for_each(|(sum, score)| add(sum, *score)),
    }
}

/// Rounds with option ids.
pub fn wire_rounds(rounds: &[Round], options: &[VoteOption]) -> Vec<WireRound> {
    let name = |option: OptionIx| options[usize::from(option)].id.clone();
    rounds
        .iter()
        .map(|round| WireRound {
            tally: PerOption::new(options, round.tally.iter().map(|held| held.map(Amount::whole))),
            exhausted: Amount::whole(round.exhausted),
            eliminated: names(options, &round.eliminated),
            elected: names(options, &round.elected),
            transfers: round
                .transfers
                .iter()
                .map(|moved| WireTransfer {
                    from: name(moved.from),
                    to: moved.to.map(name),
                    amount: Amount::whole(moved.amount),
                })
                .collect(),
        })
        .collect()
}

fn names(options: &[VoteOption], which: &[OptionIx]) -> Vec<String> {
    which.iter().map(|option| options[usize::from(*option)].id.clone()).collect()
}
