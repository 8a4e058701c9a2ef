//! The names of a game's own events, `match.<leaf>`: which are well formed, and which are ours to say.

/// The leaves of `match.` that are ours: a game that could say them could forge us.
pub const RESERVED_LEAVES: &[&str] = &[
    "ack",
    "finished",
    "joined",
    "left",
    "list",
    "matched",
    "matchmaker_expired",
    "matchmaker_failed",
    "phase_changed",
    "player_joined",
    "player_left",
    "player_disconnected",
    "player_resumed",
    "started",
    "state",
    "terrain",
    "tick",
    "vote_deadline",
    "vote_turn",
    "vote_result",
    "vote_start",
    "vote_tally",
    "vote_vetoed",
];

/// Whether `leaf` may stand behind `match.` at all: 1 to 64 of `[A-Za-z0-9_-]`.
pub fn is_leaf(leaf: &str) -> bool {
    (1..=64).contains(&leaf.len()) && leaf.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_well_formed_and_stands_once() {
        for (n, leaf) in RESERVED_LEAVES.iter().enumerate() {
            assert!(is_leaf(leaf) && !RESERVED_LEAVES[..n].contains(leaf), "{leaf}");
        }
        for leaf in ["", "a.b", "a b", "caf\u{e9}", "x".repeat(65).as_str()] {
            assert!(!is_leaf(leaf), "{leaf}");
        }
    }
}
