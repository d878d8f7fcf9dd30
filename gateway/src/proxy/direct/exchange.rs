//! One request of the direct path: to an endpoint, maybe to another, and the
//! answer back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, BytesMut};
use http::header::{REFERER, USER_AGENT};
use http::{HeaderValue, StatusCode, Version};
use pingora_timeout::timeout;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::request::Request;
use super::response::{self, AnswerFields, Framing, Head};
use super::{Direct, Plan, Served};
use crate::listener::{Connection, Serving, Stream};
use crate::observe::access_log::Record;
use crate::observe::metrics::{Sample, UpstreamError, Verb};
use crate::policy::Answer;
use crate::proxy::SEND_TIMEOUT;
use crate::proxy::failure::Failure;
use crate::proxy::tries::Tries;
use crate::request::RequestView;
use crate::upstream::Pick;

/// Room for the first read of an answer: most heads with a small body.
const FIRST_READ: usize = 4096;
/// Room for reads of a longer body.
const BODY_READ: usize = 64 * 1024;
/// A longer head of an answer is refused.
const LONGEST_HEAD: usize = 64 * 1024;
/// What a client may send ahead while its request is served.
const READ_AHEAD: usize = 16 * 1024;

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
struct Outcome {
    /// 0: none was sent.
    status: u16,
    head: usize,
    body: u64,
    close: bool,
    failure: Option<Failure>,
}

