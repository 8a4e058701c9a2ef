//! What the pool promises, held against a slow reading of the rules: random rules, random queues, and after every look
//! all subsets of those who wait.
//!
//! Nobody is in a match twice, parties stay whole, windows hold at the moment of pairing, only who waits is matched:
//! [`Model::judge`]. No older ticket is passed over by a younger one where the fit is equal:
//! [`Model::nobody_passed_over`], for every group of every mode. The group that a single newcomer makes possible is the
//! best there is: [`Model::best`]. Expiry is exact, and the pool wakes for it: [`Model::look`]. Running matches get the
//! oldest who suit them: [`Model::reinforced`].

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::strategies::Better;
use super::tables::{player, rules};
use super::*;
use crate::engine::modes::Region;
use crate::ids::{MatchId, TicketId};

/// After how long a ticket of [`table`] expires.
const EXPIRE_MS: u64 = 10_000;
/// How many of those who wait are tried in all their subsets.
const TRIED_MAX: usize = 11;

/// One thing that happens to the queue.
#[derive(Debug, Clone)]
enum Event {
    Add {
        party: u32,
        skill: i64,
        region: u8,
        ping: i64,
        map: bool,
    },
    Remove(usize),
    /// Somebody is kept back: disconnected, or (`true`) on the way into another match.
    KeepBack(usize, bool),
    LetGo(usize, bool),
    /// A running match asks; who plays in it is taken from who waits.
    Ask {
        seats: [u32; 2],
        playing: Vec<usize>,
    },
    Unask(usize),
    Pass(u64),
    Wake,
}

fn event() -> impl Strategy<Value = Event> {
    let add = (1u32..=3, 0i64..12, 0u8..3, 0i64..4, any::<bool>());
    prop_oneof![
        8 => add.prop_map(|(party, skill, region, ping, map)| {
            Event::Add { party, skill: skill * 20, region, ping: ping * 20, map }
        }),
        1 => any::<usize>().prop_map(Event::Remove),
        1 => any::<(usize, bool)>().prop_map(|(nth, seating)| Event::KeepBack(nth, seating)),
        1 => any::<(usize, bool)>().prop_map(|(nth, seating)| Event::LetGo(nth, seating)),
        1 => (any::<[u32; 2]>(), prop::collection::vec(any::<usize>(), 0..3))
            .prop_map(|(seats, playing)| Event::Ask { seats, playing }),
        1 => any::<usize>().prop_map(Event::Unask),
        2 => (0u64..4_000).prop_map(Event::Pass),
        1 => Just(Event::Wake),
    ]
}

/// Rules in the configuration's own words, so that a failing case can be read.
fn table() -> impl Strategy<Value = String> {
    let shape = prop_oneof![
        (1u32..=4).prop_map(|size| format!("size = {size}\n")),
        Just("teams = [2, 2]\n".to_owned()),
        Just("teams = [1, 2]\n".to_owned()),
    ];
    let strategy = prop_oneof![
        Just("strategy = 'fill'\n"),
        Just("strategy = 'skill'\nwindow = 40\nwiden = { per_s = 20, max = 100 }\n"),
        Just("strategy = 'skill'\nwindow = 0\nwiden = { per_s = 0, max = 0 }\n"),
    ];
    let region = prop_oneof![Just("ignore"), Just("prefer"), Just("require")];
    let more = prop_oneof![
        3 => Just(""),
        1 => Just("bots_after_s = 4\n"),
        1 => Just("require = ['map']\n"),
        1 => Just("ranges = { ping = 20 }\n"),
    ];
    (shape, strategy, region, more).prop_map(|(shape, strategy, region, more)| {
        format!("{strategy}{shape}expire_s = 10\nbackfill = true\nregion = '{region}'\n{more}")
    })
}

