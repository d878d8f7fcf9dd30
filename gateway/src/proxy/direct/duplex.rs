//! A request over HTTP/2 whose upstream speaks HTTP/2 as well, as gRPC has it:
//! both directions flow at the same time, each no faster than its receiver takes
//! it (RFC 9113 §5.2), and the end of each may have fields of its own.
//!
//! Deadlines are those of Pingora's path: to connect; between two pieces of the
//! answer, its head included; for a single piece of the request to be taken. The
//! client may be silent.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use futures::FutureExt;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, SERVER};
use http::{HeaderMap, Uri, Version};
use pingora_core::protocols::http::v2::server::HttpSession;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_timeout::timeout;

use super::Plan;
use super::downstream::taken;
use super::exchange::{Exchange, Outcome};
use super::http2::Http2;
use super::lines::{Lease, NoLine};
use super::uplink::{Uplink, Watch, room};
use crate::observe::metrics::UpstreamError;
use crate::proxy::failure::Failure;
use crate::proxy::fields::Head;
use crate::proxy::logging;
use crate::proxy::tries::Tries;
use crate::upstream::Pick;

const CLOSED: Failure = Failure::Upstream(UpstreamError::Closed);
const PROTOCOL: Failure = Failure::Upstream(UpstreamError::Protocol);
const READ_TIMEOUT: Failure = Failure::Upstream(UpstreamError::ReadTimeout);
const GONE: Broken = Broken(Failure::ClientClosed, Reason::CANCEL);

/// A request of this kind.
pub(super) struct Duplex<'a> {
    pub(super) exchange: &'a Exchange<'a>,
    pub(super) plan: &'a Plan,
    /// The client's head.
    pub(super) header: &'a RequestHeader,
    /// What the upstream is asked for.
    pub(super) uri: Uri,
}

/// A stream of an upstream's connection. The order of fields is that in which
/// they must be dropped.
struct Opened {
    answer: ResponseFuture,
    body: SendStream<Bytes>,
    lease: Lease,
}

/// An answer whose head has come.
struct Answered {
    head: ResponseHeader,
    from: RecvStream,
    /// Where the request's body goes.
    body: SendStream<Bytes>,
    lease: Lease,
}

/// Why an answer breaks off, and what the client is told.
struct Broken(Failure, Reason);

