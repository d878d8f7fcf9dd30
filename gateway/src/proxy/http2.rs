//! A client's HTTP/2 connection. Its plain requests are served in its own task,
//! the others each in one of theirs by Pingora's proxy.
//!
//! One task, because then the answers that upstreams gave at the same time leave
//! together: the stream is corked while all of them are written, and each costs a
//! fraction of a system call and of a TLS record.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{
    H2Accept, H2Options, HttpSession, default_h2_options, handshake,
};
use pingora_core::protocols::{Digest, Stream};
use pingora_core::server::ShutdownWatch;
use tidegate_snapshot::HttpSettings;
use tracing::debug;

use super::app::App;
use crate::listener::Connection;

/// What all request bodies of a connection together may hold here. A body that
/// its upstream does not take must not stop the others (nginx gives the most
/// that the protocol has).
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Malformed requests after which a connection is closed: Pingora's number.
const MALFORMED: usize = 32;

/// What becomes of a connection.
#[allow(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
enum Event {
    /// A request.
    Request(HttpSession),
    /// One that has been refused already.
    Refused,
    /// No more will come.
    End,
}

impl App {
    /// Serves a connection until it ends.
    pub(super) async fn http2(&self, stream: Stream, connection: Arc<Connection>, shutdown: &ShutdownWatch) {
        let digest = Arc::new(Digest {
            ssl_digest: stream.get_ssl_digest(),
            timing_digest: stream.get_timing_digest(),
            proxy_digest: stream.get_proxy_digest(),
            socket_digest: stream.get_socket_digest(),
        });
        let options = options(&connection.listener.serving.load().spec.http);
        let mut client = match handshake(stream, Some(options)).await {
            Ok(client) => client,
            Err(error) => return debug!(%error, "HTTP/2 connection not set up"),
        };
        let mut watch = shutdown.clone();
        let mut told_to_go = pin!(async move { watch.changed().await });
        let mut has_been_told = false;
        let mut requests = FuturesUnordered::new();
        let mut malformed = 0;
        poll_fn(|cx| {
            if !has_been_told && told_to_go.as_mut().poll(cx).is_ready() {
                has_been_told = true;
                client.graceful_shutdown();
            }
            let mut accept = |cx: &mut Context<'_>| {
                let next = pin!(HttpSession::from_h2_conn(&mut client, digest.clone()));
                next.poll(cx).map(|next| match next {
                    Ok(Some(H2Accept::Session(session))) => Event::Request(session),
                    Ok(Some(H2Accept::Rejected)) => Event::Refused,
                    Ok(None) | Err(_) => Event::End,
                })
            };
            connection.cork.hold();
            loop {
                while let Poll::Ready(Some(())) = requests.poll_next_unpin(cx) {}
                match accept(cx) {
                    Poll::Ready(Event::Request(session)) => {
                        requests.push(self.stream(session, &connection, shutdown));
                    }
                    Poll::Ready(Event::Refused) if malformed + 1 < MALFORMED => malformed += 1,
                    Poll::Ready(Event::Refused | Event::End) => return Poll::Ready(()),
                    // What was written goes out with the next look.
                    Poll::Pending if connection.cork.release() => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        connection.cork.release();
        // The streams hear from this that their client is gone.
        drop(client);
        while let Some(()) = requests.next().await {}
    }

    async fn stream(&self, session: HttpSession, connection: &Arc<Connection>, shutdown: &ShutdownWatch) {
        let Some(session) = self.direct.serve_stream(session, connection).await else {
            return;
        };
        let (http, shutdown) = (Arc::clone(&self.http), shutdown.clone());
        tokio::spawn(async move {
            let session = ServerSession::new_http2(session);
            http.process_new_http(session, &shutdown).await;
        });
    }
}

fn options(http: &HttpSettings) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(http.h2_max_streams)
        .initial_connection_window_size(CONNECTION_WINDOW);
    options
}
