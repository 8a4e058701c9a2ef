//! One vote in play, from its opening to its record: a value that is handed the time and says what should happen.
//!
//! The caller (an actor, or a test with a clock of its own) calls [`Vote::poll`] at [`Vote::next_deadline_ms`] and
//! does the effects in order. Every millisecond here is of one monotonic clock; unix time is only ever shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::audit::{self, Hash, LeafBallot, Tree};
use super::ballot::{Ballot, BallotKind, BallotRules};
use super::board::{Board, Posted};
use super::cast::{InputFault, ballot, ballot_json};
use super::coalesce::Coalesce;
use super::config::{BP, Fault, LateJoin, Roll, Spectators, Visibility, VoteConfig, WindowType};
use super::draft::{Draft, Teams};
use super::frustration::{Moods, satisfied};
use super::input::BallotInput;
use super::methods::Method;
use super::parts::{Cast, RecordParts};
use super::pools::{Group, Pool, Turnout, Weigh, groups};
use super::record::EndEntry;
use super::result::{End, Facts, Status, VoteResult, at_least, result};
use super::told::{
    Closed, Passed, Proof, Vetoed, VoteDeadline, VoteEffect, VoteStart, VoteTally, VoteTurn, VoteVetoed, VoteView,
};
use super::veto::{VetoOk, VetoRefusal, Vetoes};
use super::window::{Phase, Window};
use crate::ids::{MatchId, PlayerId, VoteId};
use crate::limits::{LOSSES_MAX, RESENT_CASTS_MAX};

/// What a vote is opened with.
#[derive(Debug, Clone)]
pub struct VoteOpen {
    /// Its rules.
    pub config: VoteConfig,
    /// Its name.
    pub vote_id: VoteId,
    /// The match it is about.
    pub match_id: Option<MatchId>,
    /// What ties are drawn from: 32 fresh random bytes.
    pub seed: [u8; 32],
    /// What a secret vote's ballots are sealed with: 32 more of them, forgotten at the close.
    pub secret: [u8; 32],
    /// Who may vote: the seated players.
    pub eligible: Vec<PlayerId>,
    /// Which of them are connected.
    pub present: Vec<PlayerId>,
    /// The spectators of the match.
    pub spectators: Vec<PlayerId>,
    /// The teams of the match, by the number that `team:N` names.
    pub teams: Teams,
    /// What lost votes add to ballots.
    pub weigh: Weigh,
    /// Who called it, for motions.
    pub called_by: Option<PlayerId>,
    /// What the caller said beside it.
    pub args: Option<Value>,
    /// Now, on the monotonic clock.
    pub now_ms: u64,
    /// Now, unix milliseconds.
    pub unix_ms: u64,
}

/// A ballot was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CastOk {
    /// The hash of the cast's leaf.
    pub receipt: Hash,
    /// The voter's own count of casts, 1 first.
    pub revision: u32,
}

/// Why a cast is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CastRefusal {
    /// The voter is in no pool of this vote, or it is not their turn.
    #[error("not eligible in this vote")]
    NotEligible,
    /// The vote is over, or the ballot was received too late.
    #[error("the vote is closed")]
    VoteClosed,
    /// The match stands still, and the vote with it.
    #[error("the match is paused")]
    MatchPaused,
    /// It names an option that is not there.
    #[error("{0}")]
    InvalidOption(InputFault),
    /// Its shape, its repetitions or its length.
    #[error("{0}")]
    InvalidBallot(InputFault),
    /// `max_revotes` changes were made.
    #[error("no more changes are left")]
    RateLimited,
}

impl CastRefusal {
    /// The flat word on the wire.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotEligible => "not_eligible",
            Self::VoteClosed => "vote_closed",
            Self::MatchPaused => "match_paused",
            Self::InvalidOption(_) => "invalid_option",
            Self::InvalidBallot(_) => "invalid_ballot",
            Self::RateLimited => "rate_limited",
        }
    }
}

impl From<InputFault> for CastRefusal {
    fn from(fault: InputFault) -> Self {
        match fault {
            InputFault::UnknownOption => Self::InvalidOption(fault),
            _ => Self::InvalidBallot(fault),
        }
    }
}

