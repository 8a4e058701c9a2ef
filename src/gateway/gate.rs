//! The gate: who may open a connection.
//!
//! Everything here happens before the upgrade, so a refusal is one short HTTP answer and costs less than what it
//! refuses. The gate also knows every open socket, through its [`Sentinel`], and can say goodbye to all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use actix::ArbiterHandle;
use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::sentinel::{Patience, Sentinel};
use crate::actors::{CloseCode, SocketMetrics};
use crate::config::Transport;
use crate::engine::rate::{Budgets, Rate, address_key};
use crate::limits::{self, Limits};
use crate::wire::{Detail, Reason, Refusal};

/// Admission to one server's sockets. See the module.
pub struct Gate {
    limits: Limits,
    transport: Transport,
    homes: Vec<ArbiterHandle>,
    next_home: AtomicUsize,
    origins: Vec<String>,
    doors: Mutex<Doors>,
    draining: AtomicBool,
    metrics: Arc<SocketMetrics>,
    sentinel: Sentinel,
    spare_descriptors: Arc<AtomicU32>,
}

struct Doors {
    attempts: Budgets<IpAddr>,
    open: u32,
    open_by_address: HashMap<IpAddr, u32>,
}

/// The HTTP answer to a refused connection, which ends: whoever is refused holds nothing here.
pub fn refuse(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = HttpResponse::build(status);
    if let Some(Detail::Number(retry_ms)) = refusal.detail("retry_ms") {
        response.insert_header((header::RETRY_AFTER, retry_ms.div_ceil(1_000)));
    }
    let mut response = response.force_close().content_type("application/json").body(refusal.http_body());
    response.extensions_mut().insert(refusal.reason);
    response
}

/// One admitted connection; dropping it makes room.
pub struct Permit {
    gate: Arc<Gate>,
    /// Where it is counted by address.
    address: Option<IpAddr>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut doors = self.gate.doors.lock();
        doors.open -= 1;
        if let Some(address) = self.address
            && let Some(open) = doors.open_by_address.get_mut(&address)
        {
            *open -= 1;
            if *open == 0 {
                doors.open_by_address.remove(&address);
            }
        }
    }
}

impl Gate {
    /// A gate with these bounds, to sockets on this transport. Raises the process's descriptor limit as far as it may
    /// go and clamps `connections_max` to it; see [`Descriptors`]. A transport that can move its sockets spreads them over
    /// the threads of `homes`; without any, each stays on the thread that accepted it.
    pub fn new(
        limits: &Limits,
        allowed_origins: &[String],
        transport: Transport,
        homes: Vec<ArbiterHandle>,
    ) -> Arc<Self> {
        let mut limits = limits.clone();
        let descriptors = Descriptors::share(raise_descriptors(), limits.connections_max, transport);
        if descriptors.connections < limits.connections_max {
            tracing::warn!(
                configured = limits.connections_max,
                effective = descriptors.connections,
                "connections_max is clamped to the descriptors this process may open; raise `ulimit -n` for more"
            );
            limits.connections_max = descriptors.connections;
        }
        if transport == Transport::Actors && descriptors.duplicates < descriptors.connections {
            tracing::warn!(
                connections = descriptors.duplicates,
                "beyond so many connections, one that does not read is cut by the kernel, not at once; raise `ulimit -n`"
            );
        }
        let rate = Rate::per_second(limits.connects_per_s, limits.connects_per_s);
        let doors = Doors { attempts: Budgets::new(rate), open: 0, open_by_address: HashMap::new() };
        let patience = Patience {
            auth_ms: u64::from(limits.auth_timeout_ms),
            ping_ms: u64::from(limits.ping_s) * 1_000,
            silent_ms: u64::from(limits.silent_s) * 1_000,
            stalled_ms: limits::STALLED_MS,
            close_ms: limits::CLOSE_ANSWER_MS,
        };
        Arc::new(Self {
            limits,
            transport,
            homes,
            next_home: AtomicUsize::new(0),
            origins: allowed_origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect(),
            doors: Mutex::new(doors),
            draining: AtomicBool::new(false),
            metrics: Arc::default(),
            sentinel: Sentinel::start(patience),
            spare_descriptors: Arc::new(AtomicU32::new(descriptors.duplicates)),
        })
    }

    /// The bounds in force, `connections_max` clamped.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What carries its sockets.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The thread that the next socket lives on, if it is not the one that accepted it.
    pub(super) fn next_home(&self) -> Option<&ArbiterHandle> {
        let turn = self.next_home.fetch_add(1, Ordering::Relaxed);
        self.homes.get(turn.checked_rem(self.homes.len())?)
    }

    /// How many descriptors may still be duplicated.
    pub(super) fn spare_descriptors(&self) -> Arc<AtomicU32> {
        self.spare_descriptors.clone()
    }

    /// What the sockets have done so far.
    pub fn metrics(&self) -> &Arc<SocketMetrics> {
        &self.metrics
    }

    /// Who watches the sockets.
    pub fn sentinel(&self) -> &Sentinel {
        &self.sentinel
    }

