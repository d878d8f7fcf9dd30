//! Server-side TLS: the rustls configuration for a server name.

/// The certificates of one routing table, ready for handshakes.
#[derive(Default)]
pub struct Certificates {}
