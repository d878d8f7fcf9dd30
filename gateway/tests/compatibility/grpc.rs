//! `annotations/grpc.go`: calls over HTTP/2 and TLS to a server that speaks
//! gRPC's framing, unary and streaming in both directions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::auth_server::AuthServer;
use crate::site::{HOST, Site, config_map, ingress_of, service};
use crate::support::PATIENCE;
use crate::support::client::Stream;

/// Sends every message back as soon as it has come; a message `slow` after
/// three seconds. It ends when dropped.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<http::request::Parts>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::with(None).await
    }

    async fn secure() -> Self {
        let made = rcgen::generate_simple_self_signed(["grpc.example".to_owned()]).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.into()], made.signing_key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::with(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let accepting = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log) = (tls.clone(), log.clone());
                tasks.spawn(async move {
                    let stream: Box<dyn Stream> = match tls {
                        Some(tls) => Box::new(tls.accept(stream).await.ok()?),
                        None => Box::new(stream),
                    };
                    let mut connection = h2::server::handshake(stream).await.ok()?;
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let (parts, body) = request.into_parts();
                        log.lock().push(parts);
                        tokio::spawn(echo(body, respond));
                    }
                    Some(())
                });
            }
        });
        Self {
            address,
            seen,
            accepting,
        }
    }

    /// A field of the latest call.
    fn last(&self, name: &str) -> Option<String> {
        let seen = self.seen.lock();
        let value = seen.last().expect("a call").headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn echo(body: RecvStream, mut respond: SendResponse<Bytes>) -> Option<()> {
    let mut messages = Messages::of(body);
    let head = Response::builder().header("content-type", "application/grpc");
    let mut head = Some(head.body(()).unwrap());
    let mut answer = None;
    while let Some(message) = messages.next().await {
        if message == "slow" {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        if let Some(head) = head.take() {
            answer = respond.send_response(head, false).ok();
        }
        answer.as_mut()?.send_data(frame(&message), false).ok()?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    answer?.send_trailers(trailers).ok()
}

/// A message behind its five bytes (gRPC over HTTP/2, "Length-Prefixed-Message").
fn frame(message: &str) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message.as_bytes());
    frame.freeze()
}

/// Messages as they come.
struct Messages {
    body: RecvStream,
    read: Vec<u8>,
}

impl Messages {
    fn of(body: RecvStream) -> Self {
        Self {
            body,
            read: Vec::new(),
        }
    }

    /// `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.read.len() >= 5 {
                let length = u32::from_be_bytes(self.read[1..5].try_into().unwrap()) as usize;
                if self.read.len() >= 5 + length {
                    let message = self.read.drain(..5 + length).skip(5).collect();
                    return Some(String::from_utf8(message).unwrap());
                }
            }
            let data = self.body.data().await?.ok()?;
            self.body.flow_control().release_capacity(data.len()).ok()?;
            self.read.extend_from_slice(&data);
        }
    }

    /// `grpc-status`, after the last message.
    async fn status(mut self) -> Option<String> {
        let trailers = self.body.trailers().await.ok()??;
        Some(trailers.get("grpc-status")?.to_str().unwrap().to_owned())
    }
}

