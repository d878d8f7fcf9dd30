//! TLSRoutes, TCPRoutes and UDPRoutes: their rule, and their part of the table of
//! a port.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tidegate_snapshot::{Effect, Hostname, ObjectRef, Problem, RouteTable, StreamRoute};

use super::hostname::covering;
use super::listener::{Model, Protocol};
use super::rule::{Parsed, Rule, check_weights, unsupported};
use super::table::{self, Owners, Parts, places};
use super::{reason, route};
use crate::gateway_api::StreamRouteSpec;
use crate::options::Options;
use crate::translate::problems::Problems;

/// After which silence the next datagram of a client may go to another endpoint.
const UDP_IDLE: Duration = Duration::from_secs(60);

impl Parsed {
    /// There is one rule; older versions of the API let several in, which nothing
    /// could tell apart.
    pub(super) fn stream<K>(spec: &StreamRouteSpec<K>) -> Self {
        let rule = match &*spec.rules {
            [] => Ok(Vec::new()),
            [rule] => check_weights(&rule.backend_refs).map(|()| {
                vec![Rule {
                    matches: Vec::new(),
                    backends: rule.backend_refs.clone(),
                    mirrors: Vec::new(),
                    authorizers: Vec::new(),
                }]
            }),
            _ => Err(unsupported("connections can follow only one rule")),
        };
        let rules = rule.map_err(|failure| ("spec.rules".to_owned(), failure));
        Self::new(
            &spec.parent_refs,
            &spec.use_default_gateways,
            &spec.hostnames,
            rules,
        )
    }
}

/// Adds where connections and datagrams of one port go.
///
/// Like a request ([`table::Table`]), a connection belongs to the listener with
/// the most specific host name that covers its server name; where that has no
/// route for it, "the request MUST be rejected". Of several routes for one name
/// the oldest gets everything.
pub(super) fn add(table: &mut RouteTable, parts: &Parts<'_>, problems: &mut Problems) {
    let Parts {
        port,
        listeners,
        ingress,
        ..
    } = *parts;
    let (streams, http): (Vec<usize>, Vec<usize>) = port
        .iter()
        .partition(|index| listeners[**index].protocol.is_stream());
    if streams.is_empty() {
        return;
    }
    let owners = Owners::new(parts);
    let mut found = BTreeMap::new();
    for index in &streams {
        let listener = &listeners[*index];
        // Closed before any handshake.
        let nowhere = StreamRoute::new(owner(listener), Vec::new());
        found.insert(listener.hostname.clone(), nowhere);
    }
    let mut winners: HashMap<&Hostname, &ObjectRef> = HashMap::new();
    let attached = parts.attached.list().iter();
    let places = attached.flat_map(|attached| places(attached).map(|place| (place, &attached.route)));
    for ((listener, hostname), model) in places.filter(|((listener, _), _)| streams.contains(listener)) {
        if owners.owner(&covering(hostname)) != Some(listener) {
            continue;
        }
        if let Some(winner) = winners.get(hostname) {
            problems.push(shadowed(&model.object, winner, &listeners[listener], hostname));
        } else {
            winners.insert(hostname, &model.object);
            found.insert(
                hostname.clone(),
                route(&listeners[listener], model, parts.options),
            );
        }
    }
    for (hostname, stream) in found {
        match ingress.and_then(|ingress| table::taken(ingress, &hostname, &stream.origin)) {
            Some(problem) => problems.push(problem),
            None => drop(table.streams.insert(hostname, Some(Arc::new(stream)))),
        }
    }
    for index in &http {
        let name = listeners[*index].hostname.clone();
        table.streams.entry(name).or_insert(None);
    }
    match ingress {
        Some(ingress) => keep_hosts(table, ingress),
        // A handshake could only be refused: then say nothing.
        None if http.is_empty() => {
            let first = &listeners[streams[0]];
            let nowhere = Arc::new(StreamRoute::new(owner(first), Vec::new()));
            table.streams.entry(Hostname::Any).or_insert(Some(nowhere));
        }
        None => {}
    }
}

/// Both routes are accepted, says the specification; only one gets anything.
fn shadowed(object: &ObjectRef, winner: &ObjectRef, listener: &Model, hostname: &Hostname) -> Problem {
    let what = match hostname {
        Hostname::Any => format!("port {}", listener.port),
        name => {
            let name = name.to_string().replacen("**.", "*.", 1);
            format!("{name} on port {}", listener.port)
        }
    };
    Problem {
        object: object.clone(),
        field: "spec.parentRefs".to_owned(),
        reason: reason::ROUTE_SHADOWED,
        message: format!("{what} is {winner}'s, which is older"),
        effect: Effect::Ignored,
        fix: "remove one of them; shares are `weight`s within one route".to_owned(),
    }
}

/// Connections for hosts of Ingresses carry HTTP, even where a listener's name
/// covers them.
fn keep_hosts(table: &mut RouteTable, ingress: &RouteTable) {
    for (hostname, host) in &ingress.hosts {
        let wide = match hostname {
            Hostname::Wildcard(suffix) => Hostname::Subdomains(suffix.clone()),
            Hostname::Regex(_) => continue,
            other => other.clone(),
        };
        let covered = covering(&wide)
            .iter()
            .any(|name| table.streams.contains_key(name));
        if covered && !table::is_built_in(host) {
            table.streams.entry(hostname.clone()).or_insert(None);
        }
    }
}

fn owner(listener: &Model) -> ObjectRef {
    let owner = &listener.owner;
    ObjectRef::new(owner.kind.as_str(), &owner.namespace, &owner.name)
}

fn route(listener: &Model, model: &route::Model, options: &Options) -> StreamRoute {
    let settings = &options.streams;
    let mut route = StreamRoute {
        terminate: listener.terminates,
        idle_timeout: settings.idle_timeout,
        tries: if settings.next_upstream { settings.tries } else { 1 },
        ..StreamRoute::new(model.object.clone(), model.stream_backends())
    };
    if listener.protocol == Protocol::Udp {
        route.idle_timeout = UDP_IDLE;
        route.responses = None;
    }
    route
}
