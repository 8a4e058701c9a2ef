//! What must hold between keys, and what only a whole sentence can say about one.

use std::fmt::Display;

use crate::engine::matchmaking::{self, strategies::STRATEGIES};
use crate::engine::modes::{Mode, ScheduledVote};

use super::{Config, Fault, Origin, Origins, builtin, shape};

/// Checks a configuration whose every value is sound by itself.
pub(super) fn check(config: &Config, origins: &Origins, faults: &mut Vec<Fault>) {
    let mut rules = Rules { config, origins, faults };
    rules.limits();
    for (name, mode) in &config.modes {
        rules.mode(name, mode);
    }
}

struct Rules<'a> {
    config: &'a Config,
    origins: &'a Origins,
    faults: &'a mut Vec<Fault>,
}

impl Rules<'_> {
    fn limits(&mut self) {
        let limits = &self.config.limits;
        if limits.silent_s <= limits.ping_s {
            let message = format!(
                "silent_s is {} and ping_s {}, expected silent_s > ping_s: a quiet client is silent until it is pinged",
                limits.silent_s, limits.ping_s
            );
            self.fault(["limits.silent_s", "limits.ping_s"], message);
        }
    }

    fn mode(&mut self, name: &str, mode: &Mode) {
        let at = |key: &str| format!("modes.{name}.{key}");
        if let Err(message) = game(&mode.game) {
            self.fault([at("game")], message);
        }
        let players = mode.players;
        if players.min > players.max {
            let message =
                format!("players.min is {} and players.max {}, expected min <= max", players.min, players.max);
            self.fault([at("players.min"), at("players.max")], message);
        }
        self.matchmaking(name, mode);
        for (index, motion) in mode.motions.iter().enumerate() {
            // A vote template may be called by its name too: players put the map to the vote.
            let configured = self.config.motions.keys().chain(self.config.vote_templates.keys()).map(String::as_str);
            let known: Vec<&str> = builtin::MOTIONS.iter().copied().chain(configured).collect();
            if !known.contains(&motion.as_str()) {
                self.fault([at(&format!("motions[{index}]"))], unknown("motion", motion, &known));
            }
        }
        for (index, vote) in mode.votes.iter().enumerate() {
            if let Err(message) = when(vote) {
                self.fault([at(&format!("votes[{index}].when"))], message);
            }
        }
    }

    fn matchmaking(&mut self, name: &str, mode: &Mode) {
        let at = |key: &str| format!("modes.{name}.matchmaking.{key}");
        let (making, players) = (&mode.matchmaking, mode.players);
        let names: Vec<&str> = STRATEGIES.iter().map(|strategy| strategy.name).collect();
        if !names.contains(&making.strategy.as_str()) {
            self.fault([at("strategy")], unknown("strategy", &making.strategy, &names));
        }
        for fault in matchmaking::Rules::new(making, players).err().unwrap_or_default() {
            // Where min and max are at odds themselves no size could fit, and saying so helps nobody.
            if fault.key != "strategy" && players.min <= players.max {
                self.fault([at(fault.key), format!("modes.{name}.players.max")], fault.message);
            }
        }
        if making.widen.max < making.window {
            let message = format!(
                "widen.max is {} and window {}, expected widen.max >= window: a window that widens cannot end narrower",
                making.widen.max, making.window
            );
            self.fault([at("widen.max"), at("window")], message);
        }
    }

    /// A fault about the first of `paths`, placed where the first of them that anybody wrote was written.
    fn fault<P: Into<String>>(&mut self, paths: impl IntoIterator<Item = P>, message: String) {
        let paths: Vec<String> = paths.into_iter().map(Into::into).collect();
        let written = paths.iter().find(|path| self.origins.of(path) != Origin::Default);
        let Some(path) = written.or(paths.first()) else { return };
        self.faults.push(Fault { path: path.clone(), origin: self.origins.of(path), message });
    }
}

fn unknown(what: impl Display, wrong: &str, known: &[&str]) -> String {
    match shape::nearest(wrong, known.iter().copied()) {
        Some(near) => format!("unknown {what} {wrong:?}, did you mean {near:?}?"),
        None => format!("unknown {what} {wrong:?}, expected one of {}", known.join(", ")),
    }
}

/// `builtin:NAME` or `lua:FOLDER/SCRIPT.lua`. Whether there is such a game is asked later, by who knows the games.
fn game(text: &str) -> Result<(), String> {
    let expected = |why: &str| format!("expected builtin:NAME or lua:FOLDER/SCRIPT.lua, found {text:?}{why}");
    match text.split_once(':') {
        Some(("builtin", name)) if !name.is_empty() => Ok(()),
        Some(("lua", script)) => {
            let inside =
                std::path::Path::new(script).components().all(|c| matches!(c, std::path::Component::Normal(_)));
            match (script.ends_with(".lua"), inside) {
                (true, true) => Ok(()),
                (false, _) => Err(expected("")),
                (true, false) => Err(expected(": a script is named from inside the games folder")),
            }
        }
        _ => Err(expected("")),
    }
}

/// `start`, `tick:N`, `every_s:N` or `finish`.
fn when(vote: &ScheduledVote) -> Result<(), String> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    let fits = match vote.when.split_once(':') {
        None => matches!(vote.when.as_str(), "start" | "finish"),
        Some(("tick" | "every_s", count)) => number(count).is_some_and(|count| count > 0),
        Some(_) => false,
    };
    if fits {
        return Ok(());
    }
    Err(format!("expected start, tick:N, every_s:N or finish with N at least 1, found {:?}", vote.when))
}
