//! `demo` (and `default`): two players walk an 800 x 600 arena for a minute. The smallest game that shows a person
//! that everything works.

use std::io::Write as _;

use rand::RngExt;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{Move, own_json, write_map, write_number};
use super::{BuildError, Effect, Game, GameCx, JoinRefused};
use crate::ids::PlayerId;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 600.0;
const SPEED: f64 = 4.0;

/// `game_options` of the demo.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Seconds until it finishes.
    duration_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { duration_s: 60 }
    }
}

struct Walker {
    player: PlayerId,
    x: f64,
    y: f64,
    going: Move,
}

/// The demo's state.
pub struct Demo {
    options: Options,
    walkers: Vec<Walker>,
    tick: u64,
    elapsed_ms: u64,
    over: bool,
}

impl Demo {
    /// A fresh arena.
    pub fn build(options: &RawValue) -> Result<Box<dyn Game>, BuildError> {
        Ok(Box::new(Self {
            options: super::options(options)?,
            walkers: Vec::new(),
            tick: 0,
            elapsed_ms: 0,
            over: false,
        }))
    }

    fn write_players(&self, out: &mut Vec<u8>) {
        write_map(out, self.walkers.iter().map(|w| (w.player, w)), |out, w| {
            out.extend_from_slice(b"{\"x\":");
            write_number(out, w.x);
            out.extend_from_slice(b",\"y\":");
            write_number(out, w.y);
            out.extend_from_slice(b",\"move_x\":");
            write_number(out, w.going.move_x);
            out.extend_from_slice(b",\"move_y\":");
            write_number(out, w.going.move_y);
            out.push(b'}');
        });
    }
}

impl Game for Demo {
    fn join(&mut self, cx: &mut GameCx<'_>, player: PlayerId, _ctx: Option<&RawValue>) -> Result<(), JoinRefused> {
        let x = f64::from(cx.rng.random_range(50..=750));
        let y = f64::from(cx.rng.random_range(50..=550));
        self.walkers.push(Walker { player, x, y, going: Move::default() });
        Ok(())
    }

    fn leave(&mut self, _cx: &mut GameCx<'_>, player: PlayerId) {
        self.walkers.retain(|w| w.player != player);
    }

    fn input(&mut self, _cx: &mut GameCx<'_>, player: PlayerId, input: &RawValue) {
        if let (Some(going), Some(w)) = (Move::read(input), self.walkers.iter_mut().find(|w| w.player == player)) {
            w.going = going;
        }
    }

    fn tick(&mut self, cx: &mut GameCx<'_>) {
        if self.over {
            return;
        }
        self.tick = cx.tick + 1;
        self.elapsed_ms = (cx.elapsed_us + cx.dt_us) / 1000;
        for w in &mut self.walkers {
            w.x = (w.x + w.going.move_x * SPEED).clamp(0.0, WIDTH);
            w.y = (w.y + w.going.move_y * SPEED).clamp(0.0, HEIGHT);
        }
        if self.elapsed_ms >= self.options.duration_s * 1000 {
            self.over = true;
            let mut result = Vec::new();
            let _ = write!(result, "{{\"duration_ms\":{},\"players\":", self.elapsed_ms);
            self.write_players(&mut result);
            result.push(b'}');
            cx.effect(Effect::Finish(own_json(result)));
        }
    }

    fn view(&mut self, _viewer: Option<PlayerId>, out: &mut Vec<u8>) {
        let phase = if self.over { "finished" } else { "playing" };
        let _ = write!(
            out,
            "{{\"tick\":{},\"elapsed_ms\":{},\"phase\":\"{phase}\",\"players\":",
            self.tick, self.elapsed_ms
        );
        self.write_players(out);
        out.push(b'}');
    }
}
