//! Which routes attach to which listeners.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tidegate_snapshot::{Effect, Hostname, Problem};

use super::route::{self, Model};
use super::status::{Condition, Failure, RouteStatus, RouteStatuses};
use super::{hostname, listener, reason};
use crate::gateway_api::{GROUP, ParentRef};
use crate::objects::{Kind, NamespacedName, Objects};
use crate::translate::problems::{self, Problems};

/// Up to so many new ones find their places one by one.
const FEW: usize = 32;

/// A route with the listeners that it is attached to.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) route: Arc<Model>,
    pub(super) places: Box<[Place]>,
    problems: Box<[Arc<Problem>]>,
}

/// The hosts that a route serves on a listener.
#[derive(Debug)]
pub(super) struct Place {
    /// Index of the listener.
    pub(super) listener: usize,
    pub(super) hostnames: Vec<Hostname>,
}

/// Every route with a parent of ours.
#[derive(Debug, Default)]
pub(super) struct Attachments {
    /// The oldest first.
    list: Vec<Arc<Attached>>,
    /// Of all of them, sorted, each once.
    problems: Vec<Arc<Problem>>,
    statuses: Arc<RouteStatuses>,
    /// The statuses that the latest update changed.
    changed: Vec<(Kind, NamespacedName)>,
}

/// What became of attachments in one update.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) gone: Vec<Arc<Attached>>,
    pub(super) new: Vec<Arc<Attached>>,
}

impl Attachments {
    /// The oldest first.
    pub(super) fn list(&self) -> &[Arc<Attached>] {
        &self.list
    }

    /// The status of each; the same `Arc` while none has changed.
    pub(super) fn statuses(&self) -> &Arc<RouteStatuses> {
        &self.statuses
    }

    /// The routes whose status the latest update changed.
    pub(super) fn changed(&self) -> &[(Kind, NamespacedName)] {
        &self.changed
    }

    /// Follows the routes; `attach` judges each new one ([`attach`]).
    pub(super) fn update(
        &mut self,
        routes: route::Changes,
        attach: impl Fn(&Arc<Model>) -> Option<(RouteStatus, Attached)>,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut statuses = BTreeMap::new();
        let gone: HashSet<_> = routes.gone.iter().map(Arc::as_ptr).collect();
        if !gone.is_empty() {
            self.list.retain(|attached| {
                let stays = !gone.contains(&Arc::as_ptr(&attached.route));
                if !stays {
                    statuses.insert((attached.route.kind, attached.route.name()), None);
                    changes.gone.push(attached.clone());
                }
                stays
            });
        }
        for model in &routes.new {
            if let Some((status, attached)) = attach(model) {
                statuses.insert((model.kind, model.name()), Some(status));
                changes.new.push(Arc::new(attached));
            }
        }
        if !changes.new.is_empty() {
            self.insert(&changes.new);
        }
        self.changed.clear();
        for (target, status) in statuses {
            self.write(target, status);
        }
        self.complain(&changes);
        changes
    }

    /// Adds to the list.
    fn insert(&mut self, new: &[Arc<Attached>]) {
        if new.len() > FEW {
            self.list.extend_from_slice(new);
            self.list
                .sort_by(|a, b| a.route.seniority().cmp(&b.route.seniority()));
            return;
        }
        for attached in new {
            let seniority = attached.route.seniority();
            let at = self
                .list
                .partition_point(|other| other.route.seniority() < seniority);
            self.list.insert(at, attached.clone());
        }
    }

    /// Brings the problems up to date.
    fn complain(&mut self, changes: &Changes) {
        let of = |attached: &[Arc<Attached>]| -> Vec<Arc<Problem>> {
            let problems = attached.iter().flat_map(|attached| &attached.problems);
            problems.cloned().collect()
        };
        let gone = of(&changes.gone);
        if !gone.is_empty() {
            let gone: HashSet<_> = gone.iter().map(Arc::as_ptr).collect();
            self.problems
                .retain(|problem| !gone.contains(&Arc::as_ptr(problem)));
        }
        problems::merge(&mut self.problems, of(&changes.new));
    }

    fn write(&mut self, target: (Kind, NamespacedName), status: Option<RouteStatus>) {
        if self.statuses.get(&target).map(|known| &**known) == status.as_ref() {
            return;
        }
        self.changed.push(target.clone());
        let statuses = Arc::make_mut(&mut self.statuses);
        match status {
            Some(status) => drop(statuses.insert(target, Arc::new(status))),
            None => drop(statuses.remove(&target)),
        }
    }

