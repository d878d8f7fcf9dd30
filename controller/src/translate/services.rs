//! The clusters and endpoints of all Services that are referred to, each
//! resolved again only when its Service or slices have changed.
//!
//! A cluster knows the Ingresses that name it, and stays as long as there is one.
//! Whatever else refers to Services (routes of Gateway API, streams, the default
//! backend) does so in every update.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use k8s_openapi::api::core::v1::Service;
use tidegate_snapshot::route::{Otherwise, WeightedCluster};
use tidegate_snapshot::{
    Action, Cluster, ClusterKey, Effect, Endpoints, ObjectRef, Policies, Problem, SharedMap,
    UpstreamProtocol, UpstreamTls,
};

use super::cluster::{self, Outcome, Refusal, Spec};
use super::host::{DefaultBackend, Renames};
use super::ingress::{IngressField, Model, ServiceUse, Transport};
use super::ingresses::{Changes, precedence};
use super::problems::{self, Ledger, Problems};
use super::reason;
use super::streams::Entry;
use crate::objects::{Backend, Cursor, Kind, NamespacedName, Objects};
use crate::options::Options;

/// ingress-nginx's name of the default backend's upstream.
pub(super) const DEFAULT_BACKEND: &str = "upstream-default-backend";

/// Remembers every Service that is referred to.
#[derive(Debug, Default)]
pub(super) struct Services {
    memo: HashMap<NamespacedName, ServiceMemo>,
    generation: u64,
    /// As of which every [`ServiceMemo::backend`] is.
    read: Cursor,
    /// Services with a cluster that is not in the maps as it is.
    dirty: BTreeSet<NamespacedName>,
    /// Services with a cluster that no Ingress names.
    unnamed: BTreeSet<NamespacedName>,
    /// How many clusters would like each name.
    wishes: HashMap<ClusterKey, usize>,
    /// Clusters of a name that several would like have come or gone since the last
    /// [`Services::finish`].
    contested: bool,
    /// What is wrong with the Services that Ingresses name.
    problems: Ledger,
    renames: Renames,
    clusters: Arc<Clusters>,
    endpoints: Arc<EndpointsByCluster>,
}

/// As [`tidegate_snapshot::Snapshot::clusters`].
type Clusters = SharedMap<ClusterKey, Arc<Cluster>>;
/// As [`tidegate_snapshot::Snapshot::endpoints`].
type EndpointsByCluster = SharedMap<ClusterKey, Endpoints>;

#[derive(Debug)]
struct ServiceMemo {
    origin: ObjectRef,
    backend: Option<Arc<Backend>>,
    clusters: Vec<ClusterMemo>,
}

#[derive(Debug)]
struct ClusterMemo {
    /// The name that it would like; see [`cluster::identity`].
    plain: ClusterKey,
    identity: String,
    /// See [`ServiceUse::tls_identity`].
    tls_identity: Option<Arc<str>>,
    key: ClusterKey,
    spec: Spec,
    outcome: Outcome,
    /// The Ingresses that name it, in merge order, with the index of the Service there.
    users: Vec<(Arc<Model>, usize)>,
    /// The problems of its users.
    told: Box<[Arc<Problem>]>,
    /// Not in the maps yet, or not as told to its users.
    dirty: bool,
    seen: Arc<Mark>,
}

/// The latest update in which something referred to a cluster. What holds one
/// refers to its cluster again without looking for it.
#[derive(Debug)]
pub(super) struct Mark(AtomicU64);

impl Mark {
    fn is(&self, generation: u64) -> bool {
        self.0.load(Ordering::Relaxed) == generation
    }

    fn set(&self, generation: u64) {
        self.0.store(generation, Ordering::Relaxed);
    }
}

impl ServiceMemo {
    /// Takes the latest Service and slices. Whether that makes a cluster dirty.
    fn refresh(&mut self, objects: &Objects, options: &Options) -> bool {
        let backend = objects.backend(&self.origin.namespace, &self.origin.name);
        let same = match (backend, &self.backend) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        if same {
            return false;
        }
        self.backend = backend.cloned();
        for cluster in &mut self.clusters {
            cluster.resolve(&self.origin, self.backend.as_deref(), options);
        }
        self.clusters.iter().any(|cluster| cluster.dirty)
    }
}

