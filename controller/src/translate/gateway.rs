//! Gateway API to listeners, routing tables and statuses
//! (`gateway.networking.k8s.io`, v1.6).
//!
//! Classes and addresses first; then every listener by itself, and who has
//! which port; then every route by itself, and where it attaches; last the table
//! of each port. Texts in quotation marks are the specification's.

mod address;
mod attach;
mod backend;
mod backend_tls;
mod class;
mod client_certificate;
mod contest;
mod features;
mod filter;
mod frontend;
mod grants;
mod hostname;
pub mod infrastructure;
mod listener;
mod listener_sets;
mod model;
mod namespaces;
mod overlap;
mod ports;
mod route;
mod rule;
mod session;
pub mod status;
mod stream;
mod surroundings;
mod table;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use tidegate_snapshot::{Effect, Listener, ListenerKey, ListenerProtocol, ObjectRef, Problem, RouteTable};

use super::certificates::Certificates;
use super::problems::Problems;
use super::reason;
use super::services::Services;
use crate::gateway_api::ParentRef;
use crate::objects::{Kind, NamespacedName, Objects};
use crate::options::Options;
use attach::{Attached, Attachments};
use backend::Backends;
use backend_tls::BackendTls;
use class::Classes;
use client_certificate::{Identity, Shown};
use frontend::Frontends;
use grants::Grants;
use infrastructure::{Infrastructure, Owned};
use listener::{Owner, Protocol};
use listener_sets::ListenerSets;
use model::{Held, Model, models};
use ports::Ports;
use route::Routes;
use rule::Parsed;
use status::{Condition, Failure, GatewayStatus, RouteStatus, Statuses};
use surroundings::{Same, Surroundings};
use table::{Parts, Table};
use targets::Targets;

/// The value of `GatewayClass.spec.controllerName` that is ours.
pub const CONTROLLER_NAME: &str = "tidegate.dev/gateway";

/// Remembers what Gateways, routes and Secrets came to.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    routes: Routes,
    secrets: Certificates,
    /// Those that policies name.
    config_maps: HashSet<NamespacedName>,
    /// What routes were judged with; `None`: nothing is known of that.
    surroundings: Option<Surroundings>,
    /// The Services of the latest update, if there were routes before it.
    known_services: Option<Same<Service>>,
    attachments: Attachments,
    /// The addresses that each Gateway has, also while its status does not show them yet.
    addresses: Held,
    /// The ports of replicas that each Gateway has, also while its Service does not
    /// say so yet.
    targets: BTreeMap<NamespacedName, Targets>,
    infrastructure: Arc<Infrastructure>,
    tables: BTreeMap<Arc<str>, Table>,
    listeners: BTreeMap<ListenerKey, Arc<Listener>>,
}

/// Everything but the tables, which need those of the Ingresses.
pub(super) struct Plan {
    ports: Ports,
    /// The ports of replicas that Services lead to.
    targets: BTreeMap<NamespacedName, Targets>,
    listeners: Vec<listener::Model>,
    /// Of attachments; `None`: any may have changed.
    changes: Option<attach::Changes>,
    pub(super) statuses: Statuses,
    pub(super) infrastructure: Arc<Infrastructure>,
    pub(super) changed_routes: Vec<(Kind, NamespacedName)>,
}

