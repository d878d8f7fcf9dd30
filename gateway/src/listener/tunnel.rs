//! Connections that nothing looks into: TCP services, TLS passed through, and
//! what was inside of TLS that ended here.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddress;
use pingora_core::upstreams::peer::{HttpPeer, Peer, PeerOptions};
use pingora_core::utils::tls::CertKey;
use tidegate_snapshot::policy::Timeouts;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::Connection;
use super::counters::count;
use super::session::Session;
use crate::copy::{Ends, Side, both_ways};
use crate::router::Stream;
use crate::upstream::{Cluster, FailureKind, Pick};

/// Connects to an endpoint of `route`, sends what was read already, and copies
/// until both sides have ended or neither has said anything for long enough.
pub(super) async fn run<C>(
    route: &Stream,
    connection: &Connection,
    client: C,
    read: &[u8],
    session: &mut Session<'_>,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    count(&session.counters.streams.opened);
    let backend = route.backend(rand::random());
    if let Some(backend) = backend {
        session.meant_for(&backend.key, read.len());
    }
    let Some(cluster) = backend.and_then(|backend| backend.cluster.as_deref()) else {
        count(&session.counters.streams.no_endpoint);
        return Err(io::Error::other("no cluster"));
    };
    let hash = crate::upstream::hash::text(connection.client.ip().to_string().as_bytes());
    let (upstream, _pick) = connect(route, cluster, hash, session).await?;
    let mut first = Vec::new();
    if route.spec.send_proxy_protocol {
        first = proxy_header(connection.client, connection.local);
    }
    session.connected(first.len());
    first.extend_from_slice(read);
    match upstream {
        Upstream::Tcp(upstream) => copy(route, client, upstream, first, session).await,
        Upstream::Tls(upstream) => copy(route, client, upstream, first, session).await,
    }
    Ok(())
}

async fn copy<C, U>(route: &Stream, client: C, upstream: U, first: Vec<u8>, session: &mut Session<'_>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let client = Side {
        stream: client,
        first: Vec::new(),
    };
    let upstream = Side {
        stream: upstream,
        first,
    };
    let silence = route.spec.idle_timeout;
    both_ways(client, upstream, Ends::Apart, silence, &mut session.copied).await;
    if session.copied.idle {
        count(&session.counters.streams.idle_timeouts);
    }
}

/// A connection to an endpoint, after as many tries as the route allows.
async fn connect(
    route: &Stream,
    cluster: &Cluster,
    hash: u64,
    session: &mut Session<'_>,
) -> io::Result<(Upstream, Pick)> {
    let mut failed: Vec<SocketAddr> = Vec::new();
    for _ in 0..route.spec.tries.max(1) {
        let Some(pick) = cluster.pick(hash, &failed) else {
            count(&session.counters.streams.no_endpoint);
            return Err(io::Error::other("no endpoint"));
        };
        session.try_begins(pick.address());
        let started = Instant::now();
        match timeout(route.spec.connect_timeout, open(route, cluster, &pick)).await {
            Ok(Ok(stream)) => {
                pick.succeeded(started.elapsed());
                return Ok((stream, pick));
            }
            failure => {
                debug!(endpoint = %pick.address(), ?failure, "stream not connected");
                count(&session.counters.streams.connect_failures);
                session.try_failed();
                pick.failed(FailureKind::Connect);
                failed.push(pick.address());
            }
        }
    }
    Err(io::Error::other("no endpoint could be connected to"))
}

/// A connection to an endpoint.
#[derive(Debug)]
enum Upstream {
    Tcp(TcpStream),
    /// Where TLS has ended here and the cluster wants its own.
    Tls(pingora_core::protocols::Stream),
}

/// A peer to which no protocol is named: it is not known here. Its certificate
/// is verified.
#[derive(Clone)]
struct WithoutAlpn(Box<HttpPeer>);

impl fmt::Display for WithoutAlpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Peer for WithoutAlpn {
    fn address(&self) -> &PingoraAddress {
        self.0.address()
    }

    fn tls(&self) -> bool {
        self.0.tls()
    }

    fn sni(&self) -> &str {
        self.0.sni()
    }

    fn reuse_hash(&self) -> u64 {
        self.0.reuse_hash()
    }

    fn get_peer_options(&self) -> Option<&PeerOptions> {
        self.0.get_peer_options()
    }

    fn get_alpn(&self) -> Option<&ALPN> {
        None
    }

    fn get_client_cert_key(&self) -> Option<&Arc<CertKey>> {
        self.0.get_client_cert_key()
    }
}

async fn open(route: &Stream, cluster: &Cluster, pick: &Pick) -> io::Result<Upstream> {
    static CONNECTOR: LazyLock<TransportConnector> = LazyLock::new(|| TransportConnector::new(None));
    if route.spec.terminate && cluster.speaks_tls() {
        let timeouts = Timeouts {
            connect: route.spec.connect_timeout,
            ..Timeouts::default()
        };
        let peer = WithoutAlpn(cluster.peer(pick, true, &timeouts));
        let stream = CONNECTOR.new_stream(&peer).await;
        return stream
            .map(Upstream::Tls)
            .map_err(|error| io::Error::other(error.to_string()));
    }
    let stream = TcpStream::connect(pick.address()).await?;
    let _ = stream.set_nodelay(true);
    Ok(Upstream::Tcp(stream))
}

/// A PROXY protocol header, version 1.
pub(super) fn proxy_header(client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let mut header = Vec::with_capacity(107);
    // Writing to a Vec cannot fail.
    let _ = match (client, local) {
        (SocketAddr::V4(client), SocketAddr::V4(local)) => write!(
            header,
            "PROXY TCP4 {} {} {} {}\r\n",
            client.ip(),
            local.ip(),
            client.port(),
            local.port()
        ),
        (SocketAddr::V6(client), SocketAddr::V6(local)) => write!(
            header,
            "PROXY TCP6 {} {} {} {}\r\n",
            client.ip(),
            local.ip(),
            client.port(),
            local.port()
        ),
        // No family can say both.
        _ => write!(header, "PROXY UNKNOWN\r\n"),
    };
    header
}

/// The server name of a ClientHello, as soon as enough of it is there.
pub(super) fn peek_server_name(read: &[u8]) -> io::Result<Option<Peeked>> {
    let mut acceptor = rustls::server::Acceptor::default();
    let mut rest = read;
    while !rest.is_empty() {
        if acceptor.read_tls(&mut rest)? == 0 {
            break;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(crate::tls::normalize);
                return Ok(Some(Peeked(name)));
            }
            Ok(None) => {}
            // The handshake proper answers with the right alert.
            Err(_) => return Ok(Some(Peeked(None))),
        }
    }
    Ok(None)
}

/// What a ClientHello asks for.
pub(super) struct Peeked(pub(super) Option<Arc<str>>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_headers_name_both_ends() {
        let header = |client: &str, local: &str| {
            String::from_utf8(proxy_header(client.parse().unwrap(), local.parse().unwrap())).unwrap()
        };
        assert_eq!(
            header("192.0.2.1:5000", "198.51.100.2:443"),
            "PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n"
        );
        assert_eq!(
            header("[2001:db8::1]:5000", "[2001:db8::2]:443"),
            "PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n"
        );
        assert_eq!(header("192.0.2.1:5000", "[2001:db8::2]:443"), "PROXY UNKNOWN\r\n");
    }
}
