//! The better of two random endpoints: nearly as even as the best of all, at a
//! fixed cost, and without every replica rushing to the same best one.

use std::sync::Arc;

use super::nth_allowed;
use crate::upstream::endpoint::EndpointState;

/// The cheaper of two distinct endpoints that `random` names among the allowed
/// ones. With one of the two not allowed the other is taken as it is.
pub(super) fn choose<C: PartialOrd>(
    endpoints: &[Arc<EndpointState>],
    random: u64,
    allowed: impl Fn(&EndpointState) -> bool,
    cost: impl Fn(&EndpointState) -> C,
) -> Option<usize> {
    let count = endpoints.len() as u64;
    if count < 2 {
        return endpoints.first().filter(|endpoint| allowed(endpoint)).map(|_| 0);
    }
    let first = scale(random & u64::from(u32::MAX), count);
    let second = scale(random >> 32, count - 1);
    let second = if second >= first { second + 1 } else { second };
    match (allowed(&endpoints[first]), allowed(&endpoints[second])) {
        (true, true) if cost(&endpoints[second]) < cost(&endpoints[first]) => Some(second),
        (true, _) => Some(first),
        (false, true) => Some(second),
        (false, false) => two_of_allowed(endpoints, random, allowed, cost),
    }
}

/// As [`choose`], looking at the whole set.
fn two_of_allowed<C: PartialOrd>(
    endpoints: &[Arc<EndpointState>],
    random: u64,
    allowed: impl Fn(&EndpointState) -> bool,
    cost: impl Fn(&EndpointState) -> C,
) -> Option<usize> {
    let first = nth_allowed(endpoints, random & u64::from(u32::MAX), &allowed)?;
    let other =
        |endpoint: &EndpointState| allowed(endpoint) && endpoint.address() != endpoints[first].address();
    match nth_allowed(endpoints, random >> 32, other) {
        Some(second) if cost(&endpoints[second]) < cost(&endpoints[first]) => Some(second),
        _ => Some(first),
    }
}

/// Maps 32 random bits to `0..count`.
fn scale(random: u64, count: u64) -> usize {
    ((random * count) >> 32) as usize
}
