//! The controller on its thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tidegate_controller::admission::{CertificateConfig, Desk};
use tidegate_controller::objects::NamespacedName;
use tidegate_controller::provider::ProviderConfig;
use tidegate_controller::provider::kubernetes::{KubernetesConfig, Namespaces};
use tidegate_controller::status::{AddressSource, StatusConfig};
use tidegate_controller::{
    AskBound, AskProblems, Config, LeaseConfig, PodIdentity, State, fallback_certificate,
};
use tidegate_gateway::gateway::Gateway;
use tidegate_gateway::observe::metrics::Metrics;
use tidegate_gateway::settings::Settings;
use tidegate_snapshot::{ObjectRef, Problem, Publication};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tracing::error;

use super::heartbeat::Heartbeat;
use crate::options;

/// Between a breakdown of the controller and its next start.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// A running controller.
pub(super) struct Controller {
    state: Arc<State>,
    heart: Arc<Heartbeat>,
    stop: watch::Sender<bool>,
    /// How it ended.
    pub(super) ended: oneshot::Receiver<anyhow::Result<()>>,
}

impl Controller {
    /// The problems that stand now.
    pub(super) fn problems(&self) -> impl Fn() -> Arc<Vec<Arc<Problem>>> + Send + Sync + 'static {
        let state = self.state.clone();
        move || state.problems()
    }

    /// What it knows about itself.
    pub(super) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Where reviews of the API server are judged.
    pub(super) fn desk(&self) -> Desk {
        Desk::new(self.state.clone())
    }

    /// Whether its thread does something, or for how long it has not.
    pub(super) fn alive(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let heart = self.heart.clone();
        move || heart.check()
    }

    /// Lets it say goodbye in the statuses; then it ends.
    pub(super) fn stop(&self) {
        let _ = self.stop.send(true);
    }
}

/// Starts it; what it publishes is applied by the gateway.
///
/// Should it ever panic, it starts anew after a pause, and traffic is served on
/// as it was: a mistake in the control plane must not end connections.
pub(super) fn start(
    settings: &Settings,
    gateway: &Arc<Gateway>,
    metrics: &Metrics,
    certificate: Option<CertificateConfig>,
) -> anyhow::Result<Controller> {
    let state = State::new();
    let gateway = gateway.clone();
    let config = Config {
        certificate,
        ..config(settings, metrics, state.clone(), &gateway)?
    };
    let (stop, stopping) = watch::channel(false);
    let (ending, ended) = oneshot::channel();
    let heart = Arc::new(Heartbeat::new());
    let beating = heart.clone();
    thread::Builder::new()
        .name("controller".to_owned())
        .spawn(move || {
            let generation = Arc::new(AtomicU64::new(0));
            let outcome = loop {
                let life = AssertUnwindSafe(|| live(&config, &gateway, &generation, &beating, &stopping));
                match catch_unwind(life) {
                    Ok(outcome) => break outcome,
                    Err(_) if *stopping.borrow() => break Ok(()),
                    Err(_) => error!(?RESTART_PAUSE, "the controller broke down and will start anew"),
                }
                thread::sleep(RESTART_PAUSE);
            };
            let _ = ending.send(outcome);
        })
        .context("no thread for the controller")?;
    Ok(Controller {
        state,
        heart,
        stop,
        ended,
    })
}

