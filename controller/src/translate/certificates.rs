//! The certificate of each host that has TLS configured
//! (ingress-nginx-behaviour §11).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use tidegate_snapshot::{Certificate, Effect, Hostname, ObjectRef, Problem, RouteTable};

use super::certificate::{self, SecretError};
use super::ingress::{Model, TlsEntry};
use super::ingresses::{Changes, Ingresses};
use super::names::{Name, Names};
use super::problems::Problems;
use super::reason;
use crate::objects::{Cursor, Kind, Objects};
use crate::options::Options;

/// Remembers what each Secret holds.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    /// By address; holding the Secret keeps its address from being used again.
    memo: HashMap<usize, Memo>,
    generation: u64,
    latest: Option<Latest>,
}

/// What the latest choice for all hosts was made with, and what was wrong then.
#[derive(Debug)]
struct Latest {
    read: Cursor,
    names: Names,
    default: Option<Arc<Certificate>>,
    problems: Vec<Arc<Problem>>,
}

#[derive(Debug)]
struct Memo {
    _secret: Arc<Secret>,
    certificate: Result<Arc<Certificate>, SecretError>,
    seen: u64,
}

/// The certificates of a routing table.
#[derive(Debug)]
pub(super) struct Chosen {
    by_host: BTreeMap<Hostname, Arc<Certificate>>,
    default: Option<Arc<Certificate>>,
}

impl Chosen {
    /// Whether the table has just these.
    pub(super) fn is_same(&self, table: &RouteTable) -> bool {
        self.default == table.default_certificate && self.by_host == table.certificates
    }

    /// Puts them into the table; equal ones stay the same `Arc`.
    pub(super) fn store(mut self, table: &mut RouteTable) {
        for (hostname, certificate) in &mut self.by_host {
            if let Some(before) = table
                .certificates
                .get(hostname)
                .filter(|before| *before == certificate)
            {
                *certificate = before.clone();
            }
        }
        table.certificates = self.by_host;
        if self.default != table.default_certificate {
            table.default_certificate = self.default;
        }
    }
}

impl Certificates {
    /// Chooses for every host of an Ingress with a `tls` section: the first
    /// usable certificate in merge order, else the default one. `None`: as before.
    pub(super) fn update(
        &mut self,
        objects: &Objects,
        ingresses: &Ingresses,
        changes: &Changes,
        names: &Names,
        options: &Options,
        problems: &mut Problems,
    ) -> Option<Chosen> {
        self.generation += 1;
        let default = self.default_certificate(objects, options, problems);
        if !self.is_current(objects, changes, names, default.as_ref()) {
            let mut found = Problems::default();
            let chosen = self.choose_all(objects, ingresses.usable(), names, default.as_ref(), &mut found);
            let latest = self.latest.insert(Latest {
                read: objects.cursor(),
                names: names.clone(),
                problems: found.finish(),
                default,
            });
            problems.remember(latest.problems.iter());
            return Some(chosen);
        }
        if let Some(latest) = &mut self.latest {
            latest.read = objects.cursor();
            problems.remember(latest.problems.iter());
        }
        None
    }

    /// Whether choosing would come to what it came to before.
    fn is_current(
        &self,
        objects: &Objects,
        changes: &Changes,
        names: &Names,
        default: Option<&Arc<Certificate>>,
    ) -> bool {
        let Some(latest) = &self.latest else { return false };
        let Some(mut changed) = objects.changed_since(&latest.read) else {
            return false;
        };
        let mut models = changes.gone.iter().chain(&changes.new);
        latest.default.as_ref() == default
            && latest.names == *names
            && models.all(|model| model.tls.is_empty())
            && changed.all(|(kind, _)| kind != Kind::Secret)
    }

    fn choose_all(
        &mut self,
        objects: &Objects,
        usable: &[Arc<Model>],
        names: &Names,
        default: Option<&Arc<Certificate>>,
        problems: &mut Problems,
    ) -> Chosen {
        let mut chosen: BTreeMap<&Hostname, Option<Arc<Certificate>>> = BTreeMap::new();
        let with_tls = |model: &&Arc<Model>| model.serves() && !model.tls.is_empty();
        for model in usable.iter().filter(with_tls) {
            let certificates: Vec<_> = model
                .tls
                .iter()
                .enumerate()
                .map(|(index, entry)| self.of_entry(objects, model, index, entry, problems))
                .collect();
            for host in model.hosts.iter().filter(|host| host.hostname != Hostname::Any) {
                let place = chosen.entry(&host.hostname).or_default();
                if place.is_none() {
                    *place = choose(&host.hostname, &model.tls, &certificates).cloned();
                }
            }
        }
        let generation = self.generation;
        self.memo.retain(|_, memo| memo.seen == generation);
        let by_host: BTreeMap<_, _> = chosen
            .into_iter()
            .filter_map(|(hostname, certificate)| {
                Some((hostname.clone(), certificate.or_else(|| default.cloned())?))
            })
            .collect();
        let by_host = with_names(by_host, names);
        Chosen {
            by_host,
            default: default.cloned(),
        }
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
        problems: &mut Problems,
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
