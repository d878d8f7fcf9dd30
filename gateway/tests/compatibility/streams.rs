//! `tcpudp/tcp.go`, `settings/ssl_passthrough.go`, what `settings/access_log.go`
//! and `annotations/disableaccesslog.go` have of streams, and what is not covered
//! there: UDP, PROXY protocol, ports that come and go.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::program::{certificate_secret, free_ports};
use crate::site::{HOST, Site, config_map, ingress, ingress_of, service};
use crate::support::client::Client;
use crate::support::{PATIENCE, eventually};

const FLAGS: [&str; 3] = [
    "--tcp-services-configmap=default/tcp",
    "--udp-services-configmap=default/udp",
    "--enable-ssl-passthrough",
];

async fn connected(port: u16) -> TcpStream {
    let start = std::time::Instant::now();
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            return stream;
        }
        assert!(start.elapsed() < PATIENCE, "port {port} stays closed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// HTTP passes a TCP port, which can be moved to another Service, and closed.
#[tokio::test]
async fn tcp_1_and_3_service() {
    let [port] = free_ports().map(|address| address.port());
    let site = Site::with(&["echo", "other"], "", &FLAGS).await;
    let map = |service: &str| config_map("tcp", &[(&port.to_string(), &format!("default/{service}:80"))]);
    site.write("tcp.yaml", &map("echo"));
    let answer = Client::over(connected(port).await).get("any", "/x").await;
    assert_eq!(answer.json()["upstream"], "echo");
    site.write("tcp.yaml", &map("other"));
    let start = std::time::Instant::now();
    while Client::over(connected(port).await).get("any", "/").await.json()["upstream"] != "other" {
        assert!(start.elapsed() < PATIENCE);
    }
    site.write("tcp.yaml", &config_map("tcp", &[]));
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        assert!(start.elapsed() < PATIENCE, "the port stays open");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// PROXY protocol is read where the third field says so, and sent on where the
/// fourth does.
#[tokio::test]
async fn proxy_protocol_4_in_and_out() {
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let [port] = free_ports().map(|address| address.port());
    let yaml = service("raw", &[backend.local_addr().unwrap().port()])
        + &config_map("tcp", &[(&port.to_string(), "default/raw:80:PROXY:PROXY")]);
    let _site = Site::with(&[], &yaml, &FLAGS).await;
    let mut client = connected(port).await;
    client
        .write_all(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 1234\r\nhello")
        .await
        .unwrap();
    let (mut stream, _) = backend.accept().await.unwrap();
    let mut read = vec![0; 53];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut read))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        String::from_utf8(read).unwrap(),
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 1234\r\nhello"
    );
}

/// A datagram reaches its Service, and the answer comes back.
#[tokio::test]
async fn udp_service() {
    let backend = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let backend_port = backend.local_addr().unwrap().port();
    let [port] = free_ports().map(|address| address.port());
    let yaml = service("dns", &[backend_port])
        .replace("port: 80}", "port: 80, protocol: UDP}")
        .replace(
            &format!("port: {backend_port}}}"),
            &format!("port: {backend_port}, protocol: UDP}}"),
        )
        + &config_map("udp", &[(&port.to_string(), "default/dns:80")]);
    let _site = Site::with(&[], &yaml, &FLAGS).await;
    let answering = tokio::spawn(async move {
        let mut buffer = [0; 100];
        loop {
            let (length, from) = backend.recv_from(&mut buffer).await.unwrap();
            buffer[..length].reverse();
            backend.send_to(&buffer[..length], from).await.unwrap();
        }
    });
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(("127.0.0.1", port)).await.unwrap();
    let mut buffer = [0; 100];
    for text in [&b"abc"[..], b"defg"] {
        let start = std::time::Instant::now();
        let length = loop {
            // The port may not be bound yet: the system then refuses.
            let _ = client.send(text).await;
            let wait = std::time::Duration::from_millis(100);
            match tokio::time::timeout(wait, client.recv(&mut buffer)).await {
                Ok(Ok(length)) => break length,
                _ => assert!(start.elapsed() < PATIENCE),
            }
        };
        let reversed: Vec<u8> = text.iter().rev().copied().collect();
        assert_eq!(&buffer[..length], reversed);
    }
    answering.abort();
}

/// The port that nginx would need for passing through changes nothing: unknown
/// hosts are 404, known ones are served.
#[tokio::test]
async fn ssl_passthrough_1_other_port() {
    let [other] = free_ports();
    let flags = [
        "--enable-ssl-passthrough".to_owned(),
        format!("--ssl-passthrough-proxy-port={}", other.port()),
    ];
    let site = Site::with(
        &["echo"],
        &ingress("web", &[]),
        &flags.each_ref().map(|flag| &**flag),
    )
    .await;
    for (host, status) in [("nobody", 404), (HOST, 200)] {
        assert_eq!(site.ask_host(host, "/").await.status, status, "{host}");
        let mut tls = site.tls(host).await;
        assert_eq!(tls.get(host, "/").await.status, status, "{host} over TLS");
    }
    assert!(TcpStream::connect(other).await.is_err());
}

