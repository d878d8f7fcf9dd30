//! The task that sends spans to a collector, in batches (OpenTelemetry's batch
//! span processor, but with what is lost in a metric).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::Counters;
use super::environment::Target;

/// One collector and how it is fed.
pub(super) struct Export {
    pub(super) target: Target,
    /// `None`: as the environment says.
    pub(super) service_name: Option<String>,
    pub(super) batch_size: usize,
    pub(super) delay: Duration,
    pub(super) counters: Arc<Counters>,
}

impl Export {
    /// Sends what comes until there is nobody left who could send more.
    pub(super) async fn run(self, mut queue: Receiver<SpanData>) {
        let mut exporter = match self.exporter() {
            Ok(exporter) => Some(exporter),
            Err(error) => {
                warn!(%error, "spans cannot be exported");
                None
            }
        };
        if let Some(exporter) = &mut exporter {
            exporter.set_resource(&self.resource());
        }
        let mut healthy = true;
        let mut batch = Vec::with_capacity(self.batch_size);
        while self.fill(&mut queue, &mut batch).await {
            let count = batch.len() as u64;
            let full = std::mem::replace(&mut batch, Vec::with_capacity(self.batch_size));
            let result = match &exporter {
                Some(exporter) => exporter.export(full).await.map_err(|error| error.to_string()),
                None => Err("there is no exporter".to_owned()),
            };
            match result {
                Ok(()) => {
                    self.counters.exported.fetch_add(count, Relaxed);
                    if !healthy {
                        info!("spans are exported again");
                    }
                    healthy = true;
                }
                Err(error) => {
                    self.counters.failed.fetch_add(count, Relaxed);
                    if healthy {
                        warn!(error, spans = count, "spans not exported");
                    }
                    healthy = false;
                }
            }
        }
    }

    /// Waits for a span, then for more until the batch is full or the delay is
    /// over. `false`: there will be none.
    async fn fill(&self, queue: &mut Receiver<SpanData>, batch: &mut Vec<SpanData>) -> bool {
        if queue.recv_many(batch, self.batch_size).await == 0 {
            return false;
        }
        let end = Instant::now() + self.delay;
        while batch.len() < self.batch_size {
            let room = self.batch_size - batch.len();
            match timeout_at(end, queue.recv_many(batch, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        true
    }

    fn exporter(&self) -> Result<SpanExporter, ExporterBuildError> {
        match &self.target {
            Target::Grpc(url) => SpanExporter::builder().with_tonic().with_endpoint(url).build(),
            Target::Environment => SpanExporter::builder().build(),
        }
    }

    /// Who sends the spans: `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`,
    /// and the name from the ConfigMap over them.
    fn resource(&self) -> Resource {
        let resource = Resource::builder();
        match &self.service_name {
            Some(name) => resource.with_service_name(name.clone()).build(),
            None => resource.build(),
        }
    }
}
