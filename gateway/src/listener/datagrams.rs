//! UDP services: datagrams of each client go to an endpoint of its own choice,
//! and the answers back.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tidegate_snapshot::ClusterKey;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

pub(super) use self::port::Port;
use self::port::{Inbox, Path};
use super::Live;
use super::counters::{Counters, count};
use super::serve::{BAD_GATEWAY, canonical};
use crate::observe::access_log::{AccessLog, StreamAttempt, StreamRecord};
use crate::router::{Backend, Stream};
use crate::upstream::{Cluster, Pick};

mod port;

/// The largest datagram that there is.
const LARGEST: usize = 65_535;
/// Clients of one port at a time.
const MAX_SESSIONS: usize = 16_384;

/// When there are too many, the one of so many that has been silent for longest
/// makes room.
const CANDIDATES: usize = 16;

/// By client, and by the address that it asked: each has answers from there.
type Sessions = Arc<Mutex<HashMap<Path, Arc<Session>>>>;

/// One client's endpoint.
struct Session {
    upstream: UdpSocket,
    route: Arc<Stream>,
    cluster: Arc<Cluster>,
    pick: Pick,
    /// Datagrams that went to the endpoint.
    sent: AtomicU64,
    opened: Instant,
    /// Milliseconds after `opened` at which something last went either way.
    last: AtomicU64,
    /// Told when another takes its place.
    over: Notify,
    path: Path,
    upstream_name: ClusterKey,
    /// Bytes from the client, and to it.
    received: AtomicU64,
    returned: AtomicU64,
    /// When the first answer came.
    answered: OnceLock<Instant>,
    /// It ended without the answers that were due.
    failed: AtomicBool,
    observed: Observed,
}

/// Who is told of sessions.
#[derive(Clone)]
pub(super) struct Observed {
    pub(super) counters: Arc<Counters>,
    pub(super) log: Arc<AccessLog>,
    /// Where the port is bound.
    pub(super) local: SocketAddr,
}

impl Observed {
    /// Where a client's line begins.
    fn record(&self, path: Path) -> StreamRecord {
        let mut local = self.local;
        if let Some(asked) = path.to {
            local.set_ip(asked.address.to_canonical());
        }
        StreamRecord::new("UDP", canonical(path.client), local)
    }

    /// A datagram for which there was no endpoint: nginx makes a session of it.
    fn lost(&self, path: Path, length: usize, backend: Option<&Backend>) {
        if self.log.takes_streams() {
            self.log.log_stream(&StreamRecord {
                status: BAD_GATEWAY,
                bytes_received: length as u64,
                upstream_name: backend.map(|backend| backend.key.clone()),
                ..self.record(path)
            });
        }
    }
}

/// Its line is logged when nobody holds it any more, however it ended.
impl Drop for Session {
    fn drop(&mut self) {
        let log = &self.observed.log;
        if !log.takes_streams() {
            return;
        }
        let (bytes_received, bytes_sent) = (
            self.received.load(Ordering::Relaxed),
            self.returned.load(Ordering::Relaxed),
        );
        let session_time = self.opened.elapsed();
        let attempt = StreamAttempt {
            address: self.pick.address(),
            bytes_sent: bytes_received,
            bytes_received: bytes_sent,
            connect_time: Some(Duration::ZERO),
            first_byte_time: self
                .answered
                .get()
                .map(|answered| answered.saturating_duration_since(self.opened)),
            session_time,
        };
        log.log_stream(&StreamRecord {
            status: if self.failed.load(Ordering::Relaxed) {
                BAD_GATEWAY
            } else {
                200
            },
            bytes_received,
            bytes_sent,
            session_time,
            upstream_name: Some(self.upstream_name.clone()),
            attempts: vec![attempt],
            ..self.observed.record(self.path)
        });
    }
}

