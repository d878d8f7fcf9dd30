//! What all routes are judged with. While it stays the same, a route that has not
//! changed, and whose Services have not, comes to the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;

use super::backend_tls::BackendTls;
use super::client_certificate::Shown;
use crate::gateway_api::{Gateway, GatewayClass, ListenerSet, ReferenceGrant};
use crate::objects::{NamespacedName, Objects};

/// Everything that [`super::backend`] and [`super::attach`] look at besides the
/// route itself, Services and options.
#[derive(Debug, PartialEq)]
pub(super) struct Surroundings {
    classes: Same<GatewayClass>,
    gateways: Same<Gateway>,
    listener_sets: Same<ListenerSet>,
    grants: Same<ReferenceGrant>,
    namespaces: Same<Namespace>,
    tls: Arc<BackendTls>,
    shown: Arc<BTreeMap<NamespacedName, Shown>>,
}

impl Surroundings {
    pub(super) fn new(
        objects: &Objects,
        tls: Arc<BackendTls>,
        shown: Arc<BTreeMap<NamespacedName, Shown>>,
    ) -> Self {
        let api = objects.gateway_api();
        Self {
            classes: Same::of(api.gateway_classes.values()),
            gateways: Same::of(api.gateways.values()),
            listener_sets: Same::of(api.listener_sets.values()),
            grants: Same::of(api.reference_grants.values()),
            namespaces: Same::of(objects.namespaces()),
            tls,
            shown,
        }
    }
}

/// Objects that are equal only to the very same. Holding them keeps their addresses
/// from being used again.
#[derive(Debug)]
pub(super) struct Same<T>(Vec<Arc<T>>);

impl<T> Same<T> {
    pub(super) fn of<'a>(objects: impl Iterator<Item = &'a Arc<T>>) -> Self
    where
        T: 'a,
    {
        Self(objects.cloned().collect())
    }
}

impl<T> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.all(|(a, b)| Arc::ptr_eq(a, b))
    }
}
