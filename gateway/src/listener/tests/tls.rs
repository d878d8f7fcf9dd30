//! TLS: certificates by server name, protocols, refusals.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tidegate_snapshot::Certificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http::h2_get;
use super::support::*;
use crate::listener::Limits;
use crate::trust_all::client_config;

pub(super) async fn handshake(
    config: ClientConfig,
    tcp: TcpStream,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await
}

pub(super) async fn tls_over(tcp: TcpStream, name: &str, alpn: &[&str]) -> io::Result<TlsStream<TcpStream>> {
    handshake(client_config(rustls::ALL_VERSIONS, alpn), tcp, name).await
}

fn shows(stream: &TlsStream<TcpStream>, certificate: &Certificate) -> bool {
    stream.get_ref().1.peer_certificates().unwrap()[0] == certificate.chain[0]
}

#[tokio::test]
async fn the_server_name_chooses_the_certificate() {
    let gateway = gateway(Limits::default());
    let (exact, wildcard, default) = (certificate(&["x"]), certificate(&["w"]), certificate(&["d"]));
    let table = table(
        &[("a.test.example", &exact), ("*.test.example", &wildcard)],
        Some(&default),
    );
    let address = gateway.serve(&https(), &table);
    for (name, expected) in [
        ("a.test.example", &exact),
        ("A.Test.Example", &exact),
        ("b.test.example", &wildcard),
        ("c.b.test.example", &default),
        ("test.example", &default),
        ("else.where", &default),
        // Sent without a server name.
        ("127.0.0.1", &default),
    ] {
        let mut stream = tls_over(connect(address).await, name, &[]).await.unwrap();
        assert!(shows(&stream, expected), "{name}");
        let answer = ask(&mut stream, GET).await;
        let sni = if name == "127.0.0.1" {
            "-"
        } else {
            &name.to_lowercase()
        };
        assert_eq!(fact(&answer, "sni"), sni);
    }
}

#[tokio::test]
async fn a_name_without_certificate_is_refused_with_its_alert() {
    let gateway = gateway(Limits::default());
    let exact = certificate(&["x"]);
    let address = gateway.serve(&https(), &table(&[("a.test", &exact)], None));
    for name in ["b.test", "127.0.0.1"] {
        let error = tls_over(connect(address).await, name, &[]).await.unwrap_err();
        assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    }
    assert_eq!(
        gateway
            .counters
            .handshake_failures
            .no_certificate
            .load(Ordering::Relaxed),
        2
    );
    assert!(tls_over(connect(address).await, "a.test", &[]).await.is_ok());
}

#[tokio::test]
async fn versions_and_suites_have_nginx_names() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let address = gateway.serve(&https(), &table(&[], Some(&default)));
    for (version, name, cipher) in [
        (&rustls::version::TLS13, "TLSv1.3", "TLS_AES_"),
        (&rustls::version::TLS12, "TLSv1.2", "ECDHE-ECDSA-AES"),
    ] {
        let config = client_config(&[version], &[]);
        let mut stream = handshake(config, connect(address).await, "a.test").await.unwrap();
        let answer = ask(&mut stream, GET).await;
        assert_eq!(fact(&answer, "protocol"), name);
        assert!(fact(&answer, "cipher").starts_with(cipher), "{answer}");
    }
    let handshakes = &gateway.counters.handshakes;
    let samples: Vec<_> = handshakes.samples().filter(|(_, count)| *count > 0).collect();
    assert_eq!(samples, [("TLSv1.2", 1), ("TLSv1.3", 1)]);
}

#[tokio::test]
async fn sessions_are_resumed_across_tables() {
    let gateway = gateway(Limits::default());
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = client_config(&[version], &[]);
        for resumed in [false, true] {
            let default = certificate(&["d"]);
            let address = gateway.serve(&https(), &table(&[], Some(&default)));
            let mut stream = handshake(config.clone(), connect(address).await, "a.test")
                .await
                .unwrap();
            ask(&mut stream, GET).await;
            let kind = stream.get_ref().1.handshake_kind();
            assert_eq!(
                kind == Some(rustls::HandshakeKind::Resumed),
                resumed,
                "{version:?}"
            );
        }
    }
    assert_eq!(
        gateway.counters.handshakes.tls13_resumed.load(Ordering::Relaxed),
        1
    );
    assert_eq!(
        gateway.counters.handshakes.tls12_resumed.load(Ordering::Relaxed),
        1
    );
}

