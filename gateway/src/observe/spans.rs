//! Spans of requests (OpenTelemetry): begun and finished on the request path,
//! which never waits, and exported over OTLP by a task of their own.
//!
//! A route without tracing has no part in this at all. Traces that are not
//! sampled cost two random numbers and a header field.

mod context;
mod environment;
mod export;
mod sampler;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use parking_lot::Mutex;
use tidegate_snapshot::{Sampler, TraceExport};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use context::Parent;
use environment::Environment;
use export::Export;

/// W3C Trace Context §3.2.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// W3C Trace Context §3.3.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Who has made them.
static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder("tidegate")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
});

/// Makes and exports spans; one for a process.
pub struct Spans {
    environment: Environment,
    active: ArcSwap<Active>,
    worker: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
    /// Where spans are exported.
    handle: Handle,
}

/// What became of spans.
#[derive(Debug, Default)]
pub struct Counters {
    /// Taken by the collector.
    pub exported: AtomicU64,
    /// Left out because too many were waiting.
    pub dropped: AtomicU64,
    /// Not taken by the collector.
    pub failed: AtomicU64,
}

struct Active {
    sampler: Sampler,
    /// `None`: there is no collector.
    queue: Option<mpsc::Sender<SpanData>>,
}

/// The span of a request under way.
pub struct Span {
    trace: u128,
    id: u64,
    sampled: bool,
    parent: Option<Parent>,
    state: Option<HeaderValue>,
    began: SystemTime,
}

/// What a finished span says besides itself.
pub struct Finished {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<KeyValue>,
    /// The request failed for a reason of the server's.
    pub is_error: bool,
    /// From the beginning to the end.
    pub duration: Duration,
}

impl Spans {
    /// Reads `OTEL_*` of the environment. Spans are exported by the current
    /// tokio runtime once [`Spans::configure`] is called.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn from_environment() -> Self {
        let environment = Environment::read(|name| std::env::var(name).ok());
        let sampler = environment.settings(&TraceExport::default()).sampler;
        Self {
            active: ArcSwap::from_pointee(Active { sampler, queue: None }),
            environment,
            worker: Mutex::default(),
            counters: Arc::default(),
            handle: Handle::current(),
        }
    }

    /// Takes what the ConfigMap says. What waits for the collector before is
    /// still sent to it.
    pub fn configure(&self, spec: &TraceExport) {
        let settings = self.environment.settings(spec);
        let mut worker = self.worker.lock();
        let queue = settings.export.clone().map(|target| {
            let (sender, receiver) = mpsc::channel(settings.queue_size);
            let export = Export {
                target,
                service_name: settings.service_name.clone(),
                batch_size: settings.batch_size,
                delay: settings.delay,
                counters: self.counters.clone(),
            };
            *worker = Some(self.handle.spawn(export.run(receiver)));
            sender
        });
        self.active.store(Arc::new(Active {
            sampler: settings.sampler,
            queue,
        }));
    }

    /// What became of spans so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Begins the span of a request. `None`: the environment says that there
    /// are none (`OTEL_SDK_DISABLED`).
    pub fn begin(&self, client: &HeaderMap, trusts_client: bool) -> Option<Span> {
        if self.environment.disabled {
            return None;
        }
        let named = client.get(TRACEPARENT).filter(|_| trusts_client);
        let parent = named.and_then(|value| Parent::parse(value.as_bytes()));
        let (trace, state) = match &parent {
            Some(parent) => (parent.trace, client.get(TRACESTATE).cloned()),
            None => (context::random_trace(), None),
        };
        let of_parent = parent.as_ref().map(|parent| parent.sampled);
        Some(Span {
            sampled: sampler::is_sampled(&self.active.load().sampler, of_parent, trace),
            id: context::random_span(),
            trace,
            parent,
            state,
            began: SystemTime::now(),
        })
    }

    /// Queues a span for export if its trace is sampled; `describe` is called
    /// only then. Never waits: a span too many is dropped and counted.
    pub fn finish(&self, span: &Span, describe: impl FnOnce() -> Finished) {
        if !span.sampled {
            return;
        }
        let active = self.active.load();
        let Some(queue) = &active.queue else { return };
        match queue.try_reserve() {
            Ok(place) => place.send(span.data(describe())),
            Err(_) => {
                self.counters.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Ends the export: sends what is waiting, for as long as `patience`.
    pub async fn flush(&self, patience: Duration) {
        let sampler = self.active.load().sampler;
        self.active.store(Arc::new(Active { sampler, queue: None }));
        let worker = self.worker.lock().take();
        if let Some(worker) = worker
            && tokio::time::timeout(patience, worker).await.is_err()
        {
            tracing::warn!("spans not exported in time");
        }
    }
}

impl Span {
    /// The `traceparent` that the upstream gets.
    pub fn traceparent(&self) -> HeaderValue {
        context::traceparent(self.trace, self.id, self.sampled)
    }

    /// Whether the client's `tracestate` belongs to this trace; else the
    /// upstream must not get it.
    pub fn keeps_state(&self) -> bool {
        self.state.is_some()
    }

    /// Trace and span in hexadecimal digits, for logs.
    pub fn ids(&self) -> (TraceId, SpanId) {
        (self.trace.into(), self.id.into())
    }

    fn data(&self, finished: Finished) -> SpanData {
        let state = self.state.as_ref().and_then(|state| state.to_str().ok());
        let state: Option<TraceState> = state.and_then(|state| state.parse().ok());
        let status = match finished.is_error {
            true => Status::error(""),
            false => Status::Unset,
        };
        SpanData {
            span_context: SpanContext::new(
                self.trace.into(),
                self.id.into(),
                TraceFlags::SAMPLED,
                false,
                state.unwrap_or_default(),
            ),
            parent_span_id: self
                .parent
                .as_ref()
                .map_or(SpanId::INVALID, |parent| parent.span.into()),
            parent_span_is_remote: self.parent.is_some(),
            span_kind: SpanKind::Server,
            name: finished.name.into(),
            start_time: self.began,
            end_time: self.began + finished.duration,
            attributes: finished.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: SCOPE.clone(),
        }
    }
}
