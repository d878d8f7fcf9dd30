//! One request of the direct path: to an endpoint, maybe to another, and the
//! answer back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use http::header::{AUTHORIZATION, REFERER, USER_AGENT};
use http::{HeaderValue, StatusCode, Version};
use pingora_timeout::timeout;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::downstream::Downstream;
use super::fields::AnswerFields;
use super::pool::Upstream;
use super::relay::{Relay, hear};
use super::request::Request;
use super::response::{self, Head};
use super::sending::Sending;
use super::{Direct, Plan, Served};
use crate::listener::{Connection, Serving};
use crate::observe::access_log::Record;
use crate::observe::metrics::{Sample, UpstreamError, Verb};
use crate::policy::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::tries::Tries;
use crate::request::{Fields, RequestView, credentials};
use crate::upstream::Pick;

/// Room for the first read of an answer: most heads with a small body.
pub(super) const FIRST_READ: usize = 4096;
/// A longer head of an answer is refused.
const LONGEST_HEAD: usize = 64 * 1024;

/// A request and all that is needed to serve it.
pub(super) struct Exchange<'a> {
    pub(super) direct: &'a Direct,
    pub(super) connection: &'a Arc<Connection>,
    pub(super) serving: &'a Serving,
    pub(super) request: &'a Request<'a>,
    pub(super) id: Option<HeaderValue>,
    pub(super) started: Instant,
    /// No further request may come on this connection.
    pub(super) last: bool,
}

/// An answer, as far as metrics and log want to know.
#[derive(Default)]
pub(super) struct Outcome {
    /// 0: none was sent.
    pub(super) status: u16,
    pub(super) head: usize,
    pub(super) body: u64,
    pub(super) close: bool,
    pub(super) failure: Option<Failure>,
}

