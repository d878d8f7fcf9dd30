//! Holds back what is written to a stream while more is about to be.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

const OPEN: u8 = 0;
/// Flushing waits.
const HELD: u8 = 1;
/// Flushing waits, and somebody wanted it.
const WANTED: u8 = 2;

/// Used by the one task that serves a connection, and by the stream inside of
/// what it polls there; an atomic only because tasks move between threads.
#[derive(Debug, Default)]
pub(crate) struct Cork(AtomicU8);

impl Cork {
    /// From now on flushing waits.
    pub(crate) fn hold(&self) {
        self.0.store(HELD, Relaxed);
    }

    /// From now on flushing does not wait. Returns whether it has: then the
    /// stream needs to be flushed.
    pub(crate) fn release(&self) -> bool {
        let before = self.0.load(Relaxed);
        self.0.store(OPEN, Relaxed);
        before == WANTED
    }

    /// Whether what is written is held back.
    pub(crate) fn is_held(&self) -> bool {
        self.0.load(Relaxed) != OPEN
    }

    /// Asks to flush; returns whether that has to wait.
    pub(crate) fn defers_flush(&self) -> bool {
        let held = self.is_held();
        if held {
            self.0.store(WANTED, Relaxed);
        }
        held
    }
}
