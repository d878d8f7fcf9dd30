//! The virtual hosts, each built again only when its Ingresses have changed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tidegate_snapshot::{Hostname, Problem, TlsSettings, VirtualHost};

use super::canary;
use super::host::{self, Context, DefaultBackend, Renames};
use super::ingress::Model;
use super::ingress::annotations::HostSnippet;
use super::ingresses::{Changes, precedence};
use super::names::{Name, Names};
use super::problems::{self, Ledger};

/// Remembers every host and what it was built from.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// The Ingresses of each host, in merge order, canaries among them; those with
    /// nothing but a default backend belong to the default host.
    groups: HashMap<Hostname, Vec<Arc<Model>>>,
    /// Of every group, and of the default host.
    memo: HashMap<Hostname, Memo>,
    /// The suffixes of wildcard hosts that have a certificate configured.
    wildcards: HashSet<Arc<str>>,
    /// Of all hosts.
    problems: Ledger,
    /// What all hosts were built with.
    default_backend: Option<DefaultBackend>,
    renames: Renames,
    server_snippet: Option<HostSnippet>,
    /// Hosts under names that no rule has.
    extras: BTreeMap<Hostname, Arc<VirtualHost>>,
}

/// Names that hosts have besides those of rules.
pub(super) struct Extras<'a> {
    pub(super) names: &'a Names,
    /// Of redirects between hosts (`http-redirect-code`).
    pub(super) redirect_code: u16,
    /// ConfigMap `server-snippet`.
    pub(super) server_snippet: Option<HostSnippet>,
    /// Of handshakes with hosts that do not say otherwise.
    pub(super) tls: &'a TlsSettings,
}

#[derive(Debug)]
struct Memo {
    /// `None`: it has canaries alone.
    host: Option<Arc<VirtualHost>>,
    problems: Box<[Arc<Problem>]>,
}

/// Hosts with their routes, or without when they are gone.
pub(super) type Edits = Vec<(Hostname, Option<Arc<VirtualHost>>)>;

impl Hosts {
    /// Builds the hosts of Ingresses that have changed. What is new.
    pub(super) fn update(
        &mut self,
        changes: &Changes,
        default_backend: DefaultBackend,
        renames: &Renames,
        extras: &Extras<'_>,
    ) -> Edits {
        let rebuild = self.default_backend.as_ref() != Some(&default_backend)
            || self.renames != *renames
            || self.server_snippet != extras.server_snippet;
        if rebuild {
            self.renames = renames.clone();
            self.server_snippet.clone_from(&extras.server_snippet);
            self.default_backend = Some(default_backend);
        }
        let mut touched = self.regroup(changes);
        if self.certify(&touched) || rebuild {
            touched = self.groups.keys().chain(self.memo.keys()).cloned().collect();
        }
        if !self.memo.contains_key(&Hostname::Any) {
            touched.insert(Hostname::Any);
        }
        let mut edits = Vec::new();
        for hostname in touched {
            if let Some(host) = self.rebuild(&hostname, extras) {
                edits.push((hostname, host));
            }
        }
        self.memo.shrink_to(2 * self.memo.len());
        self.groups.shrink_to(2 * self.groups.len());
        self.update_extras(extras, &mut edits);
        edits
    }

    /// What is wrong with hosts.
    pub(super) fn problems(&self) -> &Ledger {
        &self.problems
    }

    /// The Ingresses of a host as of the latest update, canaries among them.
    pub(super) fn models(&self, hostname: &Hostname) -> &[Arc<Model>] {
        match self.groups.get(hostname) {
            Some(models) if self.host(hostname).is_some() => models,
            _ => &[],
        }
    }

    fn host(&self, hostname: &Hostname) -> Option<&Arc<VirtualHost>> {
        self.memo.get(hostname)?.host.as_ref()
    }

    /// Moves Ingresses in and out of groups. The hosts that this concerns.
    fn regroup(&mut self, changes: &Changes) -> BTreeSet<Hostname> {
        let mut touched = BTreeSet::new();
        for model in &changes.gone {
            for hostname in hostnames(model) {
                touched.insert(hostname.clone());
                let Some(models) = self.groups.get_mut(hostname) else {
                    continue;
                };
                let at = models.partition_point(|other| precedence(other, model).is_lt());
                if models.get(at).is_some_and(|other| Arc::ptr_eq(other, model)) {
                    models.remove(at);
                }
                if models.is_empty() {
                    self.groups.remove(hostname);
                }
            }
        }
        for model in &changes.new {
            for hostname in hostnames(model) {
                touched.insert(hostname.clone());
                let models = self.groups.entry(hostname.clone()).or_default();
                let at = models.partition_point(|other| precedence(other, model).is_lt());
                models.insert(at, model.clone());
            }
        }
        touched
    }

