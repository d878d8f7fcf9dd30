//! When another endpoint is tried (nginx `proxy_next_upstream*`).

use std::time::Duration;

use http::Method;
use tidegate_snapshot::policy;

/// When and how often another endpoint is tried.
pub struct Retry {
    error: bool,
    timeout: bool,
    statuses: Box<[u16]>,
    non_idempotent: bool,
    statuses_of_any_method: bool,
    backoff: Option<Duration>,
    tries: u32,
    limit: Option<Duration>,
}

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Refused, reset, or an answer that is not HTTP.
    Error,
    /// No connection or no answer in time.
    Timeout,
    /// An answer of this status.
    Status(u16),
}

/// A request whose latest try failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// How.
    pub failed: Failed,
    /// The request's method.
    pub method: &'a Method,
    /// Whether any of the request may have left for the upstream.
    pub sent: bool,
    /// Tries so far that count, the failed one included.
    pub tries: u32,
    /// Since the first try began.
    pub elapsed: Duration,
}

impl Retry {
    pub(super) fn new(spec: &policy::Retry) -> Self {
        Self {
            error: spec.on.error,
            timeout: spec.on.timeout,
            statuses: spec.on.statuses.as_slice().into(),
            non_idempotent: spec.on.non_idempotent,
            statuses_of_any_method: spec.on.statuses_of_any_method,
            backoff: spec.backoff,
            tries: spec.tries,
            limit: spec.timeout,
        }
    }

    /// Whether the request may go to another endpoint. The caller knows that
    /// nothing of an answer has reached the client, and that it can send the
    /// body again.
    pub fn allows(&self, attempt: &Attempt<'_>) -> bool {
        let worth_it = match attempt.failed {
            Failed::Error => self.error,
            Failed::Timeout => self.timeout,
            Failed::Status(status) => self.statuses.contains(&status),
        };
        let repeatable = self.non_idempotent
            || is_idempotent(attempt.method)
            || (self.statuses_of_any_method && matches!(attempt.failed, Failed::Status(_)));
        worth_it
            && (!attempt.sent || repeatable)
            && (self.tries == 0 || attempt.tries < self.tries)
            && self.limit.is_none_or(|limit| attempt.elapsed < limit)
    }

    /// How long to wait before the next try after so many that failed.
    pub fn pause(&self, failed: u32) -> Option<Duration> {
        // Doubled ten times is long enough.
        let times = 1 << failed.checked_sub(1)?.min(10);
        self.backoff.map(|backoff| backoff * times)
    }

    /// Whether an answer of this status may be a reason to try again: a cheap
    /// check before the whole of [`Retry::allows`].
    pub fn looks_at(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }
}

/// nginx's rule, not RFC 9110's: everything but these three (`PROPFIND` and
/// unknown methods included) is sent again.
fn is_idempotent(method: &Method) -> bool {
    !matches!(method.as_str(), "POST" | "PATCH" | "LOCK")
}
