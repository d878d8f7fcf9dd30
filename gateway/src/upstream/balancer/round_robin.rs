//! In turn, from a random start: with many replicas and clusters a fixed start
//! would send everybody's first request to the lowest address.

use std::sync::Arc;

use pingora_load_balancing::selection::{SelectionAlgorithm, algorithms};

use super::nth_allowed;
use crate::upstream::endpoint::EndpointState;

/// Whose turn it is.
pub(in crate::upstream) struct RoundRobin {
    start: u32,
    turns: algorithms::RoundRobin,
}

impl RoundRobin {
    pub(super) fn new() -> Self {
        Self {
            start: rand::random(),
            turns: algorithms::RoundRobin::new(),
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.turns.next(&[]).wrapping_add(u64::from(self.start))
    }
}

/// The endpoint whose turn it is; when it is not allowed, its turns go round
/// the allowed ones.
pub(super) fn choose(
    endpoints: &[Arc<EndpointState>],
    turn: u64,
    allowed: impl Fn(&EndpointState) -> bool,
) -> Option<usize> {
    let count = endpoints.len() as u64;
    let index = turn.checked_rem(count)? as usize;
    if allowed(&endpoints[index]) {
        return Some(index);
    }
    // By whole rounds: `turn` itself is the same modulo `count` each time.
    nth_allowed(endpoints, turn / count, allowed)
}
