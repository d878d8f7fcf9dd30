//! Idle connections to upstreams, by address. Each thread has a shelf of its
//! own: a connection stays with the thread whose reactor watches it, and no
//! lock is contended.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_snapshot::UpstreamKeepAlive;
use tokio::net::TcpStream;

/// Threads beyond this many share shelves.
pub(super) const SHELVES: usize = 64;

/// Entries of taken connections that a shelf keeps before it looks for them.
const SPARE: usize = 64;

/// How often connections that ended or idled too long are looked for.
pub(super) const SWEEP: Duration = Duration::from_secs(5);

/// Idle connections.
pub(super) struct Pool {
    shelves: Box<[Mutex<Shelf>]>,
}

/// Those of one thread.
#[derive(Default)]
struct Shelf {
    /// Of each address the latest last.
    idle: HashMap<SocketAddr, VecDeque<Idle>>,
    count: usize,
    /// All of them, the oldest first. Taking one leaves its entry behind, so that
    /// it costs nothing here.
    order: VecDeque<(u64, SocketAddr)>,
    /// That were ever put.
    puts: u64,
}

/// A connection to an upstream.
pub(super) struct Upstream {
    pub(super) stream: TcpStream,
    made: Instant,
    /// That it has served.
    requests: u32,
}

struct Idle {
    upstream: Upstream,
    /// Names it in [`Shelf::order`].
    number: u64,
    since: Instant,
    /// The sweep closes it then.
    until: Instant,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            shelves: (0..SHELVES).map(|_| Mutex::default()).collect(),
        }
    }

    /// The connection that idled least, if it seems to live.
    pub(super) fn take(&self, address: SocketAddr, keep_alive: &UpstreamKeepAlive) -> Option<Upstream> {
        let mut shelf = self.shelf().lock();
        let Shelf { idle, count, .. } = &mut *shelf;
        let idle = idle.get_mut(&address)?;
        while let Some(candidate) = idle.pop_back() {
            *count -= 1;
            if candidate.is_usable(keep_alive.idle) {
                return Some(candidate.upstream);
            }
        }
        None
    }

    /// Keeps a connection that has served a request for later. One that has served
    /// enough is closed; as in nginx, with too many the one that idled longest is.
    pub(super) fn put(&self, address: SocketAddr, mut upstream: Upstream, keep_alive: &UpstreamKeepAlive) {
        upstream.requests = upstream.requests.saturating_add(1);
        let now = Instant::now();
        let is_spent =
            upstream.requests >= keep_alive.requests || now.duration_since(upstream.made) >= keep_alive.life;
        if is_spent || keep_alive.idle.is_zero() {
            return;
        }
        let mut shelf = self.shelf().lock();
        while shelf.count >= keep_alive.connections as usize && shelf.drop_oldest() {}
        shelf.push(address, upstream, now, keep_alive.idle);
    }

    /// Closes what ended, idled too long, or belongs to an address without
    /// connections.
    pub(super) fn sweep(&self) {
        for shelf in &self.shelves {
            let mut shelf = shelf.lock();
            shelf.idle.retain(|_, idle| {
                idle.retain(|idle| idle.until > Instant::now() && idle.is_silent());
                idle.shrink_to(2 * idle.len());
                !idle.is_empty()
            });
            shelf.count = shelf.idle.values().map(VecDeque::len).sum();
        }
    }

    fn shelf(&self) -> &Mutex<Shelf> {
        &self.shelves[thread_number() % SHELVES]
    }
}

impl Shelf {
    fn push(&mut self, address: SocketAddr, upstream: Upstream, now: Instant, keep_alive: Duration) {
        let number = self.puts;
        self.puts += 1;
        self.count += 1;
        self.idle.entry(address).or_default().push_back(Idle {
            upstream,
            number,
            since: now,
            until: now + keep_alive,
        });
        self.order.push_back((number, address));
        // At most every so many calls: each pays for a fixed share of it.
        if self.order.len() > 2 * self.count + SPARE {
            let idle = &self.idle;
            self.order.retain(|(number, address)| {
                let idle = idle.get(address);
                idle.is_some_and(|idle| idle.binary_search_by_key(number, |idle| idle.number).is_ok())
            });
        }
    }

    /// `false`: there was none. Constant time, spread over all calls.
    fn drop_oldest(&mut self) -> bool {
        while let Some((number, address)) = self.order.pop_front() {
            let Some(idle) = self.idle.get_mut(&address) else {
                continue;
            };
            if idle.front().is_some_and(|oldest| oldest.number == number) {
                idle.pop_front();
                self.count -= 1;
                return true;
            }
        }
        false
    }
}

impl Upstream {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            made: Instant::now(),
            requests: 0,
        }
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
            self.upstream.stream.try_read(&mut byte),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock
        )
    }
}

