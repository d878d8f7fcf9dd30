//! The direct path: plain requests from client to upstream without Pingora's
//! proxy and, with HTTP/1.1, without its session and header types, at a fraction
//! of their cost.
//!
//! It never decides anything by itself. A request takes it only when its head
//! is plain ([`head`]), every policy of its route says so
//! ([`Policies::is_direct`](crate::policy::Policies::is_direct)) and lets it
//! pass, and its cluster speaks HTTP/1.1 without TLS, or HTTP/2 as the client
//! does; everything else, all refusals included, is handed over to Pingora's proxy with the bytes read so
//! far. Router, policies, balancer and retries are the same objects in both.

mod chunked;
mod corked;
mod date;
mod downstream;
mod duplex;
mod exchange;
mod fields;
mod head;
mod http1;
mod http2;
mod lines;
mod pipe;
mod plan;
mod pool;
mod relay;
mod request;
mod response;
mod sending;
mod uplink;

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use http::HeaderValue;
use pingora_core::protocols::http::v2::server::HttpSession;
use pingora_http::RequestHeader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::body::Budget;
use super::{forwarded, inbound};
use crate::listener::{Connection, Serving, Stream};
use crate::observe::access_log::AccessLog;
use downstream::taken;
use duplex::Duplex;
use exchange::Exchange;
use head::Parsed;
use http1::Http1;
use http2::Http2;
use lines::Lines;
use pipe::Pipes;
use plan::{Client, Plan, plan};
use pool::Pool;
use request::Request;

pub(super) use fields::AnswerFields;
pub(super) use response::own;

/// Room for the first read of a connection: most heads.
const FIRST_READ: usize = 2048;
/// Bodies up to [`body::LARGEST`] are read before the upstream is asked (nginx
/// `proxy_request_buffering`), which also makes them repeatable; larger ones are
/// Pingora's. Those above this size take of the budget that all bodies share.
const SMALL_BODY: usize = 64 * 1024;

/// The direct path of all listeners.
pub(super) struct Direct {
    log: Arc<AccessLog>,
    /// Connections to upstreams over HTTP/1.1.
    pool: Arc<Pool>,
    /// Those over HTTP/2.
    lines: Arc<Lines>,
    /// What long bodies of answers go through.
    pipes: Arc<Pipes>,
    bodies: Budget,
}

/// What becomes of a connection.
pub(super) enum Next {
    /// It is over.
    Closed,
    /// Pingora's proxy goes on with it.
    HandOver {
        /// What was read of the next request.
        read: BytesMut,
        /// Requests served so far.
        served: u32,
    },
}

/// What one request came to.
struct Served {
    /// The connection must close.
    close: bool,
}

