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
mod listener;
mod listener_sets;
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
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use tidegate_snapshot::{Effect, Listener, ListenerKey, ListenerProtocol, ObjectRef, Problem, RouteTable};

use super::certificates::Certificates;
use super::problems::Problems;
use super::reason;
use super::services::Services;
use crate::gateway_api::{Gateway, GatewaySpec, ParentRef};
use crate::objects::{Kind, NamespacedName, Objects};
use crate::options::{ListenerOptions, Options};
use address::{Refusal, Wish};
use attach::{Attached, Attachments};
use backend::Backends;
use backend_tls::BackendTls;
use class::Classes;
use client_certificate::{Identity, Shown};
use frontend::Frontends;
use grants::Grants;
use listener::{Owner, Protocol};
use listener_sets::ListenerSets;
use ports::{Place, Ports};
use route::Routes;
use rule::Parsed;
use status::{Address, Condition, Failure, GatewayStatus, RouteStatus, Statuses};
use surroundings::{Same, Surroundings};
use table::{Parts, Table};

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
    /// The address that each Gateway has, also while its status does not show it yet.
    addresses: BTreeMap<NamespacedName, IpAddr>,
    tables: BTreeMap<Arc<str>, Table>,
    listeners: BTreeMap<ListenerKey, Arc<Listener>>,
}

/// Everything but the tables, which need those of the Ingresses.
pub(super) struct Plan {
    ports: Ports,
    listeners: Vec<listener::Model>,
    /// Of attachments; `None`: any may have changed.
    changes: Option<attach::Changes>,
    pub(super) statuses: Statuses,
    pub(super) changed_routes: Vec<(Kind, NamespacedName)>,
}

/// A Gateway of our classes.
struct Model<'a> {
    gateway: &'a Arc<Gateway>,
    spec: &'a GatewaySpec,
    name: NamespacedName,
    refused: Option<Failure>,
    unprogrammable: Option<Failure>,
    address: Address,
}

impl Model<'_> {
    /// That routes which name no Gateway do not attach to it either.
    fn ignored(&self) -> Option<Problem> {
        let scope = self.spec.default_scope.as_deref().unwrap_or("None");
        (scope != "None").then(|| Problem {
            object: ObjectRef::new("Gateway", &self.name.namespace, &self.name.name),
            field: "spec.defaultScope".to_owned(),
            reason: reason::WITHOUT_EFFECT,
            message: "routes attach only to Gateways that they name".to_owned(),
            effect: Effect::Ignored,
            fix: "name the Gateway in the routes' `parentRefs`".to_owned(),
        })
    }

    fn own_address(&self) -> Option<(NamespacedName, IpAddr)> {
        match self.address {
            Address::Own(address) => Some((self.name.clone(), address)),
            Address::Shared | Address::None => None,
        }
    }
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
                field: "spec".to_owned(),
                reason: reason::SPEC_UNREADABLE,
                message: error.to_owned(),
                effect: Effect::ObjectRejected,
                fix: String::new(),
            });
        }
        let classes = Classes::new(api, options, problems);
        let grants = Grants::new(api);
        let gateways = models(objects, &classes, &self.addresses, options, problems);
        problems.extend(gateways.iter().filter_map(Model::ignored));
        self.addresses = gateways.iter().filter_map(Model::own_address).collect();
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
        let address = |listener: &listener::Model| {
            let own = NamespacedName::new(&listener.owner.namespace, &listener.owner.name);
            let gateway = match listener.owner.kind {
                Kind::ListenerSet => sets.parent(&own).cloned().unwrap_or(own),
                _ => own,
            };
            let model = gateways.iter().find(|model| model.name == gateway);
            model.map_or(Address::None, |model| model.address.clone())
        };
        let ports = ports::assign(&mut listeners, address, options, taken);
        for (place, indices) in &ports {
            let key = key(*place, options);
            for index in indices {
                listeners[*index].served_by = Some(key.clone());
            }
            overlap::mark(&mut listeners, indices);
        }
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
            listener_sets: sets.statuses(&listeners, &gateway_addresses(&gateways)),
            policies,
            routes: self.attachments.statuses().clone(),
        };
        Plan {
            ports,
            listeners,
            changes,
            statuses,
            changed_routes: self.attachments.changed().to_vec(),
        }
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
            let key = key(*place, options);
            let shared = shared(*place, options);
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
            tables.insert(key.clone(), table);
            if shared.is_some() {
                continue;
            }
            let protocol = match plan.listeners[indices[0]].protocol {
                Protocol::Https | Protocol::Tls => ListenerProtocol::Https,
                Protocol::Tcp => ListenerProtocol::Tcp,
                Protocol::Udp => ListenerProtocol::Udp,
                Protocol::Http | Protocol::Other => ListenerProtocol::Http,
            };
            let listener = bind(*place, protocol, &key, options);
            let known = self.listeners.get(&key).filter(|known| ***known == listener);
            let listener = known.cloned().unwrap_or_else(|| Arc::new(listener));
            bound.insert(key, listener);
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

