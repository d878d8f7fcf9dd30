//! Streams of one HTTP/2 connection: those of the direct path, those of
//! Pingora's, and that none of them harms another.

use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{Request, Response};
use tidegate_gateway::listener::Drain;
use tidegate_gateway::observe::access_log::{AccessLog, Format};
use tidegate_snapshot::{HttpSettings, ListenerProtocol};

use crate::harness::{Gateway, simple};
use crate::http2::{body, h2_client};
use crate::support::eventually;
use crate::support::snapshot::{Builder, route, with_policies};
use crate::support::upstream::{Behaviour, Echo};

/// `/session` is not for the direct path.
fn two_paths(echo: &Echo, http: HttpSettings) -> Gateway {
    let session = with_policies(route("/session", "a"), |policies| {
        policies.buffering.request = false
    });
    let builder = Builder::new()
        .listener("http", ListenerProtocol::Http, |listener| {
            listener.http = http.into();
        })
        .cluster("a", &[echo.address])
        .host("foo.bar", [session, route("/", "a")]);
    Gateway::start(&builder)
}

fn get(client: &mut SendRequest<Bytes>, path: &str) -> ResponseFuture {
    let request = Request::get(format!("http://foo.bar{path}")).body(()).unwrap();
    client.send_request(request, true).unwrap().0
}

fn post(
    client: &mut SendRequest<Bytes>,
    path: &str,
    length: Option<usize>,
) -> (ResponseFuture, SendStream<Bytes>) {
    let mut request = Request::post(format!("http://foo.bar{path}"));
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    client.send_request(request.body(()).unwrap(), false).unwrap()
}

/// Sends as the windows allow.
async fn send_all(mut stream: SendStream<Bytes>, mut data: Bytes) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let piece = data.split_to(capacity.unwrap().unwrap().min(data.len()));
        stream.send_data(piece, data.is_empty()).unwrap();
    }
}

fn pattern(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

async fn raw(echo: &Echo, client: &mut SendRequest<Bytes>, raw: &str) -> Response<h2::RecvStream> {
    echo.set(|behaviour| behaviour.raw = Some(raw.as_bytes().to_vec()));
    get(client, "/").await.unwrap()
}

#[tokio::test]
async fn answers_of_any_framing_come_whole() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = h2_client(&gateway).await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-A: 2\r\n\r\n\
        3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n";
    let answer = raw(&echo, &mut client, chunked).await;
    assert!(!answer.headers().contains_key("transfer-encoding"));
    assert_eq!(answer.headers().get_all("x-a").iter().count(), 2);
    let (data, trailers) = body(answer.into_body()).await;
    assert_eq!(
        (&*data, trailers),
        (&b"abcde"[..], None),
        "trailers of HTTP/1 end here, as in nginx"
    );
    let answer = raw(&echo, &mut client, "HTTP/1.1 203 Fine\r\n\r\nto the end").await;
    assert_eq!(answer.status(), 203);
    assert_eq!(body(answer.into_body()).await.0, b"to the end");
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let answer = raw(&echo, &mut client, early).await;
    assert_eq!(answer.status(), 204);
    assert!(answer.body().is_end_stream() && !answer.headers().contains_key("link"));
    let answer = raw(&echo, &mut client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.body().is_end_stream());
    echo.set(|behaviour| behaviour.raw = None);
    let request = Request::head("http://foo.bar/").body(()).unwrap();
    let answer = client.send_request(request, true).unwrap().0.await.unwrap();
    assert!(answer.headers()["content-length"] != "0" && answer.body().is_end_stream());
}

