//! Connections over HTTP/2 to upstreams, by address: many requests share one.
//! Each thread has a shelf of its own, as in [`super::pool`].

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use h2::SendStream;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::Request;
use parking_lot::Mutex;
use pingora_timeout::timeout;
use tidegate_snapshot::UpstreamKeepAlive;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::corked::{Cork, Corked};
use super::pool::{SHELVES, thread_number};
use crate::observe::metrics::UpstreamError;
use crate::proxy::failure::Failure;
use crate::upstream::MAX_H2_STREAMS;

/// What may come of one answer before its client has taken it: what HTTP/2 begins
/// with (RFC 9113 §6.9.2).
const STREAM_WINDOW: u32 = 64 * 1024 - 1;
/// All answers of a connection: one that its client does not take must not stop
/// the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_H2_STREAMS as u32;
/// A connection lives so long at least, or the sweep could close it before those who
/// wait for it have used it.
const SHORTEST: Duration = Duration::from_secs(1);
/// A longer head of an answer is refused, as over HTTP/1.
const LONGEST_HEAD: u32 = 64 * 1024;

type Connection = h2::client::Connection<Corked<TcpStream>, Bytes>;

/// The connections of all threads.
pub(super) struct Lines {
    shelves: Box<[Mutex<HashMap<SocketAddr, Group>>]>,
}

/// Those of a thread to one address.
struct Group {
    lines: Vec<Arc<Line>>,
    /// Streams that the latest of them allowed.
    room: usize,
}

/// One connection, or what is to become one.
struct Line {
    /// Set when it is known.
    made: OnceLock<Result<SendRequest<Bytes>, NoLine>>,
    /// Tells those who wait for `made`.
    told: Notify,
    waiting: AtomicUsize,
    streams: AtomicUsize,
    requests: AtomicU32,
    /// No further request may use it.
    retired: AtomicBool,
    began: Instant,
    /// When its last stream ended, in milliseconds since it began.
    idle_since: AtomicU64,
    /// The sweep closes it when it idles for so long.
    patience: Duration,
}

/// There is no connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoLine {
    pub(super) failure: Failure,
    /// It broke only after TCP's handshake.
    pub(super) connected: bool,
}

impl NoLine {
    const LATE: Self = Self {
        failure: Failure::Upstream(UpstreamError::ConnectTimeout),
        connected: false,
    };
}

/// The connection takes no request any more: nothing was sent.
pub(super) struct Gone;

/// The right to one stream, until it is dropped: after the stream.
pub(super) struct Lease {
    line: Arc<Line>,
    /// The connection was there before.
    pub(super) reused: bool,
}

