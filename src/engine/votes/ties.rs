//! Ties: the one place where equals are told apart.
//!
//! A chain of words is tried in order until the question at hand has one answer. A word always *favours*: the favoured
//! option wins, or survives an elimination. The same word can therefore never help an option in one method and hurt it
//! in another.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ballot::OptionIx;
use super::count::{CountRules, Round, TieEvent, TieFor};

/// One word of a tie chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TieBreak {
    /// Favours who had more in the latest earlier round in which the tied differ.
    PreviousRounds,
    /// Favours who was declared first.
    DeclaredOrder,
    /// Favours the smallest SHA-256(seed || 0x00 || option id): fixed before anybody voted, unknown until the seed is.
    SeededLot,
    /// Ends the chain: what is still tied stays tied.
    None,
}

impl TieBreak {
    /// Every word, in the order `VOTES.md` lists them.
    pub const ALL: [Self; 4] = [Self::PreviousRounds, Self::DeclaredOrder, Self::SeededLot, Self::None];

    /// The word itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreviousRounds => "previous_rounds",
            Self::DeclaredOrder => "declared_order",
            Self::SeededLot => "seeded_lot",
            Self::None => "none",
        }
    }
}

/// An option's lot. The smallest is favoured.
pub fn lot(seed: &[u8], option_id: &str) -> [u8; 32] {
    Sha256::new().chain_update(seed).chain_update([0]).chain_update(option_id).finalize().into()
}

/// The chain at work over one count; remembers every tie it was asked about.
#[derive(Debug)]
pub(super) struct Ties<'a> {
    rules: &'a CountRules,
    events: Vec<TieEvent>,
}

impl<'a> Ties<'a> {
    pub(super) fn new(rules: &'a CountRules) -> Self {
        Self { rules, events: Vec::new() }
    }

    pub(super) fn into_events(self) -> Vec<TieEvent> {
        self.events
    }

    /// The `n` favoured of `tied`, or `None` when the chain leaves that open. Asked with nothing to decide
    /// (`tied.len() <= n`), it answers without having looked.
    pub(super) fn favoured(
        &mut self,
        about: TieFor,
        tied: &[OptionIx],
        n: usize,
        earlier: &[Round],
    ) -> Option<Vec<OptionIx>> {
        if tied.len() <= n {
            return Some(tied.to_vec());
        }
        let mut tied = tied.to_vec();
        tied.sort_unstable();
        let mut tiers = vec![tied.clone()];
        let mut by = None;
        for &word in self.rules.tie_break.iter().take_while(|&&word| word != TieBreak::None) {
            tiers = tiers.into_iter().flat_map(|tier| self.split(word, tier, earlier)).collect();
            if cut(&tiers, n) {
                by = Some(word);
                break;
            }
        }
        let mut favoured: Vec<OptionIx> = match by {
            Some(_) => tiers.concat()[..n].to_vec(),
            None => Vec::new(),
        };
        favoured.sort_unstable();
        // The round that is being decided is the one after the earlier ones; methods without rounds have none.
        let round = self.rules.method.rounds.then_some(earlier.len());
        self.events.push(TieEvent { round, about, tied, favoured: favoured.clone(), by });
        by.map(|_| favoured)
    }

    /// The one of `tied` that is favoured least, or `None` when the chain leaves that open.
    pub(super) fn least(&mut self, tied: &[OptionIx], earlier: &[Round]) -> Option<OptionIx> {
        if let [alone] = tied {
            return Some(*alone);
        }
        let survivors = self.favoured(TieFor::Elimination, tied, tied.len() - 1, earlier)?;
        tied.iter().copied().find(|option| !survivors.contains(option))
    }