/// Whether these tickets may play together at this moment, read straight from the rules. Not asked: packing into
/// teams, which has its own reading in [`packs`].
fn may_meet(rules: &Rules, tickets: &[&Ticket], now_ms: u64) -> bool {
    let Some(longest) = tickets.iter().min_by_key(|ticket| ticket.ticket_id) else { return false };
    let waited_ms = now_ms - longest.added_ms;
    let spread = |of: &dyn Fn(&Ticket) -> i64| {
        let values = || tickets.iter().map(|&ticket| of(ticket));
        values().max().unwrap_or(0) - values().min().unwrap_or(0)
    };
    let skilled = rules.strategy.name != "skill" || spread(&|ticket| ticket.traits.skill) <= rules.window(waited_ms);
    let ranged =
        rules.range_limits().enumerate().all(|(nth, limit)| spread(&|ticket| ticket.traits.ranges[nth]) <= limit);
    let required = tickets.iter().all(|ticket| ticket.traits.require == longest.traits.require);
    let one_region = tickets.iter().all(|ticket| ticket.traits.region == longest.traits.region);
    let regional = match rules.region {
        Region::Ignore => true,
        Region::Require => one_region,
        Region::Prefer => one_region || waited_ms >= EXPIRE_MS / 2,
    };
    skilled && ranged && required && regional
}

/// Whether parties of these sizes fill the seats exactly (or, with bots, fit), by trying every team for each.
fn packs(seats: &[u32], sizes: &[u32], bots: bool) -> bool {
    match sizes.split_first() {
        None => bots || seats.iter().all(|&free| free == 0),
        Some((&size, rest)) => (0..seats.len()).any(|team| {
            let mut seats = seats.to_vec();
            seats[team] >= size && {
                seats[team] -= size;
                packs(&seats, rest, bots)
            }
        }),
    }
}

/// Every group that the rules allow among those who wait.
fn possible<'a>(rules: &Rules, waiting: &[&'a Ticket], now_ms: u64) -> impl Iterator<Item = Vec<&'a Ticket>> {
    (1u32..1 << waiting.len().min(TRIED_MAX)).filter_map(move |subset| {
        let members = waiting.iter().enumerate().filter(|(nth, _)| subset >> nth & 1 == 1);
        let members: Vec<&Ticket> = members.map(|(_, &ticket)| ticket).collect();
        let sizes: Vec<u32> = members.iter().map(|ticket| ticket.players.len() as u32).collect();
        let full = sizes.iter().sum::<u32>() == rules.size && packs(&rules.seats, &sizes, false);
        (full && may_meet(rules, &members, now_ms)).then_some(members)
    })
}

fn ids(tickets: &[&Ticket]) -> Vec<TicketId> {
    tickets.iter().map(|ticket| ticket.ticket_id).collect()
}

/// A group that the rules allow among those who wait, if there is one.
fn missed(rules: &Rules, waiting: &[&Ticket], now_ms: u64) -> Option<Vec<TicketId>> {
    possible(rules, waiting, now_ms).next().map(|members| ids(&members))
}

/// What a running match asked for, as the model knows it.
#[derive(Debug)]
struct Asked {
    match_id: MatchId,
    seats: Vec<u32>,
    playing: Vec<Traits>,
}

impl Asked {
    /// Whether a ticket may join at this moment.
    fn takes(&self, rules: &Rules, ticket: &Ticket, now_ms: u64) -> bool {
        let waited_ms = now_ms - ticket.added_ms;
        let Some(longest) = self.playing.first() else { return self.has_room(ticket) };
        let mean = self.playing.iter().map(|it| it.skill).sum::<i64>() / self.playing.len() as i64;
        let near =
            rules.strategy.name != "skill" || mean.abs_diff(ticket.traits.skill) <= rules.window(waited_ms) as u64;
        let ranged = rules.range_limits().enumerate().all(|(nth, limit)| {
            let values = || self.playing.iter().chain([&ticket.traits]).map(|it| it.ranges[nth]);
            values().max().unwrap_or(0) - values().min().unwrap_or(0) <= limit
        });
        let regional = match rules.region {
            Region::Ignore => true,
            Region::Require => longest.region == ticket.traits.region,
            Region::Prefer => longest.region == ticket.traits.region || waited_ms >= EXPIRE_MS / 2,
        };
        self.has_room(ticket) && near && ranged && regional && longest.require == ticket.traits.require
    }

    fn has_room(&self, ticket: &Ticket) -> bool {
        self.seats.iter().any(|&free| free as usize >= ticket.players.len())
    }
}

/// Why a ticket is kept back, if it is: its leader is disconnected, or on the way into another match, or both.
type Kept = [bool; 2];

const FREE: Kept = [false; 2];

/// The queue as a list: what waits, and what keeps it back.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<TicketId, (Ticket, Kept)>,
    asked: Vec<Asked>,
    next: u128,
    now_ms: u64,
}

