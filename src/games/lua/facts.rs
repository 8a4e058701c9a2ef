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

    /// Tells what waits, while there is as good as all for it that a callback may have: one that is stopped half way for
    /// lack of time has done half of what it does, which nobody can take back.
    pub(super) fn tell_owed(&mut self) {
        self.machine.meter.in_row(true);
        while self.machine.meter.is_as_good_as_full()
            && let Some(fact) = self.owed.pop_front()
        {
            self.tell(fact);
        }
        self.machine.meter.in_row(false);
    }

    /// Whether the script was not told yet of somebody who left.
    pub(super) fn owes_a_leave(&self) -> bool {
        self.owed.iter().any(|fact| matches!(fact, Fact::Left(_)))
    }

    fn tell(&mut self, fact: Fact) {
        let state = self.state.clone();
        let (name, called) = match fact {
            Fact::Left(player) => {
                let Ok(id) = self.id(player) else { return };
                ("leave", self.call("leave", Some(player), (id, state)))
            }
            Fact::Resolved(template, result) => {
                let Ok(result) = convert::decode(&self.machine.lua, &result) else { return };
                ("vote_resolved", self.call("vote_resolved", None, (template, result, state)))
            }
            Fact::Vetoed(template, by) => {
                let Ok(by) = self.id(by) else { return };
                ("vote_vetoed", self.call("vote_vetoed", None, (template, by, state)))
            }
        };
        if let Some(returned) = called.done() {
            self.take_state(name, returned);
        }
    }
}
