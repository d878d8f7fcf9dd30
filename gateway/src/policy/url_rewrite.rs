//! Another host and path for the backend (`URLRewrite`), or for the client
//! (`RequestRedirect`).

use http::{HeaderValue, StatusCode};
use tidegate_snapshot::policy::{self, PathRewrite};

use super::{Facts, Flow, Reply};
use crate::path;
use crate::request::RequestView;

/// What the backend sees instead of host and path.
pub struct UrlRewrite {
    /// The host.
    pub host: Option<HeaderValue>,
    path: Option<PathRewrite>,
}

impl UrlRewrite {
    pub(super) fn new(spec: &policy::UrlRewrite) -> Self {
        Self {
            host: spec
                .host
                .as_ref()
                .and_then(|host| HeaderValue::from_str(host).ok()),
            path: spec.path.clone(),
        }
    }

    /// Path and query for the backend; `None`: the request's.
    pub fn uri(&self, request: &dyn RequestView) -> Option<String> {
        let mut uri = rewritten(self.path.as_ref()?, request);
        push_query(&mut uri, request);
        Some(uri)
    }
}

/// Sends the client elsewhere.
pub struct RequestRedirect {
    spec: policy::RequestRedirect,
    status: StatusCode,
}

impl RequestRedirect {
    pub(super) fn new(spec: &policy::RequestRedirect) -> Self {
        Self {
            status: StatusCode::from_u16(spec.status).unwrap_or(StatusCode::FOUND),
            spec: spec.clone(),
        }
    }

    pub(super) fn on_request(&self, facts: &Facts<'_>) -> Flow {
        let request = facts.request;
        let scheme = self.spec.scheme.as_deref().unwrap_or(request.scheme());
        let host = self.spec.host.as_deref().unwrap_or(facts.redirect_host);
        let mut location = format!("{scheme}://{host}");
        // "If redirect scheme is not-empty, the redirect port MUST be the
        // well-known port associated with the redirect scheme ... If redirect
        // scheme is empty, the redirect port MUST be the Gateway Listener port."
        let listener = || self.spec.scheme.is_none().then_some(facts.port);
        let usual = if scheme == "https" { 443 } else { 80 };
        if let Some(port) = self.spec.port.or_else(listener).filter(|port| *port != usual) {
            location.push_str(&format!(":{port}"));
        }
        match &self.spec.path {
            Some(path) => {
                location.push_str(&rewritten(path, request));
                push_query(&mut location, request);
            }
            None => location.push_str(request.uri()),
        }
        Flow::Respond(Reply::redirect(self.status, location))
    }
}

/// The new path, escaped as a URL has it.
fn rewritten(rewrite: &PathRewrite, request: &dyn RequestView) -> String {
    let (prefix, replacement) = match rewrite {
        PathRewrite::Full(path) => return path.to_string(),
        PathRewrite::Prefix { prefix, replacement } => (prefix, replacement),
    };
    let path = request.path();
    let rest = path.strip_prefix(&**prefix).unwrap_or(path);
    let mut new = if rest.is_empty() {
        replacement.to_string()
    } else {
        replacement.trim_end_matches('/').to_owned()
    };
    let raw = request.uri().split('?').next().unwrap_or_default();
    if raw == path {
        new.push_str(rest);
    } else {
        path::escape(rest, &mut new);
    }
    if new.is_empty() {
        new.push('/');
    }
    new
}

fn push_query(uri: &mut String, request: &dyn RequestView) {
    if let Some(query) = request.query() {
        uri.push('?');
        uri.push_str(query);
    }
}
