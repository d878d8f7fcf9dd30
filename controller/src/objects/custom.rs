//! The objects of Gateway API. Each is kept apart from its status: what this
//! controller writes itself must not look like a change.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use tidegate_snapshot::ObjectRef;

use super::{Change, Kind, NamespacedName, Object, Store, Unread, intake};
use crate::gateway_api::{
    BackendTLSPolicy, Custom, Definition, GRPCRoute, Gateway, GatewayClass, HTTPRoute, ListenerSet,
    ReferenceGrant, TCPRoute, TLSRoute, UDPRoute,
};

/// Every object of Gateway API, by kind.
#[derive(Debug, Default)]
pub struct GatewayApi {
    /// `GatewayClass`
    pub gateway_classes: CustomStore<GatewayClass>,
    /// `Gateway`
    pub gateways: CustomStore<Gateway>,
    /// `ListenerSet`
    pub listener_sets: CustomStore<ListenerSet>,
    /// `HTTPRoute`
    pub http_routes: CustomStore<HTTPRoute>,
    /// `GRPCRoute`
    pub grpc_routes: CustomStore<GRPCRoute>,
    /// `TLSRoute`
    pub tls_routes: CustomStore<TLSRoute>,
    /// `TCPRoute`
    pub tcp_routes: CustomStore<TCPRoute>,
    /// `UDPRoute`
    pub udp_routes: CustomStore<UDPRoute>,
    /// `ReferenceGrant`
    pub reference_grants: CustomStore<ReferenceGrant>,
    /// `BackendTLSPolicy`
    pub backend_tls_policies: CustomStore<BackendTLSPolicy>,
    /// Of the kinds that the server has; empty where there is no server.
    pub(super) definitions: BTreeMap<Kind, Definition>,
}

/// A status as last seen. There are thousands, seldom looked at: as text each
/// takes a sixth of what it does as a [`Value`].
#[derive(Clone, Debug, PartialEq)]
pub struct CustomStatus {
    /// The whole of it as JSON, its keys in order; `null` when there is none.
    pub text: Box<str>,
    /// The version of the object that it was seen with: a write is made against
    /// it, so that nobody else's entries get lost.
    pub resource_version: Box<str>,
}

impl CustomStatus {
    /// The status of an object.
    pub fn new(value: &Value, resource_version: &str) -> Self {
        Self {
            text: value.to_string().into(),
            resource_version: resource_version.into(),
        }
    }

    /// The status, read.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).expect("it was written from a value")
    }
}

/// The objects of one kind.
#[derive(Debug)]
pub struct CustomStore<T> {
    objects: Store<T>,
    statuses: Store<CustomStatus>,
}

impl<T> Default for CustomStore<T> {
    fn default() -> Self {
        Self {
            objects: Store::default(),
            statuses: Store::default(),
        }
    }
}

impl<T: PartialEq> CustomStore<T> {
    /// Every object, in no order, without its status.
    pub fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.objects.values()
    }

    /// One object, without its status.
    pub fn value(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.objects.value(namespace, name)
    }

    /// The status of an object as last seen.
    pub fn status(&self, namespace: &str, name: &str) -> Option<&Arc<CustomStatus>> {
        self.statuses.value(namespace, name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.len() == 0
    }

    fn delete(&mut self, namespace: &str, name: &str) -> Change {
        self.statuses.remove(namespace, name);
        super::remove(&mut self.objects, namespace, name, Change::Everything)
    }
}

impl<S: Clone + PartialEq> CustomStore<Custom<S>>
where
    Object: From<Arc<Custom<S>>>,
{
    fn apply(&mut self, object: Arc<Custom<S>>) -> Change {
        let (object, status) = intake::custom(object);
        let name = Object::from(object.clone()).namespaced_name();
        let (namespace, name) = (&*name.namespace, &*name.name);
        let before = self.statuses.value(namespace, name).map(|status| &status.text);
        let change = if before == Some(&status.text) {
            Change::None
        } else {
            Change::Status
        };
        self.statuses.put(namespace, name, Arc::new(status));
        super::put(&mut self.objects, object, Change::Everything).and(change)
    }
}

