//! Ports to serve.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use crate::HttpSettings;

/// A listener's name, unique in a snapshot; stable across changes of its
/// settings, so that a change keeps the bound socket.
pub type ListenerKey = Arc<str>;

/// One address to accept connections on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Address and port to bind. An IPv6 wildcard address serves IPv4 too.
    pub address: SocketAddr,
    /// What is spoken on it.
    pub protocol: ListenerProtocol,
    /// Whether and from whom a PROXY protocol header is read.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// The routing table, by its name in [`crate::Snapshot::tables`].
    pub table: Arc<str>,
    /// The port that clients see, where it differs from the bound one: it
    /// stands in `X-Forwarded-Port` (ingress-nginx says 443 for its https
    /// listener whatever port that is bound to).
    pub public_port: u16,
    /// Limits and header rules for HTTP on this listener.
    pub http: Arc<HttpSettings>,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum ListenerProtocol {
    /// HTTP/1.1 and h2c by prior knowledge.
    Http,
    /// TLS by SNI, then HTTP/1.1 or HTTP/2 by ALPN; server names that the table
    /// has a stream for are passed through.
    Https,
    /// Anything: connections go where the table's streams say.
    Tcp,
    /// Datagrams: they go where the table's stream for all says.
    Udp,
}

/// PROXY protocol v1 and v2 (HAProxy's specification).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProxyProtocol {
    /// Peers whose header is believed; others must not send one.
    pub trusted: Vec<IpNet>,
    /// Peers whose connections are taken without a header, too: hairpin traffic
    /// from inside of the cluster, which passes no load balancer.
    pub optional: Vec<IpNet>,
    /// For a whole header (`proxy-protocol-header-timeout`).
    pub header_timeout: Duration,
}

impl ProxyProtocol {
    /// Of [`ProxyProtocol::header_timeout`]: ingress-nginx's 5 s. HAProxy's
    /// specification asks for at least 3 s.
    pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
}
