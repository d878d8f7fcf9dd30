//! TLSRoute, TCPRoute and UDPRoute: what really goes where.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::program::{Program, certificate_secret, free_ports};
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::tls;
use crate::support::upstream::Echo;

const OBJECTS: &str = include_str!("streams.yaml");

struct Site {
    program: Program,
    /// Passthrough, termination and HTTPS.
    tls: SocketAddr,
    /// Passthrough alone.
    alone: SocketAddr,
    /// TCP and UDP.
    stream: SocketAddr,
    /// The certificates of the backends that speak TLS.
    first: CertificateDer<'static>,
    second: CertificateDer<'static>,
    yaml: String,
    _web: Echo,
}

impl Site {
    async fn start() -> Self {
        let [tls, alone, stream] = free_ports();
        let mut yaml = OBJECTS.to_owned();
        for (name, address) in [("TLS-PORT", tls), ("ALONE-PORT", alone), ("STREAM-PORT", stream)] {
            yaml = yaml.replace(name, &address.port().to_string());
        }
        let (first, authority, port) = secret_backend("inside.test", "secret-1").await;
        yaml += &service("secret-1", "TCP", 443, port);
        let (second, _, port) = secret_backend("inside.test", "secret-2").await;
        yaml += &service("secret-2", "TCP", 443, port);
        yaml += &service("plain", "TCP", 80, plain_backend("plain").await);
        yaml += &service("other", "TCP", 80, plain_backend("other").await);
        yaml += &service("never", "TCP", 443, plain_backend("never").await);
        yaml += &service("dns", "UDP", 53, datagram_backend("dns").await);
        yaml += &service("dns-2", "UDP", 53, datagram_backend("dns-2").await);
        let web = Echo::start("web").await;
        yaml += &service("web", "TCP", 80, web.address.port());
        yaml += &certificate_secret("ends", &["ends.test"]);
        yaml += &certificate_secret("web", &["web.through.test", "ingress.test"]);
        write!(
            yaml,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: authority}}\ndata:\n  ca.crt: |\n    {}\n",
            authority.trim_end().replace('\n', "\n    ")
        )
        .unwrap();
        Self {
            program: Program::start(&yaml).await,
            tls,
            alone,
            stream,
            first,
            second,
            yaml,
            _web: web,
        }
    }

    /// What a backend says first to a client of TLS, and the certificate that
    /// the client saw.
    async fn greeting(&self, name: &str) -> (String, CertificateDer<'static>) {
        let mut client = Client::tls(self.tls, name, &[]).await;
        client.send("x").await;
        let greeting = greeting(&mut client).await;
        (greeting, client.certificate.unwrap())
    }
}

/// Reads up to the end of a line.
async fn greeting(client: &mut Client) -> String {
    let mut text = String::new();
    while !text.ends_with('\n') {
        text.push(char::from(client.take(1).await[0]));
    }
    text.trim_end().to_owned()
}

fn service(name: &str, protocol: &str, port: u16, target: u16) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{ports: [{{name: main, port: {port}, protocol: {protocol}}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nports: [{{name: main, port: {target}, protocol: {protocol}}}]\n\
         endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]\n"
    )
}

/// Says its name, then repeats what it hears.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, name: &str) -> Option<()> {
    stream.write_all(format!("{name}\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut buffer = [0; 1024];
    loop {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        stream.write_all(&buffer[..length]).await.ok()?;
        stream.flush().await.ok()?;
    }
}

async fn plain_backend(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, name));
        }
    });
    port
}

/// Its certificate, the same as PEM, and its port.
async fn secret_backend(host: &str, name: &'static str) -> (CertificateDer<'static>, String, u16) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
    let port = tls::backend(config, move |stream| serve(stream, name)).await;
    (certificate, made.cert.pem(), port)
}

/// Answers each datagram with two.
async fn datagram_backend(name: &'static str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            for round in 1..=2 {
                let answer = format!("{name} {text} {round}");
                socket.send_to(answer.as_bytes(), from).await.unwrap();
            }
        }
    });
    port
}

/// What a port says to these bytes before it closes.
async fn said(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut client = Client::connect(address).await;
    client.send(bytes).await;
    client.rest().await
}

/// What a port says to a ClientHello, when there is no handshake.
async fn refused(address: SocketAddr, name: &str) -> std::io::ErrorKind {
    match Client::try_tls(address, name, &[]).await {
        Ok(_) => panic!("{name} has a handshake"),
        Err(error) => error.kind(),
    }
}

