//! `skill`: players of like skill, less alike the longer the longest waiter of the group has waited.

use super::{Better, Strategy};

/// The row in `STRATEGIES`.
pub(super) const SKILL: Strategy = Strategy {
    name: "skill",
    about: "like with like: a group's difference of skill stays in a window that widens with its longest wait",
    place: |_, traits| Some(traits.skill),
    window: |rules, waited_ms| rules.widening.window(waited_ms),
    better: Better::Closer,
};
