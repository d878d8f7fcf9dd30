//! The Services of Gateways and their EndpointSlices: whatever differs from what
//! translation wants is queued; the leader writes it ([`writer`]).

mod difference;
mod replicas;
#[cfg(test)]
mod tests;
pub(crate) mod writer;

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use tidegate_snapshot::{Effect, ObjectRef, Problem};
use tokio::sync::watch;

use crate::objects::{Kind, NamespacedName, Objects};
use crate::options::{GatewayServices, Options};
use crate::queue::Target;
use crate::translate::gateway::infrastructure::{self, Infrastructure as Wanted};
use crate::translate::reason;
use writer::{Queue, Refusal, Refusals, Task, Work};

/// After so many ticks everything is looked at though nothing is known to have
/// changed: a write may have been refused for a reason that is gone by then.
const PATIENCE: u32 = 60;

/// Decides which objects of Gateways are written, when.
pub(crate) struct Infrastructure {
    controller: String,
    services: Option<GatewayServices>,
    leader: watch::Receiver<bool>,
    queue: Arc<Queue>,
    refusals: Arc<Refusals>,
    wanted: Arc<Wanted>,
    /// Something that it depends on changed since the last review.
    touched: bool,
    /// Ticks until everything is looked at again.
    patience: u32,
}

impl Infrastructure {
    pub(crate) fn new(
        options: &Options,
        leader: watch::Receiver<bool>,
        queue: Arc<Queue>,
        refusals: Arc<Refusals>,
    ) -> Self {
        Self {
            controller: options.gateway_controller.clone(),
            services: options.gateway_services.clone(),
            leader,
            queue,
            refusals,
            wanted: Arc::default(),
            touched: true,
            patience: PATIENCE,
        }
    }

    /// An object changed.
    pub(crate) fn touch(&mut self, kind: Kind, name: &NamespacedName) {
        self.touched |= match kind {
            // What they say decides whether a Service is left over.
            Kind::Gateway | Kind::GatewayClass => true,
            Kind::Pod => !self.wanted.services.is_empty(),
            Kind::Service => self.wanted.services.contains_key(name),
            Kind::EndpointSlice => {
                replicas::service_of(name).is_some_and(|service| self.wanted.services.contains_key(&service))
            }
            _ => false,
        };
    }

    /// Takes what the latest translation wants.
    pub(crate) fn translated(&mut self, wanted: Arc<Wanted>) {
        if !Arc::ptr_eq(&self.wanted, &wanted) {
            self.wanted = wanted;
            self.touched = true;
        }
    }

    /// Queues what differs, if anything has changed.
    pub(crate) fn review_touched(&mut self, objects: &Objects) {
        if self.touched {
            self.review(objects);
        }
    }

    /// Looks again at what met another version of an object, and now and then at
    /// everything. What the API server refuses, if that has changed.
    pub(crate) fn tick(&mut self, objects: &Objects) -> Option<Vec<Arc<Problem>>> {
        self.patience = self.patience.saturating_sub(1);
        if self.patience == 0 || !self.queue.take_stale().is_empty() {
            self.review(objects);
        }
        self.refusals.take_changed().map(|refused| {
            let mut problems: Vec<_> = refused.into_iter().map(problem).map(Arc::new).collect();
            problems.sort();
            problems
        })
    }

    /// Queues everything that differs.
    pub(crate) fn review(&mut self, objects: &Objects) {
        self.touched = false;
        self.patience = PATIENCE;
        if !*self.leader.borrow() {
            self.queue.clear();
            self.refusals.retain(|_| false);
            // Whoever leads next, or this one again, looks at everything.
            self.touched = true;
            return;
        }
        let mut decisions = self.decide(objects);
        for service in objects.services() {
            if infrastructure::is_left_over(service, objects, self.services.as_ref(), &self.controller) {
                decisions.push(removal(service));
            }
        }
        // Also what waits for a Gateway that is gone is forgotten.
        let targets: BTreeSet<&Target> = decisions
            .iter()
            .filter(|decision| decision.work.is_some())
            .map(|decision| &decision.target)
            .collect();
        self.queue.retain(|target| targets.contains(target));
        self.refusals.retain(|target| targets.contains(target));
        for decision in decisions {
            if let Some(work) = decision.work {
                let gateway = decision.gateway;
                self.queue.put(decision.target, Task { gateway, work });
            }
        }
    }

    /// Every object that should be, and what is to be done to it.
    fn decide(&self, objects: &Objects) -> Vec<Decision> {
        let Some(services) = &self.services else {
            return Vec::new();
        };
        let replicas = replicas::of(objects, services);
        let mut decisions = Vec::new();
        for (name, wanted) in &self.wanted.services {
            let found = objects.service(&name.namespace, &name.name);
            if found.is_some_and(|found| !difference::same_owner(wanted, found)) {
                // Not the Gateway's; translation tells.
                continue;
            }
            let gateway = gateway_of(wanted);
            decisions.push(Decision {
                target: (Kind::Service, name.clone()),
                gateway: gateway.clone(),
                work: difference::of_service(wanted, found.map(Arc::as_ref)),
            });
            let Some(found) = found else { continue };
            let backend = objects.backend(&name.namespace, &name.name);
            for slice in replicas::slices(wanted, found, &replicas) {
                let mut known = backend.iter().flat_map(|backend| &backend.slices);
                let known = known.find(|known| known.metadata.name == slice.metadata.name);
                if known.is_none() && slice.endpoints.is_empty() {
                    continue;
                }
                let own = slice.metadata.name.as_deref().unwrap_or_default();
                decisions.push(Decision {
                    target: (Kind::EndpointSlice, NamespacedName::new(&name.namespace, own)),
                    gateway: gateway.clone(),
                    work: difference::of_slice(&slice, known.map(Arc::as_ref)),
                });
            }
        }
        decisions
    }
}

/// What is to be done to an object.
struct Decision {
    target: Target,
    gateway: NamespacedName,
    /// `None`: it is as it should be.
    work: Option<Work>,
}

fn removal(service: &Service) -> Decision {
    let metadata = &service.metadata;
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let name = NamespacedName::new(&part(&metadata.namespace), &part(&metadata.name));
    Decision {
        target: (Kind::Service, name),
        gateway: gateway_of(service),
        work: Some(Work::Delete {
            uid: part(&metadata.uid),
        }),
    }
}

fn gateway_of(service: &Service) -> NamespacedName {
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let owner = infrastructure::owner(service);
    NamespacedName::new(namespace, owner.map_or("", |owner| &owner.name))
}

fn problem(((kind, name), refusal): (Target, Refusal)) -> Problem {
    Problem {
        object: ObjectRef::new("Gateway", &refusal.gateway.namespace, &refusal.gateway.name),
        field: "spec".to_owned(),
        reason: reason::SERVICE_NOT_WRITTEN,
        message: format!("{kind} {name} is refused: {}", refusal.message),
        effect: Effect::ObjectRejected,
        fix: if refusal.forbidden {
            "give the controller the rights get, create, patch and delete on services, and get, create and \
             patch on endpointslices of discovery.k8s.io"
                .to_owned()
        } else {
            String::new()
        },
    }
}
