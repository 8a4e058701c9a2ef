//! STAR: score, then automatic run-off. The two highest sums meet, and who is scored higher on more ballots wins.
//!
//! A tie for a place in the run-off goes to whom more ballots prefer among the tied, then to more highest scores, then
//! to the chain. A level run-off goes to the higher sum, then to more highest scores, then to the chain.

use std::cmp::Ordering;

use super::score::Sums;
use super::totals::take;
use super::{Method, no_faults};
use crate::engine::votes::ballot::{BallotKind, OptionIx};
use crate::engine::votes::count::{Count, CountRules, CountStatus, Evidence, Matrix, TieFor};
use crate::engine::votes::live::{self, Summary};
use crate::engine::votes::profile::Row;
use crate::engine::votes::ties::Ties;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "star",
    aliases: &[],
    ballot: BallotKind::Scores,
    about: "a number from 0 to max for every option; of the two highest sums the one preferred on more ballots wins",
    seats: false,
    rounds: false,
    equal_ranks: false,
    keys: &["max"],
    check: no_faults,
    count: live::count::<Star>,
    live: live::live::<Star>,
};

/// Sums, who is scored above whom, and who got the highest score how often.
pub(super) struct Star {
    sums: Sums,
    settled: Matrix,
    /// What has changed since `settled`, cell by cell, and the most that any cell of it can have changed by. Small
    /// numbers side by side are changed several at once, which a matrix of wide ones is not.
    recent: Vec<i64>,
    recent_most: i64,
    tops: Vec<u128>,
}

impl Star {
    /// Changes every cell by the weight it is due, which may be none: scores are too random for a branch to guess.
    fn change(&mut self, max_score: u32, row: Row<'_>, weight: u128, change: impl Fn(&mut u128, u128), sign: i64) {
        let scores = row.scores();
        for (top, &score) in self.tops.iter_mut().zip(scores) {
            change(top, if score == max_score { weight } else { 0 });
        }
        let Ok(small) = i64::try_from(weight) else {
            for (a, &score) in scores.iter().enumerate() {
                for (cell, &other) in self.settled.row_mut(a).iter_mut().zip(scores) {
                    change(cell, if score > other { weight } else { 0 });
                }
            }
            return;
        };
        if self.recent_most.checked_add(small).is_none() {
            self.settled = self.preferred();
            self.recent.fill(0);
            self.recent_most = 0;
        }
        self.recent_most += small;
        let due = sign * small;
        if scores.is_empty() {
            return;
        }
        for (cells, &score) in self.recent.chunks_exact_mut(scores.len()).zip(scores) {
            for (cell, &other) in cells.iter_mut().zip(scores) {
                *cell += if score > other { due } else { 0 };
            }
        }
    }

    /// Who is scored above whom, by how much weight.
    fn preferred(&self) -> Matrix {
        let mut preferred = self.settled.clone();
        let size = preferred.size().max(1);
        for (a, recent) in self.recent.chunks_exact(size).enumerate() {
            for (cell, &change) in preferred.row_mut(a).iter_mut().zip(recent) {
                *cell = cell.wrapping_add_signed(change.into());
            }
        }
        preferred
    }

    /// The finalists, or who could still be one beside `Ok`'s: the first place if it is settled, and the tied.
    fn finalists(
        &self,
        rules: &CountRules,
        preferred: &Matrix,
        ties: &mut Ties<'_>,
    ) -> Result<[usize; 2], (Option<usize>, Vec<usize>)> {
        let all: Vec<usize> = (0..rules.options.len()).collect();
        let mut places: Vec<usize> = Vec::with_capacity(2);
        let mut tied = advance(&mut places, all, |option| self.sums.sums[option]);
        if places.len() < 2 {
            // Preferences among the tied alone, each ballot once per pair it decides.
            let among = tied.clone();
            let preferences = |a: usize| among.iter().map(|&b| preferred.get(a, b)).sum::<u128>();
            tied = advance(&mut places, tied, preferences);
        }
        if places.len() < 2 {
            tied = advance(&mut places, tied, |option| self.tops[option]);
        }
        if places.len() < 2 {
            let options: Vec<OptionIx> = tied.iter().map(|&option| option as OptionIx).collect();
            match ties.favoured(TieFor::Runoff, &options, 2 - places.len(), &[]) {
                Some(favoured) => places.extend(favoured.into_iter().map(usize::from)),
                None => return Err((places.first().copied(), tied)),
            }
        }
        Ok([places[0], places[1]])
    }

    /// The winner of a run-off, or both when only the chain could tell.
    fn runoff(&self, preferred: &Matrix, [a, b]: [usize; 2]) -> Result<usize, [usize; 2]> {
        let strength = |x: usize, y: usize| (preferred.get(x, y), self.sums.sums[x], self.tops[x]);
        match strength(a, b).cmp(&strength(b, a)) {
            Ordering::Greater => Ok(a),
            Ordering::Less => Ok(b),
            Ordering::Equal => Err([a, b]),
        }
    }
}

