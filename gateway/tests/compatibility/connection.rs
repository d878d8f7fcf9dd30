//! `annotations/connection.go`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::site::{HOST, Site, ingress, ingress_of, service};

/// The backend gets this `Connection`.
#[tokio::test]
async fn case_1_keep_alive() {
    let site = Site::start(&ingress("a", &[("connection-proxy-header", "keep-alive")])).await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.echo("echo").last().header("Connection"), Some("keep-alive"));
}

/// `proxy-http-version: "1.0"`: so begins the request, and the connection ends
/// with the answer.
#[tokio::test]
async fn http_1_0() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"abc") {
            assert!(stream.read_buf(&mut head).await.unwrap() > 0);
        }
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nold").await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let annotations = [("proxy-http-version", "1.0")];
    let yaml = ingress_of("a", HOST, &annotations, &[("/", "Prefix", "old")]) + &service("old", &[port]);
    let site = Site::with(&[], &yaml, &[]).await;
    let request = format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\nabc");
    let answer = site.request(&request).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "old"));
    let seen = seen.await.unwrap();
    assert!(seen.starts_with("POST /x HTTP/1.0\r\n"), "{seen}");
}
