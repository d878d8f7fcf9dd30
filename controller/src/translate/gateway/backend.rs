//! What routes forward to: `backendRefs` to clusters.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use tidegate_snapshot::{ClusterKey, UpstreamProtocol};

use super::backend_tls::BackendTls;
use super::client_certificate::Identity;
use super::grants::Grants;
use super::status::Failure;
use crate::gateway_api::BackendRef;
use crate::objects::{Kind, NamespacedName, Objects};
use crate::options::Options;
use crate::translate::ingress::Transport;
use crate::translate::services::{Mark, Port, Services};

/// What backends are looked up with.
pub(super) struct Backends<'a> {
    pub(super) objects: &'a Objects,
    /// No Service has changed since the update before.
    pub(super) same_services: bool,
    pub(super) grants: &'a Grants<'a>,
    pub(super) tls: &'a BackendTls,
    /// What backends are shown that speak TLS.
    pub(super) identity: Option<Identity>,
    /// The policies that were come across since it was last emptied.
    pub(super) policies: BTreeSet<NamespacedName>,
    /// The Services, likewise.
    pub(super) uses: Vec<Use>,
    pub(super) services: &'a mut Services,
    pub(super) options: &'a Options,
}

/// What a reference to a Service led to.
#[derive(Debug)]
pub(super) struct Use {
    service: NamespacedName,
    found: Found,
}

#[derive(Debug)]
enum Found {
    /// No Service.
    Nothing,
    /// This Service: one that cannot be used, or a cluster.
    Service(Arc<Service>, Option<Arc<Mark>>),
    /// Nothing that can be told by the Service alone.
    Unsettled,
}

/// The reason of a share whose policy is not valid: no reason of `ResolvedRefs`,
/// because the reference itself is good.
pub(super) const INVALID_POLICY: &str = "InvalidBackendTLSPolicy";

/// The cluster of a reference, or why there is none: such a share of a split
/// answers 500.
pub(super) type Resolution = Result<ClusterKey, Failure>;

