//! What is to be written to an object, if it is not as it should be.
//!
//! Only what is wanted is compared: whatever else is there, a load balancer's
//! controller has put there. That something of ours is wanted no more is seen by a
//! hash of what was applied last, in an annotation.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;
use serde_json::{Value, json};

use super::writer::Work;
use crate::objects::{self, SliceEndpoint};
use crate::translate::fingerprint;

/// Annotation: a hash of what was applied last.
const APPLIED: &str = "tidegate.dev/applied";

/// Whether both are the same Gateway's.
pub(super) fn same_owner(wanted: &Service, found: &Service) -> bool {
    has_owners(&wanted.metadata, &found.metadata)
}

pub(super) fn of_service(wanted: &Service, found: Option<&Service>) -> Option<Work> {
    let (body, hash) = apply(wanted);
    let same = found.is_some_and(|found| {
        has_metadata(&wanted.metadata, &found.metadata, &hash) && has_spec(wanted, found)
    });
    (!same).then(|| Work::Apply {
        body,
        uid: found.and_then(|found| found.metadata.uid.clone()),
    })
}

pub(super) fn of_slice(wanted: &EndpointSlice, found: Option<&objects::EndpointSlice>) -> Option<Work> {
    let (body, hash) = apply(wanted);
    let same = found.is_some_and(|found| {
        has_metadata(&wanted.metadata, &found.metadata, &hash)
            && sorted(wanted.endpoints.iter().map(wanted_endpoint))
                == sorted(found.endpoints.iter().map(endpoint))
            && sorted(wanted.ports.iter().flatten().map(port)) == sorted(found.ports.iter().map(port))
    });
    (!same).then(|| Work::Apply {
        body,
        uid: found.and_then(|found| found.metadata.uid.clone()),
    })
}

/// What is sent, with the hash in it.
fn apply(object: &impl Serialize) -> (Value, String) {
    let mut body = json!(object);
    let hash = fingerprint(body.to_string().as_bytes())[..16].to_owned();
    body["metadata"]["annotations"][APPLIED] = hash.clone().into();
    (body, hash)
}

fn has_metadata(wanted: &ObjectMeta, found: &ObjectMeta, hash: &str) -> bool {
    let applied = found
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(APPLIED));
    applied.map(String::as_str) == Some(hash)
        && has_texts(wanted.labels.as_ref(), found.labels.as_ref())
        && has_texts(wanted.annotations.as_ref(), found.annotations.as_ref())
        && has_owners(wanted, found)
}

fn has_texts(wanted: Option<&BTreeMap<String, String>>, found: Option<&BTreeMap<String, String>>) -> bool {
    let has = |(key, value): (&String, &String)| found.and_then(|found| found.get(key)) == Some(value);
    wanted.into_iter().flatten().all(has)
}

fn has_owners(wanted: &ObjectMeta, found: &ObjectMeta) -> bool {
    let same =
        |a: &OwnerReference, b: &OwnerReference| a.uid == b.uid && a.kind == b.kind && a.name == b.name;
    let found = || found.owner_references.iter().flatten();
    let mut wanted = wanted.owner_references.iter().flatten();
    wanted.all(|wanted| found().any(|found| same(wanted, found)))
}

fn has_spec(wanted: &Service, found: &Service) -> bool {
    let (Some(wanted), Some(found)) = (&wanted.spec, &found.spec) else {
        return false;
    };
    fn has<T: PartialEq>(wanted: &Option<T>, found: &Option<T>) -> bool {
        wanted.is_none() || wanted == found
    }
    fn key(port: &ServicePort) -> (Option<&str>, i32, &str, Option<String>) {
        let target = port.target_port.as_ref().map(|target| format!("{target:?}"));
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        (port.name.as_deref(), port.port, protocol, target)
    }
    let ports = || found.ports.iter().flatten();
    let mut wanted_ports = wanted.ports.iter().flatten();
    has(&wanted.type_, &found.type_)
        && has(&wanted.external_traffic_policy, &found.external_traffic_policy)
        && has(&wanted.load_balancer_class, &found.load_balancer_class)
        && has(&wanted.load_balancer_ip, &found.load_balancer_ip)
        && has(&wanted.external_ips, &found.external_ips)
        && wanted_ports.all(|wanted| ports().any(|found| key(found) == key(wanted)))
}

/// What is compared of an endpoint: its addresses, node, and whether it is ready,
/// serves and ends.
type Compared<'a> = (Vec<&'a str>, Option<&'a str>, [bool; 3]);

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all
}

fn wanted_endpoint(endpoint: &Endpoint) -> Compared<'_> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    (
        endpoint.addresses.iter().map(String::as_str).collect(),
        endpoint.node_name.as_deref(),
        states(conditions.ready, conditions.serving, conditions.terminating),
    )
}

fn endpoint(endpoint: &SliceEndpoint) -> Compared<'_> {
    let conditions = endpoint.conditions;
    (
        endpoint.addresses.iter().map(|address| &**address).collect(),
        endpoint.node_name.as_deref(),
        states(conditions.ready, conditions.serving, conditions.terminating),
    )
}

fn states(ready: Option<bool>, serving: Option<bool>, terminating: Option<bool>) -> [bool; 3] {
    [
        ready.unwrap_or(true),
        serving.unwrap_or(true),
        terminating.unwrap_or(false),
    ]
}

fn port(port: &EndpointPort) -> (Option<&str>, Option<i32>, &str) {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    (port.name.as_deref(), port.port, protocol)
}
