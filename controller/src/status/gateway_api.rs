//! Statuses of Gateway API objects: what they should say becomes a patch, if
//! they say something else. Only our own entries are touched; a condition that
//! stays keeps its time.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};
use tidegate_snapshot::ListenerKey;

use crate::gateway_api::{GROUP, ParentRef};
use crate::objects::{CustomStatus, NamespacedName};
use crate::translate::gateway::status::{
    Address, ClassStatus, Condition, Failure, GatewayStatus, ListenerStatus, PolicyStatus, RouteStatus,
};

/// Whether each listener of the snapshot is bound, or why not.
pub type Bound = BTreeMap<ListenerKey, Result<(), String>>;

/// A status as last seen, read.
pub(crate) struct Seen {
    /// The whole of it; null when there is none.
    value: Value,
    /// The version of the object that it was seen with.
    resource_version: Box<str>,
}

impl From<&CustomStatus> for Seen {
    fn from(status: &CustomStatus) -> Self {
        Self {
            value: status.value(),
            resource_version: status.resource_version.clone(),
        }
    }
}

/// What a status is made with besides itself.
pub(crate) struct Scene<'a> {
    /// The controller's name, which marks our entries.
    pub(crate) controller: &'a str,
    /// What serves.
    pub(crate) bound: &'a Bound,
    /// Where Gateways without an address of their own are reached; `None`: not
    /// known yet.
    pub(crate) shared: Option<&'a [String]>,
    /// Where a Service is reached; `None`: there is none.
    pub(crate) service: &'a dyn Fn(&NamespacedName) -> Option<Vec<String>>,
    /// For conditions that change.
    pub(crate) now: Timestamp,
}

/// The patch for a GatewayClass.
pub(crate) fn class(wanted: &ClassStatus, current: &Seen, scene: &Scene<'_>) -> Option<Value> {
    let features: Vec<Value> = wanted
        .features
        .iter()
        .map(|name| json!({ "name": name }))
        .collect();
    let status = json!({
        "conditions": conditions(&wanted.conditions, wanted.generation, &current.value, scene),
        "supportedFeatures": features,
    });
    patch(status, current)
}

/// The patch for a Gateway.
pub(crate) fn gateway(wanted: &GatewayStatus, current: &Seen, scene: &Scene<'_>) -> Option<Value> {
    let addresses: Option<Vec<String>> = match &wanted.address {
        Address::Own(addresses) => Some(addresses.iter().map(ToString::to_string).collect()),
        Address::Service { name, .. } => Some((scene.service)(name).unwrap_or_default()),
        Address::Shared => scene.shared.map(<[String]>::to_vec),
        Address::None => Some(Vec::new()),
    };
    let mut all = wanted.conditions.clone();
    all.push(programmed(wanted, addresses.as_deref(), scene.bound));
    let mut status = json!({
        "conditions": conditions(&all, wanted.generation, &current.value, scene),
        "listeners": listeners(&wanted.listeners, wanted.generation, current, scene),
    });
    if wanted.attached_sets > 0 || current.value.get("attachedListenerSets").is_some() {
        status["attachedListenerSets"] = wanted.attached_sets.into();
    }
    if let Some(addresses) = addresses {
        status["addresses"] = addresses.iter().map(|address| self::address(address)).collect();
    }
    patch(status, current)
}

/// The patch for a ListenerSet.
pub(crate) fn listener_set(wanted: &GatewayStatus, current: &Seen, scene: &Scene<'_>) -> Option<Value> {
    let mut all = wanted.conditions.clone();
    all.push(programmed(wanted, None, scene.bound));
    let status = json!({
        "conditions": conditions(&all, wanted.generation, &current.value, scene),
        "listeners": listeners(&wanted.listeners, wanted.generation, current, scene),
    });
    patch(status, current)
}

