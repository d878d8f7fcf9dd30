//! What is known of one endpoint, and a request's hold on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidegate_snapshot::ClusterKey;

use super::ejection::Ejection;
use super::hash;
use super::health::Health;
use super::latency::{FAILURE_PENALTY, Latency};
use super::shared::Shared;

/// What the endpoints of a cluster need from around them.
pub(super) struct Scope {
    pub(super) key: ClusterKey,
    pub(super) shared: Arc<Shared>,
}

impl Scope {
    pub(super) fn new(key: ClusterKey, shared: &Arc<Shared>) -> Self {
        Self {
            key,
            shared: Arc::clone(shared),
        }
    }

    /// Milliseconds of the shared clock.
    pub(super) fn now(&self) -> u64 {
        self.shared.clock.now()
    }
}

/// One address of a cluster with what was learnt about it. Kept, by address,
/// when the cluster's endpoints change.
pub struct EndpointState {
    address: SocketAddr,
    /// See [`EndpointState::tag`].
    tag: u64,
    scope: Arc<Scope>,
    in_flight: AtomicU32,
    pub(super) latency: Latency,
    pub(super) ejection: Ejection,
    pub(super) health: Health,
}

impl EndpointState {
    pub(super) fn new(address: SocketAddr, scope: &Arc<Scope>, latency: f32) -> Self {
        Self {
            address,
            tag: hash::text(format!("{} {address}", scope.key).as_bytes()),
            scope: Arc::clone(scope),
            in_flight: AtomicU32::new(0),
            latency: Latency::new(latency, scope.now()),
            ejection: Ejection::default(),
            health: Health::default(),
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Names it in affinity cookies: the same on all replicas, and another one
    /// in another cluster.
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// Requests under way to it from this gateway.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether checks and ejection allow it. An endpoint whose ejection has run
    /// out counts: it may take a probe.
    pub(super) fn usable(&self, scope: &Scope) -> bool {
        self.health.is_healthy() && self.ejection.allows(|| scope.now())
    }

    /// Lets a request through that [`EndpointState::usable`] allowed: of several
    /// that meet an ejection's end only one gets `true` and is the probe.
    pub(super) fn admit(&self, scope: &Scope) -> bool {
        self.ejection.admit(|| scope.now())
    }
}

/// How a request to an endpoint failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: refused, unreachable, not in time, or TLS failed. Nothing
    /// of the request was sent. The only kind that counts for ejection.
    Connect,
    /// Connected, but no answer in time.
    Timeout,
    /// The connection broke, or what came is not HTTP.
    Broken,
    /// An answer with a status that the route tries again on.
    Status,
}

/// An endpoint chosen for one try of one request; counts as in flight until it
/// is dropped.
pub struct Pick(Arc<EndpointState>);

impl Pick {
    pub(super) fn new(endpoint: Arc<EndpointState>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(endpoint)
    }

    /// Where the request goes.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The endpoint behind it.
    pub fn endpoint(&self) -> &EndpointState {
        &self.0
    }

    /// The endpoint answered; `latency` is the time from sending the request to
    /// the answer's head. Ends an ejection and resets its count.
    pub fn succeeded(&self, latency: Duration) {
        let scope = &self.0.scope;
        self.0.latency.observe(latency, scope.now());
        if self.0.ejection.succeeded() {
            tracing::info!(cluster = %scope.key, endpoint = %self.0.address, "endpoint readmitted");
        }
    }

    /// The try failed. [`FailureKind::Connect`] counts toward ejection; all
    /// kinds make the endpoint look slow to latency-based balancing, or one
    /// that fails fast would draw all the traffic.
    pub fn failed(&self, kind: FailureKind) {
        let scope = &self.0.scope;
        let now = scope.now();
        self.0.latency.observe(FAILURE_PENALTY, now);
        if kind != FailureKind::Connect {
            return;
        }
        if let Some(time) = self.0.ejection.connect_failed(now) {
            scope.shared.counters.ejections.increment();
            tracing::warn!(
                cluster = %scope.key,
                endpoint = %self.0.address,
                seconds = time.as_secs(),
                "endpoint ejected"
            );
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
