//! Prometheus metrics on an owned registry: nothing global, so that tests can
//! assert on them. Counters of the request path are plain atomics that a
//! collector reads at scrape time.

mod budget;
mod callback;
mod connections;
mod family;
mod gateway;
mod histogram;
mod index;
mod nginx;
mod options;
mod process;
mod route;
mod sample;
mod series;

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Registry, TextEncoder};

use crate::observe::access_log::AccessLog;
use crate::observe::spans;
use crate::tls::ocsp;
use crate::{listener, upstream};

use budget::Budget;

pub use family::Family;
pub use gateway::{Applied, CertificateExpiry};
pub use histogram::{Bounds, Histogram};
pub use nginx::{AdmissionChecks, CheckedIngress, Orphan};
pub use options::{NginxOptions, Options};
pub use route::{Place, RouteLabels, RouteMetrics};
pub use sample::{Sample, UpstreamError, Verb};

/// The content type of [`Metrics::encode`]'s text.
pub const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    routes: Arc<series::Shared>,
    /// `None`: only our own names.
    nginx: Option<Arc<nginx::Shared>>,
    unmatched: RouteMetrics,
    gateway: Arc<gateway::State>,
}

impl Metrics {
    /// An empty set with the default options.
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    /// An empty set, with the collectors that need nothing else.
    pub fn with(options: Options) -> Self {
        let budget = Arc::new(Budget::new(options.series_cap));
        let routes = series::Shared::new(budget.clone(), options.clone());
        let nginx = options
            .nginx
            .clone()
            .map(|nginx| nginx::Shared::new(budget.clone(), &options, nginx));
        let metrics = Self {
            registry: Registry::new(),
            unmatched: RouteMetrics {
                series: routes.series(RouteLabels::default()),
                nginx: nginx.as_ref().and_then(nginx::Shared::unmatched),
            },
            routes: routes.clone(),
            nginx: nginx.clone(),
            gateway: Arc::default(),
        };
        metrics.register(Box::new(series::Collection::new(routes)));
        metrics.register(Box::new(gateway::Collection::new(metrics.gateway.clone())));
        metrics.register(Box::new(process::Collection::new()));
        metrics.collect(move || budget.families());
        if let Some(nginx) = nginx {
            let (identity, state) = (nginx.identity().clone(), metrics.gateway.clone());
            metrics.collect(move || state.nginx(&identity));
            metrics.register(Box::new(nginx::Collection::new(nginx)));
        }
        metrics
    }

    /// The handle for requests of an Ingress (or route) to a Service. Equal
    /// labels share series, which disappear with their last holder. `place` is
    /// asked only where ingress-nginx's metrics are served.
    pub fn route(&self, labels: RouteLabels, place: impl FnOnce() -> Place) -> RouteMetrics {
        RouteMetrics {
            nginx: self
                .nginx
                .as_ref()
                .and_then(|nginx| nginx.route(&labels, place())),
            series: self.routes.series(labels),
        }
    }

    /// The handle for requests that no route answers: all labels empty.
    pub fn unmatched(&self) -> RouteMetrics {
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
        if let Some(identity) = self.identity() {
            let (counters, started) = (counters.clone(), process::now());
            self.collect(move || nginx::process(&identity, &counters, started));
        }
        self.collect(move || connections::listeners(&counters));
    }

    /// Shows what is served, under ingress-nginx's names: `read` gives a number
    /// that stands for it, and the Ingresses that have nowhere to send requests
    /// to. It is called for each scrape.
    pub fn show_configuration(&self, read: impl Fn() -> (u64, Vec<Orphan>) + Send + Sync + 'static) {
        let Some(identity) = self.identity() else { return };
        let state = self.gateway.clone();
        self.collect(move || {
            let (hash, orphans) = read();
            let mut families = state.configuration(&identity, hash);
            families.push(nginx::orphans(&identity, orphans));
            families
        });
    }

    /// Shows whether this replica holds the Lease of that name, under
    /// ingress-nginx's name.
    pub fn show_leader(&self, lease: String, leads: impl Fn() -> bool + Send + Sync + 'static) {
        if let Some(identity) = self.identity() {
            self.collect(move || vec![nginx::leader(&identity, &lease, leads())]);
        }
    }

    /// Shows what the admission webhook did, under ingress-nginx's names.
    pub fn show_admission(&self, checks: impl Fn() -> AdmissionChecks + Send + Sync + 'static) {
        if let Some(identity) = self.identity() {
            self.collect(move || nginx::admission(&identity, &checks()));
        }
    }

    /// Who this is, for ingress-nginx's names; `None` where they are not served.
    fn identity(&self) -> Option<Arc<nginx::Identity>> {
        self.nginx.as_ref().map(|nginx| nginx.identity().clone())
    }

    /// Shows the counters of clusters.
    pub fn show_upstreams(&self, shared: Arc<upstream::Shared>) {
        self.collect(move || connections::upstreams(&shared.counters));
    }

    /// Shows how many lines an access log dropped.
    pub fn show_access_log(&self, log: Arc<AccessLog>) {
        self.collect(move || connections::access_log(&log));
    }

    /// Shows what became of spans.
    pub fn show_spans(&self, counters: Arc<spans::Counters>) {
        self.collect(move || connections::spans(&counters));
    }

    /// Shows what became of questions to OCSP responders.
    pub fn show_ocsp(&self, counters: Arc<ocsp::Counters>) {
        self.collect(move || connections::ocsp(&counters));
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
pub(crate) mod tests;
