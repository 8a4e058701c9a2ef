//! Any text a stranger sends, in either direction: nothing panics, what is accepted reads back the same, and every
//! answer is JSON that any parser takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera::wire::{Refused, Request, client, envelope};

fn json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

fuzz_target!(|text: &str| {
    match envelope(text).and_then(|envelope| envelope.message_when_served()) {
        Ok(Request { cid, seq, msg }) => {
            assert!(json(text), "accepted what is not JSON");
            let written = msg.encode(cid.as_ref(), seq);
            let again = envelope(&written)
                .and_then(|envelope| envelope.message_when_served())
                .expect("our own client's text is refused");
            assert_eq!(again.msg.encode(again.cid.as_ref(), again.seq), written);
        }
        Err(refused) => answer(&refused),
    }
    if let Ok((cid, msg)) = client::decode(text) {
        let written = msg.encode(cid.as_ref());
        let (cid, again) = client::decode(&written).expect("our own server's text is refused");
        assert_eq!(again.encode(cid.as_ref()), written);
    }
});

fn answer(refused: &Refused) {
    let frame = refused.frame();
    assert!(json(&frame.latest), "an answer is not JSON: {}", frame.latest);
    assert!(frame.latest.len() < 1_024, "an answer as long as its sender likes");
}
