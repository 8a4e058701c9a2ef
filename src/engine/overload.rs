//! What a server gives up first when it has more to do than it can: new matches, then spectators, then replaceable
//! frames. Never votes, and never a seated player.
//!
//! A [`Governor`] is shown one window of measurements after the other: how late ticks were, and how much of its cores
//! the server used. Ticks that stay late make it shed one thing more, ticks that are on time again let it take one
//! back. The door to new matches closes before that: when ticks stay late by half of what they may be. Every step up
//! needs several windows in a row, so one hiccup of the machine sheds nothing, and every step down needs more of them
//! than a step up, so that it does not swing.

use serde::Serialize;

/// Late windows in a row before something is shed, and again before the next thing is.
const LATE_WINDOWS: u32 = 3;
/// Windows on time in a row before something is taken back.
const EASY_WINDOWS: u32 = 6;
/// Windows in a row that came near the budget before new matches are refused.
const BUSY_WINDOWS: u32 = 3;

/// When a server is overloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The 99th percentile of tick lateness that still is on time, microseconds; 0: lateness does not count.
    pub lateness_us: u64,
    /// How much of its cores a server may use before it takes no new matches, percent; 0: that does not count.
    pub cpu_percent: u32,
}

/// What was measured in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// 99th percentile of tick lateness, microseconds; none where nothing ticked.
    pub lateness_us: Option<u64>,
    /// Processor time used, percent of all cores the server may use; none where that is not known.
    pub cpu_percent: Option<u32>,
}

/// How much is shed, each step with all of those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Load {
    /// Nothing.
    #[default]
    Normal,
    /// No new matches.
    Full,
    /// No new spectators either, and those who watch see fewer states.
    Heavy,
    /// Players see every other state, too.
    Over,
}

impl Load {
    /// Every step, the lightest first.
    pub const ALL: [Load; 4] = [Load::Normal, Load::Full, Load::Heavy, Load::Over];

    /// What is shed, in the order in which it was given up: words of `server.lag`.
    pub fn shedding(self) -> &'static [&'static str] {
        &["new_matches", "spectators", "replaceable_frames"][..self as usize]
    }

    /// Whether players may open matches.
    pub fn takes_matches(self) -> bool {
        self < Load::Full
    }

    /// Whether newcomers may watch.
    pub fn takes_spectators(self) -> bool {
        self < Load::Heavy
    }

    /// One of how many states a viewer is shown.
    pub fn shows_one_in(self, spectator: bool) -> u64 {
        match (self, spectator) {
            (Load::Normal | Load::Full, _) | (Load::Heavy, false) => 1,
            (Load::Over, false) => 2,
            (Load::Heavy, true) => 4,
            (Load::Over, true) => 8,
        }
    }

    fn up(self) -> Self {
        Self::ALL[(self as usize + 1).min(3)]
    }

    fn down(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }
}

/// What a window came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How much is shed from now on.
    pub load: Load,
    /// Whether ticks have been late for a while: players are told.
    pub lagging: bool,
    /// Whether one of the two is news.
    pub changed: bool,
}

/// Decides what is shed. See the module.
#[derive(Debug, Clone)]
pub struct Governor {
    budget: Budget,
    load: Load,
    lagging: bool,
    late: u32,
    busy: u32,
    easy: u32,
}

impl Governor {
    /// One that sheds nothing yet.
    pub fn new(budget: Budget) -> Self {
        Self { budget, load: Load::Normal, lagging: false, late: 0, busy: 0, easy: 0 }
    }

