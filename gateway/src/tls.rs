//! Server-side TLS: the rustls configuration for a server name.
//!
//! A routing table has one [`ServerConfig`] for all its names, whose resolver
//! looks the certificate up; certificates that did not change are taken over
//! from the compilation before.

mod client;
mod names;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache,
    StoresServerSessions,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};
use std::sync::atomic::AtomicU64;
use tidegate_snapshot::{Certificate, ClientAuth, Hostname, Pattern, RouteTable, VirtualHost};
use tracing::warn;

use crate::listener::Handshakes;

pub use client::{Authority, Client, Verdict};
pub use names::{cipher_name, protocol_name};

/// Sessions of TLS 1.2 clients without ticket support that are kept.
const SESSION_CACHE: usize = 8192;
/// The same for a host that asks for client certificates.
const OWN_SESSION_CACHE: usize = 256;

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
    config: Arc<ServerConfig>,
    demands: Demands,
}

/// Whose clients are asked for certificates, by the rules for hosts: a host that
/// asks for none hides a wildcard that does. Empty when no host asks.
#[derive(Default)]
struct Demands {
    exact: HashMap<Arc<str>, Option<Arc<Demand>>>,
    /// By the part behind `*.`.
    wildcard: HashMap<Arc<str>, Option<Arc<Demand>>>,
    /// The same for names of any number of labels.
    subdomains: HashMap<Arc<str>, Option<Arc<Demand>>>,
    /// In the order of the hosts.
    regex: Vec<(Pattern, Option<Arc<Demand>>)>,
    any: Option<Arc<Demand>>,
}

/// What a handshake needs to ask for certificates: a configuration of its own,
/// with tickets of its own, or a session of another host could be resumed here.
struct Demand {
    authority: Arc<Authority>,
    config: Arc<ServerConfig>,
}

/// A certificate and the key that rustls signs with.
struct Entry {
    spec: Arc<Certificate>,
    key: Arc<CertifiedKey>,
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
        let kept = previous.filter(|previous| previous.names.same(&names));
        let (names, config) = match kept {
            Some(kept) => (Arc::clone(&kept.names), Arc::clone(&kept.config)),
            None => {
                let names = Arc::new(names);
                let config = Arc::new(server_config(Arc::clone(&names), None));
                (names, config)
            }
        };
        let demands = Demands::new(kept.map(|kept| &kept.demands), table, &names);
        match kept {
            Some(kept) if kept.demands.same(&demands) => Self(Some(Arc::clone(kept))),
            _ => Self(Some(Arc::new(Compiled {
                names,
                config,
                demands,
            }))),
        }
    }

    /// The configuration for a client that asks for `server_name`, which is
    /// [`normalize`]d. `None`: there is no certificate for it.
    pub fn config(&self, server_name: Option<&str>) -> Option<&Arc<ServerConfig>> {
        let compiled = self.0.as_ref()?;
        compiled.names.find(server_name)?;
        let demand = compiled.demands.find(server_name);
        Some(demand.map_or(&compiled.config, |demand| &demand.config))
    }

    /// Who judges the certificates of such a client; `None`: it is asked for
    /// none.
    pub fn authority(&self, server_name: Option<&str>) -> Option<&Arc<Authority>> {
        let demand = self.0.as_ref()?.demands.find(server_name)?;
        Some(&demand.authority)
    }

    /// The certificate that such a client is shown.
    pub fn certificate(&self, server_name: Option<&str>) -> Option<&Arc<Certificate>> {
        Some(&self.0.as_ref()?.names.find(server_name)?.spec)
    }
}

