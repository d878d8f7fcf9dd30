//! Routes that fail closed.

use http::StatusCode;

use super::{Flow, Reply};

/// A security option of the route could not be understood: 503 to everything,
/// as ingress-nginx does for a "denied location".
pub struct Disabled;

impl Disabled {
    pub(super) fn on_request(&self) -> Flow {
        Flow::Respond(Reply::status(StatusCode::SERVICE_UNAVAILABLE))
    }
}