impl Duplex<'_> {
    /// Serves the request.
    pub(super) async fn run(&self, first: Option<Pick>, session: &mut HttpSession) {
        let in_flight = self.exchange.connection.request_started();
        let mut tries = self.exchange.tries();
        let policies = &self.plan.route.policies;
        let mut up = Uplink::new(&policies.body, policies.timeouts.send);
        let outcome = match self.forward(first, session, &mut up, &mut tries).await {
            Ok(answered) => self.pass(answered, session, &mut up, &mut tries).await,
            Err(failure) => {
                let mut client = Http2(session);
                self.exchange.refuse(self.plan, failure, &mut client).await
            }
        };
        let received = self.exchange.request.head.length as u64 + up.length();
        self.exchange
            .tell(self.plan, outcome, tries, Version::HTTP_2, received);
        drop(in_flight);
    }

    /// Tries endpoints until one answers.
    async fn forward(
        &self,
        mut pick: Option<Pick>,
        session: &mut HttpSession,
        up: &mut Uplink<'_>,
        tries: &mut Tries,
    ) -> Result<Answered, Failure> {
        let policies = &self.plan.route.policies;
        let method = &self.exchange.request.head.method;
        loop {
            let another = || self.plan.pick_another(tries.failed());
            let Some(current) = pick.take().or_else(another) else {
                return Err(Failure::Upstream(UpstreamError::NoEndpoint));
            };
            let address = current.address();
            tries.begin(current);
            let failure = match self.attempt(address, session, up, tries).await {
                Ok(answered) => {
                    let status = answered.head.status.as_u16();
                    if up.is_repeatable() && tries.gives_up_on(status, method, &policies.retry) {
                        Failure::Internal
                    } else {
                        tries.answered(status);
                        match self.check(&answered.head) {
                            Ok(()) => return Ok(answered),
                            Err(failure) => failure,
                        }
                    }
                }
                Err(failure) => failure,
            };
            let another = tries.failed_with(failure, method, &policies.retry, &self.plan.target().metrics);
            if !another || !up.is_repeatable() {
                return Err(failure);
            }
        }
    }

    /// One try to get an answer's head, while the body goes there.
    async fn attempt(
        &self,
        address: SocketAddr,
        session: &mut HttpSession,
        up: &mut Uplink<'_>,
        tries: &mut Tries,
    ) -> Result<Answered, Failure> {
        let has_no_body = up.begin(session);
        let mut opened = self.open(address, has_no_body, tries).await?;
        let patience = self.plan.route.policies.timeouts.read;
        let client = async {
            up.go_on(session, &mut opened.body, Watch::Client).await?;
            // A reset, or the end of the connection.
            let _ = session.idle().await;
            Err(Failure::ClientClosed)
        };
        let answer = tokio::select! {
            biased;
            answer = timeout(patience, &mut opened.answer) => answer,
            failed = client => return failed,
        };
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unanswered(&error, tries)),
            Err(_) => {
                // It may hang.
                opened.lease.retire();
                return Err(READ_TIMEOUT);
            }
        };
        let (head, from) = response.into_parts();
        Ok(Answered {
            head: head.into(),
            from,
            body: opened.body,
            lease: opened.lease,
        })
    }

    /// Opens a stream. Connections that turn out to be gone cost nothing but the
    /// look at the next.
    async fn open(
        &self,
        address: SocketAddr,
        has_no_body: bool,
        tries: &mut Tries,
    ) -> Result<Opened, Failure> {
        let exchange = self.exchange;
        let lines = &exchange.direct.lines;
        let keep_alive = &exchange.serving.spec.http.upstream_keep_alive;
        let patience = self.plan.route.policies.timeouts.connect;
        loop {
            let lease = match lines.lease(address, keep_alive, patience).await {
                Ok(lease) => lease,
                Err(NoLine { failure, connected }) => {
                    if connected {
                        tries.connected(false);
                        tries.unprocessed();
                    }
                    return Err(failure);
                }
            };
            tries.connected(lease.reused);
            let id = exchange.id.as_ref();
            let request = exchange.request.for_http2(self.header, self.uri.clone(), id);
            match lease.open(request, has_no_body) {
                Ok((answer, body)) => {
                    return Ok(Opened { answer, body, lease });
                }
                Err(_) if lease.reused => {}
                Err(_) => {
                    tries.unprocessed();
                    return Err(CLOSED);
                }
            }
        }
    }

    /// # Errors
    /// The head is not one to pass on; nginx asks no other endpoint then
    /// (`proxy-buffer-size`).
    fn check(&self, head: &ResponseHeader) -> Result<(), Failure> {
        let largest = self.plan.route.policies.buffering.response_head as usize;
        let is_framed_twice = head.headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some();
        if is_framed_twice || logging::head_length(head) > largest {
            return Err(PROTOCOL);
        }
        Ok(())
    }

    /// Passes the answer on, and what is left of the request until the answer ends.
    async fn pass(
        &self,
        answered: Answered,
        session: &mut HttpSession,
        up: &mut Uplink<'_>,
        tries: &mut Tries,
    ) -> Outcome {
        let mut outcome = Outcome {
            status: answered.head.status.as_u16(),
            ..Outcome::default()
        };
        up.forget();
        let lease = &answered.lease;
        let parts = (answered.head, answered.from, answered.body);
        if let Err(Broken(failure, _)) = self.relay(parts, session, up, &mut outcome).await {
            if failure == READ_TIMEOUT {
                lease.retire();
            }
            outcome.failure = Some(failure);
            let method = &self.exchange.request.head.method;
            let retry = &self.plan.route.policies.retry;
            tries.failed_with(failure, method, retry, &self.plan.target().metrics);
        }
        outcome
    }

    async fn relay(
        &self,
        (mut head, mut from, mut body): (ResponseHeader, RecvStream, SendStream<Bytes>),
        session: &mut HttpSession,
        up: &mut Uplink<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), Broken> {
        head.remove_header(&SERVER);
        self.exchange
            .apply_policies(self.plan, head.status, false, &mut Head(&mut head));
        let is_whole = has_ended(&mut from);
        session
            .write_response_header(Box::new(head), is_whole)
            .map_err(|_| GONE)?;
        outcome.head = session.response_written().map_or(0, logging::head_length);
        if is_whole {
            return Ok(());
        }
        let mut to = session.take_response_body_writer().ok_or(GONE)?;
        let sent = tokio::select! {
            biased;
            sent = self.down(&mut from, &mut to, outcome) => sent,
            failed = upload(up, session, &mut body) => Err(Broken(failed, Reason::INTERNAL_ERROR)),
        };
        if let Err(Broken(_, reason)) = &sent {
            // What was said before goes first, which a reset would overtake.
            tokio::task::yield_now().await;
            to.send_reset(*reason);
        }
        sent
    }

    /// The rest of the answer.
    async fn down(
        &self,
        from: &mut RecvStream,
        to: &mut SendStream<Bytes>,
        outcome: &mut Outcome,
    ) -> Result<(), Broken> {
        while let Some(data) = self.hear(from, to).await? {
            let length = data.len();
            let is_last = has_ended(from);
            send(to, data, is_last).await?;
            outcome.body += length as u64;
            // Not before the client has room for it: RFC 9113 §5.2.
            let _ = from.flow_control().release_capacity(length);
            if is_last {
                return Ok(());
            }
        }
        let patience = self.plan.route.policies.timeouts.read;
        let trailers = match timeout(patience, from.trailers()).await {
            Ok(Ok(trailers)) => trailers,
            Ok(Err(error)) => return Err(broken(&error)),
            Err(_) => return Err(Broken(READ_TIMEOUT, Reason::INTERNAL_ERROR)),
        };
        end(to, trailers).map_err(|_| GONE)
    }

    /// The next piece of the answer, as long as the client is there.
    async fn hear(&self, from: &mut RecvStream, to: &mut SendStream<Bytes>) -> Result<Option<Bytes>, Broken> {
        let patience = self.plan.route.policies.timeouts.read;
        let data = tokio::select! {
            biased;
            data = timeout(patience, from.data()) => data,
            _ = poll_fn(|cx| to.poll_reset(cx)) => return Err(GONE),
        };
        match data {
            Ok(None) => Ok(None),
            Ok(Some(Ok(data))) => Ok(Some(data)),
            Ok(Some(Err(error))) => Err(broken(&error)),
            Err(_) => Err(Broken(READ_TIMEOUT, Reason::INTERNAL_ERROR)),
        }
    }
}