impl ClusterMemo {
    /// The place of a user.
    fn place(&self, model: &Arc<Model>, index: usize) -> usize {
        self.users
            .partition_point(|(other, at)| precedence(other, model).then(at.cmp(&index)).is_lt())
    }

    /// What its users should be told.
    fn complaints(&self) -> Box<[Arc<Problem>]> {
        if self.users.is_empty() {
            return Box::default();
        }
        let mut found = self.outcome.problems.clone();
        if let Err(refusal) = &self.outcome.cluster {
            let users = self.users.iter();
            found.extend(
                users.map(|(model, index)| refused(&model.object, model.services[*index].field, refusal)),
            );
        }
        problems::shared(found)
    }

    /// Whether it stands for this use of its Service.
    fn is_of(&self, service: &ServiceUse) -> bool {
        self.plain == service.key
            && self.spec.protocol == service.protocol
            && self.tls_identity == service.tls_identity
    }

    fn resolve(&mut self, origin: &ObjectRef, backend: Option<&Backend>, options: &Options) {
        let outcome = cluster::resolve(origin, backend, &self.spec, options);
        if outcome != self.outcome {
            self.outcome = outcome;
            self.dirty = true;
        }
    }
}

/// A port of a Service as a route of Gateway API names it.
pub(super) struct Port {
    pub(super) number: i64,
    pub(super) protocol: UpstreamProtocol,
    /// Settings of TLS, and what tells them apart.
    pub(super) tls: Option<(Arc<UpstreamTls>, Arc<str>)>,
    pub(super) transport: Transport,
}

impl Services {
    /// Resolves the Services that have changed and those of changed Ingresses, and what
    /// the options name. Others may be referred to until [`Services::finish`].
    pub(super) fn update(
        &mut self,
        objects: &Objects,
        changes: &Changes,
        policies: &Arc<Policies>,
        options: &Options,
        problems: &mut Problems,
    ) -> DefaultBackend {
        self.generation += 1;
        self.refresh(objects, options);
        let default_backend = self.default_backend(objects, policies, options, problems);
        for model in &changes.gone {
            for (index, service) in model.services.iter().enumerate() {
                self.leave(model, index, service);
            }
        }
        for model in &changes.new {
            for (index, service) in model.services.iter().enumerate() {
                let name = NamespacedName {
                    namespace: model.object.namespace.clone(),
                    name: service.name.clone(),
                };
                let cluster = self.cluster(objects, &name, service, options);
                let at = cluster.place(model, index);
                cluster.users.insert(at, (model.clone(), index));
                cluster.dirty = true;
                self.dirty.insert(name);
            }
        }
        self.settle(options);
        default_backend
    }

    /// Takes the Services and slices that have changed.
    fn refresh(&mut self, objects: &Objects, options: &Options) {
        match objects.changed_since(&self.read) {
            Some(changed) => {
                for (_, name) in changed.filter(|(kind, _)| *kind == Kind::Service) {
                    if let Some(memo) = self.memo.get_mut(name)
                        && memo.refresh(objects, options)
                    {
                        self.dirty.insert(name.clone());
                    }
                }
            }
            None => {
                for (name, memo) in &mut self.memo {
                    if memo.refresh(objects, options) {
                        self.dirty.insert(name.clone());
                    }
                }
            }
        }
        self.read = objects.cursor();
    }

    /// Notes that an Ingress names a Service no more.
    fn leave(&mut self, model: &Arc<Model>, index: usize, service: &ServiceUse) {
        let name = NamespacedName {
            namespace: model.object.namespace.clone(),
            name: service.name.clone(),
        };
        let clusters = self.memo.get_mut(&name).map(|memo| &mut memo.clusters);
        for cluster in clusters.into_iter().flatten() {
            let at = cluster.place(model, index);
            if cluster
                .users
                .get(at)
                .is_some_and(|(user, _)| Arc::ptr_eq(user, model))
            {
                cluster.users.remove(at);
                cluster.dirty = true;
                if cluster.users.is_empty() {
                    self.unnamed.insert(name.clone());
                }
            }
        }
        self.dirty.insert(name);
    }

