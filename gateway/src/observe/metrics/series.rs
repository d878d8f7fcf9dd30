//! Our own series of requests, by Ingress and Service.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::budget::Budget;
use super::family::{Family, descs};
use super::histogram::{Bounds, Histogram, seconds};
use super::index::{Handle, Index};
use super::route::RouteLabels;
use super::sample::{Sample, UpstreamError};
use super::{Options, nanos};

/// Upper bounds of the request duration's buckets: two per decade where people
/// look (5 ms … 10 s), because each costs a series per Ingress and Service.
const DURATION_BOUNDS: [u64; 8] = [5, 10, 25, 100, 250, 1000, 5000, 10_000];

/// Status classes as label values; index = first digit - 1.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What a route is expected to be counted in: two classes, and its time.
const EXPECTED: usize = 3;

/// The value of the label `ingress` where there was no room for a series.
pub(super) const OTHER: &str = "other";

/// Position of a status in [`CLASSES`].
pub(super) fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES.len()) - 1
}

/// What all routes share.
pub(super) struct Shared {
    budget: Arc<Budget>,
    index: Index<Series>,
    other: Counts,
    other_detail: Detail,
    bounds: Bounds,
    options: Options,
}

impl Shared {
    pub(super) fn new(budget: Arc<Budget>, options: Options) -> Arc<Self> {
        let bounds = Bounds::durations(&DURATION_BOUNDS.map(Duration::from_millis));
        budget.reserve(CLASSES.len() + UpstreamError::ALL.len() + 1 + Detail::series(&bounds));
        Arc::new(Self {
            budget,
            index: Index::default(),
            other: Counts::default(),
            other_detail: Detail::new(&bounds),
            bounds,
            options,
        })
    }

    pub(super) fn series(self: &Arc<Self>, labels: RouteLabels) -> Arc<Series> {
        self.index.handle(labels, |labels| {
            self.budget.expect(EXPECTED);
            Series {
                labels,
                active: OnceLock::new(),
                taken: AtomicUsize::new(0),
                shared: self.clone(),
            }
        })
    }
}

/// The series of one Ingress and Service.
pub(super) struct Series {
    labels: Arc<RouteLabels>,
    active: OnceLock<Box<Active>>,
    /// Series that the budget gave.
    taken: AtomicUsize,
    shared: Arc<Shared>,
}

/// What exists from the first request on. What each request touches comes first, next
/// to each other: the routes of many hosts do not stay in the processor's caches.
#[repr(C)]
struct Active {
    detail: OnceLock<Box<Detail>>,
    /// Whether the time is a series of its own.
    timed: bool,
    counts: Counts,
}

/// What is counted of every route.
#[derive(Default)]
#[repr(C)]
struct Counts {
    nanos: AtomicU64,
    requests: [AtomicU64; CLASSES.len()],
    errors: [AtomicU64; UpstreamError::ALL.len()],
}

/// What is counted while there is room.
struct Detail {
    duration: Histogram,
    received: AtomicU64,
    sent: AtomicU64,
    connect: Latency,
    header: Latency,
}

impl Handle for Series {
    type Labels = RouteLabels;
}

impl Series {
    pub(super) fn labels(&self) -> &RouteLabels {
        &self.labels
    }

    pub(super) fn observe(&self, sample: &Sample) {
        let active = self.active();
        let class = class(sample.status);
        self.count(&active.counts.requests[class], &self.shared.other.requests[class]);
        let times = if active.timed {
            &active.counts
        } else {
            &self.shared.other
        };
        times.nanos.fetch_add(nanos(sample.duration), Relaxed);
        self.detail(active).observe(sample);
    }

    pub(super) fn upstream_error(&self, error: UpstreamError) {
        let error = error as usize;
        self.count(
            &self.active().counts.errors[error],
            &self.shared.other.errors[error],
        );
    }

    /// Counts in a series of its own, if it has one or gets one.
    fn count(&self, own: &AtomicU64, other: &AtomicU64) {
        if own.load(Relaxed) != 0 || self.take(1) {
            own.fetch_add(1, Relaxed);
        } else {
            self.shared.budget.not_counted();
            other.fetch_add(1, Relaxed);
        }
    }

    fn take(&self, series: usize) -> bool {
        let granted = self.shared.budget.take_counts(series);
        if granted {
            self.taken.fetch_add(series, Relaxed);
        }
        granted
    }

    fn active(&self) -> &Active {
        self.active.get_or_init(|| {
            self.shared.budget.expect_no_longer(EXPECTED);
            Box::new(Active {
                counts: Counts::default(),
                timed: self.take(1),
                detail: OnceLock::new(),
            })
        })
    }

    fn detail<'a>(&'a self, active: &'a Active) -> &'a Detail {
        if let Some(detail) = active.detail.get() {
            return detail;
        }
        let shared = &self.shared;
        let series = Detail::series(&shared.bounds);
        if shared.budget.take_details(series) {
            self.taken.fetch_add(series, Relaxed);
            return active
                .detail
                .get_or_init(|| Box::new(Detail::new(&shared.bounds)));
        }
        shared.budget.not_detailed();
        &shared.other_detail
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        if self.active.get().is_none() {
            self.shared.budget.expect_no_longer(EXPECTED);
        }
        self.shared.budget.give_back(*self.taken.get_mut());
        self.shared.index.forget(&self.labels);
    }
}

