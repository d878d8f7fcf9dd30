//! UDP services: datagrams of each client go to an endpoint of its own choice,
//! and the answers back.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::Live;
use super::counters::{Streams as Counters, count};
use crate::router::Stream;
use crate::upstream::{Cluster, Pick};

/// The largest datagram that there is.
const LARGEST: usize = 65_535;
/// Clients of one port at a time.
const MAX_SESSIONS: usize = 16_384;

/// When there are too many, the one of so many that has been silent for longest
/// makes room.
const CANDIDATES: usize = 16;

type Sessions = Arc<Mutex<HashMap<SocketAddr, Arc<Session>>>>;

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
    socket: UdpSocket,
    live: Arc<ArcSwap<Live>>,
    mut stopped: watch::Receiver<()>,
    counters: Arc<super::Counters>,
) {
    let socket = Arc::new(socket);
    let sessions = Sessions::default();
    let mut tasks = tokio::task::JoinSet::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        let received = tokio::select! {
            biased;
            _ = stopped.changed() => return,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            received = socket.recv_from(&mut buffer) => received,
        };
        let (length, client) = match received {
            Ok(received) => received,
            // An answer to an earlier datagram was refused; the port is fine.
            Err(error) => {
                debug!(%error, "datagram not received");
                continue;
            }
        };
        let datagram = &buffer[..length];
        counters
            .stream_bytes
            .received
            .fetch_add(length as u64, Ordering::Relaxed);
        let serving = live.load().serving.load_full();
        let route = serving.table.streams.find(None);
        let known = sessions.lock().get(&client).cloned();
        let session = match known.filter(|session| session.is_current(route)) {
            Some(session) => session,
            None => match open(route, client, &sessions, &counters.streams).await {
                Ok(session) => {
                    let answers = answer(socket.clone(), session.clone(), client, counters.clone());
                    let (sessions, own) = (sessions.clone(), session.clone());
                    tasks.spawn(async move {
                        answers.await;
                        let mut sessions = sessions.lock();
                        if sessions
                            .get(&client)
                            .is_some_and(|latest| Arc::ptr_eq(latest, &own))
                        {
                            sessions.remove(&client);
                        }
                    });
                    session
                }
                Err(error) => {
                    debug!(%client, %error, "datagram dropped");
                    continue;
                }
            },
        };
        session.sent.fetch_add(1, Ordering::Relaxed);
        session.touch();
        if let Err(error) = session.upstream.send(datagram).await {
            debug!(%client, %error, "datagram not passed on");
        }
    }
}

/// A new session; it takes the place of the client's old one.
async fn open(
    route: Option<&Arc<Stream>>,
    client: SocketAddr,
    sessions: &Sessions,
    counters: &Counters,
) -> io::Result<Arc<Session>> {
    let backend = route.and_then(|route| route.backend(rand::random()));
    let cluster = backend.and_then(|backend| backend.cluster.as_ref());
    let hash = crate::upstream::hash::text(client.ip().to_string().as_bytes());
    let pick = cluster.and_then(|cluster| cluster.pick(hash, &[]));
    let (Some(route), Some(cluster), Some(pick)) = (route, cluster, pick) else {
        if let Some(old) = sessions.lock().remove(&client) {
            old.over.notify_one();
        }
        count(&counters.no_endpoint);
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
    });
    let mut sessions = sessions.lock();
    let mut old = sessions.insert(client, session.clone());
    if sessions.len() > MAX_SESSIONS {
        count(&counters.over_limit);
        let others = sessions.iter().filter(|(other, _)| **other != client);
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
async fn answer(
    socket: Arc<UdpSocket>,
    session: Arc<Session>,
    client: SocketAddr,
    counters: Arc<super::Counters>,
) {
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
                return;
            }
        };
        match received {
            Ok(datagram) => {
                answers += 1;
                session.touch();
                counters
                    .stream_bytes
                    .sent
                    .fetch_add(datagram.len() as u64, Ordering::Relaxed);
                if socket.send_to(&datagram, client).await.is_err() {
                    return;
                }
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
                debug!(%client, %error, "no answers");
                count(&counters.streams.connect_failures);
                return;
            }
        }
    }
}

/// One datagram. Memory is taken only when there is one: most sessions wait.
async fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    loop {
        socket.readable().await?;
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
