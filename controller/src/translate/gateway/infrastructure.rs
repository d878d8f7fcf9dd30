//! The objects that Gateways have of their own: with `gatewayApi.services` a
//! Service each, by which alone it is reached. Where none are made, whoever asks for
//! labels on them is told so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tidegate_snapshot::{Effect, ObjectRef, Problem};

use super::address::{self, Refusal};
use super::listener::{self, Protocol};
use super::status::{Address, Failure};
use super::targets::{self, Claim, Granted, Port, Targets};
use crate::gateway_api::{GROUP, GROUP_VERSION, Gateway, GatewaySpec};
use crate::objects::{MANAGED_BY, MANAGER, NamespacedName, Objects};
use crate::options::{GatewayServices, ServiceKind};
use crate::translate::certificate::fingerprint;
use crate::translate::problems::Problems;
use crate::translate::reason;

/// Label of what is made for a Gateway: its name (GEP-1762).
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// The same for its class.
const CLASS_NAME: &str = "gateway.networking.k8s.io/gateway-class-name";
/// Annotation: the name of the controller whose object it is. Two releases in one
/// cluster tell theirs apart by it.
const CONTROLLER: &str = "tidegate.dev/controller";

/// Names of Services and values of labels are no longer.
const LONGEST: usize = 63;
/// Digits of a hash that keep shortened names apart.
const HASH: usize = 8;

/// The objects that Gateways should have of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Infrastructure {
    /// The Service of each Gateway that has one.
    pub services: BTreeMap<NamespacedName, Arc<Service>>,
}

/// A Gateway with what it has of its own.
pub(super) struct Owned<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) spec: &'a GatewaySpec,
    pub(super) name: &'a NamespacedName,
    pub(super) service: &'a NamespacedName,
    pub(super) asked: &'a [IpAddr],
}

