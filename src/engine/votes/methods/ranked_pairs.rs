//! Ranked pairs: the clearest majorities are locked in first, and one that would close a circle is passed over.
//!
//! Equal majorities are taken in a fixed order (less opposition first, then the earlier declared winner, then the
//! earlier declared loser), so that a count has one answer whatever order the ballots came in. Where that order decided
//! what is locked, the count says so as a tie that declared order broke.

use std::cmp::Reverse;

use super::condorcet::{Pairwise, ReadsPairs, options_where, victory};
use super::{Method, no_faults};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Count, CountRules, Evidence, Lock, Matrix, TieEvent, TieFor};
use crate::engine::votes::live;
use crate::engine::votes::ties::TieBreak;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "ranked_pairs",
    aliases: &["tideman"],
    ballot: BallotKind::Ranking,
    about: "majorities are locked from the clearest down, circles passed over; the option nobody is locked above",
    seats: false,
    rounds: false,
    equal_ranks: true,
    keys: &["strength"],
    check: no_faults,
    count: live::count::<Pairwise<RankedPairs>>,
    live: live::live::<Pairwise<RankedPairs>>,
};

pub(super) struct RankedPairs;

impl ReadsPairs for RankedPairs {
    fn read(rules: &CountRules, matrix: &Matrix, count: &mut Count) -> Vec<OptionIx> {
        let size = matrix.size();
        let mut majorities: Vec<(usize, usize)> =
            (0..size).flat_map(|a| (0..size).map(move |b| (a, b))).filter(|&(a, b)| matrix.beats(a, b)).collect();
        let clarity = |(a, b): (usize, usize)| (Reverse(victory(rules.strength, matrix, a, b)), matrix.get(b, a));
        majorities.sort_by_key(|&pair| (clarity(pair), pair));

        let mut below = Reach::none(size);
        let mut beaten = vec![false; size];
        let mut locks = Vec::with_capacity(majorities.len());
        for equal in majorities.chunk_by(|&one, &next| clarity(one) == clarity(next)) {
            let before = (equal.len() > 1).then(|| below.clone());
            let from = locks.len();
            for &(a, b) in equal {
                let locked = !below.has(b, a);
                if locked {
                    below.lock(a, b);
                    beaten[b] = true;
                }
                let strength = victory(rules.strength, matrix, a, b);
                locks.push(Lock { winner: a as OptionIx, loser: b as OptionIx, strength, locked });
            }
            // Passed over only because of its equals: taken first, it would have been locked instead of one of them.
            let open = |lock: &&Lock| before.as_ref().is_some_and(|b| !b.has(lock.loser.into(), lock.winner.into()));
            let could: Vec<&Lock> = locks[from..].iter().filter(open).collect();
            if could.iter().any(|lock| !lock.locked) {
                let winners = |which: &dyn Fn(&Lock) -> bool| {
                    options_where(size, |a| could.iter().any(|lock| usize::from(lock.winner) == a && which(lock)))
                };
                count.tie_events.push(TieEvent {
                    round: None,
                    about: TieFor::Lock,
                    tied: winners(&|_| true),
                    favoured: winners(&|lock| lock.locked),
                    by: Some(TieBreak::DeclaredOrder),
                });
            }
        }
        count.evidence = Evidence::Locked(locks);
        count.scores = (0..size).map(|a| below.count(a) as u128).collect();
        options_where(size, |a| !beaten[a])
    }
}

/// Who is locked below whom, directly or through others: a row of bits per option, always closed.
#[derive(Clone)]
struct Reach {
    words: usize,
    bits: Vec<u64>,
}

impl Reach {
    fn none(size: usize) -> Self {
        let words = size.div_ceil(64);
        Self { words, bits: vec![0; words * size] }
    }

    fn row(&self, a: usize) -> &[u64] {
        &self.bits[a * self.words..][..self.words]
    }

    fn has(&self, a: usize, b: usize) -> bool {
        self.row(a)[b / 64] >> (b % 64) & 1 == 1
    }

    fn count(&self, a: usize) -> u32 {
        self.row(a).iter().map(|word| word.count_ones()).sum()
    }

    /// Locks `b` below `a`, and with it everybody below `b` below everybody who is above `a`.
    fn lock(&mut self, a: usize, b: usize) {
        if self.has(a, b) {
            return;
        }
        let mut gained = self.row(b).to_vec();
        gained[b / 64] |= 1 << (b % 64);
        for above in 0..self.bits.len() / self.words {
            if above == a || self.has(above, a) {
                let row = &mut self.bits[above * self.words..][..self.words];
                row.iter_mut().zip(&gained).for_each(|(word, gain)| *word |= gain);
            }
        }
    }
}
