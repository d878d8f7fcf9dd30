//! Which references across namespaces are permitted (ReferenceGrant).

use std::collections::HashMap;
use std::sync::Arc;

use crate::gateway_api::{GROUP, ReferenceGrantSpec};
use crate::objects::GatewayApi;

/// The grants by the namespace that gives them.
pub(super) struct Grants<'a>(HashMap<&'a str, Vec<&'a ReferenceGrantSpec>>);

impl<'a> Grants<'a> {
    pub(super) fn new(objects: &'a GatewayApi) -> Self {
        let mut grants: HashMap<&str, Vec<&ReferenceGrantSpec>> = HashMap::new();
        for grant in objects.reference_grants.values().map(Arc::as_ref) {
            if let Ok(spec) = &grant.spec {
                let namespace = grant.metadata.namespace.as_deref().unwrap_or_default();
                grants.entry(namespace).or_default().push(spec);
            }
        }
        Self(grants)
    }

    /// Whether an object of Gateway API of `kind` in `from` may refer to a core
    /// object: in its own namespace always, else by a grant there of which one entry
    /// of `from` and one of `to` fit.
    pub(super) fn permit(&self, kind: &str, from: &str, to_kind: &str, to: &str, name: &str) -> bool {
        let grants = self.0.get(to).map(Vec::as_slice).unwrap_or_default();
        from == to
            || grants.iter().any(|grant| {
                let from = grant
                    .from
                    .iter()
                    .any(|entry| entry.group == GROUP && entry.kind == kind && entry.namespace == from);
                let to = grant.to.iter().any(|entry| {
                    entry.group.is_empty()
                        && entry.kind == to_kind
                        && entry
                            .name
                            .as_deref()
                            .is_none_or(|only| only.is_empty() || only == name)
                });
                from && to
            })
    }
}