/// Who looks at a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Somebody in the match.
    Member(PlayerId),
    /// An operator: sees how many have cast, and no more of a hidden vote than anybody else.
    Operator,
}

/// One vote in play.
pub struct Vote {
    id: VoteId,
    match_id: Option<MatchId>,
    config: Arc<VoteConfig>,
    method: &'static Method,
    ballot_rules: BallotRules,
    seed: Hash,
    secret: Hash,
    weigh: Weigh,
    voters: BTreeMap<PlayerId, Voter>,
    eligible: Vec<PlayerId>,
    eligible_hash: Hash,
    /// What all players' ballots would weigh together.
    eligible_weight: u128,
    late: Vec<PlayerId>,
    spectators: Vec<PlayerId>,
    defaults: BTreeMap<PlayerId, Arc<Ballot>>,
    /// Shared with the record once the vote is over.
    casts: Arc<Vec<Cast>>,
    tree: Tree,
    turnout: Turnout,
    board: Board,
    window: Window,
    coalesce: Coalesce,
    vetoes: Vetoes,
    draft: Option<Draft>,
    called_by: Option<PlayerId>,
    args: Option<Value>,
    opened_ms: u64,
    opened_unix_ms: u64,
    root: Option<Hash>,
}

/// One voter.
struct Voter {
    pool: Pool,
    present: bool,
    weight: u64,
    /// The voter's last cast, as a place in `casts`.
    last: Option<usize>,
    revision: u32,
    sent: Vec<Sent>,
}

/// A cast as it came, to know it again.
struct Sent {
    cid: String,
    input: BallotInput,
    answer: CastOk,
}

impl std::fmt::Debug for Vote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither ballots nor seeds: a vote may be logged while it is open.
        write!(f, "Vote({}, {} casts)", self.id, self.tree.leaves().len())
    }
}

impl Vote {
    /// Opens a vote: says `vote_start`, and `vote_turn` where it is played in turns.
    ///
    /// # Errors
    /// Everything that would keep it from being tallied, at once.
    pub fn open(open: VoteOpen) -> Result<(Self, Vec<VoteEffect>), Vec<Fault>> {
        let VoteOpen { mut config, .. } = open;
        let excluded = config.target.filter(|_| config.exclude_target);
        let mut eligible = open.eligible;
        let mut seen = std::collections::BTreeSet::new();
        eligible.retain(|player| Some(*player) != excluded && seen.insert(*player));
        let mut spectators = match &config.spectators {
            Spectators::None | Spectators::Match(false) => Vec::new(),
            Spectators::Match(true) => open.spectators,
            Spectators::List(ids) => ids.clone(),
        };
        spectators.retain(|spectator| Some(*spectator) != excluded && seen.insert(*spectator));

        let mut faults = config.check(Roll { eligible: Some(&eligible), spectators: &spectators });
        let weigh = if ["motion", super::config::DRAFT].contains(&config.method_name()) {
            Weigh::default()
        } else {
            open.weigh
        };
        check_weights(&config, &weigh, &mut faults);
        check_turns(&config, &eligible, &open.teams, &mut faults);
        let (true, Some(method)) = (faults.is_empty(), config.method()) else { return Err(faults) };

        let ballot_rules = config.ballot_rules(method);
        let defaults = config
            .default_votes
            .iter()
            .filter_map(|(player, input)| {
                Some((*player, Arc::new(ballot(input, &config.options, &ballot_rules).ok()?)))
            })
            .collect();
        let draft = config.is_draft().then(|| Draft::new(config.turns.clone(), config.options.len(), open.teams));
        let mut window = Window::open(&config, open.now_ms);
        if draft.is_some() {
            // Turns have clocks of their own; all of them together are what clients are told as the window.
            config.window_type = WindowType::Fixed;
            config.window_ms = config.turns.iter().map(|turn| turn.window_ms).fold(0, u64::saturating_add);
            window = Window::open(&config, open.now_ms);
            window.restart(config.turns.first().map_or(0, |turn| turn.window_ms), open.now_ms);
        }
        let voter = |pool, present, weight| Voter { pool, present, weight, last: None, revision: 0, sent: Vec::new() };
        let mut voters = BTreeMap::new();
        for player in &eligible {
            let weight = weigh.of(*player, &config);
            voters.insert(*player, voter(Pool::Players, open.present.contains(player), weight));
        }
        for spectator in &spectators {
            voters.insert(*spectator, voter(Pool::Spectators, true, weigh.of(*spectator, &config)));
        }
        let mut vote = Self {
            board: Board::new(&config, method, weigh.unit(), eligible.len() as u64),
            id: open.vote_id,
            match_id: open.match_id,
            method,
            ballot_rules,
            seed: Hash(open.seed),
            secret: Hash(open.secret),
            voters,
            eligible_hash: audit::eligible_hash(&eligible),
            eligible_weight: eligible.iter().map(|player| u128::from(weigh.of(*player, &config))).sum(),
            eligible,
            weigh,
            late: Vec::new(),
            spectators,
            defaults,
            casts: Arc::default(),
            tree: Tree::default(),
            turnout: Turnout::default(),
            window,
            coalesce: Coalesce::default(),
            vetoes: Vetoes::new(config.veto_threshold),
            draft,
            called_by: open.called_by,
            args: open.args,
            opened_ms: open.now_ms,
            opened_unix_ms: open.unix_ms,
            root: None,
            config: Arc::new(config),
        };
        let mut effects = vec![VoteEffect::Started(vote.start())];
        effects.extend(vote.turn(open.now_ms).map(VoteEffect::Turn));
        vote.settle(open.now_ms, &mut effects);
        Ok((vote, effects))
    }

