//! The Ingresses of our class, each parsed once, in merge order.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use tidegate_snapshot::{Effect, ObjectRef, Policies, Problem};

use super::class::Classes;
use super::ingress::{self, Model, RoutePolicies};
use super::lookup::{Lookup, Read};
use super::problems::Ledger;
use super::{problems, reason};
use crate::objects::{Cursor, Kind, NamespacedName, Objects};
use crate::options::Options;

/// Up to so many new ones find their places one by one.
const FEW: usize = 32;

/// Remembers the [`Model`] of each Ingress, and follows what the store says has changed.
#[derive(Debug)]
pub(super) struct Ingresses {
    memo: HashMap<NamespacedName, Memo>,
    /// The Ingresses that were parsed with a look at an object.
    readers: HashMap<(Kind, NamespacedName), BTreeSet<NamespacedName>>,
    defaults: RoutePolicies,
    /// Those of routes that have no Ingress.
    default_policies: Arc<Policies>,
    /// As of which `memo` is; and with which classes.
    read: Cursor,
    classes: Arc<HashSet<String>>,
    /// Those that are not rejected, in merge order: oldest first, equal times by
    /// descending `namespace/name` (ingress-nginx-behaviour §4).
    usable: Vec<Arc<Model>>,
    /// Their objects, sorted.
    accepted: Arc<Vec<ObjectRef>>,
    problems: Ledger,
    /// How many have names besides those of rules, or pass TLS through.
    special: usize,
    changes: Changes,
}

/// What became of Ingresses in one update. One that has changed both went and came;
/// those that are rejected are not there.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) gone: Vec<Arc<Model>>,
    pub(super) new: Vec<Arc<Model>>,
    /// The objects of new ones that were not there before, sorted.
    pub(super) accepted: Vec<ObjectRef>,
}

#[derive(Debug)]
struct Memo {
    ingress: Arc<Ingress>,
    /// `None`: it may not be used at all.
    model: Option<Arc<Model>>,
    problems: Box<[Arc<Problem>]>,
    /// The other objects that the model was made with.
    reads: Box<[Read]>,
}

impl Memo {
    fn new(ingress: &Arc<Ingress>, objects: &Objects, options: &Options, defaults: &RoutePolicies) -> Self {
        let ingress = ingress.clone();
        if options.disable_catch_all && has_default_backend(&ingress) {
            return Self {
                problems: problems::shared(vec![catch_all_problem(&ingress)]),
                model: None,
                reads: Box::default(),
                ingress,
            };
        }
        let lookup = Lookup::new(objects);
        let model = ingress::parse(&ingress, options, &lookup, defaults);
        Self {
            problems: model.problems.clone(),
            model: Some(Arc::new(model)),
            reads: lookup.into_reads(),
            ingress,
        }
    }

    fn is_current(&self, ingress: &Arc<Ingress>, objects: &Objects) -> bool {
        Arc::ptr_eq(&self.ingress, ingress) && self.reads.iter().all(|read| read.is_current(objects))
    }
}