    /// One word applied to a set of equals: tiers of what is still equal after it, most favoured first.
    fn split(&self, word: TieBreak, tier: Vec<OptionIx>, earlier: &[Round]) -> Vec<Vec<OptionIx>> {
        match word {
            TieBreak::None => vec![tier],
            TieBreak::DeclaredOrder => tier.into_iter().map(|option| vec![option]).collect(),
            TieBreak::SeededLot => {
                let lot_of = |option: &OptionIx| lot(&self.rules.seed, &self.rules.options[usize::from(*option)]);
                let mut tier = tier;
                tier.sort_by_cached_key(lot_of);
                tier.into_iter().map(|option| vec![option]).collect()
            }
            TieBreak::PreviousRounds => {
                let by_history = |a: &OptionIx, b: &OptionIx| {
                    let held = |round: &Round, option: OptionIx| round.tally[usize::from(option)];
                    earlier.iter().rev().map(|round| held(round, *b).cmp(&held(round, *a))).find(|o| o.is_ne())
                };
                let mut tier = tier;
                tier.sort_by(|a, b| by_history(a, b).unwrap_or(Ordering::Equal));
                tier.chunk_by(|a, b| by_history(a, b).is_none()).map(<[_]>::to_vec).collect()
            }
        }
    }
}

/// Whether the first `n` of the tiers end where a tier ends.
fn cut(tiers: &[Vec<OptionIx>], n: usize) -> bool {
    let mut seen = 0;
    tiers.iter().any(|tier| {
        seen += tier.len();
        seen == n
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::votes::methods::method;

    fn rules(chain: &[TieBreak]) -> CountRules {
        let options = ["o0", "o1", "o2", "o3"].map(String::from).to_vec();
        let mut rules = CountRules::new(method("plurality").unwrap(), options);
        rules.tie_break = chain.to_vec();
        rules.seed = b"case-seed-1".to_vec();
        rules
    }

    fn round(tally: [u128; 4]) -> Round {
        Round { tally: tally.map(Some).to_vec(), ..Round::default() }
    }

    #[test]
    fn each_word_favours() {
        use TieBreak::{DeclaredOrder, None as Open, PreviousRounds, SeededLot};
        let earlier = [round([5, 4, 5, 5]), round([3, 3, 2, 3])];
        type Case<'a> = (&'a [TieBreak], usize, Option<&'a [OptionIx]>, Option<TieBreak>);
        let cases: [Case; 10] = [
            (&[], 1, None, None),
            (&[Open, DeclaredOrder], 1, None, None),
            (&[DeclaredOrder], 1, Some(&[0]), Some(DeclaredOrder)),
            (&[DeclaredOrder], 3, Some(&[0, 1, 2]), Some(DeclaredOrder)),
            // The lots of this seed run 2, 0, 1, 3.
            (&[SeededLot], 1, Some(&[2]), Some(SeededLot)),
            (&[SeededLot], 3, Some(&[0, 1, 2]), Some(SeededLot)),
            // The latest round puts 2 last; the one before puts 1 behind 0 and 3.
            (&[PreviousRounds], 3, Some(&[0, 1, 3]), Some(PreviousRounds)),
            (&[PreviousRounds], 2, Some(&[0, 3]), Some(PreviousRounds)),
            (&[PreviousRounds], 1, None, None),
            (&[PreviousRounds, SeededLot], 1, Some(&[0]), Some(SeededLot)),
        ];
        for (chain, n, favoured, by) in cases {
            let rules = rules(chain);
            let mut ties = Ties::new(&rules);
            let got = ties.favoured(TieFor::Win, &[3, 2, 1, 0], n, &earlier);
            assert_eq!(got.as_deref(), favoured, "{chain:?} {n}");
            let event = &ties.into_events()[0];
            assert_eq!((event.by, event.tied.as_slice()), (by, [0, 1, 2, 3].as_slice()), "{chain:?} {n}");
        }
    }

    #[test]
    fn the_least_favoured_goes_and_nothing_is_asked_of_one() {
        let rules = rules(&[TieBreak::DeclaredOrder]);
        let mut ties = Ties::new(&rules);
        assert_eq!(ties.least(&[1, 3, 2], &[]), Some(3));
        assert_eq!(ties.least(&[2], &[]), Some(2));
        assert_eq!(ties.into_events().len(), 1);
    }

    #[test]
    fn words_are_spelled_as_on_the_wire() {
        for word in TieBreak::ALL {
            assert_eq!(serde_json::to_string(&word).unwrap(), format!("{:?}", word.name()));
        }
    }
}
