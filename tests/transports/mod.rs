//! Both transports, for tests that must hold on each.
#![allow(unused_macros, reason = "each test binary uses its own part")]

use std::cell::Cell;

use tessera::config::Transport;

thread_local! {
    static TRANSPORT: Cell<Transport> = Cell::new(tessera::config::Config::default().server.transport);
}

/// What servers that this thread starts run on.
pub fn transport() -> Transport {
    TRANSPORT.get()
}

/// Runs a test whose servers are on this transport.
pub fn on(transport: Transport, test: impl FnOnce()) {
    TRANSPORT.set(transport);
    test();
}

/// Makes each of the functions a test on each transport. This module must be in scope where it stands.
macro_rules! on_both_transports {
    ($($(#[$attribute:meta])* $test:ident),+ $(,)?) => {
        mod actors {
            $(#[test] $(#[$attribute])* fn $test() {
                super::transports::on(tessera::config::Transport::Actors, super::$test);
            })+
        }
        mod raw_stream {
            $(#[test] $(#[$attribute])* fn $test() {
                super::transports::on(tessera::config::Transport::Raw, super::$test);
            })+
        }
    };
}
