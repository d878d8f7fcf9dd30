//! What follows from a translation besides the snapshot: problems are logged
//! once, counted, kept for the admin port and written as Events; accepted
//! Ingresses get their status and a `Sync` Event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_snapshot::{ObjectRef, Problem};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::controller::AskProblems;
use crate::events::Events;
use crate::infrastructure::Infrastructure;
use crate::metrics::Metrics;
use crate::objects::{Kind, NamespacedName, Objects};
use crate::state::State;
use crate::status::Statuses;
use crate::translate::Translation;

/// Turns the results of translations into logs, metrics, Events and statuses.
pub(crate) struct Report {
    metrics: Metrics,
    state: Arc<State>,
    /// Problems of the source (files), and of the last translation.
    source: Vec<Arc<Problem>>,
    translated: Vec<Arc<Problem>>,
    /// What the API server does not take.
    refused: Vec<Arc<Problem>>,
    /// What the data plane lacks, and who knows it.
    lacking: Vec<Arc<Problem>>,
    data_plane: Option<AskProblems>,
    /// All of them, as reported last; sorted.
    known: Arc<Vec<Arc<Problem>>>,
    /// Every reason seen, for the gauge.
    reasons: BTreeMap<&'static str, i64>,
    accepted: Arc<Vec<ObjectRef>>,
    /// Ingresses changed since the last translation.
    changed: BTreeSet<NamespacedName>,
    /// Only with an API server.
    events: Option<Events>,
    statuses: Option<Statuses>,
    infrastructure: Option<Infrastructure>,
    /// `None`: there is no election.
    leader: Option<watch::Receiver<bool>>,
}

impl Report {
    pub(crate) fn new(
        metrics: Metrics,
        state: Arc<State>,
        events: Option<Events>,
        statuses: Option<Statuses>,
        leader: Option<watch::Receiver<bool>>,
    ) -> Self {
        Self {
            metrics,
            state,
            source: Vec::new(),
            translated: Vec::new(),
            refused: Vec::new(),
            lacking: Vec::new(),
            data_plane: None,
            known: Arc::default(),
            reasons: BTreeMap::new(),
            accepted: Arc::default(),
            changed: BTreeSet::new(),
            events,
            statuses,
            infrastructure: None,
            leader,
        }
    }

    /// It also keeps the objects of Gateways.
    pub(crate) fn with_infrastructure(self, infrastructure: Option<Infrastructure>) -> Self {
        Self {
            infrastructure,
            ..self
        }
    }

    /// It also tells what the data plane lacks.
    pub(crate) fn with_data_plane(self, data_plane: AskProblems) -> Self {
        Self {
            data_plane: Some(data_plane),
            ..self
        }
    }

    /// Whether this replica leads, as it changes. Without an election the sender
    /// is gone: it never changes.
    pub(crate) fn leadership(&self) -> watch::Receiver<bool> {
        self.leader.clone().unwrap_or_else(|| watch::channel(false).1)
    }

    /// An object changed in a way that translation sees.
    pub(crate) fn object_changed(&mut self, kind: Kind, name: NamespacedName) {
        self.status_changed(kind, &name);
        if kind == Kind::Ingress {
            self.changed.insert(name);
        }
    }

    /// An object changed in a way that only statuses and objects of Gateways can
    /// depend on.
    pub(crate) fn status_changed(&mut self, kind: Kind, name: &NamespacedName) {
        if let Some(statuses) = &mut self.statuses {
            statuses.touch(kind, name);
        }
        if let Some(infrastructure) = &mut self.infrastructure {
            infrastructure.touch(kind, name);
        }
    }

    /// The end of a batch of changes: statuses that they ask for are queued.
    pub(crate) fn touched(&mut self, objects: &Objects) {
        if let Some(statuses) = &mut self.statuses {
            statuses.review_touched(objects, &self.accepted);
        }
        if let Some(infrastructure) = &mut self.infrastructure {
            infrastructure.review_touched(objects);
        }
    }

    /// Queues everything that differs, after a change of leadership.
    pub(crate) fn statuses(&mut self, objects: &Objects) {
        if let Some(statuses) = &mut self.statuses {
            statuses.review(objects, &self.accepted);
        }
        if let Some(infrastructure) = &mut self.infrastructure {
            infrastructure.review(objects);
        }
    }

