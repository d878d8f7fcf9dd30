//! The routing table of one port.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidegate_snapshot::{Certificate, Effect, Hostname, ObjectRef, Problem, RouteTable, VirtualHost};

use super::attach::Attached;
use super::hostname::{self, covering};
use super::listener::{Model, Protocol};
use super::{reason, route, stream};
use crate::options::Options;

/// The hosts of one listener.
type ByHost<'a> = HashMap<&'a Hostname, Vec<&'a Arc<route::Model>>>;

/// Builds the table of the listeners on one port. With `ingress` (the table of
/// the Ingresses on that port) the result serves both.
///
/// A request belongs to the listener with the most specific host name that
/// covers it, and sees that one's routes alone ("listener isolation"). Within
/// it, "precedence must be given to rules from the HTTPRoute with the largest
/// number of characters in a matching non-wildcard hostname", but if none of
/// these rules matches, less specific names are tried: so each host lists the
/// routes of all names that cover it, in that order.
pub(super) fn build(
    port: &[usize],
    listeners: &[Model],
    attached: &[Attached],
    previous: Option<&Arc<RouteTable>>,
    ingress: Option<&Arc<RouteTable>>,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Arc<RouteTable> {
    let owners: HashMap<&Hostname, usize> = port
        .iter()
        .map(|index| (&listeners[*index].hostname, *index))
        .collect();
    let http = port
        .iter()
        .filter(|index| !listeners[**index].protocol.is_stream());
    let mut by_listener: HashMap<usize, ByHost<'_>> = http
        .map(|index| {
            let own = HashMap::from([(&listeners[*index].hostname, Vec::new())]);
            (*index, own)
        })
        .collect();
    for Attached {
        listener,
        hostname,
        route,
    } in attached
    {
        if let Some(hosts) = by_listener.get_mut(listener) {
            hosts.entry(hostname).or_default().push(route);
        }
    }
    let mut table = ingress.map(|table| RouteTable::clone(table)).unwrap_or_default();
    table.tls = options.tls.clone();
    for (listener, hosts) in &by_listener {
        for hostname in hosts.keys() {
            let names = covering(hostname);
            let owner = names.iter().find_map(|name| owners.get(name).copied());
            if owner == Some(*listener) {
                let host = VirtualHost {
                    client_auth: listeners[*listener].client_auth.clone(),
                    ..host(hostname, &names, hosts)
                };
                insert(&mut table, host, previous, ingress, problems);
            }
        }
    }
    if ingress.is_none() {
        table.listeners = told_apart(&by_listener, listeners);
    }
    stream::add(&mut table, port, listeners, attached, ingress, options, problems);
    for index in port {
        certificates(&listeners[*index], &mut table, ingress);
    }
    match previous {
        Some(previous) if **previous == table => previous.clone(),
        _ => Arc::new(table),
    }
}

/// The host names of listeners whose connections must not be mixed up.
fn told_apart(by_listener: &HashMap<usize, ByHost<'_>>, listeners: &[Model]) -> Vec<Hostname> {
    let https = by_listener.keys().map(|index| &listeners[*index]);
    let https = https.filter(|listener| listener.protocol == Protocol::Https);
    let mut names: Vec<Hostname> = https.map(|listener| listener.hostname.clone()).collect();
    names.sort();
    if names.len() > 1 { names } else { Vec::new() }
}

fn host(hostname: &Hostname, names: &[Hostname], hosts: &ByHost<'_>) -> VirtualHost {
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

/// On a port that Ingresses have too, a host that an Ingress names is the
/// Ingress's, whole; hosts that nobody names are a listener's without host name,
/// unless an Ingress has rules or a default backend for them.
fn insert(
    table: &mut RouteTable,
    host: VirtualHost,
    previous: Option<&Arc<RouteTable>>,
    ingress: Option<&Arc<RouteTable>>,
    problems: &mut Vec<Problem>,
) {
    if let Some(ingress) = ingress {
        let Some(first) = host.routes.first() else { return };
        if let Some(problem) = taken(ingress, &host.hostname, &first.origin) {
            problems.push(problem);
            return;
        }
    }
    let known = previous.and_then(|table| table.hosts.get(&host.hostname));
    let shared = match known.filter(|known| ***known == host) {
        Some(known) => known.clone(),
        None => Arc::new(host),
    };
    table.hosts.insert(shared.hostname.clone(), shared);
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
