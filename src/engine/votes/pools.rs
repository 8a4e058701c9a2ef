//! From the ballots of voters to the one profile that is counted: who speaks for whom, what each ballot weighs, and
//! how the spectators' pool is laid over the players'.
//!
//! Everything behind this file works on [`Group`]s, identical ballots of one pool together, because that is all that a
//! secret vote's record holds: the live result and its recount come from the same groups by the same function.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::absent::{Voice, voice};
use super::ballot::{Ballot, BallotKind};
use super::config::{BP, VoteConfig};
use super::profile::Profile;
use crate::ids::PlayerId;
use crate::limits::LOSSES_MAX;

/// Who a ballot was cast by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// The players: they make quorum, close windows and veto.
    Players,
    /// The spectators: they only weigh in.
    Spectators,
}

/// Identical ballots of one pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Whose.
    pub pool: Pool,
    /// What they say; shared, so that a thousand of them are gathered without copying one.
    pub ballot: Arc<Ballot>,
    /// How many there are.
    pub ballots: u64,
    /// Their weight together, in multiples of the vote's [`Weigh::unit`].
    pub weight: u128,
}

/// How many cast, in each pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Turnout {
    /// Players who cast.
    pub players: u64,
    /// Spectators who cast.
    pub spectators: u64,
}

/// What a voter's ballot weighs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weigh {
    /// Lost votes in a row of each player, of those who lost any.
    pub losses: BTreeMap<PlayerId, u32>,
    /// What each adds, in basis points of a ballot; 0 switches it off.
    pub bonus_bp: u32,
}

impl Weigh {
    /// The weight that stands for one ballot: 1, or 10,000 where losses add fractions of one.
    pub fn unit(&self) -> u64 {
        if self.bonus_bp > 0 { u64::from(BP) } else { 1 }
    }

    /// The weight of `player`'s ballot in multiples of [`Self::unit`].
    pub fn of(&self, player: PlayerId, config: &VoteConfig) -> u64 {
        let base = u64::from(config.weights.get(&player).copied().unwrap_or(1));
        if self.bonus_bp == 0 {
            return base;
        }
        let losses = self.losses.get(&player).copied().unwrap_or(0).min(LOSSES_MAX);
        // At most 2^32 * (10^4 + 100 * 2^32): below 2^72, so the product is kept from overflowing by saturation and
        // the check at the start refuses weights that would need it.
        base.saturating_mul(u64::from(BP) + u64::from(losses) * u64::from(self.bonus_bp))
    }
}

/// The groups that are counted at the close: every ballot cast, and for each absent player a delegate's or a default.
pub fn groups(
    config: &VoteConfig,
    weigh: &Weigh,
    players: &[PlayerId],
    spectators: &[PlayerId],
    cast: &BTreeMap<PlayerId, Arc<Ballot>>,
    defaults: &BTreeMap<PlayerId, Arc<Ballot>>,
) -> (Vec<Group>, Turnout) {
    let mut turnout = Turnout::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut at: std::collections::HashMap<(Pool, &Ballot), usize> = std::collections::HashMap::new();
    let mut add = |pool, ballot, weight: u64| {
        let ballot: &Arc<Ballot> = ballot;
        let i = *at.entry((pool, &**ballot)).or_insert_with(|| {
            groups.push(Group { pool, ballot: Arc::clone(ballot), ballots: 0, weight: 0 });
            groups.len() - 1
        });
        groups[i].ballots += 1;
        groups[i].weight += u128::from(weight);
    };
    for &player in players {
        let weight = weigh.of(player, config);
        let spoken = voice(player, |p| cast.contains_key(p), &config.delegation, defaults.contains_key(&player));
        let ballot = match spoken {
            Voice::Own => cast.get(&player).inspect(|_| turnout.players += 1),
            Voice::Delegate(delegate) => cast.get(&delegate),
            Voice::Default => defaults.get(&player),
            Voice::Nobody => None,
        };
        if let Some(ballot) = ballot {
            add(Pool::Players, ballot, weight);
        }
    }
    for &spectator in spectators {
        if let Some(ballot) = cast.get(&spectator) {
            turnout.spectators += 1;
            add(Pool::Spectators, ballot, weigh.of(spectator, config));
        }
    }
    (groups, turnout)
}

