//! The store of every watched object: one writer (the reconciler), filled by a
//! provider, read by translation and by the status writer.
//!
//! Every value is an `Arc` that is replaced, never edited, so that readers can
//! tell "unchanged" by pointer. What nobody reads is cut off on intake.

mod custom;
mod intake;
mod journal;
mod object;
mod pod;
mod read;
mod slice;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, IngressLoadBalancerStatus};

use crate::gateway_api::Definition;

pub use custom::{CustomStatus, CustomStore, GatewayApi};
pub(crate) use intake::{MANAGED_BY, MANAGER, SERVICE_NAME, SLICE_MANAGED_BY};
pub use journal::Cursor;
use journal::Journal;
pub use object::{Kind, NamespacedName, Object};
pub use pod::{Condition, Node, NodeAddress, NodeStatus, Pod, PodIP, PodSpec, PodStatus};
pub use read::{FieldPath, Unread};
pub(crate) use read::{Step, fields, spec};
pub use slice::{EndpointSlice, ForZone, SliceConditions, SliceEndpoint, SliceHints};

/// What an update of the store asks of its writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the value was there already, or nobody reads it.
    None,
    /// Only things that translation does not read: status of an Ingress or
    /// Service, Nodes, Pods, Namespaces.
    Status,
    /// The endpoints of one Service: ask [`crate::translate::Translator::endpoints`].
    Endpoints {
        /// Namespace of the Service.
        namespace: Arc<str>,
        /// Name of the Service.
        service: Arc<str>,
    },
    /// Anything: translate.
    Everything,
}

impl Change {
    /// Both changes as one; two different Services make [`Change::Everything`].
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, change) | (change, Self::None) => change,
            (Self::Status, change) | (change, Self::Status) => change,
            (a, b) if a == b => a,
            _ => Self::Everything,
        }
    }
}

/// Every watched object by kind, namespace and name.
#[derive(Debug, Default)]
pub struct Objects {
    ingresses: Store<Ingress>,
    load_balancers: Store<IngressLoadBalancerStatus>,
    ingress_classes: Store<IngressClass>,
    backends: Store<Backend>,
    secrets: Store<Secret>,
    config_maps: Store<ConfigMap>,
    namespaces: Store<Namespace>,
    nodes: Store<Node>,
    pods: Store<Pod>,
    gateway_api: GatewayApi,
    /// The Service of each slice, by the slice's name: a deletion names only
    /// the slice.
    slice_services: Store<str>,
    journal: Journal,
}

/// A Service and its EndpointSlices: the unit of endpoint translation. The
/// `Arc` around it is replaced whenever one of them changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// The Service, if it exists.
    pub service: Option<Arc<Service>>,
    /// Its slices, sorted by name.
    pub slices: Vec<Arc<EndpointSlice>>,
}

impl Objects {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces one object.
    pub fn apply(&mut self, object: Object) -> Change {
        let (kind, name) = (object.kind(), object.namespaced_name());
        let change = self.put(object);
        self.note(kind, name, &change);
        change
    }

    fn put(&mut self, object: Object) -> Change {
        match object {
            Object::Ingress(ingress) => self.apply_ingress(ingress),
            Object::IngressClass(class) => put(
                &mut self.ingress_classes,
                intake::other(class),
                Change::Everything,
            ),
            Object::Service(service) => self.apply_service(service),
            Object::EndpointSlice(slice) => self.apply_slice(slice),
            Object::Secret(secret) => match intake::secret(secret) {
                Ok(secret) => put(&mut self.secrets, secret, Change::Everything),
                Err(name) => remove(&mut self.secrets, &name.namespace, &name.name, Change::Everything),
            },
            Object::ConfigMap(config_map) => put(
                &mut self.config_maps,
                intake::other(config_map),
                Change::Everything,
            ),
            Object::Namespace(namespace) => self.apply_namespace(namespace),
            Object::Node(node) => put(
                &mut self.nodes,
                intake::without_annotations(node, |node| &mut node.metadata),
                Change::Status,
            ),
            Object::Pod(pod) => put(
                &mut self.pods,
                intake::without_annotations(pod, |pod| &mut pod.metadata),
                Change::Status,
            ),
            object => self.gateway_api.apply(object),
        }
    }

    /// Makes `definitions` all that the server has of Gateway API.
    pub fn define(&mut self, definitions: BTreeMap<Kind, Definition>) -> Change {
        if self.gateway_api.definitions == definitions {
            return Change::None;
        }
        self.gateway_api.definitions = definitions;
        Change::Everything
    }

