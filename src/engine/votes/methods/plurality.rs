//! Plurality: one option each, most votes wins.

use super::totals::{HighestWins, Named};
use super::{Method, no_faults};
use crate::engine::votes::ballot::BallotKind;
use crate::engine::votes::live;

/// The row of METHODS.
pub(super) const METHOD: Method = Method {
    name: "plurality",
    aliases: &["fptp"],
    ballot: BallotKind::Choice,
    about: "one option each; most votes wins",
    seats: false,
    rounds: false,
    equal_ranks: false,
    keys: &[],
    check: no_faults,
    count: live::count::<Named<HighestWins>>,
    live: live::live::<Named<HighestWins>>,
};

/// Counts first choices that are packed one byte each: how often each of `options` options occurs. Bytes that name no
/// option count for nobody.
///
/// Eight tables take turns, because a byte that comes twice in a row would otherwise wait for its own sum.
pub fn count_packed(choices: &[u8], options: u8) -> Vec<u64> {
    const TABLES: usize = 8;
    let mut totals = vec![0u64; usize::from(options)];
    // No table can overflow within one stretch.
    for stretch in choices.chunks(u32::MAX as usize) {
        let mut tables = [[0u32; 256]; TABLES];
        let (blocks, rest) = stretch.as_chunks::<TABLES>();
        for block in blocks {
            for (table, &choice) in tables.iter_mut().zip(block) {
                table[usize::from(choice)] += 1;
            }
        }
        for &choice in rest {
            tables[0][usize::from(choice)] += 1;
        }
        for (option, total) in totals.iter_mut().enumerate() {
            *total += tables.iter().map(|table| u64::from(table[option])).sum::<u64>();
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::count_packed;
    use crate::engine::votes::*;

    #[test]
    fn most_votes_win_and_silence_elects_nobody() {
        use CountStatus::{Decided, NoVotes, Tie};
        use TieBreak::DeclaredOrder;
        type Case<'a> = (&'a [u64], &'a [TieBreak], CountStatus, &'a [OptionIx]);
        let cases: [Case; 5] = [
            (&[2, 5, 1], &[], Decided, &[1]),
            (&[2, 2, 1], &[], Tie, &[0, 1]),
            (&[1, 2, 2], &[DeclaredOrder], Decided, &[1]),
            (&[0, 0, 0], &[DeclaredOrder], NoVotes, &[]),
            (&[u64::MAX, u64::MAX, 1], &[DeclaredOrder], Decided, &[0]),
        ];
        for (votes, chain, status, winners) in cases {
            let mut rules = CountRules::new(method("plurality").unwrap(), ["a", "b", "c"].map(String::from).to_vec());
            rules.tie_break = chain.to_vec();
            let mut live = rules.method.live(&rules);
            let mut profile = Profile::new(BallotKind::Choice, 3);
            for (option, &weight) in votes.iter().enumerate() {
                let ballot = Ballot::Choice(option as OptionIx);
                profile.push(&ballot, weight).unwrap();
                live.add(&ballot, weight).unwrap();
            }
            let count = rules.method.count(&rules, &profile);
            assert_eq!((count.status, count.winners.as_slice()), (status, winners), "{votes:?}");
            assert_eq!(live.snapshot(), count, "{votes:?}");
        }
    }

    #[test]
    fn packed_choices_count_like_any_others() {
        // Not a whole number of blocks, and with bytes that name nobody.
        let choices: Vec<u8> = (0..20_001u32).map(|i| (i * i % 7) as u8).collect();
        for options in [0u8, 1, 4, 7, 255] {
            let slow: Vec<u64> =
                (0..options).map(|option| choices.iter().filter(|&&choice| choice == option).count() as u64).collect();
            assert_eq!(count_packed(&choices, options), slow, "{options}");
        }
    }
}
