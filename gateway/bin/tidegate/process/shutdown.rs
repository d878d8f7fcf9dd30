//! The end of a process: on SIGTERM or SIGINT readiness fails, connections end
//! as they can, statuses are cleaned up, and the process exits as soon as all
//! that is done. A second signal ends it at once.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tidegate_gateway::gateway::Gateway;
use tidegate_gateway::listener::Drain;
use tidegate_gateway::settings::Settings;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::controller::Controller;

/// For the last lines of the access log, and for the last spans.
pub(super) const FLUSH_TIME: Duration = Duration::from_secs(2);

/// For the controller to clean statuses up.
const FAREWELL_TIME: Duration = Duration::from_secs(30);

/// How often readiness is looked at until the first snapshot is served.
const READY_CHECK: Duration = Duration::from_millis(5);

/// Waits for a signal, then ends everything in order. An error when the
/// controller could not start.
pub(super) async fn wait(
    settings: &Settings,
    gateway: &Arc<Gateway>,
    mut controller: Controller,
    ready: impl FnOnce(),
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut ready = Some(ready);
    let mut ended = false;
    loop {
        tokio::select! {
            name = signals.next() => {
                info!(signal = name, "ending");
                break;
            }
            outcome = &mut controller.ended, if !ended => {
                outcome.context("the controller broke down")??;
                // Cannot happen before the stop; traffic is served on as it was.
                error!("the controller ended");
                ended = true;
            }
            () = served(gateway), if ready.is_some() => {
                if let Some(ready) = ready.take() {
                    ready();
                }
            }
        }
    }
    let end = end(settings, gateway, &mut controller, ended);
    tokio::select! {
        code = end => Ok(code),
        name = signals.next() => {
            warn!(signal = name, "ending at once");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn end(settings: &Settings, gateway: &Gateway, controller: &mut Controller, ended: bool) -> ExitCode {
    let cut_off = gateway
        .drain(Drain {
            delay: settings.shutdown.delay.0,
            idle: Drain::IDLE,
            grace: settings
                .shutdown
                .grace(gateway.runtime().snapshot.shutdown_timeout),
        })
        .await;
    controller.stop();
    gateway.flush_spans(FLUSH_TIME).await;
    if !ended
        && tokio::time::timeout(FAREWELL_TIME, &mut controller.ended)
            .await
            .is_err()
    {
        warn!("statuses not cleaned up in time");
    }
    info!(cut_off, "ended");
    ExitCode::SUCCESS
}

/// Resolves when the first snapshot is being served.
async fn served(gateway: &Gateway) {
    while gateway.ready().is_err() {
        tokio::time::sleep(READY_CHECK).await;
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