    /// Removes one object; `namespace` is empty for kinds without one.
    pub fn delete(&mut self, kind: Kind, namespace: &str, name: &str) -> Change {
        let change = self.remove(kind, namespace, name);
        self.note(kind, NamespacedName::new(namespace, name), &change);
        change
    }

    /// The Ingresses, Secrets, ConfigMaps and Services (also: their slices) that have
    /// come, gone or changed since. `None`: too much has, or nothing is known; any may
    /// have.
    pub fn changed_since(&self, cursor: &Cursor) -> Option<impl Iterator<Item = (Kind, &NamespacedName)>> {
        self.journal.since(cursor)
    }

    /// What [`Objects::changed_since`] tells nothing of.
    pub fn cursor(&self) -> Cursor {
        self.journal.end()
    }

    fn note(&mut self, kind: Kind, name: NamespacedName, change: &Change) {
        let kinds = [Kind::Ingress, Kind::Secret, Kind::ConfigMap, Kind::Service];
        if kinds.contains(&kind) && *change != Change::None {
            self.journal.push(kind, name);
        }
    }

    fn remove(&mut self, kind: Kind, namespace: &str, name: &str) -> Change {
        match kind {
            Kind::Ingress => {
                self.load_balancers.remove(namespace, name);
                remove(&mut self.ingresses, namespace, name, Change::Everything)
            }
            Kind::IngressClass => remove(&mut self.ingress_classes, namespace, name, Change::Everything),
            Kind::Service => self.delete_service(namespace, name),
            Kind::EndpointSlice => self.delete_slice(namespace, name),
            Kind::Secret => remove(&mut self.secrets, namespace, name, Change::Everything),
            Kind::ConfigMap => remove(&mut self.config_maps, namespace, name, Change::Everything),
            Kind::Namespace => remove(&mut self.namespaces, namespace, name, Change::Status),
            Kind::Node => remove(&mut self.nodes, namespace, name, Change::Status),
            Kind::Pod => remove(&mut self.pods, namespace, name, Change::Status),
            kind => self.gateway_api.delete(kind, namespace, name),
        }
    }

    /// Makes `objects` all there is of `kind` (a relist): what is missing from
    /// it is removed. Objects of other kinds in it are applied as they are.
    pub fn replace(&mut self, kind: Kind, objects: Vec<Object>) -> Change {
        let kept: HashSet<NamespacedName> = objects
            .iter()
            .filter(|object| object.kind() == kind)
            .map(Object::namespaced_name)
            .collect();
        let mut change = Change::None;
        for gone in self.names(kind).into_iter().filter(|name| !kept.contains(name)) {
            change = change.and(self.delete(kind, &gone.namespace, &gone.name));
        }
        for object in objects {
            change = change.and(self.apply(object));
        }
        change
    }

    /// The names of every stored object of a kind, sorted.
    pub fn names(&self, kind: Kind) -> Vec<NamespacedName> {
        let mut names: Vec<_> = match kind {
            Kind::Ingress => self.ingresses.names().collect(),
            Kind::IngressClass => self.ingress_classes.names().collect(),
            Kind::Service => self
                .backends
                .iter()
                .filter(|(_, _, backend)| backend.service.is_some())
                .map(|(namespace, name, _)| NamespacedName::new(namespace, name))
                .collect(),
            Kind::EndpointSlice => self.slice_services.names().collect(),
            Kind::Secret => self.secrets.names().collect(),
            Kind::ConfigMap => self.config_maps.names().collect(),
            Kind::Namespace => self.namespaces.names().collect(),
            Kind::Node => self.nodes.names().collect(),
            Kind::Pod => self.pods.names().collect(),
            kind => self.gateway_api.names(kind),
        };
        names.sort();
        names
    }

    /// Every Ingress, in no order, without its status.
    pub fn ingresses(&self) -> impl Iterator<Item = &Arc<Ingress>> {
        self.ingresses.values()
    }

