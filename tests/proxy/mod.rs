//! A network that fails: stands between a client and a server, and treats each direction of each connection as a plan
//! says.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of one direction of a connection. Offsets count its bytes, those of the handshake among them.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Both sides are dropped after so many bytes.
    Cut(u64),
    /// After so many bytes nothing passes any more in this direction, and nobody is told.
    Blackhole(u64),
    /// Every piece comes this much later, until the cut.
    Delay(Duration, u64),
    /// So few bytes at a time, until the cut.
    Trickle(usize, u64),
}

impl Fault {
    fn end(self) -> u64 {
        match self {
            Self::Cut(end) | Self::Blackhole(end) | Self::Delay(_, end) | Self::Trickle(_, end) => end,
        }
    }
}

/// What becomes of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Of what the server sends.
    pub down: Fault,
    /// Of what the client sends.
    pub up: Fault,
}

/// The proxy's address, and how many connections it has spoilt by what it did to each direction.
pub struct Proxy {
    pub addr: SocketAddr,
    pub struck_down: Arc<AtomicU64>,
    pub struck_up: Arc<AtomicU64>,
}

/// Starts one in front of `server`; the nth connection is treated as `plan(n)` says.
pub async fn proxy(server: SocketAddr, plan: impl Fn(u64) -> Plan + 'static) -> Proxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let proxy = Proxy { addr, struck_down: Arc::default(), struck_up: Arc::default() };
    let (struck_down, struck_up) = (proxy.struck_down.clone(), proxy.struck_up.clone());
    actix_rt::spawn(async move {
        for nth in 0.. {
            let Ok((client, _)) = listener.accept().await else { return };
            let (plan, struck_down, struck_up) = (plan(nth), struck_down.clone(), struck_up.clone());
            actix_rt::spawn(async move {
                let Ok(upstream) = TcpStream::connect(server).await else { return };
                let (down, up) = pass(client, upstream, plan).await;
                struck_down.fetch_add(down.into(), Ordering::Relaxed);
                struck_up.fetch_add(up.into(), Ordering::Relaxed);
            });
        }
    });
    proxy
}

/// Passes bytes until a cut or the end of a side; whether the fault of each direction struck.
async fn pass(client: TcpStream, upstream: TcpStream, plan: Plan) -> (bool, bool) {
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), upstream.into_split());
    let (down, up) = (Cell::new(false), Cell::new(false));
    tokio::select! {
        () = carry(from_server, to_client, plan.down, &down) => {}
        () = carry(from_client, to_server, plan.up, &up) => {}
    }
    (down.get(), up.get())
}

/// Carries one direction until its side ends or its fault cuts the connection.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault, struck: &Cell<bool>) {
    let mut bytes = vec![0; 4_096];
    let mut passed = 0;
    loop {
        let Ok(len @ 1..) = from.read(&mut bytes).await else { return };
        let left = (fault.end() - passed).min(len as u64) as usize;
        if !send(&mut to, &bytes[..left], fault).await {
            return;
        }
        passed += left as u64;
        if passed == fault.end() {
            break;
        }
    }
    struck.set(true);
    if let Fault::Blackhole(_) = fault {
        // Until the side gives up by itself, or the other one does.
        while matches!(from.read(&mut bytes).await, Ok(1..)) {}
    }
}

async fn send(to: &mut OwnedWriteHalf, bytes: &[u8], fault: Fault) -> bool {
    let size = match fault {
        Fault::Trickle(size, _) => size,
        _ => bytes.len().max(1),
    };
    if let Fault::Delay(by, _) = fault {
        tokio::time::sleep(by).await;
    }
    for piece in bytes.chunks(size) {
        if to.write_all(piece).await.is_err() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}
