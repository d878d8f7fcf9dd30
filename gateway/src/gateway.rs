//! The data plane as the program and the tests use it: listeners in front of
//! Pingora's HTTP proxy, fed with publications.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora_core::server::configuration::ServerConf;
use tidegate_snapshot::{Changed, ListenerKey, ListenerProtocol, ObjectRef, Problem, Publication};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::geoip::Follower;
use crate::listener::{Counters, Drain, Limits, Listeners};
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::{Applied, Metrics, Orphan};
use crate::observe::spans::Spans;
use crate::proxy::{App, Proxy};
use crate::runtime::{Parts, Retirement, Runtime, compile};
use crate::tls::ocsp::Stapler;
use crate::{tls, upstream};

mod configuration;
mod expiry;

use configuration::Fingerprint;

/// Idle connections to all upstreams together that are kept, per thread.
/// ingress-nginx keeps 320 per worker process (ConfigMap
/// `upstream-keepalive-connections`).
pub const UPSTREAM_KEEPALIVE_CONNECTIONS: usize = 320;

/// What a gateway is started with.
pub struct Options {
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Where it logs requests and streams.
    pub access_log: Arc<AccessLog>,
    /// What it takes from clients.
    pub limits: Limits,
}

/// A running data plane. It serves nothing before the first publication.
pub struct Gateway {
    access_log: Arc<AccessLog>,
    spans: Arc<Spans>,
    /// What requests are served from; listeners hold its tables.
    runtime: ArcSwap<Runtime>,
    listeners: Listeners<App>,
    parts: Parts,
    retirement: Retirement,
    /// Publications are applied one after the other.
    applying: Mutex<()>,
    /// Whether a first publication is applied.
    applied: AtomicBool,
    draining: AtomicBool,
    fingerprint: Mutex<Fingerprint>,
    /// Where connections are served.
    handle: Handle,
    stapler: Arc<Stapler>,
    geoip: Arc<Follower>,
    /// Active health checks and DNS names; OCSP responses.
    background: [JoinHandle<()>; 3],
}

