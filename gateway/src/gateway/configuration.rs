//! What metrics say of the configuration being served.

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::sync::{Arc, Weak};

use tidegate_snapshot::{Action, ClusterKey, Discovery, RouteTable, Snapshot};

use crate::observe::metrics::Orphan;

/// A number that is the same for the same tables; remembered while they stay.
#[derive(Default)]
pub(super) struct Fingerprint {
    tables: Vec<Weak<RouteTable>>,
    value: u64,
}

impl Fingerprint {
    pub(super) fn of(&mut self, snapshot: &Snapshot) -> u64 {
        let same = |(before, table): (&Weak<RouteTable>, &Arc<RouteTable>)| {
            std::ptr::eq(before.as_ptr(), Arc::as_ptr(table))
        };
        let tables = snapshot.tables.values();
        if self.tables.len() != tables.len() || !self.tables.iter().zip(tables.clone()).all(same) {
            self.tables = tables.map(Arc::downgrade).collect();
            self.value = hash(snapshot);
        }
        self.value
    }
}

/// Metrics are floating point numbers: those are exact up to 52 bits.
fn hash(snapshot: &Snapshot) -> u64 {
    let mut writer = HashWriter(DefaultHasher::new());
    // Nothing in there fails to be written, and half a hash is one, too.
    let _ = serde_json::to_writer(&mut writer, &snapshot.tables);
    (writer.0.finish() >> 12).max(1)
}

/// Hashes without keeping the text.
struct HashWriter(DefaultHasher);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ingresses whose Service is missing or has no endpoints; one may come several
/// times.
pub(super) fn orphans(snapshot: &Snapshot) -> Vec<Orphan> {
    let hosts = snapshot.tables.values().flat_map(|table| table.hosts.values());
    let routes = hosts.flat_map(|host| &host.routes);
    let mut orphans = Vec::new();
    for route in routes.filter(|route| &*route.origin.kind == "Ingress") {
        let mut add = |key: &ClusterKey| {
            if let Some(has_service) = forsaken(snapshot, key) {
                orphans.push(Orphan {
                    namespace: route.origin.namespace.clone(),
                    ingress: route.origin.name.clone(),
                    has_service,
                });
            }
        };
        match &route.action {
            Action::Forward(shares) => shares.iter().for_each(|share| add(&share.cluster)),
            Action::Canary(canary) => add(&canary.main),
            _ => {}
        }
    }
    orphans
}

/// `None`: the cluster has endpoints. Otherwise whether there is a Service.
fn forsaken(snapshot: &Snapshot, key: &ClusterKey) -> Option<bool> {
    let Some(cluster) = snapshot.clusters.get(key) else {
        return Some(false);
    };
    let known = matches!(cluster.discovery, Discovery::Snapshot);
    let empty = snapshot
        .endpoints
        .get(key)
        .is_none_or(|endpoints| endpoints.is_empty());
    (known && empty).then_some(true)
}