enum Choice {
    Line(Arc<Line>),
    /// It has to be made first.
    Wait(Arc<Line>),
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            shelves: (0..SHELVES).map(|_| Mutex::default()).collect(),
        }
    }

    /// A stream of a connection that has room, or of a new one. Nobody is ever
    /// queued behind streams that may never end.
    ///
    /// # Errors
    /// There is none within `patience`.
    pub(super) async fn lease(
        &self,
        address: SocketAddr,
        keep_alive: &UpstreamKeepAlive,
        patience: Duration,
    ) -> Result<Lease, NoLine> {
        if let Choice::Line(line) = self.choose(address, keep_alive, patience) {
            return Ok(Lease { line, reused: true });
        }
        let made = timeout(patience, self.make(address, keep_alive, patience)).await;
        made.unwrap_or(Err(NoLine::LATE))
    }

    async fn make(
        &self,
        address: SocketAddr,
        keep_alive: &UpstreamKeepAlive,
        patience: Duration,
    ) -> Result<Lease, NoLine> {
        loop {
            match self.choose(address, keep_alive, patience) {
                Choice::Line(line) => return Ok(Lease { line, reused: false }),
                Choice::Wait(line) => line.wait().await?,
            }
        }
    }

    fn choose(&self, address: SocketAddr, keep_alive: &UpstreamKeepAlive, patience: Duration) -> Choice {
        let mut shelf = self.shelf().lock();
        let group = shelf.entry(address).or_default();
        let mut is_any_retired = false;
        for line in &group.lines {
            if let Some(room) = line.room(keep_alive)
                && line.streams.load(Relaxed) < room
            {
                line.streams.fetch_add(1, Relaxed);
                line.requests.fetch_add(1, Relaxed);
                group.room = room;
                return Choice::Line(Arc::clone(line));
            }
            is_any_retired |= line.is_retired();
        }
        if is_any_retired {
            group.lines.retain(|line| !line.is_retired());
        }
        let mut unmade = group.lines.iter().filter(|line| line.made.get().is_none());
        if let Some(line) = unmade.find(|line| line.waiting.load(Relaxed) < group.room) {
            return Choice::Wait(Arc::clone(line));
        }
        drop_idle(&mut shelf, keep_alive.connections as usize);
        let line = Line::begin(address, keep_alive.idle, patience);
        let group = shelf.entry(address).or_default();
        group.lines.push(Arc::clone(&line));
        Choice::Wait(line)
    }

    /// Forgets connections that ended or idled too long, and addresses without
    /// connections.
    pub(super) fn sweep(&self) {
        for shelf in &self.shelves {
            shelf.lock().retain(|_, group| {
                group
                    .lines
                    .retain(|line| !line.is_retired() && line.idle() < line.patience);
                !group.lines.is_empty()
            });
        }
    }

    fn shelf(&self) -> &Mutex<HashMap<SocketAddr, Group>> {
        &self.shelves[thread_number() % SHELVES]
    }
}

/// Closes the connection that idles longest where there are too many idle ones.
/// Called only when a connection is made.
fn drop_idle(shelf: &mut HashMap<SocketAddr, Group>, most: usize) {
    let idle = shelf
        .values()
        .flat_map(|group| &group.lines)
        .filter(|line| line.is_idle());
    if idle.clone().count() < most.max(1) {
        return;
    }
    let oldest = idle.max_by_key(|line| line.idle()).map(Arc::as_ptr);
    for group in shelf.values_mut() {
        group.lines.retain(|line| Some(Arc::as_ptr(line)) != oldest);
    }
}

impl Default for Group {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            room: MAX_H2_STREAMS,
        }
    }
}

impl Line {
    /// Connects in a task of its own: all who wait for it get it, whoever leaves.
    fn begin(address: SocketAddr, idle: Duration, patience: Duration) -> Arc<Self> {
        let line = Arc::new(Self {
            made: OnceLock::new(),
            told: Notify::new(),
            waiting: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            requests: AtomicU32::new(0),
            retired: AtomicBool::new(false),
            began: Instant::now(),
            idle_since: AtomicU64::new(0),
            patience: idle.max(SHORTEST),
        });
        let made = Arc::clone(&line);
        tokio::spawn(async move {
            let connected = timeout(patience, connect(address)).await;
            let connected = connected.unwrap_or(Err(NoLine::LATE));
            match connected {
                Ok((send, connection, cork)) => {
                    made.settle(Ok(send));
                    // The connection ends when nobody has it any more.
                    let weak = Arc::downgrade(&made);
                    drop(made);
                    drive(connection, &cork).await;
                    if let Some(line) = weak.upgrade() {
                        line.retired.store(true, Relaxed);
                    }
                }
                Err(error) => made.settle(Err(error)),
            }
        });
        line
    }

    fn settle(&self, made: Result<SendRequest<Bytes>, NoLine>) {
        self.retired.store(made.is_err(), Relaxed);
        self.idle_since.store(self.age(), Relaxed);
        let first = self.made.set(made).is_ok();
        debug_assert!(first, "only its own task settles it");
        self.told.notify_waiters();
    }

