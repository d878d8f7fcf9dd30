//! Our own zone is the label of the node that our own pod is on
//! (`--enable-topology-aware-routing`).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::program::{POD, Program};
use super::{ADDRESS, HOST, SOON, http, manifests, within};

const NODE: &str = "node-of-zone-a";

/// The Ingress of [`HOST`] and its Service are there already, with a backend at
/// each address.
pub fn of_own_node(api: &ApiServer) {
    api.apply(&json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": "a"}},
    }));
    api.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": POD, "namespace": "default"},
        "spec": {"nodeName": NODE, "containers": [{"name": "gateway", "image": "none"}]},
    }));
    let (near, far) = ("10.77.0.1", "10.77.0.2");
    api.apply(&slice(&[(near, "a"), (far, "b")]));
    api.apply(&service(Some("PreferClose")));
    let flag = ["--enable-topology-aware-routing".to_owned()];
    let mut gateway = Program::start(&api.kubeconfig, ADDRESS, &flag);
    let answering = || -> BTreeSet<String> {
        let answers = (0..30).map(|_| http::get(gateway.http, HOST, "/").unwrap());
        answers
            .map(|answer| answer.body.lines().last().unwrap_or_default().to_owned())
            .collect()
    };
    let set = |addresses: &[&str]| addresses.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(answering(), set(&[near]), "of our zone");
    api.apply(&slice(&[(near, "b"), (far, "a")]));
    within(SOON, "the endpoint that is now in our zone", || {
        answering() == set(&[far])
    });
    api.apply(&service(None));
    within(SOON, "all, of a Service that asks for none nearby", || {
        answering() == set(&[near, far])
    });
    gateway.terminate(Duration::from_secs(30));
}

fn service(distribution: Option<&str>) -> Value {
    let mut service = manifests::service();
    if let Some(distribution) = distribution {
        service["spec"]["trafficDistribution"] = json!(distribution);
    }
    service
}

/// Addresses, each with the zone that it is meant for.
fn slice(endpoints: &[(&str, &str)]) -> Value {
    let addresses: Vec<&str> = endpoints.iter().map(|(address, _)| *address).collect();
    let mut slice = manifests::slice(&addresses);
    for (endpoint, (_, zone)) in slice["endpoints"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .zip(endpoints)
    {
        endpoint["hints"] = json!({"forZones": [{"name": zone}]});
    }
    slice
}
