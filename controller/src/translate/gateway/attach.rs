//! Which routes attach to which listeners.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use tidegate_snapshot::{Effect, Hostname, ObjectRef, Problem};

use super::route::{self, Model};
use super::status::{Condition, Failure, RouteStatus, RouteStatuses};
use super::{contest, hostname, listener, reason};
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
    /// Where it would be, were it not for routes of another kind.
    lost_places: Box<[Place]>,
    pub(super) lost: Lost,
    problems: Box<[Arc<Problem>]>,
}

impl Attached {
    /// Where the route would be if it were alone.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().chain(&self.lost_places)
    }
}

/// The listeners that a route loses to one of another kind, which is named
/// ([`super::contest`]).
pub(super) type Lost = BTreeMap<usize, ObjectRef>;

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

impl Changes {
    /// One that has become another.
    fn replace(&mut self, before: Arc<Attached>, after: &Arc<Attached>) {
        match self.new.iter_mut().find(|new| Arc::ptr_eq(new, &before)) {
            Some(new) => *new = after.clone(),
            None => {
                self.gone.push(before);
                self.new.push(after.clone());
            }
        }
    }
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

    /// Follows the routes; `attach` judges each new one ([`attach`]), and those again
    /// that have come to lose something, or to have it back.
    pub(super) fn update(
        &mut self,
        routes: route::Changes,
        attach: impl Fn(&Arc<Model>, &Lost) -> Option<(RouteStatus, Attached)>,
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
            if let Some((status, attached)) = attach(model, &Lost::new()) {
                statuses.insert((model.kind, model.name()), Some(status));
                changes.new.push(Arc::new(attached));
            }
        }
        if !changes.new.is_empty() {
            self.insert(&changes.new);
        }
        for (at, lost) in contest::outcome(&self.list, &changes) {
            let before = self.list[at].clone();
            let Some((status, attached)) = attach(&before.route, &lost) else {
                continue;
            };
            statuses.insert((before.route.kind, before.route.name()), Some(status));
            self.list[at] = Arc::new(attached);
            changes.replace(before, &self.list[at]);
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
    lost: &Lost,
    listeners: &[listener::Model],
    is_ours: impl Fn(Kind, &str, &str) -> bool,
    objects: &Objects,
) -> Option<(RouteStatus, Attached)> {
    let (mut parents, mut problems) = (Vec::new(), Vec::new());
    let mut found = Found::default();
    for (index, parent) in route.parsed.parents.iter().enumerate() {
        let Some(kind) = parent_kind(parent) else { continue };
        let namespace = parent.namespace.as_deref().unwrap_or(&route.object.namespace);
        if !is_ours(kind, namespace, &parent.name) {
            continue;
        }
        let reference = Reference {
            parent,
            kind,
            namespace,
        };
        let outcome = attach_to(route, &reference, lost, listeners, objects, &mut found);
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
        parents.push((parent.clone(), conditions(accepted, route.resolved())));
    }
    if parents.is_empty() {
        return None;
    }
    problems.extend(route.problems.iter().cloned());
    // Without a place left the failure of the parent tells of it.
    let elsewhere = found.lost.iter().filter(|_| !found.places.is_empty());
    problems.extend(elsewhere.map(|place| Arc::new(contested(route, place, lost, listeners))));
    let status = RouteStatus {
        generation: route.generation,
        parents: parents.into(),
    };
    let attached = Attached {
        route: route.clone(),
        places: found.places.into(),
        lost_places: found.lost.into(),
        lost: lost.clone(),
        problems: problems.into(),
    };
    Some((status, attached))
}

/// What nearly every route is told; there are thousands.
static WELL: LazyLock<Arc<[Condition]>> = LazyLock::new(|| {
    let accepted = Condition::holds("Accepted", "Accepted");
    Arc::new([accepted, Condition::holds("ResolvedRefs", "ResolvedRefs")])
});

fn conditions(accepted: Condition, resolved: Condition) -> Arc<[Condition]> {
    let conditions = [accepted, resolved];
    if **WELL == conditions {
        return WELL.clone();
    }
    Arc::new(conditions)
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

/// A parent of ours.
struct Reference<'a> {
    parent: &'a ParentRef,
    kind: Kind,
    namespace: &'a str,
}

impl Reference<'_> {
    fn chooses(&self, listener: &listener::Model) -> bool {
        let (parent, owner) = (self.parent, &listener.owner);
        let section = parent.section_name.as_deref().unwrap_or_default();
        owner.kind == self.kind
            && *owner.namespace == *self.namespace
            && *owner.name == *parent.name
            && (section.is_empty() || section == listener.name)
            && parent.port.is_none_or(|port| port == listener.port)
    }
}

/// What has been found for all parents.
#[derive(Default)]
struct Found {
    places: Vec<Place>,
    lost: Vec<Place>,
}

/// # Errors
/// The reason of `Accepted: False`: that of the listener that came closest.
fn attach_to(
    route: &Arc<Model>,
    reference: &Reference<'_>,
    lost: &Lost,
    listeners: &[listener::Model],
    objects: &Objects,
    found: &mut Found,
) -> Result<(), Failure> {
    if let Err((_, failure)) = &route.parsed.rules {
        return Err(failure.clone());
    }
    let hostnames = route.parsed.hostnames.as_ref().map_err(Clone::clone)?;
    let mut failure = (
        0,
        Failure::new("NoMatchingParent", "no listener has that name and port"),
    );
    let mut fails = |closeness: u8, reason: &'static str, message: String| {
        if closeness >= failure.0 {
            failure = (closeness, Failure::new(reason, message));
        }
    };
    let mut any = false;
    let chosen = listeners.iter().enumerate();
    for (index, listener) in chosen.filter(|(_, listener)| reference.chooses(listener)) {
        if !listener.allows(objects, route.kind, &route.object.namespace) {
            let message = "the listener's `allowedRoutes` do not let in this kind or namespace";
            fails(1, "NotAllowedByListeners", message.to_owned());
            continue;
        }
        let mut common: Vec<_> = hostnames
            .iter()
            .filter_map(|hostname| hostname::intersect(&listener.hostname, hostname))
            .collect();
        if common.is_empty() {
            let message = format!(
                "no host name of the route is one of the listener's ({})",
                listener.hostname
            );
            fails(2, "NoMatchingListenerHostname", message);
            continue;
        }
        common.shrink_to_fit();
        let place = Place {
            listener: index,
            hostnames: common,
        };
        if let Some(winner) = lost.get(&index) {
            fails(3, contest::REASON, contest::message(winner, listener));
            found.lost.push(place);
            continue;
        }
        any = true;
        found.places.push(place);
    }
    if any { Ok(()) } else { Err(failure.1) }
}

/// A route that is served, but not on this listener.
fn contested(route: &Model, place: &Place, lost: &Lost, listeners: &[listener::Model]) -> Problem {
    let listener = &listeners[place.listener];
    let winner = lost.get(&place.listener).unwrap_or(&route.object);
    Problem {
        object: route.object.clone(),
        field: "spec.parentRefs".to_owned(),
        reason: reason::ROUTE_NOT_ATTACHED,
        message: contest::message(winner, listener),
        effect: Effect::Ignored,
        fix: String::new(),
    }
}
