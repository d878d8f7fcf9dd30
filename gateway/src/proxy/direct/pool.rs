//! Idle connections to upstreams, by address. Each thread has a shelf of its
//! own: a connection stays with the thread whose reactor watches it, and no
//! lock is contended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::upstream::UPSTREAM_KEEPALIVE_TIMEOUT;

/// Threads beyond this many share shelves.
const SHELVES: usize = 64;

/// How often connections that ended or idled too long are looked for.
pub(super) const SWEEP: Duration = Duration::from_secs(5);

/// Idle connections, at most so many for each thread and address (ingress-nginx
/// ConfigMap `upstream-keepalive-connections`).
pub(super) struct Pool {
    shelves: Box<[Mutex<Shelf>]>,
    most: usize,
}

type Shelf = HashMap<SocketAddr, Vec<Idle>>;

struct Idle {
    stream: TcpStream,
    since: Instant,
    /// The sweep closes it then.
    until: Instant,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Self {
            shelves: (0..SHELVES).map(|_| Mutex::default()).collect(),
            most,
        }
    }

    /// The connection that idled least, if it seems to live.
    pub(super) fn take(&self, address: SocketAddr, keep_alive: Duration) -> Option<TcpStream> {
        let mut shelf = self.shelf().lock();
        let idle = shelf.get_mut(&address)?;
        while let Some(candidate) = idle.pop() {
            if candidate.is_usable(keep_alive) {
                return Some(candidate.stream);
            }
        }
        None
    }

    /// Keeps a connection for later, for at most the longer of this time and
    /// nginx's default.
    pub(super) fn put(&self, address: SocketAddr, stream: TcpStream, keep_alive: Duration) {
        if keep_alive.is_zero() {
            return;
        }
        let mut shelf = self.shelf().lock();
        let idle = shelf.entry(address).or_default();
        if idle.len() < self.most {
            let now = Instant::now();
            idle.push(Idle {
                stream,
                since: now,
                until: now + keep_alive.max(UPSTREAM_KEEPALIVE_TIMEOUT),
            });
        }
    }

    /// Closes what ended, idled too long, or belongs to an address without
    /// connections.
    pub(super) fn sweep(&self) {
        for shelf in &self.shelves {
            shelf.lock().retain(|_, idle| {
                idle.retain(|idle| idle.until > Instant::now() && idle.is_silent());
                idle.shrink_to(2 * idle.len());
                !idle.is_empty()
            });
        }
    }

    fn shelf(&self) -> &Mutex<Shelf> {
        &self.shelves[thread_number() % SHELVES]
    }
}

impl Idle {
    /// Young enough, still open, and silent: an upstream that speaks without
    /// being asked would answer the next request with the wrong words.
    fn is_usable(&self, keep_alive: Duration) -> bool {
        self.is_silent() && self.since.elapsed() < keep_alive
    }

    fn is_silent(&self) -> bool {
        let mut byte = [0];
        matches!(
            self.stream.try_read(&mut byte),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock
        )
    }
}

/// A small number of the current thread.
fn thread_number() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Relaxed);
    }
    OWN.with(|own| *own)
}
