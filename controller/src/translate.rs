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
mod host;
mod hosts;
mod ingress;
mod ingresses;
mod lookup;
pub mod reason;
mod services;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
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
use hosts::Hosts;
use ingresses::Ingresses;
use services::Services;

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
    options: Options,
    ingresses: Ingresses,
    services: Services,
    hosts: Hosts,
    certificates: Certificates,
    table: Arc<RouteTable>,
    snapshot: Arc<Snapshot>,
}

impl Translator {
    /// A translator that remembers nothing yet.
    pub fn new(options: Options) -> Self {
        let snapshot = Snapshot {
            listeners: listeners(&options),
            ..Snapshot::default()
        };
        Self {
            ingresses: Ingresses::new(&options),
            services: Services::default(),
            hosts: Hosts::default(),
            certificates: Certificates::default(),
            table: Arc::default(),
            snapshot: Arc::new(snapshot),
            options,
        }
    }

    /// What it translates with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Translates everything.
    pub fn translate(&mut self, objects: &Objects) -> Translation {
        let options = &self.options;
        let mut problems = Vec::new();
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
            .update(objects, &usable, plain, options, &mut problems);
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
        self.ingresses.reads(kind, namespace, name)
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
            .endpoints(objects, namespace, service, &self.options)
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
    let listener = |(name, settings, protocol): (&str, &Option<_>, _)| {
        let settings: &crate::options::ListenerOptions = settings.as_ref()?;
        let listener = Listener {
            address: settings.address,
            protocol,
            proxy_protocol: settings.proxy_protocol.clone(),
            table: TABLE.into(),
            public_port: settings.public_port,
            http: options.http_settings.clone(),
        };
        Some((ListenerKey::from(name), Arc::new(listener)))
    };
    both.into_iter().filter_map(listener).collect()
}
