//! `status.loadBalancer` of Ingresses: which addresses it should show, and
//! which Ingresses show something else. Writing is [`writer`]'s.

mod gateway_api;
mod gateways;
mod goodbye;
#[cfg(test)]
mod tests;
pub(crate) mod writer;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{IngressLoadBalancerIngress, IngressLoadBalancerStatus};
use tidegate_snapshot::ObjectRef;
use tokio::sync::watch;

use crate::objects::{Kind, NamespacedName, Node, Objects, Pod};
pub use gateway_api::Bound;
pub(crate) use gateways::Gateways;
pub(crate) use goodbye::Pods;
use writer::Queue;

/// What statuses show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusConfig {
    /// Where the addresses come from.
    pub source: AddressSource,
    /// `--update-status-on-shutdown`: the last pod takes its address away.
    pub clear_on_shutdown: bool,
}

/// Where the addresses in statuses come from, in ingress-nginx's order of
/// precedence (ingress-nginx-behaviour §15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// `--publish-status-address`: IP addresses or host names.
    Addresses(Vec<String>),
    /// `--publish-service`: what this Service is reached by.
    Service(NamespacedName),
    /// Neither: the nodes that run ready controller pods.
    Nodes {
        /// `--report-node-internal-ip-address`.
        internal: bool,
    },
}

/// The addresses that every accepted Ingress should show, sorted. `None` while
/// that is not known (the Service does not exist, no pod is ready): nothing is
/// written then, what statuses show stays.
pub fn desired(objects: &Objects, config: &StatusConfig) -> Option<Vec<IngressLoadBalancerIngress>> {
    let texts: BTreeSet<String> = match &config.source {
        AddressSource::Addresses(addresses) => addresses.iter().cloned().collect(),
        AddressSource::Service(name) => of_service(objects.service(&name.namespace, &name.name)?.as_ref()),
        AddressSource::Nodes { internal } => {
            let nodes: BTreeSet<&str> = objects.pods().filter_map(|pod| ready_on(pod)).collect();
            let addresses: BTreeSet<String> = nodes
                .into_iter()
                .filter_map(|name| objects.node(name))
                .filter_map(|node| of_node(node, *internal))
                .collect();
            if addresses.is_empty() {
                return None;
            }
            addresses
        }
    };
    Some(
        texts
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(entry)
            .collect(),
    )
}

/// The addresses that a Service is reached by, by its type.
fn of_service(service: &Service) -> BTreeSet<String> {
    let Some(spec) = &service.spec else {
        return BTreeSet::new();
    };
    let external = || spec.external_ips.iter().flatten().cloned();
    let cluster = || spec.cluster_ip.iter().filter(|ip| *ip != "None").cloned();
    match spec.type_.as_deref() {
        Some("ExternalName") => spec.external_name.iter().cloned().collect(),
        Some("LoadBalancer") => {
            let entries = service
                .status
                .iter()
                .filter_map(|status| status.load_balancer.as_ref());
            let entries = entries.flat_map(|status| status.ingress.iter().flatten());
            entries
                .filter_map(|entry| entry.ip.clone().or_else(|| entry.hostname.clone()))
                .chain(external())
                .collect()
        }
        Some("NodePort") => {
            let external: BTreeSet<String> = external().collect();
            if external.is_empty() {
                cluster().collect()
            } else {
                external
            }
        }
        _ => cluster().collect(),
    }
}

/// The node of a pod that is ready.
fn ready_on(pod: &Pod) -> Option<&str> {
    let node = pod.spec.node_name.as_deref()?;
    (pod.is_ready() && pod.metadata.deletion_timestamp.is_none()).then_some(node)
}

/// The external address of a node, or the internal one when that is wanted or
/// all there is.
fn of_node(node: &Node, internal: bool) -> Option<String> {
    let addresses = node.status.addresses.as_ref()?;
    let of_type = |wanted: &str| {
        addresses
            .iter()
            .find(|address| address.kind == wanted && !address.address.is_empty())
            .map(|address| address.address.clone())
    };
    if internal {
        return of_type("InternalIP");
    }
    of_type("ExternalIP").or_else(|| of_type("InternalIP"))
}

/// An IP address goes to `ip`, anything else to `hostname`.
fn entry(text: String) -> IngressLoadBalancerIngress {
    let mut entry = IngressLoadBalancerIngress::default();
    if text.parse::<IpAddr>().is_ok() {
        entry.ip = Some(text);
    } else {
        entry.hostname = Some(text);
    }
    entry
}

/// Whether a status shows other addresses; order and ports do not count.
fn differs(current: Option<&IngressLoadBalancerStatus>, desired: &[IngressLoadBalancerIngress]) -> bool {
    fn key(entry: &IngressLoadBalancerIngress) -> (Option<&str>, Option<&str>) {
        (entry.ip.as_deref(), entry.hostname.as_deref())
    }
    let current: BTreeSet<_> = current
        .and_then(|status| status.ingress.as_ref())
        .into_iter()
        .flatten()
        .map(key)
        .collect();
    current != desired.iter().map(key).collect()
}

