//! Builds Prometheus families from values that are kept elsewhere: collectors
//! read atomics at scrape time instead of updating a second copy.

use prometheus::core::Desc;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Summary};

use super::histogram::Histogram;

/// A metric name being filled with series.
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
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

    /// A [`Histogram`] in seconds.
    pub fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &'static str, help: &'static str, kind: MetricType) -> Self {
        Self {
            name,
            help,
            kind,
            metrics: Vec::new(),
        }
    }

    /// Adds the value of a series of a counter or gauge.
    #[allow(clippy::cast_precision_loss)]
    pub fn add(&mut self, labels: &[(&str, &str)], value: u64) {
        self.add_float(labels, value as f64);
    }

    /// [`Family::add`] for values that are no whole numbers.
    pub fn add_float(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric = metric(labels);
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
        let mut metric = metric(labels);
        metric.set_summary(summary);
        self.metrics.push(metric);
    }

    /// Adds a series of a histogram.
    pub fn add_histogram<const N: usize>(&mut self, labels: &[(&str, &str)], histogram: &Histogram<N>) {
        let mut metric = metric(labels);
        metric.set_histogram(histogram.read());
        self.metrics.push(metric);
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

fn metric(labels: &[(&str, &str)]) -> Metric {
    let labels = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(labels.collect())
}
