//! Choosing an endpoint for a request, for clients that affinity binds to one
//! and for all others.

use std::net::SocketAddr;
use std::time::SystemTime;

use http::HeaderValue;
use http::header::USER_AGENT;
use pingora_http::RequestHeader;
use tidegate_snapshot::policy::AffinityMode;
use tidegate_snapshot::{FieldName, PathMatch};

use super::context::RequestContext;
use super::inbound::Inbound;
use crate::policy::Affinity;
use crate::policy::affinity::{Bound, NewCookie, hexadecimal};
use crate::router::Target;
use crate::upstream::{Cluster, NoSuchEndpoint, Pick, hash};

/// Keys that are drawn until one is not that of a failed endpoint.
const MAX_DRAWS: usize = 20;

/// How the request is bound.
pub(super) struct Binding {
    /// The hash of the key, where keys are hashed over the endpoints.
    hash: u64,
    /// The key of a cookie that the client is to be given.
    cookie: Option<u64>,
}

/// Chooses the target of a route and its first endpoint; `None` when there is
/// none.
pub(super) fn first(
    request: &RequestHeader,
    inbound: &Inbound,
    context: &mut RequestContext,
) -> Option<Pick> {
    let route = context.route.clone()?;
    let view = inbound.view(request);
    let affinity = route.policies.affinity.as_ref();
    let mut bound = affinity.and_then(|affinity| affinity.bound(&view));
    let target = context.choose_target(&view, bound.and_then(|bound| bound.tag))?;
    let cluster = target.cluster.as_deref()?;
    let Some(affinity) = affinity.filter(|_| route.binds(target)) else {
        return plain(cluster, request, inbound, &[]);
    };
    if route.canary.is_some() && bound.is_some_and(|bound| bound.tag != Some(target.tag)) {
        // Nothing says which of the two the client belongs to.
        bound = None;
    }
    let (pick, binding) = bind(cluster, affinity, bound, || plain(cluster, request, inbound, &[]))?;
    context.binding = Some(binding);
    Some(pick)
}

fn bind(
    cluster: &Cluster,
    affinity: &Affinity,
    bound: Option<Bound<'_>>,
    plain: impl Fn() -> Option<Pick>,
) -> Option<(Pick, Binding)> {
    match (affinity.mode, bound) {
        (AffinityMode::Balanced, None) => by_new_key(cluster, &[]),
        (AffinityMode::Balanced, Some(bound)) => {
            let hash = hash::text(bound.key);
            let binding = Binding { hash, cookie: None };
            Some((cluster.pick_by_key(hash, &[])?, binding))
        }
        (AffinityMode::Persistent, bound) => {
            let tag = bound.and_then(|bound| hexadecimal(bound.key));
            let named = tag.map_or(Err(NoSuchEndpoint), |tag| cluster.pick_by_tag(tag, &[]));
            let known = named.is_ok();
            let pick = match named {
                Ok(Some(pick)) => pick,
                // The one that it names is out for now: another serves this
                // request, and the client keeps its cookie.
                Ok(None) | Err(NoSuchEndpoint) => plain()?,
            };
            let cookie = (!known).then(|| pick.endpoint().tag());
            Some((pick, Binding { hash: 0, cookie }))
        }
    }
}

/// An endpoint after a failed try.
pub(super) fn next(
    cluster: &Cluster,
    request: &RequestHeader,
    inbound: &Inbound,
    context: &mut RequestContext,
) -> Option<Pick> {
    let tried = context.tries.failed();
    let affinity = context
        .route
        .as_ref()
        .and_then(|route| route.policies.affinity.as_ref());
    let (Some(affinity), Some(binding)) = (affinity, &context.binding) else {
        return plain(cluster, request, inbound, tried);
    };
    let rebinds = affinity.change_on_failure || binding.cookie.is_some();
    match affinity.mode {
        AffinityMode::Balanced if !rebinds => cluster.pick_by_key(binding.hash, tried),
        AffinityMode::Balanced => {
            let (pick, binding) = by_new_key(cluster, tried)?;
            context.binding = Some(binding);
            Some(pick)
        }
        AffinityMode::Persistent => {
            let pick = plain(cluster, request, inbound, tried)?;
            if rebinds {
                let cookie = Some(pick.endpoint().tag());
                context.binding = Some(Binding { hash: 0, cookie });
            }
            Some(pick)
        }
    }
}

/// Draws keys until one belongs to an endpoint that has not failed.
fn by_new_key(cluster: &Cluster, tried: &[SocketAddr]) -> Option<(Pick, Binding)> {
    let draw = || {
        let key: u64 = rand::random();
        // As the next request will show it.
        (key, hash::text(format!("{key:016x}").as_bytes()))
    };
    let mut drawn = draw();
    for _ in 1..MAX_DRAWS {
        match cluster.owner(drawn.1) {
            Some(owner) if tried.contains(&owner) => drawn = draw(),
            _ => break,
        }
    }
    let (key, hash) = drawn;
    let binding = Binding {
        hash,
        cookie: Some(key),
    };
    Some((cluster.pick_by_key(hash, tried)?, binding))
}

/// Chooses an endpoint by load balancing alone; `None` when there is none.
fn plain(
    cluster: &Cluster,
    request: &RequestHeader,
    inbound: &Inbound,
    failed: &[SocketAddr],
) -> Option<Pick> {
    let hash = cluster
        .wants_hash()
        .map_or(0, |key| hash::key(key, &inbound.view(request)));
    cluster.pick(hash, failed)
}

/// The field that binds the client from now on, if it is to get one.
pub(super) fn cookie(request: &RequestHeader, context: &RequestContext) -> Option<(FieldName, HeaderValue)> {
    let key = context.binding.as_ref()?.cookie?;
    let route = context.route.as_ref()?;
    let target: &Target = context.target()?;
    route.policies.affinity.as_ref()?.bind(&NewCookie {
        key,
        tag: target.tag,
        // A pattern is no path: no client would send such a cookie back.
        path: match route.spec.matches.path {
            PathMatch::Regex(_) => "/",
            _ => &route.spec.path,
        },
        tls: context.is_tls(),
        user_agent: request.headers.get(USER_AGENT).map(HeaderValue::as_bytes),
        now: SystemTime::now(),
    })
}
