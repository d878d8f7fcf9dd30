//! What translation needs to know besides the objects: the flags, parsed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tidegate_snapshot::policy::{AddedHeaders, Hsts, HttpsRedirect, Limits};
use tidegate_snapshot::{
    AccessLog, Certificate, FieldName, GeoIp, HttpSettings, LoadBalancing, Networks, Ocsp, ProxyProtocol,
    Text, TlsSettings, TraceExport,
};

use crate::objects::NamespacedName;
use crate::translate::snippet::Directives;

/// The controller name of our own IngressClasses.
pub const CONTROLLER_CLASS: &str = "tidegate.dev/ingress";

/// The controller name of ingress-nginx, accepted when its classes are adopted
/// (its flag `--controller-class`).
pub const INGRESS_NGINX_CONTROLLER_CLASS: &str = "k8s.io/ingress-nginx";

/// ingress-nginx `--ingress-class`.
pub const DEFAULT_INGRESS_CLASS: &str = "nginx";

/// Where certificate authorities look for answers (RFC 8555 §8.3).
pub const ACME_CHALLENGE: &str = "/.well-known/acme-challenge";

/// ingress-nginx `--annotations-prefix`.
pub const DEFAULT_ANNOTATIONS_PREFIX: &str = "nginx.ingress.kubernetes.io";

