//! An application that tells the facts of its connection, and raw clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::ResponseHeader;
use pingora_proxy::{HttpProxy, ProxyHttp, Session, http_proxy};
use rcgen::{CertificateParams, KeyPair};
use tidegate_snapshot::{
    Certificate, Hostname, HttpSettings, Listener, ListenerProtocol, ObjectRef, PrivateKey, RouteTable,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::listener::{Connection, Counters, InFlight, Limits, Listeners};
use crate::observe::access_log::AccessLog;
use crate::runtime::Table;
use crate::tls::{Certificates, install_provider};

/// No test waits longer for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Answers with facts of the connection. `/bytes` sends as many as stand behind
/// `?`; `/slow` waits for the milliseconds
/// behind `?`; `/refuse` answers 413 and closes without reading the body.
pub(super) struct Facts;

#[async_trait]
impl ProxyHttp for Facts {
    type CTX = Option<InFlight>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        ctx: &mut Self::CTX,
    ) -> pingora_core::Result<()> {
        let connection = Connection::of(session).expect("every session comes from a listener");
        *ctx = Some(connection.request_started());
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, _: &mut Self::CTX) -> pingora_core::Result<bool> {
        let connection = Arc::clone(Connection::of(session).unwrap());
        let uri = session.req_header().uri.clone();
        let mut status = 200;
        match uri.path() {
            "/slow" => {
                let wait = uri.query().unwrap().parse().unwrap();
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            "/refuse" => {
                status = 413;
                connection.linger();
                session.set_keepalive(None);
            }
            _ => {}
        }
        if connection.draining() {
            session.set_keepalive(None);
        }
        let body = match uri.path() {
            "/bytes" => pattern(uri.query().unwrap().parse().unwrap()),
            _ => facts(session, &connection),
        };
        let mut head = ResponseHeader::build(status, None)?;
        head.insert_header("content-length", body.len())?;
        session.write_response_header(Box::new(head), false).await?;
        // In pieces of different sizes, as an upstream's answer comes.
        let mut body = Bytes::from(body);
        let mut piece = 1;
        while !body.is_empty() {
            let part = body.split_to(piece.min(body.len()));
            let end = body.is_empty();
            session.write_response_body(Some(part), end).await?;
            piece = piece * 3 % 50_000 + 700;
        }
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> pingora_core::Result<Box<HttpPeer>> {
        unreachable!("every request is answered before")
    }
}

/// Text in which every misplaced byte shows.
pub(super) fn pattern(length: usize) -> String {
    let numbers = (0..length / 8 + 1).map(|n| format!("{n:07},"));
    let mut text: String = numbers.collect();
    text.truncate(length);
    text
}

fn facts(session: &Session, connection: &Connection) -> String {
    let tls = connection.tls.as_ref();
    format!(
        "listener={}\npeer={}\nclient={}\nlocal={}\nproxied={}\nversion={:?}\nsni={}\nprotocol={}\ncipher={}\n\
         seen={:?}\nearly={}\n",
        connection.listener.key,
        connection.peer,
        connection.client,
        connection.local,
        connection.proxied,
        session.req_header().version,
        tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or("-"),
        tls.map_or("-", |tls| tls.protocol),
        tls.map_or("-", |tls| tls.cipher),
        session.client_addr().map(ToString::to_string),
        connection.is_early(),
    )
}

pub(super) struct Gateway {
    pub(super) listeners: Listeners<HttpProxy<Facts>>,
    pub(super) counters: Arc<Counters>,
}

pub(super) fn gateway(limits: Limits) -> Gateway {
    install_provider();
    let counters = Arc::new(Counters::default());
    let app = Arc::new(http_proxy(&Arc::new(ServerConf::default()), Facts));
    Gateway {
        listeners: Listeners::new(
            app,
            limits,
            Arc::clone(&counters),
            Arc::new(AccessLog::off()),
            None,
        ),
        counters,
    }
}

impl Gateway {
    pub(super) fn apply(&self, wanted: &[(&str, &Listener, &Arc<Table>)]) {
        let wanted = wanted
            .iter()
            .map(|(key, spec, table)| ((*key).into(), Arc::new((*spec).clone()), Arc::clone(table)))
            .collect();
        self.listeners.apply(wanted);
    }

    /// One listener called `a`; its address.
    pub(super) fn serve(&self, spec: &Listener, table: &Arc<Table>) -> SocketAddr {
        self.apply(&[("a", spec, table)]);
        self.address("a")
    }

    /// Waits until a request is in flight.
    pub(super) async fn busy(&self) {
        let is_busy = || self.counters.requests_in_flight() == 1;
        eventually("a request in flight", is_busy).await;
    }

    pub(super) fn status(&self, key: &str) -> Result<SocketAddr, String> {
        let statuses = self.listeners.statuses();
        statuses.into_iter().find(|(name, _)| **name == *key).unwrap().1
    }

    pub(super) fn address(&self, key: &str) -> SocketAddr {
        self.status(key).unwrap()
    }
}

pub(super) fn http() -> Listener {
    Listener {
        address: "127.0.0.1:0".parse().unwrap(),
        protocol: ListenerProtocol::Http,
        proxy_protocol: None,
        table: "t".into(),
        public_port: 80,
        http: Arc::default(),
    }
}

pub(super) fn https() -> Listener {
    Listener {
        protocol: ListenerProtocol::Https,
        ..http()
    }
}

pub(super) fn with_http(spec: Listener, change: impl FnOnce(&mut HttpSettings)) -> Listener {
    let mut settings = HttpSettings::default();
    change(&mut settings);
    Listener {
        http: Arc::new(settings),
        ..spec
    }
}

/// A new self-signed certificate for these names.
pub(super) fn certificate(names: &[&str]) -> Arc<Certificate> {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(names.clone())
        .unwrap()
        .self_signed(&key)
        .unwrap();
    Arc::new(Certificate {
        origin: ObjectRef::new("Secret", "test", "certificate"),
        chain: vec![leaf.der().clone()],
        key: PrivateKey::new(rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap()),
        names,
        not_after: 0,
        fingerprint: SERIAL.fetch_add(1, Ordering::Relaxed).to_string(),
    })
}

pub(super) fn route_table(
    named: &[(&str, &Arc<Certificate>)],
    default: Option<&Arc<Certificate>>,
) -> RouteTable {
    let named = named
        .iter()
        .map(|(name, certificate)| (Hostname::parse(name).unwrap(), Arc::clone(certificate)));
    RouteTable {
        certificates: named.collect(),
        default_certificate: default.cloned(),
        ..RouteTable::default()
    }
}

pub(super) fn table(named: &[(&str, &Arc<Certificate>)], default: Option<&Arc<Certificate>>) -> Arc<Table> {
    Arc::new(Table {
        certificates: Certificates::compile(None, &route_table(named, default)),
        ..Table::default()
    })
}

pub(super) async fn connect(address: SocketAddr) -> TcpStream {
    within(TcpStream::connect(address)).await.unwrap()
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("the other side answers in time")
}

pub(super) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends and reads one answer: head and body of its content-length.
pub(super) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: impl AsRef<[u8]>,
) -> String {
    within(async {
        stream.write_all(request.as_ref()).await.unwrap();
        stream.flush().await.unwrap();
        answer(stream).await
    })
    .await
}

/// Reads one answer; empty when the other side closes first.
pub(super) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => text.push_str(std::str::from_utf8(&buffer[..n]).unwrap()),
        }
    }
}

/// Sends on a new connection and reads until it is closed.
pub(super) async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = connect(address).await;
    stream.write_all(request.as_ref()).await.unwrap();
    rest(&mut stream).await
}

pub(super) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    // A reset is an end, too.
    let _ = within(stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not within 5 s");
}

/// The value of `name=` in an answer.
pub(super) fn fact<'a>(answer: &'a str, name: &str) -> &'a str {
    answer
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name} in {answer:?}"))
}
