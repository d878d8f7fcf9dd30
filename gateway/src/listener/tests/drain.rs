//! A process leaves without losing requests.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::support::*;
use crate::listener::{Drain, Limits};

const DRAIN: Drain = Drain {
    delay: Duration::from_millis(400),
    idle: Duration::from_millis(300),
    grace: Duration::from_secs(8),
};

fn slow(milliseconds: u32) -> String {
    format!("GET /slow?{milliseconds} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_finish_and_clients_are_told_to_go() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    let (mut busy, mut kept, mut idle) = (
        connect(address).await,
        connect(address).await,
        connect(address).await,
    );
    ask(&mut kept, GET).await;
    ask(&mut idle, GET).await;
    let in_flight = tokio::spawn(async move {
        let answer = ask(&mut busy, slow(1500)).await;
        (answer, rest(&mut busy).await)
    });
    gateway.busy().await;
    let start = Instant::now();
    let drain = tokio::spawn(gateway.listeners.drain(DRAIN));
    tokio::time::sleep(Duration::from_millis(100)).await;

    // Still accepted; every answer says that it is the last.
    let answer = ask(&mut connect(address).await, GET).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("Connection: close"),
        "{answer}"
    );
    let answer = ask(&mut kept, GET).await;
    assert!(answer.contains("Connection: close"), "{answer}");
    assert_eq!(rest(&mut kept).await, "");

    assert_eq!(rest(&mut idle).await, "", "idle ones are closed");
    assert!(
        start.elapsed() < Duration::from_millis(1300),
        "{:?}",
        start.elapsed()
    );
    assert!(TcpStream::connect(address).await.is_err(), "no longer accepted");

    let (answer, rest) = in_flight.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("Connection: close"),
        "though it began before: {answer}"
    );
    assert_eq!(rest, "");
    assert_eq!(within(drain).await.unwrap(), 0);
    let took = start.elapsed();
    assert!(
        took < Duration::from_secs(3),
        "as soon as the last one is gone: {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_outlasts_the_grace_period_is_cut_off() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    let mut stream = connect(address).await;
    let endless = tokio::spawn(async move { ask(&mut stream, slow(60_000)).await });
    gateway.busy().await;
    let drain = Drain {
        delay: Duration::ZERO,
        grace: Duration::from_millis(500),
        ..DRAIN
    };
    let start = Instant::now();
    assert_eq!(within(gateway.listeners.drain(drain)).await, 1);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(endless.await.unwrap(), "");
    assert_eq!(gateway.listeners.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_clients_do_not_hold_the_process() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["d"]);
    let table = table(&[], Some(&default));
    gateway.apply(&[("a", &http(), &table), ("b", &https(), &table)]);
    let _silent = (
        connect(gateway.address("a")).await,
        connect(gateway.address("b")).await,
    );
    // HTTP/2 that says nothing after its preface.
    let mut preface = connect(gateway.address("a")).await;
    tokio::io::AsyncWriteExt::write_all(&mut preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    eventually("accepted", || gateway.listeners.connections() == 3).await;
    let start = Instant::now();
    assert_eq!(within(gateway.listeners.drain(DRAIN)).await, 0);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_told_to_go_and_finishes() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    let (mut client, connection) = h2::client::handshake(connect(address).await).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = ::http::Request::get("http://a/slow?1200").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    gateway.busy().await;
    let drain = tokio::spawn(gateway.listeners.drain(DRAIN));
    // One that begins while the process is leaving.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let late = super::http::h2_get(connect(address).await).await;
    assert_eq!(fact(&late, "version"), "HTTP/2.0");
    let mut body = within(response).await.unwrap().into_body();
    let mut length = 0;
    while let Some(chunk) = within(body.data()).await {
        length += chunk.unwrap().len();
    }
    assert!(length > 0);
    drop((client, body));
    within(connection).await.unwrap().unwrap();
    assert_eq!(within(drain).await.unwrap(), 0);
}

/// A client of HTTP/2 that ignores that it is told to go holds the process only
/// until its request is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_that_does_not_go_is_closed_after_its_request() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    let mut stream = connect(address).await;
    // Preface, empty SETTINGS, HEADERS of stream 1 that end it:
    // GET, http, /slow?1200, :authority a. No PING is ever answered.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let block = b"\x82\x86\x04\x0a/slow?1200\x01\x01a";
    bytes.extend([0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1]);
    bytes.extend(block);
    tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes)
        .await
        .unwrap();
    gateway.busy().await;
    let start = Instant::now();
    assert_eq!(within(gateway.listeners.drain(DRAIN)).await, 0);
    let took = start.elapsed();
    assert!(
        took > Duration::from_secs(1),
        "its request was in flight: {took:?}"
    );
    assert!(took < Duration::from_secs(3), "{took:?}");
    let rest = rest(&mut stream).await;
    assert!(rest.contains("version=HTTP/2.0"), "and answered: {rest:?}");
}

#[tokio::test]
async fn nothing_to_drain_takes_no_time() {
    let gateway = gateway(Limits::default());
    gateway.serve(&http(), &table(&[], None));
    let drain = Drain {
        delay: Duration::ZERO,
        ..DRAIN
    };
    let start = Instant::now();
    assert_eq!(within(gateway.listeners.drain(drain)).await, 0);
    assert!(start.elapsed() < DRAIN.idle);
}

/// Traffic that opens a connection per request, and one that keeps it, see no
/// failure while the process leaves: the delay is for them to be sent elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_before_the_port_closes() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    let until = Instant::now() + Duration::from_millis(600);
    let client = move |reuse: bool| async move {
        let mut stream = connect(address).await;
        while Instant::now() < until {
            let answer = ask(&mut stream, GET).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
            if !reuse || answer.contains("Connection: close") {
                stream = connect(address).await;
            }
        }
    };
    let clients: Vec<_> = [true, true, false, false].map(client).map(tokio::spawn).into();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let drain = Drain {
        delay: Duration::from_millis(600),
        ..DRAIN
    };
    let drain = tokio::spawn(gateway.listeners.drain(drain));
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(within(drain).await.unwrap(), 0);
}
