use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidegate_snapshot::ClusterKey;

/// One finished connection or session of a TCP or UDP service, or of TLS that
/// passed through. Made only while streams are logged.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// When it ended.
    pub time: SystemTime,
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// Who sent the packets.
    pub peer: SocketAddr,
    /// The peer; the client in the PROXY header where `enable-real-ip` says so.
    pub client: SocketAddr,
    /// The address that it came to.
    pub local: SocketAddr,
    /// The client in the PROXY header, and the address that it came to.
    pub announced: Option<(SocketAddr, SocketAddr)>,
    /// The name that the client asked for, where TLS decides the route.
    pub server_name: Option<Arc<str>>,
    /// What became of it, in nginx's numbers.
    pub status: u16,
    /// Bytes from the client, without a PROXY header.
    pub bytes_received: u64,
    /// Bytes to the client.
    pub bytes_sent: u64,
    /// From the first packet to the end.
    pub session_time: Duration,
    /// The cluster that it was meant for.
    pub upstream_name: Option<ClusterKey>,
    /// Tries to reach an endpoint, in order.
    pub attempts: Vec<StreamAttempt>,
}

/// One try to reach an endpoint.
#[derive(Clone, Debug)]
pub struct StreamAttempt {
    /// The endpoint.
    pub address: SocketAddr,
    /// Bytes to it, with a PROXY header of ours.
    pub bytes_sent: u64,
    /// Bytes from it.
    pub bytes_received: u64,
    /// Until it was connected to; `None` when it could not be.
    pub connect_time: Option<Duration>,
    /// Until its first byte.
    pub first_byte_time: Option<Duration>,
    /// From the start of this try to its end.
    pub session_time: Duration,
}

impl StreamRecord {
    /// A record of a session that nothing else is known of.
    pub fn new(protocol: &'static str, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            time: SystemTime::now(),
            protocol,
            peer,
            client: peer,
            local,
            announced: None,
            server_name: None,
            status: 200,
            bytes_received: 0,
            bytes_sent: 0,
            session_time: Duration::ZERO,
            upstream_name: None,
            attempts: Vec::new(),
        }
    }
}