    /// Waits until it is made.
    ///
    /// # Errors
    /// It was not.
    async fn wait(&self) -> Result<(), NoLine> {
        let _waiting = Waiting::of(self);
        let mut told = std::pin::pin!(self.told.notified());
        told.as_mut().enable();
        if self.made.get().is_none() {
            told.await;
        }
        match self.made.get() {
            Some(Err(error)) => Err(*error),
            _ => Ok(()),
        }
    }

    /// How many streams it may have; `None` where it takes no request.
    fn room(&self, keep_alive: &UpstreamKeepAlive) -> Option<usize> {
        let Some(Ok(send)) = self.made.get() else {
            return None;
        };
        let requests = self.requests.load(Relaxed);
        let is_spent = requests >= keep_alive.requests
            || self.began.elapsed() >= keep_alive.life
            || requests > 0 && self.is_idle() && self.idle() >= keep_alive.idle;
        if is_spent {
            self.retired.store(true, Relaxed);
        }
        if self.is_retired() {
            return None;
        }
        Some(send.current_max_send_streams().min(MAX_H2_STREAMS))
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    fn is_idle(&self) -> bool {
        self.streams.load(Relaxed) == 0 && self.made.get().is_some()
    }

    /// For how long there has been no stream.
    fn idle(&self) -> Duration {
        if !self.is_idle() {
            return Duration::ZERO;
        }
        Duration::from_millis(self.age().saturating_sub(self.idle_since.load(Relaxed)))
    }

    fn age(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

/// Counts as one who waits.
struct Waiting<'a>(&'a Line);

impl<'a> Waiting<'a> {
    fn of(line: &'a Line) -> Self {
        line.waiting.fetch_add(1, Relaxed);
        Self(line)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl Lease {
    /// Opens the stream.
    ///
    /// # Errors
    /// [`Gone`].
    pub(super) fn open(
        &self,
        request: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), Gone> {
        let Some(Ok(send)) = self.line.made.get() else {
            return Err(Gone);
        };
        send.clone().send_request(request, end).map_err(|_| {
            self.retire();
            Gone
        })
    }

    /// No further request uses the connection.
    pub(super) fn retire(&self) {
        self.line.retired.store(true, Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.line.idle_since.store(self.line.age(), Relaxed);
        self.line.streams.fetch_sub(1, Relaxed);
    }
}

/// Connects, and waits until the endpoint has said how many streams it takes: with
/// more they would be refused, or wait for others without an end.
async fn connect(address: SocketAddr) -> Result<(SendRequest<Bytes>, Connection, Arc<Cork>), NoLine> {
    let failed = |error, connected| NoLine {
        failure: Failure::Upstream(error),
        connected,
    };
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|_| failed(UpstreamError::Connect, false))?;
    // Not worth failing for: it only costs time.
    let _ = stream.set_nodelay(true);
    let cork = Arc::new(Cork::default());
    let handshake = Builder::new()
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(LONGEST_HEAD)
        .enable_push(false)
        .handshake(Corked::new(stream, Arc::clone(&cork)))
        .await;
    let (send, mut connection) = handshake.map_err(|_| failed(UpstreamError::Closed, true))?;
    poll_fn(|cx| match connection.poll_unpin(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err(failed(UpstreamError::Closed, true))),
        Poll::Ready(Err(error)) if error.is_io() => Poll::Ready(Err(failed(UpstreamError::Closed, true))),
        Poll::Ready(Err(_)) => Poll::Ready(Err(failed(UpstreamError::Protocol, true))),
        Poll::Pending if send.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok((send, connection, cork))
}

/// Serves the connection until it ends. What several requests write at the same
/// time leaves together (see `http2.rs`).
async fn drive(mut connection: Connection, cork: &Cork) {
    let ended = poll_fn(|cx| {
        cork.hold();
        loop {
            match connection.poll_unpin(cx) {
                Poll::Pending if cork.release() => {}
                other => return other,
            }
        }
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "HTTP/2 connection to an upstream ended");
    }
}

#[cfg(test)]
mod tests;
