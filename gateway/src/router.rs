//! Host, path and matcher lookup over compiled virtual hosts.

use std::sync::Arc;

use tidegate_snapshot as snapshot;

use crate::observe::metrics::RouteMetrics;
use crate::upstream::Cluster;

/// The compiled virtual hosts of one table.
#[derive(Default)]
pub struct Hosts {}

/// A compiled route; a request holds an `Arc` of it from lookup to logging.
pub struct Route {
    /// The route as the snapshot has it.
    pub spec: Arc<snapshot::Route>,
    /// What it forwards to; empty unless its action forwards.
    pub targets: Box<[Target]>,
}

/// One share of a route's traffic split.
pub struct Target {
    /// The live cluster; `None` when the snapshot does not define it (503).
    pub cluster: Option<Arc<Cluster>>,
    /// Its key, for logs also when there is no such cluster.
    pub key: snapshot::ClusterKey,
    /// Its share of the sum.
    pub weight: u32,
    /// Metric handles for this Ingress and Service.
    pub metrics: Arc<RouteMetrics>,
}
