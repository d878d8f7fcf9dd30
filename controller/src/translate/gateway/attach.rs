//! Which routes attach to which listeners.

use std::sync::Arc;

use tidegate_snapshot::{Effect, Hostname, Problem};

use super::listener;
use super::route::Model;
use super::status::{Condition, Failure, RouteStatus};
use super::{hostname, reason};
use crate::gateway_api::{GROUP, ParentRef};
use crate::objects::{Kind, Objects};

/// The hosts that a route serves on a listener.
pub(super) struct Attached {
    /// Index of the listener.
    pub(super) listener: usize,
    pub(super) hostname: Hostname,
    pub(super) route: Arc<Model>,
}

/// Attaches a route to all of its parents that are ours. `None` when none is.
pub(super) fn attach(
    route: &Arc<Model>,
    listeners: &mut [listener::Model],
    is_ours: impl Fn(Kind, &str, &str) -> bool,
    objects: &Objects,
    attached: &mut Vec<Attached>,
    problems: &mut Vec<Problem>,
) -> Option<RouteStatus> {
    let mut parents = Vec::new();
    for (index, parent) in route.parsed.parents.iter().enumerate() {
        let Some(kind) = parent_kind(parent) else { continue };
        let namespace = parent.namespace.as_deref().unwrap_or(&route.object.namespace);
        if !is_ours(kind, namespace, &parent.name) {
            continue;
        }
        let outcome = attach_to(route, parent, kind, namespace, listeners, objects, attached);
        if let Err(failure) = &outcome {
            problems.push(Problem {
                object: route.object.clone(),
                field: match &route.parsed.rules {
                    Err((field, _)) => field.clone(),
                    Ok(_) => format!("spec.parentRefs[{index}]"),
                },
                reason: reason::ROUTE_NOT_ATTACHED,
                message: failure.message.clone(),
                effect: Effect::ObjectRejected,
                fix: String::new(),
            });
        }
        let accepted = Condition::unless("Accepted", "Accepted", outcome.as_ref().err());
        parents.push((parent.clone(), vec![accepted, route.resolved()]));
    }
    if parents.is_empty() {
        return None;
    }
    problems.extend(route.problems.iter().cloned());
    Some(RouteStatus {
        generation: route.generation,
        parents,
    })
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
    listeners: &mut [listener::Model],
    objects: &Objects,
    attached: &mut Vec<Attached>,
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
        .iter_mut()
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
        let common: Vec<_> = hostnames
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
        any = true;
        listener.attached += 1;
        attached.extend(common.into_iter().map(|hostname| Attached {
            listener: index,
            hostname,
            route: route.clone(),
        }));
    }
    if any { Ok(()) } else { Err(failure) }
}
