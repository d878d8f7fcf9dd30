//! PROXY protocol on real connections.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate_snapshot::{Listener, ProxyProtocol};
use tokio::io::AsyncWriteExt;

use super::support::*;
use super::tls::tls_over;
use crate::listener::Limits;

const V1: &str = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";

fn proxied(spec: Listener, trusted: &str, optional: &[&str]) -> Listener {
    Listener {
        proxy_protocol: Some(ProxyProtocol {
            trusted: vec![trusted.parse().unwrap()],
            optional: optional.iter().map(|net| net.parse().unwrap()).collect(),
            header_timeout: ProxyProtocol::HEADER_TIMEOUT,
        }),
        ..spec
    }
}

fn v2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend([192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb]);
    header
}

fn assert_announced(answer: &str) {
    assert_eq!(fact(answer, "client"), "192.0.2.1:56324");
    assert_eq!(fact(answer, "seen"), "Some(\"192.0.2.1:56324\")");
    assert_eq!(fact(answer, "local"), "198.51.100.7:443");
    assert_eq!(fact(answer, "proxied"), "true");
    assert!(fact(answer, "peer").starts_with("127.0.0.1:"));
}

#[tokio::test]
async fn headers_are_read_before_http() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&proxied(http(), "127.0.0.0/8", &[]), &table(&[], None));
    for header in [V1.as_bytes().to_vec(), v2()] {
        let whole = [&header, GET.as_bytes()].concat();
        assert_announced(&ask(&mut connect(address).await, &whole).await);
        let mut stream = connect(address).await;
        for byte in &header {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        assert_announced(&ask(&mut stream, GET).await);
    }
    let local = [b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", GET.as_bytes()].concat();
    let answer = ask(&mut connect(address).await, &local).await;
    assert_eq!(fact(&answer, "proxied"), "false", "LOCAL");
}

#[tokio::test]
async fn headers_are_read_before_tls() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["a.test"]);
    let address = gateway.serve(
        &proxied(https(), "127.0.0.1/32", &[]),
        &table(&[], Some(&default)),
    );
    for header in [V1.as_bytes().to_vec(), v2()] {
        let mut tcp = connect(address).await;
        tcp.write_all(&header).await.unwrap();
        let mut stream = tls_over(tcp, "a.test", &[]).await.unwrap();
        let answer = ask(&mut stream, GET).await;
        assert_announced(&answer);
        assert_eq!(fact(&answer, "sni"), "a.test");
    }
}

#[tokio::test]
async fn strict_refuses_untrusted_peers_and_missing_headers() {
    let gateway = gateway(Limits::default());
    let table = table(&[], None);
    let errors = &gateway.counters.proxy_protocol_errors;
    let address = gateway.serve(&proxied(http(), "192.0.2.0/24", &[]), &table);
    assert_eq!(exchange(address, format!("{V1}{GET}")).await, "");
    assert_eq!(exchange(address, GET).await, "");
    assert_eq!(errors.untrusted.load(Ordering::Relaxed), 2);
    assert_eq!(
        gateway.serve(&proxied(http(), "127.0.0.1/32", &[]), &table),
        address
    );
    assert_eq!(exchange(address, GET).await, "");
    assert_eq!(errors.missing.load(Ordering::Relaxed), 1);
    assert_eq!(exchange(address, format!("PROXY TCP4 x\r\n{GET}")).await, "");
    assert_eq!(errors.invalid.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn optional_takes_connections_as_they_are() {
    let gateway = gateway(Limits::default());
    let table = table(&[], None);
    let address = gateway.serve(&proxied(http(), "127.0.0.1/32", &["127.0.0.0/8"]), &table);
    let answer = ask(&mut connect(address).await, GET).await;
    assert_eq!(fact(&answer, "proxied"), "false");
    let answer = ask(&mut connect(address).await, format!("{V1}{GET}")).await;
    assert_announced(&answer);
    gateway.serve(&proxied(http(), "192.0.2.0/24", &["127.0.0.0/8"]), &table);
    let answer = ask(&mut connect(address).await, GET).await;
    assert_eq!(fact(&answer, "proxied"), "false", "untrusted, without a header");
    assert_eq!(
        exchange(address, format!("{V1}{GET}")).await,
        "",
        "untrusted, with one"
    );
}

#[tokio::test]
async fn half_a_header_times_out() {
    let gateway = gateway(Limits::default());
    let mut spec = proxied(http(), "127.0.0.1/32", &[]);
    if let Some(settings) = &mut spec.proxy_protocol {
        settings.header_timeout = Duration::from_millis(200);
    }
    let address = gateway.serve(&spec, &table(&[], None));
    assert_eq!(exchange(address, "PROXY TCP4 192").await, "");
    assert_eq!(gateway.counters.timeouts.proxy_header.load(Ordering::Relaxed), 1);
}
