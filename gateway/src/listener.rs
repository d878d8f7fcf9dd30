//! Run-time listeners: bind, accept, PROXY protocol, TLS by SNI, then Pingora.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tidegate_snapshot::{Listener, ListenerKey};

use crate::runtime::Table;

/// What a bound listener serves at the moment; replaced as a whole.
pub struct Serving {
    /// The wanted value that it was made from.
    pub spec: Arc<Listener>,
    /// Its compiled routing table.
    pub table: Arc<Table>,
}

/// A bound listener as its connections see it. It outlives rebinding, so that
/// a keep-alive connection always routes by the newest table.
pub struct Live {
    /// Its name in the snapshot.
    pub key: ListenerKey,
    /// What it serves now.
    pub serving: ArcSwap<Serving>,
}

/// Facts of one client connection, shared by all its requests.
pub struct Connection {
    /// The listener that accepted it.
    pub listener: Arc<Live>,
    /// The peer of the TCP connection.
    pub peer: SocketAddr,
    /// The client: the peer, or what a trusted PROXY header announced.
    pub client: SocketAddr,
    /// The address that the client connected to, by the same rule.
    pub local: SocketAddr,
    /// Whether `client` and `local` come from a PROXY header.
    pub proxied: bool,
    /// Facts of the TLS session; `None` on plain connections.
    pub tls: Option<TlsSession>,
}

/// Facts of a finished TLS handshake.
pub struct TlsSession {
    /// The server name that the client asked for, lower case.
    pub server_name: Option<Arc<str>>,
    /// As nginx writes it in `$ssl_protocol`: `TLSv1.3`.
    pub protocol: &'static str,
    /// As OpenSSL writes it in `$ssl_cipher`.
    pub cipher: &'static str,
}
