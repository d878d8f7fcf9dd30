//! Where spans go, and which are made. Which routes are traced at all is a
//! policy of theirs ([`crate::policy::Tracing`]).

use std::time::Duration;

use serde::Serialize;

/// What ingress-nginx's ConfigMap says of spans (`otlp-*`, `otel-*`). Where it
/// says nothing the process's environment does (`OTEL_*`), or OpenTelemetry's
/// defaults hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TraceExport {
    /// A collector that speaks OTLP over gRPC, as `http://host:port`
    /// (`otlp-collector-host`, `otlp-collector-port`).
    pub collector: Option<Box<str>>,
    /// `otel-service-name`.
    pub service_name: Option<Box<str>>,
    /// `otel-sampler` and what belongs to it.
    pub sampler: Option<Sampler>,
    /// Spans that wait (`otel-max-queuesize`).
    pub queue_size: Option<u32>,
    /// The longest wait (`otel-schedule-delay-millis`).
    pub delay: Option<Duration>,
    /// Spans of one export (`otel-max-export-batch-size`).
    pub batch_size: Option<u32>,
}

/// Which traces are sampled: their spans are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sampler {
    /// Of traces that begin here.
    pub root: RootSampler,
    /// Others as whoever began them says (`otel-sampler-parent-based`).
    pub parent_based: bool,
}

/// Which of the traces that begin here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum RootSampler {
    /// `AlwaysOn`.
    All,
    /// `AlwaysOff`.
    None,
    /// `TraceIdRatioBased`: so many of a million, by their ID.
    Ratio(u32),
}

impl RootSampler {
    /// A share from 0 to 1 as users write it.
    pub fn ratio(text: &str) -> Option<Self> {
        let share: f64 = text.parse().ok()?;
        // The cast is exact enough, and within bounds.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as above")]
        let millionths = |share: f64| (share * 1e6).round() as u32;
        (0.0..=1.0)
            .contains(&share)
            .then(|| Self::Ratio(millionths(share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_between_nothing_and_all() {
        assert_eq!(RootSampler::ratio("0.01"), Some(RootSampler::Ratio(10_000)));
        assert_eq!(RootSampler::ratio("1"), Some(RootSampler::Ratio(1_000_000)));
        for text in ["1.1", "-0.1", "NaN", "", "one"] {
            assert_eq!(RootSampler::ratio(text), None, "{text}");
        }
    }
}