    /// Its name.
    pub fn id(&self) -> &VoteId {
        &self.id
    }

    /// Its rules.
    pub fn config(&self) -> &VoteConfig {
        &self.config
    }

    /// Whether it is over.
    pub fn closed(&self) -> bool {
        self.root.is_some()
    }

    /// Takes a ballot that the server received at `received_ms`. A cast that was accepted before and is sent again
    /// (same cid, same ballot) gets the answer it got then and changes nothing, whatever happened since.
    ///
    /// # Errors
    /// A [`CastRefusal`]; nothing has changed then.
    pub fn cast(
        &mut self,
        player: PlayerId,
        cid: Option<&str>,
        input: BallotInput,
        received_ms: u64,
        now_ms: u64,
        effects: &mut Vec<VoteEffect>,
    ) -> Result<CastOk, CastRefusal> {
        let voter = self.voters.get(&player).ok_or(CastRefusal::NotEligible)?;
        if let Some(answer) = cid.and_then(|cid| voter.sent_before(cid, &input)) {
            return Ok(answer);
        }
        if self.closed() {
            return Err(CastRefusal::VoteClosed);
        }
        // Asked before the deadline is: while the match stands still, a deadline that the clock has passed is not.
        if self.window.paused() {
            return Err(CastRefusal::MatchPaused);
        }
        if !self.window.takes(received_ms) {
            return Err(CastRefusal::VoteClosed);
        }
        let ballot = ballot(&input, &self.config.options, &self.ballot_rules)?;
        if let Some(draft) = &self.draft {
            let here = |id: &PlayerId| self.voters.get(id).is_some_and(|voter| voter.present);
            if !draft.may_act(player, here) {
                return Err(CastRefusal::NotEligible);
            }
            match ballot {
                Ballot::Choice(option) if draft.outcome().remaining().contains(&option) => {}
                Ballot::Choice(_) => return Err(InputFault::UnknownOption.into()),
                _ => return Err(CastRefusal::InvalidBallot(InputFault::Shape)),
            }
        } else if voter.revision > self.config.max_revotes {
            return Err(CastRefusal::RateLimited);
        }
        Ok(self.accept(player, cid, input, ballot, now_ms, effects))
    }

