//! The certificate of each host that has TLS configured
//! (ingress-nginx-behaviour §11).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use tidegate_snapshot::{Certificate, Effect, Hostname, ObjectRef, Problem, RouteTable};

use super::certificate::{self, SecretError};
use super::hosts::Hosts;
use super::ingress::{Model, TlsEntry};
use super::ingresses::{Changes, Ingresses};
use super::names::{Name, Names};
use super::problems::{self, Ledger, Problems};
use super::reason;
use crate::objects::{Cursor, Kind, Objects};
use crate::options::Options;

/// Remembers what each Secret holds, and what each Ingress makes of its own.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    /// By address; holding the Secret keeps its address from being used again.
    memo: HashMap<usize, Memo>,
    generation: u64,
    /// Of every Ingress with a `tls` section that serves.
    sections: HashMap<ObjectRef, Section>,
    /// Of all sections.
    problems: Ledger,
    latest: Option<Latest>,
}

/// What the latest choice was made with.
#[derive(Debug)]
struct Latest {
    read: Cursor,
    names: Names,
    default: Option<Arc<Certificate>>,
}

/// The `tls` section of an Ingress.
#[derive(Debug)]
struct Section {
    /// Of each entry, if it has a usable one.
    certificates: Box<[Option<Arc<Certificate>>]>,
    problems: Box<[Arc<Problem>]>,
}

#[derive(Debug)]
struct Memo {
    _secret: Arc<Secret>,
    certificate: Result<Arc<Certificate>, SecretError>,
    seen: u64,
}

/// What is chosen for a routing table.
#[derive(Debug)]
pub(super) enum Chosen {
    /// For every host.
    All {
        by_host: BTreeMap<Hostname, Arc<Certificate>>,
        default: Option<Arc<Certificate>>,
    },
    /// For these hosts; the others have what they had.
    Some(BTreeMap<Hostname, Option<Arc<Certificate>>>),
}

impl Chosen {
    /// Whether the table has just these.
    pub(super) fn is_same(&self, table: &RouteTable) -> bool {
        match self {
            Self::All { by_host, default } => {
                *default == table.default_certificate && *by_host == table.certificates
            }
            Self::Some(hosts) => hosts
                .iter()
                .all(|(hostname, certificate)| table.certificates.get(hostname) == certificate.as_ref()),
        }
    }

    /// Puts them into the table; equal ones stay the same `Arc`.
    pub(super) fn store(self, table: &mut RouteTable) {
        match self {
            Self::All { mut by_host, default } => {
                for (hostname, certificate) in &mut by_host {
                    keep_equal(certificate, table.certificates.get(hostname));
                }
                table.certificates = by_host;
                if default != table.default_certificate {
                    table.default_certificate = default;
                }
            }
            Self::Some(hosts) => {
                for (hostname, certificate) in hosts {
                    let Some(mut certificate) = certificate else {
                        table.certificates.remove(&hostname);
                        continue;
                    };
                    keep_equal(&mut certificate, table.certificates.get(&hostname));
                    table.certificates.insert(hostname, certificate);
                }
            }
        }
    }
}

/// Makes what equals the one before the same `Arc`.
fn keep_equal(certificate: &mut Arc<Certificate>, before: Option<&Arc<Certificate>>) {
    if let Some(before) = before.filter(|before| *before == certificate) {
        *certificate = before.clone();
    }
}

impl Certificates {
    /// Chooses for every host of an Ingress with a `tls` section that may have got
    /// another: the first usable certificate in merge order, else the default one.
    /// `hosts` are up to date already.
    pub(super) fn update(
        &mut self,
        objects: &Objects,
        ingresses: &Ingresses,
        (changes, hosts): (&Changes, &Hosts),
        names: &Names,
        options: &Options,
        problems: &mut Problems,
    ) -> Chosen {
        self.generation += 1;
        let default = self.default_certificate(objects, options, problems);
        let chosen = if self.can_follow(objects, names, default.as_ref()) {
            self.follow(objects, changes, hosts, default.as_ref())
        } else {
            self.choose_all(objects, ingresses.usable(), hosts, names, default.as_ref())
        };
        self.latest = Some(Latest {
            read: objects.cursor(),
            names: names.clone(),
            default,
        });
        problems.remember(self.problems.iter());
        chosen
    }

