//! The routing table of one port.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidegate_snapshot::{
    Certificate, ClientAuth, Effect, Hostname, ObjectRef, Problem, RouteTable, VirtualHost,
};

use super::attach::{Attached, Attachments, Changes};
use super::hostname::{self, covering, covers};
use super::listener::{Model, Protocol};
use super::{reason, route, stream};
use crate::options::Options;
use crate::translate::problems::Problems;

/// The routes of each host of one listener, the oldest first.
type ByHost = HashMap<Hostname, Vec<Arc<route::Model>>>;

/// The table of the listeners on one port, brought up to date with every
/// translation: only hosts whose routes have changed are built again.
///
/// A request belongs to the listener with the most specific host name that
/// covers it, and sees that one's routes alone ("Listener Isolation"). Within
/// it, routes with the largest number of "Characters in a matching non-wildcard
/// hostname", then of "Characters in a matching hostname" come first, but if none
/// of their rules matches, less specific names are tried: so each host lists the
/// routes of all names that cover it, in that order.
#[derive(Debug, Default)]
pub(super) struct Table {
    basis: Basis,
    by_listener: BTreeMap<usize, ByHost>,
    /// Hosts that an Ingress has.
    taken: HashMap<Hostname, Arc<Problem>>,
    table: Arc<RouteTable>,
}

/// What every host of a table depends on.
#[derive(Debug, Default)]
struct Basis {
    listeners: Vec<(usize, Hostname, Option<Arc<ClientAuth>>)>,
    ingress: Option<Arc<RouteTable>>,
}

impl Basis {
    fn is_same(&self, other: &Self) -> bool {
        self.listeners == other.listeners
            && match (&self.ingress, &other.ingress) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            }
    }
}

/// What the table of a port is made of.
pub(super) struct Parts<'a> {
    /// Indices of its listeners.
    pub(super) port: &'a [usize],
    pub(super) listeners: &'a [Model],
    pub(super) attached: &'a Attachments,
    /// The table of the Ingresses on that port: the result serves both.
    pub(super) ingress: Option<&'a Arc<RouteTable>>,
    pub(super) options: &'a Options,
}

impl Parts<'_> {
    fn basis(&self) -> Basis {
        let of = |index: &usize| {
            let listener = &self.listeners[*index];
            (*index, listener.hostname.clone(), listener.client_auth.clone())
        };
        Basis {
            listeners: self.port.iter().map(of).collect(),
            ingress: self.ingress.cloned(),
        }
    }
}

impl Table {
    /// The table, as of the latest update.
    pub(super) fn table(&self) -> &Arc<RouteTable> {
        &self.table
    }

    /// Takes in what has changed; `None`: anything may have.
    pub(super) fn update(&mut self, parts: &Parts<'_>, changes: Option<&Changes>, problems: &mut Problems) {
        let basis = parts.basis();
        let changes = changes.filter(|_| basis.is_same(&self.basis));
        let (touched, before) = match changes {
            Some(changes) => (self.follow(changes), Some(&self.table)),
            None => {
                self.basis = basis;
                (self.begin(parts), parts.ingress)
            }
        };
        let mut table = RouteTable {
            hosts: before.map(|table| table.hosts.clone()).unwrap_or_default(),
            tls: parts.options.tls.clone(),
            ..RouteTable::default()
        };
        self.hosts(parts, &touched, &mut table);
        problems.extend(self.taken.values().cloned());
        match parts.ingress {
            Some(ingress) => {
                table.certificates = ingress.certificates.clone();
                table.streams = ingress.streams.clone();
                table.reject_unknown_names = ingress.reject_unknown_names;
            }
            None => table.listeners = told_apart(&self.by_listener, parts.listeners),
        }
        stream::add(&mut table, parts, problems);
        for index in parts.port {
            certificates(&parts.listeners[*index], &mut table, parts.ingress);
        }
        if *self.table != table {
            self.table = Arc::new(table);
        }
    }

    /// Groups all routes anew. The hosts that there are then.
    fn begin(&mut self, parts: &Parts<'_>) -> Touched {
        let http = parts.port.iter();
        let http = http.filter(|index| !parts.listeners[**index].protocol.is_stream());
        self.by_listener = http
            .map(|index| {
                let own = (parts.listeners[*index].hostname.clone(), Vec::new());
                (*index, HashMap::from([own]))
            })
            .collect();
        self.taken.clear();
        for attached in parts.attached.list() {
            self.add(attached);
        }
        let hosts = self.by_listener.iter();
        hosts
            .flat_map(|(listener, hosts)| hosts.keys().map(|hostname| (*listener, hostname.clone())))
            .collect()
    }

