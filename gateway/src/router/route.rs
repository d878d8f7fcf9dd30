//! A compiled route and its traffic split.

use std::sync::Arc;

use smallvec::SmallVec;
use tidegate_snapshot as snapshot;
use tidegate_snapshot::policy::RequestMirror;
use tidegate_snapshot::route::WeightedCluster;
use tidegate_snapshot::{Action, ClusterKey, Hostname, ObjectRef, PathMatch, RouteMatch};

use super::Links;
use crate::observe::metrics::{Place, RouteLabels, RouteMetrics};
use crate::policy::{Canary, Known, Policies};
use crate::request::RequestView;
use crate::upstream::{Cluster, hash};

/// A compiled route; a request holds an `Arc` of it from lookup to logging.
pub struct Route {
    /// The route as the snapshot has it.
    pub spec: Arc<snapshot::Route>,
    /// What it forwards to; empty unless its action forwards. One is here: each step to
    /// memory of its own costs where thousands of hosts are asked for in turn.
    pub targets: SmallVec<[Target; 1]>,
    /// Who answers in place of the targets: the default backend of its own, if
    /// it has one, then the global one, if that makes its error pages.
    pub stand_ins: Box<[Target]>,
    /// What applies besides its action; routes of one host with the same
    /// policies share them.
    pub policies: Arc<Policies>,
    /// Who sees the second of two targets, where that is a canary.
    pub canary: Option<Box<Canary>>,
    /// Who gets copies of requests, unless the target says otherwise.
    pub mirrors: Box<[Mirror]>,
    /// Who is asked about requests, where its policies say so; `None`: there is no
    /// such cluster.
    pub authorizer: Option<Arc<Cluster>>,
    /// What its host demands of clients' certificates.
    pub client_auth: Option<Arc<snapshot::ClientAuth>>,
    /// It forwards, by weight alone.
    pub forwards: bool,
    /// It answers what no Ingress does: requests leave a line in the access log only
    /// where that is asked for.
    pub is_default_backend: bool,
    /// Its condition holds for every request with a path.
    pub(super) takes_every_path: bool,
    /// Metric handles for requests that it answers without a target.
    pub metrics: RouteMetrics,
    /// The sum of the targets' weights.
    total_weight: u64,
}

/// One share of a route's traffic split.
pub struct Target {
    /// The live cluster; `None` when the snapshot does not define it (503).
    pub cluster: Option<Arc<Cluster>>,
    /// Its key, for logs also when there is no such cluster.
    pub key: ClusterKey,
    /// Names the cluster in affinity cookies.
    pub tag: u64,
    /// Its share of the sum.
    pub weight: u32,
    /// Metric handles for this Ingress and Service.
    pub metrics: RouteMetrics,
    /// What applies to it in place of the route's policies.
    pub own: Option<Box<Own>>,
}

/// What applies to one share of a route.
pub struct Own {
    /// Instead of the route's.
    pub policies: Policies,
    /// Instead of the route's.
    pub mirrors: Box<[Mirror]>,
    /// Who is asked after the route's, where its policies say so.
    pub authorizer: Option<Arc<Cluster>>,
}

/// A cluster that gets copies of requests.
pub struct Mirror {
    /// The live cluster; `None` when the snapshot does not define it: no copies.
    pub cluster: Option<Arc<Cluster>>,
    spec: RequestMirror,
}

fn authorizer(policies: &snapshot::Policies) -> Option<&ClusterKey> {
    policies.authorization.as_ref()?.cluster.as_ref()
}

/// Those of its policies, and of the policies of its shares.
fn authorizers(spec: &snapshot::Route) -> impl Iterator<Item = &ClusterKey> {
    let shares = match &spec.action {
        Action::Forward(shares) => shares.as_slice(),
        _ => &[],
    };
    let own = shares.iter().filter_map(|share| share.policies.as_deref());
    own.chain([&*spec.policies]).filter_map(authorizer)
}

impl Mirror {
    fn all(specs: &[RequestMirror], links: &Links<'_>) -> Box<[Self]> {
        let mirrors = specs.iter().map(|spec| Self {
            cluster: links.clusters.get(&spec.cluster).cloned(),
            spec: spec.clone(),
        });
        mirrors.collect()
    }

    /// Whether a request is copied; `random` is uniform over all of `u32`.
    pub fn takes(&self, random: u32) -> bool {
        let scaled = (u64::from(random) * u64::from(self.spec.denominator)) >> u32::BITS;
        scaled < u64::from(self.spec.numerator)
    }
}

