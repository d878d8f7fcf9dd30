//! How many series requests may make. Whoever wants one asks here; what is
//! refused is counted in the series `other`, so that sums stay right.
//!
//! Counting comes first: while routes without a request yet may want to be
//! counted, room is kept for them, and details (histograms, bytes) get what is
//! left; at least a tenth of the cap.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::family::Family;

/// Series given out and kept back.
pub(super) struct Budget {
    cap: usize,
    used: AtomicUsize,
    /// What routes without a request yet will want to be counted in.
    expected: AtomicUsize,
    uncounted: AtomicU64,
    undetailed: AtomicU64,
    warned: AtomicBool,
}

impl Budget {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            cap,
            used: AtomicUsize::new(0),
            expected: AtomicUsize::new(0),
            uncounted: AtomicU64::new(0),
            undetailed: AtomicU64::new(0),
            warned: AtomicBool::new(false),
        }
    }

    /// Takes series that are there in any case.
    pub(super) fn reserve(&self, series: usize) {
        self.used.fetch_add(series, Relaxed);
    }

    /// A route may want so many later.
    pub(super) fn expect(&self, series: usize) {
        self.expected.fetch_add(series, Relaxed);
    }

    /// It takes them now, or is gone.
    pub(super) fn expect_no_longer(&self, series: usize) {
        self.expected.fetch_sub(series, Relaxed);
    }

    /// Takes series for counting. Refused only at the cap.
    pub(super) fn take_counts(&self, series: usize) -> bool {
        self.take(series, 0)
    }

    /// Takes series for details, unless counting would want for them.
    pub(super) fn take_details(&self, series: usize) -> bool {
        let expected = self.expected.load(Relaxed).min(self.cap / 10 * 9);
        self.take(series, expected)
    }

    fn take(&self, series: usize, keep: usize) -> bool {
        let free = |used: usize| {
            let wanted = used.saturating_add(series);
            (wanted.saturating_add(keep) <= self.cap).then_some(wanted)
        };
        // Looked at first: a refusal then writes nothing that others read.
        free(self.used.load(Relaxed)).is_some() && self.used.fetch_update(Relaxed, Relaxed, free).is_ok()
    }

    /// Gives series back.
    pub(super) fn give_back(&self, series: usize) {
        self.used.fetch_sub(series, Relaxed);
    }

    /// A request was counted in `other`.
    pub(super) fn not_counted(&self) {
        self.uncounted.fetch_add(1, Relaxed);
        if !self.warned.load(Relaxed) && !self.warned.swap(true, Relaxed) {
            tracing::warn!(
                cap = self.cap,
                "there are more series than metrics.seriesCap (--metrics-series-cap) allows: \
                 requests of further routes are counted in the series `other`"
            );
        }
    }

    /// A request's details were counted in `other`.
    pub(super) fn not_detailed(&self) {
        self.undetailed.fetch_add(1, Relaxed);
    }

    pub(super) fn families(&self) -> Vec<Family> {
        let mut used = Family::gauge("tidegate_metrics_series", "Series that requests have made.");
        used.add(&[], self.used.load(Relaxed) as u64);
        let mut cap = Family::gauge(
            "tidegate_metrics_series_cap",
            "The most series that requests may make.",
        );
        cap.add(&[], self.cap as u64);
        let mut folded = Family::counter(
            "tidegate_metrics_folded_total",
            "Requests counted in the series `other` because of the cap: wholly, or only their details \
             (durations, bytes).",
        );
        folded.add(&[("what", "counts")], self.uncounted.load(Relaxed));
        folded.add(&[("what", "details")], self.undetailed.load(Relaxed));
        vec![used, cap, folded]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_leave_room_for_counting() {
        let budget = Budget::new(100);
        budget.expect(60);
        assert!(budget.take_details(40));
        assert!(!budget.take_details(1));
        assert!(budget.take_counts(60));
        assert!(!budget.take_counts(1));
        budget.give_back(1);
        assert!(budget.take_counts(1));
    }

    #[test]
    fn a_tenth_is_for_details_whatever_is_expected() {
        let budget = Budget::new(120);
        budget.expect(100_000);
        assert!(budget.take_details(12));
        assert!(!budget.take_details(1));
    }
}
