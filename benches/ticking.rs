//! What a tick costs before any byte leaves: the inputs and the game, the state written once, one frame handed to every
//! outbox, and taken out of them again.
//!
//! `cargo bench --bench ticking`. Held against what a mailbox (0.1 us) and a `send()` (3 us) cost: all of this together
//! should stay far below one send per player; a frame is encoded once, however many read it.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::value::RawValue;
use tessera::engine::matches::inputs::Input;
use tessera::engine::matches::schedule::TickSchedule;
use tessera::engine::modes::{Mode, Players};
use tessera::engine::sessions::{Bounds, Lane, Outbox};
use tessera::games::{built_in, stage::Stage};
use tessera::ids::{MatchId, PlayerId};
use tessera::limits::{OUTBOX_SLOTS_MAX, REPLAY_BYTES_MAX, REPLAY_FRAMES_MAX};
use tessera::wire::Frame;
use tessera::wire::matches::state_frame;

/// Players in a match: a duel, a team game, and as many as a lobby holds.
const PLAYERS: [u32; 3] = [2, 10, 100];

const PERIOD_US: u64 = 1_000_000 / 30;

fn player(n: u32) -> PlayerId {
    PlayerId::from_u128(u128::from(n + 1) << 64)
}

/// A running match of mode `bench` at 30 Hz, its first tick due at 0.
fn stage(players: u32) -> Stage {
    let mode = Mode {
        game: "builtin:bench".into(),
        tick_hz: 30,
        players: Players { min: players, max: players },
        ..Mode::default()
    };
    let options = RawValue::from_string("{}".into()).expect("JSON");
    let game = (built_in("bench").expect("it is built in").build)(&options).expect("it takes no options");
    let mut stage = Stage::new(MatchId::from_u128(1), "bench".into(), Arc::new(mode), game, 7).expect("a match");
    for n in 0..players {
        stage.join(player(n), false, None, 0, 0).expect("a seat");
    }
    assert!(stage.start(0));
    stage.take();
    stage
}

fn tick(c: &mut Criterion) {
    let mut group = c.benchmark_group("tick");
    let step = RawValue::from_string(r#"{"move_x":1,"move_y":0}"#.into()).expect("JSON");
    for players in PLAYERS {
        let (mut stage, mut now_us, mut out) = (stage(players), 0, Vec::new());
        group.throughput(Throughput::Elements(u64::from(players)));
        // What a match does 30 times a second: everybody moves, the game ticks, the state is written and framed.
        group.bench_function(BenchmarkId::new("inputs, game, one frame", players), |b| {
            b.iter(|| {
                now_us += PERIOD_US;
                for n in 0..players {
                    let input = Input { player: player(n), json: step.clone(), seq: None };
                    stage.input(input, 64, now_us);
                }
                stage.run_tick(now_us, now_us);
                out.clear();
                stage.view(None, &mut out);
                black_box(stage.take());
                black_box(state_frame(stage.id, &out))
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("schedule");
    let mut schedule = TickSchedule::new(0);
    for n in 0..1_000u32 {
        schedule.add(n, 60, 0);
    }
    let mut now_us = 0;
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("one period of 1000 matches at 60 Hz", |b| {
        b.iter(|| {
            let until = now_us + 1_000_000 / 60;
            while let Some(next) = schedule.next_us().filter(|next| *next <= until) {
                now_us = next;
                schedule.take_due(now_us, |key, due| {
                    black_box((key, due));
                });
            }
            now_us = until;
        });
    });
    group.finish();
}

fn outboxes(count: u32) -> Vec<Outbox<Frame>> {
    let bounds = Bounds {
        frames_max: 1_024,
        bytes_max: 262_144,
        slots_max: OUTBOX_SLOTS_MAX,
        replay_frames_max: REPLAY_FRAMES_MAX,
        replay_bytes_max: REPLAY_BYTES_MAX,
    };
    let outbox = |_| {
        let mut outbox = Outbox::new(bounds);
        outbox.begin();
        outbox.attach();
        outbox
    };
    (0..count).map(outbox).collect()
}

/// A state of ten players as it leaves: encoded once, before any of this.
fn frame() -> Frame {
    let mut out = Vec::new();
    let mut stage = stage(10);
    stage.run_tick(0, 0);
    stage.view(None, &mut out);
    state_frame(stage.id, &out).expect("UTF-8")
}

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan-out");
    let frame = frame();
    for readers in PLAYERS {
        let mut all = outboxes(readers);
        group.throughput(Throughput::Elements(u64::from(readers)));
        group.bench_function(BenchmarkId::new("a state in and out of every outbox", readers), |b| {
            b.iter(|| {
                for outbox in &mut all {
                    outbox.push(frame.lane, frame.latest.len(), frame.clone());
                    black_box(outbox.pop());
                }
            });
        });
    }
    group.finish();
}

fn outbox(c: &mut Criterion) {
    let mut group = c.benchmark_group("outbox");
    let state = frame();
    let told = Frame { lane: Lane::Counted, ..state.clone() };
    group.throughput(Throughput::Elements(1));
    let mut reads = outboxes(1).remove(0);
    group.bench_function("a counted frame, ring full", |b| {
        b.iter(|| {
            reads.push(told.lane, told.latest.len(), told.clone());
            black_box(reads.pop())
        });
    });
    // A client that does not read: the newest state takes the place of the last.
    let mut stalled = outboxes(1).remove(0);
    group.bench_function("a state over an unread state", |b| {
        b.iter(|| black_box(stalled.push(state.lane, state.latest.len(), state.clone())));
    });
    let mut returns = outboxes(1).remove(0);
    for _ in 0..64 {
        returns.push(told.lane, 200, told.clone());
    }
    group.throughput(Throughput::Elements(64));
    group.bench_function("a resume that missed 64", |b| {
        b.iter(|| {
            returns.resume(0, []).expect("the ring reaches back");
            while let Some(next) = returns.pop() {
                black_box(next);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, tick, fan_out, outbox);
criterion_main!(benches);
