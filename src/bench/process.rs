//! What a process uses, from its own accounting in `/proc`; nothing of it is there elsewhere than on Linux.

use std::fs;
use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};

use super::board::Board;
use super::{Cx, Target};
use crate::client::Base;

/// How often CPU and memory are looked at while a round runs.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks at most: an hour is drawn with as many points as a minute.
const LOOKS_MAX: u32 = 600;

/// A share of one core above which the load generator, and not the server, decides the figures.
const FULL: f64 = 0.97;

/// CPU seconds that all threads of a process have used, to the nanosecond.
pub fn cpu_s(process: u32) -> Option<f64> {
    let mut sum_ns = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread that ended between the two reads has nothing to add.
        let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        sum_ns += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(sum_ns / 1e9)
}

/// Resident memory of a process in KiB, counted page by page: exact, and dear while it is large.
pub fn rss_kib_exact(process: u32) -> Option<u64> {
    kib_of(&fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?, "Rss:")
}

/// Resident memory of a process in KiB as the kernel keeps count of it: cheap, off by some pages per thread.
pub fn rss_kib(process: u32) -> Option<u64> {
    kib_of(&fs::read_to_string(format!("/proc/{process}/status")).ok()?, "VmRSS:")
}

/// Memory that the kernel holds for all sockets of the machine, in KiB: buffers first, then the slab that socket and
/// file objects live in (among everything else).
pub fn kernel_kib() -> Option<(u64, u64)> {
    let sockets = fs::read_to_string("/proc/net/sockstat").ok()?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:"))?;
    let pages: u64 = tcp.split_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse().ok()?;
    let slab = kib_of(&fs::read_to_string("/proc/meminfo").ok()?, "Slab:")?;
    Some((pages * 4, slab))
}

fn kib_of(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The process of this machine that listens where `base` says, if that is here and ours to see: of a server given by
/// address, CPU and memory are known too. Of several that share the port, the eldest.
pub fn listening(base: &Base) -> Option<u32> {
    let at = base.authority().to_socket_addrs().ok()?.find(|at| at.ip().is_loopback())?;
    let sockets: Vec<_> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|table| inodes_listening(&table, at.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let mut processes: Vec<u32> =
        fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    processes.sort_unstable();
    processes.into_iter().find(|process| {
        let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        let mut open = open.filter_map(|fd| fs::read_link(fd.path()).ok());
        open.any(|open| sockets.iter().any(|socket| open.as_os_str() == socket.as_str()))
    })
}

/// Sockets of a `/proc/net/tcp` that listen on this port, by their inode.
fn inodes_listening(table: &str, port: u16) -> Vec<u64> {
    let inode = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        // 0A is LISTEN.
        let listens = fields.get(3) == Some(&"0A") && u16::from_str_radix(local, 16) == Ok(port);
        listens.then(|| fields.get(9)?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// What the system calls a process.
pub fn name(process: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/comm")).ok().map(|name| name.trim().to_owned())
}

/// What was used while a board's window was open.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// How long it was open.
    pub measured_s: f64,
    /// The server's CPU seconds, where its process is known.
    pub server_cpu_s: Option<f64>,
    /// The server's resident memory at the end.
    pub rss_kib: Option<u64>,
    /// Our own CPU seconds.
    pub load_cpu_s: f64,
    /// Seconds into the window, the server's share of a core and ours, in percent.
    pub over_time: Vec<[f64; 3]>,
    /// Seconds into the window, the server's resident memory in MiB.
    pub memory_over_time: Vec<[f64; 2]>,
}

impl Usage {
    /// Whether we had no time left to load the server with.
    pub fn load_is_full(&self) -> bool {
        self.load_cpu_s > FULL * self.measured_s && self.measured_s > 0.0
    }
}

/// Waits until a board's window has closed, and says what was used while it was open. `said` is what people who watch
/// are told meanwhile.
pub async fn watch(cx: &Cx<'_>, board: &Board, said: impl Fn() -> String) -> Usage {
    let whole_s = (board.until() - board.from()).as_secs_f64();
    let tell = |what: &str| {
        let passed_s = Instant::now().saturating_duration_since(board.from()).as_secs_f64();
        (cx.progress)(&format!("{what}{passed_s:.0} of {whole_s:.0} s, {}", said()));
    };
    while Instant::now() + LOOK_EVERY < board.from() {
        tokio::time::sleep(LOOK_EVERY).await;
        tell("warming up, ");
    }
    tokio::time::sleep_until(board.from().into()).await;
    let first = Look::at(cx.target);
    let mut last = first;
    let mut usage = Usage::default();
    let look_every = LOOK_EVERY.max((board.until() - board.from()) / LOOKS_MAX);
    loop {
        let next = (last.when + look_every).min(board.until());
        tokio::time::sleep_until(next.into()).await;
        let look = Look::at(cx.target);
        let took = (look.when - last.when).as_secs_f64().max(1e-9);
        let share = |now: f64, then: f64| (now - then) / took * 100.0;
        usage.over_time.push([
            (look.when - first.when).as_secs_f64(),
            share(look.server_s, last.server_s),
            share(look.load_s, last.load_s),
        ]);
        if let Some(kib) = cx.target.process.and_then(rss_kib) {
            usage.memory_over_time.push([(look.when - first.when).as_secs_f64(), kib as f64 / 1024.0]);
        }
        last = look;
        tell("");
        if last.when >= board.until() {
            break;
        }
    }
    usage.measured_s = (last.when - first.when).as_secs_f64();
    usage.server_cpu_s = cx.target.process.and(Some(last.server_s - first.server_s));
    usage.load_cpu_s = last.load_s - first.load_s;
    usage.rss_kib = cx.target.process.and_then(rss_kib);
    usage
}

#[derive(Clone, Copy)]
struct Look {
    when: Instant,
    server_s: f64,
    load_s: f64,
}

impl Look {
    fn at(target: &Target) -> Self {
        let server_s = target.process.and_then(cpu_s).unwrap_or(0.0);
        Self { when: Instant::now(), server_s, load_s: cpu_s(std::process::id()).unwrap_or(0.0) }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_something_and_only_those_there_are() {
        let me = std::process::id();
        assert!(cpu_s(me).unwrap() > 0.0 && rss_kib(me).unwrap() > 500 && rss_kib_exact(me).unwrap() > 500);
        assert!(kernel_kib().unwrap().1 > 0);
        assert_eq!((cpu_s(u32::MAX), rss_kib(u32::MAX)), (None, None));
    }

    #[test]
    fn who_listens_is_found_by_the_address() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let base = Base::from(listener.local_addr().unwrap());
        let me = std::process::id();
        assert_eq!(listening(&base), Some(me));
        assert!(name(me).is_some_and(|name| !name.is_empty()));
        assert_eq!(listening(&"http://192.0.2.1:80".parse().unwrap()), None, "elsewhere");
    }
}
