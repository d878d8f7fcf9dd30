//! Prometheus metrics on an owned registry: nothing global, so that tests can
//! assert on them. Counters of the request path are plain atomics that a
//! collector reads at scrape time.

mod callback;
mod connections;
mod family;
mod gateway;
mod histogram;
mod process;
mod route;

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Registry, TextEncoder};

use crate::observe::access_log::AccessLog;
use crate::{listener, upstream};

pub use family::Family;
pub use gateway::{Applied, CertificateExpiry};
pub use histogram::Histogram;
pub use route::{RouteLabels, RouteMetrics, Sample, UpstreamError};

/// The content type of [`Metrics::encode`]'s text.
pub const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    routes: Arc<route::Index>,
    unmatched: Arc<RouteMetrics>,
    gateway: Arc<gateway::State>,
}

impl Metrics {
    /// An empty set, with the collectors that need nothing else.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::new(),
            routes: Arc::default(),
            unmatched: Arc::default(),
            gateway: Arc::default(),
        };
        let routes = route::Collection::new(metrics.routes.clone(), metrics.unmatched.clone());
        metrics.register(Box::new(routes));
        metrics.register(Box::new(gateway::Collection::new(metrics.gateway.clone())));
        metrics.register(Box::new(process::Collection::new()));
        metrics
    }

    /// The handle for requests of an Ingress (or route) to a Service. Equal
    /// labels share a handle; its series disappear with its last holder.
    pub fn route(&self, labels: RouteLabels) -> Arc<RouteMetrics> {
        self.routes.handle(labels)
    }

    /// The handle for requests that no route answers: all labels empty.
    pub fn unmatched(&self) -> Arc<RouteMetrics> {
        self.unmatched.clone()
    }

    /// Notes that a publication is served from now on.
    pub fn applied(&self, applied: &Applied) {
        self.gateway.applied(applied);
    }

    /// Replaces the certificates whose expiry is shown.
    pub fn certificates(&self, certificates: Vec<CertificateExpiry>) {
        self.gateway.certificates(certificates);
    }

    /// Where others register what they count, for example the controller.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Shows the counters of listeners.
    pub fn show_listeners(&self, counters: Arc<listener::Counters>) {
        self.collect(move || connections::listeners(&counters));
    }

    /// Shows the counters of clusters.
    pub fn show_upstreams(&self, shared: Arc<upstream::Shared>) {
        self.collect(move || connections::upstreams(&shared.counters));
    }

    /// Shows how many lines an access log dropped.
    pub fn show_access_log(&self, log: Arc<AccessLog>) {
        self.collect(move || connections::access_log(&log));
    }

    /// Adds families that a function fills when asked. They must always be the
    /// same ones.
    pub fn collect(&self, read: impl Fn() -> Vec<Family> + Send + Sync + 'static) {
        self.register(Box::new(callback::Callback::new(read)));
    }

    /// Adds what another part counts by itself.
    ///
    /// A collector whose metric names clash with registered ones is a mistake
    /// of the program: it is logged and left out.
    pub fn register(&self, collector: Box<dyn Collector>) {
        if let Err(error) = self.registry.register(collector) {
            tracing::error!(%error, "metrics collector not registered");
        }
    }

    /// Everything in the Prometheus text format ([`TEXT_FORMAT`]).
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics not encoded");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Nanoseconds; 584 years are enough.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
