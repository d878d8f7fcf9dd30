//! A compiled route and its traffic split.

use std::sync::Arc;

use tidegate_snapshot as snapshot;
use tidegate_snapshot::route::WeightedCluster;
use tidegate_snapshot::{Action, ObjectRef};

use super::Links;
use crate::observe::metrics::{RouteLabels, RouteMetrics};
use crate::policy::Policies;
use crate::upstream::Cluster;

/// A compiled route; a request holds an `Arc` of it from lookup to logging.
pub struct Route {
    /// The route as the snapshot has it.
    pub spec: Arc<snapshot::Route>,
    /// What it forwards to; empty unless its action forwards.
    pub targets: Box<[Target]>,
    /// What applies besides its action; routes of one host with the same
    /// policies share them.
    pub policies: Arc<Policies>,
    /// Metric handles for requests that it answers without a target.
    pub metrics: Arc<RouteMetrics>,
    /// The sum of the targets' weights.
    total_weight: u64,
}

/// One share of a route's traffic split.
pub struct Target {
    /// The live cluster; `None` when the snapshot does not define it (503).
    pub cluster: Option<Arc<Cluster>>,
    /// Its key, for logs also when there is no such cluster.
    pub key: snapshot::ClusterKey,
    /// Its share of the sum.
    pub weight: u32,
    /// Metric handles for this Ingress and Service.
    pub metrics: Arc<RouteMetrics>,
}

impl Route {
    /// Compiles a route; `before` is the route before it on the same host.
    pub(super) fn compile(spec: &Arc<snapshot::Route>, before: Option<&Self>, links: &Links<'_>) -> Self {
        let weighted: &[WeightedCluster] = match &spec.action {
            Action::Forward(weighted) => weighted,
            Action::AddTrailingSlash | Action::Respond(_) => &[],
        };
        let targets: Box<[Target]> = weighted
            .iter()
            .map(|share| Target::compile(spec, share, links))
            .collect();
        let same = before.filter(|before| Arc::ptr_eq(&before.spec.policies, &spec.policies));
        Self {
            policies: match same {
                Some(before) => before.policies.clone(),
                None => Arc::new(Policies::compile(&spec.policies)),
            },
            metrics: match targets.first() {
                Some(target) => target.metrics.clone(),
                None => links.metrics.route(labels(&spec.origin, None)),
            },
            total_weight: targets.iter().map(|target| u64::from(target.weight)).sum(),
            targets,
            spec: spec.clone(),
        }
    }

    /// The target for a request, by weight; `random` is uniform over all of
    /// `u32`. `None` when the route does not forward, or all weights are 0.
    pub fn target(&self, random: u32) -> Option<&Target> {
        if let [target] = &*self.targets {
            return (target.weight > 0).then_some(target);
        }
        // Scaled rather than taken modulo: no bias worth mentioning.
        let scaled = (u128::from(random) * u128::from(self.total_weight)) >> u32::BITS;
        let mut left = u64::try_from(scaled).expect("below the total weight");
        self.targets.iter().find(|target| {
            let weight = u64::from(target.weight);
            let chosen = left < weight;
            left = left.saturating_sub(weight);
            chosen
        })
    }
}

impl Target {
    fn compile(route: &snapshot::Route, share: &WeightedCluster, links: &Links<'_>) -> Self {
        let cluster = links.clusters.get(&share.cluster).cloned();
        let spec = cluster.as_deref().map(|cluster| &*cluster.spec);
        Self {
            metrics: links.metrics.route(labels(&route.origin, spec)),
            cluster,
            key: share.cluster.clone(),
            weight: share.weight,
        }
    }
}

/// ingress-nginx labels its metrics by Ingress and Service.
fn labels(route: &ObjectRef, cluster: Option<&snapshot::Cluster>) -> RouteLabels {
    RouteLabels {
        namespace: route.namespace.clone(),
        ingress: route.name.clone(),
        service: cluster
            .map(|cluster| cluster.origin.name.clone())
            .unwrap_or_default(),
        port: cluster.map(|cluster| cluster.port.clone()).unwrap_or_default(),
    }
}