    fn accept(
        &mut self,
        player: PlayerId,
        cid: Option<&str>,
        input: BallotInput,
        ballot: Ballot,
        now_ms: u64,
        effects: &mut Vec<VoteEffect>,
    ) -> CastOk {
        let seq = self.tree.leaves().len() as u64;
        let said = ballot_json(&ballot, &self.config.options);
        let leaf_ballot = if self.config.visibility == Visibility::Secret {
            LeafBallot::Sealed(audit::seal(&self.secret, seq, &said))
        } else {
            LeafBallot::Open(said)
        };
        let voter = self.voters.get_mut(&player).unwrap_or_else(|| unreachable!("cast looked the voter up"));
        voter.revision += 1;
        voter.present = true;
        let (pool, weight) = (voter.pool, voter.weight);
        let receipt = audit::leaf(&audit::leaf_text(&self.id, seq, player, voter.revision, &leaf_ballot));
        let answer = CastOk { receipt, revision: voter.revision };
        if let Some(cid) = cid {
            if voter.sent.len() == RESENT_CASTS_MAX {
                voter.sent.remove(0);
            }
            voter.sent.push(Sent { cid: cid.to_owned(), input, answer });
        }
        let old = voter.last.replace(self.casts.len());
        match (old, pool) {
            (None, Pool::Players) => self.turnout.players += 1,
            (None, Pool::Spectators) => self.turnout.spectators += 1,
            (Some(_), _) => {}
        }
        self.tree.push(receipt);
        let cast = Cast { voter: player, revision: answer.revision, ballot: Arc::new(ballot) };
        Arc::make_mut(&mut self.casts).push(cast);

        let new = &*self.casts[self.casts.len() - 1].ballot;
        if let (Some(draft), Ballot::Choice(option)) = (&mut self.draft, new) {
            draft.take(*option, Some(player));
            self.next_turn(now_ms, effects);
            return answer;
        }
        let old = old.map(|at| Posted { pool, ballot: &self.casts[at].ballot, weight });
        self.board.post(Posted { pool, ballot: new, weight }, old);
        if self.config.visibility == Visibility::Live && self.coalesce.ballot(now_ms) {
            effects.push(VoteEffect::Tally(self.tally(now_ms)));
        }
        self.settle(now_ms, effects);
        answer
    }

    /// Takes a veto; `has_token` says whether the match holds a token of the player for it. Of several players that
    /// are needed, each spends one; vetoing twice spends nothing more and adds nothing.
    ///
    /// # Errors
    /// A [`VetoRefusal`]; the token is free again.
    pub fn veto(
        &mut self,
        player: PlayerId,
        has_token: bool,
        now_ms: u64,
        effects: &mut Vec<VoteEffect>,
    ) -> Result<VetoOk, VetoRefusal> {
        if self.closed() {
            return Err(VetoRefusal::VoteClosed);
        }
        if !self.config.veto_enabled {
            return Err(VetoRefusal::VetoDisabled);
        }
        if self.voters.get(&player).is_none_or(|voter| voter.pool != Pool::Players) {
            return Err(VetoRefusal::NotEligible);
        }
        if self.vetoes.has(&player) {
            return Ok(VetoOk { spent: false });
        }
        if !has_token {
            return Err(VetoRefusal::NoVetoTokens);
        }
        if self.vetoes.add(player) {
            let (record, ..) = self.finish(&End::Vetoed, now_ms, "");
            let push = VoteVetoed { vote_id: self.id.clone(), vetoed_by: player };
            effects.push(VoteEffect::Vetoed(Box::new(Vetoed { push, payload: record.result.clone(), record })));
        }
        Ok(VetoOk { spent: true })
    }

    /// A player took a seat, or came back to it.
    pub fn player_joined(&mut self, player: PlayerId, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        if self.closed() {
            return;
        }
        let excluded = self.config.exclude_target && self.config.target == Some(player);
        match self.voters.get_mut(&player) {
            Some(voter) => voter.present = true,
            None if excluded || self.config.late_join == LateJoin::Observe => return,
            None => {
                let weight = self.weigh.of(player, &self.config);
                self.eligible_weight += u128::from(weight);
                let voter =
                    Voter { pool: Pool::Players, present: true, weight, last: None, revision: 0, sent: Vec::new() };
                self.voters.insert(player, voter);
                self.late.push(player);
            }
        }
        self.settle(now_ms, effects);
    }

