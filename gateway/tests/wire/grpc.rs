//! gRPC's way through: both directions of a stream at once, on connections to the
//! backend that many streams share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::Request;
use tidegate_gateway::observe::access_log::{AccessLog, Format};
use tidegate_snapshot::UpstreamProtocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::grpc_backend::{Answer, Backend, Behaviour, Seen, send, serve};
use crate::harness::Gateway;
use crate::http2::{body, h2_client};
use crate::support::snapshot::{Builder, route, with_policies};
use crate::support::{PATIENCE, eventually};

/// `/pingora` is not for the direct path.
fn gateway(backends: &[SocketAddr], log: AccessLog) -> Gateway {
    let other = with_policies(route("/pingora", "a"), |policies| {
        policies.buffering.request = false;
        policies.body.max_size = None;
    });
    let limited = with_policies(route("/limited", "a"), |policies| {
        policies.body.max_size = Some(10);
    });
    let hasty = with_policies(route("/hasty", "a"), |policies| {
        policies.timeouts.read = Duration::from_millis(500);
        policies.timeouts.send = Duration::from_millis(500);
        policies.body.max_size = None;
    });
    let usual = with_policies(route("/", "a"), |policies| policies.body.max_size = None);
    let builder = Builder::new()
        .http("http")
        .cluster_with("a", backends, |cluster| cluster.protocol = UpstreamProtocol::H2c)
        .host("foo.bar", [other, limited, hasty, usual]);
    Gateway::with_log(&builder, log)
}

async fn start(behaviour: Behaviour) -> (Backend, Gateway, SendRequest<Bytes>) {
    let backend = Backend::start(behaviour).await;
    let gateway = gateway(&[backend.address], AccessLog::off());
    let client = h2_client(&gateway).await;
    (backend, gateway, client)
}

fn answering(answer: Answer) -> Behaviour {
    Behaviour {
        answer,
        ..Behaviour::default()
    }
}

fn call(client: &mut SendRequest<Bytes>, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
    let request = Request::post(format!("http://foo.bar{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    client.send_request(request, false).unwrap()
}

/// A call with one message, which comes back.
async fn unary(client: &mut SendRequest<Bytes>) -> u16 {
    let (answer, mut to) = call(client, "/a.B/C");
    to.send_data("ping".into(), true).unwrap();
    let answer = timeout(PATIENCE, answer).await.expect("an answer").unwrap();
    let status = answer.status().as_u16();
    let (data, trailers) = body(answer.into_body()).await;
    if status == 200 {
        assert_eq!(data, b"ping");
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
    }
    status
}

async fn hear(from: &mut RecvStream) -> Bytes {
    let data = timeout(PATIENCE, from.data()).await.expect("an answer");
    let data = data.unwrap().unwrap();
    from.flow_control().release_capacity(data.len()).unwrap();
    data
}

/// The backend is silent until the message, the client until the answer.
#[tokio::test]
async fn each_message_waits_for_the_other_sides() {
    let (backend, _gateway, mut client) = start(Behaviour::default()).await;
    let (answer, mut to) = call(&mut client, "/a.B/C?d=%20e");
    let answer = timeout(PATIENCE, answer)
        .await
        .expect("a head without a message")
        .unwrap();
    assert!(answer.headers().contains_key("date") && !answer.headers().contains_key("server"));
    let mut from = answer.into_body();
    for number in 0..50 {
        let message = Bytes::from(format!("message {number}"));
        to.send_data(message.clone(), number == 49).unwrap();
        assert_eq!(hear(&mut from).await, message);
    }
    assert!(from.data().await.is_none());
    let trailers = from.trailers().await.unwrap().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-own"]),
        (&"0".parse().unwrap(), &"1".parse().unwrap())
    );
    let heads = backend.seen.heads.lock();
    assert_eq!(heads[0].uri, "http://foo.bar/a.B/C?d=%20e");
    assert_eq!(heads[0].headers["te"], "trailers");
    for (name, value) in [
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "foo.bar"),
        ("x-forwarded-proto", "http"),
        ("x-scheme", "http"),
    ] {
        assert_eq!(heads[0].headers[name], value, "{name}");
    }
    assert!(!heads[0].headers.contains_key("host"));
}

