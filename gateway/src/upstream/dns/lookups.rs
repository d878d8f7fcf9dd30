//! Addresses of names that requests ask for while they wait, such as the host
//! of an external authentication service.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{LONGEST_TTL, Resolve, ResolveError, SHORTEST_TTL, SystemResolver, acceptable};

/// How long a request waits for DNS.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A failure is not asked about again before.
const FAILURE_TTL: Duration = Duration::from_secs(1);
/// Names that are remembered; clients may have a say in them.
const CAPACITY: usize = 1024;

/// Names and their addresses, asked for when needed, remembered for their time
/// to live. A name that cannot be resolved any more keeps its last good answer.
pub struct Lookups {
    resolver: Arc<dyn Resolve>,
    known: Mutex<HashMap<Box<str>, Arc<Name>>>,
}

#[derive(Default)]
struct Name {
    state: Mutex<State>,
    /// Held while the resolver is asked: one question at a time.
    asking: tokio::sync::Mutex<()>,
    next: AtomicUsize,
}

#[derive(Default)]
struct State {
    addresses: Arc<[SocketAddr]>,
    error: Option<ResolveError>,
    /// `None`: never asked.
    until: Option<Instant>,
}

impl Default for Lookups {
    /// Asks the servers of the system's resolv.conf.
    fn default() -> Self {
        Self::new(Arc::new(SystemResolver::default()))
    }
}

impl Lookups {
    /// Asks `resolver`.
    pub fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self {
            resolver,
            known: Mutex::default(),
        }
    }

    /// An address of `host`, another one each time if there are several. A host
    /// that is an address (IPv6 in brackets or not) is taken as it is.
    ///
    /// # Errors
    /// When the name has no answer within 5 seconds, and never had one.
    pub async fn address(&self, host: &str, port: u16) -> Result<SocketAddr, ResolveError> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(host).parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let name = self.name(host);
        if let Some(answer) = name.fresh() {
            return answer.map(|address| with_port(address, port));
        }
        let _asking = name.asking.lock().await;
        // Somebody else may have asked meanwhile.
        if name.fresh().is_none() {
            self.ask(host, &name).await;
        }
        let answer = name
            .fresh()
            .unwrap_or_else(|| Err(ResolveError("no answer".to_owned())));
        answer.map(|address| with_port(address, port))
    }

    fn name(&self, host: &str) -> Arc<Name> {
        let mut known = self.known.lock();
        if let Some(name) = known.get(host) {
            return name.clone();
        }
        if known.len() >= CAPACITY {
            known.retain(|_, name| name.fresh().is_some());
            if known.len() >= CAPACITY {
                known.clear();
            }
        }
        known.entry(host.into()).or_default().clone()
    }

    async fn ask(&self, host: &str, name: &Name) {
        let answer = match timeout(TIMEOUT, self.resolver.resolve(host)).await {
            Ok(answer) => answer,
            Err(_) => Err(ResolveError(format!(
                "{host}: no answer from DNS within {TIMEOUT:?}"
            ))),
        };
        let mut state = name.state.lock();
        match answer {
            Ok(answer) => {
                let addresses = acceptable(&answer, host, 0);
                state.error = addresses
                    .is_empty()
                    .then(|| ResolveError(format!("{host}: no address that may be used")));
                state.addresses = addresses.into();
                state.until = Some(Instant::now() + answer.ttl.clamp(SHORTEST_TTL, LONGEST_TTL));
            }
            Err(error) => {
                tracing::warn!(name = host, %error, "name not resolved");
                state.error = Some(error);
                state.until = Some(Instant::now() + FAILURE_TTL);
            }
        }
    }
}

impl Name {
    /// The answer, if it still holds.
    fn fresh(&self) -> Option<Result<SocketAddr, ResolveError>> {
        let state = self.state.lock();
        if state.until? <= Instant::now() {
            return None;
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        Some(match (state.addresses.len(), &state.error) {
            (0, Some(error)) => Err(error.clone()),
            (0, None) => return None,
            (count, _) => Ok(state.addresses[at % count]),
        })
    }
}

fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.ip(), port)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::super::Answer;
    use super::*;

    /// Answers what it is set to, and counts.
    #[derive(Default)]
    struct Fake {
        addresses: Mutex<Vec<IpAddr>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Resolve for Fake {
        async fn resolve(&self, _: &str) -> Result<Answer, ResolveError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let addresses = self.addresses.lock().clone();
            if addresses.is_empty() {
                return Err(ResolveError("no such name".to_owned()));
            }
            Ok(Answer {
                addresses,
                ttl: Duration::from_secs(10),
            })
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_for_their_time_and_after_failures() {
        let fake = Arc::new(Fake::default());
        let lookups = Lookups::new(fake.clone());
        assert!(lookups.address("auth.team.svc", 80).await.is_err());
        assert!(lookups.address("auth.team.svc", 80).await.is_err());
        assert_eq!(fake.asked.load(Ordering::Relaxed), 1, "failures are remembered");
        *fake.addresses.lock() = vec![ip("10.0.0.1"), ip("10.0.0.2")];
        tokio::time::advance(Duration::from_secs(2)).await;
        let first = lookups.address("auth.team.svc", 80).await.unwrap();
        let second = lookups.address("auth.team.svc", 8080).await.unwrap();
        assert_ne!(first.ip(), second.ip());
        assert_eq!((first.port(), second.port()), (80, 8080));
        assert_eq!(fake.asked.load(Ordering::Relaxed), 2);
        fake.addresses.lock().clear();
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(
            lookups.address("auth.team.svc", 80).await.is_ok(),
            "the last good answer"
        );
        assert_eq!(fake.asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn addresses_need_no_resolver_and_names_never_mean_this_host() {
        let fake = Arc::new(Fake::default());
        let lookups = Lookups::new(fake.clone());
        let address = lookups.address("127.0.0.1", 80).await.unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:80");
        let address = lookups.address("[::1]", 80).await.unwrap();
        assert_eq!(address.to_string(), "[::1]:80");
        assert_eq!(fake.asked.load(Ordering::Relaxed), 0);
        *fake.addresses.lock() = vec![ip("127.0.0.1")];
        assert!(lookups.address("sneaky.example", 80).await.is_err());
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let fake = Arc::new(Fake::default());
        *fake.addresses.lock() = vec![ip("10.0.0.1")];
        let lookups = Lookups::new(fake);
        for number in 0..3 * CAPACITY {
            lookups.address(&format!("host-{number}"), 80).await.unwrap();
        }
        assert!(lookups.known.lock().len() <= CAPACITY);
    }
}
