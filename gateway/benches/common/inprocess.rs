//! The whole of Tidegate in one process: objects go in as provider events,
//! requests come out of real sockets.

#![allow(dead_code, unreachable_pub, reason = "each benchmark uses its own part")]

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tidegate_controller::objects::Object;
use tidegate_controller::options::{ListenerOptions, Options};
use tidegate_controller::provider::{ObjectChange, ProviderEvent, Update};
use tidegate_controller::{State, fallback_certificate, manifest};
use tidegate_gateway::gateway::{Gateway, Options as GatewayOptions};
use tidegate_gateway::listener::Limits;
use tidegate_gateway::observe::access_log::AccessLog;
use tidegate_gateway::observe::metrics::Metrics;
use tokio::sync::{mpsc, watch};

/// A running Tidegate.
pub struct Tidegate {
    /// Serves until it is dropped.
    pub gateway: Arc<Gateway>,
    /// The plain listener.
    pub http: SocketAddr,
    /// The TLS listener.
    pub https: SocketAddr,
    /// What its controller knows about itself.
    pub state: Arc<State>,
    events: mpsc::Sender<ProviderEvent>,
    _shutdown: watch::Sender<bool>,
}

impl Tidegate {
    /// Starts with these objects and waits until they are served. The
    /// controller gets a thread of its own, as in the program.
    pub async fn start(objects: Vec<Object>) -> Result<Self> {
        let gateway = Arc::new(Gateway::start(GatewayOptions {
            metrics: Arc::new(Metrics::new()),
            access_log: Arc::new(AccessLog::off()),
            limits: Limits::default(),
        })?);
        let (events, received) = mpsc::channel(1024);
        let (shutdown, stop) = watch::channel(false);
        let (options, registry) = (options()?, prometheus::Registry::new());
        let metrics = tidegate_controller::Metrics::new(&registry)?;
        let applied = gateway.clone();
        let state = State::new();
        let told = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let publish = Box::new(move |publication| applied.apply(&publication));
            runtime.block_on(tidegate_controller::run_events(
                options, metrics, received, publish, told, stop,
            ));
            Ok::<_, std::io::Error>(())
        });
        let changes = objects.into_iter().map(ObjectChange::Apply).collect();
        events.send(ProviderEvent::now(Update::Changes(changes))).await?;
        events.send(ProviderEvent::now(Update::Synced)).await?;
        while gateway.ready().is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let http = gateway.address("http").context("the plain listener")?;
        let https = gateway.address("https").context("the TLS listener")?;
        Ok(Self {
            gateway,
            http,
            https,
            state,
            events,
            _shutdown: shutdown,
        })
    }

    /// Sends objects that are new or changed, as one event that arrives now.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        let changes = objects(yaml)?.into_iter().map(ObjectChange::Apply).collect();
        self.events
            .send(ProviderEvent::now(Update::Changes(changes)))
            .await?;
        Ok(())
    }

    /// Sends the deletion of the objects that the text names.
    pub async fn delete(&self, yaml: &str) -> Result<()> {
        let gone = |object: Object| ObjectChange::Delete(object.kind(), object.namespaced_name());
        let changes = objects(yaml)?.into_iter().map(gone).collect();
        self.events
            .send(ProviderEvent::now(Update::Changes(changes)))
            .await?;
        Ok(())
    }
}

/// The objects of a manifest, which must be whole.
pub fn objects(yaml: &str) -> Result<Vec<Object>> {
    let manifest = manifest::parse("bench.yaml", yaml);
    anyhow::ensure!(
        manifest.errors.is_empty(),
        "the benchmark's own YAML: {:?}",
        manifest.errors
    );
    Ok(manifest.objects)
}

fn options() -> Result<Options> {
    let loopback = || SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(Options {
        controller_classes: vec!["k8s.io/ingress-nginx".to_owned()],
        http: Some(ListenerOptions::new(loopback(), 80)),
        https: Some(ListenerOptions::new(loopback(), 443)),
        fallback_certificate: Some(fallback_certificate::generate()?),
        ..Options::default()
    })
}
