//! What clients must show (`spec.tls.frontend` of a Gateway).

use std::collections::HashSet;
use std::sync::Arc;

use tidegate_snapshot::{ClientAuth, ClientAuthMode, ClientTrust, ObjectRef};

use super::backend_tls;
use super::grants::Grants;
use super::listener::Model;
use super::status::Failure;
use crate::gateway_api::{BackendRef, FrontendValidation, GatewaySpec};
use crate::objects::{NamespacedName, Objects};

/// "The maximum depth of a certificate chain accepted in verification is
/// implementation specific."
const DEPTH: u8 = 10;

/// What verification is looked up with.
pub(super) struct Frontends<'a> {
    pub(super) objects: &'a Objects,
    pub(super) grants: &'a Grants<'a>,
    /// Gets the ConfigMaps that are read.
    pub(super) reads: &'a mut HashSet<NamespacedName>,
}

impl Frontends<'_> {
    /// Has a listener that serves HTTPS ask for certificates, if its Gateway
    /// says so.
    pub(super) fn demand(&mut self, gateway: &NamespacedName, spec: &GatewaySpec, listener: &mut Model) {
        let Some(validation) = validation(spec, listener.port) else {
            return;
        };
        let mode = match validation.mode.as_deref().unwrap_or("AllowValidOnly") {
            "AllowValidOnly" => ClientAuthMode::Handshake,
            "AllowInsecureFallback" => ClientAuthMode::Unchecked,
            other => {
                let message = format!("`mode` {other:?} of the validation is not supported");
                listener.refused = Some(Failure::new("UnsupportedValue", message));
                return;
            }
        };
        let mut roots = Vec::new();
        for reference in &validation.ca_certificate_refs {
            match self.authorities(gateway, reference) {
                Ok(found) => roots.extend(found),
                Err(failure) => drop(listener.unresolved.get_or_insert(failure)),
            }
        }
        // "If ALL CACertificateRefs are invalid, the implementation MUST also
        // ensure the `Accepted` condition on the listener is set to `status: False`"
        if roots.is_empty() {
            let failure = listener.unresolved.as_ref();
            let why = failure.map_or("`caCertificateRefs` is empty", |failure| &failure.message);
            listener.refused = Some(Failure::new("NoValidCACertificate", why));
            return;
        }
        listener.client_auth = Some(Arc::new(ClientAuth {
            origin: ObjectRef::new("Gateway", &gateway.namespace, &gateway.name),
            trust: Some(ClientTrust {
                roots,
                revocations: Vec::new(),
            }),
            mode,
            depth: DEPTH,
            error_page: None,
            pass_certificate: false,
            match_cn: None,
        }));
    }

    fn authorities(
        &mut self,
        gateway: &NamespacedName,
        reference: &BackendRef,
    ) -> Result<Vec<rustls_pki_types::CertificateDer<'static>>, Failure> {
        let name = &reference.name;
        let kind = reference.kind.as_deref().unwrap_or("ConfigMap");
        if !reference.group.as_deref().unwrap_or_default().is_empty() || kind != "ConfigMap" {
            let message = format!("authorities come from ConfigMaps, not from {kind} {name:?}");
            return Err(Failure::new("InvalidCACertificateKind", message));
        }
        let namespace = reference.namespace.as_deref().unwrap_or(&gateway.namespace);
        let permitted = self
            .grants
            .permit("Gateway", &gateway.namespace, "ConfigMap", namespace, name);
        if !permitted {
            let message = format!("no ReferenceGrant in {namespace:?} permits to use ConfigMap {name:?}");
            return Err(Failure::new("RefNotPermitted", message));
        }
        backend_tls::bundle(namespace, name, self.objects, self.reads)
    }
}

/// "Per port configuration ... overrides the default configuration for all
/// Listeners handling HTTPS traffic that match this port."
fn validation(spec: &GatewaySpec, port: i64) -> Option<&FrontendValidation> {
    let frontend = spec.tls.as_ref()?.frontend.as_ref()?;
    let own = frontend.per_port.iter().find(|entry| entry.port == port);
    let tls = own.map_or(&frontend.default, |entry| &entry.tls);
    tls.validation.as_ref()
}

/// Whether clients without a good certificate are let in anywhere.
pub(super) fn is_insecure(spec: &GatewaySpec) -> bool {
    let frontend = spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref());
    frontend.is_some_and(|frontend| {
        let ports = frontend.per_port.iter().map(|entry| &entry.tls);
        let mut all = ports.chain([&frontend.default]);
        all.any(|tls| {
            let validation = tls.validation.as_ref();
            validation.is_some_and(|validation| validation.mode.as_deref() == Some("AllowInsecureFallback"))
        })
    })
}