/// Settings of translation. [`Options::default`] is an ingress-nginx without
/// flags and ConfigMap, but for the controller class, which is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--ingress-class`: the value of the annotation `kubernetes.io/ingress.class`.
    pub ingress_class: String,
    /// `--controller-class`: values of `IngressClass.spec.controller` that are ours.
    pub controller_classes: Vec<String>,
    /// `--ingress-class-by-name`: an IngressClass named like `ingress_class` is
    /// ours whatever its controller.
    pub ingress_class_by_name: bool,
    /// `--watch-ingress-without-class`.
    pub watch_ingress_without_class: bool,
    /// `--annotations-prefix`, without the slash.
    pub annotations_prefix: String,
    /// `--default-ssl-certificate`.
    pub default_ssl_certificate: Option<NamespacedName>,
    /// `--default-backend-service`.
    pub default_backend_service: Option<NamespacedName>,
    /// `--tcp-services-configmap`.
    pub tcp_services: Option<NamespacedName>,
    /// `--udp-services-configmap`.
    pub udp_services: Option<NamespacedName>,
    /// `--enable-ssl-passthrough`.
    pub tls_passthrough: bool,
    /// ConfigMap `proxy-stream-*`: what all stream routes have.
    pub streams: StreamOptions,
    /// `--disable-catch-all`: Ingresses with `spec.defaultBackend` are not served.
    pub disable_catch_all: bool,
    /// `--disable-svc-external-name`.
    pub disable_svc_external_name: bool,
    /// The plain listener; `None`: not served.
    pub http: Option<ListenerOptions>,
    /// The TLS listener; `None`: not served.
    pub https: Option<ListenerOptions>,
    /// Limits and header rules of both listeners.
    pub http_settings: Arc<HttpSettings>,
    /// `--enable-topology-aware-routing`: our zone, whose endpoints are taken of
    /// Services that ask for that. `None`: endpoints of all zones.
    pub zone: Option<Box<str>>,
    /// ConfigMap `disable-ipv6-dns`.
    pub ipv4_names_only: bool,
    /// ConfigMap `ssl-protocols`, `ssl-ciphers`, `ssl-ecdh-curve`, `ssl-session-*`.
    pub tls: Arc<TlsSettings>,
    /// ConfigMap `enable-ocsp`, `ocsp-responder-cidr`; `None`: off.
    pub ocsp: Option<Arc<Ocsp>>,
    /// Where GeoIP databases are, should they be asked for
    /// (`--maxmind-edition-ids`).
    pub geoip_files: GeoIp,
    /// ConfigMap `use-geoip2`; `None`: off.
    pub geoip: Option<Arc<GeoIp>>,
    /// ConfigMap `worker-shutdown-timeout`.
    pub shutdown_timeout: Option<Duration>,
    /// ConfigMap `ssl-reject-handshake`.
    pub reject_unknown_names: bool,
    /// ConfigMap `otlp-*` and `otel-*`.
    pub trace_export: Arc<TraceExport>,
    /// ConfigMap `opentelemetry-operation-name`, which may have variables.
    pub span_name: Option<Text>,
    /// ConfigMap `log-format-upstream` and others about the access log.
    pub access_log: Arc<AccessLog>,
    /// ConfigMap `hsts`, `hsts-*`; `None`: off.
    pub hsts: Option<Hsts>,
    /// ConfigMap `ssl-redirect`: the default of the annotation.
    pub ssl_redirect: bool,
    /// ConfigMap `load-balance`: the default of the annotation.
    pub load_balancing: LoadBalancing,
    /// ConfigMap `global-allowed-response-headers`: the fields that
    /// `custom-headers` may set, in their exact spelling. Empty: none.
    pub global_allowed_response_headers: Vec<String>,
    /// ConfigMap `global-auth-*`: for all Ingresses without `auth-url` of their
    /// own, unless `enable-global-auth` says no.
    pub global_auth: Option<ExternalAuthTexts>,
    /// ConfigMap `no-auth-locations`: Ingress paths that begin so need no basic
    /// and no external authentication.
    pub no_auth_locations: Arc<[Box<str>]>,
    /// ConfigMap `whitelist-source-range`: the default of the annotation.
    pub allowlist_source_range: Option<Networks>,
    /// ConfigMap `denylist-source-range`: the default of the annotation.
    pub denylist_source_range: Networks,
    /// ConfigMap `limit-conn-zone-variable`; `None`: the client's address.
    pub limit_key: Option<Text>,
    /// ConfigMap `limit-req-status-code`: 400 to 599.
    pub limit_req_status_code: u16,
    /// ConfigMap `limit-conn-status-code`: 400 to 599.
    pub limit_conn_status_code: u16,
    /// `--configmap`: its keys win over what stands here.
    pub config_map: Option<NamespacedName>,
    /// Annotations that every Ingress starts with, by name without the prefix:
    /// ConfigMap keys that are defaults of annotations.
    pub default_annotations: BTreeMap<String, String>,
    /// Set when a ConfigMap key that guards access could not be understood:
    /// every route answers 503.
    pub disabled: Option<Arc<str>>,
    /// The same for a `global-auth-*` key: it closes the routes of Ingresses, and
    /// not the default backend, which the key would not guard.
    pub global_auth_disabled: Option<Arc<str>>,
    /// ConfigMap `http-redirect-code`.
    pub http_redirect_code: u16,
    /// ConfigMap `custom-http-errors`: the default of the annotation, sorted.
    pub custom_http_errors: Arc<[u16]>,
    /// ConfigMap `no-tls-redirect-locations`: prefixes of rules' paths that are
    /// served without TLS, too.
    pub no_tls_redirect_locations: Arc<[Box<str>]>,
    /// ConfigMap `retry-non-idempotent`.
    pub retry_non_idempotent: bool,
    /// ConfigMap `strict-validate-path-type`.
    pub strict_path_types: bool,
    /// `--deep-inspect`: refuse objects with texts that attacks on ingress-nginx
    /// are known by.
    pub deep_inspect: bool,
    /// ConfigMap `annotations-risk-level`: an Ingress with an annotation above
    /// it is refused.
    pub risk_level: Risk,
    /// ConfigMap `annotation-value-word-blocklist`.
    pub blocked_words: Vec<Box<str>>,
    /// ConfigMap `allow-snippet-annotations`.
    pub allow_snippet_annotations: bool,
    /// ConfigMap `location-snippet`.
    pub location_snippet: Option<Arc<Directives>>,
    /// ConfigMap `server-snippet`.
    pub server_snippet: Option<Arc<Directives>>,
    /// ConfigMap `allow-cross-namespace-resources`.
    pub allow_cross_namespace_resources: bool,
    /// `GatewayClass.spec.controllerName` that is ours.
    pub gateway_controller: String,
    /// Each Gateway has one of these addresses. Empty: all Gateways share those
    /// of the process, with each other and with the Ingresses.
    pub gateway_addresses: Vec<IpNet>,
    /// Each Gateway has a Service of its own. `None`: none has.
    pub gateway_services: Option<GatewayServices>,
    /// Ports of the process that no Gateway can have.
    pub reserved_ports: Vec<u16>,
    /// ConfigMap `proxy-set-headers`: fields that every backend is sent.
    pub upstream_head: Arc<[(FieldName, Text)]>,
    /// ConfigMap `add-headers` and `hide-headers`.
    pub added_headers: Option<Arc<AddedHeaders>>,
    /// Stands in where no other certificate fits: made once at start, see
    /// [`crate::fallback_certificate`]. `None`: such handshakes are refused.
    pub fallback_certificate: Option<Arc<Certificate>>,
}

