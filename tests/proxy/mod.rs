//! A network that fails: stands between a client and a server, and treats each connection as a plan says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of one connection. Offsets count the bytes towards the client, those of the handshake among them.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Both sides are dropped after so many bytes.
    Cut(u64),
    /// After so many bytes nothing passes any more, and nobody is told.
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

/// The proxy's address, and how many connections it has ended.
pub struct Proxy {
    pub addr: SocketAddr,
    pub ended: Arc<AtomicU64>,
}

/// Starts one in front of `server`; the nth connection is treated as `plan(n)` says.
pub async fn proxy(server: SocketAddr, plan: impl Fn(u64) -> Fault + 'static) -> Proxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let ended = Arc::new(AtomicU64::new(0));
    let count = ended.clone();
    actix_rt::spawn(async move {
        for nth in 0.. {
            let Ok((client, _)) = listener.accept().await else { return };
            let (fault, ended) = (plan(nth), count.clone());
            actix_rt::spawn(async move {
                let Ok(upstream) = TcpStream::connect(server).await else { return };
                if pass(client, upstream, fault).await {
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    Proxy { addr, ended }
}

/// Passes bytes until the fault's end or that of a side; whether it was the fault's.
async fn pass(mut client: TcpStream, mut upstream: TcpStream, fault: Fault) -> bool {
    let _ = client.set_nodelay(true);
    let (mut down, mut up) = (vec![0; 4_096], vec![0; 4_096]);
    let mut passed = 0;
    loop {
        tokio::select! {
            read = upstream.read(&mut down) => {
                let Ok(len @ 1..) = read else { return false };
                let left = (fault.end() - passed).min(len as u64) as usize;
                if !send(&mut client, &down[..left], fault).await {
                    return false;
                }
                passed += left as u64;
                if passed == fault.end() {
                    break;
                }
            }
            read = client.read(&mut up) => {
                let Ok(len @ 1..) = read else { return false };
                if upstream.write_all(&up[..len]).await.is_err() {
                    return false;
                }
            }
        }
    }
    if let Fault::Blackhole(_) = fault {
        // Until the client gives up by itself.
        while matches!(client.read(&mut up).await, Ok(1..)) {}
    }
    true
}

async fn send(client: &mut TcpStream, bytes: &[u8], fault: Fault) -> bool {
    let size = match fault {
        Fault::Trickle(size, _) => size,
        _ => bytes.len().max(1),
    };
    if let Fault::Delay(by, _) = fault {
        tokio::time::sleep(by).await;
    }
    for piece in bytes.chunks(size) {
        if client.write_all(piece).await.is_err() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}
