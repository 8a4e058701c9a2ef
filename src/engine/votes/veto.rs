//! Veto tokens: so many per player and match, each spent once, none ever given back by leaving and coming again.
//!
//! The match owns the tokens and a vote knows only who vetoed it, so a token is taken in two steps: the match holds
//! one while it asks the vote, and the vote's answer says whether it is spent or free again. Between the two steps
//! nobody can spend it a second time.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::PlayerId;

/// The tokens of one match.
#[derive(Debug, Clone, Default)]
pub struct VetoTokens {
    per_player: u32,
    used: BTreeMap<PlayerId, u32>,
    granted: BTreeMap<PlayerId, u32>,
}

impl VetoTokens {
    /// `per_player` tokens for everybody who ever plays in the match.
    pub fn new(per_player: u32) -> Self {
        Self { per_player, ..Self::default() }
    }

    /// How many `player` has left.
    pub fn left(&self, player: PlayerId) -> u32 {
        let given = self.per_player.saturating_add(self.granted.get(&player).copied().unwrap_or(0));
        given.saturating_sub(self.used.get(&player).copied().unwrap_or(0))
    }

    /// Takes one in hand; false when there is none. Follow with [`Self::free`] unless the vote says it was spent.
    pub fn hold(&mut self, player: PlayerId) -> bool {
        if self.left(player) == 0 {
            return false;
        }
        *self.used.entry(player).or_default() += 1;
        true
    }

    /// Gives back one that was held and not spent.
    pub fn free(&mut self, player: PlayerId) {
        if let Some(used) = self.used.get_mut(&player) {
            *used = used.saturating_sub(1);
        }
    }

    /// Gives `player` more, as an operator may.
    pub fn grant(&mut self, player: PlayerId, tokens: u32) {
        let granted = self.granted.entry(player).or_default();
        *granted = granted.saturating_add(tokens);
    }
}

/// Why a veto is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VetoRefusal {
    /// The vote is over.
    #[error("the vote is closed")]
    VoteClosed,
    /// The vote cannot be vetoed.
    #[error("this vote cannot be vetoed")]
    VetoDisabled,
    /// The player may not vote in it; spectators never veto.
    #[error("expected an eligible player")]
    NotEligible,
    /// No token is left.
    #[error("no veto token is left")]
    NoVetoTokens,
}

impl VetoRefusal {
    /// The flat word on the wire.
    pub fn reason(self) -> &'static str {
        match self {
            Self::VoteClosed => "vote_closed",
            Self::VetoDisabled => "veto_disabled",
            Self::NotEligible => "not_eligible",
            Self::NoVetoTokens => "no_veto_tokens",
        }
    }
}

/// Who vetoed one vote, until they are enough.
#[derive(Debug, Clone)]
pub(super) struct Vetoes {
    threshold: usize,
    by: BTreeSet<PlayerId>,
}

/// A veto was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VetoOk {
    /// Whether a token was spent: not for a player who vetoed this vote before.
    pub spent: bool,
}

impl Vetoes {
    pub(super) fn new(threshold: u32) -> Self {
        Self { threshold: threshold.max(1) as usize, by: BTreeSet::new() }
    }

    /// Whether `player` vetoed it already.
    pub(super) fn has(&self, player: &PlayerId) -> bool {
        self.by.contains(player)
    }

    /// One more; whether they are enough now.
    pub(super) fn add(&mut self, player: PlayerId) -> bool {
        self.by.insert(player);
        self.by.len() >= self.threshold
    }

    pub(super) fn by(&self) -> impl Iterator<Item = &PlayerId> {
        self.by.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_spent_exactly_once_and_never_comes_back() {
        let player = PlayerId::from_u128(1);
        let mut tokens = VetoTokens::new(1);
        assert!(tokens.hold(player) && !tokens.hold(player), "one token, held: not there for a second vote");
        tokens.free(player);
        assert!(tokens.hold(player), "the vote refused: free again");
        assert_eq!(tokens.left(player), 0);
        // Leaving and coming again is nothing the tokens hear of; only an operator gives more.
        tokens.grant(player, 2);
        assert_eq!(tokens.left(player), 2);
        assert!(!VetoTokens::new(0).hold(player));
    }
}
