//! Objects to snapshot: pure (no IO, no clock), total (bad input becomes a
//! [`Problem`], never an error) and deterministic.
//!
//! Three stages, each remembered by pointer so that one changed object among
//! ten thousand costs little: an Ingress by itself ([`ingress`]), the Ingresses
//! of a host ([`host`]), a Service port ([`cluster`]).

mod canary;
mod certificate;
mod certificates;
mod class;
mod cluster;
mod configuration;
mod host;
mod hosts;
mod ingress;
mod ingresses;
mod lookup;
mod nearest;
pub mod reason;
mod services;
#[cfg(test)]
mod tests;
mod verdicts;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_snapshot::{
    ClusterKey, Endpoints, Hostname, Listener, ListenerKey, ListenerProtocol, ObjectRef, Problem, RouteTable,
    Snapshot, VirtualHost,
};

use crate::objects::{Kind, Objects};
use crate::options::Options;
pub(crate) use certificate::fingerprint;
use certificates::{Certificates, Chosen};
use class::Classes;
use configuration::Configuration;
use hosts::Hosts;
use ingresses::Ingresses;
use services::Services;

pub use verdicts::{annotations, configuration_keys};

/// The name of the one routing table that all listeners share.
pub const TABLE: &str = "ingress";

/// What a set of objects means.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// What to serve. The same `Arc` as before when nothing has changed.
    pub snapshot: Arc<Snapshot>,
    /// The Ingresses of our class, sorted: they get a status and a `Sync` event.
    pub accepted: Vec<ObjectRef>,
    /// What is wrong, sorted.
    pub problems: Vec<Problem>,
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
    table: Arc<RouteTable>,
    snapshot: Arc<Snapshot>,
}

impl Translator {
    /// A translator that remembers nothing yet.
    pub fn new(flags: Options) -> Self {
        let configuration = Configuration::new(&flags, &Objects::new());
        let options = &configuration.options;
        let snapshot = Snapshot {
            listeners: listeners(options),
            ..Snapshot::default()
        };
        Self {
            ingresses: Ingresses::new(options),
            services: Services::default(),
            hosts: Hosts::default(),
            certificates: Certificates::default(),
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
            self.ingresses = Ingresses::new(&self.configuration.options);
            let wanted = listeners(&self.configuration.options);
            if wanted != self.snapshot.listeners {
                Arc::make_mut(&mut self.snapshot).listeners = wanted;
            }
        }
    }

    /// Translates everything.
    pub fn translate(&mut self, objects: &Objects) -> Translation {
        self.configure(objects);
        let options = &self.configuration.options;
        let mut problems = self.configuration.problems.clone();
        let classes = Classes::new(objects, options, &mut problems);
        let models = self.ingresses.update(objects, &classes, options, &mut problems);
        let mut accepted: Vec<_> = models
            .iter()
            .filter(|model| !model.rejected)
            .map(|model| model.object.clone())
            .collect();
        accepted.sort();
        let mut usable = models;
        usable.retain(|model| !model.rejected);
        let mut serving = usable.clone();
        serving.retain(|model| model.serves());

        let plain = self.ingresses.default_policies();
        let default_backend = self
            .services
            .update(objects, &usable, &plain, options, &mut problems);
        let hosts = self
            .hosts
            .update(&usable, default_backend, self.services.renames(), &mut problems);
        let certificates = self
            .certificates
            .update(objects, &serving, options, &mut problems);
        self.update_table(hosts, certificates);
        problems.sort();
        problems.dedup();
        Translation {
            snapshot: self.assemble(),
            accepted,
            problems,
        }
    }

    /// Whether any Ingress was parsed with a look at this object (a ConfigMap,
    /// Secret or Service): only then can a change of it change the translation
    /// of an Ingress.
    pub fn reads(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.configuration.reads(kind, namespace, name) || self.ingresses.reads(kind, namespace, name)
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

    /// Edits the routing table; untouched, it stays the same `Arc`.
    fn update_table(&mut self, hosts: Vec<(Hostname, Option<Arc<VirtualHost>>)>, chosen: Chosen) {
        let same_certificates = chosen.is_same(&self.table);
        if hosts.is_empty() && same_certificates {
            return;
        }
        let table = Arc::make_mut(&mut self.table);
        for (hostname, host) in hosts {
            match host {
                Some(host) => table.hosts.insert(hostname, host),
                None => table.hosts.remove(&hostname),
            };
        }
        if !same_certificates {
            chosen.store(table);
        }
    }

    /// The snapshot; the one before when all its parts are the same.
    fn assemble(&mut self) -> Arc<Snapshot> {
        let (clusters, endpoints) = self.services.maps();
        let before = &self.snapshot;
        let same_table = before
            .tables
            .get(TABLE)
            .is_some_and(|table| Arc::ptr_eq(table, &self.table));
        let same = same_table
            && Arc::ptr_eq(&before.clusters, clusters)
            && Arc::ptr_eq(&before.endpoints, endpoints);
        if !same {
            self.snapshot = Arc::new(Snapshot {
                listeners: before.listeners.clone(),
                tables: BTreeMap::from([(Arc::from(TABLE), self.table.clone())]),
                clusters: clusters.clone(),
                endpoints: endpoints.clone(),
            });
        }
        self.snapshot.clone()
    }
}

/// Translates once: what a fresh [`Translator`] gives.
pub fn translate(objects: &Objects, options: &Options) -> Translation {
    Translator::new(options.clone()).translate(objects)
}

fn listeners(options: &Options) -> BTreeMap<ListenerKey, Arc<Listener>> {
    let both = [
        ("http", &options.http, ListenerProtocol::Http),
        ("https", &options.https, ListenerProtocol::Https),
    ];
    let mut listeners = BTreeMap::new();
    for (name, settings, protocol) in both {
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
