//! Request bodies: limits, chunks, `Expect`.

use std::time::Duration;

use tidegate_snapshot::{HttpSettings, ListenerProtocol};

use crate::harness::{Gateway, simple};
use crate::support::snapshot::{Builder, route, with_policies};
use crate::support::upstream::Echo;

fn limited(echo: &Echo, max_size: Option<u64>) -> Gateway {
    let route = with_policies(route("/", "a"), |policies| policies.body.max_size = max_size);
    Gateway::start(&simple(&[echo.address]).host("foo.bar", [route]))
}

fn post(body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn chunked(chunks: &[&str]) -> String {
    let mut request = "POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for chunk in chunks {
        request += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    request + "0\r\n\r\n"
}

#[tokio::test]
async fn an_announced_body_over_the_limit_is_refused_at_once() {
    let echo = Echo::start("one").await;
    let gateway = limited(&echo, Some(10));
    let mut client = gateway.client().await;
    assert_eq!(client.request(post("0123456789")).await.status, 200);
    // Nothing of the body is awaited.
    client
        .send("POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 11\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("Connection")), (413, Some("close")));
    assert!(
        answer
            .head
            .starts_with("HTTP/1.1 413 Request Entity Too Large\r\n")
    );
    assert_eq!(echo.count(), 1);
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_refused_when_it_gets_there() {
    let echo = Echo::start("one").await;
    let gateway = limited(&echo, Some(10));
    let answer = gateway.client().await.request(chunked(&["01234", "56789"])).await;
    assert_eq!(
        (answer.status, answer.json()["body"].as_str()),
        (200, Some("0123456789"))
    );
    let answer = gateway
        .client()
        .await
        .request(chunked(&["01234", "567890"]))
        .await;
    assert_eq!((answer.status, answer.header("Connection")), (413, Some("close")));
    assert_eq!(echo.count(), 1, "the upstream never gets a whole request");
}

#[tokio::test]
async fn the_default_limit_is_a_mebibyte_and_none_is_none() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let full = "x".repeat(1024 * 1024);
    assert_eq!(gateway.client().await.request(post(&full)).await.status, 200);
    assert_eq!(
        gateway
            .client()
            .await
            .request(post(&(full.clone() + "x")))
            .await
            .status,
        413
    );
    let gateway = limited(&echo, None);
    assert_eq!(
        gateway.client().await.request(post(&full.repeat(3))).await.status,
        200
    );
    assert_eq!(echo.last().body.len(), 3 * 1024 * 1024);
}

#[tokio::test]
async fn a_refused_body_that_keeps_coming_does_not_hide_the_answer() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    for _ in 0..5 {
        let answer = gateway
            .client()
            .await
            .request(post(&"x".repeat(8 * 1024 * 1024)))
            .await;
        assert_eq!(answer.status, 413);
    }
}

#[tokio::test]
async fn bodies_pass_in_chunks_both_ways() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    let answer = client.request(chunked(&["abc", "de"])).await;
    assert_eq!(answer.json()["body"], "abcde");
    assert_eq!(echo.last().header("Transfer-Encoding"), Some("chunked"));
    echo.set(|behaviour| {
        behaviour.raw = Some(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n".to_vec(),
        );
    });
    let answer = client.get("foo.bar", "/").await;
    assert_eq!(
        (answer.text().as_str(), answer.header("Transfer-Encoding")),
        ("abcd", Some("chunked"))
    );
    echo.set(|behaviour| behaviour.raw = Some(b"HTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec()));
    let answer = client.get("foo.bar", "/").await;
    assert_eq!(answer.text(), "until the end");
    assert!(answer.head.starts_with("HTTP/1.1 200 "), "{}", answer.head);
    assert_eq!(
        client.get("foo.bar", "/").await.text(),
        "until the end",
        "the client's connection lives"
    );
}

#[tokio::test]
async fn continue_is_answered_here_before_the_body() {
    let echo = Echo::start("one").await;
    let gateway = limited(&echo, Some(10));
    let mut client = gateway.client().await;
    for _ in 0..2 {
        client
            .send("POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            .await;
        let go_on = client.take(25).await;
        assert_eq!(go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        let answer = client.request("abc").await;
        assert_eq!(
            (answer.status, answer.header("Connection")),
            (200, Some("keep-alive"))
        );
        assert_eq!(answer.json()["body"], "abc");
        assert_eq!(echo.last().header("Expect"), None);
    }
    let refused = "POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n";
    client.send(refused).await;
    let head = String::from_utf8(client.take(12).await).unwrap();
    assert_eq!(head, "HTTP/1.1 413");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_408() {
    let echo = Echo::start("one").await;
    let builder = Builder::new()
        .listener("http", ListenerProtocol::Http, |listener| {
            let http = HttpSettings {
                body_timeout: Duration::from_millis(200),
                ..Default::default()
            };
            listener.http = http.into();
        })
        .cluster("a", &[echo.address])
        .host("foo.bar", [route("/", "a")]);
    let gateway = Gateway::start(&builder);
    let mut client = gateway.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\n\r\na")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("Connection")), (408, Some("close")));
    assert!(answer.head.starts_with("HTTP/1.1 408 Request Time-out\r\n"));
}
