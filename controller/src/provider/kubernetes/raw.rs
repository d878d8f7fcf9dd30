//! Objects as the server sends them.
//!
//! What lists and watches is generic over the type of the objects, and large: it is
//! in the program once, for this type, and so is what reads a kind's fields, behind
//! [`Object::read`].
//!
//! They are kept as text until they are read. A page of a list as trees of values, each
//! in dozens of pieces, would leave the objects that are made of them one by one
//! strewn over all the memory that the page took, and none of it could be given back.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicResourceScope};
use kube::{Api, Client, Resource};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::objects::{Kind, NamespacedName, Object, Unread};

/// An object of a kind that is known when running.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    /// Nothing but name, namespace and version.
    metadata: ObjectMeta,
    text: String,
}

/// Objects of a kind as they are sent, in one namespace or in all.
pub(crate) fn api(client: Client, namespace: Option<&str>, resource: &ApiResource) -> Api<Raw> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    }
}

/// The same of a kind that every server has.
pub(crate) fn built_in<K: Resource<DynamicType = ()>>(client: &Client, namespace: Option<&str>) -> Api<Raw> {
    api(client.clone(), namespace, &ApiResource::erase::<K>(&()))
}

impl Raw {
    /// Its namespace (empty: none) and name.
    pub(crate) fn namespaced_name(&self) -> NamespacedName {
        NamespacedName::new(
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        )
    }

    /// The object, all of its fields read.
    ///
    /// # Errors
    /// Names the first field that makes no sense.
    pub(crate) fn read(self, kind: Kind) -> Result<Object, Unread> {
        Object::read(kind, self.value())
    }

    /// The whole of it.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.text).expect("a value was written to the text")
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |field: &str| Some(value.get("metadata")?.get(field)?.as_str()?.to_owned());
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        let text = value.to_string();
        Ok(Self { metadata, text })
    }
}

impl Resource for Raw {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
