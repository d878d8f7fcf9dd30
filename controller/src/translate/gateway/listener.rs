//! The listeners of one Gateway, its ListenerSets' included, each judged by
//! itself. Which of several on one port is served is [`super::ports`]'.

use std::sync::Arc;

use tidegate_snapshot::{Certificate, ClientAuth, Hostname, ListenerKey};

use super::grants::Grants;
use super::hostname;
use super::status::{Condition, Failure, ListenerStatus};
use crate::gateway_api::{AllowedRoutes, BackendRef, GROUP, Listener, NamespaceFilter, RouteGroupKind};
use crate::objects::{Kind, Objects};
use crate::translate::certificates::Certificates;

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Https,
    Tls,
    Tcp,
    Udp,
    /// Not known at all.
    Other,
}

impl Protocol {
    fn parse(text: &str) -> Self {
        match text {
            "HTTP" => Self::Http,
            "HTTPS" => Self::Https,
            "TLS" => Self::Tls,
            "TCP" => Self::Tcp,
            "UDP" => Self::Udp,
            _ => Self::Other,
        }
    }

    /// The kinds of routes that fit.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Http | Self::Https => &[Kind::HTTPRoute, Kind::GRPCRoute],
            Self::Tls => &[Kind::TLSRoute],
            Self::Tcp => &[Kind::TCPRoute],
            Self::Udp => &[Kind::UDPRoute],
            Self::Other => &[],
        }
    }

    /// Whether several listeners can share a port, told apart by host names.
    pub(super) fn has_hostnames(self) -> bool {
        !matches!(self, Self::Tcp | Self::Udp)
    }

    /// Whether connections begin with a ClientHello, which names the listener.
    pub(super) fn is_over_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// Whether what comes is no HTTP to us.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Self::Tls | Self::Tcp | Self::Udp)
    }
}

/// Whose a listener is: what refers to Secrets, and which namespace is "Same".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) kind: Kind,
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

/// A listener, judged.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) owner: Owner,
    pub(super) name: String,
    pub(super) hostname: Hostname,
    /// As written; a valid one fits 16 bits.
    pub(super) port: i64,
    pub(super) protocol: Protocol,
    /// TLS ends here.
    pub(super) terminates: bool,
    kinds: Vec<Kind>,
    namespaces: Option<NamespaceFilter>,
    pub(super) certificates: Vec<Arc<Certificate>>,
    /// What clients must show.
    pub(super) client_auth: Option<Arc<ClientAuth>>,
    /// Why it is not `Accepted`.
    pub(super) refused: Option<Failure>,
    /// Whom it conflicts with.
    pub(super) conflict: Option<Failure>,
    /// Why not all of its references are good.
    pub(super) unresolved: Option<Failure>,
    /// `OverlappingTLSConfig`, where it holds.
    pub(super) overlap: Option<Condition>,
    /// Keys of `tls.options`, which mean nothing here.
    options: Vec<String>,
    pub(super) attached: usize,
    pub(super) served_by: Vec<ListenerKey>,
}

impl Model {
    pub(super) fn new(
        listener: &Listener,
        owner: Owner,
        objects: &Objects,
        grants: &Grants<'_>,
        secrets: &mut Certificates,
    ) -> Self {
        let protocol = Protocol::parse(&listener.protocol);
        let mut refused = None;
        if protocol == Protocol::Other {
            let message = format!("protocol {:?} is not served here", listener.protocol);
            refused = Some(Failure::new("UnsupportedProtocol", message));
        }
        // "This field is ignored for protocols that don't require hostname based
        // matching."
        let hostname = listener.hostname.as_deref().filter(|_| protocol.has_hostnames());
        let hostname = hostname.unwrap_or_default();
        let hostname = hostname::parse(hostname).unwrap_or_else(|error| {
            let message = format!("{hostname:?} is not a host name: {error}");
            refused = Some(Failure::new("UnsupportedValue", message));
            Hostname::Any
        });
        let (kinds, mut unresolved) = kinds(protocol, listener.allowed_routes.as_ref());
        let mut certificates = Vec::new();
        let mode = listener.tls.as_ref().and_then(|tls| tls.mode.as_deref());
        let passes_through = protocol == Protocol::Tls && mode == Some("Passthrough");
        let terminates = protocol.is_over_tls() && !passes_through;
        if terminates {
            match self::certificates(listener, &owner, objects, grants, secrets) {
                Ok(found) => certificates = found,
                Err(Refusal::Accepted(failure)) => refused = Some(failure),
                Err(Refusal::ResolvedRefs(failure)) => unresolved = Some(failure),
            }
        }
        let namespaces = listener.allowed_routes.as_ref();
        let options = listener.tls.iter().flat_map(|tls| tls.options.keys());
        let options = options.cloned().collect();
        Self {
            owner,
            name: listener.name.clone(),
            hostname,
            port: listener.port,
            protocol,
            terminates,
            kinds,
            namespaces: namespaces.and_then(|allowed| allowed.namespaces.clone()),
            certificates,
            client_auth: None,
            refused,
            conflict: None,
            unresolved,
            overlap: None,
            options,
            attached: 0,
            served_by: Vec::new(),
        }
    }

    /// Whether it should have a port.
    pub(super) fn wants_port(&self) -> bool {
        let has_certificate = !self.terminates || !self.certificates.is_empty();
        self.refused.is_none() && self.conflict.is_none() && has_certificate
    }

