//! Why a ticket still waits, as a value and as a sentence: the first of the rules, from wide to narrow, that leaves it
//! too few players.

use std::fmt;

use super::pool::Entry;
use super::regions::Parts;
use super::rules::Rules;
use super::strategies::Better;
use super::ticket::THOUSANDTHS;

/// Why a ticket was not matched yet. `needed` is how many more players would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    /// It will be matched at once.
    AboutToMatch,
    /// One of its players is disconnected; it keeps its place.
    Frozen,
    /// One of its players is on the way into another match; it keeps its place.
    Seating,
    /// The server has too much to do to open matches; it keeps its place.
    Held,
    /// Too few players are waiting at all.
    TooFew {
        /// Players missing.
        needed: u32,
    },
    /// Enough players wait, but too few with the same required properties.
    Properties {
        /// Players missing.
        needed: u32,
    },
    /// Enough players wait, but too few in its region.
    Region {
        /// Players missing.
        needed: u32,
        /// Milliseconds until it takes any region; `None` where it never does.
        any_in_ms: Option<u64>,
    },
    /// Enough players wait, but too few within its window of skill.
    Window {
        /// Players missing.
        needed: u32,
        /// Its window now, in thousandths of a point.
        window: i64,
        /// How far away the nearest one outside the window is, in thousandths of a point.
        nearest: Option<i64>,
        /// Milliseconds until the window widens; `None` when it is as wide as it becomes.
        widens_in_ms: Option<u64>,
    },
    /// Enough players are near enough, but too few in the mode's other ranges.
    Ranges {
        /// Players missing.
        needed: u32,
    },
    /// Enough players fit, but their parties do not add up to full teams, or not all of them fit one another.
    PartySize {
        /// Players per match.
        size: u32,
    },
}

impl WhyNot {
    /// The word for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AboutToMatch => "about_to_match",
            Self::Frozen => "frozen",
            Self::Seating => "seating",
            Self::Held => "server_busy",
            Self::TooFew { .. } => "too_few",
            Self::Properties { .. } => "properties",
            Self::Region { .. } => "region",
            Self::Window { .. } => "window",
            Self::Ranges { .. } => "ranges",
            Self::PartySize { .. } => "party_size",
        }
    }

    /// How many more players would do; 0 where more players are not what is missing.
    pub fn needed(&self) -> u32 {
        match *self {
            Self::AboutToMatch | Self::Frozen | Self::Seating | Self::Held | Self::PartySize { .. } => 0,
            Self::TooFew { needed }
            | Self::Properties { needed }
            | Self::Region { needed, .. }
            | Self::Window { needed, .. }
            | Self::Ranges { needed } => needed,
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let players = |count: u32| if count == 1 { "1 more player".into() } else { format!("{count} more players") };
        let points = |milli: i64| milli as f64 / THOUSANDTHS as f64;
        match self {
            Self::AboutToMatch => f.write_str("it is about to be matched"),
            Self::Frozen => f.write_str("one of its players is disconnected; it keeps its place meanwhile"),
            Self::Seating => f.write_str(
                "one of its players is being seated in another match; it goes on from its place if that match has them not",
            ),
            Self::Held => f.write_str("the server is too busy to open matches; it keeps its place until it is not"),
            Self::TooFew { needed } => write!(f, "{} must queue", players(*needed)),
            Self::Properties { needed } => write!(f, "{} must queue with the same properties", players(*needed)),
            Self::Region { needed, any_in_ms } => {
                write!(f, "{} must queue in its region", players(*needed))?;
                any_in_ms.map_or(Ok(()), |ms| write!(f, ", or any region in {} s", ms.div_ceil(1_000)))
            }
            Self::Window { needed, window, nearest, widens_in_ms } => {
                write!(f, "{} must queue within {} points of skill", players(*needed), points(*window))?;
                nearest.map_or(Ok(()), |away| write!(f, "; the nearest is {} away", points(away)))?;
                widens_in_ms.map_or(Ok(()), |ms| write!(f, "; the window widens in {} s", ms.div_ceil(1_000)))
            }
            Self::Ranges { needed } => write!(f, "{} must queue within the mode's ranges", players(*needed)),
            Self::PartySize { size } => {
                write!(f, "the parties that fit it do not add up to a match of {size} without being split")
            }
        }
    }
}

/// A look at a pool, to explain one of its tickets.
pub(super) struct Look<'a> {
    pub(super) rules: &'a Rules,
    pub(super) parts: &'a Parts,
    pub(super) entries: &'a [Option<Entry>],
    /// Players who can be matched, in all parts.
    pub(super) players: u32,
    pub(super) now_ms: u64,
}