    /// Whether nothing but Ingresses has changed that certificates depend on. Other
    /// names of hosts have certificates that depend on those of several hosts.
    fn can_follow(&self, objects: &Objects, names: &Names, default: Option<&Arc<Certificate>>) -> bool {
        let Some(latest) = &self.latest else { return false };
        let Some(mut changed) = objects.changed_since(&latest.read) else {
            return false;
        };
        latest.default.as_ref() == default
            && names.is_empty()
            && latest.names.is_empty()
            && changed.all(|(kind, _)| kind != Kind::Secret)
    }

    /// Chooses for the hosts of Ingresses that have changed.
    fn follow(
        &mut self,
        objects: &Objects,
        changes: &Changes,
        hosts: &Hosts,
        default: Option<&Arc<Certificate>>,
    ) -> Chosen {
        for model in changes.gone.iter().filter(|model| has_tls(model)) {
            if let Some(section) = self.sections.remove(&model.object) {
                self.problems.remove(&section.problems);
            }
        }
        for model in changes.new.iter().filter(|model| has_tls(model)) {
            self.read_section(objects, model);
        }
        let both = changes.gone.iter().chain(&changes.new);
        let touched = both
            .filter(|model| has_tls(model))
            .flat_map(|model| names_of(model));
        let touched = touched.map(|hostname| (hostname.clone(), self.of_host(hostname, hosts, default)));
        Chosen::Some(touched.collect())
    }

    fn choose_all(
        &mut self,
        objects: &Objects,
        usable: &[Arc<Model>],
        hosts: &Hosts,
        names: &Names,
        default: Option<&Arc<Certificate>>,
    ) -> Chosen {
        self.sections.clear();
        self.problems = Ledger::default();
        let with_tls = || usable.iter().filter(|model| has_tls(model));
        for model in with_tls() {
            self.read_section(objects, model);
        }
        let generation = self.generation;
        self.memo.retain(|_, memo| memo.seen == generation);
        let hostnames: BTreeSet<_> = with_tls().flat_map(|model| names_of(model)).collect();
        let by_host = hostnames
            .into_iter()
            .filter_map(|hostname| Some((hostname.clone(), self.of_host(hostname, hosts, default)?)))
            .collect();
        Chosen::All {
            by_host: with_names(by_host, names),
            default: default.cloned(),
        }
    }

    /// Remembers the certificates that an Ingress names, and what is wrong with them.
    fn read_section(&mut self, objects: &Objects, model: &Model) {
        let mut problems = Vec::new();
        let certificates = model
            .tls
            .iter()
            .enumerate()
            .map(|(index, entry)| self.of_entry(objects, model, index, entry, &mut problems))
            .collect();
        let problems = problems::shared(problems);
        self.problems.add(&problems);
        let section = Section {
            certificates,
            problems,
        };
        self.sections.insert(model.object.clone(), section);
    }

    /// The certificate of a host; `None` also where no Ingress of it has a `tls` section.
    fn of_host(
        &self,
        hostname: &Hostname,
        hosts: &Hosts,
        default: Option<&Arc<Certificate>>,
    ) -> Option<Arc<Certificate>> {
        let models = hosts.models(hostname).iter();
        let mut with_tls = models.filter(|model| has_tls(model)).peekable();
        with_tls.peek()?;
        let chosen = with_tls.find_map(|model| {
            let section = self.sections.get(&model.object)?;
            choose(hostname, &model.tls, &section.certificates)
        });
        chosen.or(default).cloned()
    }

    /// `--default-ssl-certificate`, else the one made at start.
    fn default_certificate(
        &mut self,
        objects: &Objects,
        options: &Options,
        problems: &mut Problems,
    ) -> Option<Arc<Certificate>> {
        let Some(name) = &options.default_ssl_certificate else {
            return options.fallback_certificate.clone();
        };
        match self.of_secret(objects, &name.namespace, &name.name) {
            Ok(certificate) => Some(certificate),
            Err((reason, message)) => {
                problems.push(Problem {
                    object: ObjectRef::new("Secret", &name.namespace, &name.name),
                    field: "--default-ssl-certificate".to_owned(),
                    reason,
                    message,
                    effect: Effect::Substituted,
                    fix: "give it a certificate in `tls.crt` and its key in `tls.key`".to_owned(),
                });
                options.fallback_certificate.clone()
            }
        }
    }

