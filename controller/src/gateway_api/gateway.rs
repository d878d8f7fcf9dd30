use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;

/// The spec of a GatewayClass.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayClassSpec {
    /// Whose class it is.
    pub controller_name: String,
    /// An object with parameters of the controller's own.
    pub parameters_ref: Option<Value>,
}

/// The spec of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// Its GatewayClass.
    pub gateway_class_name: String,
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// The addresses that are asked for.
    pub addresses: Vec<GatewayAddress>,
    /// Wishes about generated objects.
    pub infrastructure: Option<Infrastructure>,
    /// Whose ListenerSets may attach.
    pub allowed_listeners: Option<AllowedListeners>,
    /// Client certificates of both sides.
    pub tls: Option<GatewayTls>,
    /// Which routes that ask for any Gateway may attach (experimental).
    pub default_scope: Option<String>,
}

/// Client certificates of both sides.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayTls {
    /// What backends are shown.
    pub backend: Option<BackendCertificate>,
    /// What clients must show.
    pub frontend: Option<Frontend>,
}

/// What backends are shown.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendCertificate {
    /// A Secret.
    pub client_certificate_ref: Option<super::BackendRef>,
}

/// What clients must show.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Frontend {
    /// On ports that are not named.
    pub default: FrontendTls,
    /// Instead of the default.
    pub per_port: Vec<FrontendPort>,
}

/// What clients of one port must show.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FrontendPort {
    /// The port that clients see.
    pub port: i64,
    /// What they must show.
    pub tls: FrontendTls,
}

/// What clients must show.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FrontendTls {
    /// `None`: nothing.
    pub validation: Option<FrontendValidation>,
}

/// How clients' certificates are verified.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FrontendValidation {
    /// ConfigMaps with certificates of authorities in `ca.crt`.
    #[serde(rename = "caCertificateRefs")]
    pub ca_certificate_refs: Vec<super::BackendRef>,
    /// AllowValidOnly (default) or AllowInsecureFallback.
    pub mode: Option<String>,
}

/// One listener of a Gateway or ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Listener {
    /// Its name, for `sectionName`.
    pub name: String,
    /// The host names that it is for; `None` or empty: any.
    pub hostname: Option<String>,
    /// The port that clients see.
    pub port: i64,
    /// HTTP, HTTPS, TLS, TCP, UDP or somebody's own.
    pub protocol: String,
    /// For HTTPS and TLS.
    pub tls: Option<ListenerTls>,
    /// Which routes may attach.
    pub allowed_routes: Option<AllowedRoutes>,
}

/// TLS of a listener.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerTls {
    /// Terminate (default) or Passthrough.
    pub mode: Option<String>,
    /// Secrets with certificates.
    pub certificate_refs: Vec<super::BackendRef>,
    /// Settings of implementations.
    pub options: BTreeMap<String, String>,
    /// Client certificates (before v1.5).
    pub frontend_validation: Option<Value>,
}

/// Which routes may attach to a listener.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AllowedRoutes {
    /// By namespace; `None`: the Gateway's own.
    pub namespaces: Option<NamespaceFilter>,
    /// By kind; empty: all that fit the protocol.
    pub kinds: Vec<RouteGroupKind>,
}

/// A choice of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceFilter {
    /// All, Same, Selector or None.
    pub from: Option<String>,
    /// For `Selector`.
    pub selector: Option<LabelSelector>,
}

/// A kind of route.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteGroupKind {
    /// `None`: Gateway API's.
    pub group: Option<String>,
    /// The kind.
    pub kind: String,
}

/// An address that a Gateway asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayAddress {
    /// IPAddress (default), Hostname or somebody's own.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Empty: any of the type.
    pub value: String,
}

/// Wishes about generated objects.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Infrastructure {
    /// For generated objects.
    pub labels: BTreeMap<String, String>,
    /// For generated objects.
    pub annotations: BTreeMap<String, String>,
    /// An object with parameters of the controller's own.
    pub parameters_ref: Option<Value>,
}

/// Whose ListenerSets may attach to a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AllowedListeners {
    /// `None`: nobody's.
    pub namespaces: Option<NamespaceFilter>,
}

/// The spec of a ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerSetSpec {
    /// The Gateway that it adds to.
    pub parent_ref: super::ParentRef,
    /// What it adds.
    pub listeners: Vec<Listener>,
}