impl Route {
    /// Compiles a route of a host; `before` is the route before it there.
    pub(super) fn compile(
        spec: &Arc<snapshot::Route>,
        host: &Hostname,
        before: Option<&Self>,
        links: &Links<'_>,
        known: &mut Known,
    ) -> Self {
        let mut targets: SmallVec<[Target; 1]> = shares(&spec.action)
            .map(|(cluster, weight)| Target::compile(spec, host, cluster, weight, links))
            .collect();
        if let Action::Forward(shares) = &spec.action {
            for (target, share) in targets.iter_mut().zip(shares) {
                target.own = share
                    .policies
                    .as_deref()
                    .map(|own| Box::new(Own::new(own, links)));
            }
        }
        let metrics = match targets.first() {
            Some(target) => target.metrics.clone(),
            None => links
                .metrics
                .route(labels(&spec.origin, None), || place(spec, host, None, links)),
        };
        let same = before.filter(|before| Arc::ptr_eq(&before.spec.policies, &spec.policies));
        Self {
            policies: match same {
                Some(before) => before.policies.clone(),
                None => known.of(&spec.policies),
            },
            stand_ins: stand_ins(&spec.policies)
                .map(|key| Target::stand_in(key, &metrics, links))
                .collect(),
            metrics,
            canary: match &spec.action {
                Action::Canary(canary) => Some(Box::new(Canary::new(canary))),
                _ => None,
            },
            mirrors: Mirror::all(&spec.policies.request_mirrors, links),
            authorizer: authorizer(&spec.policies).and_then(|key| links.clusters.get(key).cloned()),
            total_weight: targets.iter().map(|target| u64::from(target.weight)).sum(),
            targets,
            client_auth: None,
            forwards: matches!(spec.action, Action::Forward(_)),
            is_default_backend: matches!(&*spec.origin.kind, "DefaultBackend" | "Service"),
            takes_every_path: takes_every_path(&spec.matches),
            spec: spec.clone(),
        }
    }

    /// The target for a request; `random` is uniform over all of `u32`, `bound`
    /// the [`Target::tag`] that affinity binds the client to. `None` when the
    /// route does not forward, or all weights are 0.
    pub fn target(
        &self,
        request: &(impl RequestView + ?Sized),
        bound: Option<u64>,
        random: u32,
    ) -> Option<&Target> {
        if let (Some(canary), [main, alternative]) = (&self.canary, &*self.targets) {
            let there = alternative.has_endpoints() && main.has_endpoints();
            let takes = there
                && match bound {
                    Some(tag) if tag == main.tag => false,
                    Some(tag) if tag == alternative.tag && canary.sticky => true,
                    _ => canary.takes(request, random),
                };
            return Some(if takes { alternative } else { main });
        }
        // A session stays with its share, whatever the weights say by now.
        let bound = bound.filter(|_| self.targets.len() > 1);
        let stays = |target: &&Target| bound == Some(target.tag) && target.has_endpoints();
        let found = bound.and_then(|_| self.targets.iter().find(stays));
        found.or_else(|| self.by_weight(random))
    }

    /// The default backend of its own, if it has one with an endpoint.
    pub fn default_backend(&self) -> Option<usize> {
        self.spec.policies.default_backend.as_ref()?;
        self.stand_ins.first()?.has_endpoints().then_some(0)
    }

    /// Which of its stand-ins makes error pages; `None`: the built-in one.
    pub fn error_backend(&self) -> Option<usize> {
        self.stand_ins.iter().position(Target::has_endpoints)
    }

    /// Every cluster that requests, copies of them or questions about them may be
    /// sent to.
    pub(super) fn clusters(&self) -> impl Iterator<Item = &ClusterKey> {
        let own = self.targets.iter().filter_map(|target| target.own.as_deref());
        let mirrors = own.flat_map(|own| &own.mirrors).chain(&self.mirrors);
        let targets = self.targets.iter().chain(&self.stand_ins);
        targets
            .map(|target| &target.key)
            .chain(mirrors.map(|mirror| &mirror.spec.cluster))
            .chain(authorizers(&self.spec))
    }

    /// Whether nobody can tell if it matches: a search in the path had to be
    /// given up. Then neither this route nor a later one may answer, which may
    /// be open to more clients.
    pub fn is_undecided(&self, path: &str) -> bool {
        match &self.spec.matches.path {
            _ if self.takes_every_path => false,
            PathMatch::Regex(pattern) => pattern.is_undecided(path),
            _ => false,
        }
    }

