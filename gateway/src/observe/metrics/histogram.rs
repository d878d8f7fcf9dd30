//! A histogram with fixed bounds: one atomic per bucket, so that an observation
//! is two additions and takes no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus::proto;

use super::nanos;

/// Upper bounds of buckets, rising, and the unit that they are shown in.
#[derive(Clone, Debug)]
pub struct Bounds {
    values: Arc<[u64]>,
    /// How many of what is counted make one of what is shown.
    scale: f64,
}

impl Bounds {
    /// Of durations, shown in seconds.
    pub fn durations(bounds: &[Duration]) -> Self {
        Self {
            values: bounds.iter().map(|bound| nanos(*bound)).collect(),
            scale: 1e9,
        }
    }

    /// Of sizes, in bytes.
    pub fn sizes(bounds: &[u64]) -> Self {
        Self {
            values: bounds.into(),
            scale: 1.0,
        }
    }

    /// How many series a histogram has: buckets, the one without a bound, sum
    /// and count.
    pub(super) fn series(&self) -> usize {
        self.values.len() + 3
    }
}

/// Values counted in buckets, each up to and including its bound, and one for
/// all that are greater.
pub struct Histogram {
    bounds: Bounds,
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            bounds: bounds.clone(),
            buckets: (0..=bounds.values.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        self.add(nanos(duration));
    }

    /// Counts one value.
    pub fn add(&self, value: u64) {
        let bucket = self.bounds.values.iter().position(|bound| value <= *bound);
        let bucket = bucket.unwrap_or(self.bounds.values.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// The values now, as Prometheus has them: cumulative.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn read(&self) -> proto::Histogram {
        let mut total = 0;
        let buckets = self.bounds.values.iter().zip(&self.buckets);
        let buckets = buckets.map(|(bound, counter)| {
            total += counter.load(Relaxed);
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound as f64 / self.bounds.scale);
            bucket.set_cumulative_count(total);
            bucket
        });
        let buckets = buckets.collect();
        let beyond = self.buckets.last().map_or(0, |counter| counter.load(Relaxed));
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(total + beyond);
        histogram.set_sample_sum(self.sum.load(Relaxed) as f64 / self.bounds.scale);
        histogram
    }
}

/// Nanoseconds as Prometheus wants them.
pub(super) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}
