//! Objects to snapshot: pure (no IO, no clock), total (bad input becomes a
//! [`Problem`], never an error) and deterministic.
//!
//! Three stages, each remembered by pointer so that one changed object among
//! ten thousand costs little: an Ingress by itself ([`ingress`]), the Ingresses
//! of a host ([`host`]), a Service port ([`cluster`]).

mod admit;
mod canary;
mod certificate;
mod certificates;
mod ciphers;
mod class;
mod cluster;
mod configuration;
pub mod gateway;
mod host;
mod hosts;
mod ingress;
mod ingresses;
mod inspect;
mod lookup;
mod names;
mod nearest;
mod problems;
pub mod reason;
mod services;
mod streams;
mod taken;
#[cfg(test)]
mod tests;
mod verdicts;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_snapshot::{
    ClusterKey, Endpoints, Hostname, Listener, ListenerKey, ListenerProtocol, ObjectRef, Problem, RouteTable,
    Snapshot, StreamRoute,
};

use crate::objects::{Kind, NamespacedName, Objects};
use crate::options::Options;
pub(crate) use certificate::fingerprint;
use certificates::{Certificates, Chosen};
use class::Classes;
use configuration::Configuration;
use gateway::Gateways;
use gateway::infrastructure::Infrastructure;
use gateway::status::Statuses;
use hosts::{Edits, Hosts};
use ingress::annotations::HostSnippet;
use ingresses::Ingresses;
use problems::Problems;
use services::Services;
use streams::Streams;
use taken::Taken;

use admit::Rules;
pub use admit::{Admission, Judge};
pub use ingress::snippet;
pub use verdicts::{annotations, configuration_keys};

/// The name of the one routing table that all listeners share.
pub const TABLE: &str = "ingress";

/// What a set of objects means.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// What to serve. The same `Arc` as before when nothing has changed.
    pub snapshot: Arc<Snapshot>,
    /// The Ingresses of our class, sorted: they get a status and a `Sync` event.
    pub accepted: Arc<Vec<ObjectRef>>,
    /// Those of them that the translation before did not accept, sorted.
    pub newly_accepted: Vec<ObjectRef>,
    /// What the statuses of Gateway API objects should say.
    pub gateway_api: Arc<Statuses>,
    /// The objects that Gateways should have of their own.
    pub infrastructure: Arc<Infrastructure>,
    /// The routes whose status is another than in the translation before.
    pub changed_routes: Vec<(Kind, NamespacedName)>,
    /// What is wrong, sorted.
    pub problems: Vec<Arc<Problem>>,
}

/// Translates again and again, reusing what has not changed: equal parts of
/// two snapshots of one translator are the same `Arc`.
#[derive(Debug)]
pub struct Translator {
    flags: Options,
    configuration: Configuration,
    ingresses: Ingresses,
    services: Services,
    hosts: Hosts,
    certificates: Certificates,
    gateways: Gateways,
    streams: Streams,
    /// What the admission webhook judges by.
    rules: Arc<Rules>,
    taken: Taken,
    statuses: Arc<Statuses>,
    /// The listeners of Ingresses, without Gateways.
    listeners: BTreeMap<ListenerKey, Arc<Listener>>,
    table: Arc<RouteTable>,
    snapshot: Arc<Snapshot>,
}

impl Translator {
    /// A translator that remembers nothing yet.
    pub fn new(flags: Options) -> Self {
        let configuration = Configuration::new(&flags, &Objects::new());
        let options = &configuration.options;
        let listeners = listeners(options);
        let snapshot = Snapshot {
            listeners: listeners.clone(),
            access_log: options.access_log.clone(),
            trace_export: options.trace_export.clone(),
            ocsp: options.ocsp.clone(),
            ..Snapshot::default()
        };
        Self {
            ingresses: Ingresses::new(options),
            services: Services::default(),
            hosts: Hosts::default(),
            certificates: Certificates::default(),
            gateways: Gateways::default(),
            streams: Streams::default(),
            rules: Rules::new(options),
            taken: Taken::default(),
            statuses: Arc::default(),
            listeners,
            table: Arc::default(),
            snapshot: Arc::new(snapshot),
            configuration,
            flags,
        }
    }

    /// What it translates with: the flags, and the ConfigMap of the latest
    /// translation over them.
    pub fn options(&self) -> &Options {
        &self.configuration.options
    }

