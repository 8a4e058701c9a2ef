//! Drafts: options are banned and picked in turns, each with a clock and a default action. What was picked wins, or,
//! where nothing is picked, what is left.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::audit::Hash;
use super::ballot::OptionIx;
use super::config::{Act, Turn, TurnDefault, VoteOption, Who};
use crate::ids::PlayerId;

/// Teams by number, each in the order its players were seated.
pub type Teams = BTreeMap<u32, Vec<PlayerId>>;

/// The teams of a match with teams of these sizes, numbered from 1 in the order of its seats; where a mode has no
/// teams, every seat is one of its own.
pub fn teams_of(sizes: &[u32], seated: &[PlayerId]) -> Teams {
    let mut rest = seated;
    let sizes = if sizes.is_empty() { vec![1; seated.len()] } else { sizes.to_vec() };
    let mut teams = Teams::new();
    for (number, size) in (1..).zip(sizes) {
        let (team, others) = rest.split_at(rest.len().min(size as usize));
        teams.insert(number, team.to_vec());
        rest = others;
    }
    teams
}

/// A draft being played.
#[derive(Debug, Clone)]
pub struct Draft {
    turns: Vec<Turn>,
    teams: Teams,
    outcome: DraftOutcome,
}

/// How far a draft has come, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftOutcome {
    remaining: Vec<OptionIx>,
    picked: Vec<OptionIx>,
    taken: Vec<Taken>,
}

/// A turn that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// What happened.
    pub act: Act,
    /// To which option.
    pub option: OptionIx,
    /// Who did it; `None` when the clock did.
    pub by: Option<PlayerId>,
}

/// A turn in an audit record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnEntry {
    /// Which turn, from 0.
    pub turn: u32,
    /// Which option.
    pub option: String,
    /// Who took it; null when the clock ran out.
    pub by: Option<PlayerId>,
}

impl Draft {
    /// A draft over `options` options before its first turn.
    pub fn new(turns: Vec<Turn>, options: usize, teams: Teams) -> Self {
        Self { teams: numbered(&turns, teams), turns, outcome: DraftOutcome::new(options) }
    }

    /// The turn being played and its number from 0; `None` when all were.
    pub fn current(&self) -> Option<(u32, &Turn)> {
        let at = self.outcome.taken.len();
        self.turns.get(at).map(|turn| (at as u32, turn))
    }

    /// Whether `player` may act in the turn being played. A captain who is gone hands over to the next of the team.
    pub fn may_act(&self, player: PlayerId, here: impl Fn(&PlayerId) -> bool) -> bool {
        let Some((_, turn)) = self.current() else { return false };
        match turn.who {
            Who::Player(id) => id == player,
            Who::Team(n) => self.team(n).contains(&player),
            Who::Captain(n) => {
                let team = self.team(n);
                team.iter().find(|id| here(id)).or(team.first()) == Some(&player)
            }
        }
    }

    /// Whether anybody could take every turn, and if not, the first that nobody could.
    pub(super) fn first_of_nobody(&self, eligible: &[PlayerId]) -> Option<usize> {
        self.turns.iter().position(|turn| match &turn.who {
            Who::Player(id) => !eligible.contains(id),
            Who::Team(n) | Who::Captain(n) => self.team(*n).is_empty(),
        })
    }

    fn team(&self, number: u32) -> &[PlayerId] {
        self.teams.get(&number).map_or(&[], Vec::as_slice)
    }

    /// How far it has come.
    pub fn outcome(&self) -> &DraftOutcome {
        &self.outcome
    }

    /// Takes the turn being played with `option`; false when there is no turn or the option is gone.
    pub fn take(&mut self, option: OptionIx, by: Option<PlayerId>) -> bool {
        let Some(act) = self.current().map(|(_, turn)| turn.act) else { return false };
        self.outcome.take(act, option, by)
    }

    /// What the turn being played does by itself when its clock runs out.
    pub fn default_option(&self, seed: &Hash, options: &[VoteOption]) -> Option<OptionIx> {
        let (number, turn) = self.current()?;
        self.outcome.default_option(number, turn.default, seed, options)
    }
}

/// Teams count from 1, unless a turn speaks of a team 0: whoever wrote that counts from 0.
fn numbered(turns: &[Turn], teams: Teams) -> Teams {
    let from_zero = turns.iter().any(|turn| matches!(turn.who, Who::Team(0) | Who::Captain(0)));
    if !from_zero {
        return teams;
    }
    teams.into_iter().filter_map(|(number, team)| Some((number.checked_sub(1)?, team))).collect()
}

impl DraftOutcome {
    /// Before the first turn.
    pub fn new(options: usize) -> Self {
        Self { remaining: (0..options).map(|at| at as OptionIx).collect(), picked: Vec::new(), taken: Vec::new() }
    }

    /// What can still be banned or picked, in declared order.
    pub fn remaining(&self) -> &[OptionIx] {
        &self.remaining
    }

    /// The turns that are over.
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// How many turns are over.
    pub fn turns_taken(&self) -> usize {
        self.taken.len()
    }

    /// What was picked, in order; where nothing was, what is left.
    pub fn winners(&self) -> &[OptionIx] {
        if self.picked.is_empty() { &self.remaining } else { &self.picked }
    }

