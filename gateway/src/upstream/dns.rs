//! Endpoints from DNS, for Services of type ExternalName, in one task.
//!
//! Follows ingress-nginx: A records, AAAA only where there is no A; search
//! domains and ndots as in resolv.conf, none for a name with a trailing dot;
//! loopback answers are refused, or a Service could reach into this pod. Unlike
//! it, a name that cannot be resolved keeps its last good answer.

mod lookups;
mod resolve;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tidegate_snapshot::Discovery;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::cluster::Cluster;
use super::rounds::{Round, Rounds};
use super::shared::Counters;

pub use lookups::Lookups;
pub use resolve::{Answer, DnsResolver, Resolve, ResolveError, SystemResolver};

/// Bounds on how long an answer is used: nothing is asked more often than
/// ingress-nginx looks (every second), and a change is seen within a minute.
const SHORTEST_TTL: Duration = Duration::from_secs(1);
/// See [`SHORTEST_TTL`].
const LONGEST_TTL: Duration = Duration::from_secs(60);

/// Until the next try after a failure; doubles with each, up to
/// [`LONGEST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// See [`FIRST_BACKOFF`].
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Names asked for at once.
const MAX_CONCURRENT_QUERIES: usize = 16;

/// Resolves the name of every cluster that has one; never ends.
pub(super) async fn run(rounds: &Rounds, resolver: &dyn Resolve, counters: &Counters) {
    let permits = Semaphore::new(MAX_CONCURRENT_QUERIES);
    let work = |cluster, failures| look_up(cluster, failures, resolver, &permits, counters);
    rounds.run(|_| Instant::now(), work).await;
}

/// Asks once and sets the endpoints; answers with the next lookup, or `None`
/// when the cluster is gone.
async fn look_up(
    watched: Weak<Cluster>,
    failures: u32,
    resolver: &dyn Resolve,
    permits: &Semaphore,
    counters: &Counters,
) -> Option<Round> {
    let _permit = permits.acquire().await.ok()?;
    let (name, port, ipv4_only) = match &watched.upgrade()?.spec.discovery {
        Discovery::Dns {
            name,
            port,
            ipv4_only,
        } => (Arc::clone(name), *port, *ipv4_only),
        Discovery::Snapshot => return None,
    };
    let result = resolver.resolve(&name).await;
    let cluster = watched.upgrade()?;
    let (wait, failures) = match result {
        Ok(mut answer) => {
            counters.names_resolved.increment();
            answer.addresses.retain(|address| !ipv4_only || address.is_ipv4());
            cluster.set_addresses(acceptable(&answer, &name, port));
            (answer.ttl.clamp(SHORTEST_TTL, LONGEST_TTL), 0)
        }
        Err(error) => {
            counters.names_failed.increment();
            if failures == 0 {
                tracing::warn!(cluster = %cluster.key(), %name, %error, "name not resolved");
            }
            (backoff(failures), failures.saturating_add(1))
        }
    };
    Some(Round {
        due: Instant::now() + wait,
        cluster: watched,
        failures,
    })
}

fn backoff(failures: u32) -> Duration {
    (FIRST_BACKOFF * (1 << failures.min(8))).min(LONGEST_BACKOFF)
}

/// The addresses that may be connected to.
fn acceptable(answer: &Answer, name: &str, port: u16) -> Vec<SocketAddr> {
    let (refused, accepted): (Vec<IpAddr>, Vec<IpAddr>) = answer
        .addresses
        .iter()
        .partition(|address| is_this_host(**address));
    if !refused.is_empty() {
        tracing::warn!(%name, addresses = ?refused, "loopback address from DNS refused");
    }
    accepted
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect()
}

/// Loopback, or unspecified, which connects to loopback too.
fn is_this_host(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

#[cfg(test)]
mod tests;
