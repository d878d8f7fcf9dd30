//! The compiled form of a snapshot: what requests are served from.
//!
//! `compile(previous, snapshot)` cannot fail; it keeps live clusters (pools,
//! health, balancer state) by key when their wanted value is equal, and whole
//! tables and hosts by pointer equality.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_snapshot::{ClusterKey, Snapshot};

use crate::router::Hosts;
use crate::tls::Certificates;
use crate::upstream::Cluster;

/// Everything compiled from one snapshot.
#[derive(Default)]
pub struct Runtime {
    /// The publication that it was compiled from.
    pub generation: u64,
    /// The snapshot itself, for dumps and for the next compilation.
    pub snapshot: Arc<Snapshot>,
    /// Compiled routing tables by name.
    pub tables: HashMap<Arc<str>, Arc<Table>>,
    /// Live clusters by key.
    pub clusters: HashMap<ClusterKey, Arc<Cluster>>,
}

/// One compiled routing table: what a listener serves.
#[derive(Default)]
pub struct Table {
    /// Host and path lookup.
    pub hosts: Hosts,
    /// The certificate for a server name.
    pub certificates: Certificates,
}
