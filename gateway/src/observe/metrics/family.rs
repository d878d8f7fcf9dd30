//! Builds Prometheus families from values that are kept elsewhere: collectors
//! read atomics at scrape time instead of updating a second copy.

use prometheus::core::Desc;
use prometheus::proto::{Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Summary};

/// A metric name being filled with series.
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    /// Of all its series.
    labels: Vec<LabelPair>,
    metrics: Vec<Metric>,
}

impl Family {
    /// A counter: only goes up. Its name ends in `_total`.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    /// A gauge: any value.
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    /// A sum and a count, without quantiles.
    pub fn summary(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::SUMMARY)
    }

    /// A histogram.
    pub fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &'static str, help: &'static str, kind: MetricType) -> Self {
        Self {
            name,
            help,
            kind,
            labels: Vec::new(),
            metrics: Vec::new(),
        }
    }

    /// Adds labels to all series that are added from now on.
    pub fn with_labels(mut self, labels: &[(&str, &str)]) -> Self {
        self.labels.extend(pairs(labels));
        self
    }

    /// The name without a prefix.
    pub(super) fn short(&self, prefix: &str) -> &'static str {
        self.name.strip_prefix(prefix).unwrap_or(self.name)
    }

    /// Adds the value of a series of a counter or gauge.
    #[allow(clippy::cast_precision_loss)]
    pub fn add(&mut self, labels: &[(&str, &str)], value: u64) {
        self.add_float(labels, value as f64);
    }

    /// [`Family::add`] for values that are no whole numbers.
    pub fn add_float(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric = self.metric(labels);
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.metrics.push(metric);
    }

    /// Adds a series of a summary.
    pub fn add_summary(&mut self, labels: &[(&str, &str)], count: u64, sum: f64) {
        let mut summary = Summary::default();
        summary.set_sample_count(count);
        summary.set_sample_sum(sum);
        let mut metric = self.metric(labels);
        metric.set_summary(summary);
        self.metrics.push(metric);
    }

    /// Adds a series of a histogram, as [`super::Histogram`] reads itself.
    pub(super) fn add_histogram(&mut self, labels: &[(&str, &str)], histogram: Histogram) {
        let mut metric = self.metric(labels);
        metric.set_histogram(histogram);
        self.metrics.push(metric);
    }

    fn metric(&self, labels: &[(&str, &str)]) -> Metric {
        Metric::from_label(self.labels.iter().cloned().chain(pairs(labels)).collect())
    }

    /// The description that a registry wants beforehand.
    pub fn desc(&self) -> Option<Desc> {
        Desc::new(
            self.name.to_owned(),
            self.help.to_owned(),
            Vec::new(),
            std::collections::HashMap::new(),
        )
        .ok()
    }

    /// The finished family; `None` without series.
    pub fn finish(self) -> Option<MetricFamily> {
        if self.metrics.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(self.metrics);
        Some(family)
    }
}

/// The descriptions of a collector that fills these families.
pub(crate) fn descs(families: impl IntoIterator<Item = Family>) -> Vec<Desc> {
    families.into_iter().filter_map(|family| family.desc()).collect()
}

fn pairs(labels: &[(&str, &str)]) -> impl Iterator<Item = LabelPair> {
    labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    })
}
