//! What a mode's rules would have done with a queue: recorded arrivals go through a pool of their own on a clock that
//! jumps from event to event, so an evening takes a moment. For designers who choose rules, and for tests.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::pool::{Group, Pool};
use super::rules::Rules;
use super::ticket::{THOUSANDTHS, Ticket};
use crate::ids::{PlayerId, TicketId};

/// Players in the party of one recorded ticket.
const PARTY_MAX: u32 = 64;

/// One recorded ticket: what a client asked for, and when.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// Milliseconds from the beginning of the recording.
    pub at_ms: u64,
    /// Players in the party.
    #[serde(default = "alone")]
    pub players: u32,
    /// The `properties` of `matchmaker.add`.
    #[serde(default)]
    pub properties: Map<String, Value>,
    /// After how long the player stops waiting; absent never.
    #[serde(default)]
    pub gives_up_after_ms: Option<u64>,
}

fn alone() -> u32 {
    1
}

/// What came of a recording under one mode's rules. Times in milliseconds, skills in thousandths of a point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Tickets in the recording, and their players.
    pub tickets: u64,
    /// Players in them.
    pub players: u64,
    /// Tickets that the rules did not take, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Tickets that were matched.
    pub matched: u64,
    /// Tickets that expired.
    pub expired: u64,
    /// Tickets whose players gave up first.
    pub gave_up: u64,
    /// Tickets that would wait for ever.
    pub left: u64,
    /// Matches.
    pub matches: u64,
    /// Bots in them.
    pub bots: u64,
    /// Waits of the matched tickets, ascending.
    pub waits: Vec<u64>,
    /// Difference of skill within each match that has more than one ticket, ascending.
    pub spreads: Vec<i64>,
    /// Difference of the average skill of the strongest and the weakest team of each match with teams, ascending.
    pub team_gaps: Vec<i64>,
    /// Matches that join tickets of different regions.
    pub mixed_regions: u64,
}

/// Runs a recording through `rules`. Arrivals may come in any order.
pub fn replay(rules: &Rules, arrivals: &[Arrival]) -> Replayed {
    let mut order: Vec<&Arrival> = arrivals.iter().collect();
    order.sort_by_key(|arrival| arrival.at_ms);
    let mut run = Run { pool: Pool::new(rules.clone(), usize::MAX), arrivals: &order, result: Replayed::default() };
    run.through();
    let Run { mut result, pool, .. } = run;
    result.left = pool.len() as u64;
    result.waits.sort_unstable();
    result.spreads.sort_unstable();
    result.team_gaps.sort_unstable();
    result
}

struct Run<'a> {
    pool: Pool,
    arrivals: &'a [&'a Arrival],
    result: Replayed,
}

impl Run<'_> {
    fn through(&mut self) {
        let mut coming = 0;
        let mut giving_up: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        loop {
            let arrives = self.arrivals.get(coming).map(|arrival| arrival.at_ms);
            let gives_up = giving_up.peek().map(|Reverse((at_ms, _))| *at_ms);
            let Some(now_ms) = [arrives, gives_up, self.pool.next_wake_ms()].into_iter().flatten().min() else {
                return;
            };
            // Whoever can be matched in this very moment does not give up in it.
            self.look(now_ms);
            while let Some(&Reverse((at_ms, number))) = giving_up.peek()
                && at_ms <= now_ms
            {
                giving_up.pop();
                if self.pool.remove(ticket_id(number), player(number, 0)).is_ok() {
                    self.result.gave_up += 1;
                }
            }
            while let Some(arrival) = self.arrivals.get(coming).filter(|arrival| arrival.at_ms <= now_ms) {
                if self.arrive(coming, arrival)
                    && let Some(after_ms) = arrival.gives_up_after_ms
                {
                    giving_up.push(Reverse((arrival.at_ms.saturating_add(after_ms), coming)));
                }
                coming += 1;
                self.look(now_ms);
            }
        }
    }

    /// One ticket; whether the rules took it.
    fn arrive(&mut self, number: usize, arrival: &Arrival) -> bool {
        let party = arrival.players.clamp(1, PARTY_MAX);
        self.result.tickets += 1;
        self.result.players += u64::from(party);
        let players = (0..party).map(|member| player(number, member)).collect();
        let added = self.pool.rules().traits(&arrival.properties).and_then(|traits| {
            let ticket = Ticket { ticket_id: ticket_id(number), players, traits, added_ms: arrival.at_ms };
            self.pool.add(ticket, arrival.at_ms)
        });
        if let Err(refusal) = &added {
            *self.result.refused.entry(refusal.to_string()).or_default() += 1;
        }
        added.is_ok()
    }

    fn look(&mut self, now_ms: u64) {
        let polled = self.pool.poll(now_ms);
        self.result.expired += polled.expired.len() as u64;
        for group in polled.groups {
            self.formed(&group, now_ms);
        }
    }

    fn formed(&mut self, group: &Group, now_ms: u64) {
        let result = &mut self.result;
        result.matches += 1;
        result.matched += group.tickets.len() as u64;
        result.bots += u64::from(group.bots);
        result.waits.extend(group.tickets.iter().map(|ticket| now_ms - ticket.added_ms));
        let properties = |ticket: &Ticket| &self.arrivals[number_of(ticket.players[0])].properties;
        // Read anew, since a mode that does not pair by skill or region still has a quality.
        let skills: Vec<i64> = group.tickets.iter().map(|ticket| skill_of(properties(ticket))).collect();
        if let (Some(low), Some(high), true) = (skills.iter().min(), skills.iter().max(), skills.len() > 1) {
            result.spreads.push(high - low);
        }
        let averages: Vec<i64> = group
            .teams
            .iter()
            .filter(|team| !team.is_empty())
            .map(|team| {
                let skills = team.iter().map(|&player| skill_of(&self.arrivals[number_of(player)].properties));
                skills.sum::<i64>() / team.len() as i64
            })
            .collect();
        if let (Some(low), Some(high), true) = (averages.iter().min(), averages.iter().max(), averages.len() > 1) {
            result.team_gaps.push(high - low);
        }
        let mut regions = group.tickets.iter().map(|ticket| properties(ticket).get("region"));
        let first = regions.next();
        result.mixed_regions += u64::from(regions.any(|region| Some(region) != first));
    }
}

