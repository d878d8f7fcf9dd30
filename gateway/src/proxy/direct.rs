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
mod head;
mod http1;
mod http2;
mod lines;
mod pool;
mod request;
mod response;
mod sending;
mod uplink;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri, Version};
use pingora_core::protocols::http::v2::server::HttpSession;
use pingora_http::RequestHeader;
use tidegate_snapshot::Action;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::body::{self, Budget, Held};
use super::{forwarded, inbound};
use crate::listener::{Connection, Serving, Stream};
use crate::observe::access_log::AccessLog;
use crate::policy::snippet::Surroundings;
use crate::policy::{Facts, Flow, Permit, block};
use crate::request::RequestView;
use crate::router::{Route, Target};
use crate::template::Values;
use crate::upstream::{Pick, hash};
use duplex::Duplex;
use exchange::Exchange;
use head::Parsed;
use http1::Http1;
use http2::Http2;
use lines::Lines;
use pool::Pool;
use request::Request;

pub(super) use response::{AnswerFields, own};

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

/// Where a request goes.
struct Plan {
    route: Arc<Route>,
    target: usize,
    pick: Option<Pick>,
    hash: u64,
    /// Path and query for the upstream where the route has other ones.
    rewritten: Option<String>,
    /// What an upstream is asked for that speaks HTTP/2.
    uri: Option<Uri>,
    /// The memory that its body takes.
    _body: Option<Held>,
    /// Counts the request as under way for the route's limit.
    _permit: Option<Permit>,
}

impl Plan {
    /// The first endpoint.
    fn pick(&mut self) -> Option<Pick> {
        self.pick.take()
    }

    /// Another endpoint after a failed try.
    fn pick_another(&self, failed: &[SocketAddr]) -> Option<Pick> {
        self.target().cluster.as_deref()?.pick(self.hash, failed)
    }

    fn target(&self) -> &Target {
        &self.route.targets[self.target]
    }

    /// For snippets, which here only edit answers.
    fn surroundings(&self) -> Surroundings<'_> {
        let spec = self.target().cluster.as_deref().map(|cluster| &cluster.spec);
        Surroundings {
            route: Some((&self.route.spec.origin, &self.route.spec.path)),
            service: spec.map(|spec| (&*spec.origin.name, &*spec.port)),
            ..Surroundings::default()
        }
    }
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
                let _ = stream.shutdown().await;
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

/// Who asks, as far as that matters for who may answer.
enum Client<'a> {
    Http1,
    Http2 {
        uri: &'a Uri,
        /// The length of the body is known.
        measured: bool,
    },
}

/// Where a plain request goes; `None` when it is not for the direct path.
fn plan(
    request: &Request<'_>,
    id: Option<&HeaderValue>,
    serving: &Serving,
    bodies: &Budget,
    client: Client<'_>,
) -> Option<Plan> {
    let route = serving.table.hosts.find(request)?;
    let policies = &route.policies;
    let is_open = route.client_auth.is_none() && !route.is_undecided(request.path());
    if request.is_tls() && serving.table.hosts.tells_listeners_apart() {
        return None;
    }
    let is_direct = is_open && policies.is_direct() && matches!(route.spec.action, Action::Forward(_));
    if !is_direct {
        return None;
    }
    // The client's URI where both sides speak HTTP/2.
    let origin = match (version(route)?, client) {
        (Version::HTTP_2, Client::Http2 { uri, .. }) => Some(uri),
        (Version::HTTP_11, Client::Http1 | Client::Http2 { measured: true, .. }) => None,
        _ => return None,
    };
    let length = request.head.content_length.unwrap_or_default() as usize;
    let body = match length {
        // It is not read first.
        _ if origin.is_some() => None,
        0..=SMALL_BODY => None,
        length if length <= body::LARGEST => Some(bodies.hold(length)?),
        _ => return None,
    };
    let facts = Facts {
        request,
        redirect_host: request.host(),
        port: serving.spec.public_port,
        content_length: request.head.content_length,
        http: &serving.spec.http,
    };
    let flows = [
        block(&serving.spec.http, request),
        policies.on_match(&facts),
        policies.on_request(&facts),
    ];
    if flows.iter().any(|flow| *flow != Flow::Continue) {
        return None;
    }
    if let Some(access) = &policies.access
        && !access.admits(request.client_ip)
    {
        return None;
    }
    let rewritten = match &policies.rewrite {
        None => None,
        Some(rewrite) => {
            let values = Values {
                request_id: id.map_or(b"", HeaderValue::as_bytes),
                route: Some((&route.spec.origin, &route.spec.path)),
                ..Values::of(request)
            };
            Some(rewrite.on_request(&route.spec.matches.path, &values).ok()?)
        }
    };
    let uri = match origin {
        None => None,
        Some(origin) => Some(upstream_uri(origin, rewritten.as_deref())?),
    };
    let target = target(route)?;
    let cluster = route.targets[target].cluster.as_deref()?;
    let hash = cluster.wants_hash().map_or(0, |key| hash::key(key, request));
    let pick = cluster.pick(hash, &[])?;
    // The last: what is counted here is not handed on.
    let permit = match &policies.limits {
        None => None,
        Some(limits) => {
            let values = Values {
                request_id: id.map_or(b"", HeaderValue::as_bytes),
                route: Some((&route.spec.origin, &route.spec.path)),
                ..Values::of(request)
            };
            limits.take(&values).ok()?
        }
    };
    Some(Plan {
        route: Arc::clone(route),
        target,
        pick: Some(pick),
        hash,
        rewritten,
        uri,
        _body: body,
        _permit: permit,
    })
}

/// What the upstreams of a route speak, if all of them are for the direct path and
/// speak the same: a share that is drawn must not be drawn again by Pingora's.
fn version(route: &Route) -> Option<Version> {
    let mut targets = route.targets.iter().filter(|target| target.weight > 0);
    let version = |target: &Target| {
        let cluster = target.cluster.as_deref().filter(|_| target.own.is_none())?;
        cluster.plain_version()
    };
    let first = version(targets.next()?)?;
    targets
        .all(|target| version(target) == Some(first))
        .then_some(first)
}

/// Which of the route's clusters serves the request.
fn target(route: &Route) -> Option<usize> {
    let random = if route.targets.len() > 1 {
        rand::random()
    } else {
        0
    };
    let chosen = route.by_weight(random)?;
    route.targets.iter().position(|other| std::ptr::eq(other, chosen))
}

/// What an upstream is asked for that speaks HTTP/2 without TLS: the client's URI,
/// or other path and query. `None`: Pingora's path has to look at it.
fn upstream_uri(client: &Uri, rewritten: Option<&str>) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(client.authority()?.clone());
    parts.path_and_query = match rewritten {
        None => client.path_and_query().cloned(),
        Some(target) => Some(PathAndQuery::try_from(target).ok()?),
    };
    Uri::from_parts(parts).ok()
}
