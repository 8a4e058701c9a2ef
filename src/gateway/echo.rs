//! `/ws/echo`: says everything back. A test aid behind `server.echo`, for conformance suites and benches: the socket
//! code is the players', only the brain and the limits differ.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::guard::SizeRules;
use super::pump::{Brain, InboundFault, SocketRules};
use crate::actors::Connection;
use crate::engine::sessions::{Bounds, Lane};
use crate::limits::{ECHO_BYTES_MAX, FRAME_SKIP_BYTES_MAX};
use crate::wire::Frame;

/// Says everything back, to anybody.
pub struct Echo;

impl Echo {
    /// Its limits: messages up to 16 MiB, binary ones too, at any rate; and any number of connections from one address,
    /// since a suite or a bench is one.
    pub fn rules() -> SocketRules {
        let bytes_max = ECHO_BYTES_MAX as usize;
        SocketRules {
            size: SizeRules { message_bytes_max: u64::from(ECHO_BYTES_MAX), skip_bytes_max: FRAME_SKIP_BYTES_MAX },
            frames_per_s: 0,
            frames_burst: 0,
            outbox: Bounds {
                frames_max: 65_536,
                bytes_max: bytes_max * 2,
                slots_max: 1,
                replay_frames_max: 0,
                replay_bytes_max: 0,
            },
            by_address: false,
        }
    }
}

impl Brain for Echo {
    fn opened(&mut self, connection: &Arc<Connection>) {
        // Nobody signs in here, so nobody is late for it.
        connection.set_authenticated();
    }

    fn text(&mut self, connection: &Arc<Connection>, text: ByteString) {
        connection.outlet().push_own(Frame { latest: text, seed: None, lane: Lane::Uncounted, answers: None });
    }

    fn binary(&mut self, connection: &Arc<Connection>, data: Bytes) {
        connection.outlet().push_binary(data);
    }

    fn fault(&mut self, _: &Arc<Connection>, _: InboundFault) {}
}
