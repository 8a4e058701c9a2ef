//! The stages that a script's `phases(config)` names, walked in order by the match's clock.

use super::report::kind_of;
use crate::limits::scripts::{PHASE_NAME_BYTES_MAX, PHASES_MAX};
use mlua::Value;

/// What begins a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The end of the one before.
    Follows,
    /// So many players in the match.
    Players(usize),
    /// So many microseconds of waiting.
    AfterUs(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Phase {
    name: String,
    /// Microseconds; none plays until the game ends itself.
    duration_us: Option<u64>,
    start: Start,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Waiting(u64),
    Running(u64),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Started(String),
    Ended(String),
}

/// The phases of one match.
#[derive(Debug, Default)]
pub(super) struct Phases {
    list: Vec<Phase>,
    index: usize,
    at: Option<At>,
}

impl Phases {
    /// Reads what `phases` returned: a list of `{name, duration = ms, start = ...}`.
    pub(super) fn read(value: &Value) -> mlua::Result<Self> {
        let Value::Table(list) = value else {
            return Err(mlua::Error::runtime(format!("phases returned {}, expected a list", kind_of(value))));
        };
        let ms = |v: f64| (v.max(0.0) * 1e3) as u64;
        let mut phases = Vec::new();
        for (i, entry) in list.sequence_values::<Value>().take(PHASES_MAX).enumerate() {
            let wrong = |what: &str, found: &Value, expected: &str| {
                let n = i + 1;
                mlua::Error::runtime(format!("phase {n}: {what} is {}, expected {expected}", kind_of(found)))
            };
            let entry = match entry? {
                Value::Table(entry) => entry,
                other => return Err(wrong("it", &other, "a table such as {name = \"play\", duration = 60000}")),
            };
            let name = match entry.raw_get("name")? {
                Value::String(name) if name.as_bytes().len() <= PHASE_NAME_BYTES_MAX => name.to_string_lossy(),
                Value::String(_) => {
                    let (n, most) = (i + 1, PHASE_NAME_BYTES_MAX);
                    return Err(mlua::Error::runtime(format!("phase {n}: its name has more than {most} bytes")));
                }
                other => return Err(wrong("its name", &other, "a string")),
            };
            let duration_us = match entry.raw_get("duration")? {
                Value::Nil => None,
                Value::Integer(n) => Some(ms(n as f64)),
                Value::Number(n) => Some(ms(n)),
                other => return Err(wrong("its duration", &other, "a number of milliseconds")),
            };
            let start = match entry.raw_get::<Value>("start")? {
                Value::Integer(n) => Start::AfterUs(ms(n as f64)),
                Value::Number(n) => Start::AfterUs(ms(n)),
                Value::Table(t) => match (t.raw_get::<Option<f64>>("players")?, t.raw_get::<Option<f64>>("timer")?) {
                    (Some(n), _) => Start::Players(n.max(0.0) as usize),
                    (None, Some(n)) => Start::AfterUs(ms(n)),
                    (None, None) => Start::Follows,
                },
                _ => Start::Follows,
            };
            phases.push(Phase { name, duration_us, start });
        }
        Ok(Self { list: phases, index: 0, at: None })
    }

    /// The next thing that is due at `now_us` of match time with `players` seated. Called until it returns none.
    pub(super) fn poll(&mut self, now_us: u64, players: usize) -> Option<Step> {
        let phase = self.list.get(self.index)?;
        match *self.at.get_or_insert(At::Waiting(now_us)) {
            At::Waiting(since) => {
                let due = match phase.start {
                    Start::Follows => true,
                    Start::Players(n) => players >= n,
                    Start::AfterUs(us) => now_us >= since.saturating_add(us),
                };
                due.then(|| {
                    self.at = Some(At::Running(now_us));
                    Step::Started(phase.name.clone())
                })
            }
            At::Running(since) => {
                let ends = since.saturating_add(phase.duration_us?);
                if now_us < ends {
                    return None;
                }
                let ended = Step::Ended(phase.name.clone());
                self.index += 1;
                self.at = Some(At::Waiting(ends));
                Some(ended)
            }
        }
    }

    /// Whether there were phases and the last one ended.
    pub(super) fn complete(&self) -> bool {
        !self.list.is_empty() && self.index == self.list.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_the_match_clock() {
        let lua = mlua::Lua::new();
        let list: Value = lua
            .load("return {{name='lobby', start={players=2}, duration=1000}, {name='wait', start=500, duration=0}, {name='play'}}")
            .eval()
            .unwrap();
        let mut phases = Phases::read(&list).unwrap();
        let mut told = Vec::new();
        for (ms, players) in [(0, 1), (100, 2), (1_000, 2), (1_100, 2), (1_500, 2), (1_600, 2), (9_000, 2)] {
            while let Some(step) = phases.poll(ms * 1_000, players) {
                told.push(format!("{ms} {step:?}"));
            }
        }
        assert_eq!(
            told,
            [
                "100 Started(\"lobby\")",
                "1100 Ended(\"lobby\")",
                "1600 Started(\"wait\")",
                "1600 Ended(\"wait\")",
                "1600 Started(\"play\")"
            ]
        );
        assert!(!phases.complete());
        assert!(Phases::read(&Value::Nil).is_err());
    }

    #[test]
    fn a_phase_may_last_for_ever() {
        let lua = mlua::Lua::new();
        for (list, expected) in [
            ("{{name='a', duration=math.huge}}", "[Started(\"a\")]"),
            ("{{name='a', duration=0}, {name='b', start=math.huge}}", "[Started(\"a\"), Ended(\"a\")]"),
            ("{{name='a', start={timer=1e300}}}", "[]"),
        ] {
            let mut phases = Phases::read(&lua.load(format!("return {list}")).eval().unwrap()).unwrap();
            let mut told = Vec::new();
            for now_us in [100_000, u64::MAX - 1] {
                while let Some(step) = phases.poll(now_us, 1) {
                    told.push(step);
                }
            }
            assert_eq!(format!("{told:?}"), expected, "{list}");
        }
    }
}
