//! Where objects come from. A provider sends [`ProviderEvent`]s over a bounded
//! channel; the reconciler alone writes the store. Whatever goes wrong at the
//! source (an outage, a broken file), nothing is sent, and so what was there
//! stays.

pub mod file;
pub mod kubernetes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tidegate_snapshot::Problem;

use crate::gateway_api::Definition;
use crate::objects::{Kind, NamespacedName, Object};

pub use kubernetes::KubernetesConfig;

/// How many events may wait for the reconciler; beyond that the provider waits.
pub(crate) const QUEUE: usize = 1024;

/// Which provider, and its settings.
#[derive(Clone, Debug)]
pub enum ProviderConfig {
    /// A Kubernetes API server.
    Kubernetes(KubernetesConfig),
    /// A directory (or one file) of YAML.
    File(PathBuf),
}

/// Something that a provider learnt.
#[derive(Debug)]
pub struct ProviderEvent {
    /// When it reached the process.
    pub arrived: Instant,
    /// What it is.
    pub update: Update,
}

impl ProviderEvent {
    /// `update`, arriving now.
    pub fn now(update: Update) -> Self {
        Self {
            arrived: Instant::now(),
            update,
        }
    }
}

/// What a [`ProviderEvent`] does to the store.
#[derive(Debug)]
pub enum Update {
    /// Changes that take effect together.
    Changes(Vec<ObjectChange>),
    /// All there is of one kind in a scope: what is not in the list is gone.
    Relist {
        /// The kind.
        kind: Kind,
        /// Which objects the list speaks for.
        scope: Scope,
        /// The objects.
        objects: Vec<Object>,
    },
    /// The definitions of Gateway API's kinds that the source has; they replace those
    /// of the last such event.
    Definitions(BTreeMap<Kind, Definition>),
    /// The source's own problems, for example files that cannot be read; they
    /// replace those of the last such event.
    Problems(Vec<Problem>),
    /// Everything needed has been sent once: the store can be trusted.
    Synced,
}

/// A change of one object.
#[derive(Debug)]
pub enum ObjectChange {
    /// Added or changed.
    Apply(Object),
    /// Gone.
    Delete(Kind, NamespacedName),
}

/// The objects of a kind that a list speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every one.
    All,
    /// Those of a namespace.
    Namespace(Arc<str>),
    /// One by name.
    Object(NamespacedName),
}

impl Scope {
    /// All objects of a namespace, or of every one.
    pub fn of(namespace: Option<&str>) -> Self {
        namespace.map_or(Self::All, |namespace| Self::Namespace(namespace.into()))
    }

    /// Whether an object of that name is in it.
    pub fn contains(&self, name: &NamespacedName) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => *namespace == name.namespace,
            Self::Object(object) => object == name,
        }
    }
}
