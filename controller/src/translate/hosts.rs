//! The virtual hosts, each built again only when its Ingresses have changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidegate_snapshot::{Hostname, Problem, TlsSettings, VirtualHost};

use super::canary;
use super::host::{self, Context, DefaultBackend, Renames};
use super::ingress::Model;
use super::ingress::annotations::HostSnippet;
use super::names::{Name, Names};
use super::problems::{self, Problems};

/// Remembers every host and what it was built from.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    memo: HashMap<Hostname, Memo>,
    generation: u64,
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
    models: Vec<Arc<Model>>,
    tls: bool,
    host: Arc<VirtualHost>,
    problems: Box<[Arc<Problem>]>,
    seen: u64,
}

impl Memo {
    fn is_of(&self, models: &[&Arc<Model>], tls: bool) -> bool {
        let same = |(a, b): (&Arc<Model>, &&Arc<Model>)| Arc::ptr_eq(a, b);
        self.tls == tls && self.models.len() == models.len() && self.models.iter().zip(models).all(same)
    }
}

impl Hosts {
    /// What is new: hosts with their routes, or without when they are gone.
    pub(super) fn update(
        &mut self,
        serving: &[Arc<Model>],
        default_backend: DefaultBackend,
        renames: &Renames,
        extras: &Extras<'_>,
        problems: &mut Problems,
    ) -> Vec<(Hostname, Option<Arc<VirtualHost>>)> {
        self.generation += 1;
        let rebuild = self.default_backend.as_ref() != Some(&default_backend)
            || self.renames != *renames
            || self.server_snippet != extras.server_snippet;
        if rebuild {
            self.renames = renames.clone();
            self.server_snippet.clone_from(&extras.server_snippet);
        }
        let default_backend = &*self.default_backend.insert(default_backend);
        let context = Context {
            default_backend,
            renames: &self.renames,
            server_snippet: self.server_snippet.as_ref(),
            tls: extras.tls,
        };
        let mut groups = group(serving);
        groups.retain(|hostname, models| {
            let kept = **hostname == Hostname::Any || models.iter().any(|model| model.serves());
            if !kept {
                models.iter().for_each(|model| lonely(model, hostname, problems));
            }
            kept
        });
        let wildcards = tls_wildcards(&groups);
        let mut changes = Vec::new();
        for (hostname, models) in &groups {
            let tls = has_certificate(hostname, models, &wildcards);
            let known = self.memo.get_mut(*hostname);
            if let Some(memo) = known {
                memo.seen = self.generation;
                if !rebuild && memo.is_of(models, tls) {
                    problems.extend(memo.problems.iter().cloned());
                    continue;
                }
            }
            let models: Vec<_> = models.iter().map(|model| Arc::clone(model)).collect();
            let (host, found) = host::build(hostname, &models, tls, &context);
            let found = problems::shared(found);
            problems.extend(found.iter().cloned());
            let before = self.memo.get(*hostname).map(|memo| &memo.host);
            let host = match before.filter(|before| ***before == host) {
                Some(before) => before.clone(),
                None => {
                    let host = Arc::new(host);
                    changes.push(((*hostname).clone(), Some(host.clone())));
                    host
                }
            };
            let memo = Memo {
                models,
                tls,
                host,
                problems: found,
                seen: self.generation,
            };
            self.memo.insert((*hostname).clone(), memo);
        }
        if self.memo.len() > groups.len() {
            self.forget(&mut changes);
        }
        self.update_extras(extras, &mut changes);
        changes
    }

    /// The Ingresses of a host as of the latest update, canaries among them.
    pub(super) fn models(&self, hostname: &Hostname) -> &[Arc<Model>] {
        self.memo.get(hostname).map_or(&[], |memo| &memo.models)
    }

    fn update_extras(
        &mut self,
        extras: &Extras<'_>,
        changes: &mut Vec<(Hostname, Option<Arc<VirtualHost>>)>,
    ) {
        let mut hosts = BTreeMap::new();
        for (hostname, name) in extras.names {
            let before = self.extras.get(hostname);
            let host = match name {
                Name::Alias(main) => match self.memo.get(main) {
                    Some(memo) => memo.host.clone(),
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
            if !hosts.contains_key(hostname) && !self.memo.contains_key(hostname) {
                changes.push((hostname.clone(), None));
            }
        }
        self.extras = hosts;
    }

    fn forget(&mut self, changes: &mut Vec<(Hostname, Option<Arc<VirtualHost>>)>) {
        self.memo.retain(|hostname, memo| {
            let kept = memo.seen == self.generation;
            if !kept {
                changes.push((hostname.clone(), None));
            }
            kept
        });
        self.memo.shrink_to(2 * self.memo.len());
    }
}

/// A canary of a host that no other Ingress names.
fn lonely(model: &Model, hostname: &Hostname, problems: &mut Problems) {
    let rules = model.rules_of(hostname);
    for rule in rules.into_iter().flat_map(|rules| &rules.paths) {
        problems.push(*canary::without_main(&model.object, rule.field));
    }
}

/// The Ingresses of each host, in merge order, canaries among them. The default host is always
/// there; Ingresses with nothing but a default backend belong to it.
fn group(serving: &[Arc<Model>]) -> HashMap<&Hostname, Vec<&Arc<Model>>> {
    let mut groups: HashMap<&Hostname, Vec<&Arc<Model>>> = HashMap::with_capacity(serving.len() + 1);
    groups.insert(&Hostname::Any, Vec::new());
    for model in serving {
        for host in &model.hosts {
            groups.entry(&host.hostname).or_default().push(model);
        }
        if !model.has_rules && model.default_backend.is_some() {
            groups.entry(&Hostname::Any).or_default().push(model);
        }
    }
    groups
}

/// The suffixes of wildcard hosts that have a certificate configured.
fn tls_wildcards<'a>(groups: &HashMap<&'a Hostname, Vec<&Arc<Model>>>) -> HashSet<&'a str> {
    let with_tls = groups.iter().filter(|(_, models)| has_tls(models));
    with_tls
        .filter_map(|(hostname, _)| match hostname {
            Hostname::Wildcard(suffix) => Some(&**suffix),
            _ => None,
        })
        .collect()
}

/// Whether plain HTTP of the host is redirected: any of its Ingresses has a
/// `tls` section, or else a wildcard host over it has one. A rule without host
/// never counts: ingress-nginx looks for the certificate of the request's own
/// name, and unknown names have none.
fn has_certificate(hostname: &Hostname, models: &[&Arc<Model>], wildcards: &HashSet<&str>) -> bool {
    match hostname {
        Hostname::Any | Hostname::Regex(_) => false,
        Hostname::Wildcard(_) | Hostname::Subdomains(_) => has_tls(models),
        Hostname::Exact(name) => {
            let suffix = name.split_once('.').map(|(_, suffix)| suffix);
            has_tls(models) || suffix.is_some_and(|suffix| wildcards.contains(suffix))
        }
    }
}

fn has_tls(models: &[&Arc<Model>]) -> bool {
    models.iter().any(|model| model.serves() && !model.tls.is_empty())
}