/// A call without messages yet.
fn call(
    client: &mut SendRequest<Bytes>,
    fields: &[(&str, &str)],
) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    let mut request = Request::post(format!("https://{HOST}/echo.Echo/Call"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    client.send_request(request.body(()).unwrap(), false).unwrap()
}

/// A call with one message: the status of HTTP, the message and gRPC's status.
async fn unary(site: &Site, message: &str, fields: &[(&str, &str)]) -> (u16, Option<String>, Option<String>) {
    let mut client = site.http2(HOST).await;
    let (answer, mut send) = call(&mut client, fields);
    send.send_data(frame(message), true).unwrap();
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer");
    let answer = answer.unwrap();
    let status = answer.status().as_u16();
    if status != 200 {
        return (status, None, None);
    }
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let mut messages = Messages::of(answer.into_body());
    let message = messages.next().await;
    assert_eq!(messages.next().await, None);
    (status, message, messages.status().await)
}

async fn site(server: &Server, annotations: &[(&str, &str)], more: &str) -> Site {
    let yaml = service("rpc", &[server.address.port()])
        + &ingress_of("rpc", HOST, annotations, &[("/", "Prefix", "rpc")])
        + more;
    Site::with(&[], &yaml, &["--configmap=default/config"]).await
}

fn good(message: &str) -> (u16, Option<String>, Option<String>) {
    (200, Some(message.to_owned()), Some("0".to_owned()))
}

/// A unary call: the authority is the host, the content type gRPC's.
#[tokio::test]
async fn case_1_unary() {
    let server = Server::start().await;
    let site = site(&server, &[("backend-protocol", "GRPC")], "").await;
    assert_eq!(unary(&site, "hello", &[("x-mine", "1")]).await, good("hello"));
    assert_eq!(server.last("content-type").as_deref(), Some("application/grpc"));
    assert_eq!(server.last("te").as_deref(), Some("trailers"));
    assert_eq!(server.last("x-mine").as_deref(), Some("1"));
    let seen = server.seen.lock();
    assert_eq!(seen[0].uri.authority().map(|host| host.as_str()), Some(HOST));
    assert_eq!(seen[0].uri.path(), "/echo.Echo/Call");
}

/// Metadata that the authentication service says, `Authorization` among it,
/// replaces the client's.
#[tokio::test]
async fn case_2_authentication() {
    let (server, auth) = (Server::start().await, AuthServer::start().await);
    let url = auth.url("/auth");
    let annotations = [
        ("backend-protocol", "GRPC"),
        ("auth-url", url.as_str()),
        ("auth-response-headers", "Authorization, X-Auth-Request-User"),
    ];
    let site = site(&server, &annotations, "").await;
    let mallory = ("x-auth-request-user", "mallory");
    let fields = [
        ("cookie", "_session=joe"),
        ("authorization", "Bearer mallory"),
        mallory,
    ];
    assert_eq!(unary(&site, "hello", &fields).await, good("hello"));
    assert_eq!(server.last("x-auth-request-user").as_deref(), Some("joe"));
    assert_eq!(server.last("authorization").as_deref(), Some("Bearer joe"));
    assert_eq!(unary(&site, "hello", &[mallory]).await.0, 401);
    assert_eq!(server.seen.lock().len(), 1);
}

/// GRPCS: over TLS to the server.
#[tokio::test]
async fn case_3_grpcs() {
    let server = Server::secure().await;
    let site = site(&server, &[("backend-protocol", "GRPCS")], "").await;
    assert_eq!(unary(&site, "hello", &[]).await, good("hello"));
}

/// Timeouts hold: a fast call is served, a slow one is 504.
#[tokio::test]
async fn case_4_and_5_timeouts() {
    let server = Server::start().await;
    let annotations = [
        ("backend-protocol", "GRPC"),
        ("proxy-read-timeout", "1"),
        ("proxy-send-timeout", "1"),
    ];
    let site = site(&server, &annotations, "").await;
    assert_eq!(unary(&site, "hello", &[]).await, good("hello"));
    assert_eq!(unary(&site, "slow", &[]).await.0, 504);
}

/// `settings/grpc.go`: calls work with `grpc-buffer-size-kb`.
#[tokio::test]
async fn settings_1_buffer_size() {
    let server = Server::start().await;
    let config = config_map("config", &[("grpc-buffer-size-kb", "8")]);
    let site = site(&server, &[("backend-protocol", "GRPC")], &config).await;
    assert_eq!(unary(&site, "hello", &[]).await, good("hello"));
}

/// Ours: a stream in both directions; each answer comes before the next message
/// is sent, none waits for another.
#[tokio::test]
async fn ours_streaming() {
    let server = Server::start().await;
    let site = site(&server, &[("backend-protocol", "GRPC")], "").await;
    let mut client = site.http2(HOST).await;
    let (answer, mut send) = call(&mut client, &[]);
    send.send_data(frame("0"), false).unwrap();
    let mut messages = Messages::of(answer.await.unwrap().into_body());
    for number in 0..20 {
        let message = tokio::time::timeout(PATIENCE, messages.next()).await;
        assert_eq!(message.expect("an answer"), Some(number.to_string()));
        let next = (number + 1).to_string();
        send.send_data(frame(&next), number == 19).unwrap();
    }
    assert_eq!(messages.next().await.as_deref(), Some("20"));
    assert_eq!(messages.next().await, None);
    assert_eq!(messages.status().await.as_deref(), Some("0"));
}
