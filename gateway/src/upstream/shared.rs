//! What all clusters share: a clock, counters, and the two tasks that work for
//! them in the background.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::dns::{Resolve, SystemResolver};
use super::rounds::Rounds;
use super::{dns, health};

/// Shared by all live clusters; one for a process.
pub struct Shared {
    /// Time, for ejection and latency.
    pub clock: Clock,
    /// What happened, for metrics.
    pub counters: Counters,
    /// Clusters with active checks.
    pub(super) checks: Rounds,
    /// Clusters with a DNS name.
    pub(super) names: Rounds,
    resolver: Arc<dyn Resolve>,
}

impl Shared {
    /// With the system's clock and resolver.
    pub fn new() -> Arc<Self> {
        Self::with(Clock::monotonic(), Arc::new(SystemResolver::default()))
    }

    /// With this clock and resolver, for tests and tools.
    pub fn with(clock: Clock, resolver: Arc<dyn Resolve>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            counters: Counters::default(),
            checks: Rounds::default(),
            names: Rounds::default(),
            resolver,
        })
    }

    /// Runs active checks and resolves DNS names for as long as it is polled:
    /// one task for all clusters, asleep while none asks for either. Call it
    /// once, on a tokio runtime; drop the future to stop.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(
            health::run(&self.checks, &self.counters),
            dns::run(&self.names, &*self.resolver, &self.counters),
        );
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Milliseconds since some moment before the start; never 0 and never back.
#[derive(Debug)]
pub struct Clock(Source);

#[derive(Debug)]
enum Source {
    Monotonic(Instant),
    Manual(AtomicU64),
}

impl Clock {
    /// The system's monotonic clock.
    pub fn monotonic() -> Self {
        Self(Source::Monotonic(Instant::now()))
    }

    /// One that stands still until [`Clock::advance`].
    pub fn manual() -> Self {
        Self(Source::Manual(AtomicU64::new(1)))
    }

    /// Moves a manual clock on; of no effect on the system's.
    pub fn advance(&self, time: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
        }
    }

    pub(super) fn now(&self) -> u64 {
        match &self.0 {
            Source::Monotonic(start) => start.elapsed().as_millis() as u64 + 1,
            Source::Manual(now) => now.load(Ordering::Relaxed),
        }
    }
}

/// A number that only goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Its value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts over all clusters since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Passive ejections, renewed ones included.
    pub ejections: Counter,
    /// Requests sent to an endpoint that should not be used, because no other
    /// was left.
    pub panic_picks: Counter,
    /// Active checks that passed.
    pub checks_passed: Counter,
    /// Active checks that failed.
    pub checks_failed: Counter,
    /// Endpoints that active checks found unhealthy.
    pub became_unhealthy: Counter,
    /// Endpoints that active checks found healthy again.
    pub became_healthy: Counter,
    /// DNS names resolved.
    pub names_resolved: Counter,
    /// DNS names that could not be resolved.
    pub names_failed: Counter,
}