impl Detail {
    fn new(bounds: &Bounds) -> Self {
        Self {
            duration: Histogram::new(bounds),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            connect: Latency::default(),
            header: Latency::default(),
        }
    }

    /// How many series it has: the histogram, bytes, and sum and count of the
    /// two latencies.
    fn series(bounds: &Bounds) -> usize {
        bounds.series() + 2 + 2 * 2
    }

    fn observe(&self, sample: &Sample) {
        self.duration.observe(sample.duration);
        self.received.fetch_add(sample.received, Relaxed);
        self.sent.fetch_add(sample.sent, Relaxed);
        if let Some(connect) = sample.connect {
            self.connect.add(connect);
        }
        if let Some(header) = sample.header {
            self.header.add(header);
        }
    }
}

/// A sum and a count.
#[derive(Default)]
struct Latency {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Latency {
    fn add(&self, duration: Duration) {
        self.count.fetch_add(1, Relaxed);
        self.nanos.fetch_add(nanos(duration), Relaxed);
    }
}

struct Families {
    requests: Family,
    time: Family,
    duration: Family,
    received: Family,
    sent: Family,
    connect: Family,
    header: Family,
    errors: Family,
}

impl Families {
    fn new() -> Self {
        Self {
            requests: Family::counter(
                "tidegate_requests_total",
                "Requests answered, by class of the status.",
            ),
            time: Family::counter(
                "tidegate_request_time_seconds_total",
                "The sum of the durations of all requests: divided by their number it is the mean.",
            ),
            duration: Family::histogram(
                "tidegate_request_duration_seconds",
                "Time from the first byte of a request to its end.",
            ),
            received: Family::counter(
                "tidegate_request_bytes_total",
                "Bytes of requests, heads included.",
            ),
            sent: Family::counter(
                "tidegate_response_bytes_total",
                "Bytes of answers, heads included.",
            ),
            connect: Family::summary(
                "tidegate_upstream_connect_seconds",
                "Time to open new connections to endpoints, TLS included.",
            ),
            header: Family::summary(
                "tidegate_upstream_header_seconds",
                "Time from sending a request to the head of the endpoint's answer.",
            ),
            errors: Family::counter(
                "tidegate_upstream_errors_total",
                "Attempts that got no answer from an endpoint, by reason.",
            ),
        }
    }

    fn all(self) -> [Family; 8] {
        [
            self.requests,
            self.time,
            self.duration,
            self.received,
            self.sent,
            self.connect,
            self.header,
            self.errors,
        ]
    }

    fn add(&mut self, route: &RouteLabels, counts: &Counts, detail: Option<&Detail>) {
        let labels = &[
            ("namespace", &*route.namespace),
            ("ingress", &*route.ingress),
            ("service", &*route.service),
            ("port", &*route.port),
        ];
        let with = |name, value| [labels[0], labels[1], labels[2], labels[3], (name, value)];
        for (class, counter) in CLASSES.iter().zip(&counts.requests) {
            nonzero(counter, |value| self.requests.add(&with("class", class), value));
        }
        for error in UpstreamError::ALL {
            let counter = &counts.errors[error as usize];
            nonzero(counter, |value| {
                self.errors.add(&with("reason", error.label()), value);
            });
        }
        nonzero(&counts.nanos, |nanos| self.time.add_float(labels, seconds(nanos)));
        let Some(detail) = detail else { return };
        let duration = detail.duration.read();
        if duration.get_sample_count() == 0 {
            return;
        }
        self.duration.add_histogram(labels, duration);
        self.received.add(labels, detail.received.load(Relaxed));
        self.sent.add(labels, detail.sent.load(Relaxed));
        for (family, latency) in [
            (&mut self.connect, &detail.connect),
            (&mut self.header, &detail.header),
        ] {
            nonzero(&latency.count, |count| {
                family.add_summary(labels, count, seconds(latency.nanos.load(Relaxed)));
            });
        }
    }
}

/// Calls `f` unless nothing was counted: unused series cost scrapes.
fn nonzero(counter: &AtomicU64, f: impl FnOnce(u64)) {
    match counter.load(Relaxed) {
        0 => {}
        value => f(value),
    }
}

/// Shows the live series to a registry.
pub(super) struct Collection {
    shared: Arc<Shared>,
    descs: Vec<Desc>,
}

impl Collection {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            descs: descs(Families::new().all()),
        }
    }
}

impl Collector for Collection {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let shared = &*self.shared;
        let mut families = Families::new();
        let other = RouteLabels {
            ingress: OTHER.into(),
            ..RouteLabels::default()
        };
        families.add(&other, &shared.other, Some(&shared.other_detail));
        for series in shared.index.live() {
            if let Some(active) = series.active.get() {
                families.add(
                    &series.labels,
                    &active.counts,
                    active.detail.get().map(|detail| &**detail),
                );
            }
        }
        let shown = |family: &Family| shared.options.shows("tidegate_", family.short("tidegate_"));
        let families = families.all().into_iter().filter(shown);
        families.filter_map(Family::finish).collect()
    }
}
