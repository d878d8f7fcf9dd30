//! Live clusters: endpoints, load balancing, health, ejection, peers.

use std::sync::Arc;

use tidegate_snapshot as snapshot;

/// A cluster with its state, kept across snapshots while its wanted value is
/// equal.
pub struct Cluster {
    /// The wanted value.
    pub spec: Arc<snapshot::Cluster>,
}
