//! The explanation of a request by what is served at the moment.

use std::sync::Arc;

use tidegate_snapshot::{ClusterKey, Listener, ListenerProtocol};

use super::question::Question;
use crate::request::RequestView;
use crate::router::{self, Explanation};
use crate::runtime::Runtime;
use crate::upstream::EndpointStatus;

/// Said when [`explain`] has nothing.
pub const NOT_SERVED: &str = "no listener serves this: nothing answers on its port";

/// Explains a request: the routing of the listener that it would come to, and
/// the endpoints at the moment. `None` when no listener speaks its scheme.
pub fn explain(runtime: &Runtime, question: &Question) -> Option<Explanation> {
    let listeners = runtime.snapshot.listeners.values();
    let mut speaking = listeners.filter(|listener| speaks(listener, question));
    let first = speaking.next()?;
    // With several of them, the URL's port decides.
    let named = |listener: &&Arc<Listener>| is_on(listener, question.port());
    let listener = Some(first)
        .filter(named)
        .or_else(|| speaking.find(named))
        .unwrap_or(first);
    let table = runtime.tables.get(&listener.table)?;
    let mut explanation = router::explain(&table.hosts, question);
    for target in explanation
        .answer
        .iter_mut()
        .flat_map(|answer| &mut answer.targets)
    {
        if let Some(cluster) = runtime.clusters.get(&ClusterKey(target.cluster.as_str().into())) {
            target.endpoints = cluster.status().endpoints.iter().map(describe).collect();
        }
    }
    Some(explanation)
}

fn speaks(listener: &Listener, question: &Question) -> bool {
    match listener.protocol {
        ListenerProtocol::Http => !question.is_tls(),
        ListenerProtocol::Https => question.is_tls(),
    }
}

fn is_on(listener: &Listener, port: u16) -> bool {
    listener.address.port() == port || listener.public_port == port
}

/// An endpoint and what keeps it from being used.
fn describe(endpoint: &EndpointStatus) -> String {
    let mut text = endpoint.address.to_string();
    if !endpoint.healthy {
        text.push_str(", unhealthy by its checks");
    }
    if let Some(millis) = endpoint.ejected_for_millis {
        text.push_str(&format!(", ejected for another {millis} ms"));
    }
    text
}
