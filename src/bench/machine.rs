//! Where and with what a measurement was made: without it a figure is hearsay.

use std::fs;

use serde::{Deserialize, Serialize};

/// The machine, as far as it says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many of its cores this process may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The system and its version.
    pub system: String,
    /// Processes running or waiting to, over the minute before the start: much more than 0 means a busy machine.
    pub load_average: f64,
}

impl Machine {
    /// This one, now.
    pub fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        let system =
            format!("{} {}", read("/proc/sys/kernel/ostype").trim(), read("/proc/sys/kernel/osrelease").trim());
        let load = read("/proc/loadavg");
        Self {
            cpu: Some(after(&read("/proc/cpuinfo"), "model name"))
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: kib / 1024,
            system: Some(system.trim().to_owned())
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| std::env::consts::OS.to_owned()),
            load_average: load.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        }
    }
}

/// The commit this program was built from, where the build knew.
pub fn commit() -> Option<&'static str> {
    option_env!("TESSERA_COMMIT")
}

/// `release`, or `debug`, whose figures mean nothing.
pub fn build() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}

/// Lets this process open as many sockets as the system allows it to.
pub fn raise_descriptors() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Where it cannot be raised, connecting says so soon enough.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}