impl Exchange<'_> {
    /// Serves the request. `body` is what was read of its body.
    pub(super) async fn run<D: Downstream>(&self, mut plan: Plan, client: &mut D, body: &[u8]) -> Served {
        let in_flight = self.connection.request_started();
        let mut tries = self.tries();
        let outcome = match self.upstream_request(&plan, client, body).await {
            Ok(request) => {
                let first = plan.pick();
                self.forward(&plan, first, &request, client, &mut tries).await
            }
            Err(failure) => Err(failure),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(failure) => self.refuse(&plan, failure, client).await,
        };
        let close = outcome.close;
        self.tell(&plan, outcome, tries, D::VERSION, self.request.head.total());
        drop(in_flight);
        Served { close }
    }

    pub(super) fn tries(&self) -> Tries {
        let mut tries = Tries::default();
        if self.direct.log.enabled() {
            tries.log = Some(Vec::new());
        }
        tries
    }

    /// The bytes for the upstream: the head and the whole body.
    async fn upstream_request(
        &self,
        plan: &Plan,
        client: &mut impl Downstream,
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let length = self.request.head.content_length.unwrap_or_default() as usize;
        let mut out = Vec::with_capacity(1024 + length);
        let target = plan.rewritten.as_deref().unwrap_or(self.request.head.target);
        self.request
            .write(target, self.id.as_ref().map(HeaderValue::as_bytes), &mut out);
        out.extend_from_slice(body);
        let rest = length - body.len();
        if rest > 0 {
            let patience = self.serving.spec.http.body_timeout;
            client.read_body(rest, patience, &mut out).await?;
        }
        Ok(out)
    }

    async fn forward(
        &self,
        plan: &Plan,
        mut pick: Option<Pick>,
        request: &[u8],
        client: &mut impl Downstream,
        tries: &mut Tries,
    ) -> Result<Outcome, Failure> {
        let mut answer = BytesMut::with_capacity(FIRST_READ);
        let policies = &plan.route.policies;
        let method = &self.request.head.method;
        let metrics = &plan.target().metrics;
        loop {
            let Some(current) = pick.take().or_else(|| plan.pick_another(tries.failed())) else {
                return Err(Failure::Upstream(UpstreamError::NoEndpoint));
            };
            let address = current.address();
            let attempt = Attempt {
                exchange: self,
                plan,
                request,
            };
            answer.clear();
            let result = attempt.run(current, client, &mut answer, tries).await;
            let failure = match result {
                Ok((upstream, head)) if !tries.gives_up_on(head.status.as_u16(), method, &policies.retry) => {
                    tries.answered(head.status.as_u16());
                    let relay = Relay {
                        exchange: self,
                        plan,
                        upstream,
                        head,
                        answer,
                    };
                    return Ok(relay.run(address, client, tries).await);
                }
                Ok(_) => Failure::Internal,
                Err(failure) => failure,
            };
            if !tries.failed_with(failure, method, &policies.retry, metrics) {
                return Err(failure);
            }
        }
    }

    /// The gateway's own answer to a failure. The connection lives on after those
    /// of upstreams: the request's body has been read by then.
    pub(super) async fn refuse(
        &self,
        plan: &Plan,
        failure: Failure,
        client: &mut impl Downstream,
    ) -> Outcome {
        let upstream = &*plan.target().key.0;
        let uri = self.request.head.target;
        let reason = failure.reason();
        match failure {
            Failure::Upstream(_) => tracing::warn!(upstream, uri, reason, "upstream failed"),
            _ => tracing::debug!(upstream, uri, reason, "request failed"),
        }
        let mut outcome = Outcome {
            close: self.closes() || !matches!(failure, Failure::Upstream(_)),
            failure: Some(failure),
            ..Outcome::default()
        };
        let Some(status) = failure.answer() else {
            client.abort();
            return outcome;
        };
        let mut fields = AnswerFields::none();
        self.apply_policies(plan, status, true, &mut fields);
        let method = &self.request.head.method;
        match client.own(status, method, fields, outcome.close).await {
            Ok(sent) => {
                outcome.status = status.as_u16();
                outcome.head = sent.head;
                outcome.body = sent.body;
            }
            Err(_) => outcome.close = true,
        }
        outcome
    }

    /// What the route changes of the fields of an answer.
    pub(super) fn apply_policies(
        &self,
        plan: &Plan,
        status: StatusCode,
        is_own: bool,
        fields: &mut dyn Fields,
    ) {
        let answer = Answer {
            request: self.request,
            request_id: self.id.as_ref().map_or(b"", HeaderValue::as_bytes),
            status,
            is_own,
            surroundings: plan.surroundings(),
        };
        plan.route.policies.on_response(&answer, fields);
    }

    /// Whether the connection closes after an answer that has nothing against it.
    pub(super) fn closes(&self) -> bool {
        self.last || self.request.head.close || self.connection.draining()
    }

    fn take_idle(&self, address: SocketAddr) -> Option<Upstream> {
        let keep_alive = &self.serving.spec.http.upstream_keep_alive;
        self.direct.pool.take(address, keep_alive)
    }

    /// `received` is how many bytes the request had.
    pub(super) fn tell(
        &self,
        plan: &Plan,
        outcome: Outcome,
        mut tries: Tries,
        version: Version,
        received: u64,
    ) {
        let head = &self.request.head;
        let failure = outcome.failure;
        let status = match outcome.status {
            0 => failure.map_or(Failure::CLIENT_CLOSED, Failure::status),
            status => status,
        };
        let duration = self.started.elapsed();
        let sample = Sample {
            status,
            verb: Verb::from(&head.method),
            duration,
            received,
            sent: outcome.head as u64 + outcome.body,
            connect: tries.connect,
            header: tries.header,
            response: tries.response(self.started, duration),
        };
        tries.finish(outcome.body, status);
        plan.target().metrics.observe(&sample);
        let log = &self.direct.log;
        let route = &plan.route;
        if route.policies.unlogged || !log.takes(route.is_default_backend, head.target.as_bytes()) {
            return;
        }
        let mut record = Record::new(
            self.request.client_ip,
            head.method.clone(),
            head.target.as_bytes(),
            version,
        );
        let field = |name| {
            let value = self.request.header(&name)?;
            HeaderValue::from_bytes(value).ok()
        };
        record.captured.request = log.wanted(|wanted| wanted.request.iter().cloned().map(field).collect());
        if log.wanted(|wanted| wanted.place) {
            record.place = self.request.place().cloned();
        }
        record.host = self.request.host().into();
        record.scheme = if self.request.is_tls() { "https" } else { "http" };
        record.status = status;
        record.body_bytes_sent = outcome.body;
        record.bytes_sent = sample.sent;
        record.user = credentials::user(self.request.header(&AUTHORIZATION));
        record.referer = field(REFERER);
        record.user_agent = field(USER_AGENT);
        record.request_length = sample.received;
        record.request_time = sample.duration;
        record.upstream_name = Some(plan.target().key.clone());
        record.request_id = self.id.clone();
        record.route = Some(plan.route.spec.origin.clone());
        record.route_path = Some(plan.route.spec.path.clone());
        record.reason = failure.map(Failure::reason);
        record.attempts = tries.log.take().unwrap_or_default();
        log.log(&record);
    }
}