    /// Whether a client at `address` may open a connection at `now_ms`. `origin` is its `Origin` header: none is
    /// fine (only browsers send one), and so is any where no allowlist is configured. Without `by_address` only the
    /// connections of all addresses together are bounded.
    pub fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        origin: Option<&str>,
        now_ms: u64,
        by_address: bool,
    ) -> Result<Permit, Refusal> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Reason::Draining.into());
        }
        let address = address_key(address);
        let mut doors = self.doors.lock();
        if by_address {
            doors
                .attempts
                .take(address, now_ms)
                .map_err(|limited| Reason::RateLimited.with("retry_ms", limited.retry_ms))?;
        }
        if !self.allows_origin(origin) {
            return Err(Reason::OriginRejected.into());
        }
        if doors.open >= self.limits.connections_max {
            return Err(Reason::CapacityReached.into());
        }
        if by_address {
            let open = doors.open_by_address.entry(address).or_insert(0);
            if self.limits.connections_per_addr_max > 0 && *open >= self.limits.connections_per_addr_max {
                return Err(
                    Reason::RateLimited.with("connections_max", u64::from(self.limits.connections_per_addr_max))
                );
            }
            *open += 1;
        }
        doors.open += 1;
        drop(doors);
        Ok(Permit { gate: self.clone(), address: by_address.then_some(address) })
    }

    /// From now on nobody is admitted.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Says goodbye to every open socket.
    pub fn close_all(&self, code: CloseCode, reason: &str) {
        self.sentinel.for_each(|connection| connection.close(code, reason));
    }

    fn allows_origin(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let origin = origin.trim_end_matches('/').to_ascii_lowercase();
        self.origins.is_empty() || self.origins.iter().any(|allowed| allowed == "*" || *allowed == origin)
    }
}

/// Raises the soft limit on descriptors to the hard one; answers what it is now.
fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let current = if raised.is_ok() { limit.maximum } else { limit.current };
    current.unwrap_or(u64::MAX)
}

/// How the process's descriptors are shared out. A connection takes one; where its pump is an actor, a second lets it be
/// cut from outside while its client does not read. Where both do not fit, three quarters are connections and the rest duplicates for as many of
/// them as come first: the others have the kernel's patience of [`limits::SOCKET_UNACKED_MS`].
#[derive(Debug, PartialEq, Eq)]
struct Descriptors {
    connections: u32,
    duplicates: u32,
}

impl Descriptors {
    fn share(open_max: u64, connections_max: u32, transport: Transport) -> Self {
        let free = u32::try_from(open_max.saturating_sub(limits::DESCRIPTORS_RESERVED)).unwrap_or(u32::MAX);
        if transport == Transport::Raw {
            return Self { connections: connections_max.min(free).max(1), duplicates: 0 };
        }
        let connections = connections_max.min((free / 2).max(free / 4 * 3)).max(1);
        Self { connections, duplicates: free.saturating_sub(connections).min(connections) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limits: Limits, origins: &[&str]) -> Arc<Gate> {
        let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        Gate::new(&limits, &origins, Transport::Raw, Vec::new())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn doors_open_again_when_somebody_leaves() {
        let limits = Limits { connections_max: 3, connections_per_addr_max: 2, connects_per_s: 0, ..Limits::default() };
        let gate = gate(limits, &[]);
        let admit = |from: &str| gate.admit(address(from), None, 0, true);
        let first = admit("10.0.0.1");
        let _second = admit("10.0.0.1");
        assert_eq!(admit("10.0.0.1").err().map(|refusal| refusal.reason), Some(Reason::RateLimited));
        let _third = admit("10.0.0.2");
        assert_eq!(admit("10.0.0.3").err().map(|refusal| refusal.reason), Some(Reason::CapacityReached));
        drop(first);
        assert!(admit("10.0.0.3").is_ok());
        gate.drain();
        assert_eq!(admit("10.0.0.3").err().map(|refusal| refusal.reason), Some(Reason::Draining));
    }

    #[test]
    fn connects_are_budgeted_by_address() {
        let gate = gate(Limits { connects_per_s: 5, ..Limits::default() }, &[]);
        let passed = (0..20).filter(|_| gate.admit(address("10.0.0.1"), None, 0, true).is_ok()).count();
        assert_eq!(passed, 5);
        assert!(gate.admit(address("10.0.0.2"), None, 0, true).is_ok());
        assert!((0..20).all(|_| gate.admit(address("10.0.0.1"), None, 0, false).is_ok()));
        assert!(gate.admit(address("10.0.0.1"), None, 1_000, true).is_ok());
    }

    #[test]
    fn origins_are_compared_whole() {
        let allowed = |origins: &[&str], origin| {
            gate(Limits::default(), origins).admit(address("10.0.0.1"), origin, 0, true).is_ok()
        };
        let list = &["https://play.example", "http://localhost:3000/"];
        for (origins, origin, expected) in [
            (&[][..], Some("https://anything.example"), true),
            (&list[..], None, true),
            (&list[..], Some("https://play.example"), true),
            (&list[..], Some("HTTPS://Play.Example/"), true),
            (&list[..], Some("http://localhost:3000"), true),
            (&list[..], Some("https://play.example.evil"), false),
            (&list[..], Some("http://play.example"), false),
            (&list[..], Some("null"), false),
            (&["*"][..], Some("https://anything.example"), true),
        ] {
            assert_eq!(allowed(origins, origin), expected, "{origin:?} with {origins:?}");
        }
    }

    #[test]
    fn connections_fit_the_descriptors() {
        for (open_max, wanted, connections, duplicates) in [
            (1_048_576, 50_000, 50_000, 50_000),
            (20_000, 50_000, 14_808, 4_936),
            (20_000, 8_000, 8_000, 8_000),
            (1_024, 50_000, 576, 192),
            (0, 50_000, 1, 0),
            (u64::MAX, 50_000, 50_000, 50_000),
        ] {
            let shared = Descriptors { connections, duplicates };
            let actors = Descriptors::share(open_max, wanted, Transport::Actors);
            assert_eq!(actors, shared, "{wanted} connections of {open_max}");
        }
        let raw = Descriptors::share(20_000, 50_000, Transport::Raw);
        assert_eq!(raw, Descriptors { connections: 19_744, duplicates: 0 });
    }
}