impl Model {
    fn nth(&self, nth: usize) -> Option<Ticket> {
        let at = nth.checked_rem(self.waiting.len())?;
        self.waiting.values().nth(at).map(|(ticket, _)| ticket.clone())
    }

    fn happen(&mut self, pool: &mut Pool, event: &Event) -> Result<(), TestCaseError> {
        match *event {
            Event::Add { party, skill, region, ping, map } => {
                self.next += 1;
                let mut properties = serde_json::json!({"skill": skill, "ping": ping, "map": map});
                if region > 0 || pool.rules().region == Region::Require {
                    properties["region"] = format!("r{region}").into();
                }
                let traits = pool.rules().traits(properties.as_object().expect("an object")).expect("good properties");
                let party = u128::from(party.min(pool.rules().party_max()));
                let players = (0..party).map(|member| player(self.next * 10 + member)).collect();
                let ticket_id = TicketId::from_u128(self.next);
                let ticket = Ticket { ticket_id, players, traits, added_ms: self.now_ms };
                prop_assert_eq!(pool.add(ticket.clone(), self.now_ms), Ok(Added { ticket_id, already_queued: false }));
                self.waiting.insert(ticket_id, (ticket, FREE));
            }
            Event::Remove(nth) => {
                let Some(ticket) = self.nth(nth) else { return Ok(()) };
                prop_assert_eq!(pool.remove(ticket.ticket_id, ticket.players[0]), Ok(ticket.clone()));
                self.waiting.remove(&ticket.ticket_id);
            }
            Event::KeepBack(nth, seating) | Event::LetGo(nth, seating) => {
                let Some(ticket) = self.nth(nth) else { return Ok(()) };
                let keep = matches!(event, Event::KeepBack(..));
                let who = ticket.players[0];
                let told = match (keep, seating) {
                    (true, false) => pool.freeze(who),
                    (true, true) => pool.set_aside(who),
                    (false, false) => pool.unfreeze(who),
                    (false, true) => pool.take_up(who),
                };
                prop_assert_eq!(told, Some(ticket.ticket_id));
                let kept = &mut self.waiting.get_mut(&ticket.ticket_id).expect("it waits").1;
                kept[usize::from(seating)] = keep;
            }
            Event::Ask { seats, ref playing } => {
                self.next += 1;
                let match_id = MatchId::from_u128(self.next);
                let most = pool.rules().seats.clone();
                let seats: Vec<u32> = most.iter().zip(seats).map(|(&most, wish)| wish % (most + 1)).collect();
                let playing: Vec<Traits> =
                    playing.iter().filter_map(|&nth| self.nth(nth)).map(|ticket| ticket.traits).collect();
                let told = pool.backfill(Backfill { match_id, seats: seats.clone(), playing: Playing::of(&playing) });
                if seats.iter().all(|&free| free == 0) {
                    prop_assert_eq!(told, Err(BackfillRefused::Seats { teams: most.len() }));
                } else {
                    prop_assert_eq!(told, Ok(()));
                    self.asked.push(Asked { match_id, seats, playing });
                }
            }
            Event::Unask(nth) => {
                if let Some(at) = nth.checked_rem(self.asked.len()) {
                    pool.cancel_backfill(self.asked.remove(at).match_id);
                }
            }
            Event::Pass(ms) => self.now_ms += ms,
            Event::Wake => self.now_ms = pool.next_wake_ms().unwrap_or(self.now_ms).max(self.now_ms),
        }
        Ok(())
    }

    /// `alone`: one ticket came since the last look, and no time has passed.
    fn look(&mut self, pool: &mut Pool, alone: bool) -> Result<(), TestCaseError> {
        let polled = pool.poll(self.now_ms);
        let due = |ticket: &Ticket| ticket.added_ms + EXPIRE_MS <= self.now_ms;
        let due: Vec<TicketId> =
            self.waiting.values().map(|(it, _)| it).filter(|it| due(it)).map(|it| it.ticket_id).collect();
        let expired: Vec<TicketId> = polled.expired.iter().map(|ticket| ticket.ticket_id).collect();
        prop_assert_eq!(&expired, &due, "a ticket expires exactly when its time is over");
        expired.iter().for_each(|ticket_id| drop(self.waiting.remove(ticket_id)));
        for group in &polled.groups {
            match group.backfill {
                Some(match_id) => self.reinforced(pool.rules(), group, match_id)?,
                None => {
                    if alone {
                        self.best(pool.rules(), group)?;
                    }
                    self.judge(pool.rules(), group)?;
                }
            }
        }
        self.nothing_missed(pool)
    }