    /// The source's problems, replacing its former ones.
    pub(crate) fn source_problems(&mut self, problems: Vec<Problem>, objects: &Objects) {
        self.source = problems.into_iter().map(Arc::new).collect();
        self.problems(objects);
    }

    /// The result of a translation.
    pub(crate) fn translated(&mut self, translation: Translation, objects: &Objects) {
        let Translation {
            accepted,
            newly_accepted,
            gateway_api,
            infrastructure: wanted,
            changed_routes,
            problems,
            ..
        } = translation;
        if let Some(infrastructure) = &mut self.infrastructure {
            infrastructure.translated(wanted);
        }
        if let Some(statuses) = &mut self.statuses {
            statuses.translated(gateway_api, changed_routes);
            for ingress in &newly_accepted {
                statuses.touch(Kind::Ingress, &name_of(ingress));
            }
        }
        if problems != self.translated {
            self.translated = problems;
            // First, so that warnings come before the flood of Sync events.
            self.problems(objects);
        }
        let changed = std::mem::take(&mut self.changed);
        if let Some(events) = &self.events {
            let changed = changed.into_iter().map(ingress_ref);
            let changed = changed.filter(|ingress| accepted.binary_search(ingress).is_ok());
            let told: BTreeSet<_> = newly_accepted.into_iter().chain(changed).collect();
            for ingress in &told {
                events.scheduled_for_sync(ingress, objects);
            }
        }
        self.accepted = accepted;
        self.touched(objects);
    }

    /// Looks again at what waits for something else than objects.
    pub(crate) fn tick(&mut self, objects: &Objects) {
        if let Some(statuses) = &mut self.statuses {
            statuses.tick(objects, &self.accepted);
        }
        let refused = self
            .infrastructure
            .as_mut()
            .and_then(|infrastructure| infrastructure.tick(objects));
        let lacking = self.data_plane.as_ref().map(|ask| (ask.0)());
        let lacking: Vec<_> = lacking.into_iter().flatten().map(Arc::new).collect();
        if refused.is_none() && lacking == self.lacking {
            return;
        }
        self.lacking = lacking;
        self.refused = refused.unwrap_or_else(|| std::mem::take(&mut self.refused));
        self.problems(objects);
    }

    /// Lets a leader that ends clear what it wrote, if asked to.
    pub(crate) async fn goodbye(&mut self, objects: &Objects) {
        if let Some(statuses) = &mut self.statuses {
            statuses.goodbye(objects, &self.accepted).await;
        }
    }

    fn problems(&mut self, objects: &Objects) {
        let mut all = self.translated.clone();
        let others = self.source.iter().chain(&self.refused).chain(&self.lacking);
        let before = all.len();
        all.extend(others.cloned());
        if all.len() > before {
            all.sort();
        }
        for problem in missing(&self.known, &all) {
            warn!(
                object = %problem.object,
                field = %problem.field,
                reason = problem.reason,
                effect = %problem.effect,
                fix = %problem.fix,
                "{}",
                problem.message
            );
            if let Some(events) = &self.events {
                events.problem(problem, objects);
            }
        }
        for problem in missing(&all, &self.known) {
            info!(object = %problem.object, field = %problem.field, reason = problem.reason, "problem solved");
        }
        self.metrics
            .count_problems(all.iter().map(|problem| &**problem), &mut self.reasons);
        self.known = Arc::new(all);
        self.state.set_problems(self.known.clone());
    }
}

fn name_of(ingress: &ObjectRef) -> NamespacedName {
    NamespacedName {
        namespace: ingress.namespace.clone(),
        name: ingress.name.clone(),
    }
}

fn ingress_ref(name: NamespacedName) -> ObjectRef {
    ObjectRef {
        kind: Kind::Ingress.as_str().into(),
        namespace: name.namespace,
        name: name.name,
    }
}

/// What `others` has that `known` has not; both are sorted. Nearly all are the very
/// same, which costs no comparison of texts.
fn missing<'a>(
    known: &'a [Arc<Problem>],
    others: &'a [Arc<Problem>],
) -> impl Iterator<Item = &'a Arc<Problem>> {
    let mut known = known.iter().peekable();
    others.iter().filter(move |problem| {
        while let Some(other) = known.peek() {
            if other == problem {
                return false;
            }
            if *other > problem {
                break;
            }
            known.next();
        }
        true
    })
}