impl Owned<'_> {
    /// The Service that should be.
    fn service(&self, targets: &Targets, services: &GatewayServices, controller: &str) -> Service {
        let wishes = self.spec.infrastructure.as_ref();
        let mut labels = wishes.map(|wishes| wishes.labels.clone()).unwrap_or_default();
        labels.insert(GATEWAY_NAME.to_owned(), shortened(&self.name.name, LONGEST));
        labels.insert(
            CLASS_NAME.to_owned(),
            shortened(&self.spec.gateway_class_name, LONGEST),
        );
        labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        let mut annotations = wishes
            .map(|wishes| wishes.annotations.clone())
            .unwrap_or_default();
        annotations.insert(CONTROLLER.to_owned(), controller.to_owned());
        let (external, balanced): (Vec<&IpAddr>, Vec<&IpAddr>) =
            self.asked.iter().partition(|address| services.lets_in(address));
        let external: Vec<String> = external.into_iter().map(ToString::to_string).collect();
        Service {
            metadata: ObjectMeta {
                name: Some(self.service.name.to_string()),
                namespace: Some(self.service.namespace.to_string()),
                labels: Some(labels),
                annotations: Some(annotations),
                owner_references: Some(vec![OwnerReference {
                    api_version: GROUP_VERSION.to_owned(),
                    kind: "Gateway".to_owned(),
                    name: self.name.name.to_string(),
                    uid: uid(&self.gateway.metadata).to_owned(),
                    ..OwnerReference::default()
                }]),
                ..ObjectMeta::default()
            },
            spec: Some(ServiceSpec {
                type_: Some(services.kind.as_str().to_owned()),
                ports: Some(targets.iter().map(service_port).collect()),
                external_traffic_policy: services.external_traffic_policy.map(str::to_owned),
                load_balancer_class: services.load_balancer_class.clone(),
                load_balancer_ip: balanced.first().map(ToString::to_string),
                external_ips: (!external.is_empty()).then_some(external),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }
}

impl GatewayServices {
    /// Whether a Gateway may have the address as one of `externalIPs`.
    fn lets_in(&self, address: &IpAddr) -> bool {
        self.external_addresses.iter().any(|net| net.contains(address))
    }
}

/// The port that a listener should be reached by; also without its certificate, which
/// may come back.
fn public_port(listener: &listener::Model) -> Option<Port> {
    if listener.refused.is_some() || listener.conflict.is_some() {
        return None;
    }
    let port = u16::try_from(listener.port).ok().filter(|port| *port > 0)?;
    Some((port, listener.protocol == Protocol::Udp))
}

fn service_port(((number, datagrams), target): (&Port, &u16)) -> ServicePort {
    let (name, protocol) = if *datagrams {
        ("udp", "UDP")
    } else {
        ("tcp", "TCP")
    };
    ServicePort {
        name: Some(format!("{name}-{number}")),
        port: i32::from(*number),
        protocol: Some(protocol.to_owned()),
        target_port: Some(IntOrString::Int(i32::from(*target))),
        ..ServicePort::default()
    }
}

/// Where a Gateway is reached that has a Service, if it can have the addresses that
/// it asks for: those in `externalAddresses`, and one of the load balancer's.
pub(super) fn address(
    name: &NamespacedName,
    spec: &GatewaySpec,
    services: &GatewayServices,
) -> Result<Address, Refusal> {
    let asked = address::asked(&spec.addresses)?;
    let mut others = asked.iter().filter(|address| !services.lets_in(address));
    let balanced = match services.kind {
        ServiceKind::LoadBalancer => others.next(),
        ServiceKind::NodePort | ServiceKind::ClusterIP => None,
    };
    if let Some(other) = others.next() {
        let message = match balanced {
            Some(first) => format!("a load balancer is asked for one address, not for {first} and {other}"),
            None => format!("{other} is not one of the addresses that Gateways may have"),
        };
        return Err(address::unusable(message));
    }
    Ok(Address::Service {
        name: NamespacedName {
            namespace: name.namespace.clone(),
            name: service_name(&name.name, &spec.gateway_class_name).into(),
        },
        asked: asked.into(),
    })
}

/// Why a Gateway cannot have the Service of its name.
pub(super) fn claim(objects: &Objects, service: &NamespacedName, gateway: &Gateway) -> Result<(), Refusal> {
    let Some(found) = objects.service(&service.namespace, &service.name) else {
        return Ok(());
    };
    if is_of(found, gateway) {
        return Ok(());
    }
    let name = gateway.metadata.name.as_deref().unwrap_or_default();
    let message = match owner(found) {
        Some(owner) if owner.name == name => {
            format!("Service {service} is a former Gateway's, and not deleted yet")
        }
        _ => format!("Service {service} exists and is not this Gateway's: remove it"),
    };
    Err(Refusal::Unusable(Failure::new("AddressNotAssigned", message)))
}

/// Whether the Service is this Gateway's: whatever else has its name is left alone.
fn is_of(service: &Service, gateway: &Gateway) -> bool {
    owner(service).is_some_and(|owner| {
        Some(&owner.name) == gateway.metadata.name.as_ref() && owner.uid == uid(&gateway.metadata)
    })
}

/// The Gateway that a Service goes with.
pub(crate) fn owner(service: &Service) -> Option<&OwnerReference> {
    let owners = service.metadata.owner_references.iter().flatten();
    let of_group = |version: &str| version.split_once('/').is_some_and(|(group, _)| group == GROUP);
    owners
        .filter(|owner| owner.kind == "Gateway")
        .find(|owner| of_group(&owner.api_version))
}

fn uid(metadata: &ObjectMeta) -> &str {
    metadata.uid.as_deref().unwrap_or_default()
}

/// Whether this controller has made the Service.
fn is_made_here(service: &Service, controller: &str) -> bool {
    let metadata = &service.metadata;
    let says = |texts: &Option<BTreeMap<String, String>>, key: &str, wanted: &str| {
        texts
            .as_ref()
            .and_then(|texts| texts.get(key))
            .map(String::as_str)
            == Some(wanted)
    };
    says(&metadata.labels, MANAGED_BY, MANAGER) && says(&metadata.annotations, CONTROLLER, controller)
}

/// Whether a Service that this controller has made is in the way: its Gateway is
/// there, but has another class or another controller by now, or no Gateway has a
/// Service any more. Of what is not known nothing is deleted; when a Gateway is gone,
/// Kubernetes deletes what it owned.
pub(crate) fn is_left_over(
    service: &Service,
    objects: &Objects,
    services: Option<&GatewayServices>,
    controller: &str,
) -> bool {
    if !is_made_here(service, controller) {
        return false;
    }
    let api = objects.gateway_api();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let gateway = owner(service).and_then(|owner| api.gateways.value(namespace, &owner.name));
    let Some(gateway) = gateway.filter(|gateway| is_of(service, gateway)) else {
        return false;
    };
    if services.is_none() {
        return true;
    }
    let Ok(spec) = &gateway.spec else { return false };
    let class = api.gateway_classes.value("", &spec.gateway_class_name);
    let Some(Ok(class)) = class.map(|class| &class.spec) else {
        return false;
    };
    let name = gateway.metadata.name.as_deref().unwrap_or_default();
    class.controller_name != controller
        || service.metadata.name.as_deref() != Some(&service_name(name, &spec.gateway_class_name))
}

/// What a Service says about the ports of replicas.
pub(crate) fn targets_of(service: &Service) -> BTreeMap<(u16, bool), u16> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let target = |port: &ServicePort| {
        let datagrams = match port.protocol.as_deref() {
            None | Some("TCP") => false,
            Some("UDP") => true,
            Some(_) => return None,
        };
        let Some(IntOrString::Int(target)) = &port.target_port else {
            return None;
        };
        let number = u16::try_from(port.port).ok()?;
        Some(((number, datagrams), u16::try_from(*target).ok()?))
    };
    ports.filter_map(target).collect()
}

/// What every Gateway should have, and what it has.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) wanted: Infrastructure,
    /// The ports of replicas that Services lead to.
    pub(super) bound: BTreeMap<NamespacedName, Targets>,
    /// What to hold until Services say so.
    pub(super) granted: BTreeMap<NamespacedName, Targets>,
    /// The Gateways some of whose ports get no target.
    pub(super) lacking: BTreeSet<NamespacedName>,
}

