//! Decides which statuses of Gateway API objects are written, when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service};
use k8s_openapi::api::networking::v1::IngressLoadBalancerIngress;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::gateway_api::{self, Bound, Scene, Seen};
use super::writer::{Queue, Target};
use crate::objects::{Kind, NamespacedName, Objects};
use crate::options::Options;
use crate::translate::gateway::status::{Address, Statuses};

/// Asks the gateway which listeners are bound.
pub(crate) type AskBound = Arc<dyn Fn() -> Bound + Send + Sync>;

/// What the statuses should say, and which of them need a look.
pub(crate) struct Gateways {
    controller: String,
    /// Gateways have Services of their own.
    services: bool,
    ask: AskBound,
    wanted: Arc<Statuses>,
    /// What was wanted when everything was last looked at.
    reviewed: Arc<Statuses>,
    bound: Bound,
    touched: BTreeSet<Target>,
    /// Everything needs a look.
    all: bool,
}

impl Gateways {
    pub(crate) fn new(options: &Options, ask: AskBound) -> Self {
        Self {
            controller: options.gateway_controller.clone(),
            services: options.gateway_services.is_some(),
            ask,
            wanted: Arc::default(),
            reviewed: Arc::default(),
            bound: Bound::new(),
            touched: BTreeSet::new(),
            all: true,
        }
    }

    pub(super) fn touch(&mut self, kind: Kind, name: &NamespacedName) {
        self.touched.insert((kind, name.clone()));
    }

    /// A Service has changed: the Gateway that is reached by it shows that.
    pub(super) fn touch_service(&mut self, service: &NamespacedName) {
        if !self.services {
            return;
        }
        let gateways = self.wanted.gateways.iter();
        let reached = gateways.filter(
            |(_, wanted)| matches!(&wanted.address, Address::Service { name, .. } if name == service),
        );
        self.touched
            .extend(reached.map(|(gateway, _)| (Kind::Gateway, gateway.clone())));
    }

    pub(super) fn touch_all(&mut self) {
        self.all = true;
        self.touched.clear();
    }

    pub(super) fn translated(&mut self, wanted: Arc<Statuses>, changed_routes: Vec<Target>) {
        self.wanted = wanted;
        if !self.all {
            self.touched.extend(changed_routes);
        }
    }

    /// Looks again at what met a conflict, and at everything when a port has
    /// been bound or lost.
    pub(super) fn tick(
        &mut self,
        objects: &Objects,
        shared: Option<&[IngressLoadBalancerIngress]>,
        queue: &Queue,
    ) {
        let stale = queue.take_stale();
        let bound = !self.wanted.gateways.is_empty() && (self.ask)() != self.bound;
        if bound || !stale.is_empty() {
            self.touched.extend(stale);
            self.review(objects, shared, queue);
        }
    }

    /// Queues every status that differs, of those that need a look.
    pub(super) fn review(
        &mut self,
        objects: &Objects,
        shared: Option<&[IngressLoadBalancerIngress]>,
        queue: &Queue,
    ) {
        let all = std::mem::take(&mut self.all);
        let touched = std::mem::take(&mut self.touched);
        let before = std::mem::replace(&mut self.reviewed, self.wanted.clone());
        if !all && touched.is_empty() && Arc::ptr_eq(&before, &self.wanted) && self.wanted.gateways.is_empty()
        {
            return;
        }
        let bound = (self.ask)();
        let rebound = bound != self.bound;
        self.bound = bound;
        let shared: Option<Vec<String>> = shared.map(|entries| entries.iter().filter_map(text).collect());
        let scene = Scene {
            controller: &self.controller,
            bound: &self.bound,
            shared: shared.as_deref(),
            service: &|name| Some(reached_by(objects.service(&name.namespace, &name.name)?)),
            now: Timestamp::now(),
        };
        let wanted = &*self.wanted;
        let mut targets = touched;
        if all || rebound || !Arc::ptr_eq(&before, &self.wanted) {
            // What is bound shows in these alone.
            let shows = all || rebound;
            let of = |kind: Kind| move |name: &NamespacedName| (kind, name.clone());
            let names = differing(&before.classes, &wanted.classes, all);
            targets.extend(names.into_iter().map(of(Kind::GatewayClass)));
            let names = differing(&before.gateways, &wanted.gateways, shows);
            targets.extend(names.into_iter().map(of(Kind::Gateway)));
            let names = differing(&before.listener_sets, &wanted.listener_sets, shows);
            targets.extend(names.into_iter().map(of(Kind::ListenerSet)));
            let names = differing(&before.policies, &wanted.policies, all);
            targets.extend(names.into_iter().map(of(Kind::BackendTLSPolicy)));
        }
        if all {
            // All routes: also entries that an earlier process left.
            for kind in LEFT_BEHIND {
                let names = objects.gateway_api().names(*kind);
                targets.extend(names.into_iter().map(|name| (*kind, name)));
            }
        }
        for target in targets {
            let (kind, name) = &target;
            let Some(current) = objects.gateway_api().status(*kind, &name.namespace, &name.name) else {
                continue;
            };
            let current = Seen::from(&**current);
            match patch(wanted, &target, &current, &scene) {
                Some(body) => queue.put(target, Arc::new(body)),
                None => queue.forget(&target),
            }
        }
    }
}

