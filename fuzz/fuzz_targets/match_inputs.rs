//! Any play of any built-in game, from frames as players send them: nothing panics, every state is JSON, and the same
//! script gives the same match byte for byte.
//!
//! A script is text: its first line names the game, each other line is one thing that happens. `j1` player 1 joins,
//! `l1` leaves, `i1 {..}` sends an input, `t` is a tick, `p` pauses, `r` resumes.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use tessera::engine::matches::inputs::Input;
use tessera::engine::modes::Mode;
use tessera::games::stage::{Act, Stage};
use tessera::games::{Audience, Effect, GAMES, built_in};
use tessera::ids::{MatchId, PlayerId};
use tessera::wire::matches::{event_frame, state_frame};
use tessera::wire::{ClientMsg, decode};

fuzz_target!(|script: &str| {
    assert_eq!(play(script), play(script), "the same script is the same match");
});

fn play(script: &str) -> Vec<u8> {
    let mut lines = script.lines().take(400);
    let game = lines.next().and_then(built_in).unwrap_or(&GAMES[0]);
    let game = (game.build)(&RawValue::from_string("{}".into()).unwrap()).expect("no options are fine");
    let id = MatchId::from_u128(1);
    let mut stage =
        Stage::new(id, "fuzz".into(), Arc::new(Mode::default()), game, 7).expect("the default mode is fine");
    let mut seen = Vec::new();
    let mut now_us = 0;
    for line in lines {
        let (what, rest) = line.split_at_checked(1).unwrap_or(("t", ""));
        let (who, rest) = rest.split_at_checked(1).unwrap_or(("0", ""));
        let player = PlayerId::from_u128(who.bytes().next().map_or(0, u128::from));
        match what {
            "j" => {
                let _ = stage.join(player, false, None, now_us, now_us);
                stage.start(now_us);
            }
            "l" => {
                stage.leave(player, now_us);
            }
            "i" => {
                let frame = format!("{{\"type\":\"match.input\",\"payload\":{rest}}}");
                if let Ok(tessera::wire::Request { msg: ClientMsg::MatchInput(input), seq, .. }) = decode(&frame) {
                    stage.input(Input { player, json: input.0, seq }, 4, now_us);
                }
            }
            "p" => {
                stage.pause(now_us);
            }
            "r" => {
                stage.resume(now_us);
            }
            _ => {
                now_us += 100_000;
                stage.run_tick(now_us, now_us);
                look(&mut stage, id, &mut seen);
            }
        }
    }
    seen
}

/// What the shell around a match would do with it now.
fn look(stage: &mut Stage, id: MatchId, seen: &mut Vec<u8>) {
    let viewers: Vec<Option<PlayerId>> = match stage.audience() {
        Audience::Shared => vec![None],
        Audience::PerPlayer => stage.roster.players().iter().copied().map(Some).collect(),
    };
    for viewer in viewers {
        let mut view = Vec::new();
        if stage.view(viewer, &mut view) {
            let frame = state_frame(id, &view).expect("a view is UTF-8");
            serde_json::from_str::<serde_json::Value>(&frame.latest).expect("a view is JSON");
            seen.extend(view);
        }
    }
    for act in stage.take() {
        match &act {
            Act::Game(Effect::Broadcast { event, payload }) => drop(event_frame(event, payload)),
            Act::Finished(result) => seen.extend(result.get().bytes()),
            _ => {}
        }
    }
    for (player, seq) in stage.take_applied() {
        seen.extend(player.as_u128().to_be_bytes());
        seen.extend(seq.to_be_bytes());
    }
}
