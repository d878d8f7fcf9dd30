//! What parsing an Ingress reads of other objects. Every read is remembered,
//! so that the Ingress is parsed again exactly when one of them changes.

use std::cell::RefCell;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};

use crate::objects::{Kind, NamespacedName, Objects};

/// The objects, as parsing may see them.
pub(crate) struct Lookup<'a> {
    objects: &'a Objects,
    reads: RefCell<Vec<Read>>,
}

/// An object that was looked for, and what was there.
#[derive(Debug)]
pub(crate) struct Read {
    name: NamespacedName,
    found: Found,
}

/// Holding the object keeps its address from being used again.
#[derive(Debug)]
enum Found {
    Secret(Option<Arc<Secret>>),
    ConfigMap(Option<Arc<ConfigMap>>),
    Service(Option<Arc<Service>>),
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(objects: &'a Objects) -> Self {
        Self {
            objects,
            reads: RefCell::default(),
        }
    }

    /// A Secret, with the keys that the store keeps.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Arc<Secret>> {
        let found = self.objects.secret(namespace, name);
        self.remember(namespace, name, Found::Secret(found.cloned()));
        found
    }

    /// A ConfigMap.
    pub(crate) fn config_map(&self, namespace: &str, name: &str) -> Option<&'a Arc<ConfigMap>> {
        let found = self.objects.config_map(namespace, name);
        self.remember(namespace, name, Found::ConfigMap(found.cloned()));
        found
    }

    /// A Service.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&'a Arc<Service>> {
        let found = self.objects.service(namespace, name);
        self.remember(namespace, name, Found::Service(found.cloned()));
        found
    }

    fn remember(&self, namespace: &str, name: &str, found: Found) {
        let name = NamespacedName::new(namespace, name);
        self.reads.borrow_mut().push(Read { name, found });
    }

    /// Everything that was looked for.
    pub(crate) fn into_reads(self) -> Box<[Read]> {
        self.reads.into_inner().into()
    }
}

impl Read {
    /// Whether a look now would find the very same object.
    pub(crate) fn is_current(&self, objects: &Objects) -> bool {
        let NamespacedName { namespace, name } = &self.name;
        match &self.found {
            Found::Secret(before) => same(before.as_ref(), objects.secret(namespace, name)),
            Found::ConfigMap(before) => same(before.as_ref(), objects.config_map(namespace, name)),
            Found::Service(before) => same(before.as_ref(), objects.service(namespace, name)),
        }
    }

    /// The object that was looked for.
    pub(crate) fn of(&self) -> (Kind, NamespacedName) {
        let kind = match self.found {
            Found::Secret(_) => Kind::Secret,
            Found::ConfigMap(_) => Kind::ConfigMap,
            Found::Service(_) => Kind::Service,
        };
        (kind, self.name.clone())
    }
}

fn same<T>(before: Option<&Arc<T>>, now: Option<&Arc<T>>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        (None, None) => true,
        _ => false,
    }
}
