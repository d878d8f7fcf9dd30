//! The loop between provider and gateway: one task that alone owns the store
//! and the translator. In: [`ProviderEvent`]s. Out: [`Publication`]s, and what
//! [`Report`] makes of a translation (logs, Events, statuses).
//!
//! - Nothing is published before the provider is in sync.
//! - A change is translated at once, but translation rests twice as long as it
//!   took (500 ms at most): then all that has come is translated together.
//! - A change of endpoints alone never waits: its clusters are published
//!   without a translation.

mod debounce;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tidegate_snapshot::{Changed, ClusterKey, Publication, Snapshot};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info};

use crate::metrics::Metrics;
use crate::objects::{Change, Kind, NamespacedName, Object, Objects};
use crate::provider::{ObjectChange, ProviderEvent, Scope, Update};
use crate::state::State;
use crate::translate::Translator;
use debounce::Debounce;

pub(crate) use report::Report;

/// Takes each publication; called on the reconciler's task, in order.
pub type Publish = Box<dyn Fn(Publication) + Send>;

/// The most events that are taken in before anything is published.
const BATCH: usize = 1000;

/// How often that is looked at which waits for something else than objects.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// The store, its translator, and what was published last.
pub(crate) struct Reconciler {
    objects: Objects,
    translator: Translator,
    publish: Publish,
    report: Report,
    metrics: Metrics,
    state: Arc<State>,
    synced: bool,
    debounce: Debounce,
    /// Services whose endpoints changed since the last publication, and the
    /// oldest of those changes.
    services: BTreeSet<NamespacedName>,
    services_since: Option<Instant>,
    snapshot: Arc<Snapshot>,
    generation: u64,
    /// Ingresses served and not, as last logged.
    told: Option<(usize, usize)>,
}

impl Reconciler {
    pub(crate) fn new(
        translator: Translator,
        publish: Publish,
        report: Report,
        metrics: Metrics,
        state: Arc<State>,
    ) -> Self {
        Self {
            objects: Objects::new(),
            translator,
            publish,
            report,
            metrics,
            state,
            synced: false,
            debounce: Debounce::default(),
            services: BTreeSet::new(),
            services_since: None,
            snapshot: Arc::default(),
            generation: 0,
            told: None,
        }
    }

