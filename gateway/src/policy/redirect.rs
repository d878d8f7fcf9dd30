//! Redirects of every request (`permanent-redirect`, `temporal-redirect`).

use http::StatusCode;
use tidegate_snapshot::policy;

use super::{Facts, Flow, LocationStyle, Reply};

/// A redirect of every request.
pub struct Redirect {
    status: StatusCode,
    location: Box<str>,
}

impl Redirect {
    pub(super) fn new(spec: &policy::Redirect) -> Self {
        Self {
            status: StatusCode::from_u16(spec.status).unwrap_or(StatusCode::FOUND),
            location: spec.location.clone(),
        }
    }

    /// The URL as written: nothing of the request is added to it. A path is
    /// one of the request's own host.
    pub(super) fn on_request(&self, facts: &Facts<'_>, style: &LocationStyle) -> Flow {
        let location = if self.location.starts_with('/') {
            style.of(&self.location, facts.request, Some(facts.port))
        } else {
            self.location.clone().into()
        };
        Flow::Respond(Reply::redirect(self.status, location))
    }
}
