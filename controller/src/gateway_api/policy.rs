use std::collections::BTreeMap;

use serde::Deserialize;

use super::BackendRef;

/// The spec of a ReferenceGrant.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReferenceGrantSpec {
    /// Who may refer.
    pub from: Vec<GrantFrom>,
    /// To what, in the grant's namespace.
    pub to: Vec<GrantTo>,
}

/// Who may refer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrantFrom {
    /// Empty: core.
    pub group: String,
    /// The kind that refers.
    pub kind: String,
    /// The namespace that it is in.
    pub namespace: String,
}

/// What may be referred to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrantTo {
    /// Empty: core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// `None`: every object of the kind.
    pub name: Option<String>,
}

/// The spec of a BackendTLSPolicy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTLSPolicySpec {
    /// The Services that it is for.
    pub target_refs: Vec<PolicyTarget>,
    /// How the backend's certificate is verified.
    pub validation: Validation,
    /// Settings of implementations.
    pub options: BTreeMap<String, String>,
}

/// What a policy is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyTarget {
    /// Empty: core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The object, in the policy's namespace.
    pub name: String,
    /// A port of the Service by name; `None`: all.
    pub section_name: Option<String>,
}

/// How a backend's certificate is verified.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Validation {
    /// ConfigMaps with certificates of authorities in `ca.crt`.
    #[serde(rename = "caCertificateRefs")]
    pub ca_certificate_refs: Vec<BackendRef>,
    /// System, or somebody's own.
    #[serde(rename = "wellKnownCACertificates")]
    pub well_known_ca_certificates: Option<String>,
    /// The server name, which the certificate must be for unless alternative
    /// names are given.
    pub hostname: String,
    /// Names of which the certificate must be for one.
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// A name of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubjectAltName {
    /// Hostname or URI.
    #[serde(rename = "type")]
    pub kind: String,
    /// For Hostname.
    pub hostname: Option<String>,
    /// For URI.
    pub uri: Option<String>,
}