impl Gateway {
    /// Starts a gateway whose connections are served by the current tokio
    /// runtime.
    ///
    /// # Errors
    /// When the operating system has no more threads.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let Options {
            metrics,
            access_log,
            limits,
        } = options;
        tls::install_provider();
        let handle = Handle::current();
        let counters = Arc::new(Counters::default());
        let shared = upstream::Shared::new();
        metrics.show_listeners(counters.clone());
        metrics.show_upstreams(shared.clone());
        metrics.show_access_log(access_log.clone());
        let conf = ServerConf {
            upstream_keepalive_pool_size: UPSTREAM_KEEPALIVE_CONNECTIONS,
            ..ServerConf::default()
        };
        let spans = Arc::new(Spans::from_environment());
        metrics.show_spans(spans.counters().clone());
        let stapler = Arc::new(Stapler::default());
        metrics.show_ocsp(stapler.counters().clone());
        let geoip = Arc::new(Follower::default());
        let proxy = Proxy::new(&metrics, access_log.clone(), spans.clone());
        let refusal = proxy.refusal();
        let app = proxy.app(conf);
        Ok(Self {
            listeners: Listeners::new(app, limits, counters, access_log.clone(), Some(refusal)),
            access_log,
            spans,
            runtime: ArcSwap::default(),
            retirement: Retirement::start()?,
            applying: Mutex::new(()),
            applied: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            fingerprint: Mutex::default(),
            background: [
                handle.spawn(shared.clone().run()),
                handle.spawn(geoip.clone().run()),
                handle.spawn(stapler.clone().run()),
            ],
            stapler,
            geoip,
            parts: Parts {
                metrics,
                upstream: shared,
            },
            handle,
        })
    }

    /// Serves a publication: when this returns, new requests see it. Any thread
    /// may call it. One that is not newer than what is served is left out.
    pub fn apply(&self, publication: &Publication) {
        let _one = self.applying.lock();
        let previous = self.runtime.load_full();
        let first = !self.applied.load(Ordering::Acquire);
        if !first && publication.generation <= previous.generation {
            warn!(
                generation = publication.generation,
                serving = previous.generation,
                "publication out of order ignored"
            );
            return;
        }
        let started = Instant::now();
        let runtime = Arc::new(compile((!first).then_some(&*previous), publication, &self.parts));
        let compile = started.elapsed();
        self.runtime.store(runtime.clone());
        if !same_tables(&previous, &runtime) || first {
            self.serve(&runtime);
        }
        // In the order of their names, so that equal ones are found equal.
        let names = runtime.snapshot.tables.keys();
        let tables = names.filter_map(|name| runtime.tables.get(name));
        self.stapler
            .serve(&runtime.snapshot.ocsp, tables.map(|table| &table.certificates));
        if previous.snapshot.access_log != runtime.snapshot.access_log {
            self.access_log.configure(&runtime.snapshot.access_log);
        }
        if first || previous.snapshot.trace_export != runtime.snapshot.trace_export {
            self.spans.configure(&runtime.snapshot.trace_export);
        }
        self.geoip.configure(&runtime.snapshot.geoip);
        self.applied.store(true, Ordering::Release);
        self.tell(publication, &runtime, compile);
        self.retirement.retire(previous, &runtime);
    }

    /// Whether traffic should be sent here: a publication is applied, every
    /// listener is bound, and no drain has begun.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("draining".to_owned());
        }
        if !self.applied.load(Ordering::Acquire) {
            return Err("nothing to serve yet: the first sync is not complete".to_owned());
        }
        let runtime = self.runtime.load();
        for (key, status) in self.listeners.statuses() {
            let listener = runtime.snapshot.listeners.get(&key);
            if listener.is_some_and(|listener| is_stream(listener.protocol)) {
                // A port of a TCP or UDP service that cannot be had must not
                // take everything else down.
                continue;
            }
            status.map_err(|error| format!("listener {key}: {error}"))?;
        }
        Ok(())
    }

    /// Whether a drain has begun.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// What is served now. Not for the request path, and not to be kept.
    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    /// For each wanted listener the address that it is bound to, or why it is
    /// not.
    pub fn listeners(&self) -> Vec<(ListenerKey, Result<SocketAddr, String>)> {
        self.listeners.statuses()
    }

    /// The address that a listener is bound to.
    pub fn address(&self, key: &str) -> Option<SocketAddr> {
        let mut statuses = self.listeners.statuses().into_iter();
        statuses.find(|(name, _)| **name == *key)?.1.ok()
    }

    /// A number that stands for the routes being served, and the Ingresses that
    /// have nowhere to send requests to. Not cheap: for scrapes.
    pub fn configuration(&self) -> (u64, Vec<Orphan>) {
        let runtime = self.runtime.load_full();
        (
            self.fingerprint.lock().of(&runtime.snapshot),
            configuration::orphans(&runtime.snapshot),
        )
    }

    /// What is wrong with GeoIP databases; `object` asks for them.
    pub fn geoip_problems(&self, object: &ObjectRef) -> Vec<Problem> {
        self.geoip.problems(object)
    }

    /// Client connections open now.
    pub fn connections(&self) -> usize {
        self.listeners.connections()
    }

    /// Stops being ready and ends all connections as `drain` says; resolves
    /// when the last one is gone. The answer is how many had to be cut off.
    pub fn drain(&self, drain: Drain) -> impl Future<Output = usize> + Send + 'static {
        self.draining.store(true, Ordering::Release);
        self.listeners.drain(drain)
    }

    /// Sends the spans that wait, for as long as `patience`; for the end, when
    /// no request is under way.
    pub async fn flush_spans(&self, patience: Duration) {
        self.spans.flush(patience).await;
    }

    /// Gives the listeners their tables; a listener without one answers 404.
    fn serve(&self, runtime: &Runtime) {
        let wanted = runtime.snapshot.listeners.iter().map(|(key, spec)| {
            let table = runtime.tables.get(&spec.table).cloned().unwrap_or_default();
            (key.clone(), spec.clone(), table)
        });
        // Accept loops belong to the runtime that serves, whoever calls.
        let _entered = self.handle.enter();
        self.listeners.apply(wanted.collect());
    }

    fn tell(&self, publication: &Publication, runtime: &Runtime, compile: Duration) {
        let propagation = publication.event.elapsed();
        let generation = publication.generation;
        self.parts.metrics.applied(&Applied {
            generation,
            propagation,
            compile,
            endpoints_only: matches!(publication.changed, Changed::Endpoints(_)),
        });
        if let Changed::Endpoints(clusters) = &publication.changed {
            tracing::debug!(
                generation,
                clusters = clusters.len(),
                ?propagation,
                "endpoints applied"
            );
            return;
        }
        self.parts
            .metrics
            .certificates(expiry::certificates(&runtime.snapshot));
        let hosts: usize = runtime
            .snapshot
            .tables
            .values()
            .map(|table| table.hosts.len())
            .sum();
        let clusters = runtime.clusters.len();
        info!(
            generation,
            hosts,
            clusters,
            ?propagation,
            ?compile,
            "snapshot applied"
        );
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.background.iter().for_each(JoinHandle::abort);
    }
}

fn is_stream(protocol: ListenerProtocol) -> bool {
    matches!(protocol, ListenerProtocol::Tcp | ListenerProtocol::Udp)
}

/// Whether listeners would be told nothing new.
fn same_tables(previous: &Runtime, current: &Runtime) -> bool {
    let same = |(name, table): (&Arc<str>, _)| {
        previous
            .tables
            .get(name)
            .is_some_and(|before| Arc::ptr_eq(before, table))
    };
    previous.snapshot.listeners == current.snapshot.listeners
        && previous.tables.len() == current.tables.len()
        && current.tables.iter().all(same)
}
