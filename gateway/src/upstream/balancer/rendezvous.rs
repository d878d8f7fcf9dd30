//! Highest random weight ("rendezvous") hashing: every endpoint bids for a key,
//! the highest bid has it. An endpoint that leaves moves only its own keys,
//! nothing is stored, and all replicas agree. It looks at every endpoint, which
//! for what one Service has costs less than a ring costs in memory.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::upstream::endpoint::EndpointState;

/// The allowed endpoint with the highest bid for the key `hash`.
pub(in crate::upstream) fn choose(
    endpoints: &[Arc<EndpointState>],
    hash: u64,
    allowed: impl Fn(&EndpointState) -> bool,
) -> Option<&Arc<EndpointState>> {
    endpoints
        .iter()
        .filter(|endpoint| allowed(endpoint))
        .max_by_key(|endpoint| mix(endpoint.tag() ^ hash))
}

/// Any of the `size` allowed endpoints with the highest bids for the key
/// `hash`.
pub(super) fn any_of(
    endpoints: &[Arc<EndpointState>],
    hash: u64,
    size: usize,
    allowed: impl Fn(&EndpointState) -> bool,
) -> Option<usize> {
    let mut bids: Vec<(Reverse<u64>, usize)> = endpoints
        .iter()
        .enumerate()
        .filter(|(_, endpoint)| allowed(endpoint))
        .map(|(index, endpoint)| (Reverse(mix(endpoint.tag() ^ hash)), index))
        .collect();
    if size < bids.len() {
        bids.select_nth_unstable(size);
        bids.truncate(size);
    }
    let chosen = rand::random::<u64>().checked_rem(bids.len() as u64)? as usize;
    bids.get(chosen).map(|(_, index)| *index)
}

/// The finaliser of SplitMix64: fixed for ever, because replicas of different
/// releases must agree.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
