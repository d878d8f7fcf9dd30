//! Ingresses whose Service is missing or has no endpoints.

use std::sync::Arc;

use super::Identity;
use crate::observe::metrics::family::Family;

/// The most that get a series.
const MOST: usize = 250;

/// An Ingress with nowhere to send requests to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Orphan {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub ingress: Arc<str>,
    /// Whether the Service is there, and only endpoints are missing.
    pub has_service: bool,
}

pub(in super::super) fn orphans(identity: &Identity, mut orphans: Vec<Orphan>) -> Family {
    orphans.sort_unstable();
    orphans.dedup();
    let mut family = identity.gauge(
        "nginx_ingress_controller_orphan_ingress",
        "1 for an Ingress whose Service is missing (no-service) or has no endpoints (no-endpoint); others have \
         no series.",
    );
    for orphan in orphans.iter().take(MOST) {
        let kind = if orphan.has_service {
            "no-endpoint"
        } else {
            "no-service"
        };
        let labels = [
            ("namespace", &*orphan.namespace),
            ("ingress", &*orphan.ingress),
            ("type", kind),
        ];
        family.add(&labels, 1);
    }
    family
}