/// The patch for a route. Without `wanted` our entries go.
pub(crate) fn route(wanted: Option<&RouteStatus>, current: &Seen, scene: &Scene<'_>) -> Option<Value> {
    let before: &[Value] = match current.value.get("parents").and_then(Value::as_array) {
        Some(parents) => parents,
        None => &[],
    };
    let is_ours =
        |entry: &&Value| entry.get("controllerName").and_then(Value::as_str) == Some(scene.controller);
    let mut parents: Vec<Value> = before.iter().filter(|entry| !is_ours(entry)).cloned().collect();
    if wanted.is_none() && parents.len() == before.len() {
        return None;
    }
    for (parent, all) in wanted.iter().flat_map(|wanted| &wanted.parents) {
        let reference = reference(parent);
        let known = before
            .iter()
            .filter(is_ours)
            .find(|entry| entry.get("parentRef") == Some(&reference));
        let generation = wanted.map_or(0, |wanted| wanted.generation);
        parents.push(json!({
            "parentRef": reference,
            "controllerName": scene.controller,
            "conditions": conditions(all, generation, known.unwrap_or(&Value::Null), scene),
        }));
    }
    patch(json!({ "parents": parents }), current)
}

/// The patch for a BackendTLSPolicy. Without `wanted` our entries go.
pub(crate) fn policy(wanted: Option<&PolicyStatus>, current: &Seen, scene: &Scene<'_>) -> Option<Value> {
    let before: &[Value] = match current.value.get("ancestors").and_then(Value::as_array) {
        Some(ancestors) => ancestors,
        None => &[],
    };
    let is_ours =
        |entry: &&Value| entry.get("controllerName").and_then(Value::as_str) == Some(scene.controller);
    let mut ancestors: Vec<Value> = before.iter().filter(|entry| !is_ours(entry)).cloned().collect();
    if wanted.is_none() && ancestors.len() == before.len() {
        return None;
    }
    if let Some(wanted) = wanted {
        for gateway in &wanted.ancestors {
            let reference = json!({
                "group": GROUP,
                "kind": "Gateway",
                "namespace": &*gateway.namespace,
                "name": &*gateway.name,
            });
            let mut ours = before.iter().filter(is_ours);
            let known = ours.find(|entry| entry.get("ancestorRef") == Some(&reference));
            let known = known.unwrap_or(&Value::Null);
            ancestors.push(json!({
                "ancestorRef": reference,
                "controllerName": scene.controller,
                "conditions": conditions(&wanted.conditions, wanted.generation, known, scene),
            }));
        }
    }
    // "A maximum of 16 ancestors."
    ancestors.truncate(16);
    patch(json!({ "ancestors": ancestors }), current)
}

/// A patch of the fields in `status` that differ; against the version that was
/// seen, so that nobody else's entries get lost.
fn patch(status: Value, current: &Seen) -> Option<Value> {
    let Value::Object(mut fields) = status else {
        return None;
    };
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    fields.retain(|name, value| match current.value.get(name) {
        Some(before) => before != value,
        None => !empty(value),
    });
    if fields.is_empty() {
        return None;
    }
    let mut patch = json!({ "status": fields });
    if !current.resource_version.is_empty() {
        patch["metadata"] = json!({ "resourceVersion": current.resource_version });
    }
    Some(patch)
}

/// As Kubernetes writes it: without what was not given. The API server fills in
/// the defaults of `spec` only, so that both texts are the same.
fn reference(parent: &ParentRef) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    put("group", parent.group.clone().map(Value::from));
    put("kind", parent.kind.clone().map(Value::from));
    put("namespace", parent.namespace.clone().map(Value::from));
    put("name", Some(parent.name.clone().into()));
    put("sectionName", parent.section_name.clone().map(Value::from));
    put("port", parent.port.map(Value::from));
    fields.into()
}

fn address(text: &str) -> Value {
    let kind = match text.parse::<IpAddr>() {
        Ok(_) => "IPAddress",
        Err(_) => "Hostname",
    };
    json!({ "type": kind, "value": text })
}

/// The entries of `status.listeners`.
fn listeners(wanted: &[ListenerStatus], generation: i64, current: &Seen, scene: &Scene<'_>) -> Vec<Value> {
    let before = current.value.get("listeners").and_then(Value::as_array);
    let entry = |listener: &ListenerStatus| {
        let named = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some(&listener.name);
        let known = before.into_iter().flatten().find(named).unwrap_or(&Value::Null);
        let mut all = listener.conditions.clone();
        all.push(serves(listener, scene.bound));
        let kinds = listener
            .kinds
            .iter()
            .map(|kind| json!({ "group": kind.group, "kind": kind.kind }));
        json!({
            "name": listener.name,
            "supportedKinds": kinds.collect::<Vec<_>>(),
            "attachedRoutes": listener.attached,
            "conditions": conditions(&all, generation, known, scene),
        })
    };
    wanted.iter().map(entry).collect()
}

