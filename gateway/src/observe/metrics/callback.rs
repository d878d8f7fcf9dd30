//! A collector that asks a function at scrape time.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::family::{Family, descs};

pub(super) struct Callback<F> {
    read: F,
    descs: Vec<Desc>,
}

impl<F: Fn() -> Vec<Family>> Callback<F> {
    pub(super) fn new(read: F) -> Self {
        let descs = descs(read());
        Self { read, descs }
    }
}

impl<F: Fn() -> Vec<Family> + Send + Sync> Collector for Callback<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.read)().into_iter().filter_map(Family::finish).collect()
    }
}
