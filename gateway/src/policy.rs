//! What applies to a route besides its action, compiled from
//! [`tidegate_snapshot::Policies`], and the order in which it applies. One file
//! for each policy; none knows a transport.

mod access;
mod added_headers;
pub mod affinity;
mod authorization;
mod backend_answer;
mod bandwidth;
mod basic_auth;
mod block;
mod body;
mod canary;
pub mod client_auth;
mod cors;
mod custom_headers;
mod digest_auth;
mod direct;
mod disabled;
mod error_pages;
mod external_auth;
mod header_modifier;
mod hsts;
mod https_redirect;
mod limits;
mod location;
mod redirect;
mod retry;
mod rewrite;
pub mod snippet;
mod source_range;
mod tracing;
mod upstream_head;
mod url_rewrite;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tidegate_snapshot as snapshot;
use tidegate_snapshot::FieldName;

use crate::request::{Fields, RequestView};
use crate::template::Values;

pub use access::{Access, Tally, Verdict};
pub use added_headers::AddedHeaders;
pub use affinity::Affinity;
pub use authorization::{Authorization, Grant, Judgement, Question};
pub use backend_answer::BackendAnswer;
pub use bandwidth::Bandwidth;
pub use basic_auth::{BasicAuth, Check, Verification, Verified};
pub use block::block;
pub use body::Body;
pub use canary::Canary;
pub use cors::Cors;
pub use custom_headers::CustomHeaders;
pub use digest_auth::DigestAuth;
pub use direct::serves_directly;
pub use disabled::Disabled;
pub use error_pages::{Author, ErrorPages};
pub use external_auth::{Answers, ExternalAuth, Heard, Url, is_hearsay};
pub use header_modifier::HeaderModifier;
pub use hsts::Hsts;
pub use https_redirect::HttpsRedirect;
pub use limits::{Limits, Permit};
pub use location::LocationStyle;
pub use redirect::Redirect;
pub use retry::{Attempt, Failed, Retry};
pub use rewrite::Rewrite;
pub use snippet::Snippets;
pub use source_range::SourceRange;
pub use tracing::Tracing;
pub use upstream_head::UpstreamHead;
pub use url_rewrite::{RequestRedirect, UrlRewrite};

/// The policies of a route, ready to apply. Clusters have tens of thousands of
/// them, nearly all with few policies: what is large is boxed.
pub struct Policies {
    disabled: Option<Disabled>,
    redirect: Option<Redirect>,
    /// How redirects to a path of the same host write it.
    pub location: LocationStyle,
    cors: Option<Box<Cors>>,
    https_redirect: Option<HttpsRedirect>,
    /// How much a client may ask for.
    pub limits: Option<Box<Limits>>,
    /// Who may come in.
    pub access: Option<Box<Access>>,
    /// Who is asked about it.
    pub authorization: Option<Box<Authorization>>,
    /// How fast answers are sent.
    pub bandwidth: Option<Bandwidth>,
    hsts: Option<Hsts>,
    custom_headers: Option<CustomHeaders>,
    added_headers: Option<AddedHeaders>,
    backend_answer: Option<Box<BackendAnswer>>,
    /// The path sent to the backend.
    pub rewrite: Option<Box<Rewrite>>,
    request_redirect: Option<Box<RequestRedirect>>,
    /// What the upstream sees instead of host and path.
    pub url_rewrite: Option<Box<UrlRewrite>>,
    /// Changes of the fields that the upstream gets, after our own are set.
    pub request_headers: Option<Box<HeaderModifier>>,
    response_headers: Option<Box<HeaderModifier>>,
    /// Requests leave no line in the access log.
    pub unlogged: bool,
    /// A span for every request.
    pub tracing: Option<Tracing>,
    /// Answers that another Service gives instead.
    pub error_pages: Option<ErrorPages>,
    /// Fields sent to the backend.
    pub upstream_head: Option<Box<UpstreamHead>>,
    /// Limits on request bodies; applied again while a body streams.
    pub body: Body,
    /// Times to wait for the upstream.
    pub timeouts: snapshot::policy::Timeouts,
    /// When another endpoint is tried.
    pub retry: Retry,
    /// What is held back on its way through.
    pub buffering: snapshot::policy::Buffering,
    /// Copies of requests for another server.
    pub mirror: Option<snapshot::policy::Mirror>,
    /// How clients are bound to endpoints.
    pub affinity: Option<Box<Affinity>>,
    /// nginx's directives.
    pub snippets: Option<Box<Snippets>>,
    is_direct: bool,
}

/// What was compiled lately, the latest last: nearly all routes of a cluster have one
/// of a handful of policies. They are then in the processor's caches, whichever host is
/// asked for.
#[derive(Clone, Default)]
pub struct Known(Vec<(Arc<snapshot::Policies>, Arc<Policies>)>);

impl Known {
    /// So many are kept.
    const MOST: usize = 16;

