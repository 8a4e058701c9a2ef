//! Any bytes on a socket: the guard reads the same from them however they are cut, says nothing after it has said that
//! the conversation is over, and never hands on more than a message may be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera::gateway::guard::{Guard, Inbound, SizeRules};

const RULES: SizeRules = SizeRules { message_bytes_max: 300, skip_bytes_max: 600 };

fn read(bytes: &[u8], cut: usize, trusted: bool) -> Vec<Inbound> {
    let mut guard = Guard::new(RULES);
    let mut seen = Vec::new();
    for mut chunk in bytes.chunks(cut) {
        while let Some(event) = guard.read(&mut chunk, trusted) {
            seen.push(event);
        }
        assert!(chunk.is_empty(), "bytes were left lying");
    }
    seen
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (trusted, cut, bytes) = input;
    let seen = read(bytes, bytes.len().max(1), trusted);
    assert_eq!(read(bytes, usize::from(cut).max(1), trusted), seen);
    for (at, event) in seen.iter().enumerate() {
        match event {
            Inbound::Text(text) => assert!(text.len() as u64 <= RULES.message_bytes_max),
            Inbound::Binary(data) => assert!(data.len() as u64 <= RULES.message_bytes_max),
            Inbound::Ping(data) => assert!(data.len() <= 125),
            Inbound::TooLarge(announced) => assert!(trusted && *announced > RULES.message_bytes_max),
            Inbound::Close(_) | Inbound::Fault(_) => assert_eq!(at + 1, seen.len(), "something followed the end"),
            Inbound::Pong => {}
        }
    }
});