    /// Takes one window more.
    pub fn observe(&mut self, window: Window) -> Verdict {
        let Budget { lateness_us, cpu_percent } = self.budget;
        let over =
            |part: u64| lateness_us > 0 && window.lateness_us.is_some_and(|late| late > lateness_us * part / 100);
        let uses =
            |part: u32| cpu_percent > 0 && window.cpu_percent.is_some_and(|used| used * 100 >= cpu_percent * part);
        let count = |counted: bool, so_far: u32| if counted { so_far + 1 } else { 0 };
        if window.lateness_us.is_some() {
            self.late = count(over(100), self.late);
            self.busy = count(over(50) || uses(100), self.busy);
        } else if uses(100) {
            // A thread that is stuck for a whole window has nothing to show in it: that breaks no row.
            self.busy += 1;
        }
        // Well within: what was shed must not come back at the very edge.
        self.easy = count(!over(50) && !uses(90), self.easy);
        let before = (self.load, self.lagging);
        if self.late >= LATE_WINDOWS {
            self.lagging = true;
            self.load = self.load.up();
            self.late = 0;
        } else if self.easy >= EASY_WINDOWS {
            self.lagging = false;
            self.load = self.load.down();
            (self.easy, self.late, self.busy) = (0, 0, 0);
        } else if self.busy >= BUSY_WINDOWS {
            self.load = self.load.max(Load::Full);
        }
        Verdict { load: self.load, lagging: self.lagging, changed: before != (self.load, self.lagging) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows as words, lateness in milliseconds `/` percent of the cores, `-` for nothing measured, `*n` times; answers
    /// where something changed.
    fn check(budget: Budget, windows: &str, expected: &str) {
        let mut governor = Governor::new(budget);
        let mut seen = Vec::new();
        let mut n = 0;
        for word in windows.split_whitespace() {
            let (word, times) = word.split_once('*').unwrap_or((word, "1"));
            let (late, cpu) = word.split_once('/').expect("lateness/cpu");
            let window =
                Window { lateness_us: late.parse::<u64>().ok().map(|ms| ms * 1_000), cpu_percent: cpu.parse().ok() };
            for _ in 0..times.parse().expect("a number") {
                n += 1;
                let verdict = governor.observe(window);
                if verdict.changed {
                    seen.push(format!("{n}:{:?}{}", verdict.load, if verdict.lagging { "!" } else { "" }));
                }
            }
        }
        assert_eq!(seen.join(" "), expected, "{windows}");
    }

    #[test]
    fn what_stays_late_sheds_one_thing_after_the_other() {
        let budget = Budget { lateness_us: 5_000, cpu_percent: 95 };
        for (windows, expected) in [
            ("1/50*100", ""),
            // A hiccup, and one that comes back.
            ("20/50*2 1/50*10", ""),
            ("20/50*2 1/50 20/50*2 1/50", ""),
            // Three in a row, and three more for each thing.
            ("20/50*3", "3:Full!"),
            ("20/50*20", "3:Full! 6:Heavy! 9:Over!"),
            // On time again: one thing after the other is taken back, slower than it was given up.
            ("20/50*9 1/50*30", "3:Full! 6:Heavy! 9:Over! 15:Heavy 21:Full 27:Normal"),
            // Neither late nor well within: nothing changes.
            ("20/50*3 4/50*50", "3:Full!"),
            // Half of what it may be closes the door, and sheds nothing more.
            ("3/50*2 1/50*3", ""),
            ("3/50*50", "3:Full"),
            ("4/50*50 20/50*3", "3:Full 53:Heavy!"),
            // Used up cores do as well.
            ("1/95*2 1/50*3", ""),
            ("1/95*50", "3:Full"),
            ("1/95*3 1/88*50", "3:Full"),
            ("1/95*3 1/80*6", "3:Full 9:Normal"),
            ("1/100*4 20/100*4", "3:Full 7:Heavy!"),
            // A thread that is stuck for longer than a window is late in every other one.
            ("900/50 -/50 900/50 -/50 900/50", "5:Full!"),
            // Nothing ticks: nothing is late.
            ("20/50*3 -/0*6", "3:Full! 9:Normal"),
            ("-/-*50", ""),
        ] {
            check(budget, windows, expected);
        }
        check(Budget { lateness_us: 0, cpu_percent: 95 }, "500/10*20", "");
        check(Budget { lateness_us: 5_000, cpu_percent: 0 }, "1/100*20", "");
    }

    #[test]
    fn it_is_shed_in_the_stated_order() {
        let shed: Vec<_> = Load::ALL.iter().map(|load| load.shedding().join(" ")).collect();
        assert_eq!(shed, ["", "new_matches", "new_matches spectators", "new_matches spectators replaceable_frames"]);
        for load in Load::ALL {
            assert_eq!(load.takes_matches(), !load.shedding().contains(&"new_matches"));
            assert_eq!(load.takes_spectators(), !load.shedding().contains(&"spectators"));
            assert_eq!(load.shows_one_in(false) > 1, load.shedding().contains(&"replaceable_frames"));
            assert!(load.shows_one_in(true) >= load.shows_one_in(false));
        }
    }
}