    /// Counts the routes of each listener, and tells what is wrong with them.
    pub(super) fn tell(&self, listeners: &mut [listener::Model], problems: &mut Problems) {
        for attached in &self.list {
            for place in &attached.places {
                listeners[place.listener].attached += 1;
            }
        }
        problems.remember(self.problems.iter());
    }
}

/// Attaches a route to all of its parents that are ours. `None` when none is.
pub(super) fn attach(
    route: &Arc<Model>,
    listeners: &[listener::Model],
    is_ours: impl Fn(Kind, &str, &str) -> bool,
    objects: &Objects,
) -> Option<(RouteStatus, Attached)> {
    let (mut parents, mut places, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (index, parent) in route.parsed.parents.iter().enumerate() {
        let Some(kind) = parent_kind(parent) else { continue };
        let namespace = parent.namespace.as_deref().unwrap_or(&route.object.namespace);
        if !is_ours(kind, namespace, &parent.name) {
            continue;
        }
        let outcome = attach_to(route, parent, kind, namespace, listeners, objects, &mut places);
        if let Err(failure) = &outcome {
            problems.push(Arc::new(Problem {
                object: route.object.clone(),
                field: match &route.parsed.rules {
                    Err((field, _)) => field.clone(),
                    Ok(_) => format!("spec.parentRefs[{index}]"),
                },
                reason: reason::ROUTE_NOT_ATTACHED,
                message: failure.message.clone(),
                effect: Effect::ObjectRejected,
                fix: String::new(),
            }));
        }
        let accepted = Condition::unless("Accepted", "Accepted", outcome.as_ref().err());
        parents.push((parent.clone(), vec![accepted, route.resolved()]));
    }
    if parents.is_empty() {
        return None;
    }
    problems.extend(route.problems.iter().cloned());
    let status = RouteStatus {
        generation: route.generation,
        parents,
    };
    let attached = Attached {
        route: route.clone(),
        places: places.into(),
        problems: problems.into(),
    };
    Some((status, attached))
}

/// The kind of a parent, if it is one that has listeners.
pub(super) fn parent_kind(parent: &ParentRef) -> Option<Kind> {
    if parent.group.as_deref().unwrap_or(GROUP) != GROUP {
        return None;
    }
    match parent.kind.as_deref().unwrap_or("Gateway") {
        "Gateway" => Some(Kind::Gateway),
        "ListenerSet" => Some(Kind::ListenerSet),
        _ => None,
    }
}

/// # Errors
/// The reason of `Accepted: False`, in the order of the specification.
fn attach_to(
    route: &Arc<Model>,
    parent: &ParentRef,
    kind: Kind,
    namespace: &str,
    listeners: &[listener::Model],
    objects: &Objects,
    places: &mut Vec<Place>,
) -> Result<(), Failure> {
    if let Err((_, failure)) = &route.parsed.rules {
        return Err(failure.clone());
    }
    let hostnames = route.parsed.hostnames.as_ref().map_err(Clone::clone)?;
    let chosen = |listener: &listener::Model| {
        let owner = &listener.owner;
        owner.kind == kind
            && *owner.namespace == *namespace
            && *owner.name == *parent.name
            && parent
                .section_name
                .as_ref()
                .is_none_or(|name| name.is_empty() || *name == listener.name)
            && parent.port.is_none_or(|port| port == listener.port)
    };
    let mut failure = Failure::new("NoMatchingParent", "no listener has that name and port");
    let mut any = false;
    for (index, listener) in listeners
        .iter()
        .enumerate()
        .filter(|(_, listener)| chosen(listener))
    {
        if !listener.allows(objects, route.kind, &route.object.namespace) {
            if failure.reason == "NoMatchingParent" {
                failure = Failure::new(
                    "NotAllowedByListeners",
                    "the listener's `allowedRoutes` do not let in this kind or namespace",
                );
            }
            continue;
        }
        let mut common: Vec<_> = hostnames
            .iter()
            .filter_map(|hostname| hostname::intersect(&listener.hostname, hostname))
            .collect();
        if common.is_empty() {
            failure = Failure::new(
                "NoMatchingListenerHostname",
                format!(
                    "no host name of the route is one of the listener's ({})",
                    listener.hostname
                ),
            );
            continue;
        }
        common.shrink_to_fit();
        any = true;
        places.push(Place {
            listener: index,
            hostnames: common,
        });
    }
    if any { Ok(()) } else { Err(failure) }
}
