//! One connection: set up, handed to Pingora, watched until it ends.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::ALPN;
use pingora_core::server::ShutdownWatch;
use rustls::pki_types::UnixTime;
use rustls::{ServerConfig, ServerConnection};
use tidegate_snapshot::{ListenerProtocol, ProxyProtocol};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::debug;

use super::accept::{Core, Counted};
use super::activity::{Activity, Expired, Phase};
use super::counters::{Counters, count};
use super::proxy_protocol::{self, Parsed};
use super::server_tls::{self, ServerTls};
use super::session::Session;
use super::stream::{Io, Prefixed, Stream};
use super::tunnel;
use super::{Connection, Limits, Live, Serving, TlsSession, plain_http};
use crate::observe::access_log::AccessLog;
use crate::router::Stream as StreamRoute;
use crate::tls;

/// RFC 9113 section 3.4.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for the first read: most request heads, most ClientHellos.
const FIRST_READ: usize = 2048;
/// First byte of a TLS record with a handshake message.
const TLS_HANDSHAKE: u8 = 0x16;
/// More than this is no ClientHello.
const LARGEST_HELLO: usize = 64 * 1024;
/// See [`process_late_h2`].
const LATE_H2_LIFE: Duration = Duration::from_secs(1);
/// In nginx's `stream`: no endpoint could be chosen or reached.
pub(super) const BAD_GATEWAY: u16 = 502;
/// RFC 8446 appendix B.2, `unrecognized_name`.
const UNRECOGNIZED_NAME: u8 = 112;

/// Serves a connection from accept to close.
pub(super) async fn serve<A>(
    core: Arc<Core<A>>,
    live: Arc<Live>,
    tcp: TcpStream,
    peer: SocketAddr,
    counted: Counted,
) where
    A: ServerApp + Send + Sync + 'static,
{
    let counters = &core.census.counters;
    // Setup enters its own phase at once.
    let activity = Arc::new(Activity::new(
        &live.serving.load().spec.http,
        Duration::MAX,
        Arc::clone(counters),
    ));
    let work = async {
        let setup = Setup {
            live: &live,
            limits: &core.limits,
            counters,
            activity: &activity,
            log: &core.log,
        };
        let refusal = core.refusal.clone();
        // Boxed: what it needs is much more than what a served connection does.
        let stream = Box::pin(setup.run(tcp, peer)).await;
        match stream.map(|stream| stream.map(|stream| stream.refusing_with(refusal))) {
            Ok(Some(stream)) if stream.is_h2() && live.draining() => {
                Box::pin(process_late_h2(&core.app, stream)).await;
            }
            Ok(Some(stream)) => process(&core.app, stream, &live.drain.shutdown_watch()).await,
            Ok(None) => {}
            Err(error) => {
                debug!(listener = %live.key, %peer, %error, "connection failed while it was set up");
            }
        }
    };
    {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            () = &mut work => {}
            expired = activity.expired(&live.drain) => record(expired, counters),
        }
    }
    // After the work is dropped: that may log a last line, and nobody waits for
    // lines of connections that are gone.
    drop(counted);
}

async fn process<A>(app: &Arc<A>, stream: Stream, shutdown: &ShutdownWatch)
where
    A: ServerApp + Send + Sync + 'static,
{
    let mut next: Option<pingora_core::protocols::Stream> = Some(Box::new(stream));
    while let Some(stream) = next.take() {
        next = app.process_new(stream, shutdown).await;
    }
}

/// HTTP/2 that begins while the listener drains is told to go only after a
/// moment: at once would be before its first request, which the client could
/// then send nowhere.
async fn process_late_h2<A>(app: &Arc<A>, stream: Stream)
where
    A: ServerApp + Send + Sync + 'static,
{
    let (shutdown, watch) = watch::channel(false);
    let tell_to_go = async {
        tokio::time::sleep(LATE_H2_LIFE).await;
        let _ = shutdown.send(true);
        std::future::pending().await
    };
    tokio::select! {
        () = process(app, stream, &watch) => {}
        () = tell_to_go => {}
    }
}

