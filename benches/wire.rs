//! What the wire costs: text into a message, a message into one frame, a frame into a client's type.
//!
//! `cargo bench --bench wire`. What it is held to: head, raw payload and typed payload of an input in about 0.25 us,
//! strictness included; a state of ten players is wrapped, never encoded again.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tessera::ids::{MatchId, MessageId, PlayerId};
use tessera::wire::client::Incoming;
use tessera::wire::matches::state_frame;
use tessera::wire::time::SentAt;
use tessera::wire::{Cid, Outbound, Reason, chat, client, decode, votes};

const INPUT: &str = r#"{"type":"match.input","seq":4711,"payload":{"action":"move","move_x":0.5,"move_y":-1}}"#;
const INPUT_OLD: &str = r#"{"type":"match.input","payload":{"data":"{\"move_x\":0.5,\"move_y\":-1}"}}"#;
const CAST: &str = r#"{"cid":"17","type":"vote.cast","payload":{"vote_id":"0199a4c0-3000-7000-8000-0000000000d1","option_id":["jungle","caves","volcano"]}}"#;
const CHAT: &str = r#"{"cid":"18","type":"chat.send","payload":{"channel_id":"match:0199a4c0-1000-7000-8000-0000000000b1","content":"push the left side now"}}"#;
const DOUBLED: &str = r#"{"cid":"19","type":"match.input","payload":{"a":1,"b":2,"a":3}}"#;

/// A state of ten players, 1.1 KB, as a game writes it.
fn state() -> String {
    let player = |n: u128| {
        format!(
            r#""{}":{{"x":{}.25,"y":{}.5,"hp":100,"move_x":1,"move_y":0}}"#,
            PlayerId::from_u128(n << 64),
            n * 70,
            n * 31
        )
    };
    let players: Vec<String> = (1..=10).map(player).collect();
    format!(r#"{{"tick":917,"elapsed_ms":45850,"phase":"running","players":{{{}}}}}"#, players.join(","))
}

fn inbound(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, text) in [("input", INPUT), ("input, old form", INPUT_OLD), ("vote.cast", CAST), ("chat.send", CHAT)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| decode(black_box(text)).expect(name)));
    }
    group.throughput(Throughput::Bytes(DOUBLED.len() as u64));
    group.bench_function("refused and answered", |b| b.iter(|| decode(black_box(DOUBLED)).expect_err("twice").frame()));
    // The most a stranger can make us read at once: an object full of keys, refused at its very end.
    let keys: Vec<String> = (0..6_000).map(|n| format!("\"k{n}\":0")).collect();
    let hostile = format!(r#"{{"type":"match.input","payload":{{{},"k0":0}}}}"#, keys.join(","));
    group.throughput(Throughput::Bytes(hostile.len() as u64));
    group.bench_function("64 KiB of keys", |b| b.iter(|| decode(black_box(&hostile)).expect_err("twice")));
    group.finish();
}

fn outbound(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    let view = state();
    let id = MatchId::from_u128(1);
    group.throughput(Throughput::Bytes(view.len() as u64));
    group.bench_function("match.state, wrapped", |b| b.iter(|| state_frame(id, black_box(view.as_bytes()))));
    group.throughput(Throughput::Elements(1));
    let tally: votes::Tally = serde_json::from_str(
        r#"{"vote_id":"v1","tallies":{"jungle":12,"volcano":7,"caves":0,"harbour":3},"time_remaining_ms":8432,"total_votes":22,"leading":"jungle"}"#,
    )
    .expect("a tally");
    group.bench_function("match.vote_tally", |b| b.iter(|| black_box(&tally).push()));
    let message = chat::Message {
        channel_id: "lobby".into(),
        message_id: MessageId::from_u128(1),
        sender_id: PlayerId::from_u128(2).to_string(),
        content: "push the left side now".into(),
        sent_at: SentAt::Ms(1_776_249_000_123),
    };
    group.bench_function("chat.message, both dialects", |b| b.iter(|| black_box(&message).push()));
    let cid = Cid::text("17");
    group.bench_function("error", |b| {
        b.iter(|| {
            Reason::JoinRefused.with("refused_reason", "wrong_code").frame(black_box(Some(&cid)), Some("match.join"))
        })
    });
    group.finish();
}

fn client_side(c: &mut Criterion) {
    let mut group = c.benchmark_group("client");
    let frame = state_frame(MatchId::from_u128(1), state().as_bytes()).expect("UTF-8");
    group.throughput(Throughput::Bytes(frame.latest.len() as u64));
    group.bench_function("outside of a state", |b| {
        b.iter(|| Incoming::read(black_box(&frame.latest)).expect("a frame").is_counted())
    });
    group.bench_function("whole state", |b| b.iter(|| client::decode(black_box(&frame.latest)).expect("a frame")));
    group.finish();
}

criterion_group!(benches, inbound, outbound, client_side);
criterion_main!(benches);
