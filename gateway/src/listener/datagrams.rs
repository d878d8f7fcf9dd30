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
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use super::Live;
use super::counters::{Streams as Counters, count};
use crate::upstream::Pick;

/// The largest datagram that there is.
const LARGEST: usize = 65_535;
/// Clients of one port at a time; datagrams of more are dropped.
const MAX_SESSIONS: usize = 16_384;

type Sessions = Arc<Mutex<HashMap<SocketAddr, Arc<Session>>>>;

/// One client's endpoint.
struct Session {
    upstream: UdpSocket,
    /// Datagrams that went to the endpoint.
    sent: AtomicU64,
    _pick: Pick,
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
        let known = sessions.lock().get(&client).cloned();
        let session = match known {
            Some(session) => session,
            None => match open(&live.load(), client, &sessions, &counters.streams).await {
                Ok((session, answering)) => {
                    let answers = answer(
                        socket.clone(),
                        session.clone(),
                        client,
                        answering,
                        counters.clone(),
                    );
                    let sessions = sessions.clone();
                    tasks.spawn(async move {
                        answers.await;
                        sessions.lock().remove(&client);
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
        if let Err(error) = session.upstream.send(datagram).await {
            debug!(%client, %error, "datagram not passed on");
        }
    }
}

/// How long, and for how many answers, a session lasts.
#[derive(Clone, Copy)]
struct Answering {
    idle: Duration,
    responses: Option<u32>,
}

async fn open(
    live: &Live,
    client: SocketAddr,
    sessions: &Sessions,
    counters: &Counters,
) -> io::Result<(Arc<Session>, Answering)> {
    if sessions.lock().len() >= MAX_SESSIONS {
        count(&counters.over_limit);
        return Err(io::Error::other("too many clients"));
    }
    let serving = live.serving.load_full();
    let route = serving.table.streams.find(None);
    let backend = route.and_then(|route| route.backend(rand::random()));
    let hash = crate::upstream::hash::text(client.ip().to_string().as_bytes());
    let pick = backend.and_then(|backend| backend.cluster.as_ref()?.pick(hash, &[]));
    let (Some(route), Some(pick)) = (route, pick) else {
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
        sent: AtomicU64::new(0),
        _pick: pick,
    });
    sessions.lock().insert(client, session.clone());
    let answering = Answering {
        idle: route.spec.idle_timeout,
        responses: route.spec.responses,
    };
    Ok((session, answering))
}

/// Passes answers back until the session is over.
async fn answer(
    socket: Arc<UdpSocket>,
    session: Arc<Session>,
    client: SocketAddr,
    answering: Answering,
    counters: Arc<super::Counters>,
) {
    let mut answers = 0;
    loop {
        match timeout(answering.idle, receive(&session.upstream)).await {
            Ok(Ok(datagram)) => {
                answers += 1;
                counters
                    .stream_bytes
                    .sent
                    .fetch_add(datagram.len() as u64, Ordering::Relaxed);
                if socket.send_to(&datagram, client).await.is_err() {
                    return;
                }
                let expected = answering
                    .responses
                    .map(|responses| u64::from(responses) * session.sent.load(Ordering::Relaxed));
                if expected.is_some_and(|expected| answers >= expected) {
                    return;
                }
            }
            Ok(Err(error)) => {
                debug!(%client, %error, "no answers");
                count(&counters.streams.connect_failures);
                return;
            }
            Err(_) => {
                count(&counters.streams.idle_timeouts);
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
