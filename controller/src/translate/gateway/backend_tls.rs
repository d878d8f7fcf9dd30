//! TLS to backends (BackendTLSPolicy).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::ServicePort;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tidegate_snapshot::{AltName, Effect, Hostname, ObjectRef, Problem, TrustAnchors, UpstreamTls};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::reason;
use super::status::{Condition, Failure, PolicyStatus};
use crate::gateway_api::{BackendRef, BackendTLSPolicySpec, SubjectAltName, Validation};
use crate::objects::{NamespacedName, Objects};
use crate::translate::problems::Problems;

/// The key of authorities in a ConfigMap.
const CA_KEY: &str = "ca.crt";

/// The reason of `Accepted: False` of a policy whose targets are others'.
const CONFLICTED: &str = "Conflicted";

/// The policies, by what they are for.
#[derive(Debug, PartialEq)]
pub(super) struct BackendTls {
    models: Vec<Model>,
    /// By Service; the older first.
    by_service: HashMap<NamespacedName, Vec<(Option<String>, usize)>>,
    /// Every policy for a Service, those included that lost a conflict.
    targets: HashMap<NamespacedName, Vec<NamespacedName>>,
}

#[derive(Debug, PartialEq)]
struct Model {
    name: NamespacedName,
    generation: i64,
    refused: Option<Failure>,
    unresolved: Option<Failure>,
    /// Of its fields, what has no effect.
    ignored: Vec<(&'static str, String)>,
    tls: Option<Arc<UpstreamTls>>,
    /// Tells clusters with different settings apart.
    identity: Arc<str>,
}

/// What a policy says about a port of a Service.
pub(super) struct Found<'a> {
    pub(super) policy: &'a NamespacedName,
    /// `None`: the policy is not valid. Nothing goes there in plain text instead:
    /// such backends answer 500.
    pub(super) tls: Option<(&'a Arc<UpstreamTls>, &'a Arc<str>)>,
}

impl BackendTls {
    /// Reads all policies; `reads` gets the ConfigMaps that they name.
    pub(super) fn new(objects: &Objects, reads: &mut HashSet<NamespacedName>) -> Self {
        let mut policies: Vec<_> = objects.gateway_api().backend_tls_policies.values().collect();
        policies.sort_by_key(|policy| {
            let metadata = &policy.metadata;
            (
                policy.created(),
                metadata.namespace.clone(),
                metadata.name.clone(),
            )
        });
        let mut tls = Self {
            models: Vec::new(),
            by_service: HashMap::new(),
            targets: HashMap::new(),
        };
        for policy in policies {
            let Ok(spec) = &policy.spec else { continue };
            let name = NamespacedName::new(
                policy.metadata.namespace.as_deref().unwrap_or_default(),
                policy.metadata.name.as_deref().unwrap_or_default(),
            );
            let mut model = model(spec, name, objects, reads);
            model.generation = policy.generation();
            tls.target(&mut model, spec);
            tls.models.push(model);
        }
        tls
    }

    /// "When more than one BackendTLSPolicy selects the same target and sectionName",
    /// the older one has it. The other keeps its other targets; "the `Accepted`
    /// Condition is set to `status: False`, with Reason `Conflicted`" where it has
    /// none left. One for a named port comes before one for the whole Service.
    fn target(&mut self, model: &mut Model, spec: &BackendTLSPolicySpec) {
        let index = self.models.len();
        let mut wins = false;
        let mut lost = Vec::new();
        let targets = spec.target_refs.iter();
        for target in targets.filter(|target| target.group.is_empty() && target.kind == "Service") {
            let service = NamespacedName::new(&model.name.namespace, &target.name);
            let section = target.section_name.clone().filter(|name| !name.is_empty());
            self.targets
                .entry(service.clone())
                .or_default()
                .push(model.name.clone());
            let known = self.by_service.entry(service).or_default();
            if known.iter().any(|(other, _)| *other == section) {
                lost.push(format!(
                    "an older policy is for Service {:?} already",
                    target.name
                ));
            } else {
                known.push((section, index));
                wins = true;
            }
        }
        if wins {
            let lost = lost.into_iter().map(|message| ("spec.targetRefs", message));
            model.ignored.extend(lost);
        } else if let Some(message) = lost.into_iter().next() {
            model.refused = Some(Failure::new(CONFLICTED, message));
        }
    }