    fn free(&self) -> Vec<&Ticket> {
        self.waiting.values().filter(|(_, kept)| *kept == FREE).map(|(it, _)| it).collect()
    }

    /// Only who waits is matched, once, and nobody kept back.
    fn taken(&mut self, group: &Group) -> Result<(), TestCaseError> {
        for ticket in &group.tickets {
            prop_assert_eq!(self.waiting.remove(&ticket.ticket_id), Some((ticket.clone(), FREE)));
        }
        Ok(())
    }

    /// No other group has an older longest waiter, or the same and a better fit, or the same fit and older members.
    fn best(&self, rules: &Rules, group: &Group) -> Result<(), TestCaseError> {
        // Bots come when their time is over, a region may be left when its time is: those have words of their own.
        // Where ranges part the tickets, the closest group is a close guess.
        if group.bots > 0 || rules.region == Region::Prefer || !rules.ranges.is_empty() {
            return Ok(());
        }
        let fit = |tickets: &[&Ticket]| {
            let skills = || tickets.iter().map(|ticket| ticket.traits.skill);
            let spread = skills().max().unwrap_or(0) - skills().min().unwrap_or(0);
            let spread = if rules.strategy.better == Better::Closer { spread } else { 0 };
            (tickets[0].ticket_id, spread, ids(tickets))
        };
        let waiting = self.free();
        if waiting.len() <= TRIED_MAX {
            let best = possible(rules, &waiting, self.now_ms).map(|members| fit(&members)).min();
            let found: Vec<&Ticket> = group.tickets.iter().collect();
            prop_assert_eq!(Some(fit(&found)), best);
        }
        Ok(())
    }

    /// A ticket that joined a running match: there was room, it suits those who play, and nobody older would have.
    fn reinforced(&mut self, rules: &Rules, group: &Group, match_id: MatchId) -> Result<(), TestCaseError> {
        let [ticket] = &group.tickets[..] else { panic!("one by one, not {group:?}") };
        let at = self.asked.iter().position(|asked| asked.match_id == match_id).expect("a match that asked");
        prop_assert!(self.asked[at].takes(rules, ticket, self.now_ms), "{:?} into {:?}", ticket, self.asked[at]);
        let passed_over = self
            .free()
            .into_iter()
            .find(|other| other.ticket_id < ticket.ticket_id && self.asked[at].takes(rules, other, self.now_ms));
        prop_assert!(passed_over.is_none(), "{:?} was passed over by {:?}", passed_over, ticket);
        self.taken(group)?;
        prop_assert_eq!((&group.players, group.bots), (&ticket.players, 0));
        let team = group.teams.iter().position(|team| !team.is_empty()).unwrap_or(0);
        prop_assert!(!rules.has_teams || group.teams[team] == ticket.players, "a party is never split: {:?}", group);
        let size = ticket.players.len() as u32;
        prop_assert!(self.asked[at].seats[team] >= size, "no more than the team lacks");
        self.asked[at].seats[team] -= size;
        if self.asked[at].seats.iter().all(|&free| free == 0) {
            self.asked.remove(at);
        }
        Ok(())
    }

    /// One group: everything that is promised about it.
    fn judge(&mut self, rules: &Rules, group: &Group) -> Result<(), TestCaseError> {
        self.taken(group)?;
        let players: Vec<_> = group.tickets.iter().flat_map(|ticket| ticket.players.clone()).collect();
        prop_assert_eq!(&players, &group.players);
        prop_assert_eq!(players.len() as u32 + group.bots, rules.size);
        let tickets: Vec<&Ticket> = group.tickets.iter().collect();
        prop_assert!(may_meet(rules, &tickets, self.now_ms), "the windows hold at the moment of pairing: {:?}", group);
        if group.bots > 0 {
            prop_assert!(self.now_ms - group.tickets[0].added_ms >= 4_000, "bots come after their time");
        }
        if rules.has_teams {
            let mut seated: Vec<_> = group.teams.concat();
            seated.sort();
            let mut expected = players;
            expected.sort();
            prop_assert_eq!(seated, expected);
            for (team, &seats) in group.teams.iter().zip(&rules.seats) {
                prop_assert!(team.len() as u32 <= seats);
            }
            let whole = |ticket: &Ticket| {
                group.teams.iter().any(|team| ticket.players.iter().all(|player| team.contains(player)))
            };
            prop_assert!(group.tickets.iter().all(whole), "a party is never split: {:?}", group);
        }
        self.nobody_passed_over(rules, &tickets)
    }