/// Moves the highest of `from` into the free places while that is unambiguous; returns who is tied for the rest.
fn advance(places: &mut Vec<usize>, mut from: Vec<usize>, rank: impl Fn(usize) -> u128) -> Vec<usize> {
    while places.len() < 2 && !from.is_empty() {
        let best = from.iter().map(|&option| rank(option)).max().unwrap_or(0);
        let (top, rest): (Vec<usize>, Vec<usize>) = from.iter().partition(|&&option| rank(option) == best);
        if top.len() > 2 - places.len() {
            return top;
        }
        places.extend(top);
        from = rest;
    }
    from
}

impl Summary for Star {
    fn empty(rules: &CountRules) -> Self {
        let options = rules.options.len();
        Self {
            sums: Sums::empty(rules),
            settled: Matrix::zero(options),
            recent: vec![0; options * options],
            recent_most: 0,
            tops: vec![0; options],
        }
    }

    fn add(&mut self, rules: &CountRules, row: Row<'_>, weight: u128) {
        self.sums.add(rules, row, weight);
        self.change(rules.max_score, row, weight, |cell, due| *cell += due, 1);
    }

    fn remove(&mut self, rules: &CountRules, row: Row<'_>, weight: u128) {
        self.sums.remove(rules, row, weight);
        self.change(rules.max_score, row, weight, take, -1);
    }

    fn count(&self, rules: &CountRules) -> Count {
        let mut count = Count::of_scores(self.sums.sums.clone());
        let preferred = self.preferred();
        count.matrix = Some(preferred.clone());
        if self.sums.spoken == 0 {
            return count;
        }
        if rules.options.len() == 1 {
            (count.status, count.winners) = (CountStatus::Decided, vec![0]);
            return count;
        }
        let mut ties = Ties::new(rules);
        let mut winners: Vec<OptionIx> = Vec::new();
        match self.finalists(rules, &preferred, &mut ties) {
            Ok(pair) => {
                let [a, b] = pair;
                count.evidence = Evidence::Runoff {
                    finalists: [a as OptionIx, b as OptionIx],
                    preferred: [preferred.get(a, b), preferred.get(b, a)],
                };
                winners = match self.runoff(&preferred, pair) {
                    Ok(winner) => vec![winner as OptionIx],
                    Err(pair) => {
                        let pair = pair.map(|option| option as OptionIx);
                        ties.favoured(TieFor::Win, &pair, 1, &[]).unwrap_or(pair.to_vec())
                    }
                };
            }
            // The chain left open who meets whom: everybody who wins one of the run-offs that could be held.
            Err((first, tied)) => {
                let firsts = first.map_or(tied.clone(), |first| vec![first]);
                for (&a, &b) in firsts.iter().flat_map(|a| tied.iter().map(move |b| (a, b))).filter(|(a, b)| a != b) {
                    match self.runoff(&preferred, [a, b]) {
                        Ok(winner) => winners.push(winner as OptionIx),
                        Err(pair) => winners.extend(pair.map(|option| option as OptionIx)),
                    }
                }
            }
        }
        winners.sort_unstable();
        winners.dedup();
        count.tie_events = ties.into_events();
        let open = count.tie_events.iter().any(|event| event.by.is_none());
        count.status = if open { CountStatus::Tie } else { CountStatus::Decided };
        count.winners = winners;
        count
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::votes::*;

    fn star(ballots: &[[u32; 3]], chain: &[TieBreak]) -> count::Count {
        let mut rules = CountRules::new(method("star").unwrap(), ["a", "b", "c"].map(String::from).to_vec());
        rules.tie_break = chain.to_vec();
        let mut profile = Profile::new(BallotKind::Scores, 3);
        for scores in ballots {
            profile.push(&Ballot::Scores(scores.to_vec()), 1).unwrap();
        }
        rules.method.count(&rules, &profile)
    }

    #[test]
    fn the_preferred_of_the_two_highest_wins() {
        use TieBreak::DeclaredOrder;
        type Case<'a> = (&'a [[u32; 3]], &'a [TieBreak], CountStatus, &'a [OptionIx], bool);
        let cases: [Case; 7] = [
            // 1 has fewer points than 0 and is preferred on two ballots of three.
            (&[[5, 0, 0], [2, 3, 0], [2, 3, 0]], &[], CountStatus::Decided, &[1], false),
            // 1 and 2 tie for second; more ballots prefer 2 to 1.
            (&[[5, 4, 0], [5, 0, 2], [5, 0, 2]], &[], CountStatus::Decided, &[0], false),
            // A level run-off goes to the higher sum.
            (&[[5, 1, 0], [2, 3, 0]], &[], CountStatus::Decided, &[0], false),
            // Level in all: the chain decides, or nobody does.
            (&[[5, 1, 0], [1, 5, 0]], &[], CountStatus::Tie, &[0, 1], false),
            (&[[5, 1, 0], [1, 5, 0]], &[DeclaredOrder], CountStatus::Decided, &[0], true),
            // Three alike, nobody knows who meets whom.
            (&[[5, 3, 1], [3, 1, 5], [1, 5, 3]], &[], CountStatus::Tie, &[0, 1, 2], false),
            (&[[5, 3, 1], [3, 1, 5], [1, 5, 3]], &[DeclaredOrder], CountStatus::Decided, &[0], true),
        ];
        for (ballots, chain, status, winners, broken) in cases {
            let count = star(ballots, chain);
            assert_eq!((count.status, count.winners.as_slice()), (status, winners), "{ballots:?}");
            assert_eq!(count.tie_broken(), broken, "{ballots:?}");
        }
    }
}