/// A small number of the current thread.
pub(super) fn thread_number() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Relaxed);
    }
    OWN.with(|own| *own)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    struct Server(TcpListener);

    impl Server {
        async fn start() -> Self {
            Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
        }

        fn address(&self) -> SocketAddr {
            self.0.local_addr().unwrap()
        }

        /// The server's end keeps the connection open.
        async fn connect(&self) -> (Upstream, TcpStream) {
            let ours = TcpStream::connect(self.address()).await.unwrap();
            let (theirs, _) = self.0.accept().await.unwrap();
            (Upstream::new(ours), theirs)
        }
    }

    #[tokio::test]
    async fn a_connection_serves_so_many_requests() {
        let server = Server::start().await;
        let pool = Pool::new();
        let keep_alive = UpstreamKeepAlive {
            requests: 2,
            ..UpstreamKeepAlive::default()
        };
        let (upstream, _open) = server.connect().await;
        pool.put(server.address(), upstream, &keep_alive);
        let again = pool.take(server.address(), &keep_alive).unwrap();
        pool.put(server.address(), again, &keep_alive);
        assert!(pool.take(server.address(), &keep_alive).is_none());
    }

    #[tokio::test]
    async fn an_old_connection_is_not_kept() {
        let server = Server::start().await;
        let pool = Pool::new();
        let keep_alive = UpstreamKeepAlive {
            life: Duration::ZERO,
            ..UpstreamKeepAlive::default()
        };
        let (upstream, _open) = server.connect().await;
        pool.put(server.address(), upstream, &keep_alive);
        assert!(pool.take(server.address(), &keep_alive).is_none());
    }

    #[tokio::test]
    async fn one_that_idled_too_long_is_closed() {
        use tokio::io::AsyncReadExt;

        let server = Server::start().await;
        let pool = Pool::new();
        let keep_alive = UpstreamKeepAlive {
            idle: Duration::from_millis(1),
            ..UpstreamKeepAlive::default()
        };
        let (upstream, mut theirs) = server.connect().await;
        pool.put(server.address(), upstream, &keep_alive);
        tokio::time::sleep(2 * keep_alive.idle).await;
        pool.sweep();
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn with_too_many_the_oldest_goes() {
        let (one, other) = (Server::start().await, Server::start().await);
        let pool = Pool::new();
        let keep_alive = UpstreamKeepAlive {
            connections: 2,
            ..UpstreamKeepAlive::default()
        };
        let mut open = Vec::new();
        for server in [&one, &other, &other] {
            let (upstream, theirs) = server.connect().await;
            open.push(theirs);
            pool.put(server.address(), upstream, &keep_alive);
        }
        assert!(pool.take(one.address(), &keep_alive).is_none());
        assert!(pool.take(other.address(), &keep_alive).is_some());
        assert!(pool.take(other.address(), &keep_alive).is_some());
        assert_eq!(pool.shelf().lock().count, 0);
    }

    /// The order has to survive takes, which do not tell it.
    #[tokio::test]
    async fn the_oldest_is_known_after_takes_and_sweeps() {
        let (one, other) = (Server::start().await, Server::start().await);
        let pool = Pool::new();
        let keep_alive = UpstreamKeepAlive {
            connections: 2,
            ..UpstreamKeepAlive::default()
        };
        let mut open = Vec::new();
        for server in [&one, &other] {
            let (upstream, theirs) = server.connect().await;
            open.push(theirs);
            pool.put(server.address(), upstream, &keep_alive);
        }
        // Now the other's is the oldest.
        let again = pool.take(one.address(), &keep_alive).unwrap();
        pool.put(one.address(), again, &keep_alive);
        pool.sweep();
        let (upstream, theirs) = one.connect().await;
        open.push(theirs);
        pool.put(one.address(), upstream, &keep_alive);
        assert!(pool.take(other.address(), &keep_alive).is_none());
        assert!(pool.take(one.address(), &keep_alive).is_some());
        assert!(pool.take(one.address(), &keep_alive).is_some());
        let mut shelf = pool.shelf().lock();
        assert_eq!(shelf.count, 0);
        assert!(!shelf.drop_oldest() && shelf.order.is_empty());
    }

    #[tokio::test]
    async fn the_order_stays_small() {
        let server = Server::start().await;
        let pool = Pool::new();
        let keep_alive = UpstreamKeepAlive {
            requests: u32::MAX,
            ..UpstreamKeepAlive::default()
        };
        let (mut upstream, _open) = server.connect().await;
        for _ in 0..10 * SPARE {
            pool.put(server.address(), upstream, &keep_alive);
            upstream = pool.take(server.address(), &keep_alive).unwrap();
        }
        assert!(pool.shelf().lock().order.len() <= SPARE + 2);
    }
}
