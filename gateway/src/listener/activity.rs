//! What a connection is waiting for, and until when.
//!
//! One state word per connection is written by its setup, its stream and its
//! requests; one future per connection ([`Activity::expired`]) watches it beside
//! the work. No timer is touched per request: the watcher's timer is only moved
//! when the deadline came closer, and looks again when it fires.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tidegate_snapshot::HttpSettings;
use tokio::time::{Instant, sleep_until};

use super::counters::{Counters, count};
use super::drain::{DrainSignal, Level};

/// What a connection without a request in flight waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The rest of a PROXY protocol header.
    ProxyHeader,
    /// The rest of the TLS handshake.
    Handshake,
    /// The first byte of the first request.
    FirstByte,
    /// The rest of a request's head.
    Head,
    /// HTTP/2: the first request.
    FirstStream,
    /// The next request, HTTP/1.
    Idle,
    /// The next request, HTTP/2.
    IdleStreams,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::ProxyHeader,
        Self::Handshake,
        Self::FirstByte,
        Self::Head,
        Self::FirstStream,
        Self::Idle,
        Self::IdleStreams,
    ];
    const BITS: u32 = 3;

    fn of(state: u64) -> Self {
        Self::ALL[(state & ((1 << Self::BITS) - 1)) as usize % Self::ALL.len()]
    }
}

/// Why a connection is to be closed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The client took too long.
    Timeout(Phase),
    /// Nothing is in flight, and idle connections are being closed.
    Drained,
    /// The time for draining is over.
    CutOff,
}

/// While requests are in flight the watcher looks again after this time: a
/// request of HTTP/2 ends in another task, which does not wake the watcher.
const BUSY_RECHECK: Duration = Duration::from_secs(5);
/// The same while idle connections are being closed.
const CLOSING_RECHECK: Duration = Duration::from_millis(100);

pub(super) struct Activity {
    since: Instant,
    /// Milliseconds after `since` at which the phase times out, then the phase.
    state: AtomicU64,
    requests: AtomicU32,
    lingers: AtomicBool,
    header_timeout: Duration,
    keep_alive: Duration,
    counters: Arc<Counters>,
}

impl Activity {
    /// Starts in [`Phase::ProxyHeader`] with this time.
    pub(super) fn new(http: &HttpSettings, timeout: Duration, counters: Arc<Counters>) -> Self {
        let activity = Self {
            since: Instant::now(),
            state: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            lingers: AtomicBool::new(false),
            header_timeout: http.header_timeout,
            keep_alive: http.keep_alive,
            counters,
        };
        activity.enter(Phase::ProxyHeader, timeout);
        activity
    }

    /// When the connection was accepted.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Waits for something else from now on, for at most `timeout`.
    pub(super) fn enter(&self, phase: Phase, timeout: Duration) {
        let deadline = self.since.elapsed().saturating_add(timeout).as_millis();
        let deadline = u64::try_from(deadline)
            .unwrap_or(u64::MAX)
            .min(u64::MAX >> Phase::BITS);
        self.state
            .store(deadline << Phase::BITS | phase as u64, Ordering::Release);
    }

    /// The first request of HTTP/1 is awaited.
    pub(super) fn await_first_byte(&self) {
        self.enter(Phase::FirstByte, self.header_timeout);
    }

    /// The client sent bytes of HTTP. A head's time runs from its first byte;
    /// the first one's from the moment that it was awaited (nginx
    /// `client_header_timeout`).
    pub(super) fn bytes_read(&self) {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return;
        }
        let state = self.state.load(Ordering::Relaxed);
        match Phase::of(state) {
            Phase::FirstByte => {
                let deadline = state >> Phase::BITS << Phase::BITS;
                self.state.store(deadline | Phase::Head as u64, Ordering::Release);
            }
            Phase::Idle => self.enter(Phase::Head, self.header_timeout),
            _ => {}
        }
    }

    /// See [`super::Connection::linger`].
    pub(super) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// Whether a request is in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    fn request_finished(&self) {
        let idle = match Phase::of(self.state.load(Ordering::Relaxed)) {
            Phase::FirstStream | Phase::IdleStreams => Phase::IdleStreams,
            _ => Phase::Idle,
        };
        // Before the count goes down: whoever sees none in flight must see the
        // new deadline.
        self.enter(idle, self.keep_alive);
        self.requests.fetch_sub(1, Ordering::Release);
        count(&self.counters.requests_finished);
    }

    /// Resolves when the connection is to be closed. It must be polled whenever
    /// the connection's own task is, as `select!` does.
    pub(super) async fn expired(&self, drain: &DrainSignal) -> Expired {
        let mut armed = self.deadline();
        let mut sleep = pin!(sleep_until(self.instant(armed)));
        let mut sleep_registered = false;
        let mut seen = None;
        let mut left = pin!(drain.left(Level::Open));
        poll_fn(|cx| {
            loop {
                let level = drain.level();
                if seen != Some(level) {
                    // A task keeps its waker for life: registering once per
                    // level is enough and saves a lock per poll.
                    left.set(drain.left(level));
                    seen = Some(level);
                    let _ = left.as_mut().poll(cx);
                    if level == Level::CloseIdle {
                        // The last request of HTTP/2 may end unnoticed.
                        armed = armed.min(self.now() + CLOSING_RECHECK.as_millis() as u64);
                        sleep.as_mut().reset(self.instant(armed));
                        sleep_registered = false;
                    }
                    continue;
                }
                let busy = self.requests.load(Ordering::Acquire) > 0;
                let state = self.state.load(Ordering::Acquire);
                match level {
                    Level::CutOff => return Poll::Ready(Expired::CutOff),
                    Level::CloseIdle if !busy && Phase::of(state) != Phase::Head => {
                        return Poll::Ready(Expired::Drained);
                    }
                    _ => {}
                }
                if !busy && state >> Phase::BITS < armed {
                    armed = state >> Phase::BITS;
                    sleep.as_mut().reset(self.instant(armed));
                    sleep_registered = false;
                }
                if sleep_registered && !sleep.is_elapsed() {
                    return Poll::Pending;
                }
                if sleep.as_mut().poll(cx).is_pending() {
                    sleep_registered = true;
                    return Poll::Pending;
                }
                let now = self.now();
                if !busy && state >> Phase::BITS <= now {
                    return Poll::Ready(Expired::Timeout(Phase::of(state)));
                }
                armed = if busy {
                    now + recheck(level).as_millis() as u64
                } else {
                    state >> Phase::BITS
                };
                sleep.as_mut().reset(self.instant(armed));
                sleep_registered = false;
            }
        })
        .await
    }

    /// Milliseconds since the connection was accepted.
    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn deadline(&self) -> u64 {
        self.state.load(Ordering::Acquire) >> Phase::BITS
    }

    fn instant(&self, deadline: u64) -> Instant {
        /// Stands for "never": the clock cannot count arbitrarily far.
        const FAR: u64 = 365 * 24 * 3600 * 1000;
        self.since + Duration::from_millis(deadline.min(FAR))
    }
}

fn recheck(level: Level) -> Duration {
    if level == Level::CloseIdle {
        CLOSING_RECHECK
    } else {
        BUSY_RECHECK
    }
}

/// A request in flight; see [`super::Connection::request_started`].
pub struct InFlight(Arc<Activity>);

impl InFlight {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::AcqRel);
        count(&activity.counters.requests_started);
        Self(Arc::clone(activity))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.request_finished();
    }
}