    fn of_entry(
        &mut self,
        objects: &Objects,
        model: &Model,
        index: usize,
        entry: &TlsEntry,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<Certificate>> {
        let secret = entry.secret.as_ref()?;
        let mut substituted = |reason, message, fix: &str| {
            problems.push(Problem {
                object: model.object.clone(),
                field: format!("spec.tls[{index}].secretName"),
                reason,
                message,
                effect: Effect::Substituted,
                fix: fix.to_owned(),
            });
        };
        let certificate = match self.of_secret(objects, &model.object.namespace, secret) {
            Ok(certificate) => certificate,
            Err((reason, message)) => {
                substituted(
                    reason,
                    message,
                    "give it a certificate in `tls.crt` and its key in `tls.key`",
                );
                return None;
            }
        };
        let missing: Vec<_> = entry
            .hosts
            .iter()
            .filter(|host| **host != Hostname::Any && !certificate::covers(&certificate, host))
            .map(Hostname::to_string)
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "the certificate is for {}, not for {}",
                certificate.names.join(", "),
                missing.join(", ")
            );
            substituted(
                reason::CERTIFICATE_MISMATCH,
                message,
                "use a certificate that names the host",
            );
        }
        Some(certificate)
    }

    /// Forgets, at the following [`Certificates::finish`], whatever is not asked
    /// for until then.
    pub(super) fn begin(&mut self) {
        self.generation += 1;
    }

    pub(super) fn finish(&mut self) {
        let generation = self.generation;
        self.memo.retain(|_, memo| memo.seen == generation);
    }

    /// The certificate in a Secret, or the reason and the message why there is
    /// none.
    pub(super) fn of_secret(
        &mut self,
        objects: &Objects,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Certificate>, (&'static str, String)> {
        let Some(secret) = objects.secret(namespace, name) else {
            let message = format!("Secret {namespace}/{name} does not exist, or holds no certificate");
            return Err((reason::SECRET_MISSING, message));
        };
        let memo = self
            .memo
            .entry(Arc::as_ptr(secret) as usize)
            .or_insert_with(|| Memo {
                _secret: secret.clone(),
                certificate: certificate::from_secret(secret).map(Arc::new),
                seen: 0,
            });
        memo.seen = self.generation;
        memo.certificate.clone().map_err(|error| {
            (
                reason::SECRET_INVALID,
                format!("Secret {namespace}/{name}: {error}"),
            )
        })
    }
}

/// Whether certificates are chosen for its hosts.
fn has_tls(model: &Model) -> bool {
    model.serves() && !model.tls.is_empty()
}

/// The names of its hosts; a rule without host has none.
fn names_of(model: &Model) -> impl Iterator<Item = &Hostname> {
    let hostnames = model.hosts.iter().map(|host| &host.hostname);
    hostnames.filter(|hostname| **hostname != Hostname::Any)
}

/// Adds other names of hosts: a name that redirects has its target's
/// certificate, an alias only one that covers it.
fn with_names(
    mut by_host: BTreeMap<Hostname, Arc<Certificate>>,
    names: &Names,
) -> BTreeMap<Hostname, Arc<Certificate>> {
    for (hostname, name) in names {
        let certificate = match name {
            Name::Alias(main) => by_host
                .get(main)
                .filter(|certificate| certificate::covers(certificate, hostname)),
            Name::RedirectTo(host, _) => by_host.get(&Hostname::Exact(host.clone())),
        };
        if let Some(certificate) = certificate.cloned() {
            by_host.insert(hostname.clone(), certificate);
        }
    }
    by_host
}

/// The certificate of a host in one Ingress: of the `tls` entry that lists it,
/// else of any whose certificate covers it. An entry that lists it and names
/// no Secret asks for the default certificate.
fn choose<'a>(
    hostname: &Hostname,
    entries: &[TlsEntry],
    certificates: &'a [Option<Arc<Certificate>>],
) -> Option<&'a Arc<Certificate>> {
    let usable = |(_, certificate): (&TlsEntry, &'a Option<Arc<Certificate>>)| {
        let certificate = certificate.as_ref()?;
        certificate::covers(certificate, hostname).then_some(certificate)
    };
    let lists = |entry: &TlsEntry| entry.hosts.contains(hostname);
    if entries
        .iter()
        .find(|entry| lists(entry))
        .is_some_and(|entry| entry.secret.is_none())
    {
        return None;
    }
    let pairs = || entries.iter().zip(certificates);
    pairs()
        .filter(|(entry, _)| lists(entry))
        .find_map(usable)
        .or_else(|| pairs().find_map(usable))
}
