//! A small HTTP/1.1 server for the admin port: Pingora's parser and keep-alive,
//! our accept loop, everything bounded in number and time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use pingora_core::apps::ServerApp;
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4::stream::Stream;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tracing::debug;

/// Connections at one time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;

/// For one request on a connection, waiting for it included.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// The longest request target that is looked at.
const MAX_TARGET: usize = 16 * 1024;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its media type.
    pub content_type: &'static str,
    /// Its body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Plain text; a newline is added.
    pub fn text(status: StatusCode, text: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{text}\n").into_bytes(),
        }
    }

    /// A page for people.
    pub fn html(text: &str) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "text/html",
            body: text.into(),
        }
    }

    /// A JSON value, indented for people.
    pub fn json(value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec_pretty(value) {
            Ok(mut body) => {
                body.push(b'\n');
                Self {
                    status: StatusCode::OK,
                    content_type: "application/json",
                    body,
                }
            }
            Err(error) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

/// Answers GET requests by path and query; HEAD is the same without a body.
pub trait Pages: Send + Sync + 'static {
    /// The page at `path`, or `None`: 404.
    fn page(&self, path: &str, query: &str) -> Option<Reply>;
}

/// Answers on `listener` until `stop` turns true; then each connection ends
/// after the request that it is in.
pub async fn serve(listener: TcpListener, pages: Arc<dyn Pages>, mut stop: watch::Receiver<bool>) {
    let app = Arc::new(App(pages));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others must close some first.
                    debug!(%error, "admin connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (app, stop) = (app.clone(), stop.clone());
        tokio::spawn(async move {
            let _slot = slot;
            let _ = stream.set_nodelay(true);
            let mut next: Option<pingora_core::protocols::Stream> = Some(Box::new(Stream::from(stream)));
            while let Some(stream) = next.take() {
                let request = app.process_new(stream, &stop);
                next = tokio::time::timeout(REQUEST_TIME, request).await.ok().flatten();
            }
        });
    }
}

struct App(Arc<dyn Pages>);

#[async_trait]
impl ServeHttp for App {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let (method, target) = (head.method.clone(), head.uri.clone());
        let reply = if method != Method::GET && method != Method::HEAD {
            // A body may follow that nobody reads.
            session.set_keepalive(None);
            Reply::text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD")
        } else if target
            .path_and_query()
            .is_some_and(|text| text.as_str().len() > MAX_TARGET)
        {
            Reply::text(StatusCode::URI_TOO_LONG, "request target too long")
        } else {
            let page = self.0.page(target.path(), target.query().unwrap_or_default());
            page.unwrap_or_else(|| Reply::text(StatusCode::NOT_FOUND, "no such page"))
        };
        response(reply, &method)
    }
}

fn response(reply: Reply, method: &Method) -> Response<Vec<u8>> {
    let length = HeaderValue::from(reply.body.len());
    let body = if method == Method::HEAD {
        Vec::new()
    } else {
        reply.body
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if reply.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
