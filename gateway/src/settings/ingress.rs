use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which Ingresses are served, and what holds for all of them (the flags and
/// ConfigMap keys of ingress-nginx in brackets).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Ingress {
    /// Served values of `spec.controller` in IngressClasses. Add
    /// `k8s.io/ingress-nginx` to adopt the classes of an ingress-nginx
    /// (`--controller-class`).
    pub controller_classes: Vec<String>,
    /// The served value of the annotation `kubernetes.io/ingress.class`
    /// (`--ingress-class`).
    pub class: String,
    /// Serve an IngressClass named like `class` whatever its controller
    /// (`--ingress-class-by-name`).
    pub class_by_name: bool,
    /// Serve Ingresses without any class (`--watch-ingress-without-class`).
    pub without_class: bool,
    /// The prefix of annotations (`--annotations-prefix`).
    pub annotations_prefix: String,
    /// `namespace/name` of the Secret for server names that no other fits
    /// (`--default-ssl-certificate`).
    pub default_certificate: Option<String>,
    /// `namespace/name` of the Service for requests that no rule fits
    /// (`--default-backend-service`).
    pub default_backend: Option<String>,
    /// `namespace/name` of the ConfigMap with ingress-nginx's keys, which win
    /// over what stands here; `docs/configmap.md` lists them (`--configmap`).
    pub config_map: Option<String>,
    /// `namespace/name` of the ConfigMap with TCP services by port
    /// (`--tcp-services-configmap`).
    pub tcp_services: Option<String>,
    /// `namespace/name` of the ConfigMap with UDP services by port
    /// (`--udp-services-configmap`).
    pub udp_services: Option<String>,
    /// Serve the annotation `ssl-passthrough` (`--enable-ssl-passthrough`).
    pub tls_passthrough: bool,
    /// Refuse Ingresses with texts that attacks on ingress-nginx are known by
    /// (`--deep-inspect`).
    pub deep_inspect: bool,
    /// Do not serve Ingresses with `spec.defaultBackend`
    /// (`--disable-catch-all`).
    pub disable_catch_all: bool,
    /// Do not serve Services of type ExternalName
    /// (`--disable-svc-external-name`).
    pub disable_external_name: bool,
    /// Of Services with topology hints take the endpoints that are meant for our
    /// zone (`--enable-topology-aware-routing`).
    pub topology_aware_routing: bool,
    /// Our zone. `null`: the label `topology.kubernetes.io/zone` of our node.
    pub zone: Option<String>,
    /// Redirect hosts with TLS from http to https (`ssl-redirect`).
    pub ssl_redirect: bool,
    /// `Strict-Transport-Security` on hosts with TLS. `null`: off (`hsts`).
    pub hsts: Option<Hsts>,
    /// How endpoints are chosen (`load-balance`).
    pub load_balancing: LoadBalancing,
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            controller_classes: vec!["tidegate.dev/ingress".to_owned()],
            class: "nginx".to_owned(),
            class_by_name: false,
            without_class: false,
            annotations_prefix: "nginx.ingress.kubernetes.io".to_owned(),
            default_certificate: None,
            default_backend: None,
            config_map: None,
            tcp_services: None,
            udp_services: None,
            tls_passthrough: false,
            deep_inspect: true,
            disable_catch_all: false,
            disable_external_name: false,
            topology_aware_routing: false,
            zone: None,
            ssl_redirect: true,
            hsts: Some(Hsts::default()),
            load_balancing: LoadBalancing::RoundRobin,
        }
    }
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Hsts {
    /// Seconds (`hsts-max-age`).
    pub max_age: u64,
    /// Subdomains, too (`hsts-include-subdomains`).
    pub include_subdomains: bool,
    /// For the browsers' preload lists (`hsts-preload`).
    pub preload: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        let defaults = tidegate_snapshot::policy::Hsts::default();
        Self {
            max_age: defaults.max_age,
            include_subdomains: defaults.include_subdomains,
            preload: defaults.preload,
        }
    }
}

/// How endpoints are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LoadBalancing {
    /// In turn.
    #[default]
    RoundRobin,
    /// The less busy of two random ones.
    LeastRequest,
    /// The lower latency of two random ones.
    Ewma,
}
