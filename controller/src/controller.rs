//! The wiring: provider, reconciler, and with an API server the election, the
//! status writers and the sender of Events.

use std::sync::Arc;

use kube::Client;
use tidegate_snapshot::Problem;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::warn;

use crate::Error;
use crate::admission::{self, CertificateConfig};
use crate::events::{self, Events};
use crate::infrastructure::{self, Infrastructure};
use crate::lease::{self, LeaseConfig};
use crate::metrics::Metrics;
use crate::objects::{Kind, NamespacedName};
use crate::options::Options;
use crate::provider::kubernetes::pods::PodIdentity;
use crate::provider::kubernetes::{self, Extras, client, pods};
use crate::provider::{self, KubernetesConfig, ProviderConfig, file};
use crate::reconcile::{Publish, Reconciler, Report};
use crate::state::State;
use crate::status::{AddressSource, Bound, Gateways, Pods, StatusConfig, Statuses, writer};
use crate::translate::Translator;

/// Asks which listeners of the latest snapshot are bound, or why not.
#[derive(Clone)]
pub struct AskBound(pub Arc<dyn Fn() -> Bound + Send + Sync>);

impl std::fmt::Debug for AskBound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskBound")
    }
}

/// Asks what is wrong with what the data plane needs beside the snapshot, such as
/// files. Asked every second.
#[derive(Clone)]
pub struct AskProblems(pub Arc<dyn Fn() -> Vec<Problem> + Send + Sync>);

impl std::fmt::Debug for AskProblems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskProblems")
    }
}

/// Everything that a controller needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where objects come from.
    pub provider: ProviderConfig,
    /// How they are translated.
    pub options: Options,
    /// What Ingress statuses show; `None`: they are left alone
    /// (`--update-status=false`). Not with files.
    pub status: Option<StatusConfig>,
    /// The Lease; `None` (`--disable-leader-election`): no statuses either, as
    /// in ingress-nginx.
    pub election: Option<LeaseConfig>,
    /// The admission webhook's certificate, where the leader makes it.
    pub certificate: Option<CertificateConfig>,
    /// Which listeners of the latest snapshot are bound: Gateway statuses say so.
    pub bound: AskBound,
    /// What the data plane lacks, to be told like problems of objects.
    pub data_plane: AskProblems,
    /// The pod that this is, if it is one.
    pub pod: Option<PodIdentity>,
    /// Take the zone of [`Options::zone`] from the node that the pod runs on,
    /// unless it is known (`--enable-topology-aware-routing`).
    pub zone_of_node: bool,
    /// A `Sync` Event for each accepted Ingress that is new or changed
    /// (`--disable-sync-events` turns it off).
    pub sync_events: bool,
    /// Where it counts.
    pub metrics: Metrics,
    /// Where it tells how it is.
    pub state: Arc<State>,
}