/// External authentication as users write it: the annotations `auth-*`, or the
/// keys `global-auth-*` of the ConfigMap. Checked where it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalAuthTexts {
    /// `auth-url`.
    pub url: String,
    /// `auth-method`.
    pub method: Option<String>,
    /// `auth-signin`.
    pub signin: Option<String>,
    /// `auth-signin-redirect-param`; `None`: `rd`.
    pub signin_redirect_param: Option<String>,
    /// `auth-response-headers`: names with commas between.
    pub response_headers: String,
    /// `auth-proxy-set-headers`: `namespace/name` of a ConfigMap.
    pub proxy_set_headers: Option<String>,
    /// `auth-snippet`.
    pub snippet: Option<String>,
    /// `auth-request-redirect`.
    pub request_redirect: Option<String>,
    /// `auth-cache-key`.
    pub cache_key: Option<String>,
    /// `auth-cache-duration`.
    pub cache_duration: Option<String>,
    /// `auth-always-set-cookie`.
    pub always_set_cookie: bool,
}

/// The Services of Gateways, made by the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayServices {
    /// `spec.type` of each.
    pub kind: ServiceKind,
    /// The ports of the process that they lead to.
    pub ports: RangeInclusive<u16>,
    /// `spec.externalTrafficPolicy` of each: Cluster or Local; `None`: Kubernetes'
    /// default. Not for [`ServiceKind::ClusterIP`].
    pub external_traffic_policy: Option<&'static str>,
    /// `spec.loadBalancerClass` of each.
    pub load_balancer_class: Option<String>,
    /// Where Gateways may ask for addresses as `spec.externalIPs`: nodes take all
    /// traffic to these for themselves, so whoever may make a Gateway must not
    /// choose any address.
    pub external_addresses: Vec<IpNet>,
    /// The addresses of the replicas. Empty: those of the controller's pods.
    pub addresses: Vec<IpAddr>,
}

#[cfg(test)]
impl GatewayServices {
    /// For tests: load balancers, and ten ports of the replicas at these addresses.
    pub(crate) fn fixture(addresses: &[&str]) -> Self {
        Self {
            kind: ServiceKind::LoadBalancer,
            ports: 20000..=20009,
            external_traffic_policy: None,
            load_balancer_class: None,
            external_addresses: Vec::new(),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }
}

/// The type of a Gateway's Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// Reached by a load balancer of its own.
    LoadBalancer,
    /// Reached by its address in the cluster, and by a port of every node.
    NodePort,
    /// Reached by its address in the cluster alone.
    ClusterIP,
}

impl ServiceKind {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoadBalancer => "LoadBalancer",
            Self::NodePort => "NodePort",
            Self::ClusterIP => "ClusterIP",
        }
    }
}

