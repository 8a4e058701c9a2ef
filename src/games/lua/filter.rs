//! A script's word filter: `judge_chat(id, text)`, asked of what a player says in the match's channel before anybody
//! reads it. True or nothing: it is said; a string: that is said instead; false: it is not said.
//!
//! It runs in a machine of its own, which has read the script and nothing else: no state, no `init`, and nothing to be
//! asked of `game.*`. What is said is not an input, so a filter that could change the match would make its recording
//! untrue. What it keeps for itself (words it made ready, a count) lives as long as the script stays as it is.

use std::rc::Rc;
use std::sync::Arc;

use mlua::{Function, Value};

use super::budget::{Allowance, Entry};
use super::calls::{Blame, Lookup};
use super::host::{Birth, Host};
use super::play::LuaGame;
use super::report::kind_of;
use super::sandbox::Machine;
use super::script::Script;
use crate::engine::chat::{Content, FilterVerdict};
use crate::ids::PlayerId;
use crate::limits::scripts::JUDGE_INSTRUCTIONS;

/// What the callback is called.
pub(super) const JUDGE: &str = "judge_chat";

/// A filter ready to judge.
pub(super) struct WordFilter {
    machine: Machine,
    judge: Function,
}

impl WordFilter {
    fn new(script: &Script, birth: Birth) -> mlua::Result<Self> {
        let given = script.allowance();
        let allowance = Allowance {
            instructions: given.instructions.min(JUDGE_INSTRUCTIONS),
            cpu_us: given.cpu_judge_us,
            // A match that plays waits for it.
            cpu_load_us: given.cpu_load_us.min(given.cpu_us),
            ..given
        };
        let machine = Machine::new(script.sources(), allowance, Rc::new(Host::new(birth)))?;
        machine.run(script.file(), &machine.lua.globals())?;
        machine.meter.loaded();
        let judge = Lookup::new(&machine.lua)?.find(JUDGE);
        let judge = judge.ok_or_else(|| mlua::Error::runtime("judge_chat is there only after the match began"))?;
        Ok(Self { machine, judge })
    }

    /// What the script makes of it, or what is wrong with what it gave back.
    fn judge(&self, sender: PlayerId, text: &str) -> mlua::Result<Result<FilterVerdict, String>> {
        self.machine.entry(Entry::Callback, || match self.judge.call::<Value>((sender.to_string(), text))? {
            Value::Nil | Value::Boolean(true) => Ok(Ok(FilterVerdict::Pass)),
            Value::Boolean(false) => Ok(Ok(FilterVerdict::Refuse)),
            Value::String(text) => {
                let text = text.to_str()?.to_owned();
                Ok(match Content::new(&text) {
                    Ok(_) => Ok(FilterVerdict::Replace(text)),
                    Err(refused) => Err(format!("judge_chat returned a text that may not be said: {refused}")),
                })
            }
            other => {
                let kind = kind_of(&other);
                Ok(Err(format!("judge_chat returned {kind}, expected true, false or the text to say instead")))
            }
        })
    }
}

impl LuaGame {
    /// Has the script judge what somebody says. A filter that fails, or writes what may not be said, lets nothing pass: nobody wants words to be read
    /// that it could not look at. Its author is told.
    pub(super) fn filter_chat(&mut self, sender: PlayerId, text: &str) -> FilterVerdict {
        if self.barred || self.lookup.find(JUDGE).is_none() {
            return FilterVerdict::Pass;
        }
        let script: Arc<Script> = self.script.clone();
        let version = script.version();
        if self.filter.as_ref().is_none_or(|(tried, _)| *tried != version) {
            // Tried once for each version of the script, whatever comes of it: it costs more than a judgement.
            let filter = WordFilter::new(&script, self.host().birth());
            let made = filter.map_err(|error| drop(self.not_judged(&error))).ok();
            self.filter = Some((version, made));
        }
        let judged = self.filter.as_ref().and_then(|(_, filter)| Some(filter.as_ref()?.judge(sender, text)));
        if let Some((_, Some(filter))) = &self.filter
            && let Some(us) = filter.machine.meter.gross_us()
        {
            // One step of it took as long as no step can by chance: it is not asked again, and nothing passes.
            self.filter = Some((version, None));
            let text = format!("judge_chat took {} ms in one step: nothing is said here any more", us / 1_000);
            return self.not_judged(&mlua::Error::runtime(text));
        }
        match judged {
            Some(Ok(Ok(verdict))) => verdict,
            Some(Ok(Err(wrong))) => {
                let wrong = format!("{}{wrong}", self.begins_at(JUDGE));
                self.not_judged(&mlua::Error::runtime(wrong))
            }
            Some(Err(error)) => self.not_judged(&error),
            None => FilterVerdict::Refuse,
        }
    }

