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
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(60),
            send: Duration::from_secs(60),
        }
    }
}
