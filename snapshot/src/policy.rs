//! What applies to a route besides its action: at most one of each, in an order
//! that the gateway documents in one place.

mod added_headers;
mod affinity;
mod authorization;
mod backend_answer;
mod basic_auth;
mod block;
mod body;
mod buffering;
mod cors;
mod custom_headers;
mod digest_auth;
mod error_pages;
mod external_auth;
mod header_modifier;
mod hsts;
mod limit;
mod mirror;
mod redirect;
mod retry;
mod rewrite;
pub mod snippet;
mod source_range;
mod timeout;
mod tracing;
mod upstream_head;
mod url_rewrite;

use std::sync::{Arc, LazyLock};

use serde::Serialize;

use crate::ClusterKey;

pub use added_headers::AddedHeaders;
pub use affinity::{Affinity, AffinityCookie, AffinityMode, SameSite};
pub use authorization::{Authorization, AuthorizationProtocol};
pub use backend_answer::{BackendAnswer, Replacement};
pub use basic_auth::{BasicAuth, Users};
pub use block::Block;
pub use body::Body;
pub use buffering::Buffering;
pub use cors::{Cors, CorsOrigin, CorsOrigins, CorsStyle};
pub use custom_headers::CustomHeaders;
pub use digest_auth::{DigestAuth, DigestUsers, Seed};
pub use error_pages::ErrorPages;
pub use external_auth::{AuthCache, CacheDuration, ExternalAuth, HeaderText, Signin};
pub use header_modifier::HeaderModifier;
pub use hsts::Hsts;
pub use limit::{Bandwidth, Limits, RateLimit};
pub use mirror::{Mirror, RequestMirror};
pub use redirect::{HttpsRedirect, LocationStyle, Redirect};
pub use retry::{Retry, RetryOn};
pub use rewrite::{Rewrite, RewritePiece};
pub use snippet::Snippet;
pub use source_range::{AccessRule, Satisfy, SourceRange};
pub use timeout::Timeouts;
pub use tracing::Tracing;
pub use upstream_head::{Connection, UpstreamHead};
pub use url_rewrite::{PathRewrite, RequestRedirect, UrlRewrite};

/// The policies of a route. [`Policies::default`] is what ingress-nginx 1.15
/// does where no annotation and no ConfigMap says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Policies {
    /// Set when a security option of the route could not be understood: every
    /// request is answered 503. The text names the option, for `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// Answer everything with a redirect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// How redirects to a path of the same host write it.
    #[serde(skip_serializing_if = "LocationStyle::is_default")]
    pub location: LocationStyle,
    /// Preflights, and headers of every answer (`enable-cors`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Box<Cors>>,
    /// Answer plain HTTP with a redirect to https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_redirect: Option<HttpsRedirect>,
    /// How much a client may ask for (`limit-rps` and others).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Box<Limits>>,
    /// Which of the following must let a request pass.
    #[serde(skip_serializing_if = "Satisfy::is_all")]
    pub satisfy: Satisfy,
    /// Addresses that may come in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_range: Option<Box<SourceRange>>,
    /// Users with passwords (`auth-type: basic`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<Box<BasicAuth>>,
    /// Users with passwords that are never sent (`auth-type: digest`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_auth: Option<Box<DigestAuth>>,
    /// A service that is asked (`auth-url`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_auth: Option<Box<ExternalAuth>>,
    /// A Service that is asked (Gateway API).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Box<Authorization>>,
    /// How fast answers are sent (`limit-rate`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// The path sent to the backend. Groups are those of the route's own path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Box<Rewrite>>,
    /// Fields sent to the backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_head: Option<UpstreamHead>,
    /// Who answers while the backend has no endpoint, and who makes error pages
    /// (`default-backend`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_backend: Option<ClusterKey>,
    /// Answers that another Service gives instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_pages: Option<ErrorPages>,
    /// Cookies and redirects of the backend in other words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_answer: Option<Box<BackendAnswer>>,
    /// Fields of every answer that the ConfigMap names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_headers: Option<Arc<AddedHeaders>>,
    /// `Strict-Transport-Security` on answers over TLS. `None`: off.
    pub hsts: Option<Hsts>,
    /// Fields of every answer (`custom-headers`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_headers: Option<CustomHeaders>,
    /// Send every client elsewhere (Gateway API).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_redirect: Option<Box<RequestRedirect>>,
    /// What the backend sees instead of host and path (Gateway API).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_rewrite: Option<Box<UrlRewrite>>,
    /// Changes of the request's fields (Gateway API).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<Box<HeaderModifier>>,
    /// Changes of the answer's fields (Gateway API).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<Box<HeaderModifier>>,
    /// Requests leave no line in the access log (`enable-access-log: false`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
    /// A span for every request (`enable-opentelemetry`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Box<Tracing>>,
    /// Limits on request bodies.
    pub body: Body,
    /// Times to wait for the upstream.
    pub timeouts: Timeouts,
    /// When and how often another endpoint is tried.
    pub retry: Retry,
    /// What is held back on its way through.
    pub buffering: Buffering,
    /// Copies of requests for another server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Copies of requests for other clusters (Gateway API).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_mirrors: Vec<RequestMirror>,
    /// Bind clients to an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Box<Affinity>>,
    /// nginx's directives for the host (`server-snippet`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_snippet: Option<Arc<Snippet>>,
    /// nginx's directives for the route (`configuration-snippet`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Arc<Snippet>>,
}

impl Policies {
    /// Those of a Gateway API route without filters, which most routes have: all
    /// share these. Retries are for connections that fail; limits on bodies are
    /// ingress-nginx's affair.
    pub fn without_filters() -> &'static Arc<Self> {
        static POLICIES: LazyLock<Arc<Policies>> = LazyLock::new(|| {
            let mut policies = Policies {
                body: Body { max_size: None },
                ..Policies::default()
            };
            policies.retry.on.timeout = false;
            Arc::new(policies)
        });
        &POLICIES
    }

    /// Whether requests leave nothing behind that other requests meet: then routes of
    /// different objects may share these and what is compiled of them. Rates are
    /// counted, and who has signed in is remembered, for each object by itself.
    pub fn is_stateless(&self) -> bool {
        self.limits.is_none() && !self.is_authenticated()
    }

    /// Whether a password is asked for, or a service is asked.
    pub fn is_authenticated(&self) -> bool {
        self.basic_auth.is_some()
            || self.digest_auth.is_some()
            || self.external_auth.is_some()
            || self.authorization.is_some()
    }
}
