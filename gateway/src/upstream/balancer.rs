//! Choosing one endpoint of a set.
//!
//! Every algorithm answers one question: which of the endpoints that pass a
//! filter comes next. [`Balancer::pick`] asks with weaker and weaker filters
//! until there is an answer. The filter is tried on the algorithm's first
//! choice; only when that one is out does anyone look at the whole set.

mod consistent;
mod power_of_two;
pub(super) mod rendezvous;
mod round_robin;

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_snapshot::LoadBalancing;

use self::consistent::Ring;
use self::round_robin::RoundRobin;
use super::endpoint::{EndpointState, Scope};

/// The endpoints of a cluster at one moment, by address.
#[derive(Default)]
pub(super) struct EndpointSet {
    pub(super) endpoints: Box<[Arc<EndpointState>]>,
    /// Only for consistent hashing: 1.3 KiB for each endpoint.
    ring: Option<Ring>,
}

/// The algorithm of a cluster with the state that it keeps between requests.
pub(super) enum Balancer {
    RoundRobin(RoundRobin),
    LeastRequest,
    Ewma,
    ConsistentHash,
    HashSubset(usize),
}

impl Balancer {
    pub(super) fn new(wanted: &LoadBalancing) -> Self {
        match wanted {
            LoadBalancing::RoundRobin => Self::RoundRobin(RoundRobin::new()),
            LoadBalancing::LeastRequest => Self::LeastRequest,
            LoadBalancing::Ewma => Self::Ewma,
            LoadBalancing::ConsistentHash(_) => Self::ConsistentHash,
            LoadBalancing::HashSubset { size, .. } => Self::HashSubset(*size as usize),
        }
    }

    /// Makes a set of endpoints that are sorted by address. Builds the ring:
    /// call it off the request path.
    pub(super) fn arrange(&self, endpoints: Box<[Arc<EndpointState>]>) -> EndpointSet {
        let ring = matches!(self, Self::ConsistentHash).then(|| Ring::new(&endpoints));
        EndpointSet { endpoints, ring }
    }

    /// The endpoint, and whether it is one that should not be used; see
    /// [`super::Cluster::pick`] for the order.
    pub(super) fn pick<'a>(
        &self,
        set: &'a EndpointSet,
        hash: u64,
        tried: &[SocketAddr],
        scope: &Scope,
    ) -> Option<(&'a Arc<EndpointState>, bool)> {
        if let [only] = &*set.endpoints {
            return Some((only, false));
        }
        let draw = self.draw(hash, tried);
        let usable = |endpoint: &EndpointState| endpoint.usable(scope);
        let fresh = |endpoint: &EndpointState| !tried.contains(&endpoint.address());
        self.admitted(set, draw, scope, |endpoint| fresh(endpoint) && usable(endpoint))
            .map(|endpoint| (endpoint, false))
            .or_else(|| {
                self.choose(set, draw, scope, fresh)
                    .map(|endpoint| (endpoint, true))
            })
            .or_else(|| {
                self.admitted(set, draw, scope, usable)
                    .map(|endpoint| (endpoint, false))
            })
            .or_else(|| {
                self.choose(set, draw, scope, |_| true)
                    .map(|endpoint| (endpoint, true))
            })
    }

    /// The number that decides a pick, drawn once for it however often filters
    /// weaken: two turns for one request would make two endpoints look alike to
    /// every second one. A retry takes no turn either.
    fn draw(&self, hash: u64, tried: &[SocketAddr]) -> u64 {
        match self {
            Self::RoundRobin(turns) if tried.is_empty() => turns.next(),
            Self::ConsistentHash | Self::HashSubset(_) => hash,
            _ => rand::random(),
        }
    }

    /// Like [`Balancer::choose`] among usable ones; asks again when another
    /// request has just become the probe of the chosen one.
    fn admitted<'a>(
        &self,
        set: &'a EndpointSet,
        draw: u64,
        scope: &Scope,
        allowed: impl Fn(&EndpointState) -> bool,
    ) -> Option<&'a Arc<EndpointState>> {
        loop {
            let endpoint = self.choose(set, draw, scope, &allowed)?;
            if endpoint.admit(scope) {
                return Some(endpoint);
            }
        }
    }

    fn choose<'a>(
        &self,
        set: &'a EndpointSet,
        draw: u64,
        scope: &Scope,
        allowed: impl Fn(&EndpointState) -> bool,
    ) -> Option<&'a Arc<EndpointState>> {
        let endpoints = &*set.endpoints;
        let index = match self {
            Self::RoundRobin(_) => round_robin::choose(endpoints, draw, allowed),
            Self::LeastRequest => {
                power_of_two::choose(endpoints, draw, allowed, |endpoint| endpoint.in_flight())
            }
            Self::Ewma => {
                let now = scope.now();
                power_of_two::choose(endpoints, draw, allowed, |endpoint| {
                    endpoint.latency.micros(now) * (endpoint.in_flight() + 1) as f32
                })
            }
            Self::HashSubset(size) => rendezvous::any_of(endpoints, draw, *size, allowed),
            Self::ConsistentHash => match &set.ring {
                Some(ring) => ring.choose(endpoints, draw, allowed),
                None => nth_allowed(endpoints, draw, allowed),
            },
        }?;
        endpoints.get(index)
    }
}

/// The `turn`th of the allowed endpoints, counted round and round: an even
/// share for each of them, where "the next one" would give a neighbour of an
/// unusable endpoint twice its share.
fn nth_allowed(
    endpoints: &[Arc<EndpointState>],
    turn: u64,
    allowed: impl Fn(&EndpointState) -> bool,
) -> Option<usize> {
    let candidates = || {
        endpoints
            .iter()
            .enumerate()
            .filter(|(_, endpoint)| allowed(endpoint))
    };
    let count = candidates().count() as u64;
    let nth = turn.checked_rem(count)? as usize;
    candidates().nth(nth).map(|(index, _)| index)
}

#[cfg(test)]
mod tests;
