//! A service that speaks Envoy's ext_authz over gRPC without TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use messages::{CheckRequest, CheckResponse};

// Their numbers are compared with another implementation's in the gateway's own tests.
#[path = "../../src/policy/authorization/messages.rs"]
pub(crate) mod messages;

/// It stops when dropped.
pub(crate) struct Authorizer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<CheckRequest>>,
    says: Mutex<Says>,
}

/// What it answers from now on.
#[derive(Clone)]
pub(crate) enum Says {
    /// This message.
    Message(CheckResponse),
    /// These bytes, and status 0.
    Bytes(&'static [u8]),
    /// No message and this status, at once or behind an empty body.
    Status(&'static str, bool),
    /// That something went wrong with the stream.
    Reset,
    /// Nothing, and the stream stays open.
    Nothing,
}

impl Default for Says {
    fn default() -> Self {
        Self::Bytes(b"")
    }
}

impl Authorizer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            accepting,
        }
    }

    pub(crate) fn says(&self, says: Says) {
        *self.shared.says.lock() = says;
    }

    /// How many questions there were.
    pub(crate) fn count(&self) -> usize {
        self.shared.asked.lock().len()
    }

    /// The newest question.
    pub(crate) fn last(&self) -> messages::AttributeContext {
        let asked = self.shared.asked.lock();
        asked.last().unwrap().attributes.clone().unwrap()
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Owns the connections' tasks.
    let mut tasks = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tasks.spawn(async move {
            let mut connection = h2::server::handshake(stream).await.ok()?;
            // Accepting drives the streams.
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(call(request, respond, shared.clone()));
            }
            Some(())
        });
    }
}

async fn call(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: Arc<Shared>,
) -> Option<()> {
    assert_eq!(request.uri().path(), "/envoy.service.auth.v3.Authorization/Check");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    assert_eq!(request.headers()["te"], "trailers");
    let mut body = request.into_body();
    let mut message = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        let _ = body.flow_control().release_capacity(data.len());
        message.put(data);
    }
    shared
        .asked
        .lock()
        .push(CheckRequest::decode(&message[5..]).unwrap());
    let answer = Response::builder().header("content-type", "application/grpc");
    let says = shared.says.lock().clone();
    let (body, status) = match &says {
        Says::Message(message) => (message.encode_to_vec(), "0"),
        Says::Bytes(bytes) => (bytes.to_vec(), "0"),
        Says::Status(status, true) => {
            let answer = answer.header("grpc-status", *status).body(()).unwrap();
            return respond.send_response(answer, true).ok().map(drop);
        }
        Says::Status(status, false) => (Vec::new(), *status),
        Says::Reset => {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            return None;
        }
        Says::Nothing => std::future::pending().await,
    };
    let mut answer = respond.send_response(answer.body(()).unwrap(), false).ok()?;
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(body.len().try_into().unwrap());
    framed.extend(body);
    answer.send_data(framed.freeze(), false).ok()?;
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))]);
    answer.send_trailers(trailers).ok()
}
