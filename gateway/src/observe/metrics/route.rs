//! Request metrics by Ingress and Service. A compiled route holds a handle;
//! counting is atomic additions without a lookup. Label values come from
//! objects, never from requests, so clients cannot make series.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::family::{Family, descs};
use super::histogram::{Histogram, seconds};
use super::nanos;

/// Upper bounds of the request duration's buckets: two per decade where people
/// look (5 ms … 10 s), because each costs a series per Ingress and Service.
static DURATION_BOUNDS: [Duration; 8] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Status classes as label values; index = first digit - 1.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Whose requests are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteLabels {
    /// Namespace of the Ingress.
    pub namespace: Arc<str>,
    /// Name of the Ingress.
    pub ingress: Arc<str>,
    /// Name of the Service; empty when the route answers by itself.
    pub service: Arc<str>,
    /// Port of the Service as the Ingress names it.
    pub port: Arc<str>,
}

/// Why an attempt to get an answer from an endpoint failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamError {
    /// Nothing to connect to.
    NoEndpoint,
    /// The connection was refused or could not be made.
    Connect,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke before the answer was complete.
    Closed,
    /// No answer, or no more of it, in time.
    ReadTimeout,
    /// The request could not be written in time.
    WriteTimeout,
    /// The answer is not HTTP.
    Protocol,
    /// Anything else.
    Other,
}

impl UpstreamError {
    const ALL: [Self; 9] = [
        Self::NoEndpoint,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Closed,
        Self::ReadTimeout,
        Self::WriteTimeout,
        Self::Protocol,
        Self::Other,
    ];

    /// The `reason` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Closed => "closed",
            Self::ReadTimeout => "read_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Protocol => "protocol",
            Self::Other => "other",
        }
    }
}

/// What is counted of one finished request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// The status sent to the client; 499 when it went away first.
    pub status: u16,
    /// From the request's first byte to its end.
    pub duration: Duration,
    /// Bytes of the request, head included.
    pub received: u64,
    /// Bytes of the answer, head included.
    pub sent: u64,
    /// Time to connect to the endpoint, TLS included; `None` on a reused
    /// connection.
    pub connect: Option<Duration>,
    /// From the start of the last attempt to the answer's head.
    pub header: Option<Duration>,
}

/// Metric handles of one Ingress and Service, resolved when the snapshot is
/// compiled. The series are made at the first request.
#[derive(Default)]
pub struct RouteMetrics {
    labels: RouteLabels,
    series: OnceLock<Box<Series>>,
    index: Weak<Index>,
}

impl RouteMetrics {
    /// Counts a finished request.
    pub fn observe(&self, sample: &Sample) {
        let series = self.series();
        let class = usize::from(sample.status / 100).clamp(1, CLASSES.len()) - 1;
        series.requests[class].fetch_add(1, Relaxed);
        series.duration.observe(sample.duration);
        series.received.fetch_add(sample.received, Relaxed);
        series.sent.fetch_add(sample.sent, Relaxed);
        if let Some(connect) = sample.connect {
            series.connect.add(connect);
        }
        if let Some(header) = sample.header {
            series.header.add(header);
        }
    }

    /// Counts a failed attempt; a request may have several.
    pub fn upstream_error(&self, error: UpstreamError) {
        self.series().errors[error as usize].fetch_add(1, Relaxed);
    }

    /// Who is counted.
    pub fn labels(&self) -> &RouteLabels {
        &self.labels
    }

    fn series(&self) -> &Series {
        self.series.get_or_init(Box::default)
    }
}

impl Drop for RouteMetrics {
    fn drop(&mut self) {
        if let Some(index) = self.index.upgrade() {
            index.forget(&self.labels);
        }
    }
}

struct Series {
    requests: [AtomicU64; CLASSES.len()],
    errors: [AtomicU64; UpstreamError::ALL.len()],
    duration: Histogram<{ DURATION_BOUNDS.len() }>,
    received: AtomicU64,
    sent: AtomicU64,
    connect: Latency,
    header: Latency,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            errors: Default::default(),
            duration: Histogram::new(&DURATION_BOUNDS),
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            connect: Latency::default(),
            header: Latency::default(),
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

/// Live handles by label.
#[derive(Default)]
pub(super) struct Index {
    handles: Mutex<HashMap<RouteLabels, Weak<RouteMetrics>>>,
}

impl Index {
    pub(super) fn handle(self: &Arc<Self>, labels: RouteLabels) -> Arc<RouteMetrics> {
        let mut handles = self.handles.lock();
        if let Some(handle) = handles.get(&labels).and_then(Weak::upgrade) {
            return handle;
        }
        let handle = Arc::new(RouteMetrics {
            labels: labels.clone(),
            series: OnceLock::new(),
            index: Arc::downgrade(self),
        });
        handles.insert(labels, Arc::downgrade(&handle));
        handle
    }

    /// Forgets a handle that was dropped, unless a new one took its place.
    fn forget(&self, labels: &RouteLabels) {
        let mut handles = self.handles.lock();
        if handles
            .get(labels)
            .is_some_and(|handle| handle.strong_count() == 0)
        {
            handles.remove(labels);
        }
        // A burst of deletions gives its memory back.
        if handles.len() * 4 < handles.capacity() && handles.capacity() > 1024 {
            handles.shrink_to_fit();
        }
    }

    /// All live handles. The lock is released before the caller drops them:
    /// dropping the last one takes it again.
    fn live(&self) -> Vec<Arc<RouteMetrics>> {
        self.handles.lock().values().filter_map(Weak::upgrade).collect()
    }
}

struct Families {
    requests: Family,
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

    fn all(self) -> [Family; 7] {
        [
            self.requests,
            self.duration,
            self.received,
            self.sent,
            self.connect,
            self.header,
            self.errors,
        ]
    }

    fn add(&mut self, route: &RouteMetrics) {
        let Some(series) = route.series.get() else {
            return;
        };
        let labels = &[
            ("namespace", &*route.labels.namespace),
            ("ingress", &*route.labels.ingress),
            ("service", &*route.labels.service),
            ("port", &*route.labels.port),
        ];
        let with = |name, value| [labels[0], labels[1], labels[2], labels[3], (name, value)];
        for (class, counter) in CLASSES.iter().zip(&series.requests) {
            nonzero(counter, |value| self.requests.add(&with("class", class), value));
        }
        for error in UpstreamError::ALL {
            let counter = &series.errors[error as usize];
            nonzero(counter, |value| {
                self.errors.add(&with("reason", error.label()), value);
            });
        }
        self.duration.add_histogram(labels, &series.duration);
        self.received.add(labels, series.received.load(Relaxed));
        self.sent.add(labels, series.sent.load(Relaxed));
        for (family, latency) in [
            (&mut self.connect, &series.connect),
            (&mut self.header, &series.header),
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

/// Shows the live handles to a registry.
pub(super) struct Collection {
    index: Arc<Index>,
    unmatched: Arc<RouteMetrics>,
    descs: Vec<Desc>,
}

impl Collection {
    pub(super) fn new(index: Arc<Index>, unmatched: Arc<RouteMetrics>) -> Self {
        Self {
            index,
            unmatched,
            descs: descs(Families::new().all()),
        }
    }
}

impl Collector for Collection {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Families::new();
        families.add(&self.unmatched);
        for route in self.index.live() {
            families.add(&route);
        }
        families.all().into_iter().filter_map(Family::finish).collect()
    }
}
