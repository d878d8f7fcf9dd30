//! From a request to the route that answers it: host (exact, wildcard, regular
//! expression, any),
//! then path, method, headers and query.
//!
//! What answers is defined by a linear scan: of the most specific host's
//! routes, in order, the first whose condition holds. Everything else here
//! makes that fast and must never change it. A host without a matching route
//! ends the search: less specific hosts are not asked (nginx takes one server
//! by name, then its locations).

mod explain;
mod host;
mod index;
mod matcher;
mod route;
mod streams;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidegate_snapshot::{ClusterKey, Hostname, Pattern, RouteTable, SharedMap, VirtualHost};

use crate::observe::metrics::Metrics;
use crate::policy::Known;
use crate::request::RequestView;
use crate::upstream::Cluster;

pub use explain::{Explanation, explain, explain_stream};
pub use route::{Mirror, Own, Route, Target};
pub use streams::{Backend, Stream, Streams};

use host::Host;

/// What routes are linked with when they are compiled.
pub struct Links<'a> {
    /// Live clusters by key.
    pub clusters: &'a HashMap<ClusterKey, Arc<Cluster>>,
    /// The clusters that came, went or were replaced since the previous
    /// compilation: hosts that name one are compiled again.
    pub changed: &'a HashSet<ClusterKey>,
    /// Where routes get their metric handles.
    pub metrics: &'a Metrics,
}

/// The compiled virtual hosts of one table.
#[derive(Clone, Default)]
pub struct Hosts {
    /// The values that they were compiled from.
    spec: SharedMap<Hostname, Arc<VirtualHost>>,
    exact: HashMap<Arc<str>, Arc<Host>>,
    /// By the name without its `*.`.
    wildcard: HashMap<Arc<str>, Arc<Host>>,
    /// The same for names of any number of labels.
    subdomains: HashMap<Arc<str>, Arc<Host>>,
    /// In the order of their texts.
    regex: BTreeMap<Pattern, Arc<Host>>,
    any: Option<Arc<Host>>,
    /// In the order of precedence ([`RouteTable::listeners`]).
    listeners: Box<[Hostname]>,
    /// What its routes share.
    known: Known,
}

impl Hosts {
    /// Compiles a table. What `previous` has is taken over, but for hosts that
    /// have changed and those that name a changed cluster.
    pub fn compile(previous: Option<&Self>, table: &RouteTable, links: &Links<'_>) -> Self {
        let mut hosts = previous.cloned().unwrap_or_default();
        let before = std::mem::replace(&mut hosts.spec, table.hosts.clone());
        hosts.listeners = precedence(&table.listeners);
        hosts.recompile(links);
        for name in table.hosts.differing(&before) {
            let host = table.hosts.get(&name);
            let host = host.map(|spec| Arc::new(Host::compile(spec, links, &mut hosts.known)));
            hosts.set(&name, host);
        }
        for map in [&mut hosts.exact, &mut hosts.wildcard, &mut hosts.subdomains] {
            map.shrink_to(2 * map.len());
        }
        hosts
    }

    /// Compiles hosts again that name a changed cluster.
    fn recompile(&mut self, links: &Links<'_>) {
        if links.changed.is_empty() {
            return;
        }
        let named = [&mut self.exact, &mut self.wildcard, &mut self.subdomains];
        let named = named.into_iter().flat_map(HashMap::values_mut);
        let regex = self.regex.values_mut();
        for host in named.chain(regex).chain(&mut self.any) {
            if host.names(links.changed) {
                *host = Arc::new(Host::compile(&host.spec, links, &mut self.known));
            }
        }
    }

    fn set(&mut self, name: &Hostname, host: Option<Arc<Host>>) {
        let (map, name) = match name {
            Hostname::Exact(name) => (&mut self.exact, name),
            Hostname::Wildcard(suffix) => (&mut self.wildcard, suffix),
            Hostname::Subdomains(suffix) => (&mut self.subdomains, suffix),
            Hostname::Regex(pattern) => {
                match host {
                    Some(host) => drop(self.regex.insert(pattern.clone(), host)),
                    None => drop(self.regex.remove(pattern)),
                }
                return;
            }
            Hostname::Any => {
                self.any = host;
                return;
            }
        };
        match host {
            Some(host) => drop(map.insert(name.clone(), host)),
            None => drop(map.remove(name)),
        }
    }

    /// The route that answers a request; `None` is 404. Nothing is allocated,
    /// unless a condition is on a header field that comes several times or on
    /// an escaped query parameter.
    pub fn find(&self, request: &impl RequestView) -> Option<&Arc<Route>> {
        self.host(request.host())?.find(request)
    }

    /// Whether [`Hosts::is_misdirected`] may say yes.
    pub fn tells_listeners_apart(&self) -> bool {
        self.listeners.len() > 1
    }

    /// Whether a request for `host` came on a TLS connection that was made for
    /// another listener than that host's.
    pub fn is_misdirected(&self, server_name: &str, host: &str) -> bool {
        let listener = |name: &str| self.listeners.iter().position(|listener| listener.matches(name));
        self.tells_listeners_apart() && server_name != host && listener(server_name) != listener(host)
    }

    fn host(&self, name: &str) -> Option<&Arc<Host>> {
        self.exact(name)
            .or_else(|| self.wildcard(name))
            .or_else(|| self.subdomains(name))
            .or_else(|| self.regex(name))
            .or(self.any.as_ref())
    }

    fn exact(&self, name: &str) -> Option<&Arc<Host>> {
        self.exact.get(name)
    }

    /// A wildcard stands for exactly one label ([`Hostname::matches`]).
    fn wildcard(&self, name: &str) -> Option<&Arc<Host>> {
        let (label, suffix) = name.split_once('.')?;
        if label.is_empty() {
            None
        } else {
            self.wildcard.get(suffix)
        }
    }

    /// The longest suffix that leaves a label.
    fn subdomains(&self, name: &str) -> Option<&Arc<Host>> {
        if self.subdomains.is_empty() || name.starts_with('.') {
            return None;
        }
        let mut rest = name;
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(host) = self.subdomains.get(suffix) {
                return Some(host);
            }
            rest = suffix;
        }
        None
    }

    fn regex(&self, name: &str) -> Option<&Arc<Host>> {
        let mut hosts = self.regex.iter();
        hosts
            .find(|(pattern, _)| pattern.is_match(name))
            .map(|(_, host)| host)
    }
}

/// The most specific first: of names for several hosts the longest.
fn precedence(listeners: &[Hostname]) -> Box<[Hostname]> {
    let mut sorted = listeners.to_vec();
    let length = |name: &Hostname| std::cmp::Reverse(name.to_string().len());
    sorted.sort_by(|a, b| {
        let rank = |name: &Hostname| matches!(name, Hostname::Any);
        let exact = |name: &Hostname| !matches!(name, Hostname::Exact(_));
        (rank(a), exact(a), length(a)).cmp(&(rank(b), exact(b), length(b)))
    });
    sorted.into()
}

#[cfg(test)]
pub(crate) mod tests;
