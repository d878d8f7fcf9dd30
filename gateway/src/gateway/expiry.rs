//! Which certificates are served until when.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_snapshot::{Certificate, Hostname, ObjectRef, Snapshot};

use crate::observe::metrics::CertificateExpiry;

/// The certificates in use that end first, each once, with the hosts that it
/// serves.
pub(super) fn certificates(snapshot: &Snapshot) -> Vec<CertificateExpiry> {
    let tables = snapshot.tables.values();
    let used = tables
        .clone()
        .flat_map(|table| table.certificates.values().chain(&table.default_certificate));
    let by_origin: BTreeMap<_, &Arc<Certificate>> = used
        .map(|certificate| (&certificate.origin, certificate))
        .collect();
    let mut first: Vec<_> = by_origin.into_values().collect();
    first.sort_by_key(|certificate| certificate.not_after);
    first.truncate(CertificateExpiry::MOST);
    let mut hosts: BTreeMap<&ObjectRef, Vec<Arc<str>>> = first
        .iter()
        .map(|certificate| (&certificate.origin, Vec::new()))
        .collect();
    for (host, certificate) in tables.flat_map(|table| &table.certificates) {
        if let Some(hosts) = hosts.get_mut(&certificate.origin) {
            hosts.push(name(host));
        }
    }
    let expiry = |certificate: &Arc<Certificate>| CertificateExpiry {
        not_after: certificate.not_after,
        namespace: certificate.origin.namespace.clone(),
        secret: certificate.origin.name.clone(),
        hosts: hosts.remove(&certificate.origin).unwrap_or_default(),
        leaf: certificate
            .chain
            .first()
            .cloned()
            .unwrap_or_else(|| Vec::new().into()),
    };
    first.into_iter().map(expiry).collect()
}

fn name(host: &Hostname) -> Arc<str> {
    match host {
        Hostname::Exact(name) => name.clone(),
        host => host.to_string().into(),
    }
}
