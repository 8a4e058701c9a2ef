//! The search: which group a ticket makes possible. One for all strategies.
//!
//! It leans on one fact: before a ticket came (or its window widened) nothing more was possible, so a new group has to
//! involve it. With solo players it is enough to look at its nearest neighbours, as many to each side as a group could
//! take: whatever group there is, there is one of neighbours that is closer and has the same longest waiter. Where
//! parties or ranges make neighbours unlike, it looks at some times as many. Either way the work is bounded by the
//! size of a group and not of the pool.
//!
//! The best group of a waiter is found in two steps: how close together its members can lie at all, then the oldest
//! who lie that close. Where that is not the whole truth (several came at once; ranges, regions or bots are in play),
//! older tickets then take the places of younger ones as long as the group is no worse for it. So nobody is passed over
//! for somebody younger of equal fit.

use super::line::{Line, Spot};
use super::parties::{assign, can_complete};
use super::pool::Entry;
use super::regions::Parts;
use super::rules::Rules;
use super::strategies::Better;
use crate::limits::PAIRING_STEPS_MAX;

/// A waiting ticket as the search sees it.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    place: i64,
    seq: u64,
    slot: u32,
    size: u32,
}

/// A group that may be formed now.
#[derive(Debug)]
pub(super) struct Found {
    /// The tickets' slots, oldest first.
    pub(super) members: Vec<u32>,
    /// The team of each.
    pub(super) teams: Vec<usize>,
    /// Seats that bots take.
    pub(super) bots: u32,
}

/// A possible group of one waiter; compared as its strategy prefers.
struct Choice {
    bots: u32,
    spread: i64,
    members: Vec<Candidate>,
}

/// A look at a pool at one moment.
pub(super) struct Search<'a> {
    pub(super) rules: &'a Rules,
    pub(super) parts: &'a Parts,
    pub(super) entries: &'a [Option<Entry>],
    pub(super) oldest_ms: u64,
    pub(super) now_ms: u64,
    /// Nobody else came, or may do more than before, since the last look.
    pub(super) is_only_news: bool,
}

