//! What the process serves: snapshot generation, propagation and compile time,
//! certificates, the build.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use rustls_pki_types::CertificateDer;

use super::family::{Family, descs};
use super::histogram::{Bounds, Histogram};
use super::nginx;

/// Upper bounds for propagation and compile times. The targets are 5 ms, 20 ms
/// and 100 ms.
const BOUNDS: [Duration; 10] = [
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
    /// Whether nothing but endpoints changed.
    pub endpoints_only: bool,
}

/// When a certificate in use ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateExpiry {
    /// Seconds since 1970.
    pub not_after: i64,
    /// Namespace of its Secret.
    pub namespace: Arc<str>,
    /// Name of its Secret.
    pub secret: Arc<str>,
    /// The hosts that it is for; sorted.
    pub hosts: Vec<Arc<str>>,
    /// The certificate itself, in DER.
    pub leaf: CertificateDer<'static>,
}

impl CertificateExpiry {
    /// The most that get a series; the ones that end first win.
    pub const MOST: usize = 500;
}

pub(super) struct State {
    generation: AtomicU64,
    applied_at: AtomicU64,
    propagation: Histogram,
    compile: Histogram,
    certificates: Mutex<Vec<CertificateExpiry>>,
    /// Snapshots put into service, changes of endpoints alone left out.
    configurations: AtomicU64,
}

impl Default for State {
    fn default() -> Self {
        let bounds = Bounds::durations(&BOUNDS);
        Self {
            generation: AtomicU64::default(),
            applied_at: AtomicU64::default(),
            propagation: Histogram::new(&bounds),
            compile: Histogram::new(&bounds),
            certificates: Mutex::default(),
            configurations: AtomicU64::default(),
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
        if !applied.endpoints_only {
            self.configurations.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn certificates(&self, mut certificates: Vec<CertificateExpiry>) {
        certificates.sort_by_key(|one| one.not_after);
        // Series with equal labels would make the whole scrape invalid.
        let mut seen = std::collections::HashSet::new();
        certificates.retain(|one| seen.insert((one.namespace.clone(), one.secret.clone())));
        certificates.truncate(CertificateExpiry::MOST);
        *self.certificates.lock() = certificates;
    }

    /// As ingress-nginx tells it.
    pub(super) fn nginx(&self, identity: &nginx::Identity) -> Vec<Family> {
        nginx::certificates(identity, &self.certificates.lock())
    }

    /// As ingress-nginx tells it; `hash` stands for what is served.
    pub(super) fn configuration(&self, identity: &nginx::Identity, hash: u64) -> Vec<Family> {
        nginx::configuration(
            identity,
            &nginx::Served {
                hash,
                applied: self.configurations.load(Relaxed),
                applied_at: self.applied_at.load(Relaxed),
            },
        )
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
        self.propagation.add_histogram(&[], state.propagation.read());
        self.compile.add_histogram(&[], state.compile.read());
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
