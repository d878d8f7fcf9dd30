//! The replicas of the gateway, as the endpoints of a Gateway's Service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::objects::{MANAGER, NamespacedName, Objects, Pod, SERVICE_NAME, SLICE_MANAGED_BY};
use crate::options::GatewayServices;
use crate::translate::gateway::infrastructure::targets_of;

/// The two kinds of slices, by the type of address, and how their names end.
const FAMILIES: [(&str, &str); 2] = [("IPv4", "-ipv4"), ("IPv6", "-ipv6")];

/// The most endpoints of one slice (EndpointSlice API).
const LONGEST: usize = 1000;

/// One address of a replica.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Replica {
    address: IpAddr,
    node: Option<String>,
    /// It has said so: also while it ends.
    serving: bool,
    terminating: bool,
}

/// The replicas, sorted: those of the settings, else the controller's pods.
pub(super) fn of(objects: &Objects, services: &GatewayServices) -> Vec<Replica> {
    let mut replicas: Vec<Replica> = if services.addresses.is_empty() {
        objects.pods().flat_map(|pod| of_pod(pod)).collect()
    } else {
        let replica = |address: &IpAddr| Replica {
            address: *address,
            node: None,
            serving: true,
            terminating: false,
        };
        services.addresses.iter().map(replica).collect()
    };
    replicas.sort();
    replicas.dedup();
    replicas
}

/// Those addresses of a pod that runs.
fn of_pod(pod: &Pod) -> Vec<Replica> {
    if pod.is_over() {
        return Vec::new();
    }
    let status = &pod.status;
    let serving = pod.is_ready();
    let several = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str());
    let mut addresses: Vec<IpAddr> = status
        .pod_ip
        .as_deref()
        .into_iter()
        .chain(several)
        .filter_map(|ip| ip.parse().ok())
        .collect();
    addresses.sort();
    addresses.dedup();
    let replica = |address| Replica {
        address,
        node: pod.spec.node_name.clone(),
        serving,
        terminating: pod.metadata.deletion_timestamp.is_some(),
    };
    addresses.into_iter().map(replica).collect()
}

/// The slices of a Service as it is, one for each family, with the labels that the
/// Service should have. Its target ports are the truth: replicas bind these.
pub(super) fn slices(wanted: &Service, found: &Service, replicas: &[Replica]) -> Vec<EndpointSlice> {
    let name = found.metadata.name.clone().unwrap_or_default();
    let mut labels = wanted.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), name.clone());
    labels.insert(SLICE_MANAGED_BY.to_owned(), MANAGER.to_owned());
    let ports = ports(found);
    let slice = |(family, suffix): (&str, &str)| EndpointSlice {
        metadata: ObjectMeta {
            name: Some(format!("{name}{suffix}")),
            namespace: found.metadata.namespace.clone(),
            labels: Some(labels.clone()),
            annotations: wanted.metadata.annotations.clone(),
            // Kubernetes deletes it with the Service.
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Service".to_owned(),
                name: name.clone(),
                uid: found.metadata.uid.clone().unwrap_or_default(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: replicas
            .iter()
            .filter(|replica| replica.address.is_ipv4() == (family == "IPv4"))
            .take(LONGEST)
            .map(endpoint)
            .collect(),
        ports: Some(ports.clone()),
    };
    FAMILIES.into_iter().map(slice).collect()
}

fn endpoint(replica: &Replica) -> Endpoint {
    Endpoint {
        addresses: vec![replica.address.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(replica.serving && !replica.terminating),
            serving: Some(replica.serving),
            terminating: Some(replica.terminating),
        }),
        node_name: replica.node.clone(),
        ..Endpoint::default()
    }
}

fn ports(service: &Service) -> Vec<EndpointPort> {
    let names: BTreeMap<(u16, bool), &String> = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten())
        .filter_map(|port| {
            let number = u16::try_from(port.port).ok()?;
            Some((
                (number, port.protocol.as_deref() == Some("UDP")),
                port.name.as_ref()?,
            ))
        })
        .collect();
    let port = |(place, target): ((u16, bool), u16)| EndpointPort {
        name: names.get(&place).map(|name| (*name).clone()),
        port: Some(i32::from(target)),
        protocol: Some(if place.1 { "UDP" } else { "TCP" }.to_owned()),
        ..EndpointPort::default()
    };
    targets_of(service).into_iter().map(port).collect()
}

/// The Service that a slice would be of, were it one of ours.
pub(super) fn service_of(slice: &NamespacedName) -> Option<NamespacedName> {
    let of = |(_, suffix): (&str, &str)| slice.name.strip_suffix(suffix).map(str::to_owned);
    let name = FAMILIES.into_iter().find_map(of)?;
    Some(NamespacedName {
        namespace: slice.namespace.clone(),
        name: name.into(),
    })
}