    /// Follows which wildcard hosts have a certificate. Whether one of them has got or
    /// lost it, which may concern every host.
    fn certify(&mut self, touched: &BTreeSet<Hostname>) -> bool {
        let mut changed = false;
        for hostname in touched {
            if let Hostname::Wildcard(suffix) = hostname {
                let has = self.groups.get(hostname).is_some_and(|models| has_tls(models));
                changed |= match has {
                    true => self.wildcards.insert(suffix.clone()),
                    false => self.wildcards.remove(suffix),
                };
            }
        }
        changed
    }

    /// Builds a host anew. `None`: it is what it was.
    fn rebuild(&mut self, hostname: &Hostname, extras: &Extras<'_>) -> Option<Option<Arc<VirtualHost>>> {
        let before = self.memo.remove(hostname);
        if let Some(before) = &before {
            self.problems.remove(&before.problems);
        }
        let models = self.groups.get(hostname).map(Vec::as_slice).unwrap_or_default();
        let Some(default_backend) = &self.default_backend else {
            return None;
        };
        let before = before.and_then(|before| before.host);
        if *hostname != Hostname::Any && !models.iter().any(|model| model.serves()) {
            let problems = lonely(models, hostname);
            self.problems.add(&problems);
            if !models.is_empty() {
                self.memo.insert(hostname.clone(), Memo { host: None, problems });
            }
            return before.map(|_| None);
        }
        let context = Context {
            default_backend,
            renames: &self.renames,
            server_snippet: self.server_snippet.as_ref(),
            tls: extras.tls,
        };
        let tls = has_certificate(hostname, models, &self.wildcards);
        let (host, found) = host::build(hostname, models, tls, &context);
        let problems = problems::shared(found);
        self.problems.add(&problems);
        let known = before.filter(|before| **before == host);
        let is_known = known.is_some();
        let host = known.unwrap_or_else(|| Arc::new(host));
        let memo = Memo {
            host: Some(host.clone()),
            problems,
        };
        self.memo.insert(hostname.clone(), memo);
        (!is_known).then_some(Some(host))
    }

    fn update_extras(&mut self, extras: &Extras<'_>, changes: &mut Edits) {
        let mut hosts = BTreeMap::new();
        for (hostname, name) in extras.names {
            let before = self.extras.get(hostname);
            let host = match name {
                Name::Alias(main) => match self.host(main) {
                    Some(host) => host.clone(),
                    None => continue,
                },
                Name::RedirectTo(host, origin) => {
                    let host = host::redirecting(hostname, host, extras.redirect_code, origin);
                    match before.filter(|before| ***before == host) {
                        Some(before) => before.clone(),
                        None => Arc::new(host),
                    }
                }
            };
            if !before.is_some_and(|before| Arc::ptr_eq(before, &host)) {
                changes.push((hostname.clone(), Some(host.clone())));
            }
            hosts.insert(hostname.clone(), host);
        }
        for hostname in self.extras.keys() {
            if !hosts.contains_key(hostname) && self.host(hostname).is_none() {
                changes.push((hostname.clone(), None));
            }
        }
        self.extras = hosts;
    }
}

/// Canaries of a host that no other Ingress names.
fn lonely(models: &[Arc<Model>], hostname: &Hostname) -> Box<[Arc<Problem>]> {
    let of_model = |model: &Arc<Model>| -> Vec<Problem> {
        let rules = model.rules_of(hostname).into_iter();
        let rules = rules.flat_map(|rules| &rules.paths);
        rules
            .map(|rule| *canary::without_main(&model.object, rule.field))
            .collect()
    };
    problems::shared(models.iter().flat_map(of_model).collect())
}

/// The hosts that an Ingress belongs to.
fn hostnames(model: &Model) -> impl Iterator<Item = &Hostname> {
    let catch_all = !model.has_rules && model.default_backend.is_some();
    let catch_all = catch_all.then_some(&Hostname::Any);
    model.hosts.iter().map(|host| &host.hostname).chain(catch_all)
}

/// Whether plain HTTP of the host is redirected: any of its Ingresses has a
/// `tls` section, or else a wildcard host over it has one. A rule without host
/// never counts: ingress-nginx looks for the certificate of the request's own
/// name, and unknown names have none.
fn has_certificate(hostname: &Hostname, models: &[Arc<Model>], wildcards: &HashSet<Arc<str>>) -> bool {
    match hostname {
        Hostname::Any | Hostname::Regex(_) => false,
        Hostname::Wildcard(_) | Hostname::Subdomains(_) => has_tls(models),
        Hostname::Exact(name) => {
            let suffix = name.split_once('.').map(|(_, suffix)| suffix);
            has_tls(models) || suffix.is_some_and(|suffix| wildcards.contains(suffix))
        }
    }
}

fn has_tls(models: &[Arc<Model>]) -> bool {
    models.iter().any(|model| model.serves() && !model.tls.is_empty())
}