/// The Gateways of our classes, oldest first, with their addresses.
fn models<'a>(
    objects: &'a Objects,
    classes: &Classes,
    held: &BTreeMap<NamespacedName, IpAddr>,
    options: &Options,
    problems: &mut Problems,
) -> Vec<Model<'a>> {
    let api = objects.gateway_api();
    let mut models: Vec<Model<'_>> = api
        .gateways
        .values()
        .filter_map(|gateway| {
            let spec = gateway.spec.as_ref().ok()?;
            classes
                .accepted
                .contains(&spec.gateway_class_name)
                .then(|| Model {
                    gateway,
                    spec,
                    name: NamespacedName::new(
                        gateway.metadata.namespace.as_deref().unwrap_or_default(),
                        gateway.metadata.name.as_deref().unwrap_or_default(),
                    ),
                    refused: refused(spec),
                    unprogrammable: None,
                    address: Address::None,
                })
        })
        .collect();
    models.sort_by(|a, b| (a.gateway.created(), &a.name).cmp(&(b.gateway.created(), &b.name)));
    let wishes: Vec<Wish<'_>> = models
        .iter()
        .map(|model| Wish {
            asked: &model.spec.addresses,
            shown: shown(objects, &model.name),
            held: held.get(&model.name).copied(),
        })
        .collect();
    let addresses = address::assign(&wishes, &options.gateway_addresses);
    for (model, address) in models.iter_mut().zip(addresses) {
        match address {
            Ok(address) if model.refused.is_none() => model.address = address,
            Ok(_) => {}
            Err(Refusal::Unsupported(failure)) => model.refused = model.refused.take().or(Some(failure)),
            Err(Refusal::Unusable(failure)) => model.unprogrammable = Some(failure),
        }
        for failure in model.refused.iter().chain(&model.unprogrammable) {
            problems.push(Problem {
                object: ObjectRef::new("Gateway", &model.name.namespace, &model.name.name),
                field: "spec".to_owned(),
                reason: reason::GATEWAY_NOT_SERVED,
                message: failure.message.clone(),
                effect: Effect::ObjectRejected,
                fix: String::new(),
            });
        }
    }
    models
}

/// What a Gateway asks for that is not supported: it is not served then, rather
/// than served without.
fn refused(spec: &GatewaySpec) -> Option<Failure> {
    let parameters = spec
        .infrastructure
        .as_ref()
        .and_then(|wish| wish.parameters_ref.as_ref());
    if parameters.is_some() {
        let message = "parameters mean nothing here: remove `spec.infrastructure.parametersRef`";
        return Some(Failure::new("InvalidParameters", message));
    }
    None
}

/// The addresses that the status of a Gateway shows.
fn shown(objects: &Objects, name: &NamespacedName) -> Vec<IpAddr> {
    let status = objects.gateway_api().gateways.status(&name.namespace, &name.name);
    let status = status.map(|status| status.value());
    let addresses = status
        .as_ref()
        .and_then(|status| status.get("addresses")?.as_array());
    let values = addresses
        .into_iter()
        .flatten()
        .filter_map(|address| address.get("value")?.as_str());
    values.filter_map(|value| value.parse().ok()).collect()
}

fn gateway_addresses(gateways: &[Model<'_>]) -> BTreeMap<NamespacedName, Address> {
    let pairs = gateways
        .iter()
        .map(|model| (model.name.clone(), model.address.clone()));
    pairs.collect()
}

/// The Ingresses' listener of a place, if they have it too.
fn shared(place: Place, options: &Options) -> Option<(&'static str, &ListenerOptions)> {
    if place.address.is_some() || place.datagrams {
        return None;
    }
    let both = [("http", &options.http), ("https", &options.https)];
    both.into_iter().find_map(|(name, own)| {
        let own = own.as_ref()?;
        (own.public_port == place.port).then_some((name, own))
    })
}

fn key(place: Place, options: &Options) -> ListenerKey {
    if let Some((name, _)) = shared(place, options) {
        return name.into();
    }
    let Place { address, port, .. } = place;
    let at = match address {
        Some(address) => SocketAddr::new(address, port).to_string(),
        None => format!("*:{port}"),
    };
    let kind = if place.datagrams { "/udp" } else { "" };
    format!("gateway/{at}{kind}").into()
}

/// The listener of a place. PROXY protocol is the whole process's affair: the
/// same load balancer stands in front of all its ports.
fn bind(place: Place, protocol: ListenerProtocol, key: &ListenerKey, options: &Options) -> Listener {
    let any = options.http.as_ref().or(options.https.as_ref());
    let Place { address, port, .. } = place;
    let process = any.map_or(IpAddr::from([0, 0, 0, 0]), |any| any.address.ip());
    Listener {
        address: SocketAddr::new(address.unwrap_or(process), port),
        protocol,
        proxy_protocol: any
            .filter(|_| !place.datagrams)
            .and_then(|any| any.proxy_protocol.clone()),
        table: key.clone(),
        public_port: port,
        http: options.http_settings.clone(),
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
