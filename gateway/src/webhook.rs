//! An HTTPS endpoint for the API server's questions: HTTP/1.1 by Pingora, the
//! certificate exchanged whenever there is a new one, everything bounded in
//! size, number and time. What the questions mean is the caller's.

mod certificate;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use pingora_core::apps::ServerApp;
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::listeners::tls::{Acceptor, TlsSettings};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4::stream::Stream;
use rustls::server::ResolvesServerCert;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::debug;

pub use certificate::{CertificateFiles, CertificateSlot, PairError};

/// A body this long is refused with 413, as by ingress-nginx: 9 MiB.
pub const MAX_BODY: usize = 9 * 1024 * 1024;

/// Connections at one time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;

/// For the handshake, and for each request, waiting for it included.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Answers the body of a POST with a status and JSON, or a text for people.
#[async_trait]
pub trait Answer: Send + Sync + 'static {
    /// `Err`: the status and why.
    async fn answer(&self, body: Vec<u8>) -> Result<Vec<u8>, (StatusCode, String)>;
}

/// Answers on `listener` until `stop` turns true; then each connection ends
/// after the request that it is in.
pub async fn serve(
    listener: TcpListener,
    certificate: Arc<dyn ResolvesServerCert>,
    answer: Arc<dyn Answer>,
    mut stop: watch::Receiver<bool>,
) {
    let app = Arc::new(App(answer));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let acceptor = Arc::new(acceptor(certificate));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others must close some first.
                debug!(%error, "webhook connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (app, acceptor, stop) = (app.clone(), acceptor.clone(), stop.clone());
        tokio::spawn(async move {
            let _slot = slot;
            connection(&app, &acceptor, stream, &stop).await;
        });
    }
}

/// Resolves when `stop` is true, or its sender gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn acceptor(certificate: Arc<dyn ResolvesServerCert>) -> Acceptor {
    crate::tls::install_provider();
    // The paths are not looked at: a resolver takes their place.
    let mut settings = TlsSettings::intermediate("", "").expect("nothing is read here");
    settings.set_cert_resolver(certificate);
    settings.build()
}

async fn connection(app: &Arc<App>, acceptor: &Acceptor, stream: TcpStream, stop: &watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let handshake = acceptor.tls_handshake(Stream::from(stream));
    let tls = match tokio::time::timeout(HANDSHAKE_TIME, handshake).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return debug!(%error, "webhook handshake failed"),
        Err(_) => return,
    };
    let mut next: Option<pingora_core::protocols::Stream> = Some(Box::new(tls));
    while let Some(stream) = next.take() {
        let request = app.process_new(stream, stop);
        next = tokio::time::timeout(REQUEST_TIME, request).await.ok().flatten();
    }
}

struct App(Arc<dyn Answer>);

#[async_trait]
impl ServeHttp for App {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let answer = match read(session).await {
            Ok(body) => self.0.answer(body).await,
            Err(refusal) => {
                // The rest of the body is not read.
                session.set_keepalive(None);
                Err(refusal)
            }
        };
        match answer {
            Ok(body) => response(StatusCode::OK, "application/json", body),
            Err((status, text)) => response(status, "text/plain; charset=utf-8", text.into_bytes()),
        }
    }
}

/// The body of a POST, if it is short enough.
async fn read(session: &mut ServerSession) -> Result<Vec<u8>, (StatusCode, String)> {
    if session.req_header().method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "only POST".to_owned()));
    }
    let too_long = || (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long".to_owned());
    let length = session.req_header().headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length >= MAX_BODY) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(part)) if body.len() + part.len() >= MAX_BODY => return Err(too_long()),
            Ok(Some(part)) => body.extend_from_slice(&part),
            Ok(None) => return Ok(body),
            Err(_) => return Err((StatusCode::BAD_REQUEST, "the body ended too soon".to_owned())),
        }
    }
}

fn response(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
