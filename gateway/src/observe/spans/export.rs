//! The task that sends spans to a collector, in batches (OpenTelemetry's batch
//! span processor, but with what is lost in a metric).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::Counters;
use super::environment::{Target, Transport};
use super::tls::TlsError;

/// One collector and how it is fed.
pub(super) struct Export {
    pub(super) target: Target,
    /// `None`: as the environment says.
    pub(super) service_name: Option<String>,
    pub(super) batch_size: usize,
    pub(super) delay: Duration,
    pub(super) counters: Arc<Counters>,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
enum ExporterError {
    #[error(transparent)]
    Build(#[from] ExporterBuildError),
    #[error("TLS to the collector: {0}")]
    Tls(#[from] TlsError),
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

    fn exporter(&self) -> Result<SpanExporter, ExporterError> {
        let transport = match &self.target {
            Target::Grpc(url) => {
                let exporter = SpanExporter::builder().with_tonic().with_endpoint(url);
                return Ok(exporter.build()?);
            }
            Target::Environment(transport) => transport,
        };
        let Transport { grpc, timeout, tls } = transport;
        Ok(match (tls, grpc) {
            (None, _) => SpanExporter::builder().build()?,
            (Some(files), true) => {
                let exporter = SpanExporter::builder().with_tonic();
                exporter.with_tls_config(files.grpc()?).build()?
            }
            (Some(files), false) => {
                let exporter = SpanExporter::builder().with_http();
                exporter.with_http_client(files.http(*timeout)?).build()?
            }
        })
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