/// Runs a controller until `shutdown` turns true. `publish` is called with each
/// new snapshot, in order, the first time when every object has been seen.
///
/// Must run in a tokio runtime with time and IO; one thread is enough.
///
/// # Errors
/// Only at the start, when the provider's settings are not usable.
pub async fn run(mut config: Config, publish: Publish, shutdown: watch::Receiver<bool>) -> Result<(), Error> {
    let (sender, events) = mpsc::channel(provider::QUEUE);
    // Ends every task when this function ends.
    let mut tasks = JoinSet::new();
    let mut election = None;
    let report = match config.provider.clone() {
        ProviderConfig::File(path) => {
            std::fs::metadata(&path).map_err(|source| Error::Directory {
                path: path.clone(),
                source,
            })?;
            tasks.spawn(file::run(path, sender));
            Report::new(config.metrics.clone(), config.state.clone(), None, None, None)
        }
        ProviderConfig::Kubernetes(settings) => {
            let client = client::connect(&settings).await?;
            let selector = match &config.pod {
                Some(pod) => pods::selector(&client, pod).await,
                None => None,
            };
            if let (true, None, Some(pod)) = (config.zone_of_node, &config.options.zone, &config.pod) {
                config.options.zone = pods::zone(&client, pod).await;
            }
            let served = kubernetes::Served::default();
            spawn_provider(
                &config,
                &settings,
                &client,
                selector.as_deref(),
                served.clone(),
                sender,
                &mut tasks,
            );
            let elected = start_election(&config, &client, &shutdown, &mut tasks);
            let (leader, farewell) = elected.unzip();
            election = farewell;
            start_certificate(&config, &client, leader.clone(), &mut tasks);
            let infrastructure =
                start_infrastructure(&config, &client, selector.as_deref(), leader.clone(), &mut tasks);
            let statuses = start_statuses(&config, &client, served, selector, leader.clone(), &mut tasks);
            let events = Events::new(config.metrics.clone(), config.sync_events);
            let instance = config
                .pod
                .as_ref()
                .map_or_else(|| "tidegate".to_owned(), |pod| pod.name.clone());
            tasks.spawn(events::run(
                client,
                events.queue(),
                config.metrics.clone(),
                instance,
            ));
            Report::new(
                config.metrics.clone(),
                config.state.clone(),
                Some(events),
                statuses,
                leader,
            )
            .with_infrastructure(infrastructure)
        }
    };
    let report = report.with_data_plane(config.data_plane);
    let translator = Translator::new(config.options);
    Reconciler::new(translator, publish, report, config.metrics, config.state)
        .run(events, shutdown)
        .await;
    if let Some((farewell, ended)) = election {
        // The last statuses are written: the Lease may go.
        drop(farewell);
        let _ = ended.await;
    }
    Ok(())
}

/// Runs a controller whose objects the caller sends: [`run`] without a provider
/// of its own, and so without statuses and Events. Ends when the sender is gone
/// or `shutdown` turns true.
pub async fn run_events(
    options: Options,
    metrics: Metrics,
    events: mpsc::Receiver<provider::ProviderEvent>,
    publish: Publish,
    state: Arc<State>,
    shutdown: watch::Receiver<bool>,
) {
    let report = Report::new(metrics.clone(), state.clone(), None, None, None);
    Reconciler::new(Translator::new(options), publish, report, metrics, state)
        .run(events, shutdown)
        .await;
}

fn spawn_provider(
    config: &Config,
    settings: &KubernetesConfig,
    client: &Client,
    selector: Option<&str>,
    gateway_api: kubernetes::Served,
    events: mpsc::Sender<provider::ProviderEvent>,
    tasks: &mut JoinSet<()>,
) {
    let nodes = config
        .status
        .as_ref()
        .is_some_and(|status| matches!(status.source, AddressSource::Nodes { .. }));
    let replicas = wants_pods(&config.options);
    let pods = match (&config.pod, selector) {
        (Some(pod), Some(selector)) if nodes || replicas => {
            Some((pod.namespace.clone(), selector.to_owned()))
        }
        _ => None,
    };
    let extras = Extras {
        named: named(config),
        pods,
        nodes,
        gateway_api,
        state: config.state.clone(),
    };
    let namespaces = settings.namespaces.clone();
    tasks.spawn(kubernetes::run(
        client.clone(),
        namespaces,
        extras,
        events,
        config.metrics.clone(),
    ));
}

/// The objects that flags name.
fn named(config: &Config) -> Vec<(Kind, NamespacedName)> {
    let mut named = Vec::new();
    if let Some(config_map) = &config.options.config_map {
        named.push((Kind::ConfigMap, config_map.clone()));
    }
    let streams = [&config.options.tcp_services, &config.options.udp_services];
    named.extend(
        streams
            .into_iter()
            .flatten()
            .map(|map| (Kind::ConfigMap, map.clone())),
    );
    if let Some(secret) = &config.options.default_ssl_certificate {
        named.push((Kind::Secret, secret.clone()));
    }
    if let Some(service) = &config.options.default_backend_service {
        named.push((Kind::Service, service.clone()));
        named.push((Kind::EndpointSlice, service.clone()));
    }
    if let Some(AddressSource::Service(service)) = config.status.as_ref().map(|status| &status.source) {
        named.push((Kind::Service, service.clone()));
    }
    named
}

