//! How a snapshot travels from the controller to the gateway.

use std::sync::Arc;
use std::time::Instant;

use crate::{ClusterKey, Snapshot};

/// A snapshot and what is new in it.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Counts up by one with each publication.
    pub generation: u64,
    /// The whole state.
    pub snapshot: Arc<Snapshot>,
    /// What differs from the publication before.
    pub changed: Changed,
    /// When the oldest event in it reached the process: the start of
    /// "propagation time".
    pub event: Instant,
}

/// What a publication changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Anything.
    Everything,
    /// Only the endpoints of these clusters: the commonest change, applied at a
    /// cost that does not depend on the size of the table.
    Endpoints(Vec<ClusterKey>),
}
