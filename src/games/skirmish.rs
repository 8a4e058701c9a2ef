//! `skirmish`, the game of the demo: two to eight players race for sparks in an arena. A vote of template `map_vote`
//! decides where the walls are; one of template `power_up` decides what a spark is worth. Most sparks wins. A motion
//! that passes may give the match as long again (`extend`) or begin it anew with the same players (`rematch`).

use std::io::Write as _;

use rand::RngExt;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{Move, own_json, write_map, write_number};
use super::{BuildError, Effect, Game, GameCx, JoinRefused};
use crate::ids::PlayerId;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 600.0;
/// Units per second.
const SPEED: f64 = 160.0;
/// How close a player must come to pick a spark up.
const REACH: f64 = 24.0;
/// Sparks that lie around at once.
const SPARKS: usize = 6;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Seconds until it finishes.
    duration_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { duration_s: 120 }
    }
}

struct Fighter {
    player: PlayerId,
    x: f64,
    y: f64,
    going: Move,
    score: u64,
    bot: bool,
}

/// The skirmish's state.
pub struct Skirmish {
    options: Options,
    fighters: Vec<Fighter>,
    sparks: Vec<(f64, f64)>,
    map: String,
    worth: u64,
    tick: u64,
    elapsed_ms: u64,
    /// How long it lasts, extensions included.
    duration_ms: u64,
    /// Match time at which it began, or began anew.
    began_ms: u64,
    over: bool,
}

/// The part of a vote's result that the game acts on.
#[derive(Deserialize)]
struct Decided {
    winner: Option<String>,
    /// Of a motion, what passing it does.
    on_pass: Option<String>,
}

impl Skirmish {
    /// A fresh arena.
    pub fn build(options: &RawValue) -> Result<Box<dyn Game>, BuildError> {
        let options: Options = super::options(options)?;
        Ok(Box::new(Self {
            duration_ms: options.duration_s.saturating_mul(1000),
            began_ms: 0,
            options,
            fighters: Vec::new(),
            sparks: Vec::new(),
            map: "open".into(),
            worth: 1,
            tick: 0,
            elapsed_ms: 0,
            over: false,
        }))
    }

    fn place(cx: &mut GameCx<'_>) -> (f64, f64) {
        (f64::from(cx.rng.random_range(50..=750)), f64::from(cx.rng.random_range(50..=550)))
    }

    /// The same players from the beginning, on the same map.
    fn begin_anew(&mut self, cx: &mut GameCx<'_>) {
        self.began_ms = cx.elapsed_us / 1000;
        self.elapsed_ms = 0;
        self.duration_ms = self.options.duration_s.saturating_mul(1000);
        self.worth = 1;
        self.sparks.clear();
        for fighter in &mut self.fighters {
            (fighter.x, fighter.y) = Self::place(cx);
            (fighter.going, fighter.score) = (Move::default(), 0);
        }
    }

    fn finish(&mut self, cx: &mut GameCx<'_>) {
        self.over = true;
        let best = self.fighters.iter().map(|f| f.score).max().unwrap_or(0);
        let winners: Vec<_> = self.fighters.iter().filter(|f| f.score == best && best > 0).map(|f| f.player).collect();
        let mut result = Vec::new();
        let _ = write!(result, "{{\"duration_ms\":{},\"map\":", self.elapsed_ms);
        let _ = serde_json::to_writer(&mut result, &self.map);
        result.extend_from_slice(b",\"winners\":");
        let _ = serde_json::to_writer(&mut result, &winners);
        result.extend_from_slice(b",\"scores\":");
        write_map(&mut result, self.fighters.iter().map(|f| (f.player, f.score)), |out, score| {
            let _ = write!(out, "{score}");
        });
        result.push(b'}');
        cx.effect(Effect::Finish(own_json(result)));
    }
}

impl Game for Skirmish {
    fn join(&mut self, cx: &mut GameCx<'_>, player: PlayerId, _ctx: Option<&RawValue>) -> Result<(), JoinRefused> {
        let (x, y) = Self::place(cx);
        self.fighters.push(Fighter { player, x, y, going: Move::default(), score: 0, bot: false });
        Ok(())
    }

    fn leave(&mut self, _cx: &mut GameCx<'_>, player: PlayerId) {
        self.fighters.retain(|f| f.player != player);
    }

    fn bot_added(&mut self, _cx: &mut GameCx<'_>, bot: PlayerId, _name: &str) {
        if let Some(fighter) = self.fighters.iter_mut().find(|f| f.player == bot) {
            fighter.bot = true;
        }
    }