    /// The first Ingress to name a cluster decides how it is balanced
    /// (ingress-nginx-behaviour §4 "Upstream settings"); all are told what is wrong.
    fn settle(&mut self, options: &Options) {
        for name in &self.dirty {
            let Some(memo) = self.memo.get_mut(name) else {
                continue;
            };
            for cluster in memo.clusters.iter_mut().filter(|cluster| cluster.dirty) {
                if let Some((model, index)) = cluster.users.first() {
                    let spec = Spec::new(&model.services[*index], options);
                    if spec != cluster.spec {
                        cluster.spec = spec;
                        cluster.resolve(&memo.origin, memo.backend.as_deref(), options);
                    }
                }
                let told = std::mem::take(&mut cluster.told);
                self.problems.remove(&told);
                cluster.told = cluster.complaints();
                self.problems.add(&cluster.told);
            }
        }
    }

    /// What is wrong with the Services that Ingresses name.
    pub(super) fn problems(&self) -> &Ledger {
        &self.problems
    }

    /// Refers to a port of a Service for a route of Gateway API. `key` is no
    /// plain name of an Ingress's: it holds a slash.
    ///
    /// # Errors
    /// Why there is no such cluster.
    pub(super) fn refer_backend(
        &mut self,
        objects: &Objects,
        service: &NamespacedName,
        key: &ClusterKey,
        port: Port,
        options: &Options,
    ) -> Result<Arc<Mark>, String> {
        let namespace = &service.namespace;
        let (tls, tls_identity) = port.tls.unzip();
        let service = ServiceUse {
            name: service.name.clone(),
            port: port.number.to_string().into(),
            field: IngressField::DefaultBackend,
            key: key.clone(),
            protocol: port.protocol,
            load_balancing: None,
            service_upstream: false,
            tls,
            tls_identity,
            transport: port.transport,
        };
        let cluster = self.refer(objects, namespace, &service, options);
        match &cluster.outcome.cluster {
            Ok(_) => Ok(cluster.seen.clone()),
            Err(refusal) => Err(refusal.message.clone()),
        }
    }

    /// Refers to the cluster of an earlier [`Services::refer_backend`], whose Service
    /// is the same as then.
    pub(super) fn refer_again(&self, cluster: &Mark) {
        cluster.set(self.generation);
    }

    /// Forgets what nobody has referred to since the update began, and names
    /// the rest.
    pub(super) fn finish(&mut self) {
        self.forget();
        if std::mem::take(&mut self.contested) {
            self.rename();
        }
        self.write();
    }

    /// Takes the Service of a TCP or UDP port in. What is wrong with it.
    pub(super) fn refer_stream(
        &mut self,
        objects: &Objects,
        entry: &Entry,
        options: &Options,
    ) -> Option<Problem> {
        let cluster = self.refer(objects, &entry.namespace, &entry.service, options);
        let refusal = cluster.outcome.cluster.as_ref().err();
        refusal.map(|refusal| entry.refused(refusal))
    }

    /// The clusters whose plain name is another's.
    pub(super) fn renames(&self) -> &Renames {
        &self.renames
    }

    /// Clusters and endpoints, as of the latest update.
    pub(super) fn maps(&self) -> (&Arc<Clusters>, &Arc<EndpointsByCluster>) {
        (&self.clusters, &self.endpoints)
    }

    /// The clusters of one Service with its latest endpoints. The maps follow
    /// with the next update.
    pub(super) fn endpoints(
        &mut self,
        objects: &Objects,
        namespace: &str,
        service: &str,
        options: &Options,
    ) -> Vec<(ClusterKey, Endpoints)> {
        let name = NamespacedName::new(namespace, service);
        let Some(memo) = self.memo.get_mut(&name) else {
            return Vec::new();
        };
        if memo.refresh(objects, options) {
            self.dirty.insert(name);
        }
        memo.clusters
            .iter()
            .filter(|cluster| cluster.outcome.cluster.is_ok())
            .map(|cluster| (cluster.key.clone(), cluster.outcome.endpoints.clone()))
            .collect()
    }

    /// Notes that something besides Ingresses names the Service; where no Ingress does,
    /// the first decides how it is balanced.
    fn refer(
        &mut self,
        objects: &Objects,
        namespace: &Arc<str>,
        service: &ServiceUse,
        options: &Options,
    ) -> &ClusterMemo {
        let name = NamespacedName {
            namespace: namespace.clone(),
            name: service.name.clone(),
        };
        let backend = objects.backend(namespace, &service.name);
        let generation = self.generation;
        let cluster = self.cluster(objects, &name, service, options);
        let first = !cluster.seen.is(generation);
        cluster.seen.set(generation);
        if first && cluster.users.is_empty() {
            let spec = Spec::new(service, options);
            if spec != cluster.spec {
                cluster.spec = spec;
                let origin = ObjectRef::new("Service", namespace, &service.name);
                cluster.resolve(&origin, backend.map(Arc::as_ref), options);
            }
        }
        let dirty = cluster.dirty;
        if dirty {
            self.dirty.insert(name.clone());
        }
        self.cluster(objects, &name, service, options)
    }

