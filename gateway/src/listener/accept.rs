//! Accept loops of one port, and the count of open connections.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora_core::apps::ServerApp;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use super::counters::{Counters, count};
use super::{Limits, Live, Refusal, datagrams, serve};
use crate::observe::access_log::AccessLog;

/// More loops on one socket only wake each other up.
const MAX_LOOPS: usize = 4;
/// Pause after a failure of `accept`: too many open files do not go away sooner.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// What connections of all ports share.
pub(super) struct Core<A> {
    pub(super) app: Arc<A>,
    pub(super) limits: Limits,
    pub(super) refusal: Option<Refusal>,
    pub(super) census: Arc<Census>,
    /// Where the ends of streams are logged.
    pub(super) log: Arc<AccessLog>,
}

/// Counts open connections.
pub(super) struct Census {
    pub(super) counters: Arc<Counters>,
    zero: Notify,
}

impl Census {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            counters,
            zero: Notify::new(),
        }
    }

    /// Counts a connection until the answer is dropped; `None` at the limit.
    fn enter(self: &Arc<Self>, limit: Option<usize>) -> Option<Counted> {
        let before = self.counters.active.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(Arc::clone(self));
        limit.is_none_or(|limit| before < limit).then_some(counted)
    }

    pub(super) fn active(&self) -> usize {
        self.counters.active.load(Ordering::Acquire)
    }

    /// Resolves as soon as no connection is open.
    pub(super) async fn empty(&self) {
        loop {
            let zero = self.zero.notified();
            if self.active() == 0 {
                return;
            }
            zero.await;
        }
    }
}

/// One open connection.
pub(super) struct Counted(Arc<Census>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.counters.active.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.zero.notify_waiters();
        }
    }
}

/// A bound socket with its accept loops. Dropping it closes the socket, after
/// what the kernel had already accepted has been taken over.
pub(super) struct Port {
    /// The address that it is really bound to.
    pub(super) local: SocketAddr,
    live: Arc<ArcSwap<Live>>,
    loops: Vec<JoinHandle<()>>,
    /// The loops end when it is dropped.
    _stop: watch::Sender<()>,
}

impl Port {
    /// Starts accepting for `live`.
    pub(super) fn open<A>(listener: StdListener, live: Arc<Live>, core: &Arc<Core<A>>) -> io::Result<Self>
    where
        A: ServerApp + Send + Sync + 'static,
    {
        let local = listener.local_addr()?;
        let live = Arc::new(ArcSwap::new(live));
        let (stop, stopped) = watch::channel(());
        let mut listeners = Vec::new();
        for _ in 1..Handle::current().metrics().num_workers().min(MAX_LOOPS) {
            listeners.push(TcpListener::from_std(listener.try_clone()?)?);
        }
        listeners.push(TcpListener::from_std(listener)?);
        let loops = listeners
            .into_iter()
            .map(|listener| {
                let acceptor = Acceptor {
                    live: Arc::clone(&live),
                    core: Arc::clone(core),
                };
                tokio::spawn(acceptor.run(listener, stopped.clone()))
            })
            .collect();
        Ok(Self {
            local,
            live,
            loops,
            _stop: stop,
        })
    }

    /// Starts taking datagrams for `live`.
    pub(super) fn open_datagrams<A>(
        socket: std::net::UdpSocket,
        live: Arc<Live>,
        core: &Core<A>,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let live = Arc::new(ArcSwap::new(live));
        let (stop, stopped) = watch::channel(());
        let port = datagrams::Port::new(socket)?;
        let observed = datagrams::Observed {
            counters: Arc::clone(&core.census.counters),
            log: Arc::clone(&core.log),
            local,
        };
        let serving = datagrams::serve(port, Arc::clone(&live), stopped, observed);
        Ok(Self {
            local,
            live,
            loops: vec![tokio::spawn(serving)],
            _stop: stop,
        })
    }

    /// Accepts for another listener from now on.
    pub(super) fn hand_to(&self, live: Arc<Live>) {
        self.live.store(live);
    }

    /// Closes the socket; when the loops have ended, every connection that the
    /// kernel had accepted is counted.
    pub(super) fn close(self) -> Vec<JoinHandle<()>> {
        self.loops
    }
}

struct Acceptor<A> {
    live: Arc<ArcSwap<Live>>,
    core: Arc<Core<A>>,
}

impl<A> Acceptor<A>
where
    A: ServerApp + Send + Sync + 'static,
{
    async fn run(self, listener: TcpListener, mut stopped: watch::Receiver<()>) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopped.changed() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.start(stream, peer);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    count(&self.core.census.counters.accept_errors);
                    if !failing {
                        warn!(listener = %self.live.load().key, %error, "cannot accept connections");
                    }
                    failing = true;
                    tokio::time::sleep(FAILURE_PAUSE).await;
                }
            }
        }
        // The runtime may not know yet of connections that wait in the kernel's
        // queue; asking the kernel itself is exact.
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, peer)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                self.start(stream, peer);
            }
        }
    }

    /// Counts first and spawns then: a drain that sees zero must be right.
    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        let census = &self.core.census;
        count(&census.counters.accepted);
        match census.enter(self.core.limits.max_connections) {
            Some(counted) => {
                let (core, live) = (Arc::clone(&self.core), self.live.load_full());
                tokio::spawn(serve::serve(core, live, stream, peer, counted));
            }
            None => count(&census.counters.over_limit),
        }
    }
}

/// accept(2): errors that a client caused before its connection was accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
