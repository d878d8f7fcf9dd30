use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Metrics of requests (the flags of ingress-nginx in brackets). `docs/metrics.md`
/// lists them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Metrics {
    /// ingress-nginx's metrics besides ours: `ingress-nginx`, `none`, or `auto`:
    /// where `ingress.controllerClasses` has `k8s.io/ingress-nginx`.
    pub compat: MetricsCompat,
    /// The most series that requests may make. What has no room is counted in
    /// series whose `ingress` is `other`.
    #[schemars(range(min = 400))]
    pub series_cap: usize,
    /// Metrics of requests that are not shown, with or without prefix
    /// (`--exclude-socket-metrics`).
    pub exclude: Vec<String>,
    /// Whether ingress-nginx's metrics have a label `host` (`--metrics-per-host`).
    pub per_host: bool,
    /// Whether ingress-nginx's metrics count requests for hosts that no Ingress
    /// names (`--metrics-per-undefined-host`).
    pub per_undefined_host: bool,
    /// Whether the label `status` of ingress-nginx's metrics has classes (`2xx`)
    /// rather than three digits (`--report-status-classes`).
    pub status_classes: bool,
    /// Upper bounds of `request_duration_seconds` and `response_duration_seconds` of
    /// ingress-nginx (`--time-buckets`).
    pub time_buckets: Buckets,
    /// Upper bounds of `request_size` and `response_size` of ingress-nginx, in bytes;
    /// empty: sum and count only (`--length-buckets`).
    pub length_buckets: Buckets,
    /// Upper bounds of `bytes_sent` of ingress-nginx; empty: sum and count only
    /// (`--size-buckets`).
    pub size_buckets: Buckets,
}

impl Metrics {
    /// Room for the series of what has no room.
    pub(super) const LEAST_CAP: usize = 400;
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            compat: MetricsCompat::Auto,
            series_cap: crate::observe::metrics::Options::SERIES_CAP,
            exclude: Vec::new(),
            per_host: true,
            per_undefined_host: false,
            status_classes: false,
            time_buckets: Buckets("0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10".to_owned()),
            length_buckets: Buckets(String::new()),
            size_buckets: Buckets(String::new()),
        }
    }
}

/// Whose names metrics have besides ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MetricsCompat {
    /// ingress-nginx's where its classes are adopted.
    #[default]
    Auto,
    /// ingress-nginx's.
    IngressNginx,
    /// Nobody's.
    None,
}

/// Upper bounds of a histogram's buckets: rising numbers separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Buckets(String);

impl Buckets {
    /// The bounds.
    pub fn values(&self) -> Vec<f64> {
        numbers(&self.0).unwrap_or_default()
    }
}

fn numbers(text: &str) -> Option<Vec<f64>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            part.parse()
                .ok()
                .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        })
        .collect()
}

impl FromStr for Buckets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rising = |numbers: &Vec<f64>| numbers.windows(2).all(|pair| pair[0] < pair[1]);
        match numbers(text) {
            Some(numbers) if rising(&numbers) => Ok(Self(text.to_owned())),
            _ => Err(format!(
                "{text:?} is not a list of rising numbers separated by commas"
            )),
        }
    }
}

impl TryFrom<String> for Buckets {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Buckets> for String {
    fn from(buckets: Buckets) -> Self {
        buckets.0
    }
}

impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_rise() {
        let buckets: Buckets = "0.5, 1,2.5".parse().unwrap();
        assert_eq!(buckets.values(), [0.5, 1.0, 2.5]);
        assert!("".parse::<Buckets>().unwrap().values().is_empty());
        for text in ["1,1", "2,1", "a", "1;2", "-1", "inf"] {
            assert!(text.parse::<Buckets>().is_err(), "{text}");
        }
    }
}