impl Gateways {
    /// Judges all objects and refers to the Services that routes name. `taken` are
    /// the ports of TCP and (`true`) UDP that something else has.
    pub(super) fn plan(
        &mut self,
        objects: &Objects,
        services: &mut Services,
        options: &Options,
        taken: &BTreeSet<(u16, bool)>,
        problems: &mut Problems,
    ) -> Plan {
        let api = objects.gateway_api();
        for (object, error) in api.unreadable() {
            problems.push(Problem {
                object,
                field: error.path.to_string(),
                reason: reason::SPEC_UNREADABLE,
                message: error.reason.clone(),
                effect: Effect::ObjectRejected,
                fix: String::new(),
            });
        }
        let classes = Classes::new(api, options, problems);
        let grants = Grants::new(api);
        let mut gateways = models(objects, &classes, &self.addresses, options, problems);
        problems.extend(gateways.iter().filter_map(Model::ignored));
        self.addresses = gateways.iter().filter_map(Model::own_addresses).collect();
        let sets = ListenerSets::new(objects, |namespace, name| {
            let found = gateways
                .iter()
                .find(|model| *model.name.namespace == *namespace && *model.name.name == *name);
            found.map(|model| (model.spec, model.refused.is_none()))
        });

        self.secrets.begin();
        self.config_maps.clear();
        let mut frontends = Frontends {
            objects,
            grants: &grants,
            reads: &mut self.config_maps,
        };
        let mut listeners = Vec::new();
        let mut shown = BTreeMap::new();
        for model in &gateways {
            let certificate =
                client_certificate::shown(&model.name, model.spec, objects, &grants, &mut self.secrets);
            if let Some(certificate) = certificate {
                shown.insert(model.name.clone(), certificate);
            }
            let mut add = |owner: &Owner, specs: &[crate::gateway_api::Listener]| {
                listeners.extend(specs.iter().map(|spec| {
                    let mut listener =
                        listener::Model::new(spec, owner.clone(), objects, &grants, &mut self.secrets);
                    if listener.protocol == Protocol::Https {
                        frontends.demand(&model.name, model.spec, &mut listener);
                    }
                    listener
                }));
            };
            add(&owner(Kind::Gateway, &model.name), &model.spec.listeners);
            for set in sets.of(&model.name) {
                add(&owner(Kind::ListenerSet, &set.name), set.listeners());
            }
        }
        self.secrets.finish();
        let gateway_of = |listener: &listener::Model| {
            let own = NamespacedName::new(&listener.owner.namespace, &listener.owner.name);
            match listener.owner.kind {
                Kind::ListenerSet => sets.parent(&own).cloned().unwrap_or(own),
                _ => own,
            }
        };
        let at = |listener: &listener::Model| {
            let gateway = gateway_of(listener);
            gateways.iter().find(|model| model.name == gateway)?.at()
        };
        let ports = ports::assign(&mut listeners, at, options, taken);
        for (place, indices) in &ports {
            let keys = place.keys(options);
            for index in indices {
                listeners[*index].served_by.clone_from(&keys);
            }
            overlap::mark(&mut listeners, indices);
        }
        let named = listeners.iter().map(|listener| (gateway_of(listener), listener));
        let targets = self.own_services(&mut gateways, named, objects, options, taken, problems);
        let is_ours = |kind: Kind, namespace: &str, name: &str| match kind {
            Kind::Gateway => gateways
                .iter()
                .any(|model| *model.name.namespace == *namespace && *model.name.name == *name),
            _ => sets.knows(namespace, name),
        };
        let tls = Arc::new(BackendTls::new(objects, &mut self.config_maps));
        let shown = Arc::new(shown);
        let surroundings = Surroundings::new(objects, tls.clone(), shown.clone());
        let anew = self.surroundings.as_ref() != Some(&surroundings);
        self.surroundings = Some(surroundings);
        // Without a route nothing was led to a Service.
        let known_services = (!self.routes.is_empty()).then(|| Same::of(objects.services()));
        let same_services = self.known_services == known_services;
        self.known_services = known_services;
        let backends = Backends {
            same_services,
            tls: &tls,
            identity: None,
            policies: BTreeSet::new(),
            uses: Vec::new(),
            objects,
            grants: &grants,
            services,
            options,
        };
        let parent = |kind: Kind, name: NamespacedName| match kind {
            Kind::ListenerSet => sets.parent(&name).cloned().unwrap_or(name),
            _ => name,
        };
        self.routes.begin(anew);
        self.refer(objects, backends, |route, parents| {
            client_certificate::of_route(route, parents, &shown, is_ours, parent)
        });
        let changes = self.attach(anew, |route, lost| {
            attach::attach(route, lost, &listeners, is_ours, objects)
        });
        self.attachments.tell(&mut listeners, problems);
        complain(&listeners, problems);
        let policies = tls.statuses(&ancestors(self.attachments.list(), &listeners, &sets), problems);
        let addresses = gateways
            .iter()
            .map(|model| (model.name.clone(), model.address.clone()))
            .collect();
        let statuses = Statuses {
            classes: classes.statuses,
            gateways: gateways
                .iter()
                .map(|model| {
                    let attached = sets
                        .of(&model.name)
                        .filter(|set| set.is_accepted(&listeners))
                        .count();
                    let shown = shown.get(&model.name);
                    (
                        model.name.clone(),
                        gateway_status(model, shown, &listeners, attached),
                    )
                })
                .collect(),
            listener_sets: sets.statuses(&listeners, &addresses),
            policies,
            routes: self.attachments.statuses().clone(),
        };
        Plan {
            ports,
            targets,
            listeners,
            changes,
            statuses,
            infrastructure: self.infrastructure.clone(),
            changed_routes: self.attachments.changed().to_vec(),
        }
    }

