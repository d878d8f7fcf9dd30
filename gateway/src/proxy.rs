//! The gateway as Pingora's HTTP proxy: each phase of a request calls what the
//! router, the policies and the clusters decide.

mod access;
mod answer;
mod app;
mod authorization;
mod binding;
mod body;
mod client;
mod compression;
mod context;
mod deadline;
mod decide;
mod direct;
mod error_page;
mod external_auth;
mod failure;
mod fields;
mod forwarded;
mod head;
mod host;
mod http2;
mod inbound;
mod logging;
mod mirror;
mod page;
mod passwords;
mod refusal;
mod retry;
mod rewrite;
mod served;
mod snippet;
mod spans;
mod subrequest;
mod tries;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{EXPECT, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode, Version};
use pingora_core::apps::HttpServerOptions;
use pingora_core::protocols::Digest;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use tidegate_snapshot::policy::snippet::Return;

use crate::listener::{Connection, Refusal};
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::{Metrics, RouteMetrics};
use crate::observe::spans::Spans;
use crate::policy::{Author, Reply};
use crate::request::RequestView;
use crate::router::Route;
use crate::upstream::for_upgrade;

pub use app::App;
pub use context::RequestContext;
pub use failure::Failure;

use access::Gatekeeper;
use direct::Direct;
use inbound::Inbound;
use served::Served;
use subrequest::Subrequests;

/// Time between two writes of an answer to the client (nginx `send_timeout`).
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Time in which the rest of a request's body must have come when the answer
/// came first (nginx `lingering_time`).
const LINGERING_TIME: Duration = Duration::from_secs(30);
/// How often Pingora may ask for an upstream for one request; our own count
/// ([`crate::policy::Retry`]) ends it earlier.
const MAX_TRIES: usize = 64;
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The proxy: one for all listeners, because it owns the pool of upstream
/// connections.
pub struct Proxy {
    unmatched: RouteMetrics,
    log: Arc<AccessLog>,
    gatekeeper: Gatekeeper,
    bodies: body::Budget,
    mirrors: mirror::Mirrors,
    subrequests: Arc<Subrequests>,
    served: Served,
    spans: Arc<Spans>,
}

impl Proxy {
    /// A proxy that counts into `metrics`, logs to `log` and makes `spans`.
    pub fn new(metrics: &Metrics, log: Arc<AccessLog>, spans: Arc<Spans>) -> Self {
        Self {
            unmatched: metrics.unmatched(),
            log,
            gatekeeper: Gatekeeper::new(),
            bodies: body::Budget::default(),
            mirrors: mirror::Mirrors::default(),
            subrequests: Arc::new(Subrequests::new()),
            served: Served::new(),
            spans,
        }
    }

    /// What listeners answer to heads that Pingora's parser refuses.
    pub fn refusal(&self) -> Refusal {
        refusal::refusal(self.unmatched.clone(), self.log.clone())
    }

