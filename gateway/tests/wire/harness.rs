//! A gateway on loopback that serves one snapshot.

use std::net::SocketAddr;
use std::sync::Arc;

use pingora_core::server::configuration::ServerConf;
use tidegate_gateway::listener::{Counters, Limits, Listeners};
use tidegate_gateway::observe::access_log::AccessLog;
use tidegate_gateway::observe::metrics::Metrics;
use tidegate_gateway::observe::spans::Spans;
use tidegate_gateway::proxy::{App, Proxy};
use tidegate_gateway::runtime::{self, Parts, Runtime};
use tidegate_gateway::upstream;

use crate::support::client::Client;
use crate::support::snapshot::Builder;

/// It ends when dropped.
pub(crate) struct Gateway {
    pub(crate) listeners: Listeners<App>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) counters: Arc<Counters>,
    _runtime: Runtime,
}

impl Gateway {
    /// Serves what the builder has made.
    pub(crate) fn start(builder: &Builder) -> Self {
        Self::with_log(builder, AccessLog::off())
    }

    /// The same with an access log.
    pub(crate) fn with_log(builder: &Builder, log: AccessLog) -> Self {
        tidegate_gateway::tls::install_provider();
        let metrics = Arc::new(Metrics::new());
        let parts = Parts {
            metrics: metrics.clone(),
            upstream: upstream::Shared::new(),
        };
        let runtime = runtime::compile(None, &builder.publication(1), &parts);
        let log = Arc::new(log);
        let proxy = Proxy::new(&metrics, log.clone(), Arc::new(Spans::from_environment()));
        let refusal = proxy.refusal();
        let app = proxy.app(ServerConf::default());
        let counters = Arc::new(Counters::default());
        let listeners = Listeners::new(app, Limits::default(), counters.clone(), log, Some(refusal));
        let wanted = runtime.snapshot.listeners.iter();
        let wanted =
            wanted.map(|(key, spec)| (key.clone(), spec.clone(), runtime.tables[&spec.table].clone()));
        listeners.apply(wanted.collect());
        Self {
            listeners,
            metrics,
            counters,
            _runtime: runtime,
        }
    }

    /// Where a listener is.
    pub(crate) fn address(&self, key: &str) -> SocketAddr {
        let statuses = self.listeners.statuses();
        let (_, status) = statuses.into_iter().find(|(name, _)| **name == *key).unwrap();
        status.unwrap()
    }

    /// A connection to the listener `http`.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address("http")).await
    }
}

/// A builder with the listener `http` and, on host `foo.bar`, everything to
/// the cluster `a` with these endpoints.
pub(crate) fn simple(endpoints: &[SocketAddr]) -> Builder {
    use crate::support::snapshot::route;
    Builder::new()
        .http("http")
        .cluster("a", endpoints)
        .host("foo.bar", [route("/", "a")])
}
