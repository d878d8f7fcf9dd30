//! Times to wait for the upstream (nginx `proxy_*_timeout`).

use std::time::Duration;

use tidegate_snapshot::policy;

/// Times to wait for the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// Between two reads of the answer.
    pub read: Duration,
    /// Between two writes of the request.
    pub send: Duration,
}

impl Timeouts {
    pub(super) fn new(spec: &policy::Timeouts) -> Self {
        Self {
            connect: spec.connect,
            read: spec.read,
            send: spec.send,
        }
    }
}
