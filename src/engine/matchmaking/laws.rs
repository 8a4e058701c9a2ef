//! What the pool promises, held against a slow reading of the rules: random rules, random queues, and after every look
//! all subsets of those who wait.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tables::{player, rules};
use super::*;
use crate::engine::modes::Region;
use crate::ids::TicketId;

/// One thing that happens to the queue.
#[derive(Debug, Clone)]
enum Event {
    Add { party: u32, skill: i64, region: u8, ping: i64, map: bool },
    Remove(usize),
    Freeze(usize),
    Unfreeze(usize),
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
        1 => any::<usize>().prop_map(Event::Freeze),
        1 => any::<usize>().prop_map(Event::Unfreeze),
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
        format!("{strategy}{shape}expire_s = 10\nregion = '{region}'\n{more}")
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
        Region::Prefer => one_region || waited_ms >= 5_000,
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

/// A group that the rules allow among those who wait, if there is one.
fn missed(rules: &Rules, waiting: &[&Ticket], now_ms: u64) -> Option<Vec<TicketId>> {
    (1u32..1 << waiting.len().min(11)).find_map(|subset| {
        let members: Vec<_> = waiting.iter().enumerate().filter(|(nth, _)| subset >> nth & 1 == 1).collect();
        let members: Vec<&Ticket> = members.into_iter().map(|(_, &ticket)| ticket).collect();
        let sizes: Vec<u32> = members.iter().map(|ticket| ticket.players.len() as u32).collect();
        let full = sizes.iter().sum::<u32>() == rules.size && packs(&rules.seats, &sizes, false);
        (full && may_meet(rules, &members, now_ms)).then(|| members.iter().map(|ticket| ticket.ticket_id).collect())
    })
}

/// The queue as a list: what waits, and since when somebody of it is absent.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<TicketId, (Ticket, bool)>,
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
                self.waiting.insert(ticket_id, (ticket, false));
            }
            Event::Remove(nth) => {
                let Some(ticket) = self.nth(nth) else { return Ok(()) };
                prop_assert_eq!(pool.remove(ticket.ticket_id, ticket.players[0]), Ok(ticket.clone()));
                self.waiting.remove(&ticket.ticket_id);
            }
            Event::Freeze(nth) | Event::Unfreeze(nth) => {
                let Some(ticket) = self.nth(nth) else { return Ok(()) };
                let freeze = matches!(event, Event::Freeze(_));
                let who = ticket.players[0];
                let told = if freeze { pool.freeze(who) } else { pool.unfreeze(who) };
                prop_assert_eq!(told, Some(ticket.ticket_id));
                self.waiting.insert(ticket.ticket_id, (ticket, freeze));
            }
            Event::Pass(ms) => self.now_ms += ms,
            Event::Wake => self.now_ms = pool.next_wake_ms().unwrap_or(self.now_ms).max(self.now_ms),
        }
        Ok(())
    }

    fn look(&mut self, pool: &mut Pool) -> Result<(), TestCaseError> {
        let polled = pool.poll(self.now_ms);
        let due = |ticket: &Ticket| ticket.added_ms + 10_000 <= self.now_ms;
        let due: Vec<TicketId> =
            self.waiting.values().map(|(it, _)| it).filter(|it| due(it)).map(|it| it.ticket_id).collect();
        let expired: Vec<TicketId> = polled.expired.iter().map(|ticket| ticket.ticket_id).collect();
        prop_assert_eq!(&expired, &due, "a ticket expires exactly when its time is over");
        expired.iter().for_each(|ticket_id| drop(self.waiting.remove(ticket_id)));
        for group in &polled.groups {
            self.judge(pool.rules(), group)?;
        }
        self.nothing_missed(pool)
    }

    /// One group: everything that is promised about it.
    fn judge(&mut self, rules: &Rules, group: &Group) -> Result<(), TestCaseError> {
        for ticket in &group.tickets {
            let waited = self.waiting.remove(&ticket.ticket_id);
            prop_assert_eq!(
                waited,
                Some((ticket.clone(), false)),
                "only who waits is matched, once, and nobody frozen"
            );
        }
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
        for member in &group.tickets {
            let alike = |other: &Ticket| other.traits == member.traits && other.players.len() == member.players.len();
            let passed_over = self.waiting.range(..member.ticket_id).find(|(_, (it, frozen))| !frozen && alike(it));
            prop_assert!(passed_over.is_none(), "{:?} was passed over by {:?}", passed_over, member);
        }
        Ok(())
    }

    /// Nobody is left who could have been matched, now or before the pool wants to be woken.
    fn nothing_missed(&self, pool: &Pool) -> Result<(), TestCaseError> {
        let rules = pool.rules();
        let waiting: Vec<&Ticket> = self.waiting.values().filter(|(_, frozen)| !frozen).map(|(it, _)| it).collect();
        prop_assert_eq!(pool.len(), self.waiting.len());
        prop_assert_eq!(missed(rules, &waiting, self.now_ms), None, "at {}", self.now_ms);
        if let Some(wake_ms) = pool.next_wake_ms() {
            prop_assert!(wake_ms > self.now_ms, "a wake that lies behind would never end");
            prop_assert_eq!(missed(rules, &waiting, wake_ms - 1), None, "before the wake at {}", wake_ms);
        }
        for ticket in &waiting {
            let why = pool.why_not(ticket.ticket_id);
            prop_assert!(why.is_some_and(|why| !matches!(why, WhyNot::AboutToMatch | WhyNot::Frozen)));
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
            model.look(&mut pool)?;
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
            model.look(&mut pool)?;
        }
    }
}
