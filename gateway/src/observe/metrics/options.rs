//! What the series of requests look like, and how many there may be.

use std::time::Duration;

use super::Bounds;

/// Time buckets of ingress-nginx (`--time-buckets`).
const TIME_BUCKETS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// Settings of metrics.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most series that requests may make, all others excluded.
    pub series_cap: usize,
    /// ingress-nginx's metrics, too; `None`: only ours.
    pub nginx: Option<NginxOptions>,
    /// Metrics of requests that are not shown, with or without prefix.
    pub exclude: Vec<String>,
}

/// How ingress-nginx's metrics look.
#[derive(Clone, Debug)]
pub struct NginxOptions {
    /// Label `controller_namespace`.
    pub namespace: String,
    /// Label `controller_class`.
    pub class: String,
    /// Label `controller_pod`.
    pub pod: String,
    /// Whether there is a label `host`.
    pub per_host: bool,
    /// Whether requests that no host fits are counted.
    pub per_undefined_host: bool,
    /// Whether `status` has classes (`2xx`) rather than three digits.
    pub status_classes: bool,
    /// Of the durations of requests and of answers of endpoints.
    pub time_buckets: Bounds,
    /// Of `request_size` and `response_size`.
    pub length_buckets: Bounds,
    /// Of `bytes_sent`.
    pub size_buckets: Bounds,
}

impl Options {
    /// What stands in the settings unless they say otherwise.
    pub const SERIES_CAP: usize = 17_000;

    /// Whether a metric is shown; `prefix` may be left out where it is excluded.
    pub(super) fn shows(&self, prefix: &str, name: &str) -> bool {
        let excludes = |excluded: &String| excluded.strip_prefix(prefix).unwrap_or(excluded) == name;
        !self.exclude.iter().any(excludes)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            series_cap: Self::SERIES_CAP,
            nginx: None,
            exclude: Vec::new(),
        }
    }
}

impl Default for NginxOptions {
    fn default() -> Self {
        let time = TIME_BUCKETS.map(Duration::from_millis);
        Self {
            namespace: String::new(),
            class: "k8s.io/ingress-nginx".to_owned(),
            pod: String::new(),
            per_host: true,
            per_undefined_host: false,
            status_classes: false,
            time_buckets: Bounds::durations(&time),
            length_buckets: Bounds::sizes(&[]),
            size_buckets: Bounds::sizes(&[]),
        }
    }
}