/// Sends what is left of the request; only a failure ends it, because the answer
/// says when all is over.
async fn upload(up: &mut Uplink<'_>, session: &mut HttpSession, body: &mut SendStream<Bytes>) -> Failure {
    match up.go_on(session, body, Watch::Nobody).await {
        Ok(()) => std::future::pending().await,
        Err(failure) => failure,
    }
}

/// Sends a piece as the client takes it.
async fn send(to: &mut SendStream<Bytes>, mut data: Bytes, is_last: bool) -> Result<(), Broken> {
    while !data.is_empty() {
        let mut space = 0;
        let has_room = async {
            space = room(to, data.len()).await.ok_or(())?;
            Ok::<(), ()>(())
        };
        taken(has_room).await.map_err(|_| GONE)?;
        let piece = data.split_to(space.min(data.len()));
        let ends = is_last && data.is_empty();
        to.send_data(piece, ends).map_err(|_| GONE)?;
        if ends {
            return Ok(());
        }
    }
    if is_last {
        end(to, None).map_err(|_| GONE)?;
    }
    Ok(())
}

/// Ends an answer, with the upstream's trailers if there are any.
fn end(to: &mut SendStream<Bytes>, trailers: Option<HeaderMap>) -> Result<(), h2::Error> {
    match trailers {
        Some(trailers) => to.send_trailers(trailers),
        None => to.send_data(Bytes::new(), true),
    }
}

/// Whether an answer has ended, without waiting. A stream that was reset has an
/// end too: therefore the look at what comes next.
fn has_ended(from: &mut RecvStream) -> bool {
    from.is_end_stream() && matches!(from.data().now_or_never(), Some(None))
}

fn unanswered(error: &h2::Error, tries: &mut Tries) -> Failure {
    if error.is_go_away() && error.is_remote() {
        // Only streams above the last one that the upstream names end like this.
        tries.unprocessed();
        return CLOSED;
    }
    if error.is_io() { CLOSED } else { PROTOCOL }
}

/// The upstream's reason for a reset is for the client.
fn broken(error: &h2::Error) -> Broken {
    let told = error.reason().filter(|_| error.is_reset() && error.is_remote());
    Broken(CLOSED, told.unwrap_or(Reason::INTERNAL_ERROR))
}
