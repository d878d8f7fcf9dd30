//! What the integration tests share: an upstream that tells what it saw, a
//! client that shows exact bytes, and builders for snapshots.
//!
//! Everything is on loopback, and every wait is bounded by [`PATIENCE`].

// Each test program uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

pub mod client;
pub mod early_data;
pub mod mmdb;
pub mod secret;
pub mod snapshot;
pub mod tls;
pub mod trust_all;
pub mod upstream;

use std::time::Duration;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