    /// Takes one turn; false when the option is gone.
    pub fn take(&mut self, act: Act, option: OptionIx, by: Option<PlayerId>) -> bool {
        let Some(at) = self.remaining.iter().position(|left| *left == option) else { return false };
        self.remaining.remove(at);
        if act == Act::Pick {
            self.picked.push(option);
        }
        self.taken.push(Taken { act, option, by });
        true
    }

    /// The option that turn `number` takes by itself: the first that is left, or the one with the smallest
    /// SHA-256(seed || 0x05 || number (8 bytes, big endian) || option id).
    pub fn default_option(
        &self,
        number: u32,
        default: TurnDefault,
        seed: &Hash,
        options: &[VoteOption],
    ) -> Option<OptionIx> {
        let lot = |option: &OptionIx| -> [u8; 32] {
            let id = options.get(usize::from(*option)).map_or("", |option| option.id.as_str());
            let number = u64::from(number).to_be_bytes();
            Sha256::new().chain_update(seed.0).chain_update([5]).chain_update(number).chain_update(id).finalize().into()
        };
        match default {
            TurnDefault::First => self.remaining.first().copied(),
            TurnDefault::Random => self.remaining.iter().copied().min_by_key(lot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> PlayerId {
        PlayerId::from_u128(u128::from(n))
    }

    fn draft(turns: &[(&str, Act)]) -> Draft {
        let turn = |(who, act): &(&str, Act)| Turn {
            who: who.parse().unwrap_or(Who::Player(id(9))),
            act: *act,
            window_ms: 1_000,
            default: TurnDefault::First,
        };
        let teams = [(1, vec![id(1), id(2)]), (2, vec![id(3), id(4)])].into();
        Draft::new(turns.iter().map(turn).collect(), 4, teams)
    }

    #[test]
    fn a_turn_belongs_to_a_player_a_team_or_its_captain() {
        let everyone = |_: &PlayerId| true;
        let team = draft(&[("team:2", Act::Ban)]);
        assert!(team.may_act(id(3), everyone) && team.may_act(id(4), everyone) && !team.may_act(id(1), everyone));
        let captain = draft(&[("captain:1", Act::Ban)]);
        assert!(captain.may_act(id(1), everyone) && !captain.may_act(id(2), everyone));
        let captain_is_gone = |player: &PlayerId| *player != id(1);
        assert!(captain.may_act(id(2), captain_is_gone) && !captain.may_act(id(1), captain_is_gone));
        let player = draft(&[("somebody", Act::Ban)]);
        assert!(player.may_act(id(9), everyone) && !player.may_act(id(1), everyone));
    }

    #[test]
    fn teams_are_numbered_by_their_seats() {
        let seated = [1, 2, 3, 4].map(id);
        assert_eq!(teams_of(&[1, 2], &seated), [(1, vec![id(1)]), (2, vec![id(2), id(3)])].into());
        assert_eq!(teams_of(&[], &seated[..2]), [(1, vec![id(1)]), (2, vec![id(2)])].into());
        assert_eq!(teams_of(&[3, 3], &seated), [(1, seated[..3].to_vec()), (2, vec![id(4)])].into());
        let from_zero = draft(&[("team:0", Act::Ban), ("team:1", Act::Ban)]);
        assert!(from_zero.may_act(id(1), |_| true) && !from_zero.may_act(id(3), |_| true));
    }

    #[test]
    fn what_was_picked_wins_or_what_is_left() {
        let mut bans = draft(&[("team:1", Act::Ban), ("team:2", Act::Ban), ("team:1", Act::Ban)]);
        for option in [0, 3, 1] {
            assert!(bans.take(option, None));
            assert!(!bans.clone().take(option, None), "gone is gone");
        }
        assert_eq!((bans.current(), bans.outcome().winners()), (None, &[2][..]));
        assert!(!bans.take(2, None), "the turns are over");
        let mut picks = draft(&[("team:1", Act::Pick), ("team:2", Act::Ban), ("team:1", Act::Pick)]);
        for option in [3, 0, 1] {
            picks.take(option, Some(id(1)));
        }
        assert_eq!(picks.outcome().winners(), [3, 1]);
    }

    #[test]
    fn a_default_is_the_first_left_or_drawn_from_the_seed() {
        let options = ["a", "b", "c", "d"].map(|id| VoteOption { id: id.into(), label: id.into() });
        let mut outcome = DraftOutcome::new(4);
        assert_eq!(outcome.default_option(0, TurnDefault::First, &Hash([0; 32]), &options), Some(0));
        let drawn = outcome.default_option(0, TurnDefault::Random, &Hash([7; 32]), &options).unwrap();
        assert_eq!(outcome.default_option(0, TurnDefault::Random, &Hash([7; 32]), &options), Some(drawn));
        let seeds: std::collections::BTreeSet<_> =
            (0..64).map(|n| outcome.default_option(0, TurnDefault::Random, &Hash([n; 32]), &options)).collect();
        assert_eq!(seeds.len(), 4, "every option can be drawn");
        outcome.take(Act::Ban, drawn, None);
        assert_ne!(outcome.default_option(0, TurnDefault::Random, &Hash([7; 32]), &options), Some(drawn));
    }
}
