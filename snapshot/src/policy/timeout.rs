use std::time::Duration;

use serde::Serialize;

/// Times to wait for the upstream (nginx `proxy_connect_timeout`,
/// `proxy_read_timeout`, `proxy_send_timeout`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Timeouts {
    /// For a connection, TLS included (`proxy-connect-timeout`, 5 s).
    pub connect: Duration,
    /// Between two reads of the answer (`proxy-read-timeout`, 60 s).
    pub read: Duration,
    /// Between two writes of the request (`proxy-send-timeout`, 60 s).
    pub send: Duration,
    /// For a whole request, answer and tries included (Gateway API
    /// `timeouts.request`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
    /// For one try, answer included (Gateway API `timeouts.backendRequest`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Duration>,
}

impl Timeouts {
    /// Between two reads or two writes, and for a connection; no limits on
    /// whole requests.
    pub const fn new(connect: Duration, read: Duration, send: Duration) -> Self {
        Self {
            connect,
            read,
            send,
            request: None,
            attempt: None,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new(
            Duration::from_secs(5),
            Duration::from_secs(60),
            Duration::from_secs(60),
        )
    }
}
