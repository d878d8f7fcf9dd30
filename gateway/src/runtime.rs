//! The compiled form of a snapshot: what requests are served from.
//!
//! [`compile`] cannot fail; it keeps live clusters (pools, health, balancer
//! state) by key when their wanted value is equal, and whole tables and hosts
//! by pointer equality. A [`Runtime`] never changes; only the endpoints inside
//! of its live clusters do.

mod retirement;

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_snapshot::{Changed, ClusterKey, Publication, Snapshot};

use crate::observe::metrics::Metrics;
use crate::router::{Hosts, Links, Streams};
use crate::tls::Certificates;
use crate::upstream;
use crate::upstream::Cluster;

pub use retirement::Retirement;

/// Live clusters by key.
pub type Clusters = HashMap<ClusterKey, Arc<Cluster>>;

/// What live objects are made with; one for a process.
pub struct Parts {
    /// Where routes get their metric handles.
    pub metrics: Arc<Metrics>,
    /// What all clusters share.
    pub upstream: Arc<upstream::Shared>,
}

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
    pub clusters: Arc<Clusters>,
}

/// One compiled routing table: what a listener serves.
#[derive(Default)]
pub struct Table {
    /// Host and path lookup.
    pub hosts: Hosts,
    /// The certificate for a server name.
    pub certificates: Certificates,
    /// Where whole connections go.
    pub streams: Streams,
}

/// Compiles a publication. What it takes over from `previous` stays live and
/// gets the publication's endpoints at once.
pub fn compile(previous: Option<&Runtime>, publication: &Publication, parts: &Parts) -> Runtime {
    match (&publication.changed, previous) {
        (Changed::Endpoints(keys), Some(previous)) if follows(previous, publication) => {
            with_endpoints(previous, keys, publication)
        }
        _ => compile_all(previous.unwrap_or(&Runtime::default()), publication, parts),
    }
}

/// Whether no publication is missing between the two: only then "what changed"
/// says everything.
fn follows(previous: &Runtime, publication: &Publication) -> bool {
    previous.generation.checked_add(1) == Some(publication.generation)
}

/// The commonest change: nothing is compiled, a few clusters get endpoints.
fn with_endpoints(previous: &Runtime, keys: &[ClusterKey], publication: &Publication) -> Runtime {
    set_endpoints(&previous.clusters, keys, &publication.snapshot);
    Runtime {
        generation: publication.generation,
        snapshot: publication.snapshot.clone(),
        tables: previous.tables.clone(),
        clusters: previous.clusters.clone(),
    }
}

fn compile_all(previous: &Runtime, publication: &Publication, parts: &Parts) -> Runtime {
    let snapshot = &publication.snapshot;
    let changed = snapshot.clusters.differing(&previous.snapshot.clusters);
    let clusters = compile_clusters(&previous.clusters, &changed, snapshot, parts);
    set_endpoints(
        &clusters,
        &snapshot.endpoints.differing(&previous.snapshot.endpoints),
        snapshot,
    );
    set_endpoints(&clusters, &changed, snapshot);

    let changed = changed.into_iter().collect();
    let links = Links {
        clusters: &clusters,
        changed: &changed,
        metrics: &parts.metrics,
    };
    let tables = compile_tables(previous, snapshot, &links);
    Runtime {
        generation: publication.generation,
        snapshot: snapshot.clone(),
        tables,
        clusters,
    }
}

fn compile_clusters(
    previous: &Arc<Clusters>,
    changed: &[ClusterKey],
    snapshot: &Snapshot,
    parts: &Parts,
) -> Arc<Clusters> {
    if changed.is_empty() {
        return previous.clone();
    }
    let mut clusters = Clusters::clone(previous);
    for key in changed {
        let before = clusters.remove(key);
        let Some(spec) = snapshot.clusters.get(key).cloned() else {
            continue;
        };
        let cluster = match before {
            Some(before) => Cluster::replacing(&before, spec, &parts.upstream),
            None => Cluster::new(key.clone(), spec, &parts.upstream),
        };
        clusters.insert(key.clone(), cluster);
    }
    clusters.shrink_to(clusters.len() * 2);
    Arc::new(clusters)
}

fn set_endpoints(clusters: &Clusters, keys: &[ClusterKey], snapshot: &Snapshot) {
    for key in keys {
        if let Some(cluster) = clusters.get(key) {
            cluster.set_endpoints(snapshot.endpoints.get(key).cloned().unwrap_or_default());
        }
    }
}

fn compile_tables(
    previous: &Runtime,
    snapshot: &Snapshot,
    links: &Links<'_>,
) -> HashMap<Arc<str>, Arc<Table>> {
    let compile_table = |(name, spec): (&Arc<str>, &Arc<_>)| {
        let before = previous.tables.get(name);
        let unchanged = links.changed.is_empty()
            && previous
                .snapshot
                .tables
                .get(name)
                .is_some_and(|before| Arc::ptr_eq(before, spec));
        let table = match before {
            Some(before) if unchanged => before.clone(),
            _ => Arc::new(Table {
                hosts: Hosts::compile(before.map(|table| &table.hosts), spec, links),
                certificates: Certificates::compile(before.map(|table| &table.certificates), spec),
                streams: Streams::compile(spec, links),
            }),
        };
        (name.clone(), table)
    };
    snapshot.tables.iter().map(compile_table).collect()
}

#[cfg(test)]
mod tests;
