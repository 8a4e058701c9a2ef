//! `fill`: strictly first come. Forty tickets queued in order give twenty pairs of neighbours.

use super::{Better, Strategy};

/// The row in `STRATEGIES`. A mode with `ranges` looks for neighbours along the first of them, so that a pool full of
/// distant tickets costs nothing; a mode without takes the oldest.
pub(super) const FILL: Strategy = Strategy {
    name: "fill",
    about: "strictly first come: the oldest tickets that fit together play together",
    place: |_, traits| traits.ranges.first().copied(),
    window: |rules, _| rules.range_limits().next().unwrap_or(i64::MAX),
    better: Better::Older,
};
