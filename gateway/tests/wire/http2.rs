//! HTTP/2 from clients and to upstreams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use parking_lot::Mutex;
use tidegate_snapshot::{HttpSettings, ListenerProtocol, UpstreamProtocol};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Gateway, simple};
use crate::support::client::Client;
use crate::support::snapshot::{Builder, route};
use crate::support::upstream::Echo;

pub(crate) async fn h2_client(gateway: &Gateway) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(gateway.address("http")).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

pub(crate) async fn body(mut stream: RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    (body, stream.trailers().await.unwrap())
}

/// `http2-max-concurrent-streams` is announced, each listener's own.
#[tokio::test]
async fn the_number_of_streams_is_the_listeners() {
    let echo = Echo::start("one").await;
    let builder = Builder::new()
        .listener("http", ListenerProtocol::Http, |listener| {
            let http = HttpSettings {
                h2_max_streams: 3,
                ..Default::default()
            };
            listener.http = http.into();
        })
        .cluster("a", &[echo.address])
        .host("foo.bar", [route("/", "a")]);
    let gateway = Gateway::start(&builder);
    let stream = TcpStream::connect(gateway.address("http")).await.unwrap();
    let (mut send, connection): (SendRequest<Bytes>, _) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    // The settings come with the first answer at the latest.
    let request = Request::get("http://foo.bar/").body(()).unwrap();
    let (answer, _) = send.send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    assert_eq!(send.current_max_send_streams(), 3);
}

/// What an [`H2Upstream`] does with requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Echoes the body, then trailers.
    Trailers,
    /// Resets each stream with this reason.
    Reset(Reason),
    /// Closes the connection when a request has come.
    GoAway,
}

struct H2Upstream {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<http::request::Parts>>>,
}

async fn h2_upstream(mode: Mode) -> H2Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = H2Upstream {
        address: listener.local_addr().unwrap(),
        count: Arc::default(),
        last: Arc::default(),
    };
    let (count, last) = (upstream.count.clone(), upstream.last.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (count, last) = (count.clone(), last.clone());
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    count.fetch_add(1, SeqCst);
                    let (parts, stream) = request.into_parts();
                    *last.lock() = Some(parts);
                    match mode {
                        Mode::Reset(reason) => respond.send_reset(reason),
                        Mode::GoAway => {
                            connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
                        }
                        Mode::Trailers => {
                            tokio::spawn(async move {
                                let head = Response::builder().header("content-type", "application/grpc");
                                let mut send = respond.send_response(head.body(()).unwrap(), false).unwrap();
                                let (data, _) = body(stream).await;
                                send.send_data(data.into(), false).unwrap();
                                let mut trailers = HeaderMap::new();
                                trailers.insert("grpc-status", "0".parse().unwrap());
                                send.send_trailers(trailers).unwrap();
                            });
                        }
                    }
                }
            });
        }
    });
    upstream
}

fn grpc(endpoints: &[SocketAddr]) -> Gateway {
    let builder = Builder::new()
        .http("http")
        .cluster_with("a", endpoints, |cluster| cluster.protocol = UpstreamProtocol::H2c)
        .host("foo.bar", [route("/", "a")]);
    Gateway::start(&builder)
}

fn request(method: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri("http://foo.bar/pkg.Service/Method")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

#[tokio::test]
async fn requests_reach_http1_upstreams_whole() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = h2_client(&gateway).await;
    let request = Request::builder()
        .uri("http://Foo.bar:81/a?b")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("date"));
    assert!(!answer.headers().contains_key("connection"));
    let seen = echo.last();
    assert!(seen.head.starts_with("GET /a?b HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(seen.header("Host"), Some("Foo.bar:81"));
    assert_eq!(seen.header("X-Forwarded-Host"), Some("Foo.bar:81"));
    assert_eq!(seen.header("Cookie"), Some("a=1; b=2"));
    assert_eq!(seen.header("TE"), None);
    assert_eq!(seen.header("Transfer-Encoding"), None);
    assert_eq!(
        seen.headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("cookie"))
            .count(),
        1
    );
}

#[tokio::test]
async fn bodies_of_unknown_length_become_chunked() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = h2_client(&gateway).await;
    let request = Request::post("http://foo.bar/").body(()).unwrap();
    let (answer, mut send) = client.send_request(request, false).unwrap();
    send.send_data("abc".into(), false).unwrap();
    send.send_data("de".into(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    let seen = echo.last();
    assert_eq!(
        (&*seen.body, seen.header("Transfer-Encoding")),
        (&b"abcde"[..], Some("chunked"))
    );
}

/// The bytes of a second end would stand before the next request on the
/// connection.
#[tokio::test]
async fn a_body_that_ends_without_bytes_ends_once() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = h2_client(&gateway).await;
    let mut connections = Vec::new();
    for length in [3, 70_000].repeat(10) {
        let request = Request::post("http://foo.bar/").body(()).unwrap();
        let (answer, mut send) = client.send_request(request, false).unwrap();
        send.send_data(vec![b'a'; length].into(), false).unwrap();
        send.send_data("".into(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        let seen = echo.last();
        assert_eq!(seen.body.len(), length);
        connections.push(seen.connection);
    }
    // A request may come before the connection of the one before it is free again.
    connections.dedup();
    assert!(connections.len() < 20, "none was used twice");
}

#[tokio::test]
async fn own_answers_and_limits() {
    let gateway = Gateway::start(&simple(&[]));
    let mut client = h2_client(&gateway).await;
    for (uri, method, expected) in [
        ("http://other/", "GET", 404),
        ("http://foo.bar/", "GET", 503),
        ("http://foo.bar/", "TRACE", 405),
        ("http://foo.bar/../x", "GET", 400),
    ] {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), expected, "{method} {uri}");
        let length = answer.headers()["content-length"]
            .to_str()
            .unwrap()
            .parse::<usize>()
            .unwrap();
        assert_eq!(body(answer.into_body()).await.0.len(), length);
    }
    let request = Request::post("http://foo.bar/")
        .header("content-length", "2000000")
        .body(())
        .unwrap();
    let (answer, _send) = client.send_request(request, false).unwrap();
    assert_eq!(answer.await.unwrap().status(), 413);
    let request = Request::post("http://foo.bar/")
        .header("x-long", "a".repeat(9000))
        .body(())
        .unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 400);
}

