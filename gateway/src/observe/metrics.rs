//! Prometheus metrics on an owned registry.

/// Metric handles of one Ingress and Service, resolved when the snapshot is
/// compiled (the series themselves are made at the first request).
#[derive(Default)]
pub struct RouteMetrics {}
