//! What a match took of the processor, held against what one has. The run itself knows no clock, so that it repeats;
//! its time is looked at afterwards, and of two runs the better one counts, step by step: what a busy machine added to
//! one of them is not the script's.

use super::budget::Allowance;
use super::purse::{REFILL_US, purse_us};
use super::report::Fault;

/// So many times what a tick has: there is nothing to learn from playing on.
const HOPELESS: u64 = 4;

/// Processor microseconds of one match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Bodies, modules, `init` and bots.
    pub(super) making_us: u64,
    /// Each tick, with what came before it and the views after it.
    pub(super) ticks_us: Vec<u64>,
}

impl Pace {
    /// The better of two, step by step.
    pub(super) fn best(self, other: Self) -> Self {
        Self {
            making_us: self.making_us.min(other.making_us),
            ticks_us: self.ticks_us.into_iter().zip(other.ticks_us).map(|(a, b)| a.min(b)).collect(),
        }
    }

    /// The slowest tick.
    pub(super) fn slowest_us(&self) -> u64 {
        self.ticks_us.iter().copied().max().unwrap_or(0)
    }

    /// Whether one tick took so much that no other need be played.
    pub(super) fn is_hopeless(&self, allowance: Allowance) -> bool {
        self.ticks_us.last().is_some_and(|us| *us > HOPELESS * purse_us(allowance))
    }

    /// What a match at this rate would not have had.
    pub(super) fn faults(&self, file: &str, allowance: Allowance, hz: u32) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.making_us > allowance.cpu_load_us {
            faults.push(Fault::of_file(
                file,
                format!(
                    "making a match takes {} of processor time here, and it has {}",
                    ms(self.making_us),
                    ms(allowance.cpu_load_us)
                ),
            ));
        }
        let full = purse_us(allowance);
        // Its own clock and the world's both fill it.
        let per_tick = 2 * full * (1_000_000 / u64::from(hz.max(1))) / REFILL_US;
        let mut left = full;
        for (tick, used) in self.ticks_us.iter().enumerate() {
            left = full.min(left + per_tick);
            if *used > left {
                let text = format!(
                    "tick {} takes {} of processor time here, and a match has {} left for it: {} at once, of which {} come back with every tick",
                    tick + 1,
                    ms(*used),
                    ms(left),
                    ms(full),
                    ms(per_tick.min(full))
                );
                faults.push(Fault::of_file(file, text));
                break;
            }
            left -= used;
        }
        faults
    }
}

/// Milliseconds for people.
pub(super) fn ms(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_match_would_not_have_is_a_fault_and_a_hiccup_of_one_run_is_not() {
        let pace = |making_ms: u64, ticks_ms: &[u64]| Pace {
            making_us: making_ms * 1_000,
            ticks_us: ticks_ms.iter().map(|ms| ms * 1_000).collect(),
        };
        let told = |pace: &Pace, hz: u32| {
            let faults = pace.faults("match.lua", Allowance::default(), hz);
            faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(&pace(24, &[12; 50]), 10), "");
        assert_eq!(
            told(&pace(150, &[1, 13]), 10),
            "match.lua: making a match takes 150.0 ms of processor time here, and it has 25.0 ms; \
             match.lua: tick 2 takes 13.0 ms of processor time here, and a match has 12.5 ms left for it: 12.5 ms at once, of which 12.5 ms come back with every tick"
        );
        // At 100 Hz 2.5 ms come back: 4 ms a tick are too many in the long run, 2 ms are not.
        assert_eq!(told(&pace(1, &[2; 500]), 100), "");
        assert!(told(&pace(1, &[4; 500]), 100).contains("tick 7 takes 4.0 ms"), "{}", told(&pace(1, &[4; 500]), 100));
        let best = pace(500, &[1, 90, 2]).best(pace(50, &[80, 1, 2]));
        assert_eq!((best.clone(), best.slowest_us()), (pace(50, &[1, 1, 2]), 2_000));
        assert!(
            pace(1, &[1, 51]).is_hopeless(Allowance::default())
                && !pace(1, &[51, 49]).is_hopeless(Allowance::default())
        );
    }
}
