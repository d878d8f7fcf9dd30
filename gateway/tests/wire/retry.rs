//! Which requests are tried again, and which never: counted at the upstreams.

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_snapshot::policy::Retry;

use crate::harness::{Gateway, simple};
use crate::support::snapshot::{route, with_policies};
use crate::support::upstream::{Close, Echo};

async fn refusing() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\n\r\nabc";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\n\r\nabc";

fn changed(endpoints: &[SocketAddr], change: impl FnOnce(&mut Retry)) -> Gateway {
    let route = with_policies(route("/", "a"), |policies| {
        policies.timeouts.read = Duration::from_millis(150);
        change(&mut policies.retry);
    });
    Gateway::start(&simple(endpoints).host("foo.bar", [route]))
}

#[tokio::test]
async fn a_refused_connection_goes_to_another_endpoint_whatever_the_method() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[refusing().await, refusing().await, echo.address]));
    for (count, request) in [GET, POST, PUT, GET, POST].into_iter().enumerate() {
        assert_eq!(gateway.client().await.request(request).await.status, 200);
        assert_eq!(echo.count(), count + 1);
    }
    assert_eq!(echo.seen()[1].body, b"abc");
}

#[tokio::test]
async fn three_tries_are_the_limit() {
    let (one, two, three, four) = (
        Echo::start("1").await,
        Echo::start("2").await,
        Echo::start("3").await,
        Echo::start("4").await,
    );
    let echoes = [&one, &two, &three, &four];
    for echo in echoes {
        echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    }
    let gateway = Gateway::start(&simple(&echoes.map(|echo| echo.address)));
    assert_eq!(gateway.client().await.request(GET).await.status, 502);
    let counts: Vec<usize> = echoes.iter().map(|echo| echo.count()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 3);
    assert_eq!(counts.iter().max(), Some(&1), "each another endpoint: {counts:?}");
}

#[tokio::test]
async fn with_one_endpoint_the_same_is_tried_again() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    let gateway = Gateway::start(&simple(&[echo.address]));
    assert_eq!(gateway.client().await.request(PUT).await.status, 502);
    assert_eq!(echo.count(), 3);
    assert!(echo.seen().iter().all(|seen| seen.body == b"abc"));
}

#[tokio::test]
async fn a_post_that_was_sent_is_never_sent_again() {
    let (one, two) = (Echo::start("1").await, Echo::start("2").await);
    for echo in [&one, &two] {
        echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    }
    let gateway = Gateway::start(&simple(&[one.address, two.address]));
    for (count, method) in ["POST", "PATCH", "LOCK", "POST"].into_iter().enumerate() {
        let request = POST.replace("POST", method);
        assert_eq!(
            gateway.client().await.request(&request).await.status,
            502,
            "{method}"
        );
        assert_eq!(one.count() + two.count(), count + 1, "{method}");
    }
}

#[tokio::test]
async fn a_post_on_a_pooled_connection_that_closed_is_not_sent_twice() {
    let (one, two) = (Echo::start("1").await, Echo::start("2").await);
    let gateway = Gateway::start(&simple(&[one.address, two.address]));
    let mut client = gateway.client().await;
    for _ in 0..4 {
        assert_eq!(client.request(POST).await.status, 200);
    }
    for echo in [&one, &two] {
        echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    }
    assert_eq!(client.request(POST).await.status, 502);
    assert_eq!(one.count() + two.count(), 5);
}

#[tokio::test]
async fn a_failure_on_a_reused_connection_is_no_try() {
    let echo = Echo::start("one").await;
    let gateway = changed(&[echo.address], |retry| retry.tries = 2);
    let mut client = gateway.client().await;
    assert_eq!(client.request(GET).await.status, 200);
    echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    assert_eq!(client.request(GET).await.status, 502);
    assert_eq!(echo.count(), 1 + 3, "tries = 2 shows three attempts");
}