/// Held until the farewell is over; and the end of the election.
type Farewell = (oneshot::Sender<()>, oneshot::Receiver<()>);

/// Takes part in the election. Also where a leader has nothing to write
/// (`--update-status=false`): as in ingress-nginx the metric says who leads.
fn start_election(
    config: &Config,
    client: &Client,
    shutdown: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> Option<(watch::Receiver<bool>, Farewell)> {
    let election = config.election.as_ref()?;
    let (leader, following) = watch::channel(false);
    let (farewell, said) = oneshot::channel::<()>();
    let (ending, ended) = oneshot::channel::<()>();
    let elected = lease::run(
        client.clone(),
        election.clone(),
        leader,
        shutdown.clone(),
        async {
            // An error is the sender's end, which is what is waited for.
            let _ = said.await;
        },
    );
    tasks.spawn(async move {
        elected.await;
        let _ = ending.send(());
    });
    Some((following, (farewell, ended)))
}

/// Follows and keeps the webhook's certificate. Without an election every
/// replica does: the Secret's version decides whose counts.
fn start_certificate(
    config: &Config,
    client: &Client,
    leader: Option<watch::Receiver<bool>>,
    tasks: &mut JoinSet<()>,
) {
    let Some(certificate) = config.certificate.clone() else {
        return;
    };
    let client = client.clone();
    tasks.spawn(async move {
        let (_always, all) = watch::channel(true);
        admission::keep_certificate(client, certificate, leader.unwrap_or(all)).await;
    });
}

fn start_statuses(
    config: &Config,
    client: &Client,
    served: kubernetes::Served,
    selector: Option<String>,
    leader: Option<watch::Receiver<bool>>,
    tasks: &mut JoinSet<()>,
) -> Option<Statuses> {
    let (status, following) = (config.status.as_ref()?, leader?);
    let queue = Arc::default();
    tasks.spawn(writer::run(
        client.clone(),
        served,
        Arc::clone(&queue),
        following.clone(),
        config.metrics.clone(),
    ));
    let pods =
        config.pod.as_ref().zip(selector).map(|(pod, selector)| {
            Pods::new(client.clone(), pod.namespace.clone(), selector, pod.name.clone())
        });
    let gateways = Gateways::new(&config.options, config.bound.0.clone());
    Some(Statuses::new(status.clone(), following, queue, pods, gateways))
}

/// Whether Services lead to the pods of this controller.
fn wants_pods(options: &Options) -> bool {
    let services = options.gateway_services.as_ref();
    services.is_some_and(|services| services.addresses.is_empty())
}

/// Keeps the objects of Gateways; also where there should be none: those that an
/// earlier setting has left behind go.
fn start_infrastructure(
    config: &Config,
    client: &Client,
    selector: Option<&str>,
    leader: Option<watch::Receiver<bool>>,
    tasks: &mut JoinSet<()>,
) -> Option<Infrastructure> {
    let Some(leader) = leader else {
        if config.options.gateway_services.is_some() {
            warn!("without leader election nobody makes the Services of gatewayApi.services");
        }
        return None;
    };
    if wants_pods(&config.options) && selector.is_none() {
        warn!(
            "gatewayApi.services lead nowhere: this process is no pod (POD_NAMESPACE, POD_NAME);              name the replicas in gatewayApi.services.addresses"
        );
    }
    let (queue, refusals) = (Arc::default(), Arc::default());
    tasks.spawn(infrastructure::writer::run(
        client.clone(),
        Arc::clone(&queue),
        Arc::clone(&refusals),
        leader.clone(),
    ));
    Some(Infrastructure::new(&config.options, leader, queue, refusals))
}
