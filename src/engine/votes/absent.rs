//! Whose ballot counts for a player who cast none: a delegate's, else the player's own default, else nobody's.
//!
//! A delegation is followed until somebody is found who cast a ballot, through any number of others who did not; the
//! order in which delegations were written down never matters. Where the way ends without a ballot, or comes back to
//! somebody already passed, the delegate is absent and the delegator's own default stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::PlayerId;

/// Who speaks for a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// The player.
    Own,
    /// Somebody who cast a ballot.
    Delegate(PlayerId),
    /// The player's default.
    Default,
    /// Nobody.
    Nobody,
}

/// Who speaks for `player`, given who cast a ballot.
pub fn voice(
    player: PlayerId,
    cast: impl Fn(&PlayerId) -> bool,
    delegation: &BTreeMap<PlayerId, PlayerId>,
    has_default: bool,
) -> Voice {
    if cast(&player) {
        return Voice::Own;
    }
    let mut passed = BTreeSet::from([player]);
    let mut at = player;
    while let Some(&next) = delegation.get(&at) {
        if cast(&next) {
            return Voice::Delegate(next);
        }
        if !passed.insert(next) {
            break;
        }
        at = next;
    }
    if has_default { Voice::Default } else { Voice::Nobody }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delegation_is_transitive_and_safe_and_falls_back_to_ones_own_default() {
        let id = |n: u8| PlayerId::from_u128(u128::from(n));
        // 1 -> 2 -> 3; 4 -> 5 -> 4 (a circle); 6 -> 7 (absent, 7 has a default of their own); 8 -> 9 -> 8 -> ..
        let delegation: BTreeMap<_, _> =
            [(1, 2), (2, 3), (4, 5), (5, 4), (6, 7)].map(|(a, b)| (id(a), id(b))).into_iter().collect();
        let defaults = [2, 4, 6, 7].map(id);
        for (cast, player, expected) in [
            (&[3u8][..], 1, Voice::Delegate(id(3))),
            (&[3], 2, Voice::Delegate(id(3))),
            (&[3], 3, Voice::Own),
            (&[2, 3], 1, Voice::Delegate(id(2))),
            (&[1], 1, Voice::Own),
            (&[], 1, Voice::Nobody),
            (&[], 2, Voice::Default),
            (&[], 4, Voice::Default),
            (&[], 5, Voice::Nobody),
            (&[5], 4, Voice::Delegate(id(5))),
            // An absent delegate's default is the delegate's alone: 6 falls back to their own.
            (&[], 6, Voice::Default),
            (&[], 8, Voice::Nobody),
        ] {
            let player = id(player);
            let got = voice(player, |p| cast.iter().any(|n| id(*n) == *p), &delegation, defaults.contains(&player));
            assert_eq!(got, expected, "{player} with {cast:?}");
        }
    }
}