    /// The cluster that stands for this use of a Service; made if there is none.
    fn cluster(
        &mut self,
        objects: &Objects,
        name: &NamespacedName,
        service: &ServiceUse,
        options: &Options,
    ) -> &mut ClusterMemo {
        let memo = self.memo.entry(name.clone()).or_insert_with(|| ServiceMemo {
            origin: ObjectRef {
                kind: "Service".into(),
                namespace: name.namespace.clone(),
                name: name.name.clone(),
            },
            backend: objects.backend(&name.namespace, &name.name).cloned(),
            clusters: Vec::with_capacity(1),
        });
        let known = memo.clusters.iter().position(|cluster| cluster.is_of(service));
        let at = known.unwrap_or_else(|| {
            let spec = Spec::new(service, options);
            memo.clusters.push(ClusterMemo {
                plain: service.key.clone(),
                identity: cluster::identity(&name.namespace, service),
                tls_identity: service.tls_identity.clone(),
                key: service.key.clone(),
                outcome: cluster::resolve(&memo.origin, memo.backend.as_deref(), &spec, options),
                spec,
                users: Vec::new(),
                told: Box::default(),
                dirty: true,
                // Until something says that it refers to it.
                seen: Arc::new(Mark(0.into())),
            });
            let wishes = self.wishes.entry(service.key.clone()).or_default();
            *wishes += 1;
            self.contested |= *wishes > 1;
            self.unnamed.insert(name.clone());
            self.dirty.insert(name.clone());
            memo.clusters.len() - 1
        });
        &mut memo.clusters[at]
    }

    /// `--default-backend-service`: its first port; a Service that cannot be
    /// used leaves the built-in answer, 404 (ingress-nginx-behaviour §13).
    fn default_backend(
        &mut self,
        objects: &Objects,
        policies: &Arc<Policies>,
        options: &Options,
        problems: &mut Problems,
    ) -> DefaultBackend {
        let built_in = DefaultBackend {
            action: Action::Respond(404),
            origin: ObjectRef::new("DefaultBackend", "", "built-in"),
            policies: policies.clone(),
        };
        let Some(name) = &options.default_backend_service else {
            return built_in;
        };
        let service = objects.service(&name.namespace, &name.name);
        let service = ServiceUse {
            name: name.name.clone(),
            port: service
                .and_then(|service| first_port(service))
                .unwrap_or_default(),
            field: IngressField::DefaultBackend,
            key: ClusterKey(DEFAULT_BACKEND.into()),
            protocol: UpstreamProtocol::Http,
            load_balancing: None,
            service_upstream: false,
            tls: None,
            tls_identity: None,
            transport: Transport::Tcp,
        };
        let cluster = self.refer(objects, &name.namespace, &service, options);
        problems.extend(cluster.outcome.problems.iter().cloned());
        match &cluster.outcome.cluster {
            Ok(_) => DefaultBackend {
                action: Action::Forward(vec![WeightedCluster {
                    cluster: cluster.plain.clone(),
                    weight: 1,
                    otherwise: Otherwise::NotFound,
                    policies: None,
                }]),
                origin: ObjectRef::new("Service", &name.namespace, &name.name),
                policies: policies.clone(),
            },
            Err(refusal) => {
                problems.push(Problem {
                    effect: Effect::Substituted,
                    field: "--default-backend-service".to_owned(),
                    ..refused(
                        &ObjectRef::new("Service", &name.namespace, &name.name),
                        service.field,
                        refusal,
                    )
                });
                built_in
            }
        }
    }

