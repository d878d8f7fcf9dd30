//! The wiring of a serving process: controller → gateway, admin port, signals.
//! Traffic has a runtime of its own; the controller and the admin port each
//! have a thread, so that neither a big translation nor a scrape ever takes
//! time from requests.

mod controller;
mod heartbeat;
mod metrics;
mod shutdown;
mod webhook;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use tidegate_gateway::admin::{self, Console};
use tidegate_gateway::gateway::{self, Gateway};
use tidegate_gateway::listener::Limits;
use tidegate_gateway::observe::access_log::{AccessLog, Format, Output};
use tidegate_gateway::observe::metrics::Metrics;
use tidegate_gateway::settings::{self, AccessLogFormat, Settings};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tracing::info;

use self::controller::Controller;
use crate::ports::{self, any_address};
use crate::threads;

/// Serves until a signal ends it. `ready` is called when the first snapshot is
/// being served.
pub(crate) fn serve(settings: &Settings, ready: impl FnOnce()) -> anyhow::Result<ExitCode> {
    ports::check(settings)?;
    let admin_address = SocketAddr::new(
        settings.admin.address.unwrap_or_else(any_address),
        settings.admin.port,
    );
    let admin_listener = ports::bind(admin_address, "--healthz-port")?;

    let threads = threads::count(settings.threads);
    let open_files = open_files();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        threads, open_files, "starting"
    );
    let traffic = Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("traffic")
        .enable_all()
        .build()
        .context("no threads for traffic")?;
    let metrics = Arc::new(Metrics::with(metrics::options(settings)));
    let log = Arc::new(access_log(&settings.access_log)?);
    let gateway = {
        let _inside = traffic.enter();
        let options = gateway::Options {
            metrics: metrics.clone(),
            access_log: log.clone(),
            limits: Limits::default(),
        };
        Arc::new(Gateway::start(options).context("no threads")?)
    };
    let certificate = webhook::Certificate::of(&settings.webhook)?;
    let kept = certificate
        .as_ref()
        .map(|certificate| certificate.kept(&settings.webhook));
    let controller = controller::start(settings, &gateway, &metrics, kept.transpose()?.flatten())?;
    metrics::show(settings, &gateway, &controller, &metrics);
    let stop_webhook = webhook::start(&settings.webhook, certificate, controller.desk())?;
    let stop_admin = serve_admin(admin_listener, console(settings, &gateway, &controller, metrics))?;

    let outcome = on_a_runtime()?.block_on(shutdown::wait(settings, &gateway, controller, ready));
    log.flush(shutdown::FLUSH_TIME);
    drop((stop_admin, stop_webhook));
    // What still runs (second signal, cut-off connections) ends here.
    traffic.shutdown_background();
    outcome
}

/// Raises the soft limit of open files to the hard one: each connection is one,
/// and many systems start programs with 1,024. The limit that holds then.
fn open_files() -> u64 {
    rlimit::increase_nofile_limit(rlimit::INFINITY).unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files could not be raised");
        0
    })
}

fn access_log(settings: &settings::AccessLog) -> anyhow::Result<AccessLog> {
    let format = match settings.format {
        AccessLogFormat::Nginx => Format::Nginx,
        AccessLogFormat::Json => Format::Json,
        AccessLogFormat::Off => return Ok(AccessLog::off()),
    };
    let output = settings.file.clone().map_or(Output::Stdout, Output::File);
    AccessLog::start(format, &output).with_context(|| match &output {
        Output::Stdout | Output::Stderr => "access log".to_owned(),
        Output::File(path) => format!("access log {}", path.display()),
        Output::Syslog { host, port } => format!("access log to syslog at {host}:{port}"),
    })
}

fn console(
    settings: &Settings,
    gateway: &Arc<Gateway>,
    controller: &Controller,
    metrics: Arc<Metrics>,
) -> Arc<Console> {
    let (serving, ready) = (gateway.clone(), gateway.clone());
    Arc::new(Console {
        runtime: Box::new(move || serving.runtime()),
        ready: Box::new(move || ready.ready()),
        alive: Box::new(controller.alive()),
        problems: Box::new(controller.problems()),
        metrics,
        health_path: settings.admin.health_path.clone(),
    })
}

/// Answers on the admin port until the returned sender is dropped or the
/// process ends.
fn serve_admin(
    listener: std::net::TcpListener,
    console: Arc<Console>,
) -> anyhow::Result<watch::Sender<bool>> {
    listener.set_nonblocking(true).context("admin port")?;
    info!(address = %listener.local_addr().context("admin port")?, "admin port bound");
    let runtime = on_a_runtime()?;
    let (stop, stopping) = watch::channel(false);
    let serve = move || {
        runtime.block_on(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => admin::serve(listener, console, stopping).await,
                Err(error) => tracing::error!(%error, "admin port not served"),
            }
        });
    };
    thread::Builder::new()
        .name("admin".to_owned())
        .spawn(serve)
        .context("no thread for the admin port")?;
    Ok(stop)
}

/// A runtime for the thread that it is used on.
fn on_a_runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")
}
