//! Parties into teams: never split, every seat taken exactly.
//!
//! With solo players only this is counting. With parties it is a small packing problem, solved by a search with a
//! bound on its steps; a group that would need more is left for a later arrival to make easy.

use crate::limits::PACKING_STEPS_MAX;

/// How many of each party size are at hand: index `size - 1`.
pub(super) type Sizes = Vec<u32>;

/// Whether `chosen` parties, completed from `at_hand`, can take every one of `seats` exactly. `solos_unbounded`: bots
/// take what is left.
pub(super) fn can_complete(seats: &[u32], chosen: &[u32], at_hand: &Sizes, solos_unbounded: bool) -> bool {
    let mut chosen = chosen.to_vec();
    chosen.sort_unstable_by(|a, b| b.cmp(a));
    let mut search =
        Packing { room: seats.to_vec(), at_hand: at_hand.clone(), solos_unbounded, steps: PACKING_STEPS_MAX };
    search.place(&chosen)
}

struct Packing {
    room: Vec<u32>,
    at_hand: Sizes,
    solos_unbounded: bool,
    steps: u32,
}

impl Packing {
    /// Places the chosen ones, largest first, then fills up.
    fn place(&mut self, chosen: &[u32]) -> bool {
        let Some((&size, rest)) = chosen.split_first() else { return self.fill() };
        if self.steps == 0 {
            return false;
        }
        self.steps -= 1;
        for team in 0..self.room.len() {
            // Teams with equal room are the same choice.
            if self.room[team] < size || self.room[..team].contains(&self.room[team]) {
                continue;
            }
            self.room[team] -= size;
            let fits = self.place(rest);
            self.room[team] += size;
            if fits {
                return true;
            }
        }
        false
    }

    /// Fills the rest from what is at hand, the roomiest team first.
    fn fill(&mut self) -> bool {
        let needed: u32 = self.room.iter().sum();
        let solos = self.at_hand.first().copied().unwrap_or(0);
        if needed == 0 || self.solos_unbounded || solos >= needed {
            return true;
        }
        let players: u32 = (1u32..).zip(&self.at_hand).map(|(size, &count)| size * count).sum();
        if players < needed || self.steps == 0 {
            return false;
        }
        self.steps -= 1;
        let Some(team) = (0..self.room.len()).max_by_key(|&team| self.room[team]) else { return false };
        for index in (0..self.at_hand.len().min(self.room[team] as usize)).rev() {
            if self.at_hand[index] == 0 {
                continue;
            }
            let size = index as u32 + 1;
            self.at_hand[index] -= 1;
            self.room[team] -= size;
            let fits = self.fill();
            self.at_hand[index] += 1;
            self.room[team] += size;
            if fits {
                return true;
            }
        }
        false
    }
}

/// Gives each party (size, skill per player) a team so that every party fits and the teams' skill is as even as a
/// greedy hand makes it: large parties first, the strong before the weak, each to the weakest team with room.
/// `None` when they do not fit.
pub(super) fn assign(seats: &[u32], parties: &[(u32, i64)]) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..parties.len()).collect();
    order.sort_by_key(|&party| std::cmp::Reverse(parties[party]));
    let mut teams = vec![0; parties.len()];
    let mut hand =
        Hand { parties, order: &order, room: seats.to_vec(), skill: vec![0; seats.len()], steps: PACKING_STEPS_MAX };
    hand.deal(0, &mut teams).then_some(teams)
}

struct Hand<'a> {
    parties: &'a [(u32, i64)],
    order: &'a [usize],
    room: Vec<u32>,
    skill: Vec<i128>,
    steps: u32,
}

impl Hand<'_> {
    fn deal(&mut self, nth: usize, teams: &mut [usize]) -> bool {
        let Some(&party) = self.order.get(nth) else { return true };
        if self.steps == 0 {
            return false;
        }
        self.steps -= 1;
        let size = self.parties[party].0;
        let rank = |hand: &Self, team: usize| (hand.skill[team], std::cmp::Reverse(hand.room[team]));
        let fits = |hand: &Self, team: &usize| hand.room[*team] >= size;
        let Some(first) = (0..self.room.len()).filter(|team| fits(self, team)).min_by_key(|&team| rank(self, team))
        else {
            return false;
        };
        if self.try_in(nth, first, teams) {
            return true;
        }
        // Players who came alone always fit, so a second choice is rare.
        let mut others: Vec<usize> = (0..self.room.len()).filter(|team| *team != first && fits(self, team)).collect();
        others.sort_by_key(|&team| rank(self, team));
        others.into_iter().any(|team| self.try_in(nth, team, teams))
    }

    fn try_in(&mut self, nth: usize, team: usize, teams: &mut [usize]) -> bool {
        let party = self.order[nth];
        let (size, skill) = self.parties[party];
        let weight = i128::from(skill) * i128::from(size);
        self.room[team] -= size;
        self.skill[team] += weight;
        teams[party] = team;
        let dealt = self.deal(nth + 1, teams);
        if !dealt {
            self.room[team] += size;
            self.skill[team] -= weight;
        }
        dealt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_fill_teams_exactly_or_not_at_all() {
        let check = |seats: &[u32], chosen: &[u32], at_hand: &[u32], expected: bool| {
            let mut sizes = vec![0; 8];
            at_hand.iter().for_each(|&size| sizes[size as usize - 1] += 1);
            let fits = can_complete(seats, chosen, &sizes, false);
            assert_eq!(fits, expected, "{chosen:?} with some of {at_hand:?} into {seats:?}");
        };
        check(&[4], &[3], &[1], true);
        check(&[4], &[3], &[2, 2], false);
        check(&[4], &[2], &[1, 2], true);
        check(&[2, 2], &[3], &[1], false);
        check(&[2, 2], &[2], &[1, 1], true);
        check(&[3, 3], &[2, 2, 2], &[], false);
        check(&[3, 3], &[2, 2], &[1, 1], true);
        check(&[5, 5], &[3, 3], &[2, 2], true);
        check(&[5, 5], &[4, 3], &[2, 1], true);
        check(&[5, 5], &[4, 3], &[2, 2], false);
        check(&[1, 3], &[3], &[1], true);
        check(&[], &[], &[], true);
        assert!(can_complete(&[5, 5], &[4, 3], &vec![0; 5], true), "bots take what is left");
        assert!(!can_complete(&[3, 3], &[2, 2, 2], &vec![0; 5], true), "but never split a party");
    }

    #[test]
    fn teams_come_out_even() {
        let check = |seats: &[u32], parties: &[(u32, i64)], expected: Option<&[usize]>| {
            assert_eq!(assign(seats, parties).as_deref(), expected, "{parties:?} into {seats:?}");
        };
        check(&[2, 2], &[(1, 40), (1, 30), (1, 20), (1, 10)], Some(&[0, 1, 1, 0]));
        check(&[2, 2], &[(1, 10), (2, 10), (1, 10)], Some(&[1, 0, 1]));
        check(&[3, 3], &[(2, 0), (2, 0), (2, 0)], None);
        check(&[1, 3], &[(3, 9), (1, 9)], Some(&[1, 0]));
    }
}