#[tokio::test]
async fn http_2_by_alpn() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let address = gateway.serve(&https(), &table(&[], Some(&default)));
    let stream = tls_over(connect(address).await, "a.test", &["h2", "http/1.1"])
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let answer = h2_get(stream).await;
    assert_eq!(fact(&answer, "version"), "HTTP/2.0");
    assert_eq!(fact(&answer, "sni"), "a.test");
    let mut stream = tls_over(connect(address).await, "a.test", &["http/1.1"])
        .await
        .unwrap();
    assert_eq!(fact(&ask(&mut stream, GET).await, "version"), "HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_swapped_during_traffic() {
    let gateway = gateway(Limits::default());
    let certificates = [certificate(&["one"]), certificate(&["two"])];
    let tables = [0, 1].map(|i| table(&[("a.test", &certificates[i])], None));
    let address = gateway.serve(&https(), &tables[0]);
    let mut kept = tls_over(connect(address).await, "a.test", &[]).await.unwrap();
    let traffic = tokio::spawn(async move {
        for _ in 0..100 {
            let mut stream = tls_over(connect(address).await, "a.test", &[]).await.unwrap();
            assert!(ask(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
        }
    });
    let mut swaps = 0;
    while !traffic.is_finished() {
        swaps += 1;
        gateway.serve(&https(), &tables[swaps % 2]);
        let stream = tls_over(connect(address).await, "a.test", &[]).await.unwrap();
        assert!(shows(&stream, &certificates[swaps % 2]), "the newest at once");
    }
    traffic.await.unwrap();
    assert!(swaps > 1);
    assert!(ask(&mut kept, GET).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn plain_http_gets_nginxs_page() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let address = gateway.serve(&https(), &table(&[], Some(&default)));
    let answer = exchange(address, GET).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("Connection: close\r\n"));
    let page =
        "<center>The plain HTTP request was sent to HTTPS port</center>\r\n<hr><center>nginx</center>\r\n";
    assert!(answer.contains(page), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    assert_eq!(
        gateway
            .counters
            .handshake_failures
            .plain_http
            .load(Ordering::Relaxed),
        1
    );
}

/// What nobody understands is told so, and counted.
#[tokio::test]
async fn failed_handshakes_end_in_an_alert() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let address = gateway.serve(&https(), &table(&[], Some(&default)));
    let error = tls_over(connect(address).await, "a.test", &["smtp"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    let mut stream = connect(address).await;
    stream
        .write_all(b"\x16\x03\x01\x00\x05garbage, not a ClientHello")
        .await
        .unwrap();
    rest(&mut stream).await;
    assert_eq!(
        gateway
            .counters
            .handshake_failures
            .protocol
            .load(Ordering::Relaxed),
        2
    );
    drop(connect(address).await);
    let closed = &gateway.counters.handshake_failures.closed;
    eventually("counted", || closed.load(Ordering::Relaxed) == 1).await;
}

/// Bodies of all sizes pass the write buffer unharmed.
#[tokio::test]
async fn many_requests_on_one_tls_connection() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let address = gateway.serve(&https(), &table(&[], Some(&default)));
    let mut stream = tls_over(connect(address).await, "a.test", &[]).await.unwrap();
    for _ in 0..50 {
        assert!(ask(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
    }
    stream.shutdown().await.unwrap();
    eventually("closed", || gateway.listeners.connections() == 0).await;
}

/// They are worth no packet of their own: nobody waits for them.
#[tokio::test]
async fn tickets_come_with_the_first_answer() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&https(), &table(&[], Some(&certificate(&["d"]))));
    let mut stream = tls_over(connect(address).await, "a.test", &[]).await.unwrap();
    let silence = stream.read_u8();
    let silence = tokio::time::timeout(Duration::from_millis(50), silence).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
    let _ = ask(&mut stream, GET).await;
    assert_eq!(stream.get_ref().1.tls13_tickets_received(), 2);
}
