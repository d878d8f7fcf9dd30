//! The Service port that a backend names.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::translate::ingress::Transport;

/// The port of a Service by its number, its name or its target port. Number
/// and name first, as the Ingress API means them; ingress-nginx also takes the
/// target port.
pub(super) fn find<'a>(service: &'a Service, wanted: &str, transport: Transport) -> Option<&'a ServicePort> {
    let by_number = |port: &&ServicePort| is_number(wanted, port.port);
    let by_name = |port: &&ServicePort| port.name.as_deref() == Some(wanted);
    let by_target = |port: &&ServicePort| match &port.target_port {
        Some(IntOrString::Int(number)) => is_number(wanted, *number),
        Some(IntOrString::String(name)) => *name == wanted,
        None => false,
    };
    let ports = || ports(service, transport);
    ports()
        .find(by_number)
        .or_else(|| ports().find(by_name))
        .or_else(|| ports().find(by_target))
}

/// The port of an ExternalName: a numeric target port or the Service port; a
/// number that the Service does not list is used as it is.
pub(super) fn external(service: &Service, wanted: &str, transport: Transport) -> Option<u16> {
    let listed = ports(service, transport)
        .find(|port| is_number(wanted, port.port) || port.name.as_deref() == Some(wanted))
        .map(|port| match port.target_port {
            Some(IntOrString::Int(number)) if number > 0 => number,
            _ => port.port,
        });
    match listed {
        Some(port) => u16::try_from(port).ok().filter(|port| *port > 0),
        None => wanted.parse().ok().filter(|port| *port > 0),
    }
}

fn ports(service: &Service, transport: Transport) -> impl Iterator<Item = &ServicePort> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    ports
        .into_iter()
        .flatten()
        .filter(move |port| port.protocol.as_deref().unwrap_or("TCP") == transport.name())
}

fn is_number(wanted: &str, number: i32) -> bool {
    wanted.parse() == Ok(number)
}