impl Exchange<'_> {
    /// Serves the request. `body` is what was read of its body; `more` gets what
    /// the client sends ahead.
    pub(super) async fn run(
        &self,
        mut plan: Plan,
        stream: &mut Stream,
        body: &[u8],
        more: &mut BytesMut,
    ) -> Served {
        let in_flight = self.connection.request_started();
        let mut tries = Tries::default();
        if self.direct.log.enabled() {
            tries.log = Some(Vec::new());
        }
        let outcome = match self.upstream_request(&plan, stream, body).await {
            Ok(request) => {
                let first = plan.pick();
                self.forward(&plan, first, &request, stream, more, &mut tries)
                    .await
            }
            Err(failure) => Err(failure),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(failure) => self.refuse(&plan, failure, stream).await,
        };
        let close = outcome.close;
        self.tell(&plan, outcome, tries);
        drop(in_flight);
        Served { close }
    }

    /// The bytes for the upstream: the head and the whole body.
    async fn upstream_request(
        &self,
        plan: &Plan,
        stream: &mut Stream,
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let length = self.request.head.content_length.unwrap_or_default() as usize;
        let mut out = Vec::with_capacity(1024 + length);
        let target = plan.rewritten.as_deref().unwrap_or(self.request.head.target);
        self.request
            .write(target, self.id.as_ref().map(HeaderValue::as_bytes), &mut out);
        out.extend_from_slice(body);
        let mut rest = length - body.len();
        while rest > 0 {
            let patience = self.serving.spec.http.body_timeout;
            let mut place = (&mut out).limit(rest);
            match timeout(patience, stream.read_buf(&mut place)).await {
                Ok(Ok(0) | Err(_)) => return Err(Failure::ClientClosed),
                Ok(Ok(count)) => rest -= count,
                Err(_) => return Err(Failure::ClientTimeout),
            }
        }
        Ok(out)
    }

    async fn forward(
        &self,
        plan: &Plan,
        mut pick: Option<Pick>,
        request: &[u8],
        stream: &mut Stream,
        more: &mut BytesMut,
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
            let result = attempt.run(current, stream, &mut answer, more, tries).await;
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
                    return Ok(relay.run(address, stream, more, tries).await);
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
    async fn refuse(&self, plan: &Plan, failure: Failure, stream: &mut Stream) -> Outcome {
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
            return outcome;
        };
        let mut fields = AnswerFields::none();
        self.apply_policies(plan, status, true, &mut fields);
        let (out, head) = response::own(status, &self.request.head.method, &fields, outcome.close);
        match send(stream, &out).await {
            Ok(()) => outcome.status = status.as_u16(),
            Err(_) => outcome.close = true,
        }
        outcome.head = head;
        outcome.body = (out.len() - head) as u64;
        outcome
    }

    /// What the route changes of the fields of an answer.
    fn apply_policies(&self, plan: &Plan, status: StatusCode, is_own: bool, fields: &mut AnswerFields<'_>) {
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
    fn closes(&self) -> bool {
        self.last || self.request.head.close || self.connection.draining()
    }

    fn take_idle(&self, address: SocketAddr) -> Option<TcpStream> {
        let keep_alive = self.serving.spec.http.upstream_keep_alive;
        self.direct.pool.take(address, keep_alive)
    }

    fn tell(&self, plan: &Plan, outcome: Outcome, mut tries: Tries) {
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
            received: head.total(),
            sent: outcome.head as u64 + outcome.body,
            connect: tries.connect,
            header: tries.header,
            response: tries.response(self.started, duration),
        };
        tries.finish(outcome.body, status);
        plan.target().metrics.observe(&sample);
        let log = &self.direct.log;
        let route = &plan.route;
        let default_backend = matches!(&*route.spec.origin.kind, "DefaultBackend" | "Service");
        if route.policies.unlogged || !log.takes(default_backend, head.target.as_bytes()) {
            return;
        }
        let mut record = Record::new(
            self.request.client_ip,
            head.method.clone(),
            head.target.as_bytes(),
            Version::HTTP_11,
        );
        let field = |name| {
            let value = self.request.header(&name)?;
            HeaderValue::from_bytes(value).ok()
        };
        record.captured.request = log.wanted(|wanted| wanted.request.iter().cloned().map(field).collect());
        record.host = self.request.host().into();
        record.scheme = if self.request.is_tls() { "https" } else { "http" };
        record.status = status;
        record.body_bytes_sent = outcome.body;
        record.bytes_sent = sample.sent;
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
        log.log(Box::new(record));
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
        stream: &mut Stream,
        answer: &mut BytesMut,
        more: &mut BytesMut,
        tries: &mut Tries,
    ) -> Result<(TcpStream, Head), Failure> {
        let timeouts = &self.plan.route.policies.timeouts;
        let address = pick.address();
        tries.begin(pick);
        let (mut upstream, reused) = match self.exchange.take_idle(address) {
            Some(upstream) => (upstream, true),
            None => (connect(address, timeouts.connect).await?, false),
        };
        tries.connected(reused);
        match timeout(timeouts.send, upstream.write_all(self.request)).await {
            // The answer may have come before the upstream stopped reading.
            Ok(_) => {}
            Err(_) => return Err(Failure::Upstream(UpstreamError::WriteTimeout)),
        }
        loop {
            answer.reserve(FIRST_READ);
            if hear(&mut upstream, answer, stream, more, timeouts.read).await? == 0 {
                return Err(Failure::Upstream(UpstreamError::Closed));
            }
            if let Some(head) = self.head(answer)? {
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
                // Nobody has asked for it.
                return Err(PROTOCOL);
            }
            if !head.status.is_informational() {
                return Ok(Some(head));
            }
            answer.advance(head.length);
        }
    }
}

async fn connect(address: SocketAddr, patience: Duration) -> Result<TcpStream, Failure> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(upstream)) => {
            // Not worth failing for: it only costs time.
            let _ = upstream.set_nodelay(true);
            Ok(upstream)
        }
        Ok(Err(_)) => Err(Failure::Upstream(UpstreamError::Connect)),
        Err(_) => Err(Failure::Upstream(UpstreamError::ConnectTimeout)),
    }
}

/// Reads from the upstream into `answer`, as long as the client is there.
/// Returns 0 when the upstream has closed.
async fn hear(
    upstream: &mut TcpStream,
    answer: &mut BytesMut,
    stream: &mut Stream,
    more: &mut BytesMut,
    patience: Duration,
) -> Result<usize, Failure> {
    let either = async {
        tokio::select! {
            biased;
            read = upstream.read_buf(answer) => {
                read.map_err(|_| Failure::Upstream(UpstreamError::Closed))
            }
            () = client_gone(stream, more) => Err(Failure::ClientClosed),
        }
    };
    timeout(patience, either)
        .await
        .unwrap_or(Err(Failure::Upstream(UpstreamError::ReadTimeout)))
}