    /// A spectator came: in the pool from then on where the match's spectators vote and newcomers may.
    pub fn spectator_joined(&mut self, spectator: PlayerId) {
        let open_pool = self.config.spectators == Spectators::Match(true);
        let newcomer = !self.voters.contains_key(&spectator);
        if self.closed() || !open_pool || !newcomer || self.config.late_join == LateJoin::Observe {
            return;
        }
        let weight = self.weigh.of(spectator, &self.config);
        let voter = Voter { pool: Pool::Spectators, present: true, weight, last: None, revision: 0, sent: Vec::new() };
        self.voters.insert(spectator, voter);
        self.spectators.push(spectator);
    }

    /// A player left the match, or lost the connection: their ballot stands, and nobody waits for one.
    pub fn player_left(&mut self, player: PlayerId, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        if let Some(voter) = self.voters.get_mut(&player) {
            voter.present = false;
            self.settle(now_ms, effects);
        }
    }

    /// A player's connection was lost; the seat is kept. As [`Self::player_left`].
    pub fn player_absent(&mut self, player: PlayerId, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        self.player_left(player, now_ms, effects);
    }

    /// A player's connection is back. As [`Self::player_joined`].
    pub fn player_present(&mut self, player: PlayerId, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        self.player_joined(player, now_ms, effects);
    }

    /// The match stands still: so does the clock, and nobody may cast.
    pub fn pause(&mut self, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        if !self.closed() && self.window.pause(now_ms) {
            effects.push(VoteEffect::Deadline(self.deadline("paused", now_ms)));
        }
    }

    /// The match goes on: every deadline moves by the time it stood still.
    pub fn resume(&mut self, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        if !self.closed() && self.window.resume(now_ms) {
            effects.push(VoteEffect::Deadline(self.deadline("resumed", now_ms)));
            self.settle(now_ms, effects);
        }
    }

    /// Calls it off: nothing is counted, the result says `cancelled` and why.
    pub fn cancel(&mut self, reason: &str, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        if !self.closed() {
            self.close(End::Cancelled { reason: reason.to_owned() }, "", now_ms, effects);
        }
    }

    /// Does what is due at `now_ms`.
    pub fn poll(&mut self, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        while !self.closed() && self.draft.is_some() && self.window.over(now_ms) {
            self.turn_ran_out(now_ms, effects);
        }
        self.settle(now_ms, effects);
        if !self.closed() && self.coalesce.due(now_ms) {
            effects.push(VoteEffect::Tally(self.tally(now_ms)));
        }
    }