    /// How many Ingresses there are.
    pub fn ingress_count(&self) -> usize {
        self.ingresses.values().count()
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Ingress => self.ingresses.len(),
            Kind::IngressClass => self.ingress_classes.len(),
            // One that has only slices counts too: telling them apart costs a walk.
            Kind::Service => self.backends.len(),
            Kind::EndpointSlice => self.slice_services.len(),
            Kind::Secret => self.secrets.len(),
            Kind::ConfigMap => self.config_maps.len(),
            Kind::Namespace => self.namespaces.len(),
            Kind::Node => self.nodes.len(),
            Kind::Pod => self.pods.len(),
            kind => self.gateway_api.count(kind),
        }
    }

    /// One Ingress, without its status.
    pub fn ingress(&self, namespace: &str, name: &str) -> Option<&Arc<Ingress>> {
        self.ingresses.value(namespace, name)
    }

    /// `status.loadBalancer` of an Ingress as last seen; `None` when empty.
    pub fn load_balancer(&self, namespace: &str, name: &str) -> Option<&Arc<IngressLoadBalancerStatus>> {
        self.load_balancers.value(namespace, name)
    }

    /// Every IngressClass, in no order.
    pub fn ingress_classes(&self) -> impl Iterator<Item = &Arc<IngressClass>> {
        self.ingress_classes.values()
    }

    /// An IngressClass by name.
    pub fn ingress_class(&self, name: &str) -> Option<&Arc<IngressClass>> {
        self.ingress_classes.value("", name)
    }

    /// A Service with its slices; there when either exists.
    pub fn backend(&self, namespace: &str, service: &str) -> Option<&Arc<Backend>> {
        self.backends.value(namespace, service)
    }

    /// A Service.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Arc<Service>> {
        self.backend(namespace, name)?.service.as_ref()
    }

    /// Every Service, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.backends
            .values()
            .filter_map(|backend| backend.service.as_ref())
    }

    /// A Secret with the keys that matter here.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&Arc<Secret>> {
        self.secrets.value(namespace, name)
    }

    /// A ConfigMap.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&Arc<ConfigMap>> {
        self.config_maps.value(namespace, name)
    }

    /// A Namespace.
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.value("", name)
    }

    /// Every Namespace, in no order.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.namespaces.values()
    }

    /// A Node.
    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.value("", name)
    }

    /// Every Node, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// Every Pod, in no order.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.values()
    }

    /// The objects of Gateway API.
    pub fn gateway_api(&self) -> &GatewayApi {
        &self.gateway_api
    }

    /// Labels decide which routes may attach to listeners.
    fn apply_namespace(&mut self, namespace: Arc<Namespace>) -> Change {
        let namespace = intake::other(namespace);
        let name = namespace.metadata.name.as_deref().unwrap_or_default();
        let before = self.namespace(name).map(|namespace| &namespace.metadata.labels);
        let translated = !self.gateway_api.gateways.is_empty() && before != Some(&namespace.metadata.labels);
        let change = if translated {
            Change::Everything
        } else {
            Change::Status
        };
        put(&mut self.namespaces, namespace, change)
    }

    fn apply_ingress(&mut self, ingress: Arc<Ingress>) -> Change {
        let (ingress, load_balancer) = intake::ingress(ingress);
        let name = Object::Ingress(ingress.clone()).namespaced_name();
        let status = match load_balancer {
            Some(load_balancer) => {
                let load_balancer = Arc::new(load_balancer);
                self.load_balancers
                    .put(&name.namespace, &name.name, load_balancer)
            }
            None => self.load_balancers.remove(&name.namespace, &name.name),
        };
        let status = if status { Change::Status } else { Change::None };
        put(&mut self.ingresses, ingress, Change::Everything).and(status)
    }

    fn apply_service(&mut self, service: Arc<Service>) -> Change {
        let service = intake::service(service);
        let name = Object::Service(service.clone()).namespaced_name();
        let mut backend = self.backend_or_new(&name);
        let change = match &backend.service {
            Some(old) if *old == service => return Change::None,
            Some(old) if intake::same_for_routes(old, &service) => Change::Status,
            _ => Change::Everything,
        };
        backend.service = Some(service);
        self.backends.put(&name.namespace, &name.name, Arc::new(backend));
        change
    }

    fn delete_service(&mut self, namespace: &str, name: &str) -> Change {
        let name = NamespacedName::new(namespace, name);
        let mut backend = self.backend_or_new(&name);
        if backend.service.take().is_none() {
            return Change::None;
        }
        self.store_backend(&name, backend);
        Change::Everything
    }

    fn apply_slice(&mut self, slice: Arc<EndpointSlice>) -> Change {
        let slice = intake::endpoint_slice(slice);
        let name = Object::EndpointSlice(slice.clone()).namespaced_name();
        let Some(service) = slice.service.as_deref() else {
            return self.delete_slice(&name.namespace, &name.name);
        };
        let moved = match self.slice_services.value(&name.namespace, &name.name) {
            Some(before) if **before != *service => self.delete_slice(&name.namespace, &name.name),
            _ => Change::None,
        };
        let owner = NamespacedName::new(&name.namespace, service);
        let mut backend = self.backend_or_new(&owner);
        let position = backend
            .slices
            .binary_search_by(|other| other.metadata.name.as_deref().cmp(&Some(&*name.name)));
        match position {
            Ok(at) if backend.slices[at] == slice => return moved,
            Ok(at) => backend.slices[at] = slice,
            Err(at) => backend.slices.insert(at, slice),
        }
        self.slice_services
            .put(&name.namespace, &name.name, owner.name.clone());
        self.store_backend(&owner, backend);
        moved.and(owner.into_endpoints())
    }

    fn delete_slice(&mut self, namespace: &str, name: &str) -> Change {
        let Some(service) = self.slice_services.value(namespace, name).cloned() else {
            return Change::None;
        };
        self.slice_services.remove(namespace, name);
        let owner = NamespacedName::new(namespace, &service);
        let mut backend = self.backend_or_new(&owner);
        backend
            .slices
            .retain(|slice| slice.metadata.name.as_deref() != Some(name));
        self.store_backend(&owner, backend);
        owner.into_endpoints()
    }

    fn backend_or_new(&self, name: &NamespacedName) -> Backend {
        self.backends
            .value(&name.namespace, &name.name)
            .map(|backend| Backend::clone(backend))
            .unwrap_or_default()
    }

    fn store_backend(&mut self, name: &NamespacedName, backend: Backend) {
        self.journal.push(Kind::Service, name.clone());
        if backend.service.is_none() && backend.slices.is_empty() {
            self.backends.remove(&name.namespace, &name.name);
        } else {
            self.backends.put(&name.namespace, &name.name, Arc::new(backend));
        }
    }
}