    /// Groups what has changed. The hosts that this concerns: a name that stands for
    /// many gives its routes to every host that it covers.
    fn follow(&mut self, changes: &Changes) -> Touched {
        let mut touched = Touched::new();
        for attached in &changes.gone {
            for (listener, hostname) in places(attached) {
                let Some(hosts) = self.by_listener.get_mut(&listener) else {
                    continue;
                };
                if let Some(models) = hosts.get_mut(hostname) {
                    models.retain(|model| !Arc::ptr_eq(model, &attached.route));
                }
                touch(&mut touched, listener, hostname, hosts);
            }
        }
        for attached in &changes.new {
            self.add(attached);
            for (listener, hostname) in places(attached) {
                if let Some(hosts) = self.by_listener.get(&listener) {
                    touch(&mut touched, listener, hostname, hosts);
                }
            }
        }
        touched
    }

    fn add(&mut self, attached: &Attached) {
        let route = &attached.route;
        for (listener, hostname) in places(attached) {
            if let Some(hosts) = self.by_listener.get_mut(&listener) {
                let models = hosts.entry(hostname.clone()).or_default();
                let at = models.partition_point(|other| other.seniority() <= route.seniority());
                models.insert(at, route.clone());
            }
        }
    }

    /// Builds hosts again.
    fn hosts(&mut self, parts: &Parts<'_>, touched: &Touched, table: &mut RouteTable) {
        let owners = Owners::new(parts);
        for (index, hostname) in touched {
            let listener = &parts.listeners[*index];
            let Some(hosts) = self.by_listener.get_mut(index) else {
                continue;
            };
            if *hostname != listener.hostname && hosts.get(hostname).is_some_and(Vec::is_empty) {
                hosts.remove(hostname);
            }
            let names = covering(hostname);
            if owners.owner(&names) != Some(*index) {
                continue;
            }
            let built = hosts.contains_key(hostname).then(|| VirtualHost {
                client_auth: listener.client_auth.clone(),
                ..host(hostname, &names, hosts)
            });
            self.insert(hostname, built, table);
        }
    }

    /// On a port that Ingresses have too, a host that an Ingress names is the
    /// Ingress's, whole; hosts that nobody names are a listener's without host name,
    /// unless an Ingress has rules or a default backend for them.
    fn insert(&mut self, hostname: &Hostname, host: Option<VirtualHost>, table: &mut RouteTable) {
        self.taken.remove(hostname);
        let ingress = self.basis.ingress.as_ref();
        let first = host.as_ref().and_then(|host| host.routes.first());
        let theirs = match (ingress, first) {
            (Some(ingress), Some(first)) => taken(ingress, hostname, &first.origin),
            _ => None,
        };
        let leaves = theirs.is_some() || (ingress.is_some() && first.is_none());
        if let Some(problem) = theirs {
            self.taken.insert(hostname.clone(), Arc::new(problem));
        }
        let host = match host.filter(|_| !leaves) {
            Some(host) => {
                let known = self.table.hosts.get(hostname);
                let known = known.filter(|known| ***known == host).cloned();
                Some(known.unwrap_or_else(|| Arc::new(host)))
            }
            None => ingress.and_then(|ingress| ingress.hosts.get(hostname).cloned()),
        };
        match host {
            Some(host) => drop(table.hosts.insert(hostname.clone(), host)),
            None => drop(table.hosts.remove(hostname)),
        }
    }
}

/// The listeners of a port by their host names.
pub(super) struct Owners<'a>(HashMap<&'a Hostname, usize>);

impl<'a> Owners<'a> {
    pub(super) fn new(parts: &Parts<'a>) -> Self {
        let listeners = parts.port.iter();
        Self(
            listeners
                .map(|index| (&parts.listeners[*index].hostname, *index))
                .collect(),
        )
    }

    /// Whose a host is, given all names that cover it: the most specific listener's.
    pub(super) fn owner(&self, covering: &[Hostname]) -> Option<usize> {
        covering.iter().find_map(|name| self.0.get(name).copied())
    }
}