impl Direct {
    /// A direct path that logs to `log` and takes memory for bodies from `bodies`.
    pub(super) fn new(log: Arc<AccessLog>, bodies: Budget) -> Self {
        let pool = Arc::new(Pool::new());
        let lines = Arc::new(Lines::new());
        let weak = (Arc::downgrade(&pool), Arc::downgrade(&lines));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pool::SWEEP).await;
                let (Some(pool), Some(lines)) = (weak.0.upgrade(), weak.1.upgrade()) else {
                    return;
                };
                pool.sweep();
                lines.sweep();
            }
        });
        Self {
            log,
            pool,
            lines,
            pipes: Arc::default(),
            bodies,
        }
    }

    /// Serves plain requests until one is not, or the connection ends. Deadlines
    /// of heads and idle time are the listener's.
    pub(super) async fn serve(&self, stream: &mut Stream) -> Next {
        let connection = Arc::clone(stream.connection());
        let mut read = BytesMut::with_capacity(FIRST_READ);
        let mut served = 0;
        loop {
            let serving = connection.listener.serving.load_full();
            let http = &serving.spec.http;
            if self.log.wants_more() {
                return Next::HandOver { read, served };
            }
            let head = match head::parse(&read, http) {
                Parsed::Partial => {
                    read.reserve(FIRST_READ);
                    match stream.read_buf(&mut read).await {
                        Ok(0) | Err(_) => return Next::Closed,
                        Ok(_) => continue,
                    }
                }
                Parsed::Odd => return Next::HandOver { read, served },
                Parsed::Plain(head) => head,
            };
            let total = head.total();
            if head.upgrade && read.len() as u64 > total {
                // A tunnel's first words before there is one: rare.
                return Next::HandOver { read, served };
            }
            let Some(request) = Request::new(head, &connection, &serving.spec) else {
                return Next::HandOver { read, served };
            };
            let id = self.request_id(&request, &serving);
            let Some(plan) = plan(&request, id.as_ref(), &serving, &self.bodies, Client::Http1) else {
                drop(request);
                return Next::HandOver { read, served };
            };
            let last = http.keep_alive.is_zero() || served + 1 >= http.keep_alive_requests;
            let exchange = Exchange {
                direct: self,
                connection: &connection,
                serving: &serving,
                request: &request,
                id,
                started: Instant::now(),
                last,
            };
            let body = &read[request.head.length..read.len().min(total as usize)];
            let mut client = Http1::new(stream);
            let Served { close } = exchange.run(plan, &mut client, body).await;
            let more = client.more;
            if close {
                // What fails now changes nothing.
                let _ = taken(stream.shutdown()).await;
                return Next::Closed;
            }
            served += 1;
            drop(request);
            advance(&mut read, total as usize, more);
        }
    }

    /// Serves the request of a stream if it is plain; gives it back otherwise,
    /// as it was.
    pub(super) async fn serve_stream(
        &self,
        mut session: HttpSession,
        connection: &Arc<Connection>,
    ) -> Option<HttpSession> {
        // Out of the session, which the answer needs too.
        let blank = http::Request::new(()).into_parts().0.into();
        let mut header = std::mem::replace(session.req_header_mut(), blank);
        if inbound::join_cookies(&mut header).is_ok()
            && self.try_stream(&header, &mut session, connection).await
        {
            return None;
        }
        *session.req_header_mut() = header;
        Some(session)
    }

    /// `false`: it is not plain.
    async fn try_stream(
        &self,
        header: &RequestHeader,
        session: &mut HttpSession,
        connection: &Arc<Connection>,
    ) -> bool {
        let serving = connection.listener.serving.load_full();
        if self.log.wants_more() {
            return false;
        }
        let Some(head) = head::of_http2(header, &serving.spec.http) else {
            return false;
        };
        let client = Client::Http2 {
            uri: &header.uri,
            measured: head.content_length.is_some() || session.is_body_empty(),
        };
        let Some(request) = Request::new(head, connection, &serving.spec) else {
            return false;
        };
        let id = self.request_id(&request, &serving);
        let Some(mut plan) = plan(&request, id.as_ref(), &serving, &self.bodies, client) else {
            return false;
        };
        let exchange = Exchange {
            direct: self,
            connection,
            serving: &serving,
            request: &request,
            id,
            started: Instant::now(),
            last: false,
        };
        let Some(uri) = plan.uri.take() else {
            exchange.run(plan, &mut Http2(session), &[]).await;
            return true;
        };
        let first = plan.pick();
        let duplex = Duplex {
            exchange: &exchange,
            plan: &plan,
            header,
            uri,
        };
        duplex.run(first, session).await;
        true
    }

    fn request_id(&self, request: &Request<'_>, serving: &Serving) -> Option<HeaderValue> {
        match request.id {
            Some(id) => HeaderValue::from_bytes(id).ok(),
            None => serving.spec.http.generate_request_id.then(forwarded::random_id),
        }
    }
}

/// Takes a request that is over off what was read; `more` came after that.
fn advance(read: &mut BytesMut, total: usize, more: BytesMut) {
    let whole = total.min(read.len());
    if whole == read.len() {
        read.clear();
    } else {
        let _ = read.split_to(whole);
    }
    read.extend_from_slice(&more);
}