#[tokio::test]
async fn tls_passes_by_server_name() {
    let site = Site::start().await;
    let first = ("secret-1".to_owned(), site.first.clone());
    assert_eq!(site.greeting("x.a.through.test").await, first);
    assert_eq!(site.greeting("x.y.a.through.test").await, first);
    assert_eq!(site.greeting("B.Through.Test").await, first);
    // The more specific name wins, whatever comes first.
    let second = ("secret-2".to_owned(), site.second.clone());
    assert_eq!(site.greeting("exact.a.through.test").await, second);

    // It is the backend that does the handshake, and nothing is added.
    let mut client = Client::tls(site.tls, "b.through.test", &["strange"]).await;
    assert_eq!(client.alpn, None);
    client.send("abc").await;
    assert_eq!(greeting(&mut client).await, "secret-1");
    assert_eq!(client.take(3).await, b"abc");
}

/// "If traffic to a Gateway does not match any Listener's hostname, or any
/// attached Route, the request MUST be rejected."
#[tokio::test]
async fn names_without_route_are_closed_without_a_word() {
    use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
    let site = Site::start().await;
    // A name of a listener that no route has: the wider listener is not asked.
    for (address, name) in [
        (site.tls, "a.through.test"),
        (site.tls, "nobody.ends.test"),
        (site.alone, "exact.through.test"),
        (site.alone, "elsewhere.test"),
        (site.alone, ""),
    ] {
        let kind = refused(address, name).await;
        assert!(
            matches!(kind, ConnectionReset | UnexpectedEof),
            "{name}: {kind:?}"
        );
    }
    // HTTPS on the same port says what is wrong.
    assert_eq!(
        refused(site.tls, "elsewhere.test").await,
        std::io::ErrorKind::InvalidData
    );
    assert_eq!(said(site.alone, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, b"");
}

/// "Request rejections must respect weight."
#[tokio::test]
async fn shares_are_by_weight_and_missing_backends_close_theirs() {
    let site = Site::start().await;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..90 {
        let answer = match Client::try_tls(site.tls, "split.through.test", &[]).await {
            Ok(mut client) => greeting(&mut client).await,
            Err(_) => "closed".to_owned(),
        };
        *counts.entry(answer).or_default() += 1;
    }
    let names: Vec<_> = counts.keys().map(String::as_str).collect();
    assert_eq!(names, ["closed", "secret-1", "secret-2"]);
    assert!(
        counts.values().all(|count| (12..=50).contains(count)),
        "{counts:?}"
    );
}

#[tokio::test]
async fn tls_ends_here_and_goes_on_plain_or_encrypted_anew() {
    let site = Site::start().await;
    let (name, shown) = site.greeting("plain.ends.test").await;
    assert_eq!(name, "plain");
    assert!(shown != site.first && shown != site.second);

    // No protocol is chosen, so that no client is refused for those it names.
    let mut client = Client::tls(site.tls, "plain.ends.test", &["strange"]).await;
    assert_eq!(client.alpn, None);
    assert_eq!(greeting(&mut client).await, "plain");
    let long = vec![b'y'; 300_000];
    let (mut read, mut write) = tokio::io::split(client.into_stream());
    let sent = long.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    tokio::time::timeout(PATIENCE, read.read_to_end(&mut heard))
        .await
        .unwrap()
        .unwrap();
    writing.await.unwrap();
    assert!(heard == long, "{} bytes of {}", heard.len(), long.len());

    // The same Service passed through and encrypted anew, by its policy.
    let (name, shown) = site.greeting("again.ends.test").await;
    assert_eq!(name, "secret-1");
    assert_ne!(shown, site.first);
    // Another key than the policy's authority: nothing is sent there.
    let mut client = Client::tls(site.tls, "stranger.ends.test", &[]).await;
    client.send("x").await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn https_and_ingresses_keep_their_names() {
    let site = Site::start().await;
    let mut client = Client::tls(site.tls, "web.through.test", &["http/1.1"]).await;
    assert_eq!(
        client.get("web.through.test", "/").await.json()["upstream"],
        "web"
    );
    // On the port of Ingresses a TLS listener for all names has all but theirs.
    let mut client = Client::tls(site.program.https, "ingress.test", &["http/1.1"]).await;
    assert_eq!(client.get("ingress.test", "/").await.json()["upstream"], "web");
    let mut client = Client::tls(site.program.https, "shared.test", &[]).await;
    assert_eq!(client.certificate.as_ref(), Some(&site.first));
    assert_eq!(greeting(&mut client).await, "secret-1");
    refused(site.program.https, "nobody.test").await;
}

#[tokio::test]
async fn tcp_goes_by_weight_and_follows_changes() {
    let site = Site::start().await;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..100 {
        let mut client = Client::connect(site.stream).await;
        *counts.entry(greeting(&mut client).await).or_default() += 1;
    }
    assert!((55..=92).contains(&counts["plain"]), "{counts:?}");
    assert_eq!(counts["plain"] + counts["other"], 100);

    let mut open = Client::connect(site.stream).await;
    let name = greeting(&mut open).await;
    let yaml = site
        .yaml
        .replace(
            "name: plain, port: 80, weight: 3",
            "name: plain, port: 80, weight: 0",
        )
        .replace(
            "name: other, port: 80, weight: 1",
            "name: gone, port: 80, weight: 1",
        );
    std::fs::write(site.program.folder().join("objects.yaml"), yaml).unwrap();
    let start = Instant::now();
    loop {
        let mut stream = TcpStream::connect(site.stream).await.unwrap();
        if stream.read(&mut [0]).await.unwrap_or_default() == 0 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the route stays");
    }
    // What is open stays so.
    open.send("still").await;
    assert_eq!(open.take(5).await, b"still", "{name}");
}

#[tokio::test]
async fn datagrams_have_as_many_answers_as_the_backend_sends() {
    let site = Site::start().await;
    let ask = |text: &'static str| async move {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(site.stream).await.unwrap();
        let mut answers = Vec::new();
        client.send(text.as_bytes()).await.unwrap();
        let mut buffer = [0; 2048];
        while answers.len() < 2 {
            let received = client.recv(&mut buffer);
            let Ok(Ok(length)) = tokio::time::timeout(Duration::from_secs(2), received).await else {
                break;
            };
            answers.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        answers
    };
    assert_eq!(ask("hello").await, ["dns hello 1", "dns hello 2"]);

    // A client that never pauses does not keep an endpoint that is the route's no
    // more.
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(site.stream).await.unwrap();
    let yaml = site.yaml.replace("name: dns, port: 53", "name: dns-2, port: 53");
    let start = Instant::now();
    let mut heard = std::collections::BTreeSet::new();
    let mut buffer = [0; 2048];
    while !heard.contains("dns-2") {
        client.send(b"x").await.unwrap();
        let received = tokio::time::timeout(Duration::from_millis(50), client.recv(&mut buffer)).await;
        if let Ok(Ok(length)) = received {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            heard.insert(text.split(' ').next().unwrap().to_owned());
            std::fs::write(site.program.folder().join("objects.yaml"), &yaml).unwrap();
        }
        assert!(start.elapsed() < PATIENCE, "{heard:?}");
    }
    assert!(heard.contains("dns"));
    // TCP on the same port number is another listener.
    assert!(TcpStream::connect(site.stream).await.is_ok());
}

#[tokio::test]
async fn explain_knows_what_carries_no_http() {
    let site = Site::start().await;
    let tls = site.tls.port();
    let stream = site.stream.port();
    for (url, parts) in [
        (
            format!("tls://x.a.through.test:{tls}"),
            [
                "pass on as it comes",
                "TLSRoute default/through",
                "default/secret-1:443",
            ],
        ),
        (
            format!("https://plain.ends.test:{tls}/"),
            [
                "end TLS and pass on",
                "TLSRoute default/plain",
                "default/plain:80 weight 1",
            ],
        ),
        (
            format!("https://none.through.test:{tls}/"),
            ["close", "Gateway default/edge", "no HTTP here"],
        ),
        (
            format!("https://web.through.test:{tls}/"),
            ["HTTPRoute default/web", "default/web:80", "policies"],
        ),
        (
            format!("tcp://any:{stream}"),
            ["TCPRoute default/tcp", "default/plain:80 weight 3", "127.0.0.1:"],
        ),
        (
            format!("udp://any:{stream}"),
            ["UDPRoute default/udp", "default/dns:53#Udp", "127.0.0.1:"],
        ),
        ("tcp://any:9".to_owned(), ["no listener", "serves", "port"]),
    ] {
        let path = format!("/explain?url={url}");
        let text = crate::support::client::get(site.program.admin, "admin", &path)
            .await
            .text();
        for part in parts {
            assert!(text.contains(part), "{url}: {part} in {text}");
        }
    }
}