impl Demands {
    fn new(previous: Option<&Self>, table: &RouteTable, names: &Arc<Names>) -> Self {
        let mut demands = Self::default();
        let asks = |host: &Arc<VirtualHost>| host.client_auth.is_some();
        if !table.hosts.values().any(asks) {
            return demands;
        }
        let mut made: Vec<Arc<Demand>> = Vec::new();
        for (hostname, host) in &table.hosts {
            let demand = host.client_auth.as_ref().and_then(|spec| {
                let same = |demand: &&Arc<Demand>| *demand.authority.spec == **spec;
                let before = previous.and_then(|previous| previous.named(hostname).filter(same));
                let demand = match made.iter().find(same).or(before) {
                    Some(demand) => Arc::clone(demand),
                    None => Arc::new(Demand::new(spec, names)?),
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

    fn find(&self, server_name: Option<&str>) -> Option<&Arc<Demand>> {
        let named = server_name.and_then(|name| {
            self.exact
                .get(name)
                .or_else(|| {
                    let (label, suffix) = name.split_once('.')?;
                    if label.is_empty() {
                        return None;
                    }
                    let mut suffixes =
                        std::iter::successors(Some(suffix), |rest| Some(rest.split_once('.')?.1));
                    let below = || suffixes.find_map(|suffix| self.subdomains.get(suffix));
                    self.wildcard.get(suffix).or_else(below)
                })
                .or_else(|| {
                    let matching = self.regex.iter().find(|(pattern, _)| pattern.is_match(name));
                    matching.map(|(_, demand)| demand)
                })
        });
        match named {
            Some(demand) => demand.as_ref(),
            None => self.any.as_ref(),
        }
    }

    /// Whether both find the very same demands.
    fn same(&self, other: &Self) -> bool {
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
    fn new(spec: &Arc<ClientAuth>, names: &Arc<Names>) -> Option<Self> {
        let authority = Arc::new(Authority::new(spec, provider())?);
        let config = server_config(Arc::clone(names), Some(Arc::clone(&authority)));
        Some(Self {
            authority,
            config: Arc::new(config),
        })
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
        Some(Arc::clone(&self.find(name.as_deref())?.key))
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
                key: Arc::new(key),
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

/// Sessions are shared by all that ask for no certificates; each that does has
/// its own.
fn server_config(names: Arc<Names>, authority: Option<Arc<Authority>>) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider has suites for both versions");
    let (builder, storage, ticketer) = match authority {
        None => (builder.with_no_client_auth(), session_storage(), ticketer()),
        Some(authority) => (
            builder.with_client_cert_verifier(authority),
            ServerSessionMemoryCache::new(OWN_SESSION_CACHE) as Arc<dyn StoresServerSessions>,
            aws_lc_rs::Ticketer::new().ok(),
        ),
    };
    let mut config = builder.with_cert_resolver(names);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // ingress-nginx sets `ssl_prefer_server_ciphers on`.
    config.ignore_client_order = true;
    config.session_storage = storage;
    match ticketer {
        Some(ticketer) => config.ticketer = ticketer,
        None => config.session_storage = Arc::new(NoServerSessionStorage {}),
    }
    config
}

/// The same for a listener that speaks HTTP/1.1 alone.
pub(crate) fn without_http2(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols.retain(|protocol| protocol != b"h2");
    Arc::new(config)
}

/// Shared by all tables without client certificates, so that a changed
/// certificate elsewhere does not cost every client a full handshake. rustls
/// resumes a session only for the server name that it was made with.
fn session_storage() -> Arc<dyn StoresServerSessions> {
    static STORAGE: LazyLock<Arc<ServerSessionMemoryCache>> =
        LazyLock::new(|| ServerSessionMemoryCache::new(SESSION_CACHE));
    Arc::clone(&*STORAGE) as Arc<dyn StoresServerSessions>
}

/// One ticket key for the process, which rustls rotates every six hours. `None`
/// when the system has no randomness to make one.
fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    static TICKETER: LazyLock<Option<Arc<dyn ProducesTickets>>> = LazyLock::new(|| {
        aws_lc_rs::Ticketer::new()
            .inspect_err(|error| warn!(%error, "no TLS session tickets"))
            .ok()
    });
    TICKETER.clone()
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
