use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;

/// What a route attaches to, or a ListenerSet adds to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentRef {
    /// `None`: Gateway API's.
    pub group: Option<String>,
    /// `None`: Gateway.
    pub kind: Option<String>,
    /// `None`: the route's own.
    pub namespace: Option<String>,
    /// The object.
    pub name: String,
    /// One listener; `None`: all.
    pub section_name: Option<String>,
    /// Listeners of this port; `None`: all.
    pub port: Option<i64>,
}

/// What a route forwards to, or an object of another kind that something
/// refers to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendRef {
    /// `None` or empty: core.
    pub group: Option<String>,
    /// `None`: what is usual in that place.
    pub kind: Option<String>,
    /// The object.
    pub name: String,
    /// `None`: that of the object that refers.
    pub namespace: Option<String>,
    /// The port of a Service.
    pub port: Option<i64>,
    /// `None`: 1.
    pub weight: Option<i64>,
    /// For this share alone.
    pub filters: Box<[Filter]>,
}

/// The spec of an HTTPRoute.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HTTPRouteSpec {
    /// What it attaches to.
    pub parent_refs: Box<[Arc<ParentRef>]>,
    /// That any Gateway will do (experimental).
    pub use_default_gateways: Option<String>,
    /// For which hosts; empty: those of the listener.
    pub hostnames: Box<[String]>,
    /// Its rules.
    pub rules: Box<[HTTPRouteRule]>,
}

/// A rule of an HTTPRoute.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HTTPRouteRule {
    /// Any of them; none: everything.
    pub matches: Box<[HTTPRouteMatch]>,
    /// What is done to requests and answers.
    pub filters: Box<[Filter]>,
    /// Where requests go.
    pub backend_refs: Arc<[BackendRef]>,
    /// Limits of time.
    pub timeouts: Option<HTTPTimeouts>,
    /// When a request is tried again.
    pub retry: Option<HTTPRetry>,
    /// Which requests stay together.
    pub session_persistence: Option<SessionPersistence>,
}

/// A condition: all of its parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HTTPRouteMatch {
    /// `None`: every path.
    pub path: Option<HTTPPathMatch>,
    /// On header fields.
    pub headers: Box<[NamedMatch]>,
    /// On query parameters.
    pub query_params: Box<[NamedMatch]>,
    /// On the method.
    pub method: Option<String>,
}

/// A condition on the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HTTPPathMatch {
    /// Exact, PathPrefix (default) or RegularExpression.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `None`: `/`.
    pub value: Option<String>,
}

/// A condition on a header field or a query parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamedMatch {
    /// Exact (default) or RegularExpression.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Limits of time, as GEP-2257 durations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HTTPTimeouts {
    /// For the whole request.
    pub request: Option<String>,
    /// For one try of a backend.
    pub backend_request: Option<String>,
}

/// Which requests stay together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionPersistence {
    /// Of the cookie or the header field.
    pub session_name: Option<String>,
    /// As a GEP-2257 duration.
    pub absolute_timeout: Option<String>,
    /// Cookie (default) or Header.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// For cookies.
    pub cookie_config: Option<CookieConfig>,
}

/// How long clients keep a cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CookieConfig {
    /// Session (default) or Permanent.
    pub lifetime_type: Option<String>,
}

/// When a request is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HTTPRetry {
    /// On these statuses.
    pub codes: Box<[i64]>,
    /// Tries after the first.
    pub attempts: Option<i64>,
    /// Between two tries, as a GEP-2257 duration.
    pub backoff: Option<String>,
}

/// Something done to requests or answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Which of the following it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// RequestHeaderModifier
    pub request_header_modifier: Option<FilterHeaders>,
    /// ResponseHeaderModifier
    pub response_header_modifier: Option<FilterHeaders>,
    /// RequestMirror
    pub request_mirror: Option<FilterMirror>,
    /// RequestRedirect
    pub request_redirect: Option<FilterRedirect>,
    /// URLRewrite
    pub url_rewrite: Option<FilterRewrite>,
    /// CORS
    pub cors: Option<FilterCors>,
    /// ExternalAuth
    pub external_auth: Option<FilterExternalAuth>,
}

/// Changes of header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterHeaders {
    /// Instead of what is there.
    pub set: Box<[HTTPHeader]>,
    /// Besides what is there.
    pub add: Box<[HTTPHeader]>,
    /// Names.
    pub remove: Box<[String]>,
}

