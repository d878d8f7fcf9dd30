use std::time::Duration;

use serde::Serialize;

/// When another endpoint is tried (nginx `proxy_next_upstream*`). A request
/// that is not idempotent is tried again only when nothing of it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Retry {
    /// The failures that are worth another try.
    pub on: RetryOn,
    /// Tries in all, the first included; 0 is no limit
    /// (`proxy-next-upstream-tries`, 3).
    pub tries: u32,
    /// For all tries together; `None` is no limit
    /// (`proxy-next-upstream-timeout`, 0).
    pub timeout: Option<Duration>,
    /// Before the second try; twice as long before each further one (Gateway
    /// API `retry.backoff`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Duration>,
}

/// Failures that are worth another try.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RetryOn {
    /// Refused, reset, or an answer that is not HTTP (`error`).
    pub error: bool,
    /// No connection or no answer in time (`timeout`).
    pub timeout: bool,
    /// These statuses from the upstream (`http_502` …).
    pub statuses: Vec<u16>,
    /// Also requests that are not idempotent (`non_idempotent`).
    pub non_idempotent: bool,
    /// `statuses` hold for requests that are not idempotent, too: whoever names
    /// a status knows that the backend has done nothing then (Gateway API
    /// `retry.codes`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub statuses_of_any_method: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            on: RetryOn {
                error: true,
                timeout: true,
                statuses: Vec::new(),
                non_idempotent: false,
                statuses_of_any_method: false,
            },
            tries: 3,
            timeout: None,
            backoff: None,
        }
    }
}
