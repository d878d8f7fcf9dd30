//! The certificate that a Gateway shows to backends
//! (`spec.tls.backend.clientCertificateRef`).

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_snapshot::{Certificate, UpstreamTls};

use super::attach;
use super::grants::Grants;
use super::status::Failure;
use crate::gateway_api::{GatewaySpec, ParentRef};
use crate::objects::{Kind, NamespacedName, Objects};
use crate::translate::certificates::Certificates;

/// A certificate of a Gateway's own, or why there is none.
pub(super) type Shown = Result<Arc<Certificate>, Failure>;

/// Whose certificate backends are shown.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) gateway: NamespacedName,
    pub(super) certificate: Arc<Certificate>,
}

impl Identity {
    /// The same TLS, with the certificate; and what tells it apart.
    pub(super) fn show(&self, tls: &UpstreamTls, identity: &str) -> (Arc<UpstreamTls>, Arc<str>) {
        let shown = UpstreamTls {
            client_certificate: Some(self.certificate.clone()),
            ..tls.clone()
        };
        let identity = format!("{identity}:{}:{:p}", self.gateway, Arc::as_ptr(&self.certificate));
        (Arc::new(shown), identity.into())
    }
}

/// What a Gateway shows; `None`: nothing.
pub(super) fn shown(
    gateway: &NamespacedName,
    spec: &GatewaySpec,
    objects: &Objects,
    grants: &Grants<'_>,
    secrets: &mut Certificates,
) -> Option<Shown> {
    let reference = spec
        .tls
        .as_ref()?
        .backend
        .as_ref()?
        .client_certificate_ref
        .as_ref()?;
    let name = &reference.name;
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    let invalid = |message: String| Failure::new("InvalidClientCertificateRef", message);
    if !reference.group.as_deref().unwrap_or_default().is_empty() || kind != "Secret" {
        let message = format!("client certificates come from Secrets, not from {kind} {name:?}");
        return Some(Err(invalid(message)));
    }
    let namespace = reference.namespace.as_deref().unwrap_or(&gateway.namespace);
    if !grants.permit("Gateway", &gateway.namespace, "Secret", namespace, name) {
        let message = format!("no ReferenceGrant in {namespace:?} permits to use Secret {name:?}");
        return Some(Err(Failure::new("RefNotPermitted", message)));
    }
    let certificate = secrets.of_secret(objects, namespace, name);
    Some(certificate.map_err(|(_, message)| invalid(message)))
}

/// What backends of a route are shown: the certificate of its Gateways, those of
/// others left out. Of several that differ none: nobody can tell them apart behind one route.
pub(super) fn of_route(
    namespace: &str,
    parents: &[Arc<ParentRef>],
    shown: &BTreeMap<NamespacedName, Shown>,
    is_ours: impl Fn(Kind, &str, &str) -> bool,
    parent: impl Fn(Kind, NamespacedName) -> NamespacedName,
) -> Option<Identity> {
    if shown.is_empty() {
        return None;
    }
    let mut found: Option<Identity> = None;
    for reference in parents {
        let Some(kind) = attach::parent_kind(reference) else {
            continue;
        };
        let namespace = reference.namespace.as_deref().unwrap_or(namespace);
        let name = NamespacedName::new(namespace, &reference.name);
        if !is_ours(kind, namespace, &reference.name) {
            continue;
        }
        let gateway = parent(kind, name);
        let certificate = shown.get(&gateway)?.as_ref().ok()?.clone();
        match &found {
            Some(other) if other.certificate != certificate => return None,
            Some(_) => {}
            None => found = Some(Identity { gateway, certificate }),
        }
    }
    found
}