/// Those whose status is another than before, or that have none any more; with
/// `all`, whatever their status was.
fn differing<'a, K: Ord, T: PartialEq>(
    before: &'a BTreeMap<K, T>,
    wanted: &'a BTreeMap<K, T>,
    all: bool,
) -> Vec<&'a K> {
    let mut differing = Vec::new();
    let mut before = before.iter().peekable();
    for (key, status) in wanted {
        while let Some((gone, _)) = before.next_if(|(other, _)| *other < key) {
            differing.push(gone);
        }
        let known = before.next_if(|(other, _)| *other == key);
        if all || known.is_none_or(|(_, known)| known != status) {
            differing.push(key);
        }
    }
    differing.extend(before.map(|(gone, _)| gone));
    differing
}

/// What is to be written to an object, if anything: entries that are no longer
/// wanted go from routes and policies; the others are nobody else's, and stay.
fn patch(wanted: &Statuses, target: &Target, current: &Seen, scene: &Scene<'_>) -> Option<Value> {
    let (kind, name) = target;
    match kind {
        Kind::GatewayClass => gateway_api::class(wanted.classes.get(name)?, current, scene),
        Kind::Gateway => gateway_api::gateway(wanted.gateways.get(name)?, current, scene),
        Kind::ListenerSet => gateway_api::listener_set(wanted.listener_sets.get(name)?, current, scene),
        Kind::BackendTLSPolicy => gateway_api::policy(wanted.policies.get(name), current, scene),
        kind if LEFT_BEHIND.contains(kind) => {
            gateway_api::route(wanted.routes.get(target).map(|status| &**status), current, scene)
        }
        _ => None,
    }
}

/// The kinds whose statuses have entries of several controllers.
const LEFT_BEHIND: &[Kind] = &[
    Kind::BackendTLSPolicy,
    Kind::HTTPRoute,
    Kind::GRPCRoute,
    Kind::TLSRoute,
    Kind::TCPRoute,
    Kind::UDPRoute,
];

/// What the Service of a Gateway is reached by with the ports of its listeners: so
/// one without load balancer has none of the nodes' addresses.
fn reached_by(service: &Service) -> Vec<String> {
    let Some(spec) = &service.spec else {
        return Vec::new();
    };
    let external = spec.external_ips.iter().flatten().cloned();
    let status = service.status.as_ref();
    let entries = status.and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let mut addresses: Vec<String> = if spec.type_.as_deref() == Some("LoadBalancer") {
        let text = |entry: &LoadBalancerIngress| entry.ip.clone().or_else(|| entry.hostname.clone());
        entries
            .into_iter()
            .flatten()
            .filter_map(text)
            .chain(external)
            .collect()
    } else {
        let internal = spec.cluster_ips.iter().flatten().cloned();
        external.chain(internal).collect()
    };
    addresses.retain(|address| !address.is_empty() && address != "None");
    addresses.sort();
    addresses.dedup();
    // "A maximum of 16 addresses."
    addresses.truncate(16);
    addresses
}

fn text(entry: &IngressLoadBalancerIngress) -> Option<String> {
    entry.ip.clone().or_else(|| entry.hostname.clone())
}