/// The same head, field by field, whichever path a request takes.
#[tokio::test]
async fn both_paths_send_the_same_head() {
    let (backend, _gateway, mut client) = start(Behaviour::default()).await;
    for path in ["/a", "/pingora"] {
        let request = Request::post(format!("http://foo.bar{path}"))
            .header("te", "trailers")
            .header("x-forwarded-for", "1.2.3.4")
            .header("x-forwarded-host", "evil")
            .header("x-scheme", "evil")
            .header("proxy", "evil")
            .header("x-request-id", "mine")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("x-twice", "1")
            .header("x-twice", "2")
            .body(())
            .unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    let heads = backend.seen.heads.lock();
    let fields = |at: usize| {
        let mut fields: Vec<_> = heads[at].headers.iter().collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        fields
    };
    assert_eq!(fields(0), fields(1));
    assert_eq!(heads[0].uri.authority(), heads[1].uri.authority());
    assert_eq!(heads[0].uri.scheme(), heads[1].uri.scheme());
}

/// It says how many streams it takes before it gets one, which only the direct
/// path waits for.
#[tokio::test]
async fn it_is_the_direct_path() {
    for (path, waits) in [("/a.B/C", true), ("/pingora", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = gateway(&[listener.local_addr().unwrap()], AccessLog::off());
        let mut client = h2_client(&gateway).await;
        let _call = call(&mut client, path);
        let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        let patience = if waits {
            Duration::from_millis(200)
        } else {
            PATIENCE
        };
        assert_eq!(has_headers(&mut stream, patience).await, !waits, "{path}");
        // SETTINGS without any.
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        assert!(!waits || has_headers(&mut stream, PATIENCE).await, "{path}");
    }
}

/// Whether a frame of HEADERS comes in time, on a connection without padding.
async fn has_headers(stream: &mut TcpStream, patience: Duration) -> bool {
    let mut read = Vec::new();
    // Type 1, END_HEADERS, stream 1.
    let has_come = |read: &[u8]| read.windows(6).any(|frame| frame == [1, 4, 0, 0, 0, 1]);
    let reading =
        async { while !has_come(&read) && stream.read_buf(&mut read).await.is_ok_and(|count| count > 0) {} };
    let _ = timeout(patience, reading).await;
    has_come(&read)
}

/// A client that takes no answers is still heard; and what it does not take stays
/// with the backend.
#[tokio::test]
async fn one_direction_does_not_stop_the_other() {
    let (backend, _gateway, mut client) = start(answering(Answer::Flood)).await;
    let (answer, mut to) = call(&mut client, "/");
    let from = answer.await.unwrap().into_body();
    eventually("it begins", || backend.seen.sent.load(SeqCst) > 0).await;
    let mut before = usize::MAX;
    while before != backend.seen.sent.load(SeqCst) {
        before = backend.seen.sent.load(SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(before <= 4 * 64 * 1024, "{before}");
    let length = 1024 * 1024;
    timeout(PATIENCE, send(&mut to, vec![b'y'; length].into(), true))
        .await
        .unwrap()
        .unwrap();
    eventually("all of it arrives", || {
        backend.seen.received.load(SeqCst) == length
    })
    .await;
    assert_eq!(backend.seen.sent.load(SeqCst), before);
    drop(from);
}

#[tokio::test]
async fn large_bodies_pass_whole_both_ways() {
    let (_backend, _gateway, mut client) = start(Behaviour::default()).await;
    let (answer, mut to) = call(&mut client, "/");
    let whole: Bytes = (0..3 * 1024 * 1024).map(|at| (at % 251) as u8).collect();
    let sent = whole.clone();
    tokio::spawn(async move { send(&mut to, sent, true).await });
    let (data, trailers) = timeout(PATIENCE, body(answer.await.unwrap().into_body()))
        .await
        .unwrap();
    assert!(data == whole);
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_client_that_cancels_is_heard_by_the_backend() {
    for answer in [Answer::Nothing, Answer::Echo, Answer::Silence] {
        let (backend, _gateway, mut client) = start(answering(answer)).await;
        let (head, mut to) = call(&mut client, "/");
        to.send_data("x".into(), answer == Answer::Silence).unwrap();
        let head = match answer {
            Answer::Nothing => {
                eventually("it is asked", || backend.seen.requests.load(SeqCst) == 1).await;
                None
            }
            _ => Some(head.await.unwrap()),
        };
        to.send_reset(Reason::CANCEL);
        eventually("it hears of it", || !backend.seen.resets.lock().is_empty()).await;
        assert_eq!(*backend.seen.resets.lock(), [Reason::CANCEL]);
        drop(head);
        // The connection serves on.
        eventually("the stream is over", || backend.seen.open.load(SeqCst) == 0).await;
        assert_eq!(backend.seen.connections.load(SeqCst), 1);
    }
}

#[tokio::test]
async fn a_reset_reaches_the_client_after_what_came_before() {
    for reason in [Reason::ENHANCE_YOUR_CALM, Reason::INTERNAL_ERROR, Reason::CANCEL] {
        let (_backend, _gateway, mut client) = start(answering(Answer::Reset(reason))).await;
        let (answer, _to) = call(&mut client, "/");
        let mut from = answer.await.unwrap().into_body();
        assert_eq!(hear(&mut from).await, "before");
        let error = timeout(PATIENCE, from.data())
            .await
            .unwrap()
            .unwrap()
            .unwrap_err();
        assert_eq!(error.reason(), Some(reason));
    }
}

#[tokio::test]
async fn an_answer_may_be_a_head_alone() {
    let (_backend, _gateway, mut client) = start(answering(Answer::HeadOnly)).await;
    let (answer, _to) = call(&mut client, "/");
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.headers()["grpc-status"], "5");
    assert!(answer.body().is_end_stream());
}

#[tokio::test]
async fn silence_has_an_end() {
    let (backend, _gateway, mut client) = start(answering(Answer::Nothing)).await;
    let (answer, _to) = call(&mut client, "/hasty");
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 504);
    eventually("it is cancelled", || {
        *backend.seen.resets.lock() == [Reason::CANCEL]
    })
    .await;

    let (backend, _gateway, mut client) = start(answering(Answer::Silence)).await;
    let (answer, _to) = call(&mut client, "/hasty");
    let mut from = answer.await.unwrap().into_body();
    assert_eq!(hear(&mut from).await, "before");
    let error = timeout(PATIENCE, from.data())
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    eventually("it is cancelled", || {
        *backend.seen.resets.lock() == [Reason::CANCEL]
    })
    .await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let (backend, _gateway, mut client) = start(answering(Answer::Nothing)).await;
    let (answer, mut to) = call(&mut client, "/limited");
    to.send_data("01234".into(), false).unwrap();
    eventually("it is asked", || backend.seen.requests.load(SeqCst) == 1).await;
    to.send_data("56789x".into(), false).unwrap();
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 413);
    eventually("it is cancelled", || {
        *backend.seen.resets.lock() == [Reason::CANCEL]
    })
    .await;
}

/// None is lost, although the backend says good-bye all the time.
#[tokio::test]
async fn a_backend_may_say_good_bye() {
    let behaviour = Behaviour {
        requests: Some(3),
        ..Behaviour::default()
    };
    let (backend, _gateway, mut client) = start(behaviour).await;
    for _ in 0..20 {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let mut client = client.clone().ready().await.unwrap();
            calls.spawn(async move { unary(&mut client).await });
        }
        while let Some(status) = calls.join_next().await {
            assert_eq!(status.unwrap(), 200);
        }
        client = client.ready().await.unwrap();
    }
    assert_eq!(backend.seen.requests.load(SeqCst), 100);
    assert!(backend.seen.connections.load(SeqCst) > 10);
}

#[tokio::test]
async fn a_backend_may_close_idle_connections() {
    let behaviour = Behaviour {
        closes_after: Some(1),
        ..Behaviour::default()
    };
    let (backend, _gateway, mut client) = start(behaviour).await;
    for count in 1..=3 {
        assert_eq!(unary(&mut client).await, 200);
        assert_eq!(backend.seen.connections.load(SeqCst), count);
        eventually("it closes", || backend.seen.closed.load(SeqCst) == count).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// GOAWAY names the last stream that it has looked at (RFC 9113 §6.8): a request
/// above that is sent again whatever its method, with its body.
#[tokio::test]
async fn what_the_backend_has_not_looked_at_is_sent_again() {
    for code in [0, 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = gateway(&[listener.local_addr().unwrap()], AccessLog::off());
        let seen = Arc::new(Seen::default());
        let log = seen.clone();
        tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.unwrap();
            first.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            assert!(has_headers(&mut first, PATIENCE).await);
            let go_away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, code];
            first.write_all(&go_away).await.unwrap();
            let (second, _) = listener.accept().await.unwrap();
            serve(second, Behaviour::default(), log).await;
        });
        let mut client = h2_client(&gateway).await;
        assert_eq!(unary(&mut client).await, 200);
        assert_eq!(seen.requests.load(SeqCst), 1);
    }
}