/// Hosts of listeners.
type Touched = HashSet<(usize, Hostname)>;

fn touch(touched: &mut Touched, listener: usize, hostname: &Hostname, hosts: &ByHost) {
    touched.insert((listener, hostname.clone()));
    if !matches!(hostname, Hostname::Exact(_)) {
        let covered = hosts.keys().filter(|other| covers(hostname, other));
        touched.extend(covered.map(|covered| (listener, covered.clone())));
    }
}

/// The hosts that a route serves, with their listeners.
pub(super) fn places(attached: &Attached) -> impl Iterator<Item = (usize, &Hostname)> {
    let places = attached.places.iter();
    places.flat_map(|place| place.hostnames.iter().map(|hostname| (place.listener, hostname)))
}

/// The host names of listeners whose connections must not be mixed up.
fn told_apart(by_listener: &BTreeMap<usize, ByHost>, listeners: &[Model]) -> Vec<Hostname> {
    let https = by_listener.keys().map(|index| &listeners[*index]);
    let https = https.filter(|listener| listener.protocol == Protocol::Https);
    let mut names: Vec<Hostname> = https.map(|listener| listener.hostname.clone()).collect();
    names.sort();
    if names.len() > 1 { names } else { Vec::new() }
}

fn host(hostname: &Hostname, names: &[Hostname], hosts: &ByHost) -> VirtualHost {
    let mut routes = Vec::new();
    let mut listed: Vec<&Arc<route::Model>> = Vec::new();
    for name in names {
        let Some(models) = hosts.get(name) else { continue };
        let mut entries = Vec::new();
        for model in models {
            if !listed.iter().any(|other| Arc::ptr_eq(other, model)) {
                listed.push(model);
                entries.extend(model.entries.iter().map(|entry| (entry, model.age())));
            }
        }
        entries.sort_by(|(a, a_age), (b, b_age)| (a.specificity, a_age).cmp(&(b.specificity, b_age)));
        routes.extend(entries.into_iter().map(|(entry, _)| entry.route.clone()));
    }
    VirtualHost {
        client_auth: None,
        tls: None,
        hostname: hostname.clone(),
        routes,
    }
}

/// Why a route cannot have a host, if an Ingress has it.
pub(super) fn taken(ingress: &RouteTable, hostname: &Hostname, object: &ObjectRef) -> Option<Problem> {
    let host = ingress.hosts.get(hostname).filter(|host| !is_built_in(host))?;
    let winner = host.routes.first().map(|route| route.origin.to_string());
    Some(Problem {
        object: object.clone(),
        field: "spec.hostnames".to_owned(),
        reason: reason::HOST_OF_INGRESS,
        message: format!(
            "host {hostname} is served by {} on this port",
            winner.unwrap_or_default()
        ),
        effect: Effect::Ignored,
        fix: "remove the host from the Ingress, or give the Gateway an address of its own".to_owned(),
    })
}

/// Whether no Ingress has the host.
pub(super) fn is_built_in(host: &VirtualHost) -> bool {
    let mut routes = host.routes.iter();
    routes.all(|route| &*route.origin.kind == "DefaultBackend")
}

/// The first certificate is for the listener's host name; further ones are for
/// the names that they carry, where the listener covers them.
fn certificates(listener: &Model, table: &mut RouteTable, ingress: Option<&Arc<RouteTable>>) {
    let mut own: BTreeMap<Hostname, &Arc<Certificate>> = BTreeMap::new();
    for (index, certificate) in listener.certificates.iter().enumerate() {
        if index == 0 {
            own.insert(listener.hostname.clone(), certificate);
            continue;
        }
        for name in certificate
            .names
            .iter()
            .filter_map(|name| Hostname::parse(name).ok())
        {
            let wide = match &name {
                Hostname::Wildcard(suffix) => Hostname::Subdomains(suffix.clone()),
                other => other.clone(),
            };
            if hostname::covers(&listener.hostname, &wide) && name != listener.hostname {
                own.entry(name).or_insert(certificate);
            }
        }
    }
    for (name, certificate) in own {
        if ingress.is_none_or(|ingress| !ingress.certificates.contains_key(&name)) {
            table.certificates.insert(name, certificate.clone());
        }
    }
}