    /// Runs until `shutdown` turns true or the provider is gone, then lets the
    /// leader say goodbye in the statuses.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<ProviderEvent>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut leader = self.report.leadership();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => break,
                Ok(()) = leader.changed() => self.lead(*leader.borrow_and_update()),
                () = self.debounce.due(), if self.synced => self.translate(),
                _ = tick.tick(), if self.synced => self.report.tick(&self.objects),
                event = events.recv() => match event {
                    Some(event) => self.take(event, &mut events),
                    None => break,
                },
            }
        }
        self.report.goodbye(&self.objects).await;
    }

    fn lead(&mut self, leader: bool) {
        self.state.set_leader(leader);
        self.metrics.is_leader.set(leader.into());
        self.report.statuses(&self.objects);
    }

    /// Takes in what waits, then publishes what must not wait.
    fn take(&mut self, event: ProviderEvent, more: &mut mpsc::Receiver<ProviderEvent>) {
        self.absorb(event);
        for _ in 1..BATCH {
            let Ok(event) = more.try_recv() else { break };
            self.absorb(event);
        }
        if !self.synced {
            return;
        }
        if self.debounce.is_due(tokio::time::Instant::now()) {
            self.translate();
        } else {
            self.publish_endpoints();
        }
        self.report.touched(&self.objects);
    }

    fn absorb(&mut self, event: ProviderEvent) {
        let arrived = event.arrived;
        match event.update {
            Update::Changes(changes) => {
                for change in changes {
                    self.change(change, arrived);
                }
            }
            Update::Relist { kind, scope, objects } => self.relist(kind, &scope, objects, arrived),
            Update::Definitions(definitions) => {
                if self.objects.define(definitions) != Change::None {
                    self.debounce.touch(arrived, tokio::time::Instant::now());
                }
            }
            Update::Problems(problems) => self.report.source_problems(problems, &self.objects),
            Update::Synced => {
                if !self.synced {
                    self.synced = true;
                    self.state.set_synced();
                    info!(ingresses = self.objects.ingress_count(), "objects in sync");
                    // Even an empty store is published: nothing is a state too.
                    self.debounce.force(arrived, tokio::time::Instant::now());
                }
            }
        }
    }

    fn relist(&mut self, kind: Kind, scope: &Scope, objects: Vec<Object>, arrived: Instant) {
        debug!(%kind, ?scope, count = objects.len(), "list replaced");
        let listed: BTreeSet<NamespacedName> = objects.iter().map(Object::namespaced_name).collect();
        for name in self.objects.names(kind) {
            if scope.contains(&name) && !listed.contains(&name) {
                self.change(ObjectChange::Delete(kind, name), arrived);
            }
        }
        for object in objects {
            self.change(ObjectChange::Apply(object), arrived);
        }
    }

    fn change(&mut self, change: ObjectChange, arrived: Instant) {
        let (kind, name) = match &change {
            ObjectChange::Apply(object) => (object.kind(), object.namespaced_name()),
            ObjectChange::Delete(kind, name) => (*kind, name.clone()),
        };
        let effect = match change {
            ObjectChange::Apply(object) => self.objects.apply(object),
            ObjectChange::Delete(..) => self.objects.delete(kind, &name.namespace, &name.name),
        };
        match effect {
            Change::None => {}
            Change::Status => self.report.status_changed(kind, &name),
            Change::Endpoints { namespace, service } => {
                self.report.status_changed(kind, &name);
                self.services.insert(NamespacedName {
                    namespace,
                    name: service,
                });
                self.services_since.get_or_insert(arrived);
            }
            // A cluster has many ConfigMaps, and most are nobody's here.
            Change::Everything
                if kind == Kind::ConfigMap
                    && self.synced
                    && !self.translator.reads(kind, &name.namespace, &name.name) =>
            {
                self.report.status_changed(kind, &name);
            }
            Change::Everything => {
                self.report.object_changed(kind, name);
                self.debounce.touch(arrived, tokio::time::Instant::now());
            }
        }
    }

    /// Translates everything, and publishes it if it differs.
    fn translate(&mut self) {
        let Some(since) = self.debounce.take() else { return };
        let since = self.services_since.take().map_or(since, |other| other.min(since));
        self.services.clear();
        let started = Instant::now();
        let translation = self.translator.translate(&self.objects);
        let took = started.elapsed();
        self.metrics.translations.inc();
        self.metrics.translation_seconds.observe(took.as_secs_f64());
        debug!(?took, problems = translation.problems.len(), "translated");
        self.tell_classes(translation.accepted.len());
        self.state.set_judge(self.translator.judge());
        if self.generation == 0 || self.snapshot != translation.snapshot {
            self.publish(translation.snapshot.clone(), Changed::Everything, since);
        }
        self.report.translated(translation, &self.objects);
        for kind in Kind::ALL {
            let count = i64::try_from(self.objects.count(*kind)).unwrap_or(i64::MAX);
            self.metrics
                .objects
                .with_label_values(&[kind.as_str()])
                .set(count);
        }
        self.debounce.done(started.elapsed(), tokio::time::Instant::now());
    }

    /// Says how many Ingresses are served and how many are of another class: a
    /// wrong class is the commonest reason for "nothing happens".
    fn tell_classes(&mut self, served: usize) {
        let others = self.objects.ingress_count().saturating_sub(served);
        if self.told != Some((served, others)) {
            self.told = Some((served, others));
            info!(served, of_other_classes = others, "ingresses");
        }
    }

    /// Publishes new endpoints of clusters that the last translation made.
    fn publish_endpoints(&mut self) {
        let Some(since) = self.services_since.take() else {
            return;
        };
        let mut changed: Vec<ClusterKey> = Vec::new();
        let mut endpoints = self.snapshot.endpoints.clone();
        for service in std::mem::take(&mut self.services) {
            for (key, list) in self
                .translator
                .endpoints(&self.objects, &service.namespace, &service.name)
            {
                if endpoints.get(&key) == Some(&list) || (list.is_empty() && !endpoints.contains_key(&key)) {
                    continue;
                }
                Arc::make_mut(&mut endpoints).insert(key.clone(), list);
                changed.push(key);
            }
        }
        if changed.is_empty() {
            return;
        }
        let snapshot = Snapshot {
            endpoints,
            ..Snapshot::clone(&self.snapshot)
        };
        self.publish(Arc::new(snapshot), Changed::Endpoints(changed), since);
    }

    fn publish(&mut self, snapshot: Arc<Snapshot>, changed: Changed, event: Instant) {
        self.generation += 1;
        let label = match &changed {
            Changed::Everything => "everything",
            Changed::Endpoints(_) => "endpoints",
        };
        self.metrics.publications.with_label_values(&[label]).inc();
        // The one before is dropped here, off the request path.
        self.snapshot = snapshot.clone();
        (self.publish)(Publication {
            generation: self.generation,
            snapshot,
            changed,
            event,
        });
        self.state.set_generation(self.generation);
    }
}
