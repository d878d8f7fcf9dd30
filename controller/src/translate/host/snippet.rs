//! The snippet of a host (`server-snippet`): on all of its routes, and with
//! paths of its own.

use std::sync::Arc;

use tidegate_snapshot::{
    Action, Effect, Hostname, ObjectRef, PathMatch, Policies, Problem, Route, RouteMatch,
};

use super::Context;
use crate::translate::ingress::Model;
use crate::translate::ingress::annotations::{HostSnippet, of_location};
use crate::translate::ingress::snippet::Precedence;
use crate::translate::reason;

/// That of the first Ingress that has one, else the ConfigMap's, and whose it is.
/// One with a line that is not served decides too, and closes the host: another
/// Ingress's would not guard what it was there to guard.
pub(super) fn of_host<'a>(
    models: &'a [Arc<Model>],
    hostname: &Hostname,
    context: &Context<'a>,
    problems: &mut Vec<Problem>,
) -> Option<(&'a HostSnippet, &'a ObjectRef)> {
    let mut saying = models
        .iter()
        .filter_map(|model| Some((model.server_snippet.as_deref()?, &model.object)));
    let Some((said, winner)) = saying.next() else {
        return context
            .server_snippet
            .map(|said| (said, &context.default_backend.origin));
    };
    if said.refused.is_some() {
        let others = models.iter().map(|model| &model.object);
        let mut others: Vec<_> = others.filter(|object| *object != winner).collect();
        others.dedup();
        problems.extend(others.into_iter().map(|object| Problem {
            object: object.clone(),
            field: "spec.rules".to_owned(),
            reason: reason::SNIPPET_REFUSED,
            message: format!("the server-snippet of {winner}, which decides for host {hostname}, is refused"),
            effect: Effect::RouteDisabled,
            fix: format!("mend the server-snippet of {winner}, or use another host"),
        }));
        return Some((said, winner));
    }
    for (_, object) in saying.filter(|(other, _)| *other != said) {
        problems.push(Problem {
            object: object.clone(),
            field: "metadata.annotations".to_owned(),
            reason: reason::HOST_CONFLICT,
            message: format!("server-snippet: {winner} decides for host {hostname}"),
            effect: Effect::Ignored,
            fix: "write all of it there, or use another host".to_owned(),
        });
    }
    Some((said, winner))
}

/// Puts its `location`s where nginx would find them: exact ones first, then
/// regular expressions, then prefixes among those of Ingresses by length. On a
/// host with regular expressions prefixes come last.
pub(super) fn insert(
    routes: &mut Vec<Arc<Route>>,
    said: &HostSnippet,
    origin: &ObjectRef,
    is_regex: bool,
    context: &Context<'_>,
) {
    let exact = |route: &Arc<Route>| matches!(route.matches.path, PathMatch::Exact(_));
    let mut next = routes.iter().filter(|route| exact(route)).count();
    let mut first = 0;
    for location in &said.locations {
        let at = match location.precedence {
            Precedence::Exact => {
                first += 1;
                first - 1
            }
            Precedence::First | Precedence::Regex => next,
            Precedence::Prefix if is_regex => routes.len(),
            Precedence::Prefix => {
                let length = location.path.len();
                let shorter = |route: &Arc<Route>| prefix_length(route).is_some_and(|other| other <= length);
                let found = routes.iter().skip(next).position(shorter);
                found.map_or(routes.len(), |at| at + next)
            }
        };
        if location.precedence != Precedence::Prefix {
            next += 1;
        }
        let policies = of_location(location, &context.default_backend.policies);
        let route = Route {
            matches: RouteMatch::path(location.matches.clone()),
            action: Action::Respond(404),
            policies: Arc::new(policies),
            origin: origin.clone(),
            path: location.path.clone(),
        };
        routes.insert(at, Arc::new(route));
    }
}

/// The length of the location that nginx has for a path of an Ingress.
fn prefix_length(route: &Route) -> Option<usize> {
    match &route.matches.path {
        PathMatch::Prefix(path) => Some(path.len() + 1),
        PathMatch::Below(path) => Some(path.len()),
        _ => None,
    }
}

/// Puts it on every route; equal policies stay the same `Arc`.
pub(super) fn apply(routes: &mut [Arc<Route>], said: &HostSnippet) {
    let mut made: Vec<(Arc<Policies>, Arc<Policies>)> = Vec::new();
    for route in routes {
        let known = made.iter().find(|(of, _)| Arc::ptr_eq(of, &route.policies));
        let policies = match known {
            Some((_, policies)) => policies.clone(),
            None => {
                let policies = Arc::new(said.over(&route.policies));
                made.push((route.policies.clone(), policies.clone()));
                policies
            }
        };
        Arc::make_mut(route).policies = policies;
    }
}
