//! Lines of TCP and UDP services and of TLS that passes through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_gateway::listener::Drain;
use tidegate_gateway::observe::access_log::{AccessLog, Format};
use tidegate_snapshot::access_log::{Escape, LogFormat, LogOutput, StreamLog};
use tidegate_snapshot::{HttpSettings, ListenerProtocol, ProxyProtocol, RealIp, StreamRoute};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::harness::Gateway;
use crate::support::client::Client;
use crate::support::snapshot::{Builder, route, stream};
use crate::support::upstream::Echo;
use crate::support::{PATIENCE, eventually};

/// A file of lines in a format of the test's own.
struct Lines(tempfile::NamedTempFile);

impl Lines {
    fn new() -> Self {
        Self(tempfile::NamedTempFile::new().unwrap())
    }

    fn log(&self, format: &str) -> AccessLog {
        let (format, unknown) = LogFormat::parse(format, Escape::Default).unwrap();
        assert_eq!(unknown, Vec::<String>::new());
        let log = AccessLog::off();
        log.configure(&tidegate_snapshot::AccessLog {
            streams: StreamLog {
                format: Some(format),
                output: Some(LogOutput::File(self.0.path().to_owned())),
                ..StreamLog::default()
            },
            ..tidegate_snapshot::AccessLog::default()
        });
        log
    }

    /// What is there when there are so many.
    async fn take(&self, count: usize) -> Vec<String> {
        let text = || std::fs::read_to_string(self.0.path()).unwrap();
        eventually("lines", || text().lines().count() >= count).await;
        let lines: Vec<_> = text().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }
}

/// Greets, then repeats what it hears.
async fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(b"hi").await;
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn tcp(endpoints: &[SocketAddr]) -> Builder {
    Builder::new()
        .listener("tcp", ListenerProtocol::Tcp, |_| {})
        .cluster("tcp-default-db-5432", endpoints)
        .stream("", Some(stream("tcp-default-db-5432")))
}

/// Says so much, hears so much back, and ends. Its own address.
async fn talk(address: SocketAddr, say: &[u8], hear: usize) -> SocketAddr {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(say).await.unwrap();
    let mut heard = vec![0; hear];
    client.read_exact(&mut heard).await.unwrap();
    client.local_addr().unwrap()
}

#[tokio::test]
async fn a_connection_leaves_ingress_nginx_s_line() {
    let lines = Lines::new();
    let log = AccessLog::to_writer(Format::default(), lines.0.reopen().unwrap()).unwrap();
    let gateway = Gateway::with_log(&tcp(&[backend().await]), log);
    talk(gateway.address("tcp"), b"hello", 7).await;
    let line = lines.take(1).await.remove(0);
    let (client, rest) = line.split_once("] [").unwrap();
    let (time, rest) = rest.split_once("] ").unwrap();
    assert_eq!(client, "[127.0.0.1");
    assert!(time.ends_with(" +0000"), "{line}");
    let words: Vec<_> = rest.split(' ').collect();
    assert_eq!(words[..4], ["TCP", "200", "7", "5"], "{line}");
    let seconds: f64 = words[4].parse().unwrap();
    assert!(seconds < PATIENCE.as_secs_f64(), "{line}");
}

/// A try that fails and one that does not, in an order that is not known.
#[tokio::test]
async fn variables_of_endpoints() {
    let lines = Lines::new();
    let (bad, good) = (nobody().await, backend().await);
    let log = lines.log(
        "$protocol $status $remote_port $server_port [$proxy_upstream_name] $upstream_addr|\
         $upstream_bytes_sent|$upstream_bytes_received|$upstream_connect_time|$upstream_first_byte_time",
    );
    let gateway = Gateway::with_log(&tcp(&[bad, good]), log);
    let address = gateway.address("tcp");
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(talk(address, b"hello", 7).await);
    }
    let mut tries = Vec::new();
    for (line, client) in lines.take(2).await.iter().zip(clients) {
        let parts: Vec<_> = line.split('|').collect();
        let (head, endpoints) = parts[0].split_once("] ").unwrap();
        let wanted = format!(
            "TCP 200 {} {} [tcp-default-db-5432",
            client.port(),
            address.port()
        );
        assert_eq!(head, wanted);
        tries.push(endpoints.to_owned());
        let first_failed = endpoints.contains(',');
        let numbers = if first_failed {
            ("0, 5", "0, 7")
        } else {
            ("5", "7")
        };
        assert_eq!((parts[1], parts[2]), numbers, "{line}");
        for time in &parts[3..] {
            let last = if first_failed {
                time.strip_prefix("-, ").unwrap()
            } else {
                time
            };
            last.parse::<f64>().unwrap();
        }
    }
    let both = format!("{bad}, {good}");
    assert!(tries.contains(&both), "{tries:?}");
}