/// One try to get an answer's head.
struct Attempt<'a> {
    exchange: &'a Exchange<'a>,
    plan: &'a Plan,
    request: &'a [u8],
}

impl Attempt<'_> {
    /// Sends the request and reads until the head of a final answer is complete
    /// in `answer`.
    async fn run(
        &self,
        pick: Pick,
        client: &mut impl Downstream,
        answer: &mut BytesMut,
        tries: &mut Tries,
    ) -> Result<(Upstream, Head), Failure> {
        let timeouts = &self.plan.route.policies.timeouts;
        let address = pick.address();
        tries.begin(pick);
        let (mut upstream, reused) = match self.exchange.take_idle(address) {
            Some(upstream) => (upstream, true),
            None => (connect(address, timeouts.connect).await?, false),
        };
        tries.connected(reused);
        let mut sending = Sending::of(self.request);
        loop {
            let is_answered = sending.go_on(&upstream.stream, answer, timeouts.send).await?;
            answer.reserve(FIRST_READ);
            if !is_answered && hear(upstream.stream.read_buf(answer), client, timeouts.read).await? == 0 {
                return Err(Failure::Upstream(UpstreamError::Closed));
            }
            if let Some(mut head) = self.head(answer)? {
                head.keep_alive &= sending.is_whole();
                let largest = self.plan.route.policies.buffering.response_head;
                if head.length > largest as usize {
                    // Answered: nginx asks no other endpoint (`proxy-buffer-size`).
                    tries.answered(head.status.as_u16());
                    return Err(Failure::Upstream(UpstreamError::Protocol));
                }
                return Ok((upstream, head));
            }
        }
    }

    /// The head of a final answer; informational ones are dropped, as nginx does.
    fn head(&self, answer: &mut BytesMut) -> Result<Option<Head>, Failure> {
        const PROTOCOL: Failure = Failure::Upstream(UpstreamError::Protocol);
        loop {
            let head = response::parse(answer, &self.exchange.request.head.method);
            let Some(head) = head.map_err(|_| PROTOCOL)? else {
                return if answer.len() > LONGEST_HEAD {
                    Err(PROTOCOL)
                } else {
                    Ok(None)
                };
            };
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                let asked = self.exchange.request.head.upgrade;
                return if asked { Ok(Some(head)) } else { Err(PROTOCOL) };
            }
            if !head.status.is_informational() {
                return Ok(Some(head));
            }
            answer.advance(head.length);
        }
    }
}

async fn connect(address: SocketAddr, patience: Duration) -> Result<Upstream, Failure> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(upstream)) => {
            // Not worth failing for: it only costs time.
            let _ = upstream.set_nodelay(true);
            Ok(Upstream::new(upstream))
        }
        Ok(Err(_)) => Err(Failure::Upstream(UpstreamError::Connect)),
        Err(_) => Err(Failure::Upstream(UpstreamError::ConnectTimeout)),
    }
}