    /// Those of a route, compiled now or earlier.
    pub fn of(&mut self, spec: &Arc<snapshot::Policies>) -> Arc<Policies> {
        if !spec.is_stateless() {
            return Arc::new(Policies::compile(spec));
        }
        let found = self.0.iter().rposition(|(known, _)| Arc::ptr_eq(known, spec));
        let known = match found {
            Some(at) => self.0.remove(at),
            None => (spec.clone(), Arc::new(Policies::compile(spec))),
        };
        let policies = known.1.clone();
        if self.0.len() == Self::MOST {
            self.0.remove(0);
        }
        self.0.push(known);
        policies
    }
}

/// What a policy decides about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next policy decides.
    Continue,
    /// This is the answer; nothing further applies.
    Respond(Reply),
}

/// An answer of the gateway itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Fields that belong to it, as `Location` to a redirect.
    pub fields: Vec<(FieldName, HeaderValue)>,
    /// Its body instead of the short page of its status.
    pub body: Option<ReplyBody>,
}

/// A body of the gateway's own answer.
#[derive(Debug, PartialEq, Eq)]
pub struct ReplyBody {
    /// Its `Content-Type`.
    pub content_type: HeaderValue,
    /// Its bytes; none means no body at all.
    pub bytes: Bytes,
}

impl Reply {
    const LOCATION: FieldName = FieldName::from_static("location", "Location");
    /// The field that asks for credentials (RFC 9110 §11.6.1).
    pub const CHALLENGE: FieldName = FieldName::from_static("www-authenticate", "WWW-Authenticate");

    /// An answer of just this status, with a short page.
    pub fn status(status: StatusCode) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: None,
        }
    }

    /// A redirect; 400 when the request makes no location of it that may stand
    /// in a header field.
    pub fn redirect(status: StatusCode, location: String) -> Self {
        match HeaderValue::try_from(location) {
            Ok(location) => Self::status(status).with(Self::LOCATION, location),
            Err(_) => Self::status(StatusCode::BAD_REQUEST),
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: FieldName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }
}

/// What policies need to know of a request that its head alone does not say.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The request.
    pub request: &'a dyn RequestView,
    /// The host for redirects: like the request's, after the trust rules for
    /// `X-Forwarded-Host`. Lower case, without a port.
    pub redirect_host: &'a str,
    /// The port of the listener as clients see it.
    pub port: u16,
    /// The body's length where the client announced it.
    pub content_length: Option<u64>,
    /// The listener's settings.
    pub http: &'a snapshot::HttpSettings,
}

/// What policies need to know of an answer besides its fields.
pub struct Answer<'a> {
    /// The request.
    pub request: &'a dyn RequestView,
    /// The request's ID; empty without one.
    pub request_id: &'a [u8],
    /// The answer's status.
    pub status: StatusCode,
    /// Whether the gateway made it, not the upstream.
    pub is_own: bool,
    /// What snippets need.
    pub surroundings: snippet::Surroundings<'a>,
}

impl Policies {
    /// Compiles the policies of a route.
    pub fn compile(spec: &snapshot::Policies) -> Self {
        Self {
            disabled: spec.disabled.is_some().then_some(Disabled),
            cors: spec.cors.as_ref().map(|cors| Box::new(Cors::new(cors))),
            limits: boxed(spec.limits.as_deref(), Limits::new),
            access: Access::new(spec).map(Box::new),
            authorization: boxed(spec.authorization.as_deref(), Authorization::new),
            bandwidth: spec.bandwidth.as_ref().map(Bandwidth::new),
            redirect: spec.redirect.as_ref().map(Redirect::new),
            location: LocationStyle::new(&spec.location),
            https_redirect: spec.https_redirect.as_ref().map(HttpsRedirect::new),
            hsts: spec.hsts.as_ref().map(Hsts::new),
            custom_headers: spec.custom_headers.as_ref().map(CustomHeaders::new),
            added_headers: spec.added_headers.as_ref().map(AddedHeaders::new),
            backend_answer: boxed(spec.backend_answer.as_deref(), BackendAnswer::new),
            rewrite: boxed(spec.rewrite.as_deref(), Rewrite::new),
            request_redirect: boxed(spec.request_redirect.as_deref(), RequestRedirect::new),
            url_rewrite: boxed(spec.url_rewrite.as_deref(), UrlRewrite::new),
            request_headers: boxed(spec.request_headers.as_deref(), HeaderModifier::new),
            response_headers: boxed(spec.response_headers.as_deref(), HeaderModifier::new),
            unlogged: spec.unlogged,
            tracing: spec.tracing.as_deref().map(Tracing::new),
            // A disabled route reveals nothing but that.
            error_pages: match &spec.disabled {
                None => spec.error_pages.as_ref().map(ErrorPages::new),
                Some(_) => None,
            },
            upstream_head: boxed(spec.upstream_head.as_ref(), UpstreamHead::new),
            body: Body::new(&spec.body),
            timeouts: spec.timeouts.clone(),
            retry: Retry::new(&spec.retry),
            buffering: spec.buffering.clone(),
            mirror: spec.mirror.clone(),
            affinity: boxed(spec.affinity.as_deref(), Affinity::new),
            snippets: Snippets::new(spec).map(Box::new),
            is_direct: direct::is_direct(spec),
        }
    }