    /// Whether affinity may bind a client to this target.
    pub fn binds(&self, target: &Target) -> bool {
        let is_main = || self.targets.first().is_some_and(|main| main.tag == target.tag);
        self.canary
            .as_ref()
            .is_none_or(|canary| canary.sticky || is_main())
    }

    /// The target by weight alone.
    pub(crate) fn by_weight(&self, random: u32) -> Option<&Target> {
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

impl Own {
    fn new(spec: &snapshot::Policies, links: &Links<'_>) -> Self {
        Self {
            policies: Policies::compile(spec),
            mirrors: Mirror::all(&spec.request_mirrors, links),
            authorizer: authorizer(spec).and_then(|key| links.clusters.get(key).cloned()),
        }
    }
}

impl Target {
    fn compile(
        route: &snapshot::Route,
        host: &Hostname,
        key: &ClusterKey,
        weight: u32,
        links: &Links<'_>,
    ) -> Self {
        let cluster = links.clusters.get(key).cloned();
        let spec = cluster.as_deref().map(|cluster| &*cluster.spec);
        Self {
            metrics: links.metrics.route(labels(&route.origin, spec), || {
                place(route, host, Some(key), links)
            }),
            cluster,
            key: key.clone(),
            tag: hash::text(key.0.as_bytes()),
            weight,
            own: None,
        }
    }

    /// Name and port of its Service; of one that does not exist what its key
    /// says (`namespace-name-port`).
    pub fn service<'a>(&'a self, namespace: &str) -> (&'a str, &'a str) {
        if let Some(cluster) = &self.cluster {
            return (&cluster.spec.origin.name, &cluster.spec.port);
        }
        let key = &*self.key.0;
        let rest = key.strip_prefix(namespace).unwrap_or(key);
        rest.trim_start_matches('-')
            .rsplit_once('-')
            .unwrap_or((rest, ""))
    }

    /// A target that answers in place of others, and counts as theirs.
    fn stand_in(key: &ClusterKey, metrics: &RouteMetrics, links: &Links<'_>) -> Self {
        Self {
            metrics: metrics.clone(),
            cluster: links.clusters.get(key).cloned(),
            key: key.clone(),
            tag: hash::text(key.0.as_bytes()),
            weight: 0,
            own: None,
        }
    }

    fn has_endpoints(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| !cluster.is_empty())
    }
}

/// Whether a condition holds for every path, as those of most Ingresses' `/` do.
fn takes_every_path(condition: &RouteMatch) -> bool {
    let RouteMatch { path, request } = condition;
    matches!(path, PathMatch::Prefix(prefix) if prefix.is_empty()) && request.is_none()
}

/// The clusters of [`Route::stand_ins`].
fn stand_ins(policies: &snapshot::Policies) -> impl Iterator<Item = &ClusterKey> {
    let global = policies
        .error_pages
        .as_ref()
        .and_then(|pages| pages.backend.as_ref());
    policies.default_backend.iter().chain(global)
}

/// The clusters that an action forwards to, with their weights. A canary comes
/// second, and its weight is not all that decides.
fn shares(action: &Action) -> impl Iterator<Item = (&ClusterKey, u32)> {
    let weighted: &[WeightedCluster] = match action {
        Action::Forward(weighted) => weighted,
        _ => &[],
    };
    let canary = match action {
        Action::Canary(canary) => {
            let weight = canary.weight.min(canary.total);
            Some([(&canary.main, canary.total - weight), (&canary.canary, weight)])
        }
        _ => None,
    };
    let weighted = weighted.iter().map(|share| (&share.cluster, share.weight));
    weighted.chain(canary.into_iter().flatten())
}

/// What ingress-nginx's own names tell apart besides. A canary is counted for the
/// Service that it stands in for.
fn place(route: &snapshot::Route, host: &Hostname, key: Option<&ClusterKey>, links: &Links<'_>) -> Place {
    let canary = match &route.action {
        Action::Canary(canary) if key == Some(&canary.canary) => Some(canary),
        _ => None,
    };
    let main = canary.map(|canary| &canary.main).or(key);
    let main = main.and_then(|key| links.clusters.get(key));
    Place {
        host: match host {
            Hostname::Exact(name) => name.clone(),
            Hostname::Any => "_".into(),
            host => host.to_string().into(),
        },
        path: route.path.clone(),
        service: main.map(|main| main.spec.origin.name.clone()).unwrap_or_default(),
        canary: canary.map(|canary| canary.canary.0.clone()).unwrap_or_default(),
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
