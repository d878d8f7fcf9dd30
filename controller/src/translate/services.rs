//! The clusters and endpoints of all Services that are referred to, each
//! resolved again only when its Service or slices have changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use k8s_openapi::api::core::v1::Service;
use tidegate_snapshot::route::{Otherwise, WeightedCluster};
use tidegate_snapshot::{
    Action, Cluster, ClusterKey, Effect, Endpoints, ObjectRef, Policies, Problem, UpstreamProtocol,
    UpstreamTls,
};

use super::cluster::{self, Outcome, Refusal, Spec};
use super::host::{DefaultBackend, Renames};
use super::ingress::{FieldPath, Model, ServiceUse, Transport};
use super::problems::Problems;
use super::reason;
use super::streams::Entry;
use crate::objects::{Backend, NamespacedName, Objects};
use crate::options::Options;

/// ingress-nginx's name of the default backend's upstream.
pub(super) const DEFAULT_BACKEND: &str = "upstream-default-backend";

/// Remembers every Service that is referred to.
#[derive(Debug, Default)]
pub(super) struct Services {
    memo: HashMap<NamespacedName, ServiceMemo>,
    generation: u64,
    /// Clusters have come since the last [`Services::finish`].
    names_changed: bool,
    renames: Renames,
    clusters: Arc<Clusters>,
    endpoints: Arc<EndpointsByCluster>,
}

/// As [`tidegate_snapshot::Snapshot::clusters`].
type Clusters = BTreeMap<ClusterKey, Arc<Cluster>>;
/// As [`tidegate_snapshot::Snapshot::endpoints`].
type EndpointsByCluster = BTreeMap<ClusterKey, Endpoints>;

#[derive(Debug)]
struct ServiceMemo {
    origin: ObjectRef,
    backend: Option<Arc<Backend>>,
    clusters: Vec<ClusterMemo>,
    seen: u64,
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
    /// Not in the maps yet.
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
    /// Notes that it is referred to; the first time in an update it is brought up to
    /// date.
    fn see(&mut self, generation: u64, objects: &Objects, options: &Options) {
        if self.seen != generation {
            self.seen = generation;
            self.refresh(objects, options);
        }
    }

    /// Takes the latest Service and slices.
    fn refresh(&mut self, objects: &Objects, options: &Options) {
        let backend = objects.backend(&self.origin.namespace, &self.origin.name);
        let same = match (backend, &self.backend) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        self.backend = backend.cloned();
        for cluster in &mut self.clusters {
            cluster.resolve(&self.origin, self.backend.as_deref(), options);
        }
    }
}