/// What a ticket gave as its skill, in thousandths; 0 when it gave none that could be used.
fn skill_of(properties: &Map<String, Value>) -> i64 {
    let number = properties.get("skill").and_then(Value::as_f64).filter(|number| number.abs() <= 1e12);
    number.map_or(0, |number| (number * THOUSANDTHS as f64).round() as i64)
}

fn ticket_id(number: usize) -> TicketId {
    TicketId::from_u128(number as u128)
}

fn player(number: usize, member: u32) -> PlayerId {
    PlayerId::from_u128(number as u128 * u128::from(PARTY_MAX) + u128::from(member))
}

fn number_of(player: PlayerId) -> usize {
    (player.as_u128() / u128::from(PARTY_MAX)) as usize
}

#[cfg(test)]
mod tests {
    use super::super::tables::rules;
    use super::*;

    fn arrivals(lines: &str) -> Vec<Arrival> {
        lines.lines().map(|line| serde_json::from_str(line).expect("an arrival")).collect()
    }

    #[test]
    fn an_evening_is_told_in_numbers() {
        let evening = arrivals(
            r#"{"at_ms":0,"properties":{"skill":1000,"region":"eu"}}
{"at_ms":1000,"properties":{"skill":1300,"region":"us"}}
{"at_ms":2000,"properties":{"skill":1050,"region":"eu"}}
{"at_ms":3000,"properties":{"skill":5000,"region":"eu"},"gives_up_after_ms":4000}
{"at_ms":9000,"players":2,"properties":{"skill":1}}
{"at_ms":5000,"properties":{"skill":9000}}"#,
        );
        let fill = replay(&rules("size = 2"), &evening);
        assert_eq!((fill.tickets, fill.players, fill.matches, fill.matched, fill.left), (6, 7, 3, 5, 0));
        assert_eq!(fill.waits, [0, 0, 0, 1_000, 1_000]);
        assert_eq!((fill.spreads, fill.mixed_regions), (vec![300_000, 3_950_000], 1));
        assert_eq!((fill.expired, fill.gave_up), (1, 0));

        let skill = "strategy = 'skill'\nsize = 2\nwindow = 100\nwiden = { per_s = 10, max = 400 }\nparties = false";
        let skill = replay(&rules(skill), &evening);
        assert_eq!((skill.waits, skill.spreads), (vec![0, 2_000], vec![50_000]));
        assert_eq!((skill.matched, skill.expired, skill.gave_up, skill.left), (2, 2, 1, 0));
        assert_eq!(
            skill.refused.into_iter().collect::<Vec<_>>(),
            [("this mode takes players one by one, not parties".to_owned(), 1)]
        );
    }

    #[test]
    fn teams_bots_and_those_who_wait_for_ever() {
        let four = arrivals(
            r#"{"at_ms":0,"properties":{"skill":10}}
{"at_ms":0,"properties":{"skill":20}}
{"at_ms":0,"properties":{"skill":30}}
{"at_ms":0,"properties":{"skill":60}}
{"at_ms":7}"#,
        );
        let teams = "strategy = 'skill'\nteams = [2, 2]\nexpire_s = 0\n";
        let without = replay(&rules(teams), &four);
        assert_eq!((without.matches, without.left, without.team_gaps), (1, 1, vec![10_000]));
        let with = replay(&rules(&format!("{teams}bots_after_s = 5")), &four);
        assert_eq!((with.matches, with.left, with.bots, with.waits.last()), (2, 0, 3, Some(&5_000)));
    }
}