#[tokio::test]
async fn grpc_passes_with_authority_te_and_trailers() {
    let upstream = h2_upstream(Mode::Trailers).await;
    let gateway = grpc(&[upstream.address]);
    let mut client = h2_client(&gateway).await;
    for _ in 0..3 {
        let (answer, mut send) = client.send_request(request("POST"), false).unwrap();
        // The answer's head comes while the request is still open.
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"application/grpc".parse().unwrap())
        );
        send.send_data("ping".into(), true).unwrap();
        let (data, trailers) = body(answer.into_body()).await;
        assert_eq!(data, b"ping");
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
    }
    let seen = upstream.last.lock().take().unwrap();
    assert_eq!(seen.uri.authority().unwrap(), "foo.bar");
    assert_eq!(seen.uri.path(), "/pkg.Service/Method");
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["x-real-ip"], "127.0.0.1");
    assert!(!seen.headers.contains_key("host"));
}

#[tokio::test]
async fn a_post_is_never_sent_again_over_http2() {
    for mode in [
        Mode::Reset(Reason::REFUSED_STREAM),
        Mode::Reset(Reason::INTERNAL_ERROR),
        Mode::GoAway,
    ] {
        let (one, two) = (h2_upstream(mode).await, h2_upstream(mode).await);
        let gateway = grpc(&[one.address, two.address]);
        let mut client = h2_client(&gateway).await;
        let (answer, _) = client.send_request(request("POST"), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 502);
        assert_eq!(one.count.load(SeqCst) + two.count.load(SeqCst), 1);
        let (answer, _) = client.send_request(request("GET"), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 502);
        assert!(one.count.load(SeqCst) + two.count.load(SeqCst) > 2, "a GET is");
    }
}

#[tokio::test]
async fn http1_clients_reach_http2_upstreams() {
    let upstream = h2_upstream(Mode::Trailers).await;
    let gateway = grpc(&[upstream.address]);
    let mut client = gateway.client().await;
    let post = "POST /x HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nping";
    let answer = client.request(post).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ping"));
    let seen = upstream.last.lock().take().unwrap();
    assert_eq!(seen.uri.authority().unwrap(), "foo.bar");
    assert!(!seen.headers.contains_key("connection"));
}

#[tokio::test]
async fn alpn_chooses_it_over_tls() {
    let echo = Echo::start("one").await;
    let builder = simple(&[echo.address]).https("https").certificate("");
    let gateway = Gateway::start(&builder);
    let client = Client::tls(gateway.address("https"), "foo.bar", &["h2", "http/1.1"]).await;
    assert_eq!(client.alpn.as_deref(), Some(&b"h2"[..]));
    let (send, connection) = h2::client::handshake(client.into_stream()).await.unwrap();
    tokio::spawn(connection);
    let mut send = send.ready().await.unwrap();
    let request = Request::get("https://foo.bar/").body(()).unwrap();
    let (answer, _) = send.send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    assert_eq!(echo.last().header("X-Forwarded-Proto"), Some("https"));
}

/// A length that is not the body's would make the next request on the
/// upstream's connection part of this one's body.
#[tokio::test]
async fn a_wrong_length_does_not_reach_http1_upstreams() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    for length in ["50", "0, 50", "x"] {
        let mut client = h2_client(&gateway).await;
        let request = Request::get("http://foo.bar/")
            .header("content-length", length)
            .body(())
            .unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        if let Ok(answer) = answer.await {
            assert_eq!(answer.status(), 400, "{length}");
        }
        assert_eq!(echo.count(), 0, "{length}");
    }
    let mut client = h2_client(&gateway).await;
    let request = Request::post("http://foo.bar/")
        .header("content-length", "5")
        .body(())
        .unwrap();
    let (answer, mut send) = client.send_request(request, false).unwrap();
    send.send_data("abc".into(), true).unwrap();
    if let Ok(answer) = answer.await {
        assert!(answer.status().is_client_error(), "{answer:?}");
    }
    assert_eq!(echo.count(), 0);
    assert_eq!(gateway.client().await.get("foo.bar", "/").await.status, 200);
}
