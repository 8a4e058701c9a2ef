//! What parts a pool: tickets whose required properties differ never meet, tickets of different regions only where the
//! rules say so. Each part keeps its tickets in order, so the search never looks at one that could not fit.

use std::collections::HashMap;
use std::sync::Arc;

use super::line::{Line, Spot};
use super::ticket::Traits;
use crate::engine::modes::Region;

/// Which tickets may meet at all: equal required properties, and a region where it matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PartKey {
    require: Arc<str>,
    region: Option<Arc<str>>,
}

/// Where a ticket is listed: at home, and with `region = "prefer"` also among all regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Homes {
    pub(super) home: PartKey,
    pub(super) anywhere: Option<PartKey>,
}

/// The parts a ticket of these traits belongs to.
pub(super) fn homes(region: Region, traits: &Traits) -> Homes {
    let part = |region: Option<&Arc<str>>| PartKey { require: traits.require.clone(), region: region.cloned() };
    match region {
        Region::Ignore => Homes { home: part(None), anywhere: None },
        Region::Require => Homes { home: part(traits.region.as_ref()), anywhere: None },
        // Those who name no region are at home with one another: else a ticket's age would not say whether it roams.
        Region::Prefer => {
            let nameless = Arc::from("");
            let region = traits.region.as_ref().unwrap_or(&nameless);
            Homes { home: part(Some(region)), anywhere: Some(part(None)) }
        }
    }
}

/// The tickets of one part, by party size and then by place on the strategy's line and age.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// At index `size - 1`.
    pub(super) by_size: Vec<Line>,
    /// Players in all of them.
    pub(super) players: u32,
}

/// All parts of a pool. An empty one is forgotten: clients choose the names.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Vec<Part>,
    free: Vec<u32>,
    by_key: HashMap<PartKey, u32>,
    /// The part that was named last: most modes have but one.
    last: Option<(PartKey, u32)>,
}

impl Parts {
    pub(super) fn get(&self, part: u32) -> &Part {
        &self.parts[part as usize]
    }

    /// Players of all regions with these required properties.
    pub(super) fn players_with(&self, require: &str) -> u32 {
        let alike = self.by_key.iter().filter(|(key, _)| &*key.require == require);
        let (regions, anywhere): (Vec<_>, Vec<_>) = alike.partition(|(key, _)| key.region.is_some());
        let sum = |parts: &[(&PartKey, &u32)]| parts.iter().map(|&(_, &part)| self.get(part).players).sum::<u32>();
        // With `prefer` everybody is listed anywhere; with `require` there is no such part.
        sum(&regions).max(sum(&anywhere))
    }

    /// The number of the part of this key, made if it is new. It stays valid while the part holds a ticket.
    pub(super) fn number(&mut self, key: &PartKey) -> u32 {
        if let Some((last, number)) = &self.last
            && last == key
        {
            return *number;
        }
        let number = match self.by_key.get(key) {
            Some(&number) => number,
            None => {
                let number = self.free.pop().unwrap_or_else(|| {
                    self.parts.push(Part::default());
                    self.parts.len() as u32 - 1
                });
                self.by_key.insert(key.clone(), number);
                number
            }
        };
        self.last = Some((key.clone(), number));
        number
    }

    pub(super) fn insert(&mut self, part: u32, size: u32, spot: Spot) {
        let part = &mut self.parts[part as usize];
        let index = size as usize - 1;
        if part.by_size.len() <= index {
            part.by_size.resize_with(index + 1, Line::default);
        }
        part.by_size[index].insert(spot);
        part.players += size;
    }

    pub(super) fn remove(&mut self, number: u32, size: u32, place: (i64, u64)) {
        let part = &mut self.parts[number as usize];
        if part.by_size[size as usize - 1].remove(place) {
            part.players -= size;
        }
    }

    /// Forgets a part that holds nothing. Its lines keep their room for the next one.
    pub(super) fn forget_if_empty(&mut self, number: u32, key: &PartKey) {
        // The nameless part is where most modes live: making it anew for every pair would be churn.
        if self.parts[number as usize].players == 0 && (key.region.is_some() || !key.require.is_empty()) {
            self.by_key.remove(key);
            self.free.push(number);
            self.last = None;
        }
    }
}
