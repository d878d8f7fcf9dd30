//! HTTP/2: clients that share connections, each with one stream at a time. A request
//! is a GET or a unary call of gRPC (its "HTTP/2 protocol mapping").

use std::io;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Request, Uri};
use tokio::sync::Mutex;

use crate::load::{self, Failure};
use crate::transport::Endpoint;

/// A connection, and the one after it when it has ended.
pub(crate) struct Connection {
    endpoint: Endpoint,
    sender: Mutex<Option<SendRequest<Bytes>>>,
}

impl Connection {
    /// Opened by its first request.
    pub(crate) fn new(endpoint: Endpoint) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            sender: Mutex::new(None),
        })
    }

    async fn sender(&self) -> io::Result<SendRequest<Bytes>> {
        let mut sender = self.sender.lock().await;
        if let Some(open) = &*sender
            && let Ok(ready) = open.clone().ready().await
        {
            return Ok(ready);
        }
        let stream = self.endpoint.connect().await?;
        let (new, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        // How it ends is what its streams say.
        tokio::spawn(connection);
        let new = new.ready().await.map_err(io::Error::other)?;
        *sender = Some(new.clone());
        Ok(new)
    }
}

/// One stream at a time.
pub(crate) struct Client {
    connection: Arc<Connection>,
    uri: Uri,
    /// The message of a call as it goes over the wire; `None`: a GET.
    call: Option<Bytes>,
}

/// A message with the five bytes that stand before it: not compressed, and how long.
pub(crate) fn message(size: u16) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + usize::from(size));
    frame.put_u8(0);
    frame.put_u32(size.into());
    frame.put_bytes(b'x', size.into());
    frame.freeze()
}

impl Client {
    pub(crate) fn new(connection: Arc<Connection>, uri: Uri, call: Option<Bytes>) -> Self {
        Self {
            connection,
            uri,
            call,
        }
    }

    /// What is wrong with the answer, if anything is.
    async fn ask(&self, sender: &mut SendRequest<Bytes>) -> Result<Result<(), String>, h2::Error> {
        let request = Request::builder().uri(self.uri.clone());
        let request = match self.call {
            None => request.body(()),
            Some(_) => request
                .method("POST")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("user-agent", "tidegate-load")
                .body(()),
        };
        let request = request.expect("constant fields and a URI that was parsed make a request");
        let (answer, mut body) = sender.send_request(request, self.call.is_none())?;
        if let Some(message) = &self.call {
            body.send_data(message.clone(), true)?;
        }
        let answer = answer.await?;
        let (head, mut body) = answer.into_parts();
        let received = read(&mut body).await?;
        if !head.status.is_success() {
            return Ok(Err(format!("status {}", head.status)));
        }
        let Some(message) = &self.call else {
            return Ok(Ok(()));
        };
        let kind = head.headers.get("content-type").map(http::HeaderValue::as_bytes);
        if !kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
            return Ok(Err(format!("Content-Type {kind:?}")));
        }
        // An answer without a message has its status in the head.
        let trailers = body.trailers().await?.unwrap_or_default();
        let status = trailers.get("grpc-status").or(head.headers.get("grpc-status"));
        match status.map(http::HeaderValue::as_bytes) {
            Some(b"0") if received == *message => Ok(Ok(())),
            Some(b"0") => Ok(Err("not the message that was sent".to_owned())),
            status => Ok(Err(format!(
                "grpc-status {:?}",
                status.map(String::from_utf8_lossy)
            ))),
        }
    }
}

async fn read(body: &mut RecvStream) -> Result<BytesMut, h2::Error> {
    let mut received = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        received.extend_from_slice(&data);
    }
    Ok(received)
}

/// The other side said that it has not looked at the request: its connection ends,
/// as nginx's do after so many requests.
fn is_untouched(error: &h2::Error) -> bool {
    match error.reason() {
        Some(Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
        reason => reason == Some(Reason::REFUSED_STREAM),
    }
}

impl load::Client for Client {
    async fn exchange(&mut self) -> Result<(), Failure> {
        loop {
            let mut sender = self.connection.sender().await?;
            match self.ask(&mut sender).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(wrong)) => return Err(Failure::Answer(wrong)),
                // Ends with the time that an exchange may take, or sooner.
                Err(error) if is_untouched(&error) => {}
                Err(error) => return Err(Failure::Socket(io::Error::other(error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc;
    use load::Client as _;
    use tokio::net::TcpListener;

    async fn listener() -> (TcpListener, Endpoint) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::plain(listener.local_addr().unwrap());
        (listener, endpoint)
    }

    fn client(endpoint: Endpoint, call: Option<Bytes>) -> Client {
        let uri = Uri::from_static("http://a.example/tidegate.Load/Echo");
        Client::new(Connection::new(endpoint), uri, call)
    }

    #[tokio::test]
    async fn calls_are_answered_and_other_requests_are_not() {
        let (listener, endpoint) = listener().await;
        tokio::spawn(grpc::serve(listener));
        let mut caller = client(endpoint.clone(), Some(message(1024)));
        for _ in 0..3 {
            caller.exchange().await.unwrap();
        }
        let failure = client(endpoint, None).exchange().await.unwrap_err();
        assert!(
            matches!(&failure, Failure::Answer(text) if text.contains("415")),
            "{failure:?}"
        );
    }

    #[tokio::test]
    async fn a_status_but_zero_is_a_failure() {
        let (listener, endpoint) = listener().await;
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(request) = connection.accept().await {
                let (_, mut respond) = request.unwrap();
                let head = http::Response::builder()
                    .header("content-type", "application/grpc")
                    .header("grpc-status", "14");
                respond.send_response(head.body(()).unwrap(), true).unwrap();
            }
        });
        let failure = client(endpoint, Some(message(1))).exchange().await.unwrap_err();
        assert!(
            matches!(&failure, Failure::Answer(text) if text.contains("14")),
            "{failure:?}"
        );
    }

    #[tokio::test]
    async fn a_connection_that_ends_is_followed_by_another() {
        let (listener, endpoint) = listener().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                for _ in 0..2 {
                    let (_, mut respond) = connection.accept().await.unwrap().unwrap();
                    respond.send_response(http::Response::new(()), true).unwrap();
                }
                connection.graceful_shutdown();
                tokio::spawn(async move { while connection.accept().await.is_some() {} });
            }
        });
        let mut client = client(endpoint, None);
        for _ in 0..6 {
            client.exchange().await.unwrap();
        }
    }
}
