//! The snippets of hosts and routes on live requests: their steps may answer,
//! or lead to another route; then they edit the request.

use http::HeaderValue;
use pingora_http::RequestHeader;

use super::context::RequestContext;
use super::fields::Head;
use super::forwarded;
use super::inbound::Inbound;
use crate::policy::Reply;
use crate::policy::snippet::{Outcome, Progress, Seen, Surroundings};
use crate::request::RequestView;
use crate::router::Route;
use crate::template::Values;

/// What the variables of a route's snippets stand for, but for the request.
pub(super) struct Known {
    port: HeaderValue,
}

impl Known {
    pub(super) fn new(inbound: &Inbound) -> Self {
        Self {
            port: forwarded::port(inbound),
        }
    }

    /// The same for answers.
    pub(super) fn surroundings<'a>(&'a self, context: &'a RequestContext) -> Surroundings<'a> {
        let Some(route) = context.route.as_deref() else {
            return Surroundings::default();
        };
        Surroundings {
            port: self.port.as_bytes(),
            route: Some((&route.spec.origin, &route.spec.path)),
            service: service(route, context),
            progress: context.progress.as_deref(),
        }
    }

    /// All of them.
    pub(super) fn values<'a>(
        &'a self,
        request: &'a dyn crate::request::RequestView,
        route: &'a Route,
        context: &'a RequestContext,
    ) -> Values<'a> {
        Values {
            request,
            request_id: context.request_id(),
            port: self.port.as_bytes(),
            route: Some((&route.spec.origin, &route.spec.path)),
            service: service(route, context),
        }
    }
}

/// The Service that a request goes to; before one is chosen, the route's first.
fn service<'a>(route: &'a Route, context: &'a RequestContext) -> Option<(&'a str, &'a str)> {
    let target = context.target().or_else(|| route.targets.first())?;
    let spec = &target.cluster.as_deref()?.spec;
    Some((&spec.origin.name, &spec.port))
}

/// Runs the steps of the host, and finds the route of the path they made.
pub(super) fn on_host(
    request: &RequestHeader,
    inbound: &Inbound,
    context: &mut RequestContext,
) -> Option<Reply> {
    let route = context.route.clone()?;
    let snippets = route.policies.snippets.as_ref()?;
    if !snippets.acts_on_requests() {
        return None;
    }
    let mut progress = Box::<Progress>::default();
    let view = inbound.view(request);
    let known = Known::new(inbound);
    let outcome = snippets.on_host(
        &mut progress,
        &known.values(&view, &route, context),
        &route.policies.location,
        inbound.listener.public_port,
    );
    context.progress = Some(progress);
    match outcome {
        Outcome::Continue => None,
        Outcome::Respond(reply) => Some(reply),
        Outcome::FindRoute => {
            find_route(request, inbound, context);
            None
        }
    }
}

/// Looks for the route again, by the path that rewrites have made. None where
/// nobody can tell which it is.
pub(super) fn find_route(request: &RequestHeader, inbound: &Inbound, context: &mut RequestContext) {
    let serving = inbound.connection.listener.serving.load();
    let view = inbound.view(request);
    let seen = Seen::new(&view, context.progress.as_deref());
    let found = serving.table.hosts.find(&seen);
    let route = found.filter(|route| !route.is_undecided(seen.path())).cloned();
    context.route = route;
}

/// Edits the request's fields, for the backend and the authentication service.
pub(super) fn edit_request(request: &mut RequestHeader, inbound: &Inbound, context: &RequestContext) {
    let (Some(route), Some(progress)) = (context.route.as_deref(), context.progress.as_deref()) else {
        return;
    };
    let Some(snippets) = &route.policies.snippets else {
        return;
    };
    let known = Known::new(inbound);
    let changes = {
        let view = inbound.view(request);
        snippets.request_changes(progress, &known.values(&view, route, context))
    };
    changes.apply(&mut Head(request));
}
