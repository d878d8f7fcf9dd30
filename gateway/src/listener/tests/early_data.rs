//! Requests before the end of the handshake.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::ClientConfig;
use tidegate_snapshot::{RouteTable, TlsSettings};

use super::support::*;
use super::tls::tls_over;
use crate::early_data::{Client, config};
use crate::listener::Limits;
use crate::runtime::Table;
use crate::tls::Certificates;

fn early_table() -> Arc<Table> {
    let table = RouteTable {
        tls: Arc::new(TlsSettings {
            early_data: true,
            ..TlsSettings::default()
        }),
        ..route_table(&[], Some(&certificate(&["d"])))
    };
    Arc::new(Table {
        certificates: Certificates::compile(None, &table),
        ..Table::default()
    })
}

/// Runs what blocks beside the gateway.
async fn client<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    within(tokio::task::spawn_blocking(run)).await.unwrap()
}

/// A first connection, whose session the next ones resume.
fn first(config: &Arc<ClientConfig>, address: SocketAddr) {
    let mut client = Client::connect(config, address, "a.test");
    assert!(!client.send_early(GET), "no session yet");
    assert_eq!(fact(&client.ask(GET), "early"), "false");
}

#[tokio::test]
async fn a_request_is_answered_before_the_handshake_ends() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&https(), &early_table());
    client(move || {
        let config = config(&[]);
        first(&config, address);
        let mut client = Client::connect(&config, address, "a.test");
        assert!(client.send_early(GET));
        let answer = client.answer();
        assert_eq!(fact(&answer, "early"), "true");
        assert_eq!(fact(&answer, "protocol"), "TLSv1.3");
        assert!(client.session.is_early_data_accepted());
        let answer = client.ask("GET /bytes?300000 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.ends_with(&pattern(300_000)));
        assert_eq!(fact(&client.ask(GET), "early"), "false");
    })
    .await;
    let handshakes = &gateway.counters.handshakes;
    assert_eq!(handshakes.tls13_full.load(Ordering::Relaxed), 1);
    assert_eq!(handshakes.tls13_resumed.load(Ordering::Relaxed), 1);
}

/// A request of which a part is early, whatever its packets are.
#[tokio::test]
async fn early_data_may_end_anywhere() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&https(), &early_table());
    client(move || {
        let config = config(&[]);
        first(&config, address);
        for length in [0, 1, 10, GET.len() - 1, GET.len()] {
            let mut client = Client::connect(&config, address, "a.test");
            assert!(client.send_early(&GET[..length]));
            let answer = client.ask(&GET[length..]);
            assert!(answer.starts_with("HTTP/1.1 200"), "{length}: {answer}");
            assert_eq!(fact(&client.ask(GET), "early"), "false");
        }
    })
    .await;
}

/// RFC 8446 section 8.1: a session is taken once.
#[tokio::test]
async fn early_data_that_is_sent_again_is_not_read() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&https(), &early_table());
    let length = client(move || {
        let config = config(&[]);
        first(&config, address);
        let mut client = Client::connect(&config, address, "a.test");
        assert!(client.send_early(GET));
        client.answer();
        let mut replay = std::net::TcpStream::connect(address).unwrap();
        replay.write_all(&client.sent).unwrap();
        replay.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        replay.read_to_end(&mut answer).unwrap();
        answer.len()
    })
    .await;
    assert!(length > 0, "a handshake is answered, nothing else");
    assert_eq!(
        gateway.counters.handshakes.tls13_resumed.load(Ordering::Relaxed),
        1
    );
    let closed = &gateway.counters.handshake_failures.closed;
    eventually("counted", || closed.load(Ordering::Relaxed) == 1).await;
}

/// Others have their handshakes as ever.
#[tokio::test]
async fn listeners_that_take_early_data_serve_everybody() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&https(), &early_table());
    let stream = tls_over(connect(address).await, "a.test", &["h2", "http/1.1"])
        .await
        .unwrap();
    let answer = super::http::h2_get(stream).await;
    assert_eq!(fact(&answer, "version"), "HTTP/2.0");
    let config = crate::trust_all::client_config(&[&rustls::version::TLS12], &[]);
    let mut stream = super::tls::handshake(config, connect(address).await, "a.test")
        .await
        .unwrap();
    assert_eq!(fact(&ask(&mut stream, GET).await, "protocol"), "TLSv1.2");
    let error = tls_over(connect(address).await, "a.test", &["smtp"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    exchange(address, b"\x16\x03\x01\x00\x05garbage, not a ClientHello").await;
    let protocol = &gateway.counters.handshake_failures.protocol;
    eventually("counted", || protocol.load(Ordering::Relaxed) == 2).await;
}

/// Without the setting a client is not invited.
#[tokio::test]
async fn nobody_is_invited_unless_it_is_wanted() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let address = gateway.serve(&https(), &table(&[], Some(&default)));
    client(move || {
        let config = config(&[]);
        first(&config, address);
        assert!(!Client::connect(&config, address, "a.test").send_early(GET));
    })
    .await;
}