impl Session {
    fn touch(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// When it ends, unless something is said.
    fn end(&self) -> Instant {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.opened + last + self.route.spec.idle_timeout
    }

    /// Whether a session of now could be the same: a client that never pauses
    /// must not keep an endpoint that is gone, or that the route has left.
    fn is_current(&self, route: Option<&Arc<Stream>>) -> bool {
        route.is_some_and(|route| Arc::ptr_eq(route, &self.route) || route.leads_to(&self.cluster))
            && self.cluster.has(self.pick.address())
    }
}

/// Serves one port until `stopped` changes; its sessions end with it.
pub(super) async fn serve(
    port: Port,
    live: Arc<ArcSwap<Live>>,
    mut stopped: watch::Receiver<()>,
    observed: Observed,
) {
    let counters = Arc::clone(&observed.counters);
    let port = Arc::new(port);
    let sessions = Sessions::default();
    let mut tasks = tokio::task::JoinSet::new();
    let mut inbox = Inbox::new();
    loop {
        let received = tokio::select! {
            biased;
            _ = stopped.changed() => {
                // With the sessions' lines handed over.
                tasks.shutdown().await;
                return;
            }
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            received = port.receive(&mut inbox) => received,
        };
        let (length, path) = match received {
            Ok(received) => received,
            // An answer to an earlier datagram was refused; the port is fine.
            Err(error) => {
                debug!(%error, "datagram not received");
                continue;
            }
        };
        let datagram = inbox.datagram(length);
        counters
            .stream_bytes
            .received
            .fetch_add(length as u64, Ordering::Relaxed);
        let serving = live.load().serving.load_full();
        let route = serving.table.streams.find(None);
        let known = sessions.lock().get(&path).cloned();
        let session = match known.filter(|session| session.is_current(route)) {
            Some(session) => session,
            None => match open(route, path, length, &sessions, &observed).await {
                Ok(session) => {
                    let answers = answer(port.clone(), session.clone());
                    let (sessions, own) = (sessions.clone(), session.clone());
                    tasks.spawn(async move {
                        answers.await;
                        let mut sessions = sessions.lock();
                        if sessions
                            .get(&path)
                            .is_some_and(|latest| Arc::ptr_eq(latest, &own))
                        {
                            sessions.remove(&path);
                        }
                    });
                    session
                }
                Err(error) => {
                    debug!(client = %path.client, %error, "datagram dropped");
                    continue;
                }
            },
        };
        session.sent.fetch_add(1, Ordering::Relaxed);
        session.received.fetch_add(length as u64, Ordering::Relaxed);
        session.touch();
        if let Err(error) = session.upstream.send(datagram).await {
            debug!(client = %path.client, %error, "datagram not passed on");
        }
    }
}

/// A new session; it takes the place of the client's old one.
async fn open(
    route: Option<&Arc<Stream>>,
    path: Path,
    length: usize,
    sessions: &Sessions,
    observed: &Observed,
) -> io::Result<Arc<Session>> {
    let counters = &observed.counters.streams;
    let backend = route.and_then(|route| route.backend(rand::random()));
    let cluster = backend.and_then(|backend| backend.cluster.as_ref());
    let hash = crate::upstream::hash::text(path.client.ip().to_string().as_bytes());
    let pick = cluster.and_then(|cluster| cluster.pick(hash, &[]));
    let (Some(route), Some(backend), Some(cluster), Some(pick)) = (route, backend, cluster, pick) else {
        if let Some(old) = sessions.lock().remove(&path) {
            old.over.notify_one();
        }
        count(&counters.no_endpoint);
        observed.lost(path, length, backend);
        return Err(io::Error::other("no endpoint"));
    };
    let unspecified: SocketAddr = match pick.address() {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let upstream = UdpSocket::bind(unspecified).await?;
    upstream.connect(pick.address()).await?;
    count(&counters.opened);
    let session = Arc::new(Session {
        upstream,
        route: route.clone(),
        cluster: cluster.clone(),
        pick,
        sent: AtomicU64::new(0),
        opened: Instant::now(),
        last: AtomicU64::new(0),
        over: Notify::new(),
        path,
        upstream_name: backend.key.clone(),
        received: AtomicU64::new(0),
        returned: AtomicU64::new(0),
        answered: OnceLock::new(),
        failed: AtomicBool::new(false),
        observed: observed.clone(),
    });
    let mut sessions = sessions.lock();
    let mut old = sessions.insert(path, session.clone());
    if sessions.len() > MAX_SESSIONS {
        count(&counters.over_limit);
        let others = sessions.iter().filter(|(other, _)| **other != path);
        let silent = others.take(CANDIDATES).min_by_key(|(_, session)| session.end());
        if let Some(silent) = silent.map(|(silent, _)| *silent) {
            old = sessions.remove(&silent);
        }
    }
    if let Some(old) = old {
        old.over.notify_one();
    }
    Ok(session)
}

/// Passes answers back until the session is over.
async fn answer(port: Arc<Port>, session: Arc<Session>) {
    let path = session.path;
    let counters = &session.observed.counters;
    let mut answers = 0;
    loop {
        let received = tokio::select! {
            received = receive(&session.upstream) => received,
            () = session.over.notified() => return,
            () = sleep_until(session.end()) => {
                if Instant::now() < session.end() {
                    continue;
                }
                count(&counters.streams.idle_timeouts);
                // To nginx silence is an end in order only where no answer is due;
                // the last one that is would have ended the session.
                let due = session.route.spec.responses.is_some_and(|due| due > 0);
                session.failed.store(due, Ordering::Relaxed);
                return;
            }
        };
        match received {
            Ok(datagram) => {
                answers += 1;
                if answers == 1 {
                    let _ = session.answered.set(Instant::now());
                }
                session.touch();
                let length = datagram.len() as u64;
                counters.stream_bytes.sent.fetch_add(length, Ordering::Relaxed);
                if port.answer(&datagram, path).await.is_err() {
                    return;
                }
                session.returned.fetch_add(length, Ordering::Relaxed);
                let expected = session
                    .route
                    .spec
                    .responses
                    .map(|responses| u64::from(responses) * session.sent.load(Ordering::Relaxed));
                if expected.is_some_and(|expected| answers >= expected) {
                    return;
                }
            }
            Err(error) => {
                debug!(client = %path.client, %error, "no answers");
                count(&counters.streams.connect_failures);
                session.failed.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// One datagram. Memory is taken only when there is one: most sessions wait.
async fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        if ready.is_error() {
            // Such as "port unreachable", of which no read would tell.
            refused(socket)?;
        }
        if !ready.is_readable() {
            continue;
        }
        let mut datagram = vec![0; LARGEST];
        match socket.try_recv(&mut datagram) {
            Ok(length) => {
                datagram.truncate(length);
                return Ok(datagram);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The socket's error, if it still has one: a datagram that was sent since may
/// have met it.
fn refused(socket: &UdpSocket) -> io::Result<()> {
    let none = || io::Error::from(io::ErrorKind::WouldBlock);
    let error = socket.try_io(Interest::ERROR, || -> io::Result<()> {
        Err(socket.take_error()?.unwrap_or_else(none))
    });
    error.or_else(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Ok(()),
        _ => Err(error),
    })
}
