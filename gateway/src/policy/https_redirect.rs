//! Plain HTTP to https (`ssl-redirect`, `force-ssl-redirect`).

use http::StatusCode;
use tidegate_snapshot::policy;

use super::{Facts, Flow, Reply};

/// The port that an https URL does not name.
const DEFAULT_HTTPS_PORT: u16 = 443;

/// A redirect of plain HTTP to https.
pub struct HttpsRedirect {
    status: StatusCode,
    name_port: bool,
    keep_slash: bool,
}

impl HttpsRedirect {
    pub(super) fn new(spec: &policy::HttpsRedirect) -> Self {
        Self {
            status: StatusCode::from_u16(spec.status).unwrap_or(StatusCode::PERMANENT_REDIRECT),
            name_port: spec.name_port,
            keep_slash: spec.keep_slash,
        }
    }

    /// Redirects when the effective scheme is `http`, and only then: a trusted
    /// proxy's `X-Forwarded-Proto: https` must not loop. Host without port, and
    /// one trailing `/` of the whole URI removed, as ingress-nginx does (`/`
    /// becomes nothing), unless told otherwise.
    pub(super) fn on_request(&self, facts: &Facts<'_>) -> Flow {
        if facts.request.scheme() != "http" {
            return Flow::Continue;
        }
        if facts.redirect_host.is_empty() {
            // An HTTP/1.0 client without Host has nowhere to be sent to, and
            // must not be served in the clear.
            return Flow::Respond(Reply::status(StatusCode::BAD_REQUEST));
        }
        let uri = facts.request.uri();
        let uri = if self.keep_slash {
            uri
        } else {
            uri.strip_suffix('/').unwrap_or(uri)
        };
        let location = match facts.http.https_port {
            DEFAULT_HTTPS_PORT if !self.name_port => format!("https://{}{uri}", facts.redirect_host),
            port => format!("https://{}:{port}{uri}", facts.redirect_host),
        };
        Flow::Respond(Reply::redirect(self.status, location))
    }
}
