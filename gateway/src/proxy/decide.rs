//! From an acceptable head to an answer of our own, or an endpoint.

use http::StatusCode;
use http::header::CONTENT_LENGTH;
use pingora_http::RequestHeader;
use tidegate_snapshot::Action;

use super::context::RequestContext;
use super::failure::Failure;
use super::inbound::Inbound;
use super::{binding, head, host};
use crate::observe::metrics::UpstreamError;
use crate::policy::{Facts, Flow, Policies, Reply, block};
use crate::request::RequestView;
use crate::router::Route;

/// Applies the route and its policies in ingress-nginx's order. `None`: the
/// request goes on to limits and access; if it is to be forwarded, its first
/// endpoint is chosen.
pub(super) fn decide(
    request: &RequestHeader,
    inbound: &Inbound,
    context: &mut RequestContext,
) -> Option<Reply> {
    if let Flow::Respond(reply) = block(inbound.http(), &inbound.view(request)) {
        return Some(reply);
    }
    let Some(route) = context.route.clone() else {
        return Some(Reply::status(StatusCode::NOT_FOUND));
    };
    if let Flow::Respond(reply) = apply(request, inbound, &route) {
        return Some(reply);
    }
    if matches!(route.spec.action, Action::Respond(_)) {
        return None;
    }
    match binding::first(request, inbound, context) {
        Some(picked) => {
            context.tries.next = Some(picked);
            None
        }
        None => {
            context.failure = Some(Failure::Upstream(UpstreamError::NoEndpoint));
            if let Some(target) = context.target() {
                target.metrics.upstream_error(UpstreamError::NoEndpoint);
            }
            Some(Reply::status(StatusCode::SERVICE_UNAVAILABLE))
        }
    }
}

/// What a route answers that does not forward, to requests that are let in.
pub(super) fn own_answer(context: &RequestContext) -> Option<Reply> {
    match context.route.as_ref()?.spec.action {
        Action::Respond(status) => Some(Reply::status(
            StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND),
        )),
        _ => None,
    }
}

fn apply(request: &RequestHeader, inbound: &Inbound, route: &Route) -> Flow {
    let view = inbound.view(request);
    let policies: &Policies = &route.policies;
    let forwarded_host = inbound.forwarded_host.as_ref().and_then(host::without_port);
    let length = request.headers.get(CONTENT_LENGTH);
    let facts = Facts {
        request: &view,
        redirect_host: forwarded_host.as_deref().unwrap_or(view.host()),
        content_length: length.and_then(|length| head::content_length(length.as_bytes())),
        http: inbound.http(),
    };
    match policies.on_match(&facts) {
        Flow::Continue => {}
        reply => return reply,
    }
    if matches!(route.spec.action, Action::AddTrailingSlash) {
        return Flow::Respond(add_slash(&facts));
    }
    policies.on_request(&facts)
}

/// nginx's redirect to a location that ends in a slash: the connection's
/// scheme, the request's own host without port, the query kept.
fn add_slash(facts: &Facts<'_>) -> Reply {
    let request = facts.request;
    let scheme = if request.is_tls() { "https" } else { "http" };
    let mut location = format!("{scheme}://{}", request.host());
    escape(request.path(), &mut location);
    location.push('/');
    if let Some(query) = request.query() {
        location.push('?');
        location.push_str(query);
    }
    Reply::redirect(StatusCode::MOVED_PERMANENTLY, location)
}

/// Writes a normalised path as a URL has it.
fn escape(path: &str, url: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in path.bytes() {
        match byte {
            b'%' | b'?' | b'#' | b'"' | b'<' | b'>' | b'\\' | 0..=b' ' | 0x7F.. => {
                url.push('%');
                url.push(DIGITS[usize::from(byte >> 4)].into());
                url.push(DIGITS[usize::from(byte & 0xF)].into());
            }
            byte => url.push(byte.into()),
        }
    }
}