    /// Whether [`Policies::on_match`], [`Policies::on_request`],
    /// [`Policies::on_response`], `access` by address, `limits`, `rewrite` of the
    /// path, `body`, `timeouts` and `retry` are all there is to apply: then
    /// requests may take the proxy's direct path. All but `limits` may be asked
    /// twice, and those count nothing that they refuse.
    pub fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// What applies as soon as the route is known, before its action: nginx
    /// compares `Content-Length` with the limit when it finds the location, so
    /// 413 wins over the trailing-slash redirect, which wins over everything in
    /// [`Policies::on_request`].
    pub fn on_match(&self, facts: &Facts<'_>) -> Flow {
        self.body.on_request(facts)
    }

    /// The steps of the route's snippet, before [`Policies::on_request`]: after
    /// what answers without it (1 and 3 there), before every redirect.
    pub fn on_rewrite(
        &self,
        matched: &snapshot::PathMatch,
        progress: &mut snippet::Progress,
        values: &Values<'_>,
        facts: &Facts<'_>,
    ) -> snippet::Outcome {
        let Some(snippets) = self.snippets.as_ref().filter(|_| self.disabled.is_none()) else {
            return snippet::Outcome::Continue;
        };
        if let Some(cors) = &self.cors
            && let Flow::Respond(reply) = cors.on_request(facts)
        {
            return snippet::Outcome::Respond(reply);
        }
        snippets.on_route(matched, progress, values, &self.location, facts.port)
    }

    /// What applies to a request that would be forwarded or answered, in the
    /// order of ingress-nginx:
    ///
    /// 1. A route whose security options could not be understood answers 503
    ///    and reveals nothing else (a "denied location").
    /// 2. A redirect of everything answers on plain HTTP too, and to anybody.
    /// 3. CORS preflights are answered.
    /// 4. The redirect to https comes before anything that could ask for
    ///    credentials.
    /// 5. The redirect of a Gateway API route.
    ///
    /// Before all of these comes [`block`], whether or not there is a route, and
    /// the host's snippet, which may answer or choose another route. A
    /// missing endpoint (503) comes after them, then `limits`, then `access`,
    /// which may have to wait for others, then `rewrite`. `body` applies again while the body
    /// streams; `retry` and `timeouts` apply to the upstream; `bandwidth` to
    /// the answer's body. `error_pages` looks at every answer that these make,
    /// and at the upstream's.
    pub fn on_request(&self, facts: &Facts<'_>) -> Flow {
        if let Some(disabled) = &self.disabled {
            return disabled.on_request();
        }
        if let Some(redirect) = &self.redirect {
            return redirect.on_request(facts, &self.location);
        }
        if let Some(cors) = &self.cors
            && let Flow::Respond(reply) = cors.on_request(facts)
        {
            return Flow::Respond(reply);
        }
        if let Some(redirect) = &self.https_redirect {
            return redirect.on_request(facts);
        }
        if let Some(redirect) = &self.request_redirect {
            return redirect.on_request(facts);
        }
        Flow::Continue
    }

    /// What applies to the head of every final answer, the gateway's own ones
    /// and refusals included, in this order (a later one wins):
    ///
    /// 1. What snippets hide, and `backend_answer`, on answers of backends only.
    /// 2. `added_headers`.
    /// 3. `custom_headers`.
    /// 4. `cors`.
    /// 5. `hsts`.
    /// 6. `snippets`.
    /// 7. `response_headers`.
    pub fn on_response(&self, answer: &Answer<'_>, fields: &mut dyn Fields) {
        if let Some(snippets) = self.snippets.as_ref().filter(|_| !answer.is_own) {
            snippets.hide(fields);
        }
        if let Some(backend) = &self.backend_answer {
            backend.on_response(answer, &self.location, fields);
        }
        if let Some(headers) = &self.added_headers {
            headers.on_response(answer, fields);
        }
        if let Some(custom) = &self.custom_headers {
            custom.on_response(fields);
        }
        if let Some(cors) = &self.cors {
            cors.on_response(answer, fields);
        }
        if let Some(hsts) = &self.hsts {
            hsts.on_response(answer, fields);
        }
        if let Some(snippets) = &self.snippets {
            snippets.on_response(answer, fields);
        }
        if let Some(modifier) = &self.response_headers {
            modifier.apply(fields);
        }
    }
}

fn boxed<S, T>(spec: Option<&S>, new: fn(&S) -> T) -> Option<Box<T>> {
    spec.map(|spec| Box::new(new(spec)))
}

impl Default for Policies {
    fn default() -> Self {
        Self::compile(&snapshot::Policies::default())
    }
}

#[cfg(test)]
mod tests;