#[tokio::test]
async fn a_broken_answer_is_seen_as_broken() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = h2_client(&gateway).await;
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nx",
    ] {
        let mut stream = raw(&echo, &mut client, text).await.into_body();
        let end = loop {
            match stream.data().await {
                Some(Ok(_)) => {}
                end => break end,
            }
        };
        assert!(matches!(end, Some(Err(_))), "{text}");
    }
    let answer = raw(&echo, &mut client, "SMTP\r\n\r\n").await;
    assert_eq!(answer.status(), 502);
    assert!(body(answer.into_body()).await.0.starts_with(b"<html>"));
    echo.set(|behaviour| behaviour.raw = None);
    assert_eq!(get(&mut client, "/").await.unwrap().status(), 200);
}

/// A client that does not read one answer gets the others.
#[tokio::test]
async fn a_slow_reader_holds_up_only_itself() {
    let whole = pattern(1024 * 1024);
    let echo = Echo::start("one").await;
    let large = whole.to_vec();
    echo.set(move |behaviour: &mut Behaviour| behaviour.body = Some(large));
    let gateway = Gateway::start(&simple(&[echo.address]));
    let stream = tokio::net::TcpStream::connect(gateway.address("http"))
        .await
        .unwrap();
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(20_000)
        .initial_connection_window_size(1 << 20);
    let (client, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let stalled = get(&mut client, "/stalled").await.unwrap();
    for _ in 0..5 {
        let answer = get(&mut client, "/").await.unwrap();
        assert!(body(answer.into_body()).await.0 == whole, "the whole answer");
    }
    assert!(body(stalled.into_body()).await.0 == whole, "the stalled one too");
}

/// On both paths, small bodies and large ones; all at once.
#[tokio::test]
async fn uploads_come_whole() {
    let echo = Echo::start("one").await;
    let gateway = two_paths(&echo, HttpSettings::default());
    let client = h2_client(&gateway).await;
    let mut tasks = tokio::task::JoinSet::new();
    let lengths = [1, 60_000, 64 * 1024, 64 * 1024 + 1, 300_000, 1_000_000];
    for (at, length) in lengths.into_iter().enumerate() {
        for path in ["/", "/session"] {
            let mut client = client.clone().ready().await.unwrap();
            tasks.spawn(async move {
                let (answer, stream) = post(&mut client, &format!("{path}?{at}"), Some(length));
                send_all(stream, pattern(length)).await;
                assert_eq!(answer.await.unwrap().status(), 200);
            });
        }
    }
    tasks.join_all().await;
    let seen = echo.seen();
    assert_eq!(seen.len(), 2 * lengths.len());
    for seen in seen {
        let at: usize = seen.uri.split_once('?').unwrap().1.parse().unwrap();
        assert!(seen.body == pattern(lengths[at]), "{}", seen.head);
        assert_eq!(seen.header("content-length"), Some(&*lengths[at].to_string()));
        assert_eq!(seen.header("transfer-encoding"), None);
    }
}

/// As over HTTP/1: 408, on the direct path and where bodies are read first.
#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_408() {
    let echo = Echo::start("one").await;
    let http = HttpSettings {
        body_timeout: Duration::from_millis(200),
        ..Default::default()
    };
    let gateway = two_paths(&echo, http);
    let mut client = h2_client(&gateway).await;
    for length in [100, 100_000] {
        let (answer, mut stream) = post(&mut client, "/", Some(length));
        stream.send_data("abc".into(), false).unwrap();
        assert_eq!(answer.await.unwrap().status(), 408, "{length}");
    }
    assert_eq!(echo.count(), 0);
    assert_eq!(get(&mut client, "/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn many_streams_at_once_keep_their_answers() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.delay = Duration::from_millis(50));
    let gateway = two_paths(&echo, HttpSettings::default());
    let client = h2_client(&gateway).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let mut client = client.clone().ready().await.unwrap();
        tasks.spawn(async move {
            // Every fourth is not for the direct path.
            let path = if number % 4 == 0 { "/session" } else { "/" };
            let path = format!("{path}?{number}");
            let answer = get(&mut client, &path).await.unwrap();
            let (data, _) = body(answer.into_body()).await;
            let json: serde_json::Value = serde_json::from_slice(&data).unwrap();
            assert_eq!(json["uri"], path);
        });
    }
    tasks.join_all().await;
    assert_eq!(echo.count(), 100);
}

/// A stream that is reset: its upstream's connection ends, 499 in the log, the
/// others go on.
#[tokio::test]
async fn a_request_that_is_cancelled_is_logged_as_499() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.delay = Duration::from_millis(300));
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = AccessLog::to_writer(Format::default(), file.reopen().unwrap()).unwrap();
    let gateway = Gateway::with_log(&simple(&[echo.address]), log);
    let mut client = h2_client(&gateway).await;
    let other = get(&mut client, "/other");
    let (answer, mut stream) = {
        let request = Request::get("http://foo.bar/gone").body(()).unwrap();
        client.send_request(request, true).unwrap()
    };
    eventually("both requests", || echo.count() == 2).await;
    stream.send_reset(Reason::CANCEL);
    assert!(answer.await.is_err());
    assert_eq!(other.await.unwrap().status(), 200);
    let text = || std::fs::read_to_string(file.path()).unwrap();
    eventually("two lines", || text().lines().count() == 2).await;
    assert!(text().contains("\"GET /gone HTTP/2.0\" 499 0 "), "{}", text());
    assert!(text().contains("\"GET /other HTTP/2.0\" 200 "), "{}", text());
    // The whole connection at once.
    let _answer = get(&mut client, "/closed");
    eventually("the request", || echo.count() == 3).await;
    drop((client, _answer, stream));
    eventually("its line", || text().contains("\"GET /closed HTTP/2.0\" 499 0 ")).await;
}

