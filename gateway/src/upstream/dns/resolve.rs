//! Asking a DNS server.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::system_conf::read_system_conf;
use tokio::sync::OnceCell;

/// What a name resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// In any order.
    pub addresses: Vec<IpAddr>,
    /// How long it holds.
    pub ttl: Duration,
}

/// Why a name has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ResolveError(pub String);

/// Turns names into addresses.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of `name`; one with a trailing dot is absolute.
    ///
    /// # Errors
    /// When there is no answer, or none with an address.
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError>;
}

/// A resolver with a given configuration. Keeps no answers: whoever asks knows
/// their time to live.
pub struct DnsResolver(TokioResolver);

impl DnsResolver {
    /// Asks the servers of `config`; search domains and `options.ndots` hold.
    pub fn new(config: ResolverConfig, mut options: ResolverOpts) -> Self {
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        let builder = TokioResolver::builder_with_config(config, TokioConnectionProvider::default());
        Self(builder.with_options(options).build())
    }
}

#[async_trait]
impl Resolve for DnsResolver {
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        let lookup = self
            .0
            .lookup_ip(name)
            .await
            .map_err(|error| ResolveError(error.to_string()))?;
        Ok(Answer {
            addresses: lookup.iter().collect(),
            ttl: lookup.valid_until().saturating_duration_since(Instant::now()),
        })
    }
}

/// The resolver of the system's resolv.conf, read with the first question: most
/// installations never ask one.
#[derive(Default)]
pub struct SystemResolver(OnceCell<DnsResolver>);

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        let read = || async {
            let (config, options) =
                read_system_conf().map_err(|error| ResolveError(format!("resolv.conf: {error}")))?;
            Ok(DnsResolver::new(config, options))
        };
        self.0.get_or_try_init(read).await?.resolve(name).await
    }
}