    fn not_judged(&mut self, error: &mlua::Error) -> FilterVerdict {
        // Players choose what is judged: none of them ends the match by it.
        self.fail(JUDGE, None, error, Blame::None);
        FilterVerdict::Refuse
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Played, id};
    use super::*;
    use crate::games::Game;

    fn judged(played: &mut Played, text: &str) -> FilterVerdict {
        played.game.judge_chat(id(1), text)
    }

    #[test]
    fn a_script_judges_what_is_said() {
        let script = r#"
            function init() return {} end
            function judge_chat(id, text)
                if text:find('darn') then return (text:gsub('darn', '****')) end
                if text == 'spoiler' then return false end
                if text == id then return true end
            end"#;
        let mut played = Played::new(script);
        assert_eq!(judged(&mut played, "hello"), FilterVerdict::Pass);
        assert_eq!(judged(&mut played, "oh darn!"), FilterVerdict::Replace("oh ****!".into()));
        assert_eq!(judged(&mut played, "spoiler"), FilterVerdict::Refuse);
        assert_eq!(judged(&mut played, &id(1).to_string()), FilterVerdict::Pass);
        assert_eq!(judged(&mut Played::new("function init() return {} end"), "darn"), FilterVerdict::Pass);
    }

    #[test]
    fn a_filter_changes_nothing_of_its_match() {
        let script = r#"
            said = 0
            function init() return { said = 0 } end
            function tick(state) state.said = said return state end
            function get_state(id, state) return state end
            function judge_chat(id, text)
                said = said + 1
                local told = game.broadcast('said', { text = text })
                return type(told) == 'table' and told.error and ('heard ' .. said) or false
            end"#;
        let mut played = Played::new(script);
        for n in 1..=3 {
            assert_eq!(judged(&mut played, "x"), FilterVerdict::Replace(format!("heard {n}")));
        }
        played.ticks(1);
        assert_eq!((played.view(Some(1)).as_str(), played.told().len()), (r#"{"said":0}"#, 0));
    }

    #[test]
    fn what_a_filter_could_not_judge_is_not_said() {
        let check = |body: &str, word: &str| {
            let script = "function init() return {} end function tick(s) return s end function judge_chat(id, text)";
            let mut played = Played::new(&format!("{script} {body} end"));
            for _ in 0..20 {
                assert_eq!(judged(&mut played, "hello"), FilterVerdict::Refuse, "{body}");
            }
            played.ticks(1);
            let told = played.told();
            assert!(told.iter().any(|line| line.starts_with("fault judge_chat") && line.contains(word)), "{told:?}");
            let ended = told.iter().any(|line| line.starts_with("finish"));
            assert!(!ended, "{body}: what players say does not end a match");
        };
        check("error('no idea')", "match.lua:1 no idea");
        check("while true do end", "budget");
        check("return 5", "match.lua:1 judge_chat returned an integer, expected true, false or the text");
        check("return ''", "match.lua:1 judge_chat returned a text that may not be said: a message needs content");
        check("return ('x'):rep(2001)", "may have 2000 bytes");
        check("return 'x\u{202e}y'", "U+202E");
        check("return '\\255'", "");
        check("local s = text:rep(100) while true do s = s .. s end", "");
    }

    /// A saved script filters what is said from then on, and a filter that came with it is found.
    #[test]
    fn a_new_script_has_a_new_filter() {
        let of =
            |word: &str| format!("function judge_chat(id, text) return '{word}' end function tick(s) return s end");
        let sources = |text: &str| Arc::new(super::super::Sources::from_texts([("match.lua", text)]).unwrap());
        let script = Script::new("match.lua", sources(&of("old")), super::super::Allowance::default());
        let mut played = Played::of(script.clone(), 7);
        assert_eq!(judged(&mut played, "x"), FilterVerdict::Replace("old".into()));
        assert_eq!(script.replace(sources(&of("new"))), Ok(true));
        played.ticks(2);
        assert_eq!(judged(&mut played, "x"), FilterVerdict::Replace("new".into()));
    }
}