    /// Drops what nobody refers to any more.
    fn forget(&mut self) {
        let generation = self.generation;
        self.unnamed.retain(|name| {
            let Some(memo) = self.memo.get_mut(name) else {
                return false;
            };
            memo.clusters.retain(|cluster| {
                let kept = !cluster.users.is_empty() || cluster.seen.is(generation);
                if !kept {
                    if let Some(wishes) = self.wishes.get_mut(&cluster.plain) {
                        self.contested |= *wishes > 1;
                        *wishes -= 1;
                        if *wishes == 0 {
                            self.wishes.remove(&cluster.plain);
                        }
                    }
                    remove(&mut self.clusters, &cluster.key);
                    remove(&mut self.endpoints, &cluster.key);
                }
                kept
            });
            if memo.clusters.is_empty() {
                self.memo.remove(name);
                return false;
            }
            memo.clusters.iter().any(|cluster| cluster.users.is_empty())
        });
        self.memo.shrink_to(2 * self.memo.len());
        self.wishes.shrink_to(2 * self.wishes.len());
    }

    /// Gives every cluster a name of its own. `namespace-service-port` is
    /// ambiguous (`a-b` and `c`, `a` and `b-c`), and two routes may speak
    /// different protocols to one port: the least identity keeps the plain
    /// name, so that it does not depend on history.
    fn rename(&mut self) {
        let mut owners: HashMap<&ClusterKey, Vec<&str>> = HashMap::with_capacity(self.memo.len());
        for cluster in self.memo.values().flat_map(|memo| &memo.clusters) {
            owners.entry(&cluster.plain).or_default().push(&cluster.identity);
        }
        owners.retain(|_, identities| identities.len() > 1);
        let mut renames = Renames::new();
        for (plain, mut identities) in owners {
            identities.sort_unstable();
            for identity in identities.into_iter().skip(1) {
                let key = ClusterKey(format!("{plain}#{identity}").into());
                renames.insert((plain.clone(), identity.to_owned()), key);
            }
        }
        if renames == self.renames {
            return;
        }
        self.renames = renames;
        self.dirty = self.memo.keys().cloned().collect();
        for cluster in self.memo.values_mut().flat_map(|memo| &mut memo.clusters) {
            let renamed = self
                .renames
                .get(&(cluster.plain.clone(), cluster.identity.clone()));
            let key = renamed.unwrap_or(&cluster.plain);
            if cluster.key != *key {
                remove(&mut self.clusters, &cluster.key);
                remove(&mut self.endpoints, &cluster.key);
                cluster.key = key.clone();
            }
            // Another may have had the name before, or have removed it.
            cluster.dirty = true;
        }
    }

    /// Brings the maps up to date; untouched, they stay the same `Arc`.
    fn write(&mut self) {
        for name in std::mem::take(&mut self.dirty) {
            let memo = self.memo.get_mut(&name);
            for cluster in memo.into_iter().flat_map(|memo| &mut memo.clusters) {
                if !std::mem::take(&mut cluster.dirty) {
                    continue;
                }
                match &cluster.outcome.cluster {
                    Ok(value) => insert(&mut self.clusters, &cluster.key, value),
                    Err(_) => remove(&mut self.clusters, &cluster.key),
                }
                if cluster.outcome.endpoints.is_empty() {
                    remove(&mut self.endpoints, &cluster.key);
                } else {
                    insert(&mut self.endpoints, &cluster.key, &cluster.outcome.endpoints);
                }
            }
        }
    }
}

/// Stores a value unless an equal one is there.
fn insert<T: PartialEq + Clone>(map: &mut Arc<SharedMap<ClusterKey, T>>, key: &ClusterKey, value: &T) {
    if map.get(key) != Some(value) {
        Arc::make_mut(map).insert(key.clone(), value.clone());
    }
}

fn remove<T: Clone>(map: &mut Arc<SharedMap<ClusterKey, T>>, key: &ClusterKey) {
    if map.contains_key(key) {
        Arc::make_mut(map).remove(key);
    }
}

/// The number of its first port.
pub(super) fn first_port(service: &Service) -> Option<Arc<str>> {
    let port = service.spec.as_ref()?.ports.as_ref()?.first()?;
    Some(port.port.to_string().into())
}

fn refused(object: &ObjectRef, field: IngressField, refusal: &Refusal) -> Problem {
    let mut field = field.service();
    if refusal.reason == reason::SERVICE_PORT_NOT_FOUND {
        field += ".port";
    }
    Problem {
        object: object.clone(),
        field,
        reason: refusal.reason,
        message: refusal.message.clone(),
        effect: Effect::RouteDisabled,
        fix: refusal.fix.to_owned(),
    }
}