/// Decides which statuses are written, when.
pub(crate) struct Statuses {
    config: StatusConfig,
    leader: watch::Receiver<bool>,
    queue: Arc<Queue>,
    pods: Option<Pods>,
    /// Ingresses changed since the last review.
    touched: BTreeSet<NamespacedName>,
    /// Something that the addresses come from changed since.
    source_touched: bool,
    desired: Option<Arc<[IngressLoadBalancerIngress]>>,
    /// Ticks until everything is looked at again.
    patience: u32,
    gateways: Gateways,
}

/// After so many ticks every Ingress is looked at though nothing is known to have
/// changed: a write may have been refused for a reason that is gone by then.
const PATIENCE: u32 = 60;

impl Statuses {
    /// `pods` tells at shutdown whether there are other replicas.
    pub(crate) fn new(
        config: StatusConfig,
        leader: watch::Receiver<bool>,
        queue: Arc<Queue>,
        pods: Option<Pods>,
        gateways: Gateways,
    ) -> Self {
        Self {
            config,
            leader,
            queue,
            pods,
            touched: BTreeSet::new(),
            source_touched: true,
            desired: None,
            patience: PATIENCE,
            gateways,
        }
    }

    /// An object changed.
    pub(crate) fn touch(&mut self, kind: Kind, name: &NamespacedName) {
        match (kind, &self.config.source) {
            (Kind::Ingress, _) => {
                self.touched.insert(name.clone());
            }
            (Kind::Service, AddressSource::Service(service)) if service == name => self.source_touched = true,
            (Kind::Pod | Kind::Node, AddressSource::Nodes { .. }) => self.source_touched = true,
            _ => {}
        }
        if kind == Kind::Service {
            self.gateways.touch_service(name);
        }
        if Kind::GATEWAY_API.contains(&kind) {
            self.gateways.touch(kind, name);
        }
    }

    /// Takes what the latest translation says about Gateway API, and whose statuses
    /// it changed.
    pub(crate) fn translated(
        &mut self,
        wanted: Arc<crate::translate::gateway::status::Statuses>,
        changed_routes: Vec<(Kind, NamespacedName)>,
    ) {
        self.gateways.translated(wanted, changed_routes);
    }

    /// Looks again at what waits for a port to be bound, or met a conflict.
    pub(crate) fn tick(&mut self, objects: &Objects, accepted: &[ObjectRef]) {
        if !*self.leader.borrow() {
            return;
        }
        self.gateways.tick(objects, self.desired.as_deref(), &self.queue);
        self.patience = self.patience.saturating_sub(1);
        if self.patience == 0 {
            self.review(objects, accepted);
        }
    }

    /// Reviews what changed since the last review.
    pub(crate) fn review_touched(&mut self, objects: &Objects, accepted: &[ObjectRef]) {
        if self.source_touched || !*self.leader.borrow() {
            return self.review(objects, accepted);
        }
        self.gateways
            .review(objects, self.desired.as_deref(), &self.queue);
        for name in std::mem::take(&mut self.touched) {
            let ingress = ObjectRef {
                kind: Kind::Ingress.as_str().into(),
                namespace: name.namespace.clone(),
                name: name.name.clone(),
            };
            if accepted.binary_search(&ingress).is_ok() {
                self.review_one(objects, name);
            }
        }
    }

    /// Reviews every accepted Ingress.
    pub(crate) fn review(&mut self, objects: &Objects, accepted: &[ObjectRef]) {
        self.touched.clear();
        self.patience = PATIENCE;
        if std::mem::take(&mut self.source_touched) {
            self.desired = desired(objects, &self.config).map(Into::into);
            self.gateways.touch_all();
        }
        if !*self.leader.borrow() {
            self.queue.clear();
            self.gateways.touch_all();
            return;
        }
        self.gateways
            .review(objects, self.desired.as_deref(), &self.queue);
        for ingress in accepted {
            self.review_one(
                objects,
                NamespacedName {
                    namespace: ingress.namespace.clone(),
                    name: ingress.name.clone(),
                },
            );
        }
    }

    fn review_one(&self, objects: &Objects, name: NamespacedName) {
        let Some(desired) = &self.desired else { return };
        if !*self.leader.borrow() {
            return;
        }
        let current = objects.load_balancer(&name.namespace, &name.name);
        if differs(current.map(Arc::as_ref), desired) {
            let patch = Arc::new(writer::patch(desired));
            self.queue.put((Kind::Ingress, name), patch);
        } else {
            self.queue.forget(&(Kind::Ingress, name));
        }
    }
}
