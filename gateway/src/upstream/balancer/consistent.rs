//! Consistent hashing on nginx's ketama ring: an endpoint that leaves moves only
//! its own keys, one that comes takes only its share. The ring depends on the
//! addresses alone, so all replicas agree without speaking.

use std::net::SocketAddr;
use std::sync::Arc;

use pingora_ketama::{Bucket, Continuum};

use super::nth_allowed;
use crate::upstream::endpoint::EndpointState;

/// Points of the ring that are looked at for an allowed endpoint before the
/// rest is chosen from by the hash alone. Only a set with nearly every endpoint
/// out comes this far.
const MAX_STEPS: usize = 1024;

/// 160 points for each endpoint.
pub(super) struct Ring(Continuum);

impl Ring {
    pub(super) fn new(endpoints: &[Arc<EndpointState>]) -> Self {
        let buckets: Vec<Bucket> = endpoints
            .iter()
            .map(|endpoint| Bucket::new(endpoint.address(), 1))
            .collect();
        Self(Continuum::new(&buckets))
    }

    /// The first allowed endpoint on the ring from the point of `hash`.
    pub(super) fn choose(
        &self,
        endpoints: &[Arc<EndpointState>],
        hash: u64,
        allowed: impl Fn(&EndpointState) -> bool,
    ) -> Option<usize> {
        let mut point = self.0.node_idx(&hash.to_le_bytes());
        let mut refused: Option<SocketAddr> = None;
        for _ in 0..MAX_STEPS {
            let address = *self.0.get_addr(&mut point)?;
            if refused == Some(address) {
                continue;
            }
            let index = endpoints
                .binary_search_by_key(&address, |endpoint| endpoint.address())
                .ok()?;
            if allowed(&endpoints[index]) {
                return Some(index);
            }
            refused = Some(address);
        }
        nth_allowed(endpoints, hash, allowed)
    }
}
