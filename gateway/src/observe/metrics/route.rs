//! Handles for the metrics of requests. A compiled route holds one; counting is
//! atomic additions without a lookup. Label values come from objects, never from
//! requests, so clients cannot make series.

use std::sync::Arc;

use super::nginx;
use super::sample::{Sample, UpstreamError};
use super::series::Series;

/// Whose requests are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteLabels {
    /// Namespace of the Ingress.
    pub namespace: Arc<str>,
    /// Name of the Ingress.
    pub ingress: Arc<str>,
    /// Name of the Service; empty when the route answers by itself.
    pub service: Arc<str>,
    /// Port of the Service as the Ingress names it.
    pub port: Arc<str>,
}

/// What ingress-nginx's metrics tell apart besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The host of the rule; `_` for rules without one.
    pub host: Arc<str>,
    /// The path of the rule.
    pub path: Arc<str>,
    /// The rule's Service, also where a canary is chosen.
    pub service: Arc<str>,
    /// The canary's name, if it is chosen.
    pub canary: Arc<str>,
}

/// Metric handles of one target of a route, resolved when the snapshot is
/// compiled. Series are made at the first request.
#[derive(Clone)]
pub struct RouteMetrics {
    pub(super) series: Arc<Series>,
    pub(super) nginx: Option<Arc<nginx::Route>>,
}

impl RouteMetrics {
    /// Counts a finished request.
    pub fn observe(&self, sample: &Sample) {
        self.series.observe(sample);
        if let Some(nginx) = &self.nginx {
            nginx.observe(sample);
        }
    }

    /// Counts a failed attempt; a request may have several.
    pub fn upstream_error(&self, error: UpstreamError) {
        self.series.upstream_error(error);
    }

    /// Who is counted.
    pub fn labels(&self) -> &RouteLabels {
        self.series.labels()
    }
}
