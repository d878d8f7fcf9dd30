//! Server-side TLS: the rustls configuration for a server name.
//!
//! A routing table has one [`ServerConfig`] for all its names, whose resolver
//! looks the certificate up; certificates that did not change are taken over
//! from the compilation before.

mod client;
mod config;
mod demands;
mod names;
pub mod ocsp;
mod sessions;
mod signatures;
mod ticketer;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};
use std::sync::atomic::AtomicU64;
use tidegate_snapshot::{Certificate, Hostname, RouteTable, TlsSettings};
use tracing::warn;

use crate::listener::Handshakes;

use config::server_config;
pub(crate) use config::{suites, without_alpn, without_http2};
use demands::Demands;
pub(crate) use signatures::signatures_by_provider;

pub use client::{Authority, Client, Verdict};
pub use names::{cipher_name, protocol_name};

/// Makes aws-lc-rs the process's TLS library; to be called before anything of
/// Pingora, which would install another. Calling it again does nothing.
pub fn install_provider() {
    let _ = aws_lc_rs::default_provider().install_default();
}

/// A server name as certificates are looked up by: lower case, without a
/// trailing dot.
pub fn normalize(server_name: &str) -> Arc<str> {
    let name = server_name.strip_suffix('.').unwrap_or(server_name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}

/// The certificates of one routing table, ready for handshakes.
#[derive(Clone, Default)]
pub struct Certificates(Option<Arc<Compiled>>);

struct Compiled {
    names: Arc<Names>,
    settings: Arc<TlsSettings>,
    config: Arc<ServerConfig>,
    demands: Demands,
    rejects_unknown: bool,
}

/// A certificate and the key that rustls signs with.
struct Entry {
    spec: Arc<Certificate>,
    /// With the newest OCSP response, if there is one.
    key: ArcSwap<CertifiedKey>,
    /// How to ask for one; looked for when that is wanted.
    question: OnceLock<Option<Arc<ocsp::Question>>>,
}

/// Who is found by which name.
#[derive(Default)]
struct Names {
    exact: HashMap<Arc<str>, Arc<Entry>>,
    /// By the part behind `*.`.
    wildcard: HashMap<Arc<str>, Arc<Entry>>,
    /// The same for names of any number of labels.
    subdomains: HashMap<Arc<str>, Arc<Entry>>,
    /// For everything else.
    default: Option<Arc<Entry>>,
}

impl Certificates {
    /// Compiles the certificates of `table`, taking over from `previous` what
    /// is equal. One whose key the TLS library cannot use is left out with a
    /// warning: its names then get the default certificate.
    pub fn compile(previous: Option<&Self>, table: &RouteTable) -> Self {
        let previous = previous.and_then(|previous| previous.0.as_ref());
        let mut entries = Entries::new(previous);
        let mut names = Names::default();
        for (hostname, certificate) in &table.certificates {
            let Some(entry) = entries.entry(certificate) else {
                continue;
            };
            match hostname {
                Hostname::Exact(name) => drop(names.exact.insert(Arc::clone(name), entry)),
                Hostname::Wildcard(suffix) => drop(names.wildcard.insert(Arc::clone(suffix), entry)),
                Hostname::Subdomains(suffix) => drop(names.subdomains.insert(Arc::clone(suffix), entry)),
                // Never made: an alias has the certificate that covers it, or the default.
                Hostname::Regex(_) => {}
                Hostname::Any => names.default = Some(entry),
            }
        }
        if names.default.is_none()
            && let Some(certificate) = &table.default_certificate
        {
            names.default = entries.entry(certificate);
        }
        if names.is_empty() {
            return Self(None);
        }
        let kept = previous.filter(|previous| previous.names.same(&names) && previous.settings == table.tls);
        let (names, config) = match kept {
            Some(kept) => (Arc::clone(&kept.names), Arc::clone(&kept.config)),
            None => {
                let names = Arc::new(names);
                let config = Arc::new(server_config(Arc::clone(&names), None, &table.tls));
                (names, config)
            }
        };
        let demands = Demands::new(kept.map(|kept| &kept.demands), table, &names);
        match kept {
            Some(kept)
                if kept.demands.same(&demands) && kept.rejects_unknown == table.reject_unknown_names =>
            {
                Self(Some(Arc::clone(kept)))
            }
            _ => Self(Some(Arc::new(Compiled {
                names,
                settings: Arc::clone(&table.tls),
                config,
                demands,
                rejects_unknown: table.reject_unknown_names,
            }))),
        }
    }

    /// The configuration for a client that asks for `server_name`, which is
    /// [`normalize`]d. `None`: there is no certificate for it, or it is unknown
    /// and such are refused.
    pub fn config(&self, server_name: Option<&str>) -> Option<&Arc<ServerConfig>> {
        let compiled = self.0.as_ref()?;
        compiled.names.find(server_name)?;
        if compiled.rejects_unknown && !compiled.demands.knows(server_name) {
            return None;
        }
        let demand = compiled.demands.find(server_name);
        Some(demand.map_or(&compiled.config, |demand| &demand.config))
    }

    /// Who judges the certificates of such a client; `None`: it is asked for
    /// none.
    pub fn authority(&self, server_name: Option<&str>) -> Option<&Arc<Authority>> {
        let demand = self.0.as_ref()?.demands.find(server_name)?;
        demand.authority.as_ref()
    }

    /// The certificate that such a client is shown.
    pub fn certificate(&self, server_name: Option<&str>) -> Option<&Arc<Certificate>> {
        Some(&self.0.as_ref()?.names.find(server_name)?.spec)
    }
}

impl Names {
    fn find(&self, server_name: Option<&str>) -> Option<&Arc<Entry>> {
        let named = server_name.and_then(|name| {
            self.exact.get(name).or_else(|| {
                let (label, suffix) = name.split_once('.')?;
                if label.is_empty() {
                    return None;
                }
                self.wildcard.get(suffix).or_else(|| self.subdomains(name))
            })
        });
        named.or(self.default.as_ref())
    }

    /// The longest suffix that leaves a label.
    fn subdomains(&self, name: &str) -> Option<&Arc<Entry>> {
        if self.subdomains.is_empty() {
            return None;
        }
        let suffixes = std::iter::successors(Some(name), |rest| Some(rest.split_once('.')?.1));
        suffixes.skip(1).find_map(|suffix| self.subdomains.get(suffix))
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty()
            && self.wildcard.is_empty()
            && self.subdomains.is_empty()
            && self.default.is_none()
    }

    /// Whether both find the very same entries.
    fn same(&self, other: &Self) -> bool {
        let equal = |a: &HashMap<Arc<str>, Arc<Entry>>, b: &HashMap<Arc<str>, Arc<Entry>>| {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, entry)| b.get(name).is_some_and(|other| Arc::ptr_eq(entry, other)))
        };
        equal(&self.exact, &other.exact)
            && equal(&self.wildcard, &other.wildcard)
            && equal(&self.subdomains, &other.subdomains)
            && match (&self.default, &other.default) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (a, b) => a.is_none() && b.is_none(),
            }
    }

    fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.exact
            .values()
            .chain(self.wildcard.values())
            .chain(self.subdomains.values())
            .chain(&self.default)
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(normalize);
        Some(self.find(name.as_deref())?.key.load_full())
    }
}

