//! Answers of several MiB between plain connections, which do not pass through
//! the gateway's memory.

use std::time::Duration;

use crate::harness::{Gateway, simple};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::upstream::{Close, Echo};

const LENGTH: usize = 5 * 1024 * 1024 + 3;

/// Bytes of which none can be lost, or change its place, unnoticed.
fn body() -> Vec<u8> {
    (0..LENGTH as u32 / 4 + 1)
        .flat_map(u32::to_be_bytes)
        .take(LENGTH)
        .collect()
}

async fn start() -> (Echo, Gateway) {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.body = Some(body()));
    let gateway = Gateway::start(&simple(&[echo.address]));
    (echo, gateway)
}

/// The next bytes that a client gets, of which it takes some, rests, and takes more.
async fn slowly(client: &mut Client, mut left: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while left > 0 {
        let piece = left.min(700_001);
        taken.extend(client.take(piece).await);
        left -= piece;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    taken
}

#[tokio::test]
async fn they_arrive_whole_one_after_the_other_on_the_same_connections() {
    let (echo, gateway) = start().await;
    let mut client = gateway.client().await;
    for _ in 0..3 {
        let answer = client.get("foo.bar", "/").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == body(), "{} bytes, changed", answer.body.len());
    }
    assert_eq!(echo.connections(), 1);
    // A short one after them is not confused by what they left behind.
    echo.set(|behaviour| behaviour.body = None);
    let answer = client.get("foo.bar", "/").await;
    assert_eq!(answer.json()["connection"], 1);
}

#[tokio::test]
async fn a_client_may_take_its_time() {
    let (_echo, gateway) = start().await;
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n").await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.take(1).await);
    }
    assert!(slowly(&mut client, LENGTH).await == body());
    assert_eq!(client.get("foo.bar", "/").await.status, 200);
}

#[tokio::test]
async fn many_at_once_arrive_whole() {
    let (echo, gateway) = start().await;
    let body = &body()[..700_000];
    echo.set(|behaviour| behaviour.body = Some(body.to_vec()));
    // More than there are pipes.
    let asking = (0..80).map(|_| async {
        let answer = gateway.client().await.get("foo.bar", "/").await;
        assert!(answer.body == body);
    });
    futures::future::join_all(asking).await;
}

#[tokio::test]
async fn one_that_ends_early_ends_the_clients_connection() {
    let (echo, gateway) = start().await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
    let part = &body()[..LENGTH / 2];
    echo.set(|behaviour| behaviour.raw = Some([head.as_bytes(), part].concat()));
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n").await;
    let all = client.rest().await;
    assert!(all.ends_with(part), "all that came was passed on");
    // The next one is not served from what is left of this.
    echo.set(|behaviour| behaviour.raw = None);
    assert!(gateway.client().await.get("foo.bar", "/").await.body == body());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstreams_connection() {
    let (echo, gateway) = start().await;
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n").await;
    client.take(LENGTH / 2).await;
    drop(client);
    eventually("the upstream's connection ends", || echo.open() == 0).await;
    assert!(gateway.client().await.get("foo.bar", "/").await.body == body());
}

/// What the upstream says after an answer does not belong to the next one.
#[tokio::test]
async fn one_that_goes_on_after_its_end_is_cut_there() {
    let (echo, gateway) = start().await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
    let more = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse";
    echo.set(|behaviour| behaviour.raw = Some([head.as_bytes(), &body(), more].concat()));
    let mut client = gateway.client().await;
    assert!(client.get("foo.bar", "/").await.body == body());
    echo.set(|behaviour| {
        behaviour.raw = None;
        behaviour.body = Some(b"true".to_vec());
        behaviour.close = Close::Never;
    });
    assert_eq!(client.get("foo.bar", "/").await.text(), "true");
}

#[tokio::test]
async fn over_tls_they_arrive_as_well() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.body = Some(body()));
    let gateway = Gateway::start(&simple(&[echo.address]).https("https").certificate(""));
    let mut client = Client::tls(gateway.address("https"), "foo.bar", &[]).await;
    assert!(client.get("foo.bar", "/").await.body == body());
}
