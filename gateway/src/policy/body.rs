//! Limits on request bodies (nginx `client_max_body_size`).

use http::StatusCode;
use tidegate_snapshot::policy;

use super::{Facts, Flow, Reply};

/// The limit on request bodies.
pub struct Body {
    max_size: u64,
}

impl Body {
    pub(super) fn new(spec: &policy::Body) -> Self {
        Self {
            max_size: spec.max_size.unwrap_or(u64::MAX),
        }
    }

    /// 413 at once when the announced length is over the limit.
    pub(super) fn on_request(&self, facts: &Facts<'_>) -> Flow {
        match facts.content_length {
            Some(length) if self.is_exceeded(length) => {
                Flow::Respond(Reply::status(StatusCode::PAYLOAD_TOO_LARGE))
            }
            _ => Flow::Continue,
        }
    }

    /// Whether a body of this many bytes is too large.
    pub fn is_exceeded(&self, bytes: u64) -> bool {
        bytes > self.max_size
    }
}