/// Entries by fingerprint, old and new ones.
struct Entries {
    known: HashMap<String, Option<Arc<Entry>>>,
}

impl Entries {
    fn new(previous: Option<&Arc<Compiled>>) -> Self {
        let known = previous
            .into_iter()
            .flat_map(|compiled| compiled.names.entries())
            .map(|entry| (entry.spec.fingerprint.clone(), Some(Arc::clone(entry))))
            .collect();
        Self { known }
    }

    fn entry(&mut self, certificate: &Arc<Certificate>) -> Option<Arc<Entry>> {
        if let Some(known) = self.known.get(&certificate.fingerprint) {
            match known {
                Some(entry) if Arc::ptr_eq(&entry.spec, certificate) || entry.spec == *certificate => {
                    return Some(Arc::clone(entry));
                }
                // The same leaf with another chain or key: parsed again.
                Some(_) => {}
                None => return None,
            }
        }
        let entry = certified_key(certificate).map(|key| {
            Arc::new(Entry {
                spec: Arc::clone(certificate),
                key: ArcSwap::from_pointee(key),
                question: OnceLock::new(),
            })
        });
        self.known.insert(certificate.fingerprint.clone(), entry.clone());
        entry
    }
}

fn certified_key(certificate: &Certificate) -> Option<CertifiedKey> {
    let key = certificate.key.der().clone_key();
    CertifiedKey::from_der(certificate.chain.clone(), key, &provider())
        .inspect_err(|error| {
            warn!(
                certificate = %certificate.origin,
                %error,
                "certificate cannot be used, its names get the default certificate"
            );
        })
        .ok()
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
    });
    Arc::clone(&PROVIDER)
}

/// Where a finished handshake is counted.
pub(crate) fn handshake_counter<'a>(session: &ServerConnection, handshakes: &'a Handshakes) -> &'a AtomicU64 {
    let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    match (session.protocol_version(), resumed) {
        (Some(rustls::ProtocolVersion::TLSv1_2), false) => &handshakes.tls12_full,
        (Some(rustls::ProtocolVersion::TLSv1_2), true) => &handshakes.tls12_resumed,
        (_, false) => &handshakes.tls13_full,
        (_, true) => &handshakes.tls13_resumed,
    }
}

#[cfg(test)]
mod tests;
