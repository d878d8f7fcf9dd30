//! The sync gate: tells the reconciler when every watch has listed once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::provider::{ProviderEvent, Update};

/// Counts the watches that have not listed yet.
#[derive(Clone)]
pub(super) struct Gate {
    waiting: Arc<AtomicUsize>,
    events: mpsc::Sender<ProviderEvent>,
}

impl Gate {
    pub(super) fn new(events: mpsc::Sender<ProviderEvent>) -> Self {
        Self {
            waiting: Arc::default(),
            events,
        }
    }

    /// One more to wait for. Take it before the one that asks gives its own back.
    pub(super) fn token(&self) -> Token {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Token { gate: self.clone() }
    }
}

/// Somebody that the gate waits for. One that is dropped (its watch was ended)
/// is no longer waited for.
#[must_use]
pub(super) struct Token {
    gate: Gate,
}

impl Token {
    /// This one is in sync. Its own list was sent before, and so was that of
    /// everybody who was here before.
    pub(super) fn done(self) {}
}

impl Drop for Token {
    fn drop(&mut self) {
        // A watch that panicked has not listed: better shut for ever than open
        // to half the objects.
        if std::thread::panicking() || self.gate.waiting.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let events = self.gate.events.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Nobody listens: the end is near anyway.
                let _ = events.send(ProviderEvent::now(Update::Synced)).await;
            });
        }
    }
}