/// Settings of TCP and UDP services (ConfigMap `proxy-stream-*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// `proxy-stream-timeout`.
    pub idle_timeout: Duration,
    /// `proxy-stream-next-upstream-tries`.
    pub tries: u32,
    /// `proxy-stream-next-upstream`.
    pub next_upstream: bool,
    /// `proxy-stream-responses`.
    pub responses: u32,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(600),
            tries: 3,
            next_upstream: true,
            responses: 1,
        }
    }
}

/// One of the two listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Where to bind.
    pub address: SocketAddr,
    /// The port that clients see: 80 or 443 (ingress-nginx-behaviour §7).
    pub public_port: u16,
    /// `use-proxy-protocol` and `proxy-real-ip-cidr`.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// More addresses to bind the same port of (ConfigMap `bind-address`).
    pub more_addresses: Vec<IpAddr>,
}

/// How much harm an annotation can do in ingress-nginx (annotations reference
/// §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Concerns its own routes.
    Low,
    /// Names other objects, or texts that reach clients.
    Medium,
    /// Names addresses, or texts that ingress-nginx pastes into its
    /// configuration.
    High,
    /// Configuration text.
    Critical,
}

impl ListenerOptions {
    /// A listener without PROXY protocol.
    pub fn new(address: SocketAddr, public_port: u16) -> Self {
        Self {
            address,
            public_port,
            proxy_protocol: None,
            more_addresses: Vec::new(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ingress_class: DEFAULT_INGRESS_CLASS.to_owned(),
            controller_classes: vec![CONTROLLER_CLASS.to_owned()],
            ingress_class_by_name: false,
            watch_ingress_without_class: false,
            annotations_prefix: DEFAULT_ANNOTATIONS_PREFIX.to_owned(),
            default_ssl_certificate: None,
            default_backend_service: None,
            tcp_services: None,
            udp_services: None,
            tls_passthrough: false,
            streams: StreamOptions::default(),
            disable_catch_all: false,
            disable_svc_external_name: false,
            http: Some(ListenerOptions::new(([0, 0, 0, 0], 80).into(), 80)),
            https: Some(ListenerOptions::new(([0, 0, 0, 0], 443).into(), 443)),
            http_settings: Arc::default(),
            zone: None,
            ipv4_names_only: false,
            tls: Arc::default(),
            reject_unknown_names: false,
            ocsp: None,
            geoip_files: GeoIp::default(),
            geoip: None,
            shutdown_timeout: None,
            trace_export: Arc::default(),
            span_name: None,
            access_log: Arc::default(),
            hsts: Some(Hsts::default()),
            ssl_redirect: true,
            load_balancing: LoadBalancing::RoundRobin,
            global_allowed_response_headers: Vec::new(),
            global_auth: None,
            no_auth_locations: Arc::new([ACME_CHALLENGE.into()]),
            allowlist_source_range: None,
            denylist_source_range: Networks::default(),
            limit_key: None,
            limit_req_status_code: Limits::DEFAULT_STATUS,
            limit_conn_status_code: Limits::DEFAULT_STATUS,
            config_map: None,
            default_annotations: BTreeMap::new(),
            disabled: None,
            global_auth_disabled: None,
            http_redirect_code: HttpsRedirect::DEFAULT_STATUS,
            custom_http_errors: Arc::default(),
            no_tls_redirect_locations: Arc::new([ACME_CHALLENGE.into()]),
            retry_non_idempotent: false,
            strict_path_types: true,
            deep_inspect: true,
            risk_level: Risk::High,
            blocked_words: Vec::new(),
            allow_snippet_annotations: false,
            location_snippet: None,
            server_snippet: None,
            allow_cross_namespace_resources: false,
            gateway_controller: crate::translate::gateway::CONTROLLER_NAME.to_owned(),
            gateway_addresses: Vec::new(),
            gateway_services: None,
            reserved_ports: Vec::new(),
            upstream_head: Arc::default(),
            added_headers: None,
            fallback_certificate: None,
        }
    }
}
