//! The modes that are there without a file. A `[modes.NAME]` of the same name changes one key by key.

use std::collections::BTreeMap;

use crate::engine::modes::{Mode, Players, Private};

/// Motions that exist without being configured.
pub(super) const MOTIONS: &[&str] = &["kick", "surrender", "rematch", "extend"];

/// Every built-in mode by its name.
pub(super) fn modes() -> BTreeMap<String, Mode> {
    // Two players, 10 Hz, 60 s: what a client finds that names no mode.
    let demo = Mode::default();
    // The strictest one, for testing clients: 30 Hz, over after 150 ticks.
    let smoke = Mode { game: "builtin:smoke".into(), tick_hz: 30, ..Mode::default() };
    // The game of `tessera demo`, with every door open.
    let skirmish = Mode {
        game: "builtin:skirmish".into(),
        tick_hz: 20,
        players: Players { min: 2, max: 8 },
        listed: true,
        quick_play: true,
        create: true,
        spectators: 16,
        private: Private::Allowed,
        veto_tokens_per_player: 1,
        motions: MOTIONS.iter().map(|name| (*name).to_owned()).collect(),
        ..Mode::default()
    };
    let arena = Mode { players: Players { min: 2, max: 2 }, ..skirmish.clone() };
    // For measuring: never finishes by itself.
    let bench = Mode { game: "builtin:bench".into(), ..Mode::default() };

    [
        ("default", demo.clone()),
        ("demo", demo),
        ("smoke", smoke),
        ("skirmish", skirmish),
        ("arena", arena),
        ("bench", bench),
    ]
    .map(|(name, mode)| (name.to_owned(), mode))
    .into()
}
