//! Any configuration file: it is read, or every fault of it has a sentence and a line that exists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera::config::{Config, Flags};

fuzz_target!(|text: &str| {
    // Secrets in files would make this read whatever path comes along.
    if text.contains("file") {
        return;
    }
    match Config::read(text, [], &Flags::default()) {
        Ok((config, _)) => drop(config.flat()),
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            for fault in faults {
                assert!(!fault.message.is_empty(), "{fault:?}");
                let lines = text.split('\n').count();
                assert!(fault.line().is_none_or(|line| (1..=lines + 1).contains(&line)), "{fault:?} of {lines} lines");
            }
        }
    }
});
