//! Ending connections without losing requests.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use pingora_core::server::ShutdownWatch;
use tokio::sync::{Notify, futures::Notified, watch};

/// How a process ends its connections; see [`super::Listeners::drain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long new connections are still accepted, while the cluster learns
    /// that this process leaves. Answers already ask clients to close.
    pub delay: Duration,
    /// How long idle connections may then still send a last request.
    pub idle: Duration,
    /// How long requests in flight may then take, `idle` included.
    pub grace: Duration,
}

impl Drain {
    /// A sensible [`Drain::idle`].
    pub const IDLE: Duration = Duration::from_secs(2);
}

/// How far a listener is on its way out. The order matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Level {
    /// It serves.
    Open,
    /// Answers ask clients to close.
    Draining,
    /// Connections without a request are closed.
    CloseIdle,
    /// All are closed.
    CutOff,
}

/// Tells the connections of one listener how far it is.
pub(super) struct DrainSignal {
    level: AtomicU8,
    /// One for leaving each level: with one for all, who sees a new level and
    /// then waits for the next could be woken by the former's late notice, and
    /// sleep through the latter's.
    left: [Notify; 3],
    sender: watch::Sender<bool>,
    /// Never marked as seen, so that a connection that starts while the
    /// listener drains is told so by its first `changed()`.
    receiver: ShutdownWatch,
}

impl DrainSignal {
    pub(super) fn new() -> Self {
        let (sender, receiver) = watch::channel(false);
        Self {
            level: AtomicU8::new(Level::Open as u8),
            left: Default::default(),
            sender,
            receiver,
        }
    }

    /// Goes on to `level`; never back.
    pub(super) fn raise(&self, level: Level) {
        if self.level.fetch_max(level as u8, Ordering::SeqCst) >= level as u8 {
            return;
        }
        self.sender
            .send_if_modified(|draining| !std::mem::replace(draining, true));
        for left in &self.left[..level as usize] {
            left.notify_waiters();
        }
    }

    pub(super) fn level(&self) -> Level {
        match self.level.load(Ordering::SeqCst) {
            0 => Level::Open,
            1 => Level::Draining,
            2 => Level::CloseIdle,
            _ => Level::CutOff,
        }
    }

    pub(super) fn draining(&self) -> bool {
        self.level() >= Level::Draining
    }

    /// Resolves when a listener at `level` goes on. At the last one nothing
    /// more changes.
    pub(super) fn left(&self, level: Level) -> Notified<'_> {
        self.left[(level as usize).min(2)].notified()
    }

    /// What Pingora watches.
    pub(super) fn shutdown_watch(&self) -> ShutdownWatch {
        self.receiver.clone()
    }
}
