//! From an acceptable head to an answer of our own, or an endpoint.

use http::StatusCode;
use http::header::CONTENT_LENGTH;
use pingora_http::RequestHeader;
use tidegate_snapshot::Action;

use super::context::RequestContext;
use super::failure::Failure;
use super::inbound::{Inbound, View};
use super::snippet::Known;
use super::{binding, error_page, forwarded, head, host, snippet};
use crate::observe::metrics::UpstreamError;
use crate::path;
use crate::policy;
use crate::policy::snippet::{Outcome, Progress, Seen};
use crate::policy::{Facts, Flow, LocationStyle, Reply, block};
use crate::request::RequestView;
use crate::router::Route;
use crate::template::Values;

/// Applies the route and its policies in ingress-nginx's order. `None`: the
/// request goes on to limits and access; if it is to be forwarded, its first
/// endpoint is chosen.
pub(super) fn decide(
    request: &RequestHeader,
    inbound: &Inbound,
    context: &mut RequestContext,
) -> Option<Reply> {
    let is_tls = inbound.connection.tls.is_some();
    if is_tls && let Some(reply) = client_auth(inbound, context) {
        context.is_refused_by_host = true;
        return Some(reply);
    }
    if let Flow::Respond(reply) = block(inbound.http(), &inbound.view(request)) {
        context.is_refused_by_host = true;
        return Some(reply);
    }
    if let Some(reply) = snippet::on_host(request, inbound, context) {
        return Some(reply);
    }
    let route = loop {
        let Some(route) = context.route.clone() else {
            return Some(Reply::status(StatusCode::NOT_FOUND));
        };
        let outcome = with_facts(request, inbound, |facts| {
            apply(facts, &inbound.view(request), inbound, &route, context)
        });
        match outcome {
            Outcome::Continue => break route,
            Outcome::Respond(reply) => return Some(reply),
            Outcome::FindRoute => {
                snippet::find_route(request, inbound, context);
                let progress = context.progress.as_deref_mut();
                if let Some(Err(reply)) = progress.map(Progress::next_round) {
                    return Some(reply);
                }
            }
        }
    };
    // Over plain HTTP the redirect to https comes first.
    if !is_tls && let Some(reply) = client_auth(inbound, context) {
        context.is_refused_by_host = true;
        return Some(reply);
    }
    if matches!(route.spec.action, Action::Respond(_)) {
        return None;
    }
    let endpoint = binding::first(request, inbound, context).or_else(|| error_page::fall_back(context));
    let own = context.own().map(|own| &own.policies);
    if let Some(Flow::Respond(reply)) =
        own.map(|own| with_facts(request, inbound, |facts| own.on_request(facts)))
    {
        return Some(reply);
    }
    match endpoint {
        Some(picked) => {
            context.tries.next = Some(picked);
            rewrite(request, inbound, &route, context).err()
        }
        None => {
            context.failure = Some(Failure::Upstream(UpstreamError::NoEndpoint));
            if let Some(target) = context.target() {
                target.metrics.upstream_error(UpstreamError::NoEndpoint);
            }
            Some(Reply::status(context.without_endpoint()))
        }
    }
}

