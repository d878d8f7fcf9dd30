//! One compiled virtual host.

use std::collections::HashSet;
use std::sync::Arc;

use smallvec::SmallVec;
use tidegate_snapshot::{ClusterKey, VirtualHost};

use super::index::Index;
use super::{Links, Route, matcher};
use crate::policy::Known;
use crate::request::RequestView;

/// Up to so many routes are scanned; an index costs memory, and over so few it
/// is not faster.
const SCAN_LIMIT: usize = 8;

/// A virtual host, ready for lookup.
pub(super) struct Host {
    /// The value that it was compiled from.
    pub(super) spec: Arc<VirtualHost>,
    /// In precedence order. Of hosts with one it is here, as a route has its target.
    pub(super) routes: SmallVec<[Arc<Route>; 1]>,
    /// Over the routes' paths, when they are many.
    index: Option<Box<Index>>,
}

impl Host {
    pub(super) fn compile(spec: &Arc<VirtualHost>, links: &Links<'_>, known: &mut Known) -> Self {
        let index = (spec.routes.len() > SCAN_LIMIT)
            .then(|| Box::new(Index::new(spec.routes.iter().map(|route| &route.matches.path))));
        let mut routes = SmallVec::<[Arc<Route>; 1]>::with_capacity(spec.routes.len());
        for route in &spec.routes {
            let before = routes.last().map(|before| &**before);
            let mut route = Route::compile(route, &spec.hostname, before, links, known);
            route.client_auth = spec.client_auth.clone();
            routes.push(Arc::new(route));
        }
        Self {
            spec: spec.clone(),
            routes,
            index,
        }
    }

    /// Whether a route may send requests to one of these clusters.
    pub(super) fn names(&self, clusters: &HashSet<ClusterKey>) -> bool {
        let mut named = self.routes.iter().flat_map(|route| route.clusters());
        named.any(|key| clusters.contains(key))
    }

    /// The first route whose condition holds.
    pub(super) fn find(&self, request: &impl RequestView) -> Option<&Arc<Route>> {
        let has_path = request.path().starts_with('/');
        let holds = |route: &Route| {
            has_path && route.takes_every_path || matcher::mismatch(&route.spec.matches, request).is_none()
        };
        match &self.index {
            None => self.routes.iter().find(|route| holds(route)),
            Some(index) => index
                .first(request.path(), |number| holds(&self.routes[number]))
                .map(|number| &self.routes[number]),
        }
    }
}
