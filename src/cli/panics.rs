//! What a panic prints: where and what, in one line, and never a backtrace.
//!
//! A panicking handler ends its own actor and nothing else, so the thread it happened on goes on ticking other
//! matches. Symbolising a backtrace there would hold all of them up by about 70 ms, whatever `RUST_BACKTRACE` says.

use std::io::Write;
use std::panic::{self, PanicHookInfo};

/// Replaces the standard hook for the rest of the process.
pub(super) fn install() {
    panic::set_hook(Box::new(|info| {
        // Written at once, so that two panics do not mix; if stderr is gone there is nobody left to tell.
        let _ = std::io::stderr().write_all(line(info).as_bytes());
    }));
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let place = info.location().map(ToString::to_string).unwrap_or_else(|| "an unknown place".into());
    let what = info.payload_as_str().unwrap_or("a value that is not text");
    format!("panic: thread '{}' at {place}: {what}\n", thread.name().unwrap_or("unnamed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_panic_says_where_and_what_in_one_line() {
        let said = Arc::new(Mutex::new(String::new()));
        let heard = said.clone();
        // The hook is the whole process's, and other tests panic too: they keep the one they had.
        let before = Arc::new(panic::take_hook());
        let others = before.clone();
        panic::set_hook(Box::new(move |info| match std::thread::current().name() {
            Some("arbiter-3") => *heard.lock().unwrap() = line(info),
            _ => others(info),
        }));
        let died = std::thread::Builder::new().name("arbiter-3".into()).spawn(|| panic!("roster and seats disagree"));
        assert!(died.unwrap().join().is_err());
        panic::set_hook(Box::new(move |info| before(info)));
        let said = said.lock().unwrap();
        assert!(said.starts_with("panic: thread 'arbiter-3' at src/cli/panics.rs:"), "{said}");
        assert!(said.ends_with(": roster and seats disagree\n"), "{said}");
        assert_eq!(said.lines().count(), 1);
    }
}
