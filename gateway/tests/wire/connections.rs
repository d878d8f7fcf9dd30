//! Client connections: keep-alive, pipelining, old clients, what is counted.

use std::time::Duration;

use tidegate_gateway::listener::Drain;
use tidegate_gateway::observe::access_log::{AccessLog, Format};
use tidegate_snapshot::{HttpSettings, ListenerProtocol};

use crate::harness::{Gateway, simple};
use crate::support::snapshot::{Builder, route};
use crate::support::upstream::Echo;

fn with(echo: &Echo, http: HttpSettings) -> Gateway {
    let builder = Builder::new()
        .listener("http", ListenerProtocol::Http, |listener| {
            listener.http = http.into()
        })
        .cluster("a", &[echo.address])
        .host("foo.bar", [route("/", "a")]);
    Gateway::start(&builder)
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    for count in 1..=10 {
        let answer = client.get("foo.bar", "/").await;
        assert_eq!(answer.header("Connection"), Some("keep-alive"));
        assert_eq!((echo.count(), echo.connections()), (count, 1));
    }
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let echo = Echo::start("one").await;
    let http = HttpSettings {
        keep_alive: Duration::from_secs(1),
        ..Default::default()
    };
    let gateway = with(&echo, http);
    let mut client = gateway.client().await;
    client.get("foo.bar", "/").await;
    let start = std::time::Instant::now();
    assert_eq!(client.rest().await, b"");
    assert!(
        (900..3000).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_connection_serves_so_many_requests() {
    let echo = Echo::start("one").await;
    let http = HttpSettings {
        keep_alive_requests: 3,
        ..Default::default()
    };
    let gateway = with(&echo, http);
    let mut client = gateway.client().await;
    for expected in ["keep-alive", "keep-alive", "close"] {
        assert_eq!(
            client.get("foo.bar", "/").await.header("Connection"),
            Some(expected)
        );
    }
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn close_is_respected() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    let answer = client
        .request("GET / HTTP/1.1\r\nHost: foo.bar\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
    assert_eq!(echo.last().header("Connection"), None);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    let one = "POST /1 HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\n\r\nabc";
    let two = "GET /2 HTTP/1.1\r\nHost: other\r\n\r\n";
    let three = "POST /3 HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let four = "GET /4 HTTP/1.1\r\nHost: foo.bar\r\n\r\n";
    client.send([one, two, three, four].concat()).await;
    let answers = [
        client.answer().await,
        client.answer().await,
        client.answer().await,
        client.answer().await,
    ];
    assert_eq!(
        answers.each_ref().map(|answer| answer.status),
        [200, 404, 200, 200]
    );
    assert_eq!(answers[0].json()["body"], "abc");
    assert_eq!(answers[2].json()["body"], "x");
    assert_eq!(answers[3].json()["uri"], "/4");
    assert_eq!(echo.count(), 3);
}

#[tokio::test]
async fn old_clients_may_keep_connections() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    let request = "GET / HTTP/1.0\r\nHost: foo.bar\r\nConnection: keep-alive\r\n\r\n";
    for _ in 0..2 {
        let answer = client.request(request).await;
        assert_eq!(
            (answer.status, answer.header("Connection")),
            (200, Some("keep-alive"))
        );
    }
    let answer = client.request("GET / HTTP/1.0\r\nHost: foo.bar\r\n\r\n").await;
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn old_clients_get_no_chunks() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        behaviour.raw = Some(answer.to_vec());
    });
    let gateway = Gateway::start(&simple(&[echo.address]));
    for connection in ["close", "keep-alive"] {
        let mut client = gateway.client().await;
        let request = format!("GET / HTTP/1.0\r\nHost: foo.bar\r\nConnection: {connection}\r\n\r\n");
        let answer = client.request(request).await;
        assert_eq!(
            (answer.header("Transfer-Encoding"), answer.header("Connection")),
            (None, Some("close"))
        );
        assert_eq!(answer.text(), "abc");
    }
}

#[tokio::test]
async fn an_answer_under_way_tells_the_client_to_close_when_draining() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.delay = Duration::from_millis(300));
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    assert_eq!(
        client.get("foo.bar", "/").await.header("Connection"),
        Some("keep-alive")
    );
    client.send("GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n").await;
    crate::support::eventually("the second request", || echo.count() == 2).await;
    let drain = tokio::spawn(gateway.listeners.drain(Drain {
        delay: Duration::ZERO,
        idle: Duration::from_secs(1),
        grace: Duration::from_secs(5),
    }));
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("Connection")), (200, Some("close")));
    assert_eq!(client.rest().await, b"");
    assert_eq!(drain.await.unwrap(), 0, "nothing was cut off");
}

#[tokio::test]
async fn a_client_that_leaves_is_logged_as_499() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.delay = Duration::from_secs(5));
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = AccessLog::to_writer(Format::default(), file.reopen().unwrap()).unwrap();
    let gateway = Gateway::with_log(&simple(&[echo.address]), log);
    let mut client = gateway.client().await;
    client.send("GET /gone HTTP/1.1\r\nHost: foo.bar\r\n\r\n").await;
    crate::support::eventually("the request", || echo.count() == 1).await;
    drop(client);
    crate::support::eventually("a line", || {
        std::fs::read_to_string(file.path())
            .unwrap()
            .contains("\"GET /gone HTTP/1.1\" 499")
    })
    .await;
    assert_eq!(echo.count(), 1, "not tried again");
}

#[tokio::test]
async fn requests_are_counted_and_logged() {
    let echo = Echo::start("one").await;
    let path = tempfile::NamedTempFile::new().unwrap();
    let log = AccessLog::to_writer(Format::default(), path.reopen().unwrap()).unwrap();
    let gateway = Gateway::with_log(&simple(&[echo.address]), log);
    let mut client = gateway.client().await;
    client.get("foo.bar", "/a?b").await;
    client.get("other", "/").await;
    drop(client);
    let line = |text: &str| text.lines().filter(|line| line.contains("GET")).count();
    crate::support::eventually("two lines", || {
        line(&std::fs::read_to_string(path.path()).unwrap()) == 2
    })
    .await;
    let text = std::fs::read_to_string(path.path()).unwrap();
    assert!(text.contains("\"GET /a?b HTTP/1.1\" 200"), "{text}");
    assert!(text.contains(&echo.address.to_string()), "{text}");
    assert!(text.contains("\"GET / HTTP/1.1\" 404"), "{text}");
    let metrics = gateway.metrics.encode();
    let counted = metrics
        .lines()
        .find(|line| line.contains("requests_total") && line.contains("ingress=\"test\""));
    assert!(counted.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
}