/// A host with `ssl-passthrough` shows the backend's own certificate; other
/// hosts are terminated here, and their Services see the real client.
#[tokio::test]
async fn ssl_passthrough_2() {
    let made = rcgen::generate_simple_self_signed(["own.example".to_owned()]).unwrap();
    let own = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.clone()], key)
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = backend.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = backend.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut buffer = [0; 1024];
                stream.read_exact(&mut buffer[..1]).await.ok()?;
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown")
                    .await
                    .ok()
            });
        }
    });
    let yaml = ingress_of(
        "through",
        "own.example",
        &[("ssl-passthrough", "true")],
        &[("/", "Prefix", "raw")],
    ) + &service("raw", &[port])
        + &ingress("here", &[]).replace(
            "spec:\n",
            &format!("spec:\n  tls: [{{hosts: [{HOST}], secretName: here}}]\n"),
        )
        + &certificate_secret("here", &[HOST]);
    let site = Site::with(&["echo"], &yaml, &FLAGS).await;
    let mut through = site.tls("own.example").await;
    assert_eq!(through.certificate.as_ref(), Some(&own));
    assert_eq!(through.get("own.example", "/").await.text(), "own");
    let mut here = site.tls(HOST).await;
    assert_ne!(here.certificate.as_ref(), Some(&own));
    assert_eq!(here.get(HOST, "/").await.status, 200);
    assert_eq!(site.echo("echo").last().header("x-real-ip"), Some("127.0.0.1"));
    let answer = site.tls("nobody.example").await.get("nobody.example", "/").await;
    assert_eq!(answer.status, 404);
}