    /// Whether routes of this kind in this namespace may attach.
    pub(super) fn allows(&self, objects: &Objects, kind: Kind, namespace: &str) -> bool {
        let filter = self.namespaces.as_ref();
        self.kinds.contains(&kind)
            && super::namespaces::admits(objects, filter, "Same", &self.owner.namespace, namespace)
    }

    /// What has no effect, though the object says it.
    pub(super) fn ignored(&self) -> Option<String> {
        let options = self.options.join(", ");
        (!options.is_empty()).then(|| format!("`tls.options` mean nothing here: {options}"))
    }

    pub(super) fn status(&self) -> ListenerStatus {
        let kind = |kind: &Kind| RouteGroupKind {
            group: Some(GROUP.to_owned()),
            kind: kind.as_str().to_owned(),
        };
        let conflicted = match &self.conflict {
            Some(conflict) => Condition {
                status: true,
                ..Condition::fails("Conflicted", conflict.reason, conflict.message.clone())
            },
            None => Condition::fails("Conflicted", "NoConflicts", ""),
        };
        let refused = self.conflict.as_ref().or(self.refused.as_ref());
        let mut accepted = Condition::unless("Accepted", "Accepted", refused);
        if let Some(ignored) = self.ignored().filter(|_| accepted.status) {
            accepted.message = ignored;
        }
        let mut conditions = vec![
            accepted,
            conflicted,
            Condition::unless("ResolvedRefs", "ResolvedRefs", self.unresolved.as_ref()),
        ];
        conditions.extend(self.overlap.clone());
        ListenerStatus {
            name: self.name.clone(),
            port: self.port,
            kinds: self.kinds.iter().map(kind).collect(),
            attached: self.attached,
            conditions,
            served_by: self.served_by.clone(),
        }
    }
}

/// The kinds that may attach: those that are asked for. "If an implementation does
/// not support or recognize this resource type, it MUST set the "ResolvedRefs"
/// condition to False for this Listener with the "InvalidRouteKinds" reason."
fn kinds(protocol: Protocol, allowed: Option<&AllowedRoutes>) -> (Vec<Kind>, Option<Failure>) {
    let wanted = allowed
        .map(|allowed| allowed.kinds.as_slice())
        .unwrap_or_default();
    if wanted.is_empty() {
        return (protocol.kinds().to_vec(), None);
    }
    let mut kinds = Vec::new();
    let mut failure = None;
    for wanted in wanted {
        let ours = wanted.group.as_deref().unwrap_or(GROUP) == GROUP;
        let kind = protocol
            .kinds()
            .iter()
            .find(|kind| ours && kind.as_str() == wanted.kind);
        match kind {
            Some(kind) if !kinds.contains(kind) => kinds.push(*kind),
            Some(_) => {}
            None => {
                let message = format!("routes of kind {:?} cannot attach to this protocol", wanted.kind);
                failure = Some(Failure::new("InvalidRouteKinds", message));
            }
        }
    }
    (kinds, failure)
}

/// Which condition of a listener fails.
enum Refusal {
    Accepted(Failure),
    ResolvedRefs(Failure),
}

/// The certificates of a listener that terminates TLS: at least one must be
/// usable, and every one that is named.
fn certificates(
    listener: &Listener,
    owner: &Owner,
    objects: &Objects,
    grants: &Grants<'_>,
    secrets: &mut Certificates,
) -> Result<Vec<Arc<Certificate>>, Refusal> {
    let unsupported = |message: &str| Refusal::Accepted(Failure::new("UnsupportedValue", message));
    let unresolved = |reason, message: String| Refusal::ResolvedRefs(Failure::new(reason, message));
    let Some(tls) = &listener.tls else {
        return Err(unresolved(
            "InvalidCertificateRef",
            "`tls.certificateRefs` is missing".to_owned(),
        ));
    };
    if tls.mode.as_deref().is_some_and(|mode| mode != "Terminate") {
        return Err(unsupported(
            "`tls.mode` must be Terminate (or Passthrough with protocol TLS)",
        ));
    }
    if tls.frontend_validation.is_some() {
        return Err(unsupported(
            "`frontendValidation` has moved to `spec.tls.frontend` of the Gateway",
        ));
    }
    if tls.certificate_refs.is_empty() {
        return Err(unresolved(
            "InvalidCertificateRef",
            "`tls.certificateRefs` is empty".to_owned(),
        ));
    }
    let mut found = Vec::new();
    for BackendRef {
        group,
        kind,
        name,
        namespace,
        ..
    } in &tls.certificate_refs
    {
        let group = group.as_deref().unwrap_or_default();
        let kind = kind.as_deref().unwrap_or("Secret");
        if !group.is_empty() || kind != "Secret" {
            let message = format!("certificates come from Secrets, not from {kind} {name:?}");
            return Err(unresolved("InvalidCertificateRef", message));
        }
        let namespace = namespace.as_deref().unwrap_or(&owner.namespace);
        if !grants.permit(owner.kind.as_str(), &owner.namespace, "Secret", namespace, name) {
            let message = format!("no ReferenceGrant in {namespace:?} permits to use Secret {name:?}");
            return Err(unresolved("RefNotPermitted", message));
        }
        let certificate = secrets
            .of_secret(objects, namespace, name)
            .map_err(|(_, message)| unresolved("InvalidCertificateRef", message))?;
        found.push(certificate);
    }
    Ok(found)
}
