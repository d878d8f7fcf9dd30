//! Answers that another Service gives instead (`custom-http-errors`).

use http::StatusCode;
use tidegate_snapshot::policy;

/// Which answers are replaced by pages.
pub struct ErrorPages {
    statuses: std::sync::Arc<[u16]>,
    intercept: bool,
}

/// Whose answer is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The gateway turned the request away. The page becomes the body, the
    /// status stays: in ingress-nginx a page with status 200 makes a refusal
    /// look like an answer (CVE-2026-24513).
    Refusal,
    /// The gateway had nobody to ask, or got no answer.
    Failure,
    /// The backend.
    Backend,
}

impl ErrorPages {
    pub(super) fn new(spec: &policy::ErrorPages) -> Self {
        Self {
            statuses: spec.statuses.clone(),
            intercept: spec.intercept,
        }
    }

    /// Whether a page takes the place of an answer. Redirects of the gateway
    /// itself stay, whatever the list says.
    pub fn replaces(&self, status: StatusCode, author: Author) -> bool {
        let status = status.as_u16();
        let concerned = match author {
            Author::Backend => self.intercept,
            Author::Refusal | Author::Failure => status >= 400,
        };
        concerned && self.statuses.binary_search(&status).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(statuses: &[u16], intercept: bool) -> ErrorPages {
        ErrorPages::new(&policy::ErrorPages {
            statuses: statuses.into(),
            intercept,
            backend: None,
        })
    }

    #[test]
    fn only_listed_statuses_are_replaced() {
        let pages = pages(&[404, 500, 503], true);
        for author in [Author::Refusal, Author::Failure, Author::Backend] {
            assert!(pages.replaces(StatusCode::SERVICE_UNAVAILABLE, author));
            assert!(!pages.replaces(StatusCode::BAD_GATEWAY, author));
        }
    }

    #[test]
    fn the_backends_errors_pass_where_they_are_not_intercepted() {
        let pages = pages(&[404], false);
        assert!(!pages.replaces(StatusCode::NOT_FOUND, Author::Backend));
        assert!(pages.replaces(StatusCode::NOT_FOUND, Author::Failure));
    }

    #[test]
    fn redirects_of_the_gateway_stay() {
        let pages = pages(&[302], true);
        assert!(pages.replaces(StatusCode::FOUND, Author::Backend));
        assert!(!pages.replaces(StatusCode::FOUND, Author::Refusal));
    }
}