/// Streams that all stay open, more than a connection takes: none waits for
/// another, none is refused.
#[tokio::test]
async fn more_streams_than_a_connection_takes() {
    let behaviour = Behaviour {
        streams: Some(3),
        ..Behaviour::default()
    };
    let (backend, _gateway, mut client) = start(behaviour).await;
    for _ in 0..2 {
        let mut open = Vec::new();
        for _ in 0..20 {
            client = client.ready().await.unwrap();
            open.push(call(&mut client, "/"));
        }
        let mut talking = Vec::new();
        for (answer, mut to) in open {
            to.send_data("x".into(), false).unwrap();
            let answer = timeout(PATIENCE, answer).await.expect("an answer").unwrap();
            assert_eq!(answer.status(), 200);
            let mut from = answer.into_body();
            assert_eq!(hear(&mut from).await, "x");
            talking.push((to, from));
        }
        for (mut to, mut from) in talking {
            to.send_data(Bytes::new(), true).unwrap();
            assert!(from.data().await.is_none());
            assert_eq!(from.trailers().await.unwrap().unwrap()["grpc-status"], "0");
        }
    }
    // The gateway's test runtime has one thread, so one set of connections.
    let connections = backend.seen.connections.load(SeqCst);
    assert!((7..=8).contains(&connections), "{connections}");
    assert_eq!(backend.seen.most_open.load(SeqCst), 20);
}

