//! Any file of an election, under any name: it is read within its bounds, or the fault fits in one line.
#![no_main]

use indicatif::ProgressBar;
use libfuzzer_sys::fuzz_target;
use tessera::cli::tally::read::read_bytes;

const NAMES: &[&str] = &["x.json", "x.blt", "x.csv", "x.soc", "x.soi", "x.toc", "x.toi", "x.cat", "x"];

fuzz_target!(|bytes: &[u8]| {
    // What is zipped says nothing new and takes long.
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return;
    }
    for name in NAMES {
        match read_bytes(name, bytes, &ProgressBar::hidden()) {
            Ok(election) => {
                assert!(!election.options.is_empty(), "{name}");
                assert_eq!(election.options.len(), election.numbers.len(), "{name}");
                let mut names = election.options.clone();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), election.options.len(), "{name}: options are told apart");
                for profile in &election.profiles {
                    assert_eq!(profile.options(), election.options.len(), "{name}");
                }
            }
            Err(fault) => assert_eq!(fault.to_string().lines().count(), 1, "{name}: {fault:?}"),
        }
    }
});
