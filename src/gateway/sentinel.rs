//! Watches sockets from outside.
//!
//! A pump that is an actor is not polled while its client does not read: its timers never fire, and it cannot stop
//! itself. And a timer per connection would be ten thousand of them. So whatever ends a connection by the clock is
//! decided here, on a thread of its own, a few times a second: a stranger who does not sign in, a client that fell
//! silent, one that leaves what waits for it untouched, one that does not answer our close. It asks politely where the
//! pump may still listen, and cuts the socket where it does not.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::actors::{CloseCode, Connection, Cut};
use crate::limits::SENTINEL_MS;

/// Milliseconds since the process first asked: the monotonic clock of everything in the gateway.
pub fn now_ms() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(ORIGIN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// How long which kind of silence is borne, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Without signing in. Then: close 1008 `idle_auth_timeout`.
    pub auth_ms: u64,
    /// Between pings; 0 sends none.
    pub ping_ms: u64,
    /// Without a byte from the client. Then: cut. 0 never.
    pub silent_ms: u64,
    /// With something waiting and nothing taken. Then: cut.
    pub stalled_ms: u64,
    /// Between our close and the end of the connection. Then: cut.
    pub close_ms: u64,
}

/// The watch over one server's sockets. Dropping it ends it.
#[derive(Clone)]
pub struct Sentinel {
    watched: Arc<Mutex<Vec<Watched>>>,
}

struct Watched {
    connection: Weak<Connection>,
    pinged_ms: u64,
    /// While it closes: since when, how far the pump had come when last looked at, and since when.
    closing: Option<(u64, u64, u64)>,
    /// How far the pump had come when it was first seen with something untaken, and when that was.
    stalled: Option<(u64, u64)>,
}