/// What Services are planned with.
pub(super) struct Scene<'a> {
    pub(super) objects: &'a Objects,
    pub(super) services: &'a GatewayServices,
    /// The controller's name, which marks our Services.
    pub(super) controller: &'a str,
    /// Ports of the process that are something else's.
    pub(super) unusable: BTreeSet<u16>,
}

/// Plans the Services of Gateways (older ones first). `listeners` gives each with the
/// name of its Gateway.
pub(super) fn plan<'a>(
    owned: &[Owned<'_>],
    listeners: impl Iterator<Item = (NamespacedName, &'a listener::Model)>,
    held: &BTreeMap<NamespacedName, Targets>,
    scene: Scene<'_>,
) -> Plan {
    let Scene {
        objects,
        services,
        controller,
        mut unusable,
    } = scene;
    let mut ports: BTreeMap<NamespacedName, BTreeSet<Port>> = BTreeMap::new();
    for (gateway, listener) in listeners {
        ports.entry(gateway).or_default().extend(public_port(listener));
    }
    let made = objects
        .services()
        .filter(|service| is_made_here(service, controller));
    for service in made {
        if !owned.iter().any(|owned| is_of(service, owned.gateway)) {
            unusable.extend(targets_of(service).into_values());
        }
    }
    let claims: Vec<Claim<'_>> = owned
        .iter()
        .map(|owned| Claim {
            wanted: ports.remove(owned.name).unwrap_or_default(),
            had: objects
                .service(&owned.service.namespace, &owned.service.name)
                .map(|service| targets_of(service))
                .unwrap_or_default(),
            held: held.get(owned.name),
        })
        .collect();
    let mut plan = Plan::default();
    let granted = targets::grant(&claims, &services.ports, &unusable);
    for ((owned, claim), Granted { kept, all }) in owned.iter().zip(&claims).zip(granted) {
        if all.len() < claim.wanted.len() {
            plan.lacking.insert(owned.name.clone());
        }
        // A Service without ports cannot be: while a Gateway has none, what it has stays,
        // with the address that it may never get again.
        if !all.is_empty() {
            let service = owned.service(&all, services, controller);
            // Of two names that come to one, the older Gateway has it.
            let entry = plan.wanted.services.entry(owned.service.clone());
            entry.or_insert_with(|| Arc::new(service));
        }
        plan.bound.insert(owned.name.clone(), kept);
        plan.granted.insert(owned.name.clone(), all);
    }
    plan
}

/// Tells who asks for labels and annotations that nothing will have.
pub(super) fn complain(name: &NamespacedName, spec: &GatewaySpec, problems: &mut Problems) {
    let wishes = spec.infrastructure.as_ref();
    let Some(wishes) = wishes.filter(|wishes| !wishes.labels.is_empty() || !wishes.annotations.is_empty())
    else {
        return;
    };
    let field = if wishes.labels.is_empty() {
        "annotations"
    } else {
        "labels"
    };
    problems.push(Problem {
        object: ObjectRef::new("Gateway", &name.namespace, &name.name),
        field: format!("spec.infrastructure.{field}"),
        reason: reason::INFRASTRUCTURE_IGNORED,
        message: "no object is made for a Gateway that could have labels and annotations".to_owned(),
        effect: Effect::Ignored,
        fix: "remove them, or set gatewayApi.services to give each Gateway a Service".to_owned(),
    });
}

/// `GATEWAY-CLASS` (GEP-1762), as a Service may be called: at most 63 letters, digits
/// and dashes that begin with a letter. Whatever had to be changed gets a hash, so
/// that two names never become one.
fn service_name(gateway: &str, class: &str) -> String {
    let plain = format!("{gateway}-{class}");
    let is_plain = plain.starts_with(|first: char| first.is_ascii_lowercase()) && !plain.contains('.');
    if is_plain && plain.len() <= LONGEST {
        return plain;
    }
    let begin = if is_plain || !plain.starts_with(|first: char| first.is_ascii_digit()) {
        ""
    } else {
        "gateway-"
    };
    let readable = format!("{begin}{}", plain.replace('.', "-"));
    with_hash(&readable, &plain, LONGEST)
}

/// The text, or as much of it as fits.
fn shortened(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    with_hash(text, text, longest)
}

fn with_hash(readable: &str, whole: &str, longest: usize) -> String {
    let mut end = (longest - HASH - 1).min(readable.len());
    while !readable.is_char_boundary(end) {
        end -= 1;
    }
    let readable = readable[..end].trim_end_matches(['-', '.', '_']);
    format!("{readable}-{}", &fingerprint(whole.as_bytes())[..HASH])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_are_plain_where_they_can_be() {
        assert_eq!(service_name("edge", "tidegate"), "edge-tidegate");
        let names = [
            service_name("edge.a", "tidegate"),
            service_name("edge-a", "tidegate"),
            service_name("7", "tidegate"),
            service_name(&"x".repeat(70), "a"),
            service_name(&"x".repeat(70), "b"),
            service_name(&format!("{}.b", "x".repeat(53)), "tidegate"),
        ];
        for name in &names {
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.starts_with(|first: char| first.is_ascii_lowercase()),
                "{name}"
            );
            let allowed = |other: char| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '-';
            assert!(name.chars().all(allowed) && !name.ends_with('-'), "{name}");
        }
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        assert_eq!(names[1], "edge-a-tidegate");
    }

    #[test]
    fn values_of_labels_fit() {
        assert_eq!(shortened("a.b", LONGEST), "a.b");
        let long = shortened(&format!("{}.{}", "a".repeat(53), "b".repeat(30)), LONGEST);
        assert!(long.len() <= LONGEST && !long.contains(".-"), "{long}");
    }
}
