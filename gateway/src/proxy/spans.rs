//! What spans say of requests: OpenTelemetry's conventions for HTTP servers,
//! and ingress-nginx's attributes of the Ingress.

use http::header::USER_AGENT;
use http::{HeaderValue, Method, Version};
use opentelemetry::{KeyValue, Value};
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::context::RequestContext;
use super::failure::Failure;
use super::{answer, forwarded, inbound};
use crate::observe::metrics::Sample;
use crate::observe::spans::{Finished, Span, Spans, TRACESTATE};
use crate::request::RequestView;
use crate::template::Values;

/// Parameters whose values are secrets by their nature (`url.query` in the
/// conventions).
const SECRET_PARAMETERS: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

/// Begins the span of a request whose route has tracing on.
pub(super) fn begin(spans: &Spans, client: &RequestHeader, context: &mut RequestContext) {
    let Some(tracing) = context.policies().and_then(|policies| policies.tracing.as_ref()) else {
        return;
    };
    let span = spans.begin(&client.headers, tracing.trusts_client);
    context.span = span.map(Box::new);
}

/// Puts the request to another server into the trace.
///
/// # Errors
/// None: names and values are right.
pub(super) fn tell(head: &mut RequestHeader, span: &Span) -> Result<()> {
    if !span.keeps_state() {
        head.remove_header(&TRACESTATE);
    }
    head.insert_header("traceparent", span.traceparent())
}

/// Finishes the span of a request.
pub(super) fn finish(spans: &Spans, session: &Session, context: &RequestContext, sample: &Sample) {
    if let Some(span) = &context.span {
        spans.finish(span, || Finished {
            name: name(session, context).unwrap_or_default(),
            attributes: attributes(session, context, sample),
            is_error: sample.status >= 500,
            duration: sample.duration,
        });
    }
}

fn name(session: &Session, context: &RequestContext) -> Option<String> {
    let head = session.req_header();
    let inbound = context.inbound.as_ref()?;
    let route = context.route.as_ref()?;
    let cluster = context.target().and_then(|target| target.cluster.as_deref());
    let view = inbound.view(head);
    let port = forwarded::port(inbound);
    let values = Values {
        request_id: context.request_id(),
        port: port.as_bytes(),
        route: Some((&route.spec.origin, &route.spec.path)),
        service: cluster.map(|cluster| (&*cluster.spec.origin.name, &*cluster.spec.port)),
        ..Values::of(&view)
    };
    let method = known(&head.method).unwrap_or("HTTP");
    Some(route.policies.tracing.as_ref()?.span_name(method, &values))
}

/// A method of a standard: others could be anything.
fn known(method: &Method) -> Option<&str> {
    const KNOWN: [&str; 10] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
    ];
    KNOWN.contains(&method.as_str()).then(|| method.as_str())
}

fn attributes(session: &Session, context: &RequestContext, sample: &Sample) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(24);
    of_request(session.req_header(), context, &mut attributes);
    of_answer(session, context, sample, &mut attributes);
    of_route(context, &mut attributes);
    attributes
}

fn add(attributes: &mut Vec<KeyValue>, name: &'static str, value: impl Into<Value>) {
    attributes.push(KeyValue::new(name, value));
}

fn of_request(head: &RequestHeader, context: &RequestContext, to: &mut Vec<KeyValue>) {
    match known(&head.method) {
        Some(method) => add(to, "http.request.method", method.to_owned()),
        None => {
            add(to, "http.request.method", "_OTHER");
            add(
                to,
                "http.request.method_original",
                head.method.as_str().to_owned(),
            );
        }
    }
    let uri = inbound::uri(head);
    let (path, query) = match uri.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (uri, None),
    };
    add(to, "url.path", path.to_owned());
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        add(to, "url.query", redacted(query));
    }
    let version = match head.version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    add(to, "network.protocol.version", version);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    if let Some(agent) = head.headers.get(USER_AGENT) {
        add(to, "user_agent.original", text(agent));
    }
    if let Some(inbound) = &context.inbound {
        let view = inbound.view(head);
        add(to, "url.scheme", view.scheme().to_owned());
        if !view.host().is_empty() {
            add(to, "server.address", view.host().to_owned());
            add(to, "server.port", i64::from(inbound.port()));
        }
        add(to, "client.address", inbound.client_ip.to_string());
        let peer = inbound.connection.peer;
        add(to, "network.peer.address", peer.ip().to_string());
        add(to, "network.peer.port", i64::from(peer.port()));
    }
}

fn of_answer(session: &Session, context: &RequestContext, sample: &Sample, to: &mut Vec<KeyValue>) {
    let answered = answer::is_written(session);
    if answered {
        add(to, "http.response.status_code", i64::from(sample.status));
        let length = i64::try_from(session.body_bytes_sent()).unwrap_or(i64::MAX);
        add(to, "http.response.body.size", length);
    }
    let length = i64::try_from(session.body_bytes_read()).unwrap_or(i64::MAX);
    if length > 0 {
        add(to, "http.request.body.size", length);
    }
    match context.failure.map(Failure::reason) {
        Some(reason) if !answered || sample.status >= 500 => add(to, "error.type", reason),
        _ if sample.status >= 500 => add(to, "error.type", sample.status.to_string()),
        _ => {}
    }
}

fn of_route(context: &RequestContext, to: &mut Vec<KeyValue>) {
    let Some(route) = &context.route else { return };
    add(to, "http.route", route.spec.path.to_string());
    let origin = &route.spec.origin;
    if !origin.namespace.is_empty() {
        add(to, "ingress.namespace", origin.namespace.to_string());
        add(to, "ingress.name", origin.name.to_string());
    }
    if let Some(target) = context.target() {
        add(to, "ingress.upstream", target.key.0.to_string());
        if let Some(cluster) = &target.cluster {
            add(to, "ingress.service_name", cluster.spec.origin.name.to_string());
        }
    }
}

/// A query without the values of parameters that are secrets.
fn redacted(query: &str) -> String {
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if SECRET_PARAMETERS.contains(&name) => format!("{name}=REDACTED"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_spans() {
        assert_eq!(
            redacted("a=b&sig=x%2B&c&Signature="),
            "a=b&sig=REDACTED&c&Signature=REDACTED"
        );
    }

    #[test]
    fn methods_are_few() {
        assert_eq!(known(&Method::PATCH), Some("PATCH"));
        assert_eq!(known(&Method::from_bytes(b"get").unwrap()), None);
    }
}