/// The refusal of a client whose certificate is not what the host demands.
fn client_auth(inbound: &Inbound, context: &RequestContext) -> Option<Reply> {
    let demanded = context.route.as_ref()?.client_auth.as_ref()?;
    match policy::client_auth::check(demanded, inbound.connection.tls.as_ref()) {
        Flow::Respond(reply) => Some(reply),
        Flow::Continue => None,
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

/// What policies know of a request.
fn with_facts<T>(request: &RequestHeader, inbound: &Inbound, decide: impl FnOnce(&Facts<'_>) -> T) -> T {
    let view = inbound.view(request);
    let forwarded_host = inbound.forwarded_host.as_ref().and_then(host::without_port);
    let length = request.headers.get(CONTENT_LENGTH);
    decide(&Facts {
        request: &view,
        redirect_host: forwarded_host.as_deref().unwrap_or(view.host()),
        content_length: length.and_then(|length| head::content_length(length.as_bytes())),
        port: inbound.listener.public_port,
        http: inbound.http(),
    })
}

fn apply(
    facts: &Facts<'_>,
    view: &View<'_>,
    inbound: &Inbound,
    route: &Route,
    context: &mut RequestContext,
) -> Outcome {
    let seen = Seen::new(view, context.progress.as_deref());
    let rewritten = Facts {
        request: &seen,
        ..*facts
    };
    if let Flow::Respond(reply) = before_steps(&rewritten, inbound, route) {
        return Outcome::Respond(reply);
    }
    if let Some(mut progress) = context.progress.take() {
        let known = Known::new(inbound);
        let values = known.values(view, route, context);
        let matched = &route.spec.matches.path;
        let outcome = route.policies.on_rewrite(matched, &mut progress, &values, facts);
        context.progress = Some(progress);
        if outcome != Outcome::Continue {
            return outcome;
        }
    }
    match route.policies.on_request(facts) {
        Flow::Continue => Outcome::Continue,
        Flow::Respond(reply) => Outcome::Respond(reply),
    }
}

/// What counts as soon as the route is known.
fn before_steps(facts: &Facts<'_>, inbound: &Inbound, route: &Route) -> Flow {
    match &route.spec.action {
        Action::AppRoot(path) => return Flow::Respond(app_root(path, facts.request)),
        Action::OtherHost { host, status } => {
            return Flow::Respond(other_host(host, *status, inbound, facts.request));
        }
        _ => {}
    }
    match route.policies.on_match(facts) {
        Flow::Continue => {}
        reply => return reply,
    }
    if matches!(route.spec.action, Action::AddTrailingSlash) {
        return Flow::Respond(add_slash(facts, &route.policies.location));
    }
    Flow::Continue
}

/// Makes path and query for the upstream where the route has other ones.
fn rewrite(
    request: &RequestHeader,
    inbound: &Inbound,
    route: &Route,
    context: &mut RequestContext,
) -> Result<(), Reply> {
    let progress = context.progress.as_deref();
    let stopped = progress.is_some_and(Progress::is_stopped);
    if let Some(rewrite) = route.policies.rewrite.as_ref().filter(|_| !stopped) {
        let view = inbound.view(request);
        let seen = Seen::new(&view, progress);
        let values = Values {
            request_id: context.request_id(),
            route: Some((&route.spec.origin, &route.spec.path)),
            ..Values::of(&seen)
        };
        context.rewritten = Some(rewrite.on_request(&route.spec.matches.path, &values)?);
    } else if let Some(progress) = progress {
        context.rewritten = progress.uri(&inbound.view(request))?;
    }
    Ok(())
}

/// nginx's redirect to a location that ends in a slash; the query is kept.
fn add_slash(facts: &Facts<'_>, style: &LocationStyle) -> Reply {
    let mut path = String::new();
    path::escape(facts.request.path(), &mut path);
    path.push('/');
    if let Some(query) = facts.request.query() {
        path.push('?');
        path.push_str(query);
    }
    Reply::redirect(
        StatusCode::MOVED_PERMANENTLY,
        style.of(&path, facts.request, Some(facts.port)),
    )
}

/// ingress-nginx's redirect to `app-root`: the connection's scheme, the host as
/// the client wrote it, with its port.
fn app_root(path: &str, request: &dyn RequestView) -> Reply {
    let scheme = if request.is_tls() { "https" } else { "http" };
    let host = String::from_utf8_lossy(request.authority());
    let location = match &*host {
        "" => path.to_owned(),
        host => format!("{scheme}://{host}{path}"),
    };
    Reply::redirect(StatusCode::FOUND, location)
}

/// ingress-nginx's redirect from or to `www.`: the effective scheme, the port
/// always named, one slash at the end of the URI removed.
fn other_host(host: &str, status: u16, inbound: &Inbound, request: &dyn RequestView) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::PERMANENT_REDIRECT);
    let uri = request.uri();
    let uri = uri.strip_suffix('/').unwrap_or(uri);
    let port = forwarded::port(inbound);
    let port = port.to_str().unwrap_or_default();
    Reply::redirect(status, format!("{}://{host}:{port}{uri}", request.scheme()))
}