/// Calls the store of a kind.
macro_rules! of_kind {
    ($self:ident, $kind:expr, $store:ident => $result:expr, $otherwise:expr) => {
        match $kind {
            Kind::GatewayClass => of_kind!(@ $self.gateway_classes, $store, $result),
            Kind::Gateway => of_kind!(@ $self.gateways, $store, $result),
            Kind::ListenerSet => of_kind!(@ $self.listener_sets, $store, $result),
            Kind::HTTPRoute => of_kind!(@ $self.http_routes, $store, $result),
            Kind::GRPCRoute => of_kind!(@ $self.grpc_routes, $store, $result),
            Kind::TLSRoute => of_kind!(@ $self.tls_routes, $store, $result),
            Kind::TCPRoute => of_kind!(@ $self.tcp_routes, $store, $result),
            Kind::UDPRoute => of_kind!(@ $self.udp_routes, $store, $result),
            Kind::ReferenceGrant => of_kind!(@ $self.reference_grants, $store, $result),
            Kind::BackendTLSPolicy => of_kind!(@ $self.backend_tls_policies, $store, $result),
            _ => $otherwise,
        }
    };
    (@ $place:expr, $store:ident, $result:expr) => {{
        let $store = &$place;
        $result
    }};
}

impl GatewayApi {
    pub(super) fn apply(&mut self, object: Object) -> Change {
        match object {
            Object::GatewayClass(object) => self.gateway_classes.apply(object),
            Object::Gateway(object) => self.gateways.apply(object),
            Object::ListenerSet(object) => self.listener_sets.apply(object),
            Object::HTTPRoute(object) => self.http_routes.apply(object),
            Object::GRPCRoute(object) => self.grpc_routes.apply(object),
            Object::TLSRoute(object) => self.tls_routes.apply(object),
            Object::TCPRoute(object) => self.tcp_routes.apply(object),
            Object::UDPRoute(object) => self.udp_routes.apply(object),
            Object::ReferenceGrant(object) => self.reference_grants.apply(object),
            Object::BackendTLSPolicy(object) => self.backend_tls_policies.apply(object),
            _ => Change::None,
        }
    }

    pub(super) fn delete(&mut self, kind: Kind, namespace: &str, name: &str) -> Change {
        match kind {
            Kind::GatewayClass => self.gateway_classes.delete(namespace, name),
            Kind::Gateway => self.gateways.delete(namespace, name),
            Kind::ListenerSet => self.listener_sets.delete(namespace, name),
            Kind::HTTPRoute => self.http_routes.delete(namespace, name),
            Kind::GRPCRoute => self.grpc_routes.delete(namespace, name),
            Kind::TLSRoute => self.tls_routes.delete(namespace, name),
            Kind::TCPRoute => self.tcp_routes.delete(namespace, name),
            Kind::UDPRoute => self.udp_routes.delete(namespace, name),
            Kind::ReferenceGrant => self.reference_grants.delete(namespace, name),
            Kind::BackendTLSPolicy => self.backend_tls_policies.delete(namespace, name),
            _ => Change::None,
        }
    }

    /// The names of every object of a kind, in no order.
    pub fn names(&self, kind: Kind) -> Vec<NamespacedName> {
        of_kind!(self, kind, store => store.objects.names().collect(), Vec::new())
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        of_kind!(self, kind, store => store.len(), 0)
    }

    /// The status of an object as last seen; `None` when there is no such object.
    pub fn status(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Arc<CustomStatus>> {
        of_kind!(self, kind, store => store.status(namespace, name), None)
    }

    /// The metadata of an object.
    pub fn metadata(&self, kind: Kind, namespace: &str, name: &str) -> Option<&ObjectMeta> {
        of_kind!(self, kind, store => store.value(namespace, name).map(|object| &object.metadata), None)
    }

    /// The definitions of the kinds that the server has; none in a file.
    pub fn definitions(&self) -> &BTreeMap<Kind, Definition> {
        &self.definitions
    }

    /// Every object whose `spec` cannot be read, and why not.
    pub fn unreadable(&self) -> Vec<(ObjectRef, &Unread)> {
        let mut unreadable = Vec::new();
        for kind in Kind::GATEWAY_API {
            of_kind!(self, kind, store => {
                for (namespace, name, object) in store.objects.iter() {
                    if let Err(error) = &object.spec {
                        let object = ObjectRef::new(kind.as_str(), namespace, name);
                        unreadable.push((object, &error.error));
                    }
                }
            }, ());
        }
        unreadable
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        Kind::GATEWAY_API.iter().all(|kind| self.count(*kind) == 0)
    }
}
