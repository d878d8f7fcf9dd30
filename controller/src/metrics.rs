//! The controller's metrics, on the registry that the program exposes. Every
//! label has a bounded set of values: kinds, reasons and results, never the
//! name of an object.

use std::collections::BTreeMap;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use tidegate_snapshot::Problem;

/// Upper bounds of a translation's duration, in seconds: from a handful of
/// Ingresses to tens of thousands.
const TRANSLATION_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// Counters and gauges of one controller.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Problems that stand now, by reason.
    problems: IntGaugeVec,
    /// Full translations.
    pub(crate) translations: IntCounter,
    /// How long one took, seconds.
    pub(crate) translation_seconds: Histogram,
    /// Publications, by what changed: `everything` or `endpoints`.
    pub(crate) publications: IntCounterVec,
    /// Objects in the store, by kind.
    pub(crate) objects: IntGaugeVec,
    /// Failed lists and watches, by kind.
    pub(crate) watch_errors: IntCounterVec,
    /// 1 while this replica holds the Lease.
    pub(crate) is_leader: IntGauge,
    /// Writes of a status, by result: `written`, `gone`, `retried`, `failed`.
    pub(crate) status_writes: IntCounterVec,
    /// Events about objects, by result: `sent`, `dropped`, `failed`.
    pub(crate) events: IntCounterVec,
}

impl Metrics {
    /// Registers everything as `tidegate_controller_*`.
    ///
    /// # Errors
    /// When the registry already has metrics of these names.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            problems: gauges("problems", "Problems with objects that stand now", "reason")?,
            translations: IntCounter::with_opts(options("translations_total", "Full translations"))?,
            translation_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "tidegate_controller_translation_duration_seconds",
                    "Time of a full translation",
                )
                .buckets(TRANSLATION_BUCKETS.to_vec()),
            )?,
            publications: counters("publications_total", "Snapshots published", "changed")?,
            objects: gauges("objects", "Objects in the store", "kind")?,
            watch_errors: counters("watch_errors_total", "Failed lists and watches", "kind")?,
            is_leader: IntGauge::with_opts(options("is_leader", "1 while this replica holds the Lease"))?,
            status_writes: counters("status_writes_total", "Writes of a status", "result")?,
            events: counters("events_total", "Events about objects", "result")?,
        };
        // From 0 on: a rate does not see the first of what appears with it.
        for result in ["written", "gone", "retried", "failed"] {
            metrics.status_writes.with_label_values(&[result]);
        }
        for result in ["sent", "dropped", "failed"] {
            metrics.events.with_label_values(&[result]);
        }
        registry.register(Box::new(metrics.problems.clone()))?;
        registry.register(Box::new(metrics.translations.clone()))?;
        registry.register(Box::new(metrics.translation_seconds.clone()))?;
        registry.register(Box::new(metrics.publications.clone()))?;
        registry.register(Box::new(metrics.objects.clone()))?;
        registry.register(Box::new(metrics.watch_errors.clone()))?;
        registry.register(Box::new(metrics.is_leader.clone()))?;
        registry.register(Box::new(metrics.status_writes.clone()))?;
        registry.register(Box::new(metrics.events.clone()))?;
        Ok(metrics)
    }

    /// Sets the number of problems of each reason; a reason that no problem
    /// has any more goes to 0, so that an alert on it ends.
    pub(crate) fn count_problems<'a>(
        &self,
        problems: impl Iterator<Item = &'a Problem>,
        known: &mut BTreeMap<&'static str, i64>,
    ) {
        known.values_mut().for_each(|count| *count = 0);
        for problem in problems {
            *known.entry(problem.reason).or_default() += 1;
        }
        for (reason, count) in known {
            self.problems.with_label_values(&[*reason]).set(*count);
        }
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("tidegate_controller_{name}"), help)
}

fn counters(name: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(options(name, help), &[label])
}

fn gauges(name: &str, help: &str, label: &str) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(options(name, help), &[label])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_snapshot::{Effect, ObjectRef};

    #[test]
    fn a_reason_without_problems_goes_to_zero() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let problem = Problem {
            object: ObjectRef::new("Ingress", "a", "b"),
            field: "spec".into(),
            reason: "BadThing",
            message: String::new(),
            effect: Effect::Ignored,
            fix: String::new(),
        };
        let mut known = BTreeMap::new();
        metrics.count_problems([&problem, &problem].into_iter(), &mut known);
        assert_eq!(metrics.problems.with_label_values(&["BadThing"]).get(), 2);
        metrics.count_problems(std::iter::empty(), &mut known);
        assert_eq!(metrics.problems.with_label_values(&["BadThing"]).get(), 0);
    }

    #[test]
    fn a_second_set_on_one_registry_is_refused() {
        let registry = Registry::new();
        Metrics::new(&registry).unwrap();
        assert!(Metrics::new(&registry).is_err());
    }
}
