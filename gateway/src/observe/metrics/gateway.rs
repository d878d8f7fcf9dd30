//! What the process serves: snapshot generation, propagation and compile time,
//! certificates, the build.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::family::{Family, descs};
use super::histogram::Histogram;

/// The most certificates that get a series; the ones that expire first win.
const MAX_CERTIFICATES: usize = 1000;

/// Upper bounds for propagation and compile times. The targets are 5 ms, 20 ms
/// and 100 ms.
static BOUNDS: [Duration; 10] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// A publication that is being served.
#[derive(Clone, Copy, Debug)]
pub struct Applied {
    /// The publication's number.
    pub generation: u64,
    /// From its oldest event to now.
    pub propagation: Duration,
    /// What the compilation took.
    pub compile: Duration,
}

/// When a certificate in use ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateExpiry {
    /// Seconds since 1970.
    pub not_after: i64,
    /// Namespace of its Secret.
    pub namespace: Arc<str>,
    /// Name of its Secret.
    pub secret: Arc<str>,
}

pub(super) struct State {
    generation: AtomicU64,
    applied_at: AtomicU64,
    propagation: Histogram<{ BOUNDS.len() }>,
    compile: Histogram<{ BOUNDS.len() }>,
    certificates: Mutex<Vec<CertificateExpiry>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            generation: AtomicU64::default(),
            applied_at: AtomicU64::default(),
            propagation: Histogram::new(&BOUNDS),
            compile: Histogram::new(&BOUNDS),
            certificates: Mutex::default(),
        }
    }
}

impl State {
    pub(super) fn applied(&self, applied: &Applied) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.generation.store(applied.generation, Relaxed);
        self.applied_at.store(now.as_secs(), Relaxed);
        self.propagation.observe(applied.propagation);
        self.compile.observe(applied.compile);
    }

    pub(super) fn certificates(&self, mut certificates: Vec<CertificateExpiry>) {
        certificates.sort();
        // Series with equal labels would make the whole scrape invalid.
        let mut seen = std::collections::HashSet::new();
        certificates.retain(|one| seen.insert((one.namespace.clone(), one.secret.clone())));
        certificates.truncate(MAX_CERTIFICATES);
        *self.certificates.lock() = certificates;
    }
}

struct Families {
    build: Family,
    generation: Family,
    applied_at: Family,
    propagation: Family,
    compile: Family,
    certificates: Family,
}

impl Families {
    fn new() -> Self {
        Self {
            build: Family::gauge("tidegate_build_info", "Always 1; the labels name the build."),
            generation: Family::gauge(
                "tidegate_snapshot_generation",
                "Number of the publication being served.",
            ),
            applied_at: Family::gauge(
                "tidegate_snapshot_applied_timestamp_seconds",
                "When it was put into service, in seconds since 1970.",
            ),
            propagation: Family::histogram(
                "tidegate_propagation_seconds",
                "Time from an event's arrival to serving it.",
            ),
            compile: Family::histogram("tidegate_compile_seconds", "Time to compile a snapshot."),
            certificates: Family::gauge(
                "tidegate_certificate_expiry_timestamp_seconds",
                "End of a certificate's validity, in seconds since 1970.",
            ),
        }
    }

    fn all(self) -> [Family; 6] {
        [
            self.build,
            self.generation,
            self.applied_at,
            self.propagation,
            self.compile,
            self.certificates,
        ]
    }

    #[allow(clippy::cast_precision_loss)]
    fn read(&mut self, state: &State) {
        self.build.add(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.generation.add(&[], state.generation.load(Relaxed));
        self.applied_at.add(&[], state.applied_at.load(Relaxed));
        self.propagation.add_histogram(&[], &state.propagation);
        self.compile.add_histogram(&[], &state.compile);
        for one in &*state.certificates.lock() {
            let labels = [("namespace", &*one.namespace), ("secret", &*one.secret)];
            self.certificates.add_float(&labels, one.not_after as f64);
        }
    }
}

/// Shows the state to a registry.
pub(super) struct Collection {
    state: Arc<State>,
    descs: Vec<Desc>,
}

impl Collection {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            state,
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
        families.read(&self.state);
        families.all().into_iter().filter_map(Family::finish).collect()
    }
}
