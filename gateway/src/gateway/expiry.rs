//! Which certificates are served until when.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_snapshot::{Certificate, Snapshot};

use crate::observe::metrics::CertificateExpiry;

/// Each certificate in use once, whatever the number of its names.
pub(super) fn certificates(snapshot: &Snapshot) -> Vec<CertificateExpiry> {
    let tables = snapshot.tables.values();
    let used = tables.flat_map(|table| table.certificates.values().chain(&table.default_certificate));
    let by_origin: BTreeMap<_, &Arc<Certificate>> = used
        .map(|certificate| (&certificate.origin, certificate))
        .collect();
    let expiry = |certificate: &Arc<Certificate>| CertificateExpiry {
        not_after: certificate.not_after,
        namespace: certificate.origin.namespace.clone(),
        secret: certificate.origin.name.clone(),
    };
    by_origin.into_values().map(expiry).collect()
}
