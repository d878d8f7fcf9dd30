//! GRPCRoutes, ListenerSets, ReferenceGrants, every condition of an HTTPRoute, and
//! what backends speak.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::client::{Client, get};
use crate::support::upstream::Echo;
use crate::{Site, name};

const ROUTES: &str = include_str!("kinds.yaml");

/// Speaks HTTP/2 without TLS, and only that: says the path that it was asked for, and
/// status 0 of gRPC. It stops when dropped.
struct Rpc {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Rpc {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.ok()?;
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        answer(request.uri().path().to_owned(), respond)?;
                    }
                    Some(())
                });
            }
        });
        Self { address, accepting }
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn answer(path: String, mut respond: SendResponse<Bytes>) -> Option<()> {
    let head = Response::builder().header("content-type", "application/grpc");
    let mut body = respond.send_response(head.body(()).unwrap(), false).ok()?;
    body.send_data(path.into(), false).ok()?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    body.send_trailers(trailers).ok()
}

struct Kinds {
    site: Site,
    /// In another namespace, and what WebSocket goes to.
    far: Echo,
    _rpc: Rpc,
}

impl Kinds {
    async fn start() -> Self {
        let (far, rpc) = (Echo::start("far").await, Rpc::start().await);
        let yaml = ROUTES.replace("FAR-PORT", &far.address.port().to_string());
        let yaml = yaml.replace("RPC-PORT", &rpc.address.port().to_string());
        Self {
            site: Site::of(&yaml).await,
            far,
            _rpc: rpc,
        }
    }

    async fn asking(&self, method: &str, path: &str, field: &str) -> String {
        let mut client = Client::connect(self.site.program.http).await;
        let request = format!("{method} {path} HTTP/1.1\r\nHost: conditions.test\r\n{field}\r\n");
        name(&client.request(request).await)
    }

    /// A call over HTTP/2 without TLS: its status, which rule says that it has
    /// answered, and gRPC's status.
    async fn call(&self, host: &str, path: &str, version: &str) -> (u16, String, String) {
        let stream = TcpStream::connect(self.site.program.http).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let driving = tokio::spawn(connection);
        let request = Request::post(format!("http://{host}{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-version", version);
        let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        while let Some(data) = body.data().await {
            let _ = body.flow_control().release_capacity(data.unwrap().len());
        }
        let trailers = body.trailers().await.unwrap().unwrap_or_default();
        let text = |fields: &HeaderMap, name: &str| {
            let value = fields.get(name).map(|value| value.to_str().unwrap());
            value.unwrap_or_default().to_owned()
        };
        driving.abort();
        (
            head.status.as_u16(),
            text(&head.headers, "x-route"),
            text(&trailers, "grpc-status"),
        )
    }
}

#[tokio::test]
async fn conditions_are_on_query_method_header_and_path() {
    let kinds = Kinds::start().await;
    for (method, path, field, expected) in [
        ("GET", "/query?v=2", "", "second"),
        ("GET", "/query?v=1&v=2", "", "first"),
        ("GET", "/query?v=abc", "", "second"),
        ("GET", "/query?v=abcd", "", "first"),
        ("DELETE", "/method", "", "second"),
        ("GET", "/method", "", "first"),
        ("GET", "/regex/12", "", "second"),
        ("GET", "/regex/12/x", "", "first"),
        ("GET", "/header", "X-Version: v1\r\n", "second"),
        ("GET", "/header", "X-Version: v10\r\n", "first"),
    ] {
        let answering = kinds.asking(method, path, field).await;
        assert_eq!(answering, expected, "{method} {path} {field}");
    }
}

#[tokio::test]
async fn a_listener_set_adds_listeners() {
    let kinds = Kinds::start().await;
    let own = |host: &'static str| async { name(&get(kinds.site.own, host, "/").await) };
    assert_eq!(own("a.set.test").await, "second");
    assert_eq!(own("a.else.test").await, "404");
    assert_eq!(
        kinds.site.answering("a.set.test", "/").await,
        "404",
        "on its own port"
    );
}

#[tokio::test]
async fn backends_of_other_namespaces_take_a_grant() {
    let kinds = Kinds::start().await;
    assert_eq!(kinds.site.answering("far.test", "/granted").await, "far");
    assert_eq!(kinds.site.answering("far.test", "/other").await, "500");
    assert_eq!(kinds.far.count(), 1);
}

#[tokio::test]
async fn calls_are_found_by_service_method_and_field() {
    let kinds = Kinds::start().await;
    let good = |rule: &str| (200, rule.to_owned(), "0".to_owned());
    assert_eq!(
        kinds.call("calls.test", "/echo.Echo/Call", "").await,
        good("named")
    );
    assert_eq!(kinds.call("calls.test", "/re.x/Any", "").await, good("named"));
    assert_eq!(
        kinds.call("calls.test", "/echo.Echo/Other", "two").await,
        good("header")
    );
    assert_eq!(kinds.call("calls.test", "/echo.Echo/Other", "").await.0, 404);
}

#[tokio::test]
async fn one_kind_of_route_has_a_host() {
    let kinds = Kinds::start().await;
    let named = kinds.call("younger.test", "/echo.Echo/Call", "").await;
    assert_eq!(named.1, "named");
    assert_eq!(
        kinds.site.answering("younger.test", "/").await,
        "404",
        "not the HTTPRoute's"
    );
}

#[tokio::test]
async fn backends_are_spoken_to_as_their_ports_say() {
    let kinds = Kinds::start().await;
    let answer = kinds.site.get("h2c.test", "/over/http2").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "/over/http2"));

    let upgrade = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: socket.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    };
    let mut client = Client::connect(kinds.site.program.http).await;
    client.send(upgrade("/plain")).await;
    assert_eq!(client.answer().await.status, 101);
    client.send("\x01ping").await;
    assert_eq!(client.take(5).await, b"\x01ping");
    // TLS without a policy: rather nothing than in plain text.
    let mut client = Client::connect(kinds.site.program.http).await;
    assert_eq!(client.request(upgrade("/secure")).await.status, 500);
    assert_eq!(kinds.far.count(), 1);
}
