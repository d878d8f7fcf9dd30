//! Clients that take too long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidegate_snapshot::{HttpSettings, Listener};
use tokio::io::AsyncWriteExt;

use super::support::*;
use super::tls::tls_over;
use crate::listener::Limits;

const SHORT: Duration = Duration::from_millis(300);

fn short_head(settings: &mut HttpSettings) {
    settings.header_timeout = SHORT;
}

fn short_idle(settings: &mut HttpSettings) {
    settings.keep_alive = SHORT;
}

fn counted(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Close to the deadline, not at the next one.
fn assert_about(start: Instant, wanted: Duration) {
    let took = start.elapsed();
    assert!(took >= wanted - Duration::from_millis(50), "{took:?}");
    assert!(took < wanted + Duration::from_secs(2), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_head_is_cut_at_its_deadline() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&with_http(http(), short_head), &table(&[], None));
    for first_request in [true, false] {
        let mut stream = connect(address).await;
        if !first_request {
            ask(&mut stream, GET).await;
        }
        let start = Instant::now();
        // Every byte comes in time; all of them together do not.
        while start.elapsed() < PATIENCE {
            if stream.write_all(b"G").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_about(start, SHORT);
    }
    assert_eq!(counted(&gateway.counters.timeouts.request_head), 2);
}

#[tokio::test]
async fn silence_is_closed() {
    let limits = Limits {
        handshake_timeout: SHORT,
        ..Limits::default()
    };
    let gateway = gateway(limits);
    let timeouts = &gateway.counters.timeouts;
    let default = certificate(&["d"]);
    let table = table(&[], Some(&default));
    let start = Instant::now();
    let address = gateway.serve(&with_http(http(), short_head), &table);
    assert_eq!(exchange(address, "").await, "");
    assert_about(start, SHORT);
    assert_eq!(counted(&timeouts.first_byte), 1);

    assert_eq!(gateway.serve(&with_http(https(), short_head), &table), address);
    assert_eq!(exchange(address, "").await, "", "no ClientHello");
    assert_eq!(
        exchange(address, "\x16\x03\x01\x02").await,
        "",
        "half a ClientHello"
    );
    assert_eq!(
        exchange(address, "GET / HTTP/1.1\r\n").await,
        "",
        "half of plain HTTP"
    );
    assert_eq!(counted(&timeouts.handshake), 3);
    let mut stream = tls_over(connect(address).await, "a.test", &[]).await.unwrap();
    assert_eq!(rest(&mut stream).await, "", "no request");
    assert_eq!(counted(&timeouts.first_byte), 2);
}

#[tokio::test]
async fn idle_keep_alive_ends() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&with_http(http(), short_idle), &table(&[], None));
    let mut stream = connect(address).await;
    for _ in 0..3 {
        // Each request begins a new idle time.
        tokio::time::sleep(SHORT / 2).await;
        assert!(ask(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
    }
    let start = Instant::now();
    assert_eq!(rest(&mut stream).await, "");
    assert_about(start, SHORT);
    assert_eq!(counted(&gateway.counters.timeouts.idle), 1);
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let gateway = gateway(Limits::default());
    let spec: Listener = with_http(http(), |settings| {
        short_head(settings);
        short_idle(settings);
    });
    let address = gateway.serve(&spec, &table(&[], None));
    let mut stream = connect(address).await;
    for _ in 0..2 {
        let answer = ask(&mut stream, "GET /slow?700 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn http_2_without_a_request_is_closed() {
    let limits = Limits {
        first_h2_request_timeout: SHORT,
        ..Limits::default()
    };
    let gateway = gateway(limits);
    let default = certificate(&["d"]);
    let table = table(&[], Some(&default));
    let address = gateway.serve(&https(), &table);
    let mut stream = tls_over(connect(address).await, "a.test", &["h2"]).await.unwrap();
    let start = Instant::now();
    rest(&mut stream).await;
    assert_about(start, SHORT);
    assert_eq!(gateway.serve(&http(), &table), address);
    let start = Instant::now();
    exchange(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_about(start, SHORT);
    assert_eq!(counted(&gateway.counters.timeouts.first_h2_request), 2);
}

#[tokio::test]
async fn idle_http_2_ends_and_a_busy_one_does_not() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&with_http(http(), short_idle), &table(&[], None));
    let (mut client, connection) = h2::client::handshake(connect(address).await).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = ::http::Request::get("http://a/slow?900").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let response = within(response).await.unwrap();
    assert_eq!(response.status(), 200);
    let start = Instant::now();
    let _ = within(connection).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(counted(&gateway.counters.timeouts.idle), 1);
}