#[tokio::test]
async fn idle_connections_that_the_upstream_closed_cost_nothing() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.close = Close::Silently);
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    for count in 1..=20 {
        assert_eq!(client.request(GET).await.status, 200);
        assert_eq!(echo.count(), count);
    }
}

#[tokio::test]
async fn silence_is_tried_again_but_not_for_post() {
    let (one, two) = (Echo::start("1").await, Echo::start("2").await);
    one.set(|behaviour| behaviour.delay = Duration::from_secs(3));
    two.set(|behaviour| behaviour.delay = Duration::from_secs(3));
    let gateway = changed(&[one.address, two.address], |_| {});
    assert_eq!(gateway.client().await.request(POST).await.status, 504);
    assert_eq!(one.count() + two.count(), 1);
    assert_eq!(gateway.client().await.request(GET).await.status, 504);
    assert_eq!(one.count() + two.count(), 1 + 3);
    two.set(|behaviour| behaviour.delay = Duration::ZERO);
    one.set(|behaviour| behaviour.delay = Duration::ZERO);
    assert_eq!(gateway.client().await.request(GET).await.status, 200);
}

#[tokio::test]
async fn the_list_of_failures_is_respected() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    let gateway = changed(&[echo.address], |retry| retry.on.error = false);
    assert_eq!(gateway.client().await.request(GET).await.status, 502);
    assert_eq!(echo.count(), 1);
    let gateway = changed(&[echo.address], |retry| retry.on.non_idempotent = true);
    assert_eq!(gateway.client().await.request(POST).await.status, 502);
    assert_eq!(echo.count(), 1 + 3);
    let gateway = changed(&[echo.address], |retry| retry.timeout = Some(Duration::ZERO));
    assert_eq!(gateway.client().await.request(GET).await.status, 502);
    assert_eq!(echo.count(), 1 + 3 + 1);
}

#[tokio::test]
async fn statuses_are_tried_again_where_named_and_the_last_one_passes() {
    let (one, two) = (Echo::start("1").await, Echo::start("2").await);
    one.set(|behaviour| behaviour.status = 503);
    two.set(|behaviour| behaviour.status = 503);
    let endpoints = [one.address, two.address];
    let gateway = changed(&endpoints, |retry| retry.on.statuses = vec![503]);
    let answer = gateway.client().await.request(GET).await;
    assert_eq!((answer.status, one.count() + two.count()), (503, 3));
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/json"),
        "the upstream's own"
    );
    let answer = gateway.client().await.request(POST).await;
    assert_eq!((answer.status, one.count() + two.count()), (503, 4));
    two.set(|behaviour| behaviour.status = 200);
    for _ in 0..4 {
        assert_eq!(gateway.client().await.request(GET).await.status, 200);
    }
    let gateway = changed(&endpoints, |_| {});
    let answers = [
        gateway.client().await.request(GET).await,
        gateway.client().await.request(GET).await,
    ];
    assert!(
        answers.iter().any(|answer| answer.status == 503),
        "not named, not tried again"
    );
}

#[tokio::test]
async fn a_body_too_large_to_keep_is_not_sent_again() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    let unlimited = with_policies(route("/", "a"), |policies| policies.body.max_size = None);
    let gateway = Gateway::start(&simple(&[echo.address]).host("foo.bar", [unlimited]));
    let body = "x".repeat(2_000_000);
    let request = format!(
        "PUT / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(gateway.client().await.request(request).await.status, 502);
    assert_eq!(echo.count(), 1);
}

#[tokio::test]
async fn nothing_is_tried_again_once_an_answer_has_begun() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| {
        behaviour.raw = Some(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec());
    });
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    client.send(GET).await;
    let raw = String::from_utf8(client.rest().await).unwrap();
    assert!(
        raw.starts_with("HTTP/1.1 200 OK\r\n") && raw.ends_with("\r\n\r\nabc"),
        "{raw}"
    );
    assert_eq!(echo.count(), 1);
}