/// One life of the controller. Generations go on where the last life's ended:
/// the gateway takes only newer ones.
fn live(
    config: &Config,
    gateway: &Arc<Gateway>,
    generation: &Arc<AtomicU64>,
    heart: &Heartbeat,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (gateway, generation) = (gateway.clone(), generation.clone());
    let publish = move |publication: Publication| {
        gateway.apply(&Publication {
            generation: generation.fetch_add(1, Ordering::Relaxed) + 1,
            ..publication
        });
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let life = tidegate_controller::run(config.clone(), Box::new(publish), stopping.clone());
    runtime.block_on(async {
        tokio::select! {
            outcome = life => Ok(outcome?),
            never = heart.run() => match never {},
        }
    })
}

fn bound(gateway: &Arc<Gateway>) -> AskBound {
    let gateway = Arc::downgrade(gateway);
    AskBound(Arc::new(move || {
        let listeners = gateway.upgrade().map(|gateway| gateway.listeners());
        let listeners = listeners.into_iter().flatten();
        listeners.map(|(key, status)| (key, status.map(drop))).collect()
    }))
}

/// GeoIP databases are asked for by our ConfigMap; without one nothing asks.
fn data_plane(config_map: Option<&NamespacedName>, gateway: &Arc<Gateway>) -> AskProblems {
    let object = config_map.map(|map| ObjectRef::new("ConfigMap", &map.namespace, &map.name));
    let gateway = Arc::downgrade(gateway);
    AskProblems(Arc::new(move || {
        let asked = gateway.upgrade().zip(object.as_ref());
        asked.map_or_else(Vec::new, |(gateway, object)| gateway.geoip_problems(object))
    }))
}

fn config(
    settings: &Settings,
    metrics: &Metrics,
    state: Arc<State>,
    gateway: &Arc<Gateway>,
) -> anyhow::Result<Config> {
    let mut options = options::options(settings)?;
    options.fallback_certificate = Some(fallback_certificate::generate().context("fallback certificate")?);
    let pod = pod();
    let election = settings.leader_election.enabled.then(|| LeaseConfig {
        namespace: pod.as_ref().map_or("default", |pod| &pod.namespace).to_owned(),
        name: settings.leader_election.lease.clone(),
        identity: identity(pod.as_ref()),
        ttl: settings.leader_election.ttl.0,
    });
    Ok(Config {
        provider: match &settings.provider.directory {
            Some(directory) => ProviderConfig::File(directory.clone()),
            None => ProviderConfig::Kubernetes(kubernetes(settings)),
        },
        bound: bound(gateway),
        data_plane: data_plane(options.config_map.as_ref(), gateway),
        options,
        status: status(settings)?,
        election,
        certificate: None,
        pod,
        zone_of_node: settings.ingress.topology_aware_routing,
        sync_events: settings.provider.kubernetes.sync_events,
        metrics: tidegate_controller::Metrics::new(metrics.registry())
            .context("metrics of the controller")?,
        state,
    })
}

fn kubernetes(settings: &Settings) -> KubernetesConfig {
    let kubernetes = &settings.provider.kubernetes;
    KubernetesConfig {
        kubeconfig: kubernetes.kubeconfig.clone(),
        context: None,
        apiserver_host: kubernetes.api_server.clone(),
        certificate_authority: kubernetes.certificate_authority.clone(),
        namespaces: match (&kubernetes.namespace, &kubernetes.namespace_selector) {
            (Some(namespace), _) => Namespaces::One(namespace.clone()),
            (None, Some(selector)) => Namespaces::Labelled(selector.clone()),
            (None, None) => Namespaces::All,
        },
    }
}

fn status(settings: &Settings) -> anyhow::Result<Option<StatusConfig>> {
    let status = &settings.status;
    if !status.update {
        return Ok(None);
    }
    let service =
        options::object(status.publish_service.as_deref()).context("setting status.publishService")?;
    let source = match service {
        _ if !status.publish_addresses.is_empty() => {
            AddressSource::Addresses(status.publish_addresses.clone())
        }
        Some(service) => AddressSource::Service(service),
        None => AddressSource::Nodes {
            internal: status.node_internal_address,
        },
    };
    Ok(Some(StatusConfig {
        source,
        clear_on_shutdown: status.clear_on_shutdown,
    }))
}

/// The pod that this is, from the environment that ingress-nginx's manifests
/// set, too.
pub(super) fn pod() -> Option<PodIdentity> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(PodIdentity {
        namespace: variable("POD_NAMESPACE")?,
        name: variable("POD_NAME")?,
    })
}

/// A name that no other replica has.
fn identity(pod: Option<&PodIdentity>) -> String {
    pod.map_or_else(
        || format!("tidegate-{}", std::process::id()),
        |pod| pod.name.clone(),
    )
}
