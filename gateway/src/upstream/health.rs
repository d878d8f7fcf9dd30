//! Active health checks of all clusters that ask for them, in one task.
//!
//! A round checks every endpoint of one cluster. Verdicts are atomics of the endpoints themselves: they are kept by
//! address and change what is eligible without publishing anything.

mod probe;

use std::sync::OnceLock;
use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use rand::Rng;
use tidegate_snapshot::HealthCheck;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::probe::Probes;
use super::cluster::Cluster;
use super::endpoint::EndpointState;
use super::rounds::{Round, Rounds};
use super::shared::Counters;

/// Checks under way at once, over all clusters.
const MAX_CONCURRENT_CHECKS: usize = 64;

/// How far a round may come early or late, as a share of the interval: replicas
/// and clusters that start together must not check together for ever.
const JITTER: f64 = 0.1;

/// The active verdict on one endpoint: healthy until found otherwise, because
/// Kubernetes says so.
#[derive(Default)]
pub(super) struct Health {
    unhealthy: AtomicBool,
    /// Checks in a row that contradict the verdict.
    contradictions: AtomicU32,
}

impl Health {
    pub(super) fn is_healthy(&self) -> bool {
        !self.unhealthy.load(Relaxed)
    }

    /// Back to the start, for another kind of check.
    pub(super) fn forget(&self) {
        self.unhealthy.store(false, Relaxed);
        self.contradictions.store(0, Relaxed);
    }

    #[cfg(test)]
    pub(super) fn set(&self, healthy: bool) {
        self.unhealthy.store(!healthy, Relaxed);
    }

    /// Takes a check's result in; `true` if the verdict changes. Only the one
    /// task calls this.
    fn observe(&self, passed: bool, threshold: u16) -> bool {
        if passed == self.is_healthy() {
            self.contradictions.store(0, Relaxed);
            return false;
        }
        let contradictions = self.contradictions.load(Relaxed) + 1;
        let flips = contradictions >= u32::from(threshold);
        self.contradictions
            .store(if flips { 0 } else { contradictions }, Relaxed);
        if flips {
            self.unhealthy.store(!passed, Relaxed);
        }
        flips
    }
}

/// The checks of every cluster that wants them; never ends.
pub(super) async fn run(rounds: &Rounds, counters: &Counters) {
    let permits = Semaphore::new(MAX_CONCURRENT_CHECKS);
    // Made with the first check: it reads the system's certificates.
    let probes = OnceLock::new();
    let first = |cluster: &Cluster| {
        let interval = cluster
            .spec
            .health_check
            .as_ref()
            .map_or(Duration::ZERO, |check| check.interval);
        Instant::now() + interval.mul_f64(random_share())
    };
    rounds
        .run(first, |cluster, _| {
            check_all(cluster, &probes, &permits, counters)
        })
        .await;
}

/// One round; answers with the next one, or `None` when the cluster is gone.
async fn check_all(
    watched: Weak<Cluster>,
    probes: &OnceLock<Probes>,
    permits: &Semaphore,
    counters: &Counters,
) -> Option<Round> {
    let start = Instant::now();
    let cluster = watched.upgrade()?;
    let check = cluster.spec.health_check.clone()?;
    let probes = probes.get_or_init(Probes::default);
    let set = cluster.endpoints();
    stream::iter(set.endpoints.iter())
        .for_each_concurrent(None, |endpoint| {
            let (cluster, check) = (&cluster, &check);
            async move {
                let Ok(_permit) = permits.acquire().await else {
                    return;
                };
                let result = probes.check(cluster, check, endpoint.address()).await;
                record(cluster, check, endpoint, result, counters);
            }
        })
        .await;
    let wait = check
        .interval
        .mul_f64(1.0 - JITTER + 2.0 * JITTER * random_share());
    Some(Round {
        due: start + wait,
        cluster: watched,
        failures: 0,
    })
}

fn random_share() -> f64 {
    rand::rng().random_range(0.0..1.0)
}

fn record(
    cluster: &Cluster,
    check: &HealthCheck,
    endpoint: &EndpointState,
    result: Result<(), probe::CheckError>,
    counters: &Counters,
) {
    let passed = result.is_ok();
    let (counter, threshold) = if passed {
        (&counters.checks_passed, check.healthy_threshold)
    } else {
        (&counters.checks_failed, check.unhealthy_threshold)
    };
    counter.increment();
    if !endpoint.health.observe(passed, threshold) {
        return;
    }
    let (key, address) = (cluster.key(), endpoint.address());
    match result {
        Ok(()) => {
            counters.became_healthy.increment();
            tracing::info!(cluster = %key, endpoint = %address, "endpoint healthy");
        }
        Err(error) => {
            counters.became_unhealthy.increment();
            tracing::warn!(cluster = %key, endpoint = %address, %error, "endpoint unhealthy");
        }
    }
}

#[cfg(test)]
mod tests;
