//! Plain HTTP: versions, keep-alive, closing.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;
use super::tls::tls_over;
use crate::listener::Limits;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_find_their_connection() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    let mut stream = connect(address).await;
    let me = stream.local_addr().unwrap().to_string();
    for _ in 0..3 {
        let answer = ask(&mut stream, GET).await;
        assert_eq!(fact(&answer, "listener"), "a");
        assert_eq!(fact(&answer, "client"), me);
        assert_eq!(fact(&answer, "seen"), format!("Some({me:?})"));
        assert_eq!(fact(&answer, "local"), address.to_string());
        assert_eq!(fact(&answer, "proxied"), "false");
        assert_eq!(fact(&answer, "sni"), "-");
        assert!(answer.contains("Connection: keep-alive"), "{answer}");
    }
    assert_eq!(gateway.listeners.connections(), 1);
    drop(stream);
    eventually("closed", || gateway.listeners.connections() == 0).await;
}

/// Pingora's own search for HTTP/2's preface waits for 24 bytes.
#[tokio::test]
async fn a_short_http_1_0_request_is_answered_at_once() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    let start = Instant::now();
    let answer = exchange(address, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"),
        "{answer}"
    );
    assert!(start.elapsed() < PATIENCE / 5);
}

#[tokio::test]
async fn a_head_in_single_bytes_is_read() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    // Begins like HTTP/2's preface.
    let mut stream = connect(address).await;
    for byte in b"PROPFIND / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(ask(&mut stream, "\r\n").await.starts_with("HTTP/1.1 200"));
}

pub(super) async fn h2_get(
    io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
) -> String {
    let (mut client, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = ::http::Request::get("http://a/").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    let mut text = Vec::new();
    while let Some(chunk) = within(body.data()).await {
        text.extend(chunk.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn http_2_by_prior_knowledge() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    let answer = h2_get(connect(address).await).await;
    assert_eq!(fact(&answer, "version"), "HTTP/2.0");
    assert_eq!(fact(&answer, "listener"), "a");
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let gateway = gateway(Limits {
        max_connections: Some(2),
        ..Limits::default()
    });
    let address = gateway.serve(&http(), &table(&[], None));
    let (mut first, mut second) = (connect(address).await, connect(address).await);
    ask(&mut first, GET).await;
    ask(&mut second, GET).await;
    assert_eq!(exchange(address, "").await, "");
    assert_eq!(
        gateway
            .counters
            .over_limit
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    drop(first);
    eventually("one less", || gateway.listeners.connections() == 1).await;
    assert!(
        ask(&mut connect(address).await, GET)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

/// Closing with unread bytes would reset the connection before the answer
/// is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_the_body_arrives_at_the_client() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    for _ in 0..20 {
        let mut stream = connect(address).await;
        let head = "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await.unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 413"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}

/// Bodies of all sizes pass the write buffer unharmed, also when the client
/// reads slowly.
async fn assert_bodies(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    for length in [1, 700, 1500, 2047, 2048, 2049, 5000, 100_000, 3_000_000] {
        let request = format!("GET /bytes?{length} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let answer = within(answer(&mut stream)).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body == pattern(length), "{length} bytes, got {}", body.len());
    }
}

#[tokio::test]
async fn bodies_arrive_unharmed() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let table = table(&[], Some(&default));
    gateway.apply(&[("a", &http(), &table), ("b", &https(), &table)]);
    assert_bodies(connect(gateway.address("a")).await).await;
    let tcp = connect(gateway.address("b")).await;
    assert_bodies(tls_over(tcp, "a.test", &[]).await.unwrap()).await;
}

/// Not a check: prints what an idle connection costs. Run with
/// `cargo test -p tidegate-gateway --lib idle_memory -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn idle_memory() {
    const CONNECTIONS: usize = 2000;
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let table = table(&[], Some(&default));
    gateway.apply(&[("a", &http(), &table), ("b", &https(), &table)]);
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
    };
    let mut plain = Vec::new();
    let before = resident();
    for _ in 0..CONNECTIONS {
        let mut stream = connect(gateway.address("a")).await;
        ask(&mut stream, GET).await;
        plain.push(stream);
    }
    eprintln!("plain: {} bytes", (resident() - before) * 1024 / CONNECTIONS);
    let mut encrypted = Vec::new();
    let before = resident();
    for _ in 0..CONNECTIONS {
        let tcp = connect(gateway.address("b")).await;
        let mut stream = tls_over(tcp, "a.test", &[]).await.unwrap();
        ask(&mut stream, GET).await;
        encrypted.push(stream);
    }
    let both = (resident() - before) * 1024 / CONNECTIONS;
    eprintln!("TLS, with the client's half: {both} bytes");
}