    /// Plans the Services of Gateways; what each leads to already.
    fn own_services<'a>(
        &mut self,
        gateways: &mut [Model<'_>],
        listeners: impl Iterator<Item = (NamespacedName, &'a listener::Model)>,
        objects: &Objects,
        options: &Options,
        taken: &BTreeSet<(u16, bool)>,
        problems: &mut Problems,
    ) -> BTreeMap<NamespacedName, Targets> {
        let Some(services) = &options.gateway_services else {
            return BTreeMap::new();
        };
        let process = [&options.http, &options.https].into_iter().flatten();
        let unusable = process
            .map(|own| own.address.port())
            .chain(options.reserved_ports.iter().copied())
            .chain(taken.iter().map(|(port, _)| *port))
            .collect();
        let owned: Vec<Owned<'_>> = gateways.iter().filter_map(Model::owned).collect();
        let scene = infrastructure::Scene {
            objects,
            services,
            controller: &options.gateway_controller,
            unusable,
        };
        let plan = infrastructure::plan(&owned, listeners, &self.targets, scene);
        for name in &plan.lacking {
            let message = "the range of gatewayApi.services.ports is used up: make it larger";
            if let Some(model) = gateways.iter_mut().find(|model| model.name == *name) {
                model.fail(Failure::new("NoResources", message), problems);
            }
        }
        self.targets = plan.granted;
        if *self.infrastructure != plan.wanted {
            self.infrastructure = Arc::new(plan.wanted);
        }
        plan.bound
    }

    /// Takes in all routes.
    fn refer(
        &mut self,
        objects: &Objects,
        mut backends: Backends<'_>,
        identity: impl Fn(&str, &[Arc<ParentRef>]) -> Option<Identity>,
    ) {
        let api = objects.gateway_api();
        let (routes, backends) = (&mut self.routes, &mut backends);
        for object in api.http_routes.values() {
            routes.update(object, Parsed::http, &identity, backends);
        }
        for object in api.grpc_routes.values() {
            routes.update(object, Parsed::grpc, &identity, backends);
        }
        for object in api.tls_routes.values() {
            routes.update(object, Parsed::stream, &identity, backends);
        }
        for object in api.tcp_routes.values() {
            routes.update(object, Parsed::stream, &identity, backends);
        }
        for object in api.udp_routes.values() {
            routes.update(object, Parsed::stream, &identity, backends);
        }
    }

    /// Attaches the routes that have changed, or all of them.
    fn attach(
        &mut self,
        anew: bool,
        attach: impl Fn(&Arc<route::Model>, &attach::Lost) -> Option<(RouteStatus, Attached)>,
    ) -> Option<attach::Changes> {
        let mut changes = self.routes.finish();
        if anew {
            let known = self.attachments.list().iter();
            changes.gone = known.map(|attached| attached.route.clone()).collect();
            changes.new = self.routes.models().cloned().collect();
        }
        let changes = self.attachments.update(changes, attach);
        (!anew).then_some(changes)
    }

    /// Builds the tables. Where Ingresses have the port too, `ingress` is their
    /// table.
    pub(super) fn build(
        &mut self,
        plan: &Plan,
        ingress: &Arc<RouteTable>,
        options: &Options,
        problems: &mut Problems,
    ) {
        let mut tables = BTreeMap::new();
        let mut bound = BTreeMap::new();
        for (place, indices) in &plan.ports {
            let key = place.keys(options).swap_remove(0);
            let shared = place.shared(options);
            let parts = Parts {
                port: indices,
                listeners: &plan.listeners,
                attached: &self.attachments,
                ingress: shared.map(|_| ingress),
                options,
            };
            let known = self.tables.remove(&key);
            // A new one knows of no changes.
            let changes = plan.changes.as_ref().filter(|_| known.is_some());
            let mut table = known.unwrap_or_default();
            table.update(&parts, changes, problems);
            tables.insert(key, table);
            if shared.is_some() {
                continue;
            }
            let protocol = match plan.listeners[indices[0]].protocol {
                Protocol::Https | Protocol::Tls => ListenerProtocol::Https,
                Protocol::Tcp => ListenerProtocol::Tcp,
                Protocol::Udp => ListenerProtocol::Udp,
                Protocol::Http | Protocol::Other => ListenerProtocol::Http,
            };
            for (key, listener) in place.listeners(protocol, &plan.targets, options) {
                let known = self.listeners.get(&key).filter(|known| ***known == listener);
                let listener = known.cloned().unwrap_or_else(|| Arc::new(listener));
                bound.insert(key, listener);
            }
        }
        self.tables = tables;
        self.listeners = bound;
    }

    /// Options have changed: everything is judged anew.
    pub(super) fn reconfigure(&mut self) {
        self.surroundings = None;
    }

    /// Whether a policy names this ConfigMap.
    pub(super) fn reads(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        kind == Kind::ConfigMap && self.config_maps.contains(&NamespacedName::new(namespace, name))
    }

    /// The tables that listeners of [`Gateways::listeners`] refer to.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<RouteTable>)> {
        self.tables.iter().map(|(name, table)| (name, table.table()))
    }