impl Backends<'_> {
    /// Whether a reference leads to the same as before, all else being the same;
    /// its cluster is referred to again.
    pub(super) fn holds(&self, used: &Use) -> bool {
        let service = &used.service;
        let now = || self.objects.service(&service.namespace, &service.name);
        match &used.found {
            Found::Nothing => self.same_services || now().is_none(),
            Found::Service(before, cluster) => {
                let same = self.same_services || now().is_some_and(|now| Arc::ptr_eq(before, now));
                if let Some(cluster) = cluster.as_ref().filter(|_| same) {
                    self.services.refer_again(cluster);
                }
                same
            }
            Found::Unsettled => false,
        }
    }

    /// Resolves one reference of a route. `is_grpc`: HTTP/2 is spoken there,
    /// whatever the Service says.
    pub(super) fn resolve(
        &mut self,
        route: Kind,
        is_grpc: bool,
        namespace: &Arc<str>,
        backend: &BackendRef,
    ) -> Resolution {
        let kind = backend.kind.as_deref().unwrap_or("Service");
        if !backend.group.as_deref().unwrap_or_default().is_empty() || kind != "Service" {
            return Err(Failure::new(
                "InvalidKind",
                format!("backends are Services, not {kind} {:?}", backend.name),
            ));
        }
        let name = &backend.name;
        let service_namespace: Arc<str> = match backend.namespace.as_deref() {
            Some(other) if *other != **namespace => other.into(),
            _ => namespace.clone(),
        };
        if !self
            .grants
            .permit(route.as_str(), namespace, "Service", &service_namespace, name)
        {
            return Err(Failure::new(
                "RefNotPermitted",
                format!("no ReferenceGrant in {service_namespace:?} permits to use Service {name:?}"),
            ));
        }
        let not_found = |message: String| Failure::new("BackendNotFound", message);
        let owner = NamespacedName::new(&service_namespace, name);
        let service = self.objects.service(&service_namespace, name);
        self.uses.push(Use {
            service: owner.clone(),
            found: service.map_or(Found::Nothing, |service| Found::Service(service.clone(), None)),
        });
        let Some(service) = service else {
            return Err(not_found(format!(
                "Service {service_namespace}/{name} does not exist"
            )));
        };
        let spec = service.spec.as_ref();
        if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            // A DNS name would lead past every ReferenceGrant.
            let message =
                format!("Service {service_namespace}/{name} is an ExternalName, which routes must not use");
            return Err(not_found(message));
        }
        let Some(number) = backend.port else {
            return Err(not_found(format!("`port` of Service {name:?} is missing")));
        };
        let mut ports = spec.and_then(|spec| spec.ports.as_ref()).into_iter().flatten();
        let transport = match route {
            Kind::UDPRoute => Transport::Udp,
            _ => Transport::Tcp,
        };
        let port = ports.find(|port| {
            i64::from(port.port) == number && port.protocol.as_deref().unwrap_or("TCP") == transport.name()
        });
        let Some(port) = port else {
            return Err(not_found(format!(
                "Service {service_namespace}/{name} has no {} port {number}",
                transport.name()
            )));
        };
        let (mut protocol, needs_tls) = protocol(route, is_grpc, port)?;
        let mut tls = None;
        // Bytes of TCP and UDP go on as they are, TLS of their own included.
        let may_encrypt = !matches!(route, Kind::TCPRoute | Kind::UDPRoute);
        if may_encrypt {
            self.policies.extend(self.tls.all(&owner).iter().cloned());
        }
        if let Some(found) = self.tls.of(&owner, port).filter(|_| may_encrypt) {
            let Some(settings) = found.tls else {
                let message = format!("BackendTLSPolicy {} is not valid", found.policy);
                return Err(Failure::new(INVALID_POLICY, message));
            };
            let (settings, identity) = settings;
            tls = Some(match &self.identity {
                Some(own) => own.show(settings, identity),
                None => (settings.clone(), identity.clone()),
            });
            protocol = match protocol {
                UpstreamProtocol::H2c => UpstreamProtocol::H2,
                _ => UpstreamProtocol::Https,
            };
        } else if needs_tls {
            return Err(unspoken(port, "it takes a BackendTLSPolicy"));
        }
        let key = match protocol {
            _ if transport == Transport::Udp => format!("{service_namespace}/{name}:{number}#Udp"),
            UpstreamProtocol::Http => format!("{service_namespace}/{name}:{number}"),
            other => match self.identity.as_ref().filter(|_| tls.is_some()) {
                None => format!("{service_namespace}/{name}:{number}#{other:?}"),
                Some(own) => format!("{service_namespace}/{name}:{number}#{other:?}#{}", own.gateway),
            },
        };
        let key = ClusterKey(key.into());
        let port = Port {
            number,
            protocol,
            tls,
            transport,
        };
        let referred = self
            .services
            .refer_backend(self.objects, &owner, &key, port, self.options);
        let found = match &referred {
            Ok(cluster) => Found::Service(service.clone(), Some(cluster.clone())),
            Err(_) => Found::Unsettled,
        };
        if let Some(used) = self.uses.last_mut() {
            used.found = found;
        }
        referred.map_err(not_found)?;
        Ok(key)
    }
}

/// `appProtocol` of a Service port (GEP-1911), and whether it means TLS, which only a
/// BackendTLSPolicy says how to verify. Backends of a GRPCRoute speak HTTP/2 anyway;
/// WebSocket is HTTP/1.1. A name that is not Kubernetes' own says nothing that is
/// known here.
///
/// # Errors
/// "If a Route is not able to send traffic to the backend using the specified protocol
/// then the backend is considered invalid."
fn protocol(route: Kind, is_grpc: bool, port: &ServicePort) -> Result<(UpstreamProtocol, bool), Failure> {
    let usual = if is_grpc {
        UpstreamProtocol::H2c
    } else {
        UpstreamProtocol::Http
    };
    let name = port.app_protocol.as_deref().unwrap_or_default();
    match name {
        // Bytes, whatever they mean.
        _ if !matches!(route, Kind::HTTPRoute | Kind::GRPCRoute) => Ok((UpstreamProtocol::Http, false)),
        "kubernetes.io/h2c" => Ok((UpstreamProtocol::H2c, false)),
        "kubernetes.io/ws" | "kubernetes.io/wss" if is_grpc => Err(unspoken(port, "it is no gRPC")),
        "kubernetes.io/ws" => Ok((usual, false)),
        "kubernetes.io/wss" => Ok((usual, true)),
        _ if name.eq_ignore_ascii_case("https") || name.eq_ignore_ascii_case("tls") => Ok((usual, true)),
        _ if name.starts_with("kubernetes.io/") => Err(unspoken(port, "it is not known here")),
        _ => Ok((usual, false)),
    }
}

fn unspoken(port: &ServicePort, why: &str) -> Failure {
    let name = port.app_protocol.as_deref().unwrap_or_default();
    let message = format!(
        "`appProtocol` {name:?} of port {} cannot be spoken: {why}",
        port.port
    );
    Failure::new("UnsupportedProtocol", message)
}