    /// Takes a changed ConfigMap in.
    fn configure(&mut self, objects: &Objects) {
        if self.configuration.is_current(objects) {
            return;
        }
        let configuration = Configuration::new(&self.flags, objects);
        let changed = configuration.options != self.configuration.options;
        self.configuration = configuration;
        if changed {
            // Every Ingress is parsed anew; hosts and clusters that come out
            // equal stay the same.
            self.ingresses.reconfigure(&self.configuration.options);
            self.gateways.reconfigure();
            self.rules = Rules::new(&self.configuration.options);
            self.listeners = listeners(&self.configuration.options);
            if self.configuration.options.access_log != self.snapshot.access_log {
                let wanted = self.configuration.options.access_log.clone();
                Arc::make_mut(&mut self.snapshot).access_log = wanted;
            }
            if self.configuration.options.trace_export != self.snapshot.trace_export {
                let wanted = self.configuration.options.trace_export.clone();
                Arc::make_mut(&mut self.snapshot).trace_export = wanted;
            }
            if self.configuration.options.ocsp != self.snapshot.ocsp {
                let wanted = self.configuration.options.ocsp.clone();
                Arc::make_mut(&mut self.snapshot).ocsp = wanted;
            }
            if self.configuration.options.geoip != self.snapshot.geoip {
                let wanted = self.configuration.options.geoip.clone();
                Arc::make_mut(&mut self.snapshot).geoip = wanted;
            }
            if self.configuration.options.shutdown_timeout != self.snapshot.shutdown_timeout {
                let wanted = self.configuration.options.shutdown_timeout;
                Arc::make_mut(&mut self.snapshot).shutdown_timeout = wanted;
            }
        }
    }

    /// Translates everything.
    pub fn translate(&mut self, objects: &Objects) -> Translation {
        self.configure(objects);
        let options = &self.configuration.options;
        let mut problems = Problems::default();
        problems.extend(self.configuration.problems.iter().cloned());
        let classes = Classes::new(objects, options, &mut problems);
        let changes = self.ingresses.update(objects, &classes, options);
        problems.remember(self.ingresses.problems().iter());
        self.taken.update(&changes);

        let plain = self.ingresses.default_policies();
        let default_backend = self
            .services
            .update(objects, &changes, plain, options, &mut problems);
        problems.remember(self.services.problems().iter());
        let entries = Streams::entries(objects, options, &mut problems);
        let taken = entries.iter().map(streams::Entry::place).collect();
        let plan = self
            .gateways
            .plan(objects, &mut self.services, options, &taken, &mut problems);
        for entry in &entries {
            problems.extend(self.services.refer_stream(objects, entry, options));
        }
        self.services.finish();
        let serving = self.ingresses.special();
        let names = names::names(&serving, options, &mut problems);
        let extras = hosts::Extras {
            names: &names,
            redirect_code: options.http_redirect_code,
            server_snippet: options
                .server_snippet
                .as_deref()
                .map(|shared| HostSnippet::new(None, Some(shared))),
            tls: &options.tls,
        };
        let hosts = self
            .hosts
            .update(&changes, default_backend, self.services.renames(), &extras);
        problems.remember(self.hosts.problems().iter());
        let certificates = self.certificates.update(
            objects,
            &self.ingresses,
            (&changes, &self.hosts),
            &names,
            options,
            &mut problems,
        );
        self.streams.update(&entries, self.services.renames(), options);
        let passthrough = streams::passthrough(&serving, self.services.renames(), options);
        update_table(&mut self.table, hosts, certificates, passthrough, options);
        self.gateways.build(&plan, &self.table, options, &mut problems);
        if *self.statuses != plan.statuses {
            self.statuses = Arc::new(plan.statuses);
        }
        Translation {
            snapshot: self.assemble(),
            accepted: self.ingresses.accepted().clone(),
            newly_accepted: changes.accepted,
            gateway_api: self.statuses.clone(),
            infrastructure: plan.infrastructure,
            changed_routes: plan.changed_routes,
            problems: problems.finish(),
        }
    }

    /// Judges for the admission webhook by what the latest translation knows.
    pub fn judge(&self) -> Judge {
        Judge::new(&self.rules, self.ingresses.classes(), &self.taken)
    }

    /// Whether any Ingress was parsed with a look at this object (a ConfigMap,
    /// Secret or Service): only then can a change of it change the translation
    /// of an Ingress.
    pub fn reads(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.configuration.reads(kind, namespace, name)
            || self.gateways.reads(kind, namespace, name)
            || Streams::reads(&self.configuration.options, kind, namespace, name)
            || self.ingresses.reads(kind, namespace, name)
    }

    /// The endpoints of every cluster that stands for one Service, at a cost
    /// that does not depend on how many others there are. The keys are those
    /// of the latest [`Translator::translate`]. Empty when nothing refers to
    /// the Service.
    pub fn endpoints(
        &mut self,
        objects: &Objects,
        namespace: &str,
        service: &str,
    ) -> Vec<(ClusterKey, Endpoints)> {
        self.services
            .endpoints(objects, namespace, service, &self.configuration.options)
    }