/// Lines of streams go to a file of their own, or to that of requests; a key
/// switches them off, and requests' lines stay.
#[tokio::test]
async fn access_log_2_4_and_disableaccesslog_3() {
    let folder = tempfile::tempdir().unwrap();
    let [both, own] = ["both", "own"].map(|name| folder.path().join(name));
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let [port] = free_ports().map(|address| address.port());
    let keys = |more: (&str, &str)| {
        let log = [
            ("access-log-path", both.to_str().unwrap()),
            ("log-format-upstream", "$request_uri $status"),
            (
                "log-format-stream",
                "$protocol $status [$proxy_upstream_name] $bytes_received",
            ),
            more,
        ];
        config_map("config", &log)
    };
    let ports = config_map("tcp", &[(&port.to_string(), "default/echo:80")]);
    let flags = [&FLAGS[..], &["--configmap=default/config"]].concat();
    let site = Site::with(&["echo"], &(ingress("web", &[]) + &ports), &flags).await;
    let say = async || {
        let request = "GET / HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n";
        let answer = Client::over(connected(port).await).request(request).await;
        assert_eq!((answer.status, request.len()), (200, 48));
    };
    let line = "TCP 200 [tcp-default-echo-80] 48\n";

    site.write(
        "config.yaml",
        &keys(("stream-access-log-path", own.to_str().unwrap())),
    );
    eventually("the files", || own.exists() && both.exists()).await;
    say().await;
    eventually("a line", || text(&own) == line).await;
    assert_eq!(site.get("/one").await.status, 200);
    eventually("a line", || text(&both) == "/one 200\n").await;

    site.write("config.yaml", &keys(("stream-access-log-path", "")));
    let start = std::time::Instant::now();
    while !text(&both).contains(line) {
        assert!(start.elapsed() < PATIENCE, "{}", text(&both));
        say().await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    site.write("config.yaml", &keys(("disable-stream-access-log", "true")));
    loop {
        let before = text(&both);
        say().await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        if text(&both) == before {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{}", text(&both));
    }
    assert_eq!(site.get("/two").await.status, 200);
    eventually("a line", || text(&both).ends_with("/two 200\n")).await;
}

/// Requests and streams to files of their own, each named by its key.
#[tokio::test]
async fn access_log_5_separate() {
    let folder = tempfile::tempdir().unwrap();
    let [http, stream] = ["http", "stream"].map(|name| folder.path().join(name));
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let [port] = free_ports().map(|address| address.port());
    let keys = [
        ("http-access-log-path", http.to_str().unwrap()),
        ("stream-access-log-path", stream.to_str().unwrap()),
        ("log-format-upstream", "$request_uri $status"),
        ("log-format-stream", "$protocol $status"),
    ];
    let yaml = ingress("web", &[])
        + &config_map("tcp", &[(&port.to_string(), "default/echo:80")])
        + &config_map("config", &keys);
    let flags = [&FLAGS[..], &["--configmap=default/config"]].concat();
    let site = Site::with(&["echo"], &yaml, &flags).await;
    assert_eq!(site.get("/one").await.status, 200);
    let request = "GET / HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n";
    let answer = Client::over(connected(port).await).request(request).await;
    assert_eq!(answer.status, 200);
    eventually("both lines", || {
        text(&http) == "/one 200\n" && text(&stream) == "TCP 200\n"
    })
    .await;
}

/// `proxy-stream-timeout`: a session on which nothing is said ends.
#[tokio::test]
async fn proxy_stream_timeout() {
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let [port] = free_ports().map(|address| address.port());
    let yaml = service("raw", &[backend.local_addr().unwrap().port()])
        + &config_map("tcp", &[(&port.to_string(), "default/raw:80")])
        + &config_map("config", &[("proxy-stream-timeout", "1s")]);
    let flags = [&FLAGS[..], &["--configmap=default/config"]].concat();
    let _site = Site::with(&[], &yaml, &flags).await;
    let mut client = connected(port).await;
    client.write_all(b"hello").await.unwrap();
    let (mut stream, _) = backend.accept().await.unwrap();
    stream.read_exact(&mut [0; 5]).await.unwrap();
    let start = std::time::Instant::now();
    let read = tokio::time::timeout(PATIENCE, client.read(&mut [0; 1])).await;
    assert!(matches!(read.expect("an end in time"), Ok(0) | Err(_)));
    let took = start.elapsed().as_millis();
    assert!((700..5000).contains(&took), "{took} ms");
}

/// `proxy-stream-next-upstream` and `-tries`: an endpoint that refuses is passed
/// over, unless there are no tries left.
#[tokio::test]
async fn proxy_stream_next_upstream() {
    for (keys, all) in [
        (&[][..], true),
        (&[("proxy-stream-next-upstream", "false")], false),
        (&[("proxy-stream-next-upstream-tries", "1")], false),
    ] {
        let [port, gone] = free_ports().map(|address| address.port());
        let echo = crate::support::upstream::Echo::start("echo").await;
        let yaml = service("web", &[echo.address.port(), gone])
            + &config_map("tcp", &[(&port.to_string(), "default/web:80")])
            + &config_map("config", keys);
        let flags = [&FLAGS[..], &["--configmap=default/config"]].concat();
        let _site = Site::with(&[], &yaml, &flags).await;
        // Few: an endpoint that goes on failing is left out.
        let mut answered = 0;
        for _ in 0..4 {
            let mut stream = connected(port).await;
            let request = b"GET / HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n";
            let mut answer = [0; 12];
            let _ = stream.write_all(request).await;
            let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await;
            answered += usize::from(read.expect("an answer or an end").is_ok() && answer == *b"HTTP/1.1 200");
        }
        assert_eq!(answered == 4, all, "{keys:?}: {answered} of 4");
    }
}

/// `proxy-stream-responses`: so many datagrams come back for one, then the session
/// is over.
#[tokio::test]
async fn proxy_stream_responses() {
    let backend = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let backend_port = backend.local_addr().unwrap().port();
    let [port] = free_ports().map(|address| address.port());
    let yaml = service("twice", &[backend_port])
        .replace("port: 80}", "port: 80, protocol: UDP}")
        .replace(
            &format!("port: {backend_port}}}"),
            &format!("port: {backend_port}, protocol: UDP}}"),
        )
        + &config_map("udp", &[(&port.to_string(), "default/twice:80")])
        + &config_map("config", &[("proxy-stream-responses", "2")]);
    let flags = [&FLAGS[..], &["--configmap=default/config"]].concat();
    let _site = Site::with(&[], &yaml, &flags).await;
    let answering = tokio::spawn(async move {
        let mut buffer = [0; 100];
        loop {
            let (_, from) = backend.recv_from(&mut buffer).await.unwrap();
            for text in [b"one", b"two", b"six"] {
                backend.send_to(text, from).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    });
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(("127.0.0.1", port)).await.unwrap();
    let start = std::time::Instant::now();
    let mut buffer = [0; 100];
    let wait = std::time::Duration::from_millis(500);
    let first = loop {
        // The port may not be bound yet: the system then refuses.
        let _ = client.send(b"question").await;
        match tokio::time::timeout(wait, client.recv(&mut buffer)).await {
            Ok(Ok(length)) => break buffer[..length].to_vec(),
            _ => assert!(start.elapsed() < PATIENCE),
        }
    };
    let mut all = vec![first];
    while let Ok(Ok(length)) = tokio::time::timeout(wait, client.recv(&mut buffer)).await {
        all.push(buffer[..length].to_vec());
    }
    assert_eq!(all, [b"one", b"two"]);
    answering.abort();
}