impl Search<'_> {
    /// A group that the ticket in this slot makes possible, if there is one.
    pub(super) fn group_for(&self, seed: u32) -> Option<Found> {
        let entry = self.entry(seed)?;
        for part in [Some(entry.home), entry.anywhere].into_iter().flatten() {
            if self.may_do(entry, part)
                && let Some(found) = self.among(entry, part, &self.around(entry, part, false))
            {
                return Some(found);
            }
        }
        let bots_due = self.rules.bots_after_ms.is_some_and(|after_ms| self.waited_ms(entry) >= after_ms);
        if !bots_due {
            return None;
        }
        // Its own region, unless elsewhere fewer bots are needed.
        let mut best: Option<Choice> = None;
        for part in [Some(entry.home), entry.anywhere.filter(|_| self.roams(entry))].into_iter().flatten() {
            if let Some(choice) = self.with_bots(entry, seed, &self.around(entry, part, false))
                && best.as_ref().is_none_or(|best| choice.bots < best.bots)
            {
                best = Some(choice);
            }
        }
        self.seated(best?)
    }

    /// Whether a look at the ticket's neighbours is worth its while. Of players who all came alone, as many as play
    /// must lie side by side within the widest window there is.
    fn may_do(&self, seed: &Entry, part: u32) -> bool {
        match &self.parts.get(part).by_size[..] {
            [alone, parties @ ..] if !self.rules.by_age && parties.iter().all(Line::is_empty) => {
                alone.is_crowded((seed.place, seed.seq), self.rules.size as usize, self.reach())
            }
            _ => true,
        }
    }

    /// The window of who has waited longest of all: nobody's is wider.
    fn reach(&self) -> i64 {
        self.rules.window(self.now_ms.saturating_sub(self.oldest_ms))
    }

    fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    fn waited_ms(&self, entry: &Entry) -> u64 {
        self.now_ms.saturating_sub(entry.ticket.added_ms)
    }

    /// Whether the ticket has waited long enough to take any region.
    fn roams(&self, entry: &Entry) -> bool {
        self.rules.any_region_after_ms().is_some_and(|after_ms| self.waited_ms(entry) >= after_ms)
    }

    fn window_of(&self, candidate: Candidate) -> i64 {
        self.entry(candidate.slot).map_or(0, |entry| self.rules.window(self.waited_ms(entry)))
    }

    /// The neighbours of a ticket in one part, itself included, in order of place and age.
    fn around(&self, seed: &Entry, part: u32, widely: bool) -> Vec<Candidate> {
        let part = self.parts.get(part);
        let mut found = Vec::with_capacity(2 * self.rules.size as usize);
        for (size, tickets) in (1u32..=self.rules.size).zip(&part.by_size) {
            let candidate = |&Spot { place, seq, slot }: &Spot| Candidate { place, seq, slot, size };
            let per_side = (self.rules.size / size) as usize;
            if self.rules.by_age {
                found.extend(tickets.up((i64::MIN, 0)).take(per_side).map(candidate));
                continue;
            }
            let reach = self.reach();
            let lowest = seed.place.saturating_sub(reach);
            let highest = seed.place.saturating_add(reach);
            let here = (seed.place, seed.seq);
            // Where tickets differ in more than place, the nearest may not do: a smaller window, another range. Look
            // past those, but not for ever.
            let plain = self.rules.ranges.is_empty();
            let alike = plain && part.by_size.len() == 1 && !widely;
            let take = if alike { per_side } else { 4 * per_side.max(4) };
            let look_at = if plain { take } else { 8 * take };
            let fits = |it: &Candidate| plain || self.entry(it.slot).is_some_and(|entry| self.in_range(seed, entry));
            let first = found.len();
            let below = tickets.down(here).take_while(|spot| spot.place >= lowest);
            found.extend(below.take(look_at).map(candidate).filter(fits).take(take));
            // In order already, so that sorting has nothing to do in the common case.
            found[first..].reverse();
            // Going down, the young of a place come first: where the walk ended, it is the old who are wanted.
            if let Some(&Candidate { place, .. }) = found.get(first)
                && found.len() - first == take
            {
                found.retain(|it| it.place != place || it.size != size);
                let here =
                    tickets.up((place, 0)).take_while(|spot| (spot.place, spot.seq) < here.min((place, u64::MAX)));
                found.extend(here.take(look_at).map(candidate).filter(fits).take(take));
            }
            let above = tickets.up(here).take_while(|spot| spot.place <= highest);
            found.extend(above.take(look_at).map(candidate).filter(fits).take(take));
        }
        found.sort_unstable_by_key(|candidate| (candidate.place, candidate.seq));
        found
    }

    fn in_range(&self, a: &Entry, b: &Entry) -> bool {
        let pairs = a.ticket.traits.ranges.iter().zip(&b.ticket.traits.ranges);
        pairs.zip(self.rules.range_limits()).all(|((a, b), limit)| a.abs_diff(*b) <= limit.unsigned_abs())
    }

    /// The group of the longest waiter among these who can have one.
    fn among(&self, seed: &Entry, part: u32, around: &[Candidate]) -> Option<Found> {
        let oldest = around.iter().min_by_key(|candidate| candidate.seq)?;
        let widest = if self.rules.by_age { i64::MAX } else { self.window_of(*oldest) };
        if !self.enough_within(around, widest) {
            return None;
        }
        let mut anchors: Vec<Candidate> = around.iter().copied().filter(|anchor| anchor.seq <= seed.seq).collect();
        anchors.sort_unstable_by_key(|anchor| anchor.seq);
        for anchor in anchors {
            let entry = self.entry(anchor.slot)?;
            if entry.home != part && !self.roams(entry) {
                continue;
            }
            let window = self.rules.window(self.waited_ms(entry));
            if !self.rules.by_age && anchor.place.abs_diff(seed.place) > window.unsigned_abs() {
                continue;
            }
            if let Some(best) = self.best_of(anchor, window, around, false)
                && let Some(found) = self.seated(best)
            {
                return Some(found);
            }
        }
        None
    }

    /// Whether any stretch of this width holds players enough.
    fn enough_within(&self, around: &[Candidate], width: i64) -> bool {
        let (mut first, mut players) = (0, 0);
        around.iter().any(|last| {
            players += last.size;
            while last.place.abs_diff(around[first].place) > width.unsigned_abs() {
                players -= around[first].size;
                first += 1;
            }
            players >= self.rules.size
        })
    }

    /// The ticket with whoever is there, and bots in the other seats.
    fn with_bots(&self, entry: &Entry, seed: u32, around: &[Candidate]) -> Option<Choice> {
        let anchor = Candidate { place: entry.place, seq: entry.seq, slot: seed, size: entry.size };
        let window = self.rules.window(self.waited_ms(entry));
        self.best_of(anchor, window, around, true)
    }

    /// The best group in which `anchor` is the longest waiter.
    fn best_of(&self, anchor: Candidate, window: i64, around: &[Candidate], bots: bool) -> Option<Choice> {
        let near = |place: i64| self.rules.by_age || place.abs_diff(anchor.place) <= window.unsigned_abs();
        let mut others = Vec::with_capacity(around.len());
        others.extend(around.iter().copied().filter(|it| it.seq > anchor.seq && near(it.place)));
        if self.rules.by_age {
            others.sort_unstable_by_key(|it| it.seq);
            return self.assemble(anchor, &others, bots);
        }
        let closer = self.rules.strategy.better == Better::Closer;
        let plain = closer && !bots && self.rules.ranges.is_empty();
        if plain && anchor.size == 1 && others.iter().all(|it| it.size == 1) {
            return self.closest_solos(anchor, window, others);
        }
        // Every group has a leftmost member: try each place that could be it.
        let mut best: Option<Choice> = None;
        let mut tried = None;
        let lefts = others.iter().map(|it| it.place).filter(|&place| place <= anchor.place).chain([anchor.place]);
        for left in lefts {
            if tried == Some(left) {
                continue;
            }
            tried = Some(left);
            let mut right = left.saturating_add(window);
            if plain {
                let Some(nearest) = self.nearest_end(anchor, left, right, &others) else { continue };
                right = nearest;
            }
            let mut within: Vec<_> = others.iter().copied().filter(|it| (left..=right).contains(&it.place)).collect();
            if plain || !closer {
                within.sort_unstable_by_key(|it| it.seq);
            }
            if let Some(choice) = self.assemble(anchor, &within, bots)
                && best.as_ref().is_none_or(|best| self.is_better(&choice, best))
            {
                best = Some(choice);
            }
        }
        best
    }

    /// Gives the places of younger members to older tickets of their size wherever the group is no worse for it, until
    /// there is no such place. The search is exact for one newcomer among solo players and parties; where several came at
    /// once, or ranges, regions or bots are in play, somebody whom the newcomer could not meet may suit the group better.
    fn prefer_older(&self, mut choice: Choice) -> Choice {
        // Every exchange makes the group older, so this ends.
        while let Some(older) = self.older_by_one(&choice) {
            choice = older;
        }
        choice
    }

    /// The group with the oldest ticket that could have a younger member's place.
    fn older_by_one(&self, choice: &Choice) -> Option<Choice> {
        let mut others = Vec::new();
        for member in choice.members.iter().filter_map(|it| self.entry(it.slot)) {
            let part = if self.is_mixed(choice) { member.anywhere.unwrap_or(member.home) } else { member.home };
            others.extend(self.around(member, part, true));
        }
        others.sort_unstable_by_key(|it| it.seq);
        others.dedup_by_key(|it| it.seq);
        others.retain(|other| choice.members.iter().all(|member| member.seq != other.seq));
        let places = |other| (0..choice.members.len()).rev().find_map(|place| self.exchanged(choice, place, other));
        others.into_iter().find_map(places)
    }

    /// The group with `other` in this place, if every rule holds and it is no worse.
    fn exchanged(&self, choice: &Choice, place: usize, other: Candidate) -> Option<Choice> {
        let member = choice.members[place];
        if member.seq < other.seq || member.size != other.size {
            return None;
        }
        let mut members = choice.members.clone();
        members[place] = other;
        let mut ranges = Spreads::new(self, members[0]);
        for &member in &members[1..] {
            ranges.allow(self, member).then(|| ranges.take(self, member))?;
        }
        let exchanged = Self::choice(choice.bots, members)?;
        if !self.rules.by_age && exchanged.spread > self.window_of(*exchanged.members.first()?) {
            return None;
        }
        let fit = |choice: &Choice| {
            (self.is_mixed(choice), if self.rules.strategy.better == Better::Closer { choice.spread } else { 0 })
        };
        (fit(&exchanged) <= fit(choice)).then_some(exchanged)
    }

    /// Whether its members come from more than one region.
    fn is_mixed(&self, choice: &Choice) -> bool {
        let mut homes = choice.members.iter().filter_map(|it| self.entry(it.slot)).map(|entry| entry.home);
        let first = homes.next();
        homes.any(|home| Some(home) != first)
    }

    /// The best group of players who came alone: they lie side by side, so the closest one is a run of neighbours.
    /// `others` in order of place.
    fn closest_solos(&self, anchor: Candidate, window: i64, others: Vec<Candidate>) -> Option<Choice> {
        let size = self.rules.size as usize;
        let mut line = others;
        let at = line.partition_point(|it| (it.place, it.seq) < (anchor.place, anchor.seq));
        line.insert(at, anchor);
        let firsts = at.saturating_sub(size - 1)..=at.min(line.len().checked_sub(size)?);
        let spread_of = |first: usize| line[first + size - 1].place.saturating_sub(line[first].place);
        let spread = firsts.clone().map(spread_of).min().filter(|&spread| spread <= window)?;
        let mut best: Option<Vec<Candidate>> = None;
        let mut tried = None;
        for first in firsts.filter(|&first| spread_of(first) == spread) {
            let left = line[first].place;
            if tried == Some(left) {
                continue;
            }
            tried = Some(left);
            // Of all who lie within, the oldest.
            let right = left.saturating_add(spread);
            let mut members: Vec<_> = line[line.partition_point(|it| it.place < left)..]
                .iter()
                .copied()
                .take_while(|it| it.place <= right)
                .collect();
            members.sort_unstable_by_key(|it| it.seq);
            members.truncate(size);
            let older = |best: &Vec<Candidate>| members.iter().map(|it| it.seq).lt(best.iter().map(|it| it.seq));
            if best.as_ref().is_none_or(older) {
                best = Some(members);
            }
        }
        best.map(|members| Choice { bots: 0, spread, members })
    }

    /// The first place at which those from `left` on fill a group with `anchor`; at most `furthest`.
    fn nearest_end(&self, anchor: Candidate, left: i64, furthest: i64, others: &[Candidate]) -> Option<i64> {
        let mut at_hand = vec![0; self.rules.size as usize];
        if anchor.size == self.rules.size {
            // A party that fills the match by itself needs nobody.
            return can_complete(&self.rules.seats, &[anchor.size], &at_hand, false).then_some(anchor.place);
        }
        let mut players = anchor.size;
        for (nth, other) in others.iter().enumerate() {
            if other.place < left {
                continue;
            }
            if other.place > furthest {
                break;
            }
            if other.size <= self.rules.size {
                at_hand[other.size as usize - 1] += 1;
                players += other.size;
            }
            let more_here = others.get(nth + 1).is_some_and(|next| next.place == other.place);
            if !more_here
                && players >= self.rules.size
                && can_complete(&self.rules.seats, &[anchor.size], &at_hand, false)
            {
                return Some(other.place.max(anchor.place));
            }
        }
        None
    }

    fn is_better(&self, choice: &Choice, than: &Choice) -> bool {
        let spread = |choice: &Choice| match self.rules.strategy.better {
            Better::Closer => choice.spread,
            Better::Older => 0,
        };
        let seqs = |choice: &Choice| choice.members.iter().map(|it| it.seq).collect::<Vec<_>>();
        (choice.bots, spread(choice), seqs(choice)) < (than.bots, spread(than), seqs(than))
    }

    /// Fills the seats around `anchor` from `others` in their order, passing over those that would leave a gap that
    /// nobody fits or that lie too far from somebody already in.
    fn assemble(&self, anchor: Candidate, others: &[Candidate], bots: bool) -> Option<Choice> {
        let size = self.rules.size;
        let mut free = size.checked_sub(anchor.size)?;
        let mut ranges = Spreads::new(self, anchor);
        let mut members = Vec::with_capacity(size as usize);
        members.push(anchor);
        let solo = anchor.size == 1 && others.iter().all(|it| it.size == 1);
        let mut at_hand = Vec::new();
        let mut chosen = Vec::new();
        if !solo {
            at_hand = vec![0; size as usize];
            others.iter().filter(|it| it.size <= size).for_each(|it| at_hand[it.size as usize - 1] += 1);
            chosen.push(anchor.size);
            if !can_complete(&self.rules.seats, &chosen, &at_hand, bots) {
                return None;
            }
        }
        for &other in others {
            if free == 0 {
                break;
            }
            if !solo {
                at_hand[other.size as usize - 1] -= 1;
            }
            if other.size > free || !ranges.allow(self, other) {
                continue;
            }
            if !solo {
                chosen.push(other.size);
                if !can_complete(&self.rules.seats, &chosen, &at_hand, bots) {
                    chosen.pop();
                    continue;
                }
            }
            ranges.take(self, other);
            free -= other.size;
            members.push(other);
        }
        if free > 0 && !bots {
            if self.rules.ranges.is_empty() {
                return None;
            }
            // Whoever was taken first may have shut out those who fit together: with ranges, an earlier choice has to be
            // taken back now and then.
            members.truncate(1);
            let mut steps = PAIRING_STEPS_MAX;
            let free = size - anchor.size;
            self.fill(&mut members, free, others, &Spreads::new(self, anchor), &mut steps).then_some(())?;
            return Self::choice(0, members);
        }
        Self::choice(free, members)
    }

    fn choice(bots: u32, mut members: Vec<Candidate>) -> Option<Choice> {
        members.sort_unstable_by_key(|it| it.seq);
        let places = || members.iter().map(|it| it.place);
        let spread = places().max()?.saturating_sub(places().min()?);
        Some(Choice { bots, spread, members })
    }

    /// Adds to `members` whoever of `others` fills the `free` seats, the first in their order that do; false when nobody
    /// does, or none were found within `steps`.
    fn fill(
        &self,
        members: &mut Vec<Candidate>,
        free: u32,
        others: &[Candidate],
        ranges: &Spreads,
        steps: &mut u32,
    ) -> bool {
        let sizes = |members: &[Candidate]| members.iter().map(|it| it.size).collect::<Vec<_>>();
        if free == 0 {
            return true;
        }
        for (nth, &other) in others.iter().enumerate() {
            if other.size > free || !ranges.allow(self, other) {
                continue;
            }
            let Some(left) = steps.checked_sub(1) else { return false };
            *steps = left;
            members.push(other);
            let rest = &others[nth + 1..];
            let mut at_hand = vec![0; self.rules.size as usize];
            rest.iter().filter(|it| it.size <= free).for_each(|it| at_hand[it.size as usize - 1] += 1);
            if can_complete(&self.rules.seats, &sizes(members), &at_hand, false) {
                let mut extents = ranges.clone();
                extents.take(self, other);
                if self.fill(members, free - other.size, rest, &extents, steps) {
                    return true;
                }
            }
            members.pop();
        }
        false
    }

    /// Gives every member a team.
    fn seated(&self, choice: Choice) -> Option<Found> {
        let is_best = self.is_only_news && self.rules.ranges.is_empty() && choice.bots == 0;
        let Choice { bots, members, .. } = if is_best { choice } else { self.prefer_older(choice) };
        let teams = if self.rules.has_teams {
            let skill = |it: &Candidate| self.entry(it.slot).map_or(0, |entry| entry.ticket.traits.skill);
            let parties: Vec<_> = members.iter().map(|it| (it.size, skill(it))).collect();
            assign(&self.rules.seats, &parties)?
        } else {
            Vec::new()
        };
        Some(Found { members: members.iter().map(|it| it.slot).collect(), teams, bots })
    }
}

/// The extent of a group in each of the mode's `ranges`.
#[derive(Clone)]
struct Spreads {
    extents: Vec<(i64, i64)>,
}

impl Spreads {
    fn new(search: &Search<'_>, anchor: Candidate) -> Self {
        let values = search.entry(anchor.slot).map(|entry| entry.ticket.traits.ranges.as_slice()).unwrap_or_default();
        Self { extents: values.iter().map(|&value| (value, value)).collect() }
    }

    fn allow(&self, search: &Search<'_>, other: Candidate) -> bool {
        let Some(entry) = search.entry(other.slot) else { return false };
        let values = self.extents.iter().zip(&entry.ticket.traits.ranges).zip(search.rules.range_limits());
        values
            .into_iter()
            .all(|((&(low, high), &value), limit)| high.max(value).abs_diff(low.min(value)) <= limit as u64)
    }

    fn take(&mut self, search: &Search<'_>, other: Candidate) {
        let Some(entry) = search.entry(other.slot) else { return };
        for ((low, high), &value) in self.extents.iter_mut().zip(&entry.ticket.traits.ranges) {
            *low = (*low).min(value);
            *high = (*high).max(value);
        }
    }
}
