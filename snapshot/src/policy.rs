//! What applies to a route besides its action: at most one of each, in an order
//! that the gateway documents in one place.

mod affinity;
mod body;
mod custom_headers;
mod hsts;
mod redirect;
mod retry;
mod timeout;

use serde::Serialize;

pub use affinity::{Affinity, AffinityCookie, AffinityMode, SameSite};
pub use body::Body;
pub use custom_headers::CustomHeaders;
pub use hsts::Hsts;
pub use redirect::HttpsRedirect;
pub use retry::{Retry, RetryOn};
pub use timeout::Timeouts;

/// The policies of a route. [`Policies::default`] is what ingress-nginx 1.15
/// does where no annotation and no ConfigMap says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Policies {
    /// Set when a security option of the route could not be understood: every
    /// request is answered 503. The text names the option, for `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// Answer plain HTTP with a redirect to https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_redirect: Option<HttpsRedirect>,
    /// `Strict-Transport-Security` on answers over TLS. `None`: off.
    pub hsts: Option<Hsts>,
    /// Fields of every answer (`custom-headers`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_headers: Option<CustomHeaders>,
    /// Limits on request bodies.
    pub body: Body,
    /// Times to wait for the upstream.
    pub timeouts: Timeouts,
    /// When and how often another endpoint is tried.
    pub retry: Retry,
    /// Bind clients to an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
}
