//! Connections that nothing looks into: TCP services, TLS passed through, and
//! what was inside of TLS that ended here.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddress;
use pingora_core::upstreams::peer::{HttpPeer, Peer, PeerOptions};
use pingora_core::utils::tls::CertKey;
use tidegate_snapshot::policy::Timeouts;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::Connection;
use super::counters::{Counters, count};
use crate::router::Stream;
use crate::upstream::{Cluster, FailureKind, Pick};

/// For each direction of a tunnel.
const BUFFER: usize = 16 * 1024;

/// Connects to an endpoint of `route`, sends what was read already, and copies
/// until both sides have ended or neither has said anything for long enough.
pub(super) async fn run<C>(
    route: &Stream,
    connection: &Connection,
    client: C,
    read: &[u8],
    counters: &Counters,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    count(&counters.streams.opened);
    let backend = route.backend(rand::random());
    let Some(cluster) = backend.and_then(|backend| backend.cluster.as_deref()) else {
        count(&counters.streams.no_endpoint);
        return Err(io::Error::other("no cluster"));
    };
    let hash = crate::upstream::hash::text(connection.client.ip().to_string().as_bytes());
    let (upstream, _pick) = connect(route, cluster, hash, counters).await?;
    let mut first = Vec::new();
    if route.spec.send_proxy_protocol {
        first = proxy_header(connection.client, connection.local);
    }
    first.extend_from_slice(read);
    match upstream {
        Upstream::Tcp(upstream) => copy(route, client, upstream, &first, counters).await,
        Upstream::Tls(upstream) => copy(route, client, upstream, &first, counters).await,
    }
}

/// Sends `first`, then copies in both directions.
async fn copy<C, U>(
    route: &Stream,
    client: C,
    mut upstream: U,
    first: &[u8],
    counters: &Counters,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    if !first.is_empty() {
        upstream.write_all(first).await?;
        upstream.flush().await?;
    }
    let idle = Idle::new(route.spec.idle_timeout);
    let mut client = Watched {
        io: client,
        idle: &idle,
    };
    let mut upstream = Watched {
        io: upstream,
        idle: &idle,
    };
    let copied = tokio::select! {
        copied = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER) => copied,
        () = idle.over() => {
            count(&counters.streams.idle_timeouts);
            return Ok(());
        }
    };
    let (received, sent) = copied?;
    counters
        .stream_bytes
        .received
        .fetch_add(received + first.len() as u64, Ordering::Relaxed);
    counters.stream_bytes.sent.fetch_add(sent, Ordering::Relaxed);
    Ok(())
}

/// A connection to an endpoint, after as many tries as the route allows.
async fn connect(
    route: &Stream,
    cluster: &Cluster,
    hash: u64,
    counters: &Counters,
) -> io::Result<(Upstream, Pick)> {
    let mut failed: Vec<SocketAddr> = Vec::new();
    for _ in 0..route.spec.tries.max(1) {
        let Some(pick) = cluster.pick(hash, &failed) else {
            count(&counters.streams.no_endpoint);
            return Err(io::Error::other("no endpoint"));
        };
        let started = Instant::now();
        match timeout(route.spec.connect_timeout, open(route, cluster, &pick)).await {
            Ok(Ok(stream)) => {
                pick.succeeded(started.elapsed());
                return Ok((stream, pick));
            }
            failure => {
                debug!(endpoint = %pick.address(), ?failure, "stream not connected");
                count(&counters.streams.connect_failures);
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

/// When something last went either way.
struct Idle {
    start: Instant,
    /// Milliseconds after `start`.
    last: AtomicU64,
    timeout: Duration,
}

impl Idle {
    fn new(timeout: Duration) -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
            timeout,
        }
    }

    fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Resolves when nothing has happened for the whole timeout.
    async fn over(&self) {
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let end = self.start + last + self.timeout;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

struct Watched<'a, T> {
    io: T,
    idle: &'a Idle,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.idle.touch();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<'_, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.idle.touch();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
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

    #[tokio::test(start_paused = true)]
    async fn silence_ends_and_activity_prolongs() {
        let idle = Idle::new(Duration::from_secs(10));
        let start = Instant::now();
        let work = async {
            tokio::time::sleep(Duration::from_secs(8)).await;
            idle.touch();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = work => {}
            () = idle.over() => {}
        }
        assert_eq!(start.elapsed().as_secs(), 18);
    }
}
