//! A peak-sensitive moving average of latency, as ingress-nginx's `ewma`
//! balancer keeps: it follows a rise at once and a fall with a time constant of
//! ten seconds, and fades to nothing where no requests go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::endpoint::EndpointState;

/// Time constant of the decay (`DECAY_TIME` of ingress-nginx's ewma balancer,
/// 10 seconds).
const DECAY: Duration = Duration::from_secs(10);

/// What a failed try counts as: an endpoint that fails fast must not look fast.
pub(super) const FAILURE_PENALTY: Duration = Duration::from_secs(1);

/// The average in microseconds and the millisecond of its last change, packed
/// into one word so that both change together without a lock.
pub(super) struct Latency(AtomicU64);

impl Latency {
    /// An average that starts at `micros`.
    pub(super) fn new(micros: f32, now: u64) -> Self {
        Self(AtomicU64::new(pack(micros, now)))
    }

    /// Takes a sample in.
    pub(super) fn observe(&self, sample: Duration, now: u64) {
        let sample = sample.as_secs_f32() * 1e6;
        let next = |word| {
            let (average, weight) = unpack(word, now);
            let next = if sample >= average {
                sample
            } else {
                average * weight + sample * (1.0 - weight)
            };
            Some(pack(next, now))
        };
        // The closure always answers, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// The average in microseconds as of `now`.
    pub(super) fn micros(&self, now: u64) -> f32 {
        let (average, weight) = unpack(self.0.load(Ordering::Relaxed), now);
        average * weight
    }
}

fn pack(micros: f32, now: u64) -> u64 {
    (u64::from(micros.to_bits()) << 32) | (now & u64::from(u32::MAX))
}

/// The average, and how much of it the time since its last change has left.
fn unpack(word: u64, now: u64) -> (f32, f32) {
    // The stamp wraps every 49 days; a stamp ahead of `now` (another thread
    // read its clock later) is no time at all.
    let elapsed = (now as u32).wrapping_sub(word as u32) as i32;
    let weight = if elapsed <= 0 {
        1.0
    } else {
        (-(elapsed as f32) / DECAY.as_millis() as f32).exp()
    };
    (f32::from_bits((word >> 32) as u32), weight)
}

/// The mean over `endpoints` in microseconds, where a newcomer starts: starting
/// at nothing would send it every request at once.
pub(super) fn average(endpoints: &[Arc<EndpointState>], now: u64) -> f32 {
    if endpoints.is_empty() {
        return 0.0;
    }
    let sum: f32 = endpoints
        .iter()
        .map(|endpoint| endpoint.latency.micros(now))
        .sum();
    sum / endpoints.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_rise_at_once_and_a_fall_slowly() {
        let latency = Latency::new(0.0, 1);
        latency.observe(Duration::from_millis(80), 1);
        assert_eq!(latency.micros(1), 80_000.0);
        latency.observe(Duration::from_millis(8), 101);
        let after = latency.micros(101);
        assert!(after > 78_000.0 && after < 80_000.0, "{after}");
    }

    #[test]
    fn fades_without_requests() {
        let latency = Latency::new(1000.0, 1);
        let left = latency.micros(10_001) / 1000.0;
        assert!((left - (-1.0f32).exp()).abs() < 1e-3, "{left}");
    }

    #[test]
    fn a_stamp_from_the_future_does_not_count_as_an_age() {
        let latency = Latency::new(1000.0, 500);
        assert_eq!(latency.micros(499), 1000.0);
    }
}