/// Requests reset as soon as they are sent leave nothing behind.
#[tokio::test]
async fn a_flood_of_resets_ends_alone() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = h2_client(&gateway).await;
    for _ in 0..2000 {
        let Ok(ready) = client.clone().ready().await else {
            break;
        };
        client = ready;
        let request = Request::get("http://foo.bar/").body(()).unwrap();
        let Ok((_, mut stream)) = client.send_request(request, true) else {
            break;
        };
        stream.send_reset(Reason::CANCEL);
    }
    assert_eq!(gateway.client().await.get("foo.bar", "/").await.status, 200);
    eventually("no request in flight", || {
        gateway.counters.requests_in_flight() == 0
    })
    .await;
}

/// Malformed requests are answered, so many of them, and then the connection ends.
#[tokio::test]
async fn a_connection_of_malformed_requests_ends() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = h2_client(&gateway).await;
    let mut answered = 0;
    for _ in 0..40 {
        let Ok(ready) = client.clone().ready().await else {
            break;
        };
        client = ready;
        let request = Request::get("http://foo.bar/").header("host", "other");
        let Ok((answer, _)) = client.send_request(request.body(()).unwrap(), true) else {
            break;
        };
        match answer.await {
            Ok(answer) => assert_eq!(answer.status(), 400),
            Err(_) => break,
        }
        answered += 1;
    }
    assert!((31..=32).contains(&answered), "{answered}");
    assert_eq!(echo.count(), 0);
}

/// What is under way when the listener drains is answered, on both paths.
#[tokio::test]
async fn draining_finishes_streams() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.delay = Duration::from_millis(300));
    let gateway = two_paths(&echo, HttpSettings::default());
    let mut client = h2_client(&gateway).await;
    let answers = [get(&mut client, "/"), get(&mut client, "/session")];
    eventually("both requests", || echo.count() == 2).await;
    let drain = tokio::spawn(gateway.listeners.drain(Drain {
        delay: Duration::ZERO,
        idle: Duration::from_secs(1),
        grace: Duration::from_secs(5),
    }));
    for answer in answers {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(!body(answer.into_body()).await.0.is_empty());
    }
    assert_eq!(drain.await.unwrap(), 0, "nothing was cut off");
    assert!(client.ready().await.is_err());
}
