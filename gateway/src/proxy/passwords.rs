//! Verifying passwords away from the event loop.

use std::num::NonZeroUsize;

use tokio::sync::Semaphore;

use crate::policy::{Verification, Verified};

/// Verifies passwords; one for a proxy.
pub(super) struct Passwords {
    /// `None`: every time anew.
    verified: Option<Verified>,
    /// So that guessing cannot take every processor.
    permits: Semaphore,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            verified: Verified::new(),
            permits: Semaphore::new(processors.div_ceil(2)),
        }
    }

    /// Whether the password is right.
    pub(super) async fn verify(&self, verification: Verification) -> bool {
        let ticket = self
            .verified
            .as_ref()
            .map(|verified| (verified, verified.ticket(&verification)));
        let known = || ticket.and_then(|(verified, ticket)| verified.outcome(ticket));
        if let Some(outcome) = known() {
            return outcome;
        }
        let Ok(_permit) = self.permits.acquire().await else {
            return false;
        };
        // The same credentials may have been verified while this one waited.
        if let Some(outcome) = known() {
            return outcome;
        }
        let outcome = tokio::task::spawn_blocking(move || verification.run())
            .await
            .unwrap_or(false);
        if let Some((verified, ticket)) = ticket {
            verified.remember(ticket, outcome);
        }
        outcome
    }
}