    /// When to call [`Self::poll`] next; `None` while nothing can become due by itself.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        if self.closed() {
            return None;
        }
        [self.window.next_ms(self.everyone_voted()), self.coalesce.next_ms()].into_iter().flatten().min()
    }

    /// What somebody who comes in, or an operator, is shown of it.
    pub fn view(&self, viewer: Viewer, now_ms: u64) -> VoteView {
        let live = self.config.visibility == Visibility::Live;
        let standing = live.then(|| self.board.standing(&self.config, self.turnout, || self.groups().0));
        let own = match viewer {
            Viewer::Member(player) => self.voters.get(&player).filter(|voter| voter.last.is_some()),
            Viewer::Operator => None,
        };
        let own_ballot = own.and_then(|voter| voter.last).map(|at| &self.casts[at].ballot);
        let told = live || viewer == Viewer::Operator;
        VoteView {
            start: self.start(),
            state: match self.window.phase(now_ms) {
                _ if self.closed() => "closed",
                _ if self.window.paused() => "paused",
                Phase::Open => "open",
                Phase::Closing | Phase::Over => "closing",
            },
            time_remaining_ms: self.window.remaining_ms(now_ms),
            leading: standing.as_ref().and_then(|standing| standing.leading.clone()),
            tallies: standing.map(|standing| standing.tallies),
            total_votes: told.then_some(self.turnout.players + self.turnout.spectators),
            own_ballot: own_ballot.map(|ballot| ballot_json(ballot, &self.config.options)),
            revision: own.map(|voter| voter.revision),
            turn: self.turn(now_ms),
        }
    }

    /// The proof that a receipt is in the tally; `None` when it is nobody's. While the vote is open, only that it is
    /// known is said: a place would tell how many have cast.
    pub fn verify(&self, receipt: Hash) -> Option<Proof> {
        let at = self.tree.leaves().iter().position(|known| *known == receipt)?;
        let open = self.root.is_none();
        let sealed = self.config.visibility == Visibility::Secret;
        // After the close a secret vote has forgotten its casts; its receipts are all there is.
        let leaf = self.casts.get(at).filter(|_| !open && !sealed).map(|cast| {
            let said = LeafBallot::Open(ballot_json(&cast.ballot, &self.config.options));
            audit::leaf_text(&self.id, at as u64, cast.voter, cast.revision, &said)
        });
        Some(Proof {
            vote_id: self.id.clone(),
            receipt,
            closed: !open,
            index: (!open).then_some(at as u64),
            leaves: (!open).then_some(self.tree.leaves().len() as u64),
            leaf,
            path: if open { None } else { self.tree.path(at) },
            ballots_root: self.root,
        })
    }

    /// Closes, shortens or leaves alone: everything that follows from who has voted and what time it is.
    fn settle(&mut self, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        if self.closed() || self.draft.is_some() || self.window.paused() {
            return;
        }
        let config = &self.config;
        let quorum = config.close_on_quorum
            && self.turnout.players > 0
            && at_least(self.turnout.players.into(), self.players_len().into(), config.quorum_bp);
        if self.window.over(now_ms) {
            self.close(End::Counted, "deadline", now_ms, effects);
        } else if quorum {
            self.close(End::Counted, "quorum", now_ms, effects);
        } else if self.window.may_close_early(self.everyone_voted(), now_ms) {
            self.close(End::Counted, "everyone_voted", now_ms, effects);
        } else if config.window_type == WindowType::Adaptive
            && self.leader_has_supermajority()
            && self.window.shrink(now_ms)
        {
            effects.push(VoteEffect::Deadline(self.deadline("adaptive", now_ms)));
        }
    }

    /// Whether every present eligible player has voted, and anybody has: a room that everybody left decides nothing.
    fn everyone_voted(&self) -> bool {
        matches!(self.config.window_type, WindowType::ReadyUp | WindowType::Hybrid)
            && self.turnout.players > 0
            && self.voters.values().all(|voter| voter.pool != Pool::Players || !voter.present || voter.last.is_some())
    }

    /// Whether the leader holds the supermajority of *all eligible* weight, so that the rest can hardly matter.
    fn leader_has_supermajority(&self) -> bool {
        let most = if self.method.ballot == BallotKind::Scores { self.config.max } else { 1 };
        let leader = self.board.most_backed();
        leader > 0 && at_least(leader, self.eligible_weight.saturating_mul(most.into()), self.config.supermajority_bp)
    }

    fn players_len(&self) -> u64 {
        (self.eligible.len() + self.late.len()) as u64
    }

    /// The clock of a draft's turn ran out: its default is done.
    fn turn_ran_out(&mut self, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        if let Some(draft) = &mut self.draft
            && let Some(option) = draft.default_option(&self.seed, &self.config.options)
        {
            draft.take(option, None);
        }
        self.next_turn(now_ms, effects);
    }

    fn next_turn(&mut self, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        let window_ms = self.draft.as_ref().and_then(Draft::current).map(|(_, turn)| turn.window_ms);
        match window_ms {
            Some(window_ms) => {
                self.window.restart(window_ms, now_ms);
                effects.extend(self.turn(now_ms).map(VoteEffect::Turn));
            }
            None => self.close(End::Counted, "last_turn", now_ms, effects),
        }
    }

    fn close(&mut self, end: End, why: &str, now_ms: u64, effects: &mut Vec<VoteEffect>) {
        let (record, result, moods) = self.finish(&end, now_ms, why);
        let payload = record.result.clone();
        let passed = (self.config.method_name() == "motion"
            && result.status == Status::Decided
            && result.winner.as_deref() == Some("yes"))
        .then_some(Passed { on_pass: self.config.on_pass, target: self.config.target, called_by: self.called_by });
        effects.push(VoteEffect::Closed(Box::new(Closed { result, payload, record, moods, passed })));
    }

    /// The ballots that count now.
    fn groups(&self) -> (Vec<Group>, Turnout) {
        let cast: BTreeMap<PlayerId, Arc<Ballot>> = self
            .voters
            .iter()
            .filter_map(|(player, voter)| Some((*player, self.casts[voter.last?].ballot.clone())))
            .collect();
        let players: Vec<PlayerId> = self.eligible.iter().chain(&self.late).copied().collect();
        groups(&self.config, &self.weigh, &players, &self.spectators, &cast, &self.defaults)
    }

    /// Works out the result and gathers what the record will be written from.
    fn finish(&mut self, end: &End, now_ms: u64, why: &str) -> (RecordParts, VoteResult, Moods) {
        let root = self.tree.root();
        self.root = Some(root);
        let (groups, turnout) = match (&self.draft, end) {
            (None, End::Counted) => self.groups(),
            _ => (Vec::new(), self.turnout),
        };
        let result = result(&Facts {
            vote_id: &self.id,
            config: &self.config,
            method: self.method,
            seed: self.seed,
            eligible: self.players_len(),
            turnout,
            groups: &groups,
            unit: self.weigh.unit(),
            root,
            end,
            draft: self.draft.as_ref().map(Draft::outcome),
            args: self.args.as_ref(),
        });
        let secret = self.config.visibility == Visibility::Secret;
        // Motions and drafts are not about who usually gets their way.
        let counted = self.draft.is_none() && self.config.method_name() != "motion";
        let moods = if counted && !secret && result.status == Status::Decided {
            self.moods(&result.winners)
        } else {
            Moods::default()
        };
        if secret {
            // From here on nothing in memory leads from a voter to a ballot either.
            self.secret = Hash([0; 32]);
            self.casts = Arc::default();
            self.voters.values_mut().for_each(|voter| {
                voter.last = None;
                voter.sent.clear();
            });
        }
        let record = RecordParts {
            vote_id: self.id.clone(),
            match_id: self.match_id,
            opened_at: self.opened_unix_ms,
            closed_at: self.unix(now_ms),
            config: self.config.clone(),
            eligible: self.eligible.clone(),
            eligible_hash: self.eligible_hash,
            late: self.late.clone(),
            spectators: self.spectators.clone(),
            called_by: self.called_by,
            args: self.args.clone(),
            weigh: self.weigh.clone(),
            seed: self.seed,
            receipts: self.tree.leaves().to_vec(),
            casts: self.casts.clone(),
            turnout,
            groups: if secret { groups } else { Vec::new() },
            taken: self.draft.as_ref().map(|draft| draft.outcome().taken().to_vec()),
            end: match end {
                End::Counted => EndEntry::Counted { why: why.to_owned() },
                End::Cancelled { reason } => EndEntry::Cancelled { reason: reason.clone() },
                End::Vetoed => EndEntry::Vetoed { by: self.vetoes.by().copied().collect() },
            },
            result: result.to_json().into(),
        };
        (record, result, moods)
    }

    fn moods(&self, winners: &[String]) -> Moods {
        let options = &self.config.options;
        let winners: Vec<u16> =
            (0..options.len()).filter(|at| winners.contains(&options[*at].id)).map(|at| at as u16).collect();
        let mut moods = Moods::default();
        for (player, voter) in self.voters.iter().filter(|(_, voter)| voter.pool == Pool::Players) {
            match voter.last.and_then(|at| satisfied(&self.casts[at].ballot, &winners)) {
                Some(true) => moods.satisfied.push(*player),
                Some(false) => moods.frustrated.push(*player),
                None => {}
            }
        }
        moods
    }

    fn start(&self) -> VoteStart {
        let config = &self.config;
        VoteStart {
            vote_id: self.id.clone(),
            template: config.template.clone(),
            options: config.options.clone(),
            window_ms: config.window_ms,
            deadline_ms: match self.draft {
                Some(_) => self.opened_unix_ms.saturating_add(config.window_ms),
                None => self.unix(self.window.deadline_ms()),
            },
            method: config.method_name().to_owned(),
            ballot: self.method.ballot.name(),
            max_choices: config.max_choices,
            max: (self.method.ballot == BallotKind::Scores).then_some(config.max),
            seats: (config.seats != 1).then_some(config.seats),
            visibility: config.visibility,
            veto_enabled: config.veto_enabled,
            eligible_count: self.players_len(),
            eligible_hash: self.eligible_hash,
            seed_commit: audit::seed_commit(&self.seed),
            called_by: self.called_by,
            target: config.target,
            args: self.args.clone(),
        }
    }

    fn tally(&self, now_ms: u64) -> VoteTally {
        let standing = self.board.standing(&self.config, self.turnout, || self.groups().0);
        VoteTally {
            vote_id: self.id.clone(),
            tallies: standing.tallies,
            time_remaining_ms: self.window.remaining_ms(now_ms),
            total_votes: self.turnout.players + self.turnout.spectators,
            leading: standing.leading,
            rounds: standing.rounds,
        }
    }

    fn deadline(&self, reason: &'static str, now_ms: u64) -> VoteDeadline {
        let remaining = self.window.remaining_ms(now_ms);
        VoteDeadline {
            vote_id: self.id.clone(),
            time_remaining_ms: remaining,
            deadline_ms: self.unix(now_ms.saturating_add(remaining)),
            reason,
        }
    }

    fn turn(&self, now_ms: u64) -> Option<VoteTurn> {
        let draft = self.draft.as_ref()?;
        let (turn, rules) = draft.current()?;
        let remaining = self.window.remaining_ms(now_ms);
        let name = |option: &u16| self.config.options[usize::from(*option)].id.clone();
        Some(VoteTurn {
            vote_id: self.id.clone(),
            turn,
            who: rules.who.clone(),
            act: rules.act,
            remaining: draft.outcome().remaining().iter().map(name).collect(),
            time_remaining_ms: remaining,
            deadline_ms: self.unix(now_ms.saturating_add(remaining)),
        })
    }

    fn unix(&self, at_ms: u64) -> u64 {
        self.opened_unix_ms.saturating_add(at_ms.saturating_sub(self.opened_ms))
    }
}

