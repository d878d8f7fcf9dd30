//! The controller on its thread.

use std::sync::Arc;
use std::thread;

use anyhow::Context;
use tidegate_controller::provider::ProviderConfig;
use tidegate_controller::provider::kubernetes::{KubernetesConfig, Namespaces};
use tidegate_controller::status::{AddressSource, StatusConfig};
use tidegate_controller::{Config, LeaseConfig, PodIdentity, State, fallback_certificate};
use tidegate_gateway::gateway::Gateway;
use tidegate_gateway::observe::metrics::Metrics;
use tidegate_gateway::settings::Settings;
use tidegate_snapshot::{Problem, Publication};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};

use crate::options;

/// A running controller.
pub(super) struct Controller {
    state: Arc<State>,
    stop: watch::Sender<bool>,
    /// How it ended.
    pub(super) ended: oneshot::Receiver<Result<(), tidegate_controller::Error>>,
}

impl Controller {
    /// The problems that stand now.
    pub(super) fn problems(&self) -> impl Fn() -> Arc<Vec<Problem>> + Send + Sync + 'static {
        let state = self.state.clone();
        move || state.problems()
    }

    /// Lets it say goodbye in the statuses; then it ends.
    pub(super) fn stop(&self) {
        let _ = self.stop.send(true);
    }
}

/// Starts it; what it publishes is applied by the gateway.
pub(super) fn start(
    settings: &Settings,
    gateway: &Arc<Gateway>,
    metrics: &Metrics,
) -> anyhow::Result<Controller> {
    let state = State::new();
    let config = config(settings, metrics, state.clone())?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let gateway = gateway.clone();
    let publish = move |publication: Publication| gateway.apply(&publication);
    let (stop, stopping) = watch::channel(false);
    let (ending, ended) = oneshot::channel();
    thread::Builder::new()
        .name("controller".to_owned())
        .spawn(move || {
            let outcome = runtime.block_on(tidegate_controller::run(config, Box::new(publish), stopping));
            let _ = ending.send(outcome);
        })
        .context("no thread for the controller")?;
    Ok(Controller { state, stop, ended })
}

fn config(settings: &Settings, metrics: &Metrics, state: Arc<State>) -> anyhow::Result<Config> {
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
        options,
        status: status(settings)?,
        election,
        pod,
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
fn pod() -> Option<PodIdentity> {
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
