//! What applies to a route besides its action, compiled from
//! [`tidegate_snapshot::Policies`], and the order in which it applies. One file
//! for each policy; none knows a transport.

mod body;
mod disabled;
mod hsts;
mod https_redirect;
mod retry;

use http::StatusCode;
use tidegate_snapshot as snapshot;

use crate::request::RequestView;

pub use body::Body;
pub use disabled::Disabled;
pub use hsts::Hsts;
pub use https_redirect::HttpsRedirect;
pub use retry::{Attempt, Failed, Retry};

/// The policies of a route, ready to apply.
pub struct Policies {
    disabled: Option<Disabled>,
    https_redirect: Option<HttpsRedirect>,
    /// `Strict-Transport-Security` on answers over TLS.
    pub hsts: Option<Hsts>,
    /// Limits on request bodies; applied again while a body streams.
    pub body: Body,
    /// Times to wait for the upstream.
    pub timeouts: snapshot::policy::Timeouts,
    /// When another endpoint is tried.
    pub retry: Retry,
}

/// What a policy decides about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next policy decides.
    Continue,
    /// This is the answer; nothing further applies.
    Respond(Reply),
}

/// An answer of the gateway itself: a status and, for redirects, where to.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The `Location` field's value.
    pub location: Option<String>,
}

impl Reply {
    /// An answer of just this status, with a short page.
    pub fn status(status: StatusCode) -> Self {
        Self {
            status,
            location: None,
        }
    }

    /// A redirect.
    pub fn redirect(status: StatusCode, location: String) -> Self {
        Self {
            status,
            location: Some(location),
        }
    }
}

/// What policies need to know of a request that its head alone does not say.
pub struct Facts<'a> {
    /// The request.
    pub request: &'a dyn RequestView,
    /// The host for redirects: like the request's, after the trust rules for
    /// `X-Forwarded-Host`. Lower case, without a port.
    pub redirect_host: &'a str,
    /// The body's length where the client announced it.
    pub content_length: Option<u64>,
    /// The listener's settings.
    pub http: &'a snapshot::HttpSettings,
}

impl Policies {
    /// Compiles the policies of a route.
    pub fn compile(spec: &snapshot::Policies) -> Self {
        Self {
            disabled: spec.disabled.is_some().then_some(Disabled),
            https_redirect: spec.https_redirect.as_ref().map(HttpsRedirect::new),
            hsts: spec.hsts.as_ref().map(Hsts::new),
            body: Body::new(&spec.body),
            timeouts: spec.timeouts.clone(),
            retry: Retry::new(&spec.retry),
        }
    }

    /// What applies as soon as the route is known, before its action: nginx
    /// compares `Content-Length` with the limit when it finds the location, so
    /// 413 wins over the trailing-slash redirect, which wins over everything in
    /// [`Policies::on_request`].
    pub fn on_match(&self, facts: &Facts<'_>) -> Flow {
        self.body.on_request(facts)
    }

    /// What applies to a request that would be forwarded or answered, in the
    /// order of ingress-nginx:
    ///
    /// 1. A route whose security options could not be understood answers 503
    ///    and reveals nothing else (a "denied location").
    /// 2. The redirect to https comes before anything that could ask for
    ///    credentials.
    ///
    /// A missing endpoint (503) comes after these; `body` applies again while
    /// the body streams; `retry` and `timeouts` apply to the upstream; `hsts`
    /// applies to every answer, refusals included.
    pub fn on_request(&self, facts: &Facts<'_>) -> Flow {
        if let Some(disabled) = &self.disabled {
            return disabled.on_request();
        }
        if let Some(redirect) = &self.https_redirect {
            return redirect.on_request(facts);
        }
        Flow::Continue
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self::compile(&snapshot::Policies::default())
    }
}

#[cfg(test)]
mod tests;
