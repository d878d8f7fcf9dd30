//! A collector: OTLP over gRPC or HTTP, by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::PATIENCE;
use crate::support::client::Stream;

/// How it is spoken to.
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

/// It stops when dropped.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    taken: Arc<Taken>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Taken {
    /// The resource's attributes beside each span.
    spans: Mutex<Vec<(Vec<KeyValue>, Span)>>,
    /// The latest head, over HTTP.
    head: Mutex<String>,
}

impl Taken {
    fn take(&self, message: &[u8]) {
        let request = ExportTraceServiceRequest::decode(message).unwrap();
        for group in request.resource_spans {
            let resource = group.resource.unwrap_or_default().attributes;
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.spans.lock().push((resource.clone(), span));
            }
        }
    }
}

/// The value of an attribute as text; empty without one.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    let value = found.and_then(|attribute| attribute.value.clone()?.value);
    match value {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        None => String::new(),
        other => panic!("{other:?}"),
    }
}

impl Collector {
    pub(crate) async fn start(protocol: Protocol) -> Self {
        Self::with(protocol, None).await
    }

    /// One that speaks TLS, and its certificate in PEM.
    pub(crate) async fn secure(protocol: Protocol) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let pem = made.cert.pem();
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.into()], made.signing_key.into())
            .unwrap();
        config.alpn_protocols = match protocol {
            Protocol::Grpc => vec![b"h2".to_vec()],
            Protocol::Http => vec![b"http/1.1".to_vec()],
        };
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (Self::with(protocol, Some(acceptor)).await, pem)
    }

    async fn with(protocol: Protocol, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Taken::default());
        let accepting = tokio::spawn(accept(listener, protocol, tls, taken.clone()));
        Self {
            address,
            taken,
            accepting,
        }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let taken = self.taken.spans.lock();
        taken.iter().map(|(_, span)| span.clone()).collect()
    }

    /// The one span that comes, and the attributes of its resource.
    pub(crate) async fn one(&self) -> (Vec<KeyValue>, Span) {
        self.count(1).await;
        self.taken.spans.lock()[0].clone()
    }

    /// Waits for so many spans, and whether there are no more.
    pub(crate) async fn count(&self, wanted: usize) {
        let start = Instant::now();
        while self.taken.spans.lock().len() < wanted {
            assert!(start.elapsed() < PATIENCE, "{} spans came", self.spans().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(self.spans().len(), wanted);
    }

    pub(crate) fn head(&self) -> String {
        self.taken.head.lock().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, protocol: Protocol, tls: Option<TlsAcceptor>, taken: Arc<Taken>) {
    // Owns the connections' tasks.
    let mut tasks = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (taken, tls) = (taken.clone(), tls.clone());
        tasks.spawn(async move {
            let stream: Box<dyn Stream> = match tls {
                Some(tls) => Box::new(tls.accept(stream).await.ok()?),
                None => Box::new(stream),
            };
            match protocol {
                Protocol::Grpc => grpc(stream, taken).await,
                Protocol::Http => http1(stream, &taken).await,
            }
        });
    }
}

async fn grpc(stream: Box<dyn Stream>, taken: Arc<Taken>) -> Option<()> {
    let mut connection = h2::server::handshake(stream).await.ok()?;
    // Accepting drives the streams.
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(call(request, respond, taken.clone()));
    }
    Some(())
}

/// A unary call: one message each way, in a frame with five bytes before it.
async fn call(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    taken: Arc<Taken>,
) -> Option<()> {
    assert_eq!(
        request.uri().path(),
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    );
    let mut body = request.into_body();
    let mut message = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        let _ = body.flow_control().release_capacity(data.len());
        message.put(data);
    }
    taken.take(&message[5..]);
    let answer = Response::builder().header("content-type", "application/grpc");
    let mut answer = respond.send_response(answer.body(()).unwrap(), false).ok()?;
    answer.send_data(Bytes::from_static(&[0; 5]), false).ok()?;
    let status = [(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )];
    answer.send_trailers(HeaderMap::from_iter(status)).ok()
}

/// POST requests with `Content-Length`.
async fn http1(mut stream: Box<dyn Stream>, taken: &Taken) -> Option<()> {
    let mut read = BytesMut::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(read.split_to(end).to_vec()).unwrap();
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, length)| length.trim().parse::<usize>().unwrap())
            .unwrap();
        while read.len() < length {
            if stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        }
        *taken.head.lock() = head;
        taken.take(&read.split_to(length));
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}