/// A header field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HTTPHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A question to a Service about every request.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterExternalAuth {
    /// HTTP or GRPC.
    pub protocol: String,
    /// Who is asked.
    pub backend_ref: BackendRef,
    /// For HTTP.
    pub http: Option<HTTPAuth>,
    /// For GRPC.
    pub grpc: Option<GRPCAuth>,
    /// The client's body, with the question.
    pub forward_body: Option<ForwardBody>,
}

/// A question over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HTTPAuth {
    /// Stands before the path.
    pub path: String,
    /// Fields that are told, besides the usual ones.
    pub allowed_headers: Box<[String]>,
    /// Fields of the answer for the backend; empty: all.
    pub allowed_response_headers: Box<[String]>,
}

/// A question over gRPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GRPCAuth {
    /// Fields that are told; empty: all.
    pub allowed_headers: Box<[String]>,
}

/// How much of a body goes with a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForwardBody {
    /// Bytes; 0: none.
    pub max_size: i64,
}

/// A copy of requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterMirror {
    /// Where it goes.
    pub backend_ref: BackendRef,
    /// Of how many of a hundred requests.
    pub percent: Option<i64>,
    /// Of which share.
    pub fraction: Option<Fraction>,
}

/// A share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Fraction {
    /// Of the denominator.
    pub numerator: i64,
    /// `None`: 100.
    pub denominator: Option<i64>,
}

/// A redirect; what is not given stays as in the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterRedirect {
    /// http or https.
    pub scheme: Option<String>,
    /// The host.
    pub hostname: Option<String>,
    /// The path.
    pub path: Option<PathModifier>,
    /// The port.
    pub port: Option<i64>,
    /// `None`: 302.
    pub status_code: Option<i64>,
}

/// A change of what the backend sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterRewrite {
    /// The host.
    pub hostname: Option<String>,
    /// The path.
    pub path: Option<PathModifier>,
}

/// A change of the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathModifier {
    /// ReplaceFullPath or ReplacePrefixMatch.
    #[serde(rename = "type")]
    pub kind: String,
    /// The whole path.
    pub replace_full_path: Option<String>,
    /// Instead of the prefix that the rule matched.
    pub replace_prefix_match: Option<String>,
}

/// Cross-origin resource sharing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterCors {
    /// Origins, `*` as a wildcard in them.
    pub allow_origins: Box<[String]>,
    /// Whether credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// Methods.
    pub allow_methods: Box<[String]>,
    /// Fields of requests.
    pub allow_headers: Box<[String]>,
    /// Fields of answers.
    pub expose_headers: Box<[String]>,
    /// Seconds; `None`: 5.
    pub max_age: Option<i64>,
}

/// The spec of a GRPCRoute.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GRPCRouteSpec {
    /// What it attaches to.
    pub parent_refs: Box<[Arc<ParentRef>]>,
    /// That any Gateway will do (experimental).
    pub use_default_gateways: Option<String>,
    /// For which hosts; empty: those of the listener.
    pub hostnames: Box<[String]>,
    /// Its rules.
    pub rules: Box<[GRPCRouteRule]>,
}

/// A rule of a GRPCRoute.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GRPCRouteRule {
    /// Any of them; none: everything.
    pub matches: Box<[GRPCRouteMatch]>,
    /// What is done to requests and answers.
    pub filters: Box<[Filter]>,
    /// Where requests go.
    pub backend_refs: Arc<[BackendRef]>,
    /// Which requests stay together.
    pub session_persistence: Option<SessionPersistence>,
}

/// A condition: all of its parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GRPCRouteMatch {
    /// `None`: every method.
    pub method: Option<GRPCMethodMatch>,
    /// On header fields.
    pub headers: Box<[NamedMatch]>,
}

/// A condition on service and method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GRPCMethodMatch {
    /// Exact (default) or RegularExpression.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `None` or empty: any.
    pub service: Option<String>,
    /// `None` or empty: any.
    pub method: Option<String>,
}

/// The spec of a TLSRoute, TCPRoute or UDPRoute, told apart by `K`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, bound = "K: Default")]
pub struct StreamRouteSpec<K> {
    /// What it attaches to.
    pub parent_refs: Box<[Arc<ParentRef>]>,
    /// That any Gateway will do (experimental).
    pub use_default_gateways: Option<String>,
    /// Of a TLSRoute: for which server names.
    pub hostnames: Box<[String]>,
    /// Its rules.
    pub rules: Box<[StreamRouteRule]>,
    #[serde(skip)]
    kind: PhantomData<K>,
}

/// A rule of a route for connections.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamRouteRule {
    /// Where connections go.
    pub backend_refs: Arc<[BackendRef]>,
}

/// Tells a TLSRoute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tls;

/// Tells a TCPRoute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp;

/// Tells a UDPRoute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Udp;