/// What the ballots of each pool are multiplied by: with both pools cast in, players by their share times the
/// spectators' ballots and the other way round, so that each pool comes to its share whoever turned out in numbers.
/// An empty pool leaves the other as it is.
pub fn scales(config: &VoteConfig, turnout: Turnout) -> (u128, u128) {
    if turnout.players == 0 || turnout.spectators == 0 {
        return (1, 1);
    }
    let (p, s) = (BP - config.spectator_share_bp, config.spectator_share_bp);
    let players = u128::from(p) * u128::from(turnout.spectators);
    let spectators = u128::from(s) * u128::from(turnout.players);
    let common = gcd(players, spectators).max(1);
    (players / common, spectators / common)
}

/// The profile that is counted. Weights are reduced by what they all have in common, which changes no count.
pub fn profile(groups: &[Group], kind: BallotKind, options: usize, scales: (u128, u128)) -> Profile {
    let scaled = |group: &Group| {
        let scale = if group.pool == Pool::Players { scales.0 } else { scales.1 };
        group.weight.saturating_mul(scale)
    };
    let common = groups.iter().map(scaled).fold(0, gcd).max(1);
    // Where every ballot weighs the same, as in nearly every vote, its weight is 1: the lowest common measure is that
    // of single ballots, not of whole groups.
    let single = groups.iter().filter(|g| g.ballots > 0).map(|g| scaled(g) / u128::from(g.ballots)).fold(0, gcd).max(1);
    let measure = gcd(common, single).max(1);
    let mut profile = Profile::new(kind, options);
    for group in groups {
        let mut weight = scaled(group) / measure;
        // A row holds a u64; the rare group that weighs more is several rows, which counts add up in u128.
        loop {
            let part = u64::try_from(weight).unwrap_or(u64::MAX);
            if profile.push(&group.ballot, part).is_err() {
                break; // ballots were checked when they were cast: nothing else can be in a group
            }
            weight -= u128::from(part);
            if weight == 0 {
                break;
            }
        }
    }
    profile
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> PlayerId {
        PlayerId::from_u128(u128::from(n))
    }

    fn choices(cast: &[(u8, u16)]) -> BTreeMap<PlayerId, Arc<Ballot>> {
        cast.iter().map(|(player, option)| (id(*player), Arc::new(Ballot::Choice(*option)))).collect()
    }

    fn weights_of(config: &VoteConfig, weigh: &Weigh, cast: &[(u8, u16)], defaults: &[(u8, u16)]) -> Vec<(u16, u128)> {
        let players = [1, 2, 3, 4].map(id);
        let spectators = [11, 12, 13].map(id);
        let (groups, turnout) = groups(config, weigh, &players, &spectators, &choices(cast), &choices(defaults));
        let profile = profile(&groups, BallotKind::Choice, 3, scales(config, turnout));
        profile.rows().map(|(row, weight)| (row.single_first().unwrap(), weight)).collect()
    }

    #[test]
    fn each_pool_comes_to_its_share_and_an_empty_one_to_nothing() {
        let config = VoteConfig::default();
        let weigh = Weigh::default();
        let weights = |cast| weights_of(&config, &weigh, cast, &[]);
        assert_eq!(weights(&[(1, 0), (2, 0), (3, 1)]), [(0, 2), (1, 1)], "no spectator: players weigh 1");
        assert_eq!(weights(&[(11, 2), (12, 2)]), [(2, 2)], "no player: spectators weigh 1");
        // Two players of 70 % and three spectators of 30 %: 7 * 3 each against 3 * 2 each.
        assert_eq!(weights(&[(1, 0), (2, 1), (11, 2), (12, 2), (13, 2)]), [(0, 7), (1, 7), (2, 6)]);
    }

    #[test]
    fn losses_add_fractions_of_a_ballot() {
        let config = VoteConfig::default();
        let weigh = Weigh { losses: [(id(2), 3)].into(), bonus_bp: 5_000 };
        assert_eq!(weigh.of(id(1), &config), 10_000);
        assert_eq!(weigh.of(id(2), &config), 25_000);
        assert_eq!(weights_of(&config, &weigh, &[(1, 0), (2, 1)], &[]), [(0, 2), (1, 5)]);
    }

    #[test]
    fn absent_players_count_by_their_delegates_and_defaults() {
        let config = VoteConfig { delegation: [(id(2), id(1))].into(), ..VoteConfig::default() };
        let weigh = Weigh::default();
        let got = weights_of(&config, &weigh, &[(1, 0), (11, 2)], &[(3, 1), (1, 2)]);
        // Players 1 (cast), 2 (by 1), 3 (default); 4 is nobody. One ballot cast in each pool: 7 to 3.
        assert_eq!(got, [(0, 14), (1, 7), (2, 3)]);
    }
}
