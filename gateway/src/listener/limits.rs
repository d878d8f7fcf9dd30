//! What a listener takes from clients, where the snapshot says nothing.

use std::time::Duration;

/// Limits on connections that hold for all listeners of a process. What a
/// cluster configures per listener is in [`tidegate_snapshot::HttpSettings`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at one time; more are closed at once. `None`: no limit.
    pub max_connections: Option<usize>,
    /// From the first byte expected to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the choice of HTTP/2 to its first request.
    pub first_h2_request_timeout: Duration,
    /// How long connections of a removed listener stay idle before they are
    /// closed; those that send a request meanwhile are told to close.
    pub removed_idle: Duration,
}

impl Limits {
    /// Of [`Limits::handshake_timeout`]. nginx allows `client_header_timeout`
    /// (60 s); no honest client needs that.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
    /// Of [`Limits::first_h2_request_timeout`].
    pub const FIRST_H2_REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
    /// Of [`Limits::removed_idle`].
    pub const REMOVED_IDLE: Duration = Duration::from_secs(5);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: None,
            handshake_timeout: Self::HANDSHAKE_TIMEOUT,
            first_h2_request_timeout: Self::FIRST_H2_REQUEST_TIMEOUT,
            removed_idle: Self::REMOVED_IDLE,
        }
    }
}