impl Look<'_> {
    /// The first rule that leaves the ticket too few players.
    pub(super) fn why(&self, entry: &Entry) -> WhyNot {
        if entry.is_frozen() {
            return WhyNot::Frozen;
        }
        if !entry.is_listed() {
            return WhyNot::Seating;
        }
        let missing = |players: u32| Some(self.rules.size.saturating_sub(players)).filter(|&needed| needed > 0);
        if let Some(needed) = missing(self.players) {
            return WhyNot::TooFew { needed };
        }
        if let Some(needed) = missing(self.parts.players_with(&entry.ticket.traits.require)) {
            return WhyNot::Properties { needed };
        }
        let waited_ms = self.waited_ms(entry);
        let any_region_ms = self.rules.any_region_after_ms();
        let roams = any_region_ms.is_some_and(|after_ms| waited_ms >= after_ms);
        let part = entry.anywhere.filter(|_| roams).unwrap_or(entry.home);
        if let Some(needed) = missing(self.parts.get(part).players) {
            return WhyNot::Region {
                needed,
                any_in_ms: any_region_ms.map(|after_ms| after_ms.saturating_sub(waited_ms)),
            };
        }
        if self.rules.by_age {
            return WhyNot::PartySize { size: self.rules.size };
        }
        let around = self.around(entry, part);
        let along = missing(self.most_together(entry, &around));
        let in_range: Vec<_> = around.iter().copied().filter(|other| self.in_range(entry, other)).collect();
        match (along, missing(self.most_together(entry, &in_range))) {
            (Some(needed), _) if self.rules.strategy.better == Better::Closer => self.window(entry, part, needed),
            (_, Some(needed)) | (Some(needed), _) => WhyNot::Ranges { needed },
            (None, None) => WhyNot::PartySize { size: self.rules.size },
        }
    }

    fn waited_ms(&self, entry: &Entry) -> u64 {
        self.now_ms.saturating_sub(entry.ticket.added_ms)
    }

    fn in_range(&self, a: &Entry, b: &Entry) -> bool {
        let pairs = a.ticket.traits.ranges.iter().zip(&b.ticket.traits.ranges).zip(self.rules.range_limits());
        pairs.into_iter().all(|((a, b), limit)| a.abs_diff(*b) <= limit.unsigned_abs())
    }

    /// The ticket and its nearest neighbours, in order of place: enough to each side to fill a group.
    fn around(&self, entry: &Entry, part: u32) -> Vec<&Entry> {
        let per_side = self.rules.size as usize;
        let mut around = Vec::new();
        for tickets in &self.parts.get(part).by_size {
            let here = (entry.place, entry.seq);
            let spots = tickets.down(here).take(per_side).chain(tickets.up(here).take(per_side + 1));
            around.extend(spots.filter_map(|spot| self.entries[spot.slot as usize].as_ref()));
        }
        around.sort_unstable_by_key(|other| (other.place, other.seq));
        around
    }

    /// The most players, the ticket's own among them, within the window of the longest waiter of any of them.
    fn most_together(&self, entry: &Entry, around: &[&Entry]) -> u32 {
        let mut most = entry.size;
        for longest in around {
            let width = self.rules.window(self.waited_ms(longest)).unsigned_abs();
            for left in around {
                let within = |other: &&&Entry| other.place >= left.place && other.place.abs_diff(left.place) <= width;
                if within(&&entry) && within(&longest) {
                    most = most.max(around.iter().filter(within).map(|other| other.size).sum());
                }
            }
        }
        most
    }

    fn window(&self, entry: &Entry, part: u32, needed: u32) -> WhyNot {
        let waited_ms = self.waited_ms(entry);
        let window = self.rules.window(waited_ms);
        let mut nearest: Option<i64> = None;
        for tickets in &self.parts.get(part).by_size {
            let below = tickets.down((entry.place.saturating_sub(window), 0)).next();
            let above = tickets.up((entry.place.saturating_add(window).saturating_add(1), 0)).next();
            for spot in below.into_iter().chain(above) {
                let away = spot.place.saturating_sub(entry.place).saturating_abs();
                nearest = Some(nearest.map_or(away, |nearest| nearest.min(away)));
            }
        }
        let widens_in_ms = self.rules.widening.next_step_ms(waited_ms).map(|at_ms| at_ms - waited_ms);
        WhyNot::Window { needed, window, nearest, widens_in_ms }
    }
}