/// Values by namespace and name; nested, so that a lookup borrows both.
#[derive(Debug)]
struct Store<T: ?Sized>(HashMap<Box<str>, HashMap<Box<str>, Arc<T>>>);

impl<T: ?Sized> Default for Store<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: ?Sized + PartialEq> Store<T> {
    fn value(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.0.get(namespace)?.get(name)
    }

    fn len(&self) -> usize {
        self.0.values().map(HashMap::len).sum()
    }

    fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.values().flat_map(HashMap::values)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str, &Arc<T>)> {
        self.0.iter().flat_map(|(namespace, by_name)| {
            by_name.iter().map(|(name, value)| (&**namespace, &**name, value))
        })
    }

    fn names(&self) -> impl Iterator<Item = NamespacedName> {
        self.iter()
            .map(|(namespace, name, _)| NamespacedName::new(namespace, name))
    }

    /// Stores `value`; false when an equal one is there already (it is kept,
    /// so that pointers stay the same).
    fn put(&mut self, namespace: &str, name: &str, value: Arc<T>) -> bool {
        if let Some(old) = self.0.get_mut(namespace).and_then(|names| names.get_mut(name)) {
            if *old == value {
                return false;
            }
            *old = value;
            return true;
        }
        self.0
            .entry(namespace.into())
            .or_default()
            .insert(name.into(), value);
        true
    }

    /// Whether there was one.
    fn remove(&mut self, namespace: &str, name: &str) -> bool {
        let Some(names) = self.0.get_mut(namespace) else {
            return false;
        };
        let removed = names.remove(name).is_some();
        if names.is_empty() {
            self.0.remove(namespace);
        } else if removed && names.capacity() > 4 * names.len() {
            // Memory goes back after a mass deletion.
            names.shrink_to(2 * names.len());
        }
        removed
    }
}

fn put<T>(store: &mut Store<T>, value: Arc<T>, change: Change) -> Change
where
    T: PartialEq,
    Object: From<Arc<T>>,
{
    let name = Object::from(value.clone()).namespaced_name();
    if store.put(&name.namespace, &name.name, value) {
        change
    } else {
        Change::None
    }
}

fn remove<T: PartialEq>(store: &mut Store<T>, namespace: &str, name: &str, change: Change) -> Change {
    if store.remove(namespace, name) {
        change
    } else {
        Change::None
    }
}