    fn plays_bots(&self) -> bool {
        true
    }

    fn bot_removed(&mut self, _cx: &mut GameCx<'_>, player: PlayerId) {
        if let Some(fighter) = self.fighters.iter_mut().find(|f| f.player == player) {
            (fighter.bot, fighter.going) = (false, Move::default());
        }
    }

    fn input(&mut self, _cx: &mut GameCx<'_>, player: PlayerId, input: &RawValue) {
        if let (Some(going), Some(f)) = (Move::read(input), self.fighters.iter_mut().find(|f| f.player == player)) {
            f.going = going;
        }
    }

    fn tick(&mut self, cx: &mut GameCx<'_>) {
        if self.over {
            return;
        }
        self.tick = cx.tick + 1;
        self.elapsed_ms = ((cx.elapsed_us + cx.dt_us) / 1000).saturating_sub(self.began_ms);
        while self.sparks.len() < SPARKS {
            let spark = Self::place(cx);
            self.sparks.push(spark);
        }
        let step = SPEED * cx.dt_us as f64 / 1e6;
        for fighter in &mut self.fighters {
            if fighter.bot {
                fighter.going = towards_nearest(fighter, &self.sparks);
            }
            fighter.x = (fighter.x + fighter.going.move_x * step).clamp(0.0, WIDTH);
            fighter.y = (fighter.y + fighter.going.move_y * step).clamp(0.0, HEIGHT);
            let (x, y) = (fighter.x, fighter.y);
            let before = self.sparks.len();
            self.sparks.retain(|(sx, sy)| (sx - x).hypot(sy - y) > REACH);
            let taken = (before - self.sparks.len()) as u64;
            if taken > 0 {
                fighter.score += taken * self.worth;
                let mut event = Vec::new();
                let _ = write!(event, "{{\"player_id\":\"{}\",\"score\":{}}}", fighter.player, fighter.score);
                cx.effects.push(Effect::Broadcast { event: "spark_taken".into(), payload: own_json(event) });
            }
        }
        if self.elapsed_ms >= self.duration_ms {
            self.finish(cx);
        }
    }

    fn view(&mut self, _viewer: Option<PlayerId>, out: &mut Vec<u8>) {
        let phase = if self.over { "finished" } else { "playing" };
        let _ = write!(
            out,
            "{{\"tick\":{},\"elapsed_ms\":{},\"duration_ms\":{},\"phase\":\"{phase}\",\"worth\":{},\"map\":",
            self.tick, self.elapsed_ms, self.duration_ms, self.worth
        );
        let _ = serde_json::to_writer(&mut *out, &self.map);
        out.extend_from_slice(b",\"sparks\":[");
        for (i, (x, y)) in self.sparks.iter().enumerate() {
            let _ = write!(out, "{}[{x},{y}]", if i > 0 { "," } else { "" });
        }
        out.extend_from_slice(b"],\"players\":");
        write_map(out, self.fighters.iter().map(|f| (f.player, f)), |out, f| {
            out.extend_from_slice(b"{\"x\":");
            write_number(out, f.x);
            out.extend_from_slice(b",\"y\":");
            write_number(out, f.y);
            let _ = write!(out, ",\"score\":{}}}", f.score);
        });
        out.push(b'}');
    }

    fn vote_resolved(&mut self, cx: &mut GameCx<'_>, template: &str, result: &RawValue) {
        let Ok(decided) = serde_json::from_str::<Decided>(result.get()) else { return };
        if let Some(on_pass) = decided.on_pass {
            match (decided.winner.as_deref(), on_pass.as_str()) {
                (Some("yes"), "extend") => {
                    self.duration_ms = self.duration_ms.saturating_add(self.options.duration_s.saturating_mul(1000));
                }
                (Some("yes"), "rematch") => self.begin_anew(cx),
                _ => {}
            }
            return;
        }
        match (template, decided.winner) {
            ("map_vote", Some(map)) => self.map = map,
            ("power_up", Some(power)) if power == "double" => self.worth = 2,
            _ => {}
        }
    }
}

/// Which way a bot goes.
fn towards_nearest(fighter: &Fighter, sparks: &[(f64, f64)]) -> Move {
    let far = |(x, y): &&(f64, f64)| (x - fighter.x).hypot(y - fighter.y);
    let Some((x, y)) = sparks.iter().min_by(|a, b| far(a).total_cmp(&far(b))) else { return Move::default() };
    let way = |from: f64, to: f64| ((to - from) / SPEED).clamp(-1.0, 1.0);
    Move { move_x: way(fighter.x, *x), move_y: way(fighter.y, *y) }
}