impl Ingresses {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            memo: HashMap::new(),
            readers: HashMap::new(),
            defaults: RoutePolicies::defaults(options),
            default_policies: RoutePolicies::of_default_backend(options),
            read: Cursor::default(),
            classes: Arc::default(),
            usable: Vec::new(),
            accepted: Arc::default(),
            problems: Ledger::default(),
            special: 0,
            changes: Changes::default(),
        }
    }

    /// Options have changed: every Ingress is parsed anew.
    pub(super) fn reconfigure(&mut self, options: &Options) {
        self.defaults = RoutePolicies::defaults(options);
        self.default_policies = RoutePolicies::of_default_backend(options);
        let known: Vec<_> = self.memo.keys().cloned().collect();
        for name in known {
            self.forget(&name);
        }
        self.read = Cursor::default();
    }

    /// Whether any of them was parsed with a look at this object.
    pub(super) fn reads(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.readers
            .contains_key(&(kind, NamespacedName::new(namespace, name)))
    }

    /// The names of our IngressClasses.
    pub(super) fn classes(&self) -> &Arc<HashSet<String>> {
        &self.classes
    }

    /// The policies of a route that has no Ingress.
    pub(super) fn default_policies(&self) -> &Arc<Policies> {
        &self.default_policies
    }

    /// Those that are not rejected, in merge order.
    pub(super) fn usable(&self) -> &[Arc<Model>] {
        &self.usable
    }

    /// Those that make hosts, in merge order; none at all when none of them has names
    /// besides those of rules or passes TLS through.
    pub(super) fn special(&self) -> Vec<Arc<Model>> {
        if self.special == 0 {
            return Vec::new();
        }
        let serving = self.usable.iter().filter(|model| model.serves());
        serving.cloned().collect()
    }

    /// Their objects, sorted.
    pub(super) fn accepted(&self) -> &Arc<Vec<ObjectRef>> {
        &self.accepted
    }

    /// What is wrong with each by itself.
    pub(super) fn problems(&self) -> &Ledger {
        &self.problems
    }

    /// Takes in every Ingress of our class that has changed.
    pub(super) fn update(&mut self, objects: &Objects, classes: &Classes<'_>, options: &Options) -> Changes {
        for name in self.candidates(objects, classes) {
            let ingress = objects.ingress(&name.namespace, &name.name);
            let ingress = ingress.filter(|ingress| classes.accept(ingress));
            let known = self.memo.get(&name);
            if let (Some(known), Some(ingress)) = (known, ingress)
                && known.is_current(ingress, objects)
            {
                continue;
            }
            if known.is_some() {
                self.forget(&name);
            }
            if let Some(ingress) = ingress {
                let memo = Memo::new(ingress, objects, options, &self.defaults);
                self.remember(name, memo);
            }
        }
        self.read = objects.cursor();
        self.memo.shrink_to(2 * self.memo.len());
        let mut changes = std::mem::take(&mut self.changes);
        self.arrange(&mut changes);
        changes
    }

    /// The Ingresses that may have changed.
    fn candidates(&mut self, objects: &Objects, classes: &Classes<'_>) -> BTreeSet<NamespacedName> {
        let same_classes = classes.are(&self.classes);
        if !same_classes {
            self.classes = Arc::new(classes.names());
        }
        let Some(changed) = objects.changed_since(&self.read).filter(|_| same_classes) else {
            let stored = objects.names(Kind::Ingress);
            return stored.into_iter().chain(self.memo.keys().cloned()).collect();
        };
        let mut candidates = BTreeSet::new();
        for (kind, name) in changed {
            if kind == Kind::Ingress {
                candidates.insert(name.clone());
            } else if let Some(readers) = self.readers.get(&(kind, name.clone())) {
                candidates.extend(readers.iter().cloned());
            }
        }
        candidates
    }

    fn remember(&mut self, name: NamespacedName, memo: Memo) {
        for read in &memo.reads {
            self.readers.entry(read.of()).or_default().insert(name.clone());
        }
        self.problems.add(&memo.problems);
        self.special += usize::from(memo.is_special());
        self.changes.new.extend(memo.usable().cloned());
        self.memo.insert(name, memo);
    }

    fn forget(&mut self, name: &NamespacedName) {
        let Some(memo) = self.memo.remove(name) else {
            return;
        };
        for read in &memo.reads {
            let of = read.of();
            if let Some(readers) = self.readers.get_mut(&of) {
                readers.remove(name);
                if readers.is_empty() {
                    self.readers.remove(&of);
                }
            }
        }
        self.problems.remove(&memo.problems);
        self.special -= usize::from(memo.is_special());
        self.changes.gone.extend(memo.usable().cloned());
    }

    /// Brings the lists up to date.
    fn arrange(&mut self, Changes { gone, new, accepted }: &mut Changes) {
        if gone.len() <= FEW {
            for model in &*gone {
                let at = self.usable.binary_search_by(|other| precedence(other, model));
                if let Ok(at) = at {
                    self.usable.remove(at);
                }
            }
        } else {
            let gone: HashSet<_> = gone.iter().map(Arc::as_ptr).collect();
            self.usable.retain(|model| !gone.contains(&Arc::as_ptr(model)));
        }
        if new.len() <= FEW {
            for model in &*new {
                let at = self
                    .usable
                    .partition_point(|other| precedence(other, model).is_lt());
                self.usable.insert(at, model.clone());
            }
        } else {
            self.usable.extend(new.iter().cloned());
            self.usable.sort_unstable_by(|a, b| precedence(a, b));
        }
        let objects = |models: &[Arc<Model>]| -> BTreeSet<ObjectRef> {
            models.iter().map(|model| model.object.clone()).collect()
        };
        let (gone, new) = (objects(gone), objects(new));
        if gone == new {
            return;
        }
        *accepted = new.difference(&gone).cloned().collect();
        let all = Arc::make_mut(&mut self.accepted);
        if !gone.is_subset(&new) {
            all.retain(|object| new.contains(object) || !gone.contains(object));
        }
        if accepted.len() <= FEW {
            for object in &*accepted {
                let at = all.partition_point(|other| other < object);
                all.insert(at, object.clone());
            }
        } else {
            all.extend(accepted.iter().cloned());
            all.sort_unstable();
        }
    }
}

impl Memo {
    fn is_special(&self) -> bool {
        self.usable()
            .is_some_and(|model| model.from_to_www || !model.aliases.is_empty() || model.passthrough)
    }

    fn usable(&self) -> Option<&Arc<Model>> {
        self.model.as_ref().filter(|model| !model.rejected)
    }
}

/// The order in which Ingresses are merged.
pub(super) fn precedence(a: &Model, b: &Model) -> Ordering {
    a.created
        .cmp(&b.created)
        .then_with(|| descending(&a.object, &b.object))
}

/// As texts `namespace/name`, the greatest first.
fn descending(a: &ObjectRef, b: &ObjectRef) -> Ordering {
    if a.namespace == b.namespace {
        return b.name.cmp(&a.name);
    }
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
