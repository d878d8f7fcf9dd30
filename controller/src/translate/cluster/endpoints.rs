//! The usable endpoints of a Service port.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::ServicePort;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tidegate_snapshot::Endpoint;

use crate::objects::{EndpointSlice, SliceEndpoint};

/// Every address of the port, once, sorted: of the ready endpoints, or, when
/// there is none, of those that are on their way out but still serve
/// (EndpointSlice API, "conditions"; ingress-nginx would answer 503 there).
///
/// With a zone only endpoints whose hints name it, if all have hints. Where no
/// endpoint is meant for the zone all are used, as kube-proxy does:
/// ingress-nginx would answer 503.
pub(super) fn of_port(
    slices: &[Arc<EndpointSlice>],
    port: &ServicePort,
    zone: Option<&str>,
) -> Vec<Endpoint> {
    let zone = zone.filter(|_| all_have_hints(slices));
    let near = zone.map(|zone| {
        collect(slices, port, |endpoint| {
            is_ready(endpoint) && is_for(endpoint, zone)
        })
    });
    let mut endpoints = near.unwrap_or_default();
    if endpoints.is_empty() {
        endpoints = collect(slices, port, is_ready);
    }
    if endpoints.is_empty() {
        endpoints = collect(slices, port, is_leaving);
    }
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints
}

fn collect(
    slices: &[Arc<EndpointSlice>],
    port: &ServicePort,
    usable: impl Fn(&SliceEndpoint) -> bool,
) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for slice in slices {
        for number in slice_ports(slice, port) {
            for endpoint in slice.endpoints.iter().filter(|endpoint| usable(endpoint)) {
                let addresses = endpoint
                    .addresses
                    .iter()
                    .filter_map(|text| text.parse::<IpAddr>().ok());
                endpoints.extend(addresses.map(|address| Endpoint {
                    address: SocketAddr::new(address, number),
                }));
            }
        }
    }
    endpoints
}

/// The numbers of the Service port in a slice: of the slice port of the same
/// name, so that a named target port may differ between Pods. A Service port
/// without a name is the only one.
fn slice_ports(slice: &EndpointSlice, port: &ServicePort) -> impl Iterator<Item = u16> {
    let wanted = port.name.as_deref().unwrap_or_default();
    let transport = port.protocol.as_deref().unwrap_or("TCP");
    let ports = &slice.ports;
    let named = ports
        .iter()
        .filter(move |port| port.protocol.as_deref().unwrap_or("TCP") == transport)
        .filter(move |port| wanted.is_empty() || port.name.as_deref().unwrap_or_default() == wanted)
        .filter_map(|port| port.port);
    let target = match &port.target_port {
        Some(IntOrString::Int(number)) if ports.is_empty() => Some(*number),
        None if ports.is_empty() => Some(port.port),
        _ => None,
    };
    named
        .chain(target)
        .filter_map(|number| u16::try_from(number).ok())
        .filter(|number| *number > 0)
}

fn all_have_hints(slices: &[Arc<EndpointSlice>]) -> bool {
    let mut ready = slices
        .iter()
        .flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| is_ready(endpoint));
    ready.all(|endpoint| zones(endpoint).next().is_some())
}

fn is_for(endpoint: &SliceEndpoint, zone: &str) -> bool {
    zones(endpoint).any(|hinted| hinted == zone)
}

/// The zones that an endpoint is meant for (EndpointSlice API, "hints").
fn zones(endpoint: &SliceEndpoint) -> impl Iterator<Item = &str> {
    endpoint.hints.for_zones.iter().map(|zone| &*zone.name)
}

fn is_ready(endpoint: &SliceEndpoint) -> bool {
    endpoint.conditions.ready.unwrap_or(true)
}

fn is_leaving(endpoint: &SliceEndpoint) -> bool {
    endpoint.conditions.serving == Some(true) && endpoint.conditions.terminating == Some(true)
}
