//! Where a plain request goes: route, policies, endpoint.

use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri, Version};

use super::SMALL_BODY;
use super::request::Request;
use crate::listener::Serving;
use crate::policy::snippet::Surroundings;
use crate::policy::{Facts, Flow, Permit, block};
use crate::proxy::body::{self, Budget, Held};
use crate::request::RequestView;
use crate::router::{Route, Target};
use crate::template::Values;
use crate::upstream::{Pick, hash};

/// Where a request goes.
pub(super) struct Plan {
    pub(super) route: Arc<Route>,
    target: usize,
    pick: Option<Pick>,
    hash: u64,
    /// Path and query for the upstream where the route has other ones.
    pub(super) rewritten: Option<String>,
    /// What an upstream is asked for that speaks HTTP/2.
    pub(super) uri: Option<Uri>,
    /// The memory that its body takes.
    _body: Option<Held>,
    /// Counts the request as under way for the route's limit.
    _permit: Option<Permit>,
}

impl Plan {
    /// The first endpoint.
    pub(super) fn pick(&mut self) -> Option<Pick> {
        self.pick.take()
    }

    /// Another endpoint after a failed try.
    pub(super) fn pick_another(&self, failed: &[SocketAddr]) -> Option<Pick> {
        self.target().cluster.as_deref()?.pick(self.hash, failed)
    }

    pub(super) fn target(&self) -> &Target {
        &self.route.targets[self.target]
    }

    /// For snippets, which here only edit answers.
    pub(super) fn surroundings(&self) -> Surroundings<'_> {
        let spec = self.target().cluster.as_deref().map(|cluster| &cluster.spec);
        Surroundings {
            route: Some((&self.route.spec.origin, &self.route.spec.path)),
            service: spec.map(|spec| (&*spec.origin.name, &*spec.port)),
            ..Surroundings::default()
        }
    }
}

/// Who asks, as far as that matters for who may answer.
pub(super) enum Client<'a> {
    Http1,
    Http2 {
        uri: &'a Uri,
        /// The length of the body is known.
        measured: bool,
    },
}

/// Where a plain request goes; `None` when it is not for the direct path.
pub(super) fn plan(
    request: &Request<'_>,
    id: Option<&HeaderValue>,
    serving: &Serving,
    bodies: &Budget,
    client: Client<'_>,
) -> Option<Plan> {
    let route = serving.table.hosts.find(request)?;
    let policies = &route.policies;
    let is_open = route.client_auth.is_none() && !route.is_undecided(request.path());
    if request.is_tls() && serving.table.hosts.tells_listeners_apart() {
        return None;
    }
    let is_direct = is_open && policies.is_direct() && route.forwards;
    if !is_direct {
        return None;
    }
    // The client's URI where both sides speak HTTP/2.
    let origin = match (version(route)?, client) {
        (Version::HTTP_2, Client::Http2 { uri, .. }) => Some(uri),
        (Version::HTTP_11, Client::Http1 | Client::Http2 { measured: true, .. }) => None,
        _ => return None,
    };
    let length = request.head.content_length.unwrap_or_default() as usize;
    let body = match length {
        // It is not read first.
        _ if origin.is_some() => None,
        0..=SMALL_BODY => None,
        length if length <= body::LARGEST => Some(bodies.hold(length)?),
        _ => return None,
    };
    let facts = Facts {
        request,
        redirect_host: request.host(),
        port: serving.spec.public_port,
        content_length: request.head.content_length,
        http: &serving.spec.http,
    };
    let flows = [
        block(&serving.spec.http, request),
        policies.on_match(&facts),
        policies.on_request(&facts),
    ];
    if flows.iter().any(|flow| *flow != Flow::Continue) {
        return None;
    }
    if let Some(access) = &policies.access
        && !access.admits(request.client_ip)
    {
        return None;
    }
    let rewritten = match &policies.rewrite {
        None => None,
        Some(rewrite) => {
            let values = Values {
                request_id: id.map_or(b"", HeaderValue::as_bytes),
                route: Some((&route.spec.origin, &route.spec.path)),
                ..Values::of(request)
            };
            Some(rewrite.on_request(&route.spec.matches.path, &values).ok()?)
        }
    };
    let uri = match origin {
        None => None,
        Some(origin) => Some(upstream_uri(origin, rewritten.as_deref())?),
    };
    let target = target(route)?;
    let cluster = route.targets[target].cluster.as_deref()?;
    let hash = cluster.wants_hash().map_or(0, |key| hash::key(key, request));
    let pick = cluster.pick(hash, &[])?;
    // The last: what is counted here is not handed on.
    let permit = match &policies.limits {
        None => None,
        Some(limits) => {
            let values = Values {
                request_id: id.map_or(b"", HeaderValue::as_bytes),
                route: Some((&route.spec.origin, &route.spec.path)),
                ..Values::of(request)
            };
            limits.take(&values).ok()?
        }
    };
    Some(Plan {
        route: Arc::clone(route),
        target,
        pick: Some(pick),
        hash,
        rewritten,
        uri,
        _body: body,
        _permit: permit,
    })
}

/// What the upstreams of a route speak, if all of them are for the direct path and
/// speak the same: a share that is drawn must not be drawn again by Pingora's.
fn version(route: &Route) -> Option<Version> {
    let mut targets = route.targets.iter().filter(|target| target.weight > 0);
    let version = |target: &Target| {
        let cluster = target.cluster.as_deref().filter(|_| target.own.is_none())?;
        cluster.plain_version()
    };
    let first = version(targets.next()?)?;
    targets
        .all(|target| version(target) == Some(first))
        .then_some(first)
}

/// Which of the route's clusters serves the request.
fn target(route: &Route) -> Option<usize> {
    let random = if route.targets.len() > 1 {
        rand::random()
    } else {
        0
    };
    let chosen = route.by_weight(random)?;
    route.targets.iter().position(|other| std::ptr::eq(other, chosen))
}

/// What an upstream is asked for that speaks HTTP/2 without TLS: the client's URI,
/// or other path and query. `None`: Pingora's path has to look at it.
fn upstream_uri(client: &Uri, rewritten: Option<&str>) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(client.authority()?.clone());
    parts.path_and_query = match rewritten {
        None => client.path_and_query().cloned(),
        Some(target) => Some(PathAndQuery::try_from(target).ok()?),
    };
    Uri::from_parts(parts).ok()
}
