//! A histogram of durations with fixed bounds: one atomic per bucket, so that
//! an observation is two additions and takes no lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus::proto;

use super::nanos;

/// Durations counted in `N` buckets, each up to and including its bound, and
/// one for all longer ones.
pub struct Histogram<const N: usize> {
    bounds: &'static [Duration; N],
    buckets: [AtomicU64; N],
    longer: AtomicU64,
    nanos: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// An empty one; `bounds` must rise.
    pub fn new(bounds: &'static [Duration; N]) -> Self {
        Self {
            bounds,
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            longer: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
        }
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let bucket = self.bounds.iter().position(|bound| duration <= *bound);
        let counter = bucket.map_or(&self.longer, |index| &self.buckets[index]);
        counter.fetch_add(1, Relaxed);
        self.nanos.fetch_add(nanos(duration), Relaxed);
    }

    /// The values now, as Prometheus has them: cumulative, in seconds.
    pub(super) fn read(&self) -> proto::Histogram {
        let mut total = 0;
        let buckets = self.bounds.iter().zip(&self.buckets).map(|(bound, counter)| {
            total += counter.load(Relaxed);
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound.as_secs_f64());
            bucket.set_cumulative_count(total);
            bucket
        });
        let buckets = buckets.collect();
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(total + self.longer.load(Relaxed));
        histogram.set_sample_sum(seconds(self.nanos.load(Relaxed)));
        histogram
    }
}

/// Nanoseconds as Prometheus wants them.
pub(super) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}