/// No endpoint at all, one that cannot be reached, and no cluster.
#[tokio::test]
async fn nobody_to_talk_to_is_502() {
    let nobody = nobody().await;
    // A single one is tried again.
    let tries = format!("{nobody}, {nobody}, {nobody}");
    for (endpoints, upstream) in [(vec![], "-"), (vec![nobody], tries.as_str())] {
        let lines = Lines::new();
        let log = lines.log("$status $bytes_sent $bytes_received $proxy_upstream_name $upstream_addr");
        let gateway = Gateway::with_log(&tcp(&endpoints), log);
        Client::connect(gateway.address("tcp")).await.rest().await;
        let wanted = format!("502 0 0 tcp-default-db-5432 {upstream}");
        assert_eq!(lines.take(1).await, [wanted]);
    }
    let lines = Lines::new();
    let builder = Builder::new().listener("tcp", ListenerProtocol::Tcp, |_| {});
    let gateway = Gateway::with_log(&builder, lines.log("$status $proxy_upstream_name"));
    Client::connect(gateway.address("tcp")).await.rest().await;
    assert_eq!(lines.take(1).await, ["502 -"]);
}

fn proxied(endpoints: &[SocketAddr], trusted: &str, real_ip: bool) -> Builder {
    let mut route = stream("db");
    route.send_proxy_protocol = true;
    Builder::new()
        .listener("tcp", ListenerProtocol::Tcp, |listener| {
            listener.proxy_protocol = Some(ProxyProtocol {
                trusted: vec![trusted.parse().unwrap()],
                optional: Vec::new(),
                header_timeout: Duration::from_millis(300),
            });
            listener.http = Arc::new(HttpSettings {
                real_ip: RealIp {
                    enable_real_ip: real_ip,
                    trusted: vec![trusted.parse().unwrap()],
                    ..RealIp::default()
                },
                ..HttpSettings::default()
            });
        })
        .cluster("db", endpoints)
        .stream("", Some(route))
}

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n";

/// `$remote_addr` is the peer's, unless `enable-real-ip` says otherwise; bytes of
/// PROXY headers count only on the way to the endpoint.
#[tokio::test]
async fn proxy_headers_name_the_client() {
    let endpoint = backend().await;
    for (real_ip, remote) in [(false, "127.0.0.1"), (true, "192.0.2.1")] {
        let lines = Lines::new();
        let log = lines.log(
            "$remote_addr $realip_remote_addr $server_addr $proxy_protocol_addr $proxy_protocol_port \
             $proxy_protocol_server_addr $proxy_protocol_server_port $status $bytes_received $bytes_sent \
             $upstream_bytes_sent",
        );
        let gateway = Gateway::with_log(&proxied(&[endpoint], "127.0.0.0/8", real_ip), log);
        let length = HEADER.len();
        talk(gateway.address("tcp"), &[HEADER, b"hello"].concat(), length + 7).await;
        let wanted = format!(
            "{remote} 127.0.0.1 127.0.0.1 192.0.2.1 4000 192.0.2.2 443 200 5 {} {}",
            length + 7,
            length + 5
        );
        assert_eq!(lines.take(1).await, [wanted]);
    }
}

