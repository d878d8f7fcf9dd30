//! Services to clusters and endpoints (ingress-nginx-behaviour §9).

mod endpoints;
mod health_check;
mod port;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use tidegate_snapshot::{
    Cluster, Discovery, Endpoint, Endpoints, Hostname, LoadBalancing, ObjectRef, Problem, UpstreamProtocol,
    UpstreamTls,
};

use super::ingress::{ServiceUse, Transport};
use super::reason;
use crate::objects::Backend;
use crate::options::Options;

/// Annotation of Services: `auto` asks for hints on their endpoints.
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";

/// What a cluster is made of besides its Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) port: Arc<str>,
    pub(super) protocol: UpstreamProtocol,
    pub(super) load_balancing: LoadBalancing,
    pub(super) service_upstream: bool,
    pub(super) tls: Option<Arc<UpstreamTls>>,
    pub(super) transport: Transport,
}

impl Spec {
    pub(super) fn new(service: &ServiceUse, options: &Options) -> Self {
        let load_balancing = service.load_balancing.as_ref();
        Self {
            port: service.port.clone(),
            protocol: service.protocol,
            load_balancing: load_balancing.unwrap_or(&options.load_balancing).clone(),
            service_upstream: service.service_upstream,
            tls: service.tls.clone(),
            transport: service.transport,
        }
    }
}

/// Tells two clusters with the same plain name apart: unlike that name it is
/// made of characters that no part can hold.
pub(super) fn identity(namespace: &str, service: &ServiceUse) -> String {
    let ServiceUse {
        name, port, protocol, ..
    } = service;
    match &service.tls_identity {
        None => format!("{namespace}/{name}:{port}/{protocol:?}"),
        Some(tls) => format!("{namespace}/{name}:{port}/{protocol:?}/{tls}"),
    }
}

/// What a Service port comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// `Err`: every route to it answers 503.
    pub(super) cluster: Result<Arc<Cluster>, Refusal>,
    pub(super) endpoints: Endpoints,
    /// Problems of the Service's own annotations.
    pub(super) problems: Vec<Problem>,
}

/// Why there is no cluster; the Ingresses that name it get the Problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) fix: &'static str,
}

/// Finds the cluster and the endpoints of one Service port.
pub(super) fn resolve(
    origin: &ObjectRef,
    backend: Option<&Backend>,
    spec: &Spec,
    options: &Options,
) -> Outcome {
    let found = match backend.and_then(|backend| Some((backend, backend.service.as_ref()?))) {
        Some((backend, service)) => discover(backend, service, spec, options).map(|found| (found, service)),
        None => Err(Refusal {
            reason: reason::SERVICE_NOT_FOUND,
            message: format!("{origin} does not exist"),
            fix: "create it, or correct the name",
        }),
    };
    let ((discovery, endpoints), service) = match found {
        Ok(found) => found,
        Err(refusal) => {
            return Outcome {
                cluster: Err(refusal),
                endpoints: Arc::default(),
                problems: Vec::new(),
            };
        }
    };
    let mut problems = Vec::new();
    let cluster = Cluster {
        origin: origin.clone(),
        port: spec.port.clone(),
        discovery,
        protocol: spec.protocol,
        load_balancing: spec.load_balancing.clone(),
        tls: spec.tls.clone(),
        health_check: health_check::parse(service, origin, &mut problems),
    };
    Outcome {
        cluster: Ok(Arc::new(cluster)),
        endpoints: endpoints.into(),
        problems,
    }
}

fn discover(
    backend: &Backend,
    service: &Service,
    spec: &Spec,
    options: &Options,
) -> Result<(Discovery, Vec<Endpoint>), Refusal> {
    let service_spec = service.spec.clone().unwrap_or_default();
    if service_spec.type_.as_deref() == Some("ExternalName") {
        return external(service, spec, options);
    }
    let port = port::find(service, &spec.port, spec.transport).ok_or_else(|| port_refusal(service, spec))?;
    let own = spec
        .service_upstream
        .then(|| cluster_address(service, port))
        .flatten();
    let endpoints = match own {
        Some(endpoint) => vec![endpoint],
        None => {
            let zone = options.zone.as_deref().filter(|_| prefers_zone(service));
            endpoints::of_port(&backend.slices, port, zone)
        }
    };
    Ok((Discovery::Snapshot, endpoints))
}

/// Whether a Service asks for endpoints nearby (ingress-nginx-behaviour §9).
/// `PreferSameZone` is Kubernetes 1.34's name of `PreferClose`.
fn prefers_zone(service: &Service) -> bool {
    let annotations = service.metadata.annotations.as_ref();
    let mode = annotations.and_then(|annotations| annotations.get(TOPOLOGY_MODE));
    let spec = service.spec.as_ref();
    let distribution = spec.and_then(|spec| spec.traffic_distribution.as_deref());
    mode.is_some_and(|mode| mode.eq_ignore_ascii_case("auto"))
        || matches!(distribution, Some("PreferClose" | "PreferSameZone"))
}

/// `service-upstream`: the Service's own address; a headless one has none.
fn cluster_address(service: &Service, port: &ServicePort) -> Option<Endpoint> {
    let address: IpAddr = service.spec.as_ref()?.cluster_ip.as_ref()?.parse().ok()?;
    let port = u16::try_from(port.port).ok()?;
    Some(Endpoint {
        address: SocketAddr::new(address, port),
    })
}

/// An ExternalName: resolved by the data plane, or used as it is when it is an
/// address. Loopback would reach the gateway's own ports.
fn external(
    service: &Service,
    spec: &Spec,
    options: &Options,
) -> Result<(Discovery, Vec<Endpoint>), Refusal> {
    let refused = |message: String, fix| Refusal {
        reason: reason::EXTERNAL_NAME_REFUSED,
        message,
        fix,
    };
    if options.disable_svc_external_name {
        let message = "Services of type ExternalName are switched off".to_owned();
        return Err(refused(message, "remove --disable-svc-external-name"));
    }
    let name = service
        .spec
        .as_ref()
        .and_then(|spec| spec.external_name.as_deref());
    let name = name.unwrap_or_default();
    let port =
        port::external(service, &spec.port, spec.transport).ok_or_else(|| port_refusal(service, spec))?;
    if let Ok(address) = name.parse::<IpAddr>() {
        if address.to_canonical().is_loopback() || address.is_unspecified() {
            let message = format!("external name {name:?} is this host itself");
            return Err(refused(message, "name another host"));
        }
        let address = SocketAddr::new(address, port);
        return Ok((Discovery::Snapshot, vec![Endpoint { address }]));
    }
    match Hostname::parse(name) {
        Ok(Hostname::Exact(lower)) if *lower == *"localhost" || lower.ends_with(".localhost") => {
            let message = format!("external name {name:?} is this host itself");
            Err(refused(message, "name another host"))
        }
        Ok(Hostname::Exact(_)) => Ok((
            Discovery::Dns {
                name: name.to_ascii_lowercase().into(),
                port,
                ipv4_only: options.ipv4_names_only,
            },
            Vec::new(),
        )),
        Ok(_) | Err(_) => {
            let message = format!("external name {name:?} is not a host name");
            Err(refused(message, "write a DNS name"))
        }
    }
}

fn port_refusal(service: &Service, spec: &Spec) -> Refusal {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    Refusal {
        reason: reason::SERVICE_PORT_NOT_FOUND,
        message: format!(
            "Service {name:?} has no {} port {:?}",
            spec.transport.name(),
            spec.port
        ),
        fix: "name a port of the Service by number or name",
    }
}