impl Sentinel {
    /// Begins the watch.
    pub fn start(patience: Patience) -> Self {
        let watched = Arc::new(Mutex::new(Vec::new()));
        let weak: Weak<Mutex<Vec<Watched>>> = Arc::downgrade(&watched);
        let watch = move || {
            while let Some(watched) = weak.upgrade() {
                sweep(&mut watched.lock(), patience, now_ms());
                drop(watched);
                std::thread::sleep(Duration::from_millis(SENTINEL_MS));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("sentinel".into()).spawn(watch) {
            tracing::error!(%error, "sockets are not watched: the sentinel's thread did not start");
        }
        Self { watched }
    }

    /// Watches `connection` until it is gone.
    pub fn watch(&self, connection: &Arc<Connection>) {
        self.watched.lock().push(Watched {
            connection: Arc::downgrade(connection),
            pinged_ms: connection.opened_ms(),
            closing: None,
            stalled: None,
        });
    }

    /// Does something with every open connection.
    pub fn for_each(&self, mut act: impl FnMut(&Arc<Connection>)) {
        let open: Vec<_> = self.watched.lock().iter().filter_map(|watched| watched.connection.upgrade()).collect();
        open.iter().for_each(&mut act);
    }
}

fn sweep(watched: &mut Vec<Watched>, patience: Patience, now_ms: u64) {
    watched.retain_mut(|watched| match watched.connection.upgrade() {
        Some(connection) if !connection.is_ended() => {
            watched.look_after(&connection, patience, now_ms);
            true
        }
        _ => false,
    });
}

impl Watched {
    fn look_after(&mut self, connection: &Connection, patience: Patience, now_ms: u64) {
        let since = |then_ms: u64| now_ms.saturating_sub(then_ms);
        if connection.is_closing() {
            let (drains, _) = connection.progress();
            let (began_ms, before, since_ms) = *self.closing.get_or_insert((now_ms, drains, now_ms));
            let since_ms = if before == drains { since_ms } else { now_ms };
            self.closing = Some((began_ms, drains, since_ms));
            // A client that still takes what waits before the close is given more time, but not without end.
            if since(since_ms) >= patience.close_ms || since(began_ms) >= patience.stalled_ms {
                connection.cut(Cut::CloseTimeout);
            }
            return;
        }
        if !connection.is_authenticated() && since(connection.opened_ms()) >= patience.auth_ms {
            connection.close(CloseCode::Policy, "idle_auth_timeout");
            return;
        }
        let (drains, told) = connection.progress();
        self.stalled = match self.stalled {
            _ if !told => None,
            Some((before, since_ms)) if before == drains => Some((drains, since_ms)),
            _ => Some((drains, now_ms)),
        };
        let stalled = self.stalled.is_some_and(|(_, since_ms)| since(since_ms) >= patience.stalled_ms);
        if stalled {
            connection.cut(Cut::Stalled);
        } else if patience.silent_ms > 0 && since(connection.seen_ms()) >= patience.silent_ms {
            connection.cut(Cut::Silent);
        } else if patience.ping_ms > 0 && since(self.pinged_ms) >= patience.ping_ms {
            self.pinged_ms = now_ms;
            connection.ask_for_ping();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::{CutSocket, Outlet, SocketMetrics};
    use crate::engine::sessions::Lane;
    use crate::limits::Limits;
    use crate::wire::Frame;
    use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

    const PATIENCE: Patience =
        Patience { auth_ms: 10_000, ping_ms: 30_000, silent_ms: 75_000, stalled_ms: 10_000, close_ms: 1_000 };

    struct Watch {
        metrics: Arc<SocketMetrics>,
        outlet: Arc<Outlet>,
        connection: Arc<Connection>,
        watched: Vec<Watched>,
        _peer: TcpStream,
    }

    fn watch() -> Watch {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let peer = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let (socket, _) = listener.accept().expect("a connection");
        let metrics = Arc::<SocketMetrics>::default();
        let outlet = Outlet::new(Outlet::bounds(&Limits::default()), metrics.clone());
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let connection =
            Connection::new(local, 0, outlet.clone(), Some(CutSocket::new(socket.into())), metrics.clone());
        connection.listened();
        let sentinel = Sentinel { watched: Arc::default() };
        sentinel.watch(&connection);
        let watched = std::mem::take(&mut *sentinel.watched.lock());
        Watch { metrics, outlet, connection, watched, _peer: peer }
    }

    impl Watch {
        fn at(&mut self, now_ms: u64) -> &mut Self {
            sweep(&mut self.watched, PATIENCE, now_ms);
            self
        }

        fn cuts(&self) -> Vec<&'static str> {
            Cut::ALL.iter().filter(|(cut, _)| self.metrics.cut(*cut) > 0).map(|(_, name)| *name).collect()
        }
    }

    #[test]
    fn a_stranger_is_asked_to_leave_and_then_made_to() {
        let mut watch = watch();
        watch.at(9_999);
        assert!(!watch.connection.is_closing());
        watch.at(10_000);
        assert_eq!(watch.connection.closing().map(|closing| closing.reason), Some("idle_auth_timeout".into()));
        watch.at(10_200).at(11_199);
        assert!(watch.cuts().is_empty());
        assert_eq!(watch.at(11_200).cuts(), ["close_timeout"]);
    }

    #[test]
    fn silence_is_pinged_and_then_cut() {
        let mut watch = watch();
        watch.connection.set_authenticated();
        watch.at(29_999);
        assert!(!watch.connection.take_ping());
        watch.at(30_000);
        assert!(watch.connection.take_ping() && !watch.connection.take_ping());
        watch.connection.listened();
        watch.connection.seen(31_000);
        watch.at(60_000);
        watch.connection.listened();
        watch.at(105_999);
        watch.connection.listened();
        assert!(watch.cuts().is_empty());
        assert_eq!(watch.at(106_000).cuts(), ["silent"]);
    }

    #[test]
    fn a_pump_that_leaves_things_lying_is_cut_and_a_slow_one_is_not() {
        let mut watch = watch();
        watch.connection.set_authenticated();
        let frame = Frame { latest: "x".into(), seed: None, lane: Lane::Counted, answers: None };
        watch.outlet.push(&frame);
        watch.at(1_000).at(10_900);
        watch.connection.listened();
        watch.outlet.push(&frame);
        watch.at(11_000).at(20_999);
        assert!(watch.cuts().is_empty());
        assert_eq!(watch.at(21_000).cuts(), ["stalled"]);
    }

    #[test]
    fn the_dead_are_forgotten() {
        let mut watch = watch();
        watch.connection.ended();
        watch.at(99_000);
        assert!(watch.watched.is_empty() && watch.cuts().is_empty());
    }
}
