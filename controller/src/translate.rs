//! Objects to snapshot: pure (no IO, no clock), total (bad input becomes a
//! [`Problem`], never an error) and deterministic.

#[expect(dead_code, reason = "translation is not wired yet")]
mod certificate;
pub mod reason;

use std::sync::Arc;

use tidegate_snapshot::{ClusterKey, Endpoints, ObjectRef, Problem, Snapshot};

use crate::objects::Objects;
use crate::options::Options;

pub(crate) use certificate::fingerprint;

/// What a set of objects means.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// What to serve.
    pub snapshot: Arc<Snapshot>,
    /// The Ingresses of our class, sorted: they get a status and a `Sync` event.
    pub accepted: Vec<ObjectRef>,
    /// What is wrong, sorted.
    pub problems: Vec<Problem>,
}

/// Translates again and again, reusing what has not changed: equal parts of
/// two snapshots of one translator are the same `Arc`.
#[derive(Debug)]
pub struct Translator {
    options: Options,
}

impl Translator {
    /// A translator that remembers nothing yet.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Translates everything.
    pub fn translate(&mut self, objects: &Objects) -> Translation {
        let _ = (objects, &self.options);
        Translation {
            snapshot: Arc::default(),
            accepted: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The endpoints of every cluster that stands for one Service, at a cost
    /// that does not depend on how many others there are. The keys are those
    /// of the latest [`Translator::translate`]. Empty when nothing refers to
    /// the Service.
    pub fn endpoints(
        &mut self,
        objects: &Objects,
        namespace: &str,
        service: &str,
    ) -> Vec<(ClusterKey, Endpoints)> {
        let _ = (objects, namespace, service);
        Vec::new()
    }
}

/// Translates once: what a fresh [`Translator`] gives.
pub fn translate(objects: &Objects, options: &Options) -> Translation {
    Translator::new(options.clone()).translate(objects)
}
