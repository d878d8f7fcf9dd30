//! What is told of a finished request: metrics always, a log record if the
//! access log is on.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::answer;
use super::context::RequestContext;
use super::external_auth::Asked;
use super::failure::Failure;
use crate::geoip::Place;
use crate::observe::access_log::{AccessLog, Captured, Facts, Record};
use crate::observe::metrics::{Sample, Verb};
use crate::request::{RequestView, credentials};

/// What a request came to.
pub(super) fn sample(session: &Session, context: &RequestContext) -> Sample {
    let head = session.response_written().map(head_length).unwrap_or_default();
    let duration = context.started.elapsed();
    Sample {
        status: status(session, context),
        verb: Verb::from(&session.req_header().method),
        duration,
        received: (context.head_length + session.body_bytes_read()) as u64,
        sent: (head + session.body_bytes_sent()) as u64,
        connect: context.tries.connect,
        header: context.tries.header,
        response: context.tries.response(context.started, duration),
    }
}

/// The status sent; of requests that got none, why.
fn status(session: &Session, context: &RequestContext) -> u16 {
    match session.response_written() {
        Some(head) if answer::is_written(session) => head.status.as_u16(),
        _ => context.failure.map_or(Failure::CLIENT_CLOSED, Failure::status),
    }
}

pub(super) fn head_length(head: &ResponseHeader) -> usize {
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    // `HTTP/1.1 200 OK` and two line ends.
    fields.sum::<usize>() + 19
}

/// Whether a request leaves a line: not where its route says no, and not for
/// the default backend unless that is asked for.
pub(super) fn is_logged(log: &AccessLog, session: &Session, context: &RequestContext) -> bool {
    takes(log, session.req_header(), context)
}

/// [`is_logged`] without a session.
pub(super) fn takes(log: &AccessLog, head: &RequestHeader, context: &RequestContext) -> bool {
    let unlogged = context.policies().is_some_and(|policies| policies.unlogged);
    let default_backend = context
        .route
        .as_ref()
        .is_some_and(|route| route.is_default_backend);
    !unlogged && log.takes(default_backend, head.raw_path())
}

/// The fields of a backend's answer that the log's format asks for.
pub(super) fn capture(log: &AccessLog, response: &ResponseHeader) -> Vec<Option<HeaderValue>> {
    log.wanted(|wanted| values(&wanted.upstream, &response.headers))
}

fn values(names: &[HeaderName], headers: &HeaderMap) -> Vec<Option<HeaderValue>> {
    names.iter().map(|name| headers.get(name).cloned()).collect()
}

/// What only some formats ask for.
fn facts(head: &RequestHeader, context: &RequestContext) -> Option<Box<Facts>> {
    let connection = context.connection.as_ref()?;
    let inbound = context.inbound.as_ref()?;
    let host = inbound.host(head);
    Some(Box::new(Facts {
        path: inbound.view(head).path().as_bytes().into(),
        server_name: if host.is_empty() { "_" } else { host }.into(),
        port: inbound.port(),
        announced: connection.proxied.then(|| connection.client.ip()),
        tls: connection.tls.as_ref().map(|tls| (tls.protocol, tls.cipher)),
        tls_server_name: connection.tls.as_ref().and_then(|tls| tls.server_name.clone()),
        connect: context.tries.connect,
        header: context.tries.header,
    }))
}

fn place(context: &RequestContext) -> Option<Arc<Place>> {
    context.inbound.as_ref()?.place().cloned()
}

/// The log record of a request.
pub(super) fn record(
    log: &AccessLog,
    session: &Session,
    context: &mut RequestContext,
    sample: &Sample,
) -> Option<Record> {
    let head: &RequestHeader = session.req_header();
    let mut record = begun(head, context)?;
    record.status = sample.status;
    record.body_bytes_sent = session.body_bytes_sent() as u64;
    record.bytes_sent = sample.sent;
    record.request_length = sample.received;
    record.request_time = sample.duration;
    log.wanted(|wanted| {
        record.captured = Captured {
            request: values(&wanted.request, &head.headers),
            sent: match session.response_written() {
                Some(response) => values(&wanted.sent, &response.headers),
                None => Vec::new(),
            },
            upstream: std::mem::take(&mut context.upstream_fields),
        };
        if wanted.connection {
            record.facts = facts(head, context);
        }
        if wanted.place {
            record.place = place(context);
        }
    });
    record.reason = context.failure.map(Failure::reason);
    record.attempts = context.tries.log.take().unwrap_or_default();
    Some(record)
}

/// The log record of a question to an authentication service (nginx
/// `log_subrequest`): what is known of the request that it is about, with the
/// service as upstream. Nothing of it is sent to the client.
pub(super) fn question(
    log: &AccessLog,
    head: &RequestHeader,
    context: &RequestContext,
    asked: Asked,
    duration: Duration,
) -> Option<Record> {
    let mut record = begun(head, context)?;
    record.status = asked.status;
    record.request_length = context.head_length as u64;
    record.request_time = duration;
    log.wanted(|wanted| {
        record.captured.request = values(&wanted.request, &head.headers);
        if wanted.connection {
            record.facts = facts(head, context);
        }
        if wanted.place {
            record.place = place(context);
        }
    });
    record.attempts = asked.attempt.into_iter().collect();
    Some(record)
}

/// What is known of a request whatever becomes of it.
fn begun(head: &RequestHeader, context: &RequestContext) -> Option<Record> {
    let connection = context.connection.as_ref()?;
    let client = match &context.inbound {
        Some(inbound) => inbound.client_ip,
        None => connection.client.ip(),
    };
    let field = |name| head.headers.get(name).cloned();
    let mut record = Record::new(client, head.method.clone(), head.raw_path(), head.version);
    record.host = context
        .inbound
        .as_ref()
        .map(|inbound| inbound.host(head).into())
        .unwrap_or_default();
    record.scheme = if context.is_tls() { "https" } else { "http" };
    record.user = credentials::user(head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes));
    record.referer = field(REFERER);
    record.user_agent = field(USER_AGENT);
    record.upstream_name = match (&context.route, context.alternative()) {
        // ingress-nginx keeps the main name and shows the canary beside it.
        (Some(route), Some(_)) => route.targets.first().map(|main| main.key.clone()),
        _ => context.upstream().map(|upstream| upstream.key.clone()),
    };
    record.alternative_upstream_name = context.alternative().map(|target| target.key.clone());
    record.request_id = context.request_id.clone();
    record.route = context.route.as_ref().map(|route| route.spec.origin.clone());
    record.route_path = context.route.as_ref().map(|route| route.spec.path.clone());
    record.trace = context.span.as_ref().map(|span| span.ids());
    Some(record)
}
