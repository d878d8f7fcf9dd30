//! What parsing an Ingress reads of other objects. Every read is remembered,
//! so that the Ingress is parsed again exactly when one of them changes.
//!
//! The admission webhook parses without a look at any: whoever reaches its port
//! must not learn what Secrets there are, or what ConfigMaps hold.

use std::cell::RefCell;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};

use crate::objects::{Kind, NamespacedName, Objects};

/// The objects, as parsing may see them.
pub(crate) struct Lookup<'a> {
    /// `None`: nothing is shown.
    objects: Option<&'a Objects>,
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
            objects: Some(objects),
            reads: RefCell::default(),
        }
    }

    /// One that shows nothing. What parsing says after it has asked means nothing.
    pub(crate) fn blind() -> Self {
        Self {
            objects: None,
            reads: RefCell::default(),
        }
    }

    /// Whether it has shown nothing of what it was asked for since `asked`.
    pub(crate) fn has_hidden_since(&self, asked: usize) -> bool {
        self.objects.is_none() && self.asked() > asked
    }

    /// How many objects were looked for.
    pub(crate) fn asked(&self) -> usize {
        self.reads.borrow().len()
    }

    /// A Secret, with the keys that the store keeps.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Arc<Secret>> {
        let found = self.objects.and_then(|objects| objects.secret(namespace, name));
        self.remember(namespace, name, Found::Secret(found.cloned()));
        found
    }

    /// A ConfigMap.
    pub(crate) fn config_map(&self, namespace: &str, name: &str) -> Option<&'a Arc<ConfigMap>> {
        let found = self
            .objects
            .and_then(|objects| objects.config_map(namespace, name));
        self.remember(namespace, name, Found::ConfigMap(found.cloned()));
        found
    }

    /// A Service.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&'a Arc<Service>> {
        let found = self.objects.and_then(|objects| objects.service(namespace, name));
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