/// No header is 400, one of somebody who may not send it 403, and one that never
/// comes 200, as in nginx.
#[tokio::test]
async fn bad_proxy_headers_have_their_statuses() {
    let lines = Lines::new();
    let builder = proxied(&[], "127.0.0.0/8", false);
    let gateway = Gateway::with_log(
        &builder,
        lines.log("$status $bytes_received $proxy_upstream_name"),
    );
    for said in [&b"hello, hello"[..], b"PROXY TCP4 x\r\n", b""] {
        let mut client = TcpStream::connect(gateway.address("tcp")).await.unwrap();
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let _ = client.read_to_end(&mut Vec::new()).await;
    }
    let silent = Client::connect(gateway.address("tcp")).await.rest().await;
    assert!(silent.is_empty());
    assert_eq!(lines.take(4).await, ["400 0 -", "400 0 -", "400 0 -", "200 0 -"]);

    let lines = Lines::new();
    let gateway = Gateway::with_log(&proxied(&[], "192.0.2.0/24", false), lines.log("$status"));
    Client::connect(gateway.address("tcp")).await.rest().await;
    assert_eq!(lines.take(1).await, ["403"]);
}

/// What is cut off at the end of a drain has its line, with all its bytes, before
/// the drain is over.
#[tokio::test]
async fn what_is_cut_off_is_logged() {
    let lines = Lines::new();
    let log = lines.log("$status $bytes_sent $bytes_received");
    let gateway = Gateway::with_log(&tcp(&[backend().await]), log);
    let mut client = Client::connect(gateway.address("tcp")).await;
    client.send("hello").await;
    client.take(7).await;
    let drain = Drain {
        delay: Duration::ZERO,
        idle: Duration::ZERO,
        grace: Duration::from_millis(50),
    };
    assert_eq!(gateway.listeners.drain(drain).await, 1);
    assert_eq!(lines.take(1).await, ["200 7 5"]);
}

fn udp(endpoints: &[SocketAddr], change: impl FnOnce(&mut StreamRoute)) -> Builder {
    let mut route = stream("udp-default-dns-53");
    change(&mut route);
    Builder::new()
        .listener("udp", ListenerProtocol::Udp, |_| {})
        .cluster("udp-default-dns-53", endpoints)
        .stream("", Some(route))
}

/// Answers each datagram with two, and keeps silent about `quiet`.
async fn datagram_backend() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if &buffer[..length] != b"quiet" {
                for answer in ["one", "two!"] {
                    socket.send_to(answer.as_bytes(), from).await.unwrap();
                }
            }
        }
    });
    address
}

async fn datagram(gateway: &Gateway, text: &str) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(gateway.address("udp")).await.unwrap();
    client.send(text.as_bytes()).await.unwrap();
    client
}

const DATAGRAMS: &str =
    "$protocol $status $remote_port $bytes_received $bytes_sent [$proxy_upstream_name] $upstream_addr";

/// With the last answer that is due, a session is over.
#[tokio::test]
async fn a_session_of_datagrams_leaves_a_line() {
    let lines = Lines::new();
    let endpoint = datagram_backend().await;
    let builder = udp(&[endpoint], |route| route.responses = Some(2));
    let gateway = Gateway::with_log(&builder, lines.log(DATAGRAMS));
    let client = datagram(&gateway, "abcde").await;
    let port = client.local_addr().unwrap().port();
    let wanted = format!("UDP 200 {port} 5 7 [udp-default-dns-53] {endpoint}");
    assert_eq!(lines.take(1).await, [wanted]);
}

/// Silence is an end in order where no answer is due.
#[tokio::test]
async fn silence_ends_sessions_of_datagrams() {
    let endpoint = datagram_backend().await;
    for (responses, status) in [(Some(1), 502), (None, 200)] {
        let lines = Lines::new();
        let builder = udp(&[endpoint], |route| {
            route.responses = responses;
            route.idle_timeout = Duration::from_millis(100);
        });
        let gateway = Gateway::with_log(&builder, lines.log(DATAGRAMS));
        let client = datagram(&gateway, "quiet").await;
        let port = client.local_addr().unwrap().port();
        let wanted = format!("UDP {status} {port} 5 0 [udp-default-dns-53] {endpoint}");
        assert_eq!(lines.take(1).await, [wanted]);
    }
}

