//! `smoke`: for test suites. An input moves its sender once, by exactly what it says; 150 ticks and it is over.

use std::io::Write as _;

use serde_json::value::RawValue;

use super::body::{Move, own_json, write_map, write_number};
use super::{BuildError, Effect, Game, GameCx, JoinRefused};
use crate::ids::PlayerId;

const LAST_TICK: u64 = 150;

/// One player's place and how often they were heard.
pub(super) struct Stepper {
    pub(super) player: PlayerId,
    x: f64,
    y: f64,
    inputs_seen: u64,
}

impl Stepper {
    pub(super) fn new(player: PlayerId) -> Self {
        Self { player, x: 0.0, y: 0.0, inputs_seen: 0 }
    }

    pub(super) fn step(&mut self, by: Move) {
        self.inputs_seen += 1;
        self.x += by.move_x;
        self.y += by.move_y;
    }
}

/// `{"<player>":{"x","y","inputs_seen"},...}`
pub(super) fn write_steppers(steppers: &[Stepper], out: &mut Vec<u8>) {
    write_map(out, steppers.iter().map(|s| (s.player, s)), |out, s| {
        out.extend_from_slice(b"{\"x\":");
        write_number(out, s.x);
        out.extend_from_slice(b",\"y\":");
        write_number(out, s.y);
        let _ = write!(out, ",\"inputs_seen\":{}}}", s.inputs_seen);
    });
}

/// The smoke game's state.
pub struct Smoke {
    steppers: Vec<Stepper>,
    tick: u64,
    over: bool,
}

impl Smoke {
    /// A fresh one; it takes no options.
    pub fn build(_options: &RawValue) -> Result<Box<dyn Game>, BuildError> {
        Ok(Box::new(Self { steppers: Vec::new(), tick: 0, over: false }))
    }
}

impl Game for Smoke {
    fn join(&mut self, _cx: &mut GameCx<'_>, player: PlayerId, _ctx: Option<&RawValue>) -> Result<(), JoinRefused> {
        self.steppers.push(Stepper::new(player));
        Ok(())
    }

    fn leave(&mut self, _cx: &mut GameCx<'_>, player: PlayerId) {
        self.steppers.retain(|s| s.player != player);
    }

    fn input(&mut self, _cx: &mut GameCx<'_>, player: PlayerId, input: &RawValue) {
        if let (Some(by), Some(s)) = (Move::read(input), self.steppers.iter_mut().find(|s| s.player == player)) {
            s.step(by);
        }
    }

    fn tick(&mut self, cx: &mut GameCx<'_>) {
        if self.over {
            return;
        }
        self.tick = cx.tick + 1;
        if self.tick >= LAST_TICK {
            self.over = true;
            let mut result = Vec::new();
            let _ = write!(result, "{{\"tick\":{},\"players\":", self.tick);
            write_steppers(&self.steppers, &mut result);
            result.push(b'}');
            cx.effect(Effect::Finish(own_json(result)));
        }
    }

    fn view(&mut self, _viewer: Option<PlayerId>, out: &mut Vec<u8>) {
        let phase = if self.over { "finished" } else { "playing" };
        let _ = write!(out, "{{\"phase\":\"{phase}\",\"tick\":{},\"players\":", self.tick);
        write_steppers(&self.steppers, out);
        out.push(b'}');
    }
}
