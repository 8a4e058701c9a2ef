//! What happens once and cannot be asked for again: who left, how a vote ended. When the match has used up its
//! processor time, the script is told as soon as there is some, in order, and before anything else of a tick runs.

use super::budget::Entry;
use super::calls::Blame;
use super::convert;
use super::play::LuaGame;
use crate::games::Json;
use crate::ids::PlayerId;
use crate::limits::scripts::FACTS_OWED_MAX;

/// Something the script is told of once.
#[derive(Debug)]
pub(super) enum Fact {
    Left(PlayerId),
    Resolved(String, Json),
    Vetoed(String, PlayerId),
}

impl LuaGame {
    /// Tells the script, now or as soon as it can be.
    pub(super) fn learn(&mut self, fact: Fact) {
        if self.owed.len() < FACTS_OWED_MAX {
            self.owed.push_back(fact);
        } else {
            let text = format!("{FACTS_OWED_MAX} callbacks wait for processor time, and one more is lost");
            self.fail("leave", None, &mlua::Error::runtime(text), Blame::None);
        }
        self.machine.meter.fill(Entry::Callback);
        self.tell_owed();
    }

    /// Tells what waits, while there is enough to do it in full.
    pub(super) fn tell_owed(&mut self) {
        self.machine.meter.in_row(true);
        while self.machine.meter.has_quarters(self.owed_quarters)
            && let Some(fact) = self.owed.pop_front()
        {
            let untold = self.tell(fact);
            self.owed_quarters = if untold.is_some() { 4 } else { 1 };
            if let Some(untold) = untold {
                self.owed.push_front(untold);
                break;
            }
        }
        self.machine.meter.in_row(false);
    }

    /// Whether the script was not told yet of somebody who left.
    pub(super) fn owes_a_leave(&self) -> bool {
        self.owed.iter().any(|fact| matches!(fact, Fact::Left(_)))
    }

    /// Tells the script; gives back what it could not be told for lack of time. There was some and not all that a callback
    /// may have, so with a full purse it is told, or over its budget.
    fn tell(&mut self, fact: Fact) -> Option<Fact> {
        let state = self.state.clone();
        let (name, called) = match &fact {
            Fact::Left(player) => {
                let id = self.id(*player).ok()?;
                ("leave", self.try_call("leave", Some(*player), (id, state)))
            }
            Fact::Resolved(template, result) => {
                let result = convert::decode(&self.machine.lua, result).ok()?;
                ("vote_resolved", self.try_call("vote_resolved", None, (template.as_str(), result, state)))
            }
            Fact::Vetoed(template, by) => {
                let by = self.id(*by).ok()?;
                ("vote_vetoed", self.try_call("vote_vetoed", None, (template.as_str(), by, state)))
            }
        };
        match called {
            Some(called) => {
                if let Some(returned) = called.done() {
                    self.take_state(name, returned);
                }
                None
            }
            None => Some(fact),
        }
    }
}