fn record(expired: Expired, counters: &Counters) {
    let timeouts = &counters.timeouts;
    count(match expired {
        Expired::Timeout(Phase::ProxyHeader) => &timeouts.proxy_header,
        Expired::Timeout(Phase::Handshake) => &timeouts.handshake,
        Expired::Timeout(Phase::FirstByte) => &timeouts.first_byte,
        Expired::Timeout(Phase::Head) => &timeouts.request_head,
        Expired::Timeout(Phase::FirstStream) => &timeouts.first_h2_request,
        Expired::Timeout(Phase::Idle | Phase::IdleStreams) => &timeouts.idle,
        Expired::CutOff => &counters.cut_off,
        Expired::Drained => return,
    });
}

/// What happens before Pingora. Nothing in here has a timeout of its own: the
/// phases that are entered do.
struct Setup<'a> {
    live: &'a Arc<Live>,
    limits: &'a Limits,
    counters: &'a Counters,
    activity: &'a Arc<Activity>,
    log: &'a AccessLog,
}

impl Setup<'_> {
    /// `None` when the connection has been dealt with.
    async fn run(&self, mut tcp: TcpStream, peer: SocketAddr) -> io::Result<Option<Stream>> {
        let serving = self.live.serving.load_full();
        let peer = canonical(peer);
        let local = canonical(tcp.local_addr()?);
        let mut connection =
            Connection::accepted(Arc::clone(self.live), peer, local, Arc::clone(self.activity));
        let mut read = BytesMut::with_capacity(FIRST_READ);
        // Of the others it is not known yet that nothing looks into them.
        let is_stream = serving.spec.protocol == ListenerProtocol::Tcp;
        let mut session = is_stream.then(|| self.session(peer, local));
        if let Some(settings) = &serving.spec.proxy_protocol
            && let Err(status) = self
                .read_proxy_header(settings, &mut tcp, &mut read, &mut connection)
                .await?
        {
            if let Some(session) = &mut session {
                session.status(status);
            }
            return Ok(None);
        }
        match (serving.spec.protocol, session) {
            (ListenerProtocol::Http, _) => self.plain(serving.spec.http.http2, tcp, read, connection).await,
            (ListenerProtocol::Https, _) => self.tls(&serving, tcp, read, connection, local).await,
            (ListenerProtocol::Tcp, Some(mut session)) => {
                session.announced(&connection, &serving.spec.http.real_ip);
                let route = serving.table.streams.find(None).cloned();
                Box::pin(self.stream(route.as_deref(), tcp, &read, connection, session)).await
            }
            // No connections come from UDP.
            (ListenerProtocol::Udp | ListenerProtocol::Tcp, _) => Ok(None),
        }
    }

    fn session(&self, peer: SocketAddr, local: SocketAddr) -> Session<'_> {
        Session::begin(self.counters, self.log, self.activity.since(), peer, local)
    }

    /// Takes a PROXY header off `read` and notes what it says. `Err`: refused,
    /// which nginx's `stream` calls by this status.
    async fn read_proxy_header(
        &self,
        settings: &ProxyProtocol,
        tcp: &mut TcpStream,
        read: &mut BytesMut,
        connection: &mut Connection,
    ) -> io::Result<Result<(), u16>> {
        let errors = &self.counters.proxy_protocol_errors;
        let peer = connection.peer.ip();
        let trusted = settings.trusted.iter().any(|net| net.contains(&peer));
        let optional = settings.optional.iter().any(|net| net.contains(&peer));
        if !trusted && !optional {
            count(&errors.untrusted);
            return Ok(Err(403));
        }
        self.activity.enter(Phase::ProxyHeader, settings.header_timeout);
        let parsed = loop {
            match proxy_protocol::parse(read) {
                Parsed::Incomplete => {
                    if tcp.read_buf(read).await? == 0 {
                        return Ok(Err(400));
                    }
                }
                parsed => break parsed,
            }
        };
        match parsed {
            Parsed::Absent if optional => Ok(Ok(())),
            Parsed::Incomplete | Parsed::Absent => {
                count(&errors.missing);
                Ok(Err(400))
            }
            _ if !trusted => {
                count(&errors.untrusted);
                Ok(Err(403))
            }
            Parsed::Invalid(reason) => {
                debug!(peer = %connection.peer, reason, "PROXY protocol header refused");
                count(&errors.invalid);
                Ok(Err(400))
            }
            Parsed::Header { length, addresses } => {
                let _ = read.split_to(length);
                if let Some((client, local)) = addresses {
                    connection.client = canonical(client);
                    connection.local = canonical(local);
                    connection.proxied = true;
                }
                Ok(Ok(()))
            }
        }
    }

    /// HTTP/1, or HTTP/2 by prior knowledge.
    async fn plain(
        &self,
        http2: bool,
        mut tcp: TcpStream,
        mut read: BytesMut,
        connection: Connection,
    ) -> io::Result<Option<Stream>> {
        self.activity.await_first_byte();
        let h2 = loop {
            let common = read.len().min(H2_PREFACE.len());
            if read[..common] != H2_PREFACE[..common] {
                break false;
            }
            if common == H2_PREFACE.len() {
                break true;
            }
            if tcp.read_buf(&mut read).await? == 0 {
                if read.is_empty() {
                    return Ok(None);
                }
                break false;
            }
        };
        let alpn = if h2 && http2 {
            self.await_first_stream();
            Some(ALPN::H2)
        } else {
            self.activity.bytes_read();
            None
        };
        into_stream(Io::Plain(Prefixed::new(read.freeze(), tcp)), alpn, connection)
    }

    async fn tls(
        &self,
        serving: &Serving,
        mut tcp: TcpStream,
        mut read: BytesMut,
        mut connection: Connection,
        local: SocketAddr,
    ) -> io::Result<Option<Stream>> {
        self.activity
            .enter(Phase::Handshake, self.limits.handshake_timeout);
        let failures = &self.counters.handshake_failures;
        if read.is_empty() && tcp.read_buf(&mut read).await? == 0 {
            count(&failures.closed);
            return Ok(None);
        }
        if read[0] != TLS_HANDSHAKE {
            count(&failures.plain_http);
            // Clients without a server name may not even mean HTTP.
            if serving.table.streams.find(None).is_none() {
                plain_http::refuse(tcp, read).await?;
            }
            return Ok(None);
        }
        let mut route = None;
        if !serving.table.streams.is_empty() {
            let server_name = self.peek(&mut tcp, &mut read).await?;
            route = serving.table.streams.find(server_name.as_deref()).cloned();
            if route.as_ref().is_some_and(|route| !route.spec.terminate) {
                let mut session = self.session(connection.peer, local);
                session.announced(&connection, &serving.spec.http.real_ip);
                session.server_name(server_name.as_ref());
                return Box::pin(self.stream(route.as_deref(), tcp, &read, connection, session)).await;
            }
        }
        let mut io = Prefixed::new(read.freeze(), tcp);
        let accepted = server_tls::hello(&mut io)
            .await
            .inspect_err(|error| self.count_failure(error))?;
        let server_name = accepted.client_hello().server_name().map(tls::normalize);
        let Some(config) = self.config(serving, route.as_deref(), server_name.as_deref()) else {
            return self.refuse_name(io).await;
        };
        let mut tls = match ServerTls::start(accepted, config, io) {
            Ok(tls) => tls,
            Err(refused) => {
                let (error, alert, mut io) = *refused;
                let error = Box::pin(server_tls::refuse(error, alert, &mut io)).await;
                self.count_failure(&error);
                return Err(error);
            }
        };
        tls.handshake()
            .await
            .inspect_err(|error| self.count_failure(error))?;
        let alpn = self.established(serving, tls.session(), server_name, &mut connection);
        if route.is_some() {
            return Box::pin(self.terminated(serving, route.as_deref(), tls, connection, local)).await;
        }
        into_stream(Io::Tls(tls), Some(alpn), connection)
    }

    /// How the handshake with a client goes; `None`: it asks for an unknown name.
    fn config(
        &self,
        serving: &Serving,
        route: Option<&StreamRoute>,
        server_name: Option<&str>,
    ) -> Option<Arc<ServerConfig>> {
        let config = serving.table.certificates.config(server_name)?;
        Some(match (route, serving.spec.http.http2) {
            (Some(_), _) => tls::without_alpn(config),
            (None, true) => Arc::clone(config),
            (None, false) => tls::without_http2(config),
        })
    }

    async fn refuse_name(&self, mut io: Prefixed) -> io::Result<Option<Stream>> {
        count(&self.counters.handshake_failures.no_certificate);
        io.write_all(&fatal_alert(UNRECOGNIZED_NAME)).await?;
        io.shutdown().await?;
        Ok(None)
    }

    /// Notes what a handshake has settled. The protocol that follows.
    fn established(
        &self,
        serving: &Serving,
        session: &ServerConnection,
        server_name: Option<Arc<str>>,
        connection: &mut Connection,
    ) -> ALPN {
        count(tls::handshake_counter(session, &self.counters.handshakes));
        let authority = serving.table.certificates.authority(server_name.as_deref());
        connection.tls = Some(TlsSession {
            server_name,
            protocol: tls::protocol_name(session),
            cipher: tls::cipher_name(session),
            client: authority.map(|authority| authority.judge(session.peer_certificates(), UnixTime::now())),
        });
        if session.alpn_protocol() == Some(b"h2") {
            self.await_first_stream();
            ALPN::H2
        } else {
            self.activity.await_first_byte();
            ALPN::H1
        }
    }

    /// The server name that a client asks for. What was read stays in `read`.
    async fn peek(&self, tcp: &mut TcpStream, read: &mut BytesMut) -> io::Result<Option<Arc<str>>> {
        loop {
            if let Some(peeked) = tunnel::peek_server_name(read)? {
                return Ok(peeked.0);
            }
            // The handshake proper finds out what is wrong.
            if read.len() > LARGEST_HELLO || tcp.read_buf(read).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Passes on what the client says inside of TLS that ends here.
    async fn terminated<C>(
        &self,
        serving: &Serving,
        route: Option<&StreamRoute>,
        client: C,
        connection: Connection,
        local: SocketAddr,
    ) -> io::Result<Option<Stream>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let mut session = self.session(connection.peer, local);
        session.announced(&connection, &serving.spec.http.real_ip);
        session.server_name(connection.tls.as_ref().and_then(|tls| tls.server_name.as_ref()));
        self.stream(route, client, &[], connection, session).await
    }

    /// Passes on what the client says, `read` first, until the connection ends.
    async fn stream<C>(
        &self,
        route: Option<&StreamRoute>,
        client: C,
        read: &[u8],
        connection: Connection,
        mut session: Session<'_>,
    ) -> io::Result<Option<Stream>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        // From now on only silence ends it, or the end of a drain.
        let _in_flight = connection.request_started();
        let outcome = match route {
            Some(route) => tunnel::run(route, &connection, client, read, &mut session).await,
            None => {
                count(&self.counters.streams.no_endpoint);
                Err(io::Error::other("no route"))
            }
        };
        if outcome.is_err() {
            session.status(BAD_GATEWAY);
        }
        outcome.map(|()| None)
    }

    fn await_first_stream(&self) {
        self.activity
            .enter(Phase::FirstStream, self.limits.first_h2_request_timeout);
    }

    fn count_failure(&self, error: &io::Error) {
        let failures = &self.counters.handshake_failures;
        count(match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                &failures.closed
            }
            _ => &failures.protocol,
        });
    }
}

fn into_stream(io: Io, alpn: Option<ALPN>, connection: Connection) -> io::Result<Option<Stream>> {
    Stream::new(io, alpn, connection)
        .map(Some)
        .map_err(|error| io::Error::other(error.to_string()))
}

/// A dual-stack socket shows IPv4 clients as `::ffff:a.b.c.d`.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A TLS record (RFC 8446 section 5.1) with a fatal alert (section 6).
fn fatal_alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}
