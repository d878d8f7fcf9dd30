//! The Ingresses of our class, each parsed once, in merge order.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use tidegate_snapshot::{Effect, ObjectRef, Policies, Problem};

use super::class::Classes;
use super::ingress::{self, Model, RoutePolicies};
use super::lookup::{Lookup, Read};
use super::problems::Problems;
use super::reason;
use crate::objects::{Kind, Objects};
use crate::options::Options;

/// Remembers the [`Model`] of each Ingress.
#[derive(Debug)]
pub(super) struct Ingresses {
    /// By address; holding the Ingress keeps its address from being used again.
    memo: HashMap<usize, Memo>,
    generation: u64,
    defaults: RoutePolicies,
}

#[derive(Debug)]
struct Memo {
    _ingress: Arc<Ingress>,
    model: Arc<Model>,
    /// The other objects that the model was made with.
    reads: Box<[Read]>,
    seen: u64,
}

impl Memo {
    fn new(ingress: &Arc<Ingress>, objects: &Objects, options: &Options, defaults: &RoutePolicies) -> Self {
        let lookup = Lookup::new(objects);
        Self {
            _ingress: ingress.clone(),
            model: Arc::new(ingress::parse(ingress, options, &lookup, defaults)),
            reads: lookup.into_reads(),
            seen: 0,
        }
    }
}

impl Ingresses {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            memo: HashMap::new(),
            generation: 0,
            defaults: RoutePolicies::defaults(options),
        }
    }

    /// Whether any of them was parsed with a look at this object.
    pub(super) fn reads(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let reads = self.memo.values().flat_map(|memo| &memo.reads);
        reads.into_iter().any(|read| read.is_of(kind, namespace, name))
    }

    /// What an Ingress without annotations has.
    pub(super) fn defaults(&self) -> &RoutePolicies {
        &self.defaults
    }

    /// The policies of a route that has no Ingress.
    pub(super) fn default_policies(&self) -> Arc<Policies> {
        self.defaults.of_default_backend()
    }

    /// Every Ingress of our class, parsed, in merge order: oldest first, equal
    /// times by descending `namespace/name` (ingress-nginx-behaviour §4).
    pub(super) fn update(
        &mut self,
        objects: &Objects,
        classes: &Classes<'_>,
        options: &Options,
        problems: &mut Problems,
    ) -> Vec<Arc<Model>> {
        self.generation += 1;
        let mut ours = Vec::with_capacity(self.memo.len());
        for ingress in objects.ingresses().filter(|ingress| classes.accept(ingress)) {
            if options.disable_catch_all && has_default_backend(ingress) {
                problems.push(catch_all_problem(ingress));
                continue;
            }
            let memo = self
                .memo
                .entry(Arc::as_ptr(ingress) as usize)
                .or_insert_with(|| Memo::new(ingress, objects, options, &self.defaults));
            if !memo.reads.iter().all(|read| read.is_current(objects)) {
                *memo = Memo::new(ingress, objects, options, &self.defaults);
            }
            memo.seen = self.generation;
            problems.extend(memo.model.problems.iter().cloned());
            ours.push((created(ingress), memo.model.clone()));
        }
        if self.memo.len() > ours.len() {
            self.memo.retain(|_, memo| memo.seen == self.generation);
            self.memo.shrink_to(2 * self.memo.len());
        }
        ours.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| descending(&a.1.object, &b.1.object)));
        ours.into_iter().map(|(_, model)| model).collect()
    }
}

/// Seconds since 1970; without a time (a file) it is the oldest.
fn created(ingress: &Ingress) -> i64 {
    let time = ingress.metadata.creation_timestamp.as_ref();
    time.map_or(i64::MIN, |time| time.0.as_second())
}

fn descending(a: &ObjectRef, b: &ObjectRef) -> Ordering {
    fn text(object: &ObjectRef) -> impl Iterator<Item = u8> {
        let namespace = object.namespace.bytes();
        namespace.chain(*b"/").chain(object.name.bytes())
    }
    text(b).cmp(text(a))
}

fn has_default_backend(ingress: &Ingress) -> bool {
    let spec = ingress.spec.as_ref();
    spec.is_some_and(|spec| spec.default_backend.is_some())
}

fn catch_all_problem(ingress: &Arc<Ingress>) -> Problem {
    Problem {
        object: crate::objects::Object::Ingress(ingress.clone()).object_ref(),
        field: "spec.defaultBackend".to_owned(),
        reason: reason::CATCH_ALL_DISABLED,
        message: "Ingresses with a default backend are switched off".to_owned(),
        effect: Effect::ObjectRejected,
        fix: "remove `spec.defaultBackend`, or --disable-catch-all".to_owned(),
    }
}