    /// No older ticket that waits could sit in the place of a younger member of the group without the group being any
    /// worse for it: as many players, within every rule, no further apart, and of one region still where one is
    /// preferred.
    fn nobody_passed_over(&self, rules: &Rules, group: &[&Ticket]) -> Result<(), TestCaseError> {
        let apart = |tickets: &[&Ticket]| {
            let skills = || tickets.iter().map(|ticket| ticket.traits.skill);
            let spread = skills().max().unwrap_or(0) - skills().min().unwrap_or(0);
            let is_mixed = tickets.iter().any(|ticket| ticket.traits.region != tickets[0].traits.region);
            (is_mixed, if rules.strategy.better == Better::Closer { spread } else { 0 })
        };
        for (nth, member) in group.iter().enumerate() {
            for (older, kept) in self.waiting.range(..member.ticket_id).map(|(_, waits)| waits) {
                let mut other = group.to_vec();
                other[nth] = older;
                let as_good = *kept == FREE
                    && older.players.len() == member.players.len()
                    && may_meet(rules, &other, self.now_ms)
                    && apart(&other) <= apart(group);
                prop_assert!(!as_good, "{:?} was passed over by {:?} in {:?}", older, member, group);
            }
        }
        Ok(())
    }

    /// Nobody is left who could have been matched, now or before the pool wants to be woken.
    fn nothing_missed(&self, pool: &Pool) -> Result<(), TestCaseError> {
        let rules = pool.rules();
        let waiting = self.free();
        prop_assert_eq!(pool.len(), self.waiting.len());
        let wake_ms = pool.next_wake_ms();
        let expires_ms = self.waiting.values().map(|(ticket, _)| ticket.added_ms + EXPIRE_MS).min();
        let in_time = |expires_ms| wake_ms.is_some_and(|wake_ms| wake_ms <= expires_ms);
        prop_assert!(expires_ms.is_none_or(in_time), "who expires at {:?} is not woken for", expires_ms);
        for at_ms in wake_ms.map(|wake_ms| wake_ms - 1).into_iter().chain([self.now_ms]) {
            prop_assert!(at_ms >= self.now_ms, "a wake that lies behind would never end");
            prop_assert_eq!(missed(rules, &waiting, at_ms), None, "at {}", at_ms);
            for asked in &self.asked {
                let fits = waiting.iter().find(|ticket| asked.takes(rules, ticket, at_ms));
                prop_assert!(fits.is_none(), "{:?} could join {:?} at {}", fits, asked, at_ms);
            }
        }
        for ticket in &waiting {
            let why = pool.why_not(ticket.ticket_id);
            let kept = |why| matches!(why, WhyNot::AboutToMatch | WhyNot::Frozen | WhyNot::Seating);
            prop_assert!(why.is_some_and(|why| !kept(why)));
        }
        for (ticket, kept) in self.waiting.values().filter(|(_, kept)| *kept != FREE) {
            let why = if kept[0] { WhyNot::Frozen } else { WhyNot::Seating };
            prop_assert_eq!(pool.why_not(ticket.ticket_id), Some(why));
        }
        let in_line: Vec<TicketId> = pool.statuses(self.now_ms).map(|status| status.ticket_id).collect();
        prop_assert_eq!(in_line, self.waiting.keys().copied().collect::<Vec<_>>());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_promise_holds_in_every_queue(table in table(), events in prop::collection::vec(event(), 1..60)) {
        let mut pool = Pool::new(rules(&table), 1_000);
        let mut model = Model::default();
        for event in &events {
            model.happen(&mut pool, event)?;
            model.look(&mut pool, matches!(event, Event::Add { .. } | Event::LetGo(..)))?;
        }
    }

    /// The same when several things happen between two looks.
    #[test]
    fn and_when_looks_are_rare(table in table(), events in prop::collection::vec(event(), 1..60), every in 2usize..9) {
        let mut pool = Pool::new(rules(&table), 1_000);
        let mut model = Model::default();
        for batch in events.chunks(every) {
            for event in batch {
                model.happen(&mut pool, event)?;
            }
            model.look(&mut pool, false)?;
        }
    }
}