    /// The snapshot; the one before when all its parts are the same.
    fn assemble(&mut self) -> Arc<Snapshot> {
        let (clusters, endpoints) = self.services.maps();
        let before = &self.snapshot;
        let tables = self.gateways.tables();
        let mut tables: BTreeMap<_, _> = tables
            .map(|(name, table)| (name.clone(), table.clone()))
            .collect();
        tables.insert(TABLE.into(), self.table.clone());
        tables.extend(self.streams.tables().clone());
        let listeners = self.all_listeners();
        let same_tables = before.tables.len() == tables.len()
            && tables.iter().all(|(name, table)| {
                let before = before.tables.get(name);
                before.is_some_and(|before| Arc::ptr_eq(before, table))
            });
        let same = same_tables
            && before.listeners == listeners
            && Arc::ptr_eq(&before.clusters, clusters)
            && Arc::ptr_eq(&before.endpoints, endpoints);
        if !same {
            self.snapshot = Arc::new(Snapshot {
                listeners,
                tables,
                access_log: before.access_log.clone(),
                trace_export: before.trace_export.clone(),
                ocsp: before.ocsp.clone(),
                geoip: before.geoip.clone(),
                shutdown_timeout: before.shutdown_timeout,
                clusters: clusters.clone(),
                endpoints: endpoints.clone(),
            });
        }
        self.snapshot.clone()
    }

    /// The listeners of Ingresses and Gateways; where they share a port, the
    /// Gateways' table serves both.
    fn all_listeners(&self) -> BTreeMap<ListenerKey, Arc<Listener>> {
        let mut listeners = self.listeners.clone();
        for listener in listeners.values_mut() {
            let name = protocol_name(listener.protocol);
            if self.gateways.has_table(name) {
                Arc::make_mut(listener).table = name.into();
            }
        }
        for (key, listener) in self.gateways.listeners() {
            listeners.insert(key.clone(), listener.clone());
        }
        for (key, listener) in self.streams.listeners() {
            listeners.insert(key.clone(), listener.clone());
        }
        listeners
    }
}

/// Edits the routing table of Ingresses; untouched, it stays the same `Arc`.
fn update_table(
    table: &mut Arc<RouteTable>,
    hosts: Edits,
    chosen: Chosen,
    streams: BTreeMap<Hostname, Option<Arc<StreamRoute>>>,
    options: &Options,
) {
    let same_certificates = chosen.is_same(table);
    let same_streams = streams == table.streams;
    let same_tls = table.tls == options.tls && table.reject_unknown_names == options.reject_unknown_names;
    if hosts.is_empty() && same_certificates && same_streams && same_tls {
        return;
    }
    let table = Arc::make_mut(table);
    table.tls = options.tls.clone();
    table.reject_unknown_names = options.reject_unknown_names;
    for (hostname, host) in hosts {
        match host {
            Some(host) => table.hosts.insert(hostname, host),
            None => table.hosts.remove(&hostname),
        };
    }
    if !same_certificates {
        chosen.store(table);
    }
    if !same_streams {
        table.streams = streams;
    }
}

/// The key of the Ingresses' listener that speaks a protocol.
fn protocol_name(protocol: ListenerProtocol) -> &'static str {
    match protocol {
        ListenerProtocol::Http => "http",
        ListenerProtocol::Https => "https",
        ListenerProtocol::Tcp => "tcp",
        ListenerProtocol::Udp => "udp",
    }
}

/// Translates once: what a fresh [`Translator`] gives.
pub fn translate(objects: &Objects, options: &Options) -> Translation {
    Translator::new(options.clone()).translate(objects)
}

fn listeners(options: &Options) -> BTreeMap<ListenerKey, Arc<Listener>> {
    let both = [
        (&options.http, ListenerProtocol::Http),
        (&options.https, ListenerProtocol::Https),
    ];
    let mut listeners = BTreeMap::new();
    for (settings, protocol) in both {
        let name = protocol_name(protocol);
        let Some(settings) = settings else { continue };
        let more = settings.more_addresses.iter();
        let more = more.map(|address| SocketAddr::new(*address, settings.address.port()));
        for (index, address) in std::iter::once(settings.address).chain(more).enumerate() {
            let key: ListenerKey = match index {
                0 => name.into(),
                _ => format!("{name}-{index}").into(),
            };
            let listener = Listener {
                address,
                protocol,
                proxy_protocol: settings.proxy_protocol.clone(),
                table: TABLE.into(),
                public_port: settings.public_port,
                http: options.http_settings.clone(),
            };
            listeners.insert(key, Arc::new(listener));
        }
    }
    listeners
}