    /// Every policy for a Service.
    pub(super) fn all(&self, service: &NamespacedName) -> &[NamespacedName] {
        self.targets.get(service).map(Vec::as_slice).unwrap_or_default()
    }

    /// The policy for a port of a Service, if there is one.
    pub(super) fn of(&self, service: &NamespacedName, port: &ServicePort) -> Option<Found<'_>> {
        let policies = self.by_service.get(service)?;
        let named = policies
            .iter()
            .find(|(section, _)| section.is_some() && *section == port.name);
        let whole = || policies.iter().find(|(section, _)| section.is_none());
        let (_, index) = named.or_else(whole)?;
        let model = &self.models[*index];
        let valid = model.refused.is_none() && model.unresolved.is_none();
        Some(Found {
            policy: &model.name,
            tls: model
                .tls
                .as_ref()
                .filter(|_| valid)
                .map(|tls| (tls, &model.identity)),
        })
    }

    /// The statuses of the policies of Services that Gateways (`ancestors`)
    /// forward to.
    pub(super) fn statuses(
        &self,
        ancestors: &BTreeMap<NamespacedName, Vec<NamespacedName>>,
        problems: &mut Problems,
    ) -> BTreeMap<NamespacedName, PolicyStatus> {
        let mut statuses = BTreeMap::new();
        for model in &self.models {
            let object = || ObjectRef::new("BackendTLSPolicy", &model.name.namespace, &model.name.name);
            for (field, message) in &model.ignored {
                problems.push(Problem {
                    object: object(),
                    field: (*field).to_owned(),
                    reason: reason::WITHOUT_EFFECT,
                    message: message.clone(),
                    effect: Effect::Ignored,
                    fix: String::new(),
                });
            }
            for failure in [&model.refused, &model.unresolved].into_iter().flatten() {
                problems.push(Problem {
                    object: object(),
                    field: "spec".to_owned(),
                    reason: reason::BACKEND_POLICY_NOT_VALID,
                    message: match failure.reason {
                        CONFLICTED => failure.message.clone(),
                        _ => format!("{}; its backends answer 500", failure.message),
                    },
                    effect: Effect::ObjectRejected,
                    fix: String::new(),
                });
            }
            if let Some(ancestors) = ancestors.get(&model.name) {
                let mut accepted = Condition::unless("Accepted", "Accepted", model.refused.as_ref());
                if accepted.status {
                    let ignored = model.ignored.iter().map(|(_, message)| message.as_str());
                    accepted.message = ignored.collect::<Vec<_>>().join("; ");
                }
                let status = PolicyStatus {
                    generation: model.generation,
                    ancestors: ancestors.clone(),
                    conditions: vec![
                        accepted,
                        Condition::unless("ResolvedRefs", "ResolvedRefs", model.unresolved.as_ref()),
                    ],
                };
                statuses.insert(model.name.clone(), status);
            }
        }
        statuses
    }
}

fn model(
    spec: &BackendTLSPolicySpec,
    name: NamespacedName,
    objects: &Objects,
    reads: &mut HashSet<NamespacedName>,
) -> Model {
    let validation = &spec.validation;
    let mut model = Model {
        identity: format!("{name}:{validation:?}").into(),
        name,
        generation: 0,
        refused: None,
        unresolved: None,
        ignored: Vec::new(),
        tls: None,
    };
    let options: Vec<_> = spec.options.keys().map(String::as_str).collect();
    if !options.is_empty() {
        let message = format!("`options` mean nothing here: {}", options.join(", "));
        model.ignored.push(("spec.options", message));
    }
    let invalid = |message: String| Some(Failure::new("Invalid", message));
    let alt_names: Option<Vec<AltName>> = validation.subject_alt_names.iter().map(alt_name).collect();
    let Some(alt_names) = alt_names else {
        model.refused = invalid("`subjectAltNames` can only be host names and URIs".to_owned());
        return model;
    };
    let Ok(Hostname::Exact(server_name)) = Hostname::parse(&validation.hostname) else {
        model.refused = invalid(format!("{:?} is not a host name", validation.hostname));
        return model;
    };
    match anchors(validation, &model.name, objects, reads) {
        Ok(anchors) => {
            model.tls = Some(Arc::new(UpstreamTls {
                server_name: Some(server_name),
                verify: Some(anchors),
                alt_names,
                client_certificate: None,
                limits: None,
            }));
        }
        Err((refused, unresolved)) => {
            model.refused = refused;
            model.unresolved = unresolved;
        }
    }
    model
}

