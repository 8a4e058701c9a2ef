//! `bench`: for measuring. Its state carries the microsecond it was emitted at and as much padding as asked for, its
//! inputs step like `smoke`'s or open a vote, and it never finishes by itself.

use std::io::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::Move;
use super::smoke::{Stepper, write_steppers};
use super::{BuildError, Effect, Game, GameCx, JoinRefused, Json};
use crate::ids::PlayerId;

/// Bytes of padding at most: the state stays one frame.
const STATE_BYTES_MAX: usize = 48 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Pads the state to about this many bytes.
    state_bytes: usize,
}

/// What an input may ask for beside a step.
#[derive(Deserialize)]
struct Ask {
    start_vote: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The bench game's state.
pub struct Bench {
    steppers: Vec<Stepper>,
    tick: u64,
    ts: u64,
    padding: Vec<u8>,
}

impl Bench {
    /// A fresh one.
    pub fn build(options: &RawValue) -> Result<Box<dyn Game>, BuildError> {
        let options: Options = super::options(options)?;
        if options.state_bytes > STATE_BYTES_MAX {
            return Err(BuildError(format!(
                "state_bytes is {}, expected at most {STATE_BYTES_MAX}",
                options.state_bytes
            )));
        }
        let padding = vec![b'.'; options.state_bytes];
        Ok(Box::new(Self { steppers: Vec::new(), tick: 0, ts: 0, padding }))
    }
}

/// The vote an input asked for, with options a, b and c unless it named its own.
fn vote_asked_for(input: &RawValue) -> Option<Json> {
    if !input.get().contains("start_vote") {
        return None;
    }
    let mut vote = serde_json::from_str::<Ask>(input.get()).ok()?.start_vote?;
    vote.entry("options").or_insert_with(|| serde_json::json!(["a", "b", "c"]));
    vote.entry("template").or_insert_with(|| "bench".into());
    serde_json::value::to_raw_value(&vote).ok()
}

impl Game for Bench {
    fn join(&mut self, _cx: &mut GameCx<'_>, player: PlayerId, _ctx: Option<&RawValue>) -> Result<(), JoinRefused> {
        self.steppers.push(Stepper::new(player));
        Ok(())
    }

    fn leave(&mut self, _cx: &mut GameCx<'_>, player: PlayerId) {
        self.steppers.retain(|s| s.player != player);
    }

    fn input(&mut self, cx: &mut GameCx<'_>, player: PlayerId, input: &RawValue) {
        if let Some(vote) = vote_asked_for(input) {
            cx.effect(Effect::OpenVote(vote));
            return;
        }
        if let (Some(by), Some(s)) = (Move::read(input), self.steppers.iter_mut().find(|s| s.player == player)) {
            s.step(by);
        }
    }

    fn tick(&mut self, cx: &mut GameCx<'_>) {
        self.tick = cx.tick + 1;
        self.ts = cx.unix_us;
    }

    fn view(&mut self, _viewer: Option<PlayerId>, out: &mut Vec<u8>) {
        let _ = write!(out, "{{\"tick\":{},\"ts\":{},\"players\":", self.tick, self.ts);
        write_steppers(&self.steppers, out);
        if !self.padding.is_empty() {
            out.extend_from_slice(b",\"padding\":\"");
            out.extend_from_slice(&self.padding);
            out.push(b'"');
        }
        out.push(b'}');
    }
}