/// One connection for all, where it takes them.
#[tokio::test]
async fn streams_share_a_connection() {
    let (backend, _gateway, mut client) = start(Behaviour::default()).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..30 {
        client = client.ready().await.unwrap();
        let mut client = client.clone();
        calls.spawn(async move { unary(&mut client).await });
    }
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(backend.seen.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn a_call_leaves_a_line_and_counts() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = AccessLog::to_writer(Format::default(), file.reopen().unwrap()).unwrap();
    let backend = Backend::start(Behaviour::default()).await;
    let gateway = gateway(&[backend.address], log);
    let mut client = h2_client(&gateway).await;
    assert_eq!(unary(&mut client).await, 200);
    let text = || std::fs::read_to_string(file.path()).unwrap();
    eventually("there is a line", || text().ends_with('\n')).await;
    let line = text();
    assert!(line.contains("\"POST /a.B/C HTTP/2.0\" 200 4 "), "{line}");
    assert!(line.contains(&format!(" {} 4 ", backend.address)), "{line}");
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_costs_no_call() {
    let backend = Backend::start(Behaviour::default()).await;
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gateway = gateway(&[nobody, backend.address], AccessLog::off());
    let mut client = h2_client(&gateway).await;
    for _ in 0..6 {
        assert_eq!(unary(&mut client).await, 200);
    }
    assert_eq!(backend.seen.requests.load(SeqCst), 6);
}