    /// Whether [`Gateways::tables`] has one of this name.
    pub(super) fn has_table(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// The ports that Gateways have and Ingresses have not.
    pub(super) fn listeners(&self) -> &BTreeMap<ListenerKey, Arc<Listener>> {
        &self.listeners
    }
}

/// The Gateways that come across each BackendTLSPolicy by their routes.
fn ancestors(
    attached: &[Arc<Attached>],
    listeners: &[listener::Model],
    sets: &ListenerSets<'_>,
) -> BTreeMap<NamespacedName, Vec<NamespacedName>> {
    let mut ancestors: BTreeMap<NamespacedName, BTreeSet<NamespacedName>> = BTreeMap::new();
    let served = attached
        .iter()
        .filter(|attached| !attached.route.policies.is_empty());
    for attached in served {
        for place in &attached.places {
            let owner = &listeners[place.listener].owner;
            let own = NamespacedName::new(&owner.namespace, &owner.name);
            let gateway = match owner.kind {
                Kind::ListenerSet => sets.parent(&own).cloned().unwrap_or(own),
                _ => own,
            };
            for policy in &attached.route.policies {
                ancestors
                    .entry(policy.clone())
                    .or_default()
                    .insert(gateway.clone());
            }
        }
    }
    let lists = ancestors
        .into_iter()
        .map(|(policy, gateways)| (policy, gateways.into_iter().collect()));
    lists.collect()
}

fn owner(kind: Kind, name: &NamespacedName) -> Owner {
    Owner {
        kind,
        namespace: name.namespace.clone(),
        name: name.name.clone(),
    }
}

fn gateway_status(
    model: &Model<'_>,
    shown: Option<&Shown>,
    listeners: &[listener::Model],
    attached_sets: usize,
) -> GatewayStatus {
    let own = owner(Kind::Gateway, &model.name);
    let own: Vec<&listener::Model> = listeners
        .iter()
        .filter(|listener| listener.owner == own)
        .collect();
    let mut conditions = vec![match &model.refused {
        Some(failure) => Condition::fails("Accepted", failure.reason, failure.message.clone()),
        None => accepted(&own),
    }];
    if let Some(shown) = shown {
        let failure = shown.as_ref().err();
        conditions.push(Condition::unless("ResolvedRefs", "ResolvedRefs", failure));
    }
    if frontend::is_insecure(model.spec) {
        conditions.push(Condition::holds(
            "InsecureFrontendValidationMode",
            "ConfigurationChanged",
        ));
    }
    GatewayStatus {
        generation: model.gateway.generation(),
        conditions,
        unprogrammable: model.unprogrammable.clone(),
        address: model.address.clone(),
        attached_sets,
        listeners: own.iter().map(|listener| listener.status()).collect(),
    }
}

/// "This condition is true when the controller managing the Gateway is
/// syntactically and semantically valid enough to produce some configuration";
/// `ListenersNotValid` "may be used ... when one or more Listeners have an
/// invalid or unsupported configuration", True as long as one has not.
fn accepted(listeners: &[&listener::Model]) -> Condition {
    let invalid = |listener: &&&listener::Model| listener.refused.is_some() || listener.conflict.is_some();
    let broken = listeners.iter().filter(invalid).count();
    let message = format!("{broken} of {} listeners are not valid", listeners.len());
    match broken {
        0 => Condition::holds("Accepted", "Accepted"),
        all if all == listeners.len() => Condition::fails("Accepted", "ListenersNotValid", message),
        _ => Condition {
            status: true,
            ..Condition::fails("Accepted", "ListenersNotValid", message)
        },
    }
}

fn complain(listeners: &[listener::Model], problems: &mut Problems) {
    for listener in listeners {
        let owner = &listener.owner;
        if let Some(message) = listener.ignored() {
            problems.push(Problem {
                object: ObjectRef::new(owner.kind.as_str(), &owner.namespace, &owner.name),
                field: format!("spec.listeners[name={}].tls.options", listener.name),
                reason: reason::WITHOUT_EFFECT,
                message,
                effect: Effect::Ignored,
                fix: "remove them; the protocols and ciphers of all listeners are set in the ConfigMap"
                    .to_owned(),
            });
        }
        for failure in [&listener.refused, &listener.conflict, &listener.unresolved]
            .into_iter()
            .flatten()
        {
            problems.push(Problem {
                object: ObjectRef::new(owner.kind.as_str(), &owner.namespace, &owner.name),
                field: format!("spec.listeners[name={}]", listener.name),
                reason: reason::LISTENER_NOT_VALID,
                message: failure.message.clone(),
                effect: if listener.wants_port() {
                    Effect::Ignored
                } else {
                    Effect::ObjectRejected
                },
                fix: String::new(),
            });
        }
    }
}
