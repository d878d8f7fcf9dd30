//! Decides which statuses of Gateway API objects are written, when.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::IngressLoadBalancerIngress;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::gateway_api::{self, Bound, Scene};
use super::writer::{Queue, Target};
use crate::objects::{CustomStatus, Kind, NamespacedName, Objects};
use crate::translate::gateway::status::Statuses;

/// Asks the gateway which listeners are bound.
pub(crate) type AskBound = Arc<dyn Fn() -> Bound + Send + Sync>;

/// What the statuses should say, and which of them need a look.
pub(crate) struct Gateways {
    controller: String,
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
    pub(crate) fn new(controller: String, ask: AskBound) -> Self {
        Self {
            controller,
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

    pub(super) fn touch_all(&mut self) {
        self.all = true;
    }

    pub(super) fn translated(&mut self, wanted: Arc<Statuses>) {
        self.wanted = wanted;
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
            now: Timestamp::now(),
        };
        let look = |kind: Kind, name: &NamespacedName| all || touched.contains(&(kind, name.clone()));
        let wanted = &*self.wanted;
        let put = |kind, name: &NamespacedName, patch: &dyn Fn(&CustomStatus) -> Option<Value>| {
            let Some(current) = objects.gateway_api().status(kind, &name.namespace, &name.name) else {
                return;
            };
            let target = (kind, name.clone());
            match patch(current) {
                Some(body) => queue.put(target, Arc::new(body)),
                None => queue.forget(&target),
            }
        };
        for (name, status) in &wanted.classes {
            if look(Kind::GatewayClass, name) || before.classes.get(name) != Some(status) {
                put(Kind::GatewayClass, name, &|current| {
                    gateway_api::class(status, current, &scene)
                });
            }
        }
        for (name, status) in &wanted.gateways {
            if rebound || look(Kind::Gateway, name) || before.gateways.get(name) != Some(status) {
                put(Kind::Gateway, name, &|current| {
                    gateway_api::gateway(status, current, &scene)
                });
            }
        }
        for (name, status) in &wanted.listener_sets {
            if rebound || look(Kind::ListenerSet, name) || before.listener_sets.get(name) != Some(status) {
                let patch = |current: &CustomStatus| gateway_api::listener_set(status, current, &scene);
                put(Kind::ListenerSet, name, &patch);
            }
        }
        for ((kind, name), status) in &wanted.routes {
            if look(*kind, name) || before.routes.get(&(*kind, name.clone())) != Some(status) {
                put(*kind, name, &|current| {
                    gateway_api::route(Some(status), current, &scene)
                });
            }
        }
        for (name, status) in &wanted.policies {
            if look(Kind::BackendTLSPolicy, name) || before.policies.get(name) != Some(status) {
                let patch = |current: &CustomStatus| gateway_api::policy(Some(status), current, &scene);
                put(Kind::BackendTLSPolicy, name, &patch);
            }
        }
        for name in objects.gateway_api().names(Kind::BackendTLSPolicy) {
            let gone = before.policies.contains_key(&name) || look(Kind::BackendTLSPolicy, &name);
            if gone && !wanted.policies.contains_key(&name) {
                put(Kind::BackendTLSPolicy, &name, &|current| {
                    gateway_api::policy(None, current, &scene)
                });
            }
        }
        let mut left: BTreeSet<Target> = before.routes.keys().cloned().collect();
        left.extend(touched.iter().cloned());
        if all {
            for kind in ROUTES {
                let names = objects.gateway_api().names(*kind);
                left.extend(names.into_iter().map(|name| (*kind, name)));
            }
        }
        for (kind, name) in left {
            if ROUTES.contains(&kind) && !wanted.routes.contains_key(&(kind, name.clone())) {
                put(kind, &name, &|current| gateway_api::route(None, current, &scene));
            }
        }
    }
}

/// The kinds with `status.parents`.
const ROUTES: &[Kind] = &[
    Kind::HTTPRoute,
    Kind::GRPCRoute,
    Kind::TLSRoute,
    Kind::TCPRoute,
    Kind::UDPRoute,
];

fn text(entry: &IngressLoadBalancerIngress) -> Option<String> {
    entry.ip.clone().or_else(|| entry.hostname.clone())
}