/// Resolves when the client has left (nginx logs 499); what it sends ahead is
/// kept in `more`.
async fn client_gone(stream: &mut Stream, more: &mut BytesMut) {
    while more.len() < READ_AHEAD {
        more.reserve(512);
        match stream.read_buf(more).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    std::future::pending().await
}

/// An answer whose head has been read.
struct Relay<'a> {
    exchange: &'a Exchange<'a>,
    plan: &'a Plan,
    upstream: TcpStream,
    head: Head,
    /// What has come: the head, and maybe more.
    answer: BytesMut,
}

impl Relay<'_> {
    async fn run(
        mut self,
        address: SocketAddr,
        stream: &mut Stream,
        more: &mut BytesMut,
        tries: &mut Tries,
    ) -> Outcome {
        let exchange = self.exchange;
        let mut out = Vec::with_capacity(FIRST_READ);
        let mut outcome = Outcome {
            close: exchange.closes(),
            status: self.head.status.as_u16(),
            ..Outcome::default()
        };
        let mut fields = self.head.fields(&self.answer);
        exchange.apply_policies(self.plan, self.head.status, false, &mut fields);
        self.head.write(&fields, outcome.close, &mut out);
        outcome.head = out.len();
        self.answer.advance(self.head.length);
        let result = self.body(out, stream, more, &mut outcome).await;
        match result {
            Ok(()) if self.head.keep_alive && self.answer.is_empty() => {
                let keep_alive = exchange.serving.spec.http.upstream_keep_alive;
                exchange.direct.pool.put(address, self.upstream, keep_alive);
            }
            Ok(()) => {}
            Err(failure) => self.broken(failure, &mut outcome, tries),
        }
        outcome
    }

    /// An answer that has begun cannot be taken back: the connection closes.
    fn broken(&self, failure: Failure, outcome: &mut Outcome, tries: &mut Tries) {
        outcome.close = true;
        outcome.failure = Some(failure);
        let method = &self.exchange.request.head.method;
        let retry = &self.plan.route.policies.retry;
        tries.failed_with(failure, method, retry, &self.plan.target().metrics);
    }

    /// Sends `out`, then the body: what has come of it, then the rest.
    async fn body(
        &mut self,
        mut out: Vec<u8>,
        stream: &mut Stream,
        more: &mut BytesMut,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let framing = &mut self.head.framing;
        loop {
            let mine = take(framing, &self.answer)?;
            if matches!(framing, Framing::Close) {
                chunk(&self.answer[..mine], &mut out);
            } else {
                out.extend_from_slice(&self.answer[..mine]);
            }
            outcome.body += mine as u64;
            self.answer.advance(mine);
            let done = is_done(framing);
            if !out.is_empty() {
                send(stream, &out).await?;
                out.clear();
            }
            if done {
                return Ok(());
            }
            self.answer.reserve(BODY_READ);
            let patience = self.plan.route.policies.timeouts.read;
            let read = hear(&mut self.upstream, &mut self.answer, stream, more, patience).await?;
            if read == 0 {
                return match framing {
                    Framing::Close => send(stream, b"0\r\n\r\n").await,
                    _ => Err(Failure::Upstream(UpstreamError::Closed)),
                };
            }
        }
    }
}

/// How many of the bytes belong to the body.
fn take(framing: &mut Framing, bytes: &[u8]) -> Result<usize, Failure> {
    match framing {
        Framing::None => Ok(0),
        Framing::Length(left) => {
            let mine = (*left).min(bytes.len() as u64);
            *left -= mine;
            Ok(mine as usize)
        }
        Framing::Chunked(chunked) => chunked
            .feed(bytes)
            .map_err(|_| Failure::Upstream(UpstreamError::Protocol)),
        Framing::Close => Ok(bytes.len()),
    }
}

fn is_done(framing: &Framing) -> bool {
    match framing {
        Framing::None => true,
        Framing::Length(left) => *left == 0,
        Framing::Chunked(chunked) => chunked.is_done(),
        Framing::Close => false,
    }
}

/// Appends one chunk.
fn chunk(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

async fn send(stream: &mut Stream, bytes: &[u8]) -> Result<(), Failure> {
    let work = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match timeout(SEND_TIMEOUT, work).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Failure::ClientClosed),
    }
}