/// `Programmed` of a listener: whether its port really is bound.
fn serves(listener: &ListenerStatus, bound: &Bound) -> Condition {
    if listener.served_by.is_empty() {
        let conflict = listener
            .conditions
            .iter()
            .find(|condition| condition.kind == "Conflicted" && condition.status);
        let reason = conflict.map_or("Invalid", |conflict| conflict.reason);
        return Condition::fails("Programmed", reason, "the listener is not valid");
    }
    for key in &listener.served_by {
        match bound.get(key) {
            Some(Ok(())) => {}
            Some(Err(error)) => return Condition::fails("Programmed", "Pending", error.clone()),
            None => return Condition::fails("Programmed", "Pending", "the port is not bound yet"),
        }
    }
    Condition::holds("Programmed", "Programmed")
}

/// `Programmed` of a Gateway or ListenerSet: every valid listener serves, there
/// is one, and it is known where.
fn programmed(wanted: &GatewayStatus, addresses: Option<&[String]>, bound: &Bound) -> Condition {
    let fails = |failure: &Failure| Condition::fails("Programmed", failure.reason, failure.message.clone());
    if let Some(failure) = &wanted.unprogrammable {
        return fails(failure);
    }
    let valid: Vec<_> = wanted
        .listeners
        .iter()
        .filter(|listener| !listener.served_by.is_empty())
        .collect();
    if valid.is_empty() {
        let reason = if wanted.listeners.is_empty() {
            "NoResources"
        } else {
            "Invalid"
        };
        return Condition::fails("Programmed", reason, "no listener is valid");
    }
    if addresses.is_some_and(<[String]>::is_empty) {
        return Condition::fails("Programmed", "AddressNotAssigned", "no address is known yet");
    }
    if let (Address::Service { asked, .. }, Some(addresses)) = (&wanted.address, addresses)
        && let Some(missing) = asked.iter().find(|asked| !has(addresses, asked))
    {
        let message = format!(
            "the Service is not reached by {missing}, but by {}",
            addresses.join(", ")
        );
        return Condition::fails("Programmed", "AddressNotUsable", message);
    }
    let waiting = valid
        .iter()
        .map(|listener| serves(listener, bound))
        .find(|condition| !condition.status);
    waiting.unwrap_or_else(|| Condition::holds("Programmed", "Programmed"))
}

fn has(addresses: &[String], wanted: &IpAddr) -> bool {
    addresses.iter().any(|address| address.parse() == Ok(*wanted))
}

/// The types of the conditions that are ours to set, and to take away.
const OWN: [&str; 7] = [
    "Accepted",
    "Programmed",
    "ResolvedRefs",
    "Conflicted",
    "OverlappingTLSConfig",
    "InsecureFrontendValidationMode",
    "SupportedVersion",
];

/// The conditions as they should be: ours as wanted and no others of ours, everybody
/// else's as they are.
fn conditions(wanted: &[Condition], generation: i64, current: &Value, scene: &Scene<'_>) -> Vec<Value> {
    let before = current.get("conditions").and_then(Value::as_array);
    let before = || before.into_iter().flatten();
    let is = |entry: &Value, kind: &str| entry.get("type").and_then(Value::as_str) == Some(kind);
    let written = |condition: &Condition| {
        let status = if condition.status { "True" } else { "False" };
        let same = |entry: &&Value| {
            is(entry, condition.kind) && entry.get("status").and_then(Value::as_str) == Some(status)
        };
        let since = before()
            .find(same)
            .and_then(|entry| entry.get("lastTransitionTime"))
            .cloned();
        json!({
            "type": condition.kind,
            "status": status,
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": generation,
            "lastTransitionTime": since.unwrap_or_else(|| time(scene.now)),
        })
    };
    let others = before().filter(|entry| !OWN.iter().any(|kind| is(entry, kind)));
    debug_assert!(wanted.iter().all(|condition| OWN.contains(&condition.kind)));
    wanted.iter().map(written).chain(others.cloned()).collect()
}

/// RFC 3339 in whole seconds, as Kubernetes writes times.
fn time(now: Timestamp) -> Value {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}