/// "When specified the certificate served from the backend MUST have at least one
/// Subject Alternate Name matching one of the specified" names.
fn alt_name(name: &SubjectAltName) -> Option<AltName> {
    match (name.kind.as_str(), &name.hostname, &name.uri) {
        ("Hostname", Some(name), _) => {
            let parsed = Hostname::parse(name).ok()?;
            (parsed != Hostname::Any).then(|| AltName::Hostname(parsed.to_string().into()))
        }
        // "It MUST include both a scheme ... and a scheme-specific-part."
        ("URI", _, Some(uri)) => {
            let (scheme, rest) = uri.split_once(':')?;
            (!scheme.is_empty() && !rest.is_empty()).then(|| AltName::Uri(uri.as_str().into()))
        }
        _ => None,
    }
}

/// Why neither condition, `Accepted` or `ResolvedRefs`, holds.
type Refused = (Option<Failure>, Option<Failure>);

fn anchors(
    validation: &Validation,
    policy: &NamespacedName,
    objects: &Objects,
    reads: &mut HashSet<NamespacedName>,
) -> Result<TrustAnchors, Refused> {
    let invalid = |message: &str| Err((Some(Failure::new("Invalid", message)), None));
    match (
        validation
            .well_known_ca_certificates
            .as_deref()
            .filter(|name| !name.is_empty()),
        validation.ca_certificate_refs.as_slice(),
    ) {
        (Some("System"), []) => Ok(TrustAnchors::System),
        (Some(_), []) => invalid("`wellKnownCACertificates` can only be System"),
        (None, []) => invalid("neither `caCertificateRefs` nor `wellKnownCACertificates` is given"),
        (Some(_), _) => invalid("`caCertificateRefs` and `wellKnownCACertificates` exclude each other"),
        (None, references) => {
            let mut certificates = Vec::new();
            let mut failure = None;
            for reference in references {
                match authorities(reference, policy, objects, reads) {
                    Ok(found) => certificates.extend(found),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            match failure {
                None => Ok(TrustAnchors::Certificates(certificates.into())),
                Some(failure) => {
                    let none = certificates.is_empty();
                    let refused = none.then(|| Failure::new("NoValidCACertificate", failure.message.clone()));
                    Err((refused, Some(failure)))
                }
            }
        }
    }
}

fn authorities(
    reference: &BackendRef,
    policy: &NamespacedName,
    objects: &Objects,
    reads: &mut HashSet<NamespacedName>,
) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let name = &reference.name;
    let kind = reference.kind.as_deref().unwrap_or("ConfigMap");
    if !reference.group.as_deref().unwrap_or_default().is_empty() || kind != "ConfigMap" {
        let message = format!("authorities come from ConfigMaps, not from {kind} {name:?}");
        return Err(Failure::new("InvalidKind", message));
    }
    bundle(&policy.namespace, name, objects, reads)
}

/// The authorities that a ConfigMap holds.
pub(super) fn bundle(
    namespace: &str,
    name: &str,
    objects: &Objects,
    reads: &mut HashSet<NamespacedName>,
) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let invalid = |message: String| Failure::new("InvalidCACertificateRef", message);
    reads.insert(NamespacedName::new(namespace, name));
    let Some(config_map) = objects.config_map(namespace, name) else {
        return Err(invalid(format!("ConfigMap {namespace}/{name} does not exist")));
    };
    let text = config_map.data.as_ref().and_then(|data| data.get(CA_KEY));
    let Some(text) = text else {
        return Err(invalid(format!("ConfigMap {name:?} has no key {CA_KEY:?}")));
    };
    let broken = || {
        invalid(format!(
            "{CA_KEY:?} of ConfigMap {name:?} is not a list of PEM certificates"
        ))
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| broken())?;
    let sound = certificates
        .iter()
        .all(|der| X509Certificate::from_der(der).is_ok());
    if certificates.is_empty() || !sound {
        return Err(broken());
    }
    Ok(certificates)
}
