//! What listeners feed with connections: the direct path for plain requests,
//! Pingora's proxy for everything else.

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, ServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;

use super::Proxy;
use super::direct::{Direct, Next};
use crate::listener;

/// The application of every HTTP listener.
pub struct App {
    pub(super) http: Arc<HttpProxy<Proxy>>,
    pub(super) direct: Direct,
}

impl App {
    pub(super) fn new(http: HttpProxy<Proxy>, direct: Direct) -> Arc<Self> {
        Arc::new(Self {
            http: Arc::new(http),
            direct,
        })
    }
}

#[async_trait]
impl ServerApp for App {
    /// Boxed is what a plain connection does not need: its future lives as long as it.
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let Some(own) = stream.as_any().downcast_ref::<listener::Stream>() else {
            return self.http.process_new(stream, shutdown).await;
        };
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            let connection = Arc::clone(own.connection());
            Box::pin(self.http2(stream, connection, shutdown)).await;
            return None;
        }
        let mut stream = stream.into_any().downcast::<listener::Stream>().ok()?;
        let Next::HandOver { read, served } = self.direct.serve(&mut stream).await else {
            return None;
        };
        let limit = stream
            .connection()
            .listener
            .serving
            .load()
            .spec
            .http
            .keep_alive_requests;
        let mut session = ServerSession::new_http1(stream);
        session.set_pipelined_prefix(read);
        session.set_keepalive_reuses_remaining(Some(limit.saturating_sub(served + 1)));
        Box::pin(self.pass(session, shutdown)).await;
        None
    }

    async fn cleanup(&self) {
        self.http.http_cleanup().await;
    }
}

impl App {
    /// The rest of a connection with Pingora: what it has read ahead cannot be
    /// had back.
    async fn pass(&self, mut session: ServerSession, shutdown: &ShutdownWatch) {
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let mut result = self.http.process_new_http(session, shutdown).await;
        while let Some((stream, settings)) = result.map(|reused| reused.consume()) {
            let mut session = ServerSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
            result = self.http.process_new_http(session, shutdown).await;
        }
    }
}
