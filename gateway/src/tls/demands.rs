//! What single hosts want of handshakes.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ServerConfig;
use tidegate_snapshot::{ClientAuth, Hostname, Pattern, RouteTable, TlsSettings, VirtualHost};

use super::{Authority, Names, provider, server_config};

/// What hosts want that is not the same for all: client certificates, other
/// suites. By the rules for hosts: one that wants nothing hides a wildcard that
/// does. Empty when no host does, and unknown names are served.
#[derive(Default)]
pub(super) struct Demands {
    exact: HashMap<Arc<str>, Option<Arc<Demand>>>,
    /// By the part behind `*.`.
    wildcard: HashMap<Arc<str>, Option<Arc<Demand>>>,
    /// The same for names of any number of labels.
    subdomains: HashMap<Arc<str>, Option<Arc<Demand>>>,
    /// In the order of the hosts.
    regex: Vec<(Pattern, Option<Arc<Demand>>)>,
    any: Option<Arc<Demand>>,
}

/// What one handshake needs: a configuration of its own, and where it asks for
/// certificates tickets of its own, or a session of another host could be
/// resumed here.
pub(super) struct Demand {
    pub(super) authority: Option<Arc<Authority>>,
    settings: Arc<TlsSettings>,
    pub(super) config: Arc<ServerConfig>,
}

impl Demands {
    pub(super) fn new(previous: Option<&Self>, table: &RouteTable, names: &Arc<Names>) -> Self {
        let mut demands = Self::default();
        let wants = |host: &Arc<VirtualHost>| host.client_auth.is_some() || host.tls.is_some();
        if !table.reject_unknown_names && !table.hosts.values().any(wants) {
            return demands;
        }
        let mut made: Vec<Arc<Demand>> = Vec::new();
        let hosts = table.hosts.iter().map(|(hostname, host)| (hostname, Some(host)));
        // Connections that carry no HTTP go by their own names; nothing is asked of them.
        let streams = table.streams.iter().filter(|(_, stream)| stream.is_some());
        for (hostname, host) in hosts.chain(streams.map(|(hostname, _)| (hostname, None))) {
            let demand = host.filter(|host| wants(host)).and_then(|host| {
                let settings = host.tls.as_ref().unwrap_or(&table.tls);
                let same = |demand: &&Arc<Demand>| demand.is_of(host.client_auth.as_ref(), settings);
                let before = previous.and_then(|previous| previous.named(hostname).filter(same));
                let demand = match made.iter().find(same).or(before) {
                    Some(demand) => Arc::clone(demand),
                    None => Arc::new(Demand::new(host.client_auth.as_ref(), settings, names)?),
                };
                made.push(Arc::clone(&demand));
                Some(demand)
            });
            match hostname {
                Hostname::Exact(name) => drop(demands.exact.insert(Arc::clone(name), demand)),
                Hostname::Wildcard(suffix) => drop(demands.wildcard.insert(Arc::clone(suffix), demand)),
                Hostname::Subdomains(suffix) => drop(demands.subdomains.insert(Arc::clone(suffix), demand)),
                Hostname::Regex(pattern) => demands.regex.push((pattern.clone(), demand)),
                Hostname::Any => demands.any = demand,
            }
        }
        demands
    }

    fn named(&self, hostname: &Hostname) -> Option<&Arc<Demand>> {
        match hostname {
            Hostname::Exact(name) => self.exact.get(name)?.as_ref(),
            Hostname::Wildcard(suffix) => self.wildcard.get(suffix)?.as_ref(),
            Hostname::Subdomains(suffix) => self.subdomains.get(suffix)?.as_ref(),
            Hostname::Regex(pattern) => {
                let known = self.regex.iter().find(|(known, _)| known == pattern);
                known?.1.as_ref()
            }
            Hostname::Any => self.any.as_ref(),
        }
    }

    pub(super) fn find(&self, server_name: Option<&str>) -> Option<&Arc<Demand>> {
        match self.host(server_name) {
            Some(demand) => demand.as_ref(),
            None => self.any.as_ref(),
        }
    }

    /// Whether a host has the name, other than the one for all.
    pub(super) fn knows(&self, server_name: Option<&str>) -> bool {
        self.host(server_name).is_some()
    }

    fn host(&self, server_name: Option<&str>) -> Option<&Option<Arc<Demand>>> {
        let name = server_name?;
        let behind = || {
            let (label, suffix) = name.split_once('.')?;
            if label.is_empty() {
                return None;
            }
            let mut suffixes = std::iter::successors(Some(suffix), |rest| Some(rest.split_once('.')?.1));
            let below = || suffixes.find_map(|suffix| self.subdomains.get(suffix));
            self.wildcard.get(suffix).or_else(below)
        };
        let matching = || {
            let matching = self.regex.iter().find(|(pattern, _)| pattern.is_match(name));
            matching.map(|(_, demand)| demand)
        };
        self.exact.get(name).or_else(behind).or_else(matching)
    }

    /// Whether both find the very same demands.
    pub(super) fn same(&self, other: &Self) -> bool {
        let same = |a: &Option<Arc<Demand>>, b: &Option<Arc<Demand>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        let equal = |a: &HashMap<Arc<str>, Option<Arc<Demand>>>, b: &HashMap<_, _>| {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, demand)| b.get(name).is_some_and(|other| same(demand, other)))
        };
        equal(&self.exact, &other.exact)
            && equal(&self.wildcard, &other.wildcard)
            && equal(&self.subdomains, &other.subdomains)
            && self.regex.len() == other.regex.len()
            && (self.regex.iter().zip(&other.regex)).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
            && same(&self.any, &other.any)
    }
}

impl Demand {
    fn new(spec: Option<&Arc<ClientAuth>>, settings: &Arc<TlsSettings>, names: &Arc<Names>) -> Option<Self> {
        let authority = match spec {
            Some(spec) => Some(Arc::new(Authority::new(spec, provider())?)),
            None => None,
        };
        let config = server_config(Arc::clone(names), authority.clone(), settings);
        Some(Self {
            authority,
            settings: Arc::clone(settings),
            config: Arc::new(config),
        })
    }

    fn is_of(&self, spec: Option<&Arc<ClientAuth>>, settings: &TlsSettings) -> bool {
        let judges = self.authority.as_ref().map(|authority| &authority.spec);
        *self.settings == *settings && judges == spec
    }
}
