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
    let mut explanation = explain_routing(runtime, question)?;
    let answers = explanation
        .answer
        .iter_mut()
        .flat_map(|answer| &mut answer.targets);
    let streams = explanation
        .stream
        .iter_mut()
        .flat_map(|stream| &mut stream.targets);
    for target in answers.chain(streams) {
        if let Some(cluster) = runtime.clusters.get(&ClusterKey(target.cluster.as_str().into())) {
            target.endpoints = cluster.status().endpoints.iter().map(describe).collect();
        }
    }
    Some(explanation)
}

/// The routing of the listener on the URL's port. Gateways with addresses of
/// their own have the same ports: then one that has a route counts, Ingresses'
/// first.
fn explain_routing(runtime: &Runtime, question: &Question) -> Option<Explanation> {
    let speaking = || {
        let listeners = runtime.snapshot.listeners.values();
        listeners.filter(|listener| speaks(listener, question))
    };
    let mut named: Vec<_> = speaking()
        .filter(|listener| is_on(listener, question.port()))
        .collect();
    if named.is_empty() && question.is_http() {
        named.extend(speaking().next());
    }
    named.sort_by_key(|listener| listener.table.starts_with("gateway/"));
    let explain = |listener: &&Arc<Listener>| {
        let table = runtime.tables.get(&listener.table)?;
        let name = Some(question.host()).filter(|name| !name.is_empty());
        let stream = match listener.protocol {
            ListenerProtocol::Http => None,
            ListenerProtocol::Https => table.streams.find(name),
            ListenerProtocol::Tcp | ListenerProtocol::Udp => Some(table.streams.find(None)?),
        };
        Some(match stream {
            Some(stream) => router::explain_stream(stream, question),
            None => router::explain(&table.hosts, question),
        })
    };
    let mut explanations: Vec<_> = named.iter().filter_map(explain).collect();
    let answering = explanations.iter().position(|explanation| {
        let answer = explanation.answer.as_ref();
        let stream = explanation.stream.as_ref();
        answer.is_some_and(|answer| !answer.origin.starts_with("DefaultBackend"))
            || stream.is_some_and(|stream| !stream.targets.is_empty())
    });
    let chosen = answering.unwrap_or_default();
    (chosen < explanations.len()).then(|| explanations.swap_remove(chosen))
}

fn speaks(listener: &Listener, question: &Question) -> bool {
    match listener.protocol {
        ListenerProtocol::Http => question.scheme() == "http",
        ListenerProtocol::Https => question.is_tls(),
        ListenerProtocol::Tcp => question.scheme() == "tcp",
        ListenerProtocol::Udp => question.scheme() == "udp",
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