    /// The Pingora application that listeners feed with connections.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn app(self, mut conf: ServerConf) -> Arc<App> {
        let direct = Direct::new(self.log.clone(), self.bodies.clone());
        conf.max_retries = MAX_TRIES;
        let mut app = pingora_proxy::http_proxy(&Arc::new(conf), self);
        // Otherwise Pingora answers CONNECT itself; here `head` refuses it.
        let mut options = HttpServerOptions::default();
        options.allow_connect_method_proxying = true;
        app.server_options = Some(options);
        App::new(app, direct)
    }

    /// Checks the head, finds the route.
    ///
    /// # Errors
    /// The status of the answer for a head that is refused.
    fn accept(&self, session: &mut Session, context: &mut RequestContext) -> Result<(), StatusCode> {
        let connection = context
            .connection
            .clone()
            .ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        let serving = connection.listener.serving.load();
        let raw = || session.as_http1().map(|session| session.get_headers_raw_bytes());
        let checked = head::check(session.req_header(), raw, &serving.spec.http)?;
        context.head_length = checked.length;
        if checked.drops {
            head::drop_fields(session.req_header_mut(), &serving.spec.http);
        }
        if session.req_header().version == Version::HTTP_2 {
            inbound::join_cookies(session.req_header_mut()).map_err(|_| StatusCode::BAD_REQUEST)?;
        }
        let request = session.req_header();
        let inbound = Inbound::new(connection.clone(), serving.spec.clone(), request)?;
        context.route = serving.table.hosts.find(&inbound.view(request)).cloned();
        let undecided = |route: &Arc<Route>| route.is_undecided(inbound.view(request).path());
        if context.route.take_if(|route| undecided(route)).is_some() {
            return Err(StatusCode::BAD_REQUEST);
        }
        context.request_id = forwarded::request_id(request, inbound.http().generate_request_id);
        let tls = connection.tls.as_ref();
        let server_name = tls.and_then(|tls| tls.server_name.as_deref());
        let hosts = &serving.table.hosts;
        let misdirected = |name| hosts.is_misdirected(name, inbound.view(request).host());
        context.is_misdirected = server_name.is_some_and(misdirected);
        context.inbound = Some(inbound);
        spans::begin(&self.spans, session.req_header(), context);
        Ok(())
    }

    /// What the gateway itself answers, if it does.
    async fn reply(&self, session: &mut Session, context: &mut RequestContext) -> Result<Option<Reply>> {
        if let Err(status) = self.accept(session, context) {
            context.failure = Some(Failure::BadRequest);
            // Where the next request would begin is anybody's guess.
            session.set_keepalive(None);
            return Ok(Some(Reply::status(status)));
        }
        if context.is_misdirected {
            return Ok(Some(Reply::status(StatusCode::MISDIRECTED_REQUEST)));
        }
        let Some(inbound) = context.inbound.take() else {
            return Ok(None);
        };
        let mut reply = decide::decide(session.req_header(), &inbound, context);
        if reply.is_none() {
            snippet::edit_request(session.req_header_mut(), &inbound, context);
            reply = access::limit(session.req_header(), &inbound, context);
        }
        context.inbound = Some(inbound);
        if reply.is_some() {
            return Ok(reply);
        }
        let refusal = self.admit(session, context).await?;
        Ok(refusal.or_else(|| decide::own_answer(context)))
    }

    /// Lets a request in, or not.
    async fn admit(&self, session: &mut Session, context: &mut RequestContext) -> Result<Option<Reply>> {
        let Some(route) = context.route.clone() else {
            return Ok(None);
        };
        if let Some(access) = &route.policies.access {
            let client = session.req_header();
            let checked =
                self.gatekeeper
                    .check(access, &route, client, context, &self.subrequests, &self.log);
            if let Some(refusal) = checked.await {
                return Ok(Some(refusal));
            }
        }
        authorization::check(&route, session, context, &self.subrequests, &self.bodies).await
    }

    fn metrics<'a>(&'a self, context: &'a RequestContext) -> &'a RouteMetrics {
        match (context.target(), &context.route) {
            (Some(target), _) => &target.metrics,
            (None, Some(route)) => &route.metrics,
            (None, None) => &self.unmatched,
        }
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = RequestContext;

    fn new_ctx(&self) -> Self::CTX {
        RequestContext::new()
    }

    async fn early_request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> Result<()> {
        let Some(connection) = Connection::of(session).cloned() else {
            return Error::e_explain(ErrorType::InternalError, "a session without a connection");
        };
        context.in_flight = Some(connection.request_started());
        limit(session, &connection);
        // nginx serves pipelined requests one after the other.
        session.set_pipelining_enabled(true);
        // 100 is answered here, other informational answers nginx drops.
        session.set_ignore_info_resp(true);
        if self.log.enabled() {
            context.tries.log = Some(Vec::new());
        }
        context.connection = Some(connection);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> Result<bool> {
        if let Some(reply) = self.reply(session, context).await? {
            if reply.status.as_u16() == Return::CLOSE {
                context.failure = Some(Failure::Closed);
                session.set_keepalive(None);
                return Ok(true);
            }
            let (author, status) = (author(context, &reply), reply.status);
            if let Err(reply) = error_page::ask(reply, author, context) {
                answer::write(session, context, &reply).await?;
                return Ok(true);
            }
            answer::prepare(session, status);
            return Ok(false);
        }
        if session.req_header().headers.contains_key(EXPECT) {
            expect(session).await?;
        }
        let patience = context
            .inbound
            .as_ref()
            .map(|inbound| inbound.http().body_timeout);
        if let Some(patience) = patience.filter(|_| !context.ahead.is_done() && context.buffers_request()) {
            context.ahead = body::read_ahead(session, &self.bodies, patience).await?;
        }
        Ok(false)
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        deadline::pause(context).await;
        let cluster = context.upstream().and_then(|target| target.cluster.clone());
        let picked = context.tries.next.take().or_else(|| {
            if context.stand_in.is_some() {
                return cluster.as_deref()?.pick(0, context.tries.failed());
            }
            let inbound = context.inbound.take()?;
            let picked = binding::next(cluster.as_deref()?, session.req_header(), &inbound, context);
            context.inbound = Some(inbound);
            picked
        });
        let (Some(picked), Some(cluster), Some(policies)) = (picked, cluster, context.policies()) else {
            return Error::e_explain(ErrorType::HTTPStatus(503), "no endpoint");
        };
        let mut peer = cluster.peer(&picked, context.is_tls(), &policies.timeouts);
        // `forwarded` decides what passes.
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
        if forwarded::upgrades(session.req_header()) {
            for_upgrade(&mut peer);
        }
        if let Some(inbound) = &context.inbound {
            peer.options.idle_timeout = Some(inbound.http().upstream_keep_alive.idle);
        }
        deadline::begin(&mut peer, context)?;
        context.tries.begin(picked);
        context.ahead.rewind();
        if let Some(page) = context.page_mut() {
            page.rewind();
        }
        Ok(peer)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        descriptor: std::os::unix::io::RawFd,
        digest: Option<&Digest>,
        context: &mut Self::CTX,
    ) -> Result<()> {
        context.tries.connected(reused);
        if let Some(inbound) = &context.inbound {
            let keep_alive = &inbound.http().upstream_keep_alive;
            let made = digest.and_then(made);
            let is_old = reused && made.is_some_and(|made| is_older(made, keep_alive.life));
            let is_spent =
                made.is_some_and(|made| self.served.count(descriptor, made) >= keep_alive.requests);
            // Pingora would keep it until it looks at the clock: a request that comes
            // at once would find it.
            context.ends_upstream = is_old || is_spent || keep_alive.idle.is_zero();
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Self::CTX,
    ) -> Result<()> {
        let has_body = context.asks_for_page() && !session.is_body_empty();
        match &context.inbound {
            Some(inbound) => {
                let client = session.req_header();
                forwarded::set(request, client, inbound, context)?;
                access::forward(request, context)?;
                authorization::forward(request, context);
                if let Some(span) = &context.span {
                    spans::tell(request, span)?;
                }
                error_page::describe(request, client, has_body, context)?;
                match context.policies() {
                    Some(policies) if !context.asks_for_page() => {
                        rewrite::apply(request, policies, &inbound.view(client))?;
                    }
                    _ => {}
                }
                authorization::forward_query(request, context)?;
                if context.ends_upstream && request.version == Version::HTTP_11 {
                    // Pingora keeps no connection whose request says so.
                    request.insert_header("Connection", HeaderValue::from_static("close"))?;
                }
                mirror::Mirrors::on_head(request, context);
                Ok(())
            }
            None => Error::e_explain(ErrorType::InternalError, "forwarding what was not accepted"),
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Self::CTX,
    ) -> Result<()> {
        if let Some(page) = context.page_mut() {
            page.withhold(body);
            return Ok(());
        }
        let read = session.body_bytes_read() as u64;
        let limit = context.policies().map(|policies| &policies.body);
        if limit.is_some_and(|limit| limit.is_exceeded(read)) && !session.was_upgraded() {
            return Err(Error::explain(ErrorType::HTTPStatus(413), "body over the limit").into_down());
        }
        context.ahead.prepend(body);
        // Of a last piece without bytes, as HTTP/2 may end a body, Pingora makes an
        // end of chunks besides its own: the next request would begin with it.
        body.take_if(|bytes| end && bytes.is_empty());
        let piece = body.as_ref();
        self.mirrors
            .on_body(session.req_header(), piece, end, context, &self.subrequests);
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Self::CTX,
    ) -> Result<()> {
        if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        let status = response.status.as_u16();
        let replayable = !session.as_ref().retry_buffer_truncated();
        let route = context.route.as_ref();
        if let Some(route) = route.filter(|_| replayable && !context.asks_for_page()) {
            let retry = &route.policies.retry;
            if context
                .tries
                .gives_up_on(status, &session.req_header().method, retry)
            {
                return Err(Error::explain(ErrorType::HTTPStatus(status), "a status to retry on").into_up());
            }
        }
        context.tries.answered(status);
        let largest = context
            .policies()
            .map(|policies| policies.buffering.response_head);
        if largest.is_some_and(|largest| logging::head_length(response) > largest as usize) {
            // After `answered`: nginx asks no other endpoint either.
            let why = "the head of the answer is larger than proxy-buffer-size";
            return Err(Error::explain(ErrorType::HTTPStatus(502), why).into_up());
        }
        if error_page::intercepts(response.status, context) {
            answer::prepare(session, response.status);
            return Err(error_page::intercept(response, context));
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Self::CTX,
    ) -> Result<()> {
        if self.log.enabled() {
            context.upstream_fields = logging::capture(&self.log, response);
        }
        answer::set_server(response, context)?;
        response.remove_header(&KEEP_ALIVE);
        if response.version < Version::HTTP_11 {
            // The version is of the connection, not of the answer (RFC 9110 §2.5).
            response.set_version(Version::HTTP_11);
        }
        error_page::settle(response, context)?;
        answer::add_policies(response, session, context, context.asks_for_page());
        if let Some((name, value)) = binding::cookie(session.req_header(), context) {
            response.append_header(name.spelling().clone(), value)?;
        }
        if session.req_header().version < Version::HTTP_11
            && response.remove_header(&TRANSFER_ENCODING).is_some()
        {
            // Such a client knows no chunks: the end of the connection ends the body.
            session.set_keepalive(None);
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // Only the upstream's silence ends a tunnel (nginx).
            session.set_read_timeout(None);
        } else if context.draining() {
            // Pingora looks only when a request arrives.
            session.set_keepalive(None);
        }
        if let Some(inbound) = &context.inbound {
            compression::prepare(&inbound.http().compression, session, response);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        context: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        deadline::check(context)?;
        let Some(route) = context.route.as_ref() else {
            return Ok(None);
        };
        let Some(bandwidth) = &route.policies.bandwidth else {
            return Ok(None);
        };
        let sent = session.body_bytes_sent() + body.as_ref().map_or(0, Bytes::len);
        let began = context.answer_began.get_or_insert_with(Instant::now);
        Ok(bandwidth.pause(sent as u64, began.elapsed()))
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.as_up();
        retry::decide(session, context, &mut error);
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        context: &mut Self::CTX,
        _reused: bool,
    ) -> Box<Error> {
        retry::decide(session, context, &mut error);
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Self::CTX,
    ) -> FailToProxy
    where
        Self::CTX: Send + Sync,
    {
        let failure = Failure::of(error);
        context.failure = Some(failure);
        retry::tell(session, retry::upstream_name(context), failure, error);
        // After an upstream was tried Pingora closes the client's connection.
        session.set_keepalive(None);
        let own = || failure.answer().map(Reply::status);
        if let Some(reply) = context.last_word.take().or_else(own) {
            // A client that is gone by now changes nothing.
            let _ = answer::write(session, context, &reply).await;
        }
        if !session.is_http2() {
            // Pingora would drop the connection as it is; this lets it linger.
            session.shutdown().await;
        }
        FailToProxy {
            error_code: failure.status(),
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, context: &mut Self::CTX) {
        if context.asks_for_page() {
            answer::linger(session, context);
        }
        let sample = logging::sample(session, context);
        context
            .tries
            .finish(session.upstream_body_bytes_received() as u64, sample.status);
        self.metrics(context).observe(&sample);
        if self.log.enabled()
            && logging::is_logged(&self.log, session, context)
            && let Some(record) = logging::record(&self.log, session, context, &sample)
        {
            self.log.log(&record);
        }
        spans::finish(&self.spans, session, context, &sample);
        context.in_flight = None;
        context.permit = None;
    }

    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Self::CTX,
        error: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        tracing::debug!(%error, "try failed");
        true
    }
}

/// Sets the limits of keep-alive and the timeouts of the client's side. Pingora
/// forgets them with every request.
fn limit(session: &mut Session, connection: &Connection) {
    let serving = connection.listener.serving.load();
    let http = &serving.spec.http;
    // Pingora has looked at what the client wants (HTTP/1.0: no, unless it says so).
    let wanted = session.get_keepalive().is_some();
    let keep = wanted && !connection.draining() && !http.keep_alive.is_zero();
    // 0: for ever. The listener watches idle connections (`activity`); another
    // timer in here would cost one for each request.
    session.set_keepalive(keep.then_some(0));
    if session.get_keepalive_reuses_remaining().is_none() {
        session.set_keepalive_reuses_remaining(Some(http.keep_alive_requests.saturating_sub(1)));
    }
    session.set_read_timeout(Some(http.body_timeout));
    session.set_write_timeout(Some(SEND_TIMEOUT));
    session.set_total_drain_timeout(Some(LINGERING_TIME));
}

/// Answers `Expect: 100-continue` as nginx does, before the body is read, and
/// keeps the field from everything after.
async fn expect(session: &mut Session) -> Result<()> {
    let request = session.req_header();
    let waits = request.version == Version::HTTP_11
        && request
            .headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if waits && !session.is_body_empty() {
        let keep_alive = session.get_keepalive();
        session.write_continue_response().await?;
        // Pingora gives the connection up for any head sent before the body.
        session.set_keepalive(keep_alive);
    }
    session.req_header_mut().remove_header(&EXPECT);
    Ok(())
}

/// When a connection was made.
fn made(digest: &Digest) -> Option<SystemTime> {
    let made = digest.timing_digest.iter().flatten().next();
    made.map(|made| made.established_ts)
}

/// Whether that is so long ago.
fn is_older(made: SystemTime, life: Duration) -> bool {
    made.elapsed().is_ok_and(|age| age >= life)
}

/// Who makes an answer of the gateway's own: a failure is what it has answered
/// because there was nobody to ask.
fn author(context: &RequestContext, reply: &Reply) -> Author {
    if context.failure.is_some() || reply.status == StatusCode::NOT_FOUND {
        Author::Failure
    } else {
        Author::Refusal
    }
}
