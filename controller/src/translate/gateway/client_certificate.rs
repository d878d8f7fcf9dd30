//! The certificate that a Gateway shows to backends
//! (`spec.tls.backend.clientCertificateRef`).

use std::sync::Arc;

use tidegate_snapshot::{Certificate, UpstreamTls};

use super::grants::Grants;
use super::status::Failure;
use crate::gateway_api::GatewaySpec;
use crate::objects::{NamespacedName, Objects};
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