impl Voter {
    /// The answer to a cast that came before with this cid. A client that uses one cid for everything tells its casts
    /// apart by their ballots: for it only the last one counts as sent before, so that it can change its mind back.
    fn sent_before(&self, cid: &str, input: &BallotInput) -> Option<CastOk> {
        let same: Vec<&Sent> = self.sent.iter().filter(|sent| sent.cid == cid).collect();
        let (last, earlier) = same.split_last()?;
        let constant = earlier.iter().any(|sent| sent.input != last.input);
        let found =
            if constant { (last.input == *input).then_some(last) } else { same.iter().find(|s| s.input == *input) };
        found.map(|sent| sent.answer)
    }
}

/// Weights that could overflow the sums of a count.
pub(super) fn check_weights(config: &VoteConfig, weigh: &Weigh, faults: &mut Vec<Fault>) {
    let most = u128::from(config.weights.values().copied().max().unwrap_or(1));
    let frustrated =
        if weigh.bonus_bp == 0 { 1 } else { u128::from(BP) + u128::from(LOSSES_MAX) * u128::from(weigh.bonus_bp) };
    if most * frustrated > u128::from(u64::MAX >> 16) {
        faults.push(Fault::new("weights", format!("{most} is too heavy beside the mode's frustration bonus")));
    }
}

/// A turn that nobody could take.
fn check_turns(config: &VoteConfig, eligible: &[PlayerId], teams: &Teams, faults: &mut Vec<Fault>) {
    let draft = Draft::new(config.turns.clone(), config.options.len(), teams.clone());
    if let Some(at) = draft.first_of_nobody(eligible) {
        let who = &config.turns[at].who;
        faults.push(Fault::new(format!("turns[{at}].who"), format!("{who} is nobody in this match")));
    }
}