impl ClusterMemo {
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
    /// Resolves every Service that the Ingresses and the options name. Others may
    /// be referred to until [`Services::finish`].
    pub(super) fn update(
        &mut self,
        objects: &Objects,
        serving: &[Arc<Model>],
        policies: &Arc<Policies>,
        options: &Options,
        problems: &mut Problems,
    ) -> DefaultBackend {
        self.generation += 1;
        let mut names_changed = false;
        let default_backend = self.default_backend(objects, policies, options, problems, &mut names_changed);
        for model in serving {
            for service in &model.services {
                let namespace = &model.object.namespace;
                let cluster = self.refer(objects, namespace, service, options, &mut names_changed);
                problems.extend(cluster.outcome.problems.iter().cloned());
                if let Err(refusal) = &cluster.outcome.cluster {
                    problems.push(refused(&model.object, service.field, refusal));
                }
            }
        }
        self.names_changed = names_changed;
        default_backend
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
            field: FieldPath::DefaultBackend,
            key: key.clone(),
            protocol: port.protocol,
            load_balancing: None,
            service_upstream: false,
            tls,
            tls_identity,
            transport: port.transport,
        };
        let mut names_changed = self.names_changed;
        let cluster = self.refer(objects, namespace, &service, options, &mut names_changed);
        let outcome = match &cluster.outcome.cluster {
            Ok(_) => Ok(cluster.seen.clone()),
            Err(refusal) => Err(refusal.message.clone()),
        };
        self.names_changed = names_changed;
        outcome
    }

    /// Refers to the cluster of an earlier [`Services::refer_backend`], whose Service
    /// is the same as then.
    pub(super) fn refer_again(&self, cluster: &Mark) {
        cluster.set(self.generation);
    }

    /// Forgets what nobody has referred to since the update began, and names
    /// the rest.
    pub(super) fn finish(&mut self, objects: &Objects, options: &Options) {
        let mut names_changed = std::mem::take(&mut self.names_changed);
        self.forget(&mut names_changed);
        for memo in self.memo.values_mut() {
            memo.see(self.generation, objects, options);
        }
        if names_changed {
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
        let mut names_changed = self.names_changed;
        let cluster = self.refer(
            objects,
            &entry.namespace,
            &entry.service,
            options,
            &mut names_changed,
        );
        let refused = cluster
            .outcome
            .cluster
            .as_ref()
            .err()
            .map(|refusal| entry.refused(refusal));
        self.names_changed = names_changed;
        refused
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
        let Some(memo) = self.memo.get_mut(&NamespacedName::new(namespace, service)) else {
            return Vec::new();
        };
        memo.refresh(objects, options);
        memo.clusters
            .iter()
            .filter(|cluster| cluster.outcome.cluster.is_ok())
            .map(|cluster| (cluster.key.clone(), cluster.outcome.endpoints.clone()))
            .collect()
    }

    /// Notes that a route names the Service; the first to name it decides how
    /// it is balanced (ingress-nginx-behaviour §4 "Upstream settings").
    fn refer(
        &mut self,
        objects: &Objects,
        namespace: &Arc<str>,
        service: &ServiceUse,
        options: &Options,
        names_changed: &mut bool,
    ) -> &ClusterMemo {
        let name = NamespacedName {
            namespace: namespace.clone(),
            name: service.name.clone(),
        };
        let memo = self.memo.entry(name).or_insert_with_key(|name| ServiceMemo {
            origin: ObjectRef {
                kind: "Service".into(),
                namespace: name.namespace.clone(),
                name: name.name.clone(),
            },
            backend: objects.backend(&name.namespace, &name.name).cloned(),
            clusters: Vec::with_capacity(1),
            seen: 0,
        });
        memo.see(self.generation, objects, options);
        let known = memo.clusters.iter().position(|cluster| cluster.is_of(service));
        let at = known.unwrap_or_else(|| {
            *names_changed = true;
            let spec = Spec::new(service, options);
            memo.clusters.push(ClusterMemo {
                plain: service.key.clone(),
                identity: cluster::identity(namespace, service),
                tls_identity: service.tls_identity.clone(),
                key: service.key.clone(),
                outcome: cluster::resolve(&memo.origin, memo.backend.as_deref(), &spec, options),
                spec,
                dirty: true,
                seen: Arc::new(Mark(self.generation.into())),
            });
            memo.clusters.len() - 1
        });
        let cluster = &mut memo.clusters[at];
        if !cluster.seen.is(self.generation) {
            cluster.seen.set(self.generation);
            let spec = Spec::new(service, options);
            if spec != cluster.spec {
                cluster.spec = spec;
                cluster.resolve(&memo.origin, memo.backend.as_deref(), options);
            }
        }
        cluster
    }

    /// `--default-backend-service`: its first port; a Service that cannot be
    /// used leaves the built-in answer, 404 (ingress-nginx-behaviour §13).
    fn default_backend(
        &mut self,
        objects: &Objects,
        policies: &Arc<Policies>,
        options: &Options,
        problems: &mut Problems,
        names_changed: &mut bool,
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
            field: FieldPath::DefaultBackend,
            key: ClusterKey(DEFAULT_BACKEND.into()),
            protocol: UpstreamProtocol::Http,
            load_balancing: None,
            service_upstream: false,
            tls: None,
            tls_identity: None,
            transport: Transport::Tcp,
        };
        let cluster = self.refer(objects, &name.namespace, &service, options, names_changed);
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
    fn forget(&mut self, names_changed: &mut bool) {
        let generation = self.generation;
        let mut gone = Vec::new();
        self.memo.retain(|_, memo| {
            memo.clusters.retain(|cluster| {
                let kept = cluster.seen.is(generation);
                if !kept {
                    gone.push(cluster.key.clone());
                }
                kept
            });
            !memo.clusters.is_empty()
        });
        if gone.is_empty() {
            return;
        }
        *names_changed = true;
        self.memo.shrink_to(2 * self.memo.len());
        for key in gone {
            remove(&mut self.clusters, &key);
            remove(&mut self.endpoints, &key);
        }
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
        for cluster in self.memo.values_mut().flat_map(|memo| &mut memo.clusters) {
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

/// Stores a value unless an equal one is there.
fn insert<T: PartialEq + Clone>(map: &mut Arc<BTreeMap<ClusterKey, T>>, key: &ClusterKey, value: &T) {
    if map.get(key) != Some(value) {
        Arc::make_mut(map).insert(key.clone(), value.clone());
    }
}

fn remove<T: Clone>(map: &mut Arc<BTreeMap<ClusterKey, T>>, key: &ClusterKey) {
    if map.contains_key(key) {
        Arc::make_mut(map).remove(key);
    }
}

/// The number of its first port.
pub(super) fn first_port(service: &Service) -> Option<Arc<str>> {
    let port = service.spec.as_ref()?.ports.as_ref()?.first()?;
    Some(port.port.to_string().into())
}

fn refused(object: &ObjectRef, field: FieldPath, refusal: &Refusal) -> Problem {
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