/// A datagram for nobody is a session of its own; so is one that is refused.
#[tokio::test]
async fn datagrams_for_nobody_are_502() {
    let nobody = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for (endpoints, upstream) in [(vec![], "-".to_owned()), (vec![nobody], format!("{nobody}"))] {
        let lines = Lines::new();
        let gateway = Gateway::with_log(&udp(&endpoints, |_| {}), lines.log(DATAGRAMS));
        let client = datagram(&gateway, "abc").await;
        let port = client.local_addr().unwrap().port();
        let wanted = format!("UDP 502 {port} 3 0 [udp-default-dns-53] {upstream}");
        assert_eq!(lines.take(1).await, [wanted]);
    }
}

/// Sessions that are open when the port is closed have their lines before the
/// drain is over.
#[tokio::test]
async fn sessions_end_with_their_port() {
    let lines = Lines::new();
    let endpoint = datagram_backend().await;
    let builder = udp(&[endpoint], |route| route.responses = None);
    let gateway = Gateway::with_log(&builder, lines.log("$status $bytes_received $bytes_sent"));
    let client = datagram(&gateway, "abcde").await;
    let mut buffer = [0; 10];
    for _ in 0..2 {
        client.recv(&mut buffer).await.unwrap();
    }
    let drain = Drain {
        delay: Duration::ZERO,
        idle: Duration::ZERO,
        grace: PATIENCE,
    };
    assert_eq!(gateway.listeners.drain(drain).await, 0);
    assert_eq!(lines.take(1).await, ["200 5 7"]);
}

/// TLS that passes through, or ends for a stream, is logged by its server name;
/// TLS for HTTP on the same port is not.
#[tokio::test]
async fn tls_is_logged_where_nothing_looks_into_it() {
    let lines = Lines::new();
    let (echo, through) = (Echo::start("one").await, backend().await);
    let mut ends = stream("through");
    ends.terminate = true;
    let builder = Builder::new()
        .https("https")
        .certificate("")
        .cluster("web", &[echo.address])
        .cluster("through", &[through])
        .host("foo.bar", [route("/", "web")])
        .stream("through.test", Some(stream("through")))
        .stream("ends.test", Some(ends));
    let log = lines.log("$protocol $status $ssl_preread_server_name [$proxy_upstream_name] $bytes_received");
    let gateway = Gateway::with_log(&builder, log);
    let address = gateway.address("https");
    let mut web = Client::tls(address, "foo.bar", &[]).await;
    assert_eq!(web.get("foo.bar", "/").await.status, 200);
    drop(web);
    // The backend speaks no TLS.
    assert!(Client::try_tls(address, "through.test", &[]).await.is_err());
    let line = lines.take(1).await.remove(0);
    let (head, bytes) = line.rsplit_once(' ').unwrap();
    assert_eq!(head, "TCP 200 through.test [through]");
    assert!(bytes.parse::<u64>().unwrap() > 100, "the ClientHello: {line}");
    let mut client = Client::tls(address, "ends.test", &[]).await;
    client.send("hello").await;
    client.take(7).await;
    drop(client);
    assert_eq!(lines.take(2).await[1], "TCP 200 ends.test [through] 5");
}

#[tokio::test]
async fn without_a_log_there_is_no_line() {
    let lines = Lines::new();
    let file = || Some(LogOutput::File(lines.0.path().to_owned()));
    let log = AccessLog::off();
    log.configure(&tidegate_snapshot::AccessLog {
        format: Some(LogFormat::parse("$request", Escape::Default).unwrap().0),
        output: file(),
        streams: StreamLog {
            off: true,
            format: Some(LogFormat::parse("$status", Escape::Default).unwrap().0),
            output: file(),
        },
        ..tidegate_snapshot::AccessLog::default()
    });
    let echo = Echo::start("one").await;
    let builder = tcp(&[backend().await])
        .http("http")
        .cluster("web", &[echo.address])
        .host("foo.bar", [route("/", "web")]);
    let gateway = Gateway::with_log(&builder, log);
    talk(gateway.address("tcp"), b"hello", 7).await;
    let counted = &gateway.counters.stream_bytes.sent;
    eventually("the end", || {
        counted.load(std::sync::atomic::Ordering::Relaxed) == 7
    })
    .await;
    // Written in order: a line of the connection's would be in front of this one.
    let mut client = Client::connect(gateway.address("http")).await;
    assert_eq!(client.get("foo.bar", "/").await.status, 200);
    assert_eq!(lines.take(1).await, ["GET / HTTP/1.1"]);
}
